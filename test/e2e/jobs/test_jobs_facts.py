"""What is known of a job, wherever it is asked; how it is tried again and finishes in time; and what a reload, rq's client and a platform that has changed make of it."""
import contextlib
import os
import re
import shutil
import signal
import threading
import time
from datetime import datetime, timedelta

import pytest
from platoon_fixture import alive, wait_until
from rq import Queue
from rq.job import Job

MEMBERS = """job_id id platform_id queue status cause reason attempt created_at enqueued_at started_at ended_at worker progress eta_ms meta result exit_code signal oom
             cpu_ms max_rss_bytes run_ms""".split()


def gate_of(etlas):
    return str(etlas.platoon.dir / "gate")


def opened(etlas):
    (etlas.platoon.dir / "gate").touch()


def test_a_job_everywhere(etlas):
    etlas.start(sanjers=1)
    job = etlas.run({"say": [{"progress": 0.4}], "until": gate_of(etlas)}, "--id", "devTest")
    wait_until(lambda: etlas.show(job)["progress"] == 0.4, 60, "it to say how much is done")
    shown = etlas.show(job)
    assert list(shown) == MEMBERS + ["settings", "output"] and shown["eta_ms"] > 0
    [row] = etlas.platoon.json("job", "list")["jobs"]
    assert list(row) == MEMBERS
    assert {name for name in MEMBERS if shown[name] is None} == {"cause", "reason", "ended_at", "meta", "result", "exit_code", "signal", "oom", "cpu_ms",
                                                                 "max_rss_bytes", "run_ms"}
    line = wait_until(lambda: re.search(r"^.*runs coinis \(devTest\).* 40 %.*$", etlas.platoon.ctl("tree").stdout, re.M), 60, "the tree to show what it does")[0]
    assert "sanjer.1" in line and "s 40 %" in line
    assert etlas.platoon.ctl("--timeout", "1s", "job", "wait", job).returncode == 124
    opened(etlas)
    assert etlas.platoon.ctl("job", "wait", job).returncode == 0
    shown = etlas.show(job)
    assert {name for name in MEMBERS if shown[name] is None} == {"cause", "reason", "eta_ms", "meta", "result", "signal", "oom"}
    assert shown["exit_code"] == 0 and shown["max_rss_bytes"] > 0 and shown["run_ms"] >= 0
    assert [etlas.platoon.ctl("job", verb, "nobody").returncode for verb in ("wait", "show", "tail", "cancel", "retry")] == [5] * 5
    killed = etlas.run({"signal": 9})
    assert etlas.platoon.ctl("job", "wait", killed).returncode == 1
    shown = etlas.show(killed)
    assert (shown["cause"], shown["reason"], shown["signal"], shown["oom"]) == ("signal", "killed by signal 9 (SIGKILL)", 9, False)


def test_memory_is_said(etlas):
    (etlas.folder / "eats.py").write_text("class Eats:\n    def _run(self):\n        raise MemoryError('no more')\n")
    etlas.start(sanjers=1)
    shown = etlas.until(etlas.run(platform="eats"), "failed")
    assert (shown["cause"], shown["reason"], shown["oom"]) == ("memory", "out of memory: no more", True)


def test_who_has_become_large_serves_no_other(etlas):
    (etlas.folder / "grows.py").write_text("import os\n\n\nclass Grows:\n    def __init__(self, mb: int):\n        self.mb = mb\n\n"
                                           "    def _run(self):\n        return [os.getpid(), len(b'x' * (self.mb << 20))][0]\n")
    etlas.start(sanjers=1, **{"sanjer.memory_max": "400MB"})

    def pid(mb):
        return etlas.until(etlas.run({"mb": mb}, platform="grows"), "finished")["result"]
    first = pid(1)
    assert pid(1) == first and pid(250) == first
    assert pid(1) != first


def test_settings_that_do_not_fit_any_more(etlas):
    (etlas.folder / "takes.py").write_text("class Takes:\n    def _run(self):\n        return 1\n")
    etlas.start(sanjers=1)
    etlas.redis.set("rq:suspended", 1)
    job, other = etlas.run(platform="takes"), etlas.run()
    (etlas.folder / "takes.py").write_text("class Takes:\n    def __init__(self, more: str):\n        pass\n\n    def _run(self):\n        return 1\n")
    etlas.redis.hset(f"rq:job:{other}", "platoon.settings", "[1]")
    etlas.redis.delete("rq:suspended")
    shown = etlas.until(job, "failed")
    assert (shown["cause"], shown["reason"]) == ("settings", "settings: more is missing: the platform has come to take it since the job was made")
    shown = etlas.until(other, "failed")
    assert (shown["cause"], shown["reason"]) == ("settings", "settings: what Redis has of them is no JSON object") and not etlas.seen()


def test_retries_are_spread(etlas):
    """Full jitter: from now on to the longest pause; what waits for it stands where RQ's clients see it."""
    etlas.start(sanjers=2, retries=5, retry_min="24h", retry_max="24h")
    jobs = [etlas.run({"exit": 1, "from": 9}) for _ in range(16)]
    wait_until(lambda: all(etlas.places(job) == ["scheduled"] for job in jobs), 60, "all to wait")  # one may have been due already
    registry = Queue("q", connection=etlas.redis).scheduled_job_registry
    assert sorted(registry.get_job_ids()) == sorted(jobs) and all(etlas.places(job) == ["scheduled"] for job in jobs)
    pauses = [etlas.redis.zscore("rq:scheduled:q", job) - time.time() for job in jobs]
    assert max(pauses) <= 86400 and min(pauses) > -60 and max(pauses) - min(pauses) > 14400, pauses
    last = jobs[pauses.index(max(pauses))]
    shown, begun = etlas.show(last), len(etlas.seen(job=last))
    assert (shown["status"], shown["attempt"], shown["reason"]) == ("scheduled", begun, "exited with code 1")
    etlas.redis.zadd("rq:scheduled:q", {last: 1})
    wait_until(lambda: len(etlas.seen(job=last)) == begun + 1, 60, "what is due to run again")


def test_an_orderly_stop_lets_it_finish(etlas):
    etlas.own = {"stop_timeout": "10m"}
    etlas.start(sanjers=1, stop_timeout="10m")
    job = etlas.run({"until": gate_of(etlas)})
    wait_until(lambda: etlas.seen(job=job), 60, "it to run")
    etlas.platoon.process.terminate()
    wait_until(lambda: "name=jobs/etlas/sanjer.1 from=READY to=DRAINING" in etlas.platoon.log(), 60, "the stop to have begun")
    opened(etlas)
    assert etlas.platoon.stop() == 0
    assert etlas.places(job) == ["finished"] and etlas.redis.hget(f"rq:job:{job}", "platoon.attempt") == b"1"


def test_what_it_says_comes_seldom(etlas):
    """However much it says: 4 times a second are the most, and the last before its end."""
    etlas.add("often.py", """#!/usr/bin/python3 -B
import sys, time
if sys.argv[1:]:
    sys.exit(print("{}"))
end = time.monotonic() + 3
i = 0
while time.monotonic() < end:
    i += 1
    print('{"update":{"step":%d}}' % i, flush=True)
    time.sleep(0.001)
print('{"result":%d}' % i)
""")
    etlas.start(sanjers=1)
    said, ready = [], threading.Event()

    def listen():
        with etlas.server.client().monitor() as monitor:
            ready.set()
            for command in monitor.listen():
                said.append(command["command"])
                if "the end" in command["command"]:
                    return
    listener = threading.Thread(target=listen)
    listener.start()
    assert ready.wait(60)
    shown = etlas.until(etlas.run(platform="often"), "finished")
    etlas.redis.echo("the end")
    listener.join(60)
    writes = [command for command in said if command.startswith("HSET rq:job:") and "platoon.meta" in command]
    assert 2 <= len(writes) <= 4 * shown["run_ms"] / 1000 + 1 and shown["result"] > len(writes), (len(writes), shown)
    assert shown["meta"] == {"step": shown["result"]}


def test_a_queue_that_rq_empties(etlas):
    etlas.start(sanjers=1)
    first = etlas.run({"until": gate_of(etlas)})
    wait_until(lambda: etlas.seen(job=first), 60, "the first to run")
    waiting = [etlas.run() for _ in range(3)]
    assert Queue("q", connection=etlas.redis).empty() == 3
    opened(etlas)
    etlas.until(first, "finished")
    etlas.until(etlas.run(), "finished")
    assert not any(Job.exists(job, connection=etlas.redis) for job in waiting) and len(etlas.seen()) == 2
    assert {row["job_id"] for row in etlas.platoon.json("job", "list")["jobs"]}.isdisjoint(waiting)


def sanjers(etlas):
    return {name: worker["pid"] for name, worker in etlas.platoon.workers().items() if "sanjer" in name}


@pytest.mark.parametrize("what", ["platforms", "timeout"])
def test_a_reload_replaces_who_is_idle(etlas, what):
    """What runs may end; what comes then is run by what the file says now."""
    etlas.own = {"stop_timeout": "10m"}
    etlas.start(stop_timeout="10m")
    busy = etlas.run({"until": gate_of(etlas)})
    wait_until(lambda: etlas.seen(job=busy), 60, "one to be busy")
    before, mine = sanjers(etlas), etlas.seen(job=busy)[0]["pid"]
    runs = next(name for name in before if etlas.show(busy)["worker"].endswith(name.split("/")[-1].replace(".", "")))
    idle = next(name for name in before if name != runs)
    if what == "platforms":
        etlas.folder = shutil.copytree(etlas.folder, etlas.platoon.dir / "others")
        etlas.add("new.sh", "#!/bin/sh\necho '{\"result\":\"new\"}'\n")
        etlas.config(stop_timeout="10m")
    else:
        etlas.config(stop_timeout="10m", timeout="7m")
    etlas.platoon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: sanjers(etlas)[idle] not in (None, before[idle]), 60, "the idle one to be another")
    assert alive(mine)
    opened(etlas)
    wait_until(lambda: sanjers(etlas)[runs] not in (None, before[runs]), 60, "the busy one to be another")
    wait_until(lambda: etlas.platoon.ctl("wait", "ready").returncode == 0, 60, "all to be ready")
    shown = etlas.until(busy, "finished")
    assert shown["attempt"] == 1
    if what == "platforms":
        assert etlas.until(etlas.run(platform="new"), "finished")["result"] == "new"
    else:
        assert Job.fetch(etlas.run(), connection=etlas.redis).timeout == 420


SHIM = r'''
import imaplib
import re

from appcore.services import Bootstrap, Factory
from platforms.base_platform import BasePlatform


class Imap:
    """What a server would say."""

    def __init__(self, host):
        self.said = [host]

    def login(self, user, password):
        self.said.append([user, password])

    def select(self, box):
        self.said.append(box)

    def uid(self, verb, *words):
        self.said.append([verb, *words])
        if verb == "SEARCH":
            return "OK", [b"7 9"]
        if words[1] == "(RFC822)":
            return "OK", [(b"", b"Subject: hello\r\n\r\nbody\r\n")]
        name = b'("name" "Report.CSV")' if words[0] == "9" else b'("name" "other.txt")'
        return "OK", [b"9 (BODYSTRUCTURE (" + name + b"))"]


class Column:
    """What pandas' has of what is asked of one."""

    def __init__(self, values):
        self.values, self.str = values, self

    def replace(self, pattern, by, regex):
        return [re.sub(pattern, by, value) for value in self.values]


class Shim(BasePlatform):
    MAIL_CONFIG = {"host": "mail.example", "user": "u", "password": "p", "sender": "a@example", "subject": 'say "so"'}
    RERUN = False

    def __init__(self, date: str):
        self.date = date

    def _run(self):
        imaplib.IMAP4_SSL = Imap
        mailbox = self._get_mailbox()
        numbers = self._search_mailbox(mailbox)
        self.progress(0.75)
        try:
            self._send_mail(None, {})
        except NotImplementedError:
            mailbox.said.append("no mail")
        return {"numbers": numbers, "found": self._find_attachment("report.csv", mailbox, numbers), "subject": self._get_message(mailbox, 7)["Subject"],
                "said": mailbox.said[:4], "none": mailbox.said[-1], "column": self._regex(Column(["a-1", "b"]), r"^\w-(\d)$", "none"),
                "level": Factory().get_config()["logging"]["level"], "logs": Factory().get_logger() is Bootstrap().logger is self.logger}
'''


def test_all_of_the_shim(etlas):
    (etlas.folder / "shim.py").write_text(SHIM)
    (etlas.folder / ".hidden.py").write_text("class Hidden:\n    def _run(self):\n        pass\n")
    etlas.start(sanjers=1)
    shown = etlas.until(etlas.run({"date": "2026-11-20"}, platform="shim"), "finished")
    said = shown["result"]["said"]
    assert said[:3] == ["mail.example", ["u", "p"], "inbox"]
    assert said[3] == ["SEARCH", None, '(SENTON 20-Nov-2026 HEADER FROM "a@example" SUBJECT "say \\"so\\"")']
    assert {name: shown["result"][name] for name in ("numbers", "found", "subject", "column", "level", "logs")} == {
        "numbers": [7, 9], "found": [9], "subject": "hello", "column": ["1", "b"], "level": "info", "logs": True}
    assert shown["progress"] == 0.75 and shown["meta"] == {"login": "completed", "mailbox": "retrieving mail"}
    rows = {row["platform_id"]: row for row in etlas.platoon.json("job", "platforms")}
    assert set(rows) == {"coinis", "shim"} and rows["shim"]["rerun"] is False


def test_one_wake_a_job(etlas):
    """Of eight that are idle each job wakes one; where a claim takes longer than the keeper waits for it, 20 ms, another is woken beside it each time."""
    etlas.start(sanjers=8)
    wait_until(lambda: etlas.platoon.workers()["jobs/etlas/keeper"]["doing"] == "8 idle", 60, "all to be idle")

    def woken():
        return sum(worker["counters"].get("messages_in_total", 0) for name, worker in etlas.platoon.workers().items() if "sanjer" in name)
    before = woken()
    late = 0
    for _ in range(12):
        shown = etlas.until(etlas.run(), "finished")
        enqueued, started = (datetime.strptime(shown[name], "%Y-%m-%dT%H:%M:%S.%fZ") for name in ("enqueued_at", "started_at"))
        late += (started - enqueued) // timedelta(milliseconds=20)
    wait_until(lambda: woken() >= before + 12, 60, lambda: f"all wakes to be counted: {woken() - before}")
    assert woken() - before <= 18 + late, f"{woken() - before} wakes for 12 jobs, {late} beside slow claims"


def test_who_was_woken_and_stands_still_keeps_nobody_waiting(etlas):
    """The next that is idle is woken instead."""
    etlas.start(sanjers=2)
    wait_until(lambda: etlas.platoon.workers()["jobs/etlas/keeper"]["doing"] == "2 idle", 60, "both to be idle")
    pid = etlas.platoon.workers()["jobs/etlas/sanjer.1"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(4):
            etlas.until(etlas.run(), "finished")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
