"""The server through redis-py: pools, pipelines, transactions, both protocols, binary values.

PORT names the port of the server. Runs with unittest; every test begins with an empty database.
"""

import os
import pickle
import random
import threading
import unittest

import redis

PORT = int(os.environ["PORT"])


class Cases:
    """What has to hold in both versions of the protocol."""

    protocol = 2

    def setUp(self):
        self.pool = redis.ConnectionPool(
            host="127.0.0.1", port=PORT, protocol=self.protocol, max_connections=32
        )
        self.client = redis.Redis(connection_pool=self.pool)
        self.client.flushall()

    def tearDown(self):
        self.pool.disconnect()

    def test_protocol_is_the_one_asked_for(self):
        self.assertEqual(self.client.client_info()["resp"], str(self.protocol))

    def test_strings(self):
        client = self.client
        self.assertTrue(client.set("a", "1", ex=100))
        self.assertEqual(client.get("a"), b"1")
        self.assertIn(client.ttl("a"), (99, 100))
        self.assertIsNone(client.set("a", "2", nx=True))
        self.assertEqual(client.set("a", "5", get=True, keepttl=True), b"1")
        self.assertEqual(client.incrby("a", 4), 9)
        self.assertEqual(client.incrbyfloat("a", 0.5), 9.5)
        self.assertEqual(client.append("a", "!"), 4)
        self.assertEqual(client.getrange("a", 0, 1), b"9.")
        self.assertEqual(client.getdel("a"), b"9.5!")
        self.assertIsNone(client.get("a"))
        self.assertEqual(client.type("a"), b"none")

    def test_many_keys(self):
        pairs = {f"key:{index}": str(index) for index in range(1000)}
        self.assertTrue(self.client.mset(pairs))
        self.assertEqual(self.client.dbsize(), 1000)
        values = self.client.mget(list(pairs))
        self.assertEqual(values, [value.encode() for value in pairs.values()])
        self.assertEqual(self.client.delete(*pairs), 1000)

    def test_binary_values(self):
        thing = {"numbers": list(range(100)), "bytes": bytes(range(256)), "text": "ä\r\n\0"}
        for version in range(pickle.HIGHEST_PROTOCOL + 1):
            key = b"pickle\r\n\0" + bytes([version])
            self.client.set(key, pickle.dumps(thing, version))
            self.assertEqual(pickle.loads(self.client.get(key)), thing)
        big = random.Random(1).randbytes(5_000_000)
        self.client.set("big", big)
        self.assertEqual(self.client.get("big"), big)

    def test_decoded_text(self):
        client = redis.Redis(
            host="127.0.0.1", port=PORT, protocol=self.protocol, decode_responses=True
        )
        with client:
            client.set("ä", "ö")
            self.assertEqual(client.get("ä"), "ö")
            self.assertEqual(client.keys("*"), ["ä"])

    def test_pipeline(self):
        pipeline = self.client.pipeline(transaction=False)
        for index in range(5000):
            pipeline.set(f"key:{index}", index)
            pipeline.get(f"key:{index}")
        replies = pipeline.execute()
        self.assertEqual(replies[::2], [True] * 5000)
        self.assertEqual(replies[1::2], [str(index).encode() for index in range(5000)])

    def test_transaction(self):
        with self.client.pipeline() as pipeline:
            pipeline.set("a", 1).set("b", 2).incr("a").mget("a", "b")
            self.assertEqual(pipeline.execute(), [True, True, 2, [b"2", b"2"]])
            pipeline.set("a", "x").incr("a").get("b")
            replies = pipeline.execute(raise_on_error=False)
            self.assertIsInstance(replies[1], redis.ResponseError)
            self.assertEqual(replies[2], b"2")

    def test_watch(self):
        with self.client.pipeline() as pipeline:
            pipeline.watch("a")
            self.client.set("a", "changed")
            pipeline.multi()
            pipeline.set("a", "mine")
            with self.assertRaises(redis.WatchError):
                pipeline.execute()
        self.assertEqual(self.client.get("a"), b"changed")

    def test_threads_share_a_pool_and_lose_no_increment(self):
        def add(pipeline):
            left, right = pipeline.mget("left", "right")
            self.assertEqual(left, right)
            pipeline.multi()
            pipeline.set("left", int(left or 0) + 1)
            pipeline.set("right", int(right or 0) + 1)

        failures = []

        def work():
            try:
                for _ in range(50):
                    self.client.transaction(add, "left", "right")
            except Exception as error:  # in a thread: unittest would not see it
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.client.mget("left", "right"), [b"400", b"400"])

    def test_scan_iter(self):
        self.client.mset({f"key:{index}": "x" for index in range(3000)})
        self.client.mset({f"other:{index}": "x" for index in range(100)})
        found = list(self.client.scan_iter("key:*", count=50))
        self.assertEqual(len(found), len(set(found)))
        self.assertEqual(set(found), {f"key:{index}".encode() for index in range(3000)})
        self.assertEqual(len(set(self.client.scan_iter())), 3100)

    def test_expiry(self):
        self.client.set("a", "1", px=50)
        self.client.set("b", "1")
        self.assertTrue(self.client.expire("b", 1000))
        self.assertFalse(self.client.expire("b", 100, gt=True))
        self.assertTrue(self.client.persist("b"))
        self.assertEqual(self.client.ttl("b"), -1)
        deadline = threading.Event()
        for _ in range(100):
            if self.client.get("a") is None:
                break
            deadline.wait(0.05)
        self.assertEqual(self.client.exists("a", "b"), 1)

    def test_databases(self):
        other = redis.Redis(host="127.0.0.1", port=PORT, protocol=self.protocol, db=3)
        with other:
            other.set("a", "three")
            self.assertIsNone(self.client.get("a"))
            self.assertTrue(other.move("a", 0))
            self.assertEqual(self.client.get("a"), b"three")
            self.assertTrue(self.client.copy("a", "b", destination_db=3))
            self.assertEqual(other.get("b"), b"three")
            self.client.swapdb(0, 3)
            self.assertEqual(self.client.get("b"), b"three")

    def test_errors_are_of_their_classes(self):
        with self.assertRaises(redis.ResponseError):
            self.client.execute_command("NOSUCH")
        self.client.set("a", "x")
        with self.assertRaises(redis.ResponseError):
            self.client.incr("a")
        with self.assertRaises(redis.ResponseError):
            redis.Redis(host="127.0.0.1", port=PORT, db=99, protocol=self.protocol).ping()

    def test_server_tells_about_itself(self):
        info = self.client.info()
        for name in ("redis_version", "connected_clients", "used_memory", "tcp_port"):
            self.assertIn(name, info)
        self.client.set("a", "1")
        self.assertEqual(self.client.info("keyspace")["db0"]["keys"], 1)
        self.assertEqual(self.client.config_get("databases"), {"databases": "16"})
        self.client.client_setname("tester")
        names = [client["name"] for client in self.client.client_list()]
        self.assertIn("tester", names)
        self.assertGreater(self.client.command_count(), 50)
        self.assertEqual(self.client.echo("x"), b"x")
        self.assertEqual(len(self.client.time()), 2)

    def test_connections_come_and_go(self):
        for _ in range(300):
            with redis.Redis(host="127.0.0.1", port=PORT, protocol=self.protocol) as client:
                self.assertTrue(client.ping())


class Resp2(Cases, unittest.TestCase):
    protocol = 2


class Resp3(Cases, unittest.TestCase):
    protocol = 3


if __name__ == "__main__":
    unittest.main()
