//! The footer of payloads of DUMP: what they are, and whether they are whole.
//!
//! ```text
//!   type | object ... | version, u16 | CRC-64 of all before, u64        little endian
//! ```
//!
//! Not here: objects (`read.rs`, `write.rs`).

use crc_fast::CrcAlgorithm::Crc64Redis;
use crc_fast::Digest;

use super::VERSION_MAX;

/// Bytes of version and checksum.
const FOOTER_BYTES: usize = 10;

/// Returns the CRC-64 of Redis (polynomial of Jones, reflected, beginning with 0). O(n).
#[must_use]
pub fn crc64(bytes: &[u8]) -> u64 {
    crc_fast::checksum(Crc64Redis, bytes)
}

/// The CRC-64 of bytes that come in pieces.
pub struct Checksum(Digest);

impl Checksum {
    /// Goes on with the next bytes. O(n), and quickest with some hundred bytes or more at a time.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the checksum of all bytes so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self(Digest::new(Crc64Redis))
    }
}

impl std::fmt::Debug for Checksum {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Checksum({:#018x})", self.value())
    }
}

/// Appends version and checksum to the bytes of an object.
pub(super) fn seal(out: &mut Vec<u8>, version: u16) {
    out.extend_from_slice(&version.to_le_bytes());
    let crc = crc64(out);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Checks the footer; returns the bytes before it and the version. Nothing if the version is unknown
/// or the checksum wrong.
pub(super) fn open(payload: &[u8]) -> Option<(&[u8], u16)> {
    let object_bytes = payload.len().checked_sub(FOOTER_BYTES)?;
    let (object, footer) = payload.split_at(object_bytes);
    let (version, crc) = footer.split_first_chunk::<2>()?;
    let version = u16::from_le_bytes(*version);
    let crc = u64::from_le_bytes(crc.try_into().ok()?);
    let is_whole = crc == crc64(&payload[..object_bytes + 2]);
    (version <= VERSION_MAX && is_whole).then_some((object, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_redis() {
        // The check value that Redis's documentation of its CRC-64 gives.
        assert_eq!(crc64(b"123456789"), 0xE9C6_D914_C4B8_D9CA);
        assert_eq!(crc64(b""), 0);
    }

    #[test]
    fn a_checksum_of_pieces_is_that_of_the_whole() {
        let mut checksum = Checksum::default();
        for piece in [&b"1234"[..], b"", b"56789"] {
            checksum.update(piece);
        }
        assert_eq!(checksum.value(), crc64(b"123456789"));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let mut payload = b"\x00\x03abc".to_vec();
        seal(&mut payload, 10);
        assert_eq!(open(&payload), Some((&b"\x00\x03abc"[..], 10)));
        for at in 0..payload.len() {
            for bit in 0..8 {
                let mut damaged = payload.clone();
                damaged[at] ^= 1 << bit;
                assert_eq!(open(&damaged), None, "byte {at}, bit {bit}");
            }
        }
        assert_eq!(open(&payload[..9]), None);
        assert_eq!(open(b""), None);
    }
}
