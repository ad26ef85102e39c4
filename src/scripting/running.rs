//! One script that runs, step by step.
//!
//! Whoever owns a [`Running`] resumes it until it is done:
//!
//! ```text
//!   resume(Begin) ──► Call ── run the command ──► resume(Reply) ──► Tick ──► resume(Continue) ──► Done
//! ```
//!
//! Between two steps it is plain data that can lie in a map for as long as it takes.
//!
//! Invariants
//! - After [`Step::Done`] nothing follows. The interpreter is back in the pool then.
//! - A script that is dropped before it is done is killed first: it gets an error that it cannot
//!   catch, and runs none of its instructions any more. Its stack is never unwound.

use std::rc::Rc;

use protocol::args::PackedArgs;
use protocol::reply::Resp;

use crate::engine::fiber::{Fiber, Input, Outcome};
use crate::scripts::Pool;

/// Where the writes of a script go, besides the shard: `redis.set_repl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicate {
    /// To the log.
    pub to_log: bool,
    /// To replicas.
    pub to_replicas: bool,
}

impl Replicate {
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self {
            to_log: bits & 1 != 0,
            to_replicas: bits & 2 != 0,
        }
    }
}

/// How loud a line of `redis.log` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// `LOG_DEBUG`.
    Debug,
    /// `LOG_VERBOSE`.
    Verbose,
    /// `LOG_NOTICE`.
    Notice,
    /// `LOG_WARNING`.
    Warning,
}

/// What a script wants next.
#[derive(Clone, Debug)]
pub enum Step {
    /// A command is to be run. Answer with [`Resume::Reply`].
    Call {
        /// The words of the command; at least one.
        words: PackedArgs,
        /// Whether it was `redis.pcall`: an error is a value then, otherwise it ends the script.
        protected: bool,
        /// Version in which the reply is to be encoded.
        resp: Resp,
        /// Where its writes go.
        replicate: Replicate,
    },
    /// Whether the user may run a command. Answer with [`Resume::Reply`]: `:1`, `:0` or an error.
    CheckAcl {
        /// The words of the command; at least one.
        words: PackedArgs,
    },
    /// The script has used its slice of instructions. Answer with [`Resume::Continue`] or
    /// [`Resume::Kill`].
    Tick,
    /// A line for the log. Answer with [`Resume::Continue`].
    Log {
        /// How loud.
        level: LogLevel,
        /// The text, of any bytes.
        text: Vec<u8>,
    },
    /// It is over, and this is the reply in the client's version of the protocol.
    Done(Vec<u8>),
}

/// How a script goes on.
#[derive(Clone, Copy, Debug)]
pub enum Resume<'a> {
    /// Begin.
    Begin,
    /// The reply to the command, encoded in the version that was asked for: one whole value.
    Reply(&'a [u8]),
    /// Go on.
    Continue,
    /// End with this error, without its code `ERR`, such as [`KILLED`]. The next step is
    /// [`Step::Done`].
    Kill(&'a str),
}

/// The error of a script or function that was ended by SCRIPT KILL or FUNCTION KILL.
pub const KILLED: &str = "Script killed by user with SCRIPT KILL...";

/// A script or function that has been started.
#[derive(Debug)]
pub struct Running {
    fiber: Fiber<Vec<u8>>,
    pool: Rc<Pool>,
    /// Bytes of its interpreter that the pool knows of.
    counted_bytes: usize,
}

impl Running {
    pub(crate) fn new(fiber: Fiber<Vec<u8>>, pool: Rc<Pool>) -> Self {
        let mut running = Self {
            fiber,
            pool,
            counted_bytes: 0,
        };
        running.pool.note_start();
        running.count_bytes();
        running
    }

    /// Runs the script until it wants something.
    ///
    /// A script that is done stays so and answers with nothing.
    pub fn resume(&mut self, input: Resume<'_>) -> Step {
        let input = match input {
            Resume::Begin => Input::Begin,
            Resume::Continue => Input::Continue,
            Resume::Kill(reason) => Input::Kill(reason.to_owned()),
            Resume::Reply(bytes) => {
                if let Some(context) = self.fiber.context() {
                    let mut reply = context.reply.borrow_mut();
                    reply.clear();
                    reply.extend_from_slice(bytes);
                }
                Input::Reply
            }
        };
        match self.fiber.resume(input) {
            Some(Outcome::Suspended(step)) => {
                self.count_bytes();
                step
            }
            Some(Outcome::Ended(reply, state, stack)) => {
                self.pool.note_bytes(self.counted_bytes, 0);
                self.counted_bytes = 0;
                self.pool.note_end();
                self.pool.give_back(state, stack);
                Step::Done(reply)
            }
            None => Step::Done(Vec::new()),
        }
    }

    /// Bytes that the interpreter of the script holds; 0 when it is done.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.fiber
            .context()
            .map_or(0, |context| context.ledger.used_bytes())
    }

    fn count_bytes(&mut self) {
        let now = self.memory_bytes();
        self.pool.note_bytes(self.counted_bytes, now);
        self.counted_bytes = now;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.fiber.is_suspended() {
            // Once killed, a script asks for nothing any more, so this is its end.
            let last = self.resume(Resume::Kill("Script dropped by the server."));
            debug_assert!(
                matches!(last, Step::Done(_)),
                "a killed script runs to its end"
            );
        } else if self.fiber.context().is_some() {
            // It never began.
            self.pool.note_bytes(self.counted_bytes, 0);
            self.pool.note_end();
        }
    }
}
