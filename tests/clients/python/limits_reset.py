"""limits, all counters removed: limits_reset.py SOCKET"""

from importlib.metadata import version as installed

import limits
from check import end, equal, socket_path, step, true, version
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

version(installed("limits"))
storage = storage_from_string(f"redis+unix://{socket_path()}")

with step("hit"):
    equal(FixedWindowRateLimiter(storage).hit(limits.parse("2/minute"), "who"), True)

with step("reset"):
    true(storage.reset() >= 1, "a counter removed")

end()
