#!/usr/bin/env python3
"""What table statements cost, with one shard and with two, beside GET and SET of the same server.

    benches/tables.py [--rows 100000] [--million] [--shards 1,2]

The data: n.t with id (integer, hash index, unique values), grp (string, hash index, rows/100 values of 100
rows), v (integer) and name (string). 50 connections send 16 requests at a time. Printed is the CPU time of
all threads of the server per request (from /proc/PID/task/*/schedstat) and its ratio to GET or SET of the
same run; the memory per row; the rows and the CPU time of each shard, where there are several; and how long
GETs take while a table of a million rows is scanned (--million).
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


def load(server, requests, *words):
    """Has loadgen send a command with ids by chance; returns CPU microseconds per request.

    `drive` takes many times as long for a request as the server, which sleeps between them then. Two shards leave
    loadgen no processor of its own; on that of one of them the other one would wait for both.
    """
    before = server.cpu_seconds()
    subprocess.run(["taskset", "-c", server.client_cpus, program("loadgen"), "-p", str(server.port), "-c", str(CONNECTIONS),
                    "-P", str(PIPELINE), "-r", "100000", "-n", str(requests), "-q", *words],
                   check=True, capture_output=True)
    return (server.cpu_seconds() - before) / requests * 1e6


def show(title, cpu, base):
    print(f"  {title:44} {cpu:10.2f} us  {cpu / base:9.2f}x", flush=True)


def used_bytes(client):
    text = client.ask("INFO", "memory").decode()
    return int(text.split("used_memory:")[1].split()[0])


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


def statements(server, client, rows):
    groups = max(rows // 100, 1)
    sets, _ = drive(server, [encode("SET", f"key:{at % 10000:06d}", "abcdefghijklmnop")
                             for at in range(100000)])
    gets, _ = drive(server, [encode("GET", f"key:{at % 10000:06d}") for at in range(100000)])
    print(f"  {'SET':44} {sets:10.2f} us\n  {'GET':44} {gets:10.2f} us")
    loaded_sets = load(server, 500000, "SET", "key:__rand_int__", "abcdefghijklmnop")
    loaded_gets = load(server, 500000, "GET", "key:__rand_int__")
    print(f"  {'SET, by loadgen':44} {loaded_sets:10.2f} us\n  {'GET, by loadgen':44} {loaded_gets:10.2f} us")
    client.ask("FLUSHALL")
    # Keys are freed step by step.
    time.sleep(2)
    client.ask("TABLE.NAMESPACE.CREATE", "n")
    client.ask("TABLE.SCHEMA.CREATE", "n.t", "id:integer:hash", "grp:string:hash", "v:integer",
               "name:string")
    before, threads = used_bytes(client), thread_seconds(server)
    cpu, _ = drive(server, [row(number, groups) for number in range(rows)])
    show("INSERT, 4 columns, 2 indexed", cpu, sets)
    print(f"  memory per row: {(used_bytes(client) - before) / rows:.1f} bytes")
    after = thread_seconds(server)
    busy = {name: round(after[name] - threads.get(name, 0), 3) for name in after}
    print("  CPU seconds of threads:", {name: time for name, time in busy.items() if time > 0.01})

    def measure(title, words, count, base, **options):
        requests = [encode(*words(number)) for number in range(count)]
        show(title, drive(server, requests, **options)[0], base)

    few = {"count_per_send": 1, "connections": 1}
    select = ("TABLE.SELECT", "n.t", "WHERE")
    measure("SELECT by indexed =, 1 row", lambda at: (*select, f"id={at * 7919 % rows}"), 50000, gets)
    measure("SELECT by indexed =, 100 rows", lambda at: (*select, f"grp=g{at % groups}"), 2000, gets)
    measure("SELECT indexed 100 AND comparison",
            lambda at: (*select, f"grp=g{at % groups}", "AND", "v>500"), 2000, gets)
    measure("SELECT scan, 10 matches",
            lambda at: (*select, "v=1", "AND", f"name>=name{rows - rows // 10}"), 20, gets, **few)
    measure("SELECT all rows", lambda at: ("TABLE.SELECT", "n.t"), 5, gets, **few)
    update = ("TABLE.UPDATE", "n.t", "WHERE")
    measure("UPDATE by id, plain column",
            lambda at: (*update, f"id={at * 7919 % rows}", "SET", f"v={at % 997}"), 20000, sets)
    measure("UPDATE by id, indexed column",
            lambda at: (*update, f"id={at * 7919 % rows}", "SET", f"grp=g{at % groups}"), 20000, sets)
    measure("DELETE by id", lambda at: ("TABLE.DELETE", "n.t", "WHERE", f"id={at}"), 20000, sets)
    # As many groups as rows from here on.
    statement = (*select, "id=__rand_int__")
    show("SELECT by indexed =, 1 row, by loadgen", load(server, 500000, *statement), loaded_gets)
    statement = (*update, "id=__rand_int__", "SET", "v=5")
    show("UPDATE by id, plain column, by loadgen", load(server, 300000, *statement), loaded_sets)
    statement = (*update, "id=__rand_int__", "SET", "grp=g__rand_int__")
    show("UPDATE by id, indexed column, by loadgen", load(server, 300000, *statement), loaded_sets)
    print("  TABLE.INFO:", client.ask("TABLE.INFO", "n.t")[:600])


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
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--shards", default="1,2")
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(CLIENT_CPU)})
    for shards in options.shards.split(","):
        cpus = SERVER_CPU if shards == "1" else "0,1"
        server = Server(f"{shards} shards", [program("trestle"), "--shards", shards, "--spin-us", "0"], cpus, free_port())
        server.client_cpus = CLIENT_CPU if shards == "1" else cpus
        print(f"{shards} shards, {options.rows} rows")
        client = Client(server.port)
        statements(server, client, options.rows)
        if options.million:
            million(server, client)
        server.stop()


if __name__ == "__main__":
    main()
