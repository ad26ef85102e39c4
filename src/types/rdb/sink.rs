//! Where objects are written to: bytes, or only their number.
//!
//! Not here: which lengths and strings (`write.rs`).

use base::{cast, number};

use super::lzf::Compressor;

/// Strings above this length are compressed, if that saves something.
const PLAIN_BYTES_MAX: usize = 20;

/// What compression has to save.
const SAVED_BYTES_MIN: usize = 4;

/// The longest decimal that is written as an integer: `-2147483648`.
const INTEGER_TEXT_BYTES_MAX: usize = 11;

/// Takes bytes one after the other.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    /// Returns how many bytes there are.
    fn len(&self) -> usize;

    /// Returns what compresses the strings of this object; none if they stay as they are.
    fn compressor(&mut self) -> Option<&mut Compressor>;
}

/// Keeps what is written.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    pub(super) bytes: Vec<u8>,
    pub(super) compressor: Compressor,
    pub(super) is_plain: bool,
}

impl Sink for Bytes {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn compressor(&mut self) -> Option<&mut Compressor> {
        (!self.is_plain).then_some(&mut self.compressor)
    }
}

/// Counts what is written.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) bytes: usize,
    compressor: Compressor,
}

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }

    fn len(&self) -> usize {
        self.bytes
    }

    fn compressor(&mut self) -> Option<&mut Compressor> {
        Some(&mut self.compressor)
    }
}

/// Writes a length in its shortest form.
pub(super) fn length(sink: &mut impl Sink, value: u64) {
    let [.., c, d] = value.to_be_bytes();
    match value {
        0..64 => sink.put(&[d]),
        64..0x4000 => sink.put(&[0x40 | c, d]),
        _ => match u32::try_from(value) {
            Ok(short) => {
                sink.put(&[0x80]);
                sink.put(&short.to_be_bytes());
            }
            Err(_) => {
                sink.put(&[0x81]);
                sink.put(&value.to_be_bytes());
            }
        },
    }
}

/// Writes a count of elements.
pub(super) fn count(sink: &mut impl Sink, value: usize) {
    length(sink, cast::u64_from(value));
}

/// Writes a string: as an integer, compressed or as it is, as Redis chooses.
pub(super) fn string(sink: &mut impl Sink, bytes: &[u8]) {
    if bytes.len() <= INTEGER_TEXT_BYTES_MAX
        && let Some(value) = number::parse_i64(bytes)
        && integer(sink, value)
    {
        return;
    }
    if bytes.len() > PLAIN_BYTES_MAX
        && let Some(compressor) = sink.compressor()
        && let Some(packed) = compressor.compress(bytes, bytes.len() - SAVED_BYTES_MIN)
    {
        sink.put(&[0xC3]);
        count(sink, packed.len());
        count(sink, bytes.len());
        sink.put(&packed);
        return;
    }
    count(sink, bytes.len());
    sink.put(bytes);
}

/// Hands on the bytes of a long string, as [`string`] would write them, in pieces of about `piece_bytes`. O(n), twice for
/// what can be compressed: its length, which stands in front, has to be known.
pub(super) fn string_in_pieces(
    (bytes, piece_bytes): (&[u8], usize),
    compressor: Option<&mut Compressor>,
    each: &mut dyn FnMut(&[u8]),
) {
    let mut head = Bytes::default();
    if let Some(compressor) = compressor
        && bytes.len() > PLAIN_BYTES_MAX
    {
        let room = bytes.len() - SAVED_BYTES_MIN;
        let pieces = (room, piece_bytes);
        if let Some(packed) = compressor.compress_in_pieces(bytes, pieces, &mut |_| {}) {
            head.put(&[0xC3]);
            count(&mut head, packed);
            count(&mut head, bytes.len());
            each(&head.bytes);
            compressor.compress_in_pieces(bytes, pieces, each);
            return;
        }
    }
    count(&mut head, bytes.len());
    each(&head.bytes);
    bytes.chunks(piece_bytes).for_each(each);
}

/// Writes an integer of up to 32 bits; returns false for a larger one.
fn integer(sink: &mut impl Sink, value: i64) -> bool {
    if let Ok(value) = i8::try_from(value) {
        sink.put(&[0xC0]);
        sink.put(&value.to_le_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        sink.put(&[0xC1]);
        sink.put(&value.to_le_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        sink.put(&[0xC2]);
        sink.put(&value.to_le_bytes());
    } else {
        return false;
    }
    true
}
