"""A backbone for each test."""
import pytest

from patient_platoon import PatientPlatoon
from queue_fixture import Shop


@pytest.fixture
def platoon_kind():
    return PatientPlatoon


@pytest.fixture
def shop(platoon, redis_server):
    return Shop(platoon, redis_server())
