//! The lock table against a model that compares all pairs.

mod simulation;

use std::collections::{BTreeMap, BTreeSet};

use base::random::Random;

use super::{Claim, LockTable, Mode, Scheduled, TxId};

fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    println!("SEED={seed}");
    seed
}

/// The rule as it is written, over the claims as they came.
fn conflict(first: &Claim, second: &Claim) -> bool {
    let excludes = |one: Mode, other: Mode| one == Mode::Exclusive || other == Mode::Exclusive;
    let by_key = first.keys.iter().any(|one| {
        second
            .keys
            .iter()
            .any(|other| one.0 == other.0 && excludes(one.1, other.1))
    });
    let by_whole = |whole: &Claim, other: &Claim| {
        whole.whole.is_some_and(|mode| {
            other.whole.is_some_and(|other| excludes(mode, other))
                || other.keys.iter().any(|key| excludes(mode, key.1))
        })
    };
    by_key || by_whole(first, second) || by_whole(second, first)
}

fn random_mode(random: &mut Random) -> Mode {
    if random.below(2) == 0 {
        Mode::Shared
    } else {
        Mode::Exclusive
    }
}

fn random_claim(random: &mut Random, key_count: u64, whole_one_in: u64) -> Claim {
    let keys = (0..random.below(4)).map(|_| (random.below(key_count), random_mode(random)));
    let keys = keys.collect();
    let whole = (random.below(whole_one_in) == 0).then(|| random_mode(random));
    Claim { keys, whole }
}

fn key(fingerprint: u64, mode: Mode) -> Claim {
    Claim {
        keys: vec![(fingerprint, mode)],
        whole: None,
    }
}

fn whole(mode: Mode) -> Claim {
    Claim {
        keys: Vec::new(),
        whole: Some(mode),
    }
}

fn released(table: &mut LockTable, tx: u64) -> Vec<u64> {
    let mut granted = Vec::new();
    table.release(TxId(tx), &mut granted);
    granted.into_iter().map(|tx| tx.0).collect()
}

#[test]
fn claims_on_one_key_run_in_order_of_their_ids() {
    let mut table = LockTable::new();
    assert_eq!(
        table.schedule(TxId(1), key(7, Mode::Exclusive)),
        Scheduled::Granted
    );
    assert_eq!(
        table.schedule(TxId(4), key(7, Mode::Exclusive)),
        Scheduled::Waiting
    );
    assert_eq!(
        table.schedule(TxId(3), key(7, Mode::Shared)),
        Scheduled::Waiting
    );
    assert_eq!(
        table.schedule(TxId(2), key(7, Mode::Shared)),
        Scheduled::Waiting
    );
    assert_eq!(
        table.schedule(TxId(5), key(8, Mode::Shared)),
        Scheduled::Granted
    );
    assert_eq!(released(&mut table, 1), [2, 3]);
    assert_eq!(released(&mut table, 2), []);
    assert_eq!(released(&mut table, 3), [4]);
}

#[test]
fn late_smaller_id_moves_in_front_of_what_has_not_started() {
    let mut table = LockTable::new();
    assert_eq!(
        table.schedule(TxId(9), key(7, Mode::Exclusive)),
        Scheduled::Granted
    );
    assert_eq!(
        table.schedule(TxId(8), key(7, Mode::Exclusive)),
        Scheduled::Granted
    );
    assert!(!table.is_granted(TxId(9)));
    table.start(TxId(8));
    assert_eq!(
        table.schedule(TxId(7), key(7, Mode::Shared)),
        Scheduled::Refused
    );
    assert_eq!(table.len(), 2);
    assert_eq!(released(&mut table, 8), [9]);
}

#[test]
fn started_reader_refuses_late_writers_only() {
    let mut table = LockTable::new();
    table.schedule(TxId(5), key(7, Mode::Shared));
    table.start(TxId(5));
    assert_eq!(
        table.schedule(TxId(4), key(7, Mode::Exclusive)),
        Scheduled::Refused
    );
    assert_eq!(
        table.schedule(TxId(3), key(7, Mode::Shared)),
        Scheduled::Granted
    );
    assert_eq!(
        table.schedule(TxId(2), whole(Mode::Exclusive)),
        Scheduled::Refused
    );
    assert_eq!(
        table.schedule(TxId(1), whole(Mode::Shared)),
        Scheduled::Granted
    );
}

#[test]
fn key_named_twice_is_claimed_once_with_the_stronger_mode() {
    let mut table = LockTable::new();
    let twice = vec![(7, Mode::Shared), (7, Mode::Exclusive), (7, Mode::Shared)];
    table.schedule(
        TxId(1),
        Claim {
            keys: twice,
            whole: None,
        },
    );
    assert!(table.conflicts(7, Mode::Shared));
    assert_eq!(
        table.schedule(TxId(2), key(7, Mode::Shared)),
        Scheduled::Waiting
    );
    assert_eq!(released(&mut table, 1), [2]);
    assert!(!table.conflicts(7, Mode::Shared));
    assert!(table.conflicts(7, Mode::Exclusive));
}

#[test]
#[should_panic(expected = "only when it is its turn")]
fn waiting_transaction_cannot_start() {
    let mut table = LockTable::new();
    table.schedule(TxId(1), whole(Mode::Exclusive));
    table.schedule(TxId(2), key(7, Mode::Shared));
    table.start(TxId(2));
}

/// Claims in a list, each question answered by looking at all of them.
#[derive(Default)]
struct Model {
    claims: BTreeMap<TxId, (Claim, bool)>,
}

impl Model {
    fn schedule(&mut self, tx: TxId, claim: Claim) -> Scheduled {
        let mut later = self.claims.range(tx..);
        if later.any(|(_, (other, started))| *started && conflict(other, &claim)) {
            return Scheduled::Refused;
        }
        self.claims.insert(tx, (claim, false));
        if self.is_granted(tx) {
            Scheduled::Granted
        } else {
            Scheduled::Waiting
        }
    }

    fn is_granted(&self, tx: TxId) -> bool {
        let claim = &self.claims[&tx].0;
        !self
            .claims
            .range(..tx)
            .any(|(_, (other, _))| conflict(other, claim))
    }

    fn granted(&self) -> BTreeSet<TxId> {
        self.claims
            .keys()
            .copied()
            .filter(|&tx| self.is_granted(tx))
            .collect()
    }

    fn conflicts(&self, claim: &Claim) -> bool {
        self.claims
            .values()
            .any(|(other, _)| conflict(other, claim))
    }

    fn random_id(&self, random: &mut Random) -> Option<TxId> {
        let len = self.claims.len();
        (len > 0).then(|| *self.claims.keys().nth(random.index(len)).unwrap())
    }
}

/// Releases in both; the reported ones must be those which the model finds newly granted.
fn release_in_both(table: &mut LockTable, model: &mut Model, tx: TxId) {
    let before = model.granted();
    model.claims.remove(&tx);
    let expected: Vec<TxId> = model.granted().difference(&before).copied().collect();
    let mut granted = vec![TxId(u64::MAX)];
    table.release(tx, &mut granted);
    assert_eq!(
        granted[0],
        TxId(u64::MAX),
        "what the caller had stays in front"
    );
    assert_eq!(granted[1..], expected, "released {tx:?}");
}

fn compare(table: &LockTable, model: &Model, random: &mut Random) {
    assert_eq!(table.len(), model.claims.len());
    assert_eq!(table.is_empty(), model.claims.is_empty());
    let started: Vec<&Claim> = model
        .claims
        .values()
        .filter(|(_, started)| *started)
        .map(|(claim, _)| claim)
        .collect();
    for (index, first) in started.iter().enumerate() {
        assert!(
            !started[index + 1..]
                .iter()
                .any(|second| conflict(first, second))
        );
    }
    for &tx in model.claims.keys() {
        assert_eq!(table.is_granted(tx), model.is_granted(tx), "{tx:?}");
    }
    let (fingerprint, mode) = (random.below(8), random_mode(random));
    assert_eq!(
        table.conflicts(fingerprint, mode),
        model.conflicts(&key(fingerprint, mode))
    );
    let claim = random_claim(random, 8, 8);
    assert_eq!(
        table.claim_conflicts(&claim),
        model.conflicts(&claim),
        "{claim:?}"
    );
}

#[test]
fn table_answers_as_the_model_of_all_pairs() {
    let mut random = Random::new(seed());
    let mut seen = [0_u32; 3];
    for _ in 0..200 {
        let (mut table, mut model) = (LockTable::new(), Model::default());
        let whole_one_in = 1 + random.below(30);
        for _ in 0..150 {
            let tx = TxId(random.below(60));
            match random.below(5) {
                0..=1 if !model.claims.contains_key(&tx) => {
                    let claim = random_claim(&mut random, 8, whole_one_in);
                    let outcome = table.schedule(tx, claim.clone());
                    assert_eq!(outcome, model.schedule(tx, claim));
                    seen[outcome as usize] += 1;
                }
                0..=2 => {
                    let chosen = model
                        .random_id(&mut random)
                        .filter(|&tx| model.is_granted(tx));
                    if let Some(tx) = chosen {
                        table.start(tx);
                        model.claims.get_mut(&tx).unwrap().1 = true;
                    }
                }
                _ => {
                    if let Some(tx) = model.random_id(&mut random) {
                        release_in_both(&mut table, &mut model, tx);
                    }
                }
            }
            compare(&table, &model, &mut random);
        }
        while let Some(tx) = model.random_id(&mut random) {
            release_in_both(&mut table, &mut model, tx);
        }
        assert!(table.is_empty() && table.queues.is_empty() && table.wholes.is_empty());
    }
    assert!(
        seen.iter().all(|&count| count > 500),
        "every outcome is tried: {seen:?}"
    );
}

#[test]
fn a_first_claim_stands_before_all_that_wait_and_behind_what_has_started() {
    let mut table = LockTable::new();
    table.schedule(TxId(1), key(7, Mode::Exclusive));
    table.start(TxId(1));
    table.schedule(TxId(2), key(7, Mode::Exclusive));
    table.schedule(TxId(3), whole(Mode::Shared));
    assert!(!table.start_first(TxId(9), key(7, Mode::Exclusive)));
    assert_eq!(table.len(), 3, "the table is unchanged");
    assert_eq!(released(&mut table, 1), [2]);
    assert!(table.start_first(TxId(9), key(7, Mode::Exclusive)));
    assert!(!table.is_granted(TxId(2)) && !table.is_granted(TxId(3)));
    // It refuses nobody: what comes late waits for it, as it waits for nobody.
    assert_eq!(
        table.schedule(TxId(0), key(7, Mode::Shared)),
        Scheduled::Waiting
    );
    assert!(table.start_first(TxId(10), key(8, Mode::Exclusive)));
    assert_eq!(released(&mut table, 9), [0]);
    assert_eq!(released(&mut table, 0), [2]);
    assert_eq!(released(&mut table, 2), []);
    assert_eq!(released(&mut table, 10), [3]);
}

#[test]
fn a_claim_that_comes_back_stands_behind_all_others() {
    let mut table = LockTable::new();
    table.schedule(TxId(1), key(7, Mode::Exclusive));
    table.schedule(TxId(2), key(7, Mode::Shared));
    let mut waiting: Vec<TxId> = table.waiting().collect();
    waiting.sort_unstable();
    assert_eq!(waiting, [TxId(1), TxId(2)]);
    table.renew(TxId(1), TxId(3));
    assert!(table.is_granted(TxId(2)));
    assert_eq!(released(&mut table, 2), [3]);
    table.start(TxId(3));
    assert_eq!(table.waiting().count(), 0);
}

/// First claims come and go between others in any order: no two that conflict have started, and whoever stands behind
/// one is granted again.
#[test]
fn first_claims_leave_the_others_in_their_order() {
    let mut random = Random::new(seed());
    let mut kept = 0;
    for _ in 0..300 {
        let mut table = LockTable::new();
        let mut started: BTreeMap<TxId, Claim> = BTreeMap::new();
        let mut order: Vec<TxId> = Vec::new();
        let mut firsts: BTreeMap<TxId, Claim> = BTreeMap::new();
        let claims: BTreeMap<TxId, Claim> = (1..30)
            .map(|tx| (TxId(tx), random_claim(&mut random, 4, 12)))
            .collect();
        for (tx, claim) in &claims {
            assert_ne!(table.schedule(*tx, claim.clone()), Scheduled::Refused);
            if random.below(2) == 0 {
                let tx = TxId(tx.0 + 1000);
                let claim = key(random.below(4), Mode::Exclusive);
                if table.start_first(tx, claim.clone()) {
                    kept += 1;
                    firsts.insert(tx, claim);
                }
            }
        }
        while order.len() < claims.len() {
            let ready: Vec<TxId> = table.waiting().filter(|tx| table.is_granted(*tx)).collect();
            let left: Vec<TxId> = started.keys().chain(firsts.keys()).copied().collect();
            if !ready.is_empty() && random.below(2) == 0 {
                let tx = ready[random.index(ready.len())];
                table.start(tx);
                let claim = &claims[&tx];
                let others = started.values().chain(firsts.values());
                assert!(!others.into_iter().any(|other| conflict(other, claim)));
                started.insert(tx, claim.clone());
                order.push(tx);
            } else if !left.is_empty() {
                let tx = left[random.index(left.len())];
                started.remove(&tx);
                firsts.remove(&tx);
                released(&mut table, tx.0);
            } else {
                assert!(!ready.is_empty(), "somebody may go on");
            }
        }
        for (index, first) in order.iter().enumerate() {
            for second in &order[index + 1..] {
                assert!(first < second || !conflict(&claims[first], &claims[second]));
            }
        }
    }
    assert!(kept > 1000, "{kept} first claims");
}

#[test]
fn a_claim_is_wanted_while_another_waits_for_it() {
    let mut table = LockTable::default();
    table.schedule(TxId(1), key(7, Mode::Exclusive));
    table.start(TxId(1));
    assert!(!table.is_wanted(TxId(1)));
    table.schedule(TxId(2), key(8, Mode::Exclusive));
    assert!(!table.is_wanted(TxId(1)), "another key");
    table.schedule(TxId(3), key(7, Mode::Shared));
    assert!(table.is_wanted(TxId(1)), "a reader of its key");
    table.release(TxId(3), &mut Vec::new());
    assert!(!table.is_wanted(TxId(1)));
    table.schedule(TxId(4), whole(Mode::Shared));
    assert!(table.is_wanted(TxId(1)), "who wants the whole shard");
    assert!(!table.is_wanted(TxId(9)), "no claim");
}
