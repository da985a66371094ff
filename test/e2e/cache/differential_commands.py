"""Commands at random, by a seed: mostly right ones, on few keys so that they meet, and all that clients get wrong.

No time given is near enough to pass while a test runs, and no two given from now on are near each other: a millisecond between two
servers must not show.
"""
import random

from differential_fixture import array, inline

KEYS = [b"a", b"b", b"c", b"key:1", b"key:2", b"{t}x", b"", b"\x00\xff\r\n", b"k" * 300]
VALUES = [b"", b"0", b"10", b"-5", b"41", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"3.5", b" 1", b"01",
          b"hello world", b"\r\n", b"\x00", b"nil", b"x" * 5000]
# What is no number, or too large a one; and those at the edges.
NUMBERS = [b"", b"0", b"-0", b"+1", b" 1", b"1 ", b"01", b"1.5", b"1e3", b"0x10", b"abc", b"-", b"--1", b"-1", b"-9999999999", b"1\x00",
           b"9223372036854775807", b"9223372036854775808", b"-9223372036854775807", b"-9223372036854775808", b"-9223372036854775809",
           b"9223372036854775", b"9223372036854776", b"-9223372036854775", b"-9223372036854776", b"18446744073709551615",
           b"18446744073709551616", b"99999999999999999999999"]
SMALL = [b"0", b"1", b"2", b"3", b"-1", b"-2", b"-3", b"10", b"-10", b"100"]
PATTERNS = [b"*", b"**", b"", b"?", b"a*", b"*a", b"[ab]", b"[^a]", b"key:*", b"key:[0-1]", b"[a-", b"[", b"\\", b"\\a", b"k*k*k*k*k*x", b"*\xff*"]
OPTIONS = [b"NX", b"XX", b"GET", b"KEEPTTL", b"PERSIST", b"EX", b"PX", b"EXAT", b"PXAT", b"GT", b"LT", b"COUNT", b"MATCH", b"TYPE", b"nX",
           b"NX\x00y", b"SYNC", b"ASYNC", b"string", b"FOO", b"F\r\nOO\r\n"]


class Commands:
    def __init__(self, seed, front=False):
        self.random = random.Random(seed)
        self.spread = 0
        self.makers = {name[1:].encode(): getattr(self, name) for name in dir(type(self))
                       if name.startswith("_") and not name.startswith("__")}
        fronts = {b"ping", b"echo", b"select", b"auth", b"client", b"command", b"config", b"memory", b"time", b"info", b"nosuch"}
        self.names = sorted(n for n in self.makers if front or n not in fronts)

    # ---- words ----

    def one(self, words):
        return self.random.choice(words)

    def key(self):
        return self.one(KEYS)

    def keys(self):
        return [self.key() for _ in range(self.random.randint(1, 4))]

    def value(self):
        if self.random.random() < 0.2:
            return self.random.randbytes(self.random.randint(0, 40))
        return self.one(VALUES)

    def number(self):
        return self.one(SMALL if self.random.random() < 0.7 else NUMBERS)

    def far(self):
        """A time from now on: minutes from every other one."""
        self.spread += 1
        return b"%d" % (100_000_000 + 600_000 * self.spread)

    def after(self):
        return self.far() if self.random.random() < 0.8 else self.one(NUMBERS)

    def at(self, unit):
        if self.random.random() < 0.25:
            return self.one(NUMBERS)
        return b"%d" % (self.one([1, 1000, 4_000_000_000, 4_100_000_000, 5_000_000_000]) * unit)

    def time(self, name):
        return self.at(1 if name.upper() == b"EXAT" else 1000) if b"AT" in name.upper() else self.after()

    def some(self, words, chance=0.4):
        return [w for w in words if self.random.random() < chance]

    # ---- commands: what stands behind the name ----

    def _get(self): return [self.key()]
    def _strlen(self): return [self.key()]
    def _getdel(self): return [self.key()]
    def _type(self): return [self.key()]
    def _persist(self): return [self.key()]
    def _ttl(self): return [self.key()]
    def _pttl(self): return [self.key()]
    def _expiretime(self): return [self.key()]
    def _pexpiretime(self): return [self.key()]
    def _incr(self): return [self.key()]
    def _decr(self): return [self.key()]
    def _setnx(self): return [self.key(), self.value()]
    def _getset(self): return [self.key(), self.value()]
    def _append(self): return [self.key(), self.value()]
    def _incrby(self): return [self.key(), self.number()]
    def _decrby(self): return [self.key(), self.number()]
    def _getrange(self): return [self.key(), self.number(), self.number()]
    def _substr(self): return [self.key(), self.number(), self.number()]
    def _setex(self): return [self.key(), self.after(), self.value()]
    def _psetex(self): return [self.key(), self.after(), self.value()]
    def _mget(self): return self.keys()
    def _del(self): return self.keys()
    def _unlink(self): return self.keys()
    def _exists(self): return self.keys()
    def _touch(self): return self.keys()
    def _keys(self): return [self.one(PATTERNS)]
    def _randomkey(self): return []
    def _dbsize(self): return []
    def _hello(self): return self.one([[b"2"], [b"3"], []])

    def _set(self):
        words = self.some([b"NX", b"XX", b"GET", b"KEEPTTL"], 0.15)
        for option in self.some([b"EX", b"PX", b"EXAT", b"PXAT"], 0.1):
            words += [option, self.time(option)]
        return [self.key(), self.value(), *words]

    def _getex(self):
        option = self.one([b"EX", b"px", b"EXAT", b"PXAT", b"PERSIST", None])
        return [self.key()] + ([] if option is None else [option] if option == b"PERSIST" else [option, self.time(option)])

    def _mset(self):
        return [w for _ in range(self.random.randint(1, 4)) for w in (self.key(), self.value())]

    def _msetnx(self):
        return self._mset()

    def _expire(self): return [self.key(), self.after(), *self.some([b"NX", b"xx", b"GT", b"LT"], 0.15)]
    def _pexpire(self): return self._expire()
    def _expireat(self): return [self.key(), self.at(1), *self.some([b"NX", b"xx", b"GT", b"LT"], 0.15)]
    def _pexpireat(self): return [self.key(), self.at(1000), *self.some([b"NX", b"xx", b"GT", b"LT"], 0.15)]

    def _scan(self):
        words = [self.one([b"0", b"0", b"", b"+0", b"-1", b"x", b" 0", b"99999999999999999999", b"18446744073709551615", b"0x"])]
        for option, value in ((b"MATCH", self.one(PATTERNS)), (b"COUNT", self.number()), (b"TYPE", self.one([b"string", b"STRING", b"list"]))):
            words += [option, value] if self.random.random() < 0.3 else []
        return words

    def _flushall(self): return self.one([[], [], [b"SYNC"], [b"async"], [b"x"]]) if self.random.random() < 0.3 else [b"x"]
    def _flushdb(self): return self._flushall()
    def _multi(self): return []
    def _exec(self): return []
    def _discard(self): return []
    def _watch(self): return self.keys()
    def _unwatch(self): return []
    def _reset(self): return []

    # ---- of the connection and the server ----

    def _ping(self): return self.one([[], [self.value()]])
    def _echo(self): return [self.value()]
    def _select(self): return [self.one([b"0", b"x", b"-1", b"9223372036854775807", b""])]
    def _auth(self): return self.one([[b"secret"], [b"default", b"x"], [b"someone", b"x"]])
    def _time(self): return []
    def _memory(self): return [b"USAGE", self.key(), *self.one([[], [b"SAMPLES", b"0"], [b"SAMPLES", b"x"], [b"x"]])]
    def _config(self): return [b"GET", self.one([b"no-such-setting", b"nosuch*"])]
    def _info(self): return [self.one([b"server", b"nosuchsection"])]
    def _nosuch(self): return self.one([[], [self.value()], [b"a" * 200, b"b"], [b"x"] * 50])

    def _client(self):
        return self.one([[b"ID"], [b"GETNAME"], [b"SETNAME", self.one([b"me", b"", b"a b", b"\xff"])], [b"INFO"], [b"LIST"], [b"FOO"], [b"LIST", b"x"],
                         [b"KILL", b"ID", b"x"], [b"KILL", b"1.2.3.4:5"], [b"REPLY", b"x"], [b"REPLY", b"ON"], [b"NO-EVICT", b"x"], [b"HELP"]])

    def _command(self):
        simple = [n for n in self.names if n not in (b"client", b"command", b"config", b"memory")]  # others' subcommands are the server's own
        return self.one([[], [b"COUNT"], [b"INFO"], [b"COUNT", b"x"], [b"INFO", self.one(simple)], [b"INFO", b"nosuch"], [b"GETKEYS", b"mset", b"a", b"b", b"c", b"d"],
                         [b"GETKEYS", b"get"], [b"GETKEYS", b"ping"], [b"GETKEYSANDFLAGS", b"set", b"a", b"b", b"GET"], [b"FOO"], [b"HELP"],
                         [b"DOCS", b"nosuch"], [b"DOCS", self.one(simple)]])

    # ---- one of them ----

    def spoil(self, words):
        """As somebody gets it wrong."""
        kind = self.random.random()
        at = self.random.randint(1, len(words))
        if kind < 0.25:
            return words[:at]
        if kind < 0.5:
            return words[:at] + [self.one(OPTIONS)] + words[at:]
        if kind < 0.7:
            return words + [self.one(OPTIONS + NUMBERS)]
        if at == len(words):
            return words
        return words[:at] + [self.one(NUMBERS + OPTIONS + VALUES)] + words[at + 1:]

    def next(self):
        """Words, and how they are sent."""
        name = self.one(self.names)
        words = [name, *self.makers[name]()]
        if self.random.random() < 0.15 and name != b"command":  # which would tell of commands that only Redis has
            words = self.spoil(words)
        words[0] = self.one([words[0], words[0].upper(), words[0].title()])
        form = inline if self.random.random() < 0.15 and sum(map(len, words)) < 4000 else array
        return words, form
