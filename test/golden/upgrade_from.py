#!/usr/bin/python3 -B
"""upgrade_from.py [--revision 06119dc]: an operator installs this build over an older one and runs `platoonctl upgrade`; nobody notices.

Builds the older revision from git (into build/old; kept for the next run) and installs it. Starts, with that build: a drain under load on an embedded
Redis and SQLite, two programs below a supervisor, an actor, a temporary child of the actor's, health, and a worker type of one's own that is compiled
against the installed headers and libplatoon.a. Installs this build over it, runs its `platoonctl upgrade`. Then these must hold:

  every process is the one it was, of the same generation, and READY; the master runs the new binary under its old pid
  each worker, killed once, has a successor from the new build that works with those of the old: a marked record passes through the drain, the actor
  asks the worker of one's own and hears its answer; and nobody else ends of that death
  every record that was ever added is in the store, and there are no dead letters

Then the same from this build to itself. It stands beside the recordings, not among the storms, because it is about that revision too, and is not
part of `make check` because it needs git's history and a second build. Exit status 0 when all of it held.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

TEST = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEST / "e2e"), str(TEST / "e2e/drain")]
import redis  # noqa: E402
from drain_fixture import DrainPlatoon as Platoon  # noqa: E402
from platoon_fixture import BUILD, ROOT, wait_until  # noqa: E402

OLD = ROOT / "build/old"

# The worker type of one's own: answers a call with what it was asked, a request with its name.
PARTNER = """
#include <platoon/worker.h>

static bool partner_on_message(struct worker *w, void *state, struct worker_peer *from, uint64_t type, struct unpack *u)
{
    (void)state;
    struct message_call call;
    if (type != MESSAGE_CALL || !message_call_unpack(u, &call))
        return false;
    struct message_answer answer = {.token = call.token, .text = call.text};
    struct buffer *message = worker_compose(w);
    message_answer_pack(message, &answer);
    worker_must_send(w, from, message);
    return true;
}

static void partner_on_request(struct worker *w, void *state, const struct link_request *request)
{
    (void)state;
    worker_reply_text(w, request->id, CONTROL_OK, "%s from %s", worker_setting_text(w, "own.greeting"), worker_name(w));
}

const struct worker_ops worker_ops = {.type = "partner", .mailbox = &worker_mailbox, .on_message = partner_on_message, .on_request = partner_on_request};
"""

# The actor: hands a request on to the partner and its answer back; has a temporary child, and another one when that ends.
ACTOR = """
import json, sys
def say(**action): print(json.dumps(action), flush=True)
for line in sys.stdin:
    event = json.loads(line)
    kind = event["event"]
    if kind == "hello": say(do="ready")
    if kind == "hello" or kind == "down" and "/child." in event["name"]: say(do="start", program="child", id="child")
    elif kind == "request": say(do="call", to="partner.1", id=str(event["id"]), body=event["body"])
    elif kind == "answer": say(do="reply", id=int(event["id"]), **{key: event[key] for key in ("body", "error") if key in event})
    elif kind == "stop": break
"""

CONFIG = """
platoon { runtime_dir = run  state_dir = state  backoff_min = 20ms  backoff_max = 200ms  intensity = 1000  health = "unix:@DIR@/health.sock" }
redis main { retry_max = 100ms  server_appendfsync = always }
store visits { path = "visits.db" }
drain visits { set = "tracking:pending"  store = visits  intensity = 1000 }
supervisor site { children = "web mailer"  intensity = 1000 }
program web { command = "sleep 1000"  processes = 2 }
program mailer { command = "sh -c 'echo up; exec sleep 1000'"  ready = "log:up" }
program partner { command = "@DIR@/partner"  worker = true  settings = "greeting=hello" }
program actor { command = "/usr/bin/python3 @DIR@/actor.py"  port = json  ready = actor  may_start = child }
program child { command = "sleep 1000"  processes = 0 }
"""
CHILD = "actor.1/child.1"


def make(tree, *words):
    """make with none of the make around it, but on as many processors."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BUILD", "CFLAGS", "SANITIZE", "FAULTS")}
    done = subprocess.run(["make", "-C", str(tree), f"-j{os.cpu_count()}", *words], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"upgrade_from.py: make {' '.join(words)} in {tree}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def git(*words, **options):
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, **options)


def old_tree(revision):
    """The sources of the revision, built; below build/old."""
    found = git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", text=True)
    if found.returncode != 0:
        sys.exit(f"upgrade_from.py: revision {revision} is not in {ROOT}, which has no full history of git: git fetch --unshallow")
    tree = OLD / found.stdout.strip()
    if not tree.is_dir():
        OLD.mkdir(parents=True, exist_ok=True)
        new = pathlib.Path(tempfile.mkdtemp(dir=OLD))
        archive = git("archive", revision, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(new)], input=archive, check=True)
        new.rename(tree)
    make(tree, "BUILD=build", "all")
    return tree


class Load(threading.Thread):
    """The application: adds visits all the time, and tries again what it does not know to be there."""

    BATCH = 200

    def __init__(self, platoon):
        super().__init__(daemon=True)
        self.platoon, self.over, self.added, self.marks = platoon, threading.Event(), 0, []

    def run(self):
        while not self.over.is_set():
            self.add({f"v:{i}": {"n": str(i)} for i in range(self.added, self.added + self.BATCH)})
            self.added += self.BATCH
            self.over.wait(0.005)

    def add(self, members):
        def added():
            with contextlib.suppress(redis.RedisError, AttributeError):  # redis-py 4.3 looks for a unix socket's host to name it in its error
                self.platoon.add(members, at_once=True)
                return True
        wait_until(added, 30, "Redis to take visits")

    def mark(self, name):
        """One more visit; waits until it is in the store."""
        self.marks.append(name)
        self.add({name: {"n": "mark"}})
        wait_until(lambda: self.holds(name), 30, f"{name} in the store")

    def holds(self, name):
        with contextlib.closing(sqlite3.connect(f"file:{self.platoon.dir}/visits.db?mode=ro", uri=True, timeout=10)) as db:
            return db.execute("SELECT 1 FROM records WHERE key = ?", (name,)).fetchone() is not None

    def everything(self):
        return {f"v:{i}" for i in range(self.added)} | set(self.marks)


class Upgrade:
    def __init__(self):
        self.prefix = pathlib.Path(tempfile.mkdtemp(prefix="u", dir="/tmp"))
        self.platoon = Platoon(self.prefix / "bin")
        self.load = Load(self.platoon)

    def start(self, tree, build):
        """Installs `build` of `tree`, and starts."""
        self.install(tree, build)
        there = self.platoon.dir
        (there / "actor.py").write_text(ACTOR)
        self.compile_partner()
        self.platoon.config_path.write_text(CONFIG.replace("@DIR@", str(there)))
        self.platoon.start()
        self.load.start()
        wait_until(lambda: self.load.added > 1000 and CHILD in self.platoon.workers(), 20, "load, and the actor's child")
        self.load.mark("mark:before")
        self.ask()

    def install(self, tree, build):
        make(tree, f"BUILD={build}", "install", "DESTDIR=", f"PREFIX={self.prefix}")

    def compile_partner(self):
        """As etc/examples/hello has it: with what pkg-config says of the installed platoon."""
        (self.platoon.dir / "partner.c").write_text(PARTNER)
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.prefix / "lib/pkgconfig")}
        flags = [subprocess.run(["pkg-config", what, "platoon-worker"], env=environment, capture_output=True, text=True, check=True).stdout.split()
                 for what in ("--cflags", "--libs")]
        subprocess.run(["gcc", "-std=c11", "-Wall", "-Werror", "-O2", *flags[0], "-o", "partner", "partner.c", *flags[1]], cwd=self.platoon.dir, check=True)

    def nodes(self, *keys):
        return {name: tuple(node[key] for key in keys) for name, node in self.platoon.workers().items()}

    def ask(self):
        """From the tool to the actor, from the actor to the partner, and back; and the partner itself."""
        done = self.platoon.ctl("--json", "send", "actor.1", '{"question":[1,"ü"]}')
        assert done.returncode == 0 and json.loads(done.stdout) == {"question": [1, "ü"]}, done
        done = self.platoon.ctl("send", "partner.1", "1")
        assert done.returncode == 0 and done.stdout == "hello from partner.1\n", done

    def is_installed(self, pid, path):
        """The process runs the file that is there now, not the one that was."""
        return os.path.samestat(os.stat(f"/proc/{pid}/exe"), os.stat(self.prefix / path))

    def upgrade(self):
        master = self.platoon.process.pid
        keys = ("pid", "generation", "state", "restarts")
        before = self.nodes(*keys)
        assert all(state == "READY" and restarts == 0 for _, _, state, restarts in before.values()), before
        self.install(ROOT, os.path.relpath(BUILD, ROOT))
        assert not self.is_installed(master, "bin/platoon")
        done = self.platoon.ctl("--timeout", "20s", "upgrade")
        assert done.returncode == 0 and re.fullmatch(rf"upgraded: platoon \S+ -> \S+, still pid {master}\n", done.stdout), done
        wait_until(lambda: self.nodes("state").keys() == before.keys(), 10, "an answer")
        assert self.nodes(*keys) == before, f"before {before}\nafter {self.nodes(*keys)}"
        assert self.is_installed(master, "bin/platoon") and self.platoon.json("version")["master"]["upgrades"] == 1
        self.load.mark("mark:after")
        self.ask()
        return list(before)

    def kill(self, name):
        """Another one does its work, and nobody else has ended."""
        before = self.platoon.workers()
        os.kill(before[name]["pid"], signal.SIGKILL)

        def successor():
            node = self.platoon.workers().get(name)
            return node if node and node["state"] == "READY" and node["pid"] != before[name]["pid"] else None
        node = wait_until(successor, 20, f"a successor of {name}")
        assert node["generation"] > before[name]["generation"], node
        if node["type"] != "custom":
            assert self.is_installed(node["pid"], f"libexec/platoon/{node['type']}"), f"{name} is not of the installed build"
        wait_until(lambda: CHILD in self.platoon.workers(), 20, "the actor's child")
        self.load.mark(f"mark:{name}")
        self.ask()
        after = self.platoon.workers()
        gone = [other for other in before if other != name and not other.startswith(f"{name}/") and after[other]["pid"] != before[other]["pid"]]
        assert not gone, f"{gone} ended when {name} did"

    def account(self):
        self.load.over.set()
        self.load.join()
        self.platoon.drained()
        lost = self.load.everything() - self.platoon.data().keys()
        assert not lost, f"{len(lost)} records are lost: {sorted(lost)[:5]}"
        assert self.platoon.dead() == [], self.platoon.dead()
        assert self.platoon.stop() == 0
        self.platoon.gone()

    def close(self, failed):
        self.load.over.set()
        try:
            self.platoon.close(failed)
        finally:
            shutil.rmtree(self.prefix, ignore_errors=True)


def run(what, tree, build):
    begin = time.monotonic()
    test, failed = Upgrade(), True
    try:
        test.start(tree, build)
        names = test.upgrade()
        for name in names:
            test.kill(name)
        test.account()
        failed = False
    finally:
        test.close(failed)
    print(f"ok     {what}: {len(names)} workers taken over and each killed once, {len(test.load.everything())} records, {time.monotonic() - begin:.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--revision", default="06119dc")
    options = parser.parse_args()
    run(f"from {options.revision}", old_tree(options.revision), "build")
    run("from this build to itself", ROOT, os.path.relpath(BUILD, ROOT))


if __name__ == "__main__":
    main()
