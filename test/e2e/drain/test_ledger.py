"""The ledger's Lua scripts (proto/drain/) against a real redis-server: claims, from the set to their end, and what may refuse them (DRAIN.md, The ledger)."""
import time

import msgpack
import pytest
import redis

from ledger_fixture import A, B, LEASE, PREFIX, SET, VIA, ledger, one_turn, server  # noqa: F401 (fixtures)


# ---- claim ----


def test_claim_of_an_empty_set_is_nothing(ledger):
    assert ledger.run("claim", 10, LEASE, A, VIA, "take", 5, 0, 0, 0, "db") == [0, b""]
    assert ledger.r.keys("*") == []


def test_claim_moves_hashes_aside_and_writes_all_it_answers(ledger):
    ledger.add("v:1", "v:2", "v:3")
    before = time.time() * 1000
    claim = ledger.claim(batch=2)
    after = time.time() * 1000
    assert (claim.left, claim.attempts, claim.n, claim.again, claim.suspect) == (1, 1, 2, 0, 0)
    assert ledger.r.scard(SET) == 1
    for seq, member, state in claim.members:
        assert state == 0 and not ledger.r.exists(member)
        assert ledger.r.hgetall(f"{PREFIX}aside:{seq}") == {b"of": member}
    stored = ledger.r.hgetall(PREFIX.encode() + b"claim:" + claim.id)
    assert stored[b"owner"].decode() == A and stored[b"via"].decode() == VIA
    assert [tuple(m) for m in msgpack.unpackb(stored[b"members"], raw=True)] == claim.members
    assert ledger.stats() == {"claimed": 2}
    assert before - 1000 < ledger.r.zscore(PREFIX + "claims", claim.id) - LEASE < after + 1000


def test_the_application_may_write_the_hash_again_at_once(ledger):
    ledger.add("v:1", fields={"version": "old"})
    first = ledger.claim()
    ledger.add("v:1", fields={"version": "new"})
    second = ledger.claim(owner=B)
    assert first.members[0][0] < second.members[0][0]
    assert ledger.r.hgetall(f"{PREFIX}aside:{first.members[0][0]}") == {b"version": b"old"}
    assert ledger.r.hgetall(f"{PREFIX}aside:{second.members[0][0]}") == {b"version": b"new"}


def test_consume_keep_leaves_the_hash(ledger):
    ledger.add("v:1")
    claim = ledger.claim(consume="keep")
    assert claim.members[0][2] == 2
    assert ledger.run("ack", claim.id, 1) == 1
    assert ledger.r.hgetall("v:1") == {b"of": b"v:1"}


def test_a_time_to_live_cannot_eat_what_is_claimed(ledger):
    ledger.add("v:1")
    ledger.r.pexpire("v:1", 60000)
    seq = ledger.claim().members[0][0]
    assert ledger.r.ttl(f"{PREFIX}aside:{seq}") == -1


def test_members_of_any_bytes(ledger):
    names = [b"", b"\x00\xff", b"a b\r\n", b"x" * 70000, "ü".encode()]
    ledger.add(*names)
    claim = ledger.claim()
    assert sorted(m for _, m, _ in claim.members) == sorted(names)
    assert {s for _, _, s in claim.members} == {0}


@pytest.mark.parametrize("consume", ["take", "keep"])
def test_names_that_point_into_a_ledger_are_letters_and_their_keys_stay(ledger, consume):
    """Names are foreign text (CWE-639; sidekiq#1414): whoever may write into the set could have us move the keys of any drain."""
    other = "platoon:{orders}:"
    ledger.r.zadd(other + "claims", {"1": 1})
    ledger.r.hset(other + "claim:1", "members", "x")
    ledger.r.hset(other + "aside:7", "of", "somebody")
    names = [other + "claims", other + "claim:1", other + "aside:7", "platoon:{gone}:", PREFIX + "claims", PREFIX + "stats", SET]
    ledger.r.sadd(SET, *names)
    ledger.add("v:1")
    before = {k: ledger.r.dump(k) for k in ledger.r.keys(other + "*")}
    claim = ledger.claim(batch=4 + len(names), consume=consume)
    assert [m[1] for m in claim.members] == [b"v:1"]
    assert ledger.look() == (len(names), 0)
    assert {k: ledger.r.dump(k) for k in ledger.r.keys(other + "*")} == before
    letters = {l[1].decode(): l[2].decode() for l in ledger.run("dead_list", 99)}
    assert set(letters) == set(names)
    assert all("left as it was" in reason for reason in letters.values())
    assert "set itself" in letters[SET]
    assert {l[5] for l in ledger.run("dead_list", 99)} == {b"0"}
    assert ledger.run("ack", claim.id, 1) == 1 and ledger.stats()["claimed"] == 0
    assert ledger.run("dead_retry", 100) == len(names) and ledger.claim() is None, "nor by way of a retry"


def test_a_set_that_somebody_names_stays_where_it_is(ledger):
    """It may be another drain's, whose members would be gone and whose `drain wait` would end."""
    ledger.r.sadd("orders:pending", "o:1", "o:2")
    ledger.r.sadd(SET, "orders:pending")
    assert ledger.claim() is None
    assert ledger.look() == (1, 0)
    assert ledger.r.smembers("orders:pending") == {b"o:1", b"o:2"}
    assert ledger.run("dead_list", 9)[0][1:3] == [b"orders:pending", b"holds a set, not a hash; the key was left as it was"]


# ---- bounded in bytes ----


@pytest.mark.parametrize("hashes", [True, False])
def test_claims_are_bounded_by_the_bytes_of_their_names(ledger, hashes):
    """notification-api PR 3041, node-amqp#97: a message that is bounded by a count does not fit into its channel."""
    names = [f"v:{i}:".encode() + b"x" * size for size in (10, 80000, 300000) for i in range(40)] + [b"y" * 1000000]
    ledger.r.sadd(SET, *names)
    for name in names if hashes else []:
        ledger.r.hset(name, "of", "it")
    seen, biggest = [], 0
    while ledger.r.scard(SET) or ledger.r.zcard(PREFIX + "claims") > len(seen):
        claim = ledger.claim()
        if claim:
            seen.append(claim)
    for id_ in ledger.r.zrange(PREFIX + "waiting", 0, -1) + [c.id for c in seen]:
        members = msgpack.unpackb(ledger.r.hget(PREFIX.encode() + b"claim:" + id_, "members"), raw=True)
        biggest = max(biggest, sum(len(m[1]) for m in members) if len(members) > 1 else 0)
    assert 0 < biggest <= 512 * 1024
    assert sorted(m[1] for c in seen for m in c.members) == (sorted(names) if hashes else [])
    assert set(ledger.waiting()) == (set() if hashes else set(names))
    assert ledger.stats()["claimed"] == len(names)
    for claim in seen:
        assert ledger.run("ack", claim.id, claim.n) == 1
    ledger.look(max_attempts=0, most=9999)
    assert ledger.stats()["claimed"] == 0 and ledger.r.keys(PREFIX + "claim*") == []


def test_a_claim_that_an_older_platoon_made_too_large_is_handed_out_in_parts(ledger):
    names = [f"v:{i}:".encode() + b"x" * 80000 for i in range(40)]
    ledger.add(*names[:1])
    claim = ledger.claim()
    members = [[claim.members[0][0], names[0], 0]] + [[claim.members[0][0] + 1000 + i, n, 2] for i, n in enumerate(names[1:])]
    ledger.r.hset(PREFIX.encode() + b"claim:" + claim.id, mapping={"n": len(members), "members": msgpack.packb(members, use_bin_type=False)})
    assert ledger.run("release", claim.id, A, 0, "", 0) == 1
    parts = []
    while ledger.r.zcount(PREFIX + "claims", 0, time.time() * 1000):
        parts.append(ledger.claim())
    assert sorted(m[1] for c in parts for m in c.members) == sorted(names)
    assert max(sum(len(m[1]) for m in c.members) for c in parts) <= 512 * 1024
    assert {c.attempts for c in parts} == {1}, "too large is nobody's fault"


def test_a_name_nobody_could_carry_is_a_letter(ledger):
    name = b"v:" + b"x" * (4 * 1024 * 1024)
    ledger.add(name, "v:1", fields={"of": "it"})
    assert [m[1] for m in ledger.claim().members] == [b"v:1"]
    assert ledger.look() == (1, 0)
    assert b"more than 4194304" in ledger.r.hget(PREFIX.encode() + b"dead:" + ledger.r.zrange(PREFIX + "dead", 0, 0)[0], "reason")
    assert ledger.r.exists(name)


def test_numbers_stay_ahead_of_what_a_lost_redis_gave(ledger):
    ledger.add("v:1")
    before = ledger.claim().members[0][0]
    ledger.r.flushall()
    ledger.add("v:1")
    assert ledger.claim().members[0][0] > before
    ledger.r.set(PREFIX + "seq", 8000000000000000)
    ledger.add("v:2")
    assert ledger.claim().members[0][0] == 8000000000000001


def test_numbers_never_come_twice_when_the_clock_was_set_back_and_redis_lost_its_last_seconds(ledger):
    """The claim ids and numbers of what was lost may be in somebody's hands, and in the store."""
    def number(count=1):
        members = [f"v:{ledger.r.incr('members')}" for _ in range(count)]
        ledger.add(*members)
        return max(seq for seq, _, _ in ledger.claim(batch=count).members)
    second = 1000000
    now = ledger.r.time()[0] * second
    ledger.r.set(PREFIX + "seq", f"{now + 3600 * second + 7} {now + 3600 * second} 0")  # an hour ago it was an hour later
    assert number() >= now + 3610 * second, "more than the step: what is lost may reach across it"
    before = ledger.r.get(PREFIX + "seq")
    lost = number(2000)
    crashed = ledger.r.time()
    while ledger.r.time() < (crashed[0], crashed[1] + 50000) and ledger.r.time()[0] == crashed[0]:
        pass  # no Redis comes back sooner
    ledger.r.set(PREFIX + "seq", before)
    assert number() > lost
    ledger.r.set(PREFIX + "seq", f"{now - 3600 * second} {now - 3600 * second} {3600 * second}")
    assert abs(number() - ledger.r.time()[0] * second) < 5 * second, "the clock has overtaken the numbers, and counts alone again"
    assert ledger.r.get(PREFIX + "seq").endswith(b" 0")


def test_batches_above_what_lua_can_unpack(ledger):
    ledger.add(*[f"v:{i}" for i in range(9000)])
    claim = ledger.claim(batch=9000)
    assert len(claim.members) == 9000
    assert ledger.run("ack", claim.id, 9000) == 1
    assert ledger.r.keys(PREFIX + "aside:*") == []


# ---- refusals: nothing may have changed ----


def test_full_redis_leaves_the_set_untouched_and_finishes_what_was_begun(ledger):
    ledger.add("v:1", "v:2", "v:3", "v:4")
    held, poison = ledger.claim(batch=1), ledger.claim(batch=1)
    ledger.r.config_set("maxmemory", 1)
    before = ledger.dump()
    with pytest.raises(redis.ResponseError, match="OOM"):
        ledger.claim()
    assert ledger.dump() == before
    assert ledger.run("take", held.id, A, LEASE) == 1
    assert ledger.run("renew", A, LEASE, held.id) == []
    assert ledger.run("ack", held.id, 1) == 1
    assert ledger.run("dead", poison.id, A, poison.members[0][0], "why") == 1
    forced = ledger.claim(batch=1, full=1)
    assert forced.n == 1
    assert ledger.run("release", forced.id, A, 0, "", 0) == 1
    assert ledger.claim().again == 1, "a claim that was made before can still be handed out"


def test_full_redis_refuses_retry_and_changes_nothing(ledger):
    ledger.add("v:1")
    claim = ledger.claim()
    ledger.run("dead", claim.id, A, claim.members[0][0], "why")
    ledger.r.config_set("maxmemory", 1)
    before = ledger.dump()
    with pytest.raises(redis.ResponseError, match="OOM"):
        ledger.run("dead_retry", 100)
    assert ledger.dump() == before


def every_script(ledger, claim):
    seq = claim.members[0][0]
    return [("claim", 10, LEASE, A, VIA, "take", 5, 0, 0), ("claim", 10, LEASE, A, VIA, "take", 5, 0, 1),
            ("take", claim.id, A, LEASE), ("renew", A, LEASE, claim.id), ("ack", claim.id, 1),
            ("dead", claim.id, A, seq, "why"), ("split", claim.id, A, 0, "no hash", 1, seq),
            ("release", claim.id, A, 0, "why", 1), ("orphans", "aa", 2, 60000), ("recover", VIA),
            ("dead_retry", 10), ("dead_drop", 10)]


def test_a_read_only_server_changes_nothing(ledger):
    ledger.add("v:1", "v:2", "v:3")
    letter = ledger.claim(batch=1)
    ledger.run("dead", letter.id, A, letter.members[0][0], "why")
    claim = ledger.claim(batch=1)
    ledger.r.config_set("replica-serve-stale-data", "yes")
    ledger.r.slaveof("127.0.0.1", 1)
    before = ledger.dump()
    for command in every_script(ledger, claim):
        with pytest.raises(redis.ResponseError, match="READONLY"):
            ledger.run(*command)
        assert ledger.dump() == before, command


@pytest.mark.parametrize("key, kind", [(SET, "list"), (PREFIX + "claims", "list"), (PREFIX + "seq", "list"),
                                       (PREFIX + "stats", "list"), (PREFIX + "seq", "text")])
def test_a_key_of_the_wrong_type_stops_claims_before_the_first_pop(ledger, key, kind):
    ledger.add("v:1", "v:2")
    ledger.r.delete(key)
    if kind == "list":
        ledger.r.rpush(key, "x")
    else:
        ledger.r.set(key, "x")
    members, hashes = ledger.r.type(SET) == b"set" and ledger.r.smembers(SET), ledger.r.hgetall("v:1")
    with pytest.raises(redis.ResponseError):
        ledger.claim()
    assert ledger.r.exists("v:1", "v:2") == 2 and ledger.r.hgetall("v:1") == hashes
    assert members == (ledger.r.type(SET) == b"set" and ledger.r.smembers(SET))


def test_a_wrong_set_does_not_stop_claims_made_before(ledger):
    ledger.add("v:1")
    claim = ledger.claim()
    ledger.r.rpush(SET, "x")
    ledger.due_now()
    assert ledger.claim().id == claim.id
    assert ledger.run("status")[8] == b"list"


# ---- take, renew, ack, release ----


def test_only_the_owner_takes_renews_and_releases(ledger):
    ledger.add("v:1")
    begun = time.time() * 1000
    claim = ledger.claim(lease=1000)
    assert ledger.run("take", claim.id, B, LEASE) == 0
    assert ledger.run("renew", B, LEASE, claim.id, "nosuch") == [claim.id, b"nosuch"]
    assert ledger.run("release", claim.id, B, 0, "", 1) == 0
    assert ledger.run("dead", claim.id, B, claim.members[0][0], "why") == -1
    assert ledger.run("split", claim.id, B, 0, "no hash", 1, claim.members[0][0]) == -1
    assert ledger.run("take", "nosuch", A, LEASE) == 0
    for _ in range(2):
        assert ledger.run("take", claim.id, A, LEASE) == 1
        assert ledger.r.hget(PREFIX.encode() + b"claim:" + claim.id, "via") == b""
        assert ledger.run("renew", A, 2 * LEASE, claim.id) == []
    assert ledger.r.zscore(PREFIX + "claims", claim.id) > begun + 1.5 * LEASE


def test_ack_leaves_nothing_and_may_come_twice_or_from_anybody(ledger):
    ledger.add("v:1", "v:2")
    claim = ledger.claim()
    assert ledger.run("ack", claim.id, 2) == 1
    assert ledger.run("ack", claim.id, 2) == 0
    assert {k for k in ledger.r.keys("*") if b":taken:" not in k} == {(PREFIX + k).encode() for k in ("owner", "seq", "stats")}
    assert ledger.stats() == {"claimed": 0, "stored": 2}


def asides(ledger):
    return {int(k.rpartition(b":")[2]) for k in ledger.r.keys(PREFIX + "aside:*")}


@pytest.mark.parametrize("without", ["none", "a hash", "one that died", "a run"])
def test_ack_deletes_what_its_claim_has_aside_and_nothing_else(ledger, without):
    """By the run of numbers, where there is one, and by the members where there is none."""
    ledger.add("o:1", "o:2")
    other = ledger.claim()
    ledger.add(*[f"v:{i}" for i in range(10)])
    if without == "a hash":
        ledger.r.delete("v:4")
    claim = ledger.claim()
    run = ledger.r.hget(f"{PREFIX}claim:{claim.id.decode()}", "run")
    assert run == b"%d %d" % (claim.members[0][0], 9 if without == "a hash" else 10)
    if without == "one that died":
        assert ledger.run("dead", claim.id, A, claim.members[3][0], "poison") == 1
    if without == "a run":  # of a platoon that is older
        ledger.r.hdel(f"{PREFIX}claim:{claim.id.decode()}", "run")
    assert ledger.run("ack", claim.id, 10) == 1
    assert asides(ledger) == {m[0] for m in other.members}
    assert ledger.run("ack", other.id, 2) == 1 and not asides(ledger)


@pytest.mark.parametrize("keep", [slice(0, 4), slice(1, 10), slice(0, 10, 3)])
def test_ack_after_an_older_platoon_has_taken_members_out(ledger, keep):
    """Its scripts write `n` and `members`, and know of no run: what they took out is in another claim now, or dead, and must stay."""
    ledger.add(*[f"v:{i}" for i in range(10)])
    claim = ledger.claim()
    kept = claim.members[keep]
    ledger.r.hset(f"{PREFIX}claim:{claim.id.decode()}", mapping={"n": len(kept), "members": msgpack.packb(kept, use_bin_type=False)})
    assert ledger.run("ack", claim.id, len(kept)) == 1
    assert asides(ledger) == {m[0] for m in claim.members} - {m[0] for m in kept}


def test_release_without_blame_does_not_count(ledger):
    ledger.add("v:1", "v:2")
    claim = ledger.claim()
    for _ in range(20):
        assert ledger.run("release", claim.id, A, 0, "", 0) == 1
        assert ledger.run("release", claim.id, A, 0, "", 0) == 0
        again = ledger.claim()
        assert (again.id, again.attempts, again.n, again.again, again.suspect) == (claim.id, 1, 2, 1, 0)


def test_release_waits_out_its_delay(ledger):
    ledger.add("v:1")
    claim = ledger.claim()
    ledger.run("release", claim.id, A, 600_000, "why", 1)
    assert ledger.claim() is None
    assert 0 < ledger.run("status")[7] <= 600_000
    ledger.due_now()
    claim = ledger.claim()
    begin = time.monotonic()
    ledger.run("release", claim.id, A, 300, "why", 1)
    while ledger.claim() is None:
        assert time.monotonic() < begin + 30
        one_turn(0.005)
    assert time.monotonic() - begin > 0.25


def test_status_counts(ledger):
    assert ledger.run("status") == [0, 0, 0, 0, 0, 0, 0, -1, b"", -1, b"", 0]
    ledger.add("v:1", "v:2", "v:3", "v:4")
    stored, letter, held = (ledger.claim(batch=1) for _ in range(3))
    ledger.run("ack", stored.id, 1)
    ledger.run("dead", letter.id, A, letter.members[0][0], "why")
    pending, claimed, stored, redelivered, dead, oldest, claims, due, wrong, waits, _, _ = ledger.run("status")
    assert (pending, claimed, stored, redelivered, dead, claims, wrong) == (1, 1, 1, 0, 1, 1, b"")
    assert 0 <= oldest < 10000 and LEASE - 10000 < due <= LEASE
