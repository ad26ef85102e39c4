//! Channels: how what one client says reaches all who listen, on all cores.
//!
//! ```text
//! SUBSCRIBE, PUBLISH, events of keys    note a wish, while requests are served
//!         |  in the order they came
//!         v
//! carried out between serving and sending: listeners of this core get their bytes,
//! cores with listeners one message each, which come back with the number of clients reached
//! ```
//! A handler sees one connection only, so it cannot reach those who listen; what it wants is noted and
//! carried out by the core loop in the same turn, before any reply of the turn is sent.
//!
//! Invariants
//! - Wishes of a core are carried out in the order they came. A client whose subscriptions change waits
//!   for it, so its next request finds them changed.
//! - Messages of one core to another carry the time they were sent at, and those of several cores are
//!   delivered in the order of time: who publishes after having seen the reply to another PUBLISH, or
//!   the effect of a command, is delivered after it.
//! - PUBLISH waits until all earlier requests of its connection are answered, but for other PUBLISH: who
//!   gets the message finds what was done before it.
//! - A client that listens stays on its core (`Session::special`).
//! - A message stands between two replies, never inside one.
//!
//! In reading order: [`message`] is what is said, [`wishes`] what is to be done, [`publish`] does it,
//! [`subscribe`] changes who listens, `events` tells what happens to keys.

mod events;
pub mod message;
pub mod publish;
pub mod subscribe;
pub mod wishes;
