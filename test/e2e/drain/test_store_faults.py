"""The store's disk full, read-only, or the file held by another process: transfer says so and retries, claims stay in Redis."""
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess

import pytest

from platoon_fixture import wait_until


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
        platoon.start_troubled()
        platoon.add(members(400, 100))
        wait_until(lambda: in_trouble(platoon, "read-only"), 30, "status to say read-only")
        wait_until(lambda: platoon.redis().scard("tracking:pending") + platoon.drain()["claimed"] == 400, 10, "every member still held")
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
    platoon.start_troubled()
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
    platoon.configure(store={"path": "nowhere/at/all/visits.db", "retry_max": "200ms"}).start_troubled()
    platoon.add(members(20))
    wait_until(lambda: in_trouble(platoon, "nowhere"), 30, "status to name the directory")
    (platoon.dir / "nowhere/at/all").mkdir(parents=True)
    platoon.drained()
    assert platoon.data("nowhere/at/all/visits.db") == members(20)


@pytest.mark.parametrize("workers", [1, 2])
def test_archived_by_mv(platoon, workers):
    """At rest, and again and again under load: each record is in one of the files, and the log says what happened. (sqlite.org/howtocorrupt.html, 2.4)"""
    platoon.configure(drain={"batch": 50, "transfer.workers": workers}).start()
    platoon.add(members(2000))
    platoon.drained()
    (platoon.dir / "visits.db").rename(platoon.dir / "archive0.db")
    archives = ["archive0.db"]
    for turn in range(1, 4):
        platoon.add(members(1000, 1000 + 1000 * turn))
        wait_until(lambda: (platoon.dir / "visits.db").exists(), 20, "a new file")
        (platoon.dir / "visits.db").rename(platoon.dir / f"archive{turn}.db")
        archives.append(f"archive{turn}.db")
    platoon.add(members(10, 5000))
    platoon.drained()
    platoon.stop()
    everywhere = {}
    for path in [*archives, "visits.db"]:
        everywhere.update(platoon.data(path))
    assert everywhere == members(5010)
    assert "store-file" in platoon.log()


def test_a_plain_copy_of_what_is_quiet_is_whole(platoon):
    platoon.start()
    platoon.add(members(3000))
    platoon.drained()

    def closed():
        try:
            return (platoon.dir / "visits.db-wal").stat().st_size == 0
        except FileNotFoundError:
            return True
    wait_until(closed, 10, "an empty WAL")
    shutil.copy(platoon.dir / "visits.db", platoon.dir / "copy.db")
    assert platoon.data("copy.db") == members(3000)
    assert (platoon.dir / "visits.db").stat().st_mode & 0o777 == 0o600


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


def test_a_store_is_one_platoons(platoons):
    """Two ledgers give numbers of their own. The second is told before anything comes, and goes on when the first is gone."""
    first, second = platoons(), platoons()
    path = first.dir / "visits.db"
    first.configure(drain={"transfer.workers": 2}).start()
    (second.dir / "link").symlink_to(first.dir)
    second.configure(store={"path": second.dir / "link/visits.db", "retry_max": "100ms"}).start_troubled()
    wait_until(lambda: in_trouble(second, f"another platoon (state_dir {first.dir / 'state'},"), 20, "the refusal, by name")
    assert second.ctl("status").returncode == 3
    first.add(members(100))
    first.drained()
    for pid in [first.pid_of("transfer/visits.1"), first.pid_of("transfer/visits.2")]:
        os.kill(pid, 9)
    wait_until(lambda: all(w["state"] == "READY" for w in first.workers().values()), 20, "the next ones")
    first.add(members(100, 100))
    first.drained()
    assert in_trouble(second, "another platoon")
    second.add(members(10, 1000))
    first.kill9()
    second.drained()
    wait_until(lambda: second.problems() == "", 20, "no more problems")
    assert second.data(path) == {**members(200), **members(10, 1000)}
