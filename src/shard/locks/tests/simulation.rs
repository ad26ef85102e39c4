//! Lock tables of several shards under transactions whose messages arrive in any order: all of them
//! end, and those that conflict run in one order everywhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base::ids::TxId;
use base::random::Random;

use super::{conflict, random_claim, seed};
use crate::locks::{Claim, LockTable, Scheduled};

const SHARD_COUNT: usize = 4;

enum Message {
    Schedule(TxId),
    Hop(TxId),
    Release(TxId),
}

/// One transaction with its coordinator.
struct Worker {
    tx: TxId,
    /// What it needs on each shard, if anything.
    claims: Vec<Option<Claim>>,
    /// Messages under way to each shard; order holds within each, not among them.
    lanes: Vec<VecDeque<Message>>,
    /// Shards that have kept the claim.
    kept: Vec<usize>,
    answers_due: usize,
    hops_due: usize,
    hops_left: usize,
    done: bool,
}

impl Worker {
    fn shards(&self) -> Vec<usize> {
        (0..SHARD_COUNT)
            .filter(|&shard| self.claims[shard].is_some())
            .collect()
    }

    fn schedule(&mut self, tx: TxId) {
        self.tx = tx;
        self.kept.clear();
        for shard in self.shards() {
            self.lanes[shard].push_back(Message::Schedule(tx));
            self.answers_due += 1;
        }
    }

    /// Sends the next hop to all its shards, or, after the last one, the release.
    fn advance(&mut self) {
        self.done = self.hops_left == 0;
        for shard in self.shards() {
            if self.done {
                self.lanes[shard].push_back(Message::Release(self.tx));
            } else {
                self.lanes[shard].push_back(Message::Hop(self.tx));
                self.hops_due += 1;
            }
        }
        self.hops_left = self.hops_left.saturating_sub(1);
    }
}

struct Simulation {
    tables: Vec<LockTable>,
    workers: Vec<Worker>,
    last_id: u64,
    /// Which worker uses an id.
    owners: BTreeMap<TxId, usize>,
    /// Hops that arrived before their turn, and what runs, on each shard.
    early: Vec<BTreeSet<TxId>>,
    running: Vec<BTreeSet<TxId>>,
    /// Workers in the order of their starts, on each shard.
    orders: Vec<Vec<usize>>,
    refusals: u32,
    waits: u32,
}

impl Simulation {
    fn new(random: &mut Random, worker_count: usize) -> Self {
        let workers = (0..worker_count).map(|_| {
            let mut claim = || (random.below(2) == 0).then(|| random_claim(random, 5, 12));
            let claims = (0..SHARD_COUNT).map(|_| claim()).collect();
            let hops_left = 1 + random.index(2);
            let lanes = (0..SHARD_COUNT).map(|_| VecDeque::new()).collect();
            let (tx, kept, done) = (TxId(0), Vec::new(), false);
            Worker {
                tx,
                claims,
                lanes,
                kept,
                answers_due: 0,
                hops_due: 0,
                hops_left,
                done,
            }
        });
        Self {
            workers: workers.collect(),
            tables: (0..SHARD_COUNT).map(|_| LockTable::new()).collect(),
            last_id: 0,
            owners: BTreeMap::new(),
            early: vec![BTreeSet::new(); SHARD_COUNT],
            running: vec![BTreeSet::new(); SHARD_COUNT],
            orders: vec![Vec::new(); SHARD_COUNT],
            refusals: 0,
            waits: 0,
        }
    }

    fn begin(&mut self, worker: usize) {
        self.last_id += 1;
        let tx = TxId(self.last_id);
        self.owners.insert(tx, worker);
        self.workers[worker].schedule(tx);
    }

    fn claim(&self, tx: TxId, shard: usize) -> &Claim {
        self.workers[self.owners[&tx]].claims[shard]
            .as_ref()
            .unwrap()
    }

    /// Delivers the oldest message of one lane.
    fn deliver(&mut self, worker: usize, shard: usize) {
        match self.workers[worker].lanes[shard].pop_front().unwrap() {
            Message::Schedule(tx) => {
                let claim = self.claim(tx, shard).clone();
                let outcome = self.tables[shard].schedule(tx, claim);
                self.answer(worker, shard, outcome);
            }
            Message::Hop(tx) if self.tables[shard].is_granted(tx) => self.run(tx, shard),
            Message::Hop(tx) => {
                self.early[shard].insert(tx);
            }
            Message::Release(tx) => {
                self.running[shard].remove(&tx);
                let mut granted = Vec::new();
                self.tables[shard].release(tx, &mut granted);
                for tx in granted {
                    if self.early[shard].remove(&tx) {
                        self.run(tx, shard);
                    }
                }
            }
        }
    }

    fn answer(&mut self, worker: usize, shard: usize, outcome: Scheduled) {
        self.waits += u32::from(outcome == Scheduled::Waiting);
        self.refusals += u32::from(outcome == Scheduled::Refused);
        let state = &mut self.workers[worker];
        state.answers_due -= 1;
        if outcome != Scheduled::Refused {
            state.kept.push(shard);
        }
        if state.answers_due > 0 {
            return;
        }
        if state.kept.len() == state.shards().len() {
            state.advance();
        } else {
            for &shard in &state.kept {
                state.lanes[shard].push_back(Message::Release(state.tx));
            }
            self.begin(worker);
        }
    }

    fn run(&mut self, tx: TxId, shard: usize) {
        let worker = self.owners[&tx];
        self.tables[shard].start(tx);
        if self.running[shard].insert(tx) {
            self.orders[shard].push(worker);
        }
        for &other in &self.running[shard] {
            let clash = conflict(self.claim(tx, shard), self.claim(other, shard));
            assert!(
                other == tx || !clash,
                "{tx:?} and {other:?} run together on {shard}"
            );
        }
        self.workers[worker].hops_due -= 1;
        if self.workers[worker].hops_due == 0 {
            self.workers[worker].advance();
        }
    }

    /// Runs until nothing is under way, at most 16 transactions at a time.
    fn run_to_end(&mut self, random: &mut Random) {
        let mut unbegun = 0;
        for step in 0.. {
            assert!(step < 100_000, "the transactions never come to an end");
            let open = self.workers[..unbegun]
                .iter()
                .filter(|worker| !worker.done)
                .count();
            if unbegun < self.workers.len() && open < 16 && random.below(3) == 0 {
                self.begin(unbegun);
                if self.workers[unbegun].answers_due == 0 {
                    self.workers[unbegun].done = true;
                }
                unbegun += 1;
            }
            let lanes: Vec<(usize, usize)> = (0..unbegun)
                .flat_map(|worker| (0..SHARD_COUNT).map(move |shard| (worker, shard)))
                .filter(|&(worker, shard)| !self.workers[worker].lanes[shard].is_empty())
                .collect();
            if !lanes.is_empty() {
                let (worker, shard) = lanes[random.index(lanes.len())];
                self.deliver(worker, shard);
            } else if unbegun == self.workers.len() {
                return;
            }
        }
    }

    /// Every two transactions that conflict have started in one order wherever they conflict.
    fn check_orders(&self) {
        let mut before = BTreeSet::new();
        for (shard, order) in self.orders.iter().enumerate() {
            for (index, &first) in order.iter().enumerate() {
                for &second in &order[index + 1..] {
                    let claim = |worker: usize| self.workers[worker].claims[shard].as_ref();
                    if conflict(claim(first).unwrap(), claim(second).unwrap()) {
                        assert!(!before.contains(&(second, first)), "{first} and {second}");
                        before.insert((first, second));
                    }
                }
            }
        }
    }
}

#[test]
fn transactions_over_shards_end_and_keep_one_order() {
    let mut random = Random::new(seed());
    let (mut refusals, mut waits) = (0, 0);
    for _ in 0..200 {
        let mut simulation = Simulation::new(&mut random, 40);
        simulation.run_to_end(&mut random);
        assert!(
            simulation.workers.iter().all(|worker| worker.done),
            "a transaction is stuck"
        );
        assert!(simulation.tables.iter().all(LockTable::is_empty));
        simulation.check_orders();
        refusals += simulation.refusals;
        waits += simulation.waits;
    }
    assert!(
        refusals > 100 && waits > 2000,
        "{refusals} refusals, {waits} waits"
    );
}
