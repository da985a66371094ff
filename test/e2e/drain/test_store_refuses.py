"""A store that refuses a record: the others are stored, that one becomes a dead letter with the store's own words; when it refuses all, all of it waits.

Sources: mastodon#18965, openreplay#198, promscale#1694, logstash#3283, fluent-bit#4905.
"""
import base64
import contextlib
import os
import sqlite3

import pytest

from drain_fixture import members
from platoon_fixture import wait_until
from postgres_fixture import configured

pytestmark = pytest.mark.usefixtures("fresh")

PLAIN = "bucket text, key text, data json NOT NULL, seq bigint NOT NULL, updated_at bigint NOT NULL, PRIMARY KEY(bucket, key)"
TRIGGER = "CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NEW; END $$; " \
    "CREATE TRIGGER judge BEFORE INSERT ON records FOR EACH ROW EXECUTE FUNCTION judge()"
BAD = "NEW.data->>'n' = 'bad'"

# What is made beforehand, the fields of the one that is refused, words of the server's.
KINDS = {
    "a trigger that raises": (f"CREATE TABLE records({PLAIN}); " + TRIGGER.format(f"IF {BAD} THEN RAISE EXCEPTION 'we do not want %', NEW.key; END IF;"), {"n": "bad"}, "we do not want"),
    "a trigger with a state of its own": (f"CREATE TABLE records({PLAIN}); " + TRIGGER.format(f"IF {BAD} THEN RAISE 'no' USING ERRCODE = '42703'; END IF;"), {"n": "bad"}, "no"),
    "a trigger with a state of the server's": (f"CREATE TABLE records({PLAIN}); " + TRIGGER.format(f"IF {BAD} THEN RAISE 'no' USING ERRCODE = '40002'; END IF;"), {"n": "bad"}, "no"),
    "a trigger's table that is missing": (f"CREATE TABLE records({PLAIN}); " + TRIGGER.format(f"IF {BAD} THEN INSERT INTO audit VALUES (1); END IF;"), {"n": "bad"}, "audit"),
    "a check": (f"CREATE TABLE records({PLAIN}, CONSTRAINT tame CHECK (data->>'n' <> 'bad'))", {"n": "bad"}, "tame"),
    "a domain": (f"CREATE DOMAIN brief AS text CHECK (length(value) < 40); CREATE TABLE records({PLAIN.replace('key text', 'key brief')})", {"n": "1", "key": "k" * 50}, "brief"),
    "varchar": (f"CREATE TABLE records({PLAIN.replace('key text', 'key varchar(40)')})", {"n": "1", "key": "k" * 50}, "too long"),
    "jsonb with NUL": (f"CREATE TABLE records({PLAIN.replace('data json', 'data jsonb')})", {"n": "a\0b"}, "u0000"),
    "an index row": (f"CREATE TABLE records({PLAIN})", {"n": "1", "key": base64.b64encode(os.urandom(4500)).decode()}, "index row"),
    "an exclusion": (f"CREATE TABLE records({PLAIN}, EXCLUDE USING btree ((data->>'u') WITH =))", {"n": "1", "u": "twice"}, "exclusion"),
    "a unique index": (f"CREATE TABLE records({PLAIN}); CREATE UNIQUE INDEX ON records ((data->>'u'))", {"n": "1", "u": "twice"}, "unique"),
    "a deferred trigger": (f"CREATE TABLE records({PLAIN}); " + TRIGGER.format(f"IF {BAD} THEN RAISE 'late no'; END IF;").replace("CREATE TRIGGER", "CREATE CONSTRAINT TRIGGER").replace("BEFORE INSERT ON records", "AFTER INSERT ON records DEFERRABLE INITIALLY DEFERRED"), {"n": "bad"}, "late no"),
    "a generated column": (f"CREATE TABLE records({PLAIN}, g int GENERATED ALWAYS AS ((data->>'n')::int) STORED)", {"n": "bad"}, "invalid input syntax"),
    "a statement's time": (f"CREATE TABLE records({PLAIN}); " + TRIGGER.format(f"IF {BAD} THEN PERFORM pg_sleep(9); END IF;"), {"n": "bad"}, "statement timeout"),
}


def refused(platoon):
    dead = platoon.dead()
    assert len(dead) == 1, dead
    assert "the store refuses it: " in dead[0]["reason"]
    return dead[0]["reason"]


# What is refused because another is there is never alone.
@pytest.mark.parametrize(("kind", "alone"), [(kind, alone) for kind, (_, fields, _) in KINDS.items() for alone in (False, True) if not (alone and "u" in fields)])
def test_one_record(platoon, server, kind, alone):
    sql, fields, words = KINDS[kind]
    server.psql("DROP DOMAIN IF EXISTS brief CASCADE; DROP FUNCTION IF EXISTS judge CASCADE")
    server.psql(sql)
    configured(platoon, server, {"key": "{key}"}, **({"timeout": "1s"} if "time" in kind else {})).start()
    good = {} if alone else {f"v:{i}": {"n": str(i), "key": f"v:{i}"} for i in range(100)}
    if fields.get("u"):
        good["u"] = {"n": "1", "key": "u", "u": "twice"}
        platoon.add({"u": good["u"]})
        platoon.drained()
    platoon.add({**good, "bad": {"key": "bad", **fields}}, at_once=True)
    platoon.drained(timeout=60)
    assert set(server.data()) == set(good)
    assert words in refused(platoon)
    wait_until(lambda: platoon.problems() == "", 10, "no trouble of the store")
    server.psql("DROP TABLE records; DROP DOMAIN IF EXISTS brief CASCADE; DROP FUNCTION IF EXISTS judge CASCADE")


TABLES = {
    "a column is missing": (f"CREATE TABLE records({PLAIN.replace('seq bigint NOT NULL, ', '')})", "seq", "name another one in `table`", "ALTER TABLE records ADD COLUMN seq bigint"),
    "a number's column that is too narrow": (f"CREATE TABLE records({PLAIN.replace('seq bigint', 'seq integer')})", "out of range", "name another one in `table`", "ALTER TABLE records ALTER seq TYPE bigint"),
    "a column of others": (f"CREATE TABLE records({PLAIN}, theirs int NOT NULL)", "theirs", "give the column a default", "ALTER TABLE records ALTER theirs SET DEFAULT 1"),
    "no primary key": (f"CREATE TABLE records({PLAIN.replace(', PRIMARY KEY(bucket, key)', '')})", "ON CONFLICT", "needs PRIMARY KEY", "ALTER TABLE records ADD PRIMARY KEY (bucket, key)"),
    "a trigger that refuses all": (f"CREATE TABLE records({PLAIN}); " + TRIGGER.format("RAISE 'closed' USING DETAIL = 'until Monday', HINT = 'ask Anna';"), "closed; until Monday; ask Anna", "triggers", "DROP FUNCTION judge CASCADE"),
    "a trigger's table that is missing for all": (f"DROP TABLE IF EXISTS audit; CREATE TABLE records({PLAIN}); " + TRIGGER.format("INSERT INTO audit VALUES (1);"), '"audit" does not exist', "triggers", "CREATE TABLE audit(a int)"),
    "no right": (f"CREATE TABLE records({PLAIN}); CREATE ROLE clerk LOGIN; GRANT SELECT ON records TO clerk", "permission denied", "grant the user", "GRANT INSERT, UPDATE ON records TO clerk"),
    "row security for all": (f"CREATE TABLE records({PLAIN}); ALTER TABLE records ENABLE ROW LEVEL SECURITY; CREATE ROLE clerk LOGIN; GRANT SELECT, INSERT, UPDATE ON records TO clerk", "row-level security", "CREATE POLICY", "CREATE POLICY all_of_it ON records USING (true)"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_the_whole_table(platoon, server, kind):
    """No record is buried for what is the table's fault; and it goes on once that is mended."""
    sql, words, remedy, cure = TABLES[kind]
    server.psql("DROP FUNCTION IF EXISTS judge CASCADE")
    server.psql(sql)
    configured(platoon, server, **({"url": server.url.replace("user=platoon", "user=clerk").replace("platoon@", "clerk@")} if "clerk" in sql else {})).start()
    platoon.add(members(300))
    wait_until(lambda: words in platoon.problems(), 20, "the trouble to be told")
    assert remedy in platoon.problems()
    assert platoon.drain()["dead"] == 0
    server.psql(cure)
    platoon.drained()
    assert len(server.data()) == 300 and platoon.drain()["dead"] == 0
    server.psql("DROP TABLE records; DROP FUNCTION IF EXISTS judge CASCADE")


def test_row_security_of_one(platoon, server):
    """The same state, 42501, as of a missing right: only trying tells them apart."""
    server.psql(f"CREATE TABLE records({PLAIN}); ALTER TABLE records ENABLE ROW LEVEL SECURITY; CREATE ROLE clerk LOGIN; GRANT SELECT, INSERT, UPDATE ON records TO clerk; "
                "CREATE POLICY tame ON records USING (data->>'n' IS DISTINCT FROM 'bad')")
    configured(platoon, server, url=server.url.replace("user=platoon", "user=clerk").replace("platoon@", "clerk@")).start()
    platoon.add({**members(50), "bad": {"n": "bad"}}, at_once=True)
    platoon.drained()
    assert set(server.data()) == set(members(50))
    assert "row-level security" in refused(platoon)


def test_no_temporary_tables(platoon, server):
    server.psql(f"CREATE TABLE records({PLAIN}); CREATE ROLE clerk LOGIN; GRANT SELECT, INSERT, UPDATE ON records TO clerk; REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
    try:
        configured(platoon, server, url=server.url.replace("user=platoon", "user=clerk").replace("platoon@", "clerk@")).start_troubled()
        wait_until(lambda: "GRANT TEMPORARY" in platoon.problems(), 20, "the trouble to be told, before anything has come")
        assert "permission denied to create temporary tables" in platoon.problems()
        server.psql("GRANT TEMPORARY ON DATABASE postgres TO PUBLIC")
        wait_until(lambda: platoon.problems() == "", 20, "no more problems, by itself")
        server.psql("REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
        platoon.add(members(5))
        platoon.drained()
    finally:
        server.psql("GRANT TEMPORARY ON DATABASE postgres TO PUBLIC")


def test_many_that_are_refused(platoon, server):
    """A third of them, and in batches that are full of them."""
    server.psql(f"CREATE TABLE records({PLAIN}, CHECK (data->>'n' <> 'bad'))")
    configured(platoon, server, {"max_attempts": 2}).start()
    good = members(600)
    platoon.add({**good, **{f"bad:{i}": {"n": "bad"} for i in range(300)}}, at_once=True)
    platoon.drained(timeout=60)
    assert server.data() == good and platoon.drain()["dead"] == 300


def test_good_ones_behind_many_that_are_refused(platoon, server):
    """More than a transaction holds stand before them in the order of keys, and the empty record is refused as well."""
    server.psql(f"CREATE TABLE records({PLAIN}, CHECK (coalesce(data->>'n', 'bad') <> 'bad'))")
    configured(platoon, server, {"max_attempts": 2, "batch": 400, "transfer.batch": 100}).start()
    good = members(20)
    platoon.add({**good, **{f"bad:{i:03}": {"n": "bad"} for i in range(380)}}, at_once=True)
    platoon.drained(timeout=60)
    assert server.data() == good and platoon.drain()["dead"] == 380


SQLITE = {
    "a trigger": "CREATE TRIGGER judge BEFORE INSERT ON records_base WHEN json_extract(NEW.data, '$.n') = 'bad' BEGIN SELECT RAISE(ABORT, 'we do not want it'); END",
    "a trigger afterwards": "CREATE TRIGGER judge AFTER INSERT ON records_base WHEN json_extract(NEW.data, '$.n') = 'bad' BEGIN SELECT RAISE(FAIL, 'we do not want it'); END",
    "a unique index": "CREATE UNIQUE INDEX judge ON records_base(json_extract(data, '$.n')) WHERE json_extract(data, '$.n') IN ('bad', '5')",
    "a function that fails": "CREATE TRIGGER judge BEFORE INSERT ON records_base BEGIN SELECT json(json_extract(NEW.data, '$.n')); END",
    "an index that computes": "CREATE INDEX judge ON records_base(json(json_extract(data, '$.n')))",
    "a check": "CREATE TABLE records_base(bucket TEXT, key TEXT, data TEXT, seq INTEGER, updated_at INTEGER, PRIMARY KEY(bucket,key), CHECK (json_extract(data, '$.n') <> 'bad'))",
    "a rule for what is new": "CREATE TABLE records_recent(id INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT, key TEXT, data TEXT, seq INTEGER, updated_at INTEGER, CHECK (json_extract(data, '$.n') <> 'bad'))",
}


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("kind", SQLITE)
def test_sqlite(platoon, kind, early):
    """A user's own rules: judged before a record is acknowledged, also when they come while it runs."""
    sql = SQLITE[kind]
    if early or "TABLE" not in sql:
        platoon.start()
        if "TABLE" not in sql:
            platoon.add(members(3))
            platoon.drained()
        platoon.stop()
        for file in platoon.dir.glob("visits.db*"):
            if "TABLE" in sql:
                file.unlink()
    if early or "TABLE" in sql:
        with contextlib.closing(sqlite3.connect(platoon.dir / "visits.db")) as db:
            db.execute(sql)
    platoon.start()
    if not early and "TABLE" not in sql:
        with contextlib.closing(sqlite3.connect(platoon.dir / "visits.db", timeout=20)) as db:
            db.execute(sql)
    good = members(50)
    if "unique" in kind:
        good["twice"] = {"n": "5"}
        platoon.add({"v:5": {"n": "5"}})
        platoon.drained()
        platoon.add({k: v for k, v in good.items() if k not in ("twice", "v:5")})
        platoon.add({"twice": {"n": "5"}})
        good.pop("twice")
    else:
        platoon.add({**good, "bad": {"n": "bad"}}, at_once=True)
    platoon.drained()
    assert platoon.data() == good
    refused(platoon)
    wait_until(lambda: platoon.problems() == "", 10, "no trouble of the store")


@pytest.mark.usefixtures("server")
def test_what_sqlite_cannot_merge_is_told(platoon):
    """It was acknowledged before there was a rule: nothing is lost, what comes is stored, and the trouble goes by itself when the rule does."""
    platoon.configure(store={"retry_max": "500ms"})
    platoon.start()
    platoon.add(members(3))
    platoon.drained()
    platoon.stop()
    with contextlib.closing(sqlite3.connect(platoon.dir / "visits.db")) as db, db:
        db.execute("INSERT INTO records_recent(bucket, key, data, seq, updated_at) VALUES('visits', 'old', '{\"n\":\"bad\"}', 1, 1)")
        db.execute(SQLITE["a function that fails"])
    platoon.start_troubled()
    wait_until(lambda: "cannot be merged into records_base" in platoon.problems() and "malformed JSON" in platoon.problems(), 20, "the trouble to be told")
    platoon.add(members(10, 3))
    platoon.drained()
    assert len(platoon.data()) == 14 and platoon.drain()["dead"] == 0
    assert "cannot be merged" in platoon.problems(), "also while records are taken"
    with contextlib.closing(sqlite3.connect(platoon.dir / "visits.db", timeout=20)) as db:
        db.execute("DROP TRIGGER judge")
    wait_until(lambda: platoon.problems() == "", 20, "the end of the trouble, by itself")
    assert len(platoon.data()) == 14
