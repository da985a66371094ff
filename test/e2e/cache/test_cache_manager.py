"""The manager of a cache between a real Redis and workers of the tests in the nodes' place (ring_node.c), which join and serve nothing."""
import json
import os
import signal
import subprocess

import pytest

from platoon_fixture import BUILD, freeze, wait_until
from ring_node_fixture import MANAGER, ONE, S3, TWO, claim, configure_ring, say, serves, state

TAKES = 190

CALM = {"lease": "10s"}  # nobody is lost, nor without a lease, because the machine was busy for a moment


@pytest.fixture
def ring(platoon, redis_server):
    """Configures and starts a platoon whose cache has two nodes, a Redis and a directory of its own as its store."""
    def configure(to=None, server=None, start=True, **more):
        to = to or platoon
        server = server or redis_server()
        configure_ring(to, server, **more)
        if start:
            to.start()
        return server
    return configure


def ring_of(platoon):
    return platoon.json("cache", "ring", "c")


def master_of(platoon):
    """The manager that is master; None: nobody is that anybody knows."""
    return next((manager["name"] for manager in ring_of(platoon)["managers"] if manager["role"] == "master"), None)


def states(platoon):
    return sorted((node["name"], node["state"]) for node in ring_of(platoon)["nodes"])


def test_nodes_join_and_have_leases(ring, platoon):
    ring(**CALM)
    one, two = serves(platoon, ONE), serves(platoon, TWO)
    assert one["incarnation"] != two["incarnation"] and one["epoch"] == two["epoch"]
    assert one["was"] == 0
    assert {one["number"], two["number"]} == {0, 1}
    wait_until(lambda: state(platoon, ONE)["nodes"] == 2 == state(platoon, TWO)["nodes"], 30, "both to hear of both")
    wait_until(lambda: state(platoon, ONE)["leases"] > one["leases"] + 3, 30, "more leases")
    assert state(platoon, ONE)["joins"] == one["joins"]
    wait_until(lambda: states(platoon) == [(ONE, "live"), (TWO, "live")], 30, "both to be live")
    told = ring_of(platoon)
    assert [manager["role"] for manager in told["managers"]] == ["master"] and told["cache"] == "c"
    shown = platoon.ctl("cache", "ring", "c").stdout
    assert ONE in shown and told["managers"][0]["name"] in shown
    wait_until(lambda: platoon.ctl("status").returncode == 0, 30, "no trouble")


def test_claims(ring, platoon):
    ring(**CALM)
    (first, number), (second, same) = claim(platoon, ONE, 1, 2)
    assert (first, second) == (1, 1) and number == same
    assert claim(platoon, ONE, 2) == [(1, number)]
    assert claim(platoon, TWO, 1, 3)[0] == (2, state(platoon, ONE)["incarnation"])
    assert say(platoon, ONE, f"held 1:{number}") == ["3", "0"]
    say(platoon, ONE, f"release 1:{number + 1000}")
    assert claim(platoon, TWO, 1)[0][0] == 2
    say(platoon, ONE, f"release 1:{number}")
    (now, newer), = claim(platoon, TWO, 1)
    assert now == 1 and newer > number
    assert claim(platoon, ONE, 1, 2) == [(2, state(platoon, TWO)["incarnation"]), (1, number)]


def test_claims_of_one_turn_are_one_call(ring, platoon):
    server = ring(**CALM)
    claim(platoon, TWO, 2)
    two = serves(platoon, TWO)["incarnation"]
    before = server.client().get("platoon:{cache:c}:seq")
    first, second, third = say(platoon, ONE, "each 1 2 3")
    assert second == f"2=2:{two}"
    assert first.startswith("1=1:") and third.startswith("3=1:") and first[2:] == third[2:]
    assert int(server.client().get("platoon:{cache:c}:seq")) == int(before) + 1


def test_a_claim_does_not_overtake_a_release(ring, platoon):
    ring(**CALM)
    (_, number), = claim(platoon, ONE, 1)
    result, _, owner = say(platoon, ONE, f"again 1:{number}")
    assert result == "0" and owner.startswith("1:") and int(owner[2:]) > number


def test_a_node_that_is_killed_goes_on_as_it_was(ring, platoon):
    ring()
    owned = claim(platoon, ONE, 1)
    before, node = serves(platoon, ONE), platoon.workers()[ONE]
    os.kill(node["pid"], 9)
    platoon.replaced(node)
    after = serves(platoon, ONE)
    assert after["incarnation"] == before["incarnation"] and after["mark"] > before["mark"] and after["was"] in (1, 2)
    assert claim(platoon, ONE, 1) == owned and after["number"] == owned[0][1]
    assert claim(platoon, ONE, 2)[0][1] > after["number"]


def test_a_manager_that_is_killed_joins_them_anew(ring, platoon):
    ring()
    owned = claim(platoon, ONE, 1)
    before, manager = [serves(platoon, node) for node in (ONE, TWO)], platoon.workers()[MANAGER]
    os.kill(manager["pid"], 9)
    platoon.replaced(manager)
    wait_until(lambda: state(platoon, ONE)["joins"] > before[0]["joins"] and state(platoon, TWO)["joins"] > before[1]["joins"], 30, "both to join")
    assert [serves(platoon, node)["incarnation"] for node in (ONE, TWO)] == [node["incarnation"] for node in before]
    assert claim(platoon, ONE, 1) == owned


def test_a_redis_that_is_silent_ends_leases(ring, platoon):
    server = ring()
    before = serves(platoon, ONE)
    server.pause()
    wait_until(lambda: state(platoon, ONE)["runs"] == 0, 30, "the lease's end")
    wait_until(lambda: "Redis has given no answer for" in platoon.ctl("cache", "ring", "c").stdout, 30, "the ring to be told as of then")
    server.resume()
    after = serves(platoon, ONE)
    assert after["incarnation"] == before["incarnation"] and after["epoch"] == before["epoch"]


def test_another_redis_is_closed_and_holders_claim_again(ring, platoon):
    server = ring(**CALM)
    (_, number), = claim(platoon, ONE, 1)
    before = serves(platoon, ONE)
    server.stop()
    server.start()
    wait_until(lambda: state(platoon, ONE)["epoch"] > before["epoch"], 30, "the new run")
    assert say(platoon, TWO, "claim 2")[0] == "2"
    assert say(platoon, ONE, f"held 1:{number}") == ["0", "0", f"1:{number}"]
    assert claim(platoon, TWO, 1, 2)[0] == (2, before["incarnation"])


def test_a_node_that_is_gone_is_lost_then_forgotten(ring, platoon):
    ring(**CALM)
    claim(platoon, TWO, 7)
    gone = serves(platoon, TWO)["incarnation"]
    assert platoon.ctl("cache", "forget", "c", TWO).returncode != 0
    assert platoon.ctl("stop", TWO).returncode == 0
    wait_until(lambda: (TWO, "lost") in states(platoon), 30, "it to be lost")
    assert claim(platoon, ONE, 7) == [(3, gone)]
    assert platoon.ctl("cache", "forget", "c", str(gone)).returncode == 0
    wait_until(lambda: states(platoon) == [(ONE, "live")], 30, "it to be forgotten")
    assert claim(platoon, ONE, 7)[0][0] == 1
    assert platoon.ctl("start", TWO).returncode == 0
    assert serves(platoon, TWO)["incarnation"] != gone


def test_a_lost_node_is_given_up(ring, platoon):
    """when_lost = backing, and its time is over: its cells are others', and it comes back as somebody else."""
    ring(when_lost="backing", failover_wait="2s")
    claim(platoon, TWO, 7)
    gone = serves(platoon, TWO)["incarnation"]
    assert platoon.ctl("stop", TWO).returncode == 0
    wait_until(lambda: claim(platoon, ONE, 7)[0][0] == 1, 30, "it to be given up")
    line, = [line for line in platoon.log().splitlines() if "ring-node-given-up" in line and f"node={TWO}" in line]
    assert f"incarnation={gone}" in line and int(line.split("lost_ms=")[1].split()[0]) >= 2000, line
    wait_until(lambda: states(platoon) == [(ONE, "live")], 30, "one node to be left")
    assert platoon.ctl("start", TWO).returncode == 0
    assert serves(platoon, TWO)["incarnation"] != gone


def test_who_is_back_in_time_is_not_given_up(ring, platoon):
    """One that was back within it begins anew when it is lost again."""
    ring(when_lost="backing", failover_wait="1h")
    claim(platoon, TWO, 7)
    before = serves(platoon, TWO)["incarnation"]
    for _ in range(2):
        assert platoon.ctl("stop", TWO).returncode == 0
        wait_until(lambda: (TWO, "lost") in states(platoon), 30, "it to be lost")
        assert platoon.ctl("start", TWO).returncode == 0
        assert serves(platoon, TWO)["incarnation"] == before
    assert "ring-node-given-up" not in platoon.log()
    wait_until(lambda: claim(platoon, ONE, 7) == [(2, before)], 30, "it to have what it had")


def test_a_lost_node_that_has_nothing_is_struck_out(ring, platoon):
    """Nobody is asked to forget it. One that has a cell stays: what it has is nowhere else."""
    ring()
    claim(platoon, ONE, 7)
    serves(platoon, TWO)
    for node in (ONE, TWO):
        assert platoon.ctl("stop", node).returncode == 0
    wait_until(lambda: states(platoon) == [(ONE, "lost")], 90, "both to be lost, and the one without a cell to be struck out")
    assert "ring-node-empty" in platoon.log()
    assert platoon.ctl("start", ONE).returncode == platoon.ctl("start", TWO).returncode == 0
    assert serves(platoon, ONE)["was"] == 2 and serves(platoon, TWO)["was"] == 0
    assert say(platoon, ONE, "sweep")[1].startswith("7:")


def test_a_node_asks_what_it_has(ring, platoon):
    ring()
    cells = [1, 2 ** 52, 2 ** 63 + 5, 2 ** 64 - 1]
    (_, number), = set(claim(platoon, ONE, *cells))
    (_, other), = claim(platoon, TWO, 3)
    assert sorted(say(platoon, ONE, "sweep")) == sorted(["0"] + [f"{cell}:{number}" for cell in cells])
    assert say(platoon, ONE, f"release {cells[1]}:{number}") == ["sent"]
    assert sorted(say(platoon, ONE, "sweep")) == sorted(["0"] + [f"{cell}:{number}" for cell in cells if cell != cells[1]])
    assert say(platoon, TWO, "sweep") == ["0", f"3:{other}"]


def test_a_node_that_leaves_has_nothing(ring, platoon):
    ring()
    claim(platoon, TWO, 7)
    serves(platoon, ONE)
    assert say(platoon, TWO, "leave") == ["0"]
    wait_until(lambda: states(platoon) == [(ONE, "live")], 30, "it to have left")
    assert claim(platoon, ONE, 7)[0][0] == 1
    assert say(platoon, TWO, "leave") == ["1"] and say(platoon, TWO, "claim 8")[0] == "1"


def test_whose_a_key_is(ring, platoon):
    ring()
    serves(platoon, ONE)
    assert platoon.ctl("cache", "owner", "c", "k").stdout.startswith("free")
    cell = int(platoon.json("cache", "owner", "c", "k")["cell"], 16)
    claim(platoon, ONE, cell)
    assert platoon.ctl("cache", "owner", "c", "k").stdout.startswith(f"{ONE} ")
    assert platoon.json("cache", "owner", "c", "k")["state"] == "owned"


def rights_of_the_manual():
    done = subprocess.run([BUILD / "lists"], capture_output=True, text=True, check=True)
    return [right["command"].lower().replace(" ", "|") for right in json.loads(done.stdout)["rights"]
            if right["kind"] == "CACHE" and right["need"] in ("NEEDED", "OPTIONAL")]


def test_rights(ring, platoon, redis_server):
    """With those of the manual's line all goes; one that is missing is named, and it goes on when it is given."""
    server = redis_server()
    client, rights = server.client(), rights_of_the_manual()
    client.execute_command("ACL", "SETUSER", "c", "on", ">secret", "resetkeys", "resetchannels", "-@all", "~platoon:{cache:c}:*",
                           *[f"+{right}" for right in rights])
    (platoon.dir / "secret").write_text("secret")
    (platoon.dir / "secret").chmod(0o600)
    ring(server=server, user={"url": f"redis://c@127.0.0.1:{server.open_port()}", "password_file": "secret"})
    claim(platoon, ONE, 1)
    client.execute_command("ACL", "SETUSER", "c", "-hset")
    assert say(platoon, ONE, "claim 2")[0] == "4"
    wait_until(lambda: "HSET" in platoon.problems(), 30, "the trouble")
    client.execute_command("ACL", "SETUSER", "c", "+hset")
    wait_until(lambda: platoon.ctl("status").returncode == 0, 30, "the end of it")
    claim(platoon, ONE, 2)


def test_a_redis_that_evicts_grants_nothing(ring, platoon, redis_server):
    server = redis_server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    ring(server=server, start=False)
    platoon.start_troubled()
    wait_until(lambda: "noeviction" in platoon.problems(), 30, "the trouble")
    wait_until(lambda: state(platoon, ONE)["runs"] == 1, 30, "a lease")
    assert say(platoon, ONE, "claim 1")[0] == "4"


def test_a_right_that_is_missing_from_the_start_is_told(ring, platoon, redis_server):
    """Before anything has needed it: by the list of rights, which names it."""
    server = redis_server()
    client, rights = server.client(), rights_of_the_manual()
    client.execute_command("ACL", "SETUSER", "c", "on", ">secret", "resetkeys", "resetchannels", "-@all", "~platoon:{cache:c}:*",
                           *[f"+{right}" for right in rights if right != "hscan"])
    (platoon.dir / "secret").write_text("secret")
    (platoon.dir / "secret").chmod(0o600)
    ring(server=server, user={"url": f"redis://c@127.0.0.1:{server.open_port()}", "password_file": "secret"}, start=False)
    platoon.start_troubled()
    wait_until(lambda: "HSCAN" in platoon.problems(), 30, "the trouble")
    client.execute_command("ACL", "SETUSER", "c", "+hscan")
    wait_until(lambda: "HSCAN" not in platoon.problems(), 30, "the end of it")


def test_nothing_is_claimed_before_this_machines_clock_says_so(ring, platoon):
    """Redis' clock may be set forward; here the time from which it grants is set back, which is the same to it."""
    server = ring(**CALM)
    wait_until(lambda: state(platoon, ONE)["joins"], 30, "a join")
    assert state(platoon, ONE)["closed_ms"] > 0
    server.client().hset("platoon:{cache:c}:ring", "from_us", 1)
    wait_until(lambda: ring_of(platoon)["closed_ms"] == 0, 30, "Redis to say that the ring is open")
    result, wait_ms = say(platoon, ONE, "claim 1")
    assert result == "2" and int(wait_ms) > 0
    assert claim(platoon, ONE, 1)[0][0] == 1


def test_a_ring_that_is_full_takes_no_node_until_one_is_gone(ring, platoon, redis_server):
    server = redis_server()
    ring(server=server)
    serves(platoon, ONE)
    serves(platoon, TWO)
    node = state(platoon, TWO)
    assert platoon.ctl("stop", TWO).returncode == 0
    client, key = server.client(), "platoon:{cache:c}:nodes"
    entry = client.hget(key, node["incarnation"])
    client.hdel(key, node["incarnation"])
    client.hset(key, mapping={10 ** 6 + i: entry for i in range(4095)})
    assert platoon.ctl("start", TWO).returncode == 0
    wait_until(lambda: "as many nodes as it may" in platoon.problems(), 30, "the trouble")
    assert "cache forget" in platoon.problems()
    client.hdel(key, 10 ** 6)
    wait_until(lambda: platoon.ctl("status").returncode == 0, 30, "the end of it")
    assert serves(platoon, TWO)["incarnation"] != node["incarnation"]


def test_calls_under_way_are_bounded(ring, platoon):
    """While Redis is silent: 64 of them, releases and claims in turn; whoever asks for more is told to ask later, at once."""
    server = ring()
    claim(platoon, ONE, 1)
    server.pause()
    try:
        assert say(platoon, ONE, "flood 100") == ["33=4"]
        assert say(platoon, TWO, "claim 7")[0] == "4"
    finally:
        server.resume()
    assert claim(platoon, TWO, 7)[0][0] == 1


# ---- several platoons ----

def two_rings(ring, platoons, **cache):
    """Two platoons that are one ring: their store is one bucket."""
    first, second = platoons(), platoons()
    server = None
    for to in (first, second):
        server = ring(to, server, store=S3, start=False, **cache)
        to.start(ready=False)
        serves(to, ONE)
        serves(to, TWO)
    return first, second


def holders(platoon):
    """Incarnation to state of all nodes of the ring, as this platoon's manager knows them."""
    return {node["incarnation"]: node["state"] for node in ring_of(platoon)["nodes"]}


def test_two_platoons_are_one_ring(ring, platoons):
    first, second = two_rings(ring, platoons, **CALM)
    incarnations = {state(to, node)["incarnation"] for to in (first, second) for node in (ONE, TWO)}
    assert len(incarnations) == 4
    for to in (first, second):
        wait_until(lambda to=to: holders(to) == dict.fromkeys(incarnations, "live"), 30, "all to be known")
        wait_until(lambda to=to: state(to, ONE)["nodes"] == 4 == state(to, TWO)["nodes"], 30, "nodes to be told of all")
    wait_until(lambda: master_of(first) == master_of(second) is not None, 30, "both to know one master")
    assert len({node["platoon"] for node in ring_of(first)["nodes"]}) == 2
    wait_until(lambda: len(ring_of(second)["managers"]) == 2, 30, "both managers")
    owner = state(first, TWO)["incarnation"]
    (_, number), = claim(first, TWO, 1)
    assert claim(second, TWO, 1, 2)[0] == (2, owner) == claim(second, ONE, 1)[0]
    say(first, TWO, f"release 1:{number}")
    wait_until(lambda: claim(second, ONE, 1)[0][0] == 1, 30, "it to be free")
    assert claim(first, TWO, 1) == [(2, state(second, ONE)["incarnation"])]


def test_a_master_that_stands_still_is_replaced_and_comes_back(ring, platoons):
    """Another takes over, says that its nodes are lost, and strikes it out; then it goes on, and they are as they were."""
    first, second = two_rings(ring, platoons)
    if (second.dir / "state/instance").read_text().split()[0] in master_of(first):
        first, second = second, first
    before = {node: state(first, node) for node in (ONE, TWO)}
    lost = {node["incarnation"] for node in before.values()}
    (_, number), = claim(first, ONE, 1)
    old, stopped = master_of(first), [first.process.pid, first.pid_of(MANAGER)]
    for pid in stopped:
        freeze(pid)
    try:
        wait_until(lambda: master_of(second) not in (None, old), 30, "another master")
        wait_until(lambda: {who for who, what in holders(second).items() if what == "lost"} == lost, 30, "its nodes to be lost")
        assert claim(second, ONE, 1) == [(3, before[ONE]["incarnation"])]
        wait_until(lambda: len(ring_of(second)["managers"]) == 1, 30, "it to be struck out")
        assert claim(second, ONE, 1) == [(3, before[ONE]["incarnation"])]
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: set(holders(second).values()) == {"live"}, 30, "all to be back")
    for node, was in before.items():
        now = serves(first, node)
        assert now["incarnation"] == was["incarnation"] and now["mark"] > was["mark"] and now["was"] == 2
        assert now["number"] >= number
    assert claim(first, ONE, 1) == [(1, number)]
    wait_until(lambda: master_of(second) == master_of(first) != old, 30, "both to know the new master")
    wait_until(lambda: len(ring_of(second)["managers"]) == 2, 30, "both managers")


@pytest.mark.parametrize("has, wants, lease, what", [
    (S3, {**S3, "url": "http://127.0.0.1:9/other"}, "2s", "has another store: make both sections alike"),
    (S3, S3, "3s", "has another lease: make both sections alike"),
    ("directory", "directory", "2s", "which share no directory: use s3"),
])
def test_another_platoon_must_have_the_same_settings(ring, platoons, has, wants, lease, what):
    first, second = platoons(), platoons()
    stores = [{"type": "file", "path": first.dir / "objects"} if store == "directory" else store for store in (has, wants)]
    server = ring(first, store=stores[0], start=False)
    first.start(ready=False)
    serves(first, ONE)
    serves(first, TWO)
    ring(second, server, store=stores[1], start=False, lease=lease)
    second.start(ready=False)
    wait_until(lambda: "exit code=78" in second.log(), 30, "the refusal")
    line = next(line for line in second.log().splitlines() if "exit code=78" in line)
    assert what in line and "platoon:{cache:c}:" in line and "cache forget" in line and (ONE in line or TWO in line), line
    wait_until(lambda: second.workers()[MANAGER]["state"] == "FATAL", 30, "the manager to be given up")
    wait_until(lambda: states(first) == [(ONE, "live"), (TWO, "live")], 30, "nobody else to be in the ring")


def test_a_manager_that_ends_is_no_master_any_more(ring, platoons):
    first, second = platoons(), platoons()
    server = ring(first)
    serves(first, ONE)
    assert first.stop() == 0
    assert server.client().hlen("platoon:{cache:c}:managers") == 0
    assert not server.client().exists("platoon:{cache:c}:master")
    ring(second, server, start=False)
    second.start(ready=False)
    wait_until(lambda: "has another store" in second.log(), 30, "the refusal")
    wait_until(lambda: second.workers()[MANAGER]["state"] == "FATAL", 30, "that it is not tried again")
