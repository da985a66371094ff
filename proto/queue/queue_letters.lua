-- queue_letters.lua: dead letters, of a queue or of the inbox; behind queue_lib and queue_settle.

-- Those whose ids stand in the arguments from `from` on; without any the oldest `limit`.
local function letter_ids(q, from, limit)
  if #args < from then
    return call('ZRANGE', q.dead, '0', num(min(1000, limit) - 1))
  end
  local ids, seen = {}, {}
  for i = from, #args do
    if not seen[args[i]] and call('ZSCORE', q.dead, args[i]) then
      ids[#ids + 1] = args[i]
    end
    seen[args[i]] = true
  end
  return ids
end

local function open_letters(name)
  if name ~= 'inbox' then
    return open_queue(name)
  end
  local q = queue_of(name)
  q.raw, q.settings, q.limit = false, settings_of(), 0
  return q
end

-- [id, facet, attempts, reason, at_ms, bytes of the body]
local function letter_row(q, id, s)
  local bytes = call('HSTRLEN', q.held, id)
  return {id, shown_name(s and s.facet or ''), s and tries_of(s) or 0, s and s.reason or '', s and s.at or 0,
    max(0, bytes - #envelope(id, num(s and s.at or 0), ''))}
end

-- Bodies go to the end of the inbox. Until the last is there nothing has gone from the letters: what is refused half-way is there twice, and never lost.
local function retry_inbox(q, ids)
  for _, id in ipairs(ids) do
    zset_remove(q, q.dead, id)
    forget(q, id)
  end
  if #ids == 0 then
    return 0
  end
  open_when_full()
  try_push('LPUSH')
  queue_prepare(q)
  for _, id in ipairs(ids) do
    call('LPUSH', INBOX, select(3, opened(call('HGET', q.held, id) or '')) or '')
  end
  queue_write(q)
  return #ids
end
