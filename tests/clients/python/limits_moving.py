"""limits, moving window: limits_moving.py SOCKET"""

from importlib.metadata import version as installed

import limits
from check import end, equal, socket_path, step, version
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

version(installed("limits"))

with step("moving window"):
    limiter = MovingWindowRateLimiter(storage_from_string(f"redis+unix://{socket_path()}"))
    equal([limiter.hit(limits.parse("2/minute"), "moving") for _ in range(3)], [True, True, False])

end()
