//! LZF, the compression of strings in RDB.
//!
//! ```text
//!   000lllll                      l + 1 bytes follow as they are
//!   lllooooo oooooooo             l + 2 bytes, l < 7, from o + 1 bytes back
//!   111ooooo llllllll oooooooo    l + 9 bytes from o + 1 bytes back
//! ```
//!
//! A copy may reach into the bytes it is writing. The compressor finds copies where Redis 7.0.15 does,
//! so that the same string becomes the same bytes: it keeps the last place of each hash of three
//! bytes, and of the bytes of a copy only the last two places. Source: the description of its
//! format in `liblzf`; places and bounds checked against DUMP of redis-server 7.0.15.
//!
//! Not here: which strings are compressed (`write.rs`).

use base::cast;

/// Most bytes that go as they are under one byte of control.
const LITERAL_BYTES_MAX: usize = 32;
/// Most bytes of one copy.
const COPY_BYTES_MAX: usize = 264;
/// Fewest bytes of one copy.
const COPY_BYTES_MIN: usize = 3;
/// How far back a copy may reach.
const DISTANCE_MAX: usize = 1 << 13;
/// Bits of the hash of three bytes.
const HASH_BITS: u32 = 16;
/// Most bytes that one compressed byte can stand for: three give 264.
const EXPANSION_MAX: usize = 88;
/// Room that the compressor wants to see before it writes a copy.
const COPY_ROOM: usize = 4;
/// A compressor that sees at least so many bytes left compares the first few of a copy unbounded.
const FAR_FROM_END: usize = 16;

/// Compresses strings one after the other. It keeps its table of places, 256 KiB from the first string
/// on, and need not clear it between them.
#[derive(Debug, Default)]
pub(super) struct Compressor {
    /// The place of a hash, as a number from `base` on; below it, of a string before.
    places: Vec<u32>,
    base: u32,
    /// What `base` becomes with the next string.
    next_base: u32,
}

impl Compressor {
    /// Compresses `input` into at most `room` bytes; nothing if they do not suffice. O(n).
    pub(super) fn compress(&mut self, input: &[u8], room: usize) -> Option<Vec<u8>> {
        let mut run = Run::new(room);
        self.run_through(input, &mut run, &mut |_| {})?;
        Some(run.finish())
    }

    /// Does the same and hands the bytes to `each` in pieces of about `piece_bytes`; returns how many there are. If they
    /// do not suffice, `each` has got some that mean nothing.
    pub(super) fn compress_in_pieces(
        &mut self,
        input: &[u8],
        (room, piece_bytes): (usize, usize),
        each: &mut dyn FnMut(&[u8]),
    ) -> Option<usize> {
        let mut run = Run::new(room);
        run.piece_bytes = piece_bytes;
        self.run_through(input, &mut run, each)?;
        let gone = run.gone;
        let rest = run.finish();
        each(&rest);
        Some(gone + rest.len())
    }

    fn run_through(
        &mut self,
        input: &[u8],
        run: &mut Run,
        each: &mut dyn FnMut(&[u8]),
    ) -> Option<()> {
        if input.is_empty() || run.room == 0 {
            return None;
        }
        self.begin(input.len());
        let mut at = 0;
        while let Some(three) = three_at(input, at) {
            let from = self.note(three, at).unwrap_or(0);
            // The first place of all is never copied from, as in Redis.
            let is_copy =
                from > 0 && at - from <= DISTANCE_MAX && three_at(input, from) == Some(three);
            if !is_copy {
                run.literal(input[at])?;
                run.hand_on(each);
                at += 1;
                continue;
            }
            let len = copy_len(input, from, at);
            run.copy(at - from, len)?;
            run.hand_on(each);
            at += len;
            if at + COPY_BYTES_MIN > input.len() {
                break;
            }
            for place in at - 2..at {
                if let Some(three) = three_at(input, place) {
                    self.note(three, place);
                }
            }
        }
        run.has_room_for_end()?;
        for &byte in &input[at..] {
            run.literal_at_end(byte);
        }
        Some(())
    }

    /// Makes all places that are noted those of a string before.
    fn begin(&mut self, len: usize) {
        let next = self.next_base;
        let after = u32::try_from(len)
            .ok()
            .and_then(|len| next.checked_add(len));
        if let Some(after) = after
            && !self.places.is_empty()
        {
            self.base = next;
            self.next_base = after;
            return;
        }
        self.places.clear();
        self.places.resize(1 << HASH_BITS, 0);
        self.base = 1;
        // A string too long for numbers of 32 bits leaves none for the next one.
        self.next_base = u32::try_from(len).map_or(u32::MAX, |len| len.saturating_add(1));
    }

    /// Files a place under the hash of its three bytes; returns the one of this string that was there.
    fn note(&mut self, [a, b, c]: [u8; 3], at: usize) -> Option<usize> {
        let three = u32::from_be_bytes([0, a, b, c]);
        let hash = (three >> (24 - HASH_BITS)).wrapping_sub(three.wrapping_mul(5));
        let slot = &mut self.places[cast::usize_from_u32(hash & ((1 << HASH_BITS) - 1))];
        let before = *slot;
        // Places beyond 4 GiB are not noted: they are then as good as none.
        if let Some(number) = u32::try_from(at)
            .ok()
            .and_then(|at| self.base.checked_add(at))
        {
            *slot = number;
        }
        Some(cast::usize_from_u32(before.checked_sub(self.base)?))
    }
}

fn three_at(input: &[u8], at: usize) -> Option<[u8; 3]> {
    input.get(at..)?.first_chunk().copied()
}

/// Returns how many bytes at `at` are those at `from`; the first three are.
fn copy_len(input: &[u8], from: usize, at: usize) -> usize {
    let bounded = (input.len() - at - 2).min(COPY_BYTES_MAX);
    let most = if bounded > FAR_FROM_END {
        bounded.max(FAR_FROM_END + COPY_BYTES_MIN)
    } else {
        bounded.max(COPY_BYTES_MIN)
    };
    let pairs = input[from..].iter().zip(&input[at..]);
    pairs.take(most).take_while(|(old, new)| old == new).count()
}

/// Compressed bytes in the making; the last control of literals is open.
struct Run {
    out: Vec<u8>,
    /// Bytes that were handed on before those in `out`.
    gone: usize,
    /// They are handed on when there are so many.
    piece_bytes: usize,
    room: usize,
    literals: usize,
}

impl Run {
    fn new(room: usize) -> Self {
        Self {
            out: vec![0],
            gone: 0,
            piece_bytes: usize::MAX,
            room,
            literals: 0,
        }
    }

    /// Hands on what is there, if that is a piece and no literals are open.
    fn hand_on(&mut self, each: &mut dyn FnMut(&[u8])) {
        if self.literals == 0
            && let Some(closed) = self.out.len().checked_sub(1)
            && closed >= self.piece_bytes
        {
            each(&self.out[..closed]);
            self.gone += closed;
            self.out.clear();
            self.out.push(0);
        }
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        if self.gone + self.out.len() >= self.room {
            return None;
        }
        self.literal_at_end(byte);
        Some(())
    }

    fn literal_at_end(&mut self, byte: u8) {
        self.out.push(byte);
        self.literals += 1;
        if self.literals == LITERAL_BYTES_MAX {
            self.close();
            self.out.push(0);
        }
    }

    /// Writes the control of the literals, or takes its place back if there are none.
    fn close(&mut self) {
        match u8::try_from(self.literals) {
            Ok(0) | Err(_) => {
                self.out.pop();
            }
            Ok(count) => {
                let at = self.out.len() - self.literals - 1;
                self.out[at] = count - 1;
            }
        }
        self.literals = 0;
    }

    fn copy(&mut self, distance: usize, len: usize) -> Option<()> {
        let empty = usize::from(self.literals == 0);
        if self.gone + self.out.len() - empty + COPY_ROOM >= self.room {
            return None;
        }
        self.close();
        let [high, low] = u16::try_from(distance - 1).ok()?.to_be_bytes();
        match u8::try_from(len - 2).ok() {
            Some(short) if short < 7 => self.out.push(high | (short << 5)),
            _ => {
                self.out.push(high | (7 << 5));
                self.out.push(u8::try_from(len - 9).ok()?);
            }
        }
        self.out.push(low);
        self.out.push(0);
        Some(())
    }

    fn has_room_for_end(&self) -> Option<()> {
        (self.gone + self.out.len() + 3 <= self.room).then_some(())
    }

    fn finish(mut self) -> Vec<u8> {
        self.close();
        self.out
    }
}

/// Expands `input` to exactly `len` bytes; nothing if that is not what it stands for. O(`len`), and
/// nothing is allocated that the input could not fill.
pub(super) fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > input.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let mut left = input;
    while let Some((&control, rest)) = left.split_first() {
        if control < 32 {
            let (literals, rest) = rest.split_at_checked(usize::from(control) + 1)?;
            left = rest;
            if out.len() + literals.len() > len {
                return None;
            }
            out.extend_from_slice(literals);
            continue;
        }
        let mut count = usize::from(control >> 5) + 2;
        left = rest;
        if count == 9 {
            let (&more, rest) = left.split_first()?;
            count += usize::from(more);
            left = rest;
        }
        let (&low, rest) = left.split_first()?;
        left = rest;
        let distance = usize::from(u16::from_be_bytes([control & 0x1F, low])) + 1;
        let from = out.len().checked_sub(distance)?;
        if out.len() + count > len {
            return None;
        }
        if count <= distance {
            out.extend_from_within(from..from + count);
        } else {
            for at in from..from + count {
                out.push(out[at]);
            }
        }
    }
    (out.len() == len).then_some(out)
}

#[cfg(test)]
mod tests {
    use base::random::Random;

    use super::*;

    fn seed() -> u64 {
        let seed = std::env::var("SEED").ok().and_then(|it| it.parse().ok());
        let seed = seed.unwrap_or(0x001F_2F3F);
        println!("SEED={seed}");
        seed
    }

    /// Bytes of a few kinds, with repetitions near and far.
    fn text(random: &mut Random) -> Vec<u8> {
        let len = random.index(3000);
        let kinds = 1 + random.index(40);
        let mut bytes = Vec::new();
        while bytes.len() < len {
            if random.below(4) == 0 && !bytes.is_empty() {
                let from = random.index(bytes.len());
                let count = random.index(400).min(bytes.len() - from);
                bytes.extend_from_within(from..from + count);
            } else {
                bytes.push(u8::try_from(random.index(kinds)).unwrap());
            }
        }
        bytes
    }

    #[test]
    fn what_is_compressed_expands_to_the_same_bytes() {
        let mut random = Random::new(seed());
        let mut compressor = Compressor::default();
        for _ in 0..3000 {
            let bytes = text(&mut random);
            let Some(packed) = compressor.compress(&bytes, bytes.len().saturating_sub(4)) else {
                continue;
            };
            assert!(packed.len() < bytes.len());
            let fresh = Compressor::default().compress(&bytes, bytes.len() - 4);
            assert_eq!(
                fresh.as_ref(),
                Some(&packed),
                "strings before make no difference"
            );
            let mut joined = Vec::new();
            let pieces = (bytes.len() - 4, 1 + random.index(300));
            let count = compressor.compress_in_pieces(&bytes, pieces, &mut |piece| {
                joined.extend_from_slice(piece);
            });
            assert_eq!(count, Some(packed.len()));
            assert_eq!(joined, packed, "pieces make no difference");
            assert_eq!(decompress(&packed, bytes.len()), Some(bytes.clone()));
            assert_eq!(decompress(&packed, bytes.len() + 1), None);
            assert_eq!(decompress(&packed, bytes.len() - 1), None);
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_expand_to_the_length_that_is_asked_for() {
        let mut random = Random::new(seed());
        for _ in 0..3000 {
            let mut bytes: Vec<u8> = text(&mut random);
            if let Some(packed) = Compressor::default().compress(&bytes, bytes.len()) {
                bytes = packed;
            }
            for _ in 0..random.index(5) {
                let at = random.index(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(random.index(256)).unwrap();
                }
            }
            bytes.truncate(random.index(bytes.len() + 1));
            let len = random.index(4000);
            if let Some(out) = decompress(&bytes, len) {
                assert_eq!(out.len(), len);
            }
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_before_memory_is_taken() {
        assert_eq!(decompress(&[0xE0, 0xFF, 0], usize::MAX), None);
        assert_eq!(decompress(b"", 1), None);
        assert_eq!(decompress(b"", 0), Some(Vec::new()));
        let most: Vec<u8> = [&[0, b'a'][..], &[0xE0, 0xFF, 0]].concat();
        assert_eq!(decompress(&most, 265), Some(vec![b'a'; 265]));
    }
}
