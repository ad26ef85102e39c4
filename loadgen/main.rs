//! Load generator: called with redis-benchmark's options it behaves like it, and costs less.
//!
//! A run goes through the modules from top to bottom: `options` reads the command line, `workload`
//! renders what is to be sent, `run` starts the threads of `client`, and `report` prints.
//!
//! Not here: rates that are kept regardless of replies, distributions of keys, checking of values;
//! options that would ask for them are refused.

mod client;
mod clock;
mod cluster;
mod cpu;
mod latency;
mod named_tests;
mod options;
mod output;
mod probe;
mod progress;
mod random;
mod report;
mod run;
mod scanner;
mod workload;

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::options::{Options, Output, Parsed, USAGE, UsageError};
use crate::output::{print, print_error};
use crate::run::{Setup, run};

fn main() -> ExitCode {
    let words: Vec<Vec<u8>> = std::env::args_os()
        .skip(1)
        .map(OsString::into_vec)
        .collect();
    let options = match options::parse(&words) {
        Ok(Parsed::Run(options)) => *options,
        Ok(Parsed::Help) => {
            print(USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(Parsed::Version) => {
            print(&format!("loadgen {}\n", env!("CARGO_PKG_VERSION")));
            return ExitCode::SUCCESS;
        }
        Err(UsageError::Invalid(name)) => {
            // On standard output, as redis-benchmark does.
            print(&format!(
                "Invalid option \"{name}\" or option argument missing\n\n{USAGE}"
            ));
            return ExitCode::FAILURE;
        }
        Err(UsageError::Refused(sentence)) => {
            print_error(&sentence);
            return ExitCode::FAILURE;
        }
    };
    match perform(options, &words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line asks for.
fn perform(mut options: Options, words: &[Vec<u8>]) -> Result<()> {
    for warning in &options.warnings {
        print_error(warning);
    }
    if options.last_word_from_stdin {
        let mut word = Vec::new();
        std::io::stdin()
            .read_to_end(&mut word)
            .context("read standard input")?;
        options.command.push(word);
    }
    let started_unix_ms = clock::unix_ms();
    let seed = options
        .seed
        .unwrap_or_else(|| arbitrary_seed(started_unix_ms));
    // A document that names the seed can be repeated.
    options.seed = Some(seed);
    let workloads = workload::workloads(&options);
    let mut setup = Setup::new(options, seed)?;
    if setup.configs.iter().any(Option::is_none) {
        print_error("WARNING: Could not fetch server CONFIG");
    }
    let output = setup.options.output;
    if !setup.nodes.is_empty() && output != Output::JsonOnly {
        print(&report::cluster_head(&setup));
    }
    if output == Output::Csv {
        print(report::CSV_HEAD);
    }
    let mut runs = Vec::new();
    loop {
        for workload in &workloads {
            let result = run(&mut setup, workload)?;
            print(&report::run_text(&setup, &result));
            if setup.options.json.is_some() {
                runs.push(report::run_json(&setup, &result));
            }
        }
        let is_suite = setup.options.command.is_empty();
        if is_suite && matches!(output, Output::Full | Output::Quiet) {
            print("\n");
        }
        if !setup.options.repeat {
            break;
        }
    }
    write_document(&setup, words, started_unix_ms, &runs)
}

/// Returns a seed from the clock and the process, for runs that name none.
fn arbitrary_seed(unix_ms: u64) -> u32 {
    let seconds = u32::try_from((unix_ms / 1000) % (1 << 32)).unwrap_or(1);
    seconds ^ std::process::id()
}

/// Writes the JSON document, if one is wanted.
fn write_document(
    setup: &Setup,
    words: &[Vec<u8>],
    started_unix_ms: u64,
    runs: &[Value],
) -> Result<()> {
    let Some(path) = &setup.options.json else {
        return Ok(());
    };
    let argv = shown_words(words);
    let server = server_info(&setup.options);
    let document = report::document(setup, &argv, &server, started_unix_ms, runs);
    let text = format!("{document:#}\n");
    if path.as_os_str() == "-" {
        print(&text);
        return Ok(());
    }
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// Returns the words of the command line as text, without the password.
fn shown_words(words: &[Vec<u8>]) -> Vec<String> {
    let mut shown = Vec::new();
    let mut hides_next = false;
    for word in words {
        let text = String::from_utf8_lossy(word).into_owned();
        let is_hidden = std::mem::replace(&mut hides_next, text == "-a" || text == "-u");
        shown.push(if is_hidden { "***".to_owned() } else { text });
    }
    shown
}

/// Asks the server what it is; null if it does not tell.
fn server_info(options: &Options) -> Value {
    const FIELDS: &[&str] = &[
        "redis_version",
        "trestle_version",
        "redis_mode",
        "os",
        "process_id",
        "tcp_port",
        "io_threads_active",
    ];
    let answers = probe::Probe::open(&options.target, options)
        .and_then(|mut probe| probe.ask(&[&[b"INFO", b"server"]]));
    let text = answers.ok().and_then(|answers| answers.first()?.text());
    let Some(text) = text else { return Value::Null };
    let mut object = json!({});
    for line in text.lines() {
        if let Some((name, value)) = line.split_once(':')
            && FIELDS.contains(&name)
        {
            object[name] = json!(value);
        }
    }
    object
}
