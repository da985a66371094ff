"""The master: its command line, one instance, clear refusals, restarts, escalation, the end by kill -9, its size."""
import os
import re
import shutil
import signal
import socket
import stat
import subprocess

import pytest

from conftest import ASAN, BUILD, alive, elapsed, free_port, freeze, marked, rss_bytes, wait_until


def members(count, start=0):
    return {f"v:{i}": {"n": str(i)} for i in range(start, start + count)}


def run(platoon, *words):
    return subprocess.run([str(platoon.build / "platoon"), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                          env=platoon.environment(), cwd="/")


def refused(platoon, *needles, code=None):
    """platoon -c ends by itself, soon, with one clear line that holds the needles."""
    done = run(platoon, "-c", str(platoon.config_path))
    assert done.returncode not in (0, -6, -11), done
    if code is not None:
        assert done.returncode == code, done
    for needle in needles:
        assert needle in done.stderr, f"{needle!r} is not in {done.stderr!r}"
    assert not marked(platoon.mark)
    return done


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
store visits { path = visits.db }
drain visits {
    set = "s"
    store = nowhere
    batch = many
    lease = 7
}
""")
    done = run(platoon, "-c", str(platoon.config_path), "--check")
    assert done.returncode == 78
    lines = done.stderr.splitlines()
    for number, words in ((3, ["intensity"]), (4, ["perod", "period"]), (6, ["url"]), (10, ["nowhere"]), (11, ["batch"]), (12, ["lease"])):
        found = [line for line in lines if line.startswith(f"{platoon.config_path}:{number}: ")]
        assert found, f"no line for {number}: {done.stderr}"
        assert all(w in found[0] for w in words), found
    assert "secret" not in done.stderr


@pytest.mark.parametrize("text", ["drain visits { set = s store = visits", "drain visits {", 'store visits { path = "open', "bogus { }", "= 1"])
def test_check_of_broken_syntax(platoon, text):
    platoon.config_path.write_text("store visits { path = visits.db }\n" + text + "\n" if not text.startswith("store") else text)
    done = run(platoon, "-c", str(platoon.config_path), "--check")
    assert done.returncode == 78 and re.search(rf"^{re.escape(str(platoon.config_path))}:\d+: ", done.stderr, re.M), done.stderr


def test_check_of_a_missing_file(platoon):
    done = run(platoon, "-c", "/nowhere/platoon.conf", "--check")
    assert done.returncode == 78 and "/nowhere/platoon.conf" in done.stderr and "No such file" in done.stderr


def test_start_with_a_broken_file(platoon):
    platoon.config_path.write_text("drain x { }\n")
    refused(platoon, str(platoon.config_path), code=78)


def test_print_config(platoon):
    platoon.configure(redis={"url": "redis://app@127.0.0.1:1/2"}, drain={"batch": 77})
    done = run(platoon, "-c", str(platoon.config_path), "--print-config")
    assert done.returncode == 0, done.stderr
    assert re.search(r"batch\s*=\s*\"?77", done.stdout)
    assert re.search(r"max_attempts\s*=\s*\"?5", done.stdout), "defaults are printed"
    assert str(platoon.dir / "visits.db") in done.stdout, "relative paths are relative to the file"
    # What is printed can be fed back and means the same.
    platoon.config_path.write_text(done.stdout)
    again = run(platoon, "-c", str(platoon.config_path), "--print-config")
    assert again.returncode == 0 and again.stdout == done.stdout


# ---- one instance, clear refusals ----


def test_second_instance_is_refused(platoon):
    platoon.start()
    before = platoon.workers()
    done = run(platoon, "-c", str(platoon.config_path))
    assert done.returncode not in (0, None) and str(platoon.dir / "run") in done.stderr
    assert str(platoon.process.pid) in done.stderr or "already" in done.stderr or "running" in done.stderr
    assert {n: w["pid"] for n, w in platoon.workers().items()} == {n: w["pid"] for n, w in before.items()}


def test_leftovers_of_a_dead_master_are_no_obstacle(platoon):
    platoon.start()
    platoon.kill9()
    platoon.gone()
    left = {p.name for p in (platoon.dir / "run").iterdir()}
    assert "control.sock" in left
    platoon.start()
    platoon.add(members(5))
    platoon.drained()


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
    libexec = platoon.dir / "libexec"
    shutil.copytree(platoon.build / "libexec/platoon", libexec)
    (libexec / "get-hash").unlink()
    platoon.configure(platoon={"libexec_dir": libexec})
    refused(platoon, str(libexec / "get-hash"))


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
        assert str(port) in platoon.log()
        assert re.search(r"in use", platoon.log(), re.I)
    if platoon.process.poll() is None:
        assert platoon.ctl("--timeout", "30s", "wait", "ready").returncode == 0, "and it starts when the port is free"


def test_embedded_server_listens_on_its_port(platoon):
    port = free_port()
    platoon.configure(redis={"server_port": port}).start()
    import redis
    assert redis.Redis(port=port).ping()


# ---- the tree ----


def test_tree_is_the_one_of_the_design(platoon):
    platoon.start()
    tree = platoon.tree()
    assert tree["name"] == "platoon" and tree["kind"] == "branch" and tree["pid"] == platoon.process.pid or tree["pid"] is None
    names = list(platoon.workers())
    assert names == ["redis/server", "redis/send.1", "redis/visits/watcher.1", "redis/visits/get-set.1", "redis/visits/get-hash.1",
                     "redis/visits/get-hash.2", "transfer/visits.1", "transfer/report"]
    keys = {"name", "kind", "type", "state", "wanted", "pid", "generation", "restarts", "uptime_ms", "rss_bytes", "last_exit", "children"}

    def walk(node):
        assert keys <= set(node), node
        for child in node["children"]:
            assert child["name"].startswith("" if node["name"] == "platoon" else node["name"] + "/")
            walk(child)
    walk(tree)
    for node in platoon.workers().values():
        assert node["state"] == "READY" and node["wanted"] == "up" and alive(node["pid"]) and node["generation"] == 1
        assert node["rss_bytes"] > 0 and node["restarts"] == 0


def test_worker_programs_hold_no_foreign_descriptors(platoon):
    """posix_spawn with closefrom: 0 to 3 and what the worker opened itself; never the master's sockets or the lock."""
    platoon.start()
    masters = {os.readlink(f"/proc/{platoon.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{platoon.process.pid}/fd")}
    own = {m for m in masters if m.startswith("socket:") or "lock" in m}
    for name, node in platoon.workers().items():
        for fd in os.listdir(f"/proc/{node['pid']}/fd"):
            target = os.readlink(f"/proc/{node['pid']}/fd/{fd}")
            assert int(fd) < 4 or target not in own, f"{name} holds {target} as {fd}"


def test_master_links_no_heavy_library():
    text = subprocess.run(["ldd", str(BUILD / "platoon")], capture_output=True, text=True, check=True).stdout
    for library in ("hiredis", "libcurl", "libssl", "libcrypto", "sqlite"):
        assert library not in text


def test_orderly_stop_on_term(platoon):
    platoon.start()
    platoon.add(members(2000))
    assert platoon.stop() == 0
    assert not marked(platoon.mark)
    platoon.start()
    platoon.drained()
    assert platoon.data() == members(2000)


def test_stop_order_is_the_reverse_of_start_order(platoon):
    platoon.start()
    names = list(platoon.workers())
    platoon.stop()
    text = platoon.log()
    ends = {n: [m.start() for m in re.finditer(rf"(?m)^.*worker={re.escape(n)}\b.*to=STOPPED.*$|^.*{re.escape(n)}\b.*STOPPED.*$", text)]
            for n in names}
    order = sorted((n for n in names if ends[n]), key=lambda n: ends[n][-1])
    assert set(order) == set(names), f"each end is in the log: {text[-3000:]}"
    # Between groups; workers of one group may end in any order.
    place = {n: i for i, n in enumerate(order)}
    assert place["redis/server"] == len(names) - 1
    assert place["redis/visits/watcher.1"] > place["transfer/visits.1"]


def test_second_signal_forces(platoon):
    platoon.configure(platoon={"stop_timeout": "60s"}).start()
    pid = platoon.pid_of("transfer/report")
    freeze(pid)
    platoon.process.terminate()
    wait_until(lambda: "DRAINING" in platoon.log(), 10, "the stop to begin")
    assert platoon.process.poll() is None
    platoon.process.terminate()
    platoon.process.wait(10)
    platoon.gone()


# ---- restarts ----


def test_generation_and_obituary(platoon):
    platoon.start()
    for turn in range(1, 4):
        node = platoon.workers()["transfer/report"]
        assert node["generation"] == turn and node["restarts"] == turn - 1
        os.kill(node["pid"], signal.SIGSEGV if turn == 1 else signal.SIGKILL)
        platoon.replaced(node)
    others = [w for n, w in platoon.workers().items() if n != "transfer/report"]
    assert all(w["restarts"] == 0 for w in others), "one_for_one"


def test_hung_worker_is_killed(platoon):
    platoon.configure(platoon={"hang_timeout": "5s"}).start()
    before = platoon.workers()["redis/visits/get-hash.1"]
    freeze(before["pid"])
    platoon.replaced(before)
    platoon.add(members(100))
    platoon.drained()
    assert platoon.data() == members(100)


@pytest.mark.parametrize("who, times", [("master", 1), ("machine", 2)])
def test_master_that_stood_still_takes_nobody_for_hung(platoon, who, times):
    """What the workers have said meanwhile is read before anybody is judged; who stood still with the master, as in a pause of the machine, gets time to say it."""
    platoon.configure(platoon={"hang_timeout": "5s"}).start()
    before = {name: worker["pid"] for name, worker in platoon.workers().items()}
    still = [platoon.process.pid] + (list(before.values()) if who == "machine" else [])
    for turn in range(times):
        platoon.add(members(100, start=100 * turn))
        for pid in still:
            freeze(pid)
        wait_until(elapsed(6.5), 10, "every deadline to pass")
        for pid in still:
            os.kill(pid, signal.SIGCONT)
            wait_until(elapsed(0.1), 10, "the master to be the first that goes on")
    platoon.drained()
    assert platoon.data() == members(100 * times)
    assert {name: worker["pid"] for name, worker in platoon.workers().items()} == before


def test_rest_for_one(platoon):
    platoon.configure(drain={"strategy": "rest_for_one"}).start()
    before = platoon.workers()
    os.kill(before["redis/visits/get-set.1"]["pid"], signal.SIGKILL)

    def settled():
        now = platoon.workers()
        return all(w["state"] == "READY" for w in now.values()) and now["redis/visits/get-set.1"]["pid"] != before["redis/visits/get-set.1"]["pid"] and now
    after = wait_until(settled, 20, "the branch to settle")
    changed = {n for n in before if before[n]["pid"] != after[n]["pid"]}
    assert changed == {"redis/visits/get-set.1", "redis/visits/get-hash.1", "redis/visits/get-hash.2"}
    platoon.add(members(50))
    platoon.drained()


def test_back_off_and_escalation(platoon):
    """A worker that dies again and again: its branch gives up and is restarted whole; platoon never gives up."""
    platoon.configure(platoon={"backoff_min": "10ms", "backoff_max": "50ms"}, drain={"intensity": 3, "period": "30s"}).start()
    before = platoon.workers()

    def branch_restarted():
        now = platoon.workers()
        node = now["redis/visits/get-hash.1"]
        if node["state"] == "READY" and now["redis/visits/watcher.1"]["pid"] == before["redis/visits/watcher.1"]["pid"]:
            try:
                os.kill(node["pid"], signal.SIGKILL)
            except ProcessLookupError:
                pass
        return now["redis/visits/watcher.1"]["pid"] not in (None, before["redis/visits/watcher.1"]["pid"])
    wait_until(branch_restarted, 30, "the drain's branch to be restarted")
    assert platoon.ctl("--timeout", "20s", "wait", "ready").returncode == 0
    after = platoon.workers()
    assert after["redis/server"]["pid"] == before["redis/server"]["pid"], "the parent's other children live on"
    assert platoon.process.poll() is None
    platoon.add(members(50))
    platoon.drained()


def test_configuration_error_of_a_worker_is_fatal(platoon):
    """A worker program that ends with 78 is not started again, and status says so."""
    libexec = platoon.dir / "libexec"
    shutil.copytree(platoon.build / "libexec/platoon", libexec)
    (libexec / "report").write_text("#!/bin/sh\necho 'cannot work like this' >&2\nexit 78\n")
    platoon.configure(platoon={"libexec_dir": libexec}).start(ready=False)
    wait_until(lambda: platoon.workers()["transfer/report"]["state"] == "FATAL", 15, "FATAL")
    assert "transfer/report" in platoon.problems()
    assert "cannot work like this" in platoon.log()
    done = platoon.ctl("--timeout", "3s", "wait", "ready")
    assert done.returncode in (1, 124) and "transfer/report" in done.stdout + done.stderr
    platoon.add(members(5))
    platoon.drained()


def test_foreign_program_as_worker(platoon):
    """Garbage on the link, and nothing on the link: the master does not notice otherwise."""
    libexec = platoon.dir / "libexec"
    shutil.copytree(platoon.build / "libexec/platoon", libexec)
    (libexec / "report").write_text("#!/bin/sh\nhead -c 100000 /dev/urandom >&3\nexec sleep 1000\n")
    (libexec / "report").chmod(0o755)
    platoon.configure(platoon={"libexec_dir": libexec}).start(ready=False)
    wait_until(lambda: platoon.workers()["transfer/report"]["restarts"] >= 1, 20, "a restart")
    assert platoon.workers()["transfer/report"]["last_exit"]
    platoon.add(members(5))
    platoon.drained()
    assert platoon.process.poll() is None


# ---- the end by kill -9 ----


def test_kill_9_of_the_master(platoon):
    platoon.configure(drain={"batch": 20}).start()
    platoon.add(members(3000))
    pids = [w["pid"] for w in platoon.workers().values()]
    server = platoon.redis().info("server")["process_id"]
    platoon.kill9()
    wait_until(lambda: not any(alive(p) for p in [*pids, server]), 5, "the end of every process within 5 s")
    platoon.gone(1)
    platoon.start()
    platoon.drained(timeout=60)
    assert platoon.data() == members(3000)
    assert platoon.drain()["dead"] == 0


def test_kill_9_of_the_master_with_a_worker_that_hangs(platoon):
    """A stopped worker cannot notice the end of its link; the kernel must end it all the same."""
    platoon.start()
    pids = [w["pid"] for w in platoon.workers().values()]
    freeze(platoon.pid_of("redis/visits/get-set.1"))
    platoon.kill9()
    wait_until(lambda: not any(alive(p) for p in pids), 5, "the end of every process within 5 s")


def test_state_of_an_instance_survives(platoon):
    platoon.start()
    identity = (platoon.dir / "state/instance").read_text().split()[0]
    platoon.stop()
    platoon.start()
    assert (platoon.dir / "state/instance").read_text().split()[0] == identity


# ---- size ----


def test_resident_memory_with_100_workers(platoon, redis_server):
    """Under 8 MB (the sanitizers' own memory does not count: there it only has to stay bounded)."""
    server = redis_server("--maxclients", "2000")
    platoon.configure(platoon={"ready_timeout": "120s"}, redis={"url": server.url}, drain={"get_hash.workers": 96})
    platoon.spawn()
    platoon.wait_socket()
    assert platoon.ctl("--timeout", "120s", "wait", "ready").returncode == 0
    workers = platoon.workers()
    assert len(workers) >= 100
    for _ in range(20):
        platoon.tree()
    resident = rss_bytes(platoon.process.pid)
    assert resident < (150 if ASAN else 8) * 1024 * 1024, f"{resident / 1e6:.1f} MB with {len(workers)} workers"
    platoon.redis = server.client
    platoon.add(members(2000))
    platoon.drained(timeout=60)
    assert platoon.data() == members(2000)
