//! Statements on a spread table from several cores, whose messages are delivered in any order: nobody sees a part of an
//! UPDATE, no value of a unique column is there twice, and all end.

use base::ids::{DbIndex, ShardId};
use commands::scope::{RowStatement, Scope};
use commands::spec::{Plan, Spread};
use commands::table::{self, parts};
use protocol::reply::Resp;
use protocol::value::{Value, parse_value};
use shard::locks::{Claim, Mode};

use super::growing::Growing;
use super::program_of_plan;
use super::together::{Together, may_go_together};
use crate::long_reply::Source;
use crate::message::queue::{Lies, Queue};
use crate::message::{HopEnd, Message, OwnedRequest};
use crate::program::program_of;
use crate::step::Program;
use crate::tests::{Node, Reply, bytes, request};

const CLIENTS: usize = 6;
const GROUPS: u64 = 3;
const ROWS: u64 = 24;
const KEYS: u64 = 40;

/// What a client has to look at when it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    /// All rows have a group and its value.
    Reading,
    Counting,
    Inserting,
    Writing,
}

struct World {
    node: Node,
    cores: u16,
    doing: [Doing; CLIENTS],
    /// Statements that clients have sent together, and had answered so.
    together: usize,
    written: u64,
    inserted: u64,
    checked: u64,
}

fn line(text: &str) -> OwnedRequest {
    request(&text.split(' ').collect::<Vec<_>>())
}

impl World {
    fn new(cores: u16, seed: u64) -> Self {
        let mut world = Self {
            node: Node::with_cores(cores, seed),
            cores,
            doing: [Doing::Nothing; CLIENTS],
            together: 0,
            written: 0,
            inserted: 0,
            checked: 0,
        };
        world.alone("TABLE.SCHEMA.CREATE t g:integer:hash k:integer:hash UNIQUE v:integer");
        for row in 0..ROWS {
            world.alone(&format!("TABLE.INSERT t g={} k={row} v=0", row % GROUPS));
        }
        world.spread("t");
        world
    }

    fn core_of(&self, client: usize) -> usize {
        client % usize::from(self.cores)
    }

    fn claims(&self, core: usize, request: &OwnedRequest) -> Vec<(ShardId, Claim)> {
        let claim = self.node.hosts[core].claim_of(&request.as_request());
        let shards = self.node.map.shards();
        shards.map(|shard| (shard, claim.clone())).collect()
    }

    fn begin(&mut self, client: usize, text: &str) {
        let request = line(text);
        let core = self.core_of(client);
        let Spread::Plan(Plan::Table(scope)) = request.command.spread else {
            unreachable!("a table command");
        };
        let host = &self.node.hosts[core];
        let as_request = request.as_request();
        let me = ShardId(u16::try_from(core).unwrap());
        let planned = parts::plan_here(
            &host.shard,
            request.db,
            scope,
            as_request.args,
            request.resp,
        );
        let around = self.node.around();
        let program = match planned {
            Some(planned) => program_of_plan(around, as_request, planned, me),
            None => program_of(around, as_request),
        };
        let claims = self.claims(core, &request);
        self.start(client, claims, program);
    }

    /// Begins statements of one client that go together, if they all may; otherwise the first of them.
    fn begin_together(&mut self, client: usize, texts: &[String]) -> usize {
        let core = self.core_of(client);
        let me = ShardId(u16::try_from(core).unwrap());
        let shard = &self.node.hosts[core].shard;
        let mut queue = Queue::default();
        let mut planned = Vec::new();
        for text in texts {
            let request = line(text);
            let Spread::Plan(Plan::Table(scope)) = request.command.spread else {
                unreachable!("a table command");
            };
            let as_request = request.as_request();
            let plan = parts::plan_here(shard, request.db, scope, as_request.args, request.resp);
            planned.extend(plan.filter(|plan| may_go_together(plan, self.cores)));
            queue.push(as_request, Lies::Apart, true);
        }
        if planned.len() < texts.len() || texts.len() == 1 {
            self.begin(client, &texts[0]);
            return 1;
        }
        let claims = self.claims(core, &line(&texts[0]));
        let program = Together::new(self.node.around(), me, queue, planned);
        self.start(client, claims, Box::new(program));
        texts.len()
    }

    fn start(&mut self, client: usize, claims: Vec<(ShardId, Claim)>, program: Box<dyn Program>) {
        let core = self.core_of(client);
        let host = &mut self.node.hosts[core];
        let origin = Node::origin(client);
        self.node.coordinators[core].begin(host, origin, claims, program);
        self.node.flush(core);
    }

    /// Delivers a message, or lets a core go on with what has paused. Returns whether there was anything.
    fn advance(&mut self) -> bool {
        let paused: Vec<usize> = (0..self.node.hosts.len())
            .filter(|&core| self.node.coordinators[core].has_paused())
            .collect();
        if !paused.is_empty() && self.node.random.below(3) == 0 || !self.node.deliver() {
            let Some(&core) = paused.first() else {
                return false;
            };
            let at = self.node.random.index(paused.len());
            let core = paused.get(at).copied().unwrap_or(core);
            self.node.coordinators[core].go_on(&mut self.node.hosts[core]);
            self.node.flush(core);
        }
        true
    }

    fn alone(&mut self, text: &str) -> Value {
        self.begin(0, text);
        while self.node.replies[0].is_none() {
            assert!(self.advance(), "{text}: no reply");
        }
        bytes(self.node.replies[0].take().unwrap())
    }

    fn spread(&mut self, name: &str) {
        let name = name.as_bytes();
        let home = self.node.map.shard_of_key(table::key_of(name));
        let catalog = self.node.hosts[0].shard.tables().catalog(DbIndex(0));
        let id = catalog.lookup(name).unwrap().id;
        let claim = Claim {
            keys: vec![(self.node.hosts[0].shard.key(name).hash, Mode::Exclusive)],
            whole: None,
        };
        let shards = self.node.map.shards();
        let claims = shards.map(|shard| (shard, claim.clone())).collect();
        let program = Growing::new(self.node.map, DbIndex(0), home, id);
        self.start(0, claims, Box::new(program));
        while !self.node.is_idle() {
            assert!(self.advance(), "the table does not spread");
        }
        self.node.replies[0] = None;
    }

    fn statement(&mut self) -> (String, Doing) {
        let random = &mut self.node.random;
        let (group, key) = (random.below(GROUPS), random.below(KEYS));
        self.written += 1;
        let value = self.written;
        match random.below(9) {
            0 | 1 => (
                format!("TABLE.UPDATE t WHERE g={group} SET v={value}"),
                Doing::Writing,
            ),
            2 => (
                format!("TABLE.UPDATE t WHERE g<{GROUPS} SET v={value}"),
                Doing::Writing,
            ),
            3 => (
                format!("TABLE.SELECT t WHERE g={group} COLUMNS 2 g v"),
                Doing::Reading,
            ),
            4 => (
                format!("TABLE.SELECT t WHERE g<{GROUPS} COLUMNS 2 g v"),
                Doing::Reading,
            ),
            5 => (format!("TABLE.COUNT t WHERE g={group}"), Doing::Counting),
            6 => (
                format!("TABLE.UPDATE t WHERE k={key} SET k={}", random.below(KEYS)),
                Doing::Writing,
            ),
            7 => (format!("TABLE.INSERT t g=9 k={key} v=0"), Doing::Inserting),
            // A row of group 9, or none.
            _ => (
                format!("TABLE.UPDATE t WHERE k={key} AND g=9 SET v={value}"),
                Doing::Writing,
            ),
        }
    }

    /// Returns a statement that may go together with another one.
    fn like(&mut self, text: &str) -> Option<String> {
        let random = &mut self.node.random;
        let group = random.below(GROUPS);
        if text.starts_with("TABLE.SELECT") {
            return Some(format!("TABLE.SELECT t WHERE g={group} COLUMNS 2 g v"));
        }
        if text.starts_with("TABLE.UPDATE t WHERE g=") {
            self.written += 1;
            let value = self.written;
            return Some(format!("TABLE.UPDATE t WHERE g={group} SET v={value}"));
        }
        None
    }

    fn finish_all(&mut self, client: usize, reply: Reply, seed: u64) {
        let Reply::Bytes(all) = reply else {
            unreachable!("not a WATCH");
        };
        let doing = std::mem::replace(&mut self.doing[client], Doing::Nothing);
        let (mut at, mut count) = (0, 0);
        while at < all.len() {
            let (value, len) = parse_value(&all[at..]).unwrap().expect("a whole reply");
            self.finish(doing, value, seed);
            (at, count) = (at + len, count + 1);
        }
        self.together += usize::from(count > 1);
    }

    fn finish(&mut self, doing: Doing, reply: Value, seed: u64) {
        match (doing, reply) {
            (Doing::Reading, Value::Array(rows)) => {
                self.checked += 1;
                let cells = |row: &Value| match row {
                    Value::Array(cells) => (cells[1].clone(), cells[3].clone()),
                    other => panic!("SEED={seed}: no row: {other:?}"),
                };
                let rows: Vec<_> = rows.iter().map(cells).collect();
                for (group, value) in &rows {
                    let same = rows.iter().filter(|(other, _)| other == group);
                    for (_, other) in same {
                        assert_eq!(other, value, "SEED={seed}: a part of an UPDATE: {rows:?}");
                    }
                }
            }
            (Doing::Counting, count) => {
                let count_of_group = i64::try_from(ROWS / GROUPS).unwrap();
                assert_eq!(count, Value::Integer(count_of_group), "SEED={seed}");
            }
            (Doing::Inserting, Value::Bulk(_)) => self.inserted += 1,
            (Doing::Inserting | Doing::Writing, Value::Error(error)) => {
                let text = String::from_utf8(error).unwrap();
                assert!(text.contains("exists already"), "SEED={seed}: {text}");
            }
            (Doing::Writing, Value::Integer(_)) => {}
            (doing, other) => panic!("SEED={seed}: {doing:?} gives {other:?}"),
        }
    }

    fn run(&mut self, statements: usize, seed: u64) {
        let mut left = statements;
        loop {
            for client in 0..CLIENTS {
                if let Some(reply) = self.node.replies[client].take() {
                    self.finish_all(client, reply, seed);
                }
                if self.doing[client] == Doing::Nothing
                    && left > 0
                    && self.node.random.below(3) == 0
                {
                    left -= 1;
                    let (text, doing) = self.statement();
                    self.doing[client] = doing;
                    let mut texts = vec![text];
                    for _ in 0..self.node.random.below(3) {
                        let like = self.like(&texts[0]);
                        texts.extend(like);
                    }
                    self.begin_together(client, &texts);
                }
            }
            let is_over = left == 0 && self.doing.iter().all(|it| *it == Doing::Nothing);
            if is_over {
                break;
            }
            let is_stuck =
                !self.advance() && left == 0 && self.node.replies.iter().all(Option::is_none);
            assert!(!is_stuck, "SEED={seed}: {:?} wait for ever", self.doing);
        }
        while self.advance() {}
        assert!(self.node.is_idle(), "SEED={seed}: claims stay");
    }
}

#[test]
fn statements_in_one_round_are_atomic_whatever_overtakes_what() {
    let first: u64 = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    let (mut retries, mut checked, mut together) = (0, 0, 0);
    for seed in first..first + 60 {
        for cores in 2..=4 {
            let mut world = World::new(cores, seed);
            world.run(60, seed);
            let Value::Array(rows) = world.alone("TABLE.SELECT t COLUMNS 1 k ORDER BY k") else {
                panic!("SEED={seed}: no rows");
            };
            let mut distinct = rows.clone();
            distinct.dedup();
            assert_eq!(distinct, rows, "SEED={seed}: a value twice");
            let expected = ROWS + world.inserted;
            assert_eq!(
                rows.len(),
                usize::try_from(expected).unwrap(),
                "SEED={seed}"
            );
            checked += world.checked;
            together += world.together;
            let counters = world.node.coordinators.iter().map(|it| it.counters.retries);
            retries += counters.sum::<u64>();
        }
    }
    assert!(
        checked > 500 && retries > 50 && together > 500,
        "{checked} reads, {retries} retries, {together} times several together"
    );
}

#[test]
fn a_statement_in_one_round_takes_one_hop() {
    for (text, cores, hops) in [
        ("TABLE.SELECT t WHERE g=1", 4, 1),
        ("TABLE.COUNT t WHERE g=1", 4, 1),
        ("TABLE.UPDATE t WHERE g=1 SET v=7", 2, 1),
        ("TABLE.DELETE t WHERE g=1", 2, 1),
        ("TABLE.UPDATE t WHERE g=1 SET v=7", 4, 2),
        ("TABLE.UPDATE t WHERE g=1 SET v=v+1", 2, 2),
        ("TABLE.INSERT t g=1 k=99 v=1", 4, 2),
        ("TABLE.UPDATE t WHERE k=1 SET k=99", 4, 3),
        ("TABLE.UPDATE t WHERE g=77 SET v=7", 4, 1),
    ] {
        let mut world = World::new(cores, 1);
        let before = world.node.coordinators[0].counters;
        world.alone(text);
        let after = world.node.coordinators[0].counters;
        assert_eq!(after.hops - before.hops, hops, "{text} on {cores} shards");
        assert_eq!(after.begun - before.begun, 1, "{text}");
    }
}

#[test]
fn statements_of_one_client_go_in_one_hop_and_in_order() {
    for (texts, cores, replies) in [
        (
            &[
                "TABLE.UPDATE t WHERE g=1 SET v=7",
                "TABLE.UPDATE t WHERE v=7 AND g=1 SET g=2",
            ][..],
            2,
            vec![Value::Integer(8)],
        ),
        (
            &[
                "TABLE.UPDATE t WHERE g=1 SET g=2",
                "TABLE.UPDATE t WHERE g=1 SET v=7",
                "TABLE.UPDATE t WHERE g=2 SET v=8",
            ],
            2,
            [8, 0, 16].map(Value::Integer).to_vec(),
        ),
        (
            &["TABLE.COUNT t WHERE g=1", "TABLE.COUNT t WHERE g=5"],
            4,
            [8, 0].map(Value::Integer).to_vec(),
        ),
    ] {
        for with_log in [false, true] {
            let mut world = World::new(cores, 1);
            if with_log {
                world.node.keep_logs(usize::MAX);
            }
            let before = world.node.coordinators[0].counters;
            let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            world.begin_together(0, &texts);
            while world.node.replies[0].is_none() {
                assert!(world.advance(), "{texts:?}: no reply");
            }
            let Some(Reply::Bytes(all)) = world.node.replies[0].take() else {
                panic!("{texts:?}: no bytes");
            };
            let mut expected = Vec::new();
            for reply in &replies {
                reply.write_to(&mut protocol::reply::Reply::new(&mut expected, Resp::V2));
            }
            assert_eq!(all, expected, "{texts:?}");
            let after = world.node.coordinators[0].counters;
            assert_eq!(after.begun - before.begun, 1, "{texts:?}");
            if replies.len() > 1 {
                assert_eq!(after.hops - before.hops, 1, "{texts:?}");
            }
            while world.advance() {}
            assert!(world.node.is_idle(), "{texts:?}: claims stay");
        }
    }
}

#[test]
fn a_plan_of_an_old_schema_is_made_anew() {
    for (text, statement, changed) in [
        (
            "TABLE.UPDATE t WHERE g=1 SET v=5",
            RowStatement::Update,
            usize::try_from(ROWS / GROUPS).unwrap(),
        ),
        // It needs one hop, with which its claims end.
        ("TABLE.INSERT free a=1 ROW a=2", RowStatement::Insert, 2),
    ] {
        for cores in 2..=3 {
            let mut world = World::new(cores, 5);
            world.alone("TABLE.SCHEMA.CREATE free a:integer");
            world.alone("TABLE.INSERT free a=0");
            world.spread("free");
            let request = line(text);
            let old = {
                let host = &world.node.hosts[0];
                let args = request.as_request().args;
                let scope = Scope::Rows(statement);
                parts::plan_here(&host.shard, DbIndex(0), scope, args, request.resp)
            };
            world.alone("TABLE.SCHEMA.ALTER t ADD COLUMN w:integer");
            world.alone("TABLE.SCHEMA.ALTER free ADD COLUMN w:integer");
            let around = world.node.around();
            let program = program_of_plan(around, request.as_request(), old.unwrap(), ShardId(0));
            let claims = world.claims(0, &request);
            world.start(0, claims, program);
            while world.node.replies[0].is_none() {
                assert!(world.advance(), "{text}: no reply");
            }
            let given = match bytes(world.node.replies[0].take().unwrap()) {
                Value::Array(ids) => ids.len(),
                Value::Integer(count) => usize::try_from(count).unwrap(),
                other => panic!("{text}: {other:?}"),
            };
            assert_eq!(given, changed, "{text}");
            while world.advance() {}
            assert!(world.node.is_idle(), "{text}: claims stay");
        }
    }
}

#[test]
fn a_change_in_one_round_is_made_once_with_a_log_too() {
    let mut world = World::new(2, 1);
    world.node.keep_logs(usize::MAX);
    let before = world.node.coordinators[0].counters;
    let reply = world.alone("TABLE.UPDATE t WHERE g=1 SET v=7");
    assert_eq!(reply, Value::Integer(i64::try_from(ROWS / GROUPS).unwrap()));
    let after = world.node.coordinators[0].counters;
    assert_eq!(after.hops - before.hops, 1, "it did not have to begin anew");
    while world.advance() {}
    assert!(world.node.is_idle(), "claims stay");
}

#[test]
fn shards_that_read_in_one_round_keep_their_claims_until_all_have() {
    for (cores, expected) in [(2, HopEnd::Ends), (4, HopEnd::Stays)] {
        let mut world = World::new(cores, 1);
        let request = line("TABLE.SELECT t WHERE g=1");
        let (scope, args) = (Scope::Rows(RowStatement::Select), request.as_request().args);
        let shard = &world.node.hosts[0].shard;
        let planned = parts::plan_here(shard, request.db, scope, args, request.resp);
        let around = world.node.around();
        let program = program_of_plan(around, request.as_request(), planned.unwrap(), ShardId(0));
        let claims = world.claims(0, &request);
        let host = &mut world.node.hosts[0];
        world.node.coordinators[0].begin(host, Node::origin(0), claims, program);
        let ends: Vec<HopEnd> = host
            .outbox
            .iter()
            .filter_map(|(_, message)| match message {
                Message::Begin { end, .. } => Some(*end),
                _ => None,
            })
            .collect();
        assert_eq!(ends, vec![expected; usize::from(cores) - 1]);
        world.node.flush(0);
        while world.node.replies[0].is_none() {
            assert!(world.advance(), "no reply");
        }
        while world.advance() {}
        assert!(world.node.is_idle(), "claims stay");
    }
}

#[test]
fn nothing_comes_in_front_of_a_statement_that_goes_back_with_a_claim() {
    let mut world = World::new(2, 1);
    world.alone("TABLE.SCHEMA.CREATE home a:integer");
    while world.advance() {}
    let home = world.node.map.shard_of_key(b"home");
    let host = &mut world.node.hosts[home.index()];
    let early = host.ids.next();
    let request = line("TABLE.PROFILE SELECT home");
    let later = host.run(&request.as_request(), &mut Vec::new());
    let later = later.expect("it has no clock");
    let source = host.begin_long(home, &request.as_request(), *later);
    assert!(matches!(source, Source::Statement(Some(_))), "{source:?}");
    let drop = line("TABLE.DROP home FORCE");
    let claim = host.claim_of(&drop.as_request());
    assert!(!host.accept((ShardId(0), 1), early, claim), "it has begun");
}
