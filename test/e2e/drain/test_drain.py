"""From the set to the store: the thin path, templates, real access logs compared record by record."""
import contextlib
import http.client
import pathlib
import re
import sqlite3
import subprocess
import threading
from datetime import datetime, timezone

from platoon_fixture import ROOT, SCALE, free_port, soon, wait_until

DATA = ROOT.parent / "shared/data/access.log"


def test_one_member_becomes_one_row(platoon):
    platoon.start()
    fields = {"app": "shop", "session": "s1", "event": "e1", "path": "/basket"}
    platoon.add({"visit:7": fields})
    wait_until(lambda: ("visits", "visit:7") in platoon.rows(), 20, "the row")
    platoon.drained()
    data, seq, updated = platoon.rows()["visits", "visit:7"]
    assert data == fields
    assert seq > 0
    assert abs(updated / 1000 - datetime.now(timezone.utc).timestamp()) < 60
    r = platoon.redis()
    assert not r.exists("visit:7") and not r.exists("tracking:pending")
    assert not r.keys("platoon:{visits}:aside:*") and not r.keys("platoon:{visits}:claim:*")
    status = platoon.drain()
    assert (status["pending"], status["claimed"], status["stored"], status["dead"]) == (0, 0, 1, 0)


def test_the_table_is_the_promised_one(platoon):
    """One row a key, in what reads as a table, while records come and after they were merged; another process may delete from it."""
    platoon.start()
    for turn in range(3):
        platoon.add({"a": {"x": str(turn)}, f"b{turn}": {"x": "1"}})
        platoon.drained()
    with contextlib.closing(sqlite3.connect(platoon.dir / "visits.db", isolation_level=None, timeout=10)) as db:
        columns = [(c[1], c[2]) for c in db.execute("PRAGMA table_info(records)")]
        assert columns == [("bucket", "TEXT"), ("key", "TEXT"), ("data", "TEXT"), ("seq", "INTEGER"), ("updated_at", "INTEGER")]
        rows = [("a", '{"x":"2"}'), ("b0", '{"x":"1"}'), ("b1", '{"x":"1"}'), ("b2", '{"x":"1"}')]
        assert db.execute("SELECT key, data FROM records ORDER BY key").fetchall() == rows
        wait_until(lambda: db.execute("SELECT count(*) FROM records_recent").fetchone() == (0,), 20, "the records to be merged")
        assert db.execute("SELECT key, data FROM records ORDER BY key").fetchall() == rows
        db.execute("DELETE FROM records WHERE key = 'b1'")
        assert db.execute("SELECT count(*) FROM records").fetchone() == (3,)


def test_templates_make_bucket_and_key(platoon):
    platoon.configure(drain={"bucket": "b-{app|unknown}", "key": "{app|none}/{session}/{event}/{member}"}).start()
    platoon.add({"v:1": {"app": "shop", "session": "s", "event": "e"}, "v:2": {"session": "s", "event": "e2"}})
    platoon.drained()
    assert set(platoon.rows()) == {("b-shop", "shop/s/e/v:1"), ("b-unknown", "none/s/e2/v:2")}


def test_consume_keep_leaves_the_hash(platoon):
    platoon.configure(drain={"consume": "keep"}).start()
    platoon.add({"v:1": {"a": "1"}})
    platoon.drained()
    assert platoon.data() == {"v:1": {"a": "1"}}
    assert platoon.redis().hgetall("v:1") == {b"a": b"1"}
    platoon.add({"v:1": {"b": "2"}})
    platoon.drained()
    assert platoon.data() == {"v:1": {"a": "1", "b": "2"}}


def test_keyspace_events_wake_the_watcher(platoon):
    """With a poll pause of ten seconds only an event can make it this fast."""
    platoon.configure(drain={"poll_min": "10s", "poll_max": "60s"}).start()
    platoon.redis().config_set("notify-keyspace-events", "Ks")
    platoon.ctl("restart", "redis/visits/watcher.1")
    platoon.add({"first": {"n": "1"}})
    wait_until(lambda: "first" in platoon.data(), 25, "the first record")
    platoon.drained(timeout=25)
    count = 0

    def next_one():
        """The pause begins anew with each that is found."""
        nonlocal count
        count += 1
        platoon.add({f"next:{count}": {"n": "2"}})
        wait_until(lambda: f"next:{count}" in platoon.data(), 60, "the record")
    soon(next_one, 5 / SCALE, "a record though the poll pause is 10 s")


def test_two_drains_do_not_meet(platoon):
    platoon.configure(extra='store orders { path = "orders.db" }\ndrain orders { set = "orders:pending" store = "orders" key = "{id}" }\n').start()
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(100)})
    platoon.add({f"o:{i}": {"id": str(i)} for i in range(50)}, key="orders:pending")
    platoon.drained()
    platoon.drained("orders")
    assert len(platoon.data()) == 100
    assert platoon.data("orders.db") == {str(i): {"id": str(i)} for i in range(50)}


def test_members_that_come_while_it_drains(platoon):
    platoon.configure(drain={"get_hash.workers": 3, "transfer.workers": 2, "batch": 50}).start()
    expected = {}
    client = platoon.redis()
    for wave in range(20):
        members = {f"v:{wave}:{i}": {"wave": str(wave), "i": str(i)} for i in range(500)}
        platoon.add(members, client)
        expected.update(members)
    platoon.drained()
    assert platoon.data() == expected
    assert platoon.drain()["stored"] == len(expected)


def test_a_window_below_what_the_claims_keep_does_not_stand_still(platoon):
    """16 claims that each wait for a frame of 128 KB to fill were 2 MB, and nothing was asked for above the window any more."""
    platoon.configure(drain={"get_hash.window": "512KB"}).start()
    members = {f"v:{i}": {"text": str(i).ljust(8192, ".")} for i in range(8000)}
    platoon.add(members, at_once=True)
    platoon.drained(timeout=60)
    assert platoon.drain()["stored"] == len(members)
    assert platoon.data() == members


# ---- access logs ----

ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "r": "\r", "b": "\b", "v": "\v"}


def cut_quoted(line, at):
    """Reads a quoted string of a log line by hand: (its bytes, where it ends). Independent of scripts/track's expressions."""
    assert line[at] == '"'
    at += 1
    out = bytearray()
    while line[at] != '"':
        if line[at] == "\\":
            if line[at + 1] == "x":
                out.append(int(line[at + 2:at + 4], 16))
                at += 4
                continue
            out += ESCAPES[line[at + 1]].encode("latin-1")
            at += 2
            continue
        out += line[at].encode("latin-1")
        at += 1
    return bytes(out), at + 1


def independent_parse(path):
    """The records a log must become, as lists of the fields that do not depend on the load; malformed lines give none."""
    records = []
    for line in pathlib.Path(path).read_text("latin-1").split("\n"):
        if not line:
            continue
        try:
            host, _, user, when, zone, rest = line.split(" ", 5)
            stamp = datetime.strptime(when + " " + zone, "[%d/%b/%Y:%H:%M:%S %z]").astimezone(timezone.utc)
            request, at = cut_quoted(rest, 0)
            status, size, rest = rest[at + 1:].split(" ", 2)
            referrer, at = cut_quoted(rest, 0)
            agent, end = cut_quoted(rest, at + 1)
            assert end == len(rest)
        except (ValueError, IndexError, AssertionError):
            continue
        words = request.split(b" ")
        method, target, protocol = (words[0], b" ".join(words[1:-1]), words[-1]) if len(words) > 2 else (b"-",) * 3
        records.append((host.encode("latin-1"), user.encode("latin-1"), stamp.strftime("%Y-%m-%dT%H:%M:%SZ").encode(), method, target, protocol,
                        status.encode(), b"0" if size == "-" else size.encode(), referrer, agent))
    return records


def stored_records(platoon):
    import base64
    names = ("host", "user", "time", "method", "path", "protocol", "status", "bytes", "referrer", "agent")

    def raw(value):
        return base64.b64decode(value["base64"]) if isinstance(value, dict) else value.encode()
    out = []
    for (bucket, key), (data, _, _) in platoon.rows().items():
        assert bucket == "visits"
        assert key == f"{data['app']}/{data['session']}/{data['event']}"
        assert set(data) == set(names) | {"app", "session", "event"}
        out.append(tuple(raw(data[n]) for n in names))
    return out


def load(platoon, log):
    done = subprocess.run([ROOT / "scripts/track", "--redis", f"unix://{platoon.dir}/run/redis.sock", "--app", "test", str(log)],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines, visits, malformed = map(int, re.fullmatch(r"(\d+) lines, (\d+) visits, (\d+) malformed\n", done.stdout).groups())
    return lines, visits, malformed


KEY = {"key": "{app}/{session}/{event}"}


def test_access_log_record_by_record(platoon):
    log = DATA
    if not log.exists():
        log = platoon.dir / "access.log"
        log.write_bytes(subprocess.run([ROOT / "scripts/lib/sample-log", "10000"], stdout=subprocess.PIPE, check=True).stdout)
    platoon.configure(drain=KEY).start()
    lines, visits, malformed = load(platoon, log)
    expected = independent_parse(log)
    assert lines == 10000 and visits == len(expected) and malformed == lines - visits
    platoon.drained(timeout=60)
    assert sorted(stored_records(platoon)) == sorted(expected)
    assert platoon.drain()["dead"] == 0


def test_log_that_nginx_writes_now(platoon):
    """A real web server writes the log; what it must hold is known from the requests that were made."""
    port = free_port()
    home = platoon.dir / "nginx"
    (home / "html").mkdir(parents=True)
    (home / "html/index.html").write_text("hello\n")
    (home / "nginx.conf").write_text(f"""
        daemon off; master_process off; pid {home}/pid; error_log {home}/error.log;
        events {{ worker_connections 64; }}
        http {{
            access_log {home}/access.log combined;
            client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
            server {{ listen 127.0.0.1:{port}; root {home}/html; }}
        }}""")
    nginx = subprocess.Popen(["nginx", "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def listening():
            assert nginx.poll() is None, (home / "error.log").read_text()
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.connect()
                connection.close()
                return True
            except ConnectionRefusedError:
                return False
        wait_until(listening, 10, "nginx")

        sent = []

        def visitor(number):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            for i in range(50):
                method = ("GET", "HEAD", "POST")[i % 3]
                path = f"/?visitor={number}&i={i}" if i % 2 else f"/missing/{number}/{i}"
                agent = ['plain', 'with "quotes" and \\ backslash', "caf\u00e9", "tab\there"][i % 4].encode()
                connection.request(method, path, headers={"User-Agent": agent, "Referer": f"http://example.org/{i}"})
                answer = connection.getresponse()
                answer.read()
                sent.append((b"127.0.0.1", method.encode(), path.encode(), str(answer.status).encode(), f"http://example.org/{i}".encode(), agent))
            connection.close()
        visitors = [threading.Thread(target=visitor, args=(n,)) for n in range(4)]
        for v in visitors:
            v.start()
        for v in visitors:
            v.join()
        log = home / "access.log"
        wait_until(lambda: log.read_bytes().count(b"\n") >= 200, 20, "nginx's log")
    finally:
        nginx.terminate()
        nginx.wait(10)
    assert len(sent) == 200

    platoon.configure(drain=KEY).start()
    assert load(platoon, log) == (200, 200, 0)
    platoon.drained()
    stored = stored_records(platoon)
    assert sorted(stored) == sorted(independent_parse(log))
    assert sorted((r[0], r[3], r[4], r[6], r[8], r[9]) for r in stored) == sorted(sent)
