"""failover_base.py: of storms in which the primary fails over, again and again: two servers with a port, which three real Sentinels watch.

A storm's class takes it in beside RedisBlows, makes the servers (make_servers), and has its blows among its ACTIONS.
"""
import contextlib
import itertools
import time

import redis
from redis.sentinel import Sentinel as Sentinels

from redis_base import RedisBlows  # first: it says where the fixtures are
from platoon_fixture import RedisServer, free_port, process_state, wait_until
from sentinel_fixture import NAME, url_of, watched


class Failovers(RedisBlows):
    def make_servers(self, *options, environment):
        self.servers = []
        for _ in range(2):
            port = free_port()  # stays the same when it is started again
            self.servers.append(RedisServer("--appendfsync", "always", *options, "--port", str(port), environment=environment))
            self.servers[-1].port = port
        self.watch = contextlib.ExitStack()
        self.sentinels = self.watch.enter_context(watched(*self.servers))
        self.url = url_of(self.sentinels)
        self.known = Sentinels([("127.0.0.1", s.port) for s in self.sentinels], socket_timeout=1)
        self.primaries = [self.servers[0].port]

    def primary_client(self, **more):
        """Of whichever is the primary at each new connection."""
        return self.known.master_for(NAME, **more)

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

    def pause_primary(self):
        """Also for so long that the other takes over: then this one comes back, and thinks for a moment that it is the primary."""
        server = self.note_primary()
        if server:
            server.pause()
            self.over.wait(self.random.choice([0.3, 1, 4]))
            server.resume()

    def fill_primary(self):
        self.tell_redis("CONFIG", "SET", "maxmemory", "1")
        self.over.wait(self.random.random())
        self.make_room()

    def make_room(self):
        """In both: also in that which was the primary when it was filled. A full one takes no order of Sentinels either, which give theirs in a MULTI."""
        for server in self.servers:
            with contextlib.suppress(redis.RedisError):
                server.client(socket_timeout=3).config_set("maxmemory", 0)

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

    def blow(self):
        """A busy machine may come to no fail-over in the time: then there is one by order."""
        super().blow()

        def has_failed_over():
            self.note_primary()
            if len(self.primaries) == 1:
                self.hand_over()
                self.over.wait(0.5)
            return len(self.primaries) > 1
        wait_until(has_failed_over, 60, "a fail-over")

    # ---- and after it ----

    def heal_redis(self):
        for server in self.servers:
            server.resume()
        self.make_room()
        for one in itertools.chain(self.servers, self.sentinels):
            if one.process.poll() is not None:
                one.start()
        try:
            wait_until(self.note_primary, 60, "a primary with its replica")
        except BaseException:
            self.note_servers()
            raise
        self.make_room()  # one may have been dead

    def note_servers(self):
        """What each says of itself, for the end of the report."""
        for server in self.servers:
            with contextlib.suppress(redis.RedisError):
                self.state.append(f"server {server.port}: {server.client().info('replication')}")
        for sentinel in self.sentinels:
            self.state.append(f"sentinel {sentinel.port}: {sentinel.state()}")

    def run(self):
        told, count = super().run(), len(self.primaries) - 1
        assert count > 0, "there was no fail-over: that shows nothing"
        return f"{told}, {count} fail-overs"

    def close_more(self):
        self.watch.close()
        for server in self.servers:
            server.close()
