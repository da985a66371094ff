"""What a user gets when something goes wrong at a node itself (issue 13, What goes wrong), and what monitoring sees of it."""
import json
import subprocess

import pytest
import redis

from cache_store_fixture import NODE, Directory, cache_text, client
from health_client import get, samples
from platoon_fixture import section, wait_until

TAKES = 30


@pytest.fixture
def small(platoon, root):
    """Its state_dir is a disk of its own, of 24 MB."""
    disk = platoon.dir / "state"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk):
    """To its last byte."""
    with open(disk / "filler", "wb", buffering=0) as filler:
        try:
            for size in (1 << 20, 4096, 1):
                while True:
                    filler.write(b"x" * size)
        except OSError:
            pass
    subprocess.run(["sync", "-f", disk], check=True)


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_the_log_cannot_be_written(platoon, small, fsync):
    """MISCONF with the cause to whoever writes, by whatever way; reads go on, and what was acknowledged is there; then it goes on by itself."""
    platoon.config_path.write_text(section("platoon", {"runtime_dir": "run", "state_dir": "state"})
                                   + section("cache sessions", {"listen": f"unix:{platoon.dir}/c.sock", "memory": "16MB", "fsync": fsync}))
    platoon.start()
    r, told, written = client(platoon), [], {f"early{i}": b"v" * 1000 for i in range(100)}
    assert r.mset(written)
    fill(small)
    for name in (f"k{i}" for i in range(10000)):
        try:
            assert r.set(name, b"v" * 10000)
        except redis.exceptions.ResponseError as error:
            told.append(str(error))
            break
        written[name] = b"v" * 10000
    assert told and told[0].startswith("MISCONF ") and "No space left on device" in told[0] and "state/cache/sessions/node.1" in told[0]
    for words in (["SET", "a", "b"], ["DEL", "early0"], ["INCR", "n"], ["EXPIRE", "early0", "100"]):
        with pytest.raises(redis.exceptions.ResponseError, match="^MISCONF "):
            r.execute_command(*words)
    with r.pipeline() as block:
        block.set("a", "b")
        with pytest.raises(redis.exceptions.ResponseError, match="MISCONF"):
            block.execute()
    for words in (["cache", "set", "sessions", "a", "b"], ["send", NODE, json.dumps({"set": "a", "value": "b"})]):
        done = platoon.ctl(*words)
        assert done.returncode != 0 and "MISCONF " in done.stderr and "\n" not in done.stderr.strip(), done
    keys = list(written)
    assert r.mget(keys) == list(written.values()) and r.ping() and r.exists("early0") == 1
    assert platoon.json("cache", "get", "sessions", "early0") == {"ok": written["early0"].decode()}
    wait_until(lambda: "No space left on device" in platoon.problems(), 30, "its trouble")
    (small / "filler").unlink()

    def goes_on():
        try:
            return r.set("after", "that")
        except redis.exceptions.ResponseError as error:
            assert str(error).startswith("MISCONF "), error
            return False
    wait_until(goes_on, 60, "it to go on")
    wait_until(lambda: platoon.problems() == "", 30, "the end of its trouble")
    before = platoon.workers()[NODE]
    subprocess.run(["kill", "-9", str(before["pid"])], check=True)
    platoon.replaced(before)
    r = client(platoon)
    assert r.mget(keys) == list(written.values()) and r.get("after") == b"that"


def test_an_object_that_is_too_large(platoon):
    """Refused when it is whole, by its name and bound; the connection stays, in the middle of a pipeline too."""
    platoon.config_path.write_text(section("platoon", {"runtime_dir": "run", "state_dir": "state"})
                                   + section("cache sessions", {"listen": f"unix:{platoon.dir}/c.sock", "object_max": "1MB"}))
    platoon.start()
    with client(platoon).pipeline(transaction=False) as pipe:
        pipe.set("a", "1").set("large", b"v" * (1 << 20)).append("a", "2").get("a")
        first, refusal, length, value = pipe.execute(raise_on_error=False)
    assert (first, length, value) == (True, 2, b"12")
    assert str(refusal) == "a key and its value may have at most 1048576 bytes (object_max)"


def test_monitoring(platoon):
    """/metrics has each counter of a cache under its name, with promtool's blessing; what is at risk is what is not stored."""
    directory = Directory(platoon.dir / "objects")
    platoon.config_path.write_text(cache_text(platoon, directory, whole={"health": f"unix:{platoon.dir}/h.sock"}, write_delay="1h", idle="0s"))
    platoon.start()
    r = client(platoon)
    r.set("kept", "v")
    assert platoon.ctl("cache", "dump", "sessions", "kept", "--wait").returncode == 0
    r.set("dirty", "value")
    assert r.get("kept") == b"v" and r.get("none") is None
    wanted = {"cache_hits_total": 1, "cache_misses_total": 1, "cache_loads_total": 1, "cache_stores_total": 1, "cache_objects": 2, "cache_dirty": 1,
              "cache_dirty_bytes": 10, "cache_at_risk_bytes": 10, "cache_memory": 64 << 20}

    def told():
        status, text = get(platoon, "/metrics")
        assert status == 200
        values = samples(text)
        return {name: values.get(f'platoon_{name}{{worker="{NODE}",type="cache-node"}}') for name in wanted}
    wait_until(lambda: told() == wanted, 30, lambda: f"{wanted}; it tells {told()}")
    checked = subprocess.run(["promtool", "check", "metrics"], input=get(platoon, "/metrics")[1], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
