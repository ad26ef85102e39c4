//! Everything that crosses cores for the sake of data.
//!
//! Messages from the same sender arrive in the order they were sent. Requests and replies travel on
//! separate lanes, so that a core with a full inbox can still be answered.

pub mod changes;
pub mod queue;

use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId, TxId};
use commands::sort::{Order, Taken, Text};
use commands::spec::{CommandError, ShardCommand};
use commands::table::parts::{TableOutcome, TableStep};
use commands::wait_form::Waiting;
use protocol::args::{Args, LargeWord, PackedArgs, WordRange};
use protocol::reply::Resp;
use shard::Shard;
use shard::keyspace::Detached;
use shard::loan::Loan;
use shard::locks::Claim;
use shard::watches::Author;

use self::queue::{Queue, SentExec};
use crate::long_reply::Source;

/// From core to core.
#[derive(Debug)]
pub enum Message {
    /// Requests of one turn for one shard.
    Requests(Box<Envelope>),
    /// The same envelope on its way back, with the replies.
    Replies(Box<Envelope>),
    /// The reply to a request that had to wait for a transaction.
    LateReply(Box<LateReply>),
    /// A reply that is made in steps, on the core of its connection.
    Long(Box<Handed>),
    /// Others wait for the value that a long reply walks over: it is to make haste.
    Wanted {
        /// The claim that keeps them waiting.
        tx: TxId,
    },
    /// Gives back the values that a long reply has walked over.
    Return {
        /// The claim on their keys, which ends.
        tx: TxId,
        /// The database.
        db: DbIndex,
        /// The values.
        loans: Box<[Loan]>,
    },
    /// Claims keys for a transaction.
    Schedule {
        /// The transaction; its coordinator is the sender.
        tx: TxId,
        /// The connection it is for: [`Origin::connection`].
        connection: u64,
        /// What it will use.
        claim: Claim,
    },
    /// The answer to [`Message::Schedule`].
    Scheduled {
        /// The transaction.
        tx: TxId,
        /// Whether the claim has its place; if not, nothing was kept.
        accepted: bool,
    },
    /// One hop of a transaction that all its shards have accepted.
    Hop {
        /// The transaction.
        tx: TxId,
        /// What to do, in order.
        operations: Vec<Operation>,
        /// What becomes of the claim.
        end: HopEnd,
        /// The time that all of its hops see: nothing expires in the midst of a transaction.
        now: UnixMillis,
    },
    /// [`Message::Schedule`] and the first [`Message::Hop`] in one, for the last shard whose word is
    /// missing: [`Message::HopDone`], or [`Message::Refused`].
    Begin {
        /// The transaction.
        tx: TxId,
        /// The connection it is for.
        connection: u64,
        /// What it will use.
        claim: Claim,
        /// What to do, in order.
        operations: Vec<Operation>,
        /// What becomes of the claim.
        end: HopEnd,
        /// The time that all hops see.
        now: UnixMillis,
    },
    /// Gives the operations of [`Message::Begin`] back: the claim came too late, and nothing was kept.
    Refused {
        /// The transaction.
        tx: TxId,
        /// What was to be done.
        operations: Vec<Operation>,
    },
    /// A whole transaction that needs one shard only: claim, hop and release in one.
    Alone {
        /// The transaction.
        tx: TxId,
        /// What it will use.
        claim: Claim,
        /// What to do, in order.
        operations: Vec<Operation>,
    },
    /// The answer to [`Message::Hop`], [`Message::Begin`] and [`Message::Alone`].
    HopDone {
        /// The transaction.
        tx: TxId,
        /// One outcome per operation; fewer if a watch check failed, which is then the last.
        outcomes: Vec<Outcome>,
        /// How long the operations ran, together.
        nanos: u64,
        /// Whether the shard keeps changes of the transaction back from the log.
        is_held: bool,
    },
    /// An EXEC of which all keys lie on this shard: [`Message::Executed`], at once or later.
    Exec(Box<SentExec>),
    /// The same on its way back.
    Executed(Box<SentExec>),
    /// Withdraws a claim.
    Release {
        /// The transaction.
        tx: TxId,
    },
    /// A request that may wait for its keys, which all lie on this shard: [`Message::Woken`], at once
    /// or later.
    Wait {
        /// Its name.
        waiter: WaiterNumber,
        /// The request.
        request: Box<OwnedRequest>,
        /// Who is not to be told of its changes.
        author: Option<Author>,
    },
    /// Ends the waiting of a request, if it still waits.
    Forget {
        /// Its name.
        waiter: WaiterNumber,
        /// Whether [`Message::Forgotten`] is to come back. A reply to the request comes before it, or
        /// instead of it: one that has not looked at its keys yet does so first.
        is_answered: bool,
    },
    /// A shard that has a key for a request which waits on several shards, or moves an element to
    /// another one: it has claimed the key for transaction `tx`, which the coordinator may run now. It
    /// answers with a hop, with [`Message::Release`] or with [`Message::Later`].
    Offer {
        /// The request.
        waiter: WaiterNumber,
        /// The transaction; its id is the shard's.
        tx: TxId,
        /// The key.
        key: Box<[u8]>,
    },
    /// Declines an offer because of another one, and wants no more until [`Message::Again`].
    Later {
        /// The transaction of the offer.
        tx: TxId,
        /// The request.
        waiter: WaiterNumber,
    },
    /// Wants offers again: the other one has come to nothing.
    Again {
        /// The request.
        waiter: WaiterNumber,
    },
    /// The core of a connection knows that a statement of it was handed back: nothing that it has sent before is under
    /// way any more.
    Noticed {
        /// The connection.
        connection: u64,
    },
    /// The reply to [`Message::Wait`].
    Woken(Box<Woken>),
    /// The answer to [`Message::Forget`].
    Forgotten {
        /// The request.
        waiter: WaiterNumber,
    },
}

impl Message {
    /// Returns whether this travels on the lane of replies.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        match self {
            Self::Replies(_)
            | Self::LateReply(_)
            | Self::Long(_)
            | Self::Wanted { .. }
            | Self::Scheduled { .. }
            | Self::Refused { .. }
            | Self::HopDone { .. }
            | Self::Executed(_)
            | Self::Offer { .. }
            | Self::Woken(_)
            | Self::Forgotten { .. } => true,
            Self::Requests(_)
            | Self::Return { .. }
            | Self::Schedule { .. }
            | Self::Hop { .. }
            | Self::Begin { .. }
            | Self::Alone { .. }
            | Self::Exec(_)
            | Self::Release { .. }
            | Self::Wait { .. }
            | Self::Forget { .. }
            | Self::Later { .. }
            | Self::Again { .. }
            | Self::Noticed { .. } => false,
        }
    }
}

/// What becomes of a claim when a hop has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopEnd {
    /// It stays: more follows.
    Stays,
    /// It ends.
    Ends,
    /// It stays until [`Message::Release`], and all that the transaction has changed on this shard goes to the
    /// log, as one of so many parts.
    IsWritten(u16),
}

/// Names a request that waits for its keys; means something only together with its coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaiterNumber(pub u64);

/// The reply to a request that could wait for its keys.
#[derive(Debug)]
pub struct Woken {
    /// The request.
    pub waiter: WaiterNumber,
    /// The reply.
    pub reply: Vec<u8>,
    /// How long it ran, the waiting not counted.
    pub nanos: u64,
}

/// Where a reply belongs; means something only on the core that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The connection.
    pub connection: u64,
    /// The place in its output.
    pub place: u64,
}

/// A request for one shard.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The command.
    pub command: &'static ShardCommand,
    /// The selected database.
    pub db: DbIndex,
    /// The protocol of the reply.
    pub resp: Resp,
    /// Whether reads count as accesses.
    pub touch: bool,
    /// All words, the name included.
    pub args: Args<'a>,
    /// The hash of word 1, if it is known already.
    pub first_hash: Option<u64>,
    /// The sender's own number of the command; it comes back with the reply.
    pub tag: u16,
}

/// A request that owns its words.
pub struct OwnedRequest {
    /// The command.
    pub command: &'static ShardCommand,
    /// The selected database.
    pub db: DbIndex,
    /// The protocol of the reply.
    pub resp: Resp,
    /// Whether reads count as accesses.
    pub touch: bool,
    /// All words, the name included.
    pub args: PackedArgs,
    /// A long word that came by itself.
    pub large: Option<LargeWord>,
    /// The sender's own number of the command.
    pub tag: u16,
}

impl OwnedRequest {
    /// Copies `request`.
    #[must_use]
    pub fn new(request: Request<'_>) -> Self {
        Self {
            command: request.command,
            db: request.db,
            resp: request.resp,
            touch: request.touch,
            args: PackedArgs::from_args(request.args),
            large: None,
            tag: request.tag,
        }
    }

    /// Returns the request.
    #[must_use]
    pub fn as_request(&self) -> Request<'_> {
        Request {
            command: self.command,
            db: self.db,
            resp: self.resp,
            touch: self.touch,
            args: self.args.args(),
            first_hash: None,
            tag: self.tag,
        }
    }
}

impl std::fmt::Debug for OwnedRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("OwnedRequest")
            .field("command", &self.command.declaration.name)
            .field("db", &self.db)
            .finish_non_exhaustive()
    }
}

/// The reply to a request that had to wait.
#[derive(Debug)]
pub struct LateReply {
    /// Where it belongs.
    pub origin: Origin,
    /// The request, for statistics and the slow log.
    pub request: OwnedRequest,
    /// The reply.
    pub reply: Vec<u8>,
    /// How long it ran.
    pub nanos: u64,
}

/// A long reply on its way to the core of its connection.
#[derive(Debug)]
pub struct Handed {
    /// Where it belongs.
    pub origin: Origin,
    /// The request, for statistics and the slow log.
    pub request: OwnedRequest,
    /// How long the command ran before its first step.
    pub nanos: u64,
    /// What makes it.
    pub source: Source,
}

/// A key that a client watches, and the version it saw. A table that is spread is watched on each shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Where it is watched.
    pub shard: ShardId,
    /// The database.
    pub db: DbIndex,
    /// The key.
    pub key: Box<[u8]>,
    /// The version when it was watched.
    pub version: u64,
}

/// One thing a shard does within a hop.
#[derive(Debug)]
pub enum Operation {
    /// Something else than a command, for which the whole shard is claimed: [`Outcome::Done`].
    Visit(Visit),
    /// Says who makes the changes of the rest of the hop: [`Outcome::Done`].
    Sign(Author),
    /// Runs a command: [`Outcome::Reply`].
    Run(Box<OwnedRequest>),
    /// Runs a command that shows names of keys: [`Outcome::Reply`]. If it is all that is done in the last hop, that
    /// comes when the names were walked over, and the claim ends before.
    Names(Box<OwnedRequest>),
    /// Runs commands of a MULTI, in order: [`Outcome::Replies`].
    RunAll(Box<Queue>),
    /// Takes the value of a key out: [`Outcome::Lent`].
    Lend {
        /// The database.
        db: DbIndex,
        /// The key.
        key: Box<[u8]>,
        /// Whether it counts as a hit or a miss.
        read: bool,
        /// Whether it counts as an access.
        touch: bool,
    },
    /// Runs a command with values of other shards: [`Outcome::ReplyWith`].
    RunWith {
        /// The command.
        request: Box<OwnedRequest>,
        /// The values.
        loans: Vec<Loan>,
        /// Whether it may wait for its keys.
        waiting: Waiting,
    },
    /// Puts a request into the queues at keys of this shard: [`Outcome::Done`].
    Await {
        /// The request.
        waiter: WaiterNumber,
        /// The same.
        request: Box<OwnedRequest>,
        /// The words of it that are these keys.
        words: Vec<usize>,
    },
    /// Runs a request that waits here, for one of its keys, which has been offered:
    /// [`Outcome::Reply`], and it waits here no more; or [`Outcome::Done`] if there is nothing after
    /// all.
    Wake {
        /// The request.
        waiter: WaiterNumber,
        /// The key.
        key: Box<[u8]>,
    },
    /// Puts a value back as it has become: [`Outcome::Done`].
    Settle {
        /// The database.
        db: DbIndex,
        /// The value.
        loan: Box<Loan>,
    },
    /// Copies an entry out: [`Outcome::Entry`].
    Fetch {
        /// The database.
        db: DbIndex,
        /// The key.
        key: Box<[u8]>,
        /// Whether it counts as an access.
        touch: bool,
    },
    /// Writes an entry, replacing what is there: [`Outcome::Done`].
    Store {
        /// The database.
        db: DbIndex,
        /// The key.
        key: Box<[u8]>,
        /// The entry.
        entry: Box<Detached>,
        /// The event that tells of it.
        event: &'static str,
    },
    /// Removes a key: [`Outcome::Integer`], 1 if it was there.
    Remove {
        /// The database.
        db: DbIndex,
        /// The key.
        key: Box<[u8]>,
        /// The event that tells of it.
        event: &'static str,
    },
    /// Counts those of the keys that exist: [`Outcome::Integer`].
    Exists {
        /// The database.
        db: DbIndex,
        /// The keys.
        keys: Vec<Box<[u8]>>,
    },
    /// Counts the keys of a database: [`Outcome::Integer`].
    Size {
        /// The database.
        db: DbIndex,
    },
    /// Begins to watch a key: [`Outcome::Integer`], its version.
    Watch {
        /// The database.
        db: DbIndex,
        /// The key.
        key: Box<[u8]>,
        /// It is watched on this shard only.
        is_alone: bool,
    },
    /// A step of a table statement: [`Outcome::Table`].
    Table(DbIndex, Box<TableStep>),
    /// A step of SORT.
    Sort(SortStep),
    /// Ends watches and says whether the keys are as they were: [`Outcome::Integer`], 1 or 0. After a
    /// 0 the rest of the hop is left out.
    CheckWatches(Vec<Watched>),
}

/// What a shard does for SORT.
#[derive(Debug)]
pub enum SortStep {
    /// Takes the elements of a value for SORT: [`Outcome::Elements`].
    Elements {
        /// The database.
        db: DbIndex,
        /// The key.
        key: Box<[u8]>,
        /// Whether it counts as an access.
        touch: bool,
        /// What SORT will do with them.
        order: Order,
    },
    /// Reads strings, or a field of hashes: [`Outcome::Values`].
    LookUp {
        /// The database.
        db: DbIndex,
        /// The keys.
        keys: Vec<Text>,
        /// The field, if they hold hashes.
        field: Option<Text>,
        /// Whether reads count as accesses.
        touch: bool,
    },
    /// Makes a list of what SORT shows, or removes the key if that is nothing: [`Outcome::Done`].
    Store {
        /// The database.
        db: DbIndex,
        /// The key.
        key: Box<[u8]>,
        /// The elements; what is missing becomes an empty one.
        shown: Vec<Option<Text>>,
    },
}

/// Something done to a shard that the coordinator need not understand.
pub struct Visit(Box<dyn FnOnce(&mut Shard) + Send>);

impl Visit {
    /// Wraps what is to be done.
    pub fn new(work: impl FnOnce(&mut Shard) + Send + 'static) -> Self {
        Self(Box::new(work))
    }

    /// Does it.
    pub(crate) fn run(self, shard: &mut Shard) -> Outcome {
        (self.0)(shard);
        Outcome::Done
    }
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Visit")
    }
}

/// What an [`Operation`] gave.
#[derive(Debug)]
pub enum Outcome {
    /// A reply in the client's protocol.
    Reply {
        /// Its bytes.
        bytes: Vec<u8>,
        /// How long the command ran.
        nanos: u64,
    },
    /// The same commands with their replies.
    Replies(Box<Queue>),
    /// A value, taken out of its key.
    Lent(Box<Loan>),
    /// A reply, and the values that were lent for it.
    ReplyWith {
        /// The reply's bytes.
        bytes: Vec<u8>,
        /// How long the command ran.
        nanos: u64,
        /// The values.
        loans: Vec<Loan>,
        /// It asks to wait; there is no reply.
        waits: bool,
    },
    /// A copy of an entry.
    Entry(Option<Box<Detached>>),
    /// The elements of a value, unless its type has none.
    Elements(Box<Result<Taken, CommandError>>),
    /// The values of keys, in their order.
    Values(Vec<Option<Text>>),
    /// What came of a step of a table statement.
    Table(Box<TableOutcome>),
    /// A number.
    Integer(i64),
    /// Nothing to say.
    Done,
}

/// Requests of one turn from one core to one shard, packed into few allocations. The envelope returns
/// to its sender with the replies and is used again, so memory is freed where it was allocated.
#[derive(Default)]
pub struct Envelope {
    bytes: Vec<u8>,
    words: Vec<WordRange>,
    entries: Vec<Entry>,
    /// The replies of all requests, one after the other.
    pub replies: Vec<u8>,
}

/// One request of an [`Envelope`].
#[derive(Clone, Copy)]
pub struct Entry {
    /// Where the reply belongs.
    pub origin: Origin,
    /// The command.
    pub command: &'static ShardCommand,
    /// The selected database.
    pub db: DbIndex,
    /// The protocol of the reply.
    pub resp: Resp,
    /// Whether reads count as accesses.
    pub touch: bool,
    /// The hash of word 1, once the owner has computed it.
    pub first_hash: Option<u64>,
    /// The sender's own number of the command.
    pub tag: u16,
    start: u32,
    first_word: u32,
    word_count: u32,
    /// Where the reply ends in `replies`: beyond 4 GiB, where a pipeline reads many large values.
    pub reply_end: usize,
    /// How long the command ran, in nanoseconds.
    pub nanos: u32,
    /// Whether the reply comes later.
    pub is_late: bool,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Envelope")
            .field("requests", &self.entries.len())
            .finish()
    }
}

impl Envelope {
    /// Appends a copy of `request`.
    ///
    /// # Panics
    ///
    /// If the envelope would exceed 4 GiB; [`Self::has_room`] says so before.
    pub fn push(&mut self, origin: Origin, request: Request<'_>) {
        let start = base::cast::u32_from(self.bytes.len());
        let first_word = base::cast::u32_from(self.words.len());
        for word in request.args.iter() {
            let from = base::cast::u32_from(self.bytes.len()) - start;
            self.bytes.extend_from_slice(word);
            let to = base::cast::u32_from(self.bytes.len()) - start;
            self.words.push(WordRange {
                start: from,
                end: to,
            });
        }
        self.entries.push(Entry {
            origin,
            command: request.command,
            db: request.db,
            resp: request.resp,
            touch: request.touch,
            first_hash: None,
            tag: request.tag,
            start,
            first_word,
            word_count: base::cast::u32_from(request.args.len()),
            reply_end: 0,
            nanos: 0,
            is_late: false,
        });
    }

    /// Returns whether a request of `bytes` bytes may still be added.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.bytes.len() + bytes < ENVELOPE_BYTES_MAX || self.entries.is_empty()
    }

    /// Returns the requests.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the requests for change.
    pub fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    /// Returns whether there is no request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns request `index`.
    #[must_use]
    pub fn request(&self, index: usize) -> Request<'_> {
        let entry = &self.entries[index];
        let first = base::cast::usize_from_u32(entry.first_word);
        let count = base::cast::usize_from_u32(entry.word_count);
        let start = base::cast::usize_from_u32(entry.start);
        Request {
            command: entry.command,
            db: entry.db,
            resp: entry.resp,
            touch: entry.touch,
            args: Args::new(&self.bytes[start..], &self.words[first..first + count]),
            first_hash: entry.first_hash,
            tag: entry.tag,
        }
    }

    /// Returns the reply of request `index`.
    #[must_use]
    pub fn reply(&self, index: usize) -> &[u8] {
        let end = |index: usize| self.entries[index].reply_end;
        let start = index.checked_sub(1).map_or(0, end);
        &self.replies[start..end(index)]
    }

    /// Empties the envelope for its next use; large buffers are freed.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.words.clear();
        clear_or_free(&mut self.bytes, BUFFER_KEPT_BYTES);
        clear_or_free(&mut self.replies, BUFFER_KEPT_BYTES);
    }
}

/// Empties a buffer, and frees one that takes more than `kept_bytes`.
fn clear_or_free<T>(buffer: &mut Vec<T>, kept_bytes: usize) {
    buffer.clear();
    if buffer.capacity() * size_of::<T>() > kept_bytes {
        *buffer = Vec::new();
    }
}

/// An envelope is sent before it grows beyond this, unless a single request is larger.
const ENVELOPE_BYTES_MAX: usize = 1024 * 1024;

/// A larger buffer is freed when its envelope comes home.
const BUFFER_KEPT_BYTES: usize = 256 * 1024;
