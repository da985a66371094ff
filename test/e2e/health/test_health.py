"""/livez, /readyz and /metrics: what probes and Prometheus are told, and what a client cannot do."""
import contextlib
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

from health_client import get, samples
from platoon_fixture import SCALE, alive, free_port, freeze, soon, wait_until


def write(platoon, text='program web { command = "sleep 1000" processes = 2 }', listen=None):
    listen = listen or f"unix:{platoon.dir}/h.sock"
    platoon.config_path.write_text(f'platoon {{ runtime_dir = run  state_dir = state  health = "{listen}" }}\n{text}\n')
    return platoon


def test_live_and_ready(platoon):
    write(platoon).start()
    assert get(platoon, "/livez") == (200, "ok\n")
    assert get(platoon, "/readyz") == (200, "ready\n")
    assert platoon.ctl("stop", "web.2").returncode == 0
    assert get(platoon, "/readyz") == (503, "web.2 is stopped: platoonctl start web.2\n")
    assert get(platoon, "/livez") == (200, "ok\n")
    assert platoon.ctl("start", "web.2").returncode == 0
    assert get(platoon, "/readyz")[0] == 200


def test_ready_names_the_one_that_never_gets_ready_from_the_start(platoon):
    write(platoon, 'program never { command = "sleep 1000" ready = "tcp:127.0.0.1:1" }').start(ready=False)
    wait_until(lambda: (platoon.dir / "h.sock").exists(), 10, "the socket, before all is ready")
    status, text = get(platoon, "/readyz")
    assert status == 503 and "never.1 is starting" in text


def test_metrics_pass_promtool_and_count(platoon):
    platoon.configure(platoon={"health": f"unix:{platoon.dir}/h.sock"}).start()
    for i in range(30):
        assert platoon.ctl("redis", "SET", f"k{i}", "v").returncode == 0

    def counted():
        values = samples(get(platoon, "/metrics")[1])
        return values if values.get('platoon_requests_total{worker="redis/send.1",type="send"}') == 30 else None
    values = wait_until(counted, 10, "the count of its requests")
    text = get(platoon, "/metrics")[1]
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert checked.returncode == 0 and checked.stderr == "", checked.stdout + checked.stderr
    assert values["platoon_ready"] == 1
    assert values['platoon_worker_state{worker="site/mail.1",type="command",state="READY"}'] == 1
    assert values['platoon_worker_resident_memory_bytes{worker="redis/send.1",type="send"}'] > 500000
    victim = platoon.workers()["redis/send.1"]
    os.kill(victim["pid"], signal.SIGKILL)
    platoon.replaced(victim)
    assert samples(get(platoon, "/metrics")[1])['platoon_worker_restarts_total{worker="redis/send.1",type="send"}'] == 1


def test_on_a_port_of_this_machine_only(platoon):
    port = free_port()
    write(platoon, listen=f"127.0.0.1:{port}").start()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(3):  # one connection, kept
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"ready\n")
    connection.close()
    write(platoon, listen=f"0.0.0.0:{port}")
    done = platoon.ctl("check", str(platoon.config_path))
    assert done.returncode == 78 and "can be reached from other machines" in done.stderr
    write(platoon, listen="here")
    assert "is no address" in platoon.ctl("check", str(platoon.config_path)).stderr


@pytest.mark.usefixtures("root")
def test_its_socket_stands_only_where_nobody_else_may_put_another(platoon):
    """As runtime_dir: by a check, at the start, and by the worker itself in a running master."""
    theirs = platoon.dir / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    write(platoon, listen=f"unix:{theirs}/h.sock")
    words = f"health: unix:{theirs}/h.sock: {theirs} belongs to uid 12345"
    done = platoon.ctl("check", str(platoon.config_path))
    assert done.returncode == 78 and words in done.stderr, done
    platoon.spawn()
    assert platoon.process.wait(10 * SCALE) == 78 and words in platoon.log()
    write(platoon).start()
    write(platoon, listen=f"unix:{theirs}/h.sock")
    os.kill(platoon.process.pid, signal.SIGHUP)
    wait_until(lambda: "belongs to uid 12345" in platoon.problems(), 20, "the worker's own refusal")
    assert words in platoon.log()
    assert not (theirs / "h.sock").exists()


def test_other_requests_are_refused_politely(platoon):
    write(platoon).start()
    assert get(platoon, "/") == (404, "there are /livez, /readyz and /metrics\n")
    assert get(platoon, "/metrics", "POST", b"x" * 100000)[0] == 405
    assert get(platoon, "/metrics", "DELETE")[0] == 405
    assert get(platoon, "/livez", "HEAD") == (200, "")
    assert get(platoon, "/livez?x=" + "y" * 20000)[0] in (413, 414, 431)
    raw = socket.socket(socket.AF_UNIX)
    raw.connect(str(platoon.dir / "h.sock"))
    raw.sendall(os.urandom(2000))
    raw.close()
    assert get(platoon, "/livez")[0] == 200


def test_a_master_that_hangs_is_not_alive(platoon):
    write(platoon).start()
    freeze(platoon.process.pid)
    try:
        def says():
            status, text = get(platoon, "/livez")
            assert status == 503 and "has not answered" in text
        soon(says, 4, "the word of a master that hangs")
    finally:
        os.kill(platoon.process.pid, signal.SIGCONT)
    wait_until(lambda: get(platoon, "/livez")[0] == 200, 10, "life again")


def test_many_at_once_and_clients_that_leave(platoon):
    write(platoon).start()
    results = []

    def ask():
        for _ in range(20):
            results.append(get(platoon, "/metrics")[0])

    def leave():
        for _ in range(40):
            raw = socket.socket(socket.AF_UNIX)
            raw.connect(str(platoon.dir / "h.sock"))
            raw.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            raw.close()
    threads = [threading.Thread(target=t) for t in [ask] * 6 + [leave] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 120
    assert platoon.workers()["health"]["restarts"] == 0


def test_a_thousand_connections_do_not_take_it_away_for_ever(platoon):
    write(platoon).start()
    idle = []
    for _ in range(200):
        raw = socket.socket(socket.AF_UNIX)
        raw.setblocking(False)
        try:
            raw.connect(str(platoon.dir / "h.sock"))
        except BlockingIOError:
            pass
        idle.append(raw)
    for raw in idle:
        raw.close()

    def answers():
        with contextlib.suppress(OSError):  # the queue of the socket may still be full
            return get(platoon, "/livez")[0] == 200
    wait_until(answers, 30, "room again")


SLOW = {
    "silent": b"", "a head without end": b"GET /livez HTTP/1.1\r\nX: ", "a body without end": b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
    "kept, and begun again": b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /", "an answer that is not read": b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 200,
}


@pytest.mark.parametrize("how", SLOW)
def test_slow_clients_keep_no_probe_out(platoon, how):
    """Slowloris and its kin (nginx #2224's kind): places are for who asks, and a byte every now and then is no request."""
    write(platoon).start()
    clients = []
    for _ in range(600):
        raw = socket.socket(socket.AF_UNIX)  # that waits while the queue is full
        raw.connect(str(platoon.dir / "h.sock"))
        clients.append(raw)
        raw.setblocking(False)
        with contextlib.suppress(OSError):
            raw.send(SLOW[how])
    late = []

    def kept_out():
        """Few of twenty: in the rush of their coming, or when the machine had other things to do."""
        late.append(0)
        for _ in range(20):
            began = time.monotonic()
            assert get(platoon, "/livez") == (200, "ok\n")
            late[-1] += time.monotonic() - began > 2 * SCALE
            for raw in clients:
                with contextlib.suppress(OSError):
                    raw.send(b"b")
        return late[-1] > 2
    wait_until(lambda: not kept_out(), 60, lambda: f"probes to be answered: {late} of 20 were late")
    # A byte a time keeps nobody for ever: the deadline is the request's.
    def over(raw):
        with contextlib.suppress(BlockingIOError):
            try:
                raw.send(b"b")
                return raw.recv(1 << 20) == b""
            except (BrokenPipeError, ConnectionResetError):
                return True
    wait_until(lambda: all([over(raw) for raw in clients]), 20, "the end of the last of them")
    assert platoon.workers()["health"]["restarts"] == 0
    for raw in clients:
        raw.close()


# Keeps as many connections as it can, of which none asks for anything; whichever is closed is opened again at once.
RUSH = """
import select, socket, sys
path, first = sys.argv[1], sys.argv[2].encode()
poll, open_ones = select.epoll(), {}
while True:
    while len(open_ones) < 700:
        raw = socket.socket(socket.AF_UNIX)
        raw.setblocking(False)
        try:
            raw.connect(path)
            raw.send(first)
        except OSError:
            break
        open_ones[raw.fileno()] = raw
        poll.register(raw, select.EPOLLRDHUP)
    for number, _ in poll.poll(0.005):
        open_ones.pop(number).close()
"""


@pytest.mark.parametrize("first", ["", "GET /livez HTTP/1.1\r\nX: ", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_clients_that_come_again_and_again_keep_no_probe_out(platoon, first):
    """Who is closed and at once there again: more of them than there are places, so that none was ever older than what a newcomer is granted."""
    write(platoon).start()
    with subprocess.Popen(["/usr/bin/python3", "-c", RUSH, str(platoon.dir / "h.sock"), first]) as rush:
        try:
            health = platoon.pid_of("health")
            wait_until(lambda: len(os.listdir(f"/proc/{health}/fd")) > 200, 10, "the rush")

            def usual():
                times = []
                for _ in range(20):
                    began = time.monotonic()
                    assert get(platoon, "/livez") == (200, "ok\n")
                    times.append(time.monotonic() - began)
                return sorted(times)[len(times) // 2]
            soon(usual, 0.3, "an answer")  # each waited for the next full second, of which half is the mean
            assert rush.poll() is None
        finally:
            rush.kill()
    assert platoon.workers()["health"]["restarts"] == 0


def test_the_socket_is_not_for_everybody_and_outlives_a_kill(platoon):
    write(platoon).start()
    assert (platoon.dir / "h.sock").stat().st_mode & 0o777 == 0o660
    victim = platoon.workers()["health"]
    os.kill(victim["pid"], signal.SIGKILL)
    platoon.replaced(victim)
    assert get(platoon, "/livez")[0] == 200


def test_it_comes_moves_and_goes_by_reload(platoon):
    port = free_port()
    platoon.config_path.write_text('platoon { runtime_dir = run  state_dir = state }\nprogram web { command = "sleep 1000" }\n')
    platoon.start()
    web = platoon.pid_of("web.1")
    write(platoon, 'program web { command = "sleep 1000" }', listen=f"127.0.0.1:{port}")
    assert platoon.ctl("reload").returncode == 0
    http.client.HTTPConnection("127.0.0.1", port, timeout=5).request("GET", "/livez")
    write(platoon, 'program web { command = "sleep 1000" }')
    assert platoon.ctl("reload").returncode == 0
    assert get(platoon, "/livez")[0] == 200
    with pytest.raises(OSError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=5).request("GET", "/livez")
    platoon.config_path.write_text('platoon { runtime_dir = run  state_dir = state }\nprogram web { command = "sleep 1000" }\n')
    assert platoon.ctl("reload").returncode == 0
    assert set(platoon.workers()) == {"web.1"} and platoon.pid_of("web.1") == web and alive(web)
    assert pathlib.Path(f"/proc/{web}").exists()


def test_a_port_that_is_taken_is_told_and_had_later(platoon):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        write(platoon, listen=f"127.0.0.1:{port}").start(ready=False)
        wait_until(lambda: "cannot listen on" in platoon.problems() and "address already in use" in platoon.problems(), 10, "the reason")
        assert {n["state"] for name, n in platoon.workers().items() if name != "health"} == {"READY"}
    wait_until(lambda: platoon.workers()["health"]["state"] == "READY", 60, "the port")


def test_a_server_that_cannot_be_watched_is_told_and_tried_again(faulty):
    """The kernel may refuse one more epoll watch. That was not looked at, and a worker died of what was never made."""
    faulty.fault("health.before-poll", "error")
    write(faulty).start()
    node = wait_until(lambda: (n := faulty.workers()["health"])["restarts"] == 1 and n["state"] == "READY" and n, 20, "its second start")
    assert "no space left on device: memory, files or fs.epoll.max_user_watches are short" in node["last_exit"]
    assert get(faulty, "/livez")[0] == 200
