//! CLIENT: what a client says of itself and what becomes of its replies.
//!
//! Not here: the lines of `CLIENT LIST` ([`super::client_list`]), `CLIENT KILL`
//! ([`super::client_kill`]), `CLIENT UNBLOCK` ([`super::client_unblock`]), `CLIENT PAUSE`
//! ([`super::client_pause`]).

use commands::error::shown;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};

use super::declarations::connection as declared;
use super::{
    Answer, ControlCommand, ControlContext, client_kill, client_list, client_pause, client_unblock,
    command, tracking,
};
use crate::session::{Replies, Session};

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::CLIENT,
    run: client,
}];

fn client(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    let is = |name: &str| equals_ignore_case(word, name);
    if is("ID") {
        let id = i64::try_from(context.session().client.0).unwrap_or(i64::MAX);
        context.reply().integer(id);
    } else if is("GETNAME") {
        let name = context.session().about.name.clone();
        if name.is_empty() {
            context.reply().null();
        } else {
            context.reply().bulk_text(&name);
        }
    } else if is("SETNAME") {
        context.session().about.name = parse_name(args.word(2))?;
        context.reply().ok();
    } else if is("SETINFO") {
        set_info(context, args);
    } else if is("INFO") {
        return Ok(client_list::info(context));
    } else if is("LIST") {
        return client_list::list(context, args);
    } else if is("PAUSE") {
        return client_pause::pause(context, args);
    } else if is("UNPAUSE") {
        return Ok(client_pause::unpause());
    } else if is("UNBLOCK") {
        return client_unblock::unblock(args);
    } else if is("KILL") {
        return client_kill::kill(context, args);
    } else if is("NO-EVICT") {
        context.session().no_evict = parse_switch(args.word(2))?;
        context.reply().ok();
    } else if is("NO-TOUCH") {
        context.session().no_touch = parse_switch(args.word(2))?;
        context.reply().ok();
    } else if is("TRACKING") {
        return tracking::tracking(context, args);
    } else if is("CACHING") {
        return tracking::caching(context, args.word(2));
    } else if is("GETREDIR") {
        tracking::redirection(context);
    } else if is("TRACKINGINFO") {
        tracking::info(context);
    } else if is("REPLY") {
        return choose_replies(context, args.word(2));
    } else {
        command::help(&declared::CLIENT, &mut context.reply());
    }
    Ok(Answer::Now)
}

/// Switches replies on, off, or off for the next request. Only "on" is itself answered.
fn choose_replies(context: &mut ControlContext<'_>, word: &[u8]) -> Result<Answer, CommandError> {
    let is_on = equals_ignore_case(word, "ON");
    let is_off = equals_ignore_case(word, "OFF");
    if !is_on && !is_off && !equals_ignore_case(word, "SKIP") {
        return Err(CommandError::Syntax);
    }
    if context.is_in_exec && !is_on {
        // The reply of EXEC would have fewer elements than it says.
        return Err(CommandError::Text(
            "ERR CLIENT REPLY OFF and SKIP are not possible inside a transaction",
        ));
    }
    let session = context.session();
    if is_on {
        session.replies = Replies::On;
    } else if is_off {
        session.replies = Replies::Off;
    } else if session.replies != Replies::Off {
        session.replies = Replies::SkipNext;
    }
    session.review();
    Ok(if is_on { context.ok() } else { Answer::Silence })
}

fn set_info(context: &mut ControlContext<'_>, args: Args<'_>) {
    let (attribute, value) = (args.word(2), args.word(3));
    let is_name = equals_ignore_case(attribute, "LIB-NAME");
    let shown = shown(attribute);
    if !is_name && !equals_ignore_case(attribute, "LIB-VER") {
        let text = format!("ERR Unrecognized option '{shown}'");
        context.reply().error(&text);
        return;
    }
    let Some(value) = printable(value) else {
        let text = format!("ERR {shown} cannot contain spaces, newlines or special characters.");
        context.reply().error(&text);
        return;
    };
    let about = &mut context.session().about;
    if is_name {
        about.library_name = value;
    } else {
        about.library_version = value;
    }
    context.reply().ok();
}

fn parse_switch(word: &[u8]) -> Result<bool, CommandError> {
    if equals_ignore_case(word, "ON") {
        Ok(true)
    } else if equals_ignore_case(word, "OFF") {
        Ok(false)
    } else {
        Err(CommandError::Syntax)
    }
}

/// Reads a name that a client gives itself.
pub(super) fn parse_name(word: &[u8]) -> Result<String, CommandError> {
    printable(word).ok_or(CommandError::Text(
        "ERR Client names cannot contain spaces, newlines or special characters.",
    ))
}

/// Returns a word that may stand in a list that is separated by spaces.
fn printable(word: &[u8]) -> Option<String> {
    let is_printable = word.iter().all(|byte| (b'!'..=b'~').contains(byte));
    is_printable.then(|| String::from_utf8_lossy(word).into_owned())
}

/// A class of clients (`CLIENT LIST TYPE`, `CLIENT KILL TYPE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientKind {
    /// Neither of the others; who listens to MONITOR is one of these.
    Normal,
    /// Listens to channels.
    PubSub,
    /// A kind of which this server has no client: replicas, a primary.
    Absent,
}

impl ClientKind {
    /// Returns the kind of a client.
    pub(super) fn of(session: &Session) -> Self {
        if session.is_subscriber() {
            Self::PubSub
        } else {
            Self::Normal
        }
    }

    /// Reads a kind.
    ///
    /// # Errors
    ///
    /// The text for the client.
    pub(super) fn parse(word: &[u8]) -> Result<Self, String> {
        let is = |name: &str| equals_ignore_case(word, name);
        if is("NORMAL") {
            Ok(Self::Normal)
        } else if is("MASTER") || is("REPLICA") || is("SLAVE") {
            Ok(Self::Absent)
        } else if is("PUBSUB") {
            Ok(Self::PubSub)
        } else {
            let word = shown(word);
            Err(format!("ERR Unknown client type '{word}'"))
        }
    }
}

/// Makes a reply that is given later.
pub(super) fn reply_with(resp: Resp, write: impl FnOnce(&mut Reply<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Reply {
        out: &mut out,
        resp,
    });
    out
}
