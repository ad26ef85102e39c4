//! PING, ECHO, QUIT, RESET, HELLO, AUTH, SELECT.

use std::sync::Arc;

use base::ids::DbIndex;
use base::number::parse_i64;
use commands::error::shown;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Resp;

use super::declarations::connection as declared;
use super::{Answer, ControlCommand, ControlContext};
use crate::acl::log::Context;
use crate::acl::selector::Reason;
use crate::acl::user::{DEFAULT_USER, User};
use crate::acl::{Acl, Users};
use crate::session::Replies;
use crate::version;

pub(super) const COMMANDS: &[ControlCommand] = &[
    ControlCommand {
        declaration: &declared::PING,
        run: ping,
    },
    ControlCommand {
        declaration: &declared::ECHO,
        run: echo,
    },
    ControlCommand {
        declaration: &declared::QUIT,
        run: quit,
    },
    ControlCommand {
        declaration: &declared::RESET,
        run: reset,
    },
    ControlCommand {
        declaration: &declared::HELLO,
        run: hello,
    },
    ControlCommand {
        declaration: &declared::AUTH,
        run: auth,
    },
    ControlCommand {
        declaration: &declared::SELECT,
        run: select,
    },
];

fn ping(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let session = context.session();
    if session.is_subscriber() && session.resp == Resp::V2 && args.len() < 3 {
        let mut reply = context.reply();
        reply.array(2);
        reply.bulk_text("pong");
        reply.bulk(args.get(1).unwrap_or_default());
        return Ok(Answer::Now);
    }
    match args.len() {
        1 => context.reply().simple("PONG"),
        2 => context.reply().bulk(args.word(1)),
        _ => return Err(CommandError::WordCount),
    }
    Ok(Answer::Now)
}

fn echo(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    context.reply().bulk(args.word(1));
    Ok(Answer::Now)
}

fn quit(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    end_subscriptions(context);
    context.reply().ok();
    Ok(Answer::Close)
}

/// Ends what the client listens to.
fn end_subscriptions(context: &mut ControlContext<'_>) {
    let connection = &mut *context.connection;
    context
        .engine
        .end_subscriptions(context.id, &mut connection.session);
    context.engine.review_listening(connection);
}

/// Makes the connection as new, but for `CLIENT NO-EVICT`, which Redis 7.0 keeps too.
fn reset(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    super::transaction::forget(context);
    end_subscriptions(context);
    let session = &mut context.connection.session;
    context.engine.end_tracking(context.id, session);
    if context.session().is_monitor {
        context.engine.end_monitor(&mut context.connection.session);
    }
    let (users, number) = context.engine.shared.acl.users();
    let user = users.get(DEFAULT_USER).cloned().unwrap_or_default();
    let is_open = user.is_open();
    let session = context.session();
    session.db = DbIndex(0);
    session.resp = Resp::V2;
    session.replies = Replies::On;
    session.no_touch = false;
    session.about.name.clear();
    session.authenticated = is_open;
    session.set_user(user, number);
    context.connection.authenticated = is_open;
    context.reply().simple("RESET");
    Ok(Answer::Now)
}

fn select(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let databases = context.engine.config.settings().databases;
    context.session().db = parse_db(args.word(1), databases)?;
    Ok(context.ok())
}

/// Reads the number of a database.
///
/// # Errors
///
/// [`CommandError::NotInteger`], [`CommandError::DbOutOfRange`].
pub(crate) fn parse_db(word: &[u8], databases: u16) -> Result<DbIndex, CommandError> {
    let number = parse_i64(word).ok_or(CommandError::NotInteger)?;
    let number = i32::try_from(number).map_err(|_beyond| CommandError::NotInt32)?;
    match u16::try_from(number) {
        Ok(db) if db < databases => Ok(DbIndex(db)),
        Ok(_) | Err(_) => Err(CommandError::DbOutOfRange),
    }
}

fn auth(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let default_user = context.engine.shared.acl.default_user();
    if args.len() == 2 && default_user.takes_any_password() {
        return Err(CommandError::Text(
            "ERR AUTH <password> called without any password configured for the default user. Are \
             you sure your configuration is correct?",
        ));
    }
    let (user, password): (&[u8], &[u8]) = match args.get(2) {
        Some(password) => (args.word(1), password),
        None => (DEFAULT_USER, args.word(1)),
    };
    log_in(context, (user, password), args.word(0))?;
    Ok(context.ok())
}

/// Logs the client in, or refuses. `word` is the name of the command, as it was sent.
fn log_in(
    context: &mut ControlContext<'_>,
    (user, password): (&[u8], &[u8]),
    word: &[u8],
) -> Result<(), CommandError> {
    let (users, number) = context.engine.shared.acl.users();
    let Some(user) = find_user(&users, user, password) else {
        return Err(refuse_login(context, user, word));
    };
    context.session().authenticated = true;
    context.session().set_user(user, number);
    context.connection.authenticated = true;
    Ok(())
}

/// Returns the user that one may log in as with a password.
pub(super) fn find_user(users: &Users, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
    users.get(name).filter(|user| user.takes(password)).cloned()
}

/// Notes a login that is refused. Returns the error.
fn refuse_login(context: &ControlContext<'_>, user: &[u8], object: &[u8]) -> CommandError {
    let place = if context.is_in_exec {
        Context::Multi
    } else {
        Context::TopLevel
    };
    context
        .engine
        .log_refusal(context.connection, (place, Reason::Auth), object, user);
    CommandError::Text("WRONGPASS invalid username-password pair or user is disabled.")
}

/// Returns the user and the password of an AUTH or a HELLO, if there are any.
pub(super) fn login_of(args: Args<'_>) -> Option<(&[u8], &[u8])> {
    if equals_ignore_case(args.word(0), "HELLO") {
        return HelloOptions::parse(args).login;
    }
    match (args.get(1), args.get(2)) {
        (Some(user), Some(password)) => Some((user, password)),
        (Some(password), None) => Some((DEFAULT_USER, password)),
        (None, _) => None,
    }
}

/// Reads the protocol that a HELLO asks for, if it does.
fn parse_protocol(args: Args<'_>) -> Result<Option<Resp>, CommandError> {
    const NOT_A_NUMBER: &str = "ERR Protocol version is not an integer or out of range";
    let Some(version) = args.get(1) else {
        return Ok(None);
    };
    match parse_i64(version) {
        Some(2) => Ok(Some(Resp::V2)),
        Some(3) => Ok(Some(Resp::V3)),
        Some(_) => Err(CommandError::Text("NOPROTO unsupported protocol version")),
        None => Err(CommandError::Text(NOT_A_NUMBER)),
    }
}

/// Returns the protocol that a HELLO of a client that has logged in will change to, if it will.
pub(super) fn hello_protocol(acl: &Acl, args: Args<'_>) -> Option<Resp> {
    let resp = parse_protocol(args).ok()??;
    let options = HelloOptions::parse(args);
    if let Some((user, password)) = options.login {
        find_user(&acl.users().0, user, password)?;
    }
    options.stop.is_none().then_some(resp)
}

fn hello(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let resp = parse_protocol(args)?.unwrap_or(context.session().resp);
    let options = HelloOptions::parse(args);
    // A login that is refused is told before what is wrong with the options behind it.
    if let Some((user, password)) = options.login
        && find_user(&context.engine.shared.acl.users().0, user, password).is_none()
    {
        return Err(refuse_login(context, user, args.word(0)));
    }
    match options.stop {
        Some(HelloStop::Name(error)) => return Err(error),
        Some(HelloStop::Unknown(word)) => {
            let word = shown(word).into_owned();
            let text = format!("ERR Syntax error in HELLO option '{word}'");
            context.reply().error(&text);
            return Ok(Answer::Now);
        }
        None => {}
    }
    if let Some(login) = options.login {
        log_in(context, login, args.word(0))?;
    }
    if !context.session().authenticated {
        return Err(CommandError::Text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
             AUTH <user> <pass> option can be used to authenticate the client and select the RESP \
             protocol version at the same time",
        ));
    }
    if let Some(name) = options.name {
        context.session().about.name = name;
    }
    context.session().resp = resp;
    let client = i64::try_from(context.session().client.0).unwrap_or(i64::MAX);
    let mode = if context.engine.shared.shard_ports.is_empty() {
        "standalone"
    } else {
        "cluster"
    };
    let mut reply = context.reply();
    reply.map(7);
    reply.bulk_text("server");
    reply.bulk_text("redis");
    reply.bulk_text("version");
    reply.bulk_text(version::REDIS);
    reply.bulk_text("proto");
    reply.integer(if resp == Resp::V3 { 3 } else { 2 });
    reply.bulk_text("id");
    reply.integer(client);
    reply.bulk_text("mode");
    reply.bulk_text(mode);
    reply.bulk_text("role");
    reply.bulk_text("master");
    reply.bulk_text("modules");
    reply.array(0);
    Ok(Answer::Now)
}

/// What follows the version in HELLO.
#[derive(Default)]
struct HelloOptions<'a> {
    login: Option<(&'a [u8], &'a [u8])>,
    name: Option<String>,
    /// Why the words behind these options were not read.
    stop: Option<HelloStop<'a>>,
}

/// What is wrong with a word of HELLO.
enum HelloStop<'a> {
    /// It is no name for a client.
    Name(CommandError),
    /// It is no option, or one without its values.
    Unknown(&'a [u8]),
}

impl<'a> HelloOptions<'a> {
    /// Reads the options up to the first that is wrong.
    fn parse(args: Args<'a>) -> Self {
        let mut options = Self::default();
        let mut index = 2;
        while let Some(word) = args.get(index) {
            if equals_ignore_case(word, "AUTH")
                && let (Some(user), Some(password)) = (args.get(index + 1), args.get(index + 2))
            {
                options.login = Some((user, password));
                index += 3;
            } else if equals_ignore_case(word, "SETNAME")
                && let Some(name) = args.get(index + 1)
            {
                match super::client::parse_name(name) {
                    Ok(name) => options.name = Some(name),
                    Err(error) => {
                        options.stop = Some(HelloStop::Name(error));
                        break;
                    }
                }
                index += 2;
            } else {
                options.stop = Some(HelloStop::Unknown(word));
                break;
            }
        }
        options
    }
}
