//! A bounded ring between one sender and one receiver on different cores.
//!
//! Both ends keep their own position in a register and only publish it; each also remembers the
//! last position it saw of the other end and looks again only when that one says "full" or "empty".
//! So a cache line travels between the cores once per burst and not once per message.
//!
//! Invariants
//! - `head <= tail <= head + capacity`, both counting messages since the start, wrapping.
//! - The slots `head..tail` hold messages; only the receiver takes them out. All other slots are
//!   empty; only the sender fills them.
//!
//! Not here: waking the receiver (`waker`), lanes and fairness (`mesh`).

#![expect(
    unsafe_code,
    reason = "slots are handed between two threads by the published positions"
)]

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A value on cache lines of its own: 128 bytes, as processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Debug, Default)]
pub struct Padded<T>(pub T);

struct Shared<T> {
    head: Padded<AtomicUsize>,
    tail: Padded<AtomicUsize>,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a slot is touched by the sender only while it is empty and by the receiver only while it
// is full; which of the two it is passes between them by a release store and an acquire load of a
// position. A message thereby moves from one thread to the other, hence `T: Send`.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn slot(&self, position: usize) -> *mut MaybeUninit<T> {
        // The number of slots is a power of two, so that positions may wrap.
        self.slots[position & (self.slots.len() - 1)].get()
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let tail = *self.tail.0.get_mut();
        let mut head = *self.head.0.get_mut();
        while head != tail {
            let slot = self.slot(head);
            // SAFETY: `slot` points into `self.slots`, and both ends are gone.
            let slot = unsafe { &mut *slot };
            // SAFETY: slots between head and tail are full, and each is visited once.
            unsafe { slot.assume_init_drop() };
            head = head.wrapping_add(1);
        }
    }
}

/// Creates a ring for at least `capacity` messages (rounded up to a power of two, at least 2).
#[must_use]
pub fn ring<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let capacity = capacity.max(2).next_power_of_two();
    let slots = (0..capacity)
        .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
        .collect();
    let shared = Arc::new(Shared {
        head: Padded::default(),
        tail: Padded::default(),
        slots,
    });
    let sender = Sender {
        shared: Arc::clone(&shared),
        tail: 0,
        head_seen: 0,
    };
    (
        sender,
        Receiver {
            shared,
            head: 0,
            tail_seen: 0,
        },
    )
}

/// The end that messages go in.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    tail: usize,
    head_seen: usize,
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sender")
            .field("tail", &self.tail)
            .finish_non_exhaustive()
    }
}

impl<T: Send> Sender<T> {
    /// Appends `message`; it is visible to the receiver at once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the ring is full.
    #[inline]
    pub fn send(&mut self, message: T) -> Result<(), T> {
        let capacity = self.shared.slots.len();
        if self.tail.wrapping_sub(self.head_seen) == capacity {
            self.head_seen = self.shared.head.0.load(Ordering::Acquire);
            if self.tail.wrapping_sub(self.head_seen) == capacity {
                return Err(message);
            }
        }
        let slot = self.shared.slot(self.tail);
        // SAFETY: the slot at `tail` is empty, as fewer than `capacity` messages are in the ring,
        // and only this sender fills slots.
        unsafe { slot.write(MaybeUninit::new(message)) };
        self.tail = self.tail.wrapping_add(1);
        self.shared.tail.0.store(self.tail, Ordering::Release);
        Ok(())
    }
}

/// The end that messages come out of, in the order they went in.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    head: usize,
    tail_seen: usize,
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Receiver")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl<T: Send> Receiver<T> {
    /// Takes the oldest message, if there is one.
    #[inline]
    pub fn receive(&mut self) -> Option<T> {
        if self.head == self.tail_seen {
            self.tail_seen = self.shared.tail.0.load(Ordering::Acquire);
            if self.head == self.tail_seen {
                return None;
            }
        }
        let slot = self.shared.slot(self.head);
        // SAFETY: the slot at `head` is full, as the sender has published a tail beyond it, and
        // only this receiver empties slots.
        let slot = unsafe { slot.read() };
        // SAFETY: as above, the slot held a message; it counts as empty from the store on.
        let message = unsafe { slot.assume_init() };
        self.head = self.head.wrapping_add(1);
        self.shared.head.0.store(self.head, Ordering::Release);
        Some(message)
    }

    /// Whether the ring is empty at this moment.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head == self.tail_seen && self.head == self.shared.tail.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_gives_the_message_back() {
        let (mut sender, mut receiver) = ring(2);
        assert_eq!(sender.send(1), Ok(()));
        assert_eq!(sender.send(2), Ok(()));
        assert_eq!(sender.send(3), Err(3));
        assert_eq!(receiver.receive(), Some(1));
        assert_eq!(sender.send(3), Ok(()));
        assert_eq!((receiver.receive(), receiver.receive()), (Some(2), Some(3)));
        assert!(receiver.is_empty());
    }

    #[test]
    fn messages_left_inside_are_dropped_once() {
        let token = Arc::new(());
        let (mut sender, mut receiver) = ring(8);
        for _ in 0..5 {
            sender.send(Arc::clone(&token)).unwrap();
        }
        drop(receiver.receive());
        assert_eq!(Arc::strong_count(&token), 5);
        drop(sender);
        drop(receiver);
        assert_eq!(Arc::strong_count(&token), 1);
    }

    #[test]
    fn ten_million_messages_cross_two_threads_in_order() {
        let (mut sender, mut receiver) = ring::<Box<u64>>(256);
        let count = if cfg!(miri) { 1_000 } else { 10_000_000 };
        let writer = std::thread::Builder::new()
            .spawn(move || {
                for number in 0..count {
                    let mut message = Box::new(number);
                    while let Err(back) = sender.send(message) {
                        message = back;
                        std::thread::yield_now();
                    }
                }
            })
            .unwrap();
        let mut expected = 0;
        while expected < count {
            match receiver.receive() {
                Some(number) => {
                    assert_eq!(*number, expected);
                    expected += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        writer.join().unwrap();
        assert!(receiver.is_empty());
    }
}
