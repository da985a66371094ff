"""A platoon whose cache has a real manager, and workers of the tests in its nodes' place (ring_node.c), which join and serve nothing."""
import json
import shutil

from platoon_fixture import BUILD, section, wait_until

ONE, TWO, MANAGER = "cache/c/node.1", "cache/c/node.2", "cache/c/manager.1"
STATE = ("incarnation", "mark", "was", "epoch", "closed_ms", "joins", "leases", "runs", "nodes", "number")
S3 = {"type": "s3", "url": "http://127.0.0.1:9/bucket", "region": "r", "credentials_file": "aws"}  # nobody listens there
AWS = "[default]\naws_access_key_id = K\naws_secret_access_key = S\n"


def configure_ring(to, server, store=None, user=None, platoon=None, **cache):
    """Two nodes, a Redis and a directory of its own as the store; or as `store` says."""
    libexec = to.dir / "libexec"
    shutil.copytree(to.build / "libexec/platoon", libexec)
    shutil.copy(BUILD / "test/e2e/ring_node", libexec / "cache-node")
    (to.dir / "objects").mkdir()
    (to.dir / "aws").write_text(AWS)
    (to.dir / "aws").chmod(0o600)
    to.config_path.write_text(
        section("platoon", {"runtime_dir": "run", "state_dir": "state", "libexec_dir": libexec, "backoff_min": "20ms", **(platoon or {})})
        + section("redis r", {"url": server.url, "retry_max": "100ms", **(user or {})})
        + section("store objects", store or {"type": "file", "path": "objects"})
        + section("cache c", {"listen": f"unix:{to.dir}/c{{n}}.sock", "nodes": 2, "store": "objects", "redis": "r", "lease": "2s", **cache}))


def say(platoon, node, line):
    done = platoon.ctl("send", node, json.dumps(line))
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def state(platoon, node):
    return dict(zip(STATE, map(int, say(platoon, node, "state"))))


def serves(platoon, node):
    wait_until(lambda: platoon.workers()[node]["state"] == "READY", 30, f"{node} to be there")
    wait_until(lambda: state(platoon, node)["runs"] == 1, 30, f"a lease of {node}")
    return state(platoon, node)


def claim(platoon, node, *cells):
    """Once the ring is open: state and value of each."""
    def claims():
        result, _, *owners = say(platoon, node, " ".join(["claim", *map(str, cells)]))
        return owners if result == "0" else None
    return [tuple(map(int, owner.split(":"))) for owner in wait_until(claims, 30, f"a claim of {node}")]
