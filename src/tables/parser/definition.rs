//! Statements that define: columns and indexes of new tables, changes of tables.

use base::limits::{TABLE_COLUMNS_MAX, TABLE_INDEXES_MAX};

use super::Cursor;
use crate::error::TableError;
use crate::schema::IndexKind;
use crate::statement::{Alter, ColumnDefinition, Create, IndexDefinition, Word};

/// Reads the words of `TABLE.SCHEMA.CREATE`: `column:type[:index] [option...]...`, with
/// `INDEX column,column[:index] [UNIQUE]` between and behind them.
///
/// # Errors
/// [`TableError::ColumnFormat`], [`TableError::IndexKind`]; texts of their own.
pub fn create<'a>(words: &[Word<'a>]) -> Result<Create<'a>, TableError> {
    let mut cursor = Cursor::new(words);
    let mut create = Create::default();
    while let Some(word) = cursor.peek() {
        // The module knows columns only, which have a colon.
        if word.eq_ignore_ascii_case(b"INDEX") && !create.columns.is_empty() {
            cursor.at += 1;
            let columns = cursor
                .take()
                .filter(|columns| !columns.is_empty())
                .ok_or_else(|| TableError::other("syntax error, INDEX needs columns"))?;
            if create.indexes.len() == TABLE_INDEXES_MAX {
                return Err(TableError::other("a table has at most 64 indexes"));
            }
            create.indexes.push(index(columns, &mut cursor)?);
            continue;
        }
        // Some more than a table can have, since a repeated one replaces the first.
        if create.columns.len() == 2 * TABLE_COLUMNS_MAX {
            return Err(TableError::other("a table has at most 1024 columns"));
        }
        cursor.at += 1;
        let definition = column(word, &mut cursor, &TableError::ColumnFormat)?;
        create.columns.push(definition);
    }
    if create.columns.is_empty() {
        return Err(TableError::ColumnFormat);
    }
    Ok(create)
}

/// Reads the words of `TABLE.SCHEMA.ALTER`.
///
/// They are `ADD COLUMN column:type[:index] [option...]`,
/// `ADD INDEX column[,column...][:index] [UNIQUE]`, `DROP COLUMN column`, `DROP INDEX column[,column...]`,
/// `RENAME COLUMN from to`, `RENAME TO table`.
///
/// # Errors
/// [`TableError::AddColumnWords`], [`TableError::AddColumnFormat`], [`TableError::IndexKind`],
/// [`TableError::AddIndexWords`], [`TableError::DropIndexWords`], [`TableError::AlterSyntax`]; texts of their
/// own.
pub fn alter<'a>(words: &[Word<'a>]) -> Result<Alter<'a>, TableError> {
    let mut cursor = Cursor::new(words);
    let (Some(action), Some(object)) = (cursor.take(), cursor.take()) else {
        return Err(TableError::AlterSyntax);
    };
    let is = |word: &[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
    if is(action, b"ADD") && is(object, b"COLUMN") {
        return add_column(&mut cursor);
    }
    if is(action, b"ADD") && is(object, b"INDEX") {
        let columns = cursor.take().ok_or(TableError::AddIndexWords)?;
        let definition = index(columns, &mut cursor)?;
        return only(
            Alter::AddIndex(definition),
            &cursor,
            TableError::AddIndexWords,
        );
    }
    if is(action, b"DROP") && is(object, b"INDEX") {
        let columns = cursor.take().ok_or(TableError::DropIndexWords)?;
        return only(
            Alter::DropIndex(columns),
            &cursor,
            TableError::DropIndexWords,
        );
    }
    if is(action, b"DROP") && is(object, b"COLUMN") {
        let wrong = TableError::other("DROP COLUMN requires column name");
        let Some(column) = cursor.take() else {
            return Err(wrong);
        };
        return only(Alter::DropColumn(column), &cursor, wrong);
    }
    if is(action, b"RENAME") && is(object, b"COLUMN") {
        let wrong = TableError::other("RENAME COLUMN requires the old and the new name");
        let (Some(from), Some(to)) = (cursor.take(), cursor.take()) else {
            return Err(wrong);
        };
        return only(Alter::RenameColumn { from, to }, &cursor, wrong);
    }
    if is(action, b"RENAME") && is(object, b"TO") {
        let wrong = TableError::other("RENAME TO requires the new name");
        let Some(to) = cursor.take() else {
            return Err(wrong);
        };
        return only(Alter::RenameTable(to), &cursor, wrong);
    }
    Err(TableError::AlterSyntax)
}

fn add_column<'a>(cursor: &mut Cursor<'_, 'a>) -> Result<Alter<'a>, TableError> {
    let word = cursor.take().ok_or(TableError::AddColumnWords)?;
    let options: [&[u8]; 4] = [b"UNIQUE", b"PRIMARY", b"NOT", b"DEFAULT"];
    if let Some(next) = cursor.peek()
        && !options.iter().any(|name| next.eq_ignore_ascii_case(name))
    {
        return Err(TableError::AddColumnWords);
    }
    let definition = column(word, cursor, &TableError::AddColumnFormat)?;
    only(
        Alter::AddColumn(definition),
        cursor,
        TableError::AddColumnWords,
    )
}

/// Returns `alter` if no word is left.
fn only<'a>(
    alter: Alter<'a>,
    cursor: &Cursor<'_, 'a>,
    wrong: TableError,
) -> Result<Alter<'a>, TableError> {
    if cursor.is_at_end() {
        Ok(alter)
    } else {
        Err(wrong)
    }
}

/// Reads `column:type[:index]` and the options behind it.
fn column<'a>(
    word: Word<'a>,
    cursor: &mut Cursor<'_, 'a>,
    wrong: &TableError,
) -> Result<ColumnDefinition<'a>, TableError> {
    let (name, rest) = split_at_colon(word).ok_or_else(|| wrong.clone())?;
    if name.is_empty() {
        return Err(wrong.clone());
    }
    let (kind, index) = match split_at_colon(rest) {
        Some((kind, index)) => (kind, index_kind(index)?),
        None => (rest, None),
    };
    let mut definition = ColumnDefinition {
        name,
        kind,
        index,
        unique: false,
        primary: false,
        not_null: false,
        default: None,
    };
    while option(&mut definition, cursor)? {}
    Ok(definition)
}

/// Reads one option of a column; returns whether there was one.
fn option<'a>(
    definition: &mut ColumnDefinition<'a>,
    cursor: &mut Cursor<'_, 'a>,
) -> Result<bool, TableError> {
    if cursor.take_if(b"UNIQUE") {
        definition.unique = true;
    } else if cursor.take_if(b"PRIMARY") {
        if !cursor.take_if(b"KEY") {
            return Err(TableError::other(
                "syntax error, expected KEY behind PRIMARY",
            ));
        }
        definition.primary = true;
    } else if cursor.take_if(b"NOT") {
        if !cursor.take_if(b"NULL") {
            return Err(TableError::other("syntax error, expected NULL behind NOT"));
        }
        definition.not_null = true;
    } else if cursor.take_if(b"DEFAULT") {
        let value = cursor.take();
        definition.default =
            Some(value.ok_or_else(|| TableError::other("syntax error, DEFAULT needs a value"))?);
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Reads `column[,column...][:index]` and UNIQUE behind it.
fn index<'a>(
    word: Word<'a>,
    cursor: &mut Cursor<'_, 'a>,
) -> Result<IndexDefinition<'a>, TableError> {
    let (columns, kind) = match split_at_colon(word) {
        Some((columns, kind)) => match index_kind(kind)? {
            Some(kind) => (columns, Some(kind)),
            None => return Err(TableError::IndexKind),
        },
        None => (word, None),
    };
    Ok(IndexDefinition {
        columns,
        kind,
        unique: cursor.take_if(b"UNIQUE"),
    })
}

fn index_kind(word: &[u8]) -> Result<Option<IndexKind>, TableError> {
    let kinds = [
        (&b"hash"[..], Some(IndexKind::Hash)),
        (b"btree", Some(IndexKind::Btree)),
        (b"none", None),
        (b"true", Some(IndexKind::Hash)),
        (b"false", None),
    ];
    kinds
        .into_iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name))
        .map(|(_, kind)| kind)
        .ok_or(TableError::IndexKind)
}

fn split_at_colon(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = word.iter().position(|&byte| byte == b':')?;
    Some((&word[..at], &word[at + 1..]))
}
