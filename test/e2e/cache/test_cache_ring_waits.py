"""A command of another node's object that waits: what it must not hold, how long it waits, and whose reason its client is told."""
import itertools
import json
import threading

import pytest
import redis

from cache_platoon_fixture import CachePlatoon
from incr_hammer import patient
from platoon_fixture import BUILD, RedisServer, wait_until
from ring_fixture import MANAGER, Ring, frozen

TIMEOUT = 6  # seconds that anything waits where a test waits for its end
LONG = 60  # and where not: whatever the machine does meanwhile


@pytest.fixture
def timeout():
    return TIMEOUT


@pytest.fixture
def ring(timeout):
    platoon, server = CachePlatoon(BUILD), RedisServer()
    ring = Ring(server)
    passed = False
    try:
        yield ring.add(platoon, nodes=2, lease="2s", timeout=f"{timeout}s").start()
        passed = True
    finally:
        try:
            platoon.close(passed)
        finally:
            server.close()


class Asked(threading.Thread):
    """What a client of its own asks a node for; what came of it."""

    def __init__(self, node, ask):
        super().__init__(daemon=True)
        self.node, self.ask, self.answer = node, ask, None
        self.start()

    def run(self):
        try:
            self.answer = self.ask(self.node.client())
        except redis.exceptions.RedisError as error:
            self.answer = error

    def came(self):
        self.join(60)
        assert not self.is_alive()
        return self.answer


def get(key):
    return lambda client: client.get(key)


def in_memory_and_not(ring, owner, cold):
    """A key that the owner has in memory, with its name as its value; and so many of which only the store knows anything, which are its as well."""
    tag = ring.key()
    warm, *keys = [ring.key(tag) for _ in range(cold + 1)]
    patient(lambda: owner.client().set(warm, warm))
    assert ring.owner(keys[0]) is owner
    return warm, keys


def waits(node):
    """How many wait there."""
    return node.client().info("clients")["blocked_clients"]


@pytest.mark.parametrize("timeout", [LONG])
def test_a_warm_one_passes_a_cold_one(ring):
    """What the owner has in memory is read and written by clients of the other node, while others of them wait for a store that is away."""
    one, other = ring.nodes
    warm, keys = in_memory_and_not(ring, other, 3)
    ring.stores[0].away()
    cold = [Asked(one, get(key)) for key in keys]
    wait_until(lambda: waits(other) == len(cold), 30, "cold ones that wait at their owner")
    assert one.client().get(warm) == warm.encode()
    assert one.client().append(warm, "!") == len(warm) + 1
    assert other.client().get(warm) == warm.encode() + b"!"
    assert all(asked.is_alive() for asked in cold), [asked.answer for asked in cold]
    ring.stores[0].back()
    assert [asked.came() for asked in cold] == [None] * len(cold)


@pytest.mark.parametrize("timeout", [LONG])
def test_a_pipeline_keeps_its_order(ring):
    """What one client has sent runs in its order, though the first of it waits and the rest need not."""
    one, other = ring.nodes
    warm, (cold,) = in_memory_and_not(ring, other, 1)
    ring.stores[0].away()

    def ask(client):
        pipe = client.pipeline(transaction=False)
        pipe.set(warm, 1).incr(cold).incr(warm).incr(cold).mget(cold, warm)
        return pipe.execute()
    asked = Asked(one, ask)
    wait_until(lambda: waits(other) == 4, 30, "what waits, and what is behind it")
    assert other.client().get(warm) == b"1", "it has not been overtaken"
    ring.stores[0].back()
    assert asked.came() == [True, 1, 2, 2, [b"2", b"2"]]


def test_the_reason_is_the_stores(ring):
    """Not that a node gives no answer: that one gives up a little before who asked it, and says why. On a busy machine it may come too late once."""
    one, other = ring.nodes
    _, keys = in_memory_and_not(ring, other, 3)
    ring.stores[0].away()
    answers = []
    for key in keys:
        answers.append(str(Asked(one, get(key)).came()))
        if f"the store of {other.name} gives no answer: " in answers[-1] and str(ring.stores[0].path) in answers[-1]:
            break
    else:
        raise AssertionError(answers)
    ring.stores[0].back()


def test_the_reason_is_the_leases(ring):
    one, other = ring.nodes
    key = ring.keys_of(other)[0]
    with frozen(ring.platoons[0].workers()[MANAGER]["pid"]):
        answer = {}

        def look():
            answer["last"] = str(Asked(one, get(key)).came())
            return "the ring of " in answer["last"]
        wait_until(look, 60, lambda: f"the ring's reason: {answer}")


def test_persist_does_not_ask_again_and_again(ring):
    """What a call has stored that is another node's, while the store is away: asked for a few times, however fast that one answers."""
    one, other = ring.nodes
    key = ring.keys_of(other)[0]
    wait_until(lambda: ring.stores[0].has(key) is not None, 30, "the object in the store")
    ring.stores[0].away()
    patient(lambda: other.client().set(key, "newer"))
    before = one.status()["forwarded"]
    asked, said = itertools.count(1), []

    def refuses():
        """For the store's reason: on a busy machine that may come too late once."""
        said[:] = [next(asked), ring.platoons[0].ctl("--timeout", "60s", "send", one.name, json.dumps({"persist": key}))]
        return said[1].returncode != 0 and f"the store of {other.name} has not taken the object" in said[1].stdout + said[1].stderr
    wait_until(refuses, 60, lambda: f"the store's reason: {said}")
    assert one.status()["forwarded"] - before < (10 * TIMEOUT + 20) * said[0]
    ring.stores[0].back()
    wait_until(lambda: ring.platoons[0].ctl("send", one.name, json.dumps({"persist": key})).returncode == 0, 60, "it to be stored")
    assert ring.stores[0].has(key) == b"newer"
