-- dead_drop: limit, seq... (none: the oldest `limit`) -> letters dropped for good, with their data.
local letters = named_letters(2, tonumber(ARGV[1]))
if #letters > 0 then
  open_when_full()
  try('letters', 'letter', 'forget')
end
for _, seq in ipairs(letters) do
  call('ZREM', DEAD, seq)
  call('UNLINK', dead_key(seq), dead_key(seq) .. ':data')
end
return #letters
