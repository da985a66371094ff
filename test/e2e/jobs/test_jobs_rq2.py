"""What RQ 2's client and workers write beyond RQ 1.13's, which tests have: its very fields and commands, and what its client then reads of sanjers."""
import json
import os
import signal
import time
import zlib
from base64 import b64decode
from datetime import datetime, timezone

import pytest
from platoon_fixture import wait_until
from rq import Queue
from rq.job import Job


def save(functions, function, *args, **fields):
    """As its Job.save does it."""
    job = functions.queue.create_job(function, args=args)
    job.save()
    functions.redis.hset(job.key, mapping={"success_callback_name": "", "failure_callback_name": "", "stopped_callback_name": "", "group_id": "", "started_at": "",
                                           "ended_at": "", "last_heartbeat": "", "worker_name": "", "status": "queued", "timeout": 180,
                                           "enqueued_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), **fields})
    functions.redis.sadd("rq:queues", functions.queue.key)
    return job


def enqueue(functions, function, *args, **fields):
    """As its Queue.enqueue does it."""
    job = save(functions, function, *args, **fields)
    functions.redis.rpush(functions.queue.key, job.id)
    return job


def run_by_rq(functions, function, lease_s, **fields):
    """As its worker does it, which then does nothing more: in wip is the execution, which the job has a list of."""
    job = save(functions, function, status="started", worker_name="theirs", started_at="2026-11-26T00:24:00.123456Z", **fields)
    functions.redis.zadd(f"rq:executions:{job.id}", {"e1": time.time() + lease_s + 60})
    functions.redis.zadd("rq:wip:default", {f"{job.id}:e1": time.time() + lease_s})
    return job


def take_by_rq(functions, function, *args, ago_s):
    """As its worker of one queue does it, which dies before it says that it has it; another has seen that, and died too."""
    job = save(functions, function, *args, enqueued_at="2026-11-26T00:24:00.123456Z")
    functions.redis.rpush(f"{functions.queue.key}:intermediate", job.id)
    functions.redis.set(f"{functions.queue.key}:intermediate:first_seen:{job.id}", time.time() - ago_s, ex=86400)
    return job


def results(functions, job):
    """The latest first: type, whose, and the value or text."""
    rows = [{name.decode(): value.decode() for name, value in row.items()} for _, row in functions.redis.xrevrange(f"rq:results:{job.id}")]
    return [(int(row["type"]), row["worker_name"], zlib.decompress(b64decode(row["exc_string"])).decode() if "exc_string" in row else row["return_value"])
            for row in rows]


def test_what_its_client_writes(functions, tasks):
    f = functions.start()
    job = enqueue(f, tasks.add, 1, success_callback_name="tasks.on_success", success_callback_timeout=30, group_id="g1", number_of_retries=0, retries_left=0,
                  webhooks="[]", repeat_intervals="[1]")
    assert f.value(job) == 3
    assert f.redis.lrange("called", 0, -1) == [f"success {job.id} 3".encode()]
    (kind, worker, _), = results(f, job)
    assert kind == 1 and worker == f.etlas.show(job.id)["worker"]


def test_what_has_not_been_yet_is_null(functions, tasks, tmp_path):
    f = functions.start(sanjers=1)
    f.until(enqueue(f, tasks.wait, str(tmp_path / "never")), "started")
    enqueue(f, tasks.add, 1)
    waits = []
    wait_until(lambda: waits.extend(f.etlas.platoon.json("job", "list", "--queue", "default", "--status", "queued")["jobs"]) or waits, 60, "it to be listed")
    assert (waits[0]["started_at"], waits[0]["ended_at"], waits[0]["worker"]) == (None, None, None) and waits[0]["enqueued_at"]


def test_who_is_stopped_is_told(functions, tasks, tmp_path):
    """on_stopped: only what was to be stopped, not what was handed back."""
    f = functions.start(sanjers=1)
    jobs = [enqueue(f, tasks.wait, str(tmp_path / "go"), stopped_callback_name="tasks.on_stopped", stopped_callback_timeout=20) for _ in range(2)]
    wait_until(lambda: f.seen(jobs[0]), 60, "the first to run")
    f.etlas.platoon.json("job", "cancel", jobs[0].id)
    f.until(jobs[0], "stopped")
    wait_until(lambda: f.seen(jobs[1]), 60, "the second to run")
    assert f.etlas.platoon.ctl("restart", "jobs/etlas/sanjer.1").returncode == 0
    wait_until(lambda: len(f.seen(jobs[1])) == 2, 60, "the second to run again")
    (tmp_path / "go").touch()
    assert f.value(jobs[1]) == "waited"
    assert f.redis.lrange("called", 0, -1) == [f"stopped {jobs[0].id}".encode()]
    assert [(kind, text) for kind, _, text in results(f, jobs[0])] == [(2, "canceled")]  # a failure, as its worker writes it


def test_a_retry_that_is_returned(functions, tasks):
    """Beside that of the enqueue, and without callbacks until the last."""
    f = functions.start()
    job = enqueue(f, tasks.again, 2, success_callback_name="tasks.on_success", failure_callback_name="tasks.on_failure")
    f.until(job, "finished")
    assert len(f.seen(job)) == 3 and f.redis.hget(job.key, "number_of_retries") == b"2"
    assert [kind for kind, _, _ in results(f, job)] == [1, 4, 4]
    assert f.redis.lrange("called", 0, -1) == [f"success {job.id} enough".encode()]


@pytest.mark.parametrize("knows", [False, True])
def test_a_retry_too_many_is_returned(functions, tasks, knows):
    f = functions.start()
    job = f.until(enqueue(f, tasks.again, 99, knows, retries_left=5), "failed")
    assert len(f.seen(job)) == 3
    shown = f.etlas.show(job.id)
    assert (shown["cause"], shown["reason"]) == ("exception", "returned a Retry after 2 of them: max=2")
    rows = results(f, job)
    assert [kind for kind, _, _ in rows][1:] == [4, 4]
    assert rows[0][0] == 5 if knows else rows[0][::2] == (2, "Job failed after 2 retry attempts")


def test_a_value_that_cannot_be_kept(functions, tasks):
    f = functions.start()
    assert f.value(enqueue(f, tasks.unkept, success_callback_name="tasks.on_success")) == "Unserializable return value"
    assert f.redis.llen("called") == 1


def test_what_is_tried_again_first(functions, tasks, tmp_path):
    f = functions.start(sanjers=1)
    gate = f.queue.enqueue(tasks.wait, str(tmp_path / "go"))
    f.until(gate, "started")
    first = enqueue(f, tasks.fail, 1, retries_left=1, retry_intervals="[0]", enqueue_at_front_on_retry=1)
    other = enqueue(f, tasks.add, 1)
    (tmp_path / "go").touch()
    f.until(first, "finished")
    f.value(other)
    begun = [json.loads(line)["job"] for line in (f.folder / "seen").read_text().splitlines()]
    assert begun == [gate.id, first.id, first.id, other.id]


def test_what_its_worker_has_is_left(functions, tasks):
    """Also when its lease is over: its own clean-up, which knows callbacks, does that; what is left for long, or of a job that is gone, goes."""
    f = functions.start()
    runs, late = run_by_rq(f, tasks.add, 60), run_by_rq(f, tasks.add, -5)
    old, again = run_by_rq(f, tasks.add, -1000), run_by_rq(f, tasks.again, -1000, retries_left=1)
    ended, gone = run_by_rq(f, tasks.add, -5), run_by_rq(f, tasks.add, -5)
    f.redis.hset(ended.key, "status", "finished")
    f.redis.delete(gone.key)
    f.until(old, "failed")
    assert f.etlas.show(old.id)["reason"] == "its rq worker died" and [text for _, _, text in results(f, old)] == ["its rq worker died"]
    f.until(again, "failed")  # for want of an argument: it has run
    assert f.redis.hget(again.key, "retries_left") == b"0"
    wait_until(lambda: set(f.redis.zrange("rq:wip:default", 0, -1)) == {f"{job.id}:e1".encode() for job in (runs, late)}, 60, "the others to go")
    assert f.value(f.queue.enqueue(tasks.add, 1)) == 3
    assert runs.get_status(refresh=True) == "started" and late.get_status(refresh=True) == "started"


def test_what_its_worker_had_taken_is_run(functions, tasks):
    f = functions.start()
    taken = take_by_rq(f, tasks.add, 1, ago_s=0)
    assert f.value(take_by_rq(f, tasks.add, 1, ago_s=61)) == 3
    assert f.redis.lrange("rq:queue:default:intermediate", 0, -1) == [taken.id.encode()]
    assert [key.decode().split(":")[-1] for key in f.redis.scan_iter("*:first_seen:*")] == [taken.id]


def test_cancel_tells_its_worker(functions, tasks):
    f = functions.start()
    job = run_by_rq(f, tasks.add, 600)
    channel = f.redis.pubsub(ignore_subscribe_messages=True)
    channel.subscribe("rq:pubsub:theirs")
    wait_until(lambda: f.redis.pubsub_numsub("rq:pubsub:theirs") == [(b"rq:pubsub:theirs", 1)], 60, "the worker to listen")
    assert f.etlas.platoon.json("job", "cancel", job.id)[0]["status"] == "stopping"
    told = []
    wait_until(lambda: told.append(channel.get_message(timeout=0.1)) or told[-1], 60, "the worker to be told")
    channel.close()
    assert json.loads(told[-1]["data"]) == {"command": "stop-job", "job_id": job.id}
    assert f.redis.hget(job.key, "platoon.stop") is None


def test_what_a_sanjer_has_behind_it(functions, tasks):
    """rq info shows it, and rq-dashboard."""
    f = functions.start(sanjers=1)
    for number in range(3):
        f.value(f.queue.enqueue(tasks.add, number))
    f.until(f.queue.enqueue(tasks.fail, 99), "failed")
    key = f.redis.smembers("rq:workers").pop()
    wait_until(lambda: f.redis.hget(key, "failed_job_count") == b"1", 60, "it to be counted")
    assert f.redis.hget(key, "successful_job_count") == b"3" and float(f.redis.hget(key, "total_working_time")) >= 0


def test_nobody_has_a_job_that_rq_has_deleted(functions, tasks, tmp_path):
    """As rq-dashboard's list of started jobs does; whoever lists workers then fetches what each has in hands."""
    f = functions.start(sanjers=1)
    job = f.queue.enqueue(tasks.wait, str(tmp_path / "never"))
    f.until(job, "started")
    Job.fetch(job.id, connection=f.redis).delete()
    key = f.redis.smembers("rq:workers").pop()
    wait_until(lambda: f.redis.hmget(key, "current_job", "state") == [None, b"idle"] and f.redis.zcard("rq:wip:default") == 0, 60, "nobody to have it")


def test_what_a_lost_job_says_to_rq(functions, tasks, tmp_path):
    f = functions.start(sanjers=1, lost_max=0)
    job = f.queue.enqueue(tasks.wait, str(tmp_path / "never"))
    f.until(job, "started")
    os.kill(f.etlas.platoon.pid_of("jobs/etlas/sanjer.1"), signal.SIGKILL)
    f.until(job, "failed")
    assert Job.fetch(job.id, connection=f.redis).latest_result().exc_string == "its sanjer died"
    assert Queue("default", connection=f.redis).failed_job_registry.get_job_ids() == [job.id]
