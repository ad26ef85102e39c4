//! Statements, as their words say them: no name is looked up yet, no value converted.

use crate::schema::{IndexKind, RowId};

/// Bytes of a name or of a value.
pub type Word = Box<[u8]>;

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A condition. Its value for a row is true, false or unknown, as in SQL: what touches a missing cell is
/// unknown, and only rows for which the whole is true are taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A column beside a value. The column `_id` is the row's id.
    Compare {
        /// The column.
        column: Word,
        /// How.
        comparison: Comparison,
        /// The value.
        value: Word,
    },
    /// `BETWEEN low AND high`, both ends included.
    Between {
        /// The column.
        column: Word,
        /// The lowest value.
        low: Word,
        /// The highest value.
        high: Word,
        /// `NOT BETWEEN`.
        negated: bool,
    },
    /// `IN (...)`.
    In {
        /// The column.
        column: Word,
        /// The values.
        values: Vec<Word>,
        /// `NOT IN`.
        negated: bool,
    },
    /// `LIKE pattern`: `%` for any bytes, `_` for one character, `\` takes the meaning away.
    Like {
        /// The column.
        column: Word,
        /// The pattern.
        pattern: Word,
        /// `NOT LIKE`.
        negated: bool,
    },
    /// `IS NULL`.
    IsNull {
        /// The column.
        column: Word,
        /// `IS NOT NULL`.
        negated: bool,
    },
    /// Both.
    And(Box<Self>, Box<Self>),
    /// One of them.
    Or(Box<Self>, Box<Self>),
    /// The opposite.
    Not(Box<Self>),
}

/// What an aggregate computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// Rows, or present cells of a column.
    Count,
    /// The sum.
    Sum,
    /// The mean.
    Average,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
}

/// Something that a SELECT or a RETURNING gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A column, or `_id`.
    Column(Word),
    /// An aggregate of a column; of rows without one (`COUNT(*)`).
    Aggregate(Aggregate, Option<Word>),
}

/// One word of ORDER BY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// By what.
    pub item: Item,
    /// From the largest to the smallest. Missing cells are smaller than all others.
    pub descending: bool,
}

/// `TABLE.SELECT`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select {
    /// WHERE.
    pub condition: Option<Condition>,
    /// COLUMNS; empty for all columns that a row has, in the order in which the row got them.
    pub items: Vec<Item>,
    /// GROUP BY.
    pub group_by: Vec<Word>,
    /// ORDER BY; rows of equal values, and all without it, are ordered by id.
    pub order_by: Vec<OrderBy>,
    /// LIMIT.
    pub limit: Option<u64>,
    /// OFFSET.
    pub offset: u64,
    /// AFTER: only rows with a larger id.
    pub after: Option<RowId>,
}

/// A new value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewValue {
    /// This text, or arithmetic such as `c+1` where the column is a number and the text is none.
    Text(Word),
    /// None any more.
    Null,
}

/// `column=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The column.
    pub column: Word,
    /// The value.
    pub value: NewValue,
}

/// What an INSERT does when a unique index has the value already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// The statement fails.
    Fail,
    /// That row is left out.
    Nothing {
        /// The column of the unique index.
        column: Word,
    },
    /// The row that is there gets the assignments.
    Update {
        /// The column of the unique index.
        column: Word,
        /// SET; empty: all columns of the row that was to be inserted.
        assignments: Vec<Assignment>,
    },
}

/// When rows end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowExpiry {
    /// Milliseconds from now.
    In(u64),
    /// Milliseconds since 1970.
    At(u64),
    /// Never (any more).
    Never,
}

/// `TABLE.INSERT`.
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    /// The rows, each with its assignments.
    pub rows: Vec<Vec<Assignment>>,
    /// ON CONFLICT.
    pub on_conflict: OnConflict,
    /// EX, PX, EXAT, PXAT.
    pub expiry: Option<RowExpiry>,
    /// RETURNING; empty: the ids.
    pub returning: Vec<Item>,
}

/// `TABLE.UPDATE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// WHERE.
    pub condition: Option<Condition>,
    /// SET and UNSET.
    pub assignments: Vec<Assignment>,
    /// A new end of the rows.
    pub expiry: Option<RowExpiry>,
    /// RETURNING; empty: the number of rows.
    pub returning: Vec<Item>,
}

/// `TABLE.DELETE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// WHERE.
    pub condition: Option<Condition>,
    /// RETURNING; empty: the number of rows.
    pub returning: Vec<Item>,
}

/// One column of a `TABLE.SCHEMA.CREATE` or an `ADD COLUMN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: Word,
    /// The word of its type.
    pub kind: Word,
    /// Its index, if it has one.
    pub index: Option<IndexKind>,
    /// `UNIQUE`.
    pub unique: bool,
    /// `PRIMARY KEY`.
    pub primary: bool,
    /// `NOT NULL`.
    pub not_null: bool,
    /// `DEFAULT value`.
    pub default: Option<Word>,
}

/// One index over several columns, or a further one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDefinition {
    /// Its columns.
    pub columns: Vec<Word>,
    /// What it can answer.
    pub kind: IndexKind,
    /// `UNIQUE`.
    pub unique: bool,
}

/// `TABLE.SCHEMA.CREATE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Create {
    /// The columns.
    pub columns: Vec<ColumnDefinition>,
    /// Indexes over several columns.
    pub indexes: Vec<IndexDefinition>,
}

/// `TABLE.SCHEMA.ALTER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alter {
    /// `ADD COLUMN`.
    AddColumn(ColumnDefinition),
    /// `DROP COLUMN`.
    DropColumn(Word),
    /// `RENAME COLUMN old new`.
    RenameColumn {
        /// The name it has.
        from: Word,
        /// The name it gets.
        to: Word,
    },
    /// `RENAME TO namespace.table`.
    RenameTable(Word),
    /// `ADD INDEX`.
    AddIndex(IndexDefinition),
    /// `DROP INDEX`: that of exactly these columns.
    DropIndex(Vec<Word>),
}
