"""The servers under measurement: how each is started, stopped, filled and asked about itself.

Every server listens on a Unix socket in a directory of its own and is killed when its block is left. KINDS is the list;
a server whose program is missing is left out, and run.py says so. Measures nothing by itself.
"""

import os
import shutil
import subprocess
import typing

import common

# So that the rivals, which keep everything in memory, are not compared with reads from disk unless a workload says so.
ROOM = ["--memory-cap", "2GiB"]


class Kind(typing.NamedTuple):
    """A server, or a way of setting it up."""

    name: str
    program: str
    protocol: str
    # Takes the socket's path and the data directory; pairs of option and value.
    options: typing.Callable
    about: str


def _redis(*durable):
    def options(path, data):
        return ["--port", "0", "--unixsocket", path, "--dir", data, *durable]

    return options


_EVERYSEC = _redis("--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
_NOTHING_KEPT = _redis("--save", "", "--appendonly", "no")


def _memcached(path, data):
    user = ["-u", "root"] if os.geteuid() == 0 else []
    return ["-s", path, "-m", "8192", "-c", "2048", "-I", "2m", *user]


LARDER, BASE = "larder", "redis"
KINDS = [
    Kind(LARDER, "larderd", "resp", lambda path, data: ["--socket", path, "--data", data, *ROOM], "memory-cap 2 GiB"),
    Kind(BASE, "redis-server", "resp", _EVERYSEC, "appendonly everysec"),
    Kind("redis-memory", "redis-server", "resp", _NOTHING_KEPT, "nothing kept"),
    Kind("valkey", "valkey-server", "resp", _EVERYSEC, "appendonly everysec"),
    Kind("valkey-memory", "valkey-server", "resp", _NOTHING_KEPT, "nothing kept"),
    Kind("memcached", "memcached", "memcached", _memcached, "nothing kept"),
]


class Programs:
    """Where the programs are: larderd and larder-load by path, the others on the PATH."""

    def __init__(self, larderd, load):
        self.larderd = larderd
        self.load = load

    def path(self, kind):
        return self.larderd if kind.program == "larderd" else shutil.which(kind.program)

    def versions(self, kinds):
        found = {}
        for kind in kinds:
            flag = "-V" if kind.program == "memcached" else "--version"
            done = subprocess.run([self.path(kind), flag], stdout=subprocess.PIPE, text=True, check=False)
            found[kind.name] = f"{done.stdout.strip().splitlines()[0][:60]} ({kind.about})"
        return found


def _instead(options, extra):
    """Pairs of option and value, the extra ones in place of those of the same name: larderd takes none twice."""
    pairs = list(zip(options[::2], options[1::2]))
    kept = [word for pair in pairs if pair[0] not in extra[::2] for word in pair]
    return [*kept, *extra]


class Running(common.Server):
    """A server of some kind, with what the load generator and the measurements want of it."""

    def __init__(self, kind, programs, directory, extra=()):
        self.kind = kind
        self.programs = programs
        program = programs.path(kind)
        super().__init__(kind.name, directory, lambda path, data: [program, *_instead(kind.options(path, data), extra)])

    def _greets(self):
        if self.kind.protocol == "resp":
            return super()._greets()
        with common.Connection(self.socket) as connection:
            connection.socket.sendall(b"version\r\n")
            return connection.input.readline().startswith(b"VERSION")

    def is_larder(self):
        return self.kind.name == LARDER

    def settle(self):
        """Waits until it has done what its writes left it to do."""
        if self.kind.protocol == "resp":
            common.settle(self)

    def children_too(self):
        """Whether its work in the background is done by children: Redis's rewriting of its log."""
        return self.kind.program in ("redis-server", "valkey-server")
