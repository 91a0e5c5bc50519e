"""redis-py, synchronous: redis_py.py SOCKET [PROTOCOL]; without PROTOCOL the client's own default."""

import sys
import time

import redis
from check import end, equal, socket_path, step, true, version

version(redis.__version__)
options = {"protocol": int(sys.argv[2])} if len(sys.argv) > 2 else {}
client = redis.Redis(unix_socket_path=socket_path(), **options)

with step("connect"):
    equal(client.ping(), True)
    true(client.client_id() > 0, "a client id")
    equal(client.client_setname("matrix"), True)
    equal(client.client_getname() in (b"matrix", "matrix"), True, "client_getname")
    true("redis_version" in client.info("server"), "redis_version in INFO server")
    equal(client.select(0), True)

with step("get/set"):
    equal(client.set("k", "v"), True)
    equal(client.get("k"), b"v")
    equal(client.get("nothing"), None)
    equal(client.set("k", "w", nx=True), None)
    equal(client.set("k", "w", xx=True, get=True), b"v")
    binary = bytes(range(256)) * 300
    equal(client.set(binary[:256], binary), True)
    equal(client.get(binary[:256]), binary)
    equal(client.getdel("k"), b"w")
    equal(client.append("a", "one"), 3)
    equal(client.getrange("a", 1, -1), b"ne")
    equal(client.incrbyfloat("f", 0.5), 0.5)
    try:
        client.incr("a")
    except redis.ResponseError as error:
        true("value is not an integer or out of range" in str(error), f"Redis's words, not {error}")
    else:
        raise AssertionError("INCR of a text is not an error")

with step("expire"):
    client.set("e", "v", ex=100)
    true(95 <= client.ttl("e") <= 100, "a TTL near 100")
    equal(client.expire("e", 50, gt=True), False)
    equal(client.expire("e", 200, gt=True), True)
    true(195_000 <= client.pttl("e") <= 200_000, "a PTTL near 200,000")
    equal(client.expireat("e", int(time.time()) + 300), True)
    true(295 <= client.ttl("e") <= 300, "a TTL near 300")
    equal(client.expiretime("e") > time.time(), True)
    equal(client.persist("e"), True)
    equal(client.ttl("e"), -1)
    equal(client.ttl("nothing"), -2)
    client.set("short", "v", px=20)
    time.sleep(0.05)
    equal(client.get("short"), None)

with step("mget"):
    equal(client.mset({"m1": "1", "m2": "2"}), True)
    equal(client.mget("m1", "nothing", "m2"), [b"1", None, b"2"])
    equal(client.msetnx({"m2": "x", "m3": "x"}), False)
    equal(client.exists("m1", "m2", "m3"), 2)
    equal(client.delete("m1", "m2", "m3"), 2)

with step("scan_iter"):
    client.mset({f"scan:{n}": n for n in range(500)})
    equal(sorted(client.scan_iter("scan:*")), sorted(b"scan:%d" % n for n in range(500)))
    equal(len(set(client.scan_iter("scan:1*", count=10, _type="string"))), 111)
    equal(len(client.keys("scan:??")), 90)

with step("pipeline"):
    with client.pipeline(transaction=False) as pipe:
        for n in range(1_000):
            pipe.set(f"p:{n}", n)
        pipe.get("p:999")
        equal(pipe.execute()[-1], b"999")

with step("pipeline(transaction)"):
    with client.pipeline() as pipe:
        pipe.set("t", 1).incr("t").get("t").expire("t", 100)
        equal(pipe.execute(), [True, 2, b"2", True])
    with client.pipeline() as pipe:
        pipe.set("t", "text").incr("t").get("t")
        replies = pipe.execute(raise_on_error=False)
        equal((replies[0], type(replies[1]).__name__, replies[2]), (True, "ResponseError", b"text"))
    with client.pipeline() as pipe:
        pipe.watch("t")
        pipe.multi()
        pipe.set("t", "mine")
        client.set("t", "theirs")
        try:
            pipe.execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError("EXEC went through although a watched key had changed")
    equal(client.get("t"), b"theirs")
    client.set("counter", 5)
    equal(client.transaction(lambda pipe: pipe.multi() or pipe.incr("counter"), "counter"), [6])

with step("pubsub"):
    pubsub = client.pubsub()
    pubsub.subscribe("news")
    pubsub.psubscribe("new*")
    equal([pubsub.get_message(timeout=10)["type"] for _ in range(2)], ["subscribe", "psubscribe"])
    equal(client.publish("news", "hello"), 2)
    got = [pubsub.get_message(timeout=10) for _ in range(2)]
    equal([(m["type"], m["data"]) for m in got], [("message", b"hello"), ("pmessage", b"hello")])
    equal(client.pubsub_channels(), [b"news"])
    equal(client.pubsub_numsub("news"), [(b"news", 1)])
    pubsub.ping()
    equal(pubsub.get_message(timeout=10)["type"], "pong")
    pubsub.unsubscribe()
    equal(pubsub.get_message(timeout=10)["type"], "unsubscribe")
    pubsub.close()

with step("lock"):
    with client.lock("lock", timeout=10, blocking_timeout=5) as lock:
        equal(client.lock("lock", timeout=10, blocking=False).acquire(), False)
        equal(lock.owned(), True)
        equal(lock.extend(10), True)
        true(15_000 <= client.pttl("lock") <= 20_000, "a lock extended to 20 s")
        equal(lock.reacquire(), True)
        true(client.pttl("lock") <= 10_000, "a lock brought back to 10 s")
    equal(client.exists("lock"), 0)
    lock = client.lock("lock", timeout=10)
    lock.acquire()
    client.set("lock", "someone else's")
    try:
        lock.release()
    except redis.exceptions.LockNotOwnedError:
        pass
    else:
        raise AssertionError("released a lock that was someone else's")
    equal(client.get("lock"), b"someone else's")

with step("introspection"):
    client.client_setname("listed")
    true(any(c["name"] == "listed" for c in client.client_list()), "this connection in CLIENT LIST")
    equal(client.object("encoding", "counter") in (b"int", "int"), True, "OBJECT ENCODING")
    true(client.memory_usage("k") is None and client.memory_usage("t") > 0, "MEMORY USAGE")
    true(client.command_count() > 50, "COMMAND COUNT")
    equal(client.config_get("save").keys(), {"save"})
    true(isinstance(client.slowlog_get(), list), "SLOWLOG GET")
    true(len(client.time()) == 2, "TIME")
    true(client.dbsize() > 0, "DBSIZE")
    equal(client.flushdb(), True)
    equal(client.dbsize(), 0)

client.close()
end()
