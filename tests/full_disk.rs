//! A real disk without room: a file system of a few megabytes in memory, and a limit on the size of files.
//!
//! ```text
//!   holder: a mount namespace of its own with a small tmpfs, as long as the test lasts
//!   server: --dir under /proc/HOLDER/root
//! ```
//! Where neither the machine nor the user may mount, the first tests say so and prove nothing; the limit (`ulimit -f`)
//! needs no rights.
//!
//! Not here: all the ways in which a disk can fail (`src/server/simulation`).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use protocol::value::Value;

use crate::support::client::Client;
use crate::support::server::{Server, scratch_directory, trestle_program};
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(60);

/// Bytes of the file system.
const DISK_BYTES: usize = 3 << 20;

/// Bytes of a file that takes its room away until it is removed.
const BALLAST_BYTES: usize = 1 << 20;

const VALUE_BYTES: usize = 2000;

/// A file system without much room.
struct SmallDisk {
    holder: Child,
    path: PathBuf,
}

impl SmallDisk {
    /// Makes one; nothing if that is not allowed here.
    fn new(name: &str) -> Option<Self> {
        let at = scratch_directory().join(format!("small-{name}-{}", std::process::id()));
        fs::create_dir_all(&at).unwrap();
        let ways = [
            &["--mount"][..],
            &["--user", "--map-root-user", "--mount"][..],
        ];
        let made = ways.iter().find_map(|way| Self::hold(way, &at));
        if made.is_none() {
            eprintln!("nothing may be mounted here: {name} is not tried");
        }
        made
    }

    fn hold(way: &[&str], at: &Path) -> Option<Self> {
        let script =
            format!("mount -t tmpfs -o size={DISK_BYTES} tmpfs \"$0\" && echo ready && exec cat");
        let mut holder = Command::new("unshare")
            .args(way)
            .args(["sh", "-c", &script])
            .arg(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let mut output = BufReader::new(holder.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let root = format!("/proc/{}/root", holder.id());
        let path = Path::new(&root).join(at.strip_prefix("/").unwrap());
        let disk = Self { holder, path };
        let is_usable = line == "ready\n" && fs::write(disk.path.join("try"), "").is_ok();
        is_usable.then_some(disk)
    }

    fn start(&self, flags: &[&str]) -> Server {
        let mut all = vec!["--dir", self.path.to_str().unwrap()];
        all.extend(flags);
        Server::trestle(2, &all)
    }

    /// Takes room away until [`SmallDisk::make_room`].
    fn fill(&self, bytes: usize) {
        let mut file = fs::File::create(self.path.join("ballast")).unwrap();
        // As much of it as there is room for.
        drop(file.write_all(&vec![1; bytes]));
    }

    fn make_room(&self) {
        fs::remove_file(self.path.join("ballast")).unwrap();
    }

    /// Returns the names of files that are on their way.
    fn temporary_files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for directory in [self.path.clone(), self.path.join("appendonlydir")] {
            let Ok(entries) = fs::read_dir(directory) else {
                continue;
            };
            let all = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.extend(all.filter(|name| name.contains(".tmp")));
        }
        names
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It is this test's own, and may be gone already.
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

fn value(number: usize) -> String {
    let seed = u64::try_from(number).unwrap();
    let mut random = base::random::Random::new(seed);
    let mut text = String::new();
    while text.len() < VALUE_BYTES {
        text += &format!("{:x}", random.next_u64());
    }
    text
}

/// Sets keys until that is refused or the server is gone; returns how many were acknowledged.
fn set_until_refused(client: &mut Client, first: usize) -> (usize, Option<String>) {
    for number in first.. {
        match client.try_request(&["SET", &format!("key:{number}"), &value(number)]) {
            Ok(Value::Simple(_)) => {}
            Ok(Value::Error(text)) => return (number, Some(String::from_utf8(text).unwrap())),
            Ok(other) => panic!("{other:?}"),
            Err(_) => return (number, None),
        }
    }
    unreachable!("disks are finite")
}

fn assert_all_there(client: &mut Client, count: usize) {
    for number in 0..count {
        let reply = client.request(&["GET", &format!("key:{number}")]);
        let expected = Value::Bulk(value(number).into_bytes());
        assert_eq!(reply, expected, "key:{number} of {count}");
    }
}

fn info(client: &mut Client, name: &str) -> String {
    let Value::Bulk(text) = client.line("INFO persistence") else {
        panic!("INFO is a text");
    };
    let text = String::from_utf8(text).unwrap();
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found
        .unwrap_or_else(|| panic!("{name} in {text}"))
        .to_owned()
}

/// Waits until a write is taken.
fn assert_opens(client: &mut Client) {
    let opens = wait_until(LIMIT, || {
        client.line("SET opened yes") == Value::Simple(b"OK".to_vec())
    });
    assert!(opens, "writes are refused though there is room");
}

#[test]
fn a_log_without_room_refuses_writes_until_there_is_room_and_loses_nothing() {
    let Some(disk) = SmallDisk::new("log") else {
        return;
    };
    disk.fill(BALLAST_BYTES);
    let flags = ["--appendonly", "yes", "--appendfsync", "everysec"];
    let mut count;
    {
        let server = disk.start(&flags);
        let mut client = server.client();
        let (set, refused) = set_until_refused(&mut client, 0);
        count = set;
        let full = "MISCONF Errors writing to the AOF file: No space left on device";
        assert_eq!(refused.as_deref(), Some(full));
        assert!(count > 500, "{count}");
        let refused = Value::Error(full.as_bytes().to_vec());
        assert_eq!(client.line("PING"), refused);
        assert_eq!(client.line("MSET a 1 b 2 c 3 d 4"), refused);
        assert_all_there(&mut client, count);
        // The log cannot be rewritten either, and is as it was.
        client.line("BGREWRITEAOF");
        let has_ended = || info(&mut client, "aof_rewrite_in_progress") == "0";
        assert!(wait_until(LIMIT, has_ended));
        assert_eq!(info(&mut client, "aof_last_bgrewrite_status"), "err");
        assert_eq!(disk.temporary_files(), [""; 0]);
        disk.make_room();
        assert_opens(&mut client);
        assert_eq!(client.line("PING"), Value::Simple(b"PONG".to_vec()));
        // What a start needs.
        disk.fill(128 << 10);
        let (set, _) = set_until_refused(&mut client, count);
        assert!(set > count + 100);
        count = set - 1;
        // Killed while the disk is full: what was acknowledged last was not written.
    }
    disk.make_room();
    let server = disk.start(&["--appendonly", "yes", "--appendfsync", "no"]);
    let mut client = server.client();
    assert_all_there(&mut client, count);
}

#[test]
fn with_always_a_full_disk_ends_the_process_and_nothing_acknowledged_is_lost() {
    let Some(disk) = SmallDisk::new("always") else {
        return;
    };
    disk.fill(BALLAST_BYTES);
    let flags = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = disk.start(&flags);
    let (count, refused) = set_until_refused(&mut server.client(), 0);
    assert_eq!(refused, None, "the connection ends");
    assert!(!server.wait_for_end().success());
    assert!(server.log().contains("Make room"), "{}", server.log());
    drop(server);
    disk.make_room();
    let server = disk.start(&flags);
    let mut client = server.client();
    assert_all_there(&mut client, count);
    client.ok("SET goes on");
}

#[test]
fn a_save_without_room_leaves_the_old_file_and_nothing_else() {
    let Some(disk) = SmallDisk::new("save") else {
        return;
    };
    let count = {
        let server = disk.start(&["--rdbcompression", "no"]);
        let mut client = server.client();
        for number in 0..300 {
            client.request(&["SET", &format!("key:{number}"), &value(number)]);
        }
        client.ok("SAVE");
        let before = fs::read(disk.path.join("dump.rdb")).unwrap();
        for number in 300..900 {
            client.request(&["SET", &format!("key:{number}"), &value(number)]);
        }
        disk.fill(BALLAST_BYTES);
        for _ in 0..2 {
            let Value::Error(text) = client.line("SAVE") else {
                panic!("there is no room for two files");
            };
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains("dump.rdb"), "{text}");
            assert_eq!(fs::read(disk.path.join("dump.rdb")).unwrap(), before);
            assert_eq!(disk.temporary_files(), [""; 0]);
        }
        assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "err");
        client.ok("SET writes go-on-without-save-points");
        disk.make_room();
        client.ok("SAVE");
        assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
        900
    };
    let server = disk.start(&[]);
    assert_all_there(&mut server.client(), count);
}

/// Makes a program that runs the server with a limit on the size of each file, in blocks of 512 bytes. The signal
/// that would end it is ignored.
fn limited_program(name: &str, blocks: u64) -> PathBuf {
    let path = scratch_directory().join(format!("limited-{name}-{}", std::process::id()));
    let program = trestle_program();
    let script = format!(
        "#!/bin/sh\ntrap '' XFSZ\nulimit -S -f {blocks}\nexec '{}' \"$@\"\n",
        program.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn lift_limit(server: &Server) {
    let lifted = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string(), "--fsize=unlimited:"])
        .status();
    assert!(lifted.unwrap().success());
}

#[test]
fn a_log_that_may_not_grow_refuses_writes_until_it_may() {
    let program = limited_program("log", 1000);
    let directory = scratch_directory().join(format!("limited-log-{}.d", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let flags = ["--dir", directory.to_str().unwrap(), "--appendonly", "yes"];
    let count = {
        let server = Server::start(&program, 1, &flags);
        let mut client = server.client();
        let (count, refused) = set_until_refused(&mut client, 0);
        let large = "MISCONF Errors writing to the AOF file: File too large";
        assert_eq!(refused.as_deref(), Some(large));
        assert!(count > 100, "{count}");
        assert_all_there(&mut client, count);
        lift_limit(&server);
        assert_opens(&mut client);
        count
    };
    let server = Server::trestle(1, &flags);
    assert_all_there(&mut server.client(), count);
    drop(fs::remove_dir_all(&directory));
}

#[test]
fn a_save_that_may_not_grow_leaves_the_old_file() {
    let program = limited_program("save", 200);
    let server = Server::start(&program, 2, &["--rdbcompression", "no"]);
    let mut client = server.client();
    client.ok("SET first one");
    client.ok("SAVE");
    for number in 0..100 {
        client.request(&["SET", &format!("key:{number}"), &value(number)]);
    }
    let Value::Error(_) = client.line("SAVE") else {
        panic!("the file would be too large");
    };
    lift_limit(&server);
    client.ok("SAVE");
    client.ok("DEBUG RELOAD NOSAVE");
    assert_all_there(&mut client, 100);
}
