//! `convert`: makes an RDB file of a log, of Redis's append-only file, or of another RDB file.
//!
//! What there is stays as it is.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use runtime::directory;
use trestle::persistence::offline::{Wanted, make_rdb};

use crate::log_directory;

/// Makes the file `to`, which must not be there; returns what is said of it.
pub(crate) fn run(from: &Path, to: &Path, wanted: Wanted) -> Result<String> {
    if directory::exists(to)? {
        bail!("{} is there already", to.display());
    }
    // Directories of Redis have no lock that its servers know.
    let inside = from.join(log_directory::USUAL_NAME);
    let ours = [from, inside.as_path()];
    let mut held = Vec::new();
    for path in ours.into_iter().filter(|path| log_directory::is_log(path)) {
        held.push(log_directory::lock(path)?);
    }
    let made = make_rdb(from, wanted, to).map_err(|error| anyhow!("{error}"))?;
    Ok(format!(
        "{}: {} keys, {} bytes\n",
        to.display(),
        made.keys,
        made.bytes
    ))
}
