//! Results as text, as rows of CSV and as JSON.
//!
//! Text and CSV have the shapes of redis-benchmark's, so that programs which read those read ours.
//! What is more stands in a block of its own behind the summary, and not at all with `--compat`.
//!
//! Source of the shapes: output of redis-benchmark 7.0.15.
//!
//! Not here: the arithmetic of distributions (`latency`), the line shown during a run (`progress`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::latency::{Row, count, cumulative_rows, msec, percentile_rows};
use crate::options::{Options, Output};
use crate::probe::name_of;
use crate::run::{RunResult, Setup};

/// Share of the window above which a client thread counts as saturated.
const SATURATED: f64 = 0.9;

/// The head of a CSV report, one line.
pub(crate) const CSV_HEAD: &str = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\
    \"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n";

/// Returns what stands before the first run in a cluster.
pub(crate) fn cluster_head(setup: &Setup) -> String {
    let mut text = format!("Cluster has {} master nodes:\n\n", setup.nodes.len());
    for (index, node) in setup.nodes.iter().enumerate() {
        push(
            &mut text,
            &format!("Master {index}: {} {}\n", node.id, name_of(&node.target)),
        );
    }
    text.push('\n');
    text
}

/// Returns the report of one run in the form that `setup` asks for.
pub(crate) fn run_text(setup: &Setup, result: &RunResult) -> String {
    match setup.options.output {
        Output::Full => full(setup, result),
        Output::Quiet => {
            let p50 = msec(result.latencies.value_at_quantile(0.5));
            format!(
                "{}: {:.2} requests per second, p50={p50:.3} msec\n",
                result.title,
                rps(&setup.options, result)
            )
        }
        Output::Csv => csv_row(&setup.options, result),
        Output::JsonOnly => String::new(),
    }
}

fn csv_row(options: &Options, result: &RunResult) -> String {
    let mut row = format!("\"{}\",\"{:.2}\"", result.title, rps(options, result));
    for value in summary(result) {
        push(&mut row, &format!(",\"{value:.3}\""));
    }
    row.push('\n');
    row
}

fn full(setup: &Setup, result: &RunResult) -> String {
    let options = &setup.options;
    let mut text = format!("====== {} ======\n", result.title);
    push(
        &mut text,
        &format!(
            "  {} requests completed in {:.2} seconds\n  {} parallel clients\n  {} bytes payload\n  \
             keep alive: {}\n",
            result.counts.requests,
            seconds(options, result),
            options.clients,
            result.payload_bytes,
            u8::from(options.keep_alive)
        ),
    );
    push_configs(&mut text, setup);
    let threads = if setup.is_multi_threaded { "yes" } else { "no" };
    push(&mut text, &format!("  multi-thread: {threads}\n"));
    if setup.is_multi_threaded {
        push(&mut text, &format!("  threads: {}\n", setup.threads));
    }
    text.push_str("\nLatency by percentile distribution:\n");
    push_rows(&mut text, &percentile_rows(&result.latencies));
    text.push_str("\nCumulative distribution of latencies:\n");
    push_rows(&mut text, &cumulative_rows(&result.latencies));
    push(
        &mut text,
        &format!(
            "\nSummary:\n  throughput summary: {:.2} requests per second\n  latency summary (msec):\n",
            rps(options, result)
        ),
    );
    push_columns(
        &mut text,
        &["avg", "min", "p50", "p95", "p99", "max"],
        &summary(result),
    );
    if !options.compat {
        push_more(&mut text, options, result);
    }
    text
}

/// Adds what the server told about itself.
fn push_configs(text: &mut String, setup: &Setup) {
    if setup.nodes.is_empty() {
        if let Some(Some(config)) = setup.configs.first() {
            push(
                text,
                &format!("  host configuration \"save\": {}\n", config.save),
            );
            push(
                text,
                &format!(
                    "  host configuration \"appendonly\": {}\n",
                    config.appendonly
                ),
            );
        }
        return;
    }
    push(
        text,
        &format!("  cluster mode: yes ({} masters)\n", setup.nodes.len()),
    );
    for (index, config) in setup.configs.iter().enumerate() {
        let Some(config) = config else { continue };
        let save = if config.save.is_empty() {
            "NONE"
        } else {
            &config.save
        };
        push(
            text,
            &format!("  node [{index}] configuration:\n    save: {save}\n"),
        );
        push(text, &format!("    appendonly: {}\n", config.appendonly));
    }
}

fn push_rows(text: &mut String, rows: &[Row]) {
    for Row {
        percent,
        value_us,
        count,
    } in rows
    {
        let value = msec(*value_us);
        push(
            text,
            &format!("{percent:.3}% <= {value:.3} milliseconds (cumulative count {count})\n"),
        );
    }
}

/// Adds a line of names and a line of values, in columns.
fn push_columns(text: &mut String, names: &[&str], values: &[f64]) {
    text.push_str("   ");
    for name in names {
        push(text, &format!(" {name:>9}"));
    }
    text.push_str("\n   ");
    for value in values {
        push(text, &format!(" {value:>9.3}"));
    }
    text.push('\n');
}

/// Adds the block that redis-benchmark does not have.
fn push_more(text: &mut String, options: &Options, result: &RunResult) {
    text.push_str("  latency detail (msec):\n");
    let detail = [
        msec(result.latencies.value_at_quantile(0.999)),
        msec(result.latencies.value_at_quantile(0.9999)),
        result.latencies.stdev() / 1000.0,
    ];
    push_columns(text, &["p99.9", "p99.99", "stddev"], &detail);
    let counts = &result.counts;
    let per_request = |time: Duration| time.as_secs_f64() * 1e6 / count(counts.requests).max(1.0);
    push(
        text,
        &format!(
            "  null replies: {}  redirections: {}\n  client cpu: {:.3} us/req (user {:.3} sys \
             {:.3}), busiest thread {:.0} %{}\n",
            counts.nulls,
            counts.redirects,
            per_request(result.cpu.total()),
            per_request(result.cpu.user),
            per_request(result.cpu.system),
            result.busiest * 100.0,
            if result.busiest > SATURATED {
                ": the client limits this figure"
            } else {
                ""
            }
        ),
    );
    if let Some(server) = result.server_cpu {
        push(
            text,
            &format!(
                "  server cpu: {:.3} us/req ({:.0} % of one core)\n",
                per_request(server),
                100.0 * server.as_secs_f64() / seconds(options, result).max(1e-9)
            ),
        );
    }
    let mega_per_second = |bytes: u64| count(bytes) / 1e6 / seconds(options, result).max(1e-9);
    push(
        text,
        &format!(
            "  net: in {:.2} MB/s, out {:.2} MB/s\n",
            mega_per_second(counts.bytes_in),
            mega_per_second(counts.bytes_out)
        ),
    );
}

/// Returns average, minimum, p50, p95, p99 and maximum in milliseconds.
fn summary(result: &RunResult) -> [f64; 6] {
    let latencies = &result.latencies;
    let at = |quantile| msec(latencies.value_at_quantile(quantile));
    [
        latencies.mean() / 1000.0,
        msec(latencies.min()),
        at(0.5),
        at(0.95),
        at(0.99),
        msec(latencies.max()),
    ]
}

/// Returns the length of the window; whole milliseconds with `--compat`.
fn seconds(options: &Options, result: &RunResult) -> f64 {
    if options.compat {
        count(u64::try_from(result.elapsed.as_millis()).unwrap_or(u64::MAX)) / 1000.0
    } else {
        result.elapsed.as_secs_f64()
    }
}

fn rps(options: &Options, result: &RunResult) -> f64 {
    count(result.counts.requests) / seconds(options, result)
}

fn push(text: &mut String, more: &str) {
    text.push_str(more);
}

/// Returns the JSON object of one run.
pub(crate) fn run_json(setup: &Setup, result: &RunResult) -> Value {
    let options = &setup.options;
    let latencies = &result.latencies;
    let counts = &result.counts;
    let requests = count(counts.requests).max(1.0);
    let mut latency = json!({
        "kind": if options.compat { "batch" } else { "service" },
        "min": latencies.min(),
        "mean": latencies.mean(),
        "stddev": latencies.stdev(),
        "max": latencies.max(),
    });
    for (name, quantile) in [
        ("p50", 0.5),
        ("p90", 0.9),
        ("p95", 0.95),
        ("p99", 0.99),
        ("p99.9", 0.999),
        ("p99.99", 0.9999),
    ] {
        latency[name] = json!(latencies.value_at_quantile(quantile));
    }
    let rows: Vec<Value> = percentile_rows(latencies)
        .iter()
        .map(|row| json!([row.percent, row.value_us, row.count]))
        .collect();
    let mut object = json!({
        "test": result.title,
        "requests": counts.requests,
        "seconds": result.elapsed.as_secs_f64(),
        "rps": rps(options, result),
        "clients": options.clients,
        "threads": setup.threads,
        "pipeline": options.pipeline,
        "payload_bytes": result.payload_bytes,
        "latency_us": latency,
        "percentiles": rows,
        "nulls": counts.nulls,
        "redirections": counts.redirects,
        "bytes_in": counts.bytes_in,
        "bytes_out": counts.bytes_out,
        "client_cpu": {
            "user_s": result.cpu.user.as_secs_f64(),
            "sys_s": result.cpu.system.as_secs_f64(),
            "per_req_us": result.cpu.total().as_secs_f64() * 1e6 / requests,
            "max_thread_busy": result.busiest,
        },
        "system_calls": {
            "epoll_wait": counts.polls, "read": counts.reads, "write": counts.writes,
        },
    });
    if let Some(server) = result.server_cpu {
        object["server_cpu"] = json!({
            "total_s": server.as_secs_f64(),
            "per_req_us": server.as_secs_f64() * 1e6 / requests,
        });
    }
    object
}

/// Returns the whole JSON document.
///
/// `server` is an excerpt of the server's INFO, `started_unix_ms` when the first run began.
pub(crate) fn document(
    setup: &Setup,
    argv: &[String],
    server: &Value,
    started_unix_ms: u64,
    runs: &[Value],
) -> Value {
    let options = &setup.options;
    let read = |path: &str| {
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let cpu_model = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map(|(_, model)| model.trim().to_owned());
    json!({
        "tool": "loadgen",
        "version": env!("CARGO_PKG_VERSION"),
        "started_unix_ms": started_unix_ms,
        "argv": argv,
        "host": {
            "kernel": read("/proc/sys/kernel/osrelease"),
            "cpus": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            "cpu_model": cpu_model,
        },
        "server": server,
        "config": {
            "target": name_of(&options.target),
            "cluster_nodes": setup.nodes.len(),
            "keep_alive": options.keep_alive,
            "keyspace": options.keyspace,
            "count_by": options.count_by,
            "data_bytes": options.data_bytes,
            "seed": options.seed,
            "warmup_s": options.warmup.as_secs_f64(),
            "resp": if options.resp3 { 3 } else { 2 },
            "compat": options.compat,
        },
        "runs": runs,
    })
}

#[cfg(test)]
mod tests;
