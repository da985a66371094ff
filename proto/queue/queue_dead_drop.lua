-- dead_drop: queue, limit, id... (none: the oldest `limit`) -> how many are gone for good
--
-- Again: 0. O(letters).
local q, no = open_letters(ARGV[1])
if no then
  return no
end
local ids = letter_ids(q, 3, count_of(ARGV[2]))
for _, id in ipairs(ids) do
  zset_remove(q, q.dead, id)
  forget(q, id)
end
if #ids > 0 then
  queue_commit(q)
end
return #ids
