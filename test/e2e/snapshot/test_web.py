"""Snapshots over HTTP: what there is, versions, puts, who may, and pages (issue 16, HTTP: worker web)."""
import base64
import http.client
import json
import time

import pytest
from platoon_fixture import free_port, wait_until
from web_fixture import Web

ANNA, BOT = "anna-0123456789abcdef", "bot-0123456789abcdefgh"


@pytest.fixture
def web(store):
    return Web(store, {"app": {"path": "out/app.tsv"}, "raw": {"size_max": "2MB"}}).start().known()


def newest(web, resource, text):
    wait_until(lambda: web.ask(f"/data/plan/{resource}").body == text, 60, f"{resource} over HTTP")


def test_a_type_of_its_own(store):
    web = Web(store, {"app": {"path": "app.tsv", "type": "text/csv; header=absent"}}).start().known()
    web.store.put("app", b"a,1\n")
    newest(web, "app", b"a,1\n")
    assert web.ask("/data/plan/app").headers["Content-Type"] == "text/csv; header=absent"


def test_no_answer_is_guessed_at(web):
    """Whatever is answered, no browser takes it for something else; and an error is JSON that says why."""
    put = web.store.put("app", b"a\t1\n")
    newest(web, "app", b"a\t1\n")
    for path, method, headers, status in (
            ("/data", "GET", {}, 200), ("/data/plan", "GET", {}, 200), ("/data/plan/app", "GET", {}, 200), ("/data/plan/app", "HEAD", {}, 200),
            ("/data/plan/app", "GET", {"If-None-Match": f'"{put["blob"]}"'}, 304), (f"/data/plan/app?at={put['commit']}", "GET", {}, 200),
            ("/data/plan/app/log", "GET", {}, 200), (f"/data/plan/app/diff?from={put['commit']}", "GET", {}, 200), ("/data/client.js", "GET", {}, 200),
            ("/data/plan/nobody", "GET", {}, 404), ("/data/nobody", "GET", {}, 404), ("/", "GET", {}, 404), ("/data/plan/app", "DELETE", {}, 405),
            ("/data/plan/app?at=zz", "GET", {}, 400), ("/data/plan/app", "PUT", {"If-Match": '"0000"'}, 412), ("/data/plan/app/run", "POST", {}, 409)):
        answer = web.ask(path, method, body=b"b\n" if method == "PUT" else None, **headers)
        assert answer.status == status and answer.headers["X-Content-Type-Options"] == "nosniff", (path, method, answer.status, answer.headers, answer.body)
        if status >= 400:
            assert answer.headers["Content-Type"] == "application/json" and answer.json["error"], (path, answer.body)


def test_versions_over_http(web):
    assert web.ask("/data/plan/app").status == 404
    first = web.store.put("app", b"a\t1\n")
    newest(web, "app", b"a\t1\n")
    answer = web.ask("/data/plan/app")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/tab-separated-values; charset=utf-8"
    assert answer.headers["ETag"] == f'"{first["blob"]}"' and answer.headers["X-Platoon-Commit"] == first["commit"]
    assert answer.headers["X-Platoon-Seq"] == "1" and answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    told = time.mktime(time.strptime(answer.headers["Last-Modified"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
    assert told == int(web.store.git("log", "-1", "--format=%ct", "main"))
    again = web.ask("/data/plan/app", If_None_Match=f'W/"x", "{first["blob"]}"')
    assert again.status == 304 and again.body == b"" and again.headers["ETag"] == answer.headers["ETag"]
    head = web.ask("/data/plan/app", "HEAD")
    assert head.status == 200 and head.body == b"" and head.headers["Content-Length"] == "4"
    web.store.put("app", b"a\t2\n")
    newest(web, "app", b"a\t2\n")
    old = web.ask(f"/data/plan/app?at={first['commit'][:10]}")
    assert old.status == 200 and old.body == b"a\t1\n" and old.headers["X-Platoon-Seq"] == "1"
    told = ("Content-Type", "ETag", "X-Platoon-Commit", "X-Platoon-Seq", "Last-Modified", "Content-Security-Policy", "X-Content-Type-Options")
    for method, headers, status in (("HEAD", {}, 200), ("GET", {"If_None_Match": f'"{first["blob"]}"'}, 304), ("GET", {}, 200)):
        same = web.ask(f"/data/plan/app?at={first['commit']}", method, **headers)
        assert (same.status, same.body) == (status, b"a\t1\n" if status == 200 and method == "GET" else b""), (method, same.status)
        assert {name: same.headers[name] for name in told} == {name: answer.headers[name] for name in told} == {name: again.headers[name] or answer.headers[name] for name in told}
    assert web.ask("/data/plan/app?at=0s").body == b"a\t2\n" and web.ask("/data/plan/app?at=1h").status == 404
    assert web.ask("/data/plan/app", If_None_Match=f'"{first["blob"]}"').status == 200
    assert web.ask("/data/plan/app?at=nonsense!").status == 400
    assert web.ask("/data/plan/app?at=0123456789").status == 404


def test_lists_log_and_diff(web):
    for n in range(3):
        web.store.put("app", b"one\n%d\n" % n)
    rows = web.ask("/data/plan").json
    assert rows == web.store.json("list", "plan") == web.ask("/data").json
    log = web.ask("/data/plan/app/log?limit=2&before=3").json
    assert [row["seq"] for row in log] == [2, 1] == [row["seq"] for row in web.store.json("log", "app", "--before", "3")]
    diff = web.ask(f"/data/plan/app/diff?from={log[1]['commit']}&to={log[0]['commit']}")
    assert diff.status == 200 and diff.body.decode().splitlines()[-3:] == [" one", "-0", "+1"]
    for path, status in (("/data/plan/app/diff", 400), ("/data/plan/app/log?limit=0", 400), ("/data/plan/nothing", 404), ("/data/nothing", 404),
                         ("/nothing", 404), ("/data/plan/app/nothing", 404)):
        answer = web.ask(path)
        assert answer.status == status and answer.json["error"], (path, answer.status)
    answer = web.ask("/data/plan/app", "DELETE")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD, PUT"


def test_put(web):
    done = web.ask("/data/plan/raw", "PUT", b"1\n")
    assert done.status == 200 and done.json["changed"] is True and done.json["seq"] == 1
    assert web.store.get("raw") == b"1\n" and web.store.json("log", "raw")[0]["by"] == "web"
    assert web.ask("/data/plan/raw", "PUT", b"1\n").json == done.json | {"changed": False}
    tag = f'"{done.json["blob"]}"'
    second = web.ask("/data/plan/raw", "PUT", b"2\n", If_Match=tag)
    assert second.status == 200 and second.json["seq"] == 2
    late = web.ask("/data/plan/raw", "PUT", b"3\n", If_Match=tag)
    assert late.status == 412 and "newest version" in late.json["error"]
    assert web.ask("/data/plan/raw", "PUT", b"3\n", If_Match='"x"').status == 412
    assert web.ask("/data/plan/app", "PUT", b"3\n", If_Match="*").status == 412
    assert web.ask("/data/plan/raw", "PUT", b"3\n", If_Match="*").status == 200
    assert web.ask("/data/plan/raw", "PUT", b"").status == 422
    large = bytes(range(256)) * 4096
    assert web.ask("/data/plan/raw", "PUT", large).json["seq"] == 4
    assert web.store.get("raw") == large
    newest(web, "raw", large)
    assert web.ask("/data/plan/raw", "PUT", large + large + b"x").status == 413
    larger = web.ask("/data/plan/raw", "PUT", bytes(21 << 20))
    assert larger.status == 413 and larger.json["error"] == "the body is too large"
    assert web.ask("/data/plan/nothing", "PUT", b"x").status == 404


def test_what_is_made(store):
    web = Web(store, {"raw": {}, "up": {"inputs": "raw", "command": "/usr/bin/tr a-z A-Z"}, "bad": {"inputs": "raw", "command": "/bin/false"},
                      "held": {"inputs": "bad", "command": "cat"}}).start().known()
    assert web.ask("/data/plan/raw", "PUT", b"walrus\n").status == 200
    newest(web, "up", b"WALRUS\n")
    done = web.ask("/data/plan/up/run", "POST")
    assert done.status == 200 and done.json["result"] == "unchanged", done.body
    failed = web.ask("/data/plan/bad/run", "POST")
    assert failed.status == 502 and "exit 1" in failed.json["error"], failed.body
    held = web.ask("/data/plan/held/run", "POST")
    assert held.status == 502 and held.json["error"] == "held: waits for bad, which failed", held.body
    assert set(done.json) == {"result", "seq", "commit", "blob"}
    assert web.ask("/data/plan/up", "PUT", b"x\n").status == 409
    assert web.ask("/data/plan/raw/run", "POST").status == 409
    assert web.ask("/data/plan/up/run").status == 405


def test_tokens(store):
    tokens = store.platoon.dir / "tokens"
    tokens.write_text(f"anna act {ANNA}\nbot read {BOT}\n")
    tokens.chmod(0o600)
    web = Web(store, {"app": {}}, token_file=tokens).start().known(Authorization=f"Bearer {BOT}")
    for path in ("/data", "/data/plan", "/data/plan/app", "/data/plan/stream", "/data/plan/nothing", "/data/nothing", "/nothing"):
        answer = web.ask(path)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Basic "), path
        assert web.ask(path, Authorization="Bearer wrong-0123456789abcdef").status == 401, path
    assert web.ask("/data/client.js").status == 200
    assert web.ask("/data/plan/app", "PUT", b"x\n", Authorization=f"Bearer {BOT}").status == 403
    assert web.ask("/data/plan/app", "PUT", b"x\n").status == 401
    basic = base64.b64encode(f"git:{ANNA}".encode()).decode()
    assert web.ask("/data/plan/app", "PUT", b"x\n", Authorization=f"Basic {basic}").json["seq"] == 1
    assert store.json("log", "app")[0]["by"] == "anna"
    wait_until(lambda: web.ask("/data/plan/app", Authorization=f"Bearer {BOT}").body == b"x\n", 60, "the version")
    tokens.write_text(f"anna act {ANNA}\n")
    wait_until(lambda: web.ask("/data", Authorization=f"Bearer {BOT}").status == 401, 60, "the file to be read again")
    assert web.ask("/data", Authorization=f"Bearer {ANNA}").status == 200


def test_pages_and_lists_of_open_stores_and_of_others(store):
    """Who has no token sees the open ones, and that there are others it does not see."""
    tokens, pages = store.platoon.dir / "tokens", store.platoon.dir / "public"
    tokens.write_text(f"anna act {ANNA}\nbot read {BOT}\n")
    tokens.chmod(0o600)
    pages.mkdir()
    (pages / "index.html").write_text("<h1>plan</h1>")
    store.platoon.config_path.write_text(
        f"platoon {{ runtime_dir = run  state_dir = state }}\nsnapshot shut {{ public = {pages} }}\nsnapshot plan {{ open = true  public = {pages} }}\n"
        f"resource a {{ snapshot = shut }}\nresource b {{ snapshot = plan }}\nweb {{ listen = \"unix:{store.platoon.dir}/web.sock\"  token_file = {tokens} }}\n")
    store.platoon.start()
    web = Web.__new__(Web)
    web.store, web.dir, web.path = store, store.platoon.dir, store.platoon.dir / "web.sock"
    web.known()
    assert [row["store"] for row in web.ask("/data").json] == ["plan"]
    basic = {"Authorization": "Basic " + base64.b64encode(f":{BOT}".encode()).decode()}
    assert [row["store"] for row in web.ask("/data", **basic).json] == ["shut", "plan"]
    for path in ("/pages/shut/", "/pages/shut/index.html", "/pages/shut", "/data/shut", "/data/shut/a", "/data/shut/a/log", "/data/shut/a/diff?from=1h", "/data/shut/stream",
                 "/data/shut.git/info/refs?service=git-upload-pack"):
        assert web.ask(path).status == 401, path
        if not path.endswith("/stream"):  # which has no end
            assert web.ask(path, **basic).status in (200, 308, 404), path
    assert web.ask("/data/shut/a/whatif", "POST", b"{}").status == 401 and web.ask("/data/shut/a/whatif", "POST", b"{}", **basic).status == 400
    assert web.ask("/pages/plan/").body == b"<h1>plan</h1>"
    for method, path in (("PUT", "/data/plan/b"), ("POST", "/data/plan/b/run")):
        assert web.ask(path, method, b"x\n").status == 401 and web.ask(path, method, b"x\n", **basic).status == 403, path
        assert web.ask(path, method, b"x\n", Authorization=f"Bearer {ANNA}").status in (200, 409), path


def test_open_stores_take_no_token(store):
    tokens = store.platoon.dir / "tokens"
    tokens.write_text(f"anna act {ANNA}\n")
    tokens.chmod(0o600)
    web = Web(store, {"app": {}}, {"open": "true"}, token_file=tokens).start().known()
    assert web.ask("/data/plan/app").status == 404 and web.ask("/data").status == 200
    assert web.ask("/data/plan/app", "PUT", b"x\n").status == 401
    assert web.ask("/data/plan", Authorization="Bearer wrong-0123456789abcdef").status == 401, "a wrong one is wrong"


@pytest.mark.parametrize("text, mode, why", [(f"anna act {ANNA}\n", 0o644, "chmod 600"), ("anna act short\n", 0o600, "tokens:1:"), (None, 0, "tokens: ")])
def test_a_token_file_that_is_none(store, text, mode, why):
    tokens = store.platoon.dir / "tokens"
    if text is not None:
        tokens.write_text(text)
        tokens.chmod(mode)
    Web(store, {"app": {}}, token_file=tokens)
    store.platoon.start(ready=False)
    wait_until(lambda: store.platoon.workers()["web"]["state"] == "FATAL", 60, "the end of web")
    assert why in json.dumps(store.platoon.status("web")), store.platoon.status("web")


def test_pages_of_elsewhere_may_not_ask(store):
    port = free_port()
    web = Web(store, {"app": {}}, listen=f"127.0.0.1:{port}").start()

    def ask(**headers):
        return web.ask("/data", connection=http.client.HTTPConnection("127.0.0.1", port), **headers)

    assert ask().status == 200
    assert ask(Host=f"localhost:{port}", Origin=f"http://localhost:{port}").status == 200
    assert ask(Origin="http://evil.example").status == 403
    assert ask(Origin="null").status == 403
    assert ask(Host="evil.example").status == 421


def test_pages(store):
    pages = store.platoon.dir / "public"
    (pages / "sub").mkdir(parents=True)
    (pages / "index.html").write_text("<h1>plan</h1>")
    (pages / ".secret").write_text("no")
    (pages / "sub/a.js").write_text("1")
    web = Web(store, {"app": {}}, {"public": pages}).start()
    index = web.ask("/pages/plan/")
    assert index.status == 200 and index.body == b"<h1>plan</h1>"
    assert index.headers["Content-Security-Policy"] == "default-src 'self' 'unsafe-inline' data:"
    assert web.ask("/pages/plan").headers["Location"] == "/pages/plan/"
    assert web.ask("/pages/plan/sub/a.js").headers["Content-Type"].startswith("text/javascript")
    for path in ("/pages/plan/.secret", "/pages/plan/../platoon.conf", "/pages/plan/%2e%2e/platoon.conf", "/pages/plan/none", "/pages/none/"):
        assert web.ask(path).status == 404, path


def test_listens_on_this_machine_only(store):
    web = Web(store, {"app": {}}, listen="0.0.0.0:9180")
    done = store.platoon.ctl("check", str(store.platoon.config_path))
    assert done.returncode == 78 and "can be reached from other machines" in done.stderr + done.stdout and web.text
