-- queue_push.lua: how a message comes into all queues whose patterns match its topic; behind queue_lib.
--
-- Into all or none: what one queue cannot take is a reason to give it to none.
local registered

local function registry()
  if not registered then
    registered = {}
    local all = read('HGETALL', REGISTERED) or {}
    for i = 1, #all, 2 do
      if not is_our_name(all[i]) then
        registered[#registered + 1] = {all[i], all[i + 1]}
      end
    end
  end
  return registered
end

local wanting = {}
-- The names of the queues that want this topic.
local function queues_for(topic)
  if not wanting[topic] then
    local names = {}
    for _, entry in ipairs(registry()) do
      if matches(topic, entry[2]) then
        names[#names + 1] = entry[1]
      end
    end
    wanting[topic] = names
  end
  return wanting[topic]
end

-- Why this queue cannot take the message, else nil.
local function no_room(q, f, body, after)
  facet_waiting(f)
  if f.wrong then
    return f.wrong
  elseif q.raw and after > 0 then
    return q.name .. ' is raw, and knows no delay'
  elseif not q.raw and #body > q.settings.message_max then
    return 'its body has ' .. num(#body) .. ' bytes, more than message_max, ' .. num(q.settings.message_max)
  end
end

local function enter(q, f, id, body, after)
  if after > 0 then
    local at = now + after
    set_held(q, id, envelope(id, at, body))
    set_state(q, id, {where = LATER, attempt = 0, spared = 0, at = at, facet = f.name, owner = '', alone = 0, reason = ''})
    zset_add(q, q.later, at, id)
  else
    facet_push(q, f, q.raw and body or envelope(id, now, body))
  end
  count_stat(q, 'delivered')
end

local touched, touched_names = {}, {}

-- The names of the queues that it will come into with place_all; else nil, and why it comes into none.
local function place(id, topic, facet, body, after)
  if #topic > NAME_MAX or #facet > NAME_MAX then
    local what = #topic > NAME_MAX and 'topic' or 'facet'
    return nil, 'its ' .. what .. ' has ' .. num(max(#topic, #facet)) .. ' bytes, more than ' .. num(NAME_MAX)
  end
  local names, stored = queues_for(topic), stored_name(facet)
  for _, name in ipairs(names) do
    local q = open_queue(name)
    local why = no_room(q, facet_of(q, stored), body, after)
    if why then
      return nil, why
    end
  end
  for _, name in ipairs(names) do
    local q = queues[name]
    if not touched[name] then
      touched[name] = q
      touched_names[#touched_names + 1] = name
    end
    enter(q, facet_of(q, stored), id, body, after)
  end
  return names
end

-- Writes what was placed. `ready` is called when nothing of it can be refused any more.
local function place_all(ready)
  write_ids()
  for _, name in ipairs(touched_names) do
    queue_prepare(touched[name])
  end
  ready()
  for _, name in ipairs(touched_names) do
    queue_write(touched[name])
  end
end

-- What nobody wanted, and what else is counted of the inbox.
local function count_of_inbox(name, n)
  if n > 0 then
    call('HINCRBY', P .. 'inbox:stats', name, num(n))
  end
end
