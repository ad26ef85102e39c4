//! Why a file was refused, and where.

use std::fmt;

/// A file was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RdbError {
    /// The byte of the file that the part begins with which is wrong.
    pub offset: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file does not begin as an RDB file.
    NotRdb,
    /// The version is none that is read; its four digits.
    Version(String),
    /// The file ends inside of a part, or before its end was said.
    Short,
    /// A part begins with a byte that is not known.
    Part(u8),
    /// A length or a string is none.
    Encoding,
    /// The database is none: its number.
    Database(u64),
    /// The value of a key is none. Parts of the key, for people.
    Value {
        /// The key.
        key: String,
        /// The first byte of the object.
        kind: u8,
    },
    /// The file has the key twice, or two values for it.
    Twice(String),
    /// The value of a key belongs to a module.
    ModuleValue {
        /// The key.
        key: String,
        /// The type, as the module has named it.
        module: String,
    },
    /// A module has data beside its keys.
    ModuleData(String),
    /// Tables are in a version of their form that is not known.
    TablesVersion(u64),
    /// What the file says of tables is wrong.
    Tables(String),
    /// A library of functions is in a form that only candidates for a release of Redis 7.0 wrote.
    Library,
    /// The checksum is not that of the bytes.
    Checksum {
        /// What the file says.
        said: u64,
        /// What its bytes give.
        is: u64,
    },
    /// There are bytes behind the end.
    Trailing,
}

impl Fault {
    /// Says that a key is there twice.
    #[must_use]
    pub fn twice(key: &[u8]) -> Self {
        Self::Twice(shown(key))
    }
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRdb => f.write_str("this is no RDB file: it does not begin with REDIS"),
            Self::Version(digits) => {
                write!(
                    f,
                    "RDB version '{digits}' is not known, only 0001 to 0012 are"
                )
            }
            Self::Short => f.write_str("the file ends in the middle"),
            Self::Part(byte) => write!(f, "{byte} is no part of an RDB file that is known"),
            Self::Encoding => f.write_str("a length or a string is broken"),
            Self::Database(db) => {
                write!(f, "there is no database {db}; see the directive databases")
            }
            Self::Value { key, kind } => {
                write!(
                    f,
                    "the value of key '{key}' (kind {kind}) is broken or not known"
                )
            }
            Self::Twice(key) => write!(f, "key '{key}' is there twice"),
            Self::ModuleValue { key, module } => write!(
                f,
                "key '{key}' holds a value of the module type '{module}', which cannot be kept: \
                 delete it there and save again"
            ),
            Self::ModuleData(module) => write!(
                f,
                "the module type '{module}' has data beside its keys, which cannot be kept: save \
                 again without that module"
            ),
            Self::TablesVersion(version) => write!(
                f,
                "tables are there in version {version} of their form, and only version 1 is known: load \
                 the file with the server that has written it, or a later one"
            ),
            Self::Tables(what) => f.write_str(what),
            Self::Library => f.write_str(
                "a library of functions is in the form of a candidate for Redis 7.0: save again \
                 with a release",
            ),
            Self::Checksum { said, is } => write!(
                f,
                "the checksum is {is:016x} and the file says {said:016x}: some byte before was \
                 changed"
            ),
            Self::Trailing => f.write_str("there are bytes behind the end of the file"),
        }
    }
}

impl std::error::Error for RdbError {}

/// Returns a key so that people can read it, cut if it is long.
pub(super) fn shown(key: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 128;
    let text = key[..key.len().min(SHOWN_BYTES_MAX)].escape_ascii();
    if key.len() > SHOWN_BYTES_MAX {
        format!("{text}...")
    } else {
        text.to_string()
    }
}
