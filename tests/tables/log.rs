//! Tables in the log: statements at random and a restart, and servers that are killed while clients write.
//!
//! Not here: records without a server (`src/tables/tests/files.rs`), the log itself (`tests/log.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use super::files::{Directory, change, fill, state, uses_index};
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use crate::support::{number, seed};

const LIMIT: Duration = Duration::from_secs(60);

fn start(directory: &Directory, shards: u32, policy: &str) -> Server {
    directory.start(shards, &["--appendonly", "yes", "--appendfsync", policy])
}

#[test]
fn random_statements_are_there_again_after_a_restart() {
    let mut random = Random::new(seed("table-log", 6));
    for shards in [1, 2, 4] {
        let directory = Directory::new(&format!("log-{shards}"));
        let mut expected = Vec::new();
        for round in 0..3 {
            let server = start(&directory, shards, "no");
            let mut client = server.client();
            if round == 0 {
                fill(&mut client);
            } else {
                assert_eq!(
                    state(&mut client),
                    expected,
                    "round {round}, {shards} shards"
                );
                // They may be in the other database by now.
                let schema = client.line("TABLE.SCHEMA.VIEW people");
                assert!(
                    matches!(schema, Value::Error(_))
                        || uses_index(&mut client, "SELECT people WHERE age=5")
                );
            }
            for _ in 0..number("STATEMENTS", 150) {
                change(&mut client, &mut random);
            }
            if round == 1 {
                client.line("BGREWRITEAOF");
                for _ in 0..50 {
                    change(&mut client, &mut random);
                }
            }
            if round == 2 {
                client.ok("FLUSHDB");
                client.ok("TABLE.SCHEMA.CREATE people name:string age:integer:hash");
                client.line("TABLE.INSERT people name=last age=5");
            }
            expected = state(&mut client);
        }
        // Another number of shards makes the log anew first, and goes on from that.
        for shards in [shards, 3, 1, shards] {
            let server = start(&directory, shards, "no");
            let mut client = server.client();
            assert_eq!(state(&mut client), expected, "read with {shards} shards");
            for _ in 0..20 {
                change(&mut client, &mut random);
            }
            expected = state(&mut client);
        }
    }
}

/// Rows whose values all change in one statement.
const ROWS: u64 = 600;

/// What a writer has begun, and what was acknowledged.
#[derive(Default)]
struct Noted {
    begun: AtomicU64,
    acknowledged: AtomicU64,
}

/// Writes numbers one above the other until the server is gone.
fn write(port: u16, writer: u64, noted: &Noted) {
    let Ok(mut client) = Client::try_connect(port) else {
        return;
    };
    loop {
        let number = noted.begun.load(Ordering::SeqCst) + 1;
        noted.begun.store(number, Ordering::SeqCst);
        let lines = [
            format!("TABLE.INSERT log writer={writer} number={number}"),
            format!(
                "TABLE.INSERT unique name=w{writer} number={number} ON CONFLICT name DO UPDATE"
            ),
            format!("TABLE.UPDATE all WHERE writer={writer} SET value={number}"),
            if number.is_multiple_of(2) {
                format!("TABLE.SCHEMA.ALTER own{writer} ADD COLUMN extra:integer:btree")
            } else {
                format!("TABLE.SCHEMA.ALTER own{writer} DROP COLUMN extra")
            },
        ];
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            match client.try_request(&words) {
                // The column may be there, or not, after a kill.
                Ok(Value::Error(error)) if error.starts_with(b"ERR column") => {}
                Ok(Value::Error(error)) => panic!("{line}: {}", error.escape_ascii()),
                Ok(_) => {}
                Err(_) => return,
            }
        }
        noted.acknowledged.store(number, Ordering::SeqCst);
    }
}

fn integers(client: &mut Client, line: &str) -> Vec<u64> {
    let Value::Array(rows) = client.line(line) else {
        panic!("{line} gives rows");
    };
    let values = rows.into_iter().map(|row| match row {
        Value::Array(cells) => match &cells[1] {
            Value::Bulk(digits) => std::str::from_utf8(digits).unwrap().parse().unwrap(),
            other => panic!("{line}: {other:?}"),
        },
        other => panic!("{line}: {other:?}"),
    });
    values.collect()
}

fn check(client: &mut Client, writer: u64, noted: &Noted) {
    let begun = noted.begun.load(Ordering::SeqCst);
    let acknowledged = noted.acknowledged.load(Ordering::SeqCst);
    let is_right = |number: u64| (acknowledged..=begun).contains(&number);
    let line = format!("TABLE.SELECT all WHERE writer={writer} COLUMNS 1 value");
    let values = integers(client, &line);
    assert_eq!(values.len(), usize::try_from(ROWS).unwrap());
    assert!(
        values.iter().all(|value| *value == values[0]),
        "half a statement: {values:?}"
    );
    assert!(
        is_right(values[0]),
        "{} of {acknowledged} to {begun}",
        values[0]
    );
    let line = format!("TABLE.SELECT unique WHERE name=w{writer} COLUMNS 1 number");
    let values = integers(client, &line);
    assert!(
        values.len() <= 1 && (acknowledged == 0 || is_right(values[0])),
        "{values:?}"
    );
    let line = format!("TABLE.SELECT log WHERE writer={writer} COLUMNS 1 number ORDER BY number");
    let logged = integers(client, &line);
    let mut missing = (1..=acknowledged).filter(|number| logged.binary_search(number).is_err());
    // A number that was begun and not acknowledged in an earlier round may be missing.
    let begun_only = missing.by_ref().count();
    assert!(
        begun_only == 0,
        "{begun_only} acknowledged rows are missing"
    );
}

#[test]
fn a_server_that_is_killed_keeps_all_acknowledged_rows_and_no_half_statement() {
    const WRITERS: u64 = 3;
    let mut random = Random::new(seed("table-kill", 9));
    for shards in [1, 2] {
        let directory = Directory::new(&format!("kill-{shards}"));
        let noted: Arc<Vec<Noted>> = Arc::new((0..WRITERS).map(|_| Noted::default()).collect());
        {
            let server = start(&directory, shards, "always");
            let mut client = server.client();
            client.ok("TABLE.SCHEMA.CREATE log writer:integer:hash number:integer");
            client.ok("TABLE.SCHEMA.CREATE unique name:string:hash UNIQUE number:integer");
            client.ok("TABLE.SCHEMA.CREATE all writer:integer:hash value:integer");
            for writer in 0..WRITERS {
                client.ok(&format!(
                    "TABLE.SCHEMA.CREATE own{writer} a:integer extra:integer"
                ));
                let rows = vec![format!("writer={writer} value=0"); 600].join(" ROW ");
                client.line(&format!("TABLE.INSERT all {rows}"));
            }
        }
        for _ in 0..number("ROUNDS", 3) {
            let server = start(&directory, shards, "always");
            let mut client = server.client();
            for (writer, noted) in (0..).zip(noted.iter()) {
                check(&mut client, writer, noted);
                // What was begun may be there: numbers go on above it.
                let begun = noted.begun.load(Ordering::SeqCst);
                if noted.acknowledged.swap(begun, Ordering::SeqCst) < begun {
                    // It was checked; what is missing of it is written now.
                    client.line(&format!("TABLE.DELETE log WHERE writer={writer}"));
                    let rows: Vec<_> = (1..=begun)
                        .map(|n| format!("writer={writer} number={n}"))
                        .collect();
                    client.line(&format!("TABLE.INSERT log {}", rows.join(" ROW ")));
                    client.line(&format!(
                        "TABLE.UPDATE all WHERE writer={writer} SET value={begun}"
                    ));
                    client.line(&format!(
                        "TABLE.INSERT unique name=w{writer} number={begun} ON CONFLICT name DO UPDATE"
                    ));
                }
            }
            let before = noted[0].acknowledged.load(Ordering::SeqCst);
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (noted, port) = (Arc::clone(&noted), server.port);
                    let at = usize::try_from(writer).unwrap();
                    thread::spawn(move || write(port, writer, &noted[at]))
                })
                .collect();
            let count = 3 + random.below(20);
            let has_written = wait_until(LIMIT, || {
                noted[0].acknowledged.load(Ordering::SeqCst) > before + count
            });
            assert!(has_written);
            drop(server);
            writers
                .into_iter()
                .for_each(|writer| writer.join().unwrap());
        }
        let server = start(&directory, shards, "no");
        for (writer, noted) in (0..).zip(noted.iter()) {
            check(&mut server.client(), writer, noted);
        }
    }
}
