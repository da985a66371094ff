"""A cache that has objects gets a store, another one, or none; and what stays in memory while its store is away."""
import time

import pytest

from cache_store_fixture import NODE, Directory, cache_text, client, in_time, kill, stored
from platoon_fixture import section, wait_until


@pytest.fixture
def directory(platoon):
    return Directory(platoon.dir / "objects")


def reload(platoon, text):
    """The node has it when it has been replaced."""
    before = platoon.workers()[NODE]
    platoon.config_path.write_text(text)
    done = platoon.ctl("reload")
    assert done.returncode == 0, done
    platoon.replaced(before)
    return client(platoon)


def without_store(platoon):
    return (section("platoon", {"runtime_dir": "run", "state_dir": "state"})
            + section("cache sessions", {"listen": f"unix:{platoon.dir}/c.sock"}))


def test_a_store_is_added_taken_away_and_another_one(platoon, directory):
    platoon.config_path.write_text(without_store(platoon))
    platoon.start()
    r = client(platoon)
    r.mset({"a": "1", "gone": "x", "lock:1": "l"})
    r.delete("gone")
    r = reload(platoon, cache_text(platoon, directory, idle="2s", volatile="lock:*"))
    stored(r)
    assert directory.has("a") == b"1" and directory.has("gone") is None and directory.has("lock:1") is None
    wait_until(lambda: r.dbsize() == 1, 20, "all but the volatile one to leave memory")
    r = reload(platoon, cache_text(platoon, directory, volatile="lock:*"))  # what is loaded now stays, or it may be gone again before the store is
    assert r.get("a") == b"1" and r.get("lock:1") == b"l"
    r = reload(platoon, without_store(platoon))
    assert r.get("a") == b"1"
    r.mset({"a": "2", "b": "3"})
    r = reload(platoon, cache_text(platoon, directory))
    stored(r)
    assert [directory.has(key) for key in ("a", "b", "lock:1")] == [b"2", b"3", b"l"]
    other = Directory(platoon.dir / "others")
    r = reload(platoon, cache_text(platoon, other))
    stored(r)
    assert [other.has(key) for key in ("a", "b", "lock:1")] == [b"2", b"3", b"l"]


def test_killed_while_a_store_gets_what_is_there(platoon, directory):
    platoon.config_path.write_text(without_store(platoon))
    platoon.start()
    r = client(platoon)
    for i in range(600):
        r.set(f"k{i}", i)
    directory.away()
    r = reload(platoon, cache_text(platoon, directory))
    assert r.execute_command("PLATOON.DIRTY")[0] == 600
    for _ in range(3):
        kill(platoon, NODE)
        directory.back()
        r = client(platoon)
        wait_until(lambda: r.execute_command("PLATOON.DIRTY")[0] < 600, 20, "some to be stored")
        directory.away()
    kill(platoon, NODE)
    directory.back()
    r = client(platoon)
    stored(r, 60)
    assert all(directory.has(f"k{i}") == str(i).encode() for i in range(600))


@pytest.mark.parametrize("asked", [False, True])
def test_memory_keeps_what_the_store_could_not_give(platoon, directory, asked):
    """Nothing is put: that it is away shows when something would leave, or is loaded."""
    platoon.config_path.write_text(cache_text(platoon, directory, idle="3s", timeout="1s"))
    platoon.start()
    r = client(platoon)
    r.set("k", "v")
    stored(r)

    def is_there_when_the_store_goes():
        """On a busy machine its time may be over in between."""
        assert in_time(lambda: r.get("k")) == b"v"
        directory.away()
        if r.dbsize() == 1:
            return True
        directory.back()
        return False
    wait_until(is_there_when_the_store_goes, 60, "it to be in memory when the store goes away")
    if asked:
        platoon.ctl("cache", "get", "sessions", "cold")
    until = time.monotonic() + 6  # twice the time after which it would leave
    wait_until(lambda: r.dbsize() != 1 or time.monotonic() > until, 20, "its time to be over")
    assert r.dbsize() == 1 and r.get("k") == b"v"
    directory.back()
    wait_until(lambda: r.dbsize() == 0, 20, "it to leave memory")
    assert in_time(lambda: r.get("k")) == b"v"
