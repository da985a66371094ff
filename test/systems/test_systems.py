"""A system is its folders and its two lines of proto/systems.h: echo is added to a copy of the tree, and drain is taken out of another, and nothing
else is touched but by `make docs`. Both copies build and lint; the one has echo everywhere, the other's core is whole without a drain.

Run by `make check-systems`, which takes minutes: of both, half is compiled and all is linted. Not part of test/e2e, because it is about the tree and not about one platoon.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ECHO = ROOT / "test/systems/echo"
ENV = {**os.environ, "BUILD": "build", "MAKEFLAGS": ""}
INCLUDE = '#include "proto/program/program.h"\n'
LINE = "    SYSTEM(program, PROGRAM_##LIST(X))"


def copy_of_the_tree(where):
    """What git would commit of it, without the example, and the objects it has been compiled to: make compiles what the change touches. Archives and programs are
    made anew, so that none has what is no longer there."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in map(os.fsdecode, names.split(b"\0")[:-1]):
        if (ROOT / name).exists() and not name.startswith("test/systems/echo/"):
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, where / name, follow_symlinks=False)
    for objects in ("build/obj", "build/faults/obj"):
        if (ROOT / objects).is_dir():
            shutil.copytree(ROOT / objects, where / objects, ignore=shutil.ignore_patterns("echo"))
    # check-systems lints by what git tracks.
    subprocess.run(["git", "init", "-q"], cwd=where, check=True)
    subprocess.run(["git", "add", "-A"], cwd=where, check=True)
    return where


def make(tree, *targets, seconds=1800):
    done = subprocess.run(["make", f"-j{os.cpu_count()}", *targets], cwd=tree, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds)
    assert done.returncode == 0, f"make {' '.join(targets)}:\n{done.stdout[-8000:]}"
    return done.stdout


def run_tests(tree, *words):
    """All unit suites, and a share of the end-to-end suites: each of them has passed in the whole tree."""
    seed = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    done = subprocess.run(["scripts/lib/run-tests", *words], cwd=tree, env={**ENV, "SHARE": "3", "SHARE_SEED": seed}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout


def systems_h(tree, change):
    path = tree / "proto/systems.h"
    path.write_text(change(path.read_text()))


@pytest.fixture(scope="module")
def places():
    """Makes folders that other users may enter, as pytest's own are not: some tests run programs as nobody."""
    made = []

    def make_place(name):
        made.append(pathlib.Path(tempfile.mkdtemp(prefix=name, dir="/tmp")))
        made[-1].chmod(0o755)
        return made[-1]
    yield make_place
    for place in made:
        shutil.rmtree(place)


@pytest.fixture(scope="module")
def with_echo(places):
    tree = copy_of_the_tree(places("echo"))
    shutil.copytree(ECHO, tree, dirs_exist_ok=True)
    systems_h(tree, lambda text: text.replace(INCLUDE, '#include "proto/echo/echo.h"\n' + INCLUDE).replace(
        LINE, "    SYSTEM(echo, ECHO_##LIST(X)) \\\n" + LINE))
    make(tree, "docs")
    make(tree, "all", "unit", "faults")
    return tree


@pytest.fixture(scope="module")
def without_drain(places):
    tree = copy_of_the_tree(places("core"))
    for folder in [path for path in tree.rglob("drain") if path.is_dir() and ".git" not in path.parts]:
        shutil.rmtree(folder)
    systems_h(tree, lambda text: re.sub(r"(?m)^.*(proto/drain/drain\.h|SYSTEM\(drain,).*\n", "", text))
    make(tree, "docs")
    make(tree, "all", "unit", "faults")
    return tree


class Running:
    """A platoon of that tree in a folder of its own."""

    def __init__(self, tree, where, text):
        self.tree, self.where = tree, where
        self.conf = where / "platoon.conf"
        self.conf.write_text(f"platoon {{ runtime_dir = {where}/run  state_dir = {where}/state  health = \"unix:{where}/h.sock\" }}\n" + text)
        with (where / "log").open("wb") as log:
            self.process = subprocess.Popen([tree / "build/platoon", "-c", self.conf], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while self.ctl("wait", "ready").returncode != 0:
            assert time.monotonic() < deadline and self.process.poll() is None, (where / "log").read_text()
            time.sleep(0.05)

    def ctl(self, *words):
        return subprocess.run([self.tree / "build/platoonctl", "-c", self.conf, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def end(self):
        self.ctl("shutdown")
        assert self.process.wait(timeout=60) == 0


@pytest.fixture
def parrots(with_echo, tmp_path):
    platoon = Running(with_echo, tmp_path, 'redis main { url = embedded }\necho parrot { suffix = "!"  workers = 2 }\n')
    yield platoon
    platoon.end()


# ---- echo ----

def test_echo_lints(with_echo):
    assert "lint: all ok" in make(with_echo, "lint")


def test_echo_runs_and_answers(parrots):
    said = json.loads(parrots.ctl("--json", "echo", "say", "parrot", "hello").stdout)
    assert said == {"said": "hello!", "count": 1}
    assert parrots.ctl("echo", "say", "parrot", "again").stdout == "again! (2 so far)\n"
    wrong = parrots.ctl("echo", "say", "parot", "hello")
    assert wrong.returncode == 5 and "no echo named 'parot': did you mean 'parrot'?" in wrong.stderr
    tree = parrots.ctl("tree").stdout
    assert re.search(r"└── echo/ .*\n +└── parrot/ .*\n +├── echo\.1 .*\n +└── echo\.2 ", tree), tree


def test_echo_counts(parrots):
    parrots.ctl("echo", "say", "parrot", "hello")
    deadline = time.monotonic() + 30
    while True:
        metrics = subprocess.run(["curl", "-sf", "--unix-socket", parrots.where / "h.sock", "http://x/metrics"], capture_output=True, text=True, timeout=30).stdout
        if re.search(r'platoon_echoes_total\{worker="echo/parrot/echo\.\d",type="echo"\} 1\n', metrics) and re.search(r"platoon_heard_total\{.*\} 1\n", metrics):
            break
        assert time.monotonic() < deadline, metrics
        time.sleep(0.1)
    assert "# HELP platoon_echoes_total texts said again\n# TYPE platoon_echoes_total counter\n" in metrics


def test_groups_of_one_title_and_two_kinds_are_strangers(with_echo, tmp_path):
    """An echo section named as a drain: echo tells its peers each text, and a drain's worker would reject it."""
    platoon = Running(with_echo, tmp_path, 'redis main { url = embedded }\necho visits { workers = 2 }\n'
                      f'store s {{ path = "{tmp_path}/s.db" }}\ndrain visits {{ set = "a"  store = s }}\n')
    try:
        assert platoon.ctl("echo", "say", "visits", "hello").returncode == 0
        deadline = time.monotonic() + 30
        while True:
            workers = {}
            todo = [json.loads(platoon.ctl("--json", "tree").stdout)]
            while todo:
                node = todo.pop()
                workers[node["name"]] = node
                todo += node["children"]
            if sum(workers[f"echo/visits/echo.{n}"]["counters"].get("heard_total", 0) for n in (1, 2)) == 1:
                break
            assert time.monotonic() < deadline, workers
            time.sleep(0.1)
        assert {n for n, w in workers.items() if w["counters"].get("messages_rejected_total")} == set()
        assert all(w["counters"].get("messages_out_total", 0) <= 1 for n, w in workers.items() if n.startswith("echo/visits/echo"))
    finally:
        platoon.end()


def test_echo_is_scaled_reloaded_and_replaced(parrots):
    assert parrots.ctl("scale", "echo/parrot/echo", "3").returncode == 0
    assert parrots.ctl("status", "echo/parrot/echo.3").returncode == 0
    parrots.conf.write_text(parrots.conf.read_text().replace('suffix = "!"', 'suffix = "?"'))
    assert parrots.ctl("reload").returncode == 0
    assert parrots.ctl("echo", "say", "parrot", "well").stdout.startswith("well?")


@pytest.mark.parametrize("text, error", [
    ("echo parrot { redis = nain }", 'redis: there is no redis section named nain: did you mean main?'),
    ("echo parrot { sufix = x }", "sufix: no such key in a echo section: did you mean suffix?"),
    ('echo parrot { suffix = "a\\nb" }', "suffix: holds the end of a line: an echo is one line"),
    ("ecco parrot { }", "ecco: no such section: did you mean echo?"),
])
def test_a_wrong_section_is_refused_with_line_and_remedy(with_echo, tmp_path, text, error):
    conf = tmp_path / "platoon.conf"
    conf.write_text(f"redis main {{ url = embedded }}\n{text}\n")
    done = subprocess.run([with_echo / "build/platoon", "-c", conf, "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 78 and f"{conf}:2: {error}" in done.stderr


def test_echo_is_in_the_documents(with_echo):
    assert re.search(r"(?m)^echo parrot \{$", (with_echo / "etc/platoon.conf").read_text())
    assert ".Sh THE ECHO SECTION" in (with_echo / "etc/man/platoon.conf.5").read_text()
    assert re.search(r"(?m)^\.It Cm echo say ", (with_echo / "etc/man/platoonctl.1").read_text())
    assert "echoes_total" in (with_echo / "etc/man/platoon.8").read_text().replace("\\_", "_")
    text = subprocess.run([with_echo / "build/platoonctl", "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "  echo say NAME TEXT\n" in text
    complete = 'source "$1"; COMP_WORDS=(platoonctl echo ""); COMP_CWORD=2; _platoonctl; printf "%s\\n" "${COMPREPLY[@]}"'
    offered = subprocess.run(["bash", "-c", complete, "bash", with_echo / "etc/completion/platoonctl.bash"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert offered.split() == ["say"]


# ---- without drain ----

def test_the_core_lints_without_drain(without_drain):
    assert "lint: all ok" in make(without_drain, "lint")


def test_a_drain_section_is_unknown(without_drain, tmp_path):
    conf = tmp_path / "platoon.conf"
    conf.write_text('redis main { }\ndrain visits { set = "a"  store = s }\n')
    done = subprocess.run([without_drain / "build/platoon", "-c", conf, "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 78 and f"{conf}:2: drain: no such section" in done.stderr
    help_text = subprocess.run([without_drain / "build/platoonctl", "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "drain" not in help_text and "report NAME" not in help_text


def test_the_core_passes_its_tests_without_drain(without_drain):
    run_tests(without_drain, "unit", "core", "program", "health", "redis")
