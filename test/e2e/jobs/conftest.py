"""A jobs section for each test."""
import pytest

from jobs_fixture import Etlas


@pytest.fixture
def etlas(platoon, redis_server):
    made = Etlas(platoon, redis_server())
    yield made
    platoon.stop()  # before its Redis: else what still runs has nobody to tell of its end, for as long as a stop may take
