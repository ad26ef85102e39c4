//! Many clients on real cores: nobody sees half a statement, no duplicate under UNIQUE, no half index.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use base::random::Random;
use protocol::value::Value;

use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::{number, seed};

/// Rows that all have one value of `v`; every writer changes that of all of them.
const ROWS: u64 = 300;

/// Rounds of each client.
const ROUNDS: u64 = 60;

fn servers() -> Vec<Server> {
    vec![
        Server::trestle(1, &[]),
        Server::trestle(3, &[]),
        Server::trestle(3, &["--table-spread-rows", "100"]),
    ]
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(value) => *value,
        Value::Bulk(text) => std::str::from_utf8(text).unwrap().parse().unwrap(),
        other => panic!("no number: {other:?}"),
    }
}

fn rows(value: Value) -> Vec<Vec<Value>> {
    let Value::Array(rows) = value else {
        panic!("no rows: {value:?}")
    };
    let cells = |row: Value| match row {
        Value::Array(cells) => cells,
        other => panic!("no row: {other:?}"),
    };
    rows.into_iter().map(cells).collect()
}

/// Reads in every way and looks whether all rows have one value.
fn read(client: &mut Client, random: &mut Random, name: &str) {
    let line = match random.below(3) {
        0 => "TABLE.SELECT s.t COLUMNS 1 v",
        1 => "TABLE.SELECT s.t WHERE k>=0 COLUMNS 1 v ORDER BY k DESC",
        _ => "TABLE.SELECT s.t GROUP BY 1 v COLUMNS 1 v",
    };
    let values: Vec<i64> = rows(client.line(line))
        .iter()
        .map(|row| integer(&row[1]))
        .collect();
    assert!(
        values.iter().all(|value| *value == values[0]),
        "{name}: {line} saw a part of an UPDATE: {values:?}"
    );
}

#[test]
fn no_reader_sees_a_part_of_an_update_and_no_index_is_seen_half_built() {
    let seed = seed("tables::stress", 7);
    let rounds = number("ROUNDS", ROUNDS);
    for server in servers() {
        let mut client = server.client();
        client.ok("TABLE.NAMESPACE.CREATE s");
        client.ok("TABLE.SCHEMA.CREATE s.t k:integer:btree v:integer g:integer");
        for k in 0..ROWS {
            client.line(&format!("TABLE.INSERT s.t k={k} v=0 g={}", k % 3));
        }
        let next = AtomicU64::new(1);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    let (mut client, next) = (server.client(), &next);
                    scope.spawn(move || {
                        for _ in 0..rounds {
                            let value = next.fetch_add(1, Ordering::Relaxed);
                            let reply = client.line(&format!("TABLE.UPDATE s.t SET v={value}"));
                            assert_eq!(integer(&reply), i64::try_from(ROWS).unwrap());
                        }
                    })
                })
                .collect();
            for number in 0..3 {
                let (mut client, is_over) = (server.client(), &is_over);
                let (mut random, name) = (Random::new(seed + number), &server.name);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        read(&mut client, &mut random, name);
                    }
                });
            }
            let (mut changer, is_over) = (server.client(), &is_over);
            let name = &server.name;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    changer.ok("TABLE.SCHEMA.ALTER s.t ADD INDEX g");
                    changer.ok("TABLE.SCHEMA.ALTER s.t DROP INDEX g");
                }
            });
            let mut counter = server.client();
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let count = integer(&counter.line("TABLE.COUNT s.t WHERE g=1"));
                    assert_eq!(
                        count,
                        i64::try_from(ROWS / 3).unwrap(),
                        "{name}: half an index"
                    );
                }
            });
            for writer in writers {
                writer.join().unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn two_rows_never_have_one_value_of_a_unique_index() {
    let seed = seed("tables::stress", 11);
    let rounds = number("ROUNDS", ROUNDS) * 5;
    for server in servers() {
        let mut client = server.client();
        client.ok("TABLE.NAMESPACE.CREATE s");
        client.ok("TABLE.SCHEMA.CREATE s.u k:integer:hash UNIQUE n:integer");
        let inserted = AtomicU64::new(0);
        thread::scope(|scope| {
            for number in 0..4 {
                let (mut client, inserted) = (server.client(), &inserted);
                let mut random = Random::new(seed + number);
                scope.spawn(move || {
                    for _ in 0..rounds {
                        let (k, other) = (random.below(200), random.below(200));
                        let (line, is_insert) = match random.below(3) {
                            0 => (format!("TABLE.UPDATE s.u WHERE k={k} SET k={other}"), false),
                            _ => (format!("TABLE.INSERT s.u k={k} n={number}"), true),
                        };
                        let reply = client.line(&line);
                        if is_insert && matches!(reply, Value::Bulk(_)) {
                            inserted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let keys: Vec<i64> = rows(client.line("TABLE.SELECT s.u COLUMNS 1 k ORDER BY k"))
            .iter()
            .map(|row| integer(&row[1]))
            .collect();
        let mut distinct = keys.clone();
        distinct.dedup();
        assert_eq!(keys, distinct, "{}: duplicates", server.name);
        let count = u64::try_from(keys.len()).unwrap();
        assert_eq!(count, inserted.load(Ordering::Relaxed), "{}", server.name);
    }
}

#[test]
fn a_pipeline_reads_what_it_has_written_while_its_table_spreads() {
    let server = Server::trestle(4, &["--table-spread-rows", "64"]);
    for table in 0..6 {
        let mut client = server.client();
        client.ok(&format!("TABLE.SCHEMA.CREATE p{table} k:integer:hash"));
        for k in 0..200 {
            client
                .send(&["TABLE.INSERT", &format!("p{table}"), &format!("k={k}")])
                .unwrap();
            client.send(&["TABLE.COUNT", &format!("p{table}")]).unwrap();
        }
        for k in 1..=200_i64 {
            client.read_reply().unwrap();
            let count = client.read_reply().unwrap();
            assert_eq!(count, format!(":{k}\r\n").into_bytes(), "table {table}");
        }
        let info = format!("{:?}", client.line(&format!("TABLE.INFO p{table}")));
        assert!(
            info.contains(&format!("Bulk({:?}), Array([Array", b"shards".to_vec())),
            "{info}"
        );
    }
}
