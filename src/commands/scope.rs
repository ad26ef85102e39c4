//! What the commands about tables work on.

/// What a table command works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What tables there are, which all shards know.
    Catalog,
    /// How a table looks, which all shards know.
    Definition,
    /// The same, to change it.
    Change(TableChange),
    /// The rows of a table.
    Rows(RowStatement),
}

/// What a table command changes on all shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableChange {
    /// `TABLE.NAMESPACE.CREATE`.
    CreateNamespace,
    /// `TABLE.NAMESPACE.DROP`.
    DropNamespace,
    /// `TABLE.SCHEMA.CREATE`.
    Create,
    /// `TABLE.SCHEMA.ALTER`.
    Alter,
    /// `TABLE.DROP`.
    Drop,
    /// `TABLE.TRUNCATE`.
    Truncate,
}

/// What a table command does with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the commands")]
pub enum RowStatement {
    Insert,
    /// The same for one row of a spread table, whose id is word 2.
    InsertRow,
    Select,
    Count,
    Get,
    Update,
    Delete,
    Info,
    Explain,
    Profile,
}
