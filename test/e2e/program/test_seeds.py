"""Command workers that a seed forks (master/process/seed.h): as those that are executed in all that can be seen, and nobody misses a seed that goes."""
import contextlib
import os
import pathlib
import pwd
import re
import signal
import threading

import pytest

from platoon_fixture import ASAN, alive, freeze, marked, wait_until
from platoon_steps import reload, upgrade
from test_programs import PLACES, program_pid, run

MANY = 12
PROGRAM = f'program p {{ command = "sleep 1000"  processes = {MANY} }}\n'
FEW = 3  # so many are executed before there is a seed


def seeds(platoon):
    """Pids of them: what a seed's environment has, none of its workers has."""
    master = platoon.process.pid
    found = []
    for pid in pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split():
        with contextlib.suppress(OSError):
            if b"\0PLATOON_SEED=" in pathlib.Path(f"/proc/{pid}/environ").read_bytes() and alive(int(pid)):
                found.append(int(pid))
    return found


def one_seed(platoon):
    return wait_until(lambda: len(seeds(platoon)) == 1 and seeds(platoon), 30, "a seed")[0]


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def lost(platoon):
    return re.findall(r"seed-lost .*", platoon.log())


def address_space(pid):
    """Where its program lies: the same for all that one process has forked."""
    return next(line.split("-")[0] for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines() if line.endswith("/command"))


def replace(platoon, name):
    """Its program is killed, and it is there again."""
    before = platoon.workers()[name]
    kill(program_pid(platoon, name))
    platoon.replaced(before)


def until_forked(platoon, seed, name):
    def forked():
        replace(platoon, name)
        return address_space(platoon.pid_of(name)) == address_space(seed)
    wait_until(forked, 60, f"a seed's {name}")


def test_a_seed_bears_all_but_the_first(platoon):
    run(platoon, PROGRAM)
    seed = one_seed(platoon)
    until_forked(platoon, seed, "p.12")
    for name in platoon.workers():
        replace(platoon, name)
        assert address_space(platoon.pid_of(name)) == address_space(seed)
    assert platoon.stop() == 0
    platoon.gone()
    assert not lost(platoon)


def test_three_programs_need_none(platoon):
    run(platoon, f'program p {{ command = "sleep 1000"  processes = {FEW} }}')
    assert seeds(platoon) == []


def seen(pid):
    """What the world can see of a process, without what must differ."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(re.findall(r"^(\w+):[ \t]*(.*)$", status, re.M))
    environ = dict(entry.split("=", 1) for entry in pathlib.Path(f"/proc/{pid}/environ").read_text().split("\0") if entry)
    descriptors = {fd: re.sub(r"\d+", "N", os.readlink(f"/proc/{pid}/fd/{fd}")) for fd in os.listdir(f"/proc/{pid}/fd")}
    return {**{key: fields[key] for key in ("Name", "Umask", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "CapEff", "CapPrm", "CapInh", "Threads",
                                            "SigBlk", "SigIgn", "SigCgt", "Cpus_allowed")},
            "environ": {key: re.sub(r"\d+", "N", value) if key.startswith("PLATOON_") else value for key, value in environ.items()},
            "descriptors": descriptors,
            "group": os.getpgid(pid) == pid, "session": os.getsid(pid), "nice": os.getpriority(os.PRIO_PROCESS, pid), "cwd": os.readlink(f"/proc/{pid}/cwd"),
            "exe": os.readlink(f"/proc/{pid}/exe"), "cmdline": pathlib.Path(f"/proc/{pid}/cmdline").read_bytes(),
            "limits": re.sub(" +", " ", pathlib.Path(f"/proc/{pid}/limits").read_text()),
            "cgroup": pathlib.Path(f"/proc/{pid}/cgroup").read_text(), "oom": pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text()}


@pytest.mark.parametrize("more", ["", "files_max = 77  core_max = 1MB  nice = 7  umask = 027  no_new_privs = true"])
def test_who_was_forked_is_as_who_was_executed(platoon, more):
    """The helpers, and their programs: p.1 has been executed."""
    run(platoon, PROGRAM.replace("processes", f"{more}  processes"))
    seed = one_seed(platoon)
    until_forked(platoon, seed, "p.12")
    executed, born = platoon.pid_of("p.1"), platoon.pid_of("p.12")
    assert address_space(executed) != address_space(seed)
    assert seen(born) == seen(executed)
    assert seen(program_pid(platoon, "p.12")) == seen(program_pid(platoon, "p.1"))


def own_kb(pid):
    """Memory that no other process shares with it."""
    return int(re.search(r"^Private_Dirty: +(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])


def test_who_was_forked_has_little_memory_of_its_own(platoon):
    """Of a thousand that only wait for their program, each page is four megabytes: ten, of which the stack's place makes three or four."""
    run(platoon, PROGRAM)
    until_forked(platoon, one_seed(platoon), "p.12")
    executed, born = platoon.pid_of("p.1"), platoon.pid_of("p.12")
    wait_until(lambda: own_kb(born) < own_kb(executed) and (ASAN or own_kb(born) <= 52), 60, lambda: f"less than {own_kb(born)} of {own_kb(executed)} KB")


@pytest.mark.usefixtures("root")
def test_users_stay_what_they_are(platoon):
    """Of several sections of one type: what one has says nothing of the next."""
    run(platoon, f'''program a {{ command = "sleep 1000"  processes = 6  user = nobody }}
                     program b {{ command = "sleep 1000"  processes = 6  user = daemon  nice = 3 }}
                     program c {{ command = "sleep 1000"  processes = {MANY} }}''')
    one_seed(platoon)

    def users(name):
        found = []
        for worker in platoon.workers():
            if worker.startswith(f"{name}."):
                pid = program_pid(platoon, worker)
                found.append((os.stat(f"/proc/{pid}").st_uid, os.getpriority(os.PRIO_PROCESS, pid)))
        return set(found)
    own = os.getpriority(os.PRIO_PROCESS, platoon.process.pid)
    assert users("a") == {(pwd.getpwnam("nobody").pw_uid, own)}
    assert users("b") == {(pwd.getpwnam("daemon").pw_uid, 3)}
    assert users("c") == {(0, own)}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
def test_one_that_goes_is_not_missed(platoon, number):
    run(platoon, PROGRAM)
    seed = one_seed(platoon)
    before = platoon.workers()
    freeze(seed) if number == signal.SIGSTOP else kill(seed, number)
    for program in [program_pid(platoon, name) for name in before]:
        kill(program)
    for name in before:
        platoon.replaced(before[name])
    wait_until(lambda: lost(platoon), 10, "a line about it")
    assert "type=command" in lost(platoon)[0] and "next_try_ms=1000" in lost(platoon)[0]

    def another():
        replace(platoon, "p.3")
        return seeds(platoon) not in ([], [seed])
    wait_until(another, 60, "another seed")
    assert not alive(seed)


def test_order_of_term_is_not_for_a_seed(platoon):
    """systemd sends it to all of a service at once (KillMode=control-group)."""
    run(platoon, PROGRAM)
    seed = one_seed(platoon)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(seed, number)
    replace(platoon, "p.5")
    assert alive(seed) and not lost(platoon)
    assert platoon.stop() == 0
    assert not alive(seed) and not lost(platoon)


@pytest.mark.parametrize("number, word", [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGABRT, "SIGABRT")])
def test_a_crash_of_one_is_reported_and_the_last_of_its_seed(platoon, number, word):
    """The handler raises the signal again, for which glibc must know that this is another thread than the seed's."""
    run(platoon, PROGRAM)
    seed = one_seed(platoon)
    until_forked(platoon, seed, "p.12")
    before = platoon.workers()["p.12"]
    program = program_pid(platoon, "p.12")
    os.kill(before["pid"], number)
    after = platoon.replaced(before)
    assert f"killed by {word}" in after["last_exit"], after
    wait_until(lambda: not alive(program), 5, "its program's end")
    wait_until(lambda: f"crash signal={word} backtrace follows" in platoon.ctl("crashes", "p.12").stdout, 30, "its report")
    assert ASAN or "command(+0x" in platoon.ctl("crashes", "p.12").stdout
    wait_until(lambda: not alive(seed), 10, "the end of its seed")
    assert not lost(platoon)


def test_the_masters_death_ends_all(platoon):
    run(platoon, PROGRAM)
    one_seed(platoon)
    platoon.kill9()
    wait_until(lambda: not marked(platoon.mark), 10, "the end of all")


def test_a_frozen_seed_does_not_survive_its_master(platoon):
    run(platoon, PROGRAM)
    freeze(one_seed(platoon))
    platoon.kill9()
    wait_until(lambda: not marked(platoon.mark), 10, "the end of all")


def test_an_upgrade_keeps_all_but_the_seed(platoon):
    run(platoon, PROGRAM)
    seed = one_seed(platoon)
    before = {name: worker["pid"] for name, worker in platoon.workers().items()}
    upgrade(platoon)
    assert {name: worker["pid"] for name, worker in platoon.workers().items()} == before
    assert not alive(seed) and not lost(platoon)

    def another():
        replace(platoon, "p.7")
        return seeds(platoon)
    wait_until(another, 60, "another seed")
    orphans = [line for line in platoon.log().splitlines() if "orphan" in line]
    assert not orphans


def test_seeds_killed_at_any_moment(platoon):
    """While programs start, are killed, are reloaded, and the master is upgraded: all run in the end, each once, and nothing else is left."""
    count = 30 if ASAN else 150
    text = f'program p {{ command = "sleep 1000"  processes = {count} }}\n'
    places = PLACES.replace("}", "intensity = 1000  period = 1s }")
    run(platoon, text, ready=False, places=places)
    over = threading.Event()

    def kill_seeds():
        while not over.is_set():
            with contextlib.suppress(OSError):
                for pid in seeds(platoon):
                    kill(pid)
            over.wait(0.003)
    killer = threading.Thread(target=kill_seeds)
    killer.start()
    try:
        wait_until(lambda: platoon.ctl("--timeout", "60s", "wait", "ready").returncode == 0, 60, "the start")
        for turn in range(3):
            for name in [f"p.{1 + (turn * 31 + i * 7) % count}" for i in range(20)]:
                with contextlib.suppress(OSError, IndexError):
                    kill(program_pid(platoon, name))
            platoon.config_path.write_text(places + text.replace("sleep 1000", f"sleep {2000 + turn}"))
            reload(platoon)
            assert platoon.ctl("--timeout", "90s", "wait", "ready").returncode == 0
        upgrade(platoon)
        assert platoon.ctl("--timeout", "90s", "wait", "ready").returncode == 0
    finally:
        over.set()
        killer.join()
    assert lost(platoon)
    workers = platoon.workers()
    assert len(workers) == count and all(worker["state"] == "READY" for worker in workers.values())
    assert len({worker["pid"] for worker in workers.values()}) == count

    def only_these():
        sleeping = [pid for pid in marked(platoon.mark) if pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n"]
        return len(sleeping) == count
    wait_until(only_these, 30, "one program for each, and no more")
