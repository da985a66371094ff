-- status: queue... -> msgpack array, for each [queue, registered, pattern, raw, paused, waiting, in_flight, delayed, dead, facets, oldest_ms (-1: unknown, or nothing
--   waits), delivered, acked, retried, expired, late, moved, [what is wrong with a key, ...]]; without a queue: the names there are
--
-- oldest_ms is that of the next turns' facets: of one in turn nothing waits longer than a round. Reads only. O(queues).
local TURNS = 50
local function names_of_all()
  local names, seen = {}, {}
  for _, key in ipairs({REGISTERED, QUEUES}) do
    for _, name in ipairs(read('HKEYS', key) or {}) do
      if not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return names
end

local function oldest_of(q)
  local oldest, seen, bytes = nil, {}, 0
  for _, name in ipairs(read('LRANGE', q.turns, num(-TURNS), '-1') or {}) do
    local head = not seen[name] and bytes < 1024 * 1024 and read('LINDEX', q.keys .. name, '-1')
    seen[name] = true
    local at = head and at_of(q, head)
    bytes = bytes + (head and #head or 0)
    oldest = at and (not oldest or at < oldest) and at or oldest
  end
  return oldest and max(0, now - oldest)
end

local KINDS = {turns = 'list', pool = 'hash', active = 'set', length = 'string', weights = 'hash', cap = 'string'}
local function wrong_keys(q)
  local wrong = {}
  if is_our_name(q.name) then
    wrong[1] = 'no queue can have this name: nothing is delivered to it'
  end
  local function look(key, kind)
    local is = call('TYPE', key).ok
    if is ~= 'none' and is ~= kind then
      wrong[#wrong + 1] = key .. ' holds a ' .. is .. ', and no ' .. kind
    end
  end
  for key, kind in pairs(KINDS) do
    look(q[key], kind)
  end
  look(REGISTERED, 'hash')
  look(QUEUES, 'hash')
  table.sort(wrong)
  return wrong
end

if #ARGV == 0 then
  return cmsgpack.pack(names_of_all())
end
local rows = {}
for i, name in ipairs(ARGV) do
  local q, settings = queue_of(name), read('HGET', QUEUES, name)
  q.raw = not settings
  local pattern = read('HGET', REGISTERED, name)
  if not settings and not pattern then
    return refuse('NOQUEUE', 'there is no queue ' .. name)
  end
  local c = read('HMGET', q.stats, 'delivered', 'acked', 'retried', 'expired', 'late', 'moved') or {}
  rows[i] = {name, pattern and 1 or 0, pattern or '', settings and 0 or 1, settings_of(settings).paused and 1 or 0, count_of(read('GET', q.length)),
    settings and count_of(read('ZCARD', q.leases)) or count_of(read('ZCARD', q.keys .. 'inflight')), count_of(read('ZCARD', q.later)),
    count_of(read('ZCARD', q.dead)), count_of(read('SCARD', q.active)), oldest_of(q) or -1, count_of(c[1]), count_of(c[2]), count_of(c[3]),
    count_of(c[4]), count_of(c[5]), count_of(c[6]), wrong_keys(q)}
end
return cmsgpack.pack(rows)
