#!/usr/bin/env python3
"""larder and Redis side by side: throughput and CPU time of the same requests, in one run, on one machine.

    cargo build --release -p larderd
    python3 tests/bench/compare.py [--larderd target/release/larderd] [--rounds 5] [--seconds 1.2] [--json FILE]

Both servers listen on a Unix socket and keep what they answer: larder with its defaults, redis-server with
`appendonly yes`, `appendfsync everysec` and no snapshots. redis-benchmark drives them in turn: larder, redis, larder,
redis, ... round by round, so that what disturbs the machine disturbs both. 100,000 keys, 64-byte values, 50
connections unless the workload says otherwise. How many requests a run has is measured before, so that each one lasts
about `--seconds`; both servers get the same number.

Throughput is the median of the rounds, with the lowest and the highest; CPU is the server's own time (user and system,
from /proc) per request, median too. The ratio is larder's throughput by Redis's (more is better) and larder's CPU by
Redis's (less is better). This is a measurement, not a test: it compares, and judges nothing.

Needs redis-server and redis-benchmark (apt-get install redis-server redis-tools). Python's standard library only.
"""

import argparse
import json
import sys

import common
from common import CONNECTIONS, VALUE_BYTES, median

KEYS = 100_000
# Name, redis-benchmark's test, pipeline, connections.
WORKLOADS = [
    ("GET", "get", 1, CONNECTIONS),
    ("GET, pipeline 16", "get", 16, CONNECTIONS),
    ("SET", "set", 1, CONNECTIONS),
    ("SET, pipeline 16", "set", 16, CONNECTIONS),
    ("SET, 1 connection", "set", 1, 1),
    ("INCR", "incr", 1, CONNECTIONS),
    ("INCR, pipeline 16", "incr", 16, CONNECTIONS),
]


def measure(servers, options):
    """All rounds of all workloads: name -> server -> list of results."""
    results = {}
    for name, test, pipeline, connections in WORKLOADS:
        requests = common.how_many(servers, test, pipeline, connections, options.seconds, KEYS)
        rounds = {server.name: [] for server in servers}
        for _ in range(options.rounds):
            for server in servers:
                rounds[server.name].append(common.benchmark(server, test, pipeline, connections, requests, KEYS))
        results[name] = {"requests": requests, "rounds": rounds}
        print(f"{name}: {options.rounds} rounds of {requests:,} requests", file=sys.stderr)
    return results


def throughput(rounds):
    return common.throughput([result["rps"] for result in rounds])


def print_table(results):
    print("| workload | larder | Redis | throughput ratio | larder CPU | Redis CPU | CPU ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, result in results.items():
        larder, redis = result["rounds"]["larder"], result["rounds"]["redis"]
        cpu = [median(rounds, "cpu_us_per_request") for rounds in (larder, redis)]
        cells = [
            name,
            throughput(larder),
            throughput(redis),
            f"{median(larder, 'rps') / median(redis, 'rps'):.2f}x",
            f"{cpu[0]:.2f} us",
            f"{cpu[1]:.2f} us",
            f"{cpu[0] / cpu[1]:.2f}x" if cpu[1] else "-",
        ]
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--larderd", default=common.default_larderd(), metavar="PATH", help="the release build")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each server in each workload")
    parser.add_argument("--seconds", type=float, default=1.2, help="about how long one run lasts")
    parser.add_argument("--json", metavar="FILE", help="write every single result there")
    options = parser.parse_args()

    missing = common.missing_tools("redis-server", "redis-benchmark")
    if missing:
        common.fail(f"needs {' and '.join(missing)} (apt-get install redis-server redis-tools)")
    larderd = common.checked_larderd(options.larderd)

    environment = {**common.environment(), "rounds": options.rounds, "keys": KEYS, "connections": CONNECTIONS}
    with (
        common.work_directory("larder-compare-") as directory,
        common.start_larder(larderd, directory) as larder,
        common.start_redis(directory) as redis,
    ):
        for server in (larder, redis):
            server.fill(range(KEYS))
        results = measure([larder, redis], options)

    print(
        f"{environment['cpus']} CPUs shared with the load generator, Linux {environment['kernel']}, Redis "
        f"{environment['redis']} (appendonly, everysec); Unix sockets, {KEYS:,} keys, {VALUE_BYTES}-byte values, "
        f"{CONNECTIONS} connections; median (lowest-highest) of {options.rounds} interleaved rounds.\n"
    )
    print_table(results)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"environment": environment, "results": results}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
