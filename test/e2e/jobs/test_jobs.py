"""Jobs from `job run` to their ends: what they say, retries, time, cancel, what they leave, and what rq's own client reads of them."""
import json
import os
import time

from platoon_fixture import alive, base_text, section, wait_until
from rq import Queue
from rq.job import Job


def test_a_job_runs_and_is_finished(etlas):
    etlas.start()
    done = etlas.platoon.ctl("--json", "job", "run", "coinis", "date=today", "--id", "devTest", "--wait", "--settings",
                             json.dumps({"say": ["hello", {"progress": 0.5}, {"update": {"fetch": "3 pages"}}, {"result": {"rows": 7}}, "bye"]}))
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert job["job_id"].endswith("-devTest-coinis") and job["id"] == "devTest" and job["platform_id"] == "coinis"
    assert (job["status"], job["exit_code"], job["attempt"], job["cause"]) == ("finished", 0, 1, None)
    assert job["result"] == {"rows": 7} and job["meta"] == {"fetch": "3 pages"} and job["progress"] == 0.5
    assert job["output"] == "hello\nbye\n"
    assert etlas.platoon.ctl("job", "tail", job["job_id"]).stdout == "hello\nbye\n"
    assert etlas.places(job["job_id"]) == ["finished"]
    told = etlas.redis.hget(f"rq:job:{job['job_id']}", "platoon.settings")
    assert json.loads(told)["date"].startswith(time.strftime("%Y-"))
    assert [row["job_id"] for row in etlas.platoon.json("job", "list")["jobs"]] == [job["job_id"]]
    assert etlas.platoon.json("job", "list", "--status", "failed")["jobs"] == []


def test_rq_reads_our_jobs(etlas):
    etlas.start(sanjers=1)
    gate = str(etlas.platoon.dir / "gate")
    first = etlas.run({"until": gate, "say": [{"update": {"stage": "one"}}, {"result": [1, "two", None]}]}, "--id", "devTest")
    wait_until(lambda: etlas.seen(job=first), 60, "the first to run")
    second = etlas.run()
    queue = Queue("q", connection=etlas.redis)
    assert queue.job_ids == [second] and [job.id for job in queue.jobs] == [second]
    assert queue.started_job_registry.get_job_ids() == [first]
    assert Queue.all(connection=etlas.redis) == [queue]
    job = Job.fetch(first, connection=etlas.redis)
    assert job.get_status() == "started" and job.func_name == "platoon.run" and job.args == ["coinis"]
    assert job.description == "coinis (devTest)" and job.origin == "q" and job.timeout == 180
    wait_until(lambda: Job.fetch(first, connection=etlas.redis).meta == {"stage": "one"}, 60, "its meta")
    (etlas.platoon.dir / "gate").touch()
    etlas.until(first, "finished")
    job = Job.fetch(first, connection=etlas.redis)
    assert job.is_finished and job.result == [1, "two", None] and job.ended_at >= job.started_at >= job.enqueued_at >= job.created_at
    failed = etlas.run({"exit": 3})
    etlas.until(failed, "failed")
    job = Job.fetch(failed, connection=etlas.redis)
    assert job.latest_result().exc_string == "exited with code 3"
    assert queue.failed_job_registry.get_job_ids() == [failed]
    job.requeue()
    wait_until(lambda: len(etlas.seen(job=failed)) == 2, 60, "what rq has put into the queue again to run")


def test_ends_that_are_none(etlas):
    etlas.start(retries=5)
    never = etlas.run({"exit": 78})
    job = etlas.until(never, "failed")
    assert (job["cause"], job["reason"], job["attempt"]) == ("exit", "exited with code 78", 1)
    done = etlas.platoon.ctl("job", "run", "coinis", "--wait", "--settings", '{"exit": 78}')
    assert done.returncode == 1
    assert etlas.platoon.ctl("job", "run", "nobody").returncode == 5
    assert etlas.platoon.ctl("job", "show", "nothing").returncode == 5
    assert etlas.platoon.ctl("job", "run", "coinis", "--settings", "[]").returncode == 2
    assert etlas.platoon.ctl("job", "cancel", "nothing").returncode == 5


def test_a_failed_attempt_is_tried_again(etlas):
    etlas.start(retries=3, retry_min="100ms")
    job = etlas.until(etlas.run({"from": 3}), "finished")
    assert job["attempt"] == 3 and job["cause"] is None and job["reason"] is None
    bad = etlas.until(etlas.run({"signal": 11}), "failed")
    assert bad["attempt"] == 4 and bad["signal"] == 11 and bad["reason"] == "killed by signal 11 (SIGSEGV)"
    assert len(etlas.seen(job=bad["job_id"])) == 4


def test_time_is_up_and_terms_are_ignored(etlas):
    etlas.start(timeout="5s", stop_timeout="500ms")  # time enough to become deaf, also on a busy machine
    job = etlas.until(etlas.run({"deaf": True, "until": "/nowhere"}), "failed")
    assert (job["cause"], job["reason"], job["signal"]) == ("timeout", "timed out after 5s", 9)


def test_nothing_outlives_its_job(etlas):
    etlas.start()
    job = etlas.until(etlas.run({"child": True}), "finished")
    child = int(job["output"].split()[1])
    wait_until(lambda: not alive(child), 60, "the child that left the session to be gone")


def test_cancel_and_retry(etlas):
    etlas.start(sanjers=1)
    gate = str(etlas.platoon.dir / "gate")
    runs = etlas.run({"until": gate})
    waits = etlas.run()
    wait_until(lambda: etlas.seen(job=runs), 60, "the first to run")
    assert etlas.platoon.json("job", "cancel", waits) == [{"job_id": waits, "status": "canceled"}]
    assert etlas.places(waits) == ["canceled"]
    assert etlas.platoon.json("job", "cancel", runs)[0]["status"] == "stopping"
    job = etlas.until(runs, "stopped")
    assert job["cause"] == "canceled" and etlas.places(runs) == ["failed"]
    assert not alive(etlas.seen(job=runs)[0]["pid"])
    (etlas.platoon.dir / "gate").touch()
    etlas.platoon.json("job", "retry", runs, waits)
    etlas.until(runs, "finished")
    etlas.until(waits, "finished")


def test_what_rq_cancels_and_deletes_ends(etlas):
    """Although it ignores TERM, and however long stop_timeout is."""
    etlas.start(stop_timeout="10m", timeout="1h")
    jobs = [etlas.run({"deaf": True, "until": "/nowhere"}) for _ in range(2)]
    wait_until(lambda: len(etlas.seen()) == 2, 60, "both to run")
    Job.fetch(jobs[0], connection=etlas.redis).cancel()
    Job.fetch(jobs[1], connection=etlas.redis).delete()
    for row in etlas.seen():
        wait_until(lambda: not alive(row["pid"]), 60, "the process to be gone")
    wait_until(lambda: etlas.places(jobs[0]) == ["canceled"] and etlas.places(jobs[1]) == [], 60, "RQ's keys to be in order")
    assert etlas.redis.exists(f"rq:job:{jobs[1]}") == 0
    etlas.until(etlas.run(), "finished")


def test_a_key_makes_one_job(etlas):
    etlas.start()
    first = etlas.run({"a": 1}, "--key", "k")
    assert etlas.platoon.json("job", "run", "coinis", "--settings", '{"a": 1}', "--key", "k") == {"job_id": first, "replayed": True}
    assert etlas.platoon.ctl("job", "run", "coinis", "--settings", '{"a": 2}', "--key", "k").returncode == 2
    etlas.until(first, "finished")
    assert len(etlas.seen()) == 1


def test_the_last_of_much_output_is_kept(etlas):
    etlas.add("loud.sh", "#!/bin/sh\ni=0\nwhile [ $i -lt 3000 ]; do echo line $i; i=$((i + 1)); done\n")
    etlas.start(output_keep="1KB")
    job = etlas.until(etlas.run(platform="loud"), "finished")
    assert len(job["output"]) == 1024 and job["output"].endswith("line 2999\n")
    assert {row["platform_id"] for row in etlas.platoon.json("job", "platforms")} == {"coinis", "loud"}


def test_a_platform_that_is_gone(etlas):
    etlas.start(sanjers=1)
    gate = str(etlas.platoon.dir / "gate")
    etlas.run({"until": gate})
    etlas.add("short.sh", "#!/bin/sh\n")
    job = etlas.run(platform="short")
    os.unlink(etlas.folder / "short.sh")
    (etlas.platoon.dir / "gate").touch()
    shown = etlas.until(job, "scheduled")  # another may have it: for a minute (test_jobs_hosts.py)
    assert shown["cause"] is None and shown["reason"].startswith("platform: there is no short in ")


def test_which_section_a_verb_is_about(etlas):
    """The only one, or the one that is named; what is missing or too much is said, with the next step."""
    etlas.start(sanjers=1)
    job = etlas.run()
    assert [row["job_id"] for row in etlas.platoon.json("job", "list", "--on", "etlas")["jobs"]] == [job]
    etlas.more = section("jobs other", {"platforms": etlas.folder, "queue": "o", "sanjer.workers": 1})
    etlas.config(sanjers=1)
    assert etlas.platoon.ctl("reload").returncode == 0
    wait_until(lambda: "jobs/other/collector" in etlas.platoon.workers() and etlas.platoon.ctl("wait", "ready").returncode == 0, 60, "the other section")
    several = etlas.platoon.ctl("job", "list")
    assert several.returncode == 2 and "there are several jobs sections: name one with --on" in several.stderr
    assert etlas.platoon.json("job", "list", "--on", "other")["jobs"] == []
    nowhere = etlas.platoon.ctl("job", "list", "--on", "nowhere")
    assert nowhere.returncode == 5 and "nowhere" in nowhere.stderr
    etlas.platoon.config_path.write_text(base_text(etlas.own, {"url": etlas.url}))
    assert etlas.platoon.ctl("reload").returncode == 0
    wait_until(lambda: not any(name.startswith("jobs/") for name in etlas.platoon.workers()), 60, "both to be gone")
    none = etlas.platoon.ctl("job", "list")
    assert none.returncode == 5 and "there are no jobs here: give the configuration a jobs section" in none.stderr
