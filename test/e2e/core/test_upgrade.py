"""Upgrade in place: the master execs the binary that is installed now; the same pids, nothing restarted, nothing lost; one that cannot take over refuses, and the old master goes on."""
import os
import re
import signal
import subprocess
import threading

from platoon_fixture import SCALE, free_port, marked, wait_until
from platoon_steps import own_binary, pids, replace, upgrade, upgrade_five_times, upgraded_five_times


def test_nobody_notices(platoon):
    binary = own_binary(platoon)
    platoon.start()
    master = platoon.process.pid
    upgrade_five_times(platoon, binary)
    assert platoon.ctl("redis", "PING").stdout.strip() == "PONG"
    upgraded_five_times(platoon, master)


def test_afterwards_all_is_as_it_was(platoon):
    own_binary(platoon)
    platoon.config_path.write_text(f'''platoon {{ runtime_dir = run  state_dir = state  backoff_min = 20ms  health = "127.0.0.1:{free_port()}" }}\n''' + '''
        supervisor site { children = "db web"  strategy = rest_for_one }
        program db { command = "sleep 1000" }
        program web { command = "sleep 1000"  processes = 3 }
        program once { command = "true"  restart = transient  ready = exit }
        program down { command = "sleep 1000" }''')
    platoon.start()
    assert platoon.ctl("stop", "down.1").returncode == 0
    victim, behind = (platoon.workers()[f"site/web.{i}"] for i in (2, 3))
    os.kill(victim["pid"], signal.SIGKILL)
    for node in (victim, behind):
        platoon.replaced(node)
    before = platoon.workers()
    upgrade(platoon)
    after = platoon.workers()
    for name, node in before.items():
        for key in ("pid", "state", "wanted", "generation", "restarts", "last_exit"):
            assert after[name][key] == node[key], (name, key)
        assert node["uptime_ms"] is None or after[name]["uptime_ms"] >= node["uptime_ms"]
    assert "finished" in after["once.1"]["doing"]
    os.kill(after["site/db.1"]["pid"], signal.SIGKILL)
    platoon.replaced(after["site/db.1"])
    for i in (1, 2, 3):
        platoon.replaced(after[f"site/web.{i}"])
    assert platoon.ctl("start", "down.1").returncode == 0
    assert platoon.ctl("restart", "site").returncode == 0
    platoon.config_path.write_text(platoon.config_path.read_text().replace("processes = 3", "processes = 5"))
    assert platoon.ctl("reload").returncode == 0
    assert len(platoon.workers()) == len(before) + 2


def test_what_logs_and_watch_show_goes_on(platoon):
    own_binary(platoon)
    platoon.config_path.write_text('''platoon { runtime_dir = run  state_dir = state  backoff_min = 20ms }
        program talker { command = "sh -c 'echo first words; exec sleep 1000'" }''')
    platoon.start()
    wait_until(lambda: 'line="first words"' in platoon.log(), 10, "what it says")
    pid = platoon.pid_of("talker.1")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: platoon.workers()["talker.1"]["restarts"] == 1 and platoon.workers()["talker.1"]["state"] == "READY", 10, "its return")
    wait_until(lambda: platoon.ctl("logs", "-n", "1000", "talker.1").stdout.count('line="first words"') == 2, 10, "what its second life says")
    before = platoon.ctl("logs", "-n", "1000").stdout
    files = [open(platoon.dir / f"watcher.{i}", "w+") for i in range(2)]
    watchers = [subprocess.Popen([str(platoon.build / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), *words], stdout=file)
                for file, words in zip(files, (["watch", "talker.1"], ["logs", "-f", "-n", "1", "talker.1"]))]
    shown = lambda i: (platoon.dir / f"watcher.{i}").read_text()  # noqa: E731
    wait_until(lambda: shown(1), 10, "the follower's first line")
    wait_until(lambda: "poll" in open(f"/proc/{watchers[0].pid}/wchan").read(), 10, "the other one to wait for something to tell")
    try:
        for _ in range(2):
            upgrade(platoon)
        after = platoon.ctl("logs", "-n", "1000").stdout
        assert after.startswith(before) and len(after) > len(before)
        assert platoon.ctl("logs", "-n", "1000", "talker.1").stdout.count('line="first words"') == 2
        os.kill(platoon.pid_of("talker.1"), signal.SIGKILL)
        wait_until(lambda: '"event":"READY"' in shown(0) and "event=READY generation=3" in shown(1), 10, "its return, at both")
        assert all(watcher.poll() is None for watcher in watchers)
        assert shown(0).count("SIGKILL") == 1 and shown(1).count("worker-exit") == 1, "each move and line once"
    finally:
        for watcher, file in zip(watchers, files):
            watcher.kill()
            watcher.wait()
            file.close()


def test_lines_and_frames_that_have_not_come_whole_come_whole(platoon):
    own_binary(platoon)
    (platoon.dir / "says.py").write_text('''
import sys, time
for i in range(100000):
    sys.stdout.write(f"begin-{i}-"); sys.stdout.flush(); time.sleep(0.004)
    sys.stdout.write(f"end-{i}\\n"); sys.stdout.flush()''')
    platoon.config_path.write_text(f'''platoon {{ runtime_dir = run  state_dir = state }}
        program says {{ command = "/usr/bin/python3 {platoon.dir}/says.py"  processes = 3 }}''')
    platoon.start()
    for _ in range(6):
        upgrade(platoon)
    wait_until(lambda: all(f"says.{n} output line=begin-300-end-300\n" in platoon.log() for n in (1, 2, 3)), 60, "some lines of each")
    assert platoon.stop() == 0
    for n in (1, 2, 3):
        numbers = [int(m[1]) for m in re.finditer(rf"says\.{n} output line=begin-(\d+)-end-\1\n", platoon.log())]
        assert numbers == list(range(len(numbers))) and len(numbers) >= 200, numbers[-5:]


def test_a_binary_that_cannot_take_over_refuses_and_the_old_master_goes_on(platoon):
    binary = own_binary(platoon)
    platoon.config_path.write_text('platoon { runtime_dir = run  state_dir = state }\nprogram web { command = "sleep 1000" }\n')
    platoon.start()
    before = pids(platoon)
    for text, reason in (("#!/bin/sh\necho 'platoon: reads another version' >&2\nexit 78\n", "reads another version"), ("#!/bin/sh\nkill -9 $$\n", "without a word"),
                         ("no program at all", "cannot be asked|refuses")):
        kept = binary.read_bytes()
        replace(binary, text)
        done = platoon.ctl("upgrade")
        assert done.returncode == 1 and re.search(reason, done.stderr), done
        saved = binary.with_name("saved")
        saved.write_bytes(kept)
        saved.chmod(0o755)
        saved.rename(binary)
        assert pids(platoon) == before
    binary.unlink()
    done = platoon.ctl("upgrade")
    assert done.returncode == 1 and "install the new platoon there" in done.stderr
    assert platoon.ctl("restart", "web.1").returncode == 0
    assert platoon.log().count("upgrade-refused") >= 2


def test_a_file_that_is_not_what_runs_comes_first(platoon):
    own_binary(platoon)
    text = 'platoon { runtime_dir = run  state_dir = state }\nprogram web { command = "sleep 1000" }\n'
    platoon.config_path.write_text(text)
    platoon.start()
    platoon.config_path.write_text(text + 'program more { command = "sleep 1000" }\n')
    done = platoon.ctl("upgrade")
    assert done.returncode == 1 and "platoonctl reload first" in done.stderr
    platoon.config_path.write_text("nonsense")
    assert platoon.ctl("upgrade").returncode == 78
    platoon.config_path.write_text(text)
    assert platoon.ctl("scale", "web", "2").returncode == 0
    assert "write a scaled pool's number into it" in platoon.ctl("upgrade").stderr
    assert platoon.ctl("reload").returncode == 0
    upgrade(platoon)


def test_how_workers_have_ended_is_not_forgotten(platoon):
    """What is unstable stays so, with its count, and what has ended for good is no program that somebody has stopped."""
    own_binary(platoon)
    script = platoon.dir / "dies"
    script.write_text(f"""#!/bin/sh
        echo x >> {platoon.dir}/lives
        [ $(wc -l < {platoon.dir}/lives) -gt 4 ] && exec sleep 1000
        exit 3
        """)
    script.chmod(0o755)
    platoon.config_path.write_text(f"""platoon {{ runtime_dir = run  state_dir = state  backoff_min = 20ms  backoff_max = 50ms  intensity = 1000  stable_after = 1h }}
        program dies {{ command = "{script}" }}
        program once {{ command = "sh -c 'exit 5'"  restart = temporary }}""")
    platoon.start(ready=False)
    wait_until(lambda: platoon.workers()["dies.1"]["deaths"] == 4 and platoon.workers()["dies.1"]["state"] == "READY" and "once.1 has ended" in platoon.problems(),
               20, "all of it")
    before = platoon.problems()
    assert "dies.1 is unstable: it has ended 4 times in a row" in before
    for _ in range(2):
        upgrade(platoon)
    assert platoon.problems() == before
    node = platoon.workers()["dies.1"]
    assert (node["deaths"], node["unstable"], node["restarts"]) == (4, True, 4)
    os.kill(node["pid"], signal.SIGKILL)
    wait_until(lambda: platoon.workers()["dies.1"]["deaths"] == 5, 10, "the count to go on")
    assert platoon.ctl("restart", "dies.1").returncode == 0 and platoon.workers()["dies.1"]["deaths"] == 0


def test_in_the_middle_of_starts_deaths_and_stops(platoon):
    own_binary(platoon)
    platoon.config_path.write_text(f'''platoon {{ runtime_dir = run  state_dir = state  backoff_min = 300ms  backoff_max = 600ms  intensity = 1000 }}
        program dies {{ command = "sh -c 'sleep 0.05; exit 1'" }}
        program slow {{ command = "sleep 1000"  ready = "unix:{platoon.dir}/ready" }}
        program deaf {{ command = "sh -c 'trap : TERM; while :; do sleep 0.05; done'"  stop_timeout = 60s }}''')
    platoon.start(ready=False)
    wait_until(lambda: platoon.workers()["dies.1"]["restarts"] > 1 and platoon.workers()["slow.1"]["pid"], 20, "all of it")
    before = platoon.workers()
    for _ in range(4):
        upgrade(platoon)
    assert platoon.workers()["slow.1"]["pid"] == before["slow.1"]["pid"] and platoon.workers()["slow.1"]["state"] == "STARTING"
    restarts = platoon.workers()["dies.1"]["restarts"]
    wait_until(lambda: platoon.workers()["dies.1"]["restarts"] > restarts + 1, 20, "its back-off goes on")


def test_orders_and_questions_around_it(platoon):
    own_binary(platoon)
    platoon.config_path.write_text('platoon { runtime_dir = run  state_dir = state }\nprogram web { command = "sleep 1000" processes = 20 }\n')
    platoon.start()
    results = []
    threads = [threading.Thread(target=lambda: results.append(platoon.ctl("--timeout", f"{20 * SCALE}s", "upgrade"))) for _ in range(3)]
    threads += [threading.Thread(target=lambda: [platoon.ctl("tree") for _ in range(10)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(r.returncode == 0 for r in results), results
    nodes = platoon.workers()
    assert len(nodes) == 20 and all(n["generation"] == 1 for n in nodes.values())
    platoon.process.send_signal(signal.SIGHUP)
    upgrade(platoon)
    assert platoon.stop() == 0
    wait_until(lambda: not marked(platoon.mark), 10, "the end of all")


def test_the_probe_says_no_to_what_is_no_state(platoon):
    platoon.config_path.write_text('platoon { runtime_dir = run  state_dir = state }\n')
    for content in (b"", b"nonsense", b"\x9b\x01" + bytes(9), os.urandom(5000)):
        state = platoon.dir / "state.bin"
        state.write_bytes(content)
        with open(state, "rb") as file:
            done = subprocess.run([str(platoon.build / "platoon"), "-c", str(platoon.config_path), "--take-over", str(file.fileno()), "--probe"],
                                  pass_fds=[file.fileno()], capture_output=True, text=True)
        assert done.returncode == 78 and done.stderr.startswith("platoon: the running master"), done


def test_a_text_in_the_place_of_the_binary_is_not_run_by_a_shell(platoon):
    binary = own_binary(platoon)
    platoon.start()
    replace(binary, f"touch {platoon.dir}/ran\n")
    done = platoon.ctl("upgrade")
    assert done.returncode == 1 and "it is no program" in done.stderr, done
    assert not (platoon.dir / "ran").exists()
