"""Real platoons and real redis-servers for the end-to-end tests.

Each test gets its own directory (short: socket paths hold 107 bytes), its own configuration and its own processes. Nothing here sleeps a
guess: everything waits for a condition with a deadline. At the end of a test no process of it may be left and no sanitizer may have
complained; both are asserted, and the log is shown when the test failed.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

import pytest
import redis

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()


def _sanitized():
    return re.search(rb"__[at]san_init", (BUILD / "platoon").read_bytes()) is not None


# How much longer things may take under the sanitizers.
ASAN = _sanitized()
SCALE = 3 if ASAN else 1
COMPLAINTS = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|found its own state inconsistent")


def wait_until(condition, timeout=10.0, what="the condition"):
    """The first true value of condition(); fails at the deadline."""
    deadline = time.monotonic() + timeout * SCALE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"gave up waiting for {what} after {timeout * SCALE:.0f} s")
        time.sleep(0.01)


def process_state(pid):
    """The letter of /proc/PID/stat; X for a process that is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def alive(pid):
    return process_state(pid) not in "ZX"


def freeze(pid):
    """SIGSTOP and its effect: on a busy machine the process runs on for a while, and the test would test something else."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: process_state(pid) in "TXZ", 10, f"process {pid} to stop")


def cpu_seconds(pids):
    """User and system time the processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def elapsed(seconds):
    """A condition for wait_until: a measured interval, for tests that say what must not happen in it."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def marked(mark):
    """Live processes whose environment holds the mark."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if mark.encode() in pathlib.Path(f"/proc/{entry}/environ").read_bytes() and alive(int(entry)):
                    found.append(int(entry))
    return found


def _value(value):
    return str(value).lower() if isinstance(value, bool) else json.dumps(str(value))


def config_text(platoon=None, redis=None, store=None, drain=None, extra=""):
    """A configuration; keys with a dot go into a subsection. None for a section leaves its defaults in place."""
    def section(head, keys):
        lines = [head + " {"]
        nested = {}
        for key, value in keys.items():
            if "." in key:
                nested.setdefault(key.split(".")[0], {})[key.split(".")[1]] = value
            else:
                lines.append(f"    {key} = {_value(value)}")
        for name, inner in nested.items():
            lines.append(f"    {name} {{")
            lines += [f"        {key} = {_value(value)}" for key, value in inner.items()]
            lines.append("    }")
        return "\n".join(lines + ["}"]) + "\n"

    return (section("platoon", {"runtime_dir": "run", "state_dir": "state", **(platoon or {})})
            + section("redis main", {"url": "embedded", **(redis or {})})
            + section("store visits", {"path": "visits.db", **(store or {})})
            + section("drain visits", {"set": "tracking:pending", "store": "visits", **(drain or {})}) + extra)


class Platoon:
    """One master with its directory, its configuration and its tool."""

    def __init__(self, build=BUILD):
        self.build = build
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="p", dir="/tmp"))
        self.mark = f"PLATOON_TEST={self.dir}"
        self.faults = self.dir / "faults"
        self.faults.mkdir()
        self.log_path = self.dir / "log"
        self.config_path = self.dir / "platoon.conf"
        self.process = None
        self.redis_url = None
        self.configure()

    # ---- files ----

    def configure(self, **sections):
        self.redis_url = sections.get("redis", {}).get("url") if sections.get("redis") else None
        self.config_path.write_text(config_text(**sections))
        return self

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def fault(self, name, text="kill"):
        path = self.faults / name
        temporary = self.dir / "fault.new"
        temporary.write_text(text)
        temporary.rename(path)
        return path

    # ---- life ----

    def environment(self):
        key, value = self.mark.split("=")
        return {**os.environ, key: value, "PLATOON_FAULT_DIR": str(self.faults)}

    def spawn(self, *more, preexec=None):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(self.build / "platoon"), "-c", str(self.config_path), *more], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=self.environment(), cwd="/", preexec_fn=preexec)
        return self

    def start(self, ready=True, preexec=None):
        self.spawn(preexec=preexec)
        self.wait_socket()
        if ready:
            done = self.ctl("--timeout", f"{20 * SCALE}s", "wait", "ready")
            assert done.returncode == 0, f"not ready: {done.stderr}"
        return self

    def wait_socket(self):
        def answers():
            assert self.process.poll() is None, f"platoon ended with {self.process.returncode}: {self.log()[-3000:]}"
            return self.ctl("version").returncode == 0
        wait_until(answers, 10, "the control socket")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(25 * SCALE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                pytest.fail("platoon did not stop after SIGTERM")
        return self.process.returncode if self.process else None

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def gone(self, timeout=5.0):
        """Waits until no process of this platoon is left."""
        wait_until(lambda: not marked(self.mark), timeout, f"the end of all processes of {self.dir}")

    # ---- the tool ----

    def ctl(self, *words, socket_path=None, **options):
        return subprocess.run([str(self.build / "platoonctl"), "-s", str(socket_path or self.dir / "run/control.sock"), *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape", timeout=60 * SCALE,
                              **options)

    def json(self, *words):
        done = self.ctl("--json", *words)
        assert done.returncode == 0, f"{words}: exit {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)

    def tree(self):
        return self.json("tree")

    def workers(self):
        """Name to node, of the workers only."""
        found = {}

        def walk(node):
            if node["kind"] == "worker":
                found[node["name"]] = node
            for child in node.get("children") or []:
                walk(child)
        walk(self.tree())
        return found

    def pid_of(self, name):
        return self.workers()[name]["pid"]

    def replaced(self, before, timeout=15):
        """Waits until another process does the work of this node; in one look at the tree, between two of which it may die. Its node."""
        def look():
            node = self.workers()[before["name"]]
            return node if node["state"] == "READY" and node["pid"] != before["pid"] else None
        return wait_until(look, timeout, f"another process for {before['name']}")

    def status(self, *name):
        return self.json("status", *name)

    def problems(self):
        return "\n".join(self.status()["problems"])

    def drain(self, name="visits"):
        answer = self.json("drain", "status", name)
        return answer[0] if isinstance(answer, list) else answer

    def drained(self, name="visits", timeout=30):
        done = self.ctl("--timeout", f"{timeout * SCALE}s", "drain", "wait", name)
        assert done.returncode == 0, f"drain wait: exit {done.returncode}: {done.stdout} {done.stderr} {self.drain(name)}"

    # ---- both ends ----

    def redis(self):
        if self.redis_url in (None, "embedded"):
            return redis.Redis(unix_socket_path=str(self.dir / "run/redis.sock"))
        return redis.Redis.from_url(self.redis_url)

    def add(self, members, client=None, key="tracking:pending", at_once=False):
        """What the application does: writes each hash, then names it in the set; all in one pipeline, or at once in a transaction."""
        pipe = (client or self.redis()).pipeline(transaction=at_once)
        for member, fields in members.items():
            if fields:
                pipe.hset(member, mapping=fields)
            pipe.sadd(key, member)
        pipe.execute()

    def rows(self, path="visits.db"):
        """(bucket, key) to (data, seq, updated_at) of every record; data is parsed."""
        file = self.dir / path
        if not file.exists():
            return {}
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as db:
            try:
                found = db.execute("SELECT bucket, key, data, seq, updated_at FROM records").fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return {}
                raise
        return {(b, k): (json.loads(d), s, u) for b, k, d, s, u in found}

    def data(self, path="visits.db"):
        """key to data."""
        return {key: row[0] for (_, key), row in self.rows(path).items()}

    def dead(self, name="visits"):
        return self.json("drain", "dead", name, "list")

    # ---- the end ----

    def close(self, failed):
        problems = []
        try:
            if self.process is not None:
                self.stop()
                wait_until(lambda: not marked(self.mark), 5, "the end of all processes")
        except BaseException as error:  # what is left must go whatever happened
            problems.append(str(error))
        left = marked(self.mark)
        for pid in left:
            with contextlib.suppress(OSError):
                problems.append(f"left over: {pid} {pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()!r}")
                os.kill(pid, signal.SIGKILL)
        complaint = COMPLAINTS.search(self.log())
        if complaint:
            problems.append(f"the log holds: {complaint[0]}")
        if failed or problems:
            print(f"---- log of {self.dir}\n{self.log()[-8000:]}")
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not problems, problems


class RedisServer:
    """A redis-server of the test's own, on a unix socket, that can be stopped, paused and started again with its data."""

    def __init__(self, *options, environment=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
        self.options = options
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.url = f"unix://{self.dir}/r.sock"
        self.start()

    def client(self, **more):
        return redis.Redis(unix_socket_path=str(self.dir / "r.sock"), **more)

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(self.dir / "r.sock"), "--dir", str(self.dir), "--save", "",
             "--appendonly", "yes", *self.options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment)

        def answers():
            try:
                return self.client().ping()
            except redis.exceptions.AuthenticationError:
                return True
            except redis.exceptions.ConnectionError:
                return False
        wait_until(answers, 10, "redis-server")

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        (self.dir / "r.sock").unlink(missing_ok=True)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class PostgresServer:
    """A PostgreSQL server of the test's own, on a unix socket and a port of 127.0.0.1, that can be killed and started again with its data."""

    def __init__(self, *options):
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="g", dir="/tmp"))
        self.port = free_port()
        self.options = options
        # The server refuses to run as root.
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] if os.geteuid() == 0 else []
        if self.user:
            shutil.chown(self.dir, "postgres", "postgres")
        self.run(self.bin / "initdb", "-D", self.dir / "data", "-U", "platoon", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        self.url = f"postgresql://platoon@127.0.0.1:{self.port}/postgres"
        self.process = None
        self.start()

    def run(self, *words):
        subprocess.run([*self.user, *map(str, words)], check=True, cwd="/", stdin=subprocess.DEVNULL, capture_output=True)

    def start(self):
        self.process = subprocess.Popen([*self.user, str(self.bin / "postgres"), "-D", str(self.dir / "data"), "-p", str(self.port), "-h", "127.0.0.1",
                                         "-k", str(self.dir), *self.options], stdin=subprocess.DEVNULL, cwd="/",
                                        stdout=subprocess.DEVNULL, stderr=open(self.dir / "log", "ab"), start_new_session=True)
        wait_until(lambda: self.psql("SELECT 1", check=False).returncode == 0, 20, "the PostgreSQL server")

    def psql(self, sql, check=True, database="postgres"):
        return subprocess.run([str(self.bin / "psql"), "-h", str(self.dir), "-p", str(self.port), "-U", "platoon", "-d", database, "-X", "-q", "-A", "-t",
                               "-v", "ON_ERROR_STOP=1", "-c", sql], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=check)

    def data(self, table="records"):
        """key to parsed data."""
        if self.psql(f"SELECT to_regclass('{table}') IS NOT NULL").stdout.strip() != "t":
            return {}
        text = self.psql(f"SELECT json_build_array(key, data::text) FROM {table}").stdout
        return {key: json.loads(data) for key, data in map(json.loads, text.splitlines())}

    def kill(self):
        """kill -9 of all of it, as a crash of the machine would be."""
        os.killpg(self.process.pid, signal.SIGKILL)
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not self.pids(), 10, "the end of the PostgreSQL server")

    def pids(self):
        """The server's processes: those that work in its data directory."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry}/cwd") == str(self.dir / "data") and alive(int(entry)):
                    found.append(int(entry))
        return found

    def close(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    setattr(item, "report_" + outcome.get_result().when, outcome.get_result())


def _platoons(request, build):
    made = []

    def make():
        made.append(Platoon(build))
        return made[-1]
    yield make
    report = getattr(request.node, "report_call", None)
    failed = report is None or report.failed
    errors = []
    for p in made:
        try:
            p.close(failed)
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, errors


@pytest.fixture
def platoons(request):
    """Makes platoons that are configured but not started."""
    yield from _platoons(request, BUILD)


@pytest.fixture
def faulty(request):
    """One platoon of the build with fault points, not started."""
    for make in _platoons(request, BUILD / "faults"):
        yield make()


@pytest.fixture
def platoon(platoons):
    """One platoon, not started."""
    return platoons()


@pytest.fixture
def redis_server():
    """Makes redis-servers; arguments are redis-server's own."""
    made = []

    def make(*options):
        made.append(RedisServer(*options))
        return made[-1]
    yield make
    for server in made:
        server.close()
