"""Clone and fetch over HTTP: git's own client asks (issue 16, HTTP: git http-backend)."""
import concurrent.futures
import contextlib
import gzip
import http.client
import os
import signal
import socket
import subprocess
import time

import pytest
from platoon_fixture import ASAN, SCALE, alive, free_port, wait_until
from snapshot_fixture import Store, WEB_CLOCKS
from test_snapshot_keeper import VERSIONS
from test_web import ANNA, BOT
from web_fixture import PATIENCE, Web

ADVERTISEMENT = "/data/plan.git/info/refs?service=git-upload-pack"
FLUSH = b"0000"


def children(pid):
    return subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, timeout=60).stdout.split()


class Git:
    """Git's client, at a web worker on a port."""

    def __init__(self, store, resources, snapshot=None, **keys):
        self.store, self.port = store, free_port()
        self.web = Web(store, resources, snapshot, listen=f"127.0.0.1:{self.port}", **keys)
        self.url = f"http://127.0.0.1:{self.port}/data/plan.git"

    def run(self, *words, fails=False):
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"}
        done = subprocess.run(["git", *map(str, words)], capture_output=True, text=True, timeout=120 * SCALE, env=environment)
        assert (done.returncode != 0) == fails, done
        return done.stdout + done.stderr

    def clone(self, name, *words, url=None):
        folder = self.store.platoon.dir / name
        self.run("clone", "-q", *words, url or self.url, folder)
        return folder

    def ids(self, folder):
        return self.run("-C", folder, "rev-list", "HEAD").split()

    def ask(self, path, method="GET", body=None, **headers):
        return self.web.ask(path, method, body, connection=http.client.HTTPConnection("127.0.0.1", self.port), **headers)

    def programs(self):
        """The processes of git below the web worker."""
        pid = self.store.platoon.pid_of("web")
        return children(pid)

    def descendants(self):
        """And those below them."""
        found = self.programs()
        for pid in found:
            found += children(pid)
        return found


@pytest.fixture
def git(store):
    git = Git(store, {"work": {}, "holidays": {}})
    git.web.start()
    return git


def test_clone_and_fetch(git):
    git.store.put("work", b"1\n")
    git.store.put("holidays", os.urandom(3 << 20))
    clone = git.clone("clone")
    assert (clone / "work").read_bytes() == b"1\n" and (clone / "holidays").read_bytes() == git.store.get("holidays")
    for n in range(2, 12):
        git.store.put("work", b"%d\n" % n)
    git.run("-C", clone, "pull", "-q")
    assert (clone / "work").read_bytes() == b"11\n" and len(git.ids(clone)) == 12
    git.run("-C", clone, "fsck", "--strict")
    shallow = git.clone("shallow", "--depth", "1")
    assert len(git.ids(shallow)) == 1 and (shallow / "work").read_bytes() == b"11\n"
    git.run("-C", shallow, "fetch", "-q", "--unshallow")
    assert git.ids(shallow) == git.ids(clone)
    old = git.clone("old", "-c", "protocol.version=0")
    assert git.ids(old) == git.ids(clone)
    wait_until(lambda: git.programs() == [], 60, "all of git's programs to have ended")


def test_nobody_pushes(git):
    git.store.put("work", b"1\n")
    clone = git.clone("clone")
    git.run("-C", clone, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "theirs")
    assert "403" in git.run("-C", clone, "push", "origin", "HEAD:main", fails=True)
    for path, method, status in (("/data/plan.git/info/refs?service=git-receive-pack", "GET", 403), ("/data/plan.git/git-receive-pack", "POST", 403),
                                 ("/data/plan.git/info/refs", "GET", 403), ("/data/plan.git/HEAD", "GET", 404), ("/data/plan.git/objects/info/packs", "GET", 404),
                                 ("/data/plan.git/config", "GET", 404), ("/data/plan.git", "GET", 404), ("/data/plan.git/", "GET", 404), ("/data/other.git/info/refs", "GET", 404),
                                 ("/data/plan.git/../plan.git/info/refs?service=git-upload-pack", "GET", 404), (ADVERTISEMENT, "POST", 405), ("/data/plan.git/git-upload-pack", "GET", 405)):
        answer = git.ask(path, method, b"" if method == "POST" else None)
        assert answer.status == status and answer.json["error"], (path, answer.status, answer.body)
    assert [row["seq"] for row in git.store.json("log", "work")] == [1]


def test_what_is_answered(git):
    git.store.put("work", b"1\n")
    answer = git.ask(ADVERTISEMENT)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/x-git-upload-pack-advertisement"
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
    assert answer.body.startswith(b"001e# service=git-upload-pack\n0000") and answer.body.endswith(FLUSH)
    assert b"version 2" in git.ask(ADVERTISEMENT, Git_Protocol="version=2").body
    head = git.ask(ADVERTISEMENT, "HEAD")
    assert head.status == 200 and head.body == b""
    listed = git.ask("/data/plan.git/git-upload-pack", "POST", gzip.compress(b"0014command=ls-refs\n0000"), Content_Type="application/x-git-upload-pack-request",
                     Content_Encoding="gzip", Git_Protocol="version=2")
    assert listed.status == 200 and listed.headers["Content-Type"] == "application/x-git-upload-pack-result" and b"refs/heads/main" in listed.body
    for body, headers in ((b"what is this", {"Content_Type": "application/x-git-upload-pack-request"}), (b"0000", {"Content_Type": "text/plain"}), (b"", {}),
                          (b"no gzip", {"Content_Type": "application/x-git-upload-pack-request", "Content_Encoding": "gzip"})):
        try:
            wrong = git.ask("/data/plan.git/git-upload-pack", "POST", body, **headers)
            assert wrong.status in (200, 503) and b"refs/heads" not in wrong.body, (body, wrong.status)
        except http.client.IncompleteRead:
            pass  # git says what is wrong on its standard error, behind its head
    assert git.ask(ADVERTISEMENT).status == 200


def test_tokens(store):
    tokens = store.platoon.dir / "tokens"
    tokens.write_text(f"anna act {ANNA}\nbot read {BOT}\n")
    tokens.chmod(0o600)
    git = Git(store, {"work": {}}, token_file=tokens)
    git.web.start()
    store.put("work", b"1\n")
    for path in (ADVERTISEMENT, "/data/plan.git/HEAD", "/data/other.git/info/refs"):
        answer = git.ask(path)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Basic ")
    clone = git.clone("clone", url=git.url.replace("//", f"//git:{BOT}@"))
    assert (clone / "work").read_bytes() == b"1\n"
    assert git.ask(ADVERTISEMENT, Authorization=f"Bearer {ANNA}").status == 200
    assert "Authentication failed" in git.run("clone", "-q", git.url.replace("//", "//git:wrong-0123456789abcdef@"), store.platoon.dir / "none", fails=True)
    assert not (store.platoon.dir / "none").exists()
    assert git.ask(ADVERTISEMENT, Origin="http://evil.example").status == 403
    assert git.ask(ADVERTISEMENT, Host="evil.example").status == 421


def test_an_open_store_is_cloned_without(store):
    tokens = store.platoon.dir / "tokens"
    tokens.write_text(f"anna act {ANNA}\n")
    tokens.chmod(0o600)
    git = Git(store, {"work": {}}, {"open": "true"}, token_file=tokens)
    git.web.start()
    store.put("work", b"1\n")
    assert (git.clone("clone") / "work").read_bytes() == b"1\n"


def test_a_clone_goes_on_across_retention(store):
    ids = store.make(VERSIONS)
    git = Git(store, {"work": {}, "holidays": {}})
    git.web.start()
    whole = git.clone("whole")
    assert git.ids(whole) == ids[::-1]
    store.platoon.config_path.write_text(git.web.text.replace("snapshot plan {", "snapshot plan { keep = 10d "))
    assert store.platoon.ctl("reload").returncode == 0
    wait_until(lambda: (store.path / "shallow").exists(), 60, "what is old to be cut off")
    store.ready()
    store.put("work", b"w5\n")
    git.run("-C", whole, "pull", "-q")
    assert (whole / "work").read_bytes() == b"w5\n" and len(git.ids(whole)) == len(ids) + 1
    fresh = git.clone("fresh")
    assert len(git.ids(fresh)) == 3 and (fresh / "holidays").read_bytes() == b"holidays\n", "what there is still"
    store.put("work", b"w6\n")
    for clone in (whole, fresh):
        git.run("-C", clone, "pull", "-q")
        assert (clone / "work").read_bytes() == b"w6\n"
        git.run("-C", clone, "fsck", "--strict")


class Slow:
    """A client that asks for a pack, and reads nothing of it."""

    def __init__(self, git):
        tip = git.store.git("rev-parse", "main").strip()
        want = f"want {tip} no-progress\n".encode()
        body = b"%04x" % (len(want) + 4) + want + FLUSH + b"0009done\n"
        self.socket = socket.create_connection(("127.0.0.1", git.port))
        self.socket.settimeout(PATIENCE)
        self.socket.sendall(b"POST /data/plan.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-git-upload-pack-request\r\n"
                            b"Content-Length: %d\r\n\r\n" % len(body) + body)


def large(git):
    """More than there is room for between git and who reads."""
    for n in range(2):
        git.store.put("work", os.urandom(15 << 20))


def test_four_at_once_and_whoever_goes_makes_room(git):
    large(git)
    slow = [Slow(git) for _ in range(4)]
    wait_until(lambda: len(git.programs()) == 4, 60, "four of git's programs")
    fifth = git.ask(ADVERTISEMENT)
    assert fifth.status == 503 and fifth.headers["Retry-After"] == "1" and "4 are served" in fifth.json["error"]
    wait_until(lambda: git.ask("/data/plan/work", "HEAD").status == 200, 60, "others to be answered")
    pid = git.store.platoon.pid_of("web")
    with open(f"/proc/{pid}/status") as f:
        assert next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) < (600 if ASAN else 150) << 10, "it waits for who reads"
    slow.pop().socket.close()
    wait_until(lambda: git.ask(ADVERTISEMENT).status == 200, 60, "a place")
    for one in slow:
        one.socket.close()
    wait_until(lambda: git.programs() == [], 60, "the end of all")
    clone = git.clone("clone")
    assert (clone / "work").read_bytes() == git.store.get("work")


def test_who_takes_nothing_is_closed(git):
    large(git)
    slow = Slow(git)
    wait_until(lambda: len(git.programs()) == 1, 60, "git's program")
    wait_until(lambda: git.programs() == [], 180, "its end")
    got = b""
    try:
        while part := slow.socket.recv(1 << 20):
            got += part
    except ConnectionError:
        pass
    assert len(got) < 29 << 20 and not got.endswith(b"0\r\n\r\n"), "it is no whole answer"


def test_what_takes_too_long_is_ended(faulty):
    """Ten minutes, which are two seconds here: also for who takes something all the time."""
    git = Git(Store(faulty), {"work": {}})
    git.web.start()
    git.store.put("work", os.urandom(15 << 20))
    spent, ended = faulty.fault(WEB_CLOCKS[0], "error"), 'web-git store=plan error="has not ended in time, and was killed"'
    slow, got = Slow(git), b""
    with contextlib.suppress(ConnectionError):
        while ended not in faulty.log() and (part := slow.socket.recv(1000)):
            got += part
            time.sleep(0.01)
        while part := slow.socket.recv(1 << 20):
            got += part
    wait_until(lambda: ended in faulty.log(), 60, "the end to be told")
    assert not spent.exists() and got.startswith(b"HTTP/1.1 200") and len(got) < 15 << 20 and not got.endswith(b"0\r\n\r\n"), "it is no whole answer"
    wait_until(lambda: git.programs() == [], 60, "its end")
    assert git.clone("clone").exists()


def test_its_death_is_no_whole_answer(git):
    large(git)
    slow = Slow(git)
    wait_until(lambda: len(git.programs()) == 1, 60, "git's program")
    os.kill(int(git.programs()[0]), signal.SIGKILL)
    got = b""
    try:
        while part := slow.socket.recv(1 << 20):
            got += part
    except ConnectionError:
        pass
    assert got.startswith(b"HTTP/1.1 200") and not got.endswith(b"0\r\n\r\n")
    wait_until(lambda: git.programs() == [], 60, "the end of all")
    assert git.clone("clone").exists()


def test_webs_death_leaves_none_of_git(git):
    large(git)
    slow = Slow(git)
    web = git.store.platoon.workers()["web"]
    programs = wait_until(lambda: found if len(found := git.descendants()) > 2 else None, 60, "git's programs, of which each has the next")
    os.kill(web["pid"], signal.SIGKILL)
    git.store.platoon.replaced(web, 60)
    wait_until(lambda: not any(map(alive, programs)), 60, "the end of all of them")
    slow.socket.close()
    assert git.clone("clone").exists()


def test_clones_while_versions_come(git):
    git.store.put("work", b"0\n")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        clones = [pool.submit(git.clone, f"clone{n}") for n in range(6)]
        began = time.monotonic()
        n = 0
        while not all(c.done() for c in clones) and time.monotonic() - began < PATIENCE:
            n += 1
            git.store.put("work", b"%d\n" % n)
        for clone in clones:
            folder = clone.result()
            git.run("-C", folder, "fsck", "--strict")
            seq = int((folder / "work").read_bytes())
            assert len(git.ids(folder)) == seq + 1, "what was cloned is one version"
