"""A jobs section for each test, and functions of RQ's for it."""
import importlib
import sys

import pytest

from functions_fixture import TASKS, Functions
from jobs_fixture import Etlas
from patient_platoon import PatientPlatoon


@pytest.fixture
def platoon_kind():
    return PatientPlatoon


@pytest.fixture
def etlas(platoon, redis_server):
    made = Etlas(platoon, redis_server())
    yield made
    platoon.stop()  # before its Redis: else what still runs has nobody to tell of its end, for as long as a stop may take


@pytest.fixture
def functions(etlas, tmp_path, monkeypatch):
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(folder))
    return Functions(etlas, folder)


@pytest.fixture
def tasks(functions, monkeypatch):
    monkeypatch.delitem(sys.modules, "tasks", raising=False)
    return importlib.import_module("tasks")
