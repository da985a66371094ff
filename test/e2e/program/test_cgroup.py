"""memory_max kept by the kernel: kernel/cgroup.py, inside a kernel of its own.

Machines that build have the memory controller where they like, often on cgroup v1, and a container shows none of it. This one has it on cgroup v2.
"""
import pytest
from kernel_fixture import boot, names_in, passed


@pytest.fixture(scope="module")
def said():
    return boot("init", "cgroup.py", 500)


@pytest.mark.parametrize("name", names_in("cgroup.py"))
def test_inside(said, name):
    passed(said, name)
