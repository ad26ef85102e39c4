//! Placeholder.

use crate::spec::ShardCommand;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[];
