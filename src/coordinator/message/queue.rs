//! The commands of a MULTI, packed into few allocations, and what came of them.
//!
//! ```text
//! bytes    SETkey:1helloGETkey:1          words    ranges, from the start of each command
//! entries  [SET, 3 words] [GET, 2 words]  replies  +OK $5 hello: in any order, each entry knows its own
//! ```
//! A queue is filled between MULTI and EXEC. If all its keys lie on one shard it runs there as a whole,
//! perhaps on another core, and comes back with its replies; otherwise each shard gets a queue of its
//! own part. Buffers are kept for the next MULTI.
//!
//! Not here: when it runs (`host`, `exec`).

use std::ops::{Range, RangeInclusive};

use base::cast::u32_from;
use base::ids::{DbIndex, ShardId};
use commands::spec::{Flags, ShardCommand};
use protocol::args::{Args, PackedArgs, WordRange};
use protocol::reply::{Reply, Resp};

use super::{Origin, Request, Watched, clear_or_free};

/// See the head of this file.
#[derive(Default)]
pub struct Queue {
    bytes: Vec<u8>,
    words: Vec<WordRange>,
    entries: Vec<Entry>,
    replies: Vec<u8>,
    flags: Option<Flags>,
    lies: Lies,
    /// Each command is measured by itself, however brief.
    measures_each: bool,
    /// Nothing has run, as a watched key had changed.
    is_aborted: bool,
}

/// Where the keys of commands lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lies {
    /// There are none: any shard will do.
    #[default]
    Anywhere,
    /// On one shard.
    On(ShardId),
    /// On several, or it takes more than a shard to run the command.
    Apart,
}

impl Lies {
    /// Returns where the keys of both lie.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Anywhere, known) | (known, Self::Anywhere) => known,
            (Self::On(one), Self::On(another)) if one == another => self,
            (Self::On(_) | Self::Apart, Self::On(_) | Self::Apart) => Self::Apart,
        }
    }
}

/// One command of a queue.
pub enum Queued<'a> {
    /// A command on shards.
    Shard(Request<'a>),
    /// A command of the coordinator.
    Control {
        /// Its words.
        args: Args<'a>,
        /// It looks at data, so it has to keep its place among the commands on shards.
        sees_data: bool,
    },
}

#[derive(Clone, Copy)]
enum Runs {
    Shard(&'static ShardCommand),
    Control { sees_data: bool },
}

#[derive(Clone)]
struct Entry {
    runs: Runs,
    db: DbIndex,
    resp: Resp,
    touch: bool,
    /// It takes so little time that its like may be measured together with it.
    is_brief: bool,
    tag: u16,
    first_hash: Option<u64>,
    start: usize,
    first_word: usize,
    word_count: usize,
    /// Its index among the commands of the MULTI.
    position: usize,
    /// Where its reply is; none if it has not run.
    reply: Option<Range<usize>>,
    nanos: u64,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Queue")
            .field("commands", &self.entries.len())
            .field("lies", &self.lies)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// Appends a copy of a request. `lies` is where its keys lie; `is_brief` says that it takes so little
    /// time that others of the same command may be measured together with it.
    pub fn push(&mut self, request: Request<'_>, lies: Lies, is_brief: bool) {
        let command = request.command;
        let flags = self.flags.unwrap_or(Flags::NONE);
        self.flags = Some(flags.and(command.declaration.flags_of(request.args)));
        self.lies = self.lies.and(lies);
        let position = self.entries.len();
        let entry = self.entry(Runs::Shard(command), request.args, position);
        self.entries.push(Entry {
            db: request.db,
            resp: request.resp,
            touch: request.touch,
            is_brief,
            tag: request.tag,
            first_hash: request.first_hash,
            ..entry
        });
    }

    /// Appends a copy of a command of the coordinator, which the sender calls `tag`.
    pub fn push_control(&mut self, args: Args<'_>, tag: u16, sees_data: bool) {
        self.lies = Lies::Apart;
        let position = self.entries.len();
        let entry = self.entry(Runs::Control { sees_data }, args, position);
        self.entries.push(Entry { tag, ..entry });
    }

    /// Appends a copy of command `index` of another queue.
    pub(crate) fn push_part(&mut self, whole: &Self, index: usize) {
        self.measures_each = whole.measures_each;
        let from = &whole.entries[index];
        let entry = self.entry(from.runs, whole.args(index), index);
        self.entries.push(Entry {
            start: entry.start,
            first_word: entry.first_word,
            position: index,
            ..from.clone()
        });
    }

    /// Copies words, and returns an entry for them.
    fn entry(&mut self, runs: Runs, args: Args<'_>, position: usize) -> Entry {
        let (start, first_word) = (self.bytes.len(), self.words.len());
        for word in args.iter() {
            let from = u32_from(self.bytes.len() - start);
            self.bytes.extend_from_slice(word);
            let to = u32_from(self.bytes.len() - start);
            self.words.push(WordRange {
                start: from,
                end: to,
            });
        }
        Entry {
            runs,
            db: DbIndex(0),
            resp: Resp::default(),
            touch: true,
            is_brief: false,
            tag: 0,
            first_hash: None,
            start,
            first_word,
            word_count: args.len(),
            position,
            reply: None,
            nanos: 0,
        }
    }

    /// Returns how many commands there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the bytes of all words.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether a command on shards has this flag.
    #[must_use]
    pub fn has_flag(&self, flag: Flags) -> bool {
        self.flags.is_some_and(|flags| flags.has(flag))
    }

    /// Returns where all keys lie.
    #[must_use]
    pub fn lies(&self) -> Lies {
        self.lies
    }

    /// Returns the words of a command.
    #[must_use]
    pub fn args(&self, index: usize) -> Args<'_> {
        let entry = &self.entries[index];
        let words = &self.words[entry.first_word..entry.first_word + entry.word_count];
        Args::new(&self.bytes[entry.start..], words)
    }

    /// Returns a command, if there are that many.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Queued<'_>> {
        let entry = self.entries.get(index)?;
        let args = self.args(index);
        Some(match entry.runs {
            Runs::Shard(command) => Queued::Shard(Request {
                command,
                db: entry.db,
                resp: entry.resp,
                touch: entry.touch,
                args,
                first_hash: entry.first_hash,
                tag: entry.tag,
            }),
            Runs::Control { sees_data } => Queued::Control { args, sees_data },
        })
    }

    /// Returns a command, if it is one on shards.
    #[must_use]
    pub fn request(&self, index: usize) -> Option<Request<'_>> {
        match self.get(index)? {
            Queued::Shard(request) => Some(request),
            Queued::Control { .. } => None,
        }
    }

    /// Returns all commands in order.
    pub fn iter(&self) -> impl Iterator<Item = Queued<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Returns the commands on shards.
    pub fn requests(&self) -> impl Iterator<Item = Request<'_>> {
        (0..self.len()).filter_map(|index| self.request(index))
    }

    /// Returns the sender's own number of a command.
    #[must_use]
    pub fn tag(&self, index: usize) -> u16 {
        self.entries[index].tag
    }

    /// Sets the database and the protocol that count for a command.
    pub fn set_surroundings(&mut self, index: usize, db: DbIndex, resp: Resp) {
        let entry = &mut self.entries[index];
        (entry.db, entry.resp) = (db, resp);
    }

    /// Has each command measured by itself, however brief.
    pub fn measure_each(&mut self, measures_each: bool) {
        self.measures_each = measures_each;
    }

    /// Returns whether the time is to be taken behind a command whose reply has so many bytes: not if its
    /// like follows and both are brief.
    pub(crate) fn is_measured(&self, index: usize, reply_bytes: usize) -> bool {
        let is_brief = self.entries[index].is_brief && reply_bytes <= BRIEF_BYTES_MAX;
        let next = self.entries.get(index + 1);
        let is_same = next.is_some_and(|next| next.tag == self.entries[index].tag);
        self.measures_each || !is_brief || !is_same
    }

    /// Keeps the hash of word 1 of a command.
    pub(crate) fn set_first_hash(&mut self, index: usize, hash: u64) {
        self.entries[index].first_hash = Some(hash);
    }

    /// Lends the buffer of replies, to be given back by [`Self::give_replies`].
    pub(crate) fn take_replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.replies)
    }

    /// Takes the buffer of replies back.
    pub(crate) fn give_replies(&mut self, replies: Vec<u8>) {
        self.replies = replies;
    }

    /// Notes where the reply of a command lies among the replies.
    pub(crate) fn note_reply(&mut self, index: usize, reply: Range<usize>) {
        self.entries[index].reply = Some(reply);
    }

    /// Shares out the time of some commands among them equally.
    pub(crate) fn note_nanos(&mut self, indexes: RangeInclusive<usize>, nanos: u64) {
        let measured = &mut self.entries[indexes];
        let each = nanos / base::cast::u64_from(measured.len().max(1));
        for entry in measured {
            entry.nanos = each;
        }
    }

    /// Adds to the time of a command.
    pub(crate) fn add_nanos(&mut self, index: usize, nanos: u64) {
        self.entries[index].nanos += nanos;
    }

    /// Sets the reply of a command.
    pub(crate) fn set_reply(&mut self, index: usize, reply: &[u8]) {
        let start = self.replies.len();
        self.replies.extend_from_slice(reply);
        self.entries[index].reply = Some(start..self.replies.len());
    }

    /// Takes over the replies and the times of a part, made by [`Self::push_part`].
    pub(crate) fn take_part(&mut self, part: &Self) {
        for (index, entry) in part.entries.iter().enumerate() {
            if let Some(reply) = part.reply(index) {
                self.set_reply(entry.position, reply);
                self.entries[entry.position].nanos = entry.nanos;
            }
        }
    }

    /// Notes that nothing runs, as a watched key has changed.
    pub(crate) fn abort(&mut self) {
        self.is_aborted = true;
    }

    /// Returns whether nothing has run, as a watched key had changed.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.is_aborted
    }

    /// Returns the reply of a command, if it has run.
    #[must_use]
    pub fn reply(&self, index: usize) -> Option<&[u8]> {
        let range = self.entries[index].reply.clone()?;
        self.replies.get(range)
    }

    /// Returns how long a command ran.
    #[must_use]
    pub fn nanos(&self, index: usize) -> u64 {
        self.entries[index].nanos
    }

    /// Returns what the client is told of this command on shards: its number, how long it ran, and its
    /// reply. None if it has not run, or is one of the coordinator.
    #[must_use]
    pub fn outcome(&self, index: usize) -> Option<(u16, u64, &[u8])> {
        let entry = &self.entries[index];
        match entry.runs {
            Runs::Shard(_) => Some((entry.tag, entry.nanos, self.reply(index)?)),
            Runs::Control { .. } => None,
        }
    }

    /// Writes the reply to EXEC.
    pub fn write_reply(&self, reply: &mut Reply<'_>) {
        if self.is_aborted {
            return reply.null_array();
        }
        reply.array(self.len());
        for index in 0..self.len() {
            reply.raw(self.reply(index).unwrap_or_default());
        }
    }

    /// Empties the queue for its next use; large buffers are freed.
    pub fn clear(&mut self) {
        clear_or_free(&mut self.bytes, BUFFER_KEPT_BYTES);
        clear_or_free(&mut self.replies, BUFFER_KEPT_BYTES);
        clear_or_free(&mut self.words, BUFFER_KEPT_BYTES);
        clear_or_free(&mut self.entries, BUFFER_KEPT_BYTES);
        self.flags = None;
        self.lies = Lies::Anywhere;
        self.measures_each = false;
        self.is_aborted = false;
    }
}

/// A larger buffer is freed when its queue is over.
const BUFFER_KEPT_BYTES: usize = 16 * 1024;

/// A command with a longer reply is measured by itself.
const BRIEF_BYTES_MAX: usize = 1024;

/// An EXEC on its way to the one shard that has all its keys, and back with its replies.
#[derive(Debug)]
pub struct SentExec {
    /// Where the reply belongs, on the core that sends it.
    pub origin: Origin,
    /// What it runs.
    pub queue: Queue,
    /// Keys that may not have changed.
    pub watched: Vec<Watched>,
    /// The protocol of the reply.
    pub resp: Resp,
    /// The words of the EXEC.
    pub words: PackedArgs,
    /// The sender's own number of its command.
    pub tag: u16,
    /// How long all took together.
    pub nanos: u64,
}
