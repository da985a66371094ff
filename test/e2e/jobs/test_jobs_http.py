"""Jobs over HTTP: each route, good and bad, who may ask, and what raw sockets try."""
import contextlib
import http.client
import json
import os
import re
import socket
import time
from urllib.parse import quote

import pytest
from platoon_fixture import SCALE, free_port, wait_until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class Answer:
    def __init__(self, got):
        self.status, self.headers, self.body = got.status, got.headers, got.read()

    @property
    def json(self):
        assert self.headers["Content-Type"].startswith("application/json"), (self.status, self.headers, self.body)
        return json.loads(self.body)

    @property
    def message(self):
        assert self.json["status"] == ("Success" if self.status < 300 else "Failed")
        return self.json["message"]


class Desk:
    """An etlas that listens, and a client of it."""

    def __init__(self, etlas, **keys):
        self.etlas, self.port = etlas, free_port()
        etlas.start(listen=f"127.0.0.1:{self.port}", **keys)

    def ask(self, method, path, body=None, **headers):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60 * SCALE)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if method == "POST":
            headers.setdefault("Content-Type", "application/json")
        client.request(method, path, body, {name: value for name, value in headers.items() if value is not None})
        answer = Answer(client.getresponse())
        client.close()
        return answer

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body, **headers):
        return self.ask("POST", path, body, **headers)

    def run(self, settings=None, **more):
        answer = self.post("/execution/run", {"platform_id": "coinis", "settings": settings or {}, **more})
        assert answer.status == 200, answer.body
        return answer.message["job_id"]

    def until(self, job, status):
        def is_so():
            told = self.get(f"/execution/get?job_id={job}").message
            return told if told["status"] == status else None
        return wait_until(is_so, 60, f"{job} to be {status}")

    def raw(self, text):
        """What comes back on a connection that says just this, until the server closes it: by a reset when it has not read all of that."""
        got = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60 * SCALE) as s, contextlib.suppress(ConnectionResetError, BrokenPipeError):
            s.sendall(text)
            while part := s.recv(65536):
                got += part
        return got


@pytest.fixture
def desk(etlas):
    return Desk(etlas, cors="https://desk.example", static=etlas.platoon.dir / "pages")


@pytest.fixture(autouse=True)
def pages(platoon):
    folder = platoon.dir / "pages"
    (folder / "a").mkdir(parents=True)
    (folder / "index.html").write_text("<p>desk</p>")
    (folder / "a/b.css").write_text("p {}")
    (folder / ".hidden").write_text("no")
    (platoon.dir / "above").write_text("no")
    (folder / "link").symlink_to(platoon.dir / "above")


def test_alive(desk):
    assert (desk.get("/system/alive").status, desk.get("/system/alive").body) == (200, b"Alive")
    assert (desk.ask("HEAD", "/system/alive").status, desk.ask("HEAD", "/system/alive").body) == (200, b"")
    assert desk.post("/system/alive", None).message == {"Redis": True}
    desk.etlas.server.stop()
    wait_until(lambda: desk.post("/system/alive", {}).status == 503, 60, "Redis' absence to be told")
    away = desk.post("/system/alive", {})
    assert away.message == {"Redis": False} and int(away.headers["Retry-After"]) > 0
    away = desk.post("/execution/run", {"platform_id": "coinis"})
    assert away.status == 503 and int(away.headers["Retry-After"]) > 0 and away.message
    assert desk.get("/execution/list").status == 503 and desk.get("/execution/tail?job_id=x&follow").status == 503
    assert desk.get("/system/alive").status == 200


def test_platforms(desk):
    desk.etlas.add("bad.sh", "#!/bin/sh -e\nexit 1\n")
    desk.etlas.add("key.sh", "#!/bin/sh\n", '{"display_name": "Key", "settings": {"token": {"default": "abc"}}}')
    got = desk.get("/platforms/get")
    assert got.status == 200 and set(got.message) == {"coinis", "key"}
    assert got.message["key"] == {"display_name": "Key", "settings": {"token": {"type": "str", "default": "***", "required": False, "secret": True}}}
    assert got.json["broken"] == {"bad": "--spec exited with code 1"}


def test_a_job_from_run_to_get(desk):
    job = desk.run({"say": ["hello", {"update": {"fetch": "3 pages", "original": "a,b"}}, {"result": {"rows": 7}}]}, _id="devTest")
    assert job.endswith("-devTest-coinis")
    got = desk.until(job, "finished")
    for name in ("created_at", "enqueued_at", "started_at", "ended_at", "last_heartbeat"):
        assert TIME.fullmatch(got[name]), (name, got[name])
    assert (got["origin"], got["description"], got["timeout"], got["exc_info"], got["result"]) == ("q", "coinis (devTest)", 180, "", {"rows": 7})
    assert got["meta"] == {"fetch": "3 pages"} and re.fullmatch(r".*\.sanjer[12]", got["worker_name"])
    assert got["run"]["job_id"] == job and got["run"]["output"] == "hello\n" and got["run"]["oom"] is None
    assert desk.get(f"/execution/get?job_id={job}&full").message["meta"] == {"fetch": "3 pages", "original": "a,b"}
    assert desk.get(f"/execution/tail?job_id={job}").body == b"hello\n"
    assert desk.run().endswith("-manual-coinis")
    bad = desk.until(desk.run({"exit": 3}), "failed")
    assert bad["exc_info"] == "exited with code 3" and bad["result"] is None
    assert [desk.get(path).status for path in ("/execution/get", "/execution/tail")] == [400, 400]
    assert desk.get("/execution/get").message == "Missing job"
    assert [desk.get(f"/execution/{path}?job_id=nothing").status for path in ("get", "tail")] == [404, 404]
    assert desk.get("/execution/tail?job_id=nothing&follow").status == 404


def test_what_run_refuses(desk):
    def refused(body, status=400, **headers):
        answer = desk.post("/execution/run", body, **headers)
        assert answer.status == status, answer.body
        return answer.message

    assert refused({}) == refused({"platform_id": 5}) == refused({"platform_id": "nobody"}) == "Missing or invalid platform_id"
    assert refused({"platform_id": "coinis", "settings": []}) == "Invalid parameters in request: settings: no dict"
    assert refused({"platform_id": "coinis", "_id": 7}) == "Invalid parameters in request: _id: no str"
    assert refused({"platform_id": "coinis", "settings": {"x": 1}}) == "Unknown parameters in request: x"
    desk.etlas.add("rows.sh", "#!/bin/sh\n", '{"settings": {"storage": {"type": "dict"}}}')
    assert refused({"platform_id": "rows", "settings": {"storage": {"type": "csv", "settings": {}}}}) == (
        "Invalid parameters in request: storage: its type is neither mysql nor store")
    assert refused({"platform_id": "coinis", "settings": {"a": "z"}}) == 'Invalid parameters in request: a: no int: "z"'
    desk.etlas.add("need.sh", "#!/bin/sh\n", '{"settings": {"a": {}, "b": {}}}')
    assert refused({"platform_id": "need"}) == "Missing parameters in request: a, b"
    desk.etlas.add("bad.sh", "#!/bin/sh -e\nexit 1\n")
    assert refused({"platform_id": "bad"}) == "platform bad is broken: --spec exited with code 1"
    assert refused(b"{").startswith("Invalid JSON: ") and refused(b"[]") == "Invalid JSON: an object is wanted"
    assert refused(b'{"a": 1, "a": 2}').startswith("Invalid JSON: ")
    assert refused(b"{}", 415, Content_Type="text/plain") and refused(b"{}", 415, Content_Type=None)
    assert desk.post("/execution/run", {"platform_id": "coinis"}, Content_Type="Application/JSON; charset=utf-8").status == 200
    assert refused(b" " * (1 << 20) + b"{}", 413) == "the body is too large"
    assert refused({"platform_id": "coinis"}, 400, Idempotency_Key="k" * 201).startswith("Idempotency-Key: ")


def test_a_key_makes_one_job(desk):
    body = {"platform_id": "coinis", "settings": {"date": "yesterday", "a": 1}}
    first = desk.post("/execution/run", body, Idempotency_Key="k 1").message
    again = desk.post("/execution/run", {"settings": {"a": 1, "date": "yesterday"}, "platform_id": "coinis"}, Idempotency_Key="k 1").message
    assert "replayed" not in first and again == {"job_id": first["job_id"], "replayed": True}
    other = desk.post("/execution/run", {**body, "_id": "x"}, Idempotency_Key="k 1")
    assert other.status == 422 and first["job_id"] in other.message
    assert desk.post("/execution/run", body, Idempotency_Key="k 2").message["job_id"] != first["job_id"]


def test_list_cancel_retry(desk):
    gate = str(desk.etlas.platoon.dir / "gate")
    runs = [desk.run({"until": gate}) for _ in range(2)]
    wait_until(lambda: len(desk.etlas.seen()) == 2, 60, "both sanjers to be busy")
    waits = desk.run()
    got = desk.get(f"/execution/get?job_id={waits}").message
    assert (got["status"], got["started_at"], got["ended_at"], got["last_heartbeat"], got["worker_name"]) == ("queued", "", "", "", "")
    got = desk.get("/execution/list").message
    assert got["total"] == 3 and [row["job_id"] for row in got["jobs"]] == [waits, *reversed(runs)]
    assert [row["job_id"] for row in desk.get("/execution/list?status=queued").message["jobs"]] == [waits]
    assert len(desk.get("/execution/list?limit=2").message["jobs"]) == 2
    page = desk.get("/execution/list?limit=2").message
    assert page["next"] == runs[1]
    assert [row["job_id"] for row in desk.get(f"/execution/list?after={page['next']}&platform_id=coinis&queue=q&since=1h").message["jobs"]] == [runs[0]]
    assert desk.get("/execution/list?platform_id=none").message["jobs"] == [] and desk.get("/execution/list?after=nobody").status == 404
    assert [desk.get(f"/execution/list?{wrong}").status for wrong in ("status=done", "queue=other", "since=x")] == [400] * 3
    assert [desk.get(f"/execution/list?limit={n}").status for n in ("0", "x", "501")] == [400] * 3
    assert desk.post("/execution/cancel", {"job_id": waits}).message == {"job_id": waits, "status": "canceled"}
    assert desk.post("/execution/cancel", {"job_id": runs[0]}).message["status"] == "stopping"
    desk.until(runs[0], "stopped")
    (desk.etlas.platoon.dir / "gate").touch()
    assert desk.post("/execution/retry", {"job_id": runs[0]}).message["status"] == "queued"
    desk.until(runs[0], "finished")
    for route in ("cancel", "retry"):
        assert desk.post(f"/execution/{route}", {}).message == "Missing job"
        assert desk.post(f"/execution/{route}", {"job_id": "nothing"}).status == 404


def test_tail_follows(desk):
    """Each line as it comes, and the end with the job's; a reader that goes harms nobody."""
    steps = [desk.etlas.platoon.dir / f"step{i}" for i in range(2)]
    desk.etlas.add("slow.sh", "#!/bin/sh\necho one\nuntil [ -e ../step0 ]; do sleep 0.02; done\necho two\nuntil [ -e ../step1 ]; do sleep 0.02; done\nprintf three\n")
    job = desk.run(platform_id="slow")
    client = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=60 * SCALE)
    client.request("GET", f"/execution/tail?job_id={job}&follow")
    answer = client.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain")
    gone = socket.create_connection(("127.0.0.1", desk.port), timeout=60 * SCALE)
    gone.sendall(f"GET /execution/tail?job_id={job}&follow HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert gone.recv(10) == b"HTTP/1.1 2"
    gone.close()
    assert answer.readline() == b"one\n"
    steps[0].touch()
    assert answer.readline() == b"two\n"
    steps[1].touch()
    assert answer.read() == b"three"
    assert desk.get(f"/execution/tail?job_id={job}&follow").body == b"one\ntwo\nthree"
    assert desk.etlas.platoon.workers()["jobs/etlas/collector"]["restarts"] == 0


def test_methods_and_pages(desk):
    assert (desk.ask("OPTIONS", "/anything/at/all").status, desk.ask("OPTIONS", "/anything").body) == (200, b"")
    for method, path, allow in (("POST", "/platforms/get", "GET, HEAD, OPTIONS"), ("GET", "/execution/run", "POST, OPTIONS"),
                                ("DELETE", "/system/alive", "GET, HEAD, POST, OPTIONS"), ("PUT", "/execution/get", "GET, HEAD, OPTIONS")):
        answer = desk.ask(method, path)
        assert (answer.status, answer.headers["Allow"]) == (405, allow) and answer.message
    assert desk.get("/").body == b"<p>desk</p>" and desk.get("/index.html").headers["Content-Type"].startswith("text/html")
    assert desk.get("/a/b.css").body == b"p {}"
    for path in ("/none", "/../above", "/a/../../above", "/%2e%2e/above", "/.hidden", "/link", "/a", "//etc/passwd", "/a/" + "b" * 5000):
        answer = desk.get(path)
        assert answer.status == 404 and answer.message, path
    assert desk.ask("PUT", "/nothing").status == desk.post("/nothing", {}).status == 404


def test_every_answer_has_the_headers(desk):
    for answer in (desk.get("/system/alive"), desk.get("/"), desk.get("/none"), desk.ask("OPTIONS", "/x"), desk.ask("PUT", "/system/alive"),
                   desk.post("/execution/run", b"{"), desk.post("/execution/run", b" " * (1 << 21)), desk.get("/platforms/get"),
                   desk.post("/execution/run", {}, Origin="https://evil.example")):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://desk.example", answer.status
        assert answer.headers["Access-Control-Allow-Methods"] == "OPTIONS,GET,POST,PUT,DELETE"
        assert answer.headers["Access-Control-Allow-Headers"] == "Origin, Accept, Content-Type"


def test_pages_of_elsewhere_may_not_post(desk):
    body = {"platform_id": "coinis"}
    for origin, status in (("https://desk.example", 200), (f"http://127.0.0.1:{desk.port}", 200), ("https://evil.example", 403), ("null", 403),
                           (f"http://127.0.0.1.evil.example:{desk.port}", 403)):
        assert desk.post("/execution/run", body, Origin=origin).status == status, origin
    for host, status in (("localhost", 200), (f"[::1]:{desk.port}", 200), ("rebound.example", 403), (f"rebound.example:{desk.port}", 403)):
        assert desk.post("/execution/run", body, Host=host).status == status, host
    assert desk.get("/system/alive", Origin="https://evil.example").status == 200


def test_a_token(etlas):
    secret = etlas.platoon.dir / "token"
    secret.write_text("correct horse battery\n")
    secret.chmod(0o600)
    desk = Desk(etlas, token_file=secret, static=etlas.platoon.dir / "pages")
    right = {"Authorization": "Bearer correct horse battery"}
    body = {"platform_id": "coinis"}
    for wrong in (None, "Bearer correct horse", "Bearer correct horse batterycorrect horse battery", "Basic correct horse battery", "Bearer"):
        for answer in (desk.post("/execution/run", body, Authorization=wrong), desk.get("/execution/list", Authorization=wrong)):
            assert answer.status == 401 and answer.headers["WWW-Authenticate"] == "Bearer" and answer.message
    assert desk.post("/execution/run", body, **right).status == desk.get("/execution/list", **right).status == 200
    assert desk.post("/execution/run", body, Host="jobs.example", **right).status == 200
    assert desk.post("/execution/run", body, Origin="https://evil.example", **right).status == 403
    assert desk.get("/").status == desk.ask("OPTIONS", "/execution/run").status == 200
    assert "Authorization" in desk.get("/").headers["Access-Control-Allow-Headers"]
    assert "correct horse" not in etlas.platoon.log() + etlas.platoon.ctl("--json", "status", "jobs/etlas/collector").stdout


def test_what_the_configuration_must_not_say(etlas):
    secret = etlas.platoon.dir / "token"
    secret.write_text("x\n")
    secret.chmod(0o644)
    etlas.start()
    for keys, says in (({"token_file": secret}, "token_file: "), ({"listen": "0.0.0.0:9041"}, "can be reached from other machines"),
                       ({"static": etlas.platoon.dir / "above"}, "static: "), ({"cors": "desk"}, "is no origin")):
        keys = {"listen": "127.0.0.1:9041", **keys}
        text = etlas.platoon.config_path.read_text()
        more = "".join(f'  {key} = "{value}"\n' for key, value in keys.items())
        other = etlas.platoon.dir / "other.conf"
        other.write_text(text.replace("jobs etlas {", "jobs etlas {\n" + more))
        (etlas.platoon.dir / "above").write_text("")
        done = etlas.platoon.ctl("check", str(other))
        assert done.returncode == 78 and says in done.stderr, (keys, done)


def test_a_unix_socket(etlas):
    path = etlas.platoon.dir / "jobs.sock"
    etlas.start(listen=f"unix:{path}")
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(path))
    s.sendall(b"POST /execution/run HTTP/1.0\r\nHost: jobs.example\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n{\"platform_id\": \"coinis\"}")
    s.settimeout(60 * SCALE)
    got = b""
    while part := s.recv(65536):
        got += part
    assert got.startswith(b"HTTP/1.0 200") or got.startswith(b"HTTP/1.1 200"), got
    assert os.stat(path).st_mode & 0o777 == 0o660


def test_what_raw_sockets_try(desk):
    """Two lengths, a body that never comes whole, what is no HTTP, a head without end: refused, and others are served."""
    run = b"POST /execution/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = b'{"platform_id": "coinis"}'
    twice = desk.raw(run + b"Content-Length: 25\r\nContent-Length: 5\r\n\r\n" + body)
    assert b" 400 " in twice.split(b"\r\n")[0] and b" 200 " not in twice, twice
    both = desk.raw(run + b"Content-Length: 25\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert b" 400 " in both.split(b"\r\n")[0] and b" 200 " not in both, both
    begun = time.monotonic()
    slow = desk.raw(run + b"Content-Length: 25\r\n\r\n" + body[:5])
    assert slow == b"" and time.monotonic() - begun >= 5
    for text in (os.urandom(2000), b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\n\r\n", run + b"X: " + b"y" * 40000 + b"\r\n\r\n",
                 run + b"Content-Length: -1\r\n\r\n", run + b"Content-Length: 99999999999999999999999\r\n\r\n"):
        assert b" 200 " not in desk.raw(text)[:20], text[:60]
    assert desk.etlas.seen() == [] and desk.get("/execution/list").message["total"] == 0
    desk.until(desk.run(), "finished")
    assert desk.etlas.platoon.workers()["jobs/etlas/collector"]["restarts"] == 0


def test_names_that_are_no_plain_words(desk):
    job = desk.run(_id="dev Tést::1/2")
    assert re.fullmatch(r"[A-Za-z0-9_-]+", job)
    got = desk.get(f"/execution/get?job_id={quote(job)}").message
    assert got["run"]["id"] == "dev Tést::1/2" and got["description"] == "coinis (dev Tést::1/2)"
