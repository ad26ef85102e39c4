#!/usr/bin/env python3
"""Writes what a Redis server says of commands into declarations.txt beside this file.

    declare.py PORT

Only facts are written: no summary, no complexity, no sentence of the history. Which commands are
asked for, the file itself says: those of its `command` lines, a container before its subcommands.
"""

import pathlib
import socket
import sys

FILE = pathlib.Path(__file__).with_name("declarations.txt")


class Server:
    """A connection that hands out parsed RESP3 replies."""

    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        self.run("HELLO", "3")

    def run(self, *words):
        self.stream.write(b"*%d\r\n" % len(words))
        for word in words:
            self.stream.write(b"$%d\r\n%s\r\n" % (len(word), word.encode()))
        self.stream.flush()
        return self.reply()

    def reply(self):
        line = self.stream.readline()[:-2]
        kind, rest = line[:1], line[1:].decode()
        if kind == b"$":
            return self.stream.read(int(rest) + 2)[:-2].decode()
        if kind in b"*~":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"%":
            return {self.reply(): self.reply() for _ in range(int(rest))}
        return int(rest) if kind == b":" else rest


def argument_lines(arguments, depth):
    for argument in arguments:
        parts = ["argument", argument["name"], argument["type"]]
        for field in ("key_spec_index", "token", "since", "deprecated_since"):
            if field in argument:
                parts.append("%s=%s" % (field, argument[field]))
        parts += argument.get("flags", [])
        yield "  " * depth + " ".join(parts)
        yield from argument_lines(argument.get("arguments", []), depth + 1)


def key_line(spec):
    begin, find = spec["begin_search"], spec["find_keys"]
    values = lambda part: [str(value) for value in part["spec"].values()]
    parts = ["key", begin["type"], *values(begin), find["type"], *values(find), *spec["flags"]]
    return " ".join(parts)


def lines(info, docs):
    yield "command " + info[0]
    yield "arity %d" % info[1]
    yield " ".join(["flags", *info[2]])
    yield "positions %d %d %d" % tuple(info[3:6])
    yield " ".join(["categories", *info[6]])
    yield from ("tip " + tip for tip in info[7])
    yield from (key_line(spec) for spec in info[8])
    yield "since " + docs["since"]
    yield "group " + docs["group"]
    yield from ("history " + version for version, _ in docs.get("history", []))
    if "deprecated_since" in docs:
        yield "deprecated %s %s" % (docs["deprecated_since"], docs["replaced_by"])
    yield from argument_lines(docs.get("arguments", []), 0)
    yield ""


def main():
    server = Server(int(sys.argv[1]))
    with open(FILE, encoding="ascii") as file:
        old = file.read().splitlines()
    names = [line.split()[1] for line in old if line.startswith("command ")]
    out = []
    for name in names:
        info = server.run("COMMAND", "INFO", name)[0]
        docs = next(iter(server.run("COMMAND", "DOCS", name).values()))
        out += lines(info, docs)
    with open(FILE, "w", encoding="ascii") as file:
        file.write("\n".join(out))


if __name__ == "__main__":
    main()
