//! CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: what a client that caches asks for.
//!
//! Not here: how it is told of changes (`crate::invalidate`).

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use base::ids::ClientId;
use base::number::parse_i64;
use commands::error::shown;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};
use runtime::socket_ring::SocketId;

use super::client::reply_with;
use super::{Answer, ControlContext};
use crate::core_loop::Core;
use crate::gather::{Finished, Gather};
use crate::session::Session;
use crate::tracking::{Mode, Target, Tracking};

/// What every refusal of prefixes ends with.
const RULE: &str = "Prefixes for a single client must not overlap.";

/// What the words behind `CLIENT TRACKING` ask for.
#[derive(Clone, Debug, Default)]
struct Wanted {
    is_on: bool,
    redirect: Option<ClientId>,
    is_broadcast: bool,
    opts_in: bool,
    opts_out: bool,
    is_silent: bool,
    prefixes: Vec<Box<[u8]>>,
}

impl Wanted {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut wanted = Self::default();
        let mut index = 3;
        while let Some(word) = args.get(index) {
            let is = |name: &str| equals_ignore_case(word, name);
            let value = args.get(index + 1);
            index += 1;
            if is("REDIRECT") && value.is_some() {
                if wanted.redirect.is_some() {
                    return Err(CommandError::Text(
                        "ERR A client can only redirect to a single other client",
                    ));
                }
                let id = value.and_then(parse_i64).ok_or(CommandError::NotInteger)?;
                // No client has a number below 1.
                wanted.redirect = Some(ClientId(u64::try_from(id).unwrap_or(0)));
                index += 1;
            } else if is("BCAST") {
                wanted.is_broadcast = true;
            } else if is("OPTIN") {
                wanted.opts_in = true;
            } else if is("OPTOUT") {
                wanted.opts_out = true;
            } else if is("NOLOOP") {
                wanted.is_silent = true;
            } else if is("PREFIX")
                && let Some(prefix) = value
            {
                wanted.prefixes.push(prefix.into());
                index += 1;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        wanted.is_on = equals_ignore_case(args.word(2), "ON");
        if !wanted.is_on && !equals_ignore_case(args.word(2), "OFF") {
            return Err(CommandError::Syntax);
        }
        Ok(wanted)
    }

    /// Returns why this cannot follow what the client has asked for before.
    fn refusal(&self, before: Option<&Tracking>) -> Option<String> {
        let text = |text: &str| Some(text.to_owned());
        if !self.is_broadcast && !self.prefixes.is_empty() {
            return text("ERR PREFIX option requires BCAST mode to be enabled");
        }
        let is_broadcast = |it: &Tracking| it.mode == Mode::Broadcast;
        if before.is_some_and(|it| is_broadcast(it) != self.is_broadcast) {
            return text(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and \
                 then re-enabling it with a different mode.",
            );
        }
        if self.is_broadcast && (self.opts_in || self.opts_out) {
            return text("ERR OPTIN and OPTOUT are not compatible with BCAST");
        }
        if self.opts_in && self.opts_out {
            return text("ERR You can't specify both OPTIN mode and OPTOUT mode");
        }
        let mode = before.map(|it| it.mode);
        if self.opts_in && mode == Some(Mode::OptOut) || self.opts_out && mode == Some(Mode::OptIn)
        {
            return text(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and \
                 then re-enabling it with a different mode.",
            );
        }
        self.overlap(before)
    }

    /// Returns which prefix is the beginning of another.
    fn overlap(&self, before: Option<&Tracking>) -> Option<String> {
        let overlaps = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
        for (index, prefix) in self.prefixes.iter().enumerate() {
            let existing = before.iter().flat_map(|it| &it.prefixes);
            if let Some(other) = existing.into_iter().find(|it| overlaps(it, prefix)) {
                let (prefix, other) = (shown(prefix), shown(other));
                return Some(format!(
                    "ERR Prefix '{prefix}' overlaps with an existing prefix '{other}'. {RULE}"
                ));
            }
            let others = &self.prefixes[index + 1..];
            if let Some(other) = others.iter().find(|it| overlaps(it, prefix)) {
                let (prefix, other) = (shown(prefix), shown(other));
                return Some(format!(
                    "ERR Prefix '{prefix}' overlaps with another provided prefix '{other}'. {RULE}"
                ));
            }
        }
        None
    }

    fn mode(&self) -> Mode {
        match (self.is_broadcast, self.opts_in, self.opts_out) {
            (true, ..) => Mode::Broadcast,
            (false, true, _) => Mode::OptIn,
            (false, false, true) => Mode::OptOut,
            (false, false, false) => Mode::All,
        }
    }
}

pub(super) fn tracking(
    context: &mut ControlContext<'_>,
    args: Args<'_>,
) -> Result<Answer, CommandError> {
    let wanted = Wanted::parse(args)?;
    if !wanted.is_on {
        let connection = &mut *context.connection;
        context
            .engine
            .end_tracking(context.id, &mut connection.session);
        return Ok(context.ok());
    }
    let before = context.connection.session.tracking.as_deref();
    if let Some(text) = wanted.refusal(before) {
        context.reply().error(&text);
        return Ok(Answer::Now);
    }
    let resp = context.session().resp;
    let (asker, client) = (context.id, context.session().client);
    // Counted before the cores begin to note changes, so that none of them ends it meanwhile.
    if before_is_off(context.session()) {
        let count = &context.engine.shared.tracking_count;
        count.fetch_add(1, Ordering::AcqRel);
    }
    let redirect = wanted.redirect;
    Ok(Answer::Gather(Gather::all(
        move |core| {
            core.engine.host.shard.note_changes(true);
            redirect.and_then(|client| hold(core, client))
        },
        move |core, parts| {
            let target = parts.into_iter().flatten().next();
            let is_found = redirect.is_none() || target.is_some();
            let is_kept = begin(core, asker, client, &wanted, target, is_found);
            Finished::Reply(reply_with(resp, |reply| {
                if is_kept {
                    reply.ok();
                } else {
                    reply.error("ERR The client ID you want redirect to does not exist");
                }
            }))
        },
    )))
}

fn before_is_off(session: &Session) -> bool {
    session.tracking.is_none()
}

/// Finds a client of this core, and keeps it here.
fn hold(core: &mut Core, client: ClientId) -> Option<Target> {
    let me = core.engine.me;
    let (id, connection) = core
        .net
        .iter_mut()
        .find(|(_, connection)| connection.session.client == client)?;
    connection.session.is_target = true;
    connection.session.review();
    Some(Target {
        client,
        core: me,
        connection: id.to_bits(),
    })
}

/// Begins to track for a client, unless it has left or who is to be told is not there. Returns whether it
/// has begun.
fn begin(
    core: &mut Core,
    asker: SocketId,
    client: ClientId,
    wanted: &Wanted,
    target: Option<Target>,
    is_found: bool,
) -> bool {
    let Core { engine, net, .. } = core;
    let count = &engine.shared.tracking_count;
    let connection = net.connection_mut(asker);
    let Some(connection) = connection.filter(|it| it.session.client == client) else {
        count.fetch_sub(1, Ordering::AcqRel);
        return false;
    };
    let session = &mut connection.session;
    if !is_found {
        if before_is_off(session) {
            count.fetch_sub(1, Ordering::AcqRel);
        }
        return false;
    }
    let before = session.tracking.take();
    let mut prefixes = before.map_or_else(BTreeSet::new, |before| before.prefixes);
    prefixes.extend(wanted.prefixes.iter().cloned());
    if wanted.is_broadcast && prefixes.is_empty() {
        prefixes.insert(Box::default());
    }
    if wanted.is_broadcast && engine.caching.broadcast.insert(asker.to_bits()) {
        engine.shared.broadcasting.add(engine.me, 1);
    }
    session.tracking = Some(Box::new(Tracking {
        mode: wanted.mode(),
        prefixes,
        redirect: target,
        is_silent: wanted.is_silent,
        is_broken: false,
        is_chosen: false,
    }));
    session.review();
    true
}

pub(super) fn caching(
    context: &mut ControlContext<'_>,
    word: &[u8],
) -> Result<Answer, CommandError> {
    let modes = [Mode::OptIn, Mode::OptOut];
    let tracking = context.session().tracking.as_mut();
    let Some(tracking) = tracking.filter(|tracking| modes.contains(&tracking.mode)) else {
        if context.session().tracking.is_some() {
            return wrong_mode(word);
        }
        return Err(CommandError::Text(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
             OPTOUT mode enabled",
        ));
    };
    let wanted = if equals_ignore_case(word, "YES") {
        Mode::OptIn
    } else if equals_ignore_case(word, "NO") {
        Mode::OptOut
    } else {
        return Err(CommandError::Syntax);
    };
    if tracking.mode != wanted {
        return wrong_mode(word);
    }
    tracking.is_chosen = true;
    Ok(context.ok())
}

/// Refuses `CLIENT CACHING` with a word that means nothing in the client's mode.
fn wrong_mode(word: &[u8]) -> Result<Answer, CommandError> {
    if equals_ignore_case(word, "YES") {
        Err(CommandError::Text(
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
        ))
    } else if equals_ignore_case(word, "NO") {
        Err(CommandError::Text(
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
        ))
    } else {
        Err(CommandError::Syntax)
    }
}

/// Returns who is told in place of a client: -1 if it does not track, 0 if it is told itself.
pub(super) fn redirect_of(session: &Session) -> i64 {
    let Some(tracking) = &session.tracking else {
        return -1;
    };
    let target = tracking.redirect.map_or(0, |target| target.client.0);
    i64::try_from(target).unwrap_or(i64::MAX)
}

pub(super) fn redirection(context: &mut ControlContext<'_>) {
    let redirect = redirect_of(context.session());
    context.reply().integer(redirect);
}

pub(super) fn info(context: &mut ControlContext<'_>) {
    let tracking = context.session().tracking.clone();
    let redirect = redirect_of(context.session());
    let mut flags = Vec::new();
    match &tracking {
        None => flags.push("off"),
        Some(tracking) => {
            flags.push("on");
            flags.extend(match (tracking.mode, tracking.is_chosen) {
                (Mode::All, _) => &[][..],
                (Mode::Broadcast, _) => &["bcast"],
                (Mode::OptIn, false) => &["optin"],
                (Mode::OptIn, true) => &["optin", "caching-yes"],
                (Mode::OptOut, false) => &["optout"],
                (Mode::OptOut, true) => &["optout", "caching-no"],
            });
            if tracking.is_silent {
                flags.push("noloop");
            }
            if tracking.is_broken {
                flags.push("broken_redirect");
            }
        }
    }
    let mut reply = context.reply();
    reply.map(3);
    reply.bulk_text("flags");
    reply.set(flags.len());
    for flag in flags {
        reply.bulk_text(flag);
    }
    reply.bulk_text("redirect");
    reply.integer(redirect);
    reply.bulk_text("prefixes");
    let prefixes = tracking
        .map(|tracking| tracking.prefixes)
        .unwrap_or_default();
    reply.array(prefixes.len());
    for prefix in &prefixes {
        reply.bulk(prefix);
    }
}
