"""Rings; and a cache node beside a redis-server, to which the same is said.

CACHE_SUBJECT is another program that serves Redis' protocol on the unix socket named by its last argument, in the node's place; "redis-server"
compares it with itself, which shows what the differential suites take for a difference.
"""
import os
import shlex
import shutil
import subprocess
import tempfile

import pytest

from cache_platoon_fixture import CachePlatoon
from differential_fixture import Both
from platoon_fixture import Platoon, RedisServer, section, wait_until
from ring_fixture import Ring

SUBJECT = os.environ.get("CACHE_SUBJECT")


@pytest.fixture
def platoon_kind():
    return CachePlatoon


@pytest.fixture
def cache_ring(redis_server, platoon):
    """Starts a ring of one platoon with two nodes; its short lease shows on a busy machine as refusals that pass, so who wants none says lease."""
    def make(options=(), **keys):
        return Ring(redis_server(*options)).add(platoon, **{"nodes": 2, "lease": "2s", "timeout": "1s", **keys}).start()
    return make


@pytest.fixture(scope="module")
def reference():
    server = RedisServer("--appendonly", "no", "--databases", "1")
    yield server.url.removeprefix("unix://")
    server.close()


@pytest.fixture(scope="module")
def subject():
    if SUBJECT is None:
        platoon = Platoon()
        platoon.config_path.write_text(section("platoon", {"runtime_dir": "run", "state_dir": "state"})
                                       + section("cache c", {"listen": f"unix:{platoon.dir}/c.sock"}))
        platoon.start()
        yield f"{platoon.dir}/c.sock"
        platoon.stop()
        shutil.rmtree(platoon.dir)
        return
    if SUBJECT == "redis-server":
        server = RedisServer("--appendonly", "no", "--databases", "1")
        yield server.url.removeprefix("unix://")
        server.close()
        return
    directory = tempfile.mkdtemp(prefix="d", dir="/tmp")
    path = directory + "/s.sock"
    process = subprocess.Popen([*shlex.split(SUBJECT), path], stdin=subprocess.DEVNULL)

    def serves():
        assert process.poll() is None, "it has ended"
        return os.path.exists(path)
    wait_until(serves, what=SUBJECT)
    yield path
    still = process.poll() is None
    process.kill()
    process.wait()
    shutil.rmtree(directory)
    assert still, f"{SUBJECT} ended with {process.returncode}"


@pytest.fixture
def both(reference, subject):
    """Makes pairs of connections; both servers are empty."""
    made = []

    def make():
        made.append(Both(reference, subject))
        return made[-1]
    make().command("FLUSHALL")
    yield make
    for pair in made:
        pair.close()
