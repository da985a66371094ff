-- functions: whole (1|0), queue, ... -> how many are new here
--
-- whole: functions of these queues of RQ's are run here from now on, and of no others; what has begun goes on. In either case what is new in them stands in
-- our list, and the queue gets a turn. A page of each place: what a longer backlog has more is in our list when it is claimed.
-- Again: 0.
local CHUNK_IDS, FRONT = 50, 16
local wanted, new = {}, 0

-- How many of them are.
local function meet(ids)
  local before = new
  for _, id in ipairs(ids) do
    local job = not call('ZSCORE', JOBS, id) and job_of(id)
    if job and job.func then
      adopt(job)
      new = new + 1
    end
  end
  return new - before
end

-- From the end at which RQ puts them in, as long as there are new ones; and from the other, at which it puts what is urgent.
local function look_list(key)
  for from = 1, PAGE, CHUNK_IDS do
    if meet(call('LRANGE', key, num(-from - CHUNK_IDS + 1), num(-from))) == 0 then
      break
    end
  end
  meet(call('LRANGE', key, '0', num(FRONT - 1)))
end

if ARGV[1] == '1' then
  for i = 2, #ARGV do
    wanted[ARGV[i]] = true
  end
  for _, queue in ipairs(call('SMEMBERS', FUNCTIONS)) do
    if not wanted[queue] then
      call('SREM', FUNCTIONS, queue)
    end
  end
end
for i = 2, #ARGV do
  local queue = ARGV[i]
  call('SADD', FUNCTIONS, queue)
  look_list(QUEUE .. queue)
  for _, kind in ipairs({'scheduled', 'deferred'}) do
    meet(call('ZREVRANGE', registry(kind, queue), '0', num(CHUNK_IDS - 1)))
  end
  give_turn(queue)
end
return new
