//! Entries that wait for an acknowledgement: listing them, and giving them to another consumer.

use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Reply;
use shard::effects::{Change, EventClass};
use types::stream::Stream;
use types::stream::group::{Claim, ConsumerId, Group, Pending};
use types::stream::id::Id;
use types::stream::log::Log;

use crate::error::NoGroupForm;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::stream_read::consumer_of;
use crate::stream_reply::{reply_entry, reply_id};
use crate::stream_words::{self, reply_counted};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(XPENDING, Spread::OneShard, xpending),
    ShardCommand::new(XCLAIM, Spread::OneShard, xclaim),
    ShardCommand::new(XAUTOCLAIM, Spread::OneShard, xautoclaim),
];

/// No key, or no group of this name.
const NO_GROUP: CommandError = CommandError::NoGroup(NoGroupForm::KeyOrGroup, 1, 2);

/// How many pending entries XAUTOCLAIM looks at for each it may return.
const LOOKED_AT_PER_COUNT: u64 = 10;

/// COUNT of XAUTOCLAIM without one, and the largest.
const CLAIM_COUNT: i64 = 100;
const CLAIM_COUNT_MAX: i64 = i64::MAX / 16;

/// The long form of XPENDING.
struct Listing<'a> {
    idle_ms_min: i64,
    start: Id,
    end: Id,
    count: usize,
    consumer: Option<&'a [u8]>,
}

fn xpending(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let listing = listing(args)?;
    let key = context.first_key(args);
    let now_ms = context.now.0;
    let mut db = context.shard.db(context.db);
    let stream = db.read::<Stream>(key, context.touch)?;
    let group = stream.and_then(|stream| stream.groups().get(args.word(2)));
    let group = group.ok_or(NO_GROUP)?;
    match listing {
        Some(listing) => list(&mut context.reply, group, &listing, now_ms),
        None => summarize(&mut context.reply, group),
    }
    Ok(())
}

/// Reads the words of the long form; nothing if there are none.
fn listing(args: Args<'_>) -> Result<Option<Listing<'_>>, CommandError> {
    if args.len() == 3 {
        return Ok(None);
    }
    if args.len() < 6 || args.len() > 9 {
        return Err(CommandError::Syntax);
    }
    let mut at = 3;
    let mut idle_ms_min = 0;
    if equals_ignore_case(args.word(3), "IDLE") {
        idle_ms_min = words::integer_or_refuse(args.word(4))?;
        if args.len() < 8 {
            return Err(CommandError::Syntax);
        }
        at = 5;
    }
    let count = words::integer_or_refuse(args.word(at + 2))?;
    Ok(Some(Listing {
        idle_ms_min,
        start: stream_words::start(args.word(at))?,
        end: stream_words::end(args.word(at + 1))?,
        count: usize::try_from(count).unwrap_or(0),
        consumer: args.get(at + 3),
    }))
}

/// Answers with count, first and last id, and how many entries each consumer has.
fn summarize(reply: &mut Reply<'_>, group: &Group) {
    reply.array(4);
    reply.integer(base::cast::i64_from(group.pending_count()));
    let Some((first, last)) = group.pending_bounds() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, first);
    reply_id(reply, last);
    reply_counted(reply, stream_words::array, |reply| {
        let consumers = group.consumers();
        let busy = consumers.filter(|consumer| consumer.pending_count() > 0);
        busy.map(|consumer| {
            reply.array(2);
            reply.bulk(&consumer.name);
            reply.integer_bulk(base::cast::i64_from(consumer.pending_count()));
        })
        .count()
    });
}

fn list(reply: &mut Reply<'_>, group: &Group, listing: &Listing<'_>, now_ms: i64) {
    let Some(name) = listing.consumer else {
        let entries = group.pending_from(listing.start);
        return list_entries(reply, group, listing, now_ms, entries);
    };
    match group.find_consumer(name) {
        Some(id) => {
            let entries = group.pending_of(group.consumer(id), listing.start);
            list_entries(reply, group, listing, now_ms, entries);
        }
        None => reply.array(0),
    }
}

fn list_entries<'a>(
    reply: &mut Reply<'_>,
    group: &Group,
    listing: &Listing<'_>,
    now_ms: i64,
    entries: impl Iterator<Item = (Id, &'a Pending)>,
) {
    let idle = |entry: &Pending| now_ms.saturating_sub(entry.delivered_at_ms);
    let wanted = entries
        .take_while(|(id, _)| *id <= listing.end)
        .filter(|(_, entry)| listing.idle_ms_min == 0 || idle(entry) >= listing.idle_ms_min)
        .take(listing.count);
    reply_counted(reply, stream_words::array, |reply| {
        wanted
            .map(|(id, entry)| {
                reply.array(4);
                reply_id(reply, id);
                reply.bulk(&group.consumer(entry.consumer).name);
                reply.integer(idle(entry).max(0));
                reply.integer(entry.delivery_count.cast_signed());
            })
            .count()
    });
}

/// How entries change hands.
struct Terms {
    idle_ms_min: i64,
    delivered_at_ms: i64,
    delivery_count: Option<u64>,
    is_forced: bool,
    only_ids: bool,
    last_id: Id,
}

/// The part of a claim that is the same for all entries.
struct Claiming<'a> {
    log: &'a Log,
    /// The name of the consumer, and its id once it has got an entry. As in Redis, one that gets
    /// nothing is neither made nor seen.
    name: &'a [u8],
    consumer: Option<ConsumerId>,
    /// The event of making it.
    event: Option<(EventClass, &'static str)>,
    terms: Terms,
    now_ms: i64,
}

/// What has become of an entry that was to be claimed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claimed {
    Given,
    /// It is gone from the stream, and is not pending any more.
    Removed,
    /// It stays as it was.
    Kept,
}

fn xclaim(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let now_ms = context.now.0;
    let reply = &mut context.reply;
    let mut db = context.shard.db(context.db);
    let claimed = db.edit(key, |stream: &mut Stream| {
        let parts = stream.parts_mut();
        let log = &parts.log;
        let claimed = parts.groups.edit(args.word(2), |group| {
            let (ids, terms) = claim_words(args, now_ms)?;
            let claiming = Claiming::new(log, args.word(3), terms, now_ms);
            Ok(claiming.claim_all(group, args, ids, reply))
        });
        match claimed {
            Some(Ok(change)) => (Ok(()), change),
            Some(Err(error)) => (Err(error), Change::NONE),
            None => (Err(NO_GROUP), Change::NONE),
        }
    })?;
    claimed.ok_or(NO_GROUP)?
}

/// Reads the words of XCLAIM behind the consumer; returns the index behind the last id, and the rest.
fn claim_words(args: Args<'_>, now_ms: i64) -> Result<(usize, Terms), CommandError> {
    let number = |index: usize, refusal: &'static str| {
        words::integer(args.word(index)).ok_or(CommandError::Text(refusal))
    };
    let idle_ms_min = number(4, "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
    let ids = (5..args.len())
        .find(|&index| stream_words::id(args.word(index)).is_err())
        .unwrap_or(args.len());
    let mut terms = Terms {
        idle_ms_min,
        delivered_at_ms: -1,
        delivery_count: None,
        is_forced: false,
        only_ids: false,
        last_id: Id::MIN,
    };
    let mut index = ids;
    while let Some(word) = args.get(index) {
        let has_more = index + 1 < args.len();
        let value = index + 1;
        if equals_ignore_case(word, "FORCE") {
            terms.is_forced = true;
            index += 1;
            continue;
        } else if equals_ignore_case(word, "JUSTID") {
            terms.only_ids = true;
            index += 1;
            continue;
        } else if has_more && equals_ignore_case(word, "IDLE") {
            let idle = number(value, "ERR Invalid IDLE option argument for XCLAIM")?;
            terms.delivered_at_ms = now_ms.wrapping_sub(idle);
        } else if has_more && equals_ignore_case(word, "TIME") {
            terms.delivered_at_ms = number(value, "ERR Invalid TIME option argument for XCLAIM")?;
        } else if has_more && equals_ignore_case(word, "RETRYCOUNT") {
            let count = number(value, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
            terms.delivery_count = u64::try_from(count).ok();
        } else if has_more && equals_ignore_case(word, "LASTID") {
            terms.last_id = stream_words::id(args.word(value))?;
        } else {
            return Err(CommandError::UnknownClaimOption(index));
        }
        index += 2;
    }
    // Without a time, and with one that cannot be, entries are delivered now.
    if terms.delivered_at_ms < 0 || terms.delivered_at_ms > now_ms {
        terms.delivered_at_ms = now_ms;
    }
    Ok((ids, terms))
}

impl<'a> Claiming<'a> {
    fn new(log: &'a Log, name: &'a [u8], terms: Terms, now_ms: i64) -> Self {
        Self {
            log,
            name,
            consumer: None,
            event: None,
            terms,
            now_ms,
        }
    }

    /// Claims the entries of XCLAIM, whose ids are the words before `ids_end`.
    fn claim_all(
        mut self,
        group: &mut Group,
        args: Args<'_>,
        ids_end: usize,
        reply: &mut Reply<'_>,
    ) -> Change {
        let mut changes = usize::from(group.raise_last_id(self.terms.last_id));
        reply_counted(reply, stream_words::array, |reply| {
            let mut given = 0;
            let words = args.iter().take(ids_end).skip(5);
            for id in words.filter_map(|word| stream_words::id(word).ok()) {
                let claimed = self.claim(group, id, reply);
                changes += usize::from(claimed != Claimed::Kept);
                given += usize::from(claimed == Claimed::Given);
            }
            given
        });
        self.change(changes)
    }

    /// Returns the change that claims of entries amount to.
    fn change(&self, changes: usize) -> Change {
        Change::unwatched(changes + usize::from(self.event.is_some()), self.event)
    }

    fn consumer(&mut self, group: &mut Group) -> ConsumerId {
        if let Some(consumer) = self.consumer {
            return consumer;
        }
        let (consumer, event) = consumer_of(group, self.name, self.now_ms);
        self.consumer = Some(consumer);
        self.event = event;
        consumer
    }

    /// Gives one entry to the consumer, and answers with it.
    fn claim(&mut self, group: &mut Group, id: Id, reply: &mut Reply<'_>) -> Claimed {
        let pending = group.pending(id).copied();
        let Some(entry) = self.log.entry(id) else {
            return match pending {
                Some(_) => {
                    group.acknowledge(id);
                    Claimed::Removed
                }
                None => Claimed::Kept,
            };
        };
        let delivery_count = match pending {
            Some(pending) => {
                let idle = self.now_ms.saturating_sub(pending.delivered_at_ms);
                if self.terms.idle_ms_min > 0 && idle < self.terms.idle_ms_min {
                    return Claimed::Kept;
                }
                pending.delivery_count
            }
            // An entry that is made pending has been delivered once.
            None if self.terms.is_forced => 1,
            None => return Claimed::Kept,
        };
        let consumer = self.consumer(group);
        let terms = &self.terms;
        let raised = delivery_count.wrapping_add(u64::from(!terms.only_ids));
        let claim = Claim {
            consumer,
            delivered_at_ms: terms.delivered_at_ms,
            delivery_count: terms.delivery_count.unwrap_or(raised),
        };
        group.claim(id, claim);
        if terms.only_ids {
            reply_id(reply, id);
        } else {
            reply_entry(reply, entry);
        }
        Claimed::Given
    }
}

/// The words of XAUTOCLAIM behind the consumer.
struct AutomaticClaim {
    start: Id,
    count: u64,
    terms: Terms,
}

fn xautoclaim(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let now_ms = context.now.0;
    let mut words = Some(automatic_claim_words(args, now_ms)?);
    let key = context.first_key(args);
    let reply = &mut context.reply;
    let mut db = context.shard.db(context.db);
    let claimed = db.edit(key, |stream: &mut Stream| {
        let parts = stream.parts_mut();
        let log = &parts.log;
        let change = parts.groups.edit(args.word(2), |group| {
            let words = words.take()?;
            Some(claim_next(reply, log, group, args.word(3), words, now_ms))
        });
        match change.flatten() {
            Some(change) => (Ok(()), change),
            None => (Err(NO_GROUP), Change::NONE),
        }
    })?;
    claimed.ok_or(NO_GROUP)?
}

fn automatic_claim_words(args: Args<'_>, now_ms: i64) -> Result<AutomaticClaim, CommandError> {
    let refusal = CommandError::Text("ERR Invalid min-idle-time argument for XAUTOCLAIM");
    let idle_ms_min = words::integer(args.word(4)).ok_or(refusal)?.max(0);
    let start = stream_words::start(args.word(5))?;
    let mut count = CLAIM_COUNT;
    let mut only_ids = false;
    let mut index = 6;
    while let Some(word) = args.get(index) {
        if equals_ignore_case(word, "COUNT")
            && let Some(number) = args.get(index + 1)
        {
            count = words::integer(number)
                .filter(|count| (1..=CLAIM_COUNT_MAX).contains(count))
                .ok_or(CommandError::Text("ERR COUNT must be > 0"))?;
            index += 2;
        } else if equals_ignore_case(word, "JUSTID") {
            only_ids = true;
            index += 1;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(AutomaticClaim {
        start,
        count: count.unsigned_abs(),
        terms: Terms {
            idle_ms_min,
            delivered_at_ms: now_ms,
            delivery_count: None,
            is_forced: false,
            only_ids,
            last_id: Id::MIN,
        },
    })
}

/// Claims the next pending entries that have waited long enough. Answers with the id to go on from,
/// the entries, and the ids of those that are gone from the stream.
fn claim_next(
    reply: &mut Reply<'_>,
    log: &Log,
    group: &mut Group,
    name: &[u8],
    words: AutomaticClaim,
    now_ms: i64,
) -> Change {
    let mut claiming = Claiming::new(log, name, words.terms, now_ms);
    let mut left = words.count;
    let mut looks = words.count.saturating_mul(LOOKED_AT_PER_COUNT);
    let mut next = group.pending_from(words.start).next().map(|(id, _)| id);
    let mut removed = Vec::new();
    let mut entries = Vec::new();
    let mut given = 0;
    let mut out = Reply::new(&mut entries, reply.resp);
    while let Some(id) = next
        && left > 0
        && looks > 0
    {
        looks -= 1;
        match claiming.claim(group, id, &mut out) {
            Claimed::Given => given += 1,
            Claimed::Removed => removed.push(id),
            Claimed::Kept => left += 1,
        }
        left -= 1;
        let behind = id.next();
        next = behind.and_then(|start| Some(group.pending_from(start).next()?.0));
    }
    reply.array(3);
    reply_id(reply, next.unwrap_or(Id::MIN));
    reply.array(given);
    reply.raw(&entries);
    reply.array(removed.len());
    removed.iter().for_each(|id| reply_id(reply, *id));
    claiming.change(given + removed.len())
}

const GROUP: Argument = Argument::text("group");

const CONSUMER: Argument = Argument::text("consumer");

const IDLE_MIN: Argument = Argument::text("min-idle-time");

const XPENDING: Declaration = Declaration::new("xpending", Arity::AtLeast(3), Flags::READONLY)
    .categories(&[Category::Stream])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .tips(&["nondeterministic_output"])
    .docs(
        Docs::new(
            "stream",
            "5.0.0",
            "Lists the entries of a group that were delivered and not acknowledged, or sums them up.",
            "O(N), N being the number of entries listed or skipped; in sum O(C), C being the number \
             of consumers.",
        )
        .history(&[("6.2.0", "IDLE was added, and ids may be excluded.")])
        .arguments(&[
            Argument::KEY,
            GROUP,
            Argument::block(
                "filters",
                &[
                    Argument::integer("min-idle-time")
                        .with_token("IDLE")
                        .since("6.2.0")
                        .optional(),
                    Argument::text("start"),
                    Argument::text("end"),
                    Argument::integer("count"),
                    CONSUMER.optional(),
                ],
            )
            .optional(),
        ]),
    );

const XCLAIM: Declaration =
    Declaration::new("xclaim", Arity::AtLeast(6), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Stream])
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "stream",
                "5.0.0",
                "Gives pending entries to another consumer of the group.",
                "O(M*log(P)), M being the number of ids, P that of pending entries.",
            )
            .arguments(&[
                Argument::KEY,
                GROUP,
                CONSUMER,
                IDLE_MIN,
                Argument::text("id").multiple(),
                Argument::integer("ms").with_token("IDLE").optional(),
                Argument::unix_time("unix-time-milliseconds")
                    .with_token("TIME")
                    .optional(),
                Argument::integer("count")
                    .with_token("RETRYCOUNT")
                    .optional(),
                Argument::token("force", "FORCE").optional(),
                Argument::token("justid", "JUSTID").optional(),
                Argument::text("id").with_token("LASTID").optional(),
            ]),
        );

const XAUTOCLAIM: Declaration = Declaration::new(
    "xautoclaim",
    Arity::AtLeast(6),
    Flags::WRITE.and(Flags::FAST),
)
.categories(&[Category::Stream])
.keys(&[KeySpec::at(1, &["RW", "delete"])])
.tips(&["nondeterministic_output"])
.docs(
    Docs::new(
        "stream",
        "6.2.0",
        "Gives the next entries that have been pending for long to another consumer of the group.",
        "O(M), M being the number of entries looked at, at most ten times COUNT.",
    )
    .history(&[(
        "7.0.0",
        "Entries that were deleted from the stream are no longer pending then, and listed.",
    )])
    .arguments(&[
        Argument::KEY,
        GROUP,
        CONSUMER,
        IDLE_MIN,
        Argument::text("start"),
        Argument::integer("count").with_token("COUNT").optional(),
        Argument::token("justid", "JUSTID").optional(),
    ]),
);

#[cfg(test)]
mod tests {
    use crate::transcripts::Player;

    fn player() -> Player {
        let mut player = Player::new();
        player.run("XADD k 1-1 a 1");
        player.run("XADD k 1-2 a 2");
        player.run("XGROUP CREATE k g 0");
        player.run("XREADGROUP GROUP g c COUNT 1 STREAMS k >");
        player.now.0 += 1000;
        player.run("XREADGROUP GROUP g c COUNT 1 STREAMS k >");
        player.now.0 += 500;
        player
    }

    #[test]
    fn entries_are_idle_since_their_delivery() {
        let mut player = player();
        let all = b"*2\r\n*4\r\n$3\r\n1-1\r\n$1\r\nc\r\n:1500\r\n:1\r\n\
                    *4\r\n$3\r\n1-2\r\n$1\r\nc\r\n:500\r\n:1\r\n";
        assert_eq!(player.run("XPENDING k g - + 10"), all);
        assert_eq!(player.run("XPENDING k g IDLE 500 - + 10"), all);
        let old = b"*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nc\r\n:1500\r\n:1\r\n";
        assert_eq!(player.run("XPENDING k g IDLE 501 - + 10"), old);
        assert_eq!(player.run("XPENDING k g IDLE 1501 - + 10"), b"*0\r\n");
        assert_eq!(player.run("XREADGROUP GROUP g c STREAMS k 1-1"), {
            b"*1\r\n*2\r\n$1\r\nk\r\n*1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n"
        });
        let again = b"*1\r\n*4\r\n$3\r\n1-2\r\n$1\r\nc\r\n:0\r\n:2\r\n";
        assert_eq!(player.run("XPENDING k g (1-1 + 10"), again);
    }

    #[test]
    fn claims_ask_for_idle_entries_and_set_their_times() {
        let mut player = player();
        assert_eq!(player.run("XCLAIM k g d 501 1-2"), b"*0\r\n");
        let claimed = b"*1\r\n$3\r\n1-2\r\n";
        assert_eq!(player.run("XCLAIM k g d 500 1-2 JUSTID IDLE 70"), claimed);
        let pending = b"*1\r\n*4\r\n$3\r\n1-2\r\n$1\r\nd\r\n:70\r\n:1\r\n";
        assert_eq!(player.run("XPENDING k g - + 10 d"), pending);
        player.run("XCLAIM k g d 0 1-2 TIME 1700000001400 RETRYCOUNT 9");
        let pending = b"*1\r\n*4\r\n$3\r\n1-2\r\n$1\r\nd\r\n:100\r\n:9\r\n";
        assert_eq!(player.run("XPENDING k g - + 10 d"), pending);
        let next = b"*3\r\n$3\r\n0-0\r\n*1\r\n$3\r\n1-1\r\n*0\r\n";
        assert_eq!(player.run("XAUTOCLAIM k g e 1000 0 JUSTID"), next);
        let seen =
            b"*3\r\n*6\r\n$4\r\nname\r\n$1\r\nc\r\n$7\r\npending\r\n:0\r\n$4\r\nidle\r\n:500\r\n\
                     *6\r\n$4\r\nname\r\n$1\r\nd\r\n$7\r\npending\r\n:1\r\n$4\r\nidle\r\n:0\r\n\
                     *6\r\n$4\r\nname\r\n$1\r\ne\r\n$7\r\npending\r\n:1\r\n$4\r\nidle\r\n:0\r\n";
        assert_eq!(player.run("XINFO CONSUMERS k g"), seen);
    }
}
