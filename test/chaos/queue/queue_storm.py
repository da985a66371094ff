#!/usr/bin/python3
"""queue_storm.py [--seed N] [--storms 1] [--seconds 20]: everything goes wrong at random over two backbones with live queues; then every message is accounted for.

A storm is one seed. Writers deliver by LPUSH to the inbox, by FCALL, by the tool and as the original's clients do. Programs in the tree take messages and
settle them, once or twice, ask for them again, bury them, hang over them and die of them; others pull by FCALL, let leases run out and settle late; a raw queue is pulled as
the original's clients do. Meanwhile workers, consumers and master are killed and frozen, Redis is killed, frozen, filled, made read-only, robbed of its scripts and clients, its
disk (a small tmpfs, which takes root) is full, and its clock set forward and back. Then all is healed, the queues run empty, and these must hold:

  what was acknowledged came to somebody, in each queue that wanted it, as one message; what was refused came to nobody
  no receipt was handed out twice; what was acked was handed out to nobody again, and as many acks and dead letters were counted as there were messages
  a dead letter is what was buried; of a raw queue nothing came twice, and no more is missing than there were pulls without an answer
  nothing of the queues is left in Redis but dead letters, no process, no socket and no sanitizer's complaint; nobody has grown
"""
import collections
import json
import pathlib
import random
import sys
import threading

CHAOS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHAOS), str(CHAOS.parent / "e2e/queue")]
import redis  # noqa: E402
from storm_base import StormBase, main  # noqa: E402, first: it says where the fixtures are
from original_client import OriginalClient  # noqa: E402
from redis_base import RedisBlows  # noqa: E402
from plan import Plan, environment  # noqa: E402
from platoon_fixture import Platoon, RedisServer, base_text, section, wait_until  # noqa: E402

# Does with a task what its body says, and writes each down before it does: one write a line, which is whole or not there.
CONSUMER = r'''
import json, os, sys, time
seen = os.open(os.environ["SEEN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def say(**what):
    print(json.dumps(what), flush=True)

for line in sys.stdin:
    event = json.loads(line)
    if event["event"] != "task":
        continue
    body, attempt = event["body"], event["attempt"]
    row = {"queue": event["queue"], "id": event["id"].split("/")[-1], "attempt": attempt, "n": body["n"]}
    os.write(seen, (json.dumps(row) + "\n").encode())
    what = body["do"] if attempt < body["until"] or body["do"] in ("bury", "sleep", "twice") else "done"
    if what != "bury" and os.path.exists(os.environ["SEEN"] + ".calm"):
        what = "done"
    if what == "die":
        os._exit(9)
    if what == "sleep":
        time.sleep(body["seconds"])
    if what == "again":
        say(do="again", id=event["id"], error="not yet", after_ms=body["after_ms"])
    elif what == "bury":
        say(do="bury", id=event["id"], error="told to")
    elif what != "hold":
        for _ in range(1 + (what == "twice")):
            say(do="done", id=event["id"])
'''

SPACES = {"shop": "shop:", "two": "{two}:"}
# Of each queue its backbone, and whether it is platoon's.
QUEUES = {"pages": "shop", "pulled": "shop", "raw": "shop", "mails": "two"}
OURS = [name for name in QUEUES if name != "raw"]
TOPICS = {"shop": ["pages", "pages", "pages pulled", "pulled raw", "pages raw", "raw", "pages pulled raw"], "two": ["mails"]}
REFUSED, UNKNOWN, ACKNOWLEDGED = "refused", "unknown", "acknowledged"


class Actor(threading.Thread):
    """Somebody who goes on until the storm is over, on a connection that is made anew when it broke."""

    def __init__(self, storm, name):
        super().__init__(daemon=True)
        self.storm, self.random = storm, random.Random(f"{storm.seed}-{name}")
        self.version = 0
        self.redis = storm.client()

    def run(self):
        while not self.storm.over.is_set():
            try:
                self.turn()
            except (redis.RedisError, OSError, AttributeError):  # redis-py 4.3 looks for a unix socket's host to name it in its error
                self.storm.over.wait(0.05)
            self.storm.over.wait(self.random.random() * 0.02)

    def turn(self):
        raise NotImplementedError


class Writer(Actor):
    def __init__(self, storm, number):
        super().__init__(storm, number)
        self.number = number
        self.sent = {}  # n to [what came of it, backbone, topic, what its consumer is to do]
        self.no_address = collections.Counter()  # bodies that the inbox cannot place: what came of them
        self.original = {name: OriginalClient(self.redis, space) for name, space in SPACES.items()}

    def body(self, n, topic):
        what = self.random.choices(["done", "again", "bury", "die", "hold", "sleep", "twice"], [70, 10, 4, 2, 2, 4, 6])[0]
        return what, json.dumps({"n": n, "do": what, "until": self.random.choice([2, 2, 3]), "after_ms": self.random.choice([0, 0, 300]),
                                 "seconds": self.random.choice([0.1, 0.5, 2.5]), "topic": topic, "facet": self.facet(), "fill": "x" * self.random.choice([0, 0, 100, 9000])})

    def facet(self):
        return f"f{min(self.random.randint(0, 9), self.random.randint(0, 9))}"

    def turn(self):
        self.version += 1
        backbone = self.random.choice(["shop", "shop", "two"])
        topic, n = self.random.choice(TOPICS[backbone]), f"{self.number}-{self.version}"
        what, body = self.body(n, topic)
        if self.random.random() < 0.01:
            self.no_address[self.outcome(lambda: self.by_inbox(backbone, topic, "no body of ours"))] += 1
            return
        way = self.random.choices([self.by_inbox, self.by_function, self.by_function_later, self.as_the_original, self.by_tool], [40, 40, 5, 10, 2])[0]
        if way == self.by_function_later and "raw" in topic:
            way = self.by_function
        self.sent[n] = told = [UNKNOWN, backbone, topic, what]
        told[0] = self.outcome(lambda: way(backbone, topic, body))
        if told[0] == UNKNOWN:
            self.storm.over.wait(0.1)

    def outcome(self, call):
        """What Redis answers with an error it has not done."""
        try:
            return call() or ACKNOWLEDGED
        except redis.ResponseError as error:
            self.storm.errors[str(error)[:60]] += 1
            return REFUSED
        except (redis.RedisError, OSError, AttributeError):
            return UNKNOWN

    def by_inbox(self, backbone, topic, body):
        self.storm.written(self.redis, lambda r: r.lpush(SPACES[backbone] + "platoon:inbox", body))

    def by_function(self, backbone, topic, body, *after):
        answer = self.storm.written(self.redis, lambda r: r.execute_command("FCALL", "platoon_deliver", 1, SPACES[backbone], topic, self.facet(), body, *after))
        if sorted(answer[1:]) != sorted(topic.split()):
            self.storm.wrong.append(f"{topic} came into {answer[1:]}")

    def by_function_later(self, backbone, topic, body):
        self.by_function(backbone, topic, body, self.random.choice([1, 200, 1500]))

    def as_the_original(self, backbone, topic, body):
        self.storm.written(self.redis, lambda r: self.original[backbone].deliver(topic, self.facet(), body, client=r))

    def by_tool(self, backbone, topic, body):
        done = self.storm.platoon.ctl("--timeout", "5s", "queue", "deliver", "--on", backbone, "--topic", topic, "--facet", self.facet(), body)
        if done.returncode == 0:
            return self.storm.told_by_tool
        return REFUSED if "the message is not queued" in done.stderr and "unknown" not in done.stderr else UNKNOWN


class Puller(Actor):
    """Pulls by FCALL, and does all that one may do with a receipt."""

    def __init__(self, storm, number):
        super().__init__(storm, f"puller-{number}")
        self.owner = f"puller-{number}"
        self.rows = []
        self.acked = {}  # (queue, id) to the attempt whose ack counted

    def call(self, name, *words):
        return self.redis.execute_command("FCALL", f"platoon_{name}", 1, SPACES["shop"], *words)

    def pull(self, queue, count, lease):
        rows = []
        for _, receipt, attempt, _, _, body in self.call("pull", self.owner, count, lease, queue):
            number = receipt.split(".")[0]
            rows.append((receipt, json.loads(body)))
            self.rows.append({"queue": queue, "id": number, "attempt": attempt, "n": rows[-1][1]["n"]})
        self.version += len(rows)
        return rows

    def turn(self):
        queue = self.random.choice(["pulled", "pulled", "pages"])
        for receipt, body in self.pull(queue, self.random.choice([1, 1, 3, 10]), self.random.choice([50, 500, 2000])):
            self.random.choices([self.ack, self.ack_late, self.again, self.renew, self.forget], [60, 5, 10, 5, 10])[0](queue, receipt, body)

    def ack(self, queue, receipt, body):
        if body["do"] == "bury":
            self.call("bury", queue, "told to", receipt)
        elif self.call("ack", queue, receipt) == 1:
            number, attempt = receipt.split(".")
            self.acked[queue, number] = int(attempt)

    def ack_late(self, queue, receipt, body):
        self.storm.over.wait(self.random.random())
        self.ack(queue, receipt, body)

    def again(self, queue, receipt, body):
        self.call("again", queue, self.random.choice([-1, 0, 200]), "not yet", receipt)

    def renew(self, queue, receipt, body):
        self.call("renew", queue, 1000, receipt)
        self.ack(queue, receipt, body)

    def forget(self, queue, receipt, body):
        """It has died: the lease runs out."""


class RawPuller(Actor):
    def __init__(self, storm):
        super().__init__(storm, "raw")
        self.original = OriginalClient(self.redis, SPACES["shop"])
        self.seen = collections.Counter()
        self.unanswered = 0  # messages that may have gone with an answer that was lost

    def take(self):
        """Whether there was something. Ours takes three, theirs one."""
        ours = self.random.random() < 0.3
        try:
            bodies = [row[5] for row in self.redis.execute_command("FCALL", "platoon_pull", 1, SPACES["shop"], "raw", 3, -1, "raw")] if ours else \
                [row[1] for row in [self.original.pull("raw")] if row and row[1]]
        except redis.ResponseError:
            raise
        except (redis.RedisError, OSError, AttributeError):
            self.unanswered += 3 if ours else 1
            raise
        self.seen.update(json.loads(body)["n"] for body in bodies)
        self.version += len(bodies)
        return bool(bodies)

    def turn(self):
        self.take()


class QueueStorm(RedisBlows):
    told_by_tool = ACKNOWLEDGED
    EXACT = True  # Redis forgets nothing

    def __init__(self, seed, seconds):
        super().__init__(seed, seconds, Platoon())
        self.redis_plan = Plan(self.plans, "redis-server")
        self.wrong, self.errors = [], collections.Counter()
        self.seen_path = self.platoon.dir / "seen"
        self.seen_path.touch()
        (self.platoon.dir / "consumer.py").write_text(CONSUMER)
        self.make_redis()
        self.platoon.config_path.write_text(self.text())
        self.client().hset(SPACES["two"] + "registered_queues", mapping={f"many{i}": f"^nothing{i}$" for i in range(70)})

    def make_redis(self):
        # `always`: see the drain's storm. Its data is on the small disk: of a full one Redis dies, because it must not confirm what it cannot keep.
        (self.disk / "redis").mkdir()
        self.server = RedisServer("--appendfsync", "always", "--dir", str(self.disk / "redis"), environment=environment(self.plans))
        self.url = self.server.url

    def client(self, **more):
        return self.server.client(socket_timeout=3, decode_responses=True, **more)

    def written(self, client, call):
        """call(client) writes; where that is not durable when it is answered, a subclass sees to it."""
        return call(client)

    def text(self):
        often = {"intensity": 1000, "period": "1s", "backoff_min": "10ms", "backoff_max": "200ms"}
        ours = {"retry_min": "10ms", "retry_max": "300ms", "max_attempts": 1000}
        command = {"command": f"/usr/bin/python3 -B {self.platoon.dir}/consumer.py", "port": "json", "environment": f"SEEN={self.seen_path}", "backoff_min": "10ms", "backoff_max": "200ms"}
        text = base_text(often, {"url": self.url, "timeout": "2s", "retry_max": "300ms"})
        for name, space in SPACES.items():
            text += section(f"backbone {name}", {"namespace": space.rstrip(":"), "topic": "{topic}", "facet": "{facet}", "workers": self.random.choice([1, 2])})
        text += section("queue pages", {"backbone": "shop", "pattern": "pages", "lease": "2s", "work_max": "2s", "workers": self.random.choice([1, 2]), **ours})
        text += section("queue pulled", {"backbone": "shop", "pattern": "pulled", **ours})
        text += section("queue raw", {"backbone": "shop", "pattern": "raw", "raw": True})
        text += section("queue mails", {"backbone": "two", "pattern": "^mails$", "lease": "1s", "work_max": "1s", **ours})
        text += section("program indexer", {"takes": "pages", "window": self.random.choice([1, 4, 30]), "processes": 3, **command})
        return text + section("program mailer", {"takes": "mails*3 pages", "window": self.random.choice([1, 5]), "processes": 3, **command})

    # ---- what goes wrong ----

    def stop_start(self):
        self.platoon.ctl("--timeout", "20s", "restart", self.random.choice(["queue/shop", "queue/shop/backbone.1", "queue/shop/pages.1", "queue/two/mails.1", "indexer", "mailer"]))

    ACTIONS = [(StormBase.kill_worker, 14), (StormBase.kill_three, 4), (StormBase.freeze_worker, 4), (StormBase.thaw, 5), (StormBase.kill_master, 1),
               (StormBase.restart_master, 1), *RedisBlows.BLOWS, (stop_start, 3)]

    # ---- and after it ----

    def writers(self):
        self.writing = [Writer(self, i) for i in range(3)]
        self.pulling = [Puller(self, i) for i in range(2)]
        self.raw = RawPuller(self)
        return [*self.writing, *self.pulling, self.raw]

    def close_more(self):
        self.server.close()

    def key(self, name, more, own=True):
        space = SPACES[QUEUES[name]]
        return f"{space}platoon:{name}:{more}" if own else f"{space}{name}:{more}"

    def waits(self, r):
        """What is not at its end, by name."""
        left = {f"{name}'s inbox": r.llen(space + "platoon:inbox") for name, space in SPACES.items()}
        for name in OURS:
            left[name] = r.hlen(self.key(name, "held")) - 2 * r.zcard(self.key(name, "dead")) + int(r.get(self.key(name, "length", False)) or 0)
        left["raw"] = int(r.get(self.key("raw", "length", False)) or 0)
        return {name: count for name, count in left.items() if count}

    def run_empty(self):
        """Those in the tree go on by themselves; what is pulled from outside is pulled."""
        puller = self.pulling[0]
        pathlib.Path(f"{self.seen_path}.calm").touch()  # programs have no whims any more: a queue of hundreds need not wait for each

        def is_empty():
            try:
                for receipt, body in puller.pull("pulled", 100, 60000):
                    puller.ack("pulled", receipt, body)
                while self.raw.take():
                    pass
                return not self.waits(puller.redis)
            except redis.RedisError as error:
                self.errors[str(error)[:60]] += 1
                return False
        try:
            wait_until(is_empty, 120, "the queues to be empty")
        except BaseException:
            self.state.append(f"left: {self.waits(puller.redis)}, errors {self.errors}")
            self.note_state("queue status --on shop", "queue status --on two")
            raise

    def rows(self):
        rows = [json.loads(line) for line in self.seen_path.read_text().splitlines()]
        return rows + [row for puller in self.pulling for row in puller.rows]

    def account(self, writers):
        self.run_empty()
        r, rows = self.client(), self.rows()
        wrong = [*self.wrong, *self.hand_outs(rows), *self.settlements(rows, r), *self.messages(rows), *self.of_raw(), *self.left(r)]
        if wrong:
            self.note_state("queue status --on shop", "queue status --on two")
        assert not wrong, f"{len(wrong)} are wrong: {wrong[:8]}"
        outcomes = collections.Counter(told[0] for writer in self.writing for told in writer.sent.values())
        return f"{outcomes[ACKNOWLEDGED]} acknowledged, {outcomes[REFUSED]} refused, {outcomes[UNKNOWN]} of unknown outcome, {len(rows)} hand-outs, {sum(self.raw.seen.values())} raw"

    def hand_outs(self, rows):
        """No receipt twice; nothing that was acked."""
        count = collections.Counter((row["queue"], row["id"], row["attempt"]) for row in rows)
        for receipt, times in count.items():
            if times > 1 and self.EXACT:
                yield f"{receipt} was handed out {times} times"
        acked = {key: attempt for puller in self.pulling for key, attempt in puller.acked.items()}
        for row in rows:
            attempt = acked.get((row["queue"], row["id"]))
            if attempt is not None and row["attempt"] > attempt and self.EXACT:
                yield f"{row}: attempt {attempt} was acked"

    def settlements(self, rows, r):
        """As many acks and dead letters were counted as there were messages; dead letters were buried."""
        whats = {n: told[3] for writer in self.writing for n, told in writer.sent.items()}
        for name in OURS:
            ids = {row["id"] for row in rows if row["queue"] == name}
            dead = r.zrange(self.key(name, "dead"), 0, -1)
            acked = int(r.hget(self.key(name, "stats"), "acked") or 0)
            if self.EXACT and acked + len(dead) != len(ids):
                yield f"{name}: {len(ids)} messages, {acked} acks, {len(dead)} dead letters"
            names = {row["id"]: row["n"] for row in rows if row["queue"] == name}
            for number in dead:
                if whats.get(names.get(number)) != "bury":
                    yield f"{name}: {number}, {names.get(number)}, is dead: {whats.get(names.get(number))}"

    def messages(self, rows):
        """One in each queue that wanted it."""
        ids = collections.defaultdict(set)
        for row in rows:
            ids[row["queue"], row["n"]].add(row["id"])
        for writer in self.writing:
            for n, (outcome, _, topic, what) in writer.sent.items():
                for name in OURS:
                    count, wanted = len(ids[name, n]), name in topic.split()
                    more = count > wanted if self.EXACT else count and not wanted  # a body of the inbox that is taken again is another message
                    if more or (outcome == ACKNOWLEDGED and count < wanted) or (outcome == REFUSED and count):
                        yield f"{n} ({what}), {outcome}: {count} messages in {name}"
                if self.EXACT and len({bool(ids[name, n]) for name in OURS if name in topic.split()}) > 1:
                    yield f"{n}, {outcome}: in some of its queues only"

    def of_raw(self):
        missing = []
        for writer in self.writing:
            for n, (outcome, _, topic, _) in writer.sent.items():
                count, wanted = self.raw.seen[n], "raw" in topic.split()
                if (count > wanted and self.EXACT) or (outcome == REFUSED and count):
                    yield f"{n}, {outcome}: {count} times in raw"
                if outcome == ACKNOWLEDGED and count < wanted:
                    missing.append(n)
        if len(missing) > self.raw.unanswered:
            yield f"{len(missing)} are missing in raw, there were {self.raw.unanswered} pulls without an answer: {missing[:5]}"

    def left(self, r):
        for name in QUEUES:
            for more, own in (("leases", True), ("later", True), ("flight", True), ("facet_queue", False), ("facet_pool", False), ("active_facets", False)):
                if r.exists(self.key(name, more, own)) and not (name == "raw" and more.startswith("facet_")):
                    yield f"{self.key(name, more, own)} is left"
        told = sum((writer.no_address for writer in self.writing), collections.Counter())
        letters = sum(r.zcard(space + "platoon:inbox:dead") for space in SPACES.values())
        if self.EXACT and not told[ACKNOWLEDGED] <= letters <= told[ACKNOWLEDGED] + told[UNKNOWN]:
            yield f"{letters} dead letters of inboxes, for {told}"


if __name__ == "__main__":
    sys.exit(main(QueueStorm, __doc__))
