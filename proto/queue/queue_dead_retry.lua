-- dead_retry: queue, limit, id... (none: the oldest `limit`) -> how many
--
-- They go to the heads of their facets, and have all their attempts again; those of the inbox go to its end.
-- Again: 0. O(letters).
local q, no = open_letters(ARGV[1])
if no then
  return no
end
local ids = letter_ids(q, 3, count_of(ARGV[2]))
local states = states_of(q, ids)
if q.name == 'inbox' then
  return retry_inbox(q, ids)
end
facets_of_states(q, states)
for _, i in ipairs(newest_first(ids)) do
  local s = states[i]
  if s then
    s.spared, s.alone, s.reason = s.attempt, 0, ''
    come_back(q, ids[i], s, BACK, 0)
  else
    zset_remove(q, q.dead, ids[i])
  end
end
if #ids > 0 then
  queue_commit(q)
end
return #ids
