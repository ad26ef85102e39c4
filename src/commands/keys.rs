//! Finding the keys of a request by its declaration.
//!
//! Routing, `COMMAND GETKEYS` and ACL checks all use this one reading of key specifications. For a
//! container the specifications of the subcommand that word 1 names count.
//!
//! Invariant: every reported index is inside the request, whatever the words say.
//!
//! Not here: keys that no specification can express (`BeginSearch::Unknown`, `FindKeys::Unknown`);
//! nothing is reported of them, unless `FindKeys::Search` finds them.

use base::cast::usize_from_u32;
use protocol::args::Args;

use crate::spec::{BeginSearch, Declaration, FindKeys, KeySpec};
use crate::words;

/// Calls `each` with the word index of every key, specification by specification, and the
/// specification that found it. A word may be reported twice if two specifications name it.
pub fn positions(
    declaration: &Declaration,
    args: Args<'_>,
    mut each: impl FnMut(usize, &'static KeySpec),
) {
    for spec in specs(declaration, args) {
        if let Some(found) = resolve(spec, args) {
            let mut index = found.first;
            while index <= found.last {
                each(index, spec);
                index += found.step;
            }
        }
    }
}

/// Calls `each` with the word index of every key that one specification finds. Returns whether it fits the
/// request.
pub fn positions_of(spec: &KeySpec, args: Args<'_>, mut each: impl FnMut(usize)) -> bool {
    let Some(found) = resolve(spec, args) else {
        return false;
    };
    (found.first..=found.last)
        .step_by(found.step)
        .for_each(&mut each);
    true
}

/// Returns the word index of the first key, or `None` if the request has none. Constant for commands
/// whose first key has a fixed position.
#[inline]
#[must_use]
pub fn first_key(declaration: &Declaration, args: Args<'_>) -> Option<usize> {
    // One key at a fixed position: nearly all requests end here.
    if let [
        KeySpec {
            begin: BeginSearch::Index(index),
            find: FindKeys::Range { .. },
            ..
        },
        ..,
    ] = declaration.keys
    {
        let index = usize::from(*index);
        return (index < args.len()).then_some(index);
    }
    specs(declaration, args)
        .iter()
        .find_map(|spec| resolve(spec, args).map(|found| found.first))
}

/// Returns the specifications that count for this request.
fn specs(declaration: &Declaration, args: Args<'_>) -> &'static [KeySpec] {
    if declaration.subcommands.is_empty() {
        return declaration.keys;
    }
    args.get(1)
        .and_then(|word| declaration.subcommand(word))
        .map_or(declaration.keys, |subcommand| subcommand.keys)
}

/// Word indexes `first, first + step, ..` up to `last` inclusive, all inside the request.
struct Found {
    first: usize,
    last: usize,
    step: usize,
}

fn resolve(spec: &KeySpec, args: Args<'_>) -> Option<Found> {
    if let FindKeys::Search(search) = spec.find {
        let word = search(args).filter(|&word| word < args.len())?;
        return Some(Found {
            first: word,
            last: word,
            step: 1,
        });
    }
    let begin = begin(spec.begin, args)?;
    let found = match spec.find {
        FindKeys::Range { last, step, limit } => Found {
            first: begin,
            last: last_of_range(begin, last, limit, args.len())?,
            step: usize::from(step.max(1)),
        },
        FindKeys::KeyNum { at, first, step } => {
            let count = args.get(begin + usize::from(at)).and_then(words::integer)?;
            let count = usize::try_from(count).ok().filter(|&count| count > 0)?;
            let first = begin + usize::from(first);
            let step = usize::from(step.max(1));
            let last = (count - 1).checked_mul(step)?.checked_add(first)?;
            Found { first, last, step }
        }
        FindKeys::Unknown | FindKeys::Search(_) => return None,
    };
    // A range that leaves the request names no key at all: the request is malformed, and its
    // handler says how.
    (found.first <= found.last && found.last < args.len()).then_some(found)
}

fn begin(search: BeginSearch, args: Args<'_>) -> Option<usize> {
    match search {
        BeginSearch::Index(index) => Some(usize::from(index)),
        BeginSearch::Keyword(keyword, from) => {
            let is_keyword = |&index: &usize| {
                args.get(index)
                    .is_some_and(|word| word.eq_ignore_ascii_case(keyword.as_bytes()))
            };
            let distance = usize_from_u32(u32::from(from.unsigned_abs()));
            let place = if from >= 0 {
                (distance..args.len()).find(is_keyword)?
            } else {
                (1..=args.len().checked_sub(distance)?)
                    .rev()
                    .find(is_keyword)?
            };
            Some(place + 1)
        }
        BeginSearch::Unknown => None,
    }
}

/// Returns the last word index of a range, see [`FindKeys::Range`].
fn last_of_range(begin: usize, last: i8, limit: u8, words: usize) -> Option<usize> {
    let distance = usize::from(last.unsigned_abs());
    if last >= 0 {
        return begin.checked_add(distance);
    }
    let rest = words.checked_sub(begin)?;
    match limit {
        0 | 1 => words.checked_sub(distance),
        // A part of the words from the begin on: half of them for 2.
        parts => (begin + rest / usize::from(parts)).checked_sub(distance),
    }
}

#[cfg(test)]
mod tests {
    use protocol::args::PackedArgs;

    use super::*;
    use crate::spec::{Arity, Flags};

    const fn declaration(keys: &'static [KeySpec]) -> Declaration {
        Declaration::new("x", Arity::AtLeast(1), Flags::NONE).keys(keys)
    }

    const fn spec(begin: BeginSearch, find: FindKeys) -> KeySpec {
        KeySpec {
            notes: "",
            flags: &[],
            begin,
            find,
        }
    }

    #[track_caller]
    fn check(keys: &'static [KeySpec], request: &str, expected: &[usize]) {
        let mut packed = PackedArgs::default();
        request
            .split(' ')
            .for_each(|word| packed.push_word(word.as_bytes()));
        let declaration = declaration(keys);
        let mut found = Vec::new();
        positions(&declaration, packed.args(), |index, _| found.push(index));
        assert_eq!(found, expected, "{request}");
        assert_eq!(
            first_key(&declaration, packed.args()),
            expected.first().copied(),
            "{request}"
        );
    }

    #[test]
    fn range_reports_every_step() {
        const ONE: &[KeySpec] = &[KeySpec::at(1, &[])];
        const ALL: &[KeySpec] = &[KeySpec::range(1, -1, 1, &[])];
        const PAIRS: &[KeySpec] = &[KeySpec::range(1, -1, 2, &[])];
        const ALL_BUT_ONE: &[KeySpec] = &[KeySpec::range(1, -2, 1, &[])];
        const TWO: &[KeySpec] = &[KeySpec::at(1, &[]), KeySpec::at(2, &[])];
        check(ONE, "get k", &[1]);
        check(ALL, "del a b c", &[1, 2, 3]);
        check(PAIRS, "mset a 1 b 2", &[1, 3]);
        check(ALL_BUT_ONE, "blpop a b 0", &[1, 2]);
        check(TWO, "copy a b", &[1, 2]);
    }

    #[test]
    fn range_with_a_limit_takes_a_part_of_the_words() {
        const XREAD: &[KeySpec] = &[spec(
            BeginSearch::Keyword("STREAMS", 1),
            FindKeys::Range {
                last: -1,
                step: 1,
                limit: 2,
            },
        )];
        check(XREAD, "xread count 1 streams a b 0 0", &[4, 5]);
        check(XREAD, "xread count 1", &[]);
    }

    #[test]
    fn keyword_is_found_from_the_end_too() {
        const MIGRATE: &[KeySpec] = &[spec(
            BeginSearch::Keyword("KEYS", -2),
            FindKeys::Range {
                last: -1,
                step: 1,
                limit: 0,
            },
        )];
        check(MIGRATE, "migrate h 1 x 0 9 keys a b", &[7, 8]);
        check(MIGRATE, "migrate", &[]);
    }

    #[test]
    fn counted_keys_must_all_be_there() {
        const COUNTED: &[KeySpec] = &[KeySpec::counted(2, &[])];
        check(COUNTED, "eval s 2 a b c", &[3, 4]);
        for request in [
            "eval s 0 a",
            "eval s 3 a b",
            "eval s x a",
            "eval s -1 a",
            "eval s",
        ] {
            check(COUNTED, request, &[]);
        }
        check(COUNTED, "eval s 9223372036854775807 a", &[]);
    }
}
