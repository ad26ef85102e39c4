//! Which statements about tables one client has sent to the shards of their names.
//!
//! They may come back, if a table is not there any more; see `late_statements`, which is not here.

use std::collections::VecDeque;

use net::output::{Output, Place};

/// Places of such statements whose replies may still be awaited, in the order in which they were sent.
#[derive(Debug, Default)]
pub(crate) struct SentHome(VecDeque<Place>);

impl SentHome {
    /// Notes the next one; forgets what was answered.
    pub(crate) fn push(&mut self, output: &Output, place: Place) {
        while self
            .0
            .front()
            .is_some_and(|first| !output.is_awaited(*first))
        {
            self.0.pop_front();
        }
        self.0.push_back(place);
    }

    /// Returns whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether one of them, sent before `place` if there is one, is neither answered nor back.
    /// O(statements that are awaited).
    pub(crate) fn is_away(
        &mut self,
        output: &Output,
        place: Option<Place>,
        is_back: impl Fn(Place) -> bool,
    ) -> bool {
        self.0
            .retain(|sent| output.is_awaited(*sent) && !is_back(*sent));
        let is_before = |sent: &Place| place.is_none_or(|place| sent.0 < place.0);
        self.0.iter().any(is_before)
    }
}
