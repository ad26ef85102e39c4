//! Fingerprints of values and databases, for DEBUG DIGEST-VALUE and DEBUG DIGEST.
//!
//! The scheme is Redis's, so that a data set can be compared with a real server: checked byte by
//! byte with redis-server 7.0.15. A database's fingerprint is the XOR over its keys, so those of the
//! shards join by XOR in any order.

use base::ids::DbIndex;
use sha1::{Digest as _, Sha1};

use crate::entry::{EntryRef, ValueRef};

/// Twenty bytes.
pub type Digest = [u8; 20];

/// The number Redis gives to the type of strings.
const STRING_TYPE: u32 = 0;

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
    digest
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
        ValueRef::Other(value) => match value {
            types::Value::String(bytes) => mix(digest, bytes),
        },
    }
    if entry.expire_at().is_some() {
        join(digest, &hash(b"!!expire!!"));
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
