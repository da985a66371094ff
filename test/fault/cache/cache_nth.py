#!/usr/bin/python3
"""cache_nth.py [--only PROGRAM] [--kind KIND] [--part work|start] [--step N]: the Nth allocation, write, send or fsync of a cache's program fails.

Node and backing worker of a cache with a directory as its store run with test/fault/shim.c preloaded, `fsync = always`. For each of them and each kind of call,
N = 1, 2, 3 … until fewer than N such calls are made:

  work      while a client sets, counts, deletes and reads objects of which some are in the store alone, and all is stored
  start     from the process' first call on, until it works

A worker may die of it, and a command may be refused; then it is sent again. What was acknowledged is there afterwards, in the node, in the store, and in the
node when it has nothing but the store; nothing is a dead letter.

Exit status 0 when all of it held.
"""
import contextlib
import pathlib
import sys

FAULT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(FAULT), str(FAULT.parent / "e2e"), str(FAULT.parent / "e2e/cache")]
import redis  # noqa: E402
from cache_store_fixture import BACKING, NODE, Directory, cache_text, client, lose  # noqa: E402
from nth_base import LIMIT, options_of, run, start_anew, until_none_fails  # noqa: E402
from plan import KINDS, Plan, environment  # noqa: E402
from platoon_fixture import Platoon, section, wait_until  # noqa: E402

PROGRAMS = {"cache-node": NODE, "cache-backing": BACKING}
OBJECTS = 4
START_STEP = 11


class Nth:
    def __init__(self):
        self.platoon = Platoon()
        plans = self.platoon.dir / "plans"
        plans.mkdir()
        self.plan = {program: Plan(plans, program) for program in PROGRAMS}
        inner = self.platoon.environment()
        self.platoon.environment = lambda: {**inner, **environment(plans)}
        self.store = Directory(self.platoon.dir / "objects")
        text = cache_text(self.platoon, self.store, write_delay="1ms", fsync="always", idle="0s", timeout="1s", intensity=1000, period="1s")
        quick = {"runtime_dir": "run", "state_dir": "state", "backoff_min": "10ms", "backoff_max": "50ms", "intensity": 1000, "period": "1s", "stable_after": "100ms"}
        self.platoon.config_path.write_text(text.replace(section("platoon", {"runtime_dir": "run", "state_dir": "state"}), section("platoon", quick)))
        self.count = 0
        self.client = None
        self.cold = {}  # objects that are in the store alone
        self.told = {}  # what was acknowledged of all keys

    # ---- a client that does not give up ----

    def done(self, *words):
        """What was answered in the end."""
        answers = []

        def goes():
            try:
                self.client = self.client or client(self.platoon, socket_timeout=3)
                answers.append(self.client.execute_command(*words))
                return True
            except redis.ResponseError as error:
                assert str(error).startswith(("TRYAGAIN ", "OOM ", "MISCONF ", "LOADING ")), f"{words}: {error}"
            except (redis.RedisError, OSError, AttributeError):  # redis-py 4.3 looks for a unix socket's host to name it in its error
                self.client = None
            return False
        wait_until(goes, LIMIT, f"an answer to {words[:2]}")
        return answers[-1]

    def write(self, key, value, *words):
        self.done(*words)
        self.told[key] = value

    def is_stored(self):
        return self.done("PLATOON.DIRTY")[0] == 0

    def put_away(self):
        """So that something must be loaded: the node loses all that it has."""
        self.count += 1
        names = [f"cold:{self.count}:{i}" for i in range(200)]
        for name in names:
            self.write(name, name.encode(), "SET", name, name)
        wait_until(self.is_stored, LIMIT, "all to be stored")
        lose(self.platoon)
        self.client = None
        self.cold = {name: name.encode() for name in names}

    def commands(self):
        self.count += 1
        for i in range(OBJECTS):
            key = f"k:{self.count}:{i}"
            value = key.encode() * (1 + 300 * i)
            self.write(key, value, "SET", key, value)
        key = f"k:{self.count - 1}:0"
        self.write(key, None, "DEL", key)
        self.write("same", b"%d" % self.count, "SET", "same", self.count)
        if not self.cold:
            self.put_away()
        key, value = self.cold.popitem()
        assert self.done("GET", key) == value
        self.write(key, value + b"+", "GETSET", key, value + b"+")

    # ---- rounds ----

    def check(self, keys):
        for key in keys:
            value = self.told[key]
            assert self.done("GET", key) == value, f"{key} in the node"
            assert self.store.has(key) == value, f"{key} in the store"

    def after(self):
        """What was written lately is there, and is not written for ever."""
        wait_until(self.is_stored, LIMIT, "all to be stored")
        self.check(list(self.told)[-3 * OBJECTS:] + ["same"] * ("same" in self.told))

    def work_round(self, program, kind, n):
        if not self.cold:
            self.put_away()
        self.plan[program].fail(kind, n)
        self.commands()
        wait_until(self.is_stored, LIMIT, "all to be stored")
        reached = self.plan[program].failed(kind) > 0
        self.plan[program].fail(kind, 0)
        self.after()
        return reached

    def start_round(self, program, kind, n):
        self.write("same", b"%d" % n, "SET", "same", n)
        start_anew(self.platoon, PROGRAMS[program], lambda: self.plan[program].fail(kind, n))
        reached = self.plan[program].failed(kind) > 0
        self.plan[program].fail(kind, 0)
        self.commands()
        self.after()
        return reached

    def all_n(self, part, program, kind, step, first):
        turn = {"work": self.work_round, "start": self.start_round}[part]
        if part == "start":
            self.commands()
        rounds = until_none_fails(lambda n: turn(program, kind, n), first, step)
        letters = self.platoon.json("cache", "dead", "sessions", "list")
        assert not letters, f"dead letters: {letters[:5]}"
        self.client = None
        lose(self.platoon)
        for key, value in self.told.items():
            assert self.done("GET", key) == value, f"{key} from the store"
        return rounds

    def place(self):
        return f"set {self.count}"

    def close(self):
        with contextlib.suppress(Exception):
            self.client.close()


def parts(options):
    """(part, program, kind, step, first) of all that is to be tried."""
    for part in [options.part] if options.part else ["work", "start"]:
        for program in [options.only] if options.only else PROGRAMS:
            for kind in [options.kind] if options.kind else KINDS:
                step = options.step or (START_STEP if part == "start" and kind == "alloc" else 1)
                yield part, program, kind, step, 1 + options.seed % step


def main():
    options = options_of(__doc__, KINDS, PROGRAMS)
    return run((f"{row[0]:6} {row[1]:13} {row[2]:6}", Nth, lambda nth, row=row: nth.all_n(*row)) for row in parts(options))


if __name__ == "__main__":
    sys.exit(main())
