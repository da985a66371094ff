"""Jobs in a real platoon: a section etlas, platforms that are programs, and what is in Redis."""
import json

from platoon_fixture import base_text, section, wait_until, whole_lines

# Does what its settings say, and appends a line to a file when it begins and when it ends.
PLATFORM = r'''#!/usr/bin/python3 -B
import json, os, signal, subprocess, sys, time
if sys.argv[1:] == ["--spec"]:
    types = {"a": "int", "child": "bool", "date": "str", "deaf": "bool", "exit": "int", "from": "int", "say": "list", "signal": "int", "until": "str"}
    print(json.dumps({"settings": {name: {"type": type, "required": False} for name, type in types.items()}}))
    sys.exit()
told = json.loads(sys.stdin.readline())
do = {name: value for name, value in told["settings"].items() if value is not None}

def note(what):
    with open(os.path.dirname(os.path.abspath(__file__)) + "/../seen", "a") as f:
        f.write(json.dumps({"what": what, "pid": os.getpid(), "job": told["job_id"], "attempt": told["attempt"], "at": time.monotonic()}) + "\n")

if do.get("deaf"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
note("begin")
if do.get("child"):
    child = subprocess.Popen(["/bin/sleep", "3600"], start_new_session=True)
    print("child", child.pid, flush=True)
for line in do.get("say", []):
    print(line if isinstance(line, str) else json.dumps(line), flush=True)
if "until" in do:
    while not os.path.exists(do["until"]):
        time.sleep(0.02)
note("end")
if "signal" in do:
    os.kill(os.getpid(), do["signal"])
sys.exit(do.get("exit", 0) if told["attempt"] >= do.get("from", 1) else 1)
'''


class Etlas:
    """A platoon with the jobs section etlas on a redis-server of the test's own."""

    def __init__(self, platoon, server):
        self.platoon, self.server = platoon, server
        self.redis = server.client()
        self.url = server.url  # as the configuration names it
        self.folder = platoon.dir / "platforms"
        self.folder.mkdir()
        self.seen_path = platoon.dir / "seen"
        self.seen_path.touch()
        self.more = ""  # further sections
        self.own = None  # keys of the platoon section
        self.add("coinis.py", PLATFORM)

    def add(self, name, text, spec='{}'):
        """A platform in the shell says its spec by itself."""
        if text.startswith("#!/bin/sh\n"):
            text = text.replace("\n", f"\nif [ \"$1\" = --spec ]; then echo '{spec}'; exit; fi\n", 1)
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def config(self, sanjers=2, **keys):
        text = base_text(self.own, {"url": self.url}) + self.more
        text += section("jobs etlas", {"platforms": self.folder, "queue": "q", "sanjer.workers": sanjers, **keys})
        self.platoon.config_path.write_text(text)

    def start(self, sanjers=2, **keys):
        self.config(sanjers, **keys)
        self.platoon.start()
        return self

    def run(self, settings=None, *options, platform="coinis"):
        return self.platoon.json("job", "run", platform, "--settings", json.dumps(settings or {}), *options)["job_id"]

    def show(self, job):
        return self.platoon.json("job", "show", job)

    def meta(self, job):
        """All of it, the sets of data included."""
        return json.loads(self.redis.hget(f"rq:job:{job}", "platoon.meta"))

    def until(self, job, status, timeout=60):
        """What is shown of it when it is: a moment later it may be something else again."""
        shown = []

        def is_so():
            shown[:] = [self.show(job)]
            return shown[0]["status"] == status
        wait_until(is_so, timeout, lambda: f"{job} to be {status}: it is {shown}")
        return shown[0]

    def seen(self, what="begin", job=None):
        rows = [json.loads(line) for line in whole_lines(self.seen_path)]
        return [row for row in rows if row["what"] == what and job in (None, row["job"])]

    def places(self, job):
        """Where RQ's keys have it: exactly one, unless something is wrong."""
        name = job.encode()
        found = ["list"] * self.redis.lrange("rq:queue:q", 0, -1).count(name)
        return found + [place for place in ("wip", "scheduled", "deferred", "finished", "failed", "canceled")
                        if self.redis.zscore(f"rq:{place}:q", name) is not None]
