//! The server: puts the layers together.
//!
//! Each core runs one [`core_loop`], which owns the core's network part and its [`engine`]. A request
//! goes through [`dispatch`] (its gates, in their fixed order) and is then either a command on
//! shards (crate `commands`, routed by crate `coordinator`) or a command of the control plane
//! ([`control`]). What a client is, is its [`session`]; what happened is counted in [`observe`].
//!
//! In reading order: [`startup`], [`core_loop`], [`engine`], [`dispatch`], `large_requests`, `long_replies`, [`session`],
//! [`table`], [`control`], [`observe`], [`cron`], [`timers`], [`config`], [`layer_options`].

pub mod command_index;
pub mod config;
pub mod control;
pub mod core_loop;
pub mod cron;
pub mod dispatch;
pub mod engine;
pub mod eviction;
pub mod gather;
mod large_requests;
pub mod layer_options;
pub mod logging;
mod long_replies;
pub mod observe;
pub mod running;
pub mod session;
pub mod startup;
pub mod table;
pub mod timers;
pub mod version;
