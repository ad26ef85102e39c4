//! Values of several keys at once, for handlers; and the one place that calls handlers.
//!
//! A handler asks for the value of a key with [`Context::borrow`] and gets a number; under it the value
//! stays reachable, for reading and for change, until the handler is over. Then every value goes back
//! to its key ([`run`]). Whether the key lives on this shard or came with the request from another one
//! makes no difference to the handler.
//!
//! Errors of handlers need no care: what was borrowed goes back in any case, and the coordinator gets
//! back what it sent.

use base::hash::Map;
use base::ids::DbIndex;
use protocol::args::Args;
use shard::Shard;
use shard::loan::Loan;

use crate::spec::{Context, ShardCommand};

/// Beyond this many loans they are found by a map.
const SEARCHED_MAX: usize = 16;

/// The values a request has taken out; most requests take none, and pay for a null pointer. See the
/// head of this file.
#[derive(Debug, Default)]
pub struct Loans(Option<Box<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    list: Vec<Loan>,
    /// The first so many came from other shards and go back there.
    foreign: usize,
    /// Where each key stands, once there are many.
    index: Option<Map<Box<[u8]>, usize>>,
}

/// Names a loan of the request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoanId(usize);

impl Loans {
    /// Wraps the values that other shards have lent for a request.
    #[must_use]
    pub fn foreign(list: Vec<Loan>) -> Self {
        let mut taken = Taken {
            foreign: list.len(),
            list,
            index: None,
        };
        taken.extend_index();
        Self(Some(Box::new(taken)))
    }

    /// Returns whether nothing was borrowed.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the loan.
    ///
    /// # Panics
    ///
    /// If the id is of another request.
    #[must_use]
    pub fn get(&self, id: LoanId) -> &Loan {
        let taken = self.0.as_ref().expect(OF_ANOTHER_REQUEST);
        &taken.list[id.0]
    }

    /// Returns the loan for change.
    ///
    /// # Panics
    ///
    /// If the id is of another request.
    pub fn get_mut(&mut self, id: LoanId) -> &mut Loan {
        let taken = self.0.as_mut().expect(OF_ANOTHER_REQUEST);
        &mut taken.list[id.0]
    }

    /// Returns two loans for change; `None` if they are the same.
    pub fn pair_mut(&mut self, one: LoanId, other: LoanId) -> Option<(&mut Loan, &mut Loan)> {
        let taken = self.0.as_mut()?;
        let [one, other] = taken.list.get_disjoint_mut([one.0, other.0]).ok()?;
        Some((one, other))
    }

    fn find(&mut self, key: &[u8]) -> Option<(LoanId, &mut Loan)> {
        let taken = self.0.as_mut()?;
        let at = match &taken.index {
            Some(index) => *index.get(key)?,
            None => taken.list.iter().position(|loan| *loan.key == *key)?,
        };
        Some((LoanId(at), &mut taken.list[at]))
    }

    fn push(&mut self, loan: Loan) -> LoanId {
        let taken = self.0.get_or_insert_default();
        taken.list.push(loan);
        taken.extend_index();
        LoanId(taken.list.len() - 1)
    }
}

const OF_ANOTHER_REQUEST: &str = "the id of a loan is used within its request";

impl Taken {
    /// Brings the map up to date, once it is needed.
    fn extend_index(&mut self) {
        if self.list.len() > SEARCHED_MAX {
            let index = self.index.get_or_insert_default();
            for (at, loan) in self.list.iter().enumerate().skip(index.len()) {
                index.insert(loan.key.clone(), at);
            }
        }
    }
}

impl Context<'_> {
    /// Takes the value of a key out until the request is over. A key that was borrowed already has
    /// the same loan. With `read` it counts as a hit or a miss, each time; what came from another shard
    /// was counted there the first time.
    pub fn borrow(&mut self, key: &[u8], read: bool) -> LoanId {
        if let Some((id, loan)) = self.loans.find(key) {
            if loan.note_use() && read {
                let mut db = self.shard.db(self.db);
                db.count_read(loan.value().is_some());
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
    if let Err(error) = (command.run)(context, args) {
        context.reply.out.truncate(begun);
        context
            .reply
            .error(&error.text(command.declaration.name, args));
    }
}

/// Puts back all that a handler has borrowed. Returns the loans that belong to other shards.
pub fn end(context: &mut Context<'_>) -> Vec<Loan> {
    let Some(mut taken) = context.loans.0.take() else {
        return Vec::new();
    };
    for loan in taken.list.drain(taken.foreign..) {
        settle(context.shard, context.db, loan);
    }
    taken.list
}
