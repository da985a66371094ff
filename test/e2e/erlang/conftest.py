"""Port mappers, gates and Erlang nodes, gone when their test is."""
import pytest

from erlang_fixture import Client, Epmd, gate_text


@pytest.fixture
def epmd(monkeypatch):
    """One that is not started; everything that is started afterwards looks for it."""
    mapper = Epmd()
    monkeypatch.setenv("ERL_EPMD_PORT", str(mapper.port))
    yield mapper
    mapper.stop()


@pytest.fixture
def gate(platoon, epmd):
    """Starts a platoon with a gate, and epmd."""
    def start(more="", **keys):
        epmd.start()
        platoon.config_path.write_text(gate_text(platoon.dir, more, **keys))
        return platoon.start()
    return start


@pytest.fixture
def client(epmd):
    """Makes Erlang nodes that have met the gate."""
    made = []

    def make(name="client", meet=True, **options):
        made.append(Client(name, **options))
        return made[-1].meet() if meet else made[-1]
    yield make
    for node in made:
        node.close()
