#!/usr/bin/env python3
"""Writes digests of the strings that a Redis server makes of HyperLogLogs into hyperloglog_bytes.txt.

    hyperloglog_bytes.py PORT

The data of that server is lost. A line says what was done and what came out:

    add LIMIT RANGE           = BYTES DIGEST CARDINALITY
    merge LIMIT RANGE RANGE.. = BYTES DIGEST CARDINALITY

LIMIT is hll-sparse-max-bytes. A range 3-9 is the key that has seen "e3" to "e8", by one PFADD for each.
A merge writes the ranges, in order, into a new key by one PFMERGE. The digest is 64-bit FNV-1a of the
string before its cardinality was asked for.
"""

import pathlib
import socket
import sys

FILE = pathlib.Path(__file__).with_suffix(".txt")
LIMITS = [0, 20, 300, 3000, 15000]
STEPS = [0, 1, 2, 3, 10, 50, 200, 700, 1000, 1500, 2500, 6000, 30000]
RANGES = ["0-3", "1-2", "0-40", "20-90", "0-500", "400-1300", "0-2000", "1900-2500", "0-30000"]


class Server:
    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port)).makefile("rwb")

    def send(self, *words):
        self.stream.write(b"*%d\r\n" % len(words))
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            self.stream.write(b"$%d\r\n%s\r\n" % (len(word), word))

    def reply(self):
        self.stream.flush()
        line = self.stream.readline()
        if line.startswith(b"-"):
            raise SystemExit(line)
        if line.startswith(b"$"):
            return self.stream.read(int(line[1:]) + 2)[:-2]
        return line[1:-2]

    def run(self, *words):
        self.send(*words)
        return self.reply()

    def add(self, key, first, last):
        for begin in range(first, last, 500):
            elements = range(begin, min(begin + 500, last))
            for element in elements:
                self.send("PFADD", key, "e%d" % element)
            for _ in elements:
                self.reply()

    def outcome(self, key):
        string = self.run("GET", key)
        digest = 0xCBF29CE484222325
        for byte in string:
            digest = (digest ^ byte) * 0x100000001B3 % (1 << 64)
        return "%d %016x %d" % (len(string), digest, int(self.run("PFCOUNT", key)))


def lines(server):
    server.run("FLUSHALL")
    for limit in LIMITS:
        server.run("CONFIG", "SET", "hll-sparse-max-bytes", limit)
        key = "add:%d" % limit
        server.run("PFADD", key)
        for first, last in zip([0] + STEPS, STEPS):
            server.add(key, first, last)
            yield "add %d 0-%d = %s" % (limit, last, server.outcome(key))
        for name in RANGES:
            server.run("PFADD", name)
            server.add(name, *map(int, name.split("-")))
        for first in RANGES:
            for second in RANGES:
                server.run("DEL", "merged")
                server.run("PFMERGE", "merged", first, second)
                outcome = server.outcome("merged")
                yield "merge %d %s %s = %s" % (limit, first, second, outcome)
        server.run("FLUSHALL")


if __name__ == "__main__":
    FILE.write_text("".join(line + "\n" for line in lines(Server(int(sys.argv[1])))), "ascii")
