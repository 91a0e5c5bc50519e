"""larder-load from Python: one run of the load generator against one server, with what it cost the server.

Imported by what is in measure/. The load generator itself is in load/, with its options.
"""

import array
import contextlib
import json
import os
import subprocess

import common

# Keys are written and read in order of nothing by this many connections and requests at a time, to fill and to warm.
FILL = {"keys_by": "each", "connections": 4, "pipeline": 64}
# When samples are taken: enough requests to tell a p99.9 of a second, few enough to leave the machine at rest.
OPEN_LOOP = {"rate": 2_000, "connections": 4}


def _command(server, options):
    command = [server.programs.load, "--socket", server.socket, "--protocol", server.kind.protocol]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    return command


def once(server, **options):
    """A run to its end: what larder-load prints, and the server's CPU time a request and resident memory after it."""
    cpu = server.cpu_seconds()
    command = _command(server, options)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        common.fail(f"{' '.join(command)} does not end")
    if done.returncode != 0:
        common.fail(f"{server.name}: {done.stderr.strip()}\n{server.logged()}")
    cpu = server.cpu_seconds() - cpu
    result = json.loads(done.stdout)
    if result["errors"]:
        common.fail(f"{server.name} answers {result['errors']:,} of {result['answered']:,} requests with errors: {options}")
    result["cpu_us_per_request"] = cpu * 1e6 / result["answered"]
    result["resident_bytes"] = server.resident_bytes()
    return result


def fill(server, keys, load="set", **options):
    """Sets each key."""
    return once(server, load=load, keys=keys, **FILL, **options)


def warm(server, keys, **options):
    """Gets each key, all of which must be there. Twice: what is kept in memory after reads is there then, and nearest at hand
    what was read from it."""
    for _ in range(2):
        result = once(server, load="get", keys=keys, **FILL, **options)
        if result["misses"]:
            common.fail(f"{server.name} has lost {result['misses']:,} of {keys:,} keys")
    return result


class Running:
    """A load that goes on for as long as its block, or until `finish`."""

    def __init__(self, server, directory=None, **options):
        self._samples = None
        if directory:
            self._samples = os.path.join(directory, "samples")
            options["samples"] = self._samples
        self._server = server
        # It ends when its standard input does, so also with this process.
        self._process = subprocess.Popen(
            _command(server, options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def check(self):
        if self._process.poll() is not None:
            common.fail(f"{self._server.name}: larder-load ended: {self._process.stderr.read().decode()}")

    def finish(self):
        """What it found."""
        self.check()
        out, error = self._process.communicate(timeout=common.HANG_SECONDS)
        if self._process.returncode != 0:
            common.fail(f"{self._server.name}: {error.decode()}")
        return json.loads(out)

    def samples(self):
        """When each request was due, and how long it took, in ns; once it is finished."""
        pairs = array.array("Q")
        size = os.stat(self._samples).st_size
        with open(self._samples, "rb") as file:
            pairs.fromfile(file, size // pairs.itemsize)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._samples)
        return pairs[::2], pairs[1::2]
