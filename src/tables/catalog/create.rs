//! New tables and new columns, from their definitions.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base::hash::Map;
use base::limits::{COLUMN_NAME_BYTES_MAX, TABLE_COLUMNS_MAX, TABLE_INDEXES_MAX};

use super::{Catalog, SchemaChange};
use crate::datum::{Cell, ColumnType};
use crate::error::TableError;
use crate::name::TableName;
use crate::parser::definition;
use crate::schema::{
    Column, ColumnId, Index, IndexId, IndexKind, IndexState, Layout, Schema, TableId,
};
use crate::statement::{ColumnDefinition, IndexDefinition, Word};

impl Catalog {
    /// Plans `TABLE.SCHEMA.CREATE name words...`. The table gets the id `id`, which no table had before.
    ///
    /// # Errors
    /// In this order: a name that is too long, [`TableError::NamespaceMissing`],
    /// [`TableError::TableExists`], what [`definition::create`] refuses, columns and indexes that cannot be.
    pub fn plan_create(
        &self,
        name: &[u8],
        words: &[Word<'_>],
        id: TableId,
    ) -> Result<SchemaChange, TableError> {
        let name = self.new_table_name(name)?;
        let create = definition::create(words)?;
        let mut schema = Schema {
            id,
            version: 1,
            name: name.full(),
            columns: Vec::new(),
            indexes: Vec::new(),
            layout: Layout::Home,
            last_row: Arc::new(AtomicU64::new(0)),
            next_column: 0,
            next_index: 0,
        };
        for column in last_definitions(&create.columns) {
            schema.add_column(column)?;
        }
        for index in &create.indexes {
            schema.add_index(index, IndexState::Ready)?;
        }
        Ok(SchemaChange::CreateTable {
            schema: Arc::new(schema),
        })
    }

    /// Returns the parts of a name that a table may get.
    pub(super) fn new_table_name<'n>(&self, name: &'n [u8]) -> Result<TableName<'n>, TableError> {
        let name = TableName::split(name);
        name.check()?;
        if !self.has_namespace(name.namespace) {
            return Err(TableError::NamespaceMissing);
        }
        if self.tables.contains_key(&name.full()) {
            return Err(TableError::TableExists);
        }
        Ok(name)
    }
}

/// Returns one definition for each name: the last one, at the place of the first. Cost: linear.
fn last_definitions<'d>(definitions: &'d [ColumnDefinition<'d>]) -> Vec<&'d ColumnDefinition<'d>> {
    let mut kept: Vec<&ColumnDefinition<'_>> = Vec::with_capacity(definitions.len());
    let mut places: Map<&[u8], usize> = Map::default();
    for definition in definitions {
        match places.entry(definition.name) {
            Entry::Occupied(place) => kept[*place.get()] = definition,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(definition);
            }
        }
    }
    kept
}

/// Checks the name that a column is to get.
pub(super) fn check_column_name(name: &[u8]) -> Result<(), TableError> {
    if name.len() > COLUMN_NAME_BYTES_MAX {
        return Err(TableError::other(
            "incorrect column name, it exceeds the limit of 1024 bytes",
        ));
    }
    // Such a column could not be written, or a condition that names it would be read as another one.
    if name.ends_with(b"!") || name.iter().any(|byte| b"=<>".contains(byte)) {
        return Err(TableError::other(
            "incorrect column name, it must not hold =, < or > nor end with !",
        ));
    }
    Ok(())
}

impl Schema {
    /// Adds a column and the index that its definition asks for, which is complete.
    pub(super) fn add_column(
        &mut self,
        definition: &ColumnDefinition<'_>,
    ) -> Result<ColumnId, TableError> {
        if self.column(definition.name).is_some() {
            return Err(TableError::ColumnExists);
        }
        check_column_name(definition.name)?;
        if self.columns.len() == TABLE_COLUMNS_MAX {
            return Err(TableError::other("a table has at most 1024 columns"));
        }
        let kind = ColumnType::of_word(definition.kind).ok_or(TableError::ColumnKind)?;
        let default = match definition.default {
            Some(text) => Some(Cell::parse(kind, text).ok_or(TableError::ColumnOrType)?),
            None => None,
        };
        let next = self.next_column.checked_add(1);
        let id = ColumnId(self.next_column);
        self.next_column =
            next.ok_or_else(|| TableError::other("no more columns in this table"))?;
        self.columns.push(Column {
            id,
            name: definition.name.into(),
            kind,
            kind_text: definition.kind.into(),
            not_null: definition.not_null || definition.primary,
            default,
        });
        if definition.index.is_some() || definition.unique || definition.primary {
            if definition.primary && self.indexes.iter().any(|index| index.primary) {
                return Err(TableError::other("a table has at most one primary key"));
            }
            self.push_index(Index {
                id: IndexId(0),
                columns: vec![id],
                kind: definition.index.unwrap_or(IndexKind::Hash),
                unique: definition.unique || definition.primary,
                primary: definition.primary,
                state: IndexState::Ready,
            })?;
        }
        Ok(id)
    }

    /// Adds an index unless one of these columns answers as much already; returns it if it is new.
    pub(super) fn add_index(
        &mut self,
        definition: &IndexDefinition<'_>,
        state: IndexState,
    ) -> Result<Option<IndexId>, TableError> {
        let columns = self.columns_named(definition.columns)?;
        let kind = definition.kind.unwrap_or(if columns.len() == 1 {
            IndexKind::Hash
        } else {
            IndexKind::Btree
        });
        let is_there = self
            .indexes_of(&columns)
            .any(|index| index.kind.covers(kind) && index.unique >= definition.unique);
        if is_there {
            return Ok(None);
        }
        self.push_index(Index {
            id: IndexId(0),
            columns,
            kind,
            unique: definition.unique,
            primary: false,
            state,
        })
        .map(Some)
    }

    /// Adds an index under an id of its own.
    fn push_index(&mut self, mut index: Index) -> Result<IndexId, TableError> {
        if self.indexes.len() == TABLE_INDEXES_MAX {
            return Err(TableError::other("a table has at most 64 indexes"));
        }
        index.id = IndexId(self.next_index);
        let next = self.next_index.checked_add(1);
        self.next_index = next.ok_or_else(|| TableError::other("no more indexes in this table"))?;
        let id = index.id;
        self.indexes.push(index);
        Ok(id)
    }
}
