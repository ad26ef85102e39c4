//! A node of one or several shards without a server, and the steps that a coordinator would take.

use std::fmt;
use std::sync::Arc;

use base::cast::{u64_from, usize_from};
use base::hash::{KeyHasher, Map};
use base::ids::{DbIndex, ShardId};

use crate::bytes::record::Records;
use crate::decide::Decision;
use crate::effects::Record;
use crate::encode::Encode;
use crate::error::TableError;
use crate::executor::short::Bounds;
use crate::executor::{Budget, Progress, Stepped};
use crate::index::RowIndex;
use crate::merge::{self, Answer, Decided, Elsewhere};
use crate::parser::{self, Verb};
use crate::partial::Partial;
use crate::plan::{Limits, Plan};
use crate::schema::{Layout, TableId};
use crate::{Building, Tables};

pub(super) const DB: DbIndex = DbIndex(0);

/// A row of a reply.
pub(super) type OutRow = Vec<(String, Option<String>)>;

/// What a statement gave.
#[derive(Clone, PartialEq)]
pub(super) enum Out {
    Rows(Vec<OutRow>),
    Count(u64),
    Ids(Vec<Option<u64>>),
    Error(String),
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => {
                for row in rows {
                    for (name, value) in row {
                        write!(f, "{name}={} ", value.as_deref().unwrap_or("~"))?;
                    }
                    write!(f, "; ")?;
                }
                write!(f, "({} rows)", rows.len())
            }
            Self::Count(count) => write!(f, "{count}"),
            Self::Ids(ids) => write!(f, "{ids:?}"),
            Self::Error(text) => write!(f, "error: {text}"),
        }
    }
}

/// A reply format that is easy to read back.
pub(super) struct Plain;

impl Encode for Plain {
    fn array(&self, out: &mut Vec<u8>, len: usize) {
        out.extend_from_slice(format!("*{len}\n").as_bytes());
    }

    fn bulk(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        out.extend_from_slice(format!("${}\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
    }

    fn integer(&self, out: &mut Vec<u8>, value: i64) {
        self.bulk(out, value.to_string().as_bytes());
    }

    fn null(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"_\n");
    }
}

fn take_line(bytes: &mut &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    let line = String::from_utf8(bytes[..end].to_vec()).unwrap();
    *bytes = &bytes[end + 1..];
    line
}

fn take_bulk(bytes: &mut &[u8]) -> Option<String> {
    let line = take_line(bytes);
    let len: usize = line.strip_prefix('$')?.parse().unwrap();
    let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
    *bytes = &bytes[len..];
    Some(text)
}

fn decode(mut bytes: &[u8]) -> Vec<OutRow> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let line = take_line(&mut bytes);
        let len: usize = line.strip_prefix('*').unwrap().parse().unwrap();
        let row = (0..len / 2).map(|_| {
            let name = take_bulk(&mut bytes).unwrap();
            (name, take_bulk(&mut bytes))
        });
        rows.push(row.collect());
    }
    rows
}

/// Shards of one node.
pub(super) struct Node {
    pub(super) shards: Vec<Tables>,
    pub(super) now_ms: u64,
    pub(super) budget: Budget,
    pub(super) limits: Limits,
    /// How many SELECTs took no plan.
    pub(super) short_selects: u64,
    /// Changes that take no plan are made without one, so many of them so far.
    pub(super) plain_changes: Option<u64>,
    tables: u64,
}

impl Node {
    pub(super) fn new(shards: u16) -> Self {
        let part = |shard| Tables::new(ShardId(shard), KeyHasher::new((1, 2)));
        Self {
            shards: (0..shards).map(part).collect(),
            now_ms: 1000,
            budget: Budget::UNBOUNDED,
            limits: Limits {
                scan_rows_max: 100_000,
            },
            short_selects: 0,
            plain_changes: None,
            tables: 0,
        }
    }

    /// Creates a table; with several shards it is spread from the beginning.
    pub(super) fn create(&mut self, name: &str, words: &str) -> TableId {
        self.tables += 1;
        let id = TableId(self.tables);
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let catalog = self.shards[0].catalog(DB);
        let change = catalog.plan_create(name.as_bytes(), &words, id).unwrap();
        self.apply(&change);
        self.spread(id);
        id
    }

    pub(super) fn spread(&mut self, id: TableId) {
        let shards = u16::try_from(self.shards.len()).unwrap();
        if shards > 1 {
            let change = self.shards[0].catalog(DB).plan_spread(id, shards).unwrap();
            self.apply(&change);
        }
    }

    pub(super) fn apply(&mut self, change: &crate::catalog::SchemaChange) {
        for shard in &mut self.shards {
            shard.apply(DB, change);
        }
    }

    /// Changes a table; an index is built in steps of `rows`.
    pub(super) fn alter(&mut self, name: &str, words: &str, rows: usize) -> Result<(), TableError> {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let catalog = self.shards[0].catalog(DB);
        let Some(change) = catalog.plan_alter(name.as_bytes(), &words)? else {
            return Ok(());
        };
        self.apply(&change);
        if let crate::catalog::SchemaChange::AddIndex { schema, index } = &change {
            let result = self.build(schema.id, *index, rows);
            let catalog = self.shards[0].catalog(DB);
            let change = match result {
                Ok(()) => catalog.plan_index_ready(schema.id, *index),
                Err(_) => catalog.plan_index_failed(schema.id, *index),
            };
            self.apply(&change.unwrap());
            return result;
        }
        Ok(())
    }

    fn build(
        &mut self,
        id: TableId,
        index: crate::schema::IndexId,
        rows: usize,
    ) -> Result<(), TableError> {
        let now_ms = self.now_ms;
        let mut claims = Vec::new();
        for shard in &mut self.shards {
            loop {
                match shard.build_step(DB, id, index, (rows, now_ms)) {
                    Building::More => {}
                    Building::Done => break,
                    Building::Failed(error) => return Err(error),
                }
            }
            let mut at = 0;
            while at != u64::MAX {
                claims.extend(shard.unique_values(DB, id, index, &mut at, (rows, now_ms)));
            }
        }
        let schema = self.shards[0].catalog(DB).table_of(id).unwrap();
        let is_unique = schema.index_of(index).unwrap().unique;
        if is_unique {
            merge::refuse_doubles(schema, claims)?;
        }
        Ok(())
    }

    /// Runs a line of words, the first two being verb and table.
    pub(super) fn run(&mut self, line: &str) -> Out {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.run_words(&words)
    }

    pub(super) fn run_words(&mut self, words: &[&[u8]]) -> Out {
        let answer = self.try_run(words);
        if let [b"SELECT", table, b"WHERE", condition] = words {
            self.check_short(table, condition, &answer);
        }
        match answer {
            Ok(Answer::Rows { count, bytes }) => {
                let rows = decode(&bytes);
                assert_eq!(u64_from(rows.len()), count);
                Out::Rows(rows)
            }
            Ok(Answer::Count(count)) => Out::Count(count),
            Ok(Answer::Ids(ids)) => Out::Ids(ids.iter().map(|id| id.map(|id| id.0)).collect()),
            Err(error) => Out::Error(error.to_string()),
        }
    }

    /// Checks that a SELECT without a plan, if it is one, gives what the plan has given.
    fn check_short(&mut self, table: &[u8], condition: &[u8], answer: &Result<Answer, TableError>) {
        let Some(id) = self.shards[0].catalog(DB).lookup(table).map(|it| it.id) else {
            return;
        };
        let bounds = Bounds {
            now_ms: self.now_ms,
            rows_max: usize::MAX,
        };
        let mut bytes = Vec::new();
        let found = self.shards[0].select_value((DB, id), condition, bounds, &Plain, &mut bytes);
        let Some(found) = found else {
            assert!(bytes.is_empty(), "nothing is left behind");
            return;
        };
        self.short_selects += 1;
        let expected = Answer::Rows {
            count: u64_from(found),
            bytes,
        };
        assert_eq!(answer.as_ref(), Ok(&expected));
        if found > 0 {
            let none = Bounds {
                rows_max: found - 1,
                ..bounds
            };
            let tables = &self.shards[0];
            let refused = tables.select_value((DB, id), condition, none, &Plain, &mut Vec::new());
            assert_eq!(refused, None, "more rows than it may look at");
        }
    }

    pub(super) fn plan(&self, words: &[&[u8]]) -> Result<Plan, TableError> {
        let verb = Verb::of_word(words[0]).unwrap();
        let schema = self.shards[0].catalog(DB).table(words[1])?;
        let statement = parser::statement(verb, &words[2..])?;
        Plan::new(schema, &statement, self.limits)
    }

    /// Makes a change without a plan, if it is one that takes none.
    fn try_plain(&mut self, words: &[&[u8]]) -> Option<Answer> {
        let schema = Arc::clone(self.shards[0].catalog(DB).lookup(words[1])?);
        let table = (DB, schema.id);
        match words {
            [b"INSERT", _, cells @ ..] => {
                let cells = || cells.iter().copied();
                let (shard, drawn) = match schema.layout {
                    Layout::Home => (0, None),
                    Layout::Spread { shards } => {
                        let row = crate::draw_row(&schema, cells())?;
                        (row.0 % u64::from(shards), Some(row))
                    }
                };
                let shard = &mut self.shards[usize_from(shard)];
                let row = shard.insert_row(table, drawn, cells())?;
                Some(Answer::Ids(vec![Some(row)]))
            }
            [b"UPDATE", _, b"WHERE", condition, b"SET", cells @ ..]
                if !condition.starts_with(b"_id") =>
            {
                let cells = cells.iter().copied();
                let shard = &mut self.shards[0];
                let count = shard.update_value(table, condition, cells, self.now_ms)?;
                Some(Answer::Count(u64_from(count)))
            }
            _ => None,
        }
    }

    fn try_run(&mut self, words: &[&[u8]]) -> Result<Answer, TableError> {
        if let Some(count) = self.plain_changes
            && let Some(answer) = self.try_plain(words)
        {
            self.plain_changes = Some(count + 1);
            return Ok(answer);
        }
        let plan = self.plan(words)?;
        let count = match plan.schema().layout {
            Layout::Home => 1,
            Layout::Spread { .. } => self.shards.len(),
        };
        let now = self.now_ms;
        let mut parts: Vec<Partial> = (0..count).map(|_| Partial::new()).collect();
        let mut progress: Vec<Progress> = (0..count).map(|_| Progress::new(now)).collect();
        if count > 1 && plan.is_write() {
            if plan.needs_check() {
                progress = (0..count).map(|_| Progress::checking(now)).collect();
                self.steps(&plan, &mut progress, &mut parts)?;
            }
            if plan.insert_count() > 0 {
                let decisions = self.decide(&plan, &mut parts)?;
                let deciding = |_| Progress::deciding(now, decisions.clone());
                progress = (0..count).map(deciding).collect();
            } else if plan.needs_check() {
                let claims = merge::checked(&plan, &mut parts)?;
                for (shard, at) in self.shards.iter().zip(&progress) {
                    shard.refuse_claims(DB, &plan, at, &claims)?;
                }
                progress.iter_mut().for_each(Progress::allow);
            }
        }
        self.steps(&plan, &mut progress, &mut parts)?;
        merge::merge(&plan, parts, &Plain)
    }

    /// Decides about the rows of an INSERT, asking all shards for what that takes.
    fn decide(&self, plan: &Plan, parts: &mut [Partial]) -> Result<Vec<Decision>, TableError> {
        let mut known = Elsewhere::new(parts);
        loop {
            let values = match known.decide(plan)? {
                Decided::All(decisions) => return Ok(decisions),
                Decided::Unknown(values) => values,
            };
            for shard in &self.shards {
                let holders = shard.holders(DB, plan.schema().id, &values, self.now_ms);
                known.add(&values, &holders);
            }
        }
    }

    /// Makes steps on all shards in turns until all are done.
    fn steps(
        &mut self,
        plan: &Plan,
        progress: &mut [Progress],
        parts: &mut [Partial],
    ) -> Result<(), TableError> {
        let mut is_more = vec![true; parts.len()];
        while is_more.contains(&true) {
            for shard in 0..parts.len() {
                if is_more[shard] {
                    let (at, out) = (&mut progress[shard], &mut parts[shard]);
                    let tables = &mut self.shards[shard];
                    let stepped = tables.step(DB, plan, at, self.budget, &Plain, out)?;
                    assert_ne!(stepped, Stepped::Again, "the plan is new");
                    is_more[shard] = stepped == Stepped::More;
                }
            }
        }
        Ok(())
    }

    /// Checks what must hold between statements.
    pub(super) fn check(&self) {
        for shard in &self.shards {
            let mut bytes = 0;
            for table in shard.databases.iter().flat_map(|db| db.tables.values()) {
                for index in &table.indexes {
                    assert_eq!(index.bytes(), index.recounted(), "bytes of an index");
                    let definition = table.definition(index.id).unwrap();
                    let mut fresh = RowIndex::new(definition, &KeyHasher::new((1, 2)));
                    for (number, chunk) in table.rows.chunks(0..) {
                        for offset in crate::store::bits::offsets(chunk.live()) {
                            let place = crate::store::Place::at(number, offset);
                            fresh.insert(place, &table.rows, &mut Vec::new());
                        }
                    }
                    assert_eq!(index.contents(), fresh.contents(), "an index built anew");
                }
                assert_eq!(table.rows.bytes(), table.rows.recount(), "bytes of rows");
                bytes += table.bytes();
            }
            assert_eq!(shard.memory(), bytes, "the ledger");
        }
    }

    pub(super) fn set_recording(&mut self) {
        for shard in &mut self.shards {
            shard.set_recording(true);
        }
    }

    /// Replays all records of the node's life into new shards, which then must be equal.
    pub(super) fn check_replay(&self, records: &[Vec<Record>]) {
        for (number, (shard, records)) in self.shards.iter().zip(records).enumerate() {
            let number = u16::try_from(number).unwrap();
            let mut other = Tables::new(ShardId(number), KeyHasher::new((5, 6)));
            for record in records {
                other.replay(record).unwrap();
            }
            assert_eq!(images(shard), images(&other), "rows after replay");
        }
    }

    pub(super) fn take_records(&mut self) -> Vec<Vec<Record>> {
        let records = |shard: &mut Tables| {
            let bytes = shard.take_records();
            let mut counters: Map<TableId, _> = Map::default();
            let mut records = Records::new(&bytes);
            std::iter::from_fn(|| records.next(&mut counters).unwrap()).collect()
        };
        self.shards.iter_mut().map(records).collect()
    }
}

/// Returns all rows of a shard, for comparison.
pub(super) fn images(tables: &Tables) -> Vec<String> {
    let mut images = Vec::new();
    for (db, database) in tables.databases.iter().enumerate() {
        for (id, table) in &database.tables {
            for image in table.first_images(usize::MAX) {
                images.push(format!("{db} {id:?} {image:?}"));
            }
        }
    }
    images.sort_unstable();
    images
}
