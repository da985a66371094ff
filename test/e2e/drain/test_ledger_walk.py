"""A random walk over the ledger that checks after its steps that no member is lost or doubled (DRAIN.md, The ledger)."""
import collections
import random

import msgpack
import pytest

from ledger_fixture import A, B, LEASE, PREFIX, SET, VIA, ledger, server  # noqa: F401 (fixtures)


class Walk:
    """Random operations; where every version of every member is, is known from the answers alone."""

    def __init__(self, ledger, seed):
        self.l, self.r, self.rng = ledger, ledger.r, random.Random(seed)
        self.held = {}
        self.acked = set()
        self.dropped = set()
        self.version = 0

    def ids(self):
        return self.r.zrange(PREFIX + "claims", 0, -1) + self.r.zrange(PREFIX + "waiting", 0, -1)

    def everywhere(self):
        """Versions found in Redis, and members named by it."""
        versions, named = collections.Counter(), collections.Counter(self.r.smembers(SET))
        pipe = self.r.pipeline(transaction=False)
        for id_ in self.ids():
            pipe.hmget(PREFIX.encode() + b"claim:" + id_, "n", "members", "run")
        keys = []
        for n, packed, run in pipe.execute():
            members = msgpack.unpackb(packed, raw=True)
            assert int(n) == len(members) > 0
            row = members[0][0]
            assert run == (b"%d %d" % (row, len(members)) if [(m[0], m[2]) for m in members] == [(row + i, 0) for i in range(len(members))] else b"")
            for seq, member, state in members:
                named[member] += 1
                if state == 0:
                    keys.append(f"{PREFIX}aside:{seq}".encode())
        letters = self.r.zrange(PREFIX + "dead", 0, -1)
        for seq in letters:
            member, has = self.r.hmget(PREFIX.encode() + b"dead:" + seq, "member", "has_data")
            named[member] += 1
            if has == b"1":
                keys.append(PREFIX.encode() + b"dead:" + seq + b":data")
        existing = {k for k in self.r.keys(PREFIX + "aside:*")} | set(self.r.keys(PREFIX + "dead:*:data"))
        assert existing == set(keys), "data that no claim and no letter names"
        live = self.r.keys("v:*")
        for key in keys + live:
            pipe.hget(key, "version")
        versions.update(int(v) for v in pipe.execute())
        return versions, named, live

    def check(self):
        versions, named, live = self.everywhere()
        assert not versions or max(versions.values()) == 1, "a version is in two places"
        missing = set(range(1, self.version + 1)) - set(versions) - self.acked - self.dropped
        assert not missing, f"lost: {missing}"
        assert not (set(versions) & self.acked), "acknowledged and still there"
        for key in live:
            assert named[key], f"{key} is in neither set nor claim"
        claimed = sum(int(self.r.hget(PREFIX.encode() + b"claim:" + i, "n")) for i in self.ids())
        assert len(self.r.keys(PREFIX + "claim:*")) == len(self.ids())
        assert self.l.stats().get("claimed", 0) == claimed

    def step(self):
        getattr(self, "do_" + self.rng.choices(
            ["write", "ghost", "claim", "look", "ack", "release", "dead", "split", "expire", "orphans", "retry", "drop", "stale"],
            [4, 2, 8, 2, 6, 2, 2, 2, 2, 1, 1, 1, 1])[0])()

    def do_write(self, count=None):
        for _ in range(count or self.rng.randint(1, 40)):
            name = f"v:{self.rng.randint(1, 10 ** 9)}"
            if self.r.exists(name):
                continue
            self.version += 1
            self.r.hset(name, "version", self.version)
            self.r.sadd(SET, name)

    def do_ghost(self):
        self.r.sadd(SET, f"v:{self.rng.randint(1, 10 ** 9)}")

    def do_claim(self):
        owner = self.rng.choice([A, B])
        claim = self.l.claim(batch=self.rng.choice([1, 3, 50, 200]), owner=owner, max_attempts=3,
                             calm=self.rng.randint(0, 1))
        if claim:
            self.held[claim.id] = (owner, claim)
            if self.rng.random() < 0.8:
                assert self.l.run("take", claim.id, owner, LEASE) == 1

    def pick(self):
        return self.rng.choice(list(self.held.items())) if self.held else (None, (None, None))

    def data_of(self, claim):
        found = [self.r.hget(f"{PREFIX}aside:{seq}", "version") for seq, _, state in claim.members if state == 0]
        return {int(v) for v in found if v}

    def do_look(self):
        late = sorted(member for member, state in self.l.waiting().items() if state in (1, 3))
        for member in self.rng.sample(late, min(3, len(late))):  # hashes that come late
            if not self.r.exists(member) and member.startswith(b"v:"):
                self.version += 1
                self.r.hset(member, "version", self.version)
        self.l.look(max_attempts=3, retry=self.rng.choice([0, 50]), most=self.rng.choice([1, 500]))

    def do_ack(self):
        id_, (owner, claim) = self.pick()
        if not id_ or not self.l.run("take", id_, owner, LEASE):
            return
        data = self.data_of(claim)
        assert self.l.run("ack", id_, len(data)) == 1
        self.acked |= data
        del self.held[id_]

    def do_release(self):
        id_, (owner, _) = self.pick()
        if id_:
            self.l.run("release", id_, owner, self.rng.choice([0, 50]), "why", self.rng.randint(0, 1))
            del self.held[id_]

    def some(self, claim):
        return [m[0] for m in claim.members if self.rng.random() < 0.3]

    def do_dead(self):
        id_, (owner, claim) = self.pick()
        if id_:
            self.l.run("dead", id_, owner, *[p for seq in self.some(claim) for p in (seq, "why")])
            del self.held[id_]

    def do_split(self):
        id_, (owner, claim) = self.pick()
        if id_:
            self.l.run("split", id_, owner, 0, 1, *self.some(claim))
            del self.held[id_]

    def do_expire(self):
        claims = self.r.zrange(PREFIX + "claims", 0, -1)
        for id_ in self.rng.sample(claims, len(claims) // 3):
            self.r.zadd(PREFIX + "claims", {id_: 0})

    def do_orphans(self):
        self.l.run("orphans", "aa", 1, 60000, "redis/t/get-hash.1", 1, self.rng.randint(0, 1))

    def do_stale(self):
        self.l.run("recover", VIA, *self.held)

    def do_retry(self):
        self.l.run("dead_retry", 20)

    def do_drop(self):
        letters = [s[0] for s in self.l.run("dead_list", 3)]
        for seq in letters:
            version = self.r.hget(PREFIX.encode() + b"dead:" + seq + b":data", "version")
            self.dropped |= {int(version)} if version else set()
        if letters:
            self.l.run("dead_drop", 100, *letters)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_walk_loses_and_doubles_nothing(ledger, seed):
    walk = Walk(ledger, seed)
    walk.do_write(10000 if seed == 1 else 500)
    for step in range(300):
        walk.step()
        if seed != 1 or step % 20 == 0:
            walk.check()
    walk.check()
    while True:
        claim = ledger.claim(max_attempts=1000)
        if claim is None:
            ledger.due_now()
            for letter in ledger.run("dead_list", 10000):
                if letter[5] == b"0" and not ledger.r.exists(letter[1]):
                    ledger.run("dead_drop", 1, letter[0])
            ledger.run("dead_retry", 10000)
            ledger.look(max_attempts=0, most=10000)
            claim = ledger.claim(max_attempts=1000)
            if claim is None:
                break
        walk.held = {claim.id: (A, claim)}
        walk.acked |= walk.data_of(claim)
        ledger.run("ack", claim.id, 0)
    walk.held = {}
    walk.check()
    assert walk.acked | walk.dropped == set(range(1, walk.version + 1))
