"""Rows that jobs store: in the section's store, once however often they are written, and what goes wrong is the job's end."""
import json
import sqlite3

import pytest
from platoon_fixture import PostgresServer, section

KEEPS = '''
from platforms.base_platform import BasePlatform
import platoon_child


class Keeps(BasePlatform):
    def __init__(self, rows: list, settings: dict, type: str = "store", fail: bool = False):
        self.rows, self.settings, self.type, self.fail = rows, settings, type, fail

    def _run(self):
        platoon_child.say(store={"type": self.type, "settings": self.settings, "rows": self.rows})
        if self.fail:
            raise ValueError("after it has stored")
        return len(self.rows)
'''
PROGRAM = '''#!/usr/bin/python3 -B
import json, sys
if sys.argv[1:]:
    sys.exit(print('{"settings":{"rows":{"type":"list"},"settings":{"type":"dict"}}}'))
told = json.loads(sys.stdin.readline())["settings"]
print(json.dumps({"store": {"type": "store", **told}}))
'''
ROWS = [{"id": 1, "name": "a,b", "at": None}, {"id": 2, "name": "c", "at": 1.5}]
KEY = {"store": "kept", "bucket": "b", "key": "{id}/{name}"}


@pytest.fixture
def keeps(etlas):
    (etlas.folder / "keeps.py").write_text(KEEPS)
    etlas.add("prints.py", PROGRAM)
    etlas.more = section("store kept", {"path": etlas.platoon.dir / "kept.db"})
    return etlas


def kept(etlas):
    with sqlite3.connect(etlas.platoon.dir / "kept.db") as db:
        return {key: json.loads(data) for key, data in db.execute("select key, data from records where bucket = 'b'")}


@pytest.mark.parametrize("platform", ["keeps", "prints"])
def test_rows_are_there_once(keeps, platform):
    keeps.start(sanjers=1, store="kept")
    for rows in (ROWS, [ROWS[0], {"id": 2, "name": "c", "at": 2}]):
        shown = keeps.until(keeps.run({"rows": rows, "settings": KEY}, platform=platform), "finished")
        assert shown["meta"]["storage"] == "2 rows written"
    assert keeps.meta(shown["job_id"])["processed"] == 'id,name,at\n1,"a,b",\n2,c,2\n'
    keeps.platoon.stop()
    assert kept(keeps) == {"1/a,b": ROWS[0], "2/c": {"id": 2, "name": "c", "at": 2}}


def test_rows_in_postgresql(keeps):
    server = PostgresServer()
    try:
        keeps.more = section("store kept", {"type": "postgres", "url": server.url})
        keeps.start(sanjers=1, store="kept")
        for rows in (ROWS, [ROWS[0], {"id": 2, "name": "c", "at": 2}]):
            shown = keeps.until(keeps.run({"rows": rows, "settings": KEY}, platform="keeps"), "finished")
            assert shown["meta"]["storage"] == "2 rows written"
        assert server.data() == {"1/a,b": ROWS[0], "2/c": {"id": 2, "name": "c", "at": 2}}
    finally:
        server.close()


@pytest.mark.parametrize("given,reason", [
    ({"type": "csv"}, "storage: there is no type csv: store or mysql is wanted"),
    ({"type": "mysql"}, "storage: settings: hostname is missing, or no text"),
    ({"settings": {"store": "other", "key": "{id}"}}, "storage: the section's store is kept, and not other"),
    ({"settings": {"key": ""}}, "storage: settings: key is missing"),
    ({"settings": {"key": "{no"}}, "storage: key: "),
    ({"settings": {"key": "{no}"}}, "storage: key: row 0 has no no"),
    ({"rows": [1]}, "storage: row 0 is no object"),
])
def test_what_is_wrong_with_it(keeps, given, reason):
    keeps.start(sanjers=1, store="kept")
    shown = keeps.until(keeps.run({"rows": ROWS, "settings": KEY, **given}, platform="keeps"), "failed")
    assert shown["cause"] == "storage" and shown["reason"].startswith(reason), shown


def test_a_job_that_fails_stores_nothing(keeps):
    keeps.start(sanjers=1, store="kept")
    shown = keeps.until(keeps.run({"rows": ROWS, "settings": KEY, "fail": True}, platform="keeps"), "failed")
    assert shown["cause"] == "exception" and "storage" not in (shown["meta"] or {})
    keeps.until(keeps.run({"rows": [], "settings": KEY}, platform="keeps"), "finished")
    keeps.platoon.stop()
    assert kept(keeps) == {}


def test_there_is_no_store(keeps):
    keeps.start(sanjers=1)
    shown = keeps.until(keeps.run({"rows": ROWS, "settings": KEY}, platform="keeps"), "failed")
    assert shown["reason"] == "storage: the section has no store: set it"


def test_the_store_cannot_be_written(keeps):
    (keeps.platoon.dir / "kept.db").write_text("this is no database, but a text that is longer than the head of one: " * 20)
    keeps.start(sanjers=1, store="kept", retries=1, retry_min="50ms")
    shown = keeps.until(keeps.run({"rows": ROWS, "settings": KEY}, platform="keeps"), "failed")
    assert shown["cause"] == "storage" and str(keeps.platoon.dir / "kept.db") in shown["reason"] and shown["attempt"] == 2, shown
