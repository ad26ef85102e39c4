//! Streams as logs: adding, removing and listing entries.

use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use types::memory::allocated_bytes;
use types::stream::Stream;
use types::stream::id::Id;
use types::stream::log::{NewId, Refused};

use crate::long_reply::Course;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::steps::is_long;
use crate::stream_reply::{reply_entry, reply_id};
use crate::stream_words::{self, TrimWords};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(XADD, Spread::OneShard, xadd),
    ShardCommand::new(XLEN, Spread::OneShard, xlen),
    ShardCommand::new(XRANGE, Spread::OneShard, xrange).walking(),
    ShardCommand::new(XREVRANGE, Spread::OneShard, xrevrange).walking(),
    ShardCommand::new(XDEL, Spread::OneShard, xdel),
    ShardCommand::new(XTRIM, Spread::OneShard, xtrim),
    ShardCommand::new(XSETID, Spread::OneShard, xsetid),
];

fn xadd(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let limits = context.shard.options().limits;
    let now_ms = u64::try_from(context.now.0).unwrap_or(0);
    let words = stream_words::trim(args, true, now_ms, &limits)?;
    let pair_words = args.len().saturating_sub(words.next);
    let wanted = match words.new_id {
        Some(wanted) if pair_words >= 2 && pair_words % 2 == 0 => wanted,
        Some(_) | None => return Err(CommandError::WordCount),
    };
    if wanted == NewId::Exactly(Id::MIN) {
        return Err(CommandError::Text(
            "ERR The ID specified in XADD must be greater than 0-0",
        ));
    }
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let mut trimmed = 0;
    let add = |stream: &mut Stream| match add(stream, args, &words, wanted, &limits) {
        Ok((id, removed)) => {
            trimmed = removed;
            (Ok(id), Change::of(1, EventClass::STREAM, "xadd"))
        }
        Err(error) => (Err(error), Change::NONE),
    };
    let added = if words.is_made {
        Some(db.edit_or_create(key, add)?)
    } else {
        db.edit(key, add)?
    };
    match added {
        Some(id) => reply_id(&mut context.reply, id?),
        None => context.reply.null(),
    }
    if trimmed > 0 {
        db.event(EventClass::STREAM, "xtrim", key);
    }
    Ok(())
}

/// Adds the entry of an XADD and trims; returns its id and how many entries went.
fn add(
    stream: &mut Stream,
    args: Args<'_>,
    words: &TrimWords,
    wanted: NewId,
    limits: &types::Limits,
) -> Result<(Id, u64), CommandError> {
    let log = &mut stream.parts_mut().log;
    if log.last_id() == Id::MAX {
        return Err(CommandError::Text(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let count = (args.len() - words.next) / 2;
    let pair = |index: usize| {
        let at = words.next + 2 * index;
        (args.word(at), args.word(at + 1))
    };
    let id = log.append(wanted, count, &pair, limits).map_err(|refused| {
        CommandError::Text(match refused {
            Refused::NotAbove => {
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
            }
            // The text of Redis for everything but an id that is not above the last.
            Refused::NoNumberLeft | Refused::TooLarge => "ERR Elements are too large to be stored",
        })
    })?;
    let trimmed = words.trim.map_or(0, |trim| log.trim(trim));
    Ok((id, trimmed))
}

fn xlen(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let stream = db.read::<Stream>(key, context.touch)?;
    let len = stream.map_or(0, |stream| stream.log().len());
    context.reply.integer(len.cast_signed());
    Ok(())
}

fn xrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let start = stream_words::start(args.word(2))?;
    let end = stream_words::end(args.word(3))?;
    list(context, args, start, end, false)
}

fn xrevrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let start = stream_words::start(args.word(3))?;
    let end = stream_words::end(args.word(2))?;
    list(context, args, start, end, true)
}

/// Lists entries between two ids, which are in the range.
fn list(
    context: &mut Context<'_>,
    args: Args<'_>,
    start: Id,
    end: Id,
    is_backward: bool,
) -> Result<(), CommandError> {
    let mut count = None;
    let mut index = 4;
    while let Some(word) = args.get(index) {
        let number = args.get(index + 1).ok_or(CommandError::Syntax)?;
        if !equals_ignore_case(word, "COUNT") {
            return Err(CommandError::Syntax);
        }
        count = Some(words::integer_or_refuse(number)?);
        index += 2;
    }
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let Some(stream) = db.read::<Stream>(key, context.touch)? else {
        context.reply.array(0);
        return Ok(());
    };
    let count = match count {
        None => usize::MAX,
        Some(..=0) => {
            context.reply.null_array();
            return Ok(());
        }
        Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
    };
    if let Some(left) = long_range(stream, (start, end), count) {
        let course = Course::Stream {
            start,
            end,
            left,
            is_backward,
        };
        context.walk(course, |reply| reply.array(left));
        return Ok(());
    }
    let entries = if is_backward {
        stream.log().range_back(end, start)
    } else {
        stream.log().range(start, end)
    };
    stream_words::reply_counted(&mut context.reply, stream_words::array, |reply| {
        let entries = entries.take(count);
        entries.map(|entry| reply_entry(reply, entry)).count()
    });
    Ok(())
}

/// Returns how many entries a reply shows, if it is long.
pub(crate) fn long_range(stream: &Stream, (start, end): (Id, Id), count: usize) -> Option<usize> {
    let len = usize::try_from(stream.log().len()).unwrap_or(usize::MAX);
    let bytes = stream.allocated_bytes(allocated_bytes);
    if !is_long(count.min(len), len, bytes) {
        return None;
    }
    let found = stream.log().count(start, end);
    let shown = usize::try_from(found).unwrap_or(usize::MAX).min(count);
    is_long(shown, len, bytes).then_some(shown)
}

fn xdel(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let ids = args.from(2);
    let mut db = context.shard.db(context.db);
    let deleted = db.edit(key, |stream: &mut Stream| {
        // All ids are checked before the first entry goes.
        if let Some(error) = ids.iter().find_map(|word| stream_words::id(word).err()) {
            return (Err(error), Change::NONE);
        }
        let ids = ids.iter().filter_map(|word| stream_words::id(word).ok());
        let deleted = stream.parts_mut().log.delete(ids);
        (Ok(deleted), Change::of(deleted, EventClass::STREAM, "xdel"))
    })?;
    let deleted = deleted.transpose()?.unwrap_or(0);
    context.reply.integer(base::cast::i64_from(deleted));
    Ok(())
}

fn xtrim(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let limits = context.shard.options().limits;
    let words = stream_words::trim(args, false, 0, &limits)?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let removed = db.edit(key, |stream: &mut Stream| {
        let log = &mut stream.parts_mut().log;
        let removed = words.trim.map_or(0, |trim| log.trim(trim));
        let count = base::cast::usize_from(removed);
        (removed, Change::of(count, EventClass::STREAM, "xtrim"))
    })?;
    context.reply.integer(removed.unwrap_or(0).cast_signed());
    Ok(())
}

fn xsetid(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let id = stream_words::id(args.word(2))?;
    let mut added = None;
    let mut max_deleted = None;
    let mut index = 3;
    while let Some(word) = args.get(index) {
        let value = args.get(index + 1).ok_or(CommandError::Syntax)?;
        if equals_ignore_case(word, "ENTRIESADDED") {
            let number = words::integer_or_refuse(value)?;
            let refusal = CommandError::Text("ERR entries_added must be positive");
            added = Some(u64::try_from(number).or(Err(refusal))?);
        } else if equals_ignore_case(word, "MAXDELETEDID") {
            let deleted = stream_words::id(value)?;
            if id < deleted {
                return Err(CommandError::Text(
                    "ERR The ID specified in XSETID is smaller than the provided \
                     max_deleted_entry_id",
                ));
            }
            // Zero says nothing, as if it were not there.
            max_deleted = Some(deleted).filter(|id| *id != Id::MIN);
        } else {
            return Err(CommandError::Syntax);
        }
        index += 2;
    }
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.edit(key, |stream: &mut Stream| {
        match set_ids(stream, id, added, max_deleted) {
            Ok(()) => {
                let event = Some((EventClass::STREAM, "xsetid"));
                (Ok(()), Change::unwatched(1, event))
            }
            Err(error) => (Err(error), Change::NONE),
        }
    })?;
    set.ok_or(CommandError::NoSuchKey)??;
    context.reply.ok();
    Ok(())
}

fn set_ids(
    stream: &mut Stream,
    id: Id,
    added: Option<u64>,
    max_deleted: Option<Id>,
) -> Result<(), CommandError> {
    let log = &mut stream.parts_mut().log;
    if log.last().is_some_and(|last| id < last.id) {
        return Err(CommandError::Text(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if !log.is_empty() && added.is_some_and(|added| log.len() > added) {
        return Err(CommandError::Text(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    log.set_ids(id, added, max_deleted);
    Ok(())
}

/// How a trim is written, in XADD and XTRIM.
const TRIM_PARTS: &[Argument] = &[
    Argument::one_of(
        "strategy",
        &[
            Argument::token("maxlen", "MAXLEN"),
            Argument::token("minid", "MINID").since("6.2.0"),
        ],
    ),
    Argument::one_of(
        "operator",
        &[
            Argument::token("equal", "="),
            Argument::token("approximately", "~"),
        ],
    )
    .optional(),
    Argument::text("threshold"),
    Argument::integer("count")
        .with_token("LIMIT")
        .since("6.2.0")
        .optional(),
];

const XADD: Declaration = Declaration::new(
    "xadd",
    Arity::AtLeast(5),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Stream])
.keys(&[KeySpec::at(1, &["RW", "update"])
    .with_notes("It counts as an update rather than an insertion, as it may trim.")])
.tips(&["nondeterministic_output"])
.docs(
    Docs::new(
        "stream",
        "5.0.0",
        "Adds an entry to the end of a stream, and may remove others from its front.",
        "O(1); with trimming O(N), N being the number of entries removed.",
    )
    .history(&[
        (
            "6.2.0",
            "NOMKSTREAM, trimming by MINID, and LIMIT were added.",
        ),
        ("7.0.0", "The sequence alone may be left to the stream."),
    ])
    .arguments(&[
        Argument::KEY,
        Argument::token("nomkstream", "NOMKSTREAM")
            .since("6.2.0")
            .optional(),
        Argument::block("trim", TRIM_PARTS).optional(),
        Argument::one_of(
            "id_or_auto",
            &[Argument::token("auto_id", "*"), Argument::text("id")],
        ),
        Argument::block(
            "field_value",
            &[Argument::text("field"), Argument::text("value")],
        )
        .multiple(),
    ]),
);

const XLEN: Declaration =
    Declaration::new("xlen", Arity::Exactly(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Stream])
        .keys(&[KeySpec::at(1, &["RO"])])
        .docs(
            Docs::new(
                "stream",
                "5.0.0",
                "Returns the number of entries of a stream.",
                "O(1)",
            )
            .arguments(&[Argument::KEY]),
        );

const XRANGE: Declaration = Declaration::new("xrange", Arity::AtLeast(4), Flags::READONLY)
    .categories(&[Category::Stream])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "stream",
            "5.0.0",
            "Lists the entries of a stream between two ids.",
            "O(N), N being the number of entries listed.",
        )
        .history(&[("6.2.0", "Ids may be excluded from the range.")])
        .arguments(&[
            Argument::KEY,
            Argument::text("start"),
            Argument::text("end"),
            Argument::integer("count").with_token("COUNT").optional(),
        ]),
    );

const XREVRANGE: Declaration = Declaration::new("xrevrange", Arity::AtLeast(4), Flags::READONLY)
    .categories(&[Category::Stream])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "stream",
            "5.0.0",
            "Lists the entries of a stream between two ids, the last one first.",
            "O(N), N being the number of entries listed.",
        )
        .history(&[("6.2.0", "Ids may be excluded from the range.")])
        .arguments(&[
            Argument::KEY,
            Argument::text("end"),
            Argument::text("start"),
            Argument::integer("count").with_token("COUNT").optional(),
        ]),
    );

const XDEL: Declaration =
    Declaration::new("xdel", Arity::AtLeast(3), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Stream])
        .keys(&[KeySpec::at(1, &["RW", "delete"])])
        .docs(
            Docs::new(
                "stream",
                "5.0.0",
                "Removes entries by their ids, and says how many there were.",
                "O(N), N being the number of ids.",
            )
            .arguments(&[Argument::KEY, Argument::text("id").multiple()]),
        );

const XTRIM: Declaration = Declaration::new("xtrim", Arity::AtLeast(4), Flags::WRITE)
    .categories(&[Category::Stream])
    .keys(&[KeySpec::at(1, &["RW", "delete"])])
    .tips(&["nondeterministic_output"])
    .docs(
        Docs::new(
            "stream",
            "5.0.0",
            "Removes entries from the front of a stream, and says how many.",
            "O(N), N being the number of entries removed.",
        )
        .history(&[("6.2.0", "Trimming by MINID, and LIMIT were added.")])
        .arguments(&[Argument::KEY, Argument::block("trim", TRIM_PARTS)]),
    );

const XSETID: Declaration = Declaration::new(
    "xsetid",
    Arity::AtLeast(3),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Stream])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "stream",
        "5.0.0",
        "Sets what a stream knows of the entries it has had.",
        "O(1)",
    )
    .history(&[("7.0.0", "ENTRIESADDED and MAXDELETEDID were added.")])
    .arguments(&[
        Argument::KEY,
        Argument::text("last-id"),
        Argument::integer("entries_added")
            .with_token("ENTRIESADDED")
            .since("7.0.0")
            .optional(),
        Argument::text("max_deleted_entry_id")
            .with_token("MAXDELETEDID")
            .since("7.0.0")
            .optional(),
    ]),
);

#[cfg(test)]
mod tests {
    use base::ids::DbIndex;
    use shard::effects::EventClass;

    use crate::key_object;
    use crate::transcripts::Player;

    #[test]
    fn ids_follow_the_clock_and_never_go_back() {
        let mut player = Player::new();
        assert_eq!(player.run("XADD k * a 1"), b"$15\r\n1700000000000-0\r\n");
        assert_eq!(player.run("XADD k * a 1"), b"$15\r\n1700000000000-1\r\n");
        player.now.0 += 5;
        assert_eq!(player.run("XADD k * a 1"), b"$15\r\n1700000000005-0\r\n");
        player.now.0 -= 100;
        assert_eq!(player.run("XADD k * a 1"), b"$15\r\n1700000000005-1\r\n");
        let last = "XADD k 1700000000005-18446744073709551615 a 1";
        assert!(player.run(last).starts_with(b"$"));
        assert_eq!(player.run("XADD k * a 1"), b"$15\r\n1700000000006-0\r\n");
    }

    /// As `DEBUG DIGEST-VALUE` of redis-server 7.0.15 shows it; groups do not count.
    #[test]
    fn digest_is_that_of_redis() {
        let mut player = Player::new();
        player.run("XADD k 5-3 a 1 b x");
        player.run("XADD k 5-4 a 1 b x");
        player.run("XADD k 1000-0 c -70000");
        player.run("XDEL k 5-4");
        player.run("XGROUP CREATE k g 0");
        let digest = key_object::digest_of_value(&mut player.shard, DbIndex(0), b"k");
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0902dc120e64e266aed78d1ab8a8a8d72ed5835f");
    }

    #[test]
    fn changes_are_counted_and_told() {
        let mut player = Player::new();
        let mut options = *player.shard.options();
        options.events = EventClass::STREAM.and(EventClass::NEW);
        player.shard.set_options(options);
        let cases: [(&str, u64, &[&str]); 20] = [
            ("XADD k 1-1 a 1", 1, &["new", "xadd"]),
            ("XADD k 1-1 a 1", 0, &[]),
            ("XADD none NOMKSTREAM 1-1 a 1", 0, &[]),
            ("XADD k 1-2 a 1", 1, &["xadd"]),
            ("XADD k MAXLEN 2 1-3 a 1", 1, &["xadd", "xtrim"]),
            ("XTRIM k MAXLEN 2", 0, &[]),
            ("XTRIM k MAXLEN 1", 1, &["xtrim"]),
            ("XDEL k 1-1", 0, &[]),
            ("XDEL k 1-3 1-3", 1, &["xdel"]),
            ("XSETID k 2-2", 1, &["xsetid"]),
            ("XGROUP CREATE k g 0", 1, &["xgroup-create"]),
            ("XGROUP SETID k g 0", 1, &["xgroup-setid"]),
            ("XGROUP CREATECONSUMER k g c", 1, &["xgroup-createconsumer"]),
            ("XGROUP CREATECONSUMER k g c", 0, &[]),
            ("XREADGROUP GROUP g d STREAMS k >", 0, &[]),
            ("XADD k 3-3 a 1", 1, &["xadd"]),
            (
                "XREADGROUP GROUP g d STREAMS k >",
                2,
                &["xgroup-createconsumer"],
            ),
            ("XCLAIM k g c 0 3-3", 1, &[]),
            ("XACK k g 3-3", 1, &[]),
            ("XGROUP DESTROY k g", 1, &["xgroup-destroy"]),
        ];
        for (request, count, names) in cases {
            let before = player.shard.stats().dirty;
            player.run(request);
            assert_eq!(player.shard.stats().dirty - before, count, "{request}");
            let events = player.shard.take_events();
            let told: Vec<_> = events.iter().map(|event| event.name).collect();
            assert_eq!(told, names, "{request}");
            assert!(
                events.iter().all(
                    |event| event.class == EventClass::STREAM || event.class == EventClass::NEW
                )
            );
        }
    }
}
