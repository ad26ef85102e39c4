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
    ! events on|off   whether keyspace events are recorded (off at the start)
    > WORDS           a request, quoted as in redis-cli
    >~ WORDS          the same; the lines of the reply may come in any order
    >@ WORDS          the same; times of streams in the reply are written as `:time`: the first of two
                      integers in a row, and the integer after a line `idle` or `seen-time`
    < LINE            one line of the raw reply without its CR LF; bytes outside of printable ASCII,
                      and backslashes, as \\xNN
    @ C EVENT KEY DB  an event that the request told, in order: the letter of its class in the directive
                      notify-keyspace-events, its name, the key as above and without spaces (\\x20);
                      the database is left out if it is 0

Only the `<` and `@` lines are written, everything else stays. A run begins with an empty server. A
transcript with events is played once with all classes, which gives their order, and once for each
class.
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
CLASSES = "g$lshzxetmn"
MARKER = b"end-of-request"
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
    elif words[0] != "events":
        raise SystemExit("unknown directive: %s" % " ".join(words))


class Listener:
    """A connection that hears of the events of the requests on another one."""

    def __init__(self, port):
        self.connection = Server(port)
        self.connection.run([b"SUBSCRIBE", MARKER])
        self.connection.run([b"PSUBSCRIBE", b"__keyevent@*__:*"])

    def events_of(self, server):
        """Returns name, key and database of the events of all requests since the last call."""
        server.run([b"PUBLISH", MARKER, b"now"])
        events = []
        while True:
            kind, *words = self.message()
            if kind == b"message":
                return events
            _, channel, key = words
            place, name = channel.split(b"__:", 1)
            events.append((name, key, int(place[len("__keyevent@") :])))

    def message(self):
        """Returns the words of one message: an array of bulk strings."""
        rest, words = self.connection.reply(), []
        rest = rest.split(b"\r\n", 1)[1]
        while rest:
            head, rest = rest.split(b"\r\n", 1)
            words.append(rest[: int(head[1:])])
            rest = rest[int(head[1:]) + 2 :]
        return words


def play(server, listener, lines, classes):
    """Plays a transcript; returns the reply and the events of each request."""
    server.run([b"HELLO", b"2"])
    # Keys die when somebody looks, not at any time.
    server.run([b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0"])
    server.expect_ok("CONFIG", "SET", "notify-keyspace-events", "E" + classes)
    for words in (["db", "0"], ["lfu", "off"], ["bulk-max", BULK_MAX]):
        direct(server, words)
    for words in THRESHOLDS:
        server.expect_ok("CONFIG", "SET", *words)
    server.expect_ok("FLUSHALL")
    steps, hears = [], False
    for line in lines:
        if line.startswith("!"):
            direct(server, line[1:].split())
            if line.split()[1] == "events":
                hears = line.split()[2] == "on"
        elif line.startswith(">"):
            reply = server.run(split_words(line.lstrip(">~@").strip()))
            events = listener.events_of(server)
            steps.append((reply, events if hears else []))
    return steps


def shown_event(event, letter):
    name, key, db = event
    words = [letter, name.decode(), shown(key).replace(" ", "\\x20"), str(db) if db else ""]
    return "@ " + " ".join(words).strip()


def replies_in(lines):
    """Returns the lines of the reply of each request, as the transcript has them."""
    replies = []
    for line in lines:
        if line.startswith(">"):
            replies.append([])
        elif line.startswith("<"):
            replies[-1].append(line)
    return replies


def record(server, listener, path):
    with open(path, encoding="ascii") as file:
        before = file.read().splitlines()
    lines = [line for line in before if not line.startswith(("<", "@"))]
    known = replies_in(before)
    steps = play(server, listener, lines, CLASSES)
    by_class = []
    if any(events for _, events in steps):
        by_class = [(letter, play(server, listener, lines, letter)) for letter in CLASSES]
    out, number = [], 0
    for line in lines:
        out.append(line)
        if not line.startswith(">"):
            continue
        reply, events = steps[number]
        parts = [shown(part) for part in reply[:-2].split(b"\r\n")]
        if line.startswith(">@"):
            parts = without_times(parts)
        given = ["< " + part for part in parts]
        # In any order: the one that stands there is as good.
        same = line.startswith(">~") and sorted(given) == sorted(known[number])
        out += known[number] if same else given
        for event in events:
            letters = [letter for letter, only in by_class if event in only[number][1]]
            out.append(shown_event(event, "".join(letters)))
        number += 1
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(out) + "\n")


def main(arguments):
    if arguments[:1] == ["--port"]:
        server, listener = Server(int(arguments[1])), Listener(int(arguments[1]))
        for path in arguments[2:]:
            record(server, listener, path)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--save", "", "--dir", folder]
        options += ["--enable-debug-command", "yes"]
        process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                try:
                    server, listener = Server(port), Listener(port)
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            for path in arguments:
                record(server, listener, path)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
