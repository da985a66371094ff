-- vouch: -> how many queues there are
--
-- Says that the registry is as it is, for a second: what deliveries find in it is kept, and good until then; whoever delivers later looks himself, for a
-- while, should nobody have come to say it again. Backbone workers call it every 500 ms; of several the first looks. Where a walk through the patterns costs little nobody needs it, and it does nothing.
-- Again: as once. O(queues).
local count = read('HLEN', REGISTERED) or 0
local good, age = vouched()
if count <= FEW or good and age < 400 then
  return count
end
open_when_full()
call('SET', VOUCHED, registry_digest() .. ' ' .. now_text, 'PX', num(KEPT_MS))
call('PEXPIRE', TOPICS, num(TOPICS_MS))
return count
