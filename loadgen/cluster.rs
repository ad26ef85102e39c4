//! Clusters: which node serves which slots, and hash tags that lead to a slot.
//!
//! A request with `{tag}` in its key goes to the node of its connection if the five bytes become
//! `{xyz}`, where `xyz` hashes to one of the node's slots. The table of such tags is computed once:
//! all words of three letters and digits, of which each slot keeps the first.
//!
//! Source: replies of Redis 7.0.15 to CLUSTER SLOTS.
//!
//! Not here: connections and what they do with a tag (`client`).

use anyhow::{Result, bail, ensure};
use base::hash::key_slot;
use base::limits::SLOT_COUNT;

use crate::options::{Options, Target};
use crate::probe::{Answer, Probe, name_of};

/// A primary of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Name within the cluster; empty if the server does not tell.
    pub(crate) id: String,
    /// Where it listens.
    pub(crate) target: Target,
    /// Slots it serves, ascending.
    pub(crate) slots: Vec<u16>,
}

/// Asks `target` for the primaries of its cluster, ordered by their first slot.
///
/// # Errors
///
/// If the node cannot be reached, is not part of a cluster, or knows no slots.
pub(crate) fn fetch(target: &Target, options: &Options) -> Result<Vec<Node>> {
    let mut probe = Probe::open(target, options)?;
    let mut answers = probe.ask(&[&[b"CLUSTER", b"SLOTS"]])?;
    let answer = answers.pop().unwrap_or(Answer::Null);
    if let Answer::Error(text) = &answer {
        bail!(
            "Cluster node {0} replied with error:\n{text}\n\
             Failed to fetch cluster configuration from {0}",
            name_of(target)
        );
    }
    let nodes = nodes_of(&answer, target)?;
    ensure!(
        !nodes.is_empty(),
        "The cluster of {} serves no slots",
        name_of(target)
    );
    Ok(nodes)
}

/// Reads the answer to CLUSTER SLOTS, which `asked` gave.
fn nodes_of(answer: &Answer, asked: &Target) -> Result<Vec<Node>> {
    let mut nodes: Vec<Node> = Vec::new();
    for range in answer.elements() {
        let [first, last, primary, ..] = range.elements() else {
            bail!("CLUSTER SLOTS: a range has fewer than three parts");
        };
        let (Some(first), Some(last)) = (slot_of(first), slot_of(last)) else {
            bail!("CLUSTER SLOTS: a slot is not a number below {SLOT_COUNT}");
        };
        let [host, port, more @ ..] = primary.elements() else {
            bail!("CLUSTER SLOTS: a node has no address");
        };
        // An empty or unknown host means the one that was asked.
        let host = host.text().filter(|host| !host.is_empty() && host != "?");
        let host = match (host, asked) {
            (Some(host), _) => host,
            (None, Target::Tcp(host, _)) => host.clone(),
            (None, Target::Unix(_)) => "127.0.0.1".to_owned(),
        };
        let Some(port) = port.text().and_then(|port| port.parse().ok()) else {
            bail!("CLUSTER SLOTS: a port is not a number");
        };
        let target = Target::Tcp(host, port);
        let id = more.first().and_then(Answer::text).unwrap_or_default();
        match nodes.iter_mut().find(|node| node.target == target) {
            Some(node) => node.slots.extend(first..=last),
            None => nodes.push(Node {
                id,
                target,
                slots: (first..=last).collect(),
            }),
        }
    }
    for node in &mut nodes {
        node.slots.sort_unstable();
    }
    nodes.sort_by_key(|node| node.slots.first().copied());
    Ok(nodes)
}

fn slot_of(answer: &Answer) -> Option<u16> {
    answer
        .text()?
        .parse()
        .ok()
        .filter(|slot| *slot < SLOT_COUNT)
}

/// For each slot three characters that hash to it.
#[derive(Clone, Debug)]
pub(crate) struct Tags {
    by_slot: Vec<[u8; 3]>,
}

impl Tags {
    /// Computes the table. Cost: 62^3 hashes, some milliseconds.
    pub(crate) fn new() -> Self {
        const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut by_slot = vec![[0; 3]; usize::from(SLOT_COUNT)];
        for &first in LETTERS {
            for &second in LETTERS {
                for &third in LETTERS {
                    let tag = [first, second, third];
                    let slot = &mut by_slot[usize::from(key_slot(&tag).0)];
                    if *slot == [0; 3] {
                        *slot = tag;
                    }
                }
            }
        }
        Self { by_slot }
    }

    /// Returns the tag of `slot`.
    pub(crate) fn tag(&self, slot: u16) -> [u8; 3] {
        self.by_slot[usize::from(slot % SLOT_COUNT)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Answer {
        Answer::Text(text.as_bytes().to_vec())
    }

    fn range(first: &str, last: &str, host: &str, port: &str, id: &str) -> Answer {
        let node = Answer::Array(vec![text(host), text(port), text(id)]);
        Answer::Array(vec![text(first), text(last), node])
    }

    #[test]
    fn every_slot_has_a_tag_that_hashes_to_it() {
        let tags = Tags::new();
        for slot in 0..SLOT_COUNT {
            assert_eq!(key_slot(&tags.tag(slot)).0, slot);
        }
    }

    #[test]
    fn ranges_of_one_node_are_joined_and_nodes_ordered() {
        let answer = Answer::Array(vec![
            range("10", "12", "", "7001", "b"),
            range("0", "1", "10.0.0.1", "7000", "a"),
            range("5", "5", "?", "7001", "b"),
        ]);
        let nodes = nodes_of(&answer, &Target::Tcp("seed".to_owned(), 1)).unwrap();
        assert_eq!(nodes.len(), 2);
        assert_eq!(nodes[0].target, Target::Tcp("10.0.0.1".to_owned(), 7000));
        assert_eq!(nodes[0].slots, [0, 1]);
        assert_eq!(nodes[1].target, Target::Tcp("seed".to_owned(), 7001));
        assert_eq!(
            (nodes[1].slots.as_slice(), nodes[1].id.as_str()),
            (&[5, 10, 11, 12][..], "b")
        );
    }

    #[test]
    fn malformed_topologies_are_errors() {
        let asked = Target::Tcp("seed".to_owned(), 1);
        for range in [
            range("0", "16384", "h", "1", ""),
            range("0", "x", "h", "1", ""),
            range("0", "1", "h", "x", ""),
            Answer::Array(vec![text("0")]),
            Answer::Null,
        ] {
            assert!(nodes_of(&Answer::Array(vec![range]), &asked).is_err());
        }
    }
}
