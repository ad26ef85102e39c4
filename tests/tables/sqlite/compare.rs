//! One table on both sides, statement by statement.

use std::collections::BTreeMap;
use std::fmt;

use base::random::Random;
use protocol::value::Value as Reply;
use rusqlite::types::Value;

use super::mirror::{Became, Cells, Mirror};
use super::random;
use super::schema::{Column, Kind, Table};
use super::statement::{self, Both, Shown};
use crate::support::client::Client;
use crate::support::{one_in, pick};

/// How often each kind of statement came, and how often it was refused.
#[derive(Default)]
pub(super) struct Counts {
    kinds: BTreeMap<&'static str, (u64, u64)>,
}

impl Counts {
    fn add(&mut self, kind: &'static str, is_refused: bool) {
        let count = self.kinds.entry(kind).or_default();
        count.0 += 1;
        count.1 += u64::from(is_refused);
    }

    /// A test that never inserts anything proves nothing.
    pub(super) fn assert_each_kind_was_there(&self) {
        for kind in KINDS {
            let (ran, refused) = self.kinds.get(kind).copied().unwrap_or_default();
            assert!(ran > refused, "no {kind} was carried out: {self}");
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, (ran, refused)) in &self.kinds {
            write!(f, "{kind} {ran} ({refused} refused), ")?;
        }
        Ok(())
    }
}

/// Kinds of statements, as often as they come.
const KINDS: &[&str] = &[
    "insert",
    "insert",
    "insert",
    "insert",
    "insert",
    "insert",
    "insert",
    "insert",
    "upsert",
    "upsert",
    "select",
    "select",
    "select",
    "select",
    "select",
    "select",
    "select",
    "aggregate",
    "aggregate",
    "aggregate",
    "count",
    "get",
    "update",
    "update",
    "update",
    "delete",
    "alter",
];

/// One table on both sides.
pub(super) struct Run<'c> {
    client: &'c mut Client,
    table: Table,
    mirror: Mirror,
    last_id: i64,
    history: Vec<Vec<String>>,
}

type Outcome = Result<bool, String>;

impl<'c> Run<'c> {
    /// Makes a random table.
    pub(super) fn new(random: &mut Random, client: &'c mut Client, number: u64) -> Self {
        client.request(&["TABLE.NAMESPACE.CREATE", "sql"]);
        let (table, words) = Table::draw(random, number);
        let reply = client.request(&words);
        assert_eq!(reply, Reply::Simple(b"OK".to_vec()), "{words:?}");
        let mirror = Mirror::new(&table);
        Self {
            client,
            table,
            mirror,
            last_id: 0,
            history: vec![words],
        }
    }

    /// Returns all statements, a line each.
    pub(super) fn history(&self) -> String {
        let line = |words: &Vec<String>| format!("  {words:?}\n");
        self.history.iter().map(line).collect()
    }

    /// Runs a random statement on both sides.
    ///
    /// # Errors
    ///
    /// What differs.
    pub(super) fn statement(
        &mut self,
        random: &mut Random,
        counts: &mut Counts,
    ) -> Result<(), String> {
        let kind = *pick(random, KINDS);
        let is_done = match kind {
            "insert" => self.insert(random, false),
            "upsert" => self.insert(random, true),
            "select" => self.select(random),
            "aggregate" => self.aggregate(random),
            "count" => self.count(random),
            "get" => self.get(random),
            "update" => self.update(random),
            "delete" => self.delete(random),
            _ => self.alter(random),
        }?;
        counts.add(kind, !is_done);
        Ok(())
    }

    fn request(&mut self, words: Vec<String>) -> Reply {
        let reply = self.client.request(&words);
        self.history.push(words);
        reply
    }

    /// Compares all rows.
    ///
    /// # Errors
    ///
    /// What differs.
    pub(super) fn check_all_rows(&mut self) -> Result<(), String> {
        let mut both = Both {
            words: vec!["TABLE.SELECT".to_owned(), self.table.name.clone()],
            ..Both::default()
        };
        let texts: Vec<String> = self
            .table
            .columns
            .iter()
            .map(|it| format!("t{}", it.number))
            .collect();
        both.sql = format!("SELECT {} FROM rows ORDER BY id", texts.join(", "));
        self.compare_rows(&both, &[]).map(|_| ())
    }

    fn select(&mut self, random: &mut Random) -> Outcome {
        let (both, shown) = statement::select(random, &self.table);
        self.compare_rows(&both, &shown)
    }

    fn compare_rows(&mut self, both: &Both, shown: &[Shown]) -> Outcome {
        let reply = self.request(both.words.clone());
        let expected = self.mirror.rows(both);
        let expected: Vec<String> = expected
            .iter()
            .map(|row| {
                if shown.is_empty() {
                    let cells = self.table.columns.iter().zip(row);
                    let mut cells: Vec<String> = cells
                        .filter(|(_, text)| **text != Value::Null)
                        .map(|(column, text)| format!("{}={}", column.name, shown_text(text)))
                        .collect();
                    cells.sort();
                    cells.join(" ")
                } else {
                    let texts: Vec<String> = row.iter().map(shown_text).collect();
                    texts.join(" ")
                }
            })
            .collect();
        let actual: Vec<String> = rows_of(&reply)?
            .into_iter()
            .map(|row| {
                if shown.is_empty() {
                    let mut cells: Vec<String> = row
                        .into_iter()
                        .map(|(name, text)| format!("{name}={text}"))
                        .collect();
                    cells.sort();
                    cells.join(" ")
                } else {
                    let texts: Vec<String> = row.into_iter().map(|(_, text)| text).collect();
                    texts.join(" ")
                }
            })
            .collect();
        same(&both.sql, &expected, &actual)
    }

    fn aggregate(&mut self, random: &mut Random) -> Outcome {
        let (both, shown, is_ordered) = statement::aggregate(random, &self.table);
        let reply = self.request(both.words.clone());
        let mut expected: Vec<String> = self
            .mirror
            .rows(&both)
            .iter()
            .map(|row| {
                let values = row.iter().zip(&shown);
                let values: Vec<String> =
                    values.map(|(value, shown)| plain(shown, value)).collect();
                values.join(" ")
            })
            .collect();
        let mut actual: Vec<String> = Vec::new();
        for row in rows_of(&reply)? {
            let values = row.into_iter().zip(&shown);
            let values: Vec<String> = values
                .map(|((_, text), shown)| plain_text(shown, &text))
                .collect();
            actual.push(values.join(" "));
        }
        if !is_ordered {
            expected.sort();
            actual.sort();
        }
        same(&both.sql, &expected, &actual)
    }

    fn count(&mut self, random: &mut Random) -> Outcome {
        let condition = statement::where_clause(random, &self.table);
        let mut words = vec!["TABLE.COUNT".to_owned(), self.table.name.clone()];
        words.extend(condition.words.clone());
        let reply = self.request(words);
        let expected = self.mirror.ids(&condition).len();
        is_integer(&reply, expected, &condition.sql)
    }

    fn get(&mut self, random: &mut Random) -> Outcome {
        let id = random.below(u64::try_from(self.last_id).unwrap() + 2);
        let words = ["TABLE.GET", &self.table.name, &id.to_string()];
        let reply = self.request(words.map(str::to_owned).to_vec());
        let texts: Vec<String> = self
            .table
            .columns
            .iter()
            .map(|it| format!("t{}", it.number))
            .collect();
        let rows = self.mirror.rows_of(format!(
            "SELECT {} FROM rows WHERE id = {id}",
            texts.join(", ")
        ));
        let Some(row) = rows.first() else {
            return match reply {
                Reply::Null | Reply::NullArray => Ok(true),
                other => Err(format!("GET of a missing row gives {other:?}")),
            };
        };
        let mut expected: Vec<String> = self
            .table
            .columns
            .iter()
            .zip(row)
            .filter(|(_, text)| **text != Value::Null)
            .map(|(column, text)| format!("{}={}", column.name, shown_text(text)))
            .collect();
        let row = row_of(&reply)?;
        let mut actual: Vec<String> = row
            .into_iter()
            .map(|(name, text)| format!("{name}={text}"))
            .collect();
        expected.sort();
        actual.sort();
        same("GET", &expected, &actual)
    }

    /// Draws assignments of some columns, and their words.
    fn cells(&self, random: &mut Random, all_odds: u64) -> (Cells, Vec<String>) {
        let mut cells = Cells::new();
        let mut words = Vec::new();
        for column in &self.table.columns {
            if one_in(random, all_odds) {
                continue;
            }
            let text = random::text(random, column.kind);
            push_assignment(random, &mut words, column, &text);
            cells.push((column.clone(), Some(text)));
        }
        if cells.is_empty() {
            let column = pick(random, &self.table.columns);
            let text = random::text(random, column.kind);
            push_assignment(random, &mut words, column, &text);
            cells.push((column.clone(), Some(text)));
        }
        (cells, words)
    }

    fn insert(&mut self, random: &mut Random, is_upsert: bool) -> Outcome {
        let unique: Vec<Column> = self
            .table
            .columns
            .iter()
            .filter(|it| it.unique)
            .cloned()
            .collect();
        let mut words = vec!["TABLE.INSERT".to_owned(), self.table.name.clone()];
        let count = if one_in(random, 3) {
            1 + random.index(12)
        } else {
            1
        };
        let mut rows = Vec::new();
        for number in 0..count {
            if number > 0 {
                words.push("ROW".to_owned());
            }
            let (cells, row_words) = self.cells(random, 5);
            words.extend(row_words);
            rows.push(cells);
        }
        let mut conflict = None;
        if let (true, false) = (is_upsert, unique.is_empty()) {
            let column = pick(random, &unique).clone();
            words.extend(["ON", "CONFLICT", &column.name, "DO"].map(str::to_owned));
            if one_in(random, 2) {
                words.push("NOTHING".to_owned());
                conflict = Some((column, None));
            } else {
                words.push("UPDATE".to_owned());
                let set = if one_in(random, 2)
                    && self.table.columns.iter().all(|it| it.default.is_none())
                {
                    Cells::new()
                } else {
                    let (set, set_words) = self.cells(random, 2);
                    words.push("SET".to_owned());
                    words.extend(set_words);
                    set
                };
                conflict = Some((column, Some(set)));
            }
        }
        let reply = self.request(words);
        let ids = ids_of(&reply, count);
        self.mirror.begin();
        let outcome = self.insert_into_mirror(&rows, conflict.as_ref(), ids.as_deref());
        let is_kept = matches!((&outcome, &ids), (Ok(Ok(())), Some(_)));
        self.mirror.end(is_kept);
        match (outcome?, ids) {
            (Ok(()), Some(_)) => Ok(true),
            (Err(_), None) => Ok(false),
            (Ok(()), None) => Err(format!("INSERT gives {reply:?}, SQLite takes it")),
            (Err(error), Some(_)) => Err(format!("INSERT gives {reply:?}, SQLite says {error}")),
        }
    }

    fn insert_into_mirror(
        &mut self,
        rows: &[Cells],
        conflict: Option<&(Column, Option<Cells>)>,
        ids: Option<&[Option<i64>]>,
    ) -> Result<Result<(), rusqlite::Error>, String> {
        let mut next = self.last_id;
        for (number, row) in rows.iter().enumerate() {
            let given = ids.and_then(|ids| ids[number]);
            let id = given.filter(|id| *id > next).unwrap_or(next + 1_000_000);
            let mut cells = row.clone();
            for column in &self.table.columns {
                let is_given = row.iter().any(|(it, _)| it.number == column.number);
                if let (false, Some(default)) = (is_given, &column.default) {
                    cells.push((column.clone(), Some(default.clone())));
                }
            }
            // ON CONFLICT is about unique values only: that a value is missing is said before.
            let lacks = |column: &Column| {
                let has = |(it, text): &(Column, Option<String>)| {
                    it.number == column.number && text.is_some()
                };
                column.not_null && !cells.iter().any(has)
            };
            if self.table.columns.iter().any(lacks) {
                return Ok(Err(rusqlite::Error::InvalidQuery));
            }
            let conflict = conflict.map(|(column, set)| {
                let change = set
                    .as_ref()
                    .map(|set| if set.is_empty() { row } else { set });
                (column, change)
            });
            let became = match self.mirror.insert(id, &cells, conflict) {
                Ok(became) => became,
                Err(error) => return Ok(Err(error)),
            };
            if ids.is_none() {
                continue;
            }
            let is_right = match became {
                Became::New => given == Some(id),
                Became::Changed(there) => given == Some(there),
                Became::Nothing => given.is_none(),
            };
            if !is_right {
                return Err(format!(
                    "row {number} of the INSERT has id {given:?}, and is {became:?}"
                ));
            }
            if became == Became::New {
                next = id;
            }
        }
        if ids.is_some() {
            self.last_id = next;
        }
        Ok(Ok(()))
    }

    fn update(&mut self, random: &mut Random) -> Outcome {
        let condition = statement::where_clause(random, &self.table);
        let matched = self.mirror.ids(&condition);
        let mut words = vec!["TABLE.UPDATE".to_owned(), self.table.name.clone()];
        words.extend(condition.words.clone());
        let (mut set, mut unset) = (Vec::new(), Vec::new());
        let mut changes: Vec<(i64, Cells)> = matched.iter().map(|id| (*id, Cells::new())).collect();
        for column in self.table.columns.clone() {
            match random.index(6) {
                0 => {
                    let text = random::text(random, column.kind);
                    push_assignment(random, &mut set, &column, &text);
                    for (_, cells) in &mut changes {
                        cells.push((column.clone(), Some(text.clone())));
                    }
                }
                1 if column.kind.is_number() && !column.unique => {
                    let by = 1 + random.below(5);
                    let sign = *pick(random, &["+", "-"]);
                    set.push(format!("{0}={0}{sign}{by}", column.name));
                    for (id, cells) in &mut changes {
                        let value = self.mirror.value(*id, &column);
                        if let Some(text) = sum_of(&value, sign, by) {
                            cells.push((column.clone(), Some(text)));
                        }
                    }
                }
                2 if one_in(random, 3) => {
                    unset.push(column.name.clone());
                    for (_, cells) in &mut changes {
                        cells.push((column.clone(), None));
                    }
                }
                _ => {}
            }
        }
        if set.is_empty() {
            let column = &self.table.columns[0];
            unset.retain(|name| *name != column.name);
            let text = random::text(random, column.kind);
            push_assignment(random, &mut set, column, &text);
            for (_, cells) in &mut changes {
                cells.retain(|(it, _)| it.number != column.number);
                cells.push((column.clone(), Some(text.clone())));
            }
        }
        words.push("SET".to_owned());
        words.extend(set);
        if !unset.is_empty() {
            words.push("UNSET".to_owned());
            words.extend(unset);
        }
        let is_returning = one_in(random, 4);
        if is_returning {
            words.extend(["RETURNING", "1", "_id"].map(str::to_owned));
        }
        let reply = self.request(words);
        self.mirror.begin();
        let changed: Result<(), rusqlite::Error> = changes
            .iter()
            .try_for_each(|(id, cells)| self.mirror.change(*id, cells));
        let is_refused = matches!(reply, Reply::Error(_));
        self.mirror.end(changed.is_ok() && !is_refused);
        // What no row could take is refused here before any is looked at, and for this reason only.
        let takes_none = changes.is_empty() && says(&reply, "must have a value");
        match (changed, is_refused) {
            (_, true) if takes_none => Ok(false),
            (Err(_), true) => Ok(false),
            (Err(error), false) => Err(format!("UPDATE gives {reply:?}, SQLite says {error}")),
            (Ok(()), true) => Err(format!("UPDATE gives {reply:?}, SQLite takes it")),
            (Ok(()), false) => are_matched(&reply, is_returning, &matched, &condition.sql),
        }
    }

    fn delete(&mut self, random: &mut Random) -> Outcome {
        let condition = statement::where_clause(random, &self.table);
        // All rows at once are for the end of a table.
        if condition.words.is_empty() && !one_in(random, 6) {
            return Ok(false);
        }
        let matched = self.mirror.ids(&condition);
        let mut words = vec!["TABLE.DELETE".to_owned(), self.table.name.clone()];
        words.extend(condition.words.clone());
        let is_returning = one_in(random, 4);
        if is_returning {
            words.extend(["RETURNING", "1", "_id"].map(str::to_owned));
        } else if condition.words.is_empty() && one_in(random, 2) {
            words[0] = "TABLE.TRUNCATE".to_owned();
        }
        let is_truncate = words[0] == "TABLE.TRUNCATE";
        let reply = self.request(words);
        self.mirror.delete(&matched);
        if is_truncate {
            return match reply {
                Reply::Simple(_) | Reply::Integer(_) => Ok(true),
                other => Err(format!("TRUNCATE gives {other:?}")),
            };
        }
        are_matched(&reply, is_returning, &matched, &condition.sql)
    }

    fn alter(&mut self, random: &mut Random) -> Outcome {
        let mut words = vec!["TABLE.SCHEMA.ALTER".to_owned(), self.table.name.clone()];
        let mut after = self.table.clone();
        let position = random.index(after.columns.len());
        let column = after.columns[position].clone();
        let mut line = |text: &[&str]| words.extend(text.iter().map(|word| (*word).to_owned()));
        let mut is_held = false;
        match random.index(6) {
            0 if after.columns.len() < 10 => {
                let definition = after.draw_column(random, true);
                line(&["ADD", "COLUMN"]);
                words.extend(definition);
            }
            1 if after.columns.len() > 3 => {
                line(&["DROP", "COLUMN", &column.name]);
                is_held = after.held.contains(&column.number);
                after.columns.remove(position);
            }
            2 => {
                let name = format!("r{}_{}", column.number, self.history.len());
                line(&["RENAME", "COLUMN", &column.name, &name]);
                after.columns[position].name = name;
            }
            3 if !column.unique => line(&["DROP", "INDEX", &column.name]),
            4 => {
                let (first, second) = after.two_columns(random);
                line(&["ADD", "INDEX", &format!("{first},{second}:btree")]);
            }
            _ => {
                let kind = *pick(random, &["", ":hash", ":btree"]);
                line(&["ADD", "INDEX", &format!("{}{kind}", column.name)]);
            }
        }
        let reply = self.request(words);
        match reply {
            Reply::Simple(_) if !is_held => {}
            Reply::Error(_) if is_held && says(&reply, "index over several columns") => {
                return Ok(false);
            }
            other => return Err(format!("ALTER gives {other:?}")),
        }
        if after.columns.len() > self.table.columns.len() {
            self.mirror.add_column(after.columns.last().unwrap());
        } else if after.columns.len() < self.table.columns.len() {
            self.mirror.drop_column(&column);
        }
        self.table = after;
        self.check_all_rows().map(|()| true)
    }
}

/// Returns whether a reply is an error with these words.
fn says(reply: &Reply, words: &str) -> bool {
    matches!(reply, Reply::Error(text) if String::from_utf8_lossy(text).contains(words))
}

/// Adds `column=text` in one word or in three.
fn push_assignment(random: &mut Random, words: &mut Vec<String>, column: &Column, text: &str) {
    if !text.is_empty() && one_in(random, 2) {
        words.push(format!("{}={text}", column.name));
    } else {
        words.extend([column.name.clone(), "=".to_owned(), text.to_owned()]);
    }
}

/// The text of `value + by`.
fn sum_of(value: &Value, sign: &str, by: u64) -> Option<String> {
    let by = i64::try_from(by).unwrap() * if sign == "+" { 1 } else { -1 };
    match value {
        Value::Integer(value) => Some((value + by).to_string()),
        #[expect(clippy::cast_precision_loss, reason = "a number below 10")]
        Value::Real(value) => Some((value + by as f64).to_string()),
        Value::Null | Value::Text(_) | Value::Blob(_) => None,
    }
}

fn same(what: &str, expected: &[String], actual: &[String]) -> Outcome {
    if expected == actual {
        return Ok(true);
    }
    Err(format!(
        "{what}\n  SQLite  {expected:?}\n  Trestle {actual:?}"
    ))
}

fn is_integer(reply: &Reply, expected: usize, what: &str) -> Outcome {
    if *reply == Reply::Integer(i64::try_from(expected).unwrap()) {
        return Ok(true);
    }
    Err(format!("{what}: SQLite {expected}, Trestle {reply:?}"))
}

/// Compares the reply of an UPDATE or a DELETE with the rows that match.
fn are_matched(reply: &Reply, is_returning: bool, matched: &[i64], what: &str) -> Outcome {
    if !is_returning {
        return is_integer(reply, matched.len(), what);
    }
    let mut ids = Vec::new();
    for row in rows_of(reply)? {
        ids.push(
            row[0]
                .1
                .trim_matches('\'')
                .parse::<i64>()
                .map_err(|error| error.to_string())?,
        );
    }
    ids.sort_unstable();
    if ids == matched {
        return Ok(true);
    }
    Err(format!("{what}: SQLite {matched:?}, Trestle {ids:?}"))
}

/// Names and texts of a row; a missing text is `-`.
type Row = Vec<(String, String)>;

fn row_of(reply: &Reply) -> Result<Row, String> {
    let Reply::Array(cells) = reply else {
        return Err(format!("a row is {reply:?}"));
    };
    let text = |cell: &Reply| match cell {
        Reply::Bulk(bytes) => Ok(format!("'{}'", String::from_utf8_lossy(bytes))),
        Reply::Null => Ok("-".to_owned()),
        other => Err(format!("a cell is {other:?}")),
    };
    let pairs = cells.chunks(2).map(|pair| match pair {
        [name, value] => Ok((text(name)?.trim_matches('\'').to_owned(), text(value)?)),
        other => Err(format!("names and values do not come in pairs: {other:?}")),
    });
    let row: Result<Row, String> = pairs.collect();
    row
}

fn rows_of(reply: &Reply) -> Result<Vec<Row>, String> {
    match reply {
        Reply::Array(rows) => rows.iter().map(row_of).collect(),
        other => Err(format!("rows are {other:?}")),
    }
}

fn shown_text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Integer(value) => format!("'{value}'"),
        Value::Text(text) => format!("'{text}'"),
        other => panic!("a text is {other:?}"),
    }
}

/// A computed value, written so that equal ones have equal texts.
fn plain(shown: &Shown, value: &Value) -> String {
    match (shown, value) {
        (_, Value::Null) => "-".to_owned(),
        (_, Value::Text(text)) => format!("'{text}'"),
        #[expect(clippy::cast_precision_loss, reason = "sums of the test are small")]
        (Shown::Computed(Some(Kind::Float)), Value::Integer(value)) => rounded(*value as f64),
        (_, Value::Integer(value)) => value.to_string(),
        (_, Value::Real(value)) => rounded(*value),
        (_, Value::Blob(_)) => panic!("nothing is a blob"),
    }
}

fn plain_text(shown: &Shown, text: &str) -> String {
    if text == "-" {
        return text.to_owned();
    }
    let Shown::Computed(Some(kind)) = shown else {
        return text.to_owned();
    };
    let bare = text
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
        .unwrap_or(text);
    match kind {
        Kind::String | Kind::Date => text.to_owned(),
        Kind::Float => bare.parse().map_or_else(|_| text.to_owned(), rounded),
        _ => plain(shown, &random::value(*kind, bare)),
    }
}

/// Averages may differ in the last place.
fn rounded(value: f64) -> String {
    format!("{value:.9}")
}

/// The ids that an INSERT gives, one for each row; none of a row that was left out. Nothing if it was refused.
fn ids_of(reply: &Reply, count: usize) -> Option<Vec<Option<i64>>> {
    let id = |reply: &Reply| match reply {
        Reply::Bulk(text) => Some(String::from_utf8_lossy(text).parse().unwrap()),
        Reply::Null => None,
        other => panic!("an id is {other:?}"),
    };
    match reply {
        Reply::Error(_) => None,
        Reply::Array(ids) => {
            assert_eq!(ids.len(), count, "an id for each row");
            Some(ids.iter().map(id).collect())
        }
        other => Some(vec![id(other)]),
    }
}
