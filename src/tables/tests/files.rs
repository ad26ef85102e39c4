//! Snapshots and records of tables: random changes beside a copy, and bytes that are damaged.
//!
//! `SEED=n` repeats a run.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base::hash::{KeyHasher, Map};
use base::ids::ShardId;
use base::random::Random;

use super::harness::{DB, Node, images};
use crate::Tables;
use crate::bytes::record::Records;
use crate::bytes::section::{self, Section};
use crate::catalog::{Catalog, SchemaChange};
use crate::schema::TableId;
use crate::snapshot::Walked;

type Counters = Map<TableId, Arc<AtomicU64>>;

fn random() -> Random {
    let seed = std::env::var("SEED").map_or(3, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    Random::new(seed)
}

fn new_tables(shard: u16) -> Tables {
    Tables::new(ShardId(shard), KeyHasher::new((7, 8)))
}

/// Gives a part of tables the schemas of a section.
fn load_schemas(tables: &mut Tables, catalog: &[u8], counters: &mut Counters) {
    let Section::Schemas {
        db,
        namespaces,
        schemas,
    } = section::read(catalog, counters).unwrap()
    else {
        panic!("schemas are written first");
    };
    for name in namespaces {
        let change = SchemaChange::CreateNamespace { name };
        tables.load_schema(db, &change).unwrap();
    }
    for schema in schemas {
        let schema = Arc::new(schema);
        let change = SchemaChange::CreateTable { schema };
        tables.load_schema(db, &change).unwrap();
    }
}

fn load_rows(tables: &mut Tables, piece: &[u8], counters: &mut Counters) {
    let Section::Rows {
        db,
        table,
        mut rows,
    } = section::read(piece, counters).unwrap()
    else {
        panic!("rows follow");
    };
    while let Some(row) = rows.next_row().unwrap() {
        tables.load_row(db, table, row.bytes).unwrap();
    }
}

/// Makes all pieces of a snapshot that is under way.
fn finish(tables: &mut Tables, pieces: &mut Vec<Vec<u8>>) {
    while let Walked::More(piece) = tables.snapshot_step(7) {
        pieces.extend(piece.map(|piece| piece.bytes));
    }
}

/// Changes something, in one of the ways there are.
fn change(node: &mut Node, random: &mut Random, name: &str) {
    let key = random.below(400);
    let line = match random.below(20) {
        0..6 => format!("INSERT {name} a={key} b=text-{key} c=+{key} ROW a={key}"),
        6..9 => format!(
            "UPDATE {name} WHERE a={key} SET b=changed d=2024-02-{:02}",
            1 + key % 28
        ),
        9..11 => format!("UPDATE {name} WHERE a<{} SET e=1.50", key / 20),
        11..13 => format!("UPDATE {name} WHERE a={key} UNSET b"),
        13..16 => format!("DELETE {name} WHERE a={key}"),
        16 => format!("UPDATE {name} WHERE a={key} SET a={key} PX {}", 1 + key),
        17 if random.below(4) == 0 => format!("DELETE {name}"),
        _ => {
            let words = [
                "DROP COLUMN b",
                "ADD COLUMN b:string:hash",
                "DROP COLUMN e",
                "ADD COLUMN e:float",
            ];
            // What is there already, or is not, is refused.
            drop(node.alter(name, words[random.index(4)], 50));
            return;
        }
    };
    // A column may have gone.
    node.run(&line);
}

#[test]
fn a_snapshot_has_every_row_as_it_was_at_its_beginning() {
    let mut random = random();
    for round in 0..30 {
        let shards = [1, 3][random.index(2)];
        let mut node = Node::new(shards);
        for name in ["one", "two"] {
            node.create(
                name,
                "a:integer:hash b:string:btree c:string d:date e:float",
            );
            for _ in 0..random.below(60) {
                let from = random.below(1000);
                let rows: Vec<_> = (from..from + 40)
                    .map(|n| format!("ROW a={n} b=x{n} c={n}"))
                    .collect();
                node.run(&format!("INSERT {name} a=1 {}", rows.join(" ")));
            }
        }
        for _ in 0..random.below(100) {
            let name = ["one", "two"][random.index(2)];
            change(&mut node, &mut random, name);
        }
        let expected: Vec<_> = node.shards.iter().map(images).collect();
        let catalog = section::schemas(DB, node.shards[0].catalog(DB));
        node.shards.iter_mut().for_each(Tables::begin_snapshot);
        let mut pieces: Vec<Vec<Vec<u8>>> = (0..shards).map(|_| Vec::new()).collect();
        for step in 0..random.below(300) {
            let name = ["one", "two"][random.index(2)];
            change(&mut node, &mut random, name);
            if step == 150 && random.below(2) == 0 {
                let id = node.shards[0].catalog(DB).table(b"two").unwrap().id;
                let name = b"default.two".as_slice().into();
                node.apply(&SchemaChange::DropTable { name, table: id });
                node.create("two", "a:integer b:string c:string d:date e:float");
            }
            for (tables, pieces) in node.shards.iter_mut().zip(&mut pieces) {
                if let Walked::More(piece) = tables.snapshot_step(random.index(20)) {
                    pieces.extend(piece.map(|piece| piece.bytes));
                }
            }
        }
        node.check();
        for (at, tables) in node.shards.iter_mut().enumerate() {
            finish(tables, &mut pieces[at]);
            assert!(!tables.has_snapshot());
            let mut loaded = new_tables(u16::try_from(at).unwrap());
            let mut counters = Counters::default();
            load_schemas(&mut loaded, &catalog, &mut counters);
            for piece in &pieces[at] {
                load_rows(&mut loaded, piece, &mut counters);
            }
            loaded.settle();
            assert_eq!(images(&loaded), expected[at], "round {round}, shard {at}");
        }
    }
}

#[test]
fn a_table_that_spreads_during_a_snapshot_is_in_it_as_it_was() {
    let mut node = Node::new(2);
    node.create("t", "a:integer:hash");
    // As it is before it spreads: all rows on one shard.
    let mut at_home = new_tables(0);
    let id = TableId(9);
    let words = [&b"a:integer:hash"[..]];
    let created = at_home.catalog(DB).plan_create(b"t", &words, id).unwrap();
    at_home.apply(DB, &created);
    let source = {
        let mut single = Node::new(1);
        single.create("t", "a:integer:hash");
        for number in 0..3000 {
            single.run(&format!("INSERT t a={number}"));
        }
        single.shards[0].take_rows(DB, TableId(1), usize::MAX)
    };
    at_home.put_rows(DB, id, &source);
    let expected = images(&at_home);
    let catalog = section::schemas(DB, at_home.catalog(DB));
    at_home.begin_snapshot();
    let mut pieces = Vec::new();
    at_home.snapshot_step(100);
    while !at_home.take_rows(DB, id, 500).is_empty() {}
    let spread = at_home.catalog(DB).plan_spread(id, 2).unwrap();
    at_home.apply(DB, &spread);
    at_home.put_rows(DB, id, &source);
    finish(&mut at_home, &mut pieces);
    let mut loaded = new_tables(0);
    let mut counters = Counters::default();
    load_schemas(&mut loaded, &catalog, &mut counters);
    pieces
        .iter()
        .for_each(|piece| load_rows(&mut loaded, piece, &mut counters));
    assert_eq!(images(&loaded), expected);
}

/// Records and sections of a table with everything in it.
fn samples() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut node = Node::new(1);
    node.set_recording();
    let tables = &mut node.shards[0];
    let namespace = tables.catalog(DB).plan_create_namespace(b"space").unwrap();
    tables.apply(DB, &namespace);
    node.create(
        "space.t",
        "a:integer:hash PRIMARY KEY b:string DEFAULT x c:float:btree d:date e:bool f:timestamp INDEX b,c:btree",
    );
    node.run("INSERT space.t a=1 b=one c=+1.5 d=2024-02-29 e=true f=2024-02-29T10:00:00Z");
    node.run("INSERT space.t a=-2 c=2 PX 5000");
    node.run("INSERT space.t a=+3 e=TRUE");
    node.run("UPDATE space.t WHERE a=1 SET b=two");
    node.run("DELETE space.t WHERE a=-2");
    for words in [
        "ADD COLUMN g:integer",
        "ADD INDEX d",
        "RENAME COLUMN g h",
        "DROP COLUMN h",
        "DROP INDEX d",
    ] {
        node.alter("space.t", words, 10).unwrap();
    }
    let tables = &mut node.shards[0];
    tables.begin_snapshot();
    let mut pieces = Vec::new();
    finish(tables, &mut pieces);
    let catalog = section::schemas(DB, tables.catalog(DB));
    let records = tables.take_records();
    (catalog, pieces.remove(0), records)
}

fn read_records(bytes: &[u8]) -> usize {
    let mut records = Records::new(bytes);
    let mut counters = Counters::default();
    let mut tables = new_tables(0);
    let mut count = 0;
    while let Ok(Some(record)) = records.next(&mut counters) {
        count += 1;
        if tables.replay(&record).is_err() {
            break;
        }
    }
    count
}

fn read_section(catalog: &[u8], piece: &[u8]) -> bool {
    let mut counters = Counters::default();
    let mut tables = new_tables(0);
    let Ok(Section::Schemas {
        db,
        namespaces,
        schemas,
    }) = section::read(catalog, &mut counters)
    else {
        return false;
    };
    let names = namespaces
        .into_iter()
        .map(|name| SchemaChange::CreateNamespace { name });
    let created = schemas.into_iter().map(|schema| SchemaChange::CreateTable {
        schema: Arc::new(schema),
    });
    for change in names.chain(created) {
        if tables.load_schema(db, &change).is_err() {
            return false;
        }
    }
    let Ok(Section::Rows {
        db,
        table,
        mut rows,
    }) = section::read(piece, &mut counters)
    else {
        return false;
    };
    loop {
        match rows.next_row() {
            Err(_) => return false,
            Ok(None) => break,
            Ok(Some(row)) => {
                if tables.load_row(db, table, row.bytes).is_err() {
                    return false;
                }
            }
        }
    }
    tables.settle();
    true
}

#[test]
fn no_bytes_make_reading_of_tables_panic() {
    let (catalog, piece, records) = samples();
    assert!(read_section(&catalog, &piece));
    assert!(read_records(&records) > 10);
    let mut random = random();
    for _ in 0..20_000 {
        let mut damaged = [catalog.clone(), piece.clone(), records.clone()];
        let part = random.index(3);
        for _ in 0..1 + random.below(3) {
            let at = random.index(damaged[part].len());
            match random.below(4) {
                0 => damaged[part].truncate(at + 1),
                1 => damaged[part][at] = random.next_u64().to_le_bytes()[0],
                _ => damaged[part][at] ^= 1 << random.below(8),
            }
        }
        // An answer of any kind will do, and tables that hold together.
        if part == 2 {
            read_records(&damaged[2]);
        } else {
            read_section(&damaged[0], &damaged[1]);
        }
    }
}

#[test]
fn rows_that_a_table_cannot_have_are_refused() {
    let (catalog, piece, _) = samples();
    let mut counters = Counters::default();
    let mut tables = new_tables(0);
    load_schemas(&mut tables, &catalog, &mut counters);
    load_rows(&mut tables, &piece, &mut counters);
    let Ok(Section::Rows {
        db,
        table,
        mut rows,
    }) = section::read(&piece, &mut counters)
    else {
        panic!("they are rows");
    };
    let row = rows.next_row().unwrap().unwrap();
    let twice = tables.load_row(db, table, row.bytes).unwrap_err();
    assert!(twice.to_string().contains("twice"), "{twice}");
    // The same values under another id.
    let mut other = row.bytes.to_vec();
    other[0] = 99;
    let double = tables.load_row(db, table, &other).unwrap_err();
    assert!(double.to_string().contains("unique"), "{double}");
    let unknown = tables.load_row(db, TableId(5), row.bytes).unwrap_err();
    assert!(unknown.to_string().contains("not there"), "{unknown}");
}

#[test]
fn catalogs_that_differ_have_different_fingerprints() {
    let mut node = Node::new(1);
    let print = |node: &Node| section::fingerprint(DB, node.shards[0].catalog(DB));
    assert_eq!(print(&node), section::fingerprint(DB, &Catalog::default()));
    node.create("t", "a:integer");
    let before = print(&node);
    node.run("INSERT t a=1");
    assert_eq!(print(&node), before, "rows are in none");
    node.alter("t", "ADD INDEX a", 10).unwrap();
    assert_ne!(print(&node), before);
}
