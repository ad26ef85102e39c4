//! Several clients, step by step: what one does and what the others are told of it.
//!
//! A script is lines, each of one client, named by a capital letter, who connects at its first line:
//!
//! ```text
//! A: SUBSCRIBE news       sends, and reads the replies: one, or one for each channel
//! A:2 UNSUBSCRIBE         sends, and reads so many replies
//! A> BLPOP list 0         sends only
//! A| BLPOP list 0         sends, and waits until the server shows that A waits for others
//! A< 2                    reads so many replies
//! A? 2                    reads so many pushes
//! A?                      reads as many pushes as Redis has sent by now
//! A~ PING                 sends again and again, until it is refused
//! A.                      closes the connection
//! ```
//! The word `{id:B}` stands for the number of client B. Replies and pushes are told apart by what they
//! are, and each kind keeps its order; between the two kinds no order is compared, as versions of Redis
//! differ in it. In RESP2 the messages of a subscriber count as pushes. What a client is told beyond
//! what the script reads shows at the end, when all connections are asked once more.
//!
//! Here are the runner and small scripts; those of a feature stand beside, and call [`assert_agree`].

mod events;
mod pausing;
mod pubsub;
mod scripts;
mod tracking;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

use super::SHARDS;
use super::rules::{agree, rule_for};
use super::sequence::parse_words;
use crate::support::client::Client;
use crate::support::server::Server;

/// Rounds of each script, since chance decides which core serves a connection.
const ROUNDS: u32 = 2;

/// How long a reply or a push may take: beyond it the script goes on without.
const PUSH_LIMIT: Duration = Duration::from_secs(5);

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Sends, and reads so many replies.
    Ask(usize),
    /// Sends.
    Send,
    /// Sends, and goes on when the client waits for others.
    Block,
    /// Reads so many replies.
    Replies(usize),
    /// Reads so many pushes; without a number those that the reference has sent by now.
    Pushes(Option<usize>),
    /// Sends again and again, until the reply is an error.
    UntilRefused,
    /// Closes the connection.
    Close,
}

/// A line of a script.
#[derive(Debug)]
struct Step {
    line: String,
    client: char,
    action: Action,
    words: Vec<Vec<u8>>,
}

/// A connection, and the pushes it has got that nobody has looked at.
struct Peer {
    client: Client,
    pushes: VecDeque<Vec<u8>>,
    id: String,
}

impl Step {
    fn parse(line: &str) -> Self {
        let mut letters = line.chars();
        let client = letters.next().unwrap();
        let sign = letters.next().unwrap();
        let (number, rest) = match letters.as_str().split_once(' ') {
            Some((number, rest)) => (number, rest),
            None => (letters.as_str(), ""),
        };
        let words = parse_words(rest);
        let count_of = |text: &str| text.trim().parse().unwrap_or(1);
        let action = match sign {
            ':' if number.is_empty() => Action::Ask(reply_count(&words)),
            ':' => Action::Ask(count_of(number)),
            '>' => Action::Send,
            '|' => Action::Block,
            '<' => Action::Replies(count_of(rest)),
            '?' => Action::Pushes(rest.trim().parse().ok()),
            '~' => Action::UntilRefused,
            '.' => Action::Close,
            _ => panic!("no step: {line}"),
        };
        Self {
            line: line.to_owned(),
            client,
            action,
            words,
        }
    }
}

/// Returns how many replies a request gets.
fn reply_count(words: &[Vec<u8>]) -> usize {
    let name = words[0].to_ascii_uppercase();
    if name.ends_with(b"SUBSCRIBE") {
        words.len().max(2) - 1
    } else {
        1
    }
}

/// Returns whether a frame answers no request.
fn is_push(frame: &[u8]) -> bool {
    const KINDS: [&[u8]; 5] = [
        b"message",
        b"pmessage",
        b"smessage",
        b"invalidate",
        b"tracking-redir-broken",
    ];
    let mut lines = frame
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    let is_list = lines
        .next()
        .is_some_and(|head| head.first() == Some(&b'>') || head == b"*3" || head == b"*4");
    let kind = lines.nth(1).unwrap_or_default();
    is_list && KINDS.contains(&kind)
}

impl Peer {
    fn connect(server: &Server, resp: u8) -> Self {
        let mut client = server.client();
        client.set_limit(Some(PUSH_LIMIT)).unwrap();
        if resp == 3 {
            client.request(&["HELLO", "3"]);
        }
        client.send(&["CLIENT", "ID"]).unwrap();
        let id = client.read_reply().unwrap();
        let id = String::from_utf8_lossy(&id[1..]).trim().to_owned();
        Self {
            client,
            pushes: VecDeque::new(),
            id,
        }
    }

    /// Reads the next reply; pushes before it are kept.
    fn reply(&mut self) -> Vec<u8> {
        loop {
            match self.client.read_reply() {
                Ok(frame) if is_push(&frame) => self.pushes.push_back(frame),
                Ok(frame) => return frame,
                Err(error) => return shown_error(&error),
            }
        }
    }

    /// Takes the pushes that have come before the reply to a request which is sent now.
    fn pushes_so_far(&mut self) -> VecDeque<Vec<u8>> {
        drop(self.client.send(&["PING"]));
        self.reply();
        std::mem::take(&mut self.pushes)
    }

    fn push(&mut self) -> Vec<u8> {
        if let Some(push) = self.pushes.pop_front() {
            return without_id(push);
        }
        match self.client.read_reply() {
            Ok(frame) if is_push(&frame) => without_id(frame),
            Ok(frame) => [b"a reply instead of a push: ", &frame[..]].concat(),
            Err(error) => shown_error(&error),
        }
    }
}

/// Cuts off the number of a client that has left.
fn without_id(mut push: Vec<u8>) -> Vec<u8> {
    const BROKEN: &[u8] = b"tracking-redir-broken\r\n";
    let place = push.windows(BROKEN.len()).position(|it| it == BROKEN);
    push.truncate(place.unwrap_or(push.len()));
    push
}

/// Two servers end a connection in the same way if both end it.
fn shown_error(error: &io::Error) -> Vec<u8> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => b"-the connection is closed".to_vec(),
        _ => format!("-nothing comes: {error}").into_bytes(),
    }
}

/// What each step gave, and at the end what nobody had read.
type Given = Vec<Vec<Vec<u8>>>;

/// Runs a script on one server. `reference` is what it gave on the reference, unless this is that one.
fn play(server: &Server, steps: &[Step], resp: u8, reference: Option<&Given>) -> Given {
    let mut control = server.client();
    control.ok("FLUSHALL");
    control.ok("SCRIPT FLUSH");
    control.ok("FUNCTION FLUSH");
    let mut peers = BTreeMap::<char, Peer>::new();
    let mut all = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let words: Vec<Vec<u8>> = step
            .words
            .iter()
            .map(|word| with_id(word, &peers))
            .collect();
        let peer = peers
            .entry(step.client)
            .or_insert_with(|| Peer::connect(server, resp));
        let mut given = Vec::new();
        let send = |peer: &mut Peer| {
            // Whether a closed connection fails to send or to be read from is a matter of time.
            drop(peer.client.send(&words));
        };
        match step.action {
            Action::Ask(count) => {
                send(peer);
                given.extend((0..count).map(|_| peer.reply()));
            }
            Action::Send => send(peer),
            Action::Block => {
                send(peer);
                await_blocked(&mut control, &peer.id);
            }
            Action::Replies(count) => given.extend((0..count).map(|_| peer.reply())),
            Action::Pushes(count) => match count.or(reference.map(|it| it[index].len())) {
                Some(count) => given.extend((0..count).map(|_| peer.push())),
                None => given.extend(peer.pushes_so_far()),
            },
            Action::UntilRefused => {
                crate::support::wait::wait_until(crate::support::client::REPLY_LIMIT, || {
                    send(peer);
                    peer.reply().starts_with(b"-")
                });
            }
            Action::Close => {
                peers.remove(&step.client);
                // The server has noticed when it does not list the client any more.
                let left = peers.len() + 1;
                crate::support::wait::wait_until(crate::support::client::REPLY_LIMIT, || {
                    connected(&mut control) <= left
                });
            }
        }
        all.push(given);
    }
    // All cores have been asked, so what they had sent each other before has arrived.
    for _ in 0..3 {
        control.line("CLIENT LIST");
    }
    let rest = peers.values_mut().flat_map(Peer::pushes_so_far);
    all.push(rest.collect());
    drop(peers);
    // The next script begins when nobody of this one is left.
    crate::support::wait::wait_until(crate::support::client::REPLY_LIMIT, || {
        connected(&mut control) <= 1
    });
    all
}

/// Goes on when a client is shown as one that waits, and all cores know of it.
fn await_blocked(control: &mut Client, id: &str) {
    let is_blocked = crate::support::wait::wait_until(crate::support::client::REPLY_LIMIT, || {
        let protocol::value::Value::Bulk(line) = control.request(&["CLIENT", "LIST", "ID", id])
        else {
            panic!("CLIENT LIST is a text");
        };
        let line = String::from_utf8_lossy(&line);
        let flags = line.split(" flags=").nth(1).unwrap_or_default();
        flags
            .split(' ')
            .next()
            .is_some_and(|flags| flags.contains('b'))
    });
    assert!(is_blocked, "client {id} waits");
    // It joins its queues in three rounds of messages; each question is one.
    for _ in 0..4 {
        control.line("CLIENT LIST");
    }
}

fn connected(control: &mut Client) -> usize {
    let protocol::value::Value::Bulk(lines) = control.line("CLIENT LIST") else {
        panic!("CLIENT LIST is a text");
    };
    lines.iter().filter(|byte| **byte == b'\n').count()
}

/// Replaces `{id:B}` by the number of client B.
fn with_id(word: &[u8], peers: &BTreeMap<char, Peer>) -> Vec<u8> {
    match word {
        [b'{', b'i', b'd', b':', name, b'}'] => {
            let peer = peers.get(&char::from(*name));
            let peer = peer.expect("a client has connected before its number is used");
            peer.id.clone().into_bytes()
        }
        _ => word.to_vec(),
    }
}

/// Returns the first difference between what two servers gave.
fn difference(steps: &[Step], expected: &Given, actual: &Given) -> Option<String> {
    let shown = |frames: &[Vec<u8>]| {
        let frames = frames.iter().map(|frame| frame.escape_ascii().to_string());
        frames.collect::<Vec<_>>().join("\n            ")
    };
    let rest = Step::parse("Z? 0");
    for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
        let step = steps.get(index).unwrap_or(&rest);
        let is_push = matches!(step.action, Action::Pushes(_));
        let is_equal = |(left, right): (&Vec<u8>, &Vec<u8>)| {
            if is_push || step.words.is_empty() || left.starts_with(b"-") {
                left == right
            } else {
                agree(rule_for(&step.words), left, right)
            }
        };
        let is_same = expected.len() == actual.len() && expected.iter().zip(actual).all(is_equal);
        if !is_same {
            let line = steps.get(index).map_or("left over", |step| &step.line);
            let (expected, actual) = (shown(expected), shown(actual));
            return Some(format!(
                "  at {line}\n    Redis   {expected}\n    Trestle {actual}"
            ));
        }
    }
    None
}

/// Plays scripts, each a name and lines, on Redis and on servers of 1, 2 and 4 shards, all started with
/// `flags`, in each of the protocols, and fails with all differences.
#[track_caller]
pub(super) fn assert_agree(scripts: &[(&str, &str)], resps: &[u8], flags: &[&str]) {
    let redis = Server::redis(flags);
    let servers = SHARDS.map(|shards| Server::trestle(shards, flags));
    let mut failures = 0;
    for (name, text) in scripts {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let steps: Vec<Step> = lines.map(Step::parse).collect();
        for &resp in resps {
            let expected = play(&redis, &steps, resp, None);
            let is_stuck = |frame: &Vec<u8>| frame.starts_with(b"-nothing comes");
            assert!(
                !expected.iter().flatten().any(is_stuck),
                "{name}: Redis is silent"
            );
            for server in &servers {
                for _ in 0..ROUNDS {
                    let actual = play(server, &steps, resp, Some(&expected));
                    if let Some(report) = difference(&steps, &expected, &actual) {
                        failures += 1;
                        eprintln!("{name}, RESP{resp}, {}:\n{report}", server.name);
                        break;
                    }
                }
            }
        }
    }
    assert_eq!(failures, 0, "scripts of several clients differ");
}

/// What several clients could do before they could be told anything.
const SCRIPTS: &[(&str, &str)] = &[
    (
        "who watches a key learns of others",
        "A: WATCH a b
         B: SET a 1
         A: MULTI
         A: SET c 1
         A: EXEC
         C: EXISTS c
         C: WATCH c
         A: GET c
         C: MULTI
         C: INCR c
         C: EXEC",
    ),
    (
        "a client ends another",
        "A: PING
         B: SET a 1
         B: CLIENT KILL ID {id:A}
         A: PING
         B: CLIENT KILL ID {id:A}
         C> GET a
         B.
         C<
         C: CLIENT KILL ID {id:C} SKIPME no
         C: PING",
    ),
];

#[test]
fn clients_see_of_each_other_what_redis_shows() {
    assert_agree(SCRIPTS, &[2, 3], &[]);
}
