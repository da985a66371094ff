"""Jobs while the processes around them die: at least once, never two at a time, exactly one end, nothing left."""
import os
import signal

import pytest
from platoon_fixture import alive, wait_until


def never_two(etlas, job):
    """No attempt begins before the one before has ended or its process is gone."""
    attempts = [row["attempt"] for row in etlas.seen(job=job)]
    assert attempts == sorted(set(attempts)), attempts


def test_a_sanjer_is_killed(etlas):
    etlas.start(sanjers=1)
    gate = str(etlas.platoon.dir / "gate")
    job = etlas.run({"until": gate, "child": True})
    wait_until(lambda: etlas.seen(job=job), 60, "it to run")
    before = etlas.platoon.workers()["jobs/etlas/sanjer.1"]
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: len(etlas.seen(job=job)) == 2, 60, "the second attempt")
    assert not alive(etlas.seen(job=job)[0]["pid"])
    (etlas.platoon.dir / "gate").touch()
    shown = etlas.until(job, "finished")
    assert shown["attempt"] == 2 and etlas.places(job) == ["finished"]
    never_two(etlas, job)


def test_a_job_that_kills_its_sanjers_has_failed(etlas):
    etlas.add("killer.sh", "#!/bin/sh\nkill -9 $PPID\nsleep 60\n")
    etlas.start(sanjers=1, lost_max=1)
    job = etlas.run(platform="killer")
    shown = etlas.until(job, "failed")
    assert (shown["cause"], shown["reason"], shown["attempt"]) == ("lost", "its sanjer died 2 times", 2)
    assert etlas.places(job) == ["failed"]
    etlas.until(etlas.run(), "finished")


def test_keeper_and_collector_are_killed(etlas):
    etlas.start(sanjers=1)
    gate = str(etlas.platoon.dir / "gate")
    job = etlas.run({"until": gate})
    wait_until(lambda: etlas.seen(job=job), 60, "it to run")
    for name in ("keeper", "collector"):
        before = etlas.platoon.workers()[f"jobs/etlas/{name}"]
        os.kill(before["pid"], signal.SIGKILL)
        etlas.platoon.replaced(before)
    (etlas.platoon.dir / "gate").touch()
    etlas.until(job, "finished")
    etlas.until(etlas.run(), "finished")
    assert len(etlas.seen(job=job)) == 1


def test_the_master_is_killed(etlas):
    etlas.start(sanjers=1)
    job = etlas.run({"until": str(etlas.platoon.dir / "gate")})
    wait_until(lambda: etlas.seen(job=job), 60, "it to run")
    etlas.platoon.kill9()
    wait_until(lambda: not alive(etlas.seen(job=job)[0]["pid"]), 60, "its process to be gone")
    (etlas.platoon.dir / "gate").touch()
    etlas.platoon.start()
    etlas.until(job, "finished")
    assert etlas.places(job) == ["finished"]
    never_two(etlas, job)


@pytest.mark.parametrize("stop_timeout", ["1s", "10m"])
def test_an_orderly_stop_hands_back_unblamed(etlas, stop_timeout):
    """Also what ignores TERM, and has longer for that than its sanjer has itself."""
    etlas.start(sanjers=1, stop_timeout=stop_timeout, lost_max=0)
    job = etlas.run({"deaf": True, "until": str(etlas.platoon.dir / "gate")})
    wait_until(lambda: etlas.seen(job=job), 60, "it to run")
    etlas.platoon.stop()
    assert etlas.places(job) == ["list"]
    (etlas.platoon.dir / "gate").touch()
    etlas.platoon.start()
    shown = etlas.until(job, "finished")
    assert shown["attempt"] == 2


def test_redis_is_away_when_a_job_ends(etlas):
    etlas.start(sanjers=1)
    gate = str(etlas.platoon.dir / "gate")
    job = etlas.run({"until": gate})
    wait_until(lambda: etlas.seen(job=job), 60, "it to run")
    etlas.server.pause()
    (etlas.platoon.dir / "gate").touch()
    wait_until(lambda: etlas.seen("end", job), 60, "its end")
    etlas.server.resume()
    wait_until(lambda: etlas.platoon.ctl("job", "show", job).returncode == 0, 60, "Redis to be there again")  # for whom it was away for too long
    etlas.until(job, "finished")
    assert len(etlas.seen(job=job)) == 1 and etlas.places(job) == ["finished"]
