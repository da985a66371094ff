"""copies = 2: what is acknowledged is in Redis too until the store has it, and a host that is lost for good loses nothing: the other one serves it."""
import hashlib
import itertools
import os
import shutil
import signal
import threading

import pytest
import redis

from cache_store_fixture import Bucket
from incr_hammer import patient
from platoon_fixture import wait_until
from ring_fixture import MANAGER, Ring, die, refused, serves_all

TAKES = 350

PREFIXES = itertools.count(1)
SHORT = {"lease": "2s", "timeout": "1s"}
UNHURRIED = {"lease": "5s"}  # nobody is taken over before its time
CALM = {"lease": "10s", "timeout": "60s"}  # nothing is refused, and nobody is lost, on a busy machine neither
UNSTORED = {"write_delay": "1h", "idle": "0s"}


@pytest.fixture
def hosts(redis_server, platoons, rgw):
    """Platoons of one ring, not started."""
    def make(count=2, server=None, **cache):
        ring, prefix = Ring(server or redis_server()), f"copies{next(PREFIXES)}"
        for _ in range(count):
            platoon = platoons()
            ring.add(platoon, Bucket(rgw, prefix, platoon.dir), **{"copies": 2, **SHORT, **UNSTORED, **cache})
        return ring
    return make


@pytest.fixture
def alone(redis_server, platoon):
    """One node of a ring, whose store is a directory; started."""
    def make(*options, **cache):
        return Ring(redis_server(*options)).add(platoon, **{"copies": 2, "timeout": "1s", **UNSTORED, **cache}).start()
    return make


def burn(platoon):
    """Its host is lost, with all that it had."""
    die(platoon)
    shutil.rmtree(platoon.dir / "state")


def copies(ring, number):
    """How many there are of that incarnation."""
    return ring.server.client().hlen(f"platoon:{{cache:c}}:copies:{number}")


def tells(platoon, worker, *parts):
    """Waits until that is its trouble."""
    last = []

    def look():
        last[:] = [platoon.workers()[worker].get("trouble") or ""]
        return all(part in last[0] for part in parts)
    wait_until(look, 60, lambda: f"{parts}; its trouble is {last}")


# ---- a host is lost ----

def test_a_host_is_lost_for_good(hosts):
    """Nothing of it is stored: all of its acknowledged writes are served by the other one, by their newest value."""
    ring = hosts(**CALM).start()
    one, other = ring.nodes
    keys = ring.keys_of(other, 20)
    client = other.client()
    for key in keys[:10]:
        client.set(key, "old")
        client.set(key, key + "!")
    client.delete(*keys[10:15])
    client.set(keys[15], "soon", ex=3600)
    assert ring.stores[0].has(keys[0]) is None
    burn(ring.platoons[1])
    here = one.client()
    for key in keys[:10]:
        assert patient(lambda key=key: here.get(key)) == key.encode() + b"!"
    assert [patient(lambda key=key: here.get(key)) for key in keys[10:15]] == [None] * 5
    assert patient(lambda: here.get(keys[15])) == b"soon" and 3500 < here.ttl(keys[15]) <= 3600
    serves_all(one, keys[16:])
    wait_until(lambda: ring.row(other) is None, 60, "it to be struck out")
    assert all(ring.owner(key) is one for key in keys)


@pytest.mark.parametrize("end", [burn, die], ids=["with its state", "with its log left"])
def test_a_deletion_has_a_second_copy(hosts, end):
    """What the store has does not come back when its newest write was a deletion, by whatever command, though only the lost host had heard of that."""
    ring = hosts(**CALM).start()
    one, other = ring.nodes
    keys = ring.keys_of(other, 6)
    for key in keys:
        patient(lambda key=key: other.client().execute_command("PLATOON.DUMP", key, "WAIT", 0))
    client, number = other.client(), ring.row(other)["incarnation"]
    assert client.delete(keys[0]) == 1 and client.unlink(keys[1]) == 1 and client.getdel(keys[2]) == keys[2].encode()
    assert client.expireat(keys[3], 1) and client.set(keys[4], "v") and client.delete(keys[4]) == 1
    there = f"platoon:{{cache:c}}:copies:{number}"
    wait_until(lambda: set(map(str.encode, keys[:5])) <= set(ring.server.client().hkeys(there)), 30, "all copies")
    assert all(ring.stores[0].has(key) == key.encode() for key in keys)
    end(ring.platoons[1])
    assert [patient(lambda key=key: one.client().get(key)) for key in keys[:5]] == [None] * 5
    serves_all(one, keys[5:])
    wait_until(lambda: ring.row(other) is None, 60, "it to be struck out")
    assert copies(ring, number) == 0 and [ring.stores[0].has(key) for key in keys[:5]] == [None] * 5
    ring.platoons[1].start(ready=False)
    ring.serves(other)
    for node in ring.nodes:
        assert [patient(lambda key=key, node=node: node.client().get(key)) for key in keys] == [None] * 5 + [keys[5].encode()]


@pytest.mark.parametrize("behind", [UNSTORED, {"write_delay": "100ms", "idle": "1s"}], ids=["unstored", "stored"])
def test_numbers_while_hosts_are_lost(hosts, behind):
    """The hosts are lost in turn, each with its state; no number of an INCR is lost, or given twice."""
    ring = hosts(**behind).start()
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for turn in range(3):
            hammer.more()
            lost, left = ring.platoons[turn % 2], ring.nodes[1 - turn % 2]
            burn(lost)
            hammer.more(who=[left])
            lost.start()
        hammer.more()
        hammer.check(ring.nodes[0].client())


def test_a_host_that_was_taken_over_comes_back(hosts):
    """With its log: what the other one has written since stays, and is a dead letter here."""
    ring = hosts().start()
    one, other = ring.nodes
    kept, overwritten, gone = ring.keys_of(other, 3)
    number = ring.row(other)["incarnation"]
    die(ring.platoons[1])
    wait_until(lambda: ring.state(other) is None, 60, "it to be taken over")
    patient(lambda: one.client().set(overwritten, "newer"))
    patient(lambda: one.client().delete(gone))
    patient(lambda: one.client().execute_command("PLATOON.DUMP", overwritten, "WAIT", 0))
    ring.platoons[1].start()
    ring.serves(other)
    for node in ring.nodes:
        serves_all(node, [kept])
        assert patient(lambda node=node: node.client().get(overwritten)) == b"newer" and patient(lambda node=node: node.client().get(gone)) is None
    wait_until(lambda: ring.state(other) == "live", 30, "it to be in the ring")
    assert ring.row(other)["incarnation"] != number and ring.stores[0].has(kept) == kept.encode()


# ---- in the middle of a take-over ----

def lose(ring, count=300, size=2000):
    """The last platoon is lost, with so many objects. Its incarnation, and what each of them is."""
    other = ring.nodes[-1]
    values = {ring.key(): os.urandom(size // 2).hex() for _ in range(count)}
    for key, value in values.items():
        patient(lambda key=key, value=value: other.client().set(key, value))
    number = ring.row(other)["incarnation"]
    wait_until(lambda: copies(ring, number) >= count, 30, "all copies")
    burn(ring.platoons[-1])
    return number, values


def has_all(node, values):
    client = node.client()
    for key, value in values.items():
        assert patient(lambda key=key: client.get(key)) == value.encode(), key


def test_masters_are_killed_while_they_take_over(hosts):
    """Whoever is master goes on with what is left."""
    ring = hosts(3, **UNHURRIED).start()
    for count in (1000, 3000, 9000):  # on a busy machine all of it may be stored before anybody has looked
        number, values = lose(ring, count)
        deaths = kills_of_masters(ring, number, len(values))
        has_all(ring.nodes[0], values)
        has_all(ring.nodes[1], values)
        if deaths > 0:
            return
        ring.platoons[-1].start()
        ring.serves(ring.nodes[-1])
    raise AssertionError("nobody was killed")


def kills_of_masters(ring, number, last):
    """kill -9 of the master, each time that some more of so many are stored, until all are; how often."""
    deaths = itertools.count()
    over = threading.Event()

    def kills():
        nonlocal last
        while not over.is_set() and (left := copies(ring, number)) > 0:
            if left < last - 50:
                last = left
                told = next((row["name"] for row in ring.ask("ring", "c")["managers"] if row["role"] == "master"), "")
                for platoon in ring.platoons[:-1]:
                    worker = platoon.workers()[MANAGER]
                    if worker["pid"] and f":{worker['generation']}" in told:
                        os.kill(worker["pid"], signal.SIGKILL)
                        next(deaths)
            over.wait(0.01)
    thread = threading.Thread(target=kills, daemon=True)
    thread.start()
    try:
        wait_until(lambda: ring.state(ring.nodes[-1]) is None, 120, "it to be taken over")
    finally:
        over.set()
        thread.join(60)
    return next(deaths)


@pytest.mark.parametrize("keys", [{}, {"when_lost": "backing", "failover_wait": "0s"}], ids=["refuse", "backing"])
def test_the_store_is_away_while_it_is_taken_over(hosts, keys):
    """Nobody is given up, by whatever `when_lost`, nor by a person, while what it acknowledged can still be stored."""
    ring = hosts(**UNHURRIED, **keys).start()
    ring.stores[0].away()
    try:
        number, values = lose(ring, 50)
        key = next(iter(values))
        tells(ring.platoons[0], MANAGER, ring.nodes[1].name, "is lost, and 5", "objects that it wrote are not stored", "Failed to connect")
        refused(lambda: ring.nodes[0].client().get(key))
        done = ring.platoons[0].ctl("cache", "forget", "c", str(number))
        assert done.returncode != 0 and " copies of what it wrote" in done.stderr, done
        assert copies(ring, number) >= 50 and ring.state(ring.nodes[1]) == "lost"
    finally:
        ring.stores[0].back()
    has_all(ring.nodes[0], values)
    wait_until(lambda: ring.state(ring.nodes[1]) is None, 60, "it to be struck out")
    wait_until(lambda: not ring.platoons[0].workers()[MANAGER].get("trouble"), 30, "no trouble")


def in_the_way(store, key):
    """Something in the object's place, which the store refuses for good to replace."""
    path = store.path / hashlib.sha256(key.encode()).hexdigest()[:2] / key
    path.mkdir(parents=True)
    return path


def test_what_the_store_refuses_for_good_is_forgotten_by_a_person(alone):
    """It is in Redis, and told of, until somebody throws it away, or mends the store: the rest is stored all the same."""
    ring = alone(nodes=2, **UNHURRIED, timeout="60s")
    one, other = ring.nodes
    for mended in (False, True):
        key, *rest = ring.keys_of(other, 3)
        number = ring.row(other)["incarnation"]
        path = in_the_way(ring.stores[0], key)
        with ring.stays_dead(other):
            tells(ring.platoons[0], MANAGER, other.name, "is lost, and 1 objects that it wrote are not stored", "it is a directory", key)
            assert copies(ring, number) == 1 and ring.server.client().hexists(f"platoon:{{cache:c}}:copies:{number}", key)
            assert [ring.stores[0].has(k) for k in rest] == [k.encode() for k in rest]
            if not mended:
                assert ring.ask("forget", "c", str(number)) == {"incarnation": number}
            path.rmdir()
            wait_until(lambda: ring.state(other) is None, 30, "it to be struck out")
            assert patient(lambda: one.client().get(key)) == (key.encode() if mended else None)
            serves_all(one, rest)
            assert copies(ring, number) == 0
        ring.serves()


def test_a_dead_letter_that_is_dropped_has_no_copy(alone):
    """Until then it has one: nobody else has it."""
    ring = alone(lease="30s", timeout="60s")
    node, = ring.nodes
    number = ring.row(node)["incarnation"]
    key = ring.key()
    path = in_the_way(ring.stores[0], key)
    node.client().set(key, "refused")
    assert ring.platoons[0].ctl("cache", "dump", "c", "--all").returncode == 0
    wait_until(lambda: [letter["key"] for letter in ring.ask("dead", "c")] == [key], 30, "the dead letter")
    wait_until(lambda: ring.server.client().hkeys(f"platoon:{{cache:c}}:copies:{number}") == [key.encode()], 30, "its copy to be the last one")
    assert node.status()["at_risk_bytes"] == 0
    assert ring.ask("dead", "c", "drop", key) == {"count": 1}
    wait_until(lambda: copies(ring, number) == 0, 30, "no copies")
    path.rmdir()
    assert patient(lambda: node.client().get(key)) is None


# ---- no second copy ----

def test_redis_stands_still(alone):
    """A write has no second copy: it is refused, as what reads it is, and what was copied before is read on."""
    ring = alone(lease="30s")
    node, = ring.nodes
    client = node.client()
    patient(lambda: client.set("k", "copied"))
    patient(lambda: client.set("n", 1))
    ring.server.pause()
    try:
        with pytest.raises(redis.exceptions.ResponseError, match="^NOREPLICAS Not enough good replicas to write"):
            client.set("k", "not copied")
        with pytest.raises(redis.exceptions.ResponseError, match="^NOREPLICAS "):
            client.get("k")
        with pytest.raises(redis.exceptions.ResponseError, match="^NOREPLICAS "):
            client.set("n", "refused before it is done")
        assert client.get("n") == b"1"
        tells(ring.platoons[0], node.name, "no second copies are kept")
    finally:
        ring.server.resume()
    assert patient(lambda: client.get("k")) == b"not copied"
    assert patient(lambda: client.get("n")) == b"1" and patient(lambda: client.incr("n")) >= 2, "of INCR, too, an answer that was late may have been done"
    wait_until(lambda: not node.worker().get("trouble"), 30, "no trouble")


def test_redis_is_full(alone):
    """It says so, the node tells why, and when there is room again all goes on."""
    ring = alone(lease="30s")
    node, = ring.nodes
    client, server = node.client(), ring.server.client()
    patient(lambda: client.set("k", "copied"))
    server.config_set("maxmemory", 1)
    with pytest.raises(redis.exceptions.ResponseError, match="^NOREPLICAS "):
        client.set("k", "not copied")
    tells(ring.platoons[0], node.name, "no second copies are kept", "maxmemory")
    server.config_set("maxmemory", 0)
    assert patient(lambda: client.get("k")) == b"not copied" and patient(lambda: client.set("k", "again"))


def test_bytes_at_risk(alone):
    """Those that are dirty and have no second copy; a copy goes when the store has the object."""
    ring = alone(lease="30s")
    node, = ring.nodes
    number = ring.row(node)["incarnation"]
    patient(lambda: node.client().set("k", "v" * 1000))
    wait_until(lambda: node.status()["dirty_bytes"] > 1000 and node.status()["at_risk_bytes"] == 0, 30, lambda: f"copies; {node.status()}")
    ring.server.pause()
    try:
        with pytest.raises(redis.exceptions.ResponseError, match="^NOREPLICAS "):
            node.client().set("k", "v" * 3000)
        wait_until(lambda: 3000 < node.status()["at_risk_bytes"] < 3100, 30, lambda: f"one at risk; {node.status()}")
    finally:
        ring.server.resume()
    wait_until(lambda: node.status()["at_risk_bytes"] == 0, 30, "copies")
    wait_until(lambda: copies(ring, number) == node.status()["dirty"] > 0, 30, "as many copies as there are dirty ones")
    assert ring.platoons[0].ctl("cache", "dump", "c", "--all", "--wait").returncode == 0
    wait_until(lambda: copies(ring, number) == 0, 30, "no copies")


def test_one_copy_is_all_at_risk(alone):
    ring = alone(copies=1)
    node, = ring.nodes
    patient(lambda: node.client().set("k", "v" * 1000))
    wait_until(lambda: node.status()["at_risk_bytes"] == node.status()["dirty_bytes"] > 1000, 30, "bytes at risk")
    assert copies(ring, ring.row(node)["incarnation"]) == 0


# ---- Redis is another ----

def test_a_new_run_without_the_last_copies(alone):
    """What Redis has forgotten is copied again, before anything is acknowledged: then the host may be lost."""
    ring = alone(lease="2s")
    node, = ring.nodes
    number = ring.row(node)["incarnation"]
    for name in ("a", "b", "c"):
        patient(lambda name=name: node.client().set(name, name))
    ring.server.client().delete(f"platoon:{{cache:c}}:copies:{number}")
    ring.server.stop()
    ring.server.start()
    assert patient(lambda: node.client().set("d", "d"))
    found = ring.server.client().hkeys(f"platoon:{{cache:c}}:copies:{number}")
    assert {b"a", b"b", b"c", b"d"} <= set(found)


def test_redis_restarts(hosts):
    ring = hosts().start()
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for _ in range(2):
            hammer.more()
            ring.server.stop()
            hammer.refused()
            ring.server.start()
        hammer.more()
        burn(ring.platoons[1])
        hammer.more(who=[ring.nodes[0]])
        hammer.stop()
        ring.platoons[1].start()
        hammer.check(ring.nodes[0].client())


# ---- a log that has lost its end ----

def test_a_log_without_its_end(alone):
    """The host has lost its power, and what was acknowledged is not in the log: it is in Redis, and comes back from there."""
    ring = alone(**CALM)
    node, = ring.nodes
    platoon = ring.platoons[0]
    number = ring.row(node)["incarnation"]
    values = {name: name * 100 for name in "abc"}
    for name, value in values.items():
        node.client().set(name, "old")
        node.client().set(name, value)
    node.client().set("gone", 1)
    node.client().delete("gone")
    die(platoon)
    for path in (platoon.dir / "state/cache/c/node.1").glob("*.log"):
        path.unlink()
    platoon.start()
    has_all(node, values)
    assert patient(lambda: node.client().get("gone")) is None and ring.row(node)["incarnation"] == number
    assert patient(lambda: node.client().append("a", "+")) == 101


# ---- orderly ends, and mistakes ----

def test_a_host_is_stopped_in_order(hosts):
    """It leaves nothing in Redis, and nothing is refused for long."""
    ring = hosts().start()
    one, other = ring.nodes
    keys, number = ring.keys_of(other, 10), ring.row(other)["incarnation"]
    assert ring.platoons[1].stop() == 0
    wait_until(lambda: ring.state(other) is None, 30, "the other host to hear of it")
    serves_all(one, keys)
    assert copies(ring, number) == 0


def test_other_copies_are_refused(hosts):
    ring = hosts()
    ring.platoons[0].start()
    ring.serves(ring.nodes[0])
    stranger = ring.platoons[1]
    text = stranger.config_path.read_text()
    stranger.config_path.write_text(text.replace('copies = "2"', 'copies = "1"'))
    assert text != stranger.config_path.read_text()
    stranger.start(ready=False)
    wait_until(lambda: stranger.workers()[MANAGER]["state"] == "FATAL", 30, "the refusal")
    assert MANAGER in stranger.problems()
