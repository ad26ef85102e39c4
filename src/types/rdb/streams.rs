//! Streams to bytes and back.
//!
//! ```text
//!   count | node ...                 node      string of 16 bytes: its id; string: its listpack
//!   len | id last | id first | id max deleted | entries added
//!   count | group ...                group     name | id last | entries read
//!                                              count | pending ... | count | consumer ...
//!                                    pending   16 bytes: id | i64 delivered at | delivery count
//!                                    consumer  name | i64 seen at | count | 16 bytes: id ...
//! ```
//!
//! An `id` outside of the 16 bytes, which are big endian, is two lengths. Before Redis 7.0 there were
//! no first id, no deleted one, and no numbers of entries added and read; 7.2 has a second time with
//! each consumer, which is read and passed over.
//!
//! Not here: the listpacks of nodes (`crate::stream::node`).

use std::collections::BTreeMap;

use super::kind;
use super::read::listpack;
use super::sink::{Sink, count, length, string};
use super::source::Source;
use crate::stream::Stream;
use crate::stream::group::{Claim, Group};
use crate::stream::id::Id;
use crate::stream::log::{Figures, Log};

/// The number of entries read that says that it is not known.
const UNKNOWN: i64 = -1;

/// What the group knows of a pending entry.
struct Delivered {
    at_ms: i64,
    count: u64,
}

/// How far a stream has been written.
#[derive(Debug)]
pub(super) enum Place {
    /// Nodes from this id on are to come.
    Nodes(Id),
    /// Groups from this name on.
    Groups(Box<[u8]>),
    /// Pending entries of a group from this id on.
    Pending(Box<[u8]>, Id),
    /// Consumers of a group from this name on.
    Consumers(Box<[u8]>, Box<[u8]>),
    /// Pending entries of a consumer of a group from this id on.
    PendingOf(Box<[u8]>, Box<[u8]>, Id),
}

pub(super) fn begin(sink: &mut impl Sink, stream: &Stream) -> Place {
    count(sink, stream.log().node_count());
    Place::Nodes(Id::MIN)
}

/// Writes what comes next, until the sink has `enough` bytes or another place is reached; nothing at the end.
pub(super) fn advance(
    sink: &mut impl Sink,
    stream: &Stream,
    place: Place,
    enough: usize,
) -> Option<Place> {
    match place {
        Place::Nodes(from) => {
            for (id, listpack) in stream.log().nodes_from(from) {
                string(sink, &id_bytes(id));
                string(sink, listpack.as_bytes());
                if sink.len() >= enough
                    && let Some(next) = id.next()
                {
                    return Some(Place::Nodes(next));
                }
            }
            figures(sink, stream);
            Some(Place::Groups(Box::default()))
        }
        Place::Groups(from) => {
            let (name, group) = stream.groups().iter_from(&from).next()?;
            string(sink, name);
            begin_group(sink, group);
            Some(Place::Pending(name.into(), Id::MIN))
        }
        Place::Pending(name, from) => {
            let group = stream.groups().get(&name)?;
            for (id, pending) in group.pending_from(from) {
                sink.put(&id_bytes(id));
                sink.put(&pending.delivered_at_ms.to_le_bytes());
                length(sink, pending.delivery_count);
                if sink.len() >= enough
                    && let Some(next) = id.next()
                {
                    return Some(Place::Pending(name, next));
                }
            }
            count(sink, group.consumer_count());
            Some(Place::Consumers(name, Box::default()))
        }
        Place::Consumers(name, from) => {
            let group = stream.groups().get(&name)?;
            let Some(consumer) = group.consumers_from(&from).next() else {
                return Some(Place::Groups(behind(&name)));
            };
            string(sink, &consumer.name);
            sink.put(&consumer.seen_at_ms.to_le_bytes());
            count(sink, consumer.pending_count());
            Some(Place::PendingOf(name, consumer.name.clone(), Id::MIN))
        }
        Place::PendingOf(name, consumer, from) => {
            let group = stream.groups().get(&name)?;
            let consumer = group.consumer(group.find_consumer(&consumer)?);
            for (id, _) in group.pending_of(consumer, from) {
                sink.put(&id_bytes(id));
                if sink.len() >= enough
                    && let Some(next) = id.next()
                {
                    return Some(Place::PendingOf(name, consumer.name.clone(), next));
                }
            }
            let next = behind(&consumer.name);
            Some(Place::Consumers(name, next))
        }
    }
}

/// Returns the first name behind this one.
fn behind(name: &[u8]) -> Box<[u8]> {
    [name, b"\0"].concat().into()
}

/// Writes what stands between the nodes and the groups.
fn figures(sink: &mut impl Sink, stream: &Stream) {
    let log = stream.log();
    length(sink, log.len());
    for id in [log.last_id(), log.first_id(), log.max_deleted_id()] {
        write_id(sink, id);
    }
    length(sink, log.entries_added());
    count(sink, stream.groups().len());
}

/// Writes what stands before the pending entries of a group.
fn begin_group(sink: &mut impl Sink, group: &Group) {
    write_id(sink, group.last_id());
    let read = group.entries_read().unwrap_or(UNKNOWN);
    length(sink, read.cast_unsigned());
    count(sink, group.pending_count());
}

fn write_id(sink: &mut impl Sink, id: Id) {
    length(sink, id.ms);
    length(sink, id.sequence);
}

fn id_bytes(id: Id) -> [u8; 16] {
    let both = u128::from(id.ms) << 64 | u128::from(id.sequence);
    both.to_be_bytes()
}

fn id_from(bytes: [u8; 16]) -> Id {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    Id::new(
        u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        u64::from_be_bytes(rest),
    )
}

/// Reads a stream of one of the three forms.
pub(super) fn read(source: &mut Source<'_>, form: u8) -> Option<Stream> {
    let mut nodes = Vec::new();
    for _ in 0..source.count()? {
        let id: [u8; 16] = source.string()?.as_ref().try_into().ok()?;
        nodes.push((id_from(id), listpack(source)?));
    }
    let len = source.length()?;
    let last_id = read_id(source)?;
    let mut figures = Figures {
        len,
        last_id,
        max_deleted_id: Id::MIN,
        entries_added: len,
    };
    if form != kind::STREAM {
        // The first id follows from the entries.
        read_id(source)?;
        figures.max_deleted_id = read_id(source)?;
        figures.entries_added = source.length()?;
    }
    let mut stream = Stream::default();
    let parts = stream.parts_mut();
    parts.log = Log::from_nodes(nodes, &figures)?;
    for _ in 0..source.count()? {
        let name = source.string()?;
        let last_id = read_id(source)?;
        let entries_read = if form == kind::STREAM {
            parts.log.entries_up_to(last_id).map(u64::cast_signed)
        } else {
            let read = source.length()?.cast_signed();
            (read != UNKNOWN).then_some(read)
        };
        if !parts.groups.create(&name, last_id, entries_read) {
            return None;
        }
        let read = |group: &mut Group| read_group(source, group, form);
        parts.groups.edit(&name, read)??;
    }
    Some(stream)
}

fn read_group(source: &mut Source<'_>, group: &mut Group, form: u8) -> Option<()> {
    let mut pending = BTreeMap::new();
    for _ in 0..source.count()? {
        let id = id_from(source.array()?);
        let delivered = Delivered {
            at_ms: source.millis()?,
            count: source.length()?,
        };
        if pending.insert(id, delivered).is_some() {
            return None;
        }
    }
    for _ in 0..source.count()? {
        let name = source.string()?;
        let consumer = group.create_consumer(&name, source.millis()?)?;
        if form == kind::STREAM_WITH_ACTIVITY {
            source.millis()?;
        }
        for _ in 0..source.count()? {
            let id = id_from(source.array()?);
            // Each pending entry belongs to one consumer.
            let delivered = pending.remove(&id)?;
            let claim = Claim {
                consumer,
                delivered_at_ms: delivered.at_ms,
                delivery_count: delivered.count,
            };
            group.claim(id, claim);
        }
    }
    pending.is_empty().then_some(())
}

fn read_id(source: &mut Source<'_>) -> Option<Id> {
    Some(Id::new(source.length()?, source.length()?))
}
