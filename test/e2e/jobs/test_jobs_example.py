"""etc/examples/jobs.conf and its platforms as README.md has people try them, line by line."""
import os
import re
import shlex
import shutil
import subprocess

from platoon_fixture import ROOT

ID = re.compile(r"\d{8}T\d{12}-[a-z]+-[a-z_]+")
DATE = re.compile(r"\d{4}-\d\d-\d\d")


def session():
    """The lines of README.md that ask platoonctl, each with what it answers."""
    text = (ROOT / "README.md").read_text().split("\n## Jobs\n")[1].split("\n## ")[0].split("To try (")[1]
    said = re.findall(r"^    \$ (platoonctl .*)\n((?:    (?!\$ ).*\n)+)", text, re.M)
    return [(line, re.sub(r"^    ", "", answer, flags=re.M)) for line, answer in said]


def start(platoon):
    shutil.copytree(ROOT / "etc/examples/platforms", platoon.dir / "platforms")
    platoon.config_path.write_text((ROOT / "etc/examples/jobs.conf").read_text())
    platoon.start()


def run(platoon, words):
    environment = {**os.environ, "PATH": f"{platoon.build.resolve()}:{os.environ['PATH']}", "PLATOON_SOCKET": str(platoon.dir / "run/control.sock")}
    return subprocess.run(words, cwd=platoon.dir, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)


def test_the_session(platoon):
    start(platoon)
    lines = session()
    assert len(lines) == 3
    ids = {}  # as README.md has them, and as they are
    for said, answer in lines:
        done = run(platoon, shlex.split(ID.sub(lambda found: ids[found[0]], said)))
        assert done.returncode == 0, (said, done)
        for then, now in zip(ID.findall(answer), ID.findall(done.stdout)):
            ids.setdefault(then, now)
        for line in answer.splitlines():
            if line == "…":
                continue
            wanted = DATE.sub("DATE", ID.sub(lambda found: ids[found[0]], line))
            assert wanted.split() in [DATE.sub("DATE", now).split() for now in done.stdout.splitlines()], (wanted, done.stdout)


def test_each_platform_ends(platoon):
    start(platoon)
    asked = {"coin_is": ["date=yesterday", "coins=[1, 2.5]"], "folder_size": [f"folder={platoon.dir}"]}
    listed = {row["platform_id"] for row in platoon.json("job", "platforms")}
    assert listed == set(asked)
    for name, words in asked.items():
        job = platoon.json("job", "run", name, *words, "--wait")
        assert job["status"] == "finished" and job["result"], job
    assert job["meta"] == {"count": "started"}
    done = platoon.ctl("job", "run", "folder_size", "folder=/nonexistent", "--wait")
    assert done.returncode == 1 and re.search(r"^exit_code +78$", done.stdout, re.M)
