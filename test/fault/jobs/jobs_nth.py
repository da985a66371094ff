#!/usr/bin/python3
"""jobs_nth.py [--only PROGRAM] [--kind KIND] [--part work|start] [--step N]: the Nth allocation, write or send of a program of the jobs fails.

Keeper, collector and sanjer run with test/fault/shim.c preloaded, over a real Redis. For each of them and each kind of call, N = 1, 2, 3 … until fewer than N such calls are made:

  work      while jobs are made, run, fail, are tried again, canceled and retried
  start     from the process' first call on, until it works

A worker may die of it, and a job may be refused, or made without its maker's hearing of it; then it is asked for again, by the same key. Afterwards each job stands in one place and has
one end, an attempt has begun once, as many have as are counted or fewer, and nothing waits or is in flight.

Exit status 0 when all of it held.
"""
import collections
import contextlib
import json
import pathlib
import sys

FAULT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(FAULT), str(FAULT.parent / "e2e"), str(FAULT.parent / "e2e/jobs")]
from nth_base import LIMIT, Rounds, options_of, run  # noqa: E402
from plan import Plan, environment  # noqa: E402
from jobs_fixture import Etlas  # noqa: E402
from platoon_fixture import Platoon, RedisServer, base_text, wait_until  # noqa: E402

PROGRAMS = {"job-keeper": "jobs/etlas/keeper", "job-collector": "jobs/etlas/collector", "sanjer": "jobs/etlas/sanjer.1"}
KINDS = ["alloc", "write", "send"]  # they sync nothing
STEP = 7  # a sanjer has some hundred allocations a job
SHELL = r'''#!/bin/sh
read -r told
job=$(expr "$told" : '.*"job_id":"\([^"]*\)"')
attempt=$(expr "$told" : '.*"attempt":\([0-9]*\)')
echo "{\"what\":\"begin\",\"job\":\"$job\",\"attempt\":$attempt}" >> ../seen
echo '{"update":{"stage":"one"}}'
echo "{\"result\":$attempt}"
case "$told" in *'"id":"fails"'*) [ "$attempt" -gt 1 ] || exit 1;; *'"id":"never"'*) exit 78;; esac
'''


class Nth(Rounds):
    programs = PROGRAMS

    def __init__(self):
        self.platoon, self.server = Platoon(), RedisServer()
        plans = self.platoon.dir / "plans"
        plans.mkdir()
        self.plan = {program: Plan(plans, program) for program in PROGRAMS}
        inner = self.platoon.environment()
        self.platoon.environment = lambda: {**inner, **environment(plans)}
        self.etlas = Etlas(self.platoon, self.server)
        self.etlas.add("shell.sh", SHELL)
        quick = {"backoff_min": "10ms", "backoff_max": "50ms", "intensity": 1000, "period": "1s", "stable_after": "100ms"}
        start, self.platoon.start = self.platoon.start, lambda: None  # run_row starts it
        self.etlas.start(sanjers=1, retries=1000, retry_min="0s", retry_max="0s", lost_max=1000, lease="5s")
        self.platoon.start = start
        text, plain = self.platoon.config_path.read_text(), base_text(None, {"url": self.server.url})
        assert plain in text
        self.platoon.config_path.write_text(text.replace(plain, base_text(quick, {"url": self.server.url, "timeout": "1s", "retry_max": "100ms"})))
        self.count = 0
        self.jobs = {}  # its id to the status it is to end with

    # ---- what is asked for ----

    def ask(self, name, status):
        """Until it is acknowledged; the same key makes one job."""
        self.count += 1
        key = f"key-{self.count}"

        def made():
            done = self.platoon.ctl("--json", "--timeout", "3s", "job", "run", "shell", "--id", name, "--key", key)
            if done.returncode == 0:
                self.jobs[json.loads(done.stdout)["job_id"]] = status
            return done.returncode == 0
        wait_until(made, LIMIT, "a job to be made")

    def work(self):
        self.ask("plain", "finished")
        self.ask("fails", "finished")
        self.ask("never", "failed")

    def is_quiet(self):
        pipe = self.etlas.redis.pipeline()  # at once: else one that moves is met nowhere
        pipe.llen("rq:queue:q")
        pipe.zcard("rq:wip:q")
        pipe.zcard("rq:scheduled:q")
        return not any(pipe.execute())

    def after(self):
        wait_until(self.is_quiet, LIMIT, "all jobs to end")
        rows = collections.Counter((row["job"], row["attempt"]) for row in self.etlas.seen())
        twice = [key for key, times in rows.items() if times > 1]
        assert not twice, f"begun twice: {twice}"
        for job, status in self.jobs.items():
            told = self.etlas.redis.hgetall(f"rq:job:{job}")
            begun = sum(key[0] == job for key in rows)
            assert told[b"status"].decode() == status and self.etlas.places(job) == [status], (job, told, self.etlas.places(job))
            assert json.loads(told[b"platoon.result"]) == int(told[b"platoon.attempt"]), (job, told)
            assert 1 <= begun <= int(told[b"platoon.attempt"]), (job, begun, told)
            assert self.etlas.redis.xlen(f"rq:results:{job}") == 1, (job, "ends")
        self.jobs.clear()
        self.etlas.seen_path.write_text("")

    def place(self):
        return f"job {self.count}"

    def close(self):
        with contextlib.suppress(Exception):
            self.server.close()


def parts(options):
    """(part, program, kind, step, first) of all that is to be tried."""
    for part in [options.part] if options.part else ["work", "start"]:
        for program in [options.only] if options.only else PROGRAMS:
            for kind in [options.kind] if options.kind else KINDS:
                step = options.step or (STEP if kind == "alloc" else 1)
                yield part, program, kind, step, 1 + options.seed % step


def main():
    options = options_of(__doc__, KINDS, PROGRAMS)
    return run((f"{row[0]:6} {row[1]:13} {row[2]:6}", Nth, lambda nth, row=row: nth.all_n(*row)) for row in parts(options))


if __name__ == "__main__":
    sys.exit(main())
