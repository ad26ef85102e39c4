//! Where log lines go, and how they look.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::settings::{LogFormat, LogLevel, Settings};

/// Begins to log as the configuration says. Called once, before any core runs.
///
/// # Errors
///
/// If the file of the log cannot be opened.
pub fn begin(settings: &Settings) -> io::Result<()> {
    match &settings.log_file {
        Some(path) => begin_with(settings, Arc::new(open(path)?), false),
        None => begin_with(settings, io::stdout, true),
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<runtime::file::AppendFile> {
    runtime::file::AppendFile::open(path)
}

fn begin_with<W>(settings: &Settings, writer: W, has_colours: bool)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = match settings.log_level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Nothing => LevelFilter::OFF,
    };
    let is_terminal = io::IsTerminal::is_terminal(&io::stdout());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(has_colours && is_terminal)
        .with_target(false)
        .with_writer(writer);
    match settings.log_format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}
