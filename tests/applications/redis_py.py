"""redis-py: pools, pipelines, transactions, scanning, streams, locks, publishing, waiting."""

import threading

import redis

from scenario import HOST, PORT, main, part, say, say_error, wait_until


def connect(**options):
    return redis.Redis(host=HOST, port=PORT, **options)


@part()
def values():
    client = connect(decode_responses=True)
    say(
        "set",
        client.set("a", 1),
        client.set("a", 2, nx=True),
        client.set("a", 3, xx=True, get=True),
    )
    say(
        "expiring",
        client.set("b", "x", ex=100),
        client.ttl("b") in (99, 100),
        client.persist("b"),
        client.ttl("b"),
    )
    say(
        "numbers",
        client.incr("n"),
        client.incrby("n", 10),
        client.decr("n"),
        client.incrbyfloat("f", 1.25),
    )
    say(
        "hash",
        client.hset("h", mapping={"a": 1, "b": "zwei"}),
        client.hgetall("h"),
        client.hincrby("h", "a", 4),
    )
    say(
        "list",
        client.rpush("l", *range(5)),
        client.lrange("l", 1, -2),
        client.lpop("l", 2),
        client.lpos("l", "4"),
    )
    say(
        "set",
        client.sadd("s", "x", "y", "z"),
        sorted(client.smembers("s")),
        client.smismember("s", ["x", "q"]),
    )
    say(
        "algebra",
        client.sadd("s2", "y", "q"),
        client.sinter("s", "s2"),
        client.sdiffstore("s3", "s", "s2"),
    )
    say(
        "sorted",
        client.zadd("z", {"a": 1, "b": 2.5, "c": -1}),
        client.zrange("z", 0, -1, withscores=True),
    )
    say(
        "scores",
        client.zscore("z", "b"),
        client.zincrby("z", 1.5, "a"),
        client.zrangebyscore("z", "(1", "+inf"),
    )
    say("popped", client.zpopmin("z"), client.zpopmax("z", 2), client.zcard("z"))
    say(
        "geo",
        client.geoadd("g", (13.361389, 38.115556, "P", 15.087269, 37.502669, "C")),
        client.geodist("g", "P", "C", "km"),
    )
    say(
        "found", client.geosearch("g", longitude=15, latitude=37, radius=200, unit="km", sort="ASC")
    )
    say(
        "bits",
        client.setbit("bits", 7, 1),
        client.bitcount("bits"),
        client.bitfield("bits").get("u8", 0).incrby("u8", 0, 5).execute(),
    )
    say("hyperloglog", client.pfadd("p", *range(100)), client.pfcount("p"))
    say("types", [client.type(key) for key in ("a", "h", "l", "s", "z", "nosuch")])
    say("copies", client.copy("l", "l2"), client.rename("l2", "l3"), client.exists("l", "l2", "l3"))
    say("sorted list", client.sort("l", desc=True), client.sort("l", store="sorted"))
    say(
        "binary", connect().set("bin", bytes(range(256))), connect().get("bin") == bytes(range(256))
    )
    say("dump", connect().restore("copy", 0, connect().dump("h")), client.hgetall("copy"))
    say_error("wrong type", client.lpush, "a", 1)
    say_error("not a number", client.incr, "b")
    say_error("unknown", client.execute_command, "NOSUCH", "x")


@part()
def scanning():
    client = connect(decode_responses=True)
    client.mset({f"key:{index}": index for index in range(500)})
    client.hset("h", mapping={f"f{index}": index for index in range(300)})
    client.sadd("s", *range(300))
    client.zadd("z", {f"m{index}": index for index in range(300)})
    say("keys", len(set(client.scan_iter("key:*", count=50))), len(client.keys("key:1*")))
    say("types", sorted(client.scan_iter(_type="zset")), sorted(client.scan_iter(_type="hash")))
    say("hash", len(dict(client.hscan_iter("h"))), sorted(client.hscan_iter("h", match="f29*")))
    say("set", len(set(client.sscan_iter("s"))), "sorted set", len(dict(client.zscan_iter("z"))))
    say("size", client.dbsize(), client.delete(*client.keys("key:*")), client.dbsize())


@part()
def pipelines():
    client = connect(decode_responses=True)
    with client.pipeline(transaction=False) as pipe:
        for index in range(2000):
            pipe.set(f"k{index}", index).get(f"k{index}")
        say("many", sum(int(reply) for reply in pipe.execute()[1::2]))
    with client.pipeline() as pipe:
        say("transaction", pipe.set("a", 1).incr("a").rpush("l", 1, 2).lrange("l", 0, -1).execute())
        pipe.set("a", "x").lpush("a", 1).set("b", 2)
        say_error("with an error", pipe.execute)
        say("after it", client.mget("a", "b"))
        say(
            "without raising",
            [str(reply) for reply in pipe.incr("a").incr("b").execute(raise_on_error=False)],
        )
        pipe.watch("b")
        client.set("b", "changed")
        pipe.multi()
        pipe.set("b", "mine")
        say_error("watched", pipe.execute)
    say("kept", client.get("b"))

    def add(pipe):
        current = int(pipe.get("count") or 0)
        pipe.multi()
        pipe.set("count", current + 1)

    threads = [
        threading.Thread(target=lambda: [client.transaction(add, "count") for _ in range(25)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say("counted by four threads", client.get("count"))


@part()
def pools():
    pool = redis.BlockingConnectionPool(host=HOST, port=PORT, max_connections=4, timeout=10)
    client = redis.Redis(connection_pool=pool)

    def work():
        for _ in range(50):
            client.incr("count")

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say("sixteen threads, four connections", client.get("count"))
    second = connect(db=3, client_name="third", protocol=2)
    say(
        "other database",
        second.set("a", 1),
        second.client_getname(),
        second.client_info()["db"],
        client.exists("a"),
    )
    third = connect(protocol=3, decode_responses=True)
    say(
        "RESP3",
        third.client_info()["resp"],
        third.hset("h", "a", 1),
        third.hgetall("h"),
        third.config_get("maxmemory"),
    )
    say("info", client.info()["redis_mode"], client.info("keyspace")["db3"]["keys"], client.ping())


@part()
def streams():
    client = connect(decode_responses=True)
    for index in range(1, 11):
        client.xadd("s", {"n": index}, id=f"{index}-0")
    say("length", client.xlen("s"), client.xrange("s", "3", "4"), client.xrevrange("s", count=1))
    say(
        "group",
        client.xgroup_create("s", "g", id="0"),
        client.xgroup_create("t", "g", mkstream=True),
    )
    say_error("again", client.xgroup_create, "s", "g")
    say("read", client.xreadgroup("g", "one", {"s": ">"}, count=3))
    say("read", client.xreadgroup("g", "two", {"s": ">"}, count=2))
    say("acknowledged", client.xack("s", "g", "1-0", "4-0"), client.xpending("s", "g"))
    pending = client.xpending_range("s", "g", "-", "+", 10)
    say(
        "pending",
        [(entry["message_id"], entry["consumer"], entry["times_delivered"]) for entry in pending],
    )
    say(
        "claimed",
        client.xclaim("s", "g", "two", 0, ["2-0"]),
        client.xautoclaim("s", "g", "one", 0, "0", count=10),
    )
    say(
        "groups",
        [(group["name"], group["pending"], group["lag"]) for group in client.xinfo_groups("s")],
    )
    say(
        "trimmed",
        client.xtrim("s", maxlen=4, approximate=False),
        client.xdel("s", "10-0"),
        client.xlen("s"),
    )
    say("read", client.xread({"s": "8", "t": "0"}))


@part("scripts")
def scripts():
    client = connect(decode_responses=True)
    say("eval", client.eval("return {KEYS[1], ARGV[1], 1.9, false, {'a', 2}}", 1, "k", "v"))
    add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    say("registered", [add(keys=["n"], args=[step]) for step in (1, 2, 3)])
    say("loaded", client.script_exists(add.sha, "0" * 40), client.evalsha(add.sha, 1, "n", 4))
    say("flushed", client.script_flush(), client.script_exists(add.sha))
    say_error("not there", client.evalsha, add.sha, 1, "n", 4)
    say("registered again", add(keys=["n"], args=[5]))
    with client.pipeline() as pipe:
        add(keys=["n"], args=[1], client=pipe)
        pipe.get("n")
        say("in a pipeline", pipe.execute())
    say_error(
        "an error of a command", client.eval, "return redis.call('LPUSH', KEYS[1], 1)", 1, "n"
    )
    say("caught", client.eval("local r = redis.pcall('LPUSH', KEYS[1], 1) return r.err", 1, "n"))
    say(
        "many keys",
        client.eval(
            "for i = 1, #KEYS do redis.call('SET', KEYS[i], i) end return #KEYS",
            20,
            *[f"key:{i}" for i in range(20)],
        ),
    )
    say("set", client.mget("key:0", "key:19"))


@part("scripts")
def locks():
    client = connect()
    lock = client.lock("lock", timeout=10)
    say(
        "taken",
        lock.acquire(),
        lock.locked(),
        lock.owned(),
        client.lock("lock").acquire(blocking=False),
    )
    say(
        "longer",
        lock.extend(10),
        client.pttl("lock") > 10_000,
        lock.reacquire(),
        client.pttl("lock") <= 10_000,
    )
    say("given back", lock.release(), client.exists("lock"))
    say_error("twice", lock.release)
    inside, most, total = [0], [0], [0]

    def work():
        own = connect()
        for _ in range(10):
            with own.lock("shared", timeout=10, sleep=0.002):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                total[0] += 1
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say("four threads", total[0], "at most together", most[0])


@part("pubsub")
def publishing():
    client = connect(decode_responses=True)
    for protocol in (2, 3):
        listener = connect(decode_responses=True, protocol=protocol)
        channel = listener.pubsub()
        channel.subscribe("news", "sport")
        channel.psubscribe("new*")
        say("subscribed", [channel.get_message(timeout=5) for _ in range(3)])
        say(
            "published",
            client.publish("news", "one"),
            client.publish("sport", "two"),
            client.publish("none", "x"),
        )
        say("received", [channel.get_message(timeout=5) for _ in range(3)])
        say(
            "about",
            client.pubsub_numsub("news", "none"),
            client.pubsub_numpat(),
            sorted(client.pubsub_channels()),
        )
        channel.unsubscribe("news")
        say(
            "unsubscribed",
            channel.get_message(timeout=5),
            client.publish("news", "three"),
            channel.get_message(timeout=5),
        )
        channel.close()
        wait_until(lambda: client.pubsub_numpat() == 0, "the listener is gone")
    received = []
    done = threading.Event()

    def handle(message):
        received.append(message["data"])
        if len(received) == 500:
            done.set()

    channel = client.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(**{"many": handle})
    thread = channel.run_in_thread(sleep_time=0.01)
    wait_until(lambda: dict(client.pubsub_numsub("many"))["many"] == 1, "subscribed")
    with client.pipeline(transaction=False) as pipe:
        for index in range(500):
            pipe.publish("many", index)
        say("five hundred", sum(pipe.execute()))
    done.wait(10)
    say("in order", received == [str(index) for index in range(500)])
    thread.stop()
    thread.join()


@part("blocking")
def waiting():
    client = connect(decode_responses=True)
    say(
        "nothing comes",
        client.blpop("l", timeout=0.05),
        client.bzpopmin("z", timeout=0.05),
        client.blmove("l", "m", 0.05),
    )
    client.rpush("l", 1, 2, 3)
    say(
        "there already",
        client.blpop(["none", "l"], timeout=1),
        client.brpop("l", timeout=1),
        client.blmpop(1, 2, "none", "l", direction="LEFT"),
    )

    def later(name, *words):
        def send():
            wait_until(
                lambda: int(client.info("clients")["blocked_clients"]) == 1, "a client waits"
            )
            getattr(connect(), name)(*words)

        thread = threading.Thread(target=send)
        thread.start()
        return thread

    thread = later("rpush", "l", "pushed")
    say("a list", client.blpop("l", timeout=5), thread.join())
    thread = later("zadd", "z", {"m": 1.5})
    say("a sorted set", client.bzpopmin("z", timeout=5), thread.join())
    thread = later("xadd", "s", {"a": "b"}, "5-0")
    say("a stream", client.xread({"s": "$"}, block=5000), thread.join())
    client.xgroup_create("s", "g", id="$")
    thread = later("xadd", "s", {"a": "c"}, "6-0")
    say("a group", client.xreadgroup("g", "one", {"s": ">"}, block=5000), thread.join())
    thread = later("rpush", "from", "moved")
    say(
        "from list to list",
        client.blmove("from", "to", 5, "LEFT", "RIGHT"),
        client.lrange("to", 0, -1),
        thread.join(),
    )
    taken = []
    workers = []
    for _ in range(4):

        def work():
            own = connect(decode_responses=True)
            while (item := own.blpop("jobs", timeout=5)) and item[1] != "end":
                taken.append(int(item[1]))

        workers.append(threading.Thread(target=work))
    for worker in workers:
        worker.start()
    for index in range(200):
        client.rpush("jobs", index)
    client.rpush("jobs", *["end"] * 4)
    for worker in workers:
        worker.join()
    say("four workers", sorted(taken) == list(range(200)), client.llen("jobs"))


main(lambda: connect().flushall())
