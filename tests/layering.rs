//! Who may import whom.
//!
//! Crates lie in layers; each may use only those that [`MAY_USE`] allows, which is the whole rule.
//! A new arrow is a decision: it changes this table and gets a page in docs/decisions. Inside a
//! crate, modules form no circle.
//!
//! Read from manifests and `use` lines, so a path written out in an expression
//! (`crate::module::name`) counts too, but a name made by a macro does not.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::source::{SourceFile, crate_manifests, crates, files_of_crate};

/// Each crate and those of ours that it may use, for itself and its tests.
const MAY_USE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("protocol", &["base"]),
    ("types", &["base"]),
    ("tables", &["base"]),
    ("runtime", &["base"]),
    ("shard", &["base", "types", "tables"]),
    ("net", &["base", "protocol", "runtime"]),
    ("scripting", &["base", "protocol"]),
    ("storage", &["base", "types", "tables", "runtime"]),
    ("cloud", &["base", "runtime"]),
    (
        "commands",
        &["base", "protocol", "types", "tables", "shard"],
    ),
    ("replication", &["base", "protocol", "runtime", "storage"]),
    (
        "coordinator",
        &[
            "base", "protocol", "types", "tables", "shard", "commands", "runtime",
        ],
    ),
    (
        "cluster",
        &["base", "protocol", "runtime", "storage", "replication"],
    ),
    ("loadgen", &["base", "protocol", "runtime"]),
    (
        "trestle",
        &[
            "base",
            "protocol",
            "types",
            "tables",
            "runtime",
            "shard",
            "net",
            "storage",
            "cloud",
            "commands",
            "replication",
            "scripting",
            "coordinator",
            "cluster",
        ],
    ),
    (
        "tools",
        &[
            "base",
            "protocol",
            "types",
            "tables",
            "runtime",
            "shard",
            "net",
            "storage",
            "cloud",
            "commands",
            "replication",
            "scripting",
            "coordinator",
            "cluster",
            "trestle",
        ],
    ),
];

/// Circles of modules that there are for a reason: crate, modules, reason. No module may join one,
/// and one that is broken has to leave this list.
const CIRCLES: &[(&str, &[&str], &str)] = &[
    (
        "trestle",
        &[
            "control",
            "core_loop",
            "cron",
            "engine",
            "eviction",
            "gather",
            "invalidate",
            "long_replies",
            "pause",
            "persistence",
            "pubsub",
            "running",
            "scripts",
            "table",
            "waiting",
        ],
        "jobs and handlers are functions of the core and the engine that hold them: \
         docs/decisions/0012-circle-of-the-core.md",
    ),
    (
        "scripting",
        &[
            "answer",
            "api",
            "bits",
            "engine",
            "functions",
            "interpreter",
            "json",
            "math",
            "pack",
            "reply",
            "running",
            "scripts",
            "shebang",
            "structs",
        ],
        "the context that native functions find has what all libraries keep there: \
         docs/decisions/0021-lua.md",
    ),
];

fn allowed(name: &str) -> BTreeSet<&'static str> {
    let entry = MAY_USE.iter().find(|(crate_name, _)| *crate_name == name);
    let (_, names) = entry.unwrap_or_else(|| panic!("{name} has no layer: see MAY_USE"));
    names.iter().copied().collect()
}

fn ours() -> BTreeSet<&'static str> {
    MAY_USE.iter().map(|(name, _)| *name).collect()
}

#[test]
fn table_has_no_circles() {
    // Every crate uses only crates that stand before it, which is more than no circles.
    let mut before = BTreeSet::new();
    for (name, uses) in MAY_USE {
        for used in *uses {
            assert!(
                before.contains(used),
                "{name} uses {used}, which comes later"
            );
        }
        assert!(before.insert(*name), "{name} stands twice");
    }
}

#[test]
fn manifests_name_only_lower_layers() {
    let mut wrong = Vec::new();
    let manifests = crate_manifests();
    assert!(manifests.len() >= 9, "the workspace has its crates");
    for (name, manifest) in manifests {
        let allowed = allowed(&name);
        for dependency in dependencies(&manifest) {
            if ours().contains(dependency.as_str()) && !allowed.contains(dependency.as_str()) {
                wrong.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the names in all sections of dependencies.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            // The versions of the workspace stand in its manifest, which is also that of the server.
            is_inside = section.ends_with("dependencies") && section != "workspace.dependencies";
            continue;
        }
        let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
        if is_inside && !line.starts_with('#') && end > 0 {
            names.push(line[..end].to_owned());
        }
    }
    names
}

#[test]
fn sources_name_only_lower_layers() {
    let mut wrong = Vec::new();
    for name in crates() {
        let allowed = allowed(&name);
        for file in files_of_crate(&name) {
            for used in ours() {
                let is_own = used == name || allowed.contains(used);
                if !is_own && names_crate(&file.code, used) {
                    wrong.push(format!("{} uses {used}", file.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns whether a `use` line names the crate.
fn names_crate(code: &str, used: &str) -> bool {
    code.lines().map(str::trim_start).any(|line| {
        let rest = line.strip_prefix("pub ").unwrap_or(line);
        rest.strip_prefix("use ")
            .and_then(|path| path.strip_prefix(used))
            .is_some_and(|rest| rest.starts_with("::") || rest.starts_with(';'))
    })
}

#[test]
fn modules_of_a_crate_form_no_circle_but_the_known() {
    let mut found = BTreeSet::new();
    for name in crates() {
        for circle in circles(&module_arrows(&files_of_crate(&name))) {
            found.insert((name.clone(), circle));
        }
    }
    let known: BTreeSet<(String, BTreeSet<String>)> = CIRCLES
        .iter()
        .map(|(name, modules, _)| {
            let modules = modules.iter().copied().map(str::to_owned).collect();
            ((*name).to_owned(), modules)
        })
        .collect();
    let new: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "new: {new:#?}, no longer there: {gone:#?}"
    );
}

/// Returns which top module of a crate names which other one, tests left out.
fn module_arrows(files: &[SourceFile]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<String> = files.iter().map(|file| file.module.clone()).collect();
    let mut arrows = BTreeMap::<String, BTreeSet<String>>::new();
    for file in files.iter().filter(|file| !file.is_root && !file.is_test) {
        let targets = arrows.entry(file.module.clone()).or_default();
        for target in named_modules(&file.code) {
            if target != file.module && modules.contains(&target) {
                targets.insert(target);
            }
        }
    }
    arrows
}

/// Returns the names that follow `crate::`, with those in braces.
fn named_modules(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (position, _) in code.match_indices("crate::") {
        let rest = &code[position + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            names.extend(first_words(list));
        } else {
            let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
            names.insert(rest.chars().take_while(|letter| is_part(*letter)).collect());
        }
    }
    names
}

/// Returns the first word of each part of a list that ends with `}`.
fn first_words(list: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0;
    let mut is_first = true;
    for letter in list.chars() {
        let is_part = letter.is_alphanumeric() || letter == '_';
        match letter {
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            '{' => depth += 1,
            ',' if depth == 0 => {
                words.push(String::new());
                is_first = true;
            }
            _ if is_part && is_first => words.last_mut().expect("never empty").push(letter),
            // Spaces come before the word, other signs after it.
            _ if !letter.is_whitespace() => is_first = false,
            _ => {}
        }
    }
    words
}

/// Returns the sets of modules that reach one another.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let reach = |start: &String| {
        let mut found = BTreeSet::new();
        let mut open = vec![start];
        while let Some(module) = open.pop() {
            for target in arrows.get(module).into_iter().flatten() {
                if found.insert(target.clone()) {
                    open.push(target);
                }
            }
        }
        found
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = arrows
        .keys()
        .map(|module| (module, reach(module)))
        .collect();
    let together = |module: &String| {
        let back =
            |other: &&String| reached[module].contains(*other) && reached[*other].contains(module);
        arrows.keys().filter(back).cloned().collect::<BTreeSet<_>>()
    };
    arrows
        .keys()
        .map(together)
        .filter(|circle| !circle.is_empty())
        .collect()
}

#[test]
fn circles_are_found() {
    let file = |module: &str, code: &str| SourceFile {
        path: format!("{module}.rs"),
        module: module.to_owned(),
        code: code.to_owned(),
        is_root: false,
        is_test: false,
    };
    let files = [
        file("a", "use crate::{b, other::{c}};"),
        file("b", "fn f() { crate::c::g() }"),
        file("c", "use crate::a::A;"),
        file("d", "use crate::a::A;"),
    ];
    let found = circles(&module_arrows(&files));
    let expected: BTreeSet<String> = ["a", "b", "c"].map(String::from).into();
    assert_eq!(found, BTreeSet::from([expected]));
    assert!(names_crate("use shard::Shard;", "shard"));
    assert!(!names_crate("use sharded::Shard;", "shard"));
    assert_eq!(
        dependencies("[dependencies]\nbase.workspace = true\n"),
        ["base"]
    );
}
