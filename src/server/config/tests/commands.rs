//! Tests of CONFIG GET, SET and REWRITE, and of reloading.

use super::*;

#[test]
fn config_get_shows_names_as_redis_does() {
    let config = Config::defaults();
    let names = |patterns: &[&str]| -> Vec<String> {
        config
            .get(patterns)
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    };
    assert_eq!(names(&["SAVE"]), ["SAVE"]);
    let points = "3600 1 300 100 60 10000".to_owned();
    assert_eq!(config.get(&["save"]), [("save".to_owned(), points)]);
    assert_eq!(
        names(&["*-read-only"]),
        ["replica-read-only", "slave-read-only"]
    );
    assert_eq!(names(&["hz", "h[z]", "dynamic-hz"]), ["hz", "dynamic-hz"]);
    assert_eq!(names(&["server.port"]), ["server.port"]);
    assert!(names(&["server.*"]).contains(&"server.port".to_owned()));
    assert!(!names(&["*"]).iter().any(|name| name.contains('.')));
    assert!(names(&["rename-command", "user", "include", "nosuch"]).is_empty());
    assert!(!names(&["*"]).contains(&"rename-command".to_owned()));
}

#[track_caller]
fn check_set(pairs: &[(&str, &str)], expected: &str) {
    let mut config = Config::defaults();
    let before = config.get(&["*"]);
    let settings = config.settings().clone();
    match config.set(pairs) {
        Ok(_) => panic!("accepted, instead of: {expected}"),
        Err(error) => assert_eq!(error.to_string(), expected),
    }
    assert!(
        config.get(&["*"]) == before,
        "a refused CONFIG SET changed a value"
    );
    assert_eq!(config.settings(), &settings);
}

#[track_caller]
fn check_refused(name: &str, text: &str, shown: &str, why: &str) {
    let expected =
        format!("ERR CONFIG SET failed (possibly related to argument '{shown}') - {why}");
    check_set(&[("timeout", "77"), (name, text)], &expected);
}

#[test]
fn config_set_changes_all_or_nothing() {
    let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'noSuch'";
    check_set(&[("timeout", "7"), ("noSuch", "1")], unknown);
    check_refused("TIMEOUT", "8", "timeout", "duplicate parameter");
    check_refused("databases", "3", "databases", "can't set immutable config");
    check_refused("dir", "/", "dir", "can't set protected config");
    let mut config = Config::defaults();
    let changes = config
        .set(&[("timeout", "7"), ("HZ", "10"), ("maxmemory", "1KB")])
        .unwrap();
    assert_eq!(changes.names, ["timeout", "maxmemory"]);
    assert_eq!(config.settings().memory_bytes_max, 1024);
    config.revert(changes);
    assert_eq!(config.settings(), Config::defaults().settings());
}

#[test]
fn config_set_refuses_with_the_words_of_redis() {
    let check = |name, text, why| check_refused(name, text, name, why);
    check("hz", "abc", "argument couldn't be parsed into an integer");
    for text in ["+5", "05", " 5", "", "-0", "99999999999999999999"] {
        check("hz", text, "argument couldn't be parsed into an integer");
    }
    check(
        "tcp-keepalive",
        "-1",
        "argument must be between 0 and 2147483647 inclusive",
    );
    check(
        "maxclients",
        "0",
        "argument must be between 1 and 4294967295 inclusive",
    );
    for text in ["-5", "1.5gb", "1 gb", "", "gb"] {
        check("maxmemory", text, "argument must be a memory value");
    }
    let from_a_megabyte = "argument must be between 1048576 and 9223372036854775807 inclusive";
    check("proto-max-bulk-len", "1", from_a_megabyte);
    check(
        "client-query-buffer-limit",
        "99999999999999999999",
        from_a_megabyte,
    );
    let huge = "9".repeat(60) + "gb";
    check_refused(
        "proto-max-bulk-len",
        &huge,
        "proto-max-bulk-len",
        from_a_megabyte,
    );
    check("protected-mode", "maybe", "argument must be 'yes' or 'no'");
    check(
        "maxmemory-policy",
        "foo",
        "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, \
         volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction",
    );
    check(
        "maxmemory-clients",
        "101%",
        "percentage argument must be less or equal to 100",
    );
    check(
        "maxmemory-clients",
        "x",
        "argument must be a memory or percent value",
    );
}

#[test]
fn config_set_refuses_lists_with_the_words_of_redis() {
    let check = |name, text, why| check_refused(name, text, name, why);
    check("save", "1 2 3", "Invalid save parameters");
    check("save", "0 1", "Invalid save parameters");
    let limits = "client-output-buffer-limit";
    check(
        limits,
        "normal 1 2",
        "Wrong number of arguments in buffer limit configuration.",
    );
    check(
        limits,
        "master 1 2 3",
        "Invalid client class specified in buffer limit configuration.",
    );
    check(
        limits,
        "normal -1 2 3",
        "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
    );
    let percentiles = "latency-tracking-info-percentiles";
    check(
        percentiles,
        "50 abc",
        "Invalid latency-tracking-info-percentiles parameters",
    );
    check(
        percentiles,
        "50 100.1",
        "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
    );
    check(
        "notify-keyspace-events",
        "Qz",
        "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
    );
    check_refused(
        "SLAVE-PRIORITY",
        "abc",
        "slave-priority",
        "argument couldn't be parsed into an integer",
    );
    check("oom-score-adj-values", "1 2", "wrong number of arguments");
}

#[test]
fn config_set_refuses_what_is_not_built() {
    let check = |name, text, why| check_refused(name, text, name, why);
    check(
        "activedefrag",
        "yes",
        "active defragmentation is not built yet",
    );
    let mut config = Config::defaults();
    let accepted = [
        ("save", ""),
        ("maxmemory-policy", "noeviction"),
        ("hz", "0"),
    ];
    assert!(config.set(&accepted).is_ok());
    assert_eq!(config.settings().hz, 1);
    assert_eq!(value(&config, "hz"), "1");
}

#[test]
fn config_set_keeps_the_forms_redis_shows() {
    let mut config = Config::defaults();
    let mut check = |name: &str, text: &str, shown: &str| {
        assert!(config.set(&[(name, text)]).is_ok(), "{name} {text}");
        assert_eq!(value(&config, name), shown);
    };
    check(
        "client-output-buffer-limit",
        "normal 1gb 2mb 3 replica 1 2 3",
        "normal 1073741824 2097152 3 slave 1 2 3 pubsub 33554432 8388608 60",
    );
    check(
        "latency-tracking-info-percentiles",
        "50.0 99.90 12.345678",
        "50 99.9 12.345678",
    );
    check("latency-tracking-info-percentiles", "", "");
    check("loglevel", "DEBUG", "debug");
    check("loglevel", "warn", "warning");
    check("maxmemory", "18446744073709551615", "18446744073709551615");
    check("hz", "1000", "500");
    check("server.timeout", "9", "9");
}

#[test]
fn rewriting_needs_a_file() {
    let none = Memory(BTreeMap::new());
    let error = load(&["--port", "1"]).rewrite(&none).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ERR The server is running without a config file"
    );
}

const WRITTEN: &str = "# my config\nport   7000\n\n  timeout 5 \n# middle\nslave-read-only yes\n\
                       maxmemory 1gb\nrename-command FLUSHALL \"\"\nhz 5\nhz 6\n\
                       client-output-buffer-limit normal 1mb 2 3\n";

#[test]
fn rewriting_redis_conf_keeps_what_has_not_changed() {
    let files = Memory(BTreeMap::from([("r.conf", WRITTEN)]));
    let mut config = load_file("r.conf", WRITTEN);
    assert_eq!(config.rewrite(&files).unwrap().text, WRITTEN);
    let pairs = [
        ("maxmemory", "3gb"),
        ("requirepass", "a b\"c"),
        ("hz", "20"),
        ("proto-max-bulk-len", "536870913"),
        ("client-output-buffer-limit", "pubsub 1mb 1mb 1"),
    ];
    assert!(config.set(&pairs).is_ok());
    let text = config.rewrite(&files).unwrap().text;
    let expected = "# my config\nport   7000\n\n  timeout 5 \n# middle\nslave-read-only yes\n\
                    maxmemory 3gb\nrename-command FLUSHALL \"\"\nhz 20\n\
                    client-output-buffer-limit normal 1048576 2 3\n\
                    client-output-buffer-limit slave 268435456 67108864 60\n\
                    client-output-buffer-limit pubsub 1048576 1048576 1\n\n\
                    # Generated by CONFIG REWRITE\nproto-max-bulk-len 536870913\n\
                    requirepass \"a b\\\"c\"\n";
    assert_eq!(text, expected);
    let text: &'static str = text.leak();
    let again = load_file("r.conf", text);
    assert_eq!(again.settings(), config.settings());
    let files = Memory(BTreeMap::from([("r.conf", text)]));
    assert_eq!(again.rewrite(&files).unwrap().text, text);
}

#[test]
fn rewriting_toml_keeps_comments_and_order() {
    let text = "# mine\n[server]\nport = 7000 # here\nmax_connections = 5\n\n[cluster]\n\
                failover_enabled = true\n\n[redis]\nhz = 5\n";
    let files = Memory(BTreeMap::from([("t.toml", text)]));
    let mut config = load_file("t.toml", text);
    assert_eq!(config.rewrite(&files).unwrap().text, text);
    let pairs = [
        ("maxclients", "6"),
        ("hz", "7"),
        ("cluster-replica-no-failover", "yes"),
        ("maxmemory", "1gb"),
        ("io-threads", "1"),
    ];
    assert!(config.set(&pairs[..4]).is_ok());
    assert!(config.set(&pairs[4..]).is_err());
    let rewritten = config.rewrite(&files).unwrap().text;
    let expected = "# mine\n[server]\nport = 7000 # here\nmax_connections = 6\n\n[cluster]\n\
                    failover_enabled = false\n\n[redis]\nhz = 7\n\n[storage]\n\
                    max_memory = 1073741824\n";
    assert_eq!(rewritten, expected);
    let again = load_file("t.toml", rewritten.leak());
    assert_eq!(again.settings(), config.settings());
}

#[test]
fn a_reload_takes_what_may_change_and_names_the_rest() {
    let mut config = load_all(
        &["r.conf", "--hz", "9"],
        &[],
        &[("r.conf", "port 1\nhz 5\n")],
    )
    .ok()
    .unwrap()
    .config;
    let new = Memory(BTreeMap::from([(
        "r.conf",
        "port 2\nhz 6\ntimeout 3\nio-threads 2\n",
    )]));
    let reloaded = config.reload(&new).ok().unwrap();
    assert_eq!(reloaded.changed, ["timeout"]);
    assert_eq!(reloaded.need_restart, ["port", "io-threads"]);
    assert_eq!(config.settings().port, 1);
    assert_eq!(config.settings().timeout_seconds, 3);
    let bad = Memory(BTreeMap::from([("r.conf", "timeout 4\nbad 1\n")]));
    assert!(config.reload(&bad).is_err());
    assert_eq!(config.settings().timeout_seconds, 3);
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let directory = std::env::temp_dir().join(format!("trestle-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("r.conf");
    std::fs::write(&path, "old").unwrap();
    loader::replace_file(&path, "new\n").unwrap();
    assert_eq!(loader::Disk.read(&path).unwrap(), "new\n");
    assert_eq!(loader::Disk.list(&directory).unwrap(), ["r.conf"]);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn rewriting_leaves_alone_what_other_sources_say() {
    let files = [
        ("r.conf", "include i.conf\nhz 5\n"),
        ("i.conf", "timeout 3\n"),
    ];
    let environment = [("TRESTLE_HZ", "9"), ("TRESTLE_REQUIREPASS", "secret")];
    let args = ["r.conf", "--tcp-keepalive", "7"];
    let config = load_all(&args, &environment, &files).ok().unwrap().config;
    assert_eq!(config.settings().timeout_seconds, 3);
    let text = config
        .rewrite(&Memory(files.into_iter().collect()))
        .unwrap()
        .text;
    let added = "\n# Generated by CONFIG REWRITE\ntcp-keepalive 7\n";
    assert_eq!(text, format!("include i.conf\nhz 5\n{added}"));
}
