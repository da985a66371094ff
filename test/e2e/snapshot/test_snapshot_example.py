"""etc/examples/plan as its configuration has people try it."""
import shutil

from platoon_fixture import ROOT
from test_snapshot_runs import settle

PLAN = b"""task\twho\tstart\tfinish
foundation\tmaria\t2026-11-30\t2026-12-04
walls\tsven\t2026-12-03\t2026-12-09
roof\tmaria\t2026-12-08\t2026-12-10
windows\tsven\t2026-12-10\t2026-12-11
"""


def test_the_plan(store):
    folder = store.platoon.dir
    for path in (ROOT / "etc/examples/plan").iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    store.platoon.config_path.write_text((folder / "platoon.conf").read_text())
    store.platoon.start()
    settle(store)
    assert store.get("plan") == PLAN
    (folder / "work.tsv").write_text((folder / "work.tsv").read_text() + "paint\tmaria\t3\n")
    assert store.ctl("snapshot", "run", "work-file").returncode == 0
    settle(store)
    assert store.get("plan") == PLAN + b"paint\tmaria\t2026-12-11\t2026-12-15\n"
    assert len(store.json("log", "plan")) == 2 and "paint" in store.git("log", "-p", "-1", "main", "--", "plan.tsv")
    (folder / "staff.tsv").write_text("maria\t2026-11-30\nsven\n")
    assert store.ctl("snapshot", "run", "staff-file").returncode == 0
    said = settle(store, 1)
    assert "staff is failed: exit 1: line 2: 1 fields, it must have 2" in said and "plan is held: waits for staff, which failed" in said
    (folder / "staff.tsv").write_text("maria\t2026-11-30\n")
    assert store.ctl("snapshot", "run", "staff-file").returncode == 0
    assert "plan is failed: exit 1: walls: sven is not in staff" in settle(store, 1)
