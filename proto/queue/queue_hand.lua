-- queue_hand.lua: the hand-out; behind queue_lib and queue_settle.
--
-- It reads turns and messages without taking them, decides, and writes everything at its end (queue_lib). Most bytes of an answer, unless it
-- is one message; most elements that are looked at for nothing in one call; most bytes of bodies read ahead: as those before were, and of the first that
-- are read, when each is as long as it may be (of others four times that): how long they are is known only by reading them.
local HAND_BYTES, HAND_VAIN, AHEAD_BYTES, AHEAD_MOST = 4 * 1024 * 1024, 500, 256 * 1024, 8 * 1024 * 1024

-- Reads on in a facet; false when there is no more. Its length is asked for when only one is wanted: of one that may be long no second is read, and
-- else what comes back says whether there is more than that.
local function facet_read(q, f)
  local most = max(1, floor(AHEAD_MOST / q.most))
  local count = f.more > 0 and f.more or max(1, min((q.share or 0) + 1, floor(AHEAD_BYTES / q.longest), q.longest > 1 and 4 * most or most))
  if count <= 2 or f.real then
    facet_waiting(f)
    count = min(f.real - f.popped, f.more > 0 and count or max(1, count - 1))
    if count <= 0 then
      return false
    end
  end
  local elements = pcall('LRANGE', f.key, num(-f.popped - count), num(-f.popped - 1))
  if is_wrong_type(elements) then
    facet_waiting(f)
    return false
  elseif is_error(elements) then
    error(refused(elements.err, 'LRANGE', f.key), 0)
  end
  local found, longest, ahead = #elements, q.longest, elements
  if found < count and not f.real then
    f.real, f.len = f.popped + found, found
  end
  if found > 1 then
    ahead = {}
    for i = found, 1, -1 do
      ahead[#ahead + 1] = elements[i]
    end
  end
  for i = 1, found do
    longest = #elements[i] > longest and #elements[i] or longest
  end
  q.longest, f.ahead, f.at = longest, ahead, 1
  f.more = max(1, min(count * 4, 128, floor(AHEAD_BYTES / longest), 4 * most))
  return found > 0
end

-- The next element of a facet; nil when there is none.
local function facet_peek(q, f)
  if (f.ahead and f.at <= #f.ahead) or facet_read(q, f) then
    return f.ahead[f.at]
  end
end

local function facet_pop(q, f)
  f.popped = f.popped + 1
  f.at = f.at + 1
  f.len = f.len and f.len - 1
  q.delta = q.delta - 1
end

-- The message of an element, with its state (queue_lib); nil when it is a reference to what is elsewhere by now, or has been found in this call: of one whose
-- lease was taken up again there are several. `element`: its envelope, or a bare body; `fresh`: that is not held yet.
local function message_of(q, f, element)
  local id, at, body
  if not q.raw then
    id, at, body = opened(element)
  end
  if body or not id then
    return {id = id, body = body or element, element = element, fresh = true, where = BACK, attempt = 0, spared = 0, at = at or now, facet = f.name, owner = '',
      alone = 0, reason = ''}
  end
  local held = call('HMGET', q.held, 's' .. id, id)
  local s = state_of(held[1])
  if not s or not held[2] or (s.where ~= BACK and s.where ~= LATE) or q.taken[id] then
    return nil
  end
  q.taken[id] = true
  local _, _, kept = opened(held[2])
  s.id, s.body, s.element, s.alone = id, kept or '', held[2], min(1, s.alone)
  return s
end

local function hold_body(q, m)
  if m.fresh then
    if not m.id then
      m.id = take_id()
      m.element = envelope(m.id, num(m.at), m.body)
    end
    set_held(q, m.id, m.element)
  end
end

local function bury_unread(q, f, m)
  hold_body(q, m)
  bury(q, m.id, m, DEAD, 'its body has ' .. num(#m.body) .. ' bytes, more than message_max, ' .. num(q.settings.message_max))
end

-- What a facet has of what is shared out; false when it may have nothing now.
local function share_of(q, f)
  return f.name ~= 'facet_queue' and f.weight > 0 and (q.limit == 0 or f.flight < q.limit) and floor(f.flight / f.weight)
end

-- Once a message is taken: it is `out.owner`'s until the deadline, or nobody's any more.
local function take(q, f, m, out)
  m.attempt = m.attempt + 1
  if not out.deadline then
    if not m.fresh then
      forget(q, m.id)
    end
  else
    hold_body(q, m)
    m.where, m.owner = LEASED, out.owner
    set_state(q, m.id, m)
    zset_add(q, q.leases, out.deadline, m.id)
    f.flight = f.flight + 1
    turns_share(q.list, f.name, share_of(q, f))
  end
  out.give(f, m.id, m.attempt, m.alone, num(m.at), m.element, #m.element - #m.body + 1)
end

-- The facet's turns go one step towards what it may have; the one that was taken is gone.
local function turn_step(q, t, f)
  local has, due = f.turns > 0 and f.turns or 1, turns_due(q, f)
  f.turns = has
  if due < has then
    f.turns = has - 1
  else
    turns_add(t, f.name)
    if due > has then
      turns_add(t, f.name)
      f.turns = has + 1
    end
  end
end

-- A body that somebody's client has pushed to the facet `facet_queue`: it stands among the turns. Only where there have been such.
local function adopt_turn(q, name)
  if read('SISMEMBER', q.active, 'facet_queue') == 1 and read('SISMEMBER', q.active, name) ~= 1 then
    facet_push(q, facet_of(q, '=facet_queue'), name)
    count_stat(q, 'moved')
    q.delta = q.delta - 1 -- its sender has counted it
  end
end

-- What was never handed out, and is platoon's: as message_of, facet_pop and take do, in one place, because nearly all of a hand-out is this. `id`, `at`:
-- in digits; `body`: where it begins.
local function take_fresh(q, f, out, element, id, at, body)
  f.popped, f.at, f.len, q.delta = f.popped + 1, f.at + 1, f.len and f.len - 1, q.delta - 1
  if out.deadline then
    local packed, set, n, add, flight = out.times[at], q.set, q.sets, out.leases, f.flight + 1
    if not packed then
      packed = pack(tonumber(at))
      out.times[at] = packed
    end
    set[n + 1], set[n + 2], set[n + 3], set[n + 4] = id, element, 's' .. id, out.first .. packed .. f.text .. out.rest
    q.sets, n, f.flight = n + 4, add.n, flight
    add[n + 1], add[n + 2], add.n = out.deadline, id, n + 2
    if q.limit > 0 then
      turns_share(q.list, f.name, share_of(q, f))
    else
      q.list.shares[f.name] = floor(flight / f.weight)
    end
  end
  return out.give(f, id, 1, 0, at, element, body)
end

-- The next message of this facet is taken that may be taken now: 1, or 2 when it is to be tried alone; nil when there is none, false when this
-- one must wait for another call.
local function take_next(q, f, out)
  f.text = f.text or packed_text(f.name)
  while out.vain < HAND_VAIN do
    local ahead, id, at, body = f.ahead, nil, nil, nil
    local element = ahead and ahead[f.at] or facet_peek(q, f)
    if not element then
      return nil
    end
    if not q.raw and byte(element, 1) == 0 then
      id, at, body = match(element, '^%z1(%d+) (%d+) ()')
    end
    local bytes = id and #element - body + 1
    if id and #id <= 16 and #at <= 16 and bytes <= q.most then
      if out.count > 0 and out.bytes + bytes > HAND_BYTES then
        return false
      end
      take_fresh(q, f, out, element, id, at, body)
      out.count, out.bytes = out.count + 1, out.bytes + bytes
      return 1
    end
    local m = message_of(q, f, element)
    if m and (q.raw or #m.body <= q.most) then
      if out.count > 0 and (m.alone == 1 or out.bytes + #m.body > HAND_BYTES) then
        return false
      end
      facet_pop(q, f)
      take(q, f, m, out)
      out.count, out.bytes = out.count + 1, out.bytes + #m.body
      return m.alone == 1 and 2 or 1
    end
    facet_pop(q, f)
    out.vain = out.vain + 1
    if m then
      bury_unread(q, f, m)
    end
  end
  return false
end

local function turns_of_queue(q, count)
  local shares = {}
  return turns_of(q.turns, false, HAND_VAIN, count, shares, function(names)
    facets_read(q, names)
    for i = 1, #names do
      shares[names[i]] = share_of(q, q.facets[names[i]])
    end
  end, function(name)
    local f = q.facets[name]
    f.turns = max(0, f.turns - 1)
  end)
end

-- Up to `count` messages of a queue, alone when one is to be tried alone; how many. `give(f, id, attempt, alone, at, element, from)` gets each:
-- its envelope, or bare body, and where in it the body begins; `at` in digits. Nothing is written yet; `q.list` is.
local function hand_out(q, owner, count, lease, give)
  local t = turns_of_queue(q, count)
  local out = {count = 0, bytes = 0, vain = 0, owner = owner, deadline = lease >= 0 and num(now + lease) or nil, give = give, times = {},
    first = pack(LEASED, 1, 0), rest = pack(owner, 0, '')}
  out.leases = out.deadline and list_of(q.add, q.leases)
  q.list, q.taken = t, {}
  q.share = floor(count / max(1, t.total)) -- of each facet, when all have enough
  while out.count < count and out.vain < HAND_VAIN do
    local name = turns_next(t)
    if not name then
      break
    end
    local f = q.facets[name]
    local taken = take_next(q, f, out)
    if taken == false then
      turns_back(t)
      break
    elseif not taken then
      out.vain = out.vain + 1
      if f.real == 0 and f.popped == 0 then
        adopt_turn(q, name)
      end
    end
    turn_step(q, t, f)
    if taken == 2 then
      break
    end
  end
  if out.leases and out.leases.n == 0 then
    q.add[q.leases] = nil
  end
  return out.count
end

-- Each pull keeps its queue's clock. What has come due is written first, because what is handed out is what is in Redis.
local function open_for_pull(name)
  local q, no = open_queue(name)
  if q and not q.raw then
    local ran_out, due = run_clock(q, 100)
    if ran_out + due > 0 then
      queue_commit(q)
      q = open_queue(name)
    end
  end
  return q, no
end
