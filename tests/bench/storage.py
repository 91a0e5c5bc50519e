#!/usr/bin/env python3
"""The storage engine's figures: writes that last, latency beside the work in the background, start, memory, disk.

    cargo build --release -p larderd
    python3 tests/bench/storage.py [--only sets,latency,...] [--quick] [--json FILE] [--larderd target/release/larderd]

Measurements, in this order; N is `--entries`, values have 64 bytes, keys 16:

 sets        SET of N random keys, larder beside redis-server (appendonly, everysec), in interleaved rounds. Without
             pipeline both hold all keys before; with pipeline 16 each round begins with nothing, and its first
             `--burst` seconds count. "CPU" is the server's own while it answers, "CPU in all" also what it does
             afterwards with what was written: larder's merge, Redis's rewriting of its log. The other server's turn
             begins when that is over.
 sustained   SET with pipeline 16 for `--seconds` on each server, from nothing, merges running. The sizes of files and
             of the write buffer are the highest of five samples a second; what the samples cost counts as the server's.
 latency     Time to answer GETs of keys in memory: quiet, while N entries that were just written merge, while N/10 that
             expired together are cleaned up, while DELPAT finds N/10 keys among N. A quiet phase before each of them.
 disk_reads  GET of N random keys with the memory tier off and everything merged.
 start       From the spawn to the first PONG with N entries: after SIGTERM, and after SIGKILL under pipelined SETs.
             The files are in the system's cache each time.
 memory      VmRSS of a daemon that was just started, and what an entry in memory adds to it: how much a daemon grows
             while every key is read from disk, less how much it grows from the same reads with the memory tier off.
 disk        Bytes on disk per entry after the merge and SIGTERM, and after most entries are deleted `--wait` seconds
             later.

Latencies come from an open loop: a process of its own sends 2,000 GETs a second over four sockets at their due times,
whether or not earlier ones are answered, so a stall shows in every request that falls into it, and each sample can be
counted to the phase it was sent in. redis-benchmark's percentiles are steadier in quiet (p99 of 55-63 us against
49-79 us here), but it waits for an answer before it sends the next request, which makes one sample of a stall however
long, keeps a whole CPU busy that the background work should have, and cannot be cut to a phase. The samples of all
rounds together make a percentile; the remarks say how the rounds differ.

`--quick` runs everything once with little data: it shows that the script works, its figures mean nothing. Measurements
whose programs are missing are left out, and said to be. This is a measurement, not a test: it judges nothing, but it
ends with an error where a server answers wrongly or something hangs.

Needs redis-server and redis-benchmark (apt-get install redis-server redis-tools). Python's standard library only.
"""

import argparse
import array
import collections
import gc
import json
import multiprocessing
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import time
import typing

import common
from common import CONNECTIONS, HANG_SECONDS, VALUE_BYTES, key, median, scattered

PIPELINE = 16
SAMPLES_A_SECOND = 5
# Keys that the latency measurement reads: few enough to stay in memory under the default cap.
HOT_KEYS = 20_000
GETS_A_SECOND = 2_000
GET_SOCKETS = 4
# More requests than any run gets through; redis-benchmark counts them in an int.
WITHOUT_END = 2_000_000_000
MIB = 1 << 20


class Row(typing.NamedTuple):
    """One line of the table."""

    measurement: str
    figure: str
    larder: str
    against: str = ""
    ratio: str = ""
    remarks: str = ""


class Bench:
    """What every measurement gets: sizes, and servers on directories of their own."""

    def __init__(self, options, larderd, directory):
        self.options = options
        self.larderd = larderd
        self._directory = directory
        self._count = 0

    def directory(self):
        """A new one."""
        self._count += 1
        path = os.path.join(self._directory, str(self._count))
        os.mkdir(path, 0o700)
        return path

    def larder(self, directory=None, *options):
        return common.start_larder(self.larderd, directory or self.directory(), *options)

    def redis(self):
        return common.start_redis(self.directory())


class Load:
    """SETs from redis-benchmark for as long as the block lasts."""

    def __init__(self, server, pipeline, keys):
        command = common.benchmark_command(server, "set", pipeline, CONNECTIONS, WITHOUT_END, keys)
        nothing = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def check(self):
        if self.process.poll() is not None:
            common.fail(f"redis-benchmark ended with {self.process.returncode}:\n{self.process.stderr.read().decode()}")

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=HANG_SECONDS)


# --- what a server says about itself ---------------------------------------------------------------------------------


def stats(server):
    return json.loads(server.ask("STATS"))


def difference(before, after, *names):
    return {name: after[name] - before[name] for name in names}


def info(server, section):
    """A section of Redis's INFO."""
    lines = server.ask("INFO", section).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def sets_so_far(server):
    if server.name == "larder":
        return json.loads(server.ask("STATS", "writes"))["sets"]
    calls = info(server, "commandstats").get("cmdstat_set", "calls=0")
    return int(calls.partition("calls=")[2].partition(",")[0])


def settle(server):
    """Waits until the server has done what its writes left it to do."""
    if server.name == "larder":
        # Merges first.
        server.ask("CLEANUP")
        return
    give_up = time.monotonic() + HANG_SECONDS
    while True:
        persistence = info(server, "persistence")
        if persistence["aof_rewrite_in_progress"] == persistence["aof_rewrite_scheduled"] == "0":
            return
        if time.monotonic() > give_up:
            common.fail("Redis rewrites its log and does not finish")
        time.sleep(0.02)


def file_sizes(server):
    """Bytes of each file in the data directory."""
    sizes = {}
    for folder, _, names in os.walk(server.data):
        for name in names:
            path = os.path.join(folder, name)
            try:
                sizes[os.path.relpath(path, server.data)] = os.stat(path).st_size
            except FileNotFoundError:
                # Merged or rotated just now.
                continue
    return sizes


def drive(server, seconds, keys, watch=None):
    """Pipelined SETs for this long: requests, seconds and CPU. `watch` is called regularly, with the seconds so far."""
    with Load(server, PIPELINE, keys) as load:
        first = sets_so_far(server)
        give_up = time.monotonic() + HANG_SECONDS
        while sets_so_far(server) == first:
            load.check()
            if time.monotonic() > give_up:
                common.fail(f"{server.name} is sent SETs and does not count any")
            time.sleep(0.001)
        first, began, cpu = sets_so_far(server), time.monotonic(), server.cpu_seconds()
        if watch:
            for tick in range(1, int(seconds * SAMPLES_A_SECOND)):
                time.sleep(max(0, began + tick / SAMPLES_A_SECOND - time.monotonic()))
                watch(time.monotonic() - began)
        time.sleep(max(0, began + seconds - time.monotonic()))
        count, took, cpu = sets_so_far(server) - first, time.monotonic() - began, server.cpu_seconds() - cpu
        load.check()
    return {"requests": count, "seconds": took, "rps": count / took, "cpu_us_per_request": cpu * 1e6 / count}


# --- sets, sustained -------------------------------------------------------------------------------------------------


def with_work_afterwards(server, run):
    """A run's result, with the CPU time of the run and of what the server does about it afterwards."""
    cpu = server.cpu_seconds(children=True)
    result = run(server)
    settle(server)
    cpu = server.cpu_seconds(children=True) - cpu
    return {**result, "cpu_in_all_us_per_request": cpu * 1e6 / result["requests"]}


def in_rounds(bench):
    """SET without pipeline into servers that hold all keys: rounds by number of connections."""
    keys, results = bench.options.entries, {}
    with bench.larder() as larder, bench.redis() as redis:
        servers = [larder, redis]
        for server in servers:
            server.fill(scattered(keys))
            settle(server)
        for connections in (CONNECTIONS, 1):
            requests = common.how_many(servers, "set", 1, connections, bench.options.round_seconds, keys)

            def run(server):
                return {**common.benchmark(server, "set", 1, connections, requests, keys), "requests": requests}

            for server in servers:
                settle(server)
            results[connections] = {server.name: [] for server in servers}
            for _ in range(bench.options.rounds):
                for server in servers:
                    results[connections][server.name].append(with_work_afterwards(server, run))
    return results


def from_nothing(bench):
    """The first seconds of pipelined SETs, servers new in each round."""
    rounds = {"larder": [], "redis": []}

    def run(server):
        return drive(server, bench.options.burst, bench.options.entries)

    for _ in range(bench.options.rounds):
        for start in (bench.larder, bench.redis):
            with start() as server:
                rounds[server.name].append(with_work_afterwards(server, run))
    return rounds


def side_by_side(measurement, figure, rounds):
    """The rows of larder and Redis doing the same."""
    larder, redis = rounds["larder"], rounds["redis"]
    rates = [common.throughput([result["rps"] for result in results]) for results in (larder, redis)]
    ratio = median(larder, "rps") / median(redis, "rps")
    rows = [Row(measurement, figure, rates[0], f"Redis {rates[1]}", f"{ratio:.2f}x")]
    for name, title in (("cpu_us_per_request", "CPU"), ("cpu_in_all_us_per_request", "CPU in all")):
        if name in larder[0]:
            ours, theirs = median(larder, name), median(redis, name)
            ratio = f"{ours / theirs:.2f}x" if theirs else ""
            figures = f"{ours:.2f} us", f"Redis {theirs:.2f} us"
            rows.append(Row(measurement, f"{figure}: {title} a request", *figures, ratio))
    return rows


def sets(bench):
    unpipelined = in_rounds(bench)
    results = {
        f"SET, {CONNECTIONS} connections": unpipelined[CONNECTIONS],
        f"SET, pipeline {PIPELINE}, first {bench.options.burst:g} s": from_nothing(bench),
        "SET, 1 connection": unpipelined[1],
    }
    return [row for name, rounds in results.items() for row in side_by_side("sets", name, rounds)], results


def sustained(bench):
    rounds = {}
    for start in (bench.larder, bench.redis):
        with start() as server:
            samples = []

            def watch(seconds):
                sizes = file_sizes(server)
                sample = {"seconds": seconds, "files_bytes": sum(sizes.values())}
                if server.name == "redis":
                    sample["sets"] = sets_so_far(server)
                else:
                    # Once: with many unmerged writes STATS is not for nothing.
                    sample |= {name: value for name, value in stats(server).items() if name in ("sets", "buffer_bytes")}
                    sample["wal_bytes"] = sizes.get("larder.db-wal", 0)
                    sample["journal_bytes"] = sum(size for name, size in sizes.items() if name.startswith("journal"))
                samples.append(sample)

            before = stats(server) if server.name == "larder" else None
            result = drive(server, bench.options.seconds, bench.options.entries, watch)
            if before:
                names = ("merges", "merge_rows", "merge_ms_total", "commits", "commit_us_total", "checkpoints", "syncs")
                after = stats(server)
                result |= difference(before, after, *names) | {"commit_us_max": after["commit_us_max"]}
            rounds[server.name] = [{**result, "samples": samples}]
    title = f"SET, pipeline {PIPELINE}, {bench.options.seconds:g} s"
    rows = side_by_side("sustained", title, rounds)
    larder, redis = rounds["larder"][0], rounds["redis"][0]
    slowest = [f"{slowest_second(result['samples']) / 1000:.0f} k/s" for result in (larder, redis)]
    rows[0] = rows[0]._replace(remarks=f"slowest second: {slowest[0]}, Redis {slowest[1]}")
    rows.append(Row("sustained", "merges", f"{larder['merges']}", remarks=f"{larder['merge_rows']:,} rows"))
    for name, figure in (
        ("wal_bytes", "larder.db-wal"),
        ("journal_bytes", "journals, all together"),
        ("buffer_bytes", "write buffer"),
    ):
        highest = highest_of(larder["samples"], name)
        rows.append(Row("sustained", f"highest: {figure}", f"{highest / MIB:.0f} MiB"))
    ours, theirs = highest_of(larder["samples"], "files_bytes"), highest_of(redis["samples"], "files_bytes")
    rows.append(Row("sustained", "highest: all files", f"{ours / MIB:.0f} MiB", f"Redis {theirs / MIB:.0f} MiB"))
    return rows, rounds


def highest_of(samples, name):
    return max((sample[name] for sample in samples), default=0)


def slowest_second(samples):
    """The lowest rate over a second's samples."""
    pairs = zip(samples, samples[SAMPLES_A_SECOND:])
    rates = ((late["sets"] - early["sets"]) / (late["seconds"] - early["seconds"]) for early, late in pairs)
    return min(rates, default=0)


# --- latency ---------------------------------------------------------------------------------------------------------


class Gets:
    """A process that sends GETs of hot keys at a fixed rate for as long as the block lasts, and times the answers."""

    def __init__(self, server):
        self._pipe, theirs = multiprocessing.Pipe()
        # A process of its own, so that what this one does meanwhile takes it no time. It ends when the pipe does.
        self._process = multiprocessing.Process(target=send_gets, args=(server.socket, theirs, self._pipe), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.close()
        self._process.kill()
        self._process.join()

    def finish(self):
        """All samples: when each request was sent, and how long it took, in ns."""
        self._pipe.send_bytes(b"stop")
        if not self._pipe.poll(HANG_SECONDS):
            common.fail("the process that sends GETs does not end")
        try:
            sent, took = array.array("Q"), array.array("Q")
            sent.frombytes(self._pipe.recv_bytes())
            took.frombytes(self._pipe.recv_bytes())
        except EOFError:
            common.fail("the process that sends GETs ended before its time")
        return sent, took


def send_gets(path, pipe, parents_end):
    """The open loop, in its own process."""
    parents_end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # A collection would be a stall of ours.
    gc.disable()
    requests = [common.request(b"GET", key(number, b"hot")) for number in range(HOT_KEYS)]
    reply = b"$%d\r\n%s\r\n" % (VALUE_BYTES, b"x" * VALUE_BYTES)
    sockets = [socket.socket(socket.AF_UNIX) for _ in range(GET_SOCKETS)]
    for each in sockets:
        each.connect(path)
        each.setblocking(False)
    # When the requests under way on each socket were sent, and what of an answer came.
    open_requests = {each: collections.deque() for each in sockets}
    halves = dict.fromkeys(sockets, b"")
    sent, took = array.array("Q"), array.array("Q")
    clock, period, number, stopping = time.perf_counter_ns, 1_000_000_000 // GETS_A_SECOND, 0, False
    due = clock()
    while not stopping or any(open_requests.values()):
        while not stopping and due <= clock():
            each = sockets[number % GET_SOCKETS]
            open_requests[each].append(clock())
            # Some tens of bytes: they fit, or the server has not read for thousands of requests.
            each.send(requests[number * 7_919 % HOT_KEYS])
            number += 1
            due += period
        wait = HANG_SECONDS if stopping else max(0, (due - clock()) / 1e9)
        readable = select.select([*sockets, pipe], [], [], wait)[0]
        if stopping and not readable:
            sys.exit("GETs are not answered")
        for each in readable:
            if each is pipe:
                # A request to stop, or the end of the parent.
                stopping = True
                pipe.recv_bytes()
                continue
            received = halves[each] + each.recv(1 << 16)
            now = clock()
            count = len(received) // len(reply)
            if received[: count * len(reply)] != reply * count or not received:
                sys.exit(f"a GET is answered by {received[:200]!r}")
            halves[each] = received[count * len(reply) :]
            for _ in range(count):
                began = open_requests[each].popleft()
                sent.append(began)
                took.append(now - began)
    pipe.send_bytes(sent.tobytes())
    pipe.send_bytes(took.tobytes())


def percentile_us(sorted_ns, share):
    return sorted_ns[min(len(sorted_ns) - 1, int(len(sorted_ns) * share))] / 1000


class Phases:
    """Stretches of time by name, and what happened in them."""

    def __init__(self, server):
        self.server = server
        self.found = []

    def during(self, name, action, *counters):
        """Runs `action` as a phase; `counters` are statistics whose growth belongs to it."""
        before = stats(self.server)
        began = time.perf_counter_ns()
        action()
        ended = time.perf_counter_ns()
        counted = difference(before, stats(self.server), "memory_hits", "misses", *counters)
        self.found.append({"name": name, "began_ns": began, "ended_ns": ended, **counted})
        return self.found[-1]


def latency(bench):
    entries, tenth = bench.options.entries, bench.options.entries // 10
    with bench.larder() as server:
        phases = Phases(server)

        def quiet():
            settle(server)
            phases.during("quiet", lambda: time.sleep(bench.options.quiet))

        server.fill(range(HOT_KEYS), b"hot")
        server.fill(scattered(entries))
        settle(server)
        server.read(range(HOT_KEYS), b"hot")
        with Gets(server) as gets:
            for _ in range(bench.options.rounds):
                quiet()
                server.fill(scattered(entries))
                phases.during("merging", lambda: settle(server), "merge_rows", "merges")
                quiet()
                wait_for_deadline(server, tenth)
                expired = phases.during("clean-up", lambda: settle(server), "expirations")
                if expired["expirations"] != tenth:
                    common.fail(f"{tenth:,} entries expired, {expired['expirations']:,} were removed")
                quiet()
                # Every tenth key, and all have to be looked at.
                removed = phases.during("DELPAT", lambda: server.ask("DELPAT", "key:*7"), "deletes")
                if removed["deletes"] != tenth:
                    common.fail(f"DELPAT should delete {tenth:,} keys, and has deleted {removed['deletes']:,}")
                server.fill(range(7, entries, 10))
            sent, took = gets.finish()
    return latency_rows(phases.found, sent, took)


def wait_for_deadline(server, count):
    """Writes entries that expire together, has them merged, and returns when their time has come."""
    delay = max(1.5, count / 40_000)
    for _ in range(5):
        deadline = time.time() + delay
        server.fill(scattered(count), b"old", (b"PXAT", b"%d" % (deadline * 1000)))
        settle(server)
        if time.time() < deadline:
            time.sleep(deadline - time.time())
            return
        # They expired before the merge: longer then.
        delay *= 2
    common.fail(f"{count:,} entries are not merged in {delay / 2:.0f} s")


def latency_rows(phases, sent, took):
    pooled, each_round = {}, {}
    for phase in phases:
        samples = [took[at] for at in range(len(sent)) if phase["began_ns"] <= sent[at] < phase["ended_ns"]]
        if not samples:
            common.fail(f"no GET was sent in the phase {phase['name']}")
        samples.sort()
        phase["samples"] = len(samples)
        for name, share in (("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)):
            phase[name] = percentile_us(samples, share)
        phase["max_us"] = samples[-1] / 1000
        pooled.setdefault(phase["name"], []).extend(samples)
        each_round.setdefault(phase["name"], []).append(phase)
    rows, quiet = [], {}
    for name, samples in pooled.items():
        samples.sort()
        rounds = each_round[name]
        seconds = sum(phase["ended_ns"] - phase["began_ns"] for phase in rounds) / 1e9
        about = [f"{len(samples):,} GETs in {seconds:.1f} s"]
        for counter, noun in (("merge_rows", "rows merged"), ("expirations", "removed"), ("deletes", "deleted")):
            if counter in rounds[0]:
                about.append(f"{sum(phase[counter] for phase in rounds):,} {noun}")
        p99s = [phase["p99_us"] for phase in rounds]
        about.append(f"p99 by round {min(p99s):.0f}-{max(p99s):.0f} us")
        about.append(f"p50 {percentile_us(samples, 0.5):.0f} us, longest {samples[-1] / 1000:.0f} us")
        for share, title in ((0.99, "p99"), (0.999, "p99.9")):
            value = percentile_us(samples, share)
            quiet.setdefault(title, value)
            against = "" if name == "quiet" else f"quiet {quiet[title]:.0f} us"
            ratio = "" if name == "quiet" else f"{value / quiet[title]:.2f}x"
            remarks = ", ".join(about) if title == "p99" else ""
            rows.append(Row("latency", f"GET, {name}: {title}", f"{value:.0f} us", against, ratio, remarks))
    return rows, {"phases": phases}


# --- disk_reads, start, memory, disk ---------------------------------------------------------------------------------


def disk_reads(bench):
    keys = bench.options.entries
    with bench.larder(None, "--memory-cap", "0") as server:
        server.fill(scattered(keys))
        settle(server)
        requests = common.how_many([server], "get", PIPELINE, CONNECTIONS, bench.options.round_seconds, keys)
        before = stats(server)
        rounds = [
            common.benchmark(server, "get", PIPELINE, CONNECTIONS, requests, keys) for _ in range(bench.options.rounds)
        ]
        names = ("disk_hits", "disk_reads", "shared_reads", "memory_hits", "buffer_hits", "misses")
        counted = difference(before, stats(server), *names)
    total = requests * bench.options.rounds
    if counted["disk_hits"] != total:
        common.fail(f"{total:,} keys were read, and {counted}: the disk should account for all of them")
    return [
        Row(
            "disk_reads",
            f"GET from disk, pipeline {PIPELINE}",
            common.throughput([result["rps"] for result in rounds]),
            remarks=f"{total:,} GETs, all answered from disk, {counted['shared_reads']:,} of them by another's read",
        ),
        Row("disk_reads", "CPU a request", f"{median(rounds, 'cpu_us_per_request'):.2f} us"),
    ], {"requests": requests, "rounds": rounds, **counted}


def start(bench):
    directory, keys = bench.directory(), bench.options.entries
    results = {"SIGTERM": [], "SIGKILL under SETs": []}
    with bench.larder(directory) as server:
        server.fill(scattered(keys))
        settle(server)
        server.stop()
    for _ in range(bench.options.starts):
        with bench.larder(directory) as server:
            results["SIGTERM"].append({"ms": server.start_seconds * 1000})
            server.stop()
    for _ in range(bench.options.starts):
        with bench.larder(directory) as server, Load(server, PIPELINE, keys) as load:
            time.sleep(bench.options.burst)
            load.check()
            buffered = json.loads(server.ask("STATS", "memory"))["buffer_entries"]
            server.kill()
        journals = sum(size for name, size in file_sizes(server).items() if name.startswith("journal"))
        with bench.larder(directory) as server:
            found = {"ms": server.start_seconds * 1000, "buffered": buffered, "journals_bytes": journals}
            results["SIGKILL under SETs"].append(found)
            settle(server)
            server.stop()
    rows = []
    for name, found in results.items():
        times = [each["ms"] for each in found]
        remarks = f"worst of {len(times)}: {max(times):.0f} ms"
        if name != "SIGTERM":
            buffered, journals = median(found, "buffered"), median(found, "journals_bytes")
            remarks += f"; {buffered:,.0f} writes in the buffer before, {journals / MIB:.0f} MiB of journals (medians)"
        rows.append(Row("start", f"first PONG after {name}", f"{statistics.median(times):.0f} ms", remarks=remarks))
    return rows, results


def memory(bench):
    directory, keys = bench.directory(), bench.options.entries
    with bench.larder(directory) as server:
        time.sleep(0.5)
        idle = server.resident_bytes()
        server.fill(scattered(keys))
        settle(server)
        # What was freed goes back a moment later, if it does.
        time.sleep(1)
        after_merge = server.resident_bytes()
        server.stop()
    growth = {}
    for cap in ("0", "16GiB"):
        with bench.larder(directory, "--memory-cap", cap) as server:
            before = server.resident_bytes()
            server.read(scattered(keys))
            held = stats(server)
            growth[cap] = server.resident_bytes() - before
    if held["memory_entries"] != keys:
        common.fail(f"{keys:,} keys were read, and memory holds {held['memory_entries']:,}")
    by_reads, by_entries = growth.values()
    true, claimed = (by_entries - by_reads) / keys, held["memory_bytes"] / keys
    raw = {"idle_bytes": idle, "after_merge_bytes": after_merge, "growth_bytes_by_cap": growth}
    raw |= {"memory_entries": held["memory_entries"], "memory_bytes": held["memory_bytes"]}
    return [
        Row("memory", "resident, just started", f"{idle / MIB:.1f} MiB"),
        Row("memory", f"resident, {keys:,} SETs merged", f"{after_merge / MIB:.1f} MiB", remarks="nothing read yet"),
        Row(
            "memory",
            "an entry in memory",
            f"{true:.0f} bytes",
            f"memory_bytes {claimed:.0f}",
            f"{true / claimed:.2f}x",
            f"grew by {by_entries / MIB:.1f} MiB, with the memory tier off by {by_reads / MIB:.1f} MiB",
        ),
    ], raw


def disk(bench):
    directory, keys = bench.directory(), bench.options.entries
    content = len(key(0)) + VALUE_BYTES
    with bench.larder(directory) as server:
        server.fill(scattered(keys))
        settle(server)
        server.stop()
    full = file_sizes(server)
    raw = {"full": full, "shrunk": {}}
    size = sum(full.values())
    rows = [
        Row(
            "disk",
            "an entry on disk",
            f"{size / keys:.0f} bytes",
            f"content {content}",
            f"{size / keys / content:.2f}x",
            ", ".join(f"{name} {bytes_ / MIB:.1f} MiB" for name, bytes_ in sorted(full.items()) if bytes_),
        )
    ]
    with bench.larder(directory) as server:
        for title, words in (("DELPAT of 9 in 10", ("DELPAT", "key:*[1-9]")), ("FLUSHALL", ("FLUSHALL",))):
            before = sum(file_sizes(server).values())
            server.ask(*words)
            over_time = watch_size(server, bench.options.wait)
            raw["shrunk"][title] = {"before_bytes": before, "over_time": over_time, "files": file_sizes(server)}
            after = over_time[-1][1]
            at_most = max(size for _, size in over_time)
            rows.append(
                Row(
                    "disk",
                    f"files {bench.options.wait:g} s after {title}",
                    f"{after / MIB:.1f} MiB",
                    f"before {before / MIB:.1f} MiB",
                    f"{after / before:.2f}x",
                    f"meanwhile at most {at_most / MIB:.1f} MiB",
                )
            )
    return rows, raw


def watch_size(server, seconds):
    """Bytes of all files over this time, as pairs of second and size."""
    began, found = time.monotonic(), []
    while True:
        at = time.monotonic() - began
        found.append((round(at, 2), sum(file_sizes(server).values())))
        if at >= seconds:
            return found
        time.sleep(min(0.2, max(0.001, seconds - at)))


# --- the whole -------------------------------------------------------------------------------------------------------

# The measurement, and the programs it needs.
MEASUREMENTS = {
    "sets": (sets, ["redis-server", "redis-benchmark"]),
    "sustained": (sustained, ["redis-server", "redis-benchmark"]),
    "latency": (latency, []),
    "disk_reads": (disk_reads, ["redis-benchmark"]),
    "start": (start, ["redis-benchmark"]),
    "memory": (memory, []),
    "disk": (disk, []),
}

# Option: its usual value, its value with --quick, what it is.
SIZES = {
    "entries": (1_000_000, 20_000, "N"),
    "rounds": (5, 1, "interleaved rounds (sets, disk_reads, latency)"),
    "round_seconds": (1.5, 0.3, "about how long a round lasts"),
    "burst": (2.0, 0.5, "seconds of pipelined SETs from nothing, and before SIGKILL"),
    "seconds": (60.0, 2.0, "seconds of sustained SETs"),
    "quiet": (2.0, 0.3, "seconds of a quiet phase"),
    "starts": (7, 2, "starts of each kind"),
    "wait": (10.0, 1.0, "seconds that files have to shrink"),
    "limit": (600.0, 60.0, "seconds after which a measurement counts as hung"),
}


def print_table(rows):
    print("| measurement | figure | larder | beside | ratio | remarks |")
    print("|---|---|---:|---:|---:|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def chosen(only):
    """The names asked for, in the order of the measurements."""
    names = only.split(",") if only else list(MEASUREMENTS)
    for name in names:
        if name not in MEASUREMENTS:
            common.fail(f"there is no measurement {name!r}; there are {', '.join(MEASUREMENTS)}")
    return [name for name in MEASUREMENTS if name in names]


def run_all(bench, names, rows, results):
    def hung(*_):
        common.fail(f"{name} has not ended after {bench.options.limit:g} s")

    signal.signal(signal.SIGALRM, hung)
    for name in names:
        measurement, tools = MEASUREMENTS[name]
        missing = common.missing_tools(*tools)
        if missing:
            print(f"{name}: skipped: needs {' and '.join(missing)}", file=sys.stderr)
            continue
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, bench.options.limit)
        found, results[name] = measurement(bench)
        signal.setitimer(signal.ITIMER_REAL, 0)
        rows.extend(found)
        print(f"{name}: {time.monotonic() - began:.1f} s", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--larderd", default=common.default_larderd(), metavar="PATH", help="the release build")
    parser.add_argument("--only", metavar="NAMES", help="measurements, with commas between them")
    parser.add_argument("--quick", action="store_true", help="little data: a try whether everything works")
    parser.add_argument("--json", metavar="FILE", help="write every single result there")
    for name, (usual, quick, text) in SIZES.items():
        text += f" ({usual:,}; with --quick {quick:,})"
        parser.add_argument("--" + name.replace("_", "-"), type=type(usual), metavar="N", help=text)
    options = parser.parse_args()
    for name, (usual, quick, _) in SIZES.items():
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else usual)
        if getattr(options, name) <= 0:
            common.fail(f"--{name.replace('_', '-')} must be more than 0")
    # DELPAT takes every tenth.
    options.entries = max(1_000, options.entries // 10 * 10)
    names, larderd = chosen(options.only), common.checked_larderd(options.larderd)

    environment = {**common.environment(), **{name: getattr(options, name) for name in SIZES}}
    rows, results = [], {}
    try:
        with common.work_directory("larder-storage-") as directory:
            run_all(Bench(options, larderd, directory), names, rows, results)
    finally:
        # Also where one of them failed: what was measured before it stands.
        if rows:
            sys.stderr.flush()
            print(
                f"{environment['cpus']} CPUs shared with the load generator, Linux {environment['kernel']}, Redis "
                f"{environment['redis']} (appendonly, everysec); Unix sockets, {options.entries:,} keys of 16 bytes, "
                f"{VALUE_BYTES}-byte values, {CONNECTIONS} connections; median (lowest-highest) of {options.rounds} "
                f"rounds.\n"
            )
            print_table(rows)
        if options.json:
            with open(options.json, "w") as file:
                json.dump({"environment": environment, "results": results}, file, indent=1)
                file.write("\n")


if __name__ == "__main__":
    main()
