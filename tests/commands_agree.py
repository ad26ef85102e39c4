#!/usr/bin/env python3
"""Compares what two servers say about the commands that both have.

    tests/commands_agree.py REDIS_PORT TRESTLE_PORT

Both listen on 127.0.0.1 without a password. Compared are, in RESP2 and RESP3:
- COMMAND INFO and COMMAND DOCS, field by field and subcommand by subcommand. Sentences (summary,
  complexity, history) only have to be there on both sides or on neither; the versions of the
  history must agree. What is a set in the protocol is compared as a set.
- COMMAND GETKEYS and GETKEYSANDFLAGS for sample requests, errors included.
- COMMAND COUNT and LIST of the second server, against its own COMMAND.

Subcommands that the second server does not have are not differences; it lists what it can do.
Prints each difference and their number; exits 1 if there are any, 2 if it could not compare.
"""

import socket
import sys

# Where the servers differ on purpose: (full name of the command, field or "*") and the reason.
DELIBERATE = {
    (name, field): "WITHSCORE, as in Redis 7.2"
    for name in ("zrank", "zrevrank")
    for field in ("arity", "docs fields", "history", "arguments", "number of arguments")
}

# Requests for GETKEYS and GETKEYSANDFLAGS. Those of commands that the second server lacks are left
# out, but for "nosuch".
REQUESTS = """
nosuch a
client nosuch a
client|list a
client list
client id x
time a
ping a b
echo a b
config get a
command info get
watch a
watch a b c
memory usage
memory usage a
memory usage a samples 5
memory usage a b c d
get a
get a b
set a b
set a
set get b
set a get
set a b get
set a b ex 10 GeT
getset a b
getex a
getex a persist
getdel a
setnx a b
setex a 1 b
append a b
incr a
incrbyfloat a 1
getrange a 0 1
setrange a 0 b
mget a b c
mset a 1
mset a 1 b 2
mset a 1 b
mset a
msetnx a 1 b 2
lcs a b
lcs a b idx
del a b c
unlink a b
exists a a b
touch a b
copy a b
copy a b db 1
rename a b
sadd a b c
spop a 1
smove a b c
sinter a b c
sunionstore a b c
sdiffstore a b
sinterstore a b c
sintercard 2 a b limit 1
sintercard 3 a b
sintercard x a b
sort a
sort a store
sort a store b
sort a store b store c
sort a limit 0 1 get store by store store b
sort a limit store x
sort a foo bar
sort_ro a by b* get c*
sort_ro a store b
sscan a 0
rename a
renamenx a b
move a 1
expire a 10
pexpireat a 10 nx
ttl a
persist a
type a
dump a
restore a 0 b
object encoding a
object freq
object help
sort a
sort a by b get c store d
randomkey a
keys a
scan 0 match a
flushall async
bitfield a
bitfield a get u8 0
bitfield a get u8 0 overflow wrap
bitfield a get u8
bitfield a set u8 0 1
bitfield a nonsense
bitfield_ro a get u8 0
bitop and d a b
publish a b
spublish a b
ssubscribe a b
lpush a b
lmpop 2 a b left
lmpop 0 a left
lmpop -1 a b left
lmpop 9 a b left
blpop a b 1
blpop a
zunionstore d 2 a b c
zunionstore d 0 a
zunionstore d 9 a
zunionstore d x a
zdiff 2 a b
xread count 2 streams a b 1 1
xread streams a
xread foo bar baz
xreadgroup group g c streams a b 1 1
georadius a 1 1 1 m store b storedist c
georadius a 1 1 1 m store
eval x 0
eval x 1 k
eval x 5 a
eval x y
evalsha x 1 k
fcall f 1 k
migrate h 1 k 0 1
""".strip().splitlines()

SENTENCES = ("summary", "complexity")


class Set(list):
    """Elements whose order means nothing."""


class Failure(str):
    """An error reply."""


class Server:
    """A connection to a server."""

    def __init__(self, port, protocol):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.input = self.socket.makefile("rb")
        hello = self("HELLO", str(protocol))
        if isinstance(hello, Failure):
            raise ConnectionError(hello)

    def __call__(self, *words):
        encoded = [word.encode() for word in words]
        request = b"*%d\r\n" % len(encoded)
        for word in encoded:
            request += b"$%d\r\n%s\r\n" % (len(word), word)
        self.socket.sendall(request)
        return self.read()

    def read(self):
        """Reads a reply. Status lines and strings keep apart: a status line gets a '+' in front."""
        line = self.input.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection inside a reply")
        mark, rest = line[:1], line[1:-2]
        if mark == b"+":
            return "+" + rest.decode()
        if mark == b"-":
            return Failure(rest.decode())
        if mark == b":":
            return int(rest)
        if mark == b"$":
            length = int(rest)
            return None if length < 0 else self.input.read(length + 2)[:-2].decode()
        if mark == b"_":
            return None
        if mark == b"*":
            length = int(rest)
            return None if length < 0 else [self.read() for _ in range(length)]
        if mark == b"~":
            return Set(self.read() for _ in range(int(rest)))
        if mark == b"%":
            return {self.read(): self.read() for _ in range(int(rest))}
        raise ConnectionError(f"unknown mark in a reply: {line!r}")


def as_map(value):
    """Returns a map, which RESP2 sends as an array of names and values."""
    return value if isinstance(value, dict) else dict(zip(value[::2], value[1::2]))


class Comparison:
    """Collects differences."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.differences = []
        self.compared = 0

    def expect(self, name, field, redis, trestle):
        self.compared += 1
        if type(redis) is type(trestle) and redis == trestle:
            return
        if (name, field) in DELIBERATE or (name, "*") in DELIBERATE:
            return
        self.differences.append(
            f"RESP{self.protocol} {name}: {field}: redis {redis!r}, trestle {trestle!r}"
        )

    def expect_set(self, name, field, redis, trestle):
        """Compares as sets, and whether both or none are sets in the protocol."""
        self.expect(name, field + " (kind)", type(redis).__name__, type(trestle).__name__)
        self.expect(name, field, sorted(redis, key=repr), sorted(trestle, key=repr))

    def info(self, redis, trestle):
        name = redis[0]
        self.expect(name, "number of facts", len(redis), len(trestle))
        fields = ("name", "arity", None, "first key", "last key", "step")
        for index, field in enumerate(fields):
            if field:
                self.expect(name, field, redis[index], trestle[index])
        self.expect_set(name, "flags", redis[2], trestle[2])
        self.expect_set(name, "categories", redis[6], trestle[6])
        self.expect_set(name, "tips", redis[7], trestle[7])
        self.expect(name, "key specs (kind)", type(redis[8]), type(trestle[8]))
        self.expect(name, "number of key specs", len(redis[8]), len(trestle[8]))
        for index, (one, other) in enumerate(zip(redis[8], trestle[8])):
            self.key_spec(name, f"key spec {index}", one, other)
        # An empty set stands for no subcommands, an array for some.
        if redis[9] and trestle[9]:
            self.expect(name, "subcommands (kind)", type(redis[9]), type(trestle[9]))
        else:
            self.expect(name, "has subcommands", bool(redis[9]), bool(trestle[9]))
            if not redis[9]:
                self.expect(name, "subcommands (kind)", type(redis[9]), type(trestle[9]))
        other = {entry[0]: entry for entry in trestle[9]}
        for entry in redis[9]:
            if entry[0] in other:
                self.info(entry, other[entry[0]])

    def key_spec(self, name, field, redis, trestle):
        self.expect(name, field + " (kind)", type(redis), type(trestle))
        one, other = as_map(redis), as_map(trestle)
        self.expect(name, field + " fields", list(one), list(other))
        for part in one.keys() & other.keys():
            if part == "flags":
                self.expect_set(name, f"{field} flags", one[part], other[part])
            elif part != "notes":
                self.expect(name, f"{field} {part}", one[part], other[part])

    def docs(self, name, redis, trestle):
        self.expect(name, "docs (kind)", type(redis), type(trestle))
        one, other = as_map(redis), as_map(trestle)
        self.expect(name, "docs fields", list(one), list(other))
        for field in one.keys() & other.keys():
            if field in SENTENCES:
                self.expect(name, field + " (kind)", type(one[field]), type(other[field]))
            elif field == "history":
                self.history(name, one[field], other[field])
            elif field == "arguments":
                self.arguments(name, field, one[field], other[field])
            elif field == "doc_flags":
                self.expect_set(name, field, one[field], other[field])
            elif field == "subcommands":
                self.expect(name, "subcommands (kind)", type(one[field]), type(other[field]))
                subcommands = as_map(other[field])
                for full_name, docs in as_map(one[field]).items():
                    if full_name in subcommands:
                        self.docs(full_name, docs, subcommands[full_name])
            else:
                self.expect(name, field, one[field], other[field])

    def history(self, name, redis, trestle):
        self.expect(name, "history (kind)", type(redis), type(trestle))
        versions = [sorted(version for version, _ in side) for side in (redis, trestle)]
        self.expect(name, "history versions", *versions)

    def arguments(self, name, path, redis, trestle):
        names = [[as_map(argument)["name"] for argument in side] for side in (redis, trestle)]
        self.expect(name, path, *names)
        for one, other in zip(redis, trestle):
            self.expect(name, path + " (kind)", type(one), type(other))
            one, other = as_map(one), as_map(other)
            here = f"{path}/{one['name']}"
            self.expect(name, here + " fields", list(one), list(other))
            for field in one.keys() & other.keys():
                if field == "arguments":
                    self.arguments(name, here, one[field], other[field])
                elif field == "flags":
                    self.expect_set(name, f"{here} flags", one[field], other[field])
                else:
                    self.expect(name, f"{here} {field}", one[field], other[field])

    def keys(self, request, redis, trestle):
        words = request.split()
        for command in ("GETKEYS", "GETKEYSANDFLAGS"):
            one = redis("COMMAND", command, *words)
            other = trestle("COMMAND", command, *words)
            if command == "GETKEYSANDFLAGS" and isinstance(one, list) and isinstance(other, list):
                self.expect(request, "keys", [key for key, _ in one], [key for key, _ in other])
                for (key, flags), (_, other_flags) in zip(one, other):
                    self.expect_set(request, f"flags of {key}", flags, other_flags)
            else:
                self.expect(request, command, one, other)

    def totals(self, trestle, command):
        """Compares COUNT and LIST of the second server with its own COMMAND."""
        self.expect("COMMAND COUNT", "number", len(command), trestle("COMMAND", "COUNT"))
        names = [name for entry in command for name in (entry[0], *(sub[0] for sub in entry[9]))]
        self.expect("COMMAND LIST", "names", sorted(names), sorted(trestle("COMMAND", "LIST")))
        self.expect("COMMAND LIST", "no name twice", len(names), len(set(names)))
        self.expect("COMMAND INFO", "unknown", [None], trestle("COMMAND", "INFO", "nosuch"))


def compare(protocol, redis_port, trestle_port):
    redis, trestle = Server(redis_port, protocol), Server(trestle_port, protocol)
    comparison = Comparison(protocol)
    command = trestle("COMMAND")
    if isinstance(command, Failure):
        raise ConnectionError(command)
    ours = {entry[0]: entry for entry in command}
    theirs = {entry[0]: entry for entry in redis("COMMAND")}
    for name in sorted(ours.keys() & theirs.keys()):
        comparison.info(theirs[name], ours[name])
    our_docs, their_docs = as_map(trestle("COMMAND", "DOCS")), as_map(redis("COMMAND", "DOCS"))
    comparison.expect("COMMAND DOCS", "names", sorted(ours), sorted(our_docs))
    for name in sorted(our_docs.keys() & their_docs.keys()):
        comparison.docs(name, their_docs[name], our_docs[name])
    for request in REQUESTS:
        name = request.split()[0]
        if name in ours or name not in theirs:
            comparison.keys(request, redis, trestle)
    comparison.totals(trestle, command)
    extra = sorted(ours.keys() - theirs.keys())
    print(
        f"RESP{protocol}: {len(ours.keys() & theirs.keys())} commands of both, "
        f"{comparison.compared} facts compared; not in redis: {' '.join(extra) or 'none'}"
    )
    return comparison.differences


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        ports = [int(word) for word in sys.argv[1:]]
        differences = compare(2, *ports) + compare(3, *ports)
    except (OSError, ValueError) as error:
        print(f"cannot compare: {error}", file=sys.stderr)
        return 2
    for difference in differences:
        print(difference)
    for (name, field), reason in DELIBERATE.items():
        print(f"deliberate: {name}: {field}: {reason}")
    print(f"{len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
