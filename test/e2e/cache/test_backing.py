"""Stores of objects: a real S3 server (Debian's radosgw) and a directory, asked by a program of the tests (backing_tool.c)."""
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

import pytest

from platoon_fixture import BUILD, wait_until
from radosgw_fixture import SECRET

MB = 1 << 20


class Store:
    """One that is open; an answer is (result, version, length, crc, text)."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([BUILD / "test/e2e/backing_tool", *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def ask(self, *words):
        result, version, length, crc, text = self.line(*words).rstrip("\n").split(" ", 4)
        return result, int(version), int(length), int(crc), text

    def opening(self):
        """What it says when it cannot be opened."""
        return self.process.communicate(timeout=30)[0]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


@pytest.fixture
def place():
    path = pathlib.Path(tempfile.mkdtemp(prefix="backing"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def s3(rgw, place):
    made = []

    def make(url="bucket/a/prefix", credentials=None, *more):
        credentials = credentials or rgw.credentials(place / "credentials")
        made.append(Store("s3", f"{rgw.url}/{url}", "us-east-1", credentials, *more))
        return made[-1]
    yield make
    for store in made:
        if store.process.poll() is None:
            store.close()


@pytest.fixture
def directory(place):
    (place / "store").mkdir()
    store = Store("file", place / "store")
    yield store
    store.close()


@pytest.fixture(params=["s3", "file"])
def store(request):
    """Either, empty as far as a test's own keys go."""
    if request.param == "file":
        return request.getfixturevalue("directory")
    return request.getfixturevalue("s3")(f"bucket/{request.node.name.split('[')[0]}")


def test_what_is_stored_is_there(store):
    assert store.ask("check")[0] == "done"
    assert store.ask("get", "a/b:c~%")[:2] == ("absent", 0)
    assert store.ask("put", "a/b:c~%", 5, "hello")[0] == "done"
    result, version, length, _, text = store.ask("get", "a/b:c~%")
    assert (result, version, length, text) == ("done", 5, 5, "hello")
    assert store.ask("put", "a/b:c~%", 7, "seven")[0] == "done"
    assert store.ask("put", "a/b:c~%", 6, "older")[:2] == ("newer", 7)
    assert store.ask("put", "a/b:c~%", 7, "again")[0] == "done"
    assert store.ask("get", "a/b:c~%")[4] == "seven"


def test_deletions(store):
    store.ask("check")
    store.ask("put", "k", 5, "x")
    assert store.ask("delete", "k", 6)[0] == "done"
    assert store.ask("get", "k")[:3] == ("absent", 6, 0)
    assert store.ask("put", "k", 5, "late")[:2] == ("newer", 6)
    assert store.ask("erase", "k", 6)[0] == "done"  # radosgw keeps no condition on DELETE: there the tombstone stays
    assert store.ask("get", "k")[0] == "absent"
    assert store.ask("put", "k", 7, "new")[0] == "done"
    assert store.ask("get", "k")[4] == "new"


def test_the_largest(store):
    store.ask("check")
    assert store.ask("fill", "large", 1, 20 * MB)[0] == "done"
    result, _, length, crc, _ = store.ask("get", "large")
    assert (result, length) == ("done", 20 * MB)
    assert store.ask("fill", "large", 2, 20 * MB - 1)[0] == "done"
    _, version, length, other, _ = store.ask("get", "large")
    assert (version, length) == (2, 20 * MB - 1) and other != crc
    assert store.ask("fill", "empty", 1, 0)[0] == "done"
    assert store.ask("get", "empty")[:3] == ("done", 1, 0)


def test_many_at_once(store):
    store.ask("check")
    _, done = store.line("many", 300, 1000).split()
    assert int(done) == 300


def test_two_writers_that_know_nothing_of_each_other(s3):
    one, two = s3("bucket/two"), s3("bucket/two")
    for store in (one, two):
        assert store.ask("check")[0] == "done"
    assert one.ask("put", "k", 1, "one")[0] == "done"
    assert two.ask("put", "k", 3, "three")[0] == "done"
    assert one.ask("put", "k", 2, "two")[:2] == ("newer", 3)
    assert one.ask("put", "k", 4, "four")[0] == "done"
    assert two.ask("delete", "k", 5)[0] == "done"
    assert one.ask("delete", "k", 4)[:2] == ("newer", 5)
    assert two.ask("get", "k")[:2] == ("absent", 5)


def test_what_lies_in_the_bucket(s3, rgw):
    store = s3("bucket/form")
    assert store.ask("check")[0] == "done"
    store.ask("put", "user:1/ä", 5, "hello")
    status, headers, body = rgw.ask("GET", "/bucket/form/user%3A1/%25C3%25A4")  # its name is user:1/%C3%A4
    assert (status, body) == (200, b"hello")
    assert headers["x-amz-meta-platoon"] == "v=5"
    store.ask("delete", "user:1/ä", 6)
    status, headers, body = rgw.ask("GET", "/bucket/form/user%3A1/%25C3%25A4")
    assert (status, body, headers["x-amz-meta-platoon"]) == (200, b"", "v=6;d=1")
    assert rgw.ask("PUT", "/bucket/form/by-hand", b"of a person")[0] == 200
    assert store.ask("get", "by-hand")[:3] == ("done", 0, 11)
    assert store.ask("put", "by-hand", 1, "ours")[0] == "done"
    assert b"probe" not in rgw.ask("GET", "/bucket")[2]  # what the check made is gone


def test_wrong_keys(s3, rgw, place):
    wrong = rgw.credentials(place / "wrong")
    wrong.write_text(wrong.read_text().replace(SECRET, "another"))
    store = s3("bucket", wrong)
    for words in (("check",), ("get", "k"), ("put", "k", 1, "x")):
        result, *_, text = store.ask(*words)
        assert result == "forbidden"
    assert "aws_secret_access_key" in store.ask("get", "k")[4]
    rgw.credentials(wrong)  # mended: read anew, and it goes on
    assert store.ask("check")[0] == "done"
    wrong.chmod(0o644)
    assert "chmod 600" in s3("bucket", wrong).opening()


def test_no_bucket(s3):
    store = s3("nobody")
    for words in (("check",), ("put", "k", 1, "x")):
        result, *_, text = store.ask(*words)
        assert result == "forbidden" and "make the bucket" in text
    assert store.ask("get", "k")[0] == "forbidden"  # and not absent


def test_a_server_that_is_killed_and_comes_back(s3, rgw):
    store = s3("bucket/killed")
    assert store.ask("check")[0] == "done"
    assert store.ask("put", "k", 1, "one")[0] == "done"
    rgw.kill_gateway()
    try:
        result, *_, text = store.ask("put", "k", 2, "two")
        assert result == "away" and rgw.url in text
        assert store.ask("get", "k")[0] == "away"
        assert store.ask("check")[0] == "away"
    finally:
        rgw.start_gateway()
        rgw.wait()
    wait_until(lambda: store.ask("put", "k", 2, "two")[0] == "done", 30, "the store")
    assert store.ask("get", "k")[:2] == ("done", 2)
    assert store.ask("put", "k", 1, "late")[:2] == ("newer", 2)


def test_what_lies_in_the_directory(directory, place):
    assert directory.ask("check")[0] == "done"
    directory.ask("put", "a", 5, "hello")
    path = place / "store/ca/a"  # its SHA-256 begins so
    assert path.read_bytes() == b"hello"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.getxattr(path, "user.platoon") == b"v=5"
    directory.ask("delete", "a", 6)
    assert (path.read_bytes(), os.getxattr(path, "user.platoon")) == (b"", b"v=6;d=1")
    directory.ask("erase", "a", 6)
    assert not path.exists()
    path.write_bytes(b"by hand")
    assert directory.ask("get", "a")[:3] == ("done", 0, 7)


def test_a_full_disk(place, root):
    """A file system of its own that is full: nothing is half there, and it goes on when there is room."""
    (place / "small").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place / "small"], check=True)
    store = Store("file", place / "small")
    try:
        result, *_, text = store.ask("check")
        if result == "refused":  # Linux before 6.6: no user attributes on tmpfs
            assert "must lie on a file system with locks and user attributes" in text
            return
        assert result == "done"
        assert store.ask("put", "a", 1, "small")[0] == "done"
        result, *_, text = store.ask("fill", "a", 2, MB)
        assert result == "forbidden" and "make room" in text
        assert store.ask("get", "a")[:2] == ("done", 1)
        assert sorted(p.name for p in (place / "small").iterdir()) == [".platoon", "ca"]
        subprocess.run(["mount", "-o", "remount,size=4m", place / "small"], check=True)
        assert store.ask("fill", "a", 2, MB)[0] == "done"
        subprocess.run(["mount", "-o", "remount,ro", place / "small"], check=True)
        result, *_, text = store.ask("put", "a", 3, "x")
        assert result == "forbidden" and "for writing" in text
        assert store.ask("get", "a")[:3] == ("done", 2, MB)
    finally:
        store.close()
        subprocess.run(["umount", place / "small"], check=True)
