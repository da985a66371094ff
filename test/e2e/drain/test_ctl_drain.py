"""platoonctl and a drain: its verbs, their exit codes; and the tool's other verbs on a drain's workers."""
import contextlib
import re
import time

import pytest

from platoon_fixture import SCALE, soon
from platoon_steps import bare, stop_start_branch, stop_start_restart
from unix_proxy import UnixProxy


def test_help_names_every_verb():
    done = bare("--help")
    assert done.returncode == 0
    for verb in ("drain status", "drain wait", "drain dead", "report"):
        assert verb in done.stdout, verb


def test_no_master(platoon):
    done = platoon.ctl("drain", "wait", "visits")
    assert done.returncode == 7
    assert str(platoon.dir / "run/control.sock") in done.stderr and "running" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["drain"], ["drain", "wat", "visits"], ["report"]])
def test_wrong_arguments(words):
    done = bare(*words)
    assert done.returncode == 2, done
    assert done.stderr.strip() and not done.stdout


def test_socket_from_a_file_with_half_a_drain(platoon):
    platoon.start()
    platoon.config_path.write_text(platoon.config_path.read_text() + 'drain other { set = "x"\n')
    done = bare("-c", str(platoon.config_path), "version")
    assert done.returncode == 0 and f"note: {platoon.config_path} has errors" in done.stderr, done.stderr


def test_tree_text(platoon):
    platoon.start()
    done = platoon.ctl("tree")
    assert done.returncode == 0
    for words in ("redis", "visits", "watcher.1", "get-set.1", "get-hash.2", "transfer", "READY", str(platoon.pid_of("redis/server"))):
        assert words in done.stdout, words
    assert "\x1b" not in done.stdout, "no colours but on a terminal"


def test_status(platoon):
    platoon.start()
    whole = platoon.status()
    assert whole["name"] == "platoon" and whole["ready"] is True and whole["problems"] == []
    one = platoon.status("redis/visits/get-set.1")
    assert one["name"] == "redis/visits/get-set.1" and one["type"] == "get-set" and "counters" in one
    assert one["pid"] == platoon.pid_of("redis/visits/get-set.1")
    text = platoon.ctl("status")
    assert text.returncode == 0 and text.stdout.count("READY") >= 8
    assert "get-set.1" in platoon.ctl("status", "redis/visits/get-set.1").stdout


@pytest.mark.parametrize("words", [["drain", "status", "vists"], ["drain", "wait", "vists"], ["drain", "dead", "vists", "list"], ["report", "vists"]])
def test_unknown_drain(platoon, words):
    platoon.start()
    done = platoon.ctl(*words)
    assert done.returncode == 5, done
    assert done.stderr.strip()


def test_drain_status(platoon):
    platoon.start()
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(10)})
    platoon.drained()
    status = platoon.drain()
    assert {"name", "pending", "claimed", "stored", "redelivered", "dead", "oldest_claim_ms", "rate_per_s"} <= set(status)
    assert status["name"] == "visits" and status["stored"] == 10
    every = platoon.json("drain", "status")
    assert [d["name"] for d in (every if isinstance(every, list) else [every])] == ["visits"]
    text = platoon.ctl("drain", "status").stdout
    assert "visits" in text and "10" in text


class CutOff(UnixProxy):
    """From some moment on no answer comes through."""
    until, kept = 0, 0

    def ask(self, client, up):
        UnixProxy.pump(client, up)

    def pump(self, up, client):
        with contextlib.suppress(OSError):
            while data := up.recv(65536):
                if time.monotonic() < self.until:
                    client.sendall(data)
                else:
                    self.kept += 1


def test_drain_wait_times_out(platoon):
    platoon.start()
    assert platoon.ctl("stop", "transfer/visits.1").returncode == 0
    platoon.add({"v:1": {"n": "1"}})

    def waits():
        begin = time.monotonic()
        assert platoon.ctl("--timeout", "1s", "drain", "wait", "visits").returncode == 124
        assert time.monotonic() - begin > 0.9
    soon(waits, 3, "the end of a wait of 1 s")

    way = CutOff(platoon.dir / "way.sock", platoon.dir / "run/control.sock")
    way.until = time.monotonic() + 3.6 * SCALE
    done = platoon.ctl("--timeout", f"{4 * SCALE}s", "drain", "wait", "visits", socket_path=platoon.dir / "way.sock")
    assert done.returncode == 124 and re.search(r"not done after \d+s: \d+ pending, \d+ claimed", done.stderr), done.stderr
    assert way.kept, "the last answer, without which the one before counts"
    way.close()
    assert platoon.ctl("start", "transfer/visits.1").returncode == 0
    platoon.drained()
    assert platoon.data() == {"v:1": {"n": "1"}}


def test_stop_start_restart_a_worker(platoon):
    platoon.start()

    def work():
        platoon.add({f"v:{i}": {"n": str(i)} for i in range(100)})
        platoon.drained()
    stop_start_restart(platoon, "redis/visits/get-hash.1", work)


def test_stop_start_a_branch(platoon):
    platoon.start()
    stop_start_branch(platoon, "redis/visits", lambda: platoon.add({"v:1": {"n": "1"}}))
    platoon.drained()
    assert platoon.data() == {"v:1": {"n": "1"}}


def test_a_message_that_a_watcher_does_not_know(platoon):
    platoon.start()
    unknown = platoon.ctl("send", "redis/visits/watcher.1", '{"no_such_thing":1}')
    assert unknown.returncode == 1 and unknown.stderr.strip()


@pytest.mark.parametrize("verb", ["drop", "retry"])
def test_all_dead_letters_are_all_of_them(platoon, verb):
    """However many: they are taken ten thousand at a time."""
    platoon.start()
    pipe = platoon.redis().pipeline(transaction=False)
    for n in range(1, 20502):
        pipe.zadd("platoon:{visits}:dead", {n: n})
        pipe.hset(f"platoon:{{visits}}:dead:{n}", mapping={"member": f"gone:{n}", "reason": "it was", "attempts": 1, "at": n, "has_data": 0})
    pipe.execute()
    done = platoon.ctl("drain", "dead", "visits", verb, "all")
    assert done.returncode == 0 and "20501" in done.stdout, done
    assert verb == "retry" or platoon.redis().zcard("platoon:{visits}:dead") == 0


def test_dead_letter_verbs_with_wrong_numbers(platoon):
    platoon.start()
    assert platoon.json("drain", "dead", "visits", "list") == []
    for verb in ("show", "retry", "drop"):
        missing = platoon.ctl("drain", "dead", "visits", verb, "123456")
        assert missing.returncode in (1, 5), missing
        assert missing.stderr.strip()
        assert platoon.ctl("drain", "dead", "visits", verb, "x").returncode in (1, 2)


def test_rolling_restart(platoon):
    platoon.configure(drain={"get_hash.workers": 3}).start()
    before = platoon.workers()
    done = platoon.ctl("restart", "redis/visits", "--rolling")
    assert done.returncode == 0, done.stderr
    names = [n for n in before if n.startswith("redis/visits/")]
    assert done.stdout.split() == [word for n in names for word in (n + ":", "restarted")]
    after = platoon.workers()
    assert all(after[n]["pid"] != before[n]["pid"] for n in names)
    assert all(after[n]["pid"] == before[n]["pid"] for n in before if n not in names)
    moves = re.findall(r"name=(redis/visits/\S+) from=READY to=(DRAINING)|name=(redis/visits/\S+) from=STARTING to=(READY)", platoon.log())
    order = [m[0] or m[2] for m in moves][len(names):]
    assert order == [n for n in names for _ in range(2)], "one is back before the next goes"
