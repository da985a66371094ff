-- queue_hand.lua: the hand-out; behind queue_lib and queue_settle.
--
-- It reads turns and messages without taking them, decides, and writes everything at its end (queue_lib). Most bytes of an answer, unless it
-- is one message; most elements that are looked at for nothing in one call; most bytes of bodies read ahead.
local HAND_BYTES, HAND_VAIN, AHEAD_BYTES = 4 * 1024 * 1024, 500, 256 * 1024

-- The next element of a facet; nil when there is none.
local function facet_peek(q, f)
  facet_waiting(f)
  if f.ahead and f.at <= #f.ahead then
    return f.ahead[f.at]
  end
  local left = f.real - f.popped
  if left <= 0 then
    return nil
  end
  local count = min(left, f.more or max(1, min(q.share or 1, floor(AHEAD_BYTES / q.longest))))
  local elements = call('LRANGE', f.key, num(-f.popped - count), num(-f.popped - 1))
  local ahead = elements
  q.longest = max(q.longest, #elements[1])
  if count > 1 then
    ahead = {}
    for i = #elements, 1, -1 do
      ahead[#ahead + 1] = elements[i]
      q.longest = max(q.longest, #elements[i])
    end
  end
  f.ahead, f.at = ahead, 1
  f.more = max(1, min(count * 4, 128, floor(AHEAD_BYTES / q.longest)))
  return ahead[1]
end

local function facet_pop(q, f)
  f.popped = f.popped + 1
  f.at = f.at + 1
  f.len = f.len - 1
  q.delta = q.delta - 1
end

-- The message of an element, with its state (queue_lib); nil when it is a reference to what is elsewhere by now. `element`: not held yet.
local function message_of(q, f, element)
  local id, at, body
  if not q.raw then
    id, at, body = opened(element)
  end
  if body or not id then
    return {id = id, body = body or element, element = id and element, fresh = true, where = BACK, attempt = 0, spared = 0, at = at or now,
      facet = f.name, owner = '', alone = 0, reason = ''}
  end
  local held = call('HMGET', q.held, 's' .. id, id)
  local s = state_of(held[1])
  if not s or not held[2] or (s.where ~= BACK and s.where ~= LATE) or q.taken[id] then
    return nil
  end
  local _, _, kept = opened(held[2])
  s.id, s.body, s.alone = id, kept or '', min(1, s.alone)
  return s
end

local function hold_body(q, m)
  if m.fresh then
    m.id = m.id or take_id()
    set_held(q, m.id, m.element or envelope(m.id, num(m.at), m.body))
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

-- Once a message is taken. `deadline`, in digits: when its lease is over; nil: it is nobody's any more.
local function take(q, f, m, owner, deadline)
  m.attempt = m.attempt + 1
  if not deadline then
    if not m.fresh then
      forget(q, m.id)
    end
    return
  end
  hold_body(q, m)
  if not m.fresh then
    q.taken[m.id] = true
  end
  m.where, m.owner = LEASED, owner
  set_state(q, m.id, m)
  zset_add(q, q.leases, deadline, m.id)
  f.flight = f.flight + 1
  q.list.shares[f.name] = share_of(q, f)
end

local function receipt_of(m, lease)
  return lease < 0 and '' or m.id .. '.' .. num(m.attempt)
end

-- The facet's turns go one step towards what it may have; the one that was taken is gone.
local function turn_step(q, t, f)
  local has, due = max(1, f.turns), turns_due(q, f)
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

-- The next message of this facet that may be taken now; nil when there is none, false when this one must wait for another call.
local function next_message(q, f, out)
  while out.vain < HAND_VAIN do
    local element = facet_peek(q, f)
    if not element then
      return nil
    end
    local m = message_of(q, f, element)
    if m and (q.raw or #m.body <= q.most) then
      if #out > 0 and (m.alone == 1 or out.bytes + #m.body > HAND_BYTES) then
        return false
      end
      facet_pop(q, f)
      return m
    end
    facet_pop(q, f)
    out.vain = out.vain + 1
    if m then
      bury_unread(q, f, m)
    end
  end
  return false
end

local function turns_of_queue(q)
  local shares = {}
  return turns_of(q.turns, false, HAND_VAIN, shares, function(names)
    facets_read(q, names)
    for i = 1, #names do
      shares[names[i]] = share_of(q, q.facets[names[i]])
    end
  end, function(name)
    local f = q.facets[name]
    f.turns = max(0, f.turns - 1)
  end)
end

-- Up to `count` messages of a queue, as message_of has them, alone when one is to be tried alone. Nothing is written yet; `q.list` is.
local function hand_out(q, owner, count, lease)
  local t, out = turns_of_queue(q), {bytes = 0, vain = 0}
  local deadline = lease >= 0 and num(now + lease) or nil
  q.list, q.taken = t, {}
  q.share = floor(count / max(1, t.total)) -- of each facet, when all have enough
  while #out < count and out.vain < HAND_VAIN do
    local name = turns_next(t)
    if not name then
      break
    end
    local f = q.facets[name]
    local m = next_message(q, f, out)
    if m == false then
      turns_back(t)
      break
    elseif m then
      take(q, f, m, owner, deadline)
      out[#out + 1] = m
      out.bytes = out.bytes + #m.body
    else
      out.vain = out.vain + 1
      if f.real == 0 and f.popped == 0 then
        adopt_turn(q, name)
      end
    end
    turn_step(q, t, f)
    if m and m.alone == 1 then
      break
    end
  end
  return out
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
