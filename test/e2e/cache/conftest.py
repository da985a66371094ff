"""A real S3 server, one for a whole suite."""
import pytest

from radosgw_fixture import Radosgw


@pytest.fixture(scope="module")
def rgw():
    server = Radosgw()
    try:
        server.start()
        assert server.ask("PUT", "/bucket")[0] == 200
        yield server
    finally:
        server.stop()
