"""What a job says without end: its sanjer stays as small as it was, the last of the output is kept, stages are bounded, and it is ended as any other."""
import pytest
from platoon_fixture import ASAN, wait_until

MUCH = 256 << 20  # bytes that are printed at least, of which 64 KB stay
FLOODS = {
    "lines": "exec yes 0123456789abcdef",
    "no line": "exec tr '\\0' x < /dev/zero",
    "stderr": "exec yes 0123456789abcdef >&2",
    "half of a line of ours": "printf '{\"update\":{\"a\":\"'; exec tr '\\0' x < /dev/zero",
}
CLASS = """
import os, threading


class Floods:
    def _run(self):
        while True:
            print("0123456789abcdef\\n" * 10000)
"""
STAGES = """#!/usr/bin/python3 -B
import json, sys
if sys.argv[1:]:
    sys.exit(print("{}"))
for i in range(20000):
    print(json.dumps({"update": {f"stage {i}": "x" * 1000}}))
print(json.dumps({"update": {"stage 0": "again"}}))
print(json.dumps({"update": {"stage 1": "y" * 2000000}}))
print('{"result": "well"}')
"""


def peak(etlas):
    """Bytes that the sanjer has ever had."""
    pid = etlas.platoon.workers()["jobs/etlas/sanjer.1"]["pid"]
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


def told(etlas, job, field):
    return etlas.redis.hget(f"rq:job:{job}", f"platoon.{field}") or b"0"


@pytest.mark.parametrize("kind", [*FLOODS, "class"])
def test_it_prints_without_end(etlas, kind):
    if kind == "class":
        (etlas.folder / "floods.py").write_text(CLASS)
    else:
        etlas.add("floods.sh", "#!/bin/sh\n" + FLOODS[kind] + "\n")
    etlas.start(sanjers=1, stop_timeout="500ms")
    etlas.until(etlas.run(), "finished")
    before = peak(etlas)
    job = etlas.run(platform="floods")
    wait_until(lambda: int(told(etlas, job, "output_end")) >= MUCH, 240, lambda: f"it to have printed much: {told(etlas, job, 'output_end')}")
    grown = peak(etlas) - before
    assert grown < (320 if ASAN else 48) << 20, f"it has grown by {grown >> 20} MB"  # ASan keeps what was freed
    etlas.platoon.ctl("job", "cancel", job)
    shown = etlas.until(job, "stopped")
    end, output = int(told(etlas, job, "output_end")), told(etlas, job, "output")
    assert end >= MUCH and len(output) == 64 << 10 and set(output) <= set(b"0123456789abcdef\nx"), output[:100]
    assert shown["cause"] == "canceled" and etlas.until(etlas.run(), "finished")


def test_time_ends_it_too(etlas):
    etlas.add("floods.sh", "#!/bin/sh\ntrap '' TERM\nyes 0123456789abcdef\n", '{"timeout": "5s"}')
    etlas.start(sanjers=1, stop_timeout="500ms")
    shown = etlas.until(etlas.run(platform="floods"), "failed")
    assert (shown["cause"], len(told(etlas, shown["job_id"], "output"))) == ("timeout", 64 << 10)


def test_stages_without_end(etlas):
    """What fits is there, what was there may change, and what is left out is said in the log, once."""
    etlas.add("stages.py", STAGES)
    etlas.start(sanjers=1, dataset_max="1MB")
    shown = etlas.until(etlas.run(platform="stages"), "finished")
    meta = etlas.meta(shown["job_id"])
    assert shown["result"] == "well" and 900 < len(meta) < 1100, len(meta)
    assert meta["stage 0"] == "again" and meta["stage 1"] == "x" * 1000
    wait_until(lambda: "meta-full" in etlas.platoon.log(), 60, "the log to say so")
    assert etlas.platoon.log().count("meta-full") == 1
