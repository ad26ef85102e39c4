//! Whether a script can touch only keys that its caller declares.
//!
//! Scripts may name any key while they run, and one that has written cannot be taken back to claim
//! more. So a script runs under claims on its declared keys only if its text shows that nothing else
//! can come: every call is `redis.call` or `redis.pcall` with the name of a command, and every key in it
//! is `KEYS[...]`, a variable that can hold nothing but such an element, or `unpack(KEYS)` where only
//! keys follow. All other scripts run under claims on all shards: slower on many cores, never wrong.
//!
//! Invariant: what is not understood is not accepted. A name counts for the whole text, whatever its
//! scope, so a variable is a key only if every binding of that name gives it one.
//!
//! Not here: what a script does when it runs; a mistake here would show there as a key outside of the
//! claims, which is refused.

use base::hash::Set;
use commands::keys;
use commands::spec::{BeginSearch, Declaration, FindKeys, KeySpec, Plan, Spread};
use protocol::args::PackedArgs;

use super::tokens::{Token, tokens};
use crate::control::transaction::sees_data;
use crate::table::{Command, CommandTable, Run};

/// Returns whether every key that the script `source` can touch is one of its `KEYS`. O(bytes of the
/// script), some allocations; to be asked once per script.
#[must_use]
pub(crate) fn touches_only_declared_keys(source: &[u8], table: &CommandTable) -> bool {
    let Some(tokens) = tokens(source) else {
        return false;
    };
    let keys = b"KEYS";
    Program {
        tokens: &tokens,
        keys,
    }
    .is_declared(table)
}

/// Names that could reach tables, functions or keys in ways that are not looked for.
pub(super) const SUSPICIOUS: &[&str] = &[
    "_G",
    "load",
    "loadstring",
    "dofile",
    "loadfile",
    "require",
    "getfenv",
    "setfenv",
    "rawget",
    "rawset",
    "getmetatable",
    "setmetatable",
    "newproxy",
    "debug",
    "server",
];

/// Names that mean what they mean only if the script does not bind them anew.
pub(super) const FIXED: &[&str] = &["redis", "unpack", "ipairs", "pairs"];

/// Keywords that can begin a statement, or end a block.
const BOUNDARIES: &[&str] = &[
    "local", "if", "for", "while", "repeat", "return", "function", "do", "end", "else", "elseif",
    "until", "break",
];

const KEYWORDS: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// A script, or the body of a function.
pub(super) struct Program<'p> {
    pub(super) tokens: &'p [Token<'p>],
    /// What the table of declared keys is called in it.
    pub(super) keys: &'p [u8],
}

/// One argument of a call: token indexes.
type Range = std::ops::Range<usize>;

impl<'p> Program<'p> {
    /// Returns whether every key that it can touch is one of its keys.
    pub(super) fn is_declared(&self, table: &CommandTable) -> bool {
        self.is_plain()
            && self
                .key_names()
                .is_some_and(|names| self.calls_are_declared(&names, table))
    }

    pub(super) fn sign(&self, at: usize, sign: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_sign(sign))
    }

    pub(super) fn name(&self, at: usize) -> Option<&'p [u8]> {
        match self.tokens.get(at) {
            Some(Token::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// Returns the name at `at` unless it is a keyword.
    pub(super) fn variable(&self, at: usize) -> Option<&'p [u8]> {
        self.name(at).filter(|name| !is_one_of(name, KEYWORDS))
    }

    /// Returns whether the name at `at` is a field: `x.name`, `x:name`.
    pub(super) fn is_field(&self, at: usize) -> bool {
        at > 0 && (self.sign(at - 1, ".") || self.sign(at - 1, ":"))
    }

    /// Returns the index of the bracket that closes the one at `open`.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            if ["(", "[", "{"].iter().any(|sign| self.sign(at, sign)) {
                depth += 1;
            } else if [")", "]", "}"].iter().any(|sign| self.sign(at, sign)) {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        None
    }

    /// Returns the index of the bracket that opens what `close` closes.
    fn opening(&self, close: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in (0..=close).rev() {
            if [")", "]", "}"].iter().any(|sign| self.sign(at, sign)) {
                depth += 1;
            } else if ["(", "[", "{"].iter().any(|sign| self.sign(at, sign)) {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        None
    }

    /// Returns whether nothing is used in a way that is not looked for: `redis` and `KEYS` above all.
    pub(super) fn is_plain(&self) -> bool {
        (0..self.tokens.len()).all(|at| {
            let Some(name) = self.name(at) else {
                return !self.sign(at, "=") || self.assigns_no_key(at);
            };
            if self.is_field(at) {
                return true;
            }
            if is_one_of(name, SUSPICIOUS) {
                return false;
            }
            match name {
                b"redis" => self.is_plain_redis(at),
                _ if name == self.keys => self.is_plain_keys(at),
                _ => true,
            }
        })
    }

    /// `redis.name`, and for the two calls `redis.call(`.
    fn is_plain_redis(&self, at: usize) -> bool {
        self.sign(at + 1, ".")
            && match self.name(at + 2) {
                Some(b"call" | b"pcall") => self.sign(at + 3, "("),
                Some(_) => true,
                None => false,
            }
    }

    /// `KEYS[...]`, `#KEYS`, `unpack(KEYS`, `ipairs(KEYS`, `pairs(KEYS`.
    fn is_plain_keys(&self, at: usize) -> bool {
        if self.sign(at + 1, "[") {
            return true;
        }
        let ends = self.sign(at + 1, ")") || self.sign(at + 1, ",");
        let is_counted = at > 0 && self.sign(at - 1, "#");
        let is_taken_apart = at > 1
            && self.sign(at - 1, "(")
            && self
                .name(at - 2)
                .is_some_and(|name| is_one_of(name, &["unpack", "ipairs", "pairs"]))
            && !(at > 2 && self.is_field(at - 2));
        is_counted || is_taken_apart && ends
    }

    /// Returns whether the assignment or field at the sign `=` leaves `KEYS` alone.
    fn assigns_no_key(&self, at: usize) -> bool {
        if self.is_in_braces(at) {
            return true;
        }
        let mut end = at;
        loop {
            let Some((base, first)) = self.assigned(end) else {
                return false;
            };
            if base == self.keys {
                return false;
            }
            if first == 0 || !self.sign(first - 1, ",") {
                return true;
            }
            end = first - 1;
        }
    }

    /// Returns whether `at` stands directly in a table constructor. A function in one is not
    /// understood: its statements count as outside, and then its fields are taken for assignments.
    fn is_in_braces(&self, at: usize) -> bool {
        let mut depth = 0_usize;
        for before in (0..at).rev() {
            if [")", "]", "}"].iter().any(|sign| self.sign(before, sign)) {
                depth += 1;
            } else if ["(", "[", "{"].iter().any(|sign| self.sign(before, sign)) {
                if depth == 0 {
                    return self.sign(before, "{");
                }
                depth -= 1;
            } else if depth == 0 && self.name(before) == Some(b"function") {
                return false;
            }
        }
        false
    }

    /// Reads the variable, with its indexes and fields, that ends before `end`. Returns the name it
    /// begins with and where.
    fn assigned(&self, end: usize) -> Option<(&'p [u8], usize)> {
        let mut at = end.checked_sub(1)?;
        loop {
            if self.sign(at, "]") || self.sign(at, ")") {
                at = self.opening(at)?.checked_sub(1)?;
            } else {
                let name = self.variable(at)?;
                if !self.is_field(at) {
                    return Some((name, at));
                }
                at = at.checked_sub(2)?;
            }
        }
    }

    /// Returns the names that can hold nothing but elements of `KEYS`, or `None` if a name that has to
    /// keep its meaning is bound anew.
    fn key_names(&self) -> Option<Set<&'p [u8]>> {
        let mut keys: Set<&[u8]> = Set::default();
        let mut others: Set<&[u8]> = Set::default();
        for at in 0..self.tokens.len() {
            self.bind(at, &mut keys, &mut others)?;
        }
        let is_bound = |name: &[u8]| keys.contains(name) || others.contains(name);
        if is_bound(self.keys) || FIXED.iter().any(|name| is_bound(name.as_bytes())) {
            return None;
        }
        Some(keys.difference(&others).copied().collect())
    }

    /// Adds the names that the token at `at` binds, if it begins that, to those that can hold nothing but
    /// elements of `KEYS` or to the others. `None` if it is not understood.
    pub(super) fn bind(
        &self,
        at: usize,
        keys: &mut Set<&'p [u8]>,
        others: &mut Set<&'p [u8]>,
    ) -> Option<()> {
        if self.is_field(at) {
            return Some(());
        }
        match self.tokens.get(at) {
            Some(Token::Name(b"local")) if self.name(at + 1) != Some(b"function") => {
                self.bind_locals(at + 1, keys, others);
            }
            Some(Token::Name(b"function")) => self.bind_function(at, others)?,
            Some(Token::Name(b"for")) => self.bind_loop(at + 1, keys, others),
            Some(Token::Sign(b"=")) if !self.is_in_braces(at) => self.bind_assigned(at, others),
            _ => {}
        }
        Some(())
    }

    /// Reads names with commas between them from `at` on. Returns them and the index behind.
    pub(super) fn name_list(&self, mut at: usize) -> (Vec<&'p [u8]>, usize) {
        let mut names = Vec::new();
        while let Some(name) = self.variable(at) {
            names.push(name);
            at += 1;
            if !self.sign(at, ",") {
                break;
            }
            at += 1;
        }
        (names, at)
    }

    /// `local a, b = KEYS[1], KEYS[2]`.
    fn bind_locals(&self, at: usize, keys: &mut Set<&'p [u8]>, others: &mut Set<&'p [u8]>) {
        let (names, mut at) = self.name_list(at);
        let mut values = self.sign(at, "=");
        at += 1;
        for name in names {
            let end = values.then(|| self.element_of_keys(at)).flatten();
            match end {
                Some(end) if self.sign(end, ",") => {
                    keys.insert(name);
                    at = end + 1;
                }
                Some(end) if self.is_boundary(end) => {
                    keys.insert(name);
                    values = false;
                }
                _ => {
                    others.insert(name);
                    values = false;
                }
            }
        }
    }

    /// Returns the index behind `KEYS[...]` at `at`.
    fn element_of_keys(&self, at: usize) -> Option<usize> {
        (self.name(at) == Some(self.keys) && self.sign(at + 1, "["))
            .then(|| self.closing(at + 1))
            .flatten()
            .map(|closing| closing + 1)
    }

    /// Returns whether an expression that ends before `at` is over there.
    pub(super) fn is_boundary(&self, at: usize) -> bool {
        match self.tokens.get(at) {
            None => true,
            Some(Token::Name(name)) => !is_one_of(name, KEYWORDS) || is_one_of(name, BOUNDARIES),
            Some(Token::Sign(sign)) => *sign == b";",
            Some(Token::Text(_) | Token::Number(_)) => false,
        }
    }

    /// `function name(a, b)`: the name and the parameters.
    fn bind_function(&self, at: usize, others: &mut Set<&'p [u8]>) -> Option<()> {
        let mut open = at + 1;
        while !self.sign(open, "(") {
            others.insert(self.variable(open)?);
            open += 1;
            if self.sign(open, ".") || self.sign(open, ":") {
                open += 1;
            }
        }
        let (names, _) = self.name_list(open + 1);
        others.extend(names);
        Some(())
    }

    /// `for i = ..`, `for i, key in ipairs(KEYS) do`.
    fn bind_loop(&self, at: usize, keys: &mut Set<&'p [u8]>, others: &mut Set<&'p [u8]>) {
        let (names, at) = self.name_list(at);
        let is_over_keys = self.name(at) == Some(b"in")
            && self
                .name(at + 1)
                .is_some_and(|name| is_one_of(name, &["ipairs", "pairs"]))
            && self.sign(at + 2, "(")
            && self.name(at + 3) == Some(self.keys)
            && self.sign(at + 4, ")")
            && self.name(at + 5) == Some(b"do");
        for (index, name) in names.into_iter().enumerate() {
            if is_over_keys && index == 1 {
                keys.insert(name);
            } else {
                others.insert(name);
            }
        }
    }

    /// `a, b = ..` and also `local a = ..`: the latter was seen already, so only what stands without
    /// `local` counts here.
    fn bind_assigned(&self, at: usize, others: &mut Set<&'p [u8]>) {
        let mut names = Vec::new();
        let mut end = at;
        while let Some((base, first)) = self.assigned(end) {
            names.push(base);
            let before = first.checked_sub(1);
            match before {
                Some(before) if self.sign(before, ",") => end = before,
                Some(before) if matches!(self.name(before), Some(b"local" | b"for")) => return,
                Some(_) | None => break,
            }
        }
        others.extend(names);
    }

    fn calls_are_declared(&self, key_names: &Set<&[u8]>, table: &CommandTable) -> bool {
        (0..self.tokens.len()).all(|at| {
            let is_call = self.name(at) == Some(b"redis")
                && !self.is_field(at)
                && matches!(self.name(at + 2), Some(b"call" | b"pcall"));
            !is_call || {
                let words = self.arguments(at + 3);
                words.is_some_and(|words| self.is_declared_call(&words, key_names, table))
            }
        })
    }

    /// Returns the arguments between the bracket at `open` and its other one.
    fn arguments(&self, open: usize) -> Option<Vec<Range>> {
        let close = self.closing(open)?;
        let mut arguments = Vec::new();
        let mut begun = open + 1;
        let mut at = begun;
        while at < close {
            if ["(", "[", "{"].iter().any(|sign| self.sign(at, sign)) {
                at = self.closing(at)?;
            } else if self.name(at) == Some(b"function") {
                return None;
            } else if self.sign(at, ",") {
                arguments.push(begun..at);
                begun = at + 1;
            }
            at += 1;
        }
        arguments.push(begun..close);
        Some(arguments)
    }

    /// Returns whether all keys of one call are declared.
    fn is_declared_call(
        &self,
        words: &[Range],
        key_names: &Set<&[u8]>,
        table: &CommandTable,
    ) -> bool {
        let mut call = PackedArgs::default();
        let mut is_all_known = true;
        for word in words {
            let known = self.literal(word);
            is_all_known &= known.is_some() || self.is_key(word, key_names);
            call.push_word(known.as_deref().unwrap_or(UNKNOWN));
        }
        let Some(command) = self
            .literal(&words[0])
            .and_then(|_| table.resolve(call.args()))
        else {
            return false;
        };
        let declaration = command.declaration;
        if LEAVES_DATABASE.contains(&declaration.name) {
            return false;
        }
        if declaration.keys.is_empty() {
            return is_without_keys(command);
        }
        let searches = |spec: &KeySpec| {
            !matches!(spec.begin, BeginSearch::Index(_))
                || matches!(spec.find, FindKeys::Search(_) | FindKeys::Unknown)
                || spec.flags.contains(&"incomplete")
        };
        if declaration.keys.iter().any(searches) && !is_all_known || reads_others(command) {
            return false;
        }
        let is_counted_here = |spec: &KeySpec| match (spec.begin, spec.find) {
            (BeginSearch::Index(begin), FindKeys::KeyNum { at, .. }) => words
                .get(usize::from(begin) + usize::from(at))
                .is_some_and(|word| self.literal(word).is_some()),
            _ => true,
        };
        if !declaration.keys.iter().all(is_counted_here) {
            return false;
        }
        self.positions_are_declared(words, declaration, &call, key_names)
    }

    /// Returns whether the words at the positions of keys are declared, however many words the last
    /// argument gives.
    fn positions_are_declared(
        &self,
        words: &[Range],
        declaration: &'static Declaration,
        call: &PackedArgs,
        key_names: &Set<&[u8]>,
    ) -> bool {
        let count = words.len();
        let is_key = |index: usize| self.is_key(&words[index], key_names);
        let last = &words[count - 1];
        if !self.may_be_several(last) {
            let mut found = 0;
            let mut is_declared = true;
            keys::positions(declaration, call.args(), |index, _| {
                found += 1;
                is_declared &= is_key(index);
            });
            return is_declared && found > 0;
        }
        // The last argument stands for any number of words, none included.
        let all_are_keys = self.is_unpacked_keys(last);
        let is_counted = |spec: &KeySpec| matches!(spec.find, FindKeys::KeyNum { .. });
        if declaration.keys.iter().any(is_counted) && !all_are_keys {
            return false;
        }
        let mut fewer = PackedArgs::default();
        for index in 0..count - 1 {
            fewer.push_word(call.args().word(index));
        }
        (0..=4).all(|_| {
            let mut is_declared = true;
            keys::positions(declaration, fewer.args(), |index, _| {
                is_declared &= if index < count - 1 {
                    is_key(index)
                } else {
                    all_are_keys
                };
            });
            fewer.push_word(UNKNOWN);
            is_declared
        })
    }

    /// Returns the text of an argument that is a string or a number.
    fn literal(&self, word: &Range) -> Option<Vec<u8>> {
        match &self.tokens[word.clone()] {
            [Token::Text(text)] => Some(text.clone()),
            [Token::Number(text)] => Some(text.to_vec()),
            _ => None,
        }
    }

    /// Returns whether an argument is an element of `KEYS` and nothing else.
    fn is_key(&self, word: &Range, key_names: &Set<&[u8]>) -> bool {
        self.element_of_keys(word.start) == Some(word.end)
            || word.len() == 1
                && self
                    .variable(word.start)
                    .is_some_and(|name| key_names.contains(name))
    }

    /// Returns whether an argument may give more or less than one value: a call, or `...`.
    fn may_be_several(&self, word: &Range) -> bool {
        word.is_empty()
            || self.sign(word.end - 1, ")")
            || self.sign(word.end - 1, "...")
            || self.sign(word.end - 1, "}")
            || word.len() > 1 && matches!(self.tokens[word.end - 1], Token::Text(_))
    }

    /// `unpack(KEYS)`, `unpack(KEYS, 2, 3)`.
    fn is_unpacked_keys(&self, word: &Range) -> bool {
        self.name(word.start) == Some(b"unpack")
            && self.sign(word.start + 1, "(")
            && self.name(word.start + 2) == Some(self.keys)
            && self.closing(word.start + 1) == Some(word.end - 1)
    }
}

/// Commands that reach keys of another database, where nothing is claimed.
const LEAVES_DATABASE: &[&str] = &["select", "move", "copy"];

/// Stands for a word that only the running script knows. No command takes it for a number or an option.
const UNKNOWN: &[u8] = b"\x01";

/// Returns whether a command that declares no keys works on none.
fn is_without_keys(command: &Command) -> bool {
    match command.run {
        Run::Shard(shard_command) | Run::Waiting(shard_command, _) => {
            shard_command.spread == Spread::OneShard
        }
        Run::Control(_) => !sees_data(command.full_name),
    }
}

/// Returns whether a command may use keys that its words only describe, or rows on other shards than that of its
/// key.
fn reads_others(command: &Command) -> bool {
    match command.run {
        Run::Shard(shard_command) | Run::Waiting(shard_command, _) => {
            matches!(
                shard_command.spread,
                Spread::Plan(Plan::Sort | Plan::Table(_))
            )
        }
        Run::Control(_) => true,
    }
}

pub(super) fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|it| it.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_declared(source: &str) -> bool {
        touches_only_declared_keys(source.as_bytes(), &CommandTable::new(&[]))
    }

    #[test]
    fn scripts_of_everyday_use_name_only_declared_keys() {
        for source in [
            "return 1",
            "return redis.call('get', KEYS[1])",
            "return {KEYS[1],ARGV[1]}",
            "if redis.call(\"get\",KEYS[1]) == ARGV[1] then return redis.call(\"del\",KEYS[1]) else return 0 end",
            "local token = redis.call('get', KEYS[1])\nif not token or token ~= ARGV[1] then return 0 end\n\
             redis.call('pexpire', KEYS[1], ARGV[2])\nreturn 1",
            "local key = KEYS[1]\nlocal n = tonumber(ARGV[1]);\nif redis.call('exists', key) == 0 then \
             return nil end\nreturn redis.call('incrby', key, n)",
            "local a, b = KEYS[1], KEYS[2] local c = 3 return redis.call('smove', a, b, ARGV[1])",
            "for i, key in ipairs(KEYS) do redis.call('set', key, i) end return #KEYS",
            "return redis.call('mget', unpack(KEYS))",
            "return redis.call('rpush', KEYS[1], unpack(ARGV))",
            "return redis.call('sunionstore', KEYS[1], KEYS[2], unpack(KEYS, 3))",
            "local t = {x = KEYS[1], y = 2}\nt.z = 3\nt['w'] = 4\nreturn redis.call('hset', KEYS[tonumber(ARGV[1])], 'f', t.y)",
            "local now = redis.call('time') return redis.call('zadd', KEYS[1], now[1], ARGV[1])",
            "return redis.call('zinterstore', KEYS[1], 2, KEYS[2], KEYS[3])",
            "local ok = redis.pcall('incr', KEYS[1]) if ok.err then return redis.error_reply(ok.err) end return ok",
        ] {
            assert!(is_declared(source), "{source}");
        }
    }

    #[test]
    fn a_script_that_may_touch_another_key_is_not_accepted() {
        for source in [
            "return redis.call('get', ARGV[1])",
            "return redis.call('get', 'x')",
            "return redis.call('get', KEYS[1] .. 'x')",
            "return redis.call('get', (KEYS[1] or 'x'))",
            "local key = KEYS[1] .. 'x' return redis.call('get', key)",
            "local key = KEYS[1] key = 'x' return redis.call('get', key)",
            "local key = KEYS[1] local function f(key) return redis.call('get', key) end return f('x')",
            "local key = KEYS[1] for key in pairs(ARGV) do redis.call('get', key) end",
            "for i, key in ipairs(KEYS) do for key, v in ipairs(ARGV) do redis.call('get', key) end end",
            "local a, b = KEYS[1] return redis.call('get', b)",
            "local a = ('x' .. KEYS[1]) return redis.call('get', a)",
            "local a = KEYS[1] 'x' return redis.call('get', a)",
            "KEYS[1] = 'x' return redis.call('get', KEYS[1])",
            "KEYS[1], a = 'x', 1 return redis.call('get', KEYS[1])",
            "local t = KEYS t[1] = 'x' return redis.call('get', KEYS[1])",
            "table.insert(KEYS, 'x') return redis.call('get', KEYS[1])",
            "local KEYS = {'x'} return redis.call('get', KEYS[1])",
            "local f = redis.call return f('get', 'x')",
            "return pcall(redis.call, 'get', 'x')",
            "return redis['call']('get', 'x')",
            "local redis = redis return redis.call('get', KEYS[1])",
            "return loadstring(ARGV[1])()",
            "return _G.redis.call('get', 'x')",
            "return redis.call(ARGV[1], KEYS[1])",
            "return redis.call(unpack(ARGV))",
            "return redis.call('mget', unpack(ARGV))",
            "return redis.call('mget', KEYS[1], unpack(ARGV))",
            "return redis.call('mset', KEYS[1], 'v', unpack(ARGV))",
            "local unpack = function() return 'x' end return redis.call('mget', unpack(KEYS))",
            "local function ipairs(x) return next, {1, 'x'} end for i, k in ipairs(KEYS) do redis.call('get', k) end",
            "return redis.call('keys', '*')",
            "return redis.call('dbsize')",
            "redis.call('select', 1) return redis.call('get', KEYS[1])",
            "return redis.call('flushall')",
            "return redis.call('randomkey')",
            "return redis.call('sort', KEYS[1], 'by', 'w_*')",
            "return redis.call('zinterstore', KEYS[1], ARGV[1], KEYS[2], KEYS[3])",
            "return redis.call('zunionstore', KEYS[1], 2, KEYS[2], ARGV[1])",
            "return redis.call('georadius', KEYS[1], 1, 2, 3, 'm', ARGV[1], ARGV[2])",
            "return redis.call('xread', ARGV[1], KEYS[1], 0)",
            "return redis.call('zunionstore', KEYS[1], 9, KEYS[2], unpack(ARGV))",
            "local t = {f = function() KEYS[1], x = 'x', 2 end} t.f() return redis.call('get', KEYS[1])",
            "return redis.call('nonesuch', KEYS[1])",
            "return redis.call('get'",
        ] {
            assert!(!is_declared(source), "{source}");
        }
    }
}
