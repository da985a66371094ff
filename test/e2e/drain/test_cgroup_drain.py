"""memory_max of a drain's workers, kept by the kernel: kernel/cgroup_drain.py, inside a kernel of its own."""
import pathlib

import pytest
from kernel_fixture import boot, names_in, passed

FILE = pathlib.Path(__file__).parent / "kernel/cgroup_drain.py"


@pytest.fixture(scope="module")
def said():
    return boot("init", FILE, 500)


@pytest.mark.parametrize("name", names_in(FILE))
def test_inside(said, name):
    passed(said, name)
