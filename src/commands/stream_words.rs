//! Words and replies that the commands on streams share: ids, intervals, trimming.
//!
//! Numbers in ids are read as C's `strtoull` reads them, which is what Redis does once its own quick
//! reader has given up: `007`, `+7` and ` 7` are 7.

use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Reply;
use types::Limits;
use types::stream::id::Id;
use types::stream::log::{Keep, NewId, Trim};

use crate::spec::CommandError;
use crate::words;

/// Longest id that is looked at, in bytes.
const ID_BYTES_MAX: usize = 127;

/// Entries removed at most by an approximate trim without LIMIT: so many nodes, and bounds.
const TRIM_NODES: u64 = 100;
const TRIM_ENTRIES_MAX: u64 = 1_000_000;
const TRIM_ENTRIES_UNLIMITED_NODES: u64 = 10_000;

const INVALID_ID: CommandError =
    CommandError::Text("ERR Invalid stream ID specified as stream command argument");

/// An id of which the second number may be left to the stream.
enum ParsedId {
    Whole(Id),
    /// `ms-*`.
    Time(u64),
}

/// Reads `ms`, `ms-sequence`, or `ms-*`; `sequence` is what a missing one is.
fn parse(word: &[u8], sequence: u64) -> Option<ParsedId> {
    if word.len() > ID_BYTES_MAX {
        return None;
    }
    let end = word.iter().position(|&byte| byte == 0);
    let word = &word[..end.unwrap_or(word.len())];
    let Some(dash) = word.iter().position(|&byte| byte == b'-') else {
        return Some(ParsedId::Whole(Id::new(unsigned(word)?, sequence)));
    };
    let ms = unsigned(&word[..dash])?;
    let rest = &word[dash + 1..];
    if rest == b"*" {
        return Some(ParsedId::Time(ms));
    }
    Some(ParsedId::Whole(Id::new(ms, unsigned(rest)?)))
}

/// Reads an unsigned number; see the head of this file.
fn unsigned(word: &[u8]) -> Option<u64> {
    if let Some(number) = words::integer(word) {
        return u64::try_from(number).ok();
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let begin = word.iter().position(|byte| !is_space(byte))?;
    let (is_negative, digits) = match &word[begin..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = 0_u64;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(if is_negative {
        number.wrapping_neg()
    } else {
        number
    })
}

/// Reads the id of one entry: neither `-` nor `+`. A missing sequence is 0.
pub(crate) fn id(word: &[u8]) -> Result<Id, CommandError> {
    match parse(word, 0) {
        Some(ParsedId::Whole(id)) => Ok(id),
        Some(ParsedId::Time(_)) | None => Err(INVALID_ID),
    }
}

/// Reads the id that XADD gives to an entry, without `*`.
fn new_id(word: &[u8]) -> Result<NewId, CommandError> {
    match parse(word, 0) {
        Some(ParsedId::Whole(id)) => Ok(NewId::Exactly(id)),
        Some(ParsedId::Time(ms)) => Ok(NewId::At { ms }),
        None => Err(INVALID_ID),
    }
}

/// Reads one end of an interval, which may be `-`, `+` or exclusive; `sequence` is what a missing one
/// is. Returns the id and whether it is exclusive.
fn bound(word: &[u8], sequence: u64) -> Result<(Id, bool), CommandError> {
    let (inner, is_exclusive) = match word {
        [b'(', inner @ ..] if !inner.is_empty() => (inner, true),
        _ => (word, false),
    };
    // As a C string, like everything in an id.
    let named = match inner {
        [b'-'] | [b'-', 0, ..] => Some(Id::MIN),
        [b'+'] | [b'+', 0, ..] => Some(Id::MAX),
        _ => None,
    };
    match named {
        Some(id) if !is_exclusive && inner.len() <= ID_BYTES_MAX => Ok((id, false)),
        Some(_) => Err(INVALID_ID),
        None => match parse(inner, sequence) {
            Some(ParsedId::Whole(id)) => Ok((id, is_exclusive)),
            Some(ParsedId::Time(_)) | None => Err(INVALID_ID),
        },
    }
}

/// Reads the lower end of an interval; returns the first id in it.
pub(crate) fn start(word: &[u8]) -> Result<Id, CommandError> {
    match bound(word, 0)? {
        (id, false) => Ok(id),
        (id, true) => id
            .next()
            .ok_or(CommandError::Text("ERR invalid start ID for the interval")),
    }
}

/// Reads the upper end of an interval; returns the last id in it.
pub(crate) fn end(word: &[u8]) -> Result<Id, CommandError> {
    match bound(word, u64::MAX)? {
        (id, false) => Ok(id),
        (id, true) => id
            .previous()
            .ok_or(CommandError::Text("ERR invalid end ID for the interval")),
    }
}

/// What stands before the fields of XADD, or behind the key of XTRIM.
pub(crate) struct TrimWords {
    /// How to trim, if at all.
    pub(crate) trim: Option<Trim>,
    /// `NOMKSTREAM`: an entry must not make the key.
    pub(crate) is_made: bool,
    /// The id of the new entry; of XADD only, and nothing if the words end before it.
    pub(crate) new_id: Option<NewId>,
    /// The index of the word behind those read.
    pub(crate) next: usize,
}

/// The words read so far.
struct Reading {
    keep: Option<Keep>,
    is_approximate: bool,
    limit: Option<u64>,
    is_made: bool,
}

/// Reads the options of XADD up to its id, or those of XTRIM.
pub(crate) fn trim(
    args: Args<'_>,
    is_add: bool,
    now_ms: u64,
    limits: &Limits,
) -> Result<TrimWords, CommandError> {
    let mut reading = Reading {
        keep: None,
        is_approximate: false,
        limit: None,
        is_made: true,
    };
    let mut new = None;
    let mut index = 2;
    while let Some(word) = args.get(index) {
        if is_add && word == b"*" {
            new = Some(NewId::Next { now_ms });
            break;
        }
        match reading.option(args, index, is_add)? {
            Some(next) => index = next,
            None if is_add => {
                new = Some(new_id(word)?);
                break;
            }
            None => return Err(CommandError::Syntax),
        }
    }
    Ok(TrimWords {
        trim: reading.trim(is_add, limits)?,
        is_made: reading.is_made,
        new_id: new,
        next: index + 1,
    })
}

impl Reading {
    /// Reads the option at `index`; returns the index behind it, nothing if there is no option.
    fn option(
        &mut self,
        args: Args<'_>,
        index: usize,
        is_add: bool,
    ) -> Result<Option<usize>, CommandError> {
        let word = args.word(index);
        let more = args.len() - 1 - index;
        let is_len = equals_ignore_case(word, "MAXLEN");
        if more > 0 && (is_len || equals_ignore_case(word, "MINID")) {
            return self.strategy(args, index, is_len).map(Some);
        }
        if more > 0 && equals_ignore_case(word, "LIMIT") {
            let limit = words::integer_or_refuse(args.word(index + 1))?;
            let refusal = CommandError::Text("ERR The LIMIT argument must be >= 0.");
            self.limit = Some(u64::try_from(limit).or(Err(refusal))?);
            return Ok(Some(index + 2));
        }
        if is_add && equals_ignore_case(word, "NOMKSTREAM") {
            self.is_made = false;
            return Ok(Some(index + 1));
        }
        Ok(None)
    }

    /// Reads `MAXLEN` or `MINID` at `index`; returns the index behind its number or id.
    fn strategy(
        &mut self,
        args: Args<'_>,
        index: usize,
        is_len: bool,
    ) -> Result<usize, CommandError> {
        if self.keep.is_some() {
            return Err(CommandError::Text(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let mut at = index + 1;
        let has_two = args.len() - 1 - index >= 2;
        self.is_approximate = has_two && args.word(at) == b"~";
        if self.is_approximate || (has_two && args.word(at) == b"=") {
            at += 1;
        }
        self.keep = Some(if is_len {
            let len = words::integer_or_refuse(args.word(at))?;
            let refusal = CommandError::Text("ERR The MAXLEN argument must be >= 0.");
            Keep::Last(u64::try_from(len).or(Err(refusal))?)
        } else {
            Keep::From(id(args.word(at))?)
        });
        Ok(at + 1)
    }

    /// Puts the words together once all are read.
    fn trim(&self, is_add: bool, limits: &Limits) -> Result<Option<Trim>, CommandError> {
        let Some(keep) = self.keep else {
            return match self.limit {
                Some(1..) => Err(CommandError::Text(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                )),
                Some(0) | None if !is_add => Err(CommandError::Text(
                    "ERR syntax error, XTRIM must be called with a trimming strategy",
                )),
                Some(0) if !self.is_approximate => Err(LIMIT_OF_EXACT_TRIM),
                Some(0) | None => Ok(None),
            };
        };
        let limit = match self.limit {
            Some(_) if !self.is_approximate => return Err(LIMIT_OF_EXACT_TRIM),
            Some(limit) => limit,
            None if self.is_approximate => default_limit(limits),
            None => 0,
        };
        Ok(Some(Trim {
            keep,
            is_approximate: self.is_approximate,
            limit,
        }))
    }
}

const LIMIT_OF_EXACT_TRIM: CommandError =
    CommandError::Text("ERR syntax error, LIMIT cannot be used without the special ~ option");

fn default_limit(limits: &Limits) -> u64 {
    let entries = base::cast::u64_from(limits.stream_node_entries);
    match entries.saturating_mul(TRIM_NODES) {
        0 => TRIM_ENTRIES_UNLIMITED_NODES,
        limit => limit.min(TRIM_ENTRIES_MAX),
    }
}

/// Answers with an array, or what else `open` opens, of as many values as `write` says it has
/// written. The head of the array is moved before them: O(n) in their bytes.
pub(crate) fn reply_counted(
    reply: &mut Reply<'_>,
    open: fn(&mut Reply<'_>, usize),
    write: impl FnOnce(&mut Reply<'_>) -> usize,
) {
    let begun = reply.out.len();
    let count = write(reply);
    let before = reply.out.len();
    open(reply, count);
    let head = reply.out.len() - before;
    reply.out[begun..].rotate_right(head);
}

/// Answers with the lines of HELP.
pub(crate) fn reply_lines(reply: &mut Reply<'_>, lines: &[&str]) {
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}

/// Opens an array.
pub(crate) fn array(reply: &mut Reply<'_>, len: usize) {
    reply.array(len);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_strtoull_reads_them() {
        let cases: [(&[u8], Option<u64>); 14] = [
            (b"7", Some(7)),
            (b"007", Some(7)),
            (b"+7", Some(7)),
            (b" \t7", Some(7)),
            (b"-7", None),
            (b"-07", Some(u64::MAX - 6)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"", None),
            (b" ", None),
            (b"+", None),
            (b"7 ", None),
            (b"0x7", None),
            (b"--7", None),
        ];
        for (word, number) in cases {
            assert_eq!(unsigned(word), number, "{}", word.escape_ascii());
        }
    }

    #[test]
    fn counted_arrays_get_their_head() {
        let mut out = b"+before\r\n".to_vec();
        let mut reply = Reply::new(&mut out, protocol::reply::Resp::V2);
        reply_counted(&mut reply, array, |reply| {
            (0..12).for_each(|value| reply.integer(value));
            12
        });
        assert!(out.starts_with(b"+before\r\n*12\r\n:0\r\n:1\r\n"));
        assert!(out.ends_with(b":11\r\n"));
    }
}
