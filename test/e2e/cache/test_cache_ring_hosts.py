"""Two platoons whose caches have one name and one Redis are one ring, as two hosts would be: each with its manager, both with one bucket."""
import itertools
import os
import shutil
import signal

import pytest
import redis

from cache_store_fixture import Bucket
from certificates_fixture import certificates
from incr_hammer import patient
from platoon_fixture import elapsed, free_port, wait_until
from ring_fixture import MANAGER, Ring, die, frozen, kill, refused, serves_all

TAKES = 200

PREFIXES = itertools.count(1)
SHORT = {"lease": "2s", "timeout": "1s", "write_delay": "100ms"}
UNSTORED = {"write_delay": "1h", "idle": "0s"}


@pytest.fixture
def hosts(redis_server, platoons, rgw):
    """Two platoons, not started. tcp: they listen on 127.0.0.1, too, and that is where nodes reach each other; files: copied to each."""
    def make(tcp=False, files=(), **cache):
        ring, prefix = Ring(redis_server()), f"r{next(PREFIXES)}"
        for _ in range(2):
            platoon = platoons()
            for path in files:
                shutil.copy(path, platoon.dir)
            port = free_port() if tcp else None
            ring.add(platoon, Bucket(rgw, prefix, platoon.dir), port=port, listen=f"127.0.0.1:{port}" if tcp else "", **cache)
        return ring
    return make


def master(ring):
    """The manager that is master, and all there are."""
    rows = ring.ask("ring", "c")["managers"]
    return next((row["name"] for row in rows if row["role"] == "master"), None), [row["name"] for row in rows]


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_they_are_one_ring(hosts, tcp):
    ring = hosts(tcp=tcp).start()
    one, other = ring.nodes
    wait_until(lambda: [row["state"] for row in ring.rows()] == ["live", "live"], 60, "a ring of two")
    assert [ring.row(node)["address"].endswith(f":{node.port}" if tcp else node.path) for node in ring.nodes] == [True, True]
    chosen, managers = master(ring)
    assert len(managers) == 2 and chosen in managers
    for mine, at in ((one, other), (other, one)):
        key, = ring.keys_of(mine)
        assert at.client().get(key) == key.encode() and at.client().append(key, "+") == len(key) + 1
        assert mine.client().get(key) == key.encode() + b"+"
        ring.bring(at, key)
        assert ring.stores[0].has(key) == key.encode() + b"+" == mine.client().get(key)
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        hammer.more(50)
        hammer.check(one.client())


def test_two_nodes_each(hosts):
    """Four nodes, of which two and two have the same names."""
    ring = hosts(nodes=2).start()
    owned = {node: ring.keys_of(node, 3) for node in ring.nodes}
    for node in ring.nodes:
        for keys in owned.values():
            serves_all(node, keys)
    every = [key for keys in owned.values() for key in keys]
    assert all(node.client().mget(every) == [key.encode() for key in every] for node in ring.nodes)
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        hammer.more(20)
        kill(ring.platoons[1], [node.name for node in ring.nodes[2:]])
        hammer.more()
        hammer.check(ring.nodes[3].client())


@pytest.fixture
def secrets(tmp_path):
    """Files of a secret and of certificates, for clients too."""
    certificates(tmp_path)
    (tmp_path / "secret").write_text("sesame\n")
    for name in ("secret", "server.key"):
        (tmp_path / name).chmod(0o600)
    return [tmp_path / name for name in ("secret", "ca.crt", "server.crt", "server.key")]


TLS = {"tls_cert_file": "server.crt", "tls_key_file": "server.key", "tls_ca_file": "ca.crt"}


@pytest.mark.parametrize("tls", [{}, TLS], ids=["plain", "tls"])
def test_nodes_know_the_secret(hosts, secrets, tls):
    """Clients need it, and nodes give it to each other, by TLS where there is TLS."""
    ring = hosts(tcp=True, files=secrets, secret_file="secret", **tls)
    for platoon in ring.platoons:
        platoon.start()
    one, other = (node.client(password="sesame") for node in ring.nodes)
    with pytest.raises(redis.exceptions.AuthenticationError):
        ring.nodes[0].client().get("k")
    patient(lambda: one.set("k", "v"), 90)
    assert patient(lambda: other.get("k")) == b"v" and patient(lambda: other.incr("n")) == 1 == int(patient(lambda: one.get("n")))
    large = bytes(range(256)) * 4096
    assert other.set("k", large) and one.get("k") == large == other.get("k")
    assert ring.owner("k") is ring.nodes[0] and ring.row(ring.nodes[0])["address"].endswith(f":{ring.nodes[0].port}")


# ---- a host dies ----

def test_a_host_dies_and_comes_back(hosts):
    """Master, manager and node at once. Its keys are refused until it is back with its log; the other's go on."""
    ring = hosts(**SHORT).start()
    one, other = ring.nodes
    mine, others = ring.keys_of(one, 5), ring.keys_of(other, 5)
    number = ring.row(other)["incarnation"]
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for _ in range(2):
            hammer.more()
            die(ring.platoons[1])
            wait_until(lambda: ring.state(other) == "lost", 60, "it to be lost")
            for key in others:
                refused(lambda key=key: one.client().get(key))
            serves_all(one, mine)
            ring.platoons[1].start()
            hammer.more()
            for node in ring.nodes:
                serves_all(node, mine + others)
        hammer.check(one.client())
    assert ring.row(other)["incarnation"] == number


def test_the_masters_host_dies(hosts):
    """The other manager is master then, and tells who is lost."""
    ring = hosts(**SHORT).start()

    def the_masters():
        """Its platoon, and its name; on a busy machine it may be another from one moment to the next."""
        name, _ = master(ring)
        return name and next((n, name) for n, platoon in enumerate(ring.platoons) if (platoon.dir / "state/instance").read_text().split()[0] in name)
    which, first = wait_until(the_masters, 60, "a master")
    die(ring.platoons[which])
    wait_until(lambda: ring.state(ring.nodes[which]) == "lost", 60, "it to be lost")
    now, managers = master(ring)
    assert now != first and now in managers
    ring.platoons[which].start()
    ring.serves()
    wait_until(lambda: len(master(ring)[1]) == 2, 30, "both managers")


def test_a_host_is_stopped_in_order(hosts):
    """Then nothing is refused for long: all of it is stored and free."""
    ring = hosts(**UNSTORED).start()
    one, other = ring.nodes
    others = ring.keys_of(other, 10)
    with ring.hammer([ring.key() for _ in range(3)]) as hammer:
        hammer.more()
        assert ring.platoons[1].stop() == 0
        assert all(ring.stores[0].has(key) == key.encode() for key in others)
        wait_until(lambda: ring.state(other) is None, 30, "the other host to hear of it")
        serves_all(one, others)
        assert all(ring.owner(key) is one for key in others)
        hammer.more(who=[one])
        ring.platoons[1].start()
        hammer.more()
        serves_all(other, others)
        hammer.check(other.client())


def test_a_host_that_is_forgotten_comes_back(hosts):
    ring = hosts(**{**SHORT, **UNSTORED}).start()
    one, other = ring.nodes
    kept, overwritten = ring.keys_of(other, 2)
    number = ring.row(other)["incarnation"]
    die(ring.platoons[1])
    wait_until(lambda: ring.state(other) == "lost", 60, "it to be lost")
    assert ring.platoons[0].ctl("cache", "forget", "c", str(number)).returncode == 0
    assert patient(lambda: one.client().get(overwritten)) is None, "the store never had it"
    patient(lambda: one.client().set(overwritten, "newer"))
    patient(lambda: one.client().execute_command("PLATOON.DUMP", overwritten, "WAIT", 0))
    ring.platoons[1].start(ready=False)
    wait_until(lambda: ring.stores[0].has(kept) == kept.encode(), 60, "what only it had to be stored")
    wait_until(lambda: [letter["key"] for letter in ring.platoons[1].json("cache", "dead", "c")] == [overwritten], 60, "the dead letter")
    for node in ring.nodes:
        assert patient(lambda node=node: node.client().get(kept)) == kept.encode()
        assert patient(lambda node=node: node.client().get(overwritten)) == b"newer"
    assert ring.stores[0].has(overwritten) == b"newer" and ring.row(other)["incarnation"] != number


# ---- what else breaks ----

@pytest.mark.parametrize("whose", [0, 1])
def test_managers_are_killed_and_stand_still(hosts, whose):
    ring = hosts(**SHORT).start()
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for _ in range(2):
            hammer.more()
            kill(ring.platoons[whose], [MANAGER])
            hammer.more()
            with frozen(ring.platoons[whose].pid_of(MANAGER)):
                hammer.refused(who=[ring.nodes[whose]])
                wait_until(elapsed(2.5), 20, "two leases")
            hammer.more()
        hammer.check(ring.nodes[0].client())


@pytest.mark.parametrize("whose", [0, 1])
def test_a_whole_host_stands_still(hosts, whose):
    """As a virtual machine that is paused, beyond its lease: it is lost, and goes on in its incarnation."""
    ring = hosts(**SHORT).start()
    platoon, node, watcher = ring.platoons[whose], ring.nodes[whose], ring.platoons[1 - whose]
    number = ring.row(node)["incarnation"]
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        hammer.more()
        for _ in range(2):
            workers = [worker["pid"] for worker in platoon.workers().values() if worker["pid"]]
            with frozen(platoon.process.pid, *workers):
                wait_until(lambda: state_by(watcher, number) == "lost", 60, "it to be lost")
            hammer.more()
        hammer.check(ring.nodes[1 - whose].client())
    assert ring.row(node)["incarnation"] == number


def state_by(platoon, number):
    """As that one platoon tells it."""
    return next((row["state"] for row in platoon.json("cache", "ring", "c")["nodes"] if row["incarnation"] == number), None)


def test_redis_restarts_and_both_go_on(hosts):
    ring = hosts(**SHORT).start()
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for _ in range(3):
            hammer.more()
            ring.server.stop()
            hammer.refused()
            ring.server.start()
        hammer.more()
        hammer.check(ring.nodes[1].client())


def test_rolling_restarts_of_both(hosts):
    ring = hosts(**SHORT).start()
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for platoon in ring.platoons * 2:
            hammer.more()
            assert platoon.ctl("restart", "cache/c", "--rolling").returncode == 0
        hammer.more()
        hammer.check(ring.nodes[0].client())


def test_deaths_while_redis_comes_and_goes(hosts):
    """A manager and a node each time, now of this host, now of that."""
    ring = hosts(**SHORT).start()
    with ring.hammer([ring.key() for _ in range(4)]) as hammer:
        for turn in range(4):
            hammer.more()
            ring.server.stop()
            os.kill(ring.platoons[turn % 2].pid_of(MANAGER), signal.SIGKILL)
            ring.server.start()
            ring.nodes[(turn + turn // 2) % 2].kill()
        hammer.more(timeout=90)
        hammer.check(ring.nodes[0].client())


@pytest.mark.parametrize("difference", [{"prefix": True}, {"lease": "2s"}], ids=str)
def test_another_store_or_lease_is_refused(hosts, rgw, difference):
    ring = hosts(**SHORT)
    ring.platoons[0].start()
    ring.serves(ring.nodes[0])
    stranger = ring.platoons[1]
    text = stranger.config_path.read_text()
    if "prefix" in difference:
        text = text.replace(f"/bucket/{ring.stores[1].prefix}", "/bucket/another")
    else:
        text = text.replace('lease = "2s"', 'lease = "3s"')
    assert text != stranger.config_path.read_text()
    stranger.config_path.write_text(text)
    stranger.start(ready=False)
    wait_until(lambda: stranger.workers()[MANAGER]["state"] == "FATAL", 30, "the refusal")
    assert MANAGER in stranger.problems()
    assert patient(lambda: ring.nodes[0].client().get("k")) is None
    wait_until(lambda: [row["state"] for row in ring.rows()] == ["live"], 60, "a ring of one")
