"""cachelib: cachelib_cache.py SOCKET"""

from importlib.metadata import version as installed

import redis
from cachelib import RedisCache
from check import end, equal, socket_path, step, version

version(installed("cachelib"))
cache = RedisCache(host=redis.Redis(unix_socket_path=socket_path()), key_prefix="lib:")

with step("get/set"):
    equal(bool(cache.set("k", {"a": [1, 2]}, timeout=100)), True)
    equal(cache.get("k"), {"a": [1, 2]})
    equal(cache.get("nothing"), None)
    equal(bool(cache.has("k")), True)
    equal(bool(cache.set("forever", 1, timeout=0)), True)

with step("add"):
    equal(bool(cache.add("k", "other")), False)
    equal(bool(cache.add("added", "v")), True)

with step("get_many/set_many/delete_many"):
    cache.set_many({"m1": 1, "m2": "two"}, timeout=100)
    equal(cache.get_many("m1", "nothing", "m2"), [1, None, "two"])
    cache.delete_many("m1", "m2")
    equal(cache.get_dict("m1", "m2"), {"m1": None, "m2": None})

with step("incr/decr"):
    equal(cache.inc("n"), 1)
    equal(cache.inc("n", 10), 11)
    equal(cache.dec("n"), 10)

with step("delete/clear"):
    equal(bool(cache.delete("k")), True)
    cache.clear()
    equal(cache.get("added"), None)

end()
