"""etc/examples/cache.conf and ring.conf as README.md has people try them: the one starts, stores, and goes on when its directory comes back; two nodes are one cache."""
import re

import pytest
import redis

from cache_store_fixture import Directory
from incr_hammer import patient
from platoon_fixture import ROOT, SCALE, free_port


def test_the_example(platoon):
    port = free_port()
    text = (ROOT / "etc/examples/cache.conf").read_text()
    assert text.count("127.0.0.1:6390") == 1
    platoon.config_path.write_text(text.replace("127.0.0.1:6390", f"127.0.0.1:{port}"))
    store = Directory(platoon.dir / "objects")
    platoon.start()
    r = redis.Redis(port=port, socket_timeout=60 * SCALE)
    r.set("user:1", "walrus")
    assert platoon.ctl("cache", "wait", "sessions").stdout == "sessions: all is stored\n"
    assert (store.path / "ab/user:1").read_bytes() == b"walrus"  # as README.md shows it
    store.away()
    r.set("user:4", "late")
    with pytest.raises(redis.ResponseError, match="^TRYAGAIN .*/objects: No such file or directory: make the directory"):
        r.get("user:9")
    store.back()
    assert platoon.ctl("cache", "wait", "sessions").returncode == 0
    assert store.has("user:4") == b"late"


def test_what_stands_in_a_comment_is_a_configuration_too(platoon):
    """The other store, without its marks of a comment."""
    text = (ROOT / "etc/examples/cache.conf").read_text()
    s3 = "".join(re.findall(r"^# ?((?:store objects|    |\}).*\n)", text, re.M))
    assert s3.startswith("store objects {") and s3.endswith("}\n")
    platoon.config_path.write_text(re.sub(r"^store objects .*\n", "", text, flags=re.M) + s3)
    assert platoon.spawn("--check").process.wait(60 * SCALE) == 0, platoon.log()


def test_two_nodes_are_one_cache(platoon):
    """As README.md shows it, but on sockets: two ports that differ in their last digit need not be free."""
    text = (ROOT / "etc/examples/ring.conf").read_text()
    assert text.count('"127.0.0.1:639{n}"') == 1
    platoon.config_path.write_text(text.replace('"127.0.0.1:639{n}"', f'"unix:{platoon.dir}/{{n}}.sock"'))
    Directory(platoon.dir / "objects")
    platoon.start()
    one, other = (redis.Redis(unix_socket_path=f"{platoon.dir}/{n}.sock", socket_timeout=60 * SCALE) for n in (1, 2))
    assert patient(lambda: one.set("user:1", "walrus"))
    assert other.get("user:1") == b"walrus"
    assert platoon.ctl("cache", "owner", "sessions", "user:1").stdout.startswith("cache/sessions/node.1 ")
    shown = platoon.ctl("cache", "ring", "sessions").stdout.splitlines()
    assert shown[0].split() == ["NUMBER", "NODE", "STATE", "CELLS", "BEAT", "HOST", "ADDRESS"]
    assert sorted(line.split()[1] for line in shown[1:3]) == ["cache/sessions/node.1", "cache/sessions/node.2"]
