"""A cache node under a platoon: real clients, its life, its bounds, TLS and the secret, and that it is warm after any end."""
import base64
import contextlib
import fcntl
import json
import select
import socket
import ssl
import subprocess

import pytest
import redis

from certificates_fixture import certificates
from platoon_fixture import BUILD, SCALE, alive, free_port, rss_bytes, section, wait_until

NODE = "cache/sessions/node.1"


def cache_text(platoon, listen=None, **keys):
    listen = listen or f"unix:{platoon.dir}/c.sock"
    return section("platoon", {"runtime_dir": "run", "state_dir": "state"}) + section("cache sessions", {"listen": listen, **keys})


@pytest.fixture
def cache(platoon):
    """Starts a platoon with one cache; with its keys, another time with others."""
    def start(**keys):
        platoon.config_path.write_text(cache_text(platoon, **keys))
        return platoon.start()
    return start


def client(platoon, **options):
    return redis.Redis(unix_socket_path=f"{platoon.dir}/c.sock", **options)


def test_curl_stays_out_of_the_node():
    """It is the backing worker's, which talks with the store: a node is small, and starts in no time."""
    def linked(program):
        return subprocess.run(["ldd", BUILD / "libexec/platoon" / program], capture_output=True, text=True, check=True).stdout
    assert "libcurl" in linked("cache-backing") and not any("libcurl" in linked(program) for program in ("cache-node", "cache-manager", "erlang"))


def test_objects_live_in_memory_and_in_the_log(cache, platoon):
    cache()
    r = client(platoon)
    with r.pipeline(transaction=False) as pipe:
        for i in range(1000):
            pipe.set(f"k{i}", f"v{i}" * 10, ex=3600 if i % 2 else None)
        pipe.delete("k0")
        pipe.incr("n")
        pipe.execute()
    assert r.info()["db0"]["keys"] == 1000
    for end in ("kill", "stop"):
        before = platoon.workers()[NODE]
        if end == "kill":
            subprocess.run(["kill", "-9", str(before["pid"])], check=True)
        else:
            assert platoon.ctl("restart", NODE).returncode == 0
        platoon.replaced(before)
        r = client(platoon)
        assert r.get("k0") is None
        assert r.get("k1") == b"v1" * 10
        assert 3500 < r.ttl("k1") <= 3600
        assert r.get("n") == b"1"
        assert r.dbsize() == 1000
    counters = wait_until(lambda: (c := platoon.workers()[NODE]["counters"]).get("cache_hits_total", 0) >= 2 and c)
    assert counters["cache_objects"] == 1000


def test_a_log_that_is_damaged_is_trouble(cache, platoon):
    """Counted and told until the node is started again, which finds all whole; what could be read is there. A torn tail is nobody's business."""
    cache()
    r = client(platoon)
    for i in range(100):
        r.set(f"k{i}", "v" * 100)
    log, = (platoon.dir / "state/cache/sessions/node.1").glob("*.log")

    def start_over(change):
        platoon.stop()
        data = bytearray(log.read_bytes())
        change(data)
        log.write_bytes(data)

    start_over(lambda data: data.extend(data[40:60]))
    platoon.start()
    assert platoon.workers()[NODE]["counters"].get("cache_log_damaged", 0) == 0
    start_over(lambda data: data.__setitem__(len(data) // 2, data[len(data) // 2] ^ 1))
    platoon.start_troubled()
    wait_until(lambda: "1 place of the log" in (told := platoon.problems()) and "restart this node" in told, 60, "the trouble")
    wait_until(lambda: platoon.json("cache", "status", "sessions")[0]["objects"] == 99, 20, "all that could be read to be counted")
    before = wait_until(lambda: (w := platoon.workers()[NODE])["counters"].get("cache_log_damaged") == 1 and w, 20, "it to be counted")
    assert "could not be read" in before["trouble"]
    assert client(platoon).dbsize() == 99
    wait_until(lambda: not log.exists(), 60, "what is damaged to be gone")
    assert platoon.ctl("restart", NODE).returncode == 0
    platoon.replaced(before)
    after = platoon.workers()[NODE]
    assert after["trouble"] == "" and after["counters"].get("cache_log_damaged", 0) == 0 and client(platoon).dbsize() == 99


def test_keys_that_begin_as_a_stray_s(cache, platoon):
    """A node keeps what is not its own any more under keys of its own: nobody else has one, with a ring or without, nor hurts who has not."""
    cache()
    r = client(platoon)
    key = b"\xffplatoon:stray\0" + b"\0" * 8 + b"other"
    for words in (("SET", key, "v"), ("GET", key), ("DEL", "a", key), ("MSET", "a", 1, key, 2), ("WATCH", key)):
        with pytest.raises(redis.exceptions.ResponseError, match="a key must not begin with"):
            r.execute_command(*words)
    named = {"base64": base64.b64encode(key).decode()}
    for call in ({"get": named}, {"set": named, "value": "v"}, {"persist": named}):
        done = platoon.ctl("send", NODE, json.dumps(call))
        assert done.returncode == 1 and "a key must not begin with" in done.stderr, done
    assert r.set("other", "v") and r.get("other") == b"v" and r.dbsize() == 1


def test_a_platoon_that_is_killed_whole_leaves_a_warm_node(cache, platoon):
    cache(fsync="always")
    client(platoon).set("a", "b")
    node = platoon.pid_of(NODE)
    platoon.kill9()
    wait_until(lambda: not alive(node), 20, "the node to notice")
    platoon.start()
    assert client(platoon).get("a") == b"b"


def test_a_log_is_one_process_own(cache, platoon):
    """A node does not begin while another process has its directory, and says which."""
    directory = platoon.dir / "state/cache/sessions/node.1"
    directory.mkdir(parents=True, mode=0o700)
    with open(directory / "platoon.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        platoon.config_path.write_text(cache_text(platoon))
        platoon.start(ready=False)
        wait_until(lambda: f"{directory}: another process has it" in platoon.log(), 30, "the cause")
    platoon.ctl("wait", "ready")
    assert client(platoon).ping()


def test_addresses_and_their_number(cache, platoon):
    port = free_port()
    cache(listen=f"unix:{platoon.dir}/c{{n}}.sock 127.0.0.1:{port}")
    assert redis.Redis(unix_socket_path=f"{platoon.dir}/c1.sock").set("a", "b")
    assert redis.Redis(port=port).get("a") == b"b"
    address = redis.Redis(port=port).client_list()[-1]
    assert address["laddr"] == f"127.0.0.1:{port}"
    told = redis.Redis(unix_socket_path=f"{platoon.dir}/c1.sock").info("server")
    assert told["tcp_port"] == port and told["executable"].endswith("/libexec/platoon/cache-node") and told["platoon_name"] == NODE


def test_an_address_may_have_blanks(cache, platoon):
    """As the check of the configuration reads it."""
    cache(listen=f"'unix:{platoon.dir}/c d.sock' unix:{platoon.dir}/c.sock")
    assert redis.Redis(unix_socket_path=f"{platoon.dir}/c d.sock").set("a", "b")
    assert client(platoon).get("a") == b"b"


def test_an_address_that_is_taken_is_named(cache, platoon):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        platoon.config_path.write_text(cache_text(platoon, listen=f"127.0.0.1:{port}"))
        platoon.start(ready=False)
        wait_until(lambda: f"cannot listen on 127.0.0.1:{port}" in platoon.log(), 10, "the cause")


def test_the_secret(cache, platoon):
    secret = platoon.dir / "secret"
    secret.write_text("open sesame\n")
    secret.chmod(0o600)
    cache(secret_file=secret)
    with pytest.raises(redis.exceptions.AuthenticationError):
        client(platoon).get("a")
    with pytest.raises(redis.exceptions.ResponseError, match="WRONGPASS"):
        client(platoon, password="open").get("a")
    assert client(platoon, password="open sesame").set("a", "b")
    # Before it, nobody can make the node keep much.
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{platoon.dir}/c.sock")
        s.sendall(b"*2\r\n$3\r\nGET\r\n$20000\r\n")
        assert s.recv(100) == b"-ERR Protocol error: unauthenticated bulk length\r\n"
        assert s.recv(100) == b""


@pytest.mark.parametrize("text, says", [(None, "No such file"), ("", "no password"), ("open\nsesame\n", "more than one line"), ("a\0b\n", "a NUL")])
def test_a_secret_file_without_one_secret(platoon, text, says):
    secret = platoon.dir / "secret"
    if text is not None:
        secret.write_text(text)
    platoon.config_path.write_text(cache_text(platoon, secret_file=secret))
    platoon.spawn()
    assert platoon.process.wait(60 * SCALE) == 78
    assert f"secret_file: {secret}: " in platoon.log() and says in platoon.log() and "one line" in platoon.log()
    platoon.process = None


def test_a_reload_with_a_bad_secret_leaves_the_node_alone(cache, platoon):
    cache()
    pid = platoon.pid_of(NODE)
    (platoon.dir / "secret").write_text("")
    platoon.config_path.write_text(cache_text(platoon, secret_file=platoon.dir / "secret"))
    done = platoon.ctl("reload")
    assert done.returncode == 78 and "it holds no password" in done.stderr, done
    assert platoon.pid_of(NODE) == pid


def test_tls(cache, platoon):
    certificates(platoon.dir)
    port = free_port()
    cache(listen=f"unix:{platoon.dir}/c.sock 127.0.0.1:{port}", tls_cert_file="server.crt", tls_key_file="server.key")
    r = redis.Redis(port=port, ssl=True, ssl_ca_certs=str(platoon.dir / "ca.crt"))
    value = bytes(range(256)) * 20000
    assert r.set("large", value)
    assert r.get("large") == value
    with r.pipeline(transaction=False) as pipe:
        for i in range(2000):
            pipe.set(f"k{i}", "v" * 100)
        assert all(pipe.execute())
    assert client(platoon).get("k1999") == b"v" * 100, "the unix socket stays plain"
    with pytest.raises((redis.exceptions.ConnectionError, ssl.SSLError)):
        redis.Redis(port=port).ping()


def test_too_many_clients(cache, platoon):
    cache(clients_max=3)
    held = [client(platoon) for _ in range(3)]
    for r in held:
        r.ping()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{platoon.dir}/c.sock")
        assert s.recv(100) == b"-ERR max number of clients reached\r\n"
        assert s.recv(100) == b""
    held[0].connection_pool.disconnect()

    def place():
        try:
            return client(platoon).ping()
        except redis.exceptions.ConnectionError:
            return False
    wait_until(place, 20, "a place")
    wait_until(lambda: platoon.workers()[NODE]["counters"].get("cache_rejected_total"), 20, "the count")


def test_who_does_not_read_is_dropped_and_the_others_go_on(cache, platoon):
    cache(memory="256MB")
    r = client(platoon)
    r.set("k", b"v" * (1 << 20))
    before = rss_bytes(platoon.pid_of(NODE))
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{platoon.dir}/c.sock")
        s.settimeout(20)
        with pytest.raises(OSError):
            for _ in range(2000):
                s.sendall(b"GET k\r\n" * 100)
                assert r.get("k") is not None
    wait_until(lambda: "clients-dropped count=1" in platoon.log(), 20, "the log line")
    assert rss_bytes(platoon.pid_of(NODE)) - before < 200 << 20


def test_many_large_commands_at_once(cache, platoon):
    """They come a part at a time, turn by turn: what all hold together is bounded, small ones go on meanwhile, and each is answered."""
    cache(memory="64MB")
    pid, small = platoon.pid_of(NODE), client(platoon)
    command = b"*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$%d\r\n" % (15 << 20) + b"v" * (15 << 20) + b"\r\n"
    before, most, sent = rss_bytes(pid), 0, {}
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            s = stack.enter_context(socket.socket(socket.AF_UNIX))
            s.connect(f"{platoon.dir}/c.sock")
            s.setblocking(False)
            sent[s] = 0
        while least := [s for s in sent if sent[s] < len(command)]:
            _, writable, _ = select.select([], least, [], 60)
            assert writable, sent.values()
            for s in writable:
                sent[s] += s.send(command[sent[s]:sent[s] + 65536])
            most = max(most, rss_bytes(pid) - before)
            assert small.echo("small") == b"small"
        for s in sent:
            s.settimeout(60)
            assert s.recv(100) == b"+OK\r\n"
    assert most < 256 << 20, most >> 20


def test_idle_clients_cost_little(cache, platoon):
    cache()
    pid = platoon.pid_of(NODE)
    before = rss_bytes(pid)
    held = []
    for _ in range(400):
        s = socket.socket(socket.AF_UNIX)
        s.connect(f"{platoon.dir}/c.sock")
        s.sendall(b"PING\r\n")
        held.append(s)
    for s in held:
        assert s.recv(100) == b"+PONG\r\n"
    assert (rss_bytes(pid) - before) / len(held) < 4096
    for s in held:
        s.close()
    wait_until(lambda: client(platoon).info("clients")["connected_clients"] == 1, 20, "them to be gone")
