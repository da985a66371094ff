"""The ledger's Lua scripts (proto/drain/) when Redis refuses one of their commands: each command, each script, in each manner. Nothing may have
changed then, the error says which command it was, and the script does its work once the right is there.

Reported of others: redisson#5439, #2225, bull#2113, conductor#665, redis#986.
"""
import contextlib
import re

import msgpack
import pytest
import redis

from ledger_fixture import A, LEASE, LUA, Ledger, PREFIX, SET, VIA, ledger, server  # noqa: F401 (fixtures)

COMMANDS = sorted({command for path in LUA.glob("*.lua")
                   for command in re.findall(r"(?:call\(|\{)'([A-Z]+)'", path.read_text())})
NAMES = ["claim", "claim keep", "claim full", "take", "renew", "status", "dead_list", "dead_show", "dead_retry", "dead_drop", "orphans",
         "recover", "dead", "split", "release", "again", "ack", "look", "sign"]
# Not every server knows these, and one that does not refuses the ACL line; the manual has another for them. test_ledger_fields.py sweeps them.
NEWER = {"HPERSIST"}
IN_PLACE = 2  # a member's state in a claim: lib.lua
# How many records leave the ledger by these scripts; by the others none.
LEAVE = {"ack": 3, "dead_drop": 1}
# What a script that is refused may leave: a number is lost, what commands are tried with, and whose ledger it is.
HARMLESS = {f"{PREFIX}{name}".encode() for name in ("seq", "stats", "owner")}


def rights():
    """The words of the ACL SETUSER line in platoon.conf(5)."""
    page = (LUA.parents[1] / "etc/man/platoon.conf.5").read_text()
    line = page[page.index("ACL SETUSER visits"):].partition("\n.Ed")[0]
    return line.replace("\\e\n", " ").split()[3:]


@pytest.mark.parametrize("name", NAMES)
def test_the_rights_of_the_manual_are_enough(ledger, name):
    call = scene(ledger)[name]
    words = [word for word in rights() if not word.startswith((">", "~", "&"))]
    ledger.r.execute_command("ACL", "SETUSER", "narrow", "reset", "nopass", *words, f"~{PREFIX}*", f"~{SET}", "~v:*")
    narrow = redis.Redis(unix_socket_path=ledger.r.connection_pool.connection_kwargs["path"], username="narrow", password="x")
    Ledger(narrow).run(*call)
    narrow.close()
    ledger.r.acl_deluser("narrow")


@contextlib.contextmanager
def user(ledger, keys=("*",), refused=()):
    """The ledger as a user sees it who lacks these commands, or may touch only these keys."""
    ledger.r.acl_setuser("narrow", reset=True, enabled=True, nopass=True, categories=["+@all"],
                         commands=[f"-{command}" for command in refused], keys=list(keys))
    narrow = redis.Redis(unix_socket_path=ledger.r.connection_pool.connection_kwargs["path"], username="narrow", password="x")
    yield Ledger(narrow)
    narrow.close()
    ledger.r.acl_deluser("narrow")


def kept(ledger):
    """All that must not change."""
    dump = {key: value for key, value in ledger.dump().items() if key not in HARMLESS and b":taken:" not in key}
    return dump, {name: count for name, count in ledger.stats().items() if count}


def records(ledger):
    """Member to its fields, wherever they are: in the set, in a claim, in a dead letter."""
    found = {member: ledger.r.hgetall(member) for member in ledger.r.smembers(SET)}
    for key in ledger.r.keys(PREFIX + "claim:*"):
        for seq, member, state in msgpack.unpackb(ledger.r.hget(key, "members"), raw=True):
            found[member] = ledger.r.hgetall(member if state == IN_PLACE else f"{PREFIX}aside:{seq}")
    for seq in ledger.r.zrange(PREFIX + "dead", 0, -1):
        key = f"{PREFIX}dead:{int(seq)}"
        found[ledger.r.hget(key, "member")] = ledger.r.hgetall(key + ":data")
    return found


def scene(ledger):
    """A ledger in which every script has something to do: name to the call."""
    ledger.r.sadd(SET, "v:none")
    ledger.claim()  # it waits for its hash
    ledger.add("v:1", "v:2", "v:3", "v:4", "v:5", "v:6", "v:7", "v:8")
    letters = [ledger.claim(batch=1) for _ in range(2)]
    for letter in letters:
        ledger.run("dead", letter.id, A, letter.members[0][0], "why")
    first, second = (letter.members[0][0] for letter in letters)
    held = ledger.claim(batch=3)
    seqs = [seq for seq, _, _ in held.members]
    return {
        "claim": ("claim", 2, LEASE, A, VIA, "take", 5, 0, 0, 0, "db"),
        "claim keep": ("claim", 2, LEASE, A, VIA, "keep", 5, 0, 0, 0, "db"),
        "claim full": ("claim", 2, LEASE, A, VIA, "take", 5, 0, 1, 0, "db"),
        "take": ("take", held.id, A, LEASE),
        "renew": ("renew", A, LEASE, held.id),
        "status": ("status",),
        "dead_list": ("dead_list", 10),
        "dead_show": ("dead_show", first),
        "dead_retry": ("dead_retry", 10, first),
        "dead_drop": ("dead_drop", 10, second),
        "orphans": ("orphans", "aa", 2, 3 * LEASE),
        "recover": ("recover", VIA),
        "dead": ("dead", held.id, A, seqs[0], "why"),
        "split": ("split", held.id, A, 0, 1, seqs[1]),
        "release": ("release", held.id, A, 0, "why", 1),
        "again": ("claim", 2, LEASE, A, VIA, "take", 5, 0, 0, 0, "db"),
        "ack": ("ack", held.id, 1),
        "look": ("look", 5, 0, 500),
        "sign": ("sign", "take", "another", "aa"),
    }


def test_the_list_of_commands_is_whole():
    assert {"SPOP", "RENAME", "PERSIST", "PEXPIRE", "UNLINK", "SADD", "HGETALL", "ZADD", "TIME"} <= set(COMMANDS)


@pytest.mark.parametrize("name", NAMES)
def test_no_command_of_a_script_can_be_refused_half_way(ledger, name):
    call = scene(ledger)[name]
    if name == "again":
        ledger.due_now()
    refusals = 0
    for command in sorted(set(COMMANDS) - NEWER):
        before, held = kept(ledger), records(ledger)
        with user(ledger, refused=[command.lower()]) as narrow:
            try:
                narrow.run(*call)
            except redis.ResponseError as error:
                refusals += 1
                assert f"platoon: {command}" in str(error), (command, error)
                assert kept(ledger) == before, command
                continue
        # It was not needed this time: what it did is whole, and the next command meets the scene anew.
        after = records(ledger)
        assert after.items() <= held.items() and len(held) - len(after) == LEAVE.get(name, 0), command
        ledger.r.flushall()
        call = scene(ledger)[name]
        if name == "again":
            ledger.due_now()
    assert refusals > 0
    ledger.run(*call)


@pytest.mark.parametrize("keys", [["platoon:*", SET, "%R~v:*"], ["platoon:*", SET]], ids=["read only", "none"])
def test_members_that_may_not_be_moved_go_back_to_the_set(ledger, keys):
    ledger.add("v:1", "v:2")
    before = kept(ledger)
    with acl_keys(ledger, keys) as narrow:
        left, refusal = narrow.run("claim", 500, LEASE, A, VIA, "take", 5, 0, 0, 0, "db")
        assert left == 2 and re.match(rb"platoon: (RENAME|HLEN) v:[12]\t", refusal)
    assert kept(ledger) == before
    assert len(ledger.claim().members) == 2


def test_members_that_may_not_be_read_go_back_to_the_set_too(ledger):
    """consume = keep"""
    ledger.add("v:1", "v:2", "w:1")
    with acl_keys(ledger, ["platoon:*", SET, "w:*"]) as narrow:
        claim = narrow.claim(consume="keep")
        assert [member for _, member, _ in claim.members] == [b"w:1"] and b"HGETALL v:" in claim.refusal
    assert ledger.r.smembers(SET) == {b"v:1", b"v:2"} and ledger.stats() == {"claimed": 1}


def test_the_others_are_claimed_and_the_refusal_is_told(ledger):
    ledger.add("v:1", "v:2", "w:1")
    with acl_keys(ledger, ["platoon:*", SET, "w:*"]) as narrow:
        claim = narrow.claim()
        assert [member for _, member, _ in claim.members] == [b"w:1"] and b" v:" in claim.refusal
        assert narrow.claim() is None
    assert ledger.r.smembers(SET) == {b"v:1", b"v:2"} and ledger.stats() == {"claimed": 1}


# Rights that differ from key to key, which Redis 7 has: the set has a selector of its own.
SELECTORS = ["~platoon:*", "(~platoon:* ~pending +evalsha +eval)", "(~w:* ~platoon:* +@all)"]


@pytest.mark.parametrize("consume", ["take", "keep"])
@pytest.mark.parametrize("lacks", ["+scard +spop +srandmember", "+scard +spop +sadd", "+scard +sadd +srandmember", "+spop +sadd +srandmember"])
def test_nothing_leaves_the_set_that_could_not_go_back(ledger, lacks, consume):
    """A member that may not be touched goes back with SADD, which may be refused on the set alone."""
    ledger.add("v:1", "w:1", "w:2")
    before = kept(ledger)
    with acl_keys(ledger, [*SELECTORS, f"(~{SET} {lacks})"]) as narrow:
        with pytest.raises(redis.ResponseError, match=rf"platoon: (SADD|SRANDMEMBER|SPOP|SCARD) {SET}\t"):
            narrow.claim(consume=consume)
    assert kept(ledger) == before
    with acl_keys(ledger, [*SELECTORS, f"(~{SET} +scard +spop +sadd +srandmember)"]) as narrow:
        assert sorted(member for _, member, _ in narrow.claim(consume=consume).members) == [b"w:1", b"w:2"]
    assert ledger.r.smembers(SET) == {b"v:1"} and ledger.stats() == {"claimed": 2}


def look_now(ledger):
    """All that waits is due."""
    ledger.r.zadd(PREFIX + "waiting", {id_: 0 for id_ in ledger.r.zrange(PREFIX + "waiting", 0, -1)})


def test_a_hash_that_comes_late_and_may_not_be_moved_is_no_dead_letter(ledger):
    ledger.r.sadd(SET, "v:late", "v:never")
    assert ledger.claim() is None
    ledger.r.hset("v:late", "n", "1")
    with acl_keys(ledger, ["platoon:*", SET, "%R~v:*"]) as narrow:
        for _ in range(7):
            look_now(ledger)
            assert b"RENAME v:late" in narrow.run("look", 5, 0, 500)[3]
    assert [letter[1] for letter in ledger.run("dead_list", 9)] == [b"v:never"]
    look_now(ledger)
    assert ledger.run("look", 5, 0, 500)[1] == 1
    assert ledger.claim().members[0][1:] == (b"v:late", 0)


def test_a_look_that_is_refused_is_no_attempt(ledger):
    """Nor is it when others of the same claim are looked for: these end as letters in their time."""
    ledger.r.sadd(SET, "v:late", "w:never")
    assert ledger.claim() is None
    with acl_keys(ledger, ["platoon:*", SET, "w:*"]) as narrow:
        for _ in range(7):
            look_now(ledger)
            assert b" v:late" in narrow.run("look", 5, 0, 500)[3]
    assert [letter[1] for letter in ledger.run("dead_list", 9)] == [b"w:never"]
    for _ in range(3):
        look_now(ledger)
        assert ledger.look() == (1, 0)
    assert ledger.waiting() == {b"v:late": 1} and ledger.stats()["claimed"] == 1
    ledger.r.hset("v:late", "n", "1")
    look_now(ledger)
    assert ledger.look() == (1, 1)
    assert ledger.claim().members[0][1:] == (b"v:late", 0)
    assert len(ledger.r.keys(PREFIX + "claim:*")) == 1 and ledger.r.zcard(PREFIX + "waiting") == 0


def test_a_claim_that_an_older_platoon_left_empty_goes(ledger):
    ledger.r.hset(PREFIX + "claim:5", mapping={"owner": A, "via": "", "attempts": 1, "at": 1, "n": 0, "members": b"\x90", "run": ""})
    ledger.r.zadd(PREFIX + "claims", {"5": 0})
    assert ledger.claim() is None
    assert ledger.r.keys(PREFIX + "claim*") == []


@contextlib.contextmanager
def acl_keys(ledger, keys):
    ledger.r.execute_command("ACL", "SETUSER", "narrow", "reset", "on", "nopass", "+@all", *[key if key[0] in "%(~" else f"~{key}" for key in keys])
    narrow = redis.Redis(unix_socket_path=ledger.r.connection_pool.connection_kwargs["path"], username="narrow", password="x")
    yield Ledger(narrow)
    narrow.close()
    ledger.r.acl_deluser("narrow")
