//! The gates of a request, in their fixed order, and the way it takes behind them.
//!
//! known -> words -> debug allowed -> logged in -> allowed to the user -> not paused -> allowed in MULTI -> memory
//! -> queue for MULTI -> run. A request that a gate refuses has changed nothing; inside MULTI it spoils the EXEC.
//! An EXEC that a gate refuses ends its MULTI.
//!
//! A request whose keys lie here runs at once, its reply written straight into the connection's
//! buffer. One for another core goes into that core's envelope, and the connection goes on with the
//! next. A request over several shards, and whatever else takes several steps, makes the
//! connection wait, so that nothing of it overtakes.

use std::time::Duration;

use base::cast::u64_from;
use base::clock::Monotonic;
use base::ids::ShardId;
use commands::cursor;
use commands::spec::{Flags, Plan, ShapeError, Spread};
use commands::table::shown_args;
use coordinator::host::add_claim;
use coordinator::message::Request;
use coordinator::message::queue::Lies;
use coordinator::program::program_of;
use coordinator::route::{Route, route};
use coordinator::signed::Signed;
use net::connection::Connection;
use net::options::{OUTPUT_PAUSE_BYTES, PENDING_REPLIES_MAX};
use net::requests::Requests;
use net::{Served, Service, Then};
use protocol::args::{Args, LargeWord};
use protocol::reply::{Reply, Resp};
use runtime::faults::{self, Fault};
use runtime::socket::Socket;
use runtime::socket_ring::{ListenerId, SocketId};
use shard::locks::Claim;

use crate::control::{self, Answer, ControlContext, debug};
use crate::engine::{CoreMessage, Engine, Hint, origin_of};
use crate::eviction;
use crate::gather::Asker;
use crate::observe::slow_log;
use crate::session::Session;
use crate::table::{Command, Known, Run};
use crate::timers::Due;

impl Service for Engine {
    type Session = Session;

    fn open(
        &mut self,
        socket: &Socket,
        _listener: ListenerId,
    ) -> Result<Connection<Session>, Vec<u8>> {
        let session = self.admit(socket)?;
        let is_open = session.authenticated;
        Ok(Connection::new(session, is_open))
    }

    fn accept_failed(&mut self, error: &std::io::Error) {
        tracing::warn!(
            core = self.me.0,
            %error,
            "no connection could be accepted; if descriptors are short, raise ulimit -n or lower \
             maxclients"
        );
    }

    fn serve(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        requests: Requests<'_>,
    ) -> Served {
        let served = self.serve_all(id, connection, requests);
        if self.unmeasured.count > 0 {
            self.measure();
        }
        served
    }

    fn waits_for_others(&self, id: SocketId) -> bool {
        self.timers.waits(id.to_bits()) || self.pause.holds(id)
    }

    fn takes_large_word(&self, connection: &Connection<Session>, args: Args<'_>) -> bool {
        self.takes_large(&connection.session, args)
    }

    fn serve_large(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        args: Args<'_>,
        large: LargeWord,
    ) -> Then {
        self.run_large(id, connection, args, large)
    }

    fn closed(&mut self, id: SocketId, mut session: Session) {
        self.abandon_wait(id);
        self.pause.forget(id);
        self.end_subscriptions(id, &mut session);
        self.end_tracking(id, &mut session);
        self.dismiss(session);
    }
}

impl Engine {
    /// Serves requests until one of them has to wait or closes the connection.
    #[inline]
    fn serve_all(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        requests: Requests<'_>,
    ) -> Served {
        self.prefetch(connection, &requests);
        connection.session.active_at = self.clock;
        let since = match self.serving {
            Some((serving, since)) if serving == id => since,
            Some(_) | None => self.clock,
        };
        self.serving = Some((id, since));
        let mut known = None;
        for index in 0..requests.len() {
            connection.session.commands += 1;
            let hint = self.hints.get(index).copied().unwrap_or_default();
            match self.serve_one(id, connection, requests.args(index), hint, &mut known) {
                // One client's large replies must not hold up the others, nor its long commands: it goes
                // on when those have been sent, or in the next turn.
                Then::GoOn
                    if is_full(connection) || self.clock.nanos_since(since) > SERVING_NANOS_MAX =>
                {
                    return Served {
                        taken: index + 1,
                        then: Then::GoOn,
                    };
                }
                Then::GoOn => {}
                then @ (Then::Wait | Then::Close) => {
                    let taken = self.taken_by(id, connection, &requests, index);
                    return Served { taken, then };
                }
            }
        }
        if let Some(leader) = connection.session.pin.leader()
            && leader != self.me
            && connection.session.may_move()
        {
            connection.move_at_rest();
        }
        Served {
            taken: requests.len(),
            then: Then::GoOn,
        }
    }

    /// Starts the memory accesses of a pipeline's local requests before the first of them runs, and
    /// notes what was found out on the way.
    fn prefetch(&mut self, connection: &Connection<Session>, requests: &Requests<'_>) {
        self.hints.clear();
        if requests.len() < 2 || connection.session.special {
            return;
        }
        let db = connection.session.db;
        let (me, map, shard) = (self.me, self.map, &self.host.shard);
        let is_ahead = shard.gains_by_prefetch(db);
        // The first word behind the name is a key for nearly all commands; for the others the line that
        // is fetched is of no use, and no harm.
        self.hints.extend(requests.second_words().map(|word| {
            let Some(key) = word else {
                return Hint::default();
            };
            let owner = map.shard_of_key(key);
            let hash = (owner == me).then(|| shard.key(key).hash);
            if is_ahead && let Some(hash) = hash {
                shard.prefetch_bucket(db, hash);
            }
            Hint {
                shard: Some(owner),
                hash,
            }
        }));
        if is_ahead {
            for hash in self.hints.iter().filter_map(|hint| hint.hash) {
                shard.prefetch_entry(db, hash);
            }
        }
    }

    #[inline]
    fn serve_one(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        args: Args<'_>,
        hint: Hint,
        known: &mut Option<Known<'static>>,
    ) -> Then {
        let command = match self.gates(id, connection, args, &hint, known) {
            Ok(command) => command,
            Err(then) => return then,
        };
        match command.run {
            Run::Shard(shard_command) | Run::Waiting(shard_command, _) => {
                let flags = command.declaration.flags;
                if flags.has(Flags::DENY_OOM) && self.is_out_of_memory() {
                    return self.reject(connection, command, OUT_OF_MEMORY);
                }
                if self.observed.is_attentive
                    && let Some(then) = self.attend(connection, command, args)
                {
                    return then;
                }
                let session = &connection.session;
                let request = Request {
                    command: shard_command,
                    db: session.db,
                    resp: session.resp,
                    touch: !session.no_touch,
                    args,
                    first_hash: hint.hash,
                    tag: command.index.0,
                };
                if let Run::Waiting(_, form) = command.run {
                    return self.run_or_wait(id, connection, command, request, form);
                }
                self.run_on_shards(id, connection, command, request, hint.shard)
            }
            Run::Control(run) => {
                if self.observed.is_attentive
                    && let Some(text) = self.busy_refusal(command)
                {
                    return self.reject(connection, command, text);
                }
                if self.is_held_back(id, connection) {
                    return Then::Wait;
                }
                self.run_control(id, connection, command, run, args)
            }
        }
    }

    /// Shows a command on shards to `MONITOR`, or refuses it while a script takes long.
    #[cold]
    pub(crate) fn attend(
        &mut self,
        connection: &mut Connection<Session>,
        command: &Command,
        args: Args<'_>,
    ) -> Option<Then> {
        if let Some(text) = self.busy_refusal(command) {
            return Some(self.reject(connection, command, text));
        }
        if self.observed.has_monitors {
            self.tell_monitors(&connection.session, command, args);
        }
        None
    }

    /// Finds the subcommand that a request names, and checks the number of its words. Otherwise the
    /// request is refused, and what to do then is the error.
    #[inline(never)]
    fn resolve(
        &mut self,
        connection: &mut Connection<Session>,
        command: &'static Command,
        args: Args<'_>,
    ) -> Result<&'static Command, Then> {
        match command.declaration.resolve(args) {
            Ok(_) if command.declaration.subcommands.is_empty() => Ok(command),
            Ok(_) => Ok(match args.get(1) {
                Some(word) => self.shared.table.child_or_self(command, word),
                None => command,
            }),
            Err(error) => Err(self.refuse_shape(connection, command, error, args)),
        }
    }

    /// Takes a request through the gates before those of data. Returns its command, or what to do if
    /// the request ends here. See [`CommandTable::find_again`](crate::table::CommandTable::find_again)
    /// for `known`.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "on the way of every request; its other caller is cold"
    )]
    pub(crate) fn gates(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        args: Args<'_>,
        hint: &Hint,
        known: &mut Option<Known<'static>>,
    ) -> Result<&'static Command, Then> {
        if connection.session.special {
            connection.session.begin_request();
        }
        let table = self.shared.table;
        let Some(command) = table.find_again(args.word(0), known) else {
            connection.session.last_command = "";
            return Err(self.refuse_unknown(connection, args));
        };
        let is_checked = command.is_plain && command.declaration.arity.accepts(args.len());
        let command = if is_checked {
            command
        } else {
            self.resolve(connection, command, args)?
        };
        if self.unmeasured.count > 0 && self.unmeasured.command != command.index {
            self.measure();
        }
        connection.session.last_command = command.full_name;
        if !is_checked
            && command.declaration.flags.has(Flags::DEBUGGING)
            && !debug::is_allowed(self.config.settings().debug_command, &connection.session)
        {
            return Err(self.reject(connection, command, debug::REFUSED));
        }
        if connection.session.special {
            if let Some(then) = self.special(id, connection, command, (args, hint)) {
                return Err(then);
            }
            self.track_reads(id, connection, command, args);
        }
        Ok(command)
    }

    /// Serves a client that is out of the ordinary. Returns what to do if the request ends here.
    fn special(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        (args, hint): (Args<'_>, &Hint),
    ) -> Option<Then> {
        let flags = command.declaration.flags;
        let session = &connection.session;
        if !session.authenticated && !flags.has(Flags::NO_AUTH) && self.requires_login() {
            return Some(self.reject(connection, command, "NOAUTH Authentication required."));
        }
        // What may stand in no MULTI is told so below.
        let is_misplaced = session.multi.is_some() && flags.has(Flags::NO_MULTI);
        if session.is_limited
            && !is_misplaced
            && let Some(then) = self.refuse_denied(connection, command, args)
        {
            return Some(then);
        }
        let session = &connection.session;
        if session.is_subscriber()
            && session.resp == Resp::V2
            && !control::pubsub::is_for_subscribers(command)
        {
            let text = control::pubsub::refusal(command.full_name);
            return Some(self.reject(connection, command, &text));
        }
        if session.is_gated && self.is_postponed(id, &mut connection.session, command) {
            return Some(Then::Wait);
        }
        let Some(multi) = connection.session.multi.as_ref() else {
            return self.run_signed(id, connection, command, args);
        };
        if command.ends_multi {
            let is_exec = command.full_name == "exec";
            let needs_memory = is_exec && multi.queue.has_flag(Flags::DENY_OOM);
            if is_exec
                && self.observed.is_attentive
                && multi.queue.has_flag(Flags::WRITE)
                && let Some(text) = self.write_refusal()
            {
                return Some(self.reject(connection, command, text));
            }
            return (needs_memory && self.is_out_of_memory())
                .then(|| self.reject(connection, command, OUT_OF_MEMORY));
        }
        if let Some(text) = self.busy_refusal(command) {
            return Some(self.reject(connection, command, text));
        }
        if flags.has(Flags::NO_MULTI) {
            let text = "ERR Command not allowed inside a transaction";
            return Some(self.reject(connection, command, text));
        }
        // To queue a command takes memory too, whatever the command does.
        if self.is_out_of_memory() {
            return Some(self.reject(connection, command, OUT_OF_MEMORY));
        }
        Some(self.queue(connection, command, args, hint))
    }

    fn queue(
        &mut self,
        connection: &mut Connection<Session>,
        command: &Command,
        args: Args<'_>,
        hint: &Hint,
    ) -> Then {
        let session = &mut connection.session;
        if let Some(multi) = &mut session.multi
            // What will not run need not be kept.
            && !multi.is_spoiled
        {
            match command.run {
                Run::Shard(shard_command) | Run::Waiting(shard_command, _) => {
                    let request = Request {
                        command: shard_command,
                        db: session.db,
                        resp: session.resp,
                        touch: !session.no_touch,
                        args,
                        first_hash: hint.hash,
                        tag: command.index.0,
                    };
                    let lies = match hint.shard {
                        Some(shard) if command.has_one_key_first => Lies::On(shard),
                        Some(_) | None => route(self.map, shard_command, args).into(),
                    };
                    let is_brief = command.is_quick && args.span_bytes() <= BRIEF_BYTES_MAX;
                    multi.queue.push(request, lies, is_brief);
                }
                Run::Control(_) => {
                    let sees_data = control::transaction::sees_data(command.full_name);
                    multi.queue.push_control(args, command.index.0, sees_data);
                }
            }
            // What is queued is still a part of what the client has sent and nobody has served.
            let bytes = multi.queue.bytes();
            if u64_from(bytes) > self.config.settings().query_bytes_max {
                tracing::warn!(
                    client = %session.about.address,
                    bytes,
                    "closing a client whose MULTI exceeds client-query-buffer-limit"
                );
                return Then::Close;
            }
        }
        self.write(connection, |reply| reply.simple("QUEUED"));
        Then::GoOn
    }

    /// Writes a reply that is ready now.
    pub fn write(
        &mut self,
        connection: &mut Connection<Session>,
        write: impl FnOnce(&mut Reply<'_>),
    ) {
        let resp = connection.session.resp;
        let (out, begun) = connection.output.begin();
        write(&mut Reply { out, resp });
        if connection.session.special && is_dropped(&connection.session) {
            connection.output.undo(begun);
        }
        connection.output.end(begun);
    }

    /// Refuses a command at a gate. Inside MULTI that spoils the EXEC; an EXEC itself is over then.
    pub(crate) fn reject(
        &mut self,
        connection: &mut Connection<Session>,
        command: &Command,
        text: &str,
    ) -> Then {
        self.observed.reject(command.index);
        if command.full_name != "exec" {
            return self.refuse(connection, text);
        }
        let session = &mut connection.session;
        session.multi = None;
        session.review();
        let watched = std::mem::take(&mut session.watched);
        self.unwatch(watched);
        let reason = text.strip_prefix("ERR ").unwrap_or(text);
        let text = format!("EXECABORT Transaction discarded because of: {reason}");
        self.refuse(connection, &text)
    }

    /// Answers with an error. Inside MULTI it spoils the EXEC.
    fn refuse(&mut self, connection: &mut Connection<Session>, text: &str) -> Then {
        if let Some(multi) = &mut connection.session.multi {
            multi.is_spoiled = true;
        }
        self.observed.count_error(text.as_bytes());
        self.write(connection, |reply| reply.error(text));
        Then::GoOn
    }

    /// Refuses a request whose words do not fit its command.
    #[cold]
    fn refuse_shape(
        &mut self,
        connection: &mut Connection<Session>,
        command: &Command,
        error: ShapeError,
        args: Args<'_>,
    ) -> Then {
        // What CLIENT LIST shows as the last command, also when it was refused.
        connection.session.last_command = match error {
            ShapeError::WordCount { .. } => {
                let word = args.get(1).unwrap_or_default();
                let table = &self.shared.table;
                table.child_or_self(command, word).full_name
            }
            ShapeError::UnknownSubcommand { .. } => "",
        };
        self.reject(connection, command, &error.text(args))
    }

    /// Refuses a command that does not exist.
    ///
    /// The first line of a request by HTTP ends the connection instead: who lets a web browser send
    /// it wants the server to run the lines of the body as commands.
    #[cold]
    fn refuse_unknown(&mut self, connection: &mut Connection<Session>, args: Args<'_>) -> Then {
        if [&b"POST"[..], b"HOST:"]
            .iter()
            .any(|it| args.word(0).eq_ignore_ascii_case(it))
        {
            tracing::warn!(
                core = self.me.0,
                address = connection.session.about.address,
                "a request by HTTP came in, perhaps sent by a web browser to run commands from a \
                 page; the connection is closed"
            );
            return Then::Close;
        }
        if let Some(multi) = &mut connection.session.multi {
            multi.is_spoiled = true;
        }
        self.observed.count_error(b"ERR");
        self.write(connection, |reply| reply.raw(&unknown_command(args)));
        Then::GoOn
    }

    #[inline]
    pub(crate) fn run_on_shards(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: Request<'_>,
        first_shard: Option<ShardId>,
    ) -> Then {
        match first_shard {
            Some(shard) if command.has_one_key_first => {
                if shard == self.me {
                    self.run_here(id, connection, command, &request)
                } else {
                    self.send_there(id, connection, shard, request)
                }
            }
            Some(_) | None => self.run_by_route(id, connection, command, request),
        }
    }

    /// Runs a request of which it is not known yet where its keys lie.
    #[inline(never)]
    fn run_by_route(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: Request<'_>,
    ) -> Then {
        let route = if request.command.spread == Spread::Cursor {
            Route::Cursor
        } else if self.map.shard_count() == 1 {
            Route::One(self.me)
        } else {
            route(self.map, request.command, request.args)
        };
        match route {
            Route::One(shard) if shard == self.me => {
                self.run_here(id, connection, command, &request)
            }
            Route::Anywhere => self.run_here(id, connection, command, &request),
            Route::One(shard) => self.send_there(id, connection, shard, request),
            Route::Cursor => self.run_cursor(id, connection, command, request),
            Route::Several(_) if let Spread::Plan(Plan::Table(scope)) = request.command.spread => {
                self.run_statement(id, connection, command, request, scope)
            }
            // What is about all keys is about all tables.
            Route::Several(shards) if shards.is_empty() && self.is_held_back(id, connection) => {
                Then::Wait
            }
            Route::Several(shards) => {
                self.begin_transaction(id, connection, command, request, &shards)
            }
        }
    }

    #[inline]
    pub(crate) fn run_here(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: &Request<'_>,
    ) -> Then {
        connection.session.pin.vote(self.me);
        if !self.host.may_run(request) && !faults::is_on(Fault::RunInside) {
            let place = connection.output.defer();
            let origin = origin_of(id, place, is_dropped(&connection.session));
            self.host.park(self.me, origin, *request);
            return Then::GoOn;
        }
        let (out, begun) = connection.output.begin();
        if let Some(later) = self.host.run(request, out) {
            return self.reply_later(id, connection, command, request, *later);
        }
        let written = connection.output.written(begun);
        self.observed.note_reply(command.index, written);
        self.unmeasured.command = command.index;
        self.unmeasured.count += 1;
        let is_brief = command.is_quick
            && written.len() <= BRIEF_BYTES_MAX
            && request.args.span_bytes() <= BRIEF_BYTES_MAX
            && self.observed.may_measure_together();
        if !is_brief {
            self.measure_last(connection, command, request);
        }
        if connection.session.special && is_dropped(&connection.session) {
            connection.output.undo(begun);
        }
        connection.output.end(begun);
        Then::GoOn
    }

    /// Takes the time of a command that has just run, with equal ones before it that were brief.
    pub(crate) fn measure_last(
        &mut self,
        connection: &Connection<Session>,
        command: &Command,
        request: &Request<'_>,
    ) {
        let nanos = self.measure();
        if self.observed.slow_log.is_slow(nanos) {
            let args = shown_args(request.command, request.args);
            let words = slow_log::cut(command.full_name, args);
            let session = Some(&connection.session);
            self.observed
                .note_slow(self.now, nanos, command.declaration, words, session);
        }
    }

    #[inline]
    pub(crate) fn send_there(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        shard: ShardId,
        request: Request<'_>,
    ) -> Then {
        connection.session.pin.vote(shard);
        self.observed.sent_requests += 1;
        let place = connection.output.defer();
        let origin = origin_of(id, place, is_dropped(&connection.session));
        self.send_request(shard, origin, request);
        Then::GoOn
    }

    /// Runs one step of a SCAN on the shard that its cursor names.
    fn run_cursor(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: Request<'_>,
    ) -> Then {
        let cursor = match cursor::parse(request.args.word(1)) {
            Ok(cursor) => cursor,
            Err(error) => {
                let text = error.text(command.full_name, request.args);
                let mut out = b"-".to_vec();
                out.extend_from_slice(text.as_bytes());
                self.observed.count(command.index, 0, &out);
                self.write(connection, |reply| reply.error(&text));
                return Then::GoOn;
            }
        };
        let (shard, _) = cursor::unpack(cursor, self.map.shard_count());
        let claims = vec![(shard, self.host.claim_of(&request))];
        self.note_running(id, command, request.args, 0);
        let program = program_of(self.surroundings(), request);
        self.begin(id, connection, claims, program)
    }

    pub(crate) fn begin_transaction(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: Request<'_>,
        shards: &[ShardId],
    ) -> Then {
        let claims = self.claims(request, shards);
        self.note_running(id, command, request.args, 0);
        let program = program_of(self.surroundings(), request);
        self.begin(id, connection, claims, program)
    }

    /// Returns what a request claims on `shards`, or on all if these are none.
    pub(crate) fn claims(&self, request: Request<'_>, shards: &[ShardId]) -> Vec<(ShardId, Claim)> {
        let shards: Vec<ShardId> = if shards.is_empty() {
            self.map.shards().collect()
        } else {
            shards.to_vec()
        };
        let mut all = Claim {
            keys: Vec::new(),
            whole: None,
        };
        let shard = &self.host.shard;
        add_claim(shard, request.command, request.args, &mut all);
        // Each shard claims the keys of all: cheaper than to split, and no harm where they are not.
        shards
            .into_iter()
            .map(|shard| (shard, all.clone()))
            .collect()
    }

    /// Begins a transaction for a connection, which then waits.
    pub fn begin(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        claims: Vec<(ShardId, Claim)>,
        program: Box<dyn coordinator::step::Program>,
    ) -> Then {
        let place = connection.output.defer();
        let origin = origin_of(id, place, is_dropped(&connection.session));
        let program = Signed::if_any(self.author_of(id, &connection.session), program);
        self.flush_envelopes();
        self.transactions
            .begin(&mut self.host, origin, claims, program);
        Then::Wait
    }

    fn run_control(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        run: control::ControlRun,
        args: Args<'_>,
    ) -> Then {
        let mut out = std::mem::take(&mut self.observed.scratch);
        out.clear();
        let author = self.author_of(id, &connection.session);
        self.host.shard.sign_changes(author);
        let begun = self.clock;
        let answer = {
            let mut context = ControlContext {
                engine: self,
                id,
                connection,
                out: &mut out,
                is_in_exec: false,
            };
            run(&mut context, args)
        };
        self.host.shard.sign_changes(None);
        let answer = answer.unwrap_or_else(|error| {
            out.clear();
            let mut reply = Reply {
                out: &mut out,
                resp: connection.session.resp,
            };
            reply.error(&error.text(command.full_name, args));
            Answer::Now
        });
        // Shown behind its run, so with the database that SELECT has chosen. What an EXEC has run
        // is shown when that is over.
        if self.observed.has_monitors && !matches!(answer, Answer::Exec(..)) {
            self.tell_monitors(&connection.session, command, args);
        }
        let ended = runtime::clock::monotonic();
        let nanos = ended.nanos_since(begun);
        self.clock = ended;
        if matches!(
            answer,
            Answer::Gather(_) | Answer::Transaction(..) | Answer::Exec(..) | Answer::Begun(..)
        ) {
            self.note_running(id, command, args, nanos);
        } else if !matches!(answer, Answer::Elsewhere(..) | Answer::ExecOn(..)) {
            // What runs elsewhere is counted when it comes back.
            self.count_control(connection, command, args, nanos, &out);
        }
        let then = self.take_answer(id, connection, answer, &out);
        self.observed.scratch = out;
        then
    }

    /// Counts a run of a control command and what it has answered at once.
    fn count_control(
        &mut self,
        connection: &Connection<Session>,
        command: &Command,
        args: Args<'_>,
        nanos: u64,
        out: &[u8],
    ) {
        self.observed.count(command.index, nanos, out);
        if self.observed.slow_log.is_slow(nanos) {
            let words = slow_log::cut(command.full_name, args);
            let session = Some(&connection.session);
            self.observed
                .note_slow(self.now, nanos, command.declaration, words, session);
        }
    }

    fn take_answer(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        answer: Answer,
        out: &[u8],
    ) -> Then {
        match answer {
            Answer::Now => {
                self.write(connection, |reply| reply.raw(out));
                Then::GoOn
            }
            Answer::Silence => Then::GoOn,
            Answer::PubSub(act) => {
                let is_dropped = is_dropped(&connection.session);
                self.note_act(id, connection, act, is_dropped)
            }
            Answer::Close => {
                self.write(connection, |reply| reply.raw(out));
                Then::Close
            }
            // Who sends no more is not there to wait.
            Answer::Later(_, reply) if connection.is_closing() => {
                self.write(connection, |out| out.raw(reply));
                Then::GoOn
            }
            Answer::Later(duration, reply) => {
                let place = connection.output.defer();
                let origin = origin_of(id, place, is_dropped(&connection.session));
                let deadline = self.deadline_in(duration);
                self.timers.add(deadline, origin, Due::Reply(reply.into()));
                Then::Wait
            }
            // Who sends no more is not there to wait.
            Answer::LogWait(..) if connection.is_closing() => {
                self.write(connection, |out| out.raw(b"*2\r\n:0\r\n:0\r\n"));
                Then::GoOn
            }
            Answer::LogWait(duration, wait) => {
                let place = connection.output.defer();
                let origin = origin_of(id, place, is_dropped(&connection.session));
                self.flush_envelopes();
                let deadline = self.deadline_in(duration);
                self.timers.add(deadline, origin, Due::Log(wait));
                Then::Wait
            }
            Answer::Gather(gather) => {
                let place = connection.output.defer();
                let origin = origin_of(id, place, is_dropped(&connection.session));
                // What the client has sent before must not be overtaken by the question.
                self.flush_envelopes();
                self.ask(Asker::Client(origin), gather);
                Then::Wait
            }
            Answer::Elsewhere(core, mut sent) => {
                let place = connection.output.defer();
                sent.origin = origin_of(id, place, is_dropped(&connection.session));
                sent.author = self.author_of(id, &connection.session);
                // What the client has sent to that core before comes first.
                self.flush_envelopes();
                self.observed.sent_requests += 1;
                self.outbound.push_back((core, CoreMessage::Script(sent)));
                Then::GoOn
            }
            Answer::Begun(claim, program, step) => {
                let place = connection.output.defer();
                let origin = origin_of(id, place, is_dropped(&connection.session));
                let author = self.author_of(id, &connection.session);
                let (program, step) = Signed::from_step_if_any(author, program, step);
                self.transactions
                    .adopt(&mut self.host, origin, claim, program, step);
                Then::Wait
            }
            Answer::Transaction(claims, program) => self.begin(id, connection, claims, program),
            Answer::Exec(claims, program) => self.begin(id, connection, claims, program),
            Answer::ExecOn(shard, sent) => self.send_exec(id, connection, shard, sent),
        }
    }

    fn deadline_in(&self, duration: Option<Duration>) -> Option<Monotonic> {
        duration.map(|duration| {
            let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            Monotonic(self.clock.0.saturating_add(nanos))
        })
    }

    /// Returns the error of a command that has to wait for the end of a script that takes long, or for data
    /// that is being loaded, or for a disk that takes writes.
    #[cold]
    fn busy_refusal(&self, command: &Command) -> Option<&'static str> {
        let flags = command.declaration.flags;
        let refusal = self.shared.persistence.refusal(flags, &self.config);
        if refusal.is_some() || flags.has(Flags::ALLOW_BUSY) {
            return refusal;
        }
        self.shared.scripts.busy.refusal()
    }

    /// Returns the error of writes, if the disk takes none.
    #[cold]
    pub(crate) fn write_refusal(&self) -> Option<&'static str> {
        self.shared.persistence.refusal(Flags::WRITE, &self.config)
    }

    /// Returns whether writes are refused for lack of memory; evicts what may be evicted.
    #[inline]
    pub(crate) fn is_out_of_memory(&mut self) -> bool {
        self.observed.has_memory_limit && !eviction::make_room(self)
    }
}

/// Returns whether a connection has to send or to receive replies before it may go on.
#[inline]
fn is_full(connection: &Connection<Session>) -> bool {
    connection.output.unsent_bytes() > OUTPUT_PAUSE_BYTES
        || connection.awaits_enough(OUTPUT_PAUSE_BYTES, PENDING_REPLIES_MAX)
}

/// A client's requests are put off to the next turn when it has been served for so long in this one.
const SERVING_NANOS_MAX: u64 = 500_000;

/// The time is taken behind a command with a longer request or reply.
const BRIEF_BYTES_MAX: usize = 1024;

/// Error of a write when `maxmemory` is reached.
pub(crate) const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// Returns whether the reply to the present request is dropped.
#[inline]
#[must_use]
pub fn is_dropped(session: &Session) -> bool {
    session.drops_reply()
}

/// Writes the error for a command that does not exist. It repeats the first words, as Redis does: up
/// to 128 bytes of the name and of all arguments together, each word up to its first zero byte.
fn unknown_command(args: Args<'_>) -> Vec<u8> {
    let shown = |word: &'_ [u8], room: usize| -> Vec<u8> {
        let bytes = word.iter().take(room).take_while(|&&byte| byte != 0);
        bytes
            .map(|&byte| {
                if matches!(byte, b'\r' | b'\n') {
                    b' '
                } else {
                    byte
                }
            })
            .collect()
    };
    let mut text = b"-ERR unknown command '".to_vec();
    text.extend(shown(args.word(0), REPEATED_BYTES_MAX));
    text.extend_from_slice(b"', with args beginning with: ");
    let mut words = Vec::new();
    for word in args.from(1).iter() {
        if words.len() >= REPEATED_BYTES_MAX {
            break;
        }
        let room = REPEATED_BYTES_MAX - words.len();
        words.push(b'\'');
        words.extend(shown(word, room));
        words.extend_from_slice(b"' ");
    }
    text.extend(words);
    text.extend_from_slice(b"\r\n");
    text
}

/// Bytes that the error for an unknown command repeats of the name, and of the arguments.
const REPEATED_BYTES_MAX: usize = 128;
