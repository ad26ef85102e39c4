//! The keys that exist before each probe: some of each kind of value.

/// Kinds of values, each with the commands that make one. `KEY` stands for the key's name.
///
/// Every collection has the one member or field `v`, so that commands that choose by chance have
/// no choice.
pub(super) const KINDS: &[(&str, &[&str])] = &[
    ("number", &["SET KEY 10"]),
    ("text", &["SET KEY hello"]),
    ("list", &["RPUSH KEY 3 1 2"]),
    ("words", &["RPUSH KEY v w"]),
    ("set", &["SADD KEY v"]),
    ("hash", &["HSET KEY v 1"]),
    ("names", &["HSET KEY v w"]),
    ("zset", &["ZADD KEY 1 v"]),
    ("geo", &["GEOADD KEY 13.5 38.1 v"]),
    ("hll", &["PFADD KEY v"]),
    (
        "stream",
        &[
            "XADD KEY 1-1 v v",
            "XADD KEY 2-1 v v",
            "XGROUP CREATE KEY group 0",
            "XREADGROUP GROUP group v COUNT 1 STREAMS KEY >",
        ],
    ),
    ("none", &[]),
];

/// Keys of each kind, named from `kind:0` on.
const KEY_COUNT: usize = 3;

/// Returns the kind of value that the commands of a group work on.
pub(super) fn kind_for(command: &str, group: &str) -> &'static str {
    match (command, group) {
        ("sort" | "sort_ro", _) | (_, "list") => "list",
        ("restore" | "restore-asking", _) => "none",
        (_, "set") => "set",
        (_, "hash") => "hash",
        (_, "sorted-set") => "zset",
        (_, "geo") => "geo",
        (_, "stream") => "stream",
        (_, "hyperloglog") => "hll",
        _ => "number",
    }
}

/// Returns a kind of value that is a wrong one for commands that work on `kind`.
pub(super) fn wrong_kind(kind: &str) -> &'static str {
    match kind {
        "number" | "hll" | "none" => "words",
        _ => "text",
    }
}

/// Returns the requests that make all keys.
pub(super) fn setup() -> Vec<Vec<Vec<u8>>> {
    let kinds = KINDS.iter().flat_map(|(kind, lines)| {
        (0..KEY_COUNT).flat_map(move |position| make(&format!("{kind}:{position}"), lines))
    });
    kinds.collect()
}

/// Returns the requests that make those keys again that are among `words`.
pub(super) fn restore(words: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let mut requests = Vec::new();
    for word in words {
        let Ok(key) = std::str::from_utf8(word) else {
            continue;
        };
        let kind = key.split_once(':').map(|(kind, _)| kind);
        let lines = KINDS.iter().find(|(name, _)| Some(*name) == kind);
        if let Some((_, lines)) = lines {
            requests.push(vec![b"DEL".to_vec(), word.clone()]);
            requests.extend(make(key, lines));
        }
    }
    requests
}

/// Returns the requests that make one key.
fn make(key: &str, lines: &[&str]) -> Vec<Vec<Vec<u8>>> {
    let request = |line: &&str| {
        let words = line.split(' ').map(|word| match word {
            "KEY" => key.as_bytes().to_vec(),
            other => other.as_bytes().to_vec(),
        });
        words.collect()
    };
    lines.iter().map(request).collect()
}
