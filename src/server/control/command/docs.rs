//! What `COMMAND DOCS` says of commands: a map by full name, each with a map of fields.
//!
//! A field that has nothing to say is left out. The arguments can also be had in the form in which
//! people write them.

use commands::spec::{Argument, ArgumentKind, Docs, Flags};
use protocol::reply::Reply;

use super::fields::{write_integer, write_simple_set, write_text};
use super::named::Named;

/// Writes the documentation of commands, a map by full name.
pub(super) fn write_docs(commands: &[Named], reply: &mut Reply<'_>) {
    reply.map(commands.len());
    for command in commands {
        reply.bulk_text(&command.full_name());
        write_docs_of(*command, reply);
    }
}

fn write_docs_of(command: Named, reply: &mut Reply<'_>) {
    let declaration = command.declaration;
    let Docs {
        summary,
        since,
        group,
        complexity,
        history,
        deprecated,
        arguments,
    } = declaration.docs;
    let doc_flags: Vec<&str> = [
        deprecated.map(|_| "deprecated"),
        declaration.flags.has(Flags::SYSTEM).then_some("syscmd"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let fields = 3
        + usize::from(!complexity.is_empty())
        + usize::from(!doc_flags.is_empty())
        + if deprecated.is_some() { 2 } else { 0 }
        + usize::from(!history.is_empty())
        + usize::from(!arguments.is_empty())
        + usize::from(!declaration.subcommands.is_empty());
    reply.map(fields);
    write_text("summary", summary, reply);
    write_text("since", since, reply);
    write_text("group", group, reply);
    if !complexity.is_empty() {
        write_text("complexity", complexity, reply);
    }
    if !doc_flags.is_empty() {
        reply.bulk_text("doc_flags");
        write_simple_set(&doc_flags, reply);
    }
    if let Some((version, replacement)) = deprecated {
        write_text("deprecated_since", version, reply);
        write_text("replaced_by", replacement, reply);
    }
    if !history.is_empty() {
        reply.bulk_text("history");
        reply.set(history.len());
        for (version, change) in history {
            reply.array(2);
            reply.bulk_text(version);
            reply.bulk_text(change);
        }
    }
    if !arguments.is_empty() {
        write_arguments(arguments, reply);
    }
    if !declaration.subcommands.is_empty() {
        reply.bulk_text("subcommands");
        write_docs(&command.subcommands().collect::<Vec<_>>(), reply);
    }
}

/// Writes the field `arguments`. The depth is that of the declaration, two or three levels.
fn write_arguments(arguments: &[Argument], reply: &mut Reply<'_>) {
    reply.bulk_text("arguments");
    reply.array(arguments.len());
    for argument in arguments {
        write_argument(argument, reply);
    }
}

fn write_argument(argument: &Argument, reply: &mut Reply<'_>) {
    let (kind, key_spec, parts) = describe(argument.kind);
    let flags: Vec<&str> = [
        (argument.optional, "optional"),
        (argument.multiple, "multiple"),
        (argument.multiple_token, "multiple_token"),
    ]
    .into_iter()
    .filter_map(|(is_set, name)| is_set.then_some(name))
    .collect();
    let texts = [
        ("token", argument.token),
        ("since", argument.since),
        ("deprecated_since", argument.deprecated_since),
    ];
    let fields = 2
        + usize::from(key_spec.is_some())
        + texts.iter().filter(|(_, text)| text.is_some()).count()
        + usize::from(!flags.is_empty())
        + usize::from(!parts.is_empty());
    reply.map(fields);
    write_text("name", argument.name, reply);
    write_text("type", kind, reply);
    if let Some(index) = key_spec {
        write_integer("key_spec_index", i64::from(index), reply);
    }
    for (name, text) in texts {
        if let Some(text) = text {
            write_text(name, text, reply);
        }
    }
    if !flags.is_empty() {
        reply.bulk_text("flags");
        write_simple_set(&flags, reply);
    }
    if !parts.is_empty() {
        write_arguments(parts, reply);
    }
}

/// Returns the name of a kind of argument, the key specification it belongs to, and its parts.
const fn describe(kind: ArgumentKind) -> (&'static str, Option<u8>, &'static [Argument]) {
    match kind {
        ArgumentKind::Text => ("string", None, &[]),
        ArgumentKind::Integer => ("integer", None, &[]),
        ArgumentKind::Double => ("double", None, &[]),
        ArgumentKind::Key(spec) => ("key", Some(spec), &[]),
        ArgumentKind::Pattern => ("pattern", None, &[]),
        ArgumentKind::KeyPattern(spec) => ("pattern", Some(spec), &[]),
        ArgumentKind::UnixTime => ("unix-time", None, &[]),
        ArgumentKind::PureToken => ("pure-token", None, &[]),
        ArgumentKind::OneOf(parts) => ("oneof", None, parts),
        ArgumentKind::Block(parts) => ("block", None, parts),
    }
}

/// Appends an argument as people write it: `[COUNT count]`, `key [key ...]`, `<ON|OFF>`.
pub(super) fn push_form(argument: &Argument, form: &mut String) {
    if argument.optional {
        form.push('[');
    }
    let start = form.len();
    form.push_str(argument.token.unwrap_or_default());
    if !matches!(argument.kind, ArgumentKind::PureToken) {
        if argument.token.is_some() {
            form.push(' ');
        }
        push_content(argument, form);
    }
    if argument.multiple {
        let repeated = format!(" [{} ...]", &form[start..]);
        form.push_str(&repeated);
    }
    if argument.optional {
        form.push(']');
    }
}

/// Appends what stands behind the token of an argument: its parts, or its name if it has none.
fn push_content(argument: &Argument, form: &mut String) {
    let (_, _, parts) = describe(argument.kind);
    if parts.is_empty() {
        form.push_str(argument.name);
        return;
    }
    let is_choice = matches!(argument.kind, ArgumentKind::OneOf(_));
    // Without brackets around it, a choice would seem to reach to the words before and behind it.
    let is_bare = is_choice && (argument.token.is_some() || !argument.optional);
    if is_bare {
        form.push('<');
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            form.push(if is_choice { '|' } else { ' ' });
        }
        push_form(part, form);
    }
    if is_bare {
        form.push('>');
    }
}
