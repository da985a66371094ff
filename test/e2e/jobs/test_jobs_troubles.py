"""Redis is paused, full, read-only or restarted while a job runs: it runs on, its end is told later, and what cannot be done meanwhile is refused and said. And a platform in C."""
import http.client
import json
import subprocess

import pytest
from jobs_fixture import Etlas
from platoon_fixture import SCALE, free_port, wait_until

C_PLATFORM = r'''
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    char line[4096];
    if (argc == 2 && strcmp(argv[1], "--spec") == 0)
        return puts("{\"display_name\":\"In C\",\"settings\":{\"n\":{\"type\":\"int\",\"default\":7}}}") < 0;
    if (fgets(line, sizeof line, stdin) == NULL)
        return 1;
    const char *n = strstr(line, "\"n\":");
    puts("{\"progress\":0.5}");
    puts("counts");
    if (n == NULL || strchr(line, '\n') == NULL)
        return 78;
    int value = 0;
    sscanf(n + 4, "%d", &value);
    printf("{\"update\":{\"count\":%d}}\n{\"result\":%d}\n", value, 2 * value);
    return 0;
}
'''


def tell(etlas, *words):
    etlas.server.client().execute_command(*words)


TROUBLES = {"full": (lambda e: tell(e, "CONFIG", "SET", "maxmemory", "1"), lambda e: tell(e, "CONFIG", "SET", "maxmemory", "0")),
            "read-only": (lambda e: tell(e, "REPLICAOF", "127.0.0.1", "1"), lambda e: tell(e, "REPLICAOF", "NO", "ONE")),
            "paused": (lambda e: e.server.pause(), lambda e: e.server.resume()),
            "stopped": (lambda e: e.server.stop(), lambda e: e.server.start())}


def post(port, body):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60 * SCALE)
    client.request("POST", "/execution/run", json.dumps(body), {"Content-Type": "application/json"})
    answer = client.getresponse()
    told = json.loads(answer.read())
    client.close()
    return answer.status, answer.headers, told


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_job_runs_on(platoon, redis_server, trouble):
    etlas = Etlas(platoon, redis_server("--appendonly", "yes", "--appendfsync", "always"))
    port, gate = free_port(), etlas.platoon.dir / "gate"
    etlas.start(sanjers=1, listen=f"127.0.0.1:{port}", lease="1h")
    job = etlas.run({"until": str(gate), "say": ["before"]})
    wait_until(lambda: etlas.seen(job=job), 60, "the job to run")
    begin, end = TROUBLES[trouble]
    begin(etlas)
    status, headers, told = post(port, {"platform_id": "coinis", "settings": {}, "_id": "meanwhile"})
    assert (status, told["status"]) == (503, "Failed") and headers["Retry-After"], told
    gate.touch()
    wait_until(lambda: etlas.seen("end", job), 60, "its process to end")
    wait_until(lambda: any(w["state"] != "READY" or w.get("trouble") for w in platoon.workers().values()), 60, "somebody to say that Redis is away")
    end(etlas)
    wait_until(lambda: platoon.ctl("job", "show", job).returncode == 0, 60, "Redis to be there again")
    shown = etlas.until(job, "finished")
    assert len(etlas.seen(job=job)) == shown["attempt"] == 1 and shown["output"] == "before\n"
    assert etlas.places(job) == ["finished"] and etlas.redis.xlen(f"rq:results:{job}") == 1
    wait_until(lambda: all(w["state"] == "READY" for w in platoon.workers().values()), 60, "all to be ready")
    after = etlas.until(etlas.run(), "finished")
    assert after["attempt"] == 1


def test_a_platform_in_c(etlas):
    source = etlas.platoon.dir / "counts.c"
    source.write_text(C_PLATFORM)
    subprocess.run(["cc", "-O1", "-o", etlas.folder / "counts", source], check=True, timeout=60 * SCALE)
    etlas.start(sanjers=1)
    job = etlas.until(etlas.run({"n": 21}, platform="counts"), "finished")
    assert (job["result"], job["meta"], job["output"], job["progress"]) == (42, {"count": 21}, "counts\n", 0.5)
    job = etlas.until(etlas.run(platform="counts"), "finished")
    assert job["result"] == 14
    [told] = [row for row in etlas.platoon.json("job", "platforms") if row["platform_id"] == "counts"]
    assert told["display_name"] == "In C" and told["settings"]["n"]["default"] == 7
