"""What goes wrong with snapshots: deaths at each step, a full disk, two who write, a branch that somebody has moved, a folder that is none of ours."""
import os
import re
import signal
import subprocess

import pytest

from platoon_fixture import ASAN, freeze, Platoon, ROOT, wait_until
from snapshot_fixture import FAILURES, KEEPER_FAILS, KEEPER_STEPS, Store, WEB_CLOCKS, WHATIF_STEPS
from test_snapshot_runs import PULL, RUN, WORKER

STEPS = ["snapshot.after-blob", "snapshot.after-tree", "snapshot.after-commit"]
TORN = ["snapshot.after-branch", "snapshot.branch-sync", "snapshot.sync-all", "snapshot.take-back"]


def test_every_point_is_visited():
    found = {point for path in (ROOT / "workers/snapshot").rglob("*.c") for point in re.findall(r'FAULT_POINT\("([^"]+)"', path.read_text())}
    assert found == {*STEPS, *RUN, *WORKER, *PULL, *TORN, *KEEPER_STEPS, *KEEPER_FAILS, *WHATIF_STEPS, *WEB_CLOCKS}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_it_is_the_old_version(faulty, step):
    store = Store(faulty).start({"work": {}})
    store.put("work", b"old\n")
    faulty.fault(step, "kill")
    done = store.ctl("snapshot", "put", "work", data=b"new\n")
    assert done.returncode == 1, done
    store.ready()
    assert store.get("work") == b"old\n"
    assert store.put("work", b"new\n")["seq"] == 2
    good, said = store.is_sound()
    assert good, said


def test_killed_before_the_answer_it_is_the_new_version(faulty):
    """Who was not answered asks again, and makes no second one."""
    store = Store(faulty).start({"work": {}})
    store.put("work", b"old\n")
    faulty.fault("snapshot.after-branch", "kill")
    assert store.ctl("snapshot", "put", "work", data=b"new\n").returncode == 1
    store.ready()
    assert store.get("work") == b"new\n"
    again = store.put("work", b"new\n")
    assert again["changed"] is False and again["seq"] == 2
    good, said = store.is_sound()
    assert good, said


def test_what_is_neither_synced_nor_taken_back_is_refused_and_trouble(faulty):
    """git may show it all the same; nobody was told that it is there, and nothing is written upon it."""
    store = Store(faulty).start({"work": {}})
    store.put("work", b"old\n")
    faulty.fault("snapshot.branch-sync", "error")
    faulty.fault("snapshot.sync-all", "error")
    faulty.fault("snapshot.take-back", "error")
    done = store.ctl("snapshot", "put", "work", data=b"new\n")
    assert done.returncode == 1 and b"the branch could neither be synced nor moved back" in done.stderr, done
    wait_until(lambda: "could neither be synced nor moved back" in faulty.problems(), 60, "the trouble")
    assert store.get("work") == b"old\n"
    assert store.ctl("snapshot", "put", "work", data=b"other\n").returncode == 1
    assert faulty.ctl("restart", "snapshot/plan/store").returncode == 0
    assert store.get("work") == b"new\n", "it has stayed, and is what the store begins with"
    assert store.put("work", b"other\n")["seq"] == 3


@pytest.mark.parametrize("step", STEPS)
def test_what_fails_at_a_step_changes_nothing(faulty, step):
    store = Store(faulty).start({"work": {}})
    store.put("work", b"old\n")
    faulty.fault(step, "error")
    done = store.ctl("snapshot", "put", "work", data=b"new\n")
    assert done.returncode == 1 and b"work: not accepted" in done.stderr
    assert store.get("work") == b"old\n"
    assert store.put("work", b"new\n")["seq"] == 2


def test_kills_at_any_moment_lose_nothing_that_was_accepted(store):
    store.start({"work": {}})
    accepted = 0
    for n in range(40):
        put = subprocess.Popen([store.platoon.build / "platoonctl", "-s", store.platoon.dir / "run/control.sock", "snapshot", "put", "work"], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        put.stdin.write(b"%d\n" % n)
        put.stdin.close()
        if n % 4 == 3:
            before = store.platoon.workers()["snapshot/plan/store"]
            os.kill(before["pid"], signal.SIGKILL)
            store.platoon.replaced(before, 60)
        done = put.wait(60)
        if done == 0:
            accepted = n
            assert store.get("work") == b"%d\n" % n
    seqs = [v["seq"] for v in store.json("log", "work", "--limit", "1000")]
    assert seqs == list(range(len(seqs), 0, -1)), "without a hole"
    assert accepted > 20 and int(store.get("work")) >= accepted
    good, said = store.is_sound()
    assert good, said


def test_what_a_killed_writer_left_is_removed(store):
    store.start({"work": {}})
    store.put("work", b"1\n")
    assert store.platoon.stop() == 0
    for name in ("refs/heads/main.lock", "HEAD.lock", "objects/tmp_obj_x1", "config.lock"):
        (store.path / name).write_text("")
    store.platoon.start()
    assert store.put("work", b"2\n")["seq"] == 2
    assert not [p for p in store.path.rglob("*.lock") if p.name != "platoon.lock"] and not list(store.path.rglob("tmp_obj_*"))


def test_two_platoons_on_one_repository(store, platoons):
    store.start({"work": {}})
    store.put("work", b"1\n")
    other = Store(platoons())
    other.path = store.path
    other.platoon.config_path.write_text(other.text({"work": {}}, {"path": str(store.path)}))
    other.platoon.start(ready=False)
    pid = store.platoon.workers()["snapshot/plan/store"]["pid"]
    wait_until(lambda: f"is written by another platoon, process {pid} already" in other.platoon.problems(), 60, "the trouble")
    done = other.ctl("snapshot", "put", "work", data=b"2\n")
    assert done.returncode == 1 and b"is written by another platoon" in done.stderr
    assert store.platoon.stop() == 0
    other.ready()
    assert other.put("work", b"2\n")["seq"] == 2


def test_a_branch_that_somebody_has_moved_is_not_overwritten(store):
    store.start({"work": {}})
    first = store.put("work", b"1\n")
    store.put("work", b"2\n")
    store.git("update-ref", "refs/heads/main", first["commit"])
    done = store.ctl("snapshot", "put", "work", data=b"3\n")
    assert done.returncode == 1 and b"somebody else has moved the branch" in done.stderr
    wait_until(lambda: "somebody else has moved the branch" in store.platoon.problems(), 60, "the trouble")
    assert store.ctl("snapshot", "put", "work", data=b"3\n").returncode == 1
    assert store.git("rev-parse", "main").strip() == first["commit"]
    assert store.platoon.ctl("restart", "snapshot/plan/store").returncode == 0
    assert store.get("work") == b"1\n"
    assert store.put("work", b"3\n")["seq"] == 2


def test_a_folder_that_is_none_of_ours(store, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("x")
    theirs = tmp_path / "theirs.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", theirs], check=True)
    work = tmp_path / "work"
    subprocess.run(["git", "clone", "-q", theirs, work], check=True, capture_output=True)
    subprocess.run(["git", "-C", work, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    subprocess.run(["git", "-C", work, "push", "-q", "origin", "HEAD:main"], check=True, capture_output=True)
    for path, text in ((tmp_path / "full", "is neither empty nor a bare git repository"), (theirs, "the newest commit of main is not platoon's")):
        store.platoon.config_path.write_text(store.text({"work": {}}, {"path": str(path)}))
        store.platoon.start(ready=False)
        wait_until(lambda text=text: text in store.platoon.problems(), 60, text)
        store.platoon.stop()
    assert sorted(p.name for p in (tmp_path / "full").iterdir()) == ["file", "platoon.lock"]


def test_who_breaks_off_is_forgotten_and_others_go_on(store):
    """Each beginning that is not gone on with would keep its room: sixteen are the most."""
    store.start({"work": {"size_min": "0"}})
    for n in range(20):
        store.platoon.ctl("--json", "send", "snapshot/plan/store", "{}")
        put = subprocess.Popen([store.platoon.build / "platoonctl", "-s", store.platoon.dir / "run/control.sock", "snapshot", "put", "work"], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        put.stdin.write(b"%d\n" % n)
        put.kill()
        put.wait(60)
    assert store.put("work", b"whole\n")["changed"] is True


class Small(Platoon):
    """Whose state, or another folder, is on a disk of 2 MB."""
    mounted = "state"

    def mount(self, name="state"):
        self.mounted = name
        (self.dir / name).mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", self.dir / name], check=True)

    def read_only(self, yes):
        """Nobody keeps a file open for writing there, so it can be."""
        subprocess.run(["mount", "-o", f"remount,{'ro' if yes else 'rw'}", self.dir / self.mounted], check=True, timeout=60)

    def close(self, failed=False):
        try:
            super().close(failed)
        finally:
            subprocess.run(["umount", "-l", self.dir / self.mounted], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture
def platoon_kind(request):
    return Small if "disk" in request.node.name else Platoon


def test_a_full_disk_refuses_and_reads_go_on(store):
    store.platoon.mount()
    store.start({"work": {"size_max": "1MB"}, "small": {}})
    store.put("small", b"1\n")
    kept = None
    for _ in range(20):
        data = os.urandom(300000)
        done = store.ctl("snapshot", "put", "work", data=data)
        if done.returncode != 0:
            break
        kept = data
    assert done.returncode == 1 and b"work: not accepted" in done.stderr and b"o space left" in done.stderr, done
    ballast = store.platoon.dir / "state/ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        while True:
            os.write(fd, b"x" * 4096)
    os.close(fd)
    assert store.ctl("snapshot", "put", "small", data=b"2\n").returncode == 1
    assert store.get("work") == kept and store.get("small") == b"1\n"
    ballast.unlink()
    assert store.put("small", b"2\n")["changed"] is True, "without a restart"
    good, said = store.is_sound()
    assert good, said


def test_a_run_on_a_full_disk_fails_and_is_made_up_for(store):
    store.platoon.mount()
    store.start({"work": {}, "made": {"inputs": "work", "command": "sh -c 'cat >/dev/null; head -c 600000 /dev/urandom'", "retry_min": "200ms", "retry_max": "400ms"}})
    ballast = store.platoon.dir / "state/ballast"
    store.put("work", b"0\n")
    assert store.ctl("snapshot", "wait").returncode == 0
    ballast.write_bytes(bytes(900000))
    store.put("work", b"1\n")
    done = store.ctl("snapshot", "wait")
    assert done.returncode == 1 and b"made is failed" in done.stderr and b"o space left" in done.stderr, done
    assert len(store.get("made")) == 600000, "reading goes on"
    ballast.unlink()
    wait_until(lambda: store.json("show", "made")["state"] == "ok", 60, "the next try")
    assert store.json("show", "made")["seq"] == 4
    good, said = store.is_sound()
    assert good, said


def test_a_read_only_disk_refuses_and_reads_go_on(store):
    store.platoon.mount("data")
    store.path = store.platoon.dir / "data/plan.git"
    store.start({"work": {}, "made": {"inputs": "work", "command": "sed s/^/m/", "retry_min": "200ms", "retry_max": "400ms"}}, {"path": store.path})
    store.put("work", b"1\n")
    assert store.ctl("snapshot", "wait").returncode == 0
    store.platoon.read_only(True)
    for start in (False, True):
        if start:
            before = store.platoon.workers()["snapshot/plan/store"]
            os.kill(before["pid"], signal.SIGKILL)
            store.platoon.replaced(before, 60)
        done = store.ctl("snapshot", "put", "work", data=b"2\n")
        assert done.returncode == 1 and b"is read-only: make it writable" in done.stderr, done
        assert store.get("work") == b"1\n" and store.get("made") == b"m1\n"
    store.platoon.read_only(False)
    assert store.put("work", b"2\n")["seq"] == 3, "without a restart"
    assert store.ctl("snapshot", "wait").returncode == 0 and store.get("made") == b"m2\n"
    wait_until(lambda: store.ctl("snapshot", "pack").returncode == 0, 60, "the keeper to know whose it is")
    good, said = store.is_sound()
    assert good, said


def test_a_store_that_starts_on_a_full_disk_reads(store):
    store.platoon.mount()
    store.start({"work": {}})
    store.put("work", b"1\n")
    ballast = store.platoon.dir / "state/ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        while True:
            os.write(fd, b"x" * 4096)
    os.close(fd)
    before = store.platoon.workers()["snapshot/plan/store"]
    os.kill(before["pid"], signal.SIGKILL)
    store.platoon.replaced(before, 60)
    done = store.ctl("snapshot", "put", "work", data=b"2\n")
    assert done.returncode == 1 and b"o space left" in done.stderr, done
    assert store.get("work") == b"1\n"
    ballast.unlink()
    assert store.put("work", b"2\n")["seq"] == 2, "without a restart"


def test_a_worker_that_hangs_is_replaced_and_nothing_is_lost(store):
    store.platoon.config_path.write_text(store.text({"work": {}}).replace("state_dir = state", "state_dir = state  hang_timeout = 5s"))
    store.platoon.start()
    store.put("work", b"1\n")
    pid = store.platoon.workers()["snapshot/plan/store"]["pid"]
    freeze(pid)
    wait_until(lambda: store.platoon.workers()["snapshot/plan/store"]["pid"] not in (pid, None), 60, "its successor")
    store.ready()
    assert store.put("work", b"2\n")["seq"] == 2


# Not under the sanitizers: their runtime must come before whatever is preloaded.
if not ASAN:
    @pytest.mark.parametrize("kind,error", FAILURES)
    def test_each_call_that_fails(store, kind, error):
        plan = store.plan("snapshot")
        plan.write_error(error)
        store.start({"work": {"path": "in/work.tsv"}})
        kept, seq, failures = None, 0, 0
        for n in range(1, 200):
            data = b"version %d\n" % n
            plan.fail(kind, n)
            done = store.ctl("snapshot", "put", "work", data=data)
            came_to_it = plan.failed(kind) > 0
            plan.fail(kind, 0)
            failures += came_to_it
            if done.returncode == 0:
                kept, seq = data, seq + 1
            else:
                assert came_to_it and done.returncode == 1 and b"work: not accepted" in done.stderr, (n, done)
            assert store.json("list")[0].get("seq", 0) == seq, (n, done)
            if kept is not None:
                assert store.get("work") == kept, (n, done)
            if not came_to_it:
                break
        else:
            raise AssertionError("a put has no end of such calls")
        assert failures > 0
        assert store.put("work", b"at last\n")["seq"] == seq + 1
        assert [v["seq"] for v in store.json("log", "work", "--limit", "1000")] == list(range(seq + 1, 0, -1))
        good, said = store.is_sound()
        assert good, said

    @pytest.mark.parametrize("kind,error", FAILURES)
    def test_each_call_of_the_store_that_fails_in_a_run(store, kind, error):
        """The run fails, or is made up for; what is there in the end is what its program makes of the newest input."""
        plan = store.plan("snapshot")
        plan.write_error(error)
        store.start({"work": {}, "made": {"inputs": "work", "command": "sed s/^/made-/", "retry_min": "50ms", "retry_max": "100ms"}})
        for n in range(1, 200):
            store.put("work", b"version %d\n" % n)
            assert store.ctl("snapshot", "wait").returncode in (0, 1)
            plan.fail(kind, n)
            store.ctl("snapshot", "run", "made")  # unchanged: it writes nothing
            store.ctl("snapshot", "put", "work", data=b"again %d\n" % n)
            store.ctl("snapshot", "wait")
            came_to_it = plan.failed(kind) > 0
            plan.fail(kind, 0)
            wait_until(lambda: store.ctl("snapshot", "wait").returncode == 0, 60, "what was to be made up for")
            assert store.get("made") == b"made-" + store.get("work"), n
            if not came_to_it:
                break
        else:
            raise AssertionError("a run has no end of such calls")
        assert n > 3, "some failed"
        seqs = [int(line) for line in store.git("log", "--format=%(trailers:key=Seq,valueonly,separator=)", "main").split()]
        assert seqs == list(range(len(seqs), 0, -1)), "without a hole"
        good, said = store.is_sound()
        assert good, said
