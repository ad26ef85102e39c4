//! Which transactions of a generation are whole, and what is to be left out because one is not.
//!
//! ```text
//!   shard 0:  ... part of 7 | ... | released 7 | ...
//!   shard 1:  ... part of 7 ...                        both: 7 is whole
//!
//!   shard 0:  ... part of 8 | ...                      the other part was never written: this one is left out
//!   shard 1:  ...
//!
//!   shard 0:  ... part of 9 | ... | released 9 | ...   the other one was written and is gone: the log is cut
//!   shard 1:  ...                                      before the mark
//! ```
//! What may rest on a transaction stands behind its mark, in each log, and marks are made when all parts are
//! written. So a part without a mark behind it can be left out alone. A mark of a transaction that is not whole says
//! that a log has lost its end, as files may that were not synced; then all that may rest on the transaction goes. That may
//! take parts of others with it, and so on.
//!
//! Invariant: of all cuts that leave no mark of a transaction that is not whole this is the largest. There is one, as
//! the larger of two such cuts, log by log, is one too: what is not whole in it is whole in neither.
//!
//! Not here: the files (the server).

use base::hash::{Map, Set};

/// What a record says of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The number of the record.
    pub record: u64,
    /// The transaction.
    pub transaction: u64,
    /// How many shards have a part of it, if this is a part; otherwise it was released.
    pub part_of: Option<u16>,
}

/// What is to be left out of a generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Transactions of which all parts are left out.
    pub transactions: Set<u64>,
    /// By log: the number of the first record that is cut off, with all behind it.
    pub cuts: Vec<Option<u64>>,
}

/// Decides about a generation. `logs` are those of its shards, each in the order of its records. O(parts), and
/// with something to be left out O(parts * log parts).
#[must_use]
pub fn decide(logs: &[Vec<Said>]) -> LeftOut {
    let mut left_out = LeftOut {
        transactions: Set::default(),
        cuts: vec![None; logs.len()],
    };
    let mut open = not_whole(logs);
    if open.is_empty() {
        return left_out;
    }
    let marks = marks_of(logs);
    while let Some(transaction) = open.pop() {
        if !left_out.transactions.insert(transaction) {
            continue;
        }
        for &(log, record) in marks.get(&transaction).into_iter().flatten() {
            let end = left_out.cuts[log].unwrap_or(u64::MAX);
            if record < end {
                left_out.cuts[log] = Some(record);
                let said = &logs[log];
                let from = said.partition_point(|it| it.record < record);
                let cut = said[from..].iter().take_while(|it| it.record < end);
                open.extend(
                    cut.filter(|it| it.part_of.is_some())
                        .map(|it| it.transaction),
                );
            }
        }
    }
    left_out
}

/// Returns the transactions of which parts are missing.
fn not_whole(logs: &[Vec<Said>]) -> Vec<u64> {
    let mut missing: Map<u64, u16> = Map::default();
    for said in logs.iter().flatten() {
        let Some(shards) = said.part_of else { continue };
        let left = missing.entry(said.transaction).or_insert(shards);
        *left = left.saturating_sub(1);
        if *left == 0 {
            missing.remove(&said.transaction);
        }
    }
    let mut open: Vec<u64> = missing.into_keys().collect();
    open.sort_unstable();
    open
}

/// Returns where each transaction was released: log and record.
fn marks_of(logs: &[Vec<Said>]) -> Map<u64, Vec<(usize, u64)>> {
    let mut marks: Map<u64, Vec<(usize, u64)>> = Map::default();
    for (log, said) in logs.iter().enumerate() {
        for said in said.iter().filter(|it| it.part_of.is_none()) {
            let places = marks.entry(said.transaction).or_default();
            places.push((log, said.record));
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use base::random::Random;

    use super::*;

    fn part(record: u64, transaction: u64, shards: u16) -> Said {
        Said {
            record,
            transaction,
            part_of: Some(shards),
        }
    }

    fn mark(record: u64, transaction: u64) -> Said {
        Said {
            record,
            transaction,
            part_of: None,
        }
    }

    #[track_caller]
    fn check(logs: &[Vec<Said>], transactions: &[u64], cuts: &[Option<u64>]) {
        let mut expected = LeftOut::default();
        expected.transactions.extend(transactions);
        expected.cuts.extend(cuts);
        assert_eq!(decide(logs), expected);
    }

    #[test]
    fn whole_transactions_stay_with_or_without_marks() {
        check(&[vec![], vec![]], &[], &[None, None]);
        let logs = [
            vec![part(1, 7, 2), mark(2, 7), part(2, 8, 2)],
            vec![part(5, 8, 2), part(6, 7, 2)],
        ];
        check(&logs, &[], &[None, None]);
    }

    #[test]
    fn a_part_that_nothing_rests_on_is_left_out_alone() {
        let logs = [
            vec![part(3, 7, 3), part(9, 8, 2)],
            vec![part(4, 7, 3)],
            vec![part(1, 8, 2)],
        ];
        check(&logs, &[7], &[None, None, None]);
    }

    #[test]
    fn what_may_rest_on_a_lost_part_is_cut_off_and_so_on() {
        // The log of shard 2 has lost its end, with a part of 7. On shard 0 that takes 8, on shard 1 then 9.
        let logs = [
            vec![part(1, 6, 2), part(1, 7, 2), mark(3, 7), part(4, 8, 2)],
            vec![part(1, 6, 2), part(2, 8, 2), mark(5, 8), part(5, 9, 2)],
            vec![part(1, 9, 2)],
        ];
        check(&logs, &[7, 8, 9], &[Some(3), Some(5), None]);
    }

    #[test]
    fn a_part_of_a_record_that_is_cut_needs_no_other_part() {
        let logs = [
            vec![mark(2, 7), part(2, 8, 2)],
            vec![part(1, 8, 2)],
            vec![part(1, 7, 2)],
        ];
        check(&logs, &[7, 8], &[Some(2), None, None]);
    }

    fn random() -> Random {
        let seed = std::env::var("SEED").map_or(11, |seed| seed.parse().unwrap());
        eprintln!("SEED={seed}");
        Random::new(seed)
    }

    /// Makes logs as servers do: parts in any order of transactions, marks when all are there. Then each loses
    /// its end.
    fn some_logs(random: &mut Random) -> Vec<Vec<Said>> {
        let mut logs: Vec<Vec<Said>> = vec![Vec::new(); 2 + random.index(2)];
        let mut records = vec![0; logs.len()];
        let mut open: Vec<(u64, Vec<usize>, Vec<usize>)> = Vec::new();
        for transaction in 1..=2 + random.below(5) {
            let mut shards: Vec<usize> = (0..logs.len()).collect();
            if shards.len() > 2 && random.index(2) == 0 {
                shards.remove(random.index(3));
            }
            open.push((transaction, shards.clone(), shards));
        }
        while !open.is_empty() {
            let at = random.index(open.len());
            let (transaction, unwritten, shards) = &mut open[at];
            let all = u16::try_from(shards.len()).unwrap();
            let (log, part_of) = if unwritten.is_empty() {
                (shards.pop().unwrap(), None)
            } else {
                let log = unwritten.swap_remove(random.index(unwritten.len()));
                (log, Some(all))
            };
            records[log] += random.below(2);
            logs[log].push(Said {
                record: records[log],
                transaction: *transaction,
                part_of,
            });
            if shards.is_empty() {
                open.swap_remove(at);
            }
        }
        for said in &mut logs {
            if random.index(2) == 0 {
                let end = random.below(6);
                said.retain(|it| it.record < end);
            }
        }
        logs
    }

    /// Returns the logs up to their cuts.
    fn cut(logs: &[Vec<Said>], cuts: &[u64]) -> Vec<Vec<Said>> {
        let kept = |(said, end): (&Vec<Said>, &u64)| {
            let kept = said.iter().filter(|it| it.record < *end);
            kept.copied().collect()
        };
        logs.iter().zip(cuts).map(kept).collect()
    }

    fn is_consistent(logs: &[Vec<Said>]) -> bool {
        let open = not_whole(logs);
        let mut said = logs.iter().flatten();
        !said.any(|it| it.part_of.is_none() && is_open(logs, &open, it.transaction))
    }

    /// A mark whose parts are all gone is one of a transaction that is not whole, too.
    fn is_open(logs: &[Vec<Said>], open: &[u64], transaction: u64) -> bool {
        let mut said = logs.iter().flatten();
        open.contains(&transaction)
            || !said.any(|it| it.part_of.is_some() && it.transaction == transaction)
    }

    #[test]
    fn the_cut_is_the_largest_of_all_that_are_consistent() {
        let mut random = random();
        for _ in 0..1000 {
            let logs = some_logs(&mut random);
            let decided = decide(&logs);
            let records = logs.iter().flatten().map(|it| it.record);
            let most = 1 + records.max().unwrap_or(0);
            let cuts: Vec<u64> = decided.cuts.iter().map(|it| it.unwrap_or(most)).collect();
            let kept = cut(&logs, &cuts);
            assert!(is_consistent(&kept), "{logs:?}: {decided:?}");
            let open: Set<u64> = not_whole(&kept).into_iter().collect();
            assert!(
                open.is_subset(&decided.transactions),
                "{logs:?}: {decided:?}"
            );
            // All others: none that is consistent keeps a record that was cut off.
            let count = (most + 1).pow(u32::try_from(logs.len()).unwrap());
            for number in 0..count {
                let mut number = number;
                let others: Vec<u64> = logs
                    .iter()
                    .map(|_| {
                        let end = number % (most + 1);
                        number /= most + 1;
                        end
                    })
                    .collect();
                if others.iter().zip(&cuts).any(|(other, cut)| other > cut) {
                    let kept_more = cut(&logs, &others);
                    let has_more = kept_more
                        .iter()
                        .zip(&kept)
                        .any(|(more, kept)| more.len() > kept.len());
                    assert!(
                        !has_more || !is_consistent(&kept_more),
                        "{logs:?}: {decided:?}, {others:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_decision_about_what_was_cut_in_part_is_the_same() {
        let mut random = random();
        for _ in 0..5000 {
            let logs = some_logs(&mut random);
            let decided = decide(&logs);
            // A server that ends in the midst has cut some of the files.
            let cuts = decided.cuts.iter().map(|it| match it {
                Some(at) if random.index(2) == 0 => *at,
                _ => u64::MAX,
            });
            let cuts: Vec<u64> = cuts.collect();
            let again = decide(&cut(&logs, &cuts));
            let ends = |cuts: &[Option<u64>]| -> Vec<u64> {
                cuts.iter().map(|it| it.unwrap_or(u64::MAX)).collect()
            };
            let ends_again = ends(&again.cuts);
            let both: Vec<u64> = cuts
                .iter()
                .zip(&ends_again)
                .map(|(a, b)| *a.min(b))
                .collect();
            assert_eq!(both, ends(&decided.cuts), "{logs:?}");
        }
    }
}
