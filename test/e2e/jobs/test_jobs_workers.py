"""Sanjers as RQ's clients see them: workers of RQ, which rq info shows, rq suspend holds, and to which stop-job goes; and the user that jobs run as."""
import os
import pwd
import socket
import subprocess

from platoon_fixture import alive, wait_until
from rq import Queue, Worker
from rq.command import send_stop_job_command

SANJER = socket.gethostname() + ".sanjer"


def rq(etlas, *words):
    done = subprocess.run(["/usr/bin/python3", "-m", "rq.cli", *words, "-u", etlas.server.url], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def workers(etlas):
    return {worker.name: worker for worker in Worker.all(connection=etlas.redis)}


def test_rq_shows_them(etlas):
    etlas.start()
    wait_until(lambda: set(workers(etlas)) == {SANJER + "1", SANJER + "2"}, 60, "both to be workers of RQ")
    shown = workers(etlas)[SANJER + "1"]
    assert shown.get_state() == "idle" and shown.queue_names() == ["q"] and shown.get_current_job_id() is None
    assert shown.pid == etlas.platoon.workers()["jobs/etlas/sanjer.1"]["pid"] and shown.birth_date <= shown.last_heartbeat
    gate = str(etlas.platoon.dir / "gate")
    job = etlas.run({"until": gate})
    wait_until(lambda: etlas.seen(job=job), 60, "it to run")
    busy = wait_until(lambda: [worker for worker in workers(etlas).values() if worker.get_state() == "busy"], 60, "RQ to see it")
    assert [worker.get_current_job_id() for worker in busy] == [job]
    assert busy[0].name == etlas.show(job)["worker"]
    text = rq(etlas, "info", "q")
    assert SANJER + "1" in text and SANJER + "2" in text and "2 workers" in text
    assert Worker.count(queue=Queue("q", connection=etlas.redis)) == 2
    (etlas.platoon.dir / "gate").touch()
    etlas.until(job, "finished")
    wait_until(lambda: all(worker.get_state() == "idle" for worker in workers(etlas).values()), 60, "both to be idle")
    etlas.platoon.stop()
    assert workers(etlas) == {} and not etlas.redis.smembers("rq:workers:q")


def test_who_is_born_again_is_the_same_worker(etlas):
    etlas.start(sanjers=1, lost_max=5)
    etlas.run({"until": "/nowhere"})
    wait_until(lambda: etlas.seen(), 60, "it to run")
    before = etlas.platoon.workers()["jobs/etlas/sanjer.1"]
    os.kill(before["pid"], 9)
    after = etlas.platoon.replaced(before)
    wait_until(lambda: workers(etlas).get(SANJER + "1") and workers(etlas)[SANJER + "1"].pid == after["pid"], 60, "the new one")
    assert set(workers(etlas)) == {SANJER + "1"}


def test_a_name_that_is_anothers(etlas):
    """As of another section on this host."""
    etlas.redis.hset(f"rq:worker:{SANJER}1", mapping={"pid": 1, "queues": "other"})
    etlas.start(sanjers=1)
    wait_until(lambda: etlas.redis.scard("rq:workers") == 1, 60, "it to be a worker of RQ")
    name = etlas.redis.smembers("rq:workers").pop().decode()
    assert name.endswith(".etlas.sanjer1") and etlas.redis.hget(f"rq:worker:{SANJER}1", "queues") == b"other"
    job = etlas.run()
    assert "rq:worker:" + etlas.until(job, "finished")["worker"] == name


def test_suspend_and_resume(etlas):
    etlas.start()
    rq(etlas, "suspend")
    job = etlas.run()
    wait_until(lambda: any(worker.get_state() == "suspended" for worker in workers(etlas).values()), 60, "a sanjer to hear of it")
    assert etlas.places(job) == ["list"] and not etlas.seen()
    rq(etlas, "resume")
    etlas.until(job, "finished")
    wait_until(lambda: all(worker.get_state() == "idle" for worker in workers(etlas).values()), 60, "nobody to be suspended")


def test_stop_job(etlas):
    etlas.start()
    jobs = [etlas.run({"until": "/nowhere"}) for _ in range(2)]
    waits = etlas.run()
    wait_until(lambda: len(etlas.seen()) == 2, 60, "both to run")
    wait_until(lambda: etlas.redis.pubsub_numpat() > 0, 60, "somebody to listen")
    send_stop_job_command(etlas.redis, jobs[0])
    shown = etlas.until(jobs[0], "stopped")
    assert (shown["cause"], etlas.places(jobs[0])) == ("canceled", ["failed"])
    assert not alive(etlas.seen(job=jobs[0])[0]["pid"])
    etlas.until(waits, "finished")
    assert etlas.show(jobs[1])["status"] == "started"
    etlas.redis.publish(f"rq:pubsub:{etlas.show(jobs[1])['worker']}", "no json")
    etlas.redis.publish(f"rq:pubsub:{SANJER}9", '{"command": "stop-job", "job_id": "%s"}' % jobs[1])
    send_stop_job_command(etlas.redis, jobs[1])
    etlas.until(jobs[1], "stopped")


PROGRAM = "#!/bin/sh\nid -u; id -g; echo $HOME; echo $USER\n"
CLASS = '''
import os

print(os.getuid())


class Me:
    def _run(self):
        return [os.getuid(), os.getgid(), os.environ["HOME"], sorted(os.getgroups())]
'''


def test_jobs_run_as_their_user(etlas):
    """So does what says what a platform takes. Needs root, as which CI runs."""
    user = pwd.getpwnam("nobody")
    etlas.platoon.dir.chmod(0o755)
    etlas.add("me.sh", PROGRAM)
    etlas.add("spec", "#!/bin/sh -e\necho \"{\\\"display_name\\\":\\\"$(id -u)\\\"}\"\n")
    (etlas.folder / "who.py").write_text(CLASS.replace("Me", "Who"))
    etlas.start(**{"sanjer.user": "nobody", "python.program": "/usr/bin/python3"})
    shown = etlas.until(etlas.run(platform="me"), "finished")
    assert shown["output"].split() == [str(user.pw_uid), str(user.pw_gid), user.pw_dir, "nobody"]
    shown = etlas.until(etlas.run(platform="who"), "finished")
    assert shown["result"] == [user.pw_uid, user.pw_gid, user.pw_dir, sorted(os.getgrouplist("nobody", user.pw_gid))], shown
    names = {row["platform_id"]: row["display_name"] for row in etlas.platoon.json("job", "platforms")}
    assert names["spec"] == str(user.pw_uid)
