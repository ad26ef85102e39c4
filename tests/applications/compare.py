#!/usr/bin/env python3
"""Runs the scenarios in this folder against several servers and compares what they print.

    compare.py DIRECTORY SCENARIO... -- NAME=PORT NAME=PORT...

DIRECTORY is where `install` put the packages. Scenarios are files of this folder; without any, all
run. The first server is
the reference: its parts must not fail. All servers run the same scenario at the same time, one
scenario after the other.

A part that needs what a server has not (`scripts`, `pubsub`, `blocking`) is left out there, and
named. The last line counts parts on the servers behind the reference; exits 1 if any failed.
"""

import difflib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).parent
SCENARIOS = (
    "redis_py.py",
    "django_cache.py",
    "rq_jobs.py",
    "celery_tasks.py",
    "ioredis.mjs",
    "node_redis.mjs",
    "bullmq.mjs",
)

# Which command a server must have for a need.
NEEDS = {"scripts": "EVAL", "pubsub": "SUBSCRIBE", "blocking": "BLPOP"}

# Seconds for all parts of one scenario.
LIMIT = 150


class Server:
    """A server to run against."""

    def __init__(self, text):
        self.name, port = text.split("=")
        self.port = int(port)
        self.met = {need for need, command in NEEDS.items() if self.has(command)}

    def has(self, command):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(f"COMMAND INFO {command}\r\n".encode())
            # An array of one: of facts, or null.
            reply = b""
            while reply.count(b"\n") < 2:
                reply += connection.recv(4096)
            return reply.split(b"\r\n")[1] not in (b"*-1", b"$-1", b"_")


class Scenario:
    """One file, and how to run it."""

    def __init__(self, name, directory):
        self.name = name
        self.file = FOLDER / name
        self.program = directory / "python/bin/python"
        if name.endswith(".mjs"):
            self.program = directory / "node/node"
            # Modules are looked for beside the file that asks for them.
            for source in FOLDER.glob("*.mjs"):
                shutil.copy(source, directory / "node")
            self.file = directory / "node" / name
        lines = self.start("0", [], subprocess.PIPE).communicate(timeout=60)[0].splitlines()
        self.parts = {line.split()[0]: line.split()[1:] for line in lines}
        if not self.parts:
            raise SystemExit(f"{name} has no parts")

    def start(self, port, parts, errors):
        return subprocess.Popen(
            [str(self.program), str(self.file), *parts],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=dict(os.environ, PORT=port, PYTHONDONTWRITEBYTECODE="1"),
        )

    def run(self, servers):
        """Returns for each server what it printed, by part, and the errors it printed."""
        runs = []
        for server in servers:
            parts = [part for part, needs in self.parts.items() if server.met.issuperset(needs)]
            errors = tempfile.TemporaryFile(mode="w+")
            process = self.start(str(server.port), parts, errors) if parts else None
            runs.append((process, errors))
        end = time.monotonic() + LIMIT
        outcomes = []
        for process, errors in runs:
            text = ""
            if process:
                try:
                    text = process.communicate(timeout=max(0.1, end - time.monotonic()))[0]
                except subprocess.TimeoutExpired:
                    process.kill()
                    text = process.communicate()[0] + f"?\tnot done after {LIMIT} s\n"
            errors.seek(0)
            lines = {}
            for line in text.splitlines():
                part, _, rest = line.partition("\t")
                lines.setdefault(part, []).append(rest)
            outcomes.append((lines, errors.read()))
        return outcomes


def compare(scenario, servers):
    """Runs a scenario everywhere; returns how many parts passed and failed, and were left out."""
    began = time.monotonic()
    outcomes = scenario.run(servers)
    seconds = time.monotonic() - began
    passed, failed, left_out = 0, 0, []
    reference = outcomes[0][0]
    for index, (server, (lines, errors)) in enumerate(zip(servers, outcomes)):
        has_failed = False
        for part, needs in scenario.parts.items():
            missing = [need for need in needs if need not in server.met]
            if missing:
                left_out.append(f"{scenario.name} {part} on {server.name}: no {', '.join(missing)}")
                continue
            ours, theirs = lines.get(part, []), reference.get(part, [])
            is_done = ours[-1:] == ["end: "]
            if ours == theirs and is_done:
                passed += index > 0
                continue
            failed += 1
            has_failed = True
            print(f"{scenario.name} {part} on {server.name}: differs")
            for line in difflib.unified_diff(
                theirs, ours, servers[0].name, server.name, "", "", 1, ""
            ):
                print(f"    {line}")
            if not is_done:
                print(f"    it did not end: {lines.get('?', [''])[0]}")
        if has_failed:
            print("\n".join(f"    ! {line}" for line in errors.splitlines()[-40:]))
    print(f"{scenario.name}: {len(scenario.parts)} parts, {seconds:.1f} s", flush=True)
    return passed, failed, left_out


def main():
    directory, *rest = sys.argv[1:]
    mark = rest.index("--")
    servers = [Server(text) for text in rest[mark + 1 :]]
    passed, failed, left_out = 0, 0, []
    for name in rest[:mark] or SCENARIOS:
        counts = compare(Scenario(name, Path(directory).resolve()), servers)
        passed, failed, left_out = passed + counts[0], failed + counts[1], left_out + counts[2]
    for line in left_out:
        print(f"LEFT OUT: {line}")
    print(f"applications: {passed} passed, {failed} failed, {len(left_out)} left out")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
