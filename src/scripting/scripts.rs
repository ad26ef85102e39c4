//! Sources of scripts by their SHA-1, and the interpreters of a core.
//!
//! Invariants
//! - A script that runs has an interpreter of its own; idle ones wait in a pool.
//! - `flush` forgets sources at once. Scripts that run go on, and their interpreters are not used again.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::fmt;
use std::rc::Rc;

use base::hash::Map;
use protocol::args::Args;
use protocol::reply::Resp;

use crate::answer::{write_answer, write_line};
use crate::api::{hex, sha1_of};
use crate::engine::fiber::{Fiber, FiberStack};
use crate::engine::lua::{Kind, Lua, Raise, Status};
use crate::engine::native::{Results, native};
use crate::engine::state::State;
use crate::functions::Libraries;
use crate::interpreter;
use crate::running::Running;

/// Bounds of the scripts of one core.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes one interpreter may hold while Lua code runs.
    pub memory_bytes_max: usize,
    /// Instructions of Lua between two [`crate::running::Step::Tick`].
    pub slice_instructions: i32,
    /// Such slices that the code of a library may take while it is loaded.
    pub load_slices_max: u32,
    /// Idle interpreters, with their stacks, that are kept.
    pub idle_count_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 256 * 1024 * 1024,
            slice_instructions: 10_000,
            load_slices_max: 500,
            idle_count_max: 16,
        }
    }
}

/// The name of a script: the SHA-1 of its source.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha([u8; 20]);

impl Sha {
    /// The name of `source`.
    #[must_use]
    pub fn of(source: &[u8]) -> Self {
        Self(sha1_of(source))
    }

    /// Reads 40 hexadecimal digits of any case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let mut bytes = [0; 20];
        if text.len() != 40 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// 40 hexadecimal digits in small letters.
    #[must_use]
    pub fn hex(self) -> [u8; 40] {
        hex(&self.0)
    }
}

impl fmt::Debug for Sha {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.hex()))
    }
}

/// Why a script or library is refused: the text of the reply, with its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError(pub Vec<u8>);

impl ScriptError {
    pub(crate) fn new(text: impl Into<Vec<u8>>) -> Self {
        Self(text.into())
    }

    /// No script has this name.
    #[must_use]
    pub fn no_script() -> Self {
        Self::new("NOSCRIPT No matching script. Please use EVAL.")
    }

    pub(crate) fn no_room() -> Self {
        Self::new("ERR not enough memory for an interpreter")
    }
}

impl From<Raise> for ScriptError {
    fn from(raise: Raise) -> Self {
        match raise {
            Raise::Text(text) | Raise::Plain(text) => {
                let mut whole = b"ERR ".to_vec();
                whole.extend_from_slice(&text);
                Self(whole)
            }
            Raise::Top => Self::new("ERR script failed"),
        }
    }
}

/// What a script or function is to be run with.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    /// Version of the protocol of the client that gets the reply.
    pub resp: Resp,
}

/// What a script says of itself in its first line, or a function when it is registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptFlags {
    /// It writes nothing, so it may run on replicas and when memory is short.
    pub no_writes: bool,
    /// It may run when memory is short.
    pub allow_oom: bool,
    /// It may run on a replica that is not connected.
    pub allow_stale: bool,
    /// It must not run in a cluster.
    pub no_cluster: bool,
    /// Its keys may lie in several slots.
    pub allow_cross_slot_keys: bool,
    /// Whether the first line is `#!lua`; without it, a script is judged by its commands.
    pub has_shebang: bool,
}

/// A source that was loaded.
#[derive(Debug)]
struct Script {
    /// Without the shebang; its line is empty.
    body: Box<[u8]>,
    flags: ScriptFlags,
}

/// The scripts of one core.
#[derive(Debug)]
pub struct Scripting {
    scripts: Map<Sha, Script>,
    source_bytes: usize,
    pub(crate) libraries: Libraries,
    pub(crate) pool: Rc<Pool>,
}

/// Bytes that an interpreter may hold while it is idle; one with more is closed.
const IDLE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Name of the chunk of scripts.
const SCRIPT_CHUNK: &CStr = c"@user_script";

impl Scripting {
    /// No scripts yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            scripts: Map::default(),
            source_bytes: 0,
            libraries: Libraries::default(),
            pool: Rc::new(Pool::new(limits)),
        }
    }

    /// Keeps `source`, after compiling it, and returns its name. O(`source.len()`); if the script
    /// is known already, that of its SHA-1.
    ///
    /// # Errors
    ///
    /// If the first line or the code cannot be read; nothing is kept then.
    pub fn load(&mut self, source: &[u8]) -> Result<Sha, ScriptError> {
        let sha = Sha::of(source);
        if self.scripts.contains_key(&sha) {
            return Ok(sha);
        }
        let (flags, body) = crate::shebang::parse_script(source)?;
        let mut state = self.pool.take_state()?;
        let compiled = compile(&mut state, sha, &body);
        self.pool.give_back_state(state);
        compiled?;
        let script = Script {
            body: body.into(),
            flags,
        };
        self.source_bytes += source.len();
        self.scripts.insert(sha, script);
        Ok(sha)
    }

    /// Whether a script of this name is kept.
    #[must_use]
    pub fn contains(&self, sha: Sha) -> bool {
        self.scripts.contains_key(&sha)
    }

    /// What the script says of itself; nothing if it is not kept.
    #[must_use]
    pub fn flags(&self, sha: Sha) -> Option<ScriptFlags> {
        self.scripts.get(&sha).map(|script| script.flags)
    }

    /// Forgets all scripts, and the interpreters with what is compiled in them.
    pub fn flush(&mut self) {
        self.scripts.clear();
        self.source_bytes = 0;
        self.pool.flush();
    }

    /// Number of scripts that are kept.
    #[must_use]
    pub fn count(&self) -> usize {
        self.scripts.len()
    }

    /// Bytes that sources and their names take.
    #[must_use]
    pub fn source_bytes(&self) -> usize {
        self.source_bytes + self.scripts.len() * (size_of::<Script>() + size_of::<Sha>())
    }

    /// Bytes that interpreters hold, running and idle ones.
    #[must_use]
    pub fn interpreter_bytes(&self) -> usize {
        self.pool.bytes()
    }

    /// Number of scripts and functions that have been started and are not done.
    #[must_use]
    pub fn running_count(&self) -> usize {
        self.pool.running_count.get()
    }

    /// Prepares the script `sha`; resume it to begin. `keys` and `args` become KEYS and ARGV.
    ///
    /// # Errors
    ///
    /// [`ScriptError::no_script`] if it is not kept, and when there is no memory for it.
    pub fn start(
        &mut self,
        sha: Sha,
        keys: Args<'_>,
        args: Args<'_>,
        environment: Environment,
    ) -> Result<Running, ScriptError> {
        let script = self.scripts.get(&sha).ok_or_else(ScriptError::no_script)?;
        let mut state = self.pool.take_state()?;
        let function = compile(&mut state, sha, &script.body)?;
        let mut lua = state.lua();
        interpreter::enter_script(&mut lua, keys, args)?;
        lua.push_native(native(describe_error))?;
        lua.push_kept(function)?;
        let name = sha.hex().to_vec();
        let stack = self.pool.take_stack()?;
        let fiber = Fiber::new(state, stack, move |lua| run(lua, 0, &name, environment));
        Ok(Running::new(fiber, Rc::clone(&self.pool)))
    }
}

/// Compiles `body` in `state`, if it is not; returns where the registry has the function.
fn compile(state: &mut State, sha: Sha, body: &[u8]) -> Result<i32, ScriptError> {
    let known = state.context().compiled.borrow().get(&sha).copied();
    if let Some(function) = known {
        return Ok(function);
    }
    let mut lua = state.lua();
    lua.set_top(0);
    if lua.load(body, SCRIPT_CHUNK) != Status::Fine {
        let mut text = b"ERR Error compiling script (new function): ".to_vec();
        text.extend_from_slice(lua.text(-1).unwrap_or_default());
        lua.set_top(0);
        return Err(ScriptError(text));
    }
    let function = lua.keep();
    state.context().compiled.borrow_mut().insert(sha, function);
    Ok(function)
}

/// Calls the function on the stack, above the handler of errors and below its `arguments`; returns
/// the reply.
pub(crate) fn run(
    lua: &mut Lua<'_>,
    arguments: i32,
    name: &[u8],
    environment: Environment,
) -> Vec<u8> {
    let mut out = Vec::new();
    match lua.call_protected(arguments, 1, 1) {
        Status::Fine => {
            if write_answer(lua, environment.resp, &mut out).is_err() {
                out.clear();
                write_line(&mut out, b'-', b"ERR reached lua stack limit");
            }
        }
        Status::Failed | Status::OutOfMemory => write_error(lua, name, &mut out),
    }
    lua.set_top(0);
    out
}

/// Writes the value of an error, which is on top.
fn write_error(lua: &mut Lua<'_>, name: &[u8], out: &mut Vec<u8>) {
    let mut text = Vec::new();
    let field = |lua: &mut Lua<'_>, name: &[u8]| {
        let found = lua.raw_field(-1, name).is_ok();
        let value = if found {
            lua.text(-1).map(<[u8]>::to_vec)
        } else {
            None
        };
        if found {
            lua.pop(1);
        }
        value
    };
    if lua.kind(-1) == Kind::Table {
        text.extend_from_slice(
            &field(lua, b"err").unwrap_or_else(|| b"ERR unknown error".to_vec()),
        );
        let source = field(lua, b"source");
        let line = field(lua, b"line");
        if let (Some(source), Some(line)) = (source, line) {
            for part in [
                &b" script: "[..],
                name,
                b", on ",
                &source,
                b":",
                &line,
                b".",
            ] {
                text.extend_from_slice(part);
            }
        }
    } else {
        text.extend_from_slice(b"ERR ");
        text.extend_from_slice(lua.text(-1).unwrap_or(b"unknown error"));
    }
    write_line(out, b'-', text.strip_prefix(b"-").unwrap_or(&text));
}

/// Called with the value of an error where it happens: makes it a table that says where.
pub(crate) fn describe_error(lua: &mut Lua<'_>) -> Results {
    let place = match lua.place(1) {
        Some(place) if place.is_native => lua.place(2),
        other => other,
    };
    lua.set_top(1);
    if lua.kind(1) != Kind::Table {
        let mut text = b"ERR ".to_vec();
        match lua.kind(1) {
            Kind::Boolean if lua.is_true(1) => text.extend_from_slice(b"true"),
            Kind::Boolean => text.extend_from_slice(b"false"),
            Kind::String | Kind::Number => {
                text.extend_from_slice(lua.text(1).unwrap_or_default());
            }
            Kind::Absent | Kind::Nil => text.extend_from_slice(b"nil"),
            kind @ (Kind::LightUserdata
            | Kind::Table
            | Kind::Function
            | Kind::Userdata
            | Kind::Thread) => {
                let address = lua.address(1).unwrap_or_default();
                text.extend_from_slice(format!("{}: {address:#x}", kind.name()).as_bytes());
            }
        }
        lua.push_table(0, 3)?;
        lua.push_bytes(&text)?;
        lua.raw_set_field(-2, b"err")?;
    }
    if let Some(place) = place {
        lua.push_bytes(&place.source)?;
        lua.raw_set_field(-2, b"source")?;
        lua.push_number(f64::from(place.line))?;
        lua.raw_set_field(-2, b"line")?;
    }
    Ok(1)
}

/// Interpreters and stacks that nobody uses, and figures of all.
#[derive(Debug)]
pub(crate) struct Pool {
    limits: Limits,
    states: RefCell<Vec<State>>,
    stacks: RefCell<Vec<FiberStack>>,
    /// Interpreters of an older generation are not used again.
    generation: Cell<u64>,
    running_count: Cell<usize>,
    running_bytes: Cell<usize>,
}

impl Pool {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            states: RefCell::default(),
            stacks: RefCell::default(),
            generation: Cell::new(0),
            running_count: Cell::new(0),
            running_bytes: Cell::new(0),
        }
    }

    /// An interpreter in which nothing runs.
    pub(crate) fn take_state(&self) -> Result<State, ScriptError> {
        let kept = self.states.borrow_mut().pop();
        let state = match kept {
            Some(state) => state,
            None => {
                let state = interpreter::make(self.limits.memory_bytes_max)
                    .ok_or_else(ScriptError::no_room)?;
                state.context().generation.set(self.generation.get());
                state
            }
        };
        state.context().reset();
        state.limit_slice(self.limits.slice_instructions);
        Ok(state)
    }

    /// A stack for a script.
    pub(crate) fn take_stack(&self) -> Result<FiberStack, ScriptError> {
        let kept = self.stacks.borrow_mut().pop();
        kept.or_else(FiberStack::new)
            .ok_or_else(ScriptError::no_room)
    }

    /// Takes back an interpreter.
    pub(crate) fn give_back_state(&self, mut state: State) {
        let bytes_max = IDLE_BYTES_MAX.min(self.limits.memory_bytes_max / 4);
        if state.context().ledger.used_bytes() > bytes_max {
            state.lua().collect_garbage();
            if state.context().ledger.used_bytes() > bytes_max {
                return;
            }
        }
        let mut states = self.states.borrow_mut();
        let is_current = state.context().generation.get() == self.generation.get();
        if is_current && states.len() < self.limits.idle_count_max {
            states.push(state);
        }
    }

    /// Takes back what a script had.
    pub(crate) fn give_back(&self, state: State, stack: FiberStack) {
        self.give_back_state(state);
        self.give_back_stack(stack);
    }

    /// Slices that the code of a library may take.
    pub(crate) const fn load_slices_max(&self) -> u32 {
        self.limits.load_slices_max
    }

    /// Takes back a stack.
    pub(crate) fn give_back_stack(&self, stack: FiberStack) {
        let mut stacks = self.stacks.borrow_mut();
        if stacks.len() < self.limits.idle_count_max {
            stacks.push(stack);
        }
    }

    /// Lets go of all interpreters, of those in use when they come back.
    pub(crate) fn flush(&self) {
        self.generation.set(self.generation.get() + 1);
        self.states.borrow_mut().clear();
    }

    fn bytes(&self) -> usize {
        let idle = self.states.borrow();
        let idle_bytes = idle.iter().map(|state| state.context().ledger.used_bytes());
        idle_bytes.sum::<usize>() + self.running_bytes.get()
    }

    /// A script was started.
    pub(crate) fn note_start(&self) {
        self.running_count.set(self.running_count.get() + 1);
    }

    /// A script has ended.
    pub(crate) fn note_end(&self) {
        self.running_count.set(self.running_count.get() - 1);
    }

    /// The interpreter of a running script holds `now` bytes after `before`.
    pub(crate) fn note_bytes(&self, before: usize, now: usize) {
        self.running_bytes
            .set(self.running_bytes.get() - before + now);
    }
}
