//! DEBUG: for tests of the server and of clients.
//!
//! `enable-debug-command` decides who may use it ([`is_allowed`], a gate of [`crate::dispatch`]).
//! What Redis knows and this server has not is refused by name; nothing is answered with `OK` that
//! was not done.
//!
//! Not here: what the fingerprints are (`shard::digest`).

use std::time::Duration;

use base::ids::DbIndex;
use base::number::{parse_f64, parse_i64};
use commands::key_object::{debug_object, digest_of_database, digest_of_value};
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};
use shard::digest::{Digest, join, mix_database};
use shard::keyspace::Expiry;

use super::client::reply_with;
use super::declarations::server as declared;
use super::{Answer, ControlCommand, ControlContext, persistence};
use crate::config::settings::Access;
use crate::core_loop::Core;
use crate::engine::is_loopback;
use crate::gather::{Finished, Gather, Whom};
use crate::session::Session;

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::DEBUG,
    run: debug,
}];

/// What a client is told that may not use DEBUG.
pub(crate) const REFUSED: &str = "ERR DEBUG command not allowed. If the enable-debug-command \
    option is set to \"local\", you can run it from a local connection, otherwise you need to set \
    this option in the configuration file, and then restart the server.";

/// Returns whether a client may use DEBUG.
pub(crate) fn is_allowed(access: Access, session: &Session) -> bool {
    match access {
        Access::Nobody => false,
        Access::Everybody => true,
        Access::Local => session.about.is_unix || is_loopback(&session.about.address),
    }
}

/// Subcommands with their forms; what they do follows in the words of [`HELP`].
const HELP: &[(&str, &str)] = &[
    ("DIGEST", "Answers a fingerprint of all data."),
    (
        "DIGEST-VALUE <key> [<key> ...]",
        "Answers a fingerprint of each value.",
    ),
    (
        "ERROR <string>",
        "Answers an error of this text, code included.",
    ),
    ("LOG <message>", "Writes a line into the log of the server."),
    ("OBJECT <key>", "Answers how a value is kept."),
    (
        "POPULATE <count> [<prefix>] [<size>]",
        "Creates string keys <prefix>:0, <prefix>:1 ... that do not exist yet; <prefix> is 'key'.",
    ),
    (
        "PROTOCOL <type>",
        "Answers a value of this type: string, integer, double, bignum, null, array, set, map, \
         attrib, push, verbatim, true or false.",
    ),
    (
        "RELOAD [NOSAVE]",
        "Saves the data, unless told not to, and loads it again; writes beside it may be lost.",
    ),
    (
        "SET-ACTIVE-EXPIRE <0|1>",
        "Switches off or on that dead keys are removed before anybody looks at them.",
    ),
    ("SLEEP <seconds>", "Stops all cores for so long."),
    (
        "STRINGMATCH-LEN <length> <pattern>",
        "Answers whether so many letters 'a' match the pattern.",
    ),
    ("HELP", "Answers this text."),
];

/// Subcommands of Redis 7 that have no meaning here, or none yet.
const ABSENT: &[&str] = &[
    "AOF-FLUSH-SLEEP",
    "ASSERT",
    "CHANGE-REPL-ID",
    "CLIENT-ENFORCE-REPLY-LIST",
    "CLIENT-EVICTION",
    "CLUSTERLINK",
    "CONFIG-REWRITE-FORCE-ALL",
    "CRASH-AND-RECOVER",
    "DELAY-RDB-CLIENT-FREE-SECOND",
    "DICT-RESIZING",
    "DROP-CLUSTER-PACKET-FILTER",
    "HTSTATS",
    "HTSTATS-KEY",
    "JMAP",
    "LEAK",
    "LISTPACK",
    "LOADAOF",
    "MALLCTL",
    "MALLCTL-STR",
    "OOM",
    "PANIC",
    "PAUSE-CRON",
    "QUICKLIST",
    "QUICKLIST-PACKED-THRESHOLD",
    "REPLICATE",
    "REPLYBUFFER",
    "RESTART",
    "SCRIPT",
    "SDSLEN",
    "SEGFAULT",
    "SET-DISABLE-DENY-SCRIPTS",
    "SET-SKIP-CHECKSUM-VALIDATION",
    "STRINGMATCH-TEST",
    "STRUCTSIZE",
    "ZIPLIST",
];

fn debug(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    let is = |name: &str, words: usize| args.len() == words && equals_ignore_case(word, name);
    let resp = context.session().resp;
    let db = context.session().db;
    if is("HELP", 2) {
        help(&mut context.reply());
    } else if is("ERROR", 3) {
        error(context.out, args.word(2));
    } else if is("LOG", 3) {
        let message = String::from_utf8_lossy(args.word(2)).into_owned();
        tracing::warn!(message, "DEBUG LOG");
        context.reply().ok();
    } else if is("PROTOCOL", 3) {
        protocol(&mut context.reply(), args.word(2))?;
    } else if is("STRINGMATCH-LEN", 4) {
        let limit = context.engine.config.settings().bulk_bytes_max;
        let len = positive(args.word(2))?;
        if len > limit {
            return Err(CommandError::StringTooLong);
        }
        let text = vec![b'a'; base::cast::usize_from(len)];
        let is_match = base::glob::matches(args.word(3), &text, false);
        context.reply().integer(i64::from(is_match));
    } else if is("SLEEP", 3) {
        return sleep(args.word(2));
    } else if is("OBJECT", 3) {
        return Ok(object(context, args.word(2).to_vec(), resp, db));
    } else if is("DIGEST", 2) {
        return Ok(Answer::Gather(Gather::all(digests, |_, parts| {
            Finished::Reply(simple(&hexadecimal(&join_databases(&parts))))
        })));
    } else if args.len() > 1 && equals_ignore_case(word, "DIGEST-VALUE") {
        return Ok(digest_values(args, db));
    } else if is("RELOAD", 2) {
        return Ok(Answer::Gather(persistence::reload(true)));
    } else if is("RELOAD", 3) && equals_ignore_case(args.word(2), "NOSAVE") {
        return Ok(Answer::Gather(persistence::reload(false)));
    } else if is("SET-ACTIVE-EXPIRE", 3) {
        let is_on = parse_i64(args.word(2)).is_some_and(|value| value != 0);
        return Ok(Answer::Gather(Gather::all(
            move |core| core.engine.observed.is_expiring = is_on,
            |_, _| Finished::Reply(simple("OK")),
        )));
    } else if (3..=5).contains(&args.len()) && equals_ignore_case(word, "POPULATE") {
        return populate(context, args);
    } else {
        refuse(&mut context.reply(), word);
    }
    Ok(Answer::Now)
}

fn help(reply: &mut Reply<'_>) {
    reply.array(1 + 2 * HELP.len());
    reply.simple("DEBUG is followed by one of these subcommands:");
    for (form, meaning) in HELP {
        reply.simple(form);
        reply.simple(&format!("    {meaning}"));
    }
}

fn refuse(reply: &mut Reply<'_>, word: &[u8]) {
    let shown = commands::error::shown(&word[..word.len().min(128)]);
    if ABSENT.iter().any(|name| equals_ignore_case(word, name)) {
        let name = shown.to_ascii_uppercase();
        reply.error(&format!("ERR DEBUG {name} is not supported by this server"));
    } else {
        reply.error(&format!(
            "ERR unknown subcommand or wrong number of arguments for '{shown}'. Try DEBUG HELP."
        ));
    }
}

/// Writes an error of any bytes, without an end of line inside.
fn error(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'-');
    out.extend(text.iter().map(|&byte| match byte {
        b'\r' | b'\n' => b' ',
        other => other,
    }));
    out.extend_from_slice(b"\r\n");
}

fn protocol(reply: &mut Reply<'_>, kind: &[u8]) -> Result<(), CommandError> {
    let is = |name: &str| equals_ignore_case(kind, name);
    if is("STRING") {
        reply.bulk_text("Hello World");
    } else if is("INTEGER") {
        reply.integer(12_345);
    } else if is("DOUBLE") {
        // Redis writes this value with its own digits, not with the 17 of a double.
        match reply.resp {
            Resp::V2 => reply.bulk_text("3.141"),
            Resp::V3 => reply.raw(b",3.141\r\n"),
        }
    } else if is("NULL") {
        reply.null();
    } else if is("ARRAY") || is("SET") {
        if is("ARRAY") {
            reply.array(3);
        } else {
            reply.set(3);
        }
        (0..3).for_each(|number| reply.integer(number));
    } else if is("MAP") {
        reply.map(3);
        for number in 0..3 {
            reply.integer(number);
            reply.boolean(number == 1);
        }
    } else if is("ATTRIB") {
        if reply.attribute(1) {
            reply.bulk_text("key-popularity");
            reply.array(2);
            reply.bulk_text("key:123");
            reply.integer(90);
        }
        reply.bulk_text("Some real reply following the attribute");
    } else if is("PUSH") {
        if reply.resp == Resp::V2 {
            const NEEDS_RESP3: &str = "ERR RESP2 is not supported by this command";
            return Err(CommandError::Text(NEEDS_RESP3));
        }
        reply.push(2);
        reply.bulk_text("server-cpu-usage");
        reply.integer(42);
        reply.bulk_text("Some real reply following the push reply");
    } else if is("VERBATIM") {
        reply.verbatim("txt", b"This is a verbatim\nstring");
    } else if is("TRUE") || is("FALSE") {
        reply.boolean(is("TRUE"));
    } else if is("BIGNUM") {
        reply.big_number("1234567999999999999999999999999999999");
    } else {
        return Err(CommandError::Text(
            "ERR Wrong protocol type name. Please use one of the following: string|integer|double|\
             bignum|null|array|set|map|attrib|push|verbatim|true|false",
        ));
    }
    Ok(())
}

/// Stops all cores at once. A word that is no number means 0, as in Redis.
fn sleep(word: &[u8]) -> Result<Answer, CommandError> {
    let seconds = parse_f64(word).unwrap_or(0.0).max(0.0);
    let Ok(duration) = Duration::try_from_secs_f64(seconds) else {
        return Err(CommandError::Text("ERR value is out of range"));
    };
    Ok(Answer::Gather(Gather::all(
        move |_| runtime::executor::block_thread(duration),
        |_, _| Finished::Reply(simple("OK")),
    )))
}

fn object(context: &ControlContext<'_>, key: Vec<u8>, resp: Resp, db: DbIndex) -> Answer {
    let owner = context.engine.map.shard_of_key(&key);
    Answer::Gather(Gather::new(
        Whom::One(owner),
        move |core| debug_object(&mut core.engine.host.shard, db, &key),
        move |_, parts| {
            Finished::Reply(reply_with(resp, |reply| match parts.into_iter().next() {
                Some(Ok(line)) => reply.simple(&line),
                Some(Err(error)) => reply.error(&error.text("debug", Args::new(&[], &[]))),
                None => reply.error("ERR the core has not answered"),
            }))
        },
    ))
}

/// Returns the fingerprints of this core's databases that have keys.
fn digests(core: &mut Core) -> Vec<(DbIndex, Digest)> {
    let databases = core.engine.host.shard.options().databases;
    let shard = &mut core.engine.host.shard;
    let mut digests = Vec::new();
    for db in (0..databases).map(DbIndex) {
        if !shard.db(db).is_empty() {
            digests.push((db, digest_of_database(shard, db)));
        }
    }
    digests
}

fn join_databases(parts: &[Vec<(DbIndex, Digest)>]) -> Digest {
    let mut databases: Vec<(DbIndex, Digest)> = Vec::new();
    for (db, digest) in parts.iter().flatten() {
        match databases.iter_mut().find(|(at, _)| at == db) {
            Some((_, joined)) => join(joined, digest),
            None => databases.push((*db, *digest)),
        }
    }
    databases.sort_unstable_by_key(|(db, _)| *db);
    let mut whole = Digest::default();
    for (db, keys) in &databases {
        mix_database(&mut whole, *db, keys);
    }
    whole
}

/// Asks every core for the values it owns.
fn digest_values(args: Args<'_>, db: DbIndex) -> Answer {
    let keys: Vec<Vec<u8>> = args.from(2).iter().map(<[u8]>::to_vec).collect();
    let count = keys.len();
    Answer::Gather(Gather::all(
        move |core| {
            let (map, me) = (core.engine.map, core.engine.me);
            let shard = &mut core.engine.host.shard;
            let own = keys
                .iter()
                .enumerate()
                .filter(|(_, key)| map.shard_of_key(key) == me);
            own.map(|(index, key)| (index, digest_of_value(shard, db, key)))
                .collect::<Vec<_>>()
        },
        move |_, parts| {
            let mut digests: Vec<(usize, Digest)> = parts.into_iter().flatten().collect();
            digests.sort_unstable_by_key(|(index, _)| *index);
            let mut out = format!("*{count}\r\n").into_bytes();
            for (_, digest) in digests {
                out.extend(simple(&hexadecimal(&digest)));
            }
            Finished::Reply(out)
        },
    ))
}

/// Creates keys, each core its own. The cores do nothing else meanwhile, and a transaction under way
/// may see new keys: this is for filling a server, not for use beside others.
fn populate(context: &ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let count = positive(args.word(2))?;
    let prefix = args.get(3).unwrap_or(b"key").to_vec();
    let size = match args.get(4) {
        Some(word) => positive(word)?,
        None => 0,
    };
    let settings = context.engine.config.settings();
    if size > settings.bulk_bytes_max {
        return Err(CommandError::StringTooLong);
    }
    let size = base::cast::usize_from(size);
    let db = context.connection.session.db;
    Ok(Answer::Gather(Gather::all(
        move |core| create_keys(core, db, count, &prefix, size),
        |_, _| Finished::Reply(simple("OK")),
    )))
}

/// Creates this core's keys among `prefix:0` to `prefix:count-1`. A value is `value:N`, cut or
/// filled with zero bytes to `size` if that is not 0. A key that exists stays as it is.
fn create_keys(core: &mut Core, db: DbIndex, count: u64, prefix: &[u8], size: usize) {
    let (map, me) = (core.engine.map, core.engine.me);
    let mut db = PopulatedDb {
        shard: &mut core.engine.host.shard,
        db,
    };
    let mut key = prefix.to_vec();
    key.push(b':');
    let start = key.len();
    let mut value = Vec::new();
    for number in 0..count {
        key.truncate(start);
        base::number::write_u64(&mut key, number);
        if map.shard_of_key(&key) != me {
            continue;
        }
        value.clear();
        value.extend_from_slice(b"value:");
        base::number::write_u64(&mut value, number);
        if size > 0 {
            value.resize(size, 0);
        }
        db.create(&key, &value);
    }
}

struct PopulatedDb<'a> {
    shard: &'a mut shard::Shard,
    db: DbIndex,
}

impl PopulatedDb<'_> {
    fn create(&mut self, key: &[u8], value: &[u8]) {
        let key = self.shard.key(key);
        let mut db = self.shard.db(self.db);
        if !db.contains(key) {
            db.set_string(key, value, Expiry::Clear);
        }
    }
}

fn positive(word: &[u8]) -> Result<u64, CommandError> {
    parse_i64(word)
        .and_then(|number| u64::try_from(number).ok())
        .ok_or(CommandError::Text(
            "ERR value is out of range, must be positive",
        ))
}

fn hexadecimal(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn simple(text: &str) -> Vec<u8> {
    format!("+{text}\r\n").into_bytes()
}
