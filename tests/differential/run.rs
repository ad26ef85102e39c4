//! Running a sequence on several servers at once and comparing every reply.

use std::collections::BTreeSet;
use std::io;

use protocol::value::Value;

use super::coverage::Coverage;
use super::rules::{Rule, agree, elements, rule_for};
use super::sequence::{CLIENT_COUNT, Sequence, Step};
use crate::support::client::{Client, encode, value_of};
use crate::support::server::Server;

/// How a sequence reaches the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// Each command after the reply to the one before.
    OneByOne,
    /// Neighbouring commands of one client in one write.
    Pipelined,
}

/// A server and the connections to it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) server: Server,
    /// As many as a sequence has clients, or none after a mismatch.
    clients: Vec<Client>,
    /// Counts what the servers agree on, if the reference has one.
    pub(super) coverage: Option<Coverage>,
}

/// The first reply that differs.
#[derive(Debug)]
pub(super) struct Mismatch {
    /// Which target differs from target 0.
    pub(super) target: usize,
    /// The command, an index into the sequence.
    pub(super) step: usize,
    pub(super) expected: String,
    pub(super) actual: String,
}

/// The commands that a client has queued in MULTI, known from the replies of the reference.
type Queue = Option<Vec<Vec<Vec<u8>>>>;

impl Target {
    /// Takes a running server; the first sequence connects.
    pub(super) fn new(server: Server) -> Self {
        Self {
            server,
            clients: Vec::new(),
            coverage: None,
        }
    }

    /// Makes the server empty and the connections as new, speaking RESP2 or RESP3.
    fn reset(&mut self, resp: u8) -> io::Result<()> {
        while self.clients.len() < CLIENT_COUNT {
            self.clients.push(Client::try_connect(self.server.port)?);
        }
        for client in &mut self.clients {
            client.try_request(&["RESET"])?;
            if resp == 3 {
                client.try_request(&["HELLO", "3"])?;
            }
        }
        self.clients[0].try_request(&["FLUSHALL"])?;
        self.clients[0].try_request(&["SCRIPT", "FLUSH"])?;
        self.clients[0].try_request(&["FUNCTION", "FLUSH"])?;
        Ok(())
    }

    /// Iterates over the whole keyspace, or over one value, and returns the elements (fields and
    /// members with what belongs to them), sorted and without repetition.
    ///
    /// An error is returned as such; a key of another database or a cursor that never becomes 0
    /// is an error of ours.
    fn scan(&mut self, client: usize, line: &[Vec<u8>]) -> io::Result<String> {
        const STEPS_MAX: usize = 100_000;
        let mut elements = BTreeSet::new();
        let mut cursor = b"0".to_vec();
        let group = if matches!(line[0].as_slice(), b"HSCAN-ALL" | b"ZSCAN-ALL") {
            2
        } else {
            1
        };
        for _ in 0..STEPS_MAX {
            let words = scan_words(line, &cursor);
            match self.clients[client].try_request(&words)? {
                Value::Array(parts) => match parts.as_slice() {
                    [Value::Bulk(next), Value::Array(found)] => {
                        for parts in found.chunks(group) {
                            elements.insert(format!("{parts:?}"));
                        }
                        cursor.clone_from(next);
                    }
                    other => return Ok(format!("no cursor and elements: {other:?}")),
                },
                other => return Ok(format!("{other:?}")),
            }
            if cursor == b"0" {
                return Ok(format!("{elements:?}"));
            }
        }
        Ok(format!("no end after {STEPS_MAX} steps"))
    }
}

/// Runs `sequence` on all `targets`, the first of which is the reference.
///
/// # Errors
///
/// The first [`Mismatch`]; a lost connection or a missing reply is one.
pub(super) fn run(
    targets: &mut [Target],
    sequence: &Sequence,
    resp: u8,
    sending: Sending,
) -> Result<(), Mismatch> {
    let result = run_to_mismatch(targets, sequence, resp, sending);
    if result.is_err() {
        // Replies to the rest of a pipeline may be on their way.
        for target in targets {
            target.clients.clear();
        }
    }
    result
}

fn run_to_mismatch(
    targets: &mut [Target],
    sequence: &Sequence,
    resp: u8,
    sending: Sending,
) -> Result<(), Mismatch> {
    for (index, target) in targets.iter_mut().enumerate() {
        target
            .reset(resp)
            .map_err(|error| lost(index, 0, "RESET and FLUSHALL", &error))?;
    }
    let mut queues: Vec<Queue> = vec![None; CLIENT_COUNT];
    let mut start = 0;
    while start < sequence.steps.len() {
        let step = &sequence.steps[start];
        if step.is_scan() {
            // Inside MULTI the one SCAN would only be queued.
            if queues[step.client].is_none() {
                compare_scans(targets, step, start)?;
            }
            start += 1;
            continue;
        }
        let batch = batch_length(&sequence.steps[start..], sending);
        let steps = &sequence.steps[start..start + batch];
        run_batch(targets, steps, start, &mut queues[step.client])?;
        start += batch;
    }
    Ok(())
}

/// Returns how many of the first `steps` go out in one write.
fn batch_length(steps: &[Step], sending: Sending) -> usize {
    match sending {
        Sending::OneByOne => 1,
        Sending::Pipelined => steps
            .iter()
            .take_while(|step| step.client == steps[0].client && !step.is_scan())
            .count(),
    }
}

fn run_batch(
    targets: &mut [Target],
    steps: &[Step],
    start: usize,
    queue: &mut Queue,
) -> Result<(), Mismatch> {
    let client = steps[0].client;
    let mut bytes = Vec::new();
    for step in steps {
        encode(&step.words, &mut bytes);
    }
    for (index, target) in targets.iter_mut().enumerate() {
        target.clients[client]
            .send_bytes(&bytes)
            .map_err(|error| lost(index, start, "a request", &error))?;
    }
    for (offset, step) in steps.iter().enumerate() {
        let mut replies = Vec::with_capacity(targets.len());
        for (index, target) in targets.iter_mut().enumerate() {
            let reply = target.clients[client].read_reply().map_err(|error| {
                let expected = replies.first().map_or("a reply".into(), shorten);
                lost(index, start + offset, &expected, &error)
            })?;
            replies.push(reply);
        }
        let rules = rules_of(step, queue, &replies[0]);
        for (index, reply) in replies.iter().enumerate().skip(1) {
            if !all_agree(&rules, &replies[0], reply) {
                return Err(Mismatch {
                    target: index,
                    step: start + offset,
                    expected: shorten(&replies[0]),
                    actual: shorten(reply),
                });
            }
        }
        if let Some(coverage) = &mut targets[0].coverage {
            count(coverage, step, &rules, &replies[0]);
        }
        check_random_keys(targets, step, start + offset, &replies, steps.len(), queue)?;
    }
    Ok(())
}

/// Rules for one reply: of the command, or of each command that EXEC ran.
enum Rules {
    One(Rule),
    /// The words of each.
    Each(Vec<Vec<Vec<u8>>>),
}

/// Finds the rules of a reply and follows what the client has queued.
fn rules_of(step: &Step, queue: &mut Queue, expected: &[u8]) -> Rules {
    let is = |name: &str| step.words[0].eq_ignore_ascii_case(name.as_bytes());
    if is("RESET") && expected.starts_with(b"+") {
        *queue = None;
    }
    if let Some(commands) = queue {
        if expected == b"+QUEUED\r\n" {
            commands.push(step.words.clone());
            return Rules::One(Rule::Exact);
        }
        let is_over = (is("EXEC")
            && (elements(expected).is_some() || !expected.starts_with(b"-ERR")))
            || (is("DISCARD") && expected.starts_with(b"+OK"));
        if is_over {
            return queue.take().map_or(Rules::One(Rule::Exact), Rules::Each);
        }
    } else if is("MULTI") && expected == b"+OK\r\n" {
        *queue = Some(Vec::new());
    }
    Rules::One(rule_for(&step.words))
}

fn all_agree(rules: &Rules, expected: &[u8], actual: &[u8]) -> bool {
    if expected == actual {
        return true;
    }
    match rules {
        Rules::One(rule) => agree(*rule, expected, actual),
        Rules::Each(commands) => {
            let (Some(left), Some(right)) = (elements(expected), elements(actual)) else {
                return false;
            };
            left.len() == commands.len()
                && right.len() == commands.len()
                && commands
                    .iter()
                    .zip(left.iter().zip(right))
                    .all(|(words, (left, right))| agree(rule_for(words), left, right))
        }
    }
}

/// Counts a reply; one that says that a command is queued counts when EXEC tells what came of it.
fn count(coverage: &mut Coverage, step: &Step, rules: &Rules, reply: &[u8]) {
    match rules {
        Rules::One(_) if reply == b"+QUEUED\r\n" => {}
        Rules::One(_) => coverage.count(&step.words, reply),
        Rules::Each(commands) => {
            for (words, part) in commands.iter().zip(elements(reply).unwrap_or_default()) {
                coverage.count(words, part);
            }
        }
    }
}

/// After RANDOMKEY: the key that each server named must exist there.
fn check_random_keys(
    targets: &mut [Target],
    step: &Step,
    position: usize,
    replies: &[Vec<u8>],
    batch: usize,
    queue: &Queue,
) -> Result<(), Mismatch> {
    let is_random = step.words[0].eq_ignore_ascii_case(b"RANDOMKEY");
    if !is_random || batch != 1 || queue.is_some() {
        return Ok(());
    }
    for (index, (target, reply)) in targets.iter_mut().zip(replies).enumerate() {
        let Value::Bulk(key) = value_of(reply) else {
            continue;
        };
        let exists = target.clients[step.client]
            .try_request(&[b"EXISTS", key.as_slice()])
            .map_err(|error| lost(index, position, "EXISTS", &error))?;
        if exists != Value::Integer(1) {
            return Err(Mismatch {
                target: index,
                step: position,
                expected: "a key that exists".to_owned(),
                actual: shorten(reply),
            });
        }
    }
    Ok(())
}

fn compare_scans(targets: &mut [Target], step: &Step, position: usize) -> Result<(), Mismatch> {
    let mut expected = String::new();
    for (index, target) in targets.iter_mut().enumerate() {
        let found = target
            .scan(step.client, &step.words)
            .map_err(|error| lost(index, position, &expected, &error))?;
        if index == 0 {
            expected = found;
        } else if found != expected {
            return Err(Mismatch {
                target: index,
                step: position,
                expected,
                actual: found,
            });
        }
    }
    if let Some(coverage) = &mut targets[0].coverage
        && expected.starts_with('{')
    {
        coverage.count(&scan_words(&step.words, b"0"), b"*2\r\n");
    }
    Ok(())
}

/// Returns the words of one step of the iteration that `line` stands for.
fn scan_words(line: &[Vec<u8>], cursor: &[u8]) -> Vec<Vec<u8>> {
    let mut words = line.to_vec();
    let name = line[0].strip_suffix(b"-ALL").unwrap_or(&line[0]).to_vec();
    // All but SCAN itself name a key before the cursor.
    let before = if name == b"SCAN" { 1 } else { 2 };
    words[0] = name;
    words.insert(before.min(words.len()), cursor.to_vec());
    words
}

fn lost(target: usize, step: usize, expected: &str, error: &io::Error) -> Mismatch {
    Mismatch {
        target,
        step,
        expected: expected.to_owned(),
        actual: format!("no reply: {error}"),
    }
}

fn shorten(reply: impl AsRef<[u8]>) -> String {
    let reply = reply.as_ref();
    let text = reply[..reply.len().min(1500)].escape_ascii().to_string();
    if reply.len() > 1500 {
        return format!("{text}... {} bytes", reply.len());
    }
    text
}

/// Drops commands while the sequence still fails on target `target`, and returns what is left
/// with its mismatch.
///
/// Cost: O(n log n) runs for n commands, at worst O(n²).
pub(super) fn shrink(
    targets: &mut [Target],
    sequence: &Sequence,
    first: Mismatch,
    resp: u8,
    sending: Sending,
) -> (Sequence, Mismatch) {
    let mut best = sequence.clone();
    best.steps.truncate(first.step + 1);
    let mut mismatch = first;
    let mut chunk = best.steps.len().div_ceil(2);
    while chunk > 0 {
        let mut start = 0;
        while start < best.steps.len() {
            let mut shorter = best.clone();
            let end = (start + chunk).min(shorter.steps.len());
            shorter.steps.drain(start..end);
            match run(targets, &shorter, resp, sending) {
                Err(found) if found.target == mismatch.target => {
                    shorter.steps.truncate(found.step + 1);
                    best = shorter;
                    mismatch = found;
                }
                _ => start += chunk,
            }
        }
        chunk /= 2;
    }
    (best, mismatch)
}
