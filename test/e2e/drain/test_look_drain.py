"""Looking at a drain: its routes, the messages of its workers, one that does not keep up."""
import itertools
import os
import signal
import subprocess
import threading

from platoon_fixture import wait_until
from platoon_steps import standing_still_now_and_then, trace


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
        text = platoon.ctl("trace", "transfer/visits.1", "-n", "200").stdout
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
    over = threading.Event()

    def visits():
        for i in itertools.count():
            platoon.add({f"v:{i}": {"n": "x" * 100}})
            if over.wait(0.02):
                return
    visitors = threading.Thread(target=visits)
    visitors.start()
    try:
        with standing_still_now_and_then(platoon.pid_of("transfer/visits.1")):
            wait_until(lambda: platoon.workers()["transfer/visits.1"]["counters"].get("mailbox_wait", 0) > 100, 10, "how long they waited")
    finally:
        over.set()
        visitors.join()
    platoon.drained()
