//! Effects as bytes: what a change of the data leaves for the log.
//!
//! ```text
//!   effect:   tag, u8 | fields                                       integers are little endian
//!   string:   length, u32 | bytes                  object: length, u64 | kind, u8 | bytes
//!
//!   1  put            db u16 | key string | object                         the key has no expiry
//!   2  put expiring   db u16 | milliseconds i64 | key string | object
//!   3  delete         db u16 | key string
//!   4  run            db u16 | milliseconds i64 | count u32 | words, strings
//!   5  clear          db u16
//!   6  swap           db u16 | db u16
//!   7  libraries      number u64 | count u32 | codes, strings
//!   8  part           transaction u64 | shards u16
//!   9  released       transaction u64
//!  32  tables         length u64 | records                     see `tables::bytes::record`
//! ```
//!
//! An object is its kind and its bytes in RDB ([`crate::rdb`]). A part says that what stands behind it up to
//! the next part, or to the end, is what its shard has of a transaction, and how many shards have one. A
//! part of transaction 0 belongs to none. Released says that all parts of a transaction had been written when this
//! was: what stands in this record and behind it may rest on that transaction, what stands in records before does not.
//!
//! Invariants
//! - An effect says what is, not what was done: to apply it needs nothing but what stands before it. Only a
//!   run depends on the value of its key, which the effects before have made the same.
//! - Any bytes may be read: they give effects or [`Damaged`].
//!
//! Not here: what records of tables are (crate `tables`), who makes effects (crate `shard`), and the files they stand in (crate `storage`).

use base::cast::{u32_from, u64_from, usize_from_u32};
use base::clock::UnixMillis;
use base::ids::DbIndex;

mod tag {
    pub(super) const PUT: u8 = 1;
    pub(super) const PUT_EXPIRING: u8 = 2;
    pub(super) const DELETE: u8 = 3;
    pub(super) const RUN: u8 = 4;
    pub(super) const CLEAR: u8 = 5;
    pub(super) const SWAP: u8 = 6;
    pub(super) const LIBRARIES: u8 = 7;
    pub(super) const PART: u8 = 8;
    pub(super) const RELEASED: u8 = 9;
    pub(super) const TABLES: u8 = 32;
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// The key has this value now, whatever it had before.
    Put {
        /// The database.
        db: DbIndex,
        /// The key.
        key: &'a [u8],
        /// When it dies.
        expire_at: Option<UnixMillis>,
        /// The kind of the object in RDB.
        kind: u8,
        /// Its bytes.
        object: &'a [u8],
    },
    /// The key is gone.
    Delete {
        /// The database.
        db: DbIndex,
        /// The key.
        key: &'a [u8],
    },
    /// A command has run that changes one key, whose value is too large to be told whole.
    Run {
        /// The database.
        db: DbIndex,
        /// The time it has seen.
        now: UnixMillis,
        /// Its words; the first is its name in declarations.
        words: Vec<&'a [u8]>,
    },
    /// All keys of the shard in a database are gone.
    Clear {
        /// The database.
        db: DbIndex,
    },
    /// Two databases of the shard have changed places.
    Swap {
        /// One.
        one: DbIndex,
        /// The other.
        other: DbIndex,
    },
    /// All libraries of functions are these now.
    Libraries {
        /// Of two changes of one run of the server, the one with the larger number is the later.
        number: u64,
        /// Their sources.
        codes: Vec<&'a [u8]>,
    },
    /// What follows is of a transaction.
    Part {
        /// Its number; 0 is none.
        transaction: u64,
        /// How many shards have a part of it.
        shards: u16,
    },
    /// Tables have changed.
    Tables {
        /// How, one record behind the other.
        records: &'a [u8],
    },
    /// From here on something may rest on a transaction.
    Released {
        /// Its number.
        transaction: u64,
    },
}

/// The bytes are no effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the bytes are no effects")
    }
}

impl std::error::Error for Damaged {}

/// Appends a put; `object` is its kind and its bytes.
pub fn put(
    out: &mut Vec<u8>,
    db: DbIndex,
    key: &[u8],
    expire_at: Option<UnixMillis>,
    object: &[u8],
) {
    match expire_at {
        None => begin(out, tag::PUT, db),
        Some(at) => {
            begin(out, tag::PUT_EXPIRING, db);
            out.extend_from_slice(&at.0.to_le_bytes());
        }
    }
    string(out, key);
    out.extend_from_slice(&u64_from(object.len()).to_le_bytes());
    out.extend_from_slice(object);
}

/// Appends a delete.
pub fn delete(out: &mut Vec<u8>, db: DbIndex, key: &[u8]) {
    begin(out, tag::DELETE, db);
    string(out, key);
}

/// Appends a run.
pub fn run<'w>(
    out: &mut Vec<u8>,
    db: DbIndex,
    now: UnixMillis,
    words: impl ExactSizeIterator<Item = &'w [u8]>,
) {
    begin(out, tag::RUN, db);
    out.extend_from_slice(&now.0.to_le_bytes());
    out.extend_from_slice(&u32_from(words.len()).to_le_bytes());
    for word in words {
        string(out, word);
    }
}

/// Appends a clear.
pub fn clear(out: &mut Vec<u8>, db: DbIndex) {
    begin(out, tag::CLEAR, db);
}

/// Appends a swap.
pub fn swap(out: &mut Vec<u8>, one: DbIndex, other: DbIndex) {
    begin(out, tag::SWAP, one);
    out.extend_from_slice(&other.0.to_le_bytes());
}

/// Appends libraries.
pub fn libraries(out: &mut Vec<u8>, number: u64, codes: &[Vec<u8>]) {
    out.push(tag::LIBRARIES);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&u32_from(codes.len()).to_le_bytes());
    for code in codes {
        string(out, code);
    }
}

/// Appends the beginning of a part.
pub fn part(out: &mut Vec<u8>, transaction: u64, shards: u16) {
    out.push(tag::PART);
    out.extend_from_slice(&transaction.to_le_bytes());
    out.extend_from_slice(&shards.to_le_bytes());
}

/// Appends changes of tables.
pub fn tables(out: &mut Vec<u8>, records: &[u8]) {
    out.push(tag::TABLES);
    out.extend_from_slice(&u64_from(records.len()).to_le_bytes());
    out.extend_from_slice(records);
}

/// Appends the mark that a transaction was released.
pub fn released(out: &mut Vec<u8>, transaction: u64) {
    out.push(tag::RELEASED);
    out.extend_from_slice(&transaction.to_le_bytes());
}

fn begin(out: &mut Vec<u8>, tag: u8, db: DbIndex) {
    out.push(tag);
    out.extend_from_slice(&db.0.to_le_bytes());
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32_from(bytes.len()).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads effects, one after the other. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Effects<'a> {
    left: &'a [u8],
}

impl<'a> Effects<'a> {
    /// Begins to read.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, left) = self.left.split_first_chunk()?;
        self.left = left;
        Some(*array)
    }

    fn db(&mut self) -> Option<DbIndex> {
        self.array().map(u16::from_le_bytes).map(DbIndex)
    }

    fn time(&mut self) -> Option<UnixMillis> {
        self.array().map(i64::from_le_bytes).map(UnixMillis)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize_from_u32(u32::from_le_bytes(self.array()?));
        let (string, left) = self.left.split_at_checked(len)?;
        self.left = left;
        Some(string)
    }

    fn strings(&mut self) -> Option<Vec<&'a [u8]>> {
        let count = usize_from_u32(u32::from_le_bytes(self.array()?));
        // Each takes four bytes at least, so a wrong count asks for no memory.
        if count > self.left.len() / 4 {
            return None;
        }
        (0..count).map(|_| self.string()).collect()
    }

    fn put(&mut self, db: DbIndex, expire_at: Option<UnixMillis>) -> Option<Effect<'a>> {
        let key = self.string()?;
        let len = usize::try_from(u64::from_le_bytes(self.array()?)).ok()?;
        let (object, left) = self.left.split_at_checked(len)?;
        self.left = left;
        let (&kind, object) = object.split_first()?;
        Some(Effect::Put {
            db,
            key,
            expire_at,
            kind,
            object,
        })
    }

    fn read(&mut self) -> Option<Effect<'a>> {
        let [tag] = self.array()?;
        Some(match tag {
            tag::PUT => {
                let db = self.db()?;
                self.put(db, None)?
            }
            tag::PUT_EXPIRING => {
                let (db, at) = (self.db()?, self.time()?);
                self.put(db, Some(at))?
            }
            tag::DELETE => Effect::Delete {
                db: self.db()?,
                key: self.string()?,
            },
            tag::RUN => Effect::Run {
                db: self.db()?,
                now: self.time()?,
                words: self.strings()?,
            },
            tag::CLEAR => Effect::Clear { db: self.db()? },
            tag::SWAP => Effect::Swap {
                one: self.db()?,
                other: self.db()?,
            },
            tag::LIBRARIES => Effect::Libraries {
                number: u64::from_le_bytes(self.array()?),
                codes: self.strings()?,
            },
            tag::PART => Effect::Part {
                transaction: u64::from_le_bytes(self.array()?),
                shards: u16::from_le_bytes(self.array()?),
            },
            tag::TABLES => {
                let len = usize::try_from(u64::from_le_bytes(self.array()?)).ok()?;
                let (records, left) = self.left.split_at_checked(len)?;
                self.left = left;
                Effect::Tables { records }
            }
            tag::RELEASED => Effect::Released {
                transaction: u64::from_le_bytes(self.array()?),
            },
            _ => return None,
        })
    }
}

impl<'a> Iterator for Effects<'a> {
    type Item = Result<Effect<'a>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let effect = self.read().ok_or(Damaged);
        if effect.is_err() {
            self.left = &[];
        }
        Some(effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<u8> {
        let mut out = Vec::new();
        let (db, at) = (DbIndex(3), UnixMillis(-5));
        put(&mut out, db, b"key", None, b"\x00\x03abc");
        put(&mut out, db, b"", Some(at), b"\x00\x00");
        delete(&mut out, db, b"gone");
        part(&mut out, 77, 2);
        run(&mut out, db, at, [&b"rpush"[..], b"key", b""].into_iter());
        clear(&mut out, db);
        swap(&mut out, db, DbIndex(65_535));
        libraries(&mut out, 6, &[b"code".to_vec(), Vec::new()]);
        tables(&mut out, b"records");
        released(&mut out, 77);
        out
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = all();
        let read: Vec<_> = Effects::new(&bytes).map(Result::unwrap).collect();
        let (db, at) = (DbIndex(3), UnixMillis(-5));
        let put = |key, expire_at, object| Effect::Put {
            db,
            key,
            expire_at,
            kind: 0,
            object,
        };
        let expected = [
            put(b"key", None, b"\x03abc"),
            put(b"", Some(at), b"\x00"),
            Effect::Delete { db, key: b"gone" },
            Effect::Part {
                transaction: 77,
                shards: 2,
            },
            Effect::Run {
                db,
                now: at,
                words: vec![b"rpush", b"key", b""],
            },
            Effect::Clear { db },
            Effect::Swap {
                one: db,
                other: DbIndex(65_535),
            },
            Effect::Libraries {
                number: 6,
                codes: vec![b"code", b""],
            },
            Effect::Tables {
                records: b"records",
            },
            Effect::Released { transaction: 77 },
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn no_bytes_make_reading_panic() {
        let bytes = all();
        for end in 0..bytes.len() {
            // An end between two effects cannot be seen here; the checksum of the record sees it.
            let count = Effects::new(&bytes[..end]).count();
            assert!(count <= Effects::new(&bytes).count(), "{end}");
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[end] ^= 1 << bit;
                Effects::new(&damaged).for_each(drop);
            }
        }
        assert_eq!(Effects::new(b"\x0a").next(), Some(Err(Damaged)));
        assert_eq!(Effects::new(b"\x04\0\0").next(), Some(Err(Damaged)));
    }
}
