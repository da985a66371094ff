"""The HTTP key service, as Plato had it: bucket and key come from a web server; it may be slow, wrong, or away."""
import http.server
import json
import os
import signal
import subprocess
import threading
import urllib.parse

import pytest

from platoon_fixture import free_port, wait_until


class Service:
    """A key service whose behaviour a test can change while it runs."""

    def __init__(self, port=0):
        self.calls, self.methods = [], set()
        self.connections = set()
        self.behave = lambda fields: (200, json.dumps({"bucket": "b-" + fields["app"], "key": "k-" + fields["id"]}))
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, text):
                fields = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
                service.calls.append(fields)
                service.methods.add(self.command)
                service.connections.add(self.client_address)
                status, body = service.behave(fields)
                body = body.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.answer(urllib.parse.urlsplit(self.path).query)

            def do_POST(self):
                self.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # a client that gave up waiting
        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def service():
    made = Service()
    yield made
    made.close()


def configure(platoon, port, **more):
    """The service is a few threads of this process: one that may answer has time for it."""
    return platoon.configure(drain={"key_service": f"http://127.0.0.1:{port}/key", "key_service_timeout": "5s", "key_service_retries": 2,
                                    "max_attempts": 3, **more})


def members(count):
    return {f"v:{i}": {"app": "shop & co", "id": str(i), "odd=&": "ä+ %"} for i in range(count)}


def expected(count):
    return {("b-shop & co", f"k-{i}"): {"app": "shop & co", "id": str(i), "odd=&": "ä+ %"} for i in range(count)}


def stored(platoon):
    return {where: row[0] for where, row in platoon.rows().items()}


def test_keys_come_from_the_service(platoon, service):
    configure(platoon, service.port).start()
    platoon.add(members(500))
    platoon.drained(timeout=60)
    assert stored(platoon) == expected(500)
    assert len(service.connections) < 100, "connections are kept"
    assert {"app", "id", "odd=&"} <= set(service.calls[0]) and service.calls[0]["odd=&"] == "ä+ %"


def test_service_is_away_and_comes(platoon):
    """Records wait, status says so, and nothing is a dead letter of it."""
    port = free_port()
    configure(platoon, port).start()
    platoon.add(members(50))
    wait_until(lambda: str(port) in platoon.problems(), 20, "status to name the service")
    status = platoon.drain()
    assert status["pending"] + status["claimed"] == 50 and status["dead"] == 0
    late = Service(port)
    try:
        platoon.drained(timeout=60)
    finally:
        late.close()
    assert stored(platoon) == expected(50)
    assert platoon.drain()["dead"] == 0


def test_errors_are_tried_again(platoon, service):
    good, seen = service.behave, set()

    def once_wrong(fields):
        if fields["id"] in seen:
            return good(fields)
        seen.add(fields["id"])
        return 503, "busy"
    service.behave = once_wrong
    configure(platoon, service.port).start()
    platoon.add(members(50))
    platoon.drained(timeout=60)
    assert stored(platoon) == expected(50)
    assert platoon.drain()["dead"] == 0


def test_slow_service_meets_the_timeout(platoon, service):
    good, release = service.behave, threading.Event()

    def slow(fields):
        if not release.is_set():
            release.wait(3)
        return good(fields)
    service.behave = slow
    configure(platoon, service.port, key_service_timeout="500ms").start()
    platoon.add(members(5))
    wait_until(lambda: str(service.port) in platoon.problems(), 30, "status to name the service")
    release.set()
    platoon.drained(timeout=60)
    assert stored(platoon) == expected(5)


@pytest.mark.parametrize("body", ["", "not json", "[]", "{}", '{"bucket":"b"}', '{"bucket":1,"key":2}', '{"bucket":"b","key":"k"', "null"])
def test_answers_that_make_no_sense(platoon, service, body):
    """One record's answer is nonsense, the others' are not: that one is a dead letter or waits; the rest flows; nothing is lost."""
    good = service.behave
    service.behave = lambda fields: (200, body) if fields["id"] == "3" else good(fields)
    configure(platoon, service.port).start()
    platoon.add(members(10))
    rest = {where: data for where, data in expected(10).items() if where[1] != "k-3"}
    wait_until(lambda: stored(platoon) == rest, 30, "the others in the store")
    platoon.drained(timeout=60)
    letters = platoon.dead()
    assert [letter["member"] for letter in letters] == ["v:3"] and letters[0]["reason"]
    service.behave = good
    assert platoon.ctl("drain", "dead", "visits", "retry", "all").returncode == 0
    platoon.drained()
    assert stored(platoon) == expected(10)


def test_large_question_is_posted(platoon, service):
    """What does not fit into a url goes as a form; bytes that are no text go as they are."""
    configure(platoon, service.port).start()
    big = {"v:0": {"app": "a", "id": "0", "text": "ä&=?" * 50000}, "v:1": {"app": "a", "id": "1", "text": "short"}}
    platoon.add(big)
    platoon.drained()
    assert stored(platoon) == {("b-a", f"k-{i}"): big[f"v:{i}"] for i in range(2)}
    assert service.methods == {"GET", "POST"}
    platoon.redis().hset("v:2", mapping={"app": "a", "id": "2", b"\xff\x00": b"\xfe&="})
    platoon.redis().sadd("tracking:pending", "v:2")
    platoon.drained()
    assert stored(platoon)[("b-a", "k-2")]["base64:/wA="] == {"base64": "/iY9"}


def test_record_that_hangs_the_service_is_given_up(platoon, service):
    """As long as others are answered well, one that never is ends as a dead letter; the others flow."""
    good, release = service.behave, threading.Event()

    def hang(fields):
        if fields["id"] == "3":
            release.wait(20)
        return good(fields)
    service.behave = hang
    configure(platoon, service.port, batch=1, key_service_timeout="2s").start()
    platoon.add({"v:3": {"app": "a", "id": "3"}})
    wait_until(lambda: any(call["id"] == "3" for call in service.calls), 10, "the first question")
    sent = 0

    def one_more():
        nonlocal sent
        sent += 1
        platoon.add({f"w:{sent}": {"app": "a", "id": f"w{sent}"}})
        return platoon.dead()
    letters = wait_until(one_more, 60, "the dead letter")
    assert [letter["member"] for letter in letters] == ["v:3"]
    assert "key service" in letters[0]["reason"]
    platoon.drained()
    assert {key for _, key in stored(platoon)} == {f"k-w{i}" for i in range(1, sent + 1)}
    release.set()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_transfer_goes_while_records_wait(platoon, service, how):
    """The claims are still in Redis: the next transfer asks again."""
    good, release = service.behave, threading.Event()

    def slow(fields):
        release.wait(10)
        return good(fields)
    service.behave = slow
    configure(platoon, service.port, key_service_timeout="10s").start()
    platoon.add(members(100))
    wait_until(lambda: service.calls, 10, "the first question")
    if how == "kill":
        os.kill(platoon.pid_of("transfer/visits.1"), signal.SIGKILL)
    else:
        assert platoon.ctl("--timeout", "60s", "restart", "transfer/visits.1").returncode == 0
    release.set()
    platoon.drained(timeout=60)
    assert stored(platoon) == expected(100)
    assert platoon.drain()["dead"] == 0


@pytest.mark.parametrize("url, says", [("ftp://host/x", "must be http"), ("host/x", "must be http"), ("http://", "must be http"),
                                       ("http://me:secret@host/", "user or password"), ("http://host/#x", "'#'")])
def test_urls_that_cannot_be(platoon, url, says):
    platoon.configure(drain={"key_service": url})
    done = subprocess.run([str(platoon.build / "platoon"), "-c", str(platoon.config_path), "--check"], capture_output=True, text=True)
    assert done.returncode == 78
    assert "key_service: " in done.stderr and says in done.stderr and "secret" not in done.stderr


def test_templates_beside_it_are_an_error(platoon):
    platoon.configure(drain={"key_service": "http://host/", "key": "{app}"})
    done = subprocess.run([str(platoon.build / "platoon"), "-c", str(platoon.config_path), "--check"], capture_output=True, text=True)
    assert done.returncode == 78 and "replaces bucket and key" in done.stderr
