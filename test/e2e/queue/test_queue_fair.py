"""Nobody waits behind another's backlog: slow, late and failing tenants, weights, caps, pauses, Jain's index. Nothing is asserted on absolute time: what is compared are parts
of one run, and who came before whom. Where shares are compared the test lets go what is in hands, one after the other: who is in hands has his turn, and a
worker that stands still for a while would keep one tenant from his next."""
import collections
import json

from platoon_fixture import wait_until

WORKERS = 6

# Is at a message for as long as its body says, or until the test lets go of it, and then says what that says; both are told to a file, with the time.
WORKER = r'''
import json, os, sys, time
out = open(os.environ["SEEN"], "a", buffering=1)

def tell(what, event):
    out.write(json.dumps({"event": what, "at": time.monotonic(), "pid": os.getpid(), "facet": event["facet"], "id": event["id"],
                         "attempt": event["attempt"]}) + "\n")

for line in sys.stdin:
    event = json.loads(line)
    if event["event"] != "task":
        continue
    tell("begin", event)
    while event["body"].get("hold") and not os.path.exists(f'{os.environ["SEEN"]}.{event["id"].split("/")[1]}.{event["attempt"]}'):
        time.sleep(0.002)
    time.sleep(event["body"].get("ms", 0) / 1000)
    tell("end", event)
    print(json.dumps({"do": event["body"].get("do", "done"), "id": event["id"], "after_ms": 0}), flush=True)
'''


def start(shop, **keys):
    (shop.platoon.dir / "consumer.py").write_text(WORKER)
    return shop.start({"pages": keys}, {"indexer": {"takes": "pages", "processes": WORKERS}})


def bring(shop, backlogs, ms=5, hold=False, **more):
    """All at once, while nothing is handed out."""
    assert shop.platoon.ctl("queue", "pause", "pages").returncode == 0
    with shop.redis.pipeline(transaction=False) as many:
        for facet, count in backlogs.items():
            body = json.dumps({**({"hold": True} if hold else {"ms": ms}), **more.get(facet, {})})
            for _ in range(count):
                many.execute_command("FCALL", "platoon_deliver", 1, "shop:", "pages", facet, body)
        many.execute()


def go(shop):
    assert shop.platoon.ctl("queue", "resume", "pages").returncode == 0


def ends(shop):
    return collections.Counter(row["facet"] for row in shop.seen("end"))


class Turns:
    """The longest in hands is let go, but of those in `stays`, and the next one begins."""

    def __init__(self, shop, stays=()):
        self.shop, self.stays, self.let = shop, stays, set()
        wait_until(lambda: len(self.begun()) == WORKERS, 60, "every worker to be at it")

    def begun(self):
        return self.shop.seen("begin")

    def counts(self):
        return collections.Counter(row["facet"] for row in self.begun())

    def turn(self):
        rows = self.begun()
        oldest = next(mark for row in rows if row["facet"] not in self.stays and (mark := f'{row["id"].split("/")[1]}.{row["attempt"]}') not in self.let)
        self.let.add(oldest)
        self.shop.seen_path.with_name(f"{self.shop.seen_path.name}.{oldest}").touch()
        wait_until(lambda: len(self.begun()) == len(rows) + 1, 60, "the next one")

    def while_all_wait(self, backlogs):
        """How many of each have begun while each of these had more than all workers hold: who has no backlog has no share either."""
        while not any(self.counts()[facet] >= count - WORKERS for facet, count in backlogs.items()):
            self.turn()
        return self.counts()


def jain(numbers):
    return sum(numbers) ** 2 / (len(numbers) * sum(n * n for n in numbers))


def test_equal_shares_whatever_the_backlog(shop):
    start(shop)
    backlogs = {f"t{n}": 20 * (n + 1) for n in range(8)}
    bring(shop, backlogs, hold=True)
    go(shop)
    begun = Turns(shop).while_all_wait(backlogs)
    assert jain([begun[facet] for facet in backlogs]) > 0.95, begun


def test_a_slow_tenant_does_not_take_every_worker(shop):
    """As slow as can be: none of its messages ends. With turns alone it would hold all workers soon."""
    start(shop)
    fast = {"a": 40, "b": 40, "c": 40}
    bring(shop, {"slow": 100, **fast}, hold=True)
    go(shop)
    begun = Turns(shop, stays=["slow"]).while_all_wait(fast)
    assert 1 <= begun["slow"] < WORKERS / 2, f"{begun['slow']} workers of {WORKERS}"
    assert jain([begun[facet] for facet in "abc"]) > 0.95, begun


def test_alone_a_slow_tenant_has_all_workers(shop):
    start(shop)
    bring(shop, {"slow": 400}, ms=200)
    go(shop)
    wait_until(lambda: len({row["pid"] for row in shop.seen("begin")}) == WORKERS, 60, "every worker to be at it")


def test_who_comes_late_waits_a_round_at_most(shop):
    start(shop)
    bring(shop, {"early": 10 * WORKERS}, hold=True)
    go(shop)
    turns = Turns(shop)
    for _ in range(WORKERS):
        turns.turn()
    shop.deliver({"hold": True}, "--topic", "pages", "--facet", "late")
    before = len(turns.begun())
    while turns.counts()["late"] == 0 and len(turns.begun()) - before <= WORKERS:
        turns.turn()
    behind = [row["facet"] for row in turns.begun()[before:]]
    assert behind[-1] == "late" and len(behind) - 1 <= WORKERS, f"{behind} began"


def test_failing_messages_delay_no_other_tenant(shop):
    start(shop, max_attempts=1000, retry_min="0s", retry_max="0s")
    good = {"good": 40, "fine": 40}
    bring(shop, {"failing": 20, **good}, hold=True, failing={"do": "again"})
    go(shop)
    begun = Turns(shop).while_all_wait(good)
    assert jain([begun[facet] for facet in ("failing", *good)]) > 0.9, begun
    shop.platoon.ctl("queue", "destroy", "pages")


def test_weights(shop):
    start(shop)
    assert shop.platoon.ctl("queue", "weight", "pages", "heavy", "3").returncode == 0
    bring(shop, {"heavy": 80, "light": 80}, hold=True)
    go(shop)
    begun = Turns(shop).while_all_wait({"heavy": 80})
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
