#!/usr/bin/python3
"""nth.py [--only PROGRAM] [--kind KIND] [--step 1]: the Nth allocation, write, send or fsync of a program fails, for every N of one drain.

Every process runs with test/fault/shim.c preloaded. For each worker program and each kind of call, N = 1, 2, 3 … until a drain of a few
visits needs fewer than N such calls. After each: the visits are in the store, nothing is left in the ledger, nothing is a dead letter. A worker may
die of it; the master may not: its rounds are a worker's death and restart, a look at the tree and a one-off command.

Exit status 0 when all of it held.
"""
import argparse
import contextlib
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import redis  # noqa: E402
from conftest import Platoon, RedisServer, alive, wait_until  # noqa: E402
from plan import KINDS, Plan, environment  # noqa: E402

WORKERS = ["transfer", "get-hash", "get-set", "watcher"]
VISITS = 5
LIMIT = 20.0  # seconds for one round; a lease is 2
MOST = 5000  # rounds; far above what any program needs


class Nth:
    def __init__(self):
        self.server = RedisServer()
        self.client = self.server.client(socket_timeout=5)
        self.platoon = Platoon()
        self.plans = self.platoon.dir / "plans"
        self.plans.mkdir()
        self.plan = {program: Plan(self.plans, program) for program in [*WORKERS, "platoon"]}
        inner = self.platoon.environment()
        self.platoon.environment = lambda: {**inner, **environment(self.plans)}
        self.platoon.configure(platoon={"backoff_min": "10ms", "backoff_max": "50ms", "intensity": 1000, "period": "1s"},
                               redis={"url": self.server.url, "retry_max": "100ms"}, store={"retry_max": "100ms"},
                               drain={"key": "{id}", "lease": "2s", "max_attempts": 20, "intensity": 1000, "period": "1s", "get_hash.workers": 1})
        self.platoon.redis_url = self.server.url
        self.count = 0

    def visits(self):
        self.count += 1
        found = {f"v:{self.count}:{i}": {"id": f"v:{self.count}:{i}", "n": str(i), "text": "x" * 300} for i in range(VISITS)}
        self.platoon.add(found, client=self.client, at_once=True)
        return found

    def is_dry(self):
        pipe = self.client.pipeline(transaction=True)
        pipe.scard("tracking:pending")
        pipe.zcard("platoon:{visits}:claims")
        return not any(pipe.execute())

    def check(self, visits):
        assert all(self.platoon.data().get(key) == fields for key, fields in visits.items()), "visits are missing in the store"
        left = [k for k in self.client.keys("*") if k.decode().split(":")[2:3] not in (["seq"], ["stats"], ["taken"])]
        assert not left, f"left in Redis: {left}"

    def drain_round(self, program, kind, n):
        self.plan[program].fail(kind, n)
        visits = self.visits()
        wait_until(self.is_dry, LIMIT, "an empty ledger")
        reached = self.plan[program].failed(kind) > 0
        self.plan[program].fail(kind, 0)
        self.check(visits)
        return reached

    def ctl_until_well(self, *words):
        wait_until(lambda: self.platoon.ctl("--timeout", "3s", *words).returncode == 0, LIMIT, f"platoonctl {' '.join(words)}")

    def master_round(self, program, kind, n):
        self.ctl_until_well("wait", "ready")
        pid = self.platoon.process.pid
        victim = self.platoon.pid_of("redis/visits/get-set.1")
        self.plan[program].fail(kind, n)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        visits = self.visits()
        self.platoon.ctl("--timeout", "3s", "tree")
        self.platoon.ctl("--timeout", "3s", "redis", "PING")
        self.ctl_until_well("wait", "ready")
        wait_until(self.is_dry, LIMIT, "an empty ledger")
        reached = self.plan[program].failed(kind) > 0
        self.plan[program].fail(kind, 0)
        assert alive(pid), "the master died"
        self.check(visits)
        return reached

    def all_n(self, program, kind, step):
        turn = self.master_round if program == "platoon" else self.drain_round
        self.client.flushall()
        n = 1
        while n < MOST and turn(program, kind, n):
            n += step
        assert n < MOST, f"no end after {MOST} rounds"
        return n - 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*WORKERS, "platoon"])
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--step", type=int, default=1)
    options = parser.parse_args()
    bad = good = 0
    for program in [options.only] if options.only else [*WORKERS, "platoon"]:
        for kind in [options.kind] if options.kind else KINDS:
            begin, nth, problem = time.monotonic(), Nth(), None
            try:
                nth.platoon.start()
                told = nth.all_n(program, kind, options.step)
            except BaseException as error:  # pytest's fail() is none of Exception
                problem = error
            if problem is not None:
                print(nth.platoon.log()[-6000:])
            try:
                nth.platoon.close(False)
            except BaseException as error:
                problem = problem or error
            nth.server.close()
            if isinstance(problem, KeyboardInterrupt):
                raise problem
            bad, good = bad + (problem is not None), good + (problem is None)
            seconds = time.monotonic() - begin
            print(f"ok     {program:10} {kind:6} {told:5} failures  {seconds:6.1f} s" if problem is None else f"FAILED {program} {kind} at visit set {nth.count}: {problem}", flush=True)
    print(f"{good} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
