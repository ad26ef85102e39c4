//! The table `redis` of scripts, and that of libraries while they are loaded.
//!
//! Errors that these functions raise are tables with a field `err`, which begins with a code. Texts are those
//! of Redis 7.0.15.

use base::number::write_f64;
use protocol::args::PackedArgs;
use protocol::reply::Resp;
use sha1::{Digest, Sha1};

use crate::answer::truncated;
use crate::engine::lua::{Kind, Lua, Raise};
use crate::engine::native::{Results, native};
use crate::functions::register_function;
use crate::reply::push_reply;
use crate::running::{LogLevel, Replicate, Step};

/// Writes go to the log and to replicas.
pub(crate) const REPL_ALL: u8 = 3;

/// Version of Redis whose interface this is, as text and as number.
const VERSION: (&str, f64) = ("7.0.15", 458_767.0);

/// Fields of the table that are numbers.
const NUMBERS: &[(&[u8], f64)] = &[
    (b"LOG_DEBUG", 0.0),
    (b"LOG_VERBOSE", 1.0),
    (b"LOG_NOTICE", 2.0),
    (b"LOG_WARNING", 3.0),
    (b"REDIS_VERSION_NUM", VERSION.1),
];

/// Numbers that scripts have, and libraries while they are loaded have not.
const REPLICATION_NUMBERS: &[(&[u8], f64)] = &[
    (b"REPL_NONE", 0.0),
    (b"REPL_AOF", 1.0),
    (b"REPL_SLAVE", 2.0),
    (b"REPL_REPLICA", 2.0),
    (b"REPL_ALL", 3.0),
];

/// Pushes the table of running functions.
pub(crate) fn push_function_table(lua: &mut Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 32)?;
    set_numbers(lua, NUMBERS)?;
    set_numbers(lua, REPLICATION_NUMBERS)?;
    for (name, function) in [
        (&b"call"[..], native(call)),
        (b"pcall", native(protected_call)),
        (b"log", native(log)),
        (b"setresp", native(set_resp)),
        (b"error_reply", native(error_reply)),
        (b"status_reply", native(status_reply)),
        (b"set_repl", native(set_repl)),
        (b"sha1hex", native(sha1hex)),
        (b"acl_check_cmd", native(acl_check_cmd)),
    ] {
        lua.push_native(function)?;
        lua.raw_set_field(-2, name)?;
    }
    Ok(())
}

/// Pushes the table of running scripts, which has some more.
pub(crate) fn push_script_table(lua: &mut Lua<'_>) -> Result<(), Raise> {
    push_function_table(lua)?;
    for (name, function) in [
        (&b"replicate_commands"[..], native(replicate_commands)),
        (b"breakpoint", native(breakpoint)),
        (b"debug", native(debug)),
    ] {
        lua.push_native(function)?;
        lua.raw_set_field(-2, name)?;
    }
    Ok(())
}

/// Pushes the table that libraries have while they are loaded.
pub(crate) fn push_loading_table(lua: &mut Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 8)?;
    set_numbers(lua, NUMBERS)?;
    lua.push_native(native(register_function))?;
    lua.raw_set_field(-2, b"register_function")?;
    lua.push_native(native(log))?;
    lua.raw_set_field(-2, b"log")
}

fn set_numbers(lua: &mut Lua<'_>, numbers: &[(&[u8], f64)]) -> Result<(), Raise> {
    for &(name, value) in numbers {
        lua.push_number(value)?;
        lua.raw_set_field(-2, name)?;
    }
    lua.push_bytes(VERSION.0.as_bytes())?;
    lua.raw_set_field(-2, b"REDIS_VERSION")
}

/// Pushes a table with `text` as its error. A text with `-` in front begins with a code if it has more
/// than one word; every other gets the code ERR.
pub(crate) fn push_error_table(lua: &mut Lua<'_>, text: &[u8]) -> Result<(), Raise> {
    let text = text.trim_ascii_end();
    let (has_code, text) = match text.strip_prefix(b"-") {
        Some(rest) => (rest.contains(&b' '), rest),
        None => (false, text),
    };
    let mut whole = Vec::with_capacity(text.len() + 4);
    if !has_code {
        whole.extend_from_slice(b"ERR ");
    }
    whole.extend(text.iter().map(|&byte| match byte {
        b'\r' | b'\n' => b' ',
        other => other,
    }));
    lua.push_table(0, 2)?;
    lua.push_bytes(&whole)?;
    lua.raw_set_field(-2, b"err")
}

/// The error with `text` after the code ERR, as a table.
pub(crate) fn error_table(lua: &mut Lua<'_>, text: &str) -> Raise {
    match push_error_table(lua, text.as_bytes()) {
        Ok(()) => Raise::Top,
        Err(raise) => raise,
    }
}

/// The error that ends a killed script, which catching it does not help against.
pub(crate) fn killed(lua: &mut Lua<'_>) -> Raise {
    let reason = lua.context().killed.borrow().clone().unwrap_or_default();
    error_table(lua, &reason)
}

fn call(lua: &mut Lua<'_>) -> Results {
    run_command(lua, false)
}

fn protected_call(lua: &mut Lua<'_>) -> Results {
    run_command(lua, true)
}

/// The words of a command, from the arguments of the function.
fn words(lua: &Lua<'_>) -> Result<PackedArgs, &'static str> {
    let mut words = PackedArgs::new();
    let mut number = Vec::new();
    let count = lua.top();
    if count == 0 {
        return Err("Please specify at least one argument for this redis lib call");
    }
    for index in 1..=count {
        match lua.kind(index) {
            Kind::String => words.push_word(lua.bytes(index).unwrap_or_default()),
            Kind::Number => {
                number.clear();
                write_f64(&mut number, lua.number(index).unwrap_or_default());
                words.push_word(&number);
            }
            _ => return Err("Lua redis lib command arguments must be strings or integers"),
        }
    }
    Ok(words)
}

fn run_command(lua: &mut Lua<'_>, protected: bool) -> Results {
    let words = match words(lua) {
        Ok(words) => words,
        Err(text) => {
            let raise = error_table(lua, text);
            return if protected && raise == Raise::Top {
                Ok(1)
            } else {
                Err(raise)
            };
        }
    };
    let context = lua.context();
    let step = Step::Call {
        words,
        protected,
        resp: context.resp.get(),
        replicate: Replicate::from_bits(context.replicate.get()),
    };
    if !context.suspend(step) {
        return Err(killed(lua));
    }
    let reply = context.reply.take();
    lua.set_top(0);
    push_reply(lua, &reply)?;
    let is_error = reply.first() == Some(&b'-');
    give_back(context, reply);
    if is_error {
        lua.push_boolean(true)?;
        lua.raw_set_field(-2, b"ignore_error_stats_update")?;
        if !protected {
            return Err(Raise::Top);
        }
    }
    Ok(1)
}

/// Keeps the memory of a reply for the next one, unless it is large.
fn give_back(context: &crate::engine::context::Context, mut reply: Vec<u8>) {
    const KEPT_BYTES_MAX: usize = 64 * 1024;
    if reply.capacity() <= KEPT_BYTES_MAX {
        reply.clear();
        context.reply.replace(reply);
    }
}

fn log(lua: &mut Lua<'_>) -> Results {
    let count = lua.top();
    if count < 2 {
        return Err(error_table(
            lua,
            "redis.log() requires two arguments or more.",
        ));
    }
    let Some(level) = lua.number(1) else {
        return Err(error_table(
            lua,
            "First argument must be a number (log level).",
        ));
    };
    let level = match truncated(level) {
        0 => LogLevel::Debug,
        1 => LogLevel::Verbose,
        2 => LogLevel::Notice,
        3 => LogLevel::Warning,
        _ => return Err(error_table(lua, "Invalid debug level.")),
    };
    let mut text = Vec::new();
    for index in 2..=count {
        if let Some(part) = lua.text(index) {
            if !text.is_empty() {
                text.push(b' ');
            }
            text.extend_from_slice(part);
        }
    }
    if !lua.context().suspend(Step::Log { level, text }) {
        return Err(killed(lua));
    }
    Ok(0)
}

fn set_resp(lua: &mut Lua<'_>) -> Results {
    if lua.top() != 1 {
        return Err(error_table(lua, "redis.setresp() requires one argument."));
    }
    let resp = match truncated(lua.number(1).unwrap_or_default()) {
        2 => Resp::V2,
        3 => Resp::V3,
        _ => return Err(error_table(lua, "RESP version must be 2 or 3.")),
    };
    lua.context().resp.set(resp);
    Ok(0)
}

fn error_reply(lua: &mut Lua<'_>) -> Results {
    if lua.top() != 1 || lua.kind(1) != Kind::String {
        push_error_table(lua, b"wrong number or type of arguments")?;
        return Ok(1);
    }
    let mut text = lua.bytes(1).unwrap_or_default().to_vec();
    if text.first() != Some(&b'-') {
        text.insert(0, b'-');
    }
    push_error_table(lua, &text)?;
    Ok(1)
}

fn status_reply(lua: &mut Lua<'_>) -> Results {
    if lua.top() != 1 || lua.kind(1) != Kind::String {
        push_error_table(lua, b"wrong number or type of arguments")?;
        return Ok(1);
    }
    lua.push_table(0, 1)?;
    lua.push_copy(1)?;
    lua.raw_set_field(-2, b"ok")?;
    Ok(1)
}

fn set_repl(lua: &mut Lua<'_>) -> Results {
    if lua.top() != 1 {
        return Err(error_table(lua, "redis.set_repl() requires two arguments."));
    }
    match u8::try_from(truncated(lua.number(1).unwrap_or_default())) {
        Ok(bits @ 0..=REPL_ALL) => {
            lua.context().replicate.set(bits);
            Ok(0)
        }
        _ => Err(error_table(
            lua,
            "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        )),
    }
}

/// Scripts are always replicated by their effects, so there is nothing to switch.
fn replicate_commands(lua: &mut Lua<'_>) -> Results {
    lua.push_boolean(true)?;
    Ok(1)
}

/// There is no debugger, and so nothing stops.
fn breakpoint(lua: &mut Lua<'_>) -> Results {
    lua.push_boolean(false)?;
    Ok(1)
}

/// There is no debugger, and so nobody to show this to.
#[expect(clippy::unnecessary_wraps, reason = "the shape of native functions")]
fn debug(_lua: &mut Lua<'_>) -> Results {
    Ok(0)
}

fn sha1hex(lua: &mut Lua<'_>) -> Results {
    if lua.top() != 1 {
        return Err(error_table(lua, "wrong number of arguments"));
    }
    let digest = hex(&sha1_of(lua.text(1).unwrap_or_default()));
    lua.push_bytes(&digest)?;
    Ok(1)
}

/// Asks whether the user may run a command; the reply is `:1`, `:0` or an error.
fn acl_check_cmd(lua: &mut Lua<'_>) -> Results {
    let words = match words(lua) {
        Ok(words) => words,
        Err(text) => return Err(error_table(lua, text)),
    };
    let context = lua.context();
    if !context.suspend(Step::CheckAcl { words }) {
        return Err(killed(lua));
    }
    let reply = context.reply.take();
    match reply.first() {
        Some(b'-') => {
            push_error_table(lua, &reply)?;
            Err(Raise::Top)
        }
        _ => {
            lua.push_boolean(reply.starts_with(b":1") || reply.starts_with(b"#t"))?;
            Ok(1)
        }
    }
}

/// The SHA-1 of `bytes`.
pub(crate) fn sha1_of(bytes: &[u8]) -> [u8; 20] {
    Sha1::digest(bytes).into()
}

/// 40 letters for 20 bytes.
pub(crate) fn hex(digest: &[u8; 20]) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 40];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}
