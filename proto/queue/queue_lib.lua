-- queue_lib.lua: what every script of the queues shares; scripts/lib/embed puts it behind queue_match, redis/call and queue_turns.
--
-- Arguments of every script: KEYS[1] the namespace N, "shop:" or "", from which all keys are made; what stands in ARGV, and what is
-- answered, say the first lines of each.
--
-- A script reads what it needs into a queue and its facets, changes these, and writes once, at its end (queue_write): Redis does not roll a
-- script back, and may refuse any command of it (access rules, which it checks at each call; a wrong type; OOM). So each command is
-- tried by a call that changes nothing, or nothing that counts, before the first that does.
--
-- As a library (scripts/lib/functions) all of this is made once, and `begin` (queue_begin) makes each call's own state.
local N, P, SEQ, INBOX, QUEUES, TRY, REGISTERED, VOUCHED, TOPICS, args
-- Redis' clock at this call; its queues; what of the rights has been tried; the last number that was given; what else parts remember.
local clock_us, now, now_text, queues, tried, last_id, run
-- Where a message is: handed out; waiting again; waiting again because its lease ran out, so that an ack still counts; until its time has
-- come; dead; dead because its lease ran out.
local LEASED, BACK, LATE, LATER, DEAD, DEAD_LATE = 1, 2, 3, 4, 5, 6
-- Times have at most 16 digits in an envelope, and what comes in more than a hundred years is a mistake.
local NAME_MAX, REASON_MAX, DELAY_MAX = 512, 200, 100 * 365 * 86400 * 1000
local HASH_MANY, HASH_SMALL = 16, 256
-- Names of the original's keys of a queue. Facets of ours that are named so, or end or start so as to be taken for something else, are stored with = in front.
local OURS = {facet_queue = true, facet_pool = true, active_facets = true, length = true, priorities = true, limit = true, inflight = true}
local max, min, floor, pack, unpack_msgpack = math.max, math.min, math.floor, cmsgpack.pack, cmsgpack.unpack
local byte, match = string.byte, string.match

local function begin(keys, argv)
  local t = call('TIME')
  clock_us = tonumber(t[1]) * 1000000 + tonumber(t[2])
  now = floor(clock_us / 1000)
  now_text = num(now)
  N, args, queues, tried, last_id = keys[1], argv, {}, {}, nil
  P = N .. 'platoon:'
  SEQ, INBOX, QUEUES, TRY, REGISTERED = P .. 'seq', P .. 'inbox', P .. 'queues', P .. 'try', N .. 'registered_queues'
  VOUCHED, TOPICS = P .. 'vouched', P .. 'topics'
  run = {wanting = {}, stored = {}, touched = {}, found = {}}
end

local function refuse(code, text)
  return redis.error_reply(code .. ' ' .. text)
end

local function is_error(answer)
  return type(answer) == 'table' and answer.err
end

local function is_wrong_type(answer)
  return is_error(answer) and find(answer.err, 'WRONGTYPE', 1, true) ~= nil
end

-- What there is, or nil: also for a key of a type that it must not have, which is as if it were not there (status names it).
local function read(...)
  local answer = pcall(...)
  if is_error(answer) and not is_wrong_type(answer) then
    error(refused(answer.err, ...), 0)
  end
  return not is_error(answer) and answer or nil
end

local function count_of(value)
  return max(0, floor(tonumber(value or 0) or 0))
end

local function cut_reason(text)
  return #text <= REASON_MAX and text or string.sub(text, 1, REASON_MAX)
end

-- ---- numbers ----
-- Never behind Redis' clock: a Redis that has lost its memory gives no id again, so that no receipt of before is good for another message.
local function take_id()
  last_id = max((last_id or tonumber(read('GET', SEQ) or '0') or 0) + 1, clock_us)
  return num(last_id)
end

local function write_ids()
  if last_id then
    call('SET', SEQ, num(last_id))
  end
end

-- ---- what stands in lists ----

-- `at`: in digits.
local function envelope(id, at, body)
  return '\0001' .. id .. ' ' .. at .. ' ' .. body
end

local function reference(id)
  return '\000r' .. id
end

-- As cmsgpack's pack, which makes a string of each part.
local text_heads = {}

local function packed_text(text)
  local len = #text
  local head = text_heads[len]
  if not head then
    head = len < 32 and string.char(160 + len) or len < 256 and string.char(217, len) or len < 65536 and string.char(218, floor(len / 256), len % 256) or
      string.char(219, floor(len / 16777216), floor(len / 65536) % 256, floor(len / 256) % 256, len % 256)
    text_heads[len] = len < 4096 and head or nil
  end
  return head .. text
end

-- id, time, body of an envelope; id of a reference; nil, nil, the body of all else.
local function opened(element)
  if byte(element, 1) ~= 0 then
    return nil, nil, element
  end
  local id, at, from = match(element, '^%z1(%d+) (%d+) ()')
  if id and #id <= 16 and #at <= 16 then
    return id, tonumber(at), string.sub(element, from)
  end
  id = match(element, '^%zr(%d+)$')
  if id and #id <= 16 then
    return id
  end
  return nil, nil, element
end

local function stored_name(facet)
  return (OURS[facet] or byte(facet, 1) == 61 or string.sub(facet, -9) == ':inflight') and '=' .. facet or facet
end

local function shown_name(stored)
  return string.sub(stored, 1, 1) == '=' and string.sub(stored, 2) or stored
end

-- ---- queues ----
-- Settings of platoon's own: "MAX_ATTEMPTS RETRY_MIN_MS RETRY_MAX_MS MESSAGE_MAX PAUSED". A queue without is raw: its lists have bare bodies, which the original's clients pull.

local function settings_of(text)
  local a, b, c, d, e = match(text or '', '^(%d+) (%d+) (%d+) (%d+) (%d)')
  return {max_attempts = tonumber(a or 5), retry_min = tonumber(b or 1000), retry_max = tonumber(c or 600000),
    message_max = tonumber(d or 1048576), paused = e == '1'}
end

local function queue_of(name)
  local keys, own = N .. name .. ':', P .. name .. ':'
  return {name = name, keys = keys, own = own, turns = keys .. 'facet_queue', pool = keys .. 'facet_pool', active = keys .. 'active_facets',
    length = keys .. 'length', weights = keys .. 'priorities', cap = keys .. 'limit', held = own .. 'held', leases = own .. 'leases',
    later = own .. 'later', dead = own .. 'dead', flight = own .. 'flight', stats = own .. 'stats', slow = own .. 'paused',
    facets = {}, order = {}, new_turns = {}, set = {}, sets = 0, drop = {}, add = {}, remove = {}, delta = 0, counts = {}, longest = 1}
end

-- Bodies that somebody's client has pushed where a key of the queue is read (facet `limit`): they become that facet's, which is stored as
-- `=limit`, at once, so that the key is free again. False when it is something else. `counted`: the pusher has counted them.
local adopt_bodies

-- No queue's: its keys would be ours.
local function is_our_name(name)
  return name == '' or name == 'inbox' or name == 'platoon' or string.sub(name, 1, 8) == 'platoon:'
end

-- nil, and an answer, when there is no such queue.
local function open_queue(name)
  if queues[name] then
    return queues[name]
  end
  local settings = read('HGET', QUEUES, name)
  if not settings and (is_our_name(name) or read('HEXISTS', REGISTERED, name) ~= 1) then
    return nil, refuse('NOQUEUE', 'there is no queue ' .. name)
  end
  local q = queue_of(name)
  q.settings, q.raw = settings_of(settings), not settings
  q.most = q.settings.message_max
  local limit = pcall('GET', q.cap)
  if is_wrong_type(limit) then
    adopt_bodies(q, 'limit', true)
    limit = nil
  elseif is_error(limit) then
    error(refused(limit.err, 'GET', q.cap), 0)
  end
  q.limit = count_of(limit)
  queues[name] = q
  return q
end

-- In flight of a raw queue: what the original's Go client has leased.
local function foreign_flight(q, name)
  local key = q.keys .. name .. ':inflight'
  local members = pcall('SCARD', key)
  if is_error(members) and not is_wrong_type(members) then
    error(refused(members.err, 'SCARD', key), 0)
  end
  return not is_error(members) and members or count_of(read('GET', key))
end

local function weight_of(value)
  return floor(max(0, min(100, tonumber(value) or 1)))
end

-- Of these fields the values, as HMGET says. In a small hash Redis looks for each from its beginning: who wants many has it whole.
local function hash_read(key, names, from, to)
  local count = to - from + 1
  local size = count >= HASH_MANY and pcall('HLEN', key)
  if not size or is_error(size) or size > 2 * count or size > HASH_SMALL then
    return pcall('HMGET', key, unpack(names, from, to))
  end
  local values, found = {}, {}
  local all = size > 0 and call('HGETALL', key) or values
  for i = 1, #all, 2 do
    found[all[i]] = all[i + 1]
  end
  for i = 1, size > 0 and count or 0 do
    values[i] = found[names[from + i - 1]] or false
  end
  return values
end

-- Of each of these names the turns it has, its weight and what it has in flight. LLEN waits until it is asked for (facet_waiting).
local function facets_read(q, names)
  local new, seen = {}, {}
  for _, name in ipairs(names) do
    if not q.facets[name] and not seen[name] then
      seen[name] = true
      new[#new + 1] = name
    end
  end
  for from = 1, #new, CHUNK do
    local to = min(from + CHUNK - 1, #new)
    local turns, weights = hash_read(q.pool, new, from, to), hash_read(q.weights, new, from, to)
    if is_wrong_type(turns) and adopt_bodies(q, 'facet_pool', true) then
      turns = {}
    elseif is_error(turns) then
      error(refused(turns.err, 'HMGET', q.pool), 0)
    end
    if is_wrong_type(weights) then
      adopt_bodies(q, 'priorities', true)
      weights = {}
    elseif is_error(weights) then
      error(refused(weights.err, 'HMGET', q.weights), 0)
    end
    local flights = not q.raw and hash_read(q.flight, new, from, to)
    if is_error(flights) then
      error(refused(flights.err, 'HMGET', q.flight), 0)
    end
    for i = from, to do
      local j = i - from + 1
      local had = turns[j] and count_of(turns[j]) or 0
      local flight = flights and (flights[j] and count_of(flights[j]) or 0) or foreign_flight(q, new[i])
      -- Up to 16, with what is rare (heads, wrong): a table of more has 32.
      local f = {name = new[i], key = q.keys .. new[i], turns = had, had_turns = had, flight = flight, had_flight = flight,
        weight = weights[j] and weight_of(weights[j]) or 1, popped = 0, real = false, len = false, tail = false, ahead = false, at = 0,
        more = 0}
      q.facets[new[i]] = f
      q.order[#q.order + 1] = f
    end
  end
end

local function facet_of(q, name)
  if not q.facets[name] then
    facets_read(q, {name})
  end
  return q.facets[name]
end

-- Messages that wait in it; and those that were in Redis (f.real). A facet whose key is no list has none, and `wrong` says what it is.
local function facet_waiting(f)
  if not f.real then
    local len = pcall('LLEN', f.key)
    if is_wrong_type(len) then
      f.wrong = f.key .. ' holds a ' .. call('TYPE', f.key).ok .. ', and no list'
    elseif is_error(len) then
      error(refused(len.err, 'LLEN', f.key), 0)
    end
    f.real = f.wrong and 0 or len
    f.len = f.real - f.popped
  end
  return f.len
end

-- The turns that it may have now. What was read ahead may be enough to know that.
local function turns_due(q, f)
  local due = f.len or (f.ahead and #f.ahead - f.at + 1 >= f.weight and f.weight) or facet_waiting(f)
  if f.weight < due then
    due = f.weight
  end
  return q.limit > 0 and q.limit - f.flight < due and q.limit - f.flight or due
end

-- One turn more, at the end of the round, when it has fewer than it may have.
local function facet_grow(q, f)
  if turns_due(q, f) > f.turns then
    f.turns = f.turns + 1
    q.new_turns[#q.new_turns + 1] = f.name
  end
end

local function count_stat(q, name, n)
  q.counts[name] = (q.counts[name] or 0) + (n or 1)
end

-- `element` comes in at the end of the facet, or at its head; what comes to the head is oldest last.
local function facet_push(q, f, element, head)
  local side = head and 'heads' or 'tail'
  local list = f[side]
  if not list then
    list = {}
    f[side] = list
  end
  list[#list + 1] = element
  f.len = (f.len or facet_waiting(f)) + 1
  q.delta = q.delta + 1
  facet_grow(q, f)
end

adopt_bodies = function(q, sub, counted)
  local key, name = q.keys .. sub, '=' .. sub
  if call('TYPE', key).ok ~= 'list' then
    return false
  end
  local count, to = call('LLEN', key), q.keys .. name
  if call('RENAMENX', key, to) ~= 1 then
    for _ = 1, count do
      call('LMOVE', key, to, 'RIGHT', 'LEFT') -- in one step: a push that is refused behind a pop would lose it
    end
  end
  count_stat(q, 'moved', count)
  q.delta = q.delta + (counted and 0 or count)
  q.adopted = q.adopted or {}
  q.adopted[#q.adopted + 1] = name
  return true
end

-- ---- messages that have been handed out, or wait outside of their list ----

local function set_held(q, id, element)
  local set, n = q.set, q.sets
  set[n + 1], set[n + 2] = id, element
  q.sets = n + 2
end

-- What is known of a message that is held: `where` and the rest, as one value behind the other.
local function set_state(q, id, s)
  set_held(q, 's' .. id, pack(s.where, s.attempt, s.spared, s.at, s.facet, s.owner, s.alone, s.reason))
end

local function state_of(packed)
  if not packed then
    return nil
  end
  local where, attempt, spared, at, facet, owner, alone, reason = unpack_msgpack(packed)
  return {where = where, attempt = attempt, spared = spared, at = at, facet = facet, owner = owner, alone = alone, reason = reason}
end

local function forget(q, id)
  q.drop[#q.drop + 1] = id
  q.drop[#q.drop + 1] = 's' .. id
end

-- When the message of an element was delivered; nil when nobody knows, or it waits elsewhere.
local function at_of(q, element)
  if q.raw then
    return nil
  end
  local id, at, body = opened(element)
  if not id or body then
    return at
  end
  local packed = call('HGET', q.held, 's' .. id)
  return packed and state_of(packed).at
end

-- Lists that know how many are in them; #list looks for its end.
local function list_of(lists, key)
  local list = lists[key]
  if not list then
    list = {n = 0}
    lists[key] = list
  end
  return list
end

-- Into, or out of, leases, later or dead. `score`: in digits.
local function zset_add(q, key, score, id)
  local list = list_of(q.add, key)
  local n = list.n
  list[n + 1], list[n + 2], list.n = score, id, n + 2
end

local function zset_remove(q, key, id)
  local list = list_of(q.remove, key)
  local n = list.n + 1
  list[n], list.n = id, n
end

-- ---- writing ----

-- Redis takes HDEL of nothing also when it is full, and then all else of the script too (it decides OOM before a script's first write only).
local function open_when_full(q)
  local held = q and q.sets + #q.drop > 0
  call('HDEL', held and q.held or QUEUES, '')
  if held then
    q.held_tried = true
  end
end

local function try_once(command, ...)
  if not tried[command] then
    tried[command] = true
    call(command, TRY, ...)
  end
end

local function try_push(command)
  if not tried[command] then
    try_once(command, '')
    call('LTRIM', TRY, '1', '0')
  end
end

local function call_chunks(command, key, list)
  for from = 1, #list, CHUNK do
    call(command, key, unpack(list, from, min(from + CHUNK - 1, #list)))
  end
end

-- What the facets have come to: lists of words for HSET, HDEL, SADD, SREM.
local function facets_changed(q)
  local c = {pool = {}, no_pool = {}, flight = q.flights or {}, no_flight = {}, come = {}, go = {}, pushes = #q.new_turns > 0, heads = false, pops = false}
  for _, f in ipairs(q.order) do
    if f.turns ~= f.had_turns then
      local list = f.turns > 0 and c.pool or c.no_pool
      list[#list + 1] = f.name
      list[#list + 1] = f.turns > 0 and num(f.turns) or nil
    end
    if not q.raw and f.flight ~= f.had_flight then
      local list = f.flight > 0 and c.flight or c.no_flight
      list[#list + 1] = f.name
      list[#list + 1] = f.flight > 0 and num(f.flight) or nil
    end
    if f.real or f.ahead or f.flight ~= f.had_flight then
      local some = f.flight + f.turns > 0 or facet_waiting(f) > 0
      local list = some and c.come or c.go
      list[#list + 1] = f.name
    end
    c.pushes = c.pushes or f.tail ~= false
    c.heads = c.heads or f.heads ~= nil
    c.pops = c.pops or f.popped > 0
  end
  return c
end

local function try_numbers(q)
  if q.delta ~= 0 then
    local length = pcall('INCRBY', q.length, '0')
    if is_wrong_type(length) and adopt_bodies(q, 'length', false) then
      length = pcall('INCRBY', q.length, '0')
    end
    if is_error(length) then
      error(refused(length.err, 'INCRBY', q.length), 0)
    end
  end
  if next(q.counts) then
    call('HINCRBY', q.stats, 'acked', '0')
  end
end

-- Each command that queue_write may need, by a call that changes nothing that counts.
local function queue_try(q, c)
  for key in pairs(q.add) do
    call('ZADD', key, 'XX', '0', '')
  end
  for key in pairs(q.remove) do
    call('ZREM', key, '')
  end
  if q.sets + #q.drop > 0 and not q.held_tried then
    call('HDEL', q.held, '')
  end
  if #c.no_pool + #c.no_flight > 0 then
    call('HDEL', q.pool, '')
  end
  if #c.go > 0 then
    call('SREM', q.active, '')
  end
  if q.sets + #c.pool + #c.flight > 0 then
    call('HSET', q.stats, 'layout', '1')
  end
  if #q.new_turns > 0 then
    call('LLEN', q.turns) -- of another type: what has its message in a list by then would have no turn
  end
  if c.pops or q.list then
    try_once('LTRIM', '1', '0')
    try_once('LREM', '1', '')
  end
  if c.heads then
    try_push('RPUSH')
  end
  if c.pushes or (q.list and #turns_new(q.list) > 0) then
    try_push('LPUSH')
  end
end

local function facet_write(f)
  if f.popped > 0 then
    call('LTRIM', f.key, '0', num(-f.popped - 1))
  end
  if f.heads then
    call_chunks('RPUSH', f.key, f.heads)
  end
  if f.tail then
    call_chunks('LPUSH', f.key, f.tail)
  end
end

-- After this nothing of queue_write is refused; nothing that counts has changed.
local function queue_prepare(q)
  try_numbers(q)
  for _, name in ipairs(q.adopted or {}) do
    facet_grow(q, facet_of(q, name))
  end
  q.changed = facets_changed(q)
  queue_try(q, q.changed)
  call_chunks('SADD', q.active, q.changed.come)
end

-- A queue is opened anew behind it.
local function queue_write(q)
  local c = q.changed
  call_chunks('HSET', q.held, q.set)
  -- What leaves a place may come into it again.
  for key, list in pairs(q.remove) do
    call_chunks('ZREM', key, list)
  end
  for key, list in pairs(q.add) do
    call_chunks('ZADD', key, list)
  end
  if q.list then
    turns_write(q.list)
  end
  for _, f in ipairs(q.order) do
    facet_write(f)
  end
  call_chunks('LPUSH', q.turns, q.new_turns)
  call_chunks('HSET', q.pool, c.pool)
  call_chunks('HDEL', q.pool, c.no_pool)
  call_chunks('HSET', q.flight, c.flight)
  call_chunks('HDEL', q.flight, c.no_flight)
  call_chunks('SREM', q.active, c.go)
  call_chunks('HDEL', q.held, q.drop)
  if q.delta ~= 0 then
    call('INCRBY', q.length, num(q.delta))
  end
  for name, n in pairs(q.counts) do
    call('HINCRBY', q.stats, name, num(n))
  end
  queues[q.name] = nil
end

local function queue_commit(q)
  open_when_full(q)
  queue_prepare(q)
  write_ids()
  queue_write(q)
end

-- 1 is what no entry says. One turn at once; what more there are come with the turns. `beside`: what else is to be written.
local function set_weight(q, name, weight, beside)
  local f = facet_of(q, name)
  local was = f.weight
  f.weight = weight
  facet_waiting(f)
  facet_grow(q, f)
  open_when_full(q)
  queue_prepare(q)
  if weight == 1 then
    call('HDEL', q.weights, name)
  else
    call('HSET', q.weights, name, num(weight))
  end
  beside()
  queue_write(q)
  return was
end
