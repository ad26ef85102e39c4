//! Many cores, tables, and files of users.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use coordinator::route::SlotMap;
use protocol::value::Value;

use crate::support::client::Client;
use crate::support::server::{Server, scratch_directory};
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(20);

/// What a user is told about a key that it may not use.
const KEY: &str = "NOPERM this user has no permissions to access one of the keys used as arguments";

#[track_caller]
fn assert_error(client: &mut Client, line: &str, expected: &str) {
    let reply = client.line(line);
    assert_eq!(reply, Value::Error(expected.as_bytes().to_vec()), "{line}");
}

#[test]
fn a_change_of_rights_counts_on_all_cores_when_it_is_answered() {
    let server = Server::trestle(4, &[]);
    let mut operator = server.client();
    operator.ok("ACL SETUSER u on >p ~* &* +@all");
    let mut clients: Vec<Client> = (0..24).map(|_| server.client()).collect();
    for client in &mut clients {
        client.ok("AUTH u p");
    }
    for round in 0..20 {
        operator.ok("ACL SETUSER u -get");
        for client in &mut clients {
            let text = "NOPERM this user has no permissions to run the 'get' command";
            assert_error(client, &format!("GET key:{round}"), text);
        }
        operator.ok("ACL SETUSER u +@all");
        for client in &mut clients {
            assert_eq!(client.line(&format!("GET key:{round}")), Value::Null);
        }
    }
    assert_eq!(operator.line("ACL DELUSER u"), Value::Integer(1));
    for client in &mut clients {
        assert!(client.try_request(&["PING"]).is_err(), "it is closed");
    }
}

fn shard_of(client: &mut Client) -> String {
    let Value::Bulk(line) = client.line("CLIENT INFO") else {
        panic!("the line of a client");
    };
    let line = String::from_utf8(line).unwrap();
    let shard = line.trim().rsplit_once("shard=").unwrap().1;
    shard.to_owned()
}

#[test]
fn the_user_goes_with_a_connection_that_moves() {
    let server = Server::trestle(4, &[]);
    let mut operator = server.client();
    operator.ok("ACL SETUSER u on >p ~a* +get +auth +client");
    let mut client = server.client();
    client.ok("AUTH u p");
    let map = SlotMap::new(4);
    let mut seen = Vec::new();
    for round in 0..6 {
        let key = format!("a{round}");
        let has_moved = wait_until(LIMIT, || {
            for _ in 0..400 {
                assert_eq!(client.request(&["GET", &key]), Value::Null);
            }
            shard_of(&mut client) == map.shard_of_key(key.as_bytes()).0.to_string()
        });
        assert!(has_moved, "round {round}");
        seen.push(shard_of(&mut client));
        assert_error(&mut client, "GET b", KEY);
        operator.ok("ACL SETUSER u -get");
        let text = "NOPERM this user has no permissions to run the 'get' command";
        assert_error(&mut client, "GET a", text);
        operator.ok("ACL SETUSER u +get");
    }
    seen.dedup();
    assert!(seen.len() > 1, "it has moved: {seen:?}");
}

#[test]
fn a_table_counts_as_the_key_of_its_full_name() {
    let server = Server::trestle(3, &[]);
    let mut operator = server.client();
    operator.ok("TABLE.NAMESPACE.CREATE app");
    for table in ["app.one", "app.two", "plain"] {
        operator.ok(&format!("TABLE.SCHEMA.CREATE {table} n:integer"));
    }
    operator.ok(
        "ACL SETUSER u on nopass +@table +multi +exec +auth %R~app.* %W~app.two ~default.plain",
    );
    let mut client = server.client();
    client.ok("AUTH u x");
    assert_eq!(client.line("TABLE.COUNT app.one"), Value::Integer(0));
    assert_error(&mut client, "TABLE.INSERT app.one n=1", KEY);
    assert!(!matches!(
        client.line("TABLE.INSERT app.two n=1"),
        Value::Error(_)
    ));
    assert_error(&mut client, "TABLE.UPDATE app.one WHERE n=1 SET n=2", KEY);
    // The short name and the full one are one table.
    for name in ["plain", "default.plain"] {
        let reply = client.line(&format!("TABLE.INSERT {name} n=1"));
        assert!(!matches!(reply, Value::Error(_)), "{name}: {reply:?}");
    }
    assert_error(&mut client, "TABLE.COUNT other", KEY);
    assert_error(&mut client, "TABLE.EXPLAIN SELECT other", KEY);
    assert_error(
        &mut client,
        "TABLE.SCHEMA.ALTER plain RENAME TO app.one",
        KEY,
    );
    assert_error(&mut client, "TABLE.NAMESPACE.DROP app FORCE", KEY);
    operator.ok("ACL SETUSER u -@write");
    let text = "NOPERM this user has no permissions to run the 'TABLE.INSERT' command";
    assert_error(&mut client, "TABLE.INSERT plain n=1", text);
    assert_eq!(client.line("TABLE.COUNT plain"), Value::Integer(2));
}

fn directory(name: &str) -> PathBuf {
    let directory = scratch_directory().join(format!("acl-{name}-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn files_of_users_are_read_and_written_as_by_redis() {
    let directories = ["redis", "trestle"].map(directory);
    let first = "user bob on >pw ~x +get (~y +set)\n\nuser default on nopass ~* &* +@all\n";
    for directory in &directories {
        fs::write(directory.join("users.acl"), first).unwrap();
    }
    let flags = directories.each_ref().map(|directory| {
        let directory = directory.to_str().unwrap();
        ["--dir", directory, "--aclfile", "users.acl"]
    });
    let servers = [Server::redis(&flags[0]), Server::trestle(3, &flags[1])];
    let mut clients = servers.each_ref().map(Server::client);
    let mut check = |line: &str| {
        let replies = clients.each_mut().map(|client| client.line(line));
        assert_eq!(replies[0], replies[1], "{line}");
    };
    check("ACL LIST");
    check("CONFIG GET aclfile");
    check(
        "ACL SETUSER carl on #2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 +@hash %R~h*",
    );
    check("ACL SAVE");
    let written = || {
        let texts = directories
            .each_ref()
            .map(|it| fs::read_to_string(it.join("users.acl")).unwrap());
        assert_eq!(texts[0], texts[1]);
    };
    written();
    check("ACL DELUSER carl");
    check("ACL LOAD");
    check("ACL LIST");
    for text in [
        "user bob on\nfoo bar\n",
        "user bob on\nuser bob off\n",
        "user bob on +nosuch ~x\n# comment\nuser carl (+get\n",
        "user bob on (+nosuch) bad bad +other\n",
        "user\n",
        "USER bob on\n",
        "user bob \"x y\" on\n",
        "user bob  on\n",
        "user  bob\n",
        "user a\tb on\n",
        "  user bob on allkeys ~x\n",
        "user a on >x",
        "user default on nopass ~* &* +@all -debug\n",
    ] {
        for directory in &directories {
            fs::write(directory.join("users.acl"), text).unwrap();
        }
        check("ACL LOAD");
        check("ACL LIST");
    }
    for directory in &directories {
        fs::remove_file(directory.join("users.acl")).unwrap();
    }
    check("ACL LOAD");
    check("ACL SAVE");
    written();
}

#[test]
fn users_of_the_configuration_are_there_at_start() {
    let line = "bob on >pw ~x +get +auth (~y +set)";
    let server = Server::trestle(2, &["--user", line, "--user", "carl on nopass %W~*"]);
    let mut client = server.client();
    let mut operator = server.client();
    client.ok("AUTH bob pw");
    assert_error(&mut client, "GET y", KEY);
    client.ok("SET y 1");
    operator.ok("CONFIG SET requirepass secret");
    assert_error(
        &mut server.client(),
        "PING",
        "NOAUTH Authentication required.",
    );
    client.ok("AUTH secret");
    client.ok("AUTH carl x");
    let text = "NOPERM this user has no permissions to run the 'get' command";
    assert_error(&mut client, "GET y", text);
}
