//! How answers to table statements are written.

use base::cast::{i64_from, usize_from};
use base::ids::ShardId;
use protocol::reply::Reply;
use tables::explain::{Explanation, TableInfo};
use tables::merge::{Answer, Single};
use tables::schema::{IndexState, Layout, RowId, Schema};

use super::parts::Work;
use crate::scope::RowStatement;

/// What a plan took on a shard.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The shard.
    pub shard: ShardId,
    /// How long it ran, if somebody has measured it.
    pub nanos: Option<u64>,
    /// Rows that it looked at.
    pub looked: u64,
}

/// Writes what a statement comes to.
pub fn write_answer(reply: &mut Reply<'_>, work: &Work, answer: Answer) {
    match answer {
        Answer::Rows { count, bytes } if work.statement == RowStatement::Get => {
            if count == 0 {
                reply.null_array();
            } else {
                reply.raw(&bytes);
            }
        }
        Answer::Rows { count, bytes } => {
            reply.array(usize_from(count));
            reply.raw(&bytes);
        }
        Answer::Count(count) => reply.integer(integer(count)),
        Answer::Ids(ids) => match &ids[..] {
            [id] => write_id(reply, *id),
            _ => {
                reply.array(ids.len());
                for id in ids {
                    write_id(reply, id);
                }
            }
        },
    }
}

/// Writes what a statement comes to if that is one number.
pub(super) fn write_single(reply: &mut Reply<'_>, single: Single) {
    match single {
        Single::Count(count) => reply.integer(integer(count)),
        Single::Id(id) => write_id(reply, id),
    }
}

/// Puts in front of `count` rows, which stand behind the first `begun` bytes, what makes them an answer.
pub(super) fn head_rows(reply: &mut Reply<'_>, statement: RowStatement, begun: usize, count: u64) {
    if statement == RowStatement::Get {
        if count == 0 {
            reply.null_array();
        }
        return;
    }
    let end = reply.out.len();
    reply.array(usize_from(count));
    let head = reply.out.len() - end;
    reply.out[begun..].rotate_right(head);
}

/// Makes the head of an array of one, which stands behind the first `begun` bytes, that of an array of `count`.
pub(super) fn correct_head(reply: &mut Reply<'_>, begun: usize, count: usize) {
    if let Ok(digit @ 0..=9) = u8::try_from(count) {
        reply.out[begun + 1] = b'0' + digit;
        return;
    }
    let end = reply.out.len();
    reply.array(count);
    let head = reply.out.len() - end;
    reply.out[begun..].rotate_right(head);
    let one = begun + head..begun + head + ONE.len();
    reply.out.drain(one);
}

/// The head of an array of one.
const ONE: &[u8] = b"*1\r\n";

/// The module gives ids as strings.
fn write_id(reply: &mut Reply<'_>, id: Option<RowId>) {
    match id {
        Some(id) => reply.integer_bulk(integer(id.0)),
        None => reply.null(),
    }
}

/// Writes how a statement would run, or has run: lines of text. `explained` has a part for each shard.
pub fn write_explanation(
    reply: &mut Reply<'_>,
    schema: &Schema,
    explained: &[Explanation],
    costs: &[Cost],
) {
    let mut lines = Vec::new();
    if let Some(first) = explained.first() {
        let rows: u64 = explained.iter().map(|part| part.rows).sum();
        let condition = if explained.iter().any(|part| part.is_filtered) {
            "asked about each"
        } else {
            "answered by the way"
        };
        lines.push(format!("way: {}", first.way));
        lines.push(format!("candidates: {rows}"));
        lines.push(format!("condition: {condition}"));
        lines.push(format!("order: {}", first.order));
        lines.push(format!("shards: {}", explained.len()));
    }
    lines.push(format!("table: {}", layout_name(schema)));
    for cost in costs {
        let nanos = cost.nanos.map(|nanos| {
            let micros = nanos / 1000;
            format!(", {micros} microseconds")
        });
        let (shard, looked) = (cost.shard.0, cost.looked);
        let time = nanos.unwrap_or_default();
        lines.push(format!("shard {shard}: {looked} rows looked at{time}"));
    }
    reply.array(lines.len());
    for line in lines {
        reply.bulk_text(&line);
    }
}

fn layout_name(schema: &Schema) -> &'static str {
    match schema.layout {
        Layout::Home => "on one shard",
        Layout::Spread { .. } => "on all shards",
    }
}

/// Writes what there is of a table, by shard.
pub fn write_info(reply: &mut Reply<'_>, schema: &Schema, infos: &[(ShardId, TableInfo)]) {
    let total = |part: fn(&TableInfo) -> u64| {
        let sum: u64 = infos.iter().map(|(_, info)| part(info)).sum();
        integer(sum)
    };
    reply.map(8);
    reply.bulk_text("name");
    reply.bulk(&schema.name);
    reply.bulk_text("rows");
    reply.integer(total(|info| info.rows));
    reply.bulk_text("expiring");
    reply.integer(total(|info| info.ending));
    reply.bulk_text("bytes");
    reply.integer(total(|info| info.bytes));
    reply.bulk_text("columns");
    reply.integer(i64_from(schema.columns.len()));
    reply.bulk_text("shards");
    reply.array(infos.len());
    for (shard, info) in infos {
        reply.map(3);
        reply.bulk_text("shard");
        reply.integer(i64::from(shard.0));
        reply.bulk_text("rows");
        reply.integer(integer(info.rows));
        reply.bulk_text("bytes");
        reply.integer(integer(info.bytes));
    }
    reply.bulk_text("indexes");
    write_indexes(reply, schema, infos);
    reply.bulk_text("definitions");
    write_definitions(reply, schema);
}

/// What the columns are, beyond what SCHEMA.VIEW says of them, whose form is the module's.
fn write_definitions(reply: &mut Reply<'_>, schema: &Schema) {
    let mut text = Vec::new();
    reply.array(schema.columns.len());
    for column in &schema.columns {
        reply.map(4);
        reply.bulk_text("column");
        reply.bulk(&column.name);
        reply.bulk_text("type");
        reply.bulk_text(column.kind.name());
        reply.bulk_text("not_null");
        reply.boolean(schema.must_have_value(column));
        reply.bulk_text("default");
        match &column.default {
            Some(cell) => {
                text.clear();
                cell.write_text(&mut text);
                reply.bulk(&text);
            }
            None => reply.null(),
        }
    }
}

fn write_indexes(reply: &mut Reply<'_>, schema: &Schema, infos: &[(ShardId, TableInfo)]) {
    reply.array(schema.indexes.len());
    for index in &schema.indexes {
        let parts = || {
            let all = infos.iter().flat_map(|(_, info)| &info.indexes);
            all.filter(|part| part.index == index.id)
        };
        let state = match index.state {
            IndexState::Building => "building",
            IndexState::Ready => "ready",
        };
        reply.map(7);
        reply.bulk_text("columns");
        reply.bulk_text(&schema.names_of(&index.columns));
        reply.bulk_text("kind");
        reply.bulk_text(index.kind.name());
        reply.bulk_text("unique");
        reply.boolean(index.unique);
        reply.bulk_text("state");
        reply.bulk_text(state);
        reply.bulk_text("rows");
        reply.integer(integer(parts().map(|part| part.rows).sum()));
        // One value may be on several shards.
        reply.bulk_text("values");
        reply.integer(integer(parts().map(|part| part.values).sum()));
        reply.bulk_text("bytes");
        reply.integer(integer(parts().map(|part| part.bytes).sum()));
    }
}

/// Returns a count as replies have it.
fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
