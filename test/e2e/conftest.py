"""The fixtures of all end-to-end tests (platoon_fixture.py has what they make)."""
import os

import pytest

from platoon_fixture import BUILD, Platoon, RedisServer
from radosgw_fixture import Radosgw


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    setattr(item, "report_" + outcome.get_result().when, outcome.get_result())


def _platoons(request, kind, build):
    made = []

    def make():
        made.append(kind(build))
        return made[-1]
    yield make
    report = getattr(request.node, "report_call", None)
    failed = report is None or report.failed
    errors = []
    for p in made:
        try:
            p.close(failed)
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, errors


@pytest.fixture
def platoon_kind():
    """The class of the platoons that tests get; a system's folder may have its own."""
    return Platoon


@pytest.fixture
def platoons(request, platoon_kind):
    """Makes platoons that are configured but not started."""
    yield from _platoons(request, platoon_kind, BUILD)


@pytest.fixture
def faulty(request, platoon_kind):
    """One platoon of the build with fault points, not started."""
    for make in _platoons(request, platoon_kind, BUILD / "faults"):
        yield make()


@pytest.fixture
def platoon(platoons):
    """One platoon, not started."""
    return platoons()


@pytest.fixture
def redis_server():
    """Makes redis-servers; arguments are redis-server's own."""
    made = []

    def make(*options):
        made.append(RedisServer(*options))
        return made[-1]
    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def rgw():
    """A real S3 server, one for a whole suite."""
    server = Radosgw()
    try:
        server.start()
        assert server.ask("PUT", "/bucket")[0] == 200
        yield server
    finally:
        server.stop()


@pytest.fixture
def root():
    """For tests of what only root may do: nobody else can say that it works, so nothing is skipped."""
    assert os.geteuid() == 0, "this test must be run as root: it mounts, or becomes another user"
