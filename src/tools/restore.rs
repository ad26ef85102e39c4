//! `restore`: puts a backup in the place of the data of a server that does not run.
//!
//! Not here: how (`storage::backup`); `trestle --restore` does the same and then serves.

use std::path::Path;

use anyhow::{Result, anyhow};
use storage::backup::{self, RestoreError};

use crate::data_directory::DataDirectory;
use crate::failure::Failure;
use crate::progress;
use crate::verify::about;

/// Restores a backup; returns what is said of it.
pub(crate) fn run(file: &Path, data: &DataDirectory, is_forced: bool) -> Result<String> {
    let target = data.target();
    let held = data.hold_or_create()?;
    let bar = progress::bar(0);
    let restored = backup::restore(file, &target, is_forced, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    drop(held);
    let restored = restored.map_err(|error| match error {
        RestoreError::Occupied(_) => anyhow!(
            "{error}: choose another directory, or say --force, which moves it aside and keeps it"
        ),
        RestoreError::InUse(text) => Failure::InUse(format!("{text}; stop it first")).into(),
        RestoreError::Backup(..) => {
            Failure::Damaged(format!("{error}; nothing was changed")).into()
        }
        RestoreError::Io(..) => anyhow!("{error}"),
    })?;
    let mut text = format!(
        "{}: restored {}\n",
        target.rdb_path().display(),
        about(&restored.summary)
    );
    if let Some(aside) = restored.moved_to {
        text += &format!("what was there is in {}\n", aside.display());
    }
    Ok(text)
}
