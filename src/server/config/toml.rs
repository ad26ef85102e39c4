//! TOML files: the same directives in sections, with types; reading and rewriting.
//!
//! A directive stands at the path its declaration gives, or at `redis.<name>` if it gives none.
//! `true` and `false` are `yes` and `no`; a list is an array, or a text as in redis.conf;
//! `server.rename_commands` is a table of old and new names.
//!
//! Invariants
//! - A key nobody knows is an error, as is a key given twice.
//! - A rewritten file keeps its comments, its order, and what has not changed.

use std::ops::Range;
use std::path::Path;

use toml_edit::{Array, Document, DocumentMut, Item, Table, TableLike, value};

use super::directive::{Directive, all, nearest};
use super::error::{ConfigError, Place, UNKNOWN};
use super::value::{Kind, Value};
use super::{Entry, fold};

/// One key of a file that holds a value.
struct Leaf {
    /// The path, its parts joined by dots.
    path: String,
    /// What the value is in words of redis.conf; several for a table of renamed commands.
    words: Vec<Vec<String>>,
    directive: &'static Directive,
    span: Option<Range<usize>>,
}

/// Reads `text`, which came from `path`, into `entries`.
///
/// # Errors
///
/// The text is not TOML, or a key is unknown, or two keys of one directive disagree.
pub(super) fn parse(text: &str, path: &Path, entries: &mut Vec<Entry>) -> Result<(), ConfigError> {
    let line = |span: Option<Range<usize>>| {
        let start = span.map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        Place::line(path, before.matches('\n').count() + 1)
    };
    let document = Document::parse(text).map_err(|error| {
        let what = error.message().lines().collect::<Vec<_>>().join("; ");
        let key = error
            .span()
            .and_then(|span| text.get(span))
            .unwrap_or_default();
        ConfigError::new(
            line(error.span()),
            key.lines().next().unwrap_or_default(),
            what,
        )
    })?;
    let mut leaves = Vec::new();
    collect(document.as_table(), "", &mut leaves).map_err(|problem| ConfigError {
        place: line(problem.span),
        key: problem.key,
        what: problem.what,
        nearest: problem.nearest,
    })?;
    for (index, leaf) in leaves.iter().enumerate() {
        let others = leaves.get(..index).unwrap_or_default();
        if let Some(other) = others
            .iter()
            .find(|other| other.directive.name == leaf.directive.name && other.words != leaf.words)
        {
            let what = format!("contradicts {}, which is the same directive", other.path);
            return Err(ConfigError::new(line(leaf.span.clone()), &leaf.path, what));
        }
        for words in &leaf.words {
            entries.push(Entry {
                directive: leaf.directive,
                words: words.clone(),
                place: line(leaf.span.clone()),
            });
        }
    }
    Ok(())
}

/// An error whose line is not yet known.
struct Problem {
    key: String,
    what: String,
    nearest: Option<String>,
    span: Option<Range<usize>>,
}

/// Finds the directive at `path`; true if the path says the opposite.
fn at(path: &str) -> Option<(&'static Directive, bool)> {
    all().find_map(|directive| {
        if directive.is_at(path) {
            Some((directive, false))
        } else {
            (!path.is_empty() && directive.toml_inverted == path).then_some((directive, true))
        }
    })
}

/// Walks a table and appends its values to `leaves`.
fn collect(table: &dyn TableLike, prefix: &str, leaves: &mut Vec<Leaf>) -> Result<(), Problem> {
    for (key, item) in table.iter() {
        let path = if prefix.is_empty() {
            key.to_owned()
        } else {
            format!("{prefix}.{key}")
        };
        let span = table
            .key(key)
            .and_then(toml_edit::Key::span)
            .or_else(|| item.span());
        let problem = |what: String, nearest| Problem {
            key: path.clone(),
            what,
            nearest,
            span: span.clone(),
        };
        match (at(&path), item.as_table_like()) {
            (Some((directive, is_inverted)), _) => {
                let words =
                    item_words(directive, is_inverted, item).map_err(|what| problem(what, None))?;
                leaves.push(Leaf {
                    path,
                    words,
                    directive,
                    span,
                });
            }
            (None, Some(inner)) if is_section(&path) => collect(inner, &path, leaves)?,
            (None, inner) => {
                let nearest = match inner {
                    Some(_) => nearest(&path, known_sections()),
                    None => nearest(&path, known_paths()),
                };
                return Err(problem(UNKNOWN.to_owned(), nearest));
            }
        }
    }
    Ok(())
}

/// True if some directive lies in the section `path`.
fn is_section(path: &str) -> bool {
    known_paths().any(|known| {
        known
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// Returns every section a file may have, some more than once.
fn known_sections() -> impl Iterator<Item = String> {
    known_paths().filter_map(|path| path.rsplit_once('.').map(|(section, _)| section.to_owned()))
}

/// Returns every path a file may have.
fn known_paths() -> impl Iterator<Item = String> {
    all().flat_map(|directive| {
        let explicit = directive.toml.iter().map(|path| (*path).to_owned());
        let inverted =
            (!directive.toml_inverted.is_empty()).then(|| directive.toml_inverted.to_owned());
        explicit
            .chain(inverted)
            .chain([format!("redis.{}", directive.name)])
    })
}

/// Returns the value of a key as the words redis.conf would have, one list per line.
fn item_words(
    directive: &Directive,
    is_inverted: bool,
    item: &Item,
) -> Result<Vec<Vec<String>>, String> {
    if matches!(directive.kind, Kind::Renames) {
        let table = item
            .as_table_like()
            .ok_or("must be a table of old and new names")?;
        return table
            .iter()
            .map(|(old, new)| match new.as_str() {
                Some(new) => Ok(vec![old.to_owned(), new.to_owned()]),
                None => Err(format!("the new name of {old} must be a text")),
            })
            .collect();
    }
    let value = item.as_value().ok_or("must be a value, not a table")?;
    if matches!(directive.kind, Kind::Users)
        && let Some(array) = value.as_array()
    {
        // Each text is a line.
        return array.iter().map(|line| Ok(vec![scalar(line)?])).collect();
    }
    if let Some(array) = value.as_array() {
        if !directive.kind.is_list() {
            return Err("must be one value, not an array".to_owned());
        }
        let words: Result<Vec<String>, String> = array.iter().map(scalar).collect();
        // An array of "900 1" and "300 10" is the same as one of their words.
        let words = words?
            .iter()
            .flat_map(|w| w.split_ascii_whitespace())
            .map(str::to_owned)
            .collect();
        return Ok(vec![words]);
    }
    if matches!(directive.kind, Kind::Octal) && value.is_integer() {
        return Err("must be a text of octal digits".to_owned());
    }
    let word = scalar(value)?;
    let word = match (is_inverted, word.as_str()) {
        (true, "yes") => "no".to_owned(),
        (true, "no") => "yes".to_owned(),
        _ => word,
    };
    Ok(vec![vec![word]])
}

/// Returns one value as a word of redis.conf.
fn scalar(value: &toml_edit::Value) -> Result<String, String> {
    match value {
        toml_edit::Value::String(text) => Ok(text.value().clone()),
        toml_edit::Value::Integer(number) => Ok(number.value().to_string()),
        toml_edit::Value::Float(number) => Ok(number.value().to_string()),
        toml_edit::Value::Boolean(flag) => Ok(if *flag.value() { "yes" } else { "no" }.to_owned()),
        toml_edit::Value::Datetime(_)
        | toml_edit::Value::Array(_)
        | toml_edit::Value::InlineTable(_) => {
            Err("must be a text, a number, true or false".to_owned())
        }
    }
}

/// Returns `text` with the keys changed or added that make it give `values`.
///
/// `values` holds a directive once at most; keys of others stay. One that the file does not have is
/// added to its section if it is not at its default.
///
/// # Errors
///
/// The text is no longer a valid configuration.
pub(super) fn rewrite(
    text: &str,
    values: &[(&'static Directive, &Value)],
) -> Result<String, ConfigError> {
    let mut entries = Vec::new();
    let path = Path::new("configuration file");
    parse(text, path, &mut entries)?;
    let error = |what: String| ConfigError::new(Place::line(path, 0), "", what);
    let mut document: DocumentMut = text
        .parse()
        .map_err(|e: toml_edit::TomlError| error(e.message().to_owned()))?;
    for (directive, wanted) in values {
        let mut given = None;
        for entry in entries
            .iter()
            .filter(|entry| entry.directive.name == directive.name)
        {
            let words: Vec<&str> = entry.words.iter().map(String::as_str).collect();
            let is_first = given.is_none();
            let before = given.unwrap_or_else(|| directive.default_value());
            given = Some(
                fold(directive, &words, &before, is_first)
                    .map_err(|what| error(what.into_owned()))?,
            );
        }
        let is_right = match &given {
            Some(given) => given == *wanted,
            None => **wanted == directive.default_value(),
        };
        if !is_right {
            put(&mut document, directive, wanted);
        }
    }
    Ok(document.to_string())
}

/// Writes one value to where the file has it, or to its first path.
fn put(document: &mut DocumentMut, directive: &Directive, wanted: &Value) {
    let mut paths: Vec<String> = directive
        .toml
        .iter()
        .map(|path| (*path).to_owned())
        .collect();
    paths.extend(directive.names().map(|name| format!("redis.{name}")));
    let inverted = directive.toml_inverted;
    let mut present: Vec<String> = paths
        .iter()
        .filter(|path| has(document.as_table(), path))
        .cloned()
        .collect();
    if !inverted.is_empty() && has(document.as_table(), inverted) {
        set(document.as_table_mut(), inverted, value(!wanted.is_yes()));
        return;
    }
    if present.is_empty() {
        present.push(directive.toml_path());
    }
    for path in present {
        set(document.as_table_mut(), &path, item_of(wanted));
    }
}

fn has(table: &Table, path: &str) -> bool {
    let mut parts = path.split('.');
    let Some(mut item) = parts.next().and_then(|part| table.get(part)) else {
        return false;
    };
    for part in parts {
        match item.get(part) {
            Some(inner) => item = inner,
            None => return false,
        }
    }
    true
}

fn set(table: &mut Table, path: &str, mut item: Item) {
    match path.split_once('.') {
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(toml_edit::table);
            if let Some(inner) = inner.as_table_mut() {
                set(inner, rest, item);
            } else if let Some(inner) = inner.as_inline_table_mut()
                && let Ok(plain) = item.into_value()
            {
                inner.insert(rest, plain);
            }
        }
        None => {
            // The comment behind the old value stays.
            if let (Some(old), Some(new)) = (
                table.get(path).and_then(Item::as_value),
                item.as_value_mut(),
            ) {
                *new.decor_mut() = old.decor().clone();
            }
            table.insert(path, item);
        }
    }
}

/// Returns a value as TOML has it.
pub(super) fn item_of(wanted: &Value) -> Item {
    match wanted {
        Value::Bool(flag) => value(*flag),
        Value::Integer(number) => value(*number),
        Value::Bytes(bytes) => match i64::try_from(*bytes) {
            Ok(bytes) => value(bytes),
            Err(_) => value(bytes.to_string()),
        },
        Value::Words(words) => value(words.iter().map(String::as_str).collect::<Array>()),
        Value::Users(users) => value(users.iter().map(|words| words.join(" ")).collect::<Array>()),
        Value::Renames(pairs) => {
            let mut table = toml_edit::InlineTable::new();
            for (old, new) in pairs {
                table.insert(old, new.as_str().into());
            }
            value(table)
        }
        other => value(other.text()),
    }
}
