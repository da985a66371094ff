"""The same bytes to a real redis-server and to another server of its protocol, and their replies side by side.

A reply is compared byte for byte, except where two right servers differ: what tells of time (within SLACK), of an order that nobody
promises (KEYS, SCAN), of chance (RANDOMKEY), or of the server itself (ids, sizes, times).
"""
import socket
import time

from platoon_fixture import SCALE

SLACK_MS = 30000 * SCALE  # either may stand still on a busy machine; times that are to be told apart are minutes apart
WAIT = 60 * SCALE


def array(words):
    """A request as clients send it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def inline(words):
    """The same as a line that a person could type."""
    def quoted(word):
        plain = word and all(chr(b).isalnum() or b in b":{}*?-_." for b in word)
        return word if plain else b'"' + b"".join(b"\\x%02x" % b for b in word) + b'"'
    return b" ".join(map(quoted, words)) + b"\r\n"


class Reply:
    """One reply: its bytes, its type, and what is in it (bytes, or a list of replies)."""

    def __init__(self, raw, kind, value):
        self.raw, self.kind, self.value = raw, kind, value

    def __repr__(self):
        return repr(self.raw if len(self.raw) < 400 else self.raw[:200] + b" ... " + self.raw[-100:])


class Connection:
    """A client's connection that reads one whole reply after the other, of RESP2 or RESP3."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT)
        self.socket.connect(path)
        self.bytes = b""

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError(f"closed behind {self.bytes[-200:]!r}")
        self.bytes += data

    def _line(self, at):
        while (end := self.bytes.find(b"\r\n", at)) < 0:
            self._more()
        return end + 2

    def _parse(self, at):
        """The reply that begins there, and where it ends."""
        end = self._line(at)
        kind, text = self.bytes[at:at + 1], self.bytes[at + 1:end - 2]
        if kind in b"$=" and text != b"-1":
            begin, end = end, end + int(text) + 2
            while len(self.bytes) < end:
                self._more()
            return Reply(self.bytes[at:end], kind, self.bytes[begin:end - 2]), end
        if kind in b"*~%>" and text != b"-1":
            items = []
            for _ in range(int(text) * (2 if kind == b"%" else 1)):
                item, end = self._parse(end)
                items.append(item)
            return Reply(self.bytes[at:end], kind, items), end
        assert kind in b"+-:$*_#,(", self.bytes[at:at + 100]
        return Reply(self.bytes[at:end], kind, text), end

    def reply(self):
        reply, end = self._parse(0)
        self.bytes = self.bytes[end:]
        return reply

    def rest(self):
        """All that comes until the other side closes."""
        while True:
            try:
                self._more()
            except (EOFError, ConnectionResetError):
                return self.bytes

    def close(self):
        self.socket.close()


def _items(a, b):
    return a.kind == b.kind and isinstance(a.value, list) and isinstance(b.value, list)


def _same_set(a, b):
    return _items(a, b) and sorted(i.raw for i in a.value) == sorted(i.raw for i in b.value)


def _same_kind(a, b):
    return a.kind == b.kind and isinstance(a.value, list) == isinstance(b.value, list)


def _size_or_nil(a, b):
    """Redis tells the size of what has ended, too, until it comes across it."""
    return a.kind in b":$_" and b.kind in b":$_"


def _near(unit_ms):
    """Numbers at a time's distance; what is no time (-1, -2) must be the same."""
    def near(a, b):
        if a.kind != b":" or b.kind != b":" or int(a.value) < 0 or int(b.value) < 0:
            return False
        return abs(int(a.value) - int(b.value)) * unit_ms <= SLACK_MS
    return near


def _same_hello(a, b):
    """Of its pairs only the values of version and id are the server's own."""
    return _items(a, b) and len(a.value) == len(b.value) and all(
        x.raw == y.raw for i, (x, y) in enumerate(zip(a.value, b.value)) if i not in (3, 7))


SAME = {
    b"keys": _same_set, b"randomkey": _same_kind, b"scan": _same_kind,
    b"ttl": _near(1000), b"pttl": _near(1), b"expiretime": _near(1000), b"pexpiretime": _near(1),
    b"dbsize": _same_kind, b"time": _same_kind, b"hello": _same_hello, b"info": _same_kind, b"memory": _size_or_nil,
}
# By the word behind the name too.
SAME_SUB = {(b"client", b"id"): _same_kind, (b"client", b"list"): _same_kind, (b"client", b"info"): _same_kind,
            (b"command", b"count"): _same_kind, (b"command", b"list"): _same_kind}
# Without any more words: they tell of all commands that the server has.
SAME_ALONE = {b"command": _same_kind, b"command info": _same_kind, b"command docs": _same_kind}


def same(words, a, b):
    """Whether a and b are the same answer to the command."""
    if a.raw == b.raw:
        return True
    name = words[0].lower()
    judge = SAME_ALONE.get(b" ".join(words).lower()) or SAME_SUB.get((name, words[1].lower() if len(words) > 1 else b""), SAME.get(name))
    return judge is not None and a.kind not in b"-" and judge(a, b)


class Both:
    """A connection to each of the two, on which the same is said."""

    def __init__(self, reference, subject):
        self.sides = Connection(reference), Connection(subject)
        self.queued = None  # commands between MULTI and EXEC
        self.said = []

    def close(self):
        for side in self.sides:
            side.close()

    def send(self, data):
        for side in self.sides:
            side.send(data)

    def command(self, *words, form=array, exact=False):
        """Says one command; its reply (the reference's). exact: nothing in it may differ, not even time."""
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.send(form(words))
        return self.hear(words, exact)

    def pipeline(self, commands):
        """Says (words, form) of many at once."""
        self.send(b"".join(form(words) for words, form in commands))
        for words, _ in commands:
            self.hear(words)

    def hear(self, words, exact=False):
        self.said.append(words)
        a, b = (side.reply() for side in self.sides)
        name = words[0].lower()
        if exact:
            right = a.raw == b.raw
        elif name == b"exec" and self.queued is not None and _items(a, b):
            right = len(a.value) == len(b.value) == len(self.queued) and \
                all(same(q, x, y) for q, x, y in zip(self.queued, a.value, b.value))
        else:
            right = same(words, a, b)
        if not right:
            told = "\n".join(f"    {self._text(w)}" for w in self.said[-25:])
            raise AssertionError(f"{self._text(words)}\n  redis: {a}\n  other: {b}\n  after:\n{told}")
        self._follow(name, a)
        return a

    def _follow(self, name, reply):
        if reply.raw == b"+QUEUED\r\n":
            self.queued.append(self.said[-1])
        elif name == b"multi" and reply.kind == b"+":
            self.queued = []
        elif name in (b"exec", b"discard", b"reset") and not reply.raw.startswith(b"-ERR wrong"):
            self.queued = None

    @staticmethod
    def _text(words):
        return b" ".join(w if len(w) < 60 else w[:40] + b"...%d" % len(w) for w in words).decode("latin1").encode("unicode_escape").decode()

    def scan(self, *options):
        """The keys that a whole SCAN finds, the same on both sides."""
        found = []
        for side in self.sides:
            keys, cursor = set(), b"0"
            while True:
                side.send(array([b"SCAN", cursor, *options]))
                cursor, items = side.reply().value
                cursor = cursor.value
                keys |= {i.value for i in items.value}
                if cursor == b"0":
                    break
            found.append(keys)
        assert found[0] == found[1], (options, found[0] ^ found[1])
        return found[0]

    def same_size(self):
        """DBSIZE may count what has ended a little longer: until both are the same."""
        deadline = time.monotonic() + WAIT
        while True:
            for side in self.sides:
                side.send(array([b"KEYS", b"*"]) + array([b"DBSIZE"]))
            sizes = [(len(side.reply().value), int(side.reply().value)) for side in self.sides]
            if len({n for pair in sizes for n in pair}) == 1:
                return
            assert time.monotonic() < deadline, f"KEYS and DBSIZE of redis and the other: {sizes}"
