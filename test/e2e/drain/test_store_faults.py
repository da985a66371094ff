"""The store's disk full, read-only, or the file held by another process: transfer says so and retries, claims stay in Redis."""
import contextlib
import os
import resource
import sqlite3
import subprocess

import pytest

from conftest import wait_until


def members(count, start=0, size=200):
    return {f"v:{i}": {"n": str(i), "text": "x" * size} for i in range(start, start + count)}


@contextlib.contextmanager
def small_disk(path, size):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def in_trouble(platoon, *words):
    problems = platoon.problems().lower()
    return "transfer/visits.1" in problems and all(w in problems for w in words)


def test_disk_full(platoon):
    """As root a disk of 1 MB; else a limit on the size of files, which ends writes the same way."""
    disk = platoon.dir / "disk"
    platoon.configure(store={"path": disk / "visits.db", "retry_max": "500ms"}, drain={"batch": 50, "claims_max": 8})
    wanted = members(5000)
    if os.geteuid() == 0:
        with small_disk(disk, "1m"):
            platoon.start()
            platoon.add(wanted)
            wait_until(lambda: in_trouble(platoon, "full"), 30, "status to say that the disk is full")
            status = platoon.drain()
            assert status["pending"] > 0 and 0 < status["claimed"] <= 8 * 50, status
            stored = len(platoon.rows("disk/visits.db"))
            assert stored < 5000
            assert status["dead"] == 0
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            platoon.drained(timeout=60)
            assert platoon.data("disk/visits.db") == wanted
            wait_until(lambda: platoon.problems() == "", 10, "no more problems")
            platoon.stop()
    else:
        disk.mkdir()
        platoon.start()
        pid = platoon.pid_of("transfer/visits.1")
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (512 * 1024, hard))
        platoon.add(wanted)
        wait_until(lambda: in_trouble(platoon), 30, "status to tell")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        platoon.drained(timeout=60)
        assert platoon.data("disk/visits.db") == wanted
    assert "transfer/visits.1" in platoon.log()


def test_read_only(platoon):
    """It turns read-only under way and back again."""
    disk = platoon.dir / "disk"
    platoon.configure(store={"path": disk / "visits.db", "retry_max": "500ms"}, drain={"batch": 50, "claims_max": 4})
    if os.geteuid() != 0:
        disk.mkdir()
        platoon.start()
        platoon.stop()
        for file in disk.iterdir():
            file.chmod(0o444)
        disk.chmod(0o555)
        platoon.start(ready=False)
        platoon.add(members(500))
        wait_until(lambda: in_trouble(platoon, "read-only") or in_trouble(platoon, "permission"), 30, "status to tell")
        disk.chmod(0o755)
        for file in disk.iterdir():
            file.chmod(0o644)
        platoon.drained()
        assert platoon.data("disk/visits.db") == members(500)
        return
    with small_disk(disk, "32m"):
        platoon.start()
        platoon.add(members(100))
        platoon.drained()
        # A file system with files open for writing cannot be made read-only; a bind mount of it can.
        platoon.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        platoon.start()
        platoon.add(members(400, 100))
        wait_until(lambda: in_trouble(platoon, "read-only"), 30, "status to say read-only")
        assert platoon.redis().scard("tracking:pending") + platoon.drain()["claimed"] == 400
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        platoon.drained()
        assert platoon.data("disk/visits.db") == members(500)
        platoon.stop()


def test_locked_by_another_process(platoon):
    platoon.configure(store={"retry_max": "200ms"}, drain={"batch": 50, "claims_max": 4}).start()
    platoon.add(members(50))
    platoon.drained()
    db = sqlite3.connect(platoon.dir / "visits.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    platoon.add(members(500, 50))
    wait_until(lambda: in_trouble(platoon, "locked"), 30, "status to say locked")
    assert platoon.drain()["claimed"] <= 4 * 50
    restarts = {n: w["restarts"] for n, w in platoon.workers().items()}
    db.execute("ROLLBACK")
    db.close()
    platoon.drained()
    assert platoon.data() == members(550)
    assert set(restarts.values()) == {0}


def test_not_a_database(platoon):
    """No retry can help: named, claims wait, and putting it right is enough."""
    (platoon.dir / "visits.db").write_text("this is a letter to my grandmother, not a database\n" * 100)
    platoon.start()
    platoon.add(members(20))
    wait_until(lambda: in_trouble(platoon, "visits.db"), 30, "status to name the file")
    assert "not a database" in platoon.problems()
    r = platoon.redis()
    wait_until(lambda: r.scard("tracking:pending") + platoon.drain()["claimed"] == 20, 10, "every member still held")
    (platoon.dir / "visits.db").unlink()
    platoon.ctl("--timeout", "20s", "restart", "transfer/visits.1")
    platoon.drained()
    assert platoon.data() == members(20)


def test_directory_is_missing(platoon):
    platoon.configure(store={"path": "nowhere/at/all/visits.db", "retry_max": "200ms"}).start()
    platoon.add(members(20))
    wait_until(lambda: in_trouble(platoon, "nowhere"), 30, "status to name the directory")
    (platoon.dir / "nowhere/at/all").mkdir(parents=True)
    platoon.drained()
    assert platoon.data("nowhere/at/all/visits.db") == members(20)


@pytest.mark.parametrize("workers", [1, 4])
def test_back_pressure_reaches_the_set(platoon, workers):
    """While the store is stopped, get-set claims no more than claims_max: the rest stays in the set."""
    platoon.configure(drain={"batch": 10, "claims_max": 6, "transfer.workers": workers}).start()
    db = sqlite3.connect(platoon.dir / "visits.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    platoon.add(members(1000), at_once=True)  # else a claim could find fewer than a batch in the set
    wait_until(lambda: platoon.drain()["claimed"] == 60, 20, "every claim taken")
    assert platoon.redis().scard("tracking:pending") == 940
    db.execute("ROLLBACK")
    db.close()
    platoon.drained()
    assert platoon.data() == members(1000)
