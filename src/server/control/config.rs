//! CONFIG.
//!
//! Changes are made on core 0, one after the other, and then handed to every core; the client is
//! answered when all have them.

use std::sync::Arc;

use base::ids::ShardId;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};

use super::declarations::server as declared;
use super::{Answer, ControlCommand, ControlContext, command};
use crate::acl::file;
use crate::acl::log::Log;
use crate::config::Config;
use crate::config::loader::{Disk, replace_file};
use crate::core_loop::Core;
use crate::gather::{Finished, Gather, Whom};
use crate::layer_options;
use crate::persistence::switch;

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::CONFIG,
    run: config,
}];

fn config(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    if equals_ignore_case(word, "GET") {
        get(context, args);
        Ok(Answer::Now)
    } else if equals_ignore_case(word, "SET") {
        set(context, args)
    } else if equals_ignore_case(word, "RESETSTAT") {
        Ok(Answer::Gather(Gather::all(reset_statistics, |_, _| {
            Finished::Reply(b"+OK\r\n".into())
        })))
    } else if equals_ignore_case(word, "REWRITE") {
        rewrite(context)
    } else {
        command::help(&declared::CONFIG, &mut context.reply());
        Ok(Answer::Now)
    }
}

fn get(context: &mut ControlContext<'_>, args: Args<'_>) {
    let patterns: Vec<String> = args
        .from(2)
        .iter()
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let found = context.engine.config.get(&patterns);
    let mut reply = context.reply();
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk_text(&name);
        reply.bulk_text(&value);
    }
}

fn set(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let words: Vec<String> = args
        .from(2)
        .iter()
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let resp = context.session().resp;
    let change = move |core: &mut Core| {
        let mut config = (*core.engine.config).clone();
        let pairs: Vec<(&str, &str)> = words
            .chunks_exact(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()))
            .collect();
        match config.set(&pairs) {
            Ok(changes) => match switch::follow(core, &config) {
                Ok(()) => {
                    core.follow_password(&config, &changes.names);
                    Ok(core.change_config(Arc::new(config)))
                }
                Err(text) => Err(text.to_owned()),
            },
            Err(error) => Err(error.to_string()),
        }
    };
    Ok(Answer::Gather(Gather::new(
        Whom::One(ShardId(0)),
        change,
        move |_, mut parts| match parts.pop() {
            Some(Ok(changed)) => Finished::More(spread(changed)),
            Some(Err(text)) => Finished::Reply(error_reply(&text, resp)),
            None => Finished::Reply(error_reply("ERR CONFIG SET failed", resp)),
        },
    )))
}

/// Hands a configuration to every core; the reply is `OK`.
pub(crate) fn spread(changed: Changed) -> Gather {
    Gather::all(
        move |core| core.apply_config(&changed),
        |_, _| Finished::Reply(b"+OK\r\n".into()),
    )
}

fn error_reply(text: &str, resp: Resp) -> Vec<u8> {
    let mut out = Vec::new();
    Reply {
        out: &mut out,
        resp,
    }
    .error(text);
    out
}

fn rewrite(context: &mut ControlContext<'_>) -> Result<Answer, CommandError> {
    let mut config = (*context.engine.config).clone();
    if config.settings().acl_file.is_none() {
        let password = config.settings().password.as_deref();
        match file::configured(&context.engine.shared.acl, password) {
            Ok(users) => config.set_users(users),
            Err(text) => {
                let text = format!("ERR Rewriting config file: {text}");
                context.reply().error(&text);
                return Ok(Answer::Now);
            }
        }
    }
    let result = config.rewrite(&Disk).map_err(|error| error.to_string());
    let result = result.and_then(|rewritten| {
        replace_file(&rewritten.path, &rewritten.text)
            .map_err(|error| format!("ERR Rewriting config file: {error}"))
    });
    match result {
        Ok(()) => context.reply().ok(),
        Err(text) => context.reply().error(&text),
    }
    Ok(Answer::Now)
}

fn reset_statistics(core: &mut Core) {
    core.engine.observed.reset();
    core.engine.host.shard.reset_stats();
    core.engine.host.counters = coordinator::host::Counters::default();
    core.engine.transactions.counters = coordinator::transaction::Counters::default();
    core.net.counters = net::options::Counters::default();
    core.engine.shared.acl.log.with(Log::reset_counts);
}

/// Reads the sources of the configuration again.
pub(crate) fn reload(core: &mut Core) {
    let mut config = (*core.engine.config).clone();
    match config.reload(&Disk) {
        Ok(reloaded) => {
            tracing::info!(
                changed = ?reloaded.changed,
                need_restart = ?reloaded.need_restart,
                "configuration read again"
            );
            for warning in reloaded.warnings {
                tracing::warn!("{warning}");
            }
            // Why it could not be switched is logged; the next change of the configuration tries again.
            switch::follow(core, &config).ok();
            core.follow_password(&config, &reloaded.changed);
            core.spread_config(Arc::new(config));
        }
        Err(error) => tracing::error!(%error, "configuration left as it was"),
    }
}

/// A configuration that core 0 has taken over, and its number: 1 for the first change, and so on.
///
/// The cores that asked for changes spread them, so that an older one may come after a newer one.
#[derive(Clone)]
pub(crate) struct Changed {
    number: u64,
    config: Arc<Config>,
}

impl Core {
    /// Takes over a changed configuration. Only on core 0, which gives the changes their order.
    pub(crate) fn change_config(&mut self, config: Arc<Config>) -> Changed {
        let number = self.engine.config_number + 1;
        let changed = Changed { number, config };
        self.apply_config(&changed);
        changed
    }

    /// Gives the default user the password of a changed configuration, if that has another one than before.
    fn follow_password(&self, config: &Config, changed: &[&str]) {
        if changed.contains(&"requirepass") {
            let password = config.settings().password.as_deref();
            self.engine.shared.acl.set_default_password(password);
        }
    }

    /// Takes over a configuration of core 0, unless a newer one was here before.
    fn apply_config(&mut self, changed: &Changed) {
        if changed.number <= self.engine.config_number {
            return;
        }
        self.engine.config_number = changed.number;
        let config = Arc::clone(&changed.config);
        self.engine.observed.review(&config);
        self.engine.host.shard.set_options(layer_options::shard(
            &config,
            self.engine.host.shard.options().hash_seed,
            self.engine.map.shard_count(),
        ));
        self.net.options = layer_options::net(&config);
        if config.settings().log_level != self.engine.config.settings().log_level {
            crate::logging::review(config.settings());
        }
        self.engine.config = config;
        let entries = self.engine.config.settings().acl_log_entries_max;
        self.engine.shared.acl.keep_entries(entries);
        // The password of the default user may be another one.
        self.follow_users(None);
        crate::cron::review_memory(self);
        self.review_idle();
    }
}
