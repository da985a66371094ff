"""Programs: ready by http, by a log line, by sd_notify; their own log files; memory above which they are restarted; limits of platoon's own workers."""
import contextlib
import http.server
import os
import re
import socket
import subprocess
import threading

from platoon_fixture import ASAN, elapsed, free_port, wait_until
from platoon_steps import start_with_worker_limits
from test_programs import PLACES, program_pid, run


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

        def answer():
            """Each of the next, for one may have given up by then, when this process had to wait for its turn."""
            while True:
                try:
                    asked, _ = silent.accept()
                except OSError:
                    return
                with asked, contextlib.suppress(OSError):
                    asked.recv(1000)
                    asked.sendall(b"HTTP/1.")
                    asked.sendall(b"1 200 OK\r\n\r\n")
        threading.Thread(target=answer, daemon=True).start()
        ready(platoon)
        first.close()
        silent.shutdown(socket.SHUT_RDWR)


def test_ready_by_a_line_in_its_log(platoon):
    run(platoon, f'''program p {{
        command = "sh -c 'echo starting; while [ ! -e {platoon.dir}/go ]; do sleep 0.02; done; echo now listening on 80; exec sleep 1000'"
        ready = "log:listening on" }}''', ready=False)
    wait_until(lambda: "output line=starting" in platoon.log(), 10, "its first line, passed on")
    assert starting(platoon)
    (platoon.dir / "go").touch()
    ready(platoon)
    wait_until(lambda: 'p.1 output line="now listening on 80"' in platoon.log(), 10, "the line in the log")


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
    wait_until(lambda: "serving" in platoon.workers()["p.1"]["doing"], 10, "its new status")
    stranger.close()


# 50 datagrams, with ever more descriptors: no buffer that is there for them would do.
GIVER = '''
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\\0" + sys.argv[1][1:])
for count in range(1, 251, 5):
    s.sendmsg([b"READY=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * count))])
'''


def test_descriptors_that_come_with_a_notification_stay_nobodys(platoon):
    """The socket is open to everybody: a stranger could fill the worker's table. (A program's own come with systemd's FDSTORE=1.)"""
    own = NOTIFIER.replace('s.send(b"STATUS=serving\\nREADY=1")', 'socket.send_fds(s, [b"STATUS=serving\\nREADY=1"], [0, 1, 2])')
    assert own != NOTIFIER
    (platoon.dir / "notifier.py").write_text(own.format(dir=platoon.dir))
    run(platoon, f'program p {{ command = "/usr/bin/python3 {platoon.dir}/notifier.py"  ready = notify }}', ready=False)
    wait_until(lambda: "warming up" in platoon.workers()["p.1"]["doing"], 10, "its status in the tree")
    table = f"/proc/{platoon.workers()['p.1']['pid']}/fd"
    before = sorted(os.listdir(table))
    subprocess.run(["/usr/bin/python3", "-c", GIVER, (platoon.dir / "where").read_text()], check=True, timeout=20,
                   stdin=subprocess.DEVNULL, user="nobody" if os.geteuid() == 0 else None)
    assert starting(platoon)
    (platoon.dir / "go").touch()  # what its own process says now is read after those
    ready(platoon)
    wait_until(lambda: "serving" in platoon.workers()["p.1"]["doing"], 10, "its new status")
    assert sorted(os.listdir(table)) == before


def test_the_service_managers_socket_is_not_handed_on(platoon):
    os.environ["NOTIFY_SOCKET"] = f"{platoon.dir}/systemd"
    try:
        run(platoon, f'''program p {{ command = "sh -c 'echo [$NOTIFY_SOCKET] > {platoon.dir}/out; exec sleep 1000'" }}''')
    finally:
        del os.environ["NOTIFY_SOCKET"]
    wait_until(lambda: (platoon.dir / "out").exists() and (platoon.dir / "out").read_text() == "[]\n", 10, "nothing")


def text_of(path):
    """A file that is rotated away is not there for a moment."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def test_a_log_file_of_its_own_is_rotated(platoon):
    run(platoon, f'''program p {{ command = "sh -c 'i=0; while [ $i -lt 500 ]; do echo line $i of {{n}}; i=$((i+1)); done; exec sleep 1000'"
        log_file = "out.{{n}}"  log_rotate_size = 4KB  log_keep = 1  processes = 2 }}''')
    for n in (1, 2):
        path = platoon.dir / f"out.{n}"
        wait_until(lambda path=path, n=n: f"line 499 of {n}\n" in text_of(path), 10, "the last line")
        old = path.with_name(path.name + ".1")
        assert old.stat().st_size <= 4096 and path.stat().st_size <= 4096 and not path.with_name(path.name + ".2").exists()
        numbers = [int(m) for m in re.findall(r"line (\d+) of", old.read_text() + path.read_text())]
        assert numbers == list(range(numbers[0], 500))
    assert "line 499" not in platoon.log()


def test_a_log_file_that_cannot_be_had_is_tried_again_and_says_so(platoon):
    run(platoon, 'program p { command = "sleep 1000"  log_file = "missing/dir/out" }', ready=False)
    node = wait_until(lambda: (w := platoon.workers()["p.1"])["state"] == "BACKOFF" and w, 10, "BACKOFF")
    assert "log_file" in node["last_exit"] and "No such file or directory" in node["last_exit"]
    (platoon.dir / "missing/dir").mkdir(parents=True)
    wait_until(lambda: platoon.workers()["p.1"]["state"] == "READY", 10, "READY without a hand")


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
    start_with_worker_limits(platoon, ("redis/send.1", "health"), health=f"unix:{platoon.dir}/h.sock")
    assert platoon.ctl("redis", "PING").stdout.strip() == "PONG"


def test_a_worker_that_has_grown_too_large_is_restarted_with_that_reason(platoon):
    """The limit is a little above what an idle one has; one with a long reply has more."""
    platoon.start()
    most = max(node["rss_bytes"] for name, node in platoon.workers().items() if name == "redis/send.1")
    limit = max(16, (most >> 20) + 2)
    platoon.configure(platoon={"worker_memory_restart": f"{limit}MB", "backoff_min": "20ms"})
    assert platoon.ctl("--timeout", "60s", "reload").returncode == 0
    platoon.redis().set("long", b"x" * (4 << 20) * (8 if ASAN else 4))

    def work_on():
        """It is looked at once a second, so it must be at work then."""
        platoon.ctl("redis", "GET", "long")
        return "more than memory_restart = " in (platoon.workers()["redis/send.1"]["last_exit"] or "")
    wait_until(work_on, 30, "the end of what is too large")


def test_a_log_file_is_written_by_one_platoon(platoons):
    """And passes from one program to the other of one platoon in a reload, whose old one may be ending still."""
    first, second = platoons(), platoons()
    log, other = first.dir / "out", first.dir / "other"

    def talks(name, word, path):
        return f'program {name} {{ command = "sh -c \'while :; do echo {word}; sleep 0.05; done\'"  log_file = "{path}" }}\n'
    run(first, talks("a", "aaa", log) + talks("b", "bbb", other))
    run(second, talks("c", "ccc", log), ready=False)
    holder = f"log_file {log}: another process (pid {first.pid_of('a.1')}) writes it"
    wait_until(lambda: holder in str(second.workers()["c.1"]["last_exit"]), 20, "the refusal, by name")
    assert second.ctl("stop", "c.1").returncode == 0  # it would take the log in the moment in which it is nobody's
    first.config_path.write_text(PLACES + talks("a", "aaa", other) + talks("b", "bbb", log))
    done = first.ctl("reload")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: "bbb" in log.read_text() and "aaa" in other.read_text(), 20, "each in the other's")
    assert "another process" not in first.log(), "nobody had to try twice"
    holder = f"log_file {log}: another process (pid {first.pid_of('b.1')}) writes it"
    second.ctl("--timeout", "2s", "start", "c.1")
    wait_until(lambda: holder in str(second.workers()["c.1"]["last_exit"]), 20, "the refusal, by the name of the next one")
    assert "ccc" not in log.read_text()
    first.kill9()
    wait_until(lambda: "ccc" in log.read_text(), 40, "the second, once it is free")
