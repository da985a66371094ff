"""What people do with a cache's store: have objects stored, wait for it, and look after dead letters."""
import hashlib
import os

import pytest

from cache_store_fixture import Directory, cache_text, client, stored
from platoon_fixture import wait_until


@pytest.fixture
def directory(platoon):
    return Directory(platoon.dir / "objects")


@pytest.fixture
def cache(platoon, directory):
    """Starts a platoon with a cache that stores nothing by itself."""
    def start(**keys):
        platoon.config_path.write_text(cache_text(platoon, directory, **{"write_delay": "1h", "idle": "0s", **keys}))
        platoon.start()
        return client(platoon)
    return start


def ctl(platoon, *words):
    return platoon.ctl("cache", *words)


def as_json(platoon, *words):
    return platoon.json("cache", *words)


def overtake(directory, key):
    """Somebody else has stored a newer one."""
    path = directory.path / hashlib.sha256(key.encode()).hexdigest()[:2] / key
    os.setxattr(path, "user.platoon", b"v=9000000000000000")


def make_dead(r, platoon, directory, key):
    r.set(key, "first")
    assert ctl(platoon, "dump", "sessions", key, "--wait").returncode == 0
    overtake(directory, key)
    r.set(key, "second")
    ctl(platoon, "dump", "sessions", key)
    wait_until(lambda: as_json(platoon, "dead", "sessions"), 10, "a dead letter")


def test_dump(cache, platoon, directory):
    r = cache()
    r.mset({"a": "1", "b": "2", "c": "3", "d": "4"})
    assert as_json(platoon, "dump", "sessions", "a", "b", "nothing") == {"count": 2}
    wait_until(lambda: directory.has("a") == b"1" and directory.has("b") == b"2", 10, "two objects")
    assert directory.has("c") is None
    done = ctl(platoon, "dump", "sessions", "c", "--wait")
    assert (done.returncode, done.stdout) == (0, "sessions: 1 are stored\n")
    assert directory.has("c") == b"3" and directory.has("d") is None
    done = ctl(platoon, "dump", "sessions", "--all", "--wait")
    assert (done.returncode, done.stdout) == (0, "sessions: all is stored\n") and directory.has("d") == b"4"
    assert ctl(platoon, "dump", "sessions", "--all", "a").returncode == 2
    assert ctl(platoon, "dump", "sessions", "--wait").returncode == 2


def test_wait(cache, platoon, directory):
    r = cache(write_delay="500ms")
    r.set("a", "1")
    done = ctl(platoon, "wait", "sessions")
    assert (done.returncode, done.stdout) == (0, "sessions: all is stored\n") and directory.has("a") == b"1"
    directory.away()
    r.set("a", "2")
    late = []

    def is_told():
        """Unless the node was not heard in that time."""
        late[:] = [ctl(platoon, "--timeout", "1500ms", "wait", "sessions")]
        assert late[0].returncode != 0
        return "1 is not stored yet" in late[0].stderr
    wait_until(is_told, 20, lambda: f"how many are not stored; the last: {late}")
    row = wait_until(lambda: (s := as_json(platoon, "status", "sessions")[0])["dirty"] == 1 and s, 10, "a status")
    assert row["oldest_dirty_ms"] > 0 and row["at_risk_bytes"] == 2
    directory.back()
    assert ctl(platoon, "wait", "sessions").returncode == 0 and directory.has("a") == b"2"
    assert ctl(platoon, "wait", "nobody").returncode != 0


def test_dead_letters(cache, platoon, directory):
    r = cache()
    assert ctl(platoon, "dead", "sessions").stdout == "sessions: no dead letters\n"
    make_dead(r, platoon, directory, "k")
    letter, = as_json(platoon, "dead", "sessions", "list")
    assert (letter["key"], letter["bytes"], letter["deleted"]) == ("k", 6, False) and "newer" in letter["reason"]
    assert sorted(letter) == ["bytes", "deleted", "key", "lost", "reason", "version"] and letter["version"] > 10 ** 15 and letter["lost"] is False
    assert r.get("k") == b"second" and directory.has("k") == b"first"
    assert as_json(platoon, "dead", "sessions", "show", "k")[0]["value"] == "second"
    assert "second" in ctl(platoon, "dead", "sessions", "show", "k").stdout
    missing = ctl(platoon, "dead", "sessions", "drop", "k2")
    assert missing.returncode != 0 and "1 of 1 are no dead letters" in missing.stderr
    mistyped = ctl(platoon, "dead", "sessions", "rety", "k")
    assert mistyped.returncode == 2 and "'rety': did you mean retry" in mistyped.stderr
    assert as_json(platoon, "dead", "sessions", "retry", "all") == {"count": 1}
    wait_until(lambda: as_json(platoon, "dead", "sessions"), 10, "it again")
    assert as_json(platoon, "dead", "sessions", "drop", "k") == {"count": 1}
    assert r.get("k") == b"first"
    make_dead(r, platoon, directory, "again")
    assert ctl(platoon, "wait", "sessions").stdout == "sessions: all is stored but 1 dead letter, which the store does not take: see 'cache dead sessions'\n"
    assert as_json(platoon, "dump", "sessions", "--all", "--wait") == {"dirty": 0, "dead": 1}
    r.set("again", "third")
    stored_now = ctl(platoon, "dump", "sessions", "again", "--wait")
    assert stored_now.returncode == 0 and directory.has("again") == b"third"
    assert as_json(platoon, "dead", "sessions") == []
    stored(r)


def test_all_dead_letters_and_a_key_called_so(cache, platoon, directory):
    """`all` stands for all of them; what is deleted can be shown; a key that is called all has a name of its own."""
    r = cache()
    make_dead(r, platoon, directory, "all")
    r.set("k", "first")
    assert ctl(platoon, "dump", "sessions", "k", "--wait").returncode == 0
    overtake(directory, "k")
    r.delete("k")
    ctl(platoon, "dump", "sessions", "k")
    wait_until(lambda: [d["deleted"] for d in as_json(platoon, "dead", "sessions")] == [False, True], 10, "a deletion that is one")
    letter, = as_json(platoon, "dead", "sessions", "show", "k")
    assert (letter["deleted"], letter["value"]) == (True, "")
    assert "deleted" in ctl(platoon, "dead", "sessions", "show", "k").stdout
    for words in ([], ["all"]):
        assert [d["key"] for d in as_json(platoon, "dead", "sessions", "show", *words)] == ["all", "k"]
    assert "base64:YWxs" in ctl(platoon, "dead", "sessions").stdout
    assert [d["key"] for d in as_json(platoon, "dead", "sessions", "show", "base64:YWxs")] == ["all"]
    assert as_json(platoon, "dead", "sessions", "drop", "base64:YWxs") == {"count": 1}
    assert [d["key"] for d in as_json(platoon, "dead", "sessions")] == ["k"]
    assert as_json(platoon, "dead", "sessions", "drop", "all") == {"count": 1}


def test_more_dead_letters_than_an_answer_has(cache, platoon, directory):
    r = cache()
    keys = [f"k{i:04}" for i in range(1100)]
    with r.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.set(key, "first")
        pipe.execute()
    assert ctl(platoon, "dump", "sessions", "--all", "--wait").returncode == 0
    with r.pipeline(transaction=False) as pipe:
        for key in keys:
            overtake(directory, key)
            pipe.set(key, "second")
        pipe.execute()
    ctl(platoon, "dump", "sessions", "--all", "--wait")
    assert sorted(d["key"] for d in as_json(platoon, "dead", "sessions")) == keys
    assert sorted(d["key"] for d in as_json(platoon, "dead", "sessions", "show")) == keys


def test_what_a_stop_leaves_unstored_is_said(cache, platoon, directory):
    """How many, how much, why; and it is stored after the next start."""
    r = cache()
    directory.away()
    r.mset({"a": "1", "bb": "22"})
    wait_until(lambda: r.execute_command("PLATOON.DIRTY")[0] == 2, 10, "two dirty ones")
    platoon.stop()
    line, = [text for text in platoon.log().splitlines() if "not-stored" in text]
    assert "objects=2" in line and "bytes=6" in line and "mount" in line and "state/cache/sessions/node.1" in line
    directory.back()
    platoon.start()
    r = client(platoon)
    assert r.get("bb") == b"22"
    assert ctl(platoon, "dump", "sessions", "--all", "--wait").returncode == 0
    assert directory.has("a") == b"1" and directory.has("bb") == b"22"


def test_get_says_by_its_status_that_there_is_none(cache, platoon, directory):
    """1 is that, and nothing else."""
    cache(timeout="500ms")
    late = 75  # what a store that is there may be, too, on a busy machine
    assert wait_until(lambda: (s := ctl(platoon, "get", "sessions", "nothing").returncode) != late and [s], 20, "an answer in time") == [1]
    directory.away()
    done = ctl(platoon, "get", "sessions", "cold")
    assert done.returncode == 75 and done.stderr.startswith("platoonctl: TRYAGAIN "), done
    assert ctl(platoon, "get", "nobody", "cold").returncode == 5
    assert ctl(platoon, "del", "sessions", "cold").returncode == 75
    platoon.ctl("stop", "cache/sessions/node.1")
    assert ctl(platoon, "get", "sessions", "cold").returncode == 75


def test_status_shows_what_the_store_is_asked_for(cache, platoon, directory):
    r = cache()
    plain = ctl(platoon, "status").stdout
    assert "LOADS" not in plain and "OLDEST" not in plain
    r.get("cold")
    r.set("a", "1")
    text = wait_until(lambda: (t := ctl(platoon, "status").stdout) and "LOADS" in t and " 1  " in t and t, 10, "its columns")
    head, row = text.splitlines()
    assert all(word in head for word in ("LOADS", "STORES", "ERRORS", "DIRTY", "OLDEST", "DEAD")), text
