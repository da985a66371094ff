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
