//! Writing answers, in the protocol version the client has chosen.
//!
//! Every method appends one whole value, except those that open a collection ([`Reply::array`] and
//! its kin): the caller then writes as many values as it announced.
//!
//! Invariants
//! - Texts are those of Redis 7.0.15, byte for byte, in RESP2 and RESP3.
//! - Simple and error lines never contain CR or LF.
//!
//! Not here: the texts of errors (`commands`) and numbers (`base::number`), reading answers
//! (`value`).

use base::cast::{u64_from, usize_from_u32};
use base::number::write_f64;

/// The version of the protocol a client speaks, as `HELLO` set it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Resp {
    /// RESP2, with which every connection begins.
    #[default]
    V2,
    /// RESP3.
    V3,
}

/// Where the answer to one request goes.
pub struct Reply<'a> {
    /// The output of the connection; only appended to.
    pub out: &'a mut Vec<u8>,
    /// The client's protocol version.
    pub resp: Resp,
}

impl<'a> Reply<'a> {
    /// Appends to `out` in version `resp`.
    #[must_use]
    pub const fn new(out: &'a mut Vec<u8>, resp: Resp) -> Self {
        Self { out, resp }
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A status line. CR and LF become spaces.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text);
    }

    /// An error line: `text` begins with its code (`ERR ...`), without `-`. CR and LF become spaces.
    pub fn error(&mut self, text: &str) {
        self.line(b'-', text);
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        match u8::try_from(value) {
            // Most are counts and flags.
            Ok(digit @ 0..=9) => self
                .out
                .extend_from_slice(&[b':', b'0' + digit, b'\r', b'\n']),
            _ => self.number_line(b':', itoa::Buffer::new().format(value)),
        }
    }

    /// A string of any bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        // The longest header has 23 bytes; one check of the room serves all three parts.
        self.out.reserve(bytes.len() + 32);
        self.length_line(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A string of at most 15 bytes, the first ones of these. All are copied, which takes less than to copy just so
    /// many.
    #[inline]
    pub fn short_bulk(&mut self, bytes: &[u8; 16], len: usize) {
        debug_assert!(len < bytes.len(), "its length stands behind it");
        self.length_line(b'$', len);
        let end = self.out.len() + len;
        self.out.extend_from_slice(bytes);
        self.out.truncate(end);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A string of text.
    #[inline]
    pub fn bulk_text(&mut self, text: &str) {
        self.bulk(text.as_bytes());
    }

    /// An integer as a string, as `GET` answers for a counter.
    pub fn integer_bulk(&mut self, value: i64) {
        match u32::try_from(value) {
            Ok(small) if small < 100_000_000 => {
                let (digits, len) = eight_digits(small);
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&digits);
                self.short_bulk(&bytes, len);
            }
            Ok(_) | Err(_) => self.bulk_text(itoa::Buffer::new().format(value)),
        }
    }

    /// No value where a string would be: `$-1`, or `_` in RESP3.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.resp {
            Resp::V2 => b"$-1\r\n",
            Resp::V3 => b"_\r\n",
        });
    }

    /// No value where an array would be: `*-1`, or `_` in RESP3.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.resp {
            Resp::V2 => b"*-1\r\n",
            Resp::V3 => b"_\r\n",
        });
    }

    /// Opens an array of `len` values.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.length_line(b'*', len);
    }

    /// Opens a map of `len` pairs, each a key and then its value. RESP2: an array of `2 * len`.
    pub fn map(&mut self, len: usize) {
        match self.resp {
            Resp::V2 => self.length_line(b'*', len * 2),
            Resp::V3 => self.length_line(b'%', len),
        }
    }

    /// Opens a set of `len` values. RESP2: an array.
    pub fn set(&mut self, len: usize) {
        match self.resp {
            Resp::V2 => self.length_line(b'*', len),
            Resp::V3 => self.length_line(b'~', len),
        }
    }

    /// Opens a message of `len` values that answers no request. RESP2: an array.
    pub fn push(&mut self, len: usize) {
        match self.resp {
            Resp::V2 => self.length_line(b'*', len),
            Resp::V3 => self.length_line(b'>', len),
        }
    }

    /// Opens `len` pairs that describe the value after them. RESP2 has no such thing: writes
    /// nothing and returns false, and the caller leaves the pairs out.
    #[must_use]
    pub fn attribute(&mut self, len: usize) -> bool {
        match self.resp {
            Resp::V2 => false,
            Resp::V3 => {
                self.length_line(b'|', len);
                true
            }
        }
    }

    /// A floating-point number with 17 significant digits, as a string in RESP2.
    pub fn double(&mut self, value: f64) {
        if self.resp == Resp::V3 {
            self.out.push(b',');
            write_f64(self.out, value);
        } else {
            // The length goes before the text, and is known after it.
            let start = self.out.len();
            write_f64(self.out, value);
            let len = self.out.len() - start;
            self.length_line(b'$', len);
            self.out[start..].rotate_left(len);
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// True or false; `:1` or `:0` in RESP2.
    pub fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.resp, value) {
            (Resp::V2, true) => b":1\r\n",
            (Resp::V2, false) => b":0\r\n",
            (Resp::V3, true) => b"#t\r\n",
            (Resp::V3, false) => b"#f\r\n",
        });
    }

    /// An integer of any size in decimal digits; a string in RESP2.
    pub fn big_number(&mut self, digits: &str) {
        match self.resp {
            Resp::V2 => self.bulk_text(digits),
            Resp::V3 => self.line(b'(', digits),
        }
    }

    /// Text for humans; `kind` is `txt` or `mkd`. A plain string in RESP2.
    ///
    /// # Panics
    ///
    /// If `kind` has not 3 bytes: it is a constant of the caller.
    pub fn verbatim(&mut self, kind: &str, text: &[u8]) {
        assert_eq!(
            kind.len(),
            3,
            "the kind of a verbatim string has three letters"
        );
        match self.resp {
            Resp::V2 => self.bulk(text),
            Resp::V3 => {
                self.length_line(b'=', text.len() + 4);
                self.out.extend_from_slice(kind.as_bytes());
                self.out.push(b':');
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Values that are encoded already, in this reply's version.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    /// A line with free text.
    fn line(&mut self, mark: u8, text: &str) {
        self.out.reserve(text.len() + 3);
        self.out.push(mark);
        let start = self.out.len();
        self.out.extend_from_slice(text.as_bytes());
        for byte in &mut self.out[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// A line with a number that was formatted here.
    fn number_line(&mut self, mark: u8, digits: &str) {
        self.out.reserve(digits.len() + 3);
        self.out.push(mark);
        self.out.extend_from_slice(digits.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// A line with a length. Nearly all have one or two digits.
    #[inline]
    fn length_line(&mut self, mark: u8, len: usize) {
        match u8::try_from(len) {
            Ok(digit @ 0..=9) => self
                .out
                .extend_from_slice(&[mark, b'0' + digit, b'\r', b'\n']),
            Ok(two @ 10..=99) => {
                let digits = [mark, b'0' + two / 10, b'0' + two % 10, b'\r', b'\n'];
                self.out.extend_from_slice(&digits);
            }
            _ => self.long_length_line(mark, len),
        }
    }

    #[inline(never)]
    fn long_length_line(&mut self, mark: u8, len: usize) {
        self.number_line(mark, itoa::Buffer::new().format(u64_from(len)));
    }
}

/// Returns the digits of a number below 10^8, and how many they are; what stands behind them means nothing.
///
/// All eight are made at once, as bytes of one word: halves of four digits, quarters of two, single ones.
#[inline]
fn eight_digits(number: u32) -> ([u8; 8], usize) {
    let number = u64::from(number);
    // Quotients by 100 and by 10 of small numbers, as products and shifts: exact below 10,000 and below 100.
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let quarters = hundreds | ((halves - 100 * hundreds) << 16);
    let tens = ((quarters * 103) >> 10) & 0x000F_000F_000F_000F;
    let digits = tens | ((quarters - 10 * tens) << 8);
    // Zero itself has one digit.
    let zeros = (digits | (1 << 56)).trailing_zeros() / 8 * 8;
    let text = (digits | 0x3030_3030_3030_3030) >> zeros;
    (text.to_le_bytes(), 8 - usize_from_u32(zeros / 8))
}

#[cfg(test)]
mod tests {
    use super::{Reply, Resp};

    #[test]
    fn integers_of_any_length_are_strings_of_their_digits() {
        let mut values: Vec<i64> = vec![0, i64::MIN, i64::MAX, -1, -10, 99_999_999, 100_000_000];
        for digits in 1..=9 {
            let power = 10_i64.pow(digits);
            values.extend([
                power - 1,
                power,
                power + 1,
                power / 9 * 7,
                123_456_789 % power,
            ]);
        }
        values.extend(0..20_000);
        values.extend((0..20_000).map(|step| step * 4_999));
        for value in values {
            let text = value.to_string();
            let mut out = Vec::new();
            Reply::new(&mut out, Resp::V2).integer_bulk(value);
            let expected = format!("${}\r\n{text}\r\n", text.len());
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn short_strings_are_the_first_bytes() {
        for len in 0..16 {
            let (mut short, mut long) = (Vec::new(), Vec::new());
            Reply::new(&mut short, Resp::V3).short_bulk(b"abcdefghijklmno!", len);
            Reply::new(&mut long, Resp::V3).bulk(&b"abcdefghijklmno!"[..len]);
            assert_eq!(short, long);
        }
    }

    #[track_caller]
    fn check(write: impl Fn(&mut Reply<'_>), expected_v2: &str, expected_v3: &str) {
        for (resp, expected) in [(Resp::V2, expected_v2), (Resp::V3, expected_v3)] {
            let mut out = Vec::new();
            write(&mut Reply::new(&mut out, resp));
            assert_eq!(String::from_utf8_lossy(&out), expected, "{resp:?}");
        }
    }

    #[test]
    fn encodings_are_those_of_debug_protocol() {
        check(|reply| reply.ok(), "+OK\r\n", "+OK\r\n");
        check(
            |reply| reply.bulk(b"Hello World"),
            "$11\r\nHello World\r\n",
            "$11\r\nHello World\r\n",
        );
        check(|reply| reply.integer(12_345), ":12345\r\n", ":12345\r\n");
        check(|reply| reply.double(-1.25), "$5\r\n-1.25\r\n", ",-1.25\r\n");
        check(|reply| reply.null(), "$-1\r\n", "_\r\n");
        check(|reply| reply.null_array(), "*-1\r\n", "_\r\n");
        check(|reply| reply.array(3), "*3\r\n", "*3\r\n");
        check(|reply| reply.set(3), "*3\r\n", "~3\r\n");
        check(|reply| reply.map(3), "*6\r\n", "%3\r\n");
        check(|reply| reply.push(2), "*2\r\n", ">2\r\n");
        check(
            |reply| assert_eq!(reply.attribute(1), reply.resp == Resp::V3),
            "",
            "|1\r\n",
        );
        check(|reply| reply.boolean(true), ":1\r\n", "#t\r\n");
        check(|reply| reply.boolean(false), ":0\r\n", "#f\r\n");
        check(|reply| reply.big_number("123"), "$3\r\n123\r\n", "(123\r\n");
        check(
            |reply| reply.verbatim("txt", b"a\nb"),
            "$3\r\na\nb\r\n",
            "=7\r\ntxt:a\nb\r\n",
        );
        check(
            |reply| reply.integer_bulk(-42),
            "$3\r\n-42\r\n",
            "$3\r\n-42\r\n",
        );
        check(|reply| reply.raw(b":1\r\n"), ":1\r\n", ":1\r\n");
    }

    #[test]
    fn lengths_of_every_width_are_written() {
        for len in [0, 9, 10, 99, 100, 999, 12_345] {
            let expected = format!("${len}\r\n{}\r\n", "x".repeat(len));
            check(
                |reply| reply.bulk_text(&"x".repeat(len)),
                &expected,
                &expected,
            );
        }
        for value in [0, 9, 10, 255, 256, -1, i64::MAX, i64::MIN] {
            let expected = format!(":{value}\r\n");
            check(|reply| reply.integer(value), &expected, &expected);
        }
    }

    #[test]
    fn lines_lose_their_line_ends() {
        check(
            |reply| reply.error("ERR a\r\nb"),
            "-ERR a  b\r\n",
            "-ERR a  b\r\n",
        );
        check(|reply| reply.simple("a\nb"), "+a b\r\n", "+a b\r\n");
    }

    #[test]
    fn doubles_have_seventeen_digits() {
        for (value, text) in [
            (100.0, "100"),
            (-0.0, "-0"),
            (3.1, "3.1000000000000001"),
            (1e-5, "1.0000000000000001e-05"),
            (1e17, "1e+17"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            let in_resp2 = format!("${}\r\n{text}\r\n", text.len());
            check(
                |reply| reply.double(value),
                &in_resp2,
                &format!(",{text}\r\n"),
            );
        }
    }
}
