"""platoon.service as `make install` leaves it, under systemd: what test_systemd.py runs inside a kernel whose first process systemd is.

The tests stand in the order of a service's life; they share one machine, and each leaves platoon running.
"""
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from platoon_fixture import alive, elapsed, wait_until  # noqa: E402
from service_fixture import CONFIG, GROUP, ctl, drop_in, journal, machine, main_pid, sh, show, systemctl, usual, worker  # noqa: E402,F401

USUAL = """
platoon { log_to = journal  backoff_min = 20ms }
redis main { url = embedded }
program web { command = "sleep 1000"  processes = 2  memory_max = 64MB }
"""


def test_started_means_ready():
    """`systemctl start` comes back when every worker is ready, not before."""
    systemctl("restart", "platoon")
    assert ctl("status").returncode == 0
    assert show("ActiveState") == "active" and show("StatusText") == "every worker is ready"
    assert show("Type") == "notify" and show("NRestarts") == "0"


def test_runs_as_its_user_within_the_walls():
    status = pathlib.Path(f"/proc/{main_pid()}/status").read_text()
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    uid = int(sh("id", "-u", "platoon").stdout)
    assert lines["Uid"].split() == [str(uid)] * 4 and lines["NoNewPrivs"] == "1" and lines["Seccomp"] == "2" and int(lines["CapBnd"], 16) == 0
    assert os.stat("/run/platoon").st_uid == uid and os.stat("/var/lib/platoon").st_uid == uid


def test_memory_max_is_the_kernels():
    """Delegate=memory: groups below the service's own, limits in them, and a death with that reason."""
    assert [e["PLATOON_GROUP"] for e in journal("PLATOON_EVENT=memory-limits", "-n", "1")] == [str(GROUP)]
    procs = (GROUP / "worker.web.1/cgroup.procs").read_text().split()
    assert len(procs) == 1 and (GROUP / "worker.web.1/memory.max").read_text().strip() == str(64 << 20)
    CONFIG.write_text(USUAL + 'program hog { command = "/usr/bin/python3 -c \'x = bytearray(200 << 20)\'"  memory_max = 32MB }\n')
    systemctl("reload", "platoon")
    wait_until(lambda: "it used more than memory_max = 32MB" in (worker("hog.1").get("last_exit") or ""), 30, "its end")
    assert show("ActiveState") == "active" and (GROUP / "worker.web.1/cgroup.procs").read_text().split() == procs


def test_journal_has_a_field_for_each_key():
    os.kill(worker("web.2")["pid"], signal.SIGKILL)
    found = wait_until(lambda: journal("PLATOON_EVENT=worker-exit", "-n", "1"), 10, "the line of its end")[0]
    assert found["PLATOON_NAME"] == "web.2" and "SIGKILL" in found["PLATOON_HOW"] and found["PRIORITY"] == "4", found


def test_reload_is_done_when_systemctl_comes_back():
    pid = main_pid()
    CONFIG.write_text(USUAL.replace("processes = 2", "processes = 3"))
    systemctl("reload", "platoon")
    assert worker("web.3")["state"] == "READY"
    assert main_pid() == pid and show("ActiveState") == "active"


def test_reload_of_a_bad_file_changes_nothing():
    before = worker("web.1")["pid"]
    CONFIG.write_text(USUAL + "nonsense { }\n")
    assert systemctl("reload", "platoon", check=False).returncode != 0
    assert "note: /etc/platoon.conf has errors" in ctl("status").stderr, "it can be asked all the same"
    assert "/etc/platoon.conf:5: nonsense: no such section" in sh("journalctl", "-u", "platoon", "-n", "10", "-o", "cat", "--no-pager").stdout
    assert worker("web.1")["pid"] == before and show("ActiveState") == "active"


def test_start_of_a_bad_file_says_why():
    systemctl("stop", "platoon")
    CONFIG.write_text(USUAL + "nonsense { }\n")
    drop_in("Restart=no")
    assert systemctl("start", "platoon", check=False).returncode != 0
    said = sh("journalctl", "-u", "platoon", "-n", "20", "-o", "cat", "--no-pager").stdout
    assert "/etc/platoon.conf:5" in said and "nonsense" in said, said


def test_killed_it_comes_back():
    old, web = main_pid(), worker("web.1")["pid"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: show("ActiveState") == "active" and main_pid() not in (0, old), 30, "another master")
    assert not alive(web), "nobody of the old tree is left"
    assert ctl("status").returncode == 0 and show("NRestarts") == "1"
    assert (GROUP / "worker.web.1/cgroup.procs").read_text().split() == [str(program_of("web.1"))]


def program_of(name):
    """The one child of a worker that runs a program."""
    pid = worker(name)["pid"]
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def test_hung_it_is_killed_and_comes_back():
    drop_in("WatchdogSec=2s")
    systemctl("restart", "platoon")
    old = main_pid()
    wait_until(elapsed(4.1), 10, "twice its watchdog")
    assert main_pid() == old, "who lives says so in time"
    os.kill(old, signal.SIGSTOP)
    wait_until(lambda: show("ActiveState") == "active" and main_pid() not in (0, old), 40, "another master")
    assert ctl("status").returncode == 0


def test_upgrade_in_place():
    """The same process, as systemd sees it; the watchdog goes on being answered."""
    drop_in("WatchdogSec=2s")
    systemctl("restart", "platoon")
    pid, web = main_pid(), worker("web.1")["pid"]
    ctl("upgrade")
    assert (main_pid(), worker("web.1")["pid"]) == (pid, web)
    wait_until(elapsed(4.1), 10, "twice its watchdog")
    assert show("ActiveState") == "active" and main_pid() == pid and show("NRestarts") == "0"
    assert journal("PLATOON_EVENT=platoon-upgraded", "-n", "1")
    systemctl("reload", "platoon")


def test_from_a_shell_in_a_scope(tmp_path):
    """The manual's way to memory.max without a unit; what the scope's platoon has made goes with it."""
    file, log = tmp_path / "p.conf", tmp_path / "log"
    file.write_text('platoon { runtime_dir = run  state_dir = state }\nprogram p { command = "sleep 1000"  memory_max = 32MB }\n')
    with open(log, "w") as out:
        process = subprocess.Popen(["systemd-run", "--quiet", "--scope", "-p", "Delegate=memory", "--unit=shell-test", "platoon", "-c", str(file)], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    group = GROUP.parent / "shell-test.scope"
    try:
        wait_until(lambda: (group / "worker.p.1/cgroup.procs").exists() and (group / "worker.p.1/cgroup.procs").read_text(), 30, "the program in its group")
        assert (group / "worker.p.1/memory.max").read_text().strip() == str(32 << 20)
    finally:
        process.terminate()
        process.wait(30)
    assert process.returncode == 0, log.read_text()
    wait_until(lambda: not group.exists(), 10, "the scope to go")


def test_stop_is_platoons_order():
    systemctl("stop", "platoon")
    assert show("Result") == "success" and show("ExecMainStatus") == "0" and not GROUP.exists()
    moves = [e["PLATOON_NAME"] for e in journal("PLATOON_EVENT=worker-exit", "-n", "20")]
    assert moves.index("redis/send.1") < len(moves) - 1 and moves[-1] == "redis/server", "Redis goes when nobody needs it any more"
