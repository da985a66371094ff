"""copies = 2: what is acknowledged is in Redis too until the store has it, and a host that is lost for good loses nothing: the other one serves it."""
import itertools
import shutil

import pytest
import redis

from cache_store_fixture import Bucket
from incr_hammer import patient
from platoon_fixture import wait_until
from ring_fixture import Ring, die, serves_all

TAKES = 250

PREFIXES = itertools.count(1)
SHORT = {"lease": "2s", "timeout": "1s"}
UNSTORED = {"write_delay": "1h", "idle": "0s"}


@pytest.fixture
def hosts(redis_server, platoons, rgw):
    """Platoons of one ring, not started."""
    def make(count=2, server=None, **cache):
        ring, prefix = Ring(server or redis_server()), f"copies{next(PREFIXES)}"
        for _ in range(count):
            platoon = platoons()
            ring.add(platoon, Bucket(rgw, prefix, platoon.dir), **{"copies": 2, **SHORT, **UNSTORED, **cache})
        return ring
    return make


def burn(platoon):
    """Its host is lost, with all that it had."""
    die(platoon)
    shutil.rmtree(platoon.dir / "state")


def test_a_host_is_lost_for_good(hosts):
    """Nothing of it is stored: all of its acknowledged writes are served by the other one, by their newest value."""
    ring = hosts().start()
    one, other = ring.nodes
    keys = ring.keys_of(other, 20)
    client = other.client()
    for key in keys[:10]:
        client.set(key, "old")
        client.set(key, key + "!")
    client.delete(*keys[10:15])
    client.set(keys[15], "soon", ex=3600)
    assert ring.stores[0].has(keys[0]) is None
    burn(ring.platoons[1])
    here = one.client()
    for key in keys[:10]:
        assert patient(lambda key=key: here.get(key)) == key.encode() + b"!"
    assert [patient(lambda key=key: here.get(key)) for key in keys[10:15]] == [None] * 5
    assert patient(lambda: here.get(keys[15])) == b"soon" and 3500 < here.ttl(keys[15]) <= 3600
    serves_all(one, keys[16:])
    assert ring.row(other) is None and all(ring.owner(key) is one for key in keys)
