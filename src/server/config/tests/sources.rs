//! Tests of files, environment and command line.

use super::*;
use crate::config::redis_conf::{quote, split_words};
use crate::config::value::BufferLimit;

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
        "command line: max_scan_limit: argument must be between 1000 and 10000000 inclusive",
    );
    check_error(
        &["--loadmodule", "search.so"],
        &[],
        "command line: loadmodule: modules cannot be loaded; RedisTABLE (redistable.so) is built in",
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
        "hz 1\ndaemonize yes\n",
        "r.conf:2: daemonize: running in the background is not built yet; the only accepted value is 'no'",
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
    let files = [("r.conf", "daemonize yes\nsave 900 1\nsave 300 10\n")];
    let loaded = load_all(&["r.conf", "--daemonize", "no", "--save", ""], &[], &files);
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
        "[tls]\nenabled = true\n",
        "t.toml:2: tls-enabled: TLS is not built yet; the only accepted value is 'no'",
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
