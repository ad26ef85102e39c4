//! Changes of a table that is there.

use std::sync::Arc;

use super::create::check_column_name;
use super::{Catalog, SchemaChange};
use crate::error::TableError;
use crate::parser::definition;
use crate::schema::{IndexId, IndexState, Layout, Schema, TableId};
use crate::statement::{Alter, ColumnDefinition, IndexDefinition, Word};

impl Catalog {
    /// Plans `TABLE.SCHEMA.ALTER name words...`; nothing if the table is already what is asked for: the index
    /// is there, or is not.
    ///
    /// # Errors
    /// [`TableError::TableMissing`], then what [`definition::alter`] refuses, then what the table does not allow.
    pub fn plan_alter(
        &self,
        name: &[u8],
        words: &[Word<'_>],
    ) -> Result<Option<SchemaChange>, TableError> {
        let schema = self.table(name)?;
        match definition::alter(words)? {
            Alter::AddColumn(column) => add_column(schema, &column).map(Some),
            Alter::DropColumn(column) => drop_column(schema, column).map(Some),
            Alter::RenameColumn { from, to } => rename_column(schema, from, to).map(Some),
            Alter::RenameTable(to) => self.rename_table(schema, to).map(Some),
            Alter::AddIndex(index) => add_index(schema, &index),
            Alter::DropIndex(columns) => drop_index(schema, columns),
        }
    }

    /// Plans that an index is complete; nothing if it, or its table, has gone meanwhile or was complete.
    #[must_use]
    pub fn plan_index_ready(&self, table: TableId, index: IndexId) -> Option<SchemaChange> {
        let mut schema = changed(self.table_of(table)?);
        let place = schema
            .indexes
            .iter_mut()
            .find(|found| found.id == index && found.state == IndexState::Building)?;
        place.state = IndexState::Ready;
        Some(SchemaChange::IndexReady {
            schema: Arc::new(schema),
            index,
        })
    }

    /// Plans that an index goes which could not be completed, since rows have the same values; nothing if
    /// it, or its table, has gone meanwhile.
    #[must_use]
    pub fn plan_index_failed(&self, table: TableId, index: IndexId) -> Option<SchemaChange> {
        let schema = self.table_of(table)?;
        schema.index_of(index)?;
        Some(without_indexes(schema, vec![index]))
    }

    /// Plans that the rows of a table lie on all shards; nothing if they do so already or the table has gone.
    #[must_use]
    pub fn plan_spread(&self, table: TableId, shards: u16) -> Option<SchemaChange> {
        let mut schema = changed(self.table_of(table)?);
        if schema.layout != Layout::Home {
            return None;
        }
        schema.layout = Layout::Spread { shards };
        Some(SchemaChange::Spread {
            schema: Arc::new(schema),
        })
    }

    fn rename_table(&self, schema: &Schema, to: &[u8]) -> Result<SchemaChange, TableError> {
        let name = self.new_table_name(to)?.full();
        let mut schema = changed(schema);
        let from = std::mem::replace(&mut schema.name, name);
        Ok(SchemaChange::RenameTable {
            schema: Arc::new(schema),
            from,
        })
    }
}

/// Returns a copy with the next version.
fn changed(schema: &Schema) -> Schema {
    let mut schema = schema.clone();
    schema.version += 1;
    schema
}

fn add_column(
    schema: &Schema,
    definition: &ColumnDefinition<'_>,
) -> Result<SchemaChange, TableError> {
    let mut schema = changed(schema);
    let column = schema.add_column(definition)?;
    if definition.primary || definition.not_null {
        return Err(TableError::other(
            "a column that is added later may lack values, it cannot be NOT NULL or PRIMARY KEY",
        ));
    }
    Ok(SchemaChange::AddColumn {
        schema: Arc::new(schema),
        column,
    })
}

fn drop_column(schema: &Schema, name: &[u8]) -> Result<SchemaChange, TableError> {
    let column = schema.column(name).ok_or(TableError::ColumnMissing)?.id;
    let mut indexes = Vec::new();
    for index in &schema.indexes {
        if !index.columns.contains(&column) {
            continue;
        }
        if index.primary {
            return Err(TableError::other("the primary key cannot be dropped"));
        }
        if index.columns.len() > 1 {
            return Err(TableError::other(
                "the column is part of an index over several columns, drop that index first",
            ));
        }
        indexes.push(index.id);
    }
    if schema.columns.len() == 1 {
        return Err(TableError::other("the last column cannot be dropped"));
    }
    let mut schema = changed(schema);
    schema.columns.retain(|found| found.id != column);
    schema.indexes.retain(|index| !indexes.contains(&index.id));
    Ok(SchemaChange::DropColumn {
        schema: Arc::new(schema),
        column,
        indexes,
    })
}

fn rename_column(schema: &Schema, from: &[u8], to: &[u8]) -> Result<SchemaChange, TableError> {
    let mut after = changed(schema);
    let place = after
        .columns
        .iter_mut()
        .find(|column| *column.name == *from)
        .ok_or(TableError::ColumnMissing)?;
    if schema.column(to).is_some() {
        return Err(TableError::ColumnExists);
    }
    check_column_name(to)?;
    if to.is_empty() || to.contains(&b':') {
        return Err(TableError::other(
            "incorrect column name, it must not be empty nor hold a colon",
        ));
    }
    place.name = to.into();
    Ok(SchemaChange::RenameColumn {
        schema: Arc::new(after),
    })
}

fn add_index(
    schema: &Schema,
    definition: &IndexDefinition<'_>,
) -> Result<Option<SchemaChange>, TableError> {
    let mut schema = changed(schema);
    let added = schema.add_index(definition, IndexState::Building)?;
    Ok(added.map(|index| SchemaChange::AddIndex {
        schema: Arc::new(schema),
        index,
    }))
}

fn drop_index(schema: &Schema, columns: &[u8]) -> Result<Option<SchemaChange>, TableError> {
    let columns = schema.columns_named(columns)?;
    let mut indexes = Vec::new();
    for index in schema.indexes_of(&columns) {
        if index.primary {
            return Err(TableError::other("the primary key cannot be dropped"));
        }
        indexes.push(index.id);
    }
    Ok((!indexes.is_empty()).then(|| without_indexes(schema, indexes)))
}

fn without_indexes(schema: &Schema, indexes: Vec<IndexId>) -> SchemaChange {
    let mut schema = changed(schema);
    schema.indexes.retain(|index| !indexes.contains(&index.id));
    SchemaChange::DropIndex {
        schema: Arc::new(schema),
        indexes,
    }
}
