"""A ring whose Redis fails over: nothing is granted until who had something could say so, nothing that was acknowledged is lost, and no number is given twice."""
import contextlib

import pytest

from incr_hammer import patient
from platoon_fixture import free_port, wait_until
from ring_fixture import Ring, serves_all
from sentinel_fixture import NAME, url_of, watched

TAKES = 150

FAST = {"retry_max": "500ms", "connect_timeout": "2s", "timeout": "2s"}
SHORT = {"nodes": 2, "lease": "2s", "timeout": "1s"}
UNSTORED = {"write_delay": "1h", "idle": "0s"}


class Guided(Ring):
    """A ring that knows only the Sentinels."""

    def __init__(self, servers, sentinels):
        super().__init__(servers[0])
        self.servers, self.sentinels = servers, sentinels

    def primary(self):
        ports = {s.primary_port() for s in self.sentinels}
        return next((server for server in self.servers if ports == {server.port}), None)

    def other(self, server):
        return next(one for one in self.servers if one is not server)

    def leads(self, server):
        """Waits until all Sentinels say so, and it is ready for that."""
        wait_until(lambda: self.primary() is server and server.client().info("replication")["role"] == "master", 90, f"{server.port} to be the primary")

    def pairs(self):
        """Waits until the primary has its replica, of which all Sentinels know: only then can it fail over again."""
        def paired():
            with contextlib.suppress(Exception):  # one of them is being started, or made the other's replica
                primary = self.primary()
                return (self.other(primary).client().info("replication").get("master_link_status") == "up" and
                        all(s.knows_all() for s in self.sentinels))
        wait_until(paired, 90, "a primary with its replica")

    def killed(self):
        """The primary dies; back again, it is the new one's replica."""
        was = self.primary()
        now = self.other(was)
        was.stop()
        self.leads(now)
        was.start()
        was.client().execute_command("REPLICAOF", "127.0.0.1", str(now.port))

    def handed_over(self):
        now = self.other(self.primary())
        self.sentinels[1].client().execute_command("SENTINEL", "FAILOVER", NAME)
        self.leads(now)


@pytest.fixture
def pair(redis_server):
    """Two servers whose ports stay theirs, and three Sentinels; they end after the platoons."""
    servers = []
    for port in (free_port(), free_port()):
        servers.append(redis_server("--port", str(port)))
        servers[-1].port = port
    with watched(*servers) as sentinels:
        yield servers, sentinels


@pytest.fixture
def guided(pair, platoon):
    def make(**cache):
        servers, sentinels = pair
        ring = Guided(servers, sentinels)
        servers[0].url = url_of(sentinels)
        return ring.add(platoon, more=FAST, **{**SHORT, **cache}).start()
    return make


@pytest.mark.parametrize("how", [Guided.killed, Guided.handed_over], ids=["the primary dies", "it is handed over"])
@pytest.mark.parametrize("copies", [1, 2])
def test_numbers_go_on(guided, how, copies):
    ring = guided(copies=copies, idle="1s", write_delay="100ms")
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for _ in range(2):
            hammer.more(timeout=120)
            ring.pairs()
            how(ring)
        hammer.more(timeout=120)
        finals = [hammer.check(node.client()) for node in ring.nodes]
        assert finals[0] == finals[1]


def test_who_had_something_has_it_still(guided):
    """Its lease runs: it claims again, and serves from memory what nobody has stored; versions go on above all before."""
    ring = guided(lease="10s", timeout="60s", **UNSTORED)
    owned = {node: ring.keys_of(node, 10) for node in ring.nodes}
    ring.stores[0].away()
    ring.handed_over()
    for keys in owned.values():
        for at in ring.nodes:
            serves_all(at, keys, 120)
    assert all(ring.owner(key) is node for node, keys in owned.items() for key in keys)
    ring.stores[0].back()
    for node, keys in owned.items():
        patient(lambda node=node, keys=keys: node.client().set(keys[0], "newer"))
        patient(lambda node=node, keys=keys: node.client().execute_command("PLATOON.DUMP", keys[0], "WAIT", 0))
        assert ring.stores[0].has(keys[0]) == b"newer"
