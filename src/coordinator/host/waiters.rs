//! Requests that wait at keys of this shard, and who is served when a key has changed.
//!
//! ```text
//! all keys here:      Wait ------> nothing there: into the queues ... key changed: run ---> Woken
//! several shards:     a hop -----> into the queues of each ... key changed: claim ---> Offer
//! ```
//! Keys that have changed are served at the end of the command, or of the whole transaction: the
//! waiters at a key in the order of their arrival, as long as there is something for them. A request
//! whose keys all lie here runs at once, as a part of what has changed the key. For one that waits
//! elsewhere too, or moves an element to another shard, the key is claimed and offered to the
//! coordinator, which runs the request under this claim, or declines. It answers at once, so that the
//! claim waits for nobody but claims before it; so no circle of waiting can form.
//!
//! Invariants
//! - Nobody waits at a key that has something for him, unless the key is in use by a transaction, or
//!   is on offer to somebody before him.
//! - While a key is on offer nobody behind is served.
//! - A request of several shards runs only if its coordinator says so, and that says so to one shard
//!   at a time.
//!
//! Not here: the coordinator's side (`transaction::waits`), the queues (`shard::waiters`).

use base::hash::Map;
use base::ids::{DbIndex, ShardId, TxId};
use commands::spec::ShardCommand;
use commands::wait_form::{WaitForm, Waiting};
use protocol::args::PackedArgs;
use protocol::reply::Resp;
use runtime::clock::monotonic;
use runtime::faults::{self, Fault};
use shard::locks::Claim;
use shard::waiters::{Awaited, Place, Ready, Ticket};
use shard::watches::Author;

use crate::host::{BYPASS, Host, add_claim};
use crate::message::{Message, OwnedRequest, Request, WaiterNumber, Woken};

/// A request that waits: its coordinator, and the name it has there.
pub(crate) type Name = (ShardId, WaiterNumber);

/// All requests that wait at one shard.
#[derive(Debug, Default)]
pub(crate) struct WaitingRequests {
    waiters: Map<Ticket, Waiter>,
    tickets: Map<Name, Ticket>,
    /// Keys on offer, by the transaction that claims them.
    offers: Map<TxId, (Place, Ticket)>,
    /// The same keys.
    offered: Map<Place, OnOffer>,
    /// Requests that are parked behind a claim and may wait.
    parked: Map<Name, Patience>,
}

/// A key on offer.
#[derive(Clone, Copy, Debug)]
struct OnOffer {
    tx: TxId,
    /// Nobody but the request that it is offered to has had it since it was changed.
    is_changed: bool,
}

/// What a request that is parked does when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// It looks at its keys, and waits if there is nothing.
    Waits,
    /// Its time was over before it had looked at its keys: it looks once.
    LooksOnce,
    /// Its client has left.
    Gone,
}

impl WaitingRequests {
    /// Returns whether a key is on offer under an id below `limit`.
    pub(crate) fn has_offer_before(&self, limit: TxId) -> bool {
        self.offers.keys().any(|tx| *tx < limit)
    }
}

/// A request that waits here.
struct Waiter {
    name: Name,
    command: &'static ShardCommand,
    form: &'static WaitForm,
    db: DbIndex,
    resp: Resp,
    touch: bool,
    tag: u16,
    /// The keys of this shard, each once, with the request that runs when it is ready.
    keys: Vec<(Box<[u8]>, PackedArgs)>,
    /// It waits nowhere else and needs no other shard.
    is_alone: bool,
    /// Who is not to be told of its changes; of one that is not alone, its transaction says that.
    author: Option<Author>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// A key of this shard is on offer to it.
    Offered,
    /// Its coordinator looks at the offer of another shard.
    PutOff,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Waiter")
            .field("name", &self.name)
            .field("command", &self.command.declaration.name)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Waiter {
    fn request(&self, index: usize) -> Request<'_> {
        Request {
            command: self.command,
            db: self.db,
            resp: self.resp,
            touch: self.touch,
            args: self.keys[index].1.args(),
            first_hash: None,
            tag: self.tag,
        }
    }

    fn index_of(&self, key: &[u8]) -> Option<usize> {
        self.keys.iter().position(|(at, _)| **at == *key)
    }
}

impl Host {
    /// Takes a request of which all keys lie here and that may wait.
    pub(crate) fn wait(
        &mut self,
        from: ShardId,
        waiter: WaiterNumber,
        request: Box<OwnedRequest>,
        author: Option<Author>,
    ) {
        self.counters.remote_requests += u64::from(from != self.me());
        if self.may_run(&request.as_request()) {
            self.answer_or_keep((from, waiter), &request, author);
            self.serve_if_ready();
        } else {
            self.waiting.parked.insert((from, waiter), Patience::Waits);
            self.park_wait(from, waiter, request, author);
        }
    }

    /// Runs a request that was parked, unless it was forgotten meanwhile.
    pub(crate) fn run_parked_wait(
        &mut self,
        name: Name,
        request: &OwnedRequest,
        author: Option<Author>,
    ) {
        match self.waiting.parked.remove(&name) {
            Some(Patience::Waits) | None => self.answer_or_keep(name, request, author),
            Some(Patience::LooksOnce) => {
                if !self.is_answered(name, request, author) {
                    let (from, waiter) = name;
                    self.send(from, Message::Forgotten { waiter });
                }
            }
            Some(Patience::Gone) => {}
        }
    }

    /// Answers a request that was parked with an error, if anybody is there to be told.
    pub(crate) fn refuse_wait(&mut self, name: Name, error: Vec<u8>) {
        if self.waiting.parked.remove(&name) != Some(Patience::Gone) {
            self.answer(name, error, 0);
        }
    }

    fn answer_or_keep(&mut self, name: Name, request: &OwnedRequest, author: Option<Author>) {
        if !self.is_answered(name, request, author) {
            let form = request.command.wait.expect(ASKS_TO_WAIT);
            let words = (form.keys)(request.args.args());
            let ticket = self.join_queues(name, request, words, true);
            if let Some(waiter) = self.waiting.waiters.get_mut(&ticket) {
                waiter.author = author;
            }
        }
    }

    /// Runs a request, and answers it if it does not want to wait.
    fn is_answered(&mut self, name: Name, request: &OwnedRequest, author: Option<Author>) -> bool {
        let started = monotonic();
        self.shard.sign_changes(author);
        let reply = self.run_waiting(request.as_request(), Waiting::Possible);
        self.shard.sign_changes(None);
        let Some(reply) = reply else {
            return false;
        };
        let nanos = monotonic().nanos_since(started);
        self.answer(name, reply, nanos);
        true
    }

    fn answer(&mut self, (to, waiter): Name, reply: Vec<u8>, nanos: u64) {
        let woken = Woken {
            waiter,
            reply,
            nanos,
        };
        self.send(to, Message::Woken(Box::new(woken)));
    }

    /// Puts a request into the queues at the keys that `words` of it are.
    pub(crate) fn join_queues(
        &mut self,
        name: Name,
        request: &OwnedRequest,
        words: impl Iterator<Item = usize>,
        is_alone: bool,
    ) -> Ticket {
        let form = request.command.wait.expect(ASKS_TO_WAIT);
        let (db, args) = (request.db, request.args.args());
        let ticket = self.shard.waiters_mut().draw();
        let mut keys: Vec<(Box<[u8]>, PackedArgs)> = Vec::new();
        for word in words {
            let key = args.word(word);
            // With the same key twice the first counts.
            let waiters = self.shard.waiters_mut();
            if waiters.join(db, key, form.awaited, ticket) {
                let narrowed = (form.narrow)(&mut self.shard, db, args, word);
                keys.push((key.into(), narrowed));
            }
        }
        let waiter = Waiter {
            name,
            command: request.command,
            form,
            db,
            resp: request.resp,
            touch: request.touch,
            tag: request.tag,
            keys,
            is_alone,
            author: None,
            state: State::Waiting,
        };
        self.waiting.waiters.insert(ticket, waiter);
        self.waiting.tickets.insert(name, ticket);
        ticket
    }

    /// Ends the waiting of a request, if it still waits.
    pub(crate) fn forget(&mut self, from: ShardId, waiter: WaiterNumber, is_answered: bool) {
        if let Some(patience) = self.waiting.parked.get_mut(&(from, waiter)) {
            *patience = if is_answered {
                Patience::LooksOnce
            } else {
                Patience::Gone
            };
            return;
        }
        if let Some(&ticket) = self.waiting.tickets.get(&(from, waiter)) {
            self.remove(ticket);
        }
        if is_answered {
            self.send(from, Message::Forgotten { waiter });
        }
    }

    fn remove(&mut self, ticket: Ticket) {
        let Some(waiter) = self.waiting.waiters.remove(&ticket) else {
            return;
        };
        self.waiting.tickets.remove(&waiter.name);
        for (key, _) in &waiter.keys {
            let waiters = self.shard.waiters_mut();
            waiters.leave(waiter.db, key, waiter.form.awaited, ticket);
        }
    }

    /// Offers nothing to a request until it wants to hear of it.
    pub(crate) fn put_off(&mut self, from: ShardId, waiter: WaiterNumber) {
        if let Some(ticket) = self.waiting.tickets.get(&(from, waiter))
            && let Some(waiter) = self.waiting.waiters.get_mut(ticket)
        {
            waiter.state = State::PutOff;
        }
    }

    /// Offers keys to a request again.
    pub(crate) fn want_again(&mut self, from: ShardId, waiter: WaiterNumber) {
        if let Some(&ticket) = self.waiting.tickets.get(&(from, waiter)) {
            self.look_again(ticket, State::PutOff);
            self.serve_if_ready();
        }
    }

    /// Lets a request that is in `state` be served again, and looks at its keys.
    fn look_again(&mut self, ticket: Ticket, state: State) {
        let Some(waiter) = self.waiting.waiters.get_mut(&ticket) else {
            return;
        };
        if waiter.state == state {
            waiter.state = State::Waiting;
            for (key, _) in &waiter.keys {
                self.shard.waiters_mut().look_at(waiter.db, key);
            }
        }
    }

    /// Notes that a transaction has left: if it was for a key on offer, others may have it now.
    pub(crate) fn end_offer(&mut self, tx: TxId) {
        if let Some((place, ticket)) = self.waiting.offers.remove(&tx) {
            let ended = self.waiting.offered.remove(&place);
            if faults::is_on(Fault::OfferEndMissed) {
                return;
            }
            self.look_again(ticket, State::Offered);
            let is_changed = ended.is_some_and(|offer| offer.is_changed);
            self.note_ready(Ready { place, is_changed });
        }
    }

    fn note_ready(&mut self, Ready { place, is_changed }: Ready) {
        let waiters = self.shard.waiters_mut();
        if is_changed {
            waiters.note(place.0, &place.1);
        } else {
            waiters.look_at(place.0, &place.1);
        }
    }

    /// Serves those who wait for keys that have changed. To be called when a command or a transaction
    /// is over. Costs one test if there is no such key.
    #[inline]
    pub fn serve_if_ready(&mut self) {
        if self.shard.waiters().has_ready() {
            self.serve_ready();
        }
    }

    #[cold]
    fn serve_ready(&mut self) {
        let mut later = Vec::new();
        // What serves one may make another key ready.
        while self.shard.waiters().has_ready() {
            for ready in self.shard.waiters_mut().take_ready() {
                // The end of an offer looks at the key again.
                if let Some(offer) = self.waiting.offered.get_mut(&ready.place) {
                    offer.is_changed |= ready.is_changed && self.locks.has_started(offer.tx);
                    continue;
                }
                let hash = self.shard.key(&ready.place.1).hash;
                if !BYPASS && self.locks.is_in_use(hash) {
                    later.push(ready);
                } else {
                    self.serve_key(&ready);
                }
            }
        }
        for ready in later {
            self.note_ready(ready);
        }
        self.run_moved();
    }

    /// Serves those who wait at one key.
    fn serve_key(&mut self, ready: &Ready) {
        let place = &ready.place;
        for awaited in Awaited::ALL {
            let mut after = None;
            while let Some(ticket) = self.next_in_queue(place, awaited, after) {
                after = Some(ticket);
                match self.serve_one(ready, ticket) {
                    Served::Answered | Served::Skipped => {}
                    // What there is not for one is there for nobody behind him; entries of streams
                    // are another matter.
                    Served::Nothing => {
                        if matches!(awaited, Awaited::List | Awaited::SortedSet) {
                            break;
                        }
                    }
                    Served::Offered => return,
                }
            }
        }
    }

    /// Returns who stands in a queue behind `after`.
    fn next_in_queue(
        &self,
        place: &Place,
        awaited: Awaited,
        after: Option<Ticket>,
    ) -> Option<Ticket> {
        let next = |after| self.shard.waiters().next(place.0, &place.1, awaited, after);
        if !faults::is_on(Fault::LastComeFirst) {
            return next(after);
        }
        let mut last = None;
        while let Some(ticket) = next(last)
            && after.is_none_or(|after| ticket < after)
        {
            last = Some(ticket);
        }
        last
    }

    fn serve_one(&mut self, ready: &Ready, ticket: Ticket) -> Served {
        let (db, key) = (ready.place.0, &*ready.place.1);
        let Some(waiter) = self.waiting.waiters.get(&ticket) else {
            return Served::Skipped;
        };
        let Some(index) = waiter.index_of(key) else {
            return Served::Skipped;
        };
        if waiter.state != State::Waiting {
            return Served::Skipped;
        }
        let request = waiter.request(index);
        if !(waiter.form.is_ready)(&mut self.shard, db, key, request.args) {
            return Served::Nothing;
        }
        let mut claim = Claim::default();
        add_claim(&self.shard, request.command, request.args, &mut claim);
        // Who needs nothing but the key is served before all that wait for it, as a part of what has changed it. If
        // others have had the key since then, or a second one is needed, to which an element is moved, this could
        // close a circle: see decision 37.
        let hash = self.shard.key(key).hash;
        let is_first = ready.is_changed
            && claim.keys.iter().all(|(other, _)| *other == hash)
            && !faults::is_on(Fault::OfferBehind);
        let is_free = is_first || self.is_free(&claim);
        if !waiter.is_alone || !is_free {
            self.offer(ready.place.clone(), ticket, (claim, is_first));
            return Served::Offered;
        }
        let name = waiter.name;
        let started = monotonic();
        match self.wake(ticket, index) {
            Some(reply) => {
                let nanos = monotonic().nanos_since(started);
                self.answer(name, reply, nanos);
                Served::Answered
            }
            None => Served::Nothing,
        }
    }

    /// Offers a key to a request, under a claim that stands before all that wait if `is_first`.
    fn offer(&mut self, place: Place, ticket: Ticket, (claim, is_first): (Claim, bool)) {
        let Some(waiter) = self.waiting.waiters.get_mut(&ticket) else {
            return;
        };
        waiter.state = State::Offered;
        let (to, number) = waiter.name;
        let tx = if is_first {
            self.claim_first(claim)
        } else {
            let tx = self.claim_next(claim);
            if !faults::is_on(Fault::OfferBehind) {
                self.make_room(tx);
            }
            tx
        };
        let key = place.1.clone();
        self.waiting.offers.insert(tx, (place.clone(), ticket));
        let offer = OnOffer {
            tx,
            is_changed: is_first,
        };
        self.waiting.offered.insert(place, offer);
        let offer = Message::Offer {
            waiter: number,
            tx,
            key,
        };
        self.send(to, offer);
    }

    /// Runs a request for a key that was offered to it. Nothing if there is nothing after all.
    pub(crate) fn wake_offered(&mut self, name: Name, key: &[u8]) -> Option<Vec<u8>> {
        let ticket = *self.waiting.tickets.get(&name)?;
        let index = self.waiting.waiters.get(&ticket)?.index_of(key)?;
        self.wake(ticket, index)
    }

    /// Runs a request for one of its keys. If that gives a reply it waits no more.
    fn wake(&mut self, ticket: Ticket, index: usize) -> Option<Vec<u8>> {
        let waiter = self.waiting.waiters.remove(&ticket)?;
        // Alone, it runs in the midst of what has made its key ready, which may be another's work.
        let author = self.shard.sign_changes(None);
        self.shard.sign_changes(if waiter.is_alone {
            waiter.author
        } else {
            author
        });
        let reply = self.run_waiting(waiter.request(index), Waiting::Again);
        self.shard.sign_changes(author);
        self.waiting.waiters.insert(ticket, waiter);
        if reply.is_some() && !faults::is_on(Fault::WaiterKept) {
            self.remove(ticket);
        }
        reply
    }

    /// Returns how many requests wait here for keys.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.waiting.waiters.len()
    }
}

/// What became of a waiter at a key that has changed.
enum Served {
    /// It is answered.
    Answered,
    /// The key is on offer to it.
    Offered,
    /// There is nothing for it.
    Nothing,
    /// It is not its time.
    Skipped,
}

const ASKS_TO_WAIT: &str = "only a command with a form to wait asks to wait";
