"""Real platoons, real redis-servers and PostgreSQL servers for the end-to-end tests; conftest.py hands them out.

Each test gets its own directory (short: socket paths hold 107 bytes), its own configuration and its own processes. Nothing here sleeps a
guess: everything waits for a condition with a deadline. At the end of a test no process of it may be left and no sanitizer may have
complained; both are asserted, and the log is shown when the test failed.
"""
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
import redis

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()


def _sanitized(*programs):
    return any(re.search(rb"__[at]san_init", program.read_bytes()) for program in programs)


ASAN = _sanitized(BUILD / "platoon")  # and with it all others
# How much longer things may take under the sanitizers, of which TSan has a few of the workers only, and in a kernel that is a process.
SLOW = ASAN or _sanitized(*(BUILD / "libexec/platoon").glob("*"))
PORTS = random.SystemRandom()  # suites that run side by side, or with one seed, take different ones
SCALE = 3 if SLOW or "User Mode Linux" in pathlib.Path("/proc/cpuinfo").read_text() else 1
PATIENCE = 60  # seconds
COMPLAINTS = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|found its own state inconsistent")


def wait_until(condition, timeout=10.0, what="the condition"):
    """The first true value of condition(); fails at the deadline. `what` is a text, or makes one of what is known then. Below ten seconds a deadline is what somebody
    is promised; from there on it ends a test that hangs, and on a machine that does much else it is PATIENCE at least."""
    timeout = timeout if timeout < 10 else max(timeout, PATIENCE)
    deadline = time.monotonic() + timeout * SCALE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"gave up waiting for {what() if callable(what) else what} after {timeout * SCALE:.0f} s")
        time.sleep(0.01)


def process_state(pid):
    """The letter of /proc/PID/stat; X for a process that is gone."""
    return _state(f"/proc/{pid}/stat")


def _state(path):
    try:
        return pathlib.Path(path).read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def alive(pid):
    return process_state(pid) not in "ZX"


def freeze(pid):
    """
    SIGSTOP and its effect: on a busy machine the process runs on for a while, and the test would test something else. All threads: before that the kernel takes it
    for one that runs, and does not continue it when its parent dies.
    """
    os.kill(pid, signal.SIGSTOP)

    def stopped():
        return all(_state(f"/proc/{pid}/task/{task}/stat") in "TXZ" for task in os.listdir(f"/proc/{pid}/task"))
    wait_until(lambda: process_state(pid) in "XZ" or stopped(), 10, f"process {pid} to stop")


def cpu_seconds(pids):
    """User and system time the processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def links(pid):
    """Number to name of the process' open files; one that is closed meanwhile is none."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


def whole_lines(path):
    """Of a file that somebody is writing to: the last one may be there in part."""
    text = pathlib.Path(path).read_text(errors="replace") if pathlib.Path(path).exists() else ""
    return text[:text.rfind("\n") + 1].split("\n")[:-1]


def rss_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def elapsed(seconds):
    """A condition for wait_until: a measured interval, for tests that say what must not happen in it."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def soon(action, seconds, what, tries=8):
    """
    For what is promised within some seconds: of several times the quickest tells. A machine that does much else makes some of them late, whereas who waits for
    a time-out of its own is late each time. The action returns how long it took, or its clock is ours.
    """
    took = []
    while not took or took[-1] >= seconds * SCALE:
        assert len(took) < tries, f"{what}: within {seconds * SCALE:.1f} s not once: {took}"
        begun = time.monotonic()
        measured = action()
        took.append(time.monotonic() - begun if measured is None else measured)


def free_port():
    """Below those that the kernel gives to whoever connects: one of these may be taken before the server has it."""
    for _ in range(100):
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", PORTS.randrange(10000, 30000)))
            return s.getsockname()[1]
    raise AssertionError("no free port")


def marked(mark):
    """Live processes whose environment holds the mark."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if mark.encode() in pathlib.Path(f"/proc/{entry}/environ").read_bytes() and alive(int(entry)):
                    found.append(int(entry))
    return found


# The verbs whose answer the tool waits for 5 s by itself; to trace, that is how long it listens.
ANSWERS = {verb for path in (ROOT / "proto").glob("*/*.h") for verb in re.findall(r'X\(\w+, \w+, "([a-z ]+)", \w+, \w+, ANSWER,', path.read_text())} - {"trace"}


def patient(words):
    """Gives a question longer than the tool's 5 s, which a busy machine may need for once; unless the test says how long it waits."""
    verb = [str(word) for word in words if not str(word).startswith("-")]
    return ["--timeout", "40s"] if "--timeout" not in words and ANSWERS & {" ".join(verb[:1]), " ".join(verb[:2])} else []


def _value(value):
    return str(value).lower() if isinstance(value, bool) else json.dumps(str(value))


def section(head, keys):
    """A section of the configuration; keys with a dot go into a subsection."""
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


def base_text(platoon=None, redis=None):
    """What every configuration here has. None for a section leaves its defaults in place."""
    return (section("platoon", {"runtime_dir": "run", "state_dir": "state", **(platoon or {})})
            + section("redis main", {"url": "embedded", **(redis or {})}))


# Workers for tests that want some, whatever they are: site/web.1, site/web.2, site/mail.1.
SITE = """supervisor site { children = "web mail" }
program web { command = "sleep 1000"  processes = 2 }
program mail { command = "sleep 1000" }
"""


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

    def config_text(self, platoon=None, redis=None, site=SITE, extra=""):
        return base_text(platoon, redis) + site + extra

    def configure(self, **sections):
        self.redis_url = sections.get("redis", {}).get("url") if sections.get("redis") else None
        self.config_path.write_text(self.config_text(**sections))
        return self

    def log(self):
        """Whole lines: the last one may be being written."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return text[:text.rfind("\n") + 1]

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
            done = self.ctl("--timeout", f"{60 * SCALE}s", "wait", "ready")
            assert done.returncode == 0, f"not ready: {done.stderr}"
        return self

    def start_troubled(self):
        """With something that is in trouble from the beginning: ready it is not, but all its workers are there."""
        self.start(ready=False)
        wait_until(lambda: all(worker["state"] == "READY" for worker in self.workers().values()), 60, "every worker to be there")
        return self

    def wait_socket(self):
        def answers():
            assert self.process.poll() is None, f"platoon ended with {self.process.returncode}: {self.log()[-3000:]}"
            return self.ctl("version").returncode == 0
        wait_until(answers, 30, "the control socket")

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

    def gone(self, timeout=20):
        """Waits until no process of this platoon is left."""
        wait_until(lambda: not marked(self.mark), timeout, f"the end of all processes of {self.dir}")

    # ---- the tool ----

    def ctl(self, *words, socket_path=None, **options):
        # With Python's environment: readline, where something has loaded it, sets COLUMNS in the one below, and tables are cut.
        options.setdefault("env", os.environ)
        return subprocess.run([str(self.build / "platoonctl"), "-s", str(socket_path or self.dir / "run/control.sock"), *patient(words), *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape", timeout=90 * SCALE,
                              **options)

    def json(self, *words):
        """Its answer, parsed."""
        done = self.ctl("--json", "--timeout", "40s", *words)
        wrong = words[0] == "status" and done.returncode == 3  # its answer says what
        assert done.returncode == 0 or wrong, f"{words}: exit {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)

    def completed(self, *words):
        """What the shell offers behind these words."""
        line = ["platoonctl", "-s", str(self.dir / "run/control.sock"), *words, ""]
        script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _platoonctl; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", script, "bash", str(ROOT / "etc/completion/platoonctl.bash"), *line], capture_output=True, text=True, check=True,
                              timeout=60 * SCALE, env={**os.environ, "PATH": f"{self.build}:{os.environ['PATH']}"})
        return set(done.stdout.split())

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

    def replaced(self, before, timeout=30):
        """Waits until another process does the work of this node; in one look at the tree, between two of which it may die. Its node."""
        def look():
            node = self.workers()[before["name"]]
            return node if node["state"] == "READY" and node["pid"] != before["pid"] else None
        return wait_until(look, timeout, f"another process for {before['name']}")

    def status(self, *name):
        return self.json("status", *name)

    def problems(self):
        return "\n".join(self.status()["problems"])

    # ---- both ends ----

    def redis(self):
        if self.redis_url in (None, "embedded"):
            return redis.Redis(unix_socket_path=str(self.dir / "run/redis.sock"))
        return redis.Redis.from_url(self.redis_url)

    # ---- the end ----

    def close(self, failed):
        problems = []
        try:
            if self.process is not None:
                self.stop()
                self.gone()
        except BaseException as error:  # what is left must go whatever happened
            problems.append(str(error))
        left = marked(self.mark)
        for pid in left:
            with contextlib.suppress(OSError):
                problems.append(f"left over: {pid} {pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()!r}")
                os.kill(pid, signal.SIGKILL)
        complaint = COMPLAINTS.search(self.log_path.read_text(errors="replace") if self.log_path.exists() else "")
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
        self.port = 0
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
            except (redis.exceptions.AuthenticationError, redis.exceptions.ResponseError):  # it does; where PING is renamed, so
                return True
            except redis.exceptions.ConnectionError:
                return False
        wait_until(answers, 30, "redis-server")

    def open_port(self):
        """Lets it listen on 127.0.0.1 as well, for replicas, Sentinels and urls with a host; until it is stopped."""
        self.port = free_port()
        self.client().config_set("port", self.port)
        return self.port

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        (self.dir / "r.sock").unlink(missing_ok=True)

    def pause(self):
        freeze(self.process.pid)

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
        wait_until(lambda: self.psql("SELECT 1", check=False).returncode == 0, 60, "the PostgreSQL server")

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
        wait_until(lambda: not self.pids(), 30, "the end of the PostgreSQL server")

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
