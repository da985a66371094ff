"""Many readers at once: nobody misses silently when whoever may die dies, and ten thousand hear of one change (issue 16, Components and tests)."""
import asyncio
import base64
import json
import os
import random
import resource
import selectors
import signal
import socket
import struct

from platoon_fixture import SCALE, wait_until
from web_fixture import PATIENCE, Web, apply

READERS = 500
DEAD = (OSError, EOFError, asyncio.IncompleteReadError, ValueError)


class Follower:
    """One that comes again with the last id it was told, as often as it must, and holds the texts that it was told."""

    def __init__(self, path, framed):
        self.path, self.framed = path, framed
        self.last, self.held, self.texts = "", {}, {}
        self.comes, self.reasons = 0, set()

    async def follow(self):
        while True:
            try:
                await asyncio.wait_for(self.connect(), PATIENCE)
                while True:
                    self.take(json.loads(await self.message()))
            except DEAD:
                pass
            finally:
                if getattr(self, "to", None) is not None:
                    self.to.close()
                    self.to = None
            await asyncio.sleep(random.uniform(0.05, 0.3))

    async def connect(self):
        self.to = None
        self.source, self.to = await asyncio.open_unix_connection(self.path, limit=1 << 22)
        upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
        self.to.write(f"GET /data/plan/stream?since={self.last} HTTP/1.1\r\nHost: localhost\r\n{upgrade if self.framed else ''}\r\n".encode())
        head = await self.source.readuntil(b"\r\n\r\n")
        if head.split()[1] != (b"101" if self.framed else b"200"):
            raise EOFError
        self.comes += 1
        self.rest = b""

    async def message(self):
        if not self.framed:
            while True:
                while b"\n\n" not in self.rest:
                    size = int(await self.source.readuntil(b"\r\n"), 16)
                    self.rest += (await self.source.readexactly(size + 2))[:-2]
                    if size == 0:
                        raise EOFError
                one, self.rest = self.rest.split(b"\n\n", 1)
                data = [line[6:] for line in one.split(b"\n") if line.startswith(b"data: ")]
                if data:
                    return data[0]
        while True:
            first, length = await self.source.readexactly(2)
            if length > 125:
                size = 2 if length == 126 else 8
                length = struct.unpack(">H" if size == 2 else ">Q", await self.source.readexactly(size))[0]
            data = await self.source.readexactly(length)
            if first == 0x81:
                return data
            if first == 0x88:
                raise EOFError

    def take(self, event):
        name = event.get("resource")
        if event["event"] == "snapshot":
            self.texts[name] = event["text"]
            self.reasons.add(event["reason"])
        elif event["event"] == "change":
            if event["seq"] <= self.held.get(name, 0):
                return
            assert event["prev"] == self.held.get(name, 0), (event["prev"], self.held)
            self.texts[name] = apply(self.texts[name], event["splices"])
        else:
            return
        self.held[name] = event["seq"]
        self.last = event.get("id", self.last)


async def through(web, followers, rounds):
    """Versions come while the web worker, the store and the filter die; then all hold what there is."""
    store, names = web.store, ("web", "snapshot/plan/store", "snapshot/plan/made")
    tasks = [asyncio.create_task(f.follow()) for f in followers]

    def settle():
        for task in tasks:
            if task.done():
                task.result()

    async def until(condition, what):
        for _ in range(int(PATIENCE * 10 * 3)):
            settle()
            if condition():
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"gave up waiting for {what}")

    await until(lambda: all(f.comes for f in followers), "all to be there")
    deaths, pids = 0, {}
    lines = [f"line {n}, which is as long as lines are where much stands in one\n" for n in range(40)]
    for n in range(rounds):
        lines[random.randrange(40)] = f"change {n}, which is as long as lines are where much stands in one\n"
        text = "".join(lines).encode()
        while (await asyncio.to_thread(store.ctl, "snapshot", "put", "raw", data=text)).returncode != 0:
            settle()
        if n % 6 == 5:
            name = names[n // 6 % 3]
            if name == "web":
                deaths += 1
                await until(lambda: all(f.comes >= deaths for f in followers), "all to be back")
            await until(lambda: pids.update({name: store.platoon.workers()[name]["pid"]}) or pids[name], f"{name} to run")
            os.kill(pids[name], signal.SIGKILL)
    await asyncio.to_thread(store.ready)
    done = await asyncio.to_thread(store.ctl, "snapshot", "wait")
    assert done.returncode == 0, done
    rows = {row["resource"]: row["seq"] for row in store.json("list")}
    await until(lambda: all(f.held == rows for f in followers), lambda: "all to hold the newest")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return rows


def test_nobody_misses_silently_through_kills(store):
    web = Web(store, {"raw": {}, "made": {"inputs": "raw", "command": "sed s/line/made/g", "retry_min": "100ms"}}, {"journal": "64KB", "intensity": 1000}).start().known()
    followers = [Follower(str(web.path), n % 2 == 1) for n in range(READERS)]
    random.seed(16)
    rows = asyncio.run(through(web, followers, 36))
    texts = {name: store.get(name).decode() for name in rows}
    assert rows["raw"] >= 36 and texts["made"] == texts["raw"].replace("line", "made")
    for f in followers:
        assert f.texts == texts, f.held
        assert f.comes >= 3, "web has died two times"


THOUSANDS = 10000


def raise_files():
    """Of this process: each reader is one of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = THOUSANDS + 1000
    if soft < want:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want, max(hard, want)))


class Crowd:
    """Readers of which only counts what the last bytes say: whether they have come to `mark`."""

    def __init__(self, path):
        self.path, self.selector = path, selectors.DefaultSelector()
        self.tails = {}

    def come(self, count):
        for _ in range(count):
            one = socket.socket(socket.AF_UNIX)
            one.connect(self.path)
            one.sendall(b"GET /data/plan/stream?resource=app HTTP/1.1\r\nHost: localhost\r\n\r\n")
            one.setblocking(False)
            self.selector.register(one, selectors.EVENT_READ)
            self.tails[one] = b""

    def hear(self, mark):
        """Until all have read it."""
        left = {one for one, tail in self.tails.items() if mark not in tail}
        while left:
            ready = self.selector.select(PATIENCE * 3)
            assert ready, f"{len(left)} have not read {mark}"
            for key, _ in ready:
                part = key.fileobj.recv(65536)
                assert part, self.tails[key.fileobj]
                self.tails[key.fileobj] = (self.tails[key.fileobj] + part)[-2000:]
                if mark in self.tails[key.fileobj]:
                    left.discard(key.fileobj)

    def close(self):
        for one in self.tails:
            one.close()
        self.selector.close()


def test_ten_thousand_hear_of_one_change(store):
    raise_files()
    web = Web(store, {"app": {}}, subscribers_max=THOUSANDS + 10).start().known()
    store.put("app", b"first\n")
    crowd = Crowd(str(web.path))
    try:
        while len(crowd.tails) < THOUSANDS:
            crowd.come(100)
            crowd.hear(b'"text":"first\\n"')
        store.put("app", b"second\n" * 100)
        crowd.hear(b'"seq":2')
        wait_until(lambda: store.platoon.workers()["web"]["counters"].get("web_subscribers", 0) >= THOUSANDS, 60 * SCALE, "all to be counted")
        assert web.ask("/data/plan/app").status == 200, "others are answered"
    finally:
        crowd.close()
    wait_until(lambda: store.platoon.workers()["web"]["counters"].get("web_subscribers", 0) == 0, 120, "all of them to be noticed as gone")
