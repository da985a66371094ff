"""The primary becomes another server while we are connected: the drain goes on there, by itself.

Reported of such clients: redis-py#460, redis-sentinel#39, StackExchange.Redis#2264.
"""
import pytest

from drain_fixture import members
from platoon_fixture import wait_until
from unix_proxy import UnixProxy

FAST = {"retry_max": "500ms", "connect_timeout": "2s", "timeout": "2s"}


@pytest.fixture
def pair(platoon, redis_server):
    """Two servers with a port each, the address that leads to the first, and a platoon that knows only the address."""
    servers = [redis_server(), redis_server()]
    for server in servers:
        server.open_port()
    address = UnixProxy(platoon.dir / "moving.sock", servers[0].dir / "r.sock")
    platoon.configure(redis={"url": f"unix://{platoon.dir}/moving.sock", **FAST})
    platoon.redis = servers[0].client
    yield platoon, servers, address
    platoon.stop()
    address.close()


def replicate(replica, primary):
    replica.client().execute_command("REPLICAOF", "127.0.0.1", str(primary.port))
    wait_until(lambda: replica.client().info("replication").get("master_link_status") == "up", 20, "the replica to have it all")


def test_the_address_leads_to_the_new_primary(pair):
    """The old one lives on as its replica, and our connections with it."""
    platoon, (first, second), address = pair
    platoon.start()
    platoon.add(members(20))
    platoon.drained()
    pids = {n: w["pid"] for n, w in platoon.workers().items()}
    replicate(second, first)
    second.client().execute_command("REPLICAOF", "NO", "ONE")
    address.target = second.dir / "r.sock"
    replicate(first, second)
    platoon.add(members(20, 20), client=second.client())
    wait_until(lambda: platoon.data() == members(40), 20, "the new primary's records to be stored")
    wait_until(lambda: platoon.problems() == "", 10, "no more problems")
    assert {n: w["pid"] for n, w in platoon.workers().items()} == pids
    assert second.client().scard("tracking:pending") == 0


def test_several_addresses_are_tried_in_turn(platoon, redis_server):
    """The primary dies, another of the url's servers takes over."""
    servers = [redis_server(), redis_server()]
    for server in servers:
        server.open_port()
    first, second = servers
    platoon.configure(redis={"url": f"redis://127.0.0.1:{first.port},127.0.0.1:{second.port}/", **FAST})
    platoon.redis = first.client
    replicate(second, first)
    platoon.start()
    platoon.add(members(20))
    platoon.drained()
    first.stop()
    second.client().execute_command("REPLICAOF", "NO", "ONE")
    platoon.add(members(20, 20), client=second.client())
    wait_until(lambda: platoon.data() == members(40), 20, "the other server's records to be stored")
    assert platoon.ctl("redis", "GET", "nothing").returncode == 0
    wait_until(lambda: platoon.problems() == "", 10, "no more problems")


def test_a_one_off_command_follows(pair):
    platoon, (first, second), address = pair
    platoon.start()
    assert platoon.ctl("redis", "SET", "a", "1").returncode == 0
    replicate(second, first)
    second.client().execute_command("REPLICAOF", "NO", "ONE")
    address.target = second.dir / "r.sock"
    replicate(first, second)
    refused = platoon.ctl("redis", "SET", "a", "2")
    assert refused.returncode == 1 and "READONLY" in refused.stderr, refused
    wait_until(lambda: platoon.ctl("redis", "SET", "a", "3").returncode == 0, 10, "the one-off worker to be at the new primary")
    assert second.client().get("a") == b"3"


def test_a_replica_for_good_is_named_without_a_flood(pair):
    platoon, (first, second), _ = pair
    replicate(first, second)
    platoon.start(ready=False)
    wait_until(lambda: "replica" in platoon.problems(), 15, "status to say that it is a replica")
    before = first.client().info("stats")["total_connections_received"]
    named = [bool("READONLY" in platoon.problems()) for _ in range(10)]
    assert all(named), "trouble that comes and goes while nothing has changed"
    assert first.client().info("stats")["total_connections_received"] - before < 200
    first.client().execute_command("REPLICAOF", "NO", "ONE")
    platoon.add(members(20))
    platoon.drained()
    assert platoon.data() == members(20)
