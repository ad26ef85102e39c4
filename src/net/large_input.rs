//! A long word of a request, received by itself.
//!
//! The value of a SET is to become a value of the shard. Among the other bytes of its request it would
//! have to be copied there: half a gigabyte, every page of it new. So, as soon as the parser knows that
//! a long word follows, its bytes go to a vector of their own, which is moved to where it stays.
//!
//! ```text
//! bytes on the wire   *3 $3 SET $3 key $524288000 | the word .......... | crlf, more requests
//! input               *3 $3 SET $3 key $524288000                             more requests
//! LargeInput                                        the word ..........
//! ```
//!
//! Invariants
//! - Nothing is reserved for bytes that were announced and have not come: the vector grows with them.
//! - While a long word is not whole nothing of its connection is served.
//! - The service has said before that the command takes the word by itself; all others stay among the
//!   bytes of their request.
//!
//! Not here: when a word is received so, and how its request is served (`large_pass`).

/// A word of which so many bytes are still to come may be received by itself.
pub(crate) const LARGE_WORD_BYTES_MIN: usize = 256 * 1024;

/// Bytes behind a word that nobody looks at.
const WORD_END_BYTES: usize = 2;

/// A long word on its way. See the head of this file.
#[derive(Debug)]
pub(crate) struct LargeInput {
    /// Its place in the request.
    pub(crate) index: usize,
    /// What has come of it.
    pub(crate) bytes: Vec<u8>,
    /// What is still to come of it, without the two bytes behind it.
    missing: usize,
    /// What is still to come of those.
    end_missing: usize,
    /// Length of its request in the input, if the word is whole and the last one.
    pub(crate) request_bytes: Option<usize>,
}

impl LargeInput {
    /// Expects a word of `length` bytes, word `index` of its request.
    pub(crate) fn new(index: usize, length: usize) -> Self {
        Self {
            index,
            bytes: Vec::new(),
            missing: length,
            end_missing: WORD_END_BYTES,
            request_bytes: None,
        }
    }

    /// Takes what belongs to the word from the front of `bytes` and returns the rest.
    pub(crate) fn take<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (word, rest) = bytes.split_at(self.missing.min(bytes.len()));
        self.bytes.extend_from_slice(word);
        self.missing -= word.len();
        if self.missing > 0 {
            return rest;
        }
        let (end, rest) = rest.split_at(self.end_missing.min(rest.len()));
        self.end_missing -= end.len();
        rest
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.end_missing == 0
    }
}
