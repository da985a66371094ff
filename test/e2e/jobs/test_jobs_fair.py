"""Queues of a template: nobody waits behind another's backlog; weights, limits and pauses, which a reload changes while jobs run. Nothing is asserted on absolute
time: what is compared are parts of one run, and who came before whom: in what order they began, not how soon. A sanjer that stands still keeps what it has."""
import collections

import pytest
from platoon_fixture import wait_until

SANJERS = 4
# Tells when it begins and ends, and is at it for so many ms between; of 0, until the test lets it go.
PLATFORM = '''#!/usr/bin/python3 -BSE
import json, os, sys, time
if sys.argv[1:] == ["--spec"]:
    sys.exit(print(json.dumps({"settings": {"ms": {"type": "int"}}})))
told = json.loads(sys.stdin.readline())

def note(what):
    with open("../seen", "a") as f:
        f.write(json.dumps({"what": what, "id": told["id"], "job": told["job_id"], "at": time.monotonic()}) + "\\n")

note("begin")
while told["settings"]["ms"] == 0 and not os.path.exists("../gate") and not os.path.exists("../gate." + told["job_id"]):
    time.sleep(0.01)
time.sleep(told["settings"]["ms"] / 1000)
note("end")
'''


@pytest.fixture
def fair(etlas):
    etlas.add("fair.py", PLATFORM)
    return etlas


def start(fair, names, **keys):
    """All of them paused, until go()."""
    fair.keys = {"queue": "{id}", "sanjers": SANJERS, **keys}
    weights = " ".join(f"{name}=0" for name in names)
    fair.start(weights=weights, **fair.keys)
    wait_until(lambda: fair.redis.hget("platoon:{jobs:etlas}:rules", "weights") == weights.encode(), 60, "the keeper to have told Redis")


def bring(fair, backlogs, ms):
    for name, count in backlogs.items():
        for _ in range(count):
            fair.run({"ms": ms[name] if isinstance(ms, dict) else ms}, "--id", name, platform="fair")


def go(fair, weights="", **keys):
    fair.config(weights=weights, **{**fair.keys, **keys})
    assert fair.platoon.ctl("reload").returncode == 0


def ends(fair):
    return collections.Counter(row["id"] for row in fair.seen("end"))


def begins(fair):
    return collections.Counter(row["id"] for row in fair.seen("begin"))


def while_all_wait(fair, backlogs, of):
    """How many of each had begun while each of these had more than all sanjers hold: who has no backlog has no share either, and what comes last may be slow."""
    most = {name: backlogs[name] - fair.keys["sanjers"] for name in of}
    wait_until(lambda: any(begins(fair)[name] >= most[name] for name in of), 240, "a tenant to be nearly through")
    begun = collections.Counter()
    for row in fair.seen("begin"):
        begun[row["id"]] += 1
        if row["id"] in of and begun[row["id"]] == most[row["id"]]:
            return begun
    raise AssertionError(begun)


def at_once(fair, name):
    """The most of its jobs that ran at once."""
    changes = sorted([(row["at"], 1) for row in fair.seen("begin") if row["id"] == name] + [(row["at"], -1) for row in fair.seen("end") if row["id"] == name])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def sanjers(fair):
    return {name: worker["pid"] for name, worker in fair.platoon.workers().items() if "sanjer" in name}


def test_a_slow_tenant_does_not_take_every_sanjer(fair):
    """As slow as can be: none of its jobs ends. Of the others the test lets go who has run longest: one whose sanjer stood still would be slow as well."""
    backlogs = {"slow": 12, "a": 20, "b": 20, "c": 20}
    start(fair, backlogs)
    bring(fair, backlogs, 0)
    go(fair)
    wait_until(lambda: len(fair.seen()) == SANJERS, 60, "every sanjer to be at it")
    let = set()
    while max(begins(fair)[name] for name in "abc") < 20 - SANJERS:
        rows = fair.seen()
        oldest = next(row["job"] for row in rows if row["id"] != "slow" and row["job"] not in let)
        let.add(oldest)
        (fair.platoon.dir / f"gate.{oldest}").touch()
        wait_until(lambda: len(fair.seen()) == len(rows) + 1, 60, "the next one")
    begun = begins(fair)
    assert min(begun["a"], begun["b"], begun["c"]) >= 10 and 1 <= begun["slow"] < SANJERS / 2 + 1, begun
    (fair.platoon.dir / "gate").touch()
    wait_until(lambda: ends(fair) == backlogs, 240, "all to be done")


def test_weights(fair):
    """While both have a backlog gold has four sanjers for each of free's; one of them, of equal weight, would have half."""
    backlogs = {"gold": 65, "free": 65}
    start(fair, backlogs, sanjers=5)
    bring(fair, backlogs, 50)
    go(fair, "gold=4 free=1")
    begun = while_all_wait(fair, backlogs, ["gold"])
    assert begun["free"] <= 22, begun
    wait_until(lambda: ends(fair) == backlogs, 240, "all to be done")


def test_weights_where_one_runs_at_once(fair):
    """Nothing is in flight when the only sanjer asks: it is the turns that are as many as the weights."""
    backlogs = {"gold": 41, "free": 41}
    start(fair, backlogs, sanjers=1)
    bring(fair, backlogs, 1)
    go(fair, "gold=4 free=1")
    begun = while_all_wait(fair, backlogs, ["gold"])
    assert 8 <= begun["free"] <= 14, begun
    order = [row["id"] for row in fair.seen("end")][10:50]
    assert all("free" in order[n : n + 6] for n in range(0, 30)), order  # and it waits no longer than a round
    wait_until(lambda: ends(fair) == backlogs, 240, "all to be done")


def test_limits_and_pauses_change_while_jobs_run(fair):
    backlogs = {"scrape": 8, "other": 8, "held": 2}
    start(fair, backlogs, limits="scrape=1")
    before = sanjers(fair)
    bring(fair, backlogs, {"scrape": 400, "other": 2500, "held": 1})  # longer than who is idle is silent after a reload
    assert not fair.seen(), "none has begun: all are paused"
    go(fair, "held=0", limits="scrape=1")
    wait_until(lambda: ends(fair)["scrape"] == 8 and ends(fair)["other"] == 8, 240, "those that are not held")
    assert at_once(fair, "scrape") == 1 and at_once(fair, "other") > 1
    assert ends(fair)["held"] == 0 and fair.redis.llen("rq:queue:held") == 2
    assert sanjers(fair) == before, "no sanjer was started anew"
    go(fair)
    wait_until(lambda: ends(fair)["held"] == 2, 60, "what was held")


def test_queues_come_and_go(fair):
    start(fair, [], queue="etl-{platform}")
    job = fair.run({"ms": 1}, "--id", "a", platform="fair")
    assert fair.until(job, "finished")["queue"] == "etl-fair"
    assert fair.redis.sismember("rq:queues", "rq:queue:etl-fair")
    assert [row["job_id"] for row in fair.platoon.json("job", "list", "--queue", "etl-fair")["jobs"]] == [job]
    assert fair.platoon.ctl("job", "list", "--queue", "other").returncode == 2
    assert fair.redis.sismember("rq:queues", "rq:queue:etl-fair")
    fair.redis.zadd("rq:finished:etl-fair", {job: 1})  # its time is over
    wait_until(lambda: not fair.redis.sismember("rq:queues", "rq:queue:etl-fair"), 60, "a queue without jobs to be gone")
    assert not fair.redis.exists(f"rq:job:{job}")


def test_ids_as_etlas_had_them(fair):
    start(fair, [], queue="q", job_id="etlas")
    job = fair.run({"ms": 1}, "--id", "devTest", platform="fair")
    stamp, name, platform = job.split("::")
    assert (name, platform, len(stamp), stamp[10]) == ("devTest", "fair", len("2026-11-26T00:24:00.123456"), "T")
    fair.until(job, "finished")
    assert fair.places(job) == ["finished"]
    assert fair.platoon.ctl("job", "tail", job).returncode == 0
