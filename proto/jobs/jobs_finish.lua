-- finish: job, queue, owner, attempt, how, after_ms, result, value, N, N * (field, value), [as claim] -> [what, claimed]
--
-- how      finished|failed|stopped  its end
--          retry                    it waits until after_ms from now, or, when that is 0, first in its queue; a function's waits behind the others
--          back                     the same, and this attempt is not counted: it was handed back unblamed
--                                   of either: what was to be stopped is
-- result   an entry of rq:results: its field, return_value or exc_string, and value; empty: none. With retry it is the Retry that a function has returned, with
--          failed the one that was one too many, as RQ 2 has them
-- what     done; canceled: RQ has made it so meanwhile, and so it ends; lost, gone: as of beat, and nothing changes
-- claimed  with the arguments of claim behind the fields: its answer; nil without, and where nothing changes: the same job, made anew under its old name, would
--          be claimed as the attempt that has just been told of, and ended when that is told again
-- Again: done, and a claim more.
local function move(job, how)
  local after = count_of(ARGV[6])
  if how == 'back' then
    call('HSET', job.key, 'platoon.spared', num(job.spared + 1))
  else
    call('HDEL', job.key, 'platoon.lacked')
  end
  if how == 'finished' then
    to_end(job, 'finished', how, job.result_ttl)
  elseif how == 'failed' or how == 'stopped' then
    to_end(job, 'failed', how, job.failure_ttl)
  elseif job.stop then
    stopped(job)
  elseif after > 0 then
    call('ZADD', registry('scheduled', job.queue), seconds(now + after), job.id)
    call('HSET', job.key, 'status', 'scheduled')
  else
    to_queue(job, how == 'back' or not job.func or job.front_again)
  end
end

-- Whoever has run it is idle, and has one more behind it, as RQ counts: an attempt that is not its last has failed.
local function worked(job, how)
  local f = call('HMGET', job.key, 'worker_name', 'platoon.run_ms')
  if worker_does(f[1] or '', 'idle') and how ~= 'back' then
    call('HINCRBY', WORKER .. f[1], how == 'finished' and 'successful_job_count' or 'failed_job_count', '1')
    call('HINCRBYFLOAT', WORKER .. f[1], 'total_working_time', seconds(count_of(f[2])))
  end
end

local function finish()
  local job, fields = job_of(ARGV[1]), count_of(ARGV[9])
  if not job then
    unblocked({id = ARGV[1], queue = ARGV[2]})
    return 'gone'
  elseif job.owner ~= ARGV[3] or job.attempt ~= count_of(ARGV[4]) then
    return 'lost'
  elseif job.ended == job.attempt then
    return 'done'
  end
  job.queue = ARGV[2]
  if fields > 0 then
    call('HSET', job.key, unpack(ARGV, 10, 9 + 2 * fields))
  end
  local canceled = job.status ~= 'started'
  if canceled then
    to_history(job, 'canceled')
  else
    move(job, ARGV[5])
    if ARGV[7] ~= '' and not job.told then
      record(job, ARGV[5], ARGV[7], ARGV[8])
    end
  end
  call('HSET', job.key, 'platoon.ended', num(job.attempt))
  worked(job, ARGV[5])
  unblocked(job)
  return canceled and 'canceled' or 'done'
end

local what, from = finish(), 10 + 2 * count_of(ARGV[9])
local counts = what == 'done' or what == 'canceled'
if not counts and #ARGV > from then
  worker_does(ARGV[from + 1], 'idle') -- who has a job that is gone in hands is one whom RQ's clients cannot show
end
return {what, counts and #ARGV > from and claim(ARGV[from], ARGV[from + 1], count_of(ARGV[from + 2])) or false}
