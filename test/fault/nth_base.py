"""nth_base.py: a test in which the Nth call fails: its command line, and its course: rows of N = 1, 2, 3 … until fewer than N such calls are made, each over a platoon of its own."""
import argparse
import contextlib
import os
import pathlib
import signal
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "e2e")]
from platoon_fixture import freeze, wait_until  # noqa: E402

LIMIT = 20.0  # seconds for one round
MOST = 20000  # far above what any program needs


def options_of(doc, kinds, programs=None, parts=("work", "start")):
    """What the command line says: --only (when there are several programs), --kind, --part, --step, --seed; the seed is printed, for it says which N are tried."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if programs is not None:
        parser.add_argument("--only", choices=programs)
    parser.add_argument("--kind", choices=kinds)
    parser.add_argument("--part", choices=parts)
    parser.add_argument("--step", type=int)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    return options


def until_none_fails(turn, first=1, step=1):
    """turn(n): the nth call fails; true when it came to that. How many rounds that were."""
    n, rounds = first, 0
    while n < MOST and turn(n):
        n += step
        rounds += 1
    assert n < MOST, f"no end after {rounds} rounds"
    return rounds


def start_anew(platoon, name, fail):
    """The worker of this name is killed, and the one that comes for it counts its calls from its first one on: the master is stopped until fail() has said which is to fail."""
    def ready():
        node = platoon.workers()[name]
        return node["state"] == "READY" and node["pid"]
    victim = wait_until(ready, LIMIT, f"{name}, which may have died of the round before")
    freeze(platoon.process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    fail()
    os.kill(platoon.process.pid, signal.SIGCONT)
    wait_until(lambda: (w := platoon.workers()[name])["state"] == "READY" and w["pid"] != victim, LIMIT, f"a new {name}")


class Rounds:
    """The rounds of a system whose programs run under a platoon. Who inherits it has `platoon`, `plan` (of each program), `programs` (the name in the tree of each), work() (everything
    once), is_quiet() (all of it is over) and after() (waits for that, and looks whether all is right)."""

    def work_round(self, program, kind, n):
        self.plan[program].fail(kind, n)
        self.work()
        wait_until(self.is_quiet, LIMIT, "all of it to be over")
        reached = self.plan[program].failed(kind) > 0
        self.plan[program].fail(kind, 0)
        self.after()
        return reached

    def start_round(self, program, kind, n):
        start_anew(self.platoon, self.programs[program], lambda: self.plan[program].fail(kind, n))
        reached = self.plan[program].failed(kind) > 0
        self.plan[program].fail(kind, 0)
        self.work()
        self.after()
        return reached

    def all_n(self, part, program, kind, step, first):
        turn = {"work": self.work_round, "start": self.start_round}[part]
        self.work()
        self.after()
        return until_none_fails(lambda n: turn(program, kind, n), first, step)


def run_row(words, make, course):
    """make() gives what has a `platoon`, `place()` (which round it is in) and `close()`; course(that) goes through it. None, or what went wrong."""
    begin, nth, problem = time.monotonic(), make(), None
    try:
        nth.platoon.start()
        told = course(nth)
    except BaseException as error:  # pytest's fail() is none of Exception
        problem = error
    if problem is not None:
        print(nth.platoon.log()[-6000:])
    try:
        nth.platoon.close(False)
    except BaseException as error:
        problem = problem or error
    nth.close()
    if isinstance(problem, KeyboardInterrupt):
        raise problem
    seconds = time.monotonic() - begin
    print(f"ok     {words} {told:5} failures  {seconds:6.1f} s" if problem is None else f"FAILED {words} at {nth.place()}: {problem}", flush=True)
    return problem


def run(rows):
    """rows: of (words, make, course). The exit status."""
    problems = [run_row(*row) for row in rows]
    bad = sum(problem is not None for problem in problems)
    print(f"{len(problems) - bad} passed, {bad} failed")
    return 1 if bad else 0
