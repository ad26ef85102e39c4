//! Parts of statements behind the condition: columns, assignments, ends of rows.

use base::limits::TABLE_COLUMNS_MAX;
use base::number;

use super::condition::operator_at;
use super::{Cursor, Keyword};
use crate::error::TableError;
use crate::statement::{Aggregate, Assignment, Item, NewValue, OrderBy, RowExpiry, Word};

/// The clauses that a statement has had, so that each comes once.
#[derive(Default)]
pub(super) struct Seen(u32);

impl Seen {
    /// Notes a clause.
    ///
    /// # Errors
    /// A text of its own if it has been there.
    pub(super) fn once(&mut self, clause: Keyword) -> Result<(), TableError> {
        let bit = 1 << clause as u32;
        if self.0 & bit != 0 {
            return Err(TableError::other("syntax error, a clause stands twice"));
        }
        self.0 |= bit;
        Ok(())
    }
}

/// Reads `count name...`, one name or more, and makes something of each.
pub(super) fn counted<'a, T>(
    cursor: &mut Cursor<'_, 'a>,
    make: impl Fn(Word<'a>) -> T,
) -> Result<Vec<T>, TableError> {
    cursor
        .take()
        .and_then(number::parse_u64)
        .and_then(|count| usize::try_from(count).ok())
        .filter(|&count| count > 0)
        .and_then(|count| cursor.take_many(count))
        .map(|words| words.iter().map(|&word| make(word)).collect())
        .ok_or_else(|| {
            TableError::other("syntax error, expected a number and as many columns behind it")
        })
}

/// Reads what RETURNING gives: `*` or `count item...`.
pub(super) fn returning<'a>(cursor: &mut Cursor<'_, 'a>) -> Result<Vec<Item<'a>>, TableError> {
    if cursor.take_if(b"*") {
        return Ok(Vec::new());
    }
    counted(cursor, Item::Column)
}

/// Reads a whole number.
pub(super) fn whole_number(cursor: &mut Cursor<'_, '_>) -> Result<u64, TableError> {
    cursor
        .take()
        .and_then(number::parse_u64)
        .ok_or_else(|| TableError::other("value is not an integer or out of range"))
}

/// Reads one or more columns, each with ASC or DESC behind it or neither, up to the next clause.
pub(super) fn order_by<'a>(cursor: &mut Cursor<'_, 'a>) -> Result<Vec<OrderBy<'a>>, TableError> {
    let mut columns = Vec::new();
    if !cursor.take_if(b"BY") {
        return Err(TableError::other("syntax error, expected BY behind ORDER"));
    }
    while let Some(word) = cursor.peek() {
        if !columns.is_empty() && super::keyword(word).is_some() {
            break;
        }
        if columns.len() == TABLE_COLUMNS_MAX {
            return Err(TableError::other("ORDER BY has too many columns"));
        }
        cursor.at += 1;
        let descending = cursor.take_if(b"DESC");
        if !descending {
            cursor.take_if(b"ASC");
        }
        columns.push(OrderBy {
            item: item(word),
            descending,
        });
    }
    if columns.is_empty() {
        return Err(TableError::other("syntax error, ORDER BY needs a column"));
    }
    Ok(columns)
}

/// Reads a word of COLUMNS: `COUNT(*)`, `SUM(column)` and so on, otherwise a column.
pub(super) fn item(word: Word<'_>) -> Item<'_> {
    let parts = word.strip_suffix(b")").and_then(|rest| {
        let open = rest.iter().position(|&byte| byte == b'(')?;
        Some((&rest[..open], &rest[open + 1..]))
    });
    let Some((function, column)) = parts else {
        return Item::Column(word);
    };
    let functions = [
        (&b"COUNT"[..], Aggregate::Count),
        (b"SUM", Aggregate::Sum),
        (b"AVG", Aggregate::Average),
        (b"MIN", Aggregate::Minimum),
        (b"MAX", Aggregate::Maximum),
    ];
    let found = functions
        .into_iter()
        .find(|(name, _)| function.eq_ignore_ascii_case(name));
    match found {
        Some((_, Aggregate::Count)) if column == b"*" => Item::Aggregate(Aggregate::Count, None),
        Some((_, aggregate)) if !column.is_empty() => Item::Aggregate(aggregate, Some(column)),
        _ => Item::Column(word),
    }
}

/// Reads `column=value` in one word, split at its first operator, or in three. Nothing, and no word taken,
/// if the next word is neither and holds no operator.
///
/// # Errors
/// `wrong` for a word that holds an operator and is no assignment.
pub(super) fn assignment<'a>(
    cursor: &mut Cursor<'_, 'a>,
    wrong: &TableError,
) -> Result<Option<Assignment<'a>>, TableError> {
    let Some(word) = cursor.peek() else {
        return Ok(None);
    };
    if let Some(at) = operator_at(word) {
        if at == 0 || word[at] != b'=' {
            return Err(wrong.clone());
        }
        cursor.at += 1;
        return Ok(Some(Assignment {
            column: &word[..at],
            value: NewValue::Text(&word[at + 1..]),
        }));
    }
    if word.is_empty() || cursor.second() != Some(b"=") {
        return Ok(None);
    }
    cursor.at += 2;
    let value = cursor.take().ok_or_else(|| wrong.clone())?;
    Ok(Some(Assignment {
        column: word,
        value: NewValue::Text(value),
    }))
}

/// Reads assignments as long as there are some: one or more.
///
/// # Errors
/// `wrong` if there is none, or a word that holds an operator and is none.
pub(super) fn assignments<'a>(
    cursor: &mut Cursor<'_, 'a>,
    wrong: &TableError,
) -> Result<Vec<Assignment<'a>>, TableError> {
    let mut found = Vec::with_capacity(4);
    while let Some(next) = assignment(cursor, wrong)? {
        // Repetitions included, nobody needs more; it bounds what one row costs.
        if found.len() == 2 * TABLE_COLUMNS_MAX {
            return Err(TableError::other("too many assignments, at most 2048"));
        }
        found.push(next);
    }
    if found.is_empty() {
        return Err(wrong.clone());
    }
    Ok(found)
}

/// Reads the number behind EX, PX, EXAT or PXAT.
pub(super) fn expiry(
    clause: Keyword,
    cursor: &mut Cursor<'_, '_>,
) -> Result<RowExpiry, TableError> {
    if clause == Keyword::Persist {
        return Ok(RowExpiry::Never);
    }
    let number = whole_number(cursor)?;
    let is_seconds = matches!(clause, Keyword::Ex | Keyword::ExAt);
    let millis = number
        .checked_mul(if is_seconds { 1000 } else { 1 })
        // Room is left for the time that it is counted from.
        .filter(|&millis| millis > 0 && millis <= i64::MAX.unsigned_abs() / 2)
        .ok_or_else(|| TableError::other("invalid expire time"))?;
    Ok(match clause {
        Keyword::ExAt | Keyword::PxAt => RowExpiry::At(millis),
        _ => RowExpiry::In(millis),
    })
}
