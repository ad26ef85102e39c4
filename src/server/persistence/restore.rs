//! `trestle --restore FILE`: puts a backup in the place of the data before anything is loaded.
//!
//! Not here: how (`storage::backup`); `trestle-tools restore` does the same without serving.

use std::path::Path;

use storage::backup::{self, RestoreError, Target};

use crate::config::settings::Settings;

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
    restore(Path::new(file), settings)
}

fn restore(file: &Path, settings: &Settings) -> Result<(), String> {
    let target = Target {
        directory: &settings.data_dir,
        rdb_file: &settings.rdb_file,
        log_directory: &settings.log_dir,
    };
    tracing::info!(path = %file.display(), "restoring begins");
    let mut told = 0;
    let restored = backup::restore(
        file,
        &target,
        settings.restores_by_force,
        &mut |done, bytes| {
            if done - told >= PROGRESS_BYTES {
                told = done;
                tracing::info!(done, bytes, "restoring");
            }
        },
    );
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
