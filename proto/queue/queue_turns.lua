-- queue_turns.lua: the choice of the next turn; behind redis/call.lua.
--
-- A list of turns: each names who has it, and new ones come in at the end that is not next. Its caller names the list, which end is next,
-- and how much each has of what is shared out. Among the next LOOK turns that one goes first whose share is smallest, ties in turn order;
-- a share of 0 is looked no further for. It reads what it needs, and writes nothing before turns_write.
--
-- While turns are chosen no share falls (turns_share), so that the turns among which it is chosen have no less than the last that was: the first of them that has no more is the next.
local LOOK, TURN_CHUNK = 16, 32
local insert, remove = table.insert, table.remove
-- Lua's unpack cannot take more (LUAI_MAXCSTACK is 8000).
local CHUNK = 4000

-- The turns of list `key`; `left`: the next is at its left end, and new ones come in at the right. So many are `wanted`. `read(names)` hears of those that are read, and sees
-- to it that `shares` has the share of each: a number, or false when its turn is to be dropped, of which `dropped(name)` hears. At most `drops` are.
local function turns_of(key, left, drops, wanted, shares, read, dropped)
  return {key = key, left = left, drops = drops, shares = shares, read = read, dropped = dropped, total = call('LLEN', key), loaded = 0, list = {},
    gone = {}, head = 1, new = {}, came = 0, used = 0, near = {}, seen = 0, least = math.huge, chunk = math.min(wanted, TURN_CHUNK)}
end

local function turns_load(t)
  local count = math.min(t.chunk, t.total - t.loaded)
  t.chunk = t.chunk < LOOK and LOOK or TURN_CHUNK -- no more than that is looked at for one
  local from, step, names = 1, 1, nil
  if t.left then
    names = call('LRANGE', t.key, num(t.loaded), num(t.loaded + count - 1))
  else
    names = call('LRANGE', t.key, num(-t.loaded - count), num(-t.loaded - 1))
    from, step = #names, -1
  end
  for i = 1, #names do
    t.list[t.loaded + i] = names[from + step * (i - 1)]
  end
  t.loaded = t.loaded + #names
  t.read(names)
end

-- Who has the turn at this place; nil behind the last. New ones follow those that are there.
local function turn_at(t, place)
  if place > t.loaded and t.loaded < t.total then
    turns_load(t)
  end
  local name = t.list[place]
  if not name and t.used < t.came then
    t.used = t.used + 1
    name = t.new[t.used]
    t.list[place] = name
  end
  return name
end

local function turns_skip_gone(t)
  while t.gone[t.head] do
    t.head = t.head + 1
  end
end

local function turn_drop(t, place)
  t.gone[place] = true
  t.drops = t.drops - 1
  t.dropped(t.list[place])
end

-- Until LOOK turns are near, or one has a share of 0.
local function turns_see(t)
  local near, shares = t.near, t.shares
  while #near < LOOK and t.least > 0 and t.drops > 0 do
    local place = t.seen + 1
    local name = t.list[place] or turn_at(t, place)
    if not name then
      break
    end
    t.seen = place
    local share = shares[name]
    if not share then
      turn_drop(t, place)
    else
      near[#near + 1] = place
      t.least = share < t.least and share or t.least
    end
  end
end

-- Where in `near` the first is that has no more than `least`; else nil, and `least` is right.
local function turns_first(t)
  local near, list, shares, bound, least = t.near, t.list, t.shares, t.least, math.huge
  local i = 1
  while near[i] do
    local share = shares[list[near[i]]]
    if not share then
      turn_drop(t, remove(near, i))
    elseif share <= bound then
      return i
    else
      least, i = share < least and share or least, i + 1
    end
  end
  t.least = least
end

-- Who goes next, whose turn is taken; nil when there is nobody.
local function turns_next(t)
  turns_see(t)
  local at = turns_first(t)
  if not at then
    turns_see(t)
    at = turns_first(t)
  end
  if not at then
    return nil
  end
  t.last, t.at = remove(t.near, at), at
  t.gone[t.last] = true
  while t.gone[t.head] do
    t.head = t.head + 1
  end
  return t.list[t.last]
end

-- The turn that was taken last is where it was.
local function turns_back(t)
  t.gone[t.last] = nil
  t.head = math.min(t.head, t.last)
  insert(t.near, t.at, t.last)
end

-- Who has taken something has so much now; false: no more turn of its is one.
local function turns_share(t, name, share)
  t.shares[name] = share
  t.least = share and t.least or -1
end

local function turns_add(t, name)
  local n = t.came + 1
  t.new[n], t.came = name, n
end

-- Those that came in and were not taken.
local function turns_new(t)
  local new = {}
  for place = t.loaded + 1, #t.list do
    if not t.gone[place] then
      new[#new + 1] = t.list[place]
    end
  end
  for i = t.used + 1, #t.new do
    new[#new + 1] = t.new[i]
  end
  return new
end

-- What it writes needs LPUSH (RPUSH), LTRIM and LREM; that comes first which may be there twice.
local function turns_write(t)
  local new = turns_new(t)
  for from = 1, #new, CHUNK do
    call(t.left and 'RPUSH' or 'LPUSH', t.key, unpack(new, from, math.min(from + CHUNK - 1, #new)))
  end
  local row = math.min(t.head - 1, t.loaded)
  if row > 0 and t.left then
    call('LTRIM', t.key, num(row), '-1')
  elseif row > 0 then
    call('LTRIM', t.key, '0', num(-row - 1))
  end
  -- Of one name the first is always taken first.
  for place = row + 1, t.loaded do
    if t.gone[place] then
      call('LREM', t.key, t.left and '1' or '-1', t.list[place])
    end
  end
end
