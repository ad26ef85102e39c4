//! Replies of one connection in request order, though they become ready in any order.
//!
//! A reply that is ready when nothing before it is outstanding goes straight into `ready`. As soon
//! as a reply has to come from elsewhere, it takes a place in `plan`; replies behind it are held in
//! `arena` until every place before them is filled.
//!
//! ```text
//! requests   1        2          3        4
//!            GET a    GET b      GET c    GET d
//!            here     elsewhere  here     here
//! ready      [reply 1]
//! plan                [awaited]  [held: replies 3 and 4 in arena]
//! ```

use std::collections::VecDeque;
use std::mem;

use base::cast::usize_from;

/// The place of an awaited reply. Unique per connection over its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub u64);

#[derive(Clone, Copy, Debug)]
enum Planned {
    Awaited,
    Held { start: usize, end: usize },
}

/// Where a reply that is written now begins; given back to [`Output::end`].
#[derive(Clone, Copy, Debug)]
pub struct Begun(usize);

/// The replies of one connection.
#[derive(Debug, Default)]
pub struct Output {
    ready: Vec<u8>,
    /// So many bytes of `ready` may leave before the rest.
    sealed_bytes: usize,
    plan: VecDeque<Planned>,
    first_place: u64,
    awaited: usize,
    arena: Vec<u8>,
    /// Bytes of the arena that no reply of the plan uses any more.
    arena_waste: usize,
    peak_bytes: usize,
    /// How large awaited replies have been of late, less what is assumed at first.
    awaited_bytes: AwaitedBytes,
}

/// How large awaited replies of a connection are, in bytes: the largest of late, fading by an eighth
/// with each smaller one.
#[derive(Clone, Copy, Debug)]
struct AwaitedBytes(usize);

impl Default for AwaitedBytes {
    /// Until replies tell better, few are asked for at once: they might be large.
    fn default() -> Self {
        Self(256 * 1024)
    }
}

impl AwaitedBytes {
    #[inline]
    fn note(&mut self, bytes: usize) {
        self.0 = bytes.max(self.0 - self.0 / 8);
    }
}

impl Output {
    /// Returns the buffer to append a reply to that is ready now, and a mark for [`Self::end`].
    #[inline]
    pub fn begin(&mut self) -> (&mut Vec<u8>, Begun) {
        let buffer = if self.plan.is_empty() {
            &mut self.ready
        } else {
            &mut self.arena
        };
        let begun = Begun(buffer.len());
        (buffer, begun)
    }

    /// Ends the reply begun with [`Self::begin`]; nothing else may have been written in between.
    #[inline]
    pub fn end(&mut self, begun: Begun) {
        if !self.plan.is_empty() {
            self.hold(begun);
        }
    }

    fn hold(&mut self, begun: Begun) {
        let end = self.arena.len();
        if let Some(Planned::Held { end: last, .. }) = self.plan.back_mut()
            && *last == begun.0
        {
            *last = end;
            return;
        }
        self.plan.push_back(Planned::Held {
            start: begun.0,
            end,
        });
    }

    /// Returns the bytes written since [`Self::begin`].
    #[inline]
    #[must_use]
    pub fn written(&self, begun: Begun) -> &[u8] {
        let buffer = if self.plan.is_empty() {
            &self.ready
        } else {
            &self.arena
        };
        &buffer[begun.0..]
    }

    /// Takes back what was written since [`Self::begin`].
    pub fn undo(&mut self, begun: Begun) {
        let buffer = if self.plan.is_empty() {
            &mut self.ready
        } else {
            &mut self.arena
        };
        buffer.truncate(begun.0);
    }

    /// Takes a place for a reply that comes later.
    #[inline]
    pub fn defer(&mut self) -> Place {
        let place = Place(self.first_place + base::cast::u64_from(self.plan.len()));
        self.plan.push_back(Planned::Awaited);
        self.awaited += 1;
        place
    }

    /// Fills a place with its reply. A reply may be empty (`CLIENT REPLY OFF`).
    ///
    /// # Panics
    ///
    /// If the place was filled before: a reply must come once.
    pub fn fill(&mut self, place: Place, reply: &[u8]) {
        let index = place.0.checked_sub(self.first_place).map(usize_from);
        let planned = index.and_then(|index| self.plan.get_mut(index));
        let planned = planned.expect("a place is filled once, while it is in the plan");
        assert!(
            matches!(planned, Planned::Awaited),
            "a place is filled once"
        );
        self.awaited -= 1;
        self.awaited_bytes.note(reply.len());
        if index == Some(0) {
            self.plan.pop_front();
            self.first_place += 1;
            self.ready.extend_from_slice(reply);
            self.release();
        } else {
            let start = self.arena.len();
            self.arena.extend_from_slice(reply);
            *planned = Planned::Held {
                start,
                end: self.arena.len(),
            };
        }
    }

    /// Returns the buffer to append the next part of an awaited reply to, if all replies before it are
    /// there. When all its parts are, [`Self::fill`] ends it with nothing.
    pub fn begin_part(&mut self, place: Place) -> Option<&mut Vec<u8>> {
        let is_next = place.0 == self.first_place && !self.plan.is_empty();
        is_next.then_some(&mut self.ready)
    }

    /// Returns how many replies may be awaited at once, so that all of them together are expected to
    /// take at most `bytes`: at least 1, at most `count_max`. A reply's size is known only when it has
    /// come, so this goes by those before it.
    #[inline]
    #[must_use]
    pub fn awaited_max(&self, bytes: usize, count_max: usize) -> usize {
        (bytes / self.awaited_bytes.0.max(1)).clamp(1, count_max)
    }

    /// Moves what no awaited reply precedes from the arena to `ready`.
    fn release(&mut self) {
        while let Some(&Planned::Held { start, end }) = self.plan.front() {
            self.ready.extend_from_slice(&self.arena[start..end]);
            self.arena_waste += end - start;
            self.plan.pop_front();
            self.first_place += 1;
        }
        if self.plan.is_empty() {
            self.arena_waste = 0;
            self.arena.clear();
            if self.arena.capacity() > ARENA_KEPT_BYTES {
                self.arena = Vec::new();
            }
        } else if self.arena_waste > ARENA_KEPT_BYTES.max(self.arena.len() / 2) {
            self.compact();
        }
    }

    /// Gives up the waste of an arena that a client who always awaits something would never empty.
    /// Cost: O(plan + bytes kept), and at least as many bytes have been released since the last time.
    #[cold]
    fn compact(&mut self) {
        let mut kept = Vec::with_capacity(self.arena.len() - self.arena_waste);
        for planned in &mut self.plan {
            if let Planned::Held { start, end } = planned {
                let moved_to = kept.len();
                kept.extend_from_slice(&self.arena[*start..*end]);
                *start = moved_to;
                *end = kept.len();
            }
        }
        self.arena = kept;
        self.arena_waste = 0;
    }

    /// Returns how many replies are awaited.
    #[inline]
    #[must_use]
    pub fn awaited(&self) -> usize {
        self.awaited
    }

    /// Returns the place that was given last, if its reply or one before it has not come yet.
    #[must_use]
    pub fn last_place(&self) -> Option<Place> {
        let index = self.plan.len().checked_sub(1)?;
        Some(Place(self.first_place + base::cast::u64_from(index)))
    }

    /// Returns whether the reply of a place has not come yet.
    #[must_use]
    pub fn is_awaited(&self, place: Place) -> bool {
        let index = place.0.checked_sub(self.first_place).map(usize_from);
        let planned = index.and_then(|index| self.plan.get(index));
        planned.is_some_and(|planned| matches!(planned, Planned::Awaited))
    }

    /// Returns the bytes of this connection that could not be given to the socket yet.
    #[inline]
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.ready.len() + self.arena.len() - self.arena_waste
    }

    /// Returns the memory that the buffers take.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.ready.capacity() + self.arena.capacity()
    }

    /// Returns the memory of the buffer for replies that are ready.
    #[must_use]
    pub fn ready_capacity_bytes(&self) -> usize {
        self.ready.capacity()
    }

    /// Returns the bytes that are ready to be sent.
    #[must_use]
    pub fn ready_bytes(&self) -> usize {
        self.ready.len()
    }

    /// Returns the most bytes that were ever given to the socket at once.
    #[must_use]
    pub fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    /// Returns how many runs of replies are held behind awaited ones, and the memory they take.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.plan.len() - self.awaited, self.arena.capacity())
    }

    /// Returns whether bytes of the last [`Self::seal`] have not been taken.
    #[must_use]
    pub fn has_sealed(&self) -> bool {
        self.sealed_bytes > 0
    }

    /// Returns whether bytes are ready to be sent.
    #[inline]
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the bytes that are ready and leaves `spare`, an empty buffer, in their place.
    pub fn take_ready(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.peak_bytes = self.peak_bytes.max(self.ready.len());
        self.sealed_bytes = 0;
        mem::replace(&mut self.ready, spare)
    }

    /// Marks what is ready now, for [`Self::take_sealed`].
    pub fn seal(&mut self) {
        self.sealed_bytes = self.ready.len();
    }

    /// Takes the bytes that were ready at the last [`Self::seal`] and have not been taken since; `spare` as for
    /// [`Self::take_ready`].
    pub fn take_sealed(&mut self, mut spare: Vec<u8>) -> Vec<u8> {
        spare.extend_from_slice(&self.ready[self.sealed_bytes..]);
        self.ready.truncate(self.sealed_bytes);
        self.take_ready(spare)
    }

    /// Appends bytes that answer no request (`MONITOR` lines, pushes). They may stand between
    /// replies, never inside one.
    pub fn push(&mut self, bytes: &[u8]) {
        let (buffer, begun) = self.begin();
        buffer.extend_from_slice(bytes);
        self.end(begun);
    }
}

/// An arena above this size is not kept for the next pipeline, nor is more waste than this in one.
const ARENA_KEPT_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(output: &mut Output, reply: &[u8]) {
        let (buffer, begun) = output.begin();
        buffer.extend_from_slice(reply);
        output.end(begun);
    }

    #[test]
    fn replies_leave_in_request_order_whatever_order_they_come_in() {
        let mut output = Output::default();
        write(&mut output, b"1");
        let second = output.defer();
        write(&mut output, b"3");
        write(&mut output, b"4");
        let fifth = output.defer();
        let sixth = output.defer();
        write(&mut output, b"7");
        assert_eq!(output.take_ready(Vec::new()), b"1");
        output.fill(sixth, b"6");
        assert!(!output.has_ready());
        output.fill(second, b"2");
        assert_eq!(output.take_ready(Vec::new()), b"234");
        output.fill(fifth, b"5");
        assert_eq!(output.take_ready(Vec::new()), b"567");
        assert_eq!(output.awaited(), 0);
        write(&mut output, b"8");
        assert_eq!(output.take_ready(Vec::new()), b"8");
    }

    #[test]
    fn a_reply_may_come_in_parts_once_it_is_next() {
        let mut output = Output::default();
        write(&mut output, b"1");
        let second = output.defer();
        let third = output.defer();
        write(&mut output, b"4");
        assert!(output.begin_part(third).is_none(), "another one is before");
        output
            .begin_part(second)
            .unwrap()
            .extend_from_slice(b"2 and");
        assert_eq!(output.take_ready(Vec::new()), b"12 and");
        output
            .begin_part(second)
            .unwrap()
            .extend_from_slice(b" so on");
        output.fill(second, b"");
        assert!(output.begin_part(second).is_none(), "it is complete");
        output.begin_part(third).unwrap().extend_from_slice(b"3");
        output.fill(third, b"");
        assert_eq!(output.take_ready(Vec::new()), b" so on34");
        assert!(output.begin_part(third).is_none(), "nothing is awaited");
    }

    #[test]
    fn an_empty_reply_fills_its_place() {
        let mut output = Output::default();
        let first = output.defer();
        let second = output.defer();
        output.fill(second, b"");
        output.fill(first, b"1");
        assert_eq!(output.take_ready(Vec::new()), b"1");
    }

    #[test]
    fn a_pipeline_that_always_awaits_something_holds_only_what_is_unsent() {
        let mut output = Output::default();
        let mut expected = Vec::new();
        let mut sent = Vec::new();
        let mut awaited = VecDeque::from([(output.defer(), 0_u32)]);
        for number in 1..20_000_u32 {
            let text = format!("<{number} and some more>");
            if number % 3 == 0 {
                awaited.push_back((output.defer(), number));
                let (place, number) = awaited.pop_front().unwrap();
                output.fill(place, format!("<{number} and some more>").as_bytes());
            } else {
                write(&mut output, text.as_bytes());
            }
            assert!(output.unsent_bytes() < 1000, "no sent bytes are counted");
            assert!(output.capacity_bytes() < 4 * ARENA_KEPT_BYTES);
            sent.extend(output.take_ready(Vec::new()));
        }
        for (place, number) in awaited {
            output.fill(place, format!("<{number} and some more>").as_bytes());
        }
        sent.extend(output.take_ready(Vec::new()));
        for number in 0..20_000_u32 {
            expected.extend_from_slice(format!("<{number} and some more>").as_bytes());
        }
        assert!(sent == expected, "in order and complete");
    }

    #[test]
    fn what_is_sealed_leaves_before_what_comes_later() {
        let mut output = Output::default();
        write(&mut output, b"1");
        let second = output.defer();
        write(&mut output, b"3");
        output.seal();
        output.fill(second, b"2");
        assert!(output.has_sealed());
        assert_eq!(output.take_sealed(Vec::new()), b"1");
        assert!(!output.has_sealed() && output.has_ready());
        write(&mut output, b"4");
        output.seal();
        assert_eq!(output.take_sealed(Vec::new()), b"234");
        write(&mut output, b"5");
        output.seal();
        write(&mut output, b"6");
        assert_eq!(output.take_ready(Vec::new()), b"56");
        assert!(!output.has_sealed());
    }

    #[test]
    fn undo_takes_back_a_reply_on_both_paths() {
        let mut output = Output::default();
        let (buffer, begun) = output.begin();
        buffer.extend_from_slice(b"no");
        output.undo(begun);
        output.end(begun);
        assert!(!output.has_ready());
        let place = output.defer();
        let (buffer, begun) = output.begin();
        buffer.extend_from_slice(b"no");
        output.undo(begun);
        output.end(begun);
        output.fill(place, b"yes");
        assert_eq!(output.take_ready(Vec::new()), b"yes");
    }
}
