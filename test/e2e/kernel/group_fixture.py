"""Groups of cgroup v2, for tests that run inside a kernel of their own (kernel_fixture.py)."""
import pathlib

import pytest

TOP = pathlib.Path("/sys/fs/cgroup")


@pytest.fixture
def given(request):
    """A group that was given to whoever starts in it, as Delegate=memory or a container's root would."""
    (TOP / "cgroup.subtree_control").write_text("+memory")
    group = TOP / f"given.{request.node.name}"
    group.mkdir()
    return group  # it goes with the kernel


def enter(group):
    """For the child between fork and exec."""
    return lambda: (group / "cgroup.procs").write_text("0")


def group_of(pid):
    return pathlib.Path(str(TOP) + pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip().partition("::")[2])
