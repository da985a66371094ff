"""Any program as a supervised worker: where it stands, whom it runs as, when it is ready, how it ends and comes back."""
import os
import pathlib
import pwd
import signal

import pytest

from platoon_fixture import ASAN, alive, marked, wait_until

PLACES = 'platoon { runtime_dir = run  state_dir = state  backoff_min = 20ms }\n'


def run(platoon, text, ready=True, places=PLACES):
    platoon.config_path.write_text(places + text)
    return platoon.start(ready=ready)


def program_pid(platoon, name):
    """The program's own process: the command worker's child."""
    worker = platoon.workers()[name]["pid"]
    return int(pathlib.Path(f"/proc/{worker}/task/{worker}/children").read_text().split()[0])


def out(platoon, name="out"):
    path = platoon.dir / name
    return path.read_text().split() if path.exists() else []


def test_tree_of_supervisors(platoon):
    run(platoon, '''
        supervisor site { children = "db web" }
        supervisor web { children = "api cache" }
        program db { command = "sleep 1000" }
        program api { command = "sleep 1000"  processes = 2 }
        program cache { command = "sleep 1000" }
        program alone { command = "sleep 1000" }''')
    assert list(platoon.workers()) == ["site/db.1", "site/web/api.1", "site/web/api.2", "site/web/cache.1", "alone.1"]
    assert platoon.ctl("stop", "site/web").returncode == 0
    states = {n: w["state"] for n, w in platoon.workers().items()}
    assert states == {"site/db.1": "READY", "site/web/api.1": "STOPPED", "site/web/api.2": "STOPPED", "site/web/cache.1": "STOPPED", "alone.1": "READY"}
    assert platoon.ctl("start", "site").returncode == 0
    assert platoon.stop() == 0
    platoon.gone()


def test_arguments_environment_and_numbers(platoon):
    run(platoon, f'''program p {{
        command = "sh -c 'echo \\"$COLOR|$PLATOON_NAME|$0\\" > {platoon.dir}/$0; pwd >> {platoon.dir}/$0; exec sleep 1000' out{{n}}"
        environment = "COLOR='dark blue {{n}}'"  directory = "/usr"  processes = 2 }}''')
    for i in (1, 2):
        wait_until(lambda i=i: len(out(platoon, f"out{i}")) == 4, 10, "what it writes")
        assert (platoon.dir / f"out{i}").read_text() == f"dark blue {i}|p.{i}|out{i}\n/usr\n"


def test_limits_reach_the_program(platoon):
    run(platoon, 'program p { command = "sleep 1000"  memory_max = 64MB  files_max = 77  core_max = 1MB  nice = 7  umask = 027  no_new_privs = true }')
    pid = program_pid(platoon, "p.1")
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    rows = {line[:25].strip(): line[25:].split()[:2] for line in limits.splitlines()[1:]}
    assert rows["Max address space"] == [str(64 << 20)] * 2
    assert rows["Max open files"] == ["77"] * 2
    assert rows["Max core file size"] == [str(1 << 20)] * 2
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status and "Umask:\t0027" in status
    assert pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16] == "7"


def test_another_user(platoon):
    if os.getuid() != 0:
        run(platoon, 'program p { command = "sleep 1000"  user = root }', ready=False)
        node = wait_until(lambda: (w := platoon.workers()["p.1"])["state"] == "FATAL" and w, 10, "FATAL")
        assert "user: Operation not permitted: only root may do that" in node["last_exit"]
        return
    nobody = pwd.getpwnam("nobody")
    run(platoon, 'program p { command = "sleep 1000"  user = nobody  directory = "/" }')
    pid = program_pid(platoon, "p.1")
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}" in status
    assert f"Gid:\t{nobody.pw_gid}\t{nobody.pw_gid}\t{nobody.pw_gid}" in status
    groups = next(line for line in status.splitlines() if line.startswith("Groups:")).split()[1:]
    assert groups in ([], [str(nobody.pw_gid)]), "root's groups are not taken along"
    worker = platoon.workers()["p.1"]["pid"]
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not alive(pid), 10, "a program of another user to die with its worker")


@pytest.mark.parametrize("last", ["ä" * 300, "x" + "ä" * 300, "a\\377b"], ids=["even", "odd", "no text"])
def test_last_words_stay_text_in_json(platoon, last):
    """The last line before a death, cut inside a character or no text at all, made an object of last_exit."""
    (platoon.dir / "last.sh").write_text(f"printf '{last}\\n'; sleep 1000")
    run(platoon, f'program p {{ command = "/bin/sh {platoon.dir}/last.sh" }}')
    wait_until(lambda: "output line=" in platoon.log(), 10, "its line")
    before = platoon.workers()["p.1"]
    os.kill(before["pid"], signal.SIGKILL)
    said = platoon.replaced(before)["last_exit"]
    assert isinstance(said, str) and said.split(": ", 1)[1].rstrip("ä") in ("x", "", "a?b"), said
    reports = wait_until(lambda: platoon.json("crashes")["reports"], 10, "its report")
    assert all(isinstance(report["cause"], str) for report in reports), reports


@pytest.mark.parametrize("first", ["", "x"])
def test_a_long_reason_stays_text_in_json(platoon, first):
    """What a worker says in its BYE was cut inside a character likewise."""
    program = f"{platoon.dir}/{first}" + "/".join(["ä" * 100] * 3)
    run(platoon, f'program p {{ command = "{program}" }}', ready=False)
    said = wait_until(lambda: platoon.workers()["p.1"]["last_exit"], 10, "its end")
    assert isinstance(said, str) and said.endswith("ä"), said


def test_one_for_all(platoon):
    run(platoon, '''supervisor s { children = "a b c"  strategy = one_for_all }
        program a { command = "sleep 1000" }
        program b { command = "sleep 1000" }
        program c { command = "sleep 1000" }
        program other { command = "sleep 1000" }''')
    before = platoon.workers()
    os.kill(program_pid(platoon, "s/b.1"), signal.SIGKILL)
    for name in ("s/a.1", "s/b.1", "s/c.1"):
        node = platoon.replaced(before[name])
        assert node["generation"] == 2
    assert platoon.workers()["other.1"]["pid"] == before["other.1"]["pid"]
    starts = [line.split("name=")[1].split()[0] for line in platoon.log().splitlines() if "to=STARTING" in line and "name=s/" in line]
    assert starts == ["s/a.1", "s/b.1", "s/c.1"] * 2, "in order, both times"


def test_restart_modes(platoon):
    run(platoon, f'''
        program always {{ command = "sh -c 'echo x >> {platoon.dir}/always; test $(wc -l < {platoon.dir}/always) -lt 3 || exec sleep 1000'" }}
        program bad {{ command = "sh -c 'echo x >> {platoon.dir}/bad; test $(wc -l < {platoon.dir}/bad) -ge 3 && exit 4; exit 1'"
                      restart = transient  exit_codes = "0 4" }}
        program once {{ command = "sh -c 'echo x >> {platoon.dir}/once; exit 1'"  restart = temporary }}''', ready=False)
    wait_until(lambda: len(out(platoon, "always")) == 3, 10, "two restarts after exit 0")
    wait_until(lambda: platoon.workers()["bad.1"]["doing"] == "finished", 10, "the exit code that counts as done")
    assert len(out(platoon, "bad")) == 3
    node = wait_until(lambda: (n := platoon.workers()["once.1"])["state"] == "STOPPED" and n, 10, "the end of the one that runs once")
    assert node["restarts"] == 0 and len(out(platoon, "once")) == 1


def test_after_a_program_that_prepares(platoon):
    """Migrations first: `ready = exit` holds back what comes after until the program has finished on purpose."""
    run(platoon, f'''
        program web {{ command = "sh -c 'cat {platoon.dir}/out > {platoon.dir}/seen; exec sleep 1000'"  after = migrate }}
        program migrate {{ command = "sh -c 'test -e {platoon.dir}/go || exit 1; echo done > {platoon.dir}/out'"  restart = transient  ready = exit }}''',
        ready=False)
    wait_until(lambda: platoon.workers()["migrate.1"]["restarts"] >= 1, 10, "a first try that fails")
    assert platoon.workers()["web.1"]["doing"] == "waits for migrate.1" and platoon.workers()["web.1"]["pid"] is None
    (platoon.dir / "go").touch()
    done = platoon.ctl("--timeout", "60s", "wait", "ready")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: out(platoon, "seen") == ["done"], 10, "the program behind it")


def test_ready_when_it_listens_or_has_run_for_a_while(platoon):
    run(platoon, f'''
        program server {{ command = "python3 -c 'import socket,time; time.sleep(0.3); s=socket.socket(socket.AF_UNIX); s.bind(\\"{platoon.dir}/s\\"); s.listen(); time.sleep(1000)'"
                         ready = "unix:{platoon.dir}/s" }}
        program slow {{ command = "sleep 1000"  ready = 300ms }}
        program next {{ command = "sleep 1000"  after = "server slow" }}''')
    workers = platoon.workers()
    assert (platoon.dir / "s").exists()
    log = platoon.log()
    assert log.index("name=server.1 from=STARTING to=READY") < log.index("name=next.1 from=STARTING to=READY")
    assert all(w["state"] == "READY" for w in workers.values())


def test_stop_signal_and_timeout(platoon):
    run(platoon, f'''
        program polite {{ command = "sh -c 'trap \\"echo int >> {platoon.dir}/out; exit 0\\" INT; echo on; while :; do sleep 0.05; done'"  stop_signal = INT  ready = "log:on" }}
        program deaf {{ command = "sh -c 'trap \\"\\" TERM; echo on; while :; do sleep 0.05; done'"  stop_timeout = 300ms  ready = "log:on" }}''')
    deaf = program_pid(platoon, "deaf.1")
    assert platoon.ctl("stop", "polite.1").returncode == 0
    assert out(platoon) == ["int"]
    assert platoon.ctl("stop", "deaf.1").returncode == 0
    assert not alive(deaf)


def test_on_fatal_exit(platoon):
    run(platoon, 'program p { command = "sh -c \'exit 1\'" }', ready=False,
        places='platoon { runtime_dir = run  state_dir = state  backoff_min = 5ms  backoff_max = 20ms  intensity = 3  on_fatal = exit }\n')
    wait_until(lambda: platoon.process.poll() is not None, 20, "the end of platoon")
    assert platoon.process.returncode == 1
    assert "on_fatal = exit" in platoon.log()
    platoon.gone()


def test_the_whole_group_goes(platoon):
    """What a program starts dies with it, also when the master is killed."""
    run(platoon, 'program p { command = "sh -c \'sleep 1000 & sleep 1000 & wait\'" }')
    wait_until(lambda: len(marked(platoon.mark)) >= 5, 10, "its children")
    platoon.kill9()
    platoon.gone()


def test_programs_after_a_branch(platoon):
    platoon.configure(extra='program p { command = "sleep 1000"  after = "redis" }\n').start()
    assert platoon.ctl("redis", "PING").stdout.strip() == "PONG"
    assert platoon.workers()["p.1"]["state"] == "READY"


def test_a_thousand(platoon):
    """Started, listed, a hundred killed at once and back, scaled, stopped; under the sanitizers a hundred, for memory's sake."""
    count = 100 if ASAN else 1000
    platoon.config_path.write_text(PLACES.replace("}", "intensity = 1000 }") + f'program p {{ command = "sleep 1000"  processes = {count} }}')
    platoon.spawn()
    platoon.wait_socket()
    done = platoon.ctl("--timeout", "60s", "wait", "ready")
    assert done.returncode == 0, done.stderr
    before = platoon.workers()
    assert len(before) == count and all(w["state"] == "READY" for w in before.values())
    assert platoon.ctl("tree").stdout.count("READY") == count + 1
    victims = [f"p.{i}" for i in range(1, count + 1, 10)]
    for name in victims:
        os.kill(before[name]["pid"], signal.SIGKILL)

    def back():
        now = platoon.workers()
        return all(now[n]["state"] == "READY" and now[n]["pid"] != before[n]["pid"] for n in victims) and now
    after = wait_until(back, 60, "the killed ones")
    assert all(after[n]["pid"] == before[n]["pid"] for n in before if n not in victims)
    for number in (count * 7 // 10, count * 9 // 10):
        assert platoon.ctl("--timeout", "60s", "scale", "p", str(number)).returncode == 0
        scaled = platoon.workers()
        assert len(scaled) == number and all(w["state"] == "READY" for w in scaled.values())
        assert all(scaled[f"p.{i}"]["pid"] == after[f"p.{i}"]["pid"] for i in range(1, count * 7 // 10 + 1))
    assert platoon.stop() == 0
    platoon.gone()
