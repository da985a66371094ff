"""A snapshot in a real platoon, and git beside it."""
import subprocess

import pytest

from snapshot_fixture import Store


@pytest.fixture
def store(platoon):
    return Store(platoon)


@pytest.fixture
def mirror(platoon):
    path = platoon.dir / "mirror.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True, timeout=60)
    return path
