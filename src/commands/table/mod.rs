//! Commands about tables, on one shard.
//!
//! A table statement runs here in one piece if this shard has all the rows that it needs and it is short. What
//! is long, or needs other shards, is handed back without having done anything
//! ([`LongReply::Statement`](crate::long_reply::LongReply)); the coordinator then runs it as a program, of which
//! the parts for one shard stand here too.
//!
//! In reading order: `names` are names of tables as keys, `definitions` shows and changes schemas, `rows` runs
//! statements about rows, `parts` is what programs do on a shard, `answers` writes what
//! comes of statements, `declarations` what clients
//! are told.
//!
//! Not here: what statements mean (crate `tables`), which shards take part (`coordinator::tables`).

pub mod answers;
pub(crate) mod declarations;
mod definitions;
mod names;
pub mod parts;
mod rows;

use tables::catalog::Catalog;
use tables::error::TableError;
use tables::schema::{Layout, TableId};

use protocol::args::Args;

pub use self::names::{claimed_names, key_of, table_word, word_of_drawn};
pub use self::rows::run_whole;
use crate::scope::{RowStatement, Scope, TableChange};
use crate::spec::{CommandError, Context, Declaration, Plan, Run, ShardCommand, Spread};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    command(declarations::HELP, Scope::Catalog, definitions::help),
    command(
        declarations::NAMESPACE_VIEW,
        Scope::Catalog,
        definitions::view_namespaces,
    ),
    command(
        declarations::SCHEMA_VIEW,
        Scope::Definition,
        definitions::view_schema,
    ),
    change(declarations::NAMESPACE_CREATE, TableChange::CreateNamespace),
    change(declarations::NAMESPACE_DROP, TableChange::DropNamespace),
    change(declarations::SCHEMA_CREATE, TableChange::Create),
    change(declarations::SCHEMA_ALTER, TableChange::Alter),
    change(declarations::SCHEMA_DROP, TableChange::Drop),
    change(declarations::DROP, TableChange::Drop),
    change(declarations::TRUNCATE, TableChange::Truncate),
    rows(declarations::INSERT, RowStatement::Insert),
    rows(declarations::SELECT, RowStatement::Select),
    rows(declarations::COUNT, RowStatement::Count),
    rows(declarations::GET, RowStatement::Get),
    rows(declarations::UPDATE, RowStatement::Update),
    rows(declarations::DELETE, RowStatement::Delete),
    rows(declarations::INFO, RowStatement::Info),
    rows(declarations::EXPLAIN, RowStatement::Explain),
    rows(declarations::PROFILE, RowStatement::Profile),
];

/// `TABLE.INSERT table assignment ... drawn`: the request for the shard of a new row of a spread table, of which the last
/// word is [`word_of_drawn`]. Clients do not see it: see [`shown_args`].
pub static INSERT_ROW: ShardCommand = rows(declarations::INSERT, RowStatement::InsertRow);

/// Returns the words of a request as its client has sent them.
#[must_use]
pub fn shown_args<'w>(command: &ShardCommand, args: Args<'w>) -> Args<'w> {
    match command.spread {
        Spread::Plan(Plan::Table(Scope::Rows(RowStatement::InsertRow))) => {
            args.range(0, args.len() - 1)
        }
        _ => args,
    }
}

const fn command(declaration: Declaration, scope: Scope, run: Run) -> ShardCommand {
    ShardCommand::new(declaration, Spread::Plan(Plan::Table(scope)), run)
}

const fn change(declaration: Declaration, change: TableChange) -> ShardCommand {
    let run: Run = match change {
        TableChange::CreateNamespace => {
            |context, args| definitions::change(context, args, TableChange::CreateNamespace)
        }
        TableChange::DropNamespace => {
            |context, args| definitions::change(context, args, TableChange::DropNamespace)
        }
        TableChange::Create => {
            |context, args| definitions::change(context, args, TableChange::Create)
        }
        TableChange::Alter => {
            |context, args| definitions::change(context, args, TableChange::Alter)
        }
        TableChange::Drop => |context, args| definitions::change(context, args, TableChange::Drop),
        TableChange::Truncate => {
            |context, args| definitions::change(context, args, TableChange::Truncate)
        }
    };
    command(declaration, Scope::Change(change), run)
}

const fn rows(declaration: Declaration, statement: RowStatement) -> ShardCommand {
    let run: Run = match statement {
        RowStatement::Insert => |context, args| rows::run(context, args, RowStatement::Insert),
        RowStatement::InsertRow => {
            |context, args| rows::run(context, args, RowStatement::InsertRow)
        }
        RowStatement::Select => |context, args| rows::run(context, args, RowStatement::Select),
        RowStatement::Count => |context, args| rows::run(context, args, RowStatement::Count),
        RowStatement::Get => |context, args| rows::run(context, args, RowStatement::Get),
        RowStatement::Update => |context, args| rows::run(context, args, RowStatement::Update),
        RowStatement::Delete => |context, args| rows::run(context, args, RowStatement::Delete),
        RowStatement::Info => |context, args| rows::run(context, args, RowStatement::Info),
        RowStatement::Explain => |context, args| rows::run(context, args, RowStatement::Explain),
        RowStatement::Profile => |context, args| rows::run(context, args, RowStatement::Profile),
    };
    command(declaration, Scope::Rows(statement), run)
}

/// Which way a request takes where there are several shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way<'w> {
    /// To any shard.
    Anywhere,
    /// To the shard of this key.
    Home(&'w [u8]),
    /// To the shard of this row.
    OfRow(u64),
    /// To the shard of this new row of this table.
    NewRow(u64, TableId),
    /// To all shards, as a program.
    Everywhere,
}

/// Returns the way of a request, as far as `catalog` knows, which may be old. Draws the id of a new row.
#[must_use]
pub fn way<'w>(catalog: &Catalog, scope: Scope, args: Args<'w>) -> Way<'w> {
    let statement = match scope {
        Scope::Catalog | Scope::Definition => return Way::Anywhere,
        Scope::Change(_) => return Way::Everywhere,
        Scope::Rows(statement) => statement,
    };
    let name = args.word(table_word(scope));
    let Some(schema) = catalog.lookup(name) else {
        // The shard of the name knows best whether that is so.
        return Way::Home(key_of(name));
    };
    if schema.layout == Layout::Home {
        return Way::Home(key_of(name));
    }
    match statement {
        RowStatement::Get => {
            let id = args.get(2).and_then(base::number::parse_u64);
            id.map_or(Way::Everywhere, Way::OfRow)
        }
        RowStatement::Insert => match rows::draw_row(schema, args) {
            Some(row) => Way::NewRow(row, schema.id),
            None => Way::Everywhere,
        },
        RowStatement::Select
        | RowStatement::Count
        | RowStatement::Update
        | RowStatement::Delete => match parts::concerned_row(schema, statement, args) {
            Some(row) => Way::OfRow(row),
            None => Way::Everywhere,
        },
        RowStatement::InsertRow
        | RowStatement::Info
        | RowStatement::Explain
        | RowStatement::Profile => Way::Everywhere,
    }
}

/// Replies with what is wrong with a statement.
pub(crate) fn refuse(context: &mut Context<'_>, error: &TableError) -> Result<(), CommandError> {
    context.reply.error(&format!("ERR {error}"));
    Ok(())
}
