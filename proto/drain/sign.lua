-- sign: consume, store, instance -> 1 when the ledger is signed as this platoon's now; 0 when it is another's.
--
-- The watcher's, when status says that it is not: so a second platoon is told at its start, and not when both have work. claim signs by
-- itself what was not signed until then.
local foreign, unsigned = whose(ARGV[1], ARGV[2], ARGV[3])
if foreign then
  return 0
end
if unsigned then
  open_when_full()
  sign(ARGV[1], ARGV[2], ARGV[3])
end
return 1
