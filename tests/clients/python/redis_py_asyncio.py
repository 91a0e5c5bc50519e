"""redis-py's asyncio client: redis_py_asyncio.py SOCKET [PROTOCOL]; without PROTOCOL the client's own default."""

import asyncio
import sys

import redis
import redis.asyncio
from check import end, equal, socket_path, step, true, version


async def main():
    options = {"protocol": int(sys.argv[2])} if len(sys.argv) > 2 else {}
    client = redis.asyncio.Redis(unix_socket_path=socket_path(), **options)

    with step("connect"):
        equal(await client.ping(), True)

    with step("get/set"):
        equal(await client.set("k", "v", ex=100), True)
        equal(await client.get("k"), b"v")
        equal(await client.get("nothing"), None)
        replies = await asyncio.gather(*(client.incr("n") for _ in range(100)))
        equal(sorted(replies), list(range(1, 101)))

    with step("expire"):
        true(95 <= await client.ttl("k") <= 100, "a TTL near 100")
        equal(await client.expire("k", 200), True)
        true(195_000 <= await client.pttl("k") <= 200_000, "a PTTL near 200,000")

    with step("mget"):
        equal(await client.mset({"m1": "1", "m2": "2"}), True)
        equal(await client.mget("m1", "nothing", "m2"), [b"1", None, b"2"])

    with step("scan_iter"):
        await client.mset({f"scan:{n}": n for n in range(500)})
        equal(len({key async for key in client.scan_iter("scan:*")}), 500)

    with step("pipeline(transaction)"):
        async with client.pipeline() as pipe:
            equal(await pipe.set("t", 1).incr("t").get("t").execute(), [True, 2, b"2"])
        async with client.pipeline() as pipe:
            await pipe.watch("t")
            pipe.multi()
            pipe.set("t", "mine")
            await client.set("t", "theirs")
            try:
                await pipe.execute()
            except redis.WatchError:
                pass
            else:
                raise AssertionError("EXEC went through although a watched key had changed")

    with step("pubsub"):
        async with client.pubsub() as pubsub:
            await pubsub.subscribe("news")
            equal((await pubsub.get_message(timeout=10))["type"], "subscribe")
            equal(await client.publish("news", "hello"), 1)
            message = await pubsub.get_message(timeout=10)
            equal((message["type"], message["data"]), ("message", b"hello"))

    with step("lock"):
        async with client.lock("lock", timeout=10, blocking_timeout=5) as lock:
            equal(await lock.owned(), True)
            equal(await client.lock("lock", timeout=10, blocking=False).acquire(), False)
            equal(await lock.extend(10), True)
            equal(await lock.reacquire(), True)
        equal(await client.exists("lock"), 0)

    await client.aclose()


version(redis.__version__)
asyncio.run(main())
end()
