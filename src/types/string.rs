//! Strings: what a value's bytes are called, and changes in the middle of them.
//!
//! All strings are plain bytes; there is one representation for numbers and texts. The names of
//! encodings only answer OBJECT ENCODING as Redis 7.0 does, from the bytes and from how they came
//! about.

/// Longest string that Redis 7.0 names "embstr", in bytes.
pub const EMBEDDED_BYTES_MAX: usize = 44;

/// Longest decimal of a 64-bit signed integer, in bytes: a sign and nineteen digits.
const INTEGER_BYTES_MAX: usize = 20;

/// How the bytes of a string came about; decides the name of its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Origin {
    /// Stored whole by a command that looks for integers, such as SET.
    #[default]
    Stored,
    /// Stored whole by a command that does not, such as INCRBYFLOAT.
    Computed,
    /// Changed in place, by APPEND or SETRANGE.
    Edited,
}

/// Returns the name OBJECT ENCODING gives to a string. O(1).
#[must_use]
pub fn encoding_name(bytes: &[u8], origin: Origin) -> &'static str {
    match origin {
        Origin::Stored if is_canonical_integer(bytes) => "int",
        Origin::Stored | Origin::Computed if bytes.len() <= EMBEDDED_BYTES_MAX => "embstr",
        Origin::Stored | Origin::Computed | Origin::Edited => "raw",
    }
}

/// Tells whether `bytes` are the decimal of an `i64` exactly as the integer would be printed.
#[must_use]
pub fn is_canonical_integer(bytes: &[u8]) -> bool {
    if bytes.is_empty() || bytes.len() > INTEGER_BYTES_MAX {
        return false;
    }
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let canonical = match digits {
        [b'0'] => digits.len() == bytes.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    canonical && std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<i64>().is_ok())
}

/// Writes `bytes` at `offset`, with zeros between the old end and `offset`. Returns the new length.
///
/// Cost: O(bytes written), amortised over growth.
pub fn overwrite(string: &mut Vec<u8>, offset: usize, bytes: &[u8]) -> usize {
    let end = offset + bytes.len();
    if string.len() < end {
        string.resize(end, 0);
    }
    string[offset..end].copy_from_slice(bytes);
    string.len()
}

/// Makes a string at least `len_min` bytes long, with zeros. Returns whether it was shorter.
///
/// Cost: amortised O(growth). A string that grows to more than twice its room is copied to pages that
/// the kernel gives out as zeros when they are touched first.
pub fn grow(string: &mut Vec<u8>, len_min: usize) -> bool {
    if string.len() >= len_min {
        return false;
    }
    if string.capacity() < len_min / 2 {
        let mut grown = vec![0; len_min];
        grown[..string.len()].copy_from_slice(string);
        *string = grown;
    } else {
        string.resize(len_min, 0);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], origin: Origin, name: &str) {
        assert_eq!(
            encoding_name(bytes, origin),
            name,
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }

    #[test]
    fn encoding_names_are_those_of_redis() {
        // Each of these was asked of redis-server 7.0.15.
        check(b"5", Origin::Stored, "int");
        check(b"0", Origin::Stored, "int");
        check(b"9999", Origin::Stored, "int");
        check(b"9223372036854775807", Origin::Stored, "int");
        check(b"-9223372036854775808", Origin::Stored, "int");
        check(b"9223372036854775808", Origin::Stored, "embstr");
        check(b"12345678901234567890", Origin::Stored, "embstr");
        check(b"-0", Origin::Stored, "embstr");
        check(b"007", Origin::Stored, "embstr");
        check(b"+5", Origin::Stored, "embstr");
        check(b" 1", Origin::Stored, "embstr");
        check(b"", Origin::Stored, "embstr");
        check(&[b'x'; 44], Origin::Stored, "embstr");
        check(&[b'x'; 45], Origin::Stored, "raw");
        check(b"10", Origin::Computed, "embstr");
        check(b"10", Origin::Edited, "raw");
    }

    #[test]
    fn overwrite_fills_the_gap_with_zeros() {
        let mut string = b"ab".to_vec();
        assert_eq!(overwrite(&mut string, 4, b"cd"), 6);
        assert_eq!(string, b"ab\0\0cd");
        assert_eq!(overwrite(&mut string, 1, b"X"), 6);
        assert_eq!(string, b"aX\0\0cd");
    }

    #[test]
    fn strings_grow_by_zeros_and_never_shrink() {
        let mut string = b"ab".to_vec();
        assert!(grow(&mut string, 100));
        assert_eq!(string, [b"ab".as_slice(), &[0; 98]].concat());
        assert!(!grow(&mut string, 50));
        assert!(grow(&mut string, 101));
        assert_eq!(string, [b"ab".as_slice(), &[0; 99]].concat());
    }
}
