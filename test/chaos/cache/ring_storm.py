#!/usr/bin/python3
"""ring_storm.py [--seed N] [--storms 1] [--seconds 20]: everything goes wrong at random over three nodes that are one cache, with a directory as its store.

Writers are those of cache_storm.py, each at whichever node, now at this one, now at another, so that objects move. Killed and frozen are nodes, manager, backing
worker, master and Redis (which is durable: what it forgets, nobody can hold against a ring); the Nth call of each kind fails in them, store and disks are away and
full. A frozen node's lease is over, and it goes on in the belief of what it was. When all is healed:

  every object is as it was last acknowledged by any node, at each of them: nothing was done twice, or by two
  the same from the store alone, when all have stopped in order and their logs are gone
  nothing is dirty, nothing a dead letter, nobody lost, no process and no socket is left; nobody has grown
"""
import shutil
import sys
import time

from cache_storm import CacheStorm, StormBase, Writer, for_a_while, main  # first: it says where the fixtures are
import redis
from cache_store_fixture import Directory, in_time
from plan import Plan
from platoon_fixture import Platoon, RedisServer, wait_until
from ring_fixture import Ring

NODES = 3


class RingWriter(Writer):
    def __init__(self, storm, number):
        super().__init__(storm, number)
        self.unlogged = set()

    def write(self, key, value, *words):
        """What is refused while the log cannot be written is in memory, where it is read, and gone when its node is killed before it can."""
        try:
            answer = super().write(key, value, *words)
        except redis.ResponseError as error:
            if str(error).startswith("MISCONF ") or (self.storm.disk / "ballast").exists():
                self.unlogged.add(key)
            raise
        self.unlogged.discard(key)
        return answer

    def choose(self):
        if self.client is not None and self.random.random() < 0.1:
            self.client.close()
            self.client = None  # the next one is perhaps another node's
        return super().choose()

    def look(self, key):
        """What was refused was done or was not, but what is still under way to a node that is frozen: so what is seen is known."""
        super().look(key)
        if key not in self.given_up | self.unlogged and not any(for_a_while(value) for value in self.possible.get(key, ())):
            self.possible[key] = {self.seen}


class RingStorm(CacheStorm):
    CACHE = "c"
    STAYS = tuple(f"c{number}.sock" for number in range(1, NODES + 1))

    def __init__(self, seed, seconds):
        StormBase.__init__(self, seed, seconds, Platoon())
        self.plan = {program: Plan(self.plans, program) for program in ["cache-node", "cache-backing", "cache-manager"]}
        self.server = RedisServer("--appendfsync", "always")
        self.store = Directory(self.disk / "objects")
        self.is_away = False
        (self.disk / "logs").mkdir()
        (self.platoon.dir / "state").mkdir()
        (self.platoon.dir / "state/cache").symlink_to(self.disk / "logs")
        self.ring = Ring(self.server).add(
            self.platoon, store=self.store, nodes=NODES, whole={"hang_timeout": "10s"}, lease="2s", timeout="2s", object_max="256KB",
            write_delay=self.random.choice(["1ms", "100ms", "1s"]), memory=self.random.choice(["8MB", "32MB"]), idle=self.random.choice(["300ms", "2s", "10m"]),
            dirty_max=self.random.choice(["1MB", "64MB"]), fsync=self.random.choice(["always", "everysec", "no"]))

    def client(self, seconds, choice=None):
        node = (choice or self.random).choice(self.ring.nodes)
        return redis.Redis(unix_socket_path=node.path, socket_timeout=seconds)

    def is_unsure(self, error):
        """The lease may be over before what was done is acknowledged."""
        return str(error).startswith("TRYAGAIN ")

    def may_come_later(self, error):
        return "may have been done" in str(error)

    # ---- what goes wrong ----

    def kill_manager(self):
        self.kill("cache-manager")

    def kill_redis(self):
        self.server.stop()
        time.sleep(self.random.random())
        self.server.start()

    def freeze_redis(self):
        self.server.pause()

    def thaw(self):
        if self.server.process.poll() is None:
            self.server.resume()
        super().thaw()

    def stop_start(self):
        self.platoon.ctl("--timeout", "20s", "restart", self.random.choice([node.name for node in self.ring.nodes] + ["cache/c", "cache/c/manager.1"]))

    ACTIONS = [(CacheStorm.kill_node, 8), (CacheStorm.kill_backing, 3), (kill_manager, 5), (StormBase.kill_three, 2), (StormBase.freeze_worker, 4), (thaw, 6),
               (StormBase.kill_master, 1), (StormBase.restart_master, 1), (kill_redis, 1), (freeze_redis, 1), (CacheStorm.store_away, 2),
               (CacheStorm.store_unmounted, 1), (CacheStorm.store_back, 5), (CacheStorm.fail, 8), (CacheStorm.slow, 2), (CacheStorm.fast, 3),
               (StormBase.fill_disk, 1), (StormBase.free_disk, 3), (stop_start, 2)]

    # ---- and after it ----

    def writers(self):
        return [RingWriter(self, number) for number in range(3)]

    def dry(self):
        self.everybody_is_there()
        super().dry()

    def everybody_is_there(self):
        try:
            wait_until(lambda: [row["state"] for row in self.ring.rows()] == ["live"] * NODES, 120, "all nodes to be back, and none besides")
        except BaseException:
            self.note_state("cache ring c", "cache status")
            raise

    def values(self, writers):
        """At a node each, and then at all of them for some."""
        found = super().values(writers)
        some = self.random.sample(sorted(found), min(50, len(found)))
        for node in self.ring.nodes:
            r = redis.Redis(unix_socket_path=node.path, socket_timeout=20)
            for key in some:
                told = in_time(lambda key=key, r=r: r.get(key))
                assert told == found[key] or for_a_while(found[key]), f"{key}: {told} at {node.name}, {found[key]} elsewhere"
        return found

    def lose(self):
        """All that was on this host, once it has left the ring."""
        assert self.platoon.stop() == 0
        for entry in (self.disk / "logs").iterdir():
            shutil.rmtree(entry)
        self.platoon.start()
        self.everybody_is_there()

    def close_more(self):
        self.server.close()


if __name__ == "__main__":
    sys.exit(main(RingStorm, __doc__))
