-- orphans: instance, boot, horizon, then triples of name, generation, alive (1 or 0)
--   -> {claims made due, names of this boot that were not among the triples...}
--
-- Makes every claim of this instance due whose owner, or whose `via`, is an incarnation that is known to be gone: of an older boot, of
-- an older generation, or of the named generation and not alive. Newer than known is not gone: its UP has not come yet. A
-- claim that its get-hash never took was not worked, so that hand-out does not count.
--
-- No claim is ever due later than `horizon` ms from now, unless Redis' clock was set back: then what nobody holds is due now, and who
-- holds one has until the horizon, as if it had just been handed out. The same for what waits for its hashes.
local instance, boot, horizon = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local known = {}
for i = 4, #ARGV, 3 do
  known[ARGV[i]] = {generation = tonumber(ARGV[i + 1]), alive = ARGV[i + 2] == '1'}
end
local strangers, seen = {}, {}

local function gone(identity)
  local who, when, name, generation = string.match(identity or '', '^([^:]*):(%d+):(.*):(%d+)$')
  if who ~= instance then
    return false
  end
  when, generation = tonumber(when), tonumber(generation)
  if when ~= boot then
    return when < boot
  end
  local k = known[name]
  if k then
    return generation < k.generation or (generation == k.generation and not k.alive)
  end
  if not seen[name] then
    seen[name] = true
    strangers[#strangers + 1] = name
  end
  return false
end

local now, made = now_ms(), 0
local waits = call('ZRANGEBYSCORE', WAITING, '(' .. num(now + horizon), '+inf')
local scored = call('ZRANGE', CLAIMS, 0, -1, 'WITHSCORES')
for i = 1, #scored, 2 do
  local id, due = scored[i], tonumber(scored[i + 1])
  local c = call('HMGET', claim_key(id), 'owner', 'via', 'attempts')
  local owner_gone, via_gone = gone(c[1]), gone(c[2])
  local adrift = due > now + horizon
  if made == 0 and (owner_gone or via_gone or adrift) then
    open_when_full()
    try('claims', 'write', 'clear')
  end
  if owner_gone or via_gone then
    made = made + 1
    give_back(id, tonumber(c[3]) - (c[2] ~= '' and 1 or 0), now)
  elseif adrift and c[1] == '' then
    made = made + 1
    call('ZADD', CLAIMS, num(now), id)
  elseif adrift then
    call('ZADD', CLAIMS, num(now + horizon), id)
  end
end
for _, id in ipairs(waits) do
  open_when_full()
  try('waiting')
  call('ZADD', WAITING, num(now), id)
end
return {made, unpack(strangers, 1, math.min(#strangers, CHUNK))}
