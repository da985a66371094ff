"""Clients that INCR the same keys, whatever breaks, and what their numbers say when it is over: an acknowledged number is there once.

A client never stops for an error that passes (TRYAGAIN, NOREPLICAS, LOADING, a connection that is lost): that INCR was done or was not, and is
counted as sent. Every other error is wrong.
"""
import collections
import itertools
import random
import threading
import time

import redis

from platoon_fixture import wait_until

PAUSE = 0.001  # between two commands of a client: the machine is for those that are tested

Ack = collections.namedtuple("Ack", "client key number began ended")


def passes(error):
    """Whether it goes by itself, so that the same may be asked again."""
    if isinstance(error, redis.exceptions.AuthenticationError):
        return False
    return (isinstance(error, (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError))
            or isinstance(error, redis.exceptions.ResponseError) and str(error).startswith(("TRYAGAIN ", "NOREPLICAS ")))


def patient(ask, timeout=60):
    """Its answer, as soon as there is one."""
    last = []

    def look():
        try:
            return [ask()]
        except redis.exceptions.RedisError as error:
            if not passes(error):
                raise
            last[:] = [error]
            return None
    return wait_until(look, timeout, lambda: f"an answer; the last: {last}")[0]


def judge(acks, sent, finals):
    """
    What is wrong with what was acknowledged, as texts. sent: key to how many INCRs were sent at all; finals: key to its value at the end.
    An INCR that began when another's number was known already has a greater one: so numbers of one client grow, too.
    """
    wrong = []
    for key, final in finals.items():
        mine = sorted((ack for ack in acks if ack.key == key), key=lambda ack: ack.number)
        wrong += [f"{key}: {a.number} twice: {a} {b}" for a, b in itertools.pairwise(mine) if a.number == b.number]
        wrong += [f"{key}: {mine[-1]} is more than {final}, which it has"] if mine and mine[-1].number > final else []
        wrong += [f"{key}: {mine[0]} is none that INCR gives"] if mine and mine[0].number < 1 else []
        if not len(mine) <= final <= sent[key]:
            wrong.append(f"{key}: is {final} of {sent[key]} that were sent and {len(mine)} that were acknowledged")
        latest = None
        for ack in mine:
            if latest is not None and ack.ended < latest.began:
                wrong.append(f"{key}: {latest} is less than what was known when it began: {ack}")
            if latest is None or ack.began > latest.began:
                latest = ack
    return wrong


class Hammer:
    """makers: whatever a client is called, to what makes it. Used with `with`: at its end the clients end, and what is wrong fails the test."""

    def __init__(self, makers, keys, seed=1):
        self.keys = list(keys)
        self.over = threading.Event()
        self.acks = {name: [] for name in makers}
        self.sent = {name: collections.Counter() for name in makers}
        self.done = {name: collections.Counter() for name in makers}
        self.refusals = collections.Counter()
        self.last = {}
        self.wrong = []
        self.threads = [threading.Thread(target=self._run, args=(name, make, random.Random(seed * 1000 + number)), daemon=True)
                        for number, (name, make) in enumerate(makers.items())]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.stop()
        if kind is None:
            assert not self.wrong, self.wrong

    def _run(self, name, make, rng):
        client = make()
        try:
            while not self.over.is_set():
                self._once(name, client, rng.choice(self.keys))
                self.over.wait(PAUSE)
        except Exception as error:
            self.wrong.append(f"{name}: {error!r}")
        finally:
            client.close()

    def _once(self, name, client, key):
        self.sent[name][key] += 1
        began = time.monotonic()
        try:
            number = client.incr(key)
        except redis.exceptions.RedisError as error:
            if not passes(error):
                raise
            self.last[name] = str(error)
            self.refusals[name] += 1
            return
        self.acks[name].append(Ack(name, key, number, began, time.monotonic()))
        self.done[name][key] += 1

    def _grows(self, look, count, who, timeout, what):
        """Until each of the counts in look(name) has grown by `count`, for each of `who`."""
        before = {name: look(name) for name in who or self.acks}

        def grown():
            assert not self.wrong, self.wrong
            return all(now >= was + count for name in before for now, was in zip(look(name), before[name]))
        wait_until(grown, timeout, lambda: f"{what}: {before} is {({name: look(name) for name in before})}; last refusals: {self.last}")

    def more(self, count=5, who=None, keys=None, timeout=60):
        """Waits until each client (of `who`) has so many more numbers of each key (of `keys`)."""
        self._grows(lambda name: [self.done[name][key] for key in keys or self.keys], count, who, timeout, "more numbers")

    def refused(self, count=1, who=None, timeout=60):
        """Waits until each client (of `who`) has heard so many more refusals."""
        self._grows(lambda name: [self.refusals[name]], count, who, timeout, "refusals")

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(120)
            if thread.is_alive():
                self.wrong.append(f"{thread.name} hangs")

    def check(self, client):
        """Ends it. Its numbers are right beside what the keys have now, by this client."""
        self.stop()
        assert not self.wrong, self.wrong
        finals = {key: int(patient(lambda key=key: client.get(key)) or 0) for key in self.keys}
        sent = sum(self.sent.values(), collections.Counter())
        wrong = judge([ack for acks in self.acks.values() for ack in acks], sent, finals)
        assert not wrong, wrong[:20]
        return finals

