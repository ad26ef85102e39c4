//! Two cores in one thread, with a table that lies on both: what cores would send each other is handed over at once.
//!
//! Counted are messages between the cores, too. Not here: what it costs to wake a core, which needs a second one.

use std::mem;
use std::sync::Arc;

use base::ids::ShardId;
use commands::table::key_of;
use coordinator::message::{Message, Origin};
use coordinator::route::SlotMap;
use coordinator::tables::growing::Growing;
use coordinator::transaction::Event;
use net::Service;
use net::connection::Connection;
use net::requests::Requests;
use runtime::socket_ring::SocketId;
use shard::locks::{Claim, Mode};
use trestle::config::Config;
use trestle::engine::{CoreMessage, Engine, read_origin};
use trestle::session::Session;

use super::{Batch, engine_of, session};

/// Two cores, and a client of the first one.
pub(super) struct Pair {
    engines: [Engine; 2],
    connection: Connection<Session>,
    spare: Vec<u8>,
    map: SlotMap,
    /// The client waits for each reply before it sends the next request.
    pub(super) is_patient: bool,
    /// Messages that went from core to core.
    pub(super) messages: u64,
}

const CLIENT: u64 = 0;

impl Pair {
    pub(super) fn new() -> Self {
        let config = Arc::new(Config::defaults());
        let table = trestle::startup::command_table(&config);
        let shared = Arc::new(trestle::startup::shared(&config, 2, table));
        let map = SlotMap::new(2);
        let engine = |me| engine_of(ShardId(me), map, &shared, &config);
        Self {
            engines: [engine(0), engine(1)],
            connection: Connection::new(session(), true),
            spare: Vec::new(),
            map,
            is_patient: false,
            messages: 0,
        }
    }

    /// Serves all requests of a batch and returns the number of reply bytes.
    #[inline(never)]
    pub(super) fn serve(&mut self, batch: &Batch) -> usize {
        let mut taken = 0;
        while taken < batch.spans.len() {
            for engine in &mut self.engines {
                engine.begin_turn();
            }
            let end = if self.is_patient {
                taken + 1
            } else {
                batch.spans.len()
            };
            let requests = Requests {
                buffer: &batch.input,
                words: &batch.words,
                spans: &batch.spans[taken..end],
            };
            let id = SocketId::from_bits(CLIENT);
            taken += self.engines[0]
                .serve(id, &mut self.connection, requests)
                .taken;
            while self.exchange() {}
        }
        self.spare.clear();
        let spare = mem::take(&mut self.spare);
        self.spare = self.connection.output.take_ready(spare);
        self.spare.len()
    }

    /// Returns the hops that the client's core has coordinated.
    pub(super) fn hops(&self) -> u64 {
        self.engines[0].transactions.counters.hops
    }

    /// Hands over what there is. Returns whether there was anything.
    fn exchange(&mut self) -> bool {
        let mut is_busy = false;
        for core in 0..2 {
            let engine = &mut self.engines[core];
            engine.flush_envelopes();
            let outbox = mem::take(&mut engine.host.outbox).into_iter();
            let outbound = mem::take(&mut engine.outbound).into_iter();
            let outbound = outbound.filter_map(|(to, message)| match message {
                CoreMessage::Shard(message) => Some((to, message)),
                _ => None,
            });
            for (to, message) in outbox.chain(outbound).collect::<Vec<_>>() {
                is_busy = true;
                self.deliver(core, to, message);
            }
            for event in mem::take(&mut self.engines[core].transactions.events) {
                if let Event::Done { origin, reply, .. } = event {
                    self.fill(origin, &reply);
                }
            }
            is_busy |= self.spread(core);
            let engine = &mut self.engines[core];
            if engine.transactions.has_paused() {
                is_busy = true;
                engine.transactions.go_on(&mut engine.host);
            }
        }
        is_busy
    }

    fn spread(&mut self, core: usize) -> bool {
        let engine = &mut self.engines[core];
        let growing = engine.host.shard.take_growing();
        let is_busy = !growing.is_empty();
        for (db, table, name) in growing {
            let keys = vec![(engine.host.shard.key(key_of(&name)).hash, Mode::Exclusive)];
            let claim = Claim { keys, whole: None };
            let claims = self.map.shards().map(|shard| (shard, claim.clone()));
            let program = Growing::new(self.map, db, engine.me, table);
            let nobody = Origin {
                connection: u64::MAX,
                place: 0,
            };
            let claims = claims.collect();
            let (transactions, host) = (&mut engine.transactions, &mut engine.host);
            transactions.begin(host, nobody, claims, Box::new(program));
        }
        is_busy
    }

    fn deliver(&mut self, from: usize, to: ShardId, message: Message) {
        let at = to.index();
        self.messages += u64::from(at != from);
        let from = self.engines[from].me;
        let engine = &mut self.engines[at];
        match message {
            Message::Replies(envelope) => {
                for (index, entry) in envelope.entries().iter().enumerate() {
                    if !entry.is_late {
                        let (_, place, _) = read_origin(entry.origin);
                        self.connection.output.fill(place, envelope.reply(index));
                    }
                }
                self.engines[at].keep_envelope(envelope);
            }
            message if message.is_reply() => {
                engine.transactions.receive(&mut engine.host, from, message);
            }
            message => engine.host.receive(from, message),
        }
    }

    fn fill(&mut self, origin: Origin, reply: &[u8]) {
        if origin.connection == CLIENT {
            let (_, place, _) = read_origin(origin);
            self.connection.output.fill(place, reply);
        }
    }
}
