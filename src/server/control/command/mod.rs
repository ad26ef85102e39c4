//! The replies of `COMMAND`: everything the server says about its own commands.
//!
//! All of it is made from declarations. The functions get the table of every declaration, control
//! and data plane together; what is in the table is what the server can do.
//!
//! In reading order: `named` looks commands up, `info` and `docs` write what is said of one,
//! `request_keys` finds the keys of a request, `fields` holds the pieces that replies share.
//!
//! Invariants
//! - Words of clients are looked up in any case of letters; `container|subcommand` names a
//!   subcommand where a single name is asked for.
//! - A function that returns an error has written nothing.
//!
//! Source: shapes, field names and error texts as observed on Redis 7.0.15 in RESP2 and RESP3.
//!
//! Not here: how keys are found (`commands::keys`), and the check of a request before it runs.

mod docs;
mod fields;
mod info;
mod named;
mod request_keys;

use base::cast::i64_from;
use base::glob;
use commands::error::CommandError;
use commands::spec::{Category, Declaration};
use protocol::args::Args;
use protocol::reply::Reply;

use self::docs::{push_form, write_docs};
use self::fields::write_simple_set;
use self::info::write_info;
use self::named::{Named, Table};
use self::request_keys::find_keys;

/// Writes the reply of `COMMAND` without further words: the facts of every command.
pub(crate) fn all(table: Table<'_>, reply: &mut Reply<'_>) {
    reply.array(table.len());
    for declaration in table {
        write_info(Named::top(declaration), reply);
    }
}

/// Writes the reply of `COMMAND COUNT`. Subcommands do not count.
pub(crate) fn count(table: Table<'_>, reply: &mut Reply<'_>) {
    reply.integer(i64_from(table.len()));
}

/// Writes the reply of `COMMAND INFO [name ...]`, null for a name that is not known. `args` is the
/// whole request.
pub(crate) fn info(table: Table<'_>, args: Args<'_>, reply: &mut Reply<'_>) {
    let names = args.from(2);
    if names.is_empty() {
        return all(table, reply);
    }
    reply.array(names.len());
    for name in names.iter() {
        match Named::find(table, name) {
            Some(command) => write_info(command, reply),
            None => reply.null(),
        }
    }
}

/// Writes the reply of `COMMAND DOCS [name ...]`, without the names that are not known. `args` is
/// the whole request.
pub(crate) fn docs(table: Table<'_>, args: Args<'_>, reply: &mut Reply<'_>) {
    let names = args.from(2);
    let found: Vec<Named> = if names.is_empty() {
        table
            .iter()
            .map(|declaration| Named::top(declaration))
            .collect()
    } else {
        names
            .iter()
            .filter_map(|name| Named::find(table, name))
            .collect()
    };
    write_docs(&found, reply);
}

/// Writes the reply of `COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]`.
/// `args` is the whole request. Subcommands are listed and filtered by themselves.
///
/// # Errors
///
/// [`CommandError::Syntax`] if the words after `LIST` are not such a filter.
pub(crate) fn list(
    table: Table<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let filter = Filter::read(args.from(2))?;
    let mut names = Vec::new();
    for declaration in table {
        let command = Named::top(declaration);
        for command in std::iter::once(command).chain(command.subcommands()) {
            let name = command.full_name();
            if filter.lets_through(command.declaration, &name) {
                names.push(name);
            }
        }
    }
    reply.array(names.len());
    for name in names {
        reply.bulk_text(&name);
    }
    Ok(())
}

/// Writes the reply of `COMMAND GETKEYS word ...`. `args` is the whole request.
///
/// # Errors
///
/// A text that says why the words have no keys, see [`find_keys`].
pub(crate) fn keys(
    table: Table<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let request = args.from(2);
    let found = find_keys(table, request)?;
    reply.array(found.len());
    for (position, _) in found {
        reply.bulk(request.word(position));
    }
    Ok(())
}

/// Writes the reply of `COMMAND GETKEYSANDFLAGS word ...`. `args` is the whole request.
///
/// # Errors
///
/// A text that says why the words have no keys, see [`find_keys`].
pub(crate) fn keys_and_flags(
    table: Table<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let request = args.from(2);
    let found = find_keys(table, request)?;
    reply.array(found.len());
    for (position, usage) in found {
        reply.array(2);
        reply.bulk(request.word(position));
        write_simple_set(usage, reply);
    }
    Ok(())
}

/// Writes the reply of `HELP` of a container (`COMMAND HELP`, `CLIENT HELP`): the form of each
/// subcommand and, indented on a line of its own, what it does.
pub(crate) fn help(container: &Declaration, reply: &mut Reply<'_>) {
    reply.array(1 + 2 * container.subcommands.len());
    let name = container.name.to_ascii_uppercase();
    reply.simple(&format!("{name} is followed by one of these subcommands:"));
    for subcommand in container.subcommands {
        let mut form = subcommand.name.to_ascii_uppercase();
        for argument in subcommand.docs.arguments {
            form.push(' ');
            push_form(argument, &mut form);
        }
        reply.simple(&form);
        reply.simple(&format!("    {}", subcommand.docs.summary));
    }
}

/// What `COMMAND LIST` leaves out.
enum Filter<'a> {
    Nothing,
    Everything,
    Outside(Category),
    Unlike(&'a [u8]),
}

impl<'a> Filter<'a> {
    /// Reads the words after `LIST`.
    fn read(words: Args<'a>) -> Result<Self, CommandError> {
        let (by, kind, value) = match (words.len(), words.get(0), words.get(1), words.get(2)) {
            (0, ..) => return Ok(Self::Nothing),
            (3, Some(by), Some(kind), Some(value)) => (by, kind, value),
            _ => return Err(CommandError::Syntax),
        };
        if !by.eq_ignore_ascii_case(b"FILTERBY") {
            return Err(CommandError::Syntax);
        }
        if kind.eq_ignore_ascii_case(b"MODULE") {
            let is_ours = value.eq_ignore_ascii_case(b"table");
            Ok(if is_ours {
                Self::Outside(Category::Table)
            } else {
                Self::Everything
            })
        } else if kind.eq_ignore_ascii_case(b"ACLCAT") {
            let is_meant =
                |category: &Category| value.eq_ignore_ascii_case(category.name().as_bytes());
            let category = Category::ALL.into_iter().find(is_meant);
            Ok(category.map_or(Self::Everything, Self::Outside))
        } else if kind.eq_ignore_ascii_case(b"PATTERN") {
            Ok(Self::Unlike(value))
        } else {
            Err(CommandError::Syntax)
        }
    }

    fn lets_through(&self, declaration: &Declaration, full_name: &str) -> bool {
        match self {
            Self::Nothing => true,
            Self::Everything => false,
            Self::Outside(category) => declaration.is_in(*category),
            Self::Unlike(pattern) => glob::matches(pattern, full_name.as_bytes(), true),
        }
    }
}

#[cfg(test)]
mod tests;
