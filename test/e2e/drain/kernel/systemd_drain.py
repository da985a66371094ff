"""platoon.service with a drain: what test_systemd_drain.py runs inside a kernel whose first process systemd is."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "kernel"))
from service_fixture import GROUP, ctl, journal, machine, sh, show, systemctl, usual  # noqa: E402,F401

USUAL = """
platoon { log_to = journal  backoff_min = 20ms }
redis main { url = embedded }
store visits { path = "/var/lib/platoon/visits.db" }
drain visits { set = "tracking:pending"  store = visits }
program web { command = "sleep 1000"  processes = 2  memory_max = 64MB }
"""


def test_records_arrive():
    """Within the walls, with the embedded Redis and SQLite: what the machine is for."""
    for i in range(20):
        sh("redis-cli", "-s", "/run/platoon/redis.sock", "hset", f"v:{i}", "n", str(i))
    sh("redis-cli", "-s", "/run/platoon/redis.sock", "sadd", "tracking:pending", *[f"v:{i}" for i in range(20)])
    done = ctl("--timeout", "20s", "drain", "wait", "visits", check=False)
    if done.returncode:
        print(ctl("tree", check=False).stdout, ctl("status", check=False).stdout, sh("journalctl", "-u", "platoon", "-o", "cat", "--no-pager", "-n", "100").stdout)
    assert done.returncode == 0
    rows = sh("/usr/bin/python3", "-c", "import sqlite3; print(sqlite3.connect('/var/lib/platoon/visits.db').execute('SELECT count(*) FROM records').fetchone()[0])").stdout
    assert rows.strip() == "20"


def test_stop_is_platoons_order():
    systemctl("stop", "platoon")
    assert show("Result") == "success" and show("ExecMainStatus") == "0" and not GROUP.exists()
    moves = [e["PLATOON_NAME"] for e in journal("PLATOON_EVENT=worker-exit", "-n", "20")]
    assert moves.index("redis/visits/watcher.1") < len(moves) - 1 and moves[-1] == "redis/server", "Redis goes when nobody needs it any more"
