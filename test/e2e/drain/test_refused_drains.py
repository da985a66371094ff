"""A drain whose Redis refuses it a command: nothing is lost, it is named, Redis is left in peace, and it goes on by itself.

Some of refusal_sweep.py's cases; all of them: make refusals. And what is missing stands in one sentence; channels are optional.

Reported of others: redisson#5439, #2225, bull#2113, conductor#665, redis#986.
"""
import os
import signal

import pytest

from drain_fixture import members
from platoon_fixture import elapsed, freeze, wait_until
from refusal_sweep import RIGHTS, Case, sweep

TAKES = 90

# Each in one of the ways that it may be refused: a claim's first and last steps, what reads, what ends a claim, how scripts are called,
# and what is done without; a key of the ledger that is of another type, and all writes.
SOME = [Case("RENAME", "acl", "before", "take"), Case("RENAME", "rename", "mid", "take"), Case("PERSIST", "acl", "mid", "take"),
        Case("UNLINK", "acl", "mid", "take"), Case("UNLINK", "rename", "before", "keep"), Case("HGETALL", "acl", "mid", "keep"),
        Case("HGETALL", "rename", "mid", "take"), Case("SPOP", "acl", "mid", "keep"), Case("ZADD", "rename", "mid", "take"),
        Case("SCARD", "acl", "before", "keep"), Case("EVALSHA", "acl", "mid", "take"), Case("EVAL", "rename", "before", "take"),
        Case("SCRIPT LOAD", "acl", "before", "keep"), Case("SUBSCRIBE", "acl", "before", "take"), Case("SELECT", "acl", "mid", "take"),
        Case("PING", "rename", "before", "keep"), Case("HRANDFIELD", "rename", "mid", "take"), Case("TYPE", "acl", "mid", "take"),
        Case("claims", "type", "mid", "take"), Case("dead", "type", "before", "keep"), Case("write", "misconf", "mid", "take"),
        Case("write", "readonly", "mid", "keep"), Case("write", "oom", "mid", "take")]


def test_some_of_the_sweep():
    sweep(SOME)


@pytest.fixture
def narrow(platoon, redis_server):
    """A platoon whose user in Redis has all rights; platoon.acl changes them."""
    server = redis_server()
    client = server.client()
    platoon.acl = lambda *words: client.execute_command("ACL", "SETUSER", "narrow", *words)
    platoon.acl("on", ">x", "~*", "&*", "+@all")
    (platoon.dir / "password").write_text("narrow\nx\n")
    (platoon.dir / "password").chmod(0o600)
    platoon.configure(redis={"url": server.url, "password_file": "password"})
    platoon.redis = server.client
    return platoon


def trouble(platoon):
    return platoon.workers()["redis/visits/watcher.1"].get("trouble") or ""


def test_one_sentence_names_all_that_is_missing(narrow):
    narrow.acl("-hset", "-rename", "-zadd", "-lrange", "-spop")
    narrow.start(ready=False)
    wait_until(lambda: "LRANGE" in trouble(narrow), 10, "the list")
    said = next(line for line in narrow.status()["problems"] if "LRANGE" in line)
    assert "refuse RENAME, HSET, LRANGE, ZADD, SPOP: " in said and "ACL SETUSER" in said and "RIGHTS IN REDIS" in said
    narrow.acl("+@all", "-lrange")
    wait_until(lambda: "refuse LRANGE:" in trouble(narrow), 10, "what is still missing")
    narrow.acl("+@all")
    wait_until(lambda: narrow.status()["ready"], 10, "the end of it")
    narrow.add(members(20))
    narrow.drained()


def test_all_of_it_fits(narrow):
    narrow.acl("-@all")
    narrow.start(ready=False)
    wait_until(lambda: "ZSCORE" in trouble(narrow), 10, "the list")
    needed = {command for command, need in RIGHTS.items() if need == "NEEDED"} - {"SELECT"}
    assert needed <= set(trouble(narrow).replace(",", "").replace(":", "").split()) and trouble(narrow).endswith("platoon.conf(5)")


@pytest.mark.parametrize("keys, named, other", [(["tracking:pending"], "the keys platoon:{visits}:*:", "tracking"),
                                                (["platoon:*"], "the keys tracking:pending:", "platoon:")])
def test_keys_are_part_of_it(narrow, keys, named, other):
    narrow.acl("resetkeys", *[f"~{key}" for key in [*keys, "v:*"]])
    narrow.start(ready=False)
    wait_until(lambda: named in trouble(narrow), 10, "the list")
    assert other not in trouble(narrow).partition(named)[2]


def test_rights_that_are_taken_from_a_drain_that_runs(narrow):
    narrow.start()
    narrow.acl("-lrange", "-spop")
    narrow.add(members(20))
    wait_until(lambda: "refuse LRANGE, SPOP:" in trouble(narrow), 10, "a look at the rights")
    narrow.acl("+@all")
    narrow.drained()
    assert narrow.data() == members(20)


def test_good_members_beside_many_that_are_refused(narrow):
    """What is refused goes back into the set, from which it is drawn again; the last good ones must not wait for luck and pauses."""
    client = narrow.redis()
    pipe = client.pipeline(transaction=False)
    for i in range(20_000):
        pipe.sadd("tracking:pending", f"other:{i}")
    pipe.execute()
    narrow.acl("resetkeys", "~platoon:*", "~tracking:pending", "~v:*")
    narrow.start(ready=False)
    wait_until(lambda: "other:" in (narrow.workers()["redis/visits/get-set.1"].get("trouble") or ""), 10, "the refusal")
    narrow.add(members(100), client=client)
    wait_until(lambda: narrow.data() == members(100), 30, "the good ones")
    assert narrow.drain()["dead"] == 0

    def draws():
        return client.info("commandstats")["cmdstat_spop"]["calls"]

    def is_left_in_peace():
        before = draws()
        wait_until(elapsed(1.0), 5)
        return draws() - before <= 6  # two and a try for each
    wait_until(is_left_in_peace, 60, "the search to end")
    assert client.scard("tracking:pending") == 20_000
    narrow.add(members(20, 100), client=client)
    wait_until(lambda: narrow.data() == members(120), 30, "those that come later")


def test_a_stop_does_not_wait_for_a_right(narrow):
    """What Redis does not take back is in the ledger, and the next start finds it."""
    narrow.start()
    narrow.acl("-unlink")
    narrow.add(members(20))
    wait_until(lambda: "UNLINK" in narrow.workers()["redis/visits/get-hash.1"]["trouble"] + narrow.workers()["redis/visits/get-hash.2"]["trouble"], 10, "an ack to be refused")
    assert narrow.stop() == 0
    ends = [line for line in narrow.log().splitlines() if "worker-exit name=redis/visits/get-hash." in line]
    assert len(ends) == 2 and all("exit 0 (finished on purpose)" in line for line in ends), "each by itself, not because its time to stop was over"
    narrow.acl("+@all")
    narrow.start()
    narrow.drained()
    assert narrow.data() == members(20) and narrow.drain()["dead"] == 0


def test_a_trouble_that_came_with_the_last_claim_ends(platoon, redis_server):
    """Redis is full, the last claim that was granted empties the set, and then nothing more is granted."""
    server = redis_server()
    platoon.configure(redis={"url": server.url}, drain={"claims_max": 4, "batch": 5})
    platoon.redis = server.client
    platoon.start()
    pid = platoon.pid_of("redis/visits/get-set.1")
    freeze(pid)
    platoon.add(members(20))
    server.client().config_set("maxmemory", 1)
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: "OOM" in platoon.problems(), 10, "the claim to be refused")
    server.client().config_set("maxmemory", 0)
    platoon.drained()
    wait_until(lambda: platoon.status()["ready"], 15, "the end of the trouble")
    assert platoon.data() == members(20)


@pytest.mark.parametrize("words", [["-subscribe"], ["resetchannels"], ["resetchannels", "-subscribe"]])
def test_without_channels_it_polls_on_one_connection(narrow, words):
    narrow.acl(*words)
    narrow.start()
    watcher = lambda: narrow.workers()["redis/visits/watcher.1"]  # noqa: E731
    wait_until(lambda: watcher()["counters"].get("polls") == 1, 10, "the gauge")
    status = narrow.status()
    assert status["ready"] and [line for line in status["warnings"] if "polls" in line and "RIGHTS IN REDIS" in line]
    client = narrow.redis()
    asked = lambda: (client.info("stats")["total_connections_received"], client.info("commandstats")["cmdstat_subscribe"]["rejected_calls"])  # noqa: E731
    before = asked()
    wait_until(elapsed(2.5 if len(words) < 2 else 6.5), 10)
    assert asked() == before
    narrow.add(members(20), client=client)
    narrow.drained()
    assert narrow.log().count("it polls its set") == 1, "once in the log"
    if len(words) < 2:
        return
    narrow.acl("-hset")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    wait_until(lambda: "HSET" in trouble(narrow), 15, "another right to be missing")
    narrow.acl("&*", "+subscribe", "+hset")
    wait_until(lambda: not watcher()["counters"].get("polls"), 10, "the channel to be asked for with the right that has come back")
    narrow.acl(*words)
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    wait_until(lambda: watcher()["counters"].get("polls") == 1, 10, "the gauge again")
    narrow.acl("&*", "+subscribe")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    wait_until(lambda: not watcher()["counters"].get("polls"), 10, "the channel to be asked for again with the connection")
    assert not narrow.status().get("warnings") or not [line for line in narrow.status()["warnings"] if "polls" in line]
    assert client.execute_command("PUBSUB", "NUMSUB", "__keyspace@0__:tracking:pending")[1] == 1
