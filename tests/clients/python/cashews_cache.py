"""cashews: cashews_cache.py SOCKET

cashews takes `redis://` addresses only, by its own table of schemes; the table is told that `unix` is Redis as well.
"""

import asyncio
from importlib.metadata import version as installed

from cashews import cache
from cashews.backends.redis import Redis
from cashews.picklers import PicklerType
from cashews.wrapper.backend_settings import register_backend
from check import end, equal, socket_path, step, true, version

version(installed("cashews"))
register_backend("unix", Redis, pass_uri=True, pickler=PicklerType.DEFAULT)


async def main():
    # An error is to be an error here; by default cashews logs it and goes on without a cache.
    cache.setup(f"unix://{socket_path()}", suppress=False)
    await cache.init()

    with step("get/set"):
        equal(await cache.set("k", {"a": [1, 2]}, expire=100), True)
        equal(await cache.get("k"), {"a": [1, 2]})
        equal(await cache.get("nothing", default="d"), "d")
        equal(await cache.set("k", "other", exist=False), False)
        equal(await cache.exists("k"), True)

    with step("expire"):
        true(95 <= await cache.get_expire("k") <= 100, "a TTL near 100")
        await cache.expire("k", 200)
        true(195 <= await cache.get_expire("k") <= 200, "a TTL near 200")

    with step("get_many/set_many/delete_many"):
        await cache.set_many({"m:1": 1, "m:2": "two"}, expire=100)
        equal(await cache.get_many("m:1", "nothing", "m:2"), (1, None, "two"))
        equal({key async for key in cache.scan("m:*")}, {"m:1", "m:2"})
        equal({key: value async for key, value in cache.get_match("m:*")}, {"m:1": 1, "m:2": "two"})
        await cache.delete_many("m:1")
        await cache.delete_match("m:*")
        equal(await cache.get("m:2"), None)

    with step("incr"):
        equal([await cache.incr("n"), await cache.incr("n", 10)], [1, 11])
        equal([await cache.incr("window", expire=100) for _ in range(2)], [1, 2])
        true(95 <= await cache.get_expire("window") <= 100, "a window of 100 s")

    with step("cache decorator"):
        calls = []

        @cache(ttl="1m", key="square:{number}")
        async def square(number):
            calls.append(number)
            return number * number

        equal([await square(3), await square(3)], [9, 9])
        equal(calls, [3])

    with step("lock"):
        async with cache.lock("lock", expire=10):
            equal(await cache.is_locked("lock"), True)
            equal(await cache.set_lock("lock", "other", 10), False)
        equal(await cache.is_locked("lock"), False)

    with step("rate_limit (fixed window)"):
        from cashews.exceptions import RateLimitError

        @cache.rate_limit(limit=2, period=100)
        async def limited():
            return "ok"

        equal([await limited(), await limited()], ["ok", "ok"])
        try:
            await limited()
        except RateLimitError:
            pass
        else:
            raise AssertionError("the third call in a window of two went through")

    with step("size/clear"):
        true(await cache.get_size("k") > 0, "MEMORY USAGE of a key")
        true(await cache.get_keys_count() > 0, "DBSIZE")
        await cache.clear()
        equal(await cache.get("k"), None)
        await cache.close()


asyncio.run(main())
end()
