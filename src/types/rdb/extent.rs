//! How far an object of a file reaches, found while its bytes arrive in pieces.
//!
//! Each kind of object is described by a short list of [`Item`]s; an [`Extent`] follows the list through
//! the bytes and decodes nothing but lengths. So a reader knows that an object is whole before it
//! makes a value of it.
//!
//! Invariants
//! - An extent takes bytes once and in order, however they are cut.
//! - Nothing is allocated.
//!
//! Not here: whether the object is a value (`read.rs`).

use base::cast;

use super::kind;

/// What some bytes begin with, and how many it takes; or why that cannot be said.
pub type Begins<T> = Result<(T, usize), Stop>;

/// Why nothing can be said of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// They end too early.
    Short,
    /// They begin with nothing that is known.
    Wrong,
}

/// A part of an object.
#[derive(Clone, Copy, Debug)]
enum Item {
    String,
    Length,
    Bytes(u64),
    /// A score of old: a byte of length and so many bytes of text, or one byte from 253 on.
    ScoreText,
    /// A count, and so many times these.
    Each(&'static [Self]),
}

use Item::{Bytes, Each, Length, ScoreText, String};

const STREAM_NODES: Item = Each(&[String, String]);
/// Of each consumer; the times are those of the last attempt and, later, of the last success.
const CONSUMERS_OF_OLD: Item = Each(&[String, Bytes(8), Each(&[Bytes(16)])]);
const CONSUMERS: Item = Each(&[String, Bytes(16), Each(&[Bytes(16)])]);
const PENDING: Item = Each(&[Bytes(16), Bytes(8), Length]);

/// A stream of the versions that know how many entries were ever added; they differ in their consumers.
macro_rules! stream_with_figures {
    ($consumers:expr) => {
        &[
            STREAM_NODES,
            Length,
            Length,
            Length,
            Length,
            Length,
            Length,
            Length,
            Length,
            Each(&[String, Length, Length, Length, PENDING, $consumers]),
        ]
    };
}

/// Returns what an object of a kind is made of.
const fn items_of(kind: u8) -> Option<&'static [Item]> {
    Some(match kind {
        kind::STRING
        | kind::HASH_ZIPMAP
        | kind::LIST_ZIPLIST
        | kind::SET_INTSET
        | kind::SORTED_SET_ZIPLIST
        | kind::HASH_ZIPLIST
        | kind::HASH_LISTPACK
        | kind::SORTED_SET_LISTPACK
        | kind::SET_LISTPACK => &[String],
        kind::LIST | kind::SET | kind::LIST_ZIPLISTS => &[Each(&[String])],
        kind::SORTED_SET_TEXT => &[Each(&[String, ScoreText])],
        kind::SORTED_SET => &[Each(&[String, Bytes(8)])],
        kind::HASH => &[Each(&[String, String])],
        kind::LIST_NODES => &[Each(&[Length, String])],
        kind::HASH_EXPIRING => &[Bytes(8), Each(&[Length, String, String])],
        kind::HASH_EXPIRING_LISTPACK => &[Bytes(8), String],
        kind::STREAM => &[
            STREAM_NODES,
            Length,
            Length,
            Length,
            Each(&[String, Length, Length, PENDING, CONSUMERS_OF_OLD]),
        ],
        kind::STREAM_WITH_FIGURES => stream_with_figures!(CONSUMERS_OF_OLD),
        kind::STREAM_WITH_ACTIVITY => stream_with_figures!(CONSUMERS),
        _ => return None,
    })
}

/// Returns whether objects of a kind are a string and nothing else.
#[must_use]
pub const fn is_one_string(kind: u8) -> bool {
    matches!(items_of(kind), Some([String]))
}

/// Lists of items inside each other: a stream, its groups, their consumers, what is pending for them.
const FRAMES_MAX: usize = 4;

/// A list of items that is being followed.
#[derive(Clone, Copy, Debug)]
struct Frame {
    items: &'static [Item],
    next: usize,
    /// How often the list is followed after this time.
    rounds: u64,
}

const NO_FRAME: Frame = Frame {
    items: &[],
    next: 0,
    rounds: 0,
};

/// The place in an object that its bytes have reached.
#[derive(Clone, Debug)]
pub struct Extent {
    frames: [Frame; FRAMES_MAX],
    depth: usize,
    /// Bytes to be passed over before the next item.
    skipped: u64,
}

impl Extent {
    /// Begins an object of a kind; nothing if the kind is unknown, or that of a module.
    #[must_use]
    pub fn new(kind: u8) -> Option<Self> {
        let mut frames = [NO_FRAME; FRAMES_MAX];
        frames[0].items = items_of(kind)?;
        Some(Self {
            frames,
            depth: 1,
            skipped: 0,
        })
    }

    /// Passes over the next bytes of the object. Returns how many it has passed over, and whether the
    /// object ends there. If it does not, all that are left belong to it, and are to be given again with
    /// those behind them. O(elements).
    ///
    /// # Errors
    ///
    /// [`Stop::Wrong`], a length that is none. The extent is of no use then.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Stop> {
        let mut at = 0;
        loop {
            let left = cast::u64_from(bytes.len() - at);
            let passed = self.skipped.min(left);
            self.skipped -= passed;
            at += cast::usize_from(passed);
            if self.skipped > 0 {
                return Ok((at, false));
            }
            let Some(item) = self.next_item() else {
                return Ok((at, true));
            };
            match self.begin(item, &bytes[at..]) {
                Ok(taken) => at += taken,
                Err(Stop::Short) => {
                    self.give_back();
                    return Ok((at, false));
                }
                Err(Stop::Wrong) => return Err(Stop::Wrong),
            }
        }
    }

    /// Returns the next item; nothing at the end of the object.
    fn next_item(&mut self) -> Option<Item> {
        loop {
            let frame = &mut self.frames[self.depth.checked_sub(1)?];
            if let Some(item) = frame.items.get(frame.next) {
                frame.next += 1;
                return Some(*item);
            }
            if frame.rounds > 0 {
                frame.rounds -= 1;
                frame.next = 0;
            } else {
                self.depth -= 1;
            }
        }
    }

    /// Makes the last item the next one again.
    fn give_back(&mut self) {
        self.frames[self.depth - 1].next -= 1;
    }

    /// Begins an item; returns the bytes that are done with.
    fn begin(&mut self, item: Item, bytes: &[u8]) -> Result<usize, Stop> {
        match item {
            Bytes(count) => {
                self.skipped = count;
                Ok(0)
            }
            Length => Ok(length(bytes)?.1),
            String => {
                self.skipped = string_bytes(bytes)?;
                Ok(0)
            }
            ScoreText => {
                let &len = bytes.first().ok_or(Stop::Short)?;
                self.skipped = if len < 253 { u64::from(len) } else { 0 };
                Ok(1)
            }
            Each(items) => {
                let (count, taken) = length(bytes)?;
                if let Some(rounds) = count.checked_sub(1) {
                    self.frames[self.depth] = Frame {
                        items,
                        next: 0,
                        rounds,
                    };
                    self.depth += 1;
                }
                Ok(taken)
            }
        }
    }
}

/// A length, or the form of a string that has none.
enum Prefix {
    Length(u64),
    Special(u8),
}

fn prefix(bytes: &[u8]) -> Begins<Prefix> {
    let (&first, rest) = bytes.split_first().ok_or(Stop::Short)?;
    let low = first & 0x3F;
    Ok(match (first >> 6, low) {
        (0, _) => (Prefix::Length(u64::from(low)), 1),
        (1, _) => {
            let &next = rest.first().ok_or(Stop::Short)?;
            let value = u16::from_be_bytes([low, next]);
            (Prefix::Length(u64::from(value)), 2)
        }
        (2, 0) => {
            let four = rest.first_chunk().ok_or(Stop::Short)?;
            (Prefix::Length(u64::from(u32::from_be_bytes(*four))), 5)
        }
        (2, 1) => {
            let eight = rest.first_chunk().ok_or(Stop::Short)?;
            (Prefix::Length(u64::from_be_bytes(*eight)), 9)
        }
        (2, _) => return Err(Stop::Wrong),
        _ => (Prefix::Special(low), 1),
    })
}

/// Returns the length that bytes begin with.
///
/// # Errors
///
/// [`Stop`].
pub fn length(bytes: &[u8]) -> Begins<u64> {
    match prefix(bytes)? {
        (Prefix::Length(value), taken) => Ok((value, taken)),
        (Prefix::Special(_), _) => Err(Stop::Wrong),
    }
}

/// Returns how many bytes the string takes that bytes begin with, its lengths included. Only those have
/// to be there.
///
/// # Errors
///
/// [`Stop`].
pub fn string_bytes(bytes: &[u8]) -> Result<u64, Stop> {
    let (prefix, mut before) = prefix(bytes)?;
    let content = match prefix {
        Prefix::Length(value) => value,
        Prefix::Special(0) => 1,
        Prefix::Special(1) => 2,
        Prefix::Special(2) => 4,
        Prefix::Special(3) => {
            let (packed, taken) = length(&bytes[before..])?;
            before += taken;
            before += length(&bytes[before..])?.1;
            packed
        }
        Prefix::Special(_) => return Err(Stop::Wrong),
    };
    content
        .checked_add(cast::u64_from(before))
        .ok_or(Stop::Wrong)
}

/// Returns the string that bytes begin with, all of it, as the bytes it takes.
///
/// # Errors
///
/// [`Stop`].
pub fn string(bytes: &[u8]) -> Result<&[u8], Stop> {
    let all = string_bytes(bytes)?;
    let all = usize::try_from(all).ok();
    all.and_then(|all| bytes.get(..all)).ok_or(Stop::Short)
}
