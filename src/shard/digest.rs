//! Fingerprints of values and databases, for DEBUG DIGEST-VALUE and DEBUG DIGEST.
//!
//! The scheme is Redis's, so that a data set can be compared with a real server: checked byte by
//! byte with redis-server 7.0.15. A database's fingerprint is the XOR over its keys, so those of the
//! shards join by XOR in any order.

use base::clock::UnixMillis;
use base::ids::DbIndex;
use sha1::{Digest as _, Sha1};
use types::stream::Stream;
use types::stream::id::Id;

use crate::entry::{EntryRef, ValueRef};

/// Twenty bytes.
pub type Digest = [u8; 20];

/// The number Redis gives to the type of strings.
const STRING_TYPE: u32 = 0;

/// The number of lists.
const LIST_TYPE: u32 = 1;

/// The number Redis gives to the type of sets.
const SET_TYPE: u32 = 2;
/// The number Redis gives to the type of streams.
const STREAM_TYPE: u32 = 6;

/// The number of sorted sets.
const SORTED_SET_TYPE: u32 = 3;

/// The number of hashes.
const HASH_TYPE: u32 = 4;

/// Returns the fingerprint of the value and the presence of an expiry, as DEBUG DIGEST-VALUE.
#[must_use]
pub fn value(entry: EntryRef<'_>) -> Digest {
    let mut digest = Digest::default();
    mix_value(&mut digest, entry);
    digest
}

/// Returns the fingerprint of a key with its value: what a database XORs together.
pub(crate) fn key_and_value(entry: EntryRef<'_>) -> Digest {
    let mut digest = Digest::default();
    mix(&mut digest, entry.key());
    mix_value(&mut digest, entry);
    hash(&digest)
}

/// XORs `other` into `digest`.
pub fn join(digest: &mut Digest, other: &Digest) {
    for (byte, other) in digest.iter_mut().zip(other) {
        *byte ^= other;
    }
}

/// Goes on from the fingerprint of all databases before `db` (zeros if there are none with keys) to
/// that with `db`, which must not be empty and whose shards are joined in `keys`.
pub fn mix_database(digest: &mut Digest, db: DbIndex, keys: &Digest) {
    mix(digest, &u32::from(db.0).to_be_bytes());
    join(digest, keys);
}

fn mix_value(digest: &mut Digest, entry: EntryRef<'_>) {
    match entry.value() {
        ValueRef::String(bytes) => {
            mix(digest, &STRING_TYPE.to_be_bytes());
            mix(digest, bytes);
        }
        ValueRef::Other(value) => match &*value {
            types::Value::String(bytes) => mix(digest, bytes),
            types::Value::Shared(bytes) => mix(digest, bytes),
            types::Value::List(list) => {
                mix(digest, &LIST_TYPE.to_be_bytes());
                for element in list.iter() {
                    element.with_bytes(|bytes| mix(digest, bytes));
                }
            }
            types::Value::Set(set) => {
                mix(digest, &SET_TYPE.to_be_bytes());
                for member in set {
                    join(digest, &member.with_bytes(hash));
                }
            }
            types::Value::Hash(hash) => mix_hash(digest, hash),
            types::Value::Stream(stream) => mix_stream(digest, stream),
            types::Value::SortedSet(set) => mix_sorted_set(digest, set),
            types::Value::Lent(_) => {}
        },
    }
    if entry.expire_at().is_some() {
        join(digest, &hash(b"!!expire!!"));
    }
}

/// Joins the fields in any order. Dead fields that were not removed yet count.
fn mix_hash(digest: &mut Digest, fields: &types::hash::Hash) {
    mix(digest, &HASH_TYPE.to_be_bytes());
    fields.for_each_with_expiry(UnixMillis(i64::MIN), &mut |field, value, expire_at| {
        let mut element = Digest::default();
        field.with_bytes(|bytes| mix(&mut element, bytes));
        value.with_bytes(|bytes| mix(&mut element, bytes));
        if expire_at.is_some() {
            join(&mut element, &hash(b"!!hexpire!!"));
        }
        join(digest, &hash(&element));
    });
}

/// Entries count, with their ids; consumer groups do not.
fn mix_stream(digest: &mut Digest, stream: &Stream) {
    mix(digest, &STREAM_TYPE.to_be_bytes());
    for entry in stream.log().range(Id::MIN, Id::MAX) {
        mix(
            digest,
            format!("{}.{}", entry.id.ms, entry.id.sequence).as_bytes(),
        );
        for (field, value) in entry.pairs() {
            field.with_bytes(|bytes| mix(digest, bytes));
            value.with_bytes(|bytes| mix(digest, bytes));
        }
    }
}

/// Joins the members with their scores in any order.
fn mix_sorted_set(digest: &mut Digest, set: &types::sorted_set::SortedSet) {
    mix(digest, &SORTED_SET_TYPE.to_be_bytes());
    let mut text = Vec::new();
    for (member, score) in set.iter() {
        let mut element = Digest::default();
        member.with_bytes(|bytes| mix(&mut element, bytes));
        text.clear();
        base::number::write_f64(&mut text, score);
        mix(&mut element, &text);
        join(digest, &hash(&element));
    }
}

/// Makes `digest` depend on `data` and on everything mixed in before, in this order.
fn mix(digest: &mut Digest, data: &[u8]) {
    join(digest, &hash(data));
    *digest = hash(digest.as_slice());
}

fn hash(data: &[u8]) -> Digest {
    Sha1::digest(data).into()
}

#[cfg(test)]
mod tests {
    use base::clock::UnixMillis;
    use base::ids::ShardId;
    use types::Typed as _;

    use super::*;
    use crate::keyspace::Expiry;
    use crate::{Options, Shard};

    fn hex(digest: &Digest) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn set(shard: &mut Shard, db: DbIndex, key: &[u8], value: &[u8], expiry: Expiry) {
        let key = shard.key(key);
        shard.db(db).set_string(key, value, expiry);
    }

    fn value_of(shard: &mut Shard, key: &[u8]) -> String {
        let key = shard.key(key);
        hex(&value(shard.db(DbIndex(0)).peek(key).unwrap()))
    }

    fn all(shard: &mut Shard) -> String {
        let mut digest = Digest::default();
        for db in (0..16).map(DbIndex) {
            if !shard.db(db).is_empty() {
                let keys = shard.db(db).digest();
                mix_database(&mut digest, db, &keys);
            }
        }
        hex(&digest)
    }

    #[test]
    fn digests_of_lists_are_those_of_redis() {
        // RPUSH k a 12 "" in redis-server 7.0.15.
        let mut shard = Shard::new(ShardId(0), Options::default());
        let mut list = types::list::List::new();
        let rule = types::list::NodeRule::of(&types::Limits::default());
        for element in [b"a".as_slice(), b"12", b""] {
            list.push(types::list::End::Tail, element, &rule);
        }
        let key = shard.key(b"k");
        shard
            .db(DbIndex(0))
            .store(key, list.into_value(), Expiry::Clear);
        assert_eq!(
            value_of(&mut shard, b"k"),
            "92e0533d7a0460c4ec1ed2da5826e627dc918a05"
        );
    }

    #[test]
    fn digests_are_those_of_redis() {
        // DEBUG DIGEST-VALUE and DEBUG DIGEST of redis-server 7.0.15 with the same data.
        let mut shard = Shard::new(ShardId(0), Options::default());
        assert_eq!(all(&mut shard), "0000000000000000000000000000000000000000");
        set(&mut shard, DbIndex(0), b"a", b"b", Expiry::Clear);
        assert_eq!(
            value_of(&mut shard, b"a"),
            "b78559cd22bce6e6df712eb99ce7f3b08e8f8f1f"
        );
        assert_eq!(all(&mut shard), "479783d7290f02957dfbe3408a858ba13eea1709");
        set(
            &mut shard,
            DbIndex(0),
            b"a",
            b"b",
            Expiry::At(UnixMillis(1_000_000)),
        );
        assert_eq!(
            value_of(&mut shard, b"a"),
            "5100a732fe850cb21e67c541d98d3c2b9421ce9c"
        );
        assert_eq!(all(&mut shard), "f3ab785a0fb529fedf3d4009f7fbe16909f6078c");
        set(&mut shard, DbIndex(0), b"n", b"10", Expiry::Clear);
        set(&mut shard, DbIndex(3), b"k", b"v", Expiry::Clear);
        assert_eq!(
            value_of(&mut shard, b"n"),
            "311acb99ec6c2ffc303176a787ecb8f8d91586ec"
        );
        assert_eq!(all(&mut shard), "ee714a4a3e6c4580d3e880bcd540d40a3d2eb6b1");
    }
}
