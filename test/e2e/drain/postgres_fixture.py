"""A drain into a PostgreSQL server: server and fresh are for conftest.py, configured for the tests."""
import json
import subprocess

import pytest

from platoon_fixture import PostgresServer, free_port, wait_until


@pytest.fixture(scope="module")
def server():
    made = PostgresServer()
    yield made
    made.close()


@pytest.fixture
def fresh(server):
    """Each test finds an empty database."""
    yield
    server.psql("DROP TABLE IF EXISTS records; DROP SCHEMA IF EXISTS app CASCADE")
    wait_until(lambda: server.psql("DROP ROLE IF EXISTS clerk", check=False).returncode == 0, 10, "the end of clerk's sessions")


def configured(platoon, server, drain=None, redis=None, **store):
    """A store section for that server; the one of config_text has a path."""
    store = {"type": "postgres", "url": server.url, "retry_max": "200ms", **store}
    platoon.configure(drain=drain or {}, redis=redis or {})
    text = platoon.config_path.read_text()
    lines = "".join(f"    {key} = {json.dumps(value)}\n" for key, value in store.items())
    platoon.config_path.write_text(text.replace('    path = "visits.db"\n', lines))
    return platoon


class PgBouncer:
    """The real one, with three sessions that take turns (server_round_robin)."""

    def __init__(self, server, mode):
        self.dir, port = server.dir / f"pool-{mode}", free_port()
        self.dir.mkdir()
        self.dir.chmod(0o755)
        (self.dir / "users").write_text('"platoon" ""\n')
        (self.dir / "ini").write_text(f"[databases]\n* = host={server.dir} port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
                                      f"unix_socket_dir =\nauth_type = trust\nauth_file = {self.dir}/users\npool_mode = {mode}\n"
                                      "default_pool_size = 3\nmin_pool_size = 3\nserver_round_robin = 1\n")
        self.url = f"postgresql://platoon@127.0.0.1:{port}/postgres"
        self.process = subprocess.Popen([*server.user, "/usr/sbin/pgbouncer", str(self.dir / "ini")], stdin=subprocess.DEVNULL, cwd="/",
                                        stdout=subprocess.DEVNULL, stderr=(self.dir / "log").open("ab"), start_new_session=True)

    def begin(self, server):
        wait_until(lambda: subprocess.run([str(server.bin / "psql"), self.url, "-X", "-c", "SELECT 1"], capture_output=True, check=False).returncode == 0,
                   30, "pgbouncer")

    def ready(self, server):
        """It makes its sessions while it has a client."""
        wait_until(lambda: int(server.psql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'").stdout) > 3, 30, "its three sessions")

    def close(self):
        self.process.kill()
        self.process.wait()
