"""The report: a page of its own with charts and tables, and each chart as a file beside it.

Made of results alone, so that it can be made again from their JSON.
"""

import html
import os
import re
import statistics

import results as found
import svg

TITLES = {
    "basic": "GET and SET",
    "keys": "By keys",
    "values": "By size of values",
    "mix": "Nine reads, one write",
    "incr": "Counters",
    "mget": "Many keys at once",
    "ping": "PING, which bounds the others",
    "writes": "Writes from nothing, and writes that last",
    "background": "GET during work in the background",
    "disk": "From the disk",
    "scaling": "By threads",
    "start": "Starts",
    "growth": "By number of entries",
    "shrinking": "Files after deletions",
    "bounds": "Alone, without a server around it",
}


def charts(results):
    """Measurement -> charts as SVG, each with a name for its file."""
    by_measurement = {}
    for result in results:
        by_measurement.setdefault(result.measurement, []).append(result)
    return {name: list(_charts(name, group)) for name, group in by_measurement.items()}


def _charts(name, group):
    title = TITLES.get(name, name)
    if name in ("growth", "scaling"):
        yield from _over_numbers(name, title, group)
        return
    for figure in dict.fromkeys(result.figure for result in group):
        same = [result for result in group if result.figure == figure]
        unit = found.UNITS[figure]
        groups = [(each.name, _bars(each, figure, unit.scale)) for each in same]
        yield f"{name}-{figure}", svg.bars(title, unit.text, groups)
    with_cpu = [each for each in group if any("cpu_us_per_request" in runs[0] for runs in each.rounds.values())]
    if with_cpu:
        groups = [(each.name, _bars(each, "cpu_us_per_request", 1)) for each in with_cpu]
        yield f"{name}-cpu", svg.bars(f"{title}: the server's CPU time", "us a request", groups)
    for result in group:
        series = _over_time(result)
        if series:
            yield f"{name}-files", svg.lines(f"{result.name}: all files", "MiB", "seconds", series)


def _bars(result, figure, scale):
    series = []
    for server, rounds in result.rounds.items():
        values = [each[figure] / scale for each in rounds if each.get(figure) is not None]
        if values:
            series.append((server, statistics.median(values), min(values), max(values)))
    return series


def _over_time(result):
    series = {}
    for server, rounds in result.rounds.items():
        samples = rounds[0].get("samples")
        if isinstance(samples, list) and samples:
            series[server] = [(each["seconds"], each["files_bytes"] / found.MIB) for each in samples]
    return series


def _over_numbers(name, title, group):
    """Results whose names end with a number, as lines over it."""
    lines = {}
    for result in group:
        what, _, last = result.name.rpartition(", ")
        at = _number(last)
        for server, rounds in result.rounds.items():
            value = found.median(rounds, result.figure)
            series = lines.setdefault((what, result.figure), {})
            series.setdefault(server, []).append((at, value / found.UNITS[result.figure].scale))
    for (what, figure), series in lines.items():
        across = "threads" if name == "scaling" else "entries"
        label = re.sub(r"[^a-z0-9]+", "-", what.lower()).strip("-")
        chart = svg.lines(f"{title}: {what}", found.UNITS[figure].text, across, series, logarithmic=name == "growth")
        yield f"{name}-{label}", chart


def _number(text):
    """Of "10 k entries", "3 threads"."""
    digits, _, rest = text.partition(" ")
    return float(digits.replace(",", "")) * {"k": 1e3, "M": 1e6}.get(rest.split(" ")[0], 1)


def write(directory, environment, results):
    """`report.html` and the charts."""
    os.makedirs(directory, exist_ok=True)
    parts = ["<!doctype html><meta charset=utf-8><title>larder, side by side</title>", STYLE, "<h1>larder, side by side</h1>"]
    parts.append(f"<p>{html.escape(environment_line(environment))}</p>")
    parts += ["<h2>Goals</h2>", _table(["what", "goal", "found", "met"], found.goals(results))]
    parts += ["<h2>Upper bounds</h2>", _table(found.BOUNDS_HEADER, found.bounds(results))]
    for name, drawn in charts(results).items():
        parts.append(f"<h2>{html.escape(TITLES.get(name, name))}</h2>")
        for file, chart in drawn:
            with open(os.path.join(directory, f"{file}.svg"), "w") as out:
                out.write(chart)
            parts.append(chart)
        rows = [row for result in results if result.measurement == name for row in found.rows(result)]
        parts.append(_table(found.HEADER, rows))
    path = os.path.join(directory, "report.html")
    with open(path, "w") as out:
        out.write("\n".join(parts) + "\n")
    return path


def environment_line(environment):
    servers = "; ".join(f"{name}: {version}" for name, version in environment["servers"].items())
    return (
        f"{environment['cpus']} CPUs shared with the load generator, Linux {environment['kernel']}; Unix sockets, keys of 16 "
        f"bytes, values of 64 and 50 connections unless it says otherwise; median (lowest-highest) of {environment['rounds']} "
        f"interleaved rounds of {environment['seconds']:g} s. {servers}."
    )


STYLE = """<style>
body { font: 14px/1.4 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em; color: #111; background: #fff }
table { border-collapse: collapse; font-size: 12px; margin: 1em 0; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid #ddd; padding: 2px 8px; text-align: right }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2), td:last-child { text-align: left }
svg { display: block; max-width: 100%; margin: 1em 0 }
</style>"""


def _table(header, body):
    if not body:
        return "<p>Not measured.</p>"


    def cells(row, tag):
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in row) + "</tr>"

    return "<table>" + cells(header, "th") + "".join(cells(row, "td") for row in body) + "</table>"
