"""Puts that come together: the branch is moved once for several, and each is one commit, answered with what is there (issue 16, The store)."""
import hashlib
import os
import random
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from platoon_fixture import wait_until
from web_fixture import Web

FILES = ("app", "raw", "deep")


@pytest.fixture(params=["synced", "unsynced"])
def web(store, request):
    return Web(store, {"app": {}, "raw": {"path": "in/raw.tsv"}, "deep": {"path": "in/deep/er.tsv"}}, {"fsync": str(request.param == "synced").lower()}).start().known()


def together(web, count, put):
    """put(who, its random) by so many at a time; what each of them returned, in its order."""
    with ThreadPoolExecutor(count) as all_:
        return [one for said in all_.map(lambda n: put(n, random.Random(n)), range(count)) for one in said]


def blob_of(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def objects(web, names):
    """What stands behind each name, by one git."""
    done = subprocess.run(["git", "-C", web.store.path, "-c", "safe.directory=*", "cat-file", "--batch"], input="\n".join(names).encode(), check=True, capture_output=True, timeout=120)
    found, rest = [], done.stdout
    for _ in names:
        head, rest = rest.split(b"\n", 1)
        assert not head.endswith(b"missing"), head
        size = int(head.split()[-1])
        found.append(rest[:size])
        rest = rest[size + 1:]
    return found


def check(web, said):
    """said: (resource, bytes, answer). Each that is new is a commit of its own, and the seqs have no hole."""
    changed = {answer["seq"]: (resource, data, answer) for resource, data, answer in said if answer["changed"]}
    paths = {"app": "app", "raw": "in/raw.tsv", "deep": "in/deep/er.tsv"}
    assert objects(web, [f"{a['commit']}:{paths[resource]}" for resource, _, a in changed.values()]) == [data for _, data, _ in changed.values()]
    for resource, data, answer in said:
        assert answer["blob"] == blob_of(data)
        assert answer["seq"] in changed or answer["changed"] is False
        if not answer["changed"] and answer["seq"] in changed:
            assert changed[answer["seq"]][:2] == (resource, data), "it is the version that had these bytes"
    lines = web.store.git("log", "--format=%H %(trailers:key=Seq,valueonly,separator=)", "main").splitlines()
    commits = {int(seq): commit for commit, seq in (line.split() for line in lines)}
    assert sorted(commits) == list(range(1, len(commits) + 1))
    assert all(commits[seq] == answer["commit"] for seq, (_, _, answer) in changed.items())
    good, why = web.store.is_sound()
    assert good, why
    return changed, commits


def test_each_is_a_commit_of_its_own(web):
    """Of few contents, so that some are there already, also in what is not accepted yet; and a version of two before comes again."""
    def put(who, some):
        said = []
        for _ in range(25):
            resource, data = some.choice(FILES), b"content %d\n" % some.randrange(4)
            done = web.ask(f"/data/plan/{resource}", "PUT", data)
            assert done.status == 200, done.body
            said.append((resource, data, done.json))
        return said
    said = together(web, 8, put)
    assert len(said) == 200
    changed, commits = check(web, said)
    assert len(changed) == len(commits) and len(said) > len(changed) > 60
    for resource in FILES:
        newest = max(seq for seq, (of, _, _) in changed.items() if of == resource)
        assert web.store.get(resource) == changed[newest][1]
        wait_until(lambda resource=resource, newest=newest: web.ask(f"/data/plan/{resource}").body == changed[newest][1], 60, "it over HTTP")


def test_of_several_upon_one_version_one_is_accepted(web):
    first = web.ask("/data/plan/app", "PUT", b"0\n").json

    def put(who, some):
        done = web.ask("/data/plan/app", "PUT", b"by %d\n" % who, If_Match=f'"{first["blob"]}"')
        return [(done.status, who)]
    said = sorted(together(web, 8, put))
    assert [status for status, _ in said] == [200] + [412] * 7
    assert web.store.get("app") == b"by %d\n" % said[0][1]


def test_what_was_answered_survives_the_store(web):
    begun, over = threading.Event(), threading.Event()

    def put(who, some):
        said = []
        while not over.is_set():
            resource, data = some.choice(FILES), b"%d %d\n" % (who, len(said))
            done = web.ask(f"/data/plan/{resource}", "PUT", data)
            if done.status == 200:
                said.append((resource, data, done.json))
                begun.set()
            else:
                over.wait(0.05)
        return said

    def kill():
        try:
            for _ in range(2):
                begun.clear()
                assert begun.wait(60)
                pid = web.store.platoon.pid_of("snapshot/plan/store")
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda pid=pid: web.store.platoon.pid_of("snapshot/plan/store") not in (pid, None), 60, "another store")
                web.store.ready()
        finally:
            over.set()
    killed = ThreadPoolExecutor(1).submit(kill)
    said = together(web, 6, put)
    killed.result()
    assert said
    check(web, said)
