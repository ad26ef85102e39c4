//! One core: its sockets, its engine, its ends of the mesh, and the turn that joins them.
//!
//! ```text
//! turn:  read and serve -> run what other cores sent -> send envelopes -> send replies -> exchange
//! ```
//! Replies of a turn leave after all its reads are served, and the whole turn costs at most one
//! system call for the sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::clock::Monotonic;
use base::ids::ShardId;
use bytes::Bytes;
use commands::replay::Replay;
use commands::table::shown_args;
use coordinator::long_reply::Source;
use coordinator::message::{Handed, LateReply, Message, Origin};
use coordinator::transaction::Event;
use net::turn::Net;
use protocol::args::Args;
use runtime::executor::{CoreContext, yield_if_needed};
use runtime::idle::Idle;
use runtime::large_blocks;
use runtime::mesh::{Lane, MeshEnd};
use runtime::socket_ring::SocketId;

use crate::command_index::CommandIndex;
use crate::config::Config;
use crate::control;
use crate::cron;
use crate::engine::{CoreMessage, Engine, Part, read_origin};
use crate::eviction;
use crate::gather::{Asker, Finish, Finished, Gather};
use crate::layer_options;
use crate::long_replies;
use crate::observe::slow_log;
use crate::persistence;
use crate::persistence::commit::{self, Commit};
use crate::persistence::delivery;
use crate::persistence::load::Inbox;
use crate::persistence::log::{self, CoreLog};
use crate::persistence::rewrite;
use crate::persistence::save;
use crate::session::{Replies, Session};

/// Everything that one core owns.
pub struct Core {
    /// All but the sockets.
    pub engine: Engine,
    /// The sockets.
    pub net: Net<Session>,
    /// Listeners of this core.
    pub listeners: Vec<runtime::socket_ring::ListenerId>,
    /// Set by a signal: the configuration is to be read again. Core 0 sees to it.
    pub reload: Arc<AtomicBool>,
    /// The save that the process ends with, once it has ended. On core 0.
    pub(crate) stop_after: Option<u64>,
    /// What a file that is being loaded has for this core.
    pub(crate) inbox: Option<Inbox>,
    /// This core's end of the log.
    pub(crate) log: Option<CoreLog>,
    /// What waits until the log is on the disk.
    pub(crate) commit: Commit,
    /// A rewriting of the log that is being prepared. On core 0.
    pub(crate) rewriting: Option<Box<rewrite::Pending>>,
    /// What applies the records of a log that is replayed.
    pub(crate) replay: Option<Box<Replay>>,
    mesh: MeshEnd<CoreMessage>,
    idle: Idle,
    next_cron: Monotonic,
    /// When it last looked for busy clients.
    pub(crate) balanced_at: Monotonic,
    /// The last round of housekeeping found nothing that needs another one soon.
    pub(crate) is_quiet: bool,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Core")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// Messages taken from the mesh before sockets get their turn again.
const MESSAGES_PER_TURN_MAX: usize = 1024;

/// Elements of removed values that a turn frees: some tens of microseconds.
const FREE_PER_TURN: usize = 512;

/// Bytes of large blocks that a turn gives back to the system: some tens of microseconds.
const RELEASED_BYTES_PER_TURN: usize = 512 * 1024;

impl Core {
    /// Creates a core.
    #[must_use]
    pub fn new(
        engine: Engine,
        net: Net<Session>,
        mesh: MeshEnd<CoreMessage>,
        context: &CoreContext,
    ) -> Self {
        let idle = Idle::new(
            layer_options::idle(
                &engine.config,
                engine.map.shard_count(),
                engine.shared.is_crowded,
            ),
            context.background(),
        );
        Self {
            engine,
            net,
            listeners: Vec::new(),
            reload: Arc::new(AtomicBool::new(false)),
            stop_after: None,
            inbox: None,
            log: None,
            commit: Commit::default(),
            rewriting: None,
            replay: None,
            mesh,
            idle,
            next_cron: Monotonic::default(),
            balanced_at: Monotonic::default(),
            is_quiet: false,
        }
    }

    /// Runs turns until the server stops.
    pub async fn run(&mut self) {
        large_blocks::defer_releases();
        while !self.engine.shared.stopping.load(Ordering::Relaxed) {
            let mut is_busy = self.turn();
            if self.engine.me == ShardId(0) && self.reload.swap(false, Ordering::Relaxed) {
                control::config::reload(self);
                is_busy = true;
            }
            if is_busy {
                yield_if_needed().await;
            } else {
                self.wait().await;
            }
        }
        log::close(self);
        self.farewell();
        while large_blocks::release_step(usize::MAX) {}
    }

    /// Runs one turn. Returns whether there was anything to do.
    fn turn(&mut self) -> bool {
        self.engine.begin_turn();
        let has_waiting_messages = self.engine.pubsub.begin_turn();
        eviction::review(&mut self.engine);
        let mut is_busy = self.net.receive(&mut self.engine) || has_waiting_messages;
        is_busy |= commit::review(self);
        is_busy |= self.receive_messages();
        is_busy |= crate::waiting::end_overdue(self);
        is_busy |= crate::waiting::log::step(self);
        is_busy |= self.release_held();
        is_busy |= self.go_on_with_scripts();
        is_busy |= self.end_pause_in_time();
        is_busy |= self.begin_late_statements();
        is_busy |= self.pump();
        is_busy |= self.engine.host.step_changes();
        is_busy |= long_replies::step(self);
        is_busy |= delivery::step(self);
        is_busy |= persistence::step(self);
        self.engine.host.tell_wanted();
        is_busy |= self.pump();
        self.begin_moves();
        is_busy |= self.send_messages();
        if self.engine.clock >= self.next_cron {
            self.next_cron = cron::run(self);
            is_busy |= self.pump();
            is_busy |= self.send_messages();
        }
        for index in 0..self.engine.wrote.len() {
            let id = self.engine.wrote[index];
            self.net.wrote(id);
            self.net.reconsider(id);
        }
        self.engine.wrote.clear();
        is_busy |= self.engine.host.shard.free_step(FREE_PER_TURN);
        is_busy |= large_blocks::release_step(RELEASED_BYTES_PER_TURN);
        log::flush(self);
        is_busy |= commit::end_turn(self);
        if let Err(error) = self.net.exchange() {
            tracing::error!(core = self.engine.me.0, %error, "exchange with the kernel");
        }
        // Replies do not wait for it.
        is_busy |= save::step(self);
        is_busy
    }

    async fn wait(&mut self) {
        let now = runtime::clock::monotonic();
        // Housekeeping that finds nothing to do can wait until something wakes the core.
        let next_cron = if self.is_quiet {
            Monotonic(now.0 + layer_options::QUIET_NANOS)
        } else {
            self.next_cron
        };
        let (timers, pause) = (&self.engine.timers, &self.engine.pause);
        let deadlines = [timers.first(), pause.until()].into_iter().flatten();
        let next = deadlines.fold(next_cron, Monotonic::min);
        let nanos = next.nanos_since(now);
        let until = Duration::from_nanos(nanos.max(1));
        let mesh = &self.mesh;
        let waited = self
            .net
            .wait(&mut self.idle, Some(until), || mesh.has_inbound())
            .await;
        if let Err(error) = waited {
            tracing::error!(core = self.engine.me.0, %error, "wait for the kernel");
        }
    }

    /// Takes what other cores have sent. Returns whether there was anything.
    pub(crate) fn receive_messages(&mut self) -> bool {
        let mut count = 0;
        while count < MESSAGES_PER_TURN_MAX
            && let Some((from, message)) = self.mesh.receive()
        {
            self.take(from, message);
            count += 1;
        }
        count > 0
    }

    /// Does what this turn has left to do on this core, until nothing is left.
    fn pump(&mut self) -> bool {
        let mut is_busy = false;
        // What died or was evicted since, for those who wait for it.
        self.engine.host.serve_if_ready();
        while self.engine.has_local_work() {
            is_busy = true;
            // Before the replies that lie in the outbox: who gets one finds its events delivered.
            self.engine.tell_changes();
            self.engine.spread_tables();
            self.run_wishes();
            for (to, message) in std::mem::take(&mut self.engine.host.outbox) {
                if to == self.engine.me {
                    self.take_shard_message(to, message);
                } else {
                    self.engine
                        .outbound
                        .push_back((to, CoreMessage::Shard(message)));
                }
            }
            for event in std::mem::take(&mut self.engine.transactions.events) {
                self.take_event(event);
            }
        }
        is_busy
    }

    fn send_messages(&mut self) -> bool {
        log::flush(self);
        if !commit::is_open(self) {
            return false;
        }
        self.engine.flush_envelopes();
        self.send_first(self.engine.outbound.len())
    }

    /// Sends the first so many messages. Returns whether there was anything to send.
    pub(crate) fn send_first(&mut self, count: usize) -> bool {
        let mut is_busy = false;
        let mut full: Vec<(ShardId, Lane)> = Vec::new();
        let mut unsent: Vec<(ShardId, CoreMessage)> = Vec::new();
        let mut own: Vec<CoreMessage> = Vec::new();
        for _ in 0..count {
            let Some((to, message)) = self.engine.outbound.pop_front() else {
                break;
            };
            if to == self.engine.me {
                own.push(message);
                continue;
            }
            let lane = match &message {
                CoreMessage::Shard(message) if !message.is_reply() => Lane::Request,
                CoreMessage::Job(..)
                | CoreMessage::Adopt(_)
                | CoreMessage::Monitor(_)
                | CoreMessage::Caching(_)
                | CoreMessage::Publish(_)
                | CoreMessage::Script(_) => Lane::Request,
                CoreMessage::Shard(_)
                | CoreMessage::JobDone(..)
                | CoreMessage::Published(_)
                | CoreMessage::ScriptDone(..) => Lane::Reply,
            };
            is_busy = true;
            // Behind a message that found its lane full, the others of the lane wait too: messages
            // arrive in the order they were sent.
            if full.contains(&(to, lane)) {
                unsent.push((to, message));
            } else if let Err(message) = self.mesh.send(to, lane, message) {
                full.push((to, lane));
                unsent.push((to, message));
            }
        }
        for message in unsent.into_iter().rev() {
            self.engine.outbound.push_front(message);
        }
        self.mesh.flush_wakes();
        // What this core is to do itself comes when the others know of their part: it may take long.
        for message in own {
            is_busy = true;
            self.take(self.engine.me, message);
        }
        is_busy
    }

    fn take(&mut self, from: ShardId, message: CoreMessage) {
        match message {
            CoreMessage::Shard(message) => self.take_shard_message(from, message),
            CoreMessage::Job(number, job) => {
                let part = job(self);
                self.engine
                    .outbound
                    .push_back((from, CoreMessage::JobDone(number, part)));
            }
            CoreMessage::JobDone(number, part) => self.take_part(from, number, part),
            CoreMessage::Adopt(moving) => {
                let mut moving = *moving;
                self.engine.note_pause(&mut moving.session);
                let is_welcome = self.engine.follow_user(&mut moving.session);
                let id = self.net.adopt(moving);
                self.engine.shared.moves.end();
                if !is_welcome {
                    self.net.close(id, &mut self.engine);
                }
            }
            CoreMessage::Monitor(line) => self.show_monitors(&line),
            CoreMessage::Caching(message) => self.take_caching(*message),
            CoreMessage::Publish(forwards) => self.take_forwards(from, forwards),
            CoreMessage::Published(counts) => self.take_counts(counts),
            CoreMessage::Script(sent) => self.take_script(from, sent),
            CoreMessage::ScriptDone(sent, reply, nanos) => {
                self.fill(sent.origin, &reply);
                let args = || sent.words.args();
                self.account(sent.origin, sent.index, args, nanos, &reply);
            }
        }
    }

    fn take_shard_message(&mut self, from: ShardId, message: Message) {
        match message {
            Message::Replies(envelope) => {
                for (index, entry) in envelope.entries().iter().enumerate() {
                    if !entry.is_late {
                        let reply = envelope.reply(index);
                        self.fill(entry.origin, reply);
                        let args = || {
                            let request = envelope.request(index);
                            shown_args(request.command, request.args)
                        };
                        let index = CommandIndex(entry.tag);
                        self.account(entry.origin, index, args, u64::from(entry.nanos), reply);
                    }
                }
                self.engine.keep_envelope(envelope);
            }
            Message::LateReply(late) => {
                let LateReply {
                    origin,
                    request,
                    reply,
                    nanos,
                } = *late;
                self.fill(origin, &reply);
                let args = || shown_args(request.command, request.args.args());
                self.account(origin, CommandIndex(request.tag), args, nanos, &reply);
            }
            Message::Long(handed) if matches!(handed.source, Source::Statement(_)) => {
                self.engine.take_statement(from, *handed);
            }
            Message::Long(handed) => {
                let Handed {
                    origin,
                    request,
                    nanos,
                    source,
                } = *handed;
                let (index, args) = (CommandIndex(request.tag), || request.args.args());
                self.account(origin, index, args, nanos, &[]);
                let resp = request.resp;
                self.engine.long_replies.add(origin, resp, source);
            }
            Message::Executed(sent) => control::exec_on_one::end(self, *sent),
            Message::Wanted { tx } => self.engine.long_replies.hasten(tx),
            Message::Scheduled { .. }
            | Message::Refused { .. }
            | Message::HopDone { .. }
            | Message::Offer { .. }
            | Message::Woken(_)
            | Message::Forgotten { .. } => {
                self.engine
                    .transactions
                    .receive(&mut self.engine.host, from, message);
            }
            Message::Requests(_)
            | Message::Schedule { .. }
            | Message::Hop { .. }
            | Message::Begin { .. }
            | Message::Alone { .. }
            | Message::Exec(_)
            | Message::Return { .. }
            | Message::Release { .. }
            | Message::Wait { .. }
            | Message::Forget { .. }
            | Message::Later { .. }
            | Message::Again { .. }
            | Message::Noticed { .. } => self.engine.host.receive(from, message),
        }
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Done {
                origin,
                reply,
                nanos,
                executed,
            } => {
                self.engine.count_calls();
                let Some(reply) = self.send_home(origin, reply, nanos) else {
                    return;
                };
                if !self.engine.shown_later.is_empty() {
                    control::monitor::show_exec(self, origin, &reply);
                }
                if let Some(queue) = executed {
                    self.account_exec(origin, &queue);
                    self.engine.keep_queue(queue);
                    self.end_exec(origin);
                }
                self.account_running(origin, nanos, &reply);
                self.fill_and_resume(origin, &reply);
            }
            Event::Late {
                origin,
                request,
                reply,
                nanos,
            } => {
                self.fill(origin, &reply);
                let index = CommandIndex(request.tag);
                let args = || shown_args(request.command, request.args.args());
                self.account(origin, index, args, nanos, &reply);
                let (id, place, _) = read_origin(origin);
                self.engine.late_statements.end(id, place);
            }
            Event::Watching {
                origin,
                watched,
                nanos,
            } => {
                let (id, ..) = read_origin(origin);
                self.account_running(origin, nanos, b"+OK\r\n");
                match self.net.connection_mut(id) {
                    Some(connection) => connection.session.watched.extend(watched),
                    // The client has left meanwhile; so its watches end.
                    None => self.engine.unwatch(watched),
                }
                self.fill_and_resume(origin, b"+OK\r\n");
            }
            Event::Ask {
                tx,
                origin,
                args,
                asks_as: None,
            } => control::transaction::ask(self, tx, origin, &args),
            Event::Ask {
                tx,
                args,
                asks_as: Some((db, resp)),
                ..
            } => control::transaction::ask_for_script(self, tx, (db, resp), &args),
            Event::Woken {
                origin,
                reply,
                nanos,
            } => self.end_wait(origin, &reply, nanos),
            Event::Left { origin, reply } => self.end_wait(origin, &reply, 0),
        }
    }

    /// Notes that the EXEC of a client is over.
    fn end_exec(&mut self, origin: Origin) {
        let (id, ..) = read_origin(origin);
        if let Some(connection) = self.net.connection_mut(id) {
            connection.session.executing = None;
        }
    }

    /// Gives a reply to its connection.
    pub fn fill(&mut self, origin: Origin, reply: &[u8]) {
        let (id, place, is_dropped) = read_origin(origin);
        if let Some(connection) = self.net.connection_mut(id) {
            connection
                .output
                .fill(place, if is_dropped { &[] } else { reply });
            self.engine.wrote.push(id);
        }
    }

    /// Gives a reply to a connection that waits for it, and lets it go on.
    pub fn fill_and_resume(&mut self, origin: Origin, reply: &[u8]) {
        self.fill(origin, reply);
        let (id, ..) = read_origin(origin);
        if let Some(connection) = self.net.connection_mut(id) {
            // Who has waited for the server was not idle.
            connection.session.active_at = self.engine.clock;
        }
        self.net.resume(id);
    }

    /// Counts a request that another core has run.
    pub(crate) fn account<'a>(
        &mut self,
        origin: Origin,
        index: CommandIndex,
        args: impl FnOnce() -> Args<'a>,
        nanos: u64,
        reply: &[u8],
    ) {
        let engine = &mut self.engine;
        engine.observed.count(index, nanos, reply);
        if engine.observed.slow_log.is_slow(nanos) {
            let (id, ..) = read_origin(origin);
            let session = self
                .net
                .connection_mut(id)
                .map(|connection| &connection.session);
            let command = *engine.shared.table.at(index);
            let words = slow_log::cut(command.full_name, args());
            engine
                .observed
                .note_slow(engine.now, nanos, command.declaration, words, session);
        }
    }

    /// Asks other cores. The reply goes to `asker`.
    pub fn ask(&mut self, asker: Asker, gather: Gather) {
        self.engine.ask(asker, gather);
    }

    fn take_part(&mut self, from: ShardId, number: u64, part: Part) {
        if let Some((asker, parts, finish)) = self.engine.gathers.receive(from, number, part) {
            self.finish(asker, parts, finish);
        }
    }

    fn finish(&mut self, asker: Asker, parts: Vec<Part>, finish: Finish) {
        let begun = runtime::clock::monotonic();
        match finish(self, parts) {
            Finished::More(gather) => self.ask(asker, gather),
            Finished::Reply(reply) => match asker {
                Asker::Client(origin) => {
                    let nanos = runtime::clock::monotonic().nanos_since(begun);
                    self.account_running(origin, nanos, &reply);
                    self.fill_and_resume(origin, &reply);
                }
                Asker::Transaction(tx) => {
                    let engine = &mut self.engine;
                    engine.transactions.answer(&mut engine.host, tx, reply);
                }
                Asker::Nobody => {}
            },
            Finished::Copy(parcels) => {
                // Only a client asks for one.
                if let Asker::Client(origin) = asker {
                    let nanos = runtime::clock::monotonic().nanos_since(begun);
                    self.account_running(origin, nanos, &[]);
                    let now = self.engine.clock;
                    self.engine.deliveries.add(origin, parcels, now);
                }
            }
        }
    }

    fn show_monitors(&mut self, line: &Bytes) {
        let mut shown: Vec<SocketId> = Vec::new();
        for (id, connection) in self.net.iter_mut() {
            if connection.session.is_monitor && connection.session.replies != Replies::Off {
                connection.output.push(line);
                shown.push(id);
            }
        }
        self.engine.wrote.extend(shown);
    }

    /// Starts to move connections to the cores that their keys live on.
    fn begin_moves(&mut self) {
        while let Some(id) = self.net.take_rested() {
            let me = self.engine.me;
            // Between its last reply and now it may have asked for something else, or have left.
            let is_wanted = self.net.connection_mut(id).is_some_and(|connection| {
                let leader = connection.session.pin.leader();
                leader.is_some_and(|leader| leader != me) && connection.session.may_move()
            });
            if is_wanted {
                self.net.detach(id);
            }
        }
        while let Some(moving) = self.net.take_detached() {
            let to = moving.session.pin.leader().unwrap_or(self.engine.me);
            self.engine.observed.moved_out += 1;
            self.engine.shared.moves.begin();
            self.engine
                .outbound
                .push_back((to, CoreMessage::Adopt(Box::new(moving))));
        }
    }

    /// Returns the counts of how this core has waited.
    #[must_use]
    pub fn idle_counts(&self) -> runtime::idle::IdleCounts {
        self.idle.counts()
    }

    /// Hands a configuration to every core. Only on core 0.
    pub fn spread_config(&mut self, config: Arc<Config>) {
        let changed = self.change_config(config);
        self.ask(Asker::Nobody, control::config::spread(changed));
    }

    /// Applies idle options that may have changed.
    pub fn review_idle(&mut self) {
        self.idle.set_options(layer_options::idle(
            &self.engine.config,
            self.engine.map.shard_count(),
            self.engine.shared.is_crowded,
        ));
    }

    /// Says goodbye: stops to accept, and sends what is ready.
    fn farewell(&mut self) {
        for listener in std::mem::take(&mut self.listeners) {
            self.net.stop_listening(listener);
        }
        // The log is closed: all of it is on the disk.
        self.net.send_held(&mut self.engine);
        for _ in 0..FAREWELL_TURNS {
            let is_busy = self.net.send(&mut self.engine);
            let result = self.net.exchange();
            let is_received = self.net.discard_input(&mut self.engine);
            if result.is_err() || (!is_busy && !is_received) {
                break;
            }
        }
    }
}

/// Turns that replies get to leave after the server was told to stop.
const FAREWELL_TURNS: usize = 64;
