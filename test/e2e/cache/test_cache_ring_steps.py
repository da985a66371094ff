"""kill -9 at each step of what a ring does, and each script's answer lost: no number is lost or given twice, and all goes on."""
import pytest
import redis

from incr_hammer import patient
from platoon_fixture import elapsed, wait_until
from ring_fixture import Ring, serves_all

TAKES = 390

SHORT = {"nodes": 2, "lease": "2s", "timeout": "1s", "write_delay": "100ms", "idle": "1s", "memory": "64MB"}
ANSWER = "cache-manager.answer"


@pytest.fixture
def faulty_ring(redis_server, faulty):
    """A ring of two nodes, of the build with fault points."""
    def make(**keys):
        return Ring(redis_server()).add(faulty, **{**SHORT, **keys}).start()
    return make


def is_spent(path, stir=lambda: None):
    """Waits until it has happened, while something is done that leads to it."""
    def look():
        stir()
        return not path.exists()
    wait_until(look, 90, f"{path.name} to happen")


def live(ring):
    """New keys come and go on both nodes, and some of them use up the log."""
    for node in ring.nodes:
        key = ring.key()
        patient(lambda node=node, key=key: node.client().set(key, "v" * 300_000))
        patient(lambda node=node, key=key: node.client().delete(key))


def restart(ring):
    ring.platoons[0].ctl("restart", ring.nodes[1].name)


def come_back(ring):
    """What it has in Redis it asks within a second or two of its life."""
    ring.nodes[1].kill()
    ring.serves()
    wait_until(elapsed(3), 30, "it to have lived for a while")


@pytest.mark.parametrize("how", ["kill", "error"])
@pytest.mark.parametrize("script, stir", [("claim", live), ("release", live), ("beat", live), ("copy", live), ("drop", live), ("join", come_back), ("leave", restart),
                                          ("sweep", come_back), ("copies", come_back)], ids=lambda value: value if isinstance(value, str) else "")
def test_an_answer_is_lost(faulty_ring, script, stir, how):
    """Redis has done it. `kill`: the manager dies before it can tell anybody; `error`: it goes on as if there had been none."""
    ring = faulty_ring(copies=1 if script == "sweep" else 2)  # with two it may be taken over, and have nothing there
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for _ in range(2):
            hammer.more()
            is_spent(ring.platoons[0].fault(ANSWER, f"{how} cache_ring_{script}"), lambda: stir(ring))
        hammer.more(timeout=120)
        finals = [hammer.check(node.client()) for node in ring.nodes]
        assert finals[0] == finals[1]


@pytest.mark.parametrize("how", ["kill", "error"])
def test_the_answer_to_what_was_held_is_lost(faulty_ring, how):
    """Redis is another, and has taken it; the nodes say again what they have."""
    ring = faulty_ring(copies=2, lease="4s")

    def another_run():
        """Whose lease is over by then has nothing to say: once more."""
        ring.server.stop()
        ring.server.start()
        ring.serves()
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for _ in range(2):
            hammer.more(timeout=120)
            is_spent(ring.platoons[0].fault(ANSWER, f"{how} cache_ring_held"), another_run)
        hammer.more(timeout=120)
        finals = [hammer.check(node.client()) for node in ring.nodes]
        assert finals[0] == finals[1]


@pytest.mark.parametrize("how", ["kill", "error"])
def test_the_answer_to_a_look_is_lost(faulty_ring, how):
    """Whose a key is cannot be said then, and who asks again is told; it is nobody else's for that."""
    ring = faulty_ring(lease="10s", timeout="5s", idle="0s")
    one, other = ring.nodes
    free, (key,) = ring.key(), ring.keys_of(other)
    for asked, owner in ((key, other), (free, None)):
        path = ring.platoons[0].fault(ANSWER, f"{how} cache_ring_look")
        done = ring.platoons[0].ctl("--timeout", "60s", "cache", "owner", "c", asked)
        assert done.returncode != 0 and done.stderr and not path.exists(), done
        assert ring.owner(asked) is owner
        path = ring.platoons[0].fault(ANSWER, f"{how} cache_ring_look")
        if how == "error":
            with pytest.raises(redis.exceptions.ResponseError, match="^TRYAGAIN "):
                one.client().execute_command("PLATOON.OWNER", asked)
        told = patient(lambda asked=asked: one.client().execute_command("PLATOON.OWNER", asked))
        assert not path.exists() and (told and told[0]) == (owner and owner.name.encode())
    ring.serves()
    serves_all(one, [key])


@pytest.mark.parametrize("how", ["kill", "error"])
@pytest.mark.parametrize("script", ["lost", "copies", "drop", "forget", "free"])
def test_an_answer_is_lost_in_a_take_over(faulty_ring, script, how):
    """What the lost node acknowledged, deletions too, is served by the other one."""
    ring = faulty_ring(copies=2, lease="5s", write_delay="1h", idle="0s")  # nor is it taken over before its time
    one, other = ring.nodes
    keys = ring.keys_of(other, 6)
    patient(lambda: other.client().execute_command("PLATOON.DUMP", keys[0], "WAIT", 0))
    patient(lambda: other.client().delete(keys[0]))
    path = ring.platoons[0].fault(ANSWER, f"{how} cache_ring_{script}")
    with ring.stays_dead(other):
        is_spent(path)
        wait_until(lambda: ring.row(other) is None, 90, "it to be taken over")
        assert patient(lambda: one.client().get(keys[0])) is None
        serves_all(one, keys[1:])
    ring.serves()
    for node in ring.nodes:
        serves_all(node, keys[1:])
        assert patient(lambda node=node: node.client().get(keys[0])) is None


@pytest.mark.parametrize("point", ["cache-log.written", "cache-log.synced", "cache-log.segment", "cache-log.moved", "cache-log.cleaned", "cache-log.removed",
                                   "backing.written", "backing.renamed"])
def test_a_kill_at_a_step(faulty_ring, point):
    """Of who writes the log, cleans it, or stores."""
    ring = faulty_ring()
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for _ in range(2):
            hammer.more()
            is_spent(ring.platoons[0].fault(point), lambda: [live(ring) for _ in range(10)])
        hammer.more(timeout=120)
        finals = [hammer.check(node.client()) for node in ring.nodes]
        assert finals[0] == finals[1]
