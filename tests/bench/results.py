"""What was measured, as values; and as rows of a table, with ratios and their spread.

A Result is one figure of several servers over several rounds. The ratio to the base (redis-server, appendonly everysec)
is taken round by round, because a round's runs stand beside each other in time: the median of those, with the lowest and
the highest. Measures nothing.
"""

import statistics
import typing

from servers import BASE, LARDER

MIB = 1 << 20


class Unit(typing.NamedTuple):
    """How a figure is written, and whether more of it is better."""

    text: str
    scale: float
    digits: int
    more_is_better: bool


UNITS = {
    "rps": Unit("k/s", 1e3, 0, True),
    "keys_per_second": Unit("k keys/s", 1e3, 0, True),
    "ms": Unit("ms", 1, 1, False),
    "p99_us": Unit("us", 1, 0, False),
    "bytes": Unit("MiB", MIB, 1, False),
    "bytes_per_entry": Unit("bytes", 1, 0, False),
}


class Result(typing.NamedTuple):
    """One line of figures: a workload, and what each server did in each round."""

    measurement: str
    name: str
    # A key of UNITS, and of each round.
    figure: str
    # Server -> rounds, each a dictionary of figures.
    rounds: dict
    remarks: str = ""

    def as_json(self):
        return self._asdict()


def spread(values, scale=1.0, digits=0):
    """The median, with the lowest and the highest where there are several."""
    values = [value / scale for value in values]
    middle = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def ratios(rounds, server, figure, base=BASE):
    """One by one: the server's figure by the base's in the same round; nothing where either is missing or the base itself."""
    if server == base or not rounds.get(base):
        return []
    pairs = zip(rounds[server], rounds[base])
    return [ours[figure] / theirs[figure] for ours, theirs in pairs if ours.get(figure) and theirs.get(figure)]


def median(rounds, figure):
    """Of the rounds that have it; None where none has."""
    values = [each[figure] for each in rounds if each.get(figure) is not None]
    return statistics.median(values) if values else None


HEADER = ["workload", "server", "result", "ratio to redis", "p50 us", "p99 us", "p99.9 us"]
HEADER += ["CPU us/op", "CPU ratio", "resident MiB", "remarks"]


def rows(result):
    """A row for each server."""
    unit = UNITS[result.figure]
    for number, (server, rounds) in enumerate(result.rounds.items()):
        values = [each[result.figure] for each in rounds]
        ratio = ratios(result.rounds, server, result.figure)
        cpu_ratio = ratios(result.rounds, server, "cpu_us_per_request")
        resident = median(rounds, "resident_bytes")
        yield [
            result.name if number == 0 else "",
            server,
            f"{spread(values, unit.scale, unit.digits)} {unit.text}",
            f"{spread(ratio, digits=2)}x" if ratio else "",
            *(_figure(rounds, name, 0 if name != "p50_us" else 1) for name in ("p50_us", "p99_us", "p999_us")),
            _figure(rounds, "cpu_us_per_request", 2),
            f"{spread(cpu_ratio, digits=2)}x" if cpu_ratio else "",
            f"{resident / MIB:,.0f}" if resident is not None else "",
            result.remarks if number == 0 else "",
        ]


def _figure(rounds, name, digits):
    value = median(rounds, name)
    return "" if value is None else f"{value:,.{digits}f}"


def markdown(header, body):
    """A table; the first two columns to the left, as is the last one of those with remarks."""
    sides = ["---", "---"] + ["---:"] * (len(header) - 3) + ["---" if header is HEADER else "---:"]
    lines = [header, sides, *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def goals(results):
    """Of the goals that these results say something about: name, goal, found, met."""
    by_name = {result.name: result for result in results if LARDER in result.rounds}
    found = []
    for name, workload, figure, limit in GOALS:
        if workload in by_name:
            values = ratios(by_name[workload].rounds, LARDER, figure)
            if values:
                found.append(_goal(name, values, limit, figure == "rps", "x"))
    for name, workload, limit in RATES:
        if workload in by_name:
            values = [each["rps"] / 1e3 for each in by_name[workload].rounds[LARDER]]
            found.append(_goal(name, values, limit, True, " k/s"))
    quiet = by_name.get("GET, quiet")
    for name, workload, limit in STALLS:
        if quiet and workload in by_name:
            beside = median(quiet.rounds[LARDER], "p99_us")
            values = [each["p99_us"] / beside for each in by_name[workload].rounds[LARDER]]
            found.append(_goal(name, values, limit, False, "x"))
    return found


def _goal(name, values, limit, more_is_better, unit):
    value, digits = statistics.median(values), 2 if unit == "x" else 0
    met = value >= limit if more_is_better else value <= limit
    sign = ">=" if more_is_better else "<="
    return [name, f"{sign} {limit:.{digits}f}{unit}", f"{spread(values, digits=digits)}{unit}", "yes" if met else "no"]


# What, in which workload, at least which rate: 4 and 10 times what Redka 0.6 did, which is the other server over SQLite.
RATES = [
    ("GET from disk: 4 x Redka", "GET from disk", 96.0),
    ("GET from disk, pipeline 16: 4 x Redka", "GET from disk, pipeline 16", 200.0),
    ("SET: 10 x Redka", "SET, 10 k hot", 80.0),
    ("SET, pipeline 16: 10 x Redka", "SET, 1 M uniform, pipeline 16", 90.0),
]
# What, beside what, at most how many times the p99 of a quiet phase.
STALLS = [
    ("p99 of GET during merges", "GET, merging", 2.0),
    ("p99 of GET while entries expire", "GET, expiring", 2.0),
    ("p99 of GET during DELPAT", "GET, deleting a tenth by pattern", 2.0),
]
# What, in which workload, which figure, at least (throughput) or at most (CPU) which ratio to the base.
GOALS = [
    ("GET, no pipeline", "GET, 10 k hot", "rps", 1.0),
    ("GET, no pipeline: CPU", "GET, 10 k hot", "cpu_us_per_request", 1.0),
    ("GET, pipeline 16", "GET, 10 k hot, pipeline 16", "rps", 1.0),
    ("GET, pipeline 16: CPU", "GET, 10 k hot, pipeline 16", "cpu_us_per_request", 1.0),
    ("GET, pipeline 16, 100 k keys", "GET, 100 k uniform, pipeline 16", "rps", 1.2),
    ("GET, pipeline 16, 1 M keys", "GET, 1 M uniform, pipeline 16", "rps", 1.0),
    ("GET, 1 connection", "GET, 10 k hot, 1 connection", "rps", 0.9),
    ("SET, no pipeline", "SET, 10 k hot", "rps", 1.0),
    ("SET, no pipeline: CPU", "SET, 10 k hot", "cpu_us_per_request", 1.05),
    ("SET, 1 connection", "SET, 10 k hot, 1 connection", "rps", 0.9),
    ("SET, pipeline 16, 1 M keys, from nothing", "SET, pipeline 16, from nothing", "rps", 2.0),
    ("SET, pipeline 16: CPU", "SET, pipeline 16, from nothing", "cpu_us_per_request", 1.0),
    ("SET, pipeline 16, sustained", "SET, pipeline 16, sustained", "rps", 1.2),
    ("INCR, 1,000 hot keys", "INCR, 1,000 hot", "rps", 1.0),
    ("INCR: CPU", "INCR, 1,000 hot", "cpu_us_per_request", 1.0),
    ("INCR, pipeline 16", "INCR, 1,000 hot, pipeline 16", "rps", 1.0),
    ("INCR, pipeline 16: CPU", "INCR, 1,000 hot, pipeline 16", "cpu_us_per_request", 1.0),
]


BOUNDS_HEADER = ["upper bounds: larder's", "bounded by", "k/s", "bound k/s", "reached"]

# A workload, and what bounds it: requests that do nothing, and what lies beneath alone. Where it is several, the event loop does
# one after the other, so their times add up.
BOUNDS = [
    ("GET, 10 k hot", ["PING"]),
    ("GET, 10 k hot, pipeline 16", ["PING, pipeline 16"]),
    ("INCR, 1,000 hot", ["PING", "commit of 8 writes"]),
    ("INCR, 1,000 hot, pipeline 16", ["PING, pipeline 16", "commit of 128 writes"]),
    ("SET, 10 k hot", ["PING", "commit of 8 writes"]),
    ("SET, 10 k hot, pipeline 16", ["PING, pipeline 16", "commit of 128 writes"]),
    ("SET, 10 k hot, 1 connection", ["PING, 1 connection", "commit of 1 write"]),
    ("GET from disk, pipeline 16", ["read of a row, 2 threads"]),
]


def bounds(results):
    """What share of its bounds larder reaches, of those that were measured."""
    by_name = {result.name: result.rounds[LARDER] for result in results if LARDER in result.rounds}
    rows = []
    for workload, bounds in BOUNDS:
        if all(name in by_name for name in (workload, *bounds)):
            reached = median(by_name[workload], "rps")
            possible = 1 / sum(1 / median(by_name[name], "rps") for name in bounds)
            figures = [f"{reached / 1e3:,.0f}", f"{possible / 1e3:,.0f}", f"{reached / possible * 100:.0f} %"]
            rows.append([workload, " + ".join(bounds), *figures])
    return rows
