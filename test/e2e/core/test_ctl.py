"""platoonctl: every verb, its --json shape, its exit codes; and hostile clients on the control socket."""
import json
import os
import re
import signal
import socket
import stat
import struct
import time

import msgpack
import pytest

from conftest import BUILD, rss_bytes, wait_until

import subprocess


def bare(*words):
    return subprocess.run([str(BUILD / "platoonctl"), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


# ---- without a master ----


def test_help_names_every_verb():
    done = bare("--help")
    assert done.returncode == 0
    for verb in ("tree", "status", "drain status", "drain wait", "drain dead", "report", "version", "start", "stop", "restart", "send", "redis",
                 "wait", "shutdown", "logs", "signal", "crashes"):
        assert verb in done.stdout, verb


@pytest.mark.parametrize("words", [["tree"], ["status"], ["drain", "wait", "visits"], ["shutdown"], ["redis", "PING"]])
def test_no_master(platoon, words):
    done = platoon.ctl(*words)
    assert done.returncode == 7
    assert str(platoon.dir / "run/control.sock") in done.stderr and "running" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_dead_masters_socket(platoon):
    platoon.start()
    platoon.kill9()
    platoon.gone()
    assert (platoon.dir / "run/control.sock").exists()
    assert platoon.ctl("tree").returncode == 7


@pytest.mark.parametrize("words", [[], ["nonsense"], ["tre"], ["drain"], ["drain", "wat", "visits"], ["start"], ["--timeout", "x", "tree"],
                                   ["--bogus", "tree"], ["report"], ["send", "x"], ["wait"], ["redis"], ["tree", "extra", "words"]])
def test_wrong_arguments(words):
    done = bare(*words)
    assert done.returncode == 2, done
    assert done.stderr.strip() and not done.stdout


def test_wrong_verb_names_the_nearest():
    assert "tree" in bare("tre").stderr
    assert "shutdown" in bare("shutdwn").stderr


def test_socket_from_the_configuration(platoon):
    platoon.start()
    done = bare("-c", str(platoon.config_path), "version")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    for broken in ("nonsense { }\n", 'drain other { set = "x"\n', "redis main { url = 7 }\n"):
        text = platoon.config_path.read_text()
        platoon.config_path.write_text(text + broken)
        done = bare("-c", str(platoon.config_path), "version")
        assert done.returncode == 0 and f"note: {platoon.config_path} has errors" in done.stderr, done.stderr
        platoon.config_path.write_text(text)
    done = bare("-c", str(platoon.dir / "nothing.conf"), "version")
    assert done.returncode == 78 and "nothing.conf:1: No such file" in done.stderr


# ---- looking ----


def test_version(platoon):
    platoon.start()
    said = platoon.json("version")
    assert re.fullmatch(r"\d+\.\d+\.\d+", str(said.get("version") or said.get("master", {}).get("version")))
    assert re.search(r"\d+\.\d+\.\d+", platoon.ctl("version").stdout)


def test_tree_text(platoon):
    platoon.start()
    done = platoon.ctl("tree")
    assert done.returncode == 0
    for words in ("redis", "visits", "watcher.1", "get-set.1", "get-hash.2", "transfer", "READY", str(platoon.pid_of("redis/server"))):
        assert words in done.stdout, words
    assert "\x1b" not in done.stdout, "no colours but on a terminal"


def test_colours_on_a_terminal(platoon):
    platoon.start()
    master, slave = os.openpty()
    process = subprocess.Popen([str(BUILD / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "tree"], stdin=slave, stdout=slave,
                               stderr=slave, env={**os.environ, "TERM": "xterm", "NO_COLOR": ""})
    os.close(slave)
    text = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:
            break
        if not more:
            break
        text += more
    os.close(master)
    assert process.wait(10) == 0
    assert b"\x1b[" in text and b"watcher.1" in text


def test_status(platoon):
    platoon.start()
    whole = platoon.status()
    assert whole["name"] == "platoon" and whole["ready"] is True and whole["problems"] == []
    one = platoon.status("redis/visits/get-set.1")
    assert one["name"] == "redis/visits/get-set.1" and one["type"] == "get-set" and "counters" in one
    assert one["pid"] == platoon.pid_of("redis/visits/get-set.1")
    text = platoon.ctl("status")
    assert text.returncode == 0 and text.stdout.count("READY") >= 8
    assert "get-set.1" in platoon.ctl("status", "redis/visits/get-set.1").stdout


@pytest.mark.parametrize("verb", ["status", "start", "stop", "restart"])
def test_unknown_name(platoon, verb):
    platoon.start()
    done = platoon.ctl(verb, "redis/visits/get-sett.1")
    assert done.returncode == 5
    assert "redis/visits/get-set.1" in done.stderr, "the nearest name"


@pytest.mark.parametrize("words", [["drain", "status", "vists"], ["drain", "wait", "vists"], ["drain", "dead", "vists", "list"], ["report", "vists"],
                                   ["send", "redis/sendd.1", "{}"]])
def test_unknown_drain_or_worker(platoon, words):
    platoon.start()
    done = platoon.ctl(*words)
    assert done.returncode == 5, done
    assert done.stderr.strip()


def test_drain_status(platoon):
    platoon.start()
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(10)})
    platoon.drained()
    status = platoon.drain()
    assert {"name", "pending", "claimed", "stored", "redelivered", "dead", "oldest_claim_ms", "rate_per_s"} <= set(status)
    assert status["name"] == "visits" and status["stored"] == 10
    every = platoon.json("drain", "status")
    assert [d["name"] for d in (every if isinstance(every, list) else [every])] == ["visits"]
    text = platoon.ctl("drain", "status").stdout
    assert "visits" in text and "10" in text


def test_drain_wait_times_out(platoon):
    platoon.start()
    assert platoon.ctl("stop", "transfer/visits.1").returncode == 0
    platoon.add({"v:1": {"n": "1"}})
    begin = time.monotonic()
    done = platoon.ctl("--timeout", "1s", "drain", "wait", "visits")
    assert done.returncode == 124
    assert 0.9 < time.monotonic() - begin < 10
    for ms in range(400, 410):  # the last look is cut off at some of them
        done = platoon.ctl("--timeout", f"{ms}ms", "drain", "wait", "visits")
        assert done.returncode == 124 and re.search(r"not done after [0-9.]+m?s: \d+ pending, \d+ claimed", done.stderr), done.stderr
    assert platoon.ctl("start", "transfer/visits.1").returncode == 0
    platoon.drained()
    assert platoon.data() == {"v:1": {"n": "1"}}


# ---- acting ----


def test_stop_start_restart_a_worker(platoon):
    platoon.start()
    name = "redis/visits/get-hash.1"
    before = platoon.workers()[name]
    assert platoon.ctl("stop", name).returncode == 0
    node = platoon.workers()[name]
    assert (node["state"], node["wanted"], node["pid"]) == ("STOPPED", "down", None)
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(100)})
    platoon.drained()
    assert platoon.ctl("start", name).returncode == 0
    node = platoon.workers()[name]
    assert node["state"] == "READY" and node["generation"] == before["generation"] + 1
    assert platoon.ctl("restart", name).returncode == 0
    assert platoon.workers()[name]["generation"] == before["generation"] + 2
    assert platoon.workers()[name]["pid"] != node["pid"]


def test_stop_start_a_branch(platoon):
    platoon.start()
    assert platoon.ctl("stop", "redis/visits").returncode == 0
    states = {n: w["state"] for n, w in platoon.workers().items()}
    assert all(s == ("STOPPED" if n.startswith("redis/visits/") else "READY") for n, s in states.items()), states
    platoon.add({"v:1": {"n": "1"}})
    assert platoon.ctl("start", "redis/visits").returncode == 0
    assert all(w["state"] == "READY" for w in platoon.workers().values())
    platoon.drained()
    assert platoon.data() == {"v:1": {"n": "1"}}


def test_redis(platoon):
    platoon.start()
    assert platoon.ctl("redis", "SET", "walrus", "bubbles").stdout.strip() == "OK"
    assert "bubbles" in platoon.ctl("redis", "GET", "walrus").stdout
    assert platoon.redis().get("walrus") == b"bubbles"
    assert "3" in platoon.ctl("redis", "RPUSH", "l", "a", "b", "c").stdout
    listed = platoon.ctl("redis", "LRANGE", "l", "0", "-1").stdout.splitlines()
    assert [line.split()[-1].strip('"') for line in listed] == ["a", "b", "c"]
    assert platoon.ctl("redis", "GET", "nothing").stdout.strip() in ("", "(nil)")
    assert platoon.json("redis", "GET", "walrus") in ("bubbles", {"error": False, "reply": "bubbles"})
    wrong = platoon.ctl("redis", "LPUSH", "walrus", "x")
    assert wrong.returncode == 1 and "WRONGTYPE" in wrong.stderr and not wrong.stdout
    assert platoon.ctl("redis", "NOSUCHCOMMAND").returncode == 1


def test_redis_is_binary_safe(platoon):
    platoon.start()
    value = b"a\xff\x80 \"quoted\"\n\x01z"
    done = subprocess.run([str(BUILD / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "redis", "SET", "bin", value],
                          capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert platoon.redis().get("bin") == value
    platoon.redis().set("nul", b"x\0y\0" + bytes(range(256)))
    done = subprocess.run([str(BUILD / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "redis", "GET", "nul"],
                          capture_output=True, timeout=30)
    assert done.returncode == 0
    assert done.stdout.rstrip(b"\n") == b"x\0y\0" + bytes(range(256)).rstrip(b"\n")


def test_redis_reply_to(platoon):
    """The reply goes to the worker named, as a message."""
    platoon.start()
    platoon.redis().set("walrus", "bubbles-sent-on")
    done = platoon.ctl("redis", "--reply-to", "redis/visits/watcher.1", "GET", "walrus")
    assert done.returncode == 0, done.stderr
    assert "bubbles-sent-on" not in done.stdout
    wait_until(lambda: "bubbles-sent-on" in platoon.log(), 5, "the watcher to log the reply")
    assert platoon.ctl("redis", "--reply-to", "redis/nobody.1", "GET", "walrus").returncode != 0


def test_send(platoon):
    platoon.start()
    done = platoon.ctl("send", "redis/visits/watcher.1", '{"log_level":"debug"}')
    assert done.returncode == 0, done.stderr
    bad = platoon.ctl("send", "redis/visits/watcher.1", "{not json")
    assert bad.returncode in (1, 2) and bad.stderr.strip()
    unknown = platoon.ctl("send", "redis/visits/watcher.1", '{"no_such_thing":1}')
    assert unknown.returncode == 1 and unknown.stderr.strip()


def test_dead_letter_verbs_with_wrong_numbers(platoon):
    platoon.start()
    assert platoon.json("drain", "dead", "visits", "list") == []
    for verb in ("show", "retry", "drop"):
        missing = platoon.ctl("drain", "dead", "visits", verb, "123456")
        assert missing.returncode in (1, 5), missing
        assert missing.stderr.strip()
        assert platoon.ctl("drain", "dead", "visits", verb, "x").returncode in (1, 2)


def test_wait_ready_and_shutdown(platoon):
    platoon.start()
    assert platoon.ctl("wait", "ready").returncode == 0
    platoon.ctl("stop", "transfer/report")
    done = platoon.ctl("--timeout", "1s", "wait", "ready")
    assert done.returncode in (1, 124)
    assert platoon.ctl("--timeout", "30s", "shutdown").returncode == 0
    assert platoon.process.wait(10) == 0
    platoon.gone(1)
    assert platoon.ctl("tree").returncode == 7


def test_wait_for_a_name(platoon):
    platoon.start()
    assert platoon.ctl("wait", "redis/visits", "ready").stdout == "ready\n"
    assert platoon.ctl("--timeout", "200ms", "wait", "transfer/report", "stopped").returncode == 124
    platoon.ctl("stop", "transfer/report")
    assert platoon.ctl("wait", "transfer/report", "stopped").stdout == "stopped\n"
    assert platoon.ctl("wait", "redis/visits", "ready").returncode == 0, "the rest is"
    assert platoon.ctl("wait", "no/such", "ready").returncode == 5
    assert platoon.ctl("wait", "redis", "asleep").returncode == 2


def test_signal(platoon):
    out = platoon.dir / "out"
    platoon.configure(extra=f"""program p {{ command = "sh -c 'trap \\"echo hup >> {out}\\" HUP; echo up >> {out}; while :; do sleep 0.05; done'" }}\n""").start()
    wait_until(lambda: out.exists() and out.read_text() == "up\n", 5, "the trap")
    before = platoon.workers()
    done = platoon.ctl("signal", "p.1", "hup")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: out.read_text() == "up\nhup\n", 5, "the program to get it")
    assert platoon.workers()["p.1"]["pid"] == before["p.1"]["pid"], "the program got it, and not the worker"
    assert platoon.ctl("signal", "redis/send.1", "SIGKILL").returncode == 0
    platoon.replaced(before["redis/send.1"])
    assert platoon.ctl("signal", "redis/send.1", "NONSENSE").returncode == 2
    assert platoon.ctl("signal", "redis", "HUP").returncode == 2, "a branch has no process"
    platoon.ctl("stop", "transfer/report")
    assert "no process" in platoon.ctl("signal", "transfer/report", "HUP").stderr


def test_rolling_restart(platoon):
    platoon.configure(drain={"get_hash.workers": 3}).start()
    before = platoon.workers()
    done = platoon.ctl("restart", "redis/visits", "--rolling")
    assert done.returncode == 0, done.stderr
    names = [n for n in before if n.startswith("redis/visits/")]
    assert done.stdout.split() == [word for n in names for word in (n + ":", "restarted")]
    after = platoon.workers()
    assert all(after[n]["pid"] != before[n]["pid"] for n in names)
    assert all(after[n]["pid"] == before[n]["pid"] for n in before if n not in names)
    moves = re.findall(r"name=(redis/visits/\S+) from=READY to=(DRAINING)|name=(redis/visits/\S+) from=STARTING to=(READY)", platoon.log())
    order = [m[0] or m[2] for m in moves][len(names):]
    assert order == [n for n in names for _ in range(2)], "one is back before the next goes"


def test_rolling_restart_stops_at_the_first_failure(platoon):
    platoon.configure(extra=f"""program p {{ command = "sh -c 'test -e {platoon.dir}/broken && exit 1; exec sleep 1000'" processes = 3  ready = 100ms }}\n""").start()
    before = platoon.workers()
    (platoon.dir / "broken").touch()
    done = platoon.ctl("--timeout", "2s", "restart", "--rolling", "platoon")
    assert done.returncode == 124
    assert "stopped at p.1" in done.stderr
    after = platoon.workers()
    assert [after[f"p.{i}"]["pid"] == before[f"p.{i}"]["pid"] for i in (1, 2, 3)] == [False, True, True]


def test_logs(platoon):
    platoon.configure(extra="""program talker { command = "sh -c 'echo one; echo two >&2; exec sleep 1000'" processes = 2 }\n""").start()
    wait_until(lambda: platoon.ctl("logs", "talker.2").stdout.count("two") == 1, 5, "its lines")
    lines = platoon.ctl("logs", "talker.1").stdout.splitlines()
    assert [line.split("talker.1 output ")[1] for line in lines if "talker.1 output " in line] == ["line=one", "line=two"]
    assert any("platoon worker-state name=talker.1" in line for line in lines), "what the master says about it"
    assert not any("talker.2" in line for line in lines)
    assert len(platoon.ctl("logs", "-n", "3").stdout.splitlines()) == 3
    assert "talker.2" in platoon.ctl("logs", "talker.*").stdout
    entries = [json.loads(line) for line in platoon.ctl("--json", "logs", "talker.1", "-n", "2").stdout.splitlines()]
    assert len(entries) == 2 and set(entries[0]) == {"ts", "level", "worker", "line"}
    unknown = platoon.ctl("logs", "talker.3")
    assert unknown.returncode == 5 and "talker.1" in unknown.stderr
    for words in (["-n", "0"], ["-n"], ["a", "b"], ["--bogus"]):
        assert platoon.ctl("logs", *words).returncode == 2


def test_crashes(platoon):
    platoon.configure(platoon={"crash_reports": 2}, extra="""program p { command = "sh -c 'echo last words; exit 3'"  restart = temporary }\n""").start(ready=False)
    wait_until(lambda: platoon.workers()["transfer/report"]["state"] == "READY" and platoon.workers()["p.1"]["last_exit"], 10, "the tree")
    for sign in (signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV):
        before = platoon.workers()["transfer/report"]
        os.kill(before["pid"], sign)
        after = platoon.replaced(before)
    platoon.ctl("restart", "redis/send.1")
    reports = platoon.json("crashes")["reports"]
    assert [(r["name"], r["generation"]) for r in reports] == [("transfer/report", 3), ("transfer/report", 2), ("p.1", 1)], "an orderly end is none"
    shown = platoon.ctl("crashes", "transfer/report").stdout
    assert "signal: 11" in shown and f"pid: {before['pid']}" in shown and "crash signal=SIGSEGV" in shown and "libuv" in shown, "a backtrace"
    assert "exit code: 1" in platoon.ctl("crashes", "p.1").stdout and "last words" in platoon.ctl("crashes", "p.*").stdout
    assert platoon.ctl("crashes", "redis").stdout == "no crash reports\n"
    assert platoon.ctl("crashes", "nobody").returncode == 5
    assert after["restarts"] == 3
    files = list((platoon.dir / "state/crashes").iterdir())
    assert len(files) == 3 and all(f.stat().st_mode & 0o777 == 0o600 for f in files)
    platoon.stop()
    platoon.start(ready=False)
    assert len(platoon.json("crashes")["reports"]) >= 3, "they outlive the master"


def test_logs_follow(platoon):
    platoon.start()
    follow = subprocess.Popen([str(platoon.build / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "logs", "-f", "-n", "1", "transfer/report"],
                              stdout=subprocess.PIPE, text=True)
    assert follow.stdout.readline()
    platoon.ctl("restart", "transfer/report")
    seen = []
    while not (seen and "to=READY" in seen[-1]):
        seen.append(follow.stdout.readline())
        assert seen[-1], "it ended"
    assert any("worker-exit name=transfer/report" in line for line in seen)
    assert platoon.stop() == 0
    assert follow.wait(10) in (1, 7), "the master has gone"
    follow.stdout.close()


def test_json_is_json_for_errors_too(platoon):
    platoon.start()
    done = platoon.ctl("--json", "status", "nobody")
    assert done.returncode == 5
    assert done.stderr.strip()
    if done.stdout.strip():
        json.loads(done.stdout)


# ---- the socket itself ----


def connect(platoon):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(str(platoon.dir / "run/control.sock"))
    return s


def frame(body):
    return struct.pack(">I", len(body)) + body


def request(verb, *args, version=1, number=1, deadline=5000):
    return frame(msgpack.packb([1, version, number, deadline, verb, [a.encode() for a in args]], use_bin_type=True))


def answer(s):
    def exactly(count):
        data = b""
        while len(data) < count:
            more = s.recv(count - len(data))
            assert more, "the master closed the connection"
            data += more
        return data
    return msgpack.unpackb(exactly(struct.unpack(">I", exactly(4))[0]), raw=False, strict_map_key=False)


def closed(s):
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_protocol_by_hand(platoon):
    platoon.start()
    s = connect(platoon)
    s.sendall(request("version", number=41) + request("tree", number=42))
    first, second = answer(s), answer(s)
    assert {first[1], second[1]} == {41, 42} and first[0] == second[0] == 2
    assert first[2] == 0 and first[3] == 0 and first[4]["control_version"] == 1
    s.sendall(request("no-such-verb"))
    assert answer(s)[2] == 2
    s.close()


def test_other_version_is_told(platoon):
    platoon.start()
    s = connect(platoon)
    s.sendall(request("version", version=999))
    said = answer(s)
    assert said[2] != 0 and "999" in said[4] and "1" in said[4]
    assert closed(s)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\0\0\0\0", b"\0\0\0\x05hello", frame(b"\xdd\xff\xff\xff\xff"),
                                     frame(msgpack.packb([1, 1])), frame(msgpack.packb([7, 1, 1, 1, "x", []])),
                                     frame(msgpack.packb([1, 1, 1, 5000, "tree", []]) + b"\0"), struct.pack(">I", 512 * 1024 * 1024) + b"x" * 1000])
def test_garbage(platoon, garbage):
    """Garbage and oversize frames: that client is dropped, the others are served on."""
    platoon.start()
    good = connect(platoon)
    bad = connect(platoon)
    bad.sendall(garbage)
    assert closed(bad)
    good.sendall(request("version"))
    assert answer(good)[2] == 0
    assert platoon.process.poll() is None
    good.close()


def test_half_a_frame_and_gone(platoon):
    platoon.start()
    for _ in range(20):
        s = connect(platoon)
        s.sendall(request("tree")[:7])
        s.close()
    assert platoon.ctl("version").returncode == 0


def test_client_that_never_reads(platoon):
    """It asks and asks and reads nothing: dropped, in bounded memory, and everybody else is served."""
    platoon.start()
    before = rss_bytes(platoon.process.pid)
    s = connect(platoon)
    s.setblocking(False)
    ask = b"".join(request("tree", number=i) for i in range(200))
    dropped = False
    deadline = time.monotonic() + 60
    while not dropped and time.monotonic() < deadline:
        try:
            s.send(ask)
        except BlockingIOError:
            assert platoon.ctl("version").returncode == 0
        except (BrokenPipeError, ConnectionResetError):
            dropped = True
    assert dropped or rss_bytes(platoon.process.pid) - before < 64 * 1024 * 1024
    assert rss_bytes(platoon.process.pid) - before < 100 * 1024 * 1024
    assert platoon.ctl("tree").returncode == 0
    s.close()


def test_many_clients(platoon):
    """More than are allowed: the surplus is turned away, room is made when others leave."""
    platoon.start()
    clients = [connect(platoon) for _ in range(100)]
    clients[0].sendall(request("version"))
    assert answer(clients[0])[2] == 0
    for c in clients:
        c.close()
    wait_until(lambda: platoon.ctl("version").returncode == 0, 5, "room for a client")


def test_socket_permissions(platoon):
    platoon.start()
    assert stat.S_IMODE((platoon.dir / "run/control.sock").stat().st_mode) == 0o600


def test_client_that_goes_while_it_waits(platoon):
    """Asks that are under way when the client leaves do no harm."""
    platoon.start()
    s = connect(platoon)
    s.sendall(request("stop", "transfer/report") + request("start", "transfer/report") + request("restart", "redis/visits"))
    s.close()
    wait_until(lambda: platoon.workers()["redis/visits/get-set.1"]["generation"] == 2, 20, "the restart")
    wait_until(lambda: all(w["state"] == "READY" for w in platoon.workers().values() if w["wanted"] == "up"), 20, "everything up")
    assert platoon.process.poll() is None
