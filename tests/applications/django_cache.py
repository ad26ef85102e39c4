"""django-redis: Django's cache API, what django-redis adds to it, and sessions in the cache."""

import threading
import time

import django
from django.conf import settings

from scenario import HOST, PORT, main, part, say, say_error

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://{HOST}:{PORT}/1",
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
        },
        "packed": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://{HOST}:{PORT}/2",
            "KEY_PREFIX": "packed",
            "OPTIONS": {
                "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor",
                "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            },
        },
        "django": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://{HOST}:{PORT}/3",
        },
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    SESSION_CACHE_ALIAS="default",
    SECRET_KEY="for a test",
    USE_TZ=True,
)
django.setup()

from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import caches
from django_redis import get_redis_connection


def prepare():
    get_redis_connection("default").flushall()


@part()
def cache():
    for name in ("default", "packed", "django"):
        store = caches[name]
        say(
            name,
            store.set("a", {"x": [1, 2, "ä"]}),
            store.get("a"),
            store.get("none"),
            store.get("none", 7),
        )
        say(
            "add",
            store.add("a", 1),
            store.add("b", 2),
            store.get_or_set("c", lambda: 3),
            store.get_or_set("c", 4),
        )
        say(
            "many",
            store.set_many({"m1": 1, "m2": "two", "m3": None}),
            store.get_many(["m1", "m2", "m3", "m4"]),
        )
        say(
            "has",
            store.has_key("m3"),
            "m4" in store,
            store.delete("m1"),
            store.delete("m1"),
            store.delete_many(["m2", "m3"]),
        )
        say(
            "times",
            store.set("t", 1, timeout=100),
            store.touch("t", 200),
            store.touch("none", 200),
            store.set("gone", 1, timeout=0),
            store.get("gone"),
        )
        say("short", store.set("brief", 1, timeout=1), store.get("brief"))
        say(
            "versions",
            store.set("v", "old", version=1),
            store.set("v", "new", version=2),
            store.get("v", version=2),
            store.get("v"),
        )
        say("large", store.set("large", "x" * 200_000), len(store.get("large")))
    time.sleep(1.1)
    say("over", [caches[name].get("brief") for name in ("default", "packed", "django")])
    say("cleared", caches["packed"].clear(), caches["packed"].get("a"), caches["default"].get("a"))


@part()
def more_than_django():
    store = caches["default"]
    store.set("a", 1, timeout=100)
    say(
        "ttl",
        store.ttl("a") in (99, 100),
        store.pttl("a") > 98_000,
        store.ttl("none"),
        store.persist("a"),
        store.ttl("a"),
    )
    say(
        "expire",
        store.expire("a", 50),
        store.ttl("a") in (49, 50),
        store.pexpire("a", 70_000),
        store.ttl("a") in (69, 70),
    )
    store.set_many({f"item:{index}": index for index in range(100)})
    say(
        "keys",
        len(store.keys("item:*")),
        len(set(store.iter_keys("item:*"))),
        sorted(store.iter_keys("item:1?"))[:3],
    )
    say("delete by pattern", store.delete_pattern("item:1*"), len(store.keys("item:*")))
    say("set once", store.set("once", 1, nx=True), store.set("once", 2, nx=True), store.get("once"))
    say(
        "sets",
        store.sadd("s", 1, 2, 3),
        store.scard("s"),
        sorted(store.smembers("s")),
        store.sismember("s", 2),
        store.smismember("s", 1, 9),
    )
    say(
        "algebra",
        store.sadd("s2", 3, 4),
        store.sinter("s", "s2"),
        sorted(store.sunion("s", "s2")),
        store.sdiffstore("s3", "s", "s2"),
    )
    say(
        "hashes",
        store.hset("h", "f", {"deep": 1}),
        store.hlen("h"),
        store.hexists("h", "f"),
        store.hkeys("h"),
        store.hdel("h", "f"),
    )
    raw = get_redis_connection("default")
    say("below", raw.type(store.make_key("a")), raw.config_get("databases"))


@part("scripts")
def counters_and_locks():
    store = caches["default"]
    store.set("n", 1)
    say("counted", store.incr("n"), store.incr("n", 10), store.decr("n", 2), store.get("n"))
    say("large", store.set("big", 2**70), store.incr("big"))
    say_error("not there", store.incr, "none")
    store.set("timed", 5, timeout=100)
    say("keeps its time", store.incr("timed"), store.ttl("timed") in (99, 100))
    say(
        "version",
        store.set("v", "x"),
        store.incr_version("v"),
        store.get("v"),
        store.get("v", version=2),
    )
    total = [0]

    def work():
        for _ in range(10):
            with store.lock("lock", timeout=10, sleep=0.002):
                seen = store.get("shared", 0)
                store.set("shared", seen + 1)
                total[0] += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say("under a lock", total[0], store.get("shared"))


@part()
def sessions():
    session = SessionStore()
    session["cart"] = ["apple", "pear"]
    session.set_expiry(300)
    session.save()
    again = SessionStore(session_key=session.session_key)
    say("read", again["cart"], again.get_expiry_age(), again.exists(session.session_key))
    again["cart"].append("plum")
    again.save()
    old = again.session_key
    again.cycle_key()
    say("moved", SessionStore(session_key=again.session_key)["cart"], again.exists(old))
    again.flush()
    say("ended", again.session_key, SessionStore(session_key=old).get("cart"))


main(prepare)
