//! `trestle --restore FILE`: puts a backup in the place of the data before anything is loaded.
//!
//! Not here: how (`storage::backup`), the network (crate `cloud`); `trestle-tools restore` does the same without serving.

use std::path::{Path, PathBuf};

use cloud::Refused;
use storage::backup::{self, RestoreError, Target};

use super::upload;
use crate::config::settings::Settings;

/// A backup that was fetched, in the data directory, until it is in its place.
pub(super) const FETCHED: &str = "restore.rdb.fetched";

/// Bytes between two lines of the log.
const PROGRESS_BYTES: u64 = 1 << 30;

/// Restores the backup that the settings name, if they name one. The caller holds the data directory.
///
/// # Errors
///
/// One line with what is wrong and what can be done. All data is as it was, or in the directory that is named.
pub fn begin(settings: &Settings) -> Result<(), String> {
    let Some(file) = &settings.restore else {
        return Ok(());
    };
    if !cloud::is_url(file) {
        return restore(Path::new(file), settings);
    }
    let path = fetch(file, settings)?;
    let restored = restore(&path, settings);
    if let Err(error) = runtime::file::remove(&path) {
        tracing::warn!(path = %path.display(), %error, "remove the backup that was fetched");
    }
    restored
}

/// Fetches a backup into the data directory; returns its path.
fn fetch(url: &str, settings: &Settings) -> Result<PathBuf, String> {
    let refused = |refused: Refused| {
        format!(
            "restore {url}: {refused}; credentials come from the environment; nothing was changed"
        )
    };
    let (mut bucket, key) = cloud::parse_url(url).map_err(refused)?;
    let configured = upload::bucket(settings);
    if configured.provider == bucket.provider {
        bucket.region = configured.region;
        bucket.endpoint = configured.endpoint;
    }
    let path = settings.data_dir.join(FETCHED);
    tracing::info!(url, "fetching begins");
    let mut advance = progress("fetching");
    let bytes = cloud::download(&bucket, &key, &path, &mut advance).map_err(refused)?;
    tracing::info!(url, bytes, "fetched");
    Ok(path)
}

/// Returns what tells how far something is.
fn progress(what: &'static str) -> impl FnMut(u64, u64) {
    let mut told = 0;
    move |done, bytes| {
        if done - told >= PROGRESS_BYTES {
            told = done;
            tracing::info!(done, bytes, "{what}");
        }
    }
}

fn restore(file: &Path, settings: &Settings) -> Result<(), String> {
    let target = Target {
        directory: &settings.data_dir,
        rdb_file: &settings.rdb_file,
        log_directory: &settings.log_dir,
    };
    tracing::info!(path = %file.display(), "restoring begins");
    let is_forced = settings.restores_by_force;
    let restored = backup::restore(file, &target, is_forced, &mut progress("restoring"));
    let restored = restored.map_err(|error| match error {
        RestoreError::Occupied(_) => format!(
            "restore {}: {error}; start without --restore to use it, choose another directory with --dir, or \
             say --restore-force, which moves it aside and keeps it",
            file.display()
        ),
        RestoreError::InUse(text) => format!("{text}; stop it, or choose another directory with --dir"),
        RestoreError::Backup(..) => {
            format!("restore {error}; choose another backup (`trestle-tools verify`); nothing was changed")
        }
        RestoreError::Io(..) => format!("restore {}: {error}", file.display()),
    })?;
    if let Some(aside) = &restored.moved_to {
        tracing::warn!(path = %aside.display(), "the data that was there has moved aside");
    }
    let summary = restored.summary;
    tracing::info!(
        keys = summary.keys,
        bytes = summary.bytes,
        by = summary
            .server_version
            .as_deref()
            .unwrap_or("another server"),
        "restored"
    );
    Ok(())
}
