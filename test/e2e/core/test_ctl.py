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

from platoon_fixture import BUILD, SCALE, rss_bytes, wait_until
from platoon_steps import bare, stop_start_branch, stop_start_restart


import subprocess


# ---- without a master ----


def test_help_names_every_verb():
    done = bare("--help")
    assert done.returncode == 0
    for verb in ("tree", "status", "version", "start", "stop", "restart", "send", "redis",
                 "wait", "shutdown", "logs", "signal", "crashes"):
        assert verb in done.stdout, verb


@pytest.mark.parametrize("words", [["tree"], ["status"], ["wait", "ready"], ["shutdown"], ["redis", "PING"]])
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


@pytest.mark.parametrize("words", [[], ["nonsense"], ["tre"], ["start"], ["--timeout", "x", "tree"],
                                   ["--bogus", "tree"], ["level"], ["send", "x"], ["wait"], ["redis"], ["tree", "extra", "words"]])
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
    for broken in ("nonsense { }\n", 'program other { command = "x"\n', "redis main { url = 7 }\n"):
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
    for words in ("redis", "send.1", "site", "web.1", "web.2", "mail.1", "READY", str(platoon.pid_of("redis/server"))):
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
    assert process.wait(30) == 0
    assert b"\x1b[" in text and b"send.1" in text


def test_status(platoon):
    platoon.start()
    whole = platoon.status()
    assert whole["name"] == "platoon" and whole["ready"] is True and whole["problems"] == []
    one = platoon.status("redis/send.1")
    assert one["name"] == "redis/send.1" and one["type"] == "send" and "counters" in one
    assert one["pid"] == platoon.pid_of("redis/send.1")
    text = platoon.ctl("status")
    assert text.returncode == 0 and text.stdout.count("READY") >= 5
    assert "send.1" in platoon.ctl("status", "redis/send.1").stdout


@pytest.mark.parametrize("verb", ["status", "start", "stop", "restart"])
def test_unknown_name(platoon, verb):
    platoon.start()
    done = platoon.ctl(verb, "site/webb.1")
    assert done.returncode == 5
    assert "site/web.1" in done.stderr, "the nearest name"


def test_unknown_worker(platoon):
    platoon.start()
    done = platoon.ctl("send", "redis/sendd.1", "{}")
    assert done.returncode == 5, done
    assert done.stderr.strip()


# ---- acting ----


def test_stop_start_restart_a_worker(platoon):
    platoon.start()
    stop_start_restart(platoon, "redis/send.1")


def test_stop_start_a_branch(platoon):
    platoon.start()
    stop_start_branch(platoon, "site")


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
    platoon.configure(redis={"send_workers": 2}).start()
    platoon.redis().set("walrus", "bubbles-sent-on")
    done = platoon.ctl("redis", "--reply-to", "redis/send.2", "GET", "walrus")
    assert done.returncode == 0, done.stderr
    assert "bubbles-sent-on" not in done.stdout
    wait_until(lambda: "bubbles-sent-on" in platoon.log(), 10, "the other to log the reply")
    assert platoon.ctl("redis", "--reply-to", "redis/nobody.1", "GET", "walrus").returncode != 0


def test_send(platoon):
    platoon.start()
    done = platoon.ctl("send", "redis/send.1", '{"log_level":"debug"}')
    assert done.returncode == 0, done.stderr
    bad = platoon.ctl("send", "redis/send.1", "{not json")
    assert bad.returncode in (1, 2) and bad.stderr.strip()
    unknown = platoon.ctl("send", "redis/send.1", '{"no_such_thing":1}')
    assert unknown.returncode == 2 and 'not "json"' in unknown.stderr


def test_wait_ready_and_shutdown(platoon):
    platoon.start()
    assert platoon.ctl("wait", "ready").returncode == 0
    platoon.ctl("stop", "redis/send.1")
    done = platoon.ctl("--timeout", "1s", "wait", "ready")
    assert done.returncode in (1, 124)
    assert platoon.ctl("--timeout", "30s", "shutdown").returncode == 0
    assert platoon.process.wait(30) == 0
    platoon.gone()
    assert platoon.ctl("tree").returncode == 7


def test_wait_for_a_name(platoon):
    platoon.start()
    assert platoon.ctl("wait", "site", "ready").stdout == "ready\n"
    assert platoon.ctl("--timeout", "200ms", "wait", "redis/send.1", "stopped").returncode == 124
    platoon.ctl("stop", "redis/send.1")
    assert platoon.ctl("wait", "redis/send.1", "stopped").stdout == "stopped\n"
    assert platoon.ctl("wait", "site", "ready").returncode == 0, "the rest is"
    assert platoon.ctl("wait", "no/such", "ready").returncode == 5
    assert platoon.ctl("wait", "redis", "asleep").returncode == 2


def test_a_long_wait_says_for_whom_and_why(platoon):
    """On stderr, once for what stays as it is; stdout has the answer alone."""
    up = platoon.dir / "up"
    platoon.configure(extra=f"""program slow {{ command = "sh -c 'while ! test -e {up}; do sleep 0.05; done; echo up; exec sleep 1000'"  ready = "log:up" }}\n""")
    platoon.start(ready=False)
    err = platoon.dir / "err"
    with err.open("w") as said:
        waiting = subprocess.Popen([platoon.build / "platoonctl", "-s", platoon.dir / "run/control.sock", "wait", "slow.1", "ready"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=said, text=True)
    wait_until(lambda: err.read_text().endswith("\n"), 60, "who is waited for")
    wait_until(lambda: len(platoon.ctl("--timeout", "3s", "wait", "slow.1", "ready").stderr.splitlines()) == 2, 60, "a wait of two rounds")
    up.touch()
    out, _ = waiting.communicate(timeout=60)
    assert (out, waiting.returncode) == ("ready\n", 0)
    assert err.read_text() == "platoonctl: waits: slow.1 is STARTING. It goes on: platoonctl status\n"


def test_signal(platoon):
    out = platoon.dir / "out"
    platoon.configure(extra=f"""program p {{ command = "sh -c 'trap \\"echo hup >> {out}\\" HUP; echo up >> {out}; while :; do sleep 0.05; done'" }}\n""").start()
    wait_until(lambda: out.exists() and out.read_text() == "up\n", 10, "the trap")
    before = platoon.workers()
    done = platoon.ctl("signal", "p.1", "hup")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: out.read_text() == "up\nhup\n", 10, "the program to get it")
    assert platoon.workers()["p.1"]["pid"] == before["p.1"]["pid"], "the program got it, and not the worker"
    assert platoon.ctl("signal", "redis/send.1", "SIGKILL").returncode == 0
    platoon.replaced(before["redis/send.1"])
    assert platoon.ctl("signal", "redis/send.1", "NONSENSE").returncode == 2
    assert platoon.ctl("signal", "redis", "HUP").returncode == 2, "a branch has no process"
    platoon.ctl("stop", "redis/send.1")
    assert "no process" in platoon.ctl("signal", "redis/send.1", "HUP").stderr


def test_rolling_restart(platoon):
    platoon.start()
    before = platoon.workers()
    done = platoon.ctl("restart", "site", "--rolling")
    assert done.returncode == 0, done.stderr
    names = [n for n in before if n.startswith("site/")]
    assert done.stdout.split() == [word for n in names for word in (n + ":", "restarted")]
    after = platoon.workers()
    assert all(after[n]["pid"] != before[n]["pid"] for n in names)
    assert all(after[n]["pid"] == before[n]["pid"] for n in before if n not in names)
    moves = re.findall(r"name=(site/\S+) from=READY to=(DRAINING)|name=(site/\S+) from=STARTING to=(READY)", platoon.log())
    order = [m[0] or m[2] for m in moves][len(names):]
    assert order == [n for n in names for _ in range(2)], "one is back before the next goes"


def test_rolling_restart_stops_at_the_first_failure(platoon):
    platoon.config_path.write_text(f"""platoon {{ runtime_dir = run  state_dir = state }}
        program p {{ command = "sh -c 'test -e {platoon.dir}/broken && exit 1; exec sleep 1000'" processes = 3  ready = 1s }}\n""")
    platoon.start()
    before = platoon.workers()
    (platoon.dir / "broken").touch()
    done = platoon.ctl("--timeout", f"{4 * SCALE}s", "restart", "--rolling", "platoon")
    assert done.returncode == 124
    assert "stopped at p.1" in done.stderr
    after = platoon.workers()
    assert [after[f"p.{i}"]["pid"] == before[f"p.{i}"]["pid"] for i in (1, 2, 3)] == [False, True, True]


def test_what_could_not_be_written_is_an_error_in_one_line(platoon):
    platoon.config_path.write_text('platoon { runtime_dir = run  state_dir = state }\nprogram p { command = "sleep 1000" }\n')
    platoon.start()
    for words in ("--help", "--version", "version", "tree", "--json status", "logs", "logs -f", "wait ready", "top -n 1", "restart p.1"):
        with open("/dev/full", "w") as full:
            done = subprocess.run([platoon.build / "platoonctl", "-s", platoon.dir / "run/control.sock", *words.split()], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (1, "platoonctl: cannot write the output: No space left on device\n"), words


def test_logs(platoon):
    platoon.configure(extra="""program talker { command = "sh -c 'echo one; echo two >&2; exec sleep 1000'" processes = 2 }\n""").start()
    wait_until(lambda: all(platoon.ctl("logs", f"talker.{i}").stdout.count("two") == 1 for i in (1, 2)), 10, "their lines")
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
    wait_until(lambda: platoon.workers()["redis/send.1"]["state"] == "READY" and platoon.workers()["p.1"]["last_exit"], 10, "the tree")
    for sign in (signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV):
        before = platoon.workers()["redis/send.1"]
        os.kill(before["pid"], sign)
        after = platoon.replaced(before)
    platoon.ctl("restart", "redis/send.1")
    reports = platoon.json("crashes")["reports"]
    assert [(r["name"], r["generation"]) for r in reports] == [("redis/send.1", 3), ("redis/send.1", 2), ("p.1", 1)], "an orderly end is none"
    shown = platoon.ctl("crashes", "redis/send.1").stdout
    assert "signal: 11" in shown and f"pid: {before['pid']}" in shown and "crash signal=SIGSEGV" in shown and "libuv" in shown, "a backtrace"
    assert "exit code: 1" in platoon.ctl("crashes", "p.1").stdout and "last words" in platoon.ctl("crashes", "p.*").stdout
    assert platoon.ctl("crashes", "site").stdout == "no crash reports\n"
    assert platoon.ctl("crashes", "nobody").returncode == 5
    assert after["restarts"] == 3
    files = list((platoon.dir / "state/crashes").iterdir())
    assert len(files) == 3 and all(f.stat().st_mode & 0o777 == 0o600 for f in files)
    platoon.stop()
    platoon.start(ready=False)
    assert len(platoon.json("crashes")["reports"]) >= 3, "they outlive the master"


def test_logs_follow(platoon):
    platoon.start()
    follow = subprocess.Popen([str(platoon.build / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "logs", "-f", "-n", "1", "redis/send.1"],
                              stdout=subprocess.PIPE, text=True)
    assert follow.stdout.readline()
    platoon.ctl("restart", "redis/send.1")
    seen = []
    while not (seen and "to=READY" in seen[-1]):
        seen.append(follow.stdout.readline())
        assert seen[-1], "it ended"
    assert any("worker-exit name=redis/send.1" in line for line in seen)
    assert platoon.stop() == 0
    assert follow.wait(30) in (1, 7), "the master has gone"
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
            assert platoon.ctl("--timeout", "40s", "version").returncode == 0
        except (BrokenPipeError, ConnectionResetError):
            dropped = True
    assert dropped or rss_bytes(platoon.process.pid) - before < 64 * 1024 * 1024
    assert rss_bytes(platoon.process.pid) - before < 100 * 1024 * 1024
    assert platoon.ctl("--timeout", "40s", "tree").returncode == 0
    s.close()


def test_many_clients(platoon):
    """More than are allowed: the surplus is turned away, room is made when others leave."""
    platoon.start()
    clients = [connect(platoon) for _ in range(100)]
    clients[0].sendall(request("version"))
    assert answer(clients[0])[2] == 0
    for c in clients:
        c.close()
    wait_until(lambda: platoon.ctl("version").returncode == 0, 15, "room for a client")


def test_socket_permissions(platoon):
    platoon.start()
    assert stat.S_IMODE((platoon.dir / "run/control.sock").stat().st_mode) == 0o600


def test_client_that_goes_while_it_waits(platoon):
    """Asks that are under way when the client leaves do no harm."""
    platoon.start()
    s = connect(platoon)
    s.sendall(request("stop", "redis/send.1") + request("start", "redis/send.1") + request("restart", "site"))
    s.close()
    wait_until(lambda: platoon.workers()["site/web.1"]["generation"] == 2, 20, "the restart")
    wait_until(lambda: all(w["state"] == "READY" for w in platoon.workers().values() if w["wanted"] == "up"), 20, "everything up")
    assert platoon.process.poll() is None
