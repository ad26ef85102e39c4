//! The disk of a simulated world: files that live as long as the world, and what a crash leaves of them.
//!
//! What is written is seen at once by those who read, and is on the disk only when it was synced; so are names, by
//! a sync of their directory. A crash ([`crash`]) keeps of the rest what chance says: of bytes a beginning that ends
//! at a border of 512 bytes, at times with zeros behind it; of changes of names the first few.
//!
//! Writes and syncs can fail: the one with a certain number ([`fail_at`]), one in so many ([`set_weather`]), or all
//! that need room ([`set_room`]). A write that fails may have written a beginning. After a sync that fails, what it
//! should have brought to the disk never gets there, whatever a later sync says, as on Linux.
//!
//! A helper is put aside for each operation; a core waits, and the world with it. A sync brings what was written
//! before it began. When a process ends, what it leaves on its way out changes nothing ([`freeze`]); the machine may
//! go on ([`kill`]) or not ([`crash`]).
//!
//! Not here: the names under which all this is called (`file`, `log_file`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use base::cast::u64_from;
use base::random::Random;

use crate::faults::{self, Fault};
use crate::{helper, world};

/// The unit in which a disk writes.
const SECTOR_BYTES: usize = 512;

/// What goes wrong with one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is done.
    Refused,
    /// A write stops at a border of 512 bytes; anything else is refused.
    Torn,
    /// A write stops at the border with this number, counted from where it begins; anything else is refused.
    TornAt(usize),
    /// There is no room: a write stops anywhere; a sync is refused.
    Full,
    /// The process ends in it: nothing is done.
    Ends,
}

/// How often something goes wrong by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// One write in so many fails; 0 for none.
    pub write_fails_one_in: u64,
    /// One sync in so many fails; 0 for none.
    pub sync_fails_one_in: u64,
    /// Longest time that a sync takes, in nanoseconds.
    pub sync_nanos: u64,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Appends to a file, over so many borders of 512 bytes.
    Write(usize),
    /// Cuts a file.
    Cut,
    /// Brings a file to the disk.
    Sync,
    /// Makes, renames or removes a name.
    Name,
    /// Brings names to the disk.
    SyncNames,
}

/// A file.
#[derive(Clone, Debug, Default)]
struct Content {
    /// As it is seen.
    bytes: Vec<u8>,
    /// As it would be after a crash that keeps nothing else.
    synced: Vec<u8>,
    /// Ranges that a failed sync has given up.
    lost: Vec<(usize, usize)>,
}

/// A change of names that is not on the disk yet.
#[derive(Clone, Debug)]
enum NameChange {
    Set(PathBuf, usize),
    Remove(PathBuf),
}

#[derive(Debug)]
struct Disk {
    random: Random,
    weather: Weather,
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    changes: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    /// Bytes that may still be written; none for no end.
    room: Option<u64>,
    operations: Vec<Operation>,
    planned: Option<(u64, Failure)>,
    failed: u64,
    failed_syncs: u64,
    is_frozen: bool,
    /// The process has to end in the operation that is under way.
    ends: bool,
}

thread_local! {
    static DISK: RefCell<Disk> = RefCell::new(Disk::new(0));
}

fn with<T>(act: impl FnOnce(&mut Disk) -> T) -> T {
    DISK.with_borrow_mut(act)
}

/// Puts an empty disk into the world; `seed` decides what happens to it.
pub fn begin(seed: u64) {
    with(|disk| *disk = Disk::new(seed));
}

/// Says how often something goes wrong from now on.
pub fn set_weather(weather: Weather) {
    with(|disk| disk.weather = weather);
}

/// Says how many bytes may still be written; none for no end.
pub fn set_room(bytes: Option<u64>) {
    with(|disk| disk.room = bytes);
}

/// Has the operation with this number fail, counted from 0 since [`begin`].
pub fn fail_at(operation: u64, failure: Failure) {
    with(|disk| disk.planned = Some((operation, failure)));
}

/// Returns how many writes, syncs and changes of names there were.
#[must_use]
pub fn operations() -> u64 {
    with(|disk| u64_from(disk.operations.len()))
}

/// Returns what they were.
#[must_use]
pub fn journal() -> Vec<Operation> {
    with(|disk| disk.operations.clone())
}

/// Returns how many of them have failed.
#[must_use]
pub fn failures() -> u64 {
    with(|disk| disk.failed)
}

/// Returns how many syncs have failed.
#[must_use]
pub fn sync_failures() -> u64 {
    with(|disk| disk.failed_syncs)
}

/// Has the disk take nothing any more: the process ends.
pub fn freeze() {
    with(|disk| disk.is_frozen = true);
}

/// Loses what no crash has to keep. Who has used the disk has to be gone.
pub fn crash() {
    with(Disk::crash);
}

/// Keeps all that was written: the process is gone, and the machine goes on.
pub fn kill() {
    with(|disk| {
        disk.locks.clear();
        disk.is_frozen = false;
    });
}

/// Returns the names of all files.
#[must_use]
pub fn names() -> Vec<PathBuf> {
    with(|disk| disk.names.keys().cloned().collect())
}

impl Disk {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            weather: Weather::default(),
            contents: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            changes: Vec::new(),
            locks: BTreeSet::new(),
            room: None,
            operations: Vec::new(),
            planned: None,
            failed: 0,
            failed_syncs: 0,
            is_frozen: false,
            ends: false,
        }
    }

    fn chance(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.random.below(one_in) == 0
    }

    /// Counts an operation and returns what goes wrong with it.
    fn failure(&mut self, operation: Operation) -> Option<Failure> {
        if self.is_frozen {
            return Some(Failure::Refused);
        }
        let one_in = match operation {
            Operation::Write(_) | Operation::Cut | Operation::Name => {
                self.weather.write_fails_one_in
            }
            Operation::Sync | Operation::SyncNames => self.weather.sync_fails_one_in,
        };
        let number = u64_from(self.operations.len());
        self.operations.push(operation);
        let planned = self.planned.filter(|(at, _)| *at == number);
        let failure = match planned {
            Some((_, failure)) => Some(failure),
            None if self.chance(one_in) => {
                Some([Failure::Refused, Failure::Torn, Failure::Full][self.random.index(3)])
            }
            None => None,
        };
        if failure == Some(Failure::Ends) {
            (self.is_frozen, self.ends) = (true, true);
            return failure;
        }
        self.failed += u64::from(failure.is_some());
        failure
    }

    fn change_name(&mut self, change: NameChange) -> io::Result<()> {
        if let Some(failure) = self.failure(Operation::Name) {
            return Err(failure.error());
        }
        apply(&mut self.names, &change);
        self.changes.push(change);
        Ok(())
    }

    fn content_of(&self, path: &Path) -> io::Result<usize> {
        let content = self.names.get(path).copied();
        content.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&mut self, path: &Path) -> io::Result<usize> {
        if let Ok(content) = self.content_of(path) {
            self.cut(content, 0)?;
            return Ok(content);
        }
        self.contents.push(Content::default());
        let content = self.contents.len() - 1;
        self.change_name(NameChange::Set(path.to_owned(), content))?;
        Ok(content)
    }

    fn append(&mut self, content: usize, bytes: &[u8]) -> io::Result<()> {
        let begun = self.contents[content].bytes.len();
        let borders = (begun + bytes.len()) / SECTOR_BYTES - begun / SECTOR_BYTES;
        let mut failure = self.failure(Operation::Write(borders));
        let room = self.room.unwrap_or(u64::MAX);
        if failure.is_none() && u64_from(bytes.len()) > room {
            failure = Some(Failure::Full);
            self.failed += 1;
        }
        let target = &mut self.contents[content].bytes;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let written = match failure {
            None => bytes.len(),
            Some(Failure::Refused | Failure::Ends) => 0,
            Some(Failure::Torn) => {
                let end = target.len() + self.random.index(bytes.len() + 1);
                (end / SECTOR_BYTES * SECTOR_BYTES).saturating_sub(target.len())
            }
            Some(Failure::TornAt(border)) => {
                let end = (begun / SECTOR_BYTES + border) * SECTOR_BYTES;
                end.saturating_sub(begun).min(bytes.len())
            }
            Some(Failure::Full) => self.random.index(bytes.len() + 1).min(room),
        };
        target.extend_from_slice(&bytes[..written]);
        if let Some(room) = &mut self.room {
            *room = room.saturating_sub(u64_from(written));
        }
        failure.map_or(Ok(()), |failure| Err(failure.error()))
    }

    fn cut(&mut self, content: usize, bytes: u64) -> io::Result<()> {
        if let Some(failure) = self.failure(Operation::Cut) {
            return Err(failure.error());
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.contents[content].cut(bytes);
        Ok(())
    }

    /// Brings the first `seen` bytes of a file to the disk, those that were there when the sync began.
    fn sync(&mut self, content: usize, seen: usize) -> io::Result<()> {
        let failure = self.failure(Operation::Sync);
        if self.is_frozen {
            return Err(Failure::Refused.error());
        }
        self.failed_syncs += u64::from(failure.is_some());
        let content = &mut self.contents[content];
        match failure {
            None => {
                let end = seen.max(content.synced.len()).min(content.bytes.len());
                content.synced = content.bytes[..end].to_vec();
                content.lose();
                Ok(())
            }
            Some(failure) => {
                let (from, to) = (content.synced.len(), seen.min(content.bytes.len()));
                if from < to {
                    content.lost.push((from, to));
                }
                Err(failure.error())
            }
        }
    }

    fn sync_names(&mut self) -> io::Result<()> {
        if let Some(failure) = self.failure(Operation::SyncNames) {
            self.failed_syncs += u64::from(!self.is_frozen);
            return Err(failure.error());
        }
        self.synced_names.clone_from(&self.names);
        self.changes.clear();
        Ok(())
    }

    fn crash(&mut self) {
        let kept = self.random.index(self.changes.len() + 1);
        for change in std::mem::take(&mut self.changes).iter().take(kept) {
            apply(&mut self.synced_names, change);
        }
        self.names.clone_from(&self.synced_names);
        self.locks.clear();
        self.is_frozen = false;
        for content in &mut self.contents {
            content.crash(&mut self.random);
        }
    }
}

impl Content {
    /// Makes the file shorter. What is written at the same place later is new, whatever a sync has given up before.
    fn cut(&mut self, bytes: usize) {
        self.bytes.truncate(bytes);
        self.lost.retain(|(from, _)| *from < bytes);
        for (_, to) in &mut self.lost {
            *to = bytes.min(*to);
        }
    }

    /// Puts zeros where a failed sync has given bytes up.
    fn lose(&mut self) {
        for &(from, to) in &self.lost {
            let to = to.min(self.synced.len());
            if from < to {
                self.synced[from..to].fill(0);
            }
        }
    }

    fn crash(&mut self, random: &mut Random) {
        let (seen, synced) = (self.bytes.len(), self.synced.len());
        if seen < synced || self.bytes[..synced] != self.synced[..] {
            // It was cut, or a sync has failed; perhaps that is on the disk, and perhaps not.
            if self.lost.is_empty() && random.below(2) == 0 {
                self.synced.clone_from(&self.bytes);
            }
        } else if seen > synced && self.lost.is_empty() {
            let mut end = synced + random.index(seen - synced + 1);
            if end < seen {
                end = (end / SECTOR_BYTES * SECTOR_BYTES).max(synced);
            }
            self.synced.extend_from_slice(&self.bytes[synced..end]);
            if random.below(4) == 0 {
                // The length was on the disk before the bytes.
                self.synced.resize(seen, 0);
            }
        }
        self.lost.clear();
        self.bytes.clone_from(&self.synced);
    }
}

impl Failure {
    fn error(self) -> io::Error {
        match self {
            Self::Refused | Self::Torn | Self::TornAt(_) | Self::Ends => {
                io::Error::other("Input/output error")
            }
            Self::Full => io::ErrorKind::StorageFull.into(),
        }
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, change: &NameChange) {
    match change {
        NameChange::Set(path, content) => {
            // A name has one file, but a file may have two names.
            names.insert(path.clone(), *content);
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
    }
}

// --- what files are made of ---

/// A file that is open, by whatever name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open(usize);

/// Lets a while pass in which a helper waits for an operation.
fn take_a_while() {
    if helper::current().is_some() {
        helper::linger(world::delay());
    }
}

/// Works on the disk; ends the process if that is to happen in it.
fn operate<T>(work: impl FnOnce(&mut Disk) -> T) -> T {
    take_a_while();
    end_if_due(with(work))
}

fn end_if_due<T>(result: T) -> T {
    if with(|disk| std::mem::take(&mut disk.ends)) {
        crate::process::end(1);
    }
    result
}

/// Makes a file, or empties it.
pub(crate) fn create(path: &Path) -> io::Result<Open> {
    operate(|disk| disk.create(path)).map(Open)
}

/// Opens a file that is there.
pub(crate) fn open(path: &Path) -> io::Result<Open> {
    with(|disk| disk.content_of(path)).map(Open)
}

/// Appends bytes, or a beginning of them.
pub(crate) fn append(file: Open, bytes: &[u8]) -> io::Result<()> {
    let result = operate(|disk| disk.append(file.0, bytes));
    if faults::is_on(Fault::WriteErrorIgnored) {
        return Ok(());
    }
    result
}

/// Cuts a file.
pub(crate) fn cut(file: Open, bytes: u64) -> io::Result<()> {
    operate(|disk| disk.cut(file.0, bytes))
}

/// Brings a file to the disk, which takes a while.
pub(crate) fn sync(file: Open) -> io::Result<()> {
    let (seen, nanos) = with(|disk| {
        let longest = disk.weather.sync_nanos.max(1);
        (
            disk.contents[file.0].bytes.len(),
            disk.random.below(longest),
        )
    });
    if helper::current().is_some() {
        helper::linger(nanos);
    } else {
        world::pass(nanos);
    }
    if faults::is_on(Fault::SyncSkipped) {
        return Ok(());
    }
    let result = end_if_due(with(|disk| disk.sync(file.0, seen)));
    if faults::is_on(Fault::SyncErrorIgnored) {
        return Ok(());
    }
    result
}

/// A sync that is under way.
#[derive(Debug)]
pub(crate) struct Sync {
    file: Open,
    bytes: usize,
    /// When it is over.
    pub(crate) ends_at: u64,
}

impl Sync {
    /// Begins to bring what a file has now to the disk.
    pub(crate) fn begin(file: Open) -> Self {
        let nanos = with(|disk| {
            let longest = disk.weather.sync_nanos.max(1);
            disk.random.below(longest)
        });
        Self {
            file,
            bytes: with(|disk| disk.contents[file.0].bytes.len()),
            ends_at: world::now() + nanos,
        }
    }

    /// Says what has come of it. What was appended since is not on the disk.
    pub(crate) fn end(self) -> io::Result<()> {
        if faults::is_on(Fault::SyncSkipped) {
            return Ok(());
        }
        let result = end_if_due(with(|disk| disk.sync(self.file.0, self.bytes)));
        if faults::is_on(Fault::SyncErrorIgnored) {
            return Ok(());
        }
        result
    }
}

/// Brings all names to the disk.
pub(crate) fn sync_names() -> io::Result<()> {
    operate(Disk::sync_names)
}

/// Gives a file the name of another.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    operate(|disk| {
        let content = disk.content_of(from)?;
        // After a crash perhaps both names are there.
        disk.change_name(NameChange::Set(to.to_owned(), content))?;
        let gone = NameChange::Remove(from.to_owned());
        apply(&mut disk.names, &gone);
        disk.changes.push(gone);
        Ok(())
    })
}

/// Gives a file a second name.
pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    operate(|disk| {
        let content = disk.content_of(from)?;
        disk.change_name(NameChange::Set(to.to_owned(), content))
    })
}

/// Removes a name.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    operate(|disk| {
        disk.content_of(path)?;
        disk.change_name(NameChange::Remove(path.to_owned()))
    })
}

/// Reads from a place of a file.
pub(crate) fn read(file: Open, from: u64, buffer: &mut [u8]) -> usize {
    with(|disk| {
        let bytes = &disk.contents[file.0].bytes;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        let count = buffer.len().min(bytes.len() - from);
        buffer[..count].copy_from_slice(&bytes[from..from + count]);
        count
    })
}

/// Returns the bytes of a file.
pub(crate) fn size(file: Open) -> u64 {
    with(|disk| u64_from(disk.contents[file.0].bytes.len()))
}

/// Returns the names in a directory.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    with(|disk| {
        let inside = disk
            .names
            .keys()
            .filter(|path| path.parent() == Some(directory));
        let names = inside.filter_map(|path| path.file_name()?.to_str());
        names.map(str::to_owned).collect()
    })
}

/// Locks a directory; returns whether it was free.
pub(crate) fn lock(directory: &Path) -> bool {
    with(|disk| disk.locks.insert(directory.to_owned()))
}

/// Gives a directory free.
pub(crate) fn unlock(directory: &Path) {
    with(|disk| disk.locks.remove(directory));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> Vec<u8> {
        let file = open(path).unwrap();
        let mut bytes = vec![0; usize::try_from(size(file)).unwrap()];
        read(file, 0, &mut bytes);
        bytes
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_a_beginning_of_the_rest() {
        let path = Path::new("/data/file");
        for seed in 1..200 {
            begin(seed);
            let file = create(path).unwrap();
            append(file, &[1; 700]).unwrap();
            sync(file).unwrap();
            sync_names().unwrap();
            append(file, &[2; 1000]).unwrap();
            crash();
            let kept = text(path);
            assert_eq!(kept[..700], [1; 700], "seed {seed}");
            let twos = kept[700..].iter().take_while(|byte| **byte == 2).count();
            assert!(kept[700 + twos..].iter().all(|byte| *byte == 0));
            assert!(twos == 1000 || twos == 0 || (700 + twos) % SECTOR_BYTES == 0);
        }
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_gone() {
        let path = Path::new("/data/file");
        let mut gone = 0;
        for seed in 1..100 {
            begin(seed);
            let file = create(path).unwrap();
            sync(file).unwrap();
            crash();
            gone += u32::from(open(path).is_err());
        }
        assert!((1..99).contains(&gone));
    }

    #[test]
    fn what_a_failed_sync_has_given_up_never_gets_to_the_disk() {
        begin(1);
        let path = Path::new("/data/file");
        let file = create(path).unwrap();
        sync_names().unwrap();
        append(file, b"first").unwrap();
        fail_at(operations(), Failure::Refused);
        assert!(sync(file).is_err());
        append(file, b"second").unwrap();
        sync(file).unwrap();
        crash();
        assert_eq!(text(path), b"\0\0\0\0\0second");
    }
}
