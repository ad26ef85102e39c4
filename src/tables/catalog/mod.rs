//! The namespaces and tables of one database, and how they change.
//!
//! ```text
//! words -> plan_*, which checks -> SchemaChange -> apply, on every shard the same value
//! ```
//!
//! Invariants
//! - A change that a `plan_*` made is valid as long as nothing was applied in between; applying cannot fail.
//! - The namespace `default` exists, without being listed.
//! - What is refused has changed nothing: all is checked before there is a change.
//!
//! Not here: the rows (`store`), who makes sure that all shards apply the same change (`coordinator`).

mod alter;
mod create;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use base::hash::Map;

use crate::error::TableError;
use crate::name::{self, DEFAULT_NAMESPACE, TableName};
use crate::schema::{ColumnId, IndexId, Schema, TableId};
use crate::statement::Word;

/// The effect of a statement that changes the catalog.
///
/// A change of a table carries the whole new schema, whose version is one larger than the one before.
#[derive(Clone, Debug)]
pub enum SchemaChange {
    /// A namespace comes.
    CreateNamespace {
        /// Its name.
        name: Box<[u8]>,
    },
    /// A namespace without tables goes.
    DropNamespace {
        /// Its name.
        name: Box<[u8]>,
    },
    /// A table comes, without rows.
    CreateTable {
        /// What it is; version 1.
        schema: Arc<Schema>,
    },
    /// A table goes, with its rows.
    DropTable {
        /// Its full name.
        name: Box<[u8]>,
        /// Its identity.
        table: TableId,
    },
    /// The rows of a table go. Ids are not given again.
    Truncate {
        /// Its full name.
        name: Box<[u8]>,
        /// Its identity.
        table: TableId,
    },
    /// A column comes, which no row has yet; also its index if it has one, which is complete.
    AddColumn {
        /// The table after it.
        schema: Arc<Schema>,
        /// The column.
        column: ColumnId,
    },
    /// A column goes, with its cells and the indexes of it alone.
    DropColumn {
        /// The table after it.
        schema: Arc<Schema>,
        /// The column.
        column: ColumnId,
        /// The indexes that go with it.
        indexes: Vec<IndexId>,
    },
    /// A column gets another name.
    RenameColumn {
        /// The table after it.
        schema: Arc<Schema>,
    },
    /// A table gets another name. Its rows stay where they are; where a table at home has its home is for
    /// the coordinator to settle.
    RenameTable {
        /// The table after it.
        schema: Arc<Schema>,
        /// The full name it had.
        from: Box<[u8]>,
    },
    /// An index comes, which writes keep from now on and nobody reads until it is complete.
    AddIndex {
        /// The table after it.
        schema: Arc<Schema>,
        /// The index.
        index: IndexId,
    },
    /// An index is complete.
    IndexReady {
        /// The table after it.
        schema: Arc<Schema>,
        /// The index.
        index: IndexId,
    },
    /// Indexes go, one or more.
    DropIndex {
        /// The table after it.
        schema: Arc<Schema>,
        /// The indexes.
        indexes: Vec<IndexId>,
    },
    /// The rows of a table lie on all shards from now on.
    Spread {
        /// The table after it.
        schema: Arc<Schema>,
    },
}

impl SchemaChange {
    /// Returns the table as it is after the change; none where namespaces or whole tables go.
    #[must_use]
    pub const fn schema(&self) -> Option<&Arc<Schema>> {
        match self {
            Self::CreateTable { schema }
            | Self::AddColumn { schema, .. }
            | Self::DropColumn { schema, .. }
            | Self::RenameColumn { schema }
            | Self::RenameTable { schema, .. }
            | Self::AddIndex { schema, .. }
            | Self::IndexReady { schema, .. }
            | Self::DropIndex { schema, .. }
            | Self::Spread { schema } => Some(schema),
            Self::CreateNamespace { .. }
            | Self::DropNamespace { .. }
            | Self::DropTable { .. }
            | Self::Truncate { .. } => None,
        }
    }
}

/// The namespaces and tables of one database.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Without `default`.
    namespaces: BTreeSet<Box<[u8]>>,
    /// By full name.
    tables: Map<Box<[u8]>, Arc<Schema>>,
}

impl Catalog {
    /// Returns the table of this name, which needs no namespace if it is in `default`. One look-up, no
    /// allocation.
    #[must_use]
    #[inline]
    pub fn lookup(&self, name: &[u8]) -> Option<&Arc<Schema>> {
        name::with_full(name, |full| self.tables.get(full))
    }

    /// Returns the table of this name.
    ///
    /// # Errors
    /// [`TableError::TableMissing`].
    #[inline]
    pub fn table(&self, name: &[u8]) -> Result<&Arc<Schema>, TableError> {
        self.lookup(name).ok_or(TableError::TableMissing)
    }

    /// Returns the table of this id, whatever its name is by now. Cost: linear in the tables.
    #[must_use]
    pub fn table_of(&self, id: TableId) -> Option<&Arc<Schema>> {
        self.tables.values().find(|schema| schema.id == id)
    }

    /// Returns all tables, in no order that means anything.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.tables.values()
    }

    /// Returns the number of tables.
    #[must_use]
    pub fn table_count(&self) -> usize {
        self.tables.len()
    }

    /// Returns whether there is a namespace of this name.
    #[must_use]
    pub fn has_namespace(&self, name: &[u8]) -> bool {
        name == DEFAULT_NAMESPACE || self.namespaces.contains(name)
    }

    /// Returns the namespaces in order, without `default`.
    pub fn namespaces(&self) -> impl Iterator<Item = &[u8]> {
        self.namespaces.iter().map(|name| &**name)
    }

    /// Returns whether there is neither a table nor a namespace besides `default`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.namespaces.is_empty()
    }

    /// Returns the tables in the order of (namespace, table); of one namespace if it is given. Cost:
    /// O(t log t) for t tables.
    #[must_use]
    pub fn view(&self, namespace: Option<&[u8]>) -> Vec<TableName<'_>> {
        let mut names: Vec<TableName<'_>> = self
            .tables
            .keys()
            .map(|name| TableName::split(name))
            .filter(|name| namespace.is_none_or(|wanted| wanted == name.namespace))
            .collect();
        names.sort_unstable();
        names
    }

    /// Plans `TABLE.NAMESPACE.CREATE name`.
    ///
    /// # Errors
    /// [`TableError::NamespaceTooLong`], [`TableError::NamespaceExists`].
    pub fn plan_create_namespace(&self, name: &[u8]) -> Result<SchemaChange, TableError> {
        name::check_namespace(name)?;
        if self.has_namespace(name) {
            return Err(TableError::NamespaceExists);
        }
        Ok(SchemaChange::CreateNamespace { name: name.into() })
    }

    /// Plans `TABLE.NAMESPACE.DROP name FORCE`; `words` are those behind the name.
    ///
    /// # Errors
    /// [`TableError::NamespaceMissing`]; texts of their own without FORCE and for `default`;
    /// [`TableError::NamespaceInUse`].
    pub fn plan_drop_namespace(
        &self,
        name: &[u8],
        words: &[Word<'_>],
    ) -> Result<SchemaChange, TableError> {
        if name == DEFAULT_NAMESPACE {
            return Err(TableError::other("the namespace default always exists"));
        }
        if !self.has_namespace(name) {
            return Err(TableError::NamespaceMissing);
        }
        let forced = words
            .first()
            .is_some_and(|word| word.eq_ignore_ascii_case(b"FORCE"));
        if !forced {
            return Err(TableError::other(
                "This operation is irreversible, use FORCE parameter to remove the namespace",
            ));
        }
        if self
            .tables
            .keys()
            .any(|table| TableName::split(table).namespace == name)
        {
            return Err(TableError::NamespaceInUse);
        }
        Ok(SchemaChange::DropNamespace { name: name.into() })
    }

    /// Plans `TABLE.DROP name FORCE` and `TABLE.SCHEMA.DROP name FORCE`; `words` are those behind the name.
    ///
    /// # Errors
    /// [`TableError::TableMissing`], [`TableError::ForceMissing`], [`TableError::ForceUnknown`].
    pub fn plan_drop(&self, name: &[u8], words: &[Word<'_>]) -> Result<SchemaChange, TableError> {
        let schema = self.table(name)?;
        let word = words.first().ok_or(TableError::ForceMissing)?;
        if !word.eq_ignore_ascii_case(b"FORCE") {
            return Err(TableError::ForceUnknown);
        }
        Ok(SchemaChange::DropTable {
            name: schema.name.clone(),
            table: schema.id,
        })
    }

    /// Plans `TABLE.TRUNCATE name`.
    ///
    /// # Errors
    /// [`TableError::TableMissing`].
    pub fn plan_truncate(&self, name: &[u8]) -> Result<SchemaChange, TableError> {
        let schema = self.table(name)?;
        Ok(SchemaChange::Truncate {
            name: schema.name.clone(),
            table: schema.id,
        })
    }

    /// Carries out a change that was planned on a catalog equal to this one.
    pub fn apply(&mut self, change: &SchemaChange) {
        match change {
            SchemaChange::CreateNamespace { name } => {
                self.namespaces.insert(name.clone());
            }
            SchemaChange::DropNamespace { name } => {
                self.namespaces.remove(name);
            }
            SchemaChange::DropTable { name, .. } => {
                self.tables.remove(name);
            }
            SchemaChange::Truncate { .. } => {}
            SchemaChange::RenameTable { schema, from } => {
                self.tables.remove(from);
                self.tables.insert(schema.name.clone(), Arc::clone(schema));
            }
            SchemaChange::CreateTable { schema }
            | SchemaChange::AddColumn { schema, .. }
            | SchemaChange::DropColumn { schema, .. }
            | SchemaChange::RenameColumn { schema }
            | SchemaChange::AddIndex { schema, .. }
            | SchemaChange::IndexReady { schema, .. }
            | SchemaChange::DropIndex { schema, .. }
            | SchemaChange::Spread { schema } => {
                self.tables.insert(schema.name.clone(), Arc::clone(schema));
            }
        }
    }
}
