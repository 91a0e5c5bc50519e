#!/usr/bin/env python3
"""larder beside redis-server, valkey-server and memcached: the same requests, in one run, on one machine.

    python3 tests/bench/run.py [--quick] [--only basic,incr,...] [--rounds 5] [--json FILE] [--report DIR]

Builds larderd and the load generator, starts larder and whichever of the others are on the PATH, and drives them in
turn, round by round, so that what disturbs the machine disturbs all. redis-server and valkey-server run twice: keeping
what they answer (appendonly, everysec) and keeping nothing. Every ratio is to redis-server with everysec in the same round.

Measurements (`--only` chooses; N is `--entries`):

 basic       GET and SET: with and without pipeline 16, 50 connections and one; 10 k hot keys, 64 bytes
 keys        GET and SET: 100 k and N keys uniform, N by Zipf's law (0.99)
 values      GET and SET of values of 1 KiB and 64 KiB
 mix         nine GETs to a SET, N keys by Zipf's law
 incr        INCR of 1,000 keys
 mget        MGET of 100 keys
 ping        PING
 writes      SET with pipeline 16 from nothing: the first seconds, and `--sustained` seconds with merges running
 background  p99 of GETs, quiet, and during merges, expiry of N/10 together, deletion of N/10 of N keys by a pattern
 disk        GET from the disk, larder's memory tier off
 scaling     GET by number of threads: larder's readers from the disk, the others' IO threads
 start       the next start with N entries, after SIGTERM and after SIGKILL
 growth      10 k to 10 M entries: throughput, memory and disk for an entry, the next start
 shrinking   larder's files after most of it is deleted
 bounds      what there is to reach: larder's journal and its reads from the disk, alone, without a server around them

Throughput and percentiles are a closed loop's: a connection sends its next requests once the ones before are answered, as
redis-benchmark does. In `background` they are an open loop's. CPU is the server's own, user and system, per request.

`--quick` runs everything once with little data: it shows that all works, its figures mean nothing. `--with FILE` takes the
results of earlier runs into table and report; `--only nothing` makes these again without measuring. This is a measurement,
not a test: it judges nothing, but ends with an error where a server answers wrongly or something hangs.

Python's standard library only. apt-get install redis-server memcached, and valkey-server where there is one.
"""

import argparse
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import common
import report
import results
import servers
from measure import background, bounds, disk, sizes, throughput, writes

MEASUREMENTS = {
    **{group: lambda bench, group=group: throughput.run(bench, group) for group in throughput.GROUPS},
    "writes": writes.run,
    "background": background.run,
    "disk": disk.run,
    "scaling": disk.scaling,
    "start": sizes.starts,
    "growth": sizes.growth,
    "shrinking": sizes.shrinking,
    "bounds": bounds.run,
}


def numbers(text):
    return [int(number) for number in text.split(",")]


# Option: its type, its usual value, its value with --quick, what it is.
SIZES = {
    "entries": (int, 1_000_000, 2_000, "N"),
    "rounds": (int, 5, 1, "interleaved rounds"),
    "seconds": (float, 1.5, 0.05, "how long a run counts"),
    "warm-up": (float, 0.3, 0.01, "seconds before that"),
    "burst": (float, 2.0, 0.1, "seconds of SETs from nothing, and before SIGKILL"),
    "sustained": (float, 60.0, 0.3, "seconds of SETs that last"),
    "quiet": (float, 2.0, 0.1, "seconds of a quiet phase"),
    "starts": (int, 5, 1, "starts of each kind"),
    "wait": (float, 10.0, 0.2, "seconds that files have to shrink"),
    "growth": (numbers, "10000,100000,1000000,10000000", "1000,2000", "numbers of entries"),
    "limit": (float, 1_800.0, 120.0, "seconds after which a measurement counts as hung"),
}


class Bench:
    """What every measurement gets: options, servers on directories of their own, a line of progress."""

    def __init__(self, options, programs, kinds, directory):
        self.options = options
        self.programs = programs
        self.kinds = kinds
        self._directory = directory
        self._count = itertools.count(1)

    def directory(self):
        """A new one."""
        path = os.path.join(self._directory, str(next(self._count)))
        os.mkdir(path, 0o700)
        return path

    def remove(self, directory):
        shutil.rmtree(directory)

    @contextlib.contextmanager
    def start(self, kind, *extra, directory=None):
        """A server for the length of a block; its data goes with it, unless the directory is the caller's."""
        home = directory or self.directory()
        try:
            with servers.Running(kind, self.programs, home, extra) as server:
                yield server
        finally:
            if not directory:
                self.remove(home)

    def turned(self, things, number):
        """The same in another order each round: nobody is always the first after a pause."""
        at = number % len(things)
        return things[at:] + things[:at]

    def progress(self, text):
        print(text, file=sys.stderr, flush=True)


def build(options):
    """larderd and larder-load, where they are not named."""
    # One after the other: built together they would share the features of their dependencies.
    for named, words in ((options.larderd, ["-p", "larderd"]), (options.load, ["-p", "larder-bench", "--bin", "larder-load"])):
        command = ["cargo", "build", "--release", *words]
        if not named:
            print(" ".join(command), file=sys.stderr)
            if subprocess.run(command, cwd=common.ROOT, check=False).returncode != 0:
                common.fail("cannot build; --larderd and --load name what is built already")
    release = os.path.join(common.target_directory(), "release")
    larderd = options.larderd or os.path.join(release, "larderd")
    load = options.load or os.path.join(release, "larder-load")
    return servers.Programs(common.checked(larderd, "--larderd"), common.checked(load, "--load"))


def chosen(only, available, what):
    """The names asked for, in their usual order."""
    names = only.split(",") if only else available
    for name in names:
        if name not in available and name != "nothing":
            common.fail(f"there is no {what} {name!r}; there are {', '.join(available)}")
    return [name for name in available if name in names]


def found_kinds(options, programs):
    """Those whose programs are there."""
    names = chosen(options.servers, [kind.name for kind in servers.KINDS], "server")
    wanted = [kind for kind in servers.KINDS if kind.name in names]
    for program in dict.fromkeys(kind.program for kind in wanted if not programs.path(kind)):
        print(f"{program}: skipped: it is not on the PATH", file=sys.stderr)
    return [kind for kind in wanted if programs.path(kind)]


def run_all(bench, names, found):
    """Adds to `found` as it goes."""

    def hung(*_):
        common.fail(f"{name} has not ended after {bench.options.limit:g} s")

    signal.signal(signal.SIGALRM, hung)
    for name in names:
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, bench.options.limit)
        measured = MEASUREMENTS[name](bench)
        signal.setitimer(signal.ITIMER_REAL, 0)
        # What was measured before gives way.
        found[:] = [each for each in found if each.measurement != name] + measured
        bench.progress(f"{name}: {time.monotonic() - began:.1f} s")


def earlier(paths):
    """Results of earlier runs, and what the last of them said about the machine."""
    found, environment = [], None
    for path in paths:
        with open(path) as file:
            content = json.load(file)
        environment = content["environment"]
        new = [results.Result(**each) for each in content["results"]]
        again = {each.measurement for each in new}
        found = [each for each in found if each.measurement not in again] + new
    return found, environment


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAMES", help="measurements, with commas between them")
    parser.add_argument("--servers", metavar="NAMES", help="of " + ", ".join(kind.name for kind in servers.KINDS))
    parser.add_argument("--quick", action="store_true", help="little data: a try whether everything works")
    parser.add_argument("--json", metavar="FILE", help="write every single result there")
    parser.add_argument("--report", metavar="DIR", help="write a page with charts there")
    add = parser.add_argument
    add("--with", metavar="FILE", action="append", default=[], dest="earlier", help="results of an earlier run")
    parser.add_argument("--larderd", metavar="PATH", help="the daemon; built unless named")
    parser.add_argument("--load", metavar="PATH", help="the load generator; built unless named")
    parser.add_argument("--bounds", metavar="PATH", help="the benchmark of that name; built unless named")
    for name, (kind, usual, quick, text) in SIZES.items():
        show = lambda value: value if isinstance(value, str) else f"{value:,}"
        parser.add_argument(f"--{name}", type=kind, metavar="N", help=f"{text} ({show(usual)}; with --quick {show(quick)})")
    options = parser.parse_args()
    for name, (kind, usual, quick, _) in SIZES.items():
        place = name.replace("-", "_")
        if getattr(options, place) is None:
            setattr(options, place, kind(quick if options.quick else usual))
        if not getattr(options, place) or (kind is not numbers and getattr(options, place) < 0):
            common.fail(f"--{name} must be more than 0")
    # A tenth of them is deleted and expires.
    options.entries = max(1_000, options.entries // 10 * 10)
    return options


def show(found):
    for header, body in (
        (results.HEADER, [row for result in found for row in results.rows(result)]),
        (["goal, larder to redis", "", "goal", "found", "met"], [[row[0], "", *row[1:]] for row in results.goals(found)]),
        (results.BOUNDS_HEADER, results.bounds(found)),
    ):
        if body:
            print(results.markdown(header, body), end="\n\n")


def main():
    options = parsed()
    found, environment = earlier(options.earlier)
    names = chosen(options.only, list(MEASUREMENTS), "measurement")
    if names:
        programs = build(options)
        kinds = found_kinds(options, programs)
        environment = {**common.environment(), **{name: getattr(options, name.replace("-", "_")) for name in SIZES}}
        environment["servers"] = programs.versions(kinds)
    elif environment is None:
        common.fail("nothing to measure, and no results --with which to make a report")
    try:
        if names:
            with common.work_directory("larder-bench-") as directory:
                run_all(Bench(options, programs, kinds, directory), names, found)
    finally:
        # Also where one of them failed: what was measured before it stands.
        order = list(MEASUREMENTS)
        found.sort(key=lambda result: order.index(result.measurement))
        if options.json and found:
            with open(options.json, "w") as file:
                json.dump({"environment": environment, "results": [result.as_json() for result in found]}, file, indent=1)
                file.write("\n")
        if found:
            sys.stderr.flush()
            print(report.environment_line(environment), end="\n\n")
            show(found)
            if options.report:
                print(f"report: {report.write(options.report, environment, found)}", file=sys.stderr)


if __name__ == "__main__":
    main()
