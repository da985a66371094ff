#!/usr/bin/python3
"""cache_manager_nth.py [--kind KIND] [--part work|start] [--step N]: the Nth allocation, write or send of a cache's manager fails.

A manager with a real Redis, and workers of the tests in the nodes' place (ring_node.c), runs with test/fault/shim.c preloaded. For each kind of call,
N = 1, 2, 3 … until fewer than N such calls are made:

  work      while two nodes claim cells, give them back and ask what they have
  start     from the process' first call on, until it works

The manager may die of it, and a request may be answered `away`, or not at all when it dies; then it is asked again. Each node has afterwards what it was told is its own,
under the number that it was told, and nothing else; nodes go on in their incarnations.

Exit status 0 when all of it held.
"""
import pathlib
import sys

FAULT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(FAULT), str(FAULT.parent / "e2e"), str(FAULT.parent / "e2e/cache")]
from nth_base import LIMIT, options_of, run, start_anew, until_none_fails  # noqa: E402
from plan import Plan, environment  # noqa: E402
from platoon_fixture import Platoon, RedisServer, wait_until  # noqa: E402
from ring_node_fixture import MANAGER, ONE, TWO, configure_ring, serves, state  # noqa: E402

KINDS = ["alloc", "write", "send"]  # it syncs nothing
START_STEP = 7


class Nth:
    def __init__(self):
        self.platoon, self.server = Platoon(), RedisServer()
        plans = self.platoon.dir / "plans"
        plans.mkdir()
        self.plan = Plan(plans, "cache-manager")
        inner = self.platoon.environment()
        self.platoon.environment = lambda: {**inner, **environment(plans)}
        quick = {"backoff_min": "10ms", "backoff_max": "50ms", "intensity": 1000, "period": "1s", "stable_after": "100ms"}
        configure_ring(self.platoon, self.server, platoon=quick, intensity=1000, period="1s")
        self.count = 0
        self.owned = {ONE: {}, TWO: {}}  # cell to number, as it was told
        self.incarnations = {}

    # ---- a node that asks until it is told ----

    def told(self, node, line):
        """The words behind the result, once that is 0. Of a manager that dies a request has no answer: the tool waits no longer than this."""
        def answer():
            done = self.platoon.ctl("--timeout", "1s", "send", node, f'"{line}"')
            words = done.stdout.split()
            return words if done.returncode == 0 and words and words[0] == "0" else None
        return wait_until(answer, LIMIT, f"{node} to be told: {line}")[1:]

    def take(self, node, cell):
        owner, number = self.told(node, f"claim {cell}")[-1].split(":")
        assert owner == "1", f"{cell} is not {node}'s: {owner} {number}"
        self.owned[node][cell] = int(number)

    def give_back(self, node, cell):
        number = self.owned[node].pop(cell)

        def gone():
            self.platoon.ctl("--timeout", "1s", "send", node, f'"release {cell}:{number}"')
            return all(int(word.split(":")[0]) != cell for word in self.told(node, "sweep"))
        wait_until(gone, LIMIT, f"{cell} to be given back")
        return number

    def requests(self):
        self.count += 1
        cell = 10 * self.count
        for node in (ONE, TWO):
            self.take(node, cell + (node == TWO))
        assert self.told(TWO, f"claim {cell}")[-1] == f"2:{self.incarnations[ONE]}"
        before = self.give_back(ONE, cell)
        self.take(TWO, cell)
        assert self.owned[TWO][cell] > before, "a later claim has no higher number"

    def after(self):
        for node, cells in self.owned.items():
            assert state(self.platoon, node)["incarnation"] == self.incarnations[node], f"{node} is another"
            swept = {int(cell): int(number) for cell, number in (word.split(":") for word in self.told(node, "sweep"))}
            assert swept == cells, f"{node} has {swept}, was told {cells}"
            for cell in list(cells)[:-2]:
                self.give_back(node, cell)

    # ---- rounds ----

    def work_round(self, kind, n):
        self.plan.fail(kind, n)
        self.requests()
        reached = self.plan.failed(kind) > 0
        self.plan.fail(kind, 0)
        self.after()
        return reached

    def start_round(self, kind, n):
        start_anew(self.platoon, MANAGER, lambda: self.plan.fail(kind, n))
        self.requests()
        reached = self.plan.failed(kind) > 0
        self.plan.fail(kind, 0)
        self.after()
        return reached

    def all_n(self, part, kind, step, first):
        turn = {"work": self.work_round, "start": self.start_round}[part]
        self.incarnations = {node: serves(self.platoon, node)["incarnation"] for node in (ONE, TWO)}
        self.requests()
        return until_none_fails(lambda n: turn(kind, n), first, step)

    def place(self):
        return f"round {self.count}"

    def close(self):
        self.server.close()


def parts(options):
    """(part, kind, step, first) of all that is to be tried."""
    for part in [options.part] if options.part else ["work", "start"]:
        for kind in [options.kind] if options.kind else KINDS:
            step = options.step or (START_STEP if part == "start" and kind == "alloc" else 1)
            yield part, kind, step, 1 + options.seed % step


def main():
    options = options_of(__doc__, KINDS)
    return run((f"{row[0]:6} {row[1]:6}", Nth, lambda nth, row=row: nth.all_n(*row)) for row in parts(options))


if __name__ == "__main__":
    sys.exit(main())
