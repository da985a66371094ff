"""A platoon with a drain: what the application does, what has come into the store, how far it is."""
import contextlib
import json
import sqlite3

from platoon_fixture import SCALE, Platoon, base_text, section


def members(count, start=0):
    return {f"v:{i}": {"n": str(i)} for i in range(start, start + count)}


# For who kills the embedded server and counts its records afterwards. With everysec a server answers before it has written (aof.c,
# flushAppendOnlyFile) while a sync of the second before is under way on a slow disk: its death then costs what it acknowledged last.
KEEPS = {"server_appendfsync": "always"}

# Of a ledger that owes nothing: its totals, whose it is, and taken:<slot>, which expires by itself.
STAYS = {"seq", "stats", "owner", "taken"}


def ledger_left(client):
    """Keys of the drain visits' ledger that say that something is owed."""
    return [key for key in client.keys("platoon:{visits}:*") if key.decode().split(":")[2] not in STAYS]


class DrainPlatoon(Platoon):
    """One drain, visits, from the embedded Redis into visits.db."""

    def config_text(self, platoon=None, redis=None, store=None, drain=None, extra=""):
        return (base_text(platoon, redis) + section("store visits", {"path": "visits.db", **(store or {})})
                + section("drain visits", {"set": "tracking:pending", "store": "visits", **(drain or {})}) + extra)

    def drain(self, name="visits"):
        answer = self.json("drain", "status", name)
        return answer[0] if isinstance(answer, list) else answer

    def drained(self, name="visits", timeout=30):
        done = self.ctl("--timeout", f"{timeout * SCALE}s", "drain", "wait", name)
        assert done.returncode == 0, f"drain wait: exit {done.returncode}: {done.stdout} {done.stderr} {self.drain(name)}"

    def add(self, members, client=None, key="tracking:pending", at_once=False):
        """What the application does: writes each hash, then names it in the set; all in one pipeline, or at once in a transaction."""
        pipe = (client or self.redis()).pipeline(transaction=at_once)
        for member, fields in members.items():
            if fields:
                pipe.hset(member, mapping=fields)
            pipe.sadd(key, member)
        pipe.execute()

    def rows(self, path="visits.db"):
        """(bucket, key) to (data, seq, updated_at) of every record; data is parsed."""
        file = self.dir / path
        if not file.exists():
            return {}
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as db:
            try:
                found = db.execute("SELECT bucket, key, data, seq, updated_at FROM records").fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return {}
                raise
        return {(b, k): (json.loads(d), s, u) for b, k, d, s, u in found}

    def data(self, path="visits.db"):
        """key to data."""
        return {key: row[0] for (_, key), row in self.rows(path).items()}

    def dead(self, name="visits"):
        return self.json("drain", "dead", name, "list")
