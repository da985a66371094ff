"""Queues whose Redis fails over by real Sentinels: what was in hands is settled at the new primary, and work goes on there."""
import json

import redis

from platoon_fixture import wait_until
from queue_fixture import Shop
from sentinel_fixture import NAME, url_of, watched


def ordered(sentinel):
    """Refused until it has seen a replica that is good for it."""
    try:
        return sentinel.client().execute_command("SENTINEL", "FAILOVER", NAME)
    except redis.ResponseError:
        return False


def role(server):
    """None while it closes its clients' connections, this one too: a Sentinel that gives it another role has it do that."""
    try:
        return server.client().info("replication")["role"]
    except redis.ConnectionError:
        return None


def test_what_is_in_hands_is_settled_at_the_new_primary(platoon, redis_server):
    first, second = redis_server(), redis_server()
    first.open_port(), second.open_port()
    with watched(first, second) as sentinels:
        for sentinel in sentinels:  # the order alone is what it fails over for, and not that a server stands still for a second
            sentinel.client().execute_command("SENTINEL", "SET", NAME, "down-after-milliseconds", 60000, "failover-timeout", 60000)
        shop = Shop(platoon, first)
        shop.text_redis = {"url": url_of(sentinels), "retry_max": "300ms"}
        shop.start({"pages": {}}, {"indexer": {"takes": "pages", "window": 2}})
        for n in range(5):
            shop.deliver({"do": "hold", "n": n}, "--topic", "pages")
        wait_until(lambda: len(shop.seen()) == 2, 60, "a full window")
        wait_until(lambda: second.client().zcard("shop:platoon:pages:leases") == 2 and second.client().get("shop:pages:length") == b"3", 60, "the replica to have it all")
        wait_until(lambda: ordered(sentinels[0]), 60, "the order to be taken")
        wait_until(lambda: role(second) == "master", 60, "the other to be the primary")
        wait_until(lambda: role(first) == "slave", 60, "this one to know")
        settled = set()

        def all_is_done():
            for row in shop.seen():
                if row["id"] not in settled:
                    settled.add(row["id"])
                    shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "done", "id": row["id"]}))
            return int(second.client().hget("shop:platoon:pages:stats", "acked") or 0) == 5
        wait_until(all_is_done, 60, "all to be acked at the new primary")
        assert sorted(row["body"]["n"] for row in shop.seen()) == list(range(5)), "each once"
        done = wait_until(lambda: (lambda d: d if d.returncode == 0 else None)(shop.platoon.ctl("queue", "deliver", "--topic", "pages", '{"n":9}')), 60, "a delivery")
        assert done.stderr == ""
        wait_until(lambda: any(row["body"]["n"] == 9 for row in shop.seen()), 60, "the next one")
