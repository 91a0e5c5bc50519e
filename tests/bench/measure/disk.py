"""GET of random keys from the disk: larder with its memory tier off and everything merged, by number of reader threads.

Also what threads of their own change of the others, which have an event loop each as well: `io-threads` of redis-server
and valkey-server, `-t` of memcached. larder's event loop is one by design; only its readers are several.
"""

import common
import loads
from results import Result
from servers import LARDER

THREADS = [1, 2, 3, 4]


def larder(bench):
    return [kind for kind in bench.kinds if kind.name == LARDER]


def run(bench):
    """GET without the memory tier, with and without a pipeline."""
    results = []
    for kind in larder(bench):
        with bench.start(kind, "--memory-cap", "0") as server:
            loads.fill(server, bench.options.entries)
            server.settle()
            for pipeline in (1, 16):
                rounds = rounds_of(bench, server, pipeline)
                name = "GET from disk" + ("" if pipeline == 1 else f", pipeline {pipeline}")
                results.append(Result("disk", name, "rps", {kind.name: rounds}, "memory tier off"))
    return results


def rounds_of(bench, server, pipeline, from_disk=True):
    rounds = []
    for number in range(bench.options.rounds):
        before = common.stats(server) if from_disk else None
        what = {"load": "get", "keys": bench.options.entries, "pipeline": pipeline, "connections": common.CONNECTIONS}
        rounds.append(
            loads.once(server, **what, seconds=bench.options.seconds, warm_up=bench.options.warm_up, seed=number + 1)
        )
        if before:
            counted = common.difference(before, common.stats(server), "disk_hits")
            if counted["disk_hits"] != rounds[-1]["answered"]:
                common.fail(f"{rounds[-1]['answered']:,} keys were read, and {counted['disk_hits']:,} of them from the disk")
        bench.progress(f"disk: {server.name}, pipeline {pipeline}: round {number + 1} of {bench.options.rounds}")
    return rounds


# The option that sets the number of threads, by program.
OPTIONS = {
    "larderd": lambda threads: ["--memory-cap", "0", "--readers", str(threads)],
    "redis-server": lambda threads: ["--io-threads", str(threads), "--io-threads-do-reads", "yes"],
    "valkey-server": lambda threads: ["--io-threads", str(threads)],
    "memcached": lambda threads: ["-t", str(threads)],
}


def scaling(bench):
    """GET with pipeline 16 by number of threads: larder's from the disk, the others' from memory."""
    results = []
    for threads in THREADS:
        rounds = {}
        for kind in bench.kinds:
            if kind.name.endswith("-memory"):
                continue
            with bench.start(kind, *OPTIONS[kind.program](threads)) as server:
                loads.fill(server, bench.options.entries)
                server.settle()
                rounds[kind.name] = rounds_of(bench, server, 16, from_disk=server.is_larder())
        noun = "1 thread" if threads == 1 else f"{threads} threads"
        about = "larder: readers, memory tier off; the others: threads for IO, from memory"
        results.append(Result("scaling", f"GET, pipeline 16, {noun}", "rps", rounds, about if threads == 1 else ""))
    return results
