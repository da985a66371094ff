"""Whom a program runs as, and what it has of the one that started platoon. Cases: ../shared/cases/security-*.sh."""
import os
import pty
import pwd
import re
import shutil
import signal
import time

import pytest

from platoon_fixture import SCALE, alive, wait_until
from platoon_steps import refused
from test_programs import PLACES, run

needs_root = pytest.mark.usefixtures("root")


def printed(platoon, text, file):
    """What a program writes into FILE, which everybody may write."""
    script = platoon.dir / "script"
    script.write_text(f"#!/bin/sh\n{text}\nexec sleep 1000\n")
    script.chmod(0o755)
    platoon.dir.chmod(0o755)
    file.touch()
    file.chmod(0o666)
    return script


@needs_root
@pytest.mark.parametrize("more, want", [("", "{home} nobody nobody"), ('environment = "HOME=/own"', "/own nobody nobody")])
def test_a_program_of_another_user_has_that_users_home(platoon, monkeypatch, more, want):
    """Public threads: Supervisor/supervisor#307, #453, #1171."""
    for name, value in {"HOME": "/root", "USER": "root", "LOGNAME": "root"}.items():
        monkeypatch.setenv(name, value)
    file = platoon.dir / "said"
    script = printed(platoon, f'echo "$HOME $USER $LOGNAME" >{file}', file)
    run(platoon, f'program p {{ command = "{script}"  user = nobody  {more} }}', ready=False)
    wait_until(lambda: file.read_text().endswith("\n"), 10, "what it said")
    assert file.read_text().strip() == want.format(home=pwd.getpwnam("nobody").pw_dir)


WHO = 'echo "$(id -u) $(id -g) $(id -G) $HOME $USER $LOGNAME $A $(umask) $(pwd) $(ps -o ni= -p $$)"'


@needs_root
@pytest.mark.parametrize("kind", ["worker = true", ""])
def test_it_is_its_user_before_a_line_of_it_runs(platoon, kind):
    """Also one that is no worker of ours at all. Public threads: varnish/hitch#31, duosecurity/duo_unix#28, ClickHouse/ClickHouse#105247."""
    file = platoon.dir / "said"
    script = printed(platoon, f"{WHO} >{file}", file)
    run(platoon, f'program p {{ command = "{script}"  user = nobody  umask = 027  nice = 3  directory = /usr  environment = "A=b"  {kind} }}', ready=False)
    wait_until(lambda: file.read_text().endswith("\n"), 10, "who it is")
    nobody = pwd.getpwnam("nobody")
    assert file.read_text().split() == [str(nobody.pw_uid), str(nobody.pw_gid), str(nobody.pw_gid), nobody.pw_dir, "nobody", "nobody", "b", "0027", "/usr",
                                        "3"]


@needs_root
@pytest.mark.parametrize("kind", ["worker = true", ""])
def test_a_number_is_a_user_too(platoon, kind):
    """With an account, and, where a group is given, without one: images of containers have such users."""
    file = platoon.dir / "said"
    script = printed(platoon, f'echo "$(id -u) $(id -g) $(id -G) $HOME $USER" >>{file}', file)
    nobody = pwd.getpwnam("nobody")
    free = max(user.pw_uid for user in pwd.getpwall() if user.pw_uid < 60000) + 1000
    run(platoon, f'''program known {{ command = "{script}"  user = {nobody.pw_uid}  directory = /  {kind} }}
        program unknown {{ command = "{script}"  user = {free}  group = {free + 1}  directory = /  {kind} }}''', ready=False)
    want = {f"{nobody.pw_uid} {nobody.pw_gid} {nobody.pw_gid} {nobody.pw_dir} nobody", f"{free} {free + 1} {free + 1} / {free}"}
    wait_until(lambda: set(file.read_text().splitlines()) == want, 10, lambda: file.read_text())


@needs_root
def test_a_number_without_an_account_needs_a_group(platoon):
    free = max(user.pw_uid for user in pwd.getpwall() if user.pw_uid < 60000) + 1000
    run(platoon, f'program p {{ command = "sleep 1000"  user = {free} }}', ready=False)
    wait_until(lambda: f"user = {free}: no user of this host has that number, and thus no group: give `group`" in (platoon.workers()["p.1"]["last_exit"] or ""), 10, "why")


def groups_of(user):
    return set(os.getgrouplist(user.pw_name, user.pw_gid))


@needs_root
@pytest.mark.parametrize("kind", ["worker = true", ""])
def test_it_has_all_the_groups_of_its_user_and_none_of_ours(platoon, kind):
    """As login gives them: of the user of this machine's who has the most of them (PostgreSQL's has ssl-cert), and the master has others."""
    user = max((u for u in pwd.getpwall() if u.pw_uid != 0), key=lambda u: len(groups_of(u)))
    file = platoon.dir / "said"
    script = printed(platoon, f"id -G >{file}", file)
    platoon.config_path.write_text(PLACES + f'program p {{ command = "{script}"  user = {user.pw_name}  directory = /  {kind} }}')
    platoon.start(ready=False, preexec=lambda: os.setgroups([4, 54321]))
    wait_until(lambda: file.read_text().endswith("\n"), 10, "its groups")
    assert {int(group) for group in file.read_text().split()} == groups_of(user)


@needs_root
def test_a_worker_that_its_user_may_not_execute_says_so(platoon):
    script = printed(platoon, "true", platoon.dir / "said")
    script.chmod(0o700)
    run(platoon, f'program p {{ command = "{script}"  user = nobody  worker = true }}', ready=False)
    wait_until(lambda: f"cannot start {script}: Permission denied: its user must be able to execute it" in (platoon.workers()["p.1"]["last_exit"] or ""), 10, "why")


@needs_root
@pytest.mark.parametrize("target", ["existing", "created"])
def test_a_link_that_its_user_put_for_its_log_file_is_not_followed(platoon, target):
    """Public threads: rsyslog/rsyslog#6718, Cisco-Talos/clamav#1363."""
    theirs, ours = platoon.dir / "theirs", platoon.dir / "ours"
    theirs.mkdir()
    ours.mkdir()
    (ours / "existing").write_text("root's own\n")
    uid = pwd.getpwnam("nobody").pw_uid
    os.chown(theirs, uid, -1)
    (theirs / "log").symlink_to(ours / target)
    script = printed(platoon, "echo gotcha", platoon.dir / "said")
    run(platoon, f'program p {{ command = "{script}"  user = nobody  log_file = "{theirs}/log" }}', ready=False)
    node = wait_until(lambda: (w := platoon.workers()["p.1"])["state"] == "FATAL" and w, 10, "FATAL")
    assert f"in a directory of uid {uid}" in node["last_exit"]
    assert (ours / "existing").read_text() == "root's own\n" and not (ours / "created").exists()


def of_nobody(platoon, name):
    """A directory of nobody's, beside the platoon's own."""
    there = platoon.dir / name
    there.mkdir()
    os.chown(there, pwd.getpwnam("nobody").pw_uid, -1)
    return there


@needs_root
@pytest.mark.parametrize("key", ["runtime_dir", "state_dir"])
def test_a_place_below_somebody_elses_directory_is_refused(platoon, key):
    """Public threads: netdata/netdata#23334, kovyrin/agent-secret#188, osquery/osquery#3765."""
    theirs, ours = of_nobody(platoon, "theirs"), platoon.dir / "ours"
    (theirs / "deep").mkdir()
    ours.mkdir()
    (theirs / "link").symlink_to(ours)
    uid = pwd.getpwnam("nobody").pw_uid
    for place in (theirs / "new", theirs / "deep/new", theirs / "link", theirs / "link/new"):
        platoon.configure(platoon={key: place})
        refused(platoon, f"{key} {place}: {theirs} belongs to uid {uid} (nobody)", code=1)
    platoon.dir.joinpath("all").mkdir()
    platoon.dir.joinpath("all").chmod(0o777)
    platoon.configure(platoon={key: platoon.dir / "all/new"})
    refused(platoon, f"{platoon.dir}/all belongs to uid 0 (root) and others can write there", code=1)
    assert not list(ours.iterdir())


@needs_root
@pytest.mark.parametrize("what", ["program's", "platoon's"])
def test_a_link_above_a_file_that_root_opens_is_not_followed(platoon, what):
    """The directory of the log, and not the log itself, is the link."""
    theirs, ours = of_nobody(platoon, "theirs"), platoon.dir / "ours"
    ours.mkdir()
    (theirs / "logs").symlink_to(ours)
    why = f"{theirs}/logs is a symbolic link of uid 0 (root), in a directory of uid {pwd.getpwnam('nobody').pw_uid} (nobody)"
    if what == "program's":
        run(platoon, f'program p {{ command = "sleep 1000"  log_file = "{theirs}/logs/p.log" }}', ready=False)
        wait_until(lambda: why in (platoon.workers()["p.1"]["last_exit"] or ""), 10, "the refusal")
    else:
        platoon.configure(platoon={"log_to": "file", "log_path": theirs / "logs/p.log"})
        refused(platoon, why)
    assert not list(ours.iterdir())


def test_a_link_of_the_administrators_for_a_log_file_is_followed(platoon):
    (platoon.dir / "link").symlink_to(platoon.dir / "real")
    run(platoon, f'program p {{ command = "sh -c \'echo hello; exec sleep 1000\'"  log_file = "{platoon.dir}/link" }}')
    wait_until(lambda: (platoon.dir / "real").exists() and "hello" in (platoon.dir / "real").read_text(), 10, "its line")


def test_a_program_has_not_the_terminal_of_the_one_that_started_platoon(platoon):
    """TIOCSTI. Public threads: containers/bubblewrap#143, util-linux/util-linux#760."""
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)

    def take_terminal():
        os.setsid()
        os.close(os.open(name, os.O_RDWR))
        os.close(os.open("/dev/tty", os.O_RDWR))
    file = platoon.dir / "said"
    script = printed(platoon, f"( : </dev/tty ) 2>/dev/null && echo yes >{file} || echo no >{file}", file)
    platoon.config_path.write_text(PLACES + f'program p {{ command = "{script}" }}')
    platoon.start(ready=False, preexec=take_terminal)
    wait_until(lambda: file.read_text().endswith("\n"), 10, "what it said")
    assert file.read_text() == "no\n"
    platoon.stop()
    os.close(ours)
    os.close(theirs)


# systemd's own sd_notify_barrier(3): it goes on when the receiver has no copy of the descriptor any more.
BARRIER = """
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\\0" + os.environ["NOTIFY_SOCKET"][1:])
theirs, ours = os.pipe()
socket.send_fds(s, [b"BARRIER=1"], [ours])
os.close(ours)
assert os.read(theirs, 1) == b""
s.send(b"READY=1")
time.sleep(1000)
"""


def test_a_barrier_is_passed_when_its_descriptor_is_let_go(platoon):
    (platoon.dir / "barrier.py").write_text(BARRIER)
    run(platoon, f'program p {{ command = "/usr/bin/python3 {platoon.dir}/barrier.py"  ready = notify }}')
    assert platoon.workers()["p.1"]["state"] == "READY"


@needs_root
@pytest.mark.parametrize("which", ["the program itself", "one it started", "of one that died"])
def test_what_became_another_users_is_told_with_its_pid(platoon, which):
    """A set-user-id program below a platoon that is not root's: it cannot be ended, and must not outlive a stop untold, nor hold it up."""
    root = platoon.dir / "rootpy"
    shutil.copy(os.path.realpath("/usr/bin/python3"), root)
    root.chmod(0o4755)
    pid_file = platoon.dir / "pid"
    become = f'{root} -c "import os, time; os.setuid(0); open(\\"{pid_file}\\", \\"w\\").write(str(os.getpid())); time.sleep(1000)"'
    script = platoon.dir / "script"
    script.write_text("#!/bin/sh\n" + {"the program itself": f"exec {become}\n", "one it started": f"{become} &\nexec sleep 1000\n",
                                       "of one that died": f"{become} &\nwhile [ ! -s {pid_file} ]; do sleep 0.05; done; exit 3\n"}[which])
    script.chmod(0o755)
    os.chown(platoon.dir, 65534, 65534)
    (platoon.dir / "log").touch()
    platoon.config_path.write_text(f'platoon {{ runtime_dir = run  state_dir = state  backoff_min = 60s  backoff_max = 60s }}\nprogram p {{ command = "{script}" }}\n')

    def nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    platoon.start(preexec=nobody, ready=False)
    pid = int(wait_until(lambda: pid_file.exists() and pid_file.read_text(), 20, "the one that became root"))
    try:
        begin = time.monotonic()
        if which != "of one that died":
            assert platoon.ctl("stop", "p.1").returncode == 0
            assert time.monotonic() - begin < 8 * SCALE
        wait_until(lambda: f"platoon may not end: {pid}: end that as root" in (platoon.workers()["p.1"]["last_exit"] or ""), 20, "its pid in last_exit")
        assert f"platoon may not end: {pid}" in platoon.ctl("status", "p.1").stdout.replace("\n", " ")
        wait_until(lambda: re.search(rf"p\.1 last-words .*{pid}", platoon.log()), 10, "the worker's line")
        wait_until(lambda: f"orphan-left pid={pid}" in platoon.log(), 20, "the master's line")
        assert alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
