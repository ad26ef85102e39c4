//! How XREAD and XREADGROUP wait for entries.
//!
//! A read of a group waits for entries behind the last one delivered at that time, as others of the
//! group may come first; it ends with an error when its stream or its group is gone. A plain read
//! keeps the id that it began with, and waits on whatever becomes of the key.

use std::ops::Range;

use base::ids::DbIndex;
use protocol::args::{Args, PackedArgs};
use shard::Shard;
use shard::waiters::Awaited;
use types::stream::Stream;
use types::stream::id::Id;

use crate::spec::{Plan, ShardCommand, Spread};
use crate::stream_read::{XREAD, XREADGROUP, has_entries_behind, parse, xread, xreadgroup};
use crate::stream_words;
use crate::wait_form::{Timeout, WaitForm};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(XREAD, Spread::Plan(Plan::Lend), xread).waiting(&READ),
    ShardCommand::new(XREADGROUP, Spread::Plan(Plan::Lend), xreadgroup).waiting(&READ_GROUP),
];

const READ: WaitForm = WaitForm {
    awaited: Awaited::Entries,
    timeout: |args| timeout(args, false),
    keys: |args| keys(args, false),
    narrow: |shard, db, args, word| narrow(shard, db, args, word, false),
    is_ready: has_entries,
};

const READ_GROUP: WaitForm = WaitForm {
    awaited: Awaited::Group,
    timeout: |args| timeout(args, true),
    keys: |args| keys(args, true),
    narrow: |shard, db, args, word| narrow(shard, db, args, word, true),
    is_ready: has_news_for_group,
};

fn timeout(args: Args<'_>, has_group: bool) -> Option<Timeout> {
    parse(args, has_group).ok()?.timeout
}

fn keys(args: Args<'_>, has_group: bool) -> Range<usize> {
    match parse(args, has_group) {
        Ok(request) => request.keys_at..request.keys_at + request.stream_count,
        Err(_) => 0..0,
    }
}

/// Leaves one stream, with the id that `$` stands for now.
fn narrow(
    shard: &mut Shard,
    db: DbIndex,
    args: Args<'_>,
    word: usize,
    has_group: bool,
) -> PackedArgs {
    let (first, count) = match parse(args, has_group) {
        Ok(request) => (request.keys_at, request.stream_count),
        Err(_) => (args.len(), 0),
    };
    let mut narrowed = PackedArgs::default();
    for option in args.range(0, first).iter() {
        narrowed.push_word(option);
    }
    let key = args.word(word);
    narrowed.push_word(key);
    match args.word(word + count) {
        b"$" => {
            let last = with_stream(shard, db, key, |stream| stream.log().last_id());
            let Id { ms, sequence } = last.unwrap_or(Id::MIN);
            narrowed.push_word(format!("{ms}-{sequence}").as_bytes());
        }
        id => narrowed.push_word(id),
    }
    narrowed
}

fn has_entries(shard: &mut Shard, db: DbIndex, key: &[u8], narrowed: Args<'_>) -> bool {
    let Ok(id) = stream_words::id(narrowed.word(narrowed.len() - 1)) else {
        return false;
    };
    let found = with_stream(shard, db, key, |stream| {
        has_entries_behind(stream.log(), id)
    });
    found.unwrap_or(false)
}

/// Returns also whether the group is gone, which ends the waiting.
fn has_news_for_group(shard: &mut Shard, db: DbIndex, key: &[u8], narrowed: Args<'_>) -> bool {
    let Some((_, group, _)) = parse(narrowed, true).ok().and_then(|request| request.group) else {
        return false;
    };
    let has_news = with_stream(shard, db, key, |stream| {
        let group = stream.groups().get(group)?;
        Some(has_entries_behind(stream.log(), group.last_id()))
    });
    has_news.flatten().unwrap_or(true)
}

/// Looks at the stream of a key; nothing if there is none, or something else.
fn with_stream<R>(
    shard: &mut Shard,
    db: DbIndex,
    key: &[u8],
    look: impl FnOnce(&Stream) -> R,
) -> Option<R> {
    let key = shard.key(key);
    let mut db = shard.db(db);
    let entry = db.peek(key)?;
    entry.typed::<Stream>().ok().map(|stream| look(&stream))
}
