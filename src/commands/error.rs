//! What a client can do wrong with a command, and the text it gets.

use std::borrow::Cow;

use protocol::args::Args;
use shard::entry::WrongType;

/// A refusal of one request. Its text is made in one place, [`CommandError::text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The key holds another type than the command works on.
    WrongType,
    /// The words do not fit the command.
    Syntax,
    /// A word should be a 64-bit integer.
    NotInteger,
    /// A word should be a floating point number.
    NotFloat,
    /// The key does not exist and has to.
    NoSuchKey,
    /// An index or number is outside its bounds.
    OutOfRange,
    /// An increment would leave the 64-bit range.
    Overflow,
    /// An increment would give NaN or infinity.
    NanOrInfinity,
    /// A value would exceed `proto-max-bulk-len`.
    StringTooLong,
    /// An expiry time is not acceptable for the command.
    InvalidExpire,
    /// A database number is outside `0..databases`.
    DbOutOfRange,
    /// Source and target are the same.
    SameObject,
    /// The number of words fits the arity and yet not the command.
    WordCount,
    /// The word at this index should be an option, and is none of the command's.
    UnsupportedOption(usize),
    /// The word at this index names no subcommand of PFDEBUG.
    UnknownDebug(usize),
    /// The word at this index is no argument of the command; for commands that say it so.
    UnknownArgument(usize),
    /// A word should be a 32-bit integer, and is an integer beyond that.
    NotInt32,
    /// A subcommand does not have the words it needs.
    SubcommandSyntax,
    /// The words at these indexes name a key and one of its consumer groups, and the group does not
    /// exist; told as the first form says it.
    NoGroup(NoGroupForm, usize, usize),
    /// The word at this index should be an option of XCLAIM.
    UnknownClaimOption(usize),
    /// The words at this index and after it are a longitude and a latitude, and not on the map.
    NotOnMap(usize),
    /// One of these options is needed, and no more.
    ExactlyOne(&'static str),
    /// A text of one command, as in `Text`, and the word at this index behind it.
    Naming(&'static str, usize),
    /// A text of one command; begins with its error code (`ERR ...`).
    Text(&'static str),
}

impl CommandError {
    /// Returns the error line without the leading `-`, for the command `name` (lower case) and the
    /// words that its handler was given.
    #[must_use]
    pub fn text(self, name: &str, args: Args<'_>) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::Syntax => "ERR syntax error",
            Self::NotInteger => "ERR value is not an integer or out of range",
            Self::NotFloat => "ERR value is not a valid float",
            Self::NoSuchKey => "ERR no such key",
            Self::OutOfRange => "ERR index out of range",
            Self::Overflow => "ERR increment or decrement would overflow",
            Self::NanOrInfinity => "ERR increment would produce NaN or Infinity",
            Self::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Self::InvalidExpire => {
                return Cow::Owned(format!("ERR invalid expire time in '{name}' command"));
            }
            Self::DbOutOfRange => "ERR DB index is out of range",
            Self::SameObject => "ERR source and destination objects are the same",
            Self::WordCount => {
                return Cow::Owned(format!(
                    "ERR wrong number of arguments for '{name}' command"
                ));
            }
            Self::UnsupportedOption(index) => {
                let word = shown(args.get(index).unwrap_or_default());
                return Cow::Owned(format!("ERR Unsupported option {word}"));
            }
            Self::UnknownDebug(index) => {
                let word = shown(args.get(index).unwrap_or_default());
                return Cow::Owned(format!("ERR Unknown PFDEBUG subcommand '{word}'"));
            }
            Self::UnknownArgument(index) => {
                let word = shown(args.get(index).unwrap_or_default());
                return Cow::Owned(format!("ERR unknown argument: {word}"));
            }
            Self::NotOnMap(index) => {
                let degrees = |index: usize| {
                    let word = args.get(index).unwrap_or_default();
                    base::number::parse_f64(word).unwrap_or_default()
                };
                let (longitude, latitude) = (degrees(index), degrees(index + 1));
                return Cow::Owned(format!(
                    "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
                ));
            }
            Self::ExactlyOne(options) => {
                let command = shown(args.get(0).unwrap_or_default());
                return Cow::Owned(format!(
                    "ERR exactly one of {options} can be specified for {command}"
                ));
            }
            Self::NotInt32 => {
                "ERR value is out of range, value must between -2147483648 and 2147483647"
            }
            Self::SubcommandSyntax => {
                let sub = shown(args.get(1).unwrap_or_default());
                let container = shown(args.get(0).unwrap_or_default()).to_ascii_uppercase();
                return Cow::Owned(format!(
                    "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try \
                     {container} HELP."
                ));
            }
            Self::NoGroup(form, key, group) => {
                let key = shown(args.get(key).unwrap_or_default());
                let group = shown(args.get(group).unwrap_or_default());
                return Cow::Owned(form.text(&key, &group));
            }
            Self::UnknownClaimOption(index) => {
                let word = shown(args.get(index).unwrap_or_default());
                return Cow::Owned(format!("ERR Unrecognized XCLAIM option '{word}'"));
            }
            Self::Naming(text, index) => {
                let word = shown(args.get(index).unwrap_or_default());
                return Cow::Owned(format!("{text}{word}"));
            }
            Self::Text(text) => text,
        })
    }
}

/// How commands say that a consumer group does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoGroupForm {
    /// The key may be what is missing.
    KeyOrGroup,
    /// The same of XREADGROUP.
    Reading,
    /// The key is there.
    Group,
}

impl NoGroupForm {
    fn text(self, key: &str, group: &str) -> String {
        match self {
            Self::KeyOrGroup => {
                format!("NOGROUP No such key '{key}' or consumer group '{group}'")
            }
            Self::Reading => format!(
                "NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with GROUP \
                 option"
            ),
            Self::Group => {
                format!("NOGROUP No such consumer group '{group}' for key name '{key}'")
            }
        }
    }
}

/// Returns a word of a client as error texts repeat it: up to its first zero byte, where Redis's text
/// ends. Bytes that are no UTF-8 are replaced.
#[must_use]
pub fn shown(word: &[u8]) -> Cow<'_, str> {
    let end = word.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(&word[..end.unwrap_or(word.len())])
}

impl From<WrongType> for CommandError {
    fn from(_: WrongType) -> Self {
        Self::WrongType
    }
}
