"""A cache with a store behind, under a platoon: written behind, read through, and what happens while the store or its worker is away."""
import json
import threading
import time

import pytest
import redis

from cache_store_fixture import BACKING, NODE, Bucket, Directory, again, cache_text, client, in_time, kill, lose, stored
from platoon_fixture import SCALE, wait_until
from radosgw_fixture import Radosgw



def raises_again(text=""):
    return pytest.raises(redis.exceptions.ResponseError, match=f"^TRYAGAIN .*{text}")


@pytest.fixture(scope="module")
def gateway():
    server = Radosgw()
    try:
        server.start()
        assert server.ask("PUT", "/bucket")[0] == 200
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["file", "s3"])
def store(request, platoon):
    if request.param == "file":
        yield Directory(platoon.dir / "objects")
        return
    server = request.getfixturevalue("gateway")
    bucket = Bucket(server, request.node.name.replace("[", "-").replace("]", ""), platoon.dir)
    yield bucket
    if bucket.is_away:  # the test has failed meanwhile: those behind it share the server
        bucket.back()


@pytest.fixture
def directory(platoon):
    return Directory(platoon.dir / "objects")


@pytest.fixture
def cache(platoon):
    """Starts a platoon with one cache that has this store."""
    def start(store, **keys):
        platoon.config_path.write_text(cache_text(platoon, store, **keys))
        platoon.start()
        return client(platoon)
    return start


def test_written_behind_and_read_through(cache, platoon, store):
    r = cache(store)
    r.set("plain", "value")
    r.set("a/b c", b"\x00\xff")
    r.set("timed", "t", ex=1000)
    r.set("gone", "g")
    wait_until(lambda: store.has("plain") == b"value" and store.has("gone") == b"g", 10, "the objects")
    r.delete("gone")
    r.append("plain", "+more")
    stored(r)
    assert store.has("plain") == b"value+more" and store.has("gone") is None
    r = lose(platoon)
    assert r.dbsize() == 0
    assert r.get("plain") == b"value+more"
    assert r.get("a/b c") == b"\x00\xff"
    assert r.get("gone") is None and r.exists("gone", "never") == 0
    assert 900 < r.ttl("timed") <= 1000
    counters = wait_until(lambda: (c := platoon.workers()[NODE]["counters"]).get("cache_loads_total", 0) >= 5 and c, 20, "the counters")
    assert not counters.get("cache_dirty") and not counters.get("cache_at_risk_bytes")


def test_all_that_was_stored_comes_back(cache, platoon, store):
    r = cache(store)
    with r.pipeline(transaction=False) as pipe:
        for i in range(500):
            pipe.set(f"k{i}", f"v{i}" * 10)
        pipe.execute()
    stored(r)
    r = lose(platoon)
    with r.pipeline(transaction=False) as pipe:
        for i in range(500):
            pipe.get(f"k{i}")
        assert pipe.execute() == [f"v{i}".encode() * 10 for i in range(500)]
    r = lose(platoon)
    assert r.mget([f"k{i}" for i in range(500)]) == [f"v{i}".encode() * 10 for i in range(500)]


def test_what_is_dirty_survives_the_node(cache, platoon, directory):
    """Killed before it was stored: its successor stores it."""
    r = cache(directory, fsync="always")
    directory.away()
    r.set("k", "v")
    assert r.execute_command("PLATOON.DIRTY")[0] == 1
    kill(platoon, NODE)
    r = client(platoon)
    assert r.get("k") == b"v"
    directory.back()
    wait_until(lambda: directory.has("k") == b"v", 10, "its successor to store it")


def test_what_was_loaded_is_in_the_log_too(cache, platoon, directory):
    """Warm after a death, though the store is away: the log is what is in memory."""
    r = cache(directory)
    r.mset({"loaded": "v", "deleted": "x", "cold": "c"})
    stored(r)
    r = lose(platoon)
    assert r.mget("loaded", "deleted") == [b"v", b"x"] and r.delete("deleted") == 1
    stored(r)
    directory.away()
    kill(platoon, NODE)
    r = client(platoon)
    assert r.dbsize() == 1 and r.get("loaded") == b"v"
    directory.back()
    assert r.mget("loaded", "deleted", "cold") == [b"v", None, b"c"]


def test_an_older_value_never_comes_back(cache, platoon, store):
    r = cache(store)
    for i in range(20):
        r.set("k", f"v{i}")
        if i % 3 == 0:  # some are stored, some are overtaken by the next
            stored(r)
    stored(r)
    assert store.has("k") == b"v19"
    r = lose(platoon)
    r.set("k", "blind")  # nothing is loaded for it, and the store has a version
    stored(r)
    assert store.has("k") == b"blind"
    assert lose(platoon).get("k") == b"blind"


def test_thirty_two_cold_keys_of_a_pipeline(cache, platoon, store):
    """About one round trip, not 32 of them: by the best of either, as often as it takes to have one that nothing else on the machine was in the way of."""
    r = cache(store)
    with r.pipeline(transaction=False) as pipe:
        for i in range(64):
            pipe.set(f"k{i}", i)
        pipe.execute()
    stored(r)
    alone, took = [], []

    def is_about_one():
        r = lose(platoon)
        r.ping()
        began = time.monotonic()
        one_by_one = [r.get(f"k{i}") for i in range(32)]
        alone.append(time.monotonic() - began)
        with r.pipeline(transaction=False) as pipe:
            for i in range(32, 64):
                pipe.get(f"k{i}")
            began = time.monotonic()
            together = pipe.execute()
            took.append(time.monotonic() - began)
        assert one_by_one + together == [str(i).encode() for i in range(64)]
        return min(took) < min(alone) / 2
    wait_until(is_about_one, 60, lambda: f"32 in a pipeline: {min(took) * 1000:.1f} ms; one by one: {min(alone) * 1000:.1f} ms")


def test_its_worker_is_killed_in_the_middle(cache, platoon, directory):
    r = cache(directory)
    for i in range(100):
        r.set(f"k{i}", i)
    stored(r)
    r = lose(platoon)
    found, errors = {}, []

    def read():
        mine = client(platoon)
        try:
            for i in range(100):
                found[i] = mine.get(f"k{i}")
                mine.set(f"w{i}", i)
        except redis.exceptions.RedisError as error:
            errors.append(error)
    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(3):
        kill(platoon, BACKING)
    reader.join(60 * SCALE)
    assert not errors and found == {i: str(i).encode() for i in range(100)}
    stored(r)
    assert [directory.has(f"w{i}") for i in range(100)] == [str(i).encode() for i in range(100)]


def test_a_store_that_is_away(cache, platoon, store):
    """Memory goes on, what only the store knows is TRYAGAIN and never nil, bytes at risk grow to dirty_max; then all of it is stored."""
    r = cache(store, timeout="1s", dirty_max="64KB")
    r.set("cold", "c")
    r.set("warm", "w")
    stored(r)
    r = lose(platoon)
    assert in_time(lambda: r.get("warm")) == b"w"
    store.away()
    began = time.monotonic()
    with raises_again(f"store of {NODE}"):
        r.get("cold")
    assert time.monotonic() - began > 0.8
    with r.pipeline(transaction=False) as pipe:
        pipe.get("warm").get("cold").incr("number").set("blind", "b").get("blind").mget("warm", "cold")
        for i in range(40):
            pipe.get(f"cold{i}")
        began = time.monotonic()
        first, second, third, fourth, fifth, sixth, *others = pipe.execute(raise_on_error=False)
    assert time.monotonic() - began < 20, "each of a pipeline waited: 43 s"
    assert first == b"w" and fourth is True and fifth == b"b"
    assert all(again(e) for e in (second, third, sixth, *others))
    with pytest.raises(redis.exceptions.ResponseError, match="command not allowed when used memory"):
        for i in range(100):
            r.set(f"fill{i}", "x" * 1000)
    keys, size, oldest = r.execute_command("PLATOON.DIRTY")
    assert (64 << 10) < size < (66 << 10) and oldest > 0
    written = keys - 1
    assert r.get("fill0") == b"x" * 1000
    with raises_again():
        r.execute_command("PLATOON.DUMP", "fill0", "WAIT", "300")
    wait_until(lambda: "stored" in platoon.problems() or "loaded" in platoon.problems(), 10, "the trouble to be shown")
    store.back()
    wait_until(lambda: r.execute_command("PLATOON.DIRTY")[0] == 0, 30, "all of it to be stored")
    assert in_time(lambda: r.get("cold")) == b"c" and r.set("fill", "again")
    assert [store.has(f"fill{i}") for i in range(written)] == [b"x" * 1000] * written
    wait_until(lambda: not platoon.problems(), 10, "the trouble to be over")


def test_a_store_that_is_away_from_the_beginning(cache, platoon, directory):
    directory.away()
    platoon.config_path.write_text(cache_text(platoon, directory, timeout="500ms"))
    platoon.start_troubled()
    r = client(platoon)
    assert r.set("k", "v") and r.get("k") == b"v"
    with raises_again():
        r.get("cold")
    directory.back()
    wait_until(lambda: directory.has("k") == b"v", 20, "it to be stored")
    assert in_time(lambda: r.get("cold")) is None


def test_writes_wait_for_room(cache, directory):
    """More than dirty_max is stored at once; nobody is refused while the store keeps up."""
    r = cache(directory, dirty_max="64KB", write_delay="1h", memory="8MB")
    with r.pipeline(transaction=False) as pipe:
        for i in range(2000):
            pipe.set(f"k{i}", "x" * 1000)
        assert pipe.execute() == [True] * 2000
    assert r.execute_command("PLATOON.DIRTY")[1] <= (64 << 10) + 2000
    assert r.get("k0") == b"x" * 1000


def test_more_than_memory(cache, platoon, directory):
    """What does not fit goes to the store and comes back: 20 MB of objects in 8 MB."""
    r = cache(directory, memory="8MB", dirty_max="1MB")
    value = "x" * 10000
    for i in range(2000):
        r.set(f"k{i}", f"{i}:{value}")
    with r.pipeline(transaction=False) as pipe:
        for i in range(2000):
            pipe.get(f"k{i}")
        assert [v.split(b":")[0] for v in pipe.execute()] == [str(i).encode() for i in range(2000)]
    # What the client has not read yet counts too: room is made for it when it comes, not before.
    wait_until(lambda: platoon.workers()[NODE]["counters"]["cache_bytes"] <= 8 << 20, 10, "memory to be kept")


def test_transactions_wait_for_all_they_need(cache, platoon, directory):
    r = cache(directory, timeout="5s")
    r.mset({"a": 1, "b": 2})
    stored(r)
    r = lose(platoon)

    def transaction():
        with r.pipeline(transaction=True) as pipe:
            pipe.watch("a")
            a = int(pipe.get("a"))
            pipe.multi()
            pipe.set("a", a + 1).incr("b").get("c")
            return pipe.execute()
    assert in_time(transaction) == [True, 3, None]
    stored(r)
    directory.away()
    r = lose(platoon)
    with raises_again(), r.pipeline(transaction=True) as pipe:
        pipe.incr("a").incr("b").execute()
    directory.back()
    assert in_time(lambda: r.mget("a", "b")) == [b"2", b"3"], "nothing of it done"


def test_dumped_on_demand(cache, directory):
    r = cache(directory, write_delay="1h", idle="0s")
    r.set("k", "v")
    r.set("other", "o")
    assert r.execute_command("PLATOON.DUMP", "k", "WAIT", "0") == 1
    assert directory.has("k") == b"v" and directory.has("other") is None
    assert r.execute_command("PLATOON.DUMP", "k", "WAIT", "0") == 0
    assert r.execute_command("PLATOON.DUMP", "nothing") == 0
    assert r.execute_command("PLATOON.DUMP", "other") == 1
    wait_until(lambda: directory.has("other") == b"o", 20, "it to be stored")
    with pytest.raises(redis.exceptions.ResponseError, match="has a store"):
        r.flushall()


def test_dumped_while_it_is_written(cache, platoon, directory):
    """What is written all the time is never clean; who asks for it to be stored has what it was then."""
    r = cache(directory, write_delay="1h", idle="0s", timeout="60s")
    ends, counted = threading.Event(), client(platoon)
    r.set("hot", 0)
    writer = threading.Thread(target=lambda: [counted.incr("hot") for _ in iter(ends.is_set, True)])
    writer.start()
    try:
        for ask in (lambda: r.execute_command("PLATOON.DUMP", "hot", "WAIT", "0") == 1,
                    lambda: platoon.ctl("cache", "dump", "sessions", "hot", "--wait").returncode == 0,
                    lambda: json.loads(platoon.ctl("--json", "send", NODE, '{"persist":"hot"}').stdout)):
            before = int(r.get("hot"))
            assert ask()
            assert int(directory.has("hot")) >= before
            wait_until(lambda: r.execute_command("PLATOON.DIRTY")[0] == 1, 20, "it to be written on")
    finally:
        ends.set()
        writer.join()


def test_volatile_keys(cache, platoon, directory):
    r = cache(directory, volatile="session:* lock?")
    r.mset({"session:1": "s", "lock1": "l", "kept": "k"})
    stored(r)
    assert directory.has("kept") == b"k" and directory.has("session:1") is None and directory.has("lock1") is None
    r = lose(platoon)
    assert r.mget("session:1", "lock1", "kept") == [None, None, b"k"]


def test_an_idle_object_leaves_memory(cache, directory):
    r = cache(directory, idle="1s")
    r.set("k", "v")
    wait_until(lambda: r.dbsize() == 0, 20, "it to leave memory")
    assert directory.has("k") == b"v"
    with r.pipeline(transaction=True) as pipe:  # or it might have left again
        assert pipe.get("k").dbsize().execute() == [b"v", 1]


def test_an_orderly_stop_stores_all(cache, platoon, directory):
    r = cache(directory, whole={"stop_timeout": "20s"}, write_delay="1h")
    for i in range(200):
        r.set(f"k{i}", i)
    platoon.stop()
    assert [directory.has(f"k{i}") for i in range(200)] == [str(i).encode() for i in range(200)]


def test_who_waits_is_told_that_the_node_stops(cache, platoon, directory):
    r = cache(directory, timeout="1m")
    directory.away()
    said = []

    def wait():
        try:
            client(platoon, socket_timeout=60 * SCALE).get("cold")
        except redis.exceptions.RedisError as error:
            said.append(error)
    waiter = threading.Thread(target=wait)
    waiter.start()
    wait_until(lambda: r.info("clients")["blocked_clients"] == 1, 20, "it to wait")
    assert platoon.ctl("stop", NODE).returncode == 0
    waiter.join(60 * SCALE)
    assert len(said) == 1 and again(said[0]) and f"{NODE} stops" in str(said[0])


def test_asked_and_called(cache, platoon, directory):
    """What the tool asks waits as a client's command does."""
    r = cache(directory, write_delay="1h", timeout="15s")
    r.mset({"a": "1", "b": "2"})
    assert json.loads(platoon.ctl("--json", "send", NODE, '{"persist":"a"}').stdout)
    assert directory.has("a") == b"1" and directory.has("b") is None
    r.execute_command("PLATOON.DUMP", "b", "WAIT", "0")
    lose(platoon)
    assert platoon.ctl("cache", "get", "sessions", "a").stdout == "1\n"
    assert platoon.ctl("cache", "get", "sessions", "nothing").returncode == 1
    assert platoon.json("cache", "del", "sessions", "a", "b", "nothing")["count"] == 2
    directory.away()
    done = platoon.ctl("cache", "get", "sessions", "cold")
    assert done.returncode != 0 and "TRYAGAIN" in done.stderr
