"""limits, fixed window and sliding-window counter: limits_windows.py SOCKET

What larder cannot do of it has a script of its own: limits_moving.py.
"""

from importlib.metadata import version as installed

import limits
from check import end, equal, socket_path, step, true, version
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

version(installed("limits"))
storage = storage_from_string(f"redis+unix://{socket_path()}")


def three_of_two(limiter, who):
    limit = limits.parse("2/minute")
    equal(limiter.test(limit, who), True, "test before the first hit")
    equal([limiter.hit(limit, who) for _ in range(3)], [True, True, False], "three hits")
    equal(limiter.test(limit, who), False, "test after them")
    window = limiter.get_window_stats(limit, who)
    equal(window.remaining, 0, "remaining")
    true(window.reset_time > 0, "a reset time")
    limiter.clear(limit, who)
    equal(limiter.hit(limit, who), True, "hit after clear")


with step("check"):
    equal(storage.check(), True)

with step("fixed window"):
    three_of_two(FixedWindowRateLimiter(storage), "fixed")

with step("hit with a cost"):
    limiter = FixedWindowRateLimiter(storage)
    equal(limiter.hit(limits.parse("10/minute"), "cost", cost=7), True)
    equal(limiter.hit(limits.parse("10/minute"), "cost", cost=7), False)

with step("sliding window counter"):
    three_of_two(SlidingWindowCounterRateLimiter(storage), "sliding")

end()
