#!/usr/bin/env python3
"""Says what durability costs beside redis-server, and how long a start takes.

    benches/durability.py [--rounds 3] [--scale 0.3] [--keys 2000000]

Each server has one processor and its client the other; rounds in alternation, medians (least..most). Parts:

- SET -P 16 -c 50 without a log, with everysec and always; SET -P 1 -c 50 with always; by redis-benchmark and by loadgen,
  which needs half its CPU; and beside it how often the device syncs 512 bytes that one thread appends;
- a start with so many keys: from dump.rdb, and from a log that was never rewritten, until DBSIZE answers.

The data lies in the directory for temporary files, TMPDIR: have it on the device that counts.
"""

import argparse
import os
import shutil
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


def recovery(keys):
    for name, argv in programs().items():
        # All processors: how many a start uses is what is asked.
        argv = [word for word in argv if word not in ("--shards", "1")]
        for way, flags in (("dump.rdb", SETTINGS["no log"]), ("log", SETTINGS["everysec"] + GROWING)):
            server = compare.Server(name, argv + flags, None, compare.free_port())
            requests = b"".join(b"SET key:%012d %016d\r\n" % (number, number) for number in range(keys))
            subprocess.run(["redis-cli", "-p", str(server.port), "--pipe"], input=requests, check=True,
                           capture_output=True)
            if way == "dump.rdb":
                command(server, "SAVE")
            time.sleep(1.5)
            end(server, keeps=True)
            seconds = start_again(server, name, argv + flags, keys)
            print(f"start with {keys} keys from {way}: {name} {seconds:.2f} s", flush=True)
            end(server)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=0.3)
    parser.add_argument("--keys", type=int, default=2_000_000)
    options = parser.parse_args()
    many, few = str(int(options.scale * 4_000_000)), str(int(options.scale * 100_000))
    for client in ("redis-benchmark", "loadgen"):
        for setting in ("no log", "everysec", "always"):
            cost(client, setting, options.rounds, ["-P", "16", "-n", many])
        cost(client, "always", options.rounds, ["-P", "1", "-n", few])
    print(f"one thread syncs {syncs_per_second():.0f} times per second", flush=True)
    recovery(options.keys)


if __name__ == "__main__":
    main()
