"""What the benchmarks share: servers as processes of their own, connections, files, and small figures.

Imported by run.py and listeners.py, which stand beside it, and by what they import. Measures nothing by itself, and
judges nothing.
"""

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

VALUE_BYTES = 64
CONNECTIONS = 50
# Only bounds a hang.
HANG_SECONDS = 120
# Requests sent in one go when keys are written or read one after the other.
BATCH = 500


def fail(message):
    """Ends the benchmark: what was measured cannot be trusted, or there is nothing to measure."""
    sys.exit(f"{os.path.basename(sys.argv[0])}: {message}")


class Connection:
    """A connection that speaks RESP2 and waits for every answer."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(HANG_SECONDS)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.input = self.socket.makefile("rb", 1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.input.close()
        self.socket.close()

    def ask(self, *words):
        """One request and its reply: bytes, an int, a list, or None; OSError where it is an error."""
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(request(*parts))
        return self._reply()

    def _reply(self):
        line = self.input.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.input.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        raise OSError(f"{line!r} is the answer")

    def scan(self, cursor, pattern, count):
        """A page of keys, and the cursor of the next one."""
        return self.ask("SCAN", cursor, "MATCH", pattern, "COUNT", count)

    def batch(self, requests, replies):
        """Sends bytes and expects exactly these bytes back; what came instead where they differ, otherwise None."""
        self.socket.sendall(requests)
        got = self.input.read(len(replies))
        return None if got == replies else got


def request(*parts):
    """A request in RESP."""
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def key(number, prefix=b"key"):
    """The key that redis-benchmark makes of a number: 16 bytes with a prefix of three."""
    return b"%s:%012d" % (prefix, number)


def scattered(count):
    """The numbers below `count`, each once and in no order, the same in every run."""
    # A prime that divides none of the counts anybody would choose.
    return (number * 611_953 % count for number in range(count))


class Server:
    """A server under measurement; it is killed with whatever it has started when its block is left."""

    def __init__(self, name, directory, command):
        """Starts it and waits for its first PONG. `directory` may have been another server's of the name before."""
        self.name = name
        self.data = os.path.join(directory, name)
        self.socket = os.path.join(directory, f"{name}.sock")
        self.log = os.path.join(directory, f"{name}.log")
        os.makedirs(self.data, 0o700, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LARDER_")}
        with open(self.log, "wb") as log:
            began = time.monotonic()
            # In a session of its own, so that Ctrl-C reaches the benchmark alone, and children can be killed with it.
            self.process = subprocess.Popen(
                command(self.socket, self.data),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                env=environment,
                start_new_session=True,
            )
        try:
            self._wait_for_pong(began + HANG_SECONDS)
        except BaseException:
            self.kill()
            raise
        # From the spawn to the first PONG, to a millisecond or so.
        self.start_seconds = time.monotonic() - began

    def _wait_for_pong(self, give_up):
        while True:
            try:
                if self._greets():
                    return
                error = "it is still loading"
            except OSError as failure:
                error = failure
            if self.process.poll() is not None or time.monotonic() > give_up:
                fail(f"{self.name} does not serve ({error}):\n{self.logged()}")
            time.sleep(0.001)

    def _greets(self):
        """Whether it answers. An OSError means no, too."""
        return self.ask("PING") == b"PONG"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def ask(self, *words):
        """One request on a connection of its own."""
        with Connection(self.socket) as connection:
            return connection.ask(*words)

    def fill(self, numbers, prefix=b"key", options=()):
        """Sets the keys of these numbers."""
        value = b"x" * VALUE_BYTES
        parts = [b"SET", key(0, prefix), value, *options]
        template = request(*parts).replace(parts[1], b"%s:%%012d" % prefix)
        self._batches(numbers, template, b"+OK\r\n")

    def _batches(self, numbers, template, reply):
        numbers = list(numbers)
        with Connection(self.socket) as connection:
            for start in range(0, len(numbers), BATCH):
                some = numbers[start : start + BATCH]
                wrong = connection.batch(b"".join([template % number for number in some]), reply * len(some))
                if wrong is not None:
                    fail(f"{self.name} answers {wrong[:200]!r}... instead of {reply!r} each time")

    def cpu_seconds(self, children=False):
        """User and system time of the process; where asked, also of its ended children (one rewrites Redis's log)."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            numbers = stat.read().rpartition(")")[2].split()
        return sum(map(int, numbers[11 : 15 if children else 13])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        """VmRSS."""
        with open(f"/proc/{self.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def logged(self):
        with open(self.log, errors="replace") as log:
            return log.read()[-4000:]

    def stop(self):
        """Ends it in order, as a service manager would."""
        self.process.terminate()
        try:
            status = self.process.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            fail(f"{self.name} does not end on SIGTERM:\n{self.logged()}")
        if status != 0:
            fail(f"{self.name} ended with {status} after SIGTERM:\n{self.logged()}")

    def kill(self):
        """SIGKILL, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_larder(larderd, directory, *options):
    """larder, with its defaults where no options are given."""
    return Server("larder", directory, lambda path, data: [larderd, "--socket", path, "--data", data, *options])


def stats(server):
    """All of larder's statistics."""
    return json.loads(server.ask("STATS"))


def difference(before, after, *names):
    return {name: after[name] - before[name] for name in names}


def info(server, section):
    """A section of Redis's INFO."""
    lines = server.ask("INFO", section).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def settle(server):
    """Waits until the server has done what its writes left it to do."""
    if server.name == "larder":
        # Merges first.
        server.ask("CLEANUP")
        return
    give_up = time.monotonic() + HANG_SECONDS
    while True:
        persistence = info(server, "persistence")
        if persistence["aof_rewrite_in_progress"] == persistence["aof_rewrite_scheduled"] == "0":
            return
        if time.monotonic() > give_up:
            fail(f"{server.name} rewrites its log and does not finish")
        time.sleep(0.02)


def file_sizes(server):
    """Bytes of each file in the data directory."""
    sizes = {}
    for folder, _, names in os.walk(server.data):
        for name in names:
            path = os.path.join(folder, name)
            try:
                sizes[os.path.relpath(path, server.data)] = os.stat(path).st_size
            except FileNotFoundError:
                # Merged or rotated just now.
                continue
    return sizes


def benchmark_command(server, test, pipeline, connections, requests, keys):
    command = ["redis-benchmark", "-s", server.socket, "-t", test, "-n", str(requests), "-c", str(connections)]
    return command + ["-P", str(pipeline), "-r", str(keys), "-d", str(VALUE_BYTES), "--csv"]


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def target_directory():
    return os.path.join(ROOT, os.environ.get("CARGO_TARGET_DIR", "target"))


def default_larderd():
    return os.path.join(target_directory(), "release", "larderd")


def checked(path, option):
    """A program's absolute path, once it is known to be there."""
    path = os.path.abspath(path)
    if not os.access(path, os.X_OK):
        fail(f"no {path}: cargo build --release, or name another one with {option}")
    return path


def checked_larderd(path):
    return checked(path, "--larderd")


def missing_tools(*tools):
    """Those that are not on the PATH."""
    return [tool for tool in tools if shutil.which(tool) is None]


def environment():
    """What a figure depends on and the benchmark does not choose."""
    return {"cpus": os.cpu_count(), "kernel": platform.release()}


@contextlib.contextmanager
def work_directory(prefix):
    """A directory that goes away with the benchmark, also where Ctrl-C or SIGTERM ends that."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    directory = tempfile.mkdtemp(prefix=prefix)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
