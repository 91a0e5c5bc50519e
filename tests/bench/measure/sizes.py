"""What the number of entries changes: throughput, memory, disk, the next start. And the start by itself.

A start is the time from the spawn to the first PONG, after an orderly end (SIGTERM) and, for larder, after SIGKILL under
pipelined SETs. The files are in the system's cache. Servers that keep nothing have nothing to start with and are left out.
"""

import time

import common
import loads
from results import Result

LOAD = {"connections": 50, "pipeline": 16, "keys_by": "uniform"}


def growth(bench):
    """From few entries to many: GET and SET with pipeline 16, resident memory, bytes on disk for an entry, a start."""
    figures = {}
    for entries in bench.options.growth:
        for kind in bench.kinds:
            for name, figure, result in at_size(bench, kind, entries):
                figures.setdefault((name, figure, entries), {})[kind.name] = [result]
            bench.progress(f"growth: {kind.name} with {entries:,} entries")
    order = ["GET, pipeline 16", "SET, pipeline 16", "resident memory of an entry", "bytes on disk of an entry", "start"]
    in_order = sorted(figures.items(), key=lambda item: (order.index(item[0][0]), item[0][2]))
    return [
        Result("growth", f"{name}, {short(entries)} entries", figure, rounds)
        for (name, figure, entries), rounds in in_order
    ]


def short(number):
    for size, sign in ((1_000_000, "M"), (1_000, "k")):
        if number >= size and number % size == 0:
            return f"{number // size} {sign}"
    return f"{number:,}"


def at_size(bench, kind, entries):
    """Triples of name, figure and result."""
    directory = bench.directory()
    with bench.start(kind, directory=directory) as server:
        empty = server.resident_bytes()
        loads.fill(server, entries)
        server.settle()
        loads.warm(server, entries)
        each = {"bytes_per_entry": (server.resident_bytes() - empty) / entries}
        yield "resident memory of an entry", "bytes_per_entry", each
        how = {**LOAD, "seconds": bench.options.seconds, "warm_up": bench.options.warm_up}
        for name in ("get", "set"):
            result = loads.once(server, load=name, keys=entries, **how)
            yield f"{name.upper()}, pipeline 16", "rps", result
        if keeps(kind):
            server.settle()
            server.stop()
            size = sum(common.file_sizes(server).values())
            yield "bytes on disk of an entry", "bytes_per_entry", {"bytes_per_entry": size / entries}
    if keeps(kind):
        with bench.start(kind, directory=directory) as server:
            yield "start", "ms", {"ms": server.start_seconds * 1000}
    bench.remove(directory)


def keeps(kind):
    """Whether it keeps what it answers beyond its end."""
    return kind.protocol == "resp" and not kind.name.endswith("-memory")


def starts(bench):
    """With all entries, after SIGTERM and after SIGKILL."""
    orderly, killed = {}, {}
    for kind in filter(keeps, bench.kinds):
        directory = bench.directory()
        with bench.start(kind, directory=directory) as server:
            loads.fill(server, bench.options.entries)
            server.settle()
            server.stop()
        orderly[kind.name] = []
        for _ in range(bench.options.starts):
            with bench.start(kind, directory=directory) as server:
                found = {"ms": server.start_seconds * 1000, "resident_bytes": server.resident_bytes()}
                orderly[kind.name].append(found)
                server.stop()
        killed[kind.name] = []
        for number in range(bench.options.starts):
            with bench.start(kind, directory=directory) as server:
                what = {"load": "set", "keys": bench.options.entries, "seed": number + 1, **LOAD}
                with loads.Running(server, **what) as sets:
                    time.sleep(bench.options.burst)
                    sets.check()
                    server.kill()
            with bench.start(kind, directory=directory) as server:
                killed[kind.name].append({"ms": server.start_seconds * 1000})
                server.settle()
                server.stop()
        bench.progress(f"start: {kind.name}")
        bench.remove(directory)
    about = f"{short(bench.options.entries)} entries"
    return [
        Result("start", "first PONG after SIGTERM", "ms", orderly, about),
        Result("start", "first PONG after SIGKILL under SETs", "ms", killed, f"{about}, {bench.options.burst:g} s of SETs"),
    ]


def shrinking(bench):
    """Bytes in larder's data directory before and after most of it is deleted."""
    results = []
    for kind in bench.kinds:
        if kind.program != "larderd":
            continue
        with bench.start(kind) as server:
            loads.fill(server, bench.options.entries)
            server.settle()
            for title, words in (("DELPAT of 9 in 10", ("DELPAT", "key:*[1-9]")), ("FLUSHALL", ("FLUSHALL",))):
                before = sum(common.file_sizes(server).values())
                server.ask(*words)
                over_time = watch_size(server, bench.options.wait)
                found = {"bytes": over_time[-1][1], "before_bytes": before, "over_time": over_time}
                at_most = max(size for _, size in over_time)
                about = f"before {before >> 20:,} MiB, meanwhile at most {at_most >> 20:,} MiB"
                name = f"files {bench.options.wait:g} s after {title}"
                results.append(Result("shrinking", name, "bytes", {kind.name: [found]}, about))
    return results


def watch_size(server, seconds):
    """Bytes of all files over this time, as pairs of second and size."""
    began, found = time.monotonic(), []
    while True:
        at = time.monotonic() - began
        found.append((round(at, 2), sum(common.file_sizes(server).values())))
        if at >= seconds:
            return found
        time.sleep(min(0.2, max(0.001, seconds - at)))
