"""The wire: requests to bytes, bytes to replies that keep their type byte, and replies to one line of text.

A reply is a pair (type byte, content): ("+", b"OK"), ("-", b"ERR ..."), (":", 5), ("$", bytes or None), ("*", list or
None), ("%", list of keys and values in turn), (">", list), ("_", None), ("=", bytes) and so on; ("EOF", None) is the
end of the connection. Nothing is interpreted: what differs on the wire differs here.
"""

import socket

EOF = ("EOF", None)


def encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Connection:
    """One connection to one server."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.buffer = b""
        self.at = 0

    def send(self, data, last=False):
        try:
            self.socket.sendall(data)
            if last:  # Nothing more will be sent: the server need not wait for the rest of a broken frame.
                self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # The other end has hung up; reading says so, after whatever it still had to say.

    def close(self):
        self.socket.close()

    def _more(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        except TimeoutError:
            raise TimeoutError(f"no reply; unread so far: {self.buffer[self.at :][:200]!r}") from None
        if not data:
            raise EOFError
        self.buffer = self.buffer[self.at :] + data
        self.at = 0

    def _line(self):
        while (end := self.buffer.find(b"\r\n", self.at)) < 0:
            self._more()
        line = self.buffer[self.at : end]
        self.at = end + 2
        return line

    def _exactly(self, size):
        while len(self.buffer) - self.at < size + 2:
            self._more()
        data = self.buffer[self.at : self.at + size]
        self.at += size + 2
        return data

    def read(self):
        try:
            return self._read()
        except EOFError:
            return EOF

    def _read(self):
        line = self._line()
        kind, rest = chr(line[0]), line[1:]
        if kind == ":":
            return kind, int(rest)
        if kind in "$=!":
            size = int(rest)
            return kind, (None if size < 0 else self._exactly(size))
        if kind in "*~>":
            size = int(rest)
            return kind, (None if size < 0 else [self._read() for _ in range(size)])
        if kind == "%":
            return kind, [self._read() for _ in range(2 * int(rest))]
        if kind == "_":
            return kind, None
        if kind in "+-,#(":
            return kind, rest
        raise ValueError(f"not a reply: {line!r}")


def text(word):
    """Bytes as they can be written into a report and into known.txt."""
    return repr(word)[2:-1]


def show(reply):
    kind, content = reply
    if kind in "*~>%" and content is not None:
        return f"{kind}[{', '.join(show(element) for element in content)}]"
    if kind in "+-,#(":
        return kind + text(content)
    if kind in "$=!" and content is not None:
        return f'{kind}"{text(content)}"'
    return kind if kind in ("_", "EOF") else f"{kind}{'nil' if content is None else content}"


def show_request(words):
    """The name in lower case, the rest as it is, shortened where it is long; what is not plain is quoted."""
    shown = [text(words[0]).lower()] if words else []
    for word in words[1:]:
        plain = text(word) if len(word) <= 80 else f"{text(word[:20])}...{len(word)}"
        shown.append(plain if plain and " " not in plain else f'"{plain}"')
    return " ".join(shown)
