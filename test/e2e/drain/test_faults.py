"""kill -9 at every step of the ledger, of every worker, and a poison member: nothing is lost, nothing is twice."""
import contextlib
import os
import pathlib
import re
import signal
import sqlite3
import time

import pytest

from drain_fixture import KEEPS, ledger_left
from platoon_fixture import freeze, soon, wait_until

POINTS = ["get-set.after-claim", "get-hash.after-take", "get-hash.after-fetch", "get-hash.before-records", "get-hash.after-stored",
          "get-hash.before-ack", "get-hash.after-ack", "transfer.before-store", "transfer.after-store", "transfer.record"]

ROOT = pathlib.Path(__file__).resolve().parents[3]


def members(count, start=0):
    return {f"v:{i}": {"n": str(i), "text": "x" * (i % 50)} for i in range(start, start + count)}


def settled(platoon, count):
    """All of it in the store, nothing in the ledger, nothing dead."""
    wait_until(lambda: platoon.data() == members(count), 20, "every record in the store")
    platoon.drained()
    wait_until(lambda: not ledger_left(platoon.redis()), 15, "an empty ledger")
    status = platoon.drain()
    assert (status["pending"], status["claimed"], status["dead"]) == (0, 0, 0)


def test_every_point_is_visited():
    """The list above is the list in the code, but for points that their own systems' tests visit (test/unit/cache, test_snapshot_wrong, test_queue_faults, test_jobs_faults)."""
    found = set()
    for path in sorted((ROOT / "workers").rglob("*.c")):
        if not {"cache", "snapshot", "queue", "jobs"} & set(path.parts):
            found |= set(re.findall(r'FAULT_POINT\("([^"]+)"', path.read_text()))
    assert found == {*POINTS, "watcher.before-orphans", "health.before-poll"}


def test_stall_of_the_store(faulty):
    """The store's thread hangs, as on a disk that does: that is said and not killed, because a slow disk would be killed again and again."""
    faulty.configure(platoon={"hang_timeout": "5s"}).start()
    order = faulty.fault("transfer.before-store", "stall")
    faulty.add(members(200))
    wait_until(lambda: not order.exists(), 10, "the store to hang")
    wait_until(lambda: "is its disk slow?" in faulty.problems(), 15, "the problem to be told")
    assert faulty.workers()["transfer/visits.1"]["restarts"] == 0
    assert faulty.ctl("restart", "transfer/visits.1").returncode == 0
    settled(faulty, 200)


@pytest.mark.parametrize("point", [*(p for p in POINTS if p != "transfer.before-store"), "watcher.before-orphans"])
def test_stall_at(faulty, point):
    """A worker hangs there: the master notices, kills it, and all goes on."""
    faulty.configure(platoon={"hang_timeout": "5s"}, drain={"batch": 100}).start()
    order = faulty.fault(point, "stall")
    if point == "watcher.before-orphans":  # it looks for them when somebody dies
        os.kill(faulty.pid_of("redis/visits/get-hash.1"), signal.SIGKILL)
    faulty.add(members(200))
    wait_until(lambda: not order.exists(), 10, f"a worker to hang at {point}")
    settled(faulty, 200)
    assert "fault-point" in faulty.log()
    wait_until(lambda: "it has not been heard of for hang_timeout" in faulty.log(), 10, "the hung worker to be killed")


@pytest.mark.parametrize("point", [*POINTS, "watcher.before-orphans"])
def test_error_at(faulty, point):
    """A step fails there: it is done again."""
    faulty.configure(drain={"batch": 100}).start()
    order = faulty.fault(point, "error")
    if point == "watcher.before-orphans":
        os.kill(faulty.pid_of("redis/visits/get-hash.1"), signal.SIGKILL)
    faulty.add(members(200))
    wait_until(lambda: not order.exists(), 10, f"a step to fail at {point}")
    settled(faulty, 200)


def test_unreadable_answer_beside_a_good_one(faulty):
    """Two answers of the store in one frame, and the first cannot be read: the second claim is worked too, not waited for as long as
    both workers live. (Found by CI.)"""
    faulty.configure(drain={"batch": 100, "get_hash.workers": 1, "transfer.workers": 1}).start()
    transfer, get_hash = faulty.pid_of("transfer/visits.1"), faulty.pid_of("redis/visits/get-hash.1")
    freeze(transfer)
    try:
        for first in (0, 100):
            faulty.add(dict(list(members(200).items())[first:first + 100]))
            wait_until(lambda: faulty.drain()["claimed"] == first + 100, 10, "a claim whose records are at the transfer")
        wait_until(lambda: faulty.workers()["redis/visits/get-hash.1"]["doing"].startswith(f"{faulty.drain()['claims']} claims"), 10,
                   "all claims to be on the way")
        freeze(get_hash)
    finally:
        os.kill(transfer, signal.SIGCONT)
    try:
        wait_until(lambda: faulty.data() == members(200), 20, "every record in the store")
        order = faulty.fault("get-hash.after-stored", "error")
    finally:
        os.kill(get_hash, signal.SIGCONT)
    wait_until(lambda: not order.exists(), 10, "an answer that cannot be read")
    settled(faulty, 200)


@pytest.mark.parametrize("point", POINTS)
def test_kill_at(faulty, point):
    """A worker dies there: replaced at once, its claims are worked by another within 1 s, and not by the lease; the store ends complete and equal."""
    faulty.configure(drain={"batch": 100, "lease": "1h"}).start()
    faulty.add(members(300))
    faulty.drained()
    before = {name: w["generation"] for name, w in faulty.workers().items()}
    count = 300

    def worked():
        nonlocal count
        order = faulty.fault(point)
        faulty.add(members(100, count))
        wait_until(lambda: not order.exists(), 10, f"a worker to die at {point}")
        died = time.monotonic()
        count += 100
        expected = members(count)
        wait_until(lambda: faulty.data() == expected, 30, "every record in the store")
        took = time.monotonic() - died
        faulty.drained()
        wait_until(lambda: not ledger_left(faulty.redis()), 15, "an empty ledger")
        wait_until(lambda: all(w["state"] == "READY" for w in faulty.workers().values()), 10, "all workers ready again")
        return took
    soon(worked, 1.0, f"the claims of who died at {point} to be worked", tries=5)
    workers = faulty.workers()
    replaced = {name: w["generation"] - before[name] for name, w in workers.items() if w["generation"] != before[name]}
    assert sum(replaced.values()) == (count - 300) // 100 and {workers[name]["type"] for name in replaced} == {point.split(".")[0]}, replaced
    status = faulty.drain()
    assert (status["pending"], status["claimed"], status["dead"]) == (0, 0, 0)
    assert status["stored"] == count


@pytest.mark.parametrize("name", ["redis/server", "redis/send.1", "redis/visits/watcher.1", "redis/visits/get-set.1", "redis/visits/get-hash.1",
                                  "transfer/visits.1", "transfer/report"])
def test_kill_9_from_outside(platoon, name):
    """Any worker, in the middle of the work."""
    platoon.configure(redis=KEEPS, drain={"batch": 20, "transfer.batch": 100}).start()
    platoon.add(members(3000))
    before = platoon.workers()[name]
    os.kill(before["pid"], signal.SIGKILL)

    def replaced():
        node = platoon.workers()[name]
        return node["state"] == "READY" and node["pid"] != before["pid"] and node
    node = wait_until(replaced, 30, f"a new {name}")
    assert node["generation"] == before["generation"] + 1
    assert node["restarts"] == 1
    assert "SIGKILL" in node["last_exit"] or "signal 9" in node["last_exit"] or "Killed" in node["last_exit"]
    platoon.drained()
    assert platoon.data() == members(3000)
    assert platoon.drain()["dead"] == 0
    left = {path.name for path in (platoon.dir / "run/mbox").iterdir()}
    assert f"{name.replace('/', ',')}.{before['generation']}" not in left, "the dead one's mailbox"


def test_new_get_set_gets_the_room_of_the_old_one(platoon):
    """A get-hash that is full of claims of a dead get-set tells the new one when it has room again. (Found by storm.py.)"""
    platoon.configure(drain={"batch": 10, "get_hash.claims": 1, "get_hash.workers": 1}).start()
    platoon.add(members(1))
    platoon.drained()
    with contextlib.closing(sqlite3.connect(platoon.dir / "visits.db", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        platoon.add(members(100))
        wait_until(lambda: platoon.drain()["claimed"] == 10, 10, "a claim that waits for the store")
        before = platoon.workers()["redis/visits/get-set.1"]
        os.kill(before["pid"], signal.SIGKILL)
        platoon.replaced(before)
        lock.execute("ROLLBACK")
    platoon.drained()
    assert platoon.data() == members(100)


def test_kill_workers_again_and_again(platoon):
    """Twelve kills of random roles during one drain."""
    platoon.configure(platoon={"backoff_max": "500ms"}, drain={"batch": 25, "get_hash.workers": 3, "transfer.workers": 2, "intensity": 1000,
                                                              "max_attempts": 50}).start()
    victims = [n for n in platoon.workers() if n.startswith("redis/visits/") or n.startswith("transfer/visits")]
    for turn in range(12):
        platoon.add(members(500, turn * 500))
        pid = wait_until(lambda: platoon.workers()[victims[turn % len(victims)]]["pid"], 10, "a pid")
        os.kill(pid, signal.SIGKILL)
    platoon.drained(timeout=60)
    assert platoon.data() == members(6000)
    assert platoon.drain()["dead"] == 0


@pytest.mark.parametrize("point", ["get-hash.after-fetch", "transfer.record"])
def test_poison_member(faulty, point):
    """A member that kills its worker each time ends alone in the dead letters; the rest flows; a retry brings it home."""
    faulty.configure(platoon={"backoff_max": "300ms"}, drain={"batch": 100, "max_attempts": 4, "get_hash.workers": 2}).start()
    order = faulty.fault(point, "kill always v:77")
    faulty.add(members(200))
    faulty.drained(timeout=60)
    expected = members(200)
    poison = expected.pop("v:77")
    assert faulty.data() == expected
    letters = faulty.dead()
    assert len(letters) == 1
    assert letters[0]["member"] == "v:77"
    assert letters[0]["attempts"] >= 4
    assert letters[0]["reason"]
    order.unlink()
    assert faulty.ctl("drain", "dead", "visits", "retry", str(letters[0]["seq"])).returncode == 0
    faulty.drained()
    assert faulty.data()["v:77"] == poison
    assert faulty.dead() == []
