#!/usr/bin/python3
"""queue_nth.py [--only PROGRAM] [--kind KIND] [--part work|start] [--step N]: the Nth allocation, write or send of a queue's program fails.

Backbone worker, queue worker and port run with test/fault/shim.c preloaded, over a real Redis. For each of them and each kind of call, N = 1, 2, 3 … until fewer than N such
calls are made:

  work      while messages are left in the inbox, delivered, taken, done, asked for again and buried
  start     from the process' first call on, until it works

A worker may die of it, and a delivery by the tool may be refused, or end without being known; then it is sent again. Afterwards all that was acknowledged has come to the consumer, nothing is
in anybody's hands, no receipt was handed out twice, and as many acks and dead letters were counted as there were messages.

Exit status 0 when all of it held.
"""
import collections
import contextlib
import json
import pathlib
import sys

FAULT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(FAULT), str(FAULT.parent / "e2e"), str(FAULT.parent / "e2e/queue")]
from nth_base import LIMIT, Rounds, options_of, run  # noqa: E402
from plan import Plan, environment  # noqa: E402
from platoon_fixture import Platoon, RedisServer, base_text, wait_until  # noqa: E402
from queue_fixture import Shop  # noqa: E402

PROGRAMS = {"backbone": "queue/shop/backbone.1", "queue": "queue/shop/pages.1", "port": "indexer.1"}
KINDS = ["alloc", "write", "send"]  # they sync nothing
START_STEP = 11


class Nth(Rounds):
    programs = PROGRAMS

    def __init__(self):
        self.platoon, self.server = Platoon(), RedisServer()
        plans = self.platoon.dir / "plans"
        plans.mkdir()
        self.plan = {program: Plan(plans, program) for program in PROGRAMS}
        inner = self.platoon.environment()
        self.platoon.environment = lambda: {**inner, **environment(plans)}
        self.shop = Shop(self.platoon, self.server)
        text = self.shop.text({"pages": {"max_attempts": 1000, "retry_min": "0s", "retry_max": "0s", "lease": "5s"}},
                              {"indexer": {"takes": "pages", "window": 3, "backoff_min": "10ms", "backoff_max": "50ms"}})
        quick = {"backoff_min": "10ms", "backoff_max": "50ms", "intensity": 1000, "period": "1s", "stable_after": "100ms"}
        plain = base_text(None, {"url": self.server.url})
        assert plain in text
        self.platoon.config_path.write_text(text.replace(plain, base_text(quick, {"url": self.server.url, "timeout": "1s", "retry_max": "100ms"})))
        self.count = 0
        self.sure = set()  # numbers of messages that are there for sure

    # ---- what is delivered ----

    def body(self, what="done"):
        self.count += 1
        return self.count, json.dumps({"n": self.count, "do": what, "until": 2, "topic": "pages", "facet": "f"})

    def deliver(self, what):
        """Until one is acknowledged."""
        def goes():
            n, body = self.body(what)
            done = self.platoon.ctl("--timeout", "3s", "queue", "deliver", "--topic", "pages", "--facet", "f", body)
            if done.returncode == 0:
                self.sure.add(n)
            return done.returncode == 0
        wait_until(goes, LIMIT, "a delivery")

    def work(self):
        for what in ("done", "again"):
            n, body = self.body(what)
            self.shop.redis.lpush("shop:platoon:inbox", body)
            self.sure.add(n)
        self.deliver("done")
        self.deliver("bury")

    def is_quiet(self):
        r = self.shop.redis
        pipe = r.pipeline()
        pipe.llen("shop:platoon:inbox")
        pipe.get("shop:pages:length")
        pipe.hlen("shop:platoon:pages:held")
        pipe.zcard("shop:platoon:pages:dead")
        inbox, length, held, dead = pipe.execute()
        return inbox == 0 and int(length or 0) == 0 and held == 2 * dead

    def after(self):
        wait_until(self.is_quiet, LIMIT, "all to be settled")
        rows = self.shop.seen()
        twice = [key for key, times in collections.Counter((row["id"], row["attempt"]) for row in rows).items() if times > 1]
        assert not twice, f"handed out twice: {twice}"
        missing = self.sure - {row["body"]["n"] for row in rows}
        assert not missing, f"never handed out: {missing}"
        ids = {row["id"] for row in rows}
        acked = int(self.shop.redis.hget("shop:platoon:pages:stats", "acked") or 0)
        letters = self.shop.redis.zcard("shop:platoon:pages:dead")
        assert len(ids) == acked + letters, f"{len(ids)} messages, {acked} acks, {letters} dead letters"

    def place(self):
        return f"message {self.count}"

    def close(self):
        with contextlib.suppress(Exception):
            self.server.close()


def parts(options):
    """(part, program, kind, step, first) of all that is to be tried."""
    for part in [options.part] if options.part else ["work", "start"]:
        for program in [options.only] if options.only else PROGRAMS:
            for kind in [options.kind] if options.kind else KINDS:
                slow = kind == "alloc" and (part == "start" or program == "port")  # each costs a port its second of back-off
                step = options.step or (START_STEP if slow else 1)
                yield part, program, kind, step, 1 + options.seed % step


def main():
    options = options_of(__doc__, KINDS, PROGRAMS)
    return run((f"{row[0]:6} {row[1]:9} {row[2]:6}", Nth, lambda nth, row=row: nth.all_n(*row)) for row in parts(options))


if __name__ == "__main__":
    sys.exit(main())
