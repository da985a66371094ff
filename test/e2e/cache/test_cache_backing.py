"""Backing workers under a platoon: a directory and a real S3 server (Debian's radosgw) behind them, in front a worker of the tests in the
node's place (far_node.c), which asks them by cache_far and keeps nothing."""
import http.server
import os
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from platoon_fixture import BUILD, SCALE, freeze, section, wait_until
from radosgw_fixture import SECRET

TAKES = 110

NODE = "cache/sessions/node.1"
ONE, TWO = "cache/sessions/backing.1", "cache/sessions/backing.2"
LATE = "no answer for 3000 ms"
SOON = ("--timeout", "5s")  # for what no answer may come to


@pytest.fixture
def behind(platoon):
    """Configures a platoon with one cache and the store of these keys; `workers`: its backing workers, `cache`: more of its own."""
    def configure(workers=1, start=True, cache=None, **store):
        libexec = platoon.dir / "libexec"
        if not libexec.exists():
            shutil.copytree(BUILD / "libexec/platoon", libexec)
            shutil.copy(BUILD / "test/e2e/far_node", libexec / "cache-node")
        platoon.config_path.write_text(
            section("platoon", {"runtime_dir": "run", "state_dir": "state", "libexec_dir": libexec, "backoff_min": "20ms"})
            + section("store objects", {"retry_max": "200ms", "timeout": "5s", **store})
            + section("cache sessions", {"listen": f"unix:{platoon.dir}/c.sock", "store": "objects", "backing.workers": workers, **(cache or {})}))
        return platoon.start() if start else platoon
    return configure


@pytest.fixture
def s3(behind, rgw, platoon):
    """The same with a bucket, and where its credentials are."""
    credentials = rgw.credentials(platoon.dir / "aws")

    def configure(bucket="bucket", **keys):
        return behind(**{"type": "s3", "url": f"{rgw.url}/{bucket}/{platoon.dir.name}", "credentials_file": credentials, **keys})
    configure.credentials = credentials
    return configure


def put(platoon, key, value, *options):
    return platoon.ctl(*options, "cache", "set", "sessions", key, value)


def get(platoon, key, *options):
    """The stand-in waits for 3 s only: what is late on a busy machine, and not refused, is asked for again."""
    def ask():
        done = platoon.ctl(*options, "cache", "get", "sessions", key)
        return None if not options and LATE in done.stderr else done
    done = wait_until(ask, 60, f"{key} in time")
    return done.stdout.rstrip("\n") if done.returncode == 0 else done.stdout.strip() + done.stderr


def stored(platoon, key, value, timeout=60):
    """Once it can be; then it can be read."""
    wait_until(lambda: put(platoon, key, value).returncode == 0, timeout, f"{key} to be stored")
    assert get(platoon, key) == value


def well(platoon):
    wait_until(lambda: platoon.ctl("status").returncode == 0, 60, "platoon to be ready")


def lives(platoon):
    """Put, load, delete, by way of messages."""
    assert get(platoon, "k") == "ko"
    stored(platoon, "k", "v1")
    stored(platoon, "k", "v2")
    stored(platoon, "empty", "")
    value = "x" * 900_000
    stored(platoon, "large", value[:100_000])
    wait_until(lambda: platoon.ctl("cache", "del", "sessions", "k").returncode == 0, 60, "k to be deleted")
    assert get(platoon, "k") == "ko"
    stored(platoon, "k", "v3")
    wait_until(lambda: platoon.ctl("send", NODE, '"check"').returncode == 0, 60, "the check")


def many(platoon, count):
    return subprocess.Popen([BUILD / "platoonctl", "-s", platoon.dir / "run/control.sock", "--timeout", f"{60 * SCALE}s", "send", NODE, str(count)],
                            stdout=subprocess.PIPE, text=True)


def counted(platoon, name, worker=ONE):
    return platoon.workers()[worker]["counters"].get(name, 0)


def killed_while_it_stores(platoon, count, begun):
    """
    Kill -9 of both workers in the middle: what they were asked for is put again. begun(): some are stored, from the last number on. One of the two
    stands still until the other is killed: else a moment in which this process does not run may be all the time that it takes.
    """
    before = [platoon.workers()[worker] for worker in (ONE, TWO)]
    freeze(before[1]["pid"])
    storing = many(platoon, count)
    wait_until(begun, 20, "some to be stored")
    os.kill(before[0]["pid"], signal.SIGKILL)
    assert storing.poll() is None
    os.kill(before[1]["pid"], signal.SIGCONT)
    os.kill(before[1]["pid"], signal.SIGKILL)
    for worker in before:
        platoon.replaced(worker)
    out = storing.communicate(timeout=60 * SCALE)[0].split()
    assert out[0] == "again" and int(out[1]) > 0


# ---- a directory ----

@pytest.fixture
def objects(platoon):
    (platoon.dir / "objects").mkdir()
    return platoon.dir / "objects"


def names(objects):
    return {p.name for p in objects.glob("??/*") if not p.name.startswith(".")}


def test_a_directory(behind, platoon, objects):
    behind(type="file", path=objects)
    lives(platoon)
    counters = wait_until(lambda: counted(platoon, "cache_backing_stored_total") >= 6 and platoon.workers()[ONE]["counters"])
    assert counters["cache_backing_loaded_total"] >= 6
    assert counters["cache_backing_bytes_total"] > 100_000
    assert "cache_backing_errors_total" not in counters
    (entry,) = objects.glob("??/k")
    assert entry.read_bytes() == b"v3" and os.getxattr(entry, "user.platoon").startswith(b"v=")


def test_killed_workers_of_a_directory(behind, platoon, objects):
    behind(workers=2, type="file", path=objects)
    node = platoon.pid_of(NODE)
    killed_while_it_stores(platoon, 4000, lambda: names(objects))
    assert names(objects) == {f"many%2F{i}" for i in range(1, 4001)}
    assert platoon.pid_of(NODE) == node
    well(platoon)


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_the_largest_all_at_once(request, platoon, kind):
    """More than fits into a worker's queue at a time, either way."""
    if kind == "file":
        request.getfixturevalue("behind")(cache={"object_max": "20MB"}, type="file", path=request.getfixturevalue("objects"), timeout="60s")
    else:
        request.getfixturevalue("s3")(cache={"object_max": "20MB"}, timeout="60s")
    pids = platoon.pid_of(NODE), platoon.pid_of(ONE)
    done = platoon.ctl("--timeout", "120s", "send", NODE, '"large"')
    assert done.stdout == "again 0\n", done.stderr
    assert (platoon.pid_of(NODE), platoon.pid_of(ONE)) == pids and "answer-lost" not in platoon.log()


def test_none_is_running(behind, platoon, objects):
    behind(type="file", path=objects)
    stored(platoon, "k", "v")
    assert platoon.ctl("stop", ONE).returncode == 0
    said = get(platoon, "k")
    assert f"{ONE}: no backing worker of this cache is running" in said and f"platoonctl start {ONE}" in said
    assert platoon.ctl("start", ONE).returncode == 0
    assert get(platoon, "k") == "v"


def test_another_number_of_workers(behind, platoon, objects):
    behind(type="file", path=objects)
    for i in range(20):
        stored(platoon, f"k{i}", str(i))
    assert platoon.ctl("scale", "cache/sessions/backing", "3").returncode == 0
    well(platoon)
    for i in range(20):
        assert get(platoon, f"k{i}") == str(i)
        stored(platoon, f"k{i}", f"new {i}")
    assert platoon.ctl("scale", "cache/sessions/backing", "1").returncode == 0
    for i in range(20):
        assert get(platoon, f"k{i}") == f"new {i}"


def test_a_directory_that_comes_and_goes(behind, platoon):
    """Known before the start, in trouble while it is not there, and mended by making it."""
    path = platoon.dir / "objects"
    behind(start=False, type="file", path=path)
    done = platoon.ctl("check", str(platoon.config_path))
    assert done.returncode == 0 and f"warning: path: {path}: No such file or directory" in done.stdout + done.stderr
    platoon.start_troubled()
    assert f"{ONE}: store objects: {path}: No such file or directory: make the directory" in platoon.problems()
    assert "No such file or directory: make the directory" in put(platoon, "k", "v").stderr
    path.mkdir()
    well(platoon)
    stored(platoon, "k", "v")
    path.rename(platoon.dir / "elsewhere")
    assert "make the directory" in get(platoon, "k")
    wait_until(lambda: "make the directory" in platoon.problems(), 10, "the trouble")
    (platoon.dir / "elsewhere").rename(path)
    well(platoon)
    assert get(platoon, "k") == "v"


def test_an_empty_mount_point(behind, platoon, objects):
    """What was mounted at path is gone, while platoon runs and over a start: nothing is absent, and nothing is written below."""
    behind(type="file", path=objects)
    stored(platoon, "k", "v")
    objects.rename(platoon.dir / "elsewhere")
    objects.mkdir()
    for _ in range(2):
        assert "has lost its mark" in get(platoon, "k")
        assert "has lost its mark" in put(platoon, "k", "mine").stderr
        wait_until(lambda: "mount what belongs there" in platoon.problems(), 10, "the trouble")
        assert not list(objects.iterdir())
        platoon.stop()
        platoon.start_troubled()
    objects.rmdir()
    (platoon.dir / "elsewhere").rename(objects)
    well(platoon)
    assert get(platoon, "k") == "v"
    (objects / ".platoon").unlink()
    assert f"touch {objects}/.platoon" in get(platoon, "k")
    (objects / ".platoon").touch()
    well(platoon)
    stored(platoon, "k", "v2")


def test_a_disk_that_does_not_keep_attributes(behind, platoon, root):
    """What could not be kept there, versions, is found out, and no start helps: exit code 78."""
    path = platoon.dir / "ramfs"
    path.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "none", path], check=True)
    try:
        behind(start=False, type="file", path=path)
        platoon.start(ready=False)
        wait_until(lambda: "exit 78" in platoon.log(), 10, "the refusal")
        assert "must lie on a file system with locks and user attributes" in platoon.problems()
    finally:
        platoon.stop()
        subprocess.run(["umount", path], check=True)


# ---- S3 ----

def test_a_bucket(s3, platoon, rgw):
    s3()
    lives(platoon)
    status, headers, body = rgw.ask("GET", f"/bucket/{platoon.dir.name}/k")
    assert (status, body) == (200, b"v3") and headers["x-amz-meta-platoon"].startswith("v=")


def test_no_secret_is_shown(s3, platoon):
    s3()
    shown = subprocess.run([BUILD / "platoon", "-c", platoon.config_path, "--print-config"], capture_output=True, text=True, check=True).stdout
    assert str(s3.credentials) in shown and "region = " in shown
    shown += platoon.log() + str(platoon.tree()) + str(platoon.status(ONE))
    shown += subprocess.run([BUILD / "platoonctl", "check", platoon.config_path], capture_output=True, text=True, check=True).stdout
    assert SECRET not in shown


def test_killed_workers_of_a_bucket(s3, platoon, rgw):
    s3(workers=2)
    killed_while_it_stores(platoon, 4000, lambda: any(rgw.ask("HEAD", f"/bucket/{platoon.dir.name}/many/{i}")[0] == 200 for i in range(3940, 3960)))
    for i in range(1, 4001, 97):
        assert rgw.ask("GET", f"/bucket/{platoon.dir.name}/many/{i}")[0] == 200
    well(platoon)


def test_a_wrong_key_that_is_mended(s3, platoon, rgw):
    s3.credentials.write_text(s3.credentials.read_text().replace(SECRET, "another"))
    s3(start=False)
    platoon.start_troubled()
    assert f"{ONE}: store objects: " in platoon.problems() and "aws_secret_access_key" in platoon.problems()
    assert "aws_secret_access_key" in put(platoon, "k", "v").stderr
    rgw.credentials(s3.credentials)
    well(platoon)
    stored(platoon, "k", "v")


def test_credentials_that_others_can_read(s3, platoon, rgw):
    s3.credentials.chmod(0o644)
    s3(start=False)
    done = platoon.ctl("check", str(platoon.config_path))
    assert done.returncode == 0 and f"chmod 600 {s3.credentials}" in done.stdout + done.stderr
    platoon.start_troubled()
    assert f"can be read by others: chmod 600 {s3.credentials}" in platoon.problems()
    s3.credentials.unlink()
    wait_until(lambda: "No such file" in platoon.problems(), 10, "the other trouble")
    rgw.credentials(s3.credentials)
    well(platoon)
    stored(platoon, "k", "v")


def test_a_bucket_that_is_made(s3, platoon, rgw):
    bucket = f"{platoon.dir.name.lower().replace('_', '-')}-new"  # whose name may not end in "-"
    s3(bucket=bucket, start=False)
    platoon.start_troubled()
    assert "make the bucket" in platoon.problems()
    assert "make the bucket" in get(platoon, "k"), "and not ko"
    assert rgw.ask("PUT", f"/{bucket}")[0] == 200
    well(platoon)
    stored(platoon, "k", "v")


def test_a_server_that_is_killed_and_comes_back(s3, platoon, rgw):
    s3()
    stored(platoon, "k", "v1")
    rgw.kill_gateway()
    try:
        assert rgw.url in put(platoon, "k", "v2").stderr
        assert rgw.url in get(platoon, "k")
        wait_until(lambda: rgw.url in platoon.problems(), 20, "the trouble")
        assert platoon.workers()[ONE]["restarts"] == 0
    finally:
        rgw.start_gateway()
        rgw.wait()
    well(platoon)
    stored(platoon, "k", "v2")


def test_a_server_that_does_not_answer(behind, platoon):
    """READY with what is wrong, in spite of a server that takes connections and says nothing."""
    credentials = platoon.dir / "aws"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    credentials.chmod(0o600)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/bucket"
        behind(start=False, type="s3", url=url, credentials_file=credentials, timeout="1s")
        platoon.start_troubled()
        assert f"{url}" in platoon.problems()
        assert url in get(platoon, "k")


class Careless(http.server.BaseHTTPRequestHandler):
    """An S3 server that reads neither signatures nor conditions."""
    objects = {}
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", headers=None, length=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.objects[self.path] = (body, self.headers["x-amz-meta-platoon"])
        self.answer(200, headers={"ETag": f'"{hash(body):032x}"'})

    def do_GET(self):
        if self.path not in self.objects:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>" if self.command == "GET" else b"")
        body, meta = self.objects[self.path]
        headers = {"ETag": f'"{hash(body):032x}"', **({"x-amz-meta-platoon": meta} if meta else {})}
        return self.answer(200, body if self.command == "GET" else b"", headers, len(body))

    do_HEAD = do_GET

    def do_DELETE(self):
        self.objects.pop(self.path, None)
        self.answer(204)

    def log_message(self, *_):
        pass


@pytest.fixture
def careless():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Careless)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/bucket"
    server.shutdown()
    server.server_close()


def test_a_server_that_ignores_conditions(behind, platoon, careless):
    """Refused for good, unless a person says that it may be so."""
    credentials = platoon.dir / "aws"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    credentials.chmod(0o600)
    behind(start=False, type="s3", url=careless, credentials_file=credentials)
    platoon.start(ready=False)
    wait_until(lambda: "exit 78" in platoon.log(), 20, "the refusal")
    assert "conditional = false" in platoon.problems()
    behind(start=False, type="s3", url=careless, credentials_file=credentials, conditional=False)
    assert platoon.ctl("reload").returncode == 0
    well(platoon)
    stored(platoon, "k", "v1")
    stored(platoon, "k", "v2")


class Moody(Careless):
    """The same with a mood: (status, body) that is answered to all in S3's place, or "hang"."""
    objects = {}
    mood = None

    def parse_request(self):
        if not super().parse_request():
            return False
        mood = Moody.mood
        if mood is None:
            return True
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        if mood == "hang":
            wait_until(lambda: Moody.mood != "hang", 60, "another mood")
            self.close_connection = True
        else:
            self.answer(mood[0], b"" if self.command == "HEAD" else mood[1], length=len(mood[1]))
        return False


@pytest.fixture
def moody(behind, platoon):
    Moody.mood, Moody.objects = None, {}
    credentials = platoon.dir / "aws"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    credentials.chmod(0o600)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    behind(type="s3", url=f"http://127.0.0.1:{server.server_port}/bucket", credentials_file=credentials, conditional=False, timeout="60s")
    yield Moody
    Moody.mood = None
    server.shutdown()
    server.server_close()


def xml(code):
    return f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()


@pytest.mark.parametrize("status,body,says", [
    (404, b"default backend", "S3 says 404, without an error of S3's"),
    (405, b"<html>", "S3 says 405"),
    (413, b"<html>", "client_max_body_size"),
    (400, xml("InvalidRequest"), "S3 says 400 InvalidRequest"),
    (503, xml("SlowDown"), "S3 says 503 SlowDown"),
    (429, b"", "S3 says 429"),
    (200, b"<html>log in", "without an ETag"),
])
def test_what_passes(moody, platoon, status, body, says):
    """Nothing that is said for a while ends the worker, is "ko", or a secret: the cause is the trouble, and then all goes on."""
    stored(platoon, "k", "v")
    moody.mood = status, body
    assert get(platoon, "k", *SOON) != "ko" and get(platoon, "never", *SOON) != "ko"
    assert put(platoon, "k", "lost", *SOON).returncode != 0
    assert wait_until(lambda: status == 400 or says in platoon.problems() or "no S3 server" in platoon.problems(), 15, "the trouble")
    moody.mood = None
    well(platoon)
    assert get(platoon, "k") == "v"
    stored(platoon, "k", "v2")
    assert platoon.workers()[ONE]["restarts"] == 0


@pytest.mark.parametrize("asks", [lambda platoon: put(platoon, "k", "v2", *SOON).returncode == 0, lambda platoon: get(platoon, "k", *SOON) == "v"])
def test_silence_is_told_before_its_time_is_over(moody, platoon, asks):
    """store's timeout is a minute; that it says nothing is known long before."""
    stored(platoon, "k", "v")
    moody.mood = "hang"
    assert not asks(platoon)
    wait_until(lambda: "no answer for 10000 ms" in platoon.problems(), 30, "the trouble")
    moody.mood = None
    well(platoon)
    stored(platoon, "k", "v3")
