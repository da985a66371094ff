"""What Prometheus is told of a drain."""
import os
import signal
import subprocess

from health_client import get, samples
from platoon_fixture import wait_until


def test_metrics_pass_promtool_and_count(platoon):
    platoon.configure(platoon={"health": f"unix:{platoon.dir}/h.sock"}).start()
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(300)})
    platoon.drained()

    def stored():
        values = samples(get(platoon, "/metrics")[1])
        return values if values.get('platoon_stored_total{worker="transfer/visits.1",type="transfer"}') == 300 else None
    values = wait_until(stored, 10, "the count of stored records")
    text = get(platoon, "/metrics")[1]
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert checked.returncode == 0 and checked.stderr == "", checked.stdout + checked.stderr
    assert values["platoon_ready"] == 1
    assert values['platoon_worker_state{worker="redis/visits/watcher.1",type="watcher",state="READY"}'] == 1
    assert values['platoon_worker_resident_memory_bytes{worker="redis/send.1",type="send"}'] > 500000
    victim = platoon.workers()["redis/send.1"]
    os.kill(victim["pid"], signal.SIGKILL)
    platoon.replaced(victim)
    assert samples(get(platoon, "/metrics")[1])['platoon_worker_restarts_total{worker="redis/send.1",type="send"}'] == 1


def test_ready_is_one_word(platoon, redis_server):
    """status, /readyz and wait ready say the same of a worker that is READY and in trouble; who waits is told which, or that it is over."""
    server = redis_server()
    platoon.configure(platoon={"health": f"unix:{platoon.dir}/h.sock"},
                      redis={"url": server.url, "retry_max": "500ms", "connect_timeout": "2s", "timeout": "2s"}).start()

    def answers():
        return (platoon.ctl("status").returncode, get(platoon, "/readyz")[0], platoon.ctl("--timeout", "300ms", "wait", "ready").returncode,
                platoon.ctl("--timeout", "300ms", "start", "redis/visits").returncode)
    wait_until(lambda: answers() == (0, 200, 0, 0), 20, "all of them to say that it is ready")
    server.stop()
    wait_until(lambda: answers() == (3, 503, 124, 124), 20, "all of them to say that it is not")
    assert all(worker["state"] == "READY" for worker in platoon.workers().values())
    wait_until(lambda: " has trouble (" in (late := platoon.ctl("--timeout", "1s", "wait", "ready")).stderr and "retrying" in late.stderr, 10, "it to say why")
    waiting = subprocess.Popen([str(platoon.build / "platoonctl"), "-c", str(platoon.config_path), "--timeout", "60s", "wait", "ready"],
                               stdout=subprocess.DEVNULL)
    server.start()
    assert waiting.wait(70) == 0
    wait_until(lambda: answers() == (0, 200, 0, 0), 20, "all of them to say that it is ready again")
