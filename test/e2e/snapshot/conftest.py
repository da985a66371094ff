"""A snapshot in a real platoon, and git beside it."""
import pytest

from snapshot_fixture import Store


@pytest.fixture
def store(platoon):
    return Store(platoon)
