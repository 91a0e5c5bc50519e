"""redis-benchmark with its default options and with pipelining: redis_benchmark.py SOCKET"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from check import end, socket_path, step, true, version

BENCHMARK = ["redis-benchmark", "-s", socket_path()]
TESTS = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"]


def check(*arguments):
    command = [*BENCHMARK, "-t", "ping,set,get,incr,mset", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    text = done.stdout + done.stderr
    true(done.returncode == 0, f"an exit status of 0: {text[-300:]!r}")
    true("rror" not in text and "WARNING" not in text, f"no error or warning in {text[-300:]!r}")
    lines = text.replace("\r", "\n").split("\n")
    for test in TESTS:
        true(any(line.startswith(f"{test}: ") and "requests per second" in line for line in lines), f"a figure for {test}")


version(subprocess.run(["redis-benchmark", "--version"], capture_output=True, text=True).stdout.split()[1])

with step("50 connections"):
    check("-n", "5000")

with step("pipelined"):
    check("-n", "20000", "-P", "16")

with step("RESP3, random keys"):
    check("-3", "-n", "5000", "-r", "1000")

end()
