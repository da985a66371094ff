"""memory_max as a limit of the kernel's: what test_cgroup.py runs inside a kernel that has the memory controller on cgroup v2."""
import contextlib
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from group_fixture import TOP, enter, given, group_of  # noqa: E402,F401
from platoon_fixture import alive, wait_until  # noqa: E402

# Touches so many MB in each of so many children and then says so; or only asks for them.
EATER = """
import mmap, os, sys, time
how, mb, children = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for _ in range(children):
    if os.fork() == 0:
        break
memory = mmap.mmap(-1, mb << 20, flags=mmap.MAP_PRIVATE)
if how == "touch":
    for at in range(0, mb << 20, 4096):
        memory[at] = 1
print("has it", flush=True)
time.sleep(1000)
"""


def run(platoon, group, programs, **more):
    (platoon.dir / "eater.py").write_text(EATER)
    platoon.config_path.write_text(f"platoon {{ runtime_dir = run  state_dir = state  backoff_min = 20ms  {more.get('settings', '')} }}\n{programs}\n")
    return platoon.start(ready=more.get("ready", True), preexec=enter(group))


def eater(platoon, how, mb, children=0):
    return f'"/usr/bin/python3 {platoon.dir}/eater.py {how} {mb} {children}"'


def program_pid(platoon, name):
    """The one process of its group, when it has come there."""
    procs = next(TOP.glob(f"given.*/worker.{name}/cgroup.procs"), None)
    found = procs.read_text().split() if procs else []
    return int(found[0]) if found else None


def test_limit_is_the_groups(platoon, given):
    run(platoon, given, f'program p {{ command = {eater(platoon, "touch", 10)}  memory_max = 64MB }}\nprogram q {{ command = "sleep 1000" }}')
    group = group_of(wait_until(lambda: program_pid(platoon, "p.1"), 10, "the program in its group"))
    assert group == given / "worker.p.1"
    assert (group / "memory.max").read_text().strip() == str(64 << 20)
    assert (group / "memory.oom.group").read_text().strip() == "1"
    assert group_of(platoon.process.pid) == given / "platoon.main", "the master itself is not limited"
    assert not (given / "worker.q.1").exists(), "who has no limit needs no group"
    assert f"kept_by=memory.max group={given}" in platoon.log()


def test_too_much_is_a_death_with_that_reason(platoon, given):
    run(platoon, given, f'program p {{ command = {eater(platoon, "touch", 200)}  memory_max = 32MB }}', ready=False)
    said = wait_until(lambda: platoon.workers()["p.1"]["last_exit"], 20, "its end")
    assert "killed by SIGKILL" in said and "it used more than memory_max = 32MB" in said, said
    wait_until(lambda: platoon.workers()["p.1"]["generation"] >= 3, 20, "further attempts")
    assert "it used more than memory_max = 32MB" in platoon.workers()["p.1"]["last_exit"], "each of them is told apart from the last"


def test_children_count_together_and_end_together(platoon, given):
    """Each child is within the limit; all of them are not."""
    run(platoon, given, f'program p {{ command = {eater(platoon, "touch", 24, children=3)}  memory_max = 64MB }}', ready=False)
    said = wait_until(lambda: platoon.workers()["p.1"]["last_exit"], 20, "its end")
    assert "it used more than memory_max = 64MB" in said, said
    platoon.ctl("stop", "p.1")
    wait_until(lambda: not (given / "worker.p.1").exists(), 10, "the group, with nobody left in it, to go")


def test_memory_only_asked_for_does_not_count(platoon, given):
    """What RLIMIT_AS does to every Java, Go or Node program."""
    run(platoon, given, f'program p {{ command = {eater(platoon, "ask", 500)}  memory_max = 64MB  ready = "log:has it" }}')
    assert platoon.workers()["p.1"]["state"] == "READY"


def test_other_deaths_do_not_blame_memory(platoon, given):
    run(platoon, given, f'program p {{ command = {eater(platoon, "touch", 200)}  memory_max = 32MB  backoff_max = 50ms }}', ready=False)
    wait_until(lambda: "memory_max" in (platoon.workers()["p.1"]["last_exit"] or ""), 20, "a death for its memory")
    (platoon.dir / "eater.py").write_text("import time\ntime.sleep(1000)\n")
    wait_until(lambda: platoon.workers()["p.1"]["state"] == "READY" and program_pid(platoon, "p.1"), 20, "a life that is modest")
    wait_until(lambda: b"\0" in pathlib.Path(f"/proc/{program_pid(platoon, 'p.1')}/cmdline").read_bytes(), 10, "the program itself")
    before = platoon.workers()["p.1"]
    os.kill(program_pid(platoon, "p.1"), 9)
    after = platoon.replaced(before)
    assert "killed by SIGKILL" in after["last_exit"] and "memory_max" not in after["last_exit"]


def assert_answers(platoon):
    done = platoon.ctl("redis", "PING")
    assert done.stdout.strip() == "PONG", done


def test_platoons_own_workers(platoon, given):
    """worker_memory_max is each worker's own; the next life has it again."""
    platoon.configure(platoon={"worker_memory_max": "256MB", "backoff_min": "20ms"})
    platoon.start(preexec=enter(given))
    sender = platoon.workers()["redis/send.1"]
    group = group_of(sender["pid"])
    assert group == given / ("worker." + sender["name"].replace("/", ","))
    assert (group / "memory.max").read_text().strip() == str(256 << 20)
    assert_answers(platoon)
    (group / "memory.max").write_text("65536")
    platoon.redis().set("long", b"x" * (4 << 20))
    platoon.ctl("redis", "GET", "long")
    after = platoon.replaced(sender)
    assert "killed by SIGKILL" in after["last_exit"] and "it used more than memory_max = " in after["last_exit"], after["last_exit"]
    assert (group / "memory.max").read_text().strip() == str(256 << 20), "the next life has the limit it should have"
    assert_answers(platoon)


def test_user_of_ones_own(platoon, given):
    """Rights go last: the group is entered while platoon may still do that, again after each death."""
    platoon.dir.chmod(0o755)
    run(platoon, given, f'program p {{ command = {eater(platoon, "touch", 10)}  user = nobody  memory_max = 64MB  ready = "log:has it" }}')
    for _ in range(2):
        before = platoon.workers()["p.1"]
        pid = program_pid(platoon, "p.1")
        assert os.stat(f"/proc/{pid}").st_uid != 0
        os.kill(pid, 9)
        platoon.replaced(before)


def test_everything_is_as_found_afterwards(platoon, given):
    run(platoon, given, 'program p { command = "sleep 1000"  memory_max = 32MB  processes = 3 }')
    assert len(list(given.glob("worker.*"))) == 3
    platoon.ctl("stop", "p.2")
    wait_until(lambda: len(list(given.glob("worker.*"))) == 2, 10, "the stopped one's group to go")
    platoon.stop()
    assert not [d for d in given.iterdir() if d.is_dir()]
    assert (given / "cgroup.subtree_control").read_text().strip() == ""


def removed(group):
    """A process that has ended may be in its group a moment longer."""
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def test_after_a_kill_of_the_master(platoon, given):
    run(platoon, given, 'program p { command = "sleep 1000"  memory_max = 32MB }')
    platoon.kill9()
    platoon.gone()
    for group in [*given.iterdir(), given]:  # as systemd makes it anew for each life of a service; the kernel lets nobody into one that has groups with limits
        if group.is_dir():
            wait_until(lambda: removed(group), 10, f"the end of {group}")
    given.mkdir()
    platoon.start(preexec=enter(given))
    assert group_of(wait_until(lambda: program_pid(platoon, "p.1"), 10, "the program in its group")) == given / "worker.p.1"


def test_reload_and_upgrade(platoon, given):
    run(platoon, given, 'program p { command = "sleep 1000" }\nprogram q { command = "sleep 1000"  memory_max = 32MB }')
    q = wait_until(lambda: program_pid(platoon, "q.1"), 10, "the program in its group")
    platoon.config_path.write_text(platoon.config_path.read_text().replace('"sleep 1000" }', '"sleep 1000"  memory_max = 48MB }'))
    assert platoon.ctl("reload").returncode == 0
    p = wait_until(lambda: program_pid(platoon, "p.1"), 10, "the program in a group")
    assert (group_of(p) / "memory.max").read_text().strip() == str(48 << 20)
    done = platoon.ctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert (program_pid(platoon, "p.1"), program_pid(platoon, "q.1")) == (p, q), "nothing is restarted"
    before = platoon.workers()["p.1"]
    os.kill(p, 9)
    platoon.replaced(before)
    assert group_of(wait_until(lambda: program_pid(platoon, "p.1"), 10, "the next one in its group")) == given / "worker.p.1"
    platoon.stop()
    assert not [d for d in given.iterdir() if d.is_dir()], "the new master gives back what the old one took"


def test_a_platoon_within_a_platoon(platoon, given):
    """A limited program is alone in its group, so one that is a platoon makes groups below; its end by kill -9 leaves them there, and the next one starts all the same."""
    inner = platoon.dir / "inner"
    inner.mkdir()
    (inner / "inner.conf").write_text('platoon { runtime_dir = run  state_dir = state }\nprogram x { command = "sleep 1000"  memory_max = 8MB }\n')
    run(platoon, given, f'program p {{ command = "{platoon.build}/platoon -c {inner}/inner.conf"  memory_max = 128MB }}')
    x = given / "worker.p.1/worker.x.1"
    wait_until(lambda: x.exists() and (x / "cgroup.procs").read_text().strip(), 10, "the inner program")
    before = platoon.workers()["p.1"]
    os.kill(int((x.parent / "platoon.main/cgroup.procs").read_text().split()[0]), 9)
    platoon.replaced(before)
    wait_until(lambda: x.exists() and (x / "cgroup.procs").read_text().strip(), 10, "the inner program again")


@pytest.mark.parametrize("mark", ["none", "trusted.delegate", "user.delegate"])
def test_under_systemd(platoon, given, mark, monkeypatch):
    """What systemd manages is taken only where it says so."""
    monkeypatch.setenv("INVOCATION_ID", "0123456789abcdef0123456789abcdef")
    if mark != "none":
        os.setxattr(given, mark, b"1")
    run(platoon, given, 'program p { command = "sleep 1000"  memory_max = 32MB }')
    assert ("kept_by=memory.max" in platoon.log()) == (mark != "none")
    if mark == "none":
        assert "Delegate=memory gives it away" in platoon.log()
        assert not [d for d in given.iterdir() if d.is_dir()]


def test_not_alone(platoon, given):
    """A shell's group is the shell's: the limit is RLIMIT_AS then, and the log says why."""
    here = group_of(os.getpid())
    (given / "cgroup.procs").write_text(str(os.getpid()))
    try:
        run(platoon, given, 'program p { command = "sleep 1000"  memory_max = 32MB }')
        assert 'kept_by=RLIMIT_AS cause="other processes are in its group too"' in platoon.log()
        pid = next(int(d.name) for d in pathlib.Path("/proc").iterdir() if d.name.isdigit() and alive(int(d.name))
                   and (d / "cmdline").read_bytes() == b"sleep\x001000\x00")
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert any(line.startswith("Max address space") and str(32 << 20) in line for line in limits.splitlines())
        platoon.stop()
    finally:
        (here / "cgroup.procs").write_text(str(os.getpid()))


def test_without_the_controller(platoon, given):
    inner = given / "inner"
    inner.mkdir()
    run(platoon, inner, 'program p { command = "sleep 1000"  memory_max = 32MB }')
    assert 'kept_by=RLIMIT_AS cause="its group of cgroup v2 has no memory controller"' in platoon.log()


def test_without_the_right(platoon, given):
    """Not root, and nothing was given to that user."""
    os.chown(platoon.dir, 65534, 65534)
    (platoon.dir / "log").touch()

    def nobody():
        enter(given)()
        os.setgid(65534)
        os.setuid(65534)
    platoon.config_path.write_text('platoon { runtime_dir = run  state_dir = state }\nprogram p { command = "sleep 1000"  memory_max = 32MB }\n')
    platoon.start(preexec=nobody)
    assert f'kept_by=RLIMIT_AS cause="{given}: Permission denied"' in platoon.log()
