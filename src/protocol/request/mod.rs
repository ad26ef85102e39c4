//! Finding the words of a request inside the bytes that a client sent.
//!
//! A request comes in one of two forms. *Multibulk* is what client libraries send: a line `*count`
//! and then, per word, a line `$length` and that many bytes plus two that nobody looks at. Its words
//! stay where they are; the parser only notes ranges. *Inline* is a line typed by a human: words
//! separated by spaces, quoted where needed. A line with quotes is the one case in which words are
//! not bytes of the input: they come in a buffer of their own ([`Progress::Unquoted`]). The input is
//! never written to, so a request that was parsed and not run can be parsed again.
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
use base::number::parse_i64;

use crate::args::WordRange;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The request is whole; the next one begins `consumed` bytes further on. Never 0.
    Complete {
        /// Length of the request in bytes.
        consumed: usize,
    },
    /// As `Complete`, but the word ranges are relative to `bytes` in place of the input. Only for
    /// inline lines with quotes, which humans type; it costs an allocation.
    Unquoted {
        /// Length of the request in bytes.
        consumed: usize,
        /// The words, one after the other, without quotes.
        bytes: Box<[u8]>,
    },
    /// The input ends before the request does.
    Incomplete {
        /// At least so many more bytes are needed; 0 if unknown. A client's claim: bounded by
        /// `bulk_bytes_max`, but nothing that was paid for.
        missing: usize,
    },
}

impl Progress {
    /// What the word ranges are relative to: `input`, unless the request was unquoted.
    #[must_use]
    pub fn buffer<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Unquoted { bytes, .. } => bytes,
            Self::Complete { .. } | Self::Incomplete { .. } => input,
        }
    }
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
    /// of `input` (or to [`Progress::buffer`]). When incomplete, the caller keeps the bytes and
    /// `words` and calls again with the same bytes followed by more. Empty lines and counts of 0 or
    /// less are complete without words.
    /// Cost: O(new bytes of lines + new words); the bytes of multibulk words are not touched.
    ///
    /// # Errors
    ///
    /// The first thing that Redis would refuse. `words` is then of no use.
    #[inline]
    pub fn parse(
        &mut self,
        input: &[u8],
        limits: &RequestLimits,
        words: &mut Vec<WordRange>,
    ) -> Result<Progress, ProtocolError> {
        let progress = self.advance(input, limits, words);
        if !matches!(progress, Ok(Progress::Incomplete { .. })) {
            *self = Self::new();
        }
        progress
    }

    /// Returns where the word begins that an incomplete request ends in, relative to the request, and
    /// the length it has announced; `None` if it ends elsewhere.
    #[must_use]
    pub fn open_word(&self) -> Option<(usize, usize)> {
        let length = self.word_length?;
        Some((self.position, usize_from_u32(length)))
    }

    /// Takes the word that the request ends in as received elsewhere, with the two bytes behind it: an
    /// empty range goes to `words`, and the request goes on directly behind the word's length line.
    /// Returns the length of the request if that was its last word; otherwise [`Self::parse`] goes on.
    ///
    /// # Panics
    ///
    /// If the request does not end in a word: ask [`Self::open_word`].
    pub fn skip_open_word(&mut self, words: &mut Vec<WordRange>) -> Option<usize> {
        assert!(self.word_length.is_some(), "the request ends in a word");
        self.word_length = None;
        let position = u32_from(self.position);
        words.push(WordRange {
            start: position,
            end: position,
        });
        self.words_left -= 1;
        (self.words_left == 0).then(|| std::mem::take(self).position)
    }

    #[inline]
    fn advance(
        &mut self,
        input: &[u8],
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
                    // An earlier call may have stopped inside this line.
                    self.searched = 0;
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
        let count = parse_i64(&line[1..]).ok_or(ProtocolError::InvalidCount)?;
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
        // Words below 1000 bytes are nearly all; the slow path knows the others.
        let digit = |byte: &u8| u32::from(byte - b'0');
        let (length, line_bytes) = match input.get(self.position..).unwrap_or_default() {
            [b'$', a @ b'0'..=b'9', b'\r', _, ..] => (digit(a), 4),
            [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => (digit(a) * 10 + digit(b), 5),
            [
                b'$',
                a @ b'1'..=b'9',
                b @ b'0'..=b'9',
                c @ b'0'..=b'9',
                b'\r',
                _,
                ..,
            ] => (digit(a) * 100 + digit(b) * 10 + digit(c), 6),
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
        let length = parse_i64(digits)
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
        input: &[u8],
        words: &mut Vec<WordRange>,
    ) -> Result<Progress, ProtocolError> {
        let Some(length) = self.find_line_end(input, b'\n', ProtocolError::InlineTooBig)? else {
            return Ok(Progress::Incomplete { missing: 0 });
        };
        let line = &input[..length];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let consumed = length + 1;
        if memchr::memchr2(b'"', b'\'', line).is_none() {
            split_plain(line, words);
            return Ok(Progress::Complete { consumed });
        }
        let bytes = split_quoted(line, words)?.into_boxed_slice();
        Ok(Progress::Unquoted { consumed, bytes })
    }
}

/// Finds the words of a line without quotes, as ranges of the line.
fn split_plain(line: &[u8], words: &mut Vec<WordRange>) {
    let mut position = 0;
    loop {
        position += line[position..]
            .iter()
            .take_while(|&&byte| is_space(byte))
            .count();
        if position == line.len() {
            return;
        }
        let start = position;
        position += line[start..]
            .iter()
            .take_while(|&&byte| !ends_word(byte))
            .count();
        words.push(WordRange {
            start: u32_from(start),
            end: u32_from(position),
        });
    }
}

/// Finds the words of a line and takes their quotes off: returns the bytes of all words, which the
/// ranges are relative to.
///
/// Quotes may begin anywhere in a word, but a space or the end of the line must follow their end.
/// Between double quotes `\xHH` and the letters `n r t b a` after a backslash are escapes, and any
/// other byte after a backslash stands for itself. Between single quotes only `\'` is special.
///
/// Source: `redis-server` 7.0.15, the cases of the tests sent to it.
fn split_quoted(line: &[u8], words: &mut Vec<WordRange>) -> Result<Vec<u8>, ProtocolError> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut position = 0;
    loop {
        position += line[position..]
            .iter()
            .take_while(|&&byte| is_space(byte))
            .count();
        if position == line.len() {
            return Ok(bytes);
        }
        let start = bytes.len();
        let mut quote = None;
        while let Some(&byte) = line.get(position) {
            let (value, width) = match (quote, byte) {
                (None, _) if ends_word(byte) => break,
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    position += 1;
                    continue;
                }
                (Some(open), _) if byte == open => {
                    if line
                        .get(position + 1)
                        .is_some_and(|&after| !is_space(after))
                    {
                        return Err(ProtocolError::UnbalancedQuotes);
                    }
                    quote = None;
                    position += 1;
                    break;
                }
                (Some(b'"'), b'\\') => unescape(&line[position..]),
                (Some(_), b'\\') if line.get(position + 1) == Some(&b'\'') => (b'\'', 2),
                _ => (byte, 1),
            };
            bytes.push(value);
            position += width;
        }
        if quote.is_some() {
            return Err(ProtocolError::UnbalancedQuotes);
        }
        words.push(WordRange {
            start: u32_from(start),
            end: u32_from(bytes.len()),
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

/// What stands between words: the C locale's white space.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// What ends a word outside quotes. Not every space does: inside a word a vertical tab or form feed
/// is part of it, as in Redis.
const fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests;
