"""/metrics has each number of snapshots under its name, with promtool's blessing."""
import subprocess

from health_client import get, samples
from platoon_fixture import wait_until
from test_snapshot_runs import settle

STORE, KEEPER = '{worker="snapshot/plan/store",type="snapshot"}', '{worker="snapshot/plan/keeper",type="snapshot-keeper"}'


def test_monitoring(store):
    text = store.text({"work": {}, "made": {"inputs": "work", "command": "cat"}, "bad": {"inputs": "work", "command": "false", "retry_min": "1h", "retry_max": "1h"},
                       "held": {"inputs": "bad", "command": "cat"}})
    store.platoon.config_path.write_text(text.replace("state_dir = state", f'state_dir = state  health = "unix:{store.platoon.dir}/h.sock"'))
    store.platoon.start()
    store.put("work", b"1\n")
    store.put("work", b"1\n")
    settle(store, 1)
    assert store.ctl("snapshot", "put", "work", data=b"").returncode == 1
    given = store.platoon.dir / "given"
    given.write_bytes(b"2\n")
    assert store.ctl("snapshot", "whatif", "made", "--with", f"work={given}").stdout == b"2\n"
    wanted = {f"snapshot_commits_total{STORE}": 2, f"snapshot_unchanged_total{STORE}": 1, f"snapshot_failed_runs_total{STORE}": 1, f"snapshot_refused_total{STORE}": 1,
              f"snapshot_whatifs_total{STORE}": 1, f"snapshot_seq{STORE}": 2, f"snapshot_held{STORE}": 1, f"snapshot_loose_objects{KEEPER}": 5}  # 2 commits, 2 trees, 1 blob

    def told():
        values = samples(get(store.platoon, "/metrics")[1])
        return {name: values.get(f"platoon_{name}") for name in wanted}
    wait_until(lambda: told() == wanted, 60, lambda: f"{wanted}; it tells {told()}")
    assert store.ctl("snapshot", "pack", "plan").returncode == 0
    wait_until(lambda: samples(get(store.platoon, "/metrics")[1]).get(f"platoon_snapshot_packs{KEEPER}") == 1, 60, "the pack")
    assert samples(get(store.platoon, "/metrics")[1])[f"platoon_snapshot_store_bytes{KEEPER}"] > 0
    checked = subprocess.run(["promtool", "check", "metrics"], input=get(store.platoon, "/metrics")[1], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
