"""How a manager leaves the ring, itself or struck out by the master, when the answer to that is lost; nodes are workers of the tests (ring_node.c)."""
import json

import pytest

from platoon_fixture import wait_until
from ring_fixture import die
from ring_node_fixture import MANAGER, ONE, S3, claim, configure_ring, serves

TAKES = 110

MANAGERS = "platoon:{cache:c}:managers"


def managers(platoon):
    done = platoon.ctl("--json", "cache", "ring", "c")
    return json.loads(done.stdout)["managers"] if done.returncode == 0 else []


@pytest.mark.parametrize("how", ["error", "kill"])
def test_the_masters_answer_is_lost(faulty, platoons, redis_server, how):
    """A host is dead, and its manager is struck out after ten leases; who has done that does not hear of it, or dies with it."""
    server, dead = redis_server(), platoons()
    for to in (faulty, dead):
        configure_ring(to, server, store=S3)
        to.start(ready=False)
        serves(to, ONE)
    (_, number), = claim(faulty, ONE, 1)
    wait_until(lambda: len(managers(faulty)) == 2, 30, "both to be known")
    gone = server.client().hkeys(MANAGERS)
    before = faulty.workers()[MANAGER]
    path = faulty.fault("cache-manager.answer", f"{how} cache_ring_retire")
    die(dead)
    wait_until(lambda: not path.exists(), 120, "the answer to be lost")
    if how == "kill":
        faulty.replaced(before, 60)
    wait_until(lambda: [row["role"] for row in managers(faulty)] == ["master"], 120, "one manager, which is master")
    assert server.client().hlen(MANAGERS) == 1 and (how == "kill") == (not set(server.client().hkeys(MANAGERS)) & set(gone))
    assert claim(faulty, ONE, 1) == [(1, number)]


def test_a_manager_that_ends_hears_nothing(platoon, redis_server):
    """Redis stands still just then: the end comes in time all the same, and what was asked for is done when Redis goes on."""
    server = redis_server()
    configure_ring(platoon, server)
    platoon.start()
    serves(platoon, ONE)
    server.pause()
    try:
        assert platoon.ctl("stop", MANAGER).returncode == 0
    finally:
        server.resume()
    wait_until(lambda: server.client().hlen(MANAGERS) == 0, 60, "it to be struck out")
    assert not server.client().exists("platoon:{cache:c}:master")
    assert platoon.ctl("start", MANAGER).returncode == 0
    serves(platoon, ONE)
    assert claim(platoon, ONE, 1)[0][0] == 1
    wait_until(lambda: len(managers(platoon)) == 1, 60, "one manager")
