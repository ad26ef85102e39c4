//! The whole server on a simulated machine, and the search for what clients must never see.
//!
//! From one seed comes a world: a node of 2, 4 or 8 cores, clients that send random commands on few
//! keys, delays, split and cut connections. What the clients saw is checked for strict
//! serializability. Equal seeds give equal worlds.
//!
//! ```text
//! SEED=7 cargo test -p trestle --features simulation --lib simulation
//! ```
//!
//! In reading order: [`node`] puts a world together, [`client`] is one client, [`operations`], [`waiting`],
//! [`streams`], [`scripts`], [`tables`] and [`saves`] say what they send and what that means for a [`model`], [`history`] is
//! what they saw, [`checker`] judges it. [`disk`] has the worlds in which the process ends and begins again,
//! and [`losses`] what that may take.
//!
//! Not here: the machine ([`runtime::world`]).

mod checker;
mod client;
mod disk;
mod history;
mod losses;
mod model;
mod node;
mod operations;
mod saves;
mod scripts;
mod streams;
mod tables;
mod tests;
mod waiting;
