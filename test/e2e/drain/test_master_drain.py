"""The master with a drain below it: what it says of its sections, its tree and order; whatever dies or stands still, nothing is lost."""
import pytest

from drain_fixture import KEEPS, members
from platoon_fixture import ASAN, freeze, rss_bytes
from platoon_steps import (
    escalates, fatal_by_78, master_killed, pids, refused_without_program, restarted_for_garbage, restarted_with, stands_still, stop_places,
    tree_is_of_the_design)


def test_tree_is_the_one_of_the_design(platoon):
    tree_is_of_the_design(platoon, ["redis/server", "redis/send.1", "redis/visits/watcher.1", "redis/visits/get-set.1", "redis/visits/get-hash.1",
                                    "redis/visits/get-hash.2", "transfer/visits.1", "transfer/report"])


def test_missing_worker_program(platoon):
    refused_without_program(platoon, "get-hash")


def test_orderly_stop_on_term(platoon):
    platoon.start()
    platoon.add(members(2000))
    assert platoon.stop() == 0
    platoon.gone()
    platoon.start()
    platoon.drained()
    assert platoon.data() == members(2000)


def test_stop_order_is_the_reverse_of_start_order(platoon):
    place = stop_places(platoon)
    assert place["redis/visits/watcher.1"] > place["transfer/visits.1"]


def test_hung_worker_is_killed(platoon):
    platoon.configure(platoon={"hang_timeout": "5s"}).start()
    before = platoon.workers()["redis/visits/get-hash.1"]
    freeze(before["pid"])
    platoon.replaced(before)
    platoon.add(members(100))
    platoon.drained()
    assert platoon.data() == members(100)


@pytest.mark.parametrize("who, times", [("master", 1), ("machine", 2)])
def test_master_that_stood_still_takes_nobody_for_hung(platoon, who, times):
    before = stands_still(platoon, who, times, lambda turn: platoon.add(members(100, start=100 * turn)))
    platoon.drained()
    assert platoon.data() == members(100 * times)
    assert pids(platoon) == before


def test_rest_for_one(platoon):
    platoon.configure(drain={"strategy": "rest_for_one"}).start()
    assert restarted_with(platoon, "redis/visits/get-set.1") == {"redis/visits/get-set.1", "redis/visits/get-hash.1", "redis/visits/get-hash.2"}
    platoon.add(members(50))
    platoon.drained()


def test_back_off_and_escalation(platoon):
    platoon.configure(platoon={"backoff_min": "10ms", "backoff_max": "50ms"}, drain={"intensity": 3, "period": "30s"}).start()
    escalates(platoon, "redis/visits/get-hash.1", first="redis/visits/watcher.1")
    platoon.add(members(50))
    platoon.drained()


def test_configuration_error_of_a_worker_is_fatal(platoon):
    fatal_by_78(platoon, "report", "transfer/report")
    platoon.add(members(5))
    platoon.drained()


def test_foreign_program_as_worker(platoon):
    restarted_for_garbage(platoon, "report", "transfer/report")
    platoon.add(members(5))
    platoon.drained()


def test_kill_9_of_the_master(platoon):
    platoon.configure(redis=KEEPS, drain={"batch": 20}).start()
    platoon.add(members(3000))
    master_killed(platoon)
    platoon.drained(timeout=60)
    assert platoon.data() == members(3000)
    assert platoon.drain()["dead"] == 0


def test_resident_memory_with_100_workers(platoon, redis_server):
    """Under 8 MB (the sanitizers' own memory does not count: there it only has to stay bounded)."""
    server = redis_server("--maxclients", "2000")
    platoon.configure(platoon={"ready_timeout": "120s"}, redis={"url": server.url}, drain={"get_hash.workers": 96})
    platoon.spawn()
    platoon.wait_socket()
    assert platoon.ctl("--timeout", "120s", "wait", "ready").returncode == 0
    workers = platoon.workers()
    assert len(workers) >= 100
    for _ in range(20):
        platoon.tree()
    resident = rss_bytes(platoon.process.pid)
    assert resident < (150 if ASAN else 8) * 1024 * 1024, f"{resident / 1e6:.1f} MB with {len(workers)} workers"
    platoon.redis = server.client
    platoon.add(members(2000))
    platoon.drained(timeout=60)
    assert platoon.data() == members(2000)
