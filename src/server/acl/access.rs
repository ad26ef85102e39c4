//! Which keys a request uses, and whether it reads or writes them, as the access rules see it.
//!
//! The specifications of a command say where its keys stand and how they are used. Where a request does not fit
//! them, or they leave open how a key is used, Redis asks a function of the command; so do we, and with the
//! same outcome.
//!
//! Source: Redis 7.0.15, compared by `tests/acl.rs` command by command.

use commands::keys;
use commands::scope::{Scope, TableChange};
use protocol::args::{Args, equals_ignore_case};

use super::catalog::Known;

/// A key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// The word that names it.
    pub(crate) word: usize,
    /// What is asked of a pattern that matches it. Neither is asked by EXISTS, which any pattern allows.
    pub(crate) needs: Needs,
}

/// What a request does with the content of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Content of the key gets to the client, or into another key.
    pub(crate) reads: bool,
    /// It is changed, made or removed.
    pub(crate) writes: bool,
}

const READS: Needs = Needs {
    reads: true,
    writes: false,
};
const WRITES: Needs = Needs {
    reads: false,
    writes: true,
};
const BOTH: Needs = Needs {
    reads: true,
    writes: true,
};

impl Needs {
    /// Reads the flags of a key specification.
    fn of(flags: &[&str]) -> Self {
        let has = |names: &[&str]| flags.iter().any(|flag| names.contains(flag));
        Self {
            reads: has(&["access"]),
            writes: has(&["update", "insert", "delete"]),
        }
    }
}

/// Returns what the specifications of a command find in a request; `None` if one of them finds nothing, or says
/// itself that there may be more.
fn by_specs(declaration: &commands::spec::Declaration, args: Args<'_>) -> Option<Vec<Access>> {
    let mut found = Vec::new();
    for spec in declaration.keys {
        if spec.flags.contains(&"not_key") {
            continue;
        }
        let needs = Needs::of(spec.flags);
        let is_found = keys::positions_of(spec, args, |word| found.push(Access { word, needs }));
        if !is_found || spec.flags.contains(&"incomplete") {
            return None;
        }
    }
    Some(found)
}

/// Returns the function of a command that has its own way to its keys.
pub(crate) fn own_access(full_name: &str) -> Option<fn(Args<'_>) -> Vec<Access>> {
    match full_name {
        "set" => Some(of_set),
        "bitfield" => Some(of_bitfield),
        "sort" => Some(of_sort),
        "sort_ro" => Some(|_| vec![at(1, READS)]),
        "georadius" | "georadiusbymember" => Some(of_georadius),
        _ => None,
    }
}

fn at(word: usize, needs: Needs) -> Access {
    Access { word, needs }
}

fn is(args: Args<'_>, index: usize, text: &str) -> bool {
    args.get(index)
        .is_some_and(|word| equals_ignore_case(word, text))
}

/// SET reads only with GET.
fn of_set(args: Args<'_>) -> Vec<Access> {
    let reads = (3..args.len()).any(|index| is(args, index, "GET"));
    vec![at(1, if reads { BOTH } else { WRITES })]
}

/// BITFIELD writes unless all it does is GET.
fn of_bitfield(args: Args<'_>) -> Vec<Access> {
    let mut index = 2;
    let mut writes = false;
    while index < args.len() && !writes {
        let left = args.len() - index - 1;
        if is(args, index, "GET") && left >= 2 {
            index += 3;
        } else if is(args, index, "OVERFLOW") && left >= 1 {
            index += 2;
        } else {
            writes = true;
        }
    }
    vec![at(1, if writes { BOTH } else { READS })]
}

/// SORT reads its key and writes that behind the last STORE.
fn of_sort(args: Args<'_>) -> Vec<Access> {
    let mut found = vec![at(1, READS)];
    let mut index = 2;
    let mut stored = None;
    while index < args.len() {
        let left = args.len() - index - 1;
        if is(args, index, "LIMIT") {
            index += 2;
        } else if is(args, index, "GET") || is(args, index, "BY") {
            index += 1;
        } else if is(args, index, "STORE") && left >= 1 {
            stored = Some(index + 1);
            index += 1;
        }
        index += 1;
    }
    found.extend(stored.map(|word| at(word, WRITES)));
    found
}

/// GEORADIUS, when not both of its optional keys are there.
fn of_georadius(args: Args<'_>) -> Vec<Access> {
    let mut stored = None;
    let mut index = 5;
    while index < args.len() {
        let is_store = is(args, index, "STORE") || is(args, index, "STOREDIST");
        if is_store && index + 1 < args.len() {
            stored = Some(index + 1);
            index += 1;
        }
        index += 1;
    }
    let mut found = vec![at(1, READS)];
    found.extend(stored.map(|word| at(word, WRITES)));
    found
}

/// Returns the keys of a request. O(words).
pub(super) fn of(known: &Known, args: Args<'_>) -> Vec<Access> {
    // Some leave open how they use their keys: then their own way counts.
    let leaves_open = known
        .declaration
        .keys
        .iter()
        .any(|spec| spec.flags.contains(&"variable_flags"));
    let by_specs = if leaves_open {
        None
    } else {
        by_specs(known.declaration, args)
    };
    let mut found = match (by_specs, known.own_access) {
        (Some(found), _) => found,
        (None, Some(own)) => own(args),
        (None, None) => Vec::new(),
    };
    // ALTER t RENAME TO u.
    let is_alter = known.scope == Some(Scope::Change(TableChange::Alter));
    if is_alter && args.len() > 4 && is(args, 2, "RENAME") && is(args, 3, "TO") {
        found.push(at(4, WRITES));
    }
    found
}
