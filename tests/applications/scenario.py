"""What the Python scenarios share: parts with their needs, normalised output, waiting.

A scenario is a program. Without arguments it prints its parts, one per line: the name and what the
part needs of the server (`scripts`, `pubsub`, `blocking`). With arguments it runs those parts
against the server on PORT, each on empty databases, and prints lines of `part<TAB>text`. The lines
are the same each time on a server that does its work: nothing in them depends on clocks, ids or
chance. A part that raises ends with a line that says what.
"""

import os
import sys
import time
import traceback

PORT = int(os.environ.get("PORT", "0"))
HOST = "127.0.0.1"

_parts = {}
_running = None


def part(*needs):
    """Registers a function as a part of the scenario."""

    def register(function):
        _parts[function.__name__] = (function, needs)
        return function

    return register


def say(what, *values):
    """Prints a line of the part that runs: what was done, and what came of it."""
    print(f"{_running}\t{what}: {' '.join(repr(value) for value in values)}", flush=True)


def say_error(what, function, *arguments, **options):
    """Prints the kind and the text of the exception that a call ends with."""
    try:
        say(what + " (no error)", function(*arguments, **options))
    except Exception as error:  # whatever the package raises is what is compared
        say(what, type(error).__name__, str(error))


def wait_until(condition, what, limit=15.0):
    """Waits until a condition holds; raises if it does not in time."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not in {limit} s: {what}")
        time.sleep(0.01)


def main(prepare):
    """Runs the parts that the command line names; `prepare` makes the server empty."""
    global _running
    names = sys.argv[1:]
    if not names:
        for name, (_, needs) in _parts.items():
            print(name, *needs)
        return
    for name in names:
        _running = name
        try:
            prepare()
            _parts[name][0]()
            say("end")
        except Exception as error:
            traceback.print_exc()
            say("FAILED", type(error).__name__, str(error))
    sys.stdout.flush()
    # Threads of the packages may still wait for something.
    os._exit(0)
