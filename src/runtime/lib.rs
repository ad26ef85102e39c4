//! Everything that touches the machine: executors, sockets, clocks, memory, files, signals.
//!
//! This is the only crate that names glommio, io-uring, threads and clocks. No type of theirs is in
//! a public signature here, so that a second implementation of the same names, single-threaded and
//! seeded, takes this one's place in simulations: with the feature `simulation` the modules of the
//! folder `simulated` stand for those of the same names here. Its `world` decides from a seed who has
//! a turn, how long messages are under way and what the network does; the clients live in it too. Its `disk`
//! decides what becomes of files.
//!
//! In reading order: [`clock`] tells the time, [`topology`] counts cores, [`preflight`] refuses to
//! start where the program could not run, [`executor`] runs one future per core. On a core,
//! [`socket_ring`] moves the bytes of all sockets, made by [`listener`] and described by [`socket`];
//! [`idle`] decides how a core without work sleeps, [`waker`] ends that sleep, and [`mesh`] carries
//! messages between cores over the rings of [`spsc`]. [`large_blocks`] gives memory back in steps;
//! [`memory`], [`signals`], [`process`], [`directory`] and [`mod@file`] do what their names say; [`helper`] threads
//! wait for the disk in the place of cores, and speak with them by [`channel`]; [`faults`] are what a simulation
//! may have done wrong on purpose.
//!
//! Not here: what the bytes mean (`protocol`, `net`) and what is done with them.

#[cfg(not(feature = "simulation"))]
pub mod channel;
#[cfg(not(feature = "simulation"))]
pub mod clock;
pub mod directory;
#[cfg(not(feature = "simulation"))]
pub mod executor;
pub mod facts;
pub mod faults;
#[cfg(not(feature = "simulation"))]
pub mod file;
#[cfg(not(feature = "simulation"))]
pub mod helper;
#[cfg(not(feature = "simulation"))]
pub mod idle;
#[cfg(not(feature = "simulation"))]
mod kernel_ring;
pub mod large_blocks;
#[cfg(not(feature = "simulation"))]
pub mod listener;
#[cfg(not(feature = "simulation"))]
pub mod log_file;
pub mod memory;
#[cfg(not(feature = "simulation"))]
pub mod mesh;
#[cfg(not(feature = "simulation"))]
mod park;
pub mod preflight;
#[cfg(not(feature = "simulation"))]
pub mod process;
#[cfg(not(feature = "simulation"))]
mod receive_buffers;
pub mod signals;
#[cfg(not(feature = "simulation"))]
pub mod socket;
#[cfg(not(feature = "simulation"))]
pub mod socket_ring;
#[cfg(not(feature = "simulation"))]
mod socket_slot;
pub mod spsc;
#[cfg(not(feature = "simulation"))]
#[cfg(test)]
mod tests;
pub mod topology;
#[cfg(not(feature = "simulation"))]
pub mod waker;

#[cfg(feature = "simulation")]
#[path = "simulated/channel.rs"]
pub mod channel;
#[cfg(feature = "simulation")]
#[path = "simulated/clock.rs"]
pub mod clock;
#[cfg(feature = "simulation")]
#[path = "simulated/disk.rs"]
pub mod disk;
#[cfg(feature = "simulation")]
#[path = "simulated/executor.rs"]
pub mod executor;
#[cfg(feature = "simulation")]
#[path = "simulated/file.rs"]
pub mod file;
#[cfg(feature = "simulation")]
#[path = "simulated/helper.rs"]
pub mod helper;
#[cfg(feature = "simulation")]
#[path = "simulated/idle.rs"]
pub mod idle;
#[cfg(feature = "simulation")]
#[path = "simulated/listener.rs"]
pub mod listener;
#[cfg(feature = "simulation")]
#[path = "simulated/log_file.rs"]
pub mod log_file;
#[cfg(feature = "simulation")]
#[path = "simulated/mesh.rs"]
pub mod mesh;
#[cfg(feature = "simulation")]
#[path = "simulated/process.rs"]
pub mod process;
#[cfg(feature = "simulation")]
#[path = "simulated/socket.rs"]
pub mod socket;
#[cfg(feature = "simulation")]
#[path = "simulated/socket_ring.rs"]
pub mod socket_ring;
#[cfg(feature = "simulation")]
#[path = "simulated/waker.rs"]
pub mod waker;
#[cfg(feature = "simulation")]
#[path = "simulated/world.rs"]
pub mod world;
