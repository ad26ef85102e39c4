#!/usr/bin/env python3
"""Records what Redis answers to the snippets of Lua in lua.snippets and lua_libraries.snippets.

    redis-server --port PORT --save '' --enable-debug-command yes
    tests/conformance/record_lua.py PORT

The file begins with commands (`call ...`) that snippets use; their replies are recorded in RESP2 and
RESP3 (`2 ...`, `3 ...`). Then snippets follow, each with the reply to `EVAL snippet 0` for a client
that speaks RESP2 and one that speaks RESP3. Replies are written as Python byte literals would be.
The keys that the commands use are set up here.

A snippet of lua_libraries.snippets is the code of a library after its first line, `#!lua name=lib`. Recorded
are the reply to FUNCTION LOAD, and of each of its functions, by name, the reply to `FCALL name 1 k a`.
"""

import pathlib
import socket
import sys

LIBRARIES = pathlib.Path(__file__).with_name("lua_libraries.snippets")
FILE = pathlib.Path(__file__).with_name("lua.snippets")

SETUP = [
    "flushall", "set str value", "set float 3.5", "hset hash f v", "rpush list a b c",
    "zadd zset 1.5 a 2 b", "sadd set x", "geoadd geo 1 2 home",
]


# Settings of cjson outlive a script in Redis, and do not here.
RESET = b"""
cjson.encode_max_depth(1000) cjson.decode_max_depth(1000) cjson.encode_number_precision(14)
cjson.encode_sparse_array(false, 2, 10) cjson.encode_keep_buffer(true)
cjson.encode_invalid_numbers(false) cjson.decode_invalid_numbers(true)
"""


class Client:
    def __init__(self, port, resp):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.bytes = b""
        if resp == 3:
            self.run(b"hello", b"3")

    def line(self):
        while b"\r\n" not in self.bytes:
            self.read()
        line, self.bytes = self.bytes.split(b"\r\n", 1)
        return line

    def read(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError("the server has closed the connection")
        self.bytes += piece

    def reply(self):
        line = self.line()
        out = line + b"\r\n"
        mark, count = line[:1], line[1:]
        if mark in b"$=" and count != b"-1":
            end = int(count) + 2
            while len(self.bytes) < end:
                self.read()
            out += self.bytes[:end]
            self.bytes = self.bytes[end:]
        elif mark in b"*~>" and count != b"-1":
            out += b"".join(self.reply() for _ in range(int(count)))
        elif mark in b"%|":
            out += b"".join(self.reply() for _ in range(2 * int(count)))
            if mark == b"|":
                out += self.reply()
        return out

    def run(self, *words):
        self.socket.sendall(
            b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self.reply()


def escape(reply):
    letters = {0x5c: "\\\\", 13: "\\r", 10: "\\n"}
    return "".join(
        letters.get(b, chr(b) if 32 <= b < 127 else "\\x%02x" % b) for b in reply)


def is_reply(line):
    return line.startswith(("2 ", "3 ", "load ", "fcall "))


def snippet_of(block):
    lines = block.rstrip("\n").split("\n")
    while lines and is_reply(lines[-1]):
        lines.pop()
    return "\n".join(lines)


def record_libraries(client):
    out = []
    for block in LIBRARIES.read_text().split("\n---\n"):
        snippet = snippet_of(block)
        client.run(b"function", b"flush")
        loaded = client.run(b"function", b"load", b"#!lua name=lib\n" + snippet.encode())
        text = f"{snippet}\nload {escape(loaded)}"
        words = client.run(b"function", b"list").split(b"\r\n")
        names = [words[i + 2] for i, word in enumerate(words) if word == b"name"]
        for name in sorted(names):
            reply = client.run(b"fcall", name, b"1", b"k", b"a")
            text += f"\nfcall {name.decode()} {escape(reply)}"
        out.append(text)
    LIBRARIES.write_text("\n---\n".join(out) + "\n")


def main():
    port = int(sys.argv[1])
    record_libraries(Client(port, 2))
    clients = [(2, Client(port, 2)), (3, Client(port, 3))]
    for command in SETUP:
        clients[0][1].run(*command.encode().split())
    blocks = FILE.read_text().split("\n---\n")
    out = []
    for line in blocks[0].splitlines():
        if is_reply(line):
            continue
        out.append(line)
        words = line.encode().split()[1:]
        for resp, client in clients:
            # What blocks or is unknown is refused by scripts in words of their own.
            call = b"redis.setresp(%d) return redis.pcall(unpack(ARGV))" % resp
            probe = client.run(b"eval", call, b"0", *words)
            direct = probe if probe.startswith(b"-") else client.run(*words)
            out.append(f"{resp} {escape(direct)}")
    text = "\n".join(out)
    for block in blocks[1:]:
        snippet = snippet_of(block)
        text += "\n---\n" + snippet
        for resp, client in clients:
            client.run(b"eval", RESET, b"0")
            text += f"\n{resp} {escape(client.run(b'eval', snippet.encode(), b'0'))}"
    FILE.write_text(text + "\n")


main()
