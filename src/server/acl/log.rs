//! What was refused to whom: the entries of ACL LOG.
//!
//! What is refused again soon, to the same user for the same reason, is counted in one entry.

use std::collections::VecDeque;

use base::clock::UnixMillis;

use super::selector::Reason;

/// Entries that a new one may be counted in.
const LOOKED_AT_MAX: usize = 10;

/// One is counted in an entry that is no older than this.
const TOGETHER_MS_MAX: i64 = 60_000;

/// Where a request stood that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// By itself.
    TopLevel,
    /// In a MULTI.
    Multi,
    /// In a script or a function.
    Lua,
}

impl Context {
    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TopLevel => "toplevel",
            Self::Multi => "multi",
            Self::Lua => "lua",
        }
    }
}

/// Something that was refused.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// How often.
    pub(crate) count: i64,
    /// Why.
    pub(crate) reason: Reason,
    /// Where it stood.
    pub(crate) context: Context,
    /// The command, the key or the channel.
    pub(crate) object: Vec<u8>,
    /// The user.
    pub(crate) user: Vec<u8>,
    /// When it was refused last.
    pub(crate) at: UnixMillis,
    /// The client, as CLIENT LIST shows it.
    pub(crate) client: String,
}

/// How often requests were refused, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) auth: u64,
    pub(crate) command: u64,
    pub(crate) key: u64,
    pub(crate) channel: u64,
}

/// The entries, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    counts: Counts,
}

impl Log {
    /// Adds an entry, or counts it in one that is like it. Keeps `len_max` entries.
    pub(crate) fn add(&mut self, entry: Entry, len_max: usize) {
        let counts = &mut self.counts;
        *match entry.reason {
            Reason::Auth => &mut counts.auth,
            Reason::Command => &mut counts.command,
            Reason::Key => &mut counts.key,
            Reason::Channel => &mut counts.channel,
        } += 1;
        let recent = self.entries.iter().take(LOOKED_AT_MAX);
        let like = recent.enumerate().find(|(_, known)| {
            known.reason == entry.reason
                && known.context == entry.context
                && entry.at.0.saturating_sub(known.at.0) <= TOGETHER_MS_MAX
                && known.object == entry.object
                && known.user == entry.user
        });
        let like = like.map(|(index, _)| index);
        let known = like.and_then(|index| self.entries.remove(index));
        let is_new = known.is_none();
        self.entries.push_front(Entry {
            count: known.map_or(1, |known| known.count + 1),
            ..entry
        });
        // One that was there keeps its place, also after the log was made shorter, as in Redis.
        if is_new {
            self.entries.truncate(len_max);
        }
    }

    /// Returns the entries, the newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets all entries.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Returns how often requests were refused.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Counts from zero again.
    pub(crate) fn reset_counts(&mut self) {
        self.counts = Counts::default();
    }
}

impl Reason {
    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Key => "key",
            Self::Auth => "auth",
            Self::Channel => "channel",
        }
    }
}
