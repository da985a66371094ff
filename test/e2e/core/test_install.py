"""make install: everything is where a package would put it, and runs from there."""
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess

from platoon_fixture import ASAN, BUILD, ROOT, SCALE, alive, wait_until


def install(where):
    return subprocess.run(["make", "-C", str(ROOT), f"BUILD={BUILD.relative_to(ROOT)}", "install", f"DESTDIR={where}", "PREFIX=/usr"],
                          capture_output=True, text=True, env={**os.environ, "MAKEFLAGS": ""})


def worker_types():
    """And what workers run beside them: TOOLS of a libs.mk."""
    types = {row["type"] for row in json.loads((BUILD / "lists.json").read_text())["types"] if row["runs"] != "CUSTOM"}
    lines = "".join(path.read_text() for path in ROOT.glob("workers/**/libs.mk")).splitlines()
    return types | {word for line in lines if line.startswith("TOOLS +=") for word in line.split()[2:]}


def test_everything_is_there(tmp_path):
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    usr = tmp_path / "usr"
    programs = {"bin/platoon", "bin/platoonctl", *(f"libexec/platoon/{name}" for name in worker_types())}
    texts = {"share/man/man8/platoon.8", "share/man/man1/platoonctl.1", "share/man/man5/platoon.conf.5", "share/doc/platoon/README.md",
             "share/doc/platoon/PROTOCOL.md", "share/doc/platoon/platoon.conf", "share/doc/platoon/LICENSE",
             "share/bash-completion/completions/platoonctl"}
    texts |= {f"share/doc/platoon/{path.name}" for path in ROOT.glob("proto/*/*.md")}
    texts |= {f"share/platoon/redis/{path.name}" for path in (BUILD / "share/redis").glob("*.lua")}
    texts |= {f"share/platoon/python/{path.relative_to(folder)}" for folder in ROOT.glob("workers/*/python") for path in folder.rglob("*.py")}
    found = {str(path.relative_to(usr)) for path in usr.rglob("*") if path.is_file()}
    headers = {name for name in found if name.startswith("include/platoon/")}
    assert {"include/platoon/worker.h", "include/platoon/common/buffer.h", "include/platoon/proto/message.h", "include/platoon/common/log.h"} <= headers
    texts |= headers | {"lib/systemd/system/platoon.service", "lib/sysusers.d/platoon.conf", "lib/libplatoon.a", "lib/pkgconfig/platoon-worker.pc"}
    assert found == programs | texts
    for name in found:
        mode = stat.S_IMODE((usr / name).stat().st_mode)
        assert mode == (0o755 if name in programs else 0o644), f"{name}: {mode:o}"


def test_it_runs_from_there(platoon, tmp_path):
    assert install(tmp_path).returncode == 0
    platoon.build = tmp_path / "usr/bin"
    platoon.start()
    assert platoon.ctl("redis", "PING").stdout.strip() == "PONG"
    exe = pathlib.Path(f"/proc/{platoon.pid_of('redis/send.1')}/exe").resolve()
    assert exe == tmp_path / "usr/libexec/platoon/send"


def built_hello(platoon, tmp_path, source=None):
    """
    etc/examples/hello (or another source), copied away from the tree and built against what make install has left; its configuration as it stands, but for the place of the
    program.
    """
    assert install(tmp_path / "root").returncode == 0
    there = tmp_path / "hello"
    shutil.copytree(ROOT / "etc/examples/hello", there)
    if source is not None:
        (there / "hello.c").write_text(source)
    flags = "-fsanitize=address,undefined" if ASAN else ""
    done = subprocess.run(["make", "-C", str(there), f"CFLAGS=-Werror {flags}"], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "PKG_CONFIG_PATH": str(tmp_path / "root/usr/lib/pkgconfig"),
                               "PKG_CONFIG_SYSROOT_DIR": "", "CPATH": str(tmp_path / "root/usr/include"), "LIBRARY_PATH": str(tmp_path / "root/usr/lib")})
    assert done.returncode == 0, done.stdout + done.stderr
    text = (there / "platoon.conf").read_text().replace("/usr/local/libexec/hello", str(there / "hello"))
    if source is not None:
        text += f"program child {{ command = {there}/hello  worker = true  processes = 0 }}"
        text = text.replace("worker = true", "worker = true  may_start = child", 1)
    platoon.config_path.write_text(text)
    return platoon.start()


# `send hello.1 1` starts a child, which ends itself; the answer is what was heard of it, in order.
BOSS = """
#include <platoon/worker.h>
#include <stdio.h>

struct boss { uint64_t request; char heard[512]; };

static void hear(struct boss *b, const char *what, const char *name, size_t len)
{
    size_t used = strlen(b->heard);
    snprintf(b->heard + used, sizeof b->heard - used, "%s %.*s;", what, (int)len, name != NULL ? name : "");
}

static int init(struct worker *w, void *state)
{
    (void)state;
    const char *argument = worker_setting(w, "child.argument");
    if (argument != NULL && strcmp(argument, "end") == 0)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "as I was told by %s", worker_setting_text(w, "child.owner"));
    return 0;
}

static void on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct boss *b = state;
    b->request = request->id;
    b->heard[0] = 0;
    worker_child_start(w, 7, slice_of("child"), slice_of("stay"));
}

static void on_started(struct worker *w, void *state, const struct link_started *m)
{
    (void)w;
    hear(state, m->id == 7 || m->id == 8 ? "started" : "?", m->name.ptr, m->name.len);
}

static void on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    hear(state, "up", peer->name, strlen(peer->name));
    worker_child_stop(w, slice_of(peer->name));
}

static void on_down(struct worker *w, void *state, struct worker_peer *peer, struct slice reason)
{
    struct boss *b = state;
    (void)reason;
    hear(b, peer->orderly ? "down" : "died", peer->name, strlen(peer->name));
    if (peer->orderly)
        worker_child_start(w, 8, slice_of("child"), slice_of("end"));
    else
        worker_reply_text(w, b->request, CONTROL_OK, "%s", b->heard);
}

const struct worker_ops worker_ops = {.type = "hello", .mailbox = &worker_mailbox, .state_size = sizeof(struct boss), .init = init, .on_request = on_request,
                                      .on_started = on_started, .on_up = on_up, .on_down = on_down};
"""


def test_a_worker_of_ones_own_has_children(platoon, tmp_path):
    built_hello(platoon, tmp_path, BOSS)
    done = platoon.ctl("send", "hello.1", "1")
    name = "hello.1/child.1"
    assert done.stdout == f"started {name};up {name};down {name};started {name};died {name};\n", done


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
    assert platoon.ctl("--timeout", f"{60 * SCALE}s", "reload").returncode == 0
    assert platoon.ctl("send", "hello.1", "1").stdout == "good night from hello.1\n"
    wait_until(lambda: platoon.workers()["hello.2"]["state"] == "READY", 10, "all ready")


def status_of(pid, *keys):
    lines = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return [lines[key].split()[0] for key in keys]


def test_a_worker_of_ones_own_runs_within_limits_and_as_another_user(platoon, tmp_path):
    built_hello(platoon, tmp_path)
    text = platoon.config_path.read_text()
    limits = "user = nobody  umask = 027  nice = 3  files_max = 100  core_max = 0  no_new_privs = true  directory = /  environment = 'A=b'"
    limits += "" if ASAN else "  memory_max = 512MB"
    platoon.config_path.write_text(text.replace("worker = true", f"worker = true  {limits}"))
    assert platoon.ctl("--timeout", f"{60 * SCALE}s", "reload").returncode == 0
    pid = platoon.pid_of("hello.1")
    assert status_of(pid, "Uid", "Umask", "NoNewPrivs") == ["65534", "0027", "1"]
    assert os.getpriority(os.PRIO_PROCESS, pid) == 3 and os.readlink(f"/proc/{pid}/cwd") == "/"
    shown = pathlib.Path(f"/proc/{pid}/limits").read_text()
    assert all(line in " ".join(shown.split()) for line in ("Max open files 100 100", "Max core file size 0 0")), shown
    assert ASAN or f"Max address space {512 << 20} {512 << 20}" in " ".join(shown.split()), shown
    assert platoon.ctl("send", "hello.1", "1").stdout == "good morning from hello.1\n"
    platoon.config_path.write_text(text.replace("worker = true", "worker = true  user = nobody_of_that_name"))
    assert platoon.ctl("--timeout", "2s", "reload").returncode != 0
    wait_until(lambda: "there is no such user on this host" in platoon.workers()["hello.1"]["last_exit"], 10, "the cause")


# Its loop hangs for good as soon as it is asked anything.
HANG = """
#include <platoon/worker.h>
#include <unistd.h>

static void on_request(struct worker *w, void *state, const struct link_request *request)
{
    (void)w, (void)state, (void)request;
    for (;;)
        pause();
}

const struct worker_ops worker_ops = {.type = "hello", .on_request = on_request};
"""


def test_one_that_hangs_as_another_user_ends_with_the_master(platoon, tmp_path):
    """A change of the user takes away the signal that tells of the parent's death."""
    built_hello(platoon, tmp_path, HANG)
    platoon.config_path.write_text(platoon.config_path.read_text().replace("worker = true", "worker = true  user = nobody", 1))
    assert platoon.ctl("--timeout", f"{60 * SCALE}s", "reload").returncode == 0
    pid = platoon.pid_of("hello.1")
    assert platoon.ctl("--timeout", "300ms", "send", "hello.1", "1").returncode == 124
    platoon.kill9()
    wait_until(lambda: not alive(pid), 8, "the end of what hangs")


def test_a_worker_with_a_mailbox_stays_platoons_own_user(platoon, tmp_path):
    built_hello(platoon, tmp_path, BOSS)
    platoon.config_path.write_text(platoon.config_path.read_text().replace("worker = true", "worker = true  user = nobody", 1))
    assert platoon.ctl("--timeout", "5s", "reload").returncode != 0
    # The first of the two that ends says no; the other one may still be at its start then.
    node = wait_until(lambda: (w := platoon.workers()["hello.1"])["state"] == "FATAL" and w, 10, "FATAL")
    assert "a worker with a mailbox runs as platoon itself does" in node["last_exit"], node


def test_what_a_worker_of_ones_own_cannot_have(platoon):
    platoon.config_path.write_text('''platoon { runtime_dir = run  state_dir = state }
program a { command = "/bin/x with arguments"  worker = true  settings = "nonsense" }
program b { command = "/bin/x"  worker = true  ready = 3s }
program c { command = "sleep 1"  settings = "a=b" }
''')
    errors = platoon.ctl("check", str(platoon.config_path)).stderr
    for word in (":2: settings: 'nonsense'", ":2: command: a worker's", ":3: ready: is for programs", ":4: settings: needs worker = true"):
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
