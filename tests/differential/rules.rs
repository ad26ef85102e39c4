//! When two replies count as equal.
//!
//! The rule is equal bytes. Other rules hold where a reply depends on the moment (times to live),
//! has no order (KEYS), or names things that differ between two processes (ids, addresses). An
//! error is equal only to the same error, whatever the rule.

use protocol::value::{Value, skip_value};

use super::differences;
use crate::support::client::value_of;

/// How replies to a command are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Byte by byte.
    Exact,
    /// Integers that differ by no more than this; negative ones must be equal.
    Near(i64),
    /// Arrays or sets of the same elements.
    Unordered,
    /// Maps, or arrays of pairs, with the same pairs.
    UnorderedPairs,
    /// The same type of reply; null only equals null.
    Shape,
    /// Equal but for `version` and `id`.
    Hello,
    /// Lines of `name=value`: the expected names in order, among which there may be newer ones, and
    /// equal values of [`CLIENT_FIELDS`].
    Clients,
    /// Integers; or an integer, and null from us, for a key that was dead.
    Size,
    /// Words of `name:value`: the same names in order, and equal values but for [`DEBUG_OWN`].
    DebugObject,
    /// Equal but for times of streams and the nodes of their trees; see [`without_times`].
    Stream,
    /// Anything that is no error.
    Any,
    /// An error of the reference, and anything else from us.
    Newer,
}

/// Fields of CLIENT LIST that two servers must agree on.
const CLIENT_FIELDS: &[&str] = &[
    "name", "flags", "db", "sub", "psub", "ssub", "multi", "cmd", "user", "redir", "resp",
];

/// Fields of DEBUG OBJECT that tell about one process, or about a file of Redis, where long strings
/// are compressed.
const DEBUG_OWN: &[&str] = &[
    "at",
    "lru",
    "lru_seconds_idle",
    "refcount",
    "serializedlength",
];

/// Returns the rule for a command.
pub(super) fn rule_for(words: &[Vec<u8>]) -> Rule {
    if let Some(rule) = differences::rule_for(words) {
        return rule;
    }
    let upper = |index: usize| {
        let word = words.get(index).map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(word).to_ascii_uppercase()
    };
    match (upper(0).as_str(), upper(1).as_str()) {
        ("TTL" | "EXPIRETIME", _) => Rule::Near(2),
        ("PTTL" | "PEXPIRETIME", _) => Rule::Near(2000),
        ("LASTSAVE", _) => Rule::Near(3600),
        ("KEYS" | "HKEYS" | "HVALS", _) => Rule::Unordered,
        ("SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" | "SPOP", _) => Rule::Unordered,
        ("SRANDMEMBER" | "SSCAN" | "HSCAN" | "HRANDFIELD", _) => Rule::Shape,
        ("CONFIG", "GET") | ("HGETALL", _) => Rule::UnorderedPairs,
        ("RANDOMKEY" | "SCAN" | "TIME", _) | ("CLIENT", "ID") => Rule::Shape,
        ("ZRANK" | "ZREVRANK", _) if words.len() > 3 => Rule::Newer,
        ("FUNCTION", "LIST") => Rule::Unordered,
        ("ZRANDMEMBER" | "ZSCAN", _) => Rule::Shape,
        ("SORT" | "SORT_RO", key)
            if key.starts_with("SORT:SET:") && !words_have(words, "STORE") =>
        {
            sort_rule(words)
        }
        ("HELLO", _) => Rule::Hello,
        ("CLIENT", "LIST" | "INFO") => Rule::Clients,
        ("DEBUG", "OBJECT") => Rule::DebugObject,
        ("XINFO" | "XPENDING", _) => Rule::Stream,
        _ => Rule::Exact,
    }
}

/// Members of sets that are not sorted have no order.
fn sort_rule(words: &[Vec<u8>]) -> Rule {
    if words_have(words, "NOSORT") {
        Rule::Unordered
    } else {
        Rule::Exact
    }
}

fn words_have(words: &[Vec<u8>], name: &str) -> bool {
    words
        .iter()
        .any(|word| word.eq_ignore_ascii_case(name.as_bytes()))
}

/// Returns whether `actual` is as good as `expected`, both one whole reply.
pub(super) fn agree(rule: Rule, expected: &[u8], actual: &[u8]) -> bool {
    if expected == actual {
        return true;
    }
    if rule == Rule::Newer {
        return expected.first() == Some(&b'-');
    }
    if expected.first() == Some(&b'-') || actual.first() == Some(&b'-') {
        return false;
    }
    let (left, right) = (value_of(expected), value_of(actual));
    match rule {
        Rule::Exact | Rule::Newer => false,
        Rule::Near(distance) => match (left, right) {
            (Value::Integer(left), Value::Integer(right)) => {
                left.min(right) >= 0 && left.abs_diff(right) <= distance.unsigned_abs()
            }
            _ => false,
        },
        Rule::Unordered => same_parts(expected, actual, 1),
        Rule::UnorderedPairs => same_parts(expected, actual, 2),
        Rule::Shape => {
            std::mem::discriminant(&left) == std::mem::discriminant(&right)
                && (!left_is_null(&left) || expected == actual)
        }
        Rule::Hello => masked_hello(left) == masked_hello(right),
        Rule::Clients => {
            let names = field_names(&left);
            expected[0] == actual[0] && client_lines(&left, &names) == client_lines(&right, &names)
        }
        Rule::DebugObject => {
            expected[0] == actual[0] && debug_fields(&left) == debug_fields(&right)
        }
        Rule::Size => matches!(
            (left, right),
            (Value::Integer(_), Value::Integer(_) | Value::Null)
        ),
        Rule::Stream => without_times(expected) == without_times(actual),
        Rule::Any => true,
    }
}

/// Returns the lines of a reply about a stream without what depends on the clock: the first of two
/// integers in a row, and the integer after `idle` or `seen-time`; and without that after
/// `radix-tree-nodes`, which is about each server's own tree.
fn without_times(reply: &[u8]) -> Vec<&[u8]> {
    const NAMES: [&[u8]; 3] = [b"idle\r", b"seen-time\r", b"radix-tree-nodes\r"];
    let lines: Vec<&[u8]> = reply.split(|byte| *byte == b'\n').collect();
    let is_integer = |line: Option<&&[u8]>| line.is_some_and(|line| line.starts_with(b":"));
    let masked = |(at, line): (usize, &&'_ [u8])| {
        let is_named = at > 0 && NAMES.contains(&lines[at - 1]);
        is_integer(Some(line)) && (is_named || is_integer(lines.get(at + 1)))
    };
    let each = lines.iter().enumerate();
    each.map(|(at, line)| {
        if masked((at, line)) {
            b"".as_slice()
        } else {
            line
        }
    })
    .collect()
}

/// Parts the reply of EXEC into the replies of its commands. `None` if it is no array.
pub(super) fn elements(reply: &[u8]) -> Option<Vec<&[u8]>> {
    let end = reply.iter().position(|byte| *byte == b'\n')? + 1;
    if !matches!(reply[0], b'*' | b'~' | b'%' | b'>') || reply.starts_with(b"*-1") {
        return None;
    }
    let mut rest = &reply[end..];
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let length = skip_value(rest)?;
        let (element, tail) = rest.split_at(length);
        elements.push(element);
        rest = tail;
    }
    Some(elements)
}

fn left_is_null(value: &Value) -> bool {
    matches!(value, Value::Null | Value::NullArray)
}

/// Returns whether both replies have the same first line and the same groups of elements.
fn same_parts(expected: &[u8], actual: &[u8], group: usize) -> bool {
    let head = |reply: &[u8]| {
        reply
            .split(|byte| *byte == b'\n')
            .next()
            .map(<[u8]>::to_vec)
    };
    let (Some(left), Some(right)) = (elements(expected), elements(actual)) else {
        return false;
    };
    let sorted = |elements: Vec<&[u8]>| {
        let mut groups: Vec<Vec<u8>> = elements.chunks(group).map(<[&[u8]]>::concat).collect();
        groups.sort_unstable();
        groups
    };
    head(expected) == head(actual) && sorted(left) == sorted(right)
}

/// Replaces the values that name the process.
fn masked_hello(value: Value) -> Value {
    let is_own = |key: &Value| {
        *key == Value::Bulk(b"version".to_vec()) || *key == Value::Bulk(b"id".to_vec())
    };
    match value {
        Value::Map(pairs) => Value::Map(
            pairs
                .into_iter()
                .map(|(key, value)| {
                    let value = if is_own(&key) { Value::Null } else { value };
                    (key, value)
                })
                .collect(),
        ),
        Value::Array(mut values) => {
            for index in 1..values.len() {
                if index % 2 == 1 && is_own(&values[index - 1]) {
                    values[index] = Value::Null;
                }
            }
            Value::Array(values)
        }
        other => other,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Bulk(text) | Value::Simple(text) | Value::Verbatim(_, text) => {
            String::from_utf8_lossy(text).into_owned()
        }
        other => panic!("text is wanted: {other:?}"),
    }
}

/// Returns the names in the first line.
fn field_names(value: &Value) -> Vec<String> {
    let text = text_of(value);
    let line = text.lines().next().unwrap_or_default();
    line.split(' ')
        .map(|field| field.split('=').next().unwrap_or(field).to_owned())
        .collect()
}

/// Returns the lines, each as its names that are in `names` and its comparable values, sorted.
fn client_lines(value: &Value, names: &[String]) -> Vec<Vec<String>> {
    let is_known = |field: &String| {
        let name = field.split('=').next();
        names.iter().any(|known| Some(known.as_str()) == name)
    };
    let mut lines: Vec<Vec<String>> = text_of(value)
        .lines()
        .map(|line| {
            let mut fields = masked_fields(line, '=', |name| CLIENT_FIELDS.contains(&name));
            fields.retain(is_known);
            // A deliberate difference: commands queued when the EXEC must fail anyway.
            if fields.iter().any(|field| field.starts_with("flags=xd")) {
                fields.retain(|field| !field.starts_with("multi="));
            }
            fields
        })
        .collect();
    lines.sort_unstable();
    lines
}

fn debug_fields(value: &Value) -> Vec<String> {
    masked_fields(&text_of(value), ':', |name| !DEBUG_OWN.contains(&name))
}

fn masked_fields(line: &str, mark: char, is_compared: impl Fn(&str) -> bool) -> Vec<String> {
    line.split(' ')
        .map(|field| match field.split_once(mark) {
            Some((name, value)) if is_compared(name) => format!("{name}{mark}{value}"),
            Some((name, _)) => name.to_owned(),
            None => field.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Rule, agree};

    #[track_caller]
    fn check(rule: Rule, expected: &str, actual: &str, is_equal: bool) {
        assert_eq!(
            agree(rule, expected.as_bytes(), actual.as_bytes()),
            is_equal,
            "{rule:?}: {expected:?} {actual:?}"
        );
    }

    #[test]
    fn every_rule_tells_good_from_bad() {
        check(Rule::Exact, "$-1\r\n", "_\r\n", false);
        check(Rule::Near(2), ":5\r\n", ":7\r\n", true);
        check(Rule::Near(2), ":5\r\n", ":8\r\n", false);
        check(Rule::Near(2), ":1\r\n", ":-1\r\n", false);
        check(Rule::Near(2), ":-2\r\n", ":-1\r\n", false);
        check(Rule::Near(2), ":1\r\n", "+1\r\n", false);
        check(
            Rule::Unordered,
            "*2\r\n:1\r\n:2\r\n",
            "*2\r\n:2\r\n:1\r\n",
            true,
        );
        check(
            Rule::Unordered,
            "*2\r\n:1\r\n:2\r\n",
            "~2\r\n:2\r\n:1\r\n",
            false,
        );
        check(
            Rule::Unordered,
            "*2\r\n:1\r\n:2\r\n",
            "*2\r\n:2\r\n:2\r\n",
            false,
        );
        check(
            Rule::UnorderedPairs,
            "%2\r\n+a\r\n+1\r\n+b\r\n+2\r\n",
            "%2\r\n+b\r\n+2\r\n+a\r\n+1\r\n",
            true,
        );
        check(
            Rule::UnorderedPairs,
            "%2\r\n+a\r\n+1\r\n+b\r\n+2\r\n",
            "%2\r\n+b\r\n+1\r\n+a\r\n+2\r\n",
            false,
        );
        check(Rule::Shape, ":1\r\n", ":2\r\n", true);
        check(Rule::Shape, "$1\r\na\r\n", "$-1\r\n", false);
        check(Rule::Shape, "$-1\r\n", "_\r\n", false);
        check(Rule::Size, ":1\r\n", ":2\r\n", true);
        check(Rule::Size, ":1\r\n", "$-1\r\n", true);
        check(Rule::Size, "$-1\r\n", ":1\r\n", false);
        check(Rule::Newer, "-ERR\r\n", ":1\r\n", true);
        check(Rule::Newer, ":1\r\n", ":2\r\n", false);
        let about = |idle, count| format!("*3\r\n$4\r\nidle\r\n:{idle}\r\n:{count}\r\n");
        check(Rule::Stream, &about(1, 7), &about(2, 7), true);
        check(Rule::Stream, &about(1, 7), &about(1, 8), false);
        check(Rule::Any, "+a\r\n", "-ERR\r\n", false);
        check(
            Rule::Hello,
            "%2\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n+a\r\n",
            "%2\r\n$2\r\nid\r\n:2\r\n$4\r\nmode\r\n+a\r\n",
            true,
        );
        check(Rule::Clients, "+id=1 db=0\r\n", "+id=2 db=0\r\n", true);
        check(
            Rule::Clients,
            "+id=1 db=0\r\n",
            "+id=2 new=1 db=0\r\n",
            true,
        );
        check(Rule::Clients, "+id=1 db=0\r\n", "+id=2\r\n", false);
        check(Rule::Clients, "+id=1 db=0\r\n", "+id=2 db=1\r\n", false);
        check(Rule::Clients, "+id=1 db=0\r\n", "+db=0 id=1\r\n", false);
        check(
            Rule::DebugObject,
            "+at:1 encoding:int\r\n",
            "+at:2 encoding:int\r\n",
            true,
        );
        check(
            Rule::DebugObject,
            "+at:1 encoding:int\r\n",
            "+at:2 encoding:raw\r\n",
            false,
        );
    }
}
