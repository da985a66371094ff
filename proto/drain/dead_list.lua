-- dead_list: limit -> array of {seq, member, reason, attempts, at, has_data}, oldest first.
local letters = {}
for i, seq in ipairs(redis.call('ZRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)) do
  local d = redis.call('HMGET', dead_key(seq), 'member', 'reason', 'attempts', 'at', 'has_data')
  letters[i] = {seq, d[1] or '', d[2] or '', d[3] or '0', d[4] or '0', d[5] or '0'}
end
return letters
