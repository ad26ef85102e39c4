//! What travels between the cores and the thread that makes a file, and how it is made of entries.
//!
//! ```text
//!   core:    entries -> bytes of some 100 KiB -> piece            long string -> share -> piece
//!            large value -> head, part ... last part              rows -> piece
//!   thread:  pieces in any order, but the parts of a value stand together: what comes between waits
//! ```
//!
//! Invariants
//! - Pieces of many entries begin with their database, so their order is free.
//! - One shard at a time sends parts ([`Sender`] has the place for it); the others go on with all else until there is
//!   no room for more.
//! - What the thread has not taken, or puts aside, is bounded in bytes, but for entries that change and for what is left
//!   of a value that somebody changes without waiting.
//!
//! Not here: what the thread does with the pieces ([`super::save`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::TrySendError;

use base::cast::u64_from;
use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId};
use runtime::channel::{self, Receiver, bounded};
use shard::Shard;
use shard::entry::{EntryRef, ValueRef};
use shard::eviction::EvictionOrder;
use shard::sink::{SharedSink, Sink};
use storage::rdb_file::{Marks, Use, Writer};
use tables::catalog::Catalog;
use tables::walk::Piece as Rows;
use types::Value;
use types::rdb::{Object, Steps};

use crate::config::settings::Settings;

/// A piece is handed on when it has so many bytes. Few in simulated worlds, whose values are small.
pub(super) const PIECE_BYTES: usize = if cfg!(feature = "simulation") {
    64
} else {
    128 * 1024
};
/// Pieces between the cores and the thread, and bytes of them above which the cores make no more; parts count by
/// themselves.
const PIECES_MAX: usize = 16;
const SENT_BYTES_MAX: usize = 4 << 20;
/// Bytes of a large value that are made in one step: some tens of microseconds, more if they are compressed.
const STEP_BYTES: usize = if cfg!(feature = "simulation") {
    24
} else {
    16 * 1024
};

/// Something on its way to the file.
pub(super) enum Piece {
    /// The snapshot of a shard has begun.
    Begin(Cut),
    /// Bytes of the file, and how many keys they are.
    Bytes(Vec<u8>, u64),
    /// Bytes of a value, which stand together with its others.
    Part {
        bytes: Vec<u8>,
        is_first: bool,
        is_last: bool,
    },
    /// A string: what stands before it, and its bytes.
    String(Vec<u8>, Arc<Vec<u8>>),
    /// Rows of tables.
    Rows(Rows),
    /// The shard has no more.
    End,
}

impl Piece {
    /// Returns the bytes that it takes: those of a share are the value's.
    fn bytes(&self) -> usize {
        match self {
            Self::Begin(_) | Self::End => 0,
            Self::Bytes(bytes, _) | Self::Part { bytes, .. } | Self::String(bytes, _) => {
                bytes.len()
            }
            Self::Rows(rows) => rows.bytes.len(),
        }
    }
}

/// A shard at the moment of the cut.
pub(super) struct Cut {
    pub(super) shard: ShardId,
    /// By database: keys, and those that expire.
    pub(super) sizes: Vec<(DbIndex, u64, u64)>,
    pub(super) fields_expire: bool,
    /// Its changes so far.
    pub(super) dirty: u64,
    /// There are tables.
    pub(super) has_tables: bool,
    /// The schemas of all databases with tables, from one of the shards.
    pub(super) catalogs: Vec<(DbIndex, Catalog)>,
    /// The time there.
    pub(super) now: UnixMillis,
}

/// Makes the way of the pieces of so many shards.
pub(super) fn pieces_of(shards: usize) -> (Sender, Intake) {
    let (sender, pieces) = bounded(PIECES_MAX);
    let sent = Arc::new(Sent::default());
    let intake = Intake {
        pieces,
        sent: Arc::clone(&sent),
        shards_left: shards,
        is_in_parts: false,
        put_aside: VecDeque::new(),
    };
    let sender = Sender {
        pieces: sender,
        sent,
    };
    (sender, intake)
}

/// Begins the snapshot of a shard. If it `waits`, a step does so until there is room for its pieces: not for cores.
pub(super) fn cut(shard: &mut Shard, form: Form, sender: Sender, waits: bool) {
    let databases = shard.options().databases;
    let mut sizes = Vec::new();
    let mut has_tables = false;
    let mut catalogs = Vec::new();
    for db in (0..databases).map(DbIndex) {
        let catalog = shard.tables().catalog(db);
        if !catalog.is_empty() {
            has_tables = true;
            // All shards have the same ones.
            if form.takes_tables && shard.id() == ShardId(0) {
                catalogs.push((db, catalog.clone()));
            }
        }
        let database = shard.db(db);
        if !database.is_empty() {
            let (keys, expires) = (database.len(), database.expires_len());
            sizes.push((db, u64_from(keys), u64_from(expires)));
        }
    }
    let begin = Piece::Begin(Cut {
        shard: shard.id(),
        sizes,
        fields_expire: shard.has_field_expiries(),
        dirty: shard.stats().dirty,
        has_tables,
        catalogs,
        now: shard.now(),
    });
    shard.begin_snapshot(SharedSink::new(Pieces {
        sender,
        waits,
        form,
        now: shard.now(),
        writer: Writer::new(form.is_compressed),
        db: None,
        keys: 0,
        heads: Writer::new(form.is_compressed),
        parts: Writer::new(form.is_compressed),
        steps: None,
        has_place: false,
        waiting: VecDeque::from([begin]),
        has_ended: false,
    }));
}

/// How entries are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) is_compressed: bool,
    pub(super) order: Option<EvictionOrder>,
    pub(super) lfu_decay_minutes: u32,
    pub(super) takes_tables: bool,
}

impl Form {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            is_compressed: settings.is_rdb_compressed,
            order: settings.memory_policy.map(|policy| policy.order),
            lfu_decay_minutes: settings.lfu_decay_minutes,
            takes_tables: true,
        }
    }

    /// Returns the use of an entry as it is written: only under a policy that goes by it.
    fn use_of(self, entry: EntryRef<'_>, now: UnixMillis) -> Option<Use> {
        match self.order? {
            EvictionOrder::LeastRecent => Some(Use::Idle(entry.idle_seconds(now))),
            EvictionOrder::LeastFrequent => {
                let counter = entry.lfu_frequency(now, self.lfu_decay_minutes);
                Some(Use::Frequency(u8::try_from(counter).unwrap_or(u8::MAX)))
            }
            EvictionOrder::Random | EvictionOrder::SoonestDead => None,
        }
    }
}

/// Makes pieces of the entries of a shard.
struct Pieces {
    sender: Sender,
    waits: bool,
    form: Form,
    now: UnixMillis,
    writer: Writer,
    /// The database that the bytes in `writer` end in.
    db: Option<DbIndex>,
    /// The keys in `writer`.
    keys: u64,
    /// Makes what stands before values that come in parts, or as a share.
    heads: Writer,
    /// The part in the making, and how far its value is.
    parts: Writer,
    steps: Option<Steps>,
    /// This shard is the one that sends parts.
    has_place: bool,
    waiting: VecDeque<Piece>,
    has_ended: bool,
}

impl Pieces {
    fn cut_piece(&mut self) {
        if !self.writer.is_empty() {
            let piece = Piece::Bytes(self.writer.take(), std::mem::take(&mut self.keys));
            self.waiting.push_back(piece);
            self.db = None;
        }
    }

    /// Sends what waits; returns whether all of it has gone.
    fn send(&mut self) -> bool {
        while let Some(piece) = self.waiting.pop_front() {
            if let Piece::Part { is_first: true, .. } = piece
                && !self.take_place()
            {
                self.waiting.push_front(piece);
                return false;
            }
            let ends_parts = matches!(piece, Piece::Part { is_last: true, .. });
            self.sender.note(&piece);
            if self.waits {
                // Who does not read any more says why.
                self.sender.pieces.send(piece).ok();
                continue;
            }
            match self.sender.pieces.try_send(piece) {
                Ok(()) => {}
                Err(TrySendError::Full(piece)) => {
                    self.sender.take_back(&piece);
                    self.waiting.push_front(piece);
                    return false;
                }
                // The thread ends before its time only with the process.
                Err(TrySendError::Disconnected(_)) => {}
            }
            if ends_parts {
                self.has_place = false;
                self.sender.sent.is_in_parts.store(false, Ordering::Release);
            }
        }
        true
    }

    /// Takes the place of the one shard that sends parts, if it is free or this shard's already.
    fn take_place(&mut self) -> bool {
        let is_taken = &self.sender.sent.is_in_parts;
        self.has_place = self.has_place || !is_taken.swap(true, Ordering::Acquire);
        self.has_place
    }

    fn marks_of(&self, entry: EntryRef<'_>) -> Marks {
        (entry.expire_at(), self.form.use_of(entry, self.now))
    }
}

impl Sink for Pieces {
    fn entry(&mut self, db: DbIndex, entry: EntryRef<'_>) {
        if self.db != Some(db) {
            self.writer.database(u64::from(db.0));
            self.db = Some(db);
        }
        let marks = self.marks_of(entry);
        let value = entry.value();
        let object = match &value {
            ValueRef::String(bytes) => Object::String(bytes),
            ValueRef::Other(value) => Object::Value(value),
        };
        self.writer.entry(entry.key(), object, marks, self.now);
        self.keys += 1;
        if self.writer.len() >= PIECE_BYTES {
            self.cut_piece();
        }
    }

    fn takes_parts(&self) -> bool {
        // A thread has nobody to serve, and waits where others go on.
        !self.waits
    }

    fn head(&mut self, db: DbIndex, entry: EntryRef<'_>) -> Vec<u8> {
        let marks = self.marks_of(entry);
        self.heads.database(u64::from(db.0));
        match entry.value() {
            ValueRef::String(_) => self.heads.begin_string(entry.key(), marks),
            ValueRef::Other(value) => {
                self.heads.begin_entry(entry.key(), &value, marks, self.now);
            }
        }
        self.heads.take()
    }

    fn shared(&mut self, head: Vec<u8>, bytes: Arc<Vec<u8>>) {
        self.waiting.push_back(Piece::String(head, bytes));
    }

    fn begin(&mut self, head: Vec<u8>) {
        self.steps = Some(Steps::new(self.now));
        self.waiting.push_back(Piece::Part {
            bytes: head,
            is_first: true,
            is_last: false,
        });
    }

    fn part(&mut self, value: &Value, is_rest: bool) -> bool {
        let Some(steps) = &mut self.steps else {
            return false;
        };
        let bytes = if is_rest { usize::MAX } else { STEP_BYTES };
        let has_more = self.parts.step(steps, value, bytes);
        if !has_more || self.parts.len() >= PIECE_BYTES {
            self.waiting.push_back(Piece::Part {
                bytes: self.parts.take(),
                is_first: false,
                is_last: !has_more,
            });
        }
        if !has_more {
            self.steps = None;
        }
        has_more
    }

    fn takes_rows(&self) -> bool {
        self.form.takes_tables
    }

    fn rows(&mut self, piece: Rows) {
        self.waiting.push_back(Piece::Rows(piece));
    }

    fn has_room(&mut self) -> bool {
        // Who may wait does so for the pieces alone.
        self.send() && (self.waits || self.sender.sent.has_room(self.has_place))
    }

    fn has_enough(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn end(&mut self) -> bool {
        if !self.has_ended {
            self.has_ended = true;
            self.cut_piece();
            self.waiting.push_back(Piece::End);
        }
        self.send()
    }
}

/// A core's end of the channel.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pieces: channel::Sender<Piece>,
    sent: Arc<Sent>,
}

/// What was sent and not written.
#[derive(Debug, Default)]
struct Sent {
    /// Bytes of all pieces but parts.
    bytes: AtomicUsize,
    /// Bytes of parts: the thread may put all others aside until the last of them has come.
    part_bytes: AtomicUsize,
    /// A shard is sending parts.
    is_in_parts: AtomicBool,
}

impl Sent {
    fn has_room(&self, in_parts: bool) -> bool {
        let bytes = if in_parts {
            &self.part_bytes
        } else {
            &self.bytes
        };
        bytes.load(Ordering::Relaxed) < SENT_BYTES_MAX
    }

    fn bytes_like(&self, piece: &Piece) -> &AtomicUsize {
        if matches!(piece, Piece::Part { .. }) {
            &self.part_bytes
        } else {
            &self.bytes
        }
    }

    fn take_back(&self, piece: &Piece) {
        self.bytes_like(piece)
            .fetch_sub(piece.bytes(), Ordering::Relaxed);
    }
}

impl Sender {
    fn note(&self, piece: &Piece) {
        let bytes = self.sent.bytes_like(piece);
        bytes.fetch_add(piece.bytes(), Ordering::Relaxed);
    }

    fn take_back(&self, piece: &Piece) {
        self.sent.take_back(piece);
    }
}

/// The thread's end of the channel.
pub(super) struct Intake {
    pieces: Receiver<Piece>,
    sent: Arc<Sent>,
    /// Shards that have more to send.
    pub(super) shards_left: usize,
    /// The last piece was a part, and not the last one of its value.
    is_in_parts: bool,
    /// What has come meanwhile.
    put_aside: VecDeque<Piece>,
}

impl Intake {
    /// Returns the next piece, in the order in which they are to be written.
    ///
    /// # Errors
    ///
    /// If the cores are gone before their end.
    pub(super) fn next(&mut self) -> Result<Piece, String> {
        let piece = loop {
            if !self.is_in_parts
                && let Some(piece) = self.put_aside.pop_front()
            {
                break piece;
            }
            let piece = self.pieces.recv();
            let piece = piece.map_err(|_gone| "the server has ended".to_owned())?;
            match piece {
                Piece::Part { is_last, .. } => {
                    self.is_in_parts = !is_last;
                    break piece;
                }
                // The file begins when all have begun.
                Piece::Begin(_) => break piece,
                Piece::Bytes(..) | Piece::String(..) | Piece::Rows(_) | Piece::End
                    if self.is_in_parts =>
                {
                    self.put_aside.push_back(piece);
                }
                Piece::Bytes(..) | Piece::String(..) | Piece::Rows(_) | Piece::End => break piece,
            }
        };
        self.sent.take_back(&piece);
        if matches!(piece, Piece::End) {
            self.shards_left -= 1;
        }
        Ok(piece)
    }

    /// Waits until all shards have come to their end.
    pub(super) fn drain(&mut self) {
        while self.shards_left > 0 && self.next().is_ok() {}
    }
}
