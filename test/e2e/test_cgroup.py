"""memory_max kept by the kernel: the tests of kernel/cgroup.py, run inside a kernel of their own.

Machines that build have the memory controller where they like, often on cgroup v1, and a container shows none of it. So the tests start a Linux that has it on
cgroup v2: user-mode Linux, a Debian package, over the host's files, up in two seconds. It runs the file once; each of its tests is one here.
"""
import ast
import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest
from conftest import BUILD, ROOT, SCALE

HERE = pathlib.Path(__file__).parent
INSIDE = HERE / "kernel/cgroup.py"
NAMES = [node.name for node in ast.parse(INSIDE.read_text()).body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@pytest.fixture(scope="module")
def said():
    """What that kernel's console showed of the tests."""
    # Everything behind -- is its first process' own.
    words = ["linux.uml", "mem=1G", "loglevel=1", "rootfstype=hostfs", "rootflags=/", "ro", f"init={HERE}/kernel/init", "con=null", "con0=fd:0,fd:1",
             "--", str(ROOT), str(BUILD), str(INSIDE)]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        text = process.communicate(timeout=200 * SCALE)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text = process.communicate()[0].decode(errors="replace")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert "kernel: begin" in text, f"the kernel did not come to the tests:\n{text[-4000:]}"
    return text.partition("kernel: begin")[2]


@pytest.mark.parametrize("name", NAMES)
def test_inside(said, name):
    ends = re.findall(rf"::{name}(?:\[\S+\])? +(\w+)", said)
    assert ends and set(ends) == {"PASSED"}, said[-12000:]
