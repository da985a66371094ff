"""What-ifs: what a resource would be if others were other bytes; nothing changes by one."""
import base64
import json
import os
import signal
import threading

import pytest

from health_client import UnixConnection
from platoon_fixture import wait_until
from snapshot_fixture import WHATIF_STEPS, Store
from test_snapshot_runs import COUNT, descendants, row, settle, shell
from web_fixture import PATIENCE, Answer, Web

ENV = 'echo "$PLATOON_RESOURCE ${PLATOON_COMMIT:+commit} ${PLATOON_WHATIF:-none}" >> {dir}/env; '


def plan(store, **app):
    """raw → clean → app ← holidays, and side, which nobody asks about."""
    return {"raw": {}, "holidays": {"header": "free days"}, "clean": {"inputs": "raw", "command": shell(store, COUNT + ENV + "sed s/^/clean:/")},
            "app": {"inputs": "clean holidays", "command": shell(store, COUNT + ENV + "cat"), **app}, "side": {"inputs": "raw", "command": shell(store, COUNT + "cat")}}


def filled(store):
    store.put("raw", b"one\n")
    store.put("holidays", b"monday\n")
    settle(store)
    return store


def state(store):
    """All that a what-if must leave as it is."""
    objects = sorted(str(path) for path in (store.path / "objects").rglob("*"))
    rows = [{key: value for key, value in r.items() if key != "checked"} for r in store.json("list")]
    return objects, store.git("show-ref"), rows, [store.json("show", r["resource"])["last_run"] for r in rows]


def ask(store, *words, data=None):
    return store.ctl("snapshot", "whatif", *words, data=data)


def given(store, name, data):
    path = store.platoon.dir / f"given.{name}"
    path.write_bytes(data)
    return f"--with={name}={path}"


def test_each_step_from_what_is_given_runs_and_nothing_changes(store):
    filled(store.start(plan(store)))
    before = state(store)
    (store.platoon.dir / "env").unlink()
    done = ask(store, "app", "--with", "raw=-", data=b"two\nthree\n")
    assert done.returncode == 0 and done.stdout == b"=====clean\n\tclean:two\n\tclean:three\n=====free days\n\tmonday\n", done
    assert (store.platoon.dir / "env").read_text() == "clean commit 1\napp commit 1\n", "clean is made, then app; nothing else"
    done = ask(store, "app", given(store, "holidays", b"friday\n"))
    assert done.stdout == b"=====clean\n\tclean:one\n=====free days\n\tfriday\n", "what is not given is as it is"
    done = ask(store, "app", given(store, "holidays", b"h\n"), given(store, "clean", b"c\n"), given(store, "raw", b"r\n"))
    assert done.stdout == b"=====clean\n\tc\n=====free days\n\th\n", "what is given is not made"
    assert state(store) == before
    wait_until(lambda: store.platoon.status("snapshot/plan/store")["counters"].get("snapshot_whatifs_total") == 3, 60, "the counter")
    assert (store.platoon.dir / "env").read_text().count("clean") == 1
    settle(store)


def test_a_run_has_no_whatif_in_its_environment(store):
    filled(store.start(plan(store)))
    assert set((store.platoon.dir / "env").read_text().splitlines()) == {"clean commit none", "app commit none"}


def test_an_earlier_version_is_the_base(store):
    filled(store.start(plan(store)))
    old = row(store, "app")["commit"]
    store.put("holidays", b"tuesday\n")
    settle(store)
    done = ask(store, "app", given(store, "raw", b"x\n"), "--at", old[:12])
    assert done.stdout == b"=====clean\n\tclean:x\n=====free days\n\tmonday\n", done
    done = ask(store, "app", given(store, "raw", b"x\n"), "--at", "0s")
    assert done.stdout == b"=====clean\n\tclean:x\n=====free days\n\ttuesday\n", done
    shown = json.loads(store.ctl("--json", "snapshot", "whatif", "app", given(store, "raw", b"x\n"), "--at", old).stdout)
    assert shown == {"resource": "app", "base": old, "text": "=====clean\n\tclean:x\n=====free days\n\tmonday\n"}
    for at, code, why in [("0123456789", 1, "has no such version"), ("soon", 2, "is no version"), ("2000-01-01", 1, "has no such version")]:
        done = ask(store, "app", given(store, "raw", b"x\n"), "--at", at)
        assert done.returncode == code and why in done.stderr.decode(), done
    first = store.git("rev-list", "--max-parents=0", "main").strip()
    done = ask(store, "app", given(store, "raw", b"x\n"), "--at", first)
    assert done.returncode == 1 and b"there is no holidays in" in done.stderr, done
    done = ask(store, "app", given(store, "raw", b"x\n"), given(store, "holidays", b"h\n"), "--at", first)
    assert done.returncode == 0, done


def test_what_may_not_be_asked(store):
    filled(store.start(plan(store)))
    good = given(store, "raw", b"x\n")
    for words, code, why in [(["app"], 2, "what is to be otherwise"), ([good], 2, "which resource"), (["app", "--with", "raw"], 2, "NAME=FILE"), (["nobody", good], 5, "nobody"),
                             (["app", given(store, "nobody", b"x")], 5, "nobody"), (["side", given(store, "holidays", b"x")], 2, "side is not made from holidays"),
                             (["raw", good], 2, "raw is not made from raw"), (["app", given(store, "app", b"x")], 2, "app is not made from app"),
                             (["app", good, given(store, "side", b"x")], 2, "app is not made from side"), (["app", good, good], 2, "given twice"),
                             (["app", "--with", "raw=/dev/null"], 1, "fewer than size_min"), (["app", "--with", "raw=/nowhere"], 1, "/nowhere"), (["app", good, "--never"], 2, "--never")]:
        done = ask(store, *words)
        assert done.returncode == code and why in done.stderr.decode() and done.stdout == b"", (words, done)


def test_a_step_that_fails(store):
    resources = plan(store)
    resources["clean"]["command"] = shell(store, "grep -q good || { echo why >&2; echo 'it is bad' >&2; exit 3; }; echo good")
    store.start(resources)
    store.put("raw", b"good\n")
    store.put("holidays", b"h\n")
    settle(store)
    before = state(store)
    done = ask(store, "app", given(store, "raw", b"wrong\n"))
    assert done.returncode == 1 and done.stderr.decode().splitlines() == ["why", "it is bad", "platoonctl: clean: exit 3: it is bad"], done
    assert state(store) == before and row(store, "clean")["state"] == "ok"
    assert store.ctl("snapshot", "wait").returncode == 0


def test_what_is_failed_or_held_can_be_asked(store):
    """A what-if says what would help."""
    store.start({"raw": {}, "made": {"inputs": "raw", "command": shell(store, "grep good"), "retry_min": "1h", "retry_max": "1h"}, "app": {"inputs": "made", "command": "cat"}})
    store.put("raw", b"bad\n")
    settle(store, 1)
    assert ask(store, "app", given(store, "raw", b"good\n")).stdout == b"good\n"
    assert row(store, "made")["state"] == "failed" and row(store, "app")["state"] == "held"


def test_large_ones_come_whole(store):
    store.start({"raw": {}, "made": {"inputs": "raw", "command": "cat"}})
    store.put("raw", b"1\n")
    settle(store)
    data = os.urandom(3 << 20) + b"end"
    assert ask(store, "made", given(store, "raw", data)).stdout == data
    shown = json.loads(store.ctl("--json", "snapshot", "whatif", "made", given(store, "raw", data[:1000])).stdout)
    assert base64.b64decode(shown["base64"]) == data[:1000]


def test_no_run_waits_for_a_whatif_and_17_do_not_wait(store):
    gate = store.platoon.dir / "gate"
    store.start({"raw": {}, "made": {"inputs": "raw", "command": shell(store, f"cat; if test -n \"$PLATOON_WHATIF\"; then while ! test -e {gate}; do sleep 0.1; done; fi"), "timeout": "1h"}})
    store.put("raw", b"1\n")
    settle(store)
    word = given(store, "raw", b"what if\n")
    answers = []

    def asks():
        """Who finds in its place, for a moment, one that looks whether all are there, comes again."""
        while b"what-ifs wait already" in (done := ask(store, "made", word)).stderr:
            pass
        answers.append(done)
    asking = [threading.Thread(target=asks) for _ in range(17)]
    for one in asking:
        one.start()
    refused = None
    def full():
        nonlocal refused
        refused = store.ctl("--timeout", "1s", "snapshot", "whatif", "made", word)
        return refused.returncode == 75
    wait_until(full, 60, "16 that wait")
    assert b"16 what-ifs wait already" in refused.stderr, refused
    store.put("raw", b"2\n")
    settle(store)
    assert store.get("made") == b"2\n"
    gate.write_text("")
    for one in asking:
        one.join()
    assert [(done.returncode, done.stdout) for done in answers] == [(0, b"what if\n")] * 17, answers


def test_none_and_two_workers(store):
    gate = store.platoon.dir / "gate"
    resources = {"raw": {}, "made": {"inputs": "raw", "command": shell(store, f"cat; test -z \"$PLATOON_WHATIF\" || while ! test -e {gate}; do sleep 0.1; done"), "timeout": "1h"}}
    store.start(resources, {"whatifs": "0"})
    store.put("raw", b"1\n")
    settle(store)
    word = given(store, "raw", b"x\n")
    done = ask(store, "made", word)
    assert done.returncode == 1 and b"whatifs = 0" in done.stderr
    store.platoon.config_path.write_text(store.text(resources, {"whatifs": "2"}))
    assert store.platoon.ctl("reload").returncode == 0
    store.ready()
    answers = []
    asking = [threading.Thread(target=lambda: answers.append(ask(store, "made", word))) for _ in range(2)]
    for one in asking:
        one.start()
    wait_until(lambda: all(store.platoon.status(f"snapshot/plan/whatif.{n}")["doing"].startswith("runs") for n in (1, 2)), 60, "both at work")
    gate.write_text("")
    for one in asking:
        one.join()
    assert [done.stdout for done in answers] == [b"x\n"] * 2


@pytest.mark.parametrize("who", ["whatif.1", "store"])
def test_the_death_of_who_makes_it(store, who):
    mark = f"87{os.getpid()}"
    store.start({"raw": {}, "made": {"inputs": "raw", "command": shell(store, f"cat; test -z \"$PLATOON_WHATIF\" || {{ setsid sleep {mark} & sleep {mark}; }}"), "timeout": "1h"}})
    store.put("raw", b"1\n")
    settle(store)
    before = state(store)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask(store, "made", given(store, "raw", b"x\n"))))
    asking.start()
    wait_until(lambda: len(descendants(f"sleep\0{mark}")) == 2, 60, "the run")
    victim = store.platoon.workers()[f"snapshot/plan/{who}"]
    os.kill(victim["pid"], signal.SIGKILL)
    asking.join()
    assert answers[0].returncode != 0 and answers[0].stdout == b"", answers
    if who == "whatif.1":
        assert answers[0].returncode == 75 and b"the worker that made made of the what-if has ended: ask again" in answers[0].stderr, answers
    wait_until(lambda: not descendants(f"sleep\0{mark}"), 60, "nothing is left")
    store.platoon.replaced(victim, 60)
    store.ready()
    settle(store)
    assert [part for part in state(store)[:2]] == list(before[:2])


def test_killed_before_its_result(faulty):
    store = Store(faulty).start({"raw": {}, "made": {"inputs": "raw", "command": "cat"}})
    store.put("raw", b"1\n")
    settle(store)
    spent = faulty.fault("filter.before-result", "kill snapshot/plan/whatif.1")
    done = ask(store, "made", given(store, "raw", b"x\n"))
    assert done.returncode == 75 and not spent.exists(), done
    store.ready()
    wait_until(lambda: ask(store, "made", given(store, "raw", b"x\n")).stdout == b"x\n", 60, "its successor")
    spent = faulty.fault(WHATIF_STEPS[0], "kill made")
    done = ask(store, "made", given(store, "raw", b"x\n"))
    assert done.returncode != 0 and not spent.exists(), done
    store.ready()
    wait_until(lambda: ask(store, "made", given(store, "raw", b"y\n")).stdout == b"y\n", 60, "the store's successor")
    assert store.get("made") == b"1\n" and store.is_sound()[0]


# ---- over HTTP ----

def post(web, body, resource="app", **headers):
    return web.ask(f"/data/plan/{resource}/whatif", "POST", body if isinstance(body, (bytes, str)) else json.dumps(body), **headers)


def test_over_http(store):
    web = Web(store, plan(store) | {"bin": {"inputs": "raw", "command": "cat", "path": "bin.png"}}).start()
    filled(store)
    web.known()
    with web.read() as reader:
        for _ in range(7):
            reader.next()
        before = state(store)
        done = post(web, {"with": {"raw": "two\n"}})
        assert (done.status, done.body) == (200, b"=====clean\n\tclean:two\n=====free days\n\tmonday\n"), done.body
        assert done.headers["X-Platoon-Base"] == store.git("rev-parse", "main").strip()
        assert done.headers["X-Content-Type-Options"] == "nosniff" and "sandbox" in done.headers["Content-Security-Policy"]
        data = os.urandom(2 << 20)
        done = post(web, {"with": {"raw": {"base64": base64.b64encode(data).decode()}}}, "bin")
        assert (done.status, done.body, done.headers["Content-Type"]) == (200, data, web.ask("/data/plan/bin").headers["Content-Type"])
        assert state(store) == before
        store.put("holidays", b"tuesday\n")
        assert reader.next()[1]["resource"] == "holidays", "the first that is told is the next put"
    settle(store)
    done = post(web, {"with": {"raw": "x\n"}, "at": done.headers["X-Platoon-Base"]})
    assert done.body == b"=====clean\n\tclean:x\n=====free days\n\tmonday\n", done.body


def test_what_may_not_be_asked_over_http(store):
    resources = plan(store)
    resources["clean"]["command"] = shell(store, "grep good || { printf 'b\\377d\\n' >&2; exit 3; }")
    web = Web(store, resources).start()
    store.put("raw", b"good\n")
    store.put("holidays", b"monday\n")
    settle(store)
    web.known()
    for body, status, why in [(b"", 400, "no JSON"), (b"{", 400, "no JSON"), (b"[]", 400, "must be"), ({}, 400, "to be otherwise"), ({"with": {}}, 400, "to be otherwise"),
                              ({"with": {"raw": 1}}, 400, "base64"), ({"with": {"raw": {"base64": "x"}}}, 400, "base64"), ({"with": {"raw": "x"}, "at": 1}, 400, "at:"),
                              ({"with": {"raw": "x"}, "more": 1}, 400, "must be"), (b'{"with":{"raw":"x","raw":"y"}}', 400, "no JSON"), ({"with": {"nobody": "x"}}, 404, "nobody"),
                              ({"with": {"side": "x"}}, 400, "app is not made from side"), ({"with": {"raw": ""}}, 422, "size_min"), ({"with": {"raw": "x"}, "at": "soon"}, 400, "is no version"),
                              ({"with": {"raw": "x"}, "at": "0123456789"}, 404, "no such version"), ({"with": {"n" * 300: "x"}}, 400, "such a name")]:
        done = post(web, body)
        assert done.status == status and why in done.json["error"], (body, done.status, done.body)
    assert post(web, {"with": {"raw": "x"}}, "nobody").status == 404
    assert web.ask("/data/plan/app/whatif").status == 405
    assert post(web, {"with": {"raw": "good\n"}}, Origin="http://elsewhere.example").status == 403
    done = post(web, {"with": {"raw": "bad\n"}})
    assert done.status == 422 and done.json["step"] == "clean" and done.json["error"].startswith("clean: exit 3: b"), done.body
    assert base64.b64decode(done.json["stderr"]["base64"]) == b"b\xffd\n" and done.headers["X-Platoon-Base"] == store.git("rev-parse", "main").strip()


TOKENS = "reader read 0123456789abcdef-r\nactor act 0123456789abcdef-a\n"


@pytest.mark.parametrize("open_", ["true", "false"])
def test_who_may(store, open_):
    path = store.platoon.dir / "tokens"
    path.write_text(TOKENS)
    path.chmod(0o600)
    web = Web(store, plan(store), {"open": open_}, token_file=path).start()
    filled(store)
    web.known(Authorization="Bearer 0123456789abcdef-r")
    body = {"with": {"raw": "x\n"}}
    assert post(web, body).status == (200 if open_ == "true" else 401)
    assert post(web, body, Authorization="Bearer 0123456789abcdef-r").status == 200
    assert post(web, body, Authorization="Bearer 0123456789abcdef-x").status == 401
    assert web.ask("/data/plan/app/run", "POST").status == 401


def test_the_death_of_the_worker_over_http(store):
    mark = f"86{os.getpid()}"
    web = Web(store, {"raw": {}, "made": {"inputs": "raw", "command": shell(store, f"cat; test -z \"$PLATOON_WHATIF\" || sleep {mark}"), "timeout": "1h"}}).start()
    store.put("raw", b"1\n")
    settle(store)
    web.known()
    connection = UnixConnection(web.path)
    connection.timeout = PATIENCE
    connection.request("POST", "/data/plan/made/whatif", body=json.dumps({"with": {"raw": "x"}}))
    wait_until(lambda: descendants(f"sleep\0{mark}"), 60, "the run")
    os.kill(store.platoon.status("snapshot/plan/whatif.1")["pid"], signal.SIGKILL)
    done = Answer(connection.getresponse())
    assert done.status == 503 and "has ended: ask again" in done.json["error"], done.body
    wait_until(lambda: not descendants(f"sleep\0{mark}"), 60, "nothing is left")


def test_who_goes_away_keeps_nobody_waiting(store):
    """16 readers that give up: what they have asked is forgotten when their time is over, and the next one is answered."""
    web = Web(store, {"raw": {}, "made": {"inputs": "raw", "command": shell(store, "cat; test -z \"$PLATOON_WHATIF\" || grep -q quick {dir}/how || sleep 1000"), "timeout": "2s"}}).start()
    how = store.platoon.dir / "how"
    how.write_text("slow")
    store.put("raw", b"1\n")
    settle(store)
    web.known()
    for _ in range(3):
        connection = UnixConnection(web.path)
        connection.request("POST", "/data/plan/made/whatif", body=json.dumps({"with": {"raw": "x"}}))
        connection.close()
    done = post(web, {"with": {"raw": "x"}}, "made")
    assert done.status == 422 and "timed out after 2s" in done.json["error"], done.body
    how.write_text("quick")
    # Its time may be over on a busy machine, too: that is an answer, but not this one.
    done = wait_until(lambda: (d := post(web, {"with": {"raw": "y"}}, "made")).status != 422 and d, 60, "an answer in time")
    assert done.body == b"y"


