#!/usr/bin/env python3
"""Compares trestle with redis-server on one core, round by round in alternation.

    benches/compare.py [--rounds 5] [--keys 100000,1000000] [--quick | --scale S] [--only PART]

Each server runs on the first processor, its client on the second. A cell is one client, one
command, one number of connections and one pipeline depth; in every round each server gets it once,
in turn. Printed are medians over the rounds, their spread, the server's CPU time per request (from
/proc/PID/task/*/schedstat) and the ratio redis/trestle of that time or trestle/redis of the rate.

Parts: wire (redis-benchmark as the client), light (loadgen as the client), types (all tests of
redis-benchmark, with both clients), shards (two shards, all keys local against half of them
remote), idle (8 shards, 1,000 idle connections), pubsub (one publisher, 1,000 subscribers to its
channel; also with two shards on both processors).
"""

import argparse
import glob
import json
import os
import platform
import random
import re
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SERVER_CPU, CLIENT_CPU = "0", "1"


def program(name):
    path = os.environ.get(name.upper() + "_BIN") or os.path.join(ROOT, "target", "release", name)
    if not os.path.exists(path):
        sys.exit(f"{path} is missing: cargo build --release --workspace")
    return path


def free_port(count=1):
    """Returns the first of `count` ports below the range that clients draw theirs from."""
    while True:
        first = random.randrange(20000, 30000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


class Server:
    def __init__(self, name, argv, cpu, port):
        self.name, self.port = name, port
        self.dir = tempfile.mkdtemp(prefix="compare-")
        command = argv + ["--port", str(port), "--dir", self.dir, "--save", ""]
        if cpu is not None:
            command = ["taskset", "-c", cpu] + command
        # The server takes variables that begin with TRESTLE_ for directives.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TRESTLE_")}
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        self.pid = self.process.pid
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit(f"{name} does not listen")

    def cpu_seconds(self):
        total = 0
        for path in glob.glob(f"/proc/{self.pid}/task/*/schedstat"):
            try:
                with open(path) as file:
                    total += int(file.read().split()[0])
            except OSError:
                pass
        return total / 1e9

    def fill(self, keys):
        pipe = subprocess.Popen(
            ["taskset", "-c", CLIENT_CPU, "redis-cli", "-p", str(self.port), "--pipe"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for first in range(0, keys, 10000):
            block = []
            for key in range(first, min(first + 10000, keys)):
                block.append(
                    f"*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012d}\r\n$16\r\nabcdefghijklmnop\r\n")
            pipe.stdin.write("".join(block).encode())
        pipe.stdin.close()
        pipe.wait()

    def total(self, field):
        """Adds up a figure over all shards, from the lines `shardN:...,field=M` of INFO."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"INFO trestle\r\n")
            data = b""
            while field.encode() not in data or not data.endswith(b"\r\n\r\n"):
                part = connection.recv(65536)
                if not part:
                    break
                data += part
        return sum(int(number) for number in re.findall(field + r"=(\d+)", data.decode()))

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def redis_benchmark(server, test, clients, pipeline, requests, keys):
    command = ["taskset", "-c", CLIENT_CPU, "redis-benchmark", "-p", str(server.port), "-t", test,
               "-n", str(requests), "-r", str(keys), "-P", str(pipeline), "-c", str(clients),
               "-d", "16", "--csv"]
    before = server.cpu_seconds()
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    cpu = server.cpu_seconds() - before
    row = output.strip().splitlines()[-1].replace('"', "").split(",")
    return float(row[1]), cpu / requests * 1e6, float(row[4])


def loadgen(server, test, clients, pipeline, requests, keys, extra=()):
    command = ["taskset", "-c", CLIENT_CPU, program("loadgen"), "-p", str(server.port), "-t", test,
               "-n", str(requests), "-r", str(keys), "-P", str(pipeline), "-c", str(clients),
               "-d", "16", "-q", "--json", "-", "--server-pid", str(server.pid), *extra]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # LRANGE fills its list first, as a run of its own.
    run = json.loads(output[output.index("{"):])["runs"][-1]
    return run["rps"], run["server_cpu"]["per_req_us"], run["latency_us"]["p50"] / 1000


def show(title, values):
    """values: per server a list of (rate, cpu, p50)."""
    medians = {}
    for name, rows in values.items():
        rates = [row[0] for row in rows]
        cpus = [row[1] for row in rows]
        medians[name] = (statistics.median(rates), statistics.median(cpus))
        print(f"{title:34s} {name:8s} {statistics.median(rates):12.0f}/s "
              f"({min(rates):.0f}..{max(rates):.0f})  cpu {statistics.median(cpus):7.3f} us/req "
              f"({min(cpus):.3f}..{max(cpus):.3f})  p50 {statistics.median(r[2] for r in rows):.3f} ms")
    ours, theirs = medians["trestle"], medians["redis"]
    print(f"{title:34s} ratio    rate {ours[0] / theirs[0]:5.2f}x   "
          f"cpu redis/trestle {theirs[1] / ours[1]:5.2f}x  trestle/redis {ours[1] / theirs[1]:5.2f}x",
          flush=True)


def one_core(parts, rounds, key_counts, scale):
    cells = [(1, 1, 40_000), (8, 1, 100_000), (50, 1, 200_000), (50, 16, 1_500_000), (50, 64, 4_000_000)]
    for keys in key_counts:
        servers = [
            Server("trestle", [program("trestle"), "--shards", "1", "--pin-cores", "no"],
                   SERVER_CPU, free_port()),
            Server("redis", ["redis-server"], SERVER_CPU, free_port()),
        ]
        for server in servers:
            server.fill(keys)
        for part, client in (("wire", redis_benchmark), ("light", loadgen)):
            if part not in parts:
                continue
            for test in ("get", "set"):
                for clients, pipeline, requests in cells:
                    values = {server.name: [] for server in servers}
                    count = max(pipeline * clients, int(requests * scale))
                    for _ in range(rounds):
                        for server in servers:
                            values[server.name].append(
                                client(server, test, clients, pipeline, count, keys))
                    show(f"{part} {test} {keys // 1000}k keys c{clients} P{pipeline}", values)
        for server in servers:
            server.stop()


# Test, and requests of a cell at pipeline depths 1 and 16.
TESTS = [
    ("ping_inline", 60_000, 600_000), ("ping_mbulk", 60_000, 600_000), ("set", 60_000, 600_000),
    ("get", 60_000, 600_000), ("incr", 60_000, 600_000), ("lpush", 60_000, 600_000),
    ("rpush", 60_000, 600_000), ("lpop", 60_000, 600_000), ("rpop", 60_000, 600_000),
    ("sadd", 60_000, 600_000), ("hset", 60_000, 600_000), ("spop", 60_000, 600_000),
    ("zadd", 60_000, 600_000), ("zpopmin", 60_000, 600_000), ("lrange_100", 20_000, 60_000),
    ("lrange_300", 10_000, 20_000), ("lrange_500", 6_000, 10_000), ("lrange_600", 6_000, 10_000),
    ("mset", 30_000, 100_000), ("xadd", 60_000, 300_000),
]


def types(rounds, scale, client, title):
    """All tests of redis-benchmark on one core, with 100,000 random keys and members."""
    ratios = {1: [], 16: []}
    # redis-benchmark 7.0 has no test of streams.
    tests = [test for test in TESTS if client is loadgen or test[0] != "xadd"]
    for test, shallow, deep in tests:
        for pipeline, requests in ((1, shallow), (16, deep)):
            values = {"trestle": [], "redis": []}
            count = max(pipeline * 50, int(requests * scale)) // pipeline * pipeline
            for _ in range(rounds):
                for name, argv in (("trestle", [program("trestle"), "--shards", "1",
                                                "--pin-cores", "no"]), ("redis", ["redis-server"])):
                    # A server for each, as tests leave their data behind.
                    server = Server(name, argv, SERVER_CPU, free_port())
                    if test in ("lpop", "rpop", "spop", "zpopmin"):
                        before = {"lpop": "lpush", "rpop": "rpush", "spop": "sadd", "zpopmin": "zadd"}
                        client(server, before[test], 50, 16, count, 100_000)
                    values[name].append(client(server, test, 50, pipeline, count, 100_000))
                    server.stop()
            show(f"{title} {test} P{pipeline}", values)
            cpu = [statistics.median(row[1] for row in values[name]) for name in ("redis", "trestle")]
            ratios[pipeline].append(cpu[0] / cpu[1])
    for pipeline, of in ratios.items():
        print(f"{title} P{pipeline}: redis/trestle server CPU per request, median {statistics.median(of):.2f}, "
              f"lowest {min(of):.2f} ({tests[of.index(min(of))][0]})", flush=True)


def both_cores(server, ports, pipeline, requests, extra=()):
    """Runs a client on each processor at once; returns the server's CPU time per request."""
    before = server.cpu_seconds()
    clients = []
    for cpu, port in zip((SERVER_CPU, CLIENT_CPU), ports):
        clients.append(subprocess.Popen(
            ["taskset", "-c", cpu, program("loadgen"), "-p", str(port), "-t", "get", "-n",
             str(requests), "-r", "100000", "-P", str(pipeline), "-c", "25", "-q", *extra],
            stdout=subprocess.DEVNULL))
    for client in clients:
        if client.wait() != 0:
            sys.exit("loadgen has failed")
    return (server.cpu_seconds() - before) / (2 * requests) * 1e6


def shards(rounds, scale):
    """Two shards on two processors, which they share with two clients: every key on the core of its
    connection, or half of them on the other."""
    first = free_port(4)
    server = Server(
        "trestle", [program("trestle"), "--shards", "2", "--spin-us", "0", "--shard-ports",
                    str(first + 1)], None, first)
    server.fill(100_000)
    for pipeline, requests in ((1, 100_000), (16, 1_000_000), (64, 3_000_000)):
        count = int(requests * scale)
        local, mixed = [], []
        start = server.total("remote_received")
        for _ in range(rounds):
            local.append(both_cores(server, (first + 1, first + 2), pipeline, count, ("--cluster",)))
        between = server.total("remote_received")
        for _ in range(rounds):
            mixed.append(both_cores(server, (first, first), pipeline, count))
        after = server.total("remote_received")
        share = (after - between) / (2 * count * rounds)
        print(f"two shards P{pipeline}: local {statistics.median(local):.3f} us/req "
              f"({min(local):.3f}..{max(local):.3f}, {between - start} remote), "
              f"mixed {statistics.median(mixed):.3f} ({min(mixed):.3f}..{max(mixed):.3f}, "
              f"{share * 100:.0f} % remote), ratio "
              f"{statistics.median(mixed) / statistics.median(local):.2f}x", flush=True)
    server.stop()


def idle():
    server = Server("trestle", [program("trestle"), "--shards", "8"], None, free_port())
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1000)]
    time.sleep(2)
    before, begun = server.cpu_seconds(), time.monotonic()
    time.sleep(10)
    spent = (server.cpu_seconds() - before) / (time.monotonic() - begun)
    print(f"idle: 8 shards, {len(connections)} connections: {spent * 100:.2f} % of one CPU over 10 s")
    server.stop()


SUBSCRIBERS, PUBLISH_PIPELINE = 1000, 10


def publish_to_all(server, messages):
    """Publishes `messages` messages to SUBSCRIBERS clients and waits until all have come.

    Returns deliveries per second, and the server's CPU time per delivery in microseconds. This
    process reads for all subscribers and may be what limits the rate; the CPU time is not.
    """
    poll = select.epoll()
    subscribers = {}
    for _ in range(SUBSCRIBERS):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(b"SUBSCRIBE channel\r\n")
        told = b"*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n"
        assert connection.recv(len(told), socket.MSG_WAITALL) == told
        connection.setblocking(False)
        poll.register(connection, select.EPOLLIN)
        subscribers[connection.fileno()] = connection
    publisher = socket.create_connection(("127.0.0.1", server.port))
    request = b"*3\r\n$7\r\nPUBLISH\r\n$7\r\nchannel\r\n$16\r\nabcdefghijklmnop\r\n"
    reply = b":%d\r\n" % SUBSCRIBERS
    frame = b"*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$16\r\nabcdefghijklmnop\r\n"
    missing, buffer = messages * SUBSCRIBERS * len(frame), bytearray(1 << 18)
    before, begun = server.cpu_seconds(), time.monotonic()
    for _ in range(messages // PUBLISH_PIPELINE):
        publisher.sendall(request * PUBLISH_PIPELINE)
        replies = publisher.recv(len(reply) * PUBLISH_PIPELINE, socket.MSG_WAITALL)
        assert replies == reply * PUBLISH_PIPELINE, replies
        for number, _ in poll.poll(0):
            missing -= subscribers[number].recv_into(buffer)
    while missing > 0:
        for number, _ in poll.poll(10):
            missing -= subscribers[number].recv_into(buffer)
    seconds, cpu = time.monotonic() - begun, server.cpu_seconds() - before
    for connection in [publisher, *subscribers.values()]:
        connection.close()
    return messages * SUBSCRIBERS / seconds, cpu / (messages * SUBSCRIBERS) * 1e6


def pubsub(rounds, scale):
    messages = max(PUBLISH_PIPELINE, int(2000 * scale) // PUBLISH_PIPELINE * PUBLISH_PIPELINE)
    servers = [
        Server("redis", ["redis-server"], SERVER_CPU, free_port()),
        Server("trestle", [program("trestle"), "--shards", "1"], SERVER_CPU, free_port()),
        Server("trestle, 2 shards", [program("trestle"), "--shards", "2"], None, free_port()),
    ]
    results = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            results[server.name].append(publish_to_all(server, messages))
    redis = statistics.median(cpu for _, cpu in results["redis"])
    print(f"pubsub: {messages} messages to {SUBSCRIBERS} subscribers, {rounds} rounds")
    for name, runs in results.items():
        rate = statistics.median(rate for rate, _ in runs)
        times = [cpu for _, cpu in runs]
        cpu = statistics.median(times)
        print(f"  {name:18} {rate:10.0f} deliveries/s, {cpu:.3f} us of CPU each "
              f"({min(times):.3f} to {max(times):.3f}), redis/this {redis / cpu:.2f}")
    for server in servers:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keys", default="100000,1000000")
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    parser.add_argument("--scale", type=float, default=1.0, help="this share of the requests")
    parser.add_argument("--only", default="wire,light,shards,idle")
    options = parser.parse_args()
    parts, scale = options.only.split(","), 0.1 if options.quick else options.scale
    version = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout
    print(f"{time.strftime('%Y-%m-%d')} {platform.platform()} {os.cpu_count()} cpus; {version.strip()}")
    if "wire" in parts or "light" in parts:
        one_core(parts, options.rounds, [int(keys) for keys in options.keys.split(",")], scale)
    if "types" in parts:
        types(options.rounds, scale, redis_benchmark, "redis-benchmark")
        types(options.rounds, scale, loadgen, "loadgen")
    if "shards" in parts:
        shards(options.rounds, scale)
    if "idle" in parts:
        idle()
    if "pubsub" in parts:
        pubsub(options.rounds, scale)


if __name__ == "__main__":
    main()
