"""Real Sentinels over a primary and its replica: for the suite of sentinel:// urls, for rings, and for the storm in which servers fail over."""
import contextlib
import pathlib
import shutil
import signal
import subprocess
import tempfile

import redis

from platoon_fixture import free_port, wait_until

NAME = "orders"
DOWN_AFTER, FAILOVER = 1.0, 3.0  # seconds, of each Sentinel

# How often they look at everything, in ms; by themselves 10 s and 2 s. What they do is the same, and a test waits less for it. Not ping-period: a
# replica counts as away after five of them, and then there is no fail-over.
PERIODS = {"info-period": 2000, "publish-period": 100, "ask-period": 100}


class Sentinel:
    """One; `lines` are further ones of its configuration. `tls`: its port speaks TLS only, and so does it with the servers."""

    def __init__(self, primary, lines="", password=None, tls=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
        self.port = free_port()
        self.password, self.tls = password, tls
        lock = f"requirepass {password}\nsentinel sentinel-pass {password}\n" if password else ""
        ports = f"port 0\ntls-port {self.port}\n{tls.lines}" if tls else f"port {self.port}\n"
        (self.dir / "s.conf").write_text(
            f"{ports}bind 127.0.0.1\ndir {self.dir}\n{lock}sentinel monitor {NAME} 127.0.0.1 {primary.port} 2\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER * 1000:.0f}\n"
            f"sentinel failover-timeout {NAME} {FAILOVER * 1000:.0f}\n{lines}")
        self.start()

    def start(self):
        """Also anew: what it knows stands in its file."""
        self.process = subprocess.Popen(["redis-server", str(self.dir / "s.conf"), "--sentinel"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.hurry, 30, "a Sentinel")

    def hurry(self):
        try:
            return self.client().execute_command("SENTINEL", "DEBUG", *(word for pair in PERIODS.items() for word in pair))
        except redis.exceptions.ConnectionError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def client(self):
        more = {"ssl": True, "ssl_ca_certs": str(self.tls.ca)} if self.tls else {}
        return redis.Redis(host="127.0.0.1", port=self.port, password=self.password, decode_responses=True, **more)

    def state(self):
        try:
            return self.client().sentinel_master(NAME)
        except (redis.exceptions.ConnectionError, redis.exceptions.ResponseError):
            return {}

    def primary_port(self):
        return int(self.state().get("port", 0))

    def knows_all(self):
        state = self.state()
        return (state.get("num-other-sentinels"), state.get("num-slaves")) == (2, 1)

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Certificates:
    """A CA, and a certificate for 127.0.0.1 that servers, Sentinels and clients share."""

    def __init__(self, folder):
        self.ca, self.cert, self.key = folder / "ca.crt", folder / "all.crt", folder / "all.key"
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
        for words in ([*new, "-x509", "-days", "2", "-subj", "/CN=ca", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", folder / "ca.key", "-out", self.ca],
                      [*new, "-subj", "/CN=all", "-keyout", self.key, "-out", folder / "all.csr"],
                      ["openssl", "x509", "-req", "-in", folder / "all.csr", "-CA", self.ca, "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "2",
                       "-extfile", folder / "san", "-out", self.cert]):
            subprocess.run(list(map(str, words)), check=True, stdin=subprocess.DEVNULL, capture_output=True)
        options = {"tls-cert-file": self.cert, "tls-key-file": self.key, "tls-ca-cert-file": self.ca, "tls-replication": "yes", "tls-auth-clients": "no"}
        self.lines = "".join(f"{key} {value}\n" for key, value in options.items())
        self.words = [word for key, value in options.items() for word in (f"--{key}", str(value))]


def replicate(replica, primary):
    replica.client().execute_command("REPLICAOF", "127.0.0.1", str(primary.port))
    wait_until(lambda: replica.client().info("replication").get("master_link_status") == "up", 20, "the replica to have it all")


@contextlib.contextmanager
def watched(first, second, **more):
    """Three Sentinels that know of each other, of the first server, which is the primary, and of the second. Both have a port."""
    replicate(second, first)
    sentinels = [Sentinel(first, **more) for _ in range(3)]
    try:
        for s in sentinels:
            wait_until(s.knows_all, 30, "the Sentinels to meet")
        yield sentinels
    finally:
        for s in sentinels:
            s.close()


def url_of(sentinels, scheme="sentinel"):
    return f"{scheme}://{','.join(f'127.0.0.1:{s.port}' for s in sentinels)}/{NAME}"
