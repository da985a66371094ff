"""The ledger's Lua scripts (proto/drain/) and fields with a time to live of their own (HEXPIRE): what is claimed cannot expire, as it cannot with its key.

On a server that has HEXPIRE (REDIS_SERVER names its program) this is asked of it. On an older one the scripts see what stands in EMULATION
in front of the server: the answers of Redis 8.0.2 to HPERSIST, INFO keyspace, OBJECT ENCODING and HSCAN NOVALUES, as they were recorded; the times
to live are kept beside each key, and go with it.

Reported of Redis: redis#13303, #13302.
"""
import pytest

from ledger_fixture import Ledger, PREFIX, SET, ledger, server  # noqa: F401 (fixtures)

# MODE: field (HEXPIRE is there), valkey (the same, counted under another name), secret (no INFO), renamed (HPERSIST renamed away), refused (ACL). "ttl:KEY" holds field to milliseconds.
EMULATION = """
local MODE, real = '%s', redis
local redis = setmetatable({pcall = function(...)
  local command, key = ...
  local args = {select(3, ...)}
  local function record()
    real.call('RPUSH', 'asked', command)
  end
  if command == 'INFO' then
    record()
    if MODE == 'secret' then
      return {err = "ERR The user executing the script can't run this command or subcommand script: f"}
    end
    local name = MODE == 'valkey' and 'keys_with_volatile_items' or 'subexpiry'
    return '# Keyspace\\r\\ndb0:keys=7,expires=0,avg_ttl=0,' .. name .. '=' .. #real.call('KEYS', 'ttl:*') .. '\\r\\n'
  elseif command == 'HPERSIST' then
    record()
    if MODE == 'renamed' then
      return {err = 'ERR Unknown Redis command called from script script: f, on @user_script:1.'}
    elseif MODE == 'refused' then
      return {err = "ERR The user executing the script can't run this command or subcommand script: f"}
    end
    assert(args[1] == 'FIELDS' and tonumber(args[2]) == #args - 2)
    local answers = {}
    for i = 3, #args do
      local there = real.call('HEXISTS', key, args[i]) == 1
      answers[i - 2] = not there and -2 or real.call('HDEL', 'ttl:' .. key, args[i]) == 1 and 1 or -1
    end
    return answers
  elseif command == 'HSCAN' then
    record()
    local page, names = real.pcall('HSCAN', key, args[1], args[2], args[3]), {}
    assert(args[4] == 'NOVALUES')
    for i = 1, #page[2], 2 do
      names[#names + 1] = page[2][i]
    end
    return {page[1], names}
  elseif command == 'OBJECT' and real.call('EXISTS', 'ttl:' .. args[1]) == 1 then
    return real.call('HLEN', args[1]) <= 512 and 'listpackex' or 'hashtable'
  elseif command == 'RENAME' and real.call('EXISTS', 'ttl:' .. key) == 1 then
    real.call('RENAME', 'ttl:' .. key, 'ttl:' .. args[1])
  end
  return real.pcall(...)
end}, {__index = real})
"""


class Fields(Ledger):
    """A ledger on a server that has HEXPIRE, or, with a mode, seems to."""

    def __init__(self, client, mode=None):
        super().__init__(client)
        self.mode = mode or (None if has_fields(client) else "field")
        if self.mode:
            self.scripts = {name: client.register_script(EMULATION % self.mode + script.script) for name, script in self.scripts.items()}

    def expire(self, key, *fields, ms=60000):
        if self.mode:
            self.r.hset(f"ttl:{key}", mapping={field: ms for field in fields})
        else:
            self.r.execute_command("HPEXPIRE", key, ms, "FIELDS", len(fields), *fields)

    def expiring(self, key):
        """The fields of a key that have a time to live."""
        if self.mode:
            return set(self.r.hkeys(f"ttl:{key}"))
        names = self.r.hkeys(key)
        return {name for name, ms in zip(names, self.r.execute_command("HPTTL", key, "FIELDS", len(names), *names)) if ms >= 0}

    def asked(self):
        return self.r.lrange("asked", 0, -1)


def has_fields(client):
    return "hpersist" in client.command()


@pytest.fixture
def fields(ledger):
    return Fields(ledger.r)


def aside(claim):
    return {member.decode(): f"{PREFIX}aside:{seq}" for seq, member, _ in claim.members}


def test_a_field_cannot_expire_in_what_is_claimed(fields):
    fields.add("v:1", "v:2", "v:3", fields={"app": "shop", "path": "/", "n": "1"})
    fields.expire("v:1", "app", "path")
    fields.expire("v:2", "n")
    keys = aside(fields.claim())
    for key in keys.values():
        assert fields.r.hlen(key) == 3 and fields.expiring(key) == set()
    assert sorted(keys) == ["v:1", "v:2", "v:3"]


def test_of_a_large_hash_every_field_is_kept(fields):
    fields.add("v:wide", fields={f"{n:05}" + "x" * 60: "1" for n in range(9000)})
    fields.expire("v:wide", *[f"{n:05}" + "x" * 60 for n in range(0, 9000, 7)])
    key = aside(fields.claim())["v:wide"]
    assert fields.r.hlen(key) == 9000 and fields.expiring(key) == set()


def test_nor_in_one_that_comes_late(fields):
    fields.r.sadd(SET, "v:late")
    assert fields.claim() is None
    fields.r.hset("v:late", mapping={"app": "shop", "n": "1"})
    fields.expire("v:late", "n")
    assert fields.look() == (1, 1)
    assert fields.expiring(aside(fields.claim())["v:late"]) == set()


def test_the_application_may_set_it_anew(fields):
    fields.add("v:1", fields={"n": "1"})
    fields.expire("v:1", "n")
    fields.claim()
    fields.add("v:1", fields={"n": "2"})
    fields.expire("v:1", "n")
    assert fields.expiring("v:1") == {b"n"}
    assert fields.expiring(aside(fields.claim())["v:1"]) == set()


def test_what_stays_in_place_keeps_them(fields):
    """consume = keep"""
    fields.add("v:1", fields={"app": "shop", "n": "1"})
    fields.expire("v:1", "n")
    assert fields.claim(consume="keep").n == 1
    assert fields.expiring("v:1") == {b"n"}


def test_a_key_of_another_type_is_moved_as_ever(fields):
    fields.add("v:1")
    fields.expire("v:1", "of")
    fields.r.set("v:text", "x")
    fields.r.sadd(SET, "v:text")
    assert len(fields.claim().members) == 2


@pytest.mark.parametrize("mode", ["field", "valkey"])
def test_where_no_hash_has_such_fields_nothing_more_is_asked(ledger, mode):
    fields = Fields(ledger.r, mode)
    fields.add("v:1", "v:2", "v:3")
    assert fields.claim().n == 3
    assert fields.asked() == [b"INFO"]


def test_nor_on_a_server_that_has_none_of_it(ledger):
    """Nor where it has it and no hash has any."""
    def calls(members):
        ledger.r.config_resetstat()
        ledger.add(*members)
        assert ledger.claim().n == len(members)
        return {name: stats["calls"] for name, stats in ledger.r.info("commandstats").items()}

    few, many = calls(["v:1"]), calls([f"w:{n}" for n in range(200)])
    grown = {name for name, count in many.items() if count >= few.get(name, 0) + 190}
    assert grown == {"cmdstat_hset", "cmdstat_hlen", "cmdstat_rename", "cmdstat_persist"}, grown


@pytest.mark.parametrize("mode", ["valkey", "secret"])
def test_however_the_server_lets_us_know(ledger, mode):
    fields = Fields(ledger.r, mode)
    fields.add("v:1", "v:2", fields={"app": "shop", "n": "1"})
    fields.expire("v:1", "n")
    keys = aside(fields.claim())
    assert len(keys) == 2 and fields.expiring(keys["v:1"]) == set()


@pytest.mark.parametrize("mode", ["renamed", "refused"])
def test_a_refusal_leaves_alone_what_may_expire_and_is_told(ledger, mode):
    fields = Fields(ledger.r, mode)
    fields.add("v:1", "v:2", fields={"app": "shop", "n": "1"})
    fields.expire("v:1", "n")
    claim = fields.claim()
    assert [member for _, member, _ in claim.members] == [b"v:2"] and claim.refusal.startswith(b"platoon: HPERSIST v:1\t")
    assert fields.r.smembers(SET) == {b"v:1"} and fields.expiring("v:1") == {b"n"}
    assert fields.claim() is None and fields.r.smembers(SET) == {b"v:1"}
    assert [member for _, member, _ in Fields(ledger.r, "field").claim().members] == [b"v:1"]
