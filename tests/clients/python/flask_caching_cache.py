"""Flask-Caching: flask_caching_cache.py SOCKET"""

from importlib.metadata import version as installed

from check import end, equal, socket_path, step, version
from flask import Flask
from flask_caching import Cache

version(installed("Flask-Caching"))
app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": f"unix://{socket_path()}"})
calls = []


@app.route("/page")
@cache.cached(timeout=100)
def page():
    calls.append("page")
    return "page"


@cache.memoize(100)
def square(number):
    calls.append(number)
    return number * number


with app.app_context():
    with step("get/set"):
        equal(cache.set("k", {"a": [1, 2]}, timeout=100), True)
        equal(cache.get("k"), {"a": [1, 2]})
        equal(cache.get("nothing"), None)
        equal(cache.has("k"), True)

    with step("add"):
        equal(bool(cache.add("k", "other")), False)
        equal(bool(cache.add("added", 1)), True)

    with step("get_many/set_many/delete_many"):
        cache.set_many({"m1": 1, "m2": "two"}, timeout=100)
        equal(cache.get_many("m1", "nothing", "m2"), [1, None, "two"])
        equal(cache.get_dict("m1", "m2"), {"m1": 1, "m2": "two"})
        cache.delete_many("m1", "m2")
        equal(cache.get("m1"), None)

    with step("incr/decr"):
        equal(cache.cache.inc("n"), 1)
        equal(cache.cache.inc("n", 10), 11)
        equal(cache.cache.dec("n"), 10)

    with step("cached view"):
        for _ in range(3):
            equal(app.test_client().get("/page").data, b"page")
        equal(calls, ["page"])

    with step("memoize"):
        equal([square(3), square(3), square(4)], [9, 9, 16])
        cache.delete_memoized(square, 3)
        equal(square(3), 9)
        equal(calls, ["page", 3, 4, 3])

    with step("delete/clear"):
        cache.delete("k")
        equal(cache.get("k"), None)
        cache.clear()
        equal(cache.get("added"), None)

end()
