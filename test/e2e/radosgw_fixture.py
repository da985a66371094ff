"""A real S3 server for tests: Debian's radosgw with a monitor and one OSD in memory. It checks signatures and body hashes, keeps If-Match
and If-None-Match on PUT, and wants ETags without quotes. Up in some 15 s, so one serves a whole suite."""
import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid

from platoon_fixture import free_port

ACCESS, SECRET = "PLATOONTESTKEY", "platoon/test+secret"
# mon_lease is also what the monitor's trial of a new pool may take, 5 s without it: on a busy machine the pool is refused, and radosgw ends.
# They must stand on radosgw's own command line: it does not take them from the file.
NO_AUTH = ["--auth_client_required=none", "--ms_mon_client_mode=crc"]


class Radosgw:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="rgw"))
        self.fsid, self.mon_port, self.port = str(uuid.uuid4()), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes = []
        for name in ("mon", "osd", "rgw"):
            (self.dir / name).mkdir()
        conf = self.dir / "ceph.conf"
        conf.write_text(f"""[global]
fsid = {self.fsid}
mon_host = v2:127.0.0.1:{self.mon_port}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_pg_num = 1
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
mon_lease = 60
mon_data = {self.dir}/mon
osd_data = {self.dir}/osd
rgw_data = {self.dir}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{self.port}
run_dir = {self.dir}
log_file = {self.dir}/$name.log
admin_socket = {self.dir}/$name.asok
pid_file = {self.dir}/$name.pid
""")
        self.env = {**os.environ, "CEPH_CONF": str(conf)}

    def _run(self, *command):
        done = subprocess.run(command, env=self.env, cwd=self.dir, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"

    def _spawn(self, *command):
        with open(self.dir / "out.log", "ab") as out:
            self.processes.append(subprocess.Popen(command, env=self.env, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=out, stderr=out))

    def start(self):
        osd = str(uuid.uuid4())
        self._run("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", f"[v2:127.0.0.1:{self.mon_port}]", "map")
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", "map")
        self._spawn("ceph-mon", "-f", "-i", "a")
        self._run("ceph", "--connect-timeout", "120", "osd", "new", osd)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._spawn("ceph-osd", "-f", "-i", "0")
        self.start_gateway()
        self._run("radosgw-admin", "user", "create", "--uid=t", "--display-name=t", f"--access-key={ACCESS}", f"--secret-key={SECRET}", *NO_AUTH)
        self.wait()
        return self

    def start_gateway(self):
        self._spawn("radosgw", "-f", "-n", "client.rgw", *NO_AUTH)

    def kill_gateway(self):
        """The HTTP server; what it has stored stays. start_gateway and wait bring it back."""
        gateway = self.processes.pop()
        gateway.kill()
        gateway.wait()

    def wait(self):
        deadline = time.monotonic() + 120
        while True:
            try:
                return urllib.request.urlopen(self.url, timeout=5).read()
            except urllib.error.HTTPError as answer:
                return answer.read()
            except OSError:
                assert time.monotonic() < deadline, (self.dir / "out.log").read_text()[-3000:]
                time.sleep(0.1)

    def ask(self, method, path, body=b"", headers=None):
        """A signed request of the test's own: (status, headers, body). `path` as it is sent, without a query."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        every = {**(headers or {}), "host": f"127.0.0.1:{self.port}", "x-amz-date": now, "x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
        names = ";".join(sorted(every))
        canonical = "\n".join([method, path, "", *(f"{name}:{every[name]}" for name in sorted(every)), "", names, every["x-amz-content-sha256"]])
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = b"AWS4" + SECRET.encode()
        for part in [*scope.split("/"), text]:
            key = hmac.digest(key, part.encode(), "sha256")
        every["authorization"] = f"AWS4-HMAC-SHA256 Credential={ACCESS}/{scope},SignedHeaders={names},Signature={key.hex()}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, every)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def credentials(self, path):
        path.write_text(f"[default]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n")
        path.chmod(0o600)
        return path

    def stop(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
