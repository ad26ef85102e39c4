//! Words to statements.
//!
//! ```text
//! TABLE.SELECT n.t   WHERE a > 1 AND b=2   ORDER BY a DESC   LIMIT 10
//! verb         table words: condition, then clauses in any order, each once
//! ```
//!
//! The functions here take the words *behind* the name of the table. Keywords are known in any case and as
//! whole words only. A value is a word as it is, or the end of one: no quotes, no escapes, no blanks taken
//! away. The grammar, and why no statement that the `RedisTABLE` module accepts changes its meaning, is in
//! `docs/decisions/0026-table-language.md`.
//!
//! Invariants
//! - No words make a function here panic, recurse deeper than [`CONDITION_DEPTH_MAX`], or keep more than
//!   they are long.
//! - A word is copied by nobody: statements borrow.
//!
//! Not here: what a column or a value means in a table (`plan`), definitions against a table (`catalog`).
//!
//! [`CONDITION_DEPTH_MAX`]: base::limits::CONDITION_DEPTH_MAX

mod clause;
mod condition;
pub mod definition;
pub mod rows;
#[cfg(test)]
mod tests;

use crate::error::TableError;
use crate::statement::{Comparison, Statement, Word};

/// What a statement about rows does, as EXPLAIN and PROFILE name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `SELECT`
    Select,
    /// `COUNT`
    Count,
    /// `GET`
    Get,
    /// `INSERT`
    Insert,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
}

impl Verb {
    /// Returns the verb that a word names: `SELECT` or `TABLE.SELECT`, in any case.
    #[must_use]
    pub fn of_word(word: &[u8]) -> Option<Self> {
        const PREFIX: &[u8] = b"TABLE.";
        let short = match word.get(..PREFIX.len()) {
            Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &word[PREFIX.len()..],
            _ => word,
        };
        let verbs = [
            (&b"SELECT"[..], Self::Select),
            (b"COUNT", Self::Count),
            (b"GET", Self::Get),
            (b"INSERT", Self::Insert),
            (b"UPDATE", Self::Update),
            (b"DELETE", Self::Delete),
        ];
        verbs
            .into_iter()
            .find(|(name, _)| short.eq_ignore_ascii_case(name))
            .map(|(_, verb)| verb)
    }
}

/// Reads a statement about rows from the words behind its table's name.
///
/// # Errors
/// Those of the function of the verb.
pub fn statement<'a>(verb: Verb, words: &[Word<'a>]) -> Result<Statement<'a>, TableError> {
    match verb {
        Verb::Select => rows::select(words).map(Statement::Select),
        Verb::Count => rows::count(words).map(Statement::Count),
        Verb::Get => rows::get(words).map(Statement::Get),
        Verb::Insert => rows::insert(words).map(Statement::Insert),
        Verb::Update => rows::update(words).map(Statement::Update),
        Verb::Delete => rows::delete(words).map(Statement::Delete),
    }
}

/// Returns the column and the value of a word `column=value`.
pub(crate) fn equality<'a>(word: Word<'a>) -> Option<(Word<'a>, Word<'a>)> {
    match condition::split(word)? {
        (column, Comparison::Equal, value) => Some((column, value)),
        _ => None,
    }
}

/// Returns the column and the new value of a word `column=value`. The value may be empty.
#[inline]
pub(crate) fn assigned<'a>(word: Word<'a>) -> Option<(Word<'a>, Word<'a>)> {
    let at = condition::operator_at(word)?;
    (at > 0 && word[at] == b'=').then(|| (&word[..at], &word[at + 1..]))
}

/// Checks what is checked before a table is looked for: that an UPDATE has words enough.
///
/// These are the words behind its table's name. SET or UNSET with one word will do; otherwise there must be
/// three, as the module wants it.
///
/// # Errors
/// [`TableError::WrongWords`].
pub fn check_update_words(words: &[Word<'_>]) -> Result<(), TableError> {
    let is_enough = match words {
        [] | [_] => false,
        [first, _] => matches!(keyword(first), Some(Keyword::Set | Keyword::Unset)),
        _ => true,
    };
    if is_enough {
        Ok(())
    } else {
        Err(TableError::WrongWords("TABLE.UPDATE"))
    }
}

/// A word with a meaning of its own, where one is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyword {
    After,
    Columns,
    Ex,
    ExAt,
    Group,
    Limit,
    Offset,
    On,
    Order,
    Persist,
    Px,
    PxAt,
    Returning,
    Row,
    Set,
    Unset,
    Where,
}

/// Returns the keyword that begins a part of a statement. Cost: its length is looked at first.
fn keyword(word: &[u8]) -> Option<Keyword> {
    let candidates: &[(&[u8], Keyword)] = match word.len() {
        2 => &[
            (b"EX", Keyword::Ex),
            (b"PX", Keyword::Px),
            (b"ON", Keyword::On),
        ],
        3 => &[(b"SET", Keyword::Set), (b"ROW", Keyword::Row)],
        4 => &[(b"EXAT", Keyword::ExAt), (b"PXAT", Keyword::PxAt)],
        5 => &[
            (b"WHERE", Keyword::Where),
            (b"ORDER", Keyword::Order),
            (b"LIMIT", Keyword::Limit),
            (b"GROUP", Keyword::Group),
            (b"AFTER", Keyword::After),
            (b"UNSET", Keyword::Unset),
        ],
        6 => &[(b"OFFSET", Keyword::Offset)],
        7 => &[
            (b"COLUMNS", Keyword::Columns),
            (b"PERSIST", Keyword::Persist),
        ],
        9 => &[(b"RETURNING", Keyword::Returning)],
        _ => &[],
    };
    candidates
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name))
        .map(|&(_, keyword)| keyword)
}

fn is_word(word: Option<&[u8]>, name: &[u8]) -> bool {
    word.is_some_and(|word| word.eq_ignore_ascii_case(name))
}

/// The words of a statement, and how far they have been read.
struct Cursor<'w, 'a> {
    words: &'w [Word<'a>],
    at: usize,
}

impl<'w, 'a> Cursor<'w, 'a> {
    const fn new(words: &'w [Word<'a>]) -> Self {
        Self { words, at: 0 }
    }

    fn peek(&self) -> Option<Word<'a>> {
        self.words.get(self.at).copied()
    }

    /// Returns the word behind the next one.
    fn second(&self) -> Option<Word<'a>> {
        self.words.get(self.at + 1).copied()
    }

    fn take(&mut self) -> Option<Word<'a>> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    /// Takes the next word if it is this one, in any case.
    fn take_if(&mut self, name: &[u8]) -> bool {
        let found = is_word(self.peek(), name);
        self.at += usize::from(found);
        found
    }

    const fn is_at_end(&self) -> bool {
        self.at >= self.words.len()
    }

    /// Takes so many words, or none if there are fewer.
    fn take_many(&mut self, count: usize) -> Option<&'w [Word<'a>]> {
        let end = self.at.checked_add(count)?;
        let words = self.words.get(self.at..end)?;
        self.at = end;
        Some(words)
    }
}
