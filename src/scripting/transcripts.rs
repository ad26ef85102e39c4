//! Replays the snippets of `tests/conformance/lua.snippets` and compares with what Redis answered.

use base::hash::Map;
use protocol::args::{Args, PackedArgs};
use protocol::reply::Resp;

use crate::running::{Resume, Running, Step};
use crate::scripts::{Environment, Limits, Scripting};

const SNIPPETS: &str = include_str!("../../tests/conformance/lua.snippets");

const LIBRARIES: &str = include_str!("../../tests/conformance/lua_libraries.snippets");

/// Reads the escapes with which replies are recorded.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next().unwrap() {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b'x' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
            }
            other => out.push(other),
        }
    }
    out
}

/// Replies to commands by their words and version, as they were recorded.
type Replies = Map<(String, bool), Vec<u8>>;

fn read_calls(block: &str) -> Replies {
    let mut replies = Replies::default();
    let mut command = "";
    for line in block.lines() {
        let (mark, rest) = line.split_once(' ').unwrap();
        if mark == "call" {
            command = rest;
        } else {
            replies.insert((command.to_owned(), mark == "3"), unescape(rest));
        }
    }
    replies
}

/// Runs `source` for a client that speaks `resp`.
fn run(scripting: &mut Scripting, replies: &Replies, source: &str, resp: Resp) -> Vec<u8> {
    let sha = match scripting.load(source.as_bytes()) {
        Ok(sha) => sha,
        Err(error) => return [b"-", error.0.as_slice(), b"\r\n"].concat(),
    };
    let nothing = Args::new(&[], &[]);
    let environment = Environment { resp };
    let running = scripting.start(sha, nothing, nothing, environment).unwrap();
    finish(running, replies)
}

/// Runs to the end.
fn finish(mut running: Running, replies: &Replies) -> Vec<u8> {
    let mut step = running.resume(Resume::Begin);
    loop {
        step = match step {
            Step::Call { words, resp, .. } => {
                let words: Vec<_> = words.args().iter().map(String::from_utf8_lossy).collect();
                let command = words.join(" ").to_lowercase();
                let reply = replies
                    .get(&(command.clone(), resp == Resp::V3))
                    .unwrap_or_else(|| panic!("no reply was recorded to {command}"));
                running.resume(Resume::Reply(reply))
            }
            Step::CheckAcl { .. } => running.resume(Resume::Reply(b":1\r\n")),
            Step::Tick | Step::Log { .. } => running.resume(Resume::Continue),
            Step::Done(reply) => return reply,
        };
    }
}

#[test]
fn snippets_answer_as_redis_does() {
    let mut blocks = SNIPPETS.split("\n---\n");
    let replies = read_calls(blocks.next().unwrap());
    let mut scripting = Scripting::new(Limits::default());
    let mut wrong = Vec::new();
    let mut count = 0;
    for block in blocks {
        let (rest, third) = block.trim_end_matches('\n').rsplit_once('\n').unwrap();
        let (source, second) = rest.rsplit_once('\n').unwrap();
        for (resp, line) in [(Resp::V2, second), (Resp::V3, third)] {
            let expected = unescape(&line[2..]);
            let got = run(&mut scripting, &replies, source, resp);
            count += 1;
            if got != expected {
                wrong.push(format!(
                    "{source}\n  expected {}\n  got      {}",
                    expected.escape_ascii(),
                    got.escape_ascii()
                ));
            }
        }
    }
    assert!(count > 1000, "the snippets were found");
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn libraries_load_and_run_as_in_redis() {
    let mut scripting = Scripting::new(Limits::default());
    let mut wrong = Vec::new();
    let mut word = PackedArgs::new();
    for block in LIBRARIES.split("\n---\n") {
        let (code, results) = block.split_once("\nload ").unwrap();
        let code = format!("#!lua name=lib\n{code}");
        let mut lines = results.trim_end_matches('\n').lines();
        let expected = unescape(lines.next().unwrap());
        scripting.flush_libraries();
        let mut check = |what: &str, got: Vec<u8>, expected: Vec<u8>| {
            if got != expected {
                let (got, expected) = (got.escape_ascii(), expected.escape_ascii());
                wrong.push(format!(
                    "{code}\n {what}\n  expected {expected}\n  got      {got}"
                ));
            }
        };
        let got = match scripting.load_library(code.as_bytes(), false, &mut |_, _| {}) {
            Ok(name) => format!("${}\r\n{}\r\n", name.len(), name.escape_ascii()).into_bytes(),
            Err(error) => [b"-", error.0.as_slice(), b"\r\n"].concat(),
        };
        check("load", got, expected);
        for line in lines {
            let (name, expected) = line
                .strip_prefix("fcall ")
                .unwrap()
                .split_once(' ')
                .unwrap();
            let mut call = |word: &mut PackedArgs| {
                let mut key = PackedArgs::new();
                key.push_word(b"k");
                word.clear();
                word.push_word(b"a");
                let environment = Environment { resp: Resp::V2 };
                scripting.start_function(name.as_bytes(), key.args(), word.args(), environment)
            };
            let got = match call(&mut word) {
                Ok(running) => finish(running, &Replies::default()),
                Err(error) => [b"-", error.0.as_slice(), b"\r\n"].concat(),
            };
            check(name, got, unescape(expected));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
