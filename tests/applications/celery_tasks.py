"""Celery with kombu: a worker of its own, results, retries, groups, chains, chords, revoking."""

import subprocess
import sys
import time
from pathlib import Path

from celery import chain, chord, group
from celery.exceptions import TimeoutError as NotInTime
from celery.result import AsyncResult

from celery_app import add, app, client, fail, fail_until, note, progress, total, wait_for
from scenario import main, part, say, say_error, wait_until

LIMIT = 30
NEEDS = ("scripts", "pubsub", "blocking")


class Worker:
    """A worker in a process of its own, ended with the block."""

    def __init__(self, *options):
        self.command = [
            *(sys.executable, "-m", "celery", "-A", "celery_app", "worker"),
            *("-P", "threads", "-c", "4", "-l", "ERROR", "-n", "w@here", *options),
        ]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, cwd=Path(__file__).parent, stdout=sys.stderr, stderr=sys.stderr
        )
        wait_until(lambda: app.control.ping(timeout=0.3), "the worker answers", LIMIT)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def notes():
    return [note.decode() for note in client.lrange("notes", 0, -1)]


@part(*NEEDS)
def tasks():
    with Worker():
        results = [add.delay(index, index) for index in range(50)]
        say("results", sum(result.get(timeout=LIMIT) for result in results))
        say("state", results[0].state, results[0].successful(), AsyncResult(results[3].id).result)
        result = fail.delay("broken")
        say_error("failed", result.get, timeout=LIMIT)
        say("state", result.state, "ValueError" in result.traceback)
        say("retried", fail_until.delay("tries", 4).get(timeout=LIMIT), client.get("tries"))
        say("progress", progress.delay(5).get(timeout=LIMIT))
        began = time.monotonic()
        result = add.apply_async((1, 2), countdown=1)
        say("countdown", result.get(timeout=LIMIT), time.monotonic() - began >= 1)
        result = add.apply_async((1, 2), expires=0.01, countdown=0.5)
        wait_until(lambda: result.state == "REVOKED", "the task is too late", LIMIT)
        say("too late", result.state)
        say("forgotten", results[1].forget(), results[1].state)
        say("ignored", add.apply_async((1, 1), ignore_result=True).get(timeout=LIMIT))


@part(*NEEDS)
def canvas():
    with Worker():
        say("chain", chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=LIMIT))
        say("group", group(add.s(index, 1) for index in range(20))().get(timeout=LIMIT))
        say(
            "chord",
            chord([add.s(index, index) for index in range(20)], total.s())().get(timeout=LIMIT),
        )
        nested = chain(group(add.s(index, 0) for index in range(5)), total.s(), add.s(100))
        say("nested", nested().get(timeout=LIMIT))
        chords = [
            chord([add.s(index, step) for step in range(4)], total.s())() for index in range(5)
        ]
        say("chords", [one.get(timeout=LIMIT) for one in chords])
        broken = chord([add.s(1, 1), fail.s("in a chord")], total.s())()
        try:
            say("broken", broken.get(timeout=LIMIT))
        except Exception as error:
            say("broken", type(error).__name__, "in a chord" in str(error))
        say("mapped", add.starmap([(1, 2), (3, 4)]).delay().get(timeout=LIMIT))
        say("chunks", add.chunks(zip(range(6), range(6)), 2)().get(timeout=LIMIT))


@part(*NEEDS)
def control():
    for priority in (9, 6, 3, 0):
        for index in range(2):
            note.apply_async((f"{priority}-{index}",), priority=priority)
    queues = [
        key.decode() for key in app.broker_connection().default_channel.client.keys("celery*")
    ]
    say("queues", sorted(queues))
    with Worker("-c", "1"):
        wait_until(lambda: len(notes()) == 8, "all priorities", LIMIT)
        say("by priority", notes())
    with Worker():
        result = add.apply_async((1, 2), countdown=3600)
        inspect = app.control.inspect(timeout=1)
        wait_until(lambda: any((inspect.scheduled() or {}).values()), "it is scheduled", LIMIT)
        result.revoke()
        wait_until(
            lambda: result.id in (inspect.revoked() or {}).get("w@here", []),
            "the worker knows that it is revoked",
            LIMIT,
        )
        requests = [task["request"]["id"] for task in inspect.scheduled()["w@here"]]
        say("revoked before its time", requests == [result.id])
        blocked = wait_for.delay("go")
        wait_until(lambda: any((inspect.active() or {}).values()), "it runs", LIMIT)
        say("active", [task["name"] for task in inspect.active()["w@here"]])
        try:
            blocked.get(timeout=0.2)
        except NotInTime:
            say("not ready", blocked.ready())
        client.rpush("go", "now")
        say("ready", blocked.get(timeout=LIMIT))
        say(
            "registered",
            sorted(
                name for name in inspect.registered()["w@here"] if name.startswith("celery_app.")
            ),
        )
        say(
            "statistics",
            inspect.stats()["w@here"]["pool"]["max-concurrency"],
            app.control.rate_limit("celery_app.add", "100/s", reply=True),
        )
        events = []
        with app.connection() as connection:
            receiver = app.events.Receiver(
                connection, handlers={"*": lambda event: events.append(event["type"])}
            )
            capture = receiver.itercapture(limit=None, timeout=10, wakeup=True)
            next(capture)
            one = add.delay(2, 2)
            while "task-succeeded" not in events:
                next(capture)
        kinds = [kind for kind in events if kind.startswith("task-")]
        say("events", sorted(kinds), one.get(timeout=LIMIT))
        say("purged", app.control.purge())


main(client.flushall)
