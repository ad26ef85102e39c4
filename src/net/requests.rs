//! A batch of parsed requests of one connection, borrowed from its input.

use base::cast::usize_from_u32;
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

    /// Returns word 1 of each request, if it has one.
    pub fn second_words(&self) -> impl ExactSizeIterator<Item = Option<&'a [u8]>> {
        let (buffer, words) = (self.buffer, self.words);
        self.spans.iter().map(move |span| {
            if span.word_count < 2 {
                return None;
            }
            let word = words.get(span.first_word + 1)?;
            let (start, end) = (usize_from_u32(word.start), usize_from_u32(word.end));
            buffer.get(span.start + start..span.start + end)
        })
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
