//! Finding the words of a request inside the bytes that a client sent.
//!
//! A request comes in one of two forms. *Multibulk* is what client libraries send: a line `*count`
//! and then, per word, a line `$length` and that many bytes plus two that nobody looks at. Its words
//! stay where they are; the parser only notes ranges. *Inline* is a line typed by a human: words
//! separated by spaces, quoted where needed. Quoted words are unquoted in place, which always
//! shortens them, so that their ranges too point into the input. That is why the input is mutable.
//!
//! Behaviour and texts are those of Redis 7.0.15, including these: the byte after a CR is skipped
//! unseen, a NUL in a header or an inline line hides the line's end (the request then stays
//! incomplete until the line is too long), numbers have one canonical form only.
//! Two differences, both deliberate. Redis refuses a line of more than 64 KB only if its end is not
//! among the bytes it happened to read at once; here the bound never depends on how bytes arrive.
//! A request of 4 GiB or more is refused, since word ranges have 32 bits.
//!
//! Invariants
//! - Bytes are looked at once: an incomplete request is resumed, not begun again.
//! - Nothing is reserved for words that have not arrived.
//!
//! Not here: how the bytes get into the buffer (`net`), what the words mean (`commands`).

use std::borrow::Cow;

use base::cast::{u32_from, usize_from_u32};
use base::limits;

use crate::args::WordRange;
use crate::line::parse_integer;

/// Longest request in bytes: what a [`WordRange`] can address.
pub const REQUEST_BYTES_MAX: usize = usize_from_u32(u32::MAX);

/// What the parser must know of the configuration and the session.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Longest argument in bytes (`proto-max-bulk-len`).
    pub bulk_bytes_max: u64,
    /// False while the client still has to log in; strangers may send only little.
    pub authenticated: bool,
}

/// How far a call of [`RequestParser::parse`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The request is whole; the next one begins `consumed` bytes further on. Never 0.
    Complete {
        /// Length of the request in bytes.
        consumed: usize,
    },
    /// The input ends before the request does.
    Incomplete {
        /// At least so many more bytes are needed; 0 if unknown. A client's claim: bounded by
        /// `bulk_bytes_max`, but nothing that was paid for.
        missing: usize,
    },
}

/// Why a client is not understood. Its connection ends after the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// An inline line is longer than [`limits::INLINE_BYTES_MAX`].
    InlineTooBig,
    /// The quotes of an inline line do not pair up.
    UnbalancedQuotes,
    /// The line `*count` has no end within [`limits::INLINE_BYTES_MAX`].
    CountLineTooBig,
    /// The line `$length` has no end within [`limits::INLINE_BYTES_MAX`].
    LengthLineTooBig,
    /// The count is no number or above [`limits::MULTIBULK_COUNT_MAX`].
    InvalidCount,
    /// The length is no number, negative or above `bulk_bytes_max`.
    InvalidLength,
    /// A word begins with this byte where `$` belongs.
    ExpectedDollar(u8),
    /// A stranger declared too many words.
    UnauthenticatedCount,
    /// A stranger declared too long a word.
    UnauthenticatedLength,
    /// The request exceeds [`REQUEST_BYTES_MAX`]. Not an error of Redis.
    RequestTooBig,
}

impl ProtocolError {
    /// The text of Redis 7.0.15, without the leading `-ERR `.
    ///
    /// Where Redis repeats an offending byte, line ends become spaces, as there, and bytes outside
    /// ASCII a question mark, since error lines are text here.
    #[must_use]
    pub fn text(&self) -> Cow<'static, str> {
        Cow::Borrowed(match *self {
            Self::InlineTooBig => "Protocol error: too big inline request",
            Self::UnbalancedQuotes => "Protocol error: unbalanced quotes in request",
            Self::CountLineTooBig => "Protocol error: too big mbulk count string",
            Self::LengthLineTooBig => "Protocol error: too big bulk count string",
            Self::InvalidCount => "Protocol error: invalid multibulk length",
            Self::InvalidLength => "Protocol error: invalid bulk length",
            Self::UnauthenticatedCount => "Protocol error: unauthenticated multibulk length",
            Self::UnauthenticatedLength => "Protocol error: unauthenticated bulk length",
            Self::RequestTooBig => "Protocol error: too big request",
            Self::ExpectedDollar(byte) => {
                let shown = match byte {
                    b'\r' | b'\n' => ' ',
                    0x80.. => '?',
                    _ => char::from(byte),
                };
                return Cow::Owned(format!("Protocol error: expected '$', got '{shown}'"));
            }
        })
    }
}

/// Where an incomplete request stands. One per connection; 32 bytes.
///
/// `Default` and [`RequestParser::new`] stand at the start of a request, and so does the parser
/// after each complete request and after each error.
#[derive(Debug, Default)]
pub struct RequestParser {
    /// Start of the line or word that is next, from the start of the request.
    position: usize,
    /// Bytes after `position` that are known not to end its line.
    searched: usize,
    /// Words still to come; 0 before the count is known.
    words_left: u32,
    /// Length of the word at `position`, once its length line has been read.
    word_length: Option<u32>,
}

impl RequestParser {
    /// Stands at the start of a request.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            position: 0,
            searched: 0,
            words_left: 0,
            word_length: None,
        }
    }

    /// Parses one request from the front of `input`.
    ///
    /// `words` is cleared at the start of a request and collects the ranges, relative to the start
    /// of `input`. When incomplete, the caller keeps the bytes and `words` and calls again with the
    /// same bytes followed by more. Empty lines and counts of 0 or less are complete without words.
    /// An inline line with quotes is changed in place once it is whole; nothing else is written to.
    /// Cost: O(new bytes of lines + new words); the bytes of multibulk words are not touched.
    ///
    /// # Errors
    ///
    /// The first thing that Redis would refuse. `words` is then of no use.
    #[inline]
    pub fn parse(
        &mut self,
        input: &mut [u8],
        limits: &RequestLimits,
        words: &mut Vec<WordRange>,
    ) -> Result<Progress, ProtocolError> {
        let progress = self.advance(input, limits, words);
        if !matches!(progress, Ok(Progress::Incomplete { .. })) {
            *self = Self::new();
        }
        progress
    }

    #[inline]
    fn advance(
        &mut self,
        input: &mut [u8],
        limits: &RequestLimits,
        words: &mut Vec<WordRange>,
    ) -> Result<Progress, ProtocolError> {
        if self.words_left == 0 {
            words.clear();
            match input {
                [] => return Ok(Progress::Incomplete { missing: 1 }),
                // Nearly every request has fewer than ten words.
                [b'*', digit @ b'1'..=b'9', b'\r', _, ..] => {
                    self.words_left = u32::from(*digit - b'0');
                    self.position = 4;
                }
                [b'*', ..] => match self.read_count(input, limits)? {
                    Some(0) => {
                        return Ok(Progress::Complete {
                            consumed: self.position,
                        });
                    }
                    Some(count) => self.words_left = count,
                    None => return Ok(Progress::Incomplete { missing: 0 }),
                },
                _ => return self.parse_inline(input, words),
            }
        }
        self.parse_words(input, limits, words)
    }

    /// Reads the line `*count`. `None` if it is incomplete.
    #[cold]
    fn read_count(
        &mut self,
        input: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<u32>, ProtocolError> {
        let Some(line) = self.take_line(input, ProtocolError::CountLineTooBig)? else {
            return Ok(None);
        };
        let count = parse_integer(&line[1..]).ok_or(ProtocolError::InvalidCount)?;
        if count > limits::MULTIBULK_COUNT_MAX {
            return Err(ProtocolError::InvalidCount);
        }
        if count > limits::MULTIBULK_COUNT_UNAUTHENTICATED_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        u32::try_from(count.max(0))
            .ok()
            .ok_or(ProtocolError::InvalidCount)
            .map(Some)
    }

    /// Reads words until all are there or the input ends.
    #[inline]
    fn parse_words(
        &mut self,
        input: &[u8],
        limits: &RequestLimits,
        words: &mut Vec<WordRange>,
    ) -> Result<Progress, ProtocolError> {
        while self.words_left > 0 {
            let length = match self.word_length {
                Some(length) => length,
                None => match self.read_length(input, limits)? {
                    Some(length) => length,
                    None => return Ok(Progress::Incomplete { missing: 0 }),
                },
            };
            let start = self.position;
            let end = start + usize_from_u32(length);
            let next = end + 2;
            if next > input.len() {
                if next > REQUEST_BYTES_MAX {
                    return Err(ProtocolError::RequestTooBig);
                }
                self.word_length = Some(length);
                return Ok(Progress::Incomplete {
                    missing: next - input.len(),
                });
            }
            let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(end)) else {
                return Err(ProtocolError::RequestTooBig);
            };
            words.push(WordRange { start, end });
            self.word_length = None;
            self.position = next;
            self.words_left -= 1;
        }
        Ok(Progress::Complete {
            consumed: self.position,
        })
    }

    /// Reads the line `$length` and steps over it. `None` if it is incomplete.
    #[inline]
    fn read_length(
        &mut self,
        input: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<u32>, ProtocolError> {
        // Words of up to 99 bytes are within every sensible limit; the slow path knows the others.
        let (length, line_bytes) = match input.get(self.position..).unwrap_or_default() {
            [b'$', digit @ b'0'..=b'9', b'\r', _, ..] => (u32::from(digit - b'0'), 4),
            [b'$', tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _, ..] => {
                (u32::from(tens - b'0') * 10 + u32::from(ones - b'0'), 5)
            }
            _ => return self.read_long_length(input, limits),
        };
        if u64::from(length) > limits.bulk_bytes_max {
            return Err(ProtocolError::InvalidLength);
        }
        self.position += line_bytes;
        self.searched = 0;
        Ok(Some(length))
    }

    /// [`Self::read_length`] for all lengths and for everything that may be wrong with them.
    #[inline(never)]
    fn read_long_length(
        &mut self,
        input: &[u8],
        limits: &RequestLimits,
    ) -> Result<Option<u32>, ProtocolError> {
        let Some(line) = self.take_line(input, ProtocolError::LengthLineTooBig)? else {
            return Ok(None);
        };
        let digits = match line {
            [b'$', digits @ ..] => digits,
            [other, ..] => return Err(ProtocolError::ExpectedDollar(*other)),
            [] => return Err(ProtocolError::ExpectedDollar(b'\r')),
        };
        let length = parse_integer(digits)
            .and_then(|length| u64::try_from(length).ok())
            .filter(|&length| length <= limits.bulk_bytes_max)
            .ok_or(ProtocolError::InvalidLength)?;
        if length > limits::BULK_BYTES_UNAUTHENTICATED_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedLength);
        }
        u32::try_from(length)
            .ok()
            .ok_or(ProtocolError::RequestTooBig)
            .map(Some)
    }

    /// Takes the line at `position`, without its end, and steps over it. `None` if incomplete.
    fn take_line<'i>(
        &mut self,
        input: &'i [u8],
        too_big: ProtocolError,
    ) -> Result<Option<&'i [u8]>, ProtocolError> {
        let rest = input.get(self.position..).unwrap_or_default();
        let Some(length) = self.find_line_end(rest, b'\r', too_big)? else {
            return Ok(None);
        };
        if length + 2 > rest.len() {
            return Ok(None);
        }
        self.position += length + 2;
        self.searched = 0;
        Ok(Some(&rest[..length]))
    }

    /// Finds `end` in `rest`, which begins at `position`, unless a NUL hides it.
    ///
    /// Only the bytes within [`limits::INLINE_BYTES_MAX`] count, however many have arrived.
    fn find_line_end(
        &mut self,
        rest: &[u8],
        end: u8,
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let window = &rest[..rest.len().min(limits::INLINE_BYTES_MAX + 1)];
        let fresh = window.get(self.searched..).unwrap_or_default();
        match memchr::memchr2(end, 0, fresh) {
            Some(offset) => {
                // Left standing at the byte found: the next call, if any, finds it at once.
                self.searched += offset;
                if window[self.searched] == end {
                    return Ok(Some(self.searched));
                }
            }
            None => self.searched = window.len(),
        }
        if rest.len() > limits::INLINE_BYTES_MAX {
            return Err(too_big);
        }
        Ok(None)
    }

    #[cold]
    fn parse_inline(
        &mut self,
        input: &mut [u8],
        words: &mut Vec<WordRange>,
    ) -> Result<Progress, ProtocolError> {
        let Some(length) = self.find_line_end(input, b'\n', ProtocolError::InlineTooBig)? else {
            return Ok(Progress::Incomplete { missing: 0 });
        };
        let line = &mut input[..length];
        let line = match line {
            [text @ .., b'\r'] => text,
            text => text,
        };
        split_inline(line, words)?;
        Ok(Progress::Complete {
            consumed: length + 1,
        })
    }
}

/// Splits a line into words and unquotes them in place.
///
/// Quotes may begin anywhere in a word, but a space or the end of the line must follow their end.
/// Between double quotes `\xHH` and the letters `n r t b a` after a backslash are escapes, and any
/// other byte after a backslash stands for itself. Between single quotes only `\'` is special.
///
/// Source: `redis-server` 7.0.15, the cases of the tests below sent to it.
fn split_inline(line: &mut [u8], words: &mut Vec<WordRange>) -> Result<(), ProtocolError> {
    let mut read = 0;
    // Words are written over what was read; `written <= read` always holds.
    let mut written = 0;
    loop {
        while line.get(read).is_some_and(|&byte| is_space(byte)) {
            read += 1;
        }
        if read == line.len() {
            return Ok(());
        }
        let start = written;
        let mut quote = None;
        while let Some(&byte) = line.get(read) {
            let (value, width) = match (quote, byte) {
                (None, b' ' | b'\t' | b'\r' | b'\n') => break,
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    read += 1;
                    continue;
                }
                (Some(open), _) if byte == open => {
                    if line.get(read + 1).is_some_and(|&after| !is_space(after)) {
                        return Err(ProtocolError::UnbalancedQuotes);
                    }
                    quote = None;
                    read += 1;
                    break;
                }
                (Some(b'"'), b'\\') => unescape(&line[read..]),
                (Some(_), b'\\') if line.get(read + 1) == Some(&b'\'') => (b'\'', 2),
                _ => (byte, 1),
            };
            line[written] = value;
            written += 1;
            read += width;
        }
        if quote.is_some() {
            return Err(ProtocolError::UnbalancedQuotes);
        }
        words.push(WordRange {
            start: u32_from(start),
            end: u32_from(written),
        });
    }
}

/// Reads the escape that `text` begins with: the byte it means, and its width.
fn unescape(text: &[u8]) -> (u8, usize) {
    match *text {
        [_, b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            (hex_digit(high) << 4 | hex_digit(low), 4)
        }
        [_, b'n', ..] => (b'\n', 2),
        [_, b'r', ..] => (b'\r', 2),
        [_, b't', ..] => (b'\t', 2),
        [_, b'b', ..] => (0x08, 2),
        [_, b'a', ..] => (0x07, 2),
        [_, other, ..] => (other, 2),
        // A backslash that ends the line; the missing quote is found next.
        _ => (b'\\', 1),
    }
}

/// The value of an ASCII hex digit.
const fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// What separates words: the C locale's white space. A vertical tab or form feed separates only
/// where a word could begin; inside a word it is part of it.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
