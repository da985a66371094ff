"""Every node of a ring shows every object, and answers for another's as one redis-server does (issue 13, Ring and Protocol)."""
import itertools

import pytest
import redis

from differential_commands import KEYS, Commands
from differential_fixture import Both, array
from platoon_fixture import SCALE, RedisServer, wait_until
from ring_fixture import MOVE, serves_all, standing_ring

SEEDS = range(1, 5)
STEPS = 600
OF_A_NODE = {b"keys", b"randomkey", b"dbsize", b"scan", b"flushall", b"flushdb", b"hello", b"reset"}  # they tell of one node, or are refused with a store
OF_MANY_OWNERS = {b"msetnx", b"multi", b"exec", b"discard", b"watch", b"unwatch"}
CROSSSLOT = b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"


@pytest.fixture(scope="module")
def ring(request):
    with standing_ring(request) as ring:
        yield ring


@pytest.fixture(scope="module")
def reference():
    server = RedisServer("--appendonly", "no", "--databases", "1")
    yield server.url.removeprefix("unix://")
    server.close()


@pytest.fixture
def two(ring):
    return ring.nodes


@pytest.fixture
def both(reference, two):
    """Makes pairs of connections, to the redis-server and to a node."""
    made = []

    def make(node):
        made.append(Both(reference, node.path))
        return made[-1]
    yield make
    for pair in made:
        pair.close()


@pytest.fixture
def raw(two):
    """Makes connections to a node on which words are said, several at once; their replies."""
    made = []

    def make(node):
        made.append(node.connection())

        def say(*lines):
            made_words = [[w if isinstance(w, bytes) else str(w).encode() for w in (line.split() if isinstance(line, str) else line)] for line in lines]
            connection.send(b"".join(map(array, made_words)))
            return [connection.reply() for _ in lines]
        connection = made[-1]
        return say
    yield make
    for connection in made:
        connection.close()


def bytes_of(replies):
    return [reply.raw for reply in replies]


# ---- one key ----

def test_what_one_node_has_the_other_shows(ring, two):
    for mine, other in (two, two[::-1]):
        key, = ring.keys_of(mine)
        assert other.client().get(key) == key.encode()
        assert other.client().set(key, "new") and mine.client().get(key) == b"new"
        assert other.client().delete(key) == 1 and mine.client().get(key) is None
        assert ring.owner(key) is mine


LINES = """SET k v · SET k v NX · SET k v XX · SET k v GET · SET k v NX GET · SET k v XX GET · SET k v KEEPTTL · SET k v EX 1000000 · SET k v PX 1000000000
SET k v EXAT 4000000000 · SET k v PXAT 4000000000001 · SET k v PXAT 1 · SET k v EX 0 · SET k v EX x · SET k v FOO · SET k v NX XX · SETEX k 1000000 v
PSETEX k 1000000000 v · SETEX k 0 v · SETNX k v · GET k · GETSET k v · GETDEL k · GETEX k · GETEX k EX 1000000 · GETEX k PX 1000000000 · GETEX k EXAT 4000000000
GETEX k PXAT 4000000000001 · GETEX k PERSIST · GETEX k FOO · MGET k l k · MSET k 1 l 2 · MSET k 1 l · MSETNX k 1 l 2 · STRLEN k · APPEND k more · APPEND k 1
GETRANGE k 1 3 · GETRANGE k -3 -1 · SUBSTR k 0 -1 · INCR k · DECR k · INCRBY k 41 · DECRBY k 41 · INCRBY k x · INCRBY k 9223372036854775807 · DEL k · DEL k l k
UNLINK k · UNLINK k l · EXISTS k · EXISTS k l k · TOUCH k · TOUCH k l k · TYPE k · EXPIRE k 1000000 · EXPIRE k 1000000 NX · EXPIRE k 1000000 XX · EXPIRE k 1000000 GT
EXPIRE k 1000000 LT · EXPIRE k 1000000 NX GT · EXPIRE k -1 · EXPIRE k x · PEXPIRE k 1000000000 · EXPIREAT k 4000000000 · PEXPIREAT k 4000000000001 · PEXPIREAT k 1
TTL k · PTTL k · EXPIRETIME k · PEXPIRETIME k · PERSIST k · MEMORY USAGE k · GET · GET k l · NOSUCH k"""
BEFORE = ("DEL k l", "MSET k text l text", "MSET k 10 l 20", "SET k 10 EX 9000000")


@pytest.mark.parametrize("line", LINES.replace("\n", " · ").split(" · "))
def test_a_command_of_a_foreign_key(ring, two, both, line):
    one, other = two
    k, other_key = ring.keys_of(one, 2)
    pair, again = both(other), both(one)
    clear(pair, k.encode(), other_key.encode())

    def said(text):
        return [{"k": k, "l": other_key}.get(word, word) for word in text.split()]
    for before in BEFORE:
        pair.command(*said("DEL k l"))
        pair.command(*said(before))
        pair.command(*said(line))
        for name in ("GET", "PEXPIRETIME"):
            for key in (k, other_key):
                pair.command(name, key)
                again.command(name, key)
    assert ring.owner(k) is one and ring.owner(other_key) is one


def test_commands_of_the_list_are_all_said(ring):
    """Those with keys that issue 13 lists."""
    said = {text.split()[0] for text in LINES.replace("\n", " · ").split(" · ")}
    assert said >= set("GET SET SETNX SETEX PSETEX GETSET GETDEL GETEX MGET MSET MSETNX STRLEN APPEND GETRANGE INCR INCRBY DECR DECRBY DEL UNLINK EXISTS TOUCH "
                       "TYPE EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL PTTL EXPIRETIME PEXPIRETIME PERSIST MEMORY".split())


def commands_of(seed, *without):
    commands = Commands(seed)
    commands.names = [name for name in commands.names if name not in OF_A_NODE.union(*without)]
    return commands


def clear(pair, *keys):
    """Neither side has them; who had more of them is not compared."""
    for side in pair.sides:
        side.send(array([b"DEL", *keys]))
        assert side.reply().kind == b":"


def bring_all(node):
    """The last commands of all keys come from there: they move there, one by one, as the store takes them."""
    client = node.client()

    def there():
        for _ in range(2 * MOVE):
            client.exists(*KEYS)
        return all(client.execute_command("PLATOON.OWNER", key)[0] == node.name.encode() for key in KEYS)
    wait_until(there, 30, "all keys to be there")


@pytest.mark.parametrize("seed", SEEDS)
def test_commands_at_random(two, both, seed):
    """Of keys that stay where they are: their owner is used in between."""
    commands = commands_of(seed, OF_MANY_OWNERS)
    pair, owner = both(two[1]), two[0].client()
    clear(pair, *KEYS)
    bring_all(two[0])
    for step in range(STEPS):
        if step % (MOVE // 4) == 0:
            owner.exists(*KEYS)
        words, form = commands.next()
        pair.command(*words, form=form)


@pytest.mark.parametrize("seed", SEEDS)
def test_pipelines_at_random_while_keys_move(two, both, seed):
    """Now from this node, now from that: a key's owner is who it pleases to be, and nobody sees it."""
    commands = commands_of(seed, OF_MANY_OWNERS)
    pairs = [both(node) for node in two]
    clear(pairs[0], *KEYS)
    for _ in range(STEPS // 10):
        commands.one(pairs).pipeline([commands.next() for _ in range(commands.random.randint(1, 40))])


def of_known_keys(commands, server):
    """One that has no other keys than KEYS: a word in a key's place is a key, and belongs to whoever used it first."""
    while True:
        words, form = commands.next()
        try:
            keys = server.execute_command("COMMAND", "GETKEYS", *words)
        except redis.exceptions.ResponseError:
            return words, form
        if set(keys) <= set(KEYS):
            return words, form


@pytest.mark.parametrize("seed", SEEDS)
def test_transactions_at_random(two, both, reference, seed):
    """All keys are one foreign owner's."""
    commands = commands_of(seed, OF_MANY_OWNERS)
    pair, owner = both(two[1]), two[0].client()
    clear(pair, *KEYS)
    bring_all(two[0])
    server = redis.Redis(unix_socket_path=reference)
    server.set_response_callback("COMMAND", lambda reply, **_: reply)
    for _ in range(STEPS // 5):
        owner.exists(*KEYS)
        pair.command("MULTI")
        for _ in range(commands.random.randint(0, 5)):
            words, form = of_known_keys(commands, server)
            pair.command(*words, form=form)
        pair.command(commands.one(["EXEC", "EXEC", "EXEC", "DISCARD"]))


# ---- several keys ----

def test_several_keys_of_both(ring, two):
    for at in two:
        (a, c), (b,) = ring.keys_of(two[0], 2), ring.keys_of(two[1])
        none, client = ring.key(), at.client()
        assert client.execute_command("MSET", a, 1, b, 2, c, 3, a, 4, b, 5)
        assert client.mget(a, none, b, c, a) == [b"4", None, b"5", b"3", b"4"]
        assert client.exists(a, b, none, c, b) == 4 and client.touch(a, b, none) == 2
        assert client.delete(a, none, b, a) == 2 and client.unlink(a, b, c) == 1
        assert all(node.client().mget(a, b, c) == [None] * 3 for node in two)


def test_many_keys_of_both(ring, two):
    keys = [key for pair in zip(*(ring.keys_of(node, 30) for node in two)) for key in pair]
    for at in two:
        client = at.client()
        values = {key: f"{at.name} {key} " * 200 for key in keys}
        assert client.mset(values)
        assert client.mget(keys + keys[::-1]) == [values[key].encode() for key in keys + keys[::-1]]
    assert two[0].client().delete(*keys) == len(keys) and two[1].client().exists(*keys) == 0


def test_two_owners_are_told_to_a_transaction(ring, two, raw):
    for at in two:
        (a,), (b,) = map(ring.keys_of, two)
        say = raw(at)
        assert bytes_of(say(f"MSETNX {a} 1 {b} 2")) == [CROSSSLOT]
        replies = bytes_of(say("MULTI", f"SET {a} 1", f"SET {b} 2", "EXEC"))
        assert replies[0] == b"+OK\r\n" and CROSSSLOT in replies and replies[3][:1] == b"-", replies
        replies = bytes_of(say("MULTI", f"MGET {a} {b}", "EXEC"))
        assert replies[0] == b"+OK\r\n" and CROSSSLOT in replies and replies[2][:1] == b"-", replies
        assert bytes_of(say("PING", "EXEC", f"GET {a}", f"GET {b}")) == [b"+PONG\r\n", b"-ERR EXEC without MULTI\r\n",
                                                                       *(b"$%d\r\n%s\r\n" % (len(key), key.encode()) for key in (a, b))]


def test_a_transaction_of_one_foreign_owner(ring, two, raw):
    a, b, n = ring.keys_of(two[0], 3)
    say = raw(two[1])
    assert bytes_of(say(f"DEL {n}", "MULTI", f"SET {a} 1", f"INCR {n}", f"INCR {n}", f"MGET {a} {b} {n}", f"DEL {b}", f"INCR {b}", "PING", "EXEC"))[-1] == (
        b"*7\r\n+OK\r\n:1\r\n:2\r\n*3\r\n$1\r\n1\r\n$%d\r\n%s\r\n$1\r\n2\r\n:1\r\n:1\r\n+PONG\r\n" % (len(b), b.encode()))
    assert bytes_of(say("MULTI", f"SET {a} 9", "DISCARD", f"GET {a}"))[-2:] == [b"+OK\r\n", b"$1\r\n1\r\n"]
    assert bytes_of(say("MULTI", f"SET {a} 9", f"SET {a}", "EXEC", f"GET {a}"))[-2:] == [
        b"-EXECABORT Transaction discarded because of previous errors.\r\n", b"$1\r\n1\r\n"]
    assert bytes_of(say("MULTI", "EXEC", f"MSETNX {a} 1 {n} 2"))[1:] == [b"*0\r\n", b":0\r\n"]
    assert ring.owner(a) is two[0]


ABOUT_A_CONNECTION = ["CLIENT REPLY OFF", "CLIENT REPLY SKIP", "CLIENT SETNAME mine", "CLIENT SETINFO lib-name mine", "CLIENT ID",
                      "CLIENT KILL ID 1", "CLIENT NO-EVICT ON", "HELLO 3", "READONLY", "READWRITE"]


@pytest.mark.parametrize("line", ABOUT_A_CONNECTION)
def test_what_is_about_a_connection_stays_with_it(ring, two, raw, line):
    """All clients of a node share one connection to another: no transaction there is about it, and nobody gets another's replies."""
    a, b, c = ring.keys_of(two[0], 3)
    say, others = raw(two[1]), raw(two[1])
    aborted = bytes_of(say("MULTI", f"GET {a}", line, "EXEC"))[-1]
    assert aborted.startswith(b"-EXECABORT Transaction discarded because of: what is about the connection"), aborted
    crafted = bytes_of(say(f"PLATOON.EXEC 1 {a} 0 2 GET {a} {len(line.split())} {line}"))[-1]
    assert crafted.startswith(b"-ERR syntax error"), crafted
    for key in (a, b, c):
        assert bytes_of(others(f"GET {key}", "CLIENT GETNAME")) == [b"$%d\r\n%s\r\n" % (len(key), key.encode()), b"$-1\r\n"]
    assert bytes_of(say("MULTI", f"SET {a} {a}", "EXEC", f"GET {c}"))[2:] == [b"*1\r\n+OK\r\n", b"$%d\r\n%s\r\n" % (len(c), c.encode())]


def test_a_foreign_key_that_is_watched(ring, two):
    key, = ring.keys_of(two[0])
    client = two[1].client()
    for by in two:
        with client.pipeline() as p:
            p.watch(key)
            assert p.get(key) is not None
            by.client().set(key, f"changed at {by.name}")
            p.multi()
            p.set(key, "mine")
            with pytest.raises(redis.exceptions.WatchError):
                p.execute()
        assert client.get(key) == f"changed at {by.name}".encode()
        with client.pipeline() as p:
            p.watch(key)
            p.multi()
            p.set(key, "mine").get(key)
            assert p.execute() == [True, b"mine"]


def test_a_watched_key_whose_time_is_over(ring, two, raw):
    for at in two:
        key, = ring.keys_of(two[0])
        say = raw(at)
        for ms in (1500, 6000, 24000):  # on a busy machine its time may be over before it is watched
            two[0].client().set(key, "v", px=ms * SCALE)
            watched, value = bytes_of(say(f"WATCH {key}", f"GET {key}"))
            assert watched == b"+OK\r\n"
            if value == b"$1\r\nv\r\n":
                break
            say("UNWATCH")
        else:
            raise AssertionError(value)
        wait_until(lambda key=key: two[0].client().get(key) is None, 30, "its end")
        assert bytes_of(say("MULTI", f"SET {key} new", "EXEC"))[-1] == b"*-1\r\n"


@pytest.mark.parametrize("back", [False, True])
def test_a_watched_key_that_leaves(ring, two, raw, back):
    """What becomes of it elsewhere is not seen here: it is taken for changed, though it comes back."""
    key, none = ring.keys_of(two[0], 2)
    two[0].client().delete(none)
    for watched in (key, none):
        say = raw(two[0])
        say(f"WATCH {watched}", "MULTI", f"SET {watched} mine")
        ring.bring(two[1], watched)
        two[1].client().set(watched, "theirs")
        if back:
            ring.bring(two[0], watched)
        assert bytes_of(say("EXEC", "EXEC")) == [b"*-1\r\n", b"-ERR EXEC without MULTI\r\n"]
        assert two[1].client().get(watched) == b"theirs"


@pytest.mark.parametrize("changes", [False, True])
def test_a_foreign_watched_key_that_comes_here(ring, two, raw, changes):
    for there in (True, False):
        key, = ring.keys_of(two[0])
        if not there:
            two[0].client().delete(key)
        say = raw(two[1])
        say(f"WATCH {key}")
        if changes:
            two[0].client().set(key, "theirs")
        ring.bring(two[1], key)
        assert bytes_of(say("MULTI", f"SET {key} mine", "EXEC"))[-1] == (b"*-1\r\n" if changes else b"*1\r\n+OK\r\n")
        assert two[0].client().get(key) == (b"theirs" if changes else b"mine")


def test_a_tag_keeps_keys_together(ring, two, raw):
    a, b = (ring.key(tag=f"tag of {two[0].name}") for _ in "ab")
    assert two[0].client().set(a, 1)
    assert ring.owner(b) is two[0]
    say = raw(two[1])
    assert bytes_of(say(["MSETNX", b, 2, f"{b}'", 3], "MULTI", ["INCR", a], ["INCR", b], "EXEC"))[-1] == b"*2\r\n:2\r\n:3\r\n"
    assert ring.owner(f"{b}'") is two[0]


# ---- pipelines, sizes, protocol ----

def test_a_pipeline_keeps_its_order(ring, two, raw):
    """Own and foreign commands, split ones, and those without a key; the foreign ones are so many that their keys come here meanwhile."""
    (foreign, other), (own,) = ring.keys_of(two[0], 2), ring.keys_of(two[1])
    say = raw(two[1])
    say(f"DEL {foreign} {other} {own}")
    lines, wanted = [], []
    for i in range(1, 201):
        lines += [f"INCR {foreign}", f"ECHO {i}", f"INCR {own}", f"MGET {own} {foreign} {other}", f"SET {other} {i}"]
        text = b"$%d\r\n%d\r\n" % (len(str(i)), i)
        before = b"$-1\r\n" if i == 1 else b"$%d\r\n%d\r\n" % (len(str(i - 1)), i - 1)
        wanted += [b":%d\r\n" % i, text, b":%d\r\n" % i, b"*3\r\n" + text + text + before, b"+OK\r\n"]
    assert len(lines) == 1000
    for got, want, line in zip(bytes_of(say(*lines)), wanted, lines):
        assert got == want, line


def test_pipelines_of_many_clients_keep_their_order(ring, two):
    """Each client's own number comes back, in its order, on keys of both."""
    keys = [key for node in two for key in ring.keys_of(node, 5)]
    clients = [node.connection() for node in two * 5]
    for client, number in zip(clients, itertools.count()):
        client.send(b"".join(array([b"SET", key.encode(), b"%d" % i]) + array([b"ECHO", b"%d:%d" % (number, i)]) for i in range(50) for key in keys))
    for client, number in zip(clients, itertools.count()):
        for i in range(50):
            for _ in keys:
                assert client.reply().raw == b"+OK\r\n"
                assert client.reply().value == b"%d:%d" % (number, i)
        client.close()
    assert two[0].client().mget(keys) == [b"49"] * len(keys) == two[1].client().mget(keys)


def test_resp3(ring, two, raw):
    a, n = ring.keys_of(two[0], 2)
    say = raw(two[1])
    assert say("HELLO 3")[0].kind == b"%"
    assert bytes_of(say(f"DEL {a} {n}", f"GET {a}", f"MGET {a} {n}", f"SET {a} v GET", f"GETDEL {a}", f"INCR {n}", "MULTI", f"GET {a}", f"GET {n}", "EXEC", f"INCRBY {n} x")) == [
        b":2\r\n", b"_\r\n", b"*2\r\n_\r\n_\r\n", b"_\r\n", b"$1\r\nv\r\n", b":1\r\n", b"+OK\r\n", b"+QUEUED\r\n", b"+QUEUED\r\n", b"*2\r\n_\r\n$1\r\n1\r\n",
        b"-ERR value is not an integer or out of range\r\n"]


@pytest.mark.parametrize("key", [b"\0\xff\r\n", b"$3\r\nGET\r\n", b"\xc3\x28 {", b"{}", b"{\0}b", b" "], ids=ascii)
def test_bytes(ring, two, key):
    value = bytes(range(256)) * 3
    one, other = (node.client() for node in two)
    one.set(key, value)
    assert other.get(key) == value and other.append(key, b"\r\n\0") == len(value) + 3
    assert other.getrange(key, 250, 260) == (value + b"\r\n\0")[250:261] and one.get(key) == value + b"\r\n\0"
    assert other.set(key, b"") and one.get(key) == b"" and other.delete(key) == 1


def test_keys_that_begin_as_a_stray_s(ring, two):
    """Whosever the cell of such a key would be; behind it nothing is done for its command."""
    key, = ring.keys_of(two[0])
    for node in two:
        client = node.client()
        for words in (("SET", b"%s", "v"), ("GET", b"%s"), ("MSET", key, "changed", b"%s", 2), ("PLATOON.GET", b"%s", "EVENTUAL")):
            for version in range(4):
                stray = b"\xffplatoon:stray\0" + bytes(7) + bytes([version]) + key.encode()
                with pytest.raises(redis.exceptions.ResponseError, match="a key must not begin with"):
                    client.execute_command(*(stray if word == b"%s" else word for word in words))
        assert client.get(key) == key.encode()


def test_large_values(ring, two):
    (a, b), (c,) = ring.keys_of(two[0], 2), ring.keys_of(two[1])
    value = bytes(i * 7 % 251 for i in range(1 << 20))
    one, other = (node.client() for node in two)
    assert other.set(a, value) and one.get(a) == value and other.get(a) == value
    assert other.append(a, value) == 2 << 20 and other.strlen(a) == 2 << 20
    assert other.execute_command("MSET", b, value, c, value[::-1]) and one.mget(a, b, c) == [value * 2, value, value[::-1]] == other.mget(a, b, c)
    assert other.delete(a, b, c) == 3


def test_an_object_that_is_too_large(ring, two):
    key, = ring.keys_of(two[0])
    texts = []
    for node in two:
        with pytest.raises(redis.exceptions.ResponseError, match="object_max") as error:
            node.client().set(key, b"v" * (17 << 20))
        texts.append(str(error.value))
        assert node.client().get(key) == key.encode()
    assert texts[0] == texts[1]


def test_what_tells_of_one_node(ring, two):
    """SCAN, KEYS and DBSIZE are about a node's own memory."""
    mine, others = (ring.keys_of(node, 3) for node in two)
    serves_all(two[1], mine)
    seen = two[1].client()
    found = {key.decode() for key in seen.keys("*")}
    assert set(others) <= found and not set(mine) & found
    assert {key.decode() for key in seen.scan_iter("*")} == found and seen.dbsize() == len(found)
