"""A client as the original's (Fairway): it brings its own scripts, and knows nothing of platoon. What test/unit/queue/queue_fixture.c has in C."""
DELIVER = """
local n, topic, facet, body, call = KEYS[1], ARGV[1], ARGV[2], ARGV[3], redis.call
local all = call('hgetall', n .. 'registered_queues')
for i = 1, #all, 2 do
  if string.find(topic, all[i + 1]) then
    local q = n .. all[i] .. ':'
    local len = call('lpush', q .. facet, body)
    call('incr', q .. 'length')
    local has = tonumber(call('hget', q .. 'facet_pool', facet)) or 0
    local most = math.min(len, tonumber(call('hget', q .. 'priorities', facet)) or 1)
    local limit = tonumber(call('get', q .. 'limit')) or 0
    if limit > 0 then most = math.min(most, limit - call('scard', q .. facet .. ':inflight')) end
    if most > has then
      call('lpush', q .. 'facet_queue', facet)
      call('hset', q .. 'facet_pool', facet, has + 1)
    end
    call('sadd', q .. 'active_facets', facet)
  end
end
call('publish', n .. topic, body)
"""

PULL = """
local call, n = redis.call, KEYS[1]
local function manage(q, f)
  local has = tonumber(call('hget', q .. 'facet_pool', f)) or 0
  local limit, busy, len = tonumber(call('get', q .. 'limit')) or 0, call('scard', q .. f .. ':inflight'), call('llen', q .. f)
  local most = math.min(len, tonumber(call('hget', q .. 'priorities', f)) or 1)
  if limit > 0 then most = math.min(most, limit - busy) end
  if most < has then call('hset', q .. 'facet_pool', f, has - 1)
  elseif most > has then
    call('lpush', q .. 'facet_queue', f, f)
    call('hset', q .. 'facet_pool', f, has + 1)
  else call('lpush', q .. 'facet_queue', f) end
  if len == 0 and busy == 0 then
    call('hdel', q .. 'facet_pool', f)
    call('srem', q .. 'active_facets', f)
  end
end
for _, name in ipairs(ARGV) do
  local q = n .. name .. ':'
  local f = call('rpop', q .. 'facet_queue')
  if f then
    local m = call('rpop', q .. f)
    if m then call('decr', q .. 'length') end
    manage(q, f)
    return {name, m}
  end
end
"""


class OriginalClient:
    """`client`: of redis-py; `space`: the namespace with its colon."""

    def __init__(self, client, space):
        self.space = space
        self.deliver_script, self.pull_script = client.register_script(DELIVER), client.register_script(PULL)

    def deliver(self, topic, facet, body, client=None):
        self.deliver_script(keys=[self.space], args=[topic, facet, body], client=client)

    def pull(self, *queues, client=None):
        """(queue, body) or None; of a turn whose facet was empty, the body is None."""
        row = self.pull_script(keys=[self.space], args=queues, client=client)
        return (row[0], row[1] if len(row) > 1 else None) if row else None
