//! Conditions: comparisons in one word or in several, AND, OR, NOT and parentheses.
//!
//! ```text
//! any        := all { OR all }
//! all        := one { AND one }
//! one        := NOT one | "(" any ")" | comparison
//! comparison := column<op>value                     one word, split at its first operator
//!             | column op value | column [NOT] IN ( "(" value... ")" | count value... )
//!             | column [NOT] BETWEEN low AND high | column [NOT] LIKE pattern | column IS [NOT] NULL
//! op         := = | != | <> | < | <= | > | >=
//! ```

use base::limits::{CONDITION_DEPTH_MAX, CONDITIONS_MAX};
use base::number;

use super::{Cursor, Keyword, is_word, keyword};
use crate::error::TableError;
use crate::statement::{Comparison, Condition, Word};

/// Reads a condition to its end: to a word that begins another part of the statement, or to the last word.
///
/// # Errors
/// [`TableError::ConditionFormat`], [`TableError::Connector`], [`TableError::DanglingOperator`]; texts of
/// their own for parentheses that do not match, and for too many or too deep.
pub(super) fn condition<'a>(cursor: &mut Cursor<'_, 'a>) -> Result<Condition<'a>, TableError> {
    let mut reader = Reader { cursor, count: 0 };
    let condition = reader.any(0, false)?;
    if is_word(reader.cursor.peek(), b")") {
        return Err(unbalanced());
    }
    Ok(condition)
}

/// Splits `column<op>value` at its first operator. Nothing if there is none, or no column, or no value.
pub(super) fn split<'a>(word: Word<'a>) -> Option<(Word<'a>, Comparison, Word<'a>)> {
    let at = operator_at(word)?;
    let (comparison, length) = match (word[at], word.get(at + 1)) {
        (b'=', _) => (Comparison::Equal, 1),
        (b'<', Some(b'=')) => (Comparison::LessOrEqual, 2),
        (b'<', Some(b'>')) => (Comparison::NotEqual, 2),
        (b'<', _) => (Comparison::Less, 1),
        (_, Some(b'=')) => (Comparison::GreaterOrEqual, 2),
        (_, _) => (Comparison::Greater, 1),
    };
    let (column, value) = (&word[..at], &word[at + length..]);
    let (column, comparison) = match column.strip_suffix(b"!") {
        Some(column) if comparison == Comparison::Equal => (column, Comparison::NotEqual),
        _ => (column, comparison),
    };
    (!column.is_empty() && !value.is_empty()).then_some((column, comparison, value))
}

/// Returns where the first operator of a word is, `!=` taken as `=`.
pub(super) fn operator_at(word: &[u8]) -> Option<usize> {
    word.iter()
        .position(|byte| matches!(byte, b'=' | b'<' | b'>'))
}

/// Returns the operator that a word is.
fn operator(word: Option<&[u8]>) -> Option<Comparison> {
    Some(match word? {
        b"=" => Comparison::Equal,
        b"!=" | b"<>" => Comparison::NotEqual,
        b"<" => Comparison::Less,
        b"<=" => Comparison::LessOrEqual,
        b">" => Comparison::Greater,
        b">=" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn unbalanced() -> TableError {
    TableError::other("parentheses do not match")
}

struct Reader<'c, 'w, 'a> {
    cursor: &'c mut Cursor<'w, 'a>,
    /// Comparisons so far.
    count: usize,
}

impl<'a> Reader<'_, '_, 'a> {
    fn any(&mut self, depth: usize, is_connected: bool) -> Result<Condition<'a>, TableError> {
        let first = self.all(depth, is_connected)?;
        if !self.cursor.take_if(b"OR") {
            return Ok(first);
        }
        let mut parts = vec![first];
        loop {
            parts.push(self.all(depth, true)?);
            if !self.cursor.take_if(b"OR") {
                return Ok(Condition::Or(parts));
            }
        }
    }

    fn all(&mut self, depth: usize, is_connected: bool) -> Result<Condition<'a>, TableError> {
        let first = self.one(depth, is_connected)?;
        if !self.cursor.take_if(b"AND") {
            return Ok(first);
        }
        let mut parts = vec![first];
        loop {
            parts.push(self.one(depth, true)?);
            if !self.cursor.take_if(b"AND") {
                return Ok(Condition::And(parts));
            }
        }
    }

    /// Reads one condition and checks that it is followed by a connector, a parenthesis, another part of the
    /// statement, or nothing. `is_connected` says that it stands behind AND or OR.
    fn one(&mut self, depth: usize, is_connected: bool) -> Result<Condition<'a>, TableError> {
        if is_connected && self.is_over() {
            return Err(TableError::DanglingOperator);
        }
        let condition = self.unconnected(depth)?;
        match self.cursor.peek() {
            None => {}
            Some(word) if is_connector(word) || keyword(word).is_some() => {}
            Some(b")") => {}
            Some(_) if self.begins_comparison() => return Err(TableError::Connector),
            Some(_) => return Err(TableError::ConditionFormat),
        }
        Ok(condition)
    }

    fn unconnected(&mut self, depth: usize) -> Result<Condition<'a>, TableError> {
        let is_not =
            is_word(self.cursor.peek(), b"NOT") && operator(self.cursor.second()).is_none();
        let is_open = is_word(self.cursor.peek(), b"(");
        if !is_not && !is_open {
            return self.comparison();
        }
        if depth == CONDITION_DEPTH_MAX {
            return Err(TableError::other(
                "condition is nested too deeply, at most 64 levels",
            ));
        }
        self.cursor.at += 1;
        if is_not {
            return Ok(Condition::Not(Box::new(self.unconnected(depth + 1)?)));
        }
        let inner = self.any(depth + 1, false)?;
        if !self.cursor.take_if(b")") {
            return Err(unbalanced());
        }
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Condition<'a>, TableError> {
        self.count(1)?;
        let word = self.cursor.take().ok_or(TableError::ConditionFormat)?;
        if let Some((column, comparison, value)) = split(word) {
            return Ok(Condition::Compare {
                column,
                comparison,
                value,
            });
        }
        if word.is_empty() || operator_at(word).is_some() {
            return Err(TableError::ConditionFormat);
        }
        self.of_words(word).ok_or(TableError::ConditionFormat)?
    }

    /// Reads what follows the name of a column. Nothing if it is no comparison.
    fn of_words(&mut self, column: Word<'a>) -> Option<Result<Condition<'a>, TableError>> {
        if let Some(comparison) = operator(self.cursor.peek()) {
            self.cursor.at += 1;
            let value = self.cursor.take()?;
            return Some(Ok(Condition::Compare {
                column,
                comparison,
                value,
            }));
        }
        if self.cursor.take_if(b"IS") {
            let negated = self.cursor.take_if(b"NOT");
            return self
                .cursor
                .take_if(b"NULL")
                .then_some(Ok(Condition::IsNull { column, negated }));
        }
        let negated = self.cursor.take_if(b"NOT");
        if self.cursor.take_if(b"LIKE") {
            let pattern = self.cursor.take()?;
            return Some(Ok(Condition::Like {
                column,
                pattern,
                negated,
            }));
        }
        if self.cursor.take_if(b"BETWEEN") {
            let low = self.cursor.take()?;
            let has_and = self.cursor.take_if(b"AND");
            let high = has_and.then(|| self.cursor.take())??;
            return Some(Ok(Condition::Between {
                column,
                low,
                high,
                negated,
            }));
        }
        if self.cursor.take_if(b"IN") {
            let values = self.values()?;
            return Some(self.count(values.len() - 1).map(|()| Condition::In {
                column,
                values,
                negated,
            }));
        }
        None
    }

    /// Reads the values of an IN, one or more.
    fn values(&mut self) -> Option<Vec<Word<'a>>> {
        let first = self.cursor.take()?;
        let values = if first == b"(" {
            let rest = &self.cursor.words[self.cursor.at..];
            let length = rest.iter().position(|&word| word == b")")?;
            let values = self.cursor.take_many(length)?;
            self.cursor.at += 1;
            values
        } else {
            let count = usize::try_from(number::parse_u64(first)?).ok()?;
            self.cursor.take_many(count)?
        };
        (!values.is_empty()).then(|| values.to_vec())
    }

    fn count(&mut self, more: usize) -> Result<(), TableError> {
        self.count = self.count.saturating_add(more);
        if self.count > CONDITIONS_MAX {
            return Err(TableError::other("too many conditions, at most 10000"));
        }
        Ok(())
    }

    /// Returns whether no condition can follow: nothing does, or what an UPDATE does.
    fn is_over(&self) -> bool {
        match self.cursor.peek() {
            None => true,
            Some(word) => {
                matches!(keyword(word), Some(Keyword::Set | Keyword::Unset))
                    && operator(self.cursor.second()).is_none()
            }
        }
    }

    fn begins_comparison(&self) -> bool {
        self.cursor.peek().is_some_and(|word| split(word).is_some())
            || operator(self.cursor.second()).is_some()
    }
}

fn is_connector(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"AND") || word.eq_ignore_ascii_case(b"OR")
}
