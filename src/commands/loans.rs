//! The values of several keys that a request has taken out.
//!
//! Not here: taking them out and putting them back ([`crate::run`]).

use base::hash::Map;
use shard::loan::Loan;
use types::Value;

use crate::long_reply::LongReply;

/// Beyond this many loans they are found by a map.
const SEARCHED_MAX: usize = 16;

/// The values a request has taken out; most requests take none, and pay for a null pointer.
#[derive(Debug, Default)]
pub struct Loans(Option<Box<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    list: Vec<Loan>,
    /// The first so many came from other shards and go back there.
    foreign: usize,
    /// Where each key stands, once there are many.
    index: Option<Map<Box<[u8]>, usize>>,
    /// The reply, if it is made in steps.
    later: Option<Box<LongReply>>,
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
            later: None,
        };
        taken.extend_index();
        Self(Some(Box::new(taken)))
    }

    /// Leaves the reply to be made in steps. It stands here because what nearly no request has should
    /// cost nothing in [`crate::spec::Context`].
    pub(crate) fn answer_later(&mut self, reply: LongReply) {
        self.0.get_or_insert_default().later = Some(Box::new(reply));
    }

    /// Takes the reply that is to be made in steps.
    pub(crate) fn take_later(&mut self) -> Option<Box<LongReply>> {
        self.0.as_mut()?.later.take()
    }

    /// Returns whether nothing was borrowed, and the reply not left for later.
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

    /// Returns the value of a key that was borrowed; `None` if it was not, or there is no such key.
    #[must_use]
    pub(crate) fn value_of(&self, key: &[u8]) -> Option<&Value> {
        let taken = self.0.as_ref()?;
        let at = taken.place_of(key)?;
        taken.list[at].value()
    }

    /// Returns whether values of other shards are among them.
    #[must_use]
    pub(crate) fn has_foreign(&self) -> bool {
        self.0.as_ref().is_some_and(|taken| taken.foreign > 0)
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

    pub(crate) fn find(&mut self, key: &[u8]) -> Option<(LoanId, &mut Loan)> {
        let taken = self.0.as_mut()?;
        let at = taken.place_of(key)?;
        Some((LoanId(at), &mut taken.list[at]))
    }

    pub(crate) fn push(&mut self, loan: Loan) -> LoanId {
        let taken = self.0.get_or_insert_default();
        taken.list.push(loan);
        taken.extend_index();
        LoanId(taken.list.len() - 1)
    }

    /// Leaves none behind; returns those of this shard, and those that other shards have lent.
    pub(crate) fn take(&mut self) -> (Vec<Loan>, Vec<Loan>) {
        match self.0.take() {
            Some(mut taken) => (taken.list.split_off(taken.foreign), taken.list),
            None => (Vec::new(), Vec::new()),
        }
    }
}

const OF_ANOTHER_REQUEST: &str = "the id of a loan is used within its request";

impl Taken {
    fn place_of(&self, key: &[u8]) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.list.iter().position(|loan| *loan.key == *key),
        }
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
}
