#!/usr/bin/python3
"""snapshot_storm.py [--seed N] [--storms 1] [--seconds 20]: everything goes wrong at random over a pipeline; then each version is accounted for.

A storm is one seed. A server's data is pulled twice a second, other data is put by the tool, over HTTP and through the gate; filters make one version of both, by two ways, with
programs that fail, hang, die and leave children behind; readers follow the stream and come again with their last id, another hears of changes in Redis; a mirror gets each
change, and what is old is cut off, but for each day's last version. Meanwhile workers and the master are killed with -9 and frozen, Redis is killed, frozen and breaks off
connections, the mirror is away, the disk (a small tmpfs, which takes root) is full, and git packs. Then all is healed, and these must hold:

  what was accepted is in the log, with its bytes; numbers have no hole, the newest put is the newest version, or one whose outcome is unknown
  at rest each version is what its program makes of the newest ones of its inputs; `git fsck --strict` is clean; a clone has it all, the mirror has the same newest commit,
  and nothing in between is missing there either; of what is old there is the last version and each day's last one
  no reader has missed anything without a word: each change says what it holds; at the end it has the newest
  what was told in Redis is true, and the newest comes when all is well again
  no process and no socket is left, and nobody has grown
"""
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import threading
import time

import redis

CHAOS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHAOS), str(CHAOS.parent / "e2e/snapshot")]
from storm_base import StormBase, main  # noqa: E402, first: it says where the fixtures are
from redis_base import RedisBlows  # noqa: E402
from platoon_fixture import Platoon, RedisServer, free_port, section, wait_until  # noqa: E402
from snapshot_fixture import DAY, Store  # noqa: E402

# Fails, hangs, dies or leaves something behind, now and then, as long as it is not calm.
WHIM = r'''
if [ ! -e "$CALM" ]; then
    case $(od -An -N1 -tu1 /dev/urandom | tr -d ' ') in
    1?) exit 3 ;;
    2?) kill -9 $$ ;;
    3?) sleep 600 & ;;
    4) sleep 600 ;;
    esac
fi
'''
LEFT, RIGHT = "sed s/^/left-/", "sed s/^/right-/"
PUT = ["work", "staff"]
# Nobody puts it any more: (days ago, bytes). The first two go; of the third day there is its last one, and the last of all.
OLD = [(41, b"gone\n"), (40, b"gone, too\n"), (20.2, b"gone with its day\n"), (20.1, b"of that day\n"), (15, b"the newest\n")]


class Source(http.server.ThreadingHTTPServer):
    """What is pulled: another text each time it is told so, now and then an error, or cut short."""
    daemon_threads = True

    def __init__(self, storm):
        super().__init__(("127.0.0.1", 0), Page)
        self.storm, self.text, self.random, self.calm = storm, b"0\n", random.Random(f"{storm.seed}-source"), False
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        source = self.server
        what = "well" if source.calm else source.random.choices(["well", "error", "cut"], [8, 1, 1])[0]
        self.send_response(500 if what == "error" else 200)
        self.send_header("Content-Length", str(len(source.text) + (what == "cut")))
        self.end_headers()
        self.wfile.write(source.text)

    def log_message(self, *_):
        pass


class Actor(threading.Thread):
    def __init__(self, storm, name):
        super().__init__(daemon=True)
        self.storm, self.random, self.name, self.version = storm, random.Random(f"{storm.seed}-{name}"), name, 0

    def run(self):
        while not self.storm.over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError, subprocess.TimeoutExpired):
                self.turn()
            self.storm.over.wait(self.random.random() * 0.1)


class Writer(Actor):
    """The only one of its resource. What it has put: [bytes, accepted], in order."""

    def __init__(self, storm, resource):
        super().__init__(storm, resource)
        self.resource, self.sent = resource, []

    def turn(self):
        self.version += 1
        data = f"{self.resource} {self.version} ".encode() + b"x" * self.random.choice([1, 100, 20000]) + b"\n"
        told = [data, False]
        self.sent.append(told)
        told[1] = self.random.choice([self.by_tool, self.over_http, self.over_http, self.through_gate, self.through_gate])(data)
        self.storm.source.text = data

    def by_tool(self, data):
        return subprocess.run([self.storm.platoon.build / "platoonctl", "-s", self.storm.platoon.dir / "run/control.sock", "--timeout", "5s", "snapshot", "put", self.resource],
                              input=data, capture_output=True, timeout=60).returncode == 0

    def over_http(self, data):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.storm.port, timeout=10)) as c:
            c.request("PUT", f"/data/plan/{self.resource}", data)
            return c.getresponse().status == 200

    def through_gate(self, data):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.storm.gate))
            s.sendall(f"=====PUT {self.resource}\n\t".encode() + data)
            s.shutdown(socket.SHUT_WR)
            answer = b""
            while part := s.recv(4096):
                answer += part
        return answer == b"OK\n"


class Reader(Actor):
    """Holds what the stream has told it of each resource; comes again with its last id."""

    def __init__(self, storm, number):
        super().__init__(storm, f"reader {number}")
        self.held, self.id, self.stream = {}, None, None

    def turn(self):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.storm.port, timeout=20)) as c:
            c.request("GET", "/data/plan/stream?content=none", headers={"Last-Event-ID": self.id} if self.id else {})
            answer = c.getresponse()
            if answer.status != 200:
                return
            told = None  # an id counts when its event is whole
            while (line := answer.readline().decode()).endswith("\n"):
                told = line[4:-1] if line.startswith("id: ") else told
                self.take(line)
                if line != "\n":
                    continue
                self.id, told = told or self.id, None
                if self.storm.done.is_set() or (not self.storm.over.is_set() and self.random.random() < 0.01):
                    return

    def run(self):
        while not self.storm.done.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self.turn()
            self.storm.done.wait(self.random.random() * 0.2)

    def take(self, line):
        if not line.startswith("data: "):
            return
        m = json.loads(line[6:])
        if m["event"] == "snapshot":
            self.held[m["resource"]] = m["seq"]
        elif m["event"] == "change" and m["seq"] > self.held.get(m["resource"], 0):
            if m["prev"] != self.held.get(m["resource"], 0):
                self.storm.wrong.append(f"{self.name} holds {self.held.get(m['resource'])} of {m['resource']} and is told {m['prev']} to {m['seq']}")
            self.held[m["resource"]] = m["seq"]
        self.version += 1


class Listener(Actor):
    """Hears of changes in Redis; what is told while it is not there it misses."""

    def __init__(self, storm):
        super().__init__(storm, "listener")
        self.told = []  # of each connection: seqs

    def run(self):
        while not self.storm.done.is_set():
            with contextlib.suppress(redis.RedisError, OSError, AttributeError), self.storm.client().pubsub() as pubsub:
                pubsub.subscribe("platoon:{plan}:changes")
                self.told.append([])
                while not self.storm.done.is_set():
                    message = pubsub.get_message(timeout=1)
                    if message and message["type"] == "message":
                        self.hear(json.loads(message["data"]))
            self.storm.done.wait(0.1)

    def hear(self, change):
        self.version += 1
        if change["prev"] >= change["seq"]:
            self.storm.wrong.append(f"in Redis {change['prev']} is told to be before {change['seq']}")
        self.told[-1].append((change["resource"], change["seq"], change["commit"]))


class SnapshotStorm(RedisBlows):
    STAYS = ("gate.sock",)

    def __init__(self, seed, seconds):
        super().__init__(seed, seconds, Platoon())
        self.server = RedisServer()
        self.wrong, self.done = [], threading.Event()
        self.source, self.port, self.gate = Source(self), free_port(), self.platoon.dir / "gate.sock"
        self.calm = self.platoon.dir / "calm"
        self.path, self.mirror = self.disk / "plan.git", self.platoon.dir / "mirror.git"
        self.old = self.make_old()
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.mirror], check=True, timeout=60)
        scripts = {name: self.script(name, text) for name, text in (("left", LEFT), ("right", RIGHT), ("all", "cat"))}
        made = {"retry_min": "50ms", "retry_max": "500ms", "timeout": "5s", "stop_timeout": "500ms", "environment": f"CALM={self.calm}"}
        resources = {"raw": {"url": f"http://127.0.0.1:{self.source.server_port}/", "every": "1s", "retry_min": "50ms", "retry_max": "500ms", "timeout": "5s"}, "work": {}, "staff": {}, "old": {},
                     "left": {"inputs": "raw work", "command": scripts["left"], **made}, "right": {"inputs": "work", "command": scripts["right"], **made},
                     "all": {"inputs": "left right staff", "command": scripts["all"], **made}}
        snapshot = {"path": str(self.path), "pack_after": 100, "listen": f"unix:{self.gate}", "nanomsg": "true", "intensity": 1000,
                    "notify": "main", "mirror": str(self.mirror), "keep": "10d", "keep_daily": "30d"}
        text = "platoon { runtime_dir = run  state_dir = state  hang_timeout = 5s }\n" + section("redis main", {"url": self.server.url, "timeout": "2s", "retry_max": "300ms"})
        text += section("snapshot plan", snapshot)
        text += "".join(section(f"resource {name}", keys) for name, keys in resources.items())
        self.platoon.config_path.write_text(text + section("web", {"listen": f"127.0.0.1:{self.port}"}))

    def make_old(self):
        """Their commits."""
        store = Store(self.platoon)
        store.path = self.path
        return store.make([("old", age, data) for age, data in OLD])

    def client(self, **more):
        return self.server.client(socket_timeout=3, decode_responses=True, **more)

    def script(self, name, text):
        path = self.platoon.dir / f"{name}.sh"
        path.write_text(WHIM + text + "\n")
        return f"sh {path}"

    # ---- what goes wrong ----

    def pack(self):
        self.platoon.ctl("--timeout", "5s", "snapshot", "pack", "plan")

    def stop_start(self):
        self.platoon.ctl("--timeout", "20s", "restart", self.random.choice([f"snapshot/plan/{name}" for name in ("store", "keeper", "gate", "raw", "left", "all")] + ["web"]))

    def take_mirror_away(self):
        if self.mirror.exists():
            self.mirror.rename(self.mirror.with_name("away.git"))

    def bring_mirror_back(self):
        if not self.mirror.exists():
            self.mirror.with_name("away.git").rename(self.mirror)

    ACTIONS = [(StormBase.kill_worker, 16), (StormBase.kill_three, 4), (StormBase.freeze_worker, 3), (StormBase.thaw, 5), (StormBase.kill_master, 1), (StormBase.restart_master, 1),
               (StormBase.fill_disk, 2), (StormBase.free_disk, 4), (pack, 2), (stop_start, 3), (RedisBlows.restart_redis, 2), (RedisBlows.pause_redis, 1),
               (RedisBlows.kill_clients, 2), (take_mirror_away, 1), (bring_mirror_back, 3)]

    # ---- and after it ----

    def writers(self):
        self.writing, self.reading = [Writer(self, r) for r in PUT], [Reader(self, i) for i in range(4)]
        self.listening = Listener(self)
        for reader in [*self.reading, self.listening]:
            reader.start()
        return self.writing

    def heal_redis(self):
        self.server.resume()

    def heal(self):
        self.bring_mirror_back()
        super().heal()

    def ctl(self, *words):
        return subprocess.run([self.platoon.build / "platoonctl", "-s", self.platoon.dir / "run/control.sock", "--timeout", "100s", *words], capture_output=True, timeout=200)

    def get(self, version):
        done = self.ctl("snapshot", "get", version)
        assert done.returncode == 0, done
        return done.stdout

    def git(self, *words):
        return subprocess.run(["git", "-C", self.path, "-c", "safe.directory=*", *words], capture_output=True, text=True, timeout=200)

    def come_to_rest(self):
        self.calm.touch()
        self.source.calm = True
        try:
            wait_until(lambda: self.ctl("wait", "ready").returncode == 0, 120, "the tree")
            wait_until(lambda: self.ctl("snapshot", "run", "raw").returncode == 0, 120, "a pull")
            wait_until(lambda: self.ctl("snapshot", "wait").returncode == 0, 120, "rest")
        except BaseException:
            self.note_state("snapshot list")
            raise

    def account(self, writers):
        self.come_to_rest()
        rows = {row["resource"]: row for row in json.loads(self.ctl("--json", "snapshot", "list").stdout)}
        newest = {name: self.get(name) for name in rows}
        for writer in self.writing:
            self.puts_are_there(writer, newest[writer.resource])
        self.made_of_the_newest(newest)
        self.repository_is_sound(rows)
        wait_until(lambda: all(reader.held == {name: row["seq"] for name, row in rows.items()} for reader in self.reading), 60, "what readers hold")
        self.redis_is_told_the_newest()
        self.done.set()
        for reader in [*self.reading, self.listening]:
            reader.join(60)
        self.what_redis_was_told_is_true()
        assert not self.wrong, self.wrong[:8]
        accepted = sum(told[1] for writer in self.writing for told in writer.sent)
        return f"{accepted} accepted, {max(row['seq'] for row in rows.values())} versions, {sum(reader.version for reader in self.reading)} messages to readers, " \
               f"{self.listening.version} in Redis"

    def puts_are_there(self, writer, newest):
        """In the order in which they were put; behind the last that was accepted there may be one whose outcome is unknown."""
        log = self.git("log", "--format=%H", "--grep", f"^{writer.resource}$", "main").stdout.split()
        versions = [self.git("show", f"{commit}:{writer.resource}").stdout.encode() for commit in reversed(log)]
        outcome = dict(writer.sent)
        lost = [data for data, accepted in writer.sent if accepted and data not in set(versions)]
        assert not lost, f"{len(lost)} of {writer.resource} were accepted and are not there: {lost[0][:40]}"
        assert set(versions) <= set(outcome), f"{writer.resource} has a version that nobody has put"
        accepted = [data for data, accepted in writer.sent if accepted]
        assert not accepted or newest == accepted[-1] or not outcome[newest], f"{newest[:40]} is the newest of {writer.resource}, {accepted[-1][:40]} was accepted behind it"

    def made_of_the_newest(self, newest):
        def stacked(*names):
            return b"".join(f"====={name}\n".encode() + b"".join(b"\t" + line for line in newest[name].splitlines(keepends=True)) for name in names)

        def each(prefix, text):
            return b"".join(prefix + line for line in text.splitlines(keepends=True))
        assert newest["raw"] == self.source.text
        assert newest["left"] == each(b"left-", stacked("raw", "work")) and newest["right"] == each(b"right-", newest["work"])
        assert newest["all"] == stacked("left", "right", "staff")

    def repository_is_sound(self, rows):
        said = self.git("fsck", "--strict", "--full")
        assert said.returncode == 0 and "missing" not in said.stdout + said.stderr, said
        seqs = [int(line) for line in self.git("log", "--format=%(trailers:key=Seq,valueonly,separator=)", "main").stdout.split()]
        newest = max(row["seq"] for row in rows.values())
        assert seqs == list(range(newest, len(OLD), -1)), "a hole in the numbers, or something old is not cut off"
        self.old_is_cut_off(rows)
        self.mirror_has_it_all(newest)
        copy = self.platoon.dir / "copy"
        cloned = subprocess.run(["git", "clone", "-q", "--bare", f"http://127.0.0.1:{self.port}/data/plan.git", copy], capture_output=True, text=True, timeout=200)
        assert cloned.returncode == 0, cloned
        heads = {subprocess.run(["git", "-C", path, "-c", "safe.directory=*", "rev-parse", "main"], capture_output=True, text=True, timeout=60).stdout for path in (copy, self.path)}
        assert len(heads) == 1, heads

    def old_is_cut_off(self, rows):
        assert rows["old"]["seq"] == len(OLD) and self.get("old") == OLD[-1][1]
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - OLD[3][0] * DAY))
        assert self.git("show", f"daily/{day}:old").stdout.encode() == OLD[3][1]
        assert self.git("cat-file", "-e", self.old[4]).returncode == 0 and (self.path / "shallow").exists()

    def mirror_has_it_all(self, newest):
        def heads():
            return [subprocess.run(["git", "-C", path, "-c", "safe.directory=*", "rev-parse", "main"], capture_output=True, text=True, timeout=60).stdout
                    for path in (self.mirror, self.path)]
        self.ctl("restart", "snapshot/plan/keeper")  # which may have waited long for its next try
        wait_until(lambda: len(set(heads())) == 1, 120, lambda: f"the mirror to have it: {heads()}")
        said = subprocess.run(["git", "-C", self.mirror, "fsck", "--strict", "--full"], capture_output=True, text=True, timeout=200)
        assert said.returncode == 0 and "missing" not in said.stdout + said.stderr, said
        log = subprocess.run(["git", "-C", self.mirror, "log", "--format=%(trailers:key=Seq,valueonly,separator=)", "main"], capture_output=True, text=True, timeout=200)
        assert [int(line) for line in log.stdout.split()] == list(range(newest, 0, -1)), "a hole in the mirror's numbers"

    def redis_is_told_the_newest(self):
        """Put now, when all is well: it is heard."""
        put = json.loads(subprocess.run([self.platoon.build / "platoonctl", "-s", self.platoon.dir / "run/control.sock", "--json", "--timeout", "60s", "snapshot", "put", "old"],
                                        input=b"heard\n", check=True, capture_output=True, timeout=100).stdout)
        last = ("old", put["seq"], put["commit"])
        wait_until(lambda: self.listening.told and last in self.listening.told[-1], 60, "Redis to be told the newest")

    def what_redis_was_told_is_true(self):
        commits = dict(line.split() for line in self.git("log", "--format=%H %(trailers:key=Seq,valueonly,separator=)", "main").stdout.splitlines())
        for told in self.listening.told:
            lies = [one for one in told if commits.get(one[2]) != str(one[1])]
            assert not lies, f"told in Redis, and not so: {lies[:4]}"

    def close_more(self):
        self.done.set()
        self.server.close()
        self.source.shutdown()
        self.source.server_close()


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(SnapshotStorm, __doc__))
