//! Why a task has failed, and the exit code that says so to scripts.
//!
//! ```text
//!   0  all is well        1  a file is damaged, or is not what it should be
//!   2  wrong arguments    3  the directory is in use        4  anything else
//! ```

use std::fmt;
use std::io;

/// A reason that has an exit code of its own.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A file is not whole, or not what it should be: what a check is for.
    Damaged(String),
    /// A server, or another task, uses the directory.
    InUse(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(text) | Self::InUse(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}

/// Returns the exit code of an error.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Failure>() {
        Some(Failure::Damaged(_)) => 1,
        Some(Failure::InUse(_)) => 3,
        None => 4,
    }
}

/// Returns whether an error only says that nobody reads what is printed.
pub(crate) fn is_unread(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
