//! Messages reach those who listen.

use base::cast::i64_from;
use base::ids::ShardId;
use runtime::socket_ring::SocketId;

use super::message::{Message, push_frame};
use super::wishes::{Counting, Forward, Publisher, Wish};
use crate::core_loop::Core;
use crate::engine::{CoreMessage, read_origin};
use crate::gather::Asker;

impl Core {
    /// Carries out what was noted about channels, and delivers what other cores have sent.
    pub(crate) fn run_wishes(&mut self) {
        self.engine.collect_events();
        if self.engine.pubsub.has_arrivals {
            self.deliver_arrivals();
        }
        for wish in std::mem::take(&mut self.engine.pubsub.wishes) {
            match wish {
                Wish::Change(origin, act) => {
                    let reply = self.change_subscriptions(origin, act);
                    self.fill_and_resume(origin, &reply);
                }
                Wish::ChangeFor(tx, origin, act) => {
                    let reply = self.change_subscriptions(origin, act);
                    let engine = &mut self.engine;
                    engine.transactions.answer(&mut engine.host, tx, reply);
                }
                Wish::Publish(publisher, message) => self.publish(publisher, message),
            }
        }
        self.send_forwards();
    }

    /// Tells a message to all who listen. Cost: O(clients that listen here, patterns here, cores).
    pub(crate) fn publish(&mut self, publisher: Publisher, message: Message) {
        let reached = self.deliver(&message);
        let me = self.engine.me;
        let mut others = self.engine.map.shards().filter(|core| *core != me);
        let presence = &self.engine.shared.presence;
        let others: Vec<ShardId> = others
            .by_ref()
            .filter(|core| presence.is_listening(*core))
            .collect();
        let pubsub = &mut self.engine.pubsub;
        let is_counted = !matches!(publisher.asker, Asker::Nobody);
        if others.is_empty() {
            self.answer_publisher(publisher, reached);
            return;
        }
        let number = is_counted.then(|| {
            pubsub.next_number += 1;
            let counting = Counting {
                publisher,
                reached,
                missing: others.len(),
            };
            pubsub.counting.insert(pubsub.next_number, counting);
            pubsub.next_number
        });
        let at = runtime::clock::monotonic();
        for core in others {
            if pubsub.leaving.len() <= core.index() {
                pubsub.leaving.resize_with(core.index() + 1, Vec::new);
            }
            pubsub.leaving[core.index()].push(Forward {
                at,
                number,
                message: message.clone(),
            });
        }
    }

    /// Sends each core the messages of this turn.
    fn send_forwards(&mut self) {
        for core in self.engine.map.shards() {
            if let Some(leaving) = self.engine.pubsub.leaving.get_mut(core.index())
                && !leaving.is_empty()
            {
                let message = CoreMessage::Publish(std::mem::take(leaving));
                self.engine.outbound.push_back((core, message));
            }
        }
    }

    /// Takes messages of another core, to be delivered with those of all others.
    pub(crate) fn take_forwards(&mut self, from: ShardId, forwards: Vec<Forward>) {
        let pubsub = &mut self.engine.pubsub;
        let arrived = forwards.into_iter().map(|forward| (from, forward));
        pubsub.arrived.extend(arrived);
        pubsub.has_arrivals = true;
    }

    /// Delivers what has arrived in the order of time.
    ///
    /// What was sent before a message that is here may lie in the lane of a core that was looked at
    /// too early; so all lanes are emptied once more, and what is newer than the messages that were
    /// here before waits for the next turn.
    fn deliver_arrivals(&mut self) {
        let newest = self.engine.pubsub.arrived.iter().map(|(_, it)| it.at).max();
        self.receive_messages();
        let pubsub = &mut self.engine.pubsub;
        pubsub.has_arrivals = false;
        let mut arrived = std::mem::take(&mut pubsub.arrived);
        // Stable: messages of one core keep their order.
        arrived.sort_by_key(|(_, forward)| forward.at);
        let end = arrived.partition_point(|(_, forward)| Some(forward.at) <= newest);
        pubsub.arrived = arrived.split_off(end);
        let mut counts: Vec<Vec<(u64, usize)>> = Vec::new();
        for (from, forward) in arrived {
            let reached = self.deliver(&forward.message);
            if let Some(number) = forward.number {
                counts.resize_with(counts.len().max(from.index() + 1), Vec::new);
                counts[from.index()].push((number, reached));
            }
        }
        for (core, counts) in self.engine.map.shards().zip(counts) {
            if !counts.is_empty() {
                let message = CoreMessage::Published(counts);
                self.engine.outbound.push_back((core, message));
            }
        }
    }

    /// Adds what another core has reached to the counts that publishers wait for.
    pub(crate) fn take_counts(&mut self, counts: Vec<(u64, usize)>) {
        for (number, reached) in counts {
            let counting = &mut self.engine.pubsub.counting;
            let Some(count) = counting.get_mut(&number) else {
                continue;
            };
            count.reached += reached;
            count.missing -= 1;
            if count.missing == 0 {
                let (publisher, reached) = (count.publisher, count.reached);
                counting.remove(&number);
                self.answer_publisher(publisher, reached);
            }
        }
    }

    fn answer_publisher(&mut self, publisher: Publisher, reached: usize) {
        let reply = format!(":{}\r\n", i64_from(reached)).into_bytes();
        match publisher.asker {
            Asker::Client(origin) => {
                let (id, ..) = read_origin(origin);
                if let Some(connection) = self.net.connection_mut(id) {
                    connection.session.publishing -= 1;
                }
                if publisher.is_waiting {
                    self.fill_and_resume(origin, &reply);
                } else {
                    self.fill(origin, &reply);
                }
            }
            Asker::Transaction(tx) => {
                let engine = &mut self.engine;
                engine.transactions.answer(&mut engine.host, tx, reply);
            }
            Asker::Nobody => {}
        }
    }

    /// Lets those messages go whose clients have got the replies before them. Returns whether any did.
    pub(crate) fn release_held(&mut self) -> bool {
        if self.engine.pubsub.held.is_empty() {
            return false;
        }
        let mut is_busy = false;
        for (origin, message) in std::mem::take(&mut self.engine.pubsub.held) {
            let (id, ..) = read_origin(origin);
            let pubsub = &mut self.engine.pubsub;
            match self.net.connection_mut(id) {
                Some(connection) if connection.output.awaited() > connection.session.publishing => {
                    pubsub.held.push((origin, message));
                }
                Some(_) => {
                    let publisher = Publisher {
                        asker: Asker::Client(origin),
                        is_waiting: true,
                    };
                    pubsub.wishes.push(Wish::Publish(publisher, message));
                    is_busy = true;
                }
                None => {}
            }
        }
        is_busy
    }

    /// Gives a message to those who listen on this core. Returns how many times.
    fn deliver(&mut self, message: &Message) -> usize {
        let Self { engine, net, .. } = self;
        let listeners = &engine.pubsub.listeners;
        let mut reached = 0;
        let mut give = |client: u64, frame: &[u8]| {
            let id = SocketId::from_bits(client);
            if let Some(connection) = net.connection_mut(id) {
                let resp = connection.session.resp;
                let (out, begun) = connection.output.begin();
                push_frame(out, frame, resp);
                connection.output.end(begun);
                net.wrote(id);
                reached += 1;
            }
        };
        for client in listeners.clients(message.kind(), message.channel()) {
            give(client, message.frame());
        }
        if message.kind() == crate::subscriptions::Kind::Shard {
            return reached;
        }
        for (pattern, clients) in listeners.patterns() {
            if base::glob::matches(pattern, message.channel(), false) {
                let frame = message.pattern_frame(pattern);
                for client in clients {
                    give(*client, &frame);
                }
            }
        }
        reached
    }
}
