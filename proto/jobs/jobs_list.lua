-- list: queues (queues_of), limit, status, platform, since_ms, after -> [how many, [[id, [field, value, ...]], ...], next], or unknown
--
-- Jobs of ours, the newest first: in the order in which they were made, or, of one status and one queue, in which they have come to where they are. `since_ms` (0: any) is
-- how long ago at most. Behind `after`, a job of the list before ('': from the first); unknown: it is not there any more. At most LOOKS are looked at, so
-- that a page may have fewer than `limit`, or none; `next` is the `after` of the next page, '' at the end. How many: of the status; failed and stopped,
-- which stand in one place, together; of a status other than '' regardless of `since_ms`, and always of `platform`.
-- What RQ has deleted goes from our list when it is met.
-- Again: the same.
local LOOKS = 1000
local queue, limit, wanted, platform, since, after = ARGV[1], min(PAGE, count_of(ARGV[2])), ARGV[3], ARGV[4], count_of(ARGV[5]), ARGV[6]
local of = {started = 'wip', scheduled = 'scheduled', deferred = 'deferred', finished = 'finished', failed = 'failed', stopped = 'failed', canceled = 'canceled'}
local oldest = since > 0 and now - since or 0
local many = is_template(queue)
local apart = wanted ~= '' and not many -- a place of RQ's has just those
local set = apart and of[wanted] and registry(of[wanted], queue) or not apart and JOBS

-- Of a list, whose newest is at the right end: from that on.
local function page_of_list(key)
  local from = 0
  if after ~= '' then
    from = call('LPOS', key, after, 'RANK', '-1')
    from = from and call('LLEN', key) - from
  end
  if not from then
    return nil
  end
  local ids, out = call('LRANGE', key, num(-from - LOOKS), num(-from - 1)), {}
  for i = #ids, 1, -1 do
    out[#out + 1] = ids[i]
  end
  return out, call('LLEN', key)
end

local function page_of_set(key)
  local from = after == '' and 0 or call('ZREVRANK', key, after)
  if not from then
    return nil
  end
  from = after == '' and from or from + 1
  local total = (since > 0 and not apart) and call('ZCOUNT', key, num(oldest), '+inf') or call('ZCARD', key)
  return call('ZREVRANGE', key, num(from), num(from + LOOKS - 1)), total
end

local ids, total
if apart and wanted == 'queued' then
  ids, total = page_of_list(QUEUE .. queue)
elseif set then
  ids, total = page_of_set(set)
else
  ids, total = {}, 0
end
if not ids then
  return 'unknown'
end

if many and wanted ~= '' then
  total = 0
  for _, name in ipairs(queues_of(queue)) do
    total = total + (wanted == 'queued' and call('LLEN', QUEUE .. name) or of[wanted] and call('ZCARD', registry(of[wanted], name)) or 0)
  end
end

local out, last, more = {}, '', #ids == LOOKS
for i, id in ipairs(ids) do
  local made = since > 0 and tonumber(call('ZSCORE', JOBS, id) or '0') or 0
  if since > 0 and made < oldest and not apart then
    more = false
    break
  end
  local job = job_of(id)
  if not job and not apart then
    call('ZREM', JOBS, id)
  elseif job then
    last = id
    local fits = job.platform and (many or job.queue == queue) and (wanted == '' or job.status == wanted) and (platform == '' or job.platform == platform)
    if fits and made >= oldest then
      if job.strange then
        adopt(job)
      end
      out[#out + 1] = {id, call('HGETALL', job.key)}
    end
  end
  if #out == limit then
    more = more or i < #ids
    break
  end
end
return {total, out, more and last or ''}
