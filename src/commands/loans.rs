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

/// The values a request has taken out. See the head of this file.
#[derive(Debug, Default)]
pub struct Loans {
    list: Vec<Loan>,
    /// The first so many came from other shards and go back there.
    foreign: usize,
    /// Where each key stands, once there are many.
    index: Option<Box<Map<Box<[u8]>, usize>>>,
}

/// Names a loan of the request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoanId(usize);

impl Loans {
    /// Wraps the values that other shards have lent for a request.
    #[must_use]
    pub fn foreign(list: Vec<Loan>) -> Self {
        let mut loans = Self {
            foreign: list.len(),
            list,
            index: None,
        };
        loans.extend_index();
        loans
    }

    /// Returns the loan.
    #[must_use]
    pub fn get(&self, id: LoanId) -> &Loan {
        &self.list[id.0]
    }

    /// Returns the loan for change.
    pub fn get_mut(&mut self, id: LoanId) -> &mut Loan {
        &mut self.list[id.0]
    }

    /// Returns two loans, the first of them for change; `None` if they are the same.
    pub fn pair_mut(&mut self, one: LoanId, other: LoanId) -> Option<(&mut Loan, &mut Loan)> {
        let [one, other] = self.list.get_disjoint_mut([one.0, other.0]).ok()?;
        Some((one, other))
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        if let Some(index) = &self.index {
            return index.get(key).copied();
        }
        self.list.iter().position(|loan| *loan.key == *key)
    }

    fn push(&mut self, loan: Loan) -> usize {
        self.list.push(loan);
        self.extend_index();
        self.list.len() - 1
    }

    /// Brings the map up to date, once it is needed.
    fn extend_index(&mut self) {
        if self.list.len() > SEARCHED_MAX {
            let index = self.index.get_or_insert_default();
            for (at, loan) in self.list.iter().enumerate().skip(index.len()) {
                index.insert(loan.key.clone(), at);
            }
        }
    }

    /// Puts back what belongs to `shard`, and returns the rest.
    fn settle(self, shard: &mut Shard, db: DbIndex) -> Vec<Loan> {
        let mut list = self.list;
        for loan in list.drain(self.foreign..) {
            settle(shard, db, loan);
        }
        list
    }
}

impl Context<'_> {
    /// Takes the value of a key out until the request is over. A key that was borrowed already has
    /// the same loan. With `read` it counts as a hit or a miss, each time; what came from another shard
    /// was counted there the first time.
    pub fn borrow(&mut self, key: &[u8], read: bool) -> LoanId {
        if let Some(at) = self.loans.find(key) {
            let loan = &mut self.loans.list[at];
            if loan.note_use() && read {
                let mut db = self.shard.db(self.db);
                db.count_read(loan.value().is_some());
            }
            return LoanId(at);
        }
        let key = self.shard.key(key);
        let mut loan = self.shard.db(self.db).lend(key, read, self.touch);
        loan.note_use();
        LoanId(self.loans.push(loan))
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

/// Runs a command: writes exactly one reply, which may be its error, and puts back all that the handler
/// has borrowed. Returns the loans that belong to other shards.
#[inline]
pub fn run(command: &ShardCommand, context: &mut Context<'_>, args: Args<'_>) -> Vec<Loan> {
    let begun = context.reply.out.len();
    if let Err(error) = (command.run)(context, args) {
        context.reply.out.truncate(begun);
        context
            .reply
            .error(&error.text(command.declaration.name, args));
    }
    end(context)
}

/// Puts back all that a handler has borrowed. Returns the loans that belong to other shards.
#[inline]
pub fn end(context: &mut Context<'_>) -> Vec<Loan> {
    if context.loans.list.is_empty() {
        return Vec::new();
    }
    let loans = std::mem::take(&mut context.loans);
    loans.settle(context.shard, context.db)
}
