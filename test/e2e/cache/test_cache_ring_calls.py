"""Calls of one actor to a node of a ring, of its own objects and another node's: their order, owners that are killed, a lease that is over."""
import json

import pytest

from cache_platoon_fixture import CachePlatoon
from incr_hammer import patient
from platoon_fixture import BUILD, RedisServer, section, wait_until
from ring_fixture import MANAGER, Ring, frozen

# An actor that calls a node for what the file of a request lists, [id, node, body] each; every answer is a line of its file.
CALLER = '''
import json, sys
out = open(sys.argv[1], "a")
def say(action): print(json.dumps(action), flush=True)
for line in sys.stdin:
    e = json.loads(line)
    if e["event"] == "request":
        for id, node, body in json.load(open(e["body"])): say({"do": "call", "to": node, "id": id, "body": body, "timeout_ms": 120000})
        say({"do": "reply", "id": e["id"], "body": "sent"})
    elif e["event"] == "answer":
        out.write(json.dumps(e) + "\\n"); out.flush()
    elif e["event"] == "hello": say({"do": "ready"})
    elif e["event"] == "stop": break
'''


@pytest.fixture
def ring():
    platoon, server = CachePlatoon(BUILD), RedisServer()
    ring = Ring(server)
    passed = False
    try:
        (platoon.dir / "caller.py").write_text(CALLER)
        ring.add(platoon, nodes=2, lease="2s", timeout="20s")
        platoon.config_path.write_text(platoon.config_path.read_text() + section("program caller", {
            "command": f"/usr/bin/python3 {platoon.dir}/caller.py {platoon.dir}/answers", "port": "json", "ready": "actor"}))
        yield ring.start()
        passed = True
    finally:
        try:
            platoon.close(passed)
        finally:
            server.close()


def answers(ring):
    """What the actor has heard; the last line may not be whole yet."""
    path = ring.platoons[0].dir / "answers"
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def send(ring, node, bodies):
    """All of them to this node; how many answers there were before."""
    platoon, first = ring.platoons[0], len(answers(ring))
    (platoon.dir / "calls").write_text(json.dumps([[str(first + i), node.name, body] for i, body in enumerate(bodies)]))
    assert platoon.json("send", "caller.1", json.dumps(str(platoon.dir / "calls"))) == "sent"
    return first


def heard(ring, first, count, timeout=120):
    """The answers from there on, in the order of their calls; each a value, or the text of a refusal."""
    found = wait_until(lambda: (a := answers(ring)[first:]) and len(a) >= count and a, timeout, f"{count} answers")
    assert sorted(int(e["id"]) for e in found) == list(range(first, first + count)), "exactly one each"
    return [e.get("body", e.get("error")) for e in sorted(found, key=lambda e: int(e["id"]))]


def test_in_order(ring):
    """Of one caller: the other's objects and its own, in the order in which they were called for, while none is known and while all are."""
    one, other = ring.nodes
    mine, theirs = ring.keys_of(one)[0], ring.keys_of(other)[0]
    for _ in range(2):
        calls = [body for i in range(40) for key in (theirs, mine) for body in ({"set": key, "value": str(i)}, {"get": key})]
        got = heard(ring, send(ring, one, calls), len(calls))
        assert got == [answer for i in range(40) for _ in "tm" for answer in ({"ok": True}, {"ok": str(i)})]
    got = heard(ring, send(ring, one, [{"set": theirs, "value": "last"}, {"persist": theirs}, {"get": theirs}]), 3)
    assert got == [{"ok": True}, {"ok": True}, {"ok": "last"}] and ring.stores[0].has(theirs) == b"last"


def test_while_owners_die(ring):
    """What was acknowledged is there, and all else is a refusal that says so: the owner is killed in the middle of the calls, and comes back."""
    one, other = ring.nodes
    keys, told = ring.keys_of(other, 8), {}
    for round_ in range(3):
        calls = [{"set": key, "value": f"{round_}.{i}"} for i in range(30) for key in keys]
        first = send(ring, one, calls)
        wait_until(lambda first=first: len(answers(ring)) > first + 20, 60, "some answers")
        other.kill()
        got = heard(ring, first, len(calls))
        refused = [answer for answer in got if answer != {"ok": True}]
        assert all(isinstance(answer, str) and answer.startswith("TRYAGAIN ") for answer in refused), refused[:3]
        for call, answer in zip(calls, got):
            if answer == {"ok": True}:
                told[call["set"]] = {call["value"]}
            else:
                told[call["set"]] = told.get(call["set"], set()) | {call["value"]}
    assert len(told) == len(keys)
    for key, values in told.items():
        assert patient(lambda key=key: one.client().get(key)).decode() in values, (key, values)


def test_without_a_lease(ring):
    """What a node has it does not tell, nor write, when its ring may think it is lost; with the ring's reason, and not the log's."""
    one, _ = ring.nodes
    key, = ring.keys_of(one)
    assert ring.platoons[0].json("send", one.name, json.dumps({"get": key})) == {"ok": key}
    said = []

    def refuses(body):
        done = ring.platoons[0].ctl("--timeout", "90s", "send", one.name, json.dumps(body))
        said[:] = [done]
        return done.returncode != 0 and "TRYAGAIN the ring of" in done.stderr
    with frozen(ring.platoons[0].workers()[MANAGER]["pid"]):
        for body in ({"get": key}, {"set": key, "value": "late"}):
            wait_until(lambda body=body: refuses(body), 120, lambda: f"a refusal; the last: {said}")
        assert ring.platoons[0].ctl("cache", "wait", "c").returncode == 0, "what is asked of the node itself needs none"
    done = wait_until(lambda: (d := ring.platoons[0].ctl("--json", "send", one.name, json.dumps({"get": key}))).returncode == 0 and d, 60, "its lease")
    assert json.loads(done.stdout)["ok"] in (key, "late")
