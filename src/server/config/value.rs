//! Values of directives: how their text is read, checked and written.
//!
//! A [`Kind`] says what a directive takes, a [`Value`] is what it holds. The error texts are those
//! of Redis 7.0.15, word for word, because clients show them to people who search for them.
//!
//! Invariants
//! - `kind.parse(&value.words(), ..)` gives `value` again, for every value a kind can produce.
//! - A value of a kind with bounds is inside them.
//!
//! Not here: what a value means to the server (`settings`), and where a text came from
//! (`redis_conf`, `toml`, `flags`).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base::limits::SHARDS_MAX;

use super::schedule;

/// What is wrong with a text, without the name of the directive.
pub type Complaint = Cow<'static, str>;

/// Addresses `bind` may list.
const BIND_ADDRESSES_MAX: usize = 16;

/// The classes of clients that have limits on their output, in the order CONFIG GET shows them.
const CLIENT_CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// What a directive takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// A whole number, both bounds included.
    Integer {
        /// Smallest accepted number.
        min: i64,
        /// Largest accepted number.
        max: i64,
    },
    /// Rounds per second; brought into 1 to 500 silently, as Redis does for `hz`.
    Rate,
    /// A number of bytes, with `k`, `kb`, `m`, `mb`, `g`, `gb` as in redis.conf.
    Memory {
        /// Smallest accepted size, in bytes.
        min: u64,
        /// Largest accepted size, in bytes.
        max: u64,
    },
    /// A number of bytes, or `N%`.
    MemoryOrPercent,
    /// File permissions in octal digits.
    Octal,
    /// One of the words, in any case.
    Choice(&'static [&'static str]),
    /// As `Choice`; the pairs are other spellings and the word they stand for.
    ChoiceOrSynonym(
        &'static [&'static str],
        &'static [(&'static str, &'static str)],
    ),
    /// Any text.
    Text,
    /// A text that CONFIG GET shows but logs and dumps do not.
    Password,
    /// Any number of words.
    Words,
    /// The addresses of `bind`; a leading `-` makes one optional.
    Addresses,
    /// Pairs of seconds and changes.
    SavePoints,
    /// Class, hard limit, soft limit, soft seconds; repeated.
    BufferLimits,
    /// Percentiles between 0 and 100.
    Percentiles,
    /// The letters of `notify-keyspace-events`.
    Events,
    /// The three numbers of `oom-score-adj-values`.
    Scores,
    /// Old and new name of a command; every line adds one.
    Renames,
    /// A user and its rules; every line adds one.
    Users,
    /// `auto`, or a number of shards.
    Shards,
    /// Letters, digits, hyphens and dots.
    Hostname,
    /// A name without a directory.
    FileName,
    /// Five fields of cron.
    Schedule,
}

/// What a directive holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Integer`], and of [`Kind::Shards`] with a number.
    Integer(i64),
    /// Of [`Kind::Memory`] and [`Kind::MemoryOrPercent`].
    Bytes(u64),
    /// Of [`Kind::MemoryOrPercent`]: 0 to 100.
    Percent(u8),
    /// Of [`Kind::Octal`].
    Octal(u32),
    /// Of the kinds that are one word.
    Text(String),
    /// Of [`Kind::Words`] and [`Kind::Addresses`].
    Words(Vec<String>),
    /// Of [`Kind::SavePoints`]: seconds and changes.
    SavePoints(Vec<(u64, u64)>),
    /// Of [`Kind::BufferLimits`]: normal clients, replicas, subscribers.
    BufferLimits([BufferLimit; 3]),
    /// Of [`Kind::Percentiles`].
    Percentiles(Vec<f64>),
    /// Of [`Kind::Scores`].
    Scores([i64; 3]),
    /// Of [`Kind::Renames`]: old name, new name.
    Renames(Vec<(String, String)>),
    /// Of [`Kind::Users`]: the words of each line.
    Users(Vec<Vec<String>>),
    /// Of [`Kind::Shards`]: `auto`.
    Auto,
}

/// How much unsent output a client of one class may have; 0 means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BufferLimit {
    /// Bytes at which the client is closed at once.
    pub hard_bytes: u64,
    /// Bytes above which the client may be for `soft_seconds` only.
    pub soft_bytes: u64,
    /// Seconds above `soft_bytes` after which the client is closed.
    pub soft_seconds: u64,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// The address; `*` and `::*` are the unspecified ones.
    pub address: IpAddr,
    /// True if the server starts without it when the machine does not have it.
    pub is_optional: bool,
}

impl BindAddress {
    /// Reads one word of `bind`.
    ///
    /// # Errors
    ///
    /// The word is neither an IP address, `*`, `::*` nor `localhost`.
    pub fn parse(word: &str) -> Result<Self, Complaint> {
        let (host, is_optional) = match word.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (word, false),
        };
        let address = match host {
            "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            "::*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            other => match other.parse() {
                Ok(address) => address,
                Err(_) => return Err(format!("'{other}' is not an IP address").into()),
            },
        };
        Ok(Self {
            address,
            is_optional,
        })
    }
}

impl Kind {
    /// True if the directive takes several words; one text may hold them too, with spaces between.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::Words
                | Self::Addresses
                | Self::SavePoints
                | Self::BufferLimits
                | Self::Percentiles
                | Self::Scores
                | Self::Renames
                | Self::Users
        )
    }

    /// True if a second line of the same file adds to the first, instead of replacing it.
    #[must_use]
    pub fn accumulates(self) -> bool {
        matches!(
            self,
            Self::SavePoints | Self::BufferLimits | Self::Renames | Self::Users
        )
    }

    /// Reads the words after the name of a directive; `before` is what the directive holds.
    ///
    /// A list may come as words, or as one word with spaces. [`Kind::BufferLimits`] keeps the
    /// classes that `words` does not name, [`Kind::Renames`] and [`Kind::Users`] add to `before`; the
    /// others replace it.
    ///
    /// # Errors
    ///
    /// What is wrong with the words.
    pub fn parse(self, words: &[&str], before: &Value) -> Result<Value, Complaint> {
        if self.is_list() {
            if let [one] = words
                && !matches!(self, Self::Renames)
            {
                let words: Vec<&str> = one.split_ascii_whitespace().collect();
                return self.parse_list(&words, before);
            }
            return self.parse_list(words, before);
        }
        match words {
            [one] => self.parse_one(one),
            _ => Err("wrong number of arguments".into()),
        }
    }

    fn parse_one(self, word: &str) -> Result<Value, Complaint> {
        match self {
            Self::Bool => match word {
                _ if word.eq_ignore_ascii_case("yes") => Ok(Value::Bool(true)),
                _ if word.eq_ignore_ascii_case("no") => Ok(Value::Bool(false)),
                _ => Err("argument must be 'yes' or 'no'".into()),
            },
            Self::Integer { min, max } => {
                let number = strict_integer(word)
                    .ok_or(Cow::Borrowed("argument couldn't be parsed into an integer"))?;
                if number < min || number > max {
                    return Err(between(min, max));
                }
                Ok(Value::Integer(number))
            }
            Self::Rate => match (Self::Integer {
                min: 0,
                max: i64::from(i32::MAX),
            })
            .parse_one(word)?
            {
                Value::Integer(rate) => Ok(Value::Integer(rate.clamp(1, 500))),
                other => Ok(other),
            },
            Self::Memory { min, max } => {
                let bytes = memory(word).ok_or(Cow::Borrowed("argument must be a memory value"))?;
                match u64::try_from(bytes) {
                    Ok(bytes) if (min..=max).contains(&bytes) => Ok(Value::Bytes(bytes)),
                    _ => Err(between(min, max)),
                }
            }
            Self::MemoryOrPercent => memory_or_percent(word),
            Self::Octal => match u32::from_str_radix(word, 8) {
                Ok(mode) if mode <= 0o777 => Ok(Value::Octal(mode)),
                Ok(_) => Err("argument must be between 0 and 777 inclusive".into()),
                Err(_) => Err("argument couldn't be parsed as an octal number".into()),
            },
            Self::Choice(choices) => choose(word, choices, &[]),
            Self::ChoiceOrSynonym(choices, synonyms) => choose(word, choices, synonyms),
            Self::Events => match word.chars().find(|c| !"Ag$lshzxeKEtmdn".contains(*c)) {
                Some(_) => Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into()),
                None => Ok(Value::Text(ordered_events(word))),
            },
            Self::FileName => {
                if word.is_empty() || word.contains('/') {
                    return Err("dbfilename can't be a path, just a filename".into());
                }
                Ok(Value::Text(word.to_owned()))
            }
            Self::Schedule => {
                if schedule::is_valid(word) {
                    Ok(Value::Text(word.to_owned()))
                } else {
                    Err("argument must be five fields of cron, such as '0 */6 * * *'".into())
                }
            }
            Self::Hostname => {
                if word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
                {
                    Ok(Value::Text(word.to_owned()))
                } else {
                    Err(
                        "Hostnames may only contain alphanumeric characters, hyphens or dots"
                            .into(),
                    )
                }
            }
            Self::Shards => shards(word),
            _ => Ok(Value::Text(word.to_owned())),
        }
    }

    fn parse_list(self, words: &[&str], before: &Value) -> Result<Value, Complaint> {
        match self {
            Self::Addresses => {
                if words.len() > BIND_ADDRESSES_MAX {
                    return Err("Too many bind addresses specified.".into());
                }
                for word in words {
                    BindAddress::parse(word)?;
                }
                Ok(Value::Words(owned(words)))
            }
            Self::SavePoints => save_points(words),
            Self::BufferLimits => buffer_limits(words, before),
            Self::Percentiles => percentiles(words),
            Self::Scores => scores(words),
            Self::Renames => {
                let [old, new] = words else {
                    return Err("wrong number of arguments".into());
                };
                let mut pairs = match before {
                    Value::Renames(pairs) => pairs.clone(),
                    _ => Vec::new(),
                };
                pairs.retain(|(name, _)| !name.eq_ignore_ascii_case(old));
                pairs.push(((*old).to_owned(), (*new).to_owned()));
                Ok(Value::Renames(pairs))
            }
            Self::Users => {
                let mut users = match before {
                    Value::Users(users) => users.clone(),
                    _ => Vec::new(),
                };
                if !words.is_empty() {
                    users.push(owned(words));
                }
                Ok(Value::Users(users))
            }
            _ => Ok(Value::Words(owned(words))),
        }
    }
}

impl Value {
    /// Returns the text CONFIG GET shows.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Bool(true) => "yes".to_owned(),
            Self::Bool(false) => "no".to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Bytes(bytes) => bytes.to_string(),
            Self::Percent(percent) => format!("{percent}%"),
            Self::Octal(mode) => format!("{mode:o}"),
            Self::Text(text) => text.clone(),
            Self::Auto => "auto".to_owned(),
            _ => self.words().join(" "),
        }
    }

    /// Returns the words a line of a file has after the name; sizes get the largest exact unit.
    ///
    /// For [`Value::Renames`] these are old and new name of every pair in turn.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Words(words) => words.clone(),
            Self::SavePoints(points) => points
                .iter()
                .flat_map(|(s, c)| [s.to_string(), c.to_string()])
                .collect(),
            Self::BufferLimits(limits) => limits
                .iter()
                .zip(CLIENT_CLASSES)
                .flat_map(|(limit, class)| {
                    [
                        class.to_owned(),
                        limit.hard_bytes.to_string(),
                        limit.soft_bytes.to_string(),
                        limit.soft_seconds.to_string(),
                    ]
                })
                .collect(),
            Self::Percentiles(percentiles) => percentiles.iter().map(f64::to_string).collect(),
            Self::Scores(scores) => scores.iter().map(i64::to_string).collect(),
            Self::Renames(pairs) => pairs
                .iter()
                .flat_map(|(old, new)| [old.clone(), new.clone()])
                .collect(),
            Self::Users(users) => users.iter().flatten().cloned().collect(),
            Self::Bytes(bytes) => vec![with_unit(*bytes)],
            _ => vec![self.text()],
        }
    }

    /// Returns whether a [`Value::Bool`] is `yes`; false for other values.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// Returns the number or size held, 0 for other values.
    #[must_use]
    pub fn i64(&self) -> i64 {
        match self {
            Self::Integer(number) => *number,
            Self::Bytes(bytes) => i64::try_from(*bytes).unwrap_or(i64::MAX),
            Self::Octal(mode) => i64::from(*mode),
            _ => 0,
        }
    }

    /// As [`Value::i64`], clamped to the type.
    #[must_use]
    pub fn u64(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => *bytes,
            other => u64::try_from(other.i64()).unwrap_or(0),
        }
    }

    /// As [`Value::i64`], clamped to the type.
    #[must_use]
    pub fn u32(&self) -> u32 {
        u32::try_from(self.u64()).unwrap_or(u32::MAX)
    }

    /// As [`Value::i64`], clamped to the type.
    #[must_use]
    pub fn u16(&self) -> u16 {
        u16::try_from(self.u64()).unwrap_or(u16::MAX)
    }

    /// Returns the text of a [`Value::Text`], the empty text for other values.
    #[must_use]
    pub fn as_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn between(min: impl std::fmt::Display, max: impl std::fmt::Display) -> Complaint {
    format!("argument must be between {min} and {max} inclusive").into()
}

/// Reads an integer as Redis does: no plus sign, no leading zeros, no spaces.
fn strict_integer(word: &str) -> Option<i64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && word != "-0";
    if is_plain { word.parse().ok() } else { None }
}

/// Reads a size; wider than `u64` so that the caller can name the bounds it exceeds.
fn memory(word: &str) -> Option<u128> {
    let digits_len = word.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = word.split_at(digits_len);
    let factor: u128 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    if digits.is_empty() {
        return None;
    }
    // Too many digits even for 128 bits are as far out of every bound as the largest number.
    let number = digits.parse::<u128>().unwrap_or(u128::MAX);
    Some(number.saturating_mul(factor))
}

fn memory_or_percent(word: &str) -> Result<Value, Complaint> {
    const COMPLAINT: &str = "argument must be a memory or percent value";
    if let Some(digits) = word.strip_suffix('%') {
        return match strict_integer(digits) {
            Some(percent) if percent > 100 => {
                Err("percentage argument must be less or equal to 100".into())
            }
            Some(percent) => u8::try_from(percent)
                .map(Value::Percent)
                .or(Err(Cow::Borrowed(COMPLAINT))),
            None => Err(COMPLAINT.into()),
        };
    }
    let bytes = memory(word).ok_or(Cow::Borrowed(COMPLAINT))?;
    match u64::try_from(bytes) {
        Ok(bytes) if i64::try_from(bytes).is_ok() => Ok(Value::Bytes(bytes)),
        _ => Err(between(0, i64::MAX)),
    }
}

/// Returns the size with the largest unit that divides it.
fn with_unit(bytes: u64) -> String {
    for (shift, unit) in [(30, "gb"), (20, "mb"), (10, "kb")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

fn choose(word: &str, choices: &[&str], synonyms: &[(&str, &str)]) -> Result<Value, Complaint> {
    let meant = synonyms
        .iter()
        .find(|(synonym, _)| synonym.eq_ignore_ascii_case(word))
        .map_or(word, |(_, meant)| *meant);
    choices
        .iter()
        .find(|choice| choice.eq_ignore_ascii_case(meant))
        .map(|choice| Value::Text((*choice).to_owned()))
        .ok_or_else(|| {
            format!(
                "argument(s) must be one of the following: {}",
                choices.join(", ")
            )
            .into()
        })
}

fn shards(word: &str) -> Result<Value, Complaint> {
    if word.eq_ignore_ascii_case("auto") {
        return Ok(Value::Auto);
    }
    match strict_integer(word) {
        Some(number) if (1..=i64::from(SHARDS_MAX)).contains(&number) => Ok(Value::Integer(number)),
        _ => Err(format!("argument must be 'auto' or between 1 and {SHARDS_MAX}").into()),
    }
}

fn save_points(words: &[&str]) -> Result<Value, Complaint> {
    const COMPLAINT: &str = "Invalid save parameters";
    let (pairs, []) = words.as_chunks::<2>() else {
        return Err(COMPLAINT.into());
    };
    let mut points = Vec::with_capacity(pairs.len());
    for [seconds, changes] in pairs {
        match (seconds.parse::<u64>(), changes.parse::<u64>()) {
            (Ok(seconds), Ok(changes)) if seconds > 0 => points.push((seconds, changes)),
            _ => return Err(COMPLAINT.into()),
        }
    }
    Ok(Value::SavePoints(points))
}

fn buffer_limits(words: &[&str], before: &Value) -> Result<Value, Complaint> {
    let mut limits = match before {
        Value::BufferLimits(limits) => *limits,
        _ => [BufferLimit::default(); 3],
    };
    let (groups, []) = words.as_chunks::<4>() else {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    };
    for [class, hard, soft, seconds] in groups {
        let class = if class.eq_ignore_ascii_case("replica") {
            "slave"
        } else {
            *class
        };
        let limit = CLIENT_CLASSES
            .iter()
            .position(|known| known.eq_ignore_ascii_case(class))
            .and_then(|position| limits.get_mut(position))
            .ok_or(Cow::Borrowed(
                "Invalid client class specified in buffer limit configuration.",
            ))?;
        let size = |word| memory(word).and_then(|bytes| u64::try_from(bytes).ok());
        let (Some(hard_bytes), Some(soft_bytes), Ok(soft_seconds)) =
            (size(hard), size(soft), seconds.parse())
        else {
            return Err(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.".into(),
            );
        };
        *limit = BufferLimit {
            hard_bytes,
            soft_bytes,
            soft_seconds,
        };
    }
    Ok(Value::BufferLimits(limits))
}

fn percentiles(words: &[&str]) -> Result<Value, Complaint> {
    let mut percentiles = Vec::with_capacity(words.len());
    for word in words {
        match word.parse::<f64>() {
            Ok(percentile) if (0.0..=100.0).contains(&percentile) => percentiles.push(percentile),
            Ok(percentile) if !percentile.is_nan() => {
                return Err(
                    "latency-tracking-info-percentiles parameters should sit between \
                            [0.0,100.0]"
                        .into(),
                );
            }
            _ => return Err("Invalid latency-tracking-info-percentiles parameters".into()),
        }
    }
    Ok(Value::Percentiles(percentiles))
}

fn scores(words: &[&str]) -> Result<Value, Complaint> {
    let [first, second, third] = words else {
        return Err("wrong number of arguments".into());
    };
    let mut scores = [0; 3];
    for (score, word) in scores.iter_mut().zip([first, second, third]) {
        match word.parse::<i64>() {
            Ok(number) if (-2000..=2000).contains(&number) => *score = number,
            _ => {
                return Err(
                    "Invalid oom-score-adj-values, elements must be between -2000 and \
                            2000."
                        .into(),
                );
            }
        }
    }
    Ok(Value::Scores(scores))
}
/// Returns the letters of `notify-keyspace-events` in the order in which Redis shows them, each once, and
/// `A` for all that it stands for.
fn ordered_events(letters: &str) -> String {
    const ALL: &str = "g$lshzxetd";
    let has = |letter: char| letters.contains(letter);
    let is_all = has('A') || ALL.chars().all(has);
    let classes = if is_all { "A" } else { ALL };
    let shown = classes.chars().chain("nKEm".chars());
    shown
        .filter(|letter| is_all && *letter == 'A' || has(*letter))
        .collect()
}
