//! A batch of parsed requests of one connection, borrowed from its input.

use protocol::args::{Args, WordRange};

/// One request of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Where the request begins in the input; its words are relative to this.
    pub start: usize,
    /// Index of its first word.
    pub first_word: usize,
    /// Number of its words, at least 1.
    pub word_count: usize,
    /// Where the next request begins in the input.
    pub end: usize,
}

/// Parsed requests, in the order they came in; never empty.
#[derive(Clone, Copy, Debug)]
pub struct Requests<'a> {
    /// The input that the spans are parts of.
    pub buffer: &'a [u8],
    /// The words of all requests, one after the other.
    pub words: &'a [WordRange],
    /// The requests.
    pub spans: &'a [Span],
}

impl<'a> Requests<'a> {
    /// Returns how many requests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the words of request `index`.
    #[inline]
    #[must_use]
    pub fn args(&self, index: usize) -> Args<'a> {
        let span = self.spans[index];
        Args::new(
            &self.buffer[span.start..],
            &self.words[span.first_word..span.first_word + span.word_count],
        )
    }
}
