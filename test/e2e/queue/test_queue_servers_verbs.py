"""What people ask of a backbone of two servers, and what it does when one of them is away or has come back empty."""
import json

import pytest

from platoon_fixture import wait_until
from queue_fixture import gives_up
from test_queue_servers import BACKBONES, Pair


@pytest.fixture
def pair(platoon, redis_server):
    return Pair(platoon, [redis_server(), redis_server()])


COUNT = 32  # of messages that each go to either of two servers: that one has none of them is no matter of luck


def filled(pair, count=COUNT):
    """On both servers; how many on each."""
    for n in range(count):
        pair.deliver(n)
    assert sum(pair.waiting()) == count and min(pair.waiting()) > 0, "a server that nobody chose"
    return pair.waiting()


def pulled(pair, count):
    found = []
    while len(found) < count:
        found += pair.platoon.json("queue", "pull", "pages", "-n", "4")
    return found


def test_peek_shows_what_is_next_on_each(pair):
    pair.start({"pages": {}})
    waiting = filled(pair)
    shown = pair.platoon.json("queue", "peek", "pages", "-n", "100")
    assert [sum(m["server"] == name for m in shown) for name in "ab"] == waiting
    assert all(m["id"].endswith("@" + m["server"]) and m["facet"] == "f" for m in shown)
    assert sorted(json.loads(m["body"])["n"] for m in shown) == list(range(COUNT))
    assert pair.platoon.json("queue", "peek", "pages", "--facet", "nobody") == [] and pair.waiting() == waiting


def test_top_is_of_both(pair):
    pair.start({"pages": {}})
    waiting = filled(pair)
    text = pair.platoon.ctl("--timeout", "60s", "queue", "top", "pages", "-n", "1").stdout
    assert "QUEUE" in text and "1 of 1 facets" in text, text
    looks = pair.platoon.ctl("--json", "--timeout", "60s", "queue", "top", "pages", "-n", "2", "--every", "100ms").stdout.splitlines()
    assert len(looks) == 2
    for look in map(json.loads, looks):
        assert look["queue"]["waiting"] == COUNT and [row["waiting"] for row in look["queue"]["servers"]] == waiting
        assert [(f["facet"], f["waiting"], f["servers"]) for f in look["sweep"]["facets"]] == [("f", COUNT, ["a", "b"])]


def test_again_goes_to_whose_it_is(pair):
    pair.start({"pages": {}})
    waiting = filled(pair)
    receipts = [m["receipt"] for m in pulled(pair, COUNT)]
    assert pair.waiting() == [0, 0]
    assert pair.platoon.json("queue", "again", "pages", *receipts[:8], "--after", "0s", "--reason", "not now") == {"again": 8, "lost": 0}
    assert pair.platoon.json("queue", "again", "pages", *receipts[8:], "--after", "1h") == {"again": COUNT - 8, "lost": 0}
    assert [int(r.zcard("shop:platoon:pages:later")) + n for r, n in zip(pair.redis, pair.waiting())] == waiting
    status = pair.status()
    assert (status["waiting"], status["delayed"], status["in_flight"]) == (8, COUNT - 8, 0)
    again = pulled(pair, 8)
    assert {m["attempt"] for m in again} == {2} and {m["receipt"] for m in again} == {r.replace(".1@", ".2@") for r in receipts[:8]}
    lost = pair.platoon.ctl("--json", "queue", "again", "pages", *receipts[:2])
    assert lost.returncode == 1 and json.loads(lost.stdout) == {"again": 0, "lost": 2}


def test_unregister_is_done_on_both(pair):
    pair.start({"pages": {}})
    assert pair.platoon.ctl("queue", "register", "mails", "^mail").returncode == 0
    answer = pair.platoon.json("queue", "unregister", "mails")
    assert [(row["server"], row["was"]) for row in answer["servers"]] == [("a", "other"), ("b", "other")]
    assert [r.hexists("shop:registered_queues", "mails") for r in pair.redis] == [False, False]
    assert [r.hexists("shop:platoon:queues", "mails") for r in pair.redis] == [True, True], "its messages can still be pulled"
    for _ in range(12):
        assert pair.platoon.json("queue", "deliver", "--topic", "mails", "x")["queues"] == []


def test_wait_names_who_does_not_answer(pair):
    """Nobody can say that a server that is away has nothing; when it is back, wait ends by itself."""
    pair.start({"pages": {}})
    assert pair.platoon.ctl("--timeout", "60s", "queue", "wait", "pages").returncode == 0
    filled(pair)
    pair.servers[1].stop()
    wait_until(lambda: pair.platoon.workers()[BACKBONES[1]]["trouble"], 60, "its backbone worker to say so")
    refused = pair.platoon.ctl("--timeout", "60s", "queue", "wait", "pages")
    assert refused.returncode == 1 and "edis" in refused.stderr, refused
    pair.servers[1].start()
    wait_until(lambda: pair.platoon.ctl("queue", "status", "pages").stderr == "", 60, "both to answer")
    gives_up(pair.platoon, f"{COUNT} waiting", "queue", "wait", "pages")
    receipts = [m["receipt"] for m in pulled(pair, COUNT)]
    assert pair.platoon.json("queue", "ack", "pages", *receipts) == {"acked": COUNT, "lost": 0}
    assert pair.platoon.ctl("--timeout", "60s", "queue", "wait", "pages").returncode == 0


def test_a_server_comes_back_empty(pair):
    """What it had is lost, and nothing else: it is registered there again, and deliveries and consumers go on, on both."""
    pair.start({"pages": {}}, {"indexer": {"takes": "pages", "window": 4}})
    pair.platoon.ctl("queue", "pause", "pages")
    waiting = filled(pair)
    pair.redis[1].flushall()
    for kind in ("SCRIPT", "FUNCTION"):
        pair.redis[1].execute_command(kind, "FLUSH")
    wait_until(lambda: pair.redis[1].hget("shop:registered_queues", "pages") == "pages" and pair.redis[1].hexists("shop:platoon:queues", "pages"), 60, "the queue to be registered there again")
    wait_until(lambda: pair.status()["servers"][1]["waiting"] == 0 and pair.platoon.ctl("queue", "status", "pages").stderr == "", 60, "it to answer")
    assert pair.status()["waiting"] == waiting[0] and not pair.status()["servers"][1]["paused"] and pair.status()["paused"], "what was said of it is gone with it"
    assert pair.platoon.ctl("queue", "resume", "pages").returncode == 0
    answers = [pair.deliver(100 + n) for n in range(COUNT)]
    assert {a["id"].split("@")[1] for a in answers} == {"a", "b"}
    wait_until(lambda: len(pair.seen()) >= waiting[0] + COUNT, 60, "all that was not lost")
    bodies = [row["body"]["n"] for row in pair.seen()]
    assert len(bodies) == len(set(bodies)) == waiting[0] + COUNT and set(range(100, 100 + COUNT)) <= set(bodies)
    assert pair.platoon.ctl("--timeout", "60s", "queue", "wait", "pages").returncode == 0
