-- dead_retry: limit, seq... (none: the oldest `limit`) -> letters retried.
--
-- A letter with data becomes a claim of one member with its old number and no attempts, due at once: the number keeps an old
-- letter from overwriting a newer version. A letter without data goes back to the set.
local letters, now = named_letters(2, tonumber(ARGV[1])), now_ms()
if #letters == 0 then
  return 0
end
redis.call('SCARD', SET)
local id = take_numbers(#letters)
for _, seq in ipairs(letters) do
  local d = redis.call('HMGET', dead_key(seq), 'member', 'has_data')
  local data = dead_key(seq) .. ':data'
  if redis.call('EXISTS', data) == 1 then
    redis.call('RENAME', data, aside_key(seq))
    put_claim(num(id), '', '', 0, now, {{tonumber(seq), d[1], ASIDE}}, now)
    redis.call('HINCRBY', STATS, 'claimed', 1)
    id = id + 1
  elseif d[1] then
    redis.call('SADD', SET, d[1])
  end
  redis.call('ZREM', DEAD, seq)
  redis.call('DEL', dead_key(seq))
end
return #letters
