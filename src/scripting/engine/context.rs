//! What the native functions of one interpreter share: one struct at an address that does not move.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::ptr::null;

use base::hash::Map;
use protocol::reply::Resp;

use super::fiber::{Input, Yielder};
use super::memory::Ledger;
use crate::functions::Registered;
use crate::json::options::JsonOptions;
use crate::math::Random;
use crate::running::Step;
use crate::scripts::Sha;

/// Which interface scripts and libraries see at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A script of EVAL or a function of a library runs.
    Running,
    /// The code of a library runs, to register its functions.
    Loading,
}

/// The shared state of one interpreter.
#[derive(Debug)]
pub(crate) struct Context {
    /// Memory of the interpreter.
    pub(crate) ledger: Ledger,
    /// The end of the fiber that runs now, through which it is put aside; null outside of one.
    pub(crate) yielder: Cell<*const Yielder>,
    /// Lowest address the stack of the fiber may reach.
    pub(crate) stack_limit: Cell<usize>,
    /// The reply to the command that the script called last, encoded.
    pub(crate) reply: RefCell<Vec<u8>>,
    /// Why the script must end, once it must.
    pub(crate) killed: RefCell<Option<String>>,
    /// Version in which commands answer to the script; `redis.setresp` changes it.
    pub(crate) resp: Cell<Resp>,
    /// Flags of `redis.set_repl`.
    pub(crate) replicate: Cell<u8>,
    /// Settings of each instance of `cjson`; the first is the library itself.
    pub(crate) json: RefCell<Vec<JsonOptions>>,
    /// Generator of `math.random`.
    pub(crate) random: RefCell<Random>,
    /// Which generation of the pool it belongs to.
    pub(crate) generation: Cell<u64>,
    /// Compiled scripts: where the registry has the function of each.
    pub(crate) compiled: RefCell<Map<Sha, c_int>>,
    /// Libraries that were loaded: where the registry has the functions of each.
    pub(crate) libraries: RefCell<Map<u64, Vec<c_int>>>,
    /// Functions that the library that is being loaded has registered.
    pub(crate) registered: RefCell<Vec<Registered>>,
}

impl Context {
    /// The state of a fresh interpreter that may hold `memory_bytes_max`.
    pub(crate) fn new(memory_bytes_max: usize) -> Self {
        Self {
            ledger: Ledger::new(memory_bytes_max),
            yielder: Cell::new(null()),
            stack_limit: Cell::new(0),
            reply: RefCell::default(),
            killed: RefCell::default(),
            resp: Cell::new(Resp::V2),
            replicate: Cell::new(crate::api::REPL_ALL),
            json: RefCell::new(vec![JsonOptions::default()]),
            random: RefCell::default(),
            generation: Cell::new(0),
            compiled: RefCell::default(),
            libraries: RefCell::default(),
            registered: RefCell::default(),
        }
    }

    /// Makes everything a script can change as it was before its first one.
    pub(crate) fn reset(&self) {
        self.killed.replace(None);
        self.resp.set(Resp::V2);
        self.replicate.set(crate::api::REPL_ALL);
        self.json.replace(vec![JsonOptions::default()]);
    }

    /// Whether the script must end.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.borrow().is_some()
    }

    /// Puts the running script aside until its owner resumes it.
    ///
    /// Returns false if it must end; [`Context::killed`] says why.
    pub(crate) fn suspend(&self, step: Step) -> bool {
        if self.is_killed() {
            return false;
        }
        match super::fiber::suspend(self, step) {
            Input::Begin | Input::Continue | Input::Reply => true,
            Input::Kill(reason) => {
                self.killed.replace(Some(reason));
                false
            }
        }
    }
}
