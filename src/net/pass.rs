//! One pass over what a connection has received: requests are taken apart and served.
//!
//! Not here: where the bytes come from and where replies go ([`crate::turn`]), long words that come by
//! themselves ([`crate::large_pass`]).

use base::limits::REQUESTS_PER_TURN_MAX;
use protocol::args::WordRange;
use protocol::request::{Progress, RequestLimits};
use runtime::socket_ring::SocketId;

use crate::connection::{Connection, State};
use crate::large_input::LARGE_WORD_BYTES_MIN;
use crate::options::{Counters, Options};
use crate::requests::{Requests, Span};
use crate::{Service, Then};

/// One pass over the input of one connection.
pub(crate) struct Pass<'a, S> {
    pub(crate) id: SocketId,
    pub(crate) connection: &'a mut Connection<S>,
    pub(crate) words: &'a mut Vec<WordRange>,
    pub(crate) request_words: &'a mut Vec<WordRange>,
    pub(crate) spans: &'a mut Vec<Span>,
    pub(crate) options: &'a Options,
    pub(crate) counters: &'a mut Counters,
}

impl<S> Pass<'_, S> {
    /// Serves `input` from its front and returns how many bytes are done with.
    pub(crate) fn run(&mut self, input: &[u8], service: &mut impl Service<Session = S>) -> usize {
        let mut done = 0;
        loop {
            let rest = &input[done..];
            let Parsed {
                consumed,
                unquoted,
                end,
            } = self.parse(rest);
            if !self.spans.is_empty() {
                let buffer = unquoted.as_deref().unwrap_or(rest);
                let requests = Requests {
                    buffer,
                    words: self.words,
                    spans: self.spans,
                };
                let served = service.serve(self.id, self.connection, requests);
                let is_partial = served.taken < self.spans.len();
                match served.then {
                    Then::GoOn => {}
                    Then::Wait => self.connection.state = State::Waiting,
                    Then::Close => {
                        self.connection.state = State::Closing;
                        return input.len();
                    }
                }
                if is_partial {
                    // What waits for output or for a reply goes on when that has come.
                    self.connection.left_over = served.then == Then::GoOn && !self.is_full();
                    self.forget_partial_request();
                    return done
                        + served
                            .taken
                            .checked_sub(1)
                            .map_or(0, |it| self.spans[it].end);
                }
                if served.then == Then::Wait || self.is_full() {
                    self.forget_partial_request();
                    return done + consumed;
                }
            }
            done += consumed;
            match end {
                ParseEnd::More => {}
                ParseEnd::Dry => return done,
                ParseEnd::Large => {
                    let is_taken = self.begin_large(&input[done..], service);
                    return if is_taken { input.len() } else { done };
                }
                ParseEnd::Broken(text) => {
                    self.refuse(&text);
                    return input.len();
                }
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.connection.unsent_bytes() > self.options.output_pause_bytes
            || self.connection.awaits_enough(
                self.options.output_pause_bytes,
                self.options.pending_replies_max,
            )
    }

    /// Forgets what the parser knows of a request that is not complete: the next pass begins
    /// somewhere before it.
    fn forget_partial_request(&mut self) {
        self.connection.parser = protocol::request::RequestParser::new();
        self.connection.partial_words.clear();
    }

    pub(crate) fn limits(&self) -> RequestLimits {
        RequestLimits {
            bulk_bytes_max: self.options.bulk_bytes_max,
            authenticated: self.connection.authenticated,
        }
    }

    /// Parses requests from the front of `input` into `words` and `spans`.
    fn parse(&mut self, input: &[u8]) -> Parsed {
        let limits = self.limits();
        self.words.clear();
        self.spans.clear();
        self.request_words.clear();
        self.request_words
            .append(&mut self.connection.partial_words);
        let mut start = 0;
        while start < input.len() {
            if self.spans.len() == REQUESTS_PER_TURN_MAX {
                return Parsed {
                    consumed: start,
                    unquoted: None,
                    end: ParseEnd::More,
                };
            }
            let parser = &mut self.connection.parser;
            match parser.parse(&input[start..], &limits, self.request_words) {
                Ok(Progress::Complete { consumed }) => {
                    self.note(start, start, consumed);
                    start += consumed;
                }
                // Its words lie in a buffer of their own, so it is served alone.
                Ok(Progress::Unquoted { .. }) if !self.spans.is_empty() => {
                    return Parsed {
                        consumed: start,
                        unquoted: None,
                        end: ParseEnd::More,
                    };
                }
                Ok(Progress::Unquoted { consumed, bytes }) => {
                    self.note(0, start, consumed);
                    let consumed = start + consumed;
                    return Parsed {
                        consumed,
                        unquoted: Some(bytes),
                        end: ParseEnd::More,
                    };
                }
                Ok(Progress::Incomplete { missing }) => {
                    self.connection.partial_words.append(self.request_words);
                    if missing >= LARGE_WORD_BYTES_MIN {
                        return Parsed {
                            consumed: start,
                            unquoted: None,
                            end: ParseEnd::Large,
                        };
                    }
                    break;
                }
                Err(error) => {
                    let end = ParseEnd::Broken(error.text().into_owned());
                    return Parsed {
                        consumed: start,
                        unquoted: None,
                        end,
                    };
                }
            }
        }
        Parsed {
            consumed: start,
            unquoted: None,
            end: ParseEnd::Dry,
        }
    }

    /// Adds a request to the batch, unless it has no words. Its words are relative to `base`.
    #[inline]
    fn note(&mut self, base: usize, start: usize, consumed: usize) {
        if !self.request_words.is_empty() {
            let first_word = self.words.len();
            let word_count = self.request_words.len();
            self.words.extend_from_slice(self.request_words);
            self.spans.push(Span {
                start: base,
                first_word,
                word_count,
                end: start + consumed,
            });
        }
    }

    pub(crate) fn refuse(&mut self, text: &str) {
        self.counters.protocol_errors += 1;
        let (buffer, begun) = self.connection.output.begin();
        buffer.extend_from_slice(b"-ERR ");
        buffer.extend_from_slice(text.as_bytes());
        buffer.extend_from_slice(b"\r\n");
        self.connection.output.end(begun);
        self.connection.state = State::Closing;
    }
}

/// What a pass over the input found.
struct Parsed {
    /// Bytes of whole requests.
    consumed: usize,
    /// The words of the only request, if they are not bytes of the input.
    unquoted: Option<Box<[u8]>>,
    end: ParseEnd,
}

/// Why a batch ends.
enum ParseEnd {
    /// It is full; there may be more in the input.
    More,
    /// No whole request follows.
    Dry,
    /// The beginning of a request with a long word follows.
    Large,
    /// Bad bytes follow; this is what the client is told.
    Broken(String),
}
