"""Programs beside a drain; limits of a drain's workers."""
from platoon_fixture import wait_until
from platoon_steps import start_with_worker_limits


def test_programs_beside_a_drain(platoon):
    platoon.configure(extra='program p { command = "sleep 1000"  after = "redis/visits" }\n').start()
    platoon.add({"a": {"x": "1"}})
    platoon.drained()
    assert platoon.workers()["p.1"]["state"] == "READY"


def test_limits_of_platoons_own_workers(platoon):
    start_with_worker_limits(platoon, ("redis/send.1", "redis/visits/watcher.1", "redis/visits/get-hash.1", "transfer/visits.1", "transfer/report"))
    platoon.add({"v:1": {"app": "shop"}})
    platoon.drained()


def test_a_worker_that_has_grown_too_large_is_restarted_with_that_reason(platoon):
    """The limit is a little above what an idle one has; one that has written has more."""
    platoon.start()
    most = max(node["rss_bytes"] for name, node in platoon.workers().items() if name != "redis/server")
    limit = max(16, (most >> 20) + 2)
    platoon.configure(platoon={"worker_memory_restart": f"{limit}MB", "backoff_min": "20ms"})
    assert platoon.ctl("--timeout", "60s", "reload").returncode == 0
    wait_until(lambda: platoon.redis().info("persistence")["loading"] == 0, 30, "that the server, restarted as all, has loaded")
    total = 0

    def work_on():
        """It is looked at once a second, so it must be at work then."""
        nonlocal total
        if platoon.redis().scard("tracking:pending") < 3000:
            platoon.add({f"v:{total + i}": {"text": "x" * 4000} for i in range(1000)})
            total += 1000
        return "more than memory_restart = " in platoon.workers()["transfer/visits.1"]["last_exit"]
    wait_until(work_on, 30, "the end of what is too large")
    # Without the limit: on a slow machine each life would end with little done.
    platoon.configure(platoon={"backoff_min": "20ms"})
    assert platoon.ctl("--timeout", "60s", "reload").returncode == 0
    assert wait_until(lambda: len(platoon.data()) == total, 60, "nothing is lost")
