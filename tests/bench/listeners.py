#!/usr/bin/env python3
"""What dashboards cost the daemon: throughput and CPU time while nobody, one, or a hundred listen, or one has stopped.

    cargo build --release
    python3 tests/bench/listeners.py [--larderd PATH] [--larder-top PATH] [--slices 40] [--seconds 1.5] [--json FILE]

redis-benchmark drives one daemon all the time; meanwhile the audience changes every slice, in an order drawn anew each
round, so that what disturbs the machine disturbs all of them:

    nobody      no subscription at all
    one         larder-top in a terminal of its own (a pseudo-terminal of 120x40)
    hundred     100 subscriptions of larder:stats, read and thrown away by one process
    stopped     larder-top as in `one`, halted by SIGSTOP

Each slice begins once the audience has had its backlog. What the daemon did in it is read from its own counters, and its
CPU time from /proc. The figure is the median over the slices, as a ratio to `nobody`, with a 95 % interval (bootstrap over
rounds). The listeners' own CPU time comes out of the same machine: where it has few cores, throughput pays for that too,
which the daemon's CPU time per command does not.

A second table has what the audience costs by itself: the CPU time of the daemon per second, to a microsecond, with 50 clients
connected that send nothing. That part of a core is what commands cannot have, so it bounds the loss of throughput far
more closely than throughput can be measured on a machine with other work.

Needs redis-benchmark (apt-get install redis-tools). Python's standard library only.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pty
import random
import selectors
import signal
import socket
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time

import common

KEYS = 100_000
AUDIENCES = ["nobody", "one", "hundred", "stopped"]
HUNDRED = 100
# Name, redis-benchmark's test, pipeline.
WORKLOADS = [("GET, pipeline 16", "get", 16), ("GET", "get", 1), ("SET", "set", 1)]
# What a listener may take to have its backlog.
SETTLE_SECONDS = 0.4
RESAMPLES = 2_000
# After which no merge is due any more.
QUIET_SECONDS = 12


class Screen:
    """larder-top in a pseudo-terminal whose output is read and thrown away."""

    def __init__(self, command, stopped):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment
        )
        os.close(slave)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        time.sleep(SETTLE_SECONDS)
        if stopped:
            self.process.send_signal(signal.SIGSTOP)

    def _read(self):
        with contextlib.suppress(OSError):
            while os.read(self.master, 1 << 16):
                pass

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        os.close(self.master)


def hear(path, count):
    """The process that holds `count` subscriptions, and reads."""
    selector = selectors.DefaultSelector()
    for _ in range(count):
        listener = socket.socket(socket.AF_UNIX)
        listener.connect(path)
        listener.sendall(b"SUBSCRIBE larder:stats\r\n")
        selector.register(listener, selectors.EVENT_READ)
    while True:
        for ready, _ in selector.select():
            if not ready.fileobj.recv(1 << 20):
                return


class Crowd:
    """A hundred subscriptions, in a process of their own."""

    def __init__(self, path):
        command = [sys.executable, os.path.abspath(__file__), "--hear", path]
        self.process = subprocess.Popen(command, start_new_session=True)
        time.sleep(2 * SETTLE_SECONDS)

    def close(self):
        self.process.kill()
        self.process.wait()


def open_audience(name, larder, larder_top):
    if name == "nobody":
        time.sleep(SETTLE_SECONDS)
        return contextlib.nullcontext()
    if name == "hundred":
        return contextlib.closing(Crowd(larder.socket))
    return contextlib.closing(Screen([larder_top, "--socket", larder.socket], stopped=name == "stopped"))


def counters(larder, connection):
    """Commands that the daemon has run, its CPU seconds, and the time."""
    stats = json.loads(connection.ask("STATS"))
    return stats["commands"], larder.cpu_seconds(), time.monotonic()


def measure(larder, larder_top, options, test, pipeline):
    """A list of rounds: audience -> commands a second and CPU microseconds a command."""
    command = common.benchmark_command(larder, test, pipeline, common.CONNECTIONS, 1_000_000, KEYS)
    load = subprocess.Popen([*command, "-l"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rounds = []
    try:
        time.sleep(1)
        with common.Connection(larder.socket) as connection:
            for number in range(options.slices):
                figures = {}
                for name in random.sample(AUDIENCES, len(AUDIENCES)):
                    with open_audience(name, larder, larder_top):
                        before = counters(larder, connection)
                        time.sleep(options.seconds)
                        after = counters(larder, connection)
                    commands, cpu, seconds = (b - a for a, b in zip(before, after))
                    if commands == 0:
                        common.fail(f"redis-benchmark has ended ({load.poll()})")
                    figures[name] = {"rps": commands / seconds, "cpu_us": cpu * 1e6 / commands}
                rounds.append(figures)
                print(f"\r{test} P{pipeline}: round {number + 1} of {options.slices}", end="", file=sys.stderr)
    finally:
        load.kill()
        load.wait()
        print(file=sys.stderr)
    return rounds


def cpu_ns(process):
    """CPU time of all threads, from the scheduler's own accounts."""
    threads = f"/proc/{process.pid}/task"
    total = 0
    for thread in os.listdir(threads):
        with open(f"{threads}/{thread}/schedstat") as schedstat:
            total += int(schedstat.read().split()[0])
    return total


def measure_at_rest(larder, larder_top, seconds):
    """Audience -> the daemon's CPU milliseconds a second."""
    # What the load has left is merged first.
    larder.ask("CLEANUP")
    time.sleep(QUIET_SECONDS)
    figures = {}
    idle = [common.Connection(larder.socket) for _ in range(common.CONNECTIONS)]
    for name in AUDIENCES:
        with open_audience(name, larder, larder_top):
            time.sleep(1)
            began, cpu = time.monotonic(), cpu_ns(larder.process)
            time.sleep(seconds)
            figures[name] = (cpu_ns(larder.process) - cpu) / 1e6 / (time.monotonic() - began)
    for connection in idle:
        connection.__exit__()
    return figures


def ratio(rounds, name, figure):
    return statistics.median(r[name][figure] / r["nobody"][figure] for r in rounds)


def interval(rounds, name, figure):
    draws = sorted(
        ratio(random.choices(rounds, k=len(rounds)), name, figure) for _ in range(RESAMPLES)
    )
    return draws[int(RESAMPLES * 0.025)], draws[int(RESAMPLES * 0.975)]


def print_table(results):
    print("| workload | audience | throughput | against nobody | daemon CPU | against nobody |")
    print("|---|---|---:|---:|---:|---:|")
    for workload, rounds in results.items():
        for name in AUDIENCES:
            cells = [workload, name]
            for figure, unit in (("rps", "{:.0f}/s"), ("cpu_us", "{:.3f} us")):
                low, high = interval(rounds, name, figure)
                cells.append(unit.format(statistics.median(r[name][figure] for r in rounds)))
                cells.append(
                    "" if name == "nobody" else f"{ratio(rounds, name, figure):.3f}x ({low:.3f}-{high:.3f})"
                )
            print("| " + " | ".join(cells) + " |")


def print_rest(figures):
    print("\n| audience | daemon CPU at rest | part of a core more than with nobody |")
    print("|---|---:|---:|")
    for name, ms in figures.items():
        more = "" if name == "nobody" else f"{(ms - figures['nobody']) / 10:.2f} %"
        print(f"| {name} | {ms:.2f} ms/s | {more} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--larderd", default=common.default_larderd(), metavar="PATH", help="the release build")
    parser.add_argument("--larder-top", metavar="PATH", help="beside larderd unless given")
    parser.add_argument("--slices", type=int, default=40, help="slices of each audience in each workload")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long a slice lasts")
    parser.add_argument("--rest", type=float, default=30, help="seconds for each audience without load")
    parser.add_argument("--json", metavar="FILE", help="write every single result there")
    parser.add_argument("--hear", metavar="SOCKET", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hear:
        hear(options.hear, HUNDRED)
        return

    if common.missing_tools("redis-benchmark"):
        common.fail("needs redis-benchmark (apt-get install redis-tools)")
    larderd = common.checked_larderd(options.larderd)
    larder_top = options.larder_top or os.path.join(os.path.dirname(larderd), "larder-top")
    if not os.access(larder_top, os.X_OK):
        common.fail(f"no larder-top at {larder_top}: cargo build --release")

    results = {}
    with common.work_directory("larder-listeners-") as directory, common.start_larder(larderd, directory) as larder:
        larder.fill(range(KEYS))
        for name, test, pipeline in WORKLOADS:
            if options.slices:
                results[name] = measure(larder, larder_top, options, test, pipeline)
        rest = measure_at_rest(larder, larder_top, options.rest)
    print_table(results)
    print_rest(rest)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"environment": common.environment(), "results": results, "at_rest": rest}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
