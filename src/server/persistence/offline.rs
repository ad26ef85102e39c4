//! An RDB file of what there is on the disk, made without a server: of a log, of Redis's append-only file, of another
//! RDB file. For `trestle-tools`.
//!
//! It is what a server would have that starts there, read by the same code ([`super::remake`]): shards on threads of
//! their own, and of them a file as a save writes it. What is there stays as it is, to the byte: the loose end of a log
//! is passed over, not cut off.
//!
//! Not here: who has the directory meanwhile (the caller).

use std::path::Path;
use std::sync::Arc;

use storage::log::manifest::Manifest;

use super::import;
use super::log_parts::LooseEnd;
use super::remake::{self, Feed, Fill};
use super::save::Plan;
use crate::config::Config;
use crate::config::loader::Disk;

/// What a file is made like.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Numbered databases (`databases`).
    pub databases: u16,
    /// With tables, which Redis does not load (`rdb-tables`).
    pub has_tables: bool,
}

/// A file that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its bytes.
    pub bytes: u64,
    /// Its keys.
    pub keys: u64,
}

/// Makes an RDB file, always with its checksum.
///
/// `source` is a directory with a log, one with the append-only file of Redis under its usual name (or the directory
/// around either), or a file: RDB, or commands of Redis. Cost: the memory of all the data.
///
/// # Errors
///
/// One line with what is wrong; there is no file then.
pub fn make_rdb(source: &Path, wanted: Wanted, to: &Path) -> Result<Made, String> {
    let arguments = ["--databases".to_owned(), wanted.databases.to_string()];
    let loaded = Config::load(&arguments, &[], &Disk).map_err(|error| error.to_string())?;
    let config = loaded.config;
    let (fills, feed) = shards_of(&config, source)?;
    let now = runtime::clock::unix_millis();
    let mut plan = Plan::of(config.settings(), to.to_owned(), fills.len(), now);
    plan.takes_tables = wanted.has_tables;
    let written = remake::write_file(&config, &plan, fills, feed)?;
    Ok(Made {
        bytes: written.bytes,
        keys: written.keys,
    })
}

/// Returns what fills shards with the data of a source.
fn shards_of(config: &Config, source: &Path) -> Result<(Vec<Fill>, Feed), String> {
    let settings = config.settings();
    // Who asks is not told how far it is.
    let nobody = Arc::default();
    let of_redis = |files| {
        let fills = vec![import::fill_of(settings, files, Arc::default())];
        let feed: Feed = Box::new(|| Ok(Vec::new()));
        Ok((fills, feed))
    };
    if !runtime::directory::is_directory(source) {
        if import::is_rdb(source)? {
            let manifest = Manifest {
                base: Some(source.to_string_lossy().into_owned()),
                generations: Vec::new(),
            };
            // A path that is joined with another replaces it if it is absolute, and stays as it is behind nothing.
            let shards = (1, LooseEnd::PassedOver);
            return remake::old_shards_of(config, Path::new(""), &manifest, shards, &nobody);
        }
        return of_redis(vec![source.to_owned()]);
    }
    for directory in [source.to_owned(), source.join(&settings.log_dir)] {
        let failed = |error| format!("read the manifest in {}: {error}", directory.display());
        if let Some(manifest) = Manifest::load(&directory).map_err(failed)? {
            let old_shards = manifest.generations.last().map_or(1, |last| last.shards);
            let shards = (old_shards, LooseEnd::PassedOver);
            return remake::old_shards_of(config, &directory, &manifest, shards, &nobody);
        }
        if let Some(files) = import::files_in(settings, &directory)? {
            return of_redis(files);
        }
    }
    Err(format!(
        "there is neither a log nor an append-only file of Redis in {}; name a file to read that",
        source.display()
    ))
}
