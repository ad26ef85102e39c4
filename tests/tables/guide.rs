//! Replays the examples of `docs/tables.md`: what the page says is what the server answers.
//!
//! Examples stand in blocks that begin with ```` ```redis ````: a line `> words` is a request, the lines
//! behind it are its reply as redis-cli writes it. All blocks of the page are one session. In a reply `...`
//! stands for any text, alone on a line for any lines. With `UPDATE_DOCS=1` the replies are written
//! into the page, but for those that have `...`.

use std::fmt::Write;
use std::path::PathBuf;

use protocol::value::Value;

use crate::support::server::Server;

/// Shards and flags of the servers that are asked. All give the same answers.
const SERVERS: &[(u32, &[&str])] = &[(1, &[]), (4, &[]), (4, &["--table-spread-rows", "1"])];

/// What stands for any text.
const ANY: &str = "...";

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/tables.md")
}

#[test]
fn the_page_about_tables_is_true() {
    let text = std::fs::read_to_string(page()).unwrap();
    for (shards, flags) in SERVERS {
        let server = Server::trestle(*shards, flags);
        let replayed = replay(&server, &text);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(page(), replayed).unwrap();
            return;
        }
        for (number, (said, found)) in text.lines().zip(replayed.lines()).enumerate() {
            let place = format!("docs/tables.md:{}, {}", number + 1, server.name);
            assert_eq!(said, found, "{place}: see tests/tables/guide.rs");
        }
        assert_eq!(text, replayed, "{}", server.name);
    }
}

/// Returns the page with the replies of this server in place of its own.
fn replay(server: &Server, text: &str) -> String {
    let mut client = server.client();
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    let mut is_example = false;
    let mut requests = 0;
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if line.starts_with("```") {
            is_example = line == "```redis";
        }
        let Some(request) = line.strip_prefix("> ").filter(|_| is_example) else {
            continue;
        };
        let mut said = String::new();
        while let Some(next) = lines.next_if(|next| !next.starts_with("> ") && *next != "```") {
            said.push_str(next);
            said.push('\n');
        }
        let mut found = String::new();
        show(&client.request(&words(request)), "", &mut found);
        out.push_str(if is_like(&said, &found) {
            &said
        } else {
            &found
        });
        requests += 1;
    }
    assert!(requests > 50, "the page has {requests} requests only");
    out
}

/// Returns whether `found` is `said`, which may hold [`ANY`].
fn is_like(said: &str, found: &str) -> bool {
    let mut parts = said.split(ANY);
    let first = parts.next().unwrap();
    let Some(mut rest) = found.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.trim_start_matches('\n'))
}

/// Splits a line at blanks; a word in double quotes may hold some.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a quote has an end"),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_string());
        rest = behind.trim_start();
    }
    words
}

/// Writes a reply as redis-cli does, with `indent` before each line but the first.
fn show(value: &Value, indent: &str, out: &mut String) {
    match value {
        Value::Simple(text) => writeln!(out, "{}", String::from_utf8_lossy(text)).unwrap(),
        Value::Error(text) => writeln!(out, "(error) {}", String::from_utf8_lossy(text)).unwrap(),
        Value::Integer(number) => writeln!(out, "(integer) {number}").unwrap(),
        Value::Bulk(bytes) => writeln!(out, "\"{}\"", bytes.escape_ascii()).unwrap(),
        Value::Null | Value::NullArray => out.push_str("(nil)\n"),
        Value::Array(elements) if elements.is_empty() => out.push_str("(empty array)\n"),
        Value::Array(elements) => {
            let width = elements.len().to_string().len();
            let deeper = format!("{indent}{}", " ".repeat(width + 2));
            for (index, element) in elements.iter().enumerate() {
                let number = index + 1;
                let before = if index == 0 { "" } else { indent };
                write!(out, "{before}{number:>width$}) ").unwrap();
                show(element, &deeper, out);
            }
        }
        other => panic!("{other:?} is no reply in RESP2"),
    }
}

#[test]
fn replies_are_written_as_redis_cli_writes_them() {
    let value = Value::Array(vec![
        Value::Array(vec![Value::Bulk(b"a".to_vec()), Value::Integer(1)]),
        Value::Array(vec![]),
        Value::Null,
    ]);
    let mut out = String::new();
    show(&value, "", &mut out);
    assert_eq!(
        out,
        "1) 1) \"a\"\n   2) (integer) 1\n2) (empty array)\n3) (nil)\n"
    );
    assert_eq!(words("a  \"b c\" \"\" d"), ["a", "b c", "", "d"]);
}

#[test]
fn three_dots_stand_for_any_text() {
    for (said, found, expected) in [
        ("a\n", "a\n", true),
        ("a\n", "b\n", false),
        ("...\n", "a\nb\n", true),
        ("a...\n", "abc\n", true),
        ("a...c\n", "abc\n", true),
        ("a...d\n", "abc\n", false),
        ("", "a\n", false),
    ] {
        assert_eq!(is_like(said, found), expected, "{said:?} {found:?}");
    }
}
