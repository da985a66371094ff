-- inbox_look: most, most bytes -> msgpack [taken, left, [body, ...]]
--
-- The oldest bodies of the inbox, which stay where they are; `taken` is what inbox_take is told. A body too long for `most bytes` comes alone.
-- O(bodies).
local most, bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
local taken, left = count_of(read('HGET', P .. 'inbox:stats', 'taken')), read('LLEN', INBOX) or 0
local bodies, count, read_ahead = {}, 0, 1
while count < min(most, left) and bytes > 0 do
  local part = call('LRANGE', INBOX, num(-count - read_ahead), num(-count - 1))
  local longest = 1
  for i = #part, 1, -1 do
    if #part[i] > bytes and count > 0 then
      bytes = 0
      break
    end
    bytes, longest = bytes - #part[i], max(longest, #part[i])
    bodies[#bodies + 1] = part[i]
    count = count + 1
  end
  read_ahead = max(1, min(64, most - count, left - count, floor(bytes / longest)))
end
return cmsgpack.pack({taken, left, bodies})
