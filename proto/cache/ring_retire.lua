-- retire: run, manager, beats ('': whatever they are) -> OK; MOVED: it has beaten since
--
-- Strikes out a manager: itself when it ends; one whose beats have stood still at this number for ten leases, by the master. It comes back
-- with its next beat. Who was master is it no more, and the next to beat is. No transition of the model's: masters compare what they saw.
-- Again: OK.
-- O(1).
local manager, beats = ARGV[2], ARGV[3]
if not enter() or not call('HGET', MANAGERS, manager) then
  return pack(OK)
elseif beats ~= '' and call('HGET', BEATS, manager) ~= beats then
  return pack(MOVED)
end
open_when_full()
call('HSET', RING, 'gen', next_gen())
if call('GET', MASTER) == manager then
  call('UNLINK', MASTER)
end
call('HDEL', BEATS, manager)
call('HDEL', MANAGERS, manager)
return pack(OK)
