"""A ledger in a real redis-server of its own, and its Lua scripts (proto/drain/) as Python functions."""
import collections
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import msgpack
import pytest
import redis

ROOT = pathlib.Path(__file__).resolve().parents[3]
LUA = ROOT / "proto/drain"
SCRIPTS = re.findall(r'X\(\w+, drain_\w+, "([^"]*)", "([^"]*)"\)', (LUA / "drain.h").read_text())
PREFIX = "platoon:{t}:"
SET = "pending"
LEASE = 60000
A, B, VIA = "aa:1:redis/t/get-hash.1:1", "aa:1:redis/t/get-hash.2:1", "aa:1:redis/t/get-set.1:1"

Claim = collections.namedtuple("Claim", "left id attempts n members again suspect refusal")


def embedded(name):
    """The text as scripts/lib/embed makes it."""
    parts = next(parts.split() for file, parts in SCRIPTS if file == f"drain/{name}.lua")
    lines = "".join((ROOT / "proto" / file).read_text() for file in [*parts, f"drain/{name}.lua"]).splitlines()
    kept = [line.strip() for line in lines if line.strip() and not line.strip().startswith("--")]
    return "\n".join(kept) + "\n"


class Ledger:
    def __init__(self, client):
        self.r = client
        self.scripts = {p.stem: client.register_script(embedded(p.stem)) for p in LUA.glob("*.lua") if f"drain/{p.name}" in dict(SCRIPTS)}

    def run(self, script, *args):
        return self.scripts[script](keys=[PREFIX, SET], args=list(args))

    def claim(self, batch=500, lease=LEASE, owner=A, via=VIA, consume="take", max_attempts=5, calm=0, full=0, retry=0, store="db"):
        answer = self.run("claim", batch, lease, owner, via, consume, max_attempts, calm, full, retry, store)
        if len(answer) == 2:
            return None
        claim = Claim(*answer)
        return claim._replace(members=[tuple(m) for m in msgpack.unpackb(claim.members, raw=True)])

    def look(self, max_attempts=5, retry=0, most=500):
        """How many were looked for, and how many found."""
        return tuple(self.run("look", max_attempts, retry, most)[:2])

    def waiting(self):
        """Member to its state, of those that wait for their hashes."""
        packed = [self.r.hget(PREFIX.encode() + b"claim:" + i, "members") for i in self.r.zrange(PREFIX + "waiting", 0, -1)]
        return {m[1]: m[2] for p in packed for m in msgpack.unpackb(p, raw=True)}

    def add(self, *members, fields=None):
        for m in members:
            self.r.hset(m, mapping=fields or {"of": m})
        self.r.sadd(SET, *members)

    def due_now(self):
        for id_ in self.r.zrange(PREFIX + "claims", 0, -1):
            self.r.zadd(PREFIX + "claims", {id_: 0})

    def stats(self):
        """The counters; without what the scripts try HSET with."""
        return {k.decode(): int(v) for k, v in self.r.hgetall(PREFIX + "stats").items() if k != b"ledger"}

    def dump(self):
        """Everything in the database, for "nothing has changed"."""
        return {k: (self.r.type(k), self.r.dump(k)) for k in self.r.keys("*")}


@pytest.fixture(scope="module")
def server():
    directory = tempfile.mkdtemp()
    path = os.path.join(directory, "r.sock")
    process = subprocess.Popen(
        [os.environ.get("REDIS_SERVER", "redis-server"), "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", directory],
        stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while True:
        try:
            client = redis.Redis(unix_socket_path=path)
            client.ping()
            break
        except redis.ConnectionError:
            assert time.monotonic() < deadline and process.poll() is None, "redis-server did not start"
            one_turn(0.01)
    yield client
    client.close()
    process.kill()
    process.wait()
    shutil.rmtree(directory)


def one_turn(seconds):
    """One turn of a loop that waits for a condition with a deadline."""
    time.sleep(seconds)


@pytest.fixture
def ledger(server):
    server.config_set("maxmemory", 0)
    server.slaveof()
    server.flushall()
    return Ledger(server)
