"""Upgrade in place of a master whose drain is at work."""
import threading

from platoon_fixture import wait_until
from platoon_steps import own_binary, upgrade_five_times, upgraded_five_times


def test_a_drain_under_load_does_not_notice(platoon):
    binary = own_binary(platoon)
    platoon.configure(drain={"get_hash.workers": 2}).start()
    master = platoon.process.pid
    stop = threading.Event()
    sent = []

    def feed():
        client = platoon.redis()
        while not stop.is_set():
            first = len(sent)
            platoon.add({f"v:{i}": {"n": str(i)} for i in range(first, first + 100)}, client)
            sent.extend(range(first, first + 100))
    feeder = threading.Thread(target=feed)
    feeder.start()
    wait_until(lambda: len(sent) > 1000, 10, "some load")
    upgrade_five_times(platoon, binary)
    stop.set()
    feeder.join()
    platoon.drained()
    assert platoon.data().keys() == {f"v:{i}" for i in sent}
    assert platoon.dead() == []
    upgraded_five_times(platoon, master)
