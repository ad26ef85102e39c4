//! From the words of a request to a program that may run: what it is, and what it has to claim.
//!
//! | keys | runs | claims |
//! |---|---|---|
//! | declared, on this core | here, without a message to another core | these keys |
//! | declared, on one other core | there: one message there, one back | these keys |
//! | declared, on several cores | here; each command a hop | these keys |
//! | not all declared | here; each command a hop | all cores as a whole |
//!
//! Declared means that the text of the script or library shows it, see [`super::declared_keys`] and
//! [`super::declared_functions`].

use std::cell::Cell;
use std::sync::Arc;

use base::hash::Set;
use base::ids::{DbIndex, ShardId};
use commands::spec::CommandError;
use protocol::args::{Args, PackedArgs, equals_ignore_case};
use protocol::reply::Resp;
use runtime::faults::{self, Fault};
use scripting::running::Running;
use scripting::scripts::{Environment, ScriptError, ScriptFlags, Sha};
use shard::locks::{Claim, Mode};

use super::local::{Facts, LocalScripts};
use super::program::{Rights, ScriptProgram, Visible, error_reply};
use crate::acl::user::User;
use crate::engine::Engine;

/// What a request wants to run.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A script that it brings along.
    Source,
    /// A script that is kept.
    Kept,
    /// A function of a library.
    Function,
}

/// A request to run a script or a function.
pub(crate) struct Wanted<'a> {
    /// All its words.
    pub(crate) words: Args<'a>,
    /// What it is.
    pub(crate) what: What,
    /// It may not write, whatever it says of itself.
    pub(crate) is_read_only: bool,
    /// Its words that are keys: the first, and how many.
    pub(crate) key_count: usize,
    /// What was found before and may be forgotten since: the source of a kept script, or the code of the
    /// library of a declared function.
    pub(crate) source: Option<Arc<[u8]>>,
    /// It has been looked up and kept when its client sent it: to do so again would undo a SCRIPT FLUSH that
    /// came behind it.
    pub(crate) is_kept: bool,
}

/// Where the keys of a request begin.
const FIRST_KEY: usize = 3;

impl<'a> Wanted<'a> {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// If the number of keys is none.
    pub(crate) fn read(words: Args<'a>) -> Result<Self, CommandError> {
        let name = words.word(0);
        let is_named = |names: [&str; 2]| names.iter().any(|it| equals_ignore_case(name, it));
        let what = if is_named(["EVAL", "EVAL_RO"]) {
            What::Source
        } else if is_named(["EVALSHA", "EVALSHA_RO"]) {
            What::Kept
        } else {
            What::Function
        };
        let count = base::number::parse_i64(words.word(2)).ok_or(match what {
            What::Function => CommandError::Text("ERR Bad number of keys provided"),
            What::Source | What::Kept => CommandError::NotInteger,
        })?;
        let Ok(key_count) = usize::try_from(count) else {
            return Err(CommandError::Text("ERR Number of keys can't be negative"));
        };
        if key_count > words.len() - FIRST_KEY {
            return Err(CommandError::Text(
                "ERR Number of keys can't be greater than number of args",
            ));
        }
        Ok(Self {
            words,
            what,
            is_read_only: name.len() > 3 && name[name.len() - 3..].eq_ignore_ascii_case(b"_ro"),
            key_count,
            source: None,
            is_kept: false,
        })
    }

    /// Holds on to what will run later: what the client sends next may be SCRIPT FLUSH, and a function that
    /// comes into the place of this one may need other claims.
    pub(crate) fn hold(mut self, scripts: &LocalScripts, known: Option<Known>) -> Self {
        let word = self.words.word(1);
        let found = match self.what {
            What::Source => None,
            What::Kept => Sha::parse(word).and_then(|sha| scripts.registry().script(sha)),
            What::Function => known
                .filter(|known| known.is_declared)
                .and_then(|_| scripts.code_of_function(word)),
        };
        self.source = self.source.or(found);
        self.is_kept = true;
        self
    }

    fn keys(&self) -> Args<'a> {
        self.words.range(FIRST_KEY, self.key_count)
    }

    fn arguments(&self) -> Args<'a> {
        self.words.from(FIRST_KEY + self.key_count)
    }
}

/// Where a program runs.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// On this core, with these claims.
    Here(Vec<(ShardId, Claim)>),
    /// On the one core that has its keys.
    There(ShardId),
}

/// Who wants it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The selected database.
    pub(crate) db: DbIndex,
    /// The protocol of the reply.
    pub(crate) resp: Resp,
    /// Whether reads count as accesses.
    pub(crate) touch: bool,
    /// Its user, if that may not do everything.
    pub(crate) user: Option<Arc<ScriptUser>>,
}

/// The user of a script, which may not do everything.
#[derive(Debug)]
pub(crate) struct ScriptUser {
    /// The user.
    pub(crate) user: Arc<User>,
    /// The client, as ACL LOG shows it.
    pub(crate) client: String,
}

impl ScriptUser {
    /// Returns what a script has to know of its user, unless that may do everything.
    pub(crate) fn if_limited(
        user: &Arc<User>,
        client: impl FnOnce() -> String,
    ) -> Option<Arc<Self>> {
        (!user.may_do_everything()).then(|| {
            Arc::new(Self {
                user: Arc::clone(user),
                client: client(),
            })
        })
    }
}

/// What is known of a program before it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// The name of a script, so that a long source is hashed once.
    sha: Option<Sha>,
    flags: ScriptFlags,
    is_declared: bool,
}

impl Known {
    /// `sha` is the name of a script, none for a function.
    fn of(sha: Option<Sha>, facts: Facts) -> Self {
        Self {
            sha,
            flags: facts.flags,
            is_declared: facts.is_declared,
        }
    }
}

impl Engine {
    /// Looks up, and keeps, what a request wants to run.
    ///
    /// # Errors
    ///
    /// If there is no such thing, or it cannot be compiled.
    pub(crate) fn look_up(&self, wanted: &Wanted<'_>) -> Result<Known, ScriptError> {
        look_up(&self.scripts, wanted, None)
    }

    /// Returns what is known of a program that is to run later, without keeping anything.
    pub(crate) fn foresee(&self, wanted: &Wanted<'_>) -> Option<Known> {
        match wanted.what {
            What::Source => {
                let (sha, facts) = self.scripts.foresee(wanted.words.word(1));
                Some(Known::of(Some(sha), facts))
            }
            What::Kept | What::Function => self.look_up(wanted).ok(),
        }
    }

    /// Decides where a request runs.
    pub(crate) fn place_of(&self, wanted: &Wanted<'_>, known: Known) -> Place {
        let claims = self.claims_of(wanted, Some(known));
        match &claims[..] {
            [(shard, _)] if *shard != self.me => Place::There(*shard),
            _ => Place::Here(claims),
        }
    }

    /// Returns what a request claims, and counts it. Unknown programs are taken for the worst.
    pub(crate) fn claims_of(
        &self,
        wanted: &Wanted<'_>,
        known: Option<Known>,
    ) -> Vec<(ShardId, Claim)> {
        let is_read_only = wanted.is_read_only || known.is_some_and(|known| known.flags.no_writes);
        let mode = if is_read_only || faults::is_on(Fault::ScriptShares) {
            Mode::Shared
        } else {
            Mode::Exclusive
        };
        let counts = self.scripts.counts();
        if !known.is_some_and(|known| known.is_declared) {
            add_one(&counts.everywhere);
            let whole = Claim {
                keys: Vec::new(),
                whole: Some(mode),
            };
            let claims = self.map.shards().map(|shard| (shard, whole.clone()));
            return claims.collect();
        }
        let mut claims: Vec<(ShardId, Claim)> = Vec::new();
        for key in wanted.keys().iter() {
            let shard = self.map.shard_of_key(key);
            let claimed = (self.host.shard.key(key).hash, mode);
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
        add_one(match &claims[..] {
            [(shard, _)] if *shard != self.me => &counts.there,
            [] | [_] => &counts.here,
            [..] => &counts.several,
        });
        claims
    }

    /// Returns what is to be claimed on this core's shard, if it is free and nothing is to be claimed
    /// elsewhere.
    #[expect(
        clippy::option_option,
        reason = "whether it may begin, and whether it claims anything"
    )]
    pub(crate) fn claim_if_free(&self, claims: &[(ShardId, Claim)]) -> Option<Option<Claim>> {
        match claims {
            [] => Some(None),
            [(shard, claim)] if *shard == self.me && self.host.is_free(claim) => {
                Some(Some(claim.clone()))
            }
            [..] => None,
        }
    }

    /// Makes the program of a request. It looks its script up again when it begins: in a MULTI, a
    /// command before it may have brought it.
    pub(crate) fn program_of_script(
        &mut self,
        wanted: &Wanted<'_>,
        known: Option<Known>,
        caller: &Caller,
    ) -> Box<ScriptProgram> {
        let shortage = Shortage {
            of_memory: self.is_out_of_memory(),
            of_disk: if self.observed.is_attentive {
                self.write_refusal()
            } else {
                None
            },
        };
        self.scripts.calls().set_shown(self.observed.has_monitors);
        let words = PackedArgs::from_args(wanted.words);
        let held = (wanted.source.clone(), wanted.is_kept);
        let function = matches!(wanted.what, What::Function)
            .then(|| String::from_utf8_lossy(wanted.words.word(1)).into_owned());
        let visible = Visible {
            words: words.clone(),
            function,
            begun: Cell::new(None),
            has_written: Cell::new(false),
            is_killed: Cell::new(false),
            is_announced: Cell::new(false),
        };
        let resp = caller.resp;
        let starter = Box::new(move |local: &LocalScripts| {
            begin(local, (&words, held.clone(), known), resp, shortage)
                .map_err(|error| error_reply(&String::from_utf8_lossy(&error.0), resp))
        });
        let around = self.surroundings();
        let scripts = std::rc::Rc::clone(&self.scripts);
        let place = (self.me, caller.db, caller.touch);
        let user = caller.user.clone();
        Box::new(ScriptProgram::new(
            (scripts, user),
            around,
            place,
            visible,
            starter,
        ))
    }
}

fn add_one(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

/// `sha` is the name of the script, if it was found out before.
fn look_up(
    local: &LocalScripts,
    wanted: &Wanted<'_>,
    sha: Option<Sha>,
) -> Result<Known, ScriptError> {
    let word = wanted.words.word(1);
    match wanted.what {
        What::Source => {
            let sha = sha.unwrap_or_else(|| Sha::of(word));
            let facts = if wanted.is_kept {
                local.find(sha, Some(word))
            } else {
                local.load_as(sha, word)
            };
            facts.map(|facts| Known::of(Some(sha), facts))
        }
        What::Kept => {
            let sha = sha.or_else(|| Sha::parse(word));
            let sha = sha.ok_or_else(ScriptError::no_script)?;
            let facts = local.find(sha, wanted.source.as_deref())?;
            Ok(Known::of(Some(sha), facts))
        }
        What::Function => local
            .find_function(word)
            .map(|facts| Known::of(None, facts)),
    }
}

/// See [`Wanted::source`] and [`Wanted::is_kept`].
type Held = (Option<Arc<[u8]>>, bool);

/// What there is too little of when a script begins.
#[derive(Clone, Copy, Debug)]
struct Shortage {
    of_memory: bool,
    /// The error of writes, if the disk takes none.
    of_disk: Option<&'static str>,
}

/// Starts what a request wants: its words, what is held of it, and what was known of it before.
fn begin(
    local: &LocalScripts,
    (words, (source, is_kept), before): (&PackedArgs, Held, Option<Known>),
    resp: Resp,
    shortage: Shortage,
) -> Result<(Running, Rights), ScriptError> {
    let refused = |text: &str| ScriptError(text.as_bytes().to_vec());
    let mut wanted =
        Wanted::read(words.args()).map_err(|error| refused(&error.text("eval", words.args())))?;
    wanted.source = source;
    wanted.is_kept = is_kept;
    let is_bound_to_keys = before.is_some_and(|known| known.is_declared);
    let known = match before {
        // Its claims are for this library: what is loaded now may be another one.
        Some(known) if matches!(wanted.what, What::Function) && wanted.source.is_some() => known,
        _ => look_up(local, &wanted, before.and_then(|known| known.sha))?,
    };
    let flags = known.flags;
    let has_flags = flags.has_shebang || matches!(wanted.what, What::Function);
    if has_flags && wanted.is_read_only && !flags.no_writes {
        return Err(refused(
            "ERR Can not execute a script with write flag using *_ro command.",
        ));
    }
    let is_out_of_memory = shortage.of_memory;
    if has_flags
        && !flags.no_writes
        && let Some(text) = shortage.of_disk
    {
        return Err(refused(text));
    }
    if has_flags && is_out_of_memory && !flags.no_writes && !flags.allow_oom {
        return Err(refused(
            "OOM command not allowed when used memory > 'maxmemory'.",
        ));
    }
    let environment = Environment { resp };
    let (keys, arguments) = (wanted.keys(), wanted.arguments());
    let running = match known.sha {
        Some(sha) => local.start(sha, keys, arguments, environment),
        None => {
            let function = (wanted.words.word(1), wanted.source.as_deref());
            local.start_function(function, keys, arguments, environment)
        }
    }?;
    let declared: Set<Box<[u8]>> = if is_bound_to_keys {
        keys.iter().map(Box::from).collect()
    } else {
        Set::default()
    };
    let rights = Rights {
        is_read_only: wanted.is_read_only || flags.no_writes,
        is_out_of_memory: is_out_of_memory && !flags.allow_oom,
        refusal: shortage.of_disk,
        keys: is_bound_to_keys.then_some(declared),
    };
    Ok((running, rights))
}
