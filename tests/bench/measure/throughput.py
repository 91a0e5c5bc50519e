"""Requests a second, side by side: the same requests to each server in turn, round by round.

All servers are up and filled all the time, and only one is asked. The order turns with the rounds, and each round draws
other keys, the same for all servers. Before a workload that reads, each key is read once; after a run that writes, the
server has the time to finish what that left it to do (merges, rewriting of logs) before the next one's turn, and
"CPU in all" in the JSON has the CPU time of that as well.
"""

import contextlib
import typing

import loads
from results import Result

KIB = 1 << 10


class Workload(typing.NamedTuple):
    """What is asked. The key's prefix names a set of keys that is filled before."""

    name: str
    load: str
    prefix: str
    # As a share of `entries`, or a number.
    keys: float
    keys_by: str = "uniform"
    connections: int = 50
    pipeline: int = 1
    value_bytes: int = 64
    reads: float = 0.9

    def writes(self):
        return self.load in ("set", "incr", "mix")


def _both(name, *args, **options):
    """GET and SET of something."""
    return [Workload(f"{load.upper()}, {name}", load, *args, **options) for load in ("get", "set")]


def _pipelined(workload):
    return [workload, workload._replace(name=f"{workload.name}, pipeline 16", pipeline=16)]


def _alone(workload):
    return [workload, workload._replace(name=f"{workload.name}, 1 connection", connections=1)]


# Of a set of keys: how many, of which size, and what they are set to.
SETS = {
    "key": (1.0, 64, "set"),
    "cnt": (1_000, 64, "zero"),
    "1kb": (10_000, KIB, "set"),
    "64k": (1_000, 64 * KIB, "set"),
}

GROUPS = {
    "basic": [
        each
        for workload in _both("10 k hot", "key", 10_000)
        for variant in _alone(workload)
        for each in _pipelined(variant)
    ],
    "keys": [
        each
        for keys, share, by in (("100 k uniform", 0.1, "uniform"), ("1 M uniform", 1.0, "uniform"), ("1 M Zipf", 1.0, "zipf"))
        for workload in _both(keys, "key", share, by)
        for each in _pipelined(workload)
    ],
    "values": [
        each
        for name, prefix, keys, size in (("1 KiB", "1kb", 10_000, KIB), ("64 KiB", "64k", 1_000, 64 * KIB))
        for workload in _both(f"{name} values", prefix, keys, value_bytes=size)
        for each in (_pipelined(workload) if size == KIB else [workload])
    ],
    "mix": [
        *_pipelined(Workload("9 GET : 1 SET, 1 M Zipf", "mix", "key", 1.0, "zipf")),
    ],
    "incr": _pipelined(Workload("INCR, 1,000 hot", "incr", "cnt", 1_000)),
    "mget": [Workload("MGET of 100, 1 M uniform", "mget", "key", 1.0)],
    "ping": [*_pipelined(Workload("PING", "ping", "key", 1)), Workload("PING, 1 connection", "ping", "key", 1, connections=1)],
}


def keys_of(bench, share):
    """A share of the entries, or at most so many."""
    entries = bench.options.entries
    return max(1, int(share * entries)) if share <= 1 else min(int(share), entries)


def run(bench, group):
    """All workloads of a group."""
    workloads = GROUPS[group]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(bench.start(kind)) for kind in bench.kinds]
        for prefix in dict.fromkeys(workload.prefix for workload in workloads if workload.load != "ping"):
            keys, value_bytes, how = SETS[prefix]
            for server in servers:
                loads.fill(server, keys_of(bench, keys), how, prefix=prefix, value_bytes=value_bytes)
                server.settle()
                bench.progress(f"{group}: {server.name} has its {prefix} keys")
        return [measure(bench, group, workload, servers) for workload in workloads]


def measure(bench, group, workload, servers):
    """The rounds of a workload."""
    options = bench.options
    keys = keys_of(bench, workload.keys)
    same = {"prefix": workload.prefix, "value_bytes": workload.value_bytes}
    what = {
        **same,
        "load": workload.load,
        "keys": keys,
        "keys_by": workload.keys_by,
        "connections": workload.connections,
        "pipeline": workload.pipeline,
        "reads": workload.reads,
        "seconds": options.seconds,
        "warm_up": options.warm_up,
    }
    if workload.load in ("get", "mget", "mix"):
        for server in servers:
            loads.warm(server, keys, **same)
    rounds = {server.name: [] for server in servers}
    for number in range(options.rounds):
        for server in bench.turned(servers, number):
            rounds[server.name].append(one(server, workload, {**what, "seed": number + 1}))
        bench.progress(f"{group}: {workload.name}: round {number + 1} of {options.rounds}")
    return Result(group, workload.name, "rps", rounds, remarks(rounds))


def one(server, workload, what):
    """A run, and what the server does about it afterwards."""
    if not workload.writes():
        return loads.once(server, **what)
    cpu = server.cpu_seconds(server.children_too())
    result = loads.once(server, **what)
    server.settle()
    cpu = server.cpu_seconds(server.children_too()) - cpu
    return {**result, "cpu_in_all_us_per_request": cpu * 1e6 / result["answered"]}


def remarks(rounds):
    """Which servers were faster than the load generator."""
    busy = [name for name, runs in rounds.items() if min(run["own_cpu_share"] for run in runs) > 0.97]
    return f"the load generator was busy all the time: {', '.join(busy)}" if busy else ""


