//! Counts replies in a stream of bytes without keeping them.
//!
//! The scanner walks over what a read brought, remembers where it stands (inside which line, how
//! many bytes of a bulk are still to come, how many elements of an array), and so never looks at a
//! byte twice nor copies one, however the stream is cut. The short replies that benchmarks consist
//! of (`+OK`, `$n`, `:n`) take a path without state when they lie whole in the input.
//!
//! Invariants
//! - `pending` is the number of elements that must end before the present reply ends; 0 between
//!   two replies. No stack is needed: an aggregate adds its elements and counts itself off.
//! - The input is trusted for nothing: lengths are bounded and a bad byte is an error.
//! - Pushed messages (`>`) are skipped, they answer no request. Attributes (`|`) belong to the
//!   reply that follows them.
//!
//! Not here: values (`probe` reads the few replies whose content matters).

use std::fmt;

/// Longest bulk that is believed, in bytes.
const BULK_BYTES_MAX: u64 = 1 << 40;
/// Most elements a reply may have in all.
const ELEMENTS_MAX: u64 = 1 << 40;
/// Bytes kept of an error's text.
const ERROR_BYTES_MAX: usize = 512;

/// What one call of [`ReplyScanner::scan`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Replies that ended in this input, errors included.
    pub(crate) replies: u64,
    /// Of these, nulls: `$-1`, `*-1` and `_`.
    pub(crate) nulls: u64,
    /// Of these, errors; the text of the last one is in [`ReplyScanner::error_text`].
    pub(crate) errors: u64,
}

/// The stream is not RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadReply {
    /// A reply starts with this byte.
    Kind(u8),
    /// A length or count is not a number, or beyond all limits.
    Length,
    /// A bulk or a line does not end in CR LF.
    End,
}

impl fmt::Display for BadReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(byte) => {
                write!(
                    formatter,
                    "Protocol error, got \"{}\" as reply type byte",
                    byte.escape_ascii()
                )
            }
            Self::Length => formatter.write_str("Protocol error, bad length in a reply"),
            Self::End => formatter.write_str("Protocol error, a reply does not end in CR LF"),
        }
    }
}

/// Where the scanner stands between two inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the byte that tells the kind.
    Kind,
    /// Inside a line whose content does not matter, or of an error, whose text is kept.
    Text { is_error: bool },
    /// Inside the number of an aggregate or bulk.
    Number {
        kind: u8,
        negative: bool,
        value: u64,
        digits: u8,
    },
    /// Inside a bulk; `left` counts its last CR LF.
    Bulk { left: u64 },
}

/// The position in one connection's stream of replies.
#[derive(Debug)]
pub(crate) struct ReplyScanner {
    place: Place,
    pending: u64,
    /// Whether the element at hand is the reply itself, not one inside it.
    is_top: bool,
    /// Whether what is at hand answers no request: a push, or the attribute of the next reply.
    is_aside: bool,
    is_error: bool,
    is_null: bool,
    error_text: Vec<u8>,
}

impl ReplyScanner {
    /// Returns a scanner at the start of a stream.
    pub(crate) fn new() -> Self {
        Self {
            place: Place::Kind,
            pending: 0,
            is_top: false,
            is_aside: false,
            is_error: false,
            is_null: false,
            error_text: Vec::new(),
        }
    }

    /// Returns the text of the last error reply, without the `-`, at most 512 bytes of it.
    pub(crate) fn error_text(&self) -> &[u8] {
        self.error_text.trim_ascii_end()
    }

    /// Walks over all of `input`, which continues where the last call ended.
    ///
    /// Cost: O(bytes of lines + number of elements); the content of bulks is jumped over.
    ///
    /// # Errors
    ///
    /// [`BadReply`]; the stream cannot be used any more.
    #[inline]
    pub(crate) fn scan(&mut self, input: &[u8]) -> Result<Scanned, BadReply> {
        let mut found = Scanned::default();
        let mut rest = input;
        while let Some(&kind) = rest.first() {
            if self.place == Place::Kind
                && let Some(length) = whole_scalar(kind, rest)
            {
                if self.pending == 0 {
                    found.replies += 1;
                } else {
                    self.end_element(&mut found);
                }
                rest = &rest[length..];
                continue;
            }
            rest = self.step(rest, &mut found)?;
        }
        Ok(found)
    }

    /// Takes at least one byte of `rest`, which is not empty, and returns what is left.
    fn step<'a>(&mut self, rest: &'a [u8], found: &mut Scanned) -> Result<&'a [u8], BadReply> {
        match self.place {
            Place::Kind => {
                self.start_element(rest[0])?;
                Ok(&rest[1..])
            }
            Place::Text { is_error } => Ok(self.step_text(rest, is_error, found)),
            Place::Number { .. } => self.step_number(rest, found),
            Place::Bulk { left } => self.step_bulk(rest, left, found),
        }
    }

    /// Notes the kind of the element that starts.
    fn start_element(&mut self, kind: u8) -> Result<(), BadReply> {
        let is_top = self.pending == 0;
        self.is_top = is_top;
        if is_top {
            self.pending = 1;
            self.is_aside = matches!(kind, b'>' | b'|');
            self.is_error = matches!(kind, b'-' | b'!');
            self.is_null = kind == b'_';
        }
        self.place = match kind {
            b'-' => {
                if is_top {
                    self.error_text.clear();
                }
                Place::Text { is_error: is_top }
            }
            b'+' | b':' | b',' | b'#' | b'_' | b'(' => Place::Text { is_error: false },
            b'$' | b'=' | b'!' | b'*' | b'~' | b'%' | b'>' | b'|' => Place::Number {
                kind,
                negative: false,
                value: 0,
                digits: 0,
            },
            other => return Err(BadReply::Kind(other)),
        };
        Ok(())
    }

    /// Runs to the end of a line.
    fn step_text<'a>(&mut self, rest: &'a [u8], is_error: bool, found: &mut Scanned) -> &'a [u8] {
        let end = memchr::memchr(b'\n', rest);
        let line = &rest[..end.unwrap_or(rest.len())];
        if is_error {
            let room = ERROR_BYTES_MAX.saturating_sub(self.error_text.len());
            self.error_text
                .extend_from_slice(&line[..line.len().min(room)]);
        }
        let Some(end) = end else { return &[] };
        self.place = Place::Kind;
        self.end_element(found);
        &rest[end + 1..]
    }

    /// Takes bytes of a number until its line ends.
    fn step_number<'a>(
        &mut self,
        rest: &'a [u8],
        found: &mut Scanned,
    ) -> Result<&'a [u8], BadReply> {
        let Place::Number {
            kind,
            mut negative,
            mut value,
            mut digits,
        } = self.place
        else {
            return Ok(rest);
        };
        for (index, &byte) in rest.iter().enumerate() {
            match byte {
                b'0'..=b'9' if digits < 18 => {
                    value = value * 10 + u64::from(byte - b'0');
                    digits += 1;
                }
                b'-' if digits == 0 && !negative => negative = true,
                b'\r' => {}
                b'\n' if digits > 0 => {
                    self.number_read(kind, negative, value, found)?;
                    return Ok(&rest[index + 1..]);
                }
                _ => return Err(BadReply::Length),
            }
        }
        self.place = Place::Number {
            kind,
            negative,
            value,
            digits,
        };
        Ok(&[])
    }

    /// Acts on the count or length of an element.
    fn number_read(
        &mut self,
        kind: u8,
        negative: bool,
        value: u64,
        found: &mut Scanned,
    ) -> Result<(), BadReply> {
        self.place = Place::Kind;
        if negative {
            self.is_null |= self.is_top;
            self.end_element(found);
            return Ok(());
        }
        let elements = match kind {
            b'$' | b'=' | b'!' => {
                if value > BULK_BYTES_MAX {
                    return Err(BadReply::Length);
                }
                if kind == b'!' && self.is_error {
                    self.error_text.clear();
                }
                self.place = Place::Bulk { left: value + 2 };
                return Ok(());
            }
            b'%' | b'|' => value.saturating_mul(2),
            _ => value,
        };
        if elements > ELEMENTS_MAX || self.pending > ELEMENTS_MAX {
            return Err(BadReply::Length);
        }
        self.pending += elements;
        // An attribute inside a reply stands beside its element and fills no place of its own.
        if kind != b'|' || self.is_top {
            self.end_element(found);
        }
        Ok(())
    }

    /// Jumps over the bytes of a bulk and checks its end.
    fn step_bulk<'a>(
        &mut self,
        rest: &'a [u8],
        left: u64,
        found: &mut Scanned,
    ) -> Result<&'a [u8], BadReply> {
        let available = base::cast::u64_from(rest.len());
        let taken = base::cast::usize_from(left.min(available));
        if self.is_error {
            let room = ERROR_BYTES_MAX.saturating_sub(self.error_text.len());
            self.error_text.extend_from_slice(&rest[..taken.min(room)]);
        }
        let after = left - base::cast::u64_from(taken);
        // The last two of the bytes must be CR LF; look at those of them which this input holds.
        for (place, expected) in [(2, b'\r'), (1, b'\n')] {
            if left >= place && after < place {
                let index = base::cast::usize_from(left - place);
                if rest.get(index) != Some(&expected) {
                    return Err(BadReply::End);
                }
            }
        }
        if after == 0 {
            self.place = Place::Kind;
            self.end_element(found);
        } else {
            self.place = Place::Bulk { left: after };
        }
        Ok(&rest[taken..])
    }

    /// Counts one element off and, if it was the last, the reply in.
    #[inline]
    fn end_element(&mut self, found: &mut Scanned) {
        self.pending -= 1;
        if self.pending == 0 && !self.is_aside {
            found.replies += 1;
            found.errors += u64::from(self.is_error);
            found.nulls += u64::from(self.is_null);
        }
    }
}

/// Returns the length of the simple string, integer or non-null bulk at the start of `rest`, if it
/// is whole, short and well formed; everything else takes the careful way.
#[inline]
fn whole_scalar(kind: u8, rest: &[u8]) -> Option<usize> {
    match kind {
        b'+' => {
            if rest.starts_with(b"+OK\r\n") {
                return Some(5);
            }
            let end = memchr::memchr(b'\n', &rest[..rest.len().min(64)])?;
            Some(end + 1)
        }
        b':' => {
            let line = &rest[..rest.len().min(24)];
            let end = line.iter().position(|&byte| byte == b'\n')?;
            Some(end + 1)
        }
        b'$' => {
            let mut length = 0_usize;
            // Nine digits at most, so the sums below cannot overflow.
            for (index, &byte) in rest.iter().enumerate().take(11).skip(1) {
                match byte {
                    b'0'..=b'9' if index < 10 => length = length * 10 + usize::from(byte - b'0'),
                    b'\r' if index > 1 => {
                        let end = index + 2 + length;
                        let is_whole = rest.get(index + 1) == Some(&b'\n')
                            && rest.get(end..end + 2) == Some(b"\r\n");
                        return is_whole.then_some(end + 2);
                    }
                    _ => return None,
                }
            }
            None
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
