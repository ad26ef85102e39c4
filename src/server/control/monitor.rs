//! MONITOR: every request that the server runs, shown to clients that ask for it.
//!
//! A request is shown when it has run, or has been sent to where it runs. Commands of a MULTI are
//! shown when the EXEC has run them, and the EXEC behind them.
//!
//! Invariants
//! - Nothing of a password is shown.
//! - Commands for operators (`CONFIG`, `DEBUG`, `CLIENT KILL`) are not shown, nor refused requests.
//! - From the `+OK` on, requests of every core are shown.

use std::sync::atomic::Ordering;

use base::ids::DbIndex;
use bytes::Bytes;
use commands::spec::{CommandError, Flags};
use coordinator::message::Origin;
use coordinator::message::queue::Queue;
use protocol::args::{Args, PackedArgs, equals_ignore_case};

use super::connection::parse_db;
use super::declarations::server as declared;
use super::{Answer, ControlCommand, ControlContext};
use crate::core_loop::Core;
use crate::engine::{CoreMessage, Engine, read_origin};
use crate::gather::{Finished, Gather};
use crate::session::{About, Session};
use crate::table::Command;

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::MONITOR,
    run: monitor,
}];

/// What is shown of a MULTI once its EXEC has run.
#[derive(Debug)]
pub struct ShownLater {
    connection: u64,
    /// The commands, each with the database it runs on, and the EXEC.
    requests: Vec<(DbIndex, PackedArgs)>,
}

fn monitor(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    if context.is_in_exec {
        return Err(CommandError::Text(
            "ERR MONITOR isn't allowed for DENY BLOCKING client",
        ));
    }
    if context.session().is_monitor {
        // As in Redis, who listens already is not answered again.
        return Ok(Answer::Silence);
    }
    context.session().is_monitor = true;
    context.session().review();
    let shared = &context.engine.shared;
    shared.monitor_count.fetch_add(1, Ordering::Relaxed);
    Ok(Answer::Gather(Gather::all(
        |core| {
            core.engine.observed.has_monitors = true;
            core.engine.observed.is_attentive = true;
        },
        |_, _| Finished::Reply(b"+OK\r\n".into()),
    )))
}

impl Engine {
    /// Shows a request to everybody who listens to `MONITOR`, on all cores.
    #[cold]
    pub fn tell_monitors(&mut self, session: &Session, command: &Command, args: Args<'_>) {
        if is_shown(command) {
            self.show(&line(&session.about, session.db, args));
        }
    }

    /// Notes what is shown of a MULTI once it has run. `db` is the database that the client had
    /// selected before it.
    #[cold]
    pub(super) fn show_later(&mut self, connection: u64, mut db: DbIndex, queue: &Queue) {
        let databases = self.config.settings().databases;
        let mut requests = Vec::new();
        for index in 0..queue.len() {
            let args = queue.args(index);
            if args.len() == 2 && equals_ignore_case(args.word(0), "SELECT") {
                db = parse_db(args.word(1), databases).unwrap_or(db);
            }
            if self.shared.table.resolve(args).is_some_and(is_shown) {
                requests.push((db, PackedArgs::from_args(args)));
            }
        }
        let mut exec = PackedArgs::default();
        exec.push_word(b"exec");
        requests.push((db, exec));
        self.shown_later.push(ShownLater {
            connection,
            requests,
        });
    }

    /// Shows what a script has called.
    #[cold]
    pub(crate) fn show_call(&mut self, db: DbIndex, args: Args<'_>) {
        if self.shared.table.resolve(args).is_some_and(is_shown) {
            let about = About {
                address: "lua".to_owned(),
                ..About::default()
            };
            self.show(&line(&about, db, args));
        }
    }

    fn show(&mut self, line: &[u8]) {
        let line = Bytes::copy_from_slice(line);
        for core in self.map.shards() {
            self.outbound
                .push_back((core, CoreMessage::Monitor(line.clone())));
        }
    }
}

/// Shows the commands of a MULTI whose EXEC gets `reply` now. If a watched key has changed, only
/// the EXEC is shown.
#[cold]
pub(crate) fn show_exec(core: &mut Core, origin: Origin, reply: &[u8]) {
    let later = &mut core.engine.shown_later;
    let Some(index) = later
        .iter()
        .position(|later| later.connection == origin.connection)
    else {
        return;
    };
    let mut requests = later.swap_remove(index).requests;
    let (id, ..) = read_origin(origin);
    let Some(connection) = core.net.connection_mut(id) else {
        return;
    };
    if [&b"*-1\r\n"[..], b"_\r\n"].contains(&reply) {
        requests.drain(..requests.len() - 1);
    }
    let about = &connection.session.about;
    for (db, args) in requests {
        core.engine.show(&line(about, db, args.args()));
    }
}

fn is_shown(command: &Command) -> bool {
    let flags = command.declaration.flags;
    !flags.has(Flags::SKIP_MONITOR) && !flags.has(Flags::ADMIN)
}

/// Writes the line of one request.
fn line(about: &About, db: DbIndex, args: Args<'_>) -> Vec<u8> {
    let micros = runtime::clock::unix_micros();
    let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let source = match about.address.strip_suffix(":0") {
        Some(path) if about.is_unix => format!("unix:{path}"),
        Some(_) | None => about.address.clone(),
    };
    let mut line = format!("+{seconds}.{rest:06} [{} {source}]", db.0).into_bytes();
    for (index, word) in args.iter().enumerate() {
        line.extend_from_slice(b" \"");
        if is_secret(args, index) {
            line.extend_from_slice(b"(redacted)");
        } else {
            for &byte in word {
                push_escaped(&mut line, byte);
            }
        }
        line.push(b'"');
    }
    line.extend_from_slice(b"\r\n");
    line
}

/// Returns whether a word is, or may be, part of a login: all words of `AUTH`, and two behind each
/// `AUTH` of `HELLO`.
pub(crate) fn is_secret(args: Args<'_>, index: usize) -> bool {
    let name = args.word(0);
    if equals_ignore_case(name, "AUTH") {
        return index > 0;
    }
    if !equals_ignore_case(name, "HELLO") {
        return false;
    }
    let is_auth = |at: usize| {
        at > 1
            && args
                .get(at)
                .is_some_and(|word| equals_ignore_case(word, "AUTH"))
    };
    // `HELLO 3 AUTH auth password`: a user may be named like the option.
    let mut at = 2;
    while at < index {
        if is_auth(at) {
            if index <= at + 2 {
                return true;
            }
            at += 3;
        } else {
            at += 2;
        }
    }
    false
}

/// Appends a byte as it stands between quotes.
fn push_escaped(line: &mut Vec<u8>, byte: u8) {
    match byte {
        b'\\' | b'"' => line.extend_from_slice(&[b'\\', byte]),
        b'\n' => line.extend_from_slice(b"\\n"),
        b'\r' => line.extend_from_slice(b"\\r"),
        b'\t' => line.extend_from_slice(b"\\t"),
        0x07 => line.extend_from_slice(b"\\a"),
        0x08 => line.extend_from_slice(b"\\b"),
        b' '..=b'~' => line.push(byte),
        _ => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(request: &[&[u8]]) -> String {
        let mut args = PackedArgs::default();
        for word in request {
            args.push_word(word);
        }
        let about = About {
            address: "127.0.0.1:1234".to_owned(),
            ..About::default()
        };
        let line = String::from_utf8(line(&about, DbIndex(3), args.args())).unwrap();
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.starts_with('+') && time.as_bytes()[time.len() - 7] == b'.');
        rest.to_owned()
    }

    /// Lines of redis-server 7.0.15.
    #[test]
    fn a_line_is_that_of_redis() {
        let line = shown(&[b"get", b"b\x00\xff\n\"\\'"]);
        let expected = r#"[3 127.0.0.1:1234] "get" "b\x00\xff\n\"\\'""#;
        assert_eq!(line, format!("{expected}\r\n"));
    }

    #[test]
    fn passwords_are_not_shown() {
        for (request, expected) in [
            (vec![&b"auth"[..], b"x"], r#""auth" "(redacted)""#),
            (
                vec![b"AUTH", b"u", b"x"],
                r#""AUTH" "(redacted)" "(redacted)""#,
            ),
            (
                vec![b"hello", b"3", b"setname", b"auth", b"auth", b"u", b"x"],
                r#""hello" "3" "setname" "auth" "auth" "(redacted)" "(redacted)""#,
            ),
            (
                vec![b"hello", b"3", b"auth", b"auth", b"x", b"setname", b"n"],
                r#""hello" "3" "auth" "(redacted)" "(redacted)" "setname" "n""#,
            ),
        ] {
            let line = shown(&request);
            assert!(line.ends_with(&format!("] {expected}\r\n")), "{line}");
        }
    }
}
