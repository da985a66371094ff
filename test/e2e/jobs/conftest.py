"""A jobs section for each test."""
import pytest

from jobs_fixture import Etlas


@pytest.fixture
def etlas(platoon, redis_server):
    return Etlas(platoon, redis_server())
