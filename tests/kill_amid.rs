//! Servers that are killed, with SIGKILL, amid what takes them long: a save, a rewriting of the log, a backup, the start,
//! also with files of Redis that are to be taken over.
//!
//! ```text
//!   start, look at all data ---- something long begins ---- its file grows ---- kill        again, until enough have hit
//! ```
//! A kill has hit if the temporary file of what was under way is still there, or if the start has not said that it is
//! over. What did not hit is tried again, and a test fails that does not hit often enough.
//!
//! Not here: kills at any moment (`kill`), of tools (`tests/backups`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::import;
use crate::kill::Kills;
use crate::log;
use crate::persistence::Directory;
use crate::support::client::Client;
use crate::support::server::{Server, trestle_program};
use crate::support::wait::wait_until;
use crate::support::{number, seed};

const LIMIT: Duration = Duration::from_secs(60);

/// Kills that have to hit each of the things, without `HITS` in the environment, and how many may miss.
const HITS: u64 = 2;
const MISSES_MAX: u64 = 12;

/// So many keys with so many bytes each, that a file of them takes long enough.
const KEYS: usize = 20_000;
const VALUE_BYTES: usize = 600;
const KEYS_PER_REQUEST: usize = 500;

/// About how long that file is.
const FILE_BYTES: u64 = 12_000_000;

/// What a server does when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amid {
    Save,
    Rewrite,
    Backup,
}

impl Amid {
    const ALL: [Self; 3] = [Self::Save, Self::Rewrite, Self::Backup];

    fn request(self) -> &'static [&'static str] {
        match self {
            Self::Save => &["BGSAVE"],
            Self::Rewrite => &["BGREWRITEAOF"],
            Self::Backup => &["BACKUP", "NOW"],
        }
    }

    /// Returns the directory of its file within that of the data.
    fn place(self) -> &'static str {
        match self {
            Self::Save => "",
            Self::Rewrite => "appendonlydir",
            Self::Backup => "backups",
        }
    }

    /// Returns the line of INFO that is there until it has ended, in a server that has done it once.
    fn until(self) -> &'static str {
        match self {
            Self::Save => "rdb_saves:0",
            Self::Rewrite => "aof_last_rewrite_time_sec:-1",
            Self::Backup => "backups_made:0",
        }
    }
}

/// Returns the files in a directory that are on their way to another name.
fn unfinished(directory: &Path) -> Vec<PathBuf> {
    let Ok(names) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let paths = names.map(|name| name.unwrap().path());
    let is_temporary = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        // That of a manifest is there for a moment only.
        name.ends_with(".tmp") && !name.starts_with("manifest")
    };
    paths.filter(is_temporary).collect()
}

/// Fails if a process before has left something half done.
fn assert_nothing_is_left(data: &Path) {
    for what in Amid::ALL {
        let left = unfinished(&data.join(what.place()));
        assert!(left.is_empty(), "{left:?}");
    }
}

fn info(client: &mut Client) -> Option<String> {
    match client.try_request(&["INFO", "persistence"]) {
        Ok(Value::Bulk(text)) => Some(String::from_utf8(text).unwrap()),
        _ => None,
    }
}

/// Has a server do something, and kills it when so many bytes of its file are there. Returns whether that hit.
fn kill_amid(server: &mut Server, what: Amid, data: &Path, bytes: u64) -> bool {
    let place = data.join(what.place());
    let mut client = server.client();
    let mut watch = server.client();
    client.send(what.request()).unwrap();
    let has_come = wait_until(LIMIT, || {
        let is_long = |path: &PathBuf| fs::metadata(path).is_ok_and(|it| it.len() >= bytes);
        unfinished(&place).iter().any(is_long) || !info(&mut watch).unwrap().contains(what.until())
    });
    server.kill();
    assert!(has_come, "{what:?}");
    !unfinished(&place).is_empty()
}

/// Kills a server that was started and not waited for, while it loads. Returns whether that hit.
fn kill_loading(mut server: Server, random: &mut Random) -> bool {
    let is_loading = wait_until(LIMIT, || {
        let client = Client::try_connect(server.port);
        client.is_ok_and(|mut client| info(&mut client).is_some())
    });
    assert!(is_loading, "{}", server.log());
    // The moment is to be any; nothing is waited for.
    wait_until(Duration::from_millis(random.below(6)), || false);
    let log = server.kill();
    log.contains("loading begins") && !log.contains("loaded keys=")
}

/// Kills until enough of it has hit. `once` returns whether it has.
fn until_it_hits(what: &str, mut once: impl FnMut() -> bool) {
    let wanted = number("HITS", HITS);
    let (mut hits, mut misses) = (0, 0);
    while hits < wanted && misses <= MISSES_MAX {
        if once() {
            hits += 1;
        } else {
            misses += 1;
        }
    }
    eprintln!("{what}: {hits} kills have hit, {misses} have missed");
    assert_eq!(hits, wanted, "{what}: {misses} kills have missed");
}

/// The values of all keys. LZF does not make them shorter.
struct Values(String);

impl Values {
    fn new(random: &mut Random) -> Self {
        let letters =
            (0..VALUE_BYTES).map(|_| char::from(b'!' + random.next_u64().to_le_bytes()[0] % 90));
        Self(letters.collect())
    }

    fn of(&self, version: u64) -> String {
        format!("{version} {}", self.0)
    }

    /// Sets all keys to a version.
    fn store(&self, client: &mut Client, version: u64) {
        let value = self.of(version);
        for first in (0..KEYS).step_by(KEYS_PER_REQUEST) {
            let mut words = vec!["MSET".to_owned()];
            for key in first..first + KEYS_PER_REQUEST {
                words.extend([format!("large:{key}"), value.clone()]);
            }
            assert_eq!(client.request(&words), Value::Simple(b"OK".to_vec()));
        }
    }

    /// Returns the version that all keys have.
    fn version(&self, client: &mut Client) -> u64 {
        let mut version = None;
        for first in (0..KEYS).step_by(KEYS_PER_REQUEST) {
            let mut words = vec!["MGET".to_owned()];
            words.extend((first..first + KEYS_PER_REQUEST).map(|key| format!("large:{key}")));
            let Value::Array(values) = client.request(&words) else {
                panic!("MGET has an array");
            };
            for value in values {
                let Value::Bulk(text) = value else {
                    panic!("a key behind {first} is missing");
                };
                let text = String::from_utf8(text).unwrap();
                let this: u64 = text.split(' ').next().unwrap().parse().unwrap();
                assert_eq!(text, self.of(this));
                assert_eq!(*version.get_or_insert(this), this, "a key behind {first}");
            }
        }
        version.unwrap()
    }
}

/// Fails unless all that has the name of a backup is one; returns how many there are.
fn verify_backups(data: &Path) -> usize {
    let Ok(names) = fs::read_dir(data.join("backups")) else {
        return 0;
    };
    let paths = names.map(|name| name.unwrap().path());
    let whole: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "rdb"))
        .collect();
    for path in &whole {
        let read = storage::backup::read(&mut File::open(path).unwrap(), &mut |_| Ok(()));
        let summary = read.unwrap_or_else(|refused| panic!("{}: {refused}", path.display()));
        assert!(
            summary.has_checksum && summary.keys >= KEYS as u64,
            "{summary:?}"
        );
    }
    whole.len()
}

#[test]
fn without_a_log_a_killed_server_has_all_of_one_of_its_saves() {
    let directory = Directory::new("kill-amid");
    let mut random = Random::new(seed("kill without a log", 8));
    let values = Values::new(&mut random);
    let mut saved = 1;
    {
        let server = directory.trestle(2, &[]);
        let mut client = server.client();
        values.store(&mut client, saved);
        client.ok("SAVE");
    }
    let mut version = saved;
    for what in Amid::ALL {
        until_it_hits(&format!("{what:?} without a log"), || {
            let mut server = directory.trestle(2, &[]);
            assert_nothing_is_left(&directory.0);
            let mut client = server.client();
            assert_eq!(values.version(&mut client), saved);
            version += 1;
            values.store(&mut client, version);
            let bytes = random.below(FILE_BYTES);
            let has_hit = kill_amid(&mut server, what, &directory.0, bytes);
            if what == Amid::Save && !has_hit {
                saved = version;
            }
            verify_backups(&directory.0);
            has_hit
        });
    }
    until_it_hits("the start without a log", || {
        let flags = ["--dir", directory.0.to_str().unwrap()];
        kill_loading(Server::spawn(&trestle_program(), 2, &flags), &mut random)
    });
    let server = directory.trestle(3, &[]);
    assert_eq!(values.version(&mut server.client()), saved);
    assert_nothing_is_left(&directory.0);
}

#[test]
fn with_a_log_a_killed_server_has_lost_nothing_whatever_it_did() {
    let mut kills = Kills::new("kill-amid-log", 2);
    kills.prepare();
    let values = Values::new(&mut kills.random);
    values.store(&mut kills.start("no", true).client(), 1);
    for what in Amid::ALL {
        until_it_hits(&format!("{what:?} with a log"), || {
            let mut server = kills.start("everysec", true);
            assert_nothing_is_left(&kills.directory);
            assert_eq!(values.version(&mut server.client()), 1);
            let threads = kills.begin_to_write(&server);
            let bytes = kills.random.below(FILE_BYTES);
            let has_hit = kill_amid(&mut server, what, &kills.directory, bytes);
            for thread in threads {
                thread.join().unwrap();
            }
            verify_backups(&kills.directory);
            has_hit
        });
    }
    until_it_hits("the start with a log", || {
        let server = kills.start("no", false);
        kill_loading(server, &mut kills.random)
    });
    let server = kills.start("no", true);
    kills.check(&server);
    assert_eq!(values.version(&mut server.client()), 1);
    assert_nothing_is_left(&kills.directory);
}

/// Returns bytes that are to be read, and that were read, as INFO has them.
fn progress(info: &str) -> (u64, u64) {
    let number = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |number| number.parse().unwrap())
    };
    let total = number("loading_total_bytes:");
    (total, number("loading_loaded_bytes:"))
}

/// Kills a server that was started and not waited for, while it takes over the files of Redis, of so many bytes. Returns
/// whether that hit.
fn kill_importing(mut server: Server, bytes: u64, random: &mut Random) -> bool {
    let mut shown = (0, 0);
    let mut client = None;
    let has_read = wait_until(LIMIT, || {
        client = client
            .take()
            .or_else(|| Client::try_connect(server.port).ok());
        if let Some(text) = client.as_mut().and_then(info) {
            shown = progress(&text);
        }
        shown.1 > 0 || server.log().contains("the log was made anew")
    });
    assert!(has_read, "{}", server.log());
    // The moment is to be any; nothing is waited for.
    wait_until(Duration::from_millis(random.below(60)), || false);
    let log = server.kill();
    let has_hit = log.contains("taking over") && !log.contains("the log was made anew");
    if has_hit {
        let (total, read) = shown;
        assert_eq!(
            total, bytes,
            "what is to be read is known before it is read"
        );
        assert!(read <= total, "{shown:?}");
    }
    has_hit
}

#[test]
fn a_server_that_is_killed_while_it_takes_over_the_files_of_redis_takes_them_over_again() {
    let of_redis = log::Directory::new("kill-amid-import");
    let mut random = Random::new(seed("kill amid an import", 6));
    let values = Values::new(&mut random);
    {
        let redis = import::redis(&of_redis, &["--aof-use-rdb-preamble", "no"]);
        let mut client = redis.client();
        values.store(&mut client, 1);
        client.request(&["CONFIG", "SET", "auto-aof-rewrite-percentage", "0"]);
        values.store(&mut client, 2);
        // Ends it, with all on the disk.
        drop(client.send(&["SHUTDOWN", "NOSAVE"]));
        assert!(wait_until(LIMIT, || Client::try_connect(redis.port).is_err()));
    }
    let files = import::contents(&of_redis);
    let manifest = |name: &String| name.ends_with(".manifest");
    let bytes = files.iter().filter(|(name, _)| !manifest(name));
    let bytes = bytes.map(|(_, bytes)| bytes.len() as u64).sum();
    let mut copies = 0;
    let mut fresh = || {
        copies += 1;
        let copy = log::Directory::new(&format!("kill-amid-import-{copies}"));
        import::copy(&of_redis.0, &copy.0);
        copy
    };
    let mut directory = fresh();
    until_it_hits("taking over the files of Redis", || {
        let flags = directory.flags("no");
        let server = Server::spawn(&trestle_program(), 2, &flags);
        let has_hit = kill_importing(server, bytes, &mut random);
        let here = directory.0.join("appendonlydir");
        let has_manifest = here.join("manifest").exists();
        if has_manifest {
            // It was taken over, and counts as that.
            let server = directory.start("no");
            assert_eq!(values.version(&mut server.client()), 2);
            drop(server);
            directory = fresh();
        }
        has_hit && !has_manifest
    });
    // What was killed is there, with what it has left, and Redis's files as they were.
    let names = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
        let names = files.iter().map(|(path, bytes)| {
            let name = Path::new(path).file_name().unwrap().to_owned();
            (name, bytes.clone())
        });
        names.collect::<Vec<_>>()
    };
    assert!(names(&import::contents(&directory)) == names(&files));
    let server = directory.start("no");
    assert_eq!(values.version(&mut server.client()), 2);
    assert_nothing_is_left(&directory.0);
}

#[test]
fn a_backup_removes_what_a_killed_one_has_left_and_nothing_that_somebody_writes() {
    let directory = Directory::new("kill-amid-left");
    let backups = directory.0.join("backups");
    fs::create_dir_all(&backups).unwrap();
    let names = [
        "backup-20200103T000000.000Z.rdb.1.tmp",
        "backup-20200103T000000.000Z.rdb.2.tmp",
        "other.rdb.1.tmp",
    ];
    let paths = names.map(|name| backups.join(name));
    fs::write(&paths[0], "left at the start").unwrap();
    let server = directory.trestle(2, &[]);
    assert!(!paths[0].exists());
    let [_left, written, _other] = paths.each_ref().map(|path| File::create(path).unwrap());
    written.lock().unwrap();
    let Value::Bulk(made) = server.client().line("BACKUP NOW") else {
        panic!("the path of the backup");
    };
    assert!(Path::new(std::str::from_utf8(&made).unwrap()).exists());
    assert_eq!(
        paths.each_ref().map(|path| path.exists()),
        [false, true, true]
    );
}
