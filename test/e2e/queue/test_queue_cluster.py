"""A shard of a Redis Cluster serves a backbone whose namespace is a hash tag: all of its keys are in one slot."""
import json
import re

from platoon_fixture import base_text, free_port, section, wait_until
from queue_fixture import Shop

SPACE = "{shop}:"


def shard(redis_server):
    server = redis_server("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    client = server.client()
    client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
    client.execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
    wait_until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), 60, "the cluster")
    return server


def test_a_shard_serves_it(platoon, redis_server):
    """Inbox, deliveries, a consumer, retries, delays, dead letters, verbs, listeners' messages: nothing is of another slot."""
    shop = Shop(platoon, shard(redis_server))
    shop.start({"pages": {"max_attempts": 2, "retry_min": "0s", "retry_max": "0s"}, "mails": {}}, {"indexer": {"takes": "pages", "window": 4}},
               {"namespace": "{shop}", "topic": "{type}", "facet": "{n}"})
    call = lambda name, *words: shop.redis.execute_command("FCALL", f"platoon_{name}", 1, SPACE, *words)  # noqa: E731
    for n in range(20):
        shop.redis.lpush("{shop}:platoon:inbox", json.dumps({"type": "pages", "n": n}))
    assert call("deliver", "pages", "f", json.dumps({"n": 20}))[1:] == ["pages"]
    assert shop.deliver({"n": 21}, "--topic", "pages", "--facet", "f", "--after", "500ms")["queues"] == ["pages"]
    bad = shop.deliver({"do": "again", "error": "no"}, "--topic", "pages", "--facet", "f")["id"]
    wait_until(lambda: shop.status("pages")["acked"] == 22, 60, "all to be done")
    wait_until(lambda: [letter["id"] for letter in platoon.json("queue", "dead", "pages")] == [bad], 60, "the dead letter")
    assert sorted(row["body"]["n"] for row in shop.seen() if "n" in row["body"]) == list(range(22))
    for n in range(3):
        shop.deliver(str(n), "--topic", "mails", "--facet", f"f{n}")
    assert [m["body"] for m in platoon.json("queue", "peek", "mails")] == ["0"]
    first, second = platoon.json("queue", "pull", "mails", "-n", "2")
    assert platoon.json("queue", "ack", "mails", first["receipt"]) == {"acked": 1, "lost": 0}
    assert platoon.json("queue", "again", "mails", second["receipt"], "--after", "1h") == {"again": 1, "lost": 0}
    assert platoon.json("queue", "weight", "mails", "f2", "3") == {"was": 1} and platoon.json("queue", "cap", "mails", "5") == {"was": 0}
    assert {f["facet"] for f in platoon.json("queue", "facets", "mails")["facets"]} == {"f2"}
    assert platoon.ctl("queue", "destroy", "mails").returncode == 0
    layout = re.compile(r"\{shop\}:(registered_queues|platoon:.+|pages:(facet_queue|facet_pool|active_facets|length|priorities|limit|f|\d+))")
    assert [key for key in shop.redis.keys("*") if not layout.fullmatch(key)] == [], "keys that are neither Fairway's nor below platoon:"
    slots = {shop.redis.execute_command("CLUSTER", "KEYSLOT", key) for key in shop.redis.keys("*")}
    assert len(slots) == 1 and platoon.problems() == "", "all in one slot, and nobody complains"


def test_without_a_hash_tag_it_is_said(platoon, redis_server):
    """Keys of several slots: a delivery is refused, and who looks is told why."""
    server = shard(redis_server)
    platoon.config_path.write_text(base_text(None, {"url": server.url}) + section("backbone shop", {"namespace": "shop"}) + section("queue pages", {"pattern": "pages"}))
    platoon.start(ready=False)
    refused = wait_until(lambda: (lambda done: done if done.returncode == 1 and "slot" in done.stderr else None)(
        platoon.ctl("queue", "deliver", "--topic", "pages", "x")), 60, "the refusal")
    assert "the message is not queued" in refused.stderr
