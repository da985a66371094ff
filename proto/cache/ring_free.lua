-- free: run, bucket, cursor -> OK, next bucket (4096: that was all), next cursor, how many cells went
--
-- Takes away, a page, what is left of nodes that are struck out: their cells have been free since (owner_of), and only take room. By the
-- master, after a forget and when it has become it. Model: the rest of cells_free, which changes nothing there.
-- Again: nothing is there any more.
-- O(cells in the buckets of the page).
local bucket, cursor, count = tonumber(ARGV[2]), ARGV[3], 0
local wait = enter()
if not wait then
  return pack(JOIN)
elseif wait > 0 then
  return pack(CLOSED, wait)
end
bucket, cursor = walk(bucket, cursor, function(key, cells)
  for i = 1, #cells, 2 do
    local inc = string.match(cells[i + 1], '^%d+')
    if not inc or state_of(inc) == FREE then
      count = count + call('HDEL', key, cells[i])
    end
  end
end)
return pack(OK, bucket, cursor, count)
