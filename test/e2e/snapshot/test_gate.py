"""The gate: stacked streams over a unix socket and nanomsg, and each change over nanomsg and in Redis."""
import contextlib
import json
import os
import signal
import socket
import stat
import subprocess

import pytest

from platoon_fixture import SCALE, section, wait_until

RESOURCES = {"app": {"path": "app.tsv", "header": "qplan app", "inputs": "clean", "command": "cat"},
             "clean": {"inputs": "raw", "command": "tr a-z A-Z"}, "raw": {}, "holidays": {"size_max": "20MB"}}
LINES = b"a\tb\n=====x\n\n\tc\n"  # a line that looks like a header, an empty one, one with a tab


def stacked(*parts):
    """(header, content) each."""
    out = b""
    for header, content in parts:
        out += b"=====" + header.encode() + b"\n" + b"".join(b"\t" + line + b"\n" for line in content.split(b"\n")[:-1])
    return out


class Gate:
    def __init__(self, store, more="", **keys):
        self.store, self.dir, self.platoon = store, store.platoon.dir, store.platoon
        self.path = self.dir / "gate.sock"
        snapshot = {"listen": f"unix:{self.path}", **keys}
        store.platoon.config_path.write_text(store.text(RESOURCES, {k: v for k, v in snapshot.items() if v}) + more)
        store.platoon.start()

    def follows(self):
        """Waits until each change from now on is told; what was there before nobody is told."""
        wait_until(lambda: "follows" in self.platoon.workers()["snapshot/plan/gate"].get("doing", ""), 60, "the gate to follow its store")
        return self

    def pid(self):
        return self.platoon.pid_of("snapshot/plan/gate")

    def send(self, stream, close=True):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60 * SCALE)
        s.connect(str(self.path))
        with contextlib.suppress(BrokenPipeError):  # it was answered before all was sent
            s.sendall(stream)
            if close:
                s.shutdown(socket.SHUT_WR)
        return s

    def ask(self, stream):
        with self.send(stream) as s:
            answer = b""
            while piece := s.recv(1 << 20):
                answer += piece
        return answer

    def nanocat(self, *words, **options):
        return subprocess.run(["nanocat", *words], capture_output=True, timeout=120 * SCALE, **options)

    def rep(self, stream):
        done = self.nanocat("--req", "--connect", f"ipc://{self.dir}/run/snapshot/plan.rep", "--data", stream.decode(), "--raw", "--recv-timeout", "40")
        assert done.returncode == 0, done
        return done.stdout

    def log_of(self, resource):
        return self.store.json("log", resource)


def row(store, resource):
    return next(r for r in store.json("list") if r["resource"] == resource)


def newest(gate, resource):
    return row(gate.store, resource)["commit"]


def test_a_version_is_put_and_read(store):
    gate = Gate(store)
    assert stat.S_IMODE(gate.path.stat().st_mode) == 0o660
    assert gate.ask(stacked(("PUT holidays", LINES))) == b"OK\n"
    first = newest(gate, "holidays")
    assert store.get("holidays") == LINES
    assert gate.log_of("holidays")[0]["by"] == f"uid {os.getuid()}"
    assert gate.ask(stacked(("GET holidays", b""))) == stacked(("holidays", first.encode() + b"\n"), ("data", LINES))
    assert gate.ask(stacked(("PUT holidays", b"2\n"))) == b"OK\n"
    assert gate.ask(stacked(("GET holidays", first[:7].encode() + b"\n"))) == stacked(("holidays", first.encode() + b"\n"), ("data", LINES))
    assert gate.ask(stacked(("PUT raw", b"x\n"))) == b"OK\n"
    assert store.ctl("snapshot", "wait").returncode == 0
    made = newest(gate, "app").encode()
    assert gate.ask(stacked(("GET qplan app", b""))) == stacked(("qplan app", made + b"\n"), ("data", b"X\n"))
    assert not (gate.dir / "run/snapshot").exists(), "nanomsg is off unless it is asked for"


@pytest.mark.parametrize("stream,why", [
    (b"", "nothing was asked"), (b"hello\n", "no stacked stream"), (b"=====\n", "neither"), (b"=====DELETE app\n", "neither =====GET HEADER nor"),
    (b"=====GET app\n", "no resource of plan has the header 'app'; there are: qplan app, clean, raw, holidays"),
    (b"=====GET raw\n", "has no such version"), (b"=====GET raw\n\ta\n\tb\n", "one line: a version"), (b"=====GET holidays\n\tzzz\n", "zzz"),
    (b"=====GET raw\n=====GET raw\n", "one at a time"), (b"=====PUT qplan app\n\tx\n", "made"), (b"=====PUT raw\n", "size_min"), (b"=====GET raw\nx\n", "no stacked stream"),
])
def test_what_is_no_request_gets_the_reason(store, stream, why):
    gate = Gate(store)
    gate.ask(stacked(("PUT holidays", b"1\n")))
    answer = gate.ask(stream).decode()
    assert answer.startswith("ERROR: ") and why in answer and answer.count("\n") == 1 and answer.endswith("\n"), answer
    assert [v["seq"] for v in gate.log_of("holidays")] == [1]


def test_the_largest_and_what_is_larger(store):
    """20 MB of empty lines are 40 MB on the way."""
    gate = Gate(store)
    whole = b"\n" * (20 << 20)
    stream = b"=====PUT holidays\n" + b"\t\n" * len(whole)
    assert gate.ask(stream) == b"OK\n"
    answer = gate.ask(b"=====GET holidays\n")
    assert answer.endswith(b"=====data\n" + b"\t\n" * len(whole))
    assert b"ERROR: " in gate.ask(b"=====PUT raw\n" + b"\t\n" * (17 << 20)), "size_max of raw is 16 MB"
    assert b"ERROR: the request is larger" in gate.ask(stream + b"\t\n" * 4096)


def test_many_at_once_wait_for_their_turn(store):
    gate = Gate(store)
    gate.ask(stacked(("PUT holidays", b"1\n")))
    idle = [gate.send(b"=====GET hol", close=False) for _ in range(12)]
    late = [gate.send(stacked(("GET holidays", b""))) for _ in range(40)]
    for s in late:
        with s:
            answer = b""
            while piece := s.recv(4096):
                answer += piece
        assert answer.endswith(b"=====data\n\t1\n"), answer
    for s in idle:
        with s:
            s.sendall(b"idays\n")
            s.shutdown(socket.SHUT_WR)
            assert s.recv(4096).startswith(b"=====holidays\n")


def test_half_of_a_version_of_a_writer_that_was_killed_is_none(store):
    gate = Gate(store)
    half = subprocess.Popen(["/usr/bin/python3", "-c", "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
                             r"s.sendall(b'=====PUT holidays\n\thalf\n')" "\nprint('sent', flush=True)\nsys.stdin.read()", gate.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert half.stdout.readline() == b"sent\n"
    half.kill()
    half.communicate()
    for _ in range(10):
        gate.send(b"=====PUT holidays\n\thalf\n", close=False).close()
    assert gate.ask(stacked(("PUT holidays", b"whole\n"))) == b"OK\n"
    assert store.get("holidays") == b"whole\n" and [v["seq"] for v in gate.log_of("holidays")] == [1]


def test_kills_of_the_store_and_of_the_gate(store):
    gate = Gate(store)
    gate.ask(stacked(("PUT holidays", b"1\n")))
    for who in ("store", "gate"):
        os.kill(gate.platoon.pid_of(f"snapshot/plan/{who}"), signal.SIGKILL)

        def put():
            with contextlib.suppress(OSError):
                return gate.ask(stacked(("PUT holidays", who.encode() + b"\n"))) == b"OK\n"
        wait_until(put, 60, f"a put after the kill of {who}")
        assert store.get("holidays") == who.encode() + b"\n"


# ---- nanomsg ----

def test_requests_over_nanomsg(store):
    gate = Gate(store, nanomsg="true", listen="")
    folder = gate.dir / "run/snapshot"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert gate.rep(stacked(("PUT holidays", LINES))) == b"OK\n"
    assert store.get("holidays") == LINES
    for _ in range(3):
        assert gate.rep(stacked(("GET holidays", b""))) == stacked(("holidays", newest(gate, "holidays").encode() + b"\n"), ("data", LINES))
    assert gate.rep(b"=====GET nobody\n").startswith(b"ERROR: no resource of plan")


def test_changes_over_nanomsg(store):
    gate = Gate(store, nanomsg="true", listen="")
    heard = gate.dir / "heard"
    with open(heard, "wb") as out:
        sub = subprocess.Popen(["nanocat", "--sub", "--connect", f"ipc://{gate.dir}/run/snapshot/plan.pub", "--raw"], stdout=out)
    try:
        count = 0

        def subscribed():
            nonlocal count
            count += 1
            store.put("holidays", f"{count}\n".encode())
            return heard.stat().st_size > 0
        wait_until(subscribed, 60, "the subscription")
        store.put("raw", b"x\n")
        assert store.ctl("snapshot", "wait").returncode == 0
        want = [stacked((RESOURCES[name].get("header", name), newest(gate, name).encode() + b"\n")) for name in ("raw", "clean", "app")]
        wait_until(lambda: all(line in heard.read_bytes() for line in want), 60, "the changes")
        said = heard.read_bytes()
        assert said.index(want[0]) < said.index(want[1]) < said.index(want[2])
    finally:
        sub.kill()
        sub.wait()


def test_who_aborts_nanomsg_aborts_the_gate_alone(store):
    """A good greeting, and then a first byte that no message has: 17 bytes (FACTS.md 1.4)."""
    gate = Gate(store, nanomsg="true")
    gate.ask(stacked(("PUT holidays", b"1\n")))
    before = gate.platoon.workers()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(gate.dir / "run/snapshot/plan.rep"))
        s.sendall(b"\0SP\0\0\x30\0\0")
        assert len(s.recv(8)) == 8
        s.sendall(b"\0" * 9)
        gate.platoon.replaced(before["snapshot/plan/gate"])
    now = gate.platoon.workers()
    assert all(now[name]["generation"] == node["generation"] for name, node in before.items() if name != "snapshot/plan/gate")
    assert gate.rep(stacked(("GET holidays", b""))).endswith(b"=====data\n\t1\n")
    assert gate.ask(stacked(("GET holidays", b""))).endswith(b"=====data\n\t1\n")


def test_a_folder_that_others_may_enter_is_not_taken(platoon, store):
    (platoon.dir / "run").mkdir(mode=0o700)
    (platoon.dir / "run/snapshot").mkdir()
    os.chmod(platoon.dir / "run/snapshot", 0o755)
    platoon.config_path.write_text(store.text(RESOURCES, {"nanomsg": "true"}))
    platoon.start(ready=False)
    wait_until(lambda: "must be a folder of platoon's user alone (0700)" in platoon.log(), 60, "the reason")


# ---- Redis ----

def heard(pubsub):
    """All that there is by now."""
    found = []
    while message := pubsub.get_message(timeout=0.2):
        if message["type"] == "message":
            found.append(json.loads(message["data"]))
    return found


@pytest.fixture
def notified(store, redis_server):
    server = redis_server()
    gate = Gate(store, more=section("redis main", {"url": server.url, "retry_max": "200ms"}), notify="main").follows()
    gate.redis = server
    gate.pubsub = server.client().pubsub()
    gate.pubsub.subscribe("platoon:{plan}:changes")
    gate.pubsub.get_message(timeout=10)
    return gate


def collect(gate, count):
    found = []
    wait_until(lambda: found.extend(heard(gate.pubsub)) or len(found) >= count, 60, f"{count} notices")
    return found


def test_changes_in_redis(notified, store):
    put = store.put("raw", b"x\n")
    found = {n["resource"]: n for n in collect(notified, 3)}
    assert set(found) == {"raw", "clean", "app"}
    assert found["raw"] == {"event": "change", "store": "plan", "resource": "raw", "seq": 1, "prev": 0, "commit": put["commit"], "blob": put["blob"],
                            "time": row(store, "raw")["time"]}
    store.put("raw", b"y\n")
    again = {n["resource"]: n for n in collect(notified, 3)}
    assert {name: n["prev"] for name, n in again.items()} == {name: n["seq"] for name, n in found.items()}
    assert store.put("raw", b"y\n")["changed"] is False
    assert not heard(notified.pubsub), "equal bytes are no change"


def test_redis_away_and_back(notified, store):
    """What a reader holds is `prev`, whatever was not published."""
    first = store.put("holidays", b"1\n")["seq"]
    assert [n["seq"] for n in collect(notified, 1)] == [first]
    notified.redis.stop()
    wait_until(lambda: "redis" in notified.platoon.workers()["snapshot/plan/gate"].get("trouble", ""), 60, "its trouble")
    for i in range(2, 5):
        last = store.put("holidays", f"{i}\n".encode())["seq"]
    assert notified.ask(stacked(("GET holidays", b""))).endswith(b"\t4\n"), "the door needs no Redis"
    notified.redis.start()
    pubsub = notified.redis.client().pubsub()
    pubsub.subscribe("platoon:{plan}:changes")
    pubsub.get_message(timeout=10)
    notified.pubsub = pubsub
    wait_until(lambda: not notified.platoon.workers()["snapshot/plan/gate"].get("trouble"), 60, "its return")
    more = store.put("holidays", b"5\n")["seq"]
    found = []
    wait_until(lambda: found.extend(heard(pubsub)) or (found and found[-1]["seq"] == more), 60, "the newest")
    assert len(found) <= 2 and found[0]["prev"] in (first, last), found


def test_the_store_away_is_one_change_when_it_is_back(notified, store):
    store.put("holidays", b"1\n")
    collect(notified, 1)
    os.kill(notified.platoon.pid_of("snapshot/plan/store"), signal.SIGKILL)
    wait_until(lambda: store.ctl("snapshot", "put", "holidays", data=b"2\n").returncode == 0, 60, "the store's return")
    assert [(n["seq"], n["prev"]) for n in collect(notified, 1)] == [(2, 1)]


def test_a_right_that_lacks_is_named(notified, store):
    notified.redis.client().execute_command("ACL", "SETUSER", "default", "-publish")
    store.put("holidays", b"1\n")
    trouble = wait_until(lambda: "published" in (told := notified.platoon.workers()["snapshot/plan/gate"].get("trouble", "")) and told, 60, "the reason")
    assert "NOPERM" in trouble or "publish" in trouble
    notified.redis.client().execute_command("ACL", "SETUSER", "default", "+publish")
    assert [n["seq"] for n in collect(notified, 1)] == [1]
    wait_until(lambda: not notified.platoon.workers()["snapshot/plan/gate"].get("trouble"), 60, "its end")
