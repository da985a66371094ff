"""What is bounded in bytes and not by a count, and exceptions that cost no more than the rule: long names, hashes that have expired, names of others' keys."""
import re
import time

from platoon_fixture import SCALE, cpu_seconds, wait_until


# A large hash takes Redis and its reader a second or two, and many times that on a machine that does much else.
PATIENT = {"timeout": "60s"}


def gone(count):
    return {f"gone:{i}": None for i in range(count)}


def fresh(count, prefix="v:"):
    return {f"{prefix}{i}": {"n": str(i)} for i in range(count)}


def test_expired_members_are_in_nobodys_way(platoon):
    """threadmill#50: the application gave its hashes a time to live, and the drain was down for longer."""
    platoon.start()
    platoon.ctl("stop", "redis/visits")
    platoon.add({**gone(100_000), **fresh(1000)}, at_once=True)
    platoon.ctl("start", "redis/visits")
    wait_until(lambda: len(platoon.data()) == 1000, 20, "the fresh records")
    platoon.drained(timeout=60)
    # By the times that both are stamped with: how long either takes is the machine's.
    stored = max(updated for _, _, updated in platoon.rows().values())
    before = platoon.redis().zcount("platoon:{visits}:dead", "-inf", stored)
    assert before < 10_000, f"{before} of the expired were given up before the last of the fresh was stored"
    assert platoon.data() == {name: fields for name, fields in fresh(1000).items()}
    assert platoon.drain()["dead"] == 100_000


def test_expired_members_that_stay_are_in_nobodys_way(platoon):
    platoon.configure(drain={"consume": "keep"}).start()
    platoon.add({**gone(20_000), **fresh(200)}, at_once=True)
    wait_until(lambda: len(platoon.data()) == 200, 30, "the fresh records")
    platoon.drained(timeout=60)
    assert platoon.drain()["dead"] == 20_000


def test_long_names(platoon):
    """notification-api PR 3041, node-amqp#97: whole documents in the set; a claim of them does not fit into a frame."""
    platoon.start()
    expected = {f"v:{i}:" + "x" * 80_000: {"n": str(i)} for i in range(400)}
    expected["y" * 1_000_000] = {"n": "1 MB"}
    for name, fields in expected.items():
        platoon.add({name: fields})
    platoon.drained(timeout=60)
    assert platoon.data() == expected
    assert platoon.dead() == [] and platoon.problems() == ""
    assert all(w["restarts"] == 0 for w in platoon.workers().values())


def test_the_longest_name_fits_into_the_smallest_reply_max(platoon):
    """Else its claim's answer would be too large each time, and each time the first to be handed out again."""
    platoon.configure(redis={"reply_max": "8MB"}).start()
    expected = {"y" * (4 * 1024 * 1024): {"n": "4 MB"}, **fresh(300)}
    platoon.add(expected, at_once=True)
    platoon.drained(timeout=60)
    assert platoon.data() == expected
    assert platoon.dead() == [] and platoon.problems() == ""


def test_a_reply_max_that_the_longest_name_does_not_fit_into_is_refused(platoon):
    platoon.configure(redis={"reply_max": "7MB"})
    done = platoon.ctl("check", str(platoon.config_path))
    assert done.returncode != 0 and "reply_max" in done.stderr and "8MB" in done.stderr


def test_a_claim_that_cannot_be_handed_on_again_and_again_is_trouble(faulty):
    """Once is an accident and is made good; for ever must not be in silence, nor hammer Redis."""
    faulty.configure().start()
    order = faulty.fault("get-set.after-claim", "error always")
    faulty.add(fresh(10))
    wait_until(lambda: "could not be handed to" in faulty.problems(), 10, "status to say so")

    def tries():
        return int(re.search(r"(\d+)\s+times\s+in\s+a\s+row", faulty.problems())[1])

    def calls():
        return faulty.redis().info("commandstats")["cmdstat_evalsha"]["calls"]
    first, before, since = tries(), calls(), time.monotonic()
    wait_until(lambda: tries() >= first + 3, 20, "three further tries")
    assert calls() - before < 30 * (time.monotonic() - since), "asked in a loop"
    order.unlink()
    wait_until(lambda: faulty.data() == fresh(10), 10, "that it goes on by itself")
    wait_until(lambda: faulty.problems() == "", 10, "no more problems")
    faulty.drained()


def test_a_hash_that_no_connection_brings_is_trouble(platoon, redis_server):
    """Its reply is above what the server sends: the connection breaks at it, however often. Public thread: redis/redis#13392."""
    server = redis_server()
    r = server.client()
    r.config_set("client-output-buffer-limit", "normal 1mb 0 0")
    platoon.configure(redis={"url": server.url}).start()
    platoon.add({"big": {f"f{i}": "x" * 100000 for i in range(60)}}, client=r)
    platoon.add(fresh(100), client=r)
    wait_until(lambda: "hash of member big" in platoon.problems() and "client-output-buffer-limit" in platoon.problems(), 30, "the trouble, with the remedy")
    assert int(re.search(r"(\d+)\s+times\s+in\s+a\s+row", platoon.problems())[1]) >= 3
    wait_until(lambda: platoon.data() == fresh(100), 20, "the others")
    assert platoon.drain()["dead"] == 0 and platoon.ctl("status").returncode == 3
    r.config_set("client-output-buffer-limit", "normal 0 0 0")
    platoon.drained()
    assert set(platoon.data()) == {"big", *fresh(100)}
    wait_until(lambda: platoon.problems() == "", 80, "no more problems")


def test_another_drain_loses_nothing_to_names_in_ours(platoon):
    """sidekiq#1414 and its like: names are foreign text, and a member becomes a key. Today's orders of others are not ours to move."""
    other = "store orders { path = \"orders.db\" }\ndrain orders { set = \"orders:pending\"  store = orders }\n"
    platoon.configure(extra=other).start()
    platoon.ctl("stop", "redis/orders")
    r = platoon.redis()
    orders = fresh(1000, "o:")
    platoon.add(orders, key="orders:pending")
    r.hset("platoon:{orders}:aside:7", "of", "somebody")
    names = ["orders:pending", "tracking:pending", "platoon:{orders}:aside:7", "platoon:{orders}:stats", "platoon:{visits}:claims", "platoon:{x}:"]
    platoon.add({**dict.fromkeys(names), **fresh(10)})
    platoon.drained()
    assert platoon.data() == fresh(10)
    assert {letter["member"] for letter in platoon.dead()} == set(names)
    assert r.hgetall("platoon:{orders}:aside:7") == {b"of": b"somebody"} and r.scard("orders:pending") == 1000
    platoon.ctl("start", "redis/orders")
    platoon.drained("orders")
    assert platoon.data("orders.db") == orders


def test_a_look_at_a_large_letter_stops_nobody(platoon):
    """The watcher keeps the ledger's clock meanwhile, so a look must cost the same whatever is looked at."""
    platoon.configure(redis=PATIENT).start()
    r = platoon.redis()
    r.hset("v:large", mapping={"small": "1", "f": b"x" * 100_000_000})
    platoon.add({"v:large": None, "v:" + "n" * 100_000: None})
    wait_until(lambda: platoon.drain()["dead"] == 2, 30, "the letters")
    letters = {len(letter["member"]): letter for letter in platoon.dead()}
    assert set(letters) == {7, 1024} and letters[1024]["member_bytes"] == 100_002
    at_work = [platoon.pid_of("redis/visits/watcher.1"), r.info("server")["process_id"], platoon.process.pid]
    before = cpu_seconds(at_work)
    shown = platoon.json("drain", "dead", "visits", "show", str(letters[7]["seq"]))
    assert platoon.ctl("drain", "status", "visits").returncode == 0
    assert cpu_seconds(at_work) - before < 0.5 * SCALE  # not by the clock, which others on this machine have a part in
    assert sorted(shown[0]["fields"]) == [["f", None, 100_000_000], ["small", "1"]]
    text = platoon.ctl("drain", "dead", "visits", "show", str(letters[7]["seq"])).stdout
    assert "small = 1" in text and "f = (95MB, too much to be shown)" in text
    assert all(w["restarts"] == 0 for w in platoon.workers().values())


def wide(platoon, key, count, value=b""):
    r = platoon.redis()
    for start in range(0, count, 10_000):
        r.hset(key, mapping={b"%x" % i: value for i in range(start, min(start + 10_000, count))})


def nobody_else_is_touched(platoon, stored):
    """Everybody lives, and everybody's records are there."""
    assert platoon.data().keys() == stored
    assert all(w["restarts"] == 0 for w in platoon.workers().values())


def test_wide_hashes(platoon):
    """More fields than anybody expects are a record like any other, as long as their bytes are few enough."""
    platoon.configure(redis=PATIENT).start()
    wide(platoon, "w:whole", 1_200_000)
    wide(platoon, "w:large", 1_200_000, b"x" * 10)
    platoon.add({**dict.fromkeys(["w:whole", "w:large"]), **fresh(300)})
    platoon.drained(timeout=60)
    nobody_else_is_touched(platoon, {"w:whole", *fresh(300)})
    assert len(platoon.data()["w:whole"]) == 1_200_000
    assert [letter["member"] for letter in platoon.dead()] == ["w:large"] and "record_max" in platoon.dead()[0]["reason"]


def test_names_of_a_megabyte(platoon):
    """Of fields: stored whole as long as they fit; where they do not, one letter with the true reason. By a template as well."""
    platoon.configure(redis=PATIENT, drain={"key": "{id}"}).start()
    r = platoon.redis()
    long = {"x" * (1 << 20) + str(i): f"v{i}" for i in range(4)}
    large = {b"\xff" * (1 << 20) + str(i).encode(): b"v" for i in range(17)}
    r.hset("l:whole", mapping={"id": "whole", **long})
    r.hset("l:letter", mapping={"id": "letter", **large})
    r.hset("l:lacks", mapping=long)
    platoon.add({**dict.fromkeys(["l:whole", "l:letter", "l:lacks"]), **{f"v:{i}": {"id": f"v:{i}"} for i in range(300)}}, at_once=True)
    platoon.drained(timeout=60)
    data = platoon.data()
    assert data.pop("whole") == {"id": "whole", **long} and set(data) == {f"v:{i}" for i in range(300)}
    reasons = {letter["member"]: letter["reason"] for letter in platoon.dead()}
    assert set(reasons) == {"l:letter", "l:lacks"}
    assert "more than record_max" in reasons["l:letter"] and "id" in reasons["l:lacks"], reasons
    assert all(node["restarts"] == 0 for node in platoon.workers().values())
    assert platoon.ctl("drain", "dead", "visits", "show", "all").returncode in (0, 2)


def test_a_record_that_no_message_holds_is_a_letter(platoon):
    """Within record_max, but not with the lengths of its names and values beside them."""
    platoon.configure(redis=PATIENT, drain={"record_max": "20MB"}).start()
    wide(platoon, "w:wide", 3_300_000)
    platoon.add({"w:wide": None, **fresh(300)})
    platoon.drained(timeout=60)
    nobody_else_is_touched(platoon, set(fresh(300)))
    assert "more than a message holds" in platoon.dead()[0]["reason"]


def test_replies_above_reply_max_are_their_own_fault(platoon):
    """One reply ends the connection; whose it was is told so, and the records beside it are not to blame."""
    platoon.configure(redis={"reply_max": "8MB", **PATIENT}, drain={"record_max": "512KB"}).start()
    platoon.add({**{f"h:{i}": {"f": "x" * 9_000_000} for i in range(5)}, **fresh(300)}, at_once=True)
    platoon.drained(timeout=60)
    nobody_else_is_touched(platoon, set(fresh(300)))
    assert {letter["member"] for letter in platoon.dead()} == {f"h:{i}" for i in range(5)}
    assert platoon.drain()["redelivered"] == 0
    assert all("reply_max" in letter["reason"] and letter["attempts"] == 1 for letter in platoon.dead())
