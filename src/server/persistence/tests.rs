//! Files that were damaged: what is loaded of them is what was written, or its beginning up to a torn end, or nothing.
//!
//! ```text
//!   commands -> shards -> a base -> commands -> records -> logs of two generations          as a server leaves them
//!   some bytes are changed -> loaded by what a start uses -> refused, or the same digests
//! ```
//!
//! Not here: the forms by themselves (crate `storage`), servers that have to refuse (`tests` of the package).

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId};
use base::random::Random;
use commands::replay::Replay;
use coordinator::route::SlotMap;
use shard::Shard;
use shard::digest::Digest;
use shard::effects::EventClass;
use shard::records::LARGE_BYTES;
use shard::snapshot::Step;
use storage::log::manifest::{self, Generation, Manifest};
use storage::log::record::{self, Head, Reader};

use super::import;
use super::log_parts::LooseEnd;
use super::pieces::{self, Form};
use super::remake;
use super::save::{self, Plan};
use crate::config::Config;
use crate::layer_options;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

const SHARDS: u16 = 2;

const DATABASES: u16 = 2;

/// Damages that are tried, without `ROUNDS` in the environment.
const ROUNDS: u64 = 4000;

/// How much more memory may be resident after all of them than before. A file has some 20 KiB; a length that was believed
/// would ask for more.
const RESIDENT_BYTES_MAX: u64 = 128 << 20;

fn rounds() -> u64 {
    std::env::var("ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

fn random(default: u64) -> Random {
    let seed = std::env::var("SEED").map_or(default, |seed| seed.parse().unwrap());
    eprintln!("SEED={seed}");
    Random::new(seed)
}

/// Returns the most memory that was resident so far.
fn resident_bytes_max() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// A directory that goes when the test ends. In memory if possible: what is read is synced first.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let memory = PathBuf::from("/dev/shm");
        let around = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let path = around.join(format!("damage-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn new_shard(config: &Config, id: u16) -> Shard {
    let options = shard::Options {
        events: EventClass::NONE,
        ..layer_options::shard(config, (1, 2), SHARDS)
    };
    let mut shard = Shard::new(ShardId(id), options);
    shard.set_now(NOW);
    shard
}

/// Returns what a shard has, as short numbers.
fn digests(shard: &mut Shard) -> Vec<Digest> {
    shard.set_now(NOW);
    let databases = (0..DATABASES).map(DbIndex);
    databases.map(|db| shard.db(db).digest()).collect()
}

/// A shard that writes a log.
struct Writing {
    shard: Shard,
    replay: Replay,
    keys: Vec<String>,
    /// The number of the next record.
    next: u64,
    /// What it had after each record so far, and at first.
    states: Vec<Vec<Digest>>,
}

impl Writing {
    fn new(config: &Config, id: u16) -> Self {
        let map = SlotMap::new(SHARDS);
        let names = (0..).map(|number| format!("key:{number}"));
        let own = names.filter(|key| map.shard_of_key(key.as_bytes()) == ShardId(id));
        Self {
            shard: new_shard(config, id),
            replay: Replay::default(),
            keys: own.take(8).collect(),
            next: 1,
            states: Vec::new(),
        }
    }

    fn run(&mut self, db: DbIndex, words: &[&str]) {
        let name = words[0].to_ascii_lowercase();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let run = (name.as_bytes(), words.as_slice());
        self.replay.run(&mut self.shard, NOW, db, run).unwrap();
    }

    /// Changes something of a random kind. Each kind has keys of its own.
    fn change(&mut self, random: &mut Random) {
        let at = random.index(8);
        let key = self.keys[at].clone();
        let number = random.below(300).to_string();
        let text = "text ".repeat(random.index(30));
        let db = DbIndex(u16::try_from(at % 2).unwrap());
        match at {
            0 => self.run(db, &["SET", &key, &text]),
            1 => self.run(db, &["SET", &key, &number, "PX", "1000000"]),
            2 => self.run(db, &["HSET", &key, &number, &text]),
            // Large soon, and then told by the words of commands.
            3 => self.run(db, &["RPUSH", &key, &text, &number]),
            4 => self.run(db, &["SADD", &key, &number]),
            5 => self.run(db, &["ZADD", &key, &number, &text]),
            6 => self.run(db, &["XADD", &key, "*", "field", &number]),
            _ => self.run(db, &["DEL", &key]),
        }
    }

    /// Writes the log of a generation.
    fn log(&mut self, random: &mut Random, shard: u16, generation: u64) -> Vec<u8> {
        let head = Head {
            shard,
            shards: SHARDS,
            generation,
            first: self.next,
        };
        let mut bytes = head.bytes();
        let wanted = self.states.len() + RECORDS;
        while self.states.len() < wanted {
            for _ in 0..=random.index(3) {
                self.change(random);
            }
            let mut effects = Vec::new();
            self.shard.take_effects(&mut effects);
            if effects.is_empty() {
                continue;
            }
            record::write(&mut bytes, self.next, NOW, &effects);
            self.next += 1;
            self.states.push(digests(&mut self.shard));
        }
        bytes
    }
}

/// A log, as a server has left it.
struct Good {
    directory: Directory,
    files: Vec<(String, Vec<u8>)>,
    /// By shard: what it has before the first record and after each.
    states: Vec<Vec<Vec<Digest>>>,
}

/// Records of a shard in each generation.
const RECORDS: usize = 12;

impl Good {
    /// With a base, the log was rewritten when the first of its generations began.
    fn new(name: &str, config: &Config, has_base: bool, random: &mut Random) -> Self {
        let directory = Directory::new(name);
        let mut shards: Vec<Writing> = (0..SHARDS).map(|id| Writing::new(config, id)).collect();
        let mut files = Vec::new();
        if has_base {
            for writing in &mut shards {
                for _ in 0..60 {
                    writing.change(random);
                }
                writing.next = 40;
            }
            let base = manifest::base_name(3);
            let path = directory.0.join(&base);
            write_base(config, &path, &mut shards);
            files.push((base, fs::read(path).unwrap()));
        }
        for writing in &mut shards {
            writing.shard.record_changes(true, LARGE_BYTES);
            writing.states = vec![digests(&mut writing.shard)];
        }
        let mut manifest = Manifest {
            base: has_base.then(|| manifest::base_name(3)),
            generations: Vec::new(),
        };
        for number in [3, 4] {
            for (id, writing) in (0..SHARDS).zip(&mut shards) {
                let path = manifest::log_path(&directory.0, number, id);
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                files.push((name, writing.log(random, id, number)));
            }
            manifest.generations.push(Generation {
                number,
                shards: SHARDS,
            });
        }
        files.push((manifest::NAME.to_owned(), manifest.text().into_bytes()));
        let states = shards.into_iter().map(|writing| writing.states).collect();
        let good = Self {
            directory,
            files,
            states,
        };
        good.store();
        good
    }

    /// Writes all files as they were.
    fn store(&self) {
        for (name, bytes) in &self.files {
            fs::write(self.directory.0.join(name), bytes).unwrap();
        }
    }

    /// Returns whether the last log of a shard is there and has a head.
    fn has_last(&self, shard: u16) -> bool {
        let path = manifest::log_path(&self.directory.0, 4, shard);
        fs::read(path).is_ok_and(|bytes| {
            let reader = Reader::open(bytes.as_slice());
            reader.is_ok_and(|reader| reader.head().is_some())
        })
    }

    /// Loads what is on the disk, as a start does.
    fn load(&self, config: &Config) -> Result<Vec<Vec<Digest>>, String> {
        let directory = &self.directory.0;
        let manifest = Manifest::load(directory).map_err(|error| error.to_string())?;
        let manifest = manifest.ok_or("there is no manifest")?;
        let shards = (SHARDS, LooseEnd::CutOff);
        let (fills, feed) =
            remake::old_shards_of(config, directory, &manifest, shards, &Arc::default())?;
        feed()?;
        let mut loaded = Vec::new();
        for (id, fill) in (0..).zip(fills) {
            let mut shard = new_shard(config, id);
            fill(&mut shard)?;
            loaded.push(digests(&mut shard));
        }
        Ok(loaded)
    }
}

fn write_base(config: &Config, path: &std::path::Path, shards: &mut [Writing]) {
    let settings = config.settings();
    let (sender, mut intake) = pieces::pieces_of(shards.len());
    for writing in shards.iter_mut() {
        pieces::cut(&mut writing.shard, Form::of(settings), sender.clone(), true);
        while writing.shard.snapshot_step(1000) != Step::Done {}
    }
    drop(sender);
    let plan = Plan::of(settings, path.to_owned(), shards.len(), NOW);
    let library = "#!lua name=one\nredis.register_function('one', function() return 1 end)";
    let libraries = vec![library.as_bytes().to_vec()];
    save::write(&plan, &mut intake, || libraries, |_, _| {}).unwrap();
}

/// Changes some bytes of a file, as disks, wires and people do. `other` is what else there was to be written there.
fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    const LENGTHS: [u64; 9] = [
        0,
        1,
        0x7FFF_FFFF,
        0x8000_0000,
        0xFFFF_FFFF,
        1 << 40,
        i64::MAX as u64,
        u64::MAX - 1,
        u64::MAX,
    ];
    let from = random.index(bytes.len() + 1);
    let to = (from + 1 + random.index(100)).min(bytes.len());
    let at = random.index(bytes.len() + 1);
    let block = bytes[from..to].to_vec();
    match random.index(11) {
        0..=2 if from < to => bytes[from] ^= 1 << random.below(8),
        3 if from < to => bytes[from] = random.next_u64().to_le_bytes()[0],
        4 => bytes.truncate(from),
        5 => drop(bytes.drain(from..to)),
        6 => drop(bytes.splice(at..at, block)),
        7 => {
            // Two blocks change places, or one gets into the place of another.
            let to_there = (at + block.len()).min(bytes.len());
            let there = bytes[at..to_there].to_vec();
            let length = there.len().min(block.len());
            bytes[from..from + length].copy_from_slice(&there[..length]);
            bytes[at..at + length].copy_from_slice(&block[..length]);
        }
        8 => {
            let width = [1, 2, 4, 8][random.index(4)];
            let length = LENGTHS[random.index(LENGTHS.len())];
            let mut length = length.to_le_bytes();
            if random.index(2) == 0 {
                length.reverse();
            }
            for (byte, with) in bytes[from..].iter_mut().zip(&length[..width]) {
                *byte = *with;
            }
        }
        9 => bytes[from..to].fill(0),
        _ => {
            // What stands there in another file.
            let end = to.min(other.len());
            if from < end {
                bytes[from..end].copy_from_slice(&other[from..end]);
            }
        }
    }
}

fn a_damaged_log_is_refused_or_ends_earlier(name: &str, has_base: bool, seed: u64) {
    let config = Config::defaults();
    let mut random = random(seed);
    let good = Good::new(name, &config, has_base, &mut random);
    let whole = good.load(&config).unwrap();
    let last: Vec<_> = good.states.iter().map(|all| all.last().unwrap()).collect();
    assert_eq!(whole.iter().collect::<Vec<_>>(), last);
    let resident = resident_bytes_max();
    let (mut refused, mut shorter, mut same) = (0, 0, 0);
    for round in 0..rounds() {
        let mut changed = Vec::new();
        // Of a log without a base all files of a shard may be missing: its server may have ended before it wrote.
        let files = 1 + usize::from(has_base) * random.index(2);
        for _ in 0..files {
            let (name, bytes) = &good.files[random.index(good.files.len())];
            let (_, other) = &good.files[random.index(good.files.len())];
            let path = good.directory.0.join(name);
            let mut damaged = fs::read(&path).unwrap_or_default();
            match random.index(20) {
                // All of it is gone, or that of another.
                0 => drop(fs::remove_file(&path)),
                1 => fs::write(&path, other).unwrap(),
                _ => {
                    for _ in 0..=random.index(2) {
                        damage(&mut damaged, other, &mut random);
                    }
                    fs::write(&path, &damaged).unwrap();
                }
            }
            if fs::read(&path).ok().as_ref() != Some(bytes) {
                changed.push(name);
            }
        }
        match good.load(&config) {
            Err(_) => refused += 1,
            Ok(loaded) if loaded == whole => same += 1,
            Ok(loaded) => {
                shorter += 1;
                for (shard, (digests, states)) in (0..).zip(loaded.iter().zip(&good.states)) {
                    // What is not at the end cannot have been torn, unless nothing of the end is there.
                    let least = if good.has_last(shard) { RECORDS } else { 0 };
                    assert!(
                        states[least..].contains(digests),
                        "round {round}: shard {shard}, {changed:?}"
                    );
                }
            }
        }
        good.store();
    }
    let grown = resident_bytes_max() - resident;
    eprintln!("{name}: {refused} refused, {shorter} shorter, {same} the same; {grown} bytes more");
    assert!(refused > 0 && shorter > 0);
    assert!(grown < RESIDENT_BYTES_MAX, "{grown} bytes");
}

#[test]
fn a_damaged_log_with_a_base_is_refused_or_ends_earlier() {
    a_damaged_log_is_refused_or_ends_earlier("base", true, 1);
}

#[test]
fn a_damaged_log_without_a_base_is_refused_or_ends_earlier() {
    a_damaged_log_is_refused_or_ends_earlier("new", false, 2);
}

/// Returns commands as Redis writes them.
fn commands_of_redis() -> Vec<u8> {
    let mut commands = Vec::new();
    for round in 0..80 {
        let number = round.to_string();
        let words: &[&str] = match round % 8 {
            0 => &["SELECT", ["0", "1"][round / 8 % 2]],
            1 => &["SET", "one", &number, "PXAT", "1700000100000"],
            2 => &["RPUSH", "list", &number, "text"],
            3 => &["MULTI"],
            4 => &["HSET", "hash", &number, "value"],
            5 => &["ZADD", "scores", &number, &number],
            6 => &["EXEC"],
            _ => &["XADD", "stream", &format!("{round}-1"), "field", &number],
        };
        commands.extend(format!("*{}\r\n", words.len()).into_bytes());
        for word in words {
            commands.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
        }
    }
    commands
}

/// The commands have no checksum, so what is changed in them may be read as something else. The base has one.
#[test]
fn a_damaged_append_only_file_of_redis_is_refused_or_read_without_harm() {
    let config = Config::defaults();
    let mut random = random(3);
    let directory = Directory::new("redis");
    let mut writing = Writing::new(&config, 0);
    for _ in 0..60 {
        writing.change(&mut random);
    }
    let path = directory.0.join("appendonly.aof.1.base.rdb");
    write_base(&config, &path, std::slice::from_mut(&mut writing));
    let base = fs::read(&path).unwrap();
    let names = ["appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof"];
    let manifest = format!(
        "file {} seq 1 type b\nfile {} seq 1 type i\n",
        names[0], names[1]
    );
    let files = [
        (names[0], base),
        (names[1], commands_of_redis()),
        ("appendonly.aof.manifest", manifest.into_bytes()),
    ];
    let store = || {
        for (name, bytes) in &files {
            fs::write(directory.0.join(name), bytes).unwrap();
        }
    };
    let load = || {
        let found = import::files_in(config.settings(), &directory.0)?;
        let found = found.ok_or("there is no manifest")?;
        let mut shard = new_shard(&config, 0);
        import::fill_of(config.settings(), found, Arc::default())(&mut shard)?;
        Ok::<_, String>(digests(&mut shard))
    };
    store();
    let whole = load().unwrap();
    // A base of no bytes is not one of no commands.
    fs::write(directory.0.join(names[0]), "").unwrap();
    assert!(load().is_err());
    store();
    let resident = resident_bytes_max();
    let (mut refused, mut loaded) = (0, 0);
    for round in 0..rounds() {
        let at = random.index(files.len());
        let (name, bytes) = &files[at];
        let mut damaged = bytes.clone();
        for _ in 0..=random.index(2) {
            damage(
                &mut damaged,
                &files[random.index(files.len())].1,
                &mut random,
            );
        }
        fs::write(directory.0.join(name), &damaged).unwrap();
        match load() {
            Err(_) => refused += 1,
            Ok(digests) => {
                loaded += 1;
                assert!(at != 0 || digests == whole, "round {round}");
            }
        }
        store();
    }
    let grown = resident_bytes_max() - resident;
    eprintln!("redis: {refused} refused, {loaded} loaded; {grown} bytes more");
    assert!(refused > 0 && loaded > 0);
    assert!(grown < RESIDENT_BYTES_MAX, "{grown} bytes");
}
