//! Commands that change much, or compute long before they answer, a step at a time.
//!
//! A handler that finds its work long does none of it and leaves a [`LongChange`]. The shard claims the keys of the
//! request, takes the values out and does a step per turn, while it serves others in between. When all is done, what
//! has become of the values is put in place in one go: nobody sees half of it.
//!
//! ```text
//! handler -> take_out -> step, step ... step -> finish: values back, result in place, reply
//! ```
//!
//! Unlike a walk it does not depend on its client: what has begun is done, whether the client stays or not, so no
//! later request of it can be done without an earlier one.
//!
//! Where no steps are possible, inside MULTI and in scripts, all is done at once (`run::finish_now`).
//!
//! Invariants
//! - A step costs some hundreds of microseconds at most, unless a single element is long.
//! - Until [`LongChange::put`] nothing has changed but the values that are away.
//!
//! Not here: what is done in a step (`long_pop`, `set_steps`, `sorted_set_steps`, `sort::steps`, `name_steps`), how it
//! ends for the log (`run::finish_change`), and who takes the steps (`coordinator::host::changes`).

use std::fmt;

use base::ids::DbIndex;
use protocol::args::Args;
use protocol::reply::{Reply, Resp};
use shard::Shard;
use shard::effects::{Change, EventClass};
use shard::keyspace::Expiry;
use shard::loan::Loan;
use types::Value;

use crate::error::CommandError;
use crate::pieces::Pieces;
use crate::taken::Taken;

/// See the head of this file.
#[derive(Debug)]
pub struct LongChange {
    /// The words that name the keys of its values, all different.
    keys: Vec<usize>,
    /// The values of these keys, once they are taken out.
    loans: Vec<Loan>,
    work: Box<dyn Work>,
}

/// What is done in steps.
pub(crate) trait Work: fmt::Debug {
    /// Returns whether the keys of the request stay claimed while it is done: not if it has none.
    fn needs_claim(&self) -> bool {
        true
    }

    /// Begins, in the call in which the command has run.
    fn begin(&mut self, _shard: &mut Shard, _db: DbIndex, _resp: Resp) {}

    /// Does a part. `loans` are the values of the keys, in their order. Returns whether there is more.
    fn step(&mut self, shard: &mut Shard, loans: &mut [Loan], resp: Resp) -> bool;

    /// Puts what the steps have made in place. Writes the reply, or returns what makes it.
    ///
    /// # Errors
    ///
    /// What the client has done wrong; nothing has changed then.
    fn finish(
        self: Box<Self>,
        place: &mut Place<'_, '_>,
        args: Args<'_>,
    ) -> Result<Option<LongEnd>, CommandError>;
}

/// What makes the reply when a change is over, if that is long.
#[derive(Debug)]
pub enum LongEnd {
    /// Bytes.
    Pieces(Pieces),
    /// What has left its key, or never had one.
    Taken(Taken),
}

/// Where a change ends.
pub(crate) struct Place<'p, 'r> {
    pub(crate) shard: &'p mut Shard,
    pub(crate) db: DbIndex,
    pub(crate) reply: &'p mut Reply<'r>,
    loans: Vec<Loan>,
}

impl Place<'_, '_> {
    /// Returns the value of a key that was taken out.
    pub(crate) fn loan(&mut self, key: &[u8]) -> Option<&mut Loan> {
        self.loans.iter_mut().find(|loan| *loan.key == *key)
    }

    /// Takes the value of a key out as well, if it is not.
    pub(crate) fn borrow(&mut self, key: &[u8]) {
        if self.loan(key).is_none() {
            let key = self.shard.key(key);
            self.loans
                .push(self.shard.db(self.db).lend(key, false, false));
        }
    }

    /// Makes `value` that of a key; see [`put_result`].
    pub(crate) fn put(
        &mut self,
        key: &[u8],
        value: Option<Value>,
        (change, event): (Change, (EventClass, &'static str)),
    ) {
        let loan = self.loans.iter_mut().find(|loan| *loan.key == *key);
        put_result((self.shard, self.db), (key, loan), value, (change, event));
    }
}

/// Makes `value` that of a key in the place of what it holds; without one the key is removed. `loan` is what it holds
/// if that is away. `change` is what it counts as if it is on loan.
pub(crate) fn put_result(
    (shard, db): (&mut Shard, DbIndex),
    (key, loan): (&[u8], Option<&mut Loan>),
    value: Option<Value>,
    (change, (class, name)): (Change, (EventClass, &'static str)),
) {
    let Some(loan) = loan else {
        let key = shard.key(key);
        let mut db = shard.db(db);
        if let Some(value) = value {
            db.store(key, value, Expiry::Clear);
            db.event(class, name, key);
        } else if db.remove(key) {
            db.event(EventClass::GENERIC, "del", key);
        }
        return;
    };
    if value.is_none() && loan.value().is_none() {
        return;
    }
    let change = if value.is_some() {
        change
    } else {
        Change::UNTOLD
    };
    if let Some(old) = loan.replace(value, change) {
        shard.free_later(old);
    }
}

impl LongChange {
    /// Plans work on the values of these words, all different keys.
    pub(crate) fn new(keys: Vec<usize>, work: Box<dyn Work>) -> Self {
        Self {
            keys,
            loans: Vec::new(),
            work,
        }
    }

    /// Takes the values out; their keys are claimed exclusively until the change is finished, or all is done in this
    /// call of the shard.
    pub fn take_out(&mut self, (shard, resp): (&mut Shard, Resp), db: DbIndex, args: Args<'_>) {
        self.work.begin(shard, db, resp);
        // The handler has counted and noted the access.
        let lend = |&word: &usize| {
            let key = shard.key(args.word(word));
            shard.db(db).lend(key, false, false)
        };
        self.loans = self.keys.iter().map(lend).collect();
    }

    /// Returns whether the keys of the request stay claimed while it is done: not if it has none.
    #[must_use]
    pub fn needs_claim(&self) -> bool {
        self.work.needs_claim()
    }

    /// Does a part of the work. Returns whether there is more.
    pub fn step(&mut self, shard: &mut Shard, resp: Resp) -> bool {
        self.work.step(shard, &mut self.loans, resp)
    }

    /// Puts what the steps have made in place, and the values back. Writes the reply, or returns what makes it.
    pub(crate) fn put(
        self,
        (shard, db): (&mut Shard, DbIndex),
        reply: &mut Reply<'_>,
        args: Args<'_>,
    ) -> Result<Option<LongEnd>, CommandError> {
        let mut place = Place {
            shard,
            db,
            reply,
            loans: self.loans,
        };
        let end = self.work.finish(&mut place, args);
        for loan in place.loans {
            let name = loan.key.clone();
            let key = shard.key(&name);
            shard.db(db).settle(key, loan);
        }
        end
    }
}
