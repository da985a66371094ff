-- count: no arguments -> how many texts the section has said, this one included.
return redis.call('INCR', COUNT)
