//! The first line of scripts and libraries: `#!lua flags=no-writes,allow-stale`, `#!lua name=mylib`.

use crate::scripts::{ScriptError, ScriptFlags};

/// Splits the source of a script into what its first line says and its code. The code keeps the end of
/// that line, so that lines count from the source.
///
/// # Errors
///
/// For a first line that begins with `#!` and says something unknown.
pub(crate) fn parse_script(source: &[u8]) -> Result<(ScriptFlags, Vec<u8>), ScriptError> {
    if !source.starts_with(b"#!") {
        return Ok((ScriptFlags::default(), source.to_vec()));
    }
    let invalid = || ScriptError::new("ERR Invalid script shebang");
    let (line, body) = split_line(source).ok_or_else(invalid)?;
    let words = split_words(line).ok_or_else(invalid)?;
    let (engine, options) = words.split_first().ok_or_else(invalid)?;
    if engine != b"#!lua" {
        return Err(error_with(
            "ERR Unexpected engine in script shebang: ",
            engine,
            "",
        ));
    }
    let mut flags = ScriptFlags {
        has_shebang: true,
        ..ScriptFlags::default()
    };
    for option in options {
        let Some(list) = option.strip_prefix(b"flags=") else {
            return Err(error_with("ERR Unknown lua shebang option: ", option, ""));
        };
        if list.is_empty() {
            continue;
        }
        for flag in list.split(|&byte| byte == b',') {
            if !flags.set(flag) {
                return Err(error_with(
                    "ERR Unexpected flag in script shebang: ",
                    flag,
                    "",
                ));
            }
        }
    }
    Ok((flags, body.to_vec()))
}

/// Splits the code of a library into its name and what follows the first line.
///
/// # Errors
///
/// If the first line is missing or says something else.
pub(crate) fn parse_library(code: &[u8]) -> Result<(Vec<u8>, Vec<u8>), ScriptError> {
    if !code.starts_with(b"#!") {
        return Err(ScriptError::new("ERR Missing library metadata"));
    }
    let invalid = || ScriptError::new("ERR Invalid library metadata");
    let (line, body) = split_line(code).ok_or_else(invalid)?;
    let words = split_words(line).ok_or_else(invalid)?;
    let (engine, options) = words.split_first().ok_or_else(invalid)?;
    let engine = engine.strip_prefix(b"#!").ok_or_else(invalid)?;
    let mut name = None;
    for option in options {
        let has_name = option.len() >= 5 && option[..5].eq_ignore_ascii_case(b"name=");
        if has_name && name.is_some() {
            return Err(ScriptError::new(
                "ERR Invalid metadata value, name argument was given multiple times",
            ));
        }
        if !has_name {
            return Err(error_with("ERR Invalid metadata value given: ", option, ""));
        }
        name = Some(option[5..].to_vec());
    }
    let name = name.ok_or_else(|| ScriptError::new("ERR Library name was not given"))?;
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(error_with("ERR Engine '", engine, "' not found"));
    }
    Ok((name, body.to_vec()))
}

fn error_with(before: &str, word: &[u8], after: &str) -> ScriptError {
    ScriptError([before.as_bytes(), word, after.as_bytes()].concat())
}

/// The first line, and the rest with the end of that line; nothing if there is only one.
fn split_line(source: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = source.iter().position(|&byte| byte == b'\n')?;
    Some(source.split_at(end))
}

/// Words parted by spaces; quotes hold one together and are left out. Nothing if one is not closed.
fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    for &byte in line {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (None, _) if byte.is_ascii_whitespace() => words.extend(word.take()),
            (Some(_) | None, _) => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

impl ScriptFlags {
    /// Sets the flag of this name; false if there is none.
    pub(crate) fn set(&mut self, name: &[u8]) -> bool {
        let flag = match name {
            b"no-writes" => &mut self.no_writes,
            b"allow-oom" => &mut self.allow_oom,
            b"allow-stale" => &mut self.allow_stale,
            b"no-cluster" => &mut self.no_cluster,
            b"allow-cross-slot-keys" => &mut self.allow_cross_slot_keys,
            _ => return false,
        };
        *flag = true;
        true
    }

    /// The names of the flags that are set, in the order in which Redis lists them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [
            (self.no_writes, "no-writes"),
            (self.allow_oom, "allow-oom"),
            (self.allow_stale, "allow-stale"),
            (self.no_cluster, "no-cluster"),
            (self.allow_cross_slot_keys, "allow-cross-slot-keys"),
        ]
        .into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name))
    }
}
