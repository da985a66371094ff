"""Several backbone workers of one backbone: they share inbox and deliveries, and the end of one costs nothing that was taken in."""
import json
import os
import signal

from platoon_fixture import wait_until

WORKERS = [f"queue/shop/backbone.{n}" for n in (1, 2, 3)]


def delivered(shop, name):
    return (shop.platoon.workers()[name]["counters"] or {}).get("queue_delivered_total", 0)


def fill(shop, numbers):
    with shop.redis.pipeline(transaction=False) as many:
        for n in numbers:
            many.lpush("shop:platoon:inbox", json.dumps({"topic": "pages", "n": n}))
        many.execute()


def numbers(shop):
    return sorted(json.loads(m["body"])["n"] for m in shop.platoon.json("queue", "peek", "pages", "-n", "1000"))


def test_the_inbox_is_shared_and_nothing_comes_twice(shop):
    shop.start({"pages": {}}, backbone={"workers": 3})
    for start in range(0, 900, 30):
        fill(shop, range(start, start + 30))
    wait_until(lambda: shop.status("pages")["waiting"] == 900, 60, "all to be queued")
    assert shop.redis.llen("shop:platoon:inbox") == 0 and shop.status("pages")["delivered"] == 900
    assert numbers(shop) == list(range(900))
    wait_until(lambda: sum(delivered(shop, name) for name in WORKERS) == 900, 60, "each to be counted once")


def test_one_dies_while_it_takes_the_inbox(shop):
    shop.start({"pages": {}}, backbone={"workers": 3})
    for round_, name in enumerate(WORKERS):
        victim = shop.platoon.workers()[name]
        fill(shop, range(round_ * 300, round_ * 300 + 300))
        os.kill(victim["pid"], signal.SIGKILL)
        shop.platoon.replaced(victim)
    wait_until(lambda: shop.status("pages")["waiting"] == 900, 60, "all to be queued")
    assert numbers(shop) == list(range(900)) and shop.redis.llen("shop:platoon:inbox") == 0


def test_deliveries_of_workers_are_spread(shop):
    shop.start({"pages": {"pattern": "^pages"}, "none": {"pattern": "^none"}}, {"giver": {"takes": "none", "processes": 3}}, backbone={"workers": 3})

    def give():
        for n in (1, 2, 3):
            shop.platoon.ctl("send", f"giver.{n}", json.dumps({"do": "deliver", "id": "a", "topic": "pages", "facet": "f", "body": {"n": n}}))
        return all(delivered(shop, name) > 0 for name in WORKERS)
    wait_until(give, 60, "each of the three to have some")
    answered = lambda: shop.seen("delivered")
    wait_until(lambda: len(answered()) == shop.status("pages")["waiting"], 60, "each to be answered")
    assert all("error" not in row for row in answered())


def test_who_delivers_goes_to_another_when_one_is_gone(shop):
    shop.start({"pages": {"pattern": "^pages"}}, {"giver": {}}, backbone={"workers": 2})
    give = lambda n: shop.platoon.ctl("send", "giver.1", json.dumps({"do": "deliver", "id": str(n), "backbone": "shop", "topic": "pages", "facet": "f", "body": n}))
    give(0)
    wait_until(lambda: len(shop.seen("delivered")) == 1, 60, "the first answer")
    for n, name in enumerate(["queue/shop/backbone.1", "queue/shop/backbone.2"]):
        assert shop.platoon.ctl("--timeout", "60s", "stop", name).returncode == 0
        give(n + 1)
        wait_until(lambda: len(shop.seen("delivered")) == n + 2, 60, "the answer of the other one")
        assert shop.platoon.ctl("queue", "status", "pages").returncode == 0, "the other one answers for the queues"
        assert shop.platoon.ctl("--timeout", "60s", "start", name).returncode == 0
    assert [row.get("queues") for row in shop.seen("delivered")] == [["pages"]] * 3
    assert shop.status("pages")["waiting"] == 3


def test_each_knows_how_long_messages_wait(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}}, backbone={"workers": 2})
    shop.deliver({"n": 1}, "--topic", "pages")
    wait_until(lambda: shop.status("pages")["wait_p50_ms"] is not None, 60, "the first one to know")
    assert shop.platoon.ctl("--timeout", "60s", "stop", "queue/shop/backbone.1").returncode == 0
    wait_until(lambda: shop.status("pages")["wait_p50_ms"] is not None, 60, "the second one to know")
    assert shop.platoon.ctl("--timeout", "60s", "start", "queue/shop/backbone.1").returncode == 0
    wait_until(lambda: shop.platoon.workers()["queue/shop/backbone.1"]["state"] == "READY", 60, "the first one")
    assert shop.platoon.ctl("--timeout", "60s", "stop", "queue/shop/backbone.2").returncode == 0
    wait_until(lambda: shop.status("pages")["wait_p50_ms"] is not None, 60, "its successor to know")
