//! The one place that calls handlers, and how these reach values of several keys at once.
//!
//! A handler asks for the value of a key with [`Context::borrow`] and gets a number; under it the value
//! stays reachable, for reading and for change, until the handler is over. Then every value goes back
//! to its key ([`end`]). Whether the key lives on this shard or came with the request from another one
//! makes no difference to the handler.
//!
//! Errors of handlers need no care: what was borrowed goes back in any case, and the coordinator gets
//! back what it sent.

use std::ops::Range;

use base::ids::DbIndex;
use protocol::args::{Args, LargeWord};
use protocol::reply::Reply;
use shard::entry::ValueRef;
use shard::loan::Loan;
use shard::{Key, Shard};
use types::Value;

use crate::loans::LoanId;
use crate::long_change::{LongChange, LongEnd, Work};
use crate::long_reply::{Course, LongReply, Reach, Walk};
use crate::pieces::Pieces;
use crate::spec::{CommandError, Context, Flags, ShardCommand, Spread};
use crate::taken::{Order, Taken};

impl Context<'_> {
    /// Takes the value of a key out until the request is over. A key that was borrowed already has
    /// the same loan. With `read` it counts as a hit or a miss, each time; what came from another shard
    /// was counted there the first time.
    pub fn borrow(&mut self, key: &[u8], read: bool) -> LoanId {
        if let Some((id, loan)) = self.loans.find(key) {
            if loan.note_use() && read {
                let key = self.shard.key(key);
                let mut db = self.shard.db(self.db);
                db.count_read(key, loan.value().is_some());
            }
            return id;
        }
        let key = self.shard.key(key);
        let mut loan = self.shard.db(self.db).lend(key, read, self.touch);
        loan.note_use();
        self.loans.push(loan)
    }

    /// As [`Context::borrow`] for many keys, in order.
    pub fn borrow_all<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k [u8]>,
        read: bool,
    ) -> Vec<LoanId> {
        keys.map(|key| self.borrow(key, read)).collect()
    }
}

impl Context<'_> {
    /// Leaves the reply to be made in steps. The handler has written nothing and writes nothing more.
    pub(crate) fn reply_later(&mut self, reply: LongReply) {
        self.loans.answer_later(reply);
    }

    /// Leaves the reply to a walk over the value of word 1. `head` writes what stands before its elements.
    pub(crate) fn walk(&mut self, course: Course, head: impl FnOnce(&mut Reply<'_>)) {
        self.walk_over(vec![1], course, head);
    }

    /// As [`Context::walk`], over the values of these words, all different keys.
    pub(crate) fn walk_over(
        &mut self,
        keys: Vec<usize>,
        course: Course,
        head: impl FnOnce(&mut Reply<'_>),
    ) {
        let bytes = self.head(head);
        self.reply_later(LongReply::Walk(Walk::new(bytes, course, keys)));
    }

    /// Leaves the reply to steps over what has left its key. `head` writes what stands before its elements.
    pub(crate) fn reply_taken(
        &mut self,
        value: Value,
        order: Order,
        head: impl FnOnce(&mut Reply<'_>),
    ) {
        let bytes = self.head(head);
        self.reply_later(LongReply::Taken(Taken::new(bytes, value, order)));
    }

    /// Leaves all to steps over the values of these words, all different keys. The handler has changed nothing.
    pub(crate) fn change_later(&mut self, keys: Vec<usize>, work: impl Work + 'static) {
        let change = Box::new(LongChange::new(keys, Box::new(work)));
        self.reply_later(LongReply::Change(change));
    }

    fn head(&self, head: impl FnOnce(&mut Reply<'_>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        head(&mut Reply::new(&mut bytes, self.reply.resp));
        bytes
    }

    /// Replies with a part of a long string, by a share of it; `key` holds it.
    #[cold]
    pub(crate) fn reply_with_share(&mut self, key: Key<'_>, part: Range<usize>) {
        let Some(bytes) = self.shard.db(self.db).share_string(key) else {
            self.reply.null();
            return;
        };
        let mut pieces = Pieces::default();
        pieces.bulk(bytes, part);
        self.reply_later(LongReply::Pieces(pieces));
    }
}

/// Puts a loan back to its key.
pub fn settle(shard: &mut Shard, db: DbIndex, loan: Loan) {
    let bytes = loan.key.clone();
    let key = shard.key(&bytes);
    shard.db(db).settle(key, loan);
}

/// Runs a command: writes exactly one reply, which may be its error. What the handler has borrowed is
/// still to be put back, by [`end`].
#[inline]
pub fn run(command: &ShardCommand, context: &mut Context<'_>, args: Args<'_>) {
    let begun = context.reply.out.len();
    if let Err(error) = call(command, context, args) {
        write_error(command, context, (begun, error), args);
    }
}

/// Writes an error in the place of what was written since `begun`.
fn write_error(
    command: &ShardCommand,
    context: &mut Context<'_>,
    (begun, error): (usize, CommandError),
    args: Args<'_>,
) {
    context.reply.out.truncate(begun);
    let text = error.text(command.declaration.name, args);
    context.reply.error(&text);
}

/// Calls the handler.
#[inline]
pub(crate) fn call(
    command: &ShardCommand,
    context: &mut Context<'_>,
    args: Args<'_>,
) -> Result<(), CommandError> {
    if context.shard.is_recording() {
        return tell_run(command, context, args, |context| {
            (command.run)(context, args)
        });
    }
    (command.run)(context, args)
}

/// Does what changes values for a command so that the change of a large one is told by its words, if they say all.
#[cold]
fn tell_run<R>(
    command: &ShardCommand,
    context: &mut Context<'_>,
    args: Args<'_>,
    change: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    let is_told = command.spread == Spread::OneShard
        && command.declaration.flags.has(Flags::WRITE)
        && !command.told_whole;
    if !is_told {
        return change(context);
    }
    context.shard.begin_told_run();
    let result = change(context);
    let name = command.declaration.name.as_bytes();
    let words = (0..args.len()).map(|index| if index == 0 { name } else { args.word(index) });
    context.shard.end_told_run(context.db, words);
    result
}

/// As [`run`], for a request of which a long word came by itself. The command takes it.
///
/// # Panics
///
/// If the command does not take that word by itself; who has received it has asked.
pub fn run_large(
    command: &ShardCommand,
    context: &mut Context<'_>,
    args: Args<'_>,
    large: LargeWord,
) {
    let taken = command.large.filter(|taken| taken.word == large.index);
    let taken = taken.expect("the command takes this word by itself");
    let begun = context.reply.out.len();
    if let Err(error) = (taken.run)(context, args, large.bytes) {
        write_error(command, context, (begun, error), args);
    }
}

/// Takes the reply that a handler has left to be made in steps.
pub fn take_later(context: &mut Context<'_>) -> Option<Box<LongReply>> {
    context.loans.take_later()
}

/// Makes at once what a handler has left to be made in steps, where there are none.
pub fn finish_now(context: &mut Context<'_>, args: Args<'_>, command: &ShardCommand) {
    if let Some(later) = context.loans.take_later() {
        make_now(context, args, command, *later);
    }
}

/// Makes at once the change that a handler has left to be made in steps, if it has. A reply that is left is nobody's.
pub(crate) fn change_now(context: &mut Context<'_>, args: Args<'_>, command: &ShardCommand) {
    if let Some(later) = context.loans.take_later()
        && let LongReply::Change(_) = *later
    {
        make_now(context, args, command, *later);
    }
}

/// Ends a change that was made in steps: puts what they have made in place, and the values back. Writes the reply, or
/// returns what makes it. `context` is that of the request, with nothing borrowed.
pub fn finish_change(
    change: LongChange,
    command: &ShardCommand,
    context: &mut Context<'_>,
    args: Args<'_>,
) -> Option<LongEnd> {
    let begun = context.reply.out.len();
    let result = tell_run(command, context, args, |context| {
        change.put((context.shard, context.db), &mut context.reply, args)
    });
    result.unwrap_or_else(|error| {
        write_error(command, context, (begun, error), args);
        None
    })
}

fn make_now(context: &mut Context<'_>, args: Args<'_>, command: &ShardCommand, later: LongReply) {
    match later {
        LongReply::Pieces(mut pieces) => while pieces.step(context.reply.out) {},
        LongReply::Walk(walk) => walk_now(context, args, walk),
        LongReply::Taken(mut taken) => {
            while taken.step(&mut context.reply) {}
            context.shard.free_later(taken.into_value());
        }
        LongReply::Change(mut change) => {
            // What the handler has borrowed to look at is not changed.
            end(context);
            let resp = context.reply.resp;
            change.take_out((context.shard, resp), context.db, args);
            while change.step(context.shard, resp) {}
            match finish_change(*change, command, context, args) {
                None => {}
                Some(LongEnd::Pieces(pieces)) => {
                    make_now(context, args, command, LongReply::Pieces(pieces));
                }
                Some(LongEnd::Taken(taken)) => {
                    make_now(context, args, command, LongReply::Taken(taken));
                }
            }
        }
        LongReply::Statement(Reach::Here, scope) => crate::table::run_whole(context, scope, args),
        // Others have to be asked, whoever wants it at once.
        LongReply::Statement(Reach::Everywhere, scope) => {
            context.reply_later(LongReply::Statement(Reach::Everywhere, scope));
        }
    }
}

fn walk_now(context: &mut Context<'_>, args: Args<'_>, mut walk: Walk) {
    let of_loan = |word: &usize| context.loans.value_of(args.word(*word));
    let lent: Vec<Option<&Value>> = walk.keys().iter().map(of_loan).collect();
    if lent.iter().any(Option::is_some) {
        make_whole(&mut walk, &lent, &mut context.reply);
        return;
    }
    // What was not borrowed is the value of word 1, in its place.
    let key = context.first_key(args);
    if let Some(entry) = context.shard.db(context.db).peek(key)
        && let ValueRef::Other(value) = entry.value()
    {
        make_whole(&mut walk, &[Some(&value)], &mut context.reply);
    }
}

fn make_whole(walk: &mut Walk, values: &[Option<&Value>], reply: &mut Reply<'_>) {
    while walk.step(values, reply) {
        if let Some(mut rest) = walk.take_rest() {
            while rest.step(reply.out) {}
            return;
        }
    }
}

/// Puts back all that a handler has borrowed. Returns the loans that belong to other shards.
pub fn end(context: &mut Context<'_>) -> Vec<Loan> {
    let (own, foreign) = context.loans.take();
    for loan in own {
        settle(context.shard, context.db, loan);
    }
    foreign
}
