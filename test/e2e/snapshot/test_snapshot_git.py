"""Git's own programs beside the store: what they pack is read on; what is missing is named."""
import contextlib
import os
import re
import signal

import pytest

from platoon_fixture import wait_until
from test_snapshot_runs import row, settle
from web_fixture import Web


def test_packed_beside_the_store(store):
    """Packing is no writing: no reference moves, and the store goes on."""
    store.start({"work": {}})
    for n in range(20):
        store.put("work", b"version %d\n" % n)
        if n % 5 == 4:
            store.git("repack", "-q", "-d", "-l", "--geometric=2")
            store.git("pack-refs", "--all")
    assert [store.get(f"work@{v['commit']}") for v in store.json("log", "work")] == [b"version %d\n" % n for n in range(19, -1, -1)]
    assert store.git("count-objects", "-v").count("packs: 0") == 0
    good, said = store.is_sound()
    assert good, said


def test_an_object_that_is_missing_is_named(store):
    store.start({"work": {}})
    first = store.put("work", b"one\n")
    store.put("work", b"two\n")
    (store.path / "objects" / first["blob"][:2] / first["blob"][2:]).unlink()
    done = store.ctl("snapshot", "get", f"work@{first['commit']}")
    assert done.returncode == 1 and first["blob"] in done.stderr.decode(), done
    wait_until(lambda: f"object {first['blob']} is missing" in store.platoon.problems(), 60, "the trouble, with its id")
    assert store.get("work") == b"two\n" and store.put("work", b"three\n")["seq"] == 3
    store.piped(b"one\n", "hash-object", "-w", "--stdin")
    store.ready()
    assert store.get(f"work@{first['commit']}") == b"one\n", "without a restart"


def gone(store, name):
    path = store.path / "objects" / name[:2] / name[2:]
    data = path.read_bytes()
    path.unlink()
    return path, data


def killed(store):
    before = store.platoon.workers()["snapshot/plan/store"]
    os.kill(before["pid"], signal.SIGKILL)
    store.platoon.replaced(before, 60)


@pytest.mark.parametrize("what", ["blob", "tree", "folder", "commit"])
def test_an_object_of_the_newest_version_is_missing_at_a_start(store, what):
    """It does not count as never put, and nothing is written upon what nobody knows; it is there again when it is."""
    store.start({"work": {"path": "in/work.tsv"}, "staff": {}})
    staff, work = store.put("staff", b"walrus\n"), store.put("work", b"two\n")
    name = {"blob": work["blob"], "tree": store.git("rev-parse", "main^{tree}").strip(), "folder": store.git("rev-parse", "main:in").strip(), "commit": work["commit"]}[what]
    path, data = gone(store, name)
    killed(store)
    wait_until(lambda: re.search(f"{name}.*(is missing|no match)|no match.*{name}", store.platoon.problems()), 60, "the trouble, with its id")
    done = store.ctl("snapshot", "get", "work")
    assert done.returncode == 1 and name in done.stderr.decode(), done
    if what == "blob":
        assert row(store, "work")["seq"] == 2 and store.get("staff") == b"walrus\n"
        assert store.put("work", b"two\n")["changed"] is False and store.get("work") == b"two\n", "who has it brings it back"
    else:
        assert store.ctl("snapshot", "put", "staff", data=b"x\n").returncode == 1, "what else is there nobody knows"
        path.write_bytes(data)
    store.ready()
    assert store.get("work") == b"two\n" and store.put("staff", b"x\n")["seq"] == 3 and staff["seq"] == 1
    good, said = store.is_sound()
    assert good, said


def test_a_commit_that_is_missing_is_not_one_that_was_cut_off(store):
    store.start({"work": {}, "staff": {}})
    first = store.put("work", b"one\n")
    store.put("staff", b"walrus\n")
    gone(store, first["commit"])
    assert [v["seq"] for v in store.json("log", "staff")] == [2]
    wait_until(lambda: f"object {first['commit']} is missing" in store.platoon.problems(), 60, "the trouble, with its id")


def test_what_is_being_cut_off_is_not_missing(store):
    """Git forgets what is cut off when it comes to it: some of what is behind the end may be there yet."""
    store.start({"work": {}, "staff": {}})
    versions = [store.put("work", b"%d\n" % i) for i in range(5)]
    (store.path / "shallow").write_text(versions[4]["commit"] + "\n")
    gone(store, versions[1]["commit"])
    assert [v["seq"] for v in store.json("log", "work")] == [5, 4, 3]
    killed(store)
    wait_until(lambda: store.get("work") == b"4\n", 60, "the store to be back")
    assert "is missing" not in store.platoon.problems() and "snapshot-lack" not in store.platoon.log_path.read_text()


def test_what_is_made_from_a_missing_object_fails_and_heals(store):
    store.start({"raw": {}, "made": {"inputs": "raw", "command": "cat", "retry_min": "100ms", "retry_max": "200ms"}})
    raw = store.put("raw", b"one\n")
    settle(store)
    gone(store, raw["blob"])
    web = Web(store, {"raw": {}, "made": {"inputs": "raw", "command": "sed s/one/two/", "retry_min": "100ms", "retry_max": "200ms"}})
    assert store.platoon.ctl("reload").returncode == 0
    wait_until(lambda: row(store, "made")["state"] == "failed" and raw["blob"] in row(store, "made")["error"], 60, "the failure")

    def says_why():
        with contextlib.suppress(ConnectionError, FileNotFoundError):  # it is being started
            answer = web.ask("/data/plan/raw")
            return answer.status == 503 and raw["blob"] in answer.json["error"]
    wait_until(says_why, 60, "web to say why")
    assert store.put("raw", b"one\n")["changed"] is False
    wait_until(lambda: store.ctl("snapshot", "get", "made").stdout == b"two\n", 60, "the next try")
    store.ready()
    wait_until(lambda: web.ask("/data/plan/raw").body == b"one\n", 60, "it over HTTP")
