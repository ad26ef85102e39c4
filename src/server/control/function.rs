//! FUNCTION: the libraries of functions.
//!
//! All cores have the same libraries. A change is made on the core of the client, with the registry
//! closed to others meanwhile; the other cores follow when they are asked for a function next.

use base::cast::i64_from;
use base::glob;
use commands::spec::CommandError;
use protocol::args::{Args, PackedArgs, equals_ignore_case};
use protocol::reply::Reply;
use scripting::functions::{Library, RestorePolicy};
use scripting::scripts::ScriptFlags;
use types::rdb::libraries;

use super::declarations::scripting as declared;
use super::script::{flush_mode, kill, refuse};
use super::{Answer, ControlCommand, ControlContext, command};
use crate::core_loop::Core;
use crate::gather::{Finished, Gather};
use crate::scripts::kill::Kind;

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::FUNCTION,
    run: function,
}];

fn function(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    if equals_ignore_case(word, "LOAD") {
        load(context, args)
    } else if equals_ignore_case(word, "DELETE") {
        delete(context, args)
    } else if equals_ignore_case(word, "FLUSH") {
        if args.len() > 3 {
            return Err(CommandError::SubcommandSyntax);
        }
        flush_mode(args, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option")?;
        Ok(change(context, |scripting| {
            scripting.flush_libraries();
            Ok(())
        }))
    } else if equals_ignore_case(word, "LIST") {
        list(context, args)
    } else if equals_ignore_case(word, "DUMP") {
        let payload = context.engine.scripts.with_libraries(|scripting| {
            libraries::dump(scripting.libraries().map(|it| &it.code[..]))
        });
        context.reply().bulk(&payload);
        Ok(Answer::Now)
    } else if equals_ignore_case(word, "RESTORE") {
        restore(context, args)
    } else if equals_ignore_case(word, "KILL") {
        Ok(Answer::Gather(kill(Kind::Function)))
    } else if equals_ignore_case(word, "STATS") {
        Ok(Answer::Gather(stats(context)))
    } else {
        command::help(&declared::FUNCTION, &mut context.reply());
        Ok(Answer::Now)
    }
}

/// Changes the libraries and answers `OK`, or with what is wrong.
fn change(
    context: &mut ControlContext<'_>,
    change: impl FnOnce(
        &mut scripting::scripts::Scripting,
    ) -> Result<(), scripting::scripts::ScriptError>,
) -> Answer {
    match context.engine.scripts.change_libraries(change) {
        Ok(()) => {
            context.engine.host.shard.count_change();
            context.ok()
        }
        Err(error) => refuse(context, &error),
    }
}

fn load(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let code = args.word(args.len() - 1);
    let options = args.range(2, args.len() - 3);
    let is_unknown = |option: &[u8]| !equals_ignore_case(option, "REPLACE");
    if let Some(at) = options.iter().position(is_unknown) {
        return Err(CommandError::Naming("ERR Unknown option given: ", 2 + at));
    }
    let replace = !options.is_empty();
    let loaded = context.engine.scripts.change_libraries(|scripting| {
        scripting.load_library(code, replace, &mut crate::scripts::program::log)
    });
    match loaded {
        Ok(name) => {
            context.engine.host.shard.count_change();
            context.reply().bulk(&name);
        }
        Err(error) => return Ok(refuse(context, &error)),
    }
    Ok(Answer::Now)
}

fn delete(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let was_there = context
        .engine
        .scripts
        .change_libraries(|scripting| Ok(scripting.delete_library(args.word(2))));
    match was_there {
        Ok(true) => {
            context.engine.host.shard.count_change();
            Ok(context.ok())
        }
        Ok(false) => Err(CommandError::Text("ERR Library not found")),
        Err(error) => Ok(refuse(context, &error)),
    }
}

fn restore(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    if args.len() > 4 {
        return Err(CommandError::SubcommandSyntax);
    }
    let policy = match args.get(3) {
        None => RestorePolicy::Append,
        Some(word) if equals_ignore_case(word, "APPEND") => RestorePolicy::Append,
        Some(word) if equals_ignore_case(word, "REPLACE") => RestorePolicy::Replace,
        Some(word) if equals_ignore_case(word, "FLUSH") => RestorePolicy::Flush,
        Some(_) => {
            return Err(CommandError::Text(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    let codes = libraries::restore(args.word(2)).map_err(|refused| {
        CommandError::Text(match refused {
            types::rdb::Refused::Footer => "ERR DUMP payload version or checksum are wrong",
            types::rdb::Refused::Object => "ERR given type is not a function",
        })
    })?;
    Ok(change(context, |scripting| {
        scripting.restore_libraries(&codes, policy, &mut crate::scripts::program::log)
    }))
}

fn list(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let mut pattern = None;
    let mut with_code = false;
    let mut at = 2;
    while let Some(word) = args.get(at) {
        at += 1;
        if !with_code && equals_ignore_case(word, "WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && equals_ignore_case(word, "LIBRARYNAME") {
            let Some(name) = args.get(at) else {
                return Err(CommandError::Text(
                    "ERR library name argument was not given",
                ));
            };
            at += 1;
            pattern = Some(name);
        } else {
            return Err(CommandError::Naming("ERR Unknown argument ", at - 1));
        }
    }
    let scripts = std::rc::Rc::clone(&context.engine.scripts);
    let mut reply = context.reply();
    scripts.with_libraries(|scripting| {
        let is_shown = |library: &&Library| {
            pattern.is_none_or(|pattern| glob::matches(pattern, &library.name, true))
        };
        let shown: Vec<&Library> = scripting.libraries().filter(is_shown).collect();
        reply.array(shown.len());
        for library in shown {
            describe(&mut reply, library, with_code);
        }
    });
    Ok(Answer::Now)
}

fn describe(reply: &mut Reply<'_>, library: &Library, with_code: bool) {
    reply.map(if with_code { 4 } else { 3 });
    reply.bulk(b"library_name");
    reply.bulk(&library.name);
    reply.bulk(b"engine");
    reply.bulk(b"LUA");
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    for function in &library.functions {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(&function.name);
        reply.bulk(b"description");
        match &function.description {
            Some(text) => reply.bulk(text),
            None => reply.null(),
        }
        reply.bulk(b"flags");
        let flags = flag_names(function.flags);
        reply.set(flags.len());
        for flag in flags {
            reply.simple(flag);
        }
    }
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(&library.code);
    }
}

fn flag_names(flags: ScriptFlags) -> Vec<&'static str> {
    [
        (flags.no_writes, "no-writes"),
        (flags.allow_oom, "allow-oom"),
        (flags.allow_stale, "allow-stale"),
        (flags.no_cluster, "no-cluster"),
        (flags.allow_cross_slot_keys, "allow-cross-slot-keys"),
    ]
    .into_iter()
    .filter_map(|(is_set, name)| is_set.then_some(name))
    .collect()
}

/// A function that runs on some core.
struct Seen {
    name: String,
    words: PackedArgs,
    millis: u64,
}

/// What a core says of what it runs.
enum Running {
    Nothing,
    Script,
    Function(Seen),
}

fn stats(context: &mut ControlContext<'_>) -> Gather {
    let resp = context.session().resp;
    let counts = context
        .engine
        .scripts
        .with_libraries(|scripting| (scripting.library_count(), scripting.function_count()));
    Gather::all(look, move |core, seen| {
        let mut out = Vec::new();
        let mut reply = Reply {
            out: &mut out,
            resp,
        };
        let is_script = seen.iter().any(|seen| matches!(seen, Running::Script));
        if is_script && let Some(text) = core.engine.shared.scripts.busy.refusal() {
            reply.error(text);
            return Finished::Reply(out);
        }
        let function = seen.into_iter().find_map(|seen| match seen {
            Running::Function(seen) => Some(seen),
            Running::Nothing | Running::Script => None,
        });
        reply.map(2);
        reply.bulk(b"running_script");
        match function {
            Some(function) => write_running(&mut reply, &function),
            None => reply.null(),
        }
        reply.bulk(b"engines");
        reply.map(1);
        reply.bulk(b"LUA");
        reply.map(2);
        reply.bulk(b"libraries_count");
        reply.integer(i64_from(counts.0));
        reply.bulk(b"functions_count");
        reply.integer(i64_from(counts.1));
        Finished::Reply(out)
    })
}

fn look(core: &mut Core) -> Running {
    let now = core.engine.clock;
    let mut running = Running::Nothing;
    core.engine.scripts.for_each_running(|script| {
        running = match (&script.function, script.begun.get()) {
            (Some(name), Some(begun)) => Running::Function(Seen {
                name: name.clone(),
                words: script.words.clone(),
                millis: now.nanos_since(begun) / 1_000_000,
            }),
            _ => Running::Script,
        };
    });
    running
}

fn write_running(reply: &mut Reply<'_>, function: &Seen) {
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(function.name.as_bytes());
    reply.bulk(b"command");
    let words = function.words.args();
    reply.array(words.len());
    for word in words.iter() {
        reply.bulk(word);
    }
    reply.bulk(b"duration_ms");
    reply.integer(i64::try_from(function.millis).unwrap_or(i64::MAX));
}
