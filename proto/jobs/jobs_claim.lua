-- claim: owner, worker, lease_ms -> [id, queue, attempt, blamed, lost, [field, value, ...]], 'suspended', or nil: nothing waits
--
-- owner: the identity of an incarnation (PROTOCOL.md), which later calls must name; worker: what RQ shows. blamed: the number of this attempt without
-- those that were handed back.
-- Again: another job. The first is handed back by the orphans of its owner, or when its lease is over.
return claim(ARGV[1], ARGV[2], count_of(ARGV[3]))
