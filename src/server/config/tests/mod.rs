//! Tests of the configuration as a whole: here the declarations, in `sources` where values come
//! from, in `commands` CONFIG and reload, in `properties` random files.

mod commands;
mod properties;
mod sources;

use std::collections::BTreeMap;
use std::io;

use super::docs::markdown;
use super::*;

/// What CONFIG GET * of redis-server 7.0.15 shows when it is started with a port only; `port`,
/// `dir`, `pidfile` and `daemonize`, which that start sets, are left out.
const REDIS_DEFAULTS: &str = include_str!("../redis_defaults.txt");

/// Defaults that differ from Redis on purpose.
const DIFFERENCES: &[(&str, &str, &str)] = &[(
    "bind",
    "127.0.0.1 -::1",
    "a server that was not configured serves its own machine only",
)];

/// Files in memory.
struct Memory(BTreeMap<&'static str, &'static str>);

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        let name = path.to_str().unwrap();
        let text = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok((*text).to_owned())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let inside = |name: &&&str| Path::new(name).parent() == Some(directory);
        let names = self.0.keys().filter(inside);
        Ok(names
            .map(|name| name.rsplit('/').next().unwrap().to_owned())
            .collect())
    }
}

fn load_all(
    args: &[&str],
    environment: &[(&str, &str)],
    files: &[(&'static str, &'static str)],
) -> Result<Loaded, ConfigError> {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let environment: Vec<(String, String)> = environment
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    Config::load(
        &args,
        &environment,
        &Memory(files.iter().copied().collect()),
    )
}

#[track_caller]
fn load(args: &[&str]) -> Config {
    match load_all(args, &[], &[]) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn load_file(name: &'static str, text: &'static str) -> Config {
    match load_all(&[name], &[], &[(name, text)]) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn check_error(args: &[&str], files: &[(&'static str, &'static str)], expected: &str) {
    match load_all(args, &[], files) {
        Ok(_) => panic!("accepted, instead of: {expected}"),
        Err(error) => assert_eq!(error.to_string(), expected),
    }
}

fn value(config: &Config, name: &str) -> String {
    config
        .get(&[name])
        .first()
        .map(|(_, value)| value.clone())
        .unwrap_or_default()
}

#[test]
fn defaults_are_those_of_redis_but_for_the_listed_ones() {
    let config = Config::defaults();
    for line in REDIS_DEFAULTS.lines() {
        let (name, redis) = line.split_once('\t').unwrap_or((line, ""));
        let shown = config.get(&[name]);
        let [(_, ours)] = shown.as_slice() else {
            panic!("{name} is not declared")
        };
        match DIFFERENCES.iter().find(|(known, _, _)| *known == name) {
            Some((_, expected, _)) => {
                assert_eq!(ours, expected, "{name}");
                assert_ne!(ours, redis, "{name} is no difference any more");
            }
            None => assert_eq!(ours, redis, "{name}"),
        }
    }
}

#[test]
fn every_declaration_is_complete_and_unique() {
    let mut names: Vec<String> = Vec::new();
    let mut paths: Vec<String> = Vec::new();
    for directive in all() {
        names.extend(directive.names().map(str::to_owned));
        paths.extend(directive.toml.iter().map(|path| (*path).to_owned()));
        assert!(directive.summary.ends_with('.'), "{}", directive.name);
        let default = directive.default_value();
        assert_eq!(
            directive.refusal(&default),
            None,
            "{} refuses its default",
            directive.name
        );
        if let Status::Dormant { switch } = directive.status {
            let switch = find(switch).expect("the switch is declared");
            let waits = matches!(switch.status, Status::NotYet(_));
            assert!(waits, "the switch of {} works", directive.name);
        }
    }
    for list in [&mut names, &mut paths] {
        list.sort();
        let count = list.len();
        list.dedup();
        assert_eq!(list.len(), count, "a name is declared twice");
    }
}

#[test]
fn every_default_is_read_back_from_its_own_text() {
    for slot in &Config::defaults().slots {
        let words = slot.value.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if matches!(slot.directive.kind, Kind::Renames) {
            continue;
        }
        let words = if words.is_empty() { vec![""] } else { words };
        let again = slot.directive.kind.parse(&words, &slot.value);
        assert_eq!(again.as_ref(), Ok(&slot.value), "{}", slot.directive.name);
    }
}

#[test]
fn the_documentation_is_in_step_with_the_declarations() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, markdown()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == markdown(),
        "run the tests with UPDATE_DOCS=1 to write docs/config.md"
    );
}
