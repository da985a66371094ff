"""redis_base.py: of storms over a Redis of their own: what goes wrong with it.

A storm's class takes it in beside StormBase, has `server` (a RedisServer), `client()` (a new client of it) and `redis_plan` (of its fault points), and
names those blows that it wants among its ACTIONS.
"""
import contextlib

import redis

from storm_base import StormBase


class RedisBlows(StormBase):
    JUMPS = (-3600, -10, 0, 10, 3600)  # seconds that its clock goes wrong by
    farthest = 0  # how far ahead it has been

    def revive_redis(self):
        """It is dead when its disk was full."""
        if self.server.process.poll() is not None:
            self.free_disk()
            self.server.start()

    def restart_redis(self):
        self.server.stop()
        self.over.wait(self.random.random() * 0.5)
        self.revive_redis()

    def pause_redis(self):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # dead: its disk was full
            self.server.pause()
            self.over.wait(self.random.random() * 3)
            self.server.resume()

    def tell_redis(self, *words):
        """AttributeError: redis-py's, of a connection that another thread has just closed."""
        with contextlib.suppress(redis.RedisError, OSError, AttributeError):
            self.client().execute_command(*words)

    def flush_scripts(self):
        self.tell_redis("SCRIPT", "FLUSH")
        self.tell_redis("FUNCTION", "FLUSH")

    def kill_clients(self):
        self.tell_redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def fill_redis(self):
        self.tell_redis("CONFIG", "SET", "maxmemory", "1")
        self.over.wait(self.random.random())
        self.tell_redis("CONFIG", "SET", "maxmemory", "0")

    def make_redis_readonly(self):
        self.tell_redis("REPLICAOF", "127.0.0.1", "1")
        self.over.wait(self.random.random())
        self.tell_redis("REPLICAOF", "NO", "ONE")

    def jump(self):
        seconds = self.random.choice(self.JUMPS)
        self.farthest = max(self.farthest, seconds)
        self.redis_plan.clock(seconds)

    BLOWS = [(restart_redis, 3), (pause_redis, 2), (flush_scripts, 2), (kill_clients, 4), (fill_redis, 2), (make_redis_readonly, 2),
             (StormBase.fill_disk, 1), (StormBase.free_disk, 2), (revive_redis, 6), (jump, 3)]

    # ---- and after it ----

    def heal(self):
        self.heal_redis()
        super().heal()

    def heal_redis(self):
        """Its clock stays at the farthest that it was: else what has a lease from there would wait as long."""
        self.free_disk()
        self.revive_redis()
        self.server.resume()
        self.redis_plan.clock(self.farthest)
        self.tell_redis("CONFIG", "SET", "maxmemory", "0")
        self.tell_redis("REPLICAOF", "NO", "ONE")
