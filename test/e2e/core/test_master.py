"""The master: its command line, one instance, clear refusals, restarts, escalation, the end by kill -9, its size."""
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess

import pytest

from platoon_fixture import ASAN, BUILD, alive, free_port, freeze, links, rss_bytes, wait_until
from platoon_steps import (
    escalates, fatal_by_78, master_killed, own_binary, pids, refused, refused_without_program, restarted_for_garbage, restarted_with, run,
    stands_still, stop_places, tree_is_of_the_design, upgrade)


# ---- command line ----


def test_version_and_help(platoon):
    version = run(platoon, "--version")
    assert version.returncode == 0 and re.search(r"\d+\.\d+\.\d+", version.stdout)
    usage = run(platoon, "--help")
    assert usage.returncode == 0
    for option in ("-c", "--check", "--print-config", "--version"):
        assert option in usage.stdout


@pytest.mark.parametrize("words", [[], ["--nonsense"], ["-c"], ["-c", "x", "more"]])
def test_wrong_arguments(platoon, words):
    done = run(platoon, *words)
    assert done.returncode == 2 and done.stderr.strip() and not done.stdout


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--check"], ["--print-config"]])
def test_what_could_not_be_written_is_an_error(platoon, words):
    """A script that keeps what it asked for must hear that it has not got it: coreutils' close_stdout, and what others report who lack it."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([platoon.build / "platoon", "-c", platoon.config_path, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "platoon: cannot write the output: No space left on device\n")


def test_check_of_a_good_file(platoon):
    done = run(platoon, "-c", str(platoon.config_path), "--check")
    assert done.returncode == 0, done.stderr
    assert not (platoon.dir / "run").exists(), "--check touches nothing"


def test_check_names_every_error(platoon):
    platoon.config_path.write_text("""platoon {
    runtime_dir = run
    intensity = 0
    perod = 5s
}
redis main { url = "redis://:secret@host/0" }
program visits {
    command = true
    may_start = nowhere
    processes = many
    stop_timeout = 7
}
""")
    done = run(platoon, "-c", str(platoon.config_path), "--check")
    assert done.returncode == 78
    lines = done.stderr.splitlines()
    for number, words in ((3, ["intensity"]), (4, ["perod", "period"]), (6, ["url"]), (9, ["nowhere"]), (10, ["processes"]), (11, ["stop_timeout"])):
        found = [line for line in lines if line.startswith(f"{platoon.config_path}:{number}: ")]
        assert found, f"no line for {number}: {done.stderr}"
        assert all(w in found[0] for w in words), found
    assert "secret" not in done.stderr


@pytest.mark.parametrize("text", ["program visits { command = s", "program visits {", 'store visits { path = "open', "bogus { }", "= 1"])
def test_check_of_broken_syntax(platoon, text):
    platoon.config_path.write_text("store visits { path = visits.db }\n" + text + "\n" if not text.startswith("store") else text)
    done = run(platoon, "-c", str(platoon.config_path), "--check")
    assert done.returncode == 78 and re.search(rf"^{re.escape(str(platoon.config_path))}:\d+: ", done.stderr, re.M), done.stderr


def test_check_of_a_missing_file(platoon):
    done = run(platoon, "-c", "/nowhere/platoon.conf", "--check")
    assert done.returncode == 78 and "/nowhere/platoon.conf" in done.stderr and "No such file" in done.stderr


def test_start_with_a_broken_file(platoon):
    platoon.config_path.write_text("program x { }\n")
    refused(platoon, str(platoon.config_path), code=78)


def test_print_config(platoon):
    platoon.configure(redis={"url": "redis://app@127.0.0.1:1/2"}, extra='program p { command = "sleep 1"  processes = 77  log_file = "p{n}.log" }\n')
    done = run(platoon, "-c", str(platoon.config_path), "--print-config")
    assert done.returncode == 0, done.stderr
    assert re.search(r"processes\s*=\s*\"?77", done.stdout)
    assert re.search(r"may_start_max\s*=\s*\"?16", done.stdout), "defaults are printed"
    assert str(platoon.dir / "p{n}.log") in done.stdout, "relative paths are relative to the file"
    # What is printed can be fed back and means the same.
    platoon.config_path.write_text(done.stdout)
    again = run(platoon, "-c", str(platoon.config_path), "--print-config")
    assert again.returncode == 0 and again.stdout == done.stdout


def test_print_config_shows_no_secret(platoon):
    words = """environment = "API_TOKEN=hush 'QUOTED=hush hush'"  settings = "key=hush" """
    platoon.configure(redis=None, extra=f'program p {{ command = "sleep 1"  worker = true  {words} }}\n'.replace("sleep 1", "/bin/true"))
    done = run(platoon, "-c", str(platoon.config_path), "--print-config")
    assert done.returncode == 0 and "hush" not in done.stdout, done
    assert "API_TOKEN=*** QUOTED=***" in done.stdout and "key=***" in done.stdout


def test_a_fifo_is_waited_for_by_nobody(platoon):
    fifo = platoon.dir / "fifo.conf"
    os.mkfifo(fifo)
    done = run(platoon, "-c", str(fifo), "--check")
    assert done.returncode == 78 and f"{fifo}:1: is no file" in done.stderr
    (platoon.dir / "state").mkdir(mode=0o700)
    for name in ("instance", "instance.new"):
        os.mkfifo(platoon.dir / "state" / name)
    platoon.start()
    assert re.fullmatch(r"[0-9a-f]{16} 1\n", (platoon.dir / "state/instance").read_text())


# ---- one instance, clear refusals ----


def test_second_instance_is_refused(platoon):
    platoon.start()
    before = platoon.workers()
    done = run(platoon, "-c", str(platoon.config_path))
    assert done.returncode not in (0, None) and str(platoon.dir / "run") in done.stderr
    assert str(platoon.process.pid) in done.stderr or "already" in done.stderr or "running" in done.stderr
    assert {n: w["pid"] for n, w in platoon.workers().items()} == {n: w["pid"] for n, w in before.items()}


def of_another_runtime_dir(platoon):
    """A copied configuration with its sockets elsewhere, on the same state_dir."""
    other = platoon.dir / "other.conf"
    other.write_text(platoon.config_path.read_text().replace('"run"', '"other"'))
    return other


def test_one_state_has_one_master_whatever_its_runtime_dir(platoon):
    """A lock belongs to what it protects. Public threads: dgraph-io/dgraph#1185, skytable/skytable#167, electric-sql/pglite#1106."""
    own_binary(platoon)
    platoon.start()
    for _ in range(2):
        done = run(platoon, "-c", str(of_another_runtime_dir(platoon)))
        assert done.returncode == 1 and f"state_dir {platoon.dir / 'state'}: another platoon (pid {platoon.process.pid})" in done.stderr
        upgrade(platoon)
    shutil.rmtree(platoon.dir / "run")
    done = run(platoon, "-c", str(platoon.config_path))
    assert done.returncode == 1 and f"(kill {platoon.process.pid})" in done.stderr, done.stderr
    assert platoon.stop() == 0
    platoon.start()


def test_the_data_are_held_by_the_server_that_has_them_open(platoon):
    """It may outlive its master and its worker by a moment: the next one waits, says for whom, and goes on by itself."""
    lock = platoon.dir / "state/redis/platoon.lock"
    lock.parent.mkdir(parents=True)
    platoon.dir.joinpath("state").chmod(0o700)
    with open(lock, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        platoon.start(ready=False)
        wait_until(lambda: f"{lock}: what it holds is being worked on by another process" in platoon.log(), 20, "the refusal")
    assert platoon.ctl("--timeout", "60s", "wait", "redis/server", "ready").returncode == 0
    server = platoon.redis().info("server")["process_id"]
    assert str(lock) in links(server).values()


def test_socket_is_private(platoon):
    platoon.start()
    assert stat.S_IMODE((platoon.dir / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((platoon.dir / "run/control.sock").stat().st_mode) == 0o600


def test_too_long_runtime_path(platoon):
    deep = platoon.dir / ("d" * 100)
    platoon.configure(platoon={"runtime_dir": deep})
    done = refused(platoon, "runtime_dir")
    assert re.search(r"long|108|107|bytes", done.stderr)


def test_directory_that_others_can_write(platoon):
    (platoon.dir / "run").mkdir()
    (platoon.dir / "run").chmod(0o777)
    refused(platoon, str(platoon.dir / "run"))


def test_runtime_dir_is_a_file(platoon):
    (platoon.dir / "run").write_text("")
    refused(platoon, str(platoon.dir / "run"))


def test_missing_worker_program(platoon):
    refused_without_program(platoon, "send")


def test_missing_redis_server(platoon):
    platoon.configure(redis={"server_program": "/nowhere/redis-server"})
    refused(platoon, "/nowhere/redis-server")


def test_port_in_use(platoon):
    """Named in status or at the end, with the port; the tree never says ready."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        platoon.configure(redis={"server_port": port})
        platoon.spawn()
        wait_until(lambda: platoon.process.poll() is not None or (platoon.ctl("version").returncode == 0
                   and str(port) in platoon.problems()), 20, "the port to be named")
        wait_until(lambda: str(port) in platoon.log() and re.search(r"in use", platoon.log(), re.I), 10, "the log to name it")
    if platoon.process.poll() is None:
        assert platoon.ctl("--timeout", "60s", "wait", "ready").returncode == 0, "and it starts when the port is free"


def test_embedded_server_listens_on_its_port(platoon):
    port = free_port()
    platoon.configure(redis={"server_port": port}).start()
    import redis
    password = (platoon.dir / "state/redis/password").read_text().strip()
    assert redis.Redis(port=port, password=password).ping()


# ---- the tree ----


def test_tree_is_the_one_of_the_design(platoon):
    tree_is_of_the_design(platoon, ["redis/server", "redis/send.1", "site/web.1", "site/web.2", "site/mail.1"])


def test_worker_programs_hold_no_foreign_descriptors(platoon):
    """posix_spawn with closefrom: 0 to 3 and what the worker opened itself; never the master's sockets or the lock."""
    platoon.start()
    own = {m for m in links(platoon.process.pid).values() if m.startswith("socket:") or "lock" in m}
    for name, node in platoon.workers().items():
        for fd, target in links(node["pid"]).items():
            assert fd < 4 or target not in own, f"{name} holds {target} as {fd}"


def without_standard_fds():
    for fd in range(3):
        os.close(fd)


def expect_nothing_in_their_place(pid):
    """Once it has a socket, which would have been the first to take one of their numbers."""
    wait_until(lambda: any(target.startswith("socket:") for target in links(pid).values()), 10, "its socket")
    assert [links(pid).get(fd) for fd in range(3)] == ["/dev/null"] * 3, links(pid)


def test_started_without_standard_fds_no_file_of_ours_takes_their_place(platoon):
    platoon.start(preexec=without_standard_fds)
    expect_nothing_in_their_place(platoon.process.pid)
    tool = subprocess.Popen([str(BUILD / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "watch"], preexec_fn=without_standard_fds)
    try:
        expect_nothing_in_their_place(tool.pid)
    finally:
        tool.kill()
        tool.wait()


def test_master_links_no_heavy_library():
    text = subprocess.run(["ldd", str(BUILD / "platoon")], capture_output=True, text=True, check=True).stdout
    for library in ("hiredis", "libcurl", "libssl", "libcrypto", "sqlite"):
        assert library not in text


def test_orderly_stop_on_term(platoon):
    platoon.start()
    assert platoon.stop() == 0
    platoon.gone()
    platoon.start()
    assert platoon.ctl("redis", "PING").stdout.strip() == "PONG"


def test_stop_order_is_the_reverse_of_start_order(platoon):
    place = stop_places(platoon)
    assert place["redis/send.1"] > place["site/web.1"] > place["site/mail.1"]


# ---- restarts ----

# A branch of four: three/a.1, b.1, c.1, c.2.
THREE = """supervisor three {{ children = "a b c"  {} }}
program a {{ command = "sleep 1000" }}
program b {{ command = "sleep 1000" }}
program c {{ command = "sleep 1000"  processes = 2 }}
"""


def test_generation_and_obituary(platoon):
    platoon.start()
    for turn in range(1, 4):
        node = platoon.workers()["redis/send.1"]
        assert node["generation"] == turn and node["restarts"] == turn - 1
        os.kill(node["pid"], signal.SIGSEGV if turn == 1 else signal.SIGKILL)
        platoon.replaced(node)
    others = [w for n, w in platoon.workers().items() if n != "redis/send.1"]
    assert all(w["restarts"] == 0 for w in others), "one_for_one"


def test_hung_worker_is_killed(platoon):
    platoon.configure(platoon={"hang_timeout": "5s"}).start()
    before = platoon.workers()["redis/send.1"]
    freeze(before["pid"])
    platoon.replaced(before)
    assert platoon.ctl("redis", "PING").stdout.strip() == "PONG"


@pytest.mark.parametrize("who, times", [("master", 1), ("machine", 2)])
def test_master_that_stood_still_takes_nobody_for_hung(platoon, who, times):
    before = stands_still(platoon, who, times)
    assert platoon.ctl("redis", "PING").stdout.strip() == "PONG"
    assert pids(platoon) == before


def test_rest_for_one(platoon):
    platoon.configure(site=THREE.format("strategy = rest_for_one")).start()
    assert restarted_with(platoon, "three/b.1") == {"three/b.1", "three/c.1", "three/c.2"}


def test_back_off_and_escalation(platoon):
    platoon.configure(platoon={"backoff_min": "10ms", "backoff_max": "50ms"}, site=THREE.format("intensity = 3  period = 30s")).start()
    escalates(platoon, "three/c.1", first="three/a.1")
    assert platoon.ctl("redis", "PING").stdout.strip() == "PONG"


def test_configuration_error_of_a_worker_is_fatal(platoon):
    fatal_by_78(platoon, "send", "redis/send.1")
    assert all(w["state"] == "READY" for n, w in platoon.workers().items() if n != "redis/send.1")


def test_foreign_program_as_worker(platoon):
    restarted_for_garbage(platoon, "send", "redis/send.1")


# ---- the end by kill -9 ----


def test_kill_9_of_the_master(platoon):
    platoon.start()
    master_killed(platoon)
    assert platoon.ctl("redis", "PING").stdout.strip() == "PONG"


def test_kill_9_of_the_master_with_a_worker_that_hangs(platoon):
    """A stopped worker cannot notice the end of its link; the kernel must end it all the same."""
    platoon.start()
    pids = [w["pid"] for w in platoon.workers().values()]
    freeze(platoon.pid_of("redis/send.1"))
    platoon.kill9()
    wait_until(lambda: not any(alive(p) for p in pids), 5, "the end of every process within 5 s")


def test_state_of_an_instance_survives(platoon):
    platoon.start()
    identity = (platoon.dir / "state/instance").read_text().split()[0]
    platoon.stop()
    platoon.start()
    assert (platoon.dir / "state/instance").read_text().split()[0] == identity


# ---- size ----


def test_resident_memory_with_100_workers(platoon):
    """Under 8 MB (the sanitizers' own memory does not count: there it only has to stay bounded)."""
    platoon.configure(platoon={"ready_timeout": "120s"}, extra='program more { command = "sleep 1000"  processes = 96 }\n')
    platoon.spawn()
    platoon.wait_socket()
    assert platoon.ctl("--timeout", "120s", "wait", "ready").returncode == 0
    workers = platoon.workers()
    assert len(workers) >= 100
    for _ in range(20):
        platoon.tree()
    resident = rss_bytes(platoon.process.pid)
    assert resident < (150 if ASAN else 8) * 1024 * 1024, f"{resident / 1e6:.1f} MB with {len(workers)} workers"
    assert platoon.ctl("redis", "PING").stdout.strip() == "PONG"
