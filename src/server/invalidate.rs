//! Clients are told that keys they have read, or all keys with a prefix, have changed.
//!
//! ```text
//! a client that tracks reads a key   -> the owner of the key remembers it, before the read runs
//! the key changes (shard::watches)   -> its owner tells the cores of the readers, before the writer's
//!                                       reply leaves; each tells its clients
//! ```
//! The owner is told by a message that goes before the read, on the same lane. So a change between the two
//! tells a client of a key it is about to read, which does no harm: a push never overtakes a reply that is
//! awaited, and the client forgets what it has just got.
//!
//! Invariants
//! - From the `+OK` of `CLIENT TRACKING ON` on, the changes of all cores are noted.
//! - A client that tracks, and one that is told in place of another, stay on their cores.
//! - Who is not to be told of its own changes (NOLOOP) signs them, see [`crate::signed`].
//! - Nobody who does not track pays for it but by a test of a flag per change, which WATCH needs anyway.
//!
//! Not here: what clients ask for (`control::tracking`) and who has read what (`tracking`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::ids::{ClientId, ShardId};
use commands::spec::{Flags, Plan, Spread};
use commands::table;
use net::connection::Connection;
use protocol::args::Args;
use protocol::reply::{Reply, Resp};
use runtime::socket_ring::SocketId;
use shard::watches::{Author, Changed};

use crate::core_loop::Core;
use crate::engine::{CoreMessage, Engine};
use crate::session::Session;
use crate::table::{Command, Run};
use crate::tracking::{Mode, Reader, Readers, Target};

/// The channel by which a subscriber in RESP2 is told.
const CHANNEL: &str = "__redis__:invalidate";

/// What a core is told of changes.
#[derive(Clone, Debug)]
pub enum Told {
    /// A key that one of its clients has read.
    Read(Reader, Arc<[u8]>),
    /// A key, for those who asked for prefixes, but for who has changed it.
    Key(Arc<[u8]>, Option<Author>),
    /// All keys are gone.
    All,
}

/// Between cores, for client-side caching.
#[derive(Debug)]
pub enum CacheMessage {
    /// A client reads keys of the receiver.
    Reads(Reader, Vec<Box<[u8]>>),
    /// What has changed on the sender, in order.
    Changed(Vec<Told>),
    /// Something for a client of the receiver that is told in place of another, which comes first.
    Redirected(Reader, Target, Option<Vec<Arc<[u8]>>>),
    /// The client that is told in place of this one has left.
    Broken(Reader, ClientId),
}

/// What one core knows of clients that cache.
#[derive(Debug, Default)]
pub struct Caching {
    /// Who has read keys of this core.
    pub readers: Readers,
    /// Connections of this core that are told by prefixes.
    pub broadcast: BTreeSet<u64>,
    /// What the cores are to be told, by core.
    leaving: Vec<Vec<Told>>,
}

impl Engine {
    /// Remembers what a client that tracks is about to read. `command` has passed the gates for all.
    #[cold]
    pub(crate) fn track_reads(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        args: Args<'_>,
    ) {
        let session = &mut connection.session;
        let Some(tracking) = &mut session.tracking else {
            return;
        };
        let reader = Reader {
            core: self.me,
            connection: id.to_bits(),
            client: session.client,
        };
        let remembers = tracking.remembers();
        let is_exec = command.full_name == "exec";
        match &session.multi {
            Some(_) if !is_exec => return,
            Some(multi) if remembers => {
                for request in multi.queue.requests() {
                    self.note_reads(reader, request.command, request.args);
                }
            }
            Some(_) => {}
            None => {
                if remembers && let Run::Shard(shard_command) = command.run {
                    self.note_reads(reader, shard_command, args);
                }
            }
        }
        // CLIENT CACHING is for the next command that is none of CLIENT, or for the next MULTI.
        if !command.full_name.starts_with("client") && command.full_name != "multi" {
            tracking.is_chosen = false;
        }
    }

    fn note_reads(
        &mut self,
        reader: Reader,
        command: &commands::spec::ShardCommand,
        args: Args<'_>,
    ) {
        if !command.declaration.flags_of(args).has(Flags::READONLY) {
            return;
        }
        let mut by_core: Vec<(ShardId, Vec<Box<[u8]>>)> = Vec::new();
        if let Spread::Plan(Plan::Table(scope)) = command.spread {
            let Some(word) = args.get(table::table_word(scope)) else {
                return;
            };
            // Rows of a table may change on any core.
            let key = table::key_of(word);
            by_core.extend(self.map.shards().map(|core| (core, vec![key.into()])));
        } else {
            commands::keys::positions(&command.declaration, args, |index, _| {
                let key = args.word(index);
                let core = self.map.shard_of_key(key);
                match by_core.iter_mut().find(|(at, _)| *at == core) {
                    Some((_, keys)) => keys.push(key.into()),
                    None => by_core.push((core, vec![key.into()])),
                }
            });
        }
        for (core, keys) in by_core {
            if core == self.me {
                self.remember(reader, &keys);
            } else {
                let message = CacheMessage::Reads(reader, keys);
                self.outbound
                    .push_back((core, CoreMessage::Caching(Box::new(message))));
            }
        }
    }

    /// Remembers that a client reads keys of this core; gives up others if they are too many, and notes
    /// these as changed.
    fn remember(&mut self, reader: Reader, keys: &[Box<[u8]>]) {
        let cores = u64::from(self.map.shard_count());
        let limit = self.config.settings().tracked_keys_max.div_ceil(cores);
        for key in keys {
            self.caching.readers.insert(key, reader);
        }
        while limit > 0 && base::cast::u64_from(self.caching.readers.len()) > limit {
            let Some((key, readers)) = self.caching.readers.give_up() else {
                break;
            };
            self.tell_readers(&key.into(), readers.into_iter());
        }
        self.send_told();
    }

    fn tell_readers(&mut self, key: &Arc<[u8]>, readers: impl Iterator<Item = Reader>) {
        for reader in readers {
            self.tell_core(reader.core, Told::Read(reader, Arc::clone(key)));
        }
    }

    /// Notes what a core is to be told.
    fn tell_core(&mut self, core: ShardId, told: Told) {
        let leaving = &mut self.caching.leaving;
        if leaving.len() <= core.index() {
            leaving.resize_with(core.index() + 1, Vec::new);
        }
        leaving[core.index()].push(told);
    }

    /// Sends each core what it is to be told, in one message.
    fn send_told(&mut self) {
        for core in self.map.shards() {
            let leaving = self.caching.leaving.get_mut(core.index());
            if let Some(leaving) = leaving.filter(|leaving| !leaving.is_empty()) {
                let message = CacheMessage::Changed(std::mem::take(leaving));
                self.outbound
                    .push_back((core, CoreMessage::Caching(Box::new(message))));
            }
        }
    }

    /// Tells all cores what has changed on this one. Cost: O(changes and those who have read the keys).
    pub(crate) fn tell_changes(&mut self) {
        for change in self.host.shard.take_changes() {
            match change {
                Changed::Key(key, author) => {
                    let readers = self.caching.readers.take(&key).into_iter();
                    let others = readers.filter(|reader| {
                        author.is_none_or(|it| {
                            (it.core, it.connection) != (reader.core, reader.connection)
                        })
                    });
                    let key: Arc<[u8]> = key.into();
                    self.tell_readers(&key, others);
                    for core in self.map.shards() {
                        if self.shared.broadcasting.is_listening(core) {
                            self.tell_core(core, Told::Key(Arc::clone(&key), author));
                        }
                    }
                }
                // Every shard notes it; one tells.
                Changed::All => {
                    self.caching.readers.clear();
                    if self.me == ShardId(0) {
                        for core in self.map.shards() {
                            self.tell_core(core, Told::All);
                        }
                    }
                }
            }
        }
        self.send_told();
    }

    /// Ends `CLIENT TRACKING` for a client.
    pub(crate) fn end_tracking(&mut self, id: SocketId, session: &mut Session) {
        if session.tracking.take().is_none() {
            return;
        }
        self.shared.tracking_count.fetch_sub(1, Ordering::Release);
        if self.caching.broadcast.remove(&id.to_bits()) {
            self.shared.broadcasting.remove(self.me, 1);
        }
        session.review();
    }
}

impl Core {
    /// Takes a message about client-side caching.
    pub(crate) fn take_caching(&mut self, message: CacheMessage) {
        match message {
            CacheMessage::Reads(reader, keys) => self.engine.remember(reader, &keys),
            CacheMessage::Changed(list) => self.tell_clients(list),
            CacheMessage::Redirected(source, target, keys) => {
                self.tell_target(source, target, keys.as_deref());
            }
            CacheMessage::Broken(source, target) => self.tell_broken(source, target),
        }
    }

    fn tell_clients(&mut self, list: Vec<Told>) {
        // In runs, as one message tells a client of all keys with its prefix.
        let mut keys: Vec<(Arc<[u8]>, Option<Author>)> = Vec::new();
        for told in list {
            match told {
                Told::Key(key, author) => keys.push((key, author)),
                Told::Read(reader, key) => self.tell_reader(reader, &[key]),
                Told::All => {
                    self.broadcast(&std::mem::take(&mut keys));
                    self.tell_all();
                }
            }
        }
        self.broadcast(&keys);
    }

    fn tell_reader(&mut self, reader: Reader, keys: &[Arc<[u8]>]) {
        let id = SocketId::from_bits(reader.connection);
        if let Some(connection) = self.net.connection_mut(id)
            && connection.session.client == reader.client
            && let Some(tracking) = &connection.session.tracking
            && tracking.mode != Mode::Broadcast
        {
            self.tell(id, Some(keys));
        }
    }

    fn tell_all(&mut self) {
        let tracking: Vec<SocketId> = self
            .net
            .iter()
            .filter(|(_, connection)| connection.session.tracking.is_some())
            .map(|(id, _)| id)
            .collect();
        for id in tracking {
            self.tell(id, None);
        }
    }

    /// Tells each client of the keys with each of its prefixes. Cost: O(clients, prefixes, keys).
    fn broadcast(&mut self, keys: &[(Arc<[u8]>, Option<Author>)]) {
        if keys.is_empty() {
            return;
        }
        let me = self.engine.me;
        let clients: Vec<u64> = self.engine.caching.broadcast.iter().copied().collect();
        for bits in clients {
            let id = SocketId::from_bits(bits);
            let own = Some(Author {
                core: me,
                connection: bits,
            });
            let others = keys.iter().filter(|(_, author)| *author != own);
            let keys: BTreeSet<&Arc<[u8]>> = others.map(|(key, _)| key).collect();
            let tracking = self
                .net
                .connection_mut(id)
                .and_then(|connection| connection.session.tracking.clone());
            for prefix in tracking.iter().flat_map(|tracking| &tracking.prefixes) {
                let meant = keys.iter().filter(|key| key.starts_with(prefix));
                let meant: Vec<Arc<[u8]>> = meant.map(|key| Arc::clone(key)).collect();
                if !meant.is_empty() {
                    self.tell(id, Some(&meant));
                }
            }
        }
    }

    /// Tells a client, or who is told in its place, of keys; without keys, of all.
    fn tell(&mut self, id: SocketId, keys: Option<&[Arc<[u8]>]>) {
        let me = self.engine.me;
        let Some(connection) = self.net.connection_mut(id) else {
            return;
        };
        let session = &connection.session;
        let redirect = session.tracking.as_ref().and_then(|it| it.redirect);
        let Some(target) = redirect else {
            if session.resp == Resp::V3 {
                push(connection, |reply| write_invalidate(reply, keys));
                self.net.wrote(id);
            }
            return;
        };
        let source = Reader {
            core: me,
            connection: id.to_bits(),
            client: session.client,
        };
        if target.core == me {
            self.tell_target(source, target, keys);
        } else {
            let message = CacheMessage::Redirected(source, target, keys.map(<[_]>::to_vec));
            self.engine
                .outbound
                .push_back((target.core, CoreMessage::Caching(Box::new(message))));
        }
    }

    fn tell_target(&mut self, source: Reader, target: Target, keys: Option<&[Arc<[u8]>]>) {
        let id = SocketId::from_bits(target.connection);
        if let Some(connection) = self.net.connection_mut(id)
            && connection.session.client == target.client
            && !connection.is_closing()
        {
            match connection.session.resp {
                Resp::V3 => push(connection, |reply| write_invalidate(reply, keys)),
                Resp::V2 if connection.session.is_subscriber() => push(connection, |reply| {
                    reply.push(3);
                    reply.bulk_text("message");
                    reply.bulk_text(CHANNEL);
                    write_keys(reply, keys);
                }),
                Resp::V2 => {}
            }
            self.net.wrote(id);
        } else if source.core == self.engine.me {
            self.tell_broken(source, target.client);
        } else {
            let message = CacheMessage::Broken(source, target.client);
            self.engine
                .outbound
                .push_back((source.core, CoreMessage::Caching(Box::new(message))));
        }
    }

    fn tell_broken(&mut self, source: Reader, target: ClientId) {
        let id = SocketId::from_bits(source.connection);
        if let Some(connection) = self.net.connection_mut(id)
            && connection.session.client == source.client
            && let Some(tracking) = &mut connection.session.tracking
        {
            tracking.is_broken = true;
            if connection.session.resp == Resp::V3 {
                push(connection, |reply| {
                    reply.push(2);
                    reply.bulk_text("tracking-redir-broken");
                    reply.integer(i64::try_from(target.0).unwrap_or(i64::MAX));
                });
                self.net.wrote(id);
            }
        }
    }
}

/// Appends something that answers no request.
fn push(connection: &mut Connection<Session>, write: impl FnOnce(&mut Reply<'_>)) {
    let resp = connection.session.resp;
    let (out, begun) = connection.output.begin();
    write(&mut Reply { out, resp });
    connection.output.end(begun);
}

fn write_invalidate(reply: &mut Reply<'_>, keys: Option<&[Arc<[u8]>]>) {
    reply.push(2);
    reply.bulk_text("invalidate");
    write_keys(reply, keys);
}

fn write_keys(reply: &mut Reply<'_>, keys: Option<&[Arc<[u8]>]>) {
    let Some(keys) = keys else {
        reply.null();
        return;
    };
    reply.array(keys.len());
    for key in keys {
        reply.bulk(key);
    }
}
