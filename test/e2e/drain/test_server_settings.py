"""A server whose settings break the drain's promise: said in status, in the log once, and as a gauge; the drain itself goes on.

Reported of such queues: bullmq#2215, sidekiq#2883.
"""
import pytest

from drain_fixture import members
from platoon_fixture import free_port, wait_until

FAST = {"retry_max": "500ms", "connect_timeout": "2s", "timeout": "2s"}


@pytest.fixture
def on(platoon, redis_server):
    def make(*options):
        server = redis_server(*options)
        platoon.configure(redis={"url": server.url, **FAST})
        platoon.redis = server.client
        platoon.server = server
        return platoon
    return make


def gauge(platoon, name):
    return platoon.workers()["redis/visits/watcher.1"]["counters"].get(name, 0)


def warned(platoon, *words):
    said = platoon.ctl("status").stdout
    return all(w in said for w in words)


@pytest.mark.parametrize("options, name, word", [
    (["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"], "redis_evicts", "noeviction"),
    (["--maxmemory-policy", "volatile-lru"], "redis_evicts", "noeviction"),
    (["--appendonly", "no"], "redis_forgets", "appendonly yes"),
])
def test_said_from_the_start(on, options, name, word):
    platoon = on(*options)
    platoon.start()
    wait_until(lambda: gauge(platoon, name) == 1, 10, f"the gauge {name}")
    assert warned(platoon, "warnings:", "redis/visits/watcher.1: this Redis ", word), platoon.ctl("status").stdout
    assert platoon.json("status")["warnings"] and platoon.json("status")["ready"] is True
    platoon.add(members(20))
    platoon.drained()
    platoon.redis().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    platoon.add(members(20, 20))
    platoon.drained()
    wait_until(lambda: gauge(platoon, "redis_reconnects_total") > 0, 10, "the watcher to have been there twice")
    assert platoon.log().count("this Redis ") == 1, "once in the log, however often it connects"


def test_said_where_config_is_not_allowed(on):
    platoon = on("--maxmemory-policy", "allkeys-lfu", "--rename-command", "CONFIG", "")
    platoon.start()
    wait_until(lambda: gauge(platoon, "redis_evicts") == 1, 10, "the gauge")
    assert warned(platoon, "noeviction")


def test_snapshots_are_persistence(on):
    platoon = on("--appendonly", "no", "--save", "3600 1")
    platoon.start()
    platoon.redis().config_set("maxmemory-policy", "allkeys-lru")
    platoon.redis().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_until(lambda: gauge(platoon, "redis_evicts") == 1, 10, "another look")
    assert gauge(platoon, "redis_forgets") == 0


@pytest.mark.parametrize("without", [[], ["--rename-command", "CONFIG", ""]], ids=["config", "no config"])
def test_a_snapshot_for_a_replica_is_no_persistence(on, redis_server, without):
    """Nor is one that a person made. Where CONFIG is refused nobody knows, and nothing is said."""
    platoon = on("--appendonly", "no", "--maxmemory-policy", "allkeys-lru", "--port", str(port := free_port()), *without)
    replica = redis_server("--appendonly", "no", "--replicaof", f"127.0.0.1 {port}").client()
    wait_until(lambda: replica.info("replication")["master_link_status"] == "up", 20, "the replica")
    wait_until(lambda: platoon.redis().info("persistence")["rdb_last_bgsave_time_sec"] != -1, 10, "the snapshot")
    platoon.start()
    wait_until(lambda: gauge(platoon, "redis_evicts") == 1, 10, "a look")
    assert gauge(platoon, "redis_forgets") == (0 if without else 1)
    assert warned(platoon, "appendonly yes") is not bool(without)


@pytest.mark.parametrize("how", ["acl", "rename"])
def test_info_that_is_refused_is_said(on, how):
    """And nothing of the server that was there before."""
    platoon = on("--maxmemory-policy", "allkeys-lfu", "--appendonly", "no")
    platoon.start()
    wait_until(lambda: gauge(platoon, "redis_evicts") and gauge(platoon, "redis_forgets"), 10, "the gauges")
    if how == "acl":
        platoon.redis().execute_command("ACL", "SETUSER", "default", "-info")
        platoon.redis().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    else:
        platoon.server.stop()
        platoon.server.options = (*platoon.server.options, "--rename-command", "INFO", "")
        platoon.server.start()
    wait_until(lambda: gauge(platoon, "redis_unseen") == 1, 20, "the gauge")
    assert gauge(platoon, "redis_evicts") == gauge(platoon, "redis_forgets") == 0
    assert warned(platoon, "warnings:", "refuses INFO", "+info") and not warned(platoon, "noeviction")
    platoon.add(members(20))
    platoon.drained()
    if how == "acl":
        platoon.redis().execute_command("ACL", "SETUSER", "default", "+info")
        platoon.redis().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        wait_until(lambda: gauge(platoon, "redis_unseen") == 0 and gauge(platoon, "redis_evicts") == 1, 20, "what INFO says")


def test_memory_near_its_limit_and_over_again(on):
    platoon = on()
    platoon.start()
    r = platoon.redis()
    r.setrange("ballast", 20_000_000, b"x")
    r.config_set("maxmemory", int(r.info("memory")["used_memory"] * 1.05))
    r.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_until(lambda: gauge(platoon, "redis_memory_short") == 1, 10, "the gauge")
    assert warned(platoon, "maxmemory")
    r.config_set("maxmemory", 0)
    r.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_until(lambda: "warning-over" in platoon.log(), 10, "the log to say that it is over")
    wait_until(lambda: not warned(platoon, "warnings:"), 10, "status to be quiet")


def test_a_replica_is_a_gauge_too(on):
    platoon = on()
    platoon.redis().execute_command("REPLICAOF", "127.0.0.1", "1")
    platoon.start(ready=False)
    wait_until(lambda: gauge(platoon, "redis_replica") == 1, 15, "the gauge")
    assert warned(platoon, "replica")
    platoon.redis().execute_command("REPLICAOF", "NO", "ONE")
    wait_until(lambda: gauge(platoon, "redis_replica") == 0, 15, "the gauge to fall")


def test_the_embedded_server_keeps_the_promise(platoon):
    platoon.start()
    platoon.add(members(5))
    platoon.drained()
    assert platoon.json("status")["warnings"] == []
