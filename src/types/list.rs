//! Lists.

/// Lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {}

impl List {
    /// Returns whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Returns the name of the encoding.
    #[must_use]
    pub fn encoding_name(&self) -> &'static str {
        ""
    }

    /// Returns the bytes allocated.
    #[must_use]
    pub fn allocated_bytes(&self, _round: fn(usize) -> usize) -> usize {
        0
    }

    /// Frees a part; returns whether there is more.
    pub fn free_step(&mut self, _elements: usize) -> bool {
        false
    }

    /// Returns how many allocations there are to free.
    #[must_use]
    pub fn free_effort(&self) -> usize {
        0
    }
}
