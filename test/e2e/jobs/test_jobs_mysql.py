"""Rows that jobs store in a MySQL table: a real MariaDB, exact sums, all that goes wrong; never the password."""
import json
import signal

import pytest
from mariadb_fixture import PASSWORD, MariadbServer
from platoon_fixture import free_port, wait_until

STORES = '''
from platforms.base_platform import BasePlatform


class Frame:
    """What pandas' has of what is asked of one."""
    columns = ()

    def __init__(self, rows):
        self.kept = rows

    def to_dict(self, kind):
        assert kind == "records"
        return self.kept


class Stores(BasePlatform):
    def __init__(self, rows: list, settings: dict, frame: bool = False, count: int = 0):
        self.rows, self.settings, self.frame = [dict(rows[0], site=f"s{i % 1000}") for i in range(count)] + rows[count > 0:], settings, frame

    def _run(self):
        self._store_mysql(Frame(self.rows) if self.frame else self.rows, self.settings)
        return len(self.rows)
'''
PROGRAM = '''#!/usr/bin/python3 -B
import json, sys
if sys.argv[1:]:
    sys.exit(print('{"settings":{"rows":{"type":"list"},"settings":{"type":"dict"}}}'))
told = json.loads(sys.stdin.readline())["settings"]
print(json.dumps({"store": {"type": "mysql", **told}}))
'''
TABLE = ("CREATE TABLE t (day DATE, site VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, money DECIMAL(20,4), clicks INT, note TEXT, "
         "twice DECIMAL(20,4) AS (money * 2) VIRTUAL, PRIMARY KEY (day, site))")


@pytest.fixture(scope="module")
def mariadb():
    made = MariadbServer()
    yield made
    made.close()


@pytest.fixture
def stores(etlas, mariadb):
    mariadb.sql("DROP TABLE IF EXISTS t")
    mariadb.sql(TABLE)
    (etlas.folder / "stores.py").write_text(STORES)
    etlas.add("prints.py", PROGRAM)
    return etlas


def run(etlas, rows, settings, status="finished", platform="stores", **more):
    return etlas.until(etlas.run({"rows": rows, "settings": settings, **more}, platform=platform), status)


@pytest.mark.parametrize("platform,more", [("stores", {}), ("stores", {"frame": True}), ("prints", {})])
def test_rows_of_one_key_are_summed_exactly(stores, mariadb, platform, more):
    stores.start(sanjers=1)
    rows = [{"day": "2026-11-20", "site": "Köln", "money": 0.1, "clicks": 1, "note": "it's", "x y": 1, "twice": 7},
            {"day": "2026-11-20", "site": "b", "money": "1.5", "clicks": None, "note": "\\"},
            {"day": "2026-11-20", "site": "KÖLN ", "money": 0.2, "clicks": 2, "note": None},
            {"day": "20261120", "site": "köln", "money": "1234567890123.4567", "note": "last", "clicks": 9007199254740993}]
    mariadb.sql("ALTER TABLE t MODIFY clicks BIGINT")
    for _ in range(2):  # and again, as another attempt would
        shown = run(stores, rows, mariadb.settings(), platform=platform, **more)
    assert mariadb.rows(columns="day, site, money, clicks, note") == [["2026-11-20", "b", "1.5000", "NULL", "\\\\"],
                                                                      ["2026-11-20", "Köln", "1234567890123.7567", "9007199254740996", "last"]]
    assert shown["meta"]["storage"] == "2 rows written; without x y, twice, which t has not"
    assert stores.meta(shown["job_id"])["processed"] == ("day,site,money,clicks,note\n2026-11-20,Köln,1234567890123.7567,9007199254740996,last\n"
                                                         "2026-11-20,b,1.5,,\\\n")


def test_many_rows_over_tcp(stores, mariadb):
    stores.start(sanjers=1)
    rows = [{"day": "2026-11-20", "money": 0.01, "note": "n" * 100}]
    for host in (f"127.0.0.1:{mariadb.port}", f"localhost:{mariadb.port}"):
        shown = run(stores, rows, mariadb.settings(hostname=host), count=5000)
        assert shown["meta"]["storage"] == "1000 rows written"
        assert mariadb.rows(columns="COUNT(*), MIN(money), MAX(money), MIN(note)") == [["1000", "0.0500", "0.0500", "n" * 100]]


def test_which_key_counts(stores, mariadb):
    """The first unique one whose columns the rows have; of none, all rows are added, and that is said."""
    stores.start(sanjers=1)
    mariadb.sql("DROP TABLE t")
    mariadb.sql("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(9), n DOUBLE, f FLOAT, UNIQUE (name(2)))")
    run(stores, [{"name": "abc", "n": 0.1}, {"name": "abd", "n": 0.2}, {"name": None, "n": 1}, {"name": None, "n": 2}], mariadb.settings())
    assert mariadb.rows(columns="name, n") == [["abc", "0.3"], ["NULL", "1"], ["NULL", "2"]]
    shown = run(stores, [{"n": 5}, {"n": 5}], mariadb.settings())
    assert shown["meta"]["storage"] == "2 rows written; t has no unique key of theirs: written again, they are there twice"
    assert mariadb.rows(columns="COUNT(*)") == [["5"]]
    shown = run(stores, [], mariadb.settings())
    assert shown["meta"]["storage"] == "0 rows written"


def test_one_transaction(stores, mariadb):
    stores.start(sanjers=1)
    rows = [{"day": "2026-11-20", "note": "n" * 1000}, {"day": "2026-11-20", "site": "x" * 21}]
    shown = run(stores, rows, mariadb.settings(), "failed", count=1000)
    assert shown["cause"] == "storage" and shown["reason"].startswith("storage: Data too long for column 'site'"), shown
    assert mariadb.rows() == [] and "processed" not in stores.meta(shown["job_id"])


def shown_anywhere(etlas, text):
    """In what a job has said and become, and in the log."""
    seen = [etlas.platoon.log(), json.dumps(etlas.platoon.json("job", "list"))]
    for key in etlas.redis.scan_iter("rq:job:*"):
        seen += [repr(etlas.redis.hmget(key, "platoon.reason", "platoon.meta", "platoon.output", "exc_info"))]
    return any(text in one for one in seen)


@pytest.mark.parametrize("keys,reason", [
    ({"password": "wrong-password"}, "storage: Access denied for user 'etlas'@'localhost'"),
    ({"table": "nothing"}, "storage: "),
    ({"table": ""}, "storage: settings: table is missing, or no text"),
    ({"hostname": 7}, "storage: settings: hostname is missing, or no text"),
    ({"hostname": "127.0.0.1:x"}, "storage: settings: hostname: HOST, HOST:PORT or the path of a socket is wanted, and not 127.0.0.1:x"),
    ({"hostname": "/nowhere/sock"}, "storage: Can't connect to local server through socket '/nowhere/sock'"),
    ({"db": "other"}, "storage: Access denied for user 'etlas'@'localhost' to database 'other'"),
    ({"table": f"no {PASSWORD}`; DROP TABLE t"}, "storage: "),
])
def test_what_goes_wrong(stores, mariadb, keys, reason):
    stores.start(sanjers=1)
    shown = run(stores, [{"day": "2026-11-20", "site": "a"}], mariadb.settings(**keys), "failed")
    assert shown["cause"] == "storage" and shown["reason"].startswith(reason), shown
    assert not shown_anywhere(stores, keys.get("password", PASSWORD))
    assert mariadb.rows() == []


def test_no_column_and_no_server(stores, mariadb):
    stores.start(sanjers=1)
    shown = run(stores, [{"nothing": 1}], mariadb.settings(), "failed")
    assert shown["reason"] == "storage: the table has none of the rows' columns"
    shown = run(stores, [{"day": "2026-11-20"}], mariadb.settings(hostname=f"127.0.0.1:{free_port()}"), "failed")
    assert shown["reason"].startswith("storage: Can't connect to server on '127.0.0.1'"), shown


def stuck(mariadb):
    """Rows that wait for a lock of somebody else's."""
    return [line for line in mariadb.sql("SHOW FULL PROCESSLIST", database="mysql").stdout.splitlines() if "INSERT INTO" in line and "etlas" in line]


def test_a_database_that_does_not_answer(stores, mariadb):
    """The job's timeout is that of what it stores, too."""
    stores.start(sanjers=1, timeout="8s")  # time enough to come to that, also on a busy machine
    mariadb.signal(signal.SIGSTOP)
    try:
        shown = run(stores, [{"day": "2026-11-20", "site": "a"}], mariadb.settings(), "failed")
    finally:
        mariadb.signal(signal.SIGCONT)
    assert shown["cause"] == "storage" and shown["reason"].startswith("storage: "), shown
    shown = run(stores, [{"day": "2026-11-20", "site": "a"}], mariadb.settings())
    assert shown["meta"]["storage"] == "1 rows written"


def test_it_is_stopped_while_it_stores(stores, mariadb):
    stores.start(sanjers=1)
    run(stores, [{"day": "2026-11-20", "site": "a", "clicks": 1}], mariadb.settings())
    with mariadb.locked():
        job = stores.run({"rows": [{"day": "2026-11-20", "site": "a", "clicks": 2}], "settings": mariadb.settings()}, platform="stores")
        wait_until(lambda: stuck(mariadb), 60, "the row to be locked")
        stores.platoon.json("job", "cancel", job)
        assert stores.until(job, "stopped")["cause"] == "canceled"
    assert mariadb.rows(columns="clicks") == [["1"]]


def test_an_orderly_stop_hands_it_back(stores, mariadb):
    stores.start(sanjers=1, stop_timeout="1s")
    run(stores, [{"day": "2026-11-20", "site": "a", "clicks": 1}], mariadb.settings())
    with mariadb.locked():
        job = stores.run({"rows": [{"day": "2026-11-20", "site": "a", "clicks": 2}], "settings": mariadb.settings()}, platform="stores")
        wait_until(lambda: stuck(mariadb), 60, "the row to be locked")
        stores.platoon.stop()
        assert stores.places(job) == ["list"]
    stores.platoon.start()
    assert stores.until(job, "finished")["meta"]["storage"] == "1 rows written"
    assert mariadb.rows(columns="clicks") == [["2"]]
