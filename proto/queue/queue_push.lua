-- queue_push.lua: how a message comes into all queues whose patterns match its topic; behind queue_topics.
--
-- Into all or none: what one queue cannot take is a reason to give it to none.
local function registry()
  if not run.registered then
    run.registered = {}
    local all = registry_words()
    for i = 1, #all, 2 do
      if not is_our_name(all[i]) then
        run.registered[#run.registered + 1] = {all[i], all[i + 1]}
      end
    end
  end
  return run.registered
end

local function names_matching(topic)
  local names = {}
  for _, entry in ipairs(registry()) do
    if matches(topic, entry[2]) then
      names[#names + 1] = entry[1]
    end
  end
  return names
end

-- The queues that want this topic, and their names.
local function queues_for(topic)
  local found, names = {queues = {}, names = {}}, topic_known(topic)
  if not names then
    names = names_matching(topic)
    topic_found(topic, names)
  end
  for _, name in ipairs(names) do
    local q = open_queue(name)
    if q then -- else it was a raw one a moment ago
      found.queues[#found.queues + 1] = q
      found.names[#found.names + 1] = name
    end
  end
  run.wanting[topic] = found
  return found
end

local function wanted_by(topic)
  return run.wanting[topic] or queues_for(topic)
end

local function stored_once(facet)
  local name = run.stored[facet]
  if not name then
    name = stored_name(facet)
    run.stored[facet] = name
  end
  return name
end

-- What these messages' facets need is read at once. `topics`, `facets`: of each.
local function read_ahead(topics, facets)
  local lists = {}
  for i, topic in ipairs(topics) do
    if #topic <= NAME_MAX and #facets[i] <= NAME_MAX then
      for _, q in ipairs(wanted_by(topic).queues) do
        lists[q] = lists[q] or {}
        lists[q][#lists[q] + 1] = stored_once(facets[i])
      end
    end
  end
  for q, names in pairs(lists) do
    facets_read(q, names)
  end
end

-- Why this queue cannot take the message, else nil.
local function no_room(q, f, body, after)
  if not f.len then
    facet_waiting(f)
  end
  if f.wrong then
    return f.wrong
  elseif q.raw and after > 0 then
    return q.name .. ' is raw, and knows no delay'
  elseif #body > q.most and not q.raw then
    return 'its body has ' .. num(#body) .. ' bytes, more than message_max, ' .. num(q.most)
  end
end

local function enter(q, f, id, body, after)
  if after > 0 then
    local at = now + after
    set_held(q, id, envelope(id, num(at), body))
    set_state(q, id, {where = LATER, attempt = 0, spared = 0, at = at, facet = f.name, owner = '', alone = 0, reason = ''})
    zset_add(q, q.later, num(at), id)
  else
    facet_push(q, f, q.raw and body or envelope(id, now_text, body))
  end
  if not run.touched[q] then
    run.touched[q] = true
    run.touched[#run.touched + 1] = q
  end
  q.counts.delivered = (q.counts.delivered or 0) + 1
end

-- The names of the queues that it will come into with place_all; else nil, and why it comes into none.
local function place(id, topic, facet, body, after)
  if #topic > NAME_MAX or #facet > NAME_MAX then
    local what = #topic > NAME_MAX and 'topic' or 'facet'
    return nil, 'its ' .. what .. ' has ' .. num(max(#topic, #facet)) .. ' bytes, more than ' .. num(NAME_MAX)
  end
  if after > DELAY_MAX then
    return nil, 'its delay is longer than a hundred years'
  end
  local found, stored = wanted_by(topic), stored_once(facet)
  local wanting = found.queues
  for i = 1, #wanting do
    local q = wanting[i]
    local why = no_room(q, q.facets[stored] or facet_of(q, stored), body, after)
    if why then
      return nil, why
    end
  end
  for i = 1, #wanting do
    enter(wanting[i], wanting[i].facets[stored], id, body, after)
  end
  return found.names
end

-- Writes what was placed. `ready` is called when nothing of it can be refused any more.
local function place_all(ready)
  write_ids()
  topics_write()
  for _, q in ipairs(run.touched) do
    queue_prepare(q)
  end
  ready()
  for _, q in ipairs(run.touched) do
    queue_write(q)
  end
end

-- What nobody wanted, and what else is counted of the inbox.
local function count_of_inbox(name, n)
  if n > 0 then
    call('HINCRBY', P .. 'inbox:stats', name, num(n))
  end
end
