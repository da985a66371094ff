-- stats: days -> [[day, ["STATUS PLATFORM", count, ...]], ...]
--
-- How many jobs have ended on each of the last days (UTC), today first; days without any are left out.
-- Again: the same.
local out = {}

-- The date of a day: stamp() of jobs_lib tells that of now.
local function date_of(days)
  local z = days + 719468
  local era = floor(z / 146097)
  local doe = z - era * 146097
  local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
  local mp = floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  return format('%04d-%02d-%02d', yoe + era * 400 + (month <= 2 and 1 or 0), month, doy - floor((153 * mp + 2) / 5) + 1)
end

for i = 0, min(STATS_DAYS, max(1, count_of(ARGV[1]))) - 1 do
  local day = date_of(floor(tonumber(clock[1]) / 86400) - i)
  local found = call('HGETALL', KEYS[1] .. 'stats:' .. day)
  if #found > 0 then
    out[#out + 1] = {day, found}
  end
end
return out
