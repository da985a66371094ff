"""What goes wrong with queues: rights, a Redis that is full or old, deaths at any moment, what is too long."""
import json
import os
import pathlib
import re
import signal

from original_client import OriginalClient
from platoon_fixture import ROOT, freeze, wait_until

HOLD = {"do": "hold"}


def rights():
    """The commands that the lists grant."""
    rows = re.findall(r'X\(BACKBONE, "([A-Z ]+)", (NEEDED|OPTIONAL|NEWER)', (ROOT / "proto/queue/queue.h").read_text())
    return [f"+{command.lower().replace(' ', '|')}" for command, _ in rows]


def test_works_with_the_rights_of_the_manual_and_no_others(shop):
    shop.redis.execute_command("ACL", "SETUSER", "q", "on", ">secret", "resetkeys", "~shop:*", "resetchannels", "&shop:*", "-@all", *rights())
    password = shop.platoon.dir / "password"
    password.write_text("q\nsecret\n")
    password.chmod(0o600)
    shop.text_redis = {"password_file": str(password)}
    shop.start({"pages": {"max_attempts": 1}}, {"indexer": {"takes": "pages"}})
    shop.deliver({"n": 1}, "--topic", "pages")
    shop.deliver({"do": "bury"}, "--topic", "pages")
    shop.redis.lpush("shop:platoon:inbox", json.dumps({"topic": "pages"}))
    wait_until(lambda: len(shop.seen()) == 3, 30, "all tasks")
    wait_until(lambda: shop.platoon.json("queue", "dead", "pages", "drop", "all") == {"count": 1}, 30, "the dead letter")
    log = shop.redis.execute_command("ACL", "LOG")
    assert [entry["object"] for entry in log] == [], log
    shop.redis.execute_command("ACL", "SETUSER", "q", "-hincrby", "-rpush")
    assert shop.platoon.ctl("queue", "deliver", "--topic", "pages", "x").returncode == 1
    wait_until(lambda: "Redis' access rules refuse HINCRBY, RPUSH" in shop.platoon.problems(), 60, "the missing rights")
    shop.redis.execute_command("ACL", "SETUSER", "q", "+hincrby", "+rpush")
    wait_until(lambda: shop.platoon.ctl("queue", "deliver", "--topic", "pages", "x").returncode == 0, 60, "the rights to be back")


def test_a_server_without_functions(platoon, redis_server):
    from queue_fixture import Shop
    shop = Shop(platoon, redis_server("--rename-command", "FUNCTION", "", "--rename-command", "FCALL", ""))
    shop.start({"pages": {"retry_min": "0s", "retry_max": "0s"}}, {"indexer": {"takes": "pages"}})
    shop.deliver({"do": "again", "until": 2}, "--topic", "pages")
    shop.redis.script_flush()
    shop.deliver({"n": 2}, "--topic", "pages")
    shop.redis.lpush("shop:platoon:inbox", json.dumps({"topic": "pages"}))
    wait_until(lambda: len(shop.seen()) == 4, 30, "all tasks")
    shop.empty("pages")
    assert "no-library" in shop.platoon.log()


def test_a_redis_that_stands_still_is_no_trouble_afterwards(shop):
    """Also not that its inbox could not be looked at, in which nothing comes in any more."""
    shop.text_redis = {"timeout": "3s"}
    shop.start({"pages": {}})
    shop.server.pause()
    try:
        wait_until(lambda: "queue/shop/backbone.1" in shop.platoon.problems(), 60, "the trouble")
    finally:
        shop.server.resume()
    wait_until(lambda: not shop.platoon.problems(), 60, lambda: f"no trouble any more: {shop.platoon.problems()}")
    assert shop.deliver({"n": 1}, "--topic", "pages")["queues"] == ["pages"]


def test_everybody_may_call_the_functions(shop):
    shop.start({"pages": {}})
    answer = shop.redis.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", "f", "body")
    assert answer[1:] == ["pages"]
    [[queue, receipt, attempt, facet, _, body]] = shop.redis.execute_command("FCALL", "platoon_pull", 1, "shop:", "me", 1, 60000, "pages")
    assert [queue, attempt, facet, body] == ["pages", 1, "f", "body"]
    assert shop.redis.execute_command("FCALL", "platoon_ack", 1, "shop:", "pages", receipt) == 1


def unanswered(shop, *words):
    """How often it was asked: worker, master or tool may have stood still when the time was over, and then it is not known who has not answered."""
    for times in range(1, 10):
        done = shop.platoon.ctl("--timeout", "4s", *words)
        assert done.returncode == 124, done
        if not re.match(r"platoonctl: (no answer to '[a-z -]+' in time: --timeout gives it more|\S+ did not answer in time: see platoonctl status \S+)\n$", done.stderr):
            break
    assert re.match(r"platoonctl: redis at \S+ has not answered for [\dms]+: whether it was done is unknown\. Is the server overloaded or stopped\?\n$", done.stderr), done
    return times


def test_a_redis_that_stands_still_is_named(shop):
    """Not the worker that waits for it; and of a delivery, that nobody knows."""
    shop.start({"pages": {}})
    shop.server.pause()
    try:
        delivered = unanswered(shop, "queue", "deliver", "--topic", "pages", "x")
        unanswered(shop, "queue", "status")
        unanswered(shop, "redis", "PING")
    finally:
        shop.server.resume()
    wait_until(lambda: shop.platoon.ctl("queue", "status").returncode == 0, 60, "Redis to be back")
    wait_until(lambda: shop.status("pages")["waiting"] == delivered, 60, "it to have come")


def test_a_full_redis_refuses_deliveries_and_takes_settlements(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    shop.deliver(HOLD, "--topic", "pages")
    wait_until(lambda: shop.seen(), 30, "the task")
    shop.redis.config_set("maxmemory", "1mb")
    refused = shop.platoon.ctl("queue", "deliver", "--topic", "pages", "x")
    assert refused.returncode == 1 and "the message is not queued" in refused.stderr and "memory" in refused.stderr.lower()
    shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "done", "id": shop.seen()[0]["id"]}))
    wait_until(lambda: shop.status("pages")["acked"] == 1, 30, "the ack")
    shop.redis.config_set("maxmemory", 0)
    assert shop.deliver("x", "--topic", "pages")["queues"] == ["pages"]


def test_a_redis_that_is_read_only_refuses_deliveries_and_settlements_wait(shop):
    shop.text_redis = {"retry_max": "300ms"}
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    shop.deliver(HOLD, "--topic", "pages")
    wait_until(lambda: shop.seen(), 30, "the task")
    shop.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    refused = wait_until(lambda: (lambda done: done if done.returncode == 1 and "the message is not queued" in done.stderr else None)(
        shop.platoon.ctl("queue", "deliver", "--topic", "pages", "x")), 60, "the refusal")
    assert "replica" in refused.stderr.lower() or "readonly" in refused.stderr.lower().replace("-", "").replace(" ", "")
    shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "done", "id": shop.seen()[0]["id"]}))
    shop.redis.execute_command("REPLICAOF", "NO", "ONE")
    wait_until(lambda: shop.redis.hget("shop:platoon:pages:stats", "acked") == "1", 60, "the ack")
    assert len(shop.seen()) == 1


def test_anybodys_delivery_wakes_an_idle_worker(shop):
    """That of the original's clients too, who know nothing of it: it waits for their list."""
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    original = OriginalClient(shop.redis, "shop:")
    for n in range(10):
        wait_until(lambda: shop.redis.info("clients")["blocked_clients"] >= 1, 60, "it to wait")
        original.deliver("pages", "f", json.dumps({"n": n}))
        wait_until(lambda: len(shop.seen()) == n + 1, 60, f"task {n}")


def test_too_long(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}}, {"message_max": "1KB"})
    refused = shop.platoon.ctl("queue", "deliver", "--topic", "pages", "x" * 2000)
    assert refused.returncode == 1 and "its body has 2000 bytes, more than message_max, 1024" in refused.stderr
    shop.redis.lpush("shop:platoon:inbox", json.dumps({"topic": "pages", "x": "x" * 2000}))
    wait_until(lambda: shop.platoon.json("queue", "dead", "inbox"), 30, "the dead letter")
    assert "more than message_max" in shop.platoon.json("queue", "dead", "inbox")[0]["reason"]


def test_a_settlement_that_a_queue_worker_took_with_it_is_told_to_its_successor(shop):
    """It dies before it has read that."""
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    shop.deliver(HOLD, "--topic", "pages")
    wait_until(lambda: shop.seen(), 30, "the task")
    before = shop.platoon.workers()["queue/shop/pages.1"]
    freeze(before["pid"])
    assert shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "done", "id": shop.seen()[0]["id"]})).returncode == 0
    os.kill(before["pid"], signal.SIGKILL)
    shop.platoon.replaced(before)
    shop.empty("pages")
    assert len(shop.seen()) == 1 and shop.status("pages")["acked"] == 1


def test_a_killed_platoon_takes_up_again(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages", "window": 2}})
    for n in range(2):
        shop.deliver({"do": "hold", "n": n}, "--topic", "pages")
    wait_until(lambda: len(shop.seen()) == 2, 30, "two tasks")
    shop.platoon.kill9()
    shop.platoon.gone()
    shop.platoon.start()
    wait_until(lambda: len(shop.seen()) == 4, 30, "these two again, long before their lease is over")
    assert [row["attempt"] for row in shop.seen()] == [1, 1, 2, 2]
    assert sorted(body["n"] for body in shop.bodies()) == [0, 0, 1, 1]


def test_a_neighbour_is_not_buried_for_who_kills(shop):
    shop.start({"pages": {"max_attempts": 2}}, {"indexer": {"takes": "pages", "window": 5, "backoff_min": "10ms", "backoff_max": "50ms"}})
    good = [shop.deliver({"do": "hold", "until": 2, "n": n}, "--topic", "pages")["id"] for n in range(3)]
    wait_until(lambda: len(shop.seen()) == 3, 30, "the neighbours")
    shop.deliver({"do": "die"}, "--topic", "pages")
    wait_until(lambda: shop.status("pages")["dead"] == 1, 60, "the dead letter")
    shop.empty("pages")
    letters = shop.platoon.json("queue", "dead", "pages")
    assert json.loads(shop.platoon.json("queue", "dead", "pages", "show", letters[0]["id"])[0]["body"]) == {"do": "die"}
    assert letters[0]["id"] not in good and shop.status("pages")["acked"] == 3


def test_what_must_be_alone_waits_until_its_consumers_hands_are_empty(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages", "window": 2}})
    for n in range(2):
        shop.deliver({"do": "hold", "n": n}, "--topic", "pages")
    wait_until(lambda: len(shop.seen()) == 2, 30, "a full window")
    shop.deliver({"n": "alone"}, "--topic", "pages")
    [[_, receipt, *_]] = shop.redis.execute_command("FCALL", "platoon_pull", 1, "shop:", "me", 1, 1, "pages")
    first, second = [row["id"] for row in shop.seen()]
    shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "done", "id": first}))
    wait_until(lambda: shop.status("pages")["acked"] == 1 and shop.status("pages")["in_flight"] == 2, 30, "it to be handed out")
    shop.pass_seconds(1)
    assert len(shop.seen()) == 2
    shop.platoon.ctl("send", "indexer.1", json.dumps({"do": "done", "id": second}))
    wait_until(lambda: len(shop.seen()) == 3, 30, "the one that must be alone")
    assert shop.seen()[2]["id"] == "pages/" + receipt.split(".")[0] and shop.seen()[2]["attempt"] == 2


def test_facets_take_turns(shop):
    shop.start({"pages": {}}, {})
    for n in range(20):
        shop.deliver({"n": n}, "--topic", "pages", "--facet", "busy")
    shop.deliver({"n": "other"}, "--topic", "pages", "--facet", "quiet")
    shop.platoon.config_path.write_text(shop.text({"pages": {}}, {"indexer": {"takes": "pages"}}))
    assert shop.platoon.ctl("reload").returncode == 0
    wait_until(lambda: len(shop.seen()) == 21, 60, "all tasks")
    assert [row["facet"] for row in shop.seen()].index("quiet") <= 1


def test_an_idle_queue_worker_asks_redis_seldom(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    shop.deliver({"n": 1}, "--topic", "pages")
    shop.empty("pages")

    def asked():
        return shop.platoon.workers()["queue/shop/pages.1"]["counters"].get("redis_commands_total", 0)
    stale = asked()
    begun = shop.now_ms()
    before = wait_until(lambda: (lambda now: now if now != stale else None)(asked()), 30, "it to tell what it has asked so far")
    shop.pass_seconds(12)
    assert asked() - before <= 1.5 * (shop.now_ms() - begun) / 1000


def test_a_delivery_wakes_an_idle_worker(shop):
    """Not a look that comes anyway: with the longest pause of those many would be late."""
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    for n in range(20):
        shop.deliver({"n": n}, "--topic", "pages")
        wait_until(lambda: len(shop.seen()) == n + 1, 30, f"task {n}")
    waits = shop.redis.info("commandstats")["cmdstat_blmove"]["calls"]
    assert waits >= 5


def test_what_is_wrong_with_a_queue_is_named(shop):
    """Others' malformed patterns, keys of wrong types, names that no queue can have: they cost only that queue."""
    shop.start({"pages": {"pattern": "^pages"}})
    assert shop.status("pages")["wrong"] == []
    shop.redis.hset("shop:registered_queues", mapping={"bad": "[a", "worse": "(^pages", "inbox": "^pages"})
    assert shop.deliver("x", "--topic", "pages")["queues"] == ["pages"]
    rows = {row["queue"]: row["wrong"] for row in shop.platoon.json("queue", "status")}
    assert rows["pages"] == [] and "its pattern is none" in rows["bad"][0] and "its pattern is none" in rows["worse"][0]
    assert rows["inbox"] == ["no queue can have this name: nothing is delivered to it"]
    text = shop.platoon.ctl("queue", "status").stdout
    assert "bad: its pattern is none" in text and "inbox: no queue can have this name" in text
    shop.redis.set("shop:pages:priorities", "x")
    assert shop.status("pages")["wrong"] == ["shop:pages:priorities holds a string, and no hash"]
    assert shop.deliver("y", "--topic", "pages")["queues"] == ["pages"]


def test_a_queue_that_was_left_is_named(shop):
    """Registered, in no configuration, and nobody takes what has long waited in it."""
    shop.start({"pages": {"pattern": "^pages"}})
    assert shop.platoon.ctl("queue", "register", "left", "^left").returncode == 0
    shop.deliver("x", "--topic", "left", "--facet", "f")
    assert shop.status("left")["wrong"] == []
    [element] = shop.redis.lrange("shop:left:f", 0, -1)
    head, _, body = element.rpartition(" ")
    version, _, at = head.rpartition(" ")
    shop.redis.lset("shop:left:f", 0, f"{version} {int(at) - 90000} {body}")
    assert "nobody takes what waits" in shop.status("left")["wrong"][0]
    assert shop.platoon.ctl("queue", "pull", "left").returncode == 0
    assert shop.status("left")["wrong"] == [], "somebody does"


def test_what_exceeds_a_ports_line_is_a_dead_letter(shop):
    """Its body is within message_max, but not what is made of it in JSON; the consumer lives, and goes on."""
    shop.start({"pages": {}}, {"indexer": {"takes": "pages", "window": 8}}, {"message_max": "16MB"})
    pid = shop.platoon.pid_of("indexer.1")
    shop.redis.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", "f", "\x01" * (3 << 20))  # \u0001: six times as long
    wait_until(lambda: shop.status("pages")["dead"] == 1, 60, "the dead letter")
    reason = shop.platoon.json("queue", "dead", "pages")[0]["reason"]
    assert re.fullmatch(r"its event has 188\d{5} bytes, more than a port's line may have, 16777216", reason), reason
    shop.deliver({"n": 1}, "--topic", "pages")
    wait_until(lambda: shop.bodies() == [{"n": 1}], 60, "the next one")
    assert shop.platoon.pid_of("indexer.1") == pid


def test_a_window_of_large_messages_is_no_neglect(shop):
    """More than a port may leave unread of all else: it is busy, and not deaf."""
    shop.start({"pages": {}}, {"indexer": {"takes": "pages", "window": 12}}, {"message_max": "4MB"})
    pid = shop.platoon.pid_of("indexer.1")
    child = int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    freeze(child)
    for n in range(12):
        shop.redis.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", "f", json.dumps({"n": n, "x": "x" * (3 << 20)}))
    wait_until(lambda: shop.status("pages")["in_flight"] == 12, 60, "a full window")
    shop.pass_seconds(2)
    os.kill(child, signal.SIGCONT)
    wait_until(lambda: shop.status("pages")["acked"] == 12, 60, "all to be done")
    assert shop.platoon.pid_of("indexer.1") == pid and [row["attempt"] for row in shop.seen()] == [1] * 12
