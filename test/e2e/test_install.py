"""make install: everything is where a package would put it, and runs from there."""
import os
import pathlib
import shutil
import signal
import stat
import subprocess

from conftest import ASAN, BUILD, ROOT, SCALE, wait_until


def install(where):
    return subprocess.run(["make", "-C", str(ROOT), f"BUILD={BUILD.relative_to(ROOT)}", "install", f"DESTDIR={where}", "PREFIX=/usr"],
                          capture_output=True, text=True, env={**os.environ, "MAKEFLAGS": ""})


def worker_types():
    lines = (ROOT / "proto/worker_types.h").read_text().splitlines()
    return {line.split('"')[1] for line in lines if line.lstrip().startswith("X(")} - {"custom"}


def test_everything_is_there(tmp_path):
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    usr = tmp_path / "usr"
    programs = {"bin/platoon", "bin/platoonctl", *(f"libexec/platoon/{name}" for name in worker_types())}
    texts = {"share/man/man8/platoon.8", "share/man/man1/platoonctl.1", "share/man/man5/platoon.conf.5", "share/doc/platoon/README.md",
             "share/doc/platoon/PROTOCOL.md", "share/doc/platoon/platoon.conf", "share/doc/platoon/LICENSE",
             "share/bash-completion/completions/platoonctl"}
    found = {str(path.relative_to(usr)) for path in usr.rglob("*") if path.is_file()}
    headers = {name for name in found if name.startswith("include/platoon/")}
    assert {"include/platoon/worker.h", "include/platoon/common/buffer.h", "include/platoon/proto/message.h", "include/platoon/common/log.h"} <= headers
    texts |= headers | {"lib/systemd/system/platoon.service", "lib/libplatoon.a", "lib/pkgconfig/platoon-worker.pc"}
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


def built_hello(platoon, tmp_path):
    """etc/examples/hello, copied away from the tree and built against what make install has left; its configuration as it stands, but for the place of the program."""
    assert install(tmp_path / "root").returncode == 0
    there = tmp_path / "hello"
    shutil.copytree(ROOT / "etc/examples/hello", there)
    flags = "-fsanitize=address,undefined" if ASAN else ""
    done = subprocess.run(["make", "-C", str(there), f"CFLAGS=-Werror {flags}"], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "PKG_CONFIG_PATH": str(tmp_path / "root/usr/lib/pkgconfig"),
                               "PKG_CONFIG_SYSROOT_DIR": "", "CPATH": str(tmp_path / "root/usr/include"), "LIBRARY_PATH": str(tmp_path / "root/usr/lib")})
    assert done.returncode == 0, done.stdout + done.stderr
    platoon.config_path.write_text((there / "platoon.conf").read_text().replace("/usr/local/libexec/hello", str(there / "hello")))
    return platoon.start()


def test_a_worker_type_built_outside_of_the_tree(platoon, tmp_path):
    built_hello(platoon, tmp_path)
    done = platoon.ctl("send", "hello.2", '"anybody there?"')
    assert done.returncode == 0 and done.stdout == "good morning from hello.2\n", done
    assert platoon.ctl("send", "hello.1", '{"log_level":"debug"}').returncode == 0
    victim = platoon.workers()["hello.1"]
    assert victim["type"] == "custom" and victim["counters"] is not None
    os.kill(victim["pid"], signal.SIGSEGV)
    platoon.replaced(victim)
    assert "hello(+0x" in platoon.ctl("crashes", "hello.1").stdout or ASAN
    platoon.config_path.write_text(platoon.config_path.read_text().replace("good morning", "good night"))
    assert platoon.ctl("--timeout", f"{20 * SCALE}s", "reload").returncode == 0
    assert platoon.ctl("send", "hello.1", "1").stdout == "good night from hello.1\n"
    wait_until(lambda: platoon.workers()["hello.2"]["state"] == "READY", 10, "all ready")


def test_what_a_worker_of_ones_own_cannot_have(platoon):
    platoon.config_path.write_text('''platoon { runtime_dir = run  state_dir = state }
program a { command = "/bin/x with arguments"  worker = true  settings = "nonsense" }
program b { command = "/bin/x"  worker = true  user = nobody }
program c { command = "sleep 1"  settings = "a=b" }
''')
    errors = platoon.ctl("check", str(platoon.config_path)).stderr
    for word in (":2: settings: 'nonsense'", ":2: command: a worker's", ":3: user: is for programs", ":4: settings: needs worker = true"):
        assert word in errors, errors
    platoon.config_path.write_text('platoon { runtime_dir = run  state_dir = state }\nprogram a { command = /no/such/worker  worker = true }\n')
    platoon.spawn()
    assert platoon.process.wait(10 * SCALE) == 78 and "a.1: command /no/such/worker: No such file" in platoon.log()
    platoon.process = None


def test_a_program_that_is_no_worker_is_told_apart(platoon):
    platoon.config_path.write_text('platoon { runtime_dir = run  state_dir = state  backoff_min = 20ms }\nprogram a { command = /bin/true  worker = true }\n')
    platoon.start(ready=False)
    node = wait_until(lambda: (w := platoon.workers()["a.1"])["restarts"] > 1 and w, 10, "some tries")
    assert "exit 0" in node["last_exit"]


def test_the_unit_is_clean_and_hardened(tmp_path):
    assert install(tmp_path).returncode == 0
    unit = tmp_path / "platoon.service"
    unit.write_text((tmp_path / "usr/lib/systemd/system/platoon.service").read_text().replace("/usr/bin/platoon", f"{tmp_path}/usr/bin/platoon"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", str(unit)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
