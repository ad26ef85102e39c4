//! What one core knows of scripts: its interpreters, which scripts run on it, and what they called.
//!
//! Invariants
//! - What the registry has forgotten is not run from here: its numbers are compared first.
//! - A script or a library is looked through for its keys once, see [`declared_keys`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use base::hash::Map;
use base::ids::DbIndex;
use protocol::args::{Args, PackedArgs};
use scripting::functions::RestorePolicy;
use scripting::running::Running;
use scripting::scripts::{Environment, Limits, ScriptError, ScriptFlags, Scripting, Sha};

use super::declared_functions::declared_functions;
use super::declared_keys;
use super::program::Visible;
use super::registry::{Libraries, Registry};
use crate::acl::Acl;
use crate::command_index::CommandIndex;
use crate::engine::Engine;
use crate::table::CommandTable;

/// What is known of a script before it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// What it says of itself.
    pub(crate) flags: ScriptFlags,
    /// It cannot touch a key that its caller has not declared.
    pub(crate) is_declared: bool,
}

/// See the head of this file.
pub(crate) struct LocalScripts {
    table: &'static CommandTable,
    registry: Arc<Registry>,
    acl: Arc<Acl>,
    scripting: RefCell<Scripting>,
    facts: RefCell<Map<Sha, Facts>>,
    /// What the registry had forgotten when this core looked last.
    flushes: Cell<u64>,
    /// The change of libraries that this core has followed last.
    changes: Cell<u64>,
    /// A change of libraries was made here since [`LocalScripts::take_change`].
    has_changed: Cell<bool>,
    running: RefCell<Vec<Rc<Visible>>>,
    calls: Rc<Calls>,
    counts: Counts,
}

/// How scripts came to run on a core, so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// With keys of this core only.
    pub(crate) here: Cell<u64>,
    /// Sent to the one core that has their keys.
    pub(crate) there: Cell<u64>,
    /// With declared keys on several cores.
    pub(crate) several: Cell<u64>,
    /// Under claims on all cores, as they may touch keys that they do not declare.
    pub(crate) everywhere: Cell<u64>,
}

impl std::fmt::Debug for LocalScripts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LocalScripts")
            .field("running", &self.running.borrow().len())
            .finish_non_exhaustive()
    }
}

impl LocalScripts {
    pub(crate) fn new(
        table: &'static CommandTable,
        registry: Arc<Registry>,
        acl: Arc<Acl>,
    ) -> Self {
        Self {
            table,
            registry,
            acl,
            scripting: RefCell::new(Scripting::new(Limits::default())),
            facts: RefCell::default(),
            flushes: Cell::new(0),
            changes: Cell::new(0),
            has_changed: Cell::new(false),
            running: RefCell::default(),
            calls: Rc::default(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn table(&self) -> &'static CommandTable {
        self.table
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn acl(&self) -> &Acl {
        &self.acl
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Returns the place where programs note what they called.
    pub(crate) fn calls(&self) -> Rc<Calls> {
        Rc::clone(&self.calls)
    }

    /// Returns the bytes that interpreters of this core hold.
    pub(crate) fn interpreter_bytes(&self) -> usize {
        self.scripting.borrow().interpreter_bytes()
    }

    fn keep_up(&self) {
        let flushes = self.registry.flushes();
        if self.flushes.replace(flushes) != flushes {
            self.scripting.borrow_mut().flush();
            self.facts.borrow_mut().clear();
        }
    }

    /// Keeps a script, here and for all cores.
    ///
    /// # Errors
    ///
    /// If it cannot be compiled.
    pub(crate) fn load(&self, source: &[u8]) -> Result<(Sha, Facts), ScriptError> {
        let sha = Sha::of(source);
        self.load_as(sha, source).map(|facts| (sha, facts))
    }

    /// As [`Self::load`], for a script whose name is known already.
    pub(crate) fn load_as(&self, sha: Sha, source: &[u8]) -> Result<Facts, ScriptError> {
        self.keep_up();
        if let Some(facts) = self.facts.borrow().get(&sha) {
            return Ok(*facts);
        }
        let facts = self.remember(sha, source)?;
        self.registry.keep(sha, source);
        Ok(facts)
    }

    /// Prepares a script, and remembers it here. The next [`Self::keep_up`] takes back what was forgotten by
    /// another core meanwhile.
    fn remember(&self, sha: Sha, source: &[u8]) -> Result<Facts, ScriptError> {
        let facts = self.compile(sha, source)?;
        self.facts.borrow_mut().insert(sha, facts);
        Ok(facts)
    }

    /// Returns the name of a script and what is known of it, without keeping it. What it says of itself
    /// counts for nothing if it is new here.
    pub(crate) fn foresee(&self, source: &[u8]) -> (Sha, Facts) {
        self.keep_up();
        let sha = Sha::of(source);
        let known = self.facts.borrow().get(&sha).copied();
        let facts = known.unwrap_or_else(|| Facts {
            flags: ScriptFlags::default(),
            is_declared: declared_keys::touches_only_declared_keys(source, self.table),
        });
        (sha, facts)
    }

    /// Returns what is known of a script that this core or another one has kept. One that was forgotten
    /// since its request was read is run from `source`, and not kept.
    ///
    /// # Errors
    ///
    /// If none has.
    pub(crate) fn find(&self, sha: Sha, source: Option<&[u8]>) -> Result<Facts, ScriptError> {
        self.keep_up();
        if let Some(facts) = self.facts.borrow().get(&sha) {
            return Ok(*facts);
        }
        match (self.registry.script(sha), source) {
            // Not kept again: another core may forget all of them at this moment.
            (Some(kept), _) => self.remember(sha, &kept),
            (None, Some(source)) => self.compile(sha, source),
            (None, None) => Err(ScriptError::no_script()),
        }
    }

    /// Prepares a script for a run, and says what is known of it.
    fn compile(&self, sha: Sha, source: &[u8]) -> Result<Facts, ScriptError> {
        let mut scripting = self.scripting.borrow_mut();
        scripting.load(source)?;
        Ok(Facts {
            flags: scripting.flags(sha).unwrap_or_default(),
            is_declared: declared_keys::touches_only_declared_keys(source, self.table),
        })
    }

    /// Prepares a run of a script that was found.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub(crate) fn start(
        &self,
        sha: Sha,
        keys: Args<'_>,
        args: Args<'_>,
        environment: Environment,
    ) -> Result<Running, ScriptError> {
        self.scripting
            .borrow_mut()
            .start(sha, keys, args, environment)
    }

    /// Returns what is known of a function.
    ///
    /// # Errors
    ///
    /// If there is none of this name.
    pub(crate) fn find_function(&self, name: &[u8]) -> Result<Facts, ScriptError> {
        self.with_libraries(|scripting| {
            let found = scripting.function(name);
            let (library, function) =
                found.ok_or_else(|| ScriptError(b"ERR Function not found".to_vec()))?;
            let judge = |code: &[u8]| declared_functions(code, self.table);
            Ok(Facts {
                flags: function.flags,
                is_declared: library.is_declared(name, judge),
            })
        })
    }

    /// Returns the code of the library that has a function.
    pub(crate) fn code_of_function(&self, name: &[u8]) -> Option<Arc<[u8]>> {
        self.with_libraries(|scripting| {
            let (library, _) = scripting.function(name)?;
            Some(Arc::clone(&library.code))
        })
    }

    /// Looks at the libraries, as they are now.
    pub(crate) fn with_libraries<T>(&self, look: impl FnOnce(&Scripting) -> T) -> T {
        if self.changes.get() != self.registry.changes() {
            let (codes, number) = self.registry.libraries();
            self.follow(&codes, number);
        }
        look(&self.scripting.borrow())
    }

    /// Takes over the libraries of all cores.
    fn follow(&self, codes: &[Vec<u8>], number: u64) {
        let mut scripting = self.scripting.borrow_mut();
        // They have been loaded on another core before, so they can be loaded.
        let followed = scripting.restore_libraries(codes, RestorePolicy::Flush, &mut |_, _| {});
        if let Err(error) = followed {
            tracing::error!(
                error = %String::from_utf8_lossy(&error.0),
                "a library that another core has loaded cannot be loaded here"
            );
        }
        self.changes.set(number);
    }

    /// Changes the libraries, here and for all cores.
    ///
    /// # Errors
    ///
    /// Those of `change`; nothing has changed then.
    pub(crate) fn change_libraries<T>(
        &self,
        change: impl FnOnce(&mut Scripting) -> Result<T, ScriptError>,
    ) -> Result<T, ScriptError> {
        let (outcome, number) = self.registry.change_libraries(|codes, number| {
            if self.changes.get() != number {
                self.follow(codes, number);
            }
            let mut scripting = self.scripting.borrow_mut();
            let outcome = change(&mut scripting)?;
            let codes = scripting.libraries().map(|library| library.code.to_vec());
            let libraries = Libraries {
                codes: codes.collect(),
                functions: scripting.function_count(),
            };
            Ok::<_, ScriptError>((libraries, outcome))
        })?;
        self.changes.set(number);
        self.has_changed.set(true);
        Ok(outcome)
    }

    /// Returns whether [`Self::take_change`] has one.
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed.get()
    }

    /// Returns the sources of all libraries and the number of their last change, if one was made here since
    /// the last call.
    pub(crate) fn take_change(&self) -> Option<(Arc<[Vec<u8>]>, u64)> {
        self.has_changed
            .replace(false)
            .then(|| self.registry.libraries())
    }

    /// Prepares a call of a function that was found, in the library with `code` if it is given.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub(crate) fn start_function(
        &self,
        (name, code): (&[u8], Option<&[u8]>),
        keys: Args<'_>,
        args: Args<'_>,
        environment: Environment,
    ) -> Result<Running, ScriptError> {
        let mut scripting = self.scripting.borrow_mut();
        match code {
            Some(code) => scripting.start_function_of(code, name, keys, args, environment),
            None => scripting.start_function(name, keys, args, environment),
        }
    }

    /// Notes that a script begins to run.
    pub(crate) fn enter(&self, script: Rc<Visible>) {
        self.running.borrow_mut().push(script);
    }

    /// Notes that a script is over; nothing if it never began.
    pub(crate) fn leave(&self, script: &Rc<Visible>) {
        let mut running = self.running.borrow_mut();
        let before = running.len();
        running.retain(|it| !Rc::ptr_eq(it, script));
        if running.len() < before && script.is_announced.get() {
            self.registry.busy.end(script.function.is_some());
        }
    }

    /// Calls `look` with each script that runs.
    pub(crate) fn for_each_running(&self, mut look: impl FnMut(&Visible)) {
        for script in self.running.borrow().iter() {
            look(script);
        }
    }
}

/// Commands that scripts have called and nobody has counted yet.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    noted: RefCell<Vec<Call>>,
    /// `MONITOR` is on, so words are kept.
    is_shown: Cell<bool>,
}

/// A command that a script has called.
#[derive(Debug)]
pub(crate) struct Call {
    /// The command.
    pub(crate) index: CommandIndex,
    /// The database it ran on.
    pub(crate) db: DbIndex,
    /// Its words, if they are to be shown.
    pub(crate) words: Option<PackedArgs>,
    /// It was not run.
    pub(crate) is_refused: bool,
    /// How long it ran.
    pub(crate) nanos: u64,
    /// The first bytes of its reply, enough to see whether it is an error and which.
    pub(crate) reply: Vec<u8>,
}

/// Bytes of a reply that are kept to count it: an error with its code.
const REPLY_BYTES_KEPT: usize = 128;

impl Calls {
    /// Notes a command that has run.
    pub(crate) fn note(
        &self,
        index: CommandIndex,
        db: DbIndex,
        words: &PackedArgs,
        nanos: u64,
        reply: &[u8],
    ) {
        let is_error = reply.first() == Some(&b'-');
        let kept = if is_error {
            reply.len().min(REPLY_BYTES_KEPT)
        } else {
            0
        };
        self.noted.borrow_mut().push(Call {
            index,
            db,
            words: self.is_shown.get().then(|| words.clone()),
            is_refused: false,
            nanos,
            reply: reply[..kept].to_vec(),
        });
    }

    /// Notes a command that was refused.
    pub(crate) fn reject(&self, index: CommandIndex) {
        self.noted.borrow_mut().push(Call {
            index,
            db: DbIndex(0),
            words: None,
            is_refused: true,
            nanos: 0,
            reply: Vec::new(),
        });
    }

    /// Says whether `MONITOR` is on.
    pub(crate) fn set_shown(&self, is_shown: bool) {
        self.is_shown.set(is_shown);
    }

    /// Returns whether there is nothing to count.
    pub(crate) fn is_empty(&self) -> bool {
        self.noted.borrow().is_empty()
    }

    /// Returns what has been noted, and forgets it.
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.noted.borrow_mut())
    }
}

impl Engine {
    /// Counts what scripts have called, and shows it to `MONITOR`.
    pub(crate) fn count_calls(&mut self) {
        let calls = self.scripts.calls();
        if calls.is_empty() {
            return;
        }
        for call in calls.take() {
            if call.is_refused {
                self.observed.reject(call.index);
                continue;
            }
            self.observed.count(call.index, call.nanos, &call.reply);
            if let Some(words) = call.words {
                self.show_call(call.db, words.args());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    fn no_users() -> Arc<Acl> {
        let catalog = crate::acl::catalog::Catalog::new(std::iter::empty());
        Arc::new(Acl::new(catalog, None))
    }

    #[test]
    fn a_core_that_finds_a_script_while_another_forgets_it_does_not_bring_it_back() {
        const ROUNDS: usize = 300;
        // Long enough that the scripts are forgotten while the other core prepares them.
        let sources: Vec<String> = (0..ROUNDS)
            .map(|round| format!("return {round}{}", " + 1".repeat(300)))
            .collect();
        let registry = Arc::new(Registry::default());
        let both = Barrier::new(2);
        let mut brought_back = 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                let table: &'static CommandTable = Box::leak(Box::new(CommandTable::new(&[])));
                let local = LocalScripts::new(table, Arc::clone(&registry), no_users());
                for source in &sources {
                    both.wait();
                    let bytes = source.as_bytes();
                    assert!(local.find(Sha::of(bytes), Some(bytes)).is_ok());
                    both.wait();
                }
            });
            for (round, source) in sources.iter().enumerate() {
                let sha = Sha::of(source.as_bytes());
                registry.keep(sha, source.as_bytes());
                both.wait();
                // A little later each time, from before the other looks to after it is done.
                for _ in 0..round * 10 {
                    std::hint::spin_loop();
                }
                registry.flush();
                both.wait();
                brought_back += usize::from(registry.script(sha).is_some());
            }
        });
        assert_eq!(brought_back, 0);
    }
}
