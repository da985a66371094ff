"""A drain under the real systemd, within the unit's walls: kernel/systemd_drain.py, inside a kernel of its own, whose first process systemd is."""
import pathlib
import subprocess

import pytest
from platoon_fixture import BUILD, ROOT
from kernel_fixture import boot, names_in, passed

FILE = pathlib.Path(__file__).parent / "kernel/systemd_drain.py"


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    installed = tmp_path_factory.mktemp("installed")
    subprocess.run(["make", "-s", "-C", str(ROOT), f"BUILD={BUILD.relative_to(ROOT)}", "install", f"DESTDIR={installed}", "PREFIX=/usr/local"], check=True)
    return boot("systemd_init", FILE, 600, installed)


@pytest.mark.parametrize("name", names_in(FILE))
def test_inside(said, name):
    passed(said, name)
