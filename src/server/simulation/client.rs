//! One simulated client: sends requests of the table, alone, in pipelines and in MULTI, and writes
//! down what it saw.

use std::collections::VecDeque;
use std::net::SocketAddr;

use base::random::Random;
use protocol::value::{Value, parse_value};
use runtime::world::{self, LinkId};

use super::history::{Action, Record};
use super::operations::{Draw, Operation};
use super::{saves, waiting};

/// How clients behave in one world.
#[derive(Clone, Debug)]
pub(super) struct Habits {
    /// The commands in use.
    pub(super) operations: Vec<&'static Operation>,
    /// The names of the keys.
    pub(super) keys: Vec<String>,
    /// Keys of each kind in use.
    pub(super) spread: usize,
    /// Longest pause between requests, in nanoseconds.
    pub(super) pause_nanos: u64,
    /// There are tables.
    pub(super) has_tables: bool,
    /// One request in so many is a MULTI; 0 for none.
    pub(super) multi_one_in: u64,
    /// One request in so many goes in a pipeline; 0 for none.
    pub(super) pipeline_one_in: u64,
    /// One batch of requests in so many ends with a connection cut off; 0 for none.
    pub(super) cut_one_in: u64,
}

/// What a client waits for.
#[derive(Debug)]
enum Awaited {
    /// The reply to the request of this number.
    Reply(usize),
    /// This line.
    Line(&'static [u8]),
}

/// Requests that are sent together.
type Batch = Vec<(Vec<String>, Option<Action>, &'static [u8])>;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    number: usize,
    address: SocketAddr,
    habits: Habits,
    random: Random,
    serial: u64,
    link: Option<LinkId>,
    session: usize,
    input: Vec<u8>,
    awaited: VecDeque<Awaited>,
    plan: VecDeque<Batch>,
    /// Requests it has yet to make.
    left: usize,
    /// When it does something by itself.
    next_at: u64,
    /// When it cuts its connection.
    cut_at: Option<u64>,
    /// It has seen something that no server says.
    pub(super) complaint: Option<String>,
}

impl Client {
    pub(super) fn new(
        number: usize,
        address: SocketAddr,
        habits: Habits,
        seed: u64,
        left: usize,
    ) -> Self {
        let mut random = Random::new(seed);
        let next_at = random.below(habits.pause_nanos.max(1));
        Self {
            number,
            address,
            random,
            serial: base::cast::u64_from(number) * 1000,
            habits,
            link: None,
            session: 0,
            input: Vec::new(),
            awaited: VecDeque::new(),
            plan: VecDeque::new(),
            left,
            next_at,
            cut_at: None,
            complaint: None,
        }
    }

    /// Has this client send these commands one after the other, beside what it would do by itself.
    pub(super) fn plan_commands(&mut self, commands: impl IntoIterator<Item = Vec<String>>) {
        let batch =
            |words: Vec<String>| vec![(words.clone(), Some(Action::Command(words)), &[][..])];
        self.plan.extend(commands.into_iter().map(batch));
    }

    /// Has this client send a MULTI of these commands behind what it has to send already.
    pub(super) fn plan_multi(&mut self, commands: Vec<Vec<String>>) {
        self.plan.push_back(multi(commands));
    }

    /// Whether it has nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        self.left == 0 && self.plan.is_empty() && self.awaited.is_empty()
    }

    /// Whether it waits for a reply.
    pub(super) fn is_waiting(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// When it does something next, if it knows.
    pub(super) fn next_at(&self) -> Option<u64> {
        let readable = self.link.and_then(world::client_readable_at);
        let own = (!self.is_waiting() && !self.is_done()).then_some(self.next_at);
        [readable, own, self.cut_at].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn act(&mut self, records: &mut Vec<Record>, sessions: &mut usize) {
        let now = world::now();
        if self.cut_at.is_some_and(|at| at <= now) {
            self.cut_at = None;
            self.cut();
            return;
        }
        let readable = self.link.and_then(world::client_readable_at);
        if readable.is_some_and(|at| at <= now) {
            self.receive(records);
        }
        if !self.is_waiting() && !self.is_done() && self.next_at <= now {
            self.send(records, sessions);
        }
    }

    /// Breaks the connection; what is awaited stays unanswered.
    pub(super) fn cut(&mut self) {
        if let Some(link) = self.link.take() {
            world::cut(link);
        }
        self.forget_connection();
    }

    fn forget_connection(&mut self) {
        self.link = None;
        self.cut_at = None;
        self.input.clear();
        self.awaited.clear();
        self.plan.clear();
        self.pause();
    }

    fn pause(&mut self) {
        let pause = self.random.below(self.habits.pause_nanos.max(1));
        self.next_at = world::now() + 1 + pause;
    }

    fn receive(&mut self, records: &mut [Record]) {
        let Some(link) = self.link else { return };
        let is_open = world::client_receive(link, &mut self.input);
        loop {
            match parse_value(&self.input) {
                Ok(Some((value, len))) => {
                    self.input.drain(..len);
                    self.take(value, records);
                }
                Ok(None) => break,
                Err(error) => {
                    self.complain(format!("bytes that are no reply: {error:?}"));
                    break;
                }
            }
        }
        if !is_open {
            world::client_close(link);
            if self.cut_at.is_none() {
                self.complain("the server has closed the connection".to_owned());
            }
            self.forget_connection();
        }
        if !self.is_waiting() && self.next_at <= world::now() {
            self.pause();
        }
    }

    fn take(&mut self, value: Value, records: &mut [Record]) {
        match self.awaited.pop_front() {
            Some(Awaited::Reply(index)) => {
                records[index].answered_at = Some(world::now());
                records[index].reply = Some(value);
            }
            Some(Awaited::Line(line)) if value == Value::Simple(line.to_vec()) => {}
            // Then EXEC says that it does nothing.
            Some(Awaited::Line(b"QUEUED")) if is_refusal(&value) => {}
            Some(Awaited::Line(line)) => {
                let line = String::from_utf8_lossy(line);
                self.complain(format!("{value:?} instead of {line}"));
            }
            None => self.complain(format!("{value:?} that nobody asked for")),
        }
    }

    fn complain(&mut self, text: String) {
        self.complaint.get_or_insert(text);
    }

    fn send(&mut self, records: &mut Vec<Record>, sessions: &mut usize) {
        if self.plan.is_empty() {
            self.draw_plan();
        }
        if self.link.is_none() {
            self.link = world::connect(self.address);
            self.session = *sessions;
            *sessions += 1;
        }
        let Some(link) = self.link else {
            // Nobody listens yet.
            self.pause();
            return;
        };
        let Some(batch) = self.plan.pop_front() else {
            return;
        };
        let mut bytes = Vec::new();
        let mut waits_nanos = 0;
        for (words, action, line) in batch {
            encode(&words, &mut bytes);
            if let Some(Action::Command(words)) = &action {
                waits_nanos += waiting::timeout_nanos(words).unwrap_or(0);
            }
            let awaited = match action {
                Some(action) => {
                    records.push(Record {
                        client: self.number,
                        session: self.session,
                        action,
                        asked_at: world::now(),
                        answered_at: None,
                        reply: None,
                    });
                    Awaited::Reply(records.len() - 1)
                }
                None => Awaited::Line(line),
            };
            self.awaited.push_back(awaited);
        }
        world::client_send(link, &bytes);
        let habits = &self.habits;
        if habits.cut_one_in > 0 && self.random.below(habits.cut_one_in) == 0 {
            // At times while the connection waits for keys.
            let mut longest = habits.pause_nanos.max(1) * 4;
            if self.random.below(2) == 0 {
                longest = longest.max(waits_nanos);
            }
            let delay = self.random.below(longest);
            self.cut_at = Some(world::now() + delay);
        }
    }

    fn chance(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.random.below(one_in) == 0
    }

    fn draw_plan(&mut self) {
        if self.chance(self.habits.multi_one_in) {
            self.left = self.left.saturating_sub(1);
            self.draw_multi();
            return;
        }
        let mut count = 1;
        if self.chance(self.habits.pipeline_one_in) {
            count += self.random.index(4);
        }
        let count = count.min(self.left);
        self.left -= count;
        let batch = (0..count)
            .map(|_| {
                let words = self.draw_command();
                (words.clone(), Some(Action::Command(words)), &[][..])
            })
            .collect();
        self.plan.push_back(batch);
    }

    /// MULTI with one to four commands, at times behind a WATCH, in one batch or step by step.
    fn draw_multi(&mut self) {
        let mut commands: Vec<Vec<String>> = (0..1 + self.random.index(4))
            .map(|_| self.draw_command())
            .collect();
        // How many it lets go would have to be known; a save would not wait for the end of the transaction.
        commands.retain(|words| words[0] != waiting::UNBLOCK && !saves::is_one(&words[0]));
        if commands.is_empty() {
            return;
        }
        if self.random.below(2) == 0 && self.left > 0 {
            self.left -= 1;
            let watched = self.draw_watched(&commands);
            let mut words = vec!["WATCH".to_owned()];
            words.extend(watched.iter().cloned());
            self.plan
                .push_back(vec![(words, Some(Action::Watch(watched)), &[])]);
        }
        let requests = multi(commands);
        if self.random.below(2) == 0 {
            self.plan.push_back(requests);
        } else {
            self.plan.extend(requests.into_iter().map(|one| vec![one]));
        }
    }

    fn draw_watched(&mut self, commands: &[Vec<String>]) -> Vec<String> {
        let words = commands.iter().flat_map(|words| words.iter().skip(1));
        let mut keys: Vec<String> = words
            .filter(|word| self.habits.keys.contains(word))
            .cloned()
            .collect();
        if keys.is_empty() {
            keys.push(self.habits.keys[0].clone());
        }
        let count = 1 + self.random.index(keys.len().min(2));
        keys.truncate(count);
        keys
    }

    fn draw_command(&mut self) -> Vec<String> {
        let habits = &self.habits;
        let total: u64 = habits.operations.iter().map(|it| it.weight).sum();
        let mut drawn = self.random.below(total);
        let chosen = habits.operations.iter().find(|operation| {
            if drawn < operation.weight {
                return true;
            }
            drawn -= operation.weight;
            false
        });
        let operation = chosen.expect("the draw is below the sum");
        let mut words = vec![operation.name.to_owned()];
        words.append(&mut (operation.draw)(&mut Draw {
            random: &mut self.random,
            keys: &habits.keys,
            spread: habits.spread,
            serial: &mut self.serial,
            has_tables: habits.has_tables,
        }));
        words
    }
}

/// Returns the requests of a transaction.
fn multi(commands: Vec<Vec<String>>) -> Batch {
    let word = |word: &str| vec![word.to_owned()];
    let mut requests: Batch = vec![(word("MULTI"), None, b"OK")];
    for words in &commands {
        requests.push((words.clone(), None, b"QUEUED"));
    }
    requests.push((word("EXEC"), Some(Action::Exec(commands)), &[]));
    requests
}

/// Returns whether a reply says that the disk takes no writes, or that a MULTI comes to nothing for that.
pub(super) fn is_refusal(reply: &Value) -> bool {
    matches!(reply, Value::Error(text) if text.starts_with(b"MISCONF") || text.starts_with(b"EXECABORT"))
}

fn encode(words: &[String], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}
