//! Statements about tables: how to draw one, and what it does to the model.
//!
//! All tables have the columns `k g n u`, and some of the time `e`. Each row has a `k` that no other row ever
//! has, so that who reads a row knows which it is; `g` is the column that statements look for, `n` is counted up,
//! `u` is unique in some tables. Indexes come and go, and the model knows nothing of them: a statement that is
//! answered by an index has to be answered as a scan would.
//!
//! Ids of rows are drawn by cores, so the model cannot foretell them. They are learnt from all replies before the
//! search begins ([`Ids::learn`]): one row has one id, wherever it is seen, and rows come in the order of ids.
//!
//! Not here: what the language has beside this (`tests/tables`, and the tests of the crate `tables`).

use std::collections::BTreeMap;

use base::hash::Map;
use protocol::value::Value;

use super::history::{Action, Record};
use super::model::{Data, Run, TABLE};
use super::operations::{Draw, Operation, integer, ok, operation, read};

/// The commands.
pub(super) const OPERATIONS: &[Operation] = &[
    operation("TABLE.SCHEMA.CREATE", 4, draw_create, create),
    operation("TABLE.DROP", 1, |it| words([&it.key(TABLE), "FORCE"]), drop),
    operation("TABLE.TRUNCATE", 1, |it| vec![it.key(TABLE)], truncate),
    operation("TABLE.SCHEMA.ALTER", 8, draw_alter, alter),
    operation("TABLE.INSERT", 24, draw_insert, insert),
    operation("TABLE.UPDATE", 16, draw_update, update),
    operation("TABLE.DELETE", 5, draw_condition, delete),
    read(operation("TABLE.SELECT", 18, draw_select, select)),
    read(operation("TABLE.COUNT", 6, draw_condition, count)),
    read(operation("TABLE.GET", 5, draw_get, get)),
];

/// The columns behind `k`, all of integers.
const COLUMNS: [&str; 4] = ["g", "n", "u", "e"];

/// How a condition about the id of a row begins.
const BY_ID: &str = "_id=";

/// The place of `u` in [`COLUMNS`].
const UNIQUE: usize = 2;

/// The values of a row in [`COLUMNS`].
type Cells = [Option<i64>; COLUMNS.len()];

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Table {
    /// By `k`.
    rows: BTreeMap<String, Cells>,
    /// No two rows have the same `u`.
    is_unique: bool,
    /// It has the column `e`.
    has_extra: bool,
}

/// What is known of the ids of rows: by their `k`.
#[derive(Debug, Default)]
pub(super) struct Ids(Map<String, u64>);

/// Returns the commands that make a table with some rows.
pub(super) fn prepare(it: &mut Draw<'_>, table: &str) -> Vec<Vec<String>> {
    let shape = draw_create(it).split_off(1);
    let mut make = words(["TABLE.SCHEMA.CREATE", table]);
    make.extend(shape);
    let mut fill = words(["TABLE.INSERT", table]);
    for number in 0..1 + it.random.index(8) {
        if number > 0 {
            fill.push("ROW".to_owned());
        }
        fill.extend([
            format!("k={}", it.value()),
            draw_number(it, "g", 3),
            draw_number(it, "n", 3),
            format!("u={number}"),
        ]);
    }
    vec![make, fill]
}

/// Returns a command that shows all of a table.
pub(super) fn show(table: &str) -> Vec<String> {
    words([
        "TABLE.SELECT",
        table,
        "COLUMNS",
        "5",
        "_id",
        "k",
        "g",
        "n",
        "u",
    ])
}

/// Returns commands that look at a table by what may be indexed.
pub(super) fn show_by_index(table: &str) -> Vec<Vec<String>> {
    let conditions = ["g=0", "g=1", "n>1", "u=1"];
    let select = |condition| {
        words([
            "TABLE.SELECT",
            table,
            "WHERE",
            condition,
            "COLUMNS",
            "2",
            "_id",
            "k",
        ])
    };
    conditions.map(select).to_vec()
}

// --- words ---

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn one_of(it: &mut Draw<'_>, choices: &[&str]) -> String {
    choices[it.random.index(choices.len())].to_owned()
}

fn draw_number(it: &mut Draw<'_>, column: &str, below: u64) -> String {
    format!("{column}={}", it.random.below(below))
}

fn draw_create(it: &mut Draw<'_>) -> Vec<String> {
    let mut definition = vec![it.key(TABLE), "k:string".to_owned()];
    definition.push(one_of(
        it,
        &["g:integer", "g:integer:hash", "g:integer:btree"],
    ));
    definition.push(one_of(it, &["n:integer", "n:integer:btree"]));
    definition.push("u:integer".to_owned());
    if it.random.below(2) == 0 {
        definition.push("UNIQUE".to_owned());
    }
    definition
}

fn draw_alter(it: &mut Draw<'_>) -> Vec<String> {
    const CHANGES: [[&str; 3]; 9] = [
        ["ADD", "INDEX", "g:hash"],
        ["ADD", "INDEX", "g:btree"],
        ["ADD", "INDEX", "n:btree"],
        ["ADD", "INDEX", "g,n:btree"],
        ["DROP", "INDEX", "g"],
        ["DROP", "INDEX", "n"],
        ["DROP", "INDEX", "g,n"],
        ["ADD", "COLUMN", "e:integer:hash"],
        ["DROP", "COLUMN", "e"],
    ];
    let [verb, kind, what] = CHANGES[it.random.index(CHANGES.len())];
    words([&it.key(TABLE), verb, kind, what])
}

fn draw_insert(it: &mut Draw<'_>) -> Vec<String> {
    let mut insert = vec![it.key(TABLE)];
    let rows = if it.random.below(3) == 0 {
        1 + it.random.index(4)
    } else {
        1
    };
    for row in 0..rows {
        if row > 0 {
            insert.push("ROW".to_owned());
        }
        insert.extend([
            format!("k={}", it.value()),
            draw_number(it, "g", 3),
            draw_number(it, "n", 3),
        ]);
        if it.random.below(2) == 0 {
            insert.push(draw_number(it, "u", 12));
        }
        if it.random.below(10) == 0 {
            insert.push("e=1".to_owned());
        }
    }
    match it.random.below(8) {
        0 => insert.extend(words(["ON", "CONFLICT", "u", "DO", "NOTHING"])),
        1 | 2 if rows == 1 => {
            insert.extend(words([
                "ON", "CONFLICT", "u", "DO", "UPDATE", "SET", "n=n+1",
            ]));
            insert.extend(words(["RETURNING", "2", "k", "n"]));
        }
        3 => insert.extend(words(["RETURNING", "2", "k", "n"])),
        4 if rows == 1 => {
            insert.extend(words(["ON", "CONFLICT", "u", "DO", "UPDATE", "SET"]));
            insert.push(draw_number(it, "u", 12));
            // The checker does not know the ids of all rows that are there.
            insert.extend(words(["RETURNING", "2", "k", "n"]));
        }
        _ => {}
    }
    insert
}

fn draw_where(it: &mut Draw<'_>) -> Vec<String> {
    let condition = match it.random.below(8) {
        0..=3 => draw_number(it, "g", 3),
        4 => format!("n>{}", it.random.below(4)),
        5 => draw_number(it, "u", 6),
        6 => "e=1".to_owned(),
        _ => return Vec::new(),
    };
    vec!["WHERE".to_owned(), condition]
}

fn draw_condition(it: &mut Draw<'_>) -> Vec<String> {
    let mut statement = vec![it.key(TABLE)];
    statement.extend(draw_where(it));
    statement
}

fn draw_update(it: &mut Draw<'_>) -> Vec<String> {
    if it.random.below(5) == 0 {
        return draw_update_of_row(it);
    }
    let mut update = draw_condition(it);
    update.push("SET".to_owned());
    update.push(match it.random.below(8) {
        0..=2 => "n=n+1".to_owned(),
        3 | 4 => draw_number(it, "g", 3),
        5 => "u=u+1".to_owned(),
        6 => draw_number(it, "u", 12),
        _ => "e=1".to_owned(),
    });
    if it.random.below(4) == 0 {
        update.extend(words(["RETURNING", "2", "k", "n"]));
    }
    update
}

/// An UPDATE of one row by its id, of which the reply tells which row that is.
fn draw_update_of_row(it: &mut Draw<'_>) -> Vec<String> {
    let id = format!("{BY_ID}{}", 1 + it.random.below(12));
    let mut update = words([&it.key(TABLE), "WHERE", &id, "SET"]);
    update.push(match it.random.below(3) {
        0 => draw_number(it, "g", 3),
        _ => "n=n+1".to_owned(),
    });
    update.extend(words(["RETURNING", "2", "k", "n"]));
    update
}

fn draw_select(it: &mut Draw<'_>) -> Vec<String> {
    let mut select = draw_condition(it);
    select.extend(match it.random.below(4) {
        0 => words(["COLUMNS", "2", "COUNT(*)", "SUM(n)"]),
        1 => words(["ORDER", "BY", "n", "k", "COLUMNS", "2", "n", "k"]),
        _ => words(["COLUMNS", "5", "_id", "k", "g", "n", "u"]),
    });
    select
}

fn draw_get(it: &mut Draw<'_>) -> Vec<String> {
    let id = (1 + it.random.below(12)).to_string();
    words([&it.key(TABLE), &id, "COLUMNS", "3", "_id", "k", "n"])
}

// --- what they do ---

fn error(text: &str) -> Value {
    Value::Error(format!("ERR {text}").into_bytes())
}

fn not_unique() -> Value {
    error("a row with this value of u exists already")
}

fn bulk(text: impl Into<String>) -> Value {
    Value::Bulk(text.into().into_bytes())
}

fn number(cell: Option<i64>) -> Value {
    cell.map_or(Value::Null, |number| bulk(number.to_string()))
}

impl Table {
    /// Returns the place of a column, if the table has it.
    fn column(&self, name: &str) -> Result<usize, Value> {
        let place = COLUMNS.iter().position(|column| *column == name);
        let place = place.filter(|place| COLUMNS[*place] != "e" || self.has_extra);
        place.ok_or_else(|| error("invalid column or type"))
    }

    /// Returns the `k` of all rows that are meant, and the words behind the condition.
    fn find<'w>(
        &self,
        words: &'w [String],
        ids: &Ids,
    ) -> Result<(Vec<String>, &'w [String]), Value> {
        let [first, condition, rest @ ..] = words else {
            return Ok((self.rows.keys().cloned().collect(), words));
        };
        if first != "WHERE" {
            return Ok((self.rows.keys().cloned().collect(), words));
        }
        if let Some(id) = condition.strip_prefix(BY_ID) {
            let id = id.parse().ok();
            let rows = self.rows.keys();
            let meant = rows.filter(|k| id.is_some() && ids.0.get(*k).copied() == id);
            return Ok((meant.cloned().collect(), rest));
        }
        let at = condition.find(['=', '>']).expect("drawn as a comparison");
        let column = self.column(&condition[..at])?;
        let value: i64 = condition[at + 1..].parse().expect("drawn as a number");
        let is_equal = condition[at..].starts_with('=');
        let is_meant = |cells: &Cells| {
            cells[column].is_some_and(|cell| {
                if is_equal {
                    cell == value
                } else {
                    cell > value
                }
            })
        };
        let rows = self.rows.iter();
        let meant = rows.filter(|(_, cells)| is_meant(cells));
        Ok((meant.map(|(k, _)| k.clone()).collect(), rest))
    }

    /// Returns the value that an assignment gives a row.
    fn assigned(&self, assignment: &str, cells: &Cells) -> Result<(usize, Option<i64>), Value> {
        let (name, value) = assignment.split_once('=').expect("drawn as an assignment");
        let column = self.column(name)?;
        let value = match value.strip_suffix("+1") {
            Some(_) => cells[column].map(|cell| cell + 1),
            None => Some(value.parse().expect("drawn as a number")),
        };
        Ok((column, value))
    }

    /// Returns the row that has a value of the unique column.
    fn holder(&self, value: Option<i64>) -> Option<String> {
        let value = value.filter(|_| self.is_unique)?;
        let mut rows = self.rows.iter();
        let found = rows.find(|(_, cells)| cells[UNIQUE] == Some(value));
        found.map(|(k, _)| k.clone())
    }

    /// Returns whether no two rows have the same value of the unique column.
    fn is_sound(&self) -> bool {
        let mut values: Vec<i64> = self.rows.values().filter_map(|it| it[UNIQUE]).collect();
        let count = values.len();
        values.sort_unstable();
        values.dedup();
        !self.is_unique || values.len() == count
    }

    /// Returns what RETURNING gives of these rows.
    fn returned(&self, rows: &[String]) -> Value {
        let row = |k: &String| {
            let n = number(self.rows.get(k).and_then(|cells| cells[1]));
            Value::Array(vec![bulk("k"), bulk(k), bulk("n"), n])
        };
        Value::Set(rows.iter().map(row).collect())
    }
}

fn table_of(run: &Run<'_>, name: &str) -> Result<Table, Value> {
    let table = run.table(name).cloned();
    table.ok_or_else(|| error("table schema does not exist"))
}

fn create(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    if run.table(&words[0]).is_some() {
        return Err(error("table schema already exists"));
    }
    let table = Table {
        is_unique: words.iter().any(|word| word == "UNIQUE"),
        ..Table::default()
    };
    run.set(&words[0], Data::Table(table));
    Ok(ok())
}

fn drop(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    table_of(run, &words[0])?;
    run.remove(&words[0]);
    Ok(ok())
}

fn truncate(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut table = table_of(run, &words[0])?;
    table.rows.clear();
    run.change(&words[0], Data::Table(table));
    Ok(ok())
}

fn alter(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut table = table_of(run, &words[0])?;
    if words[2] == "INDEX" {
        return Ok(ok());
    }
    let is_added = words[1] == "ADD";
    if is_added && table.has_extra {
        return Err(error("column already exists"));
    }
    if !is_added && !table.has_extra {
        return Err(error("column does not exist"));
    }
    table.has_extra = is_added;
    for cells in table.rows.values_mut() {
        cells[COLUMNS.len() - 1] = None;
    }
    run.change(&words[0], Data::Table(table));
    Ok(ok())
}

/// What INSERT does with a value that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conflict {
    Fail,
    Skip,
    CountUp,
    /// The row that is there gets another value of the unique column.
    Move(Option<i64>),
}

/// What an INSERT says: rows, what a conflict does, and whether rows are returned.
type Inserted = (Vec<(String, Cells)>, Conflict, bool);

/// Reads the words of an INSERT.
fn read_insert(table: &Table, words: &[String]) -> Result<Inserted, Value> {
    let is_clause = |word: &String| word == "ON" || word == "RETURNING";
    let end = words.iter().position(is_clause).unwrap_or(words.len());
    let (rows, clauses) = words.split_at(end);
    let has = |wanted: &str| clauses.iter().any(|word| word == wanted);
    let moved = clauses.iter().find_map(|word| word.strip_prefix("u="));
    let conflict = match (has("NOTHING"), has("UPDATE"), moved) {
        (true, ..) => Conflict::Skip,
        (_, true, None) => Conflict::CountUp,
        (_, true, Some(value)) => Conflict::Move(value.parse().ok()),
        (false, false, _) => Conflict::Fail,
    };
    if conflict != Conflict::Fail && !table.is_unique {
        return Err(error(""));
    }
    let mut list = Vec::new();
    for row in rows.split(|word| word == "ROW") {
        let mut cells = Cells::default();
        for assignment in &row[1..] {
            let (column, value) = table.assigned(assignment, &cells)?;
            cells[column] = value;
        }
        list.push((row[0][2..].to_owned(), cells));
    }
    Ok((list, conflict, has("RETURNING")))
}

pub(super) fn insert(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut table = table_of(run, &words[0])?;
    let (rows, conflict, is_returned) = read_insert(&table, &words[1..])?;
    // By row of the statement: the row that has got its values.
    let mut places = Vec::new();
    for (k, cells) in rows {
        match (table.holder(cells[UNIQUE]), conflict) {
            (None, _) => {
                table.rows.insert(k.clone(), cells);
                places.push(Some(k));
            }
            (Some(_), Conflict::Fail) => return Err(not_unique()),
            (Some(_), Conflict::Skip) => places.push(None),
            (Some(holder), Conflict::CountUp) => {
                let cells = table.rows.get_mut(&holder);
                if let Some(Some(n)) = cells.map(|cells| &mut cells[1]) {
                    *n += 1;
                }
                places.push(Some(holder));
            }
            (Some(holder), Conflict::Move(value)) => {
                if table.holder(value).is_some_and(|other| other != holder) {
                    return Err(not_unique());
                }
                if let Some(cells) = table.rows.get_mut(&holder) {
                    cells[UNIQUE] = value;
                }
                places.push(Some(holder));
            }
        }
    }
    let changed: Vec<String> = places.iter().flatten().cloned().collect();
    let reply = if is_returned {
        table.returned(&changed)
    } else {
        let id = |place: &Option<String>| match place {
            Some(k) => run.ids.value(k),
            None => Value::Null,
        };
        match &places[..] {
            [place] => id(place),
            _ => Value::Array(places.iter().map(id).collect()),
        }
    };
    if !changed.is_empty() {
        run.change(&words[0], Data::Table(table));
    }
    Ok(reply)
}

pub(super) fn update(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut table = table_of(run, &words[0])?;
    let (meant, rest) = table.find(&words[1..], run.ids)?;
    table.assigned(&rest[1], &Cells::default())?;
    for k in &meant {
        let cells = table.rows[k];
        let (column, value) = table.assigned(&rest[1], &cells)?;
        if let Some(cells) = table.rows.get_mut(k) {
            cells[column] = value;
        }
    }
    if !table.is_sound() {
        return Err(not_unique());
    }
    let reply = if rest.iter().any(|word| word == "RETURNING") {
        table.returned(&meant)
    } else {
        integer(meant.len())
    };
    if !meant.is_empty() {
        run.change(&words[0], Data::Table(table));
    }
    Ok(reply)
}

fn delete(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut table = table_of(run, &words[0])?;
    let (meant, _) = table.find(&words[1..], run.ids)?;
    for k in &meant {
        table.rows.remove(k);
    }
    if !meant.is_empty() {
        run.change(&words[0], Data::Table(table));
    }
    Ok(integer(meant.len()))
}

pub(super) fn count(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let table = table_of(run, &words[0])?;
    let (meant, _) = table.find(&words[1..], run.ids)?;
    Ok(integer(meant.len()))
}

fn select(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let table = table_of(run, &words[0])?;
    let (mut meant, rest) = table.find(&words[1..], run.ids)?;
    if rest[2] == "COUNT(*)" {
        let sum = meant.iter().filter_map(|k| table.rows[k][1]);
        let sum = (!meant.is_empty()).then(|| sum.sum());
        let count = bulk(meant.len().to_string());
        let row = vec![bulk("COUNT(*)"), count, bulk("SUM(n)"), number(sum)];
        return Ok(Value::Array(vec![Value::Array(row)]));
    }
    let columns = rest.iter().position(|word| word == "COLUMNS");
    let columns = &rest[columns.map_or(rest.len(), |at| at + 2)..];
    let is_ordered = rest[0] == "ORDER";
    if is_ordered {
        meant.sort_by_key(|k| (table.rows[k][1], k.clone()));
    }
    let row = |k: &String| row(run.ids, &table, k, columns);
    let rows = meant.iter().map(row).collect();
    // Without ORDER BY it is that of the ids, which was looked at before.
    Ok(if is_ordered {
        Value::Array(rows)
    } else {
        Value::Set(rows)
    })
}

fn get(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let table = table_of(run, &words[0])?;
    let id: u64 = words[1].parse().expect("drawn as a number");
    let mut rows = table.rows.keys();
    let found = rows.find(|k| run.ids.0.get(*k) == Some(&id));
    Ok(found.map_or(Value::NullArray, |k| row(run.ids, &table, k, &words[4..])))
}

fn row(ids: &Ids, table: &Table, k: &str, columns: &[String]) -> Value {
    let mut parts = Vec::new();
    for column in columns {
        parts.push(bulk(column));
        parts.push(match &**column {
            "_id" => ids.value(k),
            "k" => bulk(k),
            name => {
                let place = COLUMNS.iter().position(|column| *column == name);
                number(place.and_then(|place| table.rows[k][place]))
            }
        });
    }
    Value::Array(parts)
}

// --- ids ---

impl Ids {
    /// Returns what a client is told: nothing that it could have been told if no reply names the row.
    fn value(&self, k: &str) -> Value {
        number(self.0.get(k).and_then(|id| i64::try_from(*id).ok()))
    }

    /// Returns the id of the only row that a statement is about, if it names that, or makes it: nothing inside if it is
    /// not known.
    pub(super) fn row_of(&self, words: &[String]) -> Option<Option<u64>> {
        match &*words[0] {
            "TABLE.GET" => Some(words[2].parse().ok()),
            "TABLE.UPDATE" => {
                let condition = words.get(3)?;
                let id = condition.strip_prefix(BY_ID)?;
                Some(id.parse().ok())
            }
            "TABLE.INSERT" if !words.iter().any(|word| word == "ROW" || word == "ON") => {
                let k = words.iter().find_map(|word| word.strip_prefix("k="));
                Some(k.and_then(|k| self.0.get(k).copied()))
            }
            _ => None,
        }
    }

    /// Learns from all replies which row has which id.
    ///
    /// # Errors
    ///
    /// What no order of the requests explains: a row with two ids, or rows that are not in the order of theirs.
    pub(super) fn learn(records: &[Record]) -> Result<Self, String> {
        let mut ids = Self::default();
        for record in records {
            match (&record.action, &record.reply) {
                (Action::Command(words), Some(reply)) => ids.learn_one(words, reply)?,
                (Action::Exec(commands), Some(Value::Array(replies))) => {
                    for (words, reply) in commands.iter().zip(replies) {
                        ids.learn_one(words, reply)?;
                    }
                }
                _ => {}
            }
        }
        Ok(ids)
    }

    fn learn_one(&mut self, words: &[String], reply: &Value) -> Result<(), String> {
        match &*words[0] {
            "TABLE.INSERT" if !words.iter().any(|word| word == "RETURNING") => {
                let rows = words.iter().filter_map(|word| word.strip_prefix("k="));
                let replies = match reply {
                    Value::Array(replies) => replies.as_slice(),
                    one => std::slice::from_ref(one),
                };
                for (k, reply) in rows.zip(replies) {
                    self.note(k, reply)?;
                }
            }
            "TABLE.GET" => self.learn_row(reply).map(std::mem::drop)?,
            "TABLE.UPDATE" if words.get(3).is_some_and(|word| word.starts_with(BY_ID)) => {
                let id = Value::Bulk(words[3].as_bytes()[BY_ID.len()..].to_vec());
                if let Value::Array(rows) = reply
                    && let Some(Value::Array(parts)) = rows.first()
                    && let [_, Value::Bulk(k), ..] = &parts[..]
                {
                    self.note(&String::from_utf8_lossy(k), &id)?;
                }
            }
            "TABLE.SELECT" if words.iter().any(|word| word == "_id") => {
                let Value::Array(rows) = reply else {
                    return Ok(());
                };
                let mut last = 0;
                for row in rows {
                    let id = self.learn_row(row)?.unwrap_or(0);
                    if id <= last {
                        return Err(format!("row {id} comes behind row {last}"));
                    }
                    last = id;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Learns from a row that begins with `_id` and `k`.
    fn learn_row(&mut self, row: &Value) -> Result<Option<u64>, String> {
        match row {
            Value::Array(parts) => match &parts[..] {
                [_, id, _, Value::Bulk(k), ..] => self.note(&String::from_utf8_lossy(k), id),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn note(&mut self, k: &str, reply: &Value) -> Result<Option<u64>, String> {
        let Value::Bulk(text) = reply else {
            return Ok(None);
        };
        let Ok(id) = String::from_utf8_lossy(text).parse() else {
            return Err(format!("{reply:?} is no id"));
        };
        match self.0.insert(k.to_owned(), id) {
            Some(before) if before != id => Err(format!("row {k} has the ids {before} and {id}")),
            _ => Ok(Some(id)),
        }
    }
}
