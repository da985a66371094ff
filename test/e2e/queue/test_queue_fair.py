"""Nobody waits behind another's backlog: slow, late and failing tenants, weights, caps, pauses, Jain's index. Nothing is asserted on absolute time: what is compared are parts
of one run, and who came before whom: in what order they were handed out, not how soon. A worker that stands still for a while keeps what it has."""
import collections
import json

from platoon_fixture import wait_until
from queue_fixture import CONSUMER

WORKERS = 6

# Is at a message for as long as its body says, and then says what that says; both are told to a file, with the time.
WORKER = r'''
import json, os, sys, time
out = open(os.environ["SEEN"], "a", buffering=1)

def tell(what, event):
    out.write(json.dumps({"event": what, "at": time.monotonic(), "pid": os.getpid(), "facet": event["facet"], "id": event["id"]}) + "\n")

for line in sys.stdin:
    event = json.loads(line)
    if event["event"] != "task":
        continue
    tell("begin", event)
    time.sleep(event["body"]["ms"] / 1000)
    tell("end", event)
    print(json.dumps({"do": event["body"].get("do", "done"), "id": event["id"], "after_ms": 0}), flush=True)
'''


def start(shop, **keys):
    (shop.platoon.dir / "consumer.py").write_text(WORKER)
    return shop.start({"pages": keys}, {"indexer": {"takes": "pages", "processes": WORKERS}})


def bring(shop, backlogs, ms=5, **more):
    """All at once, while nothing is handed out."""
    assert shop.platoon.ctl("queue", "pause", "pages").returncode == 0
    with shop.redis.pipeline(transaction=False) as many:
        for facet, count in backlogs.items():
            body = json.dumps({"ms": ms[facet] if isinstance(ms, dict) else ms, **more.get(facet, {})})
            for _ in range(count):
                many.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", facet, body)
        many.execute()


def go(shop):
    assert shop.platoon.ctl("queue", "resume", "pages").returncode == 0


def ends(shop):
    return collections.Counter(row["facet"] for row in shop.seen("end"))


def begins(shop):
    return collections.Counter(row["facet"] for row in shop.seen("begin"))


def while_all_wait(shop, backlogs, of=None):
    """
    How many of each had begun, and when, while each of `of` still had more than all workers hold: who has no backlog has no share either, and what comes last
    may be in the hands of a worker that stands still.
    """
    of = of or backlogs
    most = {facet: backlogs[facet] - WORKERS for facet in of}
    wait_until(lambda: any(begins(shop)[facet] >= most[facet] for facet in of), 120, "a tenant to be nearly through")
    begun = collections.Counter()
    for row in shop.seen("begin"):
        begun[row["facet"]] += 1
        if row["facet"] in of and begun[row["facet"]] == most[row["facet"]]:
            return begun, row["at"]
    raise AssertionError(begun)


def jain(numbers):
    return sum(numbers) ** 2 / (len(numbers) * sum(n * n for n in numbers))


def busy(shop, facet, until):
    """How long this tenant's messages have been worked at, all workers together."""
    began, total = {}, 0.0
    for row in shop.seen("begin") + shop.seen("end"):
        if row["facet"] != facet:
            continue
        if row["event"] == "begin":
            began[row["id"]] = row["at"]
    ended = {row["id"]: row["at"] for row in shop.seen("end")}
    for name, at in began.items():
        total += max(0.0, min(ended.get(name, until), until) - at)
    return total


def test_equal_shares_whatever_the_backlog(shop):
    start(shop)
    backlogs = {f"t{n}": 25 * (n + 1) for n in range(8)}
    bring(shop, backlogs)
    go(shop)
    begun, _ = while_all_wait(shop, backlogs)
    assert jain([begun[facet] for facet in backlogs]) > 0.95, begun


def test_a_slow_tenant_does_not_take_every_worker(shop):
    """With turns alone one of four whose messages take 40 times as long holds nine workers of ten."""
    start(shop)
    backlogs = {"slow": 100, "a": 60, "b": 60, "c": 60}
    bring(shop, backlogs, ms={"slow": 400, "a": 10, "b": 10, "c": 10})
    go(shop)
    begun, at = while_all_wait(shop, backlogs, of=["a", "b", "c"])
    first = min(row["at"] for row in shop.seen("begin"))
    held = busy(shop, "slow", at) / (at - first)
    assert held < WORKERS / 2, f"{held} workers of {WORKERS}"
    assert jain([begun[facet] for facet in "abc"]) > 0.95, begun


def test_alone_a_slow_tenant_has_all_workers(shop):
    start(shop)
    bring(shop, {"slow": 400}, ms=200)
    go(shop)
    wait_until(lambda: len({row["pid"] for row in shop.seen("begin")}) == WORKERS, 60, "every worker to be at it")


def test_who_comes_late_waits_a_round_at_most(shop):
    """Turn by turn: the next message goes out when the test has one that is in hands done."""
    (shop.platoon.dir / "consumer.py").write_text(CONSUMER)
    shop.start({"pages": {"lease": "1h"}}, {"indexer": {"takes": "pages", "processes": WORKERS}})
    for _ in range(6 * WORKERS):
        shop.deliver({"do": "hold"}, "--topic", "pages", "--facet", "early")
    settled = 0

    def turn():
        """Of the oldest in hands; whose worker has it nobody knows from outside, so all are told."""
        nonlocal settled
        task = shop.seen()[settled]
        for n in range(1, WORKERS + 1):
            shop.platoon.ctl("send", f"indexer.{n}", json.dumps({"do": "done", "id": task["id"]}))
        settled += 1
        wait_until(lambda: len(shop.seen()) == WORKERS + settled, 60, "the next one")

    wait_until(lambda: len(shop.seen()) == WORKERS, 60, "every worker to be at it")
    for _ in range(WORKERS):
        turn()
    shop.deliver({"do": "hold"}, "--topic", "pages", "--facet", "late")
    before = len(shop.seen())
    while all(task["facet"] == "early" for task in shop.seen()) and len(shop.seen()) - before <= WORKERS:
        turn()
    behind = [task["facet"] for task in shop.seen()[before:]]
    assert behind[-1] == "late" and len(behind) - 1 <= WORKERS, f"{behind} went first"


def test_failing_messages_delay_no_other_tenant(shop):
    start(shop, max_attempts=1000, retry_min="0s", retry_max="0s")
    backlogs = {"failing": 50, "good": 100, "fine": 100}
    bring(shop, backlogs, failing={"do": "again"})
    go(shop)
    begun, _ = while_all_wait(shop, backlogs, of=["good", "fine"])
    assert jain([begun[facet] for facet in backlogs]) > 0.9, begun
    shop.platoon.ctl("queue", "destroy", "pages")


def test_weights(shop):
    start(shop)
    assert shop.platoon.ctl("queue", "weight", "pages", "heavy", "3").returncode == 0
    backlogs = {"heavy": 240, "light": 240}
    bring(shop, backlogs, ms=10)
    go(shop)
    begun, _ = while_all_wait(shop, backlogs, of=["heavy"])
    assert 2 < begun["heavy"] / begun["light"] < 4.5, begun


def at_once(shop, facet):
    """Most of this tenant's messages in workers' hands at one time."""
    most = now = 0
    for row in sorted(shop.seen("begin") + shop.seen("end"), key=lambda row: (row["at"], row["event"] == "begin")):
        if row["facet"] == facet:
            now += 1 if row["event"] == "begin" else -1
            most = max(most, now)
    return most


def test_a_cap_is_never_exceeded(shop):
    start(shop)
    assert shop.platoon.ctl("queue", "cap", "pages", "2").returncode == 0
    bring(shop, {"a": 60, "b": 60}, ms=10)
    go(shop)
    shop.empty("pages")
    assert at_once(shop, "a") == at_once(shop, "b") == 2
    assert shop.platoon.ctl("queue", "cap", "pages", "0").returncode == 0
    bring(shop, {"c": 60}, ms=100)
    go(shop)
    wait_until(lambda: at_once(shop, "c") > 2, 60, "more than two at once")


def test_a_paused_tenant_waits_and_holds_nobody_up(shop):
    start(shop)
    assert shop.platoon.ctl("queue", "pause", "pages", "held").returncode == 0
    bring(shop, {"held": 30, "free": 60})
    go(shop)
    wait_until(lambda: ends(shop)["free"] == 60, 60, "the free one's")
    assert ends(shop)["held"] == 0 and shop.status("pages")["waiting"] == 30
    assert shop.platoon.ctl("queue", "resume", "pages", "held").returncode == 0
    wait_until(lambda: ends(shop)["held"] == 30, 60, "the held one's")
