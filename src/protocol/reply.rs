//! Writing answers, in the protocol version the client has chosen.
//!
//! Every method appends one whole value, except those that open a collection ([`Reply::array`] and
//! its kin): the caller then writes as many values as it announced.
//!
//! Invariants
//! - Texts are those of Redis 7.0.15, byte for byte, in RESP2 and RESP3.
//! - Simple and error lines never contain CR or LF.
//!
//! Not here: the texts of errors (`commands`), reading answers (`value`).

use std::io::Write;

use base::cast::u64_from;

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

    /// A string of text.
    #[inline]
    pub fn bulk_text(&mut self, text: &str) {
        self.bulk(text.as_bytes());
    }

    /// An integer as a string, as `GET` answers for a counter.
    pub fn integer_bulk(&mut self, value: i64) {
        self.bulk_text(itoa::Buffer::new().format(value));
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
        let mut buffer = [0; DOUBLE_BYTES_MAX];
        let text = double_text(value, &mut buffer);
        match self.resp {
            Resp::V2 => self.bulk_text(text),
            Resp::V3 => self.number_line(b',', text),
        }
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
            _ => self.number_line(mark, itoa::Buffer::new().format(u64_from(len))),
        }
    }
}

/// Longest text of [`double_text`]: sign, 17 digits, point, three zeros after `0.`, exponent.
pub const DOUBLE_BYTES_MAX: usize = 32;

/// Writes `value` with up to 17 significant digits, as `%.17g` of C does, into `buffer`.
///
/// Exponents from -4 to 16 are written out, others follow an `e` with sign and at least two
/// digits; zeros at the end of the fraction are left out. Not-a-number has no sign.
///
/// # Panics
///
/// Never: the buffers hold the longest text there is.
///
/// Source: `ZSCORE` and `DEBUG PROTOCOL double` of Redis 7.0.15; the cases of the tests below.
pub fn double_text(value: f64, buffer: &mut [u8; DOUBLE_BYTES_MAX]) -> &str {
    if value.is_nan() {
        return "nan";
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" };
    }
    // One digit, a point, 16 digits, `e`, exponent: correctly rounded, ties to even, as C does.
    let mut scientific = [0_u8; DOUBLE_BYTES_MAX];
    let mut unused = scientific.as_mut_slice();
    write!(unused, "{:.16e}", value.abs()).expect("17 digits and an exponent fit");
    let used = DOUBLE_BYTES_MAX - unused.len();
    let mark = scientific[..used]
        .iter()
        .position(|&byte| byte == b'e')
        .unwrap_or(used);
    let exponent = crate::line::parse_integer(scientific.get(mark + 1..used).unwrap_or_default())
        .and_then(|exponent| i32::try_from(exponent).ok())
        .expect("the exponent was just written in canonical form");
    let mut digits = [0_u8; 17];
    digits[0] = scientific[0];
    digits[1..].copy_from_slice(&scientific[2..18]);
    let significant = digits
        .iter()
        .rposition(|&digit| digit != b'0')
        .map_or(1, |last| last + 1);

    let mut text = Text { buffer, used: 0 };
    if value.is_sign_negative() {
        text.push(b"-");
    }
    text.push_decimal(&digits, significant, exponent);
    let Text { buffer, used } = text;
    std::str::from_utf8(&buffer[..used]).expect("only ASCII was written")
}

/// A text that grows inside a buffer that is large enough.
struct Text<'b> {
    buffer: &'b mut [u8; DOUBLE_BYTES_MAX],
    used: usize,
}

impl Text<'_> {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    /// Writes `0.d1d2d3... * 10^(exponent + 1)`, of which the first `significant` digits matter.
    fn push_decimal(&mut self, digits: &[u8; 17], significant: usize, exponent: i32) {
        match exponent {
            0..=16 => {
                let whole = usize::try_from(exponent).unwrap_or_default() + 1;
                self.push(&digits[..whole]);
                self.push_fraction(digits.get(whole..significant).unwrap_or_default());
            }
            -4..=-1 => {
                self.push(b"0.");
                self.push(&b"000"[..usize::try_from(-exponent - 1).unwrap_or_default()]);
                self.push(&digits[..significant]);
            }
            _ => {
                self.push(&digits[..1]);
                self.push_fraction(&digits[1..significant]);
                self.push(if exponent < 0 { b"e-" } else { b"e+" });
                let mut number = itoa::Buffer::new();
                let shown = number.format(exponent.unsigned_abs()).as_bytes();
                self.push(&b"0"[..usize::from(shown.len() < 2)]);
                self.push(shown);
            }
        }
    }

    fn push_fraction(&mut self, digits: &[u8]) {
        if !digits.is_empty() {
            self.push(b".");
            self.push(digits);
        }
    }
}
