//! Statements about rows.

use base::limits::INSERT_ROWS_MAX;
use base::number;

use super::clause::{self, Seen};
use super::condition::condition;
use super::{Cursor, Keyword, check_update_words, keyword};
use crate::error::TableError;
use crate::schema::RowId;
use crate::statement::{
    Assignment, Condition, Count, Delete, Get, Insert, NewValue, OnConflict, Select, Update, Word,
};

/// Reads a SELECT: `[WHERE condition] [COLUMNS n item...] [GROUP BY n column...] [ORDER BY column
/// [ASC|DESC]...] [LIMIT [offset] n] [OFFSET n] [AFTER id]`.
///
/// # Errors
/// What is wrong with the condition; texts of their own for clauses.
pub fn select<'a>(words: &[Word<'a>]) -> Result<Select<'a>, TableError> {
    let mut cursor = Cursor::new(words);
    let mut seen = Seen::default();
    let mut select = Select {
        condition: where_clause(&mut cursor)?,
        ..Select::default()
    };
    while let Some(word) = cursor.take() {
        let clause = keyword(word).ok_or_else(|| stray(select.condition.as_ref()))?;
        seen.once(clause)?;
        match clause {
            Keyword::Columns => select.items = clause::counted(&mut cursor, clause::item)?,
            Keyword::Group => {
                if !cursor.take_if(b"BY") {
                    return Err(TableError::other("syntax error, expected BY behind GROUP"));
                }
                select.group_by = clause::counted(&mut cursor, |name| name)?;
            }
            Keyword::Order => select.order_by = clause::order_by(&mut cursor)?,
            Keyword::Limit => {
                let number = clause::whole_number(&mut cursor)?;
                // With two numbers the first is the offset; no clause begins with a number.
                match cursor.peek().and_then(number::parse_u64) {
                    Some(limit) => {
                        cursor.at += 1;
                        seen.once(Keyword::Offset)?;
                        select.offset = number;
                        select.limit = Some(limit);
                    }
                    None => select.limit = Some(number),
                }
            }
            Keyword::Offset => select.offset = clause::whole_number(&mut cursor)?,
            Keyword::After => select.after = Some(RowId(clause::whole_number(&mut cursor)?)),
            _ => return Err(stray(select.condition.as_ref())),
        }
    }
    Ok(select)
}

/// Reads a COUNT: `[WHERE condition]`.
///
/// # Errors
/// What is wrong with the condition.
pub fn count<'a>(words: &[Word<'a>]) -> Result<Count<'a>, TableError> {
    let mut cursor = Cursor::new(words);
    let condition = where_clause(&mut cursor)?;
    if !cursor.is_at_end() {
        return Err(stray(condition.as_ref()));
    }
    Ok(Count { condition })
}

/// Reads a GET: `id [COLUMNS n column...]`.
///
/// # Errors
/// Texts of their own.
pub fn get<'a>(words: &[Word<'a>]) -> Result<Get<'a>, TableError> {
    let mut cursor = Cursor::new(words);
    let id = RowId(clause::whole_number(&mut cursor)?);
    let mut items = Vec::new();
    if cursor.peek().and_then(keyword) == Some(Keyword::Columns) {
        cursor.at += 1;
        items = clause::counted(&mut cursor, crate::statement::Item::Column)?;
    }
    if !cursor.is_at_end() {
        return Err(TableError::other(
            "syntax error, expected COLUMNS or nothing",
        ));
    }
    Ok(Get { id, items })
}

/// Reads an INSERT.
///
/// `column=value... [ROW column=value...]... [ON CONFLICT column DO NOTHING | DO UPDATE
/// [SET column=value...]] [EX seconds | PX milliseconds | EXAT seconds | PXAT milliseconds] [RETURNING * |
/// RETURNING n column...]`.
///
/// # Errors
/// [`TableError::FieldFormat`]; [`TableError::SetFormat`] behind ON CONFLICT; texts of their own.
pub fn insert<'a>(words: &[Word<'a>]) -> Result<Insert<'a>, TableError> {
    let mut cursor = Cursor::new(words);
    let mut seen = Seen::default();
    let mut insert = Insert {
        rows: vec![clause::assignments(&mut cursor, &TableError::FieldFormat)?],
        on_conflict: OnConflict::Fail,
        expiry: None,
        returning: None,
    };
    while cursor.peek().and_then(keyword) == Some(Keyword::Row) {
        cursor.at += 1;
        if insert.rows.len() == INSERT_ROWS_MAX {
            return Err(TableError::other("too many rows, at most 10000"));
        }
        let row = clause::assignments(&mut cursor, &TableError::FieldFormat)?;
        insert.rows.push(row);
    }
    while let Some(word) = cursor.take() {
        let clause = keyword(word).ok_or(TableError::FieldFormat)?;
        match clause {
            Keyword::On => {
                seen.once(clause)?;
                insert.on_conflict = on_conflict(&mut cursor)?;
            }
            Keyword::Ex | Keyword::Px | Keyword::ExAt | Keyword::PxAt => {
                seen.once(Keyword::Ex)?;
                insert.expiry = Some(clause::expiry(clause, &mut cursor)?);
            }
            Keyword::Returning => {
                seen.once(clause)?;
                insert.returning = Some(clause::returning(&mut cursor)?);
            }
            _ => return Err(TableError::FieldFormat),
        }
    }
    Ok(insert)
}

/// Reads an UPDATE.
///
/// `[[WHERE] condition] SET column=value... [UNSET column...] [EX seconds | PX milliseconds
/// | EXAT seconds | PXAT milliseconds | PERSIST] [RETURNING * | RETURNING n column...]`. One of SET, UNSET
/// and the ends of rows must be there.
///
/// # Errors
/// [`TableError::WrongWords`], [`TableError::MissingSet`], what is wrong with the condition,
/// [`TableError::SetFormat`]; texts of their own.
pub fn update<'a>(words: &[Word<'a>]) -> Result<Update<'a>, TableError> {
    check_update_words(words)?;
    if !words.iter().any(|word| is_change(word)) {
        return Err(TableError::MissingSet);
    }
    let mut cursor = Cursor::new(words);
    let mut seen = Seen::default();
    let condition = match cursor.peek() {
        Some(word) if is_change(word) => None,
        Some(word) if keyword(word) == Some(Keyword::Where) => where_clause(&mut cursor)?,
        _ => Some(condition(&mut cursor)?),
    };
    let mut update = Update {
        condition,
        assignments: Vec::new(),
        expiry: None,
        returning: None,
    };
    while let Some(word) = cursor.take() {
        let clause = keyword(word).ok_or(TableError::SetFormat)?;
        match clause {
            Keyword::Set => {
                if seen.once(clause).is_err() {
                    return Err(TableError::SetFormat);
                }
                let set = clause::assignments(&mut cursor, &TableError::SetFormat)?;
                update.assignments.extend(set);
            }
            Keyword::Unset => {
                seen.once(clause)?;
                update.assignments.extend(unset(&mut cursor)?);
            }
            Keyword::Ex | Keyword::Px | Keyword::ExAt | Keyword::PxAt | Keyword::Persist => {
                seen.once(Keyword::Ex)?;
                update.expiry = Some(clause::expiry(clause, &mut cursor)?);
            }
            Keyword::Returning => {
                seen.once(clause)?;
                update.returning = Some(clause::returning(&mut cursor)?);
            }
            _ if update.assignments.is_empty() => return Err(TableError::ConditionFormat),
            _ => return Err(TableError::SetFormat),
        }
    }
    if update.assignments.is_empty() && update.expiry.is_none() {
        return Err(TableError::MissingSet);
    }
    Ok(update)
}

/// Reads a DELETE: `[WHERE condition] [RETURNING * | RETURNING n column...]`.
///
/// # Errors
/// What is wrong with the condition; texts of their own.
pub fn delete<'a>(words: &[Word<'a>]) -> Result<Delete<'a>, TableError> {
    let mut cursor = Cursor::new(words);
    let condition = where_clause(&mut cursor)?;
    let mut returning = None;
    if cursor.peek().and_then(keyword) == Some(Keyword::Returning) {
        cursor.at += 1;
        returning = Some(clause::returning(&mut cursor)?);
    }
    if !cursor.is_at_end() {
        return Err(stray(condition.as_ref()));
    }
    Ok(Delete {
        condition,
        returning,
    })
}

/// Reads `WHERE condition`, or nothing.
fn where_clause<'a>(cursor: &mut Cursor<'_, 'a>) -> Result<Option<Condition<'a>>, TableError> {
    if cursor.peek().and_then(keyword) != Some(Keyword::Where) {
        return Ok(None);
    }
    cursor.at += 1;
    condition(cursor).map(Some)
}

/// Returns the error for a word that is no clause of its statement: behind a condition it would have to be
/// one.
fn stray(condition: Option<&Condition<'_>>) -> TableError {
    match condition {
        Some(_) => TableError::ConditionFormat,
        None => TableError::other("syntax error, expected WHERE or a clause behind the table"),
    }
}

/// Returns whether a word can begin what an UPDATE does.
fn is_change(word: &[u8]) -> bool {
    matches!(
        keyword(word),
        Some(
            Keyword::Set
                | Keyword::Unset
                | Keyword::Ex
                | Keyword::Px
                | Keyword::ExAt
                | Keyword::PxAt
                | Keyword::Persist
        )
    )
}

/// Reads `column...`, one or more, up to the next clause.
fn unset<'a>(cursor: &mut Cursor<'_, 'a>) -> Result<Vec<Assignment<'a>>, TableError> {
    let mut columns = Vec::new();
    while let Some(word) = cursor.peek() {
        if !columns.is_empty() && keyword(word).is_some() {
            break;
        }
        cursor.at += 1;
        columns.push(Assignment {
            column: word,
            value: NewValue::Null,
        });
    }
    if columns.is_empty() {
        return Err(TableError::other("syntax error, UNSET needs a column"));
    }
    Ok(columns)
}

/// Reads what follows ON.
fn on_conflict<'a>(cursor: &mut Cursor<'_, 'a>) -> Result<OnConflict<'a>, TableError> {
    let wrong =
        || TableError::other("syntax error, expected ON CONFLICT column DO NOTHING or DO UPDATE");
    if !cursor.take_if(b"CONFLICT") {
        return Err(wrong());
    }
    let column = cursor.take().ok_or_else(wrong)?;
    if !cursor.take_if(b"DO") {
        return Err(wrong());
    }
    if cursor.take_if(b"NOTHING") {
        return Ok(OnConflict::Nothing { column });
    }
    if !cursor.take_if(b"UPDATE") {
        return Err(wrong());
    }
    let assignments = if cursor.take_if(b"SET") {
        clause::assignments(cursor, &TableError::SetFormat)?
    } else {
        Vec::new()
    };
    Ok(OnConflict::Update {
        column,
        assignments,
    })
}
