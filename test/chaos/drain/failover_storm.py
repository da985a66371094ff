#!/usr/bin/python3
"""failover_storm.py [--seed N] [--storms 1] [--seconds 40]: the primary fails over, again and again, over a live drain; see storm.py.

Three real Sentinels watch two servers; the primary is killed with -9, or handed over by order, while workers, the master, clients and Sentinels go as
well. Writers ask with WAIT whether the replica has what they wrote: only then is it acknowledged, for replication is asynchronous, and what the old
primary alone had is nobody's to store. Then every record that the new primary has is accounted for.
"""
import contextlib
import itertools
import sys
import time

import redis
from redis.sentinel import Sentinel as Sentinels

from storm import SET, Storm, Writer, main  # first: it says where the fixtures are
import storm_rights
from platoon_fixture import RedisServer, free_port, process_state, wait_until
from sentinel_fixture import NAME, url_of, watched

WRITE = "redis.call('HSET', KEYS[1], 'id', KEYS[1], 'version', ARGV[1], 'text', ARGV[2]) redis.call('SADD', KEYS[2], KEYS[1])"
DELETE = "redis.call('SREM', KEYS[2], KEYS[1]) redis.call('DEL', KEYS[1])"


class ReplicatedWriter(Writer):
    def write(self, member, version):
        self.run_script(WRITE, member, str(version), "x" * self.random.choice([0, 10, 200, 5000]))

    def delete(self, member):
        self.run_script(DELETE, member)

    def run_script(self, script, member, *words):
        pipe = self.storm.client.pipeline(transaction=False)  # one connection: WAIT is about what that has written
        pipe.eval(script, 2, member, SET, *words)
        pipe.execute_command("WAIT", 1, 500)
        if pipe.execute()[1] != 1:
            raise redis.ConnectionError("the replica may not have it")


class FailoverStorm(Storm):
    WRITER = ReplicatedWriter

    def make_redis(self, environ):
        self.servers = []
        for _ in range(2):
            port = free_port()  # stays the same when it is started again
            self.servers.append(RedisServer("--appendfsync", "always", *storm_rights.SERVER, "--port", str(port), environment=environ))
            self.servers[-1].port = port
        self.watch = contextlib.ExitStack()
        self.sentinels = self.watch.enter_context(watched(*self.servers))
        self.url = url_of(self.sentinels)
        known = Sentinels([("127.0.0.1", s.port) for s in self.sentinels], socket_timeout=1)
        self.client = known.master_for(NAME, socket_timeout=2)
        self.primaries = [self.servers[0].port]

    # ---- what goes wrong ----

    def primary(self):
        """The server that the Sentinels name, when it has a replica that is in step: else a fail-over may lose what was acknowledged."""
        named = {s.primary_port() for s in self.sentinels if process_state(s.process.pid) not in "TXZ"}
        for server, other in (self.servers, self.servers[::-1]):
            with contextlib.suppress(redis.RedisError):
                if named == {server.port} and other.client().info("replication").get("master_link_status") == "up":
                    return server
        return None

    def note_primary(self):
        server = self.primary()
        if server and server.port != self.primaries[-1]:
            self.primaries.append(server.port)
        return server

    def kill_primary(self):
        """It comes back before the Sentinels have seen it, or as the other's replica."""
        server = self.note_primary()
        if server:
            server.stop()
            self.over.wait(self.random.choice([0, 0.3, 3, 5]))
            server.start()
            self.come_back(server)

    def come_back(self, server):
        """As what the Sentinels have made of it: with a configuration file, they would have written that into it."""
        now = {s.primary_port() for s in self.sentinels} - {0, server.port}
        if len(now) == 1:
            server.client().execute_command("REPLICAOF", "127.0.0.1", now.pop())

    def hand_over(self):
        if self.note_primary():
            with contextlib.suppress(redis.RedisError):
                self.random.choice(self.sentinels).client().execute_command("SENTINEL", "FAILOVER", NAME)

    def restart_sentinel(self):
        sentinel = self.random.choice(self.sentinels)
        sentinel.stop()
        self.over.wait(self.random.random())
        sentinel.start()

    def settle(self):
        """Until there is a primary with its replica: what comes next is another fail-over, and not the same one."""
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline and not self.note_primary():
            self.over.wait(0.1)

    ACTIONS = [(kill_primary, 5), (hand_over, 5), (settle, 6), (restart_sentinel, 2), (Storm.kill_worker, 4), (Storm.kill_three, 2), (Storm.freeze_worker, 2),
               (Storm.thaw, 3), (Storm.kill_master, 1), (Storm.flush_scripts, 1), (Storm.kill_clients, 2)]

    # ---- and after it ----

    def heal_redis(self):
        for one in itertools.chain(self.servers, self.sentinels):
            if one.process.poll() is not None:
                one.start()
        wait_until(self.note_primary, 60, "a primary with its replica")

    def run(self):
        told, count = super().run(), len(self.primaries) - 1
        assert count > 0, "there was no fail-over: that shows nothing"
        return f"{told}, {count} fail-overs"

    def close_more(self):
        self.watch.close()
        for server in self.servers:
            server.close()


if __name__ == "__main__":
    sys.exit(main(FailoverStorm, __doc__, 40))
