#!/usr/bin/env python3
"""Measures how long an element takes from who pushes it to who waits for it.

    hand_off.py PORT [ROUNDS] [WAITERS]

One client waits with BLPOP, another pushes; the time runs from before the push until the waiting client has the
element. Three cases: one key, several keys of which the last one is pushed to, and a move to another list. Keys are
new in each round, so that with several cores they lie on all of them. With WAITERS, so many other
clients wait for keys nobody pushes to. Prints the median and the 99th percentile in microseconds.
"""

import socket
import sys
import time


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in map(str.encode, words)]
        self.socket.sendall(b"".join(parts))

    def read(self):
        return self.socket.recv(65536)


def await_blocked(control, count):
    """Returns when `count` clients wait, and every core has been asked since."""
    while True:
        control.send("INFO", "clients")
        if b"blocked_clients:%d\r\n" % count in control.read():
            return


def measure(port, rounds, others, name, wait, push):
    taker, pusher, control = Client(port), Client(port), Client(port)
    times = []
    for number in range(rounds):
        taker.send(*wait(number))
        await_blocked(control, others + 1)
        begun = time.perf_counter_ns()
        pusher.send(*push(number))
        taker.read()
        times.append(time.perf_counter_ns() - begun)
        pusher.read()
        control.send("FLUSHALL")
        control.read()
    times.sort()
    at = lambda share: times[int(share * (len(times) - 1))] / 1000
    print(f"{name:<14} median {at(0.5):8.1f} us   p99 {at(0.99):8.1f} us")


def main():
    port = int(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    others = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    waiters = [Client(port) for _ in range(others)]
    for number, waiter in enumerate(waiters):
        waiter.send("BLPOP", f"nobody:{number}", "0")
    measure(port, rounds, others, "one key",
            lambda n: ["BLPOP", f"list:{n}", "0"],
            lambda n: ["RPUSH", f"list:{n}", "x"])
    measure(port, rounds, others, "four keys",
            lambda n: ["BLPOP", *(f"{part}:{n}" for part in "abcd"), "0"],
            lambda n: ["RPUSH", f"d:{n}", "x"])
    measure(port, rounds, others, "move",
            lambda n: ["BLMOVE", f"from:{n}", f"to:{n}", "LEFT", "RIGHT", "0"],
            lambda n: ["RPUSH", f"from:{n}", "x"])


if __name__ == "__main__":
    main()
