"""Workers of one's own that lie on their link or about their mailbox: each ends alone, by name and with the cause, and nobody else is any the worse.

The kinds are of public reports against brokers and supervisors: a peer's word for its own address, floods of small questions with large answers, frames
that only announce their size (supervisord #1320, rabbitmq-server #2106, redis #2092)."""
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from health_client import get
from platoon_fixture import ROOT, SCALE, elapsed, rss_bytes, wait_until

MESSAGE_VERSION = int(re.search(r"#define MESSAGE_VERSION *(\d+)", (ROOT / "proto/message.h").read_text())[1])
VERSION = int(re.search(r"#define CONTRACT_LINK_VERSION *(\d+)", (ROOT / "proto/contract.h").read_text())[1])

# Speaks the link by hand; `how` is what it does instead of working. `say` takes a message, `flood` says one without end and reads what comes back.
LIAR = f'''
import msgpack, os, signal, socket, struct, sys, threading, time
link, me, generation, there = socket.socket(fileno=3), os.environ["PLATOON_NAME"], int(os.environ["PLATOON_GENERATION"]), os.path.dirname(__file__)
frame = lambda *m: struct.pack(">I", len(b := msgpack.packb(list(m), unicode_errors="surrogateescape"))) + b
def say(*m): link.sendall(frame(*m))
def hello(version={VERSION}, generation=generation): say(1, version, "liar", os.getpid(), generation)
def read():
    while link.recv(1 << 20): pass
def beat():
    while True: say(4, {{}}, "", ""); time.sleep(0.5)
def up(address=""): hello(); say(3, address)
def rest(): threading.Thread(target=read, daemon=True).start(); beat()
def flood(messages, reads=True):
    up()
    if reads: threading.Thread(target=read, daemon=True).start()
    data = b"".join(frame(*m) for m in messages) * 100 + frame(4, {{}}, "", "")
    while True: link.sendall(data)
BAD = b"a\\xff\\x1b]0;x\\x07\\xc2\\x9b31m\\xe2\\x80\\xaegpj\\x7fz\\xc3"
def loud():
    text = BAD.decode(errors="surrogateescape")
    up(); say(4, {{}}, text, text); sys.stderr.buffer.write(BAD + b"\\n" + BAD); sys.stderr.flush()
    threading.Thread(target=beat_loud, args=[text], daemon=True).start()
    whole = lambda n: link.recv(n, socket.MSG_WAITALL)
    while True:
        m = msgpack.unpackb(whole(struct.unpack(">I", whole(4))[0]), strict_map_key=False, raw=True)
        if m[0] == 10 and b"die" in m[4][0]: say(6, text); sys.exit(1)
        if m[0] == 10: say(11, m[1], 0, {{"text": text, "list": [text]}})
def beat_loud(text):
    while True: say(4, {{}}, text, text); time.sleep(0.5)
def send_to_watcher(*numbers, sender=me, generation=generation, version={MESSAGE_VERSION}, more=()):
    """Frames for its mailbox, as nanomsg's PUSH over ipc lays them out, with these numbers."""
    box = socket.socket(socket.AF_UNIX)
    box.connect(f"{{there}}/run/mbox/watcher.1.1")
    box.sendall(b"\\0SP\\0\\0\\x50\\0\\0")
    box.recv(8, socket.MSG_WAITALL)
    for number in numbers:
        body = msgpack.packb([version, sender, generation, number, time.monotonic_ns() // 1000000, *more])
        box.sendall(b"\\1" + struct.pack(">Q", len(body)) + body)
    return box
def unordered(*numbers):
    up(mailbox); keep = send_to_watcher(*numbers); rest()
def forge():
    up(mailbox)
    keep = [send_to_watcher(5, 6, 0, 1 << 62, sender="friend.1", generation=1, more=more) for more in ((), (0,), (1,), (1 << 63,), ("x",))]
    keep += [send_to_watcher(0, sender="friend.1", generation=1, version=99), send_to_watcher(*range(2000), sender="friend.1", generation=2)]
    rest()
mailbox = f"ipc://{{there}}/run/mbox/{{me.replace('/', ',')}}.{{generation}}"
def giant(): up(); link.sendall(struct.pack(">I", 0x7fffffff)); rest()
def twice(say_it): up(); say_it(); rest()
LIES = {{
    "foreign": lambda: (up(f"ipc://{{there}}/elsewhere"), rest()), "tcp": lambda: (up("tcp://127.0.0.1:1"), rest()), "long": lambda: (up("ipc:///" + "x" * 5000), rest()),
    "other": lambda: (up(mailbox.replace(me, "watcher.1")), rest()), "older": lambda: (up(mailbox + "0"), rest()), "bytes": lambda: (up("\\x1b]0;x\\x07\\u202e\\x85"), rest()),
    "version": lambda: (hello(version=99), rest()), "generation": lambda: (hello(generation=7), rest()), "early": lambda: (say(4, {{}}, "", ""), rest()),
    "hello": lambda: twice(hello), "ready": lambda: twice(lambda: say(3, "")), "ours": lambda: twice(lambda: say(7, "a", "b", 1, "")), "nothing": lambda: twice(lambda: say(99)),
    "giant": giant, "half": lambda: (up(), link.shutdown(socket.SHUT_WR), time.sleep(1000)), "garbage": lambda: (up(), link.sendall(b"\\0\\0\\0\\4oops"), rest()),
    "monitors": lambda: (up(), [say(9, f"nobody.{{i}}") for i in range(3000)], rest()),
    "looks": lambda: flood([(12, 1)]), "deaf": lambda: flood([(12, 1)], reads=False),
    "all": lambda: flood([(4, {{"requests_total": 1}}, "x" * 300, "y" * 300), (9, "watcher.1"), (14, 1, "child", b""), (14, 2, "watcher", b""), (16, "watcher.1")]),
    "gap": lambda: unordered(0, 1, 5, 6), "again": lambda: unordered(0, 1, 1, 2), "late": lambda: unordered(3), "in order": lambda: unordered(0, 1, 2, 3),
    "loud": lambda: loud(), "forge": forge, "silent": lambda: time.sleep(1000), "unready": lambda: (hello(), rest()), "honest": lambda: (up(mailbox), rest()),
}}
LIES[open(there + "/how").read()]()
'''
WATCHER = '''
import json, sys
def say(**action): print(json.dumps(action), flush=True)
for line in sys.stdin:
    e = json.loads(line)
    if e["event"] == "hello": say(do="monitor", name="liar.1"); say(do="monitor", name="friend.1"); say(do="ready")
    elif e.get("name") == "friend.1": continue
    elif e["event"] == "up": say(do="send", to=e["name"], body="hello"); say(do="doing", text="up")
    elif e["event"] == "down": say(do="doing", text="down")
    elif e["event"] == "message" and e["from"] == "friend.1": say(do="doing", text="heard " + e["body"])
    elif e["event"] == "request": say(do="reply", id=e["id"], body="here")
'''
FRIEND = '''
import json, sys
def say(**action): print(json.dumps(action), flush=True)
for line in sys.stdin:
    e = json.loads(line)
    if e["event"] == "request": say(do="send", to="watcher.1", body=e["body"]); say(do="reply", id=e["id"], body="sent")
'''


@pytest.fixture
def lie(platoon):
    def start(how):
        (platoon.dir / "liar.py").write_text("#!/usr/bin/python3\n" + LIAR)
        (platoon.dir / "liar.py").chmod(0o755)
        (platoon.dir / "how").write_text(how)
        (platoon.dir / "watcher.py").write_text(WATCHER)
        (platoon.dir / "friend.py").write_text(FRIEND)
        platoon.config_path.write_text(f'''platoon {{ runtime_dir = run  state_dir = state  health = "unix:{platoon.dir}/h.sock"  backoff_min = 60s  backoff_max = 60s  hang_timeout = 5s }}
            program watcher {{ command = "/usr/bin/python3 {platoon.dir}/watcher.py"  port = json  ready = actor }}
            program friend {{ command = "/usr/bin/python3 {platoon.dir}/friend.py"  port = json  backoff_min = 10ms  backoff_max = 100ms }}
            program child {{ command = "sleep 1000"  processes = 0 }}
            program liar {{ command = "{platoon.dir}/liar.py"  worker = true  may_start = child  may_start_max = 3  ready_timeout = 4s }}''')
        platoon.start(ready=False)
        return platoon
    return start


def ended(platoon):
    liar = platoon.workers()["liar.1"]
    return liar["last_exit"] if liar["restarts"] > 0 or liar["state"] in ("BACKOFF", "FATAL") else None


def well(platoon, before):
    """Whoever is not the liar lives on, and so does the master, which is as quick and as small as ever."""
    assert platoon.ctl("send", "watcher.1", "{}").stdout == "here\n"
    others = {name: node["pid"] for name, node in platoon.workers().items() if not name.startswith("liar")}
    assert others == before
    assert platoon.process.poll() is None and rss_bytes(platoon.process.pid) < 60e6 * SCALE


def others_of(platoon):
    wait_until(lambda: all(node["state"] == "READY" for name, node in platoon.workers().items() if not name.startswith("liar")), 20, "the others to be ready")
    return {name: node["pid"] for name, node in platoon.workers().items() if not name.startswith("liar")}


@pytest.mark.parametrize("how, cause", [
    ("foreign", "its mailbox must be ipc://"), ("tcp", "it said that it is tcp://127.0.0.1:1"), ("long", "its mailbox must be ipc://"), ("other", "watcher.1.1"),
    ("older", "its mailbox must be ipc://"), ("bytes", "its mailbox must be ipc://"), ("version", f"it speaks link version 99, the master {VERSION}"), ("generation", "as generation 7, and is 1"),
    ("early", "message BEAT"), ("hello", "message HELLO"), ("ready", "message READY"), ("ours", "message UP"), ("nothing", "message ?"), ("giant", "a message above 16 MB"),
    ("half", "closed its link"), ("garbage", "message ?"), ("monitors", "it monitors more than 1024"),
    ("silent", "it has not said HELLO within 5 s"), ("unready", "it was not READY within ready_timeout = 4s"),
    ("gap", "its frames to watcher.1 are not in order: number 5 instead of 2"), ("again", "number 1 instead of 2"), ("late", "number 3 instead of 0"),
])
def test_a_lie_ends_its_teller_alone_and_says_why(lie, how, cause):
    platoon = lie(how)
    before = others_of(platoon)
    said = wait_until(lambda: ended(platoon), 20, "its end")
    assert "the master ended it" in said and cause in said and "killed by SIGKILL" in said
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", said)
    assert [line for line in platoon.log().splitlines() if "worker-killed name=liar.1" in line and cause in line.replace('\\"', '"')]
    well(platoon, before)
    assert cause in platoon.ctl("crashes", "liar.1").stdout


@pytest.mark.parametrize("how", ["looks", "deaf", "all"])
def test_a_flood_is_slowed_and_ends_its_sender_alone(lie, how):
    platoon = lie(how)
    before = others_of(platoon)

    def over():
        well(platoon, before)
        assert get(platoon, "/livez") == (200, "ok\n")
        return ended(platoon)
    said = wait_until(over, 45, "its end")
    assert "the master ended it: for 10 s it has said more" in said or (how == "deaf" and "it does not read its link" in said), said
    well(platoon, before)


@pytest.mark.parametrize("how", ["honest", "in order"])
def test_an_honest_one_is_believed(lie, how):
    platoon = lie(how)
    before = others_of(platoon)
    wait_until(lambda: platoon.workers()["watcher.1"]["doing"] == "up", 10, "the news of it")
    wait_until(elapsed(1), 5, "a death that must not come")
    assert platoon.workers()["liar.1"]["state"] == "READY"
    well(platoon, before)


def test_frames_in_somebody_elses_name_are_nobodys(lie):
    """A name on an envelope is a claim (rabbitmq's user-id, SMTP's From): without proof it is dropped, and costs neither who is named nor who reads it anything."""
    platoon = lie("forge")
    before = others_of(platoon)
    wait_until(lambda: platoon.workers()["watcher.1"]["counters"].get("messages_rejected_total", 0) >= 20, 10, "the frames' end")
    assert platoon.ctl("send", "friend.1", '"this"').stdout == "sent\n"
    wait_until(lambda: platoon.workers()["watcher.1"]["doing"] == "heard this", 10, "a word of the true friend")
    well(platoon, before)
    assert not {name: node["trouble"] for name, node in platoon.workers().items() if node["trouble"]}
    victim = platoon.workers()["friend.1"]
    os.kill(victim["pid"], signal.SIGKILL)
    platoon.replaced(victim)
    assert platoon.ctl("send", "friend.1", '"that"').stdout == "sent\n"  # its successor, whose name was taken before it came
    wait_until(lambda: platoon.workers()["watcher.1"]["doing"] == "heard that", 10, "a word of its successor")
    assert platoon.workers()["watcher.1"]["pid"] == before["watcher.1"]


# What orders a terminal about, or shows text as other text, but for the ends of lines and the tool's own colours.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def on_a_terminal(platoon, *words):
    ours, theirs = pty.openpty()
    with subprocess.Popen([str(platoon.build / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), *words], stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL,
                          env=platoon.environment()) as process:
        os.close(theirs)
        said = b""
        try:
            while data := os.read(ours, 65536):
                said += data
        except OSError:  # EIO: its end
            pass
        process.wait(20 * SCALE)
    os.close(ours)
    return re.sub("\x1b\\[[0-9;]*m", "", said.decode().replace("\r\n", "\n"))


def texts(value):
    if isinstance(value, dict):
        assert "base64" not in value, value
        return [t for v in value.values() for t in texts(v)]
    return [t for v in value for t in texts(v)] if isinstance(value, list) else [value] if isinstance(value, str) else []


def test_what_is_said_keeps_its_shape_and_orders_no_terminal_about(lie):
    """A name or a log line that holds escape sequences (CVE-2021-25743, kubectl; CVE-2003-0020, httpd's error log)."""
    platoon = lie("loud")
    others_of(platoon)
    wait_until(lambda: "gpj" in platoon.workers()["liar.1"]["trouble"], 10, "what it says")

    def all_of_it(*verbs):
        for words in verbs:
            done = platoon.ctl("--json", *words)
            assert not CONTROLS.search(done.stdout), (words, done.stdout)
            answers = [json.loads(done.stdout)] if words[0] != "logs" else [json.loads(line) for line in done.stdout.splitlines()]
            assert any("gpj" in t for t in texts(answers)), (words, answers)
            shown = on_a_terminal(platoon, *words)
            assert ("gpj" in shown or words == ["crashes"]) and not CONTROLS.search(shown), (words, shown)
            shown = on_a_terminal(platoon, "--json", *words)
            assert "gpj" in shown and not CONTROLS.search(shown), (words, shown)
    all_of_it(["tree"], ["status"], ["status", "liar.1"], ["logs", "liar.1"], ["send", "liar.1", "{}"])
    platoon.ctl("send", "liar.1", '"die"')
    wait_until(lambda: ended(platoon), 10, "its end")
    all_of_it(["status", "liar.1"], ["crashes"], ["crashes", "liar.1"])
