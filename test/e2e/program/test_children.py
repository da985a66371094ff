"""Temporary children: a worker has the master start one more process of a program, hears how it ended, and takes it along when it ends itself."""
import json
import os
import signal
import subprocess
import time

import pytest

from platoon_fixture import alive, wait_until
from test_port import ACTOR, Actors

# Writes what it was told, then waits for its end; "exit N" ends it at once.
THUMB = '''echo "$PLATOON_OWNER|$PLATOON_ARGUMENT" >> {dir}/told
case "$PLATOON_ARGUMENT" in exit*) exit ${{PLATOON_ARGUMENT#exit }};; esac
exec sleep 1000
'''


class Family(Actors):
    """boss may start thumb, actor, broken and slow; b stands beside it."""

    def __init__(self, platoon, more="", behind=""):
        self.platoon = platoon
        (platoon.dir / "actor.py").write_text(ACTOR)
        (platoon.dir / "thumb.sh").write_text(THUMB.format(dir=platoon.dir))
        actor = f"/usr/bin/python3 {platoon.dir}/actor.py json {platoon.dir}"
        self.text = f'''platoon {{ runtime_dir = run  state_dir = state  backoff_min = 20ms }}
            supervisor site {{ children = "boss b thumb pet broken slow {behind}"  strategy = rest_for_one }}
            program boss {{ command = "{actor}/a.out x"  port = json  ready = actor  may_start = "thumb pet broken slow"  may_start_max = 3 }}
            program b {{ command = "{actor}/b.out x"  port = json  ready = actor }}
            program thumb {{ command = "sh {platoon.dir}/thumb.sh"  processes = 0 }}
            program pet {{ command = "{actor}/pet.out x"  port = json  ready = actor  processes = 0  may_start = thumb }}
            program broken {{ command = "/nonexistent/program"  processes = 0 }}
            program slow {{ command = "sleep 1000"  ready = "unix:/nonexistent/socket"  processes = 0 }}
            {more}'''
        platoon.config_path.write_text(self.text)
        platoon.start()

    def order(self, who, *actions):
        super().order({"a": "site/boss", "b": "site/b"}.get(who, who), *actions)

    def start(self, program, id="1", **more):
        self.order("a", {"do": "start", "program": program, "id": id, **more})
        return self.wait("a", "started", id=id)[0]

    def children(self):
        return {name: node for name, node in self.platoon.workers().items() if name.startswith("site/boss.1/")}

    def gone(self):
        wait_until(lambda: not self.children(), 10, "the end of the children")


@pytest.fixture
def family(platoon):
    return Family(platoon)


def test_a_child_is_started_told_shown_and_its_end_is_heard_once(family):
    told = family.start("thumb", argument="a b'c")
    assert told["name"] == "site/boss.1/thumb.1" and told["generation"] > 0, told
    up = family.wait("a", "up", name=told["name"])
    assert [(e["type"], e["generation"]) for e in up] == [("command", told["generation"])]
    child = family.children()[told["name"]]
    assert child["state"] == "READY" and child["restarts"] == 0
    file = family.platoon.dir / "told"
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"), 10, "the child's first line")
    assert file.read_text() == "site/boss.1|a b'c\n"
    tree = family.platoon.ctl("tree").stdout
    lines = [line for line in tree.splitlines() if "boss.1" in line or "thumb.1" in line]
    assert len(lines) == 2 and lines[1].index("thumb.1") > lines[0].index("boss.1"), tree
    os.kill(child["pid"], signal.SIGKILL)
    down = family.wait("a", "down", name=told["name"])
    assert [(e["generation"], e["orderly"]) for e in down] == [(told["generation"], False)] and "SIGKILL" in down[0]["reason"], down
    family.gone()
    again = family.start("thumb", id="2", argument="exit 0")
    assert again["name"] == told["name"] and again["generation"] > told["generation"], "a name is used again, a generation is not"
    down = family.wait("a", "down", name=told["name"], generation=again["generation"])
    assert [e["orderly"] for e in down] == [True]
    family.gone()
    assert family.platoon.pid_of("site/b.1"), "its neighbours know nothing of it"
    assert all(node["restarts"] == 0 for node in family.platoon.workers().values())


def test_what_cannot_be_had_is_refused_with_the_reason(family):
    def refused(program, who="a", **more):
        family.order(who, {"do": "start", "program": program, "id": program + str(more), **more})
        return family.wait(who if len(who) == 1 else "pet", "started", id=program + str(more))[0]["error"]
    assert "site/boss.1 may not start 'boss': name it in may_start of program boss" in refused("boss")
    assert "may not start 'nobody'" in refused("nobody")
    assert "site/b.1 may not start 'thumb'" in refused("thumb", "b")
    family.order("a", {"do": "start", "program": "thumb", "id": "x", "argument": "y" * 4097})
    assert "4096 bytes" in family.wait("a", "error")[0]["text"]
    pet = family.start("pet", id="p")["name"]
    assert family.wait("pet", "hello")[0]["owner"] == "site/boss.1"
    wait_until(lambda: family.platoon.workers()[pet]["state"] == "READY", 10, "it to take orders")  # it says hello first
    family.order(pet[:-2], {"do": "start", "program": "thumb", "id": "grandchild"})
    assert "is a temporary child itself" in family.wait("pet", "started")[0]["error"]
    for i in range(2):
        assert "error" not in family.start("thumb", id=f"t{i}")
    assert "site/boss.1 has 3 children: raise may_start_max of program boss" in refused("thumb", argument="one more")
    scaled = family.platoon.ctl("scale", "site/boss.1/thumb", "5")
    assert scaled.returncode != 0, scaled


def test_a_thousand_refusals_are_a_few_lines(family):
    """Each is answered; the log counts them."""
    began = time.monotonic()
    family.order("a", *({"do": "start", "program": "nobody", "id": str(i)} for i in range(1000)))
    wait_until(lambda: len(family.heard("a", "started")) == 1000, 20, "every answer")
    seconds = int(time.monotonic() - began) + 2
    lines = [line for line in family.platoon.log().splitlines() if "child-refused" in line]
    assert "count=1" in lines[0] and len(lines) <= seconds, lines


def test_an_argument_with_a_nul_is_refused(platoon):
    (platoon.dir / "nul.sh").write_text(f'''read hello
        echo '{{"do":"start","program":"thumb","id":"1","argument":"a\\u0000b"}}'
        read answer; echo "$answer" > {platoon.dir}/heard; cat''')
    Family(platoon, f'program nul {{ command = "bash {platoon.dir}/nul.sh"  port = json  may_start = thumb }}')
    heard = platoon.dir / "heard"
    wait_until(lambda: heard.exists() and heard.read_text().endswith("\n"), 10, "the answer")
    assert "has a NUL in it" in json.loads(heard.read_text())["error"]


def test_one_that_cannot_run_is_told_down_though_it_never_was_up(family):
    told = family.start("broken")
    down = family.wait("a", "down", name=told["name"])
    assert len(down) == 1 and down[0]["generation"] == told["generation"] and "/nonexistent/program" in down[0]["reason"], down
    assert not family.heard("a", "up") or all(e["name"] != told["name"] for e in family.heard("a", "up"))
    family.gone()


def test_children_end_with_their_owner_and_by_its_word(family):
    pids = []
    for i in range(3):
        name = family.start("thumb", id=f"t{i}")["name"]
        family.wait("a", "up", name=name)
        pids.append(family.children()[name]["pid"])
    family.order("a", {"do": "stop", "name": "site/boss.1/thumb.2"}, {"do": "stop", "name": "site/b.1"}, {"do": "stop", "name": "nobody"})
    assert family.wait("a", "down", name="site/boss.1/thumb.2")
    wait_until(lambda: len(family.children()) == 2, 10, "the end of one of three")
    assert family.platoon.workers()["site/b.1"]["state"] == "READY", "only its own children are its to stop"
    assert family.start("thumb", id="again")["name"] == "site/boss.1/thumb.2", "the free number"
    family.wait("a", "up", count=2, name="site/boss.1/thumb.2")
    pids = [child["pid"] for child in family.children().values()]
    os.kill(family.platoon.pid_of("site/boss.1"), signal.SIGKILL)
    wait_until(lambda: not any(map(alive, pids)), 10, "the children's end")
    family.gone()
    assert family.platoon.ctl("--timeout", "60s", "wait", "ready").returncode == 0
    assert family.platoon.workers()["site/boss.1"]["generation"] == 2
    assert "error" not in family.start("thumb", id="new")


def test_nobody_waits_for_a_child(family):
    """site is rest_for_one: whoever stands behind one that is not ready would not be started."""
    name = family.start("slow")["name"]
    wait_until(lambda: family.children()[name]["state"] == "STARTING", 10, "a child that never gets ready")
    assert family.platoon.ctl("status").returncode == 0
    assert family.platoon.ctl("--timeout", "60s", "wait", "site", "ready").returncode == 0
    neighbour = family.platoon.workers()["site/b.1"]
    os.kill(neighbour["pid"], signal.SIGKILL)
    family.platoon.replaced(neighbour)
    assert family.children()[name]["state"] == "STARTING" and family.children()[name]["generation"] == 1
    assert family.platoon.ctl("--timeout", "60s", "restart", "site").returncode == 0
    family.gone()


def test_a_branch_is_rolled_and_drawn_with_children(family):
    names = [family.start("thumb", id=str(i))["name"] for i in range(2)]
    for name in names:
        family.wait("a", "up", name=name)
    dot = family.platoon.ctl("graph").stdout
    assert all(f'"{name}" [label=' in dot for name in names), dot
    done = family.platoon.ctl("--timeout", "60s", "restart", "site", "--rolling")
    assert done.returncode == 0, done
    family.gone()
    assert {name: node["generation"] for name, node in family.platoon.workers().items()} == {"site/boss.1": 2, "site/b.1": 2}


# Is told to stop, says so, and waits to be let go.
SLOW = """
import signal, sys
def stop(number, frame):
    open(sys.argv[1] + "/stopping", "w").close()
    open(sys.argv[1] + "/go").read()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
while True: signal.pause()
"""


def test_who_is_to_stop_gets_no_children(platoon):
    """slowly stands behind boss, which waits for it to be gone, READY as before: a child then would be started into a branch that comes down."""
    os.mkfifo(platoon.dir / "go")
    (platoon.dir / "slow.py").write_text(SLOW)
    family = Family(platoon, f'program slowly {{ command = "/usr/bin/python3 {platoon.dir}/slow.py {platoon.dir}"  ready = "log:up" }}', "slowly")
    stop = subprocess.Popen([str(platoon.build / "platoonctl"), "-s", str(platoon.dir / "run/control.sock"), "--timeout", "30s", "stop", "site"])
    try:
        wait_until(lambda: (platoon.dir / "stopping").exists(), 10, "slowly on its way down")
        assert platoon.workers()["site/boss.1"]["state"] == "READY"
        assert "site/boss.1 is to stop: it can have no more children" in family.start("thumb")["error"]
        assert not family.children()
        (platoon.dir / "go").write_text("")
        assert stop.wait(30) == 0
    finally:
        stop.kill()
        stop.wait()
    assert {node["state"] for node in platoon.workers().values()} == {"STOPPED"} and platoon.tree()["wanted"] == "up"


def test_a_reload_leaves_children_alone_unless_their_owner_is_restarted(family):
    name = family.start("thumb")["name"]
    family.wait("a", "up", name=name)
    pid = family.children()[name]["pid"]
    plan = json.loads(family.platoon.ctl("--json", "reload", "--dry-run").stdout)
    assert not any("thumb" in str(change) for change in plan), plan
    family.platoon.config_path.write_text(family.text + 'program more { command = "sleep 1000" }')
    assert family.platoon.ctl("reload").returncode == 0
    assert family.platoon.ctl("scale", "site/b", "2").returncode == 0
    assert family.platoon.ctl("--timeout", "60s", "wait", "ready").returncode == 0
    assert family.children()[name]["pid"] == pid
    family.platoon.config_path.write_text(family.text.replace("may_start_max = 3", 'may_start_max = 3  settings = "x=1"'))
    assert family.platoon.ctl("reload").returncode == 0
    family.gone()
    assert family.platoon.ctl("--timeout", "60s", "wait", "ready").returncode == 0


def test_an_upgrade_takes_children_along(family):
    name = family.start("thumb", argument="told once")["name"]
    family.wait("a", "up", name=name)
    told = family.platoon.dir / "told"
    wait_until(lambda: told.exists() and "told once\n" in told.read_text(), 10, "the child's first line")
    before = family.children()[name]
    done = family.platoon.ctl("--timeout", "60s", "upgrade")
    assert done.returncode == 0, done
    assert family.platoon.ctl("--timeout", "60s", "wait", "ready").returncode == 0
    after = family.children()[name]
    assert (after["pid"], after["generation"], after["state"]) == (before["pid"], before["generation"], "READY")
    assert told.read_text().count("told once") == 1
    os.kill(after["pid"], signal.SIGKILL)
    assert len(family.wait("a", "down", name=name)) == 1
    family.gone()
    # No child is there now: its generation is not to be used again either.
    assert family.platoon.ctl("--timeout", "60s", "upgrade").returncode == 0
    assert family.platoon.ctl("--timeout", "60s", "wait", "ready").returncode == 0
    assert family.start("thumb", id="after")["generation"] > before["generation"]


def test_two_hundred_in_turn_leave_nothing_behind(family):
    """Names, reports and memory stay as few as there are children at once."""
    count = 200
    family.order("a", *[{"do": "start", "program": "thumb", "id": str(i), "argument": "exit 1"} for i in range(3)])
    for i in range(3, count):
        family.wait("a", "started", count=i)
        wait_until(lambda: len([e for e in family.heard("a", "down")]) + 2 >= len(family.heard("a", "started")), 10, "room for one more")
        wait_until(lambda: len(family.children()) < 3, 10, "room in the tree")
        family.order("a", {"do": "start", "program": "thumb", "id": str(i), "argument": "exit 1"})
    wait_until(lambda: len(family.heard("a", "down")) == count, 20, "the last DOWN")
    assert all("error" not in e for e in family.heard("a", "started"))
    assert len({(e["name"], e["generation"]) for e in family.heard("a", "down")}) == count, "each once"
    assert {e["name"] for e in family.heard("a", "down")} <= {f"site/boss.1/thumb.{n}" for n in (1, 2, 3)}
    family.gone()


def test_the_configuration_is_checked(platoon):
    def check(text):
        platoon.config_path.write_text("platoon { runtime_dir = run  state_dir = state }\n" + text)
        return subprocess.run([str(platoon.build / "platoon"), "-c", str(platoon.config_path), "--check"], capture_output=True, text=True, timeout=30)
    done = check('program a { command = "cat"  port = json  may_start = "thum" }\nprogram thumb { command = "true"  processes = 0 }')
    assert done.returncode == 78 and "may_start: there is no program named thum: did you mean thumb?" in done.stderr, done
    done = check('program a { command = "sleep 9"  may_start = b }\nprogram b { command = "true"  processes = 0 }')
    assert done.returncode == 78 and "only a worker = true, or a port, can ask for children" in done.stderr, done
    assert check('program a { command = "cat"  port = json  may_start = b }\nprogram b { command = "true"  processes = 0 }').returncode == 0
