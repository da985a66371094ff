"""Objects of Erlang clients and the store behind their cache: when they are stored, and that they come back as they were."""
import pytest
import redis

from erlang_fixture import CACHE_NODE, Bucket, Objects
from platoon_fixture import wait_until


@pytest.fixture(params=["file", "s3"])
def store(request, platoon):
    return Objects(platoon.dir / "objects") if request.param == "file" else Bucket(request.getfixturevalue("rgw"), platoon.dir.name, platoon.dir)


def test_persist_has_the_object_stored(gate, client, store):
    gate(store.section(), cache_store="objects", cache_write_delay="1h", cache_idle="0s")
    node = client()
    node.set("\"kept\"", "{a, term}")
    node.set("\"other\"", "\"text\"")
    assert node.get("\"kept\"") == "{ok,{a,term}}"
    assert store.has("kept") is None
    node("P ! {p, \"kept\"}, ok")
    wait_until(lambda: store.has("kept"), 20, "the object to be stored")
    assert node(f"binary_to_term(<<{','.join(map(str, store.has('kept')))}>>)") == "{a,term}"
    assert b"f=term" in store.form("kept")
    assert store.has("other") is None


def test_a_form_outlives_the_node_and_its_memory(gate, client, platoon, store):
    """Through the store: the log is gone."""
    gate(store.section(), cache_store="objects", cache_write_delay="0s")
    node = client()
    node.set("\"t\"", "{a, term}")
    node.set("\"s\"", "\"text\"")
    node.get("\"s\"")
    assert platoon.ctl("cache", "wait", "sessions").returncode == 0
    before = platoon.workers()[CACHE_NODE]
    platoon.ctl("stop", CACHE_NODE)
    for path in (platoon.dir / "state/cache/sessions/node.1").glob("*.log"):
        path.unlink()
    platoon.ctl("start", CACHE_NODE)
    platoon.replaced(before)
    wait_until(lambda: node.get("\"t\"", ms=1000) == "{ok,{a,term}}", 30, "the term")
    assert node.get("\"s\"") == "{ok,[116,101,120,116]}"


def test_forms_of_objects_that_another_node_of_the_ring_has(gate, client, platoon):
    store = Objects(platoon.dir / "objects")
    gate(store.section(), cache_store="objects", cache_write_delay="1h", cache_redis="main", cache_nodes=2, cache_lease="2s", cache_listen=f"unix:{platoon.dir}/c{{n}}.sock")
    node = client()
    second = redis.Redis(unix_socket_path=f"{platoon.dir}/c2.sock")
    for i in range(8):
        wait_until(lambda i=i: second.set(f"k{i}", "first"), 20, "the second node to have the object")
        assert node.get(f"\"k{i}\"") == "{ok,<<102,105,114,115,116>>}"
        node.set(f"\"k{i}\"", "{a, term}" if i % 2 else "\"text\"")
        wanted = "{ok,{a,term}}" if i % 2 else "{ok,[116,101,120,116]}"
        assert node.get(f"\"k{i}\"") == wanted
    assert second.execute_command("PLATOON.COPY", "k1")[3] == 2
    assert second.execute_command("PLATOON.COPY", "k2")[3] == 1
    node("P ! {p, \"k1\"}, ok")
    wait_until(lambda: store.has("k1"), 20, "the object to be stored by its owner")
    assert b"f=term" in store.form("k1")
    wait_until(lambda: node.get("\"k1\"", strong="false") == "{ok,{a,term}}", 20, "what the store has")


def test_while_the_ring_cannot_answer_nothing_is_told(gate, client, platoon):
    """Redis is away for longer than the lease: what is strong is answered by nothing, never by ko; what is known here is told on."""
    store = Objects(platoon.dir / "objects")
    gate(store.section(), cache_store="objects", cache_redis="main", cache_lease="2s", cache_timeout="1s")
    node = client()

    def is_set():
        node.set("\"k\"", "{a, term}")
        return node.get("\"k\"", ms=2000) == "{ok,{a,term}}"
    wait_until(is_set, 30, "the ring to grant it")
    platoon.ctl("stop", "redis/server")
    wait_until(lambda: node.get("\"k\"", ms=500) == "nothing", 30, "the lease to be over")
    assert node.get("\"k\"", ms=3000) == "nothing"
    assert node.get("\"nobody\"", ms=3000) == "nothing"
    assert node.get("\"k\"", strong="false") == "{ok,{a,term}}"
    platoon.ctl("start", "redis/server")
    wait_until(lambda: node.get("\"k\"", ms=2000) == "{ok,{a,term}}", 60, "the ring to answer")
    wait_until(lambda: node.get("\"nobody\"", ms=2000) == "ko", 30, "the ring to say that there is none")


def test_while_the_store_is_away_nothing_is_told(gate, client, platoon):
    store = Objects(platoon.dir / "objects")
    gate(store.section(), cache_store="objects", cache_timeout="1s")
    node = client()
    node.set("\"here\"", "1")
    assert node.get("\"here\"") == "{ok,1}"
    store.path.rename(store.path.with_suffix(".away"))
    for strong in ("true", "false"):
        assert node.get("\"not:here\"", strong=strong, ms=3000) == "nothing"
    assert node.get("\"here\"") == "{ok,1}"
    store.path.with_suffix(".away").rename(store.path)
    wait_until(lambda: node.get("\"not:here\"", ms=1500) == "ko", 30, "the store to say that there is none")
