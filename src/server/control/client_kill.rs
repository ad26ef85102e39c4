//! CLIENT KILL: closes connections of every core.
//!
//! Each core closes those of its own; only the client that asked, if it means itself, is closed by
//! the end of the question, behind its reply.

use base::clock::Monotonic;
use base::ids::ClientId;
use base::number::parse_i64;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Resp;
use runtime::socket_ring::SocketId;

use super::client::{ClientKind, reply_with};
use super::{Answer, ControlContext};
use crate::acl::Acl;
use crate::core_loop::Core;
use crate::engine::Shared;
use crate::gather::{Finished, Gather};
use crate::moves::QUESTIONS_MAX;
use crate::session::Session;

/// Which connections are meant: those that fit all filters.
#[derive(Clone, Debug, Default)]
struct Filter {
    id: Option<ClientId>,
    address: Option<String>,
    local_address: Option<String>,
    kind: Option<ClientKind>,
    user: Option<Box<[u8]>>,
    /// Nanoseconds that a connection must be old.
    age: Option<u64>,
    /// A client that is never meant.
    spared: Option<ClientId>,
}

/// Why the filters of a request are refused.
enum Refusal {
    Error(CommandError),
    Text(String),
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        Self::Error(error)
    }
}

pub(super) fn kill(
    context: &mut ControlContext<'_>,
    args: Args<'_>,
) -> Result<Answer, CommandError> {
    let me = context.session().client;
    let is_old_form = args.len() == 3;
    let filter = if is_old_form {
        Filter {
            address: Some(String::from_utf8_lossy(args.word(2)).into_owned()),
            ..Filter::default()
        }
    } else {
        match Filter::parse(args, me, &context.engine.shared.acl) {
            Ok(filter) => filter,
            Err(Refusal::Error(error)) => return Err(error),
            Err(Refusal::Text(text)) => {
                context.reply().error(&text);
                return Ok(Answer::Now);
            }
        }
    };
    let killing = Killing {
        filter,
        asker: me,
        connection: context.id,
        resp: context.session().resp,
        is_old_form,
        killed: Killed::default(),
        questions: QUESTIONS_MAX,
    };
    Ok(Answer::Gather(gather(&context.engine.shared, killing)))
}

/// A CLIENT KILL under way.
struct Killing {
    filter: Filter,
    /// Who asks.
    asker: ClientId,
    connection: SocketId,
    resp: Resp,
    is_old_form: bool,
    /// What was closed by questions before.
    killed: Killed,
    /// How often may still be asked.
    questions: u32,
}

/// Has all cores close theirs; again if a client was between two of them.
fn gather(shared: &Shared, mut killing: Killing) -> Gather {
    let before = shared.moves.read();
    let (filter, asker) = (killing.filter.clone(), killing.asker);
    Gather::all(
        move |core| close_matching(core, &filter, asker),
        move |core, parts: Vec<Killed>| {
            for part in parts {
                killing.killed.count += part.count;
                killing.killed.is_asker |= part.is_asker;
            }
            killing.questions -= 1;
            let shared = &core.engine.shared;
            if killing.questions > 0 && !before.is_still_at(shared.moves.read()) {
                return Finished::More(gather(shared, killing));
            }
            finish(core, &killing)
        },
    )
}

/// What was closed.
#[derive(Clone, Copy, Debug, Default)]
struct Killed {
    /// Without the client that asked.
    count: usize,
    /// The client that asked lives there and is meant too; it is not closed yet.
    is_asker: bool,
}

fn close_matching(core: &mut Core, filter: &Filter, asker: ClientId) -> Killed {
    let now = runtime::clock::monotonic();
    let meant: Vec<(SocketId, ClientId)> = core
        .net
        .iter()
        .filter(|(_, connection)| filter.fits(&connection.session, now))
        .map(|(id, connection)| (id, connection.session.client))
        .collect();
    let mut is_asker = false;
    for &(id, client) in &meant {
        if client == asker {
            is_asker = true;
        } else {
            core.net.close(id, &mut core.engine);
        }
    }
    Killed {
        count: meant.len() - usize::from(is_asker),
        is_asker,
    }
}

fn finish(core: &mut Core, killing: &Killing) -> Finished {
    let Killed { count, is_asker } = killing.killed;
    if is_asker {
        core.net.close_after_output(killing.connection);
    }
    let count = count + usize::from(is_asker);
    let is_old_form = killing.is_old_form;
    Finished::Reply(reply_with(killing.resp, |reply| {
        match (is_old_form, count) {
            (true, 0) => reply.error("ERR No such client"),
            (true, _) => reply.ok(),
            (false, count) => reply.integer(base::cast::i64_from(count)),
        }
    }))
}

impl Filter {
    /// Reads pairs of a filter and its value.
    fn parse(args: Args<'_>, me: ClientId, acl: &Acl) -> Result<Self, Refusal> {
        let mut filter = Self {
            spared: Some(me),
            ..Self::default()
        };
        let mut index = 2;
        while let Some(word) = args.get(index) {
            let value = args.get(index + 1).ok_or(CommandError::Syntax)?;
            filter.add((word, value), me, acl)?;
            index += 2;
        }
        Ok(filter)
    }

    fn add(
        &mut self,
        (word, value): (&[u8], &[u8]),
        me: ClientId,
        acl: &Acl,
    ) -> Result<(), Refusal> {
        let is = |name: &str| equals_ignore_case(word, name);
        let text = || String::from_utf8_lossy(value).into_owned();
        if is("ID") {
            const WRONG: CommandError =
                CommandError::Text("ERR client-id should be greater than 0");
            let id = parse_i64(value).filter(|id| *id > 0).ok_or(WRONG)?;
            self.id = u64::try_from(id).ok().map(ClientId);
        } else if is("MAXAGE") {
            const NOT_A_NUMBER: CommandError =
                CommandError::Text("ERR maxage is not an integer or out of range");
            const WRONG: CommandError = CommandError::Text("ERR maxage should be greater than 0");
            let seconds = parse_i64(value).ok_or(NOT_A_NUMBER)?;
            let seconds = u64::try_from(seconds).ok().filter(|it| *it > 0);
            self.age = Some(seconds.ok_or(WRONG)?.saturating_mul(1_000_000_000));
        } else if is("TYPE") {
            self.kind = Some(ClientKind::parse(value).map_err(Refusal::Text)?);
        } else if is("ADDR") {
            self.address = Some(text());
        } else if is("LADDR") {
            self.local_address = Some(text());
        } else if is("USER") {
            // A client that has not logged in counts as the default user, as in Redis.
            if acl.user(value).is_none() {
                return Err(Refusal::Text(format!("ERR No such user '{}'", text())));
            }
            self.user = Some(value.into());
        } else if is("SKIPME") {
            if equals_ignore_case(value, "YES") {
                self.spared = Some(me);
            } else if equals_ignore_case(value, "NO") {
                self.spared = None;
            } else {
                return Err(CommandError::Syntax.into());
            }
        } else {
            return Err(CommandError::Syntax.into());
        }
        Ok(())
    }

    fn fits(&self, session: &Session, now: Monotonic) -> bool {
        let about = &session.about;
        self.id.is_none_or(|id| id == session.client)
            && self.kind.is_none_or(|kind| kind == ClientKind::of(session))
            && self
                .user
                .as_ref()
                .is_none_or(|it| **it == *about.user.name())
            && self.spared != Some(session.client)
            && self.address.as_ref().is_none_or(|it| *it == about.address)
            && self
                .local_address
                .as_ref()
                .is_none_or(|it| *it == about.local_address)
            && self
                .age
                .is_none_or(|age| now.nanos_since(session.connected_at) >= age)
    }
}
