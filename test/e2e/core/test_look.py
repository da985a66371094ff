"""Looking at a running platoon: watch, graph, what a program uses; top on a terminal and without one."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

from platoon_fixture import SCALE, wait_until
from platoon_steps import standing_still_now_and_then, trace


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
        lines = self.path.read_text().split("\n")[:-1]  # the last one may not be whole yet
        return [json.loads(line) for line in lines if line.startswith("{")]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.file.close()


def test_watch_tells_each_move_once_and_in_order(platoon):
    write(platoon, 'program web { command = "sleep 1000" processes = 2 }').start()
    watch = Watch(platoon, "web.1")
    # The stream begins with its first question: until then a move is made for it to see.
    wait_until(lambda: platoon.ctl("restart", "web.1").returncode == 0 and watch.events(), 10, "the stream")
    victim = platoon.workers()["web.1"]
    os.kill(victim["pid"], signal.SIGKILL)
    platoon.replaced(victim)
    # What it has not printed yet of the restart comes first.
    moves = [("READY", "BACKOFF"), ("BACKOFF", "STARTING"), ("STARTING", "READY")]
    wait_until(lambda: [(m["from"], m["to"]) for m in watch.events()][-3:] == moves, 10, "the moves of a death, as the last ones")
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


def test_graph_is_dot(platoon):
    platoon.start()
    text = platoon.ctl("graph").stdout
    drawn = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True)
    assert drawn.returncode == 0 and drawn.stderr == "", drawn.stderr
    nodes = {line.split()[1].strip('"') for line in drawn.stdout.splitlines() if line.startswith("node ")}
    assert set(platoon.workers()) <= nodes
    assert 'label="site"' in text and "edge " not in drawn.stdout, "programs have no routes"


def test_a_program_is_shown_with_what_it_and_its_children_use(platoon):
    hungry = "import subprocess,sys; subprocess.Popen([sys.executable,'-c','x=bytearray(60<<20)\\nwhile 1: pass']).wait()"
    (platoon.dir / "hungry.py").write_text(hungry)
    write(platoon, f'program web {{ command = "/usr/bin/python3 {platoon.dir}/hungry.py" }}').start()
    wait_until(lambda: (platoon.workers()["web.1"]["rss_bytes"] or 0) > 60 << 20, 10, "the grandchild's memory")
    before = platoon.workers()["web.1"]["cpu_ms"]
    wait_until(lambda: platoon.workers()["web.1"]["cpu_ms"] > before + 200, 10, "its processor time")


# Says the same to hears.1 fifty times a second, and goes when it is told to.
TALKS = """
import json, select, sys, time
while not (select.select([sys.stdin], [], [], 0.02)[0] and '"stop"' in sys.stdin.readline()):
    print(json.dumps({"do": "send", "to": "hears.1", "body": "walrus"}), flush=True)
"""


def talk(platoon):
    """Two actors, one of which talks to the other: talks.1, hears.1."""
    (platoon.dir / "talks.py").write_text(TALKS)
    return platoon.configure(platoon={"backoff_min": "20ms"}, site=f"""program hears {{ command = "sh -c 'while read -r line; do case $line in *stop*) exit;; esac; done'"  port = json }}
        program talks {{ command = "/usr/bin/python3 {platoon.dir}/talks.py"  port = json  after = hears }}\n""").start()


def test_trace_shows_messages_both_ways_and_their_payloads(platoon):
    talk(platoon)
    for name, direction, peer in (("hears.1", "in", "talks.1"), ("talks.1", "out", "hears.1")):
        seen = [s for s in trace(platoon, name, "-n", "10", "--payload") if "lost" not in s]
        assert len(seen) == 10
        assert {(s["direction"], s["type"], s["peer"]) for s in seen} == {(direction, "JSON", peer)}
        assert seen[0]["payload"] == [9, '"walrus"'] and seen[0]["bytes"] > 8
    assert all("payload" not in s for s in trace(platoon, "hears.1", "-n", "5"))
    text = platoon.ctl("trace", "hears.1", "-n", "5").stdout
    assert "<- talks.1" in text and " JSON " in text
    assert len(trace(platoon, "hears.1", "-n", "5", "--sample", "3")) >= 5
    assert platoon.ctl("trace", "redis/server", "-n", "1").returncode == 1
    assert platoon.ctl("trace", "nope", "-n", "1").returncode == 5
    assert platoon.ctl("trace", "redis", "-n", "1").returncode == 2
    assert platoon.ctl("trace", "redis/send.1", "-n", "x").returncode == 2


def test_a_crash_report_names_the_last_messages(platoon):
    talk(platoon)
    wait_until(lambda: platoon.workers()["hears.1"]["counters"].get("messages_in_total", 0) >= 30, 10, "some messages")
    victims = [platoon.workers()[name] for name in ("hears.1", "talks.1")]
    for victim in victims:
        os.kill(victim["pid"], signal.SIGSEGV)
    for victim in victims:
        platoon.replaced(victim)
    def reports():
        heard, said = (platoon.ctl("crashes", victim["name"]).stdout for victim in victims)
        return heard if "crash-message in JSON from=talks.1" in heard and "crash-message out JSON to=hears.1" in said else None
    heard = wait_until(reports, 10, "both reports")
    assert 1 < heard.count("crash-message") <= 20


def test_a_full_mailbox_is_seen(platoon):
    talk(platoon)
    victim = platoon.workers()["hears.1"]
    wait_until(lambda: platoon.workers()["hears.1"]["counters"].get("messages_in_total", 0) >= 5, 10, "the first messages")
    with standing_still_now_and_then(victim["pid"]):
        wait_until(lambda: platoon.workers()["hears.1"]["counters"].get("mailbox_wait", 0) > 100, 10, "how long they waited")
    assert platoon.pid_of("hears.1") == victim["pid"]


class Screen:
    """platoonctl top on a terminal of 80 x 24, and what it has drawn so far."""

    def __init__(self, platoon, *words, columns=80, lines=24):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen([str(platoon.build / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "top", *words],
                                        stdin=slave, stdout=slave, stderr=slave, env={**platoon.environment(), "TERM": "xterm"}, start_new_session=True)
        self.seen = b""

    def read(self):
        while select.select([self.master], [], [], 0.02)[0]:
            self.seen += os.read(self.master, 65536)
        return self.seen

    def frame(self):
        """The last whole frame, as plain lines."""
        frames = self.read().decode(errors="replace").split("\x1b[H")
        text = frames[-2] if len(frames) > 2 and "\x1b[J" not in frames[-1] else frames[-1]
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "").split("\n")

    def press(self, keys):
        os.write(self.master, keys.encode())

    def shows(self, what, timeout=10):
        return wait_until(lambda: any(what in line for line in self.frame()), timeout, f"{what!r} on the screen: {self.frame()}")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def rows(screen):
    return [line.lstrip(">").split()[0] for line in screen.frame()[3:] if line.strip()]


def test_top_sorts_filters_and_acts(platoon):
    write(platoon, '''program web { command = "sleep 1000" processes = 3 }
        program busy { command = "sh -c 'while :; do :; done'" }
        program talks { command = "sh -c 'echo hello from here; exec sleep 1000'" }''').start()
    screen = Screen(platoon, "--every", "200ms")
    screen.shows("5 of 5 workers ready")
    wait_until(lambda: rows(screen)[:1] == ["busy.1"], 10, "the busy one first")
    assert all(len(line) <= 80 for line in screen.frame())
    screen.press("n")
    wait_until(lambda: rows(screen) == ["busy.1", "talks.1", "web.1", "web.2", "web.3"], 10, "the order of names")
    screen.press("/web\r")
    wait_until(lambda: rows(screen) == ["web.1", "web.2", "web.3"], 10, "only those")
    before = platoon.workers()
    screen.press("\x1b[B")
    screen.press("R")
    screen.shows("web.2: restart ordered")
    platoon.replaced(before["web.2"])
    assert platoon.pid_of("web.1") == before["web.1"]["pid"]
    screen.press("jS")
    wait_until(lambda: platoon.workers()["web.3"]["state"] == "STOPPED", 10, "the stop")
    screen.press("A")
    wait_until(lambda: platoon.workers()["web.3"]["state"] == "READY", 10, "the start")
    screen.press("/\x1b")
    wait_until(lambda: len(rows(screen)) == 5, 10, "all again")
    screen.press("/talks\r")
    wait_until(lambda: rows(screen) == ["talks.1"], 10, "the one that talks")
    screen.press("l")
    screen.shows("hello from here")
    screen.press("q")
    wait_until(lambda: rows(screen)[:1] == ["talks.1"], 10, "back")
    screen.press("x")
    screen.shows("has not crashed")
    screen.press(" ?")
    screen.shows("sort by")
    screen.press(" q")
    assert screen.process.wait(10 * SCALE) == 0
    assert screen.read().endswith(b"\x1b[?25h\x1b[?1049l") and termios.tcgetattr(screen.slave) == screen.before
    screen.close()


def test_top_gives_the_terminal_back_when_interrupted_or_the_master_ends(platoon):
    write(platoon, 'program web { command = "sleep 1000" }').start()
    screen = Screen(platoon)
    screen.shows("1 of 1 workers ready")
    screen.process.send_signal(signal.SIGTERM)
    screen.process.wait(10 * SCALE)
    assert b"\x1b[?1049l" in screen.read() and termios.tcgetattr(screen.slave) == screen.before
    screen.close()
    screen = Screen(platoon)
    screen.shows("1 of 1 workers ready")
    platoon.stop()
    assert screen.process.wait(10 * SCALE) in (1, 7)
    assert b"\x1b[?1049l" in screen.read()
    screen.close()


def test_top_without_a_terminal_and_over_many_workers(platoon):
    write(platoon, f'program web {{ command = "sleep 1000" processes = {100 if SCALE > 1 else 300} }}').start()
    done = platoon.ctl("top", "-n", "1", "--every", "200ms")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == (101 if SCALE > 1 else 301)
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    looks = [json.loads(line) for line in platoon.ctl("--json", "top", "web.7", "-n", "2", "--every", "200ms").stdout.splitlines()]
    assert len(looks) >= 2 and {"name", "cpu_percent", "rss_bytes", "mailbox_depth"} <= set(looks[0])
    assert platoon.ctl("top", "-n", "0").returncode == 2
    screen = Screen(platoon, columns=120, lines=40)
    screen.shows("workers ready")
    screen.press("n\x1b[F")
    wait_until(lambda: any("web.100" in line or "web.300" in line for line in screen.frame()), 10, "the last")
    screen.close()
