"""Compares replies of this server with those of a Redis, byte by byte.

    python3 replies_agree.py REDIS_PORT TRESTLE_PORT

Both without a password and with `enable-debug-command yes`. Each case is a pipeline on a connection
of its own; ids and versions are blotted out. Prints each difference, then how many cases agree, and
fails if any does not.
"""

import re
import socket
import sys

CASES = """
nope|nope a b c|get|client|client nope|client id 3|config nope|exec|discard
multi;get;set a b;exec|multi;client nope;exec|multi;nope;exec|multi;watch a;exec|multi;multi;exec
multi;exec foo;exec|multi;discard foo;exec|multi;shutdown abort;exec|multi;monitor;exec
multi;select 1;get a;select 0;exec;get x|multi;wait 1 0;exec|multi;wait 1 -1;exec
multi;quit;exec|multi;reset;exec|multi;debug nope;exec|multi;hello 3;exec
wait a b|wait 1 b|wait 0 0|wait 1 -1|wait 1 30|reset|quit a b
hello|hello a|hello 1|hello 2 foo|hello 2 auth a|hello 2 auth a b|hello 3 setname abc;client getname
auth a|auth default a|auth foo a|auth a b c|select a|select -1|select 16|select 99999999999
client reply on|client reply off;nope;get;client reply on;ping|client reply nope
client reply skip;ping;ping|client reply skip;nope;ping|client reply skip;set a b;get a;get a
client reply skip;client reply skip;ping;ping;ping|client reply off;reset;ping
client reply skip;client reply off;ping;client reply on;ping
client reply off;multi;set a b;exec;client reply on;get a|client reply skip;wait 1 20;ping
client setname "";client getname|client no-evict on|client no-evict nope|client kill a
client kill id a|client kill type x|client kill user nobody|client kill skipme maybe
client kill foo bar|client kill id 99999 skipme yes|client list type x|client list id a
client list id 99999|client list foo bar|hello 3;client list type pubsub
debug sleep|debug sleep x|debug nope|debug object nokey|debug digest|debug digest-value a b
set x y;select 3;set x z;debug digest|debug error "ERR foo bar"|debug error "-FOO bar"
debug populate x|debug populate 3 foo;get foo:2|debug populate 3 foo 10;get foo:2;dbsize
debug protocol x|debug protocol double|hello 3;debug protocol map|hello 3;debug protocol attrib
hello 3;debug protocol push|debug protocol push|hello 3;debug protocol verbatim|lolwut version a
"""


def talk(port, data, patience):
    """Sends `data` and returns what comes until nothing does for `patience` seconds."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(data)
        connection.settimeout(patience)
        answer = b""
        while True:
            try:
                piece = connection.recv(1 << 20)
            except TimeoutError:
                return answer
            if not piece:
                return answer + b"<end>"
            answer += piece


def blotted(answer):
    answer = re.sub(rb":\d+\r\n\$4\r\nmode", b":ID\r\n$4\r\nmode", answer)
    return re.sub(rb"\$\d+\r\n7\.\d\.\d+", b"VERSION", answer)


def main():
    redis, trestle = (int(port) for port in sys.argv[1:3])
    cases = [case for line in CASES.split("\n") for case in line.split("|") if case]
    differing = 0
    for case in cases:
        data = (case.replace(";", "\r\n") + "\r\n").encode()
        for port in (redis, trestle):
            talk(port, b"flushall\r\nquit\r\n", 1)
        expected, given = (blotted(talk(port, data, 0.15)) for port in (redis, trestle))
        if expected != given:
            differing += 1
            print(f"{case}\n    redis   {expected}\n    trestle {given}")
    print(f"{len(cases) - differing} of {len(cases)} agree")
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
