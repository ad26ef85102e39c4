//! Reading from several streams at once: XREAD and XREADGROUP. How they wait, and their place in the
//! table of commands: [`crate::stream_wait`].
//!
//! A request with BLOCK that finds nothing asks to wait ([`crate::waiting`]) and has changed nothing: as
//! in Redis, a consumer is made when it is answered.

use base::clock::UnixMillis;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};
use shard::effects::{Change, EventClass};
use types::stream::group::{ConsumerId, Group, Reading};
use types::stream::id::Id;
use types::stream::log::Log;
use types::stream::{Parts, Stream};

use crate::error::NoGroupForm;
use crate::keys;
use crate::loans::LoanId;
use crate::long_reply::Course;
use crate::spec::{
    Argument, Arity, BeginSearch, Category, CommandError, Context, Declaration, Docs, FindKeys,
    Flags, KeySpec,
};
use crate::stream::long_range;
use crate::stream_reply::{reply_entry, reply_id};
use crate::stream_words::{self, reply_counted};
use crate::wait_form::{Timeout, Waiting};
use crate::waiting;
use crate::words;

/// The words of a request, read.
pub(crate) struct Request<'a> {
    /// The most entries of each stream; 0 for no limit.
    count_max: u64,
    /// How long it may wait, with BLOCK.
    pub(crate) timeout: Option<Timeout>,
    /// Words of group and consumer.
    pub(crate) group: Option<(usize, &'a [u8], &'a [u8])>,
    keeps_pending: bool,
    /// Index of the first key; the ids follow the keys.
    pub(crate) keys_at: usize,
    pub(crate) stream_count: usize,
}

/// From where on a stream is read.
#[derive(Clone, Copy)]
enum From {
    /// Entries behind this one; with a group, what is pending for the consumer behind it.
    Behind(Id),
    /// Entries that the group has not delivered yet.
    New,
}

pub(crate) fn xread(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let request = parse(args, false)?;
    check_keys(&request, args, &XREAD)?;
    let mut wanted = Vec::with_capacity(request.stream_count);
    for index in 0..request.stream_count {
        let loan = context.borrow(args.word(request.keys_at + index), counts(context));
        let stream = context.loans.get(loan).typed::<Stream>()?;
        let last_id = stream.map_or(Id::MIN, |stream| stream.log().last_id());
        let from = match args.word(request.keys_at + request.stream_count + index) {
            b"$" => last_id,
            b">" => {
                return Err(CommandError::Text(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP \
                     <group> <consumer> option.",
                ));
            }
            word => stream_words::id(word)?,
        };
        wanted.push((loan, from));
    }
    if let &[(loan, from)] = &wanted[..]
        && let Some(course) = long_course(context, loan, from, &request)
    {
        answer_later(context, args, request.keys_at, course);
        return Ok(());
    }
    let begun = context.reply.out.len();
    let mut answered = 0;
    let loans = &context.loans;
    reply_counted(&mut context.reply, open_streams, |reply| {
        for (index, (loan, from)) in wanted.iter().enumerate() {
            let Ok(Some(stream)) = loans.get(*loan).typed::<Stream>() else {
                continue;
            };
            if !has_entries_behind(stream.log(), *from) {
                continue;
            }
            open_stream(reply, args.word(request.keys_at + index));
            reply_counted(reply, stream_words::array, |reply| {
                let entries = from.next().map(|start| stream.log().range(start, Id::MAX));
                let entries = entries.into_iter().flatten().take(request.taken());
                entries.map(|entry| reply_entry(reply, entry)).count()
            });
            answered += 1;
        }
        answered
    });
    if answered == 0 {
        context.reply.out.truncate(begun);
        nothing(context, &request);
    }
    Ok(())
}

/// Plans the entries behind `from` of one stream; nothing if they are few.
fn long_course(
    context: &Context<'_>,
    loan: LoanId,
    from: Id,
    request: &Request<'_>,
) -> Option<(Course, usize)> {
    let start = from.next()?;
    let stream = context.loans.get(loan).typed::<Stream>().ok()??;
    let left = long_range(stream, (start, Id::MAX), request.taken())?;
    let course = Course::Stream {
        start,
        end: Id::MAX,
        left,
        is_backward: false,
    };
    Some((course, left))
}

/// Answers with one stream in steps; its key is word `key_at`.
fn answer_later(
    context: &mut Context<'_>,
    args: Args<'_>,
    key_at: usize,
    (course, count): (Course, usize),
) {
    context.walk_over(vec![key_at], course, |reply| {
        open_streams(reply, 1);
        open_stream(reply, args.word(key_at));
        reply.array(count);
    });
}

pub(crate) fn xreadgroup(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let request = parse(args, true)?;
    let Some((group_at, group, consumer)) = request.group else {
        return Err(CommandError::Text(
            "ERR Missing GROUP option for XREADGROUP",
        ));
    };
    check_keys(&request, args, &XREADGROUP)?;
    let (wanted, has_answer) = resolve(context, args, &request, group_at, group)?;
    if !has_answer {
        nothing(context, &request);
        return Ok(());
    }
    let begun = context.reply.out.len();
    let mut answered = 0;
    let now = context.now;
    let loans = &mut context.loans;
    reply_counted(&mut context.reply, open_streams, |reply| {
        for (index, &(loan, from)) in wanted.iter().enumerate() {
            let key = args.word(request.keys_at + index);
            let read = loans.get_mut(loan).edit(|stream: &mut Stream| {
                let reader = Reader {
                    key,
                    group,
                    consumer,
                    from,
                    now,
                };
                reader.read(stream.parts_mut(), &request, reply)
            });
            answered += usize::from(matches!(read, Ok(Some(true))));
        }
        answered
    });
    if answered == 0 {
        context.reply.out.truncate(begun);
        nothing(context, &request);
    }
    Ok(())
}

/// Returns whether looks at keys count as hits and misses.
fn counts(context: &Context<'_>) -> bool {
    context.waiting != Waiting::Again
}

/// Finds the streams of an XREADGROUP and from where each is read; returns too whether one of them
/// has something to answer with.
fn resolve(
    context: &mut Context<'_>,
    args: Args<'_>,
    request: &Request<'_>,
    group_at: usize,
    group: &[u8],
) -> Result<(Vec<(LoanId, From)>, bool), CommandError> {
    let mut wanted = Vec::with_capacity(request.stream_count);
    let mut has_answer = false;
    for index in 0..request.stream_count {
        let key_at = request.keys_at + index;
        let loan = context.borrow(args.word(key_at), counts(context));
        let stream = context.loans.get(loan).typed::<Stream>();
        if context.waiting == Waiting::Again && !matches!(stream, Ok(Some(_))) {
            return Err(CommandError::Text(
                "UNBLOCKED the stream key no longer exists",
            ));
        }
        let stream = stream?;
        let found = stream.and_then(|stream| Some((stream, stream.groups().get(group)?)));
        let Some((stream, found)) = found else {
            if context.waiting == Waiting::Again {
                return Err(CommandError::Text(
                    "NOGROUP the consumer group this client was blocked on no longer exists",
                ));
            }
            let form = NoGroupForm::Reading;
            return Err(CommandError::NoGroup(form, key_at, group_at));
        };
        let from = match args.word(key_at + request.stream_count) {
            b"$" => {
                return Err(CommandError::Text(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read \
                     the history of this consumer by specifying a proper ID, or use the > ID to \
                     get new messages. The $ ID would just return an empty result set.",
                ));
            }
            b">" => From::New,
            word => match stream_words::id(word)? {
                // The largest id is how Redis keeps `>`.
                Id::MAX => From::New,
                id => From::Behind(id),
            },
        };
        has_answer |= match from {
            From::New => has_entries_behind(stream.log(), found.last_id()),
            From::Behind(_) => true,
        };
        wanted.push((loan, from));
    }
    Ok((wanted, has_answer))
}

/// One stream of an XREADGROUP.
struct Reader<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    from: From,
    now: UnixMillis,
}

impl Reader<'_> {
    /// Reads one stream; answers with key and entries, and returns whether it did.
    fn read(
        &self,
        parts: &mut Parts,
        request: &Request<'_>,
        reply: &mut Reply<'_>,
    ) -> (bool, Change) {
        let log = &parts.log;
        let read = parts.groups.edit(self.group, |group| {
            self.read_group(log, group, request, reply)
        });
        // The caller has seen the group.
        read.unwrap_or((false, Change::NONE))
    }

    fn read_group(
        &self,
        log: &Log,
        group: &mut Group,
        request: &Request<'_>,
        reply: &mut Reply<'_>,
    ) -> (bool, Change) {
        let now_ms = self.now.0;
        let is_answered = match self.from {
            From::New => has_entries_behind(log, group.last_id()),
            From::Behind(_) => true,
        };
        if !is_answered {
            return (false, Change::NONE);
        }
        let (consumer, event) = consumer_of(group, self.consumer, now_ms);
        let changes = 1 + usize::from(event.is_some());
        let reading = Reading {
            consumer,
            count_max: request.count_max,
            now_ms,
        };
        open_stream(reply, self.key);
        reply_counted(reply, stream_words::array, |reply| match self.from {
            From::New => group.deliver(log, reading, request.keeps_pending, |entry| {
                reply_entry(reply, entry);
            }),
            From::Behind(id) => {
                // Behind the largest id is nothing.
                let Some(start) = id.next() else {
                    return 0;
                };
                group.redeliver(log, reading, start, |id, entry| match entry {
                    Some(entry) => reply_entry(reply, entry),
                    None => {
                        reply.array(2);
                        reply_id(reply, id);
                        reply.null_array();
                    }
                })
            }
        });
        (true, Change::unwatched(changes, event))
    }
}

/// Finds or makes a consumer, which is seen now; returns the event of making it.
pub(crate) fn consumer_of(
    group: &mut Group,
    name: &[u8],
    now_ms: i64,
) -> (ConsumerId, Option<(EventClass, &'static str)>) {
    if let Some(consumer) = group.find_consumer(name) {
        group.note_seen(consumer, now_ms);
        return (consumer, None);
    }
    let created = group.create_consumer(name, now_ms);
    let consumer = created.expect("there is no consumer of this name");
    let event = (EventClass::STREAM, "xgroup-createconsumer");
    (consumer, Some(event))
}

/// Answers a request that has found nothing.
fn nothing(context: &mut Context<'_>, request: &Request<'_>) {
    if request.timeout.is_some() {
        context.wait_or(|reply| reply.null_array());
    } else {
        context.reply.null_array();
    }
}

pub(crate) fn has_entries_behind(log: &Log, id: Id) -> bool {
    log.last().is_some_and(|last| last.id > id)
}

/// Opens the reply: streams by key.
fn open_streams(reply: &mut Reply<'_>, len: usize) {
    match reply.resp {
        Resp::V2 => reply.array(len),
        Resp::V3 => reply.map(len),
    }
}

/// Opens the reply of one stream, before its entries.
fn open_stream(reply: &mut Reply<'_>, key: &[u8]) {
    if reply.resp == Resp::V2 {
        reply.array(2);
    }
    reply.bulk(key);
}

impl Request<'_> {
    fn taken(&self) -> usize {
        match self.count_max {
            0 => usize::MAX,
            count => base::cast::usize_from(count),
        }
    }
}

pub(crate) fn parse(args: Args<'_>, has_group: bool) -> Result<Request<'_>, CommandError> {
    let mut request = Request {
        count_max: 0,
        timeout: None,
        group: None,
        keeps_pending: true,
        keys_at: 0,
        stream_count: 0,
    };
    let mut index = 1;
    while index < args.len() {
        let word = args.word(index);
        let more = args.len() - 1 - index;
        if equals_ignore_case(word, "BLOCK") && more > 0 {
            request.timeout = Some(waiting::milliseconds(args.word(index + 1))?);
            index += 2;
        } else if equals_ignore_case(word, "COUNT") && more > 0 {
            let count = words::integer_or_refuse(args.word(index + 1))?;
            request.count_max = u64::try_from(count).unwrap_or(0);
            index += 2;
        } else if equals_ignore_case(word, "STREAMS") && more > 0 {
            request.keys_at = index + 1;
            break;
        } else if equals_ignore_case(word, "GROUP") && more >= 2 {
            if !has_group {
                return Err(CommandError::Text(
                    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD \
                     instead.",
                ));
            }
            request.group = Some((index + 1, args.word(index + 1), args.word(index + 2)));
            index += 3;
        } else if equals_ignore_case(word, "NOACK") {
            if !has_group {
                return Err(CommandError::Text(
                    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD \
                     instead.",
                ));
            }
            request.keeps_pending = false;
            index += 1;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if request.keys_at == 0 {
        return Err(CommandError::Syntax);
    }
    let words = args.len() - request.keys_at;
    if !words.is_multiple_of(2) {
        return Err(CommandError::Text(
            "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be \
             specified.",
        ));
    }
    request.stream_count = words / 2;
    Ok(request)
}

/// Refuses a request whose keys are not where its declaration finds them, behind the first word
/// STREAMS: a group or consumer of that name can come before. Only what was found may be used.
fn check_keys(
    request: &Request<'_>,
    args: Args<'_>,
    declaration: &Declaration,
) -> Result<(), CommandError> {
    if keys::first_key(declaration, args) == Some(request.keys_at) {
        Ok(())
    } else {
        Err(CommandError::Syntax)
    }
}

/// Keys behind the word STREAMS: the first half of the words.
const fn streams_from(index: i8) -> KeySpec {
    KeySpec {
        notes: "",
        flags: &["RO", "access"],
        begin: BeginSearch::Keyword("STREAMS", index),
        find: FindKeys::Range {
            last: -1,
            step: 1,
            limit: 2,
        },
    }
}

const STREAMS: Argument = Argument::block(
    "streams",
    &[Argument::KEY.multiple(), Argument::text("id").multiple()],
)
.with_token("STREAMS");

const COUNT: Argument = Argument::integer("count").with_token("COUNT").optional();

const BLOCK: Argument = Argument::integer("milliseconds")
    .with_token("BLOCK")
    .optional();

pub(crate) const XREAD: Declaration = Declaration::new(
    "xread",
    Arity::AtLeast(4),
    Flags::READONLY
        .and(Flags::BLOCKING)
        .and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::Stream])
.keys(&[streams_from(1)])
.docs(
    Docs::new(
        "stream",
        "5.0.0",
        "Returns the entries of several streams that are behind given ids.",
        "O(N), N being the number of entries returned.",
    )
    .arguments(&[COUNT, BLOCK, STREAMS]),
);

pub(crate) const XREADGROUP: Declaration = Declaration::new(
    "xreadgroup",
    Arity::AtLeast(7),
    Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::Stream])
.keys(&[streams_from(4)])
.docs(
    Docs::new(
        "stream",
        "5.0.0",
        "Delivers new entries of several streams to a consumer of a group, or again those that wait \
         for its acknowledgement.",
        "O(M*log(P)), M being the number of entries returned, P that of pending ones.",
    )
    .arguments(&[
        Argument::block(
            "group_consumer",
            &[Argument::text("group"), Argument::text("consumer")],
        )
        .with_token("GROUP"),
        COUNT,
        BLOCK,
        Argument::token("noack", "NOACK").optional(),
        STREAMS,
    ]),
);

#[cfg(test)]
mod tests {
    use crate::transcripts::Player;

    #[test]
    fn a_read_that_may_not_wait_is_answered_with_nothing_and_changes_nothing() {
        let mut player = Player::new();
        player.run("XADD k 1-1 a 1");
        player.run("XGROUP CREATE k g $");
        for request in [
            "XREAD BLOCK 0 STREAMS k $",
            "XREAD BLOCK 10 COUNT 1 STREAMS k none 1-1 0",
            "XREADGROUP GROUP g c BLOCK 0 STREAMS k >",
        ] {
            assert_eq!(player.run(request), b"*-1\r\n");
        }
        assert_eq!(player.run("XINFO CONSUMERS k g"), b"*0\r\n");
        assert_eq!(player.run("XREAD STREAMS k $"), b"*-1\r\n");
        assert!(player.run("XREAD BLOCK 0 STREAMS k 0").starts_with(b"*1"));
    }

    /// Keys are found by the first word STREAMS, so a name cannot be allowed to look like it.
    #[test]
    fn a_group_named_streams_is_refused_behind_other_options() {
        let mut player = Player::new();
        player.run("XADD k 1-1 a 1");
        player.run("XGROUP CREATE k streams 0");
        let request = "XREADGROUP COUNT 1 GROUP streams c STREAMS k >";
        assert_eq!(player.run(request), b"-ERR syntax error\r\n");
        let request = "XREADGROUP GROUP streams c COUNT 1 STREAMS k >";
        assert!(player.run(request).starts_with(b"*1"));
    }
}
