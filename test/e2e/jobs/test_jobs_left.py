"""Nothing outlives its job: what has left its session is gone too, when its sanjer, its master, or its own process is killed."""
import os
import signal

import pytest
from platoon_fixture import alive, wait_until

# Starts what leaves the session at once, without any environment, and has its own children, says their numbers, and waits.
LEAVES = '''
import os, sys, time, subprocess


def leave():
    script = 'exec env -i setsid sh -c "sleep 3600 & echo left $! $$; wait"'
    print("own", os.getpid(), flush=True)
    subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.DEVNULL)
    while True:
        time.sleep(1)
'''
CLASS = LEAVES + '''

class Leaves:
    def _run(self):
        leave()
'''
PROGRAM = "#!/usr/bin/python3 -B\n" + LEAVES + '''

if sys.argv[1:] == ["--spec"]:
    sys.exit(print("{}"))
leave()
'''


def numbers(etlas, job):
    """Of its processes that have left."""
    wait_until(lambda: "left " in (etlas.show(job)["output"] or ""), 60, "its numbers")
    return [int(word) for word in etlas.show(job)["output"].split("left ")[1].split()[:2]]


@pytest.fixture(params=["class", "program"])
def leaves(etlas, request):
    if request.param == "class":
        (etlas.folder / "leaves.py").write_text(CLASS)
    else:
        etlas.add("leaves.py", PROGRAM)
    return etlas.start(sanjers=1, stop_timeout="500ms", lost_max=0)


def gone(pids):
    wait_until(lambda: not any(alive(pid) for pid in pids), 60, f"{pids} to be gone")


def test_when_it_is_canceled(leaves):
    job = leaves.run(platform="leaves")
    pids = numbers(leaves, job)
    leaves.platoon.ctl("job", "cancel", job)
    leaves.until(job, "stopped")
    assert not any(alive(pid) for pid in pids)


def test_when_its_own_process_is_killed(leaves):
    job = leaves.run(platform="leaves")
    pids = numbers(leaves, job)
    os.kill(int(leaves.show(job)["output"].split("own ")[1].split()[0]), signal.SIGKILL)
    assert leaves.until(job, "failed")["signal"] == 9
    assert not any(alive(pid) for pid in pids)


def test_when_its_sanjer_is_killed(leaves):
    job = leaves.run(platform="leaves")
    pids = numbers(leaves, job)
    os.kill(leaves.platoon.workers()["jobs/etlas/sanjer.1"]["pid"], signal.SIGKILL)
    gone(pids)
    leaves.until(job, "failed")


def test_when_its_master_is_killed(leaves):
    pids = numbers(leaves, leaves.run(platform="leaves"))
    leaves.platoon.kill9()
    gone(pids)


def test_when_all_is_stopped(leaves):
    job = leaves.run(platform="leaves")
    pids = numbers(leaves, job)
    leaves.platoon.stop()
    assert not any(alive(pid) for pid in pids) and leaves.places(job) == ["list"]
