"""Queues from delivery to consumer: done, again, bury, deaths, the inbox, what the tool shows."""
import json
import os
import re
import signal
import subprocess

from health_client import get
from platoon_fixture import wait_until


def test_a_delivery_comes_to_a_consumer_and_is_done(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    answer = shop.deliver({"user": 7}, "--topic", "u:pages:1", "--facet", "u")
    assert answer["queues"] == ["pages"] and int(answer["id"]) > 0
    wait_until(lambda: shop.seen(), 30, "the task")
    task = shop.seen()[0]
    assert task["queue"] == "pages" and task["id"] == f"pages/{answer['id']}" and task["attempt"] == 1
    assert task["facet"] == "u" and task["body"] == {"user": 7} and task["at_ms"] > 0
    shop.empty("pages")
    wait_until(lambda: shop.status("pages")["acked"] == 1, 30, "the ack")
    assert shop.redis.hlen("shop:platoon:pages:held") == 0
    status = shop.status("pages")
    assert status["oldest_ms"] is None and {key: status[key] for key in ("queue", "backbone", "pattern", "raw", "paused", "waiting", "in_flight", "delayed",
                                                                         "dead", "facets", "delivered", "acked", "retried", "expired", "late")} == {
        "queue": "pages", "backbone": "shop", "pattern": status["pattern"], "raw": False, "paused": False, "waiting": 0, "in_flight": 0, "delayed": 0,
        "dead": 0, "facets": 0, "delivered": 1, "acked": 1, "retried": 0, "expired": 0, "late": 0}


def test_a_topic_that_nobody_wants_is_said(shop):
    shop.start({"pages": {}})
    assert shop.deliver("x", "--topic", "other", "--facet", "u")["queues"] == []


def test_what_is_to_be_tried_again_comes_again_and_then_is_dead(shop):
    shop.start({"pages": {"max_attempts": 3, "retry_min": "0s", "retry_max": "0s"}}, {"indexer": {"takes": "pages"}})
    good = shop.deliver({"do": "again", "until": 3}, "--topic", "pages")["id"]
    bad = shop.deliver({"do": "again", "error": "no such page"}, "--topic", "pages")["id"]
    shop.empty("pages")
    wait_until(lambda: shop.status("pages")["dead"] == 1, 30, "the dead letter")
    tries = [row["attempt"] for row in shop.seen() if row["id"].endswith(good)]
    assert tries == [1, 2, 3]
    letters = shop.platoon.json("queue", "dead", "pages")
    assert [(row["id"], row["reason"], row["attempts"]) for row in letters] == [(bad, "no such page", 3)]
    shown = shop.platoon.json("queue", "dead", "pages", "show", bad)
    assert json.loads(shown[0]["body"])["error"] == "no such page"
    assert shop.platoon.json("queue", "dead", "pages", "retry", "all") == {"count": 1}
    wait_until(lambda: len([row for row in shop.seen() if row["id"].endswith(bad)]) == 6, 30, "three more tries")
    wait_until(lambda: shop.status("pages")["dead"] == 1, 30, "the dead letter again")
    assert shop.platoon.json("queue", "dead", "pages", "drop", bad) == {"count": 1}
    assert shop.platoon.json("queue", "dead", "pages") == []
    assert shop.platoon.ctl("queue", "dead", "pages", "drop", bad).returncode == 5


def test_bury(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    shop.deliver({"do": "bury", "error": "broken"}, "--topic", "pages")
    wait_until(lambda: [row["reason"] for row in shop.platoon.json("queue", "dead", "pages")] == ["broken"], 30, "the dead letter")
    [letter] = shop.platoon.json("queue", "dead", "pages", "-n", "1")
    assert letter["facet"] and letter["attempts"] == 1 and letter["at_ms"] > 0


def test_again_not_before_a_while(shop):
    shop.start({"pages": {"retry_min": "0s", "retry_max": "0s"}}, {"indexer": {"takes": "pages"}})
    shop.deliver({"do": "again", "after_ms": 3600000}, "--topic", "pages")
    shop.deliver({"n": 2}, "--topic", "pages")
    wait_until(lambda: shop.status("pages")["acked"] == 1, 30, "the one behind it")
    status = shop.status("pages")
    assert (status["delayed"], status["retried"], status["waiting"], status["oldest_ms"]) == (1, 1, 0, None)
    assert [row["attempt"] for row in shop.seen()] == [1, 1]


def test_a_delayed_one_comes_when_it_is_due(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    shop.deliver({"n": 2}, "--topic", "pages", "--after", "1h")
    begun = shop.now_ms()
    shop.deliver({"n": 1}, "--topic", "pages", "--after", "1s")
    wait_until(lambda: shop.bodies() == [{"n": 1}], 30, "the task")
    assert shop.now_ms() - begun >= 1000
    wait_until(lambda: shop.status("pages")["acked"] == 1, 30, "the ack")
    assert shop.status("pages")["delayed"] == 1 and shop.bodies() == [{"n": 1}]


def test_the_inbox_and_its_templates(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}}, {"topic": "{user_id}:{type}", "facet": "{user_id}"})
    shop.redis.lpush("shop:platoon:inbox", json.dumps({"user_id": 7, "type": "pages"}), "plain", json.dumps({"user_id": 8, "type": "pages"}))
    wait_until(lambda: len(shop.seen()) == 2, 30, "both tasks")
    assert [row["facet"] for row in shop.seen()] == ["7", "8"]
    wait_until(lambda: shop.redis.llen("shop:platoon:inbox") == 0, 30, "an empty inbox")
    letters = wait_until(lambda: shop.platoon.json("queue", "dead", "inbox"), 30, "the dead letter")
    assert len(letters) == 1 and "no field user_id" in letters[0]["reason"]


def test_a_consumer_that_dies_gives_back_at_once_and_is_buried_for_it(shop):
    """Of its window there is room, for which something is waited for: what it gives back is not taken for nobody."""
    shop.start({"pages": {"max_attempts": 2}}, {"indexer": {"takes": "pages", "window": 3, "backoff_min": "10ms", "backoff_max": "50ms"}})
    shop.deliver({"do": "die"}, "--topic", "pages")
    wait_until(lambda: shop.status("pages")["dead"] == 1, 60, "the dead letter")
    letter = shop.platoon.json("queue", "dead", "pages")[0]
    assert letter["attempts"] == 2 and "indexer.1 died" in letter["reason"]
    shop.deliver({"n": 2}, "--topic", "pages")
    wait_until(lambda: shop.bodies()[-1] == {"n": 2}, 60, "the next task")
    shop.empty("pages")


def test_a_queue_workers_death_costs_no_second_hand_out(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages", "window": 3}})
    for n in range(3):
        shop.deliver({"do": "hold", "n": n}, "--topic", "pages")
    wait_until(lambda: len(shop.seen()) == 3, 30, "three tasks")
    before = shop.platoon.workers()["queue/shop/pages.1"]
    os.kill(before["pid"], signal.SIGKILL)
    shop.platoon.replaced(before)
    shop.pass_seconds(4)  # longer than the successor waits for what is held
    assert shop.status("pages")["in_flight"] == 3
    for row in shop.seen():
        shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "done", "id": row["id"]}))
    shop.empty("pages")
    assert len(shop.seen()) == 3 and shop.status("pages")["acked"] == 3


def test_a_long_job_keeps_its_lease(shop):
    """Though another is there to take it; and so do those that its consumer has before it needs them."""
    shop.start({"pages": {"lease": "6s"}}, {"indexer": {"takes": "pages", "processes": 2, "window": 2}})
    for n in range(3):
        shop.deliver({"do": "hold", "n": n}, "--topic", "pages")
    wait_until(lambda: len(shop.seen()) == 3, 30, "the tasks")
    leases = lambda: dict(shop.redis.zrange("shop:platoon:pages:leases", 0, -1, withscores=True))
    over = max(leases().values())
    wait_until(lambda: shop.now_ms() > over + 1000 and min(leases().values()) > over + 6000, 60, "each to have been renewed again and again")
    assert len(shop.seen()) == 3 and shop.status("pages")["in_flight"] == 3


def test_two_queues_share_a_window(shop):
    shop.start({"aa": {}, "bb": {}}, {"indexer": {"takes": "aa*3 bb", "window": 4}})
    for n in range(12):
        shop.deliver({"do": "hold", "n": n}, "--topic", "aa bb")
    wait_until(lambda: len(shop.seen()) == 4, 30, "a full window")
    wait_until(lambda: shop.status("aa")["in_flight"] + shop.status("bb")["in_flight"] >= 4, 30, "what is in hands")
    assert len(shop.seen()) == 4


def test_redis_away(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    shop.deliver({"do": "hold"}, "--topic", "pages")
    wait_until(lambda: shop.seen(), 30, "the task")
    shop.server.stop()
    refused = wait_until(lambda: (lambda done: done if done.returncode == 1 and "the message is not queued" in done.stderr else None)(
        shop.platoon.ctl("queue", "deliver", "--topic", "pages", "x")), 30, "the refusal")
    assert "redis" in refused.stderr.lower()
    shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "done", "id": shop.seen()[0]["id"]}))
    shop.server.start()
    wait_until(lambda: shop.platoon.ctl("queue", "status", "pages").returncode == 0, 60, "Redis again")
    shop.empty("pages")
    assert shop.status("pages")["acked"] == 1 and len(shop.seen()) == 1


def test_flushall_is_made_good(shop):
    shop.start({"pages": {}, "idle": {}, "raw": {"raw": True}}, {"indexer": {"takes": "pages"}})
    wait_until(lambda: shop.redis.hexists("shop:platoon:inbox:stats", "born"), 60, "a backbone worker that knows it")
    shop.redis.flushall()
    shop.redis.script_flush()
    shop.redis.execute_command("FUNCTION", "FLUSH")
    # Also those that nobody takes from, and whose queue worker therefore asks for nothing.
    wait_until(lambda: shop.redis.hgetall("shop:registered_queues") == {"pages": "pages", "idle": "idle", "raw": "raw"}, 60, "all to be registered again")
    assert shop.deliver({"n": 1}, "--topic", "pages")["queues"] == ["pages"]
    wait_until(lambda: shop.bodies() == [{"n": 1}], 30, "the task")


def test_an_actor_delivers(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "deliver", "id": "a", "topic": "pages", "facet": "f", "body": {"n": 1}}))
    wait_until(lambda: shop.seen("delivered") and shop.seen(), 30, "both events")
    assert shop.seen("delivered")[0]["queues"] == ["pages"] and shop.bodies() == [{"n": 1}]
    assert shop.seen("delivered")[0]["id"] == "a" and f'pages/{shop.seen("delivered")[0]["message"]}' == shop.seen()[0]["id"]
    late = {"do": "deliver", "id": "b", "backbone": "shop", "topic": "pages", "facet": "f", "body": {"n": 2}, "after_ms": 3600000}
    shop.platoon.ctl("send", "indexer.1", json.dumps(late))
    shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "deliver", "id": "c", "topic": "t" * 513, "facet": "f", "body": {"n": 3}}))
    wait_until(lambda: len(shop.seen("delivered")) == 3, 30, "the answers to both")
    assert shop.status("pages")["delayed"] == 1 and shop.bodies() == [{"n": 1}]
    [refused] = [row for row in shop.seen("delivered") if row["id"] == "c"]  # which may be sooner than what Redis is asked for
    assert "its topic has 513 bytes, more than 512" in refused["error"] and "queues" not in refused


def test_unknown_queue(shop):
    shop.start({"pages": {}})
    done = shop.platoon.ctl("queue", "status", "nothing")
    assert done.returncode == 5 and "there is no queue nothing" in done.stderr


def test_how_long_messages_wait_is_shown(shop):
    shop.start({"pages": {"wait_max": "1s"}}, {})
    shop.deliver({"n": 1}, "--topic", "pages")
    wait_until(lambda: "the oldest message has waited" in shop.platoon.problems(), 30, "the trouble")
    shop.platoon.config_path.write_text(shop.text({"pages": {"wait_max": "1s"}}, {"indexer": {"takes": "pages"}}))
    assert shop.platoon.ctl("reload").returncode == 0
    wait_until(lambda: "the oldest message has waited" not in shop.platoon.problems(), 30, "its end")
    waited = wait_until(lambda: shop.status("pages")["wait_p50_ms"], 30, "the median")
    assert waited >= 1000 and shop.status("pages")["wait_p99_ms"] >= waited
    text = shop.platoon.ctl("queue", "status").stdout
    assert "P99" in text and "pages" in text


def test_a_raw_queue_is_pulled_by_others(shop):
    shop.start({"pages": {"raw": True}}, {})
    assert shop.deliver("body", "--topic", "pages", "--facet", "f")["queues"] == ["pages"]
    assert "queue/shop/pages.1" not in shop.platoon.workers()
    assert shop.redis.rpop("shop:pages:f") == "body" and shop.redis.lrange("shop:pages:facet_queue", 0, -1) == ["f"]
    assert shop.status("pages")["raw"] is True


def test_work_that_takes_too_long_is_anothers(shop):
    shop.start({"pages": {"work_max": "5s", "max_attempts": 2}}, {"indexer": {"takes": "pages"}})
    shop.deliver({"do": "hold", "until": 2}, "--topic", "pages")
    wait_until(lambda: shop.seen("lost"), 30, "the loss")
    shop.empty("pages")
    assert [row["attempt"] for row in shop.seen()] == [1, 2] and shop.status("pages")["acked"] == 1


# A program that works on one after the other, 1 s each.
SERIAL = r'''
import json, os, sys, time
out = open(os.environ["SEEN"], "a", buffering=1)
for line in sys.stdin:
    event = json.loads(line)
    if event["event"] in ("task", "lost"):
        out.write(line)
    if event["event"] == "task":
        time.sleep(1)
        print(json.dumps({"do": "done", "id": event["id"]}), flush=True)
'''


def test_what_waits_in_a_window_is_not_lost_for_it(shop):
    """work_max is from when the consumer is at it: the last of twelve has waited longer than that in its window."""
    (shop.platoon.dir / "consumer.py").write_text(SERIAL)
    shop.start({"pages": {"work_max": "8s"}}, {"indexer": {"takes": "pages", "window": 12}})
    for n in range(12):
        shop.deliver({"n": n}, "--topic", "pages")
    wait_until(lambda: shop.status("pages")["acked"] == 12, 90, "all twelve to be done")
    assert shop.seen("lost") == [] and [row["attempt"] for row in shop.seen()] == [1] * 12 and shop.status("pages")["retried"] == 0


def test_lines_of_the_standard_input(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages", "window": 10}})
    done = subprocess.run([shop.platoon.build / "platoonctl", "-s", shop.platoon.dir / "run/control.sock", "--timeout", "40s", "queue", "deliver", "--topic", "pages"],
                          input="one\ntwo\n\nthree\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count(": pages") == 3, done
    wait_until(lambda: len(shop.seen()) == 3, 30, "three tasks")
    assert shop.bodies() == ["one", "two", "three"]


def test_metrics_and_readiness(shop):
    """What waits is told to Prometheus; what waits longer than wait_max makes platoon not ready."""
    text = shop.text({"pages": {"wait_max": "1s"}}, {}).replace("platoon {", f'platoon {{ health = "unix:{shop.platoon.dir}/h.sock"', 1)
    shop.platoon.config_path.write_text(text)
    shop.platoon.start()
    wait_until(lambda: get(shop.platoon, "/readyz")[0] == 200, 60, "it to be ready")

    def value(name):
        found = re.search(rf'^platoon_{name}\{{[^}}]*queue/shop/pages\.1[^}}]*\}} (\d+)', get(shop.platoon, "/metrics")[1], re.M)
        return int(found[1]) if found else None
    gauges = ["queue_waiting", "queue_delayed", "queue_dead", "queue_oldest", "in_flight", "queue_wait_p50", "queue_wait_p99"]
    wait_until(lambda: [value(gauge) for gauge in gauges] == [0] * len(gauges), 60, "gauges of what is not there: 0, and not absent")
    shop.deliver({"n": 1}, "--topic", "pages")
    shop.deliver({"n": 2}, "--topic", "pages", "--after", "1h")
    status, body = wait_until(lambda: (lambda answer: answer if answer[0] == 503 else None)(get(shop.platoon, "/readyz")), 60, "503")
    assert "queue/shop/pages.1" in body and "the oldest message has waited" in body
    wait_until(lambda: (value("queue_waiting"), value("queue_delayed")) == (1, 1) and value("queue_oldest") >= 1000, 60, "the gauges")
    shop.deliver({"do": "hold"}, "--topic", "pages")
    consumer = shop.text({}, {"indexer": {"takes": "pages"}})
    shop.platoon.config_path.write_text(text + consumer[consumer.index("program indexer"):])
    assert shop.platoon.ctl("reload").returncode == 0
    wait_until(lambda: get(shop.platoon, "/readyz")[0] == 200, 60, "nothing to wait any more")
    wait_until(lambda: (value("queue_waiting"), value("in_flight")) == (0, 1), 60, "what is in hands")
    wait_until(lambda: value("queue_wait_p99") >= value("queue_wait_p50") >= 1, 60, "how long they had waited")
