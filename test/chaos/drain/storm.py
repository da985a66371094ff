#!/usr/bin/python3
"""storm.py [--seed N] [--storms 1] [--seconds 20]: everything goes wrong at random over a live drain; then every record is accounted for.

A storm is one seed. Writers add, rewrite and delete visits and remember what Redis acknowledged, while workers and the master are killed and
frozen, Redis is killed, restarted, frozen, filled, made read-only, robbed of its scripts and clients, its clock set forward and back, and the store is
locked, made slow, and its disk (a small tmpfs, which takes root) filled. Then all is healed, the drain runs dry, and these must hold:

  every record is in the store with its newest acknowledged version, or is a dead letter, and is stored once that is retried
  nothing of the ledger is left in Redis but its totals, no visit is left, no process, no socket and no sanitizer's complaint
  the memory and descriptors of the master have not grown, and those of no worker above what a fresh one may need

Exit status 0 when every storm passed. A failing seed is printed and can be run again; timing is the machine's, so it may need several tries.
"""
import argparse
import contextlib
import os
import pathlib
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time

TEST = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TEST / "e2e"), str(TEST / "fault")]
import redis  # noqa: E402
from conftest import Platoon, RedisServer, alive, marked, rss_bytes, wait_until  # noqa: E402
from plan import Plan, environment  # noqa: E402

SET = "tracking:pending"
DISK = 320 * 1024 * 1024


class Writer(threading.Thread):
    """The application: one thread with members of its own. Most are written once or twice, so that each lost version is missed."""

    def __init__(self, storm, number):
        super().__init__(daemon=True)
        self.storm, self.number = storm, number
        self.random = random.Random(f"{storm.seed}-{number}")
        self.possible = {}  # member to the versions that may be the newest: the last acknowledged, and later ones whose outcome is unknown
        self.deleted = set()  # members whose newest version may be gone on purpose
        self.version = 0

    def run(self):
        while not self.storm.over.is_set():
            self.version += 1
            again = self.version > 1 and self.random.random() < 0.3
            member = f"v:{self.number}:{self.random.randint(max(1, self.version - 500), self.version - 1) if again else self.version}"
            delete = member in self.possible and self.random.random() < 0.1
            if delete:
                self.deleted.add(member)
            else:
                self.possible.setdefault(member, {None}).add(self.version)  # None: not there at all
            try:
                self.delete(member) if delete else self.write(member, self.version)
                if not delete:
                    self.possible[member] = {self.version}
                    self.deleted.discard(member)
            except (redis.RedisError, AttributeError):  # redis-py 4.3 looks for a unix socket's host to name it in its error
                self.storm.over.wait(0.02)
            self.storm.over.wait(self.random.random() * 0.002)

    def write(self, member, version):
        pipe = self.storm.client.pipeline(transaction=True)
        text = "x" * self.random.choice([0, 10, 200, 5000])
        pipe.hset(member, mapping={"id": member, "version": str(version), "text": text})
        pipe.sadd(SET, member)
        pipe.execute()

    def delete(self, member):
        pipe = self.storm.client.pipeline(transaction=True)
        pipe.srem(SET, member)
        pipe.delete(member)
        pipe.execute()


class Storm:
    def __init__(self, seed, seconds):
        self.seed, self.seconds = seed, seconds
        self.random = random.Random(seed)
        self.over = threading.Event()
        self.platoon = Platoon()
        plans = self.platoon.dir / "plans"
        plans.mkdir()
        self.redis_plan, self.transfer_plan = Plan(plans, "redis-server"), Plan(plans, "transfer")
        # `always`: with `everysec`, and a disk too slow for it, Redis keeps up to two seconds of what it has acknowledged in memory only,
        # and kill -9 then loses data that no drain could have stored.
        self.server = RedisServer("--appendfsync", "always", environment=environment(plans))
        self.disk = self.platoon.dir / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self.disk)], check=True)
        self.client = self.server.client(socket_timeout=2)
        inner = self.platoon.environment()
        self.platoon.environment = lambda: {**inner, **environment(plans)}
        self.platoon.configure(redis={"url": self.server.url, "timeout": "2s", "retry_max": "300ms"},
                               store={"retry_max": "300ms", "path": "disk/visits.db"},
                               drain={"key": "{id}", "batch": self.random.choice([1, 7, 50, 500]), "lease": "3s", "max_attempts": 8,
                                      "get_hash.workers": self.random.choice([1, 2, 3]), "transfer.workers": self.random.choice([1, 2])})
        self.platoon.redis_url = self.server.url
        self.history = []
        self.state = []
        self.frozen = []
        self.lock = None

    # ---- what goes wrong ----

    def worker(self):
        pids = [pid for pid in marked(self.platoon.mark) if pid != self.platoon.process.pid]
        return self.random.choice(pids) if pids else None

    def kill_worker(self):
        pid = self.worker()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_three(self):
        for _ in range(3):
            self.kill_worker()

    def freeze_worker(self):
        pid = self.worker()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self.frozen.append(pid)

    def thaw(self):
        while self.frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.frozen.pop(), signal.SIGCONT)

    def kill_master(self):
        self.platoon.kill9()
        self.thaw()
        wait_until(lambda: not marked(self.platoon.mark), 8, "the end of the dead master's workers")
        self.platoon.start(ready=False)

    def restart_master(self):
        self.thaw()
        self.platoon.stop()
        self.platoon.start(ready=False)

    def restart_redis(self):
        self.server.stop()
        self.over.wait(self.random.random() * 0.5)
        self.server.start()

    def pause_redis(self):
        self.server.pause()
        self.over.wait(self.random.random() * 3)
        self.server.resume()

    def tell_redis(self, *words):
        with contextlib.suppress(redis.RedisError):
            self.client.execute_command(*words)

    def flush_scripts(self):
        self.tell_redis("SCRIPT", "FLUSH")

    def kill_clients(self):
        self.tell_redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def fill_redis(self):
        self.tell_redis("CONFIG", "SET", "maxmemory", "1")
        self.over.wait(self.random.random())
        self.tell_redis("CONFIG", "SET", "maxmemory", "0")

    def make_redis_readonly(self):
        self.tell_redis("REPLICAOF", "127.0.0.1", "1")
        self.over.wait(self.random.random())
        self.tell_redis("REPLICAOF", "NO", "ONE")

    def lock_store(self):
        path = self.disk / "visits.db"
        if self.lock is None and path.exists():
            with contextlib.suppress(sqlite3.OperationalError):
                self.lock = sqlite3.connect(path, isolation_level=None, timeout=1)
                self.lock.execute("BEGIN IMMEDIATE")

    def unlock_store(self):
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def fill_disk(self):
        """To the last byte: the store's next transaction fails with ENOSPC."""
        with contextlib.suppress(OSError), open(self.disk / "ballast", "ab", buffering=0) as file:
            while True:
                file.write(bytes(8 * 1024 * 1024))

    def free_disk(self):
        (self.disk / "ballast").unlink(missing_ok=True)

    def slow_store(self):
        self.transfer_plan.delay("sync", self.random.choice([0.05, 0.5, 1.5]))

    def fast_store(self):
        self.transfer_plan.delay("sync", 0)

    def jump(self):
        self.redis_plan.clock(self.random.choice([-86400, -3600, -10, 0, 10, 3600, 86400]))

    def stop_start(self):
        name = self.random.choice(["redis/visits", "transfer", "redis/visits/get-set.1", "redis/visits/watcher.1"])
        self.platoon.ctl("--timeout", "20s", "restart", name)

    ACTIONS = [(kill_worker, 12), (kill_three, 4), (freeze_worker, 4), (thaw, 4), (kill_master, 1), (restart_master, 1), (restart_redis, 2), (pause_redis, 2),
               (flush_scripts, 2), (kill_clients, 3), (fill_redis, 2), (make_redis_readonly, 2), (lock_store, 2), (unlock_store, 3), (stop_start, 2),
               (fill_disk, 2), (free_disk, 3), (slow_store, 2), (fast_store, 2), (jump, 3)]

    def blow(self):
        actions, weights = zip(*self.ACTIONS)
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            action = self.random.choices(actions, weights)[0]
            self.history.append(action.__name__)
            action(self)
            self.over.wait(self.random.random() * 0.7)

    # ---- and after it ----

    def heal(self):
        self.thaw()
        self.unlock_store()
        self.free_disk()
        self.fast_store()
        self.tell_redis("CONFIG", "SET", "maxmemory", "0")
        self.tell_redis("REPLICAOF", "NO", "ONE")
        if not alive(self.platoon.process.pid):
            self.platoon.start(ready=False)

    def dry(self):
        def is_dry():
            done = self.platoon.ctl("--json", "--timeout", "2s", "drain", "wait", "visits")
            return done.returncode == 0
        try:
            wait_until(is_dry, 90, "the drain to run dry")
        except BaseException:
            self.note_state()
            raise

    def note_state(self):
        """For the end of the report: a log of thousands of lines comes before it."""
        told = self.state
        with contextlib.suppress(redis.RedisError):
            claims = self.client.zrange("platoon:{visits}:claims", 0, 4, withscores=True)
            told.append(f"set {self.client.scard(SET)}, clock {self.client.time()}, claims {self.client.zcard('platoon:{visits}:claims')}: {claims}")
            for claim, _ in claims:
                told.append(f"{claim} { {k: v for k, v in self.client.hgetall(b'platoon:{visits}:claim:' + claim).items() if k != b'members'} }")
        for words in ("tree", "drain status", "status", "crashes"):
            done = self.platoon.ctl("--timeout", "5s", *words.split())
            told.append(done.stdout + done.stderr)

    def dead_letters_are_told_and_stored(self):
        letters = self.platoon.json("drain", "dead", "visits", "list")
        for letter in letters:
            assert "died" in letter["reason"] or "could not be read" in letter["reason"], letter
        if letters:
            assert self.platoon.ctl("drain", "dead", "visits", "retry", "all").returncode == 0
            self.dry()
        return len(letters)

    def account(self, writers):
        rows = {key: int(data["version"]) for key, data in self.platoon.data("disk/visits.db").items()}
        wrong = []
        for writer in writers:
            for member, versions in writer.possible.items():
                if member not in writer.deleted and rows.get(member) not in versions:
                    wrong.append(f"{member}: stored {rows.get(member)}, must be one of {versions}")
        assert not wrong, f"{len(wrong)} records are wrong: {wrong[:5]}"
        return len(rows)

    def nothing_is_left(self):
        left = [k for k in self.client.keys("*") if k.decode().split(":")[-1] not in ("seq", "stats") and b":taken:" not in k and b":dead" not in k]
        # A hash whose deletion raced its claim may stay unnamed: the application deleted it from the set only.
        assert not left, f"left in Redis: {left[:10]}"
        stats = {k: int(v) for k, v in self.client.hgetall("platoon:{visits}:stats").items()}
        assert stats.get(b"claimed", 0) == 0, stats

    def run(self):
        writers = [Writer(self, i) for i in range(3)]
        try:
            self.platoon.start()
            before = self.master()
            for writer in writers:
                writer.start()
            self.blow()
            alive_at_the_end = all(writer.is_alive() for writer in writers)
            self.over.set()
            for writer in writers:
                writer.join()
            assert alive_at_the_end, "a writer of the storm's own died"
            self.heal()
            self.dry()
            letters = self.dead_letters_are_told_and_stored()
            stored = self.account(writers)
            self.nothing_is_left()
            self.workers_are_small()
            after = self.master()
            assert after[0] < before[0] + 4 * 1024 * 1024 and after[1] <= before[1] + 4, f"the master grew from {before} to {after}"
            return f"{sum(w.version for w in writers)} writes, {stored} records, {letters} dead letters, {len(self.history)} blows"
        finally:
            self.over.set()
            with contextlib.suppress(Exception):
                self.heal()

    def master(self):
        """Resident bytes and open descriptors."""
        pid = self.platoon.process.pid
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * 4096, len(os.listdir(f"/proc/{pid}/fd"))

    def workers_are_small(self):
        for pid in marked(self.platoon.mark):
            with contextlib.suppress(FileNotFoundError):
                size, files = rss_bytes(pid) >> 20, len(os.listdir(f"/proc/{pid}/fd"))
                assert size < 96 and files < 64, f"process {pid} has {size} MB and {files} descriptors"

    def sockets(self):
        return [str(path) for path in self.platoon.dir.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode)]

    def close(self, failed):
        left = []
        try:
            self.platoon.stop()
            left = self.sockets()
        finally:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)
            try:
                self.platoon.close(failed)
            finally:
                self.server.close()
        assert failed or not left, f"sockets are left: {left}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--storms", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    failed = 0
    for seed in range(options.seed, options.seed + options.storms):
        storm, problem = Storm(seed, options.seconds), None
        try:
            told = storm.run()
        except BaseException as error:  # pytest's fail() is none of Exception
            problem = error
        try:
            storm.close(problem is not None)
        except BaseException as error:
            problem = problem or error
        if isinstance(problem, KeyboardInterrupt):
            raise problem
        if problem is None:
            print(f"ok     seed {seed}: {told}", flush=True)
            continue
        failed += 1
        print(*storm.state, sep="\n")
        print(f"FAILED seed {seed}: {problem}\n       blows: {' '.join(storm.history)}\n       again: test/chaos/drain/storm.py --seed {seed} --seconds {options.seconds:g}", flush=True)
    print(f"{options.storms - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
