-- unregister: queue -> 1; 0 when it was not registered
--
-- Nothing more comes into it; what is there is served.
-- Again: 0. O(1).
open_when_full()
call('UNLINK', VOUCHED)
return call('HDEL', REGISTERED, ARGV[1])
