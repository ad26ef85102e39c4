//! Values that are one piece of bytes, so that they can lie in memory of somebody else.
//!
//! Small lists, sets, hashes and sorted sets are a listpack or an intset and nothing more. The shard
//! keeps these bytes beside the key, where a [`Value`] would cost three allocations; a command works
//! on the value that [`Packed::unpack`] makes of them.
//!
//! Invariants
//! - What [`Value::packed`] gives, [`Packed::unpack`] turns into an equal value of the same encoding.
//! - The memory of a value goes in and out as it is ([`Packed::unpack`], [`Value::into_memory`]), so
//!   unpacking one value after the other allocates nothing.
//!
//! Not here: which values are small enough (`shard`), bytes from outside (`rdb`): those here are
//! trusted to be what a value gave.

use crate::hash::Hash;
use crate::intset::Intset;
use crate::list::List;
use crate::listpack::Listpack;
use crate::set::Set;
use crate::sorted_set::SortedSet;
use crate::{Kind, Value};

/// What the bytes of a packed value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shape {
    /// A listpack of elements.
    List = 1,
    /// An intset.
    Integers = 2,
    /// A listpack of members.
    Set = 3,
    /// A listpack of fields and values in turns, none of which expires.
    Hash = 4,
    /// A listpack of members and scores in turns.
    SortedSet = 5,
}

impl Shape {
    /// Returns the shape with this number (`shape as u8`).
    #[inline]
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::List),
            2 => Some(Self::Integers),
            3 => Some(Self::Set),
            4 => Some(Self::Hash),
            5 => Some(Self::SortedSet),
            _ => None,
        }
    }

    /// Returns the number, 1 to 5.
    #[inline]
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Returns the type.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::List => Kind::List,
            Self::Integers | Self::Set => Kind::Set,
            Self::Hash => Kind::Hash,
            Self::SortedSet => Kind::SortedSet,
        }
    }
}

/// The bytes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed<'a> {
    /// What they are.
    pub shape: Shape,
    /// As they lie in the value; never empty.
    pub bytes: &'a [u8],
}

impl Packed<'_> {
    /// Returns the value, made in `memory`, whose contents do not matter. O(bytes); allocates if
    /// `memory` is too small.
    #[must_use]
    pub fn unpack(self, mut memory: Vec<u8>) -> Value {
        memory.clear();
        memory.extend_from_slice(self.bytes);
        match self.shape {
            Shape::List => Value::List(List::of_listpack(Listpack::of_trusted(memory))),
            Shape::Integers => Value::Set(Set::from_intset(Intset::of_trusted(memory))),
            Shape::Set => Value::Set(Set::of_listpack(Listpack::of_trusted(memory))),
            Shape::Hash => Value::Hash(Hash::of_listpack(Listpack::of_trusted(memory))),
            Shape::SortedSet => {
                Value::SortedSet(SortedSet::of_listpack(Listpack::of_trusted(memory)))
            }
        }
    }
}

impl Value {
    /// Returns the bytes of the value, if it is one piece of them and no string. O(1).
    #[inline]
    #[must_use]
    pub fn packed(&self) -> Option<Packed<'_>> {
        let (shape, listpack) = match self {
            Self::List(list) => (Shape::List, list.as_listpack()?),
            Self::Set(set) => match set.as_intset() {
                Some(intset) => {
                    return Some(Packed {
                        shape: Shape::Integers,
                        bytes: intset.as_bytes(),
                    });
                }
                None => (Shape::Set, set.as_listpack()?),
            },
            Self::Hash(hash) => (Shape::Hash, hash.as_listpack()?),
            Self::SortedSet(set) => (Shape::SortedSet, set.as_listpack()?),
            Self::String(_) | Self::Shared(_) | Self::Stream(_) | Self::Lent(_) => return None,
        };
        Some(Packed {
            shape,
            bytes: listpack.as_bytes(),
        })
    }

    /// Takes the memory out of a value that is one piece, with any contents; other values are dropped
    /// and leave none.
    #[must_use]
    pub fn into_memory(self) -> Vec<u8> {
        match self {
            Self::String(bytes) => bytes,
            Self::List(list) => list.into_memory(),
            Self::Set(set) => set.into_memory(),
            Self::Hash(hash) => hash.into_memory(),
            Self::SortedSet(set) => set.into_memory(),
            Self::Shared(_) | Self::Stream(_) | Self::Lent(_) => Vec::new(),
        }
    }

    /// Gives back memory that a value of one piece does not need, but for rounding. O(bytes) if there
    /// is any.
    pub fn shrink(&mut self) {
        let Some(Packed { shape, bytes }) = self.packed() else {
            return;
        };
        if self.allocated_bytes(|bytes| bytes) > 2 * bytes.len() {
            *self = Packed { shape, bytes }.unpack(Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use base::clock::UnixMillis;
    use base::random::Random;

    use super::*;
    use crate::hash::{FieldExpiry, Growth};
    use crate::list::{End, NodeRule};
    use crate::{Limits, Typed, set, sorted_set};

    fn seed() -> u64 {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(1);
        println!("SEED={seed}");
        seed
    }

    fn element(random: &mut Random) -> Vec<u8> {
        match random.below(3) {
            0 => random.below(1 << 20).to_string().into_bytes(),
            1 => vec![b'x'; random.index(80)],
            _ => random.next_u64().to_le_bytes().to_vec(),
        }
    }

    /// Grows a value of any type by up to `count` elements, from nothing in `memory`.
    fn grown(random: &mut Random, count: usize, memory: Vec<u8>) -> Value {
        let limits = Limits::default();
        let (hash_seed, now) = ((1, 2), UnixMillis(0));
        match random.below(5) {
            0 => {
                let mut list = List::empty_in(memory);
                for _ in 0..count {
                    let element = element(random);
                    list.push(End::Tail, element.as_slice(), &NodeRule::of(&limits));
                }
                list.into_value()
            }
            kind @ (1 | 2) => {
                let mut members = Set::empty_in(memory);
                for _ in 0..count {
                    let member = if kind == 1 {
                        random.below(1 << 40).to_string().into_bytes()
                    } else {
                        element(random)
                    };
                    members.add(member.as_slice(), &set::Rules::new(&limits, hash_seed));
                }
                members.into_value()
            }
            3 => {
                let mut hash = Hash::empty_in(memory);
                let growth = Growth::new(&limits, hash_seed);
                for _ in 0..count {
                    let (field, value) = (element(random), element(random));
                    hash.set(&field, &value, FieldExpiry::Clear, &growth, now);
                }
                hash.into_value()
            }
            _ => {
                let mut scored = SortedSet::empty_in(memory);
                let rules = sorted_set::Rules::new(&limits, hash_seed);
                for _ in 0..count {
                    let score = f64::from(u32::try_from(random.below(1 << 30)).unwrap()) / 8.0;
                    scored.set(&element(random), score, &rules);
                }
                scored.into_value()
            }
        }
    }

    #[test]
    fn unpacking_gives_the_value_back_in_the_same_memory() {
        let mut random = Random::new(seed());
        let (mut small, mut memory) = (0, Vec::new());
        for _ in 0..2000 {
            let count = [0, 1, 3, 20, 200][random.index(5)];
            let value = grown(&mut random, count, std::mem::take(&mut memory));
            let Some(packed) = value.packed() else {
                memory = value.into_memory();
                continue;
            };
            small += 1;
            assert_eq!(
                Shape::from_number(packed.shape.number()),
                Some(packed.shape)
            );
            assert_eq!(packed.shape.kind(), value.kind());
            let copy = packed.unpack(vec![7; random.index(300)]);
            assert_eq!(copy, value);
            assert_eq!(copy.encoding_name(), value.encoding_name());
            assert_eq!(copy.packed(), Some(packed));
            let mut shrunk = value.clone();
            shrunk.shrink();
            assert_eq!(shrunk, value);
            assert!(shrunk.allocated_bytes(|bytes| bytes) <= 2 * packed.bytes.len());
            memory = copy.into_memory();
            assert!(memory.capacity() >= packed.bytes.len());
        }
        assert!(small > 1000, "{small}");
    }

    #[test]
    fn hashes_with_expiries_and_large_values_are_no_one_piece() {
        let growth = Growth::new(&Limits::default(), (1, 2));
        let (at, now) = (UnixMillis(9), UnixMillis(0));
        let mut hash = Hash::default();
        hash.set(b"f", b"v", FieldExpiry::Clear, &growth, now);
        hash.set_expiry(b"f", Some(at), &growth, now);
        assert_eq!(hash.clone().into_value().packed(), None);
        hash.set_expiry(b"f", None, &growth, now);
        assert!(hash.into_value().packed().is_some());
        assert_eq!(Value::String(b"bytes".to_vec()).packed(), None);
        assert_eq!(Value::Lent(Kind::List).packed(), None);
        assert_eq!(Shape::from_number(0), None);
        assert_eq!(Shape::from_number(6), None);
    }
}
