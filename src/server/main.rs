//! Arguments, then startup.

use std::process::ExitCode;

use trestle::config::Config;
use trestle::config::loader::Disk;
use trestle::{logging, startup};

#[global_allocator]
static ALLOCATOR: runtime::memory::CountingAllocator = runtime::memory::CountingAllocator;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the log is not set up yet"
)]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let environment: Vec<(String, String)> = std::env::vars().collect();
    let loaded = match Config::load(&args, &environment, &Disk) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("trestle: {error}");
            return refused();
        }
    };
    if let Some(text) = loaded.output() {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    if let Err(error) = logging::begin(loaded.config.settings()) {
        eprintln!("trestle: open the log: {error}");
        return refused();
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    match startup::serve(loaded.config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trestle: {error}");
            refused()
        }
    }
}

fn refused() -> ExitCode {
    ExitCode::from(startup::EXIT_REFUSED)
}
