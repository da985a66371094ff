-- deliver: topic, facet, body, after_ms (absent: 0) -> {id, name of each queue that has it now}
--
-- Published, then queued; a delayed one is not published. A Redis that is full refuses it (OOM) before anything has changed.
-- Again: it is delivered twice. O(queues).
local topic, facet, body, after = ARGV[1], ARGV[2], ARGV[3], count_of(ARGV[4])
if not body then
  return refuse('ERR', 'platoon_deliver 1 NAMESPACE TOPIC FACET BODY [AFTER_MS]')
end
local id = take_id()
local names, why = place(id, topic, facet, body, after)
if not names then
  return refuse('REFUSED', why)
end
place_all(function()
  if after == 0 then
    call('PUBLISH', N .. topic, body)
  end
end)
if #names == 0 then
  count_of_inbox('unwanted', 1)
end
return {id, unpack(names)}
