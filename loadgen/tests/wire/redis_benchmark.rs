//! The same flags, the same bytes, the same readable output as the installed redis-benchmark.

use crate::support::{Proxy, Server, loadgen, masked, redis_benchmark};

/// The tests that redis-benchmark 7.0 has.
const CLASSIC: &str =
    "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange,mset";

/// Runs both tools with `flags` against `server` through a proxy and compares what they sent.
#[track_caller]
fn check_bytes(server: &Server, flags: &str) {
    let record = |is_ours: bool| {
        // Replies of lists depend on what is there already; requests do not. Empty is quick.
        server.ask("FLUSHALL");
        let proxy = Proxy::start(server.port);
        let line = format!("-p {} {flags}", proxy.port);
        let output = if is_ours {
            loadgen(&line)
        } else {
            redis_benchmark(&line)
        };
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        proxy.records()
    };
    let (theirs, ours) = (record(false), record(true));
    let text = |records: &[Vec<u8>]| -> Vec<String> {
        let has_randoms = flags.contains("-r ");
        let shown = |record: &Vec<u8>| {
            if has_randoms {
                masked(record)
            } else {
                record.escape_ascii().to_string()
            }
        };
        records.iter().map(shown).collect()
    };
    assert_eq!(text(&theirs), text(&ours), "{flags}");
    assert!(ours.len() > 1, "the proxy saw the load");
}

#[test]
fn named_tests_send_the_same_bytes() {
    let server = Server::start(&[]);
    for more in [
        "",
        "-P 4",
        "-d 100",
        "-k 0",
        "-3",
        "--dbnum 3",
        "-P 3 -d 20 -q",
        "--threads 1",
    ] {
        check_bytes(&server, &format!("-c 1 -n 12 -t {CLASSIC} {more}"));
    }
}

#[test]
fn named_tests_with_random_keys_send_the_same_bytes_but_for_digits() {
    let server = Server::start(&[]);
    for more in ["-r 1000", "-r 100000 -P 4", "-r 0"] {
        check_bytes(&server, &format!("-c 1 -n 12 -t {CLASSIC} {more}"));
    }
}

#[test]
fn rounded_up_batches_send_the_same_bytes() {
    let server = Server::start(&[]);
    let flags = "-c 1 -n 10 -P 4 -t set";
    // When the replies of the last batch come in several reads, redis-benchmark 7.0.15 ends its only
    // client at the count and then takes its absence for a failure. A run in which that happens says
    // nothing about the bytes.
    let theirs = (0..100).find_map(|_| {
        let proxy = Proxy::start(server.port);
        let output = redis_benchmark(&format!("-p {} {flags}", proxy.port));
        output.status.success().then(|| proxy.records())
    });
    let proxy = Proxy::start(server.port);
    let output = loadgen(&format!("-p {} {flags} --compat", proxy.port));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(theirs.expect("one run in 100 succeeds"), proxy.records());
}

#[test]
fn custom_commands_send_the_same_bytes() {
    let server = Server::start(&[]);
    for more in [
        "set foo bar",
        "-r 50 -P 2 hset h __rand_int__ x__rand_int__",
        "-d 50 mset __rand_int__ \"\\x41\" b c",
        "-r 10 lpush __rand_int__{tag} -n 5",
    ] {
        check_bytes(&server, &format!("-c 1 -n 8 {more}"));
    }
}

#[test]
fn prefix_of_a_connection_sends_the_same_bytes() {
    let server = Server::start(&["--requirepass", "x"]);
    let record = |is_ours: bool| {
        let proxy = Proxy::start(server.port);
        let line = format!(
            "-p {} -c 1 -n 3 -t set -a x --user default --dbnum 3 -3 --enable-tracking",
            proxy.port
        );
        let output = if is_ours {
            loadgen(&line)
        } else {
            redis_benchmark(&line)
        };
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        proxy.records()
    };
    let (theirs, ours) = (record(false), record(true));
    assert_eq!(theirs, ours);
}

#[test]
fn many_connections_send_as_many_bytes_in_all() {
    let server = Server::start(&[]);
    let record = |is_ours: bool| {
        let proxy = Proxy::start(server.port);
        let line = format!("-p {} -c 10 -n 200 -P 4 -t set,lrange_100", proxy.port);
        let output = if is_ours {
            loadgen(&line)
        } else {
            redis_benchmark(&line)
        };
        assert!(output.status.success());
        proxy.records().concat().len()
    };
    assert_eq!(record(false), record(true));
}

#[test]
fn effect_on_the_server_is_the_same() {
    let server = Server::start(&[]);
    let count = |is_ours: bool| {
        server.ask("CONFIG RESETSTAT");
        let line = format!("-p {} -c 7 -n 700 -P 10 -r 50 -t {CLASSIC}", server.port);
        let output = if is_ours {
            loadgen(&line)
        } else {
            redis_benchmark(&line)
        };
        assert!(output.status.success());
        [
            "ping",
            "set",
            "get",
            "incr",
            "lpush",
            "rpop",
            "sadd",
            "hset",
            "spop",
            "zadd",
            "zpopmin",
            "lrange",
            "mset",
            "config|get",
        ]
        .map(|command| (command, server.calls(command)))
    };
    assert_eq!(count(false), count(true));
}

/// Reads lines `TITLE: R requests per second, p50=L msec`, as scripts for redis-benchmark do.
fn parse_quiet(output: &[u8]) -> Vec<(String, f64, f64)> {
    let text = String::from_utf8_lossy(output);
    let lines = text
        .split(['\r', '\n'])
        .filter(|line| line.contains("requests per second"));
    lines
        .map(|line| {
            let (title, rest) = line.rsplit_once(": ").unwrap();
            let (rps, rest) = rest.split_once(" requests per second, p50=").unwrap();
            let p50 = rest.strip_suffix(" msec").unwrap();
            (title.to_owned(), rps.parse().unwrap(), p50.parse().unwrap())
        })
        .collect()
}

/// Reads rows of eight quoted columns behind a head.
fn parse_csv(output: &[u8]) -> (String, Vec<(String, Vec<f64>)>) {
    let text = String::from_utf8_lossy(output);
    let mut lines = text.lines();
    let head = lines.next().unwrap().to_owned();
    let rows = lines.map(|line| {
        let line = line.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        let mut cells = line.split("\",\"").map(str::to_owned);
        let title = cells.next().unwrap();
        (title, cells.map(|cell| cell.parse().unwrap()).collect())
    });
    (head, rows.collect())
}

/// Reads the two lines of a summary.
fn parse_summary(output: &[u8]) -> Vec<f64> {
    let text = String::from_utf8_lossy(output);
    let mut lines = text.lines();
    let throughput = lines
        .find_map(|line| line.strip_prefix("  throughput summary: "))
        .unwrap();
    let mut numbers = vec![
        throughput
            .strip_suffix(" requests per second")
            .unwrap()
            .parse()
            .unwrap(),
    ];
    assert_eq!(lines.next(), Some("  latency summary (msec):"));
    assert_eq!(
        lines.next(),
        Some("          avg       min       p50       p95       p99       max")
    );
    numbers.extend(
        lines
            .next()
            .unwrap()
            .split_whitespace()
            .map(|n| n.parse::<f64>().unwrap()),
    );
    numbers
}

#[test]
fn one_parser_reads_the_quiet_lines_of_both() {
    let server = Server::start(&[]);
    let line = format!("-p {} -n 500 -c 5 -q -t {CLASSIC}", server.port);
    let (theirs, ours) = (
        parse_quiet(&redis_benchmark(&line).stdout),
        loadgen(&line).stdout,
    );
    assert!(ours.ends_with(b" msec\n\n"), "an empty line ends the suite");
    let ours = parse_quiet(&ours);
    let titles = |rows: &[(String, f64, f64)]| -> Vec<String> {
        rows.iter().map(|row| row.0.clone()).collect()
    };
    assert_eq!(titles(&theirs), titles(&ours));
    assert!(ours.iter().all(|(_, rps, p50)| *rps > 0.0 && *p50 > 0.0));
}

#[test]
fn one_parser_reads_the_csv_of_both() {
    let server = Server::start(&[]);
    let line = format!("-p {} -n 500 -c 5 --csv -t {CLASSIC}", server.port);
    let theirs = parse_csv(&redis_benchmark(&line).stdout);
    let ours = parse_csv(&loadgen(&line).stdout);
    assert_eq!(theirs.0, ours.0);
    assert_eq!(theirs.1.len(), ours.1.len());
    for (theirs, ours) in theirs.1.iter().zip(&ours.1) {
        assert_eq!(theirs.0, ours.0);
        assert_eq!((theirs.1.len(), ours.1.len()), (7, 7));
    }
}

#[test]
fn one_parser_reads_the_summary_of_both() {
    let server = Server::start(&[]);
    let line = format!("-p {} -n 500 -c 5 -t get", server.port);
    for output in [
        redis_benchmark(&line).stdout,
        loadgen(&line).stdout,
        loadgen(&format!("{line} --compat")).stdout,
    ] {
        assert_eq!(parse_summary(&output).len(), 7);
    }
}

#[test]
fn full_report_has_the_same_lines_but_for_numbers() {
    let server = Server::start(&[]);
    // Distributions differ from run to run: what stands before and behind them must not.
    let shape = |output: Vec<u8>| -> Vec<String> {
        let text = String::from_utf8(output).unwrap();
        let text = text.rsplit('\r').next().unwrap().to_owned();
        let is_row = |line: &&str| line.contains("milliseconds (cumulative count");
        let lines = text.lines().filter(|line| !is_row(line));
        lines
            .map(|line| {
                line.split(|c: char| c.is_ascii_digit() || c == '.')
                    .collect::<String>()
            })
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    for flags in ["-n 2000 -c 5 -t get", "-n 2000 -c 5 --threads 2 set a b"] {
        let line = format!("-p {} {flags}", server.port);
        assert_eq!(
            shape(redis_benchmark(&line).stdout),
            shape(loadgen(&format!("--compat {line}")).stdout)
        );
    }
}
