#!/usr/bin/python3
"""nth.py [--only PROGRAM] [--kind KIND] [--part drain|start|postgres] [--step N]: the Nth allocation, write, send or fsync of a program fails.

Every process runs with test/fault/shim.c preloaded. For each program and each kind of call, N = 1, 2, 3 … until fewer than N such calls are made:

  drain     in one drain of a few visits. After it the visits are in the store, nothing is left in the ledger, nothing is a dead letter. A worker may die of it; the master may
            not: its rounds are a worker's death and restart, a look at the tree and a one-off command
  start     from a process' first call on, of the master from where it has read its configuration (libconfuse does not stand a failed allocation; config_parse.c sees to it
            that it meets none). A worker is replaced until it is up; the master comes up too, or says why it does not and leaves nothing behind
  postgres  as drain, for transfer with PostgreSQL as its store

Starting takes thousands of allocations: there N grows by START_STEP, from a first one that --seed chooses.

Exit status 0 when all of it held.
"""
import contextlib
import os
import pathlib
import signal
import sys

TEST = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TEST / "e2e"), str(TEST / "e2e/drain"), str(TEST / "fault")]
from drain_fixture import DrainPlatoon, ledger_left  # noqa: E402
from nth_base import LIMIT, options_of, run, start_anew, until_none_fails  # noqa: E402
from plan import KINDS, Plan, environment  # noqa: E402
from platoon_fixture import PostgresServer, RedisServer, alive, wait_until  # noqa: E402

WORKERS = ["transfer", "get-hash", "get-set", "watcher"]
VISITS = 5
START_STEP = 3


class Nth:
    def __init__(self, postgres=False):
        self.server = RedisServer()
        self.postgres = PostgresServer() if postgres else None
        self.client = self.server.client(socket_timeout=5)
        self.platoon = DrainPlatoon()
        self.plans = self.platoon.dir / "plans"
        self.plans.mkdir()
        self.plan = {program: Plan(self.plans, program) for program in [*WORKERS, "platoon"]}
        inner = self.platoon.environment()
        self.platoon.environment = lambda: {**inner, **environment(self.plans)}
        self.platoon.configure(platoon={"backoff_min": "10ms", "backoff_max": "50ms", "intensity": 1000, "period": "1s",
                                        "stable_after": "100ms"},  # a worker is killed in each round, and is waited for
                               redis={"url": self.server.url, "retry_max": "100ms"},
                               store={"retry_max": "100ms", **({"type": "postgres", "url": self.postgres.url, "path": "", "timeout": "1s"} if postgres else {})},
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
        pipe.zcard("platoon:{visits}:waiting")
        return not any(pipe.execute())

    def check(self, visits):
        stored = self.postgres.data() if self.postgres else self.platoon.data()
        assert all(stored.get(key) == fields for key, fields in visits.items()), "visits are missing in the store"
        left = [k for k in self.client.keys("*") if not k.startswith(b"platoon:")] + ledger_left(self.client)
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

    def all_up(self):
        """Not `wait ready`: that waits for a trouble to be over, too, which is told once a second."""
        wait_until(lambda: all(w["state"] == "READY" for w in self.platoon.workers().values()), LIMIT, "every worker to be READY")

    def start_round(self, program, kind, n):
        self.all_up()
        name = {"transfer": "transfer/visits.1"}.get(program, f"redis/visits/{program}.1")
        start_anew(self.platoon, name, lambda: self.plan[program].fail(kind, n))
        self.all_up()
        reached = self.plan[program].failed(kind) > 0
        self.plan[program].fail(kind, 0)
        visits = self.visits()
        wait_until(self.is_dry, LIMIT, "an empty ledger")
        self.check(visits)
        return reached

    def master_start_round(self, program, kind, n):
        self.platoon.stop()
        before = len(self.platoon.log())
        self.plan[program].fail(kind, n)
        self.platoon.spawn()
        up = lambda: self.platoon.ctl("--timeout", "2s", "wait", "ready").returncode == 0  # noqa: E731
        wait_until(lambda: self.platoon.process.poll() is not None or up(), LIMIT, "the master's start or end")
        reached = self.plan[program].failed(kind) > 0
        self.plan[program].fail(kind, 0)
        code = self.platoon.process.poll()
        if code is not None:
            said = self.platoon.log()[before:].strip()
            # libuv aborts when it has no memory for its loop: then nothing has been started yet.
            assert code in (1, 78) or (code == -6 and "platoon-started" not in said), f"the master ended with {code}"
            assert said or kind == "write" or code == -6, "it ended without a word"
            self.platoon.gone()
        return reached

    def calls_of_check(self, kind):
        before = self.plan["platoon"].calls(kind)
        done = self.platoon.spawn("--check").process.wait(20)
        assert done == 0
        return self.plan["platoon"].calls(kind) - before

    def all_n(self, part, program, kind, step, first):
        turns = {"drain": self.drain_round, "postgres": self.drain_round, "start": self.start_round}
        turn = turns[part]
        if program == "platoon":
            turn = self.master_start_round if part == "start" else self.master_round
        if program == "platoon" and part == "start" and kind == "alloc":
            self.platoon.stop()
            first += self.calls_of_check(kind)
        self.client.flushall()
        return until_none_fails(lambda n: turn(program, kind, n), first, step)

    def place(self):
        return f"visit set {self.count}"

    def close(self):
        self.server.close()
        if self.postgres:
            self.postgres.close()


def parts(options):
    """(part, program, kind, step, first) of all that is to be tried."""
    for part in [options.part] if options.part else ["drain", "start", "postgres"]:
        for program in [*WORKERS, "platoon"]:
            if program != (options.only or program) or (part == "postgres" and program != "transfer"):
                continue
            for kind in [options.kind] if options.kind else KINDS:
                if part == "postgres" and kind == "sync":
                    continue  # it is the server that syncs
                step = options.step or (START_STEP if part == "start" and kind == "alloc" else 1)
                yield part, program, kind, step, 1 + options.seed % step


def main():
    options = options_of(__doc__, KINDS, [*WORKERS, "platoon"], ["drain", "start", "postgres"])
    return run((f"{row[0]:8} {row[1]:10} {row[2]:6}", lambda row=row: Nth(row[0] == "postgres"), lambda nth, row=row: nth.all_n(*row)) for row in parts(options))


if __name__ == "__main__":
    sys.exit(main())
