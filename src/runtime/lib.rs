//! Everything that touches the machine: executors, sockets, clocks, memory, files, signals.
//!
//! This is the only crate that names glommio, io-uring, threads and clocks. No type of theirs is in
//! a public signature here, so that a second implementation of the same names, single-threaded and
//! seeded, can take this one's place in simulations.
//!
//! In reading order: [`clock`] tells the time, [`topology`] counts cores, [`preflight`] refuses to
//! start where the program could not run, [`executor`] runs one future per core. On a core,
//! [`socket_ring`] moves the bytes of all sockets, made by [`listener`] and described by [`socket`];
//! [`idle`] decides how a core without work sleeps, [`waker`] ends that sleep, and [`mesh`] carries
//! messages between cores over the rings of [`spsc`]. [`large_blocks`] gives
//! memory back in steps; [`memory`], [`signals`] and [`mod@file`] do what
//! their names say.
//!
//! Not here: what the bytes mean (`protocol`, `net`) and what is done with them.

pub mod clock;
pub mod executor;
pub mod file;
pub mod idle;
mod kernel_ring;
pub mod large_blocks;
pub mod listener;
pub mod memory;
pub mod mesh;
mod park;
pub mod preflight;
mod receive_buffers;
pub mod signals;
pub mod socket;
pub mod socket_ring;
mod socket_slot;
pub mod spsc;
#[cfg(test)]
mod tests;
pub mod topology;
pub mod waker;
