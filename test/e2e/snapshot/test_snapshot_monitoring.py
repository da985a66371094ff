"""/metrics has each number of snapshots under its name, with promtool's blessing."""
import os
import subprocess

from health_client import get, samples
from platoon_fixture import wait_until
from test_snapshot_keeper import pushed
from test_snapshot_runs import settle
from test_web_socket import CLOSE, Socket
from web_fixture import Web

STORE, KEEPER, WEB = '{worker="snapshot/plan/store",type="snapshot"}', '{worker="snapshot/plan/keeper",type="snapshot-keeper"}', '{worker="web",type="web"}'


def healthy(store, text):
    """Started with that, and /metrics."""
    store.platoon.config_path.write_text(text.replace("state_dir = state", f'state_dir = state  health = "unix:{store.platoon.dir}/h.sock"'))
    store.platoon.start()


def told(store, wanted):
    """Waits until /metrics says so; to be blessed."""
    def values():
        all_there_is = samples(get(store.platoon, "/metrics")[1])
        return {name: all_there_is.get(f"platoon_{name}", 0) for name in wanted}
    wait_until(lambda: values() == wanted, 60, lambda: f"{wanted}; it tells {values()}")


def blessed(store):
    checked = subprocess.run(["promtool", "check", "metrics"], input=get(store.platoon, "/metrics")[1], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_monitoring(store):
    healthy(store, store.text({"work": {}, "made": {"inputs": "work", "command": "cat"}, "bad": {"inputs": "work", "command": "false", "retry_min": "1h", "retry_max": "1h"},
                       "held": {"inputs": "bad", "command": "cat"}}))
    store.put("work", b"1\n")
    store.put("work", b"1\n")
    settle(store, 1)
    assert store.ctl("snapshot", "put", "work", data=b"").returncode == 1
    given = store.platoon.dir / "given"
    given.write_bytes(b"2\n")
    assert store.ctl("snapshot", "whatif", "made", "--with", f"work={given}").stdout == b"2\n"
    wanted = {f"snapshot_commits_total{STORE}": 2, f"snapshot_unchanged_total{STORE}": 1, f"snapshot_failed_runs_total{STORE}": 1, f"snapshot_refused_total{STORE}": 1,
              f"snapshot_whatifs_total{STORE}": 1, f"snapshot_seq{STORE}": 2, f"snapshot_held{STORE}": 1, f"snapshot_loose_objects{KEEPER}": 5}  # 2 commits, 2 trees, 1 blob
    told(store, wanted)
    assert store.ctl("snapshot", "pack", "plan").returncode == 0
    wait_until(lambda: samples(get(store.platoon, "/metrics")[1]).get(f"platoon_snapshot_packs{KEEPER}") == 1, 60, "the pack")
    assert samples(get(store.platoon, "/metrics")[1])[f"platoon_snapshot_store_bytes{KEEPER}"] > 0
    blessed(store)


def test_readers_and_a_mirror(store, mirror):
    web = Web(store, {"work": {}, "other": {}}, {"journal": "64KB", "mirror": mirror})
    healthy(store, web.text)
    store.put("work", b"1\n")
    wait_until(lambda: web.ask("/data/plan/work").status == 200, 60, "web to have heard the store")
    with web.read("/data/plan/stream?content=none") as reads, web.read("/data/plan/stream?content=full&resource=work") as still:
        for _ in range(3):
            assert web.ask("/data/plan/work", "PUT", os.urandom(200000)).status == 200
        assert web.ask("/data/plan/other", "PUT", b"1\n").status == 200
        while reads.next()[1].get("resource") != "other":
            pass
        pushed(store, mirror)
        told(store, {f"web_subscribers{WEB}": 2, f"snapshot_mirror_lag{KEEPER}": 0, f"snapshot_seq{STORE}": 5})
        with Socket(web, "/data/plan/stream?content=none") as third:
            told(store, {f"web_subscribers{WEB}": 3})
            third.say(CLOSE)
            third.closed()
        told(store, {f"web_subscribers{WEB}": 2})  # and with it all that was counted before
        events, resyncs = (samples(get(store.platoon, "/metrics")[1]).get(f"platoon_web_{name}_total{WEB}", 0) for name in ("events", "resyncs"))
        mirror.rename(mirror.parent / "away.git")
        store.put("other", b"2\n")
        store.put("other", b"3\n")
        assert [reads.next()[1]["seq"] for _ in range(2)] == [6, 7]
        told(store, {f"web_events_total{WEB}": events + 2, f"snapshot_mirror_lag{KEEPER}": 2})
        seen = []
        while seen[-1:] != ["slow"]:  # it stood still while the journal went on
            seen.append(still.next()[1].get("reason"))
        told(store, {f"web_resyncs_total{WEB}": resyncs + 1})
    (mirror.parent / "away.git").rename(mirror)
    pushed(store, mirror)
    told(store, {f"snapshot_mirror_lag{KEEPER}": 0, f"web_subscribers{WEB}": 0})
    blessed(store)
