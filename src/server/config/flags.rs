//! The command line and the environment.
//!
//! A line like redis-server's: an optional file first, `-` for standard input, then directives as
//! `--name word...`, where a word that begins with `--` begins the next directive. Our own options
//! stand beside them. Each variable `TRESTLE_<NAME>` sets the directive `<name>`, and
//! `TRESTLE_<SECTION>_<KEY>` the one at that path of a TOML file.

use std::path::{Path, PathBuf};

use super::directive::{Directive, all, nearest};
use super::error::{ConfigError, Place};
use super::loader::Files;
use super::redis_conf::{include, lookup};
use super::{Entry, known_names};

/// Version of Redis whose behaviour clients may expect; what `redis_version` of INFO shows.
pub const COMPATIBLE_VERSION: &str = "7.4.0";

/// First part of the names of all environment variables.
const PREFIX: &str = "TRESTLE_";

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Action {
    /// Start the server.
    #[default]
    Serve,
    /// Read the configuration, say whether it is valid, and stop.
    CheckConfig,
    /// Print the effective configuration and stop.
    DumpConfig,
    /// Print [`help`] and stop.
    Help,
    /// Print [`version`] and stop.
    Version,
}

/// The command line, taken apart.
#[derive(Default)]
pub(super) struct CommandLine {
    pub(super) action: Action,
    pub(super) file: Option<PathBuf>,
    pub(super) entries: Vec<Entry>,
}

/// Takes `args`, without the name of the program, apart.
///
/// # Errors
///
/// An option nobody knows, one without its word, or two files.
pub(super) fn parse(args: &[String], files: &dyn Files) -> Result<CommandLine, ConfigError> {
    let mut line = CommandLine::default();
    let mut rest = args;
    if let Some((first, others)) = rest.split_first()
        && (!first.starts_with('-') || first == "-")
    {
        line.file = Some(PathBuf::from(first));
        rest = others;
    }
    while let Some((option, others)) = rest.split_first() {
        let count = others
            .iter()
            .take_while(|word| !word.starts_with("--"))
            .count();
        let (words, after) = others.split_at(count);
        rest = after;
        take_option(&mut line, option, words, files)?;
    }
    Ok(line)
}

fn take_option(
    line: &mut CommandLine,
    option: &str,
    words: &[String],
    files: &dyn Files,
) -> Result<(), ConfigError> {
    let error = |what: &str| Err(ConfigError::new(Place::CommandLine, option, what));
    let action = match option {
        "--check-config" | "--test-config" => Some(Action::CheckConfig),
        "--dump-config" => Some(Action::DumpConfig),
        "--help" | "-h" => Some(Action::Help),
        "--version" | "-v" => Some(Action::Version),
        _ => None,
    };
    if let Some(action) = action {
        if !words.is_empty() {
            return error("takes no argument");
        }
        line.action = action;
        return Ok(());
    }
    match option {
        "--config" | "-c" => match words {
            [_] if line.file.is_some() => error("there is a configuration file already"),
            [path] => {
                line.file = Some(PathBuf::from(path));
                Ok(())
            }
            _ => error("takes the path of one file"),
        },
        "--include" => include(words, &Place::CommandLine, files, 0, &mut line.entries),
        "--sentinel" => error("sentinel mode is not built yet"),
        _ => {
            let Some(name) = option.strip_prefix("--") else {
                return error("options begin with two hyphens; see --help");
            };
            let directive = lookup(name, &Place::CommandLine).map_err(|mut error| {
                error.nearest = nearest(name, known_names().chain(own_options()));
                error
            })?;
            // redis-server takes a lone `--save` for an empty one.
            let words = match name {
                "save" if words.is_empty() => vec![String::new()],
                "restore-force" if words.is_empty() => vec!["yes".to_owned()],
                _ => words.to_vec(),
            };
            line.entries.push(Entry {
                directive,
                words,
                place: Place::CommandLine,
            });
            Ok(())
        }
    }
}

fn own_options() -> impl Iterator<Item = String> {
    [
        "config",
        "check-config",
        "dump-config",
        "help",
        "version",
        "include",
    ]
    .into_iter()
    .map(str::to_owned)
}

/// Takes the directives, and the path of a file, out of the variables `environment`.
///
/// # Errors
///
/// A variable with our prefix that names no directive.
pub(super) fn parse_environment(
    environment: &[(String, String)],
) -> Result<(Option<PathBuf>, Vec<Entry>), ConfigError> {
    let mut file = None;
    let mut entries = Vec::new();
    for (name, value) in environment {
        let Some(key) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if is_from_kubernetes(key, value) {
            continue;
        }
        if key == "CONFIG" {
            file = Some(Path::new(value).to_path_buf());
            continue;
        }
        let place = Place::Environment(name.clone());
        let Some(directive) = all().find(|directive| is_variable_of(directive, key)) else {
            let key = key.to_ascii_lowercase().replace('_', "-");
            let nearest = nearest(&key, known_names())
                .map(|name| format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_")));
            return Err(ConfigError::unknown(place, "", nearest));
        };
        let words = match directive.kind {
            super::value::Kind::Renames => {
                value.split_ascii_whitespace().map(str::to_owned).collect()
            }
            _ => vec![value.clone()],
        };
        entries.push(Entry {
            directive,
            words,
            place,
        });
    }
    Ok((file, entries))
}

fn is_variable_of(directive: &Directive, key: &str) -> bool {
    let is_it = |name: &str| name.to_ascii_uppercase().replace(['-', '.'], "_") == key;
    directive.names().any(is_it) || directive.toml.iter().any(|path| is_it(path))
}

/// True for what Kubernetes sets in every container when the name of a service begins with ours.
fn is_from_kubernetes(key: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    let is_part = ["_TCP", "_UDP", "_SCTP"]
        .iter()
        .any(|protocol| key.contains(protocol));
    format!("_{key}").contains("_SERVICE_HOST")
        || format!("_{key}").contains("_SERVICE_PORT")
        || (key.contains("PORT_") && is_part)
        || (key.ends_with("PORT") && is_url)
}

/// Returns the line `--version` prints, without its end.
#[must_use]
pub fn version() -> String {
    format!(
        "Trestle server v={COMPATIBLE_VERSION} trestle={} malloc=mimalloc bits={}",
        env!("CARGO_PKG_VERSION"),
        usize::BITS
    )
}

/// Returns the text `--help` prints.
#[must_use]
pub fn help() -> &'static str {
    "\
Usage: trestle [FILE | -] [--DIRECTIVE WORD...]...

FILE is a redis.conf, or TOML if its name ends in .toml; - reads a redis.conf from
standard input. Without a file every directive has its default.

Options:
  --config FILE      the same as FILE
  --include PATTERN  more files in the syntax of redis.conf
  --DIRECTIVE WORD   any directive, as in redis.conf; stronger than the file
  --check-config     say whether the configuration is valid, and stop
  --dump-config      print the effective configuration, and stop
  --help, -h         print this text, and stop
  --version, -v      print the version, and stop

Environment: TRESTLE_PORT and so on set directives; they are stronger than the file
and weaker than options. TRESTLE_CONFIG names a file.

Examples:
  trestle
  trestle /etc/redis/redis.conf --port 7000
  trestle --config trestle.toml --shards 4
  trestle --port 7000 --bind 127.0.0.1 ::1 --save \"\"
"
}
