"""One section on two machines, that is in two platoons on one Redis: a job is run once, wherever; what one of them had when it died the other takes up; and
a schedule that both have fires once for each time."""
import collections
import os
import signal

import pytest

from jobs_fixture import PLATFORM, Etlas
from platoon_fixture import alive, section, wait_until

SCHEDULE = section("schedule often", {"jobs": "etlas", "platform": "coinis", "every": "1s"})


@pytest.fixture
def two(platoons, redis_server):
    server = redis_server()
    return [Etlas(platoons(), server) for _ in range(2)]


def both(two, **keys):
    return [etlas.start(**keys) for etlas in two]


def begun(two, job=None):
    return [row for etlas in two for row in etlas.seen(job=job)]


def test_each_job_is_run_once(two):
    a, b = both(two)
    jobs = [(a, b)[i % 2].run({}) for i in range(60)]
    wait_until(lambda: all(a.show(job)["status"] == "finished" for job in jobs), 60, "all to be run")
    assert collections.Counter(row["job"] for row in begun(two)) == collections.Counter(jobs)
    assert all(a.places(job) == ["finished"] and b.show(job)["attempt"] == 1 for job in jobs)


def test_what_a_dead_one_had_the_other_takes_up(two):
    a, b = both(two, sanjers=1)
    gate = str(a.platoon.dir / "gate")
    held = [a.run({"until": gate}) for _ in range(2)]  # one for each
    wait_until(lambda: len(begun(two)) == 2, 60, "both to run")
    waits = a.run({})
    pid = a.seen()[0]["pid"]
    a.platoon.kill9()
    wait_until(lambda: not alive(pid), 60, "its job's end")
    open(gate, "w").close()
    for job in [*held, waits]:
        b.until(job, "finished", timeout=150)  # at the latest when its lease is over
    theirs = a.seen()[0]["job"]
    assert [row["attempt"] for row in begun(two, theirs)] == [1, 2] and b.show(theirs)["attempt"] == 2
    assert all(b.show(job)["attempt"] == 1 and b.places(job) == ["finished"] for job in held + [waits] if job != theirs)


def test_a_platform_that_one_of_them_lacks(two):
    """What it takes it hands back, unblamed, and says why it waits."""
    a, b = both(two)
    os.unlink(a.folder / "coinis.py")
    jobs = [b.run({}) for _ in range(20)]
    wait_until(lambda: all(b.show(job)["status"] == "finished" for job in jobs), 120, "all to be run")
    assert not a.seen() and collections.Counter(row["job"] for row in b.seen()) == collections.Counter(jobs)


def test_a_platform_that_nobody_has(two):
    """For a minute; then it has failed. One that is there again by then is run."""
    a, b = both(two, retries=3)
    a.add("other.py", (a.folder / "coinis.py").read_text())
    wait_until(lambda: "other" in a.platoon.ctl("job", "platforms").stdout, 60, "the other platform")
    for etlas in two:
        etlas.redis.set("rq:suspended", 1)
    gone, again = a.run({}, platform="other"), a.run({})
    for etlas in two:
        for file in etlas.folder.iterdir():
            file.unlink()
    a.redis.delete("rq:suspended")
    waits = a.until(gone, "scheduled")
    assert "there is no other in" in waits["reason"] and waits["cause"] is None
    a.until(again, "scheduled")
    b.add("coinis.py", PLATFORM)
    assert b.until(again, "finished")["reason"] is None
    shown = b.until(gone, "failed", timeout=150)
    assert b.redis.hget(f"rq:job:{gone}", "platoon.lacked") is None, "retried, it has a minute again"
    assert shown["cause"] == "platform" and shown["reason"].startswith("platform: there is no other in ") and b.places(gone) == ["failed"]


def test_a_schedule_of_both_fires_once(two):
    for etlas in two:
        etlas.config()
        etlas.platoon.config_path.write_text(etlas.platoon.config_path.read_text() + SCHEDULE)
        etlas.platoon.start()
    a, b = two
    wait_until(lambda: len(begun(two)) >= 5, 60, "five of them")
    os.kill(a.platoon.pid_of("jobs/etlas/keeper"), signal.SIGKILL)
    count = len(begun(two))
    wait_until(lambda: len(begun(two)) >= count + 3, 60, "the next ones")
    ids = [row["job"] for row in begun(two)]
    assert len(ids) == len(set(ids)), "the name and the time make the id"
    assert b.platoon.pid_of("jobs/etlas/keeper")
