-- queue_settle.lua: what becomes of a message that has been handed out; behind queue_lib.
--
-- A receipt is ID.ATTEMPT. It counts as long as its attempt is the newest, and nobody has settled it: also after its lease ran out.

-- The states of these ids; false for those that are not held.
local function states_of(q, ids)
  local states = {}
  for from = 1, #ids, CHUNK do
    local fields = {}
    for i = from, min(from + CHUNK - 1, #ids) do
      fields[#fields + 1] = 's' .. ids[i]
    end
    for i, packed in ipairs(call('HMGET', q.held, unpack(fields))) do
      states[from + i - 1] = state_of(packed) or false
    end
  end
  return states
end

-- Of the receipts in the arguments from `from` on those that count: ids, states, and the receipts that do not.
local function receipts_of(q, from)
  local ids, attempts, seen, lost = {}, {}, {}, {}
  for i = from, #args do
    local id, attempt = string.match(args[i], '^(%d+)%.(%d+)$')
    if id and not seen[id] then
      seen[id] = true
      ids[#ids + 1], attempts[#attempts + 1] = id, tonumber(attempt)
    else
      lost[#lost + 1] = args[i]
    end
  end
  local states, good, found = states_of(q, ids), {}, {}
  for i, id in ipairs(ids) do
    local s = states[i]
    if s and s.attempt == attempts[i] and (s.where == LEASED or s.where == LATE or s.where == DEAD_LATE) then
      good[#good + 1], found[#found + 1] = id, s
    else
      lost[#lost + 1] = id .. '.' .. num(attempts[i])
    end
  end
  if #lost > 0 then
    count_stat(q, 'late', #lost)
  end
  return good, found, lost
end

-- All that these facets need is read at once.
local function facets_of_states(q, states)
  local names = {}
  for _, s in ipairs(states) do
    names[#names + 1] = s and s.facet or nil
  end
  facets_read(q, names)
end

-- It leaves where it is. A facet at its cap may have a turn again.
local function leave(q, id, s)
  if s.where == LEASED then
    local f = facet_of(q, s.facet)
    zset_remove(q, q.leases, id)
    f.flight = max(0, f.flight - 1)
    if q.limit > 0 then
      facet_grow(q, f)
    end
  elseif s.where == LATER then
    zset_remove(q, q.later, id)
  elseif s.where == DEAD or s.where == DEAD_LATE then
    zset_remove(q, q.dead, id)
  end
end

-- So many fewer are in flight of these facets. Of many, which still have some and no cap, nothing else is read.
local function flights_fall(q, names, counts)
  if #names >= HASH_MANY and q.limit == 0 then
    local flights, flight, rest = hash_read(q.flight, names, 1, #names), {}, {}
    if is_error(flights) then
      error(refused(flights.err, 'HMGET', q.flight), 0)
    end
    for i = 1, #names do
      local left = count_of(flights[i]) - counts[names[i]]
      if left > 0 and not q.facets[names[i]] then
        flight[#flight + 1] = names[i]
        flight[#flight + 1] = num(left)
      else
        rest[#rest + 1] = names[i]
      end
    end
    q.flights, names = flight, rest
  end
  facets_read(q, names)
  for _, name in ipairs(names) do
    local f = q.facets[name]
    f.flight = max(0, f.flight - counts[name])
    if q.limit > 0 then
      facet_grow(q, f)
    end
  end
end

-- All receipts from there on that count are gone, as by leave and forget without a table of each; how many, and how many did not count.
local function acked(q, from)
  local seen, fields, ids, attempts, n, lost = {}, {}, {}, {}, 0, 0
  for i = from, #args do
    local id, attempt = match(args[i], '^(%d+)%.(%d+)$')
    if id and not seen[id] then
      seen[id] = true
      n = n + 1
      ids[n], fields[n], attempts[n] = id, 's' .. id, attempt
    else
      lost = lost + 1
    end
  end
  local names, counts, drop, dropped, counted = {}, {}, q.drop, #q.drop, 0
  for first = 1, n, CHUNK do
    local packed = call('HMGET', q.held, unpack(fields, first, min(first + CHUNK - 1, n)))
    for j = 1, #packed do
      local i = first + j - 1
      local where, attempt, _, _, facet
      if packed[j] then
        where, attempt, _, _, facet = unpack_msgpack(packed[j])
      end
      if attempt ~= tonumber(attempts[i]) or (where ~= LEASED and where ~= LATE and where ~= DEAD_LATE) then
        lost = lost + 1
      else
        counted = counted + 1
        drop[dropped + 1], drop[dropped + 2], dropped = ids[i], fields[i], dropped + 2
        if where == LEASED then
          zset_remove(q, q.leases, ids[i])
          if not counts[facet] then
            names[#names + 1], counts[facet] = facet, 0
          end
          counts[facet] = counts[facet] + 1
        elseif where == DEAD_LATE then
          zset_remove(q, q.dead, ids[i])
        end
      end
    end
  end
  if lost > 0 then
    count_stat(q, 'late', lost)
  end
  flights_fall(q, names, counts)
  return counted, lost
end

local function tries_of(s)
  return s.attempt - s.spared
end

-- `where`: DEAD, or DEAD_LATE.
local function bury(q, id, s, where, reason)
  leave(q, id, s)
  s.where, s.reason, s.owner = where, cut_reason(reason), ''
  set_state(q, id, s)
  zset_add(q, q.dead, now_text, id)
  count_stat(q, 'dead')
end

-- To the head of its facet (a delayed one that nobody has had yet: to its end), or until its time has come. Where somebody has put something else than a
-- list nothing can wait: it is a dead letter, which says so.
local function come_back(q, id, s, where, after)
  local was = s.where
  local f = after <= 0 and facet_of(q, s.facet)
  if f and was ~= LATE and was ~= BACK then
    facet_waiting(f)
    if f.wrong then
      return bury(q, id, s, DEAD, f.wrong)
    end
  end
  leave(q, id, s)
  s.owner = ''
  if after > 0 then
    s.where = LATER
    zset_add(q, q.later, num(now + after), id)
  else
    s.where = where
    if was ~= LATE and was ~= BACK then -- else its reference is in the list as it is
      facet_push(q, f, reference(id), s.attempt > 0)
    end
  end
  set_state(q, id, s)
end

-- Whoever had it is not there any more, or its lease ran out. With blame it may be what its consumer died of: from then on it is tried alone,
-- and only what was alone is buried for it. Whose lease ran out may be taken up again, and is then held to nothing: `alone` is 2 meanwhile.
local function lose(q, id, s, where, blame, reason)
  if not blame then
    s.spared = s.spared + 1
  elseif s.alone == 1 and tries_of(s) >= q.settings.max_attempts then
    return bury(q, id, s, where == LATE and DEAD_LATE or DEAD, reason)
  else
    s.alone = where == LATE and s.alone == 0 and 2 or 1
    s.reason = cut_reason(reason)
  end
  come_back(q, id, s, where, 0)
end

-- What comes to the head of a facet: the oldest last, so that it goes first. Ids grow.
local function newest_first(ids)
  local order = {}
  for i = 1, #ids do
    order[i] = i
  end
  table.sort(order, function(a, b)
    return tonumber(ids[a]) > tonumber(ids[b])
  end)
  return order
end

local function leases_run_out(q, ids)
  local states = states_of(q, ids)
  facets_of_states(q, states)
  for _, i in ipairs(newest_first(ids)) do
    local id, s = ids[i], states[i]
    if s and s.where == LEASED then
      count_stat(q, 'expired')
      lose(q, id, s, LATE, true, 'its lease ran out ' .. num(tries_of(s)) .. ' times')
    else
      zset_remove(q, q.leases, id)
    end
  end
end

local function delays_are_over(q, ids)
  local states = states_of(q, ids)
  facets_of_states(q, states)
  for i, id in ipairs(ids) do
    local s = states[i]
    if s and s.where == LATER then
      come_back(q, id, s, BACK, 0)
    else
      zset_remove(q, q.later, id)
    end
  end
end

-- Leases that ran out, and what waits no longer: up to `most` of either. Returns how many of either.
local function run_clock(q, most)
  local ran_out = call('ZRANGEBYSCORE', q.leases, '-inf', num(now), 'LIMIT', '0', num(most))
  local due = call('ZRANGEBYSCORE', q.later, '-inf', num(now), 'LIMIT', '0', num(most))
  if #ran_out > 0 then
    leases_run_out(q, ran_out)
  end
  if #due > 0 then
    delays_are_over(q, due)
  end
  return #ran_out, #due
end

-- A pause of at most retry_min doubled with each try, and of at most retry_max; any part of it, so that what failed together comes not back together.
local function back_off(q, tries)
  local longest = min(q.settings.retry_max, q.settings.retry_min * 2 ^ min(30, max(0, tries - 1)))
  return floor(math.random() * longest)
end

-- again and bury. `after`: ms, -1: back_off; nil: bury. Returns how many counted.
local function settle(q, after, reason, from)
  local ids, states, lost = receipts_of(q, from)
  if #ids + #lost == 0 then
    return 0
  end
  math.randomseed(clock_us % 2147483647)
  facets_of_states(q, states)
  local counted = 0
  for _, i in ipairs(newest_first(ids)) do
    local id, s = ids[i], states[i]
    if after and s.where == DEAD_LATE then
      count_stat(q, 'late')
    elseif after and tries_of(s) < q.settings.max_attempts then
      counted = counted + 1
      s.alone, s.reason = 0, cut_reason(reason)
      come_back(q, id, s, BACK, after >= 0 and after or back_off(q, tries_of(s)))
      count_stat(q, 'retried')
    else
      counted = counted + 1
      bury(q, id, s, DEAD, reason)
    end
  end
  queue_commit(q)
  return counted
end

-- renew and adopt. A lease that ran out is taken up again: the reference that waits is void while it lasts. `owner` nil: as it was.
local function hold_all(q, ids, states, lost, lease, owner)
  facets_of_states(q, states)
  local held = 0
  for i, id in ipairs(ids) do
    local s = states[i]
    if s.where == DEAD_LATE then
      lost[#lost + 1] = id .. '.' .. num(s.attempt)
    else
      held = held + 1
      if s.where == LATE then
        local f = facet_of(q, s.facet)
        f.flight = f.flight + 1
        s.alone = s.alone == 2 and 0 or s.alone
      end
      if s.where == LATE or owner then
        s.where, s.owner = LEASED, owner or s.owner
        set_state(q, id, s)
      end
      zset_add(q, q.leases, num(now + max(1, lease)), id)
    end
  end
  if held > 0 then
    queue_commit(q)
  end
end

-- ms until the first of leases and delays is over; -1: there are none.
local function next_due(q)
  local due = -1
  for _, key in ipairs({q.leases, q.later}) do
    local first = call('ZRANGE', key, '0', '0', 'WITHSCORES')[2]
    first = first and max(0, tonumber(first) - now)
    due = first and (due < 0 or first < due) and first or due
  end
  return due
end
