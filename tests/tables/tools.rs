//! `trestle-tools`: tables to CSV and SQLite and back, against a running server and from a file.
//!
//! The program is the one beside the server under test, which is built if it is not there.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use protocol::value::Value;

use super::files::Directory;
use crate::support::client::Client;
use crate::support::server::{Server, trestle_program};

fn program() -> PathBuf {
    let path = trestle_program().with_file_name("trestle-tools");
    if !path.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        let built = cargo
            .args(["build", "-p", "tools"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success());
    }
    path
}

/// Runs the program against a server.
fn run(server: &Server, words: &[&str]) -> Output {
    let port = server.port.to_string();
    let mut command = Command::new(program());
    command
        .args(words)
        .args(["--port", &port])
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

fn succeed(server: &Server, words: &[&str]) -> String {
    let output = run(server, words);
    assert!(output.status.success(), "{words:?}: {}", text(&output));
    text(&output)
}

const SCHEMA: &str = "name:string:hash age:integer:btree score:float born:date ok:bool at:timestamp INDEX name,age:btree";

/// Values that are hard to write down.
const TEXTS: [&str; 8] = [
    "",
    "\\N",
    "\\\\N",
    "a,b",
    "say \"x\"",
    "two\r\nlines",
    "it's",
    "  \u{e4}\u{20ac} ",
];

fn fill(client: &mut Client, table: &str) {
    client.ok(&format!("TABLE.SCHEMA.CREATE {table} {SCHEMA}"));
    for (number, text) in TEXTS.iter().enumerate() {
        let name = format!("name={text}");
        let age = format!("age={number}");
        client.request(&["TABLE.INSERT", table, &name, &age, "score=+1.50", "ok=true"]);
        client.request(&[
            "TABLE.INSERT",
            table,
            &name,
            "born=2001-02-03",
            "at=2001-02-03T04:05:06Z",
        ]);
    }
    client.line(&format!(
        "TABLE.INSERT {table} age=-9223372036854775808 score=-0.001"
    ));
    for from in (0..3000).step_by(1000) {
        let rows: Vec<_> = (from..from + 1000)
            .map(|n| format!("age={n} score={n}.25"))
            .collect();
        client.line(&format!("TABLE.INSERT {table} {}", rows.join(" ROW ")));
    }
}

fn rows(client: &mut Client, table: &str) -> Value {
    client.line(&format!(
        "TABLE.SELECT {table} COLUMNS 6 name age score born ok at"
    ))
}

#[test]
fn csv_out_and_in_again_gives_equal_rows() {
    let directory = Directory::new("csv");
    let server = directory.start(2, &[]);
    let mut client = server.client();
    client.ok("TABLE.NAMESPACE.CREATE n");
    fill(&mut client, "n.t");
    let file = directory.0.join("t.csv");
    let path = file.to_str().unwrap();
    let told = succeed(&server, &["export-csv", "--table", "n.t", "--output", path]);
    assert!(told.contains("3017 rows"), "{told}");
    let csv = fs::read_to_string(&file).unwrap();
    assert!(
        csv.starts_with("name,age,score,born,ok,at\n,0,+1.50,\\N,true,\\N\n"),
        "{}",
        &csv[..200]
    );
    client.ok(&format!("TABLE.SCHEMA.CREATE n.copy {SCHEMA}"));
    let told = succeed(
        &server,
        &["import-csv", path, "--table", "n.copy", "--dry-run"],
    );
    assert!(told.contains("3017 rows could be read"), "{told}");
    assert_eq!(client.line("TABLE.COUNT n.copy"), Value::Integer(0));
    succeed(
        &server,
        &["import-csv", path, "--table", "n.copy", "--batch", "700"],
    );
    assert_eq!(rows(&mut client, "n.copy"), rows(&mut client, "n.t"));
    // From a file the same rows come, in any order.
    client.ok("SAVE");
    let dump = directory.file();
    let from_file = [
        "export-csv",
        "--table",
        "n.t",
        "--rdb",
        dump.to_str().unwrap(),
    ];
    let mut one: Vec<_> = text(&run(&server, &from_file))
        .lines()
        .map(str::to_owned)
        .collect();
    let mut other: Vec<_> = csv.lines().map(str::to_owned).collect();
    one.sort_unstable();
    other.sort_unstable();
    assert_eq!(one, other);
}

#[test]
fn an_import_that_fails_names_the_line_and_does_nothing_by_halves() {
    let directory = Directory::new("import");
    let server = directory.start(2, &[]);
    let mut client = server.client();
    client.ok("TABLE.SCHEMA.CREATE t a:integer:hash UNIQUE b:string");
    let file = directory.0.join("t.csv");
    let path = file.to_str().unwrap();
    let import = |lines: &str, words: &[&str]| {
        fs::write(&file, lines).unwrap();
        let output = run(
            &server,
            &[&["import-csv", path, "--table", "t"], words].concat(),
        );
        (output.status.success(), text(&output))
    };
    let (is_done, told) = import("x,b\n1,one\n", &[]);
    assert!(!is_done && told.contains("no column x"), "{told}");
    let (is_done, told) = import("x,b,y\n1,one,?\n", &["--column", "x=a", "--column", "y="]);
    assert!(is_done && told.contains("1 rows"), "{told}");
    let (is_done, told) = import("a,b\n2,two\n3,three\nfour,4\n", &[]);
    assert!(
        !is_done && told.contains("line 4") && told.contains("'four' is no integer"),
        "{told}"
    );
    assert_eq!(client.line("TABLE.COUNT t"), Value::Integer(1));
    // The second batch has a value that is there.
    let (is_done, told) = import("a,b\n5,x\n6,x\n7,x\n1,x\n8,x\n9,x\n", &["--batch", "2"]);
    assert!(
        !is_done && told.contains("the 2 rows from line 4 on are refused"),
        "{told}"
    );
    assert_eq!(
        client.line("TABLE.COUNT t WHERE a=5 OR a=6"),
        Value::Integer(2)
    );
    assert_eq!(client.line("TABLE.COUNT t WHERE a=7"), Value::Integer(0));
    let (is_done, told) = import("a,b\n20,\\N\n21,\n", &["--empty-is-null"]);
    assert!(is_done, "{told}");
    let (is_done, told) = import("a,b\n\\N,\\N\n", &[]);
    assert!(!is_done && told.contains("without any value"), "{told}");
}

#[test]
fn sqlite_takes_what_is_exported() {
    let directory = Directory::new("sql");
    let server = directory.start(3, &[]);
    let mut client = server.client();
    client.ok("TABLE.NAMESPACE.CREATE n");
    fill(&mut client, "n.t");
    client.ok("TABLE.SCHEMA.CREATE n.other u:integer:hash UNIQUE v:string");
    client.line("TABLE.INSERT n.other u=1 v=x ROW u=2");
    client.ok("TABLE.SCHEMA.CREATE n.strict k:string:hash PRIMARY KEY m:integer NOT NULL v:string DEFAULT it's w:float DEFAULT 1.50");
    client.line("TABLE.INSERT n.strict k=a m=1");
    let dump = directory.file();
    client.ok("SAVE");
    let file = directory.0.join("n.sql");
    let path = file.to_str().unwrap();
    for source in [
        &["--namespace", "n"][..],
        &["--rdb", dump.to_str().unwrap()],
    ] {
        succeed(
            &server,
            &[&["export-sql", "--output", path], source].concat(),
        );
        let sqlite = rusqlite::Connection::open_in_memory().unwrap();
        sqlite
            .execute_batch(&fs::read_to_string(&file).unwrap())
            .unwrap();
        let ask = |sql: &str| {
            sqlite
                .query_row(sql, [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(ask("SELECT COUNT(*) FROM \"n.t\""), 3017);
        assert_eq!(ask("SELECT COUNT(*) FROM \"n.t\" WHERE name IS NULL"), 3001);
        assert_eq!(ask("SELECT COUNT(*) FROM \"n.t\" WHERE name = ''"), 2);
        assert_eq!(
            ask("SELECT MIN(age) FROM \"n.t\" WHERE typeof(age) = 'integer'"),
            i64::MIN
        );
        assert_eq!(
            ask("SELECT COUNT(*) FROM \"n.t\" WHERE score = 1.5 AND ok = 1"),
            8
        );
        let sum: f64 = sqlite
            .query_row("SELECT SUM(score) FROM \"n.t\"", [], |row| row.get(0))
            .unwrap();
        assert!(
            (sum - (2999.0 * 1500.0 + 750.0 + 12.0 - 0.001)).abs() < 1e-6,
            "{sum}"
        );
        for (number, text) in TEXTS.iter().enumerate() {
            let stored: String = sqlite
                .query_row(
                    "SELECT name FROM \"n.t\" WHERE _id = ?",
                    [i64::try_from(2 * number + 1).unwrap()],
                    |row| row.get(0),
                )
                .unwrap();
            assert_eq!(stored, *text);
        }
        assert!(
            sqlite
                .execute("INSERT INTO \"n.other\" (u) VALUES (2)", [])
                .is_err()
        );
        for refused in [
            "(m) VALUES (1)",
            "(k) VALUES ('b')",
            "(k, m) VALUES ('a', 2)",
        ] {
            let insert = format!("INSERT INTO \"n.strict\" {refused}");
            assert!(sqlite.execute(&insert, []).is_err(), "{refused}");
        }
        sqlite
            .execute("INSERT INTO \"n.strict\" (k, m) VALUES ('b', 2)", [])
            .unwrap();
        let same = "SELECT COUNT(*) FROM \"n.strict\" WHERE v = 'it''s' AND w = 1.5";
        assert_eq!(ask(same), 2);
    }
}
