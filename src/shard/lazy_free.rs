//! Freeing of what takes long to free, in small steps.
//!
//! A value of many elements, or all keys of a database, leave the keyspace at once; their memory is
//! given back afterwards, a step after each batch of requests ([`crate::Shard::free_step`]), so that
//! no request waits for more than one step. The core that owns the memory frees it: no other thread is
//! involved.
//!
//! Invariant: what lies here is reachable by no key, and its bytes are no longer in the ledger.

use base::cast::u64_from;
use types::Value;

use crate::dict::Dict;

/// A value with more elements than this is freed in steps.
const EFFORT_MAX: usize = 64;

/// What waits to be freed.
#[derive(Debug, Default)]
pub(crate) struct LazyFree {
    values: Vec<Value>,
    dicts: Vec<Dict>,
    freed: u64,
}

impl LazyFree {
    /// Frees a value: at once if it is small.
    #[inline]
    pub(crate) fn value(&mut self, value: Option<Box<Value>>) {
        if let Some(value) = value
            && value.free_effort() > EFFORT_MAX
        {
            self.values.push(*value);
        }
    }

    /// Frees the keys of a database, in steps unless there are few.
    pub(crate) fn dict(&mut self, dict: Dict) {
        if dict.len() > EFFORT_MAX {
            self.dicts.push(dict);
        }
    }

    /// Frees about `elements` elements; returns whether there is more.
    pub(crate) fn step(&mut self, elements: usize) -> bool {
        if let Some(value) = self.values.last_mut() {
            if !value.free_step(elements) {
                self.values.pop();
                self.freed += 1;
            }
        } else if let Some(dict) = self.dicts.last_mut() {
            let (values, freed) = (&mut self.values, &mut self.freed);
            let more = dict.free_step(elements, &mut |value| {
                if value.free_effort() > EFFORT_MAX {
                    values.push(*value);
                } else {
                    *freed += 1;
                }
            });
            if !more {
                self.dicts.pop();
            }
        }
        !self.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.dicts.is_empty()
    }

    /// Returns how many keys wait to be freed.
    pub(crate) fn pending(&self) -> u64 {
        let keys: usize = self.dicts.iter().map(Dict::len).sum();
        u64_from(self.values.len() + keys)
    }

    /// Returns how many values were freed in steps so far.
    pub(crate) fn freed(&self) -> u64 {
        self.freed
    }
}
