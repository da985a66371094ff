#!/usr/bin/python3
"""failover_storm.py [--seed N] [--storms 1] [--seconds 40]: the primary fails over, again and again, over a live drain; see storm.py.

Three real Sentinels watch two servers; the primary is killed with -9, or handed over by order, while workers, the master, clients and Sentinels go as
well. Writers ask with WAIT whether the replica has what they wrote: only then is it acknowledged, for replication is asynchronous, and what the old
primary alone had is nobody's to store. Then every record that the new primary has is accounted for.
"""
import sys

import redis

from storm import SET, Storm, Writer, main  # first: it says where the fixtures are
import storm_rights
from failover_base import Failovers

WRITE = "redis.call('HSET', KEYS[1], 'id', KEYS[1], 'version', ARGV[1], 'text', ARGV[2]) redis.call('SADD', KEYS[2], KEYS[1])"
DELETE = "redis.call('SREM', KEYS[2], KEYS[1]) redis.call('DEL', KEYS[1])"


class ReplicatedWriter(Writer):
    def write(self, member, version):
        self.run_script(WRITE, member, str(version), "x" * self.random.choice([0, 10, 200, 5000]))

    def delete(self, member):
        self.run_script(DELETE, member)

    def run_script(self, script, member, *words):
        pipe = self.storm.redis.pipeline(transaction=False)  # one connection: WAIT is about what that has written
        pipe.eval(script, 2, member, SET, *words)
        pipe.execute_command("WAIT", 1, 500)
        if pipe.execute()[1] != 1:
            raise redis.ConnectionError("the replica may not have it")


class FailoverStorm(Failovers, Storm):
    WRITER = ReplicatedWriter

    def make_redis(self, environ):
        self.make_servers(*storm_rights.SERVER, environment=environ)
        self.redis = self.primary_client(socket_timeout=2)

    ACTIONS = [(Failovers.kill_primary, 5), (Failovers.hand_over, 5), (Failovers.settle, 6), (Failovers.restart_sentinel, 2), (Storm.kill_worker, 4),
               (Storm.kill_three, 2), (Storm.freeze_worker, 2), (Storm.thaw, 3), (Storm.kill_master, 1), (Storm.flush_scripts, 1), (Storm.kill_clients, 2)]


if __name__ == "__main__":
    sys.exit(main(FailoverStorm, __doc__, 40))
