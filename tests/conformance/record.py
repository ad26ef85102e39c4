#!/usr/bin/env python3
"""Replays transcripts against a Redis server and writes its replies into them.

    record.py FILE.resp...            starts redis-server for itself (it must be on PATH)
    record.py --port 7000 FILE.resp   uses the server at that port, whose data is lost

A transcript is lines:

    # ...             a remark
    ! resp 2|3        protocol version from here on (2 at the start)
    ! db N            database from here on (0 at the start)
    ! lfu on|off      eviction policy allkeys-lfu or noeviction (off at the start)
    ! bulk-max N      proto-max-bulk-len (536870912 at the start)
    ! config NAME N   a threshold of encodings (as in redis-server without a file at the start)
    > WORDS           a request, quoted as in redis-cli
    >~ WORDS          the same; the lines of the reply may come in any order
    >@ WORDS          the same; times of streams in the reply are written as `:time`: the first of two
                      integers in a row, and the integer after a line `idle` or `seen-time`
    < LINE            one line of the raw reply without its CR LF; bytes outside of printable ASCII,
                      and backslashes, as \\xNN

Only the `<` lines are written, everything else stays. A run begins with an empty server.
"""

import socket
import subprocess
import sys
import tempfile
import time

BULK_MAX = "536870912"
THRESHOLDS = [
    ("hash-max-listpack-entries", "512"),
    ("hash-max-listpack-value", "64"),
    ("list-max-listpack-size", "-2"),
    ("set-max-intset-entries", "512"),
    ("zset-max-listpack-entries", "128"),
    ("zset-max-listpack-value", "64"),
    ("stream-node-max-bytes", "4096"),
    ("stream-node-max-entries", "100"),
    ("hll-sparse-max-bytes", "3000"),
]
ESCAPES = {"n": 10, "r": 13, "t": 9, "b": 8, "a": 7}


def split_words(line):
    """Splits a request into words as redis-cli does."""
    words, at = [], 0
    while at < len(line):
        if line[at] == " ":
            at += 1
            continue
        word = bytearray()
        if line[at] == '"':
            at += 1
            while line[at] != '"':
                if line[at] == "\\" and line[at + 1] == "x":
                    word.append(int(line[at + 2 : at + 4], 16))
                    at += 4
                elif line[at] == "\\":
                    word.append(ESCAPES.get(line[at + 1], ord(line[at + 1])))
                    at += 2
                else:
                    word += line[at].encode()
                    at += 1
            at += 1
        else:
            while at < len(line) and line[at] != " ":
                word += line[at].encode()
                at += 1
        words.append(bytes(word))
    return words


def shown(line):
    """Escapes one line of a reply."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte != 92 else "\\x%02x" % byte for byte in line
    )


def without_times(lines):
    """Replaces what depends on the clock in a reply to `>@`."""
    is_integer = [line.startswith(":") for line in lines] + [False]
    return [
        ":time"
        if is_integer[at]
        and (is_integer[at + 1] or at > 0 and lines[at - 1] in ("idle", "seen-time"))
        else line
        for at, line in enumerate(lines)
    ]


class Server:
    """A connection that hands out raw replies."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.input = b""

    def run(self, words):
        request = b"*%d\r\n" % len(words)
        for word in words:
            request += b"$%d\r\n%s\r\n" % (len(word), word)
        self.socket.sendall(request)
        return self.reply()

    def line(self):
        while b"\r\n" not in self.input:
            self.more()
        line, self.input = self.input.split(b"\r\n", 1)
        return line + b"\r\n"

    def more(self):
        chunk = self.socket.recv(1 << 16)
        if not chunk:
            raise SystemExit("the server closed the connection")
        self.input += chunk

    def reply(self):
        raw = self.line()
        kind, rest = raw[:1], raw[1:-2]
        if kind in b"$=!" and rest != b"-1":
            size = int(rest) + 2
            while len(self.input) < size:
                self.more()
            raw += self.input[:size]
            self.input = self.input[size:]
        elif kind in b"*~>" and rest != b"-1":
            raw += b"".join(self.reply() for _ in range(int(rest)))
        elif kind in b"%|":
            raw += b"".join(self.reply() for _ in range(2 * int(rest)))
        return raw

    def expect_ok(self, *words):
        reply = self.run([word.encode() for word in words])
        if reply != b"+OK\r\n":
            raise SystemExit("%s: %r" % (" ".join(words), reply))


def direct(server, words):
    """Carries out a `!` line."""
    if words[0] == "resp":
        server.run([b"HELLO", words[1].encode()])
    elif words[0] == "db":
        server.expect_ok("SELECT", words[1])
    elif words[0] == "lfu":
        policy = {"on": "allkeys-lfu", "off": "noeviction"}[words[1]]
        server.expect_ok("CONFIG", "SET", "maxmemory-policy", policy)
    elif words[0] == "bulk-max":
        server.expect_ok("CONFIG", "SET", "proto-max-bulk-len", words[1])
    elif words[0] == "config":
        server.expect_ok("CONFIG", "SET", words[1], words[2])
    else:
        raise SystemExit("unknown directive: %s" % " ".join(words))


def record(server, path):
    server.run([b"HELLO", b"2"])
    for words in (["db", "0"], ["lfu", "off"], ["bulk-max", BULK_MAX]):
        direct(server, words)
    for words in THRESHOLDS:
        server.expect_ok("CONFIG", "SET", *words)
    server.expect_ok("FLUSHALL")
    with open(path, encoding="ascii") as file:
        lines = file.read().splitlines()
    out = []
    for line in lines:
        if line.startswith("<"):
            continue
        out.append(line)
        if line.startswith("!"):
            direct(server, line[1:].split())
        elif line.startswith(">"):
            reply = server.run(split_words(line.lstrip(">~@").strip()))
            parts = [shown(part) for part in reply[:-2].split(b"\r\n")]
            if line.startswith(">@"):
                parts = without_times(parts)
            out += ["< " + part for part in parts]
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(out) + "\n")


def main(arguments):
    if arguments[:1] == ["--port"]:
        server = Server(int(arguments[1]))
        for path in arguments[2:]:
            record(server, path)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--save", "", "--dir", folder]
        process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                try:
                    server = Server(port)
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            for path in arguments:
                record(server, path)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
