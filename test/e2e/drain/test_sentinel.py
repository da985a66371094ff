"""sentinel://: three real Sentinels, a real fail-over in mid-drain; nothing is lost that the new primary has.

As https://redis.io/docs/latest/develop/reference/sentinel-clients/ demands. Reported of such clients: redis-sentinel#39, StackExchange.Redis#2264.
"""
import contextlib

import pytest
import redis

from drain_fixture import members
from platoon_fixture import free_port, wait_until
from platoon_steps import refused, run
from sentinel_fixture import DOWN_AFTER, FAILOVER, NAME, Certificates, replicate, url_of, watched

# Once the Sentinels have agreed, the drain goes on within so many times what they may take for it themselves.
BOUND = 1

FAST = {"retry_max": "500ms", "connect_timeout": "2s", "timeout": "2s"}


@pytest.fixture
def guided(platoon, redis_server):
    """Makes a primary, its replica, three Sentinels over them, and a platoon that knows only the Sentinels."""
    with contextlib.ExitStack() as stack:
        def make(password=None, lines="", login=None, tls=None):
            first, second = (redis_server(*(["--tls-port", str(free_port()), *tls.words] if tls else [])) for _ in range(2))
            for server in (first, second):
                if tls:
                    server.port = int(server.options[1])
                else:
                    server.open_port()
            sentinels = stack.enter_context(watched(first, second, password=password, lines=lines, tls=tls))
            more = {"tls_ca_file": tls.ca} if tls else {}
            if password or login:
                more["sentinel_password_file"] = secret(platoon, (login or password) + "\n")
            platoon.configure(redis={"url": url_of(sentinels, "sentinels" if tls else "sentinel"), **FAST, **more}, drain={"batch": 20, "transfer.batch": 50})
            platoon.redis = first.client
            return platoon, first, second, sentinels
        yield make
        platoon.stop()


def secret(platoon, text):
    file = platoon.dir / "sentinel-password"
    file.write_text(text)
    return file


def named(platoon, *needles):
    """Status has one line that holds them all."""
    wait_until(lambda: any(all(n in line for n in needles) for line in platoon.problems().splitlines()), 15, f"status to name {needles}")
    assert not platoon.status()["ready"]


def replicated(server):
    """All that was written so far is at the replica. WAIT speaks of its own connection's writes only: one behind all others."""
    pipe = server.client().pipeline(transaction=False)
    pipe.set("replicated", 1)
    pipe.execute_command("WAIT", 1, 10000)
    assert pipe.execute()[-1] == 1


def is_replica(server):
    """What becomes one drops its connections."""
    with contextlib.suppress(redis.exceptions.ConnectionError):
        return server.client().info("replication")["role"] == "slave"


def fail_over(sentinels, to):
    sentinels[1].client().execute_command("SENTINEL", "FAILOVER", NAME)
    wait_until(lambda: all(s.primary_port() == to.port for s in sentinels), 30, "the fail-over")


@pytest.mark.parametrize("password", [None, "s3ntinel"])
def test_a_fail_over_in_mid_drain(guided, password):
    platoon, first, second, sentinels = guided(password)
    platoon.start()
    platoon.add(members(5000))
    replicated(first)
    wait_until(lambda: 0 < len(platoon.rows()), 20, "the first rows")
    first.pause()  # dead to everybody, without a word
    wait_until(lambda: sentinels[0].primary_port() == second.port, 30, "the Sentinels to agree")
    late = members(100, 5000)
    platoon.add(late, client=second.client())
    wait_until(lambda: late.keys() & platoon.data().keys(), BOUND * (DOWN_AFTER + FAILOVER), "the first of the new primary's records")
    wait_until(lambda: platoon.data() == members(5100), 40, "all that the new primary has")
    wait_until(lambda: platoon.problems() == "", 20, "no more problems")
    first.resume()  # comes back, and is made a replica
    wait_until(lambda: is_replica(first), 30, "the old primary to be a replica")
    platoon.add(members(100, 5100), client=second.client())
    wait_until(lambda: platoon.data() == members(5200), 20, "the drain to be at the new one")
    assert platoon.ctl("redis", "SET", "here", "1").returncode == 0
    assert second.client().get("here") == b"1"


def test_a_fail_over_by_order_is_followed_at_once(guided):
    """SENTINEL FAILOVER: the old primary lives and answers; +switch-master is what says so. For one-off commands as for the drain."""
    platoon, _, second, sentinels = guided()
    platoon.start()
    platoon.add(members(100))
    platoon.drained()
    assert platoon.ctl("redis", "SET", "here", "0").returncode == 0
    pids = {n: w["pid"] for n, w in platoon.workers().items()}
    fail_over(sentinels, second)
    platoon.add(members(100, 100), client=second.client())
    wait_until(lambda: platoon.data() == members(200), 20, "the new primary's records")
    wait_until(lambda: platoon.ctl("redis", "SET", "here", "1").returncode == 0, 10, "the one-off worker to be there")
    assert second.client().get("here") == b"1"
    wait_until(lambda: platoon.problems() == "", 20, "no more problems")
    assert {n: w["pid"] for n, w in platoon.workers().items()} == pids


def test_tls_with_both(guided, platoon):
    tls = Certificates(platoon.dir)
    platoon, _, second, sentinels = guided("s3ntinel", tls=tls)
    platoon.start()
    platoon.add(members(100))
    platoon.drained()
    fail_over(sentinels, second)
    platoon.add(members(100, 100), client=second.client())
    wait_until(lambda: platoon.data() == members(200), 20, "the new primary's records")
    platoon.stop()
    platoon.configure(redis={"url": url_of(sentinels), **FAST, "tls_ca_file": tls.ca, "sentinel_password_file": platoon.dir / "sentinel-password"})
    platoon.start(ready=False)
    named(platoon, "no Sentinel names the primary", "does this port want TLS (rediss://, sentinels://)?")
    platoon.stop()
    platoon.configure(redis={"url": url_of(sentinels, "sentinels"), **FAST, "sentinel_password_file": platoon.dir / "sentinel-password"})
    platoon.start(ready=False)
    named(platoon, "no Sentinel names the primary", "certificate is not accepted", "check tls_ca_file")


def test_rights_at_the_sentinels(guided):
    """Those that platoon.conf(5) lists are enough; without the channel the end of the old primary's connections is what says so."""
    rights = "resetchannels &+switch-master +ping +subscribe +sentinel|get-master-addr-by-name"
    platoon, _, second, sentinels = guided(lines=f"user platoon on >s3ntinel {rights}\n", login="platoon\ns3ntinel")
    platoon.start()
    platoon.add(members(20))
    platoon.drained()
    connections = sum(name.startswith("redis/") for name in platoon.workers()) + 1  # the watcher has two
    wait_until(lambda: sum(c["user"] == "platoon" and c["sub"] == "1" for s in sentinels for c in s.client().client_list()) == connections, 10,
               "each connection to listen")
    for s in sentinels:
        s.client().execute_command("ACL", "SETUSER", "platoon", "-subscribe")
    fail_over(sentinels, second)
    platoon.add(members(20, 20), client=second.client())
    wait_until(lambda: platoon.data() == members(40), 20, "the new primary's records")
    for s in sentinels:
        s.client().execute_command("ACL", "SETUSER", "platoon", "-sentinel")
    second.client().execute_command("CLIENT", "KILL", "TYPE", "normal")
    named(platoon, "no Sentinel names the primary", "ACL SETUSER")


def test_sentinels_that_are_away_or_know_nothing_are_passed_over(guided):
    platoon, _, _, sentinels = guided()
    sentinels[0].process.kill()
    sentinels[1].client().execute_command("SENTINEL", "REMOVE", NAME)
    platoon.start()
    platoon.add(members(20))
    platoon.drained()
    assert platoon.data() == members(20)


def test_each_failure_is_one_line_with_its_remedy(guided):
    """No Sentinel answers, none knows the name, the password is refused, what they name is a replica; one-off commands say it, too."""
    platoon, first, second, sentinels = guided("s3ntinel")
    secret(platoon, "wrong\n")
    platoon.start(ready=False)
    named(platoon, f'no Sentinel names the primary of "{NAME}"', *(f"127.0.0.1:{s.port}" for s in sentinels), "WRONGPASS", "sentinel_password_file")
    done = platoon.ctl("redis", "GET", "a")
    assert done.returncode == 1 and "WRONGPASS" in done.stderr, done
    secret(platoon, "s3ntinel\n")
    platoon.add(members(20))
    platoon.drained()  # a password is read at each connect
    for s in sentinels:
        s.process.kill()
        s.process.wait()
    first.client().execute_command("CLIENT", "KILL", "TYPE", "normal")
    named(platoon, f'no Sentinel names the primary of "{NAME}"', "connection refused: is the server running?")
    platoon.stop()
    with watched(first, second) as others:
        platoon.configure(redis={"url": url_of(others) + "s", **FAST})
        platoon.start(ready=False)
        named(platoon, f'it watches no "{NAME}s": give the url the name in its sentinel monitor line')
    assert "s3ntinel" not in platoon.log()


def test_a_replica_that_is_named(guided):
    platoon, first, second, sentinels = guided()
    for s in sentinels:
        s.client().execute_command("SENTINEL", "SET", NAME, "down-after-milliseconds", "600000")
        s.client().execute_command("SENTINEL", "DEBUG", "info-period", "600000")
    second.client().execute_command("REPLICAOF", "NO", "ONE")
    replicate(first, second)
    platoon.start(ready=False)
    named(platoon, f"redis at 127.0.0.1:{first.port}", "READONLY", "replica", f"SENTINEL MASTER {NAME}")


def test_a_wrong_url_is_refused(platoon):
    for url, needle in (("sentinel://a:1,b:2", "names nothing that the Sentinels watch"),
                        ("sentinel://me:s3cret@a/orders", "password_file")):
        platoon.configure(redis={"url": url})
        done = refused(platoon, "url: ", needle, code=78)
        assert "s3cret" not in done.stderr
        checked = run(platoon, "-c", str(platoon.config_path), "--check")
        assert checked.returncode == 78 and needle in checked.stdout + checked.stderr, checked
