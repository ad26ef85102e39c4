#!/usr/bin/env python3
"""Backups, restoring, and going back to a point in time, with servers and trestle-tools of this tree.

tests/backups/run starts it. SEED chooses what is written.
"""

import glob
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
import unittest

import redis

from servers import Refused, Server, tool, wait_until

SEED = int(os.environ.get("SEED", "5"))
LOG = ["--appendonly", "yes", "--appendfsync", "always"]


def milliseconds():
    return time.time_ns() // 1_000_000


class Case(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.data = os.path.join(self.root, "data")
        self.addCleanup(shutil.rmtree, self.root)

    def backups(self, directory=None):
        directory = directory or os.path.join(self.data, "backups")
        return sorted(glob.glob(os.path.join(directory, "backup-*.rdb")))


class PointInTime(Case):
    def write(self, server, chance):
        """Writes some keys on several shards, some of them together."""
        client = server.client
        for _ in range(chance.randrange(1, 4)):
            key = f"key:{chance.randrange(20)}"
            what = chance.randrange(6)
            if what == 0:
                client.set(key, chance.random(), px=chance.choice([None, 10_000_000]))
            elif what == 1:
                client.delete(key)
            elif what == 2:
                client.rpush(f"list:{chance.randrange(3)}", *(str(chance.random()) for _ in range(200)))
            elif what == 3:
                client.mset({f"key:{index}": chance.random() for index in range(20)})
            elif what == 4:
                with client.pipeline(transaction=True) as pipe:
                    pipe.hset("hash:a", key, chance.random())
                    pipe.sadd("set:b", key)
                    pipe.zadd("zset:c", {key: chance.random()})
                    pipe.execute()
            else:
                client.eval("redis.call('INCR', KEYS[1]) redis.call('INCR', KEYS[2])", 2, "count:a", "count:b")

    def test_a_log_goes_back_to_exactly_the_state_of_a_time(self):
        print(f"SEED={SEED}")
        chance = random.Random(SEED)
        moments = []
        # Two runs of the server: two generations of the log.
        for _ in range(2):
            with Server(self.data, *LOG) as server:
                for _ in range(12):
                    self.write(server, chance)
                    moments.append((milliseconds(), server.state()))
                    # The next write is later than the moment by the clock of any core.
                    time.sleep(0.03)
        log = os.path.join(self.data, "appendonlydir")
        kept = os.path.join(self.root, "kept")
        shutil.copytree(log, kept)
        tool("aof-check", "--file", self.data)
        for at, expected in chance.sample(moments, 6) + [moments[0], moments[-1]]:
            shutil.rmtree(self.data)
            os.mkdir(self.data)
            shutil.copytree(kept, log)
            before = sorted(os.listdir(log))
            tool("aof-truncate", "--file", log, "--until", at, "--dry-run")
            self.assertEqual(sorted(os.listdir(log)), before)
            said = tool("aof-truncate", "--file", log, "--until", at)
            is_last = at == moments[-1][0]
            self.assertEqual("nothing is changed" in said, is_last, said)
            originals = glob.glob(log + ".before-*")
            self.assertEqual(len(originals), 0 if is_last else 1)
            tool("aof-check", "--file", log)
            with Server(self.data, *LOG) as server:
                self.assertEqual(server.state(), expected, f"at {at}")
            if not is_last:
                # What it was is kept: it has the last state still.
                shutil.rmtree(log)
                shutil.move(originals[0], log)
                with Server(self.data, *LOG) as server:
                    self.assertEqual(server.state(), moments[-1][1])

    def test_times_are_understood_as_people_write_them(self):
        with Server(self.data, *LOG) as server:
            server.client.set("a", 1)
        for text in ["2001-01-01 00:00:00", "2001-01-01T00:00:00", "2001-01-01T01:00:00+01:00", "978307200"]:
            said = tool("aof-truncate", "--file", self.data, "--until", text, "--dry-run")
            self.assertIn("kept:    0 records", said)
            self.assertIn("dropped: 1 records", said)
        tool("aof-truncate", "--file", self.data, "--until", "noon", code=2)
        tool("aof-truncate", "--file", self.root, "--until", "0", code=4)

    def test_a_log_is_shown_with_its_keys(self):
        with Server(self.data, *LOG) as server:
            server.client.set("a key", "value", px=10_000_000)
            server.client.delete("a key")
            server.client.flushall()
        lines = [json.loads(line) for line in tool("aof-dump", "--file", self.data, "--json").splitlines()]
        of_key = [(line["effect"], line["what"]) for line in lines if line["key"] == "a key"]
        self.assertEqual(of_key, [("put", "string, 6 bytes"), ("delete", "")])
        self.assertTrue(any(line["expires"] for line in lines))
        text = tool("aof-dump", "--file", self.data)
        self.assertEqual(len(text.splitlines()), len(lines))
        self.assertIn(' 0 "a key" put string, 6 bytes, expires 20', text)

    def test_what_a_server_uses_is_left_alone(self):
        with Server(self.data, *LOG) as server:
            server.client.set("a", 1)
            for words in (
                ["aof-check", "--file", self.data],
                ["aof-dump", "--file", self.data],
                ["aof-truncate", "--file", self.data, "--until", "0"],
                ["backup", "--dir", self.data, "--to", self.root],
                ["restore", "--dir", self.data, "--force", os.path.join(self.root, "none")],
            ):
                self.assertIn("in use", tool(*words, code=3))
            self.assertEqual(server.client.get("a"), "1")
            with self.assertRaises(Refused) as refused:
                Server(self.data)
            self.assertEqual(refused.exception.code, 78)
            self.assertIn("in use", refused.exception.log)


class Backups(Case):
    def fill(self, server, count=500):
        with server.client.pipeline(transaction=False) as pipe:
            for index in range(count):
                pipe.set(f"key:{index}", index)
            pipe.rpush("list", *range(1000))
            pipe.execute()
        server.client.function_load("#!lua name=lib\nredis.register_function('f', function() return 7 end)", True)
        return server.state()

    def test_a_backup_is_made_verified_and_restored(self):
        with Server(self.data, *LOG) as server:
            state = self.fill(server)
            path = server.client.execute_command("BACKUP", "NOW")
            self.assertEqual(self.backups(), [path])
            server.client.flushall()
            info = server.info()
            self.assertEqual((info["backups_made"], info["backup_last_status"]), (1, "ok"))
            self.assertEqual(info["backup_last_size"], os.path.getsize(path))
            # A backup is no save.
            self.assertGreater(info["rdb_changes_since_last_save"], 0)
            self.assertEqual(info["rdb_saves"], 0)
        self.assertIn("whole, 501 keys", tool("verify", path))
        self.assertIn("whole, 501 keys", tool("verify", os.path.dirname(path)))
        tool("rdb-check", path)
        tool("snapshot-check", path)

        with self.assertRaises(Refused) as refused:
            Server(self.data, "--restore", path, *LOG)
        self.assertEqual(refused.exception.code, 78)
        self.assertIn("--restore-force", refused.exception.log)
        with Server(self.data, *LOG) as server:
            self.assertEqual(server.state(), {})
        # Another number of shards, and the log begins with what was restored.
        with Server(self.data, "--restore", path, "--restore-force", *LOG, shards=3) as server:
            self.assertEqual(server.state(), state)
            self.assertEqual(server.client.fcall("f", 0), 7)
            server.client.set("later", 1)
        with Server(self.data, *LOG, shards=3) as server:
            self.assertEqual(server.state(), {**state, "later": "1"})
        aside = glob.glob(os.path.join(self.data, "before-restore-*"))
        self.assertEqual(len(aside), 1)
        tool("aof-check", "--file", os.path.join(aside[0], "appendonlydir"))

        other = os.path.join(self.root, "other")
        tool("restore", path, "--dir", other)
        with Server(other) as server:
            self.assertEqual(server.state(), state)
        self.assertIn("--force", tool("restore", path, "--dir", other, code=4))
        tool("restore", path, "--dir", other, "--force")

    def test_a_damaged_backup_changes_nothing(self):
        with Server(self.data) as server:
            self.fill(server)
            path = server.client.execute_command("BACKUP", "NOW")
            server.client.save()
        with open(path, "r+b") as backup:
            backup.seek(100)
            byte = backup.read(1)
            backup.seek(100)
            backup.write(bytes([byte[0] ^ 1]))
        before = sorted(os.listdir(self.data))
        tool("verify", path, code=1)
        tool("restore", path, "--dir", self.data, "--force", code=1)
        with self.assertRaises(Refused):
            Server(self.data, "--restore", path, "--restore-force")
        self.assertEqual(sorted(os.listdir(self.data)), before)

    def test_a_backup_of_a_directory_without_a_server(self):
        with Server(self.data) as server:
            state = self.fill(server)
            server.client.save()
        to = os.path.join(self.root, "to")
        tool("backup", "--dir", self.data, "--to", to)
        (path,) = self.backups(to)
        tool("verify", path)
        other = os.path.join(self.root, "other")
        with Server(other, "--restore", path) as server:
            self.assertEqual(server.state(), state)

    def test_a_backup_that_fails_is_told_and_the_next_one_is_made(self):
        blocked = os.path.join(self.root, "blocked")
        with open(blocked, "wb"):
            pass
        with Server(self.data, "--backup-dir", blocked) as server:
            self.fill(server, 10)
            with self.assertRaisesRegex(Exception, "blocked"):
                server.client.execute_command("BACKUP", "NOW")
            info = server.info()
            self.assertEqual((info["backups_failed"], info["backup_last_status"]), (1, "err"))
            os.remove(blocked)
            server.client.execute_command("BACKUP", "NOW")
            self.assertEqual(server.info()["backup_last_status"], "ok")
            self.assertEqual(len(self.backups(blocked)), 1)

    def begins_to_save(self, server):
        """Says BGSAVE; during a backup that is refused as during another save."""
        try:
            return server.client.bgsave()
        except redis.exceptions.ResponseError as error:
            self.assertIn("already in progress", str(error))
            return False

    def test_backups_and_saves_wait_for_each_other(self):
        with Server(self.data) as server:
            state = self.fill(server, 100_000)
            connections = [server.client.connection_pool.get_connection() for _ in range(3)]
            for connection in connections:
                connection.send_command("BACKUP", "NOW")
            wait_until(lambda: self.begins_to_save(server), "a save begins")
            wait_until(lambda: server.info()["rdb_saves"] == 1, "the save ends")
            paths = {connection.read_response() for connection in connections}
            self.assertGreaterEqual(len(paths), 1)
            for path in paths:
                self.assertIn(f"whole, {len(state)} keys", tool("verify", path))

    def test_a_server_killed_during_a_backup_leaves_no_half_of_one(self):
        print(f"SEED={SEED}")
        chance = random.Random(SEED)
        state = None
        for _ in range(6):
            server = Server(self.data, *LOG)
            try:
                state = state or self.fill(server, 20_000)
                self.assertEqual(server.client.dbsize(), len(state))
                connection = server.client.connection_pool.get_connection()
                connection.send_command("BACKUP", "NOW")
                # Somewhere in it, before it or behind it.
                time.sleep(chance.random() * 0.15)
            finally:
                server.kill()
            for path in self.backups():
                self.assertIn(f"whole, {len(state)} keys", tool("verify", path))
        with Server(self.data, *LOG) as server:
            self.assertEqual(server.state(), state)

    def test_a_killed_restore_is_done_again(self):
        print(f"SEED={SEED}")
        chance = random.Random(SEED)
        with Server(self.data) as server:
            state = self.fill(server, 20_000)
            path = server.client.execute_command("BACKUP", "NOW")
        other = os.path.join(self.root, "other")
        with Server(other, *LOG) as server:
            server.client.set("before", 1)
        words = [os.environ["TOOLS_BIN"], "restore", path, "--dir", other, "--force"]
        for _ in range(6):
            restore = subprocess.Popen(words, stdout=subprocess.DEVNULL)
            time.sleep(chance.random() * 0.05)
            restore.kill()
            restore.wait()
        tool(*words[1:])
        with Server(other, *LOG) as server:
            self.assertEqual(server.state(), state)
        # What was there first has only moved.
        logs = glob.glob(os.path.join(other, "before-restore-*", "appendonlydir", "manifest"))
        self.assertGreaterEqual(len(logs), 1)

    def test_old_backups_go_and_the_newest_stays(self):
        backups = os.path.join(self.data, "backups")
        os.makedirs(backups)
        old = ["backup-20200101T000000.000Z.rdb", "backup-20200102T000000.000Z.rdb"]
        rest = "backup-20200103T000000.000Z.rdb.1.tmp"
        for name in [*old, rest, "other.rdb"]:
            with open(os.path.join(backups, name), "wb"):
                pass
        with Server(self.data, "--backup-retention", 0) as server:
            # What a killed server has left went at the start.
            self.assertNotIn(rest, os.listdir(backups))
            server.client.execute_command("BACKUP", "NOW")
            self.assertEqual(len(os.listdir(backups)), 4)
            server.client.config_set("backup-retention", 7)
            server.client.execute_command("BACKUP", "NOW")
            names = os.listdir(backups)
            self.assertEqual(len(names), 3, names)
            self.assertIn("other.rdb", names)
            self.assertEqual(len(self.backups()), 2)

    def test_the_schedule_makes_a_backup_each_minute(self):
        flags = ["--backup-enabled", "yes", "--backup-schedule", "* * * * *"]
        with Server(self.data, *flags) as server:
            self.fill(server, 10)
            due = server.info()["backup_next_time"]
            self.assertLessEqual(due - time.time(), 60)
            self.assertEqual(due % 60, 0)
            wait_until(lambda: time.time() >= due, "the minute is over")
            wait_until(lambda: server.info()["backups_made"] == 1, "the backup is made")
            self.assertEqual(server.info()["backup_next_time"], due + 60)
            with self.assertRaisesRegex(Exception, "five fields"):
                server.client.config_set("backup-schedule", "often")
            server.client.config_set("backup-enabled", "no")
            self.assertNotIn("backup_next_time", server.info())


if __name__ == "__main__":
    unittest.main()
