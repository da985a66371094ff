"""Objects of a ring live where they are used: they follow their user, are free when they are idle, and stay through stops and deaths."""
import itertools
import os
import signal

import pytest
import redis

from cache_store_fixture import stored
from incr_hammer import passes, patient
from platoon_fixture import elapsed, wait_until
from ring_fixture import BACKING, MANAGER, MOVE, die, kill, refused, serves_all

TAKES = 300

CALM = {"lease": "10s", "timeout": "60s"}  # nothing is refused, on a busy machine neither
UNSTORED = {**CALM, "write_delay": "1h", "idle": "0s"}


# ---- they follow their user ----

def test_a_key_follows_its_user(cache_ring):
    """With all that it is; the store has it first. MOVE commands of one other node do it, and not one fewer."""
    ring = cache_ring(**UNSTORED)
    for one, other in (ring.nodes, ring.nodes[::-1]):
        key, = ring.keys_of(one)
        value = bytes(range(256)) + key.encode()
        one.client().set(key, value, pxat=4000000000123)
        mover = other.client()
        for _ in range(MOVE - 1):
            assert mover.get(key) == value
        assert ring.owner(key) is one
        ring.bring(other, key)
        assert ring.stores[0].has(key) == value
        for node in ring.nodes:
            assert node.client().get(key) == value and node.client().execute_command("PEXPIRETIME", key) == 4000000000123
        assert other.client().incr(f"{{{key}}}") == 1 and ring.owner(key) is other


def test_a_key_that_both_use_stays(cache_ring):
    ring = cache_ring(**CALM)
    one, other = ring.nodes
    key, = ring.keys_of(one)
    mine, others = one.client(), other.client()
    for _ in range(10):
        for _ in range(MOVE - 1):
            assert others.get(key) == key.encode()
        assert mine.get(key) == key.encode()
    assert ring.owner(key) is one


def test_a_tag_moves_whole(cache_ring):
    ring = cache_ring(**UNSTORED)
    one, other = ring.nodes
    tagged = [ring.key(tag="together") for _ in range(20)]
    one.client().mset({key: key for key in tagged})
    gone = ring.key(tag="together")
    assert one.client().set(gone, "v") and one.client().delete(gone) == 1
    ring.bring(other, tagged[0])
    assert all(ring.owner(key) is other for key in tagged)
    serves_all(other, tagged)
    serves_all(one, tagged)
    assert other.client().get(gone) is None


def test_parts_follow_what_has_moved(cache_ring):
    """A node takes one for the owner that is not any more: of a command in parts that part goes on to the next one, and what the others did is not done twice."""
    ring = cache_ring(**{**CALM, "nodes": 3})
    one, other, third = ring.nodes
    asker = third.client()
    for command in ("MSET", "DEL", "UNLINK", "EXISTS", "TOUCH", "MGET"):
        moved, stays, own, gone = *ring.keys_of(one, 2), *ring.keys_of(third), *ring.keys_of(other)
        keys = [moved, stays, own, gone]
        assert asker.mget(keys) == [key.encode() for key in keys]  # it knows whose they are
        ring.bring(other, moved)
        ring.bring(one, gone)
        words = [word for key in keys for word in (key, "changed")] if command == "MSET" else keys
        answer = asker.execute_command(command, *words)
        assert answer in (True, 4, [key.encode() for key in keys]), (command, answer)
        found = {"MSET": b"changed", "DEL": None, "UNLINK": None}
        for node in ring.nodes:
            assert node.client().mget(keys) == [found.get(command, key.encode()) for key in keys], (command, node)


def test_numbers_go_on_while_a_key_moves_to_and_fro(cache_ring):
    """One client after the other, so that every number is known: through 20 moves."""
    ring = cache_ring(**UNSTORED)
    key, = ring.keys_of(ring.nodes[0])
    ring.nodes[0].client().delete(key)
    numbers = itertools.count(1)
    for turn in range(20):
        node = ring.nodes[(turn + 1) % 2]
        client = node.client()

        def moved():
            for _ in range(MOVE * 2):
                assert client.incr(key) == next(numbers)
            return ring.owner(key) is node
        wait_until(moved, 60, f"{key} to come to {node}")


def test_numbers_of_many_while_keys_move(cache_ring):
    ring = cache_ring(**{**CALM, "idle": "1s"})
    keys = [ring.key() for _ in range(3)]
    with ring.hammer(keys) as hammer:
        for turn in range(10):
            mover = ring.nodes[turn % 2].client()
            for key in keys:
                for _ in range(MOVE * 2):
                    mover.exists(key)
            hammer.more()
        hammer.check(ring.nodes[0].client())
    assert not hammer.refusals


def test_a_lock_is_given_once(cache_ring):
    """What the store never hears of is in one memory only: it stays there, used from elsewhere or idle."""
    ring = cache_ring(**{**CALM, "idle": "1s", "volatile": "lock:*"})
    one, other = ring.nodes
    lock = "lock:" + ring.key()
    assert one.client().set(lock, "one", nx=True, ex=3600)
    assert ring.owner(lock) is one
    taker = other.client()
    for _ in range(4 * MOVE):
        assert taker.set(lock, "other", nx=True, ex=3600) is None
    wait_until(elapsed(4), 10, "it to be idle")
    assert ring.owner(lock) is one and taker.get(lock) == b"one"
    assert one.client().delete(lock) == 1
    ring.bring(other, lock)
    assert taker.set(lock, "other", nx=True) and one.client().get(lock) == b"other"


def test_nothing_moves_while_the_store_is_away(cache_ring):
    """It is served from where it is; when the store is back it follows its user."""
    ring = cache_ring(**{**CALM, "write_delay": "100ms", "idle": "0s"})
    one, other = ring.nodes
    clean, dirty = ring.keys_of(one, 2)
    number = f"{{{dirty}}}"  # of its cell
    one.client().set(number, 0)
    stored(one.client())
    ring.stores[0].away()
    one.client().set(dirty, "newer")
    user = other.client()
    for count in range(1, 10 * MOVE):
        assert user.get(dirty) == b"newer" and user.incr(number) == count
    assert ring.owner(dirty) is one
    ring.stores[0].back()
    ring.bring(other, clean, dirty)
    assert ring.stores[0].has(dirty) == b"newer" and one.client().get(dirty) == b"newer"


# ---- idle ones are free ----

def test_an_idle_cell_is_free(cache_ring):
    ring = cache_ring(**{**CALM, "write_delay": "1h", "idle": "1s"})
    one, other = ring.nodes
    key = ring.key()
    one.client().set(key, key)
    wait_until(lambda: ring.owner(key) is None, 60, "it to be free")
    assert ring.stores[0].has(key) == key.encode()
    wait_until(lambda: one.client().dbsize() == 0, 30, "memory to be free of it")
    assert other.client().get(key) == key.encode()
    wait_until(lambda: ring.owner(key) is None, 60, "it to be free again")
    assert one.client().append(key, "+") == len(key) + 1
    assert other.client().get(key) == key.encode() + b"+"


def test_what_is_not_there_is_free_when_it_is_idle(cache_ring):
    """A cell without objects, and one whose object was deleted: no nil stays in the way."""
    ring = cache_ring(**{**CALM, "idle": "1s"})
    one, other = ring.nodes
    never, deleted = ring.key(), ring.key()
    assert one.client().set(deleted, "v") and one.client().delete(deleted) == 1
    assert one.client().get(never) is None and ring.owner(never) in (one, None)
    wait_until(lambda: ring.owner(never) is None and ring.owner(deleted) is None, 60, "both to be free")
    assert other.client().set(never, "v") and one.client().get(never) == b"v"
    assert other.client().get(deleted) is None


def test_what_is_not_stored_is_not_free(cache_ring):
    ring = cache_ring(**{**CALM, "write_delay": "100ms", "idle": "1s"})
    one, other = ring.nodes
    key = ring.key()
    one.client().set(key, "1")
    stored(one.client())
    ring.stores[0].away()
    one.client().set(key, "2")
    wait_until(elapsed(4), 10, "it to be idle")
    assert ring.owner(key) is one and other.client().get(key) == b"2"
    ring.stores[0].back()
    wait_until(lambda: ring.owner(key) is None, 60, "it to be free")
    assert ring.stores[0].has(key) == b"2" and other.client().get(key) == b"2"


# ---- orderly ends ----

def test_a_stop_stores_all_and_leaves(cache_ring):
    """The other goes on and has all of it; who comes back does, too."""
    ring = cache_ring(**UNSTORED)
    one, other = ring.nodes
    mine, others = ring.keys_of(one, 20), ring.keys_of(other, 20)
    with ring.hammer([ring.key()]) as hammer:
        hammer.more(who=[one])
        assert ring.platoons[0].ctl("stop", other.name).returncode == 0
        assert all(ring.stores[0].has(key) == key.encode() for key in others)
        assert ring.state(other) is None and ring.state(one) == "live"
        serves_all(one, mine + others)
        assert all(ring.owner(key) is one for key in mine[:2] + others[:2])
        hammer.more(who=[one])
        assert ring.platoons[0].ctl("start", other.name).returncode == 0
        hammer.more()
        serves_all(other, mine + others)
        hammer.check(one.client())


@pytest.mark.parametrize("words", [["cache/c/node.2"], ["cache/c/node.1"], [MANAGER], [BACKING], ["cache/c"], ["cache/c", "--rolling"]], ids=" ".join)
def test_restarts(cache_ring, words):
    """Of whomever, in order: nothing is lost, and no number is given twice."""
    ring = cache_ring(**UNSTORED)
    keys = [key for node in ring.nodes for key in ring.keys_of(node, 10)]
    with ring.hammer([ring.key() for _ in range(3)]) as hammer:
        for _ in range(2):
            hammer.more()
            done = ring.platoons[0].ctl("restart", *words)
            assert done.returncode == 0, done.stderr
            hammer.more()
        for node in ring.nodes:
            serves_all(node, keys)
        hammer.check(ring.nodes[1].client())


def test_a_stop_while_the_store_is_away(cache_ring):
    """It does not leave: what it has is its own until it is back, and nobody is told an older value."""
    ring = cache_ring(lease="2s", timeout="1s", write_delay="1h", idle="0s")
    one, other = ring.nodes
    key, = ring.keys_of(other)
    patient(lambda: other.client().execute_command("PLATOON.DUMP", key, "WAIT", 0))
    patient(lambda: other.client().set(key, "newer"))
    ring.stores[0].away()
    ring.platoons[0].ctl("stop", other.name)
    wait_until(lambda: other.worker()["state"] == "STOPPED", 60, "its end")
    wait_until(lambda: ring.state(other) == "lost", 30, "it to be lost")
    ring.stores[0].back()
    refused(lambda: one.client().get(key))
    assert ring.owner(key) is other
    told, = [line for line in ring.platoons[0].log().splitlines() if " not-stored " in line]
    assert other.name in told and "objects=" in told and "remedy=" in told, told
    assert ring.platoons[0].ctl("start", other.name).returncode == 0
    assert patient(lambda: one.client().get(key)) == b"newer" == patient(lambda: other.client().get(key))


def test_a_stop_when_the_manager_has_been_stopped(cache_ring):
    """Nobody can give back what the node has: it ends in its time all the same, keeps its cells and its log, and says what is not stored."""
    ring = cache_ring(**{**UNSTORED, "lease": "2s", "timeout": "1s"})
    platoon, (one, other) = ring.platoons[0], ring.nodes
    keys, number = ring.keys_of(other, 10), ring.row(other)["incarnation"]
    assert platoon.ctl("stop", MANAGER).returncode == 0
    for node in ring.nodes:
        refused(lambda node=node: node.client().get(keys[0]))
    assert platoon.ctl("stop", other.name).returncode == 0
    wait_until(lambda: other.worker()["state"] == "STOPPED", 60, "its end")
    told, = [line for line in platoon.log().splitlines() if " not-stored " in line]
    assert other.name in told and not any(ring.stores[0].has(key) for key in keys), told
    for name in (MANAGER, other.name):
        platoon.ctl("start", name)
    ring.serves()
    assert ring.row(other)["incarnation"] == number
    for node in ring.nodes:
        serves_all(node, keys)


def test_a_platoon_that_ends_leaves_nothing_but_the_store(cache_ring):
    ring = cache_ring(**UNSTORED)
    keys = [key for node in ring.nodes for key in ring.keys_of(node, 20)]
    platoon = ring.platoons[0]
    assert platoon.stop() == 0
    platoon.gone()
    assert all(ring.stores[0].has(key) == key.encode() for key in keys)
    assert ring.server.client().hlen("platoon:{cache:c}:nodes") == 0
    platoon.start()
    for node in ring.nodes[::-1]:
        serves_all(node, keys)


# ---- deaths ----

def both_killed(ring):
    kill(ring.platoons[0], [node.name for node in ring.nodes])


def all_killed(ring):
    die(ring.platoons[0])
    ring.platoons[0].start_troubled()


@pytest.mark.parametrize("death", [lambda ring: ring.nodes[1].kill(), both_killed, all_killed], ids=["a node", "both", "the platoon"])
def test_objects_are_warm_and_owned_after_a_death(cache_ring, death):
    """From its log: the store is not there, and has never had them."""
    ring = cache_ring(**UNSTORED)
    one, other = ring.nodes
    owned = {node: ring.keys_of(node, 50) for node in ring.nodes}
    numbers = {node: ring.row(node)["incarnation"] for node in ring.nodes}
    assert not any(ring.stores[0].has(key) for keys in owned.values() for key in keys)
    ring.stores[0].away()  # before: what a start finds unstored is due at once
    death(ring)
    ring.serves()
    assert {node: ring.row(node)["incarnation"] for node in ring.nodes} == numbers
    for node, keys in owned.items():
        assert all(ring.owner(key) is node for key in keys[:3])
        for at in (one, other):
            serves_all(at, keys)
    ring.stores[0].back()


def cells(ring):
    """How many Redis has, whosever they are."""
    client = ring.server.client()
    return sum(client.hlen(bucket) for bucket in client.scan_iter("platoon:{cache:c}:cells:*", 1000))


def test_no_cell_is_left_by_a_death(cache_ring):
    """Whoever comes back knows nothing of what was not there, and claims nothing of what is stored and nobody uses: Redis tells it what it has."""
    ring = cache_ring(**{**CALM, "write_delay": "100ms", "idle": "8s"})
    for node in ring.nodes:
        node.client().mset({key: key for key in (ring.key() for _ in range(150))})
        node.client().mget([ring.key() for _ in range(150)])
        stored(node.client())
    both_killed(ring)
    ring.serves()
    wait_until(lambda: cells(ring) == 0, 90, lambda: f"all to be free; {cells(ring)} are left")


def test_what_moved_away_is_not_there_after_a_death(cache_ring):
    """Its log still has the object as it was; what another node has written since is what it shows."""
    ring = cache_ring(**UNSTORED)
    one, other = ring.nodes
    keys = ring.keys_of(one, 5)
    ring.bring(other, *keys)
    for key in keys:
        other.client().set(key, "newer")
    one.kill()
    ring.serves()
    for at in ring.nodes:
        assert [patient(lambda key=key, at=at: at.client().get(key)) for key in keys] == [b"newer"] * len(keys)
    ring.bring(one, *keys)
    assert one.client().mget(keys) == [b"newer"] * len(keys)


def test_a_death_amid_moves(cache_ring):
    """kill -9 of who gives and of who takes, wherever they are in it; one client, so every number is known to be greater."""
    ring = cache_ring(lease="2s", timeout="1s", write_delay="1h", idle="0s")
    key, last, sent = ring.key(), 0, 0
    for turn in range(12):
        client, victim = ring.nodes[turn % 2].client(), ring.nodes[turn // 2 % 2]
        before = victim.worker()
        for step in range(MOVE * 3):
            if step == MOVE + turn % 5:
                os.kill(before["pid"], signal.SIGKILL)
            sent += 1
            try:
                number = client.incr(key)
            except redis.exceptions.RedisError as error:
                assert passes(error), error
                continue
            assert last < number <= sent
            last = number
        ring.platoons[0].replaced(before, 60)
        ring.serves()
    final = int(patient(lambda: ring.nodes[0].client().get(key)))
    assert last <= final <= sent
