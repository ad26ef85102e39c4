//! What is to be done about channels, noted while requests are served.

use std::sync::atomic::{AtomicUsize, Ordering};

use base::clock::Monotonic;
use base::hash::Map;
use base::ids::{ShardId, TxId};
use coordinator::message::Origin;
use net::Then;
use net::connection::Connection;
use runtime::socket_ring::SocketId;

use super::message::Message;
use crate::engine::{Engine, origin_of};
use crate::gather::Asker;
use crate::session::Session;
use crate::subscriptions::{Kind, Listeners};

/// What a client asks for.
#[derive(Debug)]
pub enum Act {
    /// To listen to names of a kind.
    Subscribe(Kind, Vec<Box<[u8]>>),
    /// To listen to them no more; without names, to none of the kind.
    Unsubscribe(Kind, Vec<Box<[u8]>>),
    /// To tell all who listen; the reply is how many that are.
    Publish(Message),
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Changes what a client listens to, who waits for it.
    Change(Origin, Act),
    /// Changes what a client listens to whose MULTI waits for it.
    ChangeFor(TxId, Origin, Act),
    /// Tells all who listen.
    Publish(Publisher, Message),
}

/// Who gets the number of clients that a message has reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publisher {
    pub(crate) asker: Asker,
    /// Its connection waits, until it has been told.
    pub(crate) is_waiting: bool,
}

impl Publisher {
    /// Nobody.
    pub(crate) const NOBODY: Self = Self {
        asker: Asker::Nobody,
        is_waiting: false,
    };
}

/// A message on its way to another core.
#[derive(Debug)]
pub struct Forward {
    /// When it was sent.
    pub(crate) at: Monotonic,
    /// The number under which the sender waits for the count of those reached, if it does.
    pub(crate) number: Option<u64>,
    pub(crate) message: Message,
}

/// A message of which other cores have not told yet how many it has reached.
#[derive(Debug)]
pub(crate) struct Counting {
    pub(crate) publisher: Publisher,
    pub(crate) reached: usize,
    pub(crate) missing: usize,
}

/// What one core knows of channels.
#[derive(Debug, Default)]
pub struct PubSub {
    /// Who listens here.
    pub listeners: Listeners,
    /// What is to be done, in order.
    pub(crate) wishes: Vec<Wish>,
    /// Messages of clients with earlier requests under way.
    pub(crate) held: Vec<(Origin, Message)>,
    /// What other cores have sent.
    pub(crate) arrived: Vec<(ShardId, Forward)>,
    /// More of it has come since the last delivery.
    pub(crate) has_arrivals: bool,
    /// What goes to other cores in this turn, by core.
    pub(crate) leaving: Vec<Vec<Forward>>,
    pub(crate) counting: Map<u64, Counting>,
    pub(crate) next_number: u64,
}

impl PubSub {
    /// Begins a turn: what could not be delivered in the last one can now. Returns whether there is any.
    pub(crate) fn begin_turn(&mut self) -> bool {
        self.has_arrivals |= !self.arrived.is_empty();
        self.has_arrivals
    }

    /// Returns whether something can be done now.
    pub(crate) fn has_work(&self) -> bool {
        !self.wishes.is_empty() || self.has_arrivals
    }
}

/// How many subscriptions the clients of each core have: what all cores see of them.
#[derive(Debug)]
pub struct Presence(Box<[AtomicUsize]>);

impl Presence {
    /// Creates what is known at the start, for so many cores.
    #[must_use]
    pub fn new(cores: u16) -> Self {
        Self((0..cores).map(|_| AtomicUsize::new(0)).collect())
    }

    /// Counts `count` subscriptions more on a core. To be called before the client is told.
    pub(crate) fn add(&self, core: ShardId, count: usize) {
        self.0[core.index()].fetch_add(count, Ordering::Release);
    }

    /// Counts `count` subscriptions less.
    pub(crate) fn remove(&self, core: ShardId, count: usize) {
        self.0[core.index()].fetch_sub(count, Ordering::Release);
    }

    /// Returns whether a client of a core listens to anything.
    pub(crate) fn is_listening(&self, core: ShardId) -> bool {
        self.0[core.index()].load(Ordering::Acquire) > 0
    }

    /// Returns whether anybody listens to anything. O(cores).
    pub(crate) fn is_anyone_listening(&self) -> bool {
        self.0.iter().any(|count| count.load(Ordering::Acquire) > 0)
    }
}

impl Engine {
    /// Notes what a client asks for; its reply comes when that is done, or is dropped.
    pub(crate) fn note_act(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        act: Act,
        is_dropped: bool,
    ) -> Then {
        self.collect_events();
        let place = connection.output.defer();
        let Act::Publish(message) = act else {
            // What a client is told of its subscriptions is never dropped, like messages.
            let origin = origin_of(id, place, false);
            self.pubsub.wishes.push(Wish::Change(origin, act));
            return Then::Wait;
        };
        let origin = origin_of(id, place, is_dropped);
        connection.session.publishing += 1;
        if connection.output.awaited() > connection.session.publishing {
            self.pubsub.held.push((origin, message));
            return Then::Wait;
        }
        let publisher = Publisher {
            asker: Asker::Client(origin),
            is_waiting: false,
        };
        self.pubsub.wishes.push(Wish::Publish(publisher, message));
        Then::GoOn
    }

    /// Notes what a command of a MULTI or of a script asks for; the transaction gets the reply when that
    /// is done.
    pub(crate) fn note_act_of(&mut self, tx: TxId, id: SocketId, act: Act) {
        self.collect_events();
        self.pubsub.wishes.push(match act {
            Act::Publish(message) => {
                let publisher = Publisher {
                    asker: Asker::Transaction(tx),
                    is_waiting: false,
                };
                Wish::Publish(publisher, message)
            }
            Act::Subscribe(..) | Act::Unsubscribe(..) => {
                let origin = Origin {
                    connection: id.to_bits(),
                    place: 0,
                };
                Wish::ChangeFor(tx, origin, act)
            }
        });
    }

    /// Has a message told to all who listen, in its order among all that this core does for channels.
    /// Nobody gets the number of those reached.
    pub fn publish(&mut self, message: Message) {
        self.collect_events();
        self.pubsub
            .wishes
            .push(Wish::Publish(Publisher::NOBODY, message));
    }
}
