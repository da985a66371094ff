"""What users of the peers have begged for, as far as it is supervision: each test names the threads it comes from (the other tests hold the rest)."""
import datetime
import os
import signal
import subprocess
import threading
import time

import pytest

from platoon_fixture import SCALE, alive, elapsed, marked, process_state, wait_until

PLATOON = "platoon {{ runtime_dir = run  state_dir = state  backoff_min = {least}  backoff_max = {max}  stable_after = {stable}  intensity = 3  period = 2s }}\n"


def run(platoon, text, backoff_max="1s", stable="300ms", ready=True, backoff_min="20ms"):
    platoon.config_path.write_text(PLATOON.format(least=backoff_min, max=backoff_max, stable=stable) + text)
    return platoon.start(ready=ready)


def last_at(platoon, what):
    """When the log's last line with that was written: the master's own time, which has nothing of how long a look at it takes."""
    line = [line for line in platoon.log().splitlines() if what in line][-1]
    return datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()


def processes(platoon, name):
    """Live processes of this platoon whose command begins with that name."""
    found = []
    for pid in marked(platoon.mark):
        try:
            command = open(f"/proc/{pid}/cmdline", "rb").read()
        except OSError:
            continue
        if command.split(b"\0")[0].decode().endswith(name):
            found.append(pid)
    return found


def test_a_dependency_that_was_away_for_long_is_back_and_nothing_was_given_up(platoon):
    """supervisor#487, #1509: running again within backoff_max; never FATAL for ever. Deaths here are many more than the intensity allows, up to the root."""
    run(platoon, f'''program p {{ command = "sh -c 'test -e {platoon.dir}/dependency && exec sleep 1000; exit 1'" }}''', ready=False)
    wait_until(lambda: platoon.log().count("worker-exit name=p.1") >= 12, 30, "a dozen deaths")
    assert "to=FATAL" not in platoon.log() and platoon.log().count("tree-fatal") >= 1
    (platoon.dir / "dependency").touch()
    begun = time.time()
    wait_until(lambda: platoon.workers()["p.1"]["state"] == "READY", 20, "the worker")
    assert last_at(platoon, "name=p.1 from=STARTING to=READY") - begun < 5 * SCALE, "backoff_max is 1 s; without it the pause was minutes by now"


def test_who_dies_seldom_is_replaced_at_once_each_time(platoon):
    """systemd#43813: crash once a month: the delay is the minimum again."""
    run(platoon, 'program p { command = "sleep 1000" }', backoff_min="300ms", backoff_max="30s")
    for _ in range(5):
        before = platoon.workers()["p.1"]
        wait_until(lambda: platoon.workers()["p.1"]["uptime_ms"] > 2500, 10, "a stable run, and the intensity's period over")
        os.kill(before["pid"], signal.SIGKILL)
        platoon.replaced(before)
        pause = last_at(platoon, "name=p.1 from=BACKOFF to=STARTING") - last_at(platoon, "worker-exit name=p.1")
        assert 0 <= pause < 3.0 * SCALE, f"{pause:.1f} s: the fifth in a row would wait for 5 s"


def test_restarts_at_once_and_while_waiting_make_one_process(platoon):
    """process-compose#347, #530: `restart X & restart X`, and restart while waiting on what comes first."""
    run(platoon, f'''program third {{ command = "sleep 1500" }}
        program first {{ command = "sh -c 'test -e {platoon.dir}/go && exec sleep 2000; exec sleep 3000'"  ready = "unix:{platoon.dir}/never" }}
        program second {{ command = "sleep 1000"  after = first }}''', ready=False)
    wait_until(lambda: platoon.workers()["third.1"]["state"] == "READY", 10, "the third")
    orders = [threading.Thread(target=platoon.ctl, args=("--timeout", "2s", "restart", name)) for name in ("third.1", "third.1", "second.1", "second.1", "third.1")]
    for order in orders:
        order.start()
    for order in orders:
        order.join()
    assert platoon.ctl("--timeout", f"{10 * SCALE}s", "wait", "third.1", "ready").returncode == 0
    assert platoon.workers()["second.1"]["pid"] is None, "what it waits for is not ready"
    wait_until(lambda: len(processes(platoon, "sleep")) == 2, 10, "one process of first and of third")


def test_a_grandchild_that_stays_behind(platoon):
    """supervisor#936, #1101: the child forks a grandchild and exits; the grandchild ends: the supervisor lives, no zombie, no orphan after the stop."""
    run(platoon, '''program p { command = "sh -c '(setsid sleep 1000 &) ; (sleep 0.2 &) ; sleep 0.1; exit 3'" }''', ready=False)
    wait_until(lambda: platoon.log().count("worker-exit name=p.1") >= 4, 20, "some deaths")
    assert platoon.ctl("stop", "p.1").returncode == 0
    wait_until(lambda: not processes(platoon, "sleep"), 10, "the end of all it has left, also of what has a session of its own")

    def zombies():
        children = open(f"/proc/{platoon.process.pid}/task/{platoon.process.pid}/children").read().split()
        return [c for c in children if process_state(int(c)) == "Z"]
    wait_until(lambda: not zombies(), 10, "their zombies to be reaped")
    assert platoon.ctl("version").returncode == 0


def test_kill_9_of_the_master_leaves_nobody_and_doubles_nobody(platoon):
    """pm2#1489, flox#1613: children are adopted or ended by rule, none doubled."""
    run(platoon, 'program p { command = "sleep 1000"  processes = 5 }')
    before = wait_until(lambda: len(found := processes(platoon, "sleep")) == 5 and found, 10, "all five")
    platoon.kill9()
    platoon.start()
    wait_until(lambda: not any(alive(pid) for pid in before), 10, "the end of the first five")
    wait_until(lambda: len(processes(platoon, "sleep")) == 5, 10, "the next five, and nobody else")


def test_scaling_from_ten_to_twenty_keeps_the_first_ten(platoon):
    """supervisor#826."""
    run(platoon, 'program p { command = "sleep 1000"  processes = 10 }')
    before = {name: node["pid"] for name, node in platoon.workers().items()}
    assert platoon.ctl("scale", "p", "20").returncode == 0
    after = {name: node["pid"] for name, node in platoon.workers().items()}
    assert len(after) == 20 and all(after[name] == pid for name, pid in before.items())


def test_children_of_before_are_nobodys_orphans(platoon):
    """Who execs platoon may have children already: they are not ours to end, whatever dies."""
    platoon.config_path.write_text(PLATOON.format(least="20ms", max="1s", stable="300ms") + 'program p { command = "sleep 1000" }')
    stranger = subprocess.Popen(["sh", "-c", f"sleep 3333 & echo $! > {platoon.dir}/stranger; exec {platoon.build}/platoon -c {platoon.config_path}"],
                                stdout=subprocess.DEVNULL, stderr=open(platoon.log_path, "ab"), env=platoon.environment(), cwd="/")
    platoon.process = stranger
    platoon.wait_socket()
    assert platoon.ctl("wait", "ready").returncode == 0
    before = platoon.workers()["p.1"]
    os.kill(before["pid"], signal.SIGKILL)
    platoon.replaced(before)
    wait_until(elapsed(0.3), 5, "the look for orphans")
    pid = int((platoon.dir / "stranger").read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("with_strangers", [False, True])
def test_what_has_cleared_its_environment_too_ends(platoon, with_strangers):
    """Also where the master has children of before, or may have, and tells by the birthmark alone."""
    left, own = platoon.dir / "left", platoon.dir / "own"
    leaves = platoon.dir / "leaves.sh"
    leaves.write_text(f"env -i setsid sh -c 'sleep 4444 & echo $$ $! > {left}; wait' &\nexec sleep 1111\n")
    platoon.config_path.write_text(PLATOON.format(least="20ms", max="1s", stable="300ms") + f'program p {{ command = "sh {leaves}"  restart = temporary }}')
    if with_strangers:
        script = f"sleep 3333 & echo $! > {own}; exec {platoon.build}/platoon -c {platoon.config_path}"
        platoon.process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.DEVNULL, stderr=open(platoon.log_path, "ab"), env=platoon.environment(), cwd="/")
        platoon.wait_socket()
    else:
        platoon.start()
    wait_until(lambda: left.exists() and len(left.read_text().split()) == 2, 20, "what leaves")
    pids = [int(word) for word in left.read_text().split()]
    os.kill(platoon.workers()["p.1"]["pid"], signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in pids), 60, "its end")
    if with_strangers:
        stranger = int(own.read_text())
        assert alive(stranger)
        os.kill(stranger, signal.SIGKILL)


def test_what_a_killed_worker_leaves_in_a_session_of_its_own_ends_too(platoon):
    """"Every descendant of a worker dies with it": nobody is left to end them but the master, to whom they fall."""
    run(platoon, '''program p { command = "sh -c 'setsid sleep 2222 & exec sleep 1111'"  restart = temporary }''')
    wait_until(lambda: len(processes(platoon, "sleep")) == 2, 10, "both")
    os.kill(platoon.workers()["p.1"]["pid"], signal.SIGKILL)
    wait_until(lambda: not processes(platoon, "sleep"), 10, "the end of both")
    wait_until(lambda: "orphan-killed" in platoon.log(), 10, "the line that says so")
