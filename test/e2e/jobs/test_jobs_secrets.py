"""Secrets, wherever they might be seen: what is shown, said, logged, kept; the processes of platoon and of the job; and Redis when the job has finished."""
import http.client
import json
import os
import pathlib
import signal
import subprocess

import pytest
from platoon_fixture import SCALE, free_port, marked, section, wait_until

SIX, LONG, NESTED, STORED = "s3cr37", "a-secret-of-theirs", "deep-inside-of-it", "of-the-database"  # 6 bytes are the least that is taken out
SECRETS = (SIX, LONG, NESTED, STORED)
STORAGE = {"type": "mysql", "settings": {"hostname": "db", "username": "etlas", "password": STORED}}  # as Etlas' platforms are told
# By its spec or SECRETS one is secret; the others are by their names.
GIVEN = {"plain": "visible", "pin": SIX, "db_password": LONG, "api_key": {"of": [NESTED]}, "passwd": "five5", "storage": STORAGE}
SAYS = """
import fcntl, json, os, sys, termios, time


def own():
    with open("/proc/self/environ") as environ, open("/proc/self/cmdline") as line:
        return environ.read() + line.read() + json.dumps(dict(os.environ)) + json.dumps(sys.argv)


def says(settings, update, gate):
    given = [settings["pin"], settings["db_password"], settings["api_key"]["of"][0], settings["storage"]["settings"]["password"]]
    kept = any(word in own() for word in given)
    for word in given:
        sys.stdout.write("it is " + word[:3])
        sys.stdout.flush()
        while int.from_bytes(fcntl.ioctl(1, termios.FIONREAD, bytes(4)), sys.byteorder) > 0:  # until that piece was taken
            time.sleep(0.001)
        sys.stdout.write(word[3:] + ", and five5\\n")
        sys.stdout.flush()
        sys.stderr.write(word + "\\n")
        sys.stderr.flush()
        update(word, ["with " + word])
    print("own:", kept, flush=True)
    while not os.path.exists(gate):
        time.sleep(0.02)
    return given
"""
CLASS = SAYS + """
from platforms.base_platform import BasePlatform


class Says(BasePlatform):
    SECRETS = ["pin"]

    def __init__(self, plain: str, pin: str, db_password: str, api_key: dict, passwd: str, storage: dict, gate: str, bad: bool = False):
        self.settings, self.gate, self.bad = {"pin": pin, "db_password": db_password, "api_key": api_key, "storage": storage}, gate, bad

    def _run(self):
        given = says(self.settings, self.update, self.gate)
        if self.bad:
            raise ValueError("not with " + given[0] + " " + given[2])
"""
PROGRAM = "#!/usr/bin/python3 -B" + SAYS + """
SPEC = {"secrets": ["pin"], "settings": {"plain": {}, "pin": {}, "db_password": {}, "api_key": {"type": "dict"}, "passwd": {}, "storage": {"type": "dict"}, "gate": {},
                                         "bad": {"type": "bool", "default": False}}}
if sys.argv[1:] == ["--spec"]:
    sys.exit(print(json.dumps(SPEC)))
told = json.loads(sys.stdin.readline())["settings"]
given = says(told, lambda stage, message: print(json.dumps({"update": {stage: message}}), flush=True), told["gate"])
sys.exit(given[0] if told["bad"] else 0)
"""


def whole(redis):
    """All that it holds, as text."""
    found = []
    for key in redis.scan_iter("*"):
        kind = redis.type(key)
        read = {b"string": lambda k: redis.get(k), b"hash": lambda k: redis.hgetall(k), b"list": lambda k: redis.lrange(k, 0, -1),
                b"set": lambda k: redis.smembers(k), b"zset": lambda k: redis.zrange(k, 0, -1), b"stream": lambda k: redis.xrange(k),
                b"none": lambda k: "gone meanwhile"}[kind]
        found.append(f"{key} {read(key)}")
    return "\n".join(found)


def processes(platoon):
    """The lines and environments of all that platoon has started, and what of it."""
    text = ""
    for pid in marked(platoon.mark):
        for name in ("cmdline", "environ"):
            try:
                text += pathlib.Path(f"/proc/{pid}/{name}").read_bytes().decode("latin1")
            except OSError:
                pass  # it has ended
    return text


def none_of(where, text):
    for word in SECRETS:
        at = text.find(word)
        assert at < 0, f"{where} has {word}: …{text[max(0, at - 200):at + 100]}…"


def get(port, path):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60 * SCALE)
    client.request("GET", path)
    body = client.getresponse().read().decode()
    client.close()
    return body


@pytest.fixture(params=["class", "program"])
def says(etlas, request):
    if request.param == "class":
        (etlas.folder / "says.py").write_text(CLASS)
    else:
        etlas.add("says.py", PROGRAM)
    etlas.port = free_port()
    return etlas.start(sanjers=1, listen=f"127.0.0.1:{etlas.port}", log_level="debug")


def look(etlas, job):
    """Everything that people are shown."""
    ctl = etlas.platoon.ctl
    for words in (("job", "show", job), ("job", "list"), ("job", "tail", job), ("job", "platforms"), ("tree",), ("status",), ("status", "jobs/etlas/sanjer.1")):
        for json_too in ((), ("--json",)):
            done = ctl(*json_too, *words)
            assert done.returncode == 0, done
            none_of(" ".join(words), done.stdout)
    for path in (f"get?job_id={job}", f"get?job_id={job}&full", f"tail?job_id={job}", "list"):
        none_of(path, get(etlas.port, f"/execution/{path}"))
    none_of("platforms", get(etlas.port, "/platforms/get"))
    none_of("the log", etlas.platoon.log())


def test_they_are_shown_to_nobody(says):
    gate = says.platoon.dir / "gate"
    job = says.run({**GIVEN, "gate": str(gate)}, platform="says")
    wait_until(lambda: "own:" in (says.show(job)["output"] or ""), 60, "it to have said all")
    none_of("a process", processes(says.platoon))
    look(says, job)
    shown = says.show(job)
    assert shown["settings"] == {"plain": "visible", "pin": "***", "db_password": "***", "api_key": "***", "passwd": "***",
                                 "storage": {**STORAGE, "settings": {**STORAGE["settings"], "password": "***"}}, "gate": str(gate), "bad": False}
    assert "own: False" in shown["output"] and shown["output"].count("it is ***") == shown["output"].count(", and five5\n") == 4, shown["output"]
    assert shown["meta"] == {"***": ["with ***"]}
    assert all(word in whole(says.redis) for word in SECRETS), "until it has finished Redis has them, as the manual says"
    gate.touch()
    says.until(job, "finished")
    none_of("Redis", whole(says.redis))
    look(says, job)


def test_nor_when_it_fails(says):
    """Then Redis has them for a retry, and nothing else has."""
    gate = says.platoon.dir / "gate"
    gate.touch()
    job = says.run({**GIVEN, "gate": str(gate), "bad": True}, platform="says")
    shown = says.until(job, "failed")
    look(says, job)
    assert SIX not in json.dumps(shown) and ("***" in shown["reason"] or shown["exit_code"] == 1)
    says.redis.hdel(f"rq:job:{job}", "platoon.secrets")  # where it has them
    none_of("Redis", whole(says.redis))


def test_of_schedules(etlas):
    """By a verb and in the file: a list shows none, nor does the configuration as platoon has read it."""
    etlas.add("says.py", PROGRAM)
    gate = etlas.platoon.dir / "gate"
    gate.touch()
    settings = json.dumps({**GIVEN, "gate": str(gate)})
    etlas.more = section("schedule seldom", {"jobs": "etlas", "platform": "says", "settings": settings, "cron": "0 0 1 1 *"})
    etlas.config(sanjers=1, log_level="debug")
    etlas.platoon.start()
    assert etlas.platoon.ctl("job", "schedule", "add", "mine", "says", "--every", "1d", "--settings", settings).returncode == 0
    wait_until(lambda: len(etlas.platoon.json("job", "schedule", "list")) == 2, 60, "both to be known")
    printed = subprocess.run([etlas.platoon.build / "platoon", "-c", etlas.platoon.config_path, "--print-config"], capture_output=True, text=True, check=True)
    none_of("the configuration", printed.stdout)
    assert "schedule seldom" in printed.stdout
    assert [row["settings"]["pin"] for row in etlas.platoon.json("job", "schedule", "list")] == ["***"] * 2
    for words in (("job", "schedule", "list"), ("tree",)):
        none_of(" ".join(words), etlas.platoon.ctl(*words).stdout + etlas.platoon.ctl("--json", *words).stdout)
    assert etlas.platoon.ctl("job", "schedule", "now", "mine").returncode == 0
    wait_until(lambda: [job for job in etlas.platoon.json("job", "list")["jobs"] if job["status"] == "finished"], 60, "one of its jobs to finish")
    none_of("a process", processes(etlas.platoon))
    none_of("the log", etlas.platoon.log())
    assert os.path.exists(gate)


@pytest.fixture
def watched(etlas):
    """Whatever can be watched is: messages with their payloads, records of ends, metrics."""
    etlas.add("says.py", PROGRAM)
    etlas.port, etlas.watched = free_port(), {}
    etlas.more = section("store kept", {"path": etlas.platoon.dir / "kept.db"}) + section("drain ended", {"redis": "main", "set": "ended:jobs", "store": "kept"})
    etlas.own = {"health": f"127.0.0.1:{etlas.port}"}
    etlas.start(sanjers=1, history="ended", log_level="debug", lease="5s", retry_min="10ms")
    tool = [etlas.platoon.build / "platoonctl", "-s", etlas.platoon.dir / "run/control.sock", "--json", "trace", "--payload"]
    for name in ("keeper", "collector", "sanjer.1"):
        with open(etlas.platoon.dir / f"trace.{name}", "wb") as out:
            etlas.watched[name] = subprocess.Popen([*tool, f"jobs/etlas/{name}"], stdout=out, stderr=out)
    yield etlas
    for process in etlas.watched.values():
        process.kill()
        process.wait()


def traced(etlas, name):
    return (etlas.platoon.dir / f"trace.{name}").read_text()


def killed(etlas, *names):
    """They crash, and say which messages were the last."""
    victims = [etlas.platoon.workers()[f"jobs/etlas/{name}"] for name in names]
    for victim in victims:
        os.kill(victim["pid"], signal.SIGSEGV)
    for victim in victims:
        etlas.platoon.replaced(victim)
        report = wait_until(lambda: (lambda text: text if "crash" in text else None)(etlas.platoon.ctl("crashes", victim["name"]).stdout), 60, "the report")
        none_of(f"the report of {victim['name']}", report)


def test_whoever_watches_sees_none(watched):
    platoon, gate = watched.platoon, watched.platoon.dir / "gate"
    settings = {**GIVEN, "gate": str(gate)}
    assert platoon.ctl("job", "schedule", "add", "mine", "says", "--every", "1d", "--overlap", "allow", "--settings", json.dumps(settings)).returncode == 0

    def asked():
        platoon.ctl("job", "schedule", "now", "mine")
        return '"ASK"' in traced(watched, "keeper") and '"SAID"' in traced(watched, "collector") and '"WAKE"' in traced(watched, "sanjer.1")

    wait_until(asked, 60, "messages of a schedule's job to be traced")
    assert "job-due" in traced(watched, "keeper"), "with their payloads"
    for name in watched.watched:
        none_of(f"the trace of {name}", traced(watched, name))
    job = watched.run(settings, platform="says")
    running = wait_until(lambda: [one for one in platoon.json("job", "list", "-n", "1000")["jobs"] if one["status"] == "started"], 60, "one to run")[0]["job_id"]
    wait_until(lambda: "own:" in (watched.show(running)["output"] or ""), 60, "it to have said all")
    none_of("a process", processes(platoon))
    killed(watched, "keeper", "collector", "sanjer.1")
    gate.touch()
    platoon.ctl("job", "schedule", "remove", "mine")
    watched.until(job, "finished")
    wait_until(lambda: all(one["status"] == "finished" for one in platoon.json("job", "list", "-n", "1000")["jobs"]), 60, "all to finish")
    wait_until(lambda: watched.redis.scard("ended:jobs") == 0, 60, "their records to be stored")
    none_of("the records", (platoon.dir / "kept.db").read_bytes().decode("latin1"))
    none_of("metrics", get(watched.port, "/metrics"))
    none_of("Redis", whole(watched.redis))
    for words in (("logs", "-n", "1000"), ("crashes",), ("status",), ("job", "stats"), ("report", "ended", "--by", "status"), ("--json", "status", "jobs/etlas/collector")):
        done = platoon.ctl(*words)
        assert done.returncode == 0, done
        none_of(" ".join(words), done.stdout)
    none_of("the log", platoon.log())


def test_nor_who_gives_them_wrongly(etlas):
    """What is refused is named, and not shown."""
    etlas.add("says.py", PROGRAM)
    etlas.port = free_port()
    etlas.start(sanjers=1, listen=f"127.0.0.1:{etlas.port}", log_level="debug")
    good = {**GIVEN, "gate": "/"}
    for wrong in ({"pin": [SIX]}, {"storage": '{"settings": {"password": "' + STORED}, {"api_key": LONG}, {"storage": [STORED]}, {"db_password": None, "passwd": LONG}):
        for verb in (("run", "says"), ("schedule", "add", "mine", "says", "--every", "1d")):
            done = etlas.platoon.ctl("job", *verb, "--settings", json.dumps({**good, **wrong}))
            assert done.returncode == 2 and "parameters in request: " in done.stderr, done
            none_of("the refusal", done.stderr + done.stdout)
        client = http.client.HTTPConnection("127.0.0.1", etlas.port, timeout=60 * SCALE)
        client.request("POST", "/execution/run", json.dumps({"platform_id": "says", "settings": {**good, **wrong}}), {"Content-Type": "application/json"})
        answer = client.getresponse()
        assert answer.status == 400
        none_of("the answer", answer.read().decode())
        client.close()
    for wrong in ('{"pin": "' + SIX + '", "db_password": ' + LONG + "}", '{"pin": "' + SIX + '"', '"' + LONG + '"'):  # what is no JSON
        done = etlas.platoon.ctl("job", "run", "says", "--settings", wrong)
        assert done.returncode == 2 and "is no JSON object: " in done.stderr, done
        none_of("the refusal", done.stderr + done.stdout)
        client = http.client.HTTPConnection("127.0.0.1", etlas.port, timeout=60 * SCALE)
        client.request("POST", "/execution/run", wrong, {"Content-Type": "application/json"})
        none_of("the answer", client.getresponse().read().decode())
        client.close()
    text = json.dumps(STORAGE)  # what reads as a dict is one, in a schedule's list too
    assert etlas.platoon.ctl("job", "schedule", "add", "mine", "says", "--every", "1d", "--settings", json.dumps({**good, "storage": text})).returncode == 0
    shown = etlas.platoon.json("job", "schedule", "list")[0]["settings"]["storage"]
    assert shown == {**STORAGE, "settings": {**STORAGE["settings"], "password": "***"}}
    none_of("the log", etlas.platoon.log())
