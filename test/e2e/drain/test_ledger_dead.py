"""The ledger's Lua scripts against a real redis-server: what kills workers, workers that have died, and dead letters (DRAIN.md, The ledger)."""
import time

import msgpack
import pytest
import redis

from ledger_fixture import A, LEASE, Ledger, PREFIX, SET, VIA, ledger, server  # noqa: F401 (fixtures)


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
    assert ledger.run("dead", claim.id, A, *reasons) == 3
    ledger.look(max_attempts=1)
    seqs[b"ghost"] = next(int(letter[0]) for letter in ledger.run("dead_list", 9) if letter[1] == b"ghost")
    assert ledger.run("dead", claim.id, A, *reasons) == -1
    assert ledger.r.zcard(PREFIX + "claims") == 0
    assert len(ledger.run("dead_list", 3)) == 3
    shown = {s[1]: s for s in ledger.run("dead_show", *seqs.values(), 12345)}
    assert shown[b"v:1"][7:] == [b"hash", [b"of", b"v:1", 3], 1]
    assert shown[b"text"][7:] == [b"string", b"\x00\xff", 2]
    assert shown[b"ghost"][5:] == [b"0", 5, b"none", b"", 0]
    assert ledger.run("dead_drop", 100, seqs[b"v:2"]) == 1
    assert ledger.run("dead_drop", 100, seqs[b"v:2"]) == 0
    assert ledger.run("dead_retry", 100) == 3
    assert ledger.run("dead_retry", 100) == 0
    assert ledger.r.smembers(SET) == {b"ghost"}
    again = ledger.claim()
    assert {(m[0], m[1]) for m in again.members} == {(seqs[m], m) for m in (b"v:1", b"text")}
    assert again.attempts == 1
    assert ledger.r.keys(PREFIX + "dead*") == []


def letter_of(ledger, member, fill):
    fill(ledger.r, member)
    ledger.r.sadd(SET, member)
    claim = ledger.claim()
    ledger.run("dead", claim.id, A, claim.members[0][0], "why")
    return claim.members[0][0]


@pytest.mark.parametrize("kind, fill", [
    ("one field", lambda r, m: r.hset(m, "f", b"x" * 5_000_000)),
    ("small beside large", lambda r, m: r.hset(m, mapping={"a": "1", "f": b"x" * 5_000_000})),
    ("fields", lambda r, m: r.hset(m, mapping={f"field:{i}": i for i in range(100_000)})),
    ("names", lambda r, m: r.hset(m, mapping={f"{i}" * 400_000: "x" for i in range(8)})),
    ("string", lambda r, m: r.set(m, ("x" + "ü" * 2_500_000).encode())),
    ("list", lambda r, m: r.rpush(m, *[b"x" * 5_000_000] * 3)),
    ("zset", lambda r, m: r.zadd(m, {b"x" * 5_000_000: 1})),
    ("member", lambda r, m: r.hset(m, "f", "x")),
])
def test_a_look_at_large_letters_is_bounded_in_bytes(ledger, kind, fill):
    """Whoever looks must not stop the drain: the watcher keeps the ledger's clock meanwhile."""
    member = b"m" * (3_000_000 if kind == "member" else 3)
    seqs = [letter_of(ledger, member + b"%d" % i, fill) for i in range(4)]
    shown = ledger.run("dead_show", *seqs)
    listed = ledger.run("dead_list", 1000)
    assert len(msgpack.packb(shown)) < 1_200_000 and len(msgpack.packb(listed)) < 10_000
    for letter in shown:
        assert letter[6] == len(member) + 1 and letter[1] in (b"", *((member + b"%d" % i)[:1024] for i in range(4)))
        kept, total = letter[8], letter[9]
        if kind in ("one field", "small beside large"):
            assert total == len(kept) // 3 and {tuple(kept[i:i + 3]) for i in range(0, len(kept), 3)} >= {(b"f", b"", 5_000_000)}
        elif kind in ("fields", "names"):
            assert total == (100_000 if kind == "fields" else 8) and 3 <= len(kept) <= 60
        elif kind == "string":
            assert total == 5_000_001 and 60_000 < len(kept) <= 65536 and kept.decode()
        elif kind in ("list", "zset"):
            assert kept == b"" and total > 4_000_000
    if kind == "member":
        assert [letter[1] for letter in listed].count(b"") == 2, "of many long names some are not even read"


@pytest.mark.parametrize("refused", ["memory", "hrandfield"])
def test_a_look_at_letters_where_redis_does_not_tell_their_size(ledger, refused):
    seqs = [letter_of(ledger, b"m1", lambda r, m: r.hset(m, "f", "x")), letter_of(ledger, b"m2", lambda r, m: r.rpush(m, "x"))]
    ledger.r.acl_setuser("narrow", enabled=True, nopass=True, categories=["+@all"], commands=["-" + refused], keys=["*"])
    narrow = redis.Redis(unix_socket_path=ledger.r.connection_pool.connection_kwargs["path"], username="narrow", password="x")
    one, two = (letter[8:] for letter in Ledger(narrow).run("dead_show", *seqs))
    assert one == [[b"f", b"x", 1], 1]
    assert two == ([b"", -1] if refused == "memory" else [b"x", 1])
    narrow.close()
    ledger.r.acl_deluser("narrow")


@pytest.mark.parametrize("data", [True, False], ids=["with data", "without"])
def test_a_number_that_is_repeated_is_one_letter(ledger, data):
    """For each script that takes numbers: show, retry, drop."""
    ledger.add("v:1", "v:2", "v:3")
    claim = ledger.claim()
    first, second, third = seqs = [seq for seq, _, _ in claim.members]
    names = {name for seq, name, _ in claim.members if seq != third}
    ledger.run("dead", claim.id, A, *[word for seq in seqs for word in (seq, "why")])
    if not data:
        ledger.r.delete(*ledger.r.keys(PREFIX + "dead:*:data"))
    assert [letter[0] for letter in ledger.run("dead_show", second, first, second, first)] == [b"%d" % second, b"%d" % first]
    assert ledger.run("dead_drop", 0, third, third) == 1
    assert ledger.run("dead_retry", 0, first, second, first, 5, 5, second) == 2
    again = ledger.claim()
    if data:
        assert sorted(seq for seq, _, _ in again.members) == [first, second] and ledger.stats()["claimed"] == 2
        assert {ledger.r.hget(f"{PREFIX}aside:{seq}", "of") for seq in (first, second)} == names
    else:
        assert again is None and set(ledger.waiting()) == names
    assert ledger.run("dead_list", 9) == []
