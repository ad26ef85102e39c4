//! CLIENT LIST and CLIENT INFO: one line of facts for each connection.
//!
//! The fields are those of Redis 7.0.15 in its order, then `lib-name` and `lib-ver` of 7.2, then our
//! own `shard`, the core that the client lives on.
//!
//! ```text
//! qbuf, qbuf-free   bytes received and not served, and the room left in their buffer
//! argv-mem          what is known of a request that has come in part
//! multi, multi-mem  commands behind MULTI (-1 outside), and the bytes of their words
//! rbs, rbp          buffer of replies that are ready, and the most that was ever sent at once
//! obl, oll, omem    bytes ready to be sent; replies held behind one that is awaited, in runs;
//!                   the memory of those
//! tot-mem           all of these and the session
//! ```

use base::clock::Monotonic;
use base::ids::{ClientId, ShardId};
use base::number::parse_i64;
use commands::spec::CommandError;
use coordinator::message::Watched;
use net::Service;
use net::connection::Connection;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Resp;

use super::client::{ClientKind, reply_with};
use super::{Answer, ControlContext, tracking};
use crate::core_loop::Core;
use crate::engine::Shared;
use crate::gather::{Finished, Gather};
use crate::moves::QUESTIONS_MAX;
use crate::session::{Executing, Session};
use crate::subscriptions::Kind;
use crate::tracking::Mode;

/// What a line says beyond what the connection knows.
struct Surroundings {
    now: Monotonic,
    shard: ShardId,
    is_blocked: bool,
}

/// A line, and the keys that decide about one of its flags.
struct Line {
    client: ClientId,
    text: String,
    /// Where a `d` belongs among the flags, and whether it would be the only one.
    dirty_at: usize,
    has_flags: bool,
    watched: Vec<Watched>,
}

/// Replies with the line of the client itself.
pub(super) fn info(context: &mut ControlContext<'_>) -> Answer {
    let around = Surroundings {
        now: context.engine.clock,
        shard: context.engine.me,
        is_blocked: false,
    };
    let line = line(context.connection, &around);
    if line.watched.is_empty() {
        context.reply().verbatim("txt", line.text.as_bytes());
        return Answer::Now;
    }
    Answer::Gather(mark_dirty(vec![line], context.session().resp))
}

/// Replies with the lines of the clients that are asked for, by rising number.
pub(super) fn list(
    context: &mut ControlContext<'_>,
    args: Args<'_>,
) -> Result<Answer, CommandError> {
    let resp = context.session().resp;
    let shared = &context.engine.shared;
    let Some(option) = args.get(2) else {
        return Ok(gather(shared, Wanted::All, resp, QUESTIONS_MAX));
    };
    if equals_ignore_case(option, "TYPE") && args.len() == 4 {
        return Ok(match ClientKind::parse(args.word(3)) {
            Ok(kind) => gather(shared, Wanted::Kind(kind), resp, QUESTIONS_MAX),
            Err(text) => {
                context.reply().error(&text);
                Answer::Now
            }
        });
    }
    if equals_ignore_case(option, "ID") && args.len() > 3 {
        let mut ids = Vec::new();
        for word in args.from(3).iter() {
            let id = parse_i64(word).ok_or(CommandError::Text("ERR Invalid client ID"))?;
            // No client has a number below 1.
            ids.extend(u64::try_from(id).ok().map(ClientId));
        }
        ids.sort_unstable();
        ids.dedup();
        return Ok(gather(shared, Wanted::Ids(ids), resp, QUESTIONS_MAX));
    }
    Err(CommandError::Syntax)
}

/// Returns the line of a client, without its end.
pub(crate) fn described(
    connection: &Connection<Session>,
    now: Monotonic,
    shard: ShardId,
) -> String {
    let around = Surroundings {
        now,
        shard,
        is_blocked: false,
    };
    line(connection, &around).text.trim_end().to_owned()
}

/// Whose lines are asked for.
#[derive(Clone, Debug)]
enum Wanted {
    All,
    /// Those of clients of a kind.
    Kind(ClientKind),
    /// Those of these clients, sorted.
    Ids(Vec<ClientId>),
}

impl Wanted {
    fn has(&self, session: &Session) -> bool {
        match self {
            Self::All => true,
            Self::Kind(kind) => *kind == ClientKind::of(session),
            Self::Ids(ids) => ids.binary_search(&session.client).is_ok(),
        }
    }
}

fn gather(shared: &Shared, wanted: Wanted, resp: Resp, questions: u32) -> Answer {
    Answer::Gather(question(shared, wanted, resp, questions))
}

/// Asks all cores for the lines of those who are wanted; up to `questions` times if a client was between
/// two cores.
fn question(shared: &Shared, wanted: Wanted, resp: Resp, questions: u32) -> Gather {
    let before = shared.moves.read();
    let asked = wanted.clone();
    Gather::all(
        move |core| lines(core, &asked),
        move |core, parts| {
            let shared = &core.engine.shared;
            if questions > 1 && !before.is_still_at(shared.moves.read()) {
                return Finished::More(question(shared, wanted, resp, questions - 1));
            }
            let mut lines: Vec<Line> = parts.into_iter().flatten().collect();
            lines.sort_unstable_by_key(|line| line.client);
            // A client that moved between two answers may stand in both.
            lines.dedup_by_key(|line| line.client);
            if lines.iter().any(|line| !line.watched.is_empty()) {
                Finished::More(mark_dirty(lines, resp))
            } else {
                Finished::Reply(joined(&lines, resp))
            }
        },
    )
}

fn joined(lines: &[Line], resp: Resp) -> Vec<u8> {
    let text: String = lines.iter().map(|line| line.text.as_str()).collect();
    reply_with(resp, |reply| reply.verbatim("txt", text.as_bytes()))
}

/// Asks the owners of the watched keys which have changed, and then replies with the lines. In these,
/// clients whose EXEC will fail have the flag `d`.
fn mark_dirty(mut lines: Vec<Line>, resp: Resp) -> Gather {
    let watched: Vec<(ClientId, Watched)> = lines
        .iter_mut()
        .flat_map(|line| {
            let client = line.client;
            let watched = std::mem::take(&mut line.watched);
            watched.into_iter().map(move |watched| (client, watched))
        })
        .collect();
    Gather::all(
        move |core| changed(core, &watched),
        move |_, parts| {
            let dirty: Vec<ClientId> = parts.into_iter().flatten().collect();
            for line in &mut lines {
                if dirty.contains(&line.client) {
                    let end = line.dirty_at + usize::from(!line.has_flags);
                    line.text.replace_range(line.dirty_at..end, "d");
                }
            }
            Finished::Reply(joined(&lines, resp))
        },
    )
}

/// Returns who watches a key of this core that has changed.
fn changed(core: &mut Core, watched: &[(ClientId, Watched)]) -> Vec<ClientId> {
    let me = core.engine.me;
    let shard = &mut core.engine.host.shard;
    let mut clients = Vec::new();
    for (client, watched) in watched {
        let is_here = watched.shard == me;
        if is_here && shard.watch_version(watched.db, &watched.key) != watched.version {
            clients.push(*client);
        }
    }
    clients
}

fn lines(core: &Core, wanted: &Wanted) -> Vec<Line> {
    let now = runtime::clock::monotonic();
    let shown = core.net.iter();
    let shown = shown.filter(|(_, connection)| wanted.has(&connection.session));
    shown
        .map(|(id, connection)| {
            let around = Surroundings {
                now,
                shard: core.engine.me,
                is_blocked: core.engine.waits_for_others(id),
            };
            line(connection, &around)
        })
        .collect()
}

/// Writes the line of one connection, with its end of line.
fn line(connection: &Connection<Session>, around: &Surroundings) -> Line {
    let session = &connection.session;
    let about = &session.about;
    let output = &connection.output;
    let seconds = |since| around.now.nanos_since(since) / 1_000_000_000;
    let multi = session.multi.as_ref().map(|multi| Executing {
        commands: multi.queue.len(),
        bytes: multi.queue.bytes(),
    });
    let (queued, queued_bytes) = multi.or(session.executing).map_or((-1, 0), |multi| {
        (base::cast::i64_from(multi.commands), multi.bytes)
    });
    let (held_count, held_bytes) = output.held();
    let texts = [
        about.address.capacity(),
        about.local_address.capacity(),
        about.name.capacity(),
        about.library_name.capacity(),
        about.library_version.capacity(),
    ];
    let total = size_of_val(connection)
        + size_of_val(&**about)
        + texts.iter().sum::<usize>()
        + connection.buffer_bytes()
        + connection.partial_word_bytes()
        + queued_bytes;
    let listens_to = |kind| {
        let subscriptions = session.subscriptions.as_ref();
        subscriptions.map_or(0, |subscriptions| subscriptions.count(kind))
    };
    let flags = flags(connection, around.is_blocked);
    let mut text = format!(
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags=",
        session.client.0,
        about.address,
        about.local_address,
        about.fd,
        about.name,
        seconds(session.connected_at),
        seconds(session.active_at),
    );
    let flags_at = text.len();
    let rest = format!(
        "{} db={} sub={} psub={} ssub={} multi={queued} qbuf={} qbuf-free={} argv-mem={} \
         multi-mem={queued_bytes} rbs={} rbp={} obl={} oll={held_count} omem={held_bytes} \
         tot-mem={total} events={} cmd={} user={} redir={} resp={} lib-name={} lib-ver={} \
         shard={}\n",
        if flags.is_empty() { "N" } else { &flags },
        session.db.0,
        listens_to(Kind::Channel),
        listens_to(Kind::Pattern),
        listens_to(Kind::Shard),
        connection.unserved_bytes(),
        connection.input_room_bytes(),
        connection.partial_word_bytes(),
        output.ready_capacity_bytes(),
        output.peak_bytes(),
        output.ready_bytes(),
        events(connection),
        if session.last_command.is_empty() {
            "NULL"
        } else {
            session.last_command
        },
        String::from_utf8_lossy(about.user.name()),
        tracking::redirect_of(session),
        if session.resp == Resp::V3 { 3 } else { 2 },
        about.library_name,
        about.library_version,
        around.shard,
    );
    text.push_str(&rest);
    let before = |flag: char| BEFORE_DIRTY.contains(&flag);
    Line {
        client: session.client,
        dirty_at: flags_at + flags.chars().take_while(|flag| before(*flag)).count(),
        has_flags: !flags.is_empty(),
        watched: session.watched.clone(),
        text,
    }
}

/// The flags that stand before `d`.
const BEFORE_DIRTY: &[char] = &['O', 'P', 'x', 'b', 't', 'R', 'B'];

/// Returns the letters that Redis shows for the states that exist here, in its order, but `d`; for
/// none of them it shows `N`.
fn flags(connection: &Connection<Session>, is_blocked: bool) -> String {
    let session = &connection.session;
    let tracking = session.tracking.as_ref();
    [
        ('O', session.is_monitor),
        ('P', session.is_subscriber()),
        ('x', session.multi.is_some() || session.executing.is_some()),
        ('b', is_blocked),
        ('t', tracking.is_some()),
        ('R', tracking.is_some_and(|it| it.is_broken)),
        ('B', tracking.is_some_and(|it| it.mode == Mode::Broadcast)),
        ('c', connection.is_closing()),
        ('U', session.about.is_unix),
        ('e', session.no_evict),
        ('T', session.no_touch),
    ]
    .into_iter()
    .filter_map(|(letter, is_set)| is_set.then_some(letter))
    .collect()
}

fn events(connection: &Connection<Session>) -> &'static str {
    match (connection.is_read_from(), connection.is_sending()) {
        (true, true) => "rw",
        (true, false) => "r",
        (false, true) => "w",
        (false, false) => "",
    }
}
