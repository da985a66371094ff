#!/usr/bin/python3
"""jobs_storm.py [--seed N] [--storms 1] [--seconds 20]: everything goes wrong at random over a jobs section; then the effects of every job are counted.

A storm is one seed. Writers post jobs over HTTP, each by a key of its own, and again when they heard nothing. Jobs are classes and programs; each attempt writes down
that it begins, and then ends well, fails until a later attempt, must not run again, dies of a signal, hangs, ignores TERM, or leaves a process behind. A client cancels and
retries them over HTTP; rq's own cancels, deletes and requeues them. Meanwhile workers, interpreters, jobs and the master are killed and frozen, Redis is killed, frozen, filled, made
read-only, robbed of its scripts and clients, its disk (a small tmpfs, which takes root) is full, and its clock set forward and back. Then all is healed, and these must hold:

  what was acknowledged is there, or rq has deleted it; a key has made one job
  an attempt of a job has begun once at most; there are at least one and at most as many as it has attempts
  each job stands in one place, with one end, which is the one it was to have unless somebody canceled it; its value is of its last attempt
  nothing waits, nothing is in flight, and no process of a job, no socket and no sanitizer's complaint is left; nobody has grown
"""
import collections
import contextlib
import http.client
import json
import pathlib
import random
import sys
import threading

CHAOS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHAOS), str(CHAOS.parent / "e2e/jobs")]
import redis  # noqa: E402
import rq.exceptions  # noqa: E402
from storm_base import StormBase, main  # noqa: E402, first: it says where the fixtures are
from redis_base import RedisBlows  # noqa: E402
from plan import Plan, environment  # noqa: E402
from platoon_fixture import Platoon, RedisServer, base_text, free_port, marked, section, wait_until  # noqa: E402
from rq.job import Job  # noqa: E402

# What both kinds of platform do: one write a line, which is whole or not there.
ACTS = r'''
import json, os, signal, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))


class Never(Exception):
    pass


def act(job, attempt, n, do, until):
    seen = os.open(HERE + "/../seen", os.O_WRONLY | os.O_APPEND)
    os.write(seen, (json.dumps({"job": job, "attempt": attempt, "n": n, "pid": os.getpid()}) + "\n").encode())
    os.close(seen)
    if do == "leave":
        subprocess.Popen(["/bin/sleep", "3600"], start_new_session=True)
    if attempt >= until or os.path.exists(HERE + "/../calm"):
        return
    if do == "fail":
        raise ValueError("not yet")
    elif do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif do == "slow":
        time.sleep(0.7)
    elif do in ("hang", "deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN if do == "deaf" else signal.SIG_DFL)
        time.sleep(3600)
'''
CLASS = ACTS + r'''
from platforms.base_platform import BasePlatform


class Klass(BasePlatform):
    def __init__(self, n: str, do: str, until: int):
        self.told = (n, do, until)

    def _run(self):
        act(self._job.id, self._job.attempt, *self.told)
        return self._job.attempt
'''
PROGRAM = "#!/usr/bin/python3 -B\n" + ACTS + r'''
if sys.argv[1:] == ["--spec"]:
    print(json.dumps({"settings": {"n": {"type": "str"}, "do": {"type": "str"}, "until": {"type": "int"}}}))
    sys.exit()
told = json.loads(sys.stdin.readline())
settings = told["settings"]
try:
    act(told["job_id"], told["attempt"], settings["n"], settings["do"], settings["until"])
except ValueError:
    sys.exit(1)
if settings["do"] == "never":
    sys.exit(78)
print(json.dumps({"result": told["attempt"]}))
'''
ENDS = {"finished", "failed", "stopped", "canceled"}
PLACES = ("wip", "scheduled", "deferred", "finished", "failed", "canceled")


class Actor(threading.Thread):
    """Somebody who goes on until the storm is over."""

    def __init__(self, storm, name):
        super().__init__(daemon=True)
        self.storm, self.random = storm, random.Random(f"{storm.seed}-{name}")
        self.version = 0

    def run(self):
        while not self.storm.over.is_set():
            try:
                self.turn()
            except (redis.RedisError, OSError, AttributeError, http.client.HTTPException):  # redis-py 4.3 looks for a unix socket's host to name it in its error
                self.storm.over.wait(0.05)
            self.storm.over.wait(self.random.random() * 0.4)

    def post(self, route, body, **headers):
        client = http.client.HTTPConnection("127.0.0.1", self.storm.port, timeout=5)
        try:
            client.request("POST", f"/execution/{route}", json.dumps(body), {"Content-Type": "application/json", **headers})
            answer = client.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            client.close()

    def turn(self):
        raise NotImplementedError


class Writer(Actor):
    def __init__(self, storm, number):
        super().__init__(storm, number)
        self.number = number
        self.sent = {}  # n to [the job, when it was acknowledged, what it does]

    def turn(self):
        self.version += 1
        n = f"{self.number}-{self.version}"
        do = self.random.choices(["done", "fail", "never", "die", "slow", "hang", "deaf", "leave"], [60, 10, 4, 5, 8, 1, 1, 3])[0]
        platform = "program" if do == "never" else self.random.choice(["klass", "program"])
        body = {"_id": n, "platform_id": platform, "settings": {"n": n, "do": do, "until": self.random.choice([2, 2, 3])}}
        self.sent[n] = told = [None, do]
        for _ in range(3):
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, answer = self.post("run", body, **{"Idempotency-Key": f"key {n}"})
                if status == 200:
                    told[0] = answer["message"]["job_id"]
                    break
                if status != 503:
                    self.storm.wrong.append(f"{n} was answered {status} {answer}")
            self.storm.over.wait(0.2)


class Meddler(Actor):
    """Whoever does something to jobs; `touched` are those whose end may be another for that."""

    def some(self):
        made = [told[0] for writer in self.storm.writing for told in list(writer.sent.values())[-30:] if told[0]]
        return self.random.choice(made) if made else None

    def turn(self):
        job = self.some()
        if job:
            self.version += 1
            self.storm.touched.add(job)
            self.random.choices(*zip(*self.ACTS))[0](self, job)
        self.storm.over.wait(self.random.random())


class Desk(Meddler):
    def cancel(self, job):
        self.post("cancel", {"job_id": job})

    def retry(self, job):
        self.post("retry", {"job_id": job})

    ACTS = [(cancel, 2), (retry, 1)]


class RqClient(Meddler):
    def __init__(self, storm):
        super().__init__(storm, "rq")
        self.redis = storm.client()

    def fetch(self, job):
        with contextlib.suppress(rq.exceptions.NoSuchJobError):
            return Job.fetch(job, connection=self.redis)

    def cancel(self, job):
        found = self.fetch(job)
        if found and found.get_status() not in ENDS:  # which rq would make a cancellation of
            with contextlib.suppress(rq.exceptions.InvalidJobOperation):
                self.storm.raced.add(job)
                found.cancel()

    def delete(self, job):
        found = self.fetch(job)
        if found:
            self.storm.raced.add(job)
            found.delete()

    def requeue(self, job):
        found = self.fetch(job)
        if found:
            with contextlib.suppress(rq.exceptions.InvalidJobOperation, rq.exceptions.NoSuchJobError):
                found.requeue()

    ACTS = [(cancel, 3), (delete, 2), (requeue, 3)]


class JobsStorm(RedisBlows):
    EXACT = True  # Redis forgets nothing

    def __init__(self, seed, seconds):
        super().__init__(seed, seconds, Platoon())
        self.redis_plan = Plan(self.plans, "redis-server")
        self.wrong, self.touched, self.raced = [], set(), set()
        self.port = free_port()
        folder = self.platoon.dir / "platforms"
        folder.mkdir()
        (self.platoon.dir / "seen").touch()
        (folder / "klass.py").write_text(CLASS)
        (folder / "program.py").write_text(PROGRAM)
        (folder / "program.py").chmod(0o755)
        self.make_redis()
        self.platoon.config_path.write_text(self.text(folder))

    def make_redis(self):
        # `always`, on the small disk: see the queues' storm.
        (self.disk / "redis").mkdir()
        self.server = RedisServer("--appendfsync", "always", "--dir", str(self.disk / "redis"), environment=environment(self.plans))
        self.url = self.server.url

    def client(self, **more):
        return self.server.client(socket_timeout=3, **more)

    def text(self, folder):
        often = {"intensity": 1000, "period": "1s", "backoff_min": "10ms", "backoff_max": "200ms"}
        return base_text(often, {"url": self.url, "timeout": "2s", "retry_max": "300ms"}) + section("jobs etlas", {
            "platforms": folder, "queue": "q", "listen": f"127.0.0.1:{self.port}", "timeout": "3s", "stop_timeout": "500ms", "lease": "5s", "lost_max": 1000,
            "retries": 1000, "retry_min": "10ms", "retry_max": "300ms", "sanjer.workers": self.random.choice([1, 2, 3]),
            "sanjer.jobs_per_process": self.random.choice([1, 5, 100])})

    # ---- what goes wrong ----

    def stop_start(self):
        self.platoon.ctl("--timeout", "20s", "restart", self.random.choice(["jobs/etlas", "jobs/etlas/keeper", "jobs/etlas/collector", "jobs/etlas/sanjer.1"]))

    ACTIONS = [(StormBase.kill_worker, 14), (StormBase.kill_three, 4), (StormBase.freeze_worker, 4), (StormBase.thaw, 5), (StormBase.kill_master, 1),
               (StormBase.restart_master, 1), *RedisBlows.BLOWS, (stop_start, 3)]

    # ---- and after it ----

    def writers(self):
        self.writing = [Writer(self, i) for i in range(3)]
        return [*self.writing, Desk(self, "desk"), RqClient(self)]

    def close_more(self):
        self.server.close()

    def waits(self, r):
        pipe = r.pipeline()  # at once: else one that moves is met nowhere
        pipe.llen("rq:queue:q")
        places = ("wip", "scheduled", "deferred")
        for place in places:
            pipe.zcard(f"rq:{place}:q")
        return {place: count for place, count in zip(("list", *places), pipe.execute()) if count}

    def run_empty(self):
        (self.platoon.dir / "calm").touch()  # jobs have no whims any more
        r = self.client()

        def is_empty():
            try:
                return not self.waits(r)
            except (redis.RedisError, OSError, AttributeError):
                return False
        try:
            wait_until(is_empty, 240, "all jobs to end")  # each starts a Python
        except BaseException:
            self.state.append(f"left: {self.waits(r)}: wip {r.zrange('rq:wip:q', 0, -1, withscores=True)}, list {r.lrange('rq:queue:q', 0, 9)}, time {r.time()}")
            self.note_state("job list")
            raise

    def account(self, writers):
        self.run_empty()
        r = self.client()
        rows = [json.loads(line) for line in (self.platoon.dir / "seen").read_text().splitlines()]
        wrong = [*self.wrong, *self.attempts(rows), *self.jobs(rows, r), *self.keys(rows)]
        assert not wrong, f"{len(wrong)} are wrong: {wrong[:8]}"
        wait_until(lambda: not self.left(), 60, f"processes of jobs to be gone: {self.left()}")
        made = sum(told[0] is not None for writer in self.writing for told in writer.sent.values())
        return f"{made} jobs, {len(rows)} attempts, {len(self.touched)} meddled with"

    def attempts(self, rows):
        for key, times in collections.Counter((row["job"], row["attempt"]) for row in rows).items():
            if times > 1 and self.EXACT:
                yield f"{key} has begun {times} times"

    def keys(self, rows):
        """One job a key, whether its maker heard of it or not."""
        jobs = collections.defaultdict(set)
        for row in rows:
            jobs[row["n"]].add(row["job"])
        for writer in self.writing:
            for n, (job, _) in writer.sent.items():
                if self.EXACT and len(jobs[n] | ({job} - {None})) > 1:
                    yield f"{n} has made {jobs[n]} and {job}"

    def jobs(self, rows, r):
        begun = collections.Counter(row["job"] for row in rows)
        for writer in self.writing:
            for n, (job, do) in writer.sent.items():
                if job:
                    yield from (f"{n} ({do}, {job}{', meddled with' if job in self.touched else ''}): {what}" for what in self.job(r, job, do, begun[job]))

    def job(self, r, job, do, begun):
        told = {name.decode(): value.decode("latin1") for name, value in r.hgetall(f"rq:job:{job}").items()}
        if not told:
            if job not in self.raced:
                yield "it is gone"
            return
        status, attempt = told["status"], int(told.get("platoon.attempt", 0))
        if begun > attempt and self.EXACT:
            yield f"{begun} have begun, of {attempt} attempts"
        places = [place for place in PLACES if r.zscore(f"rq:{place}:q", job) is not None]
        if places != ["failed" if status == "stopped" else status] and job not in self.raced:
            yield f"it is {status}, and stands in {places}"
        if job in self.touched:
            return
        if status != ("failed" if do == "never" else "finished") or begun < 1:
            yield f"it is {status}, {told.get('platoon.reason')}, after {begun} attempts"
        elif do != "never" and told.get("platoon.result") != str(attempt) and self.EXACT:
            yield f"its value {told.get('platoon.result')} is not of attempt {attempt}"
        if r.xlen(f"rq:results:{job}") != 1 and self.EXACT:
            yield f"it has {r.xlen(f'rq:results:{job}')} ends"

    def left(self):
        """Processes that jobs have left."""
        found = []
        for pid in marked(self.platoon.mark):
            with contextlib.suppress(OSError):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if words[0] == b"/bin/sleep" or b"program.py" in b" ".join(words) and b"--spec" not in words:
                    found.append((pid, words))
        return found


if __name__ == "__main__":
    sys.exit(main(JobsStorm, __doc__))
