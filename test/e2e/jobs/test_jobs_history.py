"""history = DRAIN: each job that has ended is a record of that drain's store, where report works."""
import json
import sqlite3

import pytest
from platoon_fixture import base_text, section, wait_until


@pytest.fixture
def kept(etlas):
    etlas.more = section("store kept", {"path": etlas.platoon.dir / "kept.db"})
    etlas.more += section("drain ended", {"redis": "main", "set": "ended:jobs", "store": "kept"})
    return etlas


def records(etlas):
    path = etlas.platoon.dir / "kept.db"
    if not path.exists():
        return {}
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60) as db:
        if not db.execute("select 1 from sqlite_master where name = 'records'").fetchone():
            return {}
        return {key: json.loads(data) for key, data in db.execute("select key, data from records")}


def test_every_end_is_a_record(kept):
    kept.start(sanjers=1, history="ended", retries=1, retry_min="10ms")
    done = kept.run({"say": [{"result": {"n": 1.5}}]})
    failed = kept.run({"from": 9})
    kept.until(done, "finished")
    kept.until(failed, "failed")
    kept.redis.set("rq:suspended", 1)
    canceled = kept.run({})
    kept.platoon.json("job", "cancel", canceled)
    keys = {job: f"jobs:etlas:{job}" for job in (done, failed, canceled)}
    wait_until(lambda: set(records(kept)) == set(keys.values()), 60, lambda: f"three records: {records(kept)}")
    found = records(kept)
    one = found[keys[done]]
    assert one["job_id"] == done and one["status"] == "finished" and one["platform_id"] == "coinis" and one["queue"] == "q", one
    assert json.loads(one["result"]) == {"n": 1.5} and one["attempt"] == "1" and one["exit_code"] == "0" and int(one["run_ms"]) >= 0
    assert one["ended_at"] >= one["started_at"] >= one["enqueued_at"] >= one["created_at"] and "cause" not in one
    two = found[keys[failed]]
    assert (two["status"], two["cause"], two["reason"], two["attempt"]) == ("failed", "exit", "exited with code 1", "2")
    assert found[keys[canceled]]["status"] == "canceled"
    assert not list(kept.redis.scan_iter("jobs:etlas:*")), "the hashes are the drain's, and go with it"
    rows = kept.platoon.ctl("report", "ended", "--by", "status", "--csv")
    assert rows.returncode == 0 and all(f'"{status}",1' in rows.stdout for status in ("finished", "failed", "canceled")), rows


def test_it_ends_with_the_key(kept):
    kept.start(sanjers=1)
    kept.until(kept.run({}), "finished")
    assert kept.redis.scard("ended:jobs") == 0 and records(kept) == {}


@pytest.mark.parametrize("drain,words", [("nothing", "there is no drain"), ("far", "history: drain far is of redis other, and these jobs are in main")])
def test_what_is_no_such_drain(kept, drain, words):
    text = base_text(None, {"url": kept.server.url}) + kept.more
    text += section("redis other", {"url": "embedded"}) + section("drain far", {"redis": "other", "set": "s", "store": "kept"})
    kept.platoon.config_path.write_text(text + section("jobs etlas", {"platforms": kept.folder, "history": drain}))
    done = kept.platoon.ctl("check", str(kept.platoon.config_path))
    assert done.returncode == 78 and words in done.stderr, done
