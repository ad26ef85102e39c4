//! Scripts and functions that clients run, and what each does to the model.
//!
//! A script of this table names its keys or hides them, so that both ways of claiming are tried.
//!
//! Not here: Lua itself, which the model does not know.

use protocol::value::Value;

use super::model::{Run, TABLE};
use super::operations::{
    Draw, Operation, append, bulk, get, incr, integer, lpop, operation, rpush, set,
};
use super::tables;

/// The commands.
pub(super) const OPERATIONS: &[Operation] = &[
    operation("EVAL", 24, draw_eval, eval),
    operation("FCALL", 5, draw_fcall, fcall),
    // Sent once, at the beginning.
    operation(
        "FUNCTION",
        0,
        |_| Vec::new(),
        |_, _| Ok(Value::Bulk(b"lib".to_vec())),
    ),
];

/// Returns the command that makes functions known.
pub(super) fn load() -> Vec<String> {
    ["FUNCTION", "LOAD", LIBRARY].map(str::to_owned).to_vec()
}

const LIBRARY: &str = "#!lua name=lib
local function swap(KEYS, ARGV)
  local one, other = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
  if one then redis.call('SET', KEYS[2], one) end
  if other then redis.call('SET', KEYS[1], other) end
  return {one or 'none', other or 'none'}
end
redis.register_function('swap', swap)
local function hidden(KEYS, ARGV) return swap(ARGV, {}) end
redis.register_function('hidden', hidden)
";

/// A script, the kinds of its two keys, and what it does with keys and values: two of each.
struct Script {
    text: &'static str,
    kinds: [char; 2],
    /// The keys are declared.
    is_declared: bool,
    run: Effect,
}

/// Does to the model what a script does with two keys and its values.
type Effect = fn(&mut Run<'_>, [&String; 2], &[String]) -> Result<Value, Value>;

const SCRIPTS: &[Script] = &[
    Script {
        text: "local v = redis.call('LPOP', KEYS[1]) \
               if v then redis.call('RPUSH', KEYS[2], v) end return v",
        kinds: ['l', 'l'],
        is_declared: true,
        run: move_element,
    },
    Script {
        text: "local a, b = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]) \
               if a then redis.call('SET', KEYS[2], a) end \
               if b then redis.call('SET', KEYS[1], b) end \
               return {a or 'none', b or 'none'}",
        kinds: ['s', 's'],
        is_declared: true,
        run: swap,
    },
    Script {
        text: "return {redis.call('INCR', KEYS[1]), redis.call('INCR', KEYS[2])}",
        kinds: ['n', 'n'],
        is_declared: true,
        run: increment,
    },
    Script {
        text: "redis.call('APPEND', ARGV[1], ARGV[3]) return redis.call('GET', ARGV[2] .. '')",
        kinds: ['s', 's'],
        is_declared: false,
        run: append_and_read,
    },
    Script {
        text: "redis.call('RPUSH', KEYS[1], ARGV[1]) redis.call('RPUSH', KEYS[2], ARGV[2]) \
               return redis.call('LLEN', KEYS[1])",
        kinds: ['l', 'l'],
        is_declared: true,
        run: push_both,
    },
    Script {
        text: "redis.call('RPUSH', ARGV[1] .. '', ARGV[3]) redis.call('RPUSH', ARGV[2], ARGV[4]) \
               return redis.call('LLEN', ARGV[1])",
        kinds: ['l', 'l'],
        is_declared: false,
        run: push_both,
    },
    Script {
        text: "redis.call('TABLE.INSERT', KEYS[1], 'k=' .. ARGV[1], 'g=0', 'n=0') \
               redis.call('RPUSH', KEYS[2], ARGV[1]) \
               return redis.call('TABLE.COUNT', KEYS[1], 'WHERE', 'g=0')",
        kinds: [TABLE, 'l'],
        is_declared: true,
        run: insert_and_push,
    },
    Script {
        text: "return {redis.call('TABLE.UPDATE', ARGV[1], 'SET', 'n=n+1'), \
               redis.call('TABLE.UPDATE', ARGV[2], 'WHERE', 'g=1', 'SET', 'g=0')}",
        kinds: [TABLE, TABLE],
        is_declared: false,
        run: update_both,
    },
];

/// Scripts of worlds without tables: those before the first that has one.
fn script_count(has_tables: bool) -> usize {
    let is_about_tables = |script: &Script| script.kinds.contains(&TABLE);
    let first = SCRIPTS.iter().position(is_about_tables);
    first.filter(|_| !has_tables).unwrap_or(SCRIPTS.len())
}

// --- words ---

fn draw_eval(it: &mut Draw<'_>) -> Vec<String> {
    let script = &SCRIPTS[it.random.index(script_count(it.has_tables))];
    let key_count = if script.is_declared { "2" } else { "0" };
    vec![
        script.text.to_owned(),
        key_count.to_owned(),
        it.mixed(script.kinds[0]),
        it.mixed(script.kinds[1]),
        it.value(),
        it.value(),
    ]
}

/// The keys of the second function stand where arguments do.
const FUNCTIONS: [(&str, &str); 2] = [("swap", "2"), ("hidden", "0")];

fn draw_fcall(it: &mut Draw<'_>) -> Vec<String> {
    let (function, key_count) = FUNCTIONS[it.random.index(FUNCTIONS.len())];
    vec![
        function.to_owned(),
        key_count.to_owned(),
        it.mixed('s'),
        it.mixed('s'),
    ]
}

// --- what they do ---

fn eval(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let script = SCRIPTS.iter().find(|it| it.text == words[0]);
    let script = script.expect("drawn from the table");
    (script.run)(run, [&words[2], &words[3]], &words[4..])
}

fn fcall(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    swap(run, [&words[2], &words[3]], &[])
}

fn pair(key: &str, value: &str) -> [String; 2] {
    [key.to_owned(), value.to_owned()]
}

fn text_of(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn move_element(run: &mut Run<'_>, [from, to]: [&String; 2], _: &[String]) -> Result<Value, Value> {
    let taken = lpop(run, std::slice::from_ref(from))?;
    if let Value::Bulk(element) = &taken {
        rpush(run, &pair(to, &text_of(element)))?;
    }
    Ok(taken)
}

fn swap(run: &mut Run<'_>, [one, other]: [&String; 2], _: &[String]) -> Result<Value, Value> {
    let values = [run.text(one)?, run.text(other)?];
    for (key, value) in [other, one].into_iter().zip(&values) {
        if let Some(value) = value {
            set(run, &pair(key, &text_of(value)))?;
        }
    }
    let shown = |value: Option<Vec<u8>>| bulk(value.or_else(|| Some(b"none".to_vec())));
    Ok(Value::Array(values.map(shown).to_vec()))
}

fn increment(run: &mut Run<'_>, keys: [&String; 2], _: &[String]) -> Result<Value, Value> {
    let mut numbers = Vec::new();
    for key in keys {
        numbers.push(incr(run, std::slice::from_ref(key))?);
    }
    Ok(Value::Array(numbers))
}

fn append_and_read(
    run: &mut Run<'_>,
    [to, from]: [&String; 2],
    values: &[String],
) -> Result<Value, Value> {
    append(run, &pair(to, &values[0]))?;
    get(run, std::slice::from_ref(from))
}

fn push_both(run: &mut Run<'_>, keys: [&String; 2], values: &[String]) -> Result<Value, Value> {
    for (key, value) in keys.into_iter().zip(values) {
        rpush(run, &pair(key, value))?;
    }
    Ok(integer(run.list(keys[0])?.len()))
}

fn insert_and_push(
    run: &mut Run<'_>,
    [table, list]: [&String; 2],
    values: &[String],
) -> Result<Value, Value> {
    let k = format!("k={}", values[0]);
    let words = [table.as_str(), &k, "g=0", "n=0"].map(str::to_owned);
    tables::insert(run, &words)?;
    rpush(run, &pair(list, &values[0]))?;
    let words = [table.as_str(), "WHERE", "g=0"].map(str::to_owned);
    tables::count(run, &words)
}

fn update_both(run: &mut Run<'_>, tables: [&String; 2], _: &[String]) -> Result<Value, Value> {
    let [one, other] = tables;
    let words = [&["SET", "n=n+1"][..], &["WHERE", "g=1", "SET", "g=0"]];
    let mut counts = Vec::new();
    for (table, words) in [one, other].into_iter().zip(words) {
        let words = words.iter().map(|word| (*word).to_owned());
        let words: Vec<String> = std::iter::once(table.clone()).chain(words).collect();
        counts.push(tables::update(run, &words)?);
    }
    Ok(Value::Array(counts))
}
