"""How long GETs of keys in memory take while the server works in the background.

A quiet phase before each: while entries just written merge (larder's; the others have nothing like it), while a tenth
of the entries that expired together is cleaned up, while the keys of a pattern are deleted (`DELPAT` of larder; SCAN with
MATCH and UNLINK of the others, which is how it is done there). The figure is p99; the ratio to quiet is in the remarks.

The GETs come from an open loop (loads.py): sent at their due times whether or not earlier ones are answered, so that a stall
shows in every request that falls into it, and each sample can be counted to the phase it was due in.
"""

import time

import common
import loads
from results import Result

# Keys that are read: few enough to stay in memory under any cap.
HOT_KEYS = 20_000
# So that some requests are due in every phase, also where there is little to do.
PHASE_SECONDS_MIN = 0.02


class Phases:
    """Stretches of time by name."""

    def __init__(self):
        self.found = []

    def during(self, name, action):
        began = time.perf_counter_ns()
        result = action()
        time.sleep(max(0, began / 1e9 + PHASE_SECONDS_MIN - time.perf_counter()))
        self.found.append((name, began, time.perf_counter_ns()))
        return result


def percentile_us(sorted_ns, share):
    return sorted_ns[min(len(sorted_ns) - 1, int(len(sorted_ns) * share))] / 1000


def run(bench):
    """All phases of all servers that speak RESP; memcached knows no patterns, and looks at deadlines when asked."""
    found, remarks = {}, {}
    for kind in bench.kinds:
        if kind.protocol != "resp" or kind.name.endswith("-memory"):
            continue
        with bench.start(kind) as server:
            phases, samples = watch(bench, server)
        for name, rounds in by_phase(phases, *samples).items():
            found.setdefault(name, {})[server.name] = rounds
    results = []
    for name, rounds in found.items():
        for server, runs in rounds.items():
            if name != "quiet":
                quiet = [each["p99_us"] for each in found["quiet"][server]]
                worst = sorted(each["p99_us"] for each in runs)[len(runs) // 2] / sorted(quiet)[len(quiet) // 2]
                remarks.setdefault(name, []).append(f"{server} {worst:.2f}x")
        about = f"of quiet: {', '.join(remarks[name])}" if name in remarks else ""
        results.append(Result("background", f"GET, {name}", "p99_us", rounds, about))
    return results


def watch(bench, server):
    """Goes through the phases, while GETs are sent."""
    entries, tenth, phases = bench.options.entries, bench.options.entries // 10, Phases()

    def quiet():
        server.settle()
        phases.during("quiet", lambda: time.sleep(bench.options.quiet))

    loads.fill(server, HOT_KEYS, prefix="hot")
    loads.fill(server, entries)
    server.settle()
    loads.warm(server, HOT_KEYS, prefix="hot")
    reads = {"load": "get", "prefix": "hot", "keys": HOT_KEYS, **loads.OPEN_LOOP}
    with loads.Running(server, bench.directory(), **reads) as gets:
        for number in range(bench.options.rounds):
            if server.is_larder():
                quiet()
                loads.fill(server, entries)
                phases.during("merging", server.settle)
            quiet()
            expire(server, tenth, phases)
            quiet()
            deleted = phases.during("deleting a tenth by pattern", lambda: delete(server, "key:*7"))
            if deleted != tenth:
                common.fail(f"{server.name}: a pattern should delete {tenth:,} keys, and has deleted {deleted:,}")
            server.fill(range(7, entries, 10))
            bench.progress(f"background: {server.name}: round {number + 1} of {bench.options.rounds}")
        gets.finish()
        return phases.found, gets.samples()


def expire(server, count, phases):
    """Writes entries that expire together; the phase is the time in which they are removed."""
    delay = max(0.5, count / 40_000)
    for _ in range(5):
        deadline = time.time() + delay
        server.fill(common.scattered(count), b"old", (b"PXAT", b"%d" % (deadline * 1000)))
        server.settle()
        if time.time() < deadline:
            break
        # They expired before the merge: longer then.
        delay *= 2
    else:
        common.fail(f"{count:,} entries are not there in {delay / 2:.0f} s")
    time.sleep(deadline - time.time())
    phases.during("expiring", (lambda: server.ask("CLEANUP")) if server.is_larder() else (lambda: wait_for_expiry(server)))


def wait_for_expiry(server):
    """Redis removes what has expired in slices of its own, ten times a second."""
    def expired():
        return int(common.info(server, "stats")["expired_keys"])

    # Until a look finds no more of them gone than the one before.
    before, give_up = -1, time.monotonic() + common.HANG_SECONDS
    while expired() != before and time.monotonic() < give_up:
        before = expired()
        time.sleep(0.25)


def delete(server, pattern):
    """Deletes what matches, and tells how many that were."""
    if server.is_larder():
        return server.ask("DELPAT", pattern)
    deleted, cursor = 0, b"0"
    with common.Connection(server.socket) as connection:
        while True:
            cursor, keys = connection.scan(cursor, pattern, 1_000)
            if keys:
                deleted += connection.ask("UNLINK", *keys)
            if cursor == b"0":
                return deleted


def by_phase(phases, due, took):
    """Name -> one dictionary of percentiles for each time the phase was there."""
    found = {}
    at = 0
    for name, began, ended in phases:
        while at < len(due) and due[at] < began:
            at += 1
        first = at
        while at < len(due) and due[at] < ended:
            at += 1
        samples = sorted(took[first:at])
        figures = {name: percentile_us(samples, share) for name, share in SHARES}
        figures |= {"max_us": samples[-1] / 1000, "samples": len(samples), "seconds": (ended - began) / 1e9}
        found.setdefault(name, []).append(figures)
    return found


SHARES = (("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999))
