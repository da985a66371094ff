-- recover: via, id... -> claims made due that this get-set made (it is their `via`) and does not know: the answer to its claim
-- script was lost with a connection. They were not worked, so that hand-out does not count.
local via, known, made = ARGV[1], {}, 0
for i = 2, #ARGV do
  known[ARGV[i]] = true
end
local now = now_ms()
for _, id in ipairs(call('ZRANGE', CLAIMS, 0, -1)) do
  if not known[id] then
    local c = call('HMGET', claim_key(id), 'via', 'attempts')
    if c[1] == via then
      if made == 0 then
        open_when_full()
        try('claims', 'write', 'clear')
      end
      made = made + 1
      give_back(id, tonumber(c[2]) - 1, now)
    end
  end
end
return made
