//! What every file of the tree keeps to, and the compiler does not check.

use crate::support::source::{code_of, crates, files_of_crate, is_rust, read, root, tree};

/// Longest file, in lines.
const LINES_MAX: usize = 1000;

/// Crates without I/O, clock, threads and waiting.
const PURE: &[&str] = &[
    "base",
    "protocol",
    "types",
    "tables",
    "shard",
    "scripting",
    "commands",
];

/// What only `runtime` may name.
const WORLD: &[&str] = &[
    "glommio",
    // The crate; INFO has the word in a text.
    "io_uring::",
    "std::thread",
    "std::fs",
    "std::net",
    "std::time::Instant",
    "std::sync::Mutex",
    "libc::",
];

/// Who else may: the start of the path, what, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "loadgen/",
        "",
        "a client with threads and sockets of its own, so that it measures the server alone",
    ),
    (
        "src/server/config/",
        "std::fs",
        "configuration is read before the cores start, and rewritten by CONFIG REWRITE",
    ),
    (
        "src/server/config/",
        "std::net",
        "checks addresses; types only, opens nothing",
    ),
    (
        "src/net/",
        "std::net",
        "names addresses; types only, opens nothing",
    ),
    (
        "src/server/",
        "std::net",
        "names addresses; types only, opens nothing",
    ),
    (
        "src/tools/client.rs",
        "std::net",
        "a client of a running server, in a program without cores",
    ),
    (
        "src/coordinator/",
        "std::net",
        "names addresses; types only, opens nothing",
    ),
];

/// Returns the Rust files of the crates and of the tests, with their text.
fn rust_files() -> Vec<(String, String)> {
    let files: Vec<_> = tree()
        .into_iter()
        .filter(|path| is_rust(path))
        .map(|path| {
            let text = read(&path);
            (path, text)
        })
        .collect();
    assert!(files.len() > 50, "the tree was found: {}", root().display());
    files
}

#[test]
fn every_module_says_what_it_is() {
    let wrong: Vec<_> = rust_files()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path)
        .collect();
    assert!(wrong.is_empty(), "without module documentation: {wrong:#?}");
}

#[test]
fn no_file_is_too_long() {
    let wrong: Vec<_> = rust_files()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .collect();
    assert!(wrong.is_empty(), "above {LINES_MAX} lines: {wrong:#?}");
}

#[test]
fn nothing_is_left_to_be_done_later() {
    // In parts, so that this file does not find itself.
    let words =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"], ["HA", "CK:"]].map(|word| word.concat());
    let wrong: Vec<_> = rust_files()
        .iter()
        .flat_map(|(path, text)| text.lines().enumerate().map(move |line| (path, line)))
        .filter(|(_, (_, line))| words.iter().any(|word| line.contains(word.as_str())))
        .map(|(path, (number, line))| format!("{path}:{}: {}", number + 1, line.trim()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_runtime_names_the_outside_world() {
    let mut wrong = Vec::new();
    for name in crates() {
        if name == "runtime" {
            continue;
        }
        for file in files_of_crate(&name).iter().filter(|file| !file.is_test) {
            for thing in WORLD.iter().filter(|thing| names(&file.code, thing)) {
                let is_allowed = EXCEPTIONS.iter().any(|(start, what, _)| {
                    file.path.starts_with(start) && (what.is_empty() || what == thing)
                });
                if !is_allowed {
                    wrong.push(format!("{} names {thing}", file.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns whether code names a path, written out or, for `std`, in braces on one line.
fn names(code: &str, thing: &str) -> bool {
    let in_braces = |line: &str| {
        thing.strip_prefix("std::").is_some_and(|module| {
            line.trim_start().starts_with("use std::{")
                && line
                    .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                    .any(|word| word == module)
        })
    };
    code.lines()
        .any(|line| line.contains(thing) || in_braces(line))
}

#[test]
fn pure_crates_never_wait() {
    let mut wrong = Vec::new();
    for name in crates() {
        if !PURE.contains(&name.as_str()) {
            continue;
        }
        for file in files_of_crate(&name) {
            for word in ["async fn", "async move", "async {", ".await", "impl Future"] {
                if file.code.contains(word) {
                    wrong.push(format!("{} has `{word}`", file.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_unsafe_block_is_accounted_for() {
    let document = root().join("docs/unsafe.md");
    if !document.is_file() {
        eprintln!("docs/unsafe.md does not exist: nothing to compare with");
        return;
    }
    let document = read("docs/unsafe.md");
    for (path, text) in rust_files() {
        let code = code_of(&text);
        let is_unsafe = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
            .iter()
            .any(|word| code.contains(word))
            && !path.starts_with("tests/");
        let is_listed = document.contains(&path);
        assert!(!is_unsafe || is_listed, "{path} is not in docs/unsafe.md");
    }
    let listed = document
        .split(|letter: char| letter.is_whitespace() || "`|()[],;".contains(letter))
        .filter(|word| word.starts_with("src/") && is_rust(word));
    for path in listed {
        assert!(root().join(path).is_file(), "docs/unsafe.md names {path}");
    }
}

#[test]
fn nothing_names_one_machine() {
    let words = [
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["/wo", "rk/"],
        ["/tm", "p/wt"],
        ["/tm", "p/target"],
        ["/Us", "ers/"],
    ]
    .map(|word| word.concat());
    let mut wrong = Vec::new();
    for path in tree() {
        // A file that is no text names nothing.
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                wrong.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rules_find_what_breaks_them() {
    assert!(names("let x = std::fs::read();", "std::fs"));
    assert!(names("use std::{io, net};", "std::net"));
    assert!(!names("use std::{io, network};", "std::net"));
    let code =
        code_of("//! std::fs\nlet a = 1; // std::net\n#[cfg(test)]\nmod tests { std::thread }");
    assert!(!WORLD.iter().any(|thing| names(&code, thing)), "{code}");
}
