//! Requests that wait for their keys, on a node of several cores in one thread: messages in any order
//! that the lanes allow. No element is lost or taken twice, and nobody waits at a key that has
//! something.

use std::collections::BTreeMap;

use base::ids::DbIndex;
use protocol::value::Value;
use types::Kind;

use crate::host::add_claim;
use crate::message::{Message, OwnedRequest, WaiterNumber};
use crate::route::{Route, route};
use crate::tests::{CLIENTS, CORES, Node, bytes, request};
use crate::transaction::waits::Whose;
use shard::locks::Claim;

const KEYS: [&str; 6] = ["k:0", "k:1", "k:2", "k:3", "k:4", "k:5"];

fn seeds(count: u64) -> Vec<u64> {
    let given = std::env::var("SEED").ok().and_then(|it| it.parse().ok());
    given.map_or_else(|| (1..=count).collect(), |seed| vec![seed])
}

impl Node {
    fn wait(&mut self, client: usize, words: &[&str]) -> WaiterNumber {
        let core = Self::core_of(client);
        let request = request(words);
        let around = self.around();
        let whose = Whose {
            origin: Self::origin(client),
            author: None,
        };
        let (transactions, host) = (&mut self.coordinators[core], &mut self.hosts[core]);
        let waiter = match route(self.map, request.command, request.args.args()) {
            Route::One(shard) => transactions.wait_on_one(host, whose, shard, request),
            Route::Several(shards) => {
                let claims = claims(host, &request, &shards);
                transactions.wait_on_several(host, whose, claims, around, request)
            }
            Route::Anywhere | Route::Cursor => unreachable!("these commands have keys"),
        };
        self.flush(core);
        waiter
    }

    fn end_wait(&mut self, client: usize, waiter: WaiterNumber) {
        let core = Self::core_of(client);
        let reply = b"*-1\r\n".to_vec();
        self.coordinators[core].end_wait(&mut self.hosts[core], waiter, reply);
        self.flush(core);
    }

    fn drain(&mut self) {
        while self.deliver() {}
    }

    fn holds_list(&mut self, key: &str) -> bool {
        let shard = &mut self.hosts[self.map.shard_of_key(key.as_bytes()).index()].shard;
        let key = shard.key(key.as_bytes());
        let mut db = shard.db(DbIndex(0));
        db.peek(key).is_some_and(|entry| entry.kind() == Kind::List)
    }

    fn is_at_rest(&self) -> bool {
        self.is_idle()
            && self.hosts.iter().all(|host| host.waiting_count() == 0)
            && self
                .hosts
                .iter()
                .all(|host| host.shard.waiters().is_empty())
            && self.coordinators.iter().all(|it| it.waits.len() == 0)
    }
}

fn claims(
    host: &crate::host::Host,
    request: &OwnedRequest,
    shards: &[base::ids::ShardId],
) -> Vec<(base::ids::ShardId, Claim)> {
    let mut claim = Claim::default();
    let args = request.args.args();
    add_claim(&host.shard, request.command, args, &mut claim);
    let shards = shards.iter();
    shards.map(|shard| (*shard, claim.clone())).collect()
}

/// A client's request.
#[derive(Clone, Debug)]
enum Doing {
    Nothing,
    /// Pushes or moves; what comes back is not looked at.
    Writing,
    /// Takes elements; these are its keys.
    Taking(Option<WaiterNumber>, Vec<&'static str>),
}

struct World {
    node: Node,
    doing: Vec<Doing>,
    pushed: u64,
    taken: BTreeMap<u64, u32>,
    woken: u64,
}

impl World {
    fn draw_key(&mut self) -> &'static str {
        KEYS[self.node.random.index(KEYS.len())]
    }

    fn element(&mut self) -> String {
        self.pushed += 1;
        self.pushed.to_string()
    }

    fn start(&mut self, client: usize) {
        let (one, other) = (self.draw_key(), self.draw_key());
        self.doing[client] = match self.node.random.below(10) {
            0..=2 => {
                let (first, second) = (self.element(), self.element());
                let mut words = vec!["rpush", one, &first];
                if self.node.random.below(2) == 0 {
                    words.push(&second);
                } else {
                    self.pushed -= 1;
                }
                self.node.begin(client, &request(&words));
                Doing::Writing
            }
            3 => {
                let pushes = [one, other].map(|key| {
                    let element = self.element();
                    request(&["lpush", key, &element])
                });
                self.node.exec(client, Vec::new(), pushes.into());
                Doing::Writing
            }
            4 => {
                self.node
                    .begin(client, &request(&["lmove", one, other, "left", "right"]));
                Doing::Writing
            }
            5 => {
                // Takes an element without waiting.
                self.node
                    .begin(client, &request(&["lmpop", "2", one, other, "left"]));
                Doing::Taking(None, Vec::new())
            }
            6 => {
                let waiter = self
                    .node
                    .wait(client, &["blmove", one, other, "left", "left", "0"]);
                Doing::Taking(Some(waiter), vec![one])
            }
            7 => {
                let waiter = self.node.wait(client, &["blpop", one, "0"]);
                Doing::Taking(Some(waiter), vec![one])
            }
            _ => {
                let third = self.draw_key();
                let waiter = self.node.wait(client, &["blpop", one, other, third, "0"]);
                Doing::Taking(Some(waiter), vec![one, other, third])
            }
        };
    }

    /// Takes the replies that have come.
    fn collect(&mut self) {
        for client in 0..CLIENTS {
            let Some(reply) = self.node.replies[client].take() else {
                continue;
            };
            let doing = std::mem::replace(&mut self.doing[client], Doing::Nothing);
            let Doing::Taking(waiter, _) = doing else {
                continue;
            };
            // A move answers with a string; its element is in a list still.
            if let Value::Array(words) = bytes(reply) {
                self.woken += u64::from(waiter.is_some());
                for word in words.iter().skip(1) {
                    self.note_taken(word);
                }
            }
        }
    }

    fn note_taken(&mut self, value: &Value) {
        match value {
            Value::Bulk(digits) => {
                let number = std::str::from_utf8(digits).unwrap().parse().unwrap();
                *self.taken.entry(number).or_default() += 1;
            }
            Value::Array(values) => values.iter().for_each(|value| self.note_taken(value)),
            other => panic!("no element: {other:?}"),
        }
    }

    /// With no message under way nobody waits at a list.
    fn check_rest(&mut self, seed: u64) {
        for client in 0..CLIENTS {
            if let Doing::Taking(Some(_), keys) = self.doing[client].clone() {
                for key in keys {
                    let is_there = self.node.holds_list(key);
                    assert!(!is_there, "SEED={seed}: client {client} waits at {key}");
                }
            }
        }
    }

    fn end_all(&mut self) {
        for client in 0..CLIENTS {
            if let Doing::Taking(Some(waiter), _) = self.doing[client] {
                self.node.end_wait(client, waiter);
            }
        }
        self.node.drain();
        self.collect();
    }

    fn check_elements(&mut self, seed: u64) {
        for key in KEYS {
            self.node.begin(0, &request(&["lrange", key, "0", "-1"]));
            self.node.drain();
            let reply = self.node.replies[0].take().unwrap();
            self.note_taken(&bytes(reply));
        }
        for number in 1..=self.pushed {
            let count = self.taken.get(&number).copied().unwrap_or(0);
            assert_eq!(count, 1, "SEED={seed}: element {number}");
        }
    }
}

#[test]
fn no_element_is_lost_or_taken_twice_and_nobody_waits_in_vain() {
    let mut woken = 0;
    for seed in seeds(400) {
        let mut world = World {
            node: Node::new(seed),
            doing: vec![Doing::Nothing; CLIENTS],
            pushed: 0,
            taken: BTreeMap::new(),
            woken: 0,
        };
        for step in 0..400 {
            let client = world.node.random.index(CLIENTS);
            match (world.doing[client].clone(), world.node.random.below(8)) {
                (Doing::Nothing, 0..=2) => world.start(client),
                (Doing::Taking(Some(waiter), _), 0) => world.node.end_wait(client, waiter),
                _ => {
                    world.node.deliver();
                }
            }
            world.collect();
            if step % 50 == 49 {
                world.node.drain();
                world.collect();
                world.check_rest(seed);
            }
        }
        world.node.drain();
        world.collect();
        world.check_rest(seed);
        world.end_all();
        world.check_elements(seed);
        assert!(
            world.node.is_at_rest(),
            "SEED={seed}: something is left behind"
        );
        woken += world.woken;
    }
    assert!(woken > 0, "somebody was woken");
}

/// One step after the other, so that there is one right answer: who came first.
#[test]
fn who_came_first_is_served_first_on_whatever_core() {
    for seed in seeds(100) {
        let mut node = Node::new(seed);
        // In the order of their arrival.
        let mut waiting: Vec<(usize, Vec<&str>)> = Vec::new();
        for number in 0..200 {
            let client = node.random.index(CLIENTS);
            let is_waiting = waiting.iter().any(|(other, _)| *other == client);
            let key = KEYS[node.random.index(KEYS.len())];
            if is_waiting || node.random.below(3) == 0 {
                let element = number.to_string();
                let pusher = (0..CLIENTS).find(|it| waiting.iter().all(|(other, _)| other != it));
                let Some(pusher) = pusher else {
                    // Nobody is left to push.
                    break;
                };
                let has_waiter = waiting.iter().any(|(_, keys)| keys.contains(&key));
                if !has_waiter {
                    continue;
                }
                node.begin(pusher, &request(&["rpush", key, &element]));
                node.drain();
                node.replies[pusher] = None;
                let first = waiting.iter().position(|(_, keys)| keys.contains(&key));
                let (first, _) = waiting.remove(first.unwrap());
                let reply = node.replies[first].take();
                let reply = bytes(reply.unwrap_or_else(|| panic!("SEED={seed}: {first} waits")));
                let expected = [key, &element].map(|word| Value::Bulk(word.as_bytes().to_vec()));
                assert_eq!(reply, Value::Array(expected.into()), "SEED={seed}");
                assert!(node.replies.iter().all(Option::is_none), "SEED={seed}");
            } else {
                let more = KEYS[node.random.index(KEYS.len())];
                let keys = if node.random.below(2) == 0 {
                    vec![key]
                } else {
                    vec![key, more]
                };
                node.wait(client, &[&["blpop"], keys.as_slice(), &["0"]].concat());
                node.drain();
                waiting.push((client, keys));
            }
        }
    }
    assert!(usize::from(CORES) < CLIENTS, "cores share clients");
}

/// Returns a key of shard `index`.
fn key_on(node: &Node, index: usize, name: &str) -> String {
    let named = (0_u32..).map(|tail| format!("{name}:{tail}"));
    let is_there = |key: &String| node.map.shard_of_key(key.as_bytes()).index() == index;
    named.into_iter().find(is_there).unwrap()
}

fn taken(key: &str, element: &str) -> Option<Value> {
    let words = [key, element].map(|word| Value::Bulk(word.as_bytes().to_vec()));
    Some(Value::Array(words.into()))
}

impl Node {
    fn reply_of(&mut self, client: usize) -> Option<Value> {
        self.replies[client].take().map(bytes)
    }
}

/// What pushes is a transaction, so that a later request stands behind it when it leaves.
#[test]
fn who_waits_at_several_keys_comes_before_what_has_waited_for_the_claim() {
    for seed in seeds(200) {
        let mut node = Node::new(seed);
        let [key, second, third] = [0, 1, 2].map(|index| key_on(&node, index, "k"));
        for client in [1, 2] {
            node.wait(client, &["blpop", &second, &key, "0"]);
            node.drain();
        }
        let pushes = [
            ["rpush", &key, "a"],
            ["rpush", &key, "b"],
            ["set", &third, "c"],
        ];
        node.exec(3, Vec::new(), pushes.iter().map(|it| request(it)).collect());
        for _ in 0..node.random.below(6) {
            node.deliver();
        }
        node.begin(4, &request(&["lpop", &key]));
        node.begin(5, &request(&["lmove", &key, &third, "left", "left"]));
        node.drain();
        assert_eq!(node.reply_of(1), taken(&key, "a"), "SEED={seed}");
        assert_eq!(node.reply_of(2), taken(&key, "b"), "SEED={seed}");
        assert_eq!(node.reply_of(4), Some(Value::Null), "SEED={seed}");
        assert!(node.is_at_rest(), "SEED={seed}");
    }
}

/// The first offer to a request that moves may come to nothing, as others are at work where the element is to go. What
/// has come to the source meanwhile is not served before the second one, nor before those who wait behind.
#[test]
fn who_waits_behind_a_move_comes_before_what_was_sent_later() {
    let mut refused = 0;
    for seed in seeds(400) {
        let mut node = Node::new(seed);
        let [source, target, third] = [0, 1, 2].map(|index| key_on(&node, index, "k"));
        let beside = key_on(&node, 1, "other");
        node.wait(1, &["blmove", &source, &target, "left", "left", "0"]);
        node.drain();
        node.wait(2, &["blpop", &source, "0"]);
        node.drain();
        node.begin(3, &request(&["rpush", &source, "a", "b"]));
        let mut later = false;
        for _ in 0..60 {
            for client in [5, 6, 7] {
                if node.replies[client].take().is_some() || node.random.below(20) == 0 {
                    node.begin(client, &request(&["mset", &beside, "x", &third, "y"]));
                }
            }
            node.deliver();
            if node.replies[3].is_some() && !later {
                later = true;
                node.begin(4, &request(&["lpop", &source]));
            }
        }
        node.drain();
        assert!(later, "SEED={seed}");
        assert_eq!(node.reply_of(1), Some(Value::Bulk(b"a".to_vec())));
        assert_eq!(node.reply_of(2), taken(&source, "b"), "SEED={seed}");
        assert_eq!(node.reply_of(4), Some(Value::Null), "SEED={seed}");
        assert!(node.is_at_rest(), "SEED={seed}");
        refused += node.hosts[1].counters.refused;
    }
    assert!(refused > 100, "offers are refused: {refused}");
}

/// A request that stands behind a claim looks at its keys when that has left, however little time it had:
/// for its client it never waited.
#[test]
fn who_was_parked_until_its_time_was_over_still_takes_what_is_there() {
    let mut node = Node::new(1);
    let key = KEYS[0];
    let shard = node.map.shard_of_key(key.as_bytes());
    let client = shard.index();
    node.begin(client, &request(&["rpush", key, "element"]));
    node.drain();
    node.replies[client] = None;
    for has_left in [true, false] {
        let host = &mut node.hosts[client];
        let tx = host.ids.next();
        let claim = host.claim_of(&request(&["del", key]).as_request());
        let schedule = Message::Schedule {
            tx,
            connection: 99,
            claim,
        };
        host.receive(shard, schedule);
        node.drain();
        let waiter = node.wait(client, &["blpop", key, "0.001"]);
        node.drain();
        if has_left {
            let (transactions, host) = (&mut node.coordinators[client], &mut node.hosts[client]);
            transactions.abandon_wait(host, waiter);
            node.flush(client);
        } else {
            node.end_wait(client, waiter);
        }
        node.drain();
        node.hosts[client].receive(shard, Message::Release { tx });
        node.flush(client);
        node.drain();
        let reply = node.replies[client].take();
        let taken = [key, "element"].map(|word| Value::Bulk(word.as_bytes().to_vec()));
        if has_left {
            assert!(node.holds_list(key), "nobody takes it in vain");
        } else {
            assert_eq!(reply.map(bytes), Some(Value::Array(taken.into())));
        }
    }
    assert!(node.is_at_rest());
}

#[test]
fn who_is_parked_behind_a_busy_script_is_told_so_even_if_he_may_wait() {
    let mut node = Node::new(1);
    let key = KEYS[0];
    let shard = node.map.shard_of_key(key.as_bytes());
    let client = shard.index();
    let host = &mut node.hosts[client];
    let tx = host.ids.next();
    let claim = host.claim_of(&request(&["del", key]).as_request());
    let schedule = Message::Schedule {
        tx,
        connection: 99,
        claim,
    };
    host.receive(shard, schedule);
    node.wait(client, &["blpop", key, "0"]);
    node.drain();
    node.hosts[client].refuse_waiting("BUSY text");
    node.hosts[client].receive(shard, Message::Release { tx });
    node.flush(client);
    node.drain();
    let reply = node.replies[client].take().map(bytes);
    assert_eq!(reply, Some(Value::Error(b"BUSY text".to_vec())));
    assert!(node.is_at_rest());
}
