"""A kernel of the test's own: user-mode Linux, a Debian package, over the host's files, up in seconds.

What a test may not do to the host's kernel, or what that lacks, it does in there. It runs the tests of one file once, and each of them is a test here. What is
written to its /dev/tty1 is all that comes out.
"""
import ast
import contextlib
import os
import pathlib
import re
import signal
import subprocess

from platoon_fixture import BUILD, ROOT

HERE = pathlib.Path(__file__).parent / "kernel"


def names_in(file):
    """The tests of HERE/file."""
    return [node.name for node in ast.parse((HERE / file).read_text()).body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def boot(init, file, seconds, *more):
    """Starts a kernel whose first process is HERE/init, with `more` as further arguments, and runs the tests of HERE/file. What /dev/tty1 showed of them."""
    # Everything behind -- is its first process' own.
    words = ["linux.uml", "mem=1G", "loglevel=1", "rootfstype=hostfs", "rootflags=/", "ro", f"init={HERE}/{init}", "con=null", "con1=fd:0,fd:1",
             "--", str(ROOT), str(BUILD), str(HERE / file), *map(str, more)]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        text = process.communicate(timeout=seconds)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text = process.communicate()[0].decode(errors="replace")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert "kernel: begin" in text, f"the kernel did not come to the tests:\n{text[-4000:]}"
    return text.partition("kernel: begin")[2].replace("\r", "")


def passed(said, name):
    """Fails unless that test, with each of its parameters, passed."""
    ends = re.findall(rf"::{name}(?:\[\S+\])? +(\w+)", said)
    assert ends and set(ends) == {"PASSED"}, said[-12000:]
