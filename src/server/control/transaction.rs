//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use base::ids::{ClientId, DbIndex, ShardId, TxId};
use commands::spec::CommandError;
use coordinator::exec::{Exec, Part};
use coordinator::message::queue::{Queue, Queued};
use coordinator::message::{Message, Operation, Origin, Watched};
use coordinator::program::WatchKeys;
use net::connection::Connection;
use protocol::args::{Args, PackedArgs, equals_ignore_case};
use protocol::reply::{Reply, Resp};
use runtime::socket_ring::SocketId;
use shard::locks::{Claim, Mode};
use tables::schema::Layout;

use super::acl_recheck::{self, RunAs};
use super::declarations::transaction as declared;
use super::{Answer, ControlCommand, ControlContext, connection, exec_on_one};
use crate::core_loop::Core;
use crate::engine::{Engine, read_origin};
use crate::gather::Asker;
use crate::scripts::program::is_run;
use crate::scripts::start::{Caller, Wanted, What};
use crate::session::{About, Executing, Multi, Session};
use crate::table::Run;

pub(super) const COMMANDS: &[ControlCommand] = &[
    ControlCommand {
        declaration: &declared::MULTI,
        run: multi,
    },
    ControlCommand {
        declaration: &declared::EXEC,
        run: exec,
    },
    ControlCommand {
        declaration: &declared::DISCARD,
        run: discard,
    },
    ControlCommand {
        declaration: &declared::WATCH,
        run: watch,
    },
    ControlCommand {
        declaration: &declared::UNWATCH,
        run: unwatch,
    },
];

/// Returns whether a command is run, not queued, inside MULTI.
#[must_use]
pub(crate) fn ends_multi(full_name: &str) -> bool {
    ["exec", "discard", "multi", "watch", "quit", "reset"].contains(&full_name)
}

/// Returns whether a command of the control plane looks at data, so that inside MULTI it has to keep
/// its place among those that change them.
#[must_use]
pub(crate) fn sees_data(full_name: &str) -> bool {
    let container = full_name.split('|').next();
    container.is_some_and(|name| {
        // Among changes and the events that tell of them, a message keeps its place too.
        let names = [
            "debug", "info", "memory", "script", "function", "publish", "spublish",
        ];
        names.contains(&name) || is_run(name.as_bytes())
    })
}

fn multi(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    if context.session().multi.is_some() {
        return Err(CommandError::Text("ERR MULTI calls can not be nested"));
    }
    let queue = context.engine.spare_queue();
    context.session().multi = Some(Box::new(Multi {
        queue,
        is_spoiled: false,
    }));
    context.session().review();
    Ok(context.ok())
}

fn discard(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    if context.session().multi.is_none() {
        return Err(CommandError::Text("ERR DISCARD without MULTI"));
    }
    forget(context);
    Ok(context.ok())
}

fn unwatch(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    let watched = std::mem::take(&mut context.session().watched);
    context.engine.unwatch(watched);
    Ok(context.ok())
}

/// Ends MULTI and all watches of a client.
pub(super) fn forget(context: &mut ControlContext<'_>) {
    let session = context.session();
    session.multi = None;
    session.review();
    let watched = std::mem::take(&mut session.watched);
    context.engine.unwatch(watched);
}

fn watch(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    if context.session().multi.is_some() {
        return Err(CommandError::Text("ERR WATCH inside MULTI is not allowed"));
    }
    let db = context.session().db;
    let mut keys: Vec<Box<[u8]>> = Vec::new();
    for key in args.from(1).iter() {
        let is_watched = |watched: &Watched| watched.db == db && *watched.key == *key;
        if !context.session().watched.iter().any(is_watched) && !keys.iter().any(|it| **it == *key)
        {
            keys.push(key.into());
        }
    }
    if keys.is_empty() {
        return Ok(context.ok());
    }
    let engine = &*context.engine;
    let keys: Vec<(ShardId, Box<[u8]>)> = keys
        .into_iter()
        .flat_map(|key| {
            engine
                .shards_that_watch(db, &key)
                .map(move |at| (at, key.clone()))
        })
        .collect();
    let mut claims: Vec<(_, Claim)> = Vec::new();
    for (shard, key) in &keys {
        let shard = *shard;
        let claimed = (engine.host.shard.key(key).hash, Mode::Shared);
        match claims.iter_mut().find(|(at, _)| *at == shard) {
            Some((_, claim)) => claim.keys.push(claimed),
            None => claims.push((
                shard,
                Claim {
                    keys: vec![claimed],
                    whole: None,
                },
            )),
        }
    }
    // All here and free, they are watched at once.
    if let [(shard, claim)] = &claims[..]
        && *shard == engine.me
        && engine.host.is_free(claim)
    {
        let shard = *shard;
        for (_, key) in keys {
            let version = context.engine.host.shard.watch(db, &key);
            let watched = Watched {
                db,
                key,
                version,
                shard,
            };
            context.session().watched.push(watched);
        }
        return Ok(context.ok());
    }
    let program = WatchKeys::new(db, keys);
    Ok(Answer::Transaction(claims, Box::new(program)))
}

fn exec(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let session = context.session();
    let Some(multi) = session.multi.take() else {
        return Err(CommandError::Text("ERR EXEC without MULTI"));
    };
    session.review();
    let watched = std::mem::take(&mut session.watched);
    let Multi { queue, is_spoiled } = *multi;
    if is_spoiled {
        context.engine.keep_queue(queue);
        context.engine.unwatch(watched);
        return Err(CommandError::Text(
            "EXECABORT Transaction discarded because of previous errors.",
        ));
    }
    if queue.is_empty() && watched.is_empty() {
        context.reply().array(0);
        return Ok(Answer::Now);
    }
    let (queue, users) = acl_recheck::reviewed(context, queue);
    let shard = exec_on_one::shard_of(context.engine, &queue, &watched);
    // Changes that are signed go to other cores as a transaction.
    let author = context
        .engine
        .author_of(context.id, &context.connection.session);
    let shard = shard.filter(|shard| author.is_none() || *shard == context.engine.me);
    Ok(match shard {
        Some(shard) => exec_on_one::run(context, args, shard, (queue, watched)),
        None => exec_on_several(context, (queue, users), watched),
    })
}

/// Begins an EXEC as a transaction, for which the client waits.
fn exec_on_several(
    context: &mut ControlContext<'_>,
    (mut queue, users): (Queue, RunAs),
    watched: Vec<Watched>,
) -> Answer {
    let session = context.session();
    if !queue.is_empty() {
        session.executing = Some(Executing {
            commands: queue.len(),
            bytes: queue.bytes(),
        });
    }
    let (db, resp, touch) = (session.db, session.resp, !session.no_touch);
    let engine = &mut *context.engine;
    queue.measure_each(!engine.observed.may_measure_together());
    settle(engine, &mut queue, db, resp);
    if engine.observed.has_monitors {
        engine.show_later(context.id.to_bits(), db, &queue);
    }
    let caller = Caller {
        db,
        resp,
        touch,
        user: None,
    };
    let parts = parts_of(engine, (&queue, &users), caller);
    let exec = Exec::new(engine.surroundings(), engine.me, resp, watched, queue).with_parts(parts);
    let claims = exec.claims(&engine.host.shard);
    Answer::Exec(claims, Box::new(exec))
}

/// Gives each queued command the database and the protocol that count when it runs: those of the
/// client now, or what a SELECT or HELLO before it in the MULTI changes them to.
fn settle(engine: &Engine, queue: &mut Queue, mut db: DbIndex, mut resp: Resp) {
    let databases = engine.config.settings().databases;
    for index in 0..queue.len() {
        if queue.request(index).is_some() {
            queue.set_surroundings(index, db, resp);
            continue;
        }
        let args = queue.args(index);
        if args.len() == 2 && equals_ignore_case(args.word(0), "SELECT") {
            db = connection::parse_db(args.word(1), databases).unwrap_or(db);
        } else if equals_ignore_case(args.word(0), "HELLO") {
            resp = connection::hello_protocol(&engine.shared.acl, args).unwrap_or(resp);
        }
    }
}

/// Makes the programs of scripts that stand in a MULTI. Those that cannot be read stay what they are,
/// and are refused when their turn comes.
fn parts_of(
    engine: &mut Engine,
    (queue, users): (&Queue, &RunAs),
    mut caller: Caller,
) -> Vec<Part> {
    let databases = engine.config.settings().databases;
    let mut parts = Vec::new();
    // Functions that come behind may be others then.
    let mut may_change_functions = false;
    for (index, queued) in queue.iter().enumerate() {
        let Queued::Control { args, .. } = queued else {
            continue;
        };
        may_change_functions |= equals_ignore_case(args.word(0), "FUNCTION");
        if args.len() == 2 && equals_ignore_case(args.word(0), "SELECT") {
            caller.db = connection::parse_db(args.word(1), databases).unwrap_or(caller.db);
        } else if equals_ignore_case(args.word(0), "HELLO") {
            let acl = &engine.shared.acl;
            caller.resp = connection::hello_protocol(acl, args).unwrap_or(caller.resp);
        }
        if !is_run(args.word(0)) {
            continue;
        }
        let Ok(mut wanted) = Wanted::read(args) else {
            continue;
        };
        let is_function = matches!(wanted.what, What::Function);
        let is_foreseen = !(is_function && may_change_functions);
        let known = is_foreseen.then(|| engine.foresee(&wanted)).flatten();
        let claims = engine.claims_of(&wanted, known);
        if is_function {
            wanted = wanted.hold(&engine.scripts, known);
        }
        caller.user = users.of_script(index);
        parts.push(Part {
            index,
            claims,
            program: engine.program_of_script(&wanted, known, &caller),
        });
    }
    parts
}

/// Runs a command of the coordinator that a script calls, on behalf of a client that is the script.
pub(crate) fn ask_for_script(core: &mut Core, tx: TxId, of: (DbIndex, Resp), args: &PackedArgs) {
    let engine = &mut core.engine;
    let mut session = Session::new(ClientId(0), About::default(), true, engine.clock);
    (session.db, session.resp) = of;
    let mut connection = Connection::new(session, true);
    let origin = Origin {
        connection: u64::MAX,
        place: 0,
    };
    let (id, ..) = read_origin(origin);
    answer(engine, tx, (id, &mut connection), args.args());
}

/// Runs a command of the coordinator that stands in a MULTI.
pub(crate) fn ask(core: &mut Core, tx: TxId, origin: Origin, args: &PackedArgs) {
    let (id, ..) = read_origin(origin);
    let Core { engine, net, .. } = core;
    match net.connection_mut(id) {
        Some(connection) => answer(engine, tx, (id, connection), args.args()),
        // The client has left; the transaction still has to end.
        None => engine.transactions.answer(&mut engine.host, tx, Vec::new()),
    }
}

fn answer(
    engine: &mut Engine,
    tx: TxId,
    (id, connection): (SocketId, &mut Connection<Session>),
    args: Args<'_>,
) {
    let mut out = Vec::new();
    if let Some(text) = acl_recheck::refusal(args) {
        let resp = connection.session.resp;
        Reply {
            out: &mut out,
            resp,
        }
        .error(&text);
        return engine.transactions.answer(&mut engine.host, tx, out);
    }
    let begun = runtime::clock::monotonic();
    let command = engine.shared.table.resolve(args).copied();
    let answer = match command.map(|command| command.run) {
        Some(Run::Control(run)) => {
            let mut context = ControlContext {
                engine,
                id,
                connection,
                out: &mut out,
                is_in_exec: true,
            };
            run(&mut context, args)
        }
        Some(Run::Shard(_) | Run::Waiting(..)) | None => Err(CommandError::Syntax),
    };
    match answer {
        Ok(Answer::Gather(gather)) => {
            if let Some(command) = command {
                let nanos = runtime::clock::monotonic().nanos_since(begun);
                engine.observed.count(command.index, nanos, &[]);
            }
            return engine.ask(Asker::Transaction(tx), gather);
        }
        Ok(Answer::PubSub(act)) => {
            if let Some(command) = command {
                let nanos = runtime::clock::monotonic().nanos_since(begun);
                engine.observed.count(command.index, nanos, &[]);
            }
            return engine.note_act_of(tx, id, act);
        }
        Ok(Answer::Now | Answer::Close) => {}
        Ok(
            Answer::Silence
            | Answer::Later(..)
            | Answer::LogWait(..)
            | Answer::Transaction(..)
            | Answer::Exec(..)
            | Answer::ExecOn(..)
            | Answer::Begun(..)
            | Answer::Elsewhere(..),
        ) => {
            // No command that is allowed in a MULTI answers so.
            Reply {
                out: &mut out,
                resp: connection.session.resp,
            }
            .error("ERR Command not allowed inside a transaction");
        }
        Err(error) => {
            out.clear();
            let name = command.map_or("", |command| command.full_name);
            Reply {
                out: &mut out,
                resp: connection.session.resp,
            }
            .error(&error.text(name, args));
        }
    }
    if let Some(command) = command {
        let nanos = runtime::clock::monotonic().nanos_since(begun);
        engine.observed.count(command.index, nanos, &out);
    }
    engine.transactions.answer(&mut engine.host, tx, out);
}

impl Engine {
    /// Returns the shards on which a key is watched: its own, but all for a table with rows on all.
    fn shards_that_watch(&self, db: DbIndex, key: &[u8]) -> impl Iterator<Item = ShardId> + use<> {
        let table = self.host.shard.tables().catalog(db).lookup(key);
        let is_spread = table.is_some_and(|schema| schema.layout != Layout::Home);
        let own = self.map.shard_of_key(key);
        self.map.shards().filter(move |at| is_spread || *at == own)
    }

    /// Ends watches; the shards need not answer.
    pub fn unwatch(&mut self, watched: Vec<Watched>) {
        for watched in watched {
            let shard = watched.shard;
            if shard == self.me {
                self.host.shard.unwatch(watched.db, &watched.key);
                continue;
            }
            let claim = Claim {
                keys: Vec::new(),
                whole: None,
            };
            let operations = vec![Operation::CheckWatches(vec![watched])];
            let tx = self.shared.tx_ids.next();
            self.host.outbox.push((
                shard,
                Message::Alone {
                    tx,
                    claim,
                    operations,
                },
            ));
        }
    }
}
