//! What can be wrong with a statement, and what clients are told.

use std::borrow::Cow;
use std::fmt;

/// Why a statement was refused. Nothing has changed then.
///
/// [`fmt::Display`] gives the text behind `ERR `; texts that the `RedisTABLE` module has too are its own,
/// byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableError {
    /// The namespace is there already.
    NamespaceExists,
    /// The namespace is not there.
    NamespaceMissing,
    /// The namespace still has tables.
    NamespaceInUse,
    /// A namespace of more than 64 bytes.
    NamespaceTooLong,
    /// A table part of more than 64 bytes.
    TableTooLong,
    /// The table is there already.
    TableExists,
    /// The table is not there.
    TableMissing,
    /// A definition of a column in `TABLE.SCHEMA.CREATE` without a colon or a name.
    ColumnFormat,
    /// The same in `TABLE.SCHEMA.ALTER`.
    AddColumnFormat,
    /// An unknown word for the kind of an index.
    IndexKind,
    /// An unknown word for the type of a column.
    ColumnKind,
    /// `ADD COLUMN` without exactly one definition.
    AddColumnWords,
    /// `ADD INDEX` without a column.
    AddIndexWords,
    /// `DROP INDEX` without a column.
    DropIndexWords,
    /// The column is not there.
    ColumnMissing,
    /// The column is there already.
    ColumnExists,
    /// `TABLE.SCHEMA.ALTER` with words it does not know.
    AlterSyntax,
    /// A field of an INSERT that is no assignment.
    FieldFormat,
    /// A column that does not exist or a value that is none of its type.
    ColumnOrType,
    /// A condition that is none.
    ConditionFormat,
    /// More rows looked at than `max_scan_limit` allows.
    ScanLimit,
    /// Two conditions without AND or OR between them.
    Connector,
    /// AND or OR at the end.
    DanglingOperator,
    /// UPDATE without SET.
    MissingSet,
    /// SET without an assignment.
    SetFormat,
    /// DROP without FORCE.
    ForceMissing,
    /// DROP with another word than FORCE.
    ForceUnknown,
    /// A value that a unique index has already; the names of the index's columns
    /// (`Schema::names_of`).
    NotUnique(Box<str>),
    /// No value for a column that must have one; its name ([`printable`]).
    NotNull(Box<str>),
    /// Arithmetic that leaves 64 bits, or is not a number.
    OutOfRange,
    /// Too few words; the name of the command.
    WrongWords(&'static str),
    /// Everything else, said in full.
    Other(Cow<'static, str>),
}

impl TableError {
    /// Returns an error with a text of its own.
    #[must_use]
    pub fn other(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Other(text.into())
    }
}

/// Returns a name as it may stand in an error: one line of text, whatever its bytes are.
#[must_use]
pub fn printable(name: &[u8]) -> Box<str> {
    String::from_utf8_lossy(name)
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NamespaceExists => "namespace already exists",
            Self::NamespaceMissing => "namespace does not exist",
            Self::NamespaceInUse => "namespace has tables, drop them first",
            Self::NamespaceTooLong => {
                "incorrect namespace name, it exceeds the limit of 64 characters"
            }
            Self::TableTooLong => "incorrect table name, it exceeds the limit of 64 characters",
            Self::TableExists => "table schema already exists",
            Self::TableMissing => "table schema does not exist",
            Self::ColumnFormat => "format: <col:type> or <col:type:index>",
            Self::AddColumnFormat => "format: col:type[:index]",
            Self::IndexKind => {
                "index must be 'hash', 'btree', 'none' (or deprecated 'true'/'false')"
            }
            Self::ColumnKind => {
                "type must be 'string', 'integer', 'float', 'date', 'bool' or 'timestamp'"
            }
            Self::AddColumnWords => "ADD COLUMN requires col:type[:index]",
            Self::AddIndexWords => "ADD INDEX requires column name",
            Self::DropIndexWords => "DROP INDEX requires column name",
            Self::ColumnMissing => "column does not exist",
            Self::ColumnExists => "column already exists",
            Self::AlterSyntax => {
                "syntax: ADD COLUMN col:type[:index] | ADD INDEX col | DROP INDEX col"
            }
            Self::FieldFormat => "each field must be <col>=<value>",
            Self::ColumnOrType => "invalid column or type",
            Self::ConditionFormat => "condition must be <col><op><value>",
            Self::ScanLimit => {
                "query scan limit exceeded (max 100000 rows). Use indexed columns or add more specific conditions."
            }
            Self::Connector => "expected AND/OR between conditions",
            Self::DanglingOperator => "dangling operator",
            Self::MissingSet => "missing SET",
            Self::SetFormat => "SET expects <col>=<value>",
            Self::ForceMissing => {
                "This operation is irreversible, use FORCE parameter to remove the table"
            }
            Self::ForceUnknown => "Invalid parameter. Use FORCE to confirm table removal",
            Self::NotUnique(columns) => {
                return write!(f, "a row with this value of {columns} exists already");
            }
            Self::NotNull(column) => return write!(f, "column {column} must have a value"),
            Self::WrongWords(command) => {
                return write!(f, "wrong number of arguments for '{command}' command");
            }
            Self::OutOfRange => "result is out of range",
            Self::Other(text) => text,
        };
        f.write_str(text)
    }
}

impl std::error::Error for TableError {}
