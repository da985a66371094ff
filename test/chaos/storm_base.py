"""storm_base.py: what every storm is: a platoon over which everything goes wrong at random, and an account after it.

A kind of storm is a class with its own writers, ACTIONS, and what is healed and accounted for; its file is a program (main).
"""
import argparse
import contextlib
import os
import pathlib
import random
import signal
import stat
import subprocess
import sys
import threading
import time

TEST = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEST / "e2e"), str(TEST / "fault")]
from plan import environment  # noqa: E402
from platoon_fixture import alive, marked, rss_bytes, wait_until  # noqa: E402

DISK = 320 * 1024 * 1024


class StormBase:
    ACTIONS = []
    STAYS = ()  # sockets that an orderly end leaves, for a successor to take over

    def __init__(self, seed, seconds, platoon):
        self.seed, self.seconds = seed, seconds
        self.random = random.Random(seed)
        self.over = threading.Event()
        self.platoon = platoon
        self.plans = self.platoon.dir / "plans"
        self.plans.mkdir()
        self.disk = self.platoon.dir / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self.disk)], check=True)
        inner = self.platoon.environment()
        self.platoon.environment = lambda: {**inner, **environment(self.plans)}
        self.history = []
        self.state = []
        self.frozen = []

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
        wait_until(lambda: not marked(self.platoon.mark), 20, "the end of the dead master's workers")
        self.platoon.start(ready=False)

    def restart_master(self):
        self.thaw()
        self.platoon.stop()
        self.platoon.start(ready=False)

    def fill_disk(self):
        """To the last byte: the next write there fails with ENOSPC."""
        with contextlib.suppress(OSError), open(self.disk / "ballast", "ab", buffering=0) as file:
            while True:
                file.write(bytes(8 * 1024 * 1024))

    def free_disk(self):
        (self.disk / "ballast").unlink(missing_ok=True)

    def blow(self):
        actions, weights = zip(*self.ACTIONS)
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            action = self.random.choices(actions, weights)[0]
            self.history.append(action.__name__)
            action(self)
            self.over.wait(self.random.random() * 0.7)

    # ---- of a kind ----

    def writers(self):
        """Threads with the number of their writes as `version`."""
        raise NotImplementedError

    def heal(self):
        """Everything is well again, and the master runs."""
        self.thaw()
        self.free_disk()
        if not alive(self.platoon.process.pid):
            self.platoon.start(ready=False)

    def account(self, writers):
        """What holds after it, as asserts; what is told of it."""
        raise NotImplementedError

    def close_more(self):
        """What the kind has made beside the platoon."""

    # ---- its course ----

    def run(self):
        writers = self.writers()
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
            told = self.account(writers)
            self.workers_are_small()
            after = self.master()
            assert after[0] < before[0] + 4 * 1024 * 1024 and after[1] <= before[1] + 4, f"the master grew from {before} to {after}"
            return f"{sum(w.version for w in writers)} writes, {told}, {len(self.history)} blows"
        finally:
            self.over.set()
            with contextlib.suppress(Exception):
                self.heal()

    def note_state(self, *verbs):
        """For the end of the report: a log of thousands of lines comes before it."""
        for words in ("tree", *verbs, "status", "crashes"):
            done = self.platoon.ctl("--timeout", "5s", *words.split())
            self.state.append(done.stdout + done.stderr)

    def master(self):
        """Resident bytes and open descriptors."""
        pid = self.platoon.process.pid
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * 4096, len(os.listdir(f"/proc/{pid}/fd"))

    def workers_are_small(self):
        for pid in marked(self.platoon.mark):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                size, files = rss_bytes(pid) >> 20, len(os.listdir(f"/proc/{pid}/fd"))
                assert size < 96 and files < 64, f"process {pid} has {size} MB and {files} descriptors"

    def sockets(self):
        return [str(path) for path in self.platoon.dir.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode) and path.name not in self.STAYS]

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
                self.close_more()
        assert failed or not left, f"sockets are left: {left}"


def main(kind, about, seconds=20):
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--storms", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=seconds)
    options = parser.parse_args()
    failed = 0
    for seed in range(options.seed, options.seed + options.storms):
        storm, problem = kind(seed, options.seconds), None
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
        print(f"FAILED seed {seed}: {problem}\n       blows: {' '.join(storm.history)}\n       again: {sys.argv[0]} --seed {seed} --seconds {options.seconds:g}", flush=True)
    print(f"{options.storms - failed} passed, {failed} failed")
    return 1 if failed else 0
