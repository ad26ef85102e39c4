//! Serving requests of which a long word comes by itself.
//!
//! Not here: the word on its way ([`crate::large_input`]), all other requests ([`crate::pass`]).

use base::cast::usize_from_u32;
use protocol::args::{Args, LargeWord, WordRange};
use protocol::request::{Progress, RequestParser};

use crate::connection::State;
use crate::large_input::LargeInput;
use crate::pass::Pass;
use crate::{Service, Then};

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
        let mut large = LargeInput::new(connection.partial_words.len(), length);
        let (head, begun) = rest.split_at(position);
        large.take(begun);
        connection.input = head.to_vec();
        connection.large = Some(Box::new(large));
        true
    }

    /// Puts a long word that has come back among the bytes of its request, if the service takes it by
    /// itself no more: since it was asked the client may have become one whose requests are put off,
    /// for instance. O(bytes) then.
    pub(crate) fn review_large(
        &mut self,
        input: &mut Vec<u8>,
        service: &impl Service<Session = S>,
    ) {
        let connection = &mut *self.connection;
        let Some(large) = connection.large.take_if(|large| large.is_whole()) else {
            return;
        };
        let (before, after) = connection.partial_words.split_at(large.index);
        let start = after.first().map(|word| word.start);
        let start = start.expect("the word has its place in the request");
        if service.takes_large_word(connection, Args::new(input, before)) {
            connection.large = Some(large);
            return;
        }
        let rest = input.split_off(usize_from_u32(start));
        input.extend_from_slice(&large.bytes);
        input.extend_from_slice(b"\r\n");
        input.extend_from_slice(&rest);
        connection.partial_words.clear();
        connection.parser = RequestParser::new();
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
