"""Functions that rq's client has enqueued, run by sanjers: what its client and its CLI see of them."""
import json
import os
import signal
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from platoon_fixture import alive, wait_until
from rq import Queue, Retry
from rq.job import Dependency, Job
from rq.serializers import JSONSerializer
from sentinel_fixture import url_of, watched

def test_what_a_function_returns_is_read_by_rq(functions, tasks):
    f = functions.start()
    job = f.queue.enqueue(tasks.add, 40, b=2)
    assert f.value(job) == 42
    with pytest.warns(DeprecationWarning):
        assert Job.fetch(job.id, connection=f.redis).result == 42
    shown = f.etlas.show(job.id)
    assert (shown["status"], shown["platform_id"], shown["queue"], shown["result"]) == ("finished", "tasks.add", "default", 42)
    assert shown["worker"].endswith((".sanjer1", ".sanjer2"))
    assert f.value(f.queue.enqueue("tasks.later", 4)) == 8
    assert f.value(f.queue.enqueue(tasks.Till(1).take, 2)).sum == 3
    assert f.value(f.queue.enqueue(tasks.Till.count)) == 7
    assert f.queue.finished_job_registry.count == 4 and f.queue.started_job_registry.count == 0


def test_json_is_read_and_written_as_rq_does(functions, tasks):
    f = functions.start()
    queue = Queue("high", connection=f.redis, serializer=JSONSerializer)
    job = queue.enqueue(tasks.add, 1, b=5)
    assert f.value(job) == 6
    assert f.etlas.show(job.id)["result"] == 6


def test_what_a_function_raises_is_kept(functions, tasks):
    f = functions.start()
    job = f.until(f.queue.enqueue(tasks.fail, 99), "failed")
    assert "ValueError: it is\nnot so" in job.latest_result().exc_string
    shown = f.etlas.show(job.id)
    assert (shown["cause"], shown["reason"]) == ("exception", "raised ValueError: it is not so")
    assert "before it fails" in shown["output"]
    assert f.queue.failed_job_registry.get_job_ids() == [job.id]
    gone = f.until(f.queue.enqueue("tasks.nothing"), "failed")
    assert "AttributeError" in gone.latest_result().exc_string
    assert f.etlas.show(f.until(f.queue.enqueue(tasks.unreturnable), "failed").id)["cause"] == "exception"
    assert f.etlas.show(f.until(f.queue.enqueue(tasks.leave), "failed").id)["reason"] == "raised SystemExit: 0"


def test_retries_are_rqs(functions, tasks):
    f = functions.start(retries=7)
    job = f.queue.enqueue(tasks.fail, 2, retry=Retry(max=3, interval=[0, 1]))
    assert f.value(job) == "at last"
    assert len(f.seen(job)) == 3
    assert Job.fetch(job.id, connection=f.redis).retries_left == 1
    paused = f.until(f.queue.enqueue(tasks.fail, 99, retry=Retry(max=2, interval=[600, 1])), "scheduled")
    in_s = (f.queue.scheduled_job_registry.get_scheduled_time(paused) - datetime.now(timezone.utc)).total_seconds()
    assert 400 < in_s <= 600 and f.redis.hget(paused.key, "retries_left") == b"1"
    spent = f.until(f.queue.enqueue(tasks.fail, 99, retry=Retry(max=1)), "failed")
    assert len(f.seen(spent)) == 2
    # What rq puts into the queue again runs again.
    Job.fetch(spent.id, connection=f.redis).requeue()
    wait_until(lambda: len(f.seen(spent)) == 3, 60, "what was requeued to run")
    f.until(spent, "failed")


def test_a_process_serves_as_many_as_the_section_says(functions, tasks):
    f = functions.start(sanjers=1, **{"sanjer.jobs_per_process": 2})
    jobs = [f.queue.enqueue(tasks.add, number) for number in range(4)]
    for job in jobs:
        f.value(job)
    pids = [f.seen(job)[0]["pid"] for job in jobs]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_a_function_that_dies_is_tried_again(functions, tasks):
    f = functions.start()
    assert f.value(f.queue.enqueue(tasks.die, 1, retry=Retry(max=1))) == "alive"
    dead = f.until(f.queue.enqueue(tasks.die, 9), "failed")
    assert f.etlas.show(dead.id)["reason"] == "killed by signal 11 (SIGSEGV)" and "SIGSEGV" in dead.latest_result().exc_string


def test_time(functions, tasks):
    f = functions.start()
    late = f.queue.enqueue(tasks.loop, job_timeout=4, on_failure=tasks.on_failure)
    deaf = f.queue.enqueue(tasks.deaf, job_timeout=4)
    f.until(late, "failed")
    assert "JobTimeoutException" in late.latest_result().exc_string
    f.until(deaf, "failed")
    for job in (late, deaf):
        shown = f.etlas.show(job.id)
        assert (shown["cause"], shown["reason"]) == ("timeout", "timed out after 4s")
    assert f.redis.lrange("called", 0, -1) == [f"failure {late.id} JobTimeoutException".encode()]
    assert f.value(f.queue.enqueue(tasks.add, 1, job_timeout=-1)) == 3


def test_how_long_things_are_kept(functions, tasks):
    f = functions.start()
    blocker = f.queue.enqueue(tasks.add, 1, result_ttl=-1)
    f.value(blocker)
    assert f.redis.ttl(blocker.key) == -1 and f.redis.ttl(f"rq:results:{blocker.id}") == -1
    assert f.redis.zscore("rq:finished:default", blocker.id) == float("inf")
    forgotten = f.queue.enqueue(tasks.add, 1, result_ttl=0)
    wait_until(lambda: not f.redis.exists(forgotten.key), 60, "a job without a result to be gone")
    assert f.seen(forgotten) and not f.redis.exists(f"rq:results:{forgotten.id}")
    assert f.redis.zscore("platoon:{jobs:etlas}:jobs", forgotten.id) is None
    short = f.until(f.queue.enqueue(tasks.fail, 99, failure_ttl=100), "failed")
    assert 0 < f.redis.ttl(short.key) <= 160
    assert f.redis.ttl(f.until(f.queue.enqueue(tasks.fail, 99, failure_ttl=-1), "failed").key) == -1


def test_what_waits_too_long_is_gone(functions, tasks, tmp_path):
    f = functions.start(sanjers=1)
    first = f.queue.enqueue(tasks.wait, str(tmp_path / "go"))
    f.until(first, "started")
    late = f.queue.enqueue(tasks.add, 1, ttl=1)
    wait_until(lambda: not f.redis.exists(late.key), 60, "its time to be over")
    (tmp_path / "go").touch()
    assert f.value(first) == "waited"
    assert f.value(f.queue.enqueue(tasks.add, 1, ttl=3600)) == 3
    assert not f.seen(late) and f.redis.llen("rq:queue:default") == 0


def test_what_depends_on_others_waits_for_them(functions, tasks, tmp_path):
    f = functions.start()
    first = f.queue.enqueue(tasks.wait, str(tmp_path / "go"))
    other = f.queue.enqueue(tasks.add, 1)
    both = Queue("high", connection=f.redis).enqueue(tasks.add, 10, depends_on=[first, other])
    after = f.queue.enqueue(tasks.add, 20, depends_on=both)
    f.until(other, "finished")
    assert both.get_status() == "deferred" and after.get_status() == "deferred"
    wait_until(lambda: f.etlas.platoon.json("job", "list", "--status", "deferred", "--queue", "high")["total"] == 1, 60, "it to be listed")
    (tmp_path / "go").touch()
    assert f.value(both) == 12 and f.value(after) == 22
    # RQ itself has what comes behind a failure wait for ever, so this fails later.
    bad = f.queue.enqueue(tasks.fail, 99, depends_on=f.queue.enqueue(tasks.wait, str(tmp_path / "bad")))
    never = f.queue.enqueue(tasks.add, 1, depends_on=bad)
    anyway = f.queue.enqueue(tasks.add, 2, depends_on=Dependency(jobs=[bad], allow_failure=True))
    (tmp_path / "bad").touch()
    assert f.value(anyway) == 4
    assert never.get_status() == "deferred" and f.queue.deferred_job_registry.get_job_ids() == [never.id]
    # A function may wait for a platform's job too.
    made = f.etlas.run({"until": str(tmp_path / "platform")})
    behind = f.queue.enqueue(tasks.add, 30, depends_on=made)
    assert behind.get_status() == "deferred"
    (tmp_path / "platform").touch()
    assert f.value(behind) == 32


def test_what_is_for_later_runs_then(functions, tasks):
    f = functions.start()
    soon = f.queue.enqueue_in(timedelta(seconds=1), tasks.add, 1)
    later = f.queue.enqueue_at(datetime.now(timezone.utc) + timedelta(hours=1), tasks.add, 1)
    assert f.value(soon) == 3
    assert later.get_status() == "scheduled" and not f.seen(later)
    # RQ's own scheduler does it where it has the lock.
    f.redis.set("rq:scheduler-lock:high", "1", ex=600)
    theirs = Queue("high", connection=f.redis).enqueue_in(timedelta(seconds=0), tasks.add, 1)
    assert f.value(f.queue.enqueue_in(timedelta(seconds=2), tasks.add, 1)) == 3
    assert theirs.get_status() == "scheduled"
    f.redis.delete("rq:scheduler-lock:high")
    assert f.value(theirs) == 3


def test_front(functions, tasks, tmp_path):
    f = functions.start(sanjers=1)
    first = f.queue.enqueue(tasks.wait, str(tmp_path / "go"))
    f.until(first, "started")
    jobs = [f.queue.enqueue(tasks.add, 1), f.queue.enqueue(tasks.add, 2), f.queue.enqueue(tasks.add, 3, at_front=True)]
    (tmp_path / "go").touch()
    for job in jobs:
        f.value(job)
    begun = [json.loads(line)["job"] for line in (f.folder / "seen").read_text().splitlines()]
    assert begun == [first.id, jobs[2].id, jobs[0].id, jobs[1].id]


def test_callbacks(functions, tasks):
    f = functions.start()
    well = f.queue.enqueue(tasks.add, 1, on_success=tasks.on_success, on_failure=tasks.on_failure)
    f.value(well)
    bad = f.until(f.queue.enqueue(tasks.fail, 99, on_success=tasks.on_success, on_failure=tasks.on_failure), "failed")
    worse = f.until(f.queue.enqueue(tasks.add, 1, on_success=tasks.on_success_that_fails), "failed")
    called = [line.decode() for line in f.redis.lrange("called", 0, -1)]
    assert called == [f"success {well.id} 3", f"failure {bad.id} ValueError"]
    assert "KeyError: 'callback'" in worse.latest_result().exc_string


def test_the_current_job_and_its_meta(functions, tasks):
    f = functions.start()
    f.redis.set("counter", 5)
    job = f.queue.enqueue(tasks.meta, meta={"from": 4})
    assert f.value(job) == ["default", b"5"]
    assert Job.fetch(job.id, connection=f.redis).meta == {"from": 4, "step": 5}
    assert f.etlas.show(job.id)["meta"] == {"from": 4, "step": 5}


def test_what_is_too_large_for_a_result(functions, tasks):
    f = functions.start(dataset_max="1MB")
    assert len(f.value(f.queue.enqueue(tasks.large, 1000000))) == 1000000
    assert "dataset_max" in f.until(f.queue.enqueue(tasks.large, 3000000), "failed").latest_result().exc_string


def test_what_rq_cancels_and_deletes_while_it_runs_ends(functions, tasks, tmp_path):
    f = functions.start()
    jobs = [f.queue.enqueue(tasks.wait, str(tmp_path / "never")) for _ in range(2)]
    for job in jobs:
        wait_until(lambda job=job: f.seen(job), 60, "it to run")
    jobs[0].cancel()
    jobs[1].refresh()
    jobs[1].delete()
    for job in jobs:
        wait_until(lambda job=job: not alive(f.seen(job)[0]["pid"]), 60, "its process to be gone")
    assert jobs[0].get_status(refresh=True) == "canceled" and not f.redis.exists(jobs[1].key)
    assert f.value(f.queue.enqueue(tasks.add, 1)) == 3
    assert f.queue.canceled_job_registry.get_job_ids() == [jobs[0].id]


def test_more_queues_than_are_waited_for(functions, tasks):
    names = [f"q{number}" for number in range(20)]
    f = functions.start(**{"python.functions": " ".join(names)})
    jobs = [Queue(name, connection=f.redis).enqueue(tasks.add, number) for number, name in enumerate(names)]
    assert [f.value(job) for job in jobs] == [number + 2 for number in range(20)]


def test_what_is_suspended_waits(functions, tasks):
    f = functions.start()
    rq(f, "suspend")
    job = f.queue.enqueue(tasks.add, 1)
    wait_until(lambda: f.etlas.platoon.json("job", "list", "--queue", "default", "--status", "queued")["total"] == 1, 60, "it to be listed")
    assert not f.seen(job)
    rq(f, "resume")
    assert f.value(job) == 3


def test_a_function_finds_a_redis_that_sentinels_know(functions, tasks, redis_server):
    f, second = functions, redis_server()
    f.etlas.server.open_port(), second.open_port()
    with watched(f.etlas.server, second) as sentinels:
        f.etlas.url = url_of(sentinels)
        f.start()
        f.redis.set("counter", 5)
        assert f.value(f.queue.enqueue(tasks.meta, meta={"from": 4})) == ["default", b"5"]


def test_what_only_an_rq_worker_knows_fails_and_says_so(functions, tasks):
    f = functions.start()
    for field, value in (("rate_limit_key", "k"), ("webhooks", '[{"url": "http://127.0.0.1/"}]'), ("repeats_left", "3")):
        job = f.queue.create_job(tasks.add, args=(1,))
        job.save()
        f.redis.hset(job.key, field, value)
        f.queue.enqueue_job(job)
        f.until(job, "failed")
        assert field in f.etlas.show(job.id)["reason"] and "rq worker" in job.latest_result().exc_string
        assert not f.seen(job)
    assert f.value(f.queue.enqueue(tasks.add, 1)) == 3


def test_cancel_list_and_retry(functions, tasks, tmp_path):
    f = functions.start(sanjers=1)
    running = f.queue.enqueue(tasks.wait, str(tmp_path / "never"))
    f.until(running, "started")
    waiting = f.queue.enqueue(tasks.add, 1)
    listed = lambda *words: [job["job_id"] for job in f.etlas.platoon.json("job", "list", *words)["jobs"]]
    wait_until(lambda: set(listed()) == {running.id, waiting.id}, 60, "both to be listed")
    assert listed("--queue", "default", "--status", "queued") == [waiting.id]
    f.etlas.platoon.json("job", "cancel", waiting.id)
    assert waiting.get_status(refresh=True) == "canceled" and f.queue.canceled_job_registry.get_job_ids() == [waiting.id]
    f.etlas.platoon.json("job", "retry", waiting.id)
    f.etlas.platoon.json("job", "cancel", running.id)
    f.until(running, "stopped")
    assert f.value(waiting) == 3


def rq(functions, *args):
    done = subprocess.run(["/usr/bin/python3", "-B", "-m", "rq.cli", *args, "--url", functions.etlas.server.url], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(functions.folder)}, cwd=functions.folder, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_cli_and_a_worker_of_rqs_own_beside_sanjers(functions, tasks):
    f = functions.start()
    rq(f, "enqueue", "--queue", "default", "tasks.add", ":1", "b:=9")
    wait_until(lambda: f.queue.finished_job_registry.count == 1, 60, "what the CLI has enqueued to finish")
    jobs = [f.queue.enqueue(tasks.add, number) for number in range(60)]
    rq(f, "worker", "--burst", "default")
    assert [f.value(job) for job in jobs] == [number + 2 for number in range(60)]
    assert all(len(f.seen(job)) == 1 for job in jobs)
    info = rq(f, "info", "--raw", "default")
    assert "default" in info
    bad = f.until(f.queue.enqueue(tasks.fail, 1), "failed")
    rq(f, "requeue", "--queue", "default", bad.id)
    assert f.value(bad) == "at last"


def test_a_function_whose_sanjer_dies_runs_again(functions, tasks, tmp_path):
    f = functions.start(sanjers=1)
    job = f.queue.enqueue(tasks.wait, str(tmp_path / "go"))
    wait_until(lambda: f.seen(job), 60, "it to run")
    os.kill(f.etlas.platoon.pid_of("jobs/etlas/sanjer.1"), signal.SIGKILL)
    wait_until(lambda: len(f.seen(job)) == 2, 60, "it to run again")
    (tmp_path / "go").touch()
    assert f.value(job) == "waited"


def test_functions_of_other_queues_stay(functions, tasks):
    f = functions.start()
    theirs = Queue("theirs", connection=f.redis).enqueue(tasks.add, 1)
    mine = Queue("q", connection=f.redis).enqueue(tasks.add, 1)
    platform = f.etlas.run()
    f.etlas.until(platform, "finished")
    assert f.value(f.queue.enqueue(tasks.add, 1)) == 3
    assert theirs.get_status(refresh=True) == "queued" and mine.get_status(refresh=True) == "queued"
    assert f.etlas.platoon.ctl("job", "show", mine.id).returncode == 5


def test_without_the_key_no_pickle_is_read(functions, tasks):
    """Not even of what says that it is a function: whoever writes to Redis may do that."""
    f = functions.start(**{"python.functions": ""})
    forged = Queue("q", connection=f.redis).create_job(tasks.add, args=(1,))
    forged.save()
    f.redis.hset(forged.key, mapping={"platoon.function": "1", "platoon.platform": "coinis"})
    Queue("q", connection=f.redis).enqueue_job(forged)

    def has_failed():
        f.redis.sadd("platoon:{jobs:etlas}:functions", "q")  # which the keeper takes out when it starts
        return forged.get_status(refresh=True) == "failed"
    wait_until(has_failed, 60, "the forged job to fail")
    assert "python.functions" in f.etlas.show(forged.id)["reason"] and not f.seen(forged)
    theirs = f.queue.enqueue(tasks.add, 1)
    f.etlas.until(f.etlas.run(), "finished")
    assert theirs.get_status(refresh=True) == "queued" and f.redis.llen("rq:queue:default") == 1


def test_sanjers_die_and_no_function_is_lost(functions, tasks):
    """Each ends once, has run at least once, and what depends on it ran behind it; nothing is left where it was."""
    f = functions.start(lost_max=1000, intensity=1000)
    jobs = [f.queue.enqueue(tasks.add, number) for number in range(150)]
    behind = [f.queue.enqueue(tasks.add, 1000, depends_on=job) for job in jobs[::10]]
    for _ in range(6):
        done = f.redis.zcard("rq:finished:default")
        before = f.etlas.platoon.workers()["jobs/etlas/sanjer.1"]
        if before["pid"]:
            os.kill(before["pid"], signal.SIGKILL)
            f.etlas.platoon.replaced(before, 60)
        wait_until(lambda done=done: f.redis.zcard("rq:finished:default") > min(done, 164), 60, "them to go on")
    for job in jobs + behind:
        f.until(job, "finished")
    assert all(f.seen(job) for job in jobs + behind)
    wait_until(lambda: f.redis.zcard("rq:wip:default") == 0, 60, "nobody to have any")
    assert (f.redis.llen("rq:queue:default"), f.redis.zcard("rq:deferred:default"), f.redis.zcard("rq:finished:default")) == (0, 0, 165)
    assert all(len(job.results()) == 1 for job in jobs + behind)
