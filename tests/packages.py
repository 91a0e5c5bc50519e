#!/usr/bin/env python3
"""Loads the machine's Debian package list into larder and checks that every record comes back as it went.

    cargo build --release -p larderd
    python3 tests/packages.py --larderd target/release/larderd [--limit N] [--keep] [--generated]

Every record of `apt-cache dumpavail` (run `apt-get update` first, or there are none) becomes one entry: key
`pkg:<section>:<name>:<version>:<arch>`, value the whole record. The steps:

 1. load by RESP, 256 requests a batch; some records by nc instead, as quoted lines with escapes
 2. read all back: by RESP, and what nc wrote also by nc, and some of the others too
 3. read all again until every one is answered from memory
 4. stop by SIGTERM, start with the memory tier off, read all
 5. overwrite every tenth record, SIGKILL with the last answer, start, read all
 6. delete one section by DELPAT: exactly its records are gone
 7. SIGKILL, start: they still are, and nothing else is

One table shows time, rate and statistics at each step. Exit status 1 and an explanation at the first step that finds
a difference. `--limit N` takes N records from all over the list, `--keep` leaves the data directory behind,
`--generated` makes records up. Python's standard library only; nc (OpenBSD's) is left out where it is missing.
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BATCH = 256
# Records that nc writes, and records of the others that nc reads: each one is a process and a connection.
NC_RECORDS = 100
# A request line may have 64 KiB; records whose escaped form is longer are left to RESP.
LINE_BYTES = 60_000
# Only bounds a hang.
HANG_SECONDS = 120

SHOWN_STATS = (
    "entries buffer_hits memory_hits disk_hits misses memory_entries memory_bytes disk_bytes wal_bytes".split()
)


class Mismatch(Exception):
    """What was found is not what was written."""


# --- records ---------------------------------------------------------------------------------------------------------


def dumped_records():
    """The records of apt-cache dumpavail, as bytes."""
    try:
        output = subprocess.run(["apt-cache", "dumpavail"], check=True, stdout=subprocess.PIPE).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"packages.py: apt-cache dumpavail: {error}; --generated makes records up")
    records = [record for record in output.split(b"\n\n") if record.strip()]
    if not records:
        sys.exit("packages.py: the package list is empty: run apt-get update, or use --generated")
    return records


def generated_records(count):
    """Records of the same shape, the same every time: a few hundred bytes to some tens of KiB, multi-line, UTF-8."""
    dice = random.Random(1)
    words = "cache daemon durable Größe naïve 日本語 emoji🙂 \"quoted\" back\\slash tab\there 100% [a-z]* ümlaut".split(" ")
    for number in range(count):
        section = dice.choice(["admin", "libs", "libdevel", "net", "contrib/net", "python", "doc"])
        lines = [f"Package: made-up-{number}", f"Version: 1.{number % 7}+b{number}", "Architecture: all"]
        lines += [f"Section: {section}", "Description: a record that was made up"]
        lines += [" " + " ".join(dice.choices(words, k=dice.randrange(1, 12))) for _ in range(dice.randrange(1, 20))]
        if number % 97 == 0:
            lines += [" " + " ".join(dice.choices(words, k=200)) for _ in range(20)]
        yield "\n".join(lines).encode()


def fields(record):
    """The one-line fields of a record; continuation lines start with a blank."""
    found = {}
    for line in record.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and not line[:1].isspace():
            found.setdefault(name.lower(), value.strip())
    return found


def keyed(records):
    """Records by key. A key that is there already, as with a package in two suites, gets a number."""
    entries = {}
    for record in records:
        found = fields(record)
        parts = [found.get(name, b"none") for name in (b"section", b"package", b"version", b"architecture")]
        key = unique = b"pkg:" + b":".join(parts)
        number = 1
        while unique in entries:
            number += 1
            unique = b"%s#%d" % (key, number)
        entries[unique] = record
    return entries


def section_of(key):
    return key.split(b":")[1]


# --- the two dialects ------------------------------------------------------------------------------------------------


class Resp:
    """A RESP2 connection."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(HANG_SECONDS)
        self.socket.connect(path)
        self.input = self.socket.makefile("rb", 1 << 18)

    def close(self):
        self.input.close()
        self.socket.close()

    def batch(self, requests):
        """Sends requests in one go and returns their replies."""
        out = []
        for request in requests:
            out.append(b"*%d\r\n" % len(request))
            out.extend(b"$%d\r\n%s\r\n" % (len(argument), argument) for argument in request)
        self.socket.sendall(b"".join(out))
        return [self.reply() for _ in requests]

    def ask(self, *request):
        return self.batch([request])[0]

    def reply(self):
        return read_reply(self.input)

    def stats(self):
        return json.loads(self.ask(b"STATS"))


def read_reply(stream):
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise Mismatch(f"the connection ended within a reply: {line!r}")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest
    if kind == b":":
        return int(rest)
    if kind == b"$":
        length = int(rest)
        if length == -1:
            return None
        value = stream.read(length + 2)
        if len(value) != length + 2:
            raise Mismatch("the connection ended within a value")
        return value[:-2]
    if kind == b"-":
        raise Mismatch(f"the daemon answers {line!r}")
    raise Mismatch(f"an unexpected reply: {line!r}")


def quoted(argument):
    """An argument of a request line, in double quotes, escaped where it must be or could be mistaken."""
    escapes = {0x0A: b"\\n", 0x0D: b"\\r", 0x09: b"\\t", 0x22: b'\\"', 0x5C: b"\\\\"}
    out = bytearray(b'"')
    for byte in argument:
        if byte in escapes:
            out += escapes[byte]
        elif 0x20 <= byte < 0x7F:
            out.append(byte)
        else:
            out += b"\\x%02x" % byte
    out += b'"'
    return bytes(out)


def nc(path, *request):
    """Sends one line through nc and returns all that comes back."""
    line = b" ".join([request[0], *map(quoted, request[1:])]) + b"\n"
    done = subprocess.run(
        ["nc", "-N", "-U", path], input=line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=HANG_SECONDS
    )
    if done.returncode != 0:
        raise Mismatch(f"nc ended with {done.returncode}: {done.stderr!r}")
    return done.stdout


def line_reply(value):
    """How a line client gets a value: as one line, or with its length where it has line breaks itself."""
    if b"\n" in value or b"\r" in value:
        return b"$%d\r\n%s\r\n" % (len(value), value)
    return b"+%s\r\n" % value


# --- the daemon ------------------------------------------------------------------------------------------------------


class Daemon:
    """larderd on one data directory, started and stopped as often as the steps want."""

    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = directory
        self.socket = os.path.join(directory, "larder.sock")
        self.process = None

    def start(self, *options):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LARDER_")}
        data = os.path.join(self.directory, "data")
        with open(os.path.join(self.directory, "output"), "ab") as output:
            self.process = subprocess.Popen(
                [self.binary, "--socket", self.socket, "--data", data, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
            )
        give_up = time.monotonic() + HANG_SECONDS
        while True:
            try:
                connection = Resp(self.socket)
                connection.ask(b"PING")
                return connection
            except (OSError, Mismatch) as error:
                if self.process.poll() is not None:
                    raise Mismatch(f"larderd ended with {self.process.returncode} instead of serving:\n{self.output()}")
                if time.monotonic() > give_up:
                    raise Mismatch(f"larderd does not answer: {error}\n{self.output()}") from error
                time.sleep(0.005)

    def stop(self, number):
        self.process.send_signal(number)
        try:
            status = self.process.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Mismatch(f"larderd does not stop on signal {number}") from None
        if number == signal.SIGTERM and status != 0:
            raise Mismatch(f"larderd ended with {status} after SIGTERM:\n{self.output()}")
        self.process = None

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def output(self):
        with open(os.path.join(self.directory, "output"), errors="replace") as output:
            return output.read()[-4000:]


# --- the steps -------------------------------------------------------------------------------------------------------


class Table:
    """Prints one row a step, as it happens, so that a hang shows where it is."""

    def __init__(self):
        self.last = collections.Counter()
        print("| step | records | MiB | s | records/s | MiB/s | " + " | ".join(SHOWN_STATS) + " |")
        print("|---|" + "---:|" * (5 + len(SHOWN_STATS)))

    def restarted(self):
        """Counters begin at zero again."""
        self.last.clear()

    def row(self, step, records, size, seconds, stats):
        """Hits and misses are those of this step; all other statistics are as they are at its end."""
        shown = []
        for name in SHOWN_STATS:
            value = stats.get(name, 0)
            if name.endswith("hits") or name == "misses":
                value, self.last[name] = value - self.last[name], value
            shown.append(f"{value:,}")
        rate, mib = records / max(seconds, 1e-9), size / (1 << 20)
        cells = [step, f"{records:,}", f"{mib:.1f}", f"{seconds:.2f}", f"{rate:,.0f}", f"{mib / max(seconds, 1e-9):.1f}"]
        print("| " + " | ".join(cells + shown) + " |", flush=True)


def batches(items):
    items = list(items)
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def size_of(entries):
    return sum(map(len, entries.values()))


def write_all(connection, entries):
    for batch in batches(entries.items()):
        for (key, _), reply in zip(batch, connection.batch([(b"SET", key, value) for key, value in batch])):
            if reply != b"OK":
                raise Mismatch(f"SET {key!r} answers {reply!r}")


def check_all(connection, entries):
    """Reads every key and compares; a value of None is a key that must be absent."""
    for batch in batches(entries.items()):
        replies = connection.batch([(b"GET", key) for key, _ in batch])
        for (key, want), got in zip(batch, replies):
            if got != want:
                raise Mismatch(f"{key!r} should be\n  {shortened(want)}\nand is\n  {shortened(got)}")


def check_count(connection, expected):
    count = connection.ask(b"DBSIZE")
    if count != expected:
        raise Mismatch(f"DBSIZE is {count}, not {expected}")


def shortened(value):
    if value is None:
        return "absent"
    return repr(value[:300]) + (f"... ({len(value)} bytes)" if len(value) > 300 else "")


def timed(action, *arguments):
    start = time.monotonic()
    result = action(*arguments)
    return time.monotonic() - start, result


def nc_write(path, entries):
    for key, value in entries.items():
        answer = nc(path, b"SET", key, value)
        if answer != b"+OK\r\n":
            raise Mismatch(f"SET {key!r} by nc answers {answer!r}")


def nc_check(path, entries):
    for key, value in entries.items():
        answer = nc(path, b"GET", key)
        if answer != line_reply(value):
            raise Mismatch(f"{key!r} by nc should be\n  {shortened(line_reply(value))}\nand is\n  {shortened(answer)}")


def read_from_memory(connection, entries):
    """Reads all entries until a whole pass is answered by the memory tier; returns its seconds and statistics.

    What was just written is answered by the write buffer until it has been merged, and by the disk until it has been
    read once; both end by themselves.
    """
    give_up = time.monotonic() + HANG_SECONDS
    while True:
        before = connection.stats()
        seconds, _ = timed(check_all, connection, entries)
        after = connection.stats()
        if after["memory_hits"] - before["memory_hits"] == len(entries):
            return seconds, after
        if time.monotonic() > give_up:
            raise Mismatch(f"the memory tier has room for everything but does not answer everything: {after}")


def spread(items, count):
    """At most `count` of the items, from all over the list."""
    items = list(items)
    step = max(1, len(items) // max(1, count))
    return items[::step][:count]


def run(daemon, entries, use_nc):
    table = Table()
    total = size_of(entries)
    # Room for everything twice over, so that "from memory" can mean every single record.
    memory = f"{max(64, 4 * total >> 20) + 64}MiB"
    by_nc = {}
    if use_nc:
        short = [(key, value) for key, value in entries.items() if len(quoted(value)) < LINE_BYTES]
        by_nc = dict(spread(short, NC_RECORDS))
    by_resp = {key: value for key, value in entries.items() if key not in by_nc}

    connection = daemon.start("--memory-cap", memory)
    seconds, _ = timed(write_all, connection, by_resp)
    table.row("load by RESP", len(by_resp), size_of(by_resp), seconds, connection.stats())
    if by_nc:
        seconds, _ = timed(nc_write, daemon.socket, by_nc)
        table.row("load by nc", len(by_nc), size_of(by_nc), seconds, connection.stats())
    check_count(connection, len(entries))

    seconds, _ = timed(check_all, connection, entries)
    table.row("read back", len(entries), total, seconds, connection.stats())
    if by_nc:
        sample = {**by_nc, **dict(spread(by_resp.items(), NC_RECORDS))}
        seconds, _ = timed(nc_check, daemon.socket, sample)
        table.row("read back by nc", len(sample), size_of(sample), seconds, connection.stats())
    seconds, stats = read_from_memory(connection, entries)
    # Passes that did not count are not this row's.
    for name in ("buffer_hits", "memory_hits", "disk_hits"):
        table.last[name] = stats[name]
    table.last["memory_hits"] -= len(entries)
    table.row("read from memory", len(entries), total, seconds, stats)

    connection.close()
    daemon.stop(signal.SIGTERM)
    table.restarted()
    seconds, connection = timed(daemon.start, "--memory-cap", "0")
    table.row("restart, memory off", 0, 0, seconds, connection.stats())
    seconds, _ = timed(check_all, connection, entries)
    stats = connection.stats()
    table.row("read, memory off", len(entries), total, seconds, stats)
    if stats["memory_hits"] != 0:
        raise Mismatch(f"the memory tier is off and has answered: {stats}")
    check_count(connection, len(entries))

    changed = {key: b"changed\n" + value[::-1] for key, value in spread(entries.items(), len(entries) // 10)}
    entries.update(changed)
    total = size_of(entries)
    seconds, _ = timed(write_all, connection, changed)
    table.row("overwrite", len(changed), size_of(changed), seconds, connection.stats())
    daemon.stop(signal.SIGKILL)
    connection.close()
    table.restarted()
    seconds, connection = timed(daemon.start, "--memory-cap", memory)
    table.row("restart after SIGKILL", 0, 0, seconds, connection.stats())
    seconds, _ = timed(check_all, connection, entries)
    table.row("read after SIGKILL", len(entries), total, seconds, connection.stats())
    check_count(connection, len(entries))

    sections = collections.Counter(map(section_of, entries))
    # The largest that is not most of the list.
    section, size = next(
        (found for found in sections.most_common() if found[1] <= len(entries) / 2), sections.most_common(1)[0]
    )
    seconds, deleted = timed(connection.ask, b"DELPAT", b"pkg:" + section + b":*")
    table.row(f"DELPAT pkg:{section.decode()}:*", size, 0, seconds, connection.stats())
    if deleted != size:
        raise Mismatch(f"DELPAT answers {deleted}, the section {section!r} has {size} records")
    remaining = {key: None if section_of(key) == section else value for key, value in entries.items()}
    left = {key: value for key, value in remaining.items() if value is not None}
    seconds, _ = timed(check_all, connection, remaining)
    table.row("read after DELPAT", len(remaining), size_of(left), seconds, connection.stats())
    check_count(connection, len(left))

    daemon.stop(signal.SIGKILL)
    connection.close()
    table.restarted()
    connection = daemon.start("--memory-cap", memory)
    seconds, _ = timed(check_all, connection, remaining)
    table.row("read after another SIGKILL", len(remaining), size_of(left), seconds, connection.stats())
    check_count(connection, len(left))
    connection.close()
    daemon.stop(signal.SIGTERM)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--larderd", required=True, metavar="PATH", help="the daemon to test")
    parser.add_argument("--limit", type=int, metavar="N", help="take only N records")
    parser.add_argument("--keep", action="store_true", help="leave the data directory behind, and say where it is")
    parser.add_argument("--generated", action="store_true", help="make the records up")
    options = parser.parse_args()

    records = list(generated_records(options.limit or 20_000)) if options.generated else dumped_records()
    if options.limit:
        records = spread(records, options.limit)
    entries = keyed(records)
    sizes = sorted(map(len, entries.values()))
    print(
        f"{len(entries):,} records, {size_of(entries) / (1 << 20):.1f} MiB; "
        f"{sizes[0]:,} to {sizes[-1]:,} bytes, median {sizes[len(sizes) // 2]:,}\n"
    )
    use_nc = shutil.which("nc") is not None
    if not use_nc:
        print("nc is not here: its part is skipped (apt-get install netcat-openbsd)")

    directory = tempfile.mkdtemp(prefix="larder-packages-")
    daemon = Daemon(os.path.abspath(options.larderd), directory)
    try:
        run(daemon, entries, use_nc)
        print("\nevery record is as it should be")
    except (Mismatch, OSError) as error:
        print(f"\npackages.py: {error}", file=sys.stderr)
        if daemon.process is not None:
            print(f"output of larderd:\n{daemon.output()}", file=sys.stderr)
        sys.exit(1)
    finally:
        daemon.kill()
        if options.keep:
            print(f"data left in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
