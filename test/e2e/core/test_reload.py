"""reload, scale, patterns and check: what a running platoon makes of another configuration, with real workers."""
import os
import signal
import socket
import threading
import time

from platoon_fixture import SCALE, alive, process_state, wait_until
from platoon_steps import pids, reload, waiting


SLEEP = "program {0} {{ command = \"sleep {1}\" {2} }}\n"


def write(platoon, text, **platoon_keys):
    keys = "".join(f" {k} = {v}" for k, v in platoon_keys.items())
    platoon.config_path.write_text(f"platoon {{ runtime_dir = run  state_dir = state{keys} }}\n{text}")


def test_only_what_changed_is_touched(platoon):
    write(platoon, SLEEP.format("same", 1000, "") + SLEEP.format("changed", 1000, "") + SLEEP.format("gone", 1000, ""))
    platoon.start()
    before = pids(platoon)
    write(platoon, SLEEP.format("same", 1000, "stop_timeout = 3s") + SLEEP.format("changed", 2000, "") + SLEEP.format("new", 1000, ""))
    assert reload(platoon) == {("update", "same.1"), ("restart", "changed.1"), ("stop", "gone.1"), ("start", "new.1")}
    after = platoon.workers()
    assert set(after) == {"same.1", "changed.1", "new.1"}
    assert after["same.1"]["pid"] == before["same.1"]
    assert after["changed.1"]["pid"] != before["changed.1"]
    assert all(node["state"] == "READY" for node in after.values())
    assert not alive(before["gone.1"])
    assert reload(platoon) == set()


def test_dry_run_lists_and_changes_nothing(platoon):
    write(platoon, SLEEP.format("same", 1000, ""))
    platoon.start()
    before = pids(platoon)
    write(platoon, SLEEP.format("same", 1000, "processes = 2"))
    assert reload(platoon, "--dry-run") == {("start", "same.2")}
    assert pids(platoon) == before
    assert "dry run: nothing was changed" in platoon.ctl("reload", "--dry-run").stdout


def test_a_bad_file_changes_nothing_and_every_error_has_its_line(platoon):
    write(platoon, SLEEP.format("same", 1000, ""))
    platoon.start()
    before = pids(platoon)
    platoon.config_path.write_text("platoon { runtime_dir = run state_dir = state }\nprogram same { comand = x }\nprogram b { command = y processes = 1001 }\n")
    done = platoon.ctl("reload")
    assert done.returncode == 78
    lines = done.stderr.splitlines()
    assert any("platoon.conf:2: comand" in line for line in lines) and any("platoon.conf:3: processes" in line for line in lines), lines
    assert pids(platoon) == before
    assert platoon.ctl("check", str(platoon.config_path)).returncode == 78


def test_a_directory_cannot_change_while_it_runs(platoon):
    write(platoon, SLEEP.format("same", 1000, ""))
    platoon.start()
    platoon.config_path.write_text("platoon { runtime_dir = other state_dir = state }\n" + SLEEP.format("same", 1000, ""))
    done = platoon.ctl("reload")
    assert done.returncode == 78 and "runtime_dir" in done.stderr and "platoonctl shutdown" in done.stderr
    assert set(platoon.workers()) == {"same.1"}


def test_hup_reloads_and_logs_each_change(platoon):
    write(platoon, SLEEP.format("same", 1000, ""))
    platoon.start()
    write(platoon, SLEEP.format("same", 1000, "processes = 3"), log_level="debug")
    platoon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(platoon.workers()) == 3, 10, "three workers")
    for line in ("name=same.3 action=start", "name=platoon action=update why=log_level"):
        wait_until(lambda line=line: f"reload-change {line}" in platoon.log(), 10, f"the log line {line}")
    platoon.config_path.write_text("nonsense")
    platoon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload-refused" in platoon.log(), 10, "the refusal")
    assert len(platoon.workers()) == 3
    platoon.config_path.write_text("platoon { nonsense = 1 }\nprogram x { }\n")
    platoon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: sum("reload-refused" in line for line in platoon.log().splitlines()) >= 3, 10, "a line for each error")
    assert "\\x0a" not in platoon.log()


def test_reload_during_a_restart_and_twice_at_once_leaves_one_process_each(platoon):
    write(platoon, SLEEP.format("a", 1000, "") + SLEEP.format("b", 1000, ""))
    platoon.start()
    write(platoon, SLEEP.format("a", 2000, "") + SLEEP.format("b", 2000, "processes = 2"))
    threads = [threading.Thread(target=platoon.ctl, args=words) for words in
               [("reload",), ("restart", "a.1"), ("reload",), ("restart", "b.1"), ("reload",), ("restart", "platoon")]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert platoon.ctl("--timeout", f"{60 * SCALE}s", "wait", "ready").returncode == 0
    assert set(platoon.workers()) == {"a.1", "b.1", "b.2"}

    def sleeps():
        found = []
        for entry in os.listdir("/proc"):
            try:
                command = open(f"/proc/{entry}/cmdline", "rb").read() if entry.isdigit() else b""
                environment = open(f"/proc/{entry}/environ", "rb").read() if command.startswith(b"sleep\0") else b""
            except OSError:
                continue
            if platoon.mark.encode() in environment and process_state(int(entry)) not in "ZX":
                found.append(command)
        return found
    wait_until(lambda: sorted(sleeps()) == [b"sleep\x002000\0"] * 3, 10, "one process of each")


def test_what_waits_for_a_removed_name_is_told(platoon):
    write(platoon, SLEEP.format("same", 1000, "") + SLEEP.format("never", 1000, 'ready = "tcp:127.0.0.1:1"'))
    platoon.start(ready=False)
    wait_until(lambda: platoon.workers()["same.1"]["state"] == "READY", 10, "the first")
    with waiting(platoon, "--timeout", "50s", "wait", "never.1", "ready") as tool:
        write(platoon, SLEEP.format("same", 1000, ""))
        reload(platoon)
        said = tool.communicate(timeout=30)[1]
    assert tool.returncode == 5 and "no longer in the configuration" in said, said


def test_scale_keeps_the_first_and_reload_brings_back_the_number_of_the_file(platoon):
    write(platoon, SLEEP.format("web", 1000, "processes = 2"))
    platoon.start()
    before = pids(platoon)
    done = platoon.ctl("scale", "web", "5")
    assert done.returncode == 0 and "start  web.5  new" in done.stdout, done
    five = pids(platoon)
    assert len(five) == 5 and all(five[name] == pid for name, pid in before.items())
    assert platoon.ctl("scale", "web", "1", "--dry-run").stdout.count("stop") == 4
    assert len(platoon.workers()) == 5
    assert platoon.ctl("scale", "web", "1").returncode == 0
    assert pids(platoon) == {"web.1": before["web.1"]}
    assert reload(platoon) == {("start", "web.2")}
    for words, code in ((("web", "0"), 2), (("web", "1001"), 2), (("web", "many"), 2), (("wbe", "2"), 5), (("web.1", "2"), 2)):
        assert platoon.ctl("scale", *words).returncode == code, words


def test_patterns(platoon):
    write(platoon, SLEEP.format("web", 1000, "processes = 3") + SLEEP.format("mail", 1000, ""))
    platoon.start()
    mail = platoon.pid_of("mail.1")
    assert platoon.ctl("stop", "web*").returncode == 0
    assert {n["state"] for name, n in platoon.workers().items() if name.startswith("web")} == {"STOPPED"}
    assert platoon.ctl("wait", "web.?", "stopped").returncode == 0
    assert platoon.ctl("start", "web.[23]").returncode == 5, "a set of characters is no pattern by itself"
    assert platoon.ctl("start", "*").returncode == 0
    assert platoon.ctl("wait", "*", "ready").returncode == 0
    assert platoon.pid_of("mail.1") == mail
    assert platoon.ctl("restart", "m*").returncode == 0
    assert platoon.pid_of("mail.1") != mail
    done = platoon.ctl("stop", "zzz*")
    assert done.returncode == 5 and "no worker matches 'zzz*'" in done.stderr


def test_check_without_a_master(platoon):
    write(platoon, SLEEP.format("web", 1000, ""))
    done = platoon.ctl("check", str(platoon.config_path))
    assert done.returncode == 0 and "configuration OK" in done.stdout
    done = platoon.ctl("check", "/nonexistent.conf")
    assert done.returncode == 78 and "/nonexistent.conf" in done.stderr


def test_systemd_is_told_of_a_reload_and_of_its_end(platoon):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(platoon.dir / "manager"))
    manager.settimeout(10 * SCALE)
    write(platoon, SLEEP.format("a", 1000, ""))
    os.environ["NOTIFY_SOCKET"] = f"{platoon.dir}/manager"
    try:
        platoon.start()
    finally:
        del os.environ["NOTIFY_SOCKET"]

    def next_of(what):
        while True:
            said = manager.recv(4096).decode()
            if what in said:
                return said
    assert next_of("READY=1")
    before = time.monotonic_ns() // 1000
    platoon.process.send_signal(signal.SIGHUP)
    reloading = next_of("RELOADING=1")
    stamp = int(reloading.split("MONOTONIC_USEC=")[1])
    assert before - 2000 <= stamp <= time.monotonic_ns() // 1000
    assert next_of("READY=1")
    platoon.process.send_signal(signal.SIGTERM)
    assert next_of("STOPPING=1")
    platoon.process.wait(10 * SCALE)
    manager.close()
