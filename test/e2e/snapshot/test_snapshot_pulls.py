"""Resources that are pulled from a url: what is asked of the server, what becomes of its answers, and of those that are none."""
import datetime
import gzip
import http.server
import os
import signal
import ssl
import subprocess
import threading

import pytest

from platoon_fixture import wait_until
from sentinel_fixture import Certificates
from snapshot_fixture import Store
from test_snapshot_runs import COUNT, PULL, row, RUN, runs, settle, shell, STEPS, trailers


class Server(http.server.ThreadingHTTPServer):
    """Answers as the test has said, and keeps what it was asked."""

    def __init__(self, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.half = {}, [], threading.Event()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server_port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.cert, tls.key)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        status, headers, body = self.server.answers[self.path](self.headers)
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if headers.get("Hold"):
            self.server.half.set()
            self.rfile.read(1)
        if headers.get("Content-Length"):
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def servers():
    made = []

    def make(tls=None):
        made.append(Server(tls))
        return made[-1]
    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def always(status=200, body=b"", **headers):
    return lambda asked: (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def run(store, resource="raw"):
    return store.ctl("snapshot", "run", resource)


def test_what_is_pulled_is_a_version_and_a_restart_asks_whether_it_is_new(store, servers):
    server = servers()

    def answer(asked):
        if asked["If-None-Match"] == '"1"' and asked["If-Modified-Since"] == "Sat, 28 Nov 2026 10:00:00 GMT":
            return 304, {}, b""
        return 200, {"ETag": '"1"', "Last-Modified": "Sat, 28 Nov 2026 10:00:00 GMT"}, b"pulled\n"
    server.answers["/plan.tsv?key=secret"] = answer
    store.start({"raw": {"url": f"{server.url}/plan.tsv?key=secret", "every": "1h"}, "made": {"inputs": "raw", "command": "cat"}})
    settle(store)
    assert store.get("made") == b"pulled\n" and store.platoon.workers()["snapshot/plan/raw"]["type"] == "pull"
    said = dict(trailers(store, row(store, "raw")["commit"]))
    assert (said["Source"], said["Url"], said["Etag"], said["Last-Modified"]) == ("pull", f"{server.url}/plan.tsv", '"1"', "Sat, 28 Nov 2026 10:00:00 GMT")
    assert b"unchanged" in run(store).stdout
    assert store.platoon.stop() == 0
    store.platoon.start()
    assert b"unchanged" in run(store).stdout
    assert [asked.get("If-None-Match") for _, asked in server.asked] == [None, '"1"', '"1"']
    assert "secret" not in store.git("log", "--format=%B", "main") and "secret" not in store.platoon.log()


def test_gzip(store, servers):
    server = servers()
    server.answers["/"] = lambda asked: (200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 100000)) if "gzip" in asked["Accept-Encoding"] else (500, {}, b"")
    store.start({"raw": {"url": f"{server.url}/", "size_max": "100000"}, "less": {"url": f"{server.url}/", "size_max": "99999", "retry_min": "1h", "retry_max": "1h"}})
    assert "less is failed: output above size_max (99999)" in settle(store, 1)
    assert store.get("raw") == b"x" * 100000


def test_what_is_pulled_goes_through_the_command(store, servers):
    server = servers()
    server.answers["/"] = always(body=b"a\nb\n")
    store.start({"raw": {"url": f"{server.url}/", "command": shell(store, "sed s/a/A/; echo said >&2")},
                 "bad": {"url": f"{server.url}/", "command": shell(store, "echo no >&2; exit 7"), "retry_min": "1h", "retry_max": "1h"}})
    assert "bad is failed: exit 7: no" in settle(store, 1)
    assert store.get("raw") == b"A\nb\n" and store.json("show", "raw")["last_run"]["stderr"] == "said\n"


@pytest.mark.parametrize("answer,keys,error", [
    (always(500), {}, "HTTP 500"),
    (always(404, b"not this"), {}, "HTTP 404"),
    (always(304), {}, "HTTP 304"),
    (always(200, b"half", Content_Length="100"), {}, "cut short: "),
    (always(200, b""), {}, "output below size_min (1)"),
    (always(200, b"x" * 2000), {"size_max": "1KB"}, "output above size_max (1KB)"),
    (always(302), {}, "HTTP 302: redirected to no url"),
    (always(302, Location="ftp://127.0.0.1/"), {}, "HTTP 302: redirected to no url"),
    (always(302, Location="/"), {}, "HTTP 302: more than 5 redirects"),
])
def test_answers_that_are_none_hold_nothing(store, servers, answer, keys, error):
    server = servers()
    server.answers["/"] = answer
    store.start({"raw": {"url": f"{server.url}/", "retry_min": "1h", "retry_max": "1h", **keys}, "made": {"inputs": "raw", "command": "cat"}})
    assert f"raw is failed: {error}" in settle(store, 1)
    assert row(store, "raw")["state"] == "failed" and row(store, "made")["state"] == "empty"


def test_nobody_there_and_who_never_answers(store, servers):
    server = servers()
    gone = server.server_port
    hang = threading.Event()
    server.answers["/"] = lambda asked: hang.wait(120) and (200, {}, b"late")
    store.start({"raw": {"url": f"{server.url}/", "timeout": "1s", "retry_min": "1h", "retry_max": "1h"},
                 "none": {"url": f"http://127.0.0.1:{1 if gone != 1 else 2}/", "retry_min": "1h", "retry_max": "1h"}})
    said = settle(store, 1)
    hang.set()
    assert "raw is failed: timed out after 1s" in said and "none is failed: " in said and "onnect" in said


def test_redirects_lead_on_and_headers_stay_at_home(store, servers):
    first, other = servers(), servers()
    first.answers["/"] = always(301, Location="/there?x=1")
    first.answers["/there?x=1"] = always(307, Location=f"{other.url}/far")
    other.answers["/far"] = always(body=b"far\n")
    secret = store.platoon.dir / "headers"
    secret.write_text("Authorization: Bearer walrus\n\nX-More: 1\n")
    secret.chmod(0o600)
    store.start({"raw": {"url": f"{first.url}/", "header_file": str(secret)}})
    settle(store)
    assert store.get("raw") == b"far\n"
    assert [asked.get("Authorization") for _, asked in first.asked] == ["Bearer walrus"] * 2 and first.asked[0][1]["X-More"] == "1"
    assert [asked.get("Authorization") for _, asked in other.asked] == [None]
    assert "walrus" not in store.platoon.log()
    secret.chmod(0o644)
    assert b"others may read it (mode 0644): chmod 600" in run(store).stderr
    secret.chmod(0o600)
    secret.write_text("Authorization: Bearer walrus\nnothing of the kind\n")
    assert b"line 2 is no Name: value" in run(store).stderr


def test_five_redirects_are_followed_and_no_sixth(store, servers):
    server = servers()
    for n in range(6):
        server.answers[f"/{n}"] = always(302, Location=f"/{n + 1}")
    server.answers["/6"] = always(body=b"there\n")
    once = {"retry_min": "1h", "retry_max": "1h"}
    store.start({"five": {"url": f"{server.url}/1", **once}, "six": {"url": f"{server.url}/0", **once}})
    assert "six is failed: HTTP 302: more than 5 redirects" in settle(store, 1)
    assert store.get("five") == b"there\n"


def test_whom_tls_believes_and_no_way_from_https_to_http(store, servers):
    tls, plain = Certificates(store.platoon.dir), servers()
    server = servers(tls)
    plain.answers["/up"] = always(302, Location=f"{server.url}/")
    plain.answers["/"] = always(body=b"for everybody to change\n")
    server.answers["/"] = always(body=b"sealed\n")
    server.answers["/down"] = always(302, Location=f"{plain.url}/")
    server.answers["/round"] = always(301, Location=f"{plain.url}/up")
    torn = store.platoon.dir / "torn.crt"
    torn.write_text("none\n")
    (store.platoon.dir / "other").mkdir()
    other = Certificates(store.platoon.dir / "other")
    wanted = {"sealed": (server, "/", tls.ca), "up": (plain, "/up", tls.ca), "down": (server, "/down", tls.ca), "round": (server, "/round", tls.ca),
              "system": (server, "/", None), "others": (server, "/", other.ca), "broken": (server, "/", torn), "nowhere": (server, "/", "none.crt")}
    store.start({name: {"url": of.url + path, "retry_min": "1h", "retry_max": "1h"} | ({"tls_ca_file": str(ca)} if ca else {}) for name, (of, path, ca) in wanted.items()})
    said = settle(store, 1)
    assert store.get("sealed") == store.get("up") == b"sealed\n"
    assert "down is failed: HTTP 302: redirected from https to http" in said and "round is failed: HTTP 301: redirected from https to http" in said
    assert {path for path, _ in plain.asked} == {"/up"}, "it was not asked"
    assert "name that one's certificate as tls_ca_file" in row(store, "system")["error"]
    assert "no certificate in tls_ca_file is its CA's" in row(store, "others")["error"]
    for name, file in (("broken", torn), ("nowhere", store.platoon.dir / "none.crt")):
        error = row(store, name)["error"]
        assert str(file) in error and "tls_ca_file must be a file of certificates (PEM)" in error, error


def test_what_is_unchanged_does_not_run_its_command(store, servers):
    """304 beside a command; another command asks for all of it."""
    server = servers()
    server.answers["/"] = lambda asked: (304, {}, b"") if asked.get("If-None-Match") == '"x"' else (200, {"ETag": '"x"'}, b"a\n")
    resources = {"raw": {"url": f"{server.url}/", "command": shell(store, COUNT + "cat")}}
    store.start(resources)
    settle(store)
    assert b"unchanged" in run(store).stdout and runs(store, "raw") == 1
    said = dict(trailers(store, row(store, "raw")["commit"]))
    assert (said["Url"], said["Etag"]) == (f"{server.url}/", '"x"') and said["Command"].startswith("sh ")
    resources["raw"]["command"] = shell(store, "sed s/a/b/")
    store.platoon.config_path.write_text(store.text(resources))
    assert store.platoon.ctl("reload").returncode == 0
    wait_until(lambda: store.ctl("snapshot", "get", "raw").stdout == b"b\n", 60, "what the other one makes")
    assert [asked.get("If-None-Match") for _, asked in server.asked] == [None, '"x"', None]


def test_retry_after_is_kept_to(store, servers):
    server = servers()
    server.answers["/"] = always(503, Retry_After="3000")
    store.start({"raw": {"url": f"{server.url}/", "retry_min": "100ms", "retry_max": "200ms"}})
    settle(store, 1)
    failed = row(store, "raw")
    now = datetime.datetime.now(datetime.timezone.utc)
    assert "HTTP 503" in failed["error"] and len(server.asked) == 1
    assert datetime.datetime.fromisoformat(failed["next"].replace("Z", "+00:00")) - now > datetime.timedelta(seconds=1500), "retry_max would be 200 ms"
    server.answers["/"] = always(body=b"back\n")
    assert run(store).returncode == 0, "who asks does not wait"


def test_what_is_not_fresh_is_trouble(store, servers):
    server = servers()
    server.answers["/"] = always(500)
    store.start({"raw": {"url": f"{server.url}/", "fresh": "1s", "retry_min": "100ms", "retry_max": "200ms"}}, ready=False)
    wait_until(lambda: "raw: no successful look for more than 1s: HTTP 500" in store.platoon.problems(), 60, "the trouble")
    server.answers["/"] = always(body=b"back\n")
    assert run(store).returncode == 0
    server.answers["/"] = always(body=b"more\n")


def test_a_death_during_a_pull_starts_it_over(faulty, servers):
    server = servers()
    server.answers["/"] = always(body=b"once\n")
    store = Store(faulty)
    spent = faulty.fault("pull.before-result", "kill")
    store.start({"raw": {"url": f"{server.url}/"}}, ready=False)
    wait_until(lambda: not spent.exists(), 60, "the death")
    store.ready()
    settle(store)
    assert store.get("raw") == b"once\n" and row(store, "raw")["seq"] == 1 and len(server.asked) >= 2


class Versions:
    """A server whose answer is version `newest`, by ETag; at `holds` it stops and says so, before its answer or in the middle."""

    def __init__(self, server):
        self.newest, self.holds, self.asked, self.go, self.half = 1, None, threading.Event(), threading.Event(), server.half
        server.answers["/"] = self.answer

    def answer(self, asked):
        tag = f'"{self.newest}"'
        if asked["If-None-Match"] == tag:
            return 304, {}, b""
        if self.holds == "asked":
            self.asked.set()
            self.go.wait(120)
        # More than is sent: who asked waits for the rest, until the connection goes.
        return 200, {"ETag": tag} | ({"Content-Length": "100000", "Hold": "1"} if self.holds == "half" else {}), self.bytes()

    def bytes(self):
        return b"version %d\n" % self.newest

    def kill(self, store, where):
        """kill -9 of the pull while it waits there."""
        self.holds = where
        before = store.platoon.workers()["snapshot/plan/raw"]
        asking = subprocess.Popen([store.platoon.build / "platoonctl", "-s", store.platoon.dir / "run/control.sock", "snapshot", "run", "raw"], stderr=subprocess.DEVNULL)
        assert (self.asked if where == "asked" else self.half).wait(120)
        os.kill(before["pid"], signal.SIGKILL)
        self.holds = None
        self.go.set()
        store.platoon.replaced(before, 60)
        asking.wait(120)


def stalled_with_the_result(store, faulty):
    """The store has RESULT in its hand and hangs, its pull dies, and then it does."""
    pull, writer = (store.platoon.workers()[f"snapshot/plan/{name}"] for name in ("raw", "store"))
    spent = faulty.fault("snapshot.run-result", "stall raw")
    asking = subprocess.Popen([store.platoon.build / "platoonctl", "-s", store.platoon.dir / "run/control.sock", "snapshot", "run", "raw"], stderr=subprocess.DEVNULL)
    wait_until(lambda: not spent.exists(), 60, "the result")
    os.kill(pull["pid"], signal.SIGKILL)
    store.platoon.replaced(pull, 60)
    os.kill(writer["pid"], signal.SIGKILL)
    store.platoon.replaced(writer, 60)
    asking.wait(120)


def test_killed_at_any_step_of_a_pull(faulty, servers):
    """Request sent, half of the body, RESULT sent, each step of the commit that the conditional headers stand in: the old version or the new one, and
    what the server is asked next goes by the one that is there."""
    server = servers()
    given = Versions(server)
    store = Store(faulty)
    text = store.text({"raw": {"url": f"{server.url}/", "every": "1h", "retry_min": "50ms", "retry_max": "100ms"}})
    faulty.config_path.write_text(text.replace("state_dir = state", "state_dir = state  backoff_min = 20ms  backoff_max = 40ms  stable_after = 1s"))
    faulty.start()
    settle(store)
    for point in ("asked", "half", "stalled", *PULL, *RUN, *STEPS):
        given.newest += 1
        if point in ("asked", "half"):
            given.kill(store, point)
        elif point == "stalled":
            stalled_with_the_result(store, faulty)
        else:
            spent = faulty.fault(point, "kill" if point in PULL else "kill raw")
            run(store)
            wait_until(lambda spent=spent: not spent.exists(), 60, point)
        store.ready()
        wait_until(lambda: run(store).returncode == 0 and store.get("raw") == given.bytes(), 60, point)
        assert row(store, "raw")["seq"] == given.newest, point
        assert dict(trailers(store, row(store, "raw")["commit"]))["Etag"] == f'"{given.newest}"', point
        assert b"unchanged" in run(store).stdout and server.asked[-1][1]["If-None-Match"] == f'"{given.newest}"', point
        good, said = store.is_sound()
        assert good, (point, said)
    seqs = [int(line) for line in store.git("log", "--format=%(trailers:key=Seq,valueonly,separator=)", "main").split()]
    assert seqs == list(range(given.newest, 0, -1)), "each once"
