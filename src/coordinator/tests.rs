//! A node of several cores in one thread: messages between them are delivered in any order that the
//! lanes allow, drawn from a seed. Concurrent clients work on a few keys that lie on different
//! shards; what they see must fit one order of whole requests.

use std::collections::VecDeque;

use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId};
use base::random::Random;
use commands::spec::ShardCommand;
use protocol::args::PackedArgs;
use protocol::reply::Resp;
use protocol::value::{Value, parse_value};
use shard::effects::EventClass;
use shard::locks::Mode;
use shard::{Options, Shard};

use crate::exec::Exec;
use crate::host::{Host, TxIds};
use crate::message::queue::{Lies, Queue, SentExec};
use crate::message::{Envelope, Message, Origin, OwnedRequest, Watched};
use crate::program::{WatchKeys, program_of};
use crate::route::{Route, SlotMap, route};
use crate::step::Surroundings;
use crate::transaction::{Event, Transactions};

pub(crate) const CORES: u16 = 4;
pub(crate) const CLIENTS: usize = 8;

pub(crate) struct Node {
    pub(crate) map: SlotMap,
    pub(crate) hosts: Vec<Host>,
    pub(crate) coordinators: Vec<Transactions>,
    /// Messages by sender, receiver and lane.
    lanes: Vec<((usize, usize, bool), VecDeque<Message>)>,
    pub(crate) random: Random,
    pub(crate) replies: Vec<Option<Reply>>,
    /// The records of each shard, if they are kept.
    pub(crate) logs: Vec<Vec<Vec<u8>>>,
}

#[derive(Debug)]
pub(crate) enum Reply {
    Bytes(Vec<u8>),
    Watching(Vec<Watched>),
}

/// Returns an empty shard of a node of so many.
pub(crate) fn new_shard(cores: u16, index: u16) -> Shard {
    let options = Options {
        databases: 16,
        hash_seed: (1, 2),
        shards: cores,
        ..Options::default()
    };
    let mut shard = Shard::new(ShardId(index), options);
    shard.set_now(UnixMillis(1_000_000));
    shard
}

fn command(name: &str) -> &'static ShardCommand {
    commands::all()
        .find(|it| it.declaration.name == name)
        .expect("a command of that name")
}

pub(crate) fn request(words: &[&str]) -> OwnedRequest {
    let mut args = PackedArgs::default();
    for word in words {
        args.push_word(word.as_bytes());
    }
    let command = command(words[0]);
    OwnedRequest {
        command,
        db: DbIndex(0),
        resp: Resp::V2,
        touch: true,
        args,
        large: None,
        tag: 0,
    }
}

impl Node {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_cores(CORES, seed)
    }

    pub(crate) fn with_cores(cores: u16, seed: u64) -> Self {
        Self::of(
            seed,
            (0..cores).map(|index| new_shard(cores, index)).collect(),
        )
    }

    /// Creates a node of these shards.
    pub(crate) fn of(seed: u64, shards: Vec<Shard>) -> Self {
        let cores = u16::try_from(shards.len()).unwrap();
        let ids = TxIds::default();
        let hosts = shards
            .into_iter()
            .map(|shard| Host::new(shard.id(), shard, ids.clone()));
        Self {
            map: SlotMap::new(cores),
            hosts: hosts.collect(),
            coordinators: (0..cores).map(|_| Transactions::new(ids.clone())).collect(),
            lanes: Vec::new(),
            random: Random::new(seed),
            replies: (0..CLIENTS).map(|_| None).collect(),
            logs: Vec::new(),
        }
    }

    /// Keeps records from now on; values above `large_bytes` are told by what changes them.
    pub(crate) fn keep_logs(&mut self, large_bytes: usize) {
        self.logs = vec![Vec::new(); self.hosts.len()];
        for host in &mut self.hosts {
            host.shard.record_changes(true, large_bytes);
        }
    }

    /// Writes the record of a turn, which ends here.
    fn write_log(&mut self, core: usize) {
        let shard = &mut self.hosts[core].shard;
        if shard.has_effects() {
            let mut effects = Vec::new();
            shard.take_effects(&mut effects);
            self.logs[core].push(effects);
        }
    }

    pub(crate) fn around(&mut self) -> Surroundings {
        let draw = self.random.next_u64();
        Surroundings {
            map: self.map,
            databases: 16,
            draw,
        }
    }

    pub(crate) fn core_of(client: usize) -> usize {
        client % usize::from(CORES)
    }

    pub(crate) fn origin(client: usize) -> Origin {
        Origin {
            connection: u64::try_from(client).unwrap(),
            place: 0,
        }
    }

    pub(crate) fn begin(&mut self, client: usize, request: &OwnedRequest) {
        let core = Self::core_of(client);
        let route = route(self.map, request.command, request.args.args());
        let as_request = request.as_request();
        match route {
            Route::One(shard) if shard.index() == core => {
                if self.hosts[core].may_run(&as_request) {
                    let mut out = Vec::new();
                    self.hosts[core].run_inside(&as_request, &mut out);
                    self.hosts[core].serve_if_ready();
                    self.replies[client] = Some(Reply::Bytes(out));
                } else {
                    self.hosts[core].park(shard, Self::origin(client), as_request);
                }
            }
            Route::One(shard) => {
                let mut envelope = Box::new(Envelope::default());
                envelope.push(Self::origin(client), as_request);
                self.hosts[core]
                    .outbox
                    .push((shard, Message::Requests(envelope)));
            }
            Route::Several(shards) => {
                let shards = if shards.is_empty() {
                    self.map.shards().collect()
                } else {
                    shards
                };
                let claim = self.hosts[core].claim_of(&as_request);
                let claims = shards
                    .into_iter()
                    .map(|shard| (shard, claim.clone()))
                    .collect();
                let around = self.around();
                let program = program_of(around, as_request);
                let host = &mut self.hosts[core];
                self.coordinators[core].begin(host, Self::origin(client), claims, program);
            }
            Route::Anywhere | Route::Cursor => unreachable!("no such command in this test"),
        }
        self.flush(core);
    }

    fn watch(&mut self, client: usize, keys: &[&str]) {
        let core = Self::core_of(client);
        let host = &mut self.hosts[core];
        let exists = request(&[&["exists"], keys].concat());
        let claim = host.claim_of(&exists.as_request());
        let mut shards: Vec<ShardId> = keys
            .iter()
            .map(|key| self.map.shard_of_key(key.as_bytes()))
            .collect();
        shards.sort_unstable();
        shards.dedup();
        let claims = shards
            .into_iter()
            .map(|shard| (shard, claim.clone()))
            .collect();
        let at = |key: &&str| (self.map.shard_of_key(key.as_bytes()), key.as_bytes().into());
        let keys = keys.iter().map(at).collect();
        let program = Box::new(WatchKeys::new(DbIndex(0), keys));
        self.coordinators[core].begin(host, Self::origin(client), claims, program);
        self.flush(core);
    }

    pub(crate) fn exec(&mut self, client: usize, watched: Vec<Watched>, queued: Vec<OwnedRequest>) {
        let core = Self::core_of(client);
        let mut queue = Queue::default();
        for request in &queued {
            let request = request.as_request();
            let lies = route(self.map, request.command, request.args).into();
            queue.push(request, lies, false);
        }
        let me = ShardId(u16::try_from(core).unwrap());
        let shards = watched.iter().map(|it| self.map.shard_of_key(&it.key));
        let all = shards.fold(queue.lies(), |all, shard| all.and(Lies::On(shard)));
        if let Lies::On(shard) = all {
            let sent = SentExec {
                origin: Self::origin(client),
                queue,
                watched,
                resp: Resp::V2,
                words: PackedArgs::new(),
                tag: 0,
                nanos: 0,
            };
            let message = Message::Exec(Box::new(sent));
            self.hosts[core].outbox.push((shard, message));
            return self.flush(core);
        }
        let exec = Exec::new(self.around(), me, Resp::V2, watched, queue);
        let host = &mut self.hosts[core];
        let claims = exec.claims(&host.shard);
        self.coordinators[core].begin(host, Self::origin(client), claims, Box::new(exec));
        self.flush(core);
    }

    pub(crate) fn flush(&mut self, core: usize) {
        self.write_log(core);
        for (to, message) in std::mem::take(&mut self.hosts[core].outbox) {
            let lane = (core, to.index(), message.is_reply());
            match self.lanes.iter_mut().find(|(at, _)| *at == lane) {
                Some((_, queue)) => queue.push_back(message),
                None => self.lanes.push((lane, VecDeque::from([message]))),
            }
        }
        for event in std::mem::take(&mut self.coordinators[core].events) {
            match event {
                Event::Done { origin, reply, .. } => self.answer(origin, Reply::Bytes(reply)),
                Event::Watching {
                    origin, watched, ..
                } => {
                    self.answer(origin, Reply::Watching(watched));
                }
                Event::Woken { origin, reply, .. }
                | Event::Left { origin, reply }
                | Event::Late { origin, reply, .. } => {
                    self.answer(origin, Reply::Bytes(reply));
                }
                Event::Ask { .. } => unreachable!("no control command in this test"),
            }
        }
    }

    fn answer(&mut self, origin: Origin, reply: Reply) {
        self.replies[usize::try_from(origin.connection).unwrap()] = Some(reply);
    }

    /// Delivers one message. Returns false if there is none.
    pub(crate) fn deliver(&mut self) -> bool {
        let full: Vec<usize> = (0..self.lanes.len())
            .filter(|index| !self.lanes[*index].1.is_empty())
            .collect();
        if full.is_empty() {
            return false;
        }
        let index = full[self.random.index(full.len())];
        let ((from, to, _), queue) = &mut self.lanes[index];
        let (from, to) = (*from, *to);
        let message = queue.pop_front().unwrap();
        let sender = ShardId(u16::try_from(from).unwrap());
        match message {
            Message::Replies(envelope) => {
                for (index, entry) in envelope.entries().iter().enumerate() {
                    if !entry.is_late {
                        let reply = envelope.reply(index).to_vec();
                        self.answer(entry.origin, Reply::Bytes(reply));
                    }
                }
            }
            Message::LateReply(late) => self.answer(late.origin, Reply::Bytes(late.reply)),
            Message::Executed(sent) => {
                let mut out = Vec::new();
                sent.queue
                    .write_reply(&mut protocol::reply::Reply::new(&mut out, sent.resp));
                self.answer(sent.origin, Reply::Bytes(out));
            }
            message if message.is_reply() => {
                self.coordinators[to].receive(&mut self.hosts[to], sender, message);
            }
            message => self.hosts[to].receive(sender, message),
        }
        self.flush(to);
        true
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.hosts.iter().all(|host| host.claims() == 0)
            && self.coordinators.iter().all(Transactions::is_empty)
    }
}

pub(crate) fn bytes(reply: Reply) -> Value {
    match reply {
        Reply::Bytes(bytes) => parse_value(&bytes).unwrap().expect("a whole reply").0,
        Reply::Watching(_) => unreachable!("not a WATCH"),
    }
}

/// What a client is doing, and what it has to check when it is answered.
#[derive(Clone, Debug, PartialEq)]
enum Doing {
    Nothing,
    /// Wrote to the group; nothing to check.
    Writing,
    ReadingGroup,
    CountingTokens,
    Watching,
    Reading(Vec<Watched>),
    Incrementing,
}

pub(crate) const GROUP: [&str; 6] = ["g:0", "g:1", "g:2", "g:3", "g:4", "g:5"];
/// A list of the numbers in the names of the group.
const INDEX: &str = "index";
pub(crate) const PLACES: [&str; 5] = ["p:0", "p:1", "p:2", "p:3", "p:4"];

pub(crate) struct World {
    pub(crate) node: Node,
    doing: Vec<Doing>,
    written: u64,
    seen_max: u64,
    pub(crate) increments: u64,
    checks: u64,
    seed: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self::begin(Node::new(seed), seed)
    }

    /// Begins with a node that is empty.
    pub(crate) fn begin(mut node: Node, seed: u64) -> Self {
        node.begin(0, &request(&["set", PLACES[0], "token"]));
        while node.deliver() {}
        node.begin(0, &request(&["rpush", INDEX, "0", "1", "2", "3", "4", "5"]));
        while node.deliver() {}
        node.replies[0] = None;
        let doing = vec![Doing::Nothing; CLIENTS];
        Self {
            node,
            doing,
            written: 0,
            seen_max: 0,
            increments: 0,
            checks: 0,
            seed,
        }
    }

    fn start(&mut self, client: usize) {
        let node = &mut self.node;
        self.doing[client] = match node.random.below(7) {
            0 | 1 => {
                self.written += 1;
                let value = self.written.to_string();
                let mut words = vec!["mset"];
                for key in GROUP {
                    words.extend([key, value.as_str()]);
                }
                node.begin(client, &request(&words));
                Doing::Writing
            }
            2 => {
                self.written += 1;
                let value = self.written.to_string();
                let sets = GROUP
                    .iter()
                    .map(|key| request(&["set", key, value.as_str()]));
                let sets = sets.collect();
                node.exec(client, Vec::new(), sets);
                Doing::Writing
            }
            3 => {
                let words = match node.random.below(4) {
                    0 => vec!["sort", INDEX, "desc", "get", "g:*"],
                    1 => vec!["sort_ro", INDEX, "by", "g:*", "get", "g:*"],
                    _ => [&["mget"], GROUP.as_slice()].concat(),
                };
                node.begin(client, &request(&words));
                Doing::ReadingGroup
            }
            4 => {
                let from = PLACES[node.random.index(PLACES.len())];
                let to = PLACES[node.random.index(PLACES.len())];
                node.begin(client, &request(&["rename", from, to]));
                Doing::Writing
            }
            5 => {
                node.begin(client, &request(&[&["exists"], PLACES.as_slice()].concat()));
                Doing::CountingTokens
            }
            _ => {
                node.watch(client, &["counter:a", "counter:b"]);
                Doing::Watching
            }
        };
    }

    fn finish(&mut self, client: usize, reply: Reply) {
        let doing = std::mem::replace(&mut self.doing[client], Doing::Nothing);
        let seed = self.seed;
        match doing {
            Doing::Nothing => unreachable!("a reply without a request (SEED={seed})"),
            Doing::Writing => {}
            Doing::ReadingGroup => {
                let Value::Array(values) = bytes(reply) else {
                    unreachable!("MGET")
                };
                assert!(
                    values.windows(2).all(|pair| pair[0] == pair[1]),
                    "torn, SEED={seed}"
                );
                self.checks += 1;
            }
            Doing::CountingTokens => {
                assert_eq!(bytes(reply), Value::Integer(1), "tokens, SEED={seed}");
                self.checks += 1;
            }
            Doing::Watching => {
                let Reply::Watching(watched) = reply else {
                    unreachable!("WATCH")
                };
                let get = request(&["mget", "counter:a", "counter:b"]);
                self.node.begin(client, &get);
                self.doing[client] = Doing::Reading(watched);
            }
            Doing::Reading(watched) => {
                let Value::Array(values) = bytes(reply) else {
                    unreachable!("MGET")
                };
                assert_eq!(values[0], values[1], "counters, SEED={seed}");
                let next = match &values[0] {
                    Value::Bulk(text) => base::number::parse_i64(text).unwrap() + 1,
                    _ => 1,
                };
                let next = next.to_string();
                let sets = ["counter:a", "counter:b"];
                let sets = sets.iter().map(|key| request(&["set", key, next.as_str()]));
                let sets = sets.collect();
                self.node.exec(client, watched, sets);
                self.doing[client] = Doing::Incrementing;
            }
            Doing::Incrementing => {
                if matches!(bytes(reply), Value::Array(_)) {
                    self.increments += 1;
                }
            }
        }
    }

    fn run(&mut self, requests: usize) {
        self.run_watched(requests, |_| {});
    }

    /// Runs so many requests, and calls `look` before each of its steps.
    pub(crate) fn run_watched(&mut self, requests: usize, mut look: impl FnMut(&mut Self)) {
        let mut begun = 0;
        loop {
            look(self);
            for client in 0..CLIENTS {
                if let Some(reply) = self.node.replies[client].take() {
                    self.finish(client, reply);
                }
            }
            let free: Vec<usize> = (0..CLIENTS)
                .filter(|it| self.doing[*it] == Doing::Nothing)
                .collect();
            let is_starting = begun < requests
                && !free.is_empty()
                && (self.node.random.below(3) == 0 || free.len() == CLIENTS);
            if is_starting {
                let client = free[self.node.random.index(free.len())];
                self.start(client);
                begun += 1;
            } else if !self.node.deliver() && self.node.replies.iter().all(Option::is_none) {
                if begun == requests {
                    break;
                }
                assert!(!free.is_empty(), "all wait for ever (SEED={})", self.seed);
            }
        }
        self.seen_max = self.seen_max.max(self.written);
        let waiting = self
            .doing
            .iter()
            .filter(|doing| **doing != Doing::Nothing)
            .count();
        assert_eq!(waiting, 0, "lost replies (SEED={})", self.seed);
        assert!(
            self.node.is_idle(),
            "claims left behind (SEED={})",
            self.seed
        );
    }
}

#[test]
fn concurrent_requests_over_shards_are_atomic_and_all_end() {
    let first = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(1..41, |seed: u64| seed..seed + 1);
    let (mut checks, mut increments, mut retries) = (0, 0, 0);
    for seed in seeds {
        let mut world = World::new(seed);
        world.run(400);
        let get = request(&["get", "counter:a"]);
        world.node.begin(0, &get);
        while world.node.deliver() {}
        let last = bytes(world.node.replies[0].take().expect("a reply"));
        let expected = match world.increments {
            0 => Value::Null,
            count => Value::Bulk(count.to_string().into_bytes()),
        };
        assert_eq!(last, expected, "lost increments, SEED={seed}");
        checks += world.checks;
        increments += world.increments;
        retries += world
            .node
            .coordinators
            .iter()
            .map(|it| it.counters.retries)
            .sum::<u64>();
    }
    // The test must meet what it is about.
    assert!(
        checks > 0 && increments > 0,
        "{checks} checks, {increments} increments"
    );
    println!("{checks} checks, {increments} increments, {retries} retries");
}

/// Runs one request alone, or within MULTI, and returns its reply.
fn reply_to(node: &mut Node, words: &[&str], is_queued: bool) -> Value {
    if is_queued {
        let queued = vec![request(&["get", "missing"]), request(words)];
        node.exec(0, Vec::new(), queued);
    } else {
        node.begin(0, &request(words));
    }
    while node.deliver() {}
    assert!(node.is_idle(), "{words:?} left claims behind");
    match bytes(node.replies[0].take().expect("a reply")) {
        Value::Array(mut replies) if is_queued => replies.remove(1),
        reply => reply,
    }
}

#[test]
fn sorting_over_shards_gives_what_one_shard_gives() {
    let prepare = [
        "rpush list 5 3 1 4 2 3",
        "sadd set 5 3 1 4 2",
        "zadd zset 1 5 2 3 3 1 4 4 5 2",
        "mset w:1 50 w:2 30 w:3 40 w:5 20",
        "set o:1 one",
        "set o:3 three",
        "hset h:1 f x",
        "hset h:2 f y",
    ];
    let requests = [
        "sort list by w:* get # get o:* get h:*->f",
        "sort_ro list by w:* desc limit 1 3 get o:*",
        "sort set by w:* get #",
        "sort zset by nosort desc limit 1 2 get # get o:*",
        "sort list by h:*->f alpha get # get none",
        "sort list by o:*",
        "sort missing by w:* get o:*",
        "sort w:1 by w:*",
        "sort list by w:* get o:* store target",
        "lrange target 0 -1",
        "sort set by nosort get o:* store other",
        "lrange other 0 -1",
        "sort list get # store third",
        "lrange third 0 -1",
        "sort missing get o:* store target",
        "exists target",
        "sort list by w:* get o:* store list",
        "lrange list 0 -1",
        "sort list by w:* foo",
    ];
    for is_queued in [false, true] {
        let mut over_cores = Node::new(1);
        let mut alone = Node::new(1);
        alone.map = SlotMap::new(1);
        for line in prepare.iter().chain(&requests) {
            let words: Vec<&str> = line.split(' ').collect();
            let replies =
                [&mut over_cores, &mut alone].map(|node| reply_to(node, &words, is_queued));
            assert_eq!(replies[0], replies[1], "{line}");
        }
    }
}

/// Lets one request run to its end and returns the events of each shard, as `event key db`.
fn events_of(node: &mut Node, words: &[&str]) -> Vec<(ShardId, Vec<String>)> {
    node.begin(0, &request(words));
    while node.deliver() {}
    node.replies[0].take().expect("an answer");
    let shards = node.hosts.iter_mut().map(|host| {
        let events = host.shard.take_events();
        let shown = events
            .iter()
            .map(|it| format!("{} {} {}", it.name, it.key.escape_ascii(), it.db.0));
        (host.me(), shown.collect::<Vec<_>>())
    });
    shards.filter(|(_, events)| !events.is_empty()).collect()
}

#[test]
fn each_shard_tells_the_events_of_its_own_keys() {
    let mut node = Node::new(1);
    for host in &mut node.hosts {
        let events = EventClass::ALL;
        let options = *host.shard.options();
        host.shard.set_options(Options { events, ..options });
    }
    let map = node.map;
    // In the order of shards, as the events are collected.
    let shard_of = |key: &str| map.shard_of_key(key.as_bytes());
    let elsewhere = GROUP.iter().find(|key| shard_of(key) != shard_of(GROUP[0]));
    let mut keys = [
        GROUP[0],
        elsewhere.expect("the group lies on several shards"),
    ];
    keys.sort_by_key(|key| shard_of(key));
    let [one, other] = keys;
    let [first, second] = keys.map(shard_of);
    let mut check = |words: &[&str], at_first: &[&str], at_second: &[&str]| {
        let expected = [(first, at_first, one), (second, at_second, other)]
            .into_iter()
            .filter(|(_, names, _)| !names.is_empty())
            .map(|(shard, names, key)| {
                let shown = names.iter().map(|name| match name.split_once('@') {
                    Some((name, db)) => format!("{name} {key} {db}"),
                    None => format!("{name} {key} 0"),
                });
                (shard, shown.collect())
            });
        let expected: Vec<(ShardId, Vec<String>)> = expected.collect();
        assert_eq!(events_of(&mut node, words), expected, "{words:?}");
    };
    check(
        &["mset", one, "1", other, "2"],
        &["new", "set"],
        &["new", "set"],
    );
    check(
        &["rename", one, other],
        &["rename_from"],
        &["new", "rename_to"],
    );
    check(&["rename", one, other], &[], &[]);
    check(&["copy", other, one], &["new", "copy_to"], &[]);
    check(
        &["copy", other, one, "db", "3"],
        &["new@3", "copy_to@3"],
        &[],
    );
    check(&["copy", other, one], &[], &[]);
    check(&["renamenx", other, one], &[], &[]);
    check(&["msetnx", one, "1", other, "2"], &[], &[]);
    check(&["del", one, other], &["del"], &["del"]);
    check(&["lcs", one, other], &["keymiss"], &["keymiss"]);
    check(&["copy", other, one], &[], &["keymiss"]);
    check(&["renamenx", other, one], &[], &[]);
}

#[test]
fn a_transaction_does_not_overtake_a_parked_request_of_its_own_client() {
    let ids = TxIds::default();
    let shard = Shard::new(ShardId(1), Options::default());
    let mut host = Host::new(ShardId(1), shard, ids.clone());
    let asked = request(&["set", "key", "new"]);
    let claim = host.claim_of(&asked.as_request());
    let (first, second) = (ids.next(), ids.next());
    let schedule = |tx, connection| Message::Schedule {
        tx,
        connection,
        claim: claim.clone(),
    };
    host.receive(ShardId(0), schedule(first, 1));
    // The request of connection 7 has to wait for the first one, and gets an id above the second.
    let mut envelope = Box::new(Envelope::default());
    envelope.push(Node::origin(7), asked.as_request());
    host.receive(ShardId(0), Message::Requests(envelope));
    host.outbox.clear();
    host.receive(ShardId(0), schedule(second, 7));
    let is_accepted = |host: &mut Host| match host.outbox.pop() {
        Some((_, Message::Scheduled { accepted, .. })) => accepted,
        other => panic!("{other:?} instead of an answer"),
    };
    assert!(!is_accepted(&mut host));
    // For another client the order does not matter.
    host.receive(ShardId(0), schedule(second, 8));
    assert!(is_accepted(&mut host));
}

#[test]
fn a_change_of_a_consumer_group_claims_its_stream_for_itself() {
    let node = Node::new(1);
    let mode = |words: &[&str]| {
        let claim = node.hosts[0].claim_of(&request(words).as_request());
        claim.keys.first().map(|(_, mode)| *mode)
    };
    let create = ["xgroup", "create", "key", "group", "$"];
    assert_eq!(mode(&create), Some(Mode::Exclusive));
    let shows = ["xinfo", "stream", "key"];
    assert_eq!(mode(&shows), Some(Mode::Shared));
}

/// A script that another core has sent here waits for its keys. What its client has sent behind it and got
/// an id for on that core, a smaller one, does not get in front.
#[test]
fn a_guest_that_waits_is_not_overtaken_by_its_own_client() {
    let mut node = Node::new(1);
    let (home, me) = (ShardId(1), ShardId(0));
    let del = request(&["del", "key"]);
    let claim = node.hosts[0].claim_of(&del.as_request());
    let schedule = |tx, connection| Message::Schedule {
        tx,
        connection,
        claim: claim.clone(),
    };
    let [first, behind] = [(); 2].map(|()| node.hosts[0].ids.next());
    node.hosts[0].receive(ShardId(2), schedule(first, 7));
    let program = program_of(node.around(), del.as_request());
    let origin = Node::origin(0);
    let (host, transactions) = (&mut node.hosts[0], &mut node.coordinators[0]);
    transactions.begin_guest(host, origin, (home, 8), claim.clone(), program);
    for (connection, expected) in [(8, false), (9, true)] {
        host.outbox.clear();
        host.receive(home, schedule(behind, connection));
        let answer = host.outbox.iter().find_map(|(_, message)| match message {
            Message::Scheduled { accepted, .. } => Some(*accepted),
            _ => None,
        });
        assert_eq!(answer, Some(expected), "connection {connection}");
    }
    assert_eq!(host.me(), me);
}

#[test]
fn no_key_expires_in_the_midst_of_a_transaction() {
    let mut node = Node::new(1);
    let queued = [
        &["psetex", "k:0", "5", "value"][..],
        &["mget", "k:0", "k:1", "k:2", "k:3"],
        &["exists", "k:0"],
    ];
    let queued = queued.map(request).into();
    node.exec(0, Vec::new(), queued);
    let mut now = 1_000_000;
    while node.deliver() {
        now += 10;
        for host in &mut node.hosts {
            host.set_now(UnixMillis(now));
        }
    }
    let Some(Value::Array(replies)) = node.replies[0].take().map(bytes) else {
        panic!("the EXEC is answered");
    };
    assert!(now > 1_000_030, "it took its time");
    assert_eq!(replies[2], Value::Integer(1));
}

/// COPY with DB, MOVE, and scripts that use SELECT or one of these, write keys of other databases.
#[test]
fn a_key_is_claimed_in_all_databases_at_once() {
    let mut node = Node::new(1);
    let host = &mut node.hosts[0];
    for words in [&["copy", "a", "key", "db", "1"][..], &["move", "key", "1"]] {
        let tx = host.ids.next();
        let schedule = Message::Schedule {
            tx,
            connection: 0,
            claim: host.claim_of(&request(words).as_request()),
        };
        host.receive(ShardId(0), schedule);
        let mut set = request(&["set", "key", "value"]);
        set.db = DbIndex(1);
        assert!(!host.may_run(&set.as_request()), "{words:?}");
        host.receive(ShardId(0), Message::Release { tx });
        assert!(host.may_run(&set.as_request()));
    }
}
