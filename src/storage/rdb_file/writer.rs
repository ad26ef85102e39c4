//! Parts to bytes of a file. See the head of `mod.rs` for the form.
//!
//! The caller puts the parts in their order and takes the bytes when there are enough of them. Pieces that
//! several writers have made may be joined in any order if each begins with [`Writer::database`].
//!
//! Not here: the checksum, which [`crate::save`] keeps, as it sees all bytes in their order.

use base::clock::UnixMillis;
use types::Value;
use types::rdb::{Object, Steps, VERSION, VERSION_MAX};

use super::{Use, opcode};

/// What a file says of itself.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// The version of Redis that the server says to be.
    pub server_version: &'a str,
    /// The time.
    pub now: UnixMillis,
    /// Bytes that the server uses.
    pub used_bytes: u64,
}

/// What a file says of a key: when it dies, and how much it was used.
pub type Marks = (Option<UnixMillis>, Option<Use>);

/// Makes the bytes of a file.
#[derive(Debug)]
pub struct Writer {
    bytes: types::rdb::Writer,
}

impl Writer {
    /// Creates a writer without bytes. Strings are compressed if `compresses` (`rdbcompression`).
    #[must_use]
    pub fn new(compresses: bool) -> Self {
        Self {
            bytes: types::rdb::Writer::new(compresses),
        }
    }

    /// Returns how many bytes there are to be taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.bytes().len()
    }

    /// Returns whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the bytes so far out.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.bytes.take()
    }

    /// Begins a file, with the fields that Redis gives it. `fields_expire` says that fields of some hash
    /// expire, which Redis 7.0 cannot read.
    pub fn begin(&mut self, fields_expire: bool, about: &About<'_>) {
        let version = if fields_expire { VERSION_MAX } else { VERSION };
        self.bytes.put(format!("REDIS{version:04}").as_bytes());
        let seconds = about.now.seconds().to_string();
        let used = about.used_bytes.to_string();
        let fields = [
            ("redis-ver", about.server_version),
            ("redis-bits", "64"),
            ("ctime", &seconds),
            ("used-mem", &used),
            ("aof-base", "0"),
        ];
        for (name, value) in fields {
            self.field(name.as_bytes(), value.as_bytes());
        }
    }

    /// Says something more about the file; for those that stand before the first key.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.bytes.put(&[opcode::ABOUT]);
        self.bytes.string(name);
        self.bytes.string(value);
    }

    /// Adds the code of a library of functions.
    pub fn library(&mut self, code: &[u8]) {
        self.bytes.put(&[opcode::LIBRARY]);
        self.bytes.string(code);
    }

    /// Adds a piece of tables, see `tables::bytes::section`. Anywhere, but schemas before rows. O(n) in the bytes.
    pub fn tables(&mut self, piece: &[u8]) {
        super::tables::write(&mut self.bytes, piece);
    }

    /// Says in which database the next keys are.
    pub fn database(&mut self, number: u64) {
        self.bytes.put(&[opcode::DATABASE]);
        self.bytes.length(number);
    }

    /// Says how many keys the database has, and how many of them expire.
    pub fn sizes(&mut self, keys: u64, expires: u64) {
        self.bytes.put(&[opcode::SIZES]);
        self.bytes.length(keys);
        self.bytes.length(expires);
    }

    /// Adds a key with its value. Fields of hashes that are dead at `now` are left out. O(n) in the
    /// bytes.
    pub fn entry(&mut self, key: &[u8], object: Object<'_>, marks: Marks, now: UnixMillis) {
        self.marks(marks);
        self.bytes.entry(key, object, now);
    }

    /// Adds a key whose value follows in steps: [`Writer::step`], before anything else.
    pub fn begin_entry(&mut self, key: &[u8], value: &Value, marks: Marks, now: UnixMillis) {
        self.marks(marks);
        self.bytes.begin(key, value, now);
    }

    /// Goes on with the value of a key by about `bytes` bytes. Returns whether there is more. See
    /// [`types::rdb::Writer::step`].
    pub fn step(&mut self, steps: &mut Steps, value: &Value, bytes: usize) -> bool {
        self.bytes.step(steps, value, bytes)
    }

    /// Adds a key whose value is a long string, to be handed on by [`Writer::string_in_pieces`] behind these bytes.
    pub fn begin_string(&mut self, key: &[u8], marks: Marks) {
        self.marks(marks);
        self.bytes.begin_string(key);
    }

    /// Hands on a long string, which is not added to the bytes here. See [`types::rdb::Writer::string_in_pieces`].
    pub fn string_in_pieces(
        &mut self,
        bytes: &[u8],
        piece_bytes: usize,
        each: &mut dyn FnMut(&[u8]),
    ) {
        self.bytes.string_in_pieces(bytes, piece_bytes, each);
    }

    fn marks(&mut self, (expire_at, last_use): Marks) {
        if let Some(at) = expire_at {
            self.bytes.put(&[opcode::EXPIRE_MS]);
            self.bytes.put(&at.0.to_le_bytes());
        }
        match last_use {
            None => {}
            Some(Use::Idle(seconds)) => {
                self.bytes.put(&[opcode::IDLE]);
                self.bytes.length(seconds);
            }
            Some(Use::Frequency(counter)) => self.bytes.put(&[opcode::FREQUENCY, counter]),
        }
    }

    /// Ends the file; the checksum belongs behind it.
    pub fn end(&mut self) {
        self.bytes.put(&[opcode::END]);
    }
}
