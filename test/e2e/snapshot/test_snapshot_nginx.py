"""Snapshots and a real nginx: pulled from (ETag, gzip, cut bodies), and in front of the web worker (events, WebSockets, git)."""
import contextlib
import http.client
import os
import socket
import subprocess
import threading

import pytest
from nginx_fixture import Nginx
from platoon_fixture import SCALE, wait_until
from test_snapshot_runs import row, settle, trailers
from test_web_socket import Socket
from web_fixture import PATIENCE, Web


@pytest.fixture
def nginxes(tmp_path):
    with contextlib.ExitStack() as stack:
        def make(locations="", http_lines=""):
            return stack.enter_context(contextlib.closing(Nginx(tmp_path / "nginx", locations, http_lines)))
        yield make


class Half:
    """A server that says more than it sends: each connection is told `says`, and its end."""

    def __init__(self, says):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.says = self.socket.getsockname()[1], says
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                one, _ = self.socket.accept()
                with one:
                    one.settimeout(PATIENCE)
                    while b"\r\n\r\n" not in one.recv(65536):
                        pass
                    one.sendall(self.says)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.mark.parametrize("zip_it", [False, True])
def test_what_nginx_names_is_asked_for_again(store, nginxes, zip_it):
    """Its ETag is a weak one where it has packed what it sends."""
    nginx = nginxes(http_lines="gzip on; gzip_min_length 1; gzip_types text/plain;" if zip_it else "")
    file = nginx.html / "plan"
    file.write_text("one\n" * 1000)
    store.start({"raw": {"url": f"{nginx.url}/plan"}})
    settle(store)
    assert store.get("raw") == b"one\n" * 1000
    said = dict(trailers(store, row(store, "raw")["commit"]))
    assert said["Etag"].startswith('W/"' if zip_it else '"') and said["Last-Modified"].endswith(" GMT")
    assert b"unchanged" in store.ctl("snapshot", "run", "raw").stdout
    assert store.platoon.stop() == 0
    store.platoon.start()
    assert b"unchanged" in store.ctl("snapshot", "run", "raw").stdout
    wait_until(lambda: len(nginx.answered()) >= 3, 60, "its log, which it writes behind its answer")
    assert nginx.answered() == [200, 304, 304]
    os.truncate(file, 400)
    assert store.ctl("snapshot", "run", "raw").returncode == 0
    assert store.get("raw") == b"one\n" * 100 and row(store, "raw")["seq"] == 2
    file.unlink()
    assert b"HTTP 404" in store.ctl("snapshot", "run", "raw").stderr
    assert store.get("raw") == b"one\n" * 100


@pytest.mark.parametrize("says", [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"half\n" * 10000, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n" + b"half\n" * 10000 + b"\r\n"],
                         ids=["length", "chunks"])
def test_a_body_that_nginx_cuts_short_is_no_version(store, nginxes, says):
    with contextlib.closing(Half(says)) as half:
        nginx = nginxes(f"location / {{ proxy_pass http://127.0.0.1:{half.port}; proxy_http_version 1.1; }}")
        store.start({"raw": {"url": f"{nginx.url}/", "retry_min": "1h", "retry_max": "1h"}, "made": {"inputs": "raw", "command": "cat"}})
        assert "raw is failed: cut short: " in settle(store, 1)
        assert row(store, "made")["state"] == "empty" and "seq" not in row(store, "raw")


FRONT = """
location / {
    proxy_pass http://unix:%s; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_read_timeout 1h;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
}"""
UPGRADE = "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }"


class Through(Socket):
    """A WebSocket through nginx."""

    def dial(self, web):
        return socket.create_connection(("127.0.0.1", web.port))


def test_nginx_in_front_of_web(store, nginxes):
    web = Web(store, {"app": {}}).start().known()
    nginx = nginxes(FRONT % web.path, UPGRADE)
    done = web.ask("/data/plan/app", "PUT", b"1\n", connection=http.client.HTTPConnection("127.0.0.1", nginx.port))
    assert done.status == 200 and done.json["seq"] == 1
    wait_until(lambda: web.ask("/data/plan/app").status == 200, 60, "the version over HTTP")

    def ask(path="/data/plan/app", method="GET", **headers):
        return web.ask(path, method, connection=http.client.HTTPConnection("127.0.0.1", nginx.port), **headers)

    first = ask()
    assert first.status == 200 and first.body == b"1\n" and ask(If_None_Match=first.headers["ETag"]).status == 304
    assert ask(Host="plan.example", Origin="http://plan.example").status == 200 and ask(Host="plan.example", Origin="http://evil.example").status == 403
    events = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=PATIENCE)
    events.request("GET", "/data/plan/stream")
    stream = events.getresponse()

    assert stream.status == 200 and stream.readline() == b"event: hello\n"
    with Through(nginx) as client:
        assert client.status == 101 and client.next()["event"] == "hello" and client.next()["text"] == "1\n"
        store.put("app", b"2\n")
        assert client.next()["seq"] == 2, "at once"
    while b'"seq":2' not in (line := stream.readline()):
        assert line, "it has ended"
    events.close()
    clone = store.platoon.dir / "clone"
    subprocess.run(["git", "clone", "-q", f"{nginx.url}/data/plan.git", clone], check=True, timeout=120 * SCALE)
    assert (clone / "app").read_bytes() == b"2\n"
