//! ACL: users, their rules, and what was refused to them.
//!
//! A change of users is made at once for all cores, and then followed by each: only then is it answered.
//!
//! Not here: what a rule means (`crate::acl`), the gate (`crate::acl_gate`).

use std::sync::Arc;

use base::cast::usize_from;
use base::ids::ClientId;
use base::number::parse_i64;
use commands::error::shown;
use commands::spec::{Category, CommandError};
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Reply;
use runtime::socket_ring::SocketId;

use super::client::reply_with;
use super::declarations::acl as declared;
use super::{Answer, ControlCommand, ControlContext, command};
use crate::acl::catalog::{Catalog, category};
use crate::acl::file;
use crate::acl::log::Entry;
use crate::acl::selector::Selector;
use crate::acl::user::{DEFAULT_USER, join_selectors};
use crate::config::loader::{Disk, replace_file};
use crate::gather::{Finished, Gather};
use crate::layer_options;

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::ACL,
    run: acl,
}];

/// Most bits of a password that GENPASS makes.
const PASSWORD_BITS_MAX: i64 = 4096;

/// Bits of a password that GENPASS makes if nobody says how many.
const PASSWORD_BITS: i64 = 256;

/// Entries that LOG shows if nobody says how many.
const ENTRIES_SHOWN: i64 = 10;

const NO_FILE: CommandError = CommandError::Text(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users \
     via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis \
     configuration file set) in order to store users in the Redis configuration.",
);

fn acl(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    let is = |name: &str| equals_ignore_case(word, name);
    if is("SETUSER") {
        return Ok(set_user(context, args));
    } else if is("DELUSER") {
        return delete_users(context, args);
    } else if is("GETUSER") {
        get_user(context, args.word(2));
    } else if is("LIST") {
        list(context);
    } else if is("USERS") {
        let (users, _) = context.engine.shared.acl.users();
        let mut reply = context.reply();
        reply.array(users.len());
        users.keys().for_each(|name| reply.bulk(name));
    } else if is("WHOAMI") {
        let user = Arc::clone(&context.session().about.user);
        context.reply().bulk(user.name());
    } else if is("CAT") {
        return categories(context, args);
    } else if is("DRYRUN") {
        dry_run(context, args);
    } else if is("GENPASS") {
        return make_password(context, args);
    } else if is("LOG") {
        return log(context, args);
    } else if is("LOAD") {
        return load(context);
    } else if is("SAVE") {
        return save(context);
    } else {
        command::help(&declared::ACL, &mut context.reply());
    }
    Ok(Answer::Now)
}

fn set_user(context: &mut ControlContext<'_>, args: Args<'_>) -> Answer {
    let name = args.word(2);
    let has_space = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace() || *byte == 0x0b;
    if name.iter().any(has_space) {
        context
            .reply()
            .error("ERR Usernames can't contain spaces or null characters");
        return Answer::Now;
    }
    let defaults = layer_options::acl(&context.engine.config);
    let acl = Arc::clone(&context.engine.shared.acl);
    let set = join_rules(args.from(3)).and_then(|rules| {
        acl.change(|users| acl.set_user(users, (name, defaults), &rules))
            .map_err(|(rule, error)| {
                let (rule, why) = (shown(rule), error.text());
                format!("ERR Error in ACL SETUSER modifier '{rule}': {why}")
            })
    });
    match set {
        // Who loses channels that it listens to itself is closed without a reply, as in Redis.
        Ok(()) => Answer::Gather(Gather::all(
            |core| core.follow_users(None),
            |_, _| Finished::Reply(b"+OK\r\n".into()),
        )),
        Err(text) => {
            context.reply().error(&text);
            Answer::Now
        }
    }
}

/// Joins the words of selectors.
///
/// # Errors
///
/// The text for the client.
pub(super) fn join_rules(args: Args<'_>) -> Result<Vec<Vec<u8>>, String> {
    let words: Vec<&[u8]> = args.iter().collect();
    join_selectors(&words).map_err(|index| {
        let word = shown(words[index]);
        format!("ERR Unmatched parenthesis in acl selector starting at '{word}'.")
    })
}

/// Has every core give its sessions their users, and then replies.
fn follow(context: &mut ControlContext<'_>, reply: Vec<u8>) -> Gather {
    let asker: ClientId = context.session().client;
    let connection: SocketId = context.id;
    Gather::all(
        move |core| core.follow_users(Some(asker)),
        move |core, parts| {
            if parts.contains(&true) {
                core.net.close_after_output(connection);
            }
            Finished::Reply(reply)
        },
    )
}

fn delete_users(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let names = args.from(2);
    if names.iter().any(|name| name == DEFAULT_USER) {
        return Err(CommandError::Text(
            "ERR The 'default' user cannot be removed",
        ));
    }
    let acl = Arc::clone(&context.engine.shared.acl);
    let deleted = acl.change(|users| {
        let deleted = names.iter().filter(|name| users.remove(*name).is_some());
        Ok::<_, CommandError>(deleted.count())
    })?;
    let resp = context.session().resp;
    let count = base::cast::i64_from(deleted);
    let reply = reply_with(resp, |reply| reply.integer(count));
    Ok(Answer::Gather(follow(context, reply)))
}

fn get_user(context: &mut ControlContext<'_>, name: &[u8]) {
    let acl = Arc::clone(&context.engine.shared.acl);
    let mut reply = context.reply();
    let Some(user) = acl.user(name) else {
        reply.null();
        return;
    };
    reply.map(6);
    reply.bulk_text("flags");
    reply.set(user.flags().count());
    user.flags().for_each(|flag| reply.bulk_text(flag));
    reply.bulk_text("passwords");
    reply.array(user.passwords().len());
    user.passwords().for_each(|hash| reply.bulk(hash));
    write_selector(&mut reply, user.root(), &acl.catalog);
    reply.bulk_text("selectors");
    reply.array(user.others().len());
    for selector in user.others() {
        reply.map(3);
        write_selector(&mut reply, selector, &acl.catalog);
    }
}

/// Writes three pairs.
fn write_selector(reply: &mut Reply<'_>, selector: &Selector, catalog: &Catalog) {
    let mut text = Vec::new();
    selector.write_commands(catalog, &mut text);
    reply.bulk_text("commands");
    reply.bulk(&text);
    text.clear();
    selector.write_keys(&mut text);
    reply.bulk_text("keys");
    reply.bulk(&text);
    text.clear();
    selector.write_channels(&mut text);
    reply.bulk_text("channels");
    reply.bulk(&text);
}

fn list(context: &mut ControlContext<'_>) {
    let acl = Arc::clone(&context.engine.shared.acl);
    let (users, _) = acl.users();
    let mut reply = context.reply();
    reply.array(users.len());
    for user in users.values() {
        reply.bulk(&file::line(user, &acl.catalog));
    }
}

fn categories(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    if args.len() > 3 {
        return Err(CommandError::SubcommandSyntax);
    }
    let Some(word) = args.get(2) else {
        let mut reply = context.reply();
        reply.array(Category::ALL.len());
        for category in Category::ALL {
            reply.bulk_text(category.name());
        }
        return Ok(Answer::Now);
    };
    let Some(category) = category(word) else {
        let text = format!("ERR Unknown category '{}'", shown(word));
        context.reply().error(&text);
        return Ok(Answer::Now);
    };
    let acl = Arc::clone(&context.engine.shared.acl);
    let members = acl.catalog.iter();
    let members = members.filter(|known| known.declaration.is_in(category));
    let names: Vec<&str> = members.map(|known| known.full_name).collect();
    let mut reply = context.reply();
    reply.array(names.len());
    names.into_iter().for_each(|name| reply.bulk_text(name));
    Ok(Answer::Now)
}

fn dry_run(context: &mut ControlContext<'_>, args: Args<'_>) {
    let acl = Arc::clone(&context.engine.shared.acl);
    let mut reply = context.reply();
    let Some(user) = acl.user(args.word(2)) else {
        reply.error(&format!("ERR User '{}' not found", shown(args.word(2))));
        return;
    };
    let request = args.from(3);
    let Some(known) = acl.catalog.resolve(request) else {
        let name = shown(request.word(0));
        reply.error(&format!("ERR Command '{name}' not found"));
        return;
    };
    if !known.declaration.arity.accepts(request.len()) {
        let name = known.full_name;
        reply.error(&format!(
            "ERR wrong number of arguments for '{name}' command"
        ));
        return;
    }
    match user.check(known, request) {
        Ok(()) => reply.ok(),
        Err(denied) => {
            let text = denied.dry_run_text(known.full_name, request);
            reply.bulk(&text);
        }
    }
}

fn make_password(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    const WRONG: CommandError = CommandError::Text(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive \
         number up to 4096",
    );
    if args.len() > 3 {
        return Err(CommandError::SubcommandSyntax);
    }
    let bits = match args.get(2) {
        None => PASSWORD_BITS,
        Some(word) => parse_i64(word).ok_or(CommandError::NotInteger)?,
    };
    if !(1..=PASSWORD_BITS_MAX).contains(&bits) {
        return Err(WRONG);
    }
    let digits = usize::try_from((bits + 3) / 4).map_err(|_beyond| WRONG)?;
    let mut password = String::new();
    while password.len() < digits {
        // From the system, as nobody may guess it.
        let (one, two) = runtime::clock::random_seed();
        password.push_str(&format!("{one:016x}{two:016x}"));
    }
    password.truncate(digits);
    context.reply().bulk_text(&password);
    Ok(Answer::Now)
}

fn log(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    if args.len() > 3 {
        return Err(CommandError::SubcommandSyntax);
    }
    let acl = Arc::clone(&context.engine.shared.acl);
    let count = match args.get(2) {
        None => ENTRIES_SHOWN,
        Some(word) if equals_ignore_case(word, "RESET") => {
            acl.log.with(|log| log.clear());
            return Ok(context.ok());
        }
        Some(word) => parse_i64(word).ok_or(CommandError::NotInteger)?,
    };
    let count = usize_from(u64::try_from(count).unwrap_or(0));
    let entries: Vec<Entry> = acl
        .log
        .with(|log| log.iter().take(count).cloned().collect());
    let now = context.engine.now;
    let mut reply = context.reply();
    reply.array(entries.len());
    for entry in entries {
        write_entry(&mut reply, &entry, now.0);
    }
    Ok(Answer::Now)
}

fn write_entry(reply: &mut Reply<'_>, entry: &Entry, now_ms: i64) {
    let age_ms = now_ms.saturating_sub(entry.at.0).max(0);
    reply.map(7);
    reply.bulk_text("count");
    reply.integer(entry.count);
    reply.bulk_text("reason");
    reply.bulk_text(entry.reason.name());
    reply.bulk_text("context");
    reply.bulk_text(entry.context.name());
    reply.bulk_text("object");
    reply.bulk(&entry.object);
    reply.bulk_text("username");
    reply.bulk(&entry.user);
    reply.bulk_text("age-seconds");
    reply.double(seconds(age_ms));
    reply.bulk_text("client-info");
    reply.bulk_text(&entry.client);
}

/// Returns milliseconds as seconds.
fn seconds(ms: i64) -> f64 {
    std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64()
}

fn load(context: &mut ControlContext<'_>) -> Result<Answer, CommandError> {
    let settings = context.engine.config.settings();
    let (Some(path), Some(shown)) = (settings.acl_path(), &settings.acl_file) else {
        return Err(NO_FILE);
    };
    let shown = shown.display().to_string();
    let defaults = layer_options::acl(&context.engine.config);
    match file::load(&context.engine.shared.acl, (&path, &shown), defaults, &Disk) {
        Ok(()) => Ok(Answer::Gather(follow(context, b"+OK\r\n".to_vec()))),
        Err(text) => {
            context.reply().error(&format!("ERR {text}"));
            Ok(Answer::Now)
        }
    }
}

fn save(context: &mut ControlContext<'_>) -> Result<Answer, CommandError> {
    let Some(path) = context.engine.config.settings().acl_path() else {
        return Err(NO_FILE);
    };
    let acl = &context.engine.shared.acl;
    let saved =
        file::text(acl).and_then(|text| replace_file(&path, &text).map_err(|it| it.to_string()));
    match saved {
        Ok(()) => Ok(context.ok()),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "save the file of users");
            Err(CommandError::Text(
                "ERR There was an error trying to save the ACLs. Please check the server logs for more \
                 information",
            ))
        }
    }
}
