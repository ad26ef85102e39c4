//! What follows from changes: records, if anybody wants them, and memory that is freed later.

use crate::effects::Record;
use crate::table::Garbage;

/// What changes leave behind: records, if anybody wants them, and memory to be freed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    is_recording: bool,
    records: Vec<Record>,
    garbage: Vec<Garbage>,
}

impl Changes {
    pub(crate) fn set_recording(&mut self, is_recording: bool) {
        self.is_recording = is_recording;
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.is_recording
    }

    /// Adds a record, if anybody wants it.
    #[inline]
    pub(crate) fn record(&mut self, record: impl FnOnce() -> Record) {
        if self.is_recording {
            self.records.push(record());
        }
    }

    pub(crate) fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Takes over what is to be freed.
    pub(crate) fn free(&mut self, garbage: Vec<Garbage>) {
        self.garbage.extend(garbage);
    }

    /// Frees up to so many parts, each a chunk or a block; returns whether there is more.
    pub(crate) fn free_step(&mut self, parts: usize) -> bool {
        for _ in 0..parts {
            match self.garbage.last_mut() {
                None => return false,
                Some(last) => {
                    if !last.free_step() {
                        self.garbage.pop();
                    }
                }
            }
        }
        !self.garbage.is_empty()
    }
}
