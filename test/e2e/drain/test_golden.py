"""Users see what they saw before the tree was divided into rooms: what this build shows against what 06119dc showed (test/golden/record).

Compared as sets where order may change: lines and blocks of help, lines of a section; settings as maps. A worker shows counters of its own type only
from some day on, so its recorded ones must be there and none that 06119dc did not know. Frames: test/unit/drain/test_golden.c.
"""
import difflib
import json
import re
import shlex
import subprocess
import sys

import pytest
from platoon_fixture import ASAN, BUILD, ROOT

sys.path.insert(0, str(ROOT / "test/golden"))
import recordings  # noqa: E402
from recordings import GAUGES, GROWING, HERE, read_help, stored, text_of, workers_in  # noqa: E402

LISTS = json.loads(subprocess.run([BUILD / "lists"], capture_output=True, check=True).stdout)
# Systems that came later, and what each brings: worker types and verbs. Whatever else changes is a change of what was there.
LATER = {entry["system"] for entry in LISTS["systems"]} - {"core", "health", "redis", "drain", "program"}
LATER_TYPES = {entry["type"] for entry in LISTS["types"] if entry["system"] in LATER}
# And the programs that their workers run.
LATER_TYPES |= {word for path in ROOT.glob("workers/**/libs.mk") for line in path.read_text().splitlines() if line.startswith("TOOLS +=")
                for word in line.split()[2:]}
LATER_GRAMMARS = tuple(entry["grammar"] for entry in LISTS["verbs"] if entry["system"] in LATER)
SYSTEMS = re.findall(r'#include "proto/(\w+)/\1\.h"', (ROOT / "proto/systems.h").read_text())
# What came on purpose after the recordings, each with the change that brought it. Nothing recorded may go.
ADDED = {
    # The lists of each system, which worker.h needs, and what stands beside PROTOCOL.md.
    "installed": {"usr/include/platoon/proto/systems.h", "usr/include/platoon/proto/absent_lists.h"}
    | {f"usr/include/platoon/proto/{s}/{s}.h" for s in SYSTEMS}
    | {f"usr/include/platoon/{path.relative_to(ROOT)}" for path in ROOT.glob("proto/*/*_calls.h")}
    | {f"usr/share/doc/platoon/{path.name}" for path in ROOT.glob("proto/*/*.md")}
    | {f"usr/share/platoon/redis/{path.name}" for path in (BUILD / "share/redis").glob("*.lua")}
    | {f"usr/share/platoon/python/{path.relative_to(folder)}" for folder in ROOT.glob("workers/*/python") for path in folder.glob("**/*.py")}
    | {f"usr/libexec/platoon/{name}" for name in LATER_TYPES},
    # Blocks, as (command, heading, text).
    "help": {("platoonctl --help", "Exit status:", "3  `status`: something is wrong, as its answer says"),
             ("platoonctl --help", "Exit status:", "75  not now (TRYAGAIN): the same may go later; `cache get`: the object could not be read")},
    "needed": {},        # program: libraries, without version
    "node": {"deaths", "unstable"},
    # Gauges are there while they are 0 too, also those that warn.
    "counters": {"polls", "redis_evicts", "redis_forgets", "redis_memory_short", "redis_replica", "redis_unseen"},
}
# Members of JSON objects and settings that came so. The server's lock and last words, what may break a promise, the password at its port; that mailboxes' frames
# may be proven; how long who does nothing may be silent. The section
# web, which every file has.
NEW_MEMBERS = {"web", "command.lock", "command.reason", "warnings", "command.argv.27", "command.argv.28", "redis.sentinel_password_file", "platoon.proofs", "platoon.rest",
               # Of stores of objects, which a drain does not name.
               "store.region", "store.credentials_file", "store.style", "store.conditional"}
NEW_LINES = {'sentinel_password_file = ""', 'region = "us-east-1"', 'credentials_file = ""', "style = path", "conditional = true", 'takes = ""', "window = 1", 'listens = ""'}  # of --print-config: keys with their defaults
NEW_VALUES = {("redis.password_file", "@DIR@/state/redis-near/password"): ""}
# What reads otherwise on purpose, as recorded and as it is now.
CHANGED = {
    # What a query holds beyond where and how may be a secret, and is not shown.
    'key_service = "https://keys.example/visit?v=1"': 'key_service = "https://keys.example/visit?v=***"',
    # The end of a program is told in its own words: what its worker's exit code is concerns nobody (issue 12, Supervision).
    "exit 0 (finished on purpose) after @MEASURED@, @MEASURED@: true: exit 0 after @MEASURED@": "exited 0 after @MEASURED@, @MEASURED@",
    # Orders to stop come in pairs, and the log files are more than one.
    "Signals: TERM, INT stop everything in order; a second one forces. HUP reads FILE again;":
        "Signals: TERM, INT stop everything in order; a second one, a second later, or a third forces.",
    # Caches wait for their stores, queues for their consumers, jobs for their ends.
    "and shutdown, 1h for `wait` and `drain wait`, 5s for everything else.":
        "and shutdown, 1h for `wait`, `drain wait`, `cache dump`, `cache wait`, `queue wait`, `job run`, `job wait`, `snapshot run`, `snapshot whatif`, `snapshot wait` and `snapshot pack`, 5s for everything else.",
    "USR2 opens the log file anew.": "HUP reads FILE again; USR2 opens the log files anew.",
}
# The sanitizers' own libraries, and what they bring along.
SANITIZERS = {"libasan", "libubsan", "libtsan", "libstdc++", "libm", "libgcc_s", "libdl", "librt", "libpthread"}


def changed(then):
    """The recording with what reads otherwise on purpose put in its place."""
    if isinstance(then, dict):
        return {key: changed(value) for key, value in then.items()}
    if isinstance(then, (list, tuple)):
        return type(then)(changed(value) for value in then)
    return CHANGED.get(then, then) if isinstance(then, str) else then


def is_new(key):
    """Also where it is one of all sections' of its kind: store/visits.region."""
    return re.sub(r"/[^.]*", "", key) in NEW_MEMBERS


def without_new(then, now):
    """What there is now, without the members and lines that came on purpose."""
    if isinstance(then, dict) and isinstance(now, dict):
        return {key: NEW_VALUES.get((key, str(value)), without_new(then.get(key), value))
                for key, value in now.items() if key in then or not is_new(key)}
    if isinstance(then, list) and isinstance(now, list):
        now = [line for line in now if not isinstance(line, str) or line not in NEW_LINES]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [without_new(*pair) for pair in zip(then, now)]
    return now


def same(what, then, now):
    """Fails with the lines that differ: - recorded, + now."""
    then = changed(then)
    now = without_new(then, now)
    if then != now:
        lines = difflib.unified_diff(text_of(then).splitlines(), text_of(now).splitlines(), "recorded", "now", lineterm="", n=4)
        pytest.fail(f"{what} is not as 06119dc showed it:\n" + "\n".join(lines), pytrace=False)


@pytest.mark.parametrize("config", recordings.CONFIGS)
def test_each_worker_is_told_the_same(config):
    then = stored(f"settings/{config}.json")
    same(f"what workers are told by {config}.conf", then, recordings.take_settings(BUILD, config))


def masked(line):
    """--print-config shows no value of these any more: passwords stand there (issue 12)."""
    key, _, value = line.partition(" = ")
    if key not in ("environment", "settings") or value == '""':
        return line
    return f'{key} = "{" ".join(word.partition("=")[0] + "=***" for word in shlex.split(value[1:-1]))}"'


@pytest.mark.parametrize("config", recordings.CONFIGS)
def test_old_files_mean_the_same(config):
    then = {section: sorted(map(masked, lines)) for section, lines in stored("effective.json")[config].items()}
    same(f"{config}.conf as --print-config has it", then,
         recordings.take_effective(BUILD, (HERE / f"configs/{config}.conf").read_text()))


def test_the_sample_still_shows_every_key_and_default():
    now = recordings.take_effective(BUILD, (ROOT / "etc/platoon.conf").read_text())
    for section, lines in stored("effective.json")["sample"].items():
        same(f"{section} of etc/platoon.conf", lines, [line for line in now.get(section, []) if line in lines])


def blocks(lines):
    """(heading, text): a line, with those below it that are indented deeper and are no option of their own."""
    found, heading, base = [], "", 0
    for line in filter(str.strip, lines):
        indent = len(line) - len(line.lstrip())
        if indent == 0:
            heading = line if line.endswith(":") else ""
        if indent > base > 0 and not line.lstrip().startswith("-"):
            found[-1] = (found[-1][0], found[-1][1] + " / " + line.strip())
        else:
            found.append((heading, line.strip()))
            base = indent
    return found


def test_help_holds_the_same_lines():
    then = {(name, *block) for name, lines in read_help((HERE / "help.txt").read_text()).items() for block in blocks(lines)}
    now = {(name, *block) for name, lines in recordings.take_help(BUILD).items() for block in blocks(lines)}
    now = {block for block in now if not block[2].startswith(LATER_GRAMMARS)}
    same("--help", sorted(changed(list(then))), sorted(now - ADDED["help"]))


# ---- a running tree ----

@pytest.fixture(scope="module")
def running():
    recorded = stored("tree.json")["tree"]
    return recordings.take_running(BUILD, {name: node["counters"] for name, node in workers_in(recorded).items() if node["kind"] == "worker"})


def without_counters(node):
    return {**{key: value for key, value in node.items() if key not in {"counters", "children"} | ADDED["node"]}, "children": list(map(without_counters, node["children"]))}


@pytest.mark.parametrize("shown", ["tree", "status", "status site/web.1"])
def test_the_tree_in_json(running, shown):
    then, now = stored("tree.json")[shown], running[shown]
    if then.get("problems") == ["once.1 is stopped: platoonctl start once.1"]:
        then = {**then, "problems": [], "ready": True}  # it has finished on purpose
    same(f"--json {shown}", without_counters(then), without_counters(now))
    nodes = workers_in(now)
    for name, node in workers_in(then).items():
        counters = nodes[name]["counters"]
        same(f"recorded counters of {name}", node["counters"], {key: value for key, value in counters.items() if key in node["counters"]})
        assert set(counters) <= GROWING | GAUGES | ADDED["counters"] and set(counters.values()) <= {"@INTEGER@"}, (name, counters)


@pytest.mark.parametrize("shown", ["drain status", "version"])
def test_other_answers_in_json(running, shown):
    same(f"--json {shown}", stored("tree.json")[shown], running[shown])


def test_metrics_have_the_same_names(running):
    then = (HERE / "metrics.txt").read_text().splitlines()
    same("/metrics", then, [line for line in running["metrics"] if line in then])


def test_an_upgrade_hands_over_the_same(running):
    same("an upgrade's state", stored("upgrade_state.json"), running["state"])


# ---- what a build consists of ----

def names(libraries):
    """Without versions: those are the host's, and so is the name of msgpack-c's file (libmsgpackc before 6.0)."""
    return {re.sub(r"\.so.*", "", library).replace("libmsgpackc", "libmsgpack-c") for library in libraries}


def test_programs_are_linked_with_the_same():
    then, now = stored("needed.json"), recordings.take_needed(BUILD)
    then = {program: names(libraries) | ADDED["needed"].get(program, set()) for program, libraries in then.items()}
    foreign = SANITIZERS if ASAN else set()
    same("NEEDED", {program: sorted(libraries) for program, libraries in then.items()},
         {program: sorted(names(libraries) - (foreign - then.get(program, set()))) for program, libraries in now.items() if program not in LATER_TYPES})


def test_the_same_files_are_installed(tmp_path):
    then = set((HERE / "installed.txt").read_text().splitlines())
    same("make install", sorted(then | ADDED["installed"]), recordings.take_installed(BUILD, tmp_path))
