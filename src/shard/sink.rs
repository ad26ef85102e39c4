//! Where the entries of a snapshot go.
//!
//! Not here: which entries and when ([`crate::snapshot`]), and what the sinks make of them (the server).

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use ::tables::walk::Piece;
use base::ids::DbIndex;

use crate::entry::EntryRef;

/// Takes the entries of a snapshot, and the rows of tables if it says so.
pub trait Sink {
    /// Takes an entry of the database that had this number when the snapshot began.
    fn entry(&mut self, db: DbIndex, entry: EntryRef<'_>);

    /// Returns whether it takes the rows of tables too.
    fn takes_rows(&self) -> bool {
        false
    }

    /// Takes rows of tables.
    fn rows(&mut self, _piece: Piece) {}

    /// Returns whether it has room for the entries of one more step. Those that change come in any case.
    fn has_room(&mut self) -> bool;

    /// Returns whether a step should end though it has handed on fewer entries than it may, as those were large.
    fn has_enough(&self) -> bool {
        false
    }

    /// Takes note that all entries have come. Returns whether it is done with them; it is asked again
    /// until it is.
    fn end(&mut self) -> bool;
}

/// A sink that the dicts of a shard share.
#[derive(Clone)]
pub struct SharedSink(Rc<RefCell<dyn Sink>>);

impl SharedSink {
    /// Shares a sink.
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self(Rc::new(RefCell::new(sink)))
    }

    /// Returns whether both are the same sink.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Calls `work` with the sink, which never calls back.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut dyn Sink) -> R) -> R {
        work(&mut *self.0.borrow_mut())
    }
}

impl fmt::Debug for SharedSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSink")
    }
}
