//! What no client should send about tables: each gets an error that says what is wrong, and nothing has changed.
//!
//! After each statement the table shows the schema, the rows and the bytes that it had before. Asked with one shard, with
//! four, and with a table that is spread.

use protocol::value::Value;

use crate::support::client::Client;
use crate::support::server::Server;

/// Shards and flags of the servers that are asked.
const SERVERS: &[(u32, &[&str])] = &[(1, &[]), (4, &[]), (4, &["--table-spread-rows", "1"])];

type Words = Vec<Vec<u8>>;

/// Words behind `TABLE.`; blanks stand between them.
fn words(line: &str) -> Words {
    let words = line.split(' ').map(|word| word.as_bytes().to_vec());
    let mut words: Words = words.collect();
    words[0].splice(..0, *b"TABLE.");
    words
}

/// The same with one more word, whatever its bytes are.
fn and(line: &str, last: impl Into<Vec<u8>>) -> Words {
    let mut words = words(line);
    words.push(last.into());
    words
}

fn and_all(line: &str, more: impl IntoIterator<Item = Vec<u8>>) -> Words {
    let mut words = words(line);
    words.extend(more);
    words
}

/// All that can be seen of the table.
fn seen(client: &mut Client) -> Vec<Value> {
    let lines = [
        "TABLE.NAMESPACE.VIEW",
        "TABLE.SCHEMA.VIEW n.t",
        "TABLE.SELECT n.t",
        "TABLE.SELECT n.t WHERE id>=0 COLUMNS 2 _id id ORDER BY id",
        "TABLE.INFO n.t",
    ];
    lines.map(|line| client.line(line)).to_vec()
}

fn on_all(cases: &[(Words, &str)]) {
    for (shards, flags) in SERVERS {
        let server = Server::trestle(*shards, flags);
        let mut client = server.client();
        client.ok("TABLE.NAMESPACE.CREATE n");
        client.ok(
            "TABLE.SCHEMA.CREATE n.t id:integer:btree UNIQUE name:string:hash f:float d:date b:bool \
             ts:timestamp must:integer NOT NULL DEFAULT 1",
        );
        for id in 1..=5 {
            client.line(&format!(
                "TABLE.INSERT n.t id={id} name=name{id} f=1.5 d=2024-02-29 b=true ts=2024-01-01"
            ));
        }
        let before = seen(&mut client);
        for (words, expected) in cases {
            let shown: Vec<String> = words
                .iter()
                .map(|word| word[..word.len().min(40)].escape_ascii().to_string())
                .collect();
            let shown = format!(
                "{}: {}",
                server.name,
                shown[..shown.len().min(12)].join(" ")
            );
            let reply = client.request(words);
            let Value::Error(text) = &reply else {
                panic!("{shown}: no error but {reply:?}");
            };
            assert_eq!(
                String::from_utf8_lossy(text),
                format!("ERR {expected}"),
                "{shown}"
            );
            assert_eq!(seen(&mut client), before, "{shown}: something has changed");
        }
    }
}

const TYPE: &str = "invalid column or type";
const CONDITION: &str = "condition must be <col><op><value>";
const FIELD: &str = "each field must be <col>=<value>";
const NO_TABLE: &str = "table schema does not exist";

#[test]
fn numbers_and_dates_that_are_none_are_refused_wherever_they_stand() {
    let bad = [
        ("id", "9223372036854775808"),
        ("id", "-9223372036854775809"),
        ("id", "1e3"),
        ("id", "1.0"),
        ("id", "0x10"),
        ("id", "+-1"),
        ("id", "٣"),
        ("f", "nan"),
        ("f", "NaN"),
        ("f", "-nan"),
        ("f", "1.2.3"),
        ("f", "--1"),
        ("f", "."),
        ("d", "2023-02-29"),
        ("d", "2024-13-01"),
        ("d", "2024-00-10"),
        ("d", "2024-4-1"),
        ("d", "today"),
        ("b", "yes"),
        ("b", "2"),
        ("ts", "2024-01-01T25:00"),
        ("ts", "2024-01-01T10:61"),
        ("ts", "soon"),
    ];
    let mut cases = Vec::new();
    for (column, value) in bad {
        cases.push((words(&format!("INSERT n.t id=77 {column}={value}")), TYPE));
        cases.push((
            words(&format!("UPDATE n.t WHERE id=1 SET {column}={value}")),
            TYPE,
        ));
        cases.push((words(&format!("SELECT n.t WHERE {column} = {value}")), TYPE));
        cases.push((
            words(&format!("DELETE n.t WHERE {column} >= {value}")),
            TYPE,
        ));
        cases.push((
            words(&format!("COUNT n.t WHERE {column} IN 2 {value} {value}")),
            TYPE,
        ));
    }
    // Infinities may be compared with, and not be stored; nor may what rounds to one.
    for value in ["inf", "-inf", "Infinity", "1e400"] {
        cases.push((words(&format!("INSERT n.t id=77 f={value}")), TYPE));
        cases.push((words(&format!("UPDATE n.t WHERE id=1 SET f={value}")), TYPE));
    }
    cases.push((
        and("INSERT n.t id=77", format!("f={}", "9".repeat(400))),
        TYPE,
    ));
    let range = "result is out of range";
    cases.push((
        words("UPDATE n.t WHERE id=1 SET must=must+9223372036854775807"),
        range,
    ));
    cases.push((
        words("GET n.t 18446744073709551616"),
        "value is not an integer or out of range",
    ));
    cases.push((
        words("SELECT n.t LIMIT -1"),
        "value is not an integer or out of range",
    ));
    on_all(&cases);
}

#[test]
fn empty_arguments_are_refused_where_they_mean_nothing() {
    on_all(&[
        (and("SELECT", ""), NO_TABLE),
        (and("INSERT n.t", ""), FIELD),
        (and("INSERT n.t id=77", ""), FIELD),
        (and("SELECT n.t WHERE", ""), CONDITION),
        (words("SELECT n.t WHERE"), CONDITION),
        (words("SELECT n.t WHERE id="), CONDITION),
        (words("DELETE n.t WHERE =1"), CONDITION),
        (words("DELETE n.t WHERE id=1 AND"), "dangling operator"),
        (
            words("UPDATE n.t WHERE id=1 SET"),
            "SET expects <col>=<value>",
        ),
        (
            and("UPDATE n.t WHERE id=1 SET", ""),
            "SET expects <col>=<value>",
        ),
        (
            words("UPDATE n.t WHERE id=1 SET =5"),
            "SET expects <col>=<value>",
        ),
        (words("UPDATE n.t WHERE id=1 SET id="), TYPE),
        (words("INSERT n.t id= name=x"), TYPE),
        (and("INSERT n.t id =", ""), TYPE),
        (and("DELETE n.t WHERE id =", ""), TYPE),
        (and("SELECT n.t COLUMNS 1", ""), TYPE),
        (and("SELECT n.t ORDER BY", ""), TYPE),
        (
            and("SELECT n.t LIMIT", ""),
            "value is not an integer or out of range",
        ),
        (
            and("GET n.t", ""),
            "value is not an integer or out of range",
        ),
        (
            and("SCHEMA.CREATE n.u", ""),
            "format: <col:type> or <col:type:index>",
        ),
        (
            words("SCHEMA.CREATE n.u :integer"),
            "format: <col:type> or <col:type:index>",
        ),
        (
            and("SCHEMA.ALTER n.t ADD COLUMN", ""),
            "format: col:type[:index]",
        ),
        (
            and("SCHEMA.ALTER n.t DROP COLUMN", ""),
            "column does not exist",
        ),
        (
            and("SCHEMA.ALTER n.t ADD INDEX", ""),
            "column does not exist",
        ),
        (
            and("DROP n.t", ""),
            "Invalid parameter. Use FORCE to confirm table removal",
        ),
    ]);
}

#[test]
fn names_and_words_that_are_too_long_or_too_many_are_refused() {
    let long = "x".repeat(65);
    let namespace = "incorrect namespace name, it exceeds the limit of 64 characters";
    let table = "incorrect table name, it exceeds the limit of 64 characters";
    let column = "incorrect column name, it exceeds the limit of 1024 bytes";
    let columns = |count: usize| (0..count).map(|number| format!("c{number}:integer").into_bytes());
    let many_values = || (0..10_001).map(|number: u32| number.to_string().into_bytes());
    let rows = (0..10_001)
        .flat_map(|number: u32| [b"ROW".to_vec(), format!("id={}", 100 + number).into_bytes()]);
    on_all(&[
        (and("NAMESPACE.CREATE", &*long), namespace),
        (
            and_all(
                "SCHEMA.CREATE",
                [format!("{long}.t").into(), b"a:integer".into()],
            ),
            namespace,
        ),
        (
            and_all(
                "SCHEMA.CREATE",
                [format!("n.{long}").into(), b"a:integer".into()],
            ),
            table,
        ),
        (
            and("SCHEMA.ALTER n.t RENAME TO", format!("n.{long}")),
            table,
        ),
        (
            and("SELECT", format!("n.{}", "y".repeat(10 << 20))),
            NO_TABLE,
        ),
        (and("SELECT", "z".repeat(10 << 20)), NO_TABLE),
        (
            and("SCHEMA.CREATE n.u", format!("{}:integer", "c".repeat(1025))),
            column,
        ),
        (
            and(
                "SCHEMA.ALTER n.t ADD COLUMN",
                format!("{}:integer", "c".repeat(1025)),
            ),
            column,
        ),
        (
            and_all("SCHEMA.CREATE n.u", columns(10_000)),
            "a table has at most 1024 columns",
        ),
        (
            and_all("SELECT n.t WHERE id IN 10001", many_values()),
            "too many conditions, at most 10000",
        ),
        (
            and_all("INSERT n.t id=99", rows),
            "too many rows, at most 10000",
        ),
        (
            and("INSERT n.t id=77", format!("{}=1", "c".repeat(10 << 20))),
            TYPE,
        ),
        (
            and(
                "UPDATE n.t WHERE id=1 SET",
                format!("id={}", "1".repeat(10 << 20)),
            ),
            TYPE,
        ),
        (and("DELETE n.t WHERE", "x".repeat(10 << 20)), CONDITION),
        (
            and_all(
                "SCHEMA.ALTER n.t ADD INDEX",
                [["id"; 17].join(",").into_bytes()],
            ),
            "a column stands twice in the index",
        ),
    ]);
}

#[test]
fn deep_conditions_are_refused_before_the_stack_is() {
    let deep = "condition is nested too deeply, at most 64 levels";
    let repeated = |word: &str, count: usize, end: &[&str]| {
        let mut more = vec![word.as_bytes().to_vec(); count];
        more.extend(end.iter().map(|word| word.as_bytes().to_vec()));
        more
    };
    on_all(&[
        (
            and_all("SELECT n.t WHERE", repeated("(", 65, &["id=1"])),
            deep,
        ),
        (
            and_all("SELECT n.t WHERE", repeated("(", 1_000_000, &["id=1"])),
            deep,
        ),
        (
            and_all("DELETE n.t WHERE", repeated("NOT", 1_000_000, &["id=1"])),
            deep,
        ),
        (
            and_all("DELETE n.t WHERE", repeated("(", 3, &["id=1"])),
            "parentheses do not match",
        ),
        (
            and_all(
                "DELETE n.t WHERE",
                repeated("(", 3, &["id=1", ")", ")", ")", ")"]),
            ),
            "parentheses do not match",
        ),
        (words("DELETE n.t WHERE ( )"), CONDITION),
    ]);
}

#[test]
fn odd_bytes_in_names_are_bytes_of_names() {
    let missing = "column does not exist";
    on_all(&[
        (words("SELECT n.*"), NO_TABLE),
        (words("SELECT *"), NO_TABLE),
        (words("DELETE n.? WHERE id=1"), NO_TABLE),
        (words("DROP n.[t] FORCE"), NO_TABLE),
        (words("DROP {n}.t FORCE"), NO_TABLE),
        (words("DROP n.{t} FORCE"), NO_TABLE),
        (words("DROP n:t FORCE"), NO_TABLE),
        (words("DROP n.t: FORCE"), NO_TABLE),
        (
            and_all("DROP", [b"n.t\0".to_vec(), b"FORCE".to_vec()]),
            NO_TABLE,
        ),
        (and_all("TRUNCATE", [b"n\0.t".to_vec()]), NO_TABLE),
        (words("NAMESPACE.DROP n* FORCE"), "namespace does not exist"),
        (
            words("NAMESPACE.DROP {n} FORCE"),
            "namespace does not exist",
        ),
        (and("DELETE n.t WHERE", b"id\0=1".to_vec()), TYPE),
        (and("DELETE n.t WHERE", b"id=1\0".to_vec()), TYPE),
        (and("DELETE n.t WHERE", b"\0".to_vec()), CONDITION),
        (and("INSERT n.t", b"id=77\0".to_vec()), TYPE),
        (and("INSERT n.t", b"i\0d=77".to_vec()), TYPE),
        (
            and("UPDATE n.t WHERE id=1 SET", b"d=2024-01-01\0".to_vec()),
            TYPE,
        ),
        (
            and("SCHEMA.ALTER n.t DROP COLUMN", b"id\0".to_vec()),
            missing,
        ),
        (words("SCHEMA.ALTER n.t DROP COLUMN i*"), missing),
        (words("SCHEMA.ALTER n.t DROP INDEX {id}"), missing),
        (
            and("SCHEMA.ALTER n.t ADD COLUMN", b"c:integer\0".to_vec()),
            "type must be 'string', 'integer', 'float', 'date', 'bool' or 'timestamp'",
        ),
        (
            words("INSERT n.t id=1"),
            "a row with this value of id exists already",
        ),
        (words("INSERT n.t id=77 must ="), FIELD),
    ]);
}

#[test]
fn large_and_odd_values_are_kept_byte_by_byte_and_leave_no_memory() {
    for (shards, flags) in SERVERS {
        let server = Server::trestle(*shards, flags);
        let mut client = server.client();
        client.ok("TABLE.SCHEMA.CREATE t k:integer:hash v:string");
        for k in 0..3 {
            client.line(&format!("TABLE.INSERT t k={k} v=small"));
        }
        let before = client.line("TABLE.INFO t");
        let mut large = vec![b'x'; 10 << 20];
        large[5 << 20] = 0;
        let odd: [&[u8]; 4] = [&large, b"\0", b"{a}:*?[b]\r\n", b"=<>!=\xff\xfe"];
        for value in odd {
            let insert: [&[u8]; 7] = [
                b"TABLE.INSERT",
                b"t",
                b"k=9",
                b"v",
                b"=",
                value,
                b"RETURNING",
            ];
            assert!(
                matches!(client.request(&insert), Value::Error(_)),
                "RETURNING lacks what"
            );
            let reply = client.request(&insert[..6]);
            assert!(
                matches!(reply, Value::Bulk(_)),
                "{}: {reply:?}",
                server.name
            );
            let select = client.line("TABLE.SELECT t WHERE k=9 COLUMNS 1 v");
            let row = Value::Array(vec![
                Value::Bulk(b"v".to_vec()),
                Value::Bulk(value.to_vec()),
            ]);
            assert!(select == Value::Array(vec![row]), "{}", server.name);
            let delete: [&[u8]; 6] = [b"TABLE.DELETE", b"t", b"WHERE", b"v", b"=", value];
            assert_eq!(
                client.request(&delete),
                Value::Integer(1),
                "{}",
                server.name
            );
        }
        assert_eq!(
            client.line("TABLE.SELECT t WHERE k=9"),
            Value::Array(Vec::new())
        );
        if *shards == 1 {
            // What chunks keep for the next long string is a few bytes, of the one that stays.
            let bytes = |info: &Value| match info {
                Value::Array(parts) => match &parts[7] {
                    Value::Integer(bytes) => *bytes,
                    other => panic!("no bytes: {other:?}"),
                },
                other => panic!("no map: {other:?}"),
            };
            let after = client.line("TABLE.INFO t");
            assert!(bytes(&after) - bytes(&before) < 1000, "{after:?}");
        }
    }
}
