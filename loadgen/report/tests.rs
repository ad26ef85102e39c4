//! Golden texts.

use super::*;
use crate::client::Counts;
use crate::cpu::CpuTime;
use crate::options::{Parsed, parse};
use crate::probe::ServerConfig;

/// A setup as the command line gives it, without asking a server.
fn setup(line: &str) -> Setup {
    let line = format!("--no-config-get {line}");
    let words: Vec<Vec<u8>> = line
        .split_whitespace()
        .map(|word| word.as_bytes().to_vec())
        .collect();
    let Ok(Parsed::Run(options)) = parse(&words) else {
        panic!("{line}")
    };
    let mut setup = Setup::new(*options, 1).unwrap();
    setup.configs = vec![Some(ServerConfig {
        save: "3600 1".to_owned(),
        appendonly: "no".to_owned(),
    })];
    setup
}

fn result(setup: &Setup) -> RunResult {
    let options = &setup.options;
    let mut latencies = crate::latency::histogram(options.compat, options.precision).unwrap();
    for (value, times) in [(23, 1), (63, 108), (79, 42), (103, 30), (559, 19)] {
        latencies.record_n(value, times).unwrap();
    }
    RunResult {
        title: "SET".to_owned(),
        payload_bytes: 3,
        elapsed: Duration::from_micros(720_400),
        latencies,
        counts: Counts {
            requests: 200,
            nulls: 4,
            bytes_in: 1_000_000,
            bytes_out: 9_000_000,
            ..Counts::default()
        },
        cpu: CpuTime {
            user: Duration::from_micros(100),
            system: Duration::from_micros(300),
        },
        busiest: 0.95,
        server_cpu: Some(Duration::from_micros(500)),
    }
}

const COMPAT: &str = "\
====== SET ======
  200 requests completed in 0.72 seconds
  50 parallel clients
  3 bytes payload
  keep alive: 1
  host configuration \"save\": 3600 1
  host configuration \"appendonly\": no
  multi-thread: no

Latency by percentile distribution:
0.000% <= 0.023 milliseconds (cumulative count 1)
50.000% <= 0.063 milliseconds (cumulative count 109)
75.000% <= 0.079 milliseconds (cumulative count 151)
87.500% <= 0.103 milliseconds (cumulative count 181)
93.750% <= 0.559 milliseconds (cumulative count 200)
100.000% <= 0.559 milliseconds (cumulative count 200)

Cumulative distribution of latencies:
90.500% <= 0.103 milliseconds (cumulative count 181)
100.000% <= 0.607 milliseconds (cumulative count 200)

Summary:
  throughput summary: 277.78 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.116     0.016     0.063     0.559     0.559     0.559
";

#[test]
fn compat_report_is_that_of_redis_benchmark() {
    let setup = setup("--compat");
    assert_eq!(run_text(&setup, &result(&setup)), COMPAT);
}

#[test]
fn report_adds_a_block_behind_the_summary() {
    let setup = setup("--threads 2 -k 0");
    let text = run_text(&setup, &result(&setup));
    assert!(text.contains("  keep alive: 0\n"), "{text}");
    assert!(
        text.contains("  multi-thread: yes\n  threads: 2\n\nLatency"),
        "{text}"
    );
    let (_, block) = text.split_once("     max\n").unwrap();
    assert_eq!(
        block,
        "        0.119     0.023     0.063     0.559     0.559     0.559
  latency detail (msec):
        p99.9    p99.99    stddev
        0.559     0.559     0.143
  null replies: 4  redirections: 0
  client cpu: 2.000 us/req (user 0.500 sys 1.500), busiest thread 95 %: the client limits this figure
  server cpu: 2.500 us/req (0 % of one core)
  net: in 1.39 MB/s, out 12.49 MB/s
"
    );
}

#[test]
fn quiet_and_csv_are_one_line() {
    let quiet = setup("-q");
    assert_eq!(
        run_text(&quiet, &result(&quiet)),
        "SET: 277.62 requests per second, p50=0.063 msec\n"
    );
    let csv = setup("--csv");
    assert_eq!(
        run_text(&csv, &result(&csv)),
        "\"SET\",\"277.62\",\"0.119\",\"0.023\",\"0.063\",\"0.559\",\"0.559\",\"0.559\"\n"
    );
    assert_eq!(
        CSV_HEAD,
        "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
         \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n"
    );
}

#[test]
fn configuration_that_was_not_told_is_left_out() {
    let mut setup = setup("--compat");
    setup.configs = vec![None];
    assert!(run_text(&setup, &result(&setup)).contains("  keep alive: 1\n  multi-thread: no\n"));
}

#[test]
fn json_of_a_run_carries_rates_latencies_and_costs() {
    let setup = setup("");
    let object = run_json(&setup, &result(&setup));
    assert_eq!(object["test"], "SET");
    assert_eq!(object["latency_us"]["p50"], 63);
    assert_eq!(object["latency_us"]["p99"], 559);
    assert_eq!(object["percentiles"][1], json!([50.0, 63, 109]));
    assert_eq!(object["server_cpu"]["per_req_us"], 2.5);
    assert_eq!(object["client_cpu"]["per_req_us"], 2.0);
}
