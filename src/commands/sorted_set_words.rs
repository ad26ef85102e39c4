//! Words of commands on sorted sets: scores and bounds; and what their replies have in common.
//!
//! Not here: what the commands do.

use base::number::parse_f64;
use protocol::reply::{Reply, Resp};
use types::listpack::Element;
use types::sorted_set::range::{Bound, LexRange, ScoreRange};
use types::sorted_set::{Pair, Rules};

use crate::counted::write_pair;
use crate::spec::{CommandError, Context};

const NOT_A_SCORE_RANGE: CommandError = CommandError::Text("ERR min or max is not a float");
const NOT_A_LEX_RANGE: CommandError =
    CommandError::Text("ERR min or max not valid string range item");

/// Returns what sorted sets need to know when they grow.
#[inline]
pub(crate) fn rules(context: &Context<'_>) -> Rules {
    let options = context.shard.options();
    Rules::new(&options.limits, options.hash_seed)
}

/// Reads a score that is to be stored or added; never NaN.
pub(crate) fn score(word: &[u8]) -> Result<f64, CommandError> {
    parse_f64(word).ok_or(CommandError::NotFloat)
}

/// Reads a range of scores: numbers that count themselves, or do not if `(` stands before them.
pub(crate) fn score_range(min: &[u8], max: &[u8]) -> Result<ScoreRange, CommandError> {
    let bound = |word: &[u8]| match word {
        [b'(', rest @ ..] => bound_number(rest).map(Bound::Excluded),
        _ => bound_number(word).map(Bound::Included),
    };
    match (bound(min), bound(max)) {
        (Some(min), Some(max)) => Ok(ScoreRange { min, max }),
        _ => Err(NOT_A_SCORE_RANGE),
    }
}

/// Reads the number of a bound. Bounds are read less strictly than scores: nothing is 0, spaces may
/// come first, numbers too large are infinite, and a zero byte ends the word.
fn bound_number(word: &[u8]) -> Option<f64> {
    let end = word.iter().position(|&byte| byte == 0);
    let word = &word[..end.unwrap_or(word.len())];
    if word.is_empty() {
        return Some(0.0);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = word.iter().position(|byte| !is_space(byte))?;
    let number = &word[start..];
    parse_f64(number).or_else(|| {
        // Beyond the range of doubles on either side.
        let value: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
        (!value.is_nan()).then_some(value)
    })
}

/// Reads a range of bytes: `[a` counts itself, `(a` does not, `-` and `+` are the ends of
/// everything.
pub(crate) fn lex_range<'a>(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>, CommandError> {
    let bound = |word: &'a [u8]| match word {
        [b'-'] | [b'-', 0, ..] => Some(Bound::Lowest),
        [b'+'] | [b'+', 0, ..] => Some(Bound::Highest),
        [b'(', rest @ ..] => Some(Bound::Excluded(rest)),
        [b'[', rest @ ..] => Some(Bound::Included(rest)),
        _ => None,
    };
    match (bound(min), bound(max)) {
        (Some(min), Some(max)) => Ok(LexRange { min, max }),
        _ => Err(NOT_A_LEX_RANGE),
    }
}

/// Writes a member.
#[inline]
pub(crate) fn write_member(reply: &mut Reply<'_>, member: Element<'_>) {
    member.with_bytes(|bytes| reply.bulk(bytes));
}

/// Writes the line before `count` members.
pub(crate) fn write_pairs_line(reply: &mut Reply<'_>, count: usize, with_scores: bool) {
    match (with_scores, reply.resp) {
        (true, Resp::V2) => reply.array(count * 2),
        (true, Resp::V3) | (false, _) => reply.array(count),
    }
}

/// Writes members, with their scores if wanted: in RESP3 as pairs, in RESP2 one after the other.
pub(crate) fn write_pairs<'a>(
    reply: &mut Reply<'_>,
    pairs: impl ExactSizeIterator<Item = Pair<'a>>,
    with_scores: bool,
) {
    write_pairs_line(reply, pairs.len(), with_scores);
    for (member, score) in pairs {
        write_pair(reply, member, score, with_scores);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_bounds_are_read_as_c_does() {
        for (word, expected) in [
            (&b""[..], Some(0.0)),
            (b" 2", Some(2.0)),
            (b"\t\r\n2", Some(2.0)),
            (b"2 ", None),
            (b" ", None),
            (b"1e500", Some(f64::INFINITY)),
            (b"-1e500", Some(f64::NEG_INFINITY)),
            (b"1e-500", Some(0.0)),
            (b"0x10", Some(16.0)),
            (b"-inf", Some(f64::NEG_INFINITY)),
            (b"nan", None),
            (b"3\0x", Some(3.0)),
            (b"x", None),
            (b"\xff", None),
        ] {
            assert_eq!(bound_number(word), expected, "{}", word.escape_ascii());
        }
    }
}
