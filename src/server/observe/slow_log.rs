//! Commands that took longer than `slowlog-log-slower-than`, the newest `slowlog-max-len` of them.
//!
//! The time is that of the run alone: waiting for a socket, another core or a transaction is not in it.
//! Each core keeps the log of its own clients.

use std::collections::VecDeque;

use base::cast::usize_from;
use base::clock::UnixMillis;
use protocol::args::Args;

use crate::session::Session;

/// One slow command.
#[derive(Clone, Debug)]
pub struct SlowEntry {
    /// Its number on its core.
    pub number: u64,
    /// When it ran, in seconds.
    pub at_seconds: i64,
    /// How long it ran, in microseconds.
    pub micros: u64,
    /// Its first words, each cut to a bound.
    pub words: Vec<Vec<u8>>,
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
    next: u64,
    len_max: usize,
    /// `u64::MAX` if the log is off.
    threshold_nanos: u64,
}

impl SlowLog {
    /// Creates a log. A negative threshold switches it off.
    #[must_use]
    pub fn new(threshold_us: i64, len_max: u64) -> Self {
        let mut log = Self {
            entries: VecDeque::new(),
            next: 0,
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

    /// Adds a command, given by its words.
    pub fn note(&mut self, now: UnixMillis, nanos: u64, args: Args<'_>, session: Option<&Session>) {
        let entry = SlowEntry {
            number: self.next,
            at_seconds: now.seconds(),
            micros: nanos / 1000,
            words: cut_words(args),
            address: session
                .map(|it| it.about.address.clone())
                .unwrap_or_default(),
            name: session.map(|it| it.about.name.clone()).unwrap_or_default(),
        };
        self.next += 1;
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

    /// Removes all entries; numbers go on.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

fn cut_words(args: Args<'_>) -> Vec<Vec<u8>> {
    let shown = if args.len() > WORDS_MAX {
        WORDS_MAX - 1
    } else {
        args.len()
    };
    let mut words: Vec<Vec<u8>> = args.iter().take(shown).map(cut_word).collect();
    if args.len() > WORDS_MAX {
        words.push(format!("... ({} more arguments)", args.len() - shown).into_bytes());
    }
    words
}

fn cut_word(word: &[u8]) -> Vec<u8> {
    if word.len() <= WORD_BYTES_MAX {
        return word.to_vec();
    }
    let mut cut = word[..WORD_BYTES_MAX].to_vec();
    let more = word.len() - WORD_BYTES_MAX;
    cut.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
    cut
}
