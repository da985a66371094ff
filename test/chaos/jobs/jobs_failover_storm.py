#!/usr/bin/python3
"""jobs_failover_storm.py [--seed N] [--storms 1] [--seconds 40]: the primary fails over, again and again, over a jobs section; see jobs_storm.py.

Three real Sentinels watch two servers; the primary is killed with -9, frozen, filled, or handed over by order, while sanjers, interpreters, the keeper, the collector, the master, clients
and Sentinels go as well. What the old primary alone has known is forgotten, and nobody here can ask with WAIT: so a job that was acknowledged may be gone, an attempt begin again,
or a key make another job. But what is there ends as it was to, in one place, and nothing waits, is in flight or is left.
"""
import sys

from jobs_storm import JobsStorm, environment, main  # first: it says where the fixtures are
from failover_base import Failovers


class JobsFailoverStorm(Failovers, JobsStorm):
    EXACT = False

    def make_redis(self):
        self.make_servers(environment=environment(self.plans))

    def client(self, **more):
        return self.primary_client(socket_timeout=3, **more)

    # ---- what goes wrong ----

    ACTIONS = [(Failovers.kill_primary, 5), (Failovers.hand_over, 4), (Failovers.pause_primary, 3), (Failovers.settle, 8), (Failovers.restart_sentinel, 2), (JobsStorm.kill_worker, 6),
               (JobsStorm.kill_three, 2), (JobsStorm.freeze_worker, 2), (JobsStorm.thaw, 3), (JobsStorm.kill_master, 1), (JobsStorm.flush_scripts, 1),
               (JobsStorm.kill_clients, 2), (Failovers.fill_primary, 2), (JobsStorm.stop_start, 2)]

    # ---- and after it ----

    def job(self, r, job, do, begun):
        if r.exists(f"rq:job:{job}"):
            yield from super().job(r, job, do, begun)


if __name__ == "__main__":
    sys.exit(main(JobsFailoverStorm, __doc__, 40))
