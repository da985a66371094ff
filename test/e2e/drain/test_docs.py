"""make docs and the lint check behind it: a system's folder brings its text and takes it away, and what is wrong is named with its place.

Runs scripts/lib/docs and check-docs over a copy of the tree, with the lists of the build.
"""
import json
import os
import shutil
import subprocess

import pytest

from platoon_fixture import BUILD, ROOT

COPIED = ("common", "proto", "master", "workers", "scripts", "etc", "README.md", "Makefile")
WRITTEN = ("etc/platoon.conf", "etc/man/platoon.conf.5", "etc/man/platoonctl.1", "etc/man/platoon.8", "etc/completion/platoonctl.bash")


@pytest.fixture
def tree(tmp_path):
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "build").mkdir()
    shutil.copy(BUILD / "lists.json", tmp_path / "build")
    for name in ("platoon", "platoonctl"):
        (tmp_path / "build" / name).symlink_to(BUILD / name)
    return tmp_path


def run(tree, *command):
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, env={**os.environ, "BUILD": "build"}, timeout=60)


def change(path, what):
    text = path.read_text()
    if isinstance(what, str):
        path.write_text(text + what)
        return
    assert what[0] in text, f"{path}: {what[0]}"
    path.write_text(text.replace(*what, 1))


def lists(tree, made):
    path = tree / "build/lists.json"
    path.write_text(json.dumps(made(json.loads(path.read_text()))))


def test_the_tree_is_right(tree):
    done = run(tree, "scripts/lib/check-docs")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file, what, said", [
    ("proto/drain/drain.man", "\n== key drain.sett\nText.\n", "key drain.sett: in no list of proto/drain/drain.h: correct the name"),
    ("proto/drain/drain.man", "\n== option --json\nText.\n", "option --json: stands at proto/core/core.man:"),
    ("proto/drain/drain.man", "\n== verb redis\nText.\n", "verb redis: stands at proto/redis/redis.man:"),
    ("proto/drain/drain.man", "\n== type send\nText.\n", "type send: is of the system redis: move the block to proto/redis/redis.man"),
    ("proto/drain/drain.man", "\n== part platoonctl.1 nowhere\nText.\n", "part platoonctl.1 nowhere: no '@part' asks for it"),
    ("proto/drain/drain.man", "\n== nonsense x\nText.\n", "nonsense: no such kind of block"),
    ("proto/drain/drain.man", ("report\nNAME drain", "report\nNAMES drain"), "NAMES: is no word of the grammar 'report NAME"),
    ("proto/drain/drain.man", ("report\nNAME drain", "report\nNAME store"), "store: is no section whose workers have its title"),
    ("proto/core/core.man", ("@verbs LOOK", "@verb LOOK"), "'@verb LOOK': no such insert"),
    ("etc/platoon.conf", "# mine\n", "etc/platoon.conf: is not what the lists and the prose say now: run make docs"),
    ("etc/man/platoonctl.1", ("The dead letters of a drain.", "Letters."), "etc/man/platoonctl.1: is not what the lists"),
    ("etc/man/platoonctl.1", (".It Cm drain wait Ar NAME\n", ""), "etc/man/platoonctl.1: no entry '.It Cm drain wait'"),
    ("etc/man/platoon.conf.5", (".It Ic lease\n", ""), "drain.lease: no entry"),
    ("etc/completion/platoonctl.bash", ("'status dead wait'", "'status dead'"), "verb drain wait: not offered"),
    ("proto/drain/DRAIN.md", ("`dead-list`", "`dead-lists`"), "answers no 'dead-lists': it is in no system's ASKS"),
    ("proto/drain/DRAIN.md", ("`dead-list`", "`dead-lists`"), "proto/drain/drain.h: ASKS, watcher dead-list: stands in no table"),
    ("proto/link.h", ("PROTOCOL.md, Control socket", "PROTOCOL.md section" + " 6"), "name the part by its title: PROTOCOL.md, TITLE"),
    ("proto/link.h", ("PROTOCOL.md, Control socket", "PROTOCOL.md" + " 6"), "'PROTOCOL.md 6': name the part by its title"),
    ("proto/PROTOCOL.md", "As section" + " 4 says.\n", "'section" + " 4': name the part by its title"),
    ("common/base64.h", ("(DRAIN.md, Names)", "(DRAIN.md,\n * Wrong sheep)"), "DRAIN.md has no title 'Wrong sheep"),
    ("proto/contract.h", ("ARCHITECTURE, Master and worker", "ARCHITECTURE section" + " 3"), "name the part by its title"),
])
def test_what_is_wrong_is_named(tree, file, what, said):
    change(tree / file, what)
    done = run(tree, "scripts/lib/check-docs")
    assert done.returncode == 1
    line = next((line for line in done.stdout.splitlines() if said in line), None)
    assert line, done.stdout
    if file.endswith(".man") and "insert" not in said:
        assert line.startswith(f"{file}:"), line


def test_a_sample_that_is_no_configuration_fails(tree):
    change(tree / "proto/drain/drain.man", "\n== sample drain.lease\n7parsecs\n")
    assert run(tree, "scripts/lib/docs").returncode == 0
    assert "lease" in run(tree, "scripts/lib/check-docs").stdout


def test_a_system_without_prose_is_in_all_of_them(tree):
    def made(have):
        have["systems"].append({"system": "echo"})
        have["sections"].append({"system": "echo", "kind": "ECHO", "word": "echo", "heads": "TITLED", "what": "an echo",
                                 "example": 'echo hall { redis = main  walls { text = "stone = \\"grey\\"" } }'})
        for key, kind, preset, low, text in (("redis", "SECTION", "main", "CONFIG_REDIS", "where it listens"),
                                             ("walls.text", "STRING", "!", "0", "what")):
            have["keys"].append({"system": "echo", "kind": "ECHO", "key": key, "type": kind, "default": preset, "min": low, "max": "0",
                                 "reload": "RESTART", "help": text})
        have["types"].append({"system": "echo", "name": "ECHO", "type": "echo", "kind": "ECHO", "when": "ALWAYS", "runs": "ITSELF",
                              "path": "echo/%s", "workers_key": "1", "help": "answers"})
        have["verbs"].append({"system": "echo", "name": "ECHO", "words": "echo", "min": "1", "max": "VERB_MANY", "time": "ANSWER", "group": "ACT",
                              "grammar": "echo NAME loud|soft [WORD...] [--twice] [--from SPAN]", "help": "have a worker say it"})
        have["counters"].append({"system": "echo", "name": "ECHOES", "counter": "echoes_total", "kind": "COUNTER", "help": "answers given"})
        return have
    lists(tree, made)
    assert run(tree, "scripts/lib/docs").returncode == 0
    text = {name: (tree / name).read_text() for name in WRITTEN}
    assert 'echo hall {\n    # redis = "main"' in text["etc/platoon.conf"]
    assert '    walls {\n        text = "stone = \\"grey\\""' in text["etc/platoon.conf"]
    assert "Where it listens.\nTakes: title of a redis section; default: main;" in text["etc/man/platoon.conf.5"]
    head = ".It Cm echo Ar NAME Cm loud | soft Oo Ar WORD ... Oc Oo Fl -twice Oc Oo Fl -from Ar SPAN Oc"
    assert f"{head}\nHave a worker say it.\n" in text["etc/man/platoonctl.1"]
    assert ".Pa echo/ Ns Ar TITLE Ns Pa .1 ," in text["etc/man/platoon.8"]
    assert ".It Ic echoes_total\nAnswers given.\n" in text["etc/man/platoon.8"]
    assert "'echo '*) echo 'loud soft'" in text["etc/completion/platoonctl.bash"]
    said = run(tree, "scripts/lib/check-docs").stdout
    assert "platoonctl --help: 'echo' is missing" in said and "completion" not in said, said


def test_a_system_that_is_gone_has_taken_its_text_along(tree):
    lists(tree, lambda have: {name: [row for row in rows if row["system"] != "drain"] for name, rows in have.items()})
    for room in ("proto/drain", "workers/drain"):
        shutil.rmtree(tree / room)
    assert run(tree, "scripts/lib/docs").returncode == 0
    for name in WRITTEN:
        text = (tree / name).read_text()
        assert "drain" not in text and "get-hash" not in text, name
    done = run(tree, "scripts/lib/check-docs")
    assert done.returncode == 0, done.stdout
