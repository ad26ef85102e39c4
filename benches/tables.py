#!/usr/bin/env python3
"""What table statements cost, with one shard and with two, beside GET and SET of the same server.

    benches/tables.py [--million] [--balance] [--shards 1,2]

The data: n.t with id (integer, hash index, unique values), grp (string, hash index, 1,000 values of 100
rows), v (integer) and name (string). 50 connections of loadgen send 16 requests at a time; scans and the table as
a whole are asked for one by one. Printed is the CPU time of all threads of the server per request (from
/proc/PID/task/*/schedstat) and its ratio to GET or SET of the same run; the memory per row; the rows and the CPU
time of each shard, where there are several, and how far these are apart over runs of INSERTs (--balance); and how
long GETs take while a table of a million rows is scanned (--million).
"""

import argparse
import glob
import os
import selectors
import socket
import statistics
import subprocess
import threading
import time

from compare import CLIENT_CPU, SERVER_CPU, Server, free_port, program

CONNECTIONS, PIPELINE = 50, 16


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def reply_end(data, at, replies):
    """Returns where `replies` replies that begin at `at` end, or -1 if they are not all there."""
    left = replies
    while left:
        line = data.find(b"\r\n", at)
        if line < 0:
            return -1
        kind, left = data[at], left - 1
        if kind == 36 and data[at + 1] != 45:
            at = line + 2 + int(data[at + 1:line]) + 2
            if at > len(data):
                return -1
            continue
        if kind == 42 and data[at + 1] != 45:
            left += int(data[at + 1:line])
        at = line + 2
    return at


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, *words):
        self.socket.sendall(encode(*words))
        data = bytearray()
        while reply_end(data, 0, 1) < 0:
            data += self.socket.recv(1 << 20)
        assert data[:1] != b"-", (words, bytes(data[:200]))
        return bytes(data)


def drive(server, requests, count_per_send=PIPELINE, connections=CONNECTIONS):
    """Sends all requests over many connections; returns CPU microseconds per request and the seconds."""
    selector = selectors.DefaultSelector()
    batches = [requests[at:at + count_per_send] for at in range(0, len(requests), count_per_send)]
    before, begun = server.cpu_seconds(), time.monotonic()
    open_count = 0
    for _ in range(min(connections, len(batches))):
        link = socket.create_connection(("127.0.0.1", server.port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        batch = batches.pop()
        link.sendall(b"".join(batch))
        selector.register(link, selectors.EVENT_READ, [bytearray(), len(batch)])
        open_count += 1
    while open_count:
        for key, _ in selector.select():
            state = key.data
            state[0] += key.fileobj.recv(1 << 20)
            if reply_end(state[0], 0, state[1]) < 0:
                continue
            assert b"-ERR" not in state[0], bytes(state[0][:200])
            if batches:
                batch = batches.pop()
                state[0], state[1] = bytearray(), len(batch)
                key.fileobj.sendall(b"".join(batch))
            else:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                open_count -= 1
    return (server.cpu_seconds() - before) / len(requests) * 1e6, time.monotonic() - begun


def load(server, requests, *words, count_by=0):
    """Has loadgen send a command, with ids by chance or counted; returns CPU microseconds per request.

    `drive` takes many times as long for a request as the server, which sleeps between them then. Two shards leave
    loadgen no processor of its own; on that of one of them the other one would wait for both.
    """
    numbers = ["--count-by", str(count_by)] if count_by else ["-r", "100000"]
    before = server.cpu_seconds()
    subprocess.run(["taskset", "-c", server.client_cpus, program("loadgen"), "-p", str(server.port), "-c", str(CONNECTIONS),
                    "-P", str(PIPELINE), *numbers, "-n", str(requests), "-q", *words],
                   check=True, capture_output=True)
    return (server.cpu_seconds() - before) / requests * 1e6


def show(title, cpu, base):
    print(f"  {title:44} {cpu:10.2f} us  {cpu / base:9.2f}x", flush=True)


def used_bytes(client):
    text = client.ask("INFO", "memory").decode()
    return int(text.split("used_memory:")[1].split()[0])


# 100,000 rows: each of 1,000 groups has 100 of them, which are not neighbours.
ROWS = 100_000
ROW = ("TABLE.INSERT", "n.t", "id=1#####", "grp=g###", "v=1##", "name=name#####")


def row(number, groups):
    return encode("TABLE.INSERT", "n.t", f"id={number}", f"grp=g{number % groups}",
                  f"v={number % 997}", f"name=name{number}")


def thread_seconds(server):
    times = {}
    for path in glob.glob(f"/proc/{server.pid}/task/*/schedstat"):
        with open(path) as file, open(os.path.join(os.path.dirname(path), "comm")) as name:
            # Threads share names, so their numbers belong to the key.
            key = f"{name.read().strip()} {path.split('/')[-2]}"
            times[key] = int(file.read().split()[0]) / 1e9
    return times


def create(client):
    client.ask("TABLE.NAMESPACE.CREATE", "n")
    client.ask("TABLE.SCHEMA.CREATE", "n.t", "id:integer:hash", "grp:string:hash", "v:integer",
               "name:string")


def apart(times):
    """How far the largest of some times is above the smallest, in percent of the largest."""
    return 100 * (max(times) - min(times)) / max(times)


def busy_threads(before, after):
    busy = {name: after[name] - before.get(name, 0) for name in after}
    return {name: round(seconds, 3) for name, seconds in busy.items() if seconds > 0.01}


def statements(server, client):
    sets = load(server, 500000, "SET", "key:__rand_int__", "abcdefghijklmnop")
    gets = load(server, 500000, "GET", "key:__rand_int__")
    print(f"  {'SET':44} {sets:10.2f} us\n  {'GET':44} {gets:10.2f} us")
    client.ask("FLUSHALL")
    # Keys are freed step by step.
    time.sleep(2)
    create(client)
    before, threads = used_bytes(client), thread_seconds(server)
    cpu = load(server, ROWS, *ROW, count_by=1)
    show("INSERT, 4 columns, 2 indexed", cpu, sets)
    print(f"  memory per row: {(used_bytes(client) - before) / ROWS:.1f} bytes")
    print("  CPU seconds of threads:", busy_threads(threads, thread_seconds(server)))

    def by_loadgen(title, count, base, *words):
        # Neighbours in time are none in the table; 7919 and 100,000 have no divisor in common.
        show(title, load(server, count, *words, count_by=7919), base)

    select = ("TABLE.SELECT", "n.t", "WHERE")
    by_loadgen("SELECT by indexed =, 1 row", 500000, gets, *select, "id=1#####")
    by_loadgen("SELECT by indexed =, 100 rows", 20000, gets, *select, "grp=g###")
    by_loadgen("SELECT indexed 100 AND comparison", 20000, gets, *select, "grp=g###", "AND", "v>150")

    # Few of them, so that the client does not matter, and long replies.
    few = {"count_per_send": 1, "connections": 1}

    def measure(title, words, count, base):
        show(title, drive(server, [encode(*words)] * count, **few)[0], base)

    measure("SELECT scan, 10 matches", (*select, "v=101", "AND", "name>=name99000"), 20, gets)
    measure("SELECT all rows", ("TABLE.SELECT", "n.t"), 5, gets)
    update = ("TABLE.UPDATE", "n.t", "WHERE", "id=1#####", "SET")
    by_loadgen("UPDATE by id, plain column", 300000, sets, *update, "v=5##")
    by_loadgen("UPDATE by id, indexed column", 300000, sets, *update, "grp=h###")
    print("  TABLE.INFO:", client.ask("TABLE.INFO", "n.t")[:600])
    by_loadgen("DELETE by id", ROWS, sets, "TABLE.DELETE", "n.t", "WHERE", "id=1#####")
    assert client.ask("TABLE.COUNT", "n.t") == b":0\r\n"


def balance(server, client):
    """How far the CPU times of the cores are apart while rows are inserted, five times over."""
    if len(server.client_cpus) < 2:
        return
    for requests in (100000, 1000000):
        shares = []
        for _ in range(5):
            client.ask("FLUSHALL")
            create(client)
            threads = thread_seconds(server)
            load(server, requests, *ROW, count_by=1)
            busy = busy_threads(threads, thread_seconds(server))
            shares.append(apart(sorted(busy.values())[-2:]))
        print(f"  {requests} INSERTs, cores apart by", ", ".join(f"{share:.1f}" for share in shares), "%")


def million(server, client):
    """GETs while a scan of a million rows goes on."""
    client.ask("FLUSHALL")
    client.ask("TABLE.NAMESPACE.CREATE", "n")
    client.ask("TABLE.SCHEMA.CREATE", "n.t", "id:integer", "grp:string", "v:integer", "name:string")
    drive(server, [row(number, 10000) for number in range(1_000_000)])
    client.ask("CONFIG", "SET", "max_scan_limit", "10000000")
    client.ask("SET", "key", "value")
    for title, is_busy in [("quiet", False), ("beside a scan of 1,000,000 rows", True)]:
        stop = threading.Event()

        def scan():
            other = Client(server.port)
            while not stop.is_set():
                other.ask("TABLE.COUNT", "n.t", "WHERE", "v=5000")

        thread = threading.Thread(target=scan)
        if is_busy:
            thread.start()
        times = []
        end = time.monotonic() + 5
        while time.monotonic() < end:
            begun = time.perf_counter()
            client.ask("GET", "key")
            times.append((time.perf_counter() - begun) * 1e6)
            time.sleep(0.0005)
        stop.set()
        if is_busy:
            thread.join()
        times.sort()
        p99 = times[len(times) * 99 // 100]
        print(f"  GET {title}: p50 {statistics.median(times):.0f} us, p99 {p99:.0f} us, "
              f"max {times[-1]:.0f} us of {len(times)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--balance", action="store_true")
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--shards", default="1,2")
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(CLIENT_CPU)})
    for shards in options.shards.split(","):
        cpus = SERVER_CPU if shards == "1" else "0,1"
        server = Server(f"{shards} shards", [program("trestle"), "--shards", shards, "--spin-us", "0"], cpus, free_port())
        server.client_cpus = CLIENT_CPU if shards == "1" else cpus
        print(f"{shards} shards, {ROWS} rows")
        client = Client(server.port)
        statements(server, client)
        if options.balance:
            balance(server, client)
        if options.million:
            million(server, client)
        server.stop()


if __name__ == "__main__":
    main()
