"""Schedules: in the file and by verbs, due once, after outages, paused, at once; with dates as of their due time."""
import json
import os
import signal
import time

from platoon_fixture import section, wait_until


def schedule(name, **keys):
    return section(f"schedule {name}", {"jobs": "etlas", "platform": "coinis", **keys})


def start(etlas, *schedules, **keys):
    etlas.start(**keys)
    add(etlas, *schedules)
    return etlas


def add(etlas, *schedules):
    """To the file, and told."""
    etlas.platoon.config_path.write_text(etlas.platoon.config_path.read_text() + "".join(schedules))
    assert etlas.platoon.ctl("reload").returncode == 0


def jobs(etlas, name):
    return [row for row in etlas.platoon.json("job", "list", "-n", "1000")["jobs"] if row["id"] == name]


def row(etlas, name):
    return {one["name"]: one for one in etlas.platoon.json("job", "schedule", "list")}.get(name)


def test_of_the_file(etlas):
    start(etlas, schedule("often", every="1s", settings='{"date": "yesterday 12:00"}'), schedule("seldom", cron="0 0 1 1 *"), timezone="UTC")
    wait_until(lambda: len(jobs(etlas, "often")) >= 3, 60, "three jobs")
    made = jobs(etlas, "often")
    assert len({one["job_id"] for one in made}) == len(made)
    for one in made:
        assert one["job_id"].endswith("000000-often-coinis"), one["job_id"]
    job = etlas.until(made[-1]["job_id"], "finished")
    due = time.strptime(job["job_id"][:15], "%Y%m%dT%H%M%S")
    before = time.strftime("%Y-%m-%dT12:00:00+00:00", time.gmtime(time.mktime(due) - time.timezone - 86400))
    assert job["settings"]["date"] == before
    assert jobs(etlas, "seldom") == []
    often, seldom = row(etlas, "often"), row(etlas, "seldom")
    assert (often["origin"], often["every_ms"], often["state"], often["overlap"]) == ("file", 1000, "active", "skip")
    assert seldom["next"].endswith("-01-01T00:00:00Z") and seldom["job_id"] is None
    assert "often" in etlas.platoon.ctl("job", "schedule", "list").stdout
    assert etlas.platoon.ctl("job", "schedule", "remove", "often").returncode == 2
    text = etlas.platoon.config_path.read_text()
    etlas.platoon.config_path.write_text(text[:text.index("schedule often")])
    assert etlas.platoon.ctl("reload").returncode == 0
    wait_until(lambda: etlas.platoon.json("job", "schedule", "list") == [], 60, "them to be gone")


def test_by_verbs(etlas):
    etlas.start()
    tool = etlas.platoon.ctl
    assert tool("job", "schedule", "add", "mine", "coinis", "--every", "1s", "--settings", '{"a": 7}').stdout == "mine: put\n"
    wait_until(lambda: len(jobs(etlas, "mine")) >= 2, 60, "two jobs")
    assert tool("job", "schedule", "pause", "mine").stdout == "mine: paused\n"
    paused = row(etlas, "mine")
    assert (paused["state"], paused["next"], paused["origin"]) == ("paused", None, "verb")
    count = len(jobs(etlas, "mine"))
    assert tool("job", "schedule", "now", "mine").stdout == "mine: asked\n"
    wait_until(lambda: len(jobs(etlas, "mine")) > count, 60, "one at once")
    assert tool("job", "schedule", "resume", "mine").stdout == "mine: resumed\n"
    count = len(jobs(etlas, "mine"))
    wait_until(lambda: len(jobs(etlas, "mine")) > count, 60, "it to go on")
    keeper = etlas.platoon.workers()["jobs/etlas/keeper"]
    os.kill(keeper["pid"], signal.SIGKILL)
    etlas.platoon.replaced(keeper)
    count = len(jobs(etlas, "mine"))
    wait_until(lambda: len(jobs(etlas, "mine")) > count, 60, "a successor to go on with it")
    assert etlas.until(jobs(etlas, "mine")[-1]["job_id"], "finished")["settings"]["a"] == 7
    assert tool("job", "schedule", "remove", "mine").stdout == "mine: removed\n" and row(etlas, "mine") is None
    for words, code, says in ((("add", "x", "nobody", "--every", "1s"), 5, "no platform nobody"), (("add", "x", "coinis"), 2, ""),
                              (("add", "x", "coinis", "--cron", "61 * * * *"), 2, ""), (("add", "x:y", "coinis", "--every", "1s"), 2, "a name of a schedule"),
                              (("add", "x", "coinis", "--every", "1s", "--settings", '{"zz": 1}'), 2, "Unknown parameters in request: zz"),
                              (("add", "x", "coinis", "--every", "1s", "--missed", "some"), 2, "missed: "), (("pause", "x"), 5, "no schedule x"),
                              (("burn", "x"), 2, "none of list, add"), (("pause",), 2, "name of a schedule")):
        done = tool("job", "schedule", *words)
        assert done.returncode == code and says in done.stderr, (words, done)


def test_what_was_missed(etlas):
    """After an outage of an hour: the last of it, nothing, or all of it, and each once."""
    start(etlas, *(schedule(name, every="10m", missed=name, overlap="allow") for name in ("once", "skip", "all")))
    wait_until(lambda: len(etlas.platoon.json("job", "schedule", "list")) == 3, 60, "them to be known")
    etlas.platoon.stop()
    now = int(time.time())
    etlas.redis.hset("platoon:{jobs:etlas}:schedules:last", mapping=dict.fromkeys(("once", "skip", "all"), now - 3600))
    etlas.platoon.start()
    wait_until(lambda: len(jobs(etlas, "all")) >= 6 and jobs(etlas, "once"), 60, "what was missed")
    assert len(jobs(etlas, "all")) <= 7 and len(jobs(etlas, "once")) <= 2 and len(jobs(etlas, "skip")) <= 1
    # A clock set back, or a keeper that has died before it could tell: none is made twice.
    count = len(jobs(etlas, "all"))
    wait_until(lambda: all(one["status"] == "finished" for one in jobs(etlas, "all")), 60, "their ends")
    etlas.redis.hset("platoon:{jobs:etlas}:schedules:last", "all", now - 3600)
    wait_until(lambda: int(etlas.redis.hget("platoon:{jobs:etlas}:schedules:last", "all")) > now - 601, 60, "it to have looked again")
    assert count <= len(jobs(etlas, "all")) <= count + 1 and len(etlas.seen()) <= 11


def test_one_that_has_not_ended_is_not_overtaken(etlas):
    gate = str(etlas.platoon.dir / "gate")
    settings = json.dumps({"until": gate})
    start(etlas, schedule("slow", every="1s", settings=settings), schedule("many", every="1s", settings=settings, overlap="allow"))
    wait_until(lambda: len(jobs(etlas, "many")) >= 3, 60, "several at once")
    assert len(jobs(etlas, "slow")) == 1
    assert row(etlas, "slow")["why"] == "none was made: the job before has not ended"
    (etlas.platoon.dir / "gate").touch()
    wait_until(lambda: len(jobs(etlas, "slow")) >= 2, 60, "the next")


def test_one_that_cannot_be_made_keeps_no_other(etlas):
    start(etlas, schedule("bad", every="1s", platform="nobody"), schedule("good", every="1s"))
    wait_until(lambda: len(jobs(etlas, "good")) >= 2, 60, "the good one's jobs")
    wait_until(lambda: "no platform nobody" in (row(etlas, "bad")["why"] or ""), 60, "why there is none")
    assert jobs(etlas, "bad") == []


def test_what_the_configuration_must_not_say(etlas):
    etlas.start()
    text = etlas.platoon.config_path.read_text()
    for keys, says in (({"cron": "61 * * * *"}, "schedule x: "), ({}, "schedule x: "), ({"cron": "@daily", "every": "1h"}, "schedule x: "),
                       ({"every": "1h", "settings": "[]"}, "settings: a JSON object"), ({"every": "1h", "jobs": "other"}, "other")):
        other = etlas.platoon.dir / "other.conf"
        other.write_text(text + schedule("x", **keys))
        done = etlas.platoon.ctl("check", str(other))
        assert done.returncode == 78 and says in done.stderr, (keys, done)
