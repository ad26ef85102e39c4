"""Servers and trestle-tools for the tests of this folder.

The programs are those in TRESTLE_BIN and TOOLS_BIN.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time

import redis

LIMIT_SECONDS = 90


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, what):
    """Asks until the answer is true; returns it."""
    end = time.monotonic() + LIMIT_SECONDS
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {LIMIT_SECONDS} s")
        time.sleep(0.01)


class Refused(Exception):
    """A server has not started: its exit code and its log."""

    def __init__(self, code, log):
        super().__init__(f"exit code {code}: {log}")
        self.code = code
        self.log = log


class Server:
    """A server of a data directory, until it is stopped."""

    def __init__(self, directory, *flags, shards=2, environment=None):
        self.port = free_port()
        self.log_path = os.path.join(tempfile.mkdtemp(), "log")
        command = [os.environ["TRESTLE_BIN"], "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", directory, "--shards", str(shards), "--save", ""]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TRESTLE_")}
        clean.update(environment or {})
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*command, *map(str, flags)], stdout=log, stderr=log, env=clean, stdin=subprocess.DEVNULL
            )
        self.client = redis.Redis(port=self.port, decode_responses=True)
        try:
            wait_until(self.answers, "the server answers")
        except Exception:
            self.kill()
            raise

    def answers(self):
        if self.process.poll() is not None:
            raise Refused(self.process.returncode, self.log())
        try:
            return self.client.ping()
        except redis.exceptions.BusyLoadingError:
            return False
        except redis.exceptions.ConnectionError:
            return False

    def log(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read()

    def info(self):
        return self.client.info("persistence")

    def state(self):
        """Returns all keys with their values."""
        keys = list(self.client.scan_iter(count=1000))
        with self.client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.type(key)
            kinds = pipe.execute()
            read = {
                "string": pipe.get,
                "list": lambda key: pipe.lrange(key, 0, -1),
                "hash": pipe.hgetall,
                "set": pipe.smembers,
                "zset": lambda key: pipe.zrange(key, 0, -1, withscores=True),
            }
            for key, kind in zip(keys, kinds):
                read[kind](key)
            return dict(zip(keys, pipe.execute()))

    def stop(self):
        self.client.close()
        self.process.terminate()
        code = self.process.wait(LIMIT_SECONDS)
        shutil.rmtree(os.path.dirname(self.log_path))
        assert code == 0, code

    def kill(self):
        self.process.kill()
        self.process.wait(LIMIT_SECONDS)
        shutil.rmtree(os.path.dirname(self.log_path), ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, _value, _trace):
        if kind is None:
            self.stop()
        else:
            print(self.log())
            self.kill()


def tool(*words, code=0, environment=None):
    """Runs trestle-tools, which has to end with this exit code; returns what it prints."""
    run = subprocess.run(
        [os.environ["TOOLS_BIN"], *map(str, words)],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert run.returncode == code, (words, run.returncode, run.stdout, run.stderr)
    return run.stdout if code == 0 else run.stderr
