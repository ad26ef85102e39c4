//! What killed processes have left of files that were not whole: removed at the start, and in the directory of backups
//! before each of them.
//!
//! A file that is to be whole or not there grows under a temporary name in the same directory
//! (`runtime::file::PendingFile`). Who writes it holds a lock on it, so what another server writes stays: several may
//! have one directory of backups.
//!
//! Not here: files of a log that its manifest does not name (`rewrite`).

use std::io;
use std::path::Path;

use runtime::faults::{self, Fault};
use runtime::log_file;
use storage::log::manifest;
use storage::save::goal_of;

use super::{backup, restore};
use crate::config::settings::Settings;

/// Removes it from all directories of this server. Before it writes anything, in a data directory that is this
/// process's.
pub(crate) fn remove(settings: &Settings) {
    if faults::is_on(Fault::LeftOverKept) {
        return;
    }
    let data = &settings.data_dir;
    remove_in(data, |goal| {
        goal == settings.rdb_file || goal == restore::FETCHED
    });
    // Also without a log: BGREWRITEAOF writes there nevertheless.
    remove_in(&data.join(&settings.log_dir), manifest::is_replaced_whole);
    remove_of_backups(&backup::directory(settings));
}

/// Removes it from a directory of backups. May wait for the disk.
pub(super) fn remove_of_backups(directory: &Path) {
    let is_backup = |goal: &str| storage::backup::time_of_name(goal).is_some();
    remove_in(directory, is_backup);
}

/// Removes the temporary files of a directory that were to become files of these names.
fn remove_in(directory: &Path, is_ours: impl Fn(&str) -> bool) {
    let names = match log_file::names_in(directory) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            // Whoever writes there next says what is wrong.
            tracing::warn!(path = %directory.display(), %error, "look for files that are left over");
            return;
        }
    };
    for name in names
        .iter()
        .filter(|name| goal_of(name).is_some_and(&is_ours))
    {
        let path = directory.join(name);
        match runtime::file::remove_abandoned(&path) {
            Ok(true) => tracing::info!(path = %path.display(), "removed, as its writer was killed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "remove an old file"),
        }
    }
}
