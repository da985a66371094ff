"""Whatever dies, stands still or is cut off in a ring, an acknowledged number of an INCR is there once, and all goes on when it is over."""
import contextlib

import pytest
import redis

from incr_hammer import patient
from platoon_fixture import elapsed, wait_until
from ring_fixture import BACKING, MANAGER, die, frozen, kill, refused, serves_all

TAKES = 250

ONE, TWO = "cache/c/node.1", "cache/c/node.2"
FOREVER = {"write_delay": "1h", "idle": "0s"}


@contextlib.contextmanager
def hammered(ring, keys=4):
    """A client at every node on the same keys; at the end both nodes show the same."""
    names = [ring.key() for _ in range(keys)]
    with ring.hammer(names) as hammer:
        hammer.more()
        yield hammer
        hammer.more()
        finals = [hammer.check(node.client()) for node in ring.nodes]
        assert finals[0] == finals[1]


# ---- deaths ----

@pytest.mark.parametrize("victims", [[ONE], [TWO], [MANAGER], [BACKING], [ONE, TWO], [MANAGER, TWO], [ONE, TWO, MANAGER, BACKING]],
                         ids=lambda names: " ".join(name.rpartition("/")[2] for name in names))
@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_a_kill(cache_ring, victims, fsync):
    ring = cache_ring(idle="1s", write_delay="100ms", fsync=fsync)
    with hammered(ring) as hammer:
        for _ in range(3):
            kill(ring.platoons[0], victims)
            hammer.more()


def test_kills_in_a_row(cache_ring):
    """Before the last one is over, the next one falls."""
    ring = cache_ring(write_delay="100ms")
    with hammered(ring) as hammer:
        for name in [ONE, MANAGER, TWO, MANAGER, ONE, BACKING, TWO]:
            kill(ring.platoons[0], [name])
        hammer.more(timeout=120)


@pytest.mark.parametrize("killed", ["the master", "all at once"])
def test_the_whole_platoon_is_killed(cache_ring, killed):
    """Without its master, every worker ends by itself."""
    ring = cache_ring(write_delay="100ms")
    platoon = ring.platoons[0]
    with hammered(ring) as hammer:
        for _ in range(2):
            if killed == "the master":
                platoon.kill9()
                platoon.gone()
            else:
                die(platoon)
            hammer.refused()
            platoon.start()
            hammer.more()


def test_rolling_restarts(cache_ring):
    ring = cache_ring(write_delay="100ms")
    with hammered(ring) as hammer:
        for _ in range(3):
            done = ring.platoons[0].ctl("restart", "cache/c", "--rolling")
            assert done.returncode == 0, done.stderr
            hammer.more()


# ---- those that stand still ----

@pytest.mark.parametrize("stood", [[ONE], [TWO], [MANAGER], [ONE, MANAGER], [ONE, TWO, MANAGER]], ids=lambda names: " ".join(name.rpartition("/")[2] for name in names))
def test_a_process_stands_still_beyond_its_lease(cache_ring, stood):
    """Who needs it is refused meanwhile; when it goes on it does not believe that no time has passed."""
    ring = cache_ring(write_delay="100ms")
    keys = {node: ring.keys_of(node)[0] for node in ring.nodes}
    still = [node for node in ring.nodes if node.name in stood]
    moving = [node for node in ring.nodes if node not in still]
    with hammered(ring) as hammer:
        for _ in range(2):
            with frozen(*(ring.platoons[0].pid_of(name) for name in stood)):
                for node, key in ((node, keys[of]) for node in moving for of in still or moving):
                    refused(lambda node=node, key=key: node.client().get(key))
                wait_until(elapsed(2.5), 20, "two leases")
            hammer.more()
    for node in ring.nodes:
        serves_all(node, keys.values())


def test_a_backing_worker_stands_still(cache_ring):
    """What is in memory goes on meanwhile, and what was to be stored is stored afterwards."""
    ring = cache_ring(lease="10s", timeout="60s", write_delay="100ms", idle="0s")
    keys = {node: ring.keys_of(node)[0] for node in ring.nodes}
    with hammered(ring) as hammer:
        for turn in range(2):
            with frozen(ring.platoons[0].pid_of(BACKING)):
                for node, key in keys.items():
                    value = f"{key} {turn}"
                    assert patient(lambda node=node, key=key, value=value: node.client().set(key, value))
                    assert patient(lambda node=node, key=key: node.client().get(key)) == value.encode()
                wait_until(elapsed(2.5), 20, "some of it to be due")
                assert all(ring.stores[0].has(key) != f"{key} {turn}".encode() for key in keys.values())
            for key in keys.values():
                wait_until(lambda key=key, turn=turn: ring.stores[0].has(key) == f"{key} {turn}".encode(), 60, "it to be stored")
            hammer.more()


def test_a_node_that_stands_still_is_told_of(cache_ring):
    """TRYAGAIN says which node gives no answer; the others' own keys go on."""
    ring = cache_ring(lease="10s", **FOREVER)
    one, other = ring.nodes
    (key,), own = ring.keys_of(one), ring.keys_of(other, 5)
    with frozen(one.pid()):
        refused(lambda: other.client().get(key), why=ONE)
        serves_all(other, own)
        refused(lambda: other.client().mget(key, *own))
        refused(lambda: other.client().delete(key))
        assert patient(lambda: other.client().mget(own)) == [k.encode() for k in own]
    found = patient(lambda: other.client().get(key))
    assert found in (key.encode(), None), "what was refused may have been done, or not"


# ---- Redis ----

def again(server):
    server.stop()
    server.start()


def forgotten(server):
    """It is not there for a moment, and then knows nothing."""
    server.client().flushall()
    again(server)


def flushed(server):
    server.client().flushall()


def cut(server):
    for client in server.client().client_list():
        server.client().client_kill_filter(_id=client["id"])


@pytest.mark.parametrize("options, what", [((), again), (("--appendonly", "no"), again), ((), forgotten), ((), flushed), ((), cut)],
                         ids=["restarted", "restarted without its data", "flushed and restarted", "flushed", "its connections cut"])
def test_redis_breaks(cache_ring, options, what):
    ring = cache_ring(options=options, idle="1s", write_delay="100ms")
    with hammered(ring) as hammer:
        for _ in range(3):
            what(ring.server)
            hammer.more(timeout=90)


def test_a_node_dies_while_redis_is_away(cache_ring):
    ring = cache_ring(write_delay="100ms")
    with hammered(ring) as hammer:
        ring.server.stop()
        hammer.refused(3)
        kill(ring.platoons[0], [ONE, MANAGER])
        ring.server.start()
        hammer.more(timeout=90)


def no_lease(ring, keys):
    """Redis gives no answer, and each node has come to know it."""
    for node, key in zip(ring.nodes, keys):
        refused(lambda node=node, key=key: node.client().get(key))
        refused(lambda node=node, key=key: node.client().set(key, "refused"))


@pytest.mark.parametrize("away", ["stopped", "paused"])
def test_redis_is_away_for_longer_than_a_lease(cache_ring, away):
    """Strong commands are refused, eventual reads go on, nothing is stored; then all resumes."""
    ring = cache_ring(**{**FOREVER, "write_delay": "100ms"})
    keys = [ring.keys_of(node)[0] for node in ring.nodes]
    stored, unstored = ring.keys_of(ring.nodes[0], 2)
    wait_until(lambda: ring.stores[0].has(stored), 30, "it to be stored")
    ring.stores[0].away()
    patient(lambda: ring.nodes[0].client().set(unstored, "second"))
    (ring.server.stop if away == "stopped" else ring.server.pause)()
    no_lease(ring, keys)
    wait_until(lambda: "redis" in ring.platoons[0].problems().lower(), 60, "the trouble")
    ring.stores[0].back()
    for node, key in zip(ring.nodes, keys):
        assert node.client().execute_command("PLATOON.GET", key, "EVENTUAL") in (key.encode(), b"refused")
        assert patient(lambda node=node: node.client().execute_command("PLATOON.GET", stored, "EVENTUAL")) == stored.encode()
        assert node.client().ping() and node.client().echo("x") == b"x"
    wait_until(elapsed(2), 10, "time to store in")
    assert ring.stores[0].has(unstored) in (unstored.encode(), None)
    (ring.server.start if away == "stopped" else ring.server.resume)()
    ring.serves()
    wait_until(lambda: ring.stores[0].has(unstored) == b"second", 60, "it to be stored")
    assert patient(lambda: ring.nodes[1].client().get(unstored)) == b"second"
    for node, key in zip(ring.nodes, keys):  # an answer that was refused may have been given for what was done
        assert patient(lambda node=node, key=key: node.client().get(key)) in (key.encode(), b"refused")
    wait_until(lambda: ring.platoons[0].ctl("status").returncode == 0, 60, "the end of the trouble")


def test_redis_stands_still_now_and_then(cache_ring):
    ring = cache_ring(idle="1s", write_delay="100ms")
    with hammered(ring) as hammer:
        for _ in range(4):
            ring.server.pause()
            hammer.refused()
            ring.server.resume()
            hammer.more()


# ---- between nodes, and behind them ----

def test_connections_between_nodes_are_cut(cache_ring):
    """All of a node's clients are, the other nodes among them."""
    ring = cache_ring(lease="10s")
    with hammered(ring) as hammer:
        for _ in range(5):
            for node in ring.nodes:
                client = node.client()
                for line in client.client_list():
                    with contextlib.suppress(redis.exceptions.ResponseError, redis.exceptions.ConnectionError):  # it may have gone, or be this one
                        client.execute_command("CLIENT", "KILL", "ID", line["id"])
            hammer.more()


def test_the_store_is_away_for_a_while(cache_ring):
    ring = cache_ring(idle="1s", write_delay="100ms")
    with hammered(ring) as hammer:
        for _ in range(2):
            ring.stores[0].away()
            wait_until(elapsed(2), 10, "some of it to be idle, or to move")
            ring.stores[0].back()
            hammer.more()


def test_a_node_is_found_again(cache_ring):
    """A node's address is the same after its death, and the other's old connection is none."""
    ring = cache_ring(**FOREVER)
    key, = ring.keys_of(ring.nodes[0])
    for _ in range(3):
        serves_all(ring.nodes[1], [key])
        ring.nodes[0].kill()
    serves_all(ring.nodes[1], [key])


# ---- lost nodes ----

def lost(ring, node):
    wait_until(lambda: ring.state(node) == "lost", 60, f"{node} to be lost")


def test_a_node_that_stays_dead(cache_ring):
    """Its keys are refused until it is back, and then all are there; the other's go on."""
    ring = cache_ring(**FOREVER)
    one, other = ring.nodes
    mine, others = ring.keys_of(one, 5), ring.keys_of(other, 5)
    with ring.stays_dead(other):
        lost(ring, other)
        for key in others:
            refused(lambda key=key: one.client().get(key))
            refused(lambda key=key: one.client().set(key, "instead"))
            refused(lambda key=key: one.client().get(key), f"TRYAGAIN cache node {other.name} at unix:{other.path}, which has this object, is lost:")
            assert ring.owner(key) is other
        serves_all(one, mine)
    for node in ring.nodes:
        serves_all(node, mine + others)
    wait_until(lambda: ring.state(other) == "live", 60, "it to be in the ring")


def test_a_node_that_is_not_lost_is_not_forgotten(cache_ring):
    ring = cache_ring(lease="10s", **FOREVER)  # on a busy machine it is lost for a moment with a short one
    done = ring.platoons[0].ctl("cache", "forget", "c", ring.nodes[1].name)
    assert done.returncode != 0 and ring.state(ring.nodes[1]) == "live"


@pytest.mark.parametrize("keys", [{}, {"when_lost": "backing", "failover_wait": "5s"}], ids=["by a person", "by itself"])
def test_a_lost_node_is_forgotten(cache_ring, keys):
    """Its keys are as the store has them. Back again, it has stored what nobody has written since; the rest are dead letters."""
    ring = cache_ring(**FOREVER, **keys)
    one, other = ring.nodes
    overwritten, kept, saved = ring.keys_of(other, 3)
    for key in (overwritten, kept, saved):
        patient(lambda key=key: other.client().execute_command("PLATOON.DUMP", key, "WAIT", 0))
    for key in (overwritten, kept):
        patient(lambda key=key: other.client().set(key, "not stored"))
    unstored, = ring.keys_of(other)
    gone = ring.row(other)["incarnation"]
    with ring.stays_dead(other):
        if not keys:
            lost(ring, other)
            assert ring.platoons[0].ctl("cache", "forget", "c", str(gone)).returncode == 0
        wait_until(lambda: ring.state(other) is None, 60, "it to be forgotten")
        serves_all(one, [overwritten, saved])
        patient(lambda: one.client().set(overwritten, "newer"))
        patient(lambda: one.client().execute_command("PLATOON.DUMP", overwritten, "WAIT", 0))
        assert ring.owner(kept) is None and ring.stores[0].has(kept) == kept.encode()
    wait_until(lambda: ring.state(other) == "live", 60, "it to be back")
    assert ring.row(other)["incarnation"] != gone
    wait_until(lambda: ring.stores[0].has(kept) == b"not stored" and ring.stores[0].has(unstored) == unstored.encode(), 60, "its writes to be stored")
    wait_until(lambda: [letter["key"] for letter in ring.ask("dead", "c")] == [overwritten], 30, "the dead letter")
    assert ring.ask("dead", "c", "show", overwritten)[0]["value"] == "not stored"
    for node in ring.nodes:
        for key, value in ((overwritten, b"newer"), (kept, b"not stored"), (saved, saved.encode()), (unstored, unstored.encode())):
            assert patient(lambda key=key, node=node: node.client().get(key)) == value, (node, key)
    assert ring.stores[0].has(overwritten) == b"newer"
    assert ring.ask("dead", "c", "drop", overwritten) == {"count": 1} and ring.ask("dead", "c") == []
    ring.serves()


def test_a_forgotten_node_and_what_its_successor_has_written(cache_ring):
    """Numbers go on from the store's, and what is written at the one that goes on is kept when the other is back."""
    ring = cache_ring(**FOREVER)
    one, other = ring.nodes
    key = ring.key()
    for number in range(1, 6):
        assert patient(lambda: other.client().incr(key)) >= number
    patient(lambda: other.client().execute_command("PLATOON.DUMP", key, "WAIT", 0))
    stored = int(ring.stores[0].has(key))
    assert patient(lambda: other.client().incrby(key, 100)) > stored
    with ring.stays_dead(other):
        lost(ring, other)
        assert ring.platoons[0].ctl("cache", "forget", "c", str(ring.row(other)["incarnation"])).returncode == 0
        after = patient(lambda: one.client().incr(key))
        assert stored < after <= stored + 10, "from what the store has"
        patient(lambda: one.client().execute_command("PLATOON.DUMP", key, "WAIT", 0))
    ring.serves()
    wait_until(lambda: [letter["key"] for letter in ring.ask("dead", "c")] == [key], 60, "the dead letter")
    assert patient(lambda: other.client().incr(key)) == int(patient(lambda: one.client().get(key))) > after
