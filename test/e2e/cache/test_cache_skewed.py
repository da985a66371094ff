"""A machine whose clock is wrong before a real S3 server, which refuses what it signs: trouble with its remedy, memory serves, and nothing is lost when the
clock is right again."""
import pytest

from cache_store_fixture import BACKING, Bucket, cache_text, client, stored
from platoon_fixture import wait_until

REMEDY = "set this machine's clock (NTP)"


@pytest.fixture
def bucket(faulty, rgw, request):
    return Bucket(rgw, request.node.name.replace("_", "-"), faulty.dir)


def told(platoon):
    problems = platoon.problems()
    return REMEDY in problems and "RequestTimeTooSkewed" in problems and BACKING in problems


def test_a_clock_that_goes_wrong(faulty, bucket):
    faulty.config_path.write_text(cache_text(faulty, bucket))
    faulty.start()
    r = client(faulty)
    r.set("before", "1")
    stored(r, 60)
    clock = faulty.fault("s3.clock", "error always")
    r.set("meanwhile", "2")
    wait_until(lambda: told(faulty), 60, "the trouble and its remedy")
    assert r.get("meanwhile") == b"2" and r.get("before") == b"1", "memory serves"
    assert bucket.has("meanwhile") is None and r.execute_command("PLATOON.DIRTY")[0] == 1
    clock.unlink()
    stored(r, 60)
    assert bucket.has("meanwhile") == b"2" and faulty.json("cache", "dead", "sessions") == []
    wait_until(lambda: REMEDY not in faulty.problems(), 60, "the end of the trouble")


def test_a_clock_that_is_wrong_at_the_start(faulty, bucket):
    """It is not given up as a configuration that is wrong: whoever sets the clock need not start anything again."""
    clock = faulty.fault("s3.clock", "error always")
    faulty.config_path.write_text(cache_text(faulty, bucket))
    faulty.start_troubled()
    wait_until(lambda: told(faulty), 60, "the trouble and its remedy")
    clock.unlink()
    assert faulty.ctl("--timeout", "60s", "wait", "ready").returncode == 0
    r = client(faulty)
    r.set("key", "value")
    stored(r, 60)
    assert bucket.has("key") == b"value"
