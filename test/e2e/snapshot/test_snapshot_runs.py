"""Resources that are made: when a command runs, what it reads, what becomes of what it says, and what it leaves behind."""
import json
import os
import pathlib
import pwd
import re
import signal
import subprocess
import time

import pytest

from platoon_fixture import wait_until
from snapshot_fixture import Store

COUNT = "echo run >> {dir}/runs.$PLATOON_RESOURCE; "


def shell(store, text):
    """A command that is that line of shell."""
    script = store.platoon.dir / f"command.{len(list(store.platoon.dir.glob('command.*')))}"
    script.write_text(text.replace("{dir}", str(store.platoon.dir)) + "\n")
    return f"sh {script}"


def runs(store, resource):
    path = store.platoon.dir / f"runs.{resource}"
    return len(path.read_text().splitlines()) if path.exists() else 0


def settle(store, code=0):
    done = store.ctl("--timeout", "100s", "snapshot", "wait")
    assert done.returncode == code, done
    return done.stderr.decode()


def row(store, resource):
    return next(r for r in store.json("list") if r["resource"] == resource)


def trailers(store, commit):
    return [tuple(line.split(": ", 1)) for line in store.git("log", "-1", "--format=%(trailers)", commit).splitlines() if line]


def descendants(mark):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_one_change_runs_each_step_once_by_however_many_ways(store):
    both = shell(store, COUNT + "cat")
    store.start({"raw": {}, "left": {"inputs": "raw", "command": shell(store, COUNT + "sed s/^/l/")},
                 "right": {"inputs": "raw", "command": shell(store, COUNT + "sed s/^/r/")}, "all": {"inputs": "left right", "command": both, "header": "ignored"}})
    for n in range(1, 4):
        store.put("raw", b"%d\n" % n)
        settle(store)
        assert [runs(store, r) for r in ("left", "right", "all")] == [n, n, n]
        assert store.get("all") == b"=====left\n\tl%d\n=====right\n\tr%d\n" % (n, n)
    store.put("raw", b"3\n")
    settle(store)
    assert runs(store, "all") == 3, "equal bytes are no version"
    assert row(store, "all")["state"] == "ok" and row(store, "all")["source"] == "filter"


def test_a_version_says_what_it_was_made_from(store):
    store.start({"raw": {"header": "the raw one"}, "more": {}, "made": {"inputs": "more raw", "command": "cat"}})
    raw, more = store.put("raw", b"no end"), store.put("more", b"m\n")
    settle(store)
    made = row(store, "made")
    assert store.get("made") == b"=====more\n\tm\n=====the raw one\n\tno end\n"
    said = trailers(store, made["commit"])
    assert said[:5] == [("Seq", "3"), ("Source", "filter"), ("Input", f"more {more['commit']}"), ("Input", f"raw {raw['commit']}"), ("Command", "cat")]
    assert said[5][0] == "Duration-Ms" and said[6:] == [("By", "snapshot/plan/made")]
    shown = store.json("show", "made")
    assert shown["inputs"] == [{"resource": "more", "commit": more["commit"], "blob": more["blob"]}, {"resource": "raw", "commit": raw["commit"], "blob": raw["blob"]}]
    assert shown["last_run"]["result"] == "changed" and shown["last_run"]["error"] == ""
    done = store.ctl("snapshot", "put", "made", data=b"x\n")
    assert done.returncode == 1 and b"its command makes it" in done.stderr


@pytest.mark.parametrize("text,keys,error", [
    ("cat; echo first >&2; echo 'the last  ' >&2; exit 3", {}, "exit 3: the last"),
    ("exit 4", {}, "exit 4"),
    ("kill -9 $$", {}, "signal 9"),
    ("echo begun; sleep 4711", {"timeout": "1s"}, "timed out after 1s"),
    ("trap '' TERM; echo begun; while :; do sleep 0.1; done", {"timeout": "1500ms", "stop_timeout": "200ms"}, "timed out after 1500ms"),
    ("yes", {"size_max": "1MB"}, "output above size_max (1MB)"),
    ("true", {}, "output below size_min (1)"),
    ("echo x", {"directory": "/nowhere"}, "cannot start sh: directory /nowhere: No such file or directory: make it, or correct `directory`"),
])
def test_what_fails_commits_nothing_and_says_why(store, text, keys, error):
    store.start({"raw": {}, "made": {"inputs": "raw", "command": shell(store, text), "retry_min": "1h", "retry_max": "2h", **keys},
                 "held": {"inputs": "made", "command": "cat"}})
    store.put("raw", b"1\n")
    said = settle(store, 1)
    assert f"made is failed: {error}" in said and "held is held: waits for made, which failed" in said
    made = row(store, "made")
    assert (made["state"], made["error"]) == ("failed", error) and "seq" not in made and made["next"] is not None
    assert store.json("show", "made")["last_run"]["result"] == "failed"
    done = store.ctl("snapshot", "run", "made")
    assert done.returncode == 1 and f"made: {error}" in done.stderr.decode()
    done = store.ctl("snapshot", "run", "held")
    assert done.returncode == 1 and b"held: waits for made, which failed" in done.stderr
    assert store.git("rev-list", "--count", "main").strip() == "1"


def test_what_a_command_is_told_and_what_stays_of_what_it_says(store):
    """Its stderr is in its worker's log, and the last 16 KB stay with the run."""
    text = "cat; echo $PLATOON_RESOURCE $PLATOON_COMMIT ${PLATOON_WHATIF-none} >> {dir}/told; echo first-of-it >&2; head -c 20000 /dev/zero | tr '\\0' x >&2; echo; echo; echo last-of-it >&2"
    store.start({"raw": {}, "other": {}, "made": {"inputs": "raw", "command": shell(store, text)}})
    commits = []
    for n in range(2):
        commits.append(store.put("raw", b"%d\n" % n)["commit"])
        settle(store)
    assert (store.platoon.dir / "told").read_text() == "".join(f"made {commit} none\n" for commit in commits), "the commit that its inputs are of"
    said = store.json("show", "made")["last_run"]["stderr"]
    assert len(said) == 16384 and said == "x" * (16384 - 11) + "last-of-it\n"
    wait_until(lambda: re.search(r"snapshot/plan/made .*first-of-it", store.platoon.log()), 60, "its log")
    shown, of_list = store.json("show", "made"), row(store, "made")
    assert set(shown) - set(of_list) == {"inputs", "last_run"} and of_list.items() <= shown.items(), "show adds to what the list says"
    assert set(of_list) == {"store", "resource", "path", "source", "state", "error", "seq", "commit", "blob", "size", "time", "checked", "next"}
    assert set(shown["last_run"]) == {"at", "result", "error", "duration_ms", "stderr"}
    assert store.json("show", "raw")["inputs"] == [] and store.json("show", "raw")["last_run"] is None


def test_who_called_setsid_is_gone_after_a_timeout_too(store):
    mark = f"89{os.getpid()}"
    text = f"trap '' TERM; setsid sh -c \"trap '' TERM; sleep {mark}.1\" & (setsid sleep {mark}.2 &) ; echo begun; sleep {mark}.3"
    store.start({"made": {"command": shell(store, text), "timeout": "1s", "stop_timeout": "100ms", "retry_min": "1h", "retry_max": "1h"}})
    assert "made is failed: timed out after 1s" in settle(store, 1)
    assert not descendants(f"sleep\0{mark}"), "gone before its end is told"


def test_a_failed_pull_holds_nothing(store):
    """What was pulled before counts; what is made of it and of others goes on."""
    bad = store.platoon.dir / "bad"
    store.start({"pulled": {"command": shell(store, f"echo p; ! test -e {bad}"), "retry_min": "1h", "retry_max": "1h"}, "raw": {},
                 "made": {"inputs": "pulled raw", "command": "cat"}, "after": {"inputs": "made", "command": "cat"}})
    store.put("raw", b"1\n")
    settle(store)
    bad.write_text("")
    assert store.ctl("snapshot", "run", "pulled").returncode == 1
    store.put("raw", b"2\n")
    assert "pulled is failed: exit 1" in settle(store, 1)
    assert store.get("after") == b"=====pulled\n\tp\n=====raw\n\t2\n" and row(store, "pulled")["state"] == "failed"
    bad.unlink()
    assert store.ctl("snapshot", "run", "pulled").returncode == 0, "at once, though its next try is an hour away"
    settle(store)


def test_a_program_that_is_not_there(store):
    store.start({"made": {"command": "no-such-program-here", "retry_min": "1h", "retry_max": "1h"}})
    assert "cannot start no-such-program-here: it is in no directory of PATH" in settle(store, 1)
    checked = subprocess.run([store.platoon.build / "platoon", "-c", store.platoon.config_path, "--check"], capture_output=True, text=True, timeout=60)
    assert "command: no-such-program-here: is in no directory of PATH: install it" in checked.stdout + checked.stderr and checked.returncode == 0, checked


def test_a_failure_is_tried_again_for_ever_and_a_new_input_at_once(store):
    flag = store.platoon.dir / "flag"
    store.start({"raw": {}, "made": {"inputs": "raw", "command": shell(store, COUNT + f"cat; test -e {flag}"), "retry_min": "100ms", "retry_max": "200ms"}})
    store.put("raw", b"1\n")
    wait_until(lambda: runs(store, "made") >= 4, 60, "further tries")
    flag.write_text("")
    wait_until(lambda: row(store, "made")["state"] == "ok", 60, "the success")
    assert store.get("made") == b"1\n" and row(store, "made")["error"] is None


def test_a_new_input_does_not_wait_for_the_pause_of_a_failure(store):
    store.start({"raw": {}, "made": {"inputs": "raw", "command": shell(store, "grep good"), "retry_min": "1h", "retry_max": "1h"}})
    store.put("raw", b"bad\n")
    settle(store, 1)
    store.put("raw", b"good\n")
    settle(store)
    assert store.get("made") == b"good\n"


def test_a_change_during_a_run_makes_it_due_once_more(store):
    gate = store.platoon.dir / "gate"
    store.start({"raw": {}, "made": {"inputs": "raw", "command": shell(store, COUNT + f"cat; while ! test -e {gate}; do sleep 0.05; done")}})
    store.put("raw", b"1\n")
    wait_until(lambda: row(store, "made")["state"] == "running", 60, "the run")
    for n in range(2, 6):
        store.put("raw", b"%d\n" % n)
    gate.write_text("")
    settle(store)
    assert store.get("made") == b"5\n" and runs(store, "made") == 2
    assert [v["seq"] for v in store.json("log", "made")] == [7, 6]


def test_its_exit_ends_it_and_all_of_it_is_gone(store):
    mark = f"86{os.getpid()}"
    store.start({"made": {"command": shell(store, f"echo out; sleep {mark}.1 & setsid sleep {mark}.2 & (setsid sleep {mark}.3 &) ; echo err >&2")}})
    settle(store)
    assert store.get("made") == b"out\n"
    assert not descendants(f"sleep\0{mark}"), "gone before its end is told"
    assert store.json("show", "made")["last_run"]["stderr"] == "err\n"


@pytest.mark.parametrize("who", ["snapshot/plan/made", "snapshot/plan/store"])
def test_a_death_during_a_run_starts_it_over_and_leaves_nobody(store, who):
    mark = f"87{os.getpid()}"
    gate = store.platoon.dir / "gate"
    store.start({"raw": {}, "made": {"inputs": "raw", "command": shell(store, COUNT + f"cat; test -e {gate} || {{ setsid sleep {mark} & sleep {mark}; }}"), "timeout": "1h"}})
    store.put("raw", b"1\n")
    wait_until(lambda: len(descendants(f"sleep\0{mark}")) == 2, 60, "the run")
    gate.write_text("")
    before = store.platoon.workers()[who]
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: not descendants(f"sleep\0{mark}"), 60, "the end of what it left")
    store.platoon.replaced(before, 60)
    store.ready()
    settle(store)
    assert store.get("made") == b"1\n" and row(store, "made")["seq"] == 2 and runs(store, "made") >= 2


def test_the_end_of_the_master_ends_a_run(store):
    mark = f"88{os.getpid()}"
    store.start({"made": {"command": shell(store, f"setsid sleep {mark} & sleep {mark}"), "timeout": "1h"}})
    wait_until(lambda: len(descendants(f"sleep\0{mark}")) == 2, 60, "the run")
    os.kill(store.platoon.process.pid, signal.SIGKILL)
    wait_until(lambda: not descendants(f"sleep\0{mark}"), 60, "the end of all")


def test_a_restart_knows_what_it_was_made_from(store):
    resources = {"raw": {}, "made": {"inputs": "raw", "command": shell(store, COUNT + "cat")}}
    store.start(resources)
    store.put("raw", b"1\n")
    settle(store)
    assert store.platoon.stop() == 0
    store.platoon.start()
    settle(store)
    assert runs(store, "made") == 1, "nothing is due"
    assert store.platoon.stop() == 0
    resources["made"]["command"] = shell(store, COUNT + "sed s/1/one/")
    store.start(resources)
    settle(store)
    assert runs(store, "made") == 2 and store.get("made") == b"one\n"


def test_a_schedule_and_run(store):
    store.start({"clock": {"command": shell(store, COUNT + "date +%N"), "every": "1s"}, "after": {"inputs": "clock", "command": "cat"},
                 "once": {"command": shell(store, COUNT + "echo same")}, "both": {"inputs": "once", "command": shell(store, COUNT + "cat"), "cron": "* * * * *"},
                 "timed": {"inputs": "once", "command": shell(store, COUNT + "cat"), "every": "1s"}})
    wait_until(lambda: runs(store, "clock") >= 3, 60, "three times")
    clock = wait_until(lambda: (r := row(store, "clock"))["next"] is not None and r, 60, "its next time")
    assert clock["source"] == "pull" and clock["checked"] is not None
    wait_until(lambda: row(store, "after").get("seq", 0) > 0, 60, "what is made from it")
    wait_until(lambda: runs(store, "timed") >= 3, 60, "also beside inputs")
    assert row(store, "timed")["source"] == "filter"
    wait_until(lambda: (row(store, "both")["next"] or "").endswith(":00Z"), 60, "the next minute to be told")
    done = store.ctl("--json", "snapshot", "run", "once")
    assert done.returncode == 0 and json.loads(done.stdout)["result"] == "unchanged", done
    assert runs(store, "once") == 2
    assert store.ctl("snapshot", "run", "nobody").returncode == 5
    assert store.platoon.ctl("snapshot", "wait", "nobody").returncode == 5


def test_who_waits_too_short_is_told_what_for(store):
    store.start({"made": {"command": shell(store, "sleep 4712"), "timeout": "1h"}})
    done = store.platoon.ctl("--timeout", "1s", "snapshot", "wait")
    assert done.returncode == 124, done


def test_large_inputs_come_whole(store):
    """More in all than a frame between workers may have."""
    names = [f"in{n}" for n in range(3)]
    store.start({**{name: {} for name in names}, "sums": {"inputs": " ".join(names), "command": "wc -c"}})
    for name in names:
        store.put(name, b"x" * 99 + b"\n" if name == "in0" else (b"x" * 999 + b"\n") * 12000)
    settle(store)
    assert int(store.get("sums")) == sum(len(name) + 6 for name in names) + 101 + 2 * 1001 * 12000


def test_a_command_need_not_read(store):
    store.start({"raw": {}, "made": {"inputs": "raw", "command": "echo done"}})
    store.put("raw", (b"x" * 999 + b"\n") * 4000)
    settle(store)
    assert store.get("made") == b"done\n"


def test_pause_is_the_least_time_between_two_starts(store):
    store.start({"raw": {}, "made": {"inputs": "raw", "command": shell(store, "date +%s%N >> {dir}/starts; cat"), "pause": "2s"}})
    begun = time.time_ns()
    for n in range(3):
        store.put("raw", b"%d\n" % n)
        settle(store)
    starts = [int(line) for line in (store.platoon.dir / "starts").read_text().split()]
    # Since the first put: each may have been slow to say when it began, but none has said so before. To the millisecond: test_snapshot_policy.c.
    assert len(starts) == 3 and all(start - begun > n * 1.9e9 for n, start in enumerate(starts)), (begun, starts)


STEPS = ["snapshot.after-blob", "snapshot.after-tree", "snapshot.after-commit", "snapshot.after-branch"]
RUN = ["snapshot.run-started", "snapshot.run-result", "snapshot.run-over"]
WORKER = ["filter.before-start", "filter.before-result"]
PULL = ["pull.before-result"]


@pytest.mark.parametrize("point", STEPS + RUN + WORKER)
def test_killed_at_any_step_of_a_run(faulty, point):
    """The old version or the new one, never half of one; and the run is begun anew."""
    store = Store(faulty).start({"raw": {}, "made": {"inputs": "raw", "command": "cat"}})
    store.put("raw", b"1\n")
    settle(store)
    spent = faulty.fault(point, "kill made" if point not in WORKER else "kill")
    store.ctl("snapshot", "put", "raw", data=b"2\n")
    wait_until(lambda: not spent.exists() and store.ctl("snapshot", "get", "made").stdout == b"2\n", 60, "the new version")
    store.ready()
    settle(store)
    seqs = [int(line) for line in store.git("log", "--format=%(trailers:key=Seq,valueonly)", "main").split()]
    assert seqs == [4, 3, 2, 1], "each once"
    good, said = store.is_sound()
    assert good, said


def test_a_run_that_cannot_be_written_fails_and_is_tried_again(faulty):
    store = Store(faulty).start({"raw": {}, "made": {"inputs": "raw", "command": "cat", "retry_min": "1h", "retry_max": "1h"}})
    faulty.fault("snapshot.after-tree", "error made")
    store.put("raw", b"1\n")
    assert "made is failed: a fault" in settle(store, 1)
    assert store.ctl("snapshot", "run", "made").returncode == 0
    assert store.get("made") == b"1\n"


def test_as_whom_and_within_what_it_runs(store):
    """The keys of a program's section: its user, its limits, its folder."""
    says = "cat /proc/self/limits /proc/self/status; pwd"
    store.start({"made": {"command": f"sh -c '{says}'", "user": "nobody", "directory": "/", "memory_max": "64MB", "files_max": 77, "no_new_privs": True}})
    assert store.ctl("snapshot", "run", "made").returncode == 0
    text = store.get("made").decode()
    rows = {line[:25].strip(): line[25:].split()[:2] for line in text.splitlines()}
    nobody = pwd.getpwnam("nobody")
    assert rows["Max address space"] == [str(64 << 20)] * 2 and rows["Max open files"] == ["77"] * 2
    assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}" in text and f"Gid:\t{nobody.pw_gid}\t{nobody.pw_gid}\t{nobody.pw_gid}" in text
    assert "NoNewPrivs:\t1" in text and text.endswith("\n/\n")
