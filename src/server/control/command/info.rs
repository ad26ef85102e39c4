//! What `COMMAND INFO` says of one command: ten facts, subcommands among them.

use commands::spec::{BeginSearch, Category, FindKeys, KeySpec};
use protocol::reply::Reply;

use super::fields::{write_integer, write_simple_set, write_text};
use super::named::Named;

/// Writes the ten facts of one command.
pub(super) fn write_info(command: Named, reply: &mut Reply<'_>) {
    let declaration = command.declaration;
    reply.array(10);
    reply.bulk_text(&command.full_name());
    reply.integer(declaration.arity.wire());
    let flags: Vec<&str> = declaration.flags.names().collect();
    write_simple_set(&flags, reply);
    let KeyRange { first, last, step } = KeyRange::of(declaration.keys);
    reply.integer(first);
    reply.integer(last);
    reply.integer(step);
    let categories = || {
        Category::ALL
            .into_iter()
            .filter(|&category| declaration.is_in(category))
    };
    reply.set(categories().count());
    for category in categories() {
        reply.simple(&format!("@{}", category.name()));
    }
    reply.set(declaration.tips.len());
    for tip in declaration.tips {
        reply.bulk_text(tip);
    }
    reply.set(declaration.keys.len());
    for spec in declaration.keys {
        write_key_spec(spec, reply);
    }
    if declaration.subcommands.is_empty() {
        // Redis sends an empty set here, though it sends subcommands as an array.
        reply.set(0);
        return;
    }
    reply.array(declaration.subcommands.len());
    for subcommand in command.subcommands() {
        write_info(subcommand, reply);
    }
}

/// The keys of a command as old clients are told them: the positions of the first and of the last
/// (negative counts from the end), and the distance between two. All zero if there are none, or
/// none that can be told in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct KeyRange {
    first: i64,
    last: i64,
    step: i64,
}

impl KeyRange {
    /// Joins the specifications at fixed positions as long as each begins right after the one
    /// before it.
    fn of(specs: &[KeySpec]) -> Self {
        let mut joined = Self::default();
        for spec in specs {
            let (BeginSearch::Index(index), FindKeys::Range { last, step, .. }) =
                (spec.begin, spec.find)
            else {
                continue;
            };
            let first = i64::from(index);
            let last = i64::from(last) + if last >= 0 { first } else { 0 };
            let step = i64::from(step);
            if joined == Self::default() {
                joined = Self { first, last, step };
            } else if first == joined.last + 1 && joined.last > 0 && (joined.step, step) == (1, 1) {
                joined.last = last;
            } else {
                break;
            }
        }
        joined
    }
}

fn write_key_spec(spec: &KeySpec, reply: &mut Reply<'_>) {
    reply.map(if spec.notes.is_empty() { 3 } else { 4 });
    if !spec.notes.is_empty() {
        write_text("notes", spec.notes, reply);
    }
    reply.bulk_text("flags");
    write_simple_set(spec.flags, reply);
    reply.bulk_text("begin_search");
    reply.map(2);
    match spec.begin {
        BeginSearch::Index(index) => {
            write_method("index", 1, reply);
            write_integer("index", i64::from(index), reply);
        }
        BeginSearch::Keyword(keyword, from) => {
            write_method("keyword", 2, reply);
            write_text("keyword", keyword, reply);
            write_integer("startfrom", i64::from(from), reply);
        }
        BeginSearch::Unknown => write_method("unknown", 0, reply),
    }
    reply.bulk_text("find_keys");
    reply.map(2);
    match spec.find {
        FindKeys::Range { last, step, limit } => {
            write_method("range", 3, reply);
            write_integer("lastkey", i64::from(last), reply);
            write_integer("keystep", i64::from(step), reply);
            write_integer("limit", i64::from(limit), reply);
        }
        FindKeys::KeyNum { at, first, step } => {
            write_method("keynum", 3, reply);
            write_integer("keynumidx", i64::from(at), reply);
            write_integer("firstkey", i64::from(first), reply);
            write_integer("keystep", i64::from(step), reply);
        }
        FindKeys::Unknown | FindKeys::Search(_) => write_method("unknown", 0, reply),
    }
}

/// Writes the name of a way to search and the head of the map of its `len` parameters.
fn write_method(name: &str, len: usize, reply: &mut Reply<'_>) {
    write_text("type", name, reply);
    reply.bulk_text("spec");
    reply.map(len);
}
