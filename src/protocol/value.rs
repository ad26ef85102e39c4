//! Replies as values: reading what a server wrote.
//!
//! For tests, for the load generator and for joining the replies of shards. [`ValueSkipper`] finds
//! where a reply ends, over as many reads as it takes; [`parse_value`] builds the tree.
//!
//! Invariants
//! - Nothing is reserved for elements that have not arrived.
//! - A tree is at most [`VALUE_DEPTH_MAX`] deep, so that building and dropping it fits the stack.
//!
//! Not here: streamed strings and collections of unknown length (`$?`, `*?`), which no Redis sends.

use base::cast::usize_from;
use base::number::parse_i64;

use crate::reply::{Reply, Resp};

/// Most levels of a reply, its scalars included.
pub const VALUE_DEPTH_MAX: usize = 128;

/// One reply. Bytes are as sent, without marks and line ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+`: a status line.
    Simple(Vec<u8>),
    /// `-`, or `!` with any bytes: an error, code first.
    Error(Vec<u8>),
    /// `:`.
    Integer(i64),
    /// `$`: a string.
    Bulk(Vec<u8>),
    /// `_`, or `$-1`.
    Null,
    /// `*-1`.
    NullArray,
    /// `*`.
    Array(Vec<Self>),
    /// `%`: pairs of key and value, in the order sent.
    Map(Vec<(Self, Self)>),
    /// `~`: in the order sent.
    Set(Vec<Self>),
    /// `>`: a message that answers no request.
    Push(Vec<Self>),
    /// `,`.
    Double(f64),
    /// `#`.
    Boolean(bool),
    /// `(`: an optional sign and decimal digits.
    BigNumber(Vec<u8>),
    /// `=`: three letters of kind, and the text.
    Verbatim([u8; 3], Vec<u8>),
    /// `|`: pairs that describe a value, and the value.
    Attributed(Vec<(Self, Self)>, Box<Self>),
}

/// Why bytes are not a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// No value begins with this byte.
    UnknownMark(u8),
    /// A count, a length or a scalar is not what it should be.
    InvalidNumber,
    /// CR LF is missing where it must be, or a lone CR or LF stands in a line.
    InvalidLineEnd,
    /// More than [`VALUE_DEPTH_MAX`] levels.
    TooDeep,
    /// Lengths add up to more than memory can hold.
    TooBig,
}

/// Finds where replies end without building them, over as many reads as it takes.
#[derive(Clone, Debug, Default)]
pub struct ValueSkipper {
    /// Start of the next element, from the start of the reply.
    position: usize,
    /// Bytes after `position` that do not end its line.
    searched: usize,
    /// Elements still to come, beyond the one at `position`.
    pending: u64,
}

impl Value {
    /// Appends the value to `reply`, in its version. RESP2 drops attributes.
    ///
    /// Lines lose CR and LF; an error always becomes a line. Text in lines is taken as UTF-8,
    /// with replacement of what is not.
    pub fn write_to(&self, reply: &mut Reply<'_>) {
        match self {
            Self::Simple(text) => reply.simple(&String::from_utf8_lossy(text)),
            Self::Error(text) => reply.error(&String::from_utf8_lossy(text)),
            Self::Integer(value) => reply.integer(*value),
            Self::Bulk(bytes) => reply.bulk(bytes),
            Self::Null => reply.null(),
            Self::NullArray => reply.null_array(),
            Self::Array(values) => {
                reply.array(values.len());
                write_all(values, reply);
            }
            Self::Set(values) => {
                reply.set(values.len());
                write_all(values, reply);
            }
            Self::Push(values) => {
                reply.push(values.len());
                write_all(values, reply);
            }
            Self::Map(pairs) => {
                reply.map(pairs.len());
                write_pairs(pairs, reply);
            }
            Self::Double(value) => reply.double(*value),
            Self::Boolean(value) => reply.boolean(*value),
            Self::BigNumber(digits) => reply.big_number(&String::from_utf8_lossy(digits)),
            Self::Verbatim(kind, text) => match (reply.resp, std::str::from_utf8(kind)) {
                (Resp::V3, Ok(kind)) => reply.verbatim(kind, text),
                _ => reply.bulk(text),
            },
            Self::Attributed(pairs, value) => {
                if reply.attribute(pairs.len()) {
                    write_pairs(pairs, reply);
                }
                value.write_to(reply);
            }
        }
    }
}

impl ValueSkipper {
    /// Stands at the start of a reply.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            position: 0,
            searched: 0,
            pending: 0,
        }
    }

    /// Returns the length of the reply that `input` begins with, and stands at the start again.
    ///
    /// `None` if it is incomplete: call again with the same bytes followed by more. Checks marks,
    /// lengths and line ends, but neither depth nor the text of scalars. Of no use after an error.
    /// Cost: O(new bytes of lines + new elements).
    ///
    /// # Errors
    ///
    /// [`ValueError`] if no server may send this.
    pub fn skip(&mut self, input: &[u8]) -> Result<Option<usize>, ValueError> {
        loop {
            let rest = input.get(self.position..).unwrap_or_default();
            let Some(line) = find_line(rest, &mut self.searched)? else {
                return Ok(None);
            };
            let element = Element::read(line)?;
            let (length, children) = element.extent(line.len() + 2)?;
            if length > rest.len() {
                return Ok(None);
            }
            if matches!(element, Element::Blob(..)) && &rest[length - 2..length] != b"\r\n" {
                return Err(ValueError::InvalidLineEnd);
            }
            self.position += length;
            self.searched = 0;
            self.pending = self
                .pending
                .checked_add(children)
                .ok_or(ValueError::TooBig)?;
            if self.pending == 0 {
                let length = self.position;
                *self = Self::new();
                return Ok(Some(length));
            }
            self.pending -= 1;
        }
    }
}

/// Reads one reply from the front of `input`: the value and its length in bytes.
///
/// `None` if it is incomplete; nothing has been built then. Begins at the front with each call, so
/// for a long reply in many pieces ask a [`ValueSkipper`] first, which remembers where it was.
///
/// # Errors
///
/// [`ValueError`] if no server may send this.
pub fn parse_value(input: &[u8]) -> Result<Option<(Value, usize)>, ValueError> {
    let Some(length) = ValueSkipper::new().skip(input)? else {
        return Ok(None);
    };
    let mut builder = Builder {
        rest: &input[..length],
    };
    Ok(Some((builder.value(VALUE_DEPTH_MAX)?, length)))
}

/// Returns the length of the first reply in `input`, if that is whole and well formed.
///
/// For replies of our own; [`ValueSkipper`] tells incomplete ones from broken ones.
#[must_use]
pub fn skip_value(input: &[u8]) -> Option<usize> {
    ValueSkipper::new().skip(input).ok().flatten()
}

/// What a line announces.
#[derive(Clone, Copy)]
enum Element<'a> {
    /// A mark and the text that is the whole value.
    Scalar(u8, &'a [u8]),
    /// A mark and the number of bytes after the line, their line end not counted.
    Blob(u8, usize),
    /// A mark and the number of elements, or of pairs for `%` and `|`.
    Collection(u8, u64),
    /// `$-1`.
    NullBulk,
    /// `*-1`.
    NullArray,
}

impl<'a> Element<'a> {
    fn read(line: &'a [u8]) -> Result<Self, ValueError> {
        let Some((&mark, text)) = line.split_first() else {
            return Err(ValueError::UnknownMark(b'\r'));
        };
        match mark {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => Ok(Self::Scalar(mark, text)),
            b'$' if text == b"-1" => Ok(Self::NullBulk),
            b'*' if text == b"-1" => Ok(Self::NullArray),
            b'$' | b'!' | b'=' => Ok(Self::Blob(mark, usize_from(read_length(text)?))),
            b'*' | b'%' | b'~' | b'>' | b'|' => Ok(Self::Collection(mark, read_length(text)?)),
            other => Err(ValueError::UnknownMark(other)),
        }
    }

    /// Bytes up to the next element, `line_bytes` included, and how many elements follow.
    fn extent(self, line_bytes: usize) -> Result<(usize, u64), ValueError> {
        match self {
            Self::Scalar(..) | Self::NullBulk | Self::NullArray => Ok((line_bytes, 0)),
            Self::Blob(_, length) => line_bytes
                .checked_add(length)
                .and_then(|length| length.checked_add(2))
                .map(|length| (length, 0))
                .ok_or(ValueError::TooBig),
            Self::Collection(mark, count) => match mark {
                b'%' => count.checked_mul(2),
                // The value that the pairs describe comes after them.
                b'|' => count.checked_mul(2).and_then(|count| count.checked_add(1)),
                _ => Some(count),
            }
            .map(|children| (line_bytes, children))
            .ok_or(ValueError::TooBig),
        }
    }
}

/// Builds values from bytes that [`ValueSkipper`] has found whole, so that counts can be trusted.
struct Builder<'a> {
    rest: &'a [u8],
}

impl Builder<'_> {
    fn value(&mut self, levels_left: usize) -> Result<Value, ValueError> {
        let levels_left = levels_left.checked_sub(1).ok_or(ValueError::TooDeep)?;
        let line = find_line(self.rest, &mut 0)?.ok_or(ValueError::InvalidLineEnd)?;
        let element = Element::read(line)?;
        let (length, _) = element.extent(line.len() + 2)?;
        let (whole, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(ValueError::TooBig)?;
        self.rest = rest;
        match element {
            Element::Scalar(mark, text) => scalar(mark, text),
            Element::Blob(mark, length) => blob(mark, &whole[whole.len() - 2 - length..][..length]),
            Element::NullBulk => Ok(Value::Null),
            Element::NullArray => Ok(Value::NullArray),
            Element::Collection(mark, count) => {
                let count = usize_from(count);
                match mark {
                    b'*' => self.values(count, levels_left).map(Value::Array),
                    b'~' => self.values(count, levels_left).map(Value::Set),
                    b'>' => self.values(count, levels_left).map(Value::Push),
                    b'%' => self.pairs(count, levels_left).map(Value::Map),
                    _ => {
                        let pairs = self.pairs(count, levels_left)?;
                        let value = self.value(levels_left)?;
                        Ok(Value::Attributed(pairs, Box::new(value)))
                    }
                }
            }
        }
    }

    fn values(&mut self, count: usize, levels_left: usize) -> Result<Vec<Value>, ValueError> {
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(self.value(levels_left)?);
        }
        Ok(values)
    }

    fn pairs(
        &mut self,
        count: usize,
        levels_left: usize,
    ) -> Result<Vec<(Value, Value)>, ValueError> {
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            pairs.push((self.value(levels_left)?, self.value(levels_left)?));
        }
        Ok(pairs)
    }
}

fn scalar(mark: u8, text: &[u8]) -> Result<Value, ValueError> {
    match (mark, text) {
        (b'+', _) => Ok(Value::Simple(text.to_vec())),
        (b'-', _) => Ok(Value::Error(text.to_vec())),
        (b':', _) => parse_i64(text)
            .map(Value::Integer)
            .ok_or(ValueError::InvalidNumber),
        (b'_', b"") => Ok(Value::Null),
        (b'#', b"t") => Ok(Value::Boolean(true)),
        (b'#', b"f") => Ok(Value::Boolean(false)),
        (b'(', _) => {
            let digits = text.strip_prefix(b"-").unwrap_or(text);
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(ValueError::InvalidNumber);
            }
            Ok(Value::BigNumber(text.to_vec()))
        }
        // Rust reads every form that servers write: digits, `e`, inf and nan.
        (b',', _) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .map(Value::Double)
            .ok_or(ValueError::InvalidNumber),
        _ => Err(ValueError::InvalidNumber),
    }
}

fn blob(mark: u8, bytes: &[u8]) -> Result<Value, ValueError> {
    match (mark, bytes) {
        (b'!', _) => Ok(Value::Error(bytes.to_vec())),
        (b'=', [first, second, third, b':', text @ ..]) => {
            Ok(Value::Verbatim([*first, *second, *third], text.to_vec()))
        }
        (b'=', _) => Err(ValueError::InvalidNumber),
        _ => Ok(Value::Bulk(bytes.to_vec())),
    }
}

/// Reads a count or a length.
fn read_length(text: &[u8]) -> Result<u64, ValueError> {
    let length = parse_i64(text).ok_or(ValueError::InvalidNumber)?;
    u64::try_from(length).ok().ok_or(ValueError::InvalidNumber)
}

/// Finds the line that `rest` begins with, without its end. `None` if it is incomplete.
///
/// The first `searched` bytes are known to hold no line end; updated for the next call.
fn find_line<'r>(rest: &'r [u8], searched: &mut usize) -> Result<Option<&'r [u8]>, ValueError> {
    let fresh = rest.get(*searched..).unwrap_or_default();
    let Some(offset) = memchr::memchr2(b'\r', b'\n', fresh) else {
        *searched = rest.len();
        return Ok(None);
    };
    *searched += offset;
    match rest[*searched..] {
        [b'\r', b'\n', ..] => Ok(Some(&rest[..*searched])),
        [b'\r'] => Ok(None),
        _ => Err(ValueError::InvalidLineEnd),
    }
}

fn write_all(values: &[Value], reply: &mut Reply<'_>) {
    for value in values {
        value.write_to(reply);
    }
}

fn write_pairs(pairs: &[(Value, Value)], reply: &mut Reply<'_>) {
    for (key, value) in pairs {
        key.write_to(reply);
        value.write_to(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::{VALUE_DEPTH_MAX, Value, ValueError, ValueSkipper, parse_value, skip_value};

    #[track_caller]
    fn check(input: &[u8], expected: Value) {
        assert_eq!(parse_value(input), Ok(Some((expected, input.len()))));
    }

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.into())
    }

    #[test]
    fn every_type_is_read() {
        check(b"+OK\r\n", Value::Simple(b"OK".to_vec()));
        check(b"-ERR no\r\n", Value::Error(b"ERR no".to_vec()));
        check(b"!6\r\nERR\r\nx\r\n", Value::Error(b"ERR\r\nx".to_vec()));
        check(b":-12\r\n", Value::Integer(-12));
        check(b"$2\r\n\r\n\r\n", bulk("\r\n"));
        check(b"$-1\r\n", Value::Null);
        check(b"_\r\n", Value::Null);
        check(b"*-1\r\n", Value::NullArray);
        check(
            b"*2\r\n*0\r\n:1\r\n",
            Value::Array(vec![Value::Array(vec![]), Value::Integer(1)]),
        );
        check(
            b"%1\r\n$1\r\na\r\n:1\r\n",
            Value::Map(vec![(bulk("a"), Value::Integer(1))]),
        );
        check(b"~1\r\n:1\r\n", Value::Set(vec![Value::Integer(1)]));
        check(b">1\r\n:1\r\n", Value::Push(vec![Value::Integer(1)]));
        check(b",1.5e3\r\n", Value::Double(1500.0));
        check(b",-inf\r\n", Value::Double(f64::NEG_INFINITY));
        check(b"#t\r\n", Value::Boolean(true));
        check(b"#f\r\n", Value::Boolean(false));
        check(b"(-123\r\n", Value::BigNumber(b"-123".to_vec()));
        check(b"=5\r\ntxt:a\r\n", Value::Verbatim(*b"txt", b"a".to_vec()));
        check(
            b"|1\r\n+k\r\n#t\r\n:5\r\n",
            Value::Attributed(
                vec![(Value::Simple(b"k".to_vec()), Value::Boolean(true))],
                Box::new(Value::Integer(5)),
            ),
        );
    }

    #[test]
    fn wrong_bytes_are_refused() {
        for (input, expected) in [
            (&b"?1\r\n"[..], ValueError::UnknownMark(b'?')),
            (b"\r\n", ValueError::UnknownMark(b'\r')),
            (b":x\r\n", ValueError::InvalidNumber),
            (b"$-2\r\n", ValueError::InvalidNumber),
            (b"*x\r\n", ValueError::InvalidNumber),
            (b"%-1\r\n", ValueError::InvalidNumber),
            (b"#x\r\n", ValueError::InvalidNumber),
            (b"_x\r\n", ValueError::InvalidNumber),
            (b"(\r\n", ValueError::InvalidNumber),
            (b",one\r\n", ValueError::InvalidNumber),
            (b"=2\r\nab\r\n", ValueError::InvalidNumber),
            (b"+a\nb\r\n", ValueError::InvalidLineEnd),
            (b"+a\rb\r\n", ValueError::InvalidLineEnd),
            (b"$1\r\nabc", ValueError::InvalidLineEnd),
            (
                b"*2\r\n%9223372036854775807\r\n%9223372036854775807\r\n",
                ValueError::TooBig,
            ),
        ] {
            assert_eq!(
                parse_value(input),
                Err(expected),
                "{}",
                input.escape_ascii()
            );
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| [&b"*1\r\n".repeat(levels - 1)[..], b":1\r\n"].concat();
        assert!(matches!(parse_value(&nested(VALUE_DEPTH_MAX)), Ok(Some(_))));
        assert_eq!(
            parse_value(&nested(VALUE_DEPTH_MAX + 1)),
            Err(ValueError::TooDeep)
        );
    }

    #[test]
    fn declared_elements_cost_nothing_until_they_arrive() {
        assert_eq!(parse_value(b"*9223372036854775807\r\n:1\r\n"), Ok(None));
        assert_eq!(parse_value(b"$9223372036854775807\r\n"), Ok(None));
    }

    #[test]
    fn skipping_resumes_at_every_byte() {
        let input = b"|1\r\n+k\r\n$3\r\nabc\r\n%1\r\n*2\r\n:1\r\n$-1\r\n#t\r\n";
        let mut skipper = ValueSkipper::new();
        for end in 0..input.len() {
            assert_eq!(skipper.skip(&input[..end]), Ok(None), "{end}");
        }
        assert_eq!(skipper.skip(input), Ok(Some(input.len())));
        assert_eq!(skip_value(b":1\r\n:2\r\n"), Some(4));
    }
}
