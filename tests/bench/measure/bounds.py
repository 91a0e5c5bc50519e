"""What larder's own parts do alone: commits of the journal, and reads of rows, with nothing around them.

micro/bounds.rs does the measuring, on the release build's code; results.py sets larder's throughput beside it.
"""

import json
import subprocess

import common
from results import Result


def program():
    """The path of the benchmark, built where it is not; None where there is no cargo."""
    if common.missing_tools("cargo"):
        return None
    command = ["cargo", "bench", "-p", "larder-bench", "--bench", "bounds", "--no-run", "--message-format=json"]
    done = subprocess.run(command, cwd=common.ROOT, stdout=subprocess.PIPE, text=True, check=False)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "bounds":
            return message["executable"]
    common.fail(f"{' '.join(command)} builds no benchmark")


def run(bench):
    path = bench.options.bounds or program()
    if path is None:
        bench.progress("bounds: skipped: there is no cargo")
        return []
    rounds = {}
    for number in range(bench.options.rounds):
        command = [path, bench.directory(), str(bench.options.entries), str(bench.options.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=common.HANG_SECONDS, check=False)
        if done.returncode != 0:
            common.fail(f"{' '.join(command)}: {done.stderr}")
        for name, figures in json.loads(done.stdout).items():
            rounds.setdefault(name, []).append(figures)
        bench.progress(f"bounds: round {number + 1} of {bench.options.rounds}")
    return [Result("bounds", name, "rps", {"larder": each}) for name, each in rounds.items()]
