"""kill -9, a standstill and a failure at each step of inbox, pull, task, settle and adopt: nothing is lost, nothing that was acked comes again, and what the
death of a queue or backbone worker costs is no second hand-out."""
import collections
import contextlib
import json
import os
import pathlib
import re
import signal

import pytest

from platoon_fixture import wait_until
from queue_fixture import Shop

ROOT = pathlib.Path(__file__).resolve().parents[3]

# The worker that is at it, by point. ADOPTING: those that a new queue worker comes to, whose predecessor has left messages in hands.
WORKING = {"backbone.before-take": "queue/shop/backbone.1", "backbone.after-take": "queue/shop/backbone.1",
           **{f"queue.{step}": "queue/shop/pages.1" for step in ("after-pull", "after-task", "before-settle", "after-settle")}}
ADOPTING = {f"queue.{step}": "queue/shop/pages.1" for step in ("before-adopt", "after-adopt", "before-disown", "after-disown")}
CONSUMING = ["queue-taker.after-task", "queue-taker.before-settle", "queue-taker.after-settle"]
HELD = "queue-taker.before-held"

COUNT = 60


@pytest.fixture
def shop(faulty, redis_server):
    return Shop(faulty, redis_server())


def start(shop, processes, window):
    """A queue worker that dies in the midst of it leaves nothing that only its lease would bring back: that is longer than the test."""
    shop.start({"pages": {"lease": "1h", "retry_min": "0s", "retry_max": "0s"}}, {"indexer": {"takes": "pages", "processes": processes, "window": window}})
    shop.platoon.ctl("wait", "ready")
    return shop


def fill(shop, count=COUNT, **body):
    """By the inbox, as anybody does."""
    bodies = [json.dumps({"n": n, "topic": "pages", "facet": f"f{n % 3}", **body}) for n in range(count)]
    shop.redis.lpush("shop:platoon:inbox", *bodies)


def receipts(shop):
    return collections.Counter((row["id"], row["attempt"]) for row in shop.seen())


def acked(shop):
    """Of Redis itself: who would answer may be the one that has died."""
    return int(shop.redis.hget("shop:platoon:pages:stats", "acked") or 0)


def ended(shop, count=COUNT):
    """All of it is acked once, and nothing of it is left in Redis."""
    wait_until(lambda: shop.redis.llen("shop:platoon:inbox") == 0, 60, "an empty inbox")
    wait_until(lambda: acked(shop) == count, 60, "all to be acked")
    wait_until(lambda: all(w["state"] == "READY" for w in shop.platoon.workers().values()), 60, "all to be ready")
    shop.empty("pages")
    status = shop.status("pages")
    assert (status["acked"], status["dead"], status["expired"], status["delivered"]) == (count, 0, 0, count)
    left = lambda: [key for key in shop.redis.keys("shop:*") if key.split(":")[-1] in ("held", "leases", "later", "flight", "facet_queue", "facet_pool", "active_facets")]
    wait_until(lambda: not left(), 60, lambda: f"nothing to be left of it: {left()}")
    assert sorted({body["n"] for body in shop.bodies()}) == list(range(count))
    assert set(receipts(shop).values()) == {1}, "no receipt is handed out twice"


def visited(order):
    wait_until(lambda: not order.exists(), 60, f"somebody to come to {order.name}")


def test_every_point_is_visited():
    found = {point for path in (ROOT / "workers/queue").rglob("*.c") for point in re.findall(r'FAULT_POINT\("([^"]+)"', path.read_text())}
    assert found == {*WORKING, *ADOPTING, *CONSUMING, HELD}


@pytest.mark.parametrize("kind", ["kill", "stall", "error"])
@pytest.mark.parametrize("point", WORKING)
def test_at_work(shop, point, kind):
    shop.text_redis = {"retry_max": "300ms"}
    start(shop, processes=2, window=4)
    before = shop.platoon.workers()
    order = shop.platoon.fault(point, kind)
    fill(shop)
    visited(order)
    if kind == "stall":  # what the master does after hang_timeout, at once
        with contextlib.suppress(ProcessLookupError):  # it has
            os.kill(before[WORKING[point]]["pid"], signal.SIGKILL)
    ended(shop)
    assert len(shop.seen()) == COUNT, "no second hand-out"
    after = shop.platoon.workers()
    replaced = [name for name, w in after.items() if w["generation"] != before[name]["generation"]]
    assert replaced == ([] if kind == "error" else [WORKING[point]])


@pytest.mark.parametrize("kind", ["kill", "error"])
@pytest.mark.parametrize("point", ADOPTING)
def test_adopting(shop, point, kind):
    """What is in hands stays there, whichever of several queue workers in a row dies at it; and whoever else's death it may be."""
    start(shop, processes=1, window=4)
    fill(shop, do="hold", count=4)
    wait_until(lambda: len(shop.seen()) == 4, 60, "a full window")
    victim = shop.platoon.workers()["queue/shop/pages.1"]
    order = shop.platoon.fault(point, kind)
    os.kill(victim["pid"], signal.SIGKILL)
    visited(order)
    wait_until(lambda: shop.platoon.workers()["queue/shop/pages.1"]["generation"] == victim["generation"] + (2 if kind == "kill" else 1), 60, "its successor")
    shop.pass_seconds(4)  # longer than a successor waits for what is held
    assert shop.status("pages")["in_flight"] == 4 and len(shop.seen()) == 4
    for row in shop.seen():
        shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "done", "id": row["id"]}))
    ended(shop, 4)
    assert len(shop.seen()) == 4, "no second hand-out"


def test_a_consumer_that_dies_before_it_tells_what_it_has(shop):
    """And the queue worker that had handed it out is dead too: nobody holds it any more, and it comes again without waiting for its lease."""
    start(shop, processes=1, window=4)
    fill(shop, do="hold", until=2, count=4)
    wait_until(lambda: len(shop.seen()) == 4, 60, "a full window")
    order = shop.platoon.fault(HELD)
    os.kill(shop.platoon.workers()["queue/shop/pages.1"]["pid"], signal.SIGKILL)
    visited(order)
    ended(shop, 4)
    assert len(shop.seen()) == 8


@pytest.mark.parametrize("point", CONSUMING)
def test_a_consumer_dies(shop, point):
    """What it had comes again; what it had settled, and told, does not: of that at most one is under way."""
    start(shop, processes=2, window=4)
    order = shop.platoon.fault(point)
    fill(shop)
    visited(order)
    ended(shop)
    again = collections.Counter(body["n"] for body in shop.bodies())
    assert max(again.values()) <= 2 and len(shop.seen()) - COUNT <= 4, "no more than its window"
