"""SETs of random keys with pipeline 16, that begin with nothing and last: the first seconds, and a minute with merges.

Servers are new in each round. "CPU" is the server's own while it answers; the JSON's "CPU in all" also has what it does
afterwards with what was written: larder's merge, Redis's rewriting of its log. The other server's turn begins when that
is over.
"""

import threading
import time

import common
import loads
from results import MIB, Result

SAMPLES_A_SECOND = 5
# Of larder's statistics.
COUNTED = ["merges", "merge_rows", "merge_ms_total", "commits", "commit_us_total"]
LOAD = {"load": "set", "connections": 50, "pipeline": 16}


def from_nothing(bench):
    """The first seconds."""
    rounds = {kind.name: [] for kind in bench.kinds}
    for number in range(bench.options.rounds):
        for kind in bench.turned(bench.kinds, number):
            with bench.start(kind) as server:
                what = {**LOAD, "keys": bench.options.entries, "seconds": bench.options.burst, "seed": number + 1}
                cpu = server.cpu_seconds(server.children_too())
                result = loads.once(server, **what)
                server.settle()
                cpu = server.cpu_seconds(server.children_too()) - cpu
                result["cpu_in_all_us_per_request"] = cpu * 1e6 / result["answered"]
                rounds[kind.name].append(result)
        bench.progress(f"writes: from nothing: round {number + 1} of {bench.options.rounds}")
    return Result("writes", "SET, pipeline 16, from nothing", "rps", rounds, f"the first {bench.options.burst:g} s")


def sustained(bench):
    """A minute. Only those that keep what they answer: the others have nothing to do in the background."""
    rounds, remarks = {}, []
    for kind in bench.kinds:
        if kind.name.endswith("-memory") or kind.protocol != "resp":
            continue
        bench.progress(f"writes: {bench.options.sustained:g} s of SETs to {kind.name}")
        with bench.start(kind) as server, Samples(server) as samples:
            result = loads.once(server, **LOAD, keys=bench.options.entries, seconds=bench.options.sustained)
            files = max((each["files_bytes"] for each in samples.found), default=0)
            result |= {"files_bytes_highest": files, "samples": samples.found}
            if server.is_larder():
                after = common.stats(server)
                result |= {name: after[name] for name in COUNTED}
                remarks.append(f"{after['merges']} merges of {after['merge_rows']:,} rows")
            remarks.append(f"{kind.name}: {files / MIB:,.0f} MiB of files at most")
            rounds[kind.name] = [result]
    name = "SET, pipeline 16, sustained"
    return Result("writes", name, "rps", rounds, f"{bench.options.sustained:g} s; {'; '.join(remarks)}")


class Samples:
    """Looks at the sizes of files some times a second, from a thread, for as long as the block lasts."""

    def __init__(self, server):
        self.found = []
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _look(self):
        began = time.monotonic()
        while not self._over.wait(1 / SAMPLES_A_SECOND):
            sizes = common.file_sizes(self._server)
            sample = {"seconds": time.monotonic() - began, "files_bytes": sum(sizes.values())}
            sample["wal_bytes"] = sizes.get("larder.db-wal", 0)
            sample["journal_bytes"] = sum(size for name, size in sizes.items() if name.startswith("journal"))
            sample["resident_bytes"] = self._server.resident_bytes()
            self.found.append(sample)


def run(bench):
    return [from_nothing(bench), sustained(bench)]
