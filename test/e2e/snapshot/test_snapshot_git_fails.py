"""Each write of git's programs that fails, and of the keeper: of packs, of what is cut off, of what is pushed. Nothing of what is there is harmed, and what
was to be done is done later. (That the keeper tries again by itself: test_packs, and test_mirror of test_snapshot_keeper.)"""
import itertools
import subprocess

import pytest

from platoon_fixture import wait_until
from snapshot_fixture import FAILURES
from test_snapshot_keeper import trouble

PRELOADS = True  # not under the sanitizers, whose runtime must come before whatever is preloaded (run-tests)
GIT = ("git", "git-receive-pack", "snapshot-keeper")


def sound(store, path, n):
    said = subprocess.run(["git", "-C", path, "-c", "safe.directory=*", "fsck", "--strict", "--full"], capture_output=True, text=True, timeout=120)
    assert said.returncode == 0 and "missing" not in said.stdout + said.stderr, (n, said)


@pytest.mark.parametrize("kind,error", FAILURES)
def test_packs(store, kind, error):
    plan = store.plan(*GIT)
    plan.write_error(error)
    store.start({"work": {}})
    puts = []
    for n in itertools.count(1):
        puts.append(store.put("work", b"version %d\n" % n))
        plan.fail(kind, n)
        done = store.ctl("snapshot", "pack", "plan")
        came_to_it = plan.failed(kind) > 0
        plan.fail(kind, 0)
        assert done.returncode == 0 or (came_to_it and b"the repository cannot be packed: " in done.stderr), (n, done)
        sound(store, store.path, n)
        assert store.get("work") == b"version %d\n" % n and store.get(f"work@{puts[n // 2]['commit']}") == b"version %d\n" % (n // 2 + 1), n
        if not came_to_it:
            break
    assert n > 2, "some failed"
    store.put("work", b"at last\n")
    [row] = store.json("pack")
    assert row["loose"] == 0
    wait_until(lambda: not trouble(store), 60, "the end of the trouble")
    assert [v["seq"] for v in store.json("log", "work", "--limit", "1000")] == list(range(n + 1, 0, -1))


def keeper_begins(store, over, failed):
    """Anew, so that nobody waits for its next try; until its task is over, or has failed."""
    before = store.platoon.log().count(failed)
    assert store.platoon.ctl("start", "snapshot/plan/keeper").returncode == 0
    wait_until(lambda: over() or store.platoon.log().count(failed) > before, 90, "its task")


def keeper_ends(store):
    assert store.platoon.ctl("stop", "snapshot/plan/keeper").returncode == 0


# These take longer, and git does not know the one error from the other.
TWO_ERRORS_AS_ONE = [FAILURES[0], *FAILURES[2:]]


@pytest.mark.parametrize("kind,error", TWO_ERRORS_AS_ONE)
def test_a_mirror(store, mirror, kind, error):
    """Its own writes fail, too: it is on another disk in life, and beside ours here."""
    plan = store.plan(*GIT)
    plan.write_error(error)
    store.start({"work": {}}, {"mirror": mirror})

    def noted():
        return store.git("for-each-ref", "--format=%(objectname)", "refs/platoon/mirrored").strip() == store.git("rev-parse", "main").strip()
    for n in itertools.count(1):
        keeper_ends(store)
        store.put("work", b"version %d\n" % n)
        plan.fail(kind, n)
        keeper_begins(store, noted, "the mirror does not take")
        came_to_it = plan.failed(kind) > 0
        plan.fail(kind, 0)
        sound(store, store.path, n)
        sound(store, mirror, n)
        if not came_to_it:
            break
    assert n > 1, "some failed"
    assert store.git("rev-parse", "main", path=mirror) == store.git("rev-parse", "main")


@pytest.mark.parametrize("kind,error", TWO_ERRORS_AS_ONE)
def test_a_cut(store, kind, error):
    """Two hours go by between two versions, of which the older is cut off each time: refs, shallow, the packs."""
    plan, writer = store.plan(*GIT), store.plan("snapshot")
    plan.write_error(error)
    store.start({"work": {}, "still": {}}, {"keep": "1h"})
    store.put("still", b"kept\n")
    for n in itertools.count(1):
        keeper_ends(store)
        for each in (plan, writer):
            each.clock(7200 * n)
        last = store.put("work", b"version %d\n" % n)
        before = store.platoon.log().count("snapshot-cut")
        plan.fail(kind, n)
        keeper_begins(store, lambda: store.platoon.log().count("snapshot-cut") > before, "old versions cannot be cut off")
        came_to_it = plan.failed(kind) > 0
        plan.fail(kind, 0)
        sound(store, store.path, n)
        assert store.get("work") == b"version %d\n" % n and store.get("still") == b"kept\n", n
        if not came_to_it:
            break
    assert n > 2, "some failed"
    assert store.git("rev-list", "main").split() == [last["commit"]], "all else is cut off"
