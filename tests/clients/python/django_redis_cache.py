"""django-redis: django_redis_cache.py SOCKET"""

from importlib.metadata import version as installed

from check import end, equal, socket_path, step, true, version
from django.conf import settings

settings.configure(
    CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"unix://{socket_path()}"}}
)
version(installed("django-redis"))

import django_cases
from django.core.cache import cache

django_cases.everything()

with step("ttl/expire/persist"):
    cache.set("e", "v", 100)
    true(95 <= cache.ttl("e") <= 100, "a TTL near 100")
    equal(cache.expire("e", 200), True)
    true(195_000 <= cache.pttl("e") <= 200_000, "a PTTL near 200,000")
    equal(cache.persist("e"), True)
    equal(cache.ttl("e"), None)
    equal(cache.ttl("nothing"), 0)

with step("keys/iter_keys/delete_pattern"):
    cache.set_many({f"page:{n}": n for n in range(50)}, 100)
    equal(len(cache.keys("page:*")), 50)
    equal(sorted(cache.iter_keys("page:1*")), sorted(f"page:{n}" for n in [1, *range(10, 20)]))
    equal(cache.delete_pattern("page:*"), 50)
    equal(cache.keys("page:*"), [])

with step("set(nx)"):
    equal(cache.set("once", 1, 100, nx=True), True)
    equal(bool(cache.set("once", 2, 100, nx=True)), False)
    equal(cache.get("once"), 1)

with step("incr of what is not yet there"):
    equal(cache.incr("fresh", ignore_key_check=True), 1)

with step("lock"):
    with cache.lock("lock", timeout=10, blocking_timeout=5):
        equal(cache.lock("lock", timeout=10, blocking=False).acquire(), False)
    equal(cache.has_key("lock"), False)

end()
