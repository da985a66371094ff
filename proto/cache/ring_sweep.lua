-- sweep: run, incarnation, bucket, cursor -> OK, closed_ms, next bucket (4096: that was all), next cursor, [cell, number, ...]
--
-- The cells of an incarnation, a page: for a node that comes back with its log, and for people. Not in the model: a node may do without.
-- What is claimed meanwhile may be in it or not.
-- O(cells in the buckets of the page).
local inc, bucket, cursor = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local wait = enter()
if not wait then
  return pack(JOIN)
end
local found, pattern = {}, '^' .. inc .. ' (%d+)$'
bucket, cursor = walk(bucket, cursor, function(_, cells)
  for i = 1, #cells, 2 do
    local number = string.match(cells[i + 1], pattern)
    if number then
      found[#found + 1] = cells[i]
      found[#found + 1] = tonumber(number)
    end
  end
end)
return pack(OK, wait, bucket, cursor, found)
