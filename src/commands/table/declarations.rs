//! What the TABLE commands declare.
//!
//! Their names are in upper case, as the module `RedisTABLE` registers them: clients see them so in errors
//! and in COMMAND.

use crate::spec::{Argument, Arity, Category, Declaration, Docs, Flags, KeySpec};

/// The group of the documentation.
pub(crate) const GROUP: &str = "module";

const READ: &[KeySpec] = &[KeySpec::at(1, &["RO", "access"])];
const CHANGE: &[KeySpec] = &[KeySpec::at(1, &["RW", "access", "update"])];
const INSERTION: &[KeySpec] = &[KeySpec::at(1, &["RW", "insert"])];
const REMOVAL: &[KeySpec] = &[KeySpec::at(1, &["RW", "delete"])];

const READ_SECOND: &[KeySpec] = &[KeySpec::at(2, &["RO", "access"])];

const TABLES: &[Category] = &[Category::Table];

const GROWS: Flags = Flags::WRITE.and(Flags::DENY_OOM);

const TABLE: Argument = Argument::key("table", 0);
const NAMESPACE: Argument = Argument::key("namespace", 0);
const CONDITION: Argument = Argument::text("condition")
    .with_token("WHERE")
    .optional()
    .multiple();
const CLAUSE: Argument = Argument::text("clause").optional().multiple();

const fn declare(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    keys: &'static [KeySpec],
) -> Declaration {
    Declaration::new(name, arity, flags)
        .keys(keys)
        .categories(TABLES)
}

const fn docs(
    summary: &'static str,
    complexity: &'static str,
    arguments: &'static [Argument],
) -> Docs {
    Docs::new(GROUP, "1.0.0", summary, complexity).arguments(arguments)
}

pub(crate) const NAMESPACE_CREATE: Declaration = declare(
    "TABLE.NAMESPACE.CREATE",
    Arity::Exactly(2),
    GROWS,
    INSERTION,
)
.docs(docs(
    "Makes a namespace.",
    "O(S), S being the number of shards.",
    &[NAMESPACE],
));

pub(crate) const NAMESPACE_VIEW: Declaration = declare(
    "TABLE.NAMESPACE.VIEW",
    Arity::AtLeast(1),
    Flags::READONLY,
    &[],
)
.docs(docs(
    "Lists the tables of all namespaces or of one.",
    "O(T), T being the number of tables.",
    &[Argument::text("namespace").optional()],
));

pub(crate) const NAMESPACE_DROP: Declaration = declare("TABLE.NAMESPACE.DROP", Arity::AtLeast(2), Flags::WRITE, REMOVAL).docs(docs(
    "Removes a namespace with its tables.",
    "O(S*T), S being the number of shards and T that of its tables; their memory is freed in steps.",
    &[NAMESPACE, Argument::token("force", "FORCE")],
));

pub(crate) const SCHEMA_CREATE: Declaration =
    declare("TABLE.SCHEMA.CREATE", Arity::AtLeast(3), GROWS, INSERTION).docs(docs(
        "Makes a table.",
        "O(S*C), S being the number of shards and C that of columns.",
        &[TABLE, Argument::text("column").multiple()],
    ));

pub(crate) const SCHEMA_VIEW: Declaration = declare(
    "TABLE.SCHEMA.VIEW",
    Arity::Exactly(2),
    Flags::READONLY,
    READ,
)
.docs(docs(
    "Shows the columns of a table.",
    "O(C), C being the number of columns.",
    &[TABLE],
));

pub(crate) const SCHEMA_ALTER: Declaration =
    declare("TABLE.SCHEMA.ALTER", Arity::AtLeast(4), GROWS, CHANGE).docs(docs(
        "Changes the columns, the indexes or the name of a table.",
        "O(S), S being the number of shards; an index is built from N rows in steps.",
        &[TABLE, Argument::text("change").multiple()],
    ));

pub(crate) const SCHEMA_DROP: Declaration = declare(
    "TABLE.SCHEMA.DROP",
    Arity::AtLeast(2),
    Flags::WRITE,
    REMOVAL,
)
.docs(docs(
    "Removes a table with its rows.",
    "O(S), S being the number of shards; memory is freed in steps.",
    &[TABLE, Argument::token("force", "FORCE")],
));

pub(crate) const INSERT: Declaration = declare("TABLE.INSERT", Arity::AtLeast(3), GROWS, INSERTION).docs(docs(
    "Adds rows to a table.",
    "O(R*(C+I*log(N))), R being the number of new rows, C that of their columns, I that of indexes and N that of rows.",
    &[TABLE, Argument::text("assignment").multiple(), CLAUSE],
));

pub(crate) const SELECT: Declaration = declare(
    "TABLE.SELECT",
    Arity::AtLeast(2),
    Flags::READONLY,
    READ,
)
.docs(docs(
    "Returns rows of a table.",
    "O(M) by an index, M being the number of matching rows, O(N) without one, N being that of all.",
    &[TABLE, CONDITION, CLAUSE],
));

pub(crate) const COUNT: Declaration =
    declare("TABLE.COUNT", Arity::AtLeast(2), Flags::READONLY, READ).docs(docs(
        "Counts rows of a table.",
        "O(S) without a condition, S being the number of shards; otherwise as TABLE.SELECT.",
        &[TABLE, CONDITION],
    ));

pub(crate) const GET: Declaration = declare("TABLE.GET", Arity::AtLeast(3), Flags::READONLY, READ)
    .docs(docs(
        "Returns the row of an id.",
        "O(C), C being the number of columns.",
        &[TABLE, Argument::integer("id"), CLAUSE],
    ));

pub(crate) const UPDATE: Declaration = declare("TABLE.UPDATE", Arity::AtLeast(4), GROWS, CHANGE)
    .docs(docs(
        "Changes rows of a table.",
        "As TABLE.SELECT, and O(M*I*log(N)) for M changed rows and I indexes.",
        &[
            TABLE,
            CONDITION,
            Argument::text("assignment").with_token("SET").multiple(),
            CLAUSE,
        ],
    ));

pub(crate) const DELETE: Declaration =
    declare("TABLE.DELETE", Arity::AtLeast(2), Flags::WRITE, REMOVAL).docs(docs(
        "Removes rows of a table.",
        "As TABLE.SELECT, and O(M*I*log(N)) for M removed rows and I indexes.",
        &[TABLE, CONDITION, CLAUSE],
    ));

pub(crate) const TRUNCATE: Declaration =
    declare("TABLE.TRUNCATE", Arity::Exactly(2), Flags::WRITE, REMOVAL).docs(docs(
        "Removes all rows of a table.",
        "O(S), S being the number of shards; memory is freed in steps.",
        &[TABLE],
    ));

pub(crate) const DROP: Declaration =
    declare("TABLE.DROP", Arity::AtLeast(2), Flags::WRITE, REMOVAL).docs(docs(
        "Removes a table with its rows.",
        "O(S), S being the number of shards; memory is freed in steps.",
        &[TABLE, Argument::token("force", "FORCE")],
    ));

pub(crate) const INFO: Declaration =
    declare("TABLE.INFO", Arity::Exactly(2), Flags::READONLY, READ).docs(docs(
        "Tells how many rows a table has, what they take and what its indexes hold.",
        "O(S*I), S being the number of shards and I that of indexes.",
        &[TABLE],
    ));

pub(crate) const EXPLAIN: Declaration = declare(
    "TABLE.EXPLAIN",
    Arity::AtLeast(3),
    Flags::READONLY,
    READ_SECOND,
)
.docs(docs(
    "Tells how a statement would find its rows.",
    "O(1).",
    &[
        Argument::text("verb"),
        TABLE,
        Argument::text("word").optional().multiple(),
    ],
));

pub(crate) const PROFILE: Declaration = declare(
    "TABLE.PROFILE",
    Arity::AtLeast(3),
    Flags::READONLY,
    READ_SECOND,
)
.docs(docs(
    "Runs a SELECT or COUNT and tells what it cost on each shard.",
    "As the statement.",
    &[
        Argument::text("verb"),
        TABLE,
        Argument::text("word").optional().multiple(),
    ],
));

pub(crate) const HELP: Declaration = declare("TABLE.HELP", Arity::AtLeast(1), Flags::READONLY, &[])
    .docs(docs(
        "Shows the grammar of all table commands.",
        "O(1).",
        &[Argument::text("word").optional().multiple()],
    ));
