"""Data of the wrong shape, or of any shape: defined, counted, never lost, never a crash."""
import base64
import subprocess

import pytest

from platoon_fixture import ROOT, free_port, wait_until


def letters(platoon):
    return {letter["member"]: letter for letter in platoon.dead()}


def quiet(platoon):
    """No worker has died."""
    assert all(w["restarts"] == 0 for w in platoon.workers().values())


def test_set_key_is_a_list(platoon):
    platoon.start()
    r = platoon.redis()
    r.rpush("tracking:pending", "a", "b")
    wait_until(lambda: "tracking:pending" in platoon.problems(), 10, "status to name the key")
    assert r.lrange("tracking:pending", 0, -1) == [b"a", b"b"]
    r.delete("tracking:pending")
    platoon.add({"v:1": {"n": "1"}})
    platoon.drained()
    assert platoon.data() == {"v:1": {"n": "1"}}
    wait_until(lambda: platoon.problems() == "", 10, "no more problems")
    quiet(platoon)


@pytest.mark.parametrize("consume", ["take", "keep"])
def test_member_is_a_string(platoon, consume):
    platoon.configure(drain={"consume": consume}).start()
    r = platoon.redis()
    r.set("v:s", b"precious \xff")
    r.rpush("v:l", "one", "two")
    platoon.add({"v:s": None, "v:l": None, "v:1": {"n": "1"}})
    platoon.drained()
    assert platoon.data() == {"v:1": {"n": "1"}}
    dead = letters(platoon)
    assert set(dead) == {"v:s", "v:l"}
    assert "string" in dead["v:s"]["reason"] and "hash" in dead["v:s"]["reason"]
    assert "list" in dead["v:l"]["reason"]
    assert platoon.drain()["dead"] == 2
    if consume == "take":
        assert r.get(f"platoon:{{visits}}:dead:{dead['v:s']['seq']}:data") == b"precious \xff"
    else:
        assert r.get("v:s") == b"precious \xff"
    shown = platoon.ctl("drain", "dead", "visits", "show", str(dead["v:s"]["seq"]))
    assert shown.returncode == 0 and "v:s" in shown.stdout
    quiet(platoon)


def test_member_without_a_hash(platoon):
    platoon.configure(drain={"missing_retry": "50ms", "max_attempts": 3}).start()
    platoon.add({"v:none": None, "v:1": {"n": "1"}})
    platoon.drained()
    assert platoon.data() == {"v:1": {"n": "1"}}
    dead = letters(platoon)
    assert list(dead) == ["v:none"] and "no hash" in dead["v:none"]["reason"]


def test_hash_that_comes_late(platoon):
    """The application named the member first and wrote the hash after."""
    platoon.configure(drain={"missing_retry": "200ms", "max_attempts": 50}).start()
    platoon.add({"v:late": None})
    wait_until(lambda: platoon.drain()["claimed"] == 1 and platoon.drain()["pending"] == 0, 10, "the claim")
    platoon.redis().hset("v:late", "n", "1")
    platoon.drained()
    assert platoon.data() == {"v:late": {"n": "1"}}
    assert platoon.dead() == []


def test_one_megabyte_values(platoon):
    platoon.configure(drain={"batch": 10}).start()
    expected = {f"v:{i}": {"big": chr(97 + i) * 1_000_000, "n": str(i)} for i in range(20)}
    platoon.add(expected)
    platoon.drained(timeout=60)
    assert platoon.data() == expected
    quiet(platoon)


def test_ten_thousand_fields(platoon):
    platoon.start()
    expected = {"v:wide": {f"field-{i}": str(i) for i in range(10_000)}, "v:1": {"n": "1"}}
    platoon.add(expected)
    platoon.drained()
    assert platoon.data() == expected


def test_record_above_the_limit(platoon):
    platoon.configure(drain={"record_max": "64KB"}).start()
    platoon.add({"v:huge": {"big": "x" * 100_000}, "v:1": {"n": "1"}})
    platoon.drained()
    assert platoon.data() == {"v:1": {"n": "1"}}
    dead = letters(platoon)
    assert list(dead) == ["v:huge"]
    assert platoon.redis().hget(f"platoon:{{visits}}:dead:{dead['v:huge']['seq']}:data", "big") == b"x" * 100_000


def test_empty_names(platoon):
    platoon.start()
    platoon.add({"": {"n": "empty member"}, "v:f": {"": "empty name", "empty value": ""}})
    platoon.drained()
    assert platoon.data() == {"": {"n": "empty member"}, "v:f": {"": "empty name", "empty value": ""}}


def test_binary_bytes(platoon):
    platoon.start()
    raw = bytes(range(256))
    encoded = base64.b64encode(raw).decode()
    platoon.add({b"v:\xff\x00": {b"n": b"1"}, "v:b": {b"value": raw, b"name\xfe": b"x", b"utf8": "é\u2028\"\\\x01".encode(), b"nul": b"a\0b"}})
    platoon.drained()
    data = platoon.data()
    assert data["v:b"]["value"] == {"base64": encoded}
    assert data["v:b"]["base64:" + base64.b64encode(b"name\xfe").decode()] == "x"
    assert data["v:b"]["utf8"] == "é\u2028\"\\\x01"
    assert data["v:b"]["nul"] in ("a\0b", {"base64": base64.b64encode(b"a\0b").decode()})
    assert data["base64:" + base64.b64encode(b"v:\xff\x00").decode()] == {"n": "1"}
    assert len(data) == 2
    quiet(platoon)


def test_names_that_are_no_text_from_the_log_to_the_tool(platoon):
    """track, Redis, the store, and platoonctl as JSON and as text: the same bytes everywhere, and nothing but text."""
    def written(raw):
        return {"base64": base64.b64encode(raw).decode()}

    def shown(raw):
        return "base64:" + written(raw)["base64"]
    path, member, name, gone = b"/caf\xe9", b"v:\xff\x00", b"name\xfe", b"v:gone\xfe"
    platoon.configure(drain={"key": "{app}/{path}"}).start()
    log = platoon.dir / "access.log"
    log.write_bytes(b'1.2.3.4 - - [01/Jan/2026:00:00:00 +0000] "GET ' + path + b' HTTP/1.1" 200 5 "-" "agent"\n')
    subprocess.run([ROOT / "scripts/track", "--redis", f"unix://{platoon.dir}/run/redis.sock", str(log)], check=True, capture_output=True)
    platoon.add({b"v:ok": {name: b"x", b"app": b"1", b"path": b"2"}, member: {name: b"x", b"app": b"1"}, gone: None})
    platoon.drained()
    data = platoon.data()
    assert data[shown(b"web/" + path)]["path"] == written(path)
    assert data["1/2"] == {shown(name): "x", "app": "1", "path": "2"}

    dead = {letter["member"]["base64"]: letter for letter in platoon.dead()}
    assert set(dead) == {written(member)["base64"], written(gone)["base64"]}
    seq = str(dead[written(member)["base64"]]["seq"])
    one, = platoon.json("drain", "dead", "visits", "show", seq)
    assert one["member"] == written(member) and [written(name), "x"] in one["fields"]
    for words in (["list"], ["show", seq]):
        done = platoon.ctl("drain", "dead", "visits", *words)
        assert shown(member) in done.stdout and done.stdout.isascii(), done.stdout
    assert f"{shown(name)} = x" in done.stdout
    report = platoon.json("report", "visits", "--by", "path")
    assert any(base64.b64encode(path).decode() in str(row["value"]) for row in report["values"]) and report["total"] == 2
    by_name = platoon.json("report", "visits", "--by", shown(name))
    assert {"value": "x", "count": 1} in by_name["values"], by_name
    assert platoon.ctl("drain", "dead", "visits", "drop", "all").returncode == 0 and platoon.dead() == []
    quiet(platoon)


def test_names_that_look_like_our_own(platoon):
    """Bytes, and the text that they are written as: two fields and two keys, each read back."""
    platoon.start()
    names = [b"\x00", b"base64:AA==", b"base64:", b"base64:YmFzZTY0OkFBPT0=", b"\xff", b"base64:/w==", b"base64"]
    fields = {name: name.hex().encode() for name in names}
    platoon.add(dict.fromkeys(names, fields))
    platoon.drained()

    def back(name):
        return base64.b64decode(name[7:]) if name.startswith("base64:") else name.encode()
    data = platoon.data()
    assert {back(key) for key in data} == set(names) and len(data) == len(names)
    for row in data.values():
        assert {back(name): value.encode() for name, value in row.items()} == fields and len(row) == len(fields)
    quiet(platoon)


def test_template_field_missing(platoon):
    platoon.configure(drain={"key": "{app}/{session}"}).start()
    platoon.add({"v:ok": {"app": "a", "session": "s"}, "v:no": {"app": "a"}})
    platoon.drained()
    assert platoon.data() == {"a/s": {"app": "a", "session": "s"}}
    dead = letters(platoon)
    assert list(dead) == ["v:no"] and "session" in dead["v:no"]["reason"]
    shown = platoon.ctl("drain", "dead", "visits", "show", str(dead["v:no"]["seq"]))
    assert "app" in shown.stdout and "a" in shown.stdout


def test_dead_letters_retry_and_drop(platoon):
    platoon.configure(drain={"key": "{id}", "missing_retry": "20ms"}).start()
    platoon.add({f"v:{i}": {"n": str(i)} for i in range(5)})
    platoon.drained()
    dead = letters(platoon)
    assert len(dead) == 5
    # Mended in place: retried, it arrives.
    seq = dead["v:3"]["seq"]
    platoon.redis().hset(f"platoon:{{visits}}:dead:{seq}:data", "id", "mended")
    assert platoon.ctl("drain", "dead", "visits", "retry", str(seq)).returncode == 0
    platoon.drained()
    assert platoon.data() == {"mended": {"n": "3", "id": "mended"}}
    assert platoon.ctl("drain", "dead", "visits", "drop", str(dead["v:1"]["seq"])).returncode == 0
    assert set(letters(platoon)) == {"v:0", "v:2", "v:4"}
    # Not mended: it comes back to the dead letters.
    assert platoon.ctl("drain", "dead", "visits", "retry", "all").returncode == 0
    platoon.drained()
    assert set(letters(platoon)) == {"v:0", "v:2", "v:4"}
    assert platoon.ctl("drain", "dead", "visits", "drop", "all").returncode == 0
    assert platoon.dead() == []
    assert not platoon.redis().keys("platoon:{visits}:dead*")


def test_shard_of_a_cluster(platoon, redis_server):
    """proto/SCALING.md: set and hashes share the drain's hash tag; what is in another slot cannot be moved: it stays where it is, and the tree says so."""
    server = redis_server("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    client = server.client()
    client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
    client.execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
    wait_until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), 10, "the cluster")
    platoon.configure(redis={"url": server.url}, drain={"set": "tracking:{visits}", "max_attempts": 2})
    platoon.redis_url = server.url
    platoon.start()
    expected = {f"visit:{{visits}}:{i}": {"n": str(i)} for i in range(300)}
    platoon.add(expected, client=client, key="tracking:{visits}")
    platoon.drained()
    assert platoon.data() == expected
    client.hset("visit:elsewhere", mapping={"n": "1"})
    client.sadd("tracking:{visits}", "visit:elsewhere")
    wait_until(lambda: "RENAME visit:elsewhere: the key lies in another slot" in platoon.problems(), 20, "the refusal to be told")
    assert client.hgetall("visit:elsewhere") == {b"n": b"1"} and client.smembers("tracking:{visits}") == {b"visit:elsewhere"}
    assert platoon.dead() == []
    platoon.add({"visit:{visits}:more": {"n": "1"}}, client=client, key="tracking:{visits}")
    wait_until(lambda: "visit:{visits}:more" in platoon.data(), 10, "the others to be stored meanwhile")
