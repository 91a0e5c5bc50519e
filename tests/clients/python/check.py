"""How a client's script reports: one line per step, so that a step which fails or hangs is the last one named.

`version X`, then `ok STEP` or `failed STEP: why`, and `end`. run.py reads these lines. A failed step does not stop
those after it, and each step uses keys of its own.
"""

import sys
import traceback

failed = False


def socket_path():
    return sys.argv[1]


def version(text):
    print(f"version {text}", flush=True)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what or 'reply'}: expected {want!r}, got {got!r}")


def true(condition, what):
    if not condition:
        raise AssertionError(f"expected {what}")


class step:
    """`with step("get/set"): ...`; works around `async` code too."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        global failed
        if error is None:
            print(f"ok {self.name}", flush=True)
            return True
        if not isinstance(error, Exception):
            return False
        failed = True
        line = traceback.extract_tb(trace)[0].lineno
        reason = f"{kind.__name__}: {error}"
        if error.__cause__ is not None:
            reason += f" ({type(error.__cause__).__name__}: {error.__cause__})"
        reason = " ".join(reason.split())
        print(f"failed {self.name}: line {line}: {reason}", flush=True)
        return True


def end():
    print("end", flush=True)
    sys.exit(1 if failed else 0)
