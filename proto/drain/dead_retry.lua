-- dead_retry: limit, seq... (none: the oldest `limit`) -> letters retried.
--
-- Letters with data become claims, of their old numbers and without attempts, due at once: the number keeps an old
-- letter from overwriting a newer version. A letter without data goes back to the set.
local letters, now = named_letters(2, tonumber(ARGV[1])), now_ms()
if #letters == 0 then
  return 0
end
call('SCARD', SET)
local id, members = take_numbers(#letters), {}
try('claims', 'leave', 'write', 'clear', 'forget', 'count', 'there', 'letters', 'letter')
try_rename()
try_add(now)
for _, seq in ipairs(letters) do
  local member = call('HGET', dead_key(seq), 'member')
  if call('EXISTS', dead_key(seq) .. ':data') == 1 then
    members[#members + 1] = {tonumber(seq), member or '', ASIDE}
  elseif member then
    call('SADD', SET, member)
  end
end
for i, part in ipairs(parts_of(members, PART_MAX)) do
  put_claim(num(id + i - 1), '', '', 0, now, part, now)
  call('HINCRBY', STATS, 'claimed', #part)
end
for _, m in ipairs(members) do
  call('RENAME', dead_key(m[1]) .. ':data', aside_key(m[1]))
end
for _, seq in ipairs(letters) do
  call('ZREM', DEAD, seq)
  call('UNLINK', dead_key(seq))
end
return #letters
