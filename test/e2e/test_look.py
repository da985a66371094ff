"""Looking at a running platoon: watch, graph, what a program uses; top on a terminal and without one."""
import json
import os
import signal
import subprocess

from conftest import SCALE, wait_until


def write(platoon, text):
    platoon.config_path.write_text("platoon { runtime_dir = run  state_dir = state  backoff_min = 20ms }\n" + text)
    return platoon


class Watch:
    """A `platoonctl watch` and what it has printed."""

    def __init__(self, platoon, *words):
        self.path = platoon.dir / "watch.out"
        self.file = open(self.path, "wb")
        self.process = subprocess.Popen([str(platoon.build / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "watch", *words],
                                        stdout=self.file, stderr=self.file, env=platoon.environment())

    def events(self):
        return [json.loads(line) for line in self.path.read_text().splitlines() if line.startswith("{")]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.file.close()


def test_watch_tells_each_move_once_and_in_order(platoon):
    write(platoon, 'program web { command = "sleep 1000" processes = 2 }').start()
    watch = Watch(platoon, "web.1")
    # The stream begins with its first question: until then a move is made for it to see.
    wait_until(lambda: platoon.ctl("restart", "web.1").returncode == 0 and watch.events(), 10, "the stream")
    before = len(watch.events())
    victim = platoon.workers()["web.1"]
    os.kill(victim["pid"], signal.SIGKILL)
    platoon.replaced(victim)
    moves = wait_until(lambda: (e := [(m["from"], m["to"]) for m in watch.events()[before:]]) and e[-1] == ("STARTING", "READY") and e, 10, "the moves")
    assert moves[-3:] == [("READY", "BACKOFF"), ("BACKOFF", "STARTING"), ("STARTING", "READY")]
    death = [m for m in watch.events() if m["event"] == "RETRY"][-1]
    assert death["name"] == "web.1" and death["cause"].startswith("killed by SIGKILL") and death["generation"] == victim["generation"]
    assert {m["name"] for m in watch.events()} == {"web.1"}
    watch.close()


def test_watch_ends_with_the_master_and_refuses_unknown_names(platoon):
    write(platoon, 'program web { command = "sleep 1000" }').start()
    watch = Watch(platoon)
    wait_until(lambda: platoon.ctl("restart", "web.1").returncode == 0 and watch.events(), 10, "the stream")
    assert platoon.stop() == 0
    assert watch.process.wait(10 * SCALE) in (1, 7)
    watch.close()
    platoon.start()
    assert platoon.ctl("watch", "wbe.1").returncode == 5


def test_graph_is_dot_with_the_routes_of_a_drain(platoon):
    platoon.configure(drain={"get_hash.workers": 2}).start()
    text = platoon.ctl("graph").stdout
    drawn = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True)
    assert drawn.returncode == 0 and drawn.stderr == "", drawn.stderr
    edges = {tuple(word.strip('"') for word in line.split()[1:3]) for line in drawn.stdout.splitlines() if line.startswith("edge ")}
    d = "redis/visits/"
    assert edges == {(d + "watcher.1", d + "get-set.1"), (d + "get-set.1", d + "watcher.1"),
                     *((d + "get-set.1", f"{d}get-hash.{i}") for i in (1, 2)), *((f"{d}get-hash.{i}", d + "get-set.1") for i in (1, 2)),
                     *((f"{d}get-hash.{i}", "transfer/visits.1") for i in (1, 2)), *(("transfer/visits.1", f"{d}get-hash.{i}") for i in (1, 2))}
    assert "CLAIM" in text and "STORED" in text and 'label="visits"' in text


def test_a_program_is_shown_with_what_it_and_its_children_use(platoon):
    hungry = "import subprocess,sys; subprocess.Popen([sys.executable,'-c','x=bytearray(60<<20)\\nwhile 1: pass']).wait()"
    (platoon.dir / "hungry.py").write_text(hungry)
    write(platoon, f'program web {{ command = "/usr/bin/python3 {platoon.dir}/hungry.py" }}').start()
    wait_until(lambda: (platoon.workers()["web.1"]["rss_bytes"] or 0) > 60 << 20, 10, "the grandchild's memory")
    before = platoon.workers()["web.1"]["cpu_ms"]
    wait_until(lambda: platoon.workers()["web.1"]["cpu_ms"] > before + 200, 10, "its processor time")


def trace(platoon, *words):
    done = platoon.ctl("--json", "--timeout", f"{10 * SCALE}s", "trace", *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_trace_shows_messages_both_ways_and_their_payloads(platoon):
    platoon.configure().start()
    feeding = subprocess.Popen(["/usr/bin/python3", "-c", f"""
import redis
r = redis.Redis(unix_socket_path='{platoon.dir}/run/redis.sock')
while True:
    for i in range(50):
        r.hset(f'v:{{i}}', 'n', i); r.sadd('tracking:pending', f'v:{{i}}')
"""], env=platoon.environment())
    try:
        seen = trace(platoon, "redis/visits/get-hash.1", "-n", "40", "--payload")
        assert len([s for s in seen if "lost" not in s]) == 40
        kinds = {(s["direction"], s["type"], s["peer"]) for s in seen if "lost" not in s}
        assert ("out", "RECORDS", "transfer/visits.1") in kinds and ("in", "STORED", "transfer/visits.1") in kinds
        records = next(s for s in seen if s.get("type") == "RECORDS")
        assert records["payload"][0] == 6 and records["bytes"] > 10
        assert all("payload" not in s for s in trace(platoon, "redis/visits/get-hash.1", "-n", "5"))
        text = platoon.ctl("trace", "transfer/visits.1", "-n", "6").stdout
        assert "<- redis/visits/get-hash." in text and " RECORDS " in text
        assert len(trace(platoon, "redis/visits/get-set.1", "-n", "5", "--sample", "3")) >= 5
    finally:
        feeding.kill()
        feeding.wait()
    assert platoon.ctl("trace", "redis/server", "-n", "1").returncode == 1
    assert platoon.ctl("trace", "nope", "-n", "1").returncode == 5
    assert platoon.ctl("trace", "redis", "-n", "1").returncode == 2
    assert platoon.ctl("trace", "redis/send.1", "-n", "x").returncode == 2


def test_a_crash_report_names_the_last_messages(platoon):
    platoon.configure().start()
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(2000)})
    platoon.drained()
    victim = platoon.workers()["transfer/visits.1"]
    os.kill(victim["pid"], signal.SIGSEGV)
    platoon.replaced(victim)
    text = platoon.ctl("crashes", "transfer/visits.1").stdout
    assert "crash-message in RECORDS from=redis/visits/get-hash." in text and "crash-message out STORED to=redis/visits/get-hash." in text
    assert 1 < text.count("crash-message") <= 20


def test_a_full_mailbox_is_seen(platoon):
    platoon.configure().start()
    victim = platoon.pid_of("transfer/visits.1")
    os.kill(victim, signal.SIGSTOP)
    platoon.add({f"v:{i}": {"n": "x" * 100} for i in range(5000)})
    wait_until(lambda: platoon.drain()["claimed"] >= 500, 10, "claims on their way")
    wait_until(lambda: platoon.workers()["redis/visits/get-hash.1"]["counters"].get("fetched_total", 0) > 100, 10, "messages to the one that sleeps")
    os.kill(victim, signal.SIGCONT)
    wait_until(lambda: platoon.workers()["transfer/visits.1"]["counters"].get("mailbox_wait", 0) > 100, 10, "how long they waited")
    platoon.drained()
