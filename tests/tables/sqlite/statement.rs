//! Random conditions and clauses, in the words of the server and in SQL.

use base::random::Random;
use rusqlite::types::Value;

use super::random;
use super::schema::{Column, Kind, Table};
use crate::support::{one_in, pick};

/// Something in both languages.
#[derive(Clone, Debug, Default)]
pub(super) struct Both {
    pub(super) words: Vec<String>,
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Both {
    fn word(&mut self, word: impl Into<String>) -> &mut Self {
        self.words.push(word.into());
        self
    }

    fn append(&mut self, other: Self) {
        self.words.extend(other.words);
        self.sql.push_str(&other.sql);
        self.values.extend(other.values);
    }
}

const OPERATORS: &[&str] = &["=", "=", "=", "!=", "<>", "<", "<=", ">", ">="];

/// Draws ` WHERE condition`, or nothing.
pub(super) fn where_clause(random: &mut Random, table: &Table) -> Both {
    let mut both = Both::default();
    if one_in(random, 6) {
        return both;
    }
    both.word("WHERE");
    both.sql.push_str(" WHERE ");
    let depth = random.index(4);
    both.append(condition(random, table, depth));
    both
}

fn condition(random: &mut Random, table: &Table, depth: usize) -> Both {
    if depth == 0 {
        return comparison(random, table);
    }
    let mut both = Both::default();
    match random.index(5) {
        0 => {
            both.word("NOT");
            both.sql.push_str("NOT ");
            both.append(closed(random, table, depth - 1));
        }
        1 => both.append(closed(random, table, depth - 1)),
        // Without parentheses, so that it matters which of AND and OR binds tighter.
        _ => {
            both.append(condition_without_not(random, table, depth - 1));
            for _ in 0..1 + random.index(2) {
                let connector = *pick(random, &["AND", "OR"]);
                both.word(if one_in(random, 4) {
                    connector.to_lowercase()
                } else {
                    connector.to_owned()
                });
                both.sql.push_str(&format!(" {connector} "));
                both.append(condition_without_not(random, table, depth - 1));
            }
        }
    }
    both
}

/// NOT takes one condition here and all that follows in SQL, so it stands in parentheses.
fn condition_without_not(random: &mut Random, table: &Table, depth: usize) -> Both {
    if one_in(random, 4) {
        closed(random, table, depth)
    } else {
        comparison(random, table)
    }
}

fn closed(random: &mut Random, table: &Table, depth: usize) -> Both {
    let mut both = Both::default();
    both.word("(");
    both.sql.push('(');
    both.append(condition(random, table, depth));
    both.word(")");
    both.sql.push(')');
    both
}

fn comparison(random: &mut Random, table: &Table) -> Both {
    if one_in(random, 8) {
        return id_comparison(random);
    }
    let column = pick(random, &table.columns);
    let mut both = Both::default();
    let value = format!("v{}", column.number);
    match random.index(9) {
        0 => {
            let negated = one_in(random, 2);
            both.word(&column.name).word("IS");
            if negated {
                both.word("NOT");
            }
            both.word("NULL");
            both.sql = format!("{value} IS {}NULL", if negated { "NOT " } else { "" });
        }
        1 => {
            negatable(random, &mut both, column, &value, "IN");
            let count = 1 + random.index(4);
            let marks = vec!["?"; count].join(",");
            both.sql.push_str(&format!("({marks})"));
            let before = both.words.len();
            for _ in 0..count {
                operand(random, &mut both, column);
            }
            // A list in parentheses ends at the first that closes; one with its length takes any value.
            let has_end = both.words[before..].iter().any(|word| word == ")");
            if has_end || one_in(random, 2) {
                both.words.insert(before, count.to_string());
            } else {
                both.words.insert(before, "(".to_owned());
                both.word(")");
            }
        }
        2 => {
            negatable(random, &mut both, column, &value, "BETWEEN");
            operand(random, &mut both, column);
            both.word("AND");
            operand(random, &mut both, column);
            both.sql.push_str("? AND ?");
        }
        3 if column.kind == Kind::String => {
            negatable(random, &mut both, column, &value, "LIKE");
            let pattern = *pick(
                random,
                &[
                    "a%", "%b%", "_", "a_", "%", "", "abc", "\\%", "b\\%", "a\\_c", "\u{e4}%",
                    "_bc", "%c",
                ],
            );
            both.word(pattern);
            both.values.push(Value::Text(pattern.to_owned()));
            both.sql.push_str("? ESCAPE '\\'");
        }
        _ => {
            let operator = *pick(random, OPERATORS);
            let text = random::text(random, column.kind);
            both.values.push(random::value(column.kind, &text));
            both.sql = format!("{value} {operator} ?");
            // One word is split at its first operator, which a value may begin with.
            let may_be_one = !text.is_empty() && !text.starts_with(['=', '<', '>']);
            if may_be_one && one_in(random, 2) {
                both.word(format!("{}{operator}{text}", column.name));
            } else {
                both.word(&column.name).word(operator).word(text);
            }
        }
    }
    both
}

fn negatable(random: &mut Random, both: &mut Both, column: &Column, value: &str, word: &str) {
    both.word(&column.name);
    both.sql = value.to_owned();
    if one_in(random, 3) {
        both.word("NOT");
        both.sql.push_str(" NOT");
    }
    both.word(word);
    both.sql.push_str(&format!(" {word} "));
}

fn operand(random: &mut Random, both: &mut Both, column: &Column) {
    let text = random::text(random, column.kind);
    both.values.push(random::value(column.kind, &text));
    both.word(text);
}

fn id_comparison(random: &mut Random) -> Both {
    let operator = *pick(random, OPERATORS);
    let id = random.below(80);
    let mut both = Both {
        sql: format!("id {operator} {id}"),
        ..Both::default()
    };
    both.word(format!("_id{operator}{id}"));
    both
}

/// A part of what a SELECT gives.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Id,
    /// The text of a column.
    Text(Column),
    /// A computed value; of the type of the column, if it has one.
    Computed(Option<Kind>),
}

/// Draws ` ORDER BY ...` that ends with the id in SQL.
pub(super) fn order_by(random: &mut Random, table: &Table) -> Both {
    let mut both = Both::default();
    if one_in(random, 2) {
        both.sql.push_str(" ORDER BY id");
        return both;
    }
    both.word("ORDER").word("BY");
    both.sql.push_str(" ORDER BY ");
    for _ in 0..1 + random.index(2) {
        let column = pick(random, &table.columns);
        let (name, value) = if one_in(random, 8) {
            ("_id".to_owned(), "id".to_owned())
        } else {
            (column.name.clone(), format!("v{}", column.number))
        };
        both.word(name);
        match random.index(3) {
            0 => {
                both.word("DESC");
                both.sql.push_str(&format!("{value} DESC, "));
            }
            1 => {
                both.word("ASC");
                both.sql.push_str(&format!("{value} ASC, "));
            }
            _ => both.sql.push_str(&format!("{value}, ")),
        }
    }
    both.sql.push_str("id");
    both
}

/// Draws a limit and an offset.
pub(super) fn limit(random: &mut Random) -> Both {
    let mut both = Both::default();
    let (limit, offset) = (random.below(12), random.below(6));
    match random.index(5) {
        0 => {
            both.word("LIMIT").word(limit.to_string());
            both.sql = format!(" LIMIT {limit}");
        }
        1 => {
            both.word("LIMIT");
            both.word(offset.to_string()).word(limit.to_string());
            both.sql = format!(" LIMIT {limit} OFFSET {offset}");
        }
        2 => {
            both.word("OFFSET").word(offset.to_string());
            both.sql = format!(" LIMIT -1 OFFSET {offset}");
        }
        _ => {}
    }
    both
}

/// Draws a SELECT of rows. Returns what it shows; nothing for all columns.
pub(super) fn select(random: &mut Random, table: &Table) -> (Both, Vec<Shown>) {
    let mut shown = Vec::new();
    let mut items = Both::default();
    if !one_in(random, 3) {
        for _ in 0..1 + random.index(3) {
            let column = pick(random, &table.columns).clone();
            shown.push(if one_in(random, 4) {
                items.word("_id");
                Shown::Id
            } else {
                items.word(&column.name);
                Shown::Text(column)
            });
        }
        items.words.insert(0, "COLUMNS".to_owned());
        items.words.insert(1, shown.len().to_string());
    }
    let picked: Vec<String> = if shown.is_empty() {
        table
            .columns
            .iter()
            .map(|column| format!("t{}", column.number))
            .collect()
    } else {
        let name = |shown: &Shown| match shown {
            Shown::Id => "id".to_owned(),
            Shown::Text(column) => format!("t{}", column.number),
            Shown::Computed(_) => unreachable!("rows have no computed values"),
        };
        shown.iter().map(name).collect()
    };
    let condition = where_clause(random, table);
    let mut both = Both {
        words: vec!["TABLE.SELECT".to_owned(), table.name.clone()],
        sql: format!("SELECT {} FROM rows", picked.join(", ")),
        values: Vec::new(),
    };
    let mut after = Both::default();
    if one_in(random, 8) {
        let id = random.below(60);
        after.word("AFTER").word(id.to_string());
        after.sql = format!(
            "{} id > {id}",
            if condition.sql.is_empty() {
                " WHERE"
            } else {
                ") AND"
            }
        );
    }
    both.words.extend(condition.words);
    both.values.extend(condition.values);
    if after.sql.starts_with(") AND") {
        both.sql
            .push_str(&condition.sql.replacen(" WHERE ", " WHERE (", 1));
    } else {
        both.sql.push_str(&condition.sql);
    }
    let order = order_by(random, table);
    let limit = limit(random);
    both.sql.push_str(&after.sql);
    both.sql.push_str(&order.sql);
    both.sql.push_str(&limit.sql);
    // The server takes its clauses in any order.
    let mut clauses = [items.words, order.words, limit.words, after.words];
    for last in (1..clauses.len()).rev() {
        clauses.swap(last, random.index(last + 1));
    }
    both.words.extend(clauses.into_iter().flatten());
    (both, shown)
}

/// Draws an aggregate of a column: for the server, in SQL, and the type of what it gives.
fn computed(random: &mut Random, column: &Column) -> (String, String, Kind) {
    let value = format!("v{}", column.number);
    let name = &column.name;
    match random.index(6) {
        0 => ("COUNT(*)".to_owned(), "COUNT(*)".to_owned(), Kind::Integer),
        1 => (
            format!("count({name})"),
            format!("COUNT({value})"),
            Kind::Integer,
        ),
        2 if column.kind.is_number() => {
            (format!("SUM({name})"), format!("SUM({value})"), Kind::Float)
        }
        3 if column.kind.is_number() => {
            (format!("AVG({name})"), format!("AVG({value})"), Kind::Float)
        }
        4 => (format!("MIN({name})"), format!("MIN({value})"), column.kind),
        _ => (format!("MAX({name})"), format!("MAX({value})"), column.kind),
    }
}

/// Draws a SELECT of aggregates, with groups or without. Returns what it shows, and whether its order is
/// given.
pub(super) fn aggregate(random: &mut Random, table: &Table) -> (Both, Vec<Shown>, bool) {
    let mut shown = Vec::new();
    let (mut names, mut picked, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..random.index(3) {
        let column = pick(random, &table.columns);
        if groups.iter().any(|it: &&Column| it.number == column.number) {
            continue;
        }
        groups.push(column);
        names.push(column.name.clone());
        picked.push(format!("v{}", column.number));
        shown.push(Shown::Computed(Some(column.kind)));
    }
    for _ in 0..1 + random.index(3) {
        let column = pick(random, &table.columns);
        let (name, sql, kind) = computed(random, column);
        names.push(name);
        picked.push(sql);
        shown.push(Shown::Computed(Some(kind)));
    }
    let condition = where_clause(random, table);
    let mut both = Both {
        words: vec!["TABLE.SELECT".to_owned(), table.name.clone()],
        sql: format!("SELECT {} FROM rows{}", picked.join(", "), condition.sql),
        values: condition.values,
    };
    both.words.extend(condition.words);
    both.word("COLUMNS").word(names.len().to_string());
    both.words.extend(names);
    if groups.is_empty() {
        return (both, shown, true);
    }
    both.word("GROUP").word("BY").word(groups.len().to_string());
    let values: Vec<String> = groups.iter().map(|it| format!("v{}", it.number)).collect();
    both.words.extend(groups.iter().map(|it| it.name.clone()));
    both.sql
        .push_str(&format!(" GROUP BY {}", values.join(", ")));
    let is_ordered = one_in(random, 2);
    if is_ordered {
        both.word("ORDER").word("BY");
        let order: Vec<String> = groups
            .iter()
            .zip(values)
            .map(|(column, value)| {
                both.word(&column.name);
                if one_in(random, 2) {
                    both.word("DESC");
                    format!("{value} DESC")
                } else {
                    value
                }
            })
            .collect();
        both.sql
            .push_str(&format!(" ORDER BY {}", order.join(", ")));
        both.append(limit(random));
    }
    (both, shown, is_ordered)
}
