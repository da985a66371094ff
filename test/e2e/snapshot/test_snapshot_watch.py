"""Looking on: the verb snapshot watch, each version as a line of JSON, whoever was away meanwhile; graph."""
import json
import os
import re
import signal
import subprocess
import threading

import pytest

from platoon_fixture import wait_until
from test_snapshot_runs import settle


class Watch:
    def __init__(self, store, *resources):
        self.process = subprocess.Popen([store.platoon.build / "platoonctl", "-s", store.platoon.dir / "run/control.sock", "snapshot", "watch", *resources],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def until(self, seqs):
        wait_until(lambda: [line["seq"] for line in self.lines][-len(seqs):] == seqs, 60, lambda: f"{seqs}: {self.lines}")

    def begin(self, store, resource):
        """Until it watches: what there was when it came it does not tell."""
        puts = []

        def told():
            puts.append(store.put(resource, b"begin %d\n" % len(puts)))
            return bool(self.lines)
        wait_until(told, 60, "its first line")
        wait_until(lambda: puts[-1]["seq"] in [line["seq"] for line in self.lines], 60, "the last one")

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(60), self.process.stderr.read()


@pytest.fixture
def watch():
    made = []

    def begin(*words):
        made.append(Watch(*words))
        return made[-1]
    yield begin
    for one in made:
        one.process.kill()
        one.process.wait(60)


def test_each_version_in_order_also_what_was_missed(store, watch):
    store.start({"work": {}, "made": {"inputs": "work", "command": "cat"}, "other": {}})
    all_of_it, one = watch(store), watch(store, "other")
    all_of_it.begin(store, "work")
    settle(store)
    last = store.json("log", "made")[0]
    all_of_it.until([last["seq"]])
    assert [line["seq"] for line in all_of_it.lines] == list(range(all_of_it.lines[0]["seq"], last["seq"] + 1)), "no hole, in order"
    assert all_of_it.lines[-1] == {"store": "plan", "resource": "made", **last, "prev": all_of_it.lines[-1]["prev"]}
    victim = store.platoon.workers()["snapshot/plan/store"]
    os.kill(victim["pid"], signal.SIGKILL)
    store.platoon.replaced(victim)
    store.ready()
    for n in range(5):
        store.put("other", b"%d\n" % n)
    first = last["seq"] + 1
    all_of_it.until(list(range(first, first + 5)))
    assert [(line["resource"], line["prev"]) for line in all_of_it.lines[-5:]] == [("other", 0)] + [("other", n) for n in range(first, first + 4)]
    assert store.platoon.stop() == 0
    store.platoon.start()
    last = store.put("other", b"after\n")["seq"]
    all_of_it.until([last])
    one.until([last])
    assert {line["resource"] for line in one.lines} == {"other"}
    assert all_of_it.end() == (0, "") and one.end(signal.SIGTERM) == (0, "")


def test_what_cannot_be_watched(store, watch):
    store.start({"work": {}})
    done = store.ctl("snapshot", "watch", "wrok")
    assert done.returncode == 5 and b"no resource named 'wrok': did you mean 'work'?" in done.stderr, done


def test_graph_draws_what_resources_are_made_from(store):
    store.start({"raw": {}, "clean": {"inputs": "raw", "command": "cat"}, "bad": {"inputs": "raw clean", "command": "false", "retry_min": "1h", "retry_max": "1h"}})
    store.put("raw", b"1\n")
    assert store.ctl("snapshot", "wait").returncode == 1
    drawn = subprocess.run(["dot", "-Tplain"], input=store.ctl("graph").stdout, capture_output=True, timeout=60)
    assert drawn.returncode == 0 and drawn.stderr == b"", drawn.stderr
    edges = re.findall(r'^edge "resource (\w+)" "resource (\w+)"', drawn.stdout.decode(), re.M)
    assert sorted(edges) == [("clean", "bad"), ("raw", "bad"), ("raw", "clean")]
    assert {'"bad\\nfailed"', '"clean\\nok"', '"raw\\nok"'} <= set(drawn.stdout.decode().split())
    plan = store.platoon.json("graph")["snapshots"]
    assert [one["store"] for one in plan] == ["plan"]
    assert [(r["resource"], r["state"], r["inputs"]) for r in plan[0]["resources"]] == [("raw", "ok", []), ("clean", "ok", ["raw"]), ("bad", "failed", ["raw", "clean"])]
    assert store.platoon.ctl("stop", "snapshot/plan/store").returncode == 0
    away = store.platoon.json("graph")["snapshots"][0]
    assert away["resources"] == [] and "snapshot" in away["error"]
    assert f"resources of plan: {away['error']}".replace('"', "?") in store.platoon.ctl("graph").stdout
