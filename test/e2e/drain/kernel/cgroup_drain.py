"""memory_max and a drain: what test_cgroup_drain.py runs inside a kernel that has the memory controller on cgroup v2."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "kernel"))
from group_fixture import enter, given, group_of  # noqa: E402,F401


def test_platoons_own_workers(platoon, given):
    """worker_memory_max is each worker's own; and records outlive a worker that was too large."""
    platoon.configure(platoon={"worker_memory_max": "256MB", "backoff_min": "20ms"})
    platoon.start(preexec=enter(given))
    transfer = next(n for n in platoon.workers().values() if "transfer" in n["name"])
    group = group_of(transfer["pid"])
    assert group == given / ("worker." + transfer["name"].replace("/", ","))
    assert (group / "memory.max").read_text().strip() == str(256 << 20)
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(500)})
    platoon.drained()
    (group / "memory.max").write_text("65536")
    platoon.add({f"w:{i}": {"n": str(i), "pad": "x" * 2000} for i in range(500)})
    after = platoon.replaced(transfer)
    assert "killed by SIGKILL" in after["last_exit"] and "it used more than memory_max = " in after["last_exit"], after["last_exit"]
    assert (group / "memory.max").read_text().strip() == str(256 << 20), "the next life has the limit it should have"
    platoon.drained()
    assert len(platoon.data()) == 1000
