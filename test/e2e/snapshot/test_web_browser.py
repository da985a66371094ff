"""A page in a real browser: client.js puts together what comes, is closed while nobody looks, and catches up (issue 16, HTTP)."""
import http.client
import os
import signal

import pytest
from browser_fixture import Browser
from platoon_fixture import free_port, wait_until
from web_fixture import Web

LONG = "a line that nobody changes, and which is longer than what a splice says of it\n"
PAGE = """<!doctype html><title>plan</title><pre id=app></pre>
<script type=module>
import { subscribe } from "/data/client.js";
window.versions = []; window.states = [];
subscribe("plan", ["app"], (resource, text, version) => {
    document.getElementById(resource).textContent = text;
    window.versions.push(version.seq);
}, { onState: (state) => window.states.push(state) });
</script>"""


@pytest.fixture
def browser(tmp_path):
    browser = Browser(tmp_path)
    yield browser
    browser.close()


@pytest.fixture
def web(store):
    pages = store.platoon.dir / "public"
    pages.mkdir()
    (pages / "index.html").write_text(PAGE)
    port = free_port()
    web = Web(store, {"app": {}}, {"public": pages}, listen=f"127.0.0.1:{port}").start()
    web.url = f"http://localhost:{port}"
    web.port = port
    return web


def subscribers(web):
    return web.store.platoon.workers()["web"]["counters"].get("web_subscribers", 0)


def test_a_page_shows_what_there_is(web, browser):
    def shows(text):
        wait_until(lambda: browser.run("return document.getElementById('app').textContent") == text, 60, f"the page to show {text!r}")

    def put(text):
        return web.store.put("app", text.encode())["seq"]

    put(LONG + "1\n")
    wait_until(lambda: web.ask("/data/plan/app", connection=http.client.HTTPConnection("127.0.0.1", web.port)).status == 200, 60, "the version over HTTP")
    browser.open(f"{web.url}/pages/plan/")
    shows(LONG + "1\n")
    put(LONG + "2\nb\n")
    shows(LONG + "2\nb\n")
    put("b\n" + LONG + "ü\n")
    shows("b\n" + LONG + "ü\n")
    assert browser.run("return window.versions") == [1, 2, 3] and browser.run("return window.states") == ["open"]
    wait_until(lambda: subscribers(web) == 1, 60, "the page to be counted")

    browser.minimize()
    wait_until(lambda: browser.run("return document.hidden"), 60, "the page to be hidden")
    wait_until(lambda: browser.run("return window.states").count("hidden") == 1, 60, "it to know")
    wait_until(lambda: subscribers(web) == 0, 60, "its connection to be closed")
    for n in range(4, 8):
        put(LONG + f"{n}\n")
    assert browser.run("return window.versions") == [1, 2, 3], "nothing comes while nobody looks"

    browser.restore()
    wait_until(lambda: not browser.run("return document.hidden"), 60, "the page to be seen")
    shows(LONG + "7\n")
    assert browser.run("return window.versions") == [1, 2, 3, 4, 5, 6, 7], "what it has missed, and no more"

    os.kill(web.store.platoon.pid_of("web"), signal.SIGKILL)
    web.store.ready()
    put(LONG + "8\n")
    shows(LONG + "8\n")
    assert "away" in browser.run("return window.states") and browser.run("return window.states.at(-1)") == "open"


def test_what_a_resource_says_does_nothing(web, browser):
    """A resource that is HTML is shown in a sandbox: its script does not run, and it is of no origin."""
    text = web.text.replace("resource app {", "resource app { path = app.html ")
    web.store.platoon.config_path.write_text(text)
    assert web.store.platoon.ctl("reload").returncode == 0
    web.store.ready()
    web.store.put("app", b"<title>quiet</title><script>document.title = 'loud'</script><h1 id=x>shown</h1>")

    def known():
        connection = http.client.HTTPConnection("127.0.0.1", web.port)
        return web.ask("/data/plan/app", connection=connection).status == 200

    wait_until(known, 60, "the version over HTTP")
    browser.open(f"{web.url}/data/plan/app")
    assert browser.ask("GET", "/title") == "quiet"
    assert "shown" in browser.ask("GET", "/source")


def test_a_browsers_websocket(web, browser):
    web.store.put("app", LONG.encode())
    browser.open(f"{web.url}/pages/plan/")
    browser.run(f"window.told = []; window.socket = new WebSocket('ws://localhost:{web.port}/data/plan/stream?resource=app'); window.socket.onmessage = (m) => told.push(JSON.parse(m.data));")
    wait_until(lambda: browser.run("return told.length") == 2, 60, "the first of it")
    web.store.put("app", (LONG + "2\n").encode())
    wait_until(lambda: browser.run("return told.length") == 3, 60, "the change")
    assert browser.run("return told.map((m) => m.event)") == ["hello", "snapshot", "change"]
    browser.run("socket.onclose = (e) => { window.ended = e.code; }; socket.close(1000)")
    wait_until(lambda: browser.run("return window.ended") == 1000, 60, "its end")
