//! One table's rows on one shard, with their indexes.
//!
//! Invariants: each row stands in every index that was built past its place, with the values it has now;
//! `bytes` is what rows and indexes have allocated.
//!
//! Not here: what a statement means (`plan`), and doing it in steps (`executor`).

use std::sync::Arc;

use base::hash::KeyHasher;
use base::ids::DbIndex;

use crate::bytes::row as row_bytes;
use crate::claim::Claim;
use crate::datum::{Cell, ColumnType, Datum};
use crate::effects::RowImage;
use crate::error::TableError;
use crate::index::{RowIndex, push_row_key};
use crate::scalar::{self, Value};
use crate::schema::{ColumnId, Index, IndexId, Layout, RowId, Schema};
use crate::store::bits;
use crate::store::column::Column;
use crate::store::{NewCell, Place, Rows};
use crate::walk::{Detached, RowWalk};

/// A table's part.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Arc<Schema>,
    pub(crate) rows: Rows,
    pub(crate) indexes: Vec<RowIndex>,
    /// The snapshot that waits for rows.
    pub(crate) walk: Option<Box<RowWalk>>,
    hasher: KeyHasher,
    shard: u16,
    /// The types of columns by number.
    kinds: Vec<ColumnType>,
    /// The positions of columns in the schema by number.
    positions: Vec<u16>,
    /// Where the search for dead rows goes on.
    sweep_at: u64,
    scratch: Vec<u8>,
}

/// What a row gets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CellChange {
    pub(crate) column: ColumnId,
    /// `Datum::Null` to take the value away.
    pub(crate) cell: Cell,
}

/// The same, of which nothing was copied yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed<'a> {
    pub(crate) column: ColumnId,
    /// `None` to take the value away.
    pub(crate) value: Option<Value<'a>>,
    pub(crate) odd_text: Option<&'a [u8]>,
}

/// Returns the first 64 indexes, each with a bit of its own.
fn bits_of(indexes: &[RowIndex]) -> impl Iterator<Item = (u64, &RowIndex)> {
    (0..64).map(|at| 1 << at).zip(indexes)
}

/// Returns the indexes without those whose bits are set.
fn touched(indexes: &mut [RowIndex], untouched: u64) -> impl Iterator<Item = &mut RowIndex> {
    let indexes = indexes.iter_mut().enumerate();
    indexes.filter_map(move |(at, index)| {
        let is_untouched = at < 64 && (untouched >> at) & 1 != 0;
        (!is_untouched).then_some(index)
    })
}

/// How far an index is.
#[derive(Debug)]
pub(crate) enum Built {
    More,
    Done,
    Double(TableError),
}

/// What is freed in steps.
#[derive(Debug)]
pub(crate) enum Garbage {
    Rows(Box<Rows>),
    Index(Box<RowIndex>),
    Columns(Vec<Column>),
    /// Rows that a snapshot waits for.
    Walked(Box<Detached>),
}

impl Garbage {
    /// Frees a part; returns whether there is more.
    pub(crate) fn free_step(&mut self) -> bool {
        match self {
            Self::Rows(rows) => rows.free_chunk(),
            Self::Index(index) => index.free_step(),
            Self::Columns(columns) => columns.pop().is_some(),
            // Those are kept apart until the snapshot has passed them.
            Self::Walked(_) => false,
        }
    }
}

const NOWHERE: u16 = u16::MAX;

impl Table {
    pub(crate) fn new(schema: Arc<Schema>, shard: u16, hasher: &KeyHasher) -> Self {
        let mut table = Self {
            rows: Rows::default(),
            indexes: Vec::new(),
            walk: None,
            hasher: hasher.clone(),
            shard,
            kinds: Vec::new(),
            positions: Vec::new(),
            sweep_at: 0,
            scratch: Vec::new(),
            schema: Arc::clone(&schema),
        };
        let garbage = table.adopt(schema);
        debug_assert!(garbage.is_empty(), "a new table has nothing to free");
        table
    }

    /// Takes on another version of the schema: makes indexes, gives up indexes and columns; returns what
    /// is to be freed. A new index is complete if there are no rows yet.
    ///
    /// Rows change their places when the layout changes: those that do not belong here must have been
    /// taken out before.
    pub(crate) fn adopt(&mut self, schema: Arc<Schema>) -> Vec<Garbage> {
        let mut garbage = Vec::new();
        let moved = self.schema.layout != schema.layout && self.rows.count() > 0;
        if self.schema.layout != schema.layout && !moved {
            // What a walk still has are rows that were taken out, and places mean others from now on.
            let rows = std::mem::take(&mut self.rows);
            garbage.push(self.garbage_of(rows));
        }
        let images = if moved {
            self.take_all(&mut garbage)
        } else {
            Vec::new()
        };
        self.give_up(&schema, &mut garbage);
        for index in &schema.indexes {
            if self.index(index.id).is_none() {
                let mut index = RowIndex::new(index, &self.hasher);
                if self.rows.count() == 0 {
                    index.built_to = u64::MAX;
                }
                self.indexes.push(index);
            }
        }
        (self.kinds, self.positions) = by_number(&schema);
        self.schema = schema;
        for image in images {
            if self.owns(image.id) {
                self.put(&image);
            }
        }
        garbage
    }

    fn give_up(&mut self, schema: &Schema, garbage: &mut Vec<Garbage>) {
        let (kept, gone) = std::mem::take(&mut self.indexes)
            .into_iter()
            .partition(|index| schema.indexes.iter().any(|other| other.id == index.id));
        self.indexes = kept;
        garbage.extend(
            gone.into_iter()
                .map(|index| Garbage::Index(Box::new(index))),
        );
        for column in &self.schema.columns {
            if schema.column_of(column.id).is_none() {
                let numbers: Vec<u64> = self.rows.chunks(0..).map(|(number, _)| number).collect();
                let columns: Vec<_> = numbers
                    .into_iter()
                    .filter_map(|number| {
                        let taken = self.rows.take_column(number, column.id)?;
                        match &mut self.walk {
                            Some(walk) => walk.keep(number, column.id, taken),
                            None => Some(taken),
                        }
                    })
                    .map(|column| *column)
                    .collect();
                garbage.push(Garbage::Columns(columns));
            }
        }
    }

    fn take_all(&mut self, garbage: &mut Vec<Garbage>) -> Vec<RowImage> {
        let places = self.rows.chunks(0..).flat_map(|(number, chunk)| {
            bits::offsets(chunk.live()).map(move |at| Place::at(number, at))
        });
        let images = places.filter_map(|place| self.image(place)).collect();
        garbage.extend(self.truncate());
        images
    }

    /// Removes all rows at once; returns what is to be freed.
    pub(crate) fn truncate(&mut self) -> Vec<Garbage> {
        let rows = std::mem::take(&mut self.rows);
        let mut garbage = vec![self.garbage_of(rows)];
        let schema = Arc::clone(&self.schema);
        let made = schema.indexes.iter().map(|index| {
            let mut index = RowIndex::new(index, &self.hasher);
            index.built_to = u64::MAX;
            index
        });
        let old = std::mem::replace(&mut self.indexes, made.collect());
        garbage.extend(old.into_iter().map(|index| Garbage::Index(Box::new(index))));
        garbage
    }

    /// Returns all that is to be freed when the table goes.
    pub(crate) fn into_garbage(mut self) -> Vec<Garbage> {
        let rows = std::mem::take(&mut self.rows);
        let rows = self.garbage_of(rows);
        let indexes = self.indexes.into_iter();
        let mut garbage: Vec<_> = indexes
            .map(|index| Garbage::Index(Box::new(index)))
            .collect();
        garbage.push(rows);
        garbage
    }

    /// Returns rows that go all at once, with the walk that may wait for them.
    fn garbage_of(&mut self, rows: Rows) -> Garbage {
        let rows = Box::new(rows);
        match self.walk.take() {
            Some(walk) => Garbage::Walked(Box::new(Detached { walk, rows })),
            None => Garbage::Rows(rows),
        }
    }

    /// Lets a snapshot have the row at a place before it changes, goes or comes.
    #[inline]
    fn before_change(&mut self, place: Place) {
        if let Some(walk) = &mut self.walk {
            walk.before_change(&self.rows, place);
        }
    }

    /// Begins a snapshot of the rows; nothing if there are none.
    pub(crate) fn new_walk(&self, db: DbIndex) -> Option<Box<RowWalk>> {
        RowWalk::new(db, self.shard, &self.schema, &self.rows).map(Box::new)
    }

    /// Returns whether no other row has the values of this one in a unique index. Rows that end at some time may
    /// have values of others: a file holds those whose time is over and that nobody has swept.
    pub(crate) fn is_unique(&mut self, place: Place) -> bool {
        let mut unique = self.indexes.iter().filter(|index| index.unique);
        let (rows, scratch) = (&self.rows, &mut self.scratch);
        !unique.any(|index| index.has_double(place, rows, u64::MAX, scratch))
    }

    /// Returns what rows and indexes have allocated.
    pub(crate) fn bytes(&self) -> usize {
        let indexes: usize = self.indexes.iter().map(RowIndex::bytes).sum();
        size_of::<Self>() + self.rows.bytes() + indexes
    }

    /// Returns where a row lies if it lies on this shard.
    #[inline]
    pub(crate) fn place(&self, id: RowId) -> Option<Place> {
        match self.schema.layout {
            Layout::Home => id.0.checked_sub(1).map(Place),
            Layout::Spread { shards } => {
                let shards = u64::from(shards.max(1));
                (id.0 % shards == u64::from(self.shard)).then_some(Place(id.0 / shards))
            }
        }
    }

    /// Returns the id of the row at a place.
    #[inline]
    pub(crate) fn id(&self, place: Place) -> RowId {
        self.schema.layout.row_at(self.shard, place.0)
    }

    /// Returns the first place of rows with an id of at least this.
    pub(crate) fn place_from(&self, id: u64) -> u64 {
        match self.schema.layout {
            Layout::Home => id.saturating_sub(1),
            Layout::Spread { shards } => {
                let shards = u64::from(shards.max(1));
                let shard = u64::from(self.shard);
                // The smallest n with n * shards + shard >= id.
                id.saturating_sub(shard).div_ceil(shards)
            }
        }
    }

    /// Returns whether the row belongs to this shard.
    pub(crate) fn owns(&self, id: RowId) -> bool {
        id.0 > 0 && self.place(id).is_some()
    }

    /// Returns the type of a column.
    #[inline]
    pub(crate) fn kind(&self, column: ColumnId) -> ColumnType {
        let kind = self.kinds.get(usize::from(column.0));
        kind.copied().unwrap_or(ColumnType::String)
    }

    /// Returns where a column stands in the schema.
    #[inline]
    pub(crate) fn position(&self, column: ColumnId) -> Option<usize> {
        let position = *self.positions.get(usize::from(column.0))?;
        (position != NOWHERE).then_some(usize::from(position))
    }

    /// Returns an index of the shard.
    pub(crate) fn index(&self, id: IndexId) -> Option<&RowIndex> {
        self.indexes.iter().find(|index| index.id == id)
    }

    /// Returns an index that has all rows.
    pub(crate) fn complete_index(&self, id: IndexId) -> Option<&RowIndex> {
        self.index(id).filter(|index| index.built_to == u64::MAX)
    }

    /// Stores a row in place of what stands there.
    pub(crate) fn put(&mut self, image: &RowImage) {
        let Some(place) = self.place(image.id) else {
            return;
        };
        self.remove(place);
        self.insert(place, &image.cells, image.end);
    }

    /// Stores a row at a place where none is.
    pub(crate) fn insert(&mut self, place: Place, cells: &[(ColumnId, Cell)], end: Option<u64>) {
        self.before_change(place);
        let kinds = &self.kinds;
        let cells = cells.iter().filter_map(|(column, cell)| {
            Some(NewCell {
                column: *column,
                kind: *kinds.get(usize::from(column.0))?,
                value: scalar::value_of(&cell.datum)?,
                odd_text: cell.text.as_deref(),
            })
        });
        self.rows.insert(place, cells, end);
        self.index_row(place);
    }

    /// The same for values that are nobody's yet, each of another column, of a row without an end.
    pub(crate) fn insert_cells<'a>(
        &mut self,
        place: Place,
        cells: impl Iterator<Item = NewCell<'a>>,
    ) {
        self.before_change(place);
        self.rows.insert(place, cells, None);
        self.index_row(place);
    }

    fn index_row(&mut self, place: Place) {
        for index in &mut self.indexes {
            index.insert(place, &self.rows, &mut self.scratch);
        }
    }

    /// Removes the row at a place; returns whether there was one.
    pub(crate) fn remove(&mut self, place: Place) -> bool {
        if self.rows.row(place).is_none() {
            return false;
        }
        self.before_change(place);
        for index in &mut self.indexes {
            index.remove(place, &self.rows, &mut self.scratch);
        }
        self.rows.remove(place);
        true
    }

    /// Changes values of a row that is there, before its end is changed. What stays equal costs no index anything.
    pub(crate) fn change(&mut self, place: Place, changes: &[CellChange]) {
        let changes = changes.iter().map(|change| Changed {
            column: change.column,
            value: scalar::value_of(&change.cell.datum),
            odd_text: change.cell.text.as_deref(),
        });
        self.change_cells(place, changes);
    }

    /// The same for values that are nobody's yet.
    pub(crate) fn change_cells<'a>(
        &mut self,
        place: Place,
        changes: impl Iterator<Item = Changed<'a>> + Clone,
    ) {
        self.before_change(place);
        let Some(row) = self.rows.row(place) else {
            return;
        };
        // Those behind the 64th are taken for touched: they are made anew.
        let mut untouched = 0_u64;
        for (bit, index) in bits_of(&self.indexes) {
            let mut changes = changes.clone();
            let is_touched = changes.any(|change| {
                index.columns.contains(&change.column) && row.value(change.column) != change.value
            });
            untouched |= if is_touched { 0 } else { bit };
        }
        for index in touched(&mut self.indexes, untouched) {
            index.remove(place, &self.rows, &mut self.scratch);
        }
        for change in changes {
            let kind = self.kind(change.column);
            match change.value {
                None => self.rows.unset(place, change.column),
                Some(value) => self.rows.set(
                    place,
                    &NewCell {
                        column: change.column,
                        kind,
                        value,
                        odd_text: change.odd_text,
                    },
                ),
            }
        }
        for index in touched(&mut self.indexes, untouched) {
            index.insert(place, &self.rows, &mut self.scratch);
        }
    }

    /// Returns a cell of a row with its text.
    pub(crate) fn cell(&self, place: Place, column: ColumnId) -> Cell {
        let row = self.rows.row(place);
        let Some(value) = row.and_then(|row| row.value(column)) else {
            return Cell {
                datum: Datum::Null,
                text: None,
            };
        };
        Cell {
            datum: scalar::datum_of(self.kind(column), value),
            text: row.and_then(|row| row.odd_text(column)).map(Into::into),
        }
    }

    /// Returns all that a row is.
    pub(crate) fn image(&self, place: Place) -> Option<RowImage> {
        let row = self.rows.row(place)?;
        let declared: Vec<ColumnId>;
        let order = match self.rows.orders().at(row.chunk.order(row.offset)) {
            Some(order) => order,
            None => {
                declared = self.schema.columns.iter().map(|column| column.id).collect();
                &declared
            }
        };
        let present = order
            .iter()
            .filter(|&&column| self.position(column).is_some() && row.value(column).is_some());
        Some(RowImage {
            id: self.id(place),
            cells: present
                .map(|&column| (column, self.cell(place, column)))
                .collect(),
            end: row.chunk.end(row.offset),
        })
    }

    /// Returns the places of up to `rows` rows from a place on, and the next place behind them.
    fn places_from(&self, from: u64, rows: usize) -> (Vec<Place>, u64) {
        let first = Place(from);
        let mut places = Vec::new();
        for (number, chunk) in self.rows.chunks(first.chunk()..) {
            let mut live = *chunk.live();
            if number == first.chunk() {
                bits::keep_from(&mut live, first.offset());
            }
            for offset in bits::offsets(&live) {
                let place = Place::at(number, offset);
                if places.len() == rows {
                    return (places, place.0);
                }
                places.push(place);
            }
        }
        (places, u64::MAX)
    }

    /// Returns the first rows.
    pub(crate) fn first_images(&self, rows: usize) -> Vec<RowImage> {
        let (places, _) = self.places_from(0, rows);
        let images = places.into_iter().filter_map(|place| self.image(place));
        images.collect()
    }

    /// Adds up to `rows` rows to an index that is not complete. Rows whose time is over at `now_ms` may have values of
    /// others.
    pub(crate) fn build_step(&mut self, id: IndexId, rows: usize, now_ms: u64) -> Built {
        let Some(at) = self.indexes.iter().position(|index| index.id == id) else {
            return Built::Done;
        };
        let (places, next) = self.places_from(self.indexes[at].built_to, rows.max(1));
        let index = &mut self.indexes[at];
        for place in places {
            index.insert(place, &self.rows, &mut self.scratch);
            if index.unique && index.has_double(place, &self.rows, now_ms, &mut self.scratch) {
                let error = TableError::NotUnique(self.schema.names_of(&index.columns));
                return Built::Double(error);
            }
        }
        index.built_to = next;
        if next == u64::MAX {
            Built::Done
        } else {
            Built::More
        }
    }

    /// Returns the values that up to `rows` rows from `at` on have of an index, if their time is not over at
    /// `now_ms`; moves `at` on.
    pub(crate) fn unique_values(
        &self,
        id: IndexId,
        at: &mut u64,
        (rows, now_ms): (usize, u64),
    ) -> Vec<Claim> {
        let Some(index) = self.index(id) else {
            *at = u64::MAX;
            return Vec::new();
        };
        let (places, next) = self.places_from(*at, rows);
        *at = next;
        let claims = places.into_iter().filter_map(|place| {
            if self.rows.is_dead(place, now_ms) {
                return None;
            }
            let mut key = Vec::new();
            let is_whole = push_row_key(&self.rows, place, &index.columns, &mut key);
            is_whole.then(|| Claim {
                index: id,
                key: key.into(),
                row: self.id(place),
            })
        });
        claims.collect()
    }

    /// Looks for dead rows in up to `chunks` chunks; returns their places. The next call goes on behind
    /// them.
    pub(crate) fn dead_places(&mut self, now_ms: u64, chunks: usize) -> Vec<Place> {
        let mut dead = Vec::new();
        if self.rows.ending() == 0 {
            return dead;
        }
        let numbers: Vec<u64> = self
            .rows
            .chunks(self.sweep_at..)
            .take(chunks)
            .map(|(number, _)| number)
            .collect();
        self.sweep_at = match numbers.last() {
            Some(&last) if numbers.len() == chunks => last + 1,
            Some(_) | None => 0,
        };
        for number in numbers {
            if let Some(chunk) = self.rows.chunk_mut(number) {
                let bits = chunk.dead(now_ms);
                let places = bits::offsets(&bits).map(|at| Place::at(number, at));
                dead.extend(places);
            }
        }
        dead
    }

    /// Appends what a row is now (see [`crate::bytes`]).
    pub(crate) fn put_row_bytes(&self, place: Place, out: &mut Vec<u8>) {
        let Some(row) = self.rows.row(place) else {
            return;
        };
        let declared: Vec<ColumnId>;
        let order = match self.rows.orders().at(row.chunk.order(row.offset)) {
            Some(order) => order,
            None => {
                declared = self.schema.columns.iter().map(|column| column.id).collect();
                &declared
            }
        };
        let is_there = |id: &ColumnId| self.position(*id).is_some() && row.value(*id).is_some();
        let present = order.iter().copied().filter(is_there);
        let end = row.chunk.end(row.offset);
        row_bytes::begin(out, self.id(place), end, present.clone().count());
        for id in present {
            if let Some(value) = row.value(id) {
                row_bytes::put_stored(out, id, (self.kind(id), value), row.odd_text(id));
            }
        }
    }

    /// Returns the definition of an index.
    pub(crate) fn definition(&self, id: IndexId) -> Option<&Index> {
        self.schema.indexes.iter().find(|index| index.id == id)
    }
}

fn by_number(schema: &Schema) -> (Vec<ColumnType>, Vec<u16>) {
    let len = usize::from(schema.next_column);
    let mut kinds = vec![ColumnType::String; len];
    let mut positions = vec![NOWHERE; len];
    for (position, column) in schema.columns.iter().enumerate() {
        let number = usize::from(column.id.0);
        if number >= kinds.len() {
            kinds.resize(number + 1, ColumnType::String);
            positions.resize(number + 1, NOWHERE);
        }
        kinds[number] = column.kind;
        positions[number] = u16::try_from(position).unwrap_or(NOWHERE);
    }
    (kinds, positions)
}
