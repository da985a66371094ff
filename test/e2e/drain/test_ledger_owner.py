"""Whose ledger it is: two platoons of one drain's name, with another set, consume mode or store each (sidekiq#1414, #1156, #4040)."""
import os

import pytest
import redis

from drain_fixture import members
from platoon_fixture import wait_until
from ledger_fixture import A, LEASE, PREFIX, SET, VIA, ledger, server  # noqa: F401 (fixtures)

OURS, OTHERS = VIA, VIA.replace("aa:", "bb:")


def owner(ledger):
    return {k.decode(): v.decode() for k, v in ledger.r.hgetall(PREFIX + "owner").items()}


def test_the_first_claim_signs(ledger):
    assert ledger.claim() is None and owner(ledger) == {}
    ledger.add("v:1")
    ledger.claim()
    assert owner(ledger) == {"set": SET, "consume": "take", "store": "db", "instance": "aa"}


@pytest.mark.parametrize("what", [{"consume": "keep"}, {"store": "other"}], ids=["consume", "store"])
def test_another_platoon_with_another_of_them_is_refused_by_name(ledger, what):
    ledger.add("v:1", "v:2")
    ledger.claim(batch=1)
    ledger.due_now()
    before = ledger.dump()
    with pytest.raises(redis.ResponseError, match=f"set is {SET}, consume take, store db.*platoonctl redis DEL {PREFIX}owner".replace("{", "[{]")):
        ledger.claim(via=OTHERS, **what)
    consume, store = what.get("consume", "take"), what.get("store", "db")
    assert b"belongs to another platoon" in ledger.run("status", consume, store, "bb")[10]
    assert ledger.run("status", "take", "db", "aa")[10] == b"" and ledger.run("status", consume, store, "aa")[10] == b""
    assert ledger.dump() == before
    ledger.r.delete(PREFIX + "owner")
    assert ledger.claim(via=OTHERS, **what).again == 1 and owner(ledger)["instance"] == "bb"


def test_another_set_is_refused_too(ledger):
    ledger.add("v:1")
    ledger.claim()
    ledger.r.sadd("other", "v:9")
    with pytest.raises(redis.ResponseError, match="belongs to another platoon"):
        ledger.scripts["claim"](keys=[PREFIX, "other"], args=[1, LEASE, A, OTHERS, "take", 5, 0, 0, 0, "db"])
    assert ledger.r.smembers("other") == {b"v:9"}


def test_a_changed_configuration_of_the_same_platoon_takes_over(ledger):
    ledger.add("v:1", "v:2")
    ledger.claim(batch=1)
    assert ledger.claim(batch=1, store="new") is not None
    assert owner(ledger) == {"set": SET, "consume": "take", "store": "new", "instance": "aa"}


def test_several_with_the_same_share_it_and_none_may_change_it_alone(ledger):
    ledger.add("v:1", "v:2", "v:3")
    assert ledger.claim(batch=1) is not None and ledger.claim(batch=1, via=OTHERS) is not None
    assert owner(ledger)["instance"] == ""
    with pytest.raises(redis.ResponseError, match="belongs to another platoon"):
        ledger.claim(store="new")
    assert ledger.claim(via=OURS) is not None


def unsigned(ledger, store="db", instance="aa"):
    return ledger.run("status", "take", store, instance)[11] == 1


def test_it_is_signed_before_there_is_work(ledger):
    assert unsigned(ledger) and ledger.run("sign", "take", "db", "aa") == 1
    assert not unsigned(ledger) and owner(ledger) == {"set": SET, "consume": "take", "store": "db", "instance": "aa"}
    assert ledger.run("sign", "take", "other", "bb") == 0 and owner(ledger)["store"] == "db"
    assert ledger.run("sign", "take", "new", "aa") == 1 and owner(ledger)["store"] == "new"
    assert unsigned(ledger, "new", "bb") and ledger.run("sign", "take", "new", "bb") == 1 and owner(ledger)["instance"] == ""


def test_it_is_signed_also_when_redis_is_full(ledger):
    ledger.r.config_set("maxmemory", 1)
    assert ledger.run("sign", "take", "db", "aa") == 1


@pytest.mark.parametrize("instance", ["aa", ""])
def test_a_file_as_an_older_platoon_has_signed_it(ledger, instance):
    """It knew the file's name alone: the same file under its path is no other store, one of another name is."""
    ledger.r.hset(PREFIX + "owner", mapping={"set": SET, "consume": "take", "store": "v.db", "instance": instance})
    assert ledger.run("sign", "take", "/data/other-v.db", "bb") == 0
    assert unsigned(ledger, "/data/v.db") and ledger.run("sign", "take", "/data/v.db", "aa") == 1
    assert owner(ledger) == {"set": SET, "consume": "take", "store": "/data/v.db", "instance": instance}
    assert ledger.run("sign", "take", "/elsewhere/v.db", "bb") == 0


def configured(platoon, server, path):
    return platoon.configure(redis={"url": server.url}, store={"path": path})


def test_a_second_platoon_is_told_at_its_start(platoons, redis_server):
    """Nobody has had any work yet. Two files of one name are two stores."""
    server = redis_server()
    first, second = platoons(), platoons()
    configured(first, server, "visits.db").start()
    wait_until(lambda: server.client().hget("platoon:{visits}:owner", "store") == str(first.dir / "visits.db").encode(), 10, "the signature")
    configured(second, server, "visits.db").start_troubled()
    wait_until(lambda: "belongs to another platoon" in second.problems(), 10, "the refusal")
    assert f"store {first.dir / 'visits.db'}" in second.problems() and "redis DEL platoon:{visits}:owner" in second.problems()
    first.add(members(10))
    first.drained()
    assert first.data() == members(10) and second.data() == {}
    first.stop()  # or it would sign again
    assert server.client().delete("platoon:{visits}:owner") == 1
    wait_until(lambda: second.problems() == "", 20, "the second's, now")


@pytest.mark.parametrize("late", [False, True], ids=["there", "not there yet"])
def test_one_file_is_one_store_however_it_is_named(platoons, redis_server, late):
    """By a link, by dots, relative to a configuration elsewhere: no other store, and so shared by who may share it (the file is held by one at a time)."""
    server = redis_server()
    first = platoons()
    data = first.dir / "data"
    data.mkdir()
    (first.dir / "link").symlink_to("data")
    (first.dir / "file.db").symlink_to("link/../data/visits.db")
    if not late:
        configured(first, server, data / "visits.db").start()
        first.add(members(1))
        first.drained()
        first.stop()
    for path in ("data/visits.db", first.dir / "link/visits.db", "file.db", first.dir / "data/../link/./visits.db"):
        second = platoons()
        name = path if str(path).startswith("/") else os.path.relpath(first.dir / path, second.dir)
        configured(second, server, name).start()
        wait_until(lambda: server.client().hget("platoon:{visits}:owner", "instance") is not None, 10, "a signature")
        wait_until(lambda: second.drain()["pending"] == 0 and second.problems() == "", 10, "no trouble")
        assert server.client().hget("platoon:{visits}:owner", "store") == str(data / "visits.db").encode()
        second.stop()
