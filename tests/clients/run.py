#!/usr/bin/env python3
"""Redis clients and cache frameworks against larder, each with its default options, over the Unix socket.

    python3 tests/clients/run.py                    all of them
    python3 tests/clients/run.py redis-py ioredis   those whose name holds one of the words
    python3 tests/clients/run.py --list

Every client gets a larderd of its own, freshly started in a directory of its own. The packages are the newest
that python/requirements.txt, node/package.json and rust/Cargo.toml allow; they are installed below the cargo
target directory (`clients/`), again only where those files have changed or with --upgrade. Nothing else is touched.
Needs python3 with venv; what needs npm, cargo or redis-cli is skipped where they are missing, and so is what cannot
be installed, unless LARDER_REQUIRE_TOOLS=1 makes that a failure.

Prints a table client | version | what was done | result, and for every failed step the reason. The exit status is 0
if nothing failed. `--server redis-server` runs the same scripts against a real Redis, to tell a wrong check from a
wrong larder.
"""

import argparse
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
PLACE = TARGET / "clients"

# Name, kind, script and its arguments after the socket.
MATRIX = [
    ("redis-py, default protocol", "python", "redis_py.py", []),
    ("redis-py, RESP2", "python", "redis_py.py", ["2"]),
    ("redis-py, RESP3", "python", "redis_py.py", ["3"]),
    ("redis-py asyncio, default protocol", "python", "redis_py_asyncio.py", []),
    ("redis-py asyncio, RESP2", "python", "redis_py_asyncio.py", ["2"]),
    ("redis-py asyncio, RESP3", "python", "redis_py_asyncio.py", ["3"]),
    ("node-redis, default protocol", "node", "node_redis.mjs", []),
    ("node-redis, RESP2", "node", "node_redis.mjs", ["2"]),
    ("node-redis, RESP3", "node", "node_redis.mjs", ["3"]),
    ("ioredis", "node", "ioredis.mjs", []),
    ("redis crate, default protocol", "rust", "", []),
    ("redis crate, RESP2", "rust", "", ["2"]),
    ("redis crate, RESP3", "rust", "", ["3"]),
    ("redis-cli", "program", "redis_cli.py", []),
    ("redis-benchmark", "program", "redis_benchmark.py", []),
    ("Django RedisCache", "python", "django_rediscache.py", []),
    ("django-redis", "python", "django_redis_cache.py", []),
    ("Flask-Caching", "python", "flask_caching_cache.py", []),
    ("cachelib", "python", "cachelib_cache.py", []),
    ("dogpile.cache", "python", "dogpile_cache.py", []),
    ("cashews", "python", "cashews_cache.py", []),
    ("limits, fixed and sliding window", "python", "limits_windows.py", []),
    ("limits, moving window", "python", "limits_moving.py", []),
    ("limits, reset", "python", "limits_reset.py", []),
    ("@keyv/redis", "node", "keyv.mjs", []),
    ("cache-manager", "node", "cache_manager.mjs", []),
    ("rate-limiter-flexible, ioredis", "node", "rate_limiter_flexible.mjs", ["ioredis"]),
    ("rate-limiter-flexible, node-redis", "node", "rate_limiter_flexible.mjs", ["redis"]),
    ("express-rate-limit", "node", "express_rate_limit.mjs", []),
    ("redlock", "node", "redlock.mjs", []),
    ("cookbook, Python", "python", "cookbook.py", []),
    ("cookbook, Node", "node", "cookbook.mjs", []),
]

# What larder does not set out to do, and why; it has to fail, so that this list cannot outlive its reasons.
OUT_OF_REACH = {
    "limits, moving window": "keeps a list of times, by a Lua script; larder has strings only",
}

# A script that takes longer hangs; its last reported step says where.
PATIENCE_SECONDS = 180


class NotInstalled(Exception):
    """Why the packages of a kind are not there."""


def reason(done):
    """The line that says why a program failed, as far as that can be told."""
    lines = (done.stderr or done.stdout).strip().split("\n")
    return next((line for line in lines if "rror" in line), lines[-1])


def installed(directory, sources, upgrade, *commands):
    """Runs the commands, unless they have succeeded for the same sources before."""
    state = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()
    stamp = directory / "installed"
    if not upgrade and stamp.exists() and stamp.read_text() == state:
        return
    directory.mkdir(parents=True, exist_ok=True)
    for command in commands:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
        if done.returncode != 0:
            raise NotInstalled(f"{Path(command[0]).name} {command[1]}: {reason(done)}")
    stamp.write_text(state)


def python_environment(upgrade):
    venv = PLACE / "venv"
    requirements = HERE / "python/requirements.txt"
    python = venv / "bin/python3"
    installed(
        venv,
        [requirements],
        upgrade,
        [sys.executable, "-m", "venv", "--clear", "."],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)],
    )
    return [str(python)], {}


def node_environment(upgrade):
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise NotInstalled(f"needs {program}")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 20:
        raise NotInstalled(f"needs Node 20, this is {version}")
    directory = PLACE / "node"
    manifest = HERE / "node/package.json"
    directory.mkdir(parents=True, exist_ok=True)
    # The scripts run from here as well: node looks for packages next to the script.
    for file in [manifest, *HERE.glob("node/*.mjs")]:
        shutil.copy(file, directory)
    (directory / "package-lock.json").unlink(missing_ok=True)
    installed(directory, [manifest], upgrade, ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"])
    return ["node"], {"CLIENTS_NODE_DIR": str(directory), "COOKBOOK": str(REPOSITORY / "protocol/COOKBOOK.md")}


def rust_environment(upgrade):
    if not shutil.which("cargo"):
        raise NotInstalled("needs cargo")
    directory = PLACE / "rust"
    # Built from a copy, so that the lock file is not written into the sources.
    shutil.copytree(HERE / "rust", directory, dirs_exist_ok=True)
    if upgrade:
        (directory / "Cargo.lock").unlink(missing_ok=True)
    build = ["cargo", "build", "--quiet", "--target-dir", str(directory / "target")]
    done = subprocess.run(build, cwd=directory, capture_output=True, text=True)
    if done.returncode != 0:
        # A script that does not compile is a mistake here; without its packages it cannot even try.
        if "error[E" in done.stderr or "could not compile" in done.stderr:
            sys.exit(f"tests/clients/rust does not build:\n{done.stderr}")
        raise NotInstalled(f"cargo build: {reason(done)}")
    version = re.search(r'name = "redis"\nversion = "(.*)"', (directory / "Cargo.lock").read_text()).group(1)
    return [str(directory / "target/debug/larder-client-matrix")], {"CRATE_VERSION": version}


def program_environment(_upgrade):
    if not shutil.which("redis-cli"):
        raise NotInstalled("needs redis-cli and redis-benchmark (apt-get install redis-tools)")
    return [sys.executable], {}


KINDS = {
    "python": python_environment,
    "node": node_environment,
    "rust": rust_environment,
    "program": program_environment,
}


def script_path(kind, script):
    if kind == "rust":
        return []
    if kind == "node":
        return [str(PLACE / "node" / script)]
    return [str(HERE / {"python": "python", "program": "programs"}[kind] / script)]


class Server:
    """A larderd, or a redis-server, of one client's own."""

    def __init__(self, program):
        self.directory = tempfile.TemporaryDirectory(prefix="larder-clients-")
        self.socket = f"{self.directory.name}/s.sock"
        if Path(program).name.startswith("redis-server"):
            command = [program, "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no"]
        else:
            command = [program, "--socket", self.socket, "--data", f"{self.directory.name}/data"]
        self.log = open(f"{self.directory.name}/log", "w+")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LARDER_")}
        self.process = subprocess.Popen(
            command, cwd=self.directory.name, env=environment, stdout=self.log, stderr=subprocess.STDOUT
        )

    def wait(self):
        deadline = time.monotonic() + 30
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.socket)
                    return
                except OSError:
                    pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                sys.exit(f"the server did not start:\n{self.log.read()}")
            time.sleep(0.01)

    def stop(self):
        """None, or what was wrong with how it ended."""
        died = self.process.poll()
        self.process.terminate()
        status = self.process.wait(30)
        self.log.close()
        self.directory.cleanup()
        if died is not None:
            return f"the server died with {died}"
        return None if status == 0 else f"the server's exit status was {status}"


def run_client(command, environment, program):
    """Version, names of the steps that went well, and what failed."""
    server = Server(program)
    try:
        server.wait()
        process = subprocess.Popen(
            [*command[0], *command[1], server.socket, *command[2]],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=PATIENCE_SECONDS)
            hung = False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            hung = True
    finally:
        ended_badly = server.stop()
    lines = output.splitlines()
    version = next((line.split(" ", 1)[1] for line in lines if line.startswith("version ")), "?")
    done = [line[3:] for line in lines if line.startswith("ok ")]
    failed = [line[7:] for line in lines if line.startswith("failed ")]
    if hung:
        failed.append(f"no end within {PATIENCE_SECONDS} s; hung in the step after {done[-1] if done else 'none'!r}")
    elif "end" not in lines:
        said = [line for line in lines if line.startswith("note ")] + errors.strip().splitlines()
        failed.append(f"stopped with status {process.returncode}: {' | '.join(said[-3:])}")
    if ended_badly:
        failed.append(ended_badly)
    return version, done, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="words to choose clients by")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--upgrade", action="store_true", help="install the newest packages again")
    parser.add_argument("--server", help="larderd or redis-server to run against [LARDER_TEST_BINARY]")
    options = parser.parse_args()
    chosen = [row for row in MATRIX if not options.names or any(word in row[0] for word in options.names)]
    if options.list or not chosen:
        print("\n".join(row[0] for row in MATRIX))
        sys.exit(0 if options.list else "no client has such a name; these are there")
    program = options.server or os.environ.get("LARDER_TEST_BINARY")
    if not program:
        built = [path for path in (TARGET / "release/larderd", TARGET / "debug/larderd") if path.exists()]
        if not built:
            sys.exit("no larderd: cargo build --release, or --server PATH")
        program = str(max(built, key=lambda path: path.stat().st_mtime))
    against_larder = not Path(program).name.startswith("redis-server")

    kinds = {}
    for kind in dict.fromkeys(row[1] for row in chosen):
        try:
            kinds[kind] = KINDS[kind](options.upgrade)
        except NotInstalled as why:
            kinds[kind] = str(why)

    broken = []
    print(f"against {program}\n\n| client | version | what was done | result |\n|---|---|---|---|")
    for name, kind, script, arguments in chosen:
        if isinstance(kinds[kind], str):
            print(f"| {name} | | | skipped: {kinds[kind]} |", flush=True)
            if os.environ.get("LARDER_REQUIRE_TOOLS") == "1":
                broken.append((name, [f"skipped: {kinds[kind]}"]))
            continue
        runner, environment = kinds[kind]
        command = (runner, script_path(kind, script), arguments)
        version, done, failed = run_client(command, environment, program)
        result = f"failed: {', '.join(step.split(':')[0] for step in failed)}" if failed else "ok"
        if against_larder and name in OUT_OF_REACH:
            result = f"out of reach: {OUT_OF_REACH[name]}"
            failed = [] if failed else ["works now: take it out of OUT_OF_REACH in tests/clients/run.py"]
        print(f"| {name} | {version} | {', '.join(done)} | {result} |", flush=True)
        if failed:
            broken.append((name, failed))
    for name, failed in broken:
        print(f"\n{name}")
        for step in failed:
            print(f"  {step}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
