//! The payload of FUNCTION DUMP: the codes of libraries one after the other, and the footer of DUMP.
//!
//! ```text
//!   { 245 | code, a string } ... | version, u16 | CRC-64 of all before, u64
//! ```
//!
//! Not here: what the codes mean.

use super::sink::{Bytes, Sink};
use super::source::Source;
use super::{Refused, VERSION, payload, sink};

/// What stands before the code of each library.
const LIBRARY: u8 = 245;

/// Returns the payload with these codes. O(n) in their bytes.
#[must_use]
pub fn dump<'a>(codes: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Bytes::default();
    for code in codes {
        bytes.put(&[LIBRARY]);
        sink::string(&mut bytes, code);
    }
    let mut payload = bytes.bytes;
    payload::seal(&mut payload, VERSION);
    payload
}

/// Reads a payload; returns the codes in their order. O(n) in the bytes.
///
/// # Errors
///
/// [`Refused`]: the footer is wrong, or something else than libraries lies before it.
pub fn restore(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
    let (bytes, _version) = payload::open(bytes).ok_or(Refused::Footer)?;
    let mut source = Source::new(bytes);
    let mut codes = Vec::new();
    while !source.is_empty() {
        if source.byte() != Some(LIBRARY) {
            return Err(Refused::Object);
        }
        codes.push(source.string().ok_or(Refused::Object)?.into_owned());
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &[u8] =
        b"#!lua name=first\nredis.register_function(\"a\",function() return 1 end)";

    /// FUNCTION DUMP of redis-server 7.0.15 with the library [`FIRST`].
    const FIRST_DUMP: &[u8] =
        b"\xf5@E#!lua name=first\x0aredis.register_function(\"a\",function() \
        return 1 end)\x0a\x00g*\xe2\x18\x1d!!\x8d";

    /// The same with [`second`], which it has compressed.
    const SECOND_DUMP: &[u8] = b"\xf5\xc3@kA\xd2\x19#!lua name=second\x0a-- the s \x12\x0f words again \
        and\x80\x09\x00,\xe0\x16\x1f\xe0\xffA\xe1:\x07\x1bredis.register_function(\"b\",\xe0\x00\x0c\x0e) \
        return 1 end)\x0a\x00\x99]\xb5\xa8/\x89n5";

    fn second() -> Vec<u8> {
        let line = "-- the same words again and again, the same words again and again\n";
        let code = "redis.register_function(\"b\",function() return 1 end)";
        format!("#!lua name=second\n{}{code}", line.repeat(6)).into_bytes()
    }

    #[test]
    fn payloads_are_those_of_redis() {
        assert_eq!(dump([FIRST].into_iter()), FIRST_DUMP);
        assert_eq!(dump([second().as_slice()].into_iter()), SECOND_DUMP);
        assert_eq!(dump([].into_iter()), b"\x0a\x00]\x9b\\@\x0f\x7f\xa2\xda");
    }

    #[test]
    fn payloads_of_redis_are_read() {
        assert_eq!(restore(FIRST_DUMP), Ok(vec![FIRST.to_vec()]));
        assert_eq!(restore(SECOND_DUMP), Ok(vec![second()]));
        let both = dump([FIRST, second().as_slice()].into_iter());
        assert_eq!(restore(&both), Ok(vec![FIRST.to_vec(), second()]));
        assert_eq!(restore(b"\x0a\x00]\x9b\\@\x0f\x7f\xa2\xda"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_payload_is_refused() {
        assert_eq!(restore(b""), Err(Refused::Footer));
        assert_eq!(restore(&FIRST_DUMP[1..]), Err(Refused::Footer));
        for wrong in [&b"\x00\x01a"[..], b"\xf5\x05ab", b"\xf5"] {
            let mut bytes = wrong.to_vec();
            payload::seal(&mut bytes, VERSION);
            assert_eq!(
                restore(&bytes),
                Err(Refused::Object),
                "{}",
                wrong.escape_ascii()
            );
        }
    }
}
