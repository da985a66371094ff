"""`advertise`: the other nodes reach a node where it says, whatever it listens on."""
import pytest
import redis

from incr_hammer import patient
from ring_fixture import Ring


def test_others_go_where_it_says(redis_server, platoon):
    """By a way that is not there yet: nobody takes the one that it listens on."""
    far = platoon.dir / "far"
    ring = Ring(redis_server()).add(platoon, nodes=2, timeout="1s", advertise=f"unix:{far}/c{{n}}.sock").start()
    assert sorted(row["address"] for row in ring.rows()) == [f"unix:{far}/c{n}.sock" for n in (1, 2)]
    one, two = (node.client() for node in ring.nodes)
    key = ring.key()
    patient(lambda: one.set(key, "value"))
    with pytest.raises(redis.ResponseError, match="^TRYAGAIN .*far/c1.sock"):
        two.get(key)
    far.symlink_to(platoon.dir)
    assert patient(lambda: two.get(key)) == b"value" and patient(lambda: two.set(key, "other"))
    assert patient(lambda: one.get(key)) == b"other"
