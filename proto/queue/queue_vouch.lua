-- vouch: -> {how many queues there are, since when this Redis remembers}
--
-- The second is another one once it has forgotten everything (FLUSHALL): then who has queues here registers them again.
--
-- Says that the registry is as it is, for a second: what deliveries find in it is kept, and good until then; whoever delivers later looks himself, for a
-- while, should nobody have come to say it again. Backbone workers call it every 500 ms; of several the first looks. Where a walk through the patterns costs little nobody needs it, and it does nothing.
-- Again: as once. O(queues).
local stats = P .. 'inbox:stats'
local born = read('HGET', stats, 'born')
if not born then
  open_when_full()
  born = now_text
  call('HSET', stats, 'born', born)
end
local count = read('HLEN', REGISTERED) or 0
local good, age = vouched()
if count <= FEW or good and age < 400 then
  return {count, born}
end
open_when_full()
call('SET', VOUCHED, registry_digest() .. ' ' .. now_text, 'PX', num(KEPT_MS))
call('PEXPIRE', TOPICS, num(TOPICS_MS))
return {count, born}
