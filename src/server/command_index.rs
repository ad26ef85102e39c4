//! How commands are numbered, for arrays with an element per command.

/// Position of a command in the [`crate::table::CommandTable`] and in statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandIndex(pub u16);

impl CommandIndex {
    /// Returns the position in an array with one element per command.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
