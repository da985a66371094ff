"""Two hosts whose network is cut, by whichever of CACHE.md's cuts: what nobody can vouch for is refused, and when it is mended all goes on, every number once."""
import itertools

import pytest

from cache_store_fixture import Bucket
from incr_hammer import patient
from network_fixture import Network, Relay
from platoon_fixture import RedisServer, elapsed, wait_until
from ring_fixture import Ring, refused, serves_all

TAKES = 250

ONE, TWO, REDIS, STORE = "a", "b", "r", "s"
PREFIXES = itertools.count(1)
PORT = 6390
SHORT = {"lease": "2s", "timeout": "1s", "write_delay": "100ms"}
UNSTORED = {"write_delay": "1h", "idle": "0s"}


class FarBucket(Bucket):
    """The same, reached by the hosts through the network."""
    address = None

    def section(self):
        return super().section().replace(f"127.0.0.1:{self.server.port}", self.address)


@pytest.fixture
def network(root):
    net = Network(ONE, TWO, REDIS, STORE)
    try:
        yield net
    finally:
        net.close()


@pytest.fixture
def servers(network, rgw):
    """Redis, and the way to the store, on a host of its own each. They end after the platoons."""
    with network.inside(REDIS):
        server = RedisServer("--port", "6379", "--bind", network.addresses[REDIS], "--protected-mode", "no")
    server.url = f"redis://{network.addresses[REDIS]}:6379/0"
    relay = Relay(network, STORE, rgw.port)
    yield server, relay
    relay.close()
    server.close()


@pytest.fixture
def hosts(network, servers, platoons, rgw):
    """A ring of two hosts; started."""
    server, relay = servers

    def make(**cache):
        ring, prefix = Ring(server), f"net{next(PREFIXES)}"
        for host in (ONE, TWO):
            platoon = platoons()
            bucket = FarBucket(rgw, prefix, platoon.dir)
            bucket.address = relay.address
            port = PORT + len(ring.platoons)
            ring.add(platoon, bucket, listen=f"{network.addresses[host]}:{port}", port=port, plain="true", **{**SHORT, **cache})
            with network.inside(host):
                platoon.start(ready=False)
        return ring.serves()
    return make


def lost(ring, at, node):
    """Waits until that is what the ring's other host tells."""
    def state():
        rows = ring.platoons[ring.nodes.index(at)].json("cache", "ring", "c")["nodes"]
        return next((row["state"] for row in rows if row["address"].endswith(f":{node.port}")), None)
    wait_until(lambda: state() == "lost", 60, f"{node} to be lost")


def eventual(node, key):
    return node.client().execute_command("PLATOON.GET", key, "EVENTUAL")


@pytest.mark.parametrize("pairs", [[(ONE, REDIS)], [(TWO, REDIS)], [(ONE, TWO)], [(ONE, STORE)], [(TWO, REDIS), (TWO, STORE), (ONE, TWO)],
                                   [(ONE, REDIS), (TWO, REDIS)]], ids=lambda pairs: " ".join("-".join(pair) for pair in pairs))
def test_numbers_whatever_is_cut(network, hosts, pairs):
    ring = hosts(idle="1s")
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        hammer.more()
        for _ in range(2):
            with network.cut(*pairs):
                wait_until(elapsed(5), 30, "two leases and more")
            hammer.more(timeout=120)
        finals = [hammer.check(node.client()) for node in ring.nodes]
        assert finals[0] == finals[1]


def test_a_node_is_cut_from_redis(network, hosts):
    """Beyond 0.8 lease: strong commands are TRYAGAIN, eventual reads go on, nothing is stored; to the other host it is lost. Then all resumes, in its incarnation."""
    ring = hosts(write_delay="3s", idle="0s")
    one, other = ring.nodes
    (mine,), others = ring.keys_of(one), ring.keys_of(other, 3)
    number = ring.row(other)["incarnation"]
    with network.cut((TWO, REDIS)):
        refused(lambda: other.client().get(others[0]))
        patient(lambda: one.client().set(mine, mine))
        lost(ring, one, other)
        refused(lambda: one.client().get(others[0]))
        refused(lambda: other.client().set(others[1], "refused"))
        stored = [ring.stores[0].has(key) for key in others]
        wait_until(elapsed(4), 30, "time to store in")
        assert [ring.stores[0].has(key) for key in others] == stored, "it stores without a lease"
        assert eventual(other, others[0]) == others[0].encode()
        wait_until(lambda: "redis" in ring.platoons[1].problems().lower(), 60, "the trouble")
        serves_all(one, [mine])
    ring.serves()
    assert ring.row(other)["incarnation"] == number
    for node in ring.nodes:
        serves_all(node, [mine, others[0], others[2]])
        assert patient(lambda node=node: node.client().get(others[1])) in (others[1].encode(), b"refused")
    wait_until(lambda: ring.stores[0].has(others[0]) == others[0].encode(), 60, "it to be stored")


def test_a_node_is_cut_from_the_store(network, hosts):
    """Memory serves, bytes at risk grow; what is not in memory is refused, and never said not to be there."""
    ring = hosts()
    one, other = ring.nodes
    keys = ring.keys_of(other, 3)
    wait_until(lambda: all(ring.stores[0].has(key) for key in keys), 60, "them to be stored")
    wait_until(lambda: other.status()["at_risk_bytes"] == 0, 60, "nothing to be at risk")
    with network.cut((TWO, STORE)):
        for key in keys:
            patient(lambda key=key: other.client().set(key, key * 100))
        wait_until(lambda: other.status()["at_risk_bytes"] > 100, 60, "bytes at risk")
        assert all(patient(lambda key=key: other.client().get(key)) == (key * 100).encode() for key in keys)
        assert all(patient(lambda key=key: one.client().get(key)) == (key * 100).encode() for key in keys)
        unknown = ring.key()
        refused(lambda: other.client().get(unknown))
        assert [ring.stores[0].has(key) for key in keys] == [key.encode() for key in keys]
        wait_until(lambda: ring.platoons[1].problems() != "", 60, "the trouble")
    wait_until(lambda: all(ring.stores[0].has(key) == (key * 100).encode() for key in keys), 120, "them to be stored")
    assert patient(lambda: other.client().get(unknown)) is None


def test_nodes_are_cut_from_each_other(network, hosts):
    """Foreign objects are TRYAGAIN that names the node, after timeout; own ones go on."""
    ring = hosts(**UNSTORED)
    mine, others = (ring.keys_of(node, 2) for node in ring.nodes)
    for node, keys in zip(ring.nodes[::-1], (mine, others)):
        serves_all(node, keys)
    with network.cut((ONE, TWO)):
        for node, own, foreign in ((ring.nodes[0], mine, others), (ring.nodes[1], others, mine)):
            refused(lambda node=node, foreign=foreign: node.client().get(foreign[0]))
            refused(lambda node=node, foreign=foreign: node.client().get(foreign[1]), why="cache/c/node.1")
            serves_all(node, own)
            assert patient(lambda node=node, own=own: node.client().set(own[0], own[0]))
        wait_until(lambda: [row["state"] for row in ring.rows()] == ["live", "live"], 60, "both to be in the ring")
    for node in ring.nodes:
        serves_all(node, mine + others, 120)


def test_a_host_that_is_cut_off_is_taken_over(network, hosts):
    """copies = 2: the other one serves what it had, deletions too. It answers nothing meanwhile, and shows what was written since when it is back."""
    ring = hosts(copies=2, **UNSTORED)
    one, other = ring.nodes
    kept, overwritten, gone = ring.keys_of(other, 3)
    for key in (gone, overwritten):
        patient(lambda key=key: other.client().execute_command("PLATOON.DUMP", key, "WAIT", 0))
    patient(lambda: other.client().delete(gone))
    patient(lambda: other.client().set(overwritten, "second"))
    with network.cut((TWO, REDIS), (TWO, STORE), (TWO, ONE)):
        assert patient(lambda: one.client().get(gone), 120) is None and ring.stores[0].has(gone) is None
        assert patient(lambda: one.client().get(overwritten)) == b"second"
        patient(lambda: one.client().set(overwritten, "third"))
        serves_all(one, [kept])
        for key in (kept, overwritten, gone):
            refused(lambda key=key: other.client().get(key))
    ring.serves()
    for node in ring.nodes:
        serves_all(node, [kept])
        assert patient(lambda node=node: node.client().get(overwritten)) == b"third" and patient(lambda node=node: node.client().get(gone)) is None
