"""The keeper: what lies in a repository is packed, what is old is cut off, what is new is in the mirror; and nothing of it harms what is there."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from platoon_fixture import Platoon, wait_until
from snapshot_fixture import KEEPER_FAILS, KEEPER_STEPS, Store


def pushed(store, mirror, branch="main"):
    """The mirror has what the store has."""
    def same():
        got = subprocess.run(["git", "-C", mirror, "rev-parse", "-q", "--verify", branch], capture_output=True, text=True, timeout=60).stdout
        return got == store.git("rev-parse", branch)
    wait_until(same, 90, "the mirror to have it")


def aged(store):
    """All objects as if they lay there for two hours."""
    long_ago = time.time() - 7200
    for folder, _, names in os.walk(store.path / "objects"):
        for name in names:
            os.utime(os.path.join(folder, name), (long_ago, long_ago))


def trouble(store):
    return store.platoon.workers()["snapshot/plan/keeper"].get("trouble") or ""


def killed(store, name):
    before = store.platoon.workers()[f"snapshot/plan/{name}"]
    os.kill(before["pid"], signal.SIGKILL)
    store.platoon.replaced(before, 60)


# ---- packing ----


def test_packed_when_much_lies_loose(store):
    store.start({"work": {}}, {"pack_after": 10})
    puts = [store.put("work", b"version %d\n" % n) for n in range(12)]
    wait_until(lambda: store.gauge("snapshot_packs") > 0 and store.gauge("snapshot_loose_objects") < 10, 60, "it to be packed")
    assert [store.get(f"work@{put['commit']}") for put in puts] == [b"version %d\n" % n for n in range(12)]
    good, said = store.is_sound()
    assert good, said


def test_packed_on_demand(store):
    store.start({"work": {}})
    store.put("work", b"one\n")
    [row] = store.json("pack")
    assert (row["store"], row["loose"], row["packs"]) == ("plan", 0, 1) and row["bytes"] > 0
    done = store.ctl("snapshot", "pack", "plan")
    assert done.returncode == 0 and done.stdout.startswith(b"plan: packed: 1 packs, 0 loose objects"), done
    assert store.ctl("snapshot", "pack", "walrus").returncode == 5
    assert store.get("work") == b"one\n"


def test_what_nobody_names_goes_after_an_hour(store):
    """A writer that dies between blob and branch leaves it; a younger one may be being written."""
    store.start({"work": {}})
    store.put("work", b"one\n")
    old = store.piped(b"left long ago\n", "hash-object", "-w", "--stdin")
    aged(store)
    new = store.piped(b"left now\n", "hash-object", "-w", "--stdin")
    store.json("pack")
    assert not store.has(old) and store.has(new)
    good, said = store.is_sound()
    assert good, said
    assert store.get("work") == b"one\n"


# ---- what is old ----

VERSIONS = [("holidays", 40, b"old holidays\n"), ("holidays", 35, b"holidays\n"), ("work", 20.2, b"w1\n"), ("work", 20, b"w2\n"), ("work", 8, b"w3\n"), ("work", 2, b"w4\n")]


def cut(store, **keys):
    ids = store.make(VERSIONS)
    store.start({"work": {}, "holidays": {}}, {"keep": "10d", **keys})
    wait_until(lambda: "snapshot-cut" in store.platoon.log(), 60, "what is old to be cut off")
    return ids


def test_cut_off(store):
    """The branch begins at its oldest version that is kept; what has not changed since long is an island; no id changes."""
    ids = cut(store)
    assert sorted((store.path / "shallow").read_text().split()) == sorted([ids[4], ids[1]])
    assert store.git("rev-list", "main").split() == [ids[5], ids[4]]
    assert store.git("rev-parse", "refs/platoon/newest/holidays").strip() == ids[1]
    assert store.get("holidays") == b"holidays\n" and store.get("work") == b"w4\n"
    good, said = store.is_sound()
    assert good, said


def test_cut_off_it_is_gone_from_the_disk(store):
    ids = cut(store)
    aged(store)
    store.platoon.config_path.write_text(store.text({"work": {}, "holidays": {}}, {"keep": "5d"}))
    assert store.platoon.ctl("reload").returncode == 0
    wait_until(lambda: [store.has(commit) for commit in ids] == [False, True, False, False, False, True], 60, "what is cut off to be gone")
    assert [(row["seq"], row["commit"]) for row in store.json("log", "work")] == [(6, ids[5])]
    assert [row["seq"] for row in store.json("log", "holidays")] == [2]
    good, said = store.is_sound()
    assert good, said
    # The newest of each is found at a start too, and by its time.
    killed(store, "store")
    rows = {row["resource"]: row for row in store.json("list")}
    assert rows["holidays"]["seq"] == 2 and rows["work"]["seq"] == 6
    assert store.get("holidays@30d") == b"holidays\n" and store.get("work@1d") == b"w4\n"
    assert store.ctl("snapshot", "get", "work@15d").returncode == 1


def test_a_clone_goes_on_beyond_a_cut(store):
    store.make(VERSIONS)
    store.start({"work": {}, "holidays": {}})
    clone = store.platoon.dir / "clone"
    subprocess.run(["git", "clone", "-q", f"file://{store.path}", clone], check=True, timeout=60)
    store.platoon.config_path.write_text(store.text({"work": {}, "holidays": {}}, {"keep": "10d"}))
    assert store.platoon.ctl("reload").returncode == 0
    wait_until(lambda: (store.path / "shallow").exists(), 60, "what is old to be cut off")
    store.ready()
    store.put("work", b"w5\n")
    store.git("pull", "-q", path=clone)
    assert (clone / "work").read_bytes() == b"w5\n" and len(store.git("log", "--format=%H", path=clone).split()) == 7
    fresh = store.platoon.dir / "fresh"
    subprocess.run(["git", "clone", "-q", f"file://{store.path}", fresh], check=True, timeout=60)
    assert len(store.git("log", "--format=%H", path=fresh).split()) == 3 and (fresh / "holidays").read_bytes() == b"holidays\n"


def test_daily(store):
    ids = cut(store, keep_daily="30d")
    tags = dict(line.split()[::-1] for line in store.git("for-each-ref", "--format=%(objectname) %(refname:strip=3)", "refs/tags/daily").splitlines())
    dates = [store.git("log", "-1", "--format=%cd", "--date=format:%Y-%m-%d", commit).strip() for commit in ids[3:]]  # in UTC, as they were made
    assert [tags[date] for date in dates] == [ids[3], ids[4], ids[5]] and set(tags.values()) <= {ids[2], ids[3], ids[4], ids[5]}
    assert store.get("work@15d") == b"w2\n" and store.get(f"work@{ids[3]}") == b"w2\n"
    assert store.get("holidays@15d") == b"holidays\n"


def test_what_cannot_be_watched_is_trouble_until_it_can(faulty):
    """As when the machine's inotify instances are used up."""
    store = Store(faulty)
    fault = faulty.fault(KEEPER_FAILS[0], "error always")
    store.start({"work": {}}, {"pack_after": "1"}, ready=False)
    wait_until(lambda: "cannot be watched: too many open files: raise fs.inotify.max_user_instances" in trouble(store), 60, "the trouble")
    done = store.ctl("snapshot", "pack")
    assert done.returncode == 1 and b"fs.inotify.max_user_watches (sysctl)" in done.stderr, done
    fault.unlink()
    wait_until(lambda: not trouble(store), 60, "the end of it")
    store.ready()
    store.put("work", b"1\n")
    wait_until(lambda: store.gauge("snapshot_packs") > 0, 60, "the pack")


@pytest.mark.parametrize("step", KEEPER_STEPS[:2])
def test_killed_between_the_steps_of_a_cut(faulty, step):
    """Too much is there then, never too little; the next keeper goes on."""
    store = Store(faulty)
    ids = store.make(VERSIONS)
    faulty.fault(step, "kill")
    store.start({"work": {}, "holidays": {}}, {"keep": "10d"}, ready=False)
    wait_until(lambda: not list(faulty.faults.iterdir()), 60, "the keeper to be killed")
    store.ready()
    wait_until(lambda: (store.path / "shallow").exists() and store.git("rev-list", "main").split() == [ids[5], ids[4]], 60, "what is old to be cut off")
    assert store.get("holidays") == b"holidays\n" and store.get("work") == b"w4\n"
    good, said = store.is_sound()
    assert good, said


# ---- the mirror ----


def test_mirror(store, mirror):
    """It has each change; away, it is trouble, and gets all of it later."""
    store.start({"work": {}}, {"mirror": mirror})
    store.put("work", b"one\n")
    pushed(store, mirror)
    wait_until(lambda: store.gauge("snapshot_mirror_lag") == 0, 60, "nothing to be missing")
    mirror.rename(mirror.parent / "away.git")
    store.put("work", b"two\n")
    wait_until(lambda: "the mirror does not take" in trouble(store), 60, "the trouble")
    wait_until(lambda: store.gauge("snapshot_mirror_lag") == 1, 60, "one to be missing")
    (mirror.parent / "away.git").rename(mirror)
    pushed(store, mirror)
    store.ready()
    wait_until(lambda: store.gauge("snapshot_mirror_lag") == 0, 60, "nothing to be missing")


def hears(mirror, hook, code=0):
    """Each push by a line of its hook: when, and how nice who pushes is."""
    heard, path = mirror / "heard", mirror / "hooks" / hook
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "$(date +%s.%N) $(ps -o ni= -p $$)" >> {heard}\nexit {code}\n')
    path.chmod(0o755)
    return lambda: [(float(line.split()[0]), int(line.split()[1])) for line in heard.read_text().splitlines()] if heard.exists() else []


def test_a_mirror_is_pushed_to_now_and_then(store, mirror):
    """Every 5 s at most, however much is put, and behind everybody else's work."""
    heard = hears(mirror, "post-receive")
    store.start({"work": {}}, {"mirror": mirror})
    begun = time.monotonic()
    for i in range(30):
        store.put("work", b"%d\n" % i)
    pushed(store, mirror)
    wait_until(lambda: len(heard()) >= 1, 60, "its hook")
    assert len(heard()) <= 2 + (time.monotonic() - begun) / 5
    assert {nice for _, nice in heard()} == {19}


def test_a_mirror_that_refuses_is_asked_ever_more_seldom(store, mirror):
    heard = hears(mirror, "pre-receive", code=1)
    store.start({"work": {}}, {"mirror": mirror})
    store.put("work", b"one\n")
    wait_until(lambda: len(heard()) >= 3, 90, "three tries")
    first, second, third = (at for at, _ in heard()[:3])
    assert second - first >= 5 and third - second >= 10, heard()
    assert "the mirror does not take" in trouble(store)


def test_a_mirror_with_commits_of_others_is_not_forced(store, mirror):
    store.start({"work": {}}, {"mirror": mirror})
    store.put("work", b"one\n")
    pushed(store, mirror)
    tree = store.git("rev-parse", "main^{tree}").strip()
    other = subprocess.run(["git", "-C", mirror, "-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", tree, "-p", "main", "-m", "theirs"], check=True,
                           capture_output=True, text=True, timeout=60).stdout.strip()
    store.git("update-ref", "refs/heads/main", other, path=mirror)
    store.put("work", b"two\n")
    wait_until(lambda: re.search("never forced.*rejected", trouble(store)), 60, "the trouble")
    assert store.git("rev-parse", "main", path=mirror).strip() == other
    assert store.get("work") == b"two\n"


def test_what_the_mirror_lacks_is_not_cut_off(store, mirror):
    """No mirror takes commits whose parents it has never had."""
    ids = store.make(VERSIONS)
    away = mirror.rename(mirror.parent / "away.git")
    store.start({"work": {}, "holidays": {}}, {"keep": "10d", "mirror": mirror}, ready=False)
    wait_until(lambda: "the mirror does not take" in trouble(store), 60, "the trouble")
    assert not (store.path / "shallow").exists() and store.git("rev-list", "main").split() == ids[::-1]
    away.rename(mirror)
    pushed(store, mirror)
    wait_until(lambda: (store.path / "shallow").exists() and store.git("rev-list", "main").split() == [ids[5], ids[4]], 60, "what is old to be cut off")
    store.put("work", b"w5\n")
    pushed(store, mirror)
    assert len(store.git("rev-list", "main", path=mirror).split()) == 7
    good, said = store.is_sound()
    assert good, said
    store.ready()


def test_another_mirror_and_none(store, mirror):
    """Another one gets all of it; what one had that is none any more is no reason to keep anything."""
    ids = store.make(VERSIONS)
    other = mirror.with_name("other.git")
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", other], check=True, timeout=60)
    resources = {"work": {}, "holidays": {}}
    store.start(resources, {"mirror": mirror})
    pushed(store, mirror)

    def cuts():
        return store.platoon.log_path.read_text().count("snapshot-cut")

    def reload(snapshot):
        store.platoon.config_path.write_text(store.text(resources, snapshot))
        assert store.platoon.ctl("reload").returncode == 0
    reload({"mirror": other})
    pushed(store, other)
    reload({"mirror": other, "keep": "10d"})
    wait_until(lambda: (store.path / "shallow").exists() and store.git("rev-list", "main").split() == [ids[5], ids[4]], 60, "what is old to be cut off")
    wait_until(lambda: cuts() > 0, 60, "the first time to be over")
    before = cuts()
    reload({"keep": "10d"})
    wait_until(lambda: store.git("for-each-ref", "refs/platoon/mirrored") == "", 60, "no mirror's to be left")
    wait_until(lambda: cuts() > before, 60, "git to be done: what it packs is young")
    aged(store)
    last = store.put("work", b"w5\n")["commit"]
    reload({"keep": "1d"})
    wait_until(lambda: store.git("rev-list", "main").split() == [last] and not store.has(ids[4]), 60, "all else to be gone")
    good, said = store.is_sound()
    assert good, said
    store.ready()


def test_killed_behind_a_push(faulty, mirror_of_faulty):
    store = Store(faulty)
    faulty.fault(KEEPER_STEPS[2], "kill")
    store.start({"work": {}}, {"mirror": mirror_of_faulty})
    store.put("work", b"one\n")
    wait_until(lambda: not list(faulty.faults.iterdir()), 60, "the keeper to be killed")
    store.ready()
    store.put("work", b"two\n")
    pushed(store, mirror_of_faulty)


@pytest.fixture
def mirror_of_faulty(faulty):
    path = faulty.dir / "mirror.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True, timeout=60)
    return path


def test_another_machine_takes_over_from_the_mirror(store, mirror):
    """Its numbers go on."""
    store.start({"work": {}}, {"mirror": mirror})
    store.put("work", b"one\n")
    store.put("work", b"two\n")
    pushed(store, mirror)
    store.platoon.stop()
    shutil.rmtree(store.path)
    subprocess.run(["git", "clone", "-q", "--bare", mirror, store.path], check=True, timeout=60)
    store.start({"work": {}})
    assert store.put("work", b"three\n")["seq"] == 3
    assert [row["seq"] for row in store.json("log", "work")] == [3, 2, 1]


# ---- a branch in a folder, which git removes when it packs the refs ----

IN_A_FOLDER = "data/main"


def test_it_hears_of_a_branch_whose_folder_is_made_anew(store, mirror):
    """Each time; and what lies there of a git that somebody else runs, which removed it and goes on (gc), is left alone."""
    store.start({"work": {}}, {"branch": IN_A_FOLDER, "mirror": mirror})
    folder, others = store.path / "refs/heads/data", store.path / "objects/pack/tmp_pack_abcdef"
    store.put("work", b"0\n")
    pushed(store, mirror, IN_A_FOLDER)
    others.touch()
    for n in range(1, 4):
        store.git("pack-refs", "--all")
        assert not folder.exists()
        store.put("work", b"%d\n" % n)
        assert folder.exists()
        pushed(store, mirror, IN_A_FOLDER)
    assert others.exists()
    good, said = store.is_sound()
    assert good, said


def test_it_works_while_the_folder_of_the_branch_is_away(store, mirror):
    """What was put just before that is pushed without waiting for another version; a keeper that is born then works too, and hears of the next."""
    store.start({"work": {}}, {"branch": IN_A_FOLDER, "mirror": mirror})
    store.put("work", b"one\n")
    store.git("pack-refs", "--all")
    pushed(store, mirror, IN_A_FOLDER)
    killed(store, "keeper")
    assert not (store.path / "refs/heads/data").exists() and store.json("pack")[0]["packs"] == 1
    store.put("work", b"two\n")
    pushed(store, mirror, IN_A_FOLDER)


def test_it_sees_a_folder_go_of_which_it_is_told_nothing(store, mirror):
    """Of an empty one that it holds the kernel says nothing: it looks for itself."""
    store.start({"work": {}}, {"branch": IN_A_FOLDER, "mirror": mirror})
    store.put("work", b"one\n")
    pushed(store, mirror, IN_A_FOLDER)
    assert store.platoon.ctl("stop", "snapshot/plan/keeper").returncode == 0
    store.git("pack-refs", "--all", "--no-prune")
    (store.path / "refs/heads" / IN_A_FOLDER).unlink()
    assert store.platoon.ctl("start", "snapshot/plan/keeper").returncode == 0
    store.json("pack")
    (store.path / "refs/heads/data").rmdir()
    for n in range(2):
        store.put("work", b"%d\n" % n)
        pushed(store, mirror, IN_A_FOLDER)


# ---- whose it is ----


def test_somebody_elses_repository_is_left_alone(store):
    """The keeper of a platoon whose store waits does nothing."""
    store.start({"work": {}})
    store.put("work", b"one\n")
    other = Platoon()
    try:
        second = Store(other)
        other.config_path.write_text(second.text({"work": {}}, {"path": store.path, "pack_after": 1, "keep": "1s"}))
        other.start_troubled()
        done = second.ctl("snapshot", "pack")
        assert done.returncode == 1 and b"store is away" in done.stderr, done
        wait_until(lambda: other.workers()["snapshot/plan/keeper"]["doing"] == "waits for the store", 60, "it to wait")
        assert not (store.path / "shallow").exists() and not list((store.path / "objects/pack").glob("*.pack"))
    finally:
        other.close(False)


def test_killed_at_any_time_while_it_packs(store):
    """Its git goes with it, and what that leaves is no harm."""
    store.start({"work": {}}, {"pack_after": 3})
    for n in range(15):
        store.put("work", b"version %d\n" % n)
        if n % 3 == 2:
            killed(store, "keeper")
    done = wait_until(lambda: (d := store.ctl("--json", "snapshot", "pack")).returncode == 0 and d, 60, "the last keeper to know whose it is")
    assert json.loads(done.stdout)[0]["loose"] == 0
    assert store.get("work") == b"version 14\n" and len(store.json("log", "work")) == 15
    good, said = store.is_sound()
    assert good, said


def test_without_git_it_is_not_started(platoon):
    store = Store(platoon)
    platoon.config_path.write_text(store.text({"work": {}}))
    empty = platoon.dir / "bin"
    empty.mkdir()
    done = subprocess.run([platoon.build / "platoon", "-c", platoon.config_path], capture_output=True, text=True, timeout=60, env={**platoon.environment(), "PATH": str(empty)})
    assert done.returncode == 78 and "git is in no directory of PATH: install it" in done.stderr, done


def test_pack_says_what_it_has_done_as_json(store):
    store.start({"work": {}})
    done = store.ctl("--json", "snapshot", "pack")
    assert done.returncode == 0 and json.loads(done.stdout) == [{"store": "plan", "loose": 0, "packs": 0, "bytes": json.loads(done.stdout)[0]["bytes"]}], done
