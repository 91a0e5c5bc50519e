#!/usr/bin/env python3
"""The same random commands to larderd and to redis-server 7, valid and invalid, compared reply by reply.

    python3 tests/differential/run.py --commands 100000 --seed 1 [--proto 2|3|both]

The full form is --commands 250000, half a million in both; part of the test command is --commands 15000.

Starts both servers in a temporary directory; needs nothing but Python and redis-server. Commands, arguments and how
replies are compared stand in grammar.py, the differences that are meant in known.txt. Commands that larderd does not
list in COMMAND LIST are left out, and named.

Prints a summary, and for each kind of difference outside known.txt the shortest sequence found that shows it, with
both replies. The exit status is 0 if there is none. A seed always gives the same commands, apart from the expiry
times that lie at the edge of 64 bits counted from now.
"""

import argparse
import collections
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(HERE))

import resp
from grammar import Grammar
from known import Known
from session import Session, shrink

# Commands in one session, after which both servers are emptied and the connections are new.
SESSION_LENGTH = 300


class Server:
    def __init__(self, name, command, directory):
        self.path = f"{directory}/{name}.sock"
        self.log = open(f"{directory}/{name}.log", "w+")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LARDER_")}
        self.name = name
        self.process = subprocess.Popen(
            [word.replace("SOCKET", self.path) for word in command],
            cwd=directory,
            env=environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def wait(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                return resp.Connection(self.path).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.log.seek(0)
                    sys.exit(f"{self.name} did not start:\n{self.log.read()}")
                time.sleep(0.01)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def default_binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    built = [path for path in (target / "release/larderd", target / "debug/larderd") if path.exists()]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


def command_names(path):
    connection = resp.Connection(path)
    connection.send(resp.encode([b"COMMAND", b"LIST"]))
    reply = connection.read()
    connection.close()
    if reply[0] != "*":
        sys.exit(f"COMMAND LIST was answered with {resp.show(reply)}")
    return {element[1].lower() for element in reply[1]}


def describe(steps, difference, where):
    print(f"\n{where}: {difference.request}")
    for step in steps:
        if step.connection is None:
            print(f"    wait {step.pause} s")
        elif step.raw is not None:
            print(f"    {step.connection}> (raw) {resp.text(step.raw)}")
        else:
            print(f"    {step.connection}> {resp.show_request(step.words)}")
    print(f"  redis  {difference.redis[:2000]}\n  larder {difference.larder[:2000]}")


def run_protocol(protocol, grammar, servers, known, options, found):
    counts = collections.Counter()
    session = Session(servers[0].path, servers[1].path, protocol, known)
    number = 0
    began = time.monotonic()
    while session.sent < options.commands and len(found) < options.differences:
        steps = grammar.generate(random.Random(f"{options.seed}/{protocol}/{number}"), SESSION_LENGTH)
        where = f"RESP{protocol}, seed {options.seed}, session {number}"
        number += 1
        counts.update(step.words[0].lower() for step in steps if step.words)
        difference = session.run(steps)
        if difference is not None and difference.kind() not in found:
            sent = session.sent
            steps, shorter = shrink(session, steps, difference)
            session.sent = sent
            found.add(difference.kind())
            found.add(shorter.kind())
            describe(steps, shorter, where)
            sys.stdout.flush()
        for server in servers:
            if server.process.poll() is not None:
                sys.exit(f"{server.name} died, status {server.process.returncode}, in {where}")
    print(f"RESP{protocol}: {session.sent} commands in {number} sessions, {time.monotonic() - began:.1f} s")
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--commands", type=int, default=100_000, help="how many, in each protocol version [100000]")
    parser.add_argument("--seed", default="1", help="any text [1]")
    parser.add_argument("--proto", choices=["2", "3", "both"], default="both")
    parser.add_argument("--larderd", help="the binary [LARDER_TEST_BINARY, or the newer of release and debug]")
    parser.add_argument("--larderd-option", action="append", default=[], help="for larderd, as --larderd-option=--x=y")
    parser.add_argument("--redis-server", default="redis-server", help="the binary [redis-server]")
    parser.add_argument("--differences", type=int, default=20, help="stop after so many kinds of difference [20]")
    parser.add_argument("--counts", action="store_true", help="print how often each command was sent")
    options = parser.parse_args()
    larderd = options.larderd or os.environ.get("LARDER_TEST_BINARY") or default_binary()
    if not larderd:
        sys.exit("no larderd: cargo build --release, or --larderd PATH")
    known = Known(HERE / "known.txt")
    with tempfile.TemporaryDirectory(prefix="larder-differential-") as directory:
        redis = [options.redis_server, "--port", "0", "--unixsocket", "SOCKET", "--save", "", "--appendonly", "no"]
        redis += ["--databases", "1", "--enable-debug-command", "local"]
        larder = [str(larderd), "--socket", "SOCKET", "--data", f"{directory}/data", *options.larderd_option]
        servers = [
            Server("redis", redis, directory),
            Server("larder", larder, directory),
        ]
        counts, found = collections.Counter(), set()
        try:
            for server in servers:
                server.wait()
            grammar = Grammar(command_names(servers[1].path) & command_names(servers[0].path))
            if grammar.missing:
                print(f"left out, one of the servers has no such command: {' '.join(grammar.missing)}")
            for protocol in [2, 3] if options.proto == "both" else [int(options.proto)]:
                counts += run_protocol(protocol, grammar, servers, known, options, found)
        finally:
            for server in servers:
                server.stop()
    if options.counts:
        print(" ".join(f"{resp.text(name)}:{count}" for name, count in counts.most_common()))
    for rule in known.rules:
        print(f"known, seen {rule.used} times: {rule.line}")
    print("no difference outside known.txt" if not found else "DIFFERENCES outside known.txt: see above")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
