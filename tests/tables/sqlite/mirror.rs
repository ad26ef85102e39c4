//! A table in SQLite: `v3` has the value of column 3, `t3` its text.

use rusqlite::types::Value;
use rusqlite::{Connection, Error, params_from_iter};

use super::random;
use super::schema::{Column, Table};
use super::statement::Both;

/// One table in memory.
pub(super) struct Mirror {
    connection: Connection,
}

/// New texts of columns; none for no value.
pub(super) type Cells = Vec<(Column, Option<String>)>;

/// What became of a row of an INSERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    New,
    Changed(i64),
    Nothing,
}

impl Mirror {
    pub(super) fn new(table: &Table) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "PRAGMA case_sensitive_like=ON; CREATE TABLE rows(id INTEGER PRIMARY KEY)",
            )
            .unwrap();
        let mirror = Self { connection };
        let mut definition =
            String::from("DROP TABLE rows; CREATE TABLE rows(id INTEGER PRIMARY KEY");
        for column in &table.columns {
            let not_null = if column.not_null { " NOT NULL" } else { "" };
            definition.push_str(&format!(", v{0}{not_null}, t{0}", column.number));
        }
        definition.push(')');
        for column in table.columns.iter().filter(|column| column.unique) {
            definition.push_str(&format!(
                "; CREATE UNIQUE INDEX u{0} ON rows(v{0})",
                column.number
            ));
        }
        mirror.connection.execute_batch(&definition).unwrap();
        mirror
    }

    pub(super) fn begin(&self) {
        self.connection
            .execute_batch("SAVEPOINT statement")
            .unwrap();
    }

    pub(super) fn end(&self, is_kept: bool) {
        let end = if is_kept {
            "RELEASE statement"
        } else {
            "ROLLBACK TO statement; RELEASE statement"
        };
        self.connection.execute_batch(end).unwrap();
    }

    pub(super) fn add_column(&self, column: &Column) {
        let add = format!(
            "ALTER TABLE rows ADD COLUMN v{0}; ALTER TABLE rows ADD COLUMN t{0}",
            column.number
        );
        self.connection.execute_batch(&add).unwrap();
    }

    pub(super) fn drop_column(&self, column: &Column) {
        let drop = format!(
            "DROP INDEX IF EXISTS u{0}; ALTER TABLE rows DROP COLUMN v{0}; ALTER TABLE rows DROP COLUMN t{0}",
            column.number
        );
        self.connection.execute_batch(&drop).unwrap();
    }

    /// Runs a SELECT.
    pub(super) fn rows(&self, both: &Both) -> Vec<Vec<Value>> {
        let mut statement = self
            .connection
            .prepare(&both.sql)
            .unwrap_or_else(|error| panic!("{}: {error}", both.sql));
        let columns = statement.column_count();
        let rows = statement.query_map(params_from_iter(&both.values), |row| {
            (0..columns).map(|column| row.get(column)).collect()
        });
        let rows: Result<Vec<Vec<Value>>, Error> = rows.unwrap().collect();
        rows.unwrap_or_else(|error| panic!("{}: {error}", both.sql))
    }

    pub(super) fn rows_of(&self, sql: String) -> Vec<Vec<Value>> {
        self.rows(&Both {
            sql,
            ..Both::default()
        })
    }

    /// Returns the ids of the rows that a condition takes, in order.
    pub(super) fn ids(&self, condition: &Both) -> Vec<i64> {
        let select = Both {
            sql: format!("SELECT id FROM rows{} ORDER BY id", condition.sql),
            ..condition.clone()
        };
        let id = |row: Vec<Value>| match row[0] {
            Value::Integer(id) => id,
            _ => panic!("an id is a number"),
        };
        self.rows(&select).into_iter().map(id).collect()
    }

    /// Inserts a row. `conflict` is the column of ON CONFLICT with what the row that is there gets; nothing
    /// for DO NOTHING.
    pub(super) fn insert(
        &self,
        id: i64,
        cells: &Cells,
        conflict: Option<(&Column, Option<&Cells>)>,
    ) -> Result<Became, Error> {
        if let Some((column, change)) = conflict {
            let text = cells
                .iter()
                .rev()
                .find(|(it, _)| it.number == column.number);
            if let Some((_, Some(text))) = text {
                let same = Both {
                    sql: format!(" WHERE v{} = ?", column.number),
                    values: vec![random::value(column.kind, text)],
                    ..Both::default()
                };
                if let Some(&there) = self.ids(&same).first() {
                    let Some(change) = change else {
                        return Ok(Became::Nothing);
                    };
                    self.change(there, change)?;
                    return Ok(Became::Changed(there));
                }
            }
        }
        let mut names = vec!["id".to_owned()];
        let mut values = vec![Value::Integer(id)];
        for (column, text) in last_of_each(cells) {
            names.extend([format!("v{}", column.number), format!("t{}", column.number)]);
            values.extend(pair(column, text.as_deref()));
        }
        let insert = format!(
            "INSERT INTO rows({}) VALUES({})",
            names.join(", "),
            vec!["?"; values.len()].join(", ")
        );
        self.connection.execute(&insert, params_from_iter(values))?;
        Ok(Became::New)
    }

    /// Gives cells of a row new values.
    pub(super) fn change(&self, id: i64, cells: &Cells) -> Result<(), Error> {
        for (column, text) in last_of_each(cells) {
            let update = format!(
                "UPDATE rows SET v{0} = ?, t{0} = ? WHERE id = {id}",
                column.number
            );
            let values = pair(column, text.as_deref());
            self.connection.execute(&update, params_from_iter(values))?;
        }
        Ok(())
    }

    pub(super) fn delete(&self, ids: &[i64]) {
        for id in ids {
            let delete = format!("DELETE FROM rows WHERE id = {id}");
            self.connection.execute(&delete, []).unwrap();
        }
    }

    /// Returns the value of a cell.
    pub(super) fn value(&self, id: i64, column: &Column) -> Value {
        let rows = self.rows_of(format!(
            "SELECT v{} FROM rows WHERE id = {id}",
            column.number
        ));
        rows[0][0].clone()
    }
}

/// Of several cells of one column the last one counts.
fn last_of_each(cells: &Cells) -> Vec<&(Column, Option<String>)> {
    let mut kept: Vec<&(Column, Option<String>)> = Vec::new();
    for cell in cells {
        kept.retain(|it| it.0.number != cell.0.number);
        kept.push(cell);
    }
    kept
}

fn pair(column: &Column, text: Option<&str>) -> [Value; 2] {
    match text {
        Some(text) => [
            random::value(column.kind, text),
            Value::Text(text.to_owned()),
        ],
        None => [Value::Null, Value::Null],
    }
}
