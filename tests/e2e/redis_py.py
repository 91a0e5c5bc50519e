#!/usr/bin/env python3
"""Everyday use of redis-py, with protocol 2, against a Unix socket: redis_py.py SOCKET

Prints one line that starts with "ok:", or the exception of the first call that answered something else.
The calls are plain Redis, so it runs against redis-server just as well. The database is emptied first.
"""

import sys

import redis


def expect(what, got, want):
    if got != want:
        sys.exit(f"{what}: expected {want!r}, got {got!r}")


def expect_error(what, text, call):
    try:
        got = call()
    except redis.ResponseError as error:
        if text not in str(error):
            sys.exit(f"{what}: expected an error with {text!r}, got {error}")
    else:
        sys.exit(f"{what}: expected an error with {text!r}, got {got!r}")


def main():
    client = redis.Redis(unix_socket_path=sys.argv[1], protocol=2, socket_timeout=60)
    expect("ping", client.ping(), True)
    expect("flushall", client.flushall(), True)

    expect("set", client.set("k", "v"), True)
    expect("get", client.get("k"), b"v")
    expect("get nothing", client.get("nothing"), None)
    expect("set nx", client.set("k", "x", nx=True), None)
    expect("set xx", client.set("nothing", "x", xx=True), None)
    expect("set get", client.set("k", "v2", get=True), b"v")
    everything = bytes(range(256)) * 100
    expect("set bytes", client.set("bytes", everything), True)
    expect("get bytes", client.get("bytes"), everything)

    expect("ttl none", client.ttl("k"), -1)
    expect("ttl absent", client.ttl("nothing"), -2)
    expect("set ex", client.set("timed", "v", ex=100), True)
    expect("ttl", client.ttl("timed") in (99, 100), True)
    expect("pttl", 90_000 <= client.pttl("timed") <= 100_000, True)
    expect("set keepttl", client.set("timed", "v2", keepttl=True), True)
    expect("ttl kept", client.ttl("timed") in (99, 100), True)
    expect("persist", client.persist("timed"), True)
    expect("ttl persisted", client.ttl("timed"), -1)
    expect("expire", client.expire("timed", 50), True)
    expect("ttl expire", client.ttl("timed") in (49, 50), True)
    expect("expire absent", client.expire("nothing", 50), False)

    expect("mset", client.mset({"a": "1", "b": "2"}), True)
    expect("mget", client.mget("a", "nothing", "b"), [b"1", None, b"2"])
    expect("incr", client.incr("n"), 1)
    expect("incr by", client.incr("n", 41), 42)
    expect("decr", client.decr("n", 2), 40)
    expect_error("incr text", "not an integer", lambda: client.incr("k"))

    expect("exists", client.exists("a", "b", "nothing"), 2)
    expect("delete", client.delete("a", "b", "nothing"), 2)
    expect("dbsize", client.dbsize(), 4)
    expect("in", "k" in client, True)
    client["item"] = "v"
    expect("item", client["item"], b"v")

    with client.pipeline(transaction=False) as pipeline:
        for number in range(1_000):
            pipeline.set(f"p:{number}", number)
        for number in range(1_000):
            pipeline.get(f"p:{number}")
        replies = pipeline.execute()
    expect("pipeline", replies, [True] * 1_000 + [b"%d" % number for number in range(1_000)])

    expect_error("unknown", "unknown command", lambda: client.execute_command("NOSUCH"))
    expect("ping after an error", client.ping(), True)
    expect("info", client.info()["redis_version"].startswith("7."), True)
    expect("config get", sorted(client.config_get("save")), ["save"])

    decoding = redis.Redis(unix_socket_path=sys.argv[1], protocol=2, decode_responses=True, health_check_interval=1)
    expect("decoded", decoding.get("k"), "v2")
    expect("flushdb", decoding.flushdb(), True)
    expect("dbsize after flushdb", decoding.dbsize(), 0)
    print(f"ok: redis-py {redis.__version__}, protocol 2")


if __name__ == "__main__":
    main()
