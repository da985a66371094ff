"""What goes wrong over HTTP: a full disk, a resource that is not fresh, readers who break off in the midst (issue 16, HTTP; What goes wrong)."""
import os
import socket

import pytest
from health_client import get
from platoon_fixture import ASAN, Platoon, wait_until
from test_snapshot_git import gone
from test_snapshot_pulls import always, run, servers  # noqa: F401 (a fixture)
from test_snapshot_wrong import Small
from web_fixture import Web


@pytest.fixture
def platoon_kind(request):
    return Small if "disk" in request.node.name else Platoon


def test_a_full_disk_is_507_and_heals(store):
    store.platoon.mount("data")
    store.path = store.platoon.dir / "data/plan.git"
    web = Web(store, {"work": {"size_max": "1MB"}, "small": {}}, {"path": store.path}).start().known()
    assert web.ask("/data/plan/small", "PUT", b"1\n").status == 200
    kept = None
    for _ in range(20):
        data = os.urandom(300000)
        done = web.ask("/data/plan/work", "PUT", data)
        if done.status != 200:
            break
        kept = data
    assert done.status == 507 and "o space left" in done.json["error"] and done.headers["X-Content-Type-Options"] == "nosniff"
    ballast = store.platoon.dir / "data/ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        while True:
            os.write(fd, b"x" * 4096)
    os.close(fd)
    refused = web.ask("/data/plan/small", "PUT", b"2\n")
    assert refused.status == 507, refused.body
    wait_until(lambda: web.ask("/data/plan/work").body == kept, 60, "the newest that was accepted")
    assert web.ask("/data/plan/small").body == b"1\n", "reading goes on"
    ballast.unlink()
    healed = web.ask("/data/plan/small", "PUT", b"2\n")
    assert healed.status == 200 and healed.json["changed"] is True, "without a restart"
    store.platoon.read_only(True)
    refused = web.ask("/data/plan/small", "PUT", b"3\n")
    assert refused.status == 507 and "is read-only" in refused.json["error"], refused.body
    store.platoon.read_only(False)
    assert web.ask("/data/plan/small", "PUT", b"3\n").status == 200
    good, said = store.is_sound()
    assert good, said


def test_a_version_that_cannot_be_read_is_told_when_it_can(store):
    """Its object is missing when web comes, and is brought back: nobody waits for the next version."""
    web = Web(store, {"work": {}, "small": {}}).start().known()
    data = b"".join(b"line %d of many\n" % n for n in range(10000))
    assert store.ctl("stop", "web").returncode == 0
    path, object_bytes = gone(store, store.put("work", data)["blob"])
    assert store.ctl("start", "web").returncode == 0
    web.known()
    with web.read() as reader:
        reader.expect("hello", seq=0)
        wait_until(lambda: "web-version-unread store=plan resource=work" in store.platoon.log(), 60, "the warning")
        store.put("small", b"1\n")
        reader.expect("snapshot", resource="small", seq=2)
        path.write_bytes(object_bytes)
        assert reader.expect("snapshot", resource="work", seq=1)["text"] == data.decode()
    assert store.platoon.log().count("web-version-unread") == 1
    assert web.ask("/data/plan/work").body == data


def test_what_is_not_fresh_is_not_ready(store, servers):  # noqa: F811
    server = servers()
    server.answers["/"] = always(body=b"1\n")
    web = Web(store, {"raw": {"url": f"{server.url}/", "every": "1s", "fresh": "5s", "retry_min": "100ms", "retry_max": "200ms"}})
    store.platoon.config_path.write_text(web.text.replace("platoon {", f'platoon {{ health = "unix:{store.platoon.dir}/h.sock" '))
    store.platoon.start(ready=False)

    def status():
        return get(store.platoon, "/readyz")

    wait_until(lambda: (store.platoon.dir / "h.sock").exists() and status()[0] == 200, 60, "all to be ready")
    web.known()
    server.answers["/"] = always(500)

    def noticed():
        code, text = status()
        return code == 503 and "raw: no successful look for more than 5s: HTTP 500" in text

    wait_until(noticed, 60, "what is not fresh to be noticed")
    assert web.ask("/data/plan/raw").body == b"1\n", "what there is is served"
    assert {row["state"] for row in web.ask("/data/plan").json} <= {"failed", "running", "due"}
    server.answers["/"] = always(body=b"2\n")
    wait_until(lambda: status()[0] == 200, 60, "it to be fresh again")
    wait_until(lambda: web.ask("/data/plan/raw").body == b"2\n", 60, "the version")


def test_bodies_of_who_is_slow_have_a_bound(store):
    """Who sends a version and stops in the midst keeps what he has sent here, for ten seconds and within a bound of all."""
    web = Web(store, {"app": {}}).start().known()
    part = b"PUT /data/plan/app HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16000000\r\n\r\n" + bytes(12 << 20)
    stalled = []
    try:
        for _ in range(30):
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(60)
            one.connect(str(web.path))
            stalled.append(one)
            try:
                one.sendall(part)
            except OSError:
                pass  # it was closed meanwhile
        with open(f"/proc/{store.platoon.pid_of('web')}/status") as f:
            assert next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) < (1600 if ASAN else 400) << 10
        wait_until(lambda: web.ask("/data/plan/app", "PUT", b"on\n").status == 200, 60, "another to be served")
    finally:
        for one in stalled:
            one.close()


@pytest.mark.parametrize("said", [b"GET /data/plan/stream HTTP/1.1\r\nHo", b"PUT /data/plan/app HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf",
                                  b"POST /data/plan.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n0014"])
def test_who_breaks_off_leaves_nothing(store, said):
    web = Web(store, {"app": {}}).start().known()
    for _ in range(50):
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(web.path))
        one.sendall(said)
        one.close()
    files = f"/proc/{store.platoon.pid_of('web')}/fd"
    wait_until(lambda: len(os.listdir(files)) < 40, 60, "all of it to be closed")
    assert web.ask("/data/plan/app").status == 404 and store.json("list")[0]["state"] == "empty"
