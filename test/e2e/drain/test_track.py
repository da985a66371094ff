"""scripts/track: what becomes of a log line, and what does not."""
import shlex
import subprocess

import pytest

from conftest import ROOT

TRACK = ROOT / "scripts/track"
GOOD = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/" "Mozilla/4.08"'


def run(text, *words):
    return subprocess.run([TRACK, "--print", "--start-id", "1", "-", *words], input=text if isinstance(text, bytes) else text.encode(),
                          capture_output=True, timeout=30)


def fields(line):
    """The fields one line becomes, from the printed command."""
    done = run(line + "\n" if isinstance(line, str) else line + b"\n")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2, (lines, done.stderr)
    words = shlex.split(lines[0])
    assert words[:2] == ["HSET", "visit:1"] and lines[1] == "SADD tracking:pending visit:1"
    return dict(zip(words[2::2], words[3::2]))


def test_fields():
    found = fields(GOOD)
    session = found.pop("session")
    assert len(session) == 16 and int(session, 16) >= 0
    assert found == {"host": "127.0.0.1", "user": "frank", "time": "2000-10-10T20:55:36Z", "method": "GET", "path": "/apache_pb.gif",
                     "protocol": "HTTP/1.0", "status": "200", "bytes": "2326", "referrer": "http://www.example.com/", "agent": "Mozilla/4.08",
                     "app": "web", "event": "1"}


@pytest.mark.parametrize("change, field, value", [
    (("127.0.0.1", "2001:db8::1"), "host", "2001:db8::1"),
    (("2326", "-"), "bytes", "0"),
    (("GET /apache_pb.gif HTTP/1.0", "-"), "method", "-"),
    (("GET /apache_pb.gif HTTP/1.0", ""), "path", "-"),
    (("GET /apache_pb.gif HTTP/1.0", "GET /a b c HTTP/1.1"), "path", "/a b c"),
    (("Mozilla/4.08", r"a \"quoted\" agent"), "agent", 'a "quoted" agent'),
    (("Mozilla/4.08", r"a \x22quoted\x22 agent"), "agent", 'a "quoted" agent'),
    (("Mozilla/4.08", r"back\\slash"), "agent", "back\\slash"),
    (("Mozilla/4.08", r"back\x5Cslash"), "agent", "back\\slash"),
    (("Mozilla/4.08", ""), "agent", ""),
    (("-0700", "+0530"), "time", "2000-10-10T08:25:36Z"),
    (("frank", "frank the second"), "user", "frank the second"),
    (("10/Oct/2000:13:55:36 -0700", "31/Dec/2016:23:59:60 +0000"), "time", "2016-12-31T23:59:59Z"),
])
def test_variants(change, field, value):
    assert fields(GOOD.replace(*change))[field] == value


@pytest.mark.parametrize("line", [
    "", "garbage", GOOD[:-1], GOOD[:-20], GOOD + " more", GOOD.replace('" 200', '" 20'), GOOD.replace("Oct", "Okt"), GOOD.replace("10/Oct", "32/Oct"),
    GOOD.replace("2326", "23x6"), GOOD.replace("13:55", "25:55"), GOOD.replace("GET /apache_pb.gif HTTP/1.0", "GET /only-two"),
    GOOD.replace("Mozilla", 'Moz"illa'), GOOD.replace("Mozilla", "Moz\\zilla"), GOOD.replace("[", ""), GOOD.replace(" - frank", " frank"),
    GOOD.replace("GET /apache_pb.gif HTTP/1.0", r"\x16\x03\x01\x02"),
])
def test_malformed_lines_are_counted_not_guessed(line):
    done = run(f"{GOOD}\n{line}\n{GOOD}\n")
    assert done.returncode == 0
    assert done.stdout.count(b"HSET") == 2
    assert b"3 lines, 2 visits, 1 malformed" in done.stderr
    assert b"line 2: " in done.stderr


def test_only_the_first_malformed_lines_are_told():
    done = run("x\n" * 100)
    assert done.stderr.count(b"track: line ") == 5 and b"95 further" in done.stderr and b"100 lines, 0 visits, 100 malformed" in done.stderr


def test_sessions():
    def session(line):
        return fields(line)["session"]
    assert session(GOOD) == session(GOOD.replace("/apache_pb.gif", "/other").replace("13:55:36", "13:59:59"))
    assert session(GOOD) != session(GOOD.replace("13:55:36", "14:01:00"))
    assert session(GOOD) != session(GOOD.replace("127.0.0.1", "127.0.0.2"))
    assert session(GOOD) != session(GOOD.replace("Mozilla", "Opera"))


def test_options():
    done = run(GOOD + "\n", "--set", "s", "--prefix", "p/", "--app", "my app")
    assert b"HSET p/1 " in done.stdout and b"SADD s p/1" in done.stdout and b'app "my app"' in done.stdout
    assert subprocess.run([TRACK], capture_output=True).returncode == 2


def test_into_redis_twice(redis_server):
    """The same file loaded twice gives new visits; raw bytes arrive as they are."""
    server = redis_server()
    text = GOOD.encode().replace(b"Mozilla", rb"\xff\xfe caf\xc3\xa9") + b"\n" + b"bad line\n" + GOOD.encode() + b"\n"
    for _ in range(2):
        done = subprocess.run([TRACK, "--redis", server.url, "-"], input=text, capture_output=True, timeout=30)
        assert done.returncode == 0 and done.stdout == b"3 lines, 2 visits, 1 malformed\n"
    r = server.client()
    members = r.smembers("tracking:pending")
    assert len(members) == 4 and all(m.startswith(b"visit:") for m in members)
    hashes = [r.hgetall(m) for m in members]
    assert len({h[b"event"] for h in hashes}) == 4
    assert sorted(h[b"agent"] for h in hashes) == sorted([b"\xff\xfe caf\xc3\xa9/4.08", b"Mozilla/4.08"] * 2)


def test_redis_refuses(redis_server):
    server = redis_server()
    server.client().set("tracking:pending", "in the way")
    done = subprocess.run([TRACK, "--redis", server.url, "-"], input=GOOD.encode() + b"\n", capture_output=True, timeout=30)
    assert done.returncode == 1 and b"WRONGTYPE" in done.stderr and b"SADD" in done.stderr and not done.stdout


def test_redis_is_not_there(tmp_path):
    done = subprocess.run([TRACK, "--redis", f"unix://{tmp_path}/none.sock", "-"], input=b"", capture_output=True, timeout=30)
    assert done.returncode == 1 and b"none.sock" in done.stderr
    done = subprocess.run([TRACK, "--redis", "redis://:pw@127.0.0.1/", "-"], input=b"", capture_output=True, timeout=30)
    assert done.returncode == 1 and b"password" in done.stderr and b"pw@" not in done.stderr


def test_config_names_the_socket(platoon):
    """--config finds the embedded server of a configuration."""
    platoon.start()
    done = subprocess.run([TRACK, "--config", str(platoon.config_path), "-"], input=GOOD.encode() + b"\n", capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    platoon.drained()
    assert len(platoon.rows()) == 1


def test_sample_log_is_well_formed():
    text = subprocess.run([ROOT / "scripts/lib/sample-log", "500", "7"], capture_output=True, check=True, timeout=30).stdout
    assert text.count(b"\n") == 500
    done = run(text)
    assert b"500 lines, 500 visits, 0 malformed" in done.stderr
