"""The application rewrites while we move; two platoons share a set."""
import threading

import pytest

from platoon_fixture import wait_until
from postgres_fixture import configured


def test_both_versions_in_order(platoon):
    """While the first version is held back by a locked store, a second is written: the newest stays."""
    import sqlite3
    platoon.configure(drain={"key": "{id}"}).start()
    platoon.add({"v:0": {"id": "0"}})
    platoon.drained()
    db = sqlite3.connect(platoon.dir / "visits.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    platoon.add({"v:1": {"id": "1", "version": "first", "old": "yes"}})
    wait_until(lambda: platoon.drain()["claimed"] == 1, 10, "the claim of the first version")
    platoon.add({"v:1": {"id": "1", "version": "second"}})
    wait_until(lambda: platoon.drain()["claimed"] == 2, 10, "the claim of the second version")
    db.execute("ROLLBACK")
    db.close()
    platoon.drained()
    assert platoon.data()["1"] == {"id": "1", "version": "second"}
    assert platoon.drain()["stored"] == 3


def test_rewritten_all_the_time(platoon):
    """Ten members, each rewritten 300 times as fast as it goes, claimed one by one by many workers: the last version stays."""
    platoon.configure(drain={"key": "{id}", "batch": 1, "get_hash.workers": 3, "transfer.workers": 2}).start()
    last = 300

    def application(part):
        r = platoon.redis()
        for version in range(1, last + 1):
            for i in range(part * 5, part * 5 + 5):
                pipe = r.pipeline(transaction=True)
                pipe.hset(f"v:{i}", mapping={"id": str(i), "version": str(version)})
                pipe.sadd("tracking:pending", f"v:{i}")
                pipe.execute()
    writers = [threading.Thread(target=application, args=(n,)) for n in range(2)]
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    platoon.drained(timeout=60)
    assert platoon.data() == {str(i): {"id": str(i), "version": str(last)} for i in range(10)}
    assert platoon.drain()["dead"] == 0


def test_rewritten_command_by_command(platoon):
    """No transaction: a member can be claimed between its HSET and its SADD. Nothing is lost, and nothing is called missing."""
    platoon.configure(drain={"key": "{id}", "poll_max": "10ms", "batch": 1}).start()
    r = platoon.redis()
    for version in range(1, 1001):
        i = version % 3
        r.hset(f"v:{i}", mapping={"id": str(i), "version": str(version)})
        r.sadd("tracking:pending", f"v:{i}")
    platoon.drained(timeout=60)
    assert platoon.data() == {str(i): {"id": str(i), "version": str(v)} for i, v in ((0, 999), (1, 1000), (2, 998))}
    assert platoon.drain()["dead"] == 0


@pytest.fixture
def two(platoons, redis_server, server, fresh):
    """Two platoons on one set, one ledger and one store; and a client of their Redis."""
    shared = redis_server()

    def make(**drain):
        made = []
        for _ in range(2):
            p = platoons()
            configured(p, server, {"key": "{id}", "batch": 20, **drain}, {"url": shared.url})
            p.redis = shared.client
            made.append(p)
        return made
    return make, shared.client()


def members(count):
    return {f"v:{i}": {"id": str(i), "text": "t" * (i % 40)} for i in range(count)}


def expected(count):
    return {str(i): {"id": str(i), "text": "t" * (i % 40)} for i in range(count)}


def batches_of(platoon):
    return platoon.workers()["transfer/visits.1"]["counters"].get("batches_total", 0)


def both_take_part(one, two, least):
    """Starts both and adds members until each has stored some: whoever looks first may take a whole wave. Returns how many."""
    one.start()
    two.start()
    total = 0

    def add_more():
        nonlocal total
        everything = members(total + 500)
        one.add({k: v for k, v in everything.items() if int(v["id"]) >= total})
        total += 500
        return total >= least and batches_of(one) and batches_of(two)
    wait_until(add_more, 60, "both to have stored records")
    return total


def test_two_platoons_on_one_set(two, server):
    """Each member exactly once; and neither takes the other's claims for orphans."""
    make, client = two
    one, other = make()
    total = both_take_part(one, other, 5000)
    one.drained(timeout=60)
    assert server.data() == expected(total)
    status = one.drain()
    assert (status["stored"], status["redelivered"], status["dead"]) == (total, 0, 0)
    assert not client.keys("platoon:{visits}:aside:*")


def test_one_of_two_is_killed(two, server):
    """The host of one dies: its claims come back by the lease, and the other finishes."""
    make, client = two
    one, other = make(lease="2s")
    total = both_take_part(one, other, 4000)
    one.add({k: v for k, v in members(total + 4000).items() if int(v["id"]) >= total})
    one.kill9()
    one.gone()
    other.drained(timeout=60)
    assert server.data() == expected(total + 4000)
    assert other.drain()["dead"] == 0
    assert not client.keys("platoon:{visits}:claim:*")
