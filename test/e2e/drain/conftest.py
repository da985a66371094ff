"""Tests of the drain get platoons with one."""
import pytest

from drain_fixture import DrainPlatoon
from postgres_fixture import fresh, server  # noqa: F401 (fixtures)


@pytest.fixture
def platoon_kind():
    return DrainPlatoon
