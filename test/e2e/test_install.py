"""make install: everything is where a package would put it, and runs from there."""
import os
import pathlib
import stat
import subprocess

from conftest import BUILD, ROOT


def install(where):
    return subprocess.run(["make", "-C", str(ROOT), f"BUILD={BUILD.relative_to(ROOT)}", "install", f"DESTDIR={where}", "PREFIX=/usr"],
                          capture_output=True, text=True, env={**os.environ, "MAKEFLAGS": ""})


def worker_types():
    lines = (ROOT / "proto/worker_types.h").read_text().splitlines()
    return {line.split('"')[1] for line in lines if line.lstrip().startswith("X(")}


def test_everything_is_there(tmp_path):
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    usr = tmp_path / "usr"
    programs = {"bin/platoon", "bin/platoonctl", *(f"libexec/platoon/{name}" for name in worker_types())}
    texts = {"share/man/man8/platoon.8", "share/man/man1/platoonctl.1", "share/man/man5/platoon.conf.5", "share/doc/platoon/README.md",
             "share/doc/platoon/PROTOCOL.md", "share/doc/platoon/platoon.conf", "share/doc/platoon/LICENSE",
             "share/bash-completion/completions/platoonctl"}
    found = {str(path.relative_to(usr)) for path in usr.rglob("*") if path.is_file()}
    assert found == programs | texts
    for name in found:
        mode = stat.S_IMODE((usr / name).stat().st_mode)
        assert mode == (0o755 if name in programs else 0o644), f"{name}: {mode:o}"


def test_it_runs_from_there(platoon, tmp_path):
    assert install(tmp_path).returncode == 0
    platoon.build = tmp_path / "usr/bin"
    platoon.start()
    platoon.add({"v:1": {"app": "shop"}})
    platoon.drained()
    assert platoon.data() == {"v:1": {"app": "shop"}}
    exe = pathlib.Path(f"/proc/{platoon.pid_of('transfer/visits.1')}/exe").resolve()
    assert exe == tmp_path / "usr/libexec/platoon/transfer"
