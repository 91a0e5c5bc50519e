"""dogpile.cache with its Redis backend, distributed lock on and off: dogpile_cache.py SOCKET"""

from importlib.metadata import version as installed

from check import end, equal, socket_path, step, version
from dogpile.cache import make_region
from dogpile.cache.api import NO_VALUE

version(installed("dogpile.cache"))


def check(name, arguments):
    region = make_region(key_mangler=lambda key: f"{name}:{key}").configure(
        "dogpile.cache.redis", expiration_time=100, arguments={"url": f"unix://{socket_path()}", **arguments}
    )
    with step(f"get/set ({name})"):
        region.set("k", {"a": [1, 2]})
        equal(region.get("k"), {"a": [1, 2]})
        equal(region.get("nothing"), NO_VALUE)

    with step(f"get_multi/set_multi/delete_multi ({name})"):
        region.set_multi({"m1": 1, "m2": "two"})
        equal(region.get_multi(["m1", "nothing", "m2"]), [1, NO_VALUE, "two"])
        region.delete_multi(["m1", "m2"])
        equal(region.get("m1"), NO_VALUE)

    with step(f"get_or_create ({name})"):
        calls = []
        equal([region.get_or_create("made", lambda: calls.append(1) or 42) for _ in range(3)], [42, 42, 42])
        equal(len(calls), 1, "calls of the creator")

    with step(f"cache_on_arguments ({name})"):
        calls = []

        @region.cache_on_arguments()
        def square(number):
            calls.append(number)
            return number * number

        equal([square(3), square(3)], [9, 9])
        square.invalidate(3)
        equal((square(3), calls), (9, [3, 3]))

    with step(f"invalidate/delete ({name})"):
        region.delete("k")
        equal(region.get("k"), NO_VALUE)
        region.invalidate()
        equal(region.get("made"), NO_VALUE)


check("local lock", {"redis_expiration_time": 200})
check("distributed lock", {"distributed_lock": True, "thread_local_lock": False, "lock_timeout": 10})
end()
