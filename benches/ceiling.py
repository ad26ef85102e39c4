#!/usr/bin/env python3
"""Says how much faster than redis-server one core could be at all, with sockets of the kernel.

    benches/ceiling.py [--rounds 5] [--scale 0.5] [--pipeline 16] [--tests set,lpush,...]

Runs the tests of redis-benchmark in alternation, as `compare.py --only types` does: a server for each
cell on the first processor, the client on the second. Per test it prints a row of a table:

- the ratio of the rates, as measured;
- CPU time per request of redis-server and of the client beside it;
- the same of trestle, what of it is in the kernel, nearly all of it TCP, and of the client beside it;
- the highest ratio: with a server whose own part costs nothing, on one processor the kernel's part is
  left and on the other the client, and the slower of both bounds the rate; `kernel` or `client` says
  which. The rate of redis-server is bounded by its CPU time and that of its client in the same way;
- the same with a client that costs nothing: CPU time of redis-server over the kernel's part.

The highest ratio is made of CPU times alone, so other work on the machine disturbs it little.

Time in the kernel and outside is what /proc/PID/task/*/stat says, in ticks, of all runs of a cell
together: a cell should run for some seconds.
"""

import argparse
import glob
import os
import resource
import statistics

import compare

BEFORE = {"lpop": "lpush", "rpop": "rpush", "spop": "sadd", "zpopmin": "zadd"}


def ticks(server):
    """Returns the ticks that a server has spent outside and inside of the kernel."""
    user, kernel = 0, 0
    for path in glob.glob(f"/proc/{server.pid}/task/*/stat"):
        try:
            with open(path) as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        user, kernel = user + int(fields[11]), kernel + int(fields[12])
    return user, kernel


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Cell:
    """What one server did in all rounds of one test."""

    def __init__(self, name, argv):
        self.name, self.argv = name, argv
        self.rates, self.cpus, self.client_cpus = [], [], []
        self.user, self.kernel = 0, 0

    def run(self, test, pipeline, count):
        server = compare.Server(self.name, self.argv, compare.SERVER_CPU, compare.free_port())
        if test in BEFORE:
            compare.redis_benchmark(server, BEFORE[test], 50, 16, count, 100_000)
        user, kernel = ticks(server)
        client = children_seconds()
        rate, cpu, _ = compare.redis_benchmark(server, test, 50, pipeline, count, 100_000)
        self.client_cpus.append((children_seconds() - client) / count * 1e6)
        user_after, kernel_after = ticks(server)
        self.user += user_after - user
        self.kernel += kernel_after - kernel
        self.rates.append(rate)
        self.cpus.append(cpu)
        server.stop()

    def rate(self):
        return statistics.median(self.rates)

    def cpu(self):
        return statistics.median(self.cpus)

    def client(self):
        return statistics.median(self.client_cpus)

    def kernel_cpu(self):
        return self.cpu() * self.kernel / max(self.user + self.kernel, 1)


def spread(values):
    return f"{min(values):.2f}..{max(values):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="this share of the requests")
    parser.add_argument("--pipeline", type=int, default=16)
    parser.add_argument("--tests", default="", help="these alone, separated by commas")
    options = parser.parse_args()
    wanted = options.tests.split(",") if options.tests else []
    print("| test | rate | redis: server, client us | trestle: server (kernel), client us | highest | free client |")
    print("|---|---|---|---|---|---|")
    measured, highest, free = [], [], []
    for test, _, deep in compare.TESTS:
        if test == "xadd" or wanted and test not in wanted:
            continue
        count = max(options.pipeline * 50, int(deep * options.scale))
        count = count // options.pipeline * options.pipeline
        trestle = Cell("trestle", [compare.program("trestle"), "--shards", "1", "--pin-cores", "no"])
        redis = Cell("redis", ["redis-server"])
        for _ in range(options.rounds):
            for cell in (trestle, redis):
                cell.run(test, options.pipeline, count)
        left = max((trestle.client(), "client"), (trestle.kernel_cpu(), "kernel"))
        ratio = trestle.rate() / redis.rate()
        ceiling = max(redis.cpu(), redis.client()) / left[0]
        free.append(redis.cpu() / trestle.kernel_cpu())
        measured.append(ratio)
        highest.append(ceiling)
        print(f"| {test} | {ratio:.2f}x | {redis.cpu():.2f} ({spread(redis.cpus)}), {redis.client():.2f} "
              f"| {trestle.cpu():.2f} ({spread(trestle.cpus)}; {trestle.kernel_cpu():.2f}), "
              f"{trestle.client():.2f} | {ceiling:.2f}x, {left[1]} | {free[-1]:.2f}x |", flush=True)
    print(f"| median | {statistics.median(measured):.2f}x | | | {statistics.median(highest):.2f}x "
          f"| {statistics.median(free):.2f}x |")


if __name__ == "__main__":
    os.chdir(compare.ROOT)
    main()
