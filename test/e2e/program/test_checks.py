"""One list of what is wrong with a file, for --check, check, start and reload, each with its line; and in a time that grows with the file.

What users of such programs have reported: compose-go#188, podup#797 (a check that passes what the start refuses).
"""
import pathlib
import re
import resource
import subprocess

import pytest

from platoon_fixture import SCALE

HEAD = "platoon { runtime_dir = run  state_dir = state }\n"

# What only a change of the file can cure: line and words.
WRONG = {
    "after names nobody": ('program a { command = true\n  after = nowhere }', 3, "after: there is no program, supervisor or branch named nowhere"),
    "after in a circle": ('program a { command = true  after = b }\nprogram b { command = true  after = a }', 3, "b.1: after: it waits for itself, by way of a.1"),
    "after itself": ('program a { command = true  after = a }', 2, "a.1: after: it waits for itself"),
    "after its supervisor": ('supervisor s { children = a }\nprogram a { command = true  after = s }', 3, "s/a.1: after: it waits for itself"),
    "a ring of supervisors": ('supervisor s { children = t }\nsupervisor t { children = s }', 2, "supervisor s stands below itself"),
    "two branches of one name": ('redis main { url = "redis://127.0.0.1:1" }\nsupervisor redis { children = x }\nprogram x { command = true }', 3, "redis is the place of"),
    "one log_file": ('program a { command = true  log_file = l }\nprogram b { command = true  log_file = "./l" }', 3, "is written by program a already, on line 2"),
    "a path that does not fit": ('program a { command = true }\n' + "".join(f"supervisor {c * 24} {{ children = {d} }}\n" for c, d in (("x", "y" * 24), ("y", "z" * 24), ("z", "a"))), 5, "the name is too long"),
    "a worker's program": ('program a { worker = true  command = /no/such/worker }', 2, "a.1: command /no/such/worker: No such file"),
    "the server's program": ('redis main { url = embedded  server_program = no-such-server }', 2, "server_program no-such-server: not found"),
}

# What may come: the start goes on, and tries again.
MISSING = {
    "command": ('program a { command = no-such-program }', 2, "command: no-such-program: is in no directory of PATH"),
    "command with a path": ('program a { command = "./no/such" }', 2, "command: /"),
    "directory": ('program a { command = true\n  directory = /no/such }', 3, "directory: /no/such: No such file or directory"),
    "user": ('program a { command = true  user = nobody-at-all }', 2, "user: nobody-at-all: there is no such user"),
    "group": ('program a { command = true  group = nobody-at-all }', 2, "group: nobody-at-all: there is no such group"),
    "directory of a log_file": ('program a { command = true  log_file = /no/such/l }', 2, "log_file: /no/such: No such file or directory"),
    "password file": ('redis main { url = "redis://127.0.0.1:1"  password_file = /no/such }', 2, "password_file: /no/such: No such file or directory"),
}


def check(platoon, text, head=HEAD):
    """What --check says, which is what `platoonctl check` says: status and both outputs."""
    platoon.config_path.write_text(head + text + "\n")
    done = subprocess.run([str(platoon.build / "platoon"), "-c", str(platoon.config_path), "--check"], capture_output=True, text=True, timeout=60)
    tool = platoon.ctl("check", str(platoon.config_path))
    assert (tool.returncode, tool.stdout, tool.stderr) == (done.returncode, done.stdout, done.stderr)
    assert not (platoon.dir / "run").exists() and not (platoon.dir / "state").exists(), "a check touches nothing"
    return done


def refused_by_check_and_start(platoon, text, line, words, head=HEAD):
    done = check(platoon, text, head)
    found = f"{platoon.config_path}:{line}: "
    assert done.returncode == 78 and re.search(f"^{re.escape(found)}.*{re.escape(words)}", done.stderr, re.M), done
    platoon.spawn()
    assert platoon.process.wait(10 * SCALE) == 78
    platoon.process = None
    assert re.search(f"^{re.escape(found)}.*{re.escape(words)}", platoon.log(), re.M), platoon.log()
    return found


@pytest.mark.parametrize("name", WRONG)
def test_a_check_finds_what_the_start_and_a_reload_refuse(platoon, name):
    text, line, words = WRONG[name]
    found = refused_by_check_and_start(platoon, text, line, words)
    platoon.config_path.write_text(HEAD)
    platoon.start(ready=False)
    platoon.config_path.write_text(HEAD + text + "\n")
    done = platoon.ctl("reload")
    assert done.returncode == 78 and found in done.stderr and words in done.stderr, done


# Two places that are one: whoever looked for the lock of the second found its own, and advised to kill itself.
ONE_PLACE = {
    "the same": ("run", "run", "is runtime_dir as well"),
    "by another way": ("run", "other/../run", "is runtime_dir as well"),
    "by a link": ("run", "link/run/", "is runtime_dir as well"),
    "of the mailboxes": ("run", "link/run/mbox", "is where the mailboxes of runtime_dir are"),
    "of the embedded server": ("state/redis", "state", "redis main has its data there"),
}


@pytest.mark.parametrize("name", ONE_PLACE)
def test_one_directory_cannot_be_two_places(platoon, name):
    run, state, words = ONE_PLACE[name]
    (platoon.dir / "link").symlink_to(platoon.dir)
    text = 'redis main { url = embedded }' if "server" in name else ""
    refused_by_check_and_start(platoon, text, 2, words, f'platoon {{\n  runtime_dir = "{run}"  state_dir = "{state}"\n}}\n')


def test_one_place_may_stand_in_the_other(platoon):
    for run, state in (("both", "both/state"), ("other/run", "other")):
        platoon.config_path.write_text(f'platoon {{ runtime_dir = "{run}"  state_dir = "{state}" }}\n')
        done = subprocess.run([str(platoon.build / "platoon"), "-c", str(platoon.config_path), "--check"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "warning" not in done.stderr, done


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_a_warning_with_its_line(platoon, name):
    text, line, words = MISSING[name]
    done = check(platoon, text)
    found = f"{platoon.config_path}:{line}: warning: {words}"
    assert done.returncode == 0 and found in done.stderr, done
    platoon.start(ready=False)
    assert "config-warning" in platoon.log() and found in platoon.log(), platoon.log()


@pytest.mark.parametrize("key", ["password_file", "tls_key_file"])
def test_a_secret_that_everybody_may_read_is_a_warning(platoon, key):
    secret = platoon.dir / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o644)
    text = f'redis main {{ url = "rediss://127.0.0.1:1"  {key} = "{secret}"{" tls_cert_file = secret" if "tls" in key else ""} }}'
    done = check(platoon, text)
    assert done.returncode == 0 and f":2: warning: {key}: {secret}: everybody on this host may read it (mode 0644): chmod 600 {secret}" in done.stderr, done
    secret.chmod(0o640)
    assert "warning" not in check(platoon, text).stderr


def test_a_limit_that_no_worker_could_live_with_is_a_warning(platoon):
    for limit, words in (("64MB", "worker_memory_max: 64MB cannot work where platoon was not given its cgroup"), ("1GB", None)):
        platoon.config_path.write_text(f"platoon {{ runtime_dir = run  state_dir = state  worker_memory_max = {limit} }}\n")
        done = platoon.ctl("check", str(platoon.config_path))
        assert done.returncode == 0 and (words in done.stderr if words else "warning" not in done.stderr), done


def nested(count, runs=True):
    """Supervisors in a tree of twos above programs, which took the cube of them; a chain of `after` in the wrong order, which took the square."""
    def program(i):
        return f"program s{i} {{ command = true  {f'after = s{i + 1}' if i < 2 * count and runs else ''}  processes = {int(runs)} }}\n"
    tree = "".join(f"supervisor s{i} {{ children = \"s{2 * i + 1} s{2 * i + 2}\" }}\n" for i in range(count))
    return tree + "".join(map(program, range(count, 2 * count + 1)))


def run_seconds(pid):
    """On a processor, finer than the ticks of /proc/PID/stat."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def test_the_time_of_a_check_grows_with_the_file(platoon):
    """Not a number of seconds, which depend on the machine: four times the file, about four times the time; with its square it was sixteen."""
    def seconds(count):
        platoon.config_path.write_text(HEAD + nested(count))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = platoon.ctl("check", str(platoon.config_path))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    once, four = (min(seconds(count) for _ in range(3)) for count in (500, 2000))
    assert four < 8 * once, (once, four)


def test_the_time_of_a_reload_grows_with_the_file(platoon):
    """The master's own, in which it hears nobody."""
    small = HEAD + 'program p { command = "sleep 1000" }\n'
    platoon.config_path.write_text(small)
    platoon.start()

    def seconds(text):
        platoon.config_path.write_text(text)
        before = run_seconds(platoon.process.pid)
        done = platoon.ctl("reload")
        assert done.returncode == 0, done
        return run_seconds(platoon.process.pid) - before

    def three(count):
        """What comes, what stays, and what goes."""
        large = small + nested(count, runs=False)
        return [seconds(large), seconds(large), seconds(small)]
    once, four = ([min(times) for times in zip(three(count), three(count))] for count in (500, 2000))
    assert all(b < 8 * a for a, b in zip(once, four)), (once, four)
