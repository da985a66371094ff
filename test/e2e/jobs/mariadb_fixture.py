"""A MariaDB server of the test's own, on a unix socket and a port of 127.0.0.1, with the user etlas, who may SELECT, INSERT, UPDATE."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from platoon_fixture import free_port, wait_until

PASSWORD = "open sesame"


class MariadbServer:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
        self.socket, self.port = self.dir / "sock", free_port()
        # The server refuses to run as root.
        self.user = ["setpriv", "--reuid=mysql", "--regid=mysql", "--clear-groups", "--"] if os.geteuid() == 0 else []
        if self.user:
            shutil.chown(self.dir, "mysql", "mysql")
        subprocess.run([*self.user, "mariadb-install-db", "--no-defaults", f"--datadir={self.dir}/data", "--auth-root-authentication-method=normal",
                        "--skip-test-db"], check=True, cwd="/", stdin=subprocess.DEVNULL, capture_output=True)
        self.process = None
        self.start()
        self.sql(f"CREATE DATABASE etlas; CREATE USER etlas@'%' IDENTIFIED BY '{PASSWORD}'; CREATE USER etlas@localhost IDENTIFIED BY '{PASSWORD}';"
                 "GRANT SELECT, INSERT, UPDATE ON etlas.* TO etlas@'%'; GRANT SELECT, INSERT, UPDATE ON etlas.* TO etlas@localhost", database="mysql")

    def start(self):
        self.process = subprocess.Popen([*self.user, "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.dir}/data", f"--socket={self.socket}",
                                         "--bind-address=127.0.0.1", f"--port={self.port}", f"--pid-file={self.dir}/pid", "--innodb-flush-log-at-trx-commit=0",
                                         "--innodb-buffer-pool-size=16M", "--performance-schema=OFF", "--character-set-server=utf8mb4"],
                                        stdin=subprocess.DEVNULL, cwd="/", stdout=subprocess.DEVNULL, stderr=(self.dir / "log").open("ab"), start_new_session=True)
        wait_until(lambda: self.sql("SELECT 1", check=False, database="mysql").returncode == 0, 120, "the MariaDB server")

    def sql(self, text, check=True, database="etlas"):
        return subprocess.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "--batch", "--skip-column-names",
                               "--default-character-set=utf8mb4", database, "-e", text], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=check)

    def rows(self, table="t", columns="*"):
        """Each as a list of texts, in the primary key's order."""
        return [line.split("\t") for line in self.sql(f"SELECT {columns} FROM {table}").stdout.splitlines()]

    @contextlib.contextmanager
    def locked(self, table="t"):
        """Somebody else's transaction has all rows of a table."""
        session = subprocess.Popen(["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "--batch", "--unbuffered", "etlas"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        session.stdin.write(f"BEGIN; SELECT COUNT(*) FROM {table} FOR UPDATE;\n")
        session.stdin.flush()
        session.stdout.readline()
        session.stdout.readline()
        try:
            yield
        finally:
            session.kill()
            session.communicate()

    def settings(self, **keys):
        return {"hostname": str(self.socket), "db": "etlas", "username": "etlas", "password": PASSWORD, "table": "t", **keys}

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def close(self):
        self.signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
