-- disown: queue, owner, except, blame (0, 1), reason, cursor, known receipt... -> {next cursor ("0": that was all), how many}
--
-- As back, for what this owner (with a colon at its end: every owner whose name begins so) has, except the owner `except` and the receipts that are known:
-- what an earlier incarnation of a queue worker had and no consumer has told of, and what was in an answer that was lost. A page.
-- Again: the same. O(page + known receipts).
local q, no = open_queue(ARGV[1])
if no then
  return no
end
local owner, except, blame, reason = ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local known = {}
for i = 7, #ARGV do
  known[ARGV[i]] = true
end
local page = call('ZSCAN', q.leases, ARGV[6], 'COUNT', '200')
local ids, seen = {}, {}
for i = 1, #page[2], 2 do
  ids[#ids + 1] = not seen[page[2][i]] and page[2][i] or nil
  seen[page[2][i]] = true
end
local function is_theirs(s)
  return s and s.where == LEASED and s.owner ~= except and
    (s.owner == owner or (string.sub(owner, -1) == ':' and string.sub(s.owner, 1, #owner) == owner))
end
local states, counted = states_of(q, ids), 0
for _, i in ipairs(newest_first(ids)) do
  local s = states[i]
  if is_theirs(s) and not known[ids[i] .. '.' .. num(s.attempt)] then
    counted = counted + 1
    lose(q, ids[i], s, BACK, blame, reason)
  end
end
if counted > 0 then
  queue_commit(q)
end
return {page[1], counted}
