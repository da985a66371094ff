"""Programs that do nothing, while nobody looks: what they cost, and that they are looked after all the same; and many that come up at once."""
import os
import pathlib
import signal
from concurrent.futures import ThreadPoolExecutor

from health_client import get
from platoon_fixture import ASAN, alive, elapsed, freeze, wait_until
from test_programs import PLACES, program_pid, run

MANY = 100 if ASAN else 1000
WINDOW = 10  # seconds: half of the time for which nobody need be heard of


def wakeups(pid):
    """How often it has waited for something: the kernel's count."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("voluntary_ctxt_switches"))


def test_nothing_wakes_once_a_second_for_each_program(platoon):
    """A command worker is heard of when two thirds of hang_timeout are over. Told once a second, as it was, it would be twenty times as often."""
    run(platoon, f'program p {{ command = "sleep 1000"  processes = {MANY} }}')
    helpers = [worker["pid"] for name, worker in platoon.workers().items() if name.startswith("p.")]
    assert len(helpers) == MANY

    def seldom():
        before = [wakeups(pid) for pid in (*helpers, platoon.process.pid)]
        wait_until(elapsed(WINDOW), WINDOW + 5, "some time in which nothing happens")
        told.append(sum(wakeups(pid) for pid in (*helpers, platoon.process.pid)) - sum(before))
        return told[-1] < MANY * WINDOW / 6
    told = []
    wait_until(seldom, 60, lambda: f"them to rest: {told} wake-ups of {MANY} in {WINDOW} s")


def test_one_that_rests_and_stands_still_is_replaced(platoon):
    run(platoon, 'program p { command = "sleep 1000" }', places=PLACES.replace("}", "hang_timeout = 10s }"))
    before = platoon.workers()["p.1"]
    program = program_pid(platoon, "p.1")

    def rests():
        """Through more beats than it may miss while it does not."""
        seen = wakeups(before["pid"])
        wait_until(elapsed(2.5), 10, "some time in which nothing happens")
        return wakeups(before["pid"]) == seen
    wait_until(rests, 60, "it to have nothing more to say")
    freeze(before["pid"])
    platoon.replaced(before, 60)
    assert "it has not been heard of for hang_timeout = 10s" in platoon.log()
    wait_until(lambda: not alive(program), 5, "its program's end")


def test_what_it_left_behind_is_reaped_at_once(platoon):
    """Those that were adopted by a command worker that rests: no zombie waits for its next beat."""
    run(platoon, '''program p { command = "sh -c '(sleep 1000 & sleep 1000 & sleep 1000 &); exec sleep 1000'" }''')
    helper = platoon.workers()["p.1"]["pid"]

    def children():
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    state, parent = pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:2]
                except OSError:
                    continue
                if int(parent) == helper:
                    found.append((int(entry), state))
        return found
    adopted = [pid for pid, _ in wait_until(lambda: len(children()) == 4 and children(), 10, "the processes it left behind")]
    program = program_pid(platoon, "p.1")
    for pid in adopted:
        if pid != program:
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: [pid for pid, _ in children()] == [program], 3, lambda: f"them to be gone: {children()}")


def test_who_asks_while_many_start_is_answered(platoon):
    """A thousand are not started in one turn of the master's loop: an answer tells of some of them, and not of the others. A probe is answered as well."""
    run(platoon, f'supervisor site {{ children = p }} program p {{ command = "sleep 1000"  processes = {MANY} }}',
        places=PLACES.replace("}", f'health = "unix:{platoon.dir}/h.sock" }}'))
    told = []

    def running():
        return sum(worker["pid"] is not None for name, worker in platoon.workers().items() if "/p." in name)

    def answered():
        """A probe between two looks at the tree of which both fall amid the start."""
        assert platoon.ctl("--timeout", "60s", "stop", "site").returncode == 0
        with ThreadPoolExecutor(1) as beside:
            started = beside.submit(platoon.ctl, "--timeout", "60s", "start", "site")
            told.clear()
            while not started.done():
                told.append((running(), get(platoon, "/livez")[0], running()))
        assert started.result().returncode == 0, started.result().stderr
        return any(live == 200 and 0 < before <= after < MANY for before, live, after in told)
    wait_until(answered, 120, lambda: f"answers amid the start: {told}")
