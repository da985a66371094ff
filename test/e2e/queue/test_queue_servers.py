"""A backbone of two servers: a message goes to any that is up, all are taken from, and what is on one that was away comes when it is back."""
import json
import subprocess

import pytest

from original_client import OriginalClient
from platoon_fixture import base_text, section, wait_until, whole_lines
from queue_fixture import CONSUMER

COUNT = 32  # of messages that each go to either of two servers: that one has none of them is no matter of luck
BACKBONES = [f"queue/shop/backbone.{n}" for n in (1, 2)]


class Pair:
    """The backbone shop on the servers a and b."""

    def __init__(self, platoon, servers):
        self.platoon, self.servers = platoon, servers
        self.redis = [server.client(decode_responses=True) for server in servers]
        self.seen_path = platoon.dir / "seen"
        self.seen_path.touch()
        (platoon.dir / "consumer.py").write_text(CONSUMER)

    def start(self, queues, programs=None):
        text = base_text(None, {"url": self.servers[0].url}).replace("redis main", "redis a")
        text += section("redis b", {"url": self.servers[1].url}) + section("backbone shop", {"redis": "a b", "namespace": "shop"})
        for name, keys in queues.items():
            text += section(f"queue {name}", {"pattern": name, **keys})
        for name, keys in (programs or {}).items():
            text += section(f"program {name}", {"command": f"/usr/bin/python3 -B {self.platoon.dir}/consumer.py", "port": "json",
                                                "environment": f"SEEN={self.seen_path}", **keys})
        self.platoon.config_path.write_text(text)
        self.platoon.start()
        wait_until(lambda: all(r.hlen("shop:registered_queues") == len(queues) for r in self.redis), 60, "the queues on both servers")
        return self

    def seen(self, event="task"):
        return [row for row in map(json.loads, whole_lines(self.seen_path)) if row["event"] == event]

    def deliver(self, n):
        return self.platoon.json("queue", "deliver", "--topic", "pages", "--facet", "f", json.dumps({"n": n}))

    def status(self):
        return self.platoon.json("queue", "status", "pages")[0]

    def waiting(self):
        return [int(r.get("shop:pages:length") or 0) for r in self.redis]


@pytest.fixture
def pair(platoon, redis_server):
    return Pair(platoon, [redis_server(), redis_server()])


def test_deliveries_go_to_both_and_all_are_taken(pair):
    pair.start({"pages": {}})
    answers = [pair.deliver(n) for n in range(COUNT)]
    assert sum(pair.waiting()) == COUNT and min(pair.waiting()) > 0, f"a server that nobody chose in {COUNT} deliveries"
    assert {a["id"].split("@")[1] for a in answers} == {"a", "b"} and all(a["queues"] == ["pages"] for a in answers)
    status = pair.status()
    assert status["waiting"] == COUNT and [row["waiting"] for row in status["servers"]] == pair.waiting()
    assert [row["server"] for row in status["servers"]] == ["a", "b"]
    facets = pair.platoon.json("queue", "facets", "pages")
    assert [(f["facet"], f["waiting"], f["servers"]) for f in facets["facets"]] == [("f", COUNT, ["a", "b"])]
    assert str(COUNT) in pair.platoon.ctl("queue", "status").stdout


def test_a_consumer_takes_from_both(pair):
    pair.start({"pages": {}}, {"indexer": {"takes": "pages", "window": 4}})
    for n in range(COUNT):
        pair.deliver(n)
    wait_until(lambda: len(pair.seen()) == COUNT, 60, "all to be handed out")
    assert sorted(row["body"]["n"] for row in pair.seen()) == list(range(COUNT))
    assert {row["id"].split("@")[1] for row in pair.seen()} == {"a", "b"}
    assert pair.platoon.ctl("--timeout", "60s", "queue", "wait", "pages").returncode == 0
    assert pair.status()["acked"] == COUNT


def test_receipts_name_their_server(pair):
    pair.start({"pages": {}})
    for n in range(COUNT):
        pair.deliver(n)
    pulled = []
    while len(pulled) < COUNT:
        pulled += pair.platoon.json("queue", "pull", "pages", "-n", "3")
    receipts = [m["receipt"] for m in pulled]
    assert {r.split("@")[1] for r in receipts} == {"a", "b"}
    refused = pair.platoon.ctl("queue", "ack", "pages", receipts[0].split("@")[0])
    assert refused.returncode == 2 and "of which server" in refused.stderr
    assert pair.platoon.json("queue", "renew", "pages", *receipts) == {"renewed": COUNT, "lost": 0}
    buried = [next(r for r in receipts if r.endswith(s)) for s in "ab"]
    assert pair.platoon.json("queue", "bury", "pages", *buried) == {"buried": 2, "lost": 0}
    rest = [r for r in receipts if r not in buried]
    assert pair.platoon.json("queue", "ack", "pages", *rest) == {"acked": COUNT - 2, "lost": 0}
    letters = pair.platoon.json("queue", "dead", "pages")
    assert {letter["server"] for letter in letters} == {"a", "b"}
    assert len(pair.platoon.json("queue", "dead", "pages", "show", letters[0]["id"])) == 1
    assert pair.platoon.json("queue", "dead", "pages", "retry", letters[0]["id"])["count"] == 1
    assert pair.platoon.json("queue", "dead", "pages", "drop", "all")["count"] == 1
    assert pair.status()["dead"] == 0 and pair.status()["waiting"] == 1


def test_what_is_done_to_a_queue_is_done_on_both(pair):
    pair.start({"pages": {}})
    assert pair.platoon.ctl("queue", "register", "mails", "^mail").returncode == 0
    assert [r.hget("shop:registered_queues", "mails") for r in pair.redis] == ["^mail"] * 2
    assert [row["was"] for row in pair.platoon.json("queue", "weight", "pages", "f", "7")["servers"]] == [1, 1]
    assert [r.hget("shop:pages:priorities", "f") for r in pair.redis] == ["7"] * 2
    assert pair.platoon.ctl("queue", "pause", "pages").returncode == 0 and pair.status()["paused"]
    assert pair.platoon.ctl("queue", "destroy", "mails").returncode == 0
    assert [r.hexists("shop:registered_queues", "mails") for r in pair.redis] == [False] * 2
    unknown = pair.platoon.ctl("queue", "status", "none")
    assert unknown.returncode == 5 and "pages" in unknown.stderr


def test_one_server_is_killed(pair):
    """Deliveries go on, what is on the dead one comes when it is back, and it is registered there again."""
    pair.start({"pages": {}}, {"giver": {}})
    for n in range(COUNT):
        pair.deliver(n)
    on_b = pair.waiting()[1]
    assert on_b > 0
    pair.servers[1].stop()
    wait_until(lambda: pair.platoon.workers()[BACKBONES[1]]["trouble"], 60, "its backbone worker to say so")
    for n in range(COUNT, COUNT + 10):
        assert pair.deliver(n)["id"].endswith("@a"), "the tool goes to the other one"
        pair.platoon.ctl("send", "giver.1", json.dumps({"do": "deliver", "id": str(n), "backbone": "shop", "topic": "pages", "facet": "f", "body": {"n": n + 100}}))
    wait_until(lambda: len(pair.seen("delivered")) == 10, 60, "the worker's deliveries")
    assert all("error" not in row and row["message"].endswith("@a") for row in pair.seen("delivered"))
    seen = pair.platoon.ctl("--json", "queue", "status", "pages")
    assert "server b" in seen.stderr and json.loads(seen.stdout)[0]["waiting"] == COUNT - on_b + 20
    refused = pair.platoon.ctl("queue", "cap", "pages", "5")
    assert refused.returncode == 1 and "server b" in refused.stderr
    pair.servers[1].start()
    wait_until(lambda: pair.platoon.ctl("queue", "cap", "pages", "0").returncode == 0, 60, "the server to be back")
    wait_until(lambda: pair.redis[1].hget("shop:registered_queues", "pages") == "pages", 60, "the queue to be registered there")
    assert pair.waiting() == [COUNT - on_b + 20, on_b] and pair.status()["waiting"] == COUNT + 20
    pulled = []
    while len(pulled) < COUNT + 20:
        pulled += pair.platoon.json("queue", "pull", "pages", "-n", "20")
    assert sorted(json.loads(m["body"])["n"] for m in pulled) == sorted([*range(COUNT + 10), *range(COUNT + 100, COUNT + 110)]), "each once"


def test_the_original_client_with_several_servers(pair):
    """It delivers to one of them and pulls from all in any order, as it does without us."""
    pair.start({"pages": {}, "bare": {"raw": "true"}}, {"indexer": {"takes": "pages"}})
    clients = [OriginalClient(r, "shop:") for r in pair.redis]
    for n in range(10):
        clients[n % 2].deliver("pages", "f", json.dumps({"n": n}))
        clients[n % 2].deliver("bare", "f", str(n))
    wait_until(lambda: len(pair.seen()) == 10, 60, "the consumer to have both servers' messages")
    got = [client.pull("bare")[1] for client in clients for _ in range(5)]
    assert sorted(map(int, got)) == list(range(10))


def test_who_listens_hears_both_servers(pair):
    """Each message once, whichever server published it."""
    pair.start({"pages": {}})
    with subprocess.Popen([pair.platoon.build / "platoonctl", "-s", pair.platoon.dir / "run/control.sock", "--json", "queue", "listen", "*", "-n", "6"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as tool:
        wait_until(lambda: all(r.pubsub_numpat() > 0 for r in pair.redis), 60, "the tool to listen to both")
        ids = [pair.deliver(n)["id"] for n in range(6)]
        heard = [json.loads(tool.stdout.readline()) for _ in range(6)]
        assert tool.wait(60) == 0
    assert sorted(json.loads(m["body"])["n"] for m in heard) == list(range(6)) and len(ids) == 6
