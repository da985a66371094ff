"""Records in a PostgreSQL database: the same as in SQLite, and nothing is lost when the server is."""
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading

import pytest

from platoon_fixture import wait_until
from postgres_fixture import PgBouncer, configured


pytestmark = pytest.mark.usefixtures("fresh")


def members(count, start=0):
    return {f"v:{i}": {"n": str(i), "text": "x" * (i % 50), "status": str(200 + i % 3), "time": "2024-03-01T10:00:00Z"} for i in range(start, start + count)}


def stored(server, expected, table="records"):
    wait_until(lambda: server.data(table) == expected, 30, "every record in PostgreSQL")


def test_drain(platoon, server):
    configured(platoon, server, {"batch": 50, "transfer.batch": 100, "transfer.workers": 2}).start()
    platoon.add(members(3000))
    platoon.drained()
    stored(server, members(3000))
    assert server.psql("SELECT count(*) FROM records WHERE seq <= 0 OR updated_at < 1700000000000 OR bucket <> 'visits'").stdout.strip() == "0"


def test_any_bytes(platoon, server):
    """What COPY and SQL would take for their own, NUL, and what is no text."""
    texts = ["tab\there", "line\nbreak\r\n", "back\\slash \\N \\.", "quote's \"double\"", "nul\0byte", "ünïcödé 😀", "$1 %s {}", "", "\\."]
    expected = {f"k\\{i}\t'{i}": {"text": text} for i, text in enumerate(texts)}
    configured(platoon, server).start()
    platoon.add(expected)
    platoon.redis().hset("raw", mapping={"bin": b"\xff\xfe"})
    platoon.redis().sadd("tracking:pending", "raw")
    platoon.drained()
    stored(server, {**expected, "raw": {"bin": {"base64": "//4="}}})
    assert platoon.ctl("report", "visits", "--by", "text").returncode == 0


def test_newest_wins(platoon, server):
    """Rewritten all the time, in one batch and across batches."""
    configured(platoon, server, {"key": "{id}", "batch": 3, "transfer.workers": 2}).start()
    client = platoon.redis()
    for version in range(1, 201):
        for key in range(5):
            member = f"v:{key}:{version}"
            platoon.add({member: {"id": f"k{key}", "version": str(version)}}, client=client)
    platoon.drained()
    newest = {f"k{key}": 200 for key in range(5)}
    # Members are popped in any order, so the newest is the one that was taken last; what must not happen is an older one over a newer seq.
    rows = server.psql("SELECT key, seq FROM records").stdout.splitlines()
    assert len(rows) == len(newest)
    for _ in range(20):
        platoon.add({"v:last": {"id": "k0", "version": "last"}}, client=client)
        platoon.drained()
    assert server.data()["k0"]["version"] == "last"


def test_server_is_killed_and_comes_back(platoon, server):
    configured(platoon, server, {"batch": 50, "transfer.batch": 100}).start()
    platoon.add(members(500))
    platoon.drained()
    server.kill()
    platoon.add(members(2000, 500))
    wait_until(lambda: "goes on by itself" in platoon.problems(), 20, "the trouble to be told")
    assert platoon.drain()["dead"] == 0
    server.start()
    platoon.drained()
    stored(server, members(2500))
    wait_until(lambda: platoon.problems() == "", 10, "the trouble to be over")


def test_server_is_killed_while_it_writes(platoon, server):
    configured(platoon, server, {"batch": 50, "transfer.batch": 50}).start()
    for turn in range(4):
        platoon.add(members(1000, turn * 1000))
        wait_until(lambda low=turn * 1000: len(server.data()) > low, 20, "records to arrive")
        server.kill()
        server.start()
    platoon.drained()
    stored(server, members(4000))


def test_server_is_frozen(platoon, server):
    """Its connection stays, and nothing comes over it: no error of the network's ends that, only our own patience."""
    configured(platoon, server, timeout="1s").start()
    platoon.add(members(10))
    stored(server, members(10))
    frozen = server.pids()

    def send(number):
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):  # its helpers come and go
                os.kill(pid, number)
    send(signal.SIGSTOP)
    try:
        platoon.add(members(10, 10))
        wait_until(lambda: "no answer for 1 s: is the server, or the way to it, stopped?" in platoon.workers()["transfer/visits.1"]["trouble"], 20, "the end of patience")
    finally:
        send(signal.SIGCONT)
    stored(server, members(20))
    platoon.drained()
    assert platoon.workers()["transfer/visits.1"]["restarts"] == 0


class Silence:
    """A way to the server on which a connection falls silent, and stays open, as soon as its client says a word."""

    def __init__(self, server, word):
        self.word, self.to = word, ("127.0.0.1", server.port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                threading.Thread(target=self.carry, args=(client, socket.create_connection(self.to)), daemon=True).start()

    def carry(self, client, server):
        with contextlib.suppress(OSError):
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is server or self.word not in data:
                        (client if ready is server else server).sendall(data)


def test_a_report_over_a_silent_connection_ends_with_its_deadline(platoon, server):
    """Nobody waits for its answer any more, and its worker must not look hung for it."""
    way = Silence(server, b"REPEATABLE READ")
    configured(platoon, server, url=f"postgresql://platoon@127.0.0.1:{way.port}/postgres").start()
    platoon.add(members(10))
    stored(server, members(10))
    before = platoon.pid_of("transfer/report")

    def ends():
        """By its own deadline, which is a little before that of who asks; that one may have passed before the answer is home."""
        done = platoon.ctl("--timeout", "4s", "report", "visits")
        assert done.returncode in (1, 124), done
        return done.returncode == 1 and "no answer for" in done.stderr
    wait_until(ends, 60, "an answer that says so")
    assert "understands only" in platoon.ctl("send", "transfer/report", "1").stderr, "it has time for others again"
    assert platoon.pid_of("transfer/report") == before
    way.listener.close()


def test_server_comes_later(platoon, server):
    server.kill()
    configured(platoon, server).start_troubled()
    platoon.add(members(100))
    wait_until(lambda: "check that it runs" in platoon.problems(), 20, "the trouble to be told")
    server.start()
    platoon.drained()
    stored(server, members(100))


def test_transfer_is_killed(platoon, server):
    configured(platoon, server, {"batch": 20, "transfer.batch": 50}).start()
    platoon.add(members(2000))
    for _ in range(3):
        before = platoon.workers()["transfer/visits.1"]
        os.kill(before["pid"], signal.SIGKILL)
        platoon.replaced(before)
    platoon.drained()
    stored(server, members(2000))


def test_locked_table(platoon, server):
    """Another session holds the table: transfer waits, and says so only when it lasts; the server keeps its lock_timeout."""
    configured(platoon, server).start()
    platoon.add(members(10))
    platoon.drained()
    with subprocess.Popen([str(server.bin / "psql"), "-h", str(server.dir), "-p", str(server.port), "-U", "platoon", "-d", "postgres", "-X", "-q"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        session.stdin.write("BEGIN; LOCK TABLE records; SELECT 'locked';\n")
        session.stdin.flush()
        wait_until(lambda: "locked" in session.stdout.readline(), 10, "the lock")
        platoon.add(members(10, 10))
        wait_until(lambda: platoon.problems() != "", 30, "the trouble to be told")
        session.stdin.write("ROLLBACK;\n\\q\n")
        session.stdin.close()
    platoon.drained()
    stored(server, members(20))


def test_schema_and_rights(platoon, server):
    """A table somebody else made, in a schema where this user may create nothing."""
    server.psql("CREATE ROLE clerk LOGIN; CREATE SCHEMA app; CREATE TABLE app.visits(bucket text, key text, data json, seq bigint, updated_at bigint, "
                "PRIMARY KEY(bucket, key)); GRANT USAGE ON SCHEMA app TO clerk; GRANT SELECT, INSERT ON app.visits TO clerk")
    url = server.url.replace("platoon@", "clerk@")
    configured(platoon, server, url=url, table="app.visits").start()
    platoon.add(members(10))
    wait_until(lambda: "grant the user SELECT, INSERT and UPDATE" in platoon.problems(), 20, "the missing right to be told")
    server.psql("GRANT UPDATE ON app.visits TO clerk")
    platoon.drained()
    stored(server, members(10), "app.visits")
    platoon.stop()


@pytest.mark.parametrize("url, table, said", [
    ("{url}/nosuch", "records", "create it"),
    ("{url}/postgres", "pg_catalog.pg_class", "store postgresql"),
])
def test_what_cannot_be(platoon, server, url, table, said):
    configured(platoon, server, url=url.replace("{url}", server.url.removesuffix("/postgres")), table=table).start_troubled()
    platoon.add(members(3))
    wait_until(lambda: said in platoon.problems(), 20, "the trouble to be told")
    assert platoon.drain()["dead"] == 0


def test_a_database_told_by_the_query_alone_is_a_store_of_its_own(platoons, server, redis_server):
    """Two platoons that share a Redis and the name of a drain: the second must not store the first one's records."""
    shared, where = redis_server(), f"postgresql://platoon@/?sslmode=prefer&host={server.dir}&port={server.port}&dbname="
    server.psql("DROP DATABASE IF EXISTS other")
    server.psql("CREATE DATABASE other")
    first, second = platoons(), platoons()
    configured(first, server, redis={"url": shared.url}, url=where + "postgres").start()
    name = f"postgresql://platoon@/?host={server.dir}&port={server.port}&dbname=postgres records"
    wait_until(lambda: shared.client().hget("platoon:{visits}:owner", "store") == name.encode(), 10, "the signature")
    configured(second, server, redis={"url": shared.url}, url=where + "other").start_troubled()
    wait_until(lambda: "belongs to another platoon" in second.problems(), 10, "the refusal")
    first.add(members(100))
    first.drained()
    assert server.data() == members(100)
    second.stop()


@pytest.fixture
def pooled(server):
    """pooled(mode): a pooler in front of the server."""
    made = []

    def make(mode):
        made.append(PgBouncer(server, mode))
        made[-1].begin(server)
        return made[-1]
    yield make
    for each in made:
        each.close()


def test_another_session_for_each_transaction(platoon, server, pooled):
    """pgbouncer with pool_mode = transaction: nothing of ours is left in a session, or expected there."""
    pool = pooled("transaction")
    configured(platoon, server, {"batch": 20, "transfer.batch": 50, "transfer.workers": 2}, url=pool.url).start()
    pool.ready(server)
    for turn in range(5):
        platoon.add(members(300, turn * 300))
        platoon.drained()
    stored(server, members(1500))
    for _ in range(4):
        assert platoon.json("report", "visits", "--by", "status", "--every", "1h", "--time", "time")["total"] == 1500
    assert platoon.problems() == "" and platoon.drain()["dead"] == 0
    for _ in range(6):
        shown = subprocess.run([str(server.bin / "psql"), pool.url, "-X", "-A", "-t", "-c", "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"],
                               capture_output=True, text=True, check=True)
        assert shown.stdout.strip() == "0|0", "others get the sessions as they were"


def test_another_session_for_each_statement(platoon, server, pooled):
    """No transaction is possible there: said before there is a record."""
    configured(platoon, server, url=pooled("statement").url).start_troubled()
    wait_until(lambda: "pool_mode to transaction" in platoon.problems(), 20, "the remedy")


def test_report_is_that_of_sqlite(platoons, server):
    answers = []
    for make in (lambda p: p.configure(), lambda p: configured(p, server)):
        platoon = make(platoons())
        platoon.start()
        assert platoon.json("report", "visits", "--by", "status")["total"] == 0
        platoon.add({**members(200), "odd": {"status": "odd \\ one", "time": "never"}, "none": {"other": "1", "time": "1709287200"}})
        platoon.drained()
        answers.append([platoon.json("report", "visits", *words) for words in (["--by", "status"], ["--by", "status", "--top", "2"],
                                                                               ["--every", "1h", "--time", "time"])])
        platoon.stop()
    assert answers[0] == answers[1]


def test_tls(platoon, server, tmp_path):
    """The url's sslmode and sslrootcert are obeyed: a server whose certificate nobody signed gets no record."""
    tmp_path.chmod(0o755)
    for name in ("good", "other"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(tmp_path / f"{name}.key"), "-out",
                        str(tmp_path / f"{name}.crt"), "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, capture_output=True)
    for name in ("good.key", "good.crt"):
        target = server.dir / "data" / name
        target.write_bytes((tmp_path / name).read_bytes())
        target.chmod(0o600)
        if server.user:
            subprocess.run(["chown", "postgres:postgres", str(target)], check=True)
    server.psql(f"ALTER SYSTEM SET ssl_cert_file = '{server.dir}/data/good.crt'")
    server.psql(f"ALTER SYSTEM SET ssl_key_file = '{server.dir}/data/good.key'")
    server.psql("ALTER SYSTEM SET ssl = on")
    server.psql("SELECT pg_reload_conf()")
    configured(platoon, server, url=f"{server.url}?sslmode=verify-full&sslrootcert={tmp_path}/other.crt").start_troubled()
    platoon.add(members(10))
    wait_until(lambda: "sslrootcert" in platoon.problems(), 20, "the refusal to be told")
    platoon.stop()
    configured(platoon, server, url=f"{server.url}?sslmode=verify-full&sslrootcert={tmp_path}/good.crt").start()
    platoon.drained()
    stored(server, members(10))
