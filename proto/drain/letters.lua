-- letters.lua: what a look at dead letters shares; in front of dead_list and dead_show, behind lib.lua.
--
-- A look costs the same whatever is looked at: people look at what went wrong, which is what is large. So the length comes first, and
-- what is long is cut, or told by its length alone where Redis cannot give a part of it.
local HEAD_MAX, READ_MAX = 1024, 8 * 1024 * 1024
local read = 0

-- The first bytes of a text, no character cut in two.
local function cut(text, most)
  if #text <= most then
    return text
  end
  local last = most
  while last > most - 3 and last > 0 and string.find(string.sub(text, last + 1, last + 1), '^[\128-\191]') do
    last = last - 1
  end
  return string.sub(text, 1, last)
end

-- {seq, member, reason, attempts, at, has_data, the member's length}. Of thousands of long names only so many are read at all.
local function letter_head(seq)
  local len = call('HSTRLEN', dead_key(seq), 'member')
  local member = ''
  if len <= HEAD_MAX or read + len <= READ_MAX then
    member = call('HGET', dead_key(seq), 'member') or ''
    read = read + (len > HEAD_MAX and len or 0)
  end
  local d = call('HMGET', dead_key(seq), 'reason', 'attempts', 'at', 'has_data')
  return {seq, cut(member, HEAD_MAX), cut(d[1] or '', HEAD_MAX), d[2] or '0', d[3] or '0', d[4] or '0', len}
end
