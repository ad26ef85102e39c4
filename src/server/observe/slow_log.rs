//! Commands that took longer than `slowlog-log-slower-than`, the newest `slowlog-max-len` of them.
//!
//! The time is that of the run alone: waiting for a socket, another core or a transaction is not in it.
//! Each core keeps the log of its own clients, at most `slowlog-max-len` entries, so that the newest
//! of all cores together are always among them.
//!
//! Invariants
//! - Numbers of entries come from one counter of the process: they are unique and rise in the order
//!   in which the entries were made, whatever core made them.
//! - Passwords never get into an entry.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::cast::usize_from;
use base::clock::UnixMillis;
use protocol::args::{Args, PackedArgs, equals_ignore_case};

use crate::session::Session;

/// One slow command.
#[derive(Clone, Debug)]
pub struct SlowEntry {
    /// Its number, unique over all cores.
    pub number: u64,
    /// When it ran, in seconds.
    pub at_seconds: i64,
    /// How long it ran, in microseconds.
    pub micros: u64,
    /// Its words, as [`cut`] left them.
    pub words: PackedArgs,
    /// Who sent it.
    pub address: String,
    /// The name the client gave itself.
    pub name: String,
}

/// Words kept of a command; the last says how many were left out.
const WORDS_MAX: usize = 32;

/// Bytes kept of a word.
const WORD_BYTES_MAX: usize = 128;

/// The slow commands of a core.
#[derive(Debug)]
pub struct SlowLog {
    entries: VecDeque<SlowEntry>,
    numbers: Arc<AtomicU64>,
    len_max: usize,
    /// `u64::MAX` if the log is off.
    threshold_nanos: u64,
}

impl SlowLog {
    /// Creates a log. A negative threshold switches it off. `numbers` is what all cores number their
    /// entries from.
    #[must_use]
    pub fn new(threshold_us: i64, len_max: u64, numbers: Arc<AtomicU64>) -> Self {
        let mut log = Self {
            entries: VecDeque::new(),
            numbers,
            len_max: 0,
            threshold_nanos: 0,
        };
        log.review(threshold_us, len_max);
        log
    }

    /// Applies a changed configuration.
    pub fn review(&mut self, threshold_us: i64, len_max: u64) {
        self.threshold_nanos =
            u64::try_from(threshold_us).map_or(u64::MAX, |us| us.saturating_mul(1000));
        self.len_max = usize_from(len_max);
        self.entries.truncate(self.len_max);
    }

    /// Returns whether a run of this length belongs into the log.
    #[inline]
    #[must_use]
    pub fn is_slow(&self, nanos: u64) -> bool {
        nanos >= self.threshold_nanos
    }

    /// Returns whether anything can get into the log.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.threshold_nanos != u64::MAX
    }

    /// Adds a command, given by its words as [`cut`] left them.
    pub fn note(
        &mut self,
        now: UnixMillis,
        nanos: u64,
        words: PackedArgs,
        session: Option<&Session>,
    ) {
        let entry = SlowEntry {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            at_seconds: now.seconds(),
            micros: nanos / 1000,
            words,
            address: session
                .map(|it| it.about.address.clone())
                .unwrap_or_default(),
            name: session.map(|it| it.about.name.clone()).unwrap_or_default(),
        };
        self.entries.push_front(entry);
        self.entries.truncate(self.len_max);
    }

    /// Returns the entries, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &SlowEntry> {
        self.entries.iter()
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns how many entries the log keeps at most.
    #[must_use]
    pub fn len_max(&self) -> usize {
        self.len_max
    }

    /// Removes all entries; numbers go on.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

/// Returns the words of the command `full_name` as the log keeps them: the first 32, long ones cut,
/// and `(redacted)` in place of secrets.
#[must_use]
pub fn cut(full_name: &str, args: Args<'_>) -> PackedArgs {
    let shown = if args.len() > WORDS_MAX {
        WORDS_MAX - 1
    } else {
        args.len()
    };
    let mut words = PackedArgs::default();
    for (index, word) in args.iter().take(shown).enumerate() {
        if is_secret(full_name, args, index) {
            words.push_word(b"(redacted)");
        } else {
            push_cut(&mut words, word);
        }
    }
    if args.len() > WORDS_MAX {
        let more = args.len() - shown;
        words.push_word(format!("... ({more} more arguments)").as_bytes());
    }
    words
}

fn push_cut(words: &mut PackedArgs, word: &[u8]) {
    if word.len() <= WORD_BYTES_MAX {
        return words.push_word(word);
    }
    let mut cut = word[..WORD_BYTES_MAX].to_vec();
    let more = word.len() - WORD_BYTES_MAX;
    cut.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
    words.push_word(&cut);
}

/// Directives whose values are secrets.
const SECRET_DIRECTIVES: &[&str] = &["REQUIREPASS", "MASTERAUTH", "TLS-KEY-FILE-PASS"];

/// Returns whether the word at `index` is a secret: names and passwords of a login, rules of a user, values of
/// secret directives.
fn is_secret(full_name: &str, args: Args<'_>, index: usize) -> bool {
    match full_name {
        "auth" => index > 0,
        "acl|setuser" => index > 1,
        "hello" => {
            (2..index).any(|at| index <= at + 2 && equals_ignore_case(args.word(at), "AUTH"))
        }
        "config|set" => {
            index > 2
                && index % 2 == 1
                && SECRET_DIRECTIVES
                    .iter()
                    .any(|name| equals_ignore_case(args.word(index - 1), name))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_of(full_name: &str, words: &[&str]) -> Vec<String> {
        let mut packed = PackedArgs::default();
        for word in words {
            packed.push_word(word.as_bytes());
        }
        cut(full_name, packed.args())
            .args()
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    }

    #[test]
    fn long_words_and_many_words_are_cut_with_a_note() {
        let long = "x".repeat(200);
        let shown = cut_of("set", &["SET", "k", &long]);
        assert_eq!(shown[2], format!("{}... (72 more bytes)", "x".repeat(128)));
        let many = ["a"; 41];
        let shown = cut_of("mset", &many);
        assert_eq!(shown.len(), 32);
        assert_eq!(shown[31], "... (10 more arguments)");
        assert_eq!(cut_of("mset", &["a"; 32]).len(), 32);
    }

    #[test]
    fn secrets_are_not_kept() {
        let hidden = "(redacted)";
        assert_eq!(
            cut_of("auth", &["AUTH", "me", "pw"]),
            ["AUTH", hidden, hidden]
        );
        assert_eq!(
            cut_of("hello", &["HELLO", "3", "auth", "me", "pw", "SETNAME", "n"]),
            ["HELLO", "3", "auth", hidden, hidden, "SETNAME", "n"]
        );
        assert_eq!(
            cut_of("acl|setuser", &["ACL", "SETUSER", "me", ">pw"]),
            ["ACL", "SETUSER", hidden, hidden]
        );
        assert_eq!(
            cut_of(
                "config|set",
                &["CONFIG", "SET", "hz", "10", "RequirePass", "pw"]
            ),
            ["CONFIG", "SET", "hz", "10", "RequirePass", hidden]
        );
    }

    #[test]
    fn numbers_of_two_logs_never_meet() {
        let numbers = Arc::new(AtomicU64::new(0));
        let mut one = SlowLog::new(0, 2, Arc::clone(&numbers));
        let mut other = SlowLog::new(0, 2, numbers);
        for _ in 0..3 {
            one.note(UnixMillis(0), 1, PackedArgs::default(), None);
            other.note(UnixMillis(0), 1, PackedArgs::default(), None);
        }
        let of = |log: &SlowLog| log.iter().map(|entry| entry.number).collect::<Vec<_>>();
        assert_eq!(of(&one), [4, 2]);
        assert_eq!(of(&other), [5, 3]);
    }
}
