//! Which functions of a library can touch only keys that their callers declare.
//!
//! A function is a script whose `KEYS` is its first parameter, but it sees more than itself: what the library
//! binds around it. Such a name may hold a function that calls commands, or one that another call has left
//! there, with other keys. So a function is accepted only if its body is (see [`super::declared_keys`]) and it
//! uses of the library only what is *harmless*: names that are bound once in the whole text, to a literal or
//! to a function that calls no command and uses nothing else of the library.
//!
//! Invariant: what is not understood is not accepted. If one registration is not understood, no function of
//! the library is, as it may register any name.
//!
//! Not here: what the library has really registered (crate `scripting`).

use base::hash::{Map, Set};

use super::declared_keys::{FIXED, Program, SUSPICIOUS, is_one_of};
use super::tokens::{Token, tokens};
use crate::table::CommandTable;

/// Returns the names, in small letters, of the functions of a library that can touch no other key than
/// those of their first parameter. O(bytes of the library), some allocations; to be asked once per library.
#[must_use]
pub(crate) fn declared_functions(code: &[u8], table: &CommandTable) -> Set<Box<[u8]>> {
    let declared = tokens(code).and_then(|tokens| {
        let text = Program {
            tokens: &tokens,
            keys: b"",
        };
        Some(Library::read(&text)?.declared(table))
    });
    declared.unwrap_or_default()
}

/// A function that stands in no other one: token indexes.
struct Function<'p> {
    /// The word `function`.
    start: usize,
    /// The names of its parameters, without `...`.
    parameters: Vec<&'p [u8]>,
    /// Behind the bracket that ends the parameters.
    body: usize,
    /// The word `end`.
    end: usize,
}

/// What is registered: a name in small letters, and the function if it is known.
type Registered<'l, 'p> = (Box<[u8]>, Option<&'l Function<'p>>);

struct Library<'t, 'p> {
    text: &'t Program<'p>,
    /// In the order of the text.
    functions: Vec<Function<'p>>,
    /// Where each name is bound, in and outside of functions.
    bound_at: Map<&'p [u8], Vec<usize>>,
    /// The names that every function can see.
    outer: Set<&'p [u8]>,
}

impl<'t, 'p> Library<'t, 'p> {
    /// `None` if anything is used in a way that is not looked for.
    fn read(text: &'t Program<'p>) -> Option<Self> {
        if !text.is_plain() {
            return None;
        }
        let functions = outer_functions(text)?;
        let mut library = Self {
            text,
            functions,
            bound_at: Map::default(),
            outer: Set::default(),
        };
        for at in 0..text.tokens.len() {
            library.bind(at)?;
        }
        Some(library)
    }

    fn bind(&mut self, at: usize) -> Option<()> {
        let (mut names, mut others) = (Set::default(), Set::default());
        self.text.bind(at, &mut names, &mut others)?;
        names.extend(others);
        let is_inside = self
            .functions
            .iter()
            .any(|function| function.start < at && at <= function.end);
        let function = self.functions.iter().find(|it| it.start == at);
        for name in names {
            self.bound_at.entry(name).or_default().push(at);
            let is_parameter = function.is_some_and(|it| it.parameters.contains(&name));
            if !is_inside && !is_parameter {
                self.outer.insert(name);
            }
        }
        // A parameter with the name of the function itself hides it: never taken for harmless.
        if let Some(name) = self.text.variable(at + 1).filter(|_| function.is_some()) {
            self.outer.insert(name);
        }
        Some(())
    }

    fn declared(&self, table: &CommandTable) -> Set<Box<[u8]>> {
        let Some(registered) = self.registered() else {
            return Set::default();
        };
        let harmless = self.harmless();
        let mut declared: Set<Box<[u8]>> = Set::default();
        let mut seen: Set<Box<[u8]>> = Set::default();
        for (name, function) in registered {
            let is_new = seen.insert(name.clone());
            if is_new && function.is_some_and(|it| self.is_declared(it, &harmless, table)) {
                declared.insert(name);
            } else {
                declared.remove(&name);
            }
        }
        declared
    }

    fn is_declared(
        &self,
        function: &Function<'p>,
        harmless: &Set<&'p [u8]>,
        table: &CommandTable,
    ) -> bool {
        let keys = function.parameters.first().copied().unwrap_or_default();
        let is_taken = function.parameters.iter().skip(1).any(|it| *it == keys)
            || is_one_of(keys, FIXED)
            || is_one_of(keys, SUSPICIOUS);
        let body = Program {
            tokens: &self.text.tokens[function.body..function.end],
            keys,
        };
        !is_taken && self.uses_only(function, harmless) && body.is_declared(table)
    }

    /// Returns whether a function uses of the library only these names.
    fn uses_only(&self, function: &Function<'p>, harmless: &Set<&'p [u8]>) -> bool {
        (function.body..function.end).all(|at| {
            self.text.is_field(at)
                || self
                    .text
                    .variable(at)
                    .is_none_or(|name| !self.outer.contains(name) || harmless.contains(name))
        })
    }

    /// Returns the names that can bring nothing into a function that uses them.
    fn harmless(&self) -> Set<&'p [u8]> {
        let text = self.text;
        let mut names: Set<&[u8]> = Set::default();
        let mut functions: Vec<(&[u8], &Function<'_>)> = Vec::new();
        for (&name, places) in &self.bound_at {
            let is_one = self.outer.contains(name) && places.len() == 1;
            if !is_one || is_one_of(name, FIXED) {
                continue;
            }
            let at = places[0];
            if self.is_literal(at) {
                names.insert(name);
            } else if let Some(function) = self.function_bound_at(at)
                && !(function.body..function.end).any(|at| calls_command(text, at))
            {
                names.insert(name);
                functions.push((name, function));
            }
        }
        // What uses something that is not harmless is not either, until nothing is left to say so of.
        loop {
            let before = names.len();
            for (name, function) in &functions {
                if names.contains(name) && !self.uses_only(function, &names) {
                    names.remove(name);
                }
            }
            if names.len() == before {
                return names;
            }
        }
    }

    /// `local name = literal`, as a whole.
    fn is_literal(&self, at: usize) -> bool {
        let text = self.text;
        let is_value = match text.tokens.get(at + 3) {
            Some(Token::Text(_) | Token::Number(_)) => true,
            Some(Token::Name(name)) => is_one_of(name, &["true", "false", "nil"]),
            Some(Token::Sign(_)) | None => false,
        };
        text.name(at) == Some(b"local")
            && text.variable(at + 1).is_some()
            && text.sign(at + 2, "=")
            && is_value
            && text.is_boundary(at + 4)
    }

    /// Returns the function of `local function name` or `local name = function`, of which the binding
    /// stands at `at`.
    fn function_bound_at(&self, at: usize) -> Option<&Function<'p>> {
        let text = self.text;
        let is_local = |at: Option<usize>| at.is_some_and(|at| text.name(at) == Some(b"local"));
        let start = if is_local(at.checked_sub(1)) && text.name(at) == Some(b"function") {
            at
        } else if is_local(Some(at)) && text.variable(at + 1).is_some() && text.sign(at + 2, "=") {
            at + 3
        } else {
            return None;
        };
        self.function_at(start)
    }

    fn function_at(&self, start: usize) -> Option<&Function<'p>> {
        self.functions.iter().find(|it| it.start == start)
    }

    /// Returns what the library registers: names in small letters, and the functions as far as they are
    /// known. `None` if a registration is not understood.
    fn registered(&self) -> Option<Vec<Registered<'_, 'p>>> {
        let text = self.text;
        let mut registered = Vec::new();
        for at in 0..text.tokens.len() {
            let is_registration = text.name(at) == Some(b"redis")
                && !text.is_field(at)
                && text.name(at + 2) == Some(b"register_function");
            if !is_registration {
                continue;
            }
            if self.functions.iter().any(|it| it.start < at && at < it.end) {
                return None;
            }
            let (name, callback) = match text.sign(at + 3, "(") {
                true if text.sign(at + 4, "{") => self.named(at + 4)?,
                true => self.positional(at + 4)?,
                false => self.named(at + 3)?,
            };
            registered.push((name.to_ascii_lowercase().into(), callback));
        }
        Some(registered)
    }

    /// `'name', callback)`.
    fn positional(&self, at: usize) -> Option<(&[u8], Option<&Function<'p>>)> {
        let Some(Token::Text(name)) = self.text.tokens.get(at) else {
            return None;
        };
        let (callback, end) = self.callback(at + 2)?;
        (self.text.sign(at + 1, ",") && self.text.sign(end, ")")).then_some((name, callback))
    }

    /// `{function_name = 'name', callback = callback, flags = {...}}`.
    fn named(&self, open: usize) -> Option<(&[u8], Option<&Function<'p>>)> {
        let text = self.text;
        if !text.sign(open, "{") {
            return None;
        }
        let (mut name, mut callback) = (None, None);
        let mut at = open + 1;
        while !text.sign(at, "}") {
            let key = text.variable(at).filter(|_| text.sign(at + 1, "="))?;
            at += 2;
            if key.eq_ignore_ascii_case(b"callback") {
                let (found, end) = self.callback(at)?;
                callback = Some(found);
                at = end;
            } else if text.sign(at, "{") {
                at = text.closing(at)? + 1;
            } else {
                let Some(Token::Text(value)) = text.tokens.get(at) else {
                    return None;
                };
                if key.eq_ignore_ascii_case(b"function_name") {
                    name = Some(&value[..]);
                }
                at += 1;
            }
            if text.sign(at, ",") || text.sign(at, ";") {
                at += 1;
            } else if !text.sign(at, "}") {
                return None;
            }
        }
        Some((name?, callback?))
    }

    /// Returns the function that stands or is named at `at`, if it is known, and the index behind.
    fn callback(&self, at: usize) -> Option<(Option<&Function<'p>>, usize)> {
        if let Some(function) = self.function_at(at) {
            return Some((Some(function), function.end + 1));
        }
        let name = self.text.variable(at)?;
        let function = match self.bound_at.get(name).map(Vec::as_slice) {
            Some([place]) => self.function_bound_at(*place),
            _ => None,
        };
        Some((function, at + 1))
    }
}

fn calls_command(text: &Program<'_>, at: usize) -> bool {
    text.name(at) == Some(b"redis")
        && !text.is_field(at)
        && matches!(text.name(at + 2), Some(b"call" | b"pcall"))
}

/// Returns the functions that stand in no other one, or `None` if blocks do not close.
fn outer_functions<'p>(text: &Program<'p>) -> Option<Vec<Function<'p>>> {
    let mut functions = Vec::new();
    // For each open block, the function that begins it.
    let mut blocks: Vec<Option<Function<'p>>> = Vec::new();
    let mut depth = 0_usize;
    for at in 0..text.tokens.len() {
        match text.name(at) {
            Some(b"function") => {
                let open = (at + 1..text.tokens.len()).find(|&at| text.sign(at, "("))?;
                let body = text.closing(open)? + 1;
                let (parameters, _) = text.name_list(open + 1);
                let function = Function {
                    start: at,
                    parameters,
                    body,
                    end: 0,
                };
                blocks.push(Some(function));
                depth += 1;
            }
            Some(b"do" | b"if" | b"repeat") => blocks.push(None),
            Some(b"end" | b"until") => {
                if let Some(mut function) = blocks.pop()? {
                    depth -= 1;
                    function.end = at;
                    if depth == 0 {
                        functions.push(function);
                    }
                }
            }
            _ => {}
        }
    }
    blocks.is_empty().then_some(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, expected: &[&str]) {
        let code = format!("#!lua name=lib\n{code}");
        let found = declared_functions(code.as_bytes(), &CommandTable::new(&[]));
        let mut names: Vec<String> = found
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        names.sort();
        assert_eq!(names, expected, "{code}");
    }

    #[test]
    fn functions_of_everyday_use_name_only_declared_keys() {
        check(
            "redis.register_function('F', function(keys, args) return redis.call('get', keys[1]) end)",
            &["f"],
        );
        check(
            "local function get(k, a) if a[1] then return redis.call('get', k[1]) end return nil end\n\
             local set = function(KEYS, ARGV) for i, key in ipairs(KEYS) do redis.call('set', key, ARGV[1]) end end\n\
             redis.register_function('get', get) redis.register_function('set', set)",
            &["get", "set"],
        );
        check(
            "local function get(keys) return redis.call('get', keys[1]) end\n\
             redis.register_function{function_name='get', callback=get, flags={'no-writes'}, description='x'}",
            &["get"],
        );
        check(
            "local function get(keys) return redis.call('get', keys[1]) end\n\
             redis.register_function({callback = get; function_name = 'get'})",
            &["get"],
        );
        check(
            "local ttl = 60\nlocal function half(n) return n / 2 end\n\
             local function quarter(n) return half(half(n)) end\n\
             redis.register_function('f', function(keys, args) \
             return redis.call('expire', keys[1], quarter(ttl)) end)",
            &["f"],
        );
        check(
            "redis.register_function('now', function() return redis.call('time') end)",
            &["now"],
        );
    }

    #[test]
    fn one_function_that_may_touch_other_keys_leaves_the_others() {
        check(
            "local function good(keys) return redis.call('get', keys[1]) end\n\
             local function bad(keys, args) return redis.call('get', args[1]) end\n\
             local function odd(keys) return redis.call('get', keys[1] .. 'x') end\n\
             redis.register_function('good', good) redis.register_function('bad', bad)\n\
             redis.register_function('odd', odd)",
            &["good"],
        );
    }

    #[test]
    fn a_function_that_brings_other_keys_is_not_accepted() {
        let register = "redis.register_function('f', f)";
        for text in [
            // Of another function of the library.
            "local function get(key) return redis.call('get', key) end \
             local function f(keys) return get('x') end",
            "local function get(keys) return redis.call('get', keys[1]) end \
             local function f(keys) return get({'x'}) end",
            "local function get(key) return redis.call('get', key) end local function run() return get('x') end \
             local function f(keys) return run() end",
            // Left by another call.
            "local kept = {} local function f(keys) if kept[1] then return kept[1]() end \
             kept[1] = function() return redis.call('get', keys[1]) end end",
            "local kept = 1 local function f(keys) local old = kept \
             kept = function() return redis.call('get', keys[1]) end return old() end",
            "local kept local function f(keys) return kept() end",
            "local t = {g = function(k) return redis.call('get', k) end} local function f(keys) return t.g('x') end",
            // The names are bound anew.
            "local function f(keys) local function keys() end return redis.call('get', keys[1]) end",
            "local function f(keys, keys) return redis.call('get', keys[1]) end",
            "local function f(keys) keys = {'x'} return redis.call('get', keys[1]) end",
            "local function f(keys) keys[1] = 'x' return redis.call('get', keys[1]) end",
            "local function f(keys) return redis.call('get', KEYS[1]) end",
            "local function f(...) local keys = ... return redis.call('get', keys[1]) end",
            "local function f(unpack) return redis.call('get', unpack[1]) end",
            "local unpack = function() return 'x' end local function f(keys) return redis.call('mget', unpack(keys)) end",
            "local function f(keys) return 1 end f = function(keys, a) return redis.call('get', a[1]) end",
            "local function f(keys) return 1 end local function g() f = nil end",
            // What is not looked for.
            "local redis = redis local function f(keys) return redis.call('get', keys[1]) end",
            "local function f(keys) return loadstring('x')() end",
        ] {
            check(&format!("{text}\n{register}"), &[]);
        }
    }

    #[test]
    fn a_registration_that_is_not_understood_leaves_none() {
        let function = "local function f(keys) return redis.call('get', keys[1]) end\n";
        for text in [
            "redis.register_function('f', f) local register = redis.register_function",
            "redis.register_function('f', f) redis.register_function('g' .. 'h', f)",
            "local n = 'g' redis.register_function('f', f) redis.register_function(n, f)",
            "redis.register_function('f', f) pcall(redis.register_function, 'g', f)",
            "local function all() redis.register_function('f', f) end all()",
            "local t = {} redis.register_function('f', f) redis.register_function(t)",
            "if f then redis.register_function('F', f) else redis.register_function('f', f) end",
            "redis.register_function('f', f) redis.register_function{['function_name'] = 'f', callback = f}",
        ] {
            check(&format!("{function}{text}"), &[]);
        }
        check(
            &format!("{function}redis.register_function('f', f) redis.register_function('g', g)"),
            &["f"],
        );
    }
}
