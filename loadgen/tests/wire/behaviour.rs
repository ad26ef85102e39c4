//! What loadgen does beyond redis-benchmark, and how it fails.

use crate::support::{Proxy, Server, free_port, loadgen, loadgen_text, wait_until};
use serde_json::Value;

#[track_caller]
fn json(line: &str) -> Value {
    serde_json::from_str(&loadgen_text(&format!("{line} --json -"))).unwrap()
}

#[track_caller]
fn check_failure(line: &str, expected: &str) {
    let output = loadgen(line);
    assert_eq!(output.status.code(), Some(1), "{line}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains(expected), "{line}: {errors}");
}

#[test]
fn count_is_exact_unless_compat_rounds_it_up() {
    let server = Server::start(&[]);
    for (flags, expected) in [("", 10), ("--compat", 12), ("--threads 3", 10)] {
        server.ask("CONFIG RESETSTAT");
        loadgen_text(&format!(
            "-p {} -n 10 -P 4 -c 3 -t set {flags}",
            server.port
        ));
        assert_eq!(server.calls("set"), expected, "{flags}");
    }
}

#[test]
fn seed_gives_the_recorded_keys() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port);
    loadgen_text(&format!(
        "-p {} --seed 12345 -r 100 -t set -P 2 -c 1 -n 8",
        proxy.port
    ));
    let load = proxy.records().pop().unwrap();
    let load = String::from_utf8(load).unwrap();
    let keys: Vec<&str> = load
        .lines()
        .filter_map(|line| line.strip_prefix("key:0000000000"))
        .collect();
    assert_eq!(keys, ["99", "21", "73", "51", "21", "04", "37", "02"]);
}

#[test]
fn round_trip_costs_one_read_and_one_write() {
    let server = Server::start(&[]);
    for (pipeline, trips) in [(1, 5_000), (16, 5_000)] {
        let document = json(&format!(
            "-p {} -c 50 -P {pipeline} -n {} -t get",
            server.port,
            trips * pipeline
        ));
        let calls = &document["runs"][0]["system_calls"];
        let number = |name: &str| calls[name].as_u64().unwrap();
        // A reply may come in two pieces now and then.
        assert!(
            number("read") + number("write") <= 2 * trips + trips / 50,
            "{calls}"
        );
        assert!(number("epoll_wait") <= trips, "{calls}");
    }
}

#[test]
fn document_has_what_scripts_read() {
    let server = Server::start(&[]);
    let document = json(&format!(
        "-p {} -n 3000 -P 3 -c 5 -t get,mget --server-pid {}",
        server.port,
        server.pid()
    ));
    assert_eq!(document["tool"], "loadgen");
    assert_eq!(document["server"]["redis_version"], "7.0.15");
    let runs = document["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    let run = &runs[0];
    assert_eq!(
        (&run["test"], &run["requests"]),
        (&"GET".into(), &3000.into())
    );
    assert_eq!((&run["nulls"], &run["pipeline"]), (&3000.into(), &3.into()));
    assert_eq!(run["bytes_in"], 3000 * 5);
    assert_eq!(run["bytes_out"], 3000 * 36);
    for path in [
        "/rps",
        "/seconds",
        "/client_cpu/per_req_us",
        "/latency_us/p50",
        "/latency_us/p99.9",
        "/latency_us/max",
        "/server_cpu/per_req_us",
        "/server_cpu/total_s",
    ] {
        assert!(run.pointer(path).unwrap().as_f64().is_some(), "{path}");
    }
    assert_eq!(run["latency_us"]["kind"], "service");
}

#[test]
fn time_ends_a_run_and_warm_up_is_not_measured() {
    let server = Server::start(&[]);
    server.ask("CONFIG RESETSTAT");
    let document = json(&format!(
        "-p {} -c 4 --duration 0.2 --warmup 0.1 -t incr",
        server.port
    ));
    let run = &document["runs"][0];
    let (seconds, requests) = (
        run["seconds"].as_f64().unwrap(),
        run["requests"].as_u64().unwrap(),
    );
    assert!((0.2..2.0).contains(&seconds), "{seconds}");
    assert!(
        requests > 0 && requests < server.calls("incr"),
        "warm-up requests are left out"
    );
}

#[test]
fn warm_up_before_a_count_is_not_measured() {
    let server = Server::start(&[]);
    server.ask("CONFIG RESETSTAT");
    let document = json(&format!(
        "-p {} -c 4 -n 1000 --warmup 0.1 -t incr",
        server.port
    ));
    assert_eq!(document["runs"][0]["requests"], 1000);
    assert!(server.calls("incr") > 1000);
}

#[test]
fn every_kind_of_connection_works() {
    let server = Server::start(&[]);
    let socket = server.folder.join("socket");
    for flags in [
        format!("-s {} -t ping,set,lrange_100 -P 5", socket.display()),
        format!("-s {} -t set -k 0", socket.display()),
        format!("-p {} -t ping,set -k 0 -P 2", server.port),
        format!("-p {} -3 -t lrange_600,zpopmin,mget -P 8", server.port),
        format!(
            "-h localhost -p {} --threads 4 -t set,lrange_300",
            server.port
        ),
        format!("-p {} -3 --enable-tracking -r 10 -t get,set", server.port),
        format!("-u redis://127.0.0.1:{}/2 -t set", server.port),
        format!("-p {} -d 300000 -P 8 -n 64 -t set,get,xadd", server.port),
    ] {
        loadgen_text(&format!("-n 500 -c 6 -q {flags}"));
    }
    assert!(server.ask("INFO keyspace").contains("db2:"));
}

#[test]
fn failures_are_told_and_end_with_one() {
    let closed = free_port();
    check_failure(
        &format!("-p {closed}"),
        &format!("Could not connect to Redis at 127.0.0.1:{closed}: Connection refused"),
    );
    check_failure(
        "-s absent.sock",
        "Could not connect to Redis at absent.sock: No such file",
    );
    let server = Server::start(&["--requirepass", "x"]);
    let port = server.port;
    check_failure(&format!("-p {port}"), "NOAUTH Authentication required.");
    check_failure(&format!("-p {port} -a wrong"), "WRONGPASS");
    check_failure(
        &format!("-p {port} -a x -n 5 get"),
        "Error from server: ERR wrong number of arguments for 'get' command",
    );
    check_failure(
        &format!("-p {port} -a x --cluster"),
        "ERR This instance has cluster support",
    );
    check_failure(
        &format!("-p {port} --rps 5"),
        "The option --rps is not available",
    );
    // A server that ends without a reply: after QUIT the next request could cross the close on its
    // way and meet a reset instead.
    check_failure(
        &format!("-p {port} -a x -n 9 -c 1 shutdown nosave"),
        "Server closed the connection",
    );
}

/// Starts two nodes with half of the slots each, and waits until they form a cluster.
fn cluster() -> [Server; 2] {
    let enabled = ["--cluster-enabled", "yes"];
    let nodes = [Server::start(&enabled), Server::start(&enabled)];
    nodes[0].ask("CLUSTER ADDSLOTSRANGE 0 8191");
    nodes[1].ask("CLUSTER ADDSLOTSRANGE 8192 16383");
    nodes[1].ask("CLUSTER SET-CONFIG-EPOCH 2");
    nodes[0].ask(&format!("CLUSTER MEET 127.0.0.1 {}", nodes[1].port));
    for node in &nodes {
        wait_until("the cluster is complete", || {
            let info = node.ask("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384")
        });
    }
    nodes
}

#[test]
fn slots_that_move_are_followed() {
    let nodes = cluster();
    let line = format!(
        "--cluster -p {} -c 4 --duration 1.5 --json - get x{{tag}}",
        nodes[0].port
    );
    let load = std::thread::scope(|scope| {
        let load = scope.spawn(|| loadgen(&line));
        wait_until("the load is on", || nodes[0].calls("get") > 0);
        let answer = nodes[1].ask("CLUSTER MYID");
        let target = answer.lines().nth(1).unwrap();
        let moves: Vec<String> = (0..1000)
            .map(|slot| format!("CLUSTER SETSLOT {slot} NODE {target}"))
            .collect();
        for node in nodes.iter().rev() {
            node.ask(&moves.join("\r\n"));
        }
        load.join().unwrap()
    });
    assert!(
        load.status.success(),
        "{}",
        String::from_utf8_lossy(&load.stderr)
    );
    let document: Value = serde_json::from_slice(&load.stdout).unwrap();
    let run = &document["runs"][0];
    let (redirected, requests) = (
        run["redirections"].as_u64().unwrap(),
        run["requests"].as_u64().unwrap(),
    );
    assert!(redirected > 0, "some requests meet a slot that has moved");
    assert!(
        redirected < requests / 10,
        "{redirected} of {requests}: later ones know better"
    );
}

#[test]
fn cluster_gets_load_on_every_node() {
    let nodes = cluster();
    let text = loadgen_text(&format!(
        "--cluster -p {} -n 20000 -c 8 -r 1000 -P 4 -t set,get,mset,lpush,zadd",
        nodes[0].port
    ));
    assert!(
        text.starts_with("Cluster has 2 master nodes:\n\nMaster 0: "),
        "{text}"
    );
    assert!(text.contains("  cluster mode: yes (2 masters)\n  node [0] configuration:\n"));
    assert!(text.contains("redirections: 0"), "{text}");
    for node in &nodes {
        assert!(node.calls("set") > 0, "each node has a share");
    }
    loadgen_text(&format!(
        "--cluster -p {} -n 50 -c 1 -q get x{{tag}}",
        nodes[1].port
    ));
}
