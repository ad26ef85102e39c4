#!/usr/bin/env python3
"""How long other clients wait while one does something large.

    benches/stall.py PORT [OPERATION ...]

Talks to a server that is running on this machine; meant for one shard, where everything meets on one
core. A second process sends PING every half millisecond on a connection of its own and notes how long
each answer takes; `quiet` is the same while nothing else happens. For each operation it prints p50, p99
and the longest, the time of the operation, and by how much the server's resident memory was above what
it was before, at most.

Deletes all data of the server. Needs about 3 GB of memory. Uses nothing but Python's own library.
"""

import multiprocessing
import socket
import sys
import threading
import time

HALF_MILLISECOND = 0.0005
LARGE_BYTES = 512 * 1024 * 1024 - 1
MEMBERS = 5_000_000
ELEMENTS = 1_000_000


def encode(*words):
    """Returns the bytes of a request."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts += [b"$%d\r\n" % len(word), word, b"\r\n"]
    return b"".join(parts)


class Client:
    """A connection that sends requests and swallows replies."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(1 << 20)
        self.rest = b""

    def send(self, *words):
        self.socket.sendall(encode(*words))

    def _more(self):
        count = self.socket.recv_into(self.buffer)
        if count == 0:
            raise ConnectionError("the server has closed the connection")
        self.rest += self.buffer[:count]

    def _line(self):
        while (end := self.rest.find(b"\r\n")) < 0:
            self._more()
        line, self.rest = self.rest[:end], self.rest[end + 2 :]
        return line

    def _skip(self, count):
        count -= len(self.rest)
        if count < 0:
            self.rest = self.rest[count:]
            return
        self.rest = b""
        while count > 0:
            view = memoryview(self.buffer)[: min(count, len(self.buffer))]
            got = self.socket.recv_into(view)
            if got == 0:
                raise ConnectionError("the server has closed the connection")
            count -= got

    def read(self):
        """Reads one reply and returns its first line."""
        line = self._line()
        if line[:1] == b"-":
            raise ValueError(line.decode())
        if line[:1] == b"$" and int(line[1:]) >= 0:
            self._skip(int(line[1:]) + 2)
        return line

    def read_flat(self):
        """Reads an array of strings, fast: by counting line ends of strings without any."""
        line = self._line()
        if line[:1] == b"-":
            raise ValueError(line.decode())
        ends = 2 * int(line[1:])
        ends -= self.rest.count(b"\n")
        while ends > 0:
            count = self.socket.recv_into(self.buffer)
            if count == 0:
                raise ConnectionError("the server has closed the connection")
            ends -= self.buffer.count(b"\n", 0, count)
        self.rest = b""

    def read_entries(self, count, skipped=0):
        """Reads an array of `count` entries of a stream with one field each, of 8 lines."""
        for _ in range(skipped):
            self._line()
        line = self._line()
        if line != b"*%d" % count:
            raise ValueError(line.decode())
        ends = 8 * count - self.rest.count(b"\n")
        while ends > 0:
            got = self.socket.recv_into(self.buffer)
            if got == 0:
                raise ConnectionError("the server has closed the connection")
            ends -= self.buffer.count(b"\n", 0, got)
        self.rest = b""

    def do(self, *words):
        self.send(*words)
        return self.read()

    def info(self, field):
        self.send("INFO")
        length = int(self._line()[1:])
        while len(self.rest) < length + 2:
            self._more()
        text, self.rest = self.rest[:length], self.rest[length + 2 :]
        for line in text.split(b"\r\n"):
            if line.startswith(field + b":"):
                return int(line[len(field) + 1 :])
        raise KeyError(field)


def probe(port, stop, result):
    """Sends PING every half millisecond until told to stop."""
    client = Client(port)
    times = []
    while not stop.is_set():
        begun = time.perf_counter()
        client.do("PING")
        took = time.perf_counter() - begun
        times.append(took)
        if took < HALF_MILLISECOND:
            time.sleep(HALF_MILLISECOND - took)
    times.sort()
    result.send((times[len(times) // 2], times[len(times) * 99 // 100], times[-1], len(times)))


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def watch_memory(pid, stop, peak):
    while not stop.is_set():
        peak[0] = max(peak[0], resident(pid))
        time.sleep(0.005)


def fill(client, name, words_of, count):
    """Sends `count` elements, a hundred in a command, many commands at a time."""
    for start in range(0, count, 100_000):
        batch = []
        for first in range(start, min(start + 100_000, count), 100):
            words = [word for index in range(first, first + 100) for word in words_of(index)]
            batch.append(encode(*name, *words))
        client.socket.sendall(b"".join(batch))
        for _ in batch:
            client.read()


def fill_stream(client, count):
    """Adds `count` entries with one field each."""
    for start in range(0, count, 10_000):
        batch = [encode("XADD", "stream", b"%d-1" % (index + 1), "field", member(index))
                 for index in range(start, start + 10_000)]
        client.socket.sendall(b"".join(batch))
        for _ in batch:
            client.read()


def member(index):
    return b"member:%08d" % index


def slow_read(client):
    """Asks for a large string and reads it slowly, as a client behind a thin line does."""
    client.send("GET", "large")
    for _ in range(200):
        client.socket.recv_into(client.buffer, 65536)
        time.sleep(0.01)
    client.socket.close()


OPERATIONS = {
    "quiet": (None, lambda c: time.sleep(3)),
    "SET of 512 MB": (None, lambda c: c.do("SET", "large", b"x" * LARGE_BYTES)),
    "SET over it": (None, lambda c: c.do("SET", "large", b"y" * LARGE_BYTES)),
    "GET of 512 MB": (None, lambda c: c.do("GET", "large")),
    "GET of 512 MB, read slowly": (None, slow_read),
    "GETRANGE of 256 MB": (None, lambda c: c.do("GETRANGE", "large", 0, LARGE_BYTES // 2)),
    "DEL of 512 MB": (None, lambda c: (c.do("DEL", "large"), time.sleep(1))),
    "LRANGE of 1 M": (
        lambda c: fill(c, ("RPUSH", "list"), lambda i: [member(i)], ELEMENTS),
        lambda c: (c.send("LRANGE", "list", 0, -1), c.read_flat()),
    ),
    "ZRANGE of 1 M": (
        lambda c: fill(c, ("ZADD", "zset"), lambda i: [i, member(i)], ELEMENTS),
        lambda c: (c.send("ZRANGE", "zset", 0, -1), c.read_flat()),
    ),
    "HGETALL of 1 M": (
        lambda c: fill(c, ("HSET", "hash"), lambda i: [member(i), i], ELEMENTS),
        lambda c: (c.send("HGETALL", "hash"), c.read_flat()),
    ),
    "XRANGE of 1 M": (
        lambda c: fill_stream(c, ELEMENTS),
        lambda c: (c.send("XRANGE", "stream", "-", "+"), c.read_entries(ELEMENTS)),
    ),
    "XREAD of 1 M": (
        None,
        lambda c: (c.send("XREAD", "STREAMS", "stream", 0), c.read_entries(ELEMENTS, 4)),
    ),
    "HRANDFIELD of 500 k": (None, lambda c: (c.send("HRANDFIELD", "hash", ELEMENTS // 2), c.read_flat())),
    "ZRANDMEMBER of 500 k": (None, lambda c: (c.send("ZRANDMEMBER", "zset", ELEMENTS // 2), c.read_flat())),
    "DUMP of a hash of 1 M": (None, lambda c: c.do("DUMP", "hash")),
    "SMEMBERS of 5 M": (
        lambda c: fill(c, ("SADD", "set"), lambda i: [member(i)], MEMBERS),
        lambda c: (c.send("SMEMBERS", "set"), c.read_flat()),
    ),
    "SRANDMEMBER of 2.5 M": (None, lambda c: (c.send("SRANDMEMBER", "set", MEMBERS // 2), c.read_flat())),
    "SUNION of 5 M and 1 M": (
        lambda c: fill(c, ("SADD", "other"), lambda i: [member(4 * i)], ELEMENTS),
        lambda c: (c.send("SUNION", "set", "other"), c.read_flat()),
    ),
    "SINTER of 5 M and 1 M": (None, lambda c: (c.send("SINTER", "set", "other"), c.read_flat())),
    "SDIFF of 5 M and 1 M": (None, lambda c: (c.send("SDIFF", "set", "other"), c.read_flat())),
    "SUNIONSTORE of both": (None, lambda c: c.do("SUNIONSTORE", "both", "set", "other")),
    "SPOP of 500 k of 1 M": (None, lambda c: (c.send("SPOP", "other", ELEMENTS // 2), c.read_flat())),
    "SPOP of all of 6 M": (None, lambda c: (c.send("SPOP", "both", 2 * MEMBERS), c.read_flat())),
    "LPOP of 2.5 M of 5 M": (
        lambda c: fill(c, ("RPUSH", "long"), lambda i: [member(i)], MEMBERS),
        lambda c: (c.send("LPOP", "long", MEMBERS // 2), c.read_flat()),
    ),
    "RPOP of all of 2.5 M": (None, lambda c: (c.send("RPOP", "long", MEMBERS), c.read_flat())),
    "SORT ALPHA of a list of 1 M": (None, lambda c: (c.send("SORT", "list", "ALPHA"), c.read_flat())),
    "KEYS of 1 M": (
        lambda c: fill(c, ("MSET",), lambda i: [member(i), i], ELEMENTS),
        lambda c: (c.send("KEYS", "member:*"), c.read_flat()),
    ),
    "DEL of a set of 5 M": (None, lambda c: (c.do("DEL", "set"), time.sleep(3))),
}


def measure(port, pid, name):
    prepare, run = OPERATIONS[name]
    client = Client(port)
    if prepare:
        prepare(client)
    stop, (ours, theirs) = multiprocessing.Event(), multiprocessing.Pipe()
    prober = multiprocessing.Process(target=probe, args=(port, stop, theirs))
    prober.start()
    time.sleep(0.2)
    before = resident(pid)
    peak, ended = [before], threading.Event()
    watcher = threading.Thread(target=watch_memory, args=(pid, ended, peak))
    watcher.start()
    begun = time.perf_counter()
    run(client)
    took = time.perf_counter() - begun
    ended.set()
    stop.set()
    middle, high, longest, _count = ours.recv()
    prober.join()
    watcher.join()
    more = (peak[0] - before) / 2**20
    print(
        f"{name:28} p50 {middle * 1e3:7.2f} ms  p99 {high * 1e3:7.2f} ms  longest {longest * 1e3:8.2f} ms"
        f"  took {took:6.2f} s  memory +{more:.0f} MB",
        flush=True,
    )


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    port = int(sys.argv[1])
    client = Client(port)
    pid = client.info(b"process_id")
    client.do("FLUSHALL")
    for name in sys.argv[2:] or OPERATIONS:
        if name not in OPERATIONS:
            sys.exit(f"unknown operation {name!r}; known: {', '.join(OPERATIONS)}")
        measure(port, pid, name)


if __name__ == "__main__":
    main()
