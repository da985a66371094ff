-- dead_show: seq... -> array of {seq, member, reason, attempts, at, has_data, type, data}; data is the array of fields and values
-- of a hash, the text of a string, and of anything else its first 100 elements, a line each.
local readers = {
  hash = function(key) return redis.call('HGETALL', key) end,
  string = function(key) return redis.call('GET', key) end,
  list = function(key) return table.concat(redis.call('LRANGE', key, 0, 99), '\n') end,
  set = function(key) return table.concat(redis.call('SRANDMEMBER', key, 100), '\n') end,
  zset = function(key) return table.concat(redis.call('ZRANGE', key, 0, 99), '\n') end,
}
local letters = {}
for i, seq in ipairs(named_letters(1, 0)) do
  local d = redis.call('HMGET', dead_key(seq), 'member', 'reason', 'attempts', 'at', 'has_data')
  local key = dead_key(seq) .. ':data'
  local kind = redis.call('TYPE', key).ok
  local read = readers[kind]
  letters[i] = {seq, d[1] or '', d[2] or '', d[3] or '0', d[4] or '0', d[5] or '0', kind, read and read(key) or ''}
end
return letters
