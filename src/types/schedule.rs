//! What is to happen when: items in the order of their times.
//!
//! ```text
//! chunks:  [ (1, a) (1, b) (3, c) ]  [ (3, d) (7, e) ]  ...   at most 128 items in each
//! ```
//!
//! Invariants
//! - All items of all chunks are in ascending order of (time, item); equal ones may stand side by side.
//! - No chunk is empty, none has more than [`CHUNK_LEN_MAX`] items.
//! - `bytes` counts the allocations of all chunks, without what items own.
//!
//! Cost: an insertion or removal moves one chunk, and once in some sixty times the list of chunks, 24
//! bytes for each.
//!
//! Not here: what items mean.

use base::clock::UnixMillis;

use crate::memory::allocated_bytes;

/// A full chunk is divided in two.
const CHUNK_LEN_MAX: usize = 128;

/// Two neighbours with no more items than this together become one.
const MERGED_LEN_MAX: usize = 48;

/// See the head of the file.
#[derive(Clone, Debug)]
pub struct Schedule<T> {
    chunks: Vec<Vec<(UnixMillis, T)>>,
    len: usize,
    bytes: usize,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
            bytes: 0,
        }
    }
}

impl<T: Ord> Schedule<T> {
    /// Returns the number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes of all allocations, without what items own. O(1).
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.bytes + allocated_bytes(self.chunks.capacity() * size_of::<Vec<(UnixMillis, T)>>())
    }

    /// Returns the earliest time and its first item. O(1).
    #[must_use]
    pub fn first(&self) -> Option<&(UnixMillis, T)> {
        self.chunks.first()?.first()
    }

    /// Returns the latest time. O(1).
    #[must_use]
    pub fn last_at(&self) -> Option<UnixMillis> {
        Some(self.chunks.last()?.last()?.0)
    }

    /// Returns the earliest time that is not before `now`. O(log n).
    #[must_use]
    pub fn first_from(&self, now: UnixMillis) -> Option<UnixMillis> {
        let is_before =
            |chunk: &Vec<(UnixMillis, T)>| chunk.last().is_some_and(|(at, _)| *at < now);
        let chunk = self.chunks.get(self.chunks.partition_point(is_before))?;
        let place = chunk.partition_point(|(at, _)| *at < now);
        chunk.get(place).map(|(at, _)| *at)
    }

    /// Returns how many items are before `now`. O(those / 60), at least O(log n).
    #[must_use]
    pub fn count_before(&self, now: UnixMillis) -> usize {
        let is_before = |item: Option<&(UnixMillis, T)>| item.is_some_and(|(at, _)| *at < now);
        let whole = self
            .chunks
            .iter()
            .take_while(|chunk| is_before(chunk.last()));
        let (chunks, items) = whole.fold((0, 0), |(chunks, items), chunk| {
            (chunks + 1, items + chunk.len())
        });
        let rest = self.chunks.get(chunks);
        items + rest.map_or(0, |chunk| chunk.partition_point(|(at, _)| *at < now))
    }

    /// Adds an item.
    pub fn insert(&mut self, at: UnixMillis, item: T) {
        let new = (at, item);
        let index = self
            .chunk_for(&new)
            .min(self.chunks.len().saturating_sub(1));
        self.len += 1;
        if self.chunks.is_empty() {
            self.chunks.push(Vec::new());
        }
        self.change(index, |chunk| {
            let place = chunk.partition_point(|item| *item < new);
            if chunk.len() == chunk.capacity() {
                chunk.reserve_exact((chunk.len() / 4).max(4));
            }
            chunk.insert(place, new);
        });
        if self.chunks[index].len() > CHUNK_LEN_MAX {
            let high = self.change(index, |chunk| {
                let high = chunk.split_off(CHUNK_LEN_MAX / 2);
                chunk.shrink_to_fit();
                high
            });
            self.bytes += Self::chunk_bytes(&high);
            self.chunks.insert(index + 1, high);
        }
    }

    /// Removes one item that is equal to this. Returns whether there was one.
    pub fn remove(&mut self, at: UnixMillis, item: T) -> bool {
        let sought = (at, item);
        let index = self.chunk_for(&sought);
        let Some(Ok(place)) = self
            .chunks
            .get(index)
            .map(|chunk| chunk.binary_search(&sought))
        else {
            return false;
        };
        self.take(index, place);
        true
    }

    /// Removes the first item, if its time is before `now`.
    pub fn pop_before(&mut self, now: UnixMillis) -> Option<(UnixMillis, T)> {
        if self.first()?.0 >= now {
            return None;
        }
        Some(self.take(0, 0))
    }

    /// Frees about `items` items and returns whether there are more.
    pub fn free_step(&mut self, items: usize) -> bool {
        let mut freed = 0;
        while freed < items {
            let Some(chunk) = self.chunks.pop() else {
                break;
            };
            self.bytes -= Self::chunk_bytes(&chunk);
            self.len -= chunk.len();
            freed += chunk.len();
        }
        if self.chunks.is_empty() {
            self.chunks = Vec::new();
        }
        !self.chunks.is_empty()
    }

    /// Returns the first chunk whose last item is not below `item`.
    fn chunk_for(&self, item: &(UnixMillis, T)) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.last().is_some_and(|last| last < item))
    }

    fn take(&mut self, index: usize, place: usize) -> (UnixMillis, T) {
        self.len -= 1;
        let item = self.change(index, |chunk| {
            let item = chunk.remove(place);
            if chunk.capacity() > 2 * chunk.len() + 8 {
                chunk.shrink_to(chunk.len() + chunk.len() / 4);
            }
            item
        });
        let left = self.chunks[index].len();
        if left == 0 {
            let empty = self.chunks.remove(index);
            self.bytes -= Self::chunk_bytes(&empty);
        } else if let Some(next) = self.chunks.get(index + 1)
            && left + next.len() <= MERGED_LEN_MAX
        {
            let next = self.chunks.remove(index + 1);
            self.bytes -= Self::chunk_bytes(&next);
            self.change(index, |chunk| chunk.extend(next));
        }
        if self.chunks.capacity() > 2 * self.chunks.len() + 8 {
            self.chunks.shrink_to(self.chunks.len() + 4);
        }
        item
    }

    /// Changes a chunk and counts its bytes again.
    fn change<R>(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut Vec<(UnixMillis, T)>) -> R,
    ) -> R {
        let chunk = &mut self.chunks[index];
        let before = Self::chunk_bytes(chunk);
        let result = change(chunk);
        self.bytes = self.bytes + Self::chunk_bytes(chunk) - before;
        result
    }

    fn chunk_bytes(chunk: &Vec<(UnixMillis, T)>) -> usize {
        allocated_bytes(chunk.capacity() * size_of::<(UnixMillis, T)>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::random::Random;

    #[test]
    fn schedule_agrees_with_a_sorted_list() {
        let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        let mut random = Random::new(seed);
        let mut schedule = Schedule::default();
        let mut model: Vec<(UnixMillis, u64)> = Vec::new();
        for step in 0..20_000_i64 {
            let at = UnixMillis(i64::try_from(random.below(500)).unwrap());
            let item = random.below(4);
            // It grows for a while, then shrinks.
            if random.below(100) < if step % 8000 < 5000 { 70 } else { 30 } {
                schedule.insert(at, item);
                let place = model.partition_point(|it| *it < (at, item));
                model.insert(place, (at, item));
            } else if random.below(4) == 0 {
                let expected = model.first().copied().filter(|first| first.0 < at);
                assert_eq!(schedule.pop_before(at), expected);
                if expected.is_some() {
                    model.remove(0);
                }
            } else {
                let place = model.binary_search(&(at, item));
                assert_eq!(schedule.remove(at, item), place.is_ok());
                if let Ok(place) = place {
                    model.remove(place);
                }
            }
            assert_eq!(schedule.len(), model.len());
            assert_eq!(schedule.is_empty(), model.is_empty());
            assert_eq!(schedule.first(), model.first());
            assert_eq!(schedule.last_at(), model.last().map(|last| last.0));
            let before = model.iter().filter(|it| it.0 < at).count();
            assert_eq!(schedule.count_before(at), before);
            let bytes: usize = schedule.chunks.iter().map(Schedule::chunk_bytes).sum();
            assert_eq!(schedule.bytes, bytes);
            assert!(
                schedule
                    .chunks
                    .iter()
                    .all(|it| !it.is_empty() && it.len() <= CHUNK_LEN_MAX)
            );
        }
        while schedule.free_step(100) {}
        assert_eq!((schedule.len(), schedule.allocated_bytes()), (0, 0));
    }
}
