//! What `RedisTABLE` 1.1.0 on redis-server 7.0.15 has answered, replayed with 1, 2 and 4 shards.
//!
//! `tests/conformance/tables.jsonl` has a case per line: `case`, `steps` with `cmd` and `reply`, where
//! wanted `proto`, and `load_args` of the module. A step marked `unordered` or `lex_order` has rows in an
//! order that means nothing here: rows are compared as a multiset, those of an unordered one as sets of
//! pairs too. Ours come in the order of their ids.
//!
//! Where we answer something else on purpose, `tests/conformance/tables_differences.txt` says what and
//! why; that is compared as strictly. A line of that file that is not needed is an error.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use protocol::value::Value;
use serde_json::Value as Json;

use crate::support::client::Client;
use crate::support::server::Server;

/// Replies of ours by case and step.
type Differences = BTreeMap<(String, usize), Json>;

#[test]
fn the_transcripts_of_the_module_are_answered_alike_by_one_shard() {
    replay(1, &[]);
}

#[test]
fn the_transcripts_of_the_module_are_answered_alike_by_two_shards() {
    replay(2, &[]);
}

#[test]
fn the_transcripts_of_the_module_are_answered_alike_by_four_shards() {
    replay(4, &[]);
}

#[test]
fn the_transcripts_of_the_module_are_answered_alike_where_all_tables_are_spread() {
    replay(4, &["--table-spread-rows", "1"]);
}

fn replay(shards: u32, flags: &[&str]) {
    let cases = cases();
    let differences = differences();
    let mut unneeded: Vec<&(String, usize)> = differences.keys().collect();
    let server = Server::trestle(shards, flags);
    let mut wrong = String::new();
    for case in &cases {
        let name = case["case"].as_str().expect("a name");
        let own = case.get("load_args").map(|words| {
            let mut all: Vec<&str> = flags.to_vec();
            all.extend(["--loadmodule", "redistable.so"]);
            all.extend(words.as_array().expect("words").iter().map(text));
            Server::trestle(shards, &all)
        });
        let mut client = own.as_ref().unwrap_or(&server).client();
        client.ok("FLUSHALL");
        if case.get("proto").and_then(Json::as_u64) == Some(3) {
            client.line("HELLO 3");
        }
        for (index, step) in steps(case).iter().enumerate() {
            let key = (name.to_owned(), index);
            unneeded.retain(|it| **it != key);
            let expected = differences.get(&key).unwrap_or(&step["reply"]);
            let words = words(step);
            let given = json_of(&client.request(&words));
            if !is_equal(step, expected, &given) {
                writeln!(
                    wrong,
                    "{name} {index} {given}\n    {}\n    instead of {expected}",
                    shown(&words)
                )
                .expect("a string takes it");
            }
        }
        reset(&mut client);
    }
    assert!(wrong.is_empty(), "{} answers:\n{wrong}", server.name);
    assert!(
        unneeded.is_empty(),
        "differences without a step: {unneeded:?}"
    );
}

/// Takes back what a case may have left in the server beside data.
fn reset(client: &mut Client) {
    client.line("CONFIG SET maxmemory 0");
}

fn cases() -> Vec<Json> {
    let lines = read("tests/conformance/tables.jsonl");
    let cases: Vec<Json> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(cases.len() > 200, "the file is whole");
    cases
}

/// Reads `case step reply` from the lines that do not begin with `#`.
fn differences() -> Differences {
    let mut all = Differences::new();
    let mut has_reason = false;
    for line in read("tests/conformance/tables_differences.txt").lines() {
        if line.is_empty() {
            has_reason = false;
        } else if line.starts_with('#') {
            has_reason = true;
        } else {
            assert!(has_reason, "without a reason: {line}");
            let mut parts = line.splitn(3, ' ');
            let name = parts.next().expect("a case").to_owned();
            let step = parts.next().expect("a step").parse().expect("a number");
            let reply = serde_json::from_str(parts.next().expect("a reply")).expect("JSON");
            assert!(all.insert((name, step), reply).is_none(), "twice: {line}");
        }
    }
    all
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn steps(case: &Json) -> &Vec<Json> {
    case["steps"].as_array().expect("steps")
}

fn text(word: &Json) -> &str {
    word.as_str().expect("a text")
}

fn words(step: &Json) -> Vec<Vec<u8>> {
    let words = step["cmd"].as_array().expect("words");
    let bytes = words.iter().map(|word| match word.get("hex") {
        Some(hex) => bytes_of(text(hex)),
        None => text(word).as_bytes().to_vec(),
    });
    bytes.collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex
        .chars()
        .map(|digit| digit.to_digit(16).expect("a digit"))
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("a byte"))
        .collect()
}

fn shown(words: &[Vec<u8>]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| word.escape_ascii().to_string())
        .collect();
    let mut line = words.join(" ");
    line.truncate(200);
    line
}

/// Writes a reply as the transcripts do.
fn json_of(value: &Value) -> Json {
    let line = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match value {
        Value::Simple(text) => serde_json::json!({ "status": line(text) }),
        Value::Error(text) => serde_json::json!({ "error": line(text) }),
        Value::Integer(value) => serde_json::json!({ "int": value }),
        Value::Bulk(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => serde_json::json!({ "bulk": text }),
            Err(_) => {
                let mut hex = String::new();
                for byte in bytes {
                    write!(hex, "{byte:02x}").expect("a string takes it");
                }
                serde_json::json!({ "bulk_hex": hex })
            }
        },
        Value::Null => serde_json::json!({ "nil": true }),
        Value::NullArray => serde_json::json!({ "nil_array": true }),
        Value::Array(values) => {
            let values: Vec<Json> = values.iter().map(json_of).collect();
            serde_json::json!({ "array": values })
        }
        other => serde_json::json!({ "other": format!("{other:?}") }),
    }
}

fn is_equal(step: &Json, expected: &Json, given: &Json) -> bool {
    let has = |flag: &str| step.get(flag).is_some();
    if has("unordered") {
        return sorted(expected, true) == sorted(given, true);
    }
    if has("lex_order") {
        return sorted(expected, false) == sorted(given, false);
    }
    expected == given
}

/// Returns the rows of a reply in an order of their own, and with `pairs` the cells of each too.
fn sorted(reply: &Json, pairs: bool) -> Option<Vec<Vec<String>>> {
    let rows = reply.get("array")?.as_array()?;
    let mut rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let Some(cells) = row.get("array").and_then(Json::as_array) else {
                return vec![row.to_string()];
            };
            let mut cells: Vec<String> = cells
                .chunks(2)
                .map(|pair| pair.iter().map(Json::to_string).collect())
                .collect();
            if pairs {
                cells.sort();
            }
            cells
        })
        .collect();
    rows.sort();
    Some(rows)
}
