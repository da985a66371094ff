-- schedule: what, ... -> see below
--
-- What is to be made when, as three hashes of ours by the schedule's name: its definition, until when it has been looked after (seconds), and what came of
-- that. A definition begins with f (of the configuration file) or v (of a verb) and is the keeper's and collector's own otherwise.
--
-- look                             [[name, definition, last, state, job, its status, why, now, version], ...]; state: '' or paused; now: '1': at once
-- read name                        [definition, version], or nil: unknown
-- sync time [name definition ...]  those of the file are these; one that is new, or due at other times than before, is looked after from `time` on. -> how many
-- put name definition time         -> put; file: the file has one of that name
-- remove|pause|resume|now name time  -> removed, paused, resumed, asked; file: only the file can remove it; unknown. What was due while it was paused is not
--                                  made up for
-- ran name due job why             it has been looked after until then: `job` was made, or why none. Never goes back. due '': only why. -> ran
-- Again: the same.
local what, name = ARGV[1], ARGV[2]
local DEFINED, LAST, PAUSED, NOW = KEYS[1] .. 'schedules', KEYS[1] .. 'schedules:last', KEYS[1] .. 'schedules:paused', KEYS[1] .. 'schedules:now'
local MADE, WHY = KEYS[1] .. 'schedules:job', KEYS[1] .. 'schedules:why'
-- When what is made when was written last: it tells what was looked at from what has come instead, and says nothing of either.
local VERSION = KEYS[1] .. 'schedules:version'

local function forget(of)
  for _, key in ipairs({LAST, PAUSED, NOW, MADE, WHY, VERSION, DEFINED}) do
    call('HDEL', key, of)
  end
end

local function look()
  local out, defined = {}, call('HGETALL', DEFINED)
  for i = 1, #defined, 2 do
    local of = defined[i]
    local job = call('HGET', MADE, of) or ''
    out[#out + 1] = {of, defined[i + 1], call('HGET', LAST, of) or '0', call('HGET', PAUSED, of) and 'paused' or '', job,
      job ~= '' and call('HGET', JOB .. job, 'status') or '', call('HGET', WHY, of) or '', call('HGET', NOW, of) or '',
      call('HGET', VERSION, of) or ''}
  end
  return out
end

-- When it is due, as it stands in a definition (job_schedule_write), whose settings are a text in which quotes are escaped; nil: nowhere.
local function times_of(definition)
  return string.match(definition, '"cron":"[^"]*","every":%d+')
end

local function define(of, definition, time)
  local before = call('HGET', DEFINED, of)
  call('HSETNX', LAST, of, time)
  if before ~= definition then
    if before and times_of(before) ~= times_of(definition) and count_of(time) > count_of(call('HGET', LAST, of)) then
      call('HSET', LAST, of, time) -- by these times nothing was missed before they were said
    end
    call('HSET', VERSION, of, stamped)
    call('HSET', DEFINED, of, definition)
  end
end

local function sync()
  local mine = {}
  for i = 3, #ARGV - 1, 2 do
    mine[ARGV[i]] = true
    define(ARGV[i], ARGV[i + 1], ARGV[2])
  end
  local defined = call('HGETALL', DEFINED)
  for i = 1, #defined, 2 do
    if string.sub(defined[i + 1], 1, 1) == 'f' and not mine[defined[i]] then
      forget(defined[i])
    end
  end
  return call('HLEN', DEFINED)
end

local function move(definition)
  if what == 'remove' then
    if string.sub(definition, 1, 1) == 'f' then
      return 'file'
    end
    forget(name)
    return 'removed'
  elseif what == 'pause' then
    call('HSET', PAUSED, name, '1')
    return 'paused'
  elseif what == 'resume' then
    if call('HGET', PAUSED, name) then
      call('HSET', LAST, name, ARGV[3])
      call('HDEL', PAUSED, name)
    end
    return 'resumed'
  end
  call('HSET', NOW, name, '1')
  return 'asked'
end

if what == 'look' then
  return look()
elseif what == 'sync' then
  return sync()
end
local definition = call('HGET', DEFINED, name)
if what == 'read' then
  return definition and {definition, call('HGET', VERSION, name) or ''}
elseif what == 'put' then
  if definition and string.sub(definition, 1, 1) == 'f' then
    return 'file'
  end
  define(name, ARGV[3], ARGV[4])
  return 'put'
elseif not definition then
  return 'unknown'
elseif what ~= 'ran' then
  return move(definition)
end
if ARGV[3] ~= '' then
  if count_of(ARGV[3]) > count_of(call('HGET', LAST, name)) then
    call('HSET', LAST, name, ARGV[3])
  end
  call('HDEL', NOW, name)
end
if ARGV[4] ~= '' then
  call('HSET', MADE, name, ARGV[4])
end
call('HSET', WHY, name, ARGV[5])
return 'ran'
