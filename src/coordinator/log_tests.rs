//! What is there of transactions after a crash: the cores of [`crate::tests`], each with a log, that end at any
//! moment, with or without the last records of each.
//!
//! Not here: files, and who decides what is left out (crate `storage`); it is decided here anew, in the simplest way.

use base::clock::UnixMillis;
use base::hash::{Map, Set};
use base::random::Random;
use commands::replay::Replay;
use protocol::value::Value;
use shard::Shard;
use types::effect::{Effect, Effects};

use crate::tests::{CORES, GROUP, Node, PLACES, World, bytes, new_shard, request};

/// The records of each shard.
type Logs = Vec<Vec<Vec<u8>>>;

fn effects(record: &[u8]) -> impl Iterator<Item = Effect<'_>> {
    Effects::new(record).map(|effect| effect.expect("what was written can be read"))
}

/// Returns the transactions of which parts are missing.
fn not_whole(logs: &Logs) -> Set<u64> {
    let mut found: Map<u64, (u16, u16)> = Map::default();
    for effect in logs.iter().flatten().flat_map(|record| effects(record)) {
        if let Effect::Part {
            transaction,
            shards,
        } = effect
            && transaction > 0
        {
            let (count, all) = found.entry(transaction).or_default();
            (*count, *all) = (*count + 1, shards);
        }
    }
    let lacks = |(_, (count, all)): &(u64, (u16, u16))| count < all;
    let found = found.into_iter().filter(lacks);
    found.map(|(transaction, _)| transaction).collect()
}

/// Cuts logs before what may rest on a transaction that is not whole. Returns the transactions to leave out, and
/// whether anything was cut.
fn cut(logs: &mut Logs) -> (Set<u64>, bool) {
    let mut is_cut = false;
    loop {
        let open = not_whole(logs);
        let rests = |record: &Vec<u8>| {
            effects(record).any(|effect| match effect {
                Effect::Released { transaction } => open.contains(&transaction),
                _ => false,
            })
        };
        let ends: Vec<_> = logs.iter().map(|log| log.iter().position(rests)).collect();
        if ends.iter().all(Option::is_none) {
            return (open, is_cut);
        }
        is_cut = true;
        for (log, end) in logs.iter_mut().zip(ends) {
            log.truncate(end.unwrap_or(log.len()));
        }
    }
}

/// Returns the shards that a start makes of logs.
fn recovered(logs: &Logs, left_out: &Set<u64>) -> Vec<Shard> {
    let mut shards: Vec<Shard> = (0..CORES).map(|index| new_shard(CORES, index)).collect();
    let mut replay = Replay::default();
    for (shard, log) in shards.iter_mut().zip(logs) {
        for record in log {
            let mut is_left_out = false;
            for effect in effects(record) {
                match effect {
                    Effect::Part { transaction, .. } => {
                        is_left_out = left_out.contains(&transaction);
                    }
                    Effect::Released { .. } => {}
                    _ if is_left_out => {}
                    effect => replay.apply(shard, UnixMillis(1_000_000), &effect).unwrap(),
                }
            }
        }
    }
    shards
}

fn ask(node: &mut Node, words: &[&str]) -> Value {
    node.begin(0, &request(words));
    while node.deliver() {}
    bytes(node.replies[0].take().expect("a reply"))
}

fn all_equal(node: &mut Node, keys: &[&str]) -> Value {
    let Value::Array(values) = ask(node, &[&["mget"], keys].concat()) else {
        unreachable!("MGET")
    };
    assert!(
        values.windows(2).all(|pair| pair[0] == pair[1]),
        "{values:?}"
    );
    values.into_iter().next().unwrap()
}

/// Looks at what is there of the logs. Returns the number of increments.
fn check(logs: &Logs, left_out: &Set<u64>) -> u64 {
    let mut node = Node::of(1, recovered(logs, left_out));
    all_equal(&mut node, &GROUP);
    let tokens = ask(&mut node, &[&["exists"], PLACES.as_slice()].concat());
    assert_eq!(tokens, Value::Integer(1));
    match all_equal(&mut node, &["counter:a", "counter:b"]) {
        Value::Bulk(text) => String::from_utf8(text).unwrap().parse().unwrap(),
        _ => 0,
    }
}

/// What was met, so that a test can say that it met what it is about.
#[derive(Debug, Default)]
struct Met {
    whole: u64,
    left_out: u64,
    cut: u64,
}

fn crash(world: &World, kept: &[usize], random: &mut Random, met: &mut Met) {
    let mut logs = world.node.logs.clone();
    // The process is killed: what it has written is there.
    let (left_out, is_cut) = cut(&mut logs);
    assert!(!is_cut, "no mark comes before all parts are written");
    met.left_out += u64::from(!left_out.is_empty());
    met.whole += u64::from(left_out.is_empty());
    let increments = check(&logs, &left_out);
    assert!(
        increments >= world.increments,
        "acknowledged increments are lost"
    );
    // The machine loses its power: each log loses some of its end.
    for (log, kept) in logs.iter_mut().zip(kept) {
        let lost = random.index(4) * random.index(4);
        log.truncate(log.len().saturating_sub(lost).max(*kept));
    }
    let (left_out, is_cut) = cut(&mut logs);
    met.cut += u64::from(is_cut);
    check(&logs, &left_out);
}

#[test]
fn after_a_crash_transactions_are_there_as_a_whole_or_not_at_all() {
    let first = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(1..31, |seed: u64| seed..seed + 1);
    let mut met = Met::default();
    for seed in seeds {
        eprintln!("SEED={seed}");
        let mut random = Random::new(seed);
        let mut node = Node::new(seed);
        node.keep_logs([0, 4096][random.index(2)]);
        let mut world = World::begin(node, seed);
        let kept: Vec<usize> = world.node.logs.iter().map(Vec::len).collect();
        world.run_watched(200, |world| {
            if random.index(20) == 0 {
                crash(world, &kept, &mut random, &mut met);
            }
        });
        crash(&world, &kept, &mut random, &mut met);
    }
    assert!(met.whole > 0 && met.left_out > 0 && met.cut > 0, "{met:?}");
    eprintln!("{met:?}");
}
