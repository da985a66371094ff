"""scripts/quickstart, as a person would run it, with its state in a directory of the test's own."""
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile

import pytest

from platoon_fixture import BUILD, ROOT, SCALE, marked, wait_until


@pytest.fixture
def var():
    path = pathlib.Path(tempfile.mkdtemp(prefix="q", dir="/tmp"))
    yield path
    left = marked(f"PLATOON_VAR={path}")
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    log = path / "platoon.log"
    if log.exists():
        print(log.read_text(errors="replace")[-4000:])
    shutil.rmtree(path)
    assert not left


def environment(var):
    return {**os.environ, "BUILD": str(BUILD), "PLATOON_VAR": str(var)}


def quickstart(var, *words):
    return subprocess.run([ROOT / "scripts/quickstart", *words], env=environment(var), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=180 * SCALE)


def rows(var):
    with sqlite3.connect(f"file:{var}/visits.db?mode=ro", uri=True) as db:
        return db.execute("SELECT count(*) FROM records").fetchone()[0]


def test_once_with_the_sample(var):
    done = quickstart(var, "--once", "--lines", "3000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 3000 records arrived." in done.stdout
    for words in ("watcher.1", "get-hash.2", "200"):
        assert words in done.stdout, words
    assert rows(var) == 3000
    wait_until(lambda: not marked(f"PLATOON_VAR={var}"), 20, "the end of everything")
    # The second run adds to the same store.
    again = quickstart(var, "--once", "--lines", "1000")
    assert again.returncode == 0 and "All 1000 records arrived." in again.stdout
    assert rows(var) == 4000


def test_once_with_a_log(var):
    """A log with a line that is none: the others arrive."""
    sample = subprocess.run([ROOT / "scripts/lib/sample-log", "500"], capture_output=True, check=True).stdout
    log = var / "my access.log"
    log.write_bytes(sample + b"not a log line\n")
    done = quickstart(var, "--once", "--log", str(log))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "501 lines, 500 visits, 1 malformed" in done.stdout and "line 501" in done.stderr
    assert rows(var) == 500


def test_log_and_format_reach_track_as_they_are(var):
    """Its loading alone, the rest being stand-ins that answer at once."""
    copy = var / "clone"
    for name, script in (("scripts/lib/setup", ""), ("bin/make", ""), ("build/platoonctl", 'echo \'{"total": 0, "dead": 0}\''),
                         ("scripts/track", f"printf '%s\\0' \"$@\" >{var}/words; echo '0 lines, 0 visits, 0 malformed'")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(f"#!/bin/sh\n{script}\n")
        (copy / name).chmod(0o755)
    shutil.copy(ROOT / "scripts/quickstart", copy / "scripts/quickstart")
    (copy / "etc").mkdir()
    shutil.copy(ROOT / "etc/quickstart.conf", copy / "etc/quickstart.conf")
    log = var / "my access.log.gz"
    log.write_bytes(b"")
    for form in ('$remote_addr [$time_local] "$request" $status', r"--%h\t%t\t%>s"):
        done = subprocess.run([copy / "scripts/quickstart", "--log", log, "--format", form], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              env={**environment(var), "BUILD": str(copy / "build"), "PATH": f"{copy}/bin:{os.environ['PATH']}"})
        assert done.returncode == 0, done.stdout + done.stderr
        words = (var / "words").read_text().split("\0")[:-1]
        assert words[:2] == ["--config", f"{var}/quickstart.conf"] and words[2:] == [f"--format={form}", "--", str(log)]


def test_not_every_record_arrives(var):
    """Records that become dead letters make it fail."""
    (var / "bin").mkdir()
    conf = (ROOT / "etc/quickstart.conf").read_text()
    assert "{app}/{session}/{event}" in conf
    copy = var / "clone"
    copy.mkdir()
    for name in ("scripts", "etc", "Makefile", "proto", "common", "master", "workers", "test"):
        (copy / name).symlink_to(ROOT / name) if name != "etc" else shutil.copytree(ROOT / name, copy / name)
    (copy / "etc/quickstart.conf").write_text(conf.replace("{app}/{session}/{event}", "{no_such_field}"))
    done = subprocess.run(["bash", "scripts/quickstart", "--once", "--lines", "50"], cwd=copy, env=environment(var), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=180 * SCALE)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"50 records were loaded, 0 arrived, 50 are dead letters", done.stderr)


def test_keeps_running_and_is_used_again(var):
    done = quickstart(var, "--lines", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "platoon keeps running" in done.stdout and "shutdown" in done.stdout
    ctl = [str(BUILD / "platoonctl"), "-c", str(var / "quickstart.conf")]
    first = subprocess.run([*ctl, "--json", "version"], capture_output=True, text=True)
    assert first.returncode == 0
    again = quickstart(var, "--lines", "100")
    assert again.returncode == 0 and "running already" in again.stdout
    assert rows(var) == 200
    assert subprocess.run([*ctl, "--timeout", "30s", "shutdown"]).returncode == 0
    wait_until(lambda: not marked(f"PLATOON_VAR={var}"), 20, "the end")


def test_interrupted(var):
    """Ctrl-C in the middle stops what it started."""
    process = subprocess.Popen([ROOT / "scripts/quickstart", "--lines", "400000"], env=environment(var), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    for line in process.stdout:
        if line.startswith(b"==> starting"):
            break
    wait_until(lambda: (var / "run/control.sock").exists(), 20, "platoon")
    os.killpg(process.pid, signal.SIGINT)
    process.stdout.read()
    assert process.wait(40 * SCALE) == 130
    wait_until(lambda: not marked(f"PLATOON_VAR={var}"), 20, "the end of everything")


def test_platoon_does_not_start(var):
    (var / "run").write_text("in the way")
    done = quickstart(var, "--once", "--lines", "10")
    assert done.returncode == 1
    assert str(var / "run") in done.stderr and "ended at once" in done.stderr


@pytest.mark.parametrize("words", [["--bogus"], ["--lines"], ["--lines", "0"], ["--lines", "many"]])
def test_wrong_arguments(var, words):
    done = quickstart(var, *words)
    assert done.returncode == 2 and "usage" in done.stderr


def test_log_that_is_not_there(var):
    done = quickstart(var, "--log", "/nowhere/access.log")
    assert done.returncode == 1 and "/nowhere/access.log" in done.stderr
