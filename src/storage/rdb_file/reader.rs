//! Bytes of a file to its parts. See the head of `mod.rs` for the form.
//!
//! ```text
//!   feed(bytes) -> part()? -> Some(part) ... None -> feed(bytes) -> ... -> end() -> part()? -> Part::End
//! ```
//!
//! A file of many small keys is read at the pace of this: nothing is copied but what is left of one feeding for the
//! next, checksums are made of as many bytes as were fed, and an object that is one string is not followed item by item.
//!
//! Not here: values. An [`Entry`] has the bytes of one, found whole; [`Entry::read`] makes the value,
//! perhaps on another core than the one that reads the file.

use std::borrow::Cow;
use std::io::{self, Read};
use std::ops::Range;

use base::cast;
use base::clock::UnixMillis;
use types::Value;
use types::rdb::extent::{Begins, Extent, Stop, is_one_string, length, string};
use types::rdb::{Checksum, Surroundings, is_of_module, is_string, read_object, read_string};

use super::error::shown;
use super::{CHECKSUM_FIELD, Fault, HEADER_BYTES, RdbError, VERSION_MAX, module, opcode, tables};

/// The first version whose files end with a checksum.
const CHECKSUM_SINCE: u16 = 5;

/// A file that is being read.
#[derive(Debug)]
pub struct Reader {
    /// Bytes that were fed; those before `at` are done with.
    buffer: Vec<u8>,
    at: usize,
    /// The place of `buffer[0]` in the file.
    offset: u64,
    /// No more bytes will come.
    is_ended: bool,
    /// Something else may follow.
    is_preamble: bool,
    /// The checksum of the bytes before `summed`, if it is wanted.
    checksum: Option<Checksum>,
    summed: usize,
    /// The file says that it ends with one: zeros in its place are damage.
    says_checksum: bool,
    version: u16,
    state: State,
    database: u64,
    /// What was said of the next key.
    expire_at: Option<UnixMillis>,
    last_use: Option<Use>,
}

#[derive(Debug)]
enum State {
    /// The first word and the version come next.
    Header,
    /// A part comes next.
    Part,
    /// In the object of a key, which begins at this place of the buffer and has been followed up to there.
    Object {
        key: Range<usize>,
        kind: u8,
        extent: Extent,
        object: Range<usize>,
    },
    /// Nothing comes but the end of the bytes.
    End,
}

/// A part of a file.
#[derive(Debug)]
pub enum Part<'r> {
    /// The version of the file.
    Version(u16),
    /// A field about the file.
    About {
        /// Its name.
        name: Cow<'r, [u8]>,
        /// Its value.
        value: Cow<'r, [u8]>,
    },
    /// The code of a library of functions.
    Library(Cow<'r, [u8]>),
    /// How many keys a database has, about.
    Sizes {
        /// Its number.
        database: u64,
        /// All.
        keys: u64,
        /// Those that expire.
        expires: u64,
    },
    /// A piece of what the file has of tables: see `tables::bytes::section`.
    Tables {
        /// The byte of the file that it begins with.
        offset: u64,
        /// The piece.
        piece: Cow<'r, [u8]>,
    },
    /// A key with its value.
    Entry(Entry<'r>),
    /// The file has ended, and its checksum was right if it has one and it was wanted.
    End,
}

/// A key with its value, as bytes.
#[derive(Clone, Debug)]
pub struct Entry<'r> {
    /// The byte of the file that it begins with.
    pub offset: u64,
    /// The number of its database, any number.
    pub database: u64,
    /// The key.
    pub key: Cow<'r, [u8]>,
    /// When the key dies.
    pub expire_at: Option<UnixMillis>,
    /// When or how often it was used.
    pub last_use: Option<Use>,
    /// The first byte of the object: [`types::rdb::type_name`].
    pub kind: u8,
    /// The object behind the key.
    pub object: &'r [u8],
    /// The version of the file.
    pub version: u16,
}

/// When a key was used, or how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// So many seconds before the file was written.
    Idle(u64),
    /// The counter of an LFU policy.
    Frequency(u8),
}

impl Entry<'_> {
    /// Returns the bytes of a string, borrowed if they stand in the file as they are; nothing if the object is a value
    /// of another type. O(n) in its bytes.
    ///
    /// # Errors
    ///
    /// [`Fault::Value`].
    pub fn string(&self) -> Result<Option<Cow<'_, [u8]>>, RdbError> {
        if !is_string(self.kind) {
            return Ok(None);
        }
        let string = read_string(self.object);
        string.map(Some).ok_or_else(|| self.no_value())
    }

    fn no_value(&self) -> RdbError {
        RdbError {
            offset: self.offset,
            fault: Fault::Value {
                key: shown(&self.key),
                kind: self.kind,
            },
        }
    }

    /// Makes the value. O(n) in its bytes; O(n log n) for sorted sets.
    ///
    /// # Errors
    ///
    /// [`Fault::Value`].
    pub fn read(&self, surroundings: &Surroundings<'_>) -> Result<Value, RdbError> {
        let value = read_object(self.kind, self.object, self.version, surroundings);
        value.map_err(|_refused| self.no_value())
    }
}

impl Reader {
    /// Begins a file. Its checksum is compared if `is_checked`; one of zero says that there is none, unless the file has
    /// [`CHECKSUM_FIELD`].
    #[must_use]
    pub fn new(is_checked: bool) -> Self {
        Self {
            buffer: Vec::new(),
            at: 0,
            offset: 0,
            is_ended: false,
            is_preamble: false,
            checksum: is_checked.then(Checksum::default),
            summed: 0,
            says_checksum: false,
            version: 0,
            state: State::Header,
            database: 0,
            expire_at: None,
            last_use: None,
        }
    }

    /// Begins a file that stands before something else, as in an append-only file of Redis.
    #[must_use]
    pub fn of_preamble(is_checked: bool) -> Self {
        Self {
            is_preamble: true,
            ..Self::new(is_checked)
        }
    }

    /// Returns the bytes that were fed and not done with: behind the end, those that follow.
    #[must_use]
    pub fn into_rest(mut self) -> Vec<u8> {
        self.buffer.split_off(self.at)
    }

    /// Takes the next bytes of the file. What was done with is forgotten. O(n) in the bytes and in those
    /// that are not done with, which are moved only if they are less than half.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.forget(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    /// As [`Self::feed`], with at most `bytes_max` bytes of a source. Returns how many there were; after 0 comes
    /// [`Self::end`].
    ///
    /// # Errors
    ///
    /// Those of the source.
    pub fn feed_from(&mut self, source: &mut impl Read, bytes_max: usize) -> io::Result<usize> {
        self.forget(bytes_max);
        let len = self.buffer.len();
        self.buffer.resize(len + bytes_max, 0);
        let count = source.read(&mut self.buffer[len..]);
        self.buffer.truncate(len + *count.as_ref().unwrap_or(&0));
        count
    }

    /// Forgets what was done with, before so many bytes are added.
    fn forget(&mut self, added_bytes: usize) {
        self.sum_up();
        if self.at > 0 && self.at >= self.buffer.len() / 2 {
            self.buffer.drain(..self.at);
            self.offset += cast::u64_from(self.at);
            if let State::Object { key, object, .. } = &mut self.state {
                for range in [key, object] {
                    *range = range.start - self.at..range.end - self.at;
                }
            }
            (self.at, self.summed) = (0, 0);
            // A large value leaves no large buffer behind.
            self.buffer.shrink_to(2 * (self.buffer.len() + added_bytes));
        }
    }

    /// Says that all bytes have come.
    pub fn end(&mut self) {
        self.is_ended = true;
    }

    /// Returns how many bytes of the file have been done with.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset + cast::u64_from(self.at)
    }

    /// Returns the next part; nothing if more bytes are needed for it. After [`Part::End`] there is none.
    /// O(bytes of the part), and as much again each time it has returned nothing, but not for objects.
    ///
    /// # Errors
    ///
    /// [`RdbError`]. The reader is of no use then.
    pub fn part(&mut self) -> Result<Option<Part<'_>>, RdbError> {
        loop {
            let offset = self.offset();
            let found = match self.state {
                State::Header => self.header(),
                State::Part => self.next(),
                State::Object { .. } => self.object(),
                State::End => return self.trailing(),
            };
            match found {
                Ok(Found::Nothing) => {}
                Ok(Found::Version) => return Ok(Some(Part::Version(self.version))),
                Ok(Found::About(name, value)) => {
                    let (name, value) = (self.string(name)?, self.string(value)?);
                    return Ok(Some(Part::About { name, value }));
                }
                Ok(Found::Library(code)) => {
                    return Ok(Some(Part::Library(self.string(code)?)));
                }
                Ok(Found::Tables(piece, checksum)) => {
                    let piece = self.string(piece)?;
                    if !tables::is_whole(&piece, checksum) {
                        let fault = Fault::Tables("a piece of tables is damaged".to_owned());
                        return Err(RdbError { offset, fault });
                    }
                    return Ok(Some(Part::Tables { offset, piece }));
                }
                Ok(Found::Sizes(keys, expires)) => {
                    let database = self.database;
                    return Ok(Some(Part::Sizes {
                        database,
                        keys,
                        expires,
                    }));
                }
                Ok(Found::Entry { key, kind, object }) => {
                    let (expire_at, last_use) = (self.expire_at.take(), self.last_use.take());
                    return Ok(Some(Part::Entry(Entry {
                        offset,
                        database: self.database,
                        key: self.string(key)?,
                        expire_at,
                        last_use,
                        kind,
                        object: &self.buffer[object],
                        version: self.version,
                    })));
                }
                Err(Refusal::Short) if self.is_ended => {
                    return Err(RdbError {
                        offset,
                        fault: Fault::Short,
                    });
                }
                Err(Refusal::Short) => return Ok(None),
                Err(Refusal::Fault(fault)) => return Err(RdbError { offset, fault }),
            }
        }
    }

    /// Passes over bytes: they are done with.
    fn take(&mut self, count: usize) {
        self.at += count;
    }

    /// Brings the checksum to where the reader is.
    fn sum_up(&mut self) {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&self.buffer[self.summed..self.at]);
        }
        self.summed = self.at;
    }

    fn left(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Reads a string whose place is known.
    fn string(&self, range: Range<usize>) -> Result<Cow<'_, [u8]>, RdbError> {
        let offset = self.offset + cast::u64_from(range.start);
        read_string(&self.buffer[range]).ok_or(RdbError {
            offset,
            fault: Fault::Encoding,
        })
    }

    fn header(&mut self) -> Result<Found, Refusal> {
        const WORD: &[u8] = b"REDIS";
        let left = self.left();
        let common = left.len().min(WORD.len());
        if left[..common] != WORD[..common] {
            return Err(Fault::NotRdb.into());
        }
        let digits = left.get(WORD.len()..HEADER_BYTES).ok_or(Stop::Short)?;
        let version = version_of(digits);
        match version {
            Some(version @ 1..=VERSION_MAX) => {
                self.version = version;
                self.state = State::Part;
                self.take(HEADER_BYTES);
                Ok(Found::Version)
            }
            Some(_) | None => {
                let digits = digits.escape_ascii().to_string();
                Err(Fault::Version(digits).into())
            }
        }
    }

    fn next(&mut self) -> Result<Found, Refusal> {
        let (&first, rest) = self.left().split_first().ok_or(Stop::Short)?;
        match first {
            opcode::ABOUT => {
                let name = string(rest)?.len();
                let value = string(&rest[name..])?.len();
                let start = self.at + 1;
                let is_mark = read_string(&rest[..name]).is_some_and(|it| *it == *CHECKSUM_FIELD);
                self.says_checksum |= is_mark;
                self.take(1 + name + value);
                Ok(Found::About(
                    start..start + name,
                    start + name..start + name + value,
                ))
            }
            opcode::LIBRARY => {
                let code = string(rest)?.len();
                let start = self.at + 1;
                self.take(1 + code);
                Ok(Found::Library(start..start + code))
            }
            opcode::LIBRARY_EARLY => Err(Fault::Library.into()),
            opcode::MODULE => self.module(),
            opcode::SLOT => {
                let taken = lengths::<3>(rest)?.1;
                self.take(1 + taken);
                Ok(Found::Nothing)
            }
            opcode::SIZES => {
                let ([keys, expires], taken) = lengths::<2>(rest)?;
                self.take(1 + taken);
                Ok(Found::Sizes(keys, expires))
            }
            opcode::DATABASE => {
                let (database, taken) = length(rest)?;
                self.database = database;
                self.take(1 + taken);
                Ok(Found::Nothing)
            }
            opcode::EXPIRE_MS => {
                let time = rest.first_chunk().ok_or(Stop::Short)?;
                self.expire_at = Some(UnixMillis(i64::from_le_bytes(*time)));
                self.take(1 + size_of::<i64>());
                Ok(Found::Nothing)
            }
            opcode::EXPIRE_SECONDS => {
                let time = rest.first_chunk().ok_or(Stop::Short)?;
                let seconds = i64::from(i32::from_le_bytes(*time));
                self.expire_at = Some(UnixMillis(seconds * 1000));
                self.take(1 + size_of::<i32>());
                Ok(Found::Nothing)
            }
            opcode::IDLE => {
                let (seconds, taken) = length(rest)?;
                self.last_use = Some(Use::Idle(seconds));
                self.take(1 + taken);
                Ok(Found::Nothing)
            }
            opcode::FREQUENCY => {
                let &counter = rest.first().ok_or(Stop::Short)?;
                self.last_use = Some(Use::Frequency(counter));
                self.take(2);
                Ok(Found::Nothing)
            }
            opcode::END => self.finish(),
            kind => self.key(kind),
        }
    }

    /// Reads what a module has beside keys, and tables.
    fn module(&mut self) -> Result<Found, Refusal> {
        let rest = &self.left()[1..];
        match tables::part(rest)? {
            (tables::Part::Version(version), _) => Err(Fault::TablesVersion(version).into()),
            (tables::Part::Piece(found), taken) => {
                let start = self.at + 1 + found.at;
                self.take(1 + taken);
                Ok(Found::Tables(start..start + found.len, found.checksum))
            }
            (tables::Part::Other, _) => {
                let (data, taken) = module::data(rest)?;
                if !data.is_blank {
                    return Err(Fault::ModuleData(data.module).into());
                }
                self.take(1 + taken);
                Ok(Found::Nothing)
            }
        }
    }

    /// Reads the key of an object, and begins to follow that.
    fn key(&mut self, kind: u8) -> Result<Found, Refusal> {
        let rest = &self.left()[1..];
        let is_known = is_one_string(kind) || Extent::new(kind).is_some();
        if !is_known && !is_of_module(kind) {
            return Err(Fault::Part(kind).into());
        }
        let key = string(rest)?.len();
        let start = self.at + 1;
        let behind = start + key;
        if is_one_string(kind)
            && let Ok(object) = string(&self.buffer[behind..])
        {
            let object = behind..behind + object.len();
            self.take(object.end - self.at);
            let key = start..behind;
            return Ok(Found::Entry { key, kind, object });
        }
        let Some(extent) = Extent::new(kind) else {
            let name = read_string(&rest[..key]).ok_or(Stop::Wrong)?;
            let (id, _) = length(&rest[key..])?;
            return Err(Fault::ModuleValue {
                key: shown(&name),
                module: module::name_of(id),
            }
            .into());
        };
        self.state = State::Object {
            key: start..behind,
            kind,
            extent,
            object: behind..behind,
        };
        Ok(Found::Nothing)
    }

    /// Follows the object of a key.
    fn object(&mut self) -> Result<Found, Refusal> {
        let State::Object {
            key,
            kind,
            extent,
            object,
        } = &mut self.state
        else {
            return Ok(Found::Nothing);
        };
        let (passed, is_whole) = extent.advance(&self.buffer[object.end..])?;
        object.end += passed;
        if !is_whole {
            return Err(Stop::Short.into());
        }
        let (key, kind, object) = (key.clone(), *kind, object.clone());
        self.state = State::Part;
        self.take(object.end - self.at);
        Ok(Found::Entry { key, kind, object })
    }

    /// Compares the checksum behind the end.
    fn finish(&mut self) -> Result<Found, Refusal> {
        if self.version < CHECKSUM_SINCE {
            self.take(1);
            self.state = State::End;
            return Ok(Found::Nothing);
        }
        let said = self.left()[1..].first_chunk().ok_or(Stop::Short)?;
        let said = u64::from_le_bytes(*said);
        self.take(1);
        self.sum_up();
        let is = self.checksum.take().map(|checksum| checksum.value());
        self.at += size_of::<u64>();
        match is {
            Some(is) if said != is && (said != 0 || self.says_checksum) => {
                Err(Fault::Checksum { said, is }.into())
            }
            Some(_) | None => {
                self.state = State::End;
                Ok(Found::Nothing)
            }
        }
    }

    fn trailing(&self) -> Result<Option<Part<'_>>, RdbError> {
        if self.is_preamble {
            return Ok(Some(Part::End));
        }
        if !self.left().is_empty() {
            return Err(RdbError {
                offset: self.offset(),
                fault: Fault::Trailing,
            });
        }
        Ok(self.is_ended.then_some(Part::End))
    }
}

/// A part that is whole; strings as their places in the buffer.
enum Found {
    /// What does not concern others.
    Nothing,
    Version,
    About(Range<usize>, Range<usize>),
    Library(Range<usize>),
    /// With its checksum.
    Tables(Range<usize>, u64),
    Sizes(u64, u64),
    Entry {
        key: Range<usize>,
        kind: u8,
        object: Range<usize>,
    },
}

/// Why there is no part.
enum Refusal {
    Short,
    Fault(Fault),
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Short => Self::Short,
            Stop::Wrong => Self::Fault(Fault::Encoding),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Returns the number that digits say, zeros before it or not.
fn version_of(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |number, &digit| match digit {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u16::from(digit - b'0')),
        _ => None,
    })
}

/// Returns the lengths that bytes begin with.
fn lengths<const N: usize>(bytes: &[u8]) -> Begins<[u64; N]> {
    let mut values = [0; N];
    let mut at = 0;
    for value in &mut values {
        let (this, taken) = length(&bytes[at..])?;
        *value = this;
        at += taken;
    }
    Ok((values, at))
}
