//! The server: puts the layers together.
//!
//! Each core runs one [`core_loop`], which owns the core's network part and its [`engine`]. A request
//! goes through [`dispatch`] (its gates, in their fixed order) and is then either a command on
//! shards (crate `commands`, routed by crate `coordinator`) or a command of the control plane
//! ([`control`]). What a client is, is its [`session`]; what happened is counted in [`observe`].
//!
//! In reading order: [`startup`], [`core_loop`], [`engine`], [`dispatch`], `large_requests`,
//! `long_replies`, `statements`, `together`, `late_statements`, `away`, `acl_gate`, `acl`, [`session`], [`subscriptions`], [`pubsub`], [`tracking`],
//! [`invalidate`], `signed`, [`table`], [`control`], [`scripts`], [`observe`], [`cron`], [`timers`], `waiting`,
//! `pause`, [`persistence`], [`moves`], [`config`], [`layer_options`].

mod acl;
mod acl_gate;
mod away;
pub mod balance;
pub mod command_index;
pub mod config;
pub mod control;
pub mod core_loop;
pub mod cron;
pub mod dispatch;
pub mod engine;
pub mod eviction;
pub mod gather;
pub mod invalidate;
mod large_requests;
mod late_statements;
pub mod layer_options;
pub mod logging;
mod long_replies;
pub mod moves;
pub mod observe;
mod pause;
pub mod persistence;
pub mod pubsub;
pub mod running;
pub mod scripts;
pub mod session;
mod signed;
#[cfg(all(test, feature = "simulation"))]
mod simulation;
pub mod startup;
mod statements;
pub mod subscriptions;
pub mod table;
pub mod timers;
mod together;
pub mod tracking;
pub mod version;
mod waiting;
