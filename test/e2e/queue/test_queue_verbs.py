"""What people ask of queues and do with them: each verb, its answer in JSON and for people, its exit codes."""
import json

from platoon_fixture import wait_until
from queue_fixture import gives_up


def ask(shop, *words):
    return shop.platoon.json("queue", *words)


def fails(shop, code, text, *words):
    """It does, with this exit code and these words; what it has printed nevertheless."""
    done = shop.platoon.ctl("--json", "--timeout", "40s", "queue", *words)
    assert done.returncode == code and text in done.stderr, (words, done)
    return json.loads(done.stdout) if done.stdout else None


def says(shop, *words):
    done = shop.platoon.ctl("--timeout", "40s", "queue", *words)
    assert done.returncode == 0, (words, done)
    return done.stdout


def deliver(shop, count, facet="f", topic="pages"):
    for i in range(count):
        shop.deliver(f"{facet}{i}", "--topic", topic, "--facet", facet)


def shop_by_hand(shop):
    """Queues that have no worker: who pulls is the test."""
    shop.start({"none": {}})
    assert ask(shop, "register", "pages", "^pages") == {"queue": "pages", "was": "new"}
    return shop


def test_register_unregister_destroy(shop):
    shop.start({"none": {}})
    assert says(shop, "register", "pages", "^pages") == "pages: it is there now\n"
    assert ask(shop, "register", "pages", "^pages") == {"queue": "pages", "was": "same"}
    assert ask(shop, "register", "pages", "^page") == {"queue": "pages", "was": "other"}
    assert shop.status("pages")["pattern"] == "^page" and shop.status("pages")["raw"] is False
    deliver(shop, 3)
    assert ask(shop, "unregister", "pages") == {"queue": "pages", "was": "other"}
    assert shop.deliver("x", "--topic", "pages")["queues"] == []
    assert says(shop, "unregister", "pages") == "pages: it was not registered any more\n"
    assert len(ask(shop, "pull", "pages", "-n", "9")) == 3
    assert ask(shop, "destroy", "pages") == {"queue": "pages"}
    fails(shop, 5, "there is no queue pages; there are none", "destroy", "pages")
    fails(shop, 5, "there is no queue pages; there are none", "unregister", "pages")
    assert [key for key in shop.redis.keys("*") if ":pages" in key] == []


def test_a_large_queue_is_destroyed_whole(shop):
    shop_by_hand(shop)
    with shop.redis.pipeline(transaction=False) as many:
        for i in range(1200):
            many.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", f"facet{i}", "body")
        many.execute()
    assert says(shop, "destroy", "pages") == "pages: it is gone with all its messages\n"
    assert [key for key in shop.redis.keys("*") if ":pages" in key] == []


def test_patterns_and_names_that_are_none(shop):
    shop.start({"none": {}})
    fails(shop, 2, "%d", "register", "pages", r"user\d")
    fails(shop, 2, "no queue can have this name", "register", "inbox", "x")
    fails(shop, 2, "queue register", "register", "pages")
    assert ask(shop, "register", "free", "x", "--raw") == {"queue": "free", "was": "new"} and shop.status("free")["raw"] is True


def test_pull_and_what_becomes_of_it(shop):
    shop_by_hand(shop)
    deliver(shop, 6)
    [first] = ask(shop, "pull", "pages")
    assert first["queue"] == "pages" and first["attempt"] == 1 and first["facet"] == "f" and first["body"] == "f0" and first["at_ms"] > 0
    assert ask(shop, "ack", "pages", first["receipt"]) == {"acked": 1, "lost": 0}
    assert fails(shop, 1, "1 of these receipts is not held", "ack", "pages", first["receipt"]) == {"acked": 0, "lost": 1}
    second, third, fourth = ask(shop, "pull", "none", "pages", "-n", "3", "--lease", "10m")
    assert shop.redis.zscore("shop:platoon:pages:leases", second["receipt"].split(".")[0]) > shop.redis.time()[0] * 1000 + 500_000
    assert ask(shop, "again", "pages", second["receipt"], "--after", "0s", "--reason", "not now") == {"again": 1, "lost": 0}
    assert ask(shop, "again", "pages", third["receipt"], "--after", "1h") == {"again": 1, "lost": 0}
    assert shop.status("pages")["delayed"] == 1
    assert ask(shop, "bury", "pages", fourth["receipt"], "--reason", "bad") == {"buried": 1, "lost": 0}
    assert [letter["reason"] for letter in ask(shop, "dead", "pages")] == ["bad"]
    [again] = ask(shop, "pull", "pages")
    assert again["attempt"] == 2 and again["body"] == "f1"
    assert ask(shop, "renew", "pages", again["receipt"], "--lease", "2h") == {"renewed": 1, "lost": 0}
    assert shop.redis.zscore("shop:platoon:pages:leases", again["receipt"].split(".")[0]) > shop.redis.time()[0] * 1000 + 7_000_000
    assert fails(shop, 1, "is not held", "renew", "pages", again["receipt"], second["receipt"]) == {"renewed": 1, "lost": 1}
    text = says(shop, "pull", "pages")
    assert "MESSAGE" in text and "f4" in text
    [once] = ask(shop, "pull", "pages", "--once")
    assert once["receipt"] == "" and once["body"] == "f5"
    assert ask(shop, "pull", "pages") == [] and says(shop, "pull", "pages") == "nothing waits there now\n"


def test_pull_refused(shop):
    shop_by_hand(shop)
    ask(shop, "register", "free", "^free", "--raw")
    fails(shop, 2, "free is raw: pull it with --once", "pull", "free")
    shop.deliver("x", "--topic", "free")
    assert [m["body"] for m in ask(shop, "pull", "free", "--once")] == ["x"]
    fails(shop, 2, "--once has no lease", "pull", "pages", "--once", "--lease", "5s")
    fails(shop, 2, "is no number", "pull", "pages", "-n", "0")
    fails(shop, 2, "is no duration", "pull", "pages", "--lease", "soon")
    fails(shop, 2, "'x' is no receipt", "ack", "pages", "x")
    for words in (["pull", "nothing"], ["ack", "nothing", "1.1"], ["again", "nothing", "1.1"], ["bury", "nothing", "1.1"], ["renew", "nothing", "1.1"],
                  ["peek", "nothing"], ["facets", "nothing"], ["weight", "nothing", "f", "1"], ["cap", "nothing", "1"], ["pause", "nothing"],
                  ["resume", "nothing"], ["wait", "nothing"], ["top", "nothing"], ["unregister", "nothing"], ["destroy", "nothing"]):
        fails(shop, 5, "there is no queue nothing; there are free, none, pages", *words)


def test_a_lease_that_ran_out(shop):
    shop_by_hand(shop)
    deliver(shop, 1)
    [first] = ask(shop, "pull", "pages", "--lease", "1ms")
    [second] = wait_until(lambda: ask(shop, "pull", "pages"), 30, "the message to come back")
    assert second["attempt"] == 2 and second["body"] == first["body"]
    assert fails(shop, 1, "is not held", "ack", "pages", first["receipt"]) == {"acked": 0, "lost": 1}
    assert ask(shop, "ack", "pages", second["receipt"]) == {"acked": 1, "lost": 0}


def test_facets(shop):
    shop_by_hand(shop)
    for facet, count in (("a", 3), ("b", 1), ("c", 2)):
        deliver(shop, count, facet)
    [pulled] = ask(shop, "pull", "pages")
    assert pulled["facet"] == "a"
    sweep = ask(shop, "facets", "pages")
    assert sweep["seen"] == 3 and sweep["whole"] is True and sweep["age_ms"] >= 0
    assert {row["facet"]: (row["waiting"], row["in_flight"], row["weight"]) for row in sweep["facets"]} == {"a": (2, 1, 1), "c": (2, 0, 1), "b": (1, 0, 1)}
    assert all(row["oldest_ms"] >= 0 for row in sweep["facets"])
    assert [row["facet"] for row in ask(shop, "facets", "pages", "-n", "1", "--by", "in_flight")["facets"]] == ["a"]
    assert [row["facet"] for row in ask(shop, "facets", "pages", "-n", "2", "--by", "oldest")["facets"]] in (["a", "b"], ["b", "a"])
    text = says(shop, "facets", "pages", "-n", "2")
    assert "IN FLIGHT" in text and "2 of 3 facets" in text
    fails(shop, 2, "none of waiting, in_flight, oldest", "facets", "pages", "--by", "size")
    top = says(shop, "top", "pages")
    assert "QUEUE" in top and "3 of 3 facets" in top
    looks = shop.platoon.ctl("--json", "--timeout", "40s", "queue", "top", "pages", "-n", "2", "--every", "100ms").stdout.splitlines()
    assert len(looks) == 2 and json.loads(looks[1])["queue"]["waiting"] == 5 and json.loads(looks[0])["sweep"]["seen"] == 3


def test_many_facets_are_seen_page_by_page(shop):
    shop_by_hand(shop)
    with shop.redis.pipeline(transaction=False) as many:
        for i in range(1500):
            for _ in range(1 + (i == 777)):
                many.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", f"facet{i}", "body")
        many.execute()
    sweep = ask(shop, "facets", "pages", "-n", "3")
    assert sweep["seen"] >= 1500 and len(sweep["facets"]) == 3 and sweep["facets"][0]["facet"] == "facet777" and sweep["facets"][0]["waiting"] == 2


def test_peek(shop):
    shop_by_hand(shop)
    deliver(shop, 2, "a")
    deliver(shop, 1, "b")
    [next_one] = ask(shop, "peek", "pages")
    assert next_one["body"] == "a0" and next_one["facet"] == "a" and next_one["attempt"] == 0 and next_one["id"].isdigit()
    assert [m["body"] for m in ask(shop, "peek", "pages", "--facet", "b", "-n", "9")] == ["b0"]
    assert [m["body"] for m in ask(shop, "peek", "pages", "-n", "9")] == ["a0", "a1"]
    assert ask(shop, "peek", "pages", "--facet", "nobody") == []
    assert "a0" in says(shop, "peek", "pages") and shop.status("pages")["waiting"] == 3


def test_weight_cap_pause(shop):
    shop_by_hand(shop)
    deliver(shop, 4, "a")
    deliver(shop, 4, "b")
    assert ask(shop, "weight", "pages", "a", "3") == {"was": 1} and says(shop, "weight", "pages", "a", "2") == "pages a: 2, before 3\n"
    fails(shop, 2, "'101' is no weight", "weight", "pages", "a", "101")
    assert ask(shop, "cap", "pages", "1") == {"was": 0}
    assert sorted(m["facet"] for m in ask(shop, "pull", "pages", "-n", "9")) == ["a", "b"]
    assert says(shop, "cap", "pages", "0") == "pages: 0, before 1\n"
    assert ask(shop, "pause", "pages", "a") == {"paused": True, "changed": True}
    assert says(shop, "pause", "pages", "a") == "pages a: was paused\n"
    assert {m["facet"] for m in ask(shop, "pull", "pages", "-n", "2")} == {"b"}
    assert says(shop, "pause", "pages") == "pages: paused\n" and shop.status("pages")["paused"] is True
    assert ask(shop, "pull", "pages") == []
    assert ask(shop, "resume", "pages") == {"paused": False, "changed": True}
    assert says(shop, "resume", "pages", "a") == "pages a: not paused\n"
    assert {row["facet"]: row["weight"] for row in ask(shop, "facets", "pages")["facets"]} == {"a": 2, "b": 1}
    ask(shop, "register", "free", "^free", "--raw")
    fails(shop, 2, "pause its facets", "pause", "free")


def test_wait(shop):
    shop.start({"pages": {}}, {"indexer": {"takes": "pages"}})
    deliver(shop, 3)
    assert says(shop, "wait", "pages") == "pages: nothing waiting, in flight or delayed, 0 dead letters\n"
    assert shop.status("pages")["acked"] == 3
    assert ask(shop, "wait", "pages")["queue"] == "pages"
    shop.deliver("later", "--topic", "pages", "--after", "1h")
    gives_up(shop.platoon, "1 delayed", "queue", "wait", "pages")


def test_two_backbones(shop):
    shop.platoon.config_path.write_text(shop.text({"pages": {"backbone": "shop"}}, {}) + 'backbone other { namespace = "other" }\n')
    shop.platoon.start()
    fails(shop, 2, "name one with --on", "pull", "pages")
    assert ask(shop, "pull", "pages", "--on", "shop") == []
    fails(shop, 5, "there is no queue pages: there is none at all", "pull", "pages", "--on", "other")
    fails(shop, 5, "nowhere", "pull", "pages", "--on", "nowhere")


def test_redis_away(shop):
    shop_by_hand(shop)
    shop.server.stop()
    for words in (["pull", "pages"], ["register", "other", "x"], ["ack", "pages", "1.1"], ["destroy", "pages"]):
        fails(shop, 1, "edis", *words)


def test_an_originals_queue_among_many_is_served_within_a_second(shop):
    """More queues than are walked through; a backbone worker vouches for them, and then dies for good."""
    shop.start({"pages": {}})
    shop.redis.hset("shop:registered_queues", mapping={f"many{i}": f"^nothing{i}$" for i in range(100)})
    known = lambda: shop.deliver("x", "--topic", "pages") and shop.redis.hexists("shop:platoon:topics", "pages")
    wait_until(known, 30, "the topic to be known")
    shop.redis.hset("shop:registered_queues", "theirs", "^pages")
    shop.pass_seconds(1)
    assert sorted(shop.deliver("y", "--topic", "pages")["queues"]) == ["pages", "theirs"]
    wait_until(known, 30, "the topic to be known again")
    assert shop.platoon.ctl("stop", "queue").returncode == 0
    shop.redis.hset("shop:registered_queues", "late", "^pages")
    shop.pass_seconds(1)
    answer = shop.redis.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", "f", "z")
    assert sorted(answer[1:]) == ["late", "pages", "theirs"]
    wait_until(lambda: not shop.redis.exists("shop:platoon:vouched"), 60, "nobody to vouch any more")


def test_ours_counts_at_once(shop):
    shop.start({"none": {}})
    shop.redis.hset("shop:registered_queues", mapping={f"many{i}": f"^nothing{i}$" for i in range(100)})
    wait_until(lambda: not shop.deliver("x", "--topic", "pages")["queues"] and shop.redis.hexists("shop:platoon:topics", "pages"), 30, "the topic")
    ask(shop, "register", "pages", "^pages")
    assert shop.deliver("y", "--topic", "pages")["queues"] == ["pages"]
    wait_until(lambda: shop.redis.exists("shop:platoon:vouched"), 30, "the registry to be vouched for")
    ask(shop, "unregister", "pages")
    assert shop.deliver("y", "--topic", "pages")["queues"] == []
