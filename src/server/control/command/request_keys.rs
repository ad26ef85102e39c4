//! The keys of a request, as `COMMAND GETKEYS` and `GETKEYSANDFLAGS` tell them.
//!
//! Routing finds keys by `commands::keys` alone and lets the handler refuse a malformed request.
//! Here a client only asks, so what is malformed is said here.

use commands::error::CommandError;
use commands::keys;
use commands::spec::{BeginSearch, Declaration, Flags, KeySpec};
use protocol::args::Args;

use super::named::{Named, Table};

/// How a request uses a key, see [`KeySpec::flags`].
type Usage = &'static [&'static str];

/// Finds the keys of a request and how each is used, in the order of the specifications.
///
/// # Errors
///
/// With Redis's texts: the command is not known, it never has keys, the number of words does not
/// fit, or the words do not lead to its keys.
pub(super) fn find_keys(
    table: Table<'_>,
    request: Args<'_>,
) -> Result<Vec<(usize, Usage)>, CommandError> {
    let Some(Named { declaration, .. }) = Named::of_request(table, request) else {
        return Err(CommandError::Text("ERR Invalid command specified"));
    };
    if !declaration.keys.iter().any(finds_keys) {
        return Err(CommandError::Text("ERR The command has no key arguments"));
    }
    if !declaration.arity.accepts(request.len()) {
        return Err(CommandError::Text(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let mut found = Vec::new();
    let mut specs = Vec::new();
    keys::positions(declaration, request, |position, spec| {
        if finds_keys(spec) {
            found.push((position, usage(declaration, spec, request)));
            specs.push(spec);
        }
    });
    // Keys that stand behind an optional word may be missing, those at a fixed place may not.
    let is_missing = |spec: &KeySpec| {
        let is_fixed = matches!(spec.begin, BeginSearch::Index(_));
        is_fixed && finds_keys(spec) && !specs.iter().any(|found| std::ptr::eq(*found, spec))
    };
    if found.is_empty() || declaration.keys.iter().any(is_missing) {
        if declaration.flags.has(Flags::NO_MANDATORY_KEYS) {
            return Ok(Vec::new());
        }
        return Err(CommandError::Text(
            "ERR Invalid arguments specified for command",
        ));
    }
    Ok(found)
}

/// Returns whether what the specification finds are keys, and not channels.
fn finds_keys(spec: &KeySpec) -> bool {
    !spec.flags.contains(&"not_key")
}

/// Returns how this very request uses the keys of a specification. It differs from what the
/// specification says only where that is marked as depending on further words.
fn usage(declaration: &Declaration, spec: &KeySpec, request: Args<'_>) -> Usage {
    if !spec.flags.contains(&"variable_flags") {
        return spec.flags;
    }
    match declaration.name {
        "set"
            if request
                .iter()
                .skip(3)
                .any(|word| word.eq_ignore_ascii_case(b"GET")) =>
        {
            &["RW", "access", "update"]
        }
        "set" => &["OW", "update"],
        "bitfield" if only_reads_bits(request) => &["RO", "access"],
        "bitfield" => &["RW", "access", "update"],
        _ => spec.flags,
    }
}

/// Returns whether a `BITFIELD` request has no operation that writes: `GET` takes two words,
/// `OVERFLOW` one, and anything else writes or is malformed.
fn only_reads_bits(request: Args<'_>) -> bool {
    let mut words = request.iter().skip(2);
    while let Some(operation) = words.next() {
        let operands = if operation.eq_ignore_ascii_case(b"GET") {
            2
        } else if operation.eq_ignore_ascii_case(b"OVERFLOW") {
            1
        } else {
            return false;
        };
        if words.by_ref().take(operands).count() < operands {
            return false;
        }
    }
    true
}
