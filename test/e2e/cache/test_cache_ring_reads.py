"""What a node answers of an object that another node has, with that one's help and without: strong, eventual and bounded reads."""
import contextlib
import itertools
import json

import pytest
import redis

from cache_store_fixture import stored
from differential_fixture import array
from incr_hammer import patient
from platoon_fixture import wait_until
from ring_fixture import frozen, refused, standing_ring

HOUR = 3600000


@pytest.fixture(scope="module")
def ring(request):
    """Its lease is long: nothing is refused but for what stands in a test, which waits for its end."""
    with standing_ring(request, timeout="5s") as ring:
        yield ring


def stored_at(ring, node, value=b"first"):
    """A new key of this node, that the store has."""
    key, = ring.keys_of(node)
    client = node.client()
    client.set(key, value)
    patient(lambda: client.execute_command("PLATOON.DUMP", key, "WAIT", 0))
    assert ring.stores[0].has(key) == value
    return key


def get(node, key, *how):
    return patient(lambda: node.client().execute_command("PLATOON.GET", key, *how))


def appended(node, key, before, text):
    """Once: what is refused because its answer was late may have been done."""
    tries = itertools.count()

    def append():
        if next(tries) > 0 and (now := node.client().get(key)) != before:
            return len(now)
        return node.client().append(key, text)
    return patient(append)


def test_reads_of_what_is_there(ring):
    """Each of them, at the owner and elsewhere, of what nobody changes."""
    one, other = ring.nodes
    key = stored_at(ring, one)
    for node in (one, other):
        for how in ([], ["STRONG"], ["EVENTUAL"], ["BOUNDED", 0], ["BOUNDED", HOUR], ["bounded", "1"]):
            assert get(node, key, *how) == b"first", (node, how)
            assert get(node, "never set", *how) is None
    assert ring.owner(key) is one


def test_a_strong_read_is_of_now(ring):
    """Also BOUNDED by nothing; and an eventual one is of some time, and of now where the owner is."""
    one, other = ring.nodes
    key = stored_at(ring, one, b"0")
    for i in range(1, 30):
        before = {b"%d" % n for n in range(i + 1)}
        assert get(other, key, "EVENTUAL") in before
        (one, other)[i % 2].client().set(key, i)
        assert get(other, key, "EVENTUAL") in before and get(other, key, "BOUNDED", HOUR) in before
        assert [get(other, key), get(other, key, "STRONG"), get(other, key, "BOUNDED", 0), other.client().get(key)] == [b"%d" % i] * 4
        assert get(one, key, "EVENTUAL") == b"%d" % i == get(one, key, "BOUNDED", 0)


def test_eventual_reads_come_to_what_was_written(ring):
    """From the store, where this node knew nothing of it."""
    one, other = ring.nodes
    keys = [stored_at(ring, one, b"%d" % i) for i in range(20)]
    assert [get(other, key, "EVENTUAL") for key in keys] == [b"%d" % i for i in range(20)]
    fresh, = ring.keys_of(one)
    wait_until(lambda: ring.stores[0].has(fresh), 30, "it to be stored by itself")
    assert get(other, fresh, "EVENTUAL") == fresh.encode()


def test_an_eventual_read_asks_no_other_node(ring):
    one, other = ring.nodes
    key, copied = stored_at(ring, one), stored_at(ring, one, b"copied")
    assert get(other, copied, "BOUNDED", HOUR) == b"copied"
    with frozen(one.pid()):
        assert get(other, key, "EVENTUAL") == b"first"
        assert get(other, copied, "BOUNDED", HOUR) == b"copied"
        ring.stores[0].away()
        try:
            assert get(other, copied, "EVENTUAL") == b"copied"
        finally:
            ring.stores[0].back()
        for how in ([], ["STRONG"], ["BOUNDED", 0]):
            with pytest.raises(redis.exceptions.ResponseError, match="^TRYAGAIN .*node.1"):
                other.client().execute_command("PLATOON.GET", key, *how)
        own = ring.key()
        assert patient(lambda: other.client().set(own, "v")) and other.client().get(own) == b"v"
    assert get(other, key) == b"first"
    ring.serves()


def test_readonly_connections(ring):
    one, other = ring.nodes
    key, (own,) = stored_at(ring, one), ring.keys_of(other)
    client = redis.Redis(unix_socket_path=other.path, single_connection_client=True)
    assert client.execute_command("READONLY") in (True, b"OK") and client.get(key) == b"first"
    with frozen(one.pid()):
        assert patient(lambda: client.get(key)) == b"first" and client.mget(own) == [own.encode()]
        assert client.set(own, "written") and client.get(own) == b"written"
        refused(lambda: client.execute_command("PLATOON.GET", key, "STRONG"))
        refused(lambda: other.client().get(key))
        client.execute_command("READWRITE")
        refused(lambda: client.get(key))
    assert patient(lambda: client.get(key)) == b"first"
    client.close()
    ring.serves()


def test_a_copy_is_no_object(ring):
    """It is not counted, not dirty and not stored, and who writes the object does that at its owner."""
    one, other = ring.nodes
    keys = [stored_at(ring, one, b"%d" % i) for i in range(50)]
    stored(other.client())
    before = other.client().dbsize()
    assert [get(other, key, "EVENTUAL") for key in keys] == [b"%d" % i for i in range(50)]
    assert other.client().dbsize() == before and other.client().execute_command("PLATOON.DIRTY")[0] == 0
    assert not {key.encode() for key in keys} & set(other.client().keys("*"))
    assert appended(other, keys[0], b"0", "more") == 5
    assert one.client().get(keys[0]) == b"0more" and get(other, keys[0]) == b"0more" and ring.owner(keys[0]) is one


WRONG = ["BOUNDED", "BOUNDED x", "BOUNDED -1", "SOON", "EVENTUAL 1", "STRONG EVENTUAL"]


def test_wrong_words(ring):
    """Of a foreign key as of a key of this node's own."""
    key, = ring.keys_of(ring.nodes[0])
    for words in WRONG:
        texts = set()
        for node in ring.nodes:
            with pytest.raises(redis.exceptions.ResponseError) as error:
                node.client().execute_command("PLATOON.GET", key, *words.split())
            texts.add(str(error.value))
        assert len(texts) == 1 and not texts.pop().startswith("TRYAGAIN"), words


def test_what_is_bounded(ring):
    """A copy is read as long as it is young enough, whatever its owner has written since; not behind a write from here."""
    one, other = ring.nodes
    key = stored_at(ring, one, b"1")
    assert get(other, key, "BOUNDED", HOUR) == b"1"
    one.client().set(key, "2")
    assert get(other, key, "BOUNDED", HOUR) == get(other, key, "EVENTUAL") == b"1"
    assert get(other, key, "BOUNDED", 0) == get(other, key, "BOUNDED", HOUR) == get(other, key, "EVENTUAL") == b"2"
    one.client().set(key, "3")
    assert appended(other, key, b"3", "!") == 2
    assert get(other, key, "BOUNDED", HOUR) == b"3!"
    assert patient(lambda: other.client().delete(key)) == 1
    assert get(other, key, "BOUNDED", HOUR) is None
    one.client().set(key, "4")
    assert get(other, key, "BOUNDED", HOUR) is None  # so it was, less than an hour ago
    transaction = other.client().pipeline()
    transaction.set(key, "5")
    assert patient(transaction.execute) == [True]
    assert get(other, key, "BOUNDED", HOUR) == b"5" and ring.owner(key) is one


@pytest.mark.parametrize("write, value", [("SET {} new", b"$3\r\nnew\r\n"), ("APPEND {} new", b"$4\r\n1new\r\n"), ("DEL {}", b"$-1\r\n")])
def test_a_copy_that_comes_behind_a_write_was_sent(ring, write, value):
    """Both are away at once. The owner confirmed the copy before it wrote: who was told of the write reads no older one."""
    one, other = ring.nodes
    key = stored_at(ring, one, b"1")
    get(other, key)
    connection = other.connection()
    read = array(f"PLATOON.GET {key} BOUNDED {HOUR}".encode().split())
    connection.send(read + array(write.format(key).encode().split()))
    assert connection.reply().value == b"1" and not connection.reply().raw.startswith(b"-")
    connection.send(read)
    assert connection.reply().raw == value
    connection.socket.close()


def test_a_copy_ends_with_its_object(ring):
    one, other = ring.nodes
    key = stored_at(ring, one, b"1")
    one.client().set(key, "2", px=1500)
    assert get(other, key, "BOUNDED", HOUR) in (b"2", None)
    wait_until(lambda: get(other, key, "BOUNDED", HOUR) is None, 30, "the copy to expire")
    assert get(other, key) is None


def test_the_order_of_a_pipeline(ring):
    """What is read here is not answered before what another node was sent earlier."""
    one, other = ring.nodes
    key, copied, (own,) = stored_at(ring, one, b"stored"), stored_at(ring, one, b"copied"), ring.keys_of(other)
    assert get(other, copied) == get(other, copied, "EVENTUAL") == get(other, copied, "BOUNDED", HOUR) == b"copied"
    for _ in range(5):
        pipeline = other.client().pipeline(transaction=False)
        for words in (["SET", key, "written"], ["PLATOON.GET", copied, "EVENTUAL"], ["PLATOON.GET", copied, "BOUNDED", HOUR], ["GET", own],
                      ["PLATOON.GET", key, "BOUNDED", HOUR], ["ECHO", "x"], ["PLATOON.GET", key, "BOUNDED", HOUR], ["GET", key], ["MGET", own, key],
                      ["PLATOON.GET", own, "EVENTUAL"]):
            pipeline.execute_command(*words)
        assert patient(pipeline.execute) == [True, b"copied", b"copied", own.encode(), b"written", b"x", b"written", b"written",
                                             [own.encode(), b"written"], own.encode()]


@contextlib.contextmanager
def readonly(node):
    connection = node.connection()
    connection.send(b"READONLY\r\n")
    assert connection.reply().raw == b"+OK\r\n"
    yield connection
    connection.socket.close()


def test_a_cold_pipeline_and_many_at_once(ring):
    one, other = ring.nodes
    keys = [stored_at(ring, one, b"%d" % i) for i in range(64)]
    values = [b"%d" % i for i in range(64)]
    with readonly(other) as connection, frozen(one.pid()):
        connection.send("".join(f"GET {key}\r\n" for key in keys[:32]).encode())
        assert [connection.reply().value for _ in range(32)] == values[:32]
        connection.send(f"MGET {' '.join(keys)} {ring.key()}\r\n".encode())
        reply = connection.reply()
        assert [item.value for item in reply.value[:64]] == values and reply.raw.endswith(b"\r\n$-1\r\n")
    ring.serves()


def test_calls_and_the_tool(ring):
    """As commands: an eventual one asks no other node, a bounded one keeps what the owner says."""
    one, other = ring.nodes
    key, platoon = stored_at(ring, one), ring.platoons[0]

    def call(node, key, consistency):
        return platoon.json("send", node.name, json.dumps({"get": key, "consistency": consistency}))
    with frozen(one.pid()):
        assert call(other, key, False) == {"ok": "first"} == call(other, key, False) and call(other, ring.key(), False) == {"ko": True}
    assert call(other, key, True) == {"ok": "first"}
    for node in ring.nodes:  # to one of them whichever is asked must go
        key = stored_at(ring, node)
        assert platoon.json("cache", "get", "c", key, "--bounded", "1h") == {"ok": "first"}
        node.client().set(key, "second")
        assert platoon.json("cache", "get", "c", key, "--bounded", "1h")["ok"] in ("first", "second")
        assert platoon.json("cache", "get", "c", key, "--bounded", "0s") == {"ok": "second"}
        assert platoon.json("cache", "get", "c", key, "--bounded", "1h") == {"ok": "second"}
        assert platoon.ctl("cache", "set", "c", key, "third").returncode == 0
        assert platoon.json("cache", "get", "c", key, "--bounded", "1h") == {"ok": "third"}
    ring.serves()


def test_a_transaction_is_strong(ring):
    """Also of a connection whose reads are eventual."""
    one, other = ring.nodes
    key = stored_at(ring, one, b"1")
    assert get(other, key, "EVENTUAL") == b"1"
    one.client().set(key, "2")
    with readonly(other) as connection:
        connection.send(f"GET {key}\r\n".encode())
        assert connection.reply().value == b"1"
        connection.send(f"MULTI\r\nGET {key}\r\nMGET {key}\r\nEXEC\r\nGET {key}\r\n".encode())
        *_, done, behind = [connection.reply() for _ in range(5)]
        assert done.raw == b"*2\r\n$1\r\n2\r\n*1\r\n$1\r\n2\r\n" and behind.value == b"1"


def test_a_copy_is_memory(ring):
    """Of the node that has it: as much of it as there may be goes in and out without leaving anything behind."""
    one, other = ring.nodes
    keys = [stored_at(ring, one, bytes(100000)) for _ in range(20)]
    before = other.client().info("memory")["used_memory"]
    assert [get(other, key, "EVENTUAL") for key in keys] == [bytes(100000)] * 20
    after = other.client().info("memory")["used_memory"]
    assert after - before > 20 * 90000 and other.status()["bytes"] is not None
    for key in keys:
        assert patient(lambda key=key: other.client().delete(key)) == 1
    wait_until(lambda: other.client().info("memory")["used_memory"] < before + 20 * 10000, 30, "the copies to go")
