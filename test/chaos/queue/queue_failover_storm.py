#!/usr/bin/python3
"""queue_failover_storm.py [--seed N] [--storms 1] [--seconds 40]: the primary fails over, again and again, over two backbones with live queues; see queue_storm.py.

Three real Sentinels watch two servers; the primary is killed with -9, frozen, filled, or handed over by order, its clock set forward and back, while workers, consumers, the master,
clients and Sentinels go as well. Writers ask with WAIT whether the replica has what they delivered: only then is it acknowledged. What the old primary alone has known is forgotten:
so a hand-out or a settlement may come again, and a body of the inbox be taken twice. But what was acknowledged comes to somebody, in each queue that wanted it; what was
refused comes to nobody; no good message is dead, and nothing is left.
"""
import sys

import redis

from queue_storm import UNKNOWN, QueueStorm, environment, main  # first: it says where the fixtures are
from failover_base import Failovers


class QueueFailoverStorm(Failovers, QueueStorm):
    told_by_tool = UNKNOWN  # nobody has asked the replica
    EXACT = False
    JUMPS = (-10, 0, 10)  # not so far that servers hold each other for lost

    def make_redis(self):
        self.make_servers(environment=environment(self.plans))

    def client(self, **more):
        return self.primary_client(socket_timeout=3, decode_responses=True, **more)

    def written(self, client, call):
        """On one connection: WAIT is about what that has written."""
        pipe = client.pipeline(transaction=False)
        call(pipe)
        pipe.execute_command("WAIT", 1, 500)
        *answers, replicas = pipe.execute()
        if replicas != 1:
            raise redis.ConnectionError("the replica may not have it")
        return answers[-1]

    # ---- what goes wrong ----

    ACTIONS = [(Failovers.kill_primary, 5), (Failovers.hand_over, 4), (Failovers.pause_primary, 3), (Failovers.settle, 8), (Failovers.restart_sentinel, 2), (QueueStorm.kill_worker, 6),
               (QueueStorm.kill_three, 2), (QueueStorm.freeze_worker, 2), (QueueStorm.thaw, 3), (QueueStorm.kill_master, 1), (QueueStorm.flush_scripts, 1),
               (QueueStorm.kill_clients, 2), (Failovers.fill_primary, 2), (QueueStorm.jump, 2), (QueueStorm.stop_start, 2)]

    # ---- and after it ----

    def heal_redis(self):
        super().heal_redis()
        self.redis_plan.clock(self.farthest)


if __name__ == "__main__":
    sys.exit(main(QueueFailoverStorm, __doc__, 40))
