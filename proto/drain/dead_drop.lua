-- dead_drop: limit, seq... (none: the oldest `limit`) -> letters dropped for good, with their data.
local letters = named_letters(2, tonumber(ARGV[1]))
for _, seq in ipairs(letters) do
  redis.call('ZREM', DEAD, seq)
  redis.call('UNLINK', dead_key(seq), dead_key(seq) .. ':data')
end
return #letters
