#!/usr/bin/env python3
"""Says what durability costs beside redis-server, and how long a start takes.

    benches/durability.py [--rounds 3] [--scale 0.3] [--keys 5000000] [--only log|start|save]

Each server has one processor and its client the other; rounds in alternation, medians (least..most). Parts:

- SET -P 16 -c 50 without a log, with everysec and always; SET -P 1 -c 50 with always; by redis-benchmark and by loadgen,
  which needs half its CPU; and beside it how often the device syncs 512 bytes that one thread appends;
- a start with so many keys, on both processors: from dump.rdb, and from a log that was never rewritten, until DBSIZE
  answers;
- BGSAVE of so many keys while 10 connections SET random ones of them, -P 1: the resident memory before and the most
  during it (of Redis, that of the server and the pages that its child has for itself), and the latency of a GET per
  millisecond before and during it.

The data lies in the directory for temporary files, TMPDIR: have it on the device that counts.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import compare

SETTINGS = {
    "no log": ["--appendonly", "no"],
    "everysec": ["--appendonly", "yes", "--appendfsync", "everysec"],
    "always": ["--appendonly", "yes", "--appendfsync", "always"],
}
# A log that is not rewritten meanwhile.
GROWING = ["--auto-aof-rewrite-percentage", "0"]


def programs():
    return {"trestle": [compare.program("trestle"), "--shards", "1"], "redis": ["redis-server"]}


def rates(client, server, *arguments):
    """Runs a client; returns requests per second and the server's CPU per request in us."""
    program = client if client == "redis-benchmark" else compare.program(client)
    command = ["taskset", "-c", compare.CLIENT_CPU, program, "-p", str(server.port), "-c", "50",
               "-r", "1000000", "-t", "set", "-d", "16", "--csv", *arguments]
    count = int(arguments[arguments.index("-n") + 1])
    before = server.cpu_seconds()
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    cpu = (server.cpu_seconds() - before) / count * 1e6
    return float(lines[-1].split(",")[1].strip('"')), cpu


def shown(values):
    return f"{statistics.median(values):.4g} ({min(values):.4g}..{max(values):.4g})"


def cost(client, setting, rounds, arguments):
    found = {name: ([], []) for name in programs()}
    for _ in range(rounds):
        for name, argv in programs().items():
            server = compare.Server(name, argv + SETTINGS[setting] + GROWING, compare.SERVER_CPU, compare.free_port())
            rate, cpu = rates(client, server, *arguments)
            found[name][0].append(rate)
            found[name][1].append(cpu)
            end(server)
    ours, theirs = (statistics.median(found[name][0]) for name in ("trestle", "redis"))
    for name, (rate, cpu) in found.items():
        print(f"{client}, SET {' '.join(arguments[:2])}, {setting}: {name} {shown(rate)} /s, {shown(cpu)} us CPU", flush=True)
    print(f"{client}, SET {' '.join(arguments[:2])}, {setting}: rate {ours / theirs:.2f}x", flush=True)


def end(server, keeps=False):
    server.process.kill()
    server.process.wait()
    if not keeps:
        shutil.rmtree(server.dir, ignore_errors=True)


def syncs_per_second(seconds=2.0):
    with tempfile.NamedTemporaryFile() as file:
        count, began = 0, time.monotonic()
        while time.monotonic() - began < seconds:
            os.write(file.fileno(), b"x" * 512)
            os.fdatasync(file.fileno())
            count += 1
        return count / seconds


def command(server, *words):
    return subprocess.run(["redis-cli", "-p", str(server.port), *words], capture_output=True, text=True).stdout.strip()


def start_again(server, name, argv, keys):
    """Starts a server on the directory of another one; returns seconds until all keys are there."""
    port = compare.free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRESTLE_")}
    began = time.monotonic()
    process = subprocess.Popen(argv + ["--port", str(port), "--dir", server.dir, "--save", ""],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    server.process, server.port = process, port
    while command(server, "DBSIZE") != str(keys):
        time.sleep(0.02)
        if process.poll() is not None or time.monotonic() - began > 300:
            raise SystemExit(f"{name} does not start")
    return time.monotonic() - began


def fill(server, keys):
    requests = b"".join(b"SET key:%012d %016d\r\n" % (number, number) for number in range(keys))
    subprocess.run(["redis-cli", "-p", str(server.port), "--pipe"], input=requests, check=True, capture_output=True)


def recovery(keys, rounds):
    # All processors: how many a start uses is what is asked.
    argvs = {name: [word for word in argv if word not in ("--shards", "1")] for name, argv in programs().items()}
    for way, flags in (("dump.rdb", SETTINGS["no log"]), ("log", SETTINGS["everysec"] + GROWING)):
        servers, found = {}, {name: [] for name in argvs}
        for name, argv in argvs.items():
            server = servers[name] = compare.Server(name, argv + flags, None, compare.free_port())
            fill(server, keys)
            if way == "dump.rdb":
                command(server, "SAVE")
            time.sleep(1.5)
            end(server, keeps=True)
        for _ in range(rounds):
            for name, argv in argvs.items():
                found[name].append(start_again(servers[name], name, argv + flags, keys))
                end(servers[name], keeps=True)
        for name, seconds in found.items():
            print(f"start with {keys} keys from {way}: {name} {shown(seconds)} s", flush=True)
            shutil.rmtree(servers[name].dir, ignore_errors=True)
        ours, theirs = (statistics.median(found[name]) for name in ("trestle", "redis"))
        print(f"start from {way}: {theirs / ours:.2f}x", flush=True)


def probe(port, keys, stop, results):
    """Sends a GET per millisecond until told to stop; puts (time, microseconds) of each."""
    os.sched_setaffinity(0, {int(compare.CLIENT_CPU)})
    seen = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not stop.is_set():
            request = b"GET key:%012d\r\n" % random.randrange(keys)
            began = time.monotonic()
            connection.sendall(request)
            while not connection.recv(4096).endswith(b"\r\n"):
                pass
            seen.append((began, (time.monotonic() - began) * 1e6))
            time.sleep(0.001)
    results.put(seen)


def resident_bytes(pid):
    """The memory of a server, and of a child what it shares with nobody."""
    with open(f"/proc/{pid}/statm") as file:
        total = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        for child in file.read().split():
            try:
                with open(f"/proc/{child}/smaps_rollup") as rollup:
                    total += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Private_"))
            except OSError:
                pass  # It has ended.
    return total


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def save_once(server, keys):
    """Returns memory before, the most during, seconds, and p99 of GET before and during, in microseconds."""
    load = subprocess.Popen(
        ["taskset", "-c", compare.CLIENT_CPU, "redis-benchmark", "-p", str(server.port), "-c", "10", "-t", "set", "-d",
         "16", "-r", str(keys), "-n", "1000000000", "-q"], stdout=subprocess.DEVNULL)
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    prober = multiprocessing.Process(target=probe, args=(server.port, keys, stop, results))
    time.sleep(2)
    prober.start()
    time.sleep(5)
    before = resident_bytes(server.pid)
    began = time.monotonic()
    command(server, "BGSAVE")
    most = before
    while "rdb_bgsave_in_progress:1" in command(server, "INFO", "persistence"):
        most = max(most, resident_bytes(server.pid))
        time.sleep(0.1)
    ended = time.monotonic()
    time.sleep(1)
    stop.set()
    seen = results.get()
    prober.join()
    load.kill()
    load.wait()
    quiet = [latency for at, latency in seen if at < began]
    during = [latency for at, latency in seen if began <= at < ended]
    return before, most, ended - began, percentile(quiet, 0.99), percentile(during, 0.99), max(during)


def save_under_load(keys, rounds):
    found = {name: [] for name in programs()}
    for _ in range(rounds):
        for name, argv in programs().items():
            argv = argv + SETTINGS["no log"]
            server = compare.Server(name, argv, compare.SERVER_CPU, compare.free_port())
            fill(server, keys)
            found[name].append(save_once(server, keys))
            end(server)
    for name, rows in found.items():
        before, most, seconds, quiet, during, worst = zip(*rows)
        growth = [100 * (high / low - 1) for low, high in zip(before, most)]
        slower = [high / low for low, high in zip(quiet, during)]
        print(f"BGSAVE of {keys} keys under SET, {name}: {statistics.median(before) / 2**20:.0f} MiB, grows by "
              f"{shown(growth)} %, {shown(seconds)} s; GET p99 {shown(quiet)} us before, {shown(during)} us during, "
              f"{shown(slower)} times, worst {shown(worst)} us", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=0.3)
    parser.add_argument("--keys", type=int, default=5_000_000)
    parser.add_argument("--only", choices=["log", "start", "save"])
    options = parser.parse_args()
    if options.only in (None, "log"):
        many, few = str(int(options.scale * 4_000_000)), str(int(options.scale * 100_000))
        for client in ("redis-benchmark", "loadgen"):
            for setting in ("no log", "everysec", "always"):
                cost(client, setting, options.rounds, ["-P", "16", "-n", many])
            cost(client, "always", options.rounds, ["-P", "1", "-n", few])
        print(f"one thread syncs {syncs_per_second():.0f} times per second", flush=True)
    if options.only in (None, "start"):
        recovery(options.keys, options.rounds)
    if options.only in (None, "save"):
        save_under_load(options.keys, options.rounds)


if __name__ == "__main__":
    main()
