//! Which statements about tables one client has under way, and what may go beside them.
//!
//! A connection does not wait for what it has sent to a shard. Two of its statements may be under way together only if
//! nobody can tell in which order they run, or if that is the order in which they were sent:
//!
//! ```text
//! both to the shard of the same table's name     they run there in order, or go back in order
//! each to the shard of one row, by its id        in order if it is one shard, and so if it is one row; rows are
//!                                                like keys: what is sent about several of them keeps no order
//! of tables with different names                 like different keys
//! anything else                                  no: the later one waits (`late_statements`)
//! ```
//! A statement may come back from its shard; then what was sent behind it comes back too (`coordinator::host`).
//!
//! Not here: what waits (`late_statements`), which way a statement takes (`statements`).

use std::collections::VecDeque;

use net::output::{Output, Place};

/// Where a statement goes that its connection does not wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    /// To the shard of its table's name.
    Home,
    /// To the shard of the only row that it concerns.
    ToRow,
}

/// Where it goes, and the hash of the table's name.
pub(crate) type Course = (u64, Goes);

/// The statements of one connection that are under way, with their places.
#[derive(Debug, Default)]
pub(crate) struct Away {
    /// In the order in which they were sent. Some may be answered already.
    sent: VecDeque<(Place, Course)>,
    /// How many of them take each course, never none.
    courses: Vec<(Course, usize)>,
}

impl Away {
    /// Notes the next one.
    pub(crate) fn push(&mut self, place: Place, course: Course) {
        self.sent.push_back((place, course));
        match self.courses.iter_mut().find(|(it, _)| *it == course) {
            Some((_, count)) => *count += 1,
            None => self.courses.push((course, 1)),
        }
    }

    /// Returns whether none is noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Returns whether a statement may go beside those that are under way: one with a course, or one that needs all to
    /// be over. May say no too often, if they are not answered in order. O(tables in use) with what was answered
    /// since.
    pub(crate) fn allows(&mut self, output: &Output, course: Option<Course>) -> bool {
        while let Some((place, _)) = self.sent.front()
            && !output.is_awaited(*place)
        {
            let course = self.sent.pop_front().map(|(_, course)| course);
            self.forget(course);
        }
        match course {
            Some(course) => {
                let is_other = |it: &Course| it.0 == course.0 && it.1 != course.1;
                !self.courses.iter().any(|(it, _)| is_other(it))
            }
            None => self.sent.is_empty(),
        }
    }

    /// Returns whether one of them, sent before `place` if there is one, is neither answered nor back.
    /// O(statements under way).
    pub(crate) fn has_any(
        &mut self,
        output: &Output,
        place: Option<Place>,
        is_back: impl Fn(Place) -> bool,
    ) -> bool {
        let mut over = Vec::new();
        self.sent.retain(|(sent, course)| {
            let is_away = output.is_awaited(*sent) && !is_back(*sent);
            if !is_away {
                over.push(*course);
            }
            is_away
        });
        for course in over {
            self.forget(Some(course));
        }
        let is_before = |sent: &Place| place.is_none_or(|place| sent.0 < place.0);
        self.sent.iter().any(|(sent, _)| is_before(sent))
    }

    fn forget(&mut self, course: Option<Course>) {
        if let Some((_, count)) = self.courses.iter_mut().find(|(it, _)| Some(*it) == course) {
            *count -= 1;
        }
        self.courses.retain(|(_, count)| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: u64 = 1;
    const OTHER: u64 = 2;

    #[test]
    fn what_takes_another_course_waits_for_the_answers() {
        let (mut away, mut output) = (Away::default(), Output::default());
        let courses = [
            Some((TABLE, Goes::Home)),
            Some((TABLE, Goes::ToRow)),
            Some((OTHER, Goes::ToRow)),
            None,
        ];
        let allowed =
            |away: &mut Away, output: &Output| courses.map(|course| away.allows(output, course));
        assert_eq!(allowed(&mut away, &output), [true; 4]);
        let first = output.defer();
        away.push(first, (TABLE, Goes::Home));
        assert_eq!(allowed(&mut away, &output), [true, false, true, false]);
        let second = output.defer();
        away.push(second, (OTHER, Goes::ToRow));
        output.fill(first, b"+OK\r\n");
        assert_eq!(allowed(&mut away, &output), [true, true, true, false]);
        output.fill(second, b"+OK\r\n");
        assert_eq!(allowed(&mut away, &output), [true; 4]);
        assert!(away.is_empty() && away.courses.is_empty());
    }

    #[test]
    fn one_that_came_back_is_not_away() {
        let (mut away, mut output) = (Away::default(), Output::default());
        let places = [output.defer(), output.defer()];
        for place in places {
            away.push(place, (TABLE, Goes::Home));
        }
        let is_back = |place| place == places[0];
        assert!(!away.has_any(&output, Some(places[1]), is_back));
        assert!(away.has_any(&output, None, is_back));
        output.fill(places[1], b"+OK\r\n");
        assert!(!away.has_any(&output, None, is_back));
    }
}
