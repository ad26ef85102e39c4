"""The Celery application of celery_tasks.py, for its worker, too."""

import logging
import os

import redis
from celery import Celery

PORT = int(os.environ.get("PORT", "0"))
URL = f"redis://127.0.0.1:{PORT}"
client = redis.Redis(host="127.0.0.1", port=PORT, db=5)

app = Celery("celery_app", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(
    task_serializer="json",
    result_extended=True,
    worker_prefetch_multiplier=1,
    task_acks_late=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "priority_steps": [0, 3, 6, 9],
        "queue_order_strategy": "priority",
        "sep": ":",
    },
    worker_hijack_root_logger=False,
    task_send_sent_event=True,
    worker_send_task_events=True,
)
logging.disable(logging.WARNING)


@app.task
def add(a, b):
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def note(text):
    client.rpush("notes", text)
    return text


@app.task
def fail(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=5)
def fail_until(self, name, count):
    if client.incr(name) < count:
        raise self.retry(countdown=0.05, exc=RuntimeError("not yet"))
    return self.request.retries


@app.task(bind=True)
def progress(self, steps):
    for step in range(steps):
        self.update_state(state="PROGRESS", meta={"step": step})
    return steps


@app.task
def wait_for(key):
    """Ends when somebody pushes to a list."""
    return client.blpop(key, timeout=20) is not None
