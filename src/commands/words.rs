//! Reading of words that several commands share: integers, database numbers and points in time.

use base::clock::UnixMillis;
use base::ids::DbIndex;
use base::number::parse_i64;

use crate::spec::CommandError;

/// Reads a signed 64-bit integer in its only spelling.
#[inline]
pub(crate) fn integer(word: &[u8]) -> Option<i64> {
    parse_i64(word)
}

/// Reads a signed 64-bit integer, or refuses.
#[inline]
pub(crate) fn integer_or_refuse(word: &[u8]) -> Result<i64, CommandError> {
    parse_i64(word).ok_or(CommandError::NotInteger)
}

/// Reads the number of a database, below `databases`.
pub(crate) fn database(word: &[u8], databases: u16) -> Result<DbIndex, CommandError> {
    let number = i32::try_from(integer_or_refuse(word)?).or(Err(CommandError::NotInt32))?;
    database_in_range(number, databases)
}

/// Turns a number into that of a database, below `databases`.
pub(crate) fn database_in_range(number: i32, databases: u16) -> Result<DbIndex, CommandError> {
    match u16::try_from(number) {
        Ok(index) if index < databases => Ok(DbIndex(index)),
        Ok(_) | Err(_) => Err(CommandError::DbOutOfRange),
    }
}

/// How a client says when a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeForm {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// Seconds since 1970.
    AtSeconds,
    /// Milliseconds since 1970.
    AtMillis,
}

impl TimeForm {
    /// Turns an amount into a point in time; `None` if it leaves the 64-bit range.
    ///
    /// Only the way up is watched for, as in Redis: a time far in the past stays one.
    pub(crate) fn point(self, amount: i64, now: UnixMillis) -> Option<UnixMillis> {
        let millis = match self {
            Self::Seconds | Self::AtSeconds => amount.checked_mul(1000)?,
            Self::Millis | Self::AtMillis => amount,
        };
        match self {
            Self::Seconds | Self::Millis => millis.checked_add(now.0),
            Self::AtSeconds | Self::AtMillis => Some(millis),
        }
        .map(UnixMillis)
    }

    /// Reads the time of an option of SET and its like, which has to be above zero.
    ///
    /// # Errors
    ///
    /// [`CommandError::NotInteger`] and [`CommandError::InvalidExpire`].
    pub(crate) fn positive_point(
        self,
        word: &[u8],
        now: UnixMillis,
    ) -> Result<UnixMillis, CommandError> {
        let amount = integer_or_refuse(word)?;
        if amount <= 0 {
            return Err(CommandError::InvalidExpire);
        }
        self.point(amount, now).ok_or(CommandError::InvalidExpire)
    }
}
