"""platoon.service and its systemd, for tests that run inside a kernel whose first process systemd is."""
import json
import pathlib
import shutil
import subprocess

import pytest

GROUP = pathlib.Path("/sys/fs/cgroup/system.slice/platoon.service")
CONFIG = pathlib.Path("/etc/platoon.conf")
DROP_IN = pathlib.Path("/etc/systemd/system/platoon.service.d/test.conf")


def sh(*words, check=True):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)
    assert not check or done.returncode == 0, f"{words}: exit {done.returncode}: {done.stdout} {done.stderr}"
    return done


def systemctl(*words, **options):
    return sh("systemctl", "--no-pager", *words, **options)


def show(name):
    return systemctl("show", "-P", name, "platoon").stdout.strip()


def main_pid():
    return int(show("MainPID"))


def ctl(*words, **options):
    return sh("platoonctl", "-c", str(CONFIG), *words, **options)


def ctl_json(*words):
    done = ctl("--json", *words, check=False)
    wrong = words[0] == "status" and done.returncode == 3  # its answer says what
    assert done.returncode == 0 or wrong, f"{words}: exit {done.returncode}: {done.stderr}"
    return json.loads(done.stdout)


def journal(*words):
    return [json.loads(line) for line in sh("journalctl", "-o", "json", "--no-pager", "-u", "platoon", *words).stdout.splitlines()]


@pytest.fixture(scope="module", autouse=True)
def machine(request):
    """Its user made as the manual says, and started with the configuration USUAL of the module."""
    sh("systemd-sysusers", "/usr/local/lib/sysusers.d/platoon.conf")
    CONFIG.write_text(request.module.USUAL)
    systemctl("daemon-reload")
    systemctl("start", "platoon")


@pytest.fixture(autouse=True)
def usual(machine, request):
    """Each test finds the usual configuration running."""
    yield
    if DROP_IN.exists():
        shutil.rmtree(DROP_IN.parent)
        systemctl("daemon-reload")
    if CONFIG.read_text() != request.module.USUAL:
        CONFIG.write_text(request.module.USUAL)
        systemctl("reload", "platoon", check=False)
    if show("ActiveState") != "active":
        systemctl("reset-failed", "platoon", check=False)
        systemctl("start", "platoon")
    ctl("--timeout", "30s", "wait", "ready")


def drop_in(text):
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text(f"[Service]\n{text}\n")
    systemctl("daemon-reload")


def worker(name):
    return ctl_json("status", name)
