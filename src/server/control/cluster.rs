//! CLUSTER, READONLY, READWRITE: the cores of this process as the nodes of a cluster.
//!
//! With `shard-ports` on, every core listens on a port of its own and owns a range of slots. A client
//! that speaks the cluster protocol learns from `CLUSTER SLOTS` where each slot lives and sends its
//! commands to the core that has the key, so that no request crosses from core to core. A command that
//! comes to another core works all the same: nobody is ever redirected.
//!
//! Invariants
//! - A connection keeps the port it came in by for life, also when it moves to another core, so what
//!   it calls "myself" never changes. One that came in by none of the ports of the cores sees core 0.
//! - Ids of nodes are the same on all cores and change only when the process starts anew.
//!
//! Not here: links, epochs, replicas and changes of slots. There are none within a process, and the
//! figures about them are 0.

use base::hash::{KeyHasher, Set, key_slot};
use base::ids::{DbIndex, ShardId, SlotId};
use base::limits::SLOT_COUNT;
use base::number::parse_i64;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};

use super::declarations::cluster as declared;
use super::{Answer, ControlCommand, ControlContext, command};
use crate::core_loop::Core;
use crate::gather::{Finished, Gather, Whom};

pub(super) const COMMANDS: &[ControlCommand] = &[
    ControlCommand {
        declaration: &declared::CLUSTER,
        run: cluster,
    },
    ControlCommand {
        declaration: &declared::READONLY,
        run: reads,
    },
    ControlCommand {
        declaration: &declared::READWRITE,
        run: reads,
    },
];

const IS_OFF: CommandError = CommandError::Text("ERR This instance has cluster support disabled");

fn require_cluster(context: &ControlContext<'_>) -> Result<(), CommandError> {
    if context.engine.shared.shard_ports.is_empty() {
        return Err(IS_OFF);
    }
    Ok(())
}

/// There are no replicas, so both commands change nothing.
fn reads(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    require_cluster(context)?;
    Ok(context.ok())
}

fn cluster(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    require_cluster(context)?;
    let word = args.word(1);
    if equals_ignore_case(word, "COUNTKEYSINSLOT") {
        return count_keys(context, args);
    } else if equals_ignore_case(word, "GETKEYSINSLOT") {
        return keys(context, args);
    }
    let view = View::of(context);
    let mut reply = context.reply();
    if equals_ignore_case(word, "SLOTS") {
        view.slots(&mut reply);
    } else if equals_ignore_case(word, "SHARDS") {
        view.shards(&mut reply);
    } else if equals_ignore_case(word, "NODES") {
        reply.verbatim("txt", view.nodes_text().as_bytes());
    } else if equals_ignore_case(word, "INFO") {
        reply.verbatim("txt", view.info_text().as_bytes());
    } else if equals_ignore_case(word, "MYID") {
        reply.bulk_text(&view.nodes[view.myself].id);
    } else if equals_ignore_case(word, "MYSHARDID") {
        reply.bulk_text(&view.nodes[view.myself].shard_id);
    } else if equals_ignore_case(word, "KEYSLOT") {
        reply.integer(i64::from(key_slot(args.word(2)).0));
    } else if equals_ignore_case(word, "LINKS") {
        reply.array(0);
    } else {
        command::help(&declared::CLUSTER, &mut reply);
    }
    Ok(Answer::Now)
}

/// A core as a client of the cluster sees it.
#[derive(Clone, Debug)]
struct Node {
    /// 40 hexadecimal digits.
    id: String,
    /// The same for the shard, which a replica would share.
    shard_id: String,
    port: u16,
    /// First and last slot.
    slots: (SlotId, SlotId),
}

/// The cluster as one client sees it.
#[derive(Clone, Debug)]
struct View {
    /// The address that the client has connected to, and so can reach.
    ip: String,
    nodes: Vec<Node>,
    /// Which of them the client is connected to.
    myself: usize,
}

impl View {
    fn of(context: &ControlContext<'_>) -> Self {
        let shared = &context.engine.shared;
        let map = context.engine.map;
        let nodes: Vec<Node> = map
            .shards()
            .zip(&shared.shard_ports)
            .map(|(shard, port)| Node {
                id: derived_id(&shared.run_id, &format!("node {}", shard.0)),
                shard_id: derived_id(&shared.run_id, &format!("shard {}", shard.0)),
                port: *port,
                slots: map.slots_of(shard),
            })
            .collect();
        let about = &context.connection.session.about;
        let reached = about.local_address.rsplit_once(':');
        let (ip, port) = match reached {
            Some((ip, port)) if !about.is_unix => (ip, port.parse::<u16>().ok()),
            Some(_) | None => (LOCAL, None),
        };
        Self {
            ip: ip.trim_matches(['[', ']']).to_owned(),
            myself: port
                .and_then(|port| nodes.iter().position(|node| node.port == port))
                .unwrap_or(0),
            nodes,
        }
    }

    fn slots(&self, reply: &mut Reply<'_>) {
        reply.array(self.nodes.len());
        for node in &self.nodes {
            reply.array(3);
            reply.integer(i64::from(node.slots.0.0));
            reply.integer(i64::from(node.slots.1.0));
            reply.array(4);
            reply.bulk_text(&self.ip);
            reply.integer(i64::from(node.port));
            reply.bulk_text(&node.id);
            reply.map(0);
        }
    }

    fn shards(&self, reply: &mut Reply<'_>) {
        reply.array(self.nodes.len());
        for node in &self.nodes {
            reply.map(2);
            reply.bulk_text("slots");
            reply.array(2);
            reply.integer(i64::from(node.slots.0.0));
            reply.integer(i64::from(node.slots.1.0));
            reply.bulk_text("nodes");
            reply.array(1);
            reply.map(7);
            reply.bulk_text("id");
            reply.bulk_text(&node.id);
            reply.bulk_text("port");
            reply.integer(i64::from(node.port));
            reply.bulk_text("ip");
            reply.bulk_text(&self.ip);
            reply.bulk_text("endpoint");
            reply.bulk_text(&self.ip);
            reply.bulk_text("role");
            reply.bulk_text("master");
            reply.bulk_text("replication-offset");
            reply.integer(0);
            reply.bulk_text("health");
            reply.bulk_text("online");
        }
    }

    /// One line per node. There is no port between nodes, so the number behind the `@` is 0.
    fn nodes_text(&self) -> String {
        let mut text = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let flags = if index == self.myself {
                "myself,master"
            } else {
                "master"
            };
            let Node {
                id, port, slots, ..
            } = node;
            let (ip, first, last) = (&self.ip, slots.0.0, slots.1.0);
            text.push_str(&format!(
                "{id} {ip}:{port}@0 {flags} - 0 0 0 connected {first}-{last}\n"
            ));
        }
        text
    }

    fn info_text(&self) -> String {
        let count = self.nodes.len();
        format!(
            "cluster_state:ok\r\ncluster_slots_assigned:{SLOT_COUNT}\r\n\
             cluster_slots_ok:{SLOT_COUNT}\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n\
             cluster_known_nodes:{count}\r\ncluster_size:{count}\r\ncluster_current_epoch:0\r\n\
             cluster_my_epoch:0\r\ncluster_stats_messages_sent:0\r\n\
             cluster_stats_messages_received:0\r\n\
             total_cluster_links_buffer_limit_exceeded:0\r\n"
        )
    }
}

/// What a client that came in by a Unix socket can reach.
const LOCAL: &str = "127.0.0.1";

/// Returns 40 hexadecimal digits that follow from the id of this run and `what` alone.
#[must_use]
pub(super) fn derived_id(run_id: &str, what: &str) -> String {
    let text = format!("{run_id} {what}");
    let part = |seed: u64| KeyHasher::new((seed, seed)).hash(text.as_bytes());
    let mut id = format!("{:016x}{:016x}{:016x}", part(1), part(2), part(3));
    id.truncate(40);
    id
}

/// Keys that one step of a walk looks at; between steps the core serves others.
const STEP_KEYS: usize = 4096;

/// A walk over the keys of the shard that owns a slot.
#[derive(Debug)]
struct Walk {
    owner: ShardId,
    slot: SlotId,
    /// Keys to be listed; none if they are only counted.
    wanted: Option<usize>,
    resp: Resp,
    found: Set<Vec<u8>>,
    count: u64,
}

/// Cost: O(keys of the shard), in steps. Keys are not kept by slot: the walk is for tools that ask
/// rarely, and an index would cost memory per key and time per write. Keys that are written during
/// the walk may be counted twice or not at all.
fn count_keys(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let slot = parse_i64(args.word(2)).ok_or(CommandError::NotInteger)?;
    let slot = slot_of(slot).ok_or(CommandError::Text("ERR Invalid slot"))?;
    Ok(walk(context, slot, None))
}

fn keys(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    const INVALID: CommandError = CommandError::Text("ERR Invalid slot or number of keys");
    let slot = parse_i64(args.word(2)).ok_or(CommandError::NotInteger)?;
    let count = parse_i64(args.word(3)).ok_or(CommandError::NotInteger)?;
    let slot = slot_of(slot).ok_or(INVALID)?;
    let count = usize::try_from(count).map_err(|_negative| INVALID)?;
    Ok(walk(context, slot, Some(count)))
}

fn slot_of(number: i64) -> Option<SlotId> {
    let slot = u16::try_from(number).ok()?;
    (slot < SLOT_COUNT).then_some(SlotId(slot))
}

fn walk(context: &mut ControlContext<'_>, slot: SlotId, wanted: Option<usize>) -> Answer {
    let walk = Walk {
        owner: context.engine.map.shard_of_slot(slot),
        slot,
        wanted,
        resp: context.session().resp,
        found: Set::default(),
        count: 0,
    };
    Answer::Gather(walk.step(0))
}

impl Walk {
    fn step(mut self, cursor: u64) -> Gather {
        let (slot, is_listing) = (self.slot, self.wanted.is_some());
        Gather::new(
            Whom::One(self.owner),
            move |core| look(core, slot, cursor, is_listing),
            move |_, parts| {
                let mut next = 0;
                for part in parts {
                    next = part.next;
                    self.count += part.count;
                    self.found.extend(part.keys);
                }
                let is_full = self.wanted.is_some_and(|wanted| self.found.len() >= wanted);
                if next == 0 || is_full {
                    Finished::Reply(self.reply())
                } else {
                    Finished::More(self.step(next))
                }
            },
        )
    }

    fn reply(self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, self.resp);
        match self.wanted {
            None => reply.integer(i64::try_from(self.count).unwrap_or(i64::MAX)),
            Some(wanted) => {
                let len = self.found.len().min(wanted);
                reply.array(len);
                for key in self.found.iter().take(len) {
                    reply.bulk(key);
                }
            }
        }
        out
    }
}

/// What one step of a walk gave.
struct Looked {
    /// Where to go on, 0 at the end.
    next: u64,
    count: u64,
    keys: Vec<Vec<u8>>,
}

fn look(core: &mut Core, slot: SlotId, cursor: u64, is_listing: bool) -> Looked {
    let mut looked = Looked {
        next: 0,
        count: 0,
        keys: Vec::new(),
    };
    let mut database = core.engine.host.shard.db(DbIndex(0));
    looked.next = database.scan(cursor, STEP_KEYS, &mut |entry| {
        if key_slot(entry.key()) == slot {
            looked.count += 1;
            if is_listing {
                looked.keys.push(entry.key().to_vec());
            }
        }
    });
    looked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(ports: &[u16]) -> View {
        let map = coordinator::route::SlotMap::new(u16::try_from(ports.len()).unwrap());
        let nodes = map.shards().zip(ports).map(|(shard, port)| Node {
            id: derived_id("run", &format!("node {}", shard.0)),
            shard_id: derived_id("run", &format!("shard {}", shard.0)),
            port: *port,
            slots: map.slots_of(shard),
        });
        View {
            ip: "10.0.0.1".to_owned(),
            nodes: nodes.collect(),
            myself: 1,
        }
    }

    #[test]
    fn ids_are_40_digits_and_differ() {
        let ids: Vec<String> = (0..64)
            .map(|shard| derived_id("run", &format!("node {shard}")))
            .collect();
        for (index, id) in ids.iter().enumerate() {
            assert_eq!(id.len(), 40);
            assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(!ids[..index].contains(id));
        }
        assert_eq!(derived_id("run", "node 3"), ids[3]);
        assert_ne!(derived_id("other run", "node 3"), ids[3]);
    }

    #[test]
    fn nodes_share_all_slots_and_one_is_myself() {
        let text = view(&[7001, 7002]).nodes_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with(" 10.0.0.1:7001@0 master - 0 0 0 connected 0-8191"));
        assert!(lines[1].ends_with(" 10.0.0.1:7002@0 myself,master - 0 0 0 connected 8192-16383"));
    }

    #[test]
    fn slots_beyond_the_last_do_not_exist() {
        assert_eq!(slot_of(-1), None);
        assert_eq!(slot_of(0), Some(SlotId(0)));
        assert_eq!(slot_of(16_383), Some(SlotId(16_383)));
        assert_eq!(slot_of(16_384), None);
    }
}
