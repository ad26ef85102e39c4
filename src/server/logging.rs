//! Where log lines go, and how they look.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

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
    let (filter, handle) = reload::Layer::new(level_of(settings));
    let is_terminal = io::IsTerminal::is_terminal(&io::stdout());
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(has_colours && is_terminal)
        .with_target(false)
        .with_writer(writer);
    let subscriber = tracing_subscriber::registry().with(filter);
    match settings.log_format {
        LogFormat::Text => subscriber.with(lines).init(),
        LogFormat::Json => subscriber.with(lines.json()).init(),
    }
    let set = move |level| {
        if let Err(error) = handle.reload(level) {
            tracing::error!(%error, "change the log level");
        }
    };
    CHANGE_LEVEL.get_or_init(|| Box::new(set));
}

/// Changes the level of the process's one log. It is global because the log is.
static CHANGE_LEVEL: OnceLock<Box<dyn Fn(LevelFilter) + Send + Sync>> = OnceLock::new();

/// Applies a changed `loglevel`.
pub fn review(settings: &Settings) {
    if let Some(change) = CHANGE_LEVEL.get() {
        change(level_of(settings));
    }
}

fn level_of(settings: &Settings) -> LevelFilter {
    match settings.log_level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Nothing => LevelFilter::OFF,
    }
}
