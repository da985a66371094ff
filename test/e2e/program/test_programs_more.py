"""Programs: ready by http, by a log line, by sd_notify; their own log files; memory above which they are restarted; limits of platoon's own workers."""
import http.server
import os
import pathlib
import re
import socket
import threading

from conftest import ASAN, elapsed, free_port, wait_until
from test_programs import program_pid, run


def starting(platoon, name="p.1"):
    return platoon.workers()[name]["state"] == "STARTING"


def ready(platoon, name="p.1"):
    return wait_until(lambda: platoon.workers()[name]["state"] == "READY", 10, f"{name} READY")


def test_ready_by_http_status(platoon):
    port = free_port()
    status = [503]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status[0] if self.path == "/health?x=1" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass
    run(platoon, f'program p {{ command = "sleep 1000"  ready = "http:127.0.0.1:{port}/health?x=1" }}', ready=False)
    wait_until(lambda: starting(platoon), 10, "STARTING: nobody listens")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wait_until(elapsed(0.3), 5, "some answers")
    assert starting(platoon), "503 is not ready"
    status[0] = 204
    ready(platoon)
    server.shutdown()
    server.server_close()


def test_ready_by_http_of_a_server_that_says_nothing(platoon):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        run(platoon, f'program p {{ command = "sleep 1000"  ready = "http:127.0.0.1:{port}/" }}', ready=False)
        first, _ = silent.accept()
        assert first.recv(1000).startswith(b"GET / HTTP/1.0\r\n")
        second, _ = silent.accept()
        second.recv(1000)
        second.sendall(b"HTTP/1.")
        second.sendall(b"1 200 OK\r\n\r\n")
        second.close()
        first.close()
        ready(platoon)


def test_ready_by_a_line_in_its_log(platoon):
    run(platoon, f'''program p {{
        command = "sh -c 'echo starting; while [ ! -e {platoon.dir}/go ]; do sleep 0.02; done; echo now listening on 80; exec sleep 1000'"
        ready = "log:listening on" }}''', ready=False)
    wait_until(lambda: "output line=starting" in platoon.log(), 10, "its first line, passed on")
    assert starting(platoon)
    (platoon.dir / "go").touch()
    ready(platoon)
    wait_until(lambda: 'p.1 output line="now listening on 80"' in platoon.log(), 5, "the line in the log")


NOTIFIER = '''
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
where = os.environ["NOTIFY_SOCKET"]
open("{dir}/where", "w").write(where)
s.connect("\\0" + where[1:])
s.send(b"STATUS=warming up")
while not os.path.exists("{dir}/go"): time.sleep(0.02)
s.send(b"STATUS=serving\\nREADY=1")
time.sleep(1000)
'''


def test_ready_by_sd_notify_and_only_from_its_own_processes(platoon):
    (platoon.dir / "notifier.py").write_text(NOTIFIER.format(dir=platoon.dir))
    run(platoon, f'program p {{ command = "/usr/bin/python3 {platoon.dir}/notifier.py"  ready = notify }}', ready=False)
    wait_until(lambda: "warming up" in platoon.workers()["p.1"]["doing"], 10, "its status in the tree")
    stranger = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    stranger.connect("\0" + (platoon.dir / "where").read_text()[1:])
    stranger.send(b"READY=1")
    wait_until(elapsed(0.3), 5, "what a stranger says")
    assert starting(platoon)
    (platoon.dir / "go").touch()
    ready(platoon)
    wait_until(lambda: "serving" in platoon.workers()["p.1"]["doing"], 5, "its new status")
    stranger.close()


def test_the_service_managers_socket_is_not_handed_on(platoon):
    os.environ["NOTIFY_SOCKET"] = f"{platoon.dir}/systemd"
    try:
        run(platoon, f'''program p {{ command = "sh -c 'echo [$NOTIFY_SOCKET] > {platoon.dir}/out; exec sleep 1000'" }}''')
    finally:
        del os.environ["NOTIFY_SOCKET"]
    wait_until(lambda: (platoon.dir / "out").exists() and (platoon.dir / "out").read_text() == "[]\n", 5, "nothing")


def test_a_log_file_of_its_own_is_rotated(platoon):
    run(platoon, f'''program p {{ command = "sh -c 'i=0; while [ $i -lt 500 ]; do echo line $i of {{n}}; i=$((i+1)); done; exec sleep 1000'"
        log_file = "out.{{n}}"  log_rotate_size = 4KB  log_keep = 1  processes = 2 }}''')
    for n in (1, 2):
        path = platoon.dir / f"out.{n}"
        wait_until(lambda path=path, n=n: path.exists() and f"line 499 of {n}\n" in path.read_text(), 10, "the last line")
        old = path.with_name(path.name + ".1")
        assert old.stat().st_size <= 4096 and path.stat().st_size <= 4096 and not path.with_name(path.name + ".2").exists()
        numbers = [int(m) for m in re.findall(r"line (\d+) of", old.read_text() + path.read_text())]
        assert numbers == list(range(numbers[0], 500))
    assert "line 499" not in platoon.log()


def test_a_log_file_that_cannot_be_had_is_fatal_and_says_so(platoon):
    run(platoon, 'program p { command = "sleep 1000"  log_file = "missing/dir/out" }', ready=False)
    node = wait_until(lambda: (w := platoon.workers()["p.1"])["state"] == "FATAL" and w, 10, "FATAL")
    assert "log_file" in node["last_exit"] and "No such file or directory" in node["last_exit"]


def test_too_much_memory_is_a_restart_with_that_reason(platoon):
    eater = f'''import os,signal,sys,time
def bye(*_):
    open("{platoon.dir}/asked", "w"); sys.exit(0)
signal.signal(signal.SIGTERM, bye)
first = not os.path.exists("{platoon.dir}/asked")
x = bytearray(80 << 20) if first else b""
time.sleep(1000)'''
    (platoon.dir / "eater.py").write_text(eater)
    run(platoon, f'program p {{ command = "/usr/bin/python3 {platoon.dir}/eater.py"  memory_restart = 60MB }}', ready=False)
    node = wait_until(lambda: (w := platoon.workers()["p.1"])["restarts"] == 1 and w["state"] == "READY" and w, 20, "the restart")
    assert "more than memory_restart = 60MB" in node["last_exit"]
    assert (platoon.dir / "asked").exists(), "it was asked, not killed"
    pid = program_pid(platoon, "p.1")
    wait_until(elapsed(2.5), 10, "two more looks")
    assert program_pid(platoon, "p.1") == pid


def test_limits_of_platoons_own_workers(platoon):
    platoon.configure(platoon={"worker_nice": 4, "worker_files_max": 512, "worker_core_max": "0", "worker_no_new_privs": "true", **({} if ASAN else {"worker_memory_max": "2GB"})},
                      extra='program other { command = "sleep 1000" }')
    platoon.start()
    workers = platoon.workers()
    for name in ("redis/send.1", "redis/visits/watcher.1", "redis/visits/get-hash.1", "transfer/visits.1", "transfer/report"):
        pid = workers[name]["pid"]
        limits = " ".join(pathlib.Path(f"/proc/{pid}/limits").read_text().split())
        assert "Max open files 512 512" in limits and "Max core file size 0 0" in limits, (name, limits)
        assert (f"Max address space {2 << 30} {2 << 30}" in limits or ASAN) and os.getpriority(os.PRIO_PROCESS, pid) == 4
        assert "NoNewPrivs:\t1" in pathlib.Path(f"/proc/{pid}/status").read_text()
    assert os.getpriority(os.PRIO_PROCESS, workers["other.1"]["pid"]) == 0, "a program's are its section's"
    platoon.add({"v:1": {"app": "shop"}})
    platoon.drained()


def test_a_worker_that_has_grown_too_large_is_restarted_with_that_reason(platoon):
    """The limit is a little above what an idle one has; one that has written has more."""
    platoon.start()
    most = max(node["rss_bytes"] for name, node in platoon.workers().items() if name != "redis/server")
    limit = max(16, (most >> 20) + 2)
    platoon.configure(platoon={"worker_memory_restart": f"{limit}MB", "backoff_min": "20ms"})
    assert platoon.ctl("--timeout", "60s", "reload").returncode == 0
    total = 0

    def work_on():
        """It is looked at once a second, so it must be at work then."""
        nonlocal total
        if platoon.redis().scard("tracking:pending") < 3000:
            platoon.add({f"v:{total + i}": {"text": "x" * 4000} for i in range(1000)})
            total += 1000
        return "more than memory_restart = " in platoon.workers()["transfer/visits.1"]["last_exit"]
    wait_until(work_on, 30, "the end of what is too large")
    assert wait_until(lambda: len(platoon.data()) == total, 60, "nothing is lost")
