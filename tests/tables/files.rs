//! Tables in files: saved and loaded with any number of shards, saved under load, refused by Redis, and damaged.
//!
//! Not here: snapshots and bytes without a server (`src/tables/tests/files.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::clock::UnixMillis;
use base::random::Random;
use protocol::value::Value;
use storage::rdb_file::{About, Part, Reader, Writer};

use crate::support::client::Client;
use crate::support::server::{Server, refusal, scratch_directory};
use crate::support::wait::wait_until;
use crate::support::{number, seed};

const LIMIT: Duration = Duration::from_secs(60);

/// A data directory that servers use one after the other.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = scratch_directory().join(format!("tables-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("dump.rdb")
    }

    pub(crate) fn start(&self, shards: u32, flags: &[&str]) -> Server {
        let directory = ["--dir", self.0.to_str().unwrap()];
        // Small, so that tables spread.
        let spread = ["--table-spread-rows", "200"];
        Server::trestle(shards, &[&directory, &spread, flags].concat())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The tables that [`fill`] makes, and those of [`change`].
pub(crate) const TABLES: [&str; 3] = ["people", "shop.orders", "tiny"];

pub(crate) fn fill(client: &mut Client) {
    for line in [
        "TABLE.NAMESPACE.CREATE shop",
        "TABLE.NAMESPACE.CREATE empty",
        "TABLE.SCHEMA.CREATE people name:string:btree age:integer:hash born:date score:float:btree ok:bool at:timestamp",
        "TABLE.SCHEMA.CREATE shop.orders number:integer:hash PRIMARY KEY item:string DEFAULT nothing INDEX item,number:btree",
        "TABLE.SCHEMA.CREATE tiny a:string",
    ] {
        client.ok(line);
    }
    for from in (0..1000).step_by(50) {
        let mut words: Vec<String> = ["TABLE.INSERT", "shop.orders"].map(str::to_owned).to_vec();
        for number in from..from + 50 {
            let row = if number == from {
                None
            } else {
                Some("ROW".to_owned())
            };
            words.extend(row);
            words.push(format!("number={number}"));
            words.push(format!("item=item{}", number % 17));
        }
        let reply = client.request(&words);
        assert!(matches!(reply, Value::Array(_)), "{reply:?}");
    }
    for age in 0..40 {
        client.line(&format!(
            "TABLE.INSERT people name=p{age} age={age} score=+{age}.50 born=2001-02-03"
        ));
    }
    client.line("TABLE.INSERT tiny a=");
    client.line("TABLE.INSERT tiny a=x EX 100000");
    client.line("TABLE.DELETE shop.orders WHERE number=999");
}

/// Changes something at random; what is refused is refused.
pub(crate) fn change(client: &mut Client, random: &mut Random) {
    let key = random.below(60);
    let table = TABLES[random.index(3)];
    let line = match random.below(24) {
        0..5 => format!("TABLE.INSERT people name=n{key} age={key} ok=true ROW name=m{key}"),
        5..8 => format!(
            "TABLE.INSERT shop.orders number={} item=new ON CONFLICT number DO UPDATE",
            key * 40
        ),
        8..10 => format!("TABLE.UPDATE people WHERE age={key} SET age=age+1 score=1.5"),
        10 => format!(
            "TABLE.UPDATE shop.orders WHERE number<{} SET item=changed{key}",
            key * 4
        ),
        11 => format!("TABLE.DELETE people WHERE age={key}"),
        12 => format!("TABLE.DELETE shop.orders WHERE number>{}", 900 + key),
        13 => "TABLE.SCHEMA.ALTER people ADD COLUMN extra:integer:btree".to_owned(),
        14 => "TABLE.SCHEMA.ALTER people DROP COLUMN extra".to_owned(),
        15 => "TABLE.SCHEMA.ALTER shop.orders ADD INDEX item:hash".to_owned(),
        16 => "TABLE.SCHEMA.ALTER shop.orders DROP INDEX item".to_owned(),
        17 => format!("TABLE.INSERT tiny a=t{key} EX {}", 100_000 + key),
        18 => "TABLE.SCHEMA.ALTER tiny RENAME TO shop.tiny".to_owned(),
        19 => "TABLE.SCHEMA.ALTER shop.tiny RENAME TO tiny".to_owned(),
        20 if random.below(6) == 0 => format!("TABLE.TRUNCATE {table}"),
        21 => format!("TABLE.UPDATE people WHERE age={key} UNSET score"),
        22 if random.below(4) == 0 => "SWAPDB 0 1".to_owned(),
        _ => format!("SET key:{key} {key}"),
    };
    client.line(&line);
}

/// Returns all that commands show of tables, in databases 0 and 1; not what depends on the number of shards.
pub(crate) fn state(client: &mut Client) -> Vec<String> {
    let mut all = Vec::new();
    for db in [0, 1] {
        client.ok(&format!("SELECT {db}"));
        all.push(format!("{:?}", client.line("TABLE.NAMESPACE.VIEW")));
        for table in [&TABLES[..], &["shop.tiny"]].concat() {
            for line in [
                format!("TABLE.SCHEMA.VIEW {table}"),
                format!("TABLE.SELECT {table}"),
                format!("TABLE.COUNT {table}"),
            ] {
                all.push(format!("{line}: {:?}", client.line(&line)));
            }
        }
        for key in 0..20 {
            for line in [
                format!("TABLE.SELECT shop.orders WHERE number={key}"),
                format!("TABLE.SELECT shop.orders WHERE item=item{key}"),
                format!("TABLE.SELECT people WHERE age={key}"),
                format!("TABLE.SELECT people WHERE name>=p{key}"),
            ] {
                all.push(format!("{line}: {:?}", client.line(&line)));
            }
        }
    }
    client.ok("SELECT 0");
    all
}

/// Returns the texts in a reply, one behind the other.
fn text(value: &Value) -> String {
    match value {
        Value::Simple(bytes) | Value::Error(bytes) | Value::Bulk(bytes) => {
            format!("{}\n", bytes.escape_ascii())
        }
        Value::Array(all) => all.iter().map(text).collect(),
        _ => String::new(),
    }
}

/// Which way a statement takes is said by EXPLAIN.
pub(crate) fn uses_index(client: &mut Client, statement: &str) -> bool {
    text(&client.line(&format!("TABLE.EXPLAIN {statement}"))).contains("index")
}

#[test]
fn tables_are_saved_and_loaded_with_any_number_of_shards() {
    let mut random = Random::new(seed("table-files", 4));
    for shards in [[1, 4, 2], [2, 1, 3], [4, 2, 4]] {
        let directory = Directory::new(&format!("shards-{}", shards[0]));
        let mut expected = Vec::new();
        for (round, shards) in shards.into_iter().enumerate() {
            let server = directory.start(shards, &[]);
            let mut client = server.client();
            if round == 0 {
                fill(&mut client);
            } else {
                assert_eq!(state(&mut client), expected, "with {shards} shards");
                if round == 1 {
                    // No id is given again.
                    let id = client.line("TABLE.INSERT shop.orders number=-5");
                    assert_eq!(id, Value::Bulk(b"1001".to_vec()));
                    client.line("TABLE.DELETE shop.orders WHERE number=-5");
                    assert!(uses_index(&mut client, "SELECT shop.orders WHERE number=5"));
                    let double = client.line("TABLE.INSERT shop.orders number=5 item=again");
                    assert!(matches!(double, Value::Error(_)), "{double:?}");
                }
                for _ in 0..60 {
                    change(&mut client, &mut random);
                }
            }
            expected = state(&mut client);
            client.ok("DEBUG RELOAD");
            assert_eq!(
                state(&mut client),
                expected,
                "reloaded with {shards} shards"
            );
            client.ok("SAVE");
        }
    }
}

/// Moves amounts between rows and a key, in one transaction each, until told to stop.
fn move_on(port: u16, stop: &AtomicBool, number: u64) -> u64 {
    let mut client = Client::connect(port);
    let mut moved = 0;
    while !stop.load(Ordering::Relaxed) {
        let (from, to) = ((moved * 7 + number) % 500, (moved * 13) % 500);
        client.ok("MULTI");
        client.line(&format!(
            "TABLE.UPDATE t WHERE number={from} SET amount=amount-1"
        ));
        client.line(&format!(
            "TABLE.UPDATE t WHERE number={to} SET amount=amount+1"
        ));
        client.line("INCR moved");
        client.line(&format!("TABLE.INSERT log amount=1 text={moved}"));
        let reply = client.line("EXEC");
        assert!(matches!(reply, Value::Array(_)), "{reply:?}");
        if moved % 50 == 0 {
            client.line("TABLE.SCHEMA.ALTER t ADD COLUMN extra:integer");
            client.line("TABLE.SCHEMA.ALTER t DROP COLUMN other");
        }
        moved += 1;
    }
    moved
}

fn sum(client: &mut Client, line: &str) -> String {
    format!("{:?}", client.line(line))
}

#[test]
fn a_save_under_load_is_one_moment_of_rows_and_keys() {
    let directory = Directory::new("moment");
    let server = directory.start(2, &[]);
    let mut client = server.client();
    client
        .ok("TABLE.SCHEMA.CREATE t number:integer:hash amount:integer other:string filler:string");
    client.ok("TABLE.SCHEMA.CREATE log amount:integer text:string");
    client.ok("TABLE.SCHEMA.CREATE long filler:string");
    let filler = "x".repeat(100);
    for from in (0..500).step_by(100) {
        let rows: Vec<_> = (from..from + 100)
            .map(|n| format!("ROW number={n} amount=100 other=o filler={filler}"))
            .collect();
        client.line(&format!(
            "TABLE.INSERT t {}",
            rows.join(" ").strip_prefix("ROW ").unwrap()
        ));
    }
    // Enough that the walk is under way for many writes.
    for _ in 0..40 {
        let rows = vec![format!("filler={filler}"); 1000];
        client.line(&format!("TABLE.INSERT long {}", rows.join(" ROW ")));
    }
    let total = sum(&mut client, "TABLE.SELECT t COLUMNS 1 SUM(amount)");
    client.ok("SET moved 0");
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|number| {
            let (port, stop) = (server.port, Arc::clone(&stop));
            std::thread::spawn(move || move_on(port, &stop, number))
        })
        .collect();
    for round in 0..number("ROUNDS", 3) {
        let moved = |client: &mut Client| match client.line("GET moved") {
            Value::Bulk(digits) => String::from_utf8(digits).unwrap().parse::<u64>().unwrap(),
            other => panic!("{other:?}"),
        };
        let before = moved(&mut client);
        assert!(wait_until(LIMIT, || moved(&mut client) > before + 20));
        client.ok("SAVE");
        let copy = Directory::new(&format!("moment-{round}"));
        fs::copy(directory.file(), copy.file()).unwrap();
        let loaded = copy.start([1, 2, 3][usize::try_from(round % 3).unwrap()], &[]);
        let mut other = loaded.client();
        assert_eq!(
            sum(&mut other, "TABLE.SELECT t COLUMNS 1 SUM(amount)"),
            total
        );
        assert_eq!(sum(&mut other, "TABLE.COUNT t"), "Integer(500)");
        assert_eq!(sum(&mut other, "TABLE.COUNT long"), "Integer(40000)");
        let logged = sum(&mut other, "TABLE.COUNT log");
        assert_eq!(logged, format!("Integer({})", moved(&mut other)));
    }
    stop.store(true, Ordering::Relaxed);
    let moved: u64 = writers
        .into_iter()
        .map(|writer| writer.join().unwrap())
        .sum();
    assert!(moved > 60, "{moved} transactions went on beside the saves");
}

#[test]
fn redis_refuses_a_file_with_tables_and_loads_one_without() {
    let directory = Directory::new("redis");
    {
        let server = directory.start(2, &[]);
        let mut client = server.client();
        fill(&mut client);
        client.ok("SET key value");
        client.ok("SAVE");
    }
    let output = Command::new("redis-check-rdb")
        .arg(directory.file())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("RDB looks OK"), "{text}");
    let output = Command::new("redis-server")
        .args([
            "--port",
            "0",
            "--unixsocket",
            "socket",
            "--save",
            "",
            "--dir",
        ])
        .arg(&directory.0)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("AUX module data I can't load") && text.contains("tr-tables"),
        "{text}"
    );
    {
        let server = directory.start(2, &["--rdb-tables", "no"]);
        let mut client = server.client();
        assert_eq!(client.line("TABLE.COUNT shop.orders"), Value::Integer(999));
        client.ok("SAVE");
    }
    let redis = Server::redis(&["--dir", directory.0.to_str().unwrap()]);
    assert_eq!(
        redis.client().line("GET key"),
        Value::Bulk(b"value".to_vec())
    );
}

#[test]
fn damaged_tables_keep_the_server_from_starting() {
    let directory = Directory::new("damaged");
    {
        // Without a checksum of the file, that of the pieces has to do.
        let server = directory.start(2, &["--rdbchecksum", "no"]);
        let mut client = server.client();
        fill(&mut client);
        client.ok("SAVE");
    }
    let whole = fs::read(directory.file()).unwrap();
    let mut random = Random::new(seed("damage", 5));
    for _ in 0..6 {
        let mut bytes = whole.clone();
        // Behind what the file says of itself.
        let at = 150 + random.index(bytes.len() - 170);
        bytes[at] ^= 1 << random.below(8);
        fs::write(directory.file(), &bytes).unwrap();
        let text = refusal(&directory.0, &[]);
        assert!(text.contains("at byte "), "byte {at}: {text}");
    }
}

/// Writes a file of tables anew, with one text in place of another one of the same length.
fn replace_text(path: &Path, old: &[u8], new: &[u8]) {
    let bytes = fs::read(path).unwrap();
    let mut reader = Reader::new(true);
    reader.feed(&bytes);
    reader.end();
    let mut writer = Writer::new(false);
    let about = About {
        server_version: "7.0.15",
        now: UnixMillis(0),
        used_bytes: 0,
    };
    writer.begin(false, &about);
    let mut replaced = 0;
    loop {
        match reader.part().unwrap() {
            Some(Part::End) => break,
            Some(Part::Tables { piece, .. }) => {
                let mut piece = piece.to_vec();
                while let Some(at) = piece.windows(old.len()).position(|part| part == old) {
                    piece[at..at + old.len()].copy_from_slice(new);
                    replaced += 1;
                }
                writer.tables(&piece);
            }
            Some(_) => {}
            None => panic!("the whole file was fed"),
        }
    }
    writer.end();
    assert_eq!(replaced, 1);
    // No checksum.
    let whole = [writer.take(), vec![0; 8]].concat();
    fs::write(path, whole).unwrap();
}

#[test]
fn one_unique_value_on_two_cores_keeps_the_server_from_starting() {
    let directory = Directory::new("doubles");
    {
        let server = directory.start(2, &[]);
        let mut client = server.client();
        client.ok("TABLE.NAMESPACE.CREATE shop");
        client.ok("TABLE.SCHEMA.CREATE shop.t name:string:hash UNIQUE n:integer:hash UNIQUE");
        // Rows that end may have values of others, once their time is over.
        client.line("TABLE.INSERT shop.t name=value-999 EX 100000");
        for number in 0..300 {
            client.line(&format!(
                "TABLE.INSERT shop.t name=value-{number:03} n={number}"
            ));
        }
        assert!(wait_until(LIMIT, || shard_count(&mut client, "shop.t") == 2));
        client.ok("SAVE");
    }
    // The file as it is, and with what is no double, is good.
    replace_text(&directory.file(), b"value-999", b"value-002");
    {
        let server = directory.start(2, &[]);
        let mut client = server.client();
        assert_eq!(client.line("TABLE.COUNT shop.t"), Value::Integer(301));
        client.ok("SAVE");
    }
    // These two have ids that follow each other.
    replace_text(&directory.file(), b"value-007", b"value-008");
    let text = refusal(&directory.0, &["--shards", "2"]);
    let said = "two rows of table shop.t have the same values of name, which must be unique";
    assert!(text.contains(said), "{text}");
}

/// Returns on how many shards a table lies.
fn shard_count(client: &mut Client, table: &str) -> usize {
    let Value::Array(fields) = client.line(&format!("TABLE.INFO {table}")) else {
        panic!("a table says what it is");
    };
    let at = fields
        .iter()
        .position(|field| *field == Value::Bulk(b"shards".to_vec()));
    match at.and_then(|at| fields.get(at + 1)) {
        Some(Value::Array(shards)) => shards.len(),
        other => panic!("{other:?}"),
    }
}
