"""The ledger's Lua scripts against a real redis-server: members whose hash is not there, yet or any more (DRAIN.md, The ledger)."""
import re
import time

import msgpack
import pytest

from ledger_fixture import A, B, LUA, PREFIX, SET, ledger, server  # noqa: F401 (fixtures)


def test_a_missing_hash_waits_is_looked_for_again_and_ends_as_letter(ledger):
    ledger.add("v:1", "v:2")
    ledger.r.sadd(SET, "ghost")
    claim = ledger.claim()
    assert sorted(m[1] for m in claim.members) == [b"v:1", b"v:2"]
    assert ledger.waiting() == {b"ghost": 1} and ledger.stats()["claimed"] == 3
    assert ledger.run("ack", claim.id, 2) == 1
    for _ in (2, 3):
        assert ledger.look(max_attempts=3) == (1, 0)
        assert ledger.claim() is None
    assert ledger.run("dead_list", 9) == []
    assert ledger.look(max_attempts=3) == (1, 0)
    assert ledger.run("dead_list", 9)[0][1:4] == [b"ghost", b"no hash", b"3"]
    assert ledger.stats()["claimed"] == 0
    assert ledger.run("look", 3, 0, 500) == [0, 0, -1, b""]


def test_what_waits_is_looked_for_when_it_is_due(ledger):
    ledger.r.sadd(SET, "ghost")
    assert ledger.claim(retry=60000) is None
    looked, found, due, _ = ledger.run("look", 5, 60000, 500)
    assert (looked, found) == (0, 0) and 50000 < due <= 60000
    assert ledger.run("status")[9] == pytest.approx(due, abs=5000)
    ledger.r.zadd(PREFIX + "waiting", dict.fromkeys(ledger.r.zrange(PREFIX + "waiting", 0, -1), int(time.time() * 1000) + 9999999))
    ledger.run("orphans", "aa", 1, 60300)
    assert ledger.look() == (1, 0), "after the clock was set back"


def test_many_members_without_a_hash_are_few_claims(ledger):
    """threadmill#50: the exception's path must not be dearer than the normal one."""
    ledger.r.sadd(SET, *range(3000))
    ledger.add("v:1")
    got = [ledger.claim(batch=500) for _ in range(7)]
    assert [m[1] for c in got if c for m in c.members] == [b"v:1"]
    assert ledger.r.zcard(PREFIX + "waiting") == 7 and ledger.stats()["claimed"] == 3001
    assert 500 <= ledger.look()[0] < 1000, "no script looks for all of them"
    ledger.r.hset("77", "of", "77")
    found = sum(ledger.look()[1] for _ in range(8))
    assert found == 1 and [m[1] for m in ledger.claim().members] == [b"77"]


def test_a_hash_that_comes_late_gets_a_new_number(ledger):
    ledger.r.sadd(SET, "late")
    assert ledger.claim() is None
    ledger.add("late", fields={"version": "1"})
    newer = ledger.claim(owner=B)
    ledger.run("ack", newer.id, 1)
    ledger.r.hset("late", mapping={"version": "2"})
    assert ledger.look() == (1, 1)
    again = ledger.claim()
    assert again.members[0][2] == 0 and again.attempts == 1
    assert again.members[0][0] > newer.members[0][0]
    assert ledger.r.hgetall(f"{PREFIX}aside:{again.members[0][0]}") == {b"version": b"2"}


@pytest.mark.parametrize("consume", ["take", "keep"])
def test_what_get_hash_does_not_find_waits_too(ledger, consume):
    ledger.add("v:1", "v:2")
    claim = ledger.claim(consume=consume)
    seq, member, state = claim.members[0]
    ledger.r.delete(member if consume == "keep" else f"{PREFIX}aside:{seq}")
    assert ledger.run("split", claim.id, A, 0, 1, seq) == 1
    assert ledger.run("split", claim.id, A, 0, 1, seq) == 0
    assert ledger.run("ack", claim.id, 1) == 1
    assert ledger.waiting() == {member: state} and ledger.look() == (1, 0)
    if consume == "keep":
        ledger.r.hset(member, "of", "it")
        assert ledger.look() == (1, 1) and ledger.claim().members == [(seq, member, 2)]
    else:
        assert ledger.look(max_attempts=2) == (1, 0)
        assert ledger.run("dead_list", 9)[0][1:3] == [member, b"no hash"]


def test_claims_that_an_older_platoon_gave_back_for_want_of_a_hash_wait(ledger):
    ledger.add("v:1")
    claim = ledger.claim()
    ledger.run("release", claim.id, A, 0, "no hash", 1)
    assert ledger.claim() is None
    assert ledger.look() == (1, 1) and ledger.claim().members == claim.members


def test_named_again_after_its_hash_was_taken_is_no_letter(ledger):
    """HSET, claim, SADD: the hash is on its way to the store, and nothing is missing."""
    ledger.add("v:1")
    first = ledger.claim()
    ledger.r.sadd(SET, "v:1")
    assert ledger.claim(owner=A) is None
    assert ledger.waiting() == {b"v:1": 3}
    for _ in range(3):
        assert ledger.look(max_attempts=3) == (1, 0)
    assert ledger.run("dead_list", 9) == []
    ledger.run("ack", first.id, 1)
    assert ledger.stats()["claimed"] == 0 and ledger.stats()["followed"] == 1
    left = {k for k in ledger.r.keys("*") if b":taken:" not in k}
    assert left == {(PREFIX + k).encode() for k in ("owner", "seq", "stats")}
    assert all(0 < ledger.r.pttl(k) <= 10000 for k in ledger.r.keys("*:taken:*"))


def test_named_again_before_its_hash_is_written_is_found(ledger):
    """SADD before HSET, moments after an earlier version was taken: the looks find the new hash."""
    ledger.add("v:1")
    ledger.run("ack", ledger.claim().id, 1)
    ledger.r.sadd(SET, "v:1")
    assert ledger.claim() is None and ledger.waiting() == {b"v:1": 3}
    ledger.r.hset("v:1", mapping={"version": "2"})
    assert ledger.look() == (1, 1)
    again = ledger.claim()
    assert again.members[0][2] == 0
    assert ledger.r.hgetall(f"{PREFIX}aside:{again.members[0][0]}") == {b"version": b"2"}


def test_long_after_it_was_taken_a_missing_hash_is_a_letter(ledger):
    ledger.add("v:1")
    ledger.run("ack", ledger.claim().id, 1)
    for key in ledger.r.keys("*:taken:*"):
        ledger.r.delete(key)  # what time does
    ledger.r.sadd(SET, "v:1")
    assert ledger.claim() is None
    ledger.look(max_attempts=1)
    assert [letter[1] for letter in ledger.run("dead_list", 9)] == [b"v:1"]


def test_memory_of_what_was_taken_is_bounded(ledger):
    """A long set is not remembered: who claims it will not be back within the time it is remembered for."""
    ledger.r.sadd(SET, *range(30000))
    ledger.add(*[f"v:{i}" for i in range(50)])
    assert ledger.claim(batch=5000) is not None
    assert {m for key in ledger.r.keys("*:taken:*") for m in ledger.r.smembers(key)} == {PREFIX.encode()}


def test_split_of_all_members_drops_the_claim(ledger):
    ledger.add("a", "b")
    claim = ledger.claim(consume="keep")
    assert ledger.run("split", claim.id, A, 0, 1, *[m[0] for m in claim.members]) == 2
    assert ledger.r.zcard(PREFIX + "claims") == 0 and ledger.r.zcard(PREFIX + "waiting") == 1
    assert not ledger.r.exists(PREFIX.encode() + b"claim:" + claim.id)


@pytest.mark.parametrize("named", [(), (9,), (0,), (1, 3), (0, 1, 2, 3), (0, 1, 2, 3, 9)])
@pytest.mark.parametrize("script", ["dead", "split"])
def test_members_leave_a_claim_the_same_way(ledger, script, named):
    """Who is named leaves, who is not stays as it was, and the claim goes with its last member. lib.lua alone says so."""
    ledger.add("v:0", "v:1", "v:2", "v:3")
    claim = ledger.claim()
    seqs = [claim.members[i][0] if i < 4 else 1 for i in named]
    words = [word for seq in seqs for word in (seq, "why")] if script == "dead" else [0, 1, *seqs]
    before = ledger.r.hgetall(PREFIX.encode() + b"claim:" + claim.id)
    assert ledger.run(script, claim.id, B, *words) == -1
    gone = [m for m in claim.members if m[0] in seqs]
    assert ledger.run(script, claim.id, A, *words) == len(gone)
    left = [m for m in claim.members if m[0] not in seqs]
    after = ledger.r.hgetall(PREFIX.encode() + b"claim:" + claim.id)
    assert (ledger.r.zscore(PREFIX + "claims", claim.id) is not None) == bool(left) == bool(after)
    if left:
        in_a_row = [m[0] for m in left] == list(range(left[0][0], left[0][0] + len(left)))
        assert after == {**before, b"n": b"%d" % len(left), b"members": msgpack.packb(left, use_bin_type=False),
                         b"run": b"%d %d" % (left[0][0], len(left)) if in_a_row else b""}
    assert (ledger.r.zcard(PREFIX + "dead") if script == "dead" else len(ledger.waiting())) == len(gone)
    assert not re.search(r"drop_claim|set_members", (LUA / f"{script}.lua").read_text())
