"""What ready means: a restart loop is not, a one-off that has finished is, and who waits hears at once when it cannot come true.

Also: orders to stop that come in pairs, as wrappers (timeout, npm, sudo, a terminal) send them.
"""
import signal
import subprocess
import time

import pytest

from health_client import get
from platoon_fixture import SCALE, alive, freeze, soon, wait_until

HEAD = "platoon {{ runtime_dir = run  state_dir = state  backoff_min = 20ms  backoff_max = 100ms  intensity = 1000 {} }}\n"


def run(platoon, text, more=""):
    platoon.config_path.write_text(HEAD.format(more) + text)
    return platoon.start(ready=False)


@pytest.mark.parametrize("end", ["exit 3", "kill -SEGV $$", "exit 0"])
def test_a_restart_loop_is_not_ready(platoon, end):
    run(platoon, f"program p {{ command = \"sh -c 'test -e stay && exec sleep 1000; sleep 0.1; {end}'\"  directory = \".\"  stable_after = 2s }}",
        more=f'health = "unix:{platoon.dir}/h.sock"')
    node = wait_until(lambda: (w := platoon.workers()["p.1"])["unstable"] and w, 10, "unstable")
    assert node["deaths"] >= 3 and platoon.tree()["unstable"]
    status = platoon.ctl("status")
    assert status.returncode == 3 and "UNSTABLE" in status.stdout and "platoon is not ready" in status.stdout
    assert "p.1 is unstable: it has ended " in platoon.problems() and "mend the cause: platoonctl logs p.1" in platoon.problems()
    code, body = get(platoon, "/readyz")
    assert code == 503 and "p.1 is unstable" in body
    assert "UNSTABLE" in platoon.ctl("tree").stdout
    (platoon.dir / "stay").touch()
    wait_until(lambda: platoon.workers()["p.1"]["state"] == "READY" and not platoon.workers()["p.1"]["unstable"], 10, "stable again")
    assert platoon.ctl("status").returncode == 0 and get(platoon, "/readyz")[0] == 200


def test_what_it_dies_of_is_told_while_the_whole_tree_is_restarted(platoon):
    """The root gives up and begins anew again and again: that one was stopped meanwhile is nothing to mend. Nor is one READY that is waited for in vain."""
    loop = "sh -c 'sleep 0.2; exit 3'"
    platoon.config_path.write_text(f"""{HEAD.format("").replace("1000", "3")}
        program a {{ command = "{loop}" }}
        program b {{ command = "{loop}" }}""")
    platoon.start(ready=False)
    wait_until(lambda: all(w["unstable"] for w in platoon.workers().values()), 20, "unstable")
    began = platoon.tree()["restarts"]

    def goes_on():
        said = platoon.problems()
        assert "stopped" not in said and "finished on purpose" not in said and said.count("exited 3") == 2, said
        assert all("exited 3" in w["last_exit"] for w in platoon.workers().values())
        return platoon.tree()["restarts"] >= began + 2 and platoon.log().count("to=DRAINING") >= 2

    wait_until(goes_on, 30, "the tree to begin anew")
    def late():
        done = platoon.ctl("--timeout", "1s", "wait", "a.1", "ready")
        assert done.returncode == 124, done
        return "a.1 is unstable (exited 3 after" in done.stderr
    wait_until(late, 10, "who waits for it to be told why")


def test_a_one_off_that_has_finished_is_no_problem(platoon):
    run(platoon, "program once { command = true  restart = transient }\nprogram p { command = \"sleep 1000\" }")
    assert platoon.ctl("wait", "ready").returncode == 0
    wait_until(lambda: platoon.workers()["once.1"]["doing"] == "finished", 10, "its end")
    done = platoon.ctl("status")
    assert done.returncode == 0 and "platoon is ready" in done.stdout, done.stdout
    assert platoon.problems() == ""


@pytest.mark.parametrize("text,says", [
    ('program p { command = false  restart = temporary }', "p.1 has ended, and is not restarted: exited 1 after"),
    ('program p { command = true  environment = "BIG=' + "x" * 200000 + '" }', "p.1 cannot work: cannot start true: its arguments and variables are too long"),
], ids=["one-off", "given up"])
def test_who_waits_hears_at_once_that_it_cannot_come_true(platoon, text, says):
    run(platoon, text + "\nprogram other { command = \"sleep 1000\" }")
    wait_until(lambda: platoon.workers()["p.1"]["state"] in ("STOPPED", "FATAL"), 10, "its end")
    for words in (["wait", "ready"], ["wait", "p.1", "ready"], ["wait", "p*", "ready"]):
        def hears():
            done = platoon.ctl("--timeout", "60s", *words)
            assert done.returncode == 1 and says in done.stderr, (words, done)
        soon(hears, 5, f"the answer to {words}")
    assert platoon.ctl("wait", "other.1", "ready").returncode == 0


TOO_LONG = 'program p { command = true  environment = "BIG=' + "x" * 200000 + '" }\n'
OTHER = 'program other { command = "sleep 1000" }\n'


@pytest.mark.parametrize("more", ["", 'program q { command = "sleep 1000"  after = p }\n'], ids=["itself", "after it"])
def test_a_reload_does_not_wait_for_what_cannot_come_true(platoon, more):
    run(platoon, 'program p { command = "sleep 1000" }\n' + OTHER)
    old = platoon.config_path.read_text()
    platoon.config_path.write_text(old.replace('program p { command = "sleep 1000" }\n', TOO_LONG + more))
    done = platoon.ctl("--timeout", "60s", "reload")  # with 124 it had waited
    assert done.returncode == 1 and "it is applied, but it will not be ready: p.1 cannot work: cannot start true: its arguments" in done.stderr, done
    platoon.config_path.write_text(platoon.config_path.read_text().replace("other", "another"))  # p is as it was: nobody waits for it
    done = platoon.ctl("--timeout", "60s", "reload")
    assert done.returncode == 0 and "another.1" in done.stdout, done
    platoon.config_path.write_text(old)
    assert platoon.ctl("--timeout", "60s", "reload").returncode == 0


def test_start_ends_at_once_when_it_gives_up(platoon):
    run(platoon, 'program p { command = true  environment = "BIG=' + "x" * 200000 + '" }')

    def ends():
        done = platoon.ctl("--timeout", "60s", "start", "p.1")
        assert done.returncode == 1 and "p.1 cannot work" in done.stderr, done
    soon(ends, 5, "the answer to start")


def test_a_wait_right_after_the_start(platoon):
    platoon.config_path.write_text(HEAD.format("") + 'program p { command = "sleep 1000" }')
    waiting = subprocess.Popen([str(platoon.build / "platoonctl"), "-c", str(platoon.config_path), "--timeout", "60s", "wait", "ready"])
    wait_until(lambda: (status := open(f"/proc/{waiting.pid}/wchan").read()) and "poll" in status or "sleep" in status, 10, "it to wait")
    platoon.start(ready=False)
    assert waiting.wait(60 * SCALE) == 0


def test_a_wait_for_nobody_ends_with_its_timeout(platoon):
    def ends():
        begin = time.monotonic()
        assert platoon.ctl("--timeout", "300ms", "wait", "ready").returncode == 7
        assert time.monotonic() - begin >= 0.3
    soon(ends, 3, "the end of the wait")  # without a time of its own it gets 5 s


STUBBORN = 'program p { command = "sh -c \'trap \\"\\" TERM; echo on; while :; do sleep 0.1; done\'"  stop_timeout = 60s  ready = "log:on" }'


def test_orders_in_pairs_are_one_order(platoon):
    run(platoon, STUBBORN)
    assert platoon.ctl("wait", "ready").returncode == 0
    pid = platoon.pid_of("p.1")
    freeze(platoon.process.pid)  # it sees both at once, however long this process waits for its turn between them
    platoon.process.send_signal(signal.SIGTERM)
    platoon.process.send_signal(signal.SIGINT)
    platoon.process.send_signal(signal.SIGCONT)
    wait_until(lambda: platoon.log().count("platoon-stopping") == 1, 10, "the order")
    assert platoon.workers()["p.1"]["state"] == "DRAINING" and alive(pid)
    assert "platoon-forced" not in platoon.log()
    platoon.process.send_signal(signal.SIGTERM)
    assert platoon.process.wait(10 * SCALE) == 0
    assert "platoon-forced" in platoon.log()
    platoon.process = None
    assert not alive(pid)


def test_a_second_order_a_second_later_forces(platoon):
    run(platoon, STUBBORN)
    assert platoon.ctl("wait", "ready").returncode == 0
    platoon.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "platoon-stopping" in platoon.log(), 10, "the order")
    since = time.monotonic()
    wait_until(lambda: time.monotonic() - since > 1.1, 10, "more than a second")
    platoon.process.send_signal(signal.SIGTERM)
    assert platoon.process.wait(10 * SCALE) == 0
    platoon.process = None
