//! The words of one request: borrowed ([`Args`]) and owned ([`PackedArgs`]).
//!
//! Invariants
//! - A [`WordRange`] is relative to the first byte of its request, and lies inside it.
//!
//! A word of many megabytes may come apart from the others ([`LargeWord`]), so that it can be moved where
//! it is to stay.
//!
//! Not here: finding the words (`request`), what they mean (`commands`).

use std::ops::Index;

use base::cast::{u32_from, usize_from_u32};

/// Where one word lies, in bytes from the start of its request; `start <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordRange {
    /// First byte of the word.
    pub start: u32,
    /// One past its last byte.
    pub end: u32,
}

/// The words of one request, borrowed. Word 0 is the command's name.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    buffer: &'a [u8],
    words: &'a [WordRange],
}

impl<'a> Args<'a> {
    /// Looks at `words` inside `buffer`, which begins where the request begins.
    #[must_use]
    #[inline]
    pub const fn new(buffer: &'a [u8], words: &'a [WordRange]) -> Self {
        Self { buffer, words }
    }

    /// Number of words, the command's name included.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word at all.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The word at `index`, if there are that many.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.words
            .get(index)
            .map(|&range| slice(self.buffer, range))
    }

    /// The word at `index`, for those who know how many there are.
    ///
    /// # Panics
    ///
    /// If there are fewer words; the caller has checked the arity.
    #[must_use]
    #[inline]
    pub fn word(&self, index: usize) -> &'a [u8] {
        slice(self.buffer, self.words[index])
    }

    /// Bytes from the beginning of the request to the end of its last word.
    #[must_use]
    #[inline]
    pub fn span_bytes(&self) -> usize {
        self.words
            .last()
            .map_or(0, |range| usize_from_u32(range.end))
    }

    /// All words in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + use<'a> {
        let buffer = self.buffer;
        self.words.iter().map(move |&range| slice(buffer, range))
    }

    /// The words from `first` on; none if there are not that many.
    #[must_use]
    #[inline]
    pub fn from(&self, first: usize) -> Self {
        Self {
            buffer: self.buffer,
            words: self.words.get(first..).unwrap_or_default(),
        }
    }

    /// `count` words from `first` on; none if there are not that many.
    #[must_use]
    pub fn range(&self, first: usize, count: usize) -> Self {
        let range = first..first.saturating_add(count);
        Self {
            buffer: self.buffer,
            words: self.words.get(range).unwrap_or_default(),
        }
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.word(index)
    }
}

impl std::fmt::Debug for Args<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_list()
            .entries(self.iter().map(String::from_utf8_lossy))
            .finish()
    }
}

/// The words of one request, owned, in two allocations however many words there are.
///
/// For messages between cores and for the queue of `MULTI`. Keeps its memory over
/// [`PackedArgs::clear`]. All words together have at most 2^32 - 1 bytes, as in a request.
#[derive(Clone, Debug, Default)]
pub struct PackedArgs {
    bytes: Vec<u8>,
    words: Vec<WordRange>,
}

impl PackedArgs {
    /// No words.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            words: Vec::new(),
        }
    }

    /// Copies the words of `args`.
    #[must_use]
    pub fn from_args(args: Args<'_>) -> Self {
        let byte_count = args.iter().map(<[u8]>::len).sum();
        let mut packed = Self {
            bytes: Vec::with_capacity(byte_count),
            words: Vec::with_capacity(args.len()),
        };
        for word in args.iter() {
            packed.push_word(word);
        }
        packed
    }

    /// Appends one word.
    ///
    /// # Panics
    ///
    /// If the words together would exceed 2^32 - 1 bytes; requests are bounded below that.
    pub fn push_word(&mut self, word: &[u8]) {
        let start = u32_from(self.bytes.len());
        let end = u32_from(self.bytes.len() + word.len());
        self.bytes.extend_from_slice(word);
        self.words.push(WordRange { start, end });
    }

    /// Forgets all words, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.words.clear();
    }

    /// The words, borrowed.
    #[must_use]
    pub fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.words)
    }

    /// Bytes of memory held by the words, spare room included.
    #[must_use]
    pub const fn allocated_bytes(&self) -> usize {
        self.bytes.capacity() + self.words.capacity() * size_of::<WordRange>()
    }
}

/// A long word of a request that was received by itself, not among the others: an empty word stands in
/// its place.
#[derive(Debug)]
pub struct LargeWord {
    /// Its index.
    pub index: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Whether `word` is `upper` in any case. `upper` is ASCII capitals, digits or signs.
#[must_use]
#[inline]
pub fn equals_ignore_case(word: &[u8], upper: &str) -> bool {
    word.eq_ignore_ascii_case(upper.as_bytes())
}

#[inline]
fn slice(buffer: &[u8], range: WordRange) -> &[u8] {
    &buffer[usize_from_u32(range.start)..usize_from_u32(range.end)]
}

#[cfg(test)]
mod tests {
    use super::{Args, PackedArgs, WordRange, equals_ignore_case};

    #[test]
    fn packed_words_equal_the_borrowed_ones() {
        let words = [
            WordRange { start: 1, end: 4 },
            WordRange { start: 5, end: 5 },
            WordRange { start: 5, end: 8 },
        ];
        let args = Args::new(b".SET.key", &words);
        let packed = PackedArgs::from_args(args);
        let copied: Vec<&[u8]> = packed.args().iter().collect();
        assert_eq!(copied, [&b"SET"[..], b"", b"key"]);
        assert_eq!(&packed.args()[2], args.word(2));
        assert_eq!(format!("{args:?}"), r#"["SET", "", "key"]"#);
    }

    #[test]
    fn args_outside_the_request_are_absent() {
        let words = [WordRange { start: 0, end: 1 }];
        let args = Args::new(b"a", &words);
        assert_eq!(args.get(1), None);
        assert!(args.from(1).is_empty());
        assert!(args.from(7).is_empty());
        assert_eq!(args.from(0).len(), 1);
    }

    #[test]
    fn cleared_packed_args_are_empty() {
        let mut packed = PackedArgs::new();
        packed.push_word(b"GET");
        packed.clear();
        assert!(packed.args().is_empty());
        packed.push_word(b"x");
        assert_eq!(packed.args().word(0), b"x");
    }

    #[test]
    fn names_compare_without_case() {
        assert!(equals_ignore_case(b"gEt", "GET"));
        assert!(!equals_ignore_case(b"get ", "GET"));
    }
}
