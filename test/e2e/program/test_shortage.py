"""The machine is short of something: that is no death, restarts nobody who runs, is said with its remedy, and ends by itself."""
import errno
import os
import pathlib
import resource
import subprocess
import sys

import pytest

from platoon_fixture import ASAN, elapsed, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "fault"))
from plan import Plan, environment  # noqa: E402

needs_root = pytest.mark.usefixtures("root")
PROCESSES, FILES, MEMORY, ROOM = "raise the limit of processes", "raise fs.file-max", "make room in this host's memory", "make room where "

HEAD = "platoon { runtime_dir = run  state_dir = state  intensity = 2  period = 60s  strategy = one_for_all }\n"
LIMIT = 80


def test_without_descriptors_who_runs_runs_on_and_can_be_asked(platoon):
    platoon.config_path.write_text(HEAD + 'program first { command = "sleep 1000"  processes = 5 }\nprogram p { command = "sleep 1000"  processes = 40 }\n')
    platoon.start(ready=False, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)))
    wait_until(lambda: sum(w["state"] == "READY" for w in platoon.workers().values()) > 5, 20, "some that run")

    def ready():
        return {name: w["pid"] for name, w in platoon.workers().items() if w["state"] == "READY"}

    def settled():
        """The last place may be taken by one that was refused before, when somebody who asks has gone."""
        before = ready()
        wait_until(elapsed(1), 5, "a second in which nobody starts")
        return before if ready() == before else None
    running = wait_until(settled, 30, "as many to run as there is room for")
    short = wait_until(lambda: [w for w in platoon.workers().values() if "Too many open files" in (w["last_exit"] or "") and w["state"] != "READY"], 20, "the shortage")
    assert 5 < len(running) < 45
    said = wait_until(platoon.problems, 10, "problems")
    assert f"{short[0]['name']} waits for room on this machine: could not be started: Too many open files: raise the limit of open files" in said
    before = platoon.log().count("machine-short")
    generation = platoon.workers()[short[0]["name"]]["generation"]
    for _ in range(30):  # it can be asked all the while
        assert platoon.ctl("status").returncode == 3
    now = platoon.workers()
    assert {name: now[name]["pid"] for name in running} == running and not any(w["restarts"] for w in now.values())
    assert platoon.tree()["restarts"] == 0 and "tree-fatal" not in platoon.log() and platoon.log().count("machine-short") == before == 1
    assert now[short[0]["name"]]["generation"] == generation == 0
    assert platoon.ctl("stop", "first*").returncode == 0  # room
    wait_until(lambda: platoon.workers()[short[0]["name"]]["state"] == "READY", 10, "it to start by itself")
    now = platoon.workers()
    assert all(now[name]["pid"] == pid for name, pid in running.items() if name.startswith("p."))


def waits(platoon, name, cause):
    """What its problem says, once it waits for room."""
    return wait_until(lambda: any(f"{name} waits for room on this machine" in line and cause in line for line in platoon.json("status")["problems"]), 15,
                      f"{name} to wait: {cause}")


def looked_at(platoon, name, cause, take_back):
    """One that cannot be started for a shortage which lasts: nothing of it is counted, nobody who runs is touched, and it ends by itself."""
    running = {other: w["pid"] for other, w in platoon.workers().items() if w["state"] == "READY"}
    assert running and name not in running
    waits(platoon, name, cause)
    tries = platoon.log().count("machine-short")
    four_tries = elapsed(4)  # intensity = 2
    wait_until(lambda: platoon.ctl("status").returncode == 3 and four_tries(), 20, "four tries, while it can be asked")
    now = platoon.workers()
    assert {other: now[other]["pid"] for other in running} == running
    assert now[name]["deaths"] == 0 and now[name]["restarts"] <= 1 and platoon.tree()["restarts"] == 0  # 1: while it is tried
    assert "tree-fatal" not in platoon.log() and platoon.log().count("machine-short") == tries == 1
    take_back()
    wait_until(lambda: platoon.workers()[name]["state"] == "READY", 10, "it to start by itself")
    wait_until(lambda: "waits for room" not in platoon.problems(), 10, "all others too")


# Not under the sanitizers: their runtime must come before whatever is preloaded, and looks for leaks with a process more.
if not ASAN:
    @pytest.mark.parametrize("who, of, error, remedy", [
        ("platoon", "process", errno.EAGAIN, PROCESSES), ("platoon", "process", errno.ENOMEM, MEMORY), ("platoon", "pipe", errno.ENFILE, FILES),
        ("platoon", "node", errno.ENOSPC, ROOM), ("platoon", "node", errno.EDQUOT, ROOM),
        ("command", "process", errno.EAGAIN, PROCESSES), ("command", "process", errno.ENOMEM, MEMORY), ("command", "pipe", errno.ENFILE, FILES)])
    def test_whoever_is_told_and_whatever_it_is(platoon, monkeypatch, who, of, error, remedy):
        """The master, and the worker of a program, cannot make a process, a pipe, or a mailbox."""
        plans = platoon.dir / "plans"
        plans.mkdir()
        plan = Plan(plans, who)
        for key, value in environment(plans).items():
            monkeypatch.setenv(key, value)
        platoon.config_path.write_text(HEAD + 'program p { command = "sleep 1000"  processes = 3 }\n')
        platoon.start()
        assert platoon.ctl("stop", "p.2").returncode == 0
        plan.shortage(of, error)
        if of == "node":
            remedy += f"{platoon.dir}/run/mbox is"
        assert platoon.ctl("--timeout", "1s", "start", "p.2").returncode == 124
        looked_at(platoon, "p.2", f"{os.strerror(error)}: {remedy}", lambda: plan.shortage(of, 0))

    # Its first: a worker asks for one before libuv does, which would abort.
    LIBUV = 2

    @pytest.mark.parametrize("text", ["log_file = log", "ready = fd", "ready = notify", "port = json"])
    def test_whichever_of_its_pipes_a_worker_cannot_have(platoon, monkeypatch, text):
        """One after the other, until it has all that it needs."""
        who = "port" if text.startswith("port") else "command"
        plans = platoon.dir / "plans"
        plans.mkdir()
        plan = Plan(plans, who)
        for key, value in environment(plans).items():
            monkeypatch.setenv(key, value)
        (platoon.dir / "p.py").write_text("""
import os, socket, time
if "NOTIFY_FD" in os.environ:
    os.write(int(os.environ["NOTIFY_FD"]), b"\\n")
if "NOTIFY_SOCKET" in os.environ:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect("\\0" + os.environ["NOTIFY_SOCKET"][1:])
    s.send(b"READY=1")
time.sleep(1000)
""")
        platoon.config_path.write_text(HEAD + f'program p {{ command = "{sys.executable} {platoon.dir}/p.py"  {text} }}\n')
        platoon.start()
        said = set()
        for spared in range(LIBUV, 30):
            assert platoon.ctl("stop", "p.1").returncode == 0
            plan.shortage("pipe", errno.ENFILE, spared)
            platoon.ctl("--timeout", "500ms", "start", "p.1")
            wait_until(lambda: (w := platoon.workers()["p.1"])["state"] == "READY" or "Too many open files in system" in (w["last_exit"] or ""), 10, "an end")
            now = platoon.workers()["p.1"]
            if now["state"] == "READY":
                break
            assert FILES in now["last_exit"], now["last_exit"]
            said.add(now["last_exit"])
            assert now["deaths"] == 0 and platoon.tree()["restarts"] == 0
            plan.shortage("pipe", 0)
            assert platoon.ctl("wait", "p.1", "ready").returncode == 0
        assert now["state"] == "READY" and len(said) >= 1, said
        assert "tree-fatal" not in platoon.log() and "branch-restart" not in platoon.log()

    @pytest.mark.parametrize("text", ["log_file = log", "port = json"])
    def test_what_a_program_says_waits_for_memory(platoon, monkeypatch, text):
        """It is neither ended nor restarted, and not a word is lost."""
        who, says = ("port", """echo '{"do":"doing","text":"hello"}'""") if text.startswith("port") else ("command", "echo hello")
        plans = platoon.dir / "plans"
        plans.mkdir()
        plan = Plan(plans, who)
        for key, value in environment(plans).items():
            monkeypatch.setenv(key, value)
        (platoon.dir / "p.sh").write_text(f"while [ ! -e {platoon.dir}/go ]; do sleep 0.1; done\n{says}\nexec sleep 1000\n")
        platoon.config_path.write_text(HEAD + f'program p {{ command = "sh {platoon.dir}/p.sh"  {text} }}\n')
        platoon.start()
        pid = platoon.workers()["p.1"]["pid"]
        plan.shortage("memory", 16384)
        (platoon.dir / "go").touch()
        wait_until(lambda: MEMORY in (platoon.workers()["p.1"]["trouble"] or ""), 10, "trouble")
        plan.shortage("memory", 0)
        log = platoon.dir / "log"
        wait_until(lambda: "hello" in (log.read_text() if who == "command" else platoon.workers()["p.1"]["doing"]), 10, "what it has said")
        wait_until(lambda: not platoon.workers()["p.1"]["trouble"], 10, "the trouble to be over")
        assert platoon.workers()["p.1"]["pid"] == pid

    USER = 54321  # has no processes but ours

    @needs_root
    def test_a_user_who_may_have_no_more_processes(platoon):
        """RLIMIT_NPROC"""
        platoon.dir.chmod(0o755)
        os.chown(platoon.dir, USER, USER)
        for path in (platoon.config_path, platoon.log_path):
            path.touch()
            os.chown(path, USER, USER)

        def become():
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            resource.setrlimit(resource.RLIMIT_NPROC, (24, 24))
        platoon.config_path.write_text(HEAD + 'program first { command = "sleep 1000"  processes = 8 }\nprogram p { command = "sleep 1000"  processes = 8 }\n')
        platoon.start(ready=False, preexec=become)
        short = wait_until(lambda: [n for n, w in platoon.workers().items() if "temporarily unavailable" in (w["last_exit"] or "")], 15, "the shortage")[0]
        looked_at(platoon, short, PROCESSES, lambda: platoon.ctl("stop", "first*"))


@needs_root
def test_a_full_runtime_dir(platoon):
    """No inode is left for a mailbox."""
    run = platoon.dir / "run"
    run.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=16,mode=700", "none", str(run)], check=True)
    try:
        platoon.config_path.write_text(HEAD + 'program p { command = "sleep 1000"  processes = 3 }\n')
        platoon.start()
        assert platoon.ctl("stop", "p.2").returncode == 0
        ballast = []

        def full():
            try:
                ballast.append(run / f"ballast{len(ballast)}")
                ballast[-1].touch()
            except OSError:
                return True
        wait_until(full, 10, "no inode to be left")
        assert platoon.ctl("--timeout", "1s", "start", "p.2").returncode == 124
        looked_at(platoon, "p.2", f"No space left on device: {ROOM}{run}/mbox is", lambda: [path.unlink(missing_ok=True) for path in ballast])
    finally:
        platoon.stop()
        subprocess.run(["umount", "-l", str(run)], check=True)
