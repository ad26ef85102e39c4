//! What can be wrong with a configuration, in one line.

use std::fmt;
use std::path::{Path, PathBuf};

/// What is said of a name nobody knows.
pub(super) const UNKNOWN: &str = "unknown directive";

/// Where a directive was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: its default.
    Default,
    /// A line of a file, counted from 1; line 0 is the file as a whole.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(String),
    /// The command line.
    CommandLine,
    /// CONFIG SET.
    ConfigSet,
}

impl Place {
    /// Returns the place of line `line` of `file`.
    pub(super) fn line(file: &Path, line: usize) -> Self {
        Self::File(file.to_path_buf(), line)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path, 0) => write!(formatter, "{}", path.display()),
            Self::File(path, line) => write!(formatter, "{}:{line}", path.display()),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
            Self::CommandLine => formatter.write_str("command line"),
            Self::ConfigSet => formatter.write_str("CONFIG SET"),
        }
    }
}

/// Why the server cannot start with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it stands.
    pub place: Place,
    /// The directive, path or option as it was written; empty if it is about the whole place.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// The known name that comes nearest to an unknown one.
    pub nearest: Option<String>,
}

impl ConfigError {
    /// Makes an error about `key`.
    pub(super) fn new(place: Place, key: &str, what: impl Into<String>) -> Self {
        Self {
            place,
            key: key.to_owned(),
            what: what.into(),
            nearest: None,
        }
    }

    /// Makes an error about a name nobody knows.
    pub(super) fn unknown(place: Place, key: &str, nearest: Option<String>) -> Self {
        Self {
            place,
            key: key.to_owned(),
            what: UNKNOWN.to_owned(),
            nearest,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.what)?;
        match &self.nearest {
            Some(nearest) => write!(formatter, "; did you mean '{nearest}'?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Why CONFIG SET changed nothing; its text is the error line, without the leading `-`.
///
/// Source: the replies of redis-server 7.0.15.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// No directive has this name.
    Unknown(String),
    /// The directive with this name cannot be set, or not to this value.
    Failed {
        /// Its name, as in the declaration.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl fmt::Display for SetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(
                formatter,
                "ERR Unknown option or number of arguments for CONFIG SET - '{name}'"
            ),
            Self::Failed { name, why } => write!(
                formatter,
                "ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"
            ),
        }
    }
}

impl std::error::Error for SetError {}

/// Why CONFIG REWRITE wrote nothing; its text is the error line, without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewriteError {
    /// The server was started without a file, or from standard input.
    NoFile,
    /// The file cannot be read, or is no longer a valid configuration.
    Unusable(String),
}

impl fmt::Display for RewriteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile => formatter.write_str("ERR The server is running without a config file"),
            Self::Unusable(why) => write!(formatter, "ERR Rewriting config file: {why}"),
        }
    }
}

impl std::error::Error for RewriteError {}
