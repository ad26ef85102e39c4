//! Replays the snippets of `tests/conformance/lua.snippets` and compares with what Redis answered.

use base::hash::Map;
use protocol::args::Args;
use protocol::reply::Resp;

use crate::running::{Resume, Step};
use crate::scripts::{Environment, Limits, Scripting};

const SNIPPETS: &str = include_str!("../../tests/conformance/lua.snippets");

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
    let mut running = scripting.start(sha, nothing, nothing, environment).unwrap();
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
