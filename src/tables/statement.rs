//! Statements, as their words say them: no name is looked up yet, no value converted.
//!
//! A statement borrows the words of its request and lives as long as it takes to make a plan of it.
//!
//! Not here: how words become statements (`parser`), what a name means in a table (`plan`, `catalog`).

use crate::schema::{IndexKind, RowId};

/// Bytes of a name or of a value, as they stand in the request.
pub type Word<'a> = &'a [u8];

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
pub enum Condition<'a> {
    /// A column beside a value. The column `_id` is the row's id.
    Compare {
        /// The column.
        column: Word<'a>,
        /// How.
        comparison: Comparison,
        /// The value.
        value: Word<'a>,
    },
    /// `BETWEEN low AND high`, both ends included.
    Between {
        /// The column.
        column: Word<'a>,
        /// The lowest value.
        low: Word<'a>,
        /// The highest value.
        high: Word<'a>,
        /// `NOT BETWEEN`.
        negated: bool,
    },
    /// `IN (...)`.
    In {
        /// The column.
        column: Word<'a>,
        /// The values.
        values: Vec<Word<'a>>,
        /// `NOT IN`.
        negated: bool,
    },
    /// `LIKE pattern`: `%` for any bytes, `_` for one character, `\` takes the meaning away.
    Like {
        /// The column.
        column: Word<'a>,
        /// The pattern.
        pattern: Word<'a>,
        /// `NOT LIKE`.
        negated: bool,
    },
    /// `IS NULL`.
    IsNull {
        /// The column.
        column: Word<'a>,
        /// `IS NOT NULL`.
        negated: bool,
    },
    /// All of them: two or more.
    And(Vec<Self>),
    /// One of them, at least: two or more.
    Or(Vec<Self>),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A column, or `_id`.
    Column(Word<'a>),
    /// An aggregate of a column; of rows without one (`COUNT(*)`).
    Aggregate(Aggregate, Option<Word<'a>>),
}

/// One word of ORDER BY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBy<'a> {
    /// By what.
    pub item: Item<'a>,
    /// From the largest to the smallest. Missing cells are smaller than all others.
    pub descending: bool,
}

/// `TABLE.SELECT`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select<'a> {
    /// WHERE.
    pub condition: Option<Condition<'a>>,
    /// COLUMNS, in the order of the reply; empty for all columns that a row has, in the order in which
    /// the row got them.
    pub items: Vec<Item<'a>>,
    /// GROUP BY.
    pub group_by: Vec<Word<'a>>,
    /// ORDER BY; rows of equal values, and all without it, are ordered by id.
    pub order_by: Vec<OrderBy<'a>>,
    /// LIMIT.
    pub limit: Option<u64>,
    /// OFFSET.
    pub offset: u64,
    /// AFTER: only rows with a larger id.
    pub after: Option<RowId>,
}

/// `TABLE.COUNT`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Count<'a> {
    /// WHERE.
    pub condition: Option<Condition<'a>>,
}

/// `TABLE.GET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Get<'a> {
    /// The row.
    pub id: RowId,
    /// COLUMNS; empty for all columns that the row has.
    pub items: Vec<Item<'a>>,
}

/// A new value of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewValue<'a> {
    /// This text, or arithmetic such as `c+1` where the column is a number and the text is none
    /// (`arithmetic`).
    Text(Word<'a>),
    /// None any more.
    Null,
}

/// `column=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The column.
    pub column: Word<'a>,
    /// The value.
    pub value: NewValue<'a>,
}

/// What an INSERT does when a unique index has the value already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnConflict<'a> {
    /// The statement fails.
    Fail,
    /// That row is left out.
    Nothing {
        /// The columns of the unique index, written as in [`IndexDefinition::columns`].
        column: Word<'a>,
    },
    /// The row that is there gets the assignments.
    Update {
        /// The columns of the unique index, written as in [`IndexDefinition::columns`].
        column: Word<'a>,
        /// SET; empty: all columns of the row that was to be inserted.
        assignments: Vec<Assignment<'a>>,
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
pub struct Insert<'a> {
    /// The rows, one or more, each with its assignments, one or more; of several for one column the last
    /// one counts.
    pub rows: Vec<Vec<Assignment<'a>>>,
    /// ON CONFLICT.
    pub on_conflict: OnConflict<'a>,
    /// EX, PX, EXAT, PXAT.
    pub expiry: Option<RowExpiry>,
    /// RETURNING: none for the ids, an empty list (`RETURNING *`) for all columns that a row has.
    pub returning: Option<Vec<Item<'a>>>,
}

/// `TABLE.UPDATE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Update<'a> {
    /// WHERE.
    pub condition: Option<Condition<'a>>,
    /// SET and UNSET; of several for one column the last one counts.
    pub assignments: Vec<Assignment<'a>>,
    /// A new end of the rows.
    pub expiry: Option<RowExpiry>,
    /// RETURNING: none for the number of rows, an empty list (`RETURNING *`) for all columns that a row
    /// has.
    pub returning: Option<Vec<Item<'a>>>,
}

/// `TABLE.DELETE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete<'a> {
    /// WHERE.
    pub condition: Option<Condition<'a>>,
    /// RETURNING: none for the number of rows, an empty list (`RETURNING *`) for all columns that a row
    /// has.
    pub returning: Option<Vec<Item<'a>>>,
}

/// One column of a `TABLE.SCHEMA.CREATE` or an `ADD COLUMN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDefinition<'a> {
    /// Its name.
    pub name: Word<'a>,
    /// The word of its type.
    pub kind: Word<'a>,
    /// Its index, if it has one.
    pub index: Option<IndexKind>,
    /// `UNIQUE`.
    pub unique: bool,
    /// `PRIMARY KEY`.
    pub primary: bool,
    /// `NOT NULL`.
    pub not_null: bool,
    /// `DEFAULT value`.
    pub default: Option<Word<'a>>,
}

/// One index over several columns, or a further one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexDefinition<'a> {
    /// Its columns as written: one name, or several with commas between them.
    pub columns: Word<'a>,
    /// What it can answer; hash for one column and btree for several where nothing is said.
    pub kind: Option<IndexKind>,
    /// `UNIQUE`.
    pub unique: bool,
}

/// `TABLE.SCHEMA.CREATE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Create<'a> {
    /// The columns.
    pub columns: Vec<ColumnDefinition<'a>>,
    /// Indexes over several columns.
    pub indexes: Vec<IndexDefinition<'a>>,
}

/// A statement about the rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement<'a> {
    /// `TABLE.SELECT`.
    Select(Select<'a>),
    /// `TABLE.COUNT`.
    Count(Count<'a>),
    /// `TABLE.GET`.
    Get(Get<'a>),
    /// `TABLE.INSERT`.
    Insert(Insert<'a>),
    /// `TABLE.UPDATE`.
    Update(Update<'a>),
    /// `TABLE.DELETE`.
    Delete(Delete<'a>),
}

/// `TABLE.SCHEMA.ALTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alter<'a> {
    /// `ADD COLUMN`.
    AddColumn(ColumnDefinition<'a>),
    /// `DROP COLUMN`.
    DropColumn(Word<'a>),
    /// `RENAME COLUMN old new`.
    RenameColumn {
        /// The name it has.
        from: Word<'a>,
        /// The name it gets.
        to: Word<'a>,
    },
    /// `RENAME TO namespace.table`.
    RenameTable(Word<'a>),
    /// `ADD INDEX`.
    AddIndex(IndexDefinition<'a>),
    /// `DROP INDEX`: those of exactly these columns, written as in [`IndexDefinition::columns`].
    DropIndex(Word<'a>),
}
