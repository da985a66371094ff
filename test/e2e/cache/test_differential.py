"""A cache node answers as redis-server does, byte for byte: both are sent the same (issue 13, Protocol; `both` stands in conftest.py)."""
import itertools
import os
import random

import pytest

from differential_commands import KEYS, NUMBERS, Commands
from differential_fixture import Both, Connection, array, inline
from platoon_fixture import RedisServer, section, wait_until

SEEDS = range(int(os.environ.get("SEED", "1")), int(os.environ.get("SEED", "1")) + int(os.environ.get("SEEDS", "12")))
STEPS = 1500


@pytest.fixture
def guarded(platoon):
    """Both, with the same password."""
    (platoon.dir / "secret").write_text("sesame\n")
    (platoon.dir / "secret").chmod(0o600)
    platoon.config_path.write_text(section("platoon", {"runtime_dir": "run", "state_dir": "state"})
                                   + section("cache c", {"listen": f"unix:{platoon.dir}/c.sock", "secret_file": "secret"}))
    platoon.start()
    server = RedisServer("--appendonly", "no")
    # Only now: the fixture's own client gives none.
    server.client().config_set("requirepass", "sesame")
    yield lambda: Both(server.url.removeprefix("unix://"), f"{platoon.dir}/c.sock")
    server.close()


def talk(connections, commands, steps):
    """Commands at random on several connections, some of them many at once."""
    for _ in range(steps):
        pair = commands.one(connections)
        if commands.random.random() < 0.1:
            pair.pipeline([commands.next() for _ in range(commands.random.randint(2, 20))])
        else:
            words, form = commands.next()
            pair.command(*words, form=form)


@pytest.mark.parametrize("seed", SEEDS)
def test_commands_at_random(both, seed):
    pairs = [both(), both()]
    talk(pairs, Commands(seed), STEPS)
    pairs[0].command("RESET")
    pairs[0].same_size()
    for key in KEYS:
        for name in ("GET", "PEXPIRETIME"):
            pairs[0].command(name, key)


@pytest.mark.parametrize("seed", SEEDS)
def test_commands_of_the_connection_too(both, seed):
    talk([both(), both()], Commands(seed, front=True), STEPS)


@pytest.mark.parametrize("seed", SEEDS)
def test_transactions(both, seed):
    """Blocks of one connection, and another that changes what it watches."""
    commands = Commands(seed)
    mine, other = both(), both()
    for _ in range(150):
        if commands.random.random() < 0.7:
            mine.command("WATCH", *commands.keys())
        if commands.random.random() < 0.3:
            words, form = commands.next()
            other.command(*words, form=form)
        mine.command("MULTI")
        for _ in range(commands.random.randint(0, 6)):
            words, form = commands.next()
            mine.command(*words, form=form)
        mine.command(commands.one(["EXEC", "EXEC", "EXEC", "exec", "DISCARD"]))


def test_every_number_of_words(both):
    for version, name in itertools.product((2, 3), Commands(1).names):
        for count in range(8):
            for word in (b"a", b"1", b""):
                pair = both()
                pair.command("HELLO", version)
                pair.command(name, *[word] * count)
                pair.close()


# N is where a number stands.
@pytest.mark.parametrize("line", [
    "INCRBY a N", "DECRBY a N", "GETRANGE v N 3", "GETRANGE v 1 N", "GETRANGE v N N", "SET a b EX N", "SET a b PX N", "SET a b EXAT N", "SET a b PXAT N",
    "SETEX a N b", "PSETEX a N b", "GETEX v EX N", "GETEX v PX N", "GETEX v EXAT N", "GETEX v PXAT N", "GETEX none EX N", "EXPIRE v N", "PEXPIRE v N",
    "EXPIREAT v N", "PEXPIREAT v N", "EXPIRE none N", "PEXPIREAT v N NX", "PEXPIREAT v N GT", "PEXPIREAT v N LT", "PEXPIREAT v N XX", "SCAN N", "SCAN 0 COUNT N"])
def test_numbers(both, line):
    pair = both()
    for number, before in itertools.product(NUMBERS, ("10", "-10", "9223372036854775800", "-9223372036854775800", "text")):
        pair.command("MSET", "a", before, "v", "hello world")
        pair.command(*[number if word == "N" else word for word in line.split()])
        for key in ("a", "v"):
            for name in ("GET", "PEXPIRETIME", "TTL"):
                pair.command(name, key)


def test_times_that_are_given_are_exact(both):
    pair = both()
    for ms in (4000000000000, 4000000000001, 4000000000499, 4000000000500, 4000000000501, 4000000000999, 9223372036854775000, 9223372036854775806):
        pair.command("SET", "k", "v", "PXAT", ms)
        for name in ("EXPIRETIME", "PEXPIRETIME"):
            pair.command(name, "k", exact=True)


@pytest.mark.parametrize("options", [list(o) for n in range(4) for o in itertools.permutations(("NX", "XX", "GET", "KEEPTTL", "EX 1000000", "PXAT 1", "FOO"), n)],
                         ids=" ".join)
def test_options_of_set(both, options):
    """All of them in every order, on what is not there, is there, and ends some day."""
    pair = both()
    for before in (["DEL", "k"], ["SET", "k", "old"], ["SET", "k", "old", "EX", "9000000"]):
        pair.command(*before)
        pair.command("SET", "k", "new", *" ".join(options).split())
        for name in ("GET", "TTL"):
            pair.command(name, "k")


@pytest.mark.parametrize("options", [list(o) for n in range(1, 5) for o in itertools.product(("NX", "XX", "GT", "LT"), repeat=n)], ids=" ".join)
def test_options_of_expire(both, options):
    pair = both()
    for before, name, when in itertools.product(([], ["PXAT", "4000000000000"]), ("PEXPIREAT", "EXPIREAT"), (-1, 1, 3999999999, 4000000000, 4000000001, 4000000000001)):
        pair.command("SET", "k", "v", *before)
        pair.command(name, "k", when if name == "EXPIREAT" else when * 1000, *options)
        pair.command("PEXPIRETIME", "k")


@pytest.mark.parametrize("words", [["SET", "k", "v", "NX\0y"], ["SET", "k", "v", "keepttl\0"], ["GETEX", "k", "PERSIST\0y"], ["EXPIRE", "k", "1000000", "NX\0y"],
                                   ["SCAN", "0", "COUNT\0y", "100"], ["SCAN", "0", "TYPE", "string\0y"], ["SCAN", "0\0y"], ["FLUSHALL", "SYNC\0y"],
                                   ["EXPIRE", "k", "1", "F\0y"], ["G\0y", "k"], ["GET\0", "k"]], ids=ascii)
def test_options_end_at_a_nul(both, words):
    """As redis-server compares them; names of commands do not."""
    pair = both()
    pair.command("SET", "k", "v", "EX", "9000000")
    pair.command(*words)
    pair.command("TTL", "k")


def pattern(rng, letters):
    parts = [b"*", b"*", b"?", b"[ab]", b"[^a]", b"[a-c]", b"[c-a]", b"[^b-c]", b"[", b"[^", b"]", b"[]", b"[a", b"[a-", b"[\\]]", b"[\\", b"\\", b"\\*", b"-", b"^",
             b"[\x01-\xff]", b"[\x80-\x7f]", *letters]
    return b"".join(rng.choice(parts) for _ in range(rng.randint(0, 8)))


@pytest.mark.parametrize("seed", SEEDS)
def test_patterns(both, seed):
    rng = random.Random(seed)
    letters = [b"a", b"b", b"c", b"\\", b"[", b"]", b"-", b"*", b"\xff", b"\x80", b"\0"]
    pair = both()
    for _ in range(200):
        pair.command("SET", b"".join(rng.choice(letters) for _ in range(rng.randint(0, 6))), "")
    for _ in range(2000):
        pair.command("KEYS", pattern(rng, letters))


def test_a_pattern_of_many_stars_takes_no_longer(both):
    """CVE-2022-36021: each * made it as many times longer as the key has bytes."""
    pair = both()
    pair.command("SET", "a" * 5000, "")
    pair.command("KEYS", "a*" * 2000 + "b")
    pair.command("SCAN", "0", "MATCH", "*a" * 2000 + "b")


def test_scan_sees_all(both):
    pair = both()
    keys = {b"%s:%d" % (name, i) for name in (b"x", b"y") for i in range(700)}
    pair.pipeline([([b"SET", key, b"v"], array) for key in keys])
    assert pair.scan() == keys
    assert pair.scan(b"COUNT", b"1") == keys
    assert pair.scan(b"COUNT", b"100000", b"TYPE", b"string") == keys
    assert pair.scan(b"TYPE", b"list") == set()
    assert pair.scan(b"MATCH", b"x:*", b"COUNT", b"7") == {k for k in keys if k.startswith(b"x")}
    pair.same_size()


def test_what_is_watched_and_ends_fails_exec(both):
    mine, other = both(), both()
    other.command("MSET", "long", "v", "short", "v")
    for ms in (1000, 4000, 16000):  # on a busy machine it may have ended before it is watched, which is another test
        other.command("SET", "short", "v", "PX", ms)
        other.command("SET", "clock", "v", "PX", ms)
        mine.command("WATCH", "short")
        if not any(is_gone(side, b"short") for side in other.sides):
            break
        mine.command("UNWATCH")
    wait_until(lambda: all(is_gone(side, b"clock") for side in other.sides), 20, "its end on both sides")
    mine.command("MULTI")
    mine.command("GET", "long")
    assert mine.command("EXEC").raw == b"*-1\r\n"


def is_gone(side, key):
    side.send(array([b"PTTL", key]))
    return side.reply().raw == b":-2\r\n"


def test_what_has_ended_before_it_is_watched_does_not(both):
    mine = both()
    mine.command("SET", "short", "v", "PXAT", "1")
    mine.command("WATCH", "short")
    mine.command("GET", "short")
    mine.command("MULTI")
    mine.command("PING")
    assert mine.command("EXEC").raw == b"*1\r\n+PONG\r\n"


@pytest.mark.parametrize("words", [["SET", "w", "v"], ["DEL", "w"], ["EXPIRE", "w", "1000000"], ["PERSIST", "w"], ["APPEND", "w", ""], ["FLUSHALL"], ["GETEX", "w"],
                                   ["GETEX", "w", "PERSIST"], ["TOUCH", "w"], ["GETDEL", "w"], ["SET", "w", "v", "NX"], ["MSET", "x", "1"], ["EXPIRE", "w", "-1"],
                                   ["GET", "w"], ["SETNX", "w", "v"], ["GETSET", "w", "v"], ["EXPIRE", "w", "1000000", "XX"], ["DECR", "w"]], ids=" ".join)
def test_what_touches_a_watched_key(both, words):
    mine, other = both(), both()
    for before in (["DEL", "w"], ["SET", "w", "10"], ["SET", "w", "10", "EX", "5000000"], ["SET", "w", "ten"]):
        other.command(*before)
        mine.command("WATCH", "w")
        other.command(*words)
        mine.command("MULTI")
        mine.command("PING")
        mine.command("EXEC")


@pytest.mark.parametrize("data", [b"*1\r\n$x\r\n", b"*x\r\n", b"*1\r\n+PING\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$999999999999\r\n", b"*99999999999\r\n", b'GET "a\r\n', b"GET 'a'b\r\n",
                                  b"\r\n\r\nPING\r\n*0\r\n*-1\r\nPING\r\n*1\r\n$x\r\n", b"*2\r\n$3\r\nGET\r\n$1\r\na*1\r\n", b"\0\n" + b"x" * 70000, b"x" * 70000, b"*1" + b"0" * 70000],
                         ids=lambda d: repr(d[:24]))
def test_what_is_no_request(reference, subject, data):
    said = []
    for path in (reference, subject):
        connection = Connection(path)
        connection.send(array([b"PING"]) + data)
        if not data.startswith((b"*2", b"x", b"*1000", b"\0")):
            said.append(connection.rest())
        else:
            connection.socket.shutdown(1)
            said.append(connection.rest())
        connection.close()
    assert said[0] == said[1]


def test_before_a_password_is_given(guarded):
    """Also what an option has done before the next one is found wrong."""
    auth, other, name, bad = "AUTH default sesame", "AUTH default no", "SETNAME a", "SETNAME b\x01"
    options = [" ".join(o) for n in range(4) for o in itertools.permutations((auth, other, name, bad, "FOO"), n)]
    lines = ["PING", "NOTHING", "GET", "QUIT", "RESET", "MULTI", "EXEC", "CLIENT", "CLIENT ID", "AUTH", "AUTH no", "AUTH sesam", "AUTH sesamee", "AUTH sesame\0",
             "AUTH default sesame x", "AUTH sesame", auth, other, "HELLO", "HELLO 4", *(f"HELLO {version} {o}" for version in (2, 3) for o in options)]
    for line in lines:
        pair = guarded()
        pair.command(*line.split())
        if line != "QUIT":
            pair.command("PING")
            pair.command("AUTH", "sesame")
            pair.command("CLIENT", "GETNAME")
        pair.close()


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_requests_come_in_parts(both, step):
    pair = both()
    commands = Commands(step)
    asked = [commands.next() for _ in range(200)] + [([b"SET", b"large", b"v" * 100000], array), ([b"GET", b"large"], array), ([b"PING"], inline)]
    data = b"".join(form(words) for words, form in asked)
    for at in range(0, len(data), step * 50 if len(data) > 50000 and step == 1 else step):
        pair.send(data[at:at + (step * 50 if len(data) > 50000 and step == 1 else step)])
    for words, _ in asked:
        pair.hear(words)
