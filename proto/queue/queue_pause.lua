-- pause: queue, 1 (pause) or 0 (resume), facet (absent: the whole queue) -> 1; 0 when it was so
--
-- A paused queue hands nothing out; a paused facet has the weight 0, and its own again afterwards. A raw queue cannot be paused as a whole, because
-- the original's clients ask nobody.
-- Again: 0. O(1).
local q, no = open_queue(ARGV[1])
local pause = ARGV[2] == '1'
if no then
  return no
elseif not ARGV[3] then
  if q.raw then
    return refuse('RAW', q.name .. ' is raw, and its clients ask nobody: pause its facets')
  elseif q.settings.paused == pause then
    return 0
  end
  open_when_full()
  local s = q.settings
  call('HSET', QUEUES, q.name, table.concat({num(s.max_attempts), num(s.retry_min), num(s.retry_max), num(s.message_max), pause and '1' or '0'}, ' '))
  return 1
end
local name = stored_name(ARGV[3])
local kept = call('HGET', q.slow, name)
if pause == (kept ~= false) then
  return 0
end
local was = num(facet_of(q, name).weight)
set_weight(q, name, pause and 0 or tonumber(kept), function()
  if pause then
    call('HSET', q.slow, name, was)
  else
    call('HDEL', q.slow, name)
  end
end)
return 1
