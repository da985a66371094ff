"""A token in the query of key_service is shown to nobody. Case: ../shared/cases/security-14-token-in-a-url.sh."""
import os
import signal
import subprocess

from health_client import get
from platoon_fixture import free_port, wait_until


def test_a_token_in_the_query_of_the_key_service_is_not_shown(platoon):
    url = f"http://127.0.0.1:{free_port()}/key"
    platoon.configure(platoon={"health": f"unix:{platoon.dir}/h.sock"}, drain={"key_service": f"{url}?token=Hunter2", "key_service_retries": 0}).start()
    platoon.add({"visit:1": {"app": "shop"}})
    wait_until(lambda: f"key service {url}" in platoon.log(), 15, "that it does not answer")
    assert "Hunter2" not in platoon.log()
    assert "Hunter2" not in platoon.ctl("status").stdout + platoon.ctl("--json", "tree").stdout
    status, text = wait_until(lambda: (answer := get(platoon, "/readyz"))[0] == 503 and answer, 10, "that probes hear of it")
    assert f"key service {url}" in text and "Hunter2" not in text
    assert "Hunter2" not in get(platoon, "/metrics")[1]
    name = next(name for name in platoon.workers() if "transfer" in name)
    victim = platoon.workers()[name]
    os.kill(victim["pid"], signal.SIGABRT)
    platoon.replaced(victim)
    shown = platoon.ctl("crashes", name).stdout
    assert f"key service {url}" in shown, shown
    assert "Hunter2" not in shown + platoon.ctl("--json", "crashes").stdout + "".join(path.read_text() for path in (platoon.dir / "state/crashes").iterdir())
    printed = subprocess.run([str(platoon.build / "platoon"), "-c", str(platoon.config_path), "--print-config"], capture_output=True, text=True, env=platoon.environment(), check=True)
    assert f'{url}?token=***' in printed.stdout and "Hunter2" not in printed.stdout + printed.stderr
