//! The rows of one value in a hash index, ordered by place.

use super::blocks::Blocks;
use crate::store::Place;

/// A list longer than this is kept in blocks.
const LIST_MAX: usize = 512;

/// Two or more places; one is written in the index itself.
#[derive(Debug)]
pub(super) enum Places {
    /// Few.
    List(Vec<u64>),
    /// Many.
    Blocks(Box<Blocks<u64>>),
}

impl Places {
    pub(super) fn new(one: u64, other: u64) -> Self {
        Self::List(vec![one.min(other), one.max(other)])
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::List(list) => base::cast::u64_from(list.len()),
            Self::Blocks(blocks) => blocks.len(),
        }
    }

    pub(super) fn first(&self) -> Option<u64> {
        match self {
            Self::List(list) => list.first().copied(),
            Self::Blocks(blocks) => blocks.at(blocks.seek(|_| false)).copied(),
        }
    }

    pub(super) fn insert(&mut self, place: u64) -> bool {
        match self {
            Self::List(list) => {
                let Err(at) = list.binary_search(&place) else {
                    return false;
                };
                list.insert(at, place);
                if list.len() > LIST_MAX {
                    let mut blocks = Box::new(Blocks::default());
                    for &place in list.iter() {
                        blocks.insert(place);
                    }
                    *self = Self::Blocks(blocks);
                }
                true
            }
            Self::Blocks(blocks) => blocks.insert(place),
        }
    }

    pub(super) fn remove(&mut self, place: u64) -> bool {
        match self {
            Self::List(list) => list.binary_search(&place).map(|at| list.remove(at)).is_ok(),
            Self::Blocks(blocks) => blocks
                .remove(|&other| other < place, |&other| other == place)
                .is_some(),
        }
    }

    /// Calls `each` with the places from `first` on, ascending, while it says so.
    pub(super) fn walk(&self, first: u64, each: &mut impl FnMut(Place) -> bool) {
        match self {
            Self::List(list) => {
                let begin = list.partition_point(|&place| place < first);
                for &place in &list[begin..] {
                    if !each(Place(place)) {
                        return;
                    }
                }
            }
            Self::Blocks(blocks) => {
                let mut cursor = blocks.seek(|&place| place < first);
                while let Some(&place) = blocks.at(cursor) {
                    if !each(Place(place)) {
                        return;
                    }
                    cursor = blocks.next(cursor);
                }
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::List(list) => list.capacity() * size_of::<u64>(),
            Self::Blocks(blocks) => size_of::<Blocks<u64>>() + blocks.bytes(),
        }
    }
}
