"""make install: a drain runs from there."""
import os
import pathlib
import subprocess

from platoon_fixture import BUILD, ROOT


def install(where):
    return subprocess.run(["make", "-C", str(ROOT), f"BUILD={BUILD.relative_to(ROOT)}", "install", f"DESTDIR={where}", "PREFIX=/usr"],
                          capture_output=True, text=True, env={**os.environ, "MAKEFLAGS": ""})


def test_it_runs_from_there(platoon, tmp_path):
    assert install(tmp_path).returncode == 0
    assert (tmp_path / "usr/share/doc/platoon/DRAIN.md").is_file()
    platoon.build = tmp_path / "usr/bin"
    platoon.start()
    platoon.add({"v:1": {"app": "shop"}})
    platoon.drained()
    assert platoon.data() == {"v:1": {"app": "shop"}}
    exe = pathlib.Path(f"/proc/{platoon.pid_of('transfer/visits.1')}/exe").resolve()
    assert exe == tmp_path / "usr/libexec/platoon/transfer"
