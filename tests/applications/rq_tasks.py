"""What the jobs of rq_jobs.py do: workers import it by name."""

import redis

from scenario import HOST, PORT

client = redis.Redis(host=HOST, port=PORT)


def add(a, b):
    return a + b


def fail(text):
    raise ValueError(text)


def fail_until(count):
    if client.incr("tries") < count:
        raise RuntimeError("not yet")
    return "at last"


def note(text):
    client.rpush("notes", text)
    return text


def on_success(job, connection, result, *arguments, **options):
    connection.rpush("calls", f"{job.id} gave {result}")


def on_failure(job, connection, kind, value, trace):
    connection.rpush("calls", f"{job.id} failed with {kind.__name__}")
