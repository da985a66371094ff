-- queue_match.lua: whether a topic matches a queue's pattern; in front of redis/call.lua, behind which pcall is Redis' own.
--
-- Patterns are Lua's, and foreign clients enter what they like: a malformed one raises, and is no reason to deliver to no other queue.
local protected, find_in, part_of = pcall, string.find, string.sub

-- Without a leading or trailing `.*` the answer is the same, and the worst topic takes 2 ms instead of 95. What begins with `^` behind it
-- would become an anchor, and so would a `$` in front of it; in what has sets, `%b` or `%f` the last two bytes may be something else.
local function trimmed(pattern)
  while part_of(pattern, 1, 2) == '.*' and part_of(pattern, 3, 3) ~= '^' do
    pattern = part_of(pattern, 3)
  end
  if find_in(pattern, '[%[]') or find_in(pattern, '%%[bf]') then
    return pattern
  end
  while part_of(pattern, -2) == '.*' do
    local percents = #(string.match(part_of(pattern, 1, -3), '%%*$'))
    if percents % 2 == 1 or part_of(pattern, -3, -3) == '$' then
      break
    end
    pattern = part_of(pattern, 1, -3)
  end
  return pattern
end

-- Whether it matches; and whether the pattern is one.
local function matches(topic, pattern)
  local well, at = protected(find_in, topic, trimmed(pattern))
  return well and at ~= nil, well
end
