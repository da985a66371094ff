"""Each change, as it happens: what readers of a store's stream are told (issue 16, Stream)."""
import json
import os
import pathlib
import signal
import subprocess
import threading

import pytest
from platoon_fixture import SCALE, wait_until
from web_fixture import Web, apply

LONG = "a line that nobody changes, and which is longer than what a splice says of it\n"
CLIENT = pathlib.Path(__file__).parent / "client.mjs"


@pytest.fixture
def web(store):
    return Web(store, {"app": {}, "raw": {}}, {"journal": "64KB"}).start().known()


def put(web, resource, text):
    return web.store.put(resource, text.encode() if isinstance(text, str) else text)


def test_from_the_start(web):
    first = put(web, "app", LONG + "1\n")
    wait_until(lambda: web.ask("/data/plan/app").status == 200, 60, "the first version")
    with web.read() as reader:
        assert reader.answer.headers["Content-Type"] == "text/event-stream"
        hello = reader.expect("hello", store="plan", seq=1, commit=first["commit"][:12], resources=["app", "raw"])
        assert hello["versions"] == [{"resource": "app", "seq": 1, "commit": first["commit"], "blob": first["blob"]}]
        start = reader.expect("snapshot", resource="app", seq=1, commit=first["commit"], blob=first["blob"], reason="start", text=LONG + "1\n")
        assert start["time"] == web.store.json("list")[0]["time"] and reader.id == f"1-{first['commit'][:12]}"
        put(web, "raw", "r\n")
        reader.expect("snapshot", resource="raw", seq=2, reason="first", text="r\n")
        third = put(web, "app", LONG + "2\nthree\n")
        change = reader.expect("change", resource="app", seq=3, prev=1, commit=third["commit"], blob=third["blob"])
        assert apply(start["text"], change["splices"]) == LONG + "2\nthree\n" and "text" not in change
        put(web, "app", b"\xff\x00")
        reader.expect("snapshot", resource="app", seq=4, reason="binary", base64="/wA=")


def test_as_much_as_is_wanted(web):
    put(web, "app", LONG)
    put(web, "raw", "r\n")
    wait_until(lambda: web.ask("/data/plan/raw").status == 200, 60, "the first versions")
    with web.read("/data/plan/stream?resource=raw,app&resource=raw&content=full") as full, web.read("/data/plan/stream?resource=app&content=none") as none:
        full.expect("hello", resources=["raw", "app"])
        full.expect("snapshot", resource="raw")
        full.expect("snapshot", resource="app", text=LONG)
        none.expect("hello", resources=["app"])
        assert none.expect("snapshot", resource="app").keys().isdisjoint({"text", "base64"})
        put(web, "raw", "r2\n")
        put(web, "app", LONG + "x\n")
        full.expect("change", resource="raw", seq=3, prev=2, text="r2\n")
        full.expect("change", resource="app", seq=4, prev=1, text=LONG + "x\n")
        assert none.expect("change", resource="app", seq=4, prev=1).keys().isdisjoint({"text", "splices"})
    for path, status in (("?resource=none", 404), ("?content=all", 400), ("?since=x", 400)):
        assert web.ask(f"/data/plan/stream{path}").status == status


def test_what_was_missed_is_made_up_for(web):
    put(web, "app", LONG)
    wait_until(lambda: web.ask("/data/plan/app").status == 200, 60, "the first version")
    with web.read() as reader:
        reader.expect("hello")
        reader.expect("snapshot", seq=1)
        put(web, "app", LONG + "2\n")
        reader.expect("change", seq=2, prev=1)
        last = reader.id
    put(web, "app", LONG + "3\n")
    put(web, "raw", "r\n")
    put(web, "app", LONG + "5\n")
    for headers, query in (({"Last_Event_ID": last}, ""), ({}, f"?since={last}")):
        with web.read(f"/data/plan/stream{query}", **headers) as again:
            again.expect("hello")
            again.expect("change", resource="app", seq=3, prev=2)
            again.expect("snapshot", resource="raw", seq=4, reason="first")
            again.expect("change", resource="app", seq=5, prev=3)
    with web.read(Last_Event_ID="2-000000000000") as other:
        other.expect("hello")
        other.expect("snapshot", resource="app", seq=5, reason="gap", text=LONG + "5\n")
        other.expect("snapshot", resource="raw", seq=4, reason="gap")
        assert other.id.startswith("5-")


def test_who_does_not_read_gets_the_newest(web):
    put(web, "app", "0\n")
    wait_until(lambda: web.ask("/data/plan/app").status == 200, 60, "the first version")
    with web.read("/data/plan/stream?resource=app&content=full") as reader:
        held = None
        for n in range(60):
            done = web.ask("/data/plan/app", "PUT", b"%d\n" % n + bytes(range(97, 123)) * 2000)
            assert done.status == 200
        seen = []
        while held != 61:
            event, data = reader.next()
            if event == "hello":
                continue
            assert event == "snapshot" or data["prev"] == held, (event, data["seq"], held)
            held = data["seq"]
            seen.append((event, data.get("reason")))
        assert ("snapshot", "slow") in seen
    def told():
        counters = web.store.platoon.workers()["web"]["counters"]
        return counters.get("web_resyncs_total", 0) >= 1 and counters["web_events_total"] >= len(seen)
    wait_until(told, 60, "the counters")


def test_streams_stay_open_while_the_store_is_away(web):
    put(web, "app", LONG)
    wait_until(lambda: web.ask("/data/plan/app").status == 200, 60, "the first version")
    with web.read() as reader:
        reader.expect("hello")
        reader.expect("snapshot", seq=1)
        assert web.store.ctl("stop", "snapshot/plan/store").returncode == 0
        assert web.ask("/data/plan/app").body == LONG.encode()
        assert web.ask("/data/plan/app", "PUT", b"x\n").status == 503
        assert [row["seq"] for row in web.ask("/data/plan").json if "seq" in row] == [1]
        for path, method in (("app/run", "POST"), ("app?at=0s", "GET"), ("app/log", "GET"), ("app/diff?from=1h", "GET"), ("raw", "GET")):
            away = web.ask(f"/data/plan/{path}", method)
            assert away.status == 503 and "store is away" in away.json["error"], (path, away.status, away.body)
        away = web.ask("/data/plan/app/whatif", "POST", json.dumps({"with": {"raw": "x"}}))
        assert away.status == 503 and "away" in away.json["error"], away.body
        assert web.store.ctl("start", "snapshot/plan/store").returncode == 0
        web.store.ready()
        for n in range(2, 6):
            os.kill(web.store.platoon.workers()["snapshot/plan/store"]["pid"], signal.SIGKILL)
            web.store.ready()
            wait_until(lambda n=n: web.ask("/data/plan/app", "PUT", (LONG + f"{n}\n").encode()).status == 200, 60, "a put")
            reader.expect("change", seq=n, prev=n - 1)


def test_readers_come_again_after_webs_death(web):
    put(web, "app", LONG)
    wait_until(lambda: web.ask("/data/plan/app").status == 200, 60, "the first version")
    with web.read() as reader:
        reader.expect("hello")
        reader.expect("snapshot", seq=1)
        last = reader.id
        os.kill(web.store.platoon.pid_of("web"), signal.SIGKILL)
        with pytest.raises((AssertionError, OSError)):
            reader.next()
    web.store.ready()
    web.known()
    with web.read(Last_Event_ID=last) as again:
        again.expect("hello", seq=1)
        put(web, "app", LONG + "2\n")
        again.expect("change", seq=2, prev=1)


def test_many_readers_hear_the_same(web):
    put(web, "app", LONG)
    wait_until(lambda: web.ask("/data/plan/app").status == 200, 60, "the first version")
    readers = [web.read() for _ in range(200)]
    for reader in readers:
        reader.expect("hello")
        reader.expect("snapshot", seq=1)
    for n in range(2, 12):
        put(web, "app", LONG + f"{n}\n")
    for reader in readers:
        for n in range(2, 12):
            reader.expect("change", seq=n, prev=n - 1)
        reader.close()
    wait_until(lambda: web.store.platoon.workers()["web"]["counters"].get("web_subscribers", 0) == 0, 60, "all of them to be noticed as gone")


def test_the_module_for_pages(web, tmp_path):
    """client.js in node: through a change, a kill of web, and changes meanwhile; what it shows is what there is."""
    put(web, "app", LONG + "1\n")
    wait_until(lambda: web.ask("/data/plan/app").status == 200, 60, "the first version")
    module = tmp_path / "client.mjs"
    module.write_bytes(web.ask("/data/client.js").body)
    node = subprocess.Popen(["node", CLIENT, module, str(web.path), "plan", "app"], stdout=subprocess.PIPE, text=True)
    timer = threading.Timer(120 * SCALE, node.kill)
    timer.start()

    def shows(seq, text):
        for line in node.stdout:
            said = json.loads(line)
            if said.get("seq") == seq:
                assert said["resource"] == "app" and said["text"] == text, said
                return
        raise AssertionError("it has ended")

    try:
        shows(1, LONG + "1\n")
        put(web, "app", LONG + "2\nb\n")
        shows(2, LONG + "2\nb\n")
        put(web, "app", "b\n" + LONG)
        shows(3, "b\n" + LONG)
        os.kill(web.store.platoon.pid_of("web"), signal.SIGKILL)
        web.store.ready()
        put(web, "app", LONG + "4\n")
        shows(4, LONG + "4\n")
        put(web, "app", LONG + "5\n")
        shows(5, LONG + "5\n")
    finally:
        timer.cancel()
        node.kill()
        node.wait()
        node.stdout.close()


def test_what_is_made_is_told_as_what_is_put(store):
    web = Web(store, {"raw": {}, "made": {"inputs": "raw", "command": "sed s/a/b/"}}).start().known()
    with web.read("/data/plan/stream?resource=made") as reader:
        reader.expect("hello", seq=0)
        store.put("raw", b"a\n")
        reader.expect("snapshot", resource="made", seq=2, reason="first", text="b\n")
