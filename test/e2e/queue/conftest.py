"""A backbone for each test."""
import pytest

from queue_fixture import Shop


@pytest.fixture
def shop(platoon, redis_server):
    return Shop(platoon, redis_server())
