#!/usr/bin/env python3
"""Measures scripts and MULTI beside redis-server, round by round in alternation.

    benches/programs.py [--rounds 5] [--scale 1.0]

One connection sends batches of requests and reads their replies. The server of one shard and redis-server run
on the first processor, the client on the second; servers of more shards may use both. Printed are medians over
the rounds: requests per second, the server's CPU time per request with its spread, the ratio redis/trestle of
it, and the hops per request between cores (`hops` of `INFO trestle`).

Requests: a script of three commands on one declared key; the same on four keys that it builds itself, so that
it runs under claims on all shards; MULTI with ten SETs of one slot, and of ten slots.
"""

import argparse
import os
import socket
import statistics
import time

from compare import CLIENT_CPU, SERVER_CPU, Server, free_port, program

BATCH = 50
VALUE = b"abcdefghijklmnop"
ONE_KEY = (b"redis.call('set',KEYS[1],ARGV[1]) redis.call('expire',KEYS[1],100) "
           b"return redis.call('get',KEYS[1])")
BUILT_KEYS = (b"for i = 1, 3 do redis.call('set',ARGV[1]..i,ARGV[2]) end "
              b"return redis.call('get',ARGV[1]..1)")


def request(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def script(number):
    return request(b"EVAL", ONE_KEY, b"1", b"key:%06d" % number, VALUE)


def built(number):
    return request(b"EVAL", BUILT_KEYS, b"0", b"key:%06d:" % number, VALUE)


def multi(key):
    def make(number):
        sets = (request(b"SET", key(number, index), VALUE) for index in range(10))
        return request(b"MULTI") + b"".join(sets) + request(b"EXEC")
    return make


BULK = b"$16\r\n" + VALUE + b"\r\n"
EXECUTED = b"+OK\r\n" + b"+QUEUED\r\n" * 10 + b"*10\r\n" + b"+OK\r\n" * 10
KINDS = [
    ("EVAL of 3 commands, one key", script, BULK),
    ("EVAL of 4 commands, built keys", built, BULK),
    ("MULTI of 10 SET, one slot", multi(lambda number, index: b"{%06d}:%d" % (number, index)), EXECUTED),
    ("MULTI of 10 SET, ten slots", multi(lambda number, index: b"%06d:%d" % (number, index)), EXECUTED),
]


def run(server, make, reply, count):
    """Returns requests per second, CPU microseconds per request and hops per request."""
    batches = [b"".join(make((first + at) % 1000) for at in range(BATCH))
               for first in range(0, count, BATCH)]
    hops = server.total("hops") if server.name != "redis" else 0
    expected = reply * BATCH
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        before, begun = server.cpu_seconds(), time.monotonic()
        for batch in batches:
            connection.sendall(batch)
            replies = connection.recv(len(expected), socket.MSG_WAITALL)
            assert replies == expected, replies[:200]
        seconds, cpu = time.monotonic() - begun, server.cpu_seconds() - before
    requests = len(batches) * BATCH
    hops = (server.total("hops") if server.name != "redis" else 0) - hops
    return requests / seconds, cpu / requests * 1e6, hops / requests


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(CLIENT_CPU)})
    servers = [Server("redis", ["redis-server"], SERVER_CPU, free_port())]
    for shards, cpu in [(1, SERVER_CPU), (2, "0,1"), (4, "0,1")]:
        argv = [program("trestle"), "--shards", str(shards)]
        servers.append(Server(f"trestle, {shards} shards", argv, cpu, free_port()))
    for title, make, reply in KINDS:
        results = {server.name: [] for server in servers}
        for _ in range(options.rounds):
            for server in servers:
                results[server.name].append(run(server, make, reply, int(20000 * options.scale)))
        redis = statistics.median(cpu for _, cpu, _ in results["redis"])
        print(title)
        for name, runs in results.items():
            rate, cpu, hops = (statistics.median(column) for column in zip(*runs))
            times = [time for _, time, _ in runs]
            print(f"  {name:18} {rate:8.0f}/s  {cpu:6.2f} us ({min(times):.2f}..{max(times):.2f})  "
                  f"redis/this {redis / cpu:.2f}  hops {hops:.2f}")
    for server in servers:
        server.stop()


if __name__ == "__main__":
    main()
