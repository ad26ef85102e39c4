#!/usr/bin/env python3
"""Bytes per element of each data type, beside redis-server.

    benches/memory_types.py [--elements 1000000] [--rounds 1] [--only WORD]

Rows: small hashes (5 fields each, per hash), one set, one sorted set, one list, one stream, each of
that many elements, and small sets, sorted sets and lists of 10 elements each. Each row starts with
an empty server, which was warmed up by a few requests of the same kind. The figure is used_memory
less that of the empty server, divided by the number: what the program has asked its allocator for
and uses (trestle), or what its allocator gave (Redis counts that way). Because these differ, the
resident bytes stand beside them. Resident bytes differ from run to run, by huge pages and by what the
last requests have left behind, so take several rounds: each figure is then the median.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from compare import Server, program

# Allocators give memory back some time after it was freed.
SETTLE_SECONDS = 3

# Elements, or small values, that the server holds and loses before it is measured.
WARM_UP = 20_000


def encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def small_hashes(count):
    for n in range(count):
        words = ["HSET", "hash:%09d" % n]
        for field in range(5):
            words += ["field:%d" % field, "value:%06d" % ((n * 5 + field) % 1000000)]
        yield words


def chunks(name, key, count, element, size=100):
    for first in range(0, count, size):
        words = [name, key]
        for n in range(first, min(first + size, count)):
            words += element(n)
        yield words


def stream(count):
    for n in range(count):
        yield ["XADD", "stream", "%d-0" % (1700000000000 + n), "temperature", n % 100, "place", "p%d" % (n % 1000)]


def small(name, prefix, count, element):
    for n in range(count):
        words = [name, "%s:%09d" % (prefix, n)]
        for item in range(10):
            words += element(n * 10 + item)
        yield words


ROWS = [
    ("small hashes, 5 fields (per hash)", 1, small_hashes),
    ("set (per member)", 1, lambda n: chunks("SADD", "set", n, lambda i: ["member:%09d" % i])),
    ("sorted set (per member)", 1,
     lambda n: chunks("ZADD", "zset", n, lambda i: [i * 7919 % 1000003, "member:%09d" % i])),
    ("list (per element)", 1, lambda n: chunks("RPUSH", "list", n, lambda i: ["element:%08d" % i])),
    ("stream (per entry)", 1, stream),
    ("hash (per field)", 1,
     lambda n: chunks("HSET", "hash", n, lambda i: ["field:%09d" % i, "value:%06d" % (i % 1000000)])),
    ("small sets, 10 members (per set)", 10,
     lambda n: small("SADD", "set", n, lambda i: ["member:%09d" % i])),
    ("small sorted sets, 10 members (per set)", 10,
     lambda n: small("ZADD", "zset", n, lambda i: [i % 1000, "member:%09d" % i])),
    ("small lists, 10 elements (per list)", 10,
     lambda n: small("RPUSH", "list", n, lambda i: ["element:%08d" % i])),
]


def fill(port, requests):
    """Sends requests in batches and waits for their replies; fails at the first error."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        batch, count = [], 0
        for words in requests:
            batch.append(encode(words))
            if len(batch) == 500:
                exchange(connection, batch)
                batch = []
        if batch:
            exchange(connection, batch)


def exchange(connection, batch):
    connection.sendall(b"".join(batch) + b"*2\r\n$4\r\nECHO\r\n$8\r\n-marker-\r\n")
    received = b""
    while not received.endswith(b"$8\r\n-marker-\r\n"):
        part = connection.recv(1 << 16)
        if not part:
            sys.exit("the server closed the connection")
        if b"-ERR" in part or b"-OOM" in part or b"-WRONG" in part:
            sys.exit("error: %r" % part[:200])
        received = (received + part)[-64:]


def memory(port):
    text = subprocess.run(["redis-cli", "-p", str(port), "info", "memory"],
                          capture_output=True, text=True, check=True).stdout
    fields = dict(line.split(":", 1) for line in text.replace("\r", "").splitlines() if ":" in line)
    return int(fields["used_memory"]), int(fields["used_memory_rss"])


def measure(name, argv, port, warm_up, requests, number):
    server = Server(name, argv, None, port)
    try:
        # Buffers and statistics that come with the first requests belong to no element.
        fill(port, (["SET", "warm:%d" % n, "x" * 100] for n in range(20000)))
        fill(port, warm_up)
        subprocess.run(["redis-cli", "-p", str(port), "FLUSHALL"], capture_output=True, check=True)
        time.sleep(SETTLE_SECONDS)
        used, resident = memory(port)
        fill(port, requests)
        time.sleep(SETTLE_SECONDS)
        used_after, resident_after = memory(port)
        return (used_after - used) / number, (resident_after - resident) / number
    finally:
        server.process.terminate()
        server.process.wait()


def median_of(rounds, *how):
    """Measures several times; returns the median of each figure."""
    figures = [measure(*how[:2], how[2] + number, *(make() for make in how[3:5]), how[5])
               for number in range(rounds)]
    return [statistics.median(figure) for figure in zip(*figures)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--elements", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="rows whose title begins so")
    options = parser.parse_args()
    count = options.elements
    redis, trestle = ["redis-server", "--appendonly", "no"], [program("trestle"), "--shards", "1"]
    print("%-42s %9s %9s %7s   %9s %9s" % ("", "redis", "trestle", "ratio", "redis", "trestle"))
    print("%-42s %9s %9s %7s   %9s %9s" % ("bytes", "used", "used", "", "resident", "resident"))
    ratios = []
    rows = [row for row in ROWS if row[0].startswith(options.only)]
    for row, (title, part, requests) in enumerate(rows):
        number = count // part
        few = min(number, WARM_UP)
        makers = (lambda: requests(few), lambda: requests(number), number)
        theirs = median_of(options.rounds, "redis", redis, 21000 + 100 * row, *makers)
        ours = median_of(options.rounds, "trestle", trestle, 22000 + 100 * row, *makers)
        ratios.append(ours[0] / theirs[0])
        print("%-42s %9.1f %9.1f %6.0f%%   %9.1f %9.1f" % (
            title, theirs[0], ours[0], 100 * ratios[-1], theirs[1], ours[1]), flush=True)
    if not options.only:
        print("median of the first five rows: %.0f%%" % (100 * statistics.median(ratios[:5])))


if __name__ == "__main__":
    main()
