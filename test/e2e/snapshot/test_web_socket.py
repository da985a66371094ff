"""Each change over a WebSocket: Debian's python3-websockets reads, and raw sockets say what no client of good will says (issue 16, Stream)."""
import asyncio
import base64
import hashlib
import json
import os
import re
import signal
import socket
import struct

import pytest
import websockets
from platoon_fixture import ASAN, SCALE, wait_until
from web_fixture import PATIENCE, Web, apply

LONG = "a line that nobody changes, and which is longer than what a splice says of it\n"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, MORE, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


@pytest.fixture
def web(store):
    return Web(store, {"app": {}, "raw": {}}, {"journal": "64KB"}).start().known()


def put(web, resource, text):
    return web.store.put(resource, text.encode() if isinstance(text, str) else text)


def known(web, resource="app"):
    wait_until(lambda: web.ask(f"/data/plan/{resource}").status == 200, 60, "the version over HTTP")


class Socket:
    """A client that may say anything."""

    def __init__(self, web, path="/data/plan/stream", behind=b"", timeout=PATIENCE, **headers):
        self.raw = self.dial(web)
        self.raw.settimeout(timeout)
        self.key = base64.b64encode(os.urandom(16)).decode()
        said = {"Host": "localhost", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": self.key}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items() if value is not None)
        self.raw.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode() + behind)
        self.file = self.raw.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (line := self.file.readline().strip()) != b"":
            name, value = line.decode().split(": ", 1)
            self.headers[name.lower()] = value

    def dial(self, web):
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(str(web.path))
        return raw

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.raw.close()

    def say(self, opcode, data=b"", fin=True, mask=b"\1\2\3\4", length=None, rsv=0):
        self.raw.sendall(frame(opcode, data, fin, mask, length, rsv))

    def frame(self):
        """(opcode, payload) of the next."""
        first, second = self.file.read(2)
        assert first & 0x70 == 0 and first & 0x80, "one message is one frame"
        assert second & 0x80 == 0, "a server masks nothing"
        length = second & 0x7f
        if length > 125:
            length = struct.unpack(">H" if length == 126 else ">Q", self.file.read(2 if length == 126 else 8))[0]
        return first & 15, self.file.read(length)

    def next(self):
        while True:
            opcode, data = self.frame()
            if opcode == TEXT:
                return json.loads(data)
            assert opcode in (PING, PONG), (opcode, data)

    def closed(self):
        """The code that it is closed with, behind what had been told already; then the end."""
        while True:
            opcode, data = self.frame()
            if opcode == CLOSE:
                break
        assert self.file.read() == b""
        return struct.unpack(">H", data[:2])[0] if data else None


def frame(opcode, data=b"", fin=True, mask=b"\1\2\3\4", length=None, rsv=0):
    length = len(data) if length is None else length
    small = length if length < 126 else 126 if length < 65536 else 127
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if mask else 0) | small])
    head += struct.pack(">H", length) if small == 126 else struct.pack(">Q", length) if small == 127 else b""
    return head + (mask + bytes(c ^ mask[i % 4] for i, c in enumerate(data)) if mask else data)


def test_every_change_comes(store):
    web = Web(store, {"app": {}, "raw": {}}).start().known()
    first = put(web, "app", LONG + "1\n")
    known(web)

    async def read():
        async with websockets.unix_connect(str(web.path), "ws://localhost/data/plan/stream?resource=app", open_timeout=PATIENCE, close_timeout=PATIENCE) as client:
            async def hear():
                return json.loads(await asyncio.wait_for(client.recv(), PATIENCE))

            hello = await hear()
            assert hello["event"] == "hello" and hello["versions"] == [{"resource": "app", "seq": 1, "commit": first["commit"], "blob": first["blob"]}]
            start = await hear()
            assert start["event"] == "snapshot" and start["reason"] == "start" and start["id"] == f"1-{first['commit'][:12]}"
            await asyncio.wait_for(await client.ping(), PATIENCE)
            text = start["text"]
            for n in range(2, 12):
                put(web, "app", LONG + f"{n}\n" * n)
                change = await hear()
                assert change["event"] == "change" and change["seq"] == n and change["prev"] == n - 1, change
                assert change["id"] == f"{n}-{change['commit'][:12]}"
                text = apply(text, change["splices"])
                assert text == LONG + f"{n}\n" * n
            put(web, "app", os.urandom(200000))  # a frame whose length takes eight bytes
            whole = json.loads(await asyncio.wait_for(client.recv(), PATIENCE))
            assert whole["reason"] == "binary" and base64.b64decode(whole["base64"]) == web.store.get("app")
            await client.send("what a reader says means nothing")
            await client.close()
            assert client.close_code == 1000

    asyncio.run(read())
    wait_until(lambda: web.store.platoon.workers()["web"]["counters"].get("web_subscribers", 0) == 0, 60, "its end")


def test_how_it_begins(web):
    with Socket(web) as client:
        assert client.status == 101 and client.headers["upgrade"].lower() == "websocket" and "upgrade" in client.headers["connection"].lower()
        assert client.headers["sec-websocket-accept"] == base64.b64encode(hashlib.sha1((client.key + GUID).encode()).digest()).decode()
        assert "content-type" not in client.headers and client.next()["event"] == "hello"
    with Socket(web, Upgrade="h2c, WebSocket", behind=frame(PING, b"at once")) as client:
        assert client.status == 101
        assert sorted([client.frame()[0], client.frame()[0]]) == [TEXT, PONG], "what came with the question is read"
    for headers, status in (({"Connection": "keep-alive"}, 400), ({"Sec_WebSocket_Key": None}, 400), ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400), ({"Sec_WebSocket_Version": "8"}, 426),
                            ({"Sec_WebSocket_Version": None}, 426), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403)):
        with Socket(web, **headers) as client:
            assert client.status == status, headers
            if status == 426:
                assert client.headers["sec-websocket-version"] == "13"
    for path, status in (("?resource=none", 404), ("?content=all", 400), ("?since=x", 400)):
        with Socket(web, f"/data/plan/stream{path}") as client:
            assert client.status == status
    with Socket(web, "/data/plan/app") as client:
        assert client.status == 404, "elsewhere the header means nothing"
    with Socket(web, Origin="http://localhost", Host="localhost") as client:
        assert client.status == 101


def test_what_was_missed_is_made_up_for(web):
    put(web, "app", LONG)
    known(web)
    with Socket(web) as client:
        assert client.next()["event"] == "hello"
        last = client.next()["id"]
    put(web, "app", LONG + "2\n")
    put(web, "app", LONG + "3\n")
    for query, headers in ((f"?since={last}", {}), ("", {"Last_Event_ID": last})):
        with Socket(web, f"/data/plan/stream{query}", **headers) as again:
            assert again.next()["event"] == "hello"
            assert [(e["event"], e["seq"], e["prev"]) for e in (again.next(), again.next())] == [("change", 2, 1), ("change", 3, 2)]
    with Socket(web, "/data/plan/stream?since=2-000000000000") as other:
        assert other.next()["event"] == "hello" and other.next()["reason"] == "gap"


WRONG = {
    "unmasked": (frame(TEXT, b"plain", mask=None), 1002),
    "opcode": (frame(3, b"x"), 1002),
    "control opcode": (frame(11, b"x"), 1002),
    "rsv": (frame(TEXT, b"x", rsv=4), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "ping in pieces": (frame(PING, b"x", fin=False), 1002),
    "nothing to go on with": (frame(MORE, b"x"), 1002),
    "a message within a message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "close of one byte": (frame(CLOSE, b"x"), 1002),
    "close with no code": (frame(CLOSE, struct.pack(">H", 1005)), 1002),
    "no UTF-8": (frame(TEXT, b"\xff\xfe"), 1007),
    "too long": (frame(TEXT, b"x" * 65537), 1009),
    "says to be too long": (frame(BINARY, b"x", length=1 << 40), 1009),
    "too long in pieces": (frame(TEXT, b"x" * 40000, fin=False) + frame(MORE, b"x" * 40000), 1009),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_against_the_protocol_ends_it(web, what):
    said, code = WRONG[what]
    with Socket(web) as client, Socket(web) as other:
        assert other.next()["event"] == "hello"
        client.raw.sendall(said)
        assert client.closed() == code
        put(web, "app", "on\n")
        assert other.next()["text"] == "on\n", "others go on"


def test_what_is_allowed(web):
    with Socket(web) as client:
        assert client.next()["event"] == "hello"
        for n in range(3):
            client.say(TEXT, b"x" * 65536)
            client.say(TEXT, b"one", fin=False)
            client.say(PING, b"between%d" % n)
            client.say(MORE, b"two")
            assert client.frame() == (PONG, b"between%d" % n)
        said = frame(PING, b"byte for byte")
        for at in range(len(said)):
            client.raw.sendall(said[at:at + 1])
        assert client.frame() == (PONG, b"byte for byte")
        client.say(PONG, b"nobody asked")
        client.say(CLOSE, struct.pack(">H", 1000) + b"bye")
        assert client.closed() == 1000


def test_who_goes_in_the_midst_of_a_frame(web):
    for said in (b"\x81", frame(TEXT, b"x" * 100)[:50], frame(CLOSE)[:3]):
        with Socket(web) as client:
            assert client.next()["event"] == "hello"
            client.raw.sendall(said)
    wait_until(lambda: web.store.platoon.workers()["web"]["counters"].get("web_subscribers", 0) == 0, 60, "all of them to be noticed as gone")


def test_who_asks_much_and_reads_nothing_is_not_read_on(web):
    """Each ping is answered once: what is not read fills the socket, and then the client's own."""
    with Socket(web) as client:
        pid = web.store.platoon.pid_of("web")
        before = memory(pid)
        said = frame(PING, b"x" * 125) * 1000
        client.raw.settimeout(2 * SCALE)
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                client.raw.sendall(said)
        assert memory(pid) - before < (64 if ASAN else 16) << 20
        client.raw.settimeout(PATIENCE)
        assert client.next()["event"] == "hello"
        assert client.frame() == (PONG, b"x" * 125)
    assert web.ask("/data/plan").status == 200


def memory(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS"))


def test_who_does_not_read_gets_the_newest(web):
    put(web, "app", "0\n")
    known(web)
    with Socket(web, "/data/plan/stream?resource=app&content=full") as client:
        for n in range(60):
            assert web.ask("/data/plan/app", "PUT", b"%d\n" % n + bytes(range(97, 123)) * 2000).status == 200
        held, seen = None, []
        while held != 61:
            data = client.next()
            if data["event"] == "hello":
                continue
            assert data["event"] == "snapshot" or data["prev"] == held, (data["event"], data["seq"], held)
            held = data["seq"]
            seen.append(data.get("reason"))
        assert "slow" in seen
    wait_until(lambda: web.store.platoon.workers()["web"]["counters"].get("web_resyncs_total", 0) >= 1, 60, "the counter")


@pytest.mark.parametrize("kind", ["websocket", "events"])
def test_who_takes_nothing_is_closed(web, kind):
    """For 60 s, while others are told what there is."""
    put(web, "app", "0\n")
    known(web)
    slow = Socket(web) if kind == "websocket" else web.read("/data/plan/stream")
    with slow, Socket(web) as other:
        assert other.next()["event"] == "hello" and other.next()["seq"] == 1
        subscribers = lambda: web.store.platoon.workers()["web"]["counters"].get("web_subscribers", 0)  # noqa: E731
        wait_until(lambda: subscribers() == 2, 60, "both to be counted")
        for n in range(40):
            assert web.ask("/data/plan/app", "PUT", b"%d\n" % n + os.urandom(40000)).status == 200
        held = 0
        while held != 41:
            held = other.next()["seq"]
        wait_until(lambda: subscribers() == 1, 180, "the end of who takes nothing")
        put(web, "app", "last\n")
        assert other.next()["seq"] == 42


def test_what_who_takes_nothing_keeps_is_bounded(store):
    """Each of them stands still in the midst of another version: the journal's length is what they may keep of old ones, and one."""
    web = Web(store, {"app": {}}, {"journal": "1MB"}).start()
    put(web, "app", "0\n")
    known(web)
    still = []
    try:
        with Socket(web, "/data/plan/stream?content=none") as other:
            assert [other.next()["seq"] for _ in range(2)] == [1, 1]
            for n in range(2, 14):
                assert web.ask("/data/plan/app", "PUT", os.urandom(600000)).status == 200
                assert other.next()["seq"] == n
                still.append(Socket(web) if n % 2 == 0 else web.read("/data/plan/stream"))
                assert (still[-1].next() if n % 2 == 0 else still[-1].next()[1])["event"] == "hello"

            def told():
                return re.findall(r"web-stalled store=plan bytes=(\d+) closed=(\d+)", store.platoon.log())
            # The last stands in the midst of the newest, the one before has the text that may stay.
            wait_until(lambda: sum(int(closed) for _, closed in told()) >= 10, 60, lambda: f"ten to be closed; {told()}")
            assert sum(int(closed) for _, closed in told()) == 10 and all(int(size) > 600000 for size, _ in told()), told()
            subscribers = lambda: store.platoon.workers()["web"]["counters"].get("web_subscribers", 0)  # noqa: E731
            wait_until(lambda: subscribers() == 3, 60, lambda: f"three to be left, not {subscribers()}")
            put(web, "app", "last\n")
            assert other.next()["seq"] == 14
            # Who goes on to read has the whole of what he was in the midst of, and then the newest.
            first, last = (still[-1].next()[1] for _ in range(2))
            assert (first["seq"], last["seq"], last["text"]) == (13, 14, "last\n")
    finally:
        for client in still:
            client.__exit__()


def test_there_are_as_many_as_may_be(store):
    web = Web(store, {"app": {}}, subscribers_max=3).start().known()
    held = []

    def three():
        """Who has looked whether the store is known is noticed as gone with a ping."""
        client = Socket(web)
        if client.status == 101:
            held.append(client)
        else:
            assert client.status == 503
            client.__exit__()
        return len(held) == 3

    try:
        wait_until(three, 60, "three to have a place")
        for more in (Socket(web), web.read()):
            with more:
                assert more.status == 503
        first = held.pop()
        with first:
            assert first.next()["event"] == "hello"
            first.say(CLOSE)
            assert first.closed() is None
        wait_until(three, 60, "the place to be free")
    finally:
        for client in held:
            client.__exit__()


def test_tokens(store):
    tokens = store.platoon.dir / "tokens"
    tokens.write_text("bot read bot-0123456789abcdefgh\n")
    tokens.chmod(0o600)
    web = Web(store, {"app": {}}, token_file=tokens).start().known(Authorization="Bearer bot-0123456789abcdefgh")
    with Socket(web) as client:
        assert client.status == 401
    with Socket(web, Authorization="Bearer bot-0123456789abcdefgh") as client:
        assert client.status == 101 and client.next()["event"] == "hello"


def test_it_survives_the_store_and_ends_with_web(web):
    put(web, "app", LONG)
    known(web)
    with Socket(web) as client, web.read("/data/plan/stream?content=none") as events:
        assert client.next()["event"] == "hello" and client.next()["seq"] == 1
        for n in range(2, 5):
            os.kill(web.store.platoon.workers()["snapshot/plan/store"]["pid"], signal.SIGKILL)
            web.store.ready()
            wait_until(lambda n=n: web.ask("/data/plan/app", "PUT", (LONG + f"{n}\n").encode()).status == 200, 60, "a put")
            change = client.next()
            assert (change["event"], change["seq"], change["prev"]) == ("change", n, n - 1)
        while events.next()[1]["seq"] != 4:
            pass
        assert web.store.ctl("restart", "web").returncode == 0
        assert client.closed() == 1001
        assert events.answer.read() == b"", "its last chunk has come: else it would be cut short"


def test_a_reader_who_is_silent_hears_a_ping(web):
    with Socket(web) as client:
        assert client.next()["event"] == "hello"
        assert client.frame() == (PING, b"")
        client.say(PONG)
        put(web, "app", "on\n")
        assert client.next()["text"] == "on\n"
