"""redis-cli, all the ways people run it: redis_cli.py SOCKET

Plain Python; the steps are reported as ../python/check.py says.
"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from check import end, equal, socket_path, step, true, version

CLI = ["redis-cli", "-s", socket_path()]


def run(*arguments, feed=b""):
    done = subprocess.run([*CLI, *arguments], input=feed, capture_output=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"redis-cli {arguments} ended with {done.returncode}: {done.stdout + done.stderr!r}")
    return done.stdout.decode()


class Terminal:
    """redis-cli at a terminal of its own, as a person sees it."""

    def __init__(self, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "dumb"
            os.execvp(CLI[0], [*CLI, *arguments])
        self.seen = ""

    def wait_for(self, pattern):
        """Reads until the pattern is on the screen; what was read up to its end is used up."""
        deadline = time.monotonic() + 30
        while not (found := re.search(pattern, self.seen)):
            if time.monotonic() > deadline:
                raise AssertionError(f"no {pattern!r} on the screen, but {self.seen!r}")
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
                except OSError as error:
                    raise AssertionError(f"redis-cli ended; the screen: {self.seen!r}") from error
        self.seen = self.seen[found.end() :]

    def type(self, line):
        os.write(self.fd, line.encode() + b"\r")

    def close(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


version(subprocess.run(["redis-cli", "--version"], capture_output=True, text=True).stdout.split()[1])

with step("one command"):
    equal(run("SET", "k", "a value", "EX", "100"), "OK\n")
    equal(run("--no-raw", "MGET", "k", "nothing"), '1) "a value"\n2) (nil)\n')
    equal(run("-3", "--no-raw", "GET", "nothing"), "(nil)\n")
    equal(run("-x", "SET", "stdin", feed=b"from a pipe"), "OK\n")

with step("interactive"):
    screen = Terminal()
    screen.wait_for(r"> ")
    for line, answer in [
        ("set greeting 'hello, world' ex 100", "OK"),
        ("get greeting", '"hello, world"'),
        ("incr visits", r"\(integer\) 1"),
        ("get nothing", r"\(nil\)"),
        ("nosuch", r"\(error\) ERR unknown command 'nosuch'"),
        ("multi", "OK"),
        ("incr visits", "QUEUED"),
        ("exec", r"1\) \(integer\) 2"),
        ("hello 3", "server"),
        ("select 99", r"\(error\) ERR DB index is out of range"),
        ("client setname me", "OK"),
        ("client getname", '"me"'),
        ("subscribe news", r'"subscribe"'),
    ]:
        screen.type(line)
        screen.wait_for(answer)
    equal(run("PUBLISH", "news", "fresh"), "1\n")
    screen.wait_for('"fresh"')
    screen.close()

with step("help at the prompt (COMMAND DOCS)"):
    screen = Terminal()
    screen.wait_for(r"> ")
    screen.type("help setex")
    screen.wait_for(r"SETEX")
    screen.wait_for(r"summary:\S* \w+")
    screen.close()

with step("--pipe"):
    load = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\npipe:%d\r\n$1\r\nv\r\n" % (5 + len(str(n)), n) for n in range(2_000))
    true("errors: 0, replies: 2000" in run("--pipe", feed=load), "2000 replies and no error")

with step("--scan"):
    equal(len(run("--scan", "--pattern", "pipe:*").split()), 2_000)
    equal(len(run("--scan", "--pattern", "pipe:1?").split()), 10)

with step("--bigkeys"):
    run("SET", "biggest", "x" * 5_000)
    output = run("--bigkeys")
    true(re.search(r'Biggest string found .*"biggest".* has 5000 bytes', output), f"the biggest key in {output!r}")
    true("2005 keys in the keyspace" in output, f"the number of keys in {output!r}")

with step("--memkeys"):
    true("biggest" in run("--memkeys"), "the biggest key by memory")

with step("--stat"):
    screen = Terminal("--stat", "-i", "0.1")
    screen.wait_for(r"keys\s+mem\s+clients")
    for _ in range(3):
        screen.wait_for(r"\n200\d\s+[\d.]+[KMGB]\s+\d+\s+\d+\s+\d+ \(\+\d+\)\s+\d+")
    screen.close()

with step("--latency"):
    true(re.match(r"^\d+ \d+ [\d.]+ \d+\s*$", run("--latency", "--raw")), "min max avg samples")
    screen = Terminal("--latency")
    screen.wait_for(r"min: \d+, max: \d+, avg: [\d.]+ \(\d+ samples\)")
    screen.close()

with step("--latency-history"):
    screen = Terminal("--latency-history", "-i", "1")
    screen.wait_for(r"avg: [\d.]+ \(\d+ samples\) -- 1\.\d+ seconds range")
    screen.close()

end()
