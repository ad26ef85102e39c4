//! What statements do, one sentence each.

use super::harness::{DB, Node, Out};
use crate::executor::Budget;

fn people(shards: u16) -> Node {
    let mut node = Node::new(shards);
    node.create(
        "people",
        "name:string age:integer:btree town:string:hash score:float born:date ok:bool INDEX town,age",
    );
    for line in [
        "name=Ann age=30 town=Rome score=1.5 born=1990-01-02 ok=true",
        "name=Bob age=25 town=Oslo score=2 born=1995-05-05",
        "age=+41 name=Cid town=Rome",
        "name=Dan town=Oslo score=-1.50",
        "name=Eve age=30 town=Paris ok=false",
    ] {
        node.run(&format!("INSERT people {line}"));
    }
    node
}

fn names(out: &Out) -> String {
    let Out::Rows(rows) = out else {
        panic!("rows, not {out:?}");
    };
    let name = |row: &super::harness::OutRow| {
        let found = row.iter().find(|(column, _)| column == "name");
        found.and_then(|(_, name)| name.clone()).unwrap_or_default()
    };
    rows.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_come_with_the_text_and_the_order_they_were_inserted_with() {
    for shards in [1, 3] {
        let mut node = people(shards);
        let out = node.run("SELECT people WHERE name=Cid");
        assert_eq!(format!("{out:?}"), "age=+41 name=Cid town=Rome ; (1 rows)");
        let out = node.run("SELECT people WHERE age=41 COLUMNS 4 _id age score name");
        assert_eq!(
            format!("{out:?}"),
            "_id=3 age=+41 score=~ name=Cid ; (1 rows)"
        );
        node.run("UPDATE people WHERE name=Cid SET score=7");
        node.run("UPDATE people WHERE name=Cid UNSET age");
        node.run("UPDATE people WHERE name=Cid SET age=5");
        let out = node.run("SELECT people WHERE name=Cid");
        assert_eq!(
            format!("{out:?}"),
            "name=Cid town=Rome score=7 age=5 ; (1 rows)"
        );
        node.check();
    }
}

#[test]
fn conditions_have_three_values_and_and_binds_tighter_than_or() {
    for shards in [1, 3] {
        let mut node = people(shards);
        for (condition, expected) in [
            ("age=30", "Ann Eve"),
            ("age=030", "Ann Eve"),
            ("age!=30", "Bob Cid"),
            ("NOT age=30", "Bob Cid"),
            ("age IS NULL", "Dan"),
            ("age IS NOT NULL", "Ann Bob Cid Eve"),
            ("age>25 AND age<=30", "Ann Eve"),
            ("age BETWEEN 25 AND 30", "Ann Bob Eve"),
            ("age NOT BETWEEN 25 AND 30", "Cid"),
            ("age IN ( 25 41 99 )", "Bob Cid"),
            ("age NOT IN ( 25 41 )", "Ann Eve"),
            ("town=Oslo OR town=Paris AND age=30", "Bob Dan Eve"),
            ("( town=Oslo OR town=Paris ) AND age=30", "Eve"),
            ("town=Rome AND age=30", "Ann"),
            ("name LIKE _a%", "Dan"),
            ("town LIKE O%", "Bob Dan"),
            ("town NOT LIKE %o", "Ann Cid Eve"),
            ("score<0", "Dan"),
            ("score=-1.5", "Dan"),
            ("ok=1", "Ann"),
            ("ok!=true", "Eve"),
            ("born>1990-01-02", "Bob"),
            ("_id>3", "Dan Eve"),
            ("_id IN ( 1 5 9 )", "Ann Eve"),
            ("_id=2 OR age=41", "Bob Cid"),
            ("_id!=2 AND town=Oslo", "Dan"),
            ("age>30 AND age<20", ""),
            ("town>=Oslo AND town<Paris", "Bob Dan"),
        ] {
            let out = node.run(&format!("SELECT people WHERE {condition}"));
            assert_eq!(names(&out), expected, "{condition}, {shards} shards");
            let count = expected.split(' ').filter(|name| !name.is_empty()).count();
            let out = node.run(&format!("COUNT people WHERE {condition}"));
            assert_eq!(out, Out::Count(count as u64), "{condition}");
        }
    }
}

#[test]
fn orders_limits_and_offsets_are_those_of_sql() {
    for shards in [1, 3] {
        let mut node = people(shards);
        for (clauses, expected) in [
            ("", "Ann Bob Cid Dan Eve"),
            ("ORDER BY age", "Dan Bob Ann Eve Cid"),
            ("ORDER BY age DESC", "Cid Ann Eve Bob Dan"),
            ("ORDER BY age DESC LIMIT 2", "Cid Ann"),
            ("ORDER BY age LIMIT 2 OFFSET 1", "Bob Ann"),
            ("ORDER BY town age", "Dan Bob Eve Ann Cid"),
            ("ORDER BY town DESC age DESC", "Cid Ann Eve Bob Dan"),
            ("ORDER BY town DESC age", "Ann Cid Eve Dan Bob"),
            ("ORDER BY name DESC", "Eve Dan Cid Bob Ann"),
            ("WHERE town=Rome ORDER BY age DESC", "Cid Ann"),
            ("LIMIT 2 OFFSET 2", "Cid Dan"),
            ("LIMIT 0", ""),
            ("AFTER 3", "Dan Eve"),
            ("AFTER 1 LIMIT 2", "Bob Cid"),
            ("ORDER BY _id DESC LIMIT 1", "Eve"),
        ] {
            for budget in [Budget::UNBOUNDED, Budget { look: 1, write: 1 }] {
                node.budget = budget;
                let out = node.run(format!("SELECT people {clauses}").trim_end());
                assert_eq!(names(&out), expected, "{clauses}, {shards} shards");
            }
        }
    }
}

#[test]
fn groups_have_counts_sums_and_extremes() {
    for shards in [1, 3] {
        let mut node = people(shards);
        let out = node.run("SELECT people COLUMNS 4 COUNT(*) SUM(age) AVG(score) MAX(name)");
        assert_eq!(
            format!("{out:?}"),
            "COUNT(*)=5 SUM(age)=126 AVG(score)=0.6666666666666666 MAX(name)=Eve ; (1 rows)"
        );
        let out = node.run(
            "SELECT people GROUP BY 1 town COLUMNS 3 town COUNT(age) MIN(age) ORDER BY COUNT(age) DESC",
        );
        assert_eq!(
            format!("{out:?}"),
            "town=Rome COUNT(age)=2 MIN(age)=30 ; town=Oslo COUNT(age)=1 MIN(age)=25 ; \
             town=Paris COUNT(age)=1 MIN(age)=30 ; (3 rows)"
        );
        let out = node.run("SELECT people WHERE age=99 COLUMNS 2 COUNT(*) SUM(age)");
        assert_eq!(format!("{out:?}"), "COUNT(*)=0 SUM(age)=~ ; (1 rows)");
        let out = node.run("SELECT people COLUMNS 2 MIN(age) MAX(age)");
        assert_eq!(format!("{out:?}"), "MIN(age)=25 MAX(age)=41 ; (1 rows)");
    }
}

#[test]
fn statements_that_fail_change_nothing() {
    for shards in [1, 3] {
        let mut node = Node::new(shards);
        node.create(
            "t",
            "u:integer:hash UNIQUE v:integer w:string NOT NULL x:integer DEFAULT 7",
        );
        node.set_recording();
        assert_eq!(node.run("INSERT t u=1 v=1 w=a"), Out::Ids(vec![Some(1)]));
        node.run("INSERT t u=2 v=9223372036854775807 w=b");
        let before = node.run("SELECT t");
        node.take_records();
        for (line, error) in [
            (
                "INSERT t u=1 w=c",
                "a row with this value of u exists already",
            ),
            (
                "INSERT t u=5 w=c ROW u=5 w=d",
                "a row with this value of u exists already",
            ),
            ("INSERT t u=7", "column w must have a value"),
            ("INSERT t u=x w=c", "invalid column or type"),
            ("INSERT t nope=1 w=c", "invalid column or type"),
            ("UPDATE t SET v=v+1", "result is out of range"),
            (
                "UPDATE t SET u=5",
                "a row with this value of u exists already",
            ),
            (
                "UPDATE t WHERE v=1 SET u=2",
                "a row with this value of u exists already",
            ),
            ("UPDATE t UNSET w", "column w must have a value"),
            ("SELECT t WHERE nope=1", "invalid column or type"),
            ("SELECT t WHERE v=abc", "invalid column or type"),
        ] {
            assert_eq!(node.run(line), Out::Error(error.to_owned()), "{line}");
            assert_eq!(node.run("SELECT t"), before, "{line}");
        }
        assert!(node.take_records().iter().all(Vec::is_empty));
        assert_eq!(node.run("INSERT t u=3 w=c"), Out::Ids(vec![Some(3)]));
        let out = node.run("SELECT t WHERE u=3");
        assert_eq!(format!("{out:?}"), "u=3 w=c x=7 ; (1 rows)");
        // All rows move at once, so that values may follow each other.
        assert_eq!(node.run("UPDATE t SET u=u+1"), Out::Count(3));
        node.check();
    }
}

#[test]
fn conflicts_are_left_out_or_update_the_row_that_is_there() {
    for shards in [1, 3] {
        let mut node = Node::new(shards);
        node.create("t", "k:string:hash UNIQUE n:integer");
        let line = "INSERT t k=a n=1 ROW k=b n=1 ROW k=a n=5 ON CONFLICT k DO NOTHING";
        assert_eq!(node.run(line), Out::Ids(vec![Some(1), Some(2), None]));
        let line = "INSERT t k=a n=1 ON CONFLICT k DO UPDATE SET n=n+10";
        assert_eq!(node.run(line), Out::Ids(vec![Some(1)]));
        let line = "INSERT t k=b n=8 ROW k=c n=9 ROW k=c n=10 ON CONFLICT k DO UPDATE";
        assert_eq!(node.run(line), Out::Ids(vec![Some(2), Some(3), Some(3)]));
        let out = node.run("SELECT t");
        assert_eq!(
            format!("{out:?}"),
            "k=a n=11 ; k=b n=8 ; k=c n=10 ; (3 rows)"
        );
        node.check();
    }
}

#[test]
fn rows_of_one_order_are_written_without_columns_that_are_gone_or_missing() {
    for shards in [1, 2] {
        let mut node = Node::new(shards);
        node.create("t", "a:integer b:string c:string g:integer:hash");
        let long = "long".repeat(20);
        for line in [
            "a=1 b=x c=y g=1".to_owned(),
            format!("a=2 b={long} c= g=1"),
            "b=x a=3 g=1".to_owned(),
            "b=x a=4 g=1".to_owned(),
            "a=5 b=x c=abcdefghijklmno g=1".to_owned(),
            "a=6 b=x c=abcdefghijklmnop g=1".to_owned(),
        ] {
            node.run(&format!("INSERT t {line}"));
        }
        node.run("UPDATE t WHERE a=6 SET a=7 UNSET b");
        let rows = |node: &mut Node, words: &str| format!("{:?}", node.run(words));
        let expected = format!(
            "a=1 b=x c=y g=1 ; a=2 b={long} c= g=1 ; b=x a=3 g=1 ; b=x a=4 g=1 ; \
             a=5 b=x c=abcdefghijklmno g=1 ; a=7 c=abcdefghijklmnop g=1 ; (6 rows)"
        );
        assert_eq!(rows(&mut node, "SELECT t"), expected);
        assert_eq!(rows(&mut node, "SELECT t WHERE g=1"), expected);
        node.alter("t", "DROP COLUMN b", 10).unwrap();
        let expected = "a=1 c=y g=1 ; a=2 c= g=1 ; a=3 g=1 ; a=4 g=1 ; a=5 c=abcdefghijklmno g=1 ; \
             a=7 c=abcdefghijklmnop g=1 ; (6 rows)";
        assert_eq!(rows(&mut node, "SELECT t"), expected);
        assert_eq!(rows(&mut node, "SELECT t WHERE g=1"), expected);
    }
}

#[test]
fn conflict_may_give_a_row_values_of_another_unique_index() {
    for shards in [1, 2, 3] {
        let mut node = Node::new(shards);
        node.create("t", "k:string:hash UNIQUE u:integer:hash UNIQUE");
        let line = "INSERT t k=a u=1 ROW k=b u=2 ROW k=c u=3";
        assert_eq!(node.run(line), Out::Ids(vec![Some(1), Some(2), Some(3)]));
        let taken = Out::Error("a row with this value of u exists already".to_owned());
        let set = |line: &str| format!("INSERT t {line} ON CONFLICT k DO UPDATE");
        // A row may keep its value, and take one that nobody has, but none of another row, stored or not.
        assert_eq!(node.run(&set("k=a u=1")), Out::Ids(vec![Some(1)]));
        assert_eq!(node.run(&set("k=a u=2")), taken);
        assert_eq!(node.run(&set("k=d u=9 ROW k=a u=9")), taken);
        assert_eq!(node.run(&set("k=a u=9 ROW k=b u=9")), taken);
        assert_eq!(node.run(&format!("{} SET u=3", set("k=a"))), taken);
        assert_eq!(
            node.run(&format!("{} SET k=b", set("k=a"))),
            Out::Error("a row with this value of k exists already".to_owned())
        );
        // One row gives a value up, the next one takes it.
        let line = set("k=a u=9 ROW k=b u=1 ROW k=e u=2");
        assert_eq!(node.run(&line), Out::Ids(vec![Some(1), Some(2), Some(4)]));
        let line = format!("{} SET u=u+10", set("k=a ROW k=b ROW k=c"));
        assert_eq!(node.run(&line), Out::Ids(vec![Some(1), Some(2), Some(3)]));
        let out = node.run("SELECT t");
        assert_eq!(
            format!("{out:?}"),
            "k=a u=19 ; k=b u=11 ; k=c u=13 ; k=e u=2 ; (4 rows)"
        );
        node.check();
    }
}

#[test]
fn conflict_may_compute_values_of_one_row_several_times() {
    for shards in [1, 2, 3] {
        let mut node = Node::new(shards);
        node.create("t", "k:string:hash UNIQUE n:integer:hash UNIQUE");
        let line = "INSERT t k=a n=1 ROW k=a n=5 ROW k=a n=5 ON CONFLICT k DO UPDATE SET n=n+3";
        assert_eq!(node.run(line), Out::Ids(vec![Some(1), Some(1), Some(1)]));
        let line = "INSERT t k=b n=7 ROW k=b n=8 ON CONFLICT k DO UPDATE SET n=n+1";
        let taken = Out::Error("a row with this value of n exists already".to_owned());
        assert_eq!(node.run(line), taken);
        let line = "INSERT t k=a n=0 ROW k=b n=7 ROW k=a n=0 ON CONFLICT k DO UPDATE SET n=n-1";
        assert_eq!(node.run(line), Out::Ids(vec![Some(1), Some(2), Some(1)]));
        let line =
            "INSERT t k=a n=9 ROW k=a n=9 ON CONFLICT k DO UPDATE SET n=n+9223372036854775800";
        assert_eq!(
            node.run(line),
            Out::Error("result is out of range".to_owned())
        );
        let out = node.run("SELECT t");
        assert_eq!(format!("{out:?}"), "k=a n=5 ; k=b n=7 ; (2 rows)");
        node.check();
    }
}

#[test]
fn returning_gives_rows_as_they_are_after_a_change_or_were_before_a_removal() {
    for shards in [1, 3] {
        let mut node = people(shards);
        let out =
            node.run("UPDATE people WHERE town=Rome SET score=score*2 RETURNING 2 name score");
        assert_eq!(
            format!("{out:?}"),
            "name=Ann score=3 ; name=Cid score=~ ; (2 rows)"
        );
        let out = node.run("DELETE people WHERE town=Oslo RETURNING 1 name");
        assert_eq!(names(&out), "Bob Dan");
        let out = node.run("INSERT people name=Fay ROW name=Gus RETURNING 2 _id name");
        assert_eq!(
            format!("{out:?}"),
            "_id=6 name=Fay ; _id=7 name=Gus ; (2 rows)"
        );
        assert_eq!(node.run("DELETE people"), Out::Count(5));
        assert_eq!(node.run("COUNT people"), Out::Count(0));
        assert_eq!(node.run("INSERT people name=Hal"), Out::Ids(vec![Some(8)]));
        node.check();
    }
}

#[test]
fn rows_end_and_are_swept() {
    for shards in [1, 3] {
        let mut node = Node::new(shards);
        node.create("t", "u:integer:hash UNIQUE v:integer:btree");
        node.run("INSERT t u=1 v=1 PX 100");
        node.run("INSERT t u=2 v=2");
        node.run("INSERT t u=3 v=3 PX 500");
        assert_eq!(node.run("COUNT t"), Out::Count(3));
        node.now_ms += 100;
        assert_eq!(node.run("COUNT t"), Out::Count(2));
        assert_eq!(node.run("SELECT t WHERE u=1"), Out::Rows(Vec::new()));
        let out = node.run("SELECT t COLUMNS 1 MIN(v)");
        assert_eq!(format!("{out:?}"), "MIN(v)=2 ; (1 rows)");
        // Its value is free again.
        assert_eq!(node.run("INSERT t u=1 v=9"), Out::Ids(vec![Some(4)]));
        node.now_ms += 1000;
        let swept: usize = (0..10)
            .flat_map(|_| {
                node.shards
                    .iter_mut()
                    .map(|s| s.sweep(2100, 1).map_or(0, |(_, _, rows)| rows))
                    .collect::<Vec<_>>()
            })
            .sum();
        // With one shard the insertion has removed the first one already.
        assert!((1..=2).contains(&swept), "{swept}");
        let rows: u64 = node.shards.iter().map(|shard| shard.rows(DB)).sum();
        assert_eq!(rows, 2);
        node.check();
    }
}

#[test]
fn looking_at_too_many_rows_is_an_error_before_any_change() {
    for shards in [1, 3] {
        let mut node = Node::new(shards);
        node.create("t", "a:integer:hash b:integer c:integer:btree");
        for number in 0..20 {
            node.run(&format!("INSERT t a={} b={number} c={number}", number % 2));
        }
        node.limits.scan_rows_max = 10;
        let error = crate::error::TableError::ScanLimit.to_string();
        for line in [
            "SELECT t WHERE b>=0",
            "COUNT t WHERE b=1",
            "UPDATE t WHERE b>=0 SET b=7",
            "DELETE t WHERE b>=0",
            "SELECT t WHERE b>=0 ORDER BY a LIMIT 3",
        ] {
            assert_eq!(node.run(line), Out::Error(error.clone()), "{line}");
        }
        assert_eq!(node.run("COUNT t WHERE a=0 AND b>=0"), Out::Count(10));
        assert_eq!(node.run("COUNT t WHERE c>=0"), Out::Count(20));
        assert_eq!(node.run("COUNT t"), Out::Count(20));
        assert_eq!(
            node.run("SELECT t WHERE b=1 LIMIT 0"),
            Out::Rows(Vec::new())
        );
        node.limits.scan_rows_max = 20;
        assert_eq!(node.run("COUNT t WHERE b>=0"), Out::Count(20));
    }
}

#[test]
fn the_more_selective_of_two_indexes_is_taken() {
    let mut node = Node::new(1);
    node.create("t", "a:integer:hash b:integer:btree");
    for number in 0..100 {
        node.run(&format!("INSERT t a={} b={number}", number % 2));
    }
    let way = |node: &Node, line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let explained = node.shards[0]
            .explain(DB, &node.plan(&words).unwrap())
            .unwrap();
        format!(
            "{} {} {} {}",
            explained.way, explained.rows, explained.is_filtered, explained.order
        )
    };
    for (line, expected) in [
        ("SELECT t WHERE a=1 AND b>95", "index btree b 4 true by id"),
        ("SELECT t WHERE a=1 AND b>5", "index hash a 50 true by id"),
        ("SELECT t WHERE a=1", "index hash a 50 false by id"),
        (
            "SELECT t WHERE a=1 OR b=3",
            "union of index hash a, index btree b 51 false by id",
        ),
        ("SELECT t WHERE a=1 OR a+1=3", "error"),
        ("SELECT t WHERE a!=1", "scan 100 true by id"),
        ("SELECT t WHERE _id=7", "row by id 1 false by id"),
        (
            "SELECT t WHERE b>90 ORDER BY b DESC",
            "index btree b 9 false by index btree b",
        ),
        (
            "SELECT t WHERE a=1 ORDER BY b",
            "index hash a 50 false sorted by b",
        ),
        ("SELECT t ORDER BY b", "scan 100 false by index btree b"),
    ] {
        if expected == "error" {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            assert!(node.plan(&words).is_err());
            continue;
        }
        assert_eq!(way(&node, line), expected, "{line}");
    }
}

#[test]
fn indexes_are_built_in_steps_while_rows_change() {
    for shards in [1, 3] {
        let mut node = Node::new(shards);
        node.create("t", "a:integer b:string");
        for number in 0..3000 {
            node.run(&format!("INSERT t a={} b=x{number}", number % 7));
        }
        node.alter("t", "ADD INDEX a:hash", 100).unwrap();
        node.alter("t", "ADD INDEX b,a:btree", 999).unwrap();
        node.check();
        assert_eq!(node.run("COUNT t WHERE a=3"), Out::Count(429));
        let failed = node.alter("t", "ADD INDEX a:btree UNIQUE", 100);
        assert!(failed.is_err());
        node.alter("t", "ADD INDEX b:hash UNIQUE", 100).unwrap();
        assert!(matches!(node.run("INSERT t b=x77"), Out::Error(_)));
        node.check();
        let before = node.shards[0].memory();
        node.alter("t", "DROP INDEX b,a", 1).unwrap();
        assert!(node.shards[0].memory() < before);
        while node.shards[0].free_step(1) {}
        node.check();
        // A column that comes later has an index that is built behind the scenes.
        node.alter("t", "ADD COLUMN c:integer:btree", 1).unwrap();
        node.run("UPDATE t WHERE a=3 SET c=5");
        let out = node.run("SELECT t ORDER BY c DESC LIMIT 1 COLUMNS 2 a c");
        assert_eq!(format!("{out:?}"), "a=3 c=5 ; (1 rows)");
        for shard in &mut node.shards {
            while shard.free_step(1) {}
        }
        node.check();
        assert_eq!(node.run("COUNT t WHERE c IS NULL"), Out::Count(3000 - 429));
        node.alter("t", "DROP COLUMN a", 1).unwrap();
        let out = node.run("SELECT t LIMIT 1");
        assert_eq!(format!("{out:?}"), "b=x0 ; (1 rows)");
        node.check();
    }
}

#[test]
fn a_table_goes_from_one_shard_to_all() {
    let mut node = Node::new(1);
    let id = node.create("t", "a:integer:hash b:string:btree");
    for number in 0..100 {
        node.run(&format!("INSERT t a={} b=x{number}", number % 7));
    }
    let mut wide = Node::new(3);
    std::mem::swap(&mut wide.shards[0], &mut node.shards[0]);
    let schema = wide.shards[0].catalog(DB).table(b"t").unwrap().clone();
    for shard in &mut wide.shards[1..] {
        shard.apply(
            DB,
            &crate::catalog::SchemaChange::CreateTable {
                schema: schema.clone(),
            },
        );
    }
    let before = wide.run("SELECT t WHERE a=3");
    let mut images = Vec::new();
    loop {
        let more = wide.shards[0].take_rows(DB, id, 9);
        if more.is_empty() {
            break;
        }
        images.extend(more);
    }
    wide.spread(id);
    for shard in &mut wide.shards {
        shard.put_rows(DB, id, &images);
    }
    assert_eq!(wide.run("SELECT t WHERE a=3"), before);
    assert_eq!(wide.run("COUNT t"), Out::Count(100));
    assert_eq!(wide.run("INSERT t a=1"), Out::Ids(vec![Some(101)]));
    let rows: Vec<u64> = wide.shards.iter().map(|shard| shard.rows(DB)).collect();
    assert_eq!(rows, [33, 34, 34]);
    wide.check();
}

#[test]
fn plans_of_another_version_are_made_again() {
    let mut node = people(1);
    let plan = node.plan(&[b"SELECT", b"people"]).unwrap();
    node.alter("people", "DROP COLUMN score", 1).unwrap();
    let mut at = crate::executor::Progress::new(0);
    let mut out = crate::partial::Partial::new();
    let stepped = node.shards[0].step(
        DB,
        &plan,
        &mut at,
        Budget::UNBOUNDED,
        &super::harness::Plain,
        &mut out,
    );
    assert_eq!(stepped, Ok(crate::executor::Stepped::Again));
}

#[test]
fn rows_of_one_value_of_a_hash_index_are_found_without_a_plan() {
    let mut node = Node::new(1);
    let columns = "s:string:hash i:integer:hash f:float:hash d:date:hash b:bool:hash v:integer";
    node.create("t", &format!("{columns} t:string:btree"));
    for row in 0..3 {
        let row = format!("INSERT t s=a{row} i={row} f=1.5 d=2024-01-02 b=true v={row} t=x");
        assert!(matches!(node.run(&row), Out::Ids(_)));
    }
    node.run("INSERT t i=7 s=gone EX 1");
    node.now_ms += 5000;
    // The harness compares each with what a plan gives.
    let mut is_short = |line: &str| {
        let before = node.short_selects;
        node.run(line);
        node.short_selects > before
    };
    for found in [
        "s=a1",
        "s=none",
        "s=gone",
        "i=+01",
        "i=7",
        "f=1.50",
        "d=2024-01-02",
        "b=1",
    ] {
        assert!(is_short(&format!("SELECT t WHERE {found}")), "{found}");
    }
    for other in [
        "v=1", "t=x", "i=x", "i>1", "i!=1", "s=", "=a1", "_id=1", "none=1",
    ] {
        assert!(!is_short(&format!("SELECT t WHERE {other}")), "{other}");
    }
    assert!(!is_short("SELECT t WHERE i=1 LIMIT 1"));
}

#[test]
fn databases_are_cleared_and_exchanged() {
    let mut node = people(1);
    let tables = &mut node.shards[0];
    let other = base::ids::DbIndex(3);
    tables.swap(DB, other);
    assert_eq!((tables.rows(DB), tables.rows(other)), (0, 5));
    assert!(tables.catalog(other).lookup(b"people").is_some());
    tables.clear(other);
    assert_eq!((tables.rows(other), tables.memory()), (0, 0));
    while tables.free_step(1) {}
}
