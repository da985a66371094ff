-- call.lua: how scripts call commands; scripts/lib/embed puts it in front of each.
--
-- No command and no key of any system stands in here: whoever lists it as a shared part has its own.
local pcall, type, format, find = redis.pcall, type, string.format, string.find -- looked up once, not for each of a claim's members

-- tostring would print a large number as 1.79e+15; %.0f does long division, which was a tenth of Redis' time.
local function num(n)
  return format('%d', n)
end

-- What Redis refused, in one line that redis_error_explain reads: a tab, which no key holds here, parts the command from the server's words.
local function refused(err, command, key)
  key = string.gsub(string.sub(key or '', 1, 120), '[%c\127-\255]', '?')
  return 'platoon: ' .. command .. (key ~= '' and ' ' .. key or '') .. '\t' .. err
end

-- Every command of every script goes through this: an error ends the script and says which command was refused, and for which key. Redis
-- says neither.
local function call(...)
  local answer = pcall(...)
  if type(answer) == 'table' and answer.err then
    error(refused(answer.err, ...), 0)
  end
  return answer
end
