"""What several suites do with a platoon: its programs run by hand, reload, trace, upgrade; workers that die, or are no workers."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

from platoon_fixture import ASAN, BUILD, SCALE, alive, elapsed, freeze, wait_until


def run(platoon, *words):
    return subprocess.run([str(platoon.build / "platoon"), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                          env=platoon.environment(), cwd="/")


def refused(platoon, *needles, code=None):
    """platoon -c ends by itself, soon, with one clear line that holds the needles."""
    done = run(platoon, "-c", str(platoon.config_path))
    assert done.returncode not in (0, -6, -11), done
    if code is not None:
        assert done.returncode == code, done
    for needle in needles:
        assert needle in done.stderr, f"{needle!r} is not in {done.stderr!r}"
    platoon.gone()
    return done


def bare(*words):
    return subprocess.run([str(BUILD / "platoonctl"), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def pids(platoon):
    return {name: node["pid"] for name, node in platoon.workers().items()}


def reload(platoon, *words):
    done = platoon.ctl("--json", "--timeout", f"{60 * SCALE}s", "reload", *words)
    assert done.returncode == 0, done.stderr
    return {(action, name) for action, name, _ in json.loads(done.stdout)["changes"]}


def trace(platoon, *words):
    done = platoon.ctl("--json", "--timeout", f"{30 * SCALE}s", "trace", *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def waiting(platoon, *words):
    """The tool, which has asked and waits for its answer."""
    process = subprocess.Popen([str(platoon.build / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), *words], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: "poll" in pathlib.Path(f"/proc/{process.pid}/wchan").read_text(), 20, "it to wait")
        platoon.tree()  # who asks later is answered later
        yield process
    finally:
        process.kill()
        process.communicate()


def own_binary(platoon):
    """The master and the tool as copies that a test may replace; the workers where they are."""
    there = platoon.dir / "bin"
    there.mkdir()
    for name in ("platoon", "platoonctl"):
        shutil.copy2(platoon.build / name, there / name)
    (there / "libexec").symlink_to(platoon.build / "libexec")
    platoon.build = there
    return there / "platoon"


def replace(binary, text=None):
    """As a package does it: another file under the same name."""
    new = binary.with_name("platoon.new")
    if text is None:
        shutil.copy2(binary, new)
    else:
        new.write_text(text)
        new.chmod(0o755)
    new.rename(binary)


def upgrade(platoon):
    done = platoon.ctl("--timeout", f"{60 * SCALE}s", "upgrade")
    assert done.returncode == 0, done.stderr + platoon.log()[-2000:]
    assert re.fullmatch(r"upgraded: platoon \S+ -> \S+, still pid \d+\n", done.stdout)


def upgrade_five_times(platoon, binary):
    """Each time by a new file; nobody's pid changes."""
    before = pids(platoon)
    for _ in range(5):
        replace(binary)
        upgrade(platoon)
        assert pids(platoon) == before


def upgraded_five_times(platoon, master):
    """It is the same master, nobody was restarted, and it ends as any does."""
    assert platoon.process.pid == master
    nodes = platoon.workers()
    assert all(node["restarts"] == 0 and node["generation"] == 1 and node["state"] == "READY" for node in nodes.values())
    assert platoon.json("version")["master"]["upgrades"] == 5
    assert platoon.stop() == 0
    platoon.gone()
    assert not (platoon.dir / "run/control.sock").exists()


def start_with_worker_limits(platoon, names, **settings):
    """Platoon's own workers of these names have the limits of the platoon section, a program beside them has not."""
    platoon.configure(platoon={"worker_nice": 4, "worker_files_max": 512, "worker_core_max": "0", "worker_no_new_privs": "true",
                               **({} if ASAN else {"worker_memory_max": "2GB"}), **settings},
                      extra='program other { command = "sleep 1000" }')
    platoon.start()
    workers = platoon.workers()
    for name in names:
        pid = workers[name]["pid"]
        limits = " ".join(pathlib.Path(f"/proc/{pid}/limits").read_text().split())
        assert "Max open files 512 512" in limits and "Max core file size 0 0" in limits, (name, limits)
        assert (f"Max address space {2 << 30} {2 << 30}" in limits or ASAN) and os.getpriority(os.PRIO_PROCESS, pid) == 4
        assert "NoNewPrivs:\t1" in pathlib.Path(f"/proc/{pid}/status").read_text()
    assert os.getpriority(os.PRIO_PROCESS, workers["other.1"]["pid"]) == os.getpriority(os.PRIO_PROCESS, 0), "a program's are its section's"


def restarted_with(platoon, victim):
    """Who has another process after the victim's death, when all is well again."""
    before = platoon.workers()
    os.kill(before[victim]["pid"], signal.SIGKILL)

    def settled():
        now = platoon.workers()
        return all(w["state"] == "READY" for w in now.values()) and now[victim]["pid"] != before[victim]["pid"] and now
    after = wait_until(settled, 20, "the branch to settle")
    return {n for n in before if before[n]["pid"] != after[n]["pid"]}


def escalates(platoon, victim, first):
    """A worker that dies again and again: its branch, whose first worker that is, gives up and is restarted whole; platoon never gives up."""
    before = platoon.workers()

    def branch_restarted():
        now = platoon.workers()
        node = now[victim]
        if node["state"] == "READY" and now[first]["pid"] == before[first]["pid"]:
            try:
                os.kill(node["pid"], signal.SIGKILL)
            except ProcessLookupError:
                pass
        return now[first]["pid"] not in (None, before[first]["pid"])
    wait_until(branch_restarted, 30, "the branch to be restarted")
    assert platoon.ctl("--timeout", f"{60 * SCALE}s", "wait", "ready").returncode == 0
    after = platoon.workers()
    assert after["redis/server"]["pid"] == before["redis/server"]["pid"], "the parent's other children live on"
    assert platoon.process.poll() is None


def tree_is_of_the_design(platoon, names):
    """The workers by name in their order, each with all that is said of one, each below its branch."""
    platoon.start()
    tree = platoon.tree()
    assert tree["name"] == "platoon" and tree["kind"] == "branch" and tree["pid"] == platoon.process.pid or tree["pid"] is None
    assert list(platoon.workers()) == names
    keys = {"name", "kind", "type", "state", "wanted", "pid", "generation", "restarts", "uptime_ms", "rss_bytes", "last_exit", "children"}

    def walk(node):
        assert keys <= set(node), node
        for child in node["children"]:
            assert child["name"].startswith("" if node["name"] == "platoon" else node["name"] + "/")
            walk(child)
    walk(tree)
    for node in platoon.workers().values():
        assert node["state"] == "READY" and node["wanted"] == "up" and alive(node["pid"]) and node["generation"] == 1
        assert node["rss_bytes"] > 0 and node["restarts"] == 0


def stop_places(platoon):
    """Which worker was the how-manieth to end, by the log of a stop."""
    platoon.start()
    names = list(platoon.workers())
    platoon.stop()
    text = platoon.log()
    ends = {n: [m.start() for m in re.finditer(rf"(?m)^.*worker={re.escape(n)}\b.*to=STOPPED.*$|^.*{re.escape(n)}\b.*STOPPED.*$", text)]
            for n in names}
    order = sorted((n for n in names if ends[n]), key=lambda n: ends[n][-1])
    assert set(order) == set(names), f"each end is in the log: {text[-3000:]}"
    # Between groups; workers of one group may end in any order.
    place = {n: i for i, n in enumerate(order)}
    assert place["redis/server"] == len(names) - 1
    return place


def master_killed(platoon):
    """By kill -9: nothing of it is left soon, not even the server, and it can be started again."""
    left = [w["pid"] for w in platoon.workers().values()] + [platoon.redis().info("server")["process_id"]]
    platoon.kill9()
    wait_until(lambda: not any(alive(p) for p in left), 5, "the end of every process within 5 s")
    platoon.gone()
    assert (platoon.dir / "run/control.sock").exists(), "what a dead master leaves is no obstacle"
    platoon.start()


def stands_still(platoon, who, times, meanwhile=lambda turn: None):
    """
    What the workers have said meanwhile is read before anybody is judged; who stood still with the master, as in a pause of the machine, gets time
    to say it. So nobody is restarted.
    """
    platoon.configure(platoon={"hang_timeout": "5s"}).start()
    before, turn = pids(platoon), 0
    while turn < times:
        meanwhile(turn)
        still = [platoon.process.pid] + (list(before.values()) if who == "machine" else [])
        for pid in still:
            freeze(pid)
        wait_until(elapsed(6.5), 10, "every deadline to pass")
        begun = time.monotonic()
        for pid in still:
            os.kill(pid, signal.SIGCONT)
            wait_until(elapsed(0.1), 10, "the master to be the first that goes on")
        if time.monotonic() - begun < 3:
            turn += 1
            continue
        # This process stood still itself, and whom it had not told to go on yet was hung beside a master that went on: another try.
        assert platoon.ctl("--timeout", f"{60 * SCALE}s", "wait", "ready").returncode == 0
        before = pids(platoon)
    return before


@contextlib.contextmanager
def standing_still_now_and_then(pid):
    """0.3 s at a time, with a moment between: what is told of the last second shows it, however long a look at it takes."""
    over = threading.Event()

    def stand():
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            over.wait(0.3)
            os.kill(pid, signal.SIGCONT)
            over.wait(0.1)
    thread = threading.Thread(target=stand)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def refused_without_program(platoon, program):
    libexec = platoon.dir / "libexec"
    shutil.copytree(platoon.build / "libexec/platoon", libexec)
    (libexec / program).unlink()
    platoon.configure(platoon={"libexec_dir": libexec})
    refused(platoon, str(libexec / program))


def start_with_worker_program(platoon, program, text):
    """Platoon, with something else in place of that worker's program."""
    libexec = platoon.dir / "libexec"
    shutil.copytree(platoon.build / "libexec/platoon", libexec)
    (libexec / program).write_text(text)
    (libexec / program).chmod(0o755)
    platoon.configure(platoon={"libexec_dir": libexec}).start(ready=False)


def fatal_by_78(platoon, program, name):
    """A worker program that ends with 78 is not started again, and status says so."""
    start_with_worker_program(platoon, program, "#!/bin/sh\necho 'cannot work like this' >&2\nexit 78\n")
    wait_until(lambda: platoon.workers()[name]["state"] == "FATAL", 15, "FATAL")
    assert name in platoon.problems()
    wait_until(lambda: "cannot work like this" in platoon.log(), 10, "its last words")
    done = platoon.ctl("--timeout", f"{60 * SCALE}s", "wait", "ready")
    assert done.returncode == 1 and name in done.stderr, "who waits need not wait for that"


def restarted_for_garbage(platoon, program, name):
    """Garbage on the link, and nothing on the link: the master does not notice otherwise."""
    start_with_worker_program(platoon, program, "#!/bin/sh\nhead -c 100000 /dev/urandom >&3\nexec sleep 1000\n")
    wait_until(lambda: platoon.workers()[name]["restarts"] >= 1, 20, "a restart")
    assert platoon.workers()[name]["last_exit"]


def stop_start_restart(platoon, name, meanwhile=lambda: None):
    """By hand: what each of the three leaves behind; meanwhile, while it is stopped."""
    before = platoon.workers()[name]
    assert platoon.ctl("stop", name).returncode == 0
    node = platoon.workers()[name]
    assert (node["state"], node["wanted"], node["pid"]) == ("STOPPED", "down", None)
    meanwhile()
    assert platoon.ctl("start", name).returncode == 0
    node = platoon.workers()[name]
    assert node["state"] == "READY" and node["generation"] == before["generation"] + 1
    assert platoon.ctl("restart", name).returncode == 0
    assert platoon.workers()[name]["generation"] == before["generation"] + 2
    assert platoon.workers()[name]["pid"] != node["pid"]


def stop_start_branch(platoon, branch, meanwhile=lambda: None):
    assert platoon.ctl("stop", branch).returncode == 0
    states = {n: w["state"] for n, w in platoon.workers().items()}
    assert all(s == ("STOPPED" if n.startswith(branch + "/") else "READY") for n, s in states.items()), states
    meanwhile()
    assert platoon.ctl("start", branch).returncode == 0
    assert all(w["state"] == "READY" for w in platoon.workers().values())
