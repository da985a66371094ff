"""A cache node as workers and people see it: calls of an actor, also while it is killed, and the verbs of platoonctl."""
import base64
import collections
import json
import subprocess
import time

import pytest
import redis

from cache_store_fixture import Directory, lose, stored
from platoon_fixture import SCALE, section, wait_until

NODE = "cache/sessions/node.1"

# An actor that calls the node: what the file of a request lists, or so many sets as it is told, one after the other, 20 at a time; of none it stops.
# So many: while whoever tells it stands still for a moment it would make more than memory holds. Every answer is a line of its file.
CALLER = '''
import json, sys
out = open(sys.argv[1], "a")
NODE, pumped, flying, limit = "cache/sessions/node.1", 0, 0, 0
def say(action): print(json.dumps(action), flush=True)
def call(id, body): say({"do": "call", "to": NODE, "id": id, "body": body, "timeout_ms": 60000})
def pump():
    global pumped, flying
    while flying < 20 and pumped < limit:
        pumped += 1
        flying += 1
        call(f"p{pumped}", {"set": f"p{pumped}", "value": f"v{pumped}"})
for line in sys.stdin:
    e = json.loads(line)
    if e["event"] == "request":
        if isinstance(e["body"], dict):
            limit = pumped + e["body"]["pump"]
            pump()
        else:
            for id, body in json.load(open(e["body"])): call(id, body)
        say({"do": "reply", "id": e["id"], "body": pumped})
    elif e["event"] == "answer":
        out.write(json.dumps(e) + "\\n"); out.flush()
        if e["id"].startswith("p"):
            flying -= 1
            pump()
    elif e["event"] == "hello": say({"do": "ready"})
    elif e["event"] == "stop": break
'''


@pytest.fixture
def cache(platoon):
    """Starts a platoon with one cache and an actor; `more`: further sections."""
    def start(more="", **keys):
        (platoon.dir / "caller.py").write_text(CALLER)
        platoon.config_path.write_text(
            section("platoon", {"runtime_dir": "run", "state_dir": "state", "backoff_min": "20ms"})
            + section("cache sessions", {"listen": f"unix:{platoon.dir}/c.sock", **keys})
            + more + section("program caller", {"command": f"/usr/bin/python3 {platoon.dir}/caller.py {platoon.dir}/answers", "port": "json", "ready": "actor"}))
        return platoon.start()
    return start


def client(platoon):
    return redis.Redis(unix_socket_path=f"{platoon.dir}/c.sock")


def order(platoon, body):
    done = platoon.ctl("--json", "send", "caller.1", json.dumps(body))
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def answers(platoon):
    """What the actor has written; the last line may not be whole yet."""
    path = platoon.dir / "answers"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def more(platoon, what):
    """Has it make sets, of which some have been answered."""
    def count():
        path = platoon.dir / "answers"
        return path.read_bytes().count(b"\n") if path.exists() else 0
    before = count()
    order(platoon, {"pump": 20000})
    wait_until(lambda: count() > before + 100, 60, what)


def called(platoon, *bodies):
    """The answers to these calls, in their order: a value, or the text of a refusal."""
    first = len(answers(platoon))
    ids = [str(first + i) for i in range(len(bodies))]
    path = platoon.dir / "calls"
    path.write_text(json.dumps(list(zip(ids, bodies))))
    order(platoon, str(path))
    found = wait_until(lambda: (a := answers(platoon)[first:]) and len(a) >= len(bodies) and a, 30, f"answers to {bodies}")
    assert sorted(e["id"] for e in found) == sorted(ids), "exactly one each"
    by_id = {e["id"]: e for e in found}
    return [by_id[i].get("body", by_id[i].get("error")) for i in ids]


def raw(platoon, *words, data=b""):
    """As Platoon.ctl, with bytes in and out."""
    return subprocess.run([str(platoon.build / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "--timeout", "40s", *words], input=data, capture_output=True,
                          timeout=60 * SCALE, check=False)


def as_base64(data):
    return {"base64": base64.b64encode(data).decode()}


# ---- calls ----

@pytest.mark.parametrize("fsync", ["everysec", "always", "no"])
def test_an_actor_calls(cache, platoon, fsync):
    cache(fsync=fsync)
    r = client(platoon)
    r.set("known", "before", ex=100)
    got = called(platoon, {"get": "known", "consistency": True}, {"get": "k", "consistency": False}, {"set": "k", "value": "wört\0"}, {"set": as_base64(b"\xff\0"), "value": as_base64(b"\x80")},
                 {"persist": "k"})
    assert got == [{"ok": "before"}, {"ko": True}, {"ok": True}, {"ok": True}, {"ok": True}]
    assert called(platoon, {"get": "k"}, {"get": as_base64(b"\xff\0"), "consistency": True}) == [{"ok": "wört\0"}, {"ok": as_base64(b"\x80")}]
    assert r.get("k") == "wört\0".encode() and r.get(b"\xff\0") == b"\x80"
    assert called(platoon, {"set": "known", "value": "after"}) == [{"ok": True}]
    assert r.ttl("known") == -1


def test_names_are_completed(cache, platoon):
    """Of a cache that is no ring for what every cache has."""
    cache()
    assert [platoon.completed("cache", verb) for verb in ("status", "get", "wait", "ring", "owner")] == [{"sessions"}] * 3 + [set()] * 2


def test_a_call_that_is_none_is_told_what_there_is(cache, platoon):
    cache(object_max="2KB")
    pid = platoon.pid_of(NODE)
    wrong = [{}, [], "get", 7, None, {"gte": "k"}, {"get": 1}, {"set": "k"}, {"set": "k", "value": ["v"]}, {"set": "k", "value": "v", "expire": 5}, {"get": {"base64": "?"}},
             {"get": "k", "consistency": 1}]
    for answer in called(platoon, *wrong):
        assert isinstance(answer, str) and '{"get":KEY,"consistency":true|false}' in answer and "\n" not in answer
    large = called(platoon, {"set": "k", "value": "v" * 3000}, {"get": "k"})
    assert large == ["ERR a key and its value may have at most 2048 bytes (object_max)", {"ko": True}]
    assert platoon.pid_of(NODE) == pid


def test_calls_wait_for_the_store_in_their_order(cache, platoon):
    directory = Directory(platoon.dir / "objects")
    cache(directory.section(), store="objects", write_delay="1h", timeout="10s")
    client(platoon).mset({f"k{i}": f"v{i}" for i in range(100)})
    assert called(platoon, *[{"persist": f"k{i}"} for i in range(100)]) == [{"ok": True}] * 100
    assert directory.has("k99") == b"v99"
    lose(platoon)
    got = called(platoon, {"get": "k0"}, {"set": "k0", "value": "new"}, {"get": "k0"}, {"get": "none"}, *[{"get": f"k{i}"} for i in range(1, 100)])
    assert got == [{"ok": "v0"}, {"ok": True}, {"ok": "new"}, {"ko": True}] + [{"ok": f"v{i}"} for i in range(1, 100)]
    assert called(platoon, {"persist": "k0"}) == [{"ok": True}] and directory.has("k0") == b"new"
    stored(lose(platoon))
    directory.away()
    cold, done, there, late = called(platoon, {"get": "k1"}, {"set": "k1", "value": "blind"}, {"get": "k1"}, {"get": "k2"})
    assert cold.startswith(f"TRYAGAIN the store of {NODE}") and late.startswith("TRYAGAIN ")
    assert done == {"ok": True} and there == {"ok": "blind"}
    directory.back()


def test_a_node_that_is_full_says_so(cache, platoon):
    cache(memory="8MB", evict="false")
    r = client(platoon)
    for size in (100000, 100):  # what a client has under way counts, too: the last of it must be small
        with pytest.raises(redis.exceptions.ResponseError, match="OOM"):
            for i in range(10000):
                r.set(f"{size}.{i}", "v" * size)
    text = "OOM command not allowed when used memory > 'maxmemory'."
    assert called(platoon, {"set": "more", "value": "v"}, {"get": "more"}) == [text, {"ko": True}]
    done = platoon.ctl("cache", "set", "sessions", "more", "v")
    assert done.returncode == 1 and done.stderr == f"platoonctl: {text}\n"


def stop_calling(platoon):
    """Ids of the calls that were acknowledged, and the answers that said something else, when all have come."""
    count = order(platoon, {"pump": 0})
    found = wait_until(lambda: (a := answers(platoon)) and len(a) >= count and a, 20, f"{count} answers")
    assert max(collections.Counter(e["id"] for e in found).values()) == 1
    return [e["id"] for e in found if e.get("body") == {"ok": True}], [e for e in found if e.get("body") != {"ok": True}]


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_what_was_answered_is_there_after_a_kill(cache, platoon, fsync):
    """Sets, 20 at a time, while the node is killed five times: each call has one answer, and what was acknowledged is kept."""
    cache(fsync=fsync)
    for _ in range(5):
        more(platoon, "calls")
        before = platoon.workers()[NODE]
        subprocess.run(["kill", "-9", str(before["pid"])], check=True)
        platoon.replaced(before)
    more(platoon, "calls of its successor")
    kept, lost = stop_calling(platoon)
    assert len(kept) > 500 and len(lost) <= 5 * 20 and all("SIGKILL" in e["error"] for e in lost), lost[:3]
    values = client(platoon).mget(kept)
    assert [k for k, v in zip(kept, values) if v != b"v" + k[1:].encode()] == []


def test_an_orderly_end_answers_first(cache, platoon):
    """
    With fsync = always a write waits for the disk: a stop waits with it. What a caller hears of the end instead was not done, as a rule: nobody may
    rely on the last answers to leave with a worker (worker_life.c: they are lost when the machine pauses just then), so most ends of nine have to show it.
    """
    cache(fsync="always")
    seen, done_unheard = 0, []
    for _ in range(9):
        more(platoon, "calls")
        assert platoon.ctl("restart", NODE).returncode == 0
        more(platoon, "calls of its successor")
        said = answers(platoon)
        lost, seen = [e for e in said[seen:] if e.get("body") != {"ok": True}], len(said)
        assert len(lost) <= 20 and all("finished on purpose" in e["error"] for e in lost), lost[:3]
        values = client(platoon).mget([e["id"] for e in lost]) if lost else []
        done_unheard.append(sum(value is not None for value in values))
    assert sorted(done_unheard)[4] == 0, f"done, and heard of as an end: {done_unheard} of 20 at each end"
    kept, _ = stop_calling(platoon)
    assert None not in client(platoon).mget(kept)


# ---- verbs ----

def test_an_order_is_told_what_a_file_would_be(cache, platoon):
    """More nodes than one need a ring, whoever says so."""
    cache()
    done = platoon.ctl("scale", "cache/sessions/node", "3")
    assert done.returncode == 2 and "nodes: several need a Redis" in done.stderr, done
    assert [n for n in platoon.workers() if n.startswith("cache/")] == [NODE]
    assert platoon.ctl("scale", "cache/sessions/node", "1").returncode == 0


def test_status_shows_who_is_not_ready_too(cache, platoon):
    cache(memory="16MB")
    r = client(platoon)
    r.set("k", "v")
    r.get("k")
    r.get("nothing")
    found = wait_until(lambda: (n := platoon.json("cache", "status"))[0]["hits"] and n[0]["misses"] and n, 20, "its counters")
    assert len(found) == 1 and list(found[0]) == ["cache", "node", "state", "objects", "bytes", "memory", "hits", "misses", "loads", "stores", "store_errors",
                                                        "evicted", "expired", "forwarded", "dead", "clients", "dirty", "dirty_bytes", "at_risk_bytes", "oldest_dirty_ms"]
    assert {k: v for k, v in found[0].items() if k != "bytes"} == {
        "cache": "sessions", "node": NODE, "state": "READY", "objects": 1, "memory": 16 << 20, "hits": 1, "misses": 1, "loads": 0, "stores": 0, "store_errors": 0,
        "evicted": 0, "expired": 0, "forwarded": 0, "dead": 0, "clients": 1, "dirty": 0, "dirty_bytes": 0, "at_risk_bytes": 0, "oldest_dirty_ms": None}
    assert 0 < found[0]["bytes"] < 16 << 20
    shown = platoon.ctl("cache", "status", "sessions").stdout.splitlines()
    assert shown[0].split() == ["NODE", "STATE", "OBJECTS", "BYTES", "MEMORY", "HITS", "MISSES", "EVICTED", "EXPIRED", "CLIENTS"] and shown[1].split()[:3] == [NODE, "READY", "1"]
    assert platoon.ctl("stop", NODE).returncode == 0
    assert platoon.json("cache", "status", "sessions")[0]["state"] == "STOPPED"
    done = platoon.ctl("cache", "get", "sessions", "k")
    assert done.returncode == 75 and f"{NODE} is STOPPED" in done.stderr


def test_objects_from_the_command_line(cache, platoon):
    cache()
    r = client(platoon)
    done = platoon.ctl("cache", "get", "sessions", "k")
    assert (done.returncode, done.stdout, done.stderr) == (1, "ko\n", "")
    assert platoon.ctl("cache", "set", "sessions", "k", "v").stdout == "ok\n"
    done = platoon.ctl("cache", "get", "sessions", "k")
    assert (done.returncode, done.stdout) == (0, "v\n")
    assert r.ttl("k") == -1
    began = time.time()
    assert platoon.ctl("cache", "set", "sessions", "k", "w", "--expire", "60s").returncode == 0
    assert r.get("k") == b"w" and began - 0.1 < r.execute_command("PEXPIRETIME", "k") / 1000 - 60 < time.time() + 0.1
    assert platoon.ctl("cache", "set", "sessions", "--expire=500ms", "short", "v").returncode == 0
    wait_until(lambda: r.get("short") is None, 10, "its end")
    data = bytes(range(256)) * 2000
    assert raw(platoon, "cache", "set", "sessions", "base64:AP8=", data=data).returncode == 0
    assert r.get(b"\0\xff") == data
    assert raw(platoon, "cache", "get", "sessions", "base64:AP8=").stdout == data + b"\n"
    assert platoon.json("cache", "get", "sessions", "base64:AP8=") == {"ok": as_base64(data)}
    assert json.loads(platoon.ctl("--json", "cache", "get", "sessions", "none").stdout) == {"ko": True}
    assert platoon.json("send", NODE, '{"get":"k"}') == {"ok": "w"} and platoon.json("send", NODE, '{"set":"k","value":"x"}') == {"ok": True}
    assert platoon.json("send", NODE, '{"set":"n\\u0000l","value":"\\u0000"}') == {"ok": True} and client(platoon).getdel("n\0l") == b"\0"
    done = platoon.ctl("send", NODE, '{"gte":"k"}')
    assert done.returncode == 1 and 'a cache node takes {"set":KEY,"value":VALUE,"form":' in done.stderr
    assert platoon.json("cache", "set", "sessions", "l", "") == {"ok": True} and r.get("l") == b""
    assert platoon.json("cache", "del", "sessions", "l") == {"count": 1}
    assert platoon.ctl("cache", "del", "sessions", "k", "base64:AP8=", "none").stdout == "sessions: 2 deleted\n"
    assert r.dbsize() == 0


@pytest.mark.parametrize("words", [("k", "--eventual"), ("--eventual", "k"), ("k", "--bounded", "500ms"), ("--bounded=0ms", "k")])
def test_one_node_is_as_fresh_as_can_be(cache, platoon, words):
    """Its reads are all one: the newest value, and what is not there is not."""
    cache()
    done = platoon.ctl("cache", "get", "sessions", *words)
    assert (done.returncode, done.stdout, done.stderr) == (1, "ko\n", "")
    for value in ("v", "w"):
        client(platoon).set("k", value)
        done = platoon.ctl("cache", "get", "sessions", *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{value}\n", "")
        assert platoon.json("cache", "get", "sessions", *words) == {"ok": value}


def test_what_was_set_is_there_after_a_kill(cache, platoon):
    cache()
    assert platoon.ctl("cache", "set", "sessions", "k", "v").returncode == 0
    before = platoon.workers()[NODE]
    subprocess.run(["kill", "-9", str(before["pid"])], check=True)
    platoon.replaced(before)
    assert platoon.ctl("cache", "get", "sessions", "k").stdout == "v\n"


@pytest.mark.parametrize("words, status, said", [
    (("status", "sesions"), 5, "no cache named 'sesions': did you mean 'sessions'? There is: sessions"),
    (("status", "other"), 5, "no cache named 'other'. There is: sessions"),
    (("get", "sesions", "k"), 5, "no cache named 'sesions': did you mean 'sessions'?"),
    (("del", "other", "k"), 5, "no cache named 'other'. There is: sessions"),
    (("gte", "sessions", "k"), 2, "unknown verb 'cache gte': did you mean 'cache get'?"),
    (("get", "sessions"), 2, "usage: platoonctl cache get NAME KEY [--eventual] [--bounded 500ms]"),
    (("get", "sessions", "--eventual"), 2, "the key is missing"),
    (("get", "sessions", "k", "l"), 2, "'l': one word too many"),
    (("get", "sessions", "k", "--bounded"), 2, "--bounded needs a value"),
    (("get", "sessions", "k", "--bounded", "soon"), 2, "--bounded soon: not a duration: write 500ms, 60s, 10m or 1h"),
    (("get", "sessions", "k", "--bounded=-1s"), 2, "--bounded -1s: not a duration"),
    (("get", "sessions", "k", "--eventual", "--bounded", "5s"), 2, "--eventual, or --bounded: not both"),
    (("set", "sessions", "--expire", "60s"), 2, "the key is missing"),
    (("set", "sessions", "k", "v", "w"), 2, "'w': one word too many"),
    (("set", "sessions", "k", "v", "--expire", "soon"), 2, "--expire soon: not a duration: write 500ms, 60s, 10m or 1h"),
    (("set", "sessions", "k", "v", "--expire"), 2, "--expire needs a value"),
])
def test_wrong_words(cache, platoon, words, status, said):
    cache()
    done = platoon.ctl("cache", *words)
    assert done.returncode == status and said in done.stderr and done.stdout == "", done


def test_more_than_a_request_holds(cache, platoon):
    cache()
    done = raw(platoon, "cache", "set", "sessions", "k", data=b"v" * 2000000)
    assert done.returncode == 2 and b"use a client of Redis' protocol" in done.stderr
    client(platoon).set("k", b"v" * (16 * 1024 * 1024 - 100))
    done = platoon.ctl("cache", "get", "sessions", "k")
    assert done.returncode == 75 and "get it in Redis' protocol" in done.stderr
