//! Commands that wait for their keys: what they say of themselves, and how a handler asks to wait.
//!
//! A command that may wait runs like any other, and answers if it can. If it finds nothing it calls
//! [`Context::wait_or`]; whoever runs it then keeps the request until a key is ready, and runs the
//! narrowed form of it, which names this key alone ([`crate::wait_form`]). As in Redis 7.0 only the key
//! that became ready is looked at then.
//!
//! Invariant: a handler that asks to wait has written nothing and changed nothing.
//!
//! Not here: the queues (`shard::waiters`), who waits for how long (`server`).

use std::ops::Range;

use base::ids::DbIndex;
use base::number::long_double::LongDouble;
use base::number::parse_f64;
use protocol::args::{Args, PackedArgs};
use protocol::reply::Reply;
use shard::Shard;
use types::Typed;

use crate::spec::{CommandError, Context};
use crate::wait_form::{Timeout, Waiting};

impl Context<'_> {
    /// Asks to wait; where that is not possible, answers with what `write` writes.
    pub fn wait_or(&mut self, write: impl FnOnce(&mut Reply<'_>)) {
        match self.waiting {
            Waiting::Never => write(&mut self.reply),
            Waiting::Possible | Waiting::Again | Waiting::Wanted => self.waiting = Waiting::Wanted,
        }
    }
}

/// Reads a timeout in seconds, which may have a fraction, as Redis 7.0.15 does: rounded up to
/// milliseconds; what leaves their 64 bits is taken for negative.
///
/// # Errors
///
/// Texts of their own.
pub fn seconds(word: &[u8]) -> Result<Timeout, CommandError> {
    const NEGATIVE: CommandError = CommandError::Text("ERR timeout is negative");
    let Some(seconds) = parse_f64(word) else {
        // More than a double can hold is a number all the same.
        return Err(match LongDouble::parse(word) {
            Some(_) => NEGATIVE,
            None => CommandError::Text("ERR timeout is not a float or out of range"),
        });
    };
    let millis = (seconds * 1000.0).ceil();
    if !(0.0..MILLIS_END).contains(&millis) {
        return Err(NEGATIVE);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 0 to below 2^63 converts exactly"
    )]
    Ok(timeout_of(millis as u64))
}

/// Reads a timeout in whole milliseconds.
///
/// # Errors
///
/// Texts of their own.
pub fn milliseconds(word: &[u8]) -> Result<Timeout, CommandError> {
    match crate::words::integer(word) {
        None => Err(CommandError::Text(
            "ERR timeout is not an integer or out of range",
        )),
        Some(millis) => match u64::try_from(millis) {
            Ok(millis) => Ok(timeout_of(millis)),
            Err(_) => Err(CommandError::Text("ERR timeout is negative")),
        },
    }
}

fn timeout_of(millis: u64) -> Timeout {
    Timeout((millis > 0).then_some(millis))
}

/// 2^63.
const MILLIS_END: f64 = 9_223_372_036_854_775_808.0;

/// Returns whether a key holds a `T`.
pub(crate) fn holds<T: Typed>(shard: &mut Shard, db: DbIndex, key: &[u8]) -> bool {
    let key = shard.key(key);
    shard
        .db(db)
        .peek(key)
        .is_some_and(|entry| entry.check::<T>().is_ok())
}

/// Requests of the form `command key... timeout`: keys, and the request for one of them.
pub(crate) mod keys_then_timeout {
    use super::{Args, DbIndex, PackedArgs, Range, Shard, Timeout, seconds};

    pub(crate) fn timeout(args: Args<'_>) -> Option<Timeout> {
        seconds(args.word(args.len() - 1)).ok()
    }

    pub(crate) fn keys(args: Args<'_>) -> Range<usize> {
        1..args.len() - 1
    }

    pub(crate) fn narrow(_: &mut Shard, _: DbIndex, args: Args<'_>, word: usize) -> PackedArgs {
        let mut narrowed = PackedArgs::default();
        for index in [0, word, args.len() - 1] {
            narrowed.push_word(args.word(index));
        }
        narrowed
    }
}

/// Requests of the form `command timeout numkeys key... option...`: keys, and the request for one of
/// them.
pub(crate) mod counted {
    use super::{Args, DbIndex, PackedArgs, Range, Shard, Timeout, seconds};

    /// The word of the first key.
    const FIRST: usize = 3;

    pub(crate) fn timeout(args: Args<'_>) -> Option<Timeout> {
        seconds(args.word(1)).ok()
    }

    pub(crate) fn keys(args: Args<'_>) -> Range<usize> {
        let count = crate::words::integer(args.word(FIRST - 1)).unwrap_or(0);
        let count = usize::try_from(count).unwrap_or(0);
        FIRST..FIRST.saturating_add(count).min(args.len())
    }

    pub(crate) fn narrow(_: &mut Shard, _: DbIndex, args: Args<'_>, word: usize) -> PackedArgs {
        let mut narrowed = PackedArgs::default();
        narrowed.push_word(args.word(0));
        narrowed.push_word(args.word(1));
        narrowed.push_word(b"1");
        narrowed.push_word(args.word(word));
        for option in args.from(keys(args).end).iter() {
            narrowed.push_word(option);
        }
        narrowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts and limits of redis-server 7.0.15.
    #[test]
    fn seconds_are_read_as_redis_does() {
        let millis = |word: &str| seconds(word.as_bytes()).map(|timeout| timeout.0);
        assert_eq!(millis("0"), Ok(None));
        assert_eq!(millis("-0.0001"), Ok(None));
        assert_eq!(millis("0.0001"), Ok(Some(1)));
        assert_eq!(millis("1.5"), Ok(Some(1500)));
        assert_eq!(millis("0x1"), Ok(Some(1000)));
        let negative = Err(CommandError::Text("ERR timeout is negative"));
        for word in ["-1", "inf", "1e400", "99999999999999999"] {
            assert_eq!(millis(word), negative, "{word}");
        }
        let no_number = Err(CommandError::Text(
            "ERR timeout is not a float or out of range",
        ));
        for word in ["x", "", "nan", " 1"] {
            assert_eq!(millis(word), no_number, "{word}");
        }
    }
}
