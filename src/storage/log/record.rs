//! The bytes of a log file: its head, and records one behind the other.
//!
//! ```text
//!   head:    "TRESTLOG" | version u16 | shard u16 | shards u16 | 0 u16 | generation u64 | first number u64
//!            | checksum u32                                                            36 bytes
//!   record:  mark u32 | checksum u32 | length u32 | number u64 | milliseconds i64 | effects ...
//! ```
//!
//! Behind the last record there may be zeros: room that was made for more.
//!
//! Integers are little endian. The checksum is CRC-32C; that of the head covers all before it, that of a
//! record all behind it. The length is that of the effects. The number of a record is one more than that of
//! the record before; the milliseconds are those since 1970.
//!
//! Not here: effects (`types::effect`).

use std::io::{self, Read};

use base::cast::{u32_from, u64_from, usize_from_u32};
use base::clock::UnixMillis;
use crc_fast::crc32_iscsi;
use runtime::faults;

use super::spans::Spans;

/// The first bytes of a file.
const MAGIC: &[u8; 8] = b"TRESTLOG";

/// The version of the format.
const VERSION: u16 = 1;

/// Bytes of the head of a file.
pub const HEAD_BYTES: usize = 36;

/// What a record begins with.
const MARK: [u8; 4] = [0xA7, b'R', b'e', b'c'];

/// Bytes of a record beside its effects.
pub const FRAME_BYTES: usize = 28;

/// Most bytes of effects in one record. A value is written whole, so this bounds values too.
pub const EFFECTS_BYTES_MAX: usize = u32::MAX as usize;

/// The head of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The shard whose changes it has.
    pub shard: u16,
    /// How many shards there were.
    pub shards: u16,
    /// The generation.
    pub generation: u64,
    /// The number of its first record.
    pub first: u64,
}

impl Head {
    /// Returns its bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for field in [VERSION, self.shard, self.shards, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        let checksum = crc32_iscsi(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    fn read(bytes: &[u8; HEAD_BYTES]) -> Result<Self, Fault> {
        let mut left = bytes.as_slice();
        if &take::<8>(&mut left) != MAGIC {
            return Err(Fault::NoLog);
        }
        let [version, shard, shards, _] = [(); 4].map(|()| u16::from_le_bytes(take(&mut left)));
        if version != VERSION {
            return Err(Fault::Version(version));
        }
        let [generation, first] = [(); 2].map(|()| u64::from_le_bytes(take(&mut left)));
        let checksum = u32::from_le_bytes(take(&mut left));
        if checksum != crc32_iscsi(&bytes[..HEAD_BYTES - 4]) {
            return Err(Fault::Head);
        }
        Ok(Self {
            shard,
            shards,
            generation,
            first,
        })
    }
}

/// Takes the first bytes of what is left, which has enough of them.
fn take<const N: usize>(left: &mut &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let (taken, rest) = left.split_at(N);
    array.copy_from_slice(taken);
    *left = rest;
    array
}

/// Appends a record.
///
/// # Panics
///
/// If there are more than [`EFFECTS_BYTES_MAX`] bytes.
pub fn write(out: &mut Vec<u8>, number: u64, at: UnixMillis, effects: &[u8]) {
    out.reserve(FRAME_BYTES + effects.len());
    out.extend_from_slice(&MARK);
    let checksum_at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&u32_from(effects.len()).to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&at.0.to_le_bytes());
    out.extend_from_slice(effects);
    let checksum = crc32_iscsi(&out[checksum_at + 4..]);
    out[checksum_at..checksum_at + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub at: UnixMillis,
    /// Its effects.
    pub effects: &'a [u8],
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin as a log.
    NoLog,
    /// It has a version that is not known here.
    Version(u16),
    /// Its head is damaged.
    Head,
    /// A record is damaged, and whole ones follow.
    Middle,
    /// A record has another number than the one that follows.
    Number {
        /// What it has.
        found: u64,
        /// What it should have.
        expected: u64,
    },
    /// It cannot be read.
    Io(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoLog => f.write_str("it is no log of this server"),
            Self::Version(version) => {
                write!(
                    f,
                    "it has version {version}, and this server reads {VERSION}"
                )
            }
            Self::Head => f.write_str("its head is damaged"),
            Self::Middle => f.write_str("a record is damaged, and whole records follow"),
            Self::Number { found, expected } => {
                write!(f, "a record has number {found} in the place of {expected}")
            }
            Self::Io(error) => f.write_str(error),
        }
    }
}

/// Where something is wrong, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The byte of the file.
    pub offset: u64,
    /// What it is.
    pub fault: Fault,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.fault)
    }
}

impl std::error::Error for Damage {}

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 * 1024;

/// Reads a log file from its beginning. Memory: the longest record, or what is behind a torn one, also room.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where in `buffer` the next record begins.
    begun: usize,
    /// The byte of the file that `buffer` begins with.
    base: u64,
    is_at_end: bool,
    head: Option<Head>,
    next: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the head of a file. A file that ends before the end of its head has none, and neither has one of zeros
    /// alone: that of a server, or of a machine, that has ended while it made the file.
    ///
    /// # Errors
    ///
    /// [`Damage`].
    pub fn open(source: R) -> Result<Self, Damage> {
        let mut reader = Self {
            source,
            buffer: Vec::new(),
            begun: 0,
            base: 0,
            is_at_end: false,
            head: None,
            next: 0,
        };
        if reader.fill(HEAD_BYTES)?
            && let Some(head) = reader.buffer.first_chunk::<HEAD_BYTES>()
        {
            let is_blank = *head == [0; HEAD_BYTES];
            let read = Head::read(head);
            if is_blank && reader.is_blank()? {
                return Ok(reader);
            }
            let head = read.map_err(|fault| Damage { offset: 0, fault })?;
            reader.next = head.first;
            reader.begun = HEAD_BYTES;
            reader.head = Some(head);
        }
        Ok(reader)
    }

    /// Returns whether all bytes are zeros: the length of a file may be on the disk before its bytes. Memory: the
    /// file, if so.
    fn is_blank(&mut self) -> Result<bool, Damage> {
        while self.buffer.iter().all(|byte| *byte == 0) {
            if !self.fill(self.buffer.len() + 1)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the head; nothing if the file ends before its end, or has nothing but zeros.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// Returns the number that the next record has.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Returns where the next record begins. When there is no more: how long the file should be.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.base + u64_from(self.begun)
    }

    /// Returns how many bytes of a record that is not whole lie behind the last that is. Only when there is no more.
    #[must_use]
    pub fn torn_bytes(&self) -> u64 {
        if self.is_room() {
            0
        } else {
            u64_from(self.buffer.len() - self.begun)
        }
    }

    /// Returns how many zeros lie behind the last record and nothing else: room for more. Only when there is no more.
    #[must_use]
    pub fn room_bytes(&self) -> u64 {
        if self.is_room() {
            u64_from(self.buffer.len() - self.begun)
        } else {
            0
        }
    }

    fn is_room(&self) -> bool {
        self.buffer[self.begun..].iter().all(|byte| *byte == 0)
    }

    /// Reads the next record; nothing at the end, or where a torn tail begins.
    ///
    /// # Errors
    ///
    /// [`Damage`].
    pub fn record(&mut self) -> Result<Option<Record<'_>>, Damage> {
        if self.head.is_none() || !self.fill(FRAME_BYTES)? {
            return Ok(None);
        }
        let Some(length) = self.length_at(self.begun) else {
            return self.torn_or_damaged();
        };
        if !self.fill(FRAME_BYTES + length)? || !self.is_whole(self.begun, length) {
            return self.torn_or_damaged();
        }
        let offset = self.offset();
        let (number, at) = self.numbers_at(self.begun);
        if number != self.next {
            let fault = Fault::Number {
                found: number,
                expected: self.next,
            };
            return Err(Damage { offset, fault });
        }
        self.next += 1;
        let start = self.begun + FRAME_BYTES;
        self.begun = start + length;
        Ok(Some(Record {
            offset,
            number,
            at,
            effects: &self.buffer[start..start + length],
        }))
    }

    /// Sees to it that so many bytes lie in the buffer behind the beginning of the next record. Returns
    /// whether they do: not if the file ends before.
    fn fill(&mut self, count: usize) -> Result<bool, Damage> {
        while self.buffer.len() - self.begun < count {
            if self.is_at_end {
                return Ok(false);
            }
            if self.begun > 0 {
                self.buffer.drain(..self.begun);
                self.base += u64_from(self.begun);
                self.begun = 0;
            }
            let len = self.buffer.len();
            // A wrong length asks for no memory before the bytes are there.
            self.buffer.resize(len + READ_BYTES, 0);
            let read = self.source.read(&mut self.buffer[len..]);
            let read = match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
                other => other.map(Some),
            };
            let count = *read.as_ref().ok().and_then(Option::as_ref).unwrap_or(&0);
            self.buffer.truncate(len + count);
            self.is_at_end = matches!(read, Ok(Some(0)));
            read.map_err(|error| Damage {
                offset: self.base + u64_from(len),
                fault: Fault::Io(error.to_string()),
            })?;
        }
        Ok(true)
    }

    /// Returns the length of the effects of a record at a place of the buffer, if one begins there.
    fn length_at(&self, at: usize) -> Option<usize> {
        let frame = self.buffer.get(at..at + FRAME_BYTES)?;
        let length = frame[8..].first_chunk::<4>()?;
        (frame[..4] == MARK).then(|| usize_from_u32(u32::from_le_bytes(*length)))
    }

    /// Returns whether the record at a place of the buffer has all its bytes, and the right ones.
    fn is_whole(&self, at: usize, length: usize) -> bool {
        let checked = at + FRAME_BYTES - 20..at + FRAME_BYTES + length;
        let Some(checked) = self.buffer.get(checked) else {
            return false;
        };
        let checksum = &self.buffer[at + 4..at + 8];
        crc32_iscsi(checked).to_le_bytes() == checksum
            || faults::is_on(faults::Fault::TornTailAccepted)
    }

    fn numbers_at(&self, at: usize) -> (u64, UnixMillis) {
        let mut left = &self.buffer[at + 12..at + FRAME_BYTES];
        let number = u64::from_le_bytes(take(&mut left));
        (number, UnixMillis(i64::from_le_bytes(take(&mut left))))
    }

    /// Decides what a record that is not whole is, by looking for one behind it that is. Reads the file to
    /// its end.
    fn torn_or_damaged(&mut self) -> Result<Option<Record<'_>>, Damage> {
        while self.fill(self.buffer.len() - self.begun + 1)? {}
        let mut candidates = Vec::new();
        let mut at = self.begun + 1;
        while let Some(found) = find(&self.buffer[at.min(self.buffer.len())..], MARK) {
            at += found;
            if let Some(length) = self.length_at(at)
                && self.numbers_at(at).0 >= self.next
                && at + FRAME_BYTES + length <= self.buffer.len()
            {
                candidates.push((at, at + FRAME_BYTES + length));
            }
            at += 1;
        }
        let borders = candidates.iter().flat_map(|(at, end)| [at + 8, *end]);
        let spans = Spans::new(&self.buffer, borders.collect());
        let is_whole = |&(at, end): &(usize, usize)| {
            let checksum = spans.checksum(at + 8, end);
            checksum.is_some_and(|it| it.to_le_bytes() == self.buffer[at + 4..at + 8])
        };
        if candidates.iter().any(is_whole) {
            let offset = self.offset();
            let fault = Fault::Middle;
            return Err(Damage { offset, fault });
        }
        Ok(None)
    }
}

fn find(bytes: &[u8], mark: [u8; 4]) -> Option<usize> {
    bytes.windows(4).position(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use base::random::Random;

    use super::*;

    const HEAD: Head = Head {
        shard: 1,
        shards: 4,
        generation: 9,
        first: 100,
    };

    fn file(contents: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = HEAD.bytes();
        for (number, effects) in (HEAD.first..).zip(contents) {
            write(&mut bytes, number, UnixMillis(5), effects);
        }
        bytes
    }

    fn contents(random: &mut Random) -> Vec<Vec<u8>> {
        let some = |random: &mut Random| {
            let count = random.index(40);
            (0..count)
                .map(|_| random.next_u64().to_le_bytes()[0])
                .collect()
        };
        (0..6).map(|_| some(random)).collect()
    }

    /// Reads all records; returns them, how long the file should be, and how many bytes are torn or room.
    fn read(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, u64, u64), Damage> {
        let mut reader = Reader::open(bytes)?;
        let mut records = Vec::new();
        while let Some(record) = reader.record()? {
            assert_eq!(record.number, HEAD.first + u64_from(records.len()));
            records.push(record.effects.to_vec());
        }
        let behind = reader.torn_bytes() + reader.room_bytes();
        Ok((records, reader.offset(), behind))
    }

    fn random() -> Random {
        let seed = std::env::var("SEED").map_or(7, |seed| seed.parse().unwrap());
        eprintln!("SEED={seed}");
        Random::new(seed)
    }

    #[test]
    fn records_are_read_back_from_a_file_cut_anywhere_up_to_the_cut() {
        let contents = contents(&mut random());
        let bytes = file(&contents);
        let mut ends = vec![HEAD_BYTES];
        for effects in &contents {
            ends.push(ends.last().unwrap() + FRAME_BYTES + effects.len());
        }
        for end in 0..=bytes.len() {
            let (records, length, torn) = read(&bytes[..end]).unwrap();
            let whole = ends.iter().filter(|it| **it <= end).count();
            assert_eq!(records, contents[..whole.saturating_sub(1)], "{end}");
            let expected = if whole == 0 { 0 } else { ends[whole - 1] };
            assert_eq!(
                (length, torn),
                (u64_from(expected), u64_from(end - expected))
            );
        }
        assert_eq!(Reader::open(bytes.as_slice()).unwrap().head(), Some(HEAD));
    }

    #[test]
    fn zeros_behind_the_records_are_room_and_anything_else_is_torn() {
        let contents = contents(&mut random());
        let written = file(&contents);
        for count in [
            1,
            FRAME_BYTES - 1,
            FRAME_BYTES,
            FRAME_BYTES + 1,
            READ_BYTES * 3,
        ] {
            let mut bytes = written.clone();
            bytes.resize(written.len() + count, 0);
            let tail = |bytes: &[u8]| {
                let mut reader = Reader::open(bytes).unwrap();
                let mut records = 0;
                while reader.record().unwrap().is_some() {
                    records += 1;
                }
                assert_eq!(
                    (records, reader.offset()),
                    (contents.len(), u64_from(written.len()))
                );
                (reader.torn_bytes(), reader.room_bytes())
            };
            assert_eq!(tail(&bytes), (0, u64_from(count)));
            *bytes.last_mut().unwrap() = 1;
            assert_eq!(tail(&bytes), (u64_from(count), 0));
        }
        // A record that is lost in front of one that is there is damage, not room.
        let mut bytes = written.clone();
        bytes.resize(written.len() + 100, 0);
        write(&mut bytes, HEAD.first + 7, UnixMillis(5), b"behind it");
        assert_eq!(read(&bytes).unwrap_err().fault, Fault::Middle);
    }

    #[test]
    fn a_flipped_bit_is_damage_or_cuts_the_last_record() {
        let contents = contents(&mut random());
        let bytes = file(&contents);
        let last = bytes.len() - contents[5].len() - FRAME_BYTES;
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                match read(&damaged) {
                    Ok((records, ..)) => {
                        // Two bytes of the head say nothing; its checksum covers them.
                        assert!(at >= last, "byte {at}, bit {bit}");
                        assert_eq!(records, contents[..5]);
                    }
                    Err(damage) => assert!(at < last, "byte {at}, bit {bit}: {damage}"),
                }
            }
        }
    }

    #[test]
    fn what_looks_like_thousands_of_long_records_behind_a_torn_one_takes_no_time() {
        let mut effects = Vec::new();
        let frames = 100_000;
        for number in 0..frames {
            effects.extend_from_slice(&MARK);
            effects.extend_from_slice(&[7; 4]);
            // Up to the end of them all, almost.
            let length = (frames - number - 1) * FRAME_BYTES;
            effects.extend_from_slice(&u32_from(length).to_le_bytes());
            effects.extend_from_slice(&u64::MAX.to_le_bytes());
            effects.extend_from_slice(&[0; 8]);
        }
        let bytes = file(&[b"one".to_vec(), effects]);
        // Each by itself these would be 140 GB.
        let (records, _, torn) = read(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(records, [b"one".to_vec()]);
        assert_eq!(torn, u64_from(frames * FRAME_BYTES + FRAME_BYTES - 1));
        let mut whole = bytes;
        whole[HEAD_BYTES + FRAME_BYTES + 10] ^= 1;
        write(&mut whole, HEAD.first + 2, UnixMillis(5), b"behind it");
        assert_eq!(read(&whole).unwrap_err().fault, Fault::Middle);
    }

    /// Changes a file as no disk would: pieces of it cut out, put in twice, overwritten.
    fn mangle(bytes: &[u8], random: &mut Random) -> Vec<u8> {
        let mut mangled = bytes.to_vec();
        for _ in 0..1 + random.index(3) {
            let from = random.index(mangled.len() + 1);
            let to = (from + random.index(60)).min(mangled.len());
            let piece = mangled[from..to].to_vec();
            let at = random.index(mangled.len() + 1);
            match random.index(4) {
                0 => drop(mangled.drain(from..to)),
                1 => drop(mangled.splice(at..at, piece)),
                2 => mangled[from..to].fill(0),
                _ => mangled[from..to]
                    .iter_mut()
                    .for_each(|byte| *byte = random.next_u64().to_le_bytes()[0]),
            }
        }
        mangled
    }

    #[test]
    fn a_mangled_file_gives_records_that_were_written_in_their_order_or_is_refused() {
        let mut random = random();
        for _ in 0..3000 {
            let contents = contents(&mut random);
            let mangled = mangle(&file(&contents), &mut random);
            if let Ok((records, length, torn)) = read(&mangled) {
                assert!(contents.starts_with(&records));
                assert_eq!(length + torn, u64_from(mangled.len()));
            }
        }
    }

    #[test]
    fn a_record_that_is_missing_or_there_twice_is_noticed() {
        let mut bytes = file(&[b"one".to_vec()]);
        write(&mut bytes, HEAD.first + 2, UnixMillis(5), b"three");
        let damage = read(&bytes).unwrap_err();
        assert_eq!(damage.offset, u64_from(HEAD_BYTES + FRAME_BYTES + 3));
        let fault = Fault::Number {
            found: 102,
            expected: 101,
        };
        assert_eq!(damage.fault, fault);
    }

    #[test]
    fn a_file_of_zeros_alone_has_no_head() {
        for len in [HEAD_BYTES, 512, 5000, READ_BYTES * 2] {
            let mut bytes = vec![0; len];
            let mut reader = Reader::open(bytes.as_slice()).unwrap();
            assert_eq!((reader.head(), reader.record()), (None, Ok(None)));
            assert_eq!((reader.offset(), reader.torn_bytes()), (0, 0));
            assert_eq!(reader.room_bytes(), u64_from(len));
            bytes[len - 1] = 1;
            assert_eq!(read(&bytes).unwrap_err().fault, Fault::NoLog);
        }
    }

    #[test]
    fn a_file_of_somebody_else_is_refused() {
        let bytes = [b'x'; 100];
        assert_eq!(read(&bytes).unwrap_err().fault, Fault::NoLog);
        let mut later = HEAD.bytes();
        later[8] = 2;
        assert_eq!(read(&later).unwrap_err().fault, Fault::Version(2));
    }
}
