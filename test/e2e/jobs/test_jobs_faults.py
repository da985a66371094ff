"""kill -9, a standstill and a failure at each step of claim, start, finish and orphans: a job's effects are at least one and at most one an attempt, it has one
end, and nothing is left."""
import collections
import os
import pathlib
import re
import signal

import pytest
from jobs_fixture import Etlas
from platoon_fixture import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
AT_WORK = ["sanjer.before-claim", "sanjer.after-claim", "sanjer.after-start", "sanjer.before-finish", "sanjer.after-finish"]
AFTER_A_DEATH = ["sanjer.before-adopt", "sanjer.after-adopt", "job-keeper.before-orphans", "job-keeper.after-orphans"]
COUNT = 12

NOTES = '''
import json, os
from platforms.base_platform import BasePlatform

HERE = os.path.dirname(os.path.abspath(__file__))


class Notes(BasePlatform):
    def _run(self):
        with open(HERE + '/../seen', 'a') as f:
            f.write(json.dumps({'what': 'begin', 'pid': os.getpid(), 'job': self._job.id, 'attempt': self._job.attempt}) + '\\n')
        return self._job.attempt
'''
SHELL = '''#!/bin/sh
if [ "$1" = --spec ]; then echo '{}'; exit; fi
read -r told
job=$(expr "$told" : '.*"job_id":"\\([^"]*\\)"')
attempt=$(expr "$told" : '.*"attempt":\\([0-9]*\\)')
echo "{\\"what\\":\\"begin\\",\\"pid\\":$$,\\"job\\":\\"$job\\",\\"attempt\\":$attempt}" >> ../seen
echo "{\\"result\\":$attempt}"
'''


@pytest.fixture
def notes(faulty, redis_server):
    etlas = Etlas(faulty, redis_server())
    (etlas.folder / "notes.py").write_text(NOTES)
    etlas.add("shell.sh", SHELL)
    return etlas


def start(etlas):
    """Whose sanjer dies comes back at once: its lease is longer than the test."""
    etlas.start(sanjers=2, lease="1h", lost_max=20, retries=5, retry_min="0s", retry_max="0s", **{"sanjer.jobs_per_process": 3})
    return [etlas.run(platform=("notes", "shell")[i % 2]) for i in range(COUNT)]


def ended(etlas, jobs):
    for job in jobs:
        shown = etlas.until(job, "finished")
        effects = etlas.seen(job=job)
        assert 1 <= len(effects) <= shown["attempt"], (shown, effects)
        assert max(collections.Counter(row["attempt"] for row in effects).values()) == 1, "an attempt runs once"
        assert shown["result"] == shown["attempt"] and etlas.places(job) == ["finished"]
        assert etlas.redis.xlen(f"rq:results:{job}") == 1, "it has one end"
    assert etlas.redis.zcard("rq:wip:q") == 0 and etlas.redis.llen("rq:queue:q") == 0
    wait_until(lambda: all(w["state"] == "READY" for w in etlas.platoon.workers().values()), 60, "all to be ready")


def visited(order):
    wait_until(lambda: not order.exists(), 60, f"somebody to come to {order.name}")


def test_every_point_is_visited():
    found = {point for path in (ROOT / "workers/jobs").rglob("*.c") for point in re.findall(r'FAULT_POINT\("([^"]+)"', path.read_text())}
    assert found == {*AT_WORK, *AFTER_A_DEATH}


@pytest.mark.parametrize("kind", ["kill", "error"])
@pytest.mark.parametrize("point", AT_WORK)
def test_at_work(notes, point, kind):
    order = notes.platoon.fault(point, kind)
    jobs = start(notes)
    visited(order)
    ended(notes, jobs)


@pytest.mark.parametrize("point", ["sanjer.after-claim", "sanjer.before-finish"])
def test_it_stands_still(notes, point):
    order = notes.platoon.fault(point, "stall")
    jobs = start(notes)
    visited(order)
    ended(notes, jobs)


@pytest.mark.parametrize("kind", ["kill", "error"])
@pytest.mark.parametrize("point", AFTER_A_DEATH)
def test_after_a_death(notes, point, kind):
    """One order has a sanjer die with a job in hands, the other has whoever looks after that die as well."""
    jobs = start(notes)
    ended(notes, jobs)
    order, death = notes.platoon.fault(point, kind), notes.platoon.fault("sanjer.after-start")
    jobs = [notes.run(platform="notes") for _ in range(3)]
    visited(death)
    visited(order)
    ended(notes, jobs)


def test_sanjers_are_killed_while_they_work(notes):
    jobs = start(notes) + [notes.run(platform="shell") for _ in range(COUNT)]
    for _ in range(6):
        for name, worker in notes.platoon.workers().items():
            if "sanjer" in name and worker["pid"]:
                try:
                    os.kill(worker["pid"], signal.SIGKILL)
                except ProcessLookupError:
                    pass  # it has died since we asked
        jobs.append(notes.run(platform="notes"))
    ended(notes, jobs)
