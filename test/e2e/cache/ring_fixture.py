"""A cache whose nodes are a ring: one platoon with several nodes, or several platoons, as on several hosts, with caches of one name on one Redis.

A ring that Redis does not know yet grants nothing for 1.2 lease, so every start waits until each node has served a SET.
"""
import contextlib
import itertools
import json
import os
import re
import shutil
import signal

import redis

from cache_platoon_fixture import CachePlatoon
from cache_store_fixture import Directory
from differential_fixture import Connection
from incr_hammer import Hammer, passes, patient
from platoon_fixture import BUILD, SCALE, RedisServer, freeze, marked, section, wait_until

# What redis-py says of a unix socket that is reset names these, which it has of TCP only: the error would be an AttributeError.
redis.UnixDomainSocketConnection.host, redis.UnixDomainSocketConnection.port = "unix", 0

MANAGER, BACKING = "cache/c/manager.1", "cache/c/backing.1"
SILENCE = 60 * SCALE  # a client hears nothing for so long, and takes the connection for lost
MOVE = 32  # commands of one other node in a row, and an object goes there
STAND_IN = "#!/bin/sh\nexec sleep 1000\n"  # in a worker's place: it lives, and never says a word


class Node:
    """One node of the ring, as its clients and a test's hands reach it."""

    def __init__(self, platoon, number, port=None):
        self.platoon, self.port = platoon, port
        self.name = f"cache/c/node.{number}"
        self.path = f"{platoon.dir}/c{number}.sock"

    def __repr__(self):
        return f"{self.name} of {self.platoon.dir}"

    def client(self, **options):
        return redis.Redis(unix_socket_path=self.path, socket_timeout=SILENCE, **options)

    def connection(self):
        return Connection(self.path)

    def worker(self):
        return self.platoon.workers()[self.name]

    def pid(self):
        return self.worker()["pid"]

    def kill(self, wait=True):
        kill(self.platoon, [self.name], wait)

    def status(self):
        return next(row for row in self.platoon.json("cache", "status", "c") if row["node"] == self.name)


def kill(platoon, names, wait=True):
    """kill -9 of workers at the same moment; waits for others in their places."""
    before = [platoon.workers()[name] for name in names]
    for worker in before:
        os.kill(worker["pid"], signal.SIGKILL)
    for worker in before if wait else []:
        platoon.replaced(worker, 60)


def die(platoon):
    """All of its processes are killed at once, as when its host loses its power: nobody ends in order because another did. The master last: its
    workers hear of its death, and would store what they have."""
    freeze(platoon.process.pid)  # or it would start others
    for pid in set(marked(platoon.mark)) - {platoon.process.pid}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    platoon.kill9()
    platoon.gone()


@contextlib.contextmanager
def frozen(*pids):
    """They stand still, and go on however the test ends."""
    try:
        for pid in pids:
            freeze(pid)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class Ring:
    def __init__(self, server):
        self.server = server
        self.nodes, self.platoons, self.stores = [], [], []
        self.numbers = itertools.count(1)

    # ---- its platoons ----

    def add(self, platoon, store=None, nodes=1, listen="", whole=None, port=None, more=None, **cache):
        """Configures a platoon with so many nodes of the ring. listen, port: what they listen on behind their unix sockets, and
        which port that is; whole: more keys of the platoon section; more: of the Redis'. Worker programs are the platoon's own, see stays_dead."""
        store = store or Directory(platoon.dir / "objects")
        libexec = platoon.dir / "libexec"
        shutil.copytree(platoon.build / "libexec/platoon", libexec)
        platoon.config_path.write_text(
            section("platoon", {"runtime_dir": "run", "state_dir": "state", "libexec_dir": libexec, "backoff_min": "20ms",
                                "hang_timeout": "30m", **(whole or {})})
            + section("redis r", {"url": self.server.url, "retry_max": "100ms", **(more or {})}) + store.section()
            + section("cache c", {"listen": f"unix:{platoon.dir}/c{{n}}.sock {listen}".strip(), "nodes": nodes, "store": "objects", "redis": "r", "lease": "10s",
                                  "write_delay": "300ms", "timeout": "60s", **cache}))
        self.platoons.append(platoon)
        self.stores.append(store)
        self.nodes += [Node(platoon, number, port) for number in range(1, nodes + 1)]
        return self

    def start(self):
        for platoon in self.platoons:
            platoon.start()
        return self.serves()

    def serves(self, *nodes):
        """Waits until each (else all) does."""
        for node in nodes or self.nodes:
            patient(lambda node=node: node.client().set(self.key(), "ready"), 90)
        return self

    # ---- what it tells of itself, by the first platoon that runs ----

    def ask(self, *words):
        """The answer, as soon as somebody is there who knows: a manager that has just been started has nothing to say yet."""
        platoon, said = next(p for p in self.platoons if p.process is not None and p.process.poll() is None), []

        def look():
            done = platoon.ctl("--json", "--timeout", "40s", "cache", *words)
            said[:] = [done.returncode, done.stderr]
            return [json.loads(done.stdout)] if done.returncode == 0 else None
        return wait_until(look, 30, lambda: f"an answer to {words}; the last: {said}")[0]

    def rows(self):
        return self.ask("ring", "c")["nodes"]

    def row(self, node):
        """What the ring knows of a node; None: nothing."""
        places = [node.path, f":{node.port}"]
        return next((row for row in self.rows() if row["name"] == node.name and any(p in row["address"] for p in places)), None)

    def state(self, node):
        row = self.row(node)
        return row and row["state"]

    def owner(self, key):
        """The node that has the key, lost or not; None: it is free."""
        told = self.ask("owner", "c", key)
        if told["state"] == "free":
            return None
        numbers = {row["incarnation"]: row for row in self.rows()}
        assert told["incarnation"] in numbers, (told, numbers)
        address = numbers[told["incarnation"]]["address"]
        return next(n for n in self.nodes if told["node"] == n.name and (n.path in address or n.port and address.endswith(f":{n.port}")))

    # ---- keys ----

    def key(self, tag=None):
        """One that nobody has used."""
        number = next(self.numbers)
        return f"k{number}" if tag is None else f"{{{tag}}}{number}"

    def keys_of(self, node, count=1):
        """New keys that this node owns; each has its name as its value."""
        keys = [self.key() for _ in range(count)]
        client = node.client()
        for key in keys:
            patient(lambda key=key: client.set(key, key))
        assert all(self.owner(key) is node for key in keys)
        return keys

    def bring(self, node, *keys):
        """Has the node own these keys, by using them there."""
        client = node.client()
        for key in keys:
            def there(key=key):
                for _ in range(MOVE):
                    patient(lambda: client.exists(key))
                return self.owner(key) is node
            wait_until(there, 60, f"{key} to come to {node}")

    def hammer(self, keys, **more):
        """A client of each node, called as its node is, which does INCR of these keys."""
        return Hammer({node: node.client for node in self.nodes}, keys, **more)

    # ---- a node that does not come back ----

    @contextlib.contextmanager
    def stays_dead(self, node):
        """It is killed, and something that is no node is in its place; at the end it comes back."""
        program = node.platoon.dir / "libexec/cache-node"
        real = program.with_suffix(".real")
        program.rename(real)
        program.write_text(STAND_IN)
        program.chmod(0o755)
        before = node.pid()
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: node.pid() not in (None, before), 30, "something in its place")
        try:
            yield
        finally:
            real.replace(program)
            pid = node.pid()
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: node.worker()["state"] == "READY" and node.pid() != pid, 60, f"{node} to come back")


def refused(ask, what="TRYAGAIN", timeout=60, why=""):
    """Waits until it is refused so, and with that reason (of which this is a pattern); what it answers before that, another reason, and a connection
    that is lost, are passed over."""
    last = []

    def look():
        try:
            last[:] = [ask()]
            return False
        except redis.exceptions.ResponseError as error:
            assert passes(error), error
            last[:] = [error]
            return re.match(f"{what} .*{why}", str(error)) is not None
        except redis.exceptions.ConnectionError as error:
            assert passes(error), error
            return False
    wait_until(look, timeout, lambda: f"a refusal; the last answer: {last}")


def serves_all(node, keys, timeout=60):
    """Each of these keys has its name as its value there."""
    client = node.client()
    for key in keys:
        found = patient(lambda key=key: client.get(key), timeout)
        assert found == key.encode(), (node, key, found)


@contextlib.contextmanager
def standing_ring(request, nodes=2, **keys):
    """A ring that the tests of a module share."""
    before = request.session.testsfailed
    platoon, server = CachePlatoon(BUILD), RedisServer()
    try:
        yield Ring(server).add(platoon, nodes=nodes, **keys).start()
    except BaseException:
        before = -1
        raise
    finally:
        try:
            platoon.close(request.session.testsfailed != before)
        finally:
            server.close()
