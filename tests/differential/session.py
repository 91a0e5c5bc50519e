"""One session: the same steps sent to both servers, and the first difference between what they answer."""

import itertools
import time

import resp
from compare import same, same_executed
from grammar import BROKEN

# Steps sent at once; more only makes the buffers larger.
BATCH = 50
CONFIRMATIONS = {b"subscribe": 1, b"psubscribe": 1, b"unsubscribe": -1, b"punsubscribe": -1}


def is_broken(step):
    return step.raw in BROKEN


class Peer:
    """A connection to one server, and what is subscribed to on it."""

    def __init__(self, path, protocol):
        self.connection = resp.Connection(path)
        self.subscribed = {b"subscribe": set(), b"psubscribe": set()}
        self.messages = []
        if protocol == 3:
            self.connection.send(resp.encode([b"HELLO", b"3"]))
            self.connection.read()

    def frame(self):
        """The next frame that answers something; messages are put aside."""
        while True:
            frame = self.connection.read()
            kind = self._kind(frame)
            if kind in (b"message", b"pmessage") and any(self.subscribed.values()):
                self.messages.append(frame)
                continue
            if kind in CONFIRMATIONS and len(frame[1]) == 3:
                names = self.subscribed[kind.replace(b"unsub", b"sub")]
                (names.add if CONFIRMATIONS[kind] > 0 else names.discard)(frame[1][1][1])
            return frame

    @staticmethod
    def _kind(frame):
        if frame[0] in "*>" and frame[1] and frame[1][0][0] == "$":
            return frame[1][0][1]
        return None

    def answer(self, step):
        """All frames that answer a step, as a list: mostly one, none for an empty frame."""
        if step.raw is not None:
            return self._rest() if is_broken(step) else []
        if step.silent:
            return []
        name = step.words[0].lower() if step.words else b""
        before = len(self.subscribed.get(name.replace(b"unsub", b"sub"), ())) if name in CONFIRMATIONS else 0
        frames = [self.frame()]
        if name == b"quit":
            return frames + self._rest()
        if name == b"reset" and frames[0] == ("+", b"RESET"):
            self.subscribed = {b"subscribe": set(), b"psubscribe": set()}
        if name in CONFIRMATIONS and self._kind(frames[0]) == name:
            expected = len(step.words) - 1 or max(1, before)
            frames += [self.frame() for _ in range(expected - 1)]
        return frames

    def _rest(self):
        frames = []
        while not frames or frames[-1] != resp.EOF:
            frames.append(self.frame())
        return frames


def grouped(messages):
    """The copies of one message for several patterns come in no particular order: here, by pattern."""
    parts = itertools.groupby(messages, lambda frame: [part[1] for part in (frame[1][0], *frame[1][-2:])])
    return [frame for _, copies in parts for frame in sorted(copies, key=lambda frame: frame[1][1][1])]


class Difference:
    """The step at which the servers answered differently, and both answers as text."""

    def __init__(self, at, request, redis, larder):
        self.at = at
        self.request = request
        self.redis = redis
        self.larder = larder

    def kind(self):
        """What a smaller sequence has to show as well: the command, and how the answers begin. A connection that is
        gone may take the answers of other commands with it."""
        if self.larder == "EOF":
            return "a connection closed by larder"
        return self.request.split(" ")[0], self.redis[:12], self.larder[:12]

    def needed(self, steps):
        """The steps up to the difference; where the connection was closed, the cause may stand later in the batch."""
        if self.request == "(messages)":
            return steps
        return steps[: self.at + (BATCH if self.larder == "EOF" else 1)]


class Session:
    def __init__(self, redis_path, larder_path, protocol, known):
        self.paths = (redis_path, larder_path)
        self.protocol = protocol
        self.known = known
        self.sent = 0

    def run(self, steps):
        """The first difference that known.txt does not cover, or None."""
        for path in self.paths:
            self._prepare(path)
        peers = [[Peer(path, self.protocol) for path in self.paths] for _ in range(2)]
        self.queued = [[], []]
        try:
            return self._run(steps, peers)
        finally:
            for pair in peers:
                for peer in pair:
                    peer.connection.close()

    @staticmethod
    def _prepare(path):
        """An empty database, and nobody subscribed: the last session's connections may take a moment to be gone."""
        connection = resp.Connection(path)
        connection.send(resp.encode([b"FLUSHALL"]))
        connection.read()
        while True:
            connection.send(resp.encode([b"PUBSUB", b"NUMPAT"]) + resp.encode([b"PUBSUB", b"CHANNELS"]))
            patterns, channels = connection.read(), connection.read()
            if patterns[0] == "-" or (patterns[1] == 0 and not channels[1]):
                break
            time.sleep(0.001)
        connection.close()

    def _run(self, steps, peers):
        at = 0
        while at < len(steps):
            first = steps[at]
            if first.connection is None:
                time.sleep(first.pause)
                at += 1
                continue
            end = at + 1
            # What ends a connection goes alone: an answer that is still on its way would be lost with it.
            while (
                end < len(steps)
                and end - at < BATCH
                and steps[end].connection == first.connection
                and not is_broken(steps[end])
            ):
                end += 1
            pair = peers[first.connection]
            data = b"".join(step.raw if step.raw is not None else resp.encode(step.words) for step in steps[at:end])
            for peer in pair:
                peer.connection.send(data, last=is_broken(steps[end - 1]))
            self.sent += end - at
            answers = [[peer.answer(step) for step in steps[at:end]] for peer in pair]
            for offset, (redis, larder) in enumerate(zip(*map(self._in_order, answers))):
                outcome = self._check(at + offset, steps[at + offset], redis, larder)
                if outcome is not None:
                    return None if outcome == "stop" else outcome
            at = end
        for pair in peers:
            redis, larder = (grouped(peer.messages) for peer in pair)
            if redis != larder:
                shown = [str([resp.show(message) for message in messages]) for messages in (redis, larder)]
                return Difference(len(steps) - 1, "(messages)", *shown)
        return None

    @staticmethod
    def _in_order(answers):
        """UNSUBSCRIBE from everything names the channels in no particular order: here, by name."""
        for frames in answers:
            if len(frames) > 1 and all(frame[0] in "*>" and len(frame[1] or []) == 3 for frame in frames):
                if frames[0][1][0][1] in (b"unsubscribe", b"punsubscribe"):
                    names = sorted((frame[1][1] for frame in frames), key=lambda name: name[1] or b"")
                    frames[:] = [(f[0], [f[1][0], name, f[1][2]]) for f, name in zip(frames, names)]
        return answers

    def _check(self, at, step, redis, larder):
        """None where the answers are alike or known to differ, "stop" where the known difference changes what
        follows, else the difference."""
        name = step.words[0].lower() if step.words else b""
        queue = self.queued[step.connection]
        pairs = [(step, theirs, ours) for theirs, ours in zip(redis, larder)]
        if name == b"exec" and len(redis) == 1 and redis[0][0] == "*" and redis[0][1] is not None:
            executed, self.queued[step.connection] = queue, []
            if same_executed([one.mode for one in executed], redis[0], larder[0]):
                return None
            lists = [reply[0][1] if reply[0][0] == "*" else None for reply in (redis, larder)]
            if lists[1] is not None and len(lists[0]) == len(lists[1]) == len(executed):
                pairs = list(zip(executed, *lists))
        elif name in (b"exec", b"discard", b"reset"):
            self.queued[step.connection] = []
        elif redis == [("+", b"QUEUED")]:
            queue.append(step)
        if len(redis) != len(larder):
            pairs = [(step, ("*", redis), ("*", larder))]
        stop = False
        for one, theirs, ours in pairs:
            if same(one.mode, theirs, ours):
                continue
            request = resp.show_request(one.words) if one.raw is None else f"(raw) {resp.text(one.raw)}"
            shown = resp.show(theirs), resp.show(ours)
            rule = self.known.rule(request, *shown)
            if rule is None:
                return Difference(at, request, *shown)
            stop = stop or rule.stop
        return "stop" if stop else None


def shrink(session, steps, difference, tries=400):
    """A short sequence with the same kind of difference: halves, quarters, ... taken out while it still shows."""
    steps = difference.needed(steps)
    size = max(1, len(steps) // 2)
    while tries > 0:
        at = 0
        while at < len(steps) and tries > 0:
            shorter = steps[:at] + steps[at + size :]
            tries -= 1
            found = session.run(shorter) if shorter else None
            if found is not None and found.kind() == difference.kind():
                steps, difference = found.needed(shorter), found
            else:
                at += size
        if size == 1:
            break
        size = max(1, size // 2)
    return steps, difference
