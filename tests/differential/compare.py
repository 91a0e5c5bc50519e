"""Whether two replies to the same request are the same, for the ways in which they may differ.

`exact` is the rule. The others are named in the grammar, command by command, where the answer depends on the time, on
chance, or on which program answers; errors are always compared word for word.
"""

TOLERANCE_SECONDS = 3


def same(mode, redis, larder):
    if redis == larder:
        return True
    if redis[0] != larder[0]:
        return False
    if mode == "exact" or redis[0] in ("-", "EOF"):
        return False
    return MODES[mode](redis, larder)


def within(tolerance):
    """Times: equal signs, and about equal where positive."""

    def close(redis, larder):
        if redis[0] != ":" or redis[1] <= 0 or larder[1] <= 0:
            return redis == larder
        return abs(redis[1] - larder[1]) <= tolerance

    return close


def shape(redis, larder):
    """The same types all the way down; integers, strings and simple strings may hold anything."""
    kind, content = redis
    if kind != larder[0] or (content is None) != (larder[1] is None):
        return False
    if kind in "*~>%" and content is not None:
        return len(content) == len(larder[1]) and all(map(shape, content, larder[1]))
    return True


def kind_only(_redis, _larder):
    """The type bytes are equal already: an array or a text that each program fills with its own."""
    return True


def at_most(redis, larder):
    """DBSIZE: Redis counts the keys that it stored with a time already past, until it comes upon them."""
    return redis[0] == ":" and larder[1] <= redis[1]


def unordered(redis, larder):
    if redis[1] is None or larder[1] is None or redis[0] not in "*~":
        return redis == larder
    return sorted(map(repr, redis[1])) == sorted(map(repr, larder[1]))


def page(redis, larder):
    """SCAN: a cursor and an array of strings; which ones come first is each program's own affair."""

    def is_page(reply):
        elements = reply[1]
        return (
            reply[0] == "*"
            and len(elements) == 2
            and elements[0][0] == "$"
            and elements[0][1].isdigit()
            and elements[1][0] == "*"
            and all(key[0] == "$" for key in elements[1][1])
        )

    return is_page(redis) and is_page(larder)


def whole(redis, larder):
    """SCAN with a COUNT above the number of keys: everything at once, and the cursor 0."""
    return page(redis, larder) and redis[1][0] == larder[1][0] and unordered(redis[1][1], larder[1][1])


def names(redis, larder):
    """HELLO: the same fields in the same order; server, version and id are each program's own."""
    return [field for field in redis[1][::2]] == [field for field in larder[1][::2]] and shape(redis, larder)


MODES = {
    "seconds": within(TOLERANCE_SECONDS),
    "milliseconds": within(TOLERANCE_SECONDS * 1_000),
    "shape": shape,
    "kind": kind_only,
    "at most": at_most,
    "unordered": unordered,
    "page": page,
    "whole": whole,
    "names": names,
}


def same_executed(modes, redis, larder):
    """EXEC: element by element, each as its own command is compared."""
    if redis[0] != larder[0] or redis[0] != "*" or redis[1] is None or larder[1] is None:
        return redis == larder
    if len(redis[1]) != len(larder[1]) or len(redis[1]) != len(modes):
        return redis == larder
    return all(map(same, modes, redis[1], larder[1]))
