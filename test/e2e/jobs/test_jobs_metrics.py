"""What /metrics tells of jobs: every counter from the start, how long they waited and ran; and that a job which nobody takes is no health."""
import socket
import subprocess
import time

import pytest
from platoon_fixture import base_text, section, wait_until

COUNTERS = ["jobs_enqueued_total", "jobs_started_total", "jobs_finished_total", "jobs_failed_total", "jobs_stopped_total", "jobs_canceled_total",
            "jobs_retried_total", "jobs_lost_total", "jobs_queued", "jobs_running", "job_oldest_wait"]


def get(etlas, path):
    """(status, text)"""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(etlas.platoon.dir / "h.sock"))
        s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while more := s.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def sums(etlas):
    """Each metric without worker and type, summed over its workers."""
    found = {}
    for line in get(etlas, "/metrics")[1].splitlines():
        if line.startswith("platoon_job"):
            head, _, value = line.rpartition(" ")
            name, _, labels = head.removeprefix("platoon_").rstrip("}").partition("{")
            rest = ",".join(label for label in labels.split(",") if label.startswith("le="))
            found[name + (f"{{{rest}}}" if rest else "")] = found.get(name + (f"{{{rest}}}" if rest else ""), 0) + float(value)
    return found


@pytest.fixture
def watched(etlas):
    """The health worker listens beside it."""
    def start(**keys):
        text = base_text({"health": f"unix:{etlas.platoon.dir}/h.sock"}, {"url": etlas.server.url})
        text += section("jobs etlas", {"platforms": etlas.folder, "queue": "q", "sanjer.workers": 2, **keys})
        etlas.platoon.config_path.write_text(text)
        etlas.platoon.start()
        return etlas
    etlas.begin = start
    return etlas


def test_all_are_there_from_the_start(watched):
    watched.begin()
    wait_until(lambda: set(COUNTERS) <= set(sums(watched)), 60, lambda: f"all of {COUNTERS}: {sums(watched)}")
    at_first = sums(watched)
    assert all(at_first[name] == 0 for name in COUNTERS), at_first
    assert at_first["job_wait_seconds_count"] == at_first["job_run_seconds_count"] == 0


def test_counts_and_histograms(watched):
    watched.begin(retries=1, retry_min="10ms")
    watched.until(watched.run({}), "finished")
    watched.until(watched.run({"exit": 1, "from": 9}), "failed")
    waits = watched.run({"until": str(watched.platoon.dir / "go")})
    wait_until(lambda: watched.seen(job=waits), 60, "its start")
    wait_until(lambda: sums(watched).get("jobs_running") == 1, 60, "the one that runs")
    watched.platoon.json("job", "cancel", waits)
    watched.until(waits, "stopped")
    watched.redis.set("rq:suspended", 1)
    held = watched.run({})
    wait_until(lambda: sums(watched).get("jobs_queued") == 1, 60, "the one that waits")
    for _ in range(2):
        watched.platoon.json("job", "cancel", held)
    wanted = {"jobs_enqueued_total": 4, "jobs_started_total": 4, "jobs_finished_total": 1, "jobs_failed_total": 1, "jobs_stopped_total": 1,
              "jobs_canceled_total": 1, "jobs_retried_total": 1, "jobs_lost_total": 0, "jobs_queued": 0, "jobs_running": 0,
              "job_wait_seconds_count": 4, "job_run_seconds_count": 4, 'job_run_seconds_bucket{le="+Inf"}': 4, 'job_run_seconds_bucket{le="3600"}': 4}
    wait_until(lambda: {name: sums(watched).get(name) for name in wanted} == wanted, 60, lambda: f"{wanted}: {sums(watched)}")
    told = sums(watched)
    buckets = [value for name, value in told.items() if name.startswith("job_run_seconds_bucket")]
    assert len(buckets) == 14 and buckets == sorted(buckets) and told["job_run_seconds_sum"] > 0
    checked = subprocess.run(["promtool", "check", "metrics"], input=get(watched, "/metrics")[1], capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and checked.stderr == "", checked.stdout + checked.stderr


def test_a_job_that_nobody_takes_beside_an_idle_sanjer(watched):
    """Its turn is taken away each time, as somebody else's error would; that it waits since long is written into its hash."""
    watched.begin()
    watched.redis.set("rq:suspended", 1)
    job = watched.run({})
    watched.redis.hset(f"rq:job:{job}", "enqueued_at", time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - 300)))
    wait_until(lambda: sums(watched).get("jobs_queued") == 1, 60, "the one that waits")
    assert get(watched, "/readyz")[0] == 200, "held by rq suspend it is not stuck"
    watched.redis.zadd("rq:wip:q", {job: 4e9})  # what is in flight is not claimed
    watched.redis.delete("rq:suspended")
    wait_until(lambda: get(watched, "/readyz")[0] == 503, 120, "the report")
    assert "beside an idle sanjer" in get(watched, "/readyz")[1]
    watched.redis.zrem("rq:wip:q", job)
    watched.until(job, "finished")
    wait_until(lambda: get(watched, "/readyz")[0] == 200, 60, "its end")
