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

use protocol::args::{Args, LargeWord, WordRange};
use protocol::request::{Progress, RequestParser};

use crate::connection::{Connection, State};
use crate::turn::Pass;
use crate::{Service, Then};

/// A word of which so many bytes are still to come may be received by itself.
pub(crate) const LARGE_WORD_BYTES_MIN: usize = 256 * 1024;

/// Bytes behind a word that nobody looks at.
const WORD_END_BYTES: usize = 2;

/// A long word on its way. See the head of this file.
#[derive(Debug)]
pub(crate) struct LargeInput {
    /// Its place in the request.
    index: usize,
    /// What has come of it.
    pub(crate) bytes: Vec<u8>,
    /// What is still to come of it, without the two bytes behind it.
    missing: usize,
    /// What is still to come of those.
    end_missing: usize,
    /// Length of its request in the input, if the word is whole and the last one.
    request_bytes: Option<usize>,
}

impl LargeInput {
    /// Takes what belongs to the word from the front of `bytes` and returns the rest.
    fn take<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
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

    fn is_whole(&self) -> bool {
        self.end_missing == 0
    }
}

impl<S> Connection<S> {
    /// Takes received bytes that cannot be served in place. Returns whether there may be something to
    /// serve now: not if they were a part of a long word.
    pub(crate) fn take_bytes(&mut self, bytes: &[u8]) -> bool {
        let Some(large) = &mut self.large else {
            self.input.extend_from_slice(bytes);
            return true;
        };
        let was_whole = large.is_whole();
        let rest = large.take(bytes);
        if !large.is_whole() {
            return false;
        }
        if !was_whole {
            large.request_bytes = self.parser.skip_open_word(&mut self.partial_words);
        }
        self.input.extend_from_slice(rest);
        true
    }
}

impl<S> Pass<'_, S> {
    /// Begins to receive a long word by itself, if the service takes it so. `rest` is its request as far
    /// as it has come; all of it is taken then.
    #[cold]
    pub(crate) fn begin_large(&mut self, rest: &[u8], service: &impl Service<Session = S>) -> bool {
        let connection = &mut *self.connection;
        let Some((position, length)) = connection.parser.open_word() else {
            return false;
        };
        let args = Args::new(rest, &connection.partial_words);
        if args.is_empty() || !service.takes_large_word(connection, args) {
            return false;
        }
        let mut large = LargeInput {
            index: connection.partial_words.len(),
            bytes: Vec::new(),
            missing: length,
            end_missing: WORD_END_BYTES,
            request_bytes: None,
        };
        let (head, begun) = rest.split_at(position);
        large.take(begun);
        connection.input = head.to_vec();
        connection.large = Some(Box::new(large));
        true
    }

    /// Serves the request of a long word that has come, if the rest of it has come too, and what follows
    /// it. Returns how many bytes of `input` are done with.
    pub(crate) fn run_large(
        &mut self,
        input: &[u8],
        service: &mut impl Service<Session = S>,
    ) -> usize {
        let request_bytes = match &self.connection.large {
            Some(large) if large.is_whole() => large.request_bytes,
            Some(_) | None => return 0,
        };
        let mut words = std::mem::take(&mut self.connection.partial_words);
        let consumed = match request_bytes {
            Some(bytes) => bytes,
            None => match self.parse_rest(input, &mut words) {
                Some(bytes) => bytes,
                None if self.connection.state == State::Closing => return input.len(),
                None => {
                    self.connection.partial_words = words;
                    return 0;
                }
            },
        };
        let Some(mut large) = self.connection.large.take() else {
            return 0;
        };
        large.bytes.shrink_to_fit();
        let word = LargeWord {
            index: large.index,
            bytes: large.bytes,
        };
        let args = Args::new(input, &words);
        match service.serve_large(self.id, self.connection, args, word) {
            Then::GoOn if !self.is_full() => consumed + self.run(&input[consumed..], service),
            Then::GoOn => consumed,
            Then::Wait => {
                self.connection.state = State::Waiting;
                consumed
            }
            Then::Close => {
                self.connection.state = State::Closing;
                input.len()
            }
        }
    }

    /// Parses the words behind a long one. Returns the length of the request; `None` if it is not whole,
    /// or wrong, and then the connection closes.
    fn parse_rest(&mut self, input: &[u8], words: &mut Vec<WordRange>) -> Option<usize> {
        let limits = self.limits();
        match self.connection.parser.parse(input, &limits, words) {
            Ok(Progress::Complete { consumed }) => Some(consumed),
            Ok(Progress::Incomplete { .. }) => None,
            Ok(Progress::Unquoted { .. }) => unreachable!("only inline requests have quotes"),
            Err(error) => {
                self.connection.large = None;
                self.connection.parser = RequestParser::new();
                self.refuse(&error.text());
                None
            }
        }
    }
}
