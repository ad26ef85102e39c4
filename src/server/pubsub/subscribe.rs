//! Who listens changes.

use coordinator::message::Origin;
use net::connection::Connection;
use protocol::reply::Reply;
use runtime::socket_ring::SocketId;

use super::wishes::Act;
use crate::core_loop::Core;
use crate::engine::{Engine, read_origin};
use crate::session::Session;
use crate::subscriptions::{Kind, Subscriptions};

/// Returns what a client is told when it begins to listen, and when it ends.
fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Channel => ("subscribe", "unsubscribe"),
        Kind::Pattern => ("psubscribe", "punsubscribe"),
        Kind::Shard => ("ssubscribe", "sunsubscribe"),
    }
}

impl Core {
    /// Changes what a client listens to. Returns what it is told: a frame for each name. O(names).
    pub(super) fn change_subscriptions(&mut self, origin: Origin, act: Act) -> Vec<u8> {
        let (id, ..) = read_origin(origin);
        let mut out = Vec::new();
        let Self { engine, net, .. } = self;
        let Some(connection) = net.connection_mut(id) else {
            return out;
        };
        match act {
            Act::Subscribe(kind, names) => {
                engine.subscribe(id, connection, kind, &names, &mut out);
            }
            Act::Unsubscribe(kind, names) => {
                engine.unsubscribe(id, connection, kind, names, &mut out);
            }
            // What is published changes nobody's subscriptions.
            Act::Publish(_) => {}
        }
        out
    }
}

impl Engine {
    fn subscribe(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        kind: Kind,
        names: &[Box<[u8]>],
        out: &mut Vec<u8>,
    ) {
        let session = &mut connection.session;
        let resp = session.resp;
        let subscriptions = session.subscriptions.get_or_insert_default();
        for name in names {
            if subscriptions.insert(kind, name) {
                self.pubsub.listeners.insert(kind, name, id.to_bits());
                self.shared.presence.add(self.me, 1);
            }
            tell(
                &mut Reply { out, resp },
                words(kind).0,
                Some(name),
                kind,
                subscriptions,
            );
        }
        self.review_listening(connection);
    }

    fn unsubscribe(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        kind: Kind,
        mut names: Vec<Box<[u8]>>,
        out: &mut Vec<u8>,
    ) {
        let session = &mut connection.session;
        let resp = session.resp;
        let subscriptions = session.subscriptions.get_or_insert_default();
        let word = words(kind).1;
        if names.is_empty() {
            names = subscriptions.names(kind);
            if names.is_empty() {
                tell(&mut Reply { out, resp }, word, None, kind, subscriptions);
            }
        }
        for name in &names {
            if subscriptions.remove(kind, name) {
                self.pubsub.listeners.remove(kind, name, id.to_bits());
                self.shared.presence.remove(self.me, 1);
            }
            tell(
                &mut Reply { out, resp },
                word,
                Some(name),
                kind,
                subscriptions,
            );
        }
        self.review_listening(connection);
    }

    /// Ends all subscriptions of a client, who is told nothing of it.
    pub fn end_subscriptions(&mut self, id: SocketId, session: &mut Session) {
        let Some(subscriptions) = session.subscriptions.take() else {
            return;
        };
        let mut count = 0;
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            for name in subscriptions.names(kind) {
                self.pubsub.listeners.remove(kind, &name, id.to_bits());
                count += 1;
            }
        }
        self.shared.presence.remove(self.me, count);
        session.review();
    }

    /// Takes notice that a client has begun or ended to listen: other limits hold for its output.
    pub(crate) fn review_listening(&self, connection: &mut Connection<Session>) {
        let session = &mut connection.session;
        if session
            .subscriptions
            .as_ref()
            .is_some_and(|it| it.is_empty())
        {
            session.subscriptions = None;
        }
        session.review();
        let limit = self.config.settings().output_limits.pubsub.hard_bytes;
        let is_listening = connection.session.is_subscriber();
        connection.output_bytes_max = is_listening.then(|| base::cast::usize_from(limit));
    }
}

/// Tells a client that a name has come or gone, and how many there are now.
fn tell(
    reply: &mut Reply<'_>,
    word: &str,
    name: Option<&[u8]>,
    kind: Kind,
    subscriptions: &Subscriptions,
) {
    reply.push(3);
    reply.bulk_text(word);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.integer(base::cast::i64_from(subscriptions.told_count(kind)));
}
