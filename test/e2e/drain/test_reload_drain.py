"""reload and scale of drains, under load."""
from platoon_steps import reload


def test_scaling_a_drain_under_load_loses_nothing(platoon):
    platoon.configure().start()
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(4000)})
    watcher = platoon.workers()["redis/visits/watcher.1"]["pid"]
    assert platoon.ctl("scale", "redis/visits/get-hash", "4").returncode == 0
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(4000, 8000)})
    assert platoon.ctl("scale", "redis/visits/get-hash", "1").returncode == 0
    assert platoon.ctl("scale", "transfer/visits", "2").returncode == 0
    platoon.drained()
    assert platoon.data().keys() == {f"v:{i}" for i in range(8000)}
    assert platoon.pid_of("redis/visits/watcher.1") == watcher
    assert platoon.dead() == []


def test_a_drain_comes_and_goes_while_another_runs(platoon):
    platoon.configure(extra='drain more { set = "more" store = visits }\n').start()
    first = platoon.pid_of("redis/visits/watcher.1")
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(500)})
    platoon.add({f"m:{i}": {"n": str(i)} for i in range(500)}, key="more")
    platoon.drained("more")
    platoon.configure()
    changes = reload(platoon)
    assert ("stop", "redis/more/watcher.1") in changes and ("restart", "transfer/report") in changes
    assert platoon.pid_of("redis/visits/watcher.1") == first
    platoon.add({f"m:{i}": {"n": "late"} for i in range(500, 600)}, key="more")
    platoon.configure(extra='drain more { set = "more" store = visits }\n')
    reload(platoon)
    platoon.drained("more")
    platoon.drained("visits")
    assert len(platoon.data()) == 1100
