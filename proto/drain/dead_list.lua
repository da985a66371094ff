-- dead_list: limit -> array of {seq, member, reason, attempts, at, has_data, the member's length}, oldest first. Long members are cut (letters.lua).
local letters = {}
for i, seq in ipairs(call('ZRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)) do
  letters[i] = letter_head(seq)
end
return letters
