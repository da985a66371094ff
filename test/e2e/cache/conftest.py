"""Rings."""
import pytest

from ring_fixture import Ring


@pytest.fixture
def cache_ring(redis_server, platoon):
    """Starts a ring of one platoon with two nodes; its short lease shows on a busy machine as refusals that pass, so who wants none says lease."""
    def make(options=(), **keys):
        return Ring(redis_server(*options)).add(platoon, **{"nodes": 2, "lease": "2s", "timeout": "1s", **keys}).start()
    return make
