"""What operators do from outside: log files renamed or deleted, a start without stdin, stdout or stderr, a thousand orphans."""
import os
import re
import signal

import pytest

from platoon_fixture import elapsed, links, wait_until

HEAD = "platoon { runtime_dir = run  state_dir = state  log_to = file  log_path = own.log }\n"
TALKS = "program p { command = \"sh -c 'while :; do echo tick; sleep 0.05; done'\"  log_file = p.log }\n"


def run(platoon, text):
    platoon.config_path.write_text(HEAD + text)
    return platoon.start()


@pytest.mark.parametrize("deed", ["renamed", "deleted", "replaced"])
def test_a_log_file_that_was_moved_is_opened_anew(platoon, deed):
    run(platoon, TALKS)
    log = platoon.dir / "p.log"
    wait_until(lambda: log.exists() and log.stat().st_size > 0, 10, "its first lines")
    if deed == "deleted":
        log.unlink()
    elif deed == "renamed":
        log.rename(platoon.dir / "p.log.old")
    else:
        (platoon.dir / "empty").touch()
        (platoon.dir / "empty").rename(log)
    wait_until(lambda: log.exists() and log.stat().st_size > 0, 10, "lines in the new file")
    assert set(log.read_text().split()) == {"tick"}


def test_what_cannot_be_opened_anew_is_written_on_and_said_once(platoon):
    """Its directory was moved, with the file: the program's, and the master's own."""
    logs, moved = platoon.dir / "logs", platoon.dir / "moved"
    logs.mkdir()
    (platoon.dir / "p.sh").write_text("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done\n")
    platoon.config_path.write_text(HEAD.replace("own.log", "logs/own.log") + f'program p {{ command = "sh {platoon.dir}/p.sh"  log_file = {logs}/p.log }}\n')
    platoon.start()
    log = logs / "p.log"
    wait_until(lambda: log.exists() and "line 3" in log.read_text(), 10, "lines")
    pid = platoon.workers()["p.1"]["pid"]
    logs.rename(moved)
    said = wait_until(lambda: platoon.workers()["p.1"]["trouble"], 10, "trouble")
    assert said == (f"log_file {log}: No such file or directory: it must be a file that platoon may write; until then what had this name "
                    "is written on")
    assert f"p.1: {said}" in platoon.problems()
    platoon.ctl("signal", "p.1", "CONT")  # a line in the master's log
    before = (moved / "p.log").read_text()
    wait_until(elapsed(3), 10, "three tries")
    assert len((moved / "p.log").read_text()) > len(before)
    logs.mkdir()
    wait_until(lambda: log.exists() and "line" in log.read_text(), 10, "the file")
    wait_until(lambda: not platoon.workers()["p.1"]["trouble"], 10, "the trouble to be over")
    assert platoon.workers()["p.1"]["pid"] == pid
    lines = ((moved / "p.log").read_text() + log.read_text()).split("\n")[:-1]  # the last one may not be whole yet
    assert [int(line.split()[1]) for line in lines] == list(range(1, len(lines) + 1))
    own = wait_until(lambda: (logs / "own.log").exists() and "log-reopened" in (logs / "own.log").read_text() and (moved / "own.log").read_text(), 10, "the master's")
    assert own.count("log-reopen path=") == 1 and 'cause="No such file or directory" remedy="it must be a file that platoon may write; what had' in own


def test_usr2_opens_the_log_files_of_silent_programs_too(platoon):
    run(platoon, 'program p { command = "sleep 1000"  log_file = p.log }')
    for name in ("p.log", "own.log"):
        wait_until((platoon.dir / name).exists, 10, name)
        (platoon.dir / name).rename(platoon.dir / (name + ".old"))
    platoon.process.send_signal(signal.SIGUSR2)
    for name in ("p.log", "own.log"):
        wait_until((platoon.dir / name).exists, 10, f"{name} anew")


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_no_file_of_ours_becomes_a_standard_descriptor(platoon, closed):
    platoon.config_path.write_text(HEAD + 'program p { command = "sleep 1000" }\n')
    platoon.start(preexec=lambda: [os.close(fd) for fd in closed])
    for fd in closed:
        assert links(platoon.process.pid)[fd] == "/dev/null"
    for fd in (0, 1, 2):
        assert "platoon.lock" not in links(platoon.process.pid)[fd]


def test_many_orphans_are_one_line(platoon):
    """Each leaves its worker's group and session, so that the kill of the group does not meet it."""
    run(platoon, "program p { command = \"sh -c 'for i in $(seq 1000); do setsid sleep 1000 & done; echo all; exec sleep 1000'\"  ready = \"log:all\" }")
    os.kill(platoon.pid_of("p.1"), signal.SIGKILL)

    def lines():
        return [line for line in (platoon.dir / "own.log").read_text().split("\n")[:-1] if "orphan-" in line]
    wait_until(lambda: any("orphan-killed" in line for line in lines()), 30, "their end")
    wait_until(lambda: any("orphan-reaped" in line for line in lines()), 30, "their zombies' end")
    wait_until(lambda: sum(int(re.search(r"count=(\d+)", line)[1]) if "count=" in line else 1 for line in lines() if "orphan-reaped" in line) >= 1000, 20, "all of them")
    assert len(lines()) < 20, lines()
