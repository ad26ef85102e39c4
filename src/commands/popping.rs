//! The words of LMPOP, ZMPOP and those of their kind that wait: keys, an end, a count.
//!
//! Not here: taking ([`crate::list_move`], [`crate::sorted_set_pop`]).

use std::ops::Range;

use protocol::args::{Args, equals_ignore_case};

use crate::spec::CommandError;
use crate::words;

/// What such a command asks for; `E` is the end to take from.
pub(crate) struct Popping<E> {
    /// The words that are keys.
    pub(crate) keys: Range<usize>,
    pub(crate) end: E,
    pub(crate) count: usize,
}

impl<E> Popping<E> {
    /// Reads the words from the number of keys on, which is word `at`; `end_of` reads that of the end.
    pub(crate) fn parse(
        args: Args<'_>,
        at: usize,
        end_of: fn(&[u8]) -> Option<E>,
    ) -> Result<Self, CommandError> {
        let refused = CommandError::Text("ERR numkeys should be greater than 0");
        let key_count = positive(args.word(at)).ok_or(refused)?;
        let end_at = key_count.saturating_add(at + 1);
        let end = args.get(end_at).and_then(end_of);
        let end = end.ok_or(CommandError::Syntax)?;
        let count = match (args.get(end_at + 1), args.get(end_at + 2)) {
            (None, _) => 1,
            (Some(option), Some(count)) if equals_ignore_case(option, "COUNT") => {
                let refused = CommandError::Text("ERR count should be greater than 0");
                positive(count).ok_or(refused)?
            }
            (Some(_), _) => return Err(CommandError::Syntax),
        };
        if args.len() > end_at + 3 {
            return Err(CommandError::Syntax);
        }
        Ok(Self {
            keys: at + 1..end_at,
            end,
            count,
        })
    }
}

/// Reads a number above zero.
fn positive(word: &[u8]) -> Option<usize> {
    let value = usize::try_from(words::integer(word)?).ok()?;
    (value > 0).then_some(value)
}
