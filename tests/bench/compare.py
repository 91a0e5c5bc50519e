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
import csv
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

KEYS = 100_000
VALUE_BYTES = 64
CONNECTIONS = 50
# Only bounds a hang.
HANG_SECONDS = 120
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


class Server:
    """A server under measurement, in a directory of its own."""

    def __init__(self, name, directory, command):
        self.name = name
        self.socket = os.path.join(directory, f"{name}.sock")
        self.log = os.path.join(directory, f"{name}.log")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LARDER_")}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command(self.socket), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory, env=environment
            )
        give_up = time.monotonic() + HANG_SECONDS
        while True:
            try:
                self.ask(b"PING\r\n")
                return
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    with open(self.log, errors="replace") as log:
                        sys.exit(f"compare.py: {name} does not serve ({error}):\n{log.read()[-4000:]}")
                time.sleep(0.01)

    def ask(self, request):
        """The first bytes a request is answered with."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(HANG_SECONDS)
            connection.connect(self.socket)
            connection.sendall(request)
            return connection.recv(1 << 16)

    def fill(self):
        """Every key redis-benchmark may ask for, so that each GET finds one."""
        value = b"x" * VALUE_BYTES
        with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as replies:
            connection.settimeout(HANG_SECONDS)
            connection.connect(self.socket)
            for start in range(0, KEYS, 500):
                keys = (b"key:%012d" % number for number in range(start, min(start + 500, KEYS)))
                request = b"*3\r\n$3\r\nSET\r\n$16\r\n%s\r\n$%d\r\n%s\r\n"
                connection.sendall(b"".join(request % (key, VALUE_BYTES, value) for key in keys))
                for _ in range(start, min(start + 500, KEYS)):
                    reply = replies.readline()
                    if reply != b"+OK\r\n":
                        sys.exit(f"compare.py: {self.name} answers {reply!r} to SET")

    def cpu_seconds(self):
        """User and system time of the process, without its children (Redis rewrites its log in one)."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            numbers = stat.read().rpartition(")")[2].split()
        return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def benchmark(server, test, pipeline, connections, requests):
    """One run of redis-benchmark: requests a second, and the latencies it reports."""
    command = ["redis-benchmark", "-s", server.socket, "-t", test, "-n", str(requests), "-c", str(connections)]
    command += ["-P", str(pipeline), "-r", str(KEYS), "-d", str(VALUE_BYTES), "--csv"]
    cpu = server.cpu_seconds()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=HANG_SECONDS)
    cpu = server.cpu_seconds() - cpu
    rows = [row for row in csv.DictReader(done.stdout.splitlines()) if row.get("test")]
    if done.returncode != 0 or len(rows) != 1:
        sys.exit(f"compare.py: {' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    result = {name: float(value) for name, value in rows[0].items() if name != "test"}
    return {**result, "cpu_us_per_request": cpu * 1e6 / requests}


def how_many(servers, test, pipeline, connections, seconds):
    """The number of requests that keeps the slower server busy for about this long."""
    trial = 2_000 * pipeline
    while True:
        slowest = min(benchmark(server, test, pipeline, connections, trial)["rps"] for server in servers)
        if trial >= slowest * seconds / 5:
            return max(1_000, int(slowest * seconds))
        trial = int(slowest * seconds / 4)


def measure(servers, options):
    """All rounds of all workloads: name -> server -> list of results."""
    results = {}
    for name, test, pipeline, connections in WORKLOADS:
        requests = how_many(servers, test, pipeline, connections, options.seconds)
        rounds = {server.name: [] for server in servers}
        for _ in range(options.rounds):
            for server in servers:
                rounds[server.name].append(benchmark(server, test, pipeline, connections, requests))
        results[name] = {"requests": requests, "rounds": rounds}
        print(f"{name}: {options.rounds} rounds of {requests:,} requests", file=sys.stderr)
    return results


def median(rounds, name):
    return statistics.median(result[name] for result in rounds)


def throughput(rounds):
    rates = [result["rps"] / 1000 for result in rounds]
    return f"{statistics.median(rates):.0f} k/s ({min(rates):.0f}-{max(rates):.0f})"


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


def default_larderd():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    target = os.path.join(root, os.environ.get("CARGO_TARGET_DIR", "target"))
    return os.path.join(target, "release", "larderd")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--larderd", default=default_larderd(), metavar="PATH", help="the release build")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each server in each workload")
    parser.add_argument("--seconds", type=float, default=1.2, help="about how long one run lasts")
    parser.add_argument("--json", metavar="FILE", help="write every single result there")
    options = parser.parse_args()

    for tool in ("redis-server", "redis-benchmark"):
        if shutil.which(tool) is None:
            sys.exit(f"compare.py: needs {tool} (apt-get install redis-server redis-tools)")
    larderd = os.path.abspath(options.larderd)
    if not os.access(larderd, os.X_OK):
        sys.exit(f"compare.py: no {larderd}: run cargo build --release -p larderd, or name it with --larderd")

    redis_version = subprocess.run(["redis-server", "--version"], stdout=subprocess.PIPE, text=True).stdout
    redis_version = redis_version.partition("v=")[2].split()[0]
    directory = tempfile.mkdtemp(prefix="larder-compare-")
    for name in ("larder", "redis"):
        os.mkdir(os.path.join(directory, name), 0o700)

    def larder_command(path):
        return [larderd, "--socket", path, "--data", os.path.join(directory, "larder")]

    def redis_command(path):
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        return ["redis-server", "--port", "0", "--unixsocket", path, "--dir", os.path.join(directory, "redis"), *durable]

    servers = []
    try:
        servers = [Server("larder", directory, larder_command), Server("redis", directory, redis_command)]
        for server in servers:
            server.fill()
        environment = {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "redis": redis_version,
            "rounds": options.rounds,
            "keys": KEYS,
            "value_bytes": VALUE_BYTES,
            "connections": CONNECTIONS,
        }
        results = measure(servers, options)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)

    print(
        f"{environment['cpus']} CPUs shared with the load generator, Linux {environment['kernel']}, Redis {redis_version} "
        f"(appendonly, everysec); Unix sockets, {KEYS:,} keys, {VALUE_BYTES}-byte values, {CONNECTIONS} connections; "
        f"median (lowest-highest) of {options.rounds} interleaved rounds.\n"
    )
    print_table(results)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"environment": environment, "results": results}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
