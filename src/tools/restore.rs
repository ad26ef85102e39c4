//! `restore`: puts a backup in the place of the data of a server that does not run.
//!
//! Not here: how (`storage::backup`), the network (crate `cloud`); `trestle --restore` does the same and then serves.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use storage::backup::{self, RestoreError};

use crate::data_directory::DataDirectory;
use crate::failure::Failure;
use crate::progress;
use crate::verify::about;

/// A backup that was fetched, in the data directory, until it is in its place.
const FETCHED: &str = "restore.rdb.fetched";

/// Where the store of an address is, if the environment does not say.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Store {
    /// The region of the bucket, for S3.
    #[arg(long, default_value = "")]
    region: String,
    /// The address of the object store, if it is not that of the provider.
    #[arg(long, default_value = "")]
    endpoint: String,
}

/// Restores a backup; returns what is said of it.
pub(crate) fn run(
    file: &Path,
    store: &Store,
    data: &DataDirectory,
    is_forced: bool,
) -> Result<String> {
    let held = data.hold_or_create()?;
    let text = match file.to_str().filter(|text| cloud::is_url(text)) {
        None => restore(file, data, is_forced),
        Some(url) => {
            let path = data.target().directory.join(FETCHED);
            fetch(url, store, &path)?;
            let restored = restore(&path, data, is_forced);
            runtime::file::remove(&path).with_context(|| format!("remove {}", path.display()))?;
            restored
        }
    };
    drop(held);
    text
}

fn fetch(url: &str, store: &Store, path: &Path) -> Result<()> {
    let (mut bucket, key) = cloud::parse_url(url)?;
    bucket.region.clone_from(&store.region);
    bucket.endpoint.clone_from(&store.endpoint);
    let bar = progress::bar(0);
    let fetched = cloud::download(&bucket, &key, path, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    fetched.map(drop).context("nothing was changed")
}

fn restore(file: &Path, data: &DataDirectory, is_forced: bool) -> Result<String> {
    let target = data.target();
    let bar = progress::bar(0);
    let restored = backup::restore(file, &target, is_forced, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
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
