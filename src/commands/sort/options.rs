//! What a SORT request asks for, and the keys that its patterns name.
//!
//! Texts end at their first zero byte where Redis looks for `*` and `->` in a pattern; what lies behind
//! is part of the key all the same.
//!
//! Not here: what is done with it (`arrange.rs`, `mod.rs`).

use protocol::args::{Args, equals_ignore_case};

use crate::spec::CommandError;
use crate::words;

/// A SORT request, read. Patterns and keys are the indexes of their words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How elements are put into order.
    pub order: Order,
    /// The pattern of the weights; none also where BY only says that the order is kept.
    pub by: Option<usize>,
    /// What is shown of each element; the element itself if there is none.
    pub get: Vec<usize>,
    /// The key that the result goes to.
    pub store: Option<usize>,
}

/// The part of a request that does not depend on keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub sorting: Sorting,
    /// The weights are those that a pattern leads to, not the elements.
    pub is_by_pattern: bool,
    /// The largest first.
    pub is_descending: bool,
    /// The result is stored, which wants an order of all bytes.
    pub is_stored: bool,
    /// Elements left out at the begin; one below 0 counts as 0.
    pub offset: i64,
    /// Elements at most; all of them if below 0.
    pub count: i64,
}

/// By what elements are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sorting {
    /// Not at all: the order of the value.
    Kept,
    /// By numbers.
    Numbers,
    /// By bytes.
    Texts,
}

impl Options {
    /// Reads a request; `may_store` is false for `SORT_RO`. Options may come again: the last one counts,
    /// but every GET, and one BY without `*` is enough to keep the order.
    ///
    /// # Errors
    ///
    /// [`CommandError::Syntax`] and [`CommandError::NotInteger`].
    pub fn parse(args: Args<'_>, may_store: bool) -> Result<Self, CommandError> {
        let mut options = Self {
            order: Order {
                sorting: Sorting::Numbers,
                is_by_pattern: false,
                is_descending: false,
                is_stored: false,
                offset: 0,
                count: -1,
            },
            by: None,
            get: Vec::new(),
            store: None,
        };
        let mut is_kept = false;
        let mut index = 2;
        while let Some(word) = args.get(index) {
            let order = &mut options.order;
            let left = args.len() - index - 1;
            if equals_ignore_case(word, "ASC") {
                order.is_descending = false;
            } else if equals_ignore_case(word, "DESC") {
                order.is_descending = true;
            } else if equals_ignore_case(word, "ALPHA") {
                order.sorting = Sorting::Texts;
            } else if equals_ignore_case(word, "LIMIT") && left >= 2 {
                order.offset = words::integer_or_refuse(args.word(index + 1))?;
                order.count = words::integer_or_refuse(args.word(index + 2))?;
                index += 2;
            } else if equals_ignore_case(word, "STORE") && may_store && left >= 1 {
                index += 1;
                options.store = Some(index);
            } else if equals_ignore_case(word, "BY") && left >= 1 {
                index += 1;
                options.by = Some(index);
                is_kept |= star_of(args.word(index)).is_none();
            } else if equals_ignore_case(word, "GET") && left >= 1 {
                index += 1;
                options.get.push(index);
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        if is_kept {
            options.order.sorting = Sorting::Kept;
            options.by = None;
        }
        options.order.is_by_pattern = options.by.is_some();
        options.order.is_stored = options.store.is_some();
        Ok(options)
    }

    /// Returns whether the request reads keys that no word names.
    #[must_use]
    pub fn reads_patterns(&self, args: Args<'_>) -> bool {
        let is_key = |&index: &usize| matches!(Pattern::of(args.word(index)), Pattern::Key(_));
        self.by.is_some() || self.get.iter().any(is_key)
    }
}

/// What BY or GET says of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// No `*`: nothing.
    Nothing,
    /// A key, or a field of the hash at a key.
    Key(KeyPattern<'a>),
}

/// A key with a place for the element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPattern<'a> {
    before: &'a [u8],
    after: &'a [u8],
    /// The field, if the key holds a hash.
    pub field: Option<&'a [u8]>,
}

impl<'a> Pattern<'a> {
    /// Reads a pattern. O(its length).
    #[must_use]
    pub fn of(word: &'a [u8]) -> Self {
        if until_zero(word) == b"#" {
            return Self::Element;
        }
        let Some(star) = star_of(word) else {
            return Self::Nothing;
        };
        let (before, rest) = (&word[..star], &word[star + 1..]);
        // An arrow without a field behind it belongs to the key.
        let text = until_zero(rest);
        let arrow = text
            .windows(2)
            .position(|pair| pair == b"->")
            .filter(|arrow| arrow + 2 < text.len());
        Self::Key(KeyPattern {
            before,
            after: &rest[..arrow.unwrap_or(rest.len())],
            field: arrow.map(|arrow| &rest[arrow + 2..]),
        })
    }
}

impl KeyPattern<'_> {
    /// Returns the key for an element.
    #[must_use]
    pub fn key(&self, element: &[u8]) -> Box<[u8]> {
        [self.before, element, self.after].concat().into()
    }
}

/// Returns where the element goes.
fn star_of(word: &[u8]) -> Option<usize> {
    until_zero(word).iter().position(|&byte| byte == b'*')
}

/// Returns what C takes for the text.
pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}

/// Returns the word of a SORT request that names the key of the result. Words that make no sense are
/// passed over, as when Redis looks for keys.
pub(super) fn store_word(args: Args<'_>) -> Option<usize> {
    let (mut found, mut index) = (None, 2);
    while let Some(word) = args.get(index) {
        if equals_ignore_case(word, "LIMIT") {
            index += 2;
        } else if equals_ignore_case(word, "BY") || equals_ignore_case(word, "GET") {
            index += 1;
        } else if equals_ignore_case(word, "STORE") && index + 1 < args.len() {
            found = Some(index + 1);
        }
        index += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &[u8], expected: &[u8], field: Option<&[u8]>) {
        let Pattern::Key(pattern) = Pattern::of(word) else {
            unreachable!("a pattern of keys");
        };
        assert_eq!(*pattern.key(b"<e>"), *expected);
        assert_eq!(pattern.field, field);
    }

    #[test]
    fn patterns_lead_to_keys_and_fields() {
        check(b"w*", b"w<e>", None);
        check(b"*", b"<e>", None);
        check(b"a*b*", b"a<e>b*", None);
        check(b"w*->f", b"w<e>", Some(b"f"));
        check(b"w*x->f->g", b"w<e>x", Some(b"f->g"));
        check(b"w*->", b"w<e>->", None);
        check(b"w->x*", b"w->x<e>", None);
        check(b"w*x\0->f", b"w<e>x\0->f", None);
        check(b"w*->\0", b"w<e>->\0", None);
        check(b"w*->f\0g", b"w<e>", Some(b"f\0g"));
        assert_eq!(Pattern::of(b"#"), Pattern::Element);
        for nothing in [b"".as_slice(), b"w", b"##", b"w->f", b"w\0*"] {
            assert_eq!(Pattern::of(nothing), Pattern::Nothing);
        }
    }
}
