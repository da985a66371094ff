"""The unit as it is installed, under the real systemd: kernel/systemd.py, inside a kernel of its own, whose first process systemd is."""
import subprocess

import pytest
from platoon_fixture import BUILD, ROOT
from kernel_fixture import boot, names_in, passed


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    installed = tmp_path_factory.mktemp("installed")
    subprocess.run(["make", "-s", "-C", str(ROOT), f"BUILD={BUILD.relative_to(ROOT)}", "install", f"DESTDIR={installed}", "PREFIX=/usr/local"], check=True)
    return boot("systemd_init", "systemd.py", 600, installed)


@pytest.mark.parametrize("name", names_in("systemd.py"))
def test_inside(said, name):
    passed(said, name)
