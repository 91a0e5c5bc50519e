#!/usr/bin/env python3
"""Where larder's time goes in the four main workloads, and what a request costs: system calls and allocations.

    python3 tests/bench/profiles.py [--only get,set-16] [--what cpu,calls,allocations] [--seconds 3]

The workloads are GET and SET on 100 k keys with 64-byte values, 50 connections, without a pipeline and with 16; larder-load
sends them while perf looks on:

 cpu          perf record -e cpu-clock: the share of the samples by where they were taken (kernel, larderd, libc and so on),
              and the functions with most of them
 calls        perf stat of all system calls' tracepoints, per request
 allocations  perf stat of probes on mimalloc's and libc's functions that allocate, per request: mimalloc is what the
              daemon's own code uses, libc what SQLite does

Probes and tracepoints make it slower, so its figures of throughput mean nothing
meanwhile. Needs perf, root, and tracefs: mount -t tracefs tracefs /sys/kernel/tracing.
"""

import argparse
import collections
import os
import signal
import subprocess
import sys
import time

import common
import loads
import run
import servers

KEYS = 100_000
WORKLOADS = {
    "get": {"load": "get", "pipeline": 1},
    "get-16": {"load": "get", "pipeline": 16},
    "set": {"load": "set", "pipeline": 1},
    "set-16": {"load": "set", "pipeline": 16},
}
# Of a library, and the functions of it that allocate. Rust asks mimalloc for memory through these only.
ALLOCATE = {
    "larderd": ["mi_malloc_aligned", "mi_zalloc_aligned", "mi_realloc_aligned"],
    "libc.so.6": ["malloc", "calloc", "realloc"],
}
FUNCTIONS_SHOWN = 14
# What perf needs to have begun: it opens hundreds of tracepoints for each thread.
LOOK_SECONDS = 2


def perf(*words):
    done = subprocess.run(["perf", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        common.fail(f"perf {' '.join(words[:2])} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def watched(server, what, *words):
    """A run while perf looks on: how many requests were answered, and what perf says."""
    command = ["perf", *words, "-p", str(server.process.pid)]
    looking = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # It has to have begun before the first request, and says nothing when it has.
    time.sleep(LOOK_SECONDS)
    answered = loads.once(server, **what)["answered"]
    looking.send_signal(signal.SIGINT)
    _, said = looking.communicate(timeout=common.HANG_SECONDS)
    if looking.returncode not in (0, 128 + signal.SIGINT, -signal.SIGINT):
        common.fail(f"{' '.join(command)} ended with {looking.returncode}: {said.strip()[-500:]}")
    return answered, said


def cpu(server, what, directory):
    """Shares by object, and the busiest functions."""
    data = os.path.join(directory, "perf.data")
    watched(server, what, "record", "-q", "-e", "cpu-clock", "-F", "4999", "-o", data)
    report = perf("report", "-i", data, "--stdio", "-q", "--no-children", "--sort", "dso,symbol", "-t", ";")
    objects, functions = collections.Counter(), []
    for line in report.splitlines():
        parts = [part.strip() for part in line.split(";")]
        if len(parts) < 3 or not parts[0].endswith("%"):
            continue
        share, where, function = float(parts[0].rstrip("%")), parts[1].strip("[]"), parts[2]
        objects[where] += share
        functions.append((share, where, function.removeprefix("[k] ").removeprefix("[.] ")))
    yield ["share of CPU", "where", "function"]
    for where, share in objects.most_common(4):
        yield [f"{share:.1f} %", where, "all"]
    for share, where, function in sorted(functions, reverse=True)[:FUNCTIONS_SHOWN]:
        yield [f"{share:.1f} %", where, f"`{function}`"]


def counted(server, what, events):
    """How often each event came, per request."""
    answered, said = watched(server, what, "stat", "-x", ";", "-e", events)
    found = collections.Counter()
    for line in said.splitlines():
        parts = line.split(";")
        if len(parts) > 2 and parts[0].isdigit() and int(parts[0]):
            found[parts[2]] += int(parts[0])
    return {event: count / answered for event, count in found.most_common()}


def calls(server, what, _):
    yield ["per request", "system call", ""]
    rates = counted(server, what, "syscalls:sys_enter_*")
    for event, rate in rates.items():
        if rate >= 0.0005:
            yield [f"{rate:.3f}", f"`{event.removeprefix('syscalls:sys_enter_')}`", ""]
    yield [f"{sum(rates.values()):.3f}", "all", ""]


def allocations(server, what, _):
    yield ["per request", "function", "of"]
    for library, functions in ALLOCATE.items():
        path = server.programs.larderd if library == "larderd" else libc_of(server)
        group = "larder_" + library.split(".")[0]
        forget = ["perf", "probe", "-q", "-d", f"{group}:*"]
        subprocess.run(forget, stderr=subprocess.DEVNULL, check=False)
        for function in functions:
            perf("probe", "-q", "-x", path, "--add", f"{group}:{function}={function}")
        try:
            rates = counted(server, what, f"{group}:*")
        finally:
            subprocess.run(forget, stderr=subprocess.DEVNULL, check=False)
        for event, rate in rates.items():
            yield [f"{rate:.3f}", f"`{event.partition(':')[2]}`", library]
        yield [f"{sum(rates.values()):.3f}", "all", library]


def libc_of(server):
    """The libc that the process has mapped."""
    with open(f"/proc/{server.process.pid}/maps") as maps:
        return next(line.split()[-1] for line in maps if "/libc.so" in line or "/libc-" in line)


WHAT = {"cpu": cpu, "calls": calls, "allocations": allocations}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAMES", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--what", metavar="NAMES", help=f"of {', '.join(WHAT)}")
    parser.add_argument("--seconds", type=float, default=3, help="how long perf looks on each time")
    parser.add_argument("--larderd", metavar="PATH", help="the daemon; built unless named")
    parser.add_argument("--load", metavar="PATH", help="the load generator; built unless named")
    options = parser.parse_args()
    if common.missing_tools("perf"):
        common.fail("needs perf (apt-get install linux-perf)")
    programs = run.build(options)
    chosen = run.chosen(options.what, list(WHAT), "figure")
    for name in run.chosen(options.only, list(WORKLOADS), "workload"):
        with common.work_directory("larder-profile-") as directory:
            with servers.Running(servers.KINDS[0], programs, directory) as server:
                loads.fill(server, KEYS)
                server.settle()
                loads.warm(server, KEYS)
                what = {"keys": KEYS, "seconds": options.seconds, **WORKLOADS[name]}
                for each in chosen:
                    print(f"{name}: {each}", file=sys.stderr)
                    server.settle()
                    header, *body = WHAT[each](server, what, directory)
                    print(f"\n{name}: {each}\n")
                    print("\n".join("| " + " | ".join(row) + " |" for row in [header, ["---:", "---", "---"], *body]))


if __name__ == "__main__":
    main()
