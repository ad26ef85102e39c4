//! Libraries of functions: loading, what they registered, and calling one.
//!
//! The code of a library runs when it is loaded, and once more in every interpreter that runs one of its
//! functions first. What it registers is found by name in any case of letters.
//!
//! Invariants
//! - Loading and restoring change nothing if they fail.
//! - No two functions of different libraries have the same name.
//!
//! Not here: the bytes of FUNCTION DUMP (`types::rdb`).

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_int};
use std::rc::Rc;
use std::sync::Arc;

use base::hash::{Map, Set};
use protocol::args::Args;

use crate::api::error_table;
use crate::engine::context::Stage;
use crate::engine::fiber::{Fiber, Input, Outcome};
use crate::engine::lua::{Kind, Lua, Raise, Status};
use crate::engine::native::{Results, native};
use crate::engine::state::State;
use crate::interpreter;
use crate::running::{LogLevel, Running, Step};
use crate::scripts::{Environment, Pool, ScriptError, ScriptFlags, Scripting, describe_error, run};
use crate::shebang::parse_library;

/// Name of the chunk of libraries.
const LIBRARY_CHUNK: &CStr = c"@user_function";

/// Error of a library that does not come to an end.
const LOAD_TIMEOUT: &str = "FUNCTION LOAD timeout";

/// What names of libraries and functions are refused with.
const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must \
                        be at least one character long";

/// A function that a library has registered.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name as it was registered.
    pub name: Vec<u8>,
    /// What the library says of it.
    pub description: Option<Vec<u8>>,
    /// What it may do and where it may run; `has_shebang` is always true.
    pub flags: ScriptFlags,
}

/// A library that is loaded.
#[derive(Debug)]
pub struct Library {
    /// Its name.
    pub name: Vec<u8>,
    /// The source, with its first line.
    pub code: Arc<[u8]>,
    /// In the order in which they were registered; never empty.
    pub functions: Vec<Function>,
    /// Names the code, so that interpreters know whether they have it.
    id: u64,
    /// See [`Library::is_declared`].
    declared: OnceCell<Set<Box<[u8]>>>,
}

impl Library {
    /// Returns whether its function `name` can touch only keys that its caller declares. `judge` gets the
    /// code and returns the names, in small letters, of the functions of which that is known; it is asked
    /// once per library.
    pub fn is_declared(&self, name: &[u8], judge: impl FnOnce(&[u8]) -> Set<Box<[u8]>>) -> bool {
        let declared = self.declared.get_or_init(|| judge(&self.code));
        declared.contains(name.to_ascii_lowercase().as_slice())
    }
}

/// What a library registers, and where the interpreter keeps the function.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    function: Function,
    kept: c_int,
}

/// What restoring does about libraries that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestorePolicy {
    /// They are deleted first.
    Flush,
    /// None of them may have a name of those restored.
    Append,
    /// Those with a name of those restored are replaced.
    Replace,
}

/// The libraries of one core.
#[derive(Clone, Debug, Default)]
pub(crate) struct Libraries {
    by_name: BTreeMap<Vec<u8>, Rc<Library>>,
    /// Library and index of each function, by its name in small letters.
    functions: Map<Vec<u8>, (Rc<Library>, usize)>,
    next_id: u64,
}

impl Libraries {
    /// Adds a library, in place of one of the same name if `replace`.
    fn insert(&mut self, library: Library, replace: bool) -> Result<(), ScriptError> {
        if self.by_name.contains_key(&library.name) {
            if !replace {
                return Err(exists("Library", &library.name));
            }
            self.remove(&library.name);
        }
        for function in &library.functions {
            if self
                .functions
                .contains_key(&function.name.to_ascii_lowercase())
            {
                return Err(exists("Function", &function.name));
            }
        }
        let library = Rc::new(library);
        for (index, function) in library.functions.iter().enumerate() {
            let name = function.name.to_ascii_lowercase();
            self.functions.insert(name, (Rc::clone(&library), index));
        }
        self.by_name.insert(library.name.clone(), library);
        Ok(())
    }

    fn remove(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.by_name.remove(name) else {
            return false;
        };
        self.functions
            .retain(|_, (owner, _)| owner.id != library.id);
        true
    }
}

fn exists(what: &str, name: &[u8]) -> ScriptError {
    let name = String::from_utf8_lossy(name);
    ScriptError::new(format!("ERR {what} {name} already exists"))
}

impl Scripting {
    /// Loads a library and returns its name. Its code runs now, for a bounded number of instructions.
    ///
    /// `log` gets the lines that the code logs.
    ///
    /// # Errors
    ///
    /// If the first line or the code is wrong, or a name is taken; nothing has changed then.
    pub fn load_library(
        &mut self,
        code: &[u8],
        replace: bool,
        log: &mut dyn FnMut(LogLevel, &[u8]),
    ) -> Result<Vec<u8>, ScriptError> {
        let mut libraries = self.libraries.clone();
        let name = self.add_library(&mut libraries, code, replace, log)?;
        self.install_libraries(libraries);
        Ok(name)
    }

    /// Restores libraries from their codes, as `policy` says: all of them or none.
    ///
    /// # Errors
    ///
    /// As [`Scripting::load_library`].
    pub fn restore_libraries(
        &mut self,
        codes: &[Vec<u8>],
        policy: RestorePolicy,
        log: &mut dyn FnMut(LogLevel, &[u8]),
    ) -> Result<(), ScriptError> {
        let mut libraries = self.libraries.clone();
        if policy == RestorePolicy::Flush {
            libraries.by_name.clear();
            libraries.functions.clear();
        }
        let mut restored = Vec::new();
        for code in codes {
            // A payload that has a name twice is wrong under every policy.
            let replace = policy == RestorePolicy::Replace
                && parse_library(code).is_ok_and(|(name, _)| !restored.contains(&name));
            restored.push(self.add_restored(&mut libraries, code, replace, log)?);
        }
        self.install_libraries(libraries);
        Ok(())
    }

    fn add_restored(
        &self,
        libraries: &mut Libraries,
        code: &[u8],
        replace: bool,
        log: &mut dyn FnMut(LogLevel, &[u8]),
    ) -> Result<Vec<u8>, ScriptError> {
        let (name, _) = parse_library(code)?;
        if !replace && libraries.by_name.contains_key(&name) {
            return Err(exists("Library", &name));
        }
        self.add_library(libraries, code, replace, log)
    }

    fn add_library(
        &self,
        libraries: &mut Libraries,
        code: &[u8],
        replace: bool,
        log: &mut dyn FnMut(LogLevel, &[u8]),
    ) -> Result<Vec<u8>, ScriptError> {
        let (name, body) = parse_library(code)?;
        if !is_name(&name) {
            return Err(ScriptError::new(format!("ERR {BAD_NAME}")));
        }
        if !replace && libraries.by_name.contains_key(&name) {
            let name = String::from_utf8_lossy(&name);
            return Err(ScriptError::new(format!(
                "ERR Library '{name}' already exists"
            )));
        }
        let state = self.pool.take_state()?;
        let (state, outcome) = evaluate(&self.pool, state, &body, log)?;
        let registered = outcome?;
        if registered.is_empty() {
            self.pool.give_back_state(state);
            return Err(ScriptError::new("ERR No functions registered"));
        }
        let id = libraries.next_id;
        let library = Library {
            name: name.clone(),
            code: code.into(),
            declared: OnceCell::new(),
            functions: registered.iter().map(|one| one.function.clone()).collect(),
            id,
        };
        libraries.insert(library, replace)?;
        libraries.next_id += 1;
        remember(&state, id, &registered);
        self.pool.give_back_state(state);
        Ok(name)
    }

    /// Takes `libraries` for those of this core. Interpreters that have the code of some that went are
    /// not used again.
    fn install_libraries(&mut self, libraries: Libraries) {
        let before = std::mem::replace(&mut self.libraries, libraries);
        let is_kept = |library: &Rc<Library>| {
            let now = self.libraries.by_name.get(&library.name);
            now.is_some_and(|now| now.id == library.id)
        };
        if !before.by_name.values().all(is_kept) {
            self.pool.flush();
        }
    }

    /// Deletes a library; false if there is none of this name.
    pub fn delete_library(&mut self, name: &[u8]) -> bool {
        let was_there = self.libraries.remove(name);
        if was_there {
            self.pool.flush();
        }
        was_there
    }

    /// Deletes all libraries.
    pub fn flush_libraries(&mut self) {
        self.libraries.by_name.clear();
        self.libraries.functions.clear();
        self.pool.flush();
    }

    /// All libraries, by name.
    pub fn libraries(&self) -> impl Iterator<Item = &Library> {
        self.libraries.by_name.values().map(Rc::as_ref)
    }

    /// Number of libraries.
    #[must_use]
    pub fn library_count(&self) -> usize {
        self.libraries.by_name.len()
    }

    /// Number of functions in all libraries.
    #[must_use]
    pub fn function_count(&self) -> usize {
        self.libraries()
            .map(|library| library.functions.len())
            .sum()
    }

    /// Bytes that the codes, names and descriptions of libraries take.
    #[must_use]
    pub fn library_bytes(&self) -> usize {
        let function_bytes = |function: &Function| {
            size_of::<Function>()
                + function.name.len()
                + function.description.as_ref().map_or(0, Vec::len)
        };
        self.libraries()
            .map(|library| {
                let functions = library.functions.iter().map(function_bytes).sum::<usize>();
                size_of::<Library>() + library.code.len() + library.name.len() + functions
            })
            .sum()
    }

    /// The function of this name in any case of letters, and its library.
    #[must_use]
    pub fn function(&self, name: &[u8]) -> Option<(&Library, &Function)> {
        let (library, index) = self.libraries.functions.get(&name.to_ascii_lowercase())?;
        Some((library, library.functions.get(*index)?))
    }

    /// Prepares a function; resume it to begin. It is called with `keys` and `args` as two tables.
    ///
    /// # Errors
    ///
    /// If there is no such function, or no memory for it.
    pub fn start_function(
        &mut self,
        name: &[u8],
        keys: Args<'_>,
        args: Args<'_>,
        environment: Environment,
    ) -> Result<Running, ScriptError> {
        let (library, index) = found(&self.libraries, name)?;
        self.start_of(&library, index, keys, args, environment)
    }

    /// As [`Scripting::start_function`], for a function of the library with this code, whether the library
    /// is loaded or not any more.
    ///
    /// # Errors
    ///
    /// As [`Scripting::start_function`].
    pub fn start_function_of(
        &mut self,
        code: &[u8],
        name: &[u8],
        keys: Args<'_>,
        args: Args<'_>,
        environment: Environment,
    ) -> Result<Running, ScriptError> {
        if let Ok((library, index)) = found(&self.libraries, name)
            && *library.code == *code
        {
            return self.start_of(&library, index, keys, args, environment);
        }
        let mut libraries = Libraries {
            next_id: self.libraries.next_id,
            ..Libraries::default()
        };
        self.add_library(&mut libraries, code, false, &mut |_, _| {})?;
        self.libraries.next_id = libraries.next_id;
        let (library, index) = found(&libraries, name)?;
        self.start_of(&library, index, keys, args, environment)
    }

    fn start_of(
        &self,
        library: &Library,
        index: usize,
        keys: Args<'_>,
        args: Args<'_>,
        environment: Environment,
    ) -> Result<Running, ScriptError> {
        let function = library.functions.get(index).ok_or_else(not_found)?;
        let mut state = self.pool.take_state()?;
        if !state.context().libraries.borrow().contains_key(&library.id) {
            let (_, body) = parse_library(&library.code)?;
            let (loaded, outcome) = evaluate(&self.pool, state, &body, &mut |_, _| {})?;
            state = loaded;
            remember(&state, library.id, &outcome?);
        }
        let kept = state
            .context()
            .libraries
            .borrow()
            .get(&library.id)
            .and_then(|functions| functions.get(index).copied());
        let kept = kept.ok_or_else(not_found)?;
        let mut lua = state.lua();
        interpreter::enter_function(&mut lua)?;
        lua.push_native(native(describe_error))?;
        lua.push_kept(kept)?;
        lua.push_words(keys)?;
        lua.push_words(args)?;
        let name = function.name.clone();
        let stack = self.pool.take_stack()?;
        let fiber = Fiber::new(state, stack, move |lua| run(lua, 2, &name, environment));
        Ok(Running::new(fiber, Rc::clone(&self.pool)))
    }
}

fn not_found() -> ScriptError {
    ScriptError::new("ERR Function not found")
}

fn found(libraries: &Libraries, name: &[u8]) -> Result<(Rc<Library>, usize), ScriptError> {
    let found = libraries.functions.get(&name.to_ascii_lowercase());
    let (library, index) = found.ok_or_else(not_found)?;
    Ok((Rc::clone(library), *index))
}

/// Notes in the interpreter where the functions of a library are.
fn remember(state: &State, id: u64, registered: &[Registered]) {
    let kept = registered.iter().map(|one| one.kept).collect();
    state.context().libraries.borrow_mut().insert(id, kept);
}

/// Whether a library or function may be called so.
fn is_name(name: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !name.is_empty() && name.iter().all(is_letter)
}

type Evaluated = (State, Result<Vec<Registered>, ScriptError>);

/// Runs the code of a library in `state`, on a stack of its own.
fn evaluate(
    pool: &Pool,
    mut state: State,
    body: &[u8],
    log: &mut dyn FnMut(LogLevel, &[u8]),
) -> Result<Evaluated, ScriptError> {
    state.context().registered.borrow_mut().clear();
    let mut lua = state.lua();
    lua.set_top(0);
    interpreter::enter_stage(&mut lua, Stage::Loading)?;
    lua.push_native(native(describe_error))?;
    if lua.load(body, LIBRARY_CHUNK) != Status::Fine {
        let mut text = b"ERR Error compiling function: ".to_vec();
        text.extend_from_slice(lua.text(-1).unwrap_or_default());
        lua.set_top(0);
        interpreter::enter_stage(&mut lua, Stage::Running)?;
        return Ok((state, Err(ScriptError(text))));
    }
    let mut fiber = Fiber::new(state, pool.take_stack()?, call_body);
    let mut input = Input::Begin;
    let mut slices = 0;
    loop {
        match fiber.resume(input) {
            Some(Outcome::Ended(result, mut state, stack)) => {
                interpreter::enter_stage(&mut state.lua(), Stage::Running)?;
                pool.give_back_stack(stack);
                let registered = state.context().registered.take();
                state.context().reset();
                return Ok((state, result.map(|()| registered)));
            }
            Some(Outcome::Suspended(Step::Log { level, text })) => {
                log(level, &text);
                input = Input::Continue;
            }
            Some(Outcome::Suspended(Step::Tick)) if slices < pool.load_slices_max() => {
                slices += 1;
                input = Input::Continue;
            }
            Some(Outcome::Suspended(_)) => input = Input::Kill(LOAD_TIMEOUT.to_owned()),
            None => return Err(ScriptError::no_room()),
        }
    }
}

/// Calls the code of a library, which lies above the handler of errors.
fn call_body(lua: &mut Lua<'_>) -> Result<(), ScriptError> {
    let status = lua.call_protected(0, 0, 1);
    let mut text = b"ERR Error registering functions: ".to_vec();
    if status != Status::Fine {
        if lua.kind(-1) == Kind::Table {
            lua.raw_field(-1, b"err")?;
        }
        text.extend_from_slice(lua.text(-1).unwrap_or(b"unknown error"));
    }
    lua.set_top(0);
    if status == Status::Fine {
        Ok(())
    } else {
        Err(ScriptError(text))
    }
}

/// `redis.register_function`, with two arguments or a table of named ones.
pub(crate) fn register_function(lua: &mut Lua<'_>) -> Results {
    let registered = match lua.top() {
        1 => read_named(lua),
        2 => read_positional(lua),
        _ => Err("wrong number of arguments to redis.register_function"),
    };
    let function = match registered {
        Ok(function) => function,
        Err(text) => return Err(error_table(lua, text)),
    };
    if !is_name(&function.name) {
        return Err(error_table(lua, BAD_NAME));
    }
    let context = lua.context();
    let is_taken = {
        let registered = context.registered.borrow();
        registered
            .iter()
            .any(|one| one.function.name == function.name)
    };
    if is_taken {
        return Err(error_table(lua, "Function already exists in the library"));
    }
    // The callback is on top.
    let kept = lua.keep();
    context
        .registered
        .borrow_mut()
        .push(Registered { function, kept });
    Ok(0)
}

/// Name and callback; leaves the callback on top.
fn read_positional(lua: &mut Lua<'_>) -> Result<Function, &'static str> {
    let Some(name) = lua.text(1).map(<[u8]>::to_vec) else {
        return Err("first argument to redis.register_function must be a string");
    };
    if lua.kind(2) != Kind::Function {
        return Err("second argument to redis.register_function must be a function");
    }
    Ok(Function {
        name,
        description: None,
        flags: function_flags(),
    })
}

fn function_flags() -> ScriptFlags {
    ScriptFlags {
        has_shebang: true,
        ..ScriptFlags::default()
    }
}

/// Named arguments; leaves the callback on top.
fn read_named(lua: &mut Lua<'_>) -> Result<Function, &'static str> {
    if lua.kind(1) != Kind::Table {
        return Err(
            "calling redis.register_function with a single argument is only applicable to \
                    Lua table (representing named arguments).",
        );
    }
    let mut name = None;
    let mut description = None;
    let mut flags = function_flags();
    // At 2 the callback, once it is found.
    lua.set_top(2);
    let no_room = |_raise: Raise| "stack overflow";
    lua.push_nil().map_err(no_room)?;
    while lua.next(1).map_err(no_room)? {
        // A copy, as reading a number as text would change the key.
        lua.push_copy(-2).map_err(no_room)?;
        let Some(key) = lua.text(-1).map(<[u8]>::to_ascii_lowercase) else {
            return Err("named argument key given to redis.register_function is not a string");
        };
        lua.pop(1);
        match key.as_slice() {
            b"function_name" => {
                name = lua.text(-1).map(<[u8]>::to_vec);
                if name.is_none() {
                    return Err(
                        "function_name argument given to redis.register_function must be a \
                                string",
                    );
                }
            }
            b"description" => {
                description = lua.text(-1).map(<[u8]>::to_vec);
                if description.is_none() {
                    return Err(
                        "description argument given to redis.register_function must be a \
                                string",
                    );
                }
            }
            b"callback" => {
                if lua.kind(-1) != Kind::Function {
                    return Err(
                        "callback argument given to redis.register_function must be a \
                                function",
                    );
                }
                lua.push_copy(-1).map_err(no_room)?;
                lua.replace(2);
            }
            b"flags" => {
                if lua.kind(-1) != Kind::Table {
                    return Err("flags argument to redis.register_function must be a table \
                                representing function flags");
                }
                read_flags(lua, &mut flags)?;
            }
            _ => return Err("unknown argument given to redis.register_function"),
        }
        lua.pop(1);
    }
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    if lua.kind(2) == Kind::Nil {
        return Err("redis.register_function must get a callback argument");
    }
    lua.set_top(2);
    Ok(Function {
        name,
        description,
        flags,
    })
}

/// Reads the names in the array on top.
fn read_flags(lua: &mut Lua<'_>, flags: &mut ScriptFlags) -> Result<(), &'static str> {
    for position in 1.. {
        lua.raw_item(-1, position)
            .map_err(|_no_room: Raise| "stack overflow")?;
        if lua.kind(-1) == Kind::Nil {
            break;
        }
        if !lua.bytes(-1).is_some_and(|name| flags.set(name)) {
            return Err("unknown flag given");
        }
        lua.pop(1);
    }
    lua.pop(1);
    Ok(())
}
