//! Table statements beside everything else that the server does: MULTI, WATCH, scripts, databases, memory,
//! events, caching clients, the slow log. With one shard, with several, and with tables that are spread from
//! their second row on.

use std::time::Duration;

use protocol::value::Value;

use crate::support::client::{Client, value_of};
use crate::support::server::Server;
use crate::support::wait::wait_until;

/// Shards and flags of the servers that each test asks.
const SERVERS: &[(u32, &[&str])] = &[(1, &[]), (4, &[]), (4, &["--table-spread-rows", "1"])];

fn on_all(flags: &[&str], test: impl Fn(&Server, &mut Client)) {
    for (shards, more) in SERVERS {
        let server = Server::trestle(*shards, &[more, flags].concat());
        let mut client = server.client();
        client.ok("TABLE.NAMESPACE.CREATE n");
        client.ok("TABLE.SCHEMA.CREATE n.t id:integer:hash name:string");
        for id in 1..=3 {
            let reply = client.line(&format!("TABLE.INSERT n.t id={id} name=name{id}"));
            assert_eq!(reply, bulk(&id.to_string()), "{}", server.name);
        }
        test(&server, &mut client);
    }
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

fn array(values: &[Value]) -> Value {
    Value::Array(values.to_vec())
}

fn row(id: u32) -> Value {
    let texts = [
        "id".to_owned(),
        id.to_string(),
        "name".to_owned(),
        format!("name{id}"),
    ];
    Value::Array(texts.iter().map(|text| bulk(text)).collect())
}

fn error(text: &str) -> Value {
    Value::Error(text.as_bytes().to_vec())
}

fn simple(text: &str) -> Value {
    Value::Simple(text.as_bytes().to_vec())
}

#[test]
fn multi_mixes_keys_and_tables_in_the_order_of_its_commands() {
    on_all(&[], |server, client| {
        client.ok("MULTI");
        for line in [
            "SET one 1",
            "TABLE.INSERT n.t id=4 name=name4",
            "INCR one",
            "TABLE.SELECT n.t WHERE id=4",
            "TABLE.UPDATE n.t WHERE id=4 SET name=other",
            "TABLE.DELETE n.t WHERE id>1",
            "TABLE.SELECT n.t",
            "GET one",
        ] {
            assert_eq!(
                client.line(line),
                simple("QUEUED"),
                "{}: {line}",
                server.name
            );
        }
        let expected = array(&[
            simple("OK"),
            bulk("4"),
            Value::Integer(2),
            array(&[row(4)]),
            Value::Integer(1),
            Value::Integer(3),
            array(&[row(1)]),
            bulk("2"),
        ]);
        assert_eq!(client.line("EXEC"), expected, "{}", server.name);
    });
}

#[test]
fn tables_can_be_made_and_changed_inside_of_multi() {
    on_all(&[], |server, client| {
        client.ok("MULTI");
        for line in [
            "TABLE.NAMESPACE.CREATE m",
            "TABLE.SCHEMA.CREATE m.t a:integer",
            "TABLE.INSERT m.t a=1",
            "TABLE.SCHEMA.ALTER m.t ADD INDEX a",
            "TABLE.SELECT m.t WHERE a=1",
            "TABLE.DROP m.t FORCE",
            "TABLE.NAMESPACE.VIEW m",
        ] {
            assert_eq!(
                client.line(line),
                simple("QUEUED"),
                "{}: {line}",
                server.name
            );
        }
        let expected = array(&[
            simple("OK"),
            simple("OK"),
            bulk("1"),
            simple("OK"),
            array(&[array(&[bulk("a"), bulk("1")])]),
            simple("OK"),
            array(&[]),
        ]);
        assert_eq!(client.line("EXEC"), expected, "{}", server.name);
    });
}

#[test]
fn a_watched_table_spoils_exec_when_another_client_has_changed_it() {
    on_all(&[], |server, client| {
        for change in [
            "TABLE.INSERT n.t id=7 name=x",
            "TABLE.UPDATE n.t WHERE id=1 SET name=y",
            "TABLE.DELETE n.t WHERE id=2",
            "TABLE.SCHEMA.ALTER n.t ADD COLUMN c:string",
            "FLUSHDB",
        ] {
            client.ok("WATCH n.t");
            server.client().line(change);
            client.ok("MULTI");
            client.line("PING");
            assert_eq!(
                client.line("EXEC"),
                Value::NullArray,
                "{}: {change}",
                server.name
            );
        }
    });
}

#[test]
fn a_watched_table_that_was_only_read_lets_exec_pass() {
    on_all(&[], |server, client| {
        client.ok("WATCH n.t");
        server.client().line("TABLE.SELECT n.t WHERE id=1");
        server
            .client()
            .line("TABLE.UPDATE n.t WHERE id=99 SET name=y");
        client.ok("MULTI");
        client.line("PING");
        let expected = array(&[simple("PONG")]);
        assert_eq!(client.line("EXEC"), expected, "{}", server.name);
    });
}

#[test]
fn scripts_mix_keys_and_tables() {
    on_all(&[], |server, client| {
        let script = "redis.call('SET', KEYS[2], 'x') \
                      local id = redis.call('TABLE.INSERT', KEYS[1], 'id=9', 'name=name9') \
                      return {id, redis.call('TABLE.SELECT', 'n.t', 'WHERE', 'id=9'), redis.call('GET', KEYS[2])}";
        let reply = client.request(&["EVAL", script, "2", "n.t", "key"]);
        let expected = array(&[bulk("4"), array(&[row(9)]), bulk("x")]);
        assert_eq!(reply, expected, "{}", server.name);
    });
}

#[test]
fn databases_have_tables_of_their_own() {
    on_all(&[], |server, client| {
        let missing = error("ERR table schema does not exist");
        client.ok("SELECT 3");
        assert_eq!(client.line("TABLE.SELECT n.t"), missing, "{}", server.name);
        client.ok("SWAPDB 0 3");
        assert_eq!(client.line("TABLE.SELECT n.t WHERE id=2"), array(&[row(2)]));
        client.ok("FLUSHDB");
        assert_eq!(client.line("TABLE.SELECT n.t"), missing);
        client.ok("SWAPDB 0 3");
        client.ok("TABLE.NAMESPACE.CREATE n");
        client.ok("FLUSHALL");
        client.ok("TABLE.NAMESPACE.CREATE n");
    });
}

#[test]
fn rows_take_memory_and_short_of_it_they_are_refused_but_never_evicted() {
    on_all(&["--maxmemory-policy", "allkeys-lru"], |server, client| {
        client.ok("CONFIG SET maxmemory 1");
        let refused = error("OOM command not allowed when used memory > 'maxmemory'.");
        for line in [
            "TABLE.INSERT n.t id=4",
            "TABLE.UPDATE n.t WHERE id=1 SET name=x",
            "TABLE.SCHEMA.CREATE n.u a:string",
        ] {
            assert_eq!(client.line(line), refused, "{}: {line}", server.name);
        }
        let rows = array(&[row(1), row(2), row(3)]);
        assert_eq!(client.line("TABLE.SELECT n.t"), rows, "{}", server.name);
        assert_eq!(
            client.line("TABLE.DELETE n.t WHERE id=3"),
            Value::Integer(1)
        );
        client.ok("CONFIG SET maxmemory 0");
    });
}

#[test]
fn events_tell_of_changes_by_the_name_of_the_table() {
    on_all(&["--notify-keyspace-events", "KEd"], |server, client| {
        let mut listener = server.client();
        listener.line("PSUBSCRIBE __keyevent@0__:table.*");
        for (line, event) in [
            ("TABLE.INSERT n.t id=4", "table.insert"),
            ("TABLE.UPDATE n.t WHERE id=4 SET name=x", "table.update"),
            ("TABLE.DELETE n.t WHERE id=4", "table.delete"),
            ("TABLE.DROP n.t FORCE", "table.drop"),
        ] {
            client.line(line);
            let told = value_of(&listener.read_reply().unwrap());
            let Value::Array(parts) = told else {
                panic!("{}: {told:?}", server.name)
            };
            let channel = format!("__keyevent@0__:{event}");
            assert_eq!(parts[2..], [bulk(&channel), bulk("n.t")], "{}", server.name);
        }
    });
}

#[test]
fn a_client_that_caches_a_table_is_told_of_its_changes() {
    on_all(&[], |server, client| {
        let mut caching = server.client();
        caching.line("HELLO 3");
        caching.ok("CLIENT TRACKING ON");
        caching.line("TABLE.SELECT n.t WHERE id=1");
        client.line("TABLE.UPDATE n.t WHERE id=1 SET name=x");
        let told = value_of(&caching.read_reply().unwrap());
        let expected = Value::Push(vec![bulk("invalidate"), array(&[bulk("n.t")])]);
        assert_eq!(told, expected, "{}", server.name);
        caching.line("TABLE.SELECT n.t WHERE id=1");
        client.line("TABLE.INSERT n.t id=5");
        let told = value_of(&caching.read_reply().unwrap());
        assert_eq!(told, expected, "{}", server.name);
    });
}

#[test]
fn slow_log_and_statistics_know_table_commands() {
    on_all(&["--slowlog-log-slower-than", "0"], |server, client| {
        client.ok("SLOWLOG RESET");
        client.line("TABLE.SELECT n.t WHERE id=1");
        let found = wait_until(Duration::from_secs(5), || {
            format!("{:?}", client.line("SLOWLOG GET 10")).contains(&format!(
                "{:?}",
                [
                    bulk("TABLE.SELECT"),
                    bulk("n.t"),
                    bulk("WHERE"),
                    bulk("id=1")
                ]
            ))
        });
        assert!(found, "{}", server.name);
        // The words are those of the client, on whatever core a row was stored.
        client.ok("SLOWLOG RESET");
        for _ in 0..4 {
            client.line("TABLE.INSERT n.t id=4 name=x");
        }
        let found = wait_until(Duration::from_secs(5), || {
            let log = format!("{:?}", client.line("SLOWLOG GET 50"));
            let words = [
                bulk("TABLE.INSERT"),
                bulk("n.t"),
                bulk("id=4"),
                bulk("name=x"),
            ];
            log.matches(&format!("{words:?}")).count() == 4
        });
        assert!(found, "{}", server.name);
        let Value::Bulk(text) = client.line("INFO commandstats") else {
            panic!("INFO gives text")
        };
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains("cmdstat_TABLE.SELECT:calls=1,"),
            "{}: {text}",
            server.name
        );
        assert!(
            text.contains("cmdstat_TABLE.INSERT:calls=7,"),
            "{}: {text}",
            server.name
        );
    });
}

#[test]
fn the_module_shows_as_one_and_its_limit_can_be_set() {
    let load = [
        "--loadmodule",
        "/lib/redistable.so",
        "max_scan_limit",
        "5000",
    ];
    on_all(&load, |server, client| {
        let modules = client.line("MODULE LIST");
        let expected = array(&[array(&[
            bulk("name"),
            bulk("table"),
            bulk("ver"),
            Value::Integer(1),
            bulk("path"),
            bulk("/lib/redistable.so"),
            bulk("args"),
            array(&[bulk("max_scan_limit"), bulk("5000")]),
        ])]);
        assert_eq!(modules, expected, "{}", server.name);
        let Value::Bulk(text) = client.line("INFO modules") else {
            panic!("INFO gives text")
        };
        let line = "module:name=table,ver=1,api=1,filters=0,usedby=[],using=[],options=[]";
        assert!(String::from_utf8(text).unwrap().contains(line));
        let limit = client.line("CONFIG GET max_scan_limit");
        assert_eq!(limit, array(&[bulk("max_scan_limit"), bulk("5000")]));
        client.ok("CONFIG SET max_scan_limit 1000");
        for id in 4..=1001 {
            client.line(&format!("TABLE.INSERT n.t id={id} name=x"));
        }
        let passed = "ERR query scan limit exceeded (max 100000 rows). Use indexed columns or add more \
                      specific conditions.";
        let reply = client.line("TABLE.SELECT n.t WHERE name=x");
        assert_eq!(reply, error(passed), "{}", server.name);
        for wrong in ["999", "10000001", "abc"] {
            let reply = client.line(&format!("CONFIG SET max_scan_limit {wrong}"));
            assert!(matches!(reply, Value::Error(_)), "{wrong}: {reply:?}");
        }
    });
}

#[test]
fn command_knows_keys_flags_and_categories() {
    let server = Server::trestle(1, &[]);
    let mut client = server.client();
    let keys = client.line("COMMAND GETKEYS TABLE.SELECT n.t WHERE a=1");
    assert_eq!(keys, array(&[bulk("n.t")]));
    let reply = format!("{:?}", client.line("COMMAND INFO table.select"));
    for word in ["TABLE.SELECT", "readonly", "@read", "@slow", "@table", "RO"] {
        let bytes = format!("{:?}", word.as_bytes());
        assert!(reply.contains(&bytes), "{word}: {reply}");
    }
    let reply = format!("{:?}", client.line("COMMAND INFO table.insert"));
    for word in ["write", "denyoom", "@write", "@table", "RW"] {
        let bytes = format!("{:?}", word.as_bytes());
        assert!(reply.contains(&bytes), "{word}: {reply}");
    }
}

#[test]
fn rows_that_end_are_told_of_and_spoil_a_watch() {
    let flags = [
        "--notify-keyspace-events",
        "KEd",
        "--enable-debug-command",
        "yes",
    ];
    on_all(&flags, |server, client| {
        let mut listener = server.client();
        listener.line("PSUBSCRIBE __keyevent@0__:table.expired");
        client.ok("DEBUG SET-ACTIVE-EXPIRE 0");
        client.line("TABLE.UPDATE n.t WHERE id=2 PXAT 1");
        client.ok("WATCH n.t");
        client.ok("DEBUG SET-ACTIVE-EXPIRE 1");
        let told = value_of(&listener.read_reply().unwrap());
        let Value::Array(parts) = told else {
            panic!("{}: {told:?}", server.name)
        };
        assert_eq!(parts[3], bulk("n.t"), "{}", server.name);
        client.ok("MULTI");
        client.line("PING");
        assert_eq!(client.line("EXEC"), Value::NullArray, "{}", server.name);
        assert_eq!(client.line("TABLE.COUNT n.t"), Value::Integer(2));
    });
}

#[test]
fn a_unique_index_may_be_added_while_rows_that_are_over_have_its_values() {
    // Nothing is swept.
    on_all(&["--enable-debug-command", "yes"], |server, client| {
        client.ok("DEBUG SET-ACTIVE-EXPIRE 0");
        for id in [1, 2] {
            client.line(&format!("TABLE.INSERT n.t id={id} name=again PXAT 1"));
        }
        assert_eq!(
            client.line("TABLE.COUNT n.t"),
            Value::Integer(3),
            "{}",
            server.name
        );
        client.ok("TABLE.SCHEMA.ALTER n.t ADD INDEX name:btree UNIQUE");
        let reply = client.line("TABLE.INSERT n.t id=9 name=name1");
        assert_eq!(
            reply,
            error("ERR a row with this value of name exists already"),
            "{}",
            server.name
        );
        client.line("TABLE.INSERT n.t id=9 name=again");
        let found = client.line("TABLE.COUNT n.t WHERE name=again");
        assert_eq!(found, Value::Integer(1), "{}", server.name);
    });
}

#[test]
fn statements_about_one_row_by_its_id_do_what_they_do_by_any_condition() {
    on_all(&[], |server, client| {
        let name = &server.name;
        for (line, expected) in [
            ("TABLE.COUNT n.t WHERE _id=2", Value::Integer(1)),
            ("TABLE.SELECT n.t WHERE _id=2", array(&[row(2)])),
            ("TABLE.SELECT n.t WHERE _id = 2 AND id=3", array(&[])),
            (
                "TABLE.UPDATE n.t WHERE _id=2 AND id=2 SET name=x",
                Value::Integer(1),
            ),
            (
                "TABLE.UPDATE n.t WHERE _id=2 SET id=id+5",
                Value::Integer(1),
            ),
            (
                "TABLE.SELECT n.t WHERE id=7 COLUMNS 2 _id name",
                array(&[array(&[bulk("_id"), bulk("2"), bulk("name"), bulk("x")])]),
            ),
            ("TABLE.DELETE n.t WHERE _id=77", Value::Integer(0)),
            ("TABLE.DELETE n.t WHERE _id=2", Value::Integer(1)),
            ("TABLE.DELETE n.t WHERE _id=2", Value::Integer(0)),
            ("TABLE.COUNT n.t", Value::Integer(2)),
        ] {
            assert_eq!(client.line(line), expected, "{name}: {line}");
        }
        client.ok("WATCH n.t");
        server
            .client()
            .line("TABLE.UPDATE n.t WHERE _id=3 SET name=z");
        client.ok("MULTI");
        client.line("PING");
        assert_eq!(client.line("EXEC"), Value::NullArray, "{name}");
        client.ok("TABLE.SCHEMA.ALTER n.t ADD INDEX name:hash UNIQUE");
        assert_eq!(
            client.line("TABLE.UPDATE n.t WHERE _id=3 SET name=name1"),
            error("ERR a row with this value of name exists already"),
            "{name}"
        );
    });
}
