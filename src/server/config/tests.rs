//! Tests of the configuration as a whole.

use std::collections::BTreeMap;
use std::io;

use super::docs::markdown;
use super::value::BufferLimit;
use super::*;

/// What CONFIG GET * of redis-server 7.0.15 shows when it is started with a port only; `port`,
/// `dir`, `pidfile` and `daemonize`, which that start sets, are left out.
const REDIS_DEFAULTS: &str = include_str!("redis_defaults.txt");

/// Defaults that differ from Redis on purpose.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "bind",
        "127.0.0.1 -::1",
        "a server that was not configured serves its own machine only",
    ),
    ("save", "", "snapshots are not built yet"),
];

/// Files in memory.
struct Memory(BTreeMap<&'static str, &'static str>);

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<String> {
        let name = path.to_str().unwrap();
        let text = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok((*text).to_owned())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let inside = |name: &&&str| Path::new(name).parent() == Some(directory);
        let names = self.0.keys().filter(inside);
        Ok(names
            .map(|name| name.rsplit('/').next().unwrap().to_owned())
            .collect())
    }
}

fn load_all(
    args: &[&str],
    environment: &[(&str, &str)],
    files: &[(&'static str, &'static str)],
) -> Result<Loaded, ConfigError> {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let environment: Vec<(String, String)> = environment
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    Config::load(
        &args,
        &environment,
        &Memory(files.iter().copied().collect()),
    )
}

#[track_caller]
fn load(args: &[&str]) -> Config {
    match load_all(args, &[], &[]) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn load_file(name: &'static str, text: &'static str) -> Config {
    match load_all(&[name], &[], &[(name, text)]) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn check_error(args: &[&str], files: &[(&'static str, &'static str)], expected: &str) {
    match load_all(args, &[], files) {
        Ok(_) => panic!("accepted, instead of: {expected}"),
        Err(error) => assert_eq!(error.to_string(), expected),
    }
}

fn value(config: &Config, name: &str) -> String {
    config
        .get(&[name])
        .first()
        .map(|(_, value)| value.clone())
        .unwrap_or_default()
}

#[test]
fn defaults_are_those_of_redis_but_for_the_listed_ones() {
    let config = Config::defaults();
    for line in REDIS_DEFAULTS.lines() {
        let (name, redis) = line.split_once('\t').unwrap_or((line, ""));
        let shown = config.get(&[name]);
        let [(_, ours)] = shown.as_slice() else {
            panic!("{name} is not declared")
        };
        match DIFFERENCES.iter().find(|(known, _, _)| *known == name) {
            Some((_, expected, _)) => {
                assert_eq!(ours, expected, "{name}");
                assert_ne!(ours, redis, "{name} is no difference any more");
            }
            None => assert_eq!(ours, redis, "{name}"),
        }
    }
}

#[test]
fn every_declaration_is_complete_and_unique() {
    let mut names: Vec<String> = Vec::new();
    let mut paths: Vec<String> = Vec::new();
    for directive in all() {
        names.extend(directive.names().map(str::to_owned));
        paths.extend(directive.toml.iter().map(|path| (*path).to_owned()));
        assert!(directive.summary.ends_with('.'), "{}", directive.name);
        let default = directive.default_value();
        assert_eq!(
            directive.refusal(&default),
            None,
            "{} refuses its default",
            directive.name
        );
        if let Status::Dormant { switch } = directive.status {
            let switch = find(switch).expect("the switch is declared");
            let waits = matches!(switch.status, Status::NotYet(_)) || !switch.only.0.is_empty();
            assert!(waits, "the switch of {} works", directive.name);
        }
    }
    for list in [&mut names, &mut paths] {
        list.sort();
        let count = list.len();
        list.dedup();
        assert_eq!(list.len(), count, "a name is declared twice");
    }
}

#[test]
fn every_default_is_read_back_from_its_own_text() {
    for slot in &Config::defaults().slots {
        let words = slot.value.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if matches!(slot.directive.kind, Kind::Renames) {
            continue;
        }
        let words = if words.is_empty() { vec![""] } else { words };
        let again = slot.directive.kind.parse(&words, &slot.value);
        assert_eq!(again.as_ref(), Ok(&slot.value), "{}", slot.directive.name);
    }
}

#[test]
fn the_documentation_is_in_step_with_the_declarations() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, markdown()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == markdown(),
        "run the tests with UPDATE_DOCS=1 to write docs/config.md"
    );
}

#[test]
fn later_layers_are_stronger() {
    let files = [("a.conf", "port 1\ntimeout 1\nhz 1\nmaxclients 1\n")];
    let environment = [
        ("TRESTLE_TIMEOUT", "2"),
        ("TRESTLE_SERVER_HZ", "2"),
        ("TRESTLE_MAXCLIENTS", "2"),
    ];
    let args = ["a.conf", "--hz", "3", "--maxclients", "3"];
    let mut config = load_all(&args, &environment, &files).ok().unwrap().config;
    config.set(&[("maxclients", "4")]).unwrap();
    let settings = config.settings();
    assert_eq!(
        (
            settings.port,
            settings.timeout_seconds,
            settings.hz,
            settings.clients_max
        ),
        (1, 2, 3, 4)
    );
    assert_eq!(settings.databases, 16);
}

#[test]
fn environment_refuses_unknown_names_but_not_those_of_kubernetes() {
    let error = load_all(&[], &[("TRESTLE_PROT", "1")], &[])
        .err()
        .unwrap()
        .to_string();
    assert_eq!(
        error,
        "environment variable TRESTLE_PROT: unknown directive; did you mean \
         'TRESTLE_PORT'?"
    );
    let kubernetes = [
        ("TRESTLE_PORT", "tcp://10.0.0.1:6379"),
        ("TRESTLE_SERVICE_HOST", "10.0.0.1"),
        ("TRESTLE_PORT_6379_TCP_ADDR", "10.0.0.1"),
        ("TRESTLE_METRICS_SERVICE_PORT_HTTP", "9090"),
        ("PATH", "/bin"),
    ];
    let config = load_all(&[], &kubernetes, &[]).ok().unwrap().config;
    assert_eq!(config.settings().port, 6379);
    let config = load_all(
        &[],
        &[("TRESTLE_CONFIG", "x.toml")],
        &[("x.toml", "server.port = 7\n")],
    );
    assert_eq!(config.ok().unwrap().config.settings().port, 7);
}

#[test]
fn command_line_is_read_as_redis_server_reads_it() {
    let config = load(&[
        "--port",
        "7000",
        "--bind",
        "127.0.0.1",
        "-::1",
        "--save",
        "--hz",
        "20",
    ]);
    assert_eq!(config.settings().port, 7000);
    assert_eq!(config.settings().bind.len(), 2);
    assert!(config.settings().bind[1].is_optional);
    assert_eq!(value(&config, "save"), "");
    let stdin = load_all(&["-", "--hz", "7"], &[], &[("-", "port 7001\n")])
        .ok()
        .unwrap()
        .config;
    assert_eq!((stdin.settings().port, stdin.settings().hz), (7001, 7));
    let pattern = [
        ("conf.d/a.conf", "port 1\n"),
        ("conf.d/b.conf", "port 2\n"),
        ("c", "port 3\n"),
    ];
    let config = load_all(&["--include", "conf.d/*.conf"], &[], &pattern)
        .ok()
        .unwrap()
        .config;
    assert_eq!(config.settings().port, 2);
}

#[test]
fn command_line_errors_name_the_option() {
    check_error(
        &["--port"],
        &[],
        "command line: port: wrong number of arguments",
    );
    check_error(
        &["--port", "abc"],
        &[],
        "command line: port: argument couldn't be parsed into an integer",
    );
    check_error(
        &["--check-confg"],
        &[],
        "command line: check-confg: unknown directive; did you mean 'check-config'?",
    );
    check_error(
        &["-p", "1"],
        &[],
        "command line: -p: options begin with two hyphens; see --help",
    );
    check_error(
        &["--loadmodule", "x.so", "max_scan_limit", "5"],
        &[],
        "command line: loadmodule: loading of modules is not built yet; the only accepted value \
         is ''",
    );
    check_error(
        &["--port", "0"],
        &[],
        "command line: port: the server would not listen anywhere; set port or unixsocket",
    );
    check_error(
        &["--shard-ports", "65535", "--shards", "2"],
        &[],
        "command line: shard-ports: the port of the last shard would be 65536",
    );
    check_error(
        &["a.conf", "--config", "b.conf"],
        &[("a.conf", "")],
        "command line: --config: there is a configuration file already",
    );
    check_error(&["no.conf"], &[], "no.conf: entity not found");
}

#[test]
fn options_that_stop_the_program_have_something_to_print() {
    let output = |args: &[&str]| load_all(args, &[], &[]).ok().unwrap().output();
    assert_eq!(output(&[]), None);
    assert!(output(&["-v"]).unwrap().contains(" v=7.4."));
    assert!(output(&["--version"]).unwrap().contains(" v=7.4."));
    assert!(output(&["--help"]).unwrap().contains("--check-config"));
    assert_eq!(
        output(&["--check-config"]).unwrap(),
        "the configuration is valid\n"
    );
    let dump = output(&["--dump-config", "--requirepass", "secret"]).unwrap();
    assert!(!dump.contains("secret"));
    let again: toml_edit::DocumentMut = dump.parse().unwrap();
    assert_eq!(again["server"]["port"].as_integer(), Some(6379));
}

#[test]
fn a_dump_is_a_valid_file_with_the_same_values() {
    let config = load(&[
        "--port",
        "7000",
        "--rename-command",
        "DEL",
        "D",
        "--maxmemory",
        "3gb",
    ]);
    let dump: &'static str = config.dump().leak();
    let again = load_file("dump.toml", dump);
    for (slot, other) in config.slots.iter().zip(&again.slots) {
        assert_eq!(slot.value, other.value, "{}", slot.directive.name);
    }
}

#[test]
fn redis_conf_errors_name_file_line_and_nearest_directive() {
    let check = |text, expected: &str| check_error(&["r.conf"], &[("r.conf", text)], expected);
    check(
        "# x\n\nprot 1\n",
        "r.conf:3: prot: unknown directive; did you mean 'port'?",
    );
    check("qwertyuiop 1\n", "r.conf:1: qwertyuiop: unknown directive");
    check("port \"1\n", "r.conf:1: port \"1: unbalanced quotes");
    check("port 1 2\n", "r.conf:1: port: wrong number of arguments");
    check(
        "hz 1\nappendonly yes\n",
        "r.conf:2: appendonly: the append-only log is not built yet; the only accepted value is 'no'",
    );
    check(
        "maxmemory-policy allkeys-lru\n",
        "r.conf:1: maxmemory-policy: eviction is not built yet; the only accepted value is \
         'noeviction'",
    );
    check(
        "include x y\n",
        "r.conf:1: include: wrong number of arguments",
    );
    check(
        "include none.conf\n",
        "r.conf:1: include: none.conf: entity not found",
    );
    check(
        "include r.conf\n",
        "r.conf:1: include: more than 16 files include each other",
    );
    check(
        "maxmemory 1xb\n",
        "r.conf:1: maxmemory: argument must be a memory value",
    );
    check(
        "databases 0\n",
        "r.conf:1: databases: argument must be between 1 and 65535 inclusive",
    );
    check(
        "bind nohost.example\n",
        "r.conf:1: bind: 'nohost.example' is not an IP address",
    );
}

#[test]
fn a_later_source_may_switch_off_what_is_not_built() {
    let files = [("r.conf", "appendonly yes\nsave 900 1\nsave 300 10\n")];
    let loaded = load_all(&["r.conf", "--appendonly", "no", "--save", ""], &[], &files);
    assert_eq!(value(&loaded.ok().unwrap().config, "save"), "");
}

#[test]
fn directives_without_effect_are_warned_about_once() {
    let files = [(
        "r.conf",
        "io-threads 4\nset-proc-title yes\nappendfsync always\n",
    )];
    let loaded = load_all(&["r.conf"], &[], &files).ok().unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "r.conf:1: io-threads has no effect here: every core does the I/O of its own clients; \
          see shards"
        ]
    );
    assert_eq!(value(&loaded.config, "io-threads"), "4");
    assert_eq!(value(&loaded.config, "appendfsync"), "always");
}

#[test]
fn words_are_split_and_quoted_as_in_redis() {
    use super::redis_conf::{quote, split_words};
    let words = split_words(r#" a "b \"c\" \x41\n" 'd''s' "#);
    assert_eq!(words, Err("a closing quote must be followed by a space"));
    let words = split_words(r#" a "b \"c\" \x41\n" 'd\'s' """#);
    assert_eq!(words.unwrap(), ["a", "b \"c\" A\n", "d's", ""]);
    assert_eq!(split_words("\"\\xff\""), Err("the text is not UTF-8"));
    for word in [
        "",
        "plain",
        "two words",
        "#",
        "q\"'\\",
        "tab\tnew\n\r\u{1}",
        "é",
    ] {
        assert_eq!(split_words(&quote(word)).unwrap(), [word]);
    }
}

#[test]
fn toml_takes_every_key_of_the_reference_while_features_are_off() {
    let config = load_file("reference.toml", REFERENCE);
    let settings = config.settings();
    assert_eq!(settings.port, 6379);
    assert_eq!(settings.memory_bytes_max, 8 << 30);
    assert_eq!(settings.data_dir, PathBuf::from("/var/lib/trestle"));
    assert_eq!(settings.log_format, settings::LogFormat::Json);
    assert_eq!(settings.log_level, settings::LogLevel::Notice);
    assert_eq!(value(&config, "cluster-replica-no-failover"), "no");
    assert_eq!(value(&config, "replication.backlog_size"), "104857600");
}

/// The sections of the operations guide, with what is not built switched off.
const REFERENCE: &str = r#"
[server]
bind = "0.0.0.0"
port = 6379
max_connections = 10000
timeout = 0
tcp_keepalive = 300
acl_file = ""

[storage]
backend = "memory"
data_dir = "/var/lib/trestle"
databases = 16
max_memory = 8589934592
max_key_size = 536870912
max_value_size = 536870912
hybridlog_mutable_size = 1073741824
hybridlog_readonly_size = 4294967296
hybridlog_auto_tiering = true
hybridlog_migration_threshold = 0.8

[persistence]
aof_enabled = false
aof_path = "/var/lib/trestle/appendonly.aof"
aof_sync = "everysec"
checkpoint_enabled = false
checkpoint_interval = 300
checkpoint_dir = "/var/lib/trestle/checkpoints"
backup_enabled = false
backup_schedule = "0 */6 * * *"
backup_retention = 7
backup_dir = "/var/lib/trestle/backups"

[persistence.cloud_backup]
enabled = false
provider = "s3"
bucket = "backups"
prefix = "prod/"
region = "us-east-1"

[replication]
replicaof = ""
replica_read_only = true
backlog_size = 104857600
repl_timeout = 60
reconnect_delay = 5

[tls]
enabled = false
port = 6380
cert_file = "/etc/trestle/tls/server.crt"
key_file = "/etc/trestle/tls/server.key"
ca_file = "/etc/trestle/tls/ca.crt"
require_client_cert = false
min_version = "1.2"

[acl]
enabled = false
acl_file = ""
default_user_password = ""

[cluster]
enabled = false
bus_port_offset = 10000
node_timeout = 15000
replica_count = 1
failover_enabled = true
min_primaries = 1
require_full_coverage = true

[metrics]
enabled = false
bind = "0.0.0.0"
port = 9090
path = "/metrics"

[logging]
level = "info"
format = "json"
file = "/var/log/trestle/trestle.log"
max_size = 0
max_backups = 5
"#;

#[test]
fn toml_errors_name_file_line_and_nearest_key() {
    let check = |text, expected: &str| check_error(&["t.toml"], &[("t.toml", text)], expected);
    check(
        "[server]\nprot = 1\n",
        "t.toml:2: server.prot: unknown directive; did you mean 'server.port'?",
    );
    check(
        "[sever]\nport = 1\n",
        "t.toml:1: sever: unknown directive; did you mean 'server'?",
    );
    check(
        "[server]\nport = 1\nport = 2\n",
        "t.toml:3: port: duplicate key",
    );
    check(
        "[server]\nport = [1]\n",
        "t.toml:2: server.port: must be one value, not an array",
    );
    check(
        "[server]\nport = { a = 1 }\n",
        "t.toml:2: server.port: must be a text, a number, true or false",
    );
    check(
        "[server]\nunixsocketperm = 0o777\n",
        "t.toml:2: server.unixsocketperm: must be a text of octal digits",
    );
    check(
        "[server]\nport = 70000\n",
        "t.toml:2: port: argument must be between 0 and 65535 inclusive",
    );
    check(
        "[server]\nacl_file = \"a\"\n[acl]\nacl_file = \"b\"\n",
        "t.toml:4: acl.acl_file: contradicts server.acl_file, which is the same directive",
    );
    check(
        "[persistence]\naof_enabled = true\n",
        "t.toml:2: appendonly: the append-only log is not built yet; the only accepted value is 'no'",
    );
}

#[test]
fn toml_has_lists_tables_and_a_section_for_the_rest() {
    let config = load_file(
        "t.toml",
        "[server]\nbind = [\"127.0.0.1\", \"::1\"]\n\
         client_output_buffer_limit = [\"normal 1mb 0 0\", \"pubsub 2mb 1mb 5\"]\n\
         [server.rename_commands]\nFLUSHALL = \"\"\nKEYS = \"K\"\n\
         [redis]\nio-threads = 2\nlua-time-limit = 5000\n",
    );
    let settings = config.settings();
    assert_eq!(settings.bind.len(), 2);
    assert_eq!(settings.output_limits.normal.hard_bytes, 1 << 20);
    let pubsub = BufferLimit {
        hard_bytes: 2 << 20,
        soft_bytes: 1 << 20,
        soft_seconds: 5,
    };
    assert_eq!(settings.output_limits.pubsub, pubsub);
    assert_eq!(settings.output_limits.replica.soft_seconds, 60);
    let pairs = [("FLUSHALL", ""), ("KEYS", "K")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(settings.renamed_commands, pairs);
    assert_eq!(value(&config, "io-threads"), "2");
}

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
    assert_eq!(config.get(&["save"]), [("save".to_owned(), String::new())]);
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
    check("appendonly", "yes", "the append-only log is not built yet");
    check("save", "900 1", "saving of snapshots is not built yet");
    check(
        "maxmemory-policy",
        "allkeys-lru",
        "eviction is not built yet",
    );
    let mut config = Config::defaults();
    let accepted = [
        ("appendonly", "no"),
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
