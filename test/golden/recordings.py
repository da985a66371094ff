"""recordings.py: what a user, or another build, can see of a platoon, taken from outside. Each function takes one recording of a build.

Used by `record`, which has written what 06119dc shows into this directory, and by test/e2e/drain/test_golden.py, which takes them again and compares. So
nothing here reads a list of the sources: those are what moves. What differs from run to run (process numbers, times, sizes, the scratch directory, the
installation's identity) is replaced by a placeholder; a cgroup is left out, because whether there is one is the host's affair.
"""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "e2e/drain")]
import msgpack  # noqa: E402
from drain_fixture import DrainPlatoon as Platoon  # noqa: E402
from platoon_fixture import ROOT, free_port, wait_until  # noqa: E402
from platoon_steps import own_binary  # noqa: E402

TYPES = ("health", "command", "send", "watcher", "get-set", "get-hash", "transfer", "report", "port")
CONFIGS = {"sample": [], "everything": ["site/actor.1/helper.1"], "two": ["site/boss.1/thumb.1", "site/boss.1/pet.1", "site/boss.1/own.1"]}  # name to temporary children
VERBS = ("tree", "top", "status", "drain status", "report", "logs", "watch", "graph", "trace", "crashes", "check", "version", "start", "stop", "restart",
         "reload", "scale", "level", "signal", "send", "redis", "drain dead", "drain wait", "wait", "upgrade", "shutdown")


def text_of(recording):
    """As it stands in its file."""
    return json.dumps(recording, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stored(name):
    return json.loads((HERE / name).read_text())


# ---- settings ----

PORT = "6391"  # of configs/everything.conf

class Standins:
    """A platoon on one of configs/, all of whose workers are stand-ins."""

    def __init__(self, build, name):
        self.platoon = Platoon(build)
        self.dir = self.platoon.dir
        (self.dir / "libexec").mkdir()
        (self.dir / "told").mkdir()
        for worker in (*TYPES, "own"):
            (self.dir / "libexec" / worker).symlink_to(HERE / "standin")
        self.port = str(free_port())  # for that of the recording, which another may have
        self.platoon.config_path.write_text(self.prepared((HERE / f"configs/{name}.conf").read_text()))
        inner = self.platoon.environment()
        self.platoon.environment = lambda: {**inner, "GOLDEN_OUT": str(self.dir / "told")}

    def prepared(self, text):
        """The scratch directory for the places of an installed platoon."""
        places = "".join(f'\n    {key}_dir = "@DIR@/{at}"' for key, at in (("runtime", "run"), ("state", "state"), ("libexec", "libexec")))
        return text.replace("platoon {", "platoon {" + places, 1).replace("@DIR@", str(self.dir)).replace(PORT, self.port)

    def told(self):
        """Worker to what it was told."""
        return {path.name.replace(",", "/"): json.loads(path.read_text()) for path in (self.dir / "told").iterdir() if not path.name.endswith(".new")}


def plain(text, platoon):
    return text.replace(str(platoon.dir), "@DIR@")


def plain_settings(settings, platoon, port=None):
    found = {key: PORT if port and value == port else plain(value, platoon) for key, value in settings.items() if key != "platoon.cgroup"}
    for key in ("instance", "boot"):
        assert found[f"platoon.{key}"], f"platoon.{key} is missing"
        found[f"platoon.{key}"] = f"@{key.upper()}@"
    return found


def take_settings(build, name):
    """Worker to the settings, the program and the log level it is told."""
    run = Standins(build, name)
    failed = True
    try:
        run.platoon.start()
        wait_until(lambda: set(CONFIGS[name]) <= set(run.told()), 30, f"the temporary children of {name}.conf")
        found = {worker: {**told, "settings": plain_settings(told["settings"], run.platoon, run.port)} for worker, told in run.told().items()}
        failed = False
        return found
    finally:
        run.platoon.close(failed)


def print_config(build, text, place):
    path = pathlib.Path(place) / "printed.conf"
    path.write_text(text)
    done = subprocess.run([str(build / "platoon"), "-c", str(path), "--print-config"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def effective(printed):
    """Section to its lines, of what --print-config prints: their order may change. `get_hash {` is a section too, behind its own."""
    sections, names = {}, []
    for line in printed.splitlines():
        word = line.strip()
        if word.endswith("{"):
            names.append(word[:-1].strip())
            sections[" / ".join(names)] = []
        elif word == "}":
            names.pop()
        elif word and not word.startswith("#"):
            sections[" / ".join(names)].append(re.sub(r"\s+", " ", word))
    return {name: sorted(lines) for name, lines in sections.items()}


def take_effective(build, text):
    """The effective configuration, section by section."""
    platoon = Platoon(build)
    try:
        printed = print_config(build, text.replace("@DIR@", str(platoon.dir)), platoon.dir)
        return effective(plain(printed, platoon))
    finally:
        platoon.close(False)


# ---- help ----

def take_help(build):
    """Command to its help, as printed."""
    asked = {"platoon --help": ["platoon", "--help"], "platoonctl --help": ["platoonctl", "--help"]}
    asked |= {f"platoonctl --help {verb}": ["platoonctl", "--help", *verb.split()] for verb in VERBS}
    found = {}
    for name, (program, *words) in asked.items():
        done = subprocess.run([str(build / program), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", (name, done)
        found[name] = done.stdout.splitlines()
    return found


def help_text(helps):
    return "".join(f"=== {name}\n" + "".join(f"{line}\n" for line in lines) for name, lines in helps.items())


def read_help(text):
    parts = [part.split("\n") for part in ("\n" + text).split("\n=== ")[1:]]
    return {lines[0]: lines[1:-1] if not lines[-1] else lines[1:] for lines in parts}


# ---- a running tree ----

ACTOR = '''
import json, sys
def say(**action): print(json.dumps(action), flush=True)
for line in sys.stdin:
    event = json.loads(line)
    if event["event"] == "hello": say(do="ready"); say(do="doing", text="plays")
    elif event["event"] == "message": say(do="send", to=event["from"], body=None) if event["body"] else None
    elif event["event"] == "request": say(do="send", to="site/actor.2", body=1); say(do="reply", id=event["id"], body="sent")
    elif event["event"] == "stop": break
'''

RUNNING = '''
platoon { runtime_dir = run  state_dir = state  health = "unix:@DIR@/health.sock" }
redis main { }
store visits { path = "visits.db" }
drain visits { set = "tracking:pending"  store = visits  get_hash { workers = 1 } }
supervisor site { children = "web actor"  strategy = rest_for_one }
program web { command = "sleep 1000"  processes = 2  after = "transfer" }
program actor { command = "/usr/bin/python3 @DIR@/actor.py"  port = json  ready = actor  processes = 2 }
program once { command = "true"  ready = exit  restart = transient }
'''

# A node's values that are the run's own, or depend on its moment.
NODE_VOLATILE = ("pid", "uptime_ms", "rss_bytes", "cpu_ms")
# Counters that fall again: whether one shows is the moment's affair. And those that only grow.
GAUGES = {"in_flight", "pending", "mailbox_depth", "mailbox_wait"}
GROWING = {"messages_in_total", "messages_out_total", "messages_stale_total", "messages_rejected_total", "requests_total", "redis_commands_total",
           "redis_errors_total", "redis_reconnects_total", "claims_total", "redelivered_total", "claimed_members_total", "fetched_total", "stored_total",
           "dead_total", "batches_total", "store_errors_total", "bytes_total"}
MEMBERS = 200
# What a worker of each type is sure to have counted then.
COUNTED = {
    "health": ("requests_total",),
    "command": (),
    "send": ("requests_total", "redis_commands_total"),
    "watcher": ("messages_in_total", "messages_out_total", "requests_total", "redis_commands_total"),
    "get-set": ("messages_in_total", "messages_out_total", "redis_commands_total", "claims_total", "claimed_members_total", "stored_total"),
    "get-hash": ("messages_in_total", "messages_out_total", "redis_commands_total", "fetched_total", "stored_total", "bytes_total"),
    "transfer": ("messages_in_total", "messages_out_total", "stored_total", "batches_total", "bytes_total"),
    "report": ("requests_total",),
    "port": ("messages_in_total", "messages_out_total"),
}


class Running:
    """A real tree that has worked: a drain has run dry, actors have talked, each kind of worker was asked something."""

    def __init__(self, platoon):
        self.platoon = p = platoon
        own_binary(p)
        (p.dir / "actor.py").write_text(ACTOR)
        p.config_path.write_text(RUNNING.replace("@DIR@", str(p.dir)))
        p.start()
        p.add({f"v:{i}": {"app": "shop", "n": str(i)} for i in range(MEMBERS)})
        p.drained()
        for words in (["redis", "PING"], ["drain", "status", "visits"], ["report", "visits", "--by", "app"], ["send", "site/actor.1", "1"]):
            done = p.ctl(*words)
            assert done.returncode == 0, (words, done)
        self.metric_heads()

    def metric_heads(self):
        """Help and type of each metric that always has samples."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.platoon.dir / "health.sock"))
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        assert " 200 " in answer.splitlines()[0], answer
        return sorted(line for line in answer.splitlines() if line.startswith("# ") and line.split()[2].removeprefix("platoon_") not in GAUGES)

    def settle(self, want):
        """Waits until each worker of `want` has told of those counters, and who works in bursts rests: the drain, and who runs one-off commands."""
        last = {}

        def is_busy(node):
            return node["doing"] != "idle" if node["group"] else node["type"] == "send" and not node["doing"].startswith("idle, ")

        def settled():
            nodes = self.platoon.workers()
            last["lack"] = {name: sorted(lack) for name, names in want.items() if (lack := set(names) - set(nodes[name]["counters"]))}
            last["busy"] = [name for name, node in nodes.items() if is_busy(node)]
            return not last["lack"] and not last["busy"]
        wait_until(settled, 30, f"counters and rest: {settled() or last}")


def kind_of(value):
    return {bool: "@BOOL@", int: "@INTEGER@", float: "@NUMBER@", str: "@TEXT@", type(None): None}[type(value)]


def node_shape(node, platoon):
    """A node with placeholders for what is volatile; its counters by name and type. Missing keys stay missing."""
    assert all(name in GROWING and type(value) in (int, float) for name, value in node.get("rates", {}).items()), node["rates"]
    shapes = {
        "last_exit": lambda text: text and last_exit_shape(text),
        "doing": lambda text: re.sub(r"\d+", "@INTEGER@", plain(text, platoon)),
        "counters": lambda counters: {name: kind_of(value) for name, value in counters.items() if name not in GAUGES},
        "rates": lambda rates: "@RATES@",
        "children": lambda children: [node_shape(child, platoon) for child in children],
        **dict.fromkeys(NODE_VOLATILE, kind_of),
    }
    return {key: shapes.get(key, lambda value: value)(value) for key, value in node.items()}


def last_exit_shape(text):
    """Without how long it had run and how much memory it had used."""
    return re.sub(r"\b[\d.]+ ?(ms|s|m|h|KB|MB|GB)\b", "@MEASURED@", text)


def value_shapes(value):
    """Keys and types, all the way down."""
    if isinstance(value, dict):
        return {key: value_shapes(inner) for key, inner in value.items()}
    return [value_shapes(inner) for inner in value] if isinstance(value, list) else kind_of(value)


def workers_in(node):
    return {node["name"]: node} | {name: found for child in node["children"] for name, found in workers_in(child).items()}


# ---- an upgrade's state ----

STATE_FIELDS = {
    1: ("master", "version text instance boot started_ms upgrades lock_fd listener_fd request_id children nodes last_line lines last_event events"),
    2: ("branch", "name wanted restarts failures state_since_ms next_start_ms"),
    3: ("worker", "name type settings state wanted finished was_ready ready_at_ms generation restarts failures state_since_ms started_ms next_start_ms address "
                  "last_exit doing trouble log_level owner program argument pid pidfd link_fd output_fd told_level greeted waiting_for deadline_ms said monitors "
                  "link_in output_in lines"),
    4: ("ends", "name deaths unstable ended is_short"),
}
STATE_STEADY = ("version", "upgrades", "nodes", "name", "type", "state", "wanted", "finished", "was_ready", "generation", "restarts", "failures", "next_start_ms",
                "trouble", "owner", "program", "argument", "told_level", "greeted", "waiting_for", "said", "monitors", "link_in", "output_in", "children")

# Stands where the new binary is looked for; it keeps what it is handed and refuses.
TAKER = '''#!/usr/bin/python3
import os, sys
fd = int(sys.argv[sys.argv.index("--take-over") + 1])
os.lseek(fd, 0, os.SEEK_SET)
open("{}", "wb").write(open(fd, "rb").read())
sys.exit("only looks at it")
'''


def value_shape(key, value, platoon):
    if key == "settings":
        return plain_settings(msgpack.unpackb(value), platoon)
    if key == "address":
        return re.sub(r"\.\d+$", ".@GENERATION@", plain(value, platoon))
    if key == "last_exit":
        return last_exit_shape(value.decode())
    if key == "lines":
        return "@LINES@" if isinstance(value, list) else value
    if key in STATE_STEADY:
        return value.decode() if isinstance(value, bytes) else value
    return {int: "@INTEGER@", str: "@TEXT@", bytes: "@BYTES@", list: "@LIST@"}[type(value)]


def take_state(platoon):
    """The records a master hands over, by field."""
    taker, out = platoon.dir / "taker", platoon.dir / "state.bin"
    taker.write_text(TAKER.format(out))
    taker.chmod(0o755)
    taker.rename(platoon.build / "platoon")
    done = platoon.ctl("upgrade")
    assert done.returncode == 1 and "only looks at it" in done.stderr, done
    unpacker = msgpack.Unpacker()
    unpacker.feed(out.read_bytes())
    found = []
    for kind, *values in unpacker:
        name, keys = STATE_FIELDS[kind]
        assert len(keys.split()) == len(values), f"{name}: {len(values)} fields, not {len(keys.split())}"
        found.append({"record": name, **{key: value_shape(key, value, platoon) for key, value in zip(keys.split(), values)}})
    return found


def take_running(build, want=None):
    """What one running tree shows, and hands over. `want`: worker to the counters to wait for; without it, those of COUNTED."""
    platoon = Platoon(build)
    failed = True
    try:
        run = Running(platoon)
        run.settle(want or {name: COUNTED[node["type"]] for name, node in platoon.workers().items()})
        status = platoon.status()
        found = {"tree": node_shape(platoon.tree(), platoon),
                 "status": {**node_shape(status, platoon), "ready": status["ready"], "problems": status["problems"]},
                 "status site/web.1": node_shape(platoon.status("site/web.1"), platoon),
                 "drain status": value_shapes(platoon.json("drain", "status")),
                 "version": value_shapes(platoon.json("version")),
                 "metrics": run.metric_heads(),
                 "state": take_state(platoon)}
        failed = False
        return found
    finally:
        platoon.close(failed)


# ---- what a build consists of ----

def programs(build):
    return [build / "platoon", build / "platoonctl", *sorted((build / "libexec/platoon").iterdir())]


def take_needed(build):
    """Program to the libraries the loader loads for it, with their versions."""
    found = {}
    for program in programs(build):
        text = subprocess.run(["readelf", "-d", str(program)], capture_output=True, text=True, check=True).stdout
        found[program.name] = sorted(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
    return found


def take_installed(build, place):
    """Names of the files that `make install` installs."""
    done = subprocess.run(["make", "-C", str(ROOT), f"BUILD={os.path.relpath(build, ROOT)}", "install", f"DESTDIR={place}", "PREFIX=/usr"], capture_output=True, text=True,
                          env={**os.environ, "MAKEFLAGS": ""})
    assert done.returncode == 0, done.stderr
    return sorted(str(path.relative_to(place)) for path in pathlib.Path(place).rglob("*") if not path.is_dir())
