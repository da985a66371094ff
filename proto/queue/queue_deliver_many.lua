-- deliver_many: for each message topic, facet, after_ms, body -> msgpack array, for each [id, name of each queue...], or a text: why it is not queued
--
-- As deliver, for many; what one cannot have does not keep the others. O(messages + queues for each topic).
local answers, publish, unwanted = {}, {}, 0
local topics, facets = {}, {}
for i = 1, #ARGV - 3, 4 do
  topics[#topics + 1], facets[#facets + 1] = ARGV[i], ARGV[i + 1]
end
read_ahead(topics, facets)
for i = 1, #ARGV - 3, 4 do
  local after = count_of(ARGV[i + 2])
  local id = take_id()
  local names, why = place(id, ARGV[i], ARGV[i + 1], ARGV[i + 3], after)
  if names then
    answers[#answers + 1] = {id, unpack(names)}
    unwanted = unwanted + (#names == 0 and 1 or 0)
    if after == 0 then
      publish[#publish + 1] = i
    end
  else
    answers[#answers + 1] = why
  end
end
place_all(function()
  for _, i in ipairs(publish) do
    call('PUBLISH', N .. ARGV[i], ARGV[i + 3])
  end
end)
count_of_inbox('unwanted', unwanted)
return cmsgpack.pack(answers)
