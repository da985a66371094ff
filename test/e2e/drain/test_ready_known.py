"""Ready is said when it is known that nothing is wrong: of a drain whose Redis, rights, set, ledger or store is not as it must be it is never said."""
import pytest

from drain_fixture import members
from platoon_fixture import SCALE, soon, wait_until


def waits_in_vain(platoon, word, *name, seconds=2):
    """Whoever waits from the very start is told what is wrong; whose time was over before it was known asks again."""
    def told():
        nonlocal done
        done = platoon.ctl("--timeout", f"{int(seconds * 1000 * SCALE)}ms", "wait", *name, "ready")
        assert done.returncode != 0, done
        return done.returncode == 124 and " has trouble (" in done.stderr and word in done.stderr
    done = None
    wait_until(told, 20, lambda: f"the trouble to be told: {done}")


def never_ready(platoon, word):
    platoon.spawn()
    waits_in_vain(platoon, word)
    assert "platoon-ready" not in platoon.log()


def then_ready(platoon):
    wait_until(lambda: platoon.status()["ready"], 20, "the end of the trouble")
    wait_until(lambda: "platoon-ready" in platoon.log(), 10, "the log line")
    assert platoon.log().count("platoon-ready") == 1


@pytest.fixture
def outside(platoon, redis_server):
    """A platoon on a Redis of the test's own, which it comes back to soon."""
    platoon.server = redis_server()
    platoon.configure(redis={"url": platoon.server.url, "retry_max": "300ms"})
    platoon.redis = platoon.server.client
    return platoon


def test_without_redis(outside):
    outside.server.stop()
    never_ready(outside, "retrying")
    outside.server.start()
    then_ready(outside)


def test_a_redis_that_stands_still_after_the_first_words(outside):
    """It took the connection: READY does not wait for the answers for ever."""
    outside.server.client().execute_command("CLIENT", "PAUSE", 60000, "WRITE")  # scripts, but nothing of the connection's own
    outside.spawn()
    outside.wait_socket()
    wait_until(lambda: "the server overloaded or stopped?" in outside.problems(), 15, "the cause")
    assert outside.workers()["redis/visits/watcher.1"]["state"] == "READY" and "platoon-ready" not in outside.log()
    outside.server.client().execute_command("CLIENT", "UNPAUSE")
    then_ready(outside)


def test_with_a_wrong_password(platoon, redis_server):
    server = redis_server("--requirepass", "right")
    (platoon.dir / "password").write_text("wrong\n")
    (platoon.dir / "password").chmod(0o600)
    platoon.configure(redis={"url": server.url, "password_file": "password", "retry_max": "300ms"})
    never_ready(platoon, "WRONGPASS")
    (platoon.dir / "password").write_text("right\n")
    then_ready(platoon)


@pytest.mark.parametrize("rules, word", [("-spop", "refuse SPOP"), ("-evalsha", "refuse EVALSHA"), ("-scard", "refuse SCARD"),
                                         ("resetkeys ~tracking:*", "the keys platoon:"), ("resetkeys ~platoon:*", "the keys tracking:")])
def test_with_a_right_that_is_missing(outside, rules, word):
    outside.server.client().execute_command("ACL", "SETUSER", "default", *rules.split())
    never_ready(outside, word)


def test_with_a_set_that_is_none(outside):
    outside.redis().set("tracking:pending", "x")
    never_ready(outside, "WRONGTYPE")
    outside.redis().delete("tracking:pending")
    then_ready(outside)


def test_on_a_replica(outside, redis_server):
    primary = redis_server()
    outside.redis().execute_command("REPLICAOF", "127.0.0.1", primary.open_port())
    never_ready(outside, "replica")
    outside.redis().execute_command("REPLICAOF", "NO", "ONE")
    then_ready(outside)


def test_on_a_replica_that_may_not_say_so(outside, redis_server):
    """Without the right to ROLE; the ledger is signed, so nothing is to be written before there is work."""
    primary = redis_server()
    outside.configure(redis={"url": primary.url}).start().stop()
    outside.log_path.unlink()
    outside.redis().execute_command("REPLICAOF", "127.0.0.1", primary.open_port())
    outside.redis().execute_command("ACL", "SETUSER", "default", "-role")
    wait_until(lambda: outside.redis().exists("platoon:{visits}:owner"), 10, "the replica's data")
    outside.configure(redis={"url": outside.server.url, "retry_max": "300ms"})
    never_ready(outside, "replica")
    outside.redis().execute_command("REPLICAOF", "NO", "ONE")
    then_ready(outside)


def test_with_a_store_that_is_not_there(outside):
    outside.configure(redis={"url": outside.server.url}, store={"path": "later/still/visits.db", "retry_max": "200ms"})
    never_ready(outside, "later")
    (outside.dir / "later").mkdir()
    outside.add(members(1))
    then_ready(outside)


def test_with_a_ledger_that_is_anothers(platoons, redis_server):
    server = redis_server()
    first, second = platoons(), platoons()
    first.configure(redis={"url": server.url}).start()
    assert server.client().hget("platoon:{visits}:owner", "store") == str(first.dir / "visits.db").encode(), "signed before it was ready"
    second.configure(redis={"url": server.url})
    never_ready(second, "belongs to another platoon")


def test_of_two_that_begin_at_once_one_is_ready(platoons, redis_server):
    server = redis_server()
    both = [platoons().configure(redis={"url": server.url}).spawn() for _ in range(2)]
    for platoon in both:
        platoon.wait_socket()
    owner = wait_until(lambda: server.client().hget("platoon:{visits}:owner", "store"), 10, "the signature")
    mine = [owner == str(platoon.dir / "visits.db").encode() for platoon in both]
    assert sorted(mine) == [False, True]
    then_ready(both[mine.index(True)])
    waits_in_vain(both[mine.index(False)], "belongs to another platoon")
    assert "platoon-ready" not in both[mine.index(False)].log()


def test_started_anew_while_redis_is_gone(outside):
    outside.start()
    outside.server.stop()
    for name in ("redis/visits", "redis/send.1"):
        assert outside.ctl("--timeout", f"{2 * SCALE}s", "restart", name).returncode == 124, name
    for name in ("redis/visits", "redis/visits/watcher.1", "redis/visits/get-set.1", "redis/visits/get-hash.1", "redis/send.1"):
        waits_in_vain(outside, "retrying", name, seconds=0.1)
    outside.server.start()
    then_ready(outside)


def test_a_wait_in_the_good_case_is_short(outside):
    """What is asked first costs one or two answers of Redis."""
    def start_seconds():
        outside.spawn()
        assert outside.ctl("--timeout", f"{60 * SCALE}s", "wait", "ready").returncode == 0
        outside.stop()
        return int(outside.log().rpartition("after_ms=")[2].split()[0]) / 1000
    soon(start_seconds, 1.0, "ready", tries=20)
