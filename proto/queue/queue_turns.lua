-- queue_turns.lua: the choice of the next turn; behind redis/call.lua.
--
-- A list of turns: each names who has it, and new ones come in at the end that is not next. Its caller names the list, which end is next,
-- and how much each has of what is shared out. Among the next LOOK turns that one goes first whose share is smallest, ties in turn order;
-- a share of 0 is looked no further for. It reads what it needs, and writes nothing before turns_write.
local LOOK, TURN_CHUNK = 16, 32
-- Lua's unpack cannot take more (LUAI_MAXCSTACK is 8000).
local CHUNK = 4000

-- The turns of list `key`; `left`: the next is at its left end, and new ones come in at the right. `read(names)` hears of those that are read, and sees
-- to it that `shares` has the share of each: a number, or false when its turn is to be dropped, of which `dropped(name)` hears. At most `drops` are.
local function turns_of(key, left, drops, shares, read, dropped)
  return {key = key, left = left, drops = drops, shares = shares, read = read, dropped = dropped, total = call('LLEN', key), loaded = 0, list = {},
    gone = {}, head = 1, new = {}, used = 0}
end

local function turns_load(t)
  local count = math.min(TURN_CHUNK, t.total - t.loaded)
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
  if place > #t.list and t.used < #t.new then
    t.used = t.used + 1
    t.list[place] = t.new[t.used]
  end
  return t.list[place]
end

local function turns_skip_gone(t)
  while t.gone[t.head] do
    t.head = t.head + 1
  end
end

local function turn_drop(t, place, name)
  t.gone[place] = true
  t.drops = t.drops - 1
  t.dropped(name)
end

-- Who goes next, whose turn is taken; nil when there is nobody.
local function turns_next(t)
  local best, least, seen, place, list, gone, shares = nil, nil, 0, t.head, t.list, t.gone, t.shares
  while seen < LOOK and least ~= 0 and t.drops > 0 do
    local name = list[place] or turn_at(t, place)
    if not name then
      break
    end
    if not gone[place] then
      local share = shares[name]
      if not share then
        turn_drop(t, place, name)
      else
        seen = seen + 1
        if not least or share < least then
          best, least = place, share
        end
      end
    end
    place = place + 1
  end
  if best then
    gone[best] = true
  end
  t.last = best
  turns_skip_gone(t)
  return best and list[best]
end

-- The turn that was taken last is where it was.
local function turns_back(t)
  t.gone[t.last] = nil
  t.head = math.min(t.head, t.last)
end

local function turns_add(t, name)
  t.new[#t.new + 1] = name
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
