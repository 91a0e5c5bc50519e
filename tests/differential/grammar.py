"""What may be sent: every command with its arguments, how often, and how its replies are compared.

An argument is a function from the random source to a list of words, so that an option can be absent, one word, or
two. `generate` builds a session: steps on two connections, most of them single commands from the table, some of them
episodes (a transaction, messages between the two, a key that expires while both wait). About one command in eight is
spoiled on purpose: a word missing, added, doubled, or replaced by one that is no number, no option, or too large.

Expiry times are either past, or so far off that nothing expires while a session runs (the `expires` episode apart):
the two servers never run at exactly the same time.
"""

import time

INT_MAX = 2**63 - 1

KEYS = [b"k%d" % n for n in range(8)] + [b"user:1", b"user:2", b"", b"\x00\xff\r\n", b"k*[a]?", b"long" * 60]
VALUES = [
    *(b"0", b"1", b"-1", b"10", b"007", b"-0", b"+5", b" 5", b"5 ", b"1.5", b"3.0e2", b"-1.25", b"1e400", b"nan"),
    *(b"%d" % INT_MAX, b"%d" % (-INT_MAX - 1), b"%d" % (INT_MAX + 1), b"9223372036854775800", b"0.1", b"inf"),
    *(b"", b"hello", b"hello world", b"\x00\x01\xfe\xff", b"a\r\nb", b"x" * 44, b"x" * 45, b"long" * 800),
]
ODD = [
    *(b"", b"abc", b"0", b"-1", b"1.5", b" 7", b"7 ", b"+7", b"0x10", b"1e3", b"00", b"-0", b"nan", b"\xff"),
    *(b"%d" % INT_MAX, b"%d" % (INT_MAX + 1), b"%d" % (-INT_MAX - 1), b"%d" % (-INT_MAX - 2), b"9" * 30, b"y" * 200),
    *(b"NX", b"XX", b"GT", b"GET", b"KEEPTTL", b"PERSIST", b"MATCH", b"COUNT", b"TYPE", b"REPLACE", b"nosuch"),
]
PATTERNS = [b"*", b"k*", b"k?", b"k[0-3]", b"k[^0-3]", b"user:*", b"*:*", b"k\\*\\[a\\]\\?", b"nothing*", b"", b"[", b"?"]
# No `**`: Redis matches it with everything but the empty key.
PATTERNS += [b"k[0-", b"k[3-0]", b"\\", b"k**", b"*[]*", b"k[\\0]", b"\x00*"]
CHANNELS = [b"news", b"news.art", b"weather", b"\xff\x00"]
CHANNEL_PATTERNS = [b"news*", b"*", b"w?ather", b"nothing"]


def word(*words):
    """One of these, as one word."""
    return lambda rng: [rng.choice(words)]


def maybe(argument, chance=0.5):
    return lambda rng: argument(rng) if rng.random() < chance else []


def many(argument, least, most):
    return lambda rng: [part for _ in range(rng.randint(least, most)) for part in argument(rng)]


def both(*arguments):
    return lambda rng: [part for argument in arguments for part in argument(rng)]


def one_of(*arguments):
    return lambda rng: rng.choice(arguments)(rng)


def shuffled(*arguments):
    """Options, in any order."""

    def words(rng):
        chosen = [argument(rng) for argument in arguments]
        rng.shuffle(chosen)
        return [part for option in chosen for part in option]

    return words


def now():
    return int(time.time() * 1_000)


KEY = word(*KEYS)
VALUE = word(*VALUES)
PATTERN = word(*PATTERNS)
PAIR = both(KEY, VALUE)
# Whole numbers, some at the edge of 64 bits, some that are none.
NUMBER = word(b"1", b"-1", b"5", b"0", b"100", b"%d" % INT_MAX, b"%d" % (-INT_MAX - 1), b"abc", b"1.0", b"")
FLOAT = word(b"0.1", b"1", b"-2.5", b"3e2", b"1e-7", b"5e300", b"1e5000", b"inf", b"-inf", b"nan", b"abc", b"", b" 1", b"0x10")
INDEX = word(b"0", b"1", b"-1", b"3", b"-3", b"100", b"-100", b"%d" % INT_MAX, b"%d" % (-INT_MAX - 1), b"x")
OFFSET = word(b"0", b"1", b"5", b"100", b"-1", b"536870911", b"536870912", b"%d" % INT_MAX, b"x")
# Durations from now, seldom the same one twice: GT and LT would depend on the millisecond. The largest are at the edge where now + duration, in milliseconds, no longer fits in 64 bits.
SECONDS = one_of(
    lambda rng: [b"%d" % (100 + 10 * rng.randrange(10**7))],
    word(b"0", b"-1", b"abc", b"", b"1.5", b"9223372036854776"),
    word(b"9223372036854775", b"%d" % INT_MAX, b"%d" % (-INT_MAX - 1), b"-9223372036854776"),
    lambda rng: [b"%d" % ((INT_MAX - now()) // 1_000 + rng.choice([-1_000, 1_000]) - 10 * rng.randrange(10**4))],
)
MILLISECONDS = one_of(
    lambda rng: [b"%d" % (100_000 + 10_000 * rng.randrange(10**7))],
    word(b"0", b"-1", b"abc", b"", b"%d" % INT_MAX, b"%d" % (-INT_MAX - 1)),
    lambda rng: [b"%d" % (INT_MAX - now() + rng.choice([-1_000_000, 1_000_000]) - 10_000 * rng.randrange(10**4))],
)
AT_SECONDS = word(b"2000000000", b"4102444800", b"1", b"1600000000", b"0", b"-1", b"x", b"9223372036854775", b"9223372036854776", b"%d" % INT_MAX)
AT_MILLISECONDS = word(b"2000000000001", b"4102444800000", b"1", b"1600000000000", b"0", b"-1", b"x", b"%d" % INT_MAX)
EXPIRY = one_of(
    both(word(b"EX"), SECONDS),
    both(word(b"PX"), MILLISECONDS),
    both(word(b"EXAT"), AT_SECONDS),
    both(word(b"PXAT"), AT_MILLISECONDS),
)
EXPIRE_IF = many(word(b"NX", b"XX", b"GT", b"LT"), 0, 2)


class Command:
    """Words of the name, arguments, how often, how compared, and whether it may be spoiled."""

    def __init__(self, name, weight, *arguments, mode="exact", spoil=True, alone=False):
        self.name = name.encode().split()
        self.weight = weight
        self.arguments = arguments
        self.mode = mode
        self.spoil = spoil
        # Not inside MULTI: what it does to the connection would change what the replies mean.
        self.alone = alone

    def words(self, rng):
        return self.name + [part for argument in self.arguments for part in argument(rng)]


TABLE = [
    # Strings.
    Command("get", 30, KEY),
    Command("set", 30, KEY, VALUE),
    Command(
        "set", 40, KEY, VALUE,
        shuffled(maybe(one_of(EXPIRY, word(b"KEEPTTL"))), maybe(word(b"NX", b"XX"), 0.3), maybe(word(b"GET"), 0.3)),
    ),
    Command("set", 5, KEY, VALUE, many(one_of(EXPIRY, word(b"NX", b"XX", b"GET", b"KEEPTTL", b"nosuch")), 2, 4)),
    Command("setnx", 5, KEY, VALUE),
    Command("setex", 6, KEY, SECONDS, VALUE),
    Command("psetex", 6, KEY, MILLISECONDS, VALUE),
    Command("getset", 5, KEY, VALUE),
    Command("getdel", 5, KEY),
    Command("getex", 12, KEY, maybe(one_of(EXPIRY, word(b"PERSIST")), 0.8)),
    Command("mget", 8, many(KEY, 1, 5)),
    Command("mset", 6, many(PAIR, 1, 4)),
    Command("msetnx", 5, many(PAIR, 1, 3)),
    Command("append", 10, KEY, VALUE),
    Command("strlen", 8, KEY),
    Command("getrange", 10, KEY, INDEX, INDEX),
    Command("substr", 2, KEY, INDEX, INDEX),
    Command("setrange", 8, KEY, word(b"0", b"1", b"5", b"100", b"-1", b"536870912", b"%d" % INT_MAX, b"x"), VALUE),
    Command("setrange", 1, KEY, OFFSET, word(b""), spoil=False),
    Command("incr", 12, KEY),
    Command("decr", 8, KEY),
    Command("incrby", 10, KEY, NUMBER),
    Command("decrby", 10, KEY, NUMBER),
    Command("incrbyfloat", 12, KEY, FLOAT),
    Command("lcs", 2, KEY, KEY, maybe(word(b"LEN", b"IDX", b"WITHMATCHLEN"))),
    # Keyspace.
    Command("del", 6, many(KEY, 1, 3)),
    Command("unlink", 4, many(KEY, 1, 3)),
    Command("exists", 6, many(KEY, 1, 4)),
    Command("touch", 4, many(KEY, 1, 4)),
    Command("type", 6, KEY),
    Command("expire", 12, KEY, SECONDS, EXPIRE_IF),
    Command("pexpire", 12, KEY, MILLISECONDS, EXPIRE_IF),
    Command("expireat", 10, KEY, AT_SECONDS, EXPIRE_IF),
    Command("pexpireat", 10, KEY, AT_MILLISECONDS, EXPIRE_IF),
    Command("persist", 8, KEY),
    Command("ttl", 10, KEY, mode="seconds"),
    Command("pttl", 10, KEY, mode="milliseconds"),
    Command("expiretime", 8, KEY, mode="seconds"),
    Command("pexpiretime", 8, KEY, mode="milliseconds"),
    Command("keys", 5, PATTERN, mode="unordered"),
    Command("scan", 4, word(b"0"), both(word(b"COUNT"), word(b"1000", b"100000")), maybe(both(word(b"MATCH"), PATTERN)), mode="whole", spoil=False),
    Command(
        "scan", 6, word(b"0", b"0", b"x", b"-1", b"99999999999999999999", b"18446744073709551615", b""),
        shuffled(
            maybe(both(word(b"MATCH"), PATTERN)),
            maybe(both(word(b"COUNT"), word(b"1", b"10", b"0", b"-1", b"x", b"%d" % (INT_MAX + 1)))),
            maybe(both(word(b"TYPE"), word(b"string", b"STRING", b"list", b"nosuch"))),
        ),
        mode="page",
    ),
    Command("randomkey", 2, mode="shape"),
    Command("rename", 6, KEY, KEY),
    Command("renamenx", 6, KEY, KEY),
    Command("copy", 8, KEY, KEY, shuffled(maybe(word(b"REPLACE")), maybe(both(word(b"DB"), word(b"0", b"1", b"x")), 0.2))),
    Command("dbsize", 4, mode="at most"),
    Command("flushdb", 1, maybe(word(b"SYNC", b"ASYNC", b"nosuch"))),
    Command("flushall", 1, maybe(word(b"SYNC", b"ASYNC", b"nosuch"))),
    Command("object encoding", 5, KEY),
    Command("object freq", 1, KEY),
    Command("object idletime", 3, KEY, mode="shape"),
    Command("object refcount", 2, KEY),
    Command("object help", 1, mode="kind"),
    Command("object", 1, word(b"nosuch", b"encoding"), KEY, KEY),
    Command("memory usage", 3, KEY, maybe(both(word(b"SAMPLES"), word(b"0", b"5", b"-1", b"x"))), mode="shape"),
    Command("memory", 1, word(b"nosuch", b"usage"), mode="shape"),
    # The ends of transactions, where there is none: MULTI itself comes with the `transaction` episode.
    Command("exec", 2),
    Command("discard", 2),
    Command("watch", 3, many(KEY, 1, 3)),
    Command("unwatch", 3),
    # The connection and the server.
    Command("ping", 4, maybe(VALUE)),
    Command("echo", 4, VALUE),
    Command("select", 4, word(b"0", b"1", b"-1", b"x", b"", b"99999999999999999999")),
    Command("hello", 4, maybe(word(b"2", b"3", b"4", b"1", b"x", b"")), mode="names", alone=True),
    Command("hello", 2, word(b"2", b"3"), shuffled(maybe(both(word(b"SETNAME"), word(b"me", b"a b", b"")))), mode="names", alone=True, spoil=False),
    Command("hello", 1, word(b"3"), word(b"AUTH", b"SETNAME", b"nosuch"), mode="names", alone=True, spoil=False),
    Command("auth", 1, many(word(b"default", b"secret"), 0, 3)),
    Command("reset", 1, alone=True),
    Command("time", 2, mode="shape"),
    Command("lastsave", 1, mode="shape"),
    Command("info", 2, maybe(word(b"server", b"SERVER", b"memory", b"nosuch", b"all")), mode="kind"),
    Command("client id", 2, mode="shape"),
    Command("client getname", 3),
    Command("client setname", 3, word(b"me", b"", b"a b", b"a\nb", b"\xff", b"n" * 100)),
    Command("client info", 1, mode="kind"),
    Command("client list", 1, maybe(one_of(both(word(b"TYPE"), word(b"normal", b"pubsub", b"nosuch")), both(word(b"ID"), word(b"x", b"999999")))), mode="kind"),
    Command("client no-evict", 2, word(b"on", b"OFF", b"nosuch")),
    Command("client reply", 1, word(b"ON", b"nosuch"), spoil=False),
    Command("client kill", 2, one_of(word(b"nosuch", b"127.0.0.1:1"), both(word(b"ID", b"LADDR", b"ADDR", b"TYPE", b"USER", b"nosuch"), word(b"99999999", b"x", b"nosuch")))),
    Command("client unblock", 1, word(b"99999999", b"x"), maybe(word(b"ERROR", b"TIMEOUT", b"nosuch"))),
    Command("client pause", 1, word(b"0", b"x", b"-1", b""), maybe(word(b"ALL", b"WRITE", b"nosuch")), spoil=False),
    Command("client unpause", 1),
    Command("client", 1, word(b"nosuch", b"setname", b"kill"), many(VALUE, 0, 2)),
    Command("client help", 1, mode="kind"),
    Command("command count", 1, mode="shape"),
    Command("command info", 1, many(word(b"nosuch", b"get|x"), 1, 3), spoil=False),
    Command("command docs", 1, many(word(b"nosuch"), 1, 3), spoil=False),
    Command("command getkeys", 4, one_of(both(word(b"get", b"GET", b"ttl"), KEY), both(word(b"mset"), many(PAIR, 1, 3)), both(word(b"del"), many(KEY, 1, 3)), both(word(b"nosuch", b"ping", b"get", b"mset"), many(KEY, 0, 3)))),
    Command("command", 1, word(b"nosuch", b"getkeys"), mode="kind"),
    Command("config get", 2, many(word(b"nosuch", b"no*such"), 1, 2)),
    Command("config get", 1, word(b"save", b"appendonly", b"maxmemory", b"SAVE", b"timeout"), mode="shape", spoil=False),
    Command("config set", 2, word(b"nosuch", b"also-nosuch"), VALUE),
    Command("config set", 1, word(b"maxmemory"), word(b"abc", b"-1x", b""), spoil=False),
    Command("config resetstat", 1),
    Command("config", 1, word(b"nosuch", b"get", b"set")),
    Command("slowlog len", 1, mode="shape"),
    Command("slowlog get", 2, word(b"0", b"x", b"-2"), mode="kind"),
    Command("slowlog", 1, word(b"nosuch", b"reset"), maybe(VALUE)),
    Command("latency", 2, word(b"reset", b"nosuch", b"history"), maybe(word(b"nosuch"))),
    Command("latency latest", 1),
    Command("debug", 1, word(b"nosuch"), spoil=False),
    Command("nosuch", 2, many(VALUE, 0, 4)),
    Command("", 1, many(KEY, 0, 1)),
    # Messages; SUBSCRIBE comes with the `messages` episode.
    Command("publish", 4, word(*CHANNELS), VALUE),
    Command("pubsub channels", 3, maybe(word(*CHANNEL_PATTERNS)), mode="unordered"),
    Command("pubsub numsub", 3, many(word(*CHANNELS), 0, 3)),
    Command("pubsub numpat", 2),
    Command("pubsub", 1, word(b"nosuch", b"numpat", b"numsub"), maybe(VALUE)),
    Command("unsubscribe", 1, many(word(*CHANNELS), 0, 2), alone=True),
    Command("punsubscribe", 1, many(word(*CHANNEL_PATTERNS), 0, 2), alone=True),
    # Scripts: what neither server has.
    Command("evalsha", 2, word(b"f" * 40, b"F" * 40, b"short"), one_of(both(word(b"1"), KEY), word(b"0", b"-1", b"x", b"5"))),
    Command("eval", 1, word(b"return 1"), word(b"-1", b"x", b"5")),
    Command("script exists", 2, many(word(b"f" * 40, b"short", b""), 1, 3)),
    Command("script flush", 1, maybe(word(b"SYNC", b"ASYNC", b"nosuch"))),
    Command("script", 1, word(b"nosuch", b"load", b"exists", b"kill"), maybe(word(b"nosuch"))),
]


class Step:
    """Something done to both servers: words sent on a connection, raw bytes, or a wait (`connection` is None)."""

    def __init__(self, connection, words=None, mode="exact", raw=None, pause=0.0, silent=False):
        # Where no reply is to come: CLIENT REPLY OFF and SKIP.
        self.silent = silent
        self.connection = connection
        self.words = words
        self.mode = mode
        self.raw = raw
        self.pause = pause


# Broken frames: an error, and the end of the connection.
BROKEN = [
    b"*x\r\n", b"*1\r\nx\r\n", b"*1\r\n$x\r\n", b"*1\r\n$-1\r\n", b"*99999999999\r\n", b"*1\r\n$99999999999\r\n",
    b"*2147483648\r\n", b"*1\r\n\r\n", b"*1\r\n:1\r\n", b"*1 \r\n", b"*1\r\n$4 \r\nPING\r\n",
]
# Frames that hold nothing and get no reply.
EMPTY = [b"*0\r\n", b"*-1\r\n", b"\r\n", b"*-10\r\n"]


class Grammar:
    """The table without the commands one of the servers lacks."""

    def __init__(self, available):
        self.commands = [command for command in TABLE if self._offered(command, available)]
        missing = {command.name[0].decode() for command in TABLE if command.name and not self._offered(command, available)}
        self.missing = sorted(missing)
        self.inside = [command for command in self.commands if not command.alone]
        self.available = available

    @staticmethod
    def _offered(command, available):
        name = command.name[0] if command.name else b""
        return name in available or name in (b"", b"nosuch")

    def step(self, rng, connection, commands=None):
        commands = commands or self.commands
        command = rng.choices(commands, [command.weight for command in commands])[0]
        words = command.words(rng) or [b""]
        if command.spoil and rng.random() < 0.12:
            words = spoiled(rng, words)
        if rng.random() < 0.4:
            words = [rng.choice([words[0].upper(), words[0].title()])] + words[1:]
        if rng.random() < 0.1:
            words = words[:1] + [part.lower() if part.isalpha() and part.isupper() else part for part in words[1:]]
        return Step(connection, words, command.mode)

    def has(self, *names):
        return all(name in self.available for name in names)

    def generate(self, rng, length):
        steps = [Step(0, [b"FLUSHALL"])]
        while len(steps) < length:
            connection = 1 if rng.random() < 0.15 else 0
            chance = rng.random()
            if chance < 0.02 and self.has(b"multi", b"exec", b"watch", b"discard"):
                steps += self.transaction(rng, connection)
            elif chance < 0.03 and self.has(b"subscribe", b"publish"):
                steps += self.messages(rng)
            elif chance < 0.032:
                steps += self.expires(rng, connection)
            elif chance < 0.037:
                steps.append(Step(connection, raw=rng.choice(EMPTY)))
            elif chance < 0.041 and self.has(b"client"):
                steps += self.quiet(rng, connection)
            else:
                # Runs on one connection: a change of connection waits for all replies.
                steps += [self.step(rng, connection) for _ in range(rng.randint(1, 30))]
        # Subscribed or inside MULTI as the connections may be.
        for connection in (0, 1):
            steps.append(Step(connection, raw=rng.choice(BROKEN)) if rng.random() < 0.3 else Step(connection, [b"QUIT"]))
        return steps

    def transaction(self, rng, connection):
        other = 1 - connection
        steps = []
        if rng.random() < 0.6:
            steps.append(Step(connection, [b"WATCH"] + many(KEY, 1, 3)(rng)))
        if rng.random() < 0.5:
            steps += [self.step(rng, other, self.inside) for _ in range(rng.randint(1, 4))]
        steps.append(Step(connection, [b"MULTI"]))
        for _ in range(rng.randint(0, 8)):
            step = self.step(rng, connection, self.inside)
            steps.append(step)
            if rng.random() < 0.05:
                steps += [self.step(rng, other, self.inside) for _ in range(rng.randint(1, 4))]
        steps.append(Step(connection, rng.choices([[b"EXEC"], [b"DISCARD"], [b"EXEC", b"x"], [b"MULTI"]], [16, 2, 1, 1])[0]))
        steps.append(Step(connection, [b"DISCARD"]))
        return steps

    def messages(self, rng):
        """Connection 1 listens, connection 0 speaks; and now and then the listener tries something else."""
        steps = []
        for _ in range(rng.randint(2, 8)):
            chance = rng.random()
            if chance < 0.4:
                name, pool = rng.choice([(b"SUBSCRIBE", CHANNELS), (b"PSUBSCRIBE", CHANNEL_PATTERNS)])
                steps.append(Step(1, [name] + many(word(*pool), 1, 3)(rng)))
            elif chance < 0.8:
                steps.append(Step(0, [b"PUBLISH", rng.choice(CHANNELS), rng.choice(VALUES)]))
            elif chance < 0.9:
                name, pool = rng.choice([(b"UNSUBSCRIBE", CHANNELS), (b"PUNSUBSCRIBE", CHANNEL_PATTERNS)])
                steps.append(Step(1, [name] + many(word(*pool), 0, 2)(rng)))
            else:
                steps.append(self.step(rng, 1, self.inside))
        steps += [Step(1, [b"PING"]), Step(1, [b"UNSUBSCRIBE"]), Step(1, [b"PUNSUBSCRIBE"])]
        return steps

    def quiet(self, rng, connection):
        """Commands whose replies the client has asked not to get."""
        steps = [self.step(rng, connection, self.inside) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.5:
            before, after = [b"CLIENT", b"REPLY", b"OFF"], [Step(connection, [b"CLIENT", b"REPLY", b"ON"])]
        else:
            before, after, steps = [b"CLIENT", b"REPLY", b"SKIP"], [], steps[:1]
        # What says something about replies itself would change what is expected here.
        steps = [step for step in steps if step.words[0].lower() != b"client"]
        if not steps:
            return []
        for step in steps:
            step.silent = True
        return [Step(connection, before, silent=True), *steps, *after, Step(connection, [b"PING"])]

    def expires(self, rng, connection):
        """A key that is gone after a wait, watched or not."""
        key = rng.choice(KEYS)
        steps = []
        watched = rng.random() < 0.3 and self.has(b"watch", b"multi", b"exec")
        # Long enough that WATCH still finds it, on a busy machine too.
        length = 400 if watched else 20
        milliseconds = b"%d" % length
        short = [b"SET", key, b"v", b"PX", milliseconds] if rng.random() < 0.5 else [b"PSETEX", key, milliseconds, b"v"]
        steps.append(Step(connection, short))
        if watched:
            steps.append(Step(connection, [b"WATCH", key]))
        steps.append(Step(None, pause=length / 1_000 + 0.04))
        if watched:
            steps += [Step(connection, [b"MULTI"]), Step(connection, [b"GET", key]), Step(connection, [b"EXEC"])]
        gone = [[b"GET", key], [b"TTL", key], [b"EXISTS", key], [b"TYPE", key], [b"INCR", key], [b"EXPIRE", key, b"100"]]
        gone += [[b"SET", key, b"w", b"XX"], [b"APPEND", key, b"x"], [b"RENAME", key, key], [b"PERSIST", key]]
        gone += [[b"SET", key, b"w", b"KEEPTTL"], [b"DEL", key], [b"COPY", key, b"k1"], [b"STRLEN", key]]
        steps += [Step(connection, words) for words in rng.sample(gone, 3) if words[0].lower() in self.available]
        return steps


def spoiled(rng, words):
    words = list(words)
    at = rng.randrange(len(words))
    how = rng.choice(["drop", "drop last", "add", "add last", "replace", "double", "many"])
    if how == "drop" and at > 0:
        del words[at]
    elif how == "drop last" and len(words) > 1:
        words.pop()
    elif how == "add" and at > 0:
        words.insert(at, rng.choice(ODD))
    elif how == "replace" and at > 0:
        words[at] = rng.choice(ODD)
    elif how == "double" and at > 0:
        words[at:at] = words[at:]
    elif how == "many":
        words += rng.choices(ODD, k=rng.randint(2, 5))
    else:
        words.append(rng.choice(ODD))
    return words
