"""A snapshot over HTTP: the web worker of a platoon at unix:DIR/web.sock, asked with http.client, and readers of its stream."""
import http.client
import json
import socket
import time

from health_client import UnixConnection
from platoon_fixture import SCALE, section

PATIENCE = 60 * SCALE


class Answer:
    def __init__(self, answer):
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()

    @property
    def json(self):
        return json.loads(self.body)


class Web:
    """What a test asks of a store's platoon."""

    def __init__(self, store, resources, snapshot=None, listen=None, **keys):
        self.store, self.dir = store, store.platoon.dir
        self.path = self.dir / "web.sock"
        text = store.text(resources, snapshot) + section("web", {"listen": listen or f"unix:{self.path}"} | keys)
        store.platoon.config_path.write_text(text)
        self.text = text

    def start(self):
        self.store.platoon.start()
        self.store.ready()
        return self

    def ask(self, path, method="GET", body=None, connection=None, **headers):
        connection = connection or UnixConnection(self.path)
        connection.timeout = PATIENCE
        connection.request(method, path, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def known(self, path="/data/plan/stream", **headers):
        """Waits until the worker has heard the store."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                with Reader(self, path + ("&" if "?" in path else "?") + "content=none", **headers) as reader:
                    if reader.status != 503:
                        return self
            except OSError:
                pass  # it is being started anew
            time.sleep(0.05)
        raise AssertionError("the store was not heard")

    def read(self, path="/data/plan/stream", **headers):
        return Reader(self, path, **headers)


class Reader:
    """One that reads events, for as long as a test wants."""

    def __init__(self, web, path, **headers):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(web.path))
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
        self.answer = http.client.HTTPResponse(self.socket)
        self.answer.begin()
        self.status = self.answer.status
        self.id = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.answer.close()
        self.socket.close()

    def message(self):
        """The next one's lines; a ping's too."""
        lines = []
        while True:
            line = self.answer.readline()
            assert line, "the stream has ended"
            if line == b"\n":
                return lines
            lines.append(line.rstrip(b"\n").decode())

    def next(self):
        """The next event: (its name, its data); `id` is the last that was told."""
        while True:
            fields = dict(line.split(": ", 1) for line in self.message() if not line.startswith(":"))
            if "data" in fields:
                self.id = fields.get("id", self.id)
                data = json.loads(fields["data"])
                assert data["event"] == fields["event"]
                return fields["event"], data

    def expect(self, event, **members):
        name, data = self.next()
        assert name == event and {key: data.get(key) for key in members} == members, (name, data)
        return data


def apply(text, splices):
    """As a reader does it: from the last."""
    lines = text.splitlines(keepends=True)
    for line, removed, put in reversed(splices):
        lines[line:line + removed] = [put]
    return "".join(lines)
