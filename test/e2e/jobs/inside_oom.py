"""A job that goes over the memory of its group: what test_jobs_oom.py runs inside a kernel of its own."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "kernel"))
from group_fixture import given  # noqa: E402,F401

EATS = '''#!/usr/bin/python3 -B
import mmap, sys
if sys.argv[1:]:
    sys.exit(print("{}"))
with open("%s/cgroup.procs", "w") as procs:
    procs.write("0")
memory = mmap.mmap(-1, 200 << 20, flags=mmap.MAP_PRIVATE)
for at in range(0, 200 << 20, 4096):
    memory[at] = 1
'''


def test_the_kernel_kills_it(etlas, given):
    (given / "memory.max").write_text(str(32 << 20))
    etlas.add("eats.py", EATS % given)
    etlas.start(sanjers=1)
    shown = etlas.until(etlas.run(platform="eats"), "failed")
    assert (shown["cause"], shown["signal"], shown["oom"]) == ("signal", 9, True), shown
    assert shown["reason"] == "killed by signal 9 (SIGKILL), while the kernel's OOM killer ran"
    shown = etlas.until(etlas.run({"signal": 9}), "failed")
    assert (shown["signal"], shown["oom"], shown["reason"]) == (9, False, "killed by signal 9 (SIGKILL)"), "what was killed before has nothing to do with it"
