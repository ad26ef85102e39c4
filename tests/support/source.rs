//! Reading the source tree, for the tests of its rules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of a crate.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// From the root of the tree.
    pub(crate) path: String,
    /// The top module of the crate that it belongs to.
    pub(crate) module: String,
    /// Without comments, and without the tests at its end.
    pub(crate) code: String,
    /// It is `lib.rs` or `main.rs`, which names all modules.
    pub(crate) is_root: bool,
    /// It holds only tests.
    pub(crate) is_test: bool,
}

/// Returns the root of the source tree.
pub(crate) fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// Returns the files that git knows or would add, from the root of the tree.
///
/// # Panics
///
/// If git is missing or the tree is no repository.
pub(crate) fn tree() -> Vec<String> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is installed");
    assert!(listing.status.success(), "the tree is a git repository");
    let paths = String::from_utf8(listing.stdout).expect("paths are UTF-8");
    paths
        .lines()
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect()
}

/// Reads a file of the tree.
///
/// # Panics
///
/// If it is missing or no UTF-8.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the folder of each crate, from the root of the tree; that of the server is `src/server`.
fn folders() -> Vec<(String, String)> {
    let mut folders: Vec<(String, String)> = tree()
        .iter()
        .filter_map(|path| {
            let folder = path.strip_suffix("/Cargo.toml")?;
            let name = folder.strip_prefix("src/").unwrap_or(folder);
            (!name.contains('/')).then(|| (name.to_owned(), folder.to_owned()))
        })
        .collect();
    folders.push(("trestle".to_owned(), "src/server".to_owned()));
    folders
}

/// Returns the names of our crates.
pub(crate) fn crates() -> Vec<String> {
    folders().into_iter().map(|(name, _)| name).collect()
}

/// Returns the name and the manifest of each crate.
pub(crate) fn crate_manifests() -> Vec<(String, String)> {
    folders()
        .into_iter()
        .map(|(name, folder)| {
            let path = match name.as_str() {
                "trestle" => "Cargo.toml".to_owned(),
                _ => format!("{folder}/Cargo.toml"),
            };
            (name, read(&path))
        })
        .collect()
}

/// Returns the Rust files of a crate.
///
/// # Panics
///
/// If there is no such crate.
pub(crate) fn files_of_crate(name: &str) -> Vec<SourceFile> {
    let folders = folders();
    let (_, folder) = folders
        .iter()
        .find(|(crate_name, _)| crate_name == name)
        .expect("the crate has a folder");
    let inside = format!("{folder}/");
    let for_tests = modules_for_tests(&inside);
    tree()
        .into_iter()
        .filter(|path| path.starts_with(&inside) && is_rust(path))
        .map(|path| {
            let relative = &path[inside.len()..];
            let first = relative.split('/').next().unwrap_or(relative);
            let module = first.trim_end_matches(".rs").to_owned();
            SourceFile {
                is_root: relative == "lib.rs" || relative == "main.rs",
                is_test: is_test_file(relative) || for_tests.contains(&module),
                code: code_of(&read(&path)),
                module,
                path,
            }
        })
        .collect()
}

/// Returns the modules of a crate that its root has only for tests.
fn modules_for_tests(inside: &str) -> Vec<String> {
    let Ok(text) = fs::read_to_string(root().join(inside).join("lib.rs")) else {
        return Vec::new();
    };
    let lines: Vec<&str> = text.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[0] == "#[cfg(test)]")
        .filter_map(|pair| pair[1].strip_prefix("mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

/// Returns whether a path is that of a Rust file.
pub(crate) fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|end| end == "rs")
}

fn is_test_file(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || part == "tests.rs")
}

/// Removes comments, and what follows `#[cfg(test)]`.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        // Tests stand at the end; an item for tests alone is followed by something indented less.
        if line == "#[cfg(test)]" {
            break;
        }
        if line.trim_start().starts_with("//") {
            continue;
        }
        code.push_str(line.split(" // ").next().unwrap_or(line));
        code.push('\n');
    }
    code
}
