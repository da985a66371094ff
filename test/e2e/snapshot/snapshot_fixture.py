"""A snapshot in a real platoon; git's own programs look at its repository."""
import errno
import json
import os
import pathlib
import subprocess
import sys
import time

from platoon_fixture import section

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "fault"))
from plan import HALF, Plan, environment  # noqa: E402

# Where the keeper is killed: test_snapshot_keeper does it.
KEEPER_STEPS = ["snapshot.after-refs", "snapshot.after-shallow", "snapshot.after-push"]

# Where it fails: there, too.
KEEPER_FAILS = ["snapshot.keeper-watch"]

# Where the store is killed in a what-if: test_snapshot_whatif does it.
WHATIF_STEPS = ["snapshot.whatif-step"]

# Which of web's clocks go faster: test_web_git does it.
WEB_CLOCKS = ["web.git-brief"]

DAY = 86400

# How a write or a sync fails, where each does in turn.
FAILURES = [("write", errno.ENOSPC), ("write", errno.EIO), ("write", HALF), ("sync", errno.EIO)]


class Store:
    """A platoon with the snapshot plan and the resources that a test names."""

    def __init__(self, platoon):
        self.platoon = platoon
        self.path = platoon.dir / "state/plan.git"

    def text(self, resources, snapshot=None):
        text = "platoon { runtime_dir = run  state_dir = state }\n" + section("snapshot plan", snapshot or {})
        return text + "".join(section(f"resource {name}", keys) for name, keys in resources.items())

    def plan(self, program, *others):
        """It runs with calls that can be told to fail (test/fault/shim.c): the plan of that program, and of others as if they were it. Not under the
        sanitizers: their runtime must come before whatever is preloaded."""
        plans = self.platoon.dir / "plans"
        if not plans.exists():
            plans.mkdir()
            inner = self.platoon.environment()
            self.platoon.environment = lambda: {**inner, **environment(plans)}
        return Plan(plans, program, *others)

    def start(self, resources, snapshot=None, **options):
        self.platoon.config_path.write_text(self.text(resources, snapshot))
        self.platoon.start(**options)
        return self

    def ready(self):
        done = self.platoon.ctl("--timeout", "60s", "wait", "ready")
        assert done.returncode == 0, done

    def ctl(self, *words, data=None, **options):
        """The tool with these bytes as its standard input, or a file's."""
        return subprocess.run([self.platoon.build / "platoonctl", "-s", self.platoon.dir / "run/control.sock", "--timeout", "40s", *words], input=data,
                              capture_output=True, timeout=120, **options)

    def put(self, resource, data, *options):
        done = self.ctl("--json", "snapshot", "put", resource, *options, data=data)
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def get(self, version):
        done = self.ctl("snapshot", "get", version)
        assert done.returncode == 0, done
        return done.stdout

    def json(self, *words):
        return self.platoon.json("snapshot", *words)

    def git(self, *words, path=None):
        return subprocess.run(["git", "-C", path or self.path, "-c", "safe.directory=*", *words], check=True, capture_output=True, text=True, timeout=120).stdout

    def is_sound(self):
        """All is there, and right: twice as good as any look of ours."""
        said = subprocess.run(["git", "-C", self.path, "-c", "safe.directory=*", "fsck", "--strict", "--full"], capture_output=True, text=True, timeout=120)
        return said.returncode == 0 and "missing" not in said.stdout + said.stderr, said

    def make(self, versions):
        """The repository as a store has left it that lived longer than a test: (resource, days ago, bytes), the oldest first. The commits' ids."""
        self.path.parent.mkdir(exist_ok=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.path], check=True, timeout=60)
        ids, files = [], {}
        for seq, (resource, age, data) in enumerate(versions, 1):
            files[resource] = self.piped(data, "hash-object", "-w", "--stdin")
            tree = self.piped("".join(f"100644 blob {blob}\t{name}\n" for name, blob in sorted(files.items())).encode(), "mktree")
            when = f"{int(time.time() - age * DAY)} +0000"
            who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "platoon"), ("EMAIL", "p@localhost"), ("DATE", when))}
            message = f"{resource}\n\nSeq: {seq}\nSource: put\nBy: uid 0\n".encode()
            ids.append(self.piped(message, "commit-tree", tree, *(["-p", ids[-1]] if ids else []), **who))
        self.git("update-ref", "refs/heads/main", ids[-1])
        return ids

    def piped(self, data, *words, **environment):
        return subprocess.run(["git", "-C", self.path, *words], input=data, check=True, capture_output=True, timeout=60, env={**os.environ, **environment}).stdout.decode().strip()

    def gauge(self, name):
        """Of the keeper."""
        return self.platoon.status("snapshot/plan/keeper")["counters"].get(name, 0)

    def has(self, object_id):
        return subprocess.run(["git", "-C", self.path, "cat-file", "-e", object_id], capture_output=True, timeout=60).returncode == 0
