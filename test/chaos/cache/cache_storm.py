#!/usr/bin/python3
"""cache_storm.py [--seed N] [--storms 1] [--seconds 20]: everything goes wrong at random over a cache with a directory as its store.

A storm is one seed. Writers set, count, delete and read objects of their own in Redis' protocol, and remember what was acknowledged, while node, backing worker
and master are killed and frozen, the Nth call of each kind fails in them, the store is away or an empty directory in its place, its disk and the log's (a small
tmpfs, which takes root) are full and slow, and the wall clock is set forward and back. Meanwhile no read may tell anything but what was acknowledged last: no nil of what is there, nothing old.
Then all is healed, and these must hold:

  every object is as it was last acknowledged
  it is the same from the store alone, when the node's log is gone
  nothing is dirty, nothing a dead letter, no process, no socket and no sanitizer's complaint is left; nobody has grown
"""
import contextlib
import os
import pathlib
import random
import signal
import sys
import threading
import time

CHAOS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHAOS), str(CHAOS.parent / "e2e/cache")]
import redis  # noqa: E402
from storm_base import StormBase, main  # noqa: E402, first: it says where the fixtures are
from cache_store_fixture import BACKING, NODE, Directory, cache_text, client, in_time, lose  # noqa: E402
from plan import KINDS, Plan  # noqa: E402
from platoon_fixture import Platoon, marked, wait_until  # noqa: E402

NOT_DONE = ("TRYAGAIN ", "OOM ", "BUSY ", "LOADING ")  # errors that say that nothing was changed
SIZES = [0, 10, 200, 5000, 60000]


class Writer(threading.Thread):
    """One thread with objects of its own. What becomes of a command that has no answer may show at any later time: its object is not written again."""

    def __init__(self, storm, number):
        super().__init__(daemon=True)
        self.storm, self.number = storm, number
        self.random = random.Random(f"{storm.seed}-{number}")
        self.possible = {}  # key to the values that it may have; None: it is not there
        self.began = time.monotonic()
        self.past = {}  # key to its last commands: when, what, what came of it
        self.lapsed = {}  # key to all that it was for a while
        self.given_up = set()
        self.wrong = []
        self.version = self.made = self.read = 0
        self.client = self.seen = None

    def run(self):
        while not self.storm.over.is_set():
            key, act = self.choose()
            try:
                self.client = self.client or self.storm.client(4, self.random)
                act(key)
            except redis.ResponseError as error:
                if not str(error).startswith((*NOT_DONE, "MISCONF ")):
                    self.wrong.append(f"{key}: {error}")
                if self.storm.may_come_later(error):
                    self.given_up.add(key)
            except (redis.RedisError, OSError, AttributeError):  # redis-py 4.3 looks for a unix socket's host to name it in its error
                self.given_up.add(key)
                self.client = None  # what a frozen node has of it is done when it is thawed
                self.storm.over.wait(0.05)
            self.storm.over.wait(self.random.random() * 0.004)

    def choose(self):
        old = [f"k:{self.number}:{n}" for n in self.random.sample(range(self.made), min(4, self.made))]
        free = [key for key in old if key not in self.given_up]
        if old and self.random.random() < 0.4:
            return old[0], self.look
        if free and self.random.random() < 0.6:
            return free[0], self.random.choice([self.set, self.set, self.count, self.delete, self.set_for_a_while])
        self.made += 1
        return f"k:{self.number}:{self.made - 1}", self.random.choice([self.set, self.count])

    def write(self, key, value, *words):
        """`value`: of what is there when it was done; None: nothing."""
        self.version += 1
        before = self.possible.get(key, {None})
        self.possible[key] = before | {value} | ({None} if for_a_while(value) else set())
        told = self.remember(key, words)
        try:
            answer = self.client.execute_command(*words)
            told.append(answer)
        except redis.ResponseError as error:
            told.append(error)
            if str(error).startswith(NOT_DONE) and not self.storm.is_unsure(error):
                self.possible[key] = before
            raise
        self.possible[key] = {value}
        return answer

    def remember(self, key, words):
        told = [f"{time.monotonic() - self.began:.3f}", *(shown(word) for word in (words[0], *words[2:]))]
        self.past[key] = [*self.past.get(key, [])[-7:], told]
        return told

    def set(self, key):
        value = b"%d:" % self.version + b"x" * self.random.choice(SIZES)
        self.write(key, value, "SET", key, value)

    def set_for_a_while(self, key):
        """Of a clock that is set forward and back nobody knows how long that is."""
        value = b"%d: for a while" % self.version
        self.lapsed.setdefault(key, set()).add(value)
        self.write(key, value, "SET", key, value, "PX", self.random.choice([50, 400, 3000]))
        self.possible[key] = {None} | self.lapsed[key]

    def delete(self, key):
        """What has expired leaves no deletion behind, and is there again when the clock is set back, unless what came after it was stored. What was written after it
        and deleted before that was not: SET for a while, expired, SET, DEL."""
        self.write(key, None, "DEL", key)
        self.possible[key] = {None} | self.lapsed.get(key, set())

    def count(self, key):
        """From what is there, which must be known for that."""
        before = self.possible.get(key, {None})
        if len(before) > 1 or not (before == {None} or next(iter(before)).isdigit()):
            return self.delete(key)
        value = int(next(iter(before)) or 0) + 1
        told = self.write(key, b"%d" % value, "INCR", key)
        if told != value:
            self.wrong.append(f"{key}: INCR told {told}, must be {value}")

    def look(self, key):
        told = self.seen = self.client.get(key)
        self.read += 1
        if told not in self.possible.get(key, {None}):
            self.wrong.append(f"{key}: read {shown(told)}, must be one of {[shown(v) for v in self.possible.get(key, {None})]}")


def for_a_while(value):
    return value is not None and value.endswith(b"for a while")


def shown(value):
    return value[:20] if isinstance(value, (bytes, str)) else value


class CacheStorm(StormBase):
    STAYS = ("c.sock",)
    CACHE = "sessions"

    def __init__(self, seed, seconds):
        super().__init__(seed, seconds, Platoon())
        self.plan = {program: Plan(self.plans, program) for program in ["cache-node", "cache-backing"]}
        self.store = Directory(self.disk / "objects")
        self.is_away = False
        # The logs alone: a master that is started while the disk of its state is full says so, and ends.
        (self.disk / "logs").mkdir()
        (self.platoon.dir / "state").mkdir()
        (self.platoon.dir / "state/cache").symlink_to(self.disk / "logs")
        self.platoon.config_path.write_text(cache_text(
            self.platoon, self.store, write_delay=self.random.choice(["1ms", "100ms", "1s"]), memory=self.random.choice(["8MB", "32MB"]),
            idle=self.random.choice(["300ms", "2s", "10m"]), dirty_max=self.random.choice(["1MB", "64MB"]), object_max="256KB",
            fsync=self.random.choice(["always", "everysec", "no"]), timeout="2s"))

    def client(self, seconds, choice=None):
        """For somebody who waits so long for an answer."""
        return client(self.platoon, socket_timeout=seconds)

    def is_unsure(self, error):
        """Whether what is refused so may be done all the same."""
        return False

    def may_come_later(self, error):
        """Whether it may be done when it was refused long since."""
        return False

    # ---- what goes wrong ----

    def kill_node(self):
        self.kill("cache-node")

    def kill_backing(self):
        self.kill("cache-backing")

    def kill(self, program):
        for pid in marked(self.platoon.mark):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == program[:15]:
                    os.kill(pid, signal.SIGKILL)

    def store_away(self):
        if not self.is_away:
            self.store.away()
            self.is_away = True

    def store_unmounted(self):
        """What is left is an empty directory, which must not be taken for a store that has nothing."""
        if not self.is_away:
            self.store_away()
            self.store.path.mkdir()

    def store_back(self):
        if self.is_away:
            if self.store.path.exists():
                self.store.path.rename(self.disk / f"unmounted.{len(self.history)}")
            self.store.back()
            self.is_away = False

    def fail(self):
        self.random.choice(list(self.plan.values())).fail(self.random.choice(KINDS), self.random.choice([1, 2, 3, 5, 10, 30, 100]))

    def slow(self):
        self.random.choice(list(self.plan.values())).delay(self.random.choice(["write", "sync"]), self.random.choice([0.01, 0.1, 0.5]))

    def fast(self):
        for plan in self.plan.values():
            for kind in KINDS:
                plan.delay(kind, 0)

    def jump(self):
        seconds = self.random.choice([-3600, -10, 0, 0, 10, 3600])
        for plan in self.plan.values():
            plan.clock(seconds)

    def stop_start(self):
        self.platoon.ctl("--timeout", "20s", "restart", self.random.choice([NODE, BACKING, "cache/sessions"]))

    ACTIONS = [(kill_node, 8), (kill_backing, 8), (StormBase.kill_three, 2), (StormBase.freeze_worker, 3), (StormBase.thaw, 4), (StormBase.kill_master, 1),
               (StormBase.restart_master, 1), (store_away, 2), (store_unmounted, 2), (store_back, 5), (fail, 10), (slow, 2), (fast, 3), (StormBase.fill_disk, 2),
               (StormBase.free_disk, 3), (jump, 2), (stop_start, 2)]

    # ---- and after it ----

    def writers(self):
        return [Writer(self, i) for i in range(3)]

    def heal(self):
        self.store_back()
        self.fast()
        for plan in self.plan.values():
            plan.clock(0)
            for kind in KINDS:
                plan.fail(kind, 0)
        super().heal()

    def dry(self):
        try:
            wait_until(lambda: self.platoon.ctl("--timeout", "2s", "cache", "wait", self.CACHE).returncode == 0, 90, "all to be stored")
        except BaseException:
            self.note_state("cache status")
            raise

    def no_dead_letter(self):
        """What failed again and again while the disk was full may be one, until it is put once more."""
        letters = self.platoon.json("cache", "dead", self.CACHE, "list")
        assert all("newer" not in letter["reason"] for letter in letters), f"somebody else has written: {letters[:5]}"
        if letters:
            assert self.platoon.ctl("cache", "dead", self.CACHE, "retry", "all").returncode == 0
            self.dry()
        left = self.platoon.json("cache", "dead", self.CACHE, "list")
        assert not left, f"the store does not take: {left[:5]}"
        return len(letters)

    def values(self, writers):
        wrong, found, r = [], {}, self.client(20)
        for writer in writers:
            wrong += writer.wrong
            for key, may in writer.possible.items():
                found[key] = in_time(lambda key=key: r.get(key))
                if found[key] not in may:
                    wrong.append(f"{key}: {shown(found[key])}, must be one of {[shown(v) for v in may]}: {writer.past.get(key)}")
        assert not wrong, f"{len(wrong)} are wrong: {wrong[:5]}"
        return found

    def lose(self):
        lose(self.platoon)

    def account(self, writers):
        self.dry()
        letters = self.no_dead_letter()
        found = self.values(writers)
        self.dry()
        self.lose()
        alone = self.values(writers)
        wrong = [f"{key}: {shown(value)} in the node, {shown(alone[key])} in the store" for key, value in found.items()
                 if alone[key] != value and not for_a_while(value or alone[key])]
        assert not wrong, f"{len(wrong)} differ: {wrong[:5]}"
        given_up = sum(len(writer.given_up) for writer in writers)
        return f"{sum(w.read for w in writers)} reads, {len(found)} objects, {given_up} without an answer, {letters} dead letters"


if __name__ == "__main__":
    sys.exit(main(CacheStorm, __doc__))
