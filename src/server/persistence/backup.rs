//! Backups of the running server: when one is made, what came of it, and which are kept.
//!
//! ```text
//!   core 0, each round of housekeeping: due by the schedule, asked for, or to be tried again -> `save`
//!   thread of the save: file -> what came of it -> those that are too old are removed
//! ```
//!
//! A backup is a save into a file of its own: of one moment over all cores, while clients are served. It waits
//! while another save or a rewriting of the log is under way, and the next of those waits for it. It changes nothing about saves: neither what
//! is unsaved nor when the last one was.
//!
//! Invariants
//! - A file has the name of a backup only when it is whole and on the disk.
//! - The newest backup is never removed, and nothing is after one that has failed.
//!
//! Not here: the file (`save`), object stores (`upload`), restoring (`restore`, crate `storage`), what is left of killed
//! ones (`left_over`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::{Monotonic, UnixMillis};
use runtime::log_file;
use storage::backup;

use crate::config::schedule;
use crate::config::settings::Settings;
use crate::core_loop::Core;
use crate::engine::Shared;

use super::left_over;
use super::save::{self, Wanted};
use super::upload::{self, Target};

/// How long a backup of the schedule waits after it has failed, and the longest wait when it fails again.
const RETRY_NANOS: u64 = 60_000_000_000;
const RETRY_NANOS_MAX: u64 = 3_600_000_000_000;

const DAY_MILLIS: i64 = 86_400_000;

/// What is known of backups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backups {
    /// The schedule, and the next time that it says.
    planned: Option<(String, Option<UnixMillis>)>,
    /// One is to begin as soon as no save is under way.
    is_wanted: bool,
    /// When the one under way has begun.
    pub(crate) under_way: Option<Monotonic>,
    /// How many have begun, and how many have ended, one way or the other.
    begun: u64,
    ended: u64,
    pub(crate) made: u64,
    pub(crate) failed: u64,
    /// The last that was made, in this run of the server.
    pub(crate) last: Option<Made>,
    /// Why the last one has failed, if it has.
    pub(crate) failure: Option<String>,
    /// How often it has failed since it last succeeded, and when it is tried again.
    failures: u32,
    retry_at: Option<Monotonic>,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) path: PathBuf,
    /// The time of its data.
    pub(crate) at: UnixMillis,
    pub(crate) bytes: u64,
    pub(crate) millis: u64,
}

/// What becomes of a backup that was made.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    /// Days that those before are kept; 0 for ever.
    days: u32,
    /// Where it is sent.
    target: Option<Target>,
}

impl Keeping {
    /// Returns what the settings say.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            days: settings.backup_days,
            target: Target::of(settings),
        }
    }
}

impl Backups {
    /// Returns when the schedule says the next one.
    pub(crate) fn next_at(&self) -> Option<UnixMillis> {
        self.planned.as_ref().and_then(|(_, at)| *at)
    }

    /// Returns whether one is to begin, as soon as no save is under way.
    fn is_due(&mut self, settings: &Settings, now: UnixMillis, clock: Monotonic) -> bool {
        if settings.has_backups {
            let text = &settings.backup_schedule;
            let is_new = self.planned.as_ref().is_none_or(|(known, _)| known != text);
            let is_over = self.next_at().is_some_and(|at| at <= now);
            if is_new || is_over {
                self.planned = Some((text.clone(), schedule::next(text, now)));
            }
            let is_late = self.retry_at.is_some_and(|at| at <= clock);
            if is_over && !is_new || is_late {
                self.retry_at = None;
                self.is_wanted = true;
            }
        } else {
            self.planned = None;
            self.retry_at = None;
        }
        self.is_wanted && self.under_way.is_none()
    }

    /// Notes what came of the one under way.
    fn end(&mut self, outcome: Result<Made, String>, clock: Monotonic) {
        self.under_way = None;
        self.ended += 1;
        match outcome {
            Ok(made) => {
                self.made += 1;
                self.failures = 0;
                self.failure = None;
                self.retry_at = None;
                self.last = Some(made);
            }
            Err(error) => {
                let wait = RETRY_NANOS << self.failures.min(8);
                self.failed += 1;
                self.failures += 1;
                self.failure = Some(error);
                self.retry_at = Some(Monotonic(clock.0 + wait.min(RETRY_NANOS_MAX)));
            }
        }
    }
}

/// Returns the directory of the backups.
pub(super) fn directory(settings: &Settings) -> PathBuf {
    settings.data_dir.join(&settings.backup_dir)
}

/// Returns the path of a backup of this moment.
pub(super) fn path(settings: &Settings, now: UnixMillis) -> PathBuf {
    directory(settings).join(backup::name(now))
}

/// Asks for a backup, which begins as soon as no save is under way; on core 0. Returns its number, for
/// [`outcome`].
pub(crate) fn ask(core: &mut Core) -> u64 {
    let number = core.engine.shared.persistence.backups.with(|backups| {
        backups.is_wanted = true;
        backups.begun + 1
    });
    review(core);
    number
}

/// Returns what came of a backup, once it has ended.
pub(crate) fn outcome(shared: &Shared, number: u64) -> Option<Result<PathBuf, String>> {
    shared.persistence.backups.with(|backups| {
        if backups.ended < number {
            return None;
        }
        let made = || backups.last.as_ref().map(|made| made.path.clone());
        match &backups.failure {
            Some(error) => Some(Err(error.clone())),
            None => made().map(Ok),
        }
    })
}

/// Begins a backup if one is due; on core 0.
pub(super) fn review(core: &mut Core) {
    let shared = Arc::clone(&core.engine.shared);
    let persistence = &shared.persistence;
    if persistence.is_loading() {
        return;
    }
    let (now, clock) = (core.engine.now, core.engine.clock);
    let settings = core.engine.config.settings();
    let is_due = |backups: &mut Backups| backups.is_due(settings, now, clock);
    let is_busy = persistence.is_rewriting() || persistence.saves(|it| it.under_way.is_some());
    if !persistence.backups.with(is_due) || is_busy {
        return;
    }
    persistence.backups.with(|backups| {
        backups.is_wanted = false;
        backups.begun += 1;
        backups.under_way = Some(clock);
    });
    // Refused only if a save or a rewriting is under way, and core 0 begins all of them.
    save::begin(core, Wanted::Backup).ok();
}

/// Makes the directory that a backup is to be in, and removes what killed ones have left there. On the thread.
pub(super) fn prepare_directory(path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    runtime::file::create_dir(directory)?;
    left_over::remove_of_backups(directory);
    Ok(())
}

/// Notes what came of a backup, and removes those that are too old. On the thread; no save is under way any more.
pub(super) fn end(shared: &Arc<Shared>, keeping: &Keeping, outcome: Result<Made, String>) {
    let clock = runtime::clock::monotonic();
    match &outcome {
        Ok(made) => {
            let path = made.path.display();
            let (bytes, milliseconds) = (made.bytes, made.millis);
            tracing::info!(%path, bytes, milliseconds, "backup made");
            prune(&made.path, keeping.days, made.at);
            if let Some(target) = &keeping.target {
                upload::enqueue(shared, &made.path, target.clone());
            }
        }
        Err(error) => tracing::error!(
            error,
            "the backup has failed; one of the schedule is tried again. Make room in backup-dir or change it"
        ),
    }
    shared
        .persistence
        .backups
        .with(|backups| backups.end(outcome, clock));
    shared.persistence.wake_all();
}

/// Removes the backups beside `newest` that are too old.
fn prune(newest: &Path, retention_days: u32, now: UnixMillis) {
    let Some(directory) = newest.parent().filter(|_| retention_days > 0) else {
        return;
    };
    let names = match log_file::names_in(directory) {
        Ok(names) => names,
        Err(error) => {
            return tracing::error!(path = %directory.display(), %error, "look for backups that are too old");
        }
    };
    let before = UnixMillis(now.0 - i64::from(retention_days) * DAY_MILLIS);
    for name in too_old(&names, before) {
        let path = directory.join(name);
        match runtime::file::remove(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "a backup that is too old is removed"),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "remove a backup that is too old");
            }
        }
    }
}

/// Returns the names of backups from before a time.
fn too_old(names: &[String], before: UnixMillis) -> Vec<&String> {
    let is_old = |name: &&String| backup::time_of_name(name).is_some_and(|at| at < before);
    names.iter().filter(is_old).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixMillis = UnixMillis(1_769_860_800_000);
    const CLOCK: Monotonic = Monotonic(1_000_000_000_000);

    fn settings() -> Settings {
        let mut settings = crate::config::Config::defaults().settings().clone();
        settings.has_backups = true;
        settings.backup_schedule = "0 * * * *".to_owned();
        settings
    }

    fn later(clock: Monotonic, seconds: u64) -> Monotonic {
        Monotonic(clock.0 + seconds * 1_000_000_000)
    }

    #[test]
    fn a_backup_is_due_at_each_time_of_the_schedule_once() {
        let mut settings = settings();
        let mut backups = Backups::default();
        let at = |seconds: i64| UnixMillis(NOON.0 + seconds * 1000);
        assert!(!backups.is_due(&settings, at(1), CLOCK));
        assert_eq!(backups.next_at(), Some(at(3600)));
        assert!(!backups.is_due(&settings, at(3599), CLOCK));
        assert!(backups.is_due(&settings, at(3600), CLOCK));
        backups.is_wanted = false;
        assert!(!backups.is_due(&settings, at(3601), CLOCK));
        // Times that have passed unnoticed are one.
        assert!(backups.is_due(&settings, at(4 * 3600 + 1), CLOCK));
        assert_eq!(backups.next_at(), Some(at(5 * 3600)));
        backups.is_wanted = false;
        // Another schedule begins anew.
        settings.backup_schedule = "30 * * * *".to_owned();
        assert!(!backups.is_due(&settings, at(6 * 3600), CLOCK));
        assert_eq!(backups.next_at(), Some(at(6 * 3600 + 1800)));
        settings.has_backups = false;
        assert!(!backups.is_due(&settings, at(8 * 3600), CLOCK));
        assert_eq!(backups.next_at(), None);
    }

    #[test]
    fn one_that_has_failed_is_tried_again_later_and_later() {
        let settings = settings();
        let mut backups = Backups::default();
        assert!(!backups.is_due(&settings, NOON, CLOCK));
        for (failures, wait) in [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
            .into_iter()
            .enumerate()
        {
            backups.end(Err("full".to_owned()), CLOCK);
            assert_eq!(backups.failed, base::cast::u64_from(failures) + 1);
            assert!(
                !backups.is_due(&settings, NOON, later(CLOCK, wait - 1)),
                "{wait}"
            );
            assert!(
                backups.is_due(&settings, NOON, later(CLOCK, wait)),
                "{wait}"
            );
            backups.is_wanted = false;
        }
        let made = Made {
            path: PathBuf::from("x"),
            at: NOON,
            bytes: 1,
            millis: 1,
        };
        backups.end(Ok(made), CLOCK);
        assert!(!backups.is_due(&settings, NOON, later(CLOCK, 1_000_000)));
        assert_eq!((backups.failure, backups.failures), (None, 0));
    }

    #[test]
    fn old_backups_are_found() {
        let day = |days: i64| UnixMillis(NOON.0 - days * DAY_MILLIS);
        let mut names: Vec<String> = (0..10).map(|days| backup::name(day(days))).collect();
        names.push("dump.rdb".to_owned());
        let old = too_old(&names, day(7));
        assert_eq!(old, [&names[8], &names[9]]);
    }
}
