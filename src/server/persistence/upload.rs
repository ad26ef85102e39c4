//! Backups on their way to an object store: one at a time, on a thread that lives as long as there is one.
//!
//! ```text
//!   thread of the save: backup made -> queue -> thread "upload": sent, read back; or later again
//! ```
//!
//! Each is tried until it has arrived or the server ends, later and later; the next one waits meanwhile. A server
//! that ends does not wait, and the next start does not go on: the backup is in its directory.
//!
//! Not here: the stores (crate `cloud`).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::clock::UnixMillis;
use cloud::{Bucket, Provider};

use crate::config::settings::Settings;
use crate::engine::Shared;

/// The first wait after a failure, and the longest.
const RETRY_SECONDS: u64 = 5;
const RETRY_SECONDS_MAX: u64 = 600;

/// How often a thread that waits looks whether the server ends.
const LOOK: Duration = Duration::from_millis(200);

/// Backups that wait; of more the oldest are left out.
const WAITING_MAX: usize = 100;

/// What is known of uploads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uploads {
    waiting: VecDeque<(PathBuf, Target)>,
    /// A thread works on the first of them.
    is_running: bool,
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    /// When the last one has arrived, and where.
    pub(crate) last: Option<(UnixMillis, String)>,
    /// Why the last try has failed, if it has.
    pub(crate) failure: Option<String>,
}

impl Uploads {
    /// Returns how many wait or are under way.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// Where backups are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    bucket: Bucket,
    prefix: String,
}

impl Target {
    /// Returns what the settings say, if they say to send backups.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        settings.has_cloud_backups.then(|| Self {
            bucket: bucket(settings),
            prefix: settings.cloud_prefix.clone(),
        })
    }

    fn key(&self, file: &Path) -> String {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        match self.prefix.trim_matches('/') {
            "" => name.into_owned(),
            prefix => format!("{prefix}/{name}"),
        }
    }
}

/// Returns the bucket that the settings name.
pub(super) fn bucket(settings: &Settings) -> Bucket {
    Bucket {
        provider: match settings.cloud_provider.as_str() {
            "gcs" => Provider::Gcs,
            "azure" => Provider::Azure,
            _ => Provider::S3,
        },
        name: settings.cloud_bucket.clone(),
        region: settings.cloud_region.clone(),
        endpoint: settings.cloud_endpoint.clone(),
    }
}

/// Returns whether backups can be sent where the settings say, as far as that is known without doing so.
///
/// # Errors
///
/// One line with what is wrong and what can be done.
pub fn check(settings: &Settings) -> Result<(), String> {
    if !settings.has_cloud_backups {
        return Ok(());
    }
    if settings.cloud_bucket.is_empty() {
        return Err(
            "cloud-backup-enabled: there is no bucket; name one with cloud-backup-bucket"
                .to_owned(),
        );
    }
    cloud::check(&bucket(settings)).map_err(|refused| {
        format!("cloud-backup-enabled: {refused}; correct that, or set cloud-backup-enabled to no")
    })
}

/// Sends a backup, behind those that wait already.
pub(super) fn enqueue(shared: &Arc<Shared>, file: &Path, target: Target) {
    let is_first = shared.persistence.uploads.with(|uploads| {
        uploads.waiting.push_back((file.to_owned(), target));
        if uploads.waiting.len() > WAITING_MAX {
            // The first is under way.
            uploads.waiting.remove(1);
        }
        !std::mem::replace(&mut uploads.is_running, true)
    });
    if !is_first {
        return;
    }
    let on_thread = Arc::clone(shared);
    if let Err(error) = runtime::helper::start("upload", move || run(&on_thread)) {
        fail(shared, &format!("start a thread: {error}"));
        // The next backup tries again.
        shared
            .persistence
            .uploads
            .with(|uploads| uploads.is_running = false);
    }
}

/// Sends what waits, until nothing does or the server ends.
fn run(shared: &Shared) {
    let mut wait = RETRY_SECONDS;
    loop {
        let next = shared.persistence.uploads.with(|uploads| {
            uploads.is_running = !uploads.waiting.is_empty();
            uploads.waiting.front().cloned()
        });
        let Some((file, target)) = next else { return };
        let begun = runtime::clock::monotonic();
        let key = target.key(&file);
        match cloud::upload(&target.bucket, &key, &file) {
            Ok(bytes) => {
                let url = target.bucket.url(&key);
                let milliseconds = runtime::clock::monotonic().nanos_since(begun) / 1_000_000;
                tracing::info!(url, bytes, milliseconds, "backup sent, and read back");
                let now = runtime::clock::unix_millis();
                shared.persistence.uploads.with(|uploads| {
                    uploads.waiting.pop_front();
                    uploads.sent += 1;
                    uploads.last = Some((now, url));
                    uploads.failure = None;
                });
                wait = RETRY_SECONDS;
            }
            Err(refused) => {
                fail(shared, &refused.0);
                if is_gone(&file) {
                    shared
                        .persistence
                        .uploads
                        .with(|uploads| drop(uploads.waiting.pop_front()));
                    continue;
                }
                if !pause(shared, wait) {
                    return;
                }
                wait = (wait * 2).min(RETRY_SECONDS_MAX);
            }
        }
    }
}

/// Returns whether a backup was removed before it was sent.
fn is_gone(file: &Path) -> bool {
    matches!(runtime::directory::exists(file), Ok(false))
}

fn fail(shared: &Shared, error: &str) {
    tracing::error!(
        error,
        "a backup could not be sent to the object store; it is tried again"
    );
    shared.persistence.uploads.with(|uploads| {
        uploads.failed += 1;
        uploads.failure = Some(error.to_owned());
    });
}

/// Waits; returns whether the server goes on.
fn pause(shared: &Shared, seconds: u64) -> bool {
    let begun = runtime::clock::monotonic();
    while runtime::clock::monotonic().nanos_since(begun) < seconds * 1_000_000_000 {
        if shared.stopping.load(Ordering::Relaxed) {
            return false;
        }
        runtime::helper::pause(LOOK);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_backup_is_behind_the_prefix() {
        let mut settings = crate::config::Config::defaults().settings().clone();
        assert_eq!(Target::of(&settings), None);
        settings.has_cloud_backups = true;
        let refused = check(&settings).unwrap_err();
        assert!(refused.contains("cloud-backup-bucket"), "{refused}");
        for (prefix, key) in [
            ("", "x.rdb"),
            ("prod/", "prod/x.rdb"),
            ("/a/b", "a/b/x.rdb"),
        ] {
            settings.cloud_prefix = prefix.to_owned();
            let target = Target::of(&settings).unwrap();
            assert_eq!(target.key(Path::new("/data/x.rdb")), key);
        }
    }
}
