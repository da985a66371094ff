"""Redis gone, frozen, restarted, full, read-only, loading, or with another password: workers wait, say so, and resume by themselves."""
import os
import re
import socket
import time

import pytest

from drain_fixture import members
from platoon_fixture import ASAN, cpu_seconds, elapsed, wait_until
from unix_proxy import UnixProxy

FAST = {"retry_max": "500ms", "connect_timeout": "2s", "timeout": "2s"}


@pytest.fixture
def outside(platoon, redis_server):
    """A platoon on a redis-server of the test's own."""
    server = redis_server()
    platoon.configure(redis={"url": server.url, **FAST})
    platoon.redis = server.client
    platoon.server = server
    return platoon


def troubled(platoon, *words):
    """True when status names each of the words."""
    problems = platoon.problems()
    return all(w in problems for w in words) and problems


def test_gone_and_back(outside):
    outside.start()
    outside.add(members(100))
    outside.drained()
    pids = {n: w["pid"] for n, w in outside.workers().items()}
    outside.server.stop()
    wait_until(lambda: troubled(outside, "get-set", "retrying"), 10, "status to name the trouble")

    before, cpu = elapsed(4), cpu_seconds(pids.values())
    wait_until(before, 20, "four seconds to pass")
    used = cpu_seconds(pids.values()) - cpu
    assert used < (2.0 if ASAN else 0.4), f"{len(pids)} workers used {used:.2f} s of CPU in 4 s without Redis"
    assert outside.status()["ready"] is False

    outside.server.start()
    outside.add(members(100, 100))
    outside.drained()
    assert outside.data() == members(200)
    wait_until(lambda: outside.status()["ready"], 10, "ready again")
    assert {n: w["pid"] for n, w in outside.workers().items()} == pids, "workers must survive an outage"


def test_an_idle_close_that_a_new_connection_cures_is_no_warning(outside):
    """A server's `timeout`, a proxy, CLIENT KILL: nothing was asked, and the next try is good. With the usual deadlines: a server that a busy machine holds up is a warning."""
    outside.configure(redis={"url": outside.server.url}).start()
    wait_until(lambda: outside.status()["ready"], 10, "ready")
    wait_until(elapsed(8), 20, "connections that have been good for a second, each by its worker's clock")
    outside.redis().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_until(lambda: "redis-reconnect" in outside.log(), 10, "a new connection")
    outside.add(members(10))
    outside.drained()
    lines = [line for line in outside.log().splitlines() if "Z warn " in line or "Z error " in line]
    assert not [line for line in lines if "retrying" in line], lines


def test_gone_in_the_middle(outside):
    """Killed under load, with what it had acknowledged in its append-only file."""
    outside.configure(redis={"url": outside.server.url, **FAST}, drain={"batch": 20, "transfer.batch": 50})
    outside.redis = outside.server.client
    outside.add(members(5000))
    outside.start()
    wait_until(lambda: len(outside.rows()) > 200, 20, "the first rows")
    outside.server.stop()
    outside.server.start()
    outside.drained(timeout=60)
    assert outside.data() == members(5000)
    assert outside.drain()["dead"] == 0


def test_frozen(outside):
    """It takes connections and bytes and answers nothing: deadlines notice."""
    outside.start()
    outside.server.pause()
    try:
        wait_until(lambda: troubled(outside, "watcher"), 20, "status to name the trouble")
        done = outside.ctl("--timeout", "2s", "redis", "PING")
        assert done.returncode in (1, 124), done
        assert done.stderr.strip()
    finally:
        outside.server.resume()
    outside.add(members(50))
    outside.drained()
    assert outside.data() == members(50)


def test_what_comes_while_redis_stands_still_is_looked_for_soon(outside):
    """
    The watcher has asked for the set, and behind that for the ledger, which knows nothing yet of what is found in the set. It looked again five seconds later only, and what
    had no hash then was looked for then. In polls, for whoever is held up is so with all that he does.
    """
    outside.configure(redis={"url": outside.server.url, "timeout": "60s"}, drain={"poll_min": "100ms", "poll_max": "100ms", "max_attempts": 100}).start()
    polls = []
    for turn in range(3):  # at times the ledger is asked for first
        name = f"late:{turn}"
        with outside.redis().monitor() as monitor:
            client = outside.redis()
            client.ping()
            asks = client.connection_pool.get_connection("SADD")
            outside.server.pause()
            try:
                asks.send_command("SADD", "tracking:pending", name)
                wait_until(elapsed(6), 20, "the watcher to ask for both")
            finally:
                outside.server.resume()
            asks.read_response()
            waits, polls = False, [*polls, 0]
            for said in iter(monitor.next_command, None):
                command, by_script = said["command"], said["client_type"] == "lua"
                if waits and by_script and name in command:
                    break
                waits = waits or re.match(r"ZADD platoon:\{visits\}:waiting \d", command) is not None
                polls[-1] += waits and not by_script and command.startswith("SCARD")
        outside.redis().hset(name, "n", "1")
        wait_until(lambda: name in outside.data(), 20, "its record")
    assert max(polls) < 25, polls


def test_scripts_flushed(outside):
    outside.start()
    outside.add(members(50))
    outside.drained()
    outside.redis().script_flush()
    outside.add(members(50, 50))
    outside.drained()
    assert outside.data() == members(100)
    assert outside.problems() == ""


def held(platoon, count):
    """Nothing was dropped: each member is in the set, in a claim, or in the store. Looked for in this order, which is its way."""
    r = platoon.redis()
    pending = r.scard("tracking:pending")
    claimed = int(r.hget("platoon:{visits}:stats", "claimed") or 0)
    return pending + claimed + len(platoon.rows()) >= count


def test_out_of_memory(outside):
    outside.start()
    outside.add(members(10))
    outside.drained()
    r = outside.redis()
    r.config_set("maxmemory-policy", "noeviction")
    pipe = r.pipeline(transaction=True)
    for member, fields in members(200, 10).items():
        pipe.hset(member, mapping=fields)
        pipe.sadd("tracking:pending", member)
    pipe.execute_command("CONFIG", "SET", "maxmemory", "1")
    pipe.execute()
    wait_until(lambda: troubled(outside, "OOM") or troubled(outside, "maxmemory"), 15, "status to name OOM")
    wait_until(lambda: "OOM" in outside.log() or "maxmemory" in outside.log(), 10, "the log to name it")
    assert held(outside, 210)
    r.config_set("maxmemory", "0")
    outside.drained()
    assert outside.data() == members(210)
    wait_until(lambda: outside.problems() == "", 10, "no more problems")


def test_read_only(outside):
    outside.start()
    outside.add(members(10))
    outside.drained()
    r = outside.redis()
    pipe = r.pipeline(transaction=True)
    for member, fields in members(200, 10).items():
        pipe.hset(member, mapping=fields)
        pipe.sadd("tracking:pending", member)
    pipe.execute()
    r.execute_command("REPLICAOF", "127.0.0.1", "1")
    outside_rows = len(outside.rows())
    if outside_rows < 210:
        wait_until(lambda: troubled(outside, "READONLY") or len(outside.rows()) == 210, 15, "status to name READONLY")
    assert held(outside, 210)
    r.execute_command("REPLICAOF", "NO", "ONE")
    outside.drained()
    assert outside.data() == members(210)


def test_read_only_is_named(outside):
    """A replica from the start: nothing can be claimed, and status says why."""
    outside.add(members(20))
    outside.redis().execute_command("REPLICAOF", "127.0.0.1", "1")
    outside.start(ready=False)
    wait_until(lambda: troubled(outside, "READONLY"), 15, "status to name READONLY")
    wait_until(lambda: "READONLY" in outside.log(), 10, "the log to name READONLY")
    assert outside.redis().scard("tracking:pending") == 20
    outside.redis().execute_command("REPLICAOF", "NO", "ONE")
    outside.drained()
    assert outside.data() == members(20)


def test_wrong_password_then_the_right_one(platoon, redis_server):
    server = redis_server("--requirepass", "secret-right")
    server_client = server.client(password="secret-right")
    password = platoon.dir / "password"
    password.write_text("secret-wrong\n")
    password.chmod(0o600)
    platoon.configure(redis={"url": server.url, "password_file": password, **FAST})
    platoon.redis = lambda: server.client(password="secret-right")
    platoon.add(members(20))
    platoon.start(ready=False)
    wait_until(lambda: troubled(platoon, "WRONGPASS"), 15, "status to name WRONGPASS")
    wait_until(lambda: "WRONGPASS" in platoon.log(), 10, "the log to name WRONGPASS")
    assert server_client.scard("tracking:pending") == 20
    password.write_text("secret-right\n")
    assert platoon.ctl("--timeout", "60s", "restart", "redis").returncode == 0
    platoon.drained()
    assert platoon.data() == members(20)
    for text in (platoon.log(), str(platoon.tree()), platoon.ctl("tree").stdout, platoon.ctl("status").stdout):
        assert "secret-" not in text


def test_password_and_database_are_replayed(platoon, redis_server):
    """An ACL user and a database number, kept over a reconnect."""
    server = redis_server()
    server.client().execute_command("ACL", "SETUSER", "platoon", "on", ">pw", "~*", "&*", "+@all")
    server.client().execute_command("CONFIG", "SET", "requirepass", "other")
    secret = platoon.dir / "password"
    secret.write_text("platoon\npw\n")
    secret.chmod(0o600)
    platoon.configure(redis={"url": server.url + "?db=3", "password_file": secret, **FAST})
    platoon.redis = lambda: server.client(password="other", db=3)
    platoon.start()
    platoon.add(members(20))
    platoon.drained()
    server.client(password="other").execute_command("CLIENT", "KILL", "USER", "platoon")
    platoon.add(members(20, 20))
    platoon.drained()
    assert platoon.data() == members(40)


class LoadingProxy(UnixProxy):
    """Stands before a Redis and, while `loading`, answers each command with -LOADING itself."""

    def __init__(self, path, target):
        self.loading, self.refused = True, 0
        super().__init__(path, target)

    def ask(self, client, up):
        reader = client.makefile("rb")
        try:
            while head := reader.readline():
                text = head
                for _ in range(int(head[1:])):
                    size = reader.readline()
                    text += size + reader.read(int(size[1:]) + 2)
                if self.loading:
                    self.refused += 1
                    client.sendall(b"-LOADING Redis is loading the dataset in memory\r\n")
                else:
                    up.sendall(text)
            up.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # one of the two has gone: so does the other


def test_loading(platoon, redis_server):
    server = redis_server()
    proxy = LoadingProxy(platoon.dir / "proxy.sock", server.dir / "r.sock")
    try:
        platoon.configure(redis={"url": f"unix://{platoon.dir}/proxy.sock", **FAST})
        platoon.redis = server.client
        platoon.add(members(30))
        platoon.start(ready=False)
        wait_until(lambda: troubled(platoon, "LOADING"), 15, "status to name LOADING")
        before = proxy.refused
        wait_until(lambda: proxy.refused > before, 10, "another try")
        proxy.loading = False
        platoon.drained()
        assert platoon.data() == members(30)
    finally:
        platoon.stop()
        proxy.close()


def test_idle_costs_next_to_nothing(platoon):
    """What an idle drain asks of Redis and of the processor, measured over five seconds."""
    platoon.start()
    platoon.add(members(5))
    platoon.drained()
    r = platoon.redis()
    # The poll pause has to grow to its maximum first: the rate falls below five a second.
    def rate_is_low():
        first = r.info("stats")["total_commands_processed"]
        wait_until(elapsed(1), 5, "one second")
        return r.info("stats")["total_commands_processed"] - first - 1 <= 6
    wait_until(rate_is_low, 20, "the idle rate")
    pids = [w["pid"] for w in platoon.workers().values()] + [platoon.process.pid]
    cpu, commands, begun = cpu_seconds(pids), r.info("stats")["total_commands_processed"], time.monotonic()
    wait_until(elapsed(5), 20, "five seconds")
    assert r.info("stats")["total_commands_processed"] - commands - 1 <= 6 * (time.monotonic() - begun)
    assert cpu_seconds(pids) - cpu < (1.5 if ASAN else 0.5)
    assert os.getpid() not in pids
