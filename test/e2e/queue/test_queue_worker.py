"""A consumer in C: etc/examples/indexer, built outside of the tree against what make install has left, on a real tree with a real redis-server."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from platoon_fixture import ASAN, BUILD, ROOT, freeze, section, wait_until


@pytest.fixture(scope="session")
def indexer(tmp_path_factory):
    """The program's path."""
    there = tmp_path_factory.mktemp("indexer")
    done = subprocess.run(["make", "-C", str(ROOT), f"BUILD={BUILD.relative_to(ROOT)}", "install", f"DESTDIR={there}/root", "PREFIX=/usr"],
                          capture_output=True, text=True, env={**os.environ, "MAKEFLAGS": ""})
    assert done.returncode == 0, done.stderr
    shutil.copytree(ROOT / "etc/examples/indexer", there / "indexer")
    done = subprocess.run(["make", "-C", str(there / "indexer"), f"CFLAGS=-Werror {'-fsanitize=address,undefined' if ASAN else ''}"],
                          capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "PKG_CONFIG_PATH": f"{there}/root/usr/lib/pkgconfig", "PKG_CONFIG_SYSROOT_DIR": "",
                               "CPATH": f"{there}/root/usr/include", "LIBRARY_PATH": f"{there}/root/usr/lib"})
    assert done.returncode == 0, done.stdout + done.stderr
    return there / "indexer/indexer"


class Indexers:
    """A shop whose queue `pages` the example takes from, and `indexed`, which it delivers to and nobody takes from."""

    def __init__(self, shop, indexer):
        self.shop, self.indexer, self.platoon = shop, indexer, shop.platoon

    def start(self, pages=None, backbone=None, **program):
        queues = {"pages": {"pattern": "^pages", "retry_min": "0s", "retry_max": "0s", **(pages or {})}, "indexed": {"pattern": "^indexed"}}
        text = self.shop.text(queues, {}, backbone)
        text += section("program indexer", {"command": str(self.indexer), "worker": True, "takes": "pages", "window": 16, **program})
        self.platoon.config_path.write_text(text)
        self.platoon.start()
        return self

    def deliver(self, *bodies, facet="f"):
        with self.shop.redis.pipeline(transaction=False) as many:
            for body in bodies:
                many.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", facet, body)
            return [answer[0] for answer in many.execute()]

    def tasks(self):
        """(id, attempt) of each task, as it logged them."""
        return [(m[1], int(m[2])) for m in re.finditer(r"^\S+ info  indexer\.\d+ task id=pages/(\d+) attempt=(\d+)", self.platoon.log(), re.M)]

    def settle(self, number, message):
        return self.platoon.ctl("send", f"indexer.{number}", f'"pages/{message}"').stdout.strip()

    def indexed(self):
        return self.shop.status("indexed")["waiting"]


@pytest.fixture
def pages(shop, indexer):
    return Indexers(shop, indexer)


def test_done_again_bury_and_what_it_delivers(pages):
    pages.start()
    good, again, bad = pages.deliver("page", "again", "bury")
    pages.shop.empty("pages")
    wait_until(lambda: len(pages.tasks()) >= 5, 60, "the log to have all tasks")
    assert sorted(pages.tasks()) == sorted([(good, 1), (bad, 1), (again, 1), (again, 2), (again, 3)])
    assert [(row["id"], row["reason"]) for row in pages.platoon.json("queue", "dead", "pages")] == [(bad, "it is no page")]
    wait_until(lambda: pages.indexed() == 2, 60, "what it has indexed")
    assert sorted(m["body"] for m in pages.platoon.json("queue", "peek", "indexed", "-n", "9")) == ["again", "page"]
    assert pages.shop.status("pages")["acked"] == 2
    wait_until(lambda: pages.platoon.workers()["indexer.1"]["doing"] == "2 indexed, 0 not told", 60, "its phrase")


def test_its_window(pages):
    pages.start(window=3)
    held = pages.deliver(*["hold"] * 5)
    wait_until(lambda: len(pages.tasks()) == 3, 60, "a full window")
    wait_until(lambda: pages.shop.status("pages")["in_flight"] == 3, 60, "the others to wait")
    assert pages.tasks() == [(i, 1) for i in held[:3]]
    assert pages.settle(1, held[0]) == "done" and pages.settle(1, held[0]) == "not in its hands"
    wait_until(lambda: len(pages.tasks()) == 4, 60, "the fourth")
    wait_until(lambda: pages.shop.status("pages")["acked"] == 1, 60, "the ack")


def test_one_that_takes_too_long_is_lost(pages):
    """And tried once more by itself, as whatever may have been a neighbour's fault."""
    pages.start({"work_max": "1s", "max_attempts": 1})
    [held] = pages.deliver("hold")
    wait_until(lambda: pages.shop.status("pages")["dead"] == 1, 60, "the dead letter")
    wait_until(lambda: pages.platoon.log().count(f" lost id=pages/{held}") == 2, 60, "both losses")
    assert pages.tasks() == [(held, 1), (held, 2)]
    assert pages.settle(1, held) == "not in its hands"
    assert "work_max" in pages.platoon.json("queue", "dead", "pages")[0]["reason"]


def test_a_consumer_that_is_killed_gives_back_at_once(pages):
    pages.start(processes=2, window=2, backoff_min="10ms")
    held = pages.deliver(*["hold"] * 4)
    wait_until(lambda: len(pages.tasks()) == 4, 60, "both windows full")
    victim = pages.platoon.workers()["indexer.1"]
    os.kill(victim["pid"], signal.SIGKILL)
    pages.platoon.replaced(victim)

    def finished():
        """What it had comes again, one after the other, as soon as somebody's hands are empty: each must be alone."""
        for message, _ in pages.tasks():
            pages.settle(1, message), pages.settle(2, message)
        return pages.shop.status("pages")["acked"] == 4

    wait_until(lambda: any(attempt == 2 for _, attempt in pages.tasks()), 60, "the second attempt, long before the lease is over")
    wait_until(finished, 60, "all to be done")
    tries = pages.tasks()
    assert sorted({i for i, _ in tries}) == sorted(held) and sorted(a for _, a in tries) == [1, 1, 1, 1, 2, 2]


def test_a_queue_worker_that_is_killed_costs_no_second_hand_out(pages):
    pages.start(window=4)
    held = pages.deliver(*["hold"] * 4)
    wait_until(lambda: len(pages.tasks()) == 4, 60, "a full window")
    victim = pages.platoon.workers()["queue/shop/pages.1"]
    freeze(victim["pid"])
    assert pages.settle(1, held[0]) == "done"  # which that one will never read
    os.kill(victim["pid"], signal.SIGKILL)
    pages.platoon.replaced(victim)
    wait_until(lambda: pages.shop.status("pages")["acked"] == 1, 60, "its successor to hear of it")
    pages.shop.pass_seconds(4)  # longer than that one waits for what is held
    assert pages.shop.status("pages")["in_flight"] == 3 and len(pages.tasks()) == 4
    for message in held[1:]:
        assert pages.settle(1, message) == "done"
    pages.shop.empty("pages")
    assert pages.shop.status("pages")["acked"] == 4 and len(pages.tasks()) == 4


def test_what_is_on_its_way_when_the_backbone_dies(pages):
    """Its outcome is unknown, and that is what is told; the next deliveries go to the successor."""
    pages.start()
    victim = pages.platoon.workers()["queue/shop/backbone.1"]
    pages.deliver("first")
    wait_until(lambda: pages.indexed() == 1, 60, "the way to the backbone to be known")
    freeze(victim["pid"])
    pages.deliver("page")
    wait_until(lambda: len(pages.tasks()) == 2, 60, "the task")
    os.kill(victim["pid"], signal.SIGKILL)
    pages.platoon.replaced(victim)
    wait_until(lambda: "whether the message is queued is unknown" in pages.platoon.log(), 60, "the answer")
    pages.deliver("another")
    wait_until(lambda: any(m["body"] == "another" for m in pages.platoon.json("queue", "peek", "indexed", "-n", "9")), 60, "the next one")


def test_an_orderly_end_costs_no_second_hand_out(pages):
    """What it has settled is heard before it ends: none of some thousands is handed out twice though it is restarted again and again."""
    pages.start(window=256)
    ids = []
    for n in range(4):
        ids += pages.deliver(*[f"page{n}.{i}" for i in range(500)])
        assert pages.platoon.ctl("--timeout", "60s", "restart", "indexer.1").returncode == 0
    pages.shop.empty("pages")
    status = pages.shop.status("pages")
    assert status["acked"] == 2000 and status["expired"] == 0 and status["late"] == 0
    wait_until(lambda: pages.indexed() >= 2000, 60, "all to be indexed")
    bodies = [json.loads(f'"{m["body"]}"') for m in pages.platoon.json("queue", "peek", "indexed", "-n", "1000")]
    assert len(set(bodies)) == len(bodies)


def test_its_end_does_not_wait_for_a_queue_worker_that_is_not_there(pages):
    pages.shop.own = {"hang_timeout": "10m"}  # it stays as it is, however long this takes
    pages.start()
    [held] = pages.deliver("hold")
    wait_until(lambda: pages.tasks(), 60, "the task")
    victim = pages.platoon.workers()["queue/shop/pages.1"]
    freeze(victim["pid"])
    assert pages.settle(1, held) == "done"
    assert pages.platoon.ctl("--timeout", "60s", "stop", "indexer.1").returncode == 0
    os.kill(victim["pid"], signal.SIGCONT)
    wait_until(lambda: pages.platoon.workers()["indexer.1"]["state"] == "STOPPED", 60, "its end")
    assert "exit 0" in pages.platoon.workers()["indexer.1"]["last_exit"] or "stopped" in pages.platoon.workers()["indexer.1"]["last_exit"]


def test_it_listens(pages):
    pages.start(listens="index*")
    wait_until(lambda: pages.deliver("page") and " published topic=" in pages.platoon.log(), 60, "what it has itself delivered")
    assert re.search(r'indexer\.1 published topic="?indexed"? body="?page"?', pages.platoon.log())
