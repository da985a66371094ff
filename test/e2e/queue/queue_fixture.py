"""Queues in a real platoon: a backbone, consumers that are ports, and what is in Redis."""
import json

from platoon_fixture import base_text, section, wait_until, whole_lines

# A consumer in Python that does with a task what its body says: {"do": "done" | "again" | "bury" | "hold" | "die"}; again and hold until that attempt. Each task is appended to a file.
CONSUMER = r'''
import json, os, sys, time
out = open(os.environ["SEEN"], "a", buffering=1)

def say(**what):
    print(json.dumps(what), flush=True)

for line in sys.stdin:
    event = json.loads(line)
    if event["event"] in ("task", "lost", "delivered", "error"):
        out.write(json.dumps({"pid": os.getpid(), **event}) + "\n")
    if event["event"] == "request":
        say(**event["body"])
        say(do="reply", id=event["id"])
    if event["event"] != "task":
        continue
    body = event.get("body") or {}
    what = body.get("do", "done") if isinstance(body, dict) else "done"
    if what == "die":
        os._exit(9)
    if what in ("again", "hold") and event["attempt"] >= body.get("until", 99):
        what = "done"
    if what in ("done", "again", "bury"):
        extra = {"error": body.get("error", "no")} if what != "done" else {}
        if what == "again":
            extra["after_ms"] = body.get("after_ms", 0)
        say(do=what, id=event["id"], **extra)
'''


class Shop:
    """A platoon with the backbone shop on a redis-server of the test's own."""

    def __init__(self, platoon, server):
        self.platoon, self.server = platoon, server
        self.redis = server.client(decode_responses=True)
        self.seen_path = platoon.dir / "seen"
        self.seen_path.touch()
        (platoon.dir / "consumer.py").write_text(CONSUMER)
        self.text_redis = {}
        self.own = None  # keys of the platoon section

    def text(self, queues, programs, backbone=None):
        text = base_text(self.own, {"url": self.server.url, **self.text_redis}) + section("backbone shop", {"namespace": "shop", **(backbone or {})})
        for name, keys in queues.items():
            text += section(f"queue {name}", {"pattern": name, **keys})
        for name, keys in programs.items():
            text += section(f"program {name}", {"command": f"/usr/bin/python3 -B {self.platoon.dir}/consumer.py", "port": "json",
                                                "environment": f"SEEN={self.seen_path}", **keys})
        return text

    def start(self, queues, programs=None, backbone=None):
        self.platoon.config_path.write_text(self.text(queues, programs or {}, backbone))
        self.platoon.start()
        return self

    def seen(self, event="task"):
        rows = [json.loads(line) for line in whole_lines(self.seen_path)]
        return [row for row in rows if row["event"] == event]

    def bodies(self):
        return [row.get("body", row.get("text")) for row in self.seen()]

    def deliver(self, body, *options):
        return self.platoon.json("queue", "deliver", *options, body if isinstance(body, str) else json.dumps(body))

    def status(self, name):
        return self.platoon.json("queue", "status", name)[0]

    def empty(self, name):
        """Waits until nothing of the queue waits, is in flight, or is delayed."""
        def done():
            status = self.status(name)
            return status["waiting"] + status["in_flight"] + status["delayed"] == 0
        wait_until(done, 60, f"the queue {name} to be empty")

    def pass_seconds(self, seconds):
        """By Redis' clock: for what must not happen meanwhile."""
        until = self.redis.time()[0] + seconds
        wait_until(lambda: self.redis.time()[0] > until, seconds + 30, f"{seconds} s to pass")

    def now_ms(self):
        """By Redis' clock."""
        seconds, micros = self.redis.time()
        return seconds * 1000 + micros // 1000


def gives_up(platoon, text, *words):
    """The tool does, when its time is over, and says this of what it has been told: what has answered nobody by then on a busy machine gets longer."""
    for seconds in (1, 5, 20, 60):
        done = platoon.ctl("--timeout", f"{seconds}s", *words)
        assert done.returncode == 124, done
        if text in done.stderr:
            return
    raise AssertionError(done)
