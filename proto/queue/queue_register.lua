-- register: queue, pattern, raw (0, 1), max_attempts, retry_min_ms, retry_max_ms, message_max
--   -> 0 it was so; 1 it is new; 2 it was otherwise
--
-- Whoever registers has looked at the pattern (queue_pattern.h); here only what Lua itself refuses is refused.
-- Again: 0. O(1).
local name, pattern, raw = ARGV[1], ARGV[2], ARGV[3] == '1'
if is_our_name(name) or #name > NAME_MAX then
  return refuse('NAME', 'no queue can have this name: ' .. string.sub(name, 1, 100))
end
local _, well = matches('', pattern)
if not well then
  return refuse('PATTERN', 'Lua refuses this pattern: ' .. string.sub(pattern, 1, 100))
end
local was, had = call('HGET', REGISTERED, name), call('HGET', QUEUES, name)
local q = queue_of(name)
local settings = nil
if raw and had and (count_of(read('GET', q.length)) > 0 or call('HLEN', q.held) > 0) then
  return refuse('BUSY', name .. ' has messages that the original\'s clients cannot read: have it empty, or destroy it, before it is raw')
elseif not raw then
  settings = table.concat({ARGV[4], ARGV[5], ARGV[6], ARGV[7], had and settings_of(had).paused and '1' or '0'}, ' ')
  if not string.match(settings, '^%d+ %d+ %d+ %d+ %d$') then
    return refuse('ERR', 'register: MAX_ATTEMPTS RETRY_MIN_MS RETRY_MAX_MS MESSAGE_MAX are numbers')
  end
end
open_when_full()
if was ~= pattern then
  call('UNLINK', VOUCHED)
end
if settings and settings ~= had then
  call('HSET', QUEUES, name, settings)
elseif raw and had then
  call('HDEL', QUEUES, name)
end
if was ~= pattern then
  call('HSET', REGISTERED, name, pattern)
end
return not was and 1 or (was == pattern and (settings or false) == had) and 0 or 2
