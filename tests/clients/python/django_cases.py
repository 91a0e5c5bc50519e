"""What Django's cache API promises, for whichever backend is configured."""

from check import equal, step, true
from django.core.cache import cache


def everything():
    with step("get/set"):
        cache.set("k", {"a": [1, 2.5, "x"]}, 100)
        equal(cache.get("k"), {"a": [1, 2.5, "x"]})
        equal(cache.get("nothing"), None)
        equal(cache.get("nothing", "default"), "default")
        cache.set("forever", "v", None)
        equal(cache.get("forever"), "v")
        cache.set("never", "v", 0)
        equal(cache.get("never"), None)
        equal("k" in cache, True)

    with step("add"):
        equal(cache.add("added", 1, 100), True)
        equal(cache.add("added", 2, 100), False)
        equal(cache.get("added"), 1)

    with step("get_or_set"):
        equal(cache.get_or_set("computed", lambda: 42, 100), 42)
        equal(cache.get_or_set("computed", lambda: 43, 100), 42)

    with step("touch"):
        equal(cache.touch("k", 200), True)
        equal(cache.touch("k", None), True)
        equal(cache.touch("nothing", 200), False)

    with step("incr/decr"):
        cache.set("n", 1, 100)
        equal(cache.incr("n"), 2)
        equal(cache.incr("n", 10), 12)
        equal(cache.decr("n", 2), 10)
        try:
            cache.incr("nothing")
        except ValueError:
            pass
        else:
            raise AssertionError("incr of an absent key is no ValueError")
        equal(cache.get("nothing"), None)

    with step("get_many/set_many/delete_many"):
        failed = cache.set_many({f"many{n}": n for n in range(50)}, 100)
        true(not failed, "no failed keys")
        equal(cache.get_many([f"many{n}" for n in range(0, 60, 10)]), {f"many{n}": n for n in range(0, 50, 10)})
        cache.delete_many(["many0", "many10"])
        equal(sorted(cache.get_many(["many0", "many1", "many10"])), ["many1"])

    with step("delete"):
        equal(cache.delete("k"), True)
        equal(cache.delete("k"), False)

    with step("versions"):
        cache.set("v", "old", 100)
        equal(cache.incr_version("v"), 2)
        equal(cache.get("v"), None)
        equal(cache.get("v", version=2), "old")

    with step("clear"):
        cache.clear()
        equal(cache.get("forever"), None)
