//! Where the entries of a snapshot go.
//!
//! Not here: which entries and when ([`crate::snapshot`]), and what the sinks make of them (the server).

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use ::tables::walk::Piece;
use base::ids::DbIndex;
use types::Value;

use crate::entry::EntryRef;

/// Takes the entries of a snapshot, and the rows of tables if it says so.
pub trait Sink {
    /// Takes an entry of the database that had this number when the snapshot began.
    fn entry(&mut self, db: DbIndex, entry: EntryRef<'_>);

    /// Returns whether it takes large values in parts, and long strings as a share.
    fn takes_parts(&self) -> bool {
        false
    }

    /// Returns what has to stand before the value of an entry that it gets in parts or as a share, for [`Sink::begin`] or
    /// [`Sink::shared`].
    fn head(&mut self, _db: DbIndex, _entry: EntryRef<'_>) -> Vec<u8> {
        Vec::new()
    }

    /// Takes an entry that is a long string.
    fn shared(&mut self, _head: Vec<u8>, _bytes: Arc<Vec<u8>>) {}

    /// Begins with a value that comes in parts; the one before has ended. Between two parts others may come whole.
    fn begin(&mut self, _head: Vec<u8>) {}

    /// Takes a part of the value that has begun, or if `is_rest` all that is left of it. Returns whether there is more.
    fn part(&mut self, _value: &Value, _is_rest: bool) -> bool {
        false
    }

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
