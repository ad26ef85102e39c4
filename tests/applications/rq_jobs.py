"""RQ: queues, workers that empty them, failures and retries, dependencies, jobs for later."""

import logging
import time
from datetime import timedelta

from rq import Callback, Queue, Retry, SimpleWorker, Worker
from rq.job import Dependency, Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry

from rq_tasks import add, client, fail, fail_until, note, on_failure, on_success
from scenario import main, part, say, wait_until

logging.disable(logging.CRITICAL)


def work(queues, kind=SimpleWorker, **options):
    return kind(queues, connection=client).work(burst=True, **options)


def notes():
    return [note.decode() for note in client.lrange("notes", 0, -1)]


@part("scripts", "pubsub", "blocking")
def results():
    queue = Queue(connection=client)
    jobs = [queue.enqueue(add, index, index, job_id=f"add-{index}") for index in range(30)]
    say("queued", len(queue), queue.job_ids[:3], jobs[0].get_status().value)
    say("worked", work([queue]), len(queue), sum(job.return_value() for job in jobs))
    say(
        "finished",
        FinishedJobRegistry(queue=queue).count,
        {job.get_status(refresh=True).value for job in jobs},
    )
    say(
        "fetched",
        Job.fetch("add-7", connection=client).return_value(),
        jobs[3].latest_result().type.name,
    )
    say(
        "in processes",
        [queue.enqueue(add, index, 1, job_id=f"fork-{index}").id for index in range(3)],
    )
    say("worked", work([queue], Worker), Job.fetch("fork-2", connection=client).return_value())


@part("scripts", "pubsub", "blocking")
def failures():
    queue = Queue(connection=client)
    job = queue.enqueue(
        fail,
        "broken",
        job_id="fails",
        on_failure=Callback(on_failure),
        on_success=Callback(on_success),
    )
    queue.enqueue(add, 1, 2, job_id="works", on_success=Callback(on_success))
    queue.enqueue(fail_until, 3, job_id="retries", retry=Retry(max=4))
    work([queue])
    say(
        "states",
        [
            Job.fetch(name, connection=client).get_status().value
            for name in ("fails", "works", "retries")
        ],
    )
    say(
        "why",
        job.latest_result().exc_string.strip().splitlines()[-1],
        FailedJobRegistry(queue=queue).get_job_ids(),
    )
    say("retried", Job.fetch("retries", connection=client).return_value(), client.get("tries"))
    say("called", sorted(call.decode() for call in client.lrange("calls", 0, -1)))
    say("again", FailedJobRegistry(queue=queue).requeue("fails").id, queue.job_ids)
    job.delete()
    say("deleted", queue.job_ids, Job.exists("fails", connection=client))


@part("scripts", "pubsub", "blocking")
def dependencies():
    low, high = Queue("low", connection=client), Queue("high", connection=client)
    first = low.enqueue(note, "first", job_id="first")
    second = high.enqueue(note, "second", job_id="second", depends_on=first)
    low.enqueue(note, "third", job_id="third", depends_on=[first, second])
    bad = low.enqueue(fail, "x", job_id="bad")
    low.enqueue(
        note, "after all", job_id="after", depends_on=Dependency(jobs=[bad], allow_failure=True)
    )
    low.enqueue(note, "never", job_id="never", depends_on=bad)
    high.enqueue(note, "urgent", job_id="urgent")
    low.enqueue(note, "at the front", job_id="front", at_front=True)
    say(
        "waiting",
        low.job_ids,
        high.job_ids,
        second.get_status().value,
        sorted(low.deferred_job_registry.get_job_ids()),
    )
    work([high, low])
    say("order", notes())
    say(
        "still",
        low.deferred_job_registry.get_job_ids(),
        Job.fetch("never", connection=client).get_status().value,
    )
    jobs = high.enqueue_many(
        [Queue.prepare_data(note, (f"many {index}",), job_id=f"many-{index}") for index in range(5)]
    )
    jobs[2].cancel()
    work([high])
    say("many", notes()[-4:], jobs[2].get_status().value)


@part("scripts", "pubsub", "blocking")
def later():
    queue = Queue(connection=client)
    queue.enqueue_in(timedelta(seconds=1), note, "later", job_id="later")
    queue.enqueue_in(timedelta(seconds=3600), note, "much later", job_id="much-later")
    registry = ScheduledJobRegistry(queue=queue)
    say("scheduled", sorted(registry.get_job_ids()), len(queue))
    end = time.monotonic() + 15
    while "later" in registry.get_job_ids() and time.monotonic() < end:
        work([queue], with_scheduler=True)
        time.sleep(0.1)
    work([queue])
    say("done", notes(), registry.get_job_ids())
    wait_until(lambda: not Worker.all(connection=client), "no worker is left")
    say("workers", Worker.count(connection=client))


main(client.flushall)
