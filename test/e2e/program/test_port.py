"""Actors in any language: messages, requests, calls, timers, monitors and links, as JSON lines and as msgpack frames; what they say wrongly, and how they end."""
import json
import os
import signal
import subprocess

import pytest

from platoon_fixture import ASAN, ROOT, SCALE, elapsed, rss_bytes, wait_until

# A small actor that does what it is sent: {"do": …} bodies become actions; every event is appended to FILE.
ACTOR = '''
import json, os, struct, sys
MODE = sys.argv[1]
out = open(sys.argv[2], "a")
if MODE == "msgpack":
    import msgpack
    def events():
        while head := sys.stdin.buffer.read(4):
            yield msgpack.unpackb(sys.stdin.buffer.read(struct.unpack(">I", head)[0]))
    def say(action):
        data = msgpack.packb(action)
        sys.stdout.buffer.write(struct.pack(">I", len(data)) + data); sys.stdout.buffer.flush()
else:
    def events():
        for line in sys.stdin: yield json.loads(line)
    def say(action): print(json.dumps(action), flush=True)
for e in events():
    out.write(json.dumps(e) + "\\n"); out.flush()
    body = e.get("body")
    if e["event"] == "request":
        if isinstance(body, dict) and "order" in body:
            for action in body["order"]: say(action)
            say({"do": "reply", "id": e["id"], "body": "ordered"})
        elif body == "fail": say({"do": "reply", "id": e["id"], "error": "it will not"})
        elif body != "silence": say({"do": "reply", "id": e["id"], "body": {"echo": body}})
    elif e["event"] == "hello" and len(sys.argv) > 3: say({"do": "ready"})
    elif e["event"] == "stop": break
'''


class Actors:
    def __init__(self, platoon, mode="json"):
        self.platoon = platoon
        (platoon.dir / "actor.py").write_text(ACTOR)
        self.command = f"/usr/bin/python3 {platoon.dir}/actor.py {mode} {platoon.dir}"
        platoon.config_path.write_text(f'''platoon {{ runtime_dir = run  state_dir = state  backoff_min = 20ms }}
            program a {{ command = "{self.command}/a.out x"  port = {mode}  ready = actor  settings = "color=blue size='2 m'" }}
            program b {{ command = "{self.command}/b.out x"  port = {mode}  ready = actor }}''')
        platoon.start()

    def heard(self, who, event=None):
        path = self.platoon.dir / f"{who}.out"
        text = path.read_text() if path.exists() else ""
        found = [json.loads(line) for line in text.split("\n")[:-1]]  # the last line may not be whole yet
        return [e for e in found if event in (None, e["event"])]

    def wait(self, who, event, count=1, **fields):
        def look():
            found = [e for e in self.heard(who, event) if all(e.get(k) == v for k, v in fields.items())]
            return found if len(found) >= count else None
        return wait_until(look, 20, f"{count} {event} {fields} at {who}: {self.heard(who)}")

    def order(self, who, *actions):
        done = self.platoon.ctl("send", f"{who}.1", json.dumps({"order": actions}))
        assert done.returncode == 0 and done.stdout == "ordered\n", done

    def kill(self, who):
        victim = self.platoon.workers()[f"{who}.1"]
        os.kill(victim["pid"], signal.SIGKILL)
        return victim


@pytest.fixture(params=["json", "msgpack"])
def actors(platoon, request):
    return Actors(platoon, request.param)


def test_hello_requests_and_refusals(actors):
    hello = actors.wait("a", "hello")[0]
    assert hello["name"] == "a.1" and hello["generation"] == 1 and hello["settings"] == {"color": "blue", "size": "2 m"}
    ask = actors.platoon.ctl
    assert json.loads(ask("--json", "send", "a.1", '{"x":[1,null,"ü"]}').stdout) == {"echo": {"x": [1, None, "ü"]}}
    done = ask("send", "a.1", '"fail"')
    assert done.returncode == 1 and "it will not" in done.stderr
    assert ask("--timeout", "300ms", "send", "a.1", '"silence"').returncode == 124


def test_messages_and_calls_between_actors(actors):
    actors.order("a", {"do": "send", "to": "b.1", "body": {"n": 1}}, {"do": "send", "to": "b.1", "body": [2]}, {"do": "call", "to": "b.1", "id": "q", "body": "why"},
                 {"do": "call", "to": "b.1", "id": "no", "body": "fail"}, {"do": "call", "to": "b.1", "id": "late", "body": "silence", "timeout_ms": 100})
    got = actors.wait("b", "message", 2)
    assert [m["body"] for m in got] == [{"n": 1}, [2]] and {m["from"] for m in got} == {"a.1"}
    assert actors.wait("a", "answer", id="q")[0]["body"] == {"echo": "why"}
    assert actors.wait("a", "answer", id="no")[0]["error"] == "it will not"
    assert actors.wait("a", "answer", id="late")[0]["error"] == "timed out"


def test_a_monitor_tells_down_exactly_once_for_each_incarnation(actors):
    actors.order("a", {"do": "monitor", "name": "b.1"})
    for generation in (1, 2, 3):
        actors.wait("a", "up", name="b.1", generation=generation)
        victim = actors.kill("b")
        assert victim["generation"] == generation
        down = actors.wait("a", "down", name="b.1", generation=generation)
        assert len(down) == 1 and "SIGKILL" in down[0]["reason"] and down[0]["orderly"] is False
        actors.platoon.replaced(victim)
    assert actors.platoon.ctl("stop", "b.1").returncode == 0
    actors.wait("a", "down", generation=4, orderly=True)
    wait_until(elapsed(0.2), 5, "what comes late")
    assert [d["generation"] for d in actors.heard("a", "down")] == [1, 2, 3, 4]
    assert len(actors.heard("b", "down")) == 0 and {u["name"] for u in actors.heard("b", "up")} == {"a.1"}


def test_who_is_watched_hears_of_the_watchers_end_too(actors):
    actors.order("a", {"do": "monitor", "name": "b.1"})
    actors.wait("b", "up", name="a.1")
    actors.kill("a")
    assert len(actors.wait("b", "down", name="a.1", generation=1)) == 1


@pytest.mark.parametrize("dies", ["a", "b"])
def test_a_link_makes_the_other_die_too(actors, dies):
    other = "b" if dies == "a" else "a"
    actors.order("a", {"do": "link", "name": "b.1"})
    actors.wait("b", "link", name="a.1", generation=1)
    actors.order("b", {"do": "link", "name": "a.1"})
    actors.wait("a", "link", name="b.1", generation=1)
    before = actors.platoon.workers()[f"{other}.1"]
    actors.kill(dies)
    node = actors.platoon.replaced(before)
    assert f"linked with {dies}.1, which died" in node["last_exit"]


def test_who_has_not_agreed_does_not_die_of_a_link(actors):
    """Erlang/OTP's link/1 takes nobody's leave; here a stranger could end whom it likes with it."""
    before = actors.platoon.pid_of("b.1")
    for generation in (1, 2):
        actors.order("a", {"do": "link", "name": "b.1"}, {"do": "link", "name": "b.1"})
        actors.wait("b", "link", name="a.1", generation=generation)
        victim = actors.kill("a")
        actors.wait("b", "down", name="a.1", generation=generation)
        actors.platoon.replaced(victim)
    assert actors.platoon.pid_of("b.1") == before and len(actors.heard("b", "link")) == 2
    actors.order("a", {"do": "link", "name": "b.1"})
    actors.wait("b", "link", name="a.1", generation=3)
    before = actors.platoon.workers()["a.1"]
    actors.kill("b")
    assert "linked with b.1, which died" in actors.platoon.replaced(before)["last_exit"]


def test_a_link_does_not_mind_an_orderly_end(actors):
    actors.order("a", {"do": "link", "name": "b.1"})
    actors.wait("b", "link", name="a.1")
    before = actors.platoon.pid_of("a.1")
    assert actors.platoon.ctl("stop", "b.1").returncode == 0
    actors.wait("a", "down", name="b.1", orderly=True)
    wait_until(elapsed(0.2), 5, "a death that must not come")
    assert actors.platoon.pid_of("a.1") == before


def test_timers(actors):
    actors.order("a", {"do": "timer", "id": "soon", "after_ms": 50}, {"do": "timer", "id": "never", "after_ms": 1000}, {"do": "timer", "id": "never"},
                 {"do": "timer", "id": "again", "after_ms": 60000}, {"do": "timer", "id": "again", "after_ms": 100})
    actors.wait("a", "timer", id="soon")
    actors.wait("a", "timer", id="again")
    wait_until(elapsed(1.2), 10, "the one that was taken back")
    assert [t["id"] for t in actors.heard("a", "timer")] == ["soon", "again"]


def test_what_waits_for_one_that_is_down_comes_when_it_is_up(actors):
    assert actors.platoon.ctl("stop", "b.1").returncode == 0
    actors.order("a", {"do": "send", "to": "b.1", "body": "patience"}, {"do": "send", "to": "nobody.1", "body": 1})
    assert "there is no worker named nobody.1" in actors.wait("a", "error")[0]["text"]
    assert actors.platoon.ctl("start", "b.1").returncode == 0
    assert actors.wait("b", "message")[0]["body"] == "patience"


def test_what_waits_is_bounded_in_bytes(platoon):
    """A hundred messages of 900 KB for one that is not there: some wait, the others are told, and nobody's memory is filled. What waits arrives whole."""
    (platoon.dir / "talk.py").write_text('''
import json, os, sys
again = os.path.exists(sys.argv[1])
out = open(sys.argv[1], "w")
for i in range(100 * again):
    print(json.dumps({"do": "send", "to": "b.1", "body": [i, "x" * 900000]}), flush=True)
print(json.dumps({"do": "ready"}), flush=True)
for line in sys.stdin:
    out.write(line); out.flush()
''')
    (platoon.dir / "hear.py").write_text('''
import json, sys
out = open(sys.argv[1], "w")
for line in sys.stdin:
    event = json.loads(line)
    if event["event"] == "message":
        assert len(event["body"][1]) == 900000
        out.write(f"{event['body'][0]}\\n"); out.flush()
''')
    platoon.config_path.write_text(f'''platoon {{ runtime_dir = run  state_dir = state }}
        program b {{ command = "/usr/bin/python3 {platoon.dir}/hear.py {platoon.dir}/heard"  port = json }}
        program a {{ command = "/usr/bin/python3 {platoon.dir}/talk.py {platoon.dir}/told"  port = json  ready = actor  ready_timeout = 120s }}''')
    platoon.start()
    assert platoon.ctl("stop", "b.1").returncode == 0
    heard, told = platoon.dir / "heard", platoon.dir / "told"
    before = platoon.workers()["a.1"]
    os.kill(before["pid"], signal.SIGKILL)
    after = platoon.replaced(before)

    def events():
        return [json.loads(line) for line in told.read_text().split("\n")[:-1]]

    def refused():
        return [e for e in events() if "cannot send to b.1" in e.get("text", "")]
    platoon.ctl("--timeout", "1s", "send", "a.1", "1")  # which nobody answers: it comes behind all refusals
    wait_until(lambda: any(e["event"] == "request" for e in events()), 20, "all that was refused to be told")
    assert 100 - 16 * 1048576 // 900000 - 1 <= len(refused()) < 100
    assert rss_bytes(after["pid"]) < (256 if ASAN else 64) << 20
    assert platoon.ctl("start", "b.1").returncode == 0
    waited = 100 - len(refused())
    wait_until(lambda: heard.exists() and heard.read_text().split() == [str(i) for i in range(waited)], 20, "all that has waited, in order")


@pytest.mark.parametrize("away", ["stopped", "nobody"])
def test_who_cannot_be_reached_does_not_end_who_writes_to_him(actors, away):
    """Refused messages were errors in a row: whoever was stopped ended all that went on writing to him. Only what is malformed counts."""
    before = actors.platoon.pid_of("a.1")
    other = "nobody.1" if away == "nobody" else "b.1"
    if away == "stopped":
        assert actors.platoon.ctl("stop", "b.1").returncode == 0
    for _ in range(8):
        actors.order("a", *[{"do": "send", "to": other, "body": 1}] * 200)
    for i in range(3):
        actors.order("a", *[{"do": "call", "to": other, "id": f"{i}.{j}", "body": 1} for j in range(400)])
    why = "it is not up, and too much waits already for those who are not"

    def told():
        found = [e["text"] for e in actors.heard("a", "error")]
        return found if away == "nobody" or f"cannot send to b.1: {why}" in found else None
    texts = wait_until(told, 20, "an error for what was refused")
    assert all("cannot send to" in t or "no worker named nobody.1" in t or "more in the last second" in t for t in texts), set(texts)
    if away == "stopped":
        assert len(actors.wait("a", "answer", 1200, error=why)) == 1200
    assert actors.platoon.pid_of("a.1") == before
    assert actors.platoon.log().count("port-error") < 1000


def test_nonsense_is_answered_and_does_no_harm(actors):
    before = actors.platoon.pid_of("a.1")
    actors.order("a", {"do": "dance"}, {}, {"do": "send"}, {"do": "send", "to": "x" * 200}, {"do": "call", "to": "b.1"}, {"do": "timer"},
                 {"do": "timer", "id": "x", "after_ms": -1}, {"do": "reply", "id": "b.1"}, {"do": "reply"}, {"do": "monitor", "name": 5}, [1, 2], {"do": "doing", "text": "survives"})
    assert len(actors.wait("a", "error", 11)) == 11
    wait_until(lambda: actors.platoon.workers()["a.1"]["doing"] == "survives", 10, "its word in the tree")
    assert actors.platoon.pid_of("a.1") == before


@pytest.mark.parametrize("first", ["", "x"])
def test_what_the_master_cuts_stays_text(actors, first):
    """A text cut inside a character was shown as {"base64": …}, and its problem as a blank line."""
    long = first + "ä" * 300
    actors.order("a", {"do": "trouble", "text": long}, {"do": "doing", "text": long})
    node = wait_until(lambda: (n := actors.platoon.workers()["a.1"])["trouble"] and str(n["doing"]).startswith(long[:9]) and n, 10, "its trouble, and what it does")
    assert isinstance(node["trouble"], str) and long.startswith(node["trouble"]) and len(node["trouble"]) > 190
    assert isinstance(node["doing"], str) and long.startswith(node["doing"])
    assert f"a.1: {node['trouble']}" in actors.platoon.problems()


def test_an_answer_that_is_nested_too_deep_is_an_error_and_kills_nobody(actors):
    """PROTOCOL.md: an answer to a client may be nested 16 levels deep. Deeper ones were garbage to the master, which kills for it."""
    def nested(levels):
        return json.loads("[" * levels + "1" + "]" * levels)
    before = actors.platoon.pid_of("a.1")
    send = actors.platoon.ctl
    assert json.loads(send("--json", "send", "a.1", json.dumps(nested(15))).stdout) == {"echo": nested(15)}
    for levels in (16, 17, 40, 200):
        done = send("send", "a.1", json.dumps(nested(levels)))
        assert done.returncode == 1 and "nested deeper than 16 levels" in done.stderr, done
    assert len(actors.wait("a", "error", 4, text="reply: the body may be nested at most 16 levels deep")) == 4
    actors.order("a", {"do": "call", "to": "b.1", "id": "deep", "body": nested(100)})
    assert actors.wait("a", "answer", id="deep")[0]["body"] == {"echo": nested(100)}
    assert actors.platoon.pid_of("a.1") == before


def test_an_actor_that_says_too_much_or_reads_nothing_is_ended(platoon):
    flood = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    (platoon.dir / "flood.py").write_text(flood)
    (platoon.dir / "deaf.py").write_text("import time\ntime.sleep(1000)")
    platoon.config_path.write_text(f'''platoon {{ runtime_dir = run  state_dir = state  backoff_min = 20ms  intensity = 1000 }}
        program flood {{ command = "/usr/bin/python3 {platoon.dir}/flood.py"  port = json }}
        program deaf {{ command = "/usr/bin/python3 {platoon.dir}/deaf.py"  port = json }}''')
    platoon.start(ready=False)
    wait_until(lambda: "a line of more than" in (platoon.workers()["flood.1"]["last_exit"] or ""), 10, "the end of the flood")
    wait_until(lambda: platoon.workers()["deaf.1"]["state"] == "READY", 10, "the deaf one")
    big = json.dumps("y" * 100000)

    def ended():
        platoon.ctl("--timeout", "20ms", "send", "deaf.1", big)
        return platoon.workers()["deaf.1"]["restarts"] > 0
    wait_until(ended, 60, "the end of the deaf one")
    assert "has not read" in platoon.workers()["deaf.1"]["last_exit"]


def test_an_echo_does_not_go_on_for_ever(platoon):
    """cat gives each event back as an action; each is answered by an error event, which it gives back."""
    platoon.config_path.write_text('''platoon { runtime_dir = run  state_dir = state  backoff_min = 20ms  intensity = 1000 }
        program echo { command = "cat"  port = json }''')
    platoon.start(ready=False)
    wait_until(lambda: "says only what cannot be done" in (platoon.workers()["echo.1"]["last_exit"] or ""), 10, "its end")


def test_the_examples(platoon):
    platoon.config_path.write_text(f'''platoon {{ runtime_dir = run  state_dir = state }}
        program counter {{ command = "/usr/bin/python3 {ROOT}/etc/examples/actor.py"  port = json  ready = actor  settings = "step=2" }}
        program clock {{ command = "/bin/sh {ROOT}/etc/examples/actor.sh"  port = json }}''')
    platoon.start()
    assert json.loads(platoon.ctl("--json", "send", "counter.1", '{"add": 5}').stdout) == {"total": 10}
    time = platoon.ctl("send", "clock.1", '"what time is it?"').stdout
    assert len(time.split(":")) == 3
    wait_until(lambda: "clock.1 output line=tick" in platoon.log(), 10 * SCALE, "a tick")
    assert platoon.ctl("stop", "*").returncode == 0
    assert "exit 0" in platoon.workers()["clock.1"]["last_exit"] and "exit 0" in platoon.workers()["counter.1"]["last_exit"]


def test_who_is_stopped_before_it_was_ready_and_killed_leaves_no_mailbox(platoon):
    platoon.config_path.write_text('''platoon { runtime_dir = run  state_dir = state }
        program late { command = "sleep 1000"  port = json  ready = actor  stop_timeout = 60s }''')
    platoon.start(ready=False)
    mailboxes = platoon.dir / "run/mbox"
    wait_until(lambda: any(mailboxes.glob("late.1.*")), 20 * SCALE, "its mailbox")
    pid = platoon.workers()["late.1"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    stop = subprocess.Popen([str(platoon.build / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "stop", "late.1"], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: platoon.workers()["late.1"]["state"] == "DRAINING", 20 * SCALE, "its being told to stop")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: platoon.workers()["late.1"]["state"] == "STOPPED", 20 * SCALE, "its end")
        assert not list(mailboxes.glob("late.1.*"))
    finally:
        stop.kill()
        stop.wait()
