//! Random tables: columns, types, indexes.

use base::random::Random;

use crate::support::{one_in, pick};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Integer,
    /// Integers whose sums leave 64 bits.
    LargeInteger,
    Float,
    Date,
    Bool,
    Timestamp,
}

impl Kind {
    /// The word of the server.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer | Self::LargeInteger => "integer",
            Self::Float => "float",
            Self::Date => "date",
            Self::Bool => "bool",
            Self::Timestamp => "timestamp",
        }
    }

    /// Whether sums and arithmetic are exact.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Float)
    }
}

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its name for the server.
    pub(super) name: String,
    /// Its number in the mirror, `v3` and `t3`: never given twice.
    pub(super) number: usize,
    pub(super) kind: Kind,
    pub(super) unique: bool,
    pub(super) not_null: bool,
    pub(super) default: Option<String>,
}

/// A table, as both sides have it.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) next_number: usize,
    /// The numbers of columns that an index over two holds on to: they cannot be dropped.
    pub(super) held: Vec<usize>,
}

impl Table {
    /// Draws a table. Returns it with the words that make it.
    pub(super) fn draw(random: &mut Random, number: u64) -> (Self, Vec<String>) {
        let mut table = Self {
            name: format!("sql.t{number}"),
            columns: Vec::new(),
            next_number: 0,
            held: Vec::new(),
        };
        let mut words = vec!["TABLE.SCHEMA.CREATE".to_owned(), table.name.clone()];
        for _ in 0..2 + random.index(5) {
            let column = table.draw_column(random, false);
            words.extend(column);
        }
        if one_in(random, 3) && table.columns.len() > 1 {
            let (first, second) = table.two_columns(random);
            let kind = pick(random, &["", ":btree", ":hash"]);
            words.push("INDEX".to_owned());
            words.push(format!("{first},{second}{kind}"));
        }
        (table, words)
    }

    /// Adds a column. Returns the words that define it.
    pub(super) fn draw_column(&mut self, random: &mut Random, is_late: bool) -> Vec<String> {
        let kinds = [
            Kind::String,
            Kind::String,
            Kind::Integer,
            Kind::Integer,
            Kind::LargeInteger,
            Kind::Float,
            Kind::Date,
            Kind::Bool,
            Kind::Timestamp,
        ];
        let kind = *pick(random, &kinds);
        let number = self.next_number;
        self.next_number += 1;
        let mut column = Column {
            name: format!("c{number}"),
            number,
            kind,
            unique: false,
            not_null: false,
            default: None,
        };
        let index = pick(random, &["", ":none", ":hash", ":hash", ":btree", ":btree"]);
        let mut words = vec![format!("{}:{}{index}", column.name, kind.word())];
        // Rows that are there would not fit.
        if !is_late {
            if one_in(random, 6) && matches!(kind, Kind::Integer | Kind::String) {
                column.unique = true;
                words.push("UNIQUE".to_owned());
            } else if one_in(random, 6) {
                let value = super::random::text(random, kind);
                words.extend(["DEFAULT".to_owned(), value.clone()]);
                column.default = Some(value);
            }
            if one_in(random, 8) {
                column.not_null = true;
                words.extend(["NOT".to_owned(), "NULL".to_owned()]);
            }
        }
        self.columns.push(column);
        words
    }

    /// Two names of different columns, which an index is to be over from now on.
    pub(super) fn two_columns(&mut self, random: &mut Random) -> (String, String) {
        let first = random.index(self.columns.len());
        let second = (first + 1 + random.index(self.columns.len() - 1)) % self.columns.len();
        let numbers = [first, second].map(|position| self.columns[position].number);
        self.held.extend(numbers);
        (
            self.columns[first].name.clone(),
            self.columns[second].name.clone(),
        )
    }
}
