"""The ledger's Lua scripts (proto/drain/) against a real redis-server: each script alone, and its failures (PROTOCOL.md, section 4)."""
import time

import msgpack
import pytest
import redis

from ledger_fixture import A, B, LEASE, Ledger, PREFIX, SET, VIA, ledger, one_turn, server  # noqa: F401 (fixtures)


# ---- claim ----


def test_claim_of_an_empty_set_is_nothing(ledger):
    assert ledger.run("claim", 10, LEASE, A, VIA, "take", 5, 0, 0) == [0]
    assert ledger.r.keys("*") == []


def test_claim_moves_hashes_aside_and_writes_all_it_answers(ledger):
    ledger.add("v:1", "v:2", "v:3")
    claim = ledger.claim(batch=2)
    assert (claim.left, claim.attempts, claim.n, claim.again, claim.suspect) == (1, 1, 2, 0, 0)
    assert ledger.r.scard(SET) == 1
    for seq, member, state in claim.members:
        assert state == 0 and not ledger.r.exists(member)
        assert ledger.r.hgetall(f"{PREFIX}aside:{seq}") == {b"of": member}
    stored = ledger.r.hgetall(PREFIX.encode() + b"claim:" + claim.id)
    assert stored[b"owner"].decode() == A and stored[b"via"].decode() == VIA
    assert [tuple(m) for m in msgpack.unpackb(stored[b"members"], raw=True)] == claim.members
    assert ledger.stats() == {"claimed": 2}
    assert ledger.r.zscore(PREFIX + "claims", claim.id) == pytest.approx(time.time() * 1000 + LEASE, abs=5000)


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


def test_the_set_and_the_ledger_are_no_hashes_of_members(ledger):
    ledger.r.sadd(SET, SET, PREFIX + "claims", "other")
    claim = ledger.claim(batch=2)
    assert all(state == 1 for _, _, state in claim.members)
    assert ledger.r.scard(SET) == 1


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
        with pytest.raises(redis.ReadOnlyError):
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


def test_a_user_who_may_not_touch_a_hash_loses_no_member(ledger):
    ledger.add("v:1", "w:1")
    ledger.r.acl_setuser("narrow", enabled=True, nopass=True, categories=["+@all"], keys=["platoon:*", SET, "v:*"])
    narrow = redis.Redis(unix_socket_path=ledger.r.connection_pool.connection_kwargs["path"], username="narrow", password="x")
    claim = Ledger(narrow).claim()
    assert {m: s for _, m, s in claim.members} == {b"v:1": 0, b"w:1": 1}
    assert ledger.r.exists("w:1")
    narrow.close()
    ledger.r.acl_deluser("narrow")


def test_a_user_who_may_not_pop_changes_nothing_that_matters(ledger):
    ledger.add("v:1")
    ledger.r.acl_setuser("narrow", enabled=True, nopass=True, categories=["+@all"], commands=["-spop"], keys=["*"])
    narrow = redis.Redis(unix_socket_path=ledger.r.connection_pool.connection_kwargs["path"], username="narrow", password="x")
    with pytest.raises(redis.ResponseError, match="can't run this command|NOPERM"):
        Ledger(narrow).claim()
    assert ledger.r.smembers(SET) == {b"v:1"} and ledger.r.zcard(PREFIX + "claims") == 0
    assert ledger.stats() == {"claimed": 0}
    narrow.close()
    ledger.r.acl_deluser("narrow")


# ---- take, renew, ack, release ----


def test_only_the_owner_takes_renews_and_releases(ledger):
    ledger.add("v:1")
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
    assert ledger.r.zscore(PREFIX + "claims", claim.id) > time.time() * 1000 + 1.5 * LEASE


def test_ack_leaves_nothing_and_may_come_twice_or_from_anybody(ledger):
    ledger.add("v:1", "v:2")
    claim = ledger.claim()
    assert ledger.run("ack", claim.id, 2) == 1
    assert ledger.run("ack", claim.id, 2) == 0
    assert {k for k in ledger.r.keys("*") if b":taken:" not in k} == {(PREFIX + k).encode() for k in ("seq", "stats")}
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
    assert run == (b"" if without == "a hash" else b"%d 10" % claim.members[0][0])
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
    ledger.run("release", claim.id, A, 300, "why", 1)
    begin = time.monotonic()
    assert ledger.claim() is None
    assert 0 < ledger.run("status")[7] <= 300
    while ledger.claim() is None:
        assert time.monotonic() < begin + 10
        one_turn(0.005)
    assert time.monotonic() - begin > 0.25


# ---- poison ----


@pytest.mark.parametrize("max_attempts", [1, 2, 5])
def test_poison_ends_alone_in_the_dead_letters_and_the_rest_flows(ledger, max_attempts):
    names = [f"v:{i}" for i in range(700)]
    ledger.add(*names)
    poison, done = {b"v:13", b"v:14", b"v:500"}, set()
    while True:
        claim = ledger.claim(max_attempts=max_attempts)
        if claim is None:
            break
        members = {m for _, m, _ in claim.members}
        ledger.run("take", claim.id, A, LEASE)
        if members & poison:
            ledger.run("orphans", "aa", 1, 60000, "redis/t/get-hash.1", 1, 0)
        else:
            assert ledger.run("ack", claim.id, claim.n) == 1
            done |= members
    assert done == {n.encode() for n in names} - poison
    letters = ledger.run("dead_list", 100)
    assert {letter[1] for letter in letters} == poison
    for letter in letters:
        assert b"its worker died" in letter[2] and letter[5] == b"1"
    assert ledger.stats() == {"claimed": 0, "stored": 697, "dead": 3, "redelivered": ledger.stats()["redelivered"]}
    assert ledger.r.keys(PREFIX + "aside:*") == []


def test_suspects_come_one_at_a_time_when_asked(ledger):
    ledger.add("v:1", "v:2")
    ledger.claim()
    ledger.due_now()
    assert ledger.claim(calm=1).suspect == 0, "one death may be anybody's fault"
    assert ledger.claim(calm=1).suspect == 0
    ledger.due_now()
    first = ledger.claim(calm=0)
    assert first.n == 1 and first.suspect == 1
    assert ledger.claim(calm=1) is None
    ledger.add("v:3")
    assert ledger.claim(calm=1).members[0][1] == b"v:3", "what is new is not held up"
    assert ledger.claim(calm=0).suspect == 1


def test_reason_of_the_last_release_is_the_letters(ledger):
    ledger.add("v:1")
    for _ in range(2):
        claim = ledger.claim(max_attempts=2)
        ledger.run("release", claim.id, A, 0, "store said no", 1)
    assert ledger.claim(max_attempts=2) is None
    assert ledger.run("dead_list", 9)[0][1:4] == [b"v:1", b"store said no", b"2"]


# ---- missing hashes ----


def test_a_missing_hash_is_split_off_looked_for_again_and_ends_as_letter(ledger):
    ledger.add("v:1", "v:2")
    ledger.r.sadd(SET, "ghost")
    claim = ledger.claim()
    ghost = [m for m in claim.members if m[2] == 1]
    assert [m[1] for m in ghost] == [b"ghost"]
    assert ledger.run("split", claim.id, A, 0, "no hash", 1, ghost[0][0]) == 1
    assert ledger.run("split", claim.id, A, 0, "no hash", 1, ghost[0][0]) == 0
    assert ledger.run("ack", claim.id, 2) == 1
    for attempt in (2, 3):
        again = ledger.claim(max_attempts=3, calm=1)
        assert (again.n, again.attempts, again.suspect) == (1, attempt, 0)
        ledger.run("release", again.id, A, 0, "no hash", 1)
    assert ledger.claim(max_attempts=3) is None
    assert ledger.run("dead_list", 9)[0][1:3] == [b"ghost", b"no hash"]
    assert ledger.stats()["claimed"] == 0


def test_a_hash_that_comes_late_gets_a_new_number(ledger):
    ledger.r.sadd(SET, "late")
    claim = ledger.claim()
    old = claim.members[0][0]
    ledger.add("late", fields={"version": "1"})
    newer = ledger.claim(owner=B)
    ledger.run("ack", newer.id, 1)
    ledger.r.hset("late", mapping={"version": "2"})
    ledger.run("release", claim.id, A, 0, "no hash", 1)
    again = ledger.claim()
    assert again.members[0][2] == 0 and again.attempts == 1
    assert again.members[0][0] > newer.members[0][0] > old
    assert ledger.r.hgetall(f"{PREFIX}aside:{again.members[0][0]}") == {b"version": b"2"}


def no_hash(ledger, claim, max_attempts=3):
    """Hands a claim of one ghost out until it leaves the ledger, as get-hash does."""
    while claim:
        ledger.run("release", claim.id, A, 0, "no hash", 1)
        claim = ledger.claim(max_attempts=max_attempts)


def test_named_again_after_its_hash_was_taken_is_no_letter(ledger):
    """HSET, claim, SADD: the hash is on its way to the store, and nothing is missing."""
    ledger.add("v:1")
    first = ledger.claim()
    ledger.r.sadd(SET, "v:1")
    second = ledger.claim(owner=A)
    assert [m[1:] for m in second.members] == [(b"v:1", 3)]
    no_hash(ledger, second)
    assert ledger.run("dead_list", 9) == []
    ledger.run("ack", first.id, 1)
    assert ledger.stats()["claimed"] == 0 and ledger.stats()["followed"] == 1
    left = {k for k in ledger.r.keys("*") if b":taken:" not in k}
    assert left == {PREFIX.encode() + b"seq", PREFIX.encode() + b"stats"}
    assert all(0 < ledger.r.pttl(k) <= 10000 for k in ledger.r.keys("*:taken:*"))


def test_named_again_before_its_hash_is_written_is_found(ledger):
    """SADD before HSET, moments after an earlier version was taken: the retries find the new hash."""
    ledger.add("v:1")
    ledger.run("ack", ledger.claim().id, 1)
    ledger.r.sadd(SET, "v:1")
    claim = ledger.claim()
    assert claim.members[0][2] == 3
    ledger.run("release", claim.id, A, 0, "no hash", 1)
    ledger.r.hset("v:1", mapping={"version": "2"})
    again = ledger.claim()
    assert again.members[0][2] == 0
    assert ledger.r.hgetall(f"{PREFIX}aside:{again.members[0][0]}") == {b"version": b"2"}


def test_long_after_it_was_taken_a_missing_hash_is_a_letter(ledger):
    ledger.add("v:1")
    ledger.run("ack", ledger.claim().id, 1)
    for key in ledger.r.keys("*:taken:*"):
        ledger.r.delete(key)  # what time does
    ledger.r.sadd(SET, "v:1")
    no_hash(ledger, ledger.claim())
    assert [letter[1] for letter in ledger.run("dead_list", 9)] == [b"v:1"]


def test_memory_of_what_was_taken_is_bounded(ledger):
    """A long set is not remembered: who claims it will not be back within the time it is remembered for."""
    ledger.r.sadd(SET, *range(30000))
    ledger.add(*[f"v:{i}" for i in range(50)])
    assert ledger.claim(batch=5000) is not None
    assert ledger.r.keys("*:taken:*") == []


def test_split_of_all_members_drops_the_claim(ledger):
    ledger.r.sadd(SET, "a", "b")
    claim = ledger.claim()
    assert ledger.run("split", claim.id, A, 0, "no hash", 1, *[m[0] for m in claim.members]) == 2
    assert ledger.r.zcard(PREFIX + "claims") == 2
    assert not ledger.r.exists(PREFIX.encode() + b"claim:" + claim.id)


# ---- death ----


def test_orphans_after_the_clock_was_set_back(ledger):
    """What nobody holds is due at once; what somebody holds gets a lease's time; what is due in time stays as it is."""
    claims = {name: (ledger.add(name), ledger.claim())[1] for name in ("held", "free", "well")}
    ledger.run("release", claims["free"].id, A, 0, "why", 0)
    now = int(time.time() * 1000)
    key = PREFIX + "claims"
    ledger.r.zadd(key, {claims["held"].id: now + 3600000, claims["free"].id: now + 3600000, claims["well"].id: now + 59000})
    assert ledger.run("orphans", "aa", 1, 60000)[0] == 1
    due = {k: v for k, v in ledger.r.zrange(key, 0, -1, withscores=True)}
    assert abs(due[claims["held"].id] - now - 60000) < 5000
    assert abs(due[claims["free"].id] - now) < 5000
    assert due[claims["well"].id] == now + 59000


def test_orphans_takes_the_claims_of_the_gone_only(ledger):
    who = {
        "other instance": ("bb:1:redis/t/get-hash.1:1", False),
        "older boot": ("aa:1:redis/t/get-hash.1:9", True),
        "newer boot": ("aa:3:redis/t/get-hash.1:1", False),
        "older generation": ("aa:2:redis/t/get-hash.1:4", True),
        "this one, alive": ("aa:2:redis/t/get-hash.1:5", False),
        "newer than known": ("aa:2:redis/t/get-hash.1:6", False),
        "this one, down": ("aa:2:redis/t/get-hash.2:5", True),
        "stranger": ("aa:2:redis/t/get-hash.3:1", False),
    }
    due = set()
    for name, (owner, gone) in who.items():
        ledger.add(name)
        claim = ledger.claim(owner=owner, via="aa:2:redis/t/get-set.1:1")
        ledger.run("take", claim.id, owner, LEASE)
        if gone:
            due.add(claim.id)
    args = ("aa", 2, 60000, "redis/t/get-hash.1", 5, 1, "redis/t/get-hash.2", 5, 0, "redis/t/get-set.1", 1, 1)
    assert ledger.run("orphans", *args) == [len(due), b"redis/t/get-hash.3"]
    assert ledger.run("orphans", *args) == [0, b"redis/t/get-hash.3"]
    now = time.time() * 1000 + 5000
    assert {i for i, s in ledger.r.zrange(PREFIX + "claims", 0, -1, withscores=True) if s < now} == due


def test_a_claim_nobody_took_is_not_blamed(ledger):
    ledger.add("v:1", "v:2")
    ledger.claim()
    assert ledger.run("orphans", "aa", 1, 60000, "redis/t/get-set.1", 2, 1, "redis/t/get-hash.1", 1, 1) == [1]
    assert ledger.run("orphans", "aa", 1, 60000, "redis/t/get-set.1", 2, 1, "redis/t/get-hash.1", 1, 1) == [0]
    assert ledger.claim()[2:4] == (1, 2)


def test_recover_returns_claims_whose_answer_was_lost(ledger):
    ledger.add("v:1", "v:2", "v:3")
    known, taken, lost = (ledger.claim(batch=1) for _ in range(3))
    ledger.run("take", taken.id, A, LEASE)
    assert ledger.run("recover", VIA, known.id) == 1
    assert ledger.run("recover", VIA, known.id) == 0
    again = ledger.claim()
    assert (again.id, again.attempts) == (lost.id, 1)


# ---- dead letters ----


def test_letters_are_listed_shown_retried_and_dropped(ledger):
    ledger.add("v:1", "v:2")
    ledger.r.set("text", b"\x00\xff")
    ledger.r.sadd(SET, "text", "ghost")
    claim = ledger.claim()
    seqs = {m: seq for seq, m, _ in claim.members}
    reasons = [part for m, seq in seqs.items() for part in (seq, b"because " + m)]
    assert ledger.run("dead", claim.id, A, *reasons) == 4
    assert ledger.run("dead", claim.id, A, *reasons) == -1
    assert ledger.r.zcard(PREFIX + "claims") == 0
    assert len(ledger.run("dead_list", 3)) == 3
    shown = {s[1]: s for s in ledger.run("dead_show", *seqs.values(), 12345)}
    assert shown[b"v:1"][6:] == [b"hash", [b"of", b"v:1"]]
    assert shown[b"text"][6:] == [b"string", b"\x00\xff"]
    assert shown[b"ghost"][5:] == [b"0", b"none", b""]
    assert ledger.run("dead_drop", 100, seqs[b"v:2"]) == 1
    assert ledger.run("dead_drop", 100, seqs[b"v:2"]) == 0
    assert ledger.run("dead_retry", 100) == 3
    assert ledger.run("dead_retry", 100) == 0
    assert ledger.r.smembers(SET) == {b"ghost"}
    again = [ledger.claim() for _ in range(2)]
    assert {(m[0], m[1]) for c in again for m in c.members} == {(seqs[m], m) for m in (b"v:1", b"text")}
    assert {c.attempts for c in again} == {1}
    assert ledger.r.keys(PREFIX + "dead*") == []


def test_status_counts(ledger):
    assert ledger.run("status") == [0, 0, 0, 0, 0, 0, 0, -1, b""]
    ledger.add("v:1", "v:2", "v:3", "v:4")
    stored, letter, held = (ledger.claim(batch=1) for _ in range(3))
    ledger.run("ack", stored.id, 1)
    ledger.run("dead", letter.id, A, letter.members[0][0], "why")
    pending, claimed, stored, redelivered, dead, oldest, claims, due, wrong = ledger.run("status")
    assert (pending, claimed, stored, redelivered, dead, claims, wrong) == (1, 1, 1, 0, 1, 1, b"")
    assert 0 <= oldest < 10000 and LEASE - 10000 < due <= LEASE
