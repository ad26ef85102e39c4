//! Files of a log: appended to by one core, brought to the disk by it or by a helper thread.
//!
//! ```text
//!   | head | records ........ | zeros: the room .......... |
//!                             ^ end                        ^ zeroed
//! ```
//! A file that grows with each sync has its length and its blocks brought to the disk as well, which costs a journal of
//! the file system more than the bytes themselves (measured on ext4: 30 KB appended and synced in 243 us, into room in
//! 118). So a helper thread may make *room*: zeros behind the end, written past the cache of the kernel, so that a sync of
//! the core does not have to bring them to the disk.
//!
//! Invariants
//! - After a write that failed the file is as long as before, or the next write makes it so first.
//! - Room is made behind what the core may write without a lock, and never where it has written.
//!
//! Every call may wait for the disk. A core that appends waits for the kernel to take the bytes, and if it has used up
//! its room while more is made, for one piece of that; one that is not to wait for the device has its ring sync
//! ([`crate::socket_ring::SocketRing::sync`]).
//!
//! Not here: what the bytes mean (crate `storage`).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::cast::{u64_from, usize_from};

use crate::facts::Facts;

/// A file that grows at its end. Clones are the same file.
#[derive(Clone, Debug)]
pub struct LogFile {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
    /// Where the next bytes go. Changed by who appends.
    end: AtomicU64,
    /// Up to here there is room.
    zeroed: AtomicU64,
    /// Somebody is to make room, or does.
    is_asked: AtomicBool,
    room: Facts<Room>,
}

/// What making room needs.
#[derive(Debug, Default)]
struct Room {
    /// The file, past the cache of the kernel.
    direct: Option<File>,
    /// There may be zeros behind the end.
    was_made: bool,
    /// It was cut since it was asked for: who makes it stops.
    is_cut: bool,
}

/// Room is made in pieces of so many bytes: who appends waits for one at most.
const PIECE_BYTES: usize = 256 * 1024;

/// Where pieces begin, in the file and in memory: what disks and file systems ask for who goes past the cache.
const ALIGNMENT: usize = 4096;

/// How much room there is to be: a part of what was written, between these.
const ROOM_BYTES_MIN: u64 = 1 << 20;
const ROOM_BYTES_MAX: u64 = 16 << 20;

impl LogFile {
    /// Makes a file; one that is there already is emptied.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                file: File::create(path)?,
                path: path.to_path_buf(),
                end: AtomicU64::new(0),
                zeroed: AtomicU64::new(0),
                is_asked: AtomicBool::new(false),
                room: Facts::default(),
            }),
        })
    }

    /// Appends bytes: to the kernel, not to the disk. Only some of them may be there after an error. One thread at a
    /// time. `bytes` stays as it is, but may get a larger buffer.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`.
    pub fn append(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let inner = &*self.inner;
        let end = inner.end.load(Ordering::Acquire);
        let next = end + u64_from(bytes.len());
        let block_end = next.next_multiple_of(u64_from(ALIGNMENT));
        if block_end <= inner.zeroed.load(Ordering::Acquire) {
            // The kernel reads a block of which only a part is written.
            let count = bytes.len();
            bytes.resize(count + usize_from(block_end - next), 0);
            let result = inner.file.write_all_at(bytes, end);
            bytes.truncate(count);
            result?;
            inner.end.store(next, Ordering::Release);
            return Ok(());
        }
        // Nobody writes zeros here meanwhile.
        inner.room.with(|_| {
            inner.file.write_all_at(bytes, end)?;
            inner.end.store(next, Ordering::Release);
            inner.zeroed.fetch_max(next, Ordering::AcqRel);
            Ok(())
        })
    }

    /// Cuts the file.
    ///
    /// # Errors
    ///
    /// Those of `ftruncate(2)`.
    pub fn cut(&self, bytes: u64) -> io::Result<()> {
        let inner = &*self.inner;
        inner.room.with(|room| {
            inner.file.set_len(bytes)?;
            inner.end.store(bytes, Ordering::Release);
            inner.zeroed.store(bytes, Ordering::Release);
            room.was_made = false;
            room.is_cut = true;
            Ok(())
        })
    }

    /// Cuts off the room, if there is some; who was asked for more makes none.
    ///
    /// # Errors
    ///
    /// Those of `ftruncate(2)`.
    pub fn cut_room(&self) -> io::Result<()> {
        let was_made = self.inner.room.with(|room| {
            room.is_cut = true;
            room.was_made
        });
        if was_made {
            self.cut(self.inner.end.load(Ordering::Acquire))
        } else {
            Ok(())
        }
    }

    /// Returns whether there is room behind the end. O(1), without a lock.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let inner = &*self.inner;
        inner.zeroed.load(Ordering::Acquire) > inner.end.load(Ordering::Acquire)
    }

    /// Returns whether somebody is to call [`Self::make_room`] now: true once for each time. O(1), without a lock if not.
    #[must_use]
    pub fn takes_room(&self) -> bool {
        let inner = &*self.inner;
        let end = inner.end.load(Ordering::Acquire);
        let wanted = wanted_room(end) / 2;
        let is_asked = inner.zeroed.load(Ordering::Acquire) < end + wanted
            && !inner.is_asked.swap(true, Ordering::AcqRel);
        if is_asked {
            inner.room.with(|room| room.is_cut = false);
        }
        is_asked
    }

    /// Makes room, unless the disk has refused that before. For helper threads.
    ///
    /// # Errors
    ///
    /// Those of the disk: there is less room than was wanted, and nobody is to ask again.
    pub fn make_room(&self) -> io::Result<()> {
        let inner = &*self.inner;
        let zeros = vec![0; PIECE_BYTES + ALIGNMENT];
        let from = zeros.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let zeros = &zeros[from..from + PIECE_BYTES];
        // Who has asked stays noted after an error.
        while inner.room.with(|room| inner.make_piece(room, zeros))? {}
        let direct = inner.room.with(|room| room.direct.take());
        direct.map_or(Ok(()), |direct| direct.sync_data())?;
        inner.is_asked.store(false, Ordering::Release);
        Ok(())
    }

    /// Brings all that was appended to the disk.
    ///
    /// # Errors
    ///
    /// Those of `fdatasync(2)`. What was appended before may be lost then, whatever a later call says.
    pub fn sync(&self) -> io::Result<()> {
        self.inner.file.sync_data()
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.inner.file.as_raw_fd()
    }
}

impl Inner {
    /// Writes a piece of zeros, if there is less room than is wanted. Returns whether it did.
    fn make_piece(&self, room: &mut Room, zeros: &[u8]) -> io::Result<bool> {
        let end = self.end.load(Ordering::Acquire);
        let zeroed = self.zeroed.load(Ordering::Acquire).max(end);
        if room.is_cut || zeroed >= end + wanted_room(end) {
            return Ok(false);
        }
        let direct = match &room.direct {
            Some(direct) => direct,
            None => {
                let mut options = OpenOptions::new();
                let options = options.write(true).custom_flags(libc::O_DIRECT);
                room.direct.insert(options.open(&self.path)?)
            }
        };
        // What lies before that in its block is written with the records there.
        let from = zeroed.next_multiple_of(u64_from(ALIGNMENT));
        room.was_made = true;
        direct.write_all_at(zeros, from)?;
        self.zeroed
            .store(from + u64_from(zeros.len()), Ordering::Release);
        Ok(true)
    }
}

/// Returns how much room is to be behind a file of so many bytes.
fn wanted_room(end: u64) -> u64 {
    (end / 4).clamp(ROOM_BYTES_MIN, ROOM_BYTES_MAX)
}

/// Cuts a file and brings that to the disk.
///
/// # Errors
///
/// Those of the file system.
pub fn cut(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(bytes)?;
    file.sync_all()
}

/// Brings a file to the disk, whoever has written it.
///
/// # Errors
///
/// Those of the file system.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Brings the names in a directory to the disk.
///
/// # Errors
///
/// Those of the file system.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Gives a file a second name, or copies it where the file system knows no second names. Done means: on
/// disk, but for the name.
///
/// # Errors
///
/// Those of the file system.
pub fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to)?;
    }
    File::open(to)?.sync_all()
}

/// Returns the names in a directory; those that are no text are left out.
///
/// # Errors
///
/// Those of the file system.
pub fn names_in(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_there_and_what_is_cut_is_not() {
        let directory = std::env::temp_dir().join(format!("log-file-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (path, other) = (directory.join("one"), directory.join("other"));
        let file = LogFile::create(&path).unwrap();
        file.append(&mut b"first ".to_vec()).unwrap();
        file.append(&mut b"second".to_vec()).unwrap();
        file.cut(6).unwrap();
        file.append(&mut b"third".to_vec()).unwrap();
        file.sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first third");
        link_or_copy(&path, &other).unwrap();
        cut(&path, 5).unwrap();
        sync_directory(&directory).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        let mut names = names_in(&directory).unwrap();
        names.sort_unstable();
        assert_eq!(names, ["one", "other"]);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn room_is_made_while_bytes_are_appended_and_hurts_none() {
        let directory = std::env::temp_dir().join(format!("log-room-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("one");
        let file = LogFile::create(&path).unwrap();
        assert!(!file.has_room());
        if let Err(error) = file.make_room() {
            // A file system that is not written past the cache of the kernel.
            println!("there is no room to be tested here: {error}");
            return;
        }
        file.cut_room().unwrap();
        let (mut expected, mut asked, mut in_room) = (Vec::new(), 0, 0);
        std::thread::scope(|scope| {
            for number in 0..3000_u32 {
                let mut bytes =
                    vec![u8::try_from(number % 255).unwrap() + 1; 1 + number as usize % 4999];
                in_room += u32::from(file.has_room());
                file.append(&mut bytes).unwrap();
                expected.extend_from_slice(&bytes);
                if file.takes_room() {
                    asked += 1;
                    assert!(!file.takes_room(), "asked twice");
                    let file = file.clone();
                    scope.spawn(move || file.make_room().unwrap());
                }
                if number == 1000 {
                    file.cut_room().unwrap();
                }
            }
        });
        assert!(asked > 0);
        let found = fs::read(&path).unwrap();
        assert!(found.starts_with(&expected));
        assert!(found[expected.len()..].iter().all(|byte| *byte == 0));
        println!("asked {asked} times, {in_room} of 3000 found room");
        file.cut_room().unwrap();
        // Who was asked before comes too late.
        file.make_room().unwrap();
        assert_eq!(fs::read(&path).unwrap(), expected);
        assert!(!file.has_room());
        fs::remove_dir_all(&directory).unwrap();
    }
}
